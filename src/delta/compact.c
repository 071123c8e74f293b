/* Log compaction: one file for many commits (Delta protocol, Log Compaction Files).
 *
 * %020d.%020d.compacted.json says of the commits x .. y what a reader that replays them all would keep: the newest word
 * about each file, application and domain, and the newest protocol and metaData. Tombstones stay, since they hide files
 * of older versions. It helps where checkpoints are rare, by delta.checkpointInterval or because they take long.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/map.h"
#include "delta/maintain_int.h"

enum { COMPACT_COMMITS = 50, COMPACT_BYTES_MAX = 64 << 20, NAME_BYTES_MAX = 128 };

/* Commits that make a compaction: the table's freshet.log.compactionInterval. */
static size_t interval_of(const DeltaSnapshot *s)
{
    const char *set = delta_snapshot_property(s, "freshet.log.compactionInterval");
    int64_t interval;

    return set != NULL && str_parse_i64(set, &interval) && interval >= 2 ? (size_t)interval : COMPACT_COMMITS;
}

/* The node of the last version of the newest run of `n` commits that ends at a multiple of n; NULL when the tail does
 * not hold them all, one by one. */
static const DeltaCommitNode *find_run(const DeltaSnapshot *s, size_t n)
{
    int64_t last = s->version - s->version % (int64_t)n;
    const DeltaCommitNode *end = NULL;

    for (const DeltaCommitNode *node = s->tail; node != NULL; node = node->previous) {
        int64_t version = node->commit->version;
        if (version <= last && (version != last - (end == NULL ? 0 : (int64_t)(end->depth - node->depth)) ||
                                delta_commit_info(node->commit) == NULL)) {
            return NULL; /* a compaction stands here */
        }
        end = version == last ? node : end;
        if (version == last - (int64_t)n + 1) {
            return end;
        }
    }
    return NULL;
}

static void put(Text *out, DeltaActionKind kind, const DeltaAction *action)
{
    if (action != NULL && action->kind == kind) {
        delta_action_write(action, out);
    }
}

/* The newest txn of each application and the newest word on each domain, removed ones included. */
static void put_latest(Text *out, Map *seen, const DeltaAction *action)
{
    Text key = TEXT(1 << 20);

    text_append(&key, action->kind == DELTA_ACTION_TXN ? "t" : "d");
    text_append(&key, action->kind == DELTA_ACTION_TXN ? action->txn.app_id : action->domain.domain);
    if (!map_has(seen, text_str(&key))) {
        map_put(seen, text_str(&key), NULL);
        delta_action_write(action, out);
    }
    text_free(&key);
}

static void put_small(const DeltaCommitNode *tail, size_t n, Text *out)
{
    const DeltaAction *protocol = NULL, *metadata = NULL;
    Map *seen = map_new();

    for (const DeltaCommitNode *node = tail; n > 0; n--, node = node->previous) {
        for (size_t i = node->commit->n_actions; i-- > 0;) {
            const DeltaAction *action = &node->commit->actions[i];
            if (action->kind == DELTA_ACTION_PROTOCOL && protocol == NULL) {
                protocol = action;
            } else if (action->kind == DELTA_ACTION_METADATA && metadata == NULL) {
                metadata = action;
            } else if (action->kind == DELTA_ACTION_TXN || action->kind == DELTA_ACTION_DOMAIN) {
                put_latest(out, seen, action);
            }
        }
    }
    put(out, DELTA_ACTION_PROTOCOL, protocol);
    put(out, DELTA_ACTION_METADATA, metadata);
    map_free(seen, NULL);
}

static void put_files(const DeltaTable *table, const DeltaCommitNode *tail, size_t n, Text *out)
{
    DeltaOverlay *overlay = delta_overlay_new(table->duck, table->root);

    for (const DeltaCommitNode *node = tail; n > 0; n--, node = node->previous) {
        delta_overlay_apply(overlay, node->commit->actions, node->commit->n_actions);
    }
    size_t adds = delta_overlay_adds(overlay), removes = delta_overlay_entries(overlay) - adds;
    for (size_t i = 0; i < adds; i++) {
        delta_action_write(&(DeltaAction){.kind = DELTA_ACTION_ADD, .file = *delta_overlay_add_at(overlay, i)}, out);
    }
    for (size_t i = 0; i < removes; i++) {
        DeltaAction action = {.kind = DELTA_ACTION_REMOVE, .file = *delta_overlay_remove_at(overlay, i)};
        delta_action_write(&action, out);
    }
    delta_overlay_free(overlay);
}

static Status write_compaction(DeltaTable *table, const DeltaCommitNode *last, size_t n, const char *key, Error *err)
{
    Text file = TEXT(COMPACT_BYTES_MAX);
    Error failed = ERROR_NONE;
    Status rc = OK;

    put_small(last, n, &file);
    put_files(table, last, n, &file);
    if (file.overflow || file.length == 0) {
        log_debug("%s: %s is not written: it would be %s", table->uri, key, file.overflow ? "very long" : "empty");
        goto out;
    }
    rc = store_put_if_absent(table->store, key, text_str(&file), file.length, &failed);
    if (rc != OK && rc != ERR_EXISTS) {
        if (err != NULL) {
            *err = failed;
        }
        goto out;
    }
    rc = failpoint(FP_DELTA_COMPACT_AFTER_PUT, err);
out:
    text_free(&file);
    return rc;
}

Status delta_log_compact(DeltaTable *table, const DeltaSnapshot *snapshot, Error *err)
{
    size_t n = interval_of(snapshot);
    const DeltaCommitNode *last = find_run(snapshot, n);
    char key[NAME_BYTES_MAX];
    StoreInfo info;

    if (last == NULL || last->commit->version <= table->compacted) {
        return OK;
    }
    table->compacted = last->commit->version;
    snprintf(key, sizeof key, "%s/%020" PRId64 ".%020" PRId64 ".compacted.json", DELTA_LOG_DIR,
             last->commit->version - (int64_t)n + 1, last->commit->version);
    return store_info(table->store, key, &info, NULL) == OK ? OK : write_compaction(table, last, n, key, err);
}
