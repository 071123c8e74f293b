/* The old end of a log is cut off (Delta protocol, Metadata Cleanup).
 *
 * What is kept is whole: the newest checkpoint that is not younger than the cut-off, and everything after it. It is
 * opened before anything goes, and files go from the oldest on. Sidecars go when no checkpoint that is left names them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/map.h"
#include "delta/log/checkpoint_int.h"
#include "delta/maintain_int.h"
#include "delta/property_int.h"

static const int64_t DAY_MS = INT64_C(24) * 60 * 60 * 1000;

typedef struct Cleanup {
    DeltaTable *table;
    DuckConn *conn;
    DeltaSnapshot *snapshot;
    DeltaListing *listing;
    int64_t boundary; /* version of the checkpoint that stays; -1 = there is none that may be the oldest */
    int64_t limit;    /* what is older goes: the boundary, or an older commit that is still needed */
    size_t deleted, checkpoints_deleted;
} Cleanup;

/* The newest complete checkpoint whose version is not younger than the cut-off. A table with checkpoint protection
 * loses what is before the protected version all at once or not at all (Delta protocol, Checkpoint Protection). */
static Status find_boundary(Cleanup *c, int64_t cutoff_ms, Error *err)
{
    size_t n;
    DeltaCheckpointFiles *checkpoints = delta_listing_checkpoints(c->listing, c->snapshot->version, &n);
    DeltaCheckpoint *checkpoint = NULL;
    int64_t protected = delta_property_i64(c->snapshot->metadata, "delta.requireCheckpointProtectionBeforeVersion");
    Status rc = OK;

    c->boundary = -1;
    for (size_t i = 0; i < n; i++) {
        const DeltaLogFile *commit = delta_listing_commit(c->listing, checkpoints[i].version);
        if (commit == NULL || commit->mtime_ms > cutoff_ms || checkpoints[i].mtime_ms > clock_now_ms()) {
            continue;
        }
        TRY(delta_checkpoint_open(c->table, c->conn, &checkpoints[i], &checkpoint,
                                  err)); /* it is about to be all there is */
        if (checkpoint->protocol != NULL && checkpoint->metadata != NULL && checkpoints[i].version >= protected) {
            c->boundary = checkpoints[i].version;
        }
        break;
    }
out:
    delta_checkpoint_unref(checkpoint);
    return rc;
}

/* Is this the newest commit of a flow? Its commitInfo.freshet is what the flow's checkpoint folder can be rebuilt
 * from. */
static Status is_needed(const Cleanup *c, int64_t version, bool *needed, Error *err)
{
    Arena *arena = arena_new();
    DeltaCommit *commit = NULL;
    DeltaCommitInfo info;
    bool found;
    Status rc = OK;

    *needed = false;
    TRY(delta_log_read_info(c->table->store, version, arena, &info, &found, err));
    if (!found || strstr(info.json, "\"freshet\":{") == NULL) {
        goto out;
    }
    TRY(delta_commit_read(c->table, version, &commit, err));
    for (size_t i = 0; i < commit->n_actions; i++) {
        const DeltaAction *action = &commit->actions[i];
        int64_t newest;
        if (action->kind == DELTA_ACTION_TXN && delta_snapshot_txn(c->snapshot, action->txn.app_id, &newest) &&
            newest == action->txn.version) {
            *needed = true;
        }
    }
out:
    arena_free(arena);
    delta_commit_free(commit);
    return rc;
}

/* Nothing goes from the first commit on that is still needed. */
static Status find_limit(Cleanup *c, Error *err)
{
    Status rc = OK;

    c->limit = c->boundary;
    for (size_t i = 0; i < c->listing->n && c->listing->files[i].name.version < c->limit; i++) {
        const DeltaLogName *name = &c->listing->files[i].name;
        bool needed = false;
        if (name->kind == DELTA_LOG_COMMIT) {
            TRY(is_needed(c, name->version, &needed, err));
        }
        if (needed) {
            c->limit = name->version;
        }
    }
out:
    return rc;
}

static bool is_extra(const DeltaLogName *name)
{
    return name->kind == DELTA_LOG_CHECKSUM || name->kind == DELTA_LOG_COMPACTION;
}

/* A compaction that begins with the boundary tells of what its checkpoint holds. */
static bool goes(const Cleanup *c, const DeltaLogName *name)
{
    return name->version < c->limit ||
           (name->version == c->limit && c->limit == c->boundary && name->kind == DELTA_LOG_COMPACTION);
}

/* Checksums and compactions first, which nobody needs; then from the oldest on, so that what is left is always a whole
 * end of the log. */
static Status delete_old(Cleanup *c, bool extras, Error *err)
{
    char key[DELTA_LOG_KEY_MAX];
    Status rc = OK;

    for (size_t i = 0; i < c->listing->n && c->listing->files[i].name.version <= c->limit; i++) {
        const DeltaLogFile *file = &c->listing->files[i];
        if (!goes(c, &file->name) || is_extra(&file->name) != extras) {
            continue;
        }
        delta_log_file_key(file, key);
        TRY(store_delete(c->table->store, key, err));
        c->deleted++;
        c->checkpoints_deleted += !extras && file->name.kind != DELTA_LOG_COMMIT;
        TRY(failpoint(FP_DELTA_CLEANUP_AFTER_DELETE, err));
    }
out:
    return rc;
}

/* ---- v2 ---- */

/* Whoever does not know v2 looks for a checkpoint with the classic name, and without one takes what is left of the log
 * for damage. With one, it finds the protocol, which says what it lacks. */
static Status leave_classic_name(const Cleanup *c, Error *err)
{
    if (strcmp(delta_property_text(c->snapshot->metadata, "delta.checkpointPolicy"), "v2") != 0) {
        return OK;
    }
    for (size_t i = 0; i < c->listing->n; i++) {
        const DeltaLogName *name = &c->listing->files[i].name;
        if (name->kind == DELTA_LOG_CHECKPOINT && name->version >= c->boundary) {
            return OK;
        }
    }
    return delta_checkpoint_write_named(c->snapshot, c->conn, true, err);
}

/* The sidecars of all checkpoints that are left. */
static Status named_sidecars(const Cleanup *c, Map *named, Error *err)
{
    size_t n;
    DeltaListing *listing = NULL;
    Status rc = OK;

    TRY(delta_listing_read(c->table->store, 0, &listing, err));
    const DeltaCheckpointFiles *checkpoints = delta_listing_checkpoints(listing, INT64_MAX, &n);
    for (size_t i = 0; i < n; i++) {
        DeltaCheckpoint *checkpoint;
        TRY(delta_checkpoint_open(c->table, c->conn, &checkpoints[i], &checkpoint, err));
        for (size_t k = 0; k < checkpoint->n_sidecars; k++) {
            map_put(named, checkpoint->sidecars[k], named);
        }
        delta_checkpoint_unref(checkpoint);
    }
out:
    delta_listing_free(listing);
    return rc;
}

typedef struct OldSidecars {
    const Map *named;
    int64_t before_ms;
    Arena *arena;
    const char **keys;
    size_t n, capacity;
} OldSidecars;

static bool find_old_sidecar(void *context, const StoreEntry *entry)
{
    OldSidecars *old = context;

    if (!entry->info.is_dir && entry->info.mtime_ms < old->before_ms && !map_has(old->named, entry->name)) {
        old->keys = mem_grow(old->keys, old->n, &old->capacity, sizeof *old->keys);
        old->keys[old->n++] = arena_printf(old->arena, "%s/%s", DELTA_LOG_SIDECARS, entry->name);
    }
    return true;
}

/* Young ones stay: their checkpoint may be about to be written. A checkpoint that cannot be read keeps all. */
static Status delete_sidecars(Cleanup *c, Error *err)
{
    int64_t keep_ms = delta_property_ms(c->snapshot->metadata, "delta.checkpointRetentionDuration");
    OldSidecars old = {.named = NULL, .arena = arena_new()};
    Map *named = map_new();
    Status rc = OK;

    old.before_ms = clock_now_ms() - (keep_ms > DAY_MS ? keep_ms : DAY_MS);
    old.before_ms -= old.before_ms % DAY_MS;
    old.named = named;
    TRY(named_sidecars(c, named, err));
    TRY(store_list(c->table->store, DELTA_LOG_SIDECARS, NULL, find_old_sidecar, &old, err));
    for (size_t i = 0; i < old.n; i++) {
        TRY(store_delete(c->table->store, old.keys[i], err));
        c->deleted++;
        TRY(failpoint(FP_DELTA_CLEANUP_AFTER_DELETE, err));
    }
out:
    mem_free(old.keys);
    arena_free(old.arena);
    map_free(named, NULL);
    return rc;
}

/* ---- all of it ---- */

Status delta_log_clean(DeltaTable *table, DuckConn *conn, DeltaSnapshot *snapshot, Error *err)
{
    Cleanup c = {.table = table, .conn = conn, .snapshot = snapshot};
    int64_t cutoff = clock_now_ms() - delta_property_ms(snapshot->metadata, "delta.logRetentionDuration");
    Status rc = OK;

    cutoff -= cutoff % DAY_MS;
    TRY(delta_listing_read(table->store, 0, &c.listing, err));
    if (c.listing->n == 0 || c.listing->files[0].mtime_ms > cutoff) {
        goto out;
    }
    TRY(find_boundary(&c, cutoff, err));
    TRY(find_limit(&c, err));
    if (!goes(&c, &c.listing->files[0].name)) {
        goto out;
    }
    TRY(leave_classic_name(&c, err));
    TRY(delete_old(&c, true, err));
    TRY(delete_old(&c, false, err));
    if (c.checkpoints_deleted > 0 && delta_protocol_supports(snapshot->protocol, "v2Checkpoint")) {
        TRY(delete_sidecars(&c, err));
    }
out:
    if (c.deleted > 0) {
        log_info("%s: %zu files of the log before version %" PRId64
                 " are older than delta.logRetentionDuration and were deleted",
                 table->uri, c.deleted, c.limit);
    }
    delta_listing_free(c.listing);
    return rc;
}
