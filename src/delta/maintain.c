/* What a table needs after commits: a checkpoint when one is due, and the end of the log cut off when it is too old (reference 4.3, 14).
 *
 * Nothing here may fail or delay the writer that calls it, so problems are logged. One thread at a time works on a table.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "delta/property_int.h"
#include "delta/table_int.h"
#include "delta/transaction.h"

enum { LONG_CHECKPOINT_MS = 500, SPREAD_INTERVALS = 10 };
static const int64_t DAY_MS = INT64_C(24) * 60 * 60 * 1000;
static const int64_t CLEANUP_PAUSE_MS = INT64_C(10) * 60 * 1000; /* between two looks at the old end of a log */

/* ---- checkpoints ---- */

/* Due when a multiple of the interval lies between the newest checkpoint and the newest version. A checkpoint of a very big table takes
 * seconds; those are spread out, so that they take at most a fifth of the time, but never further than ten intervals. */
static bool is_due(const DeltaTable *table, const DeltaSnapshot *s)
{
    int64_t interval = delta_property_i64(s->metadata, "delta.checkpointInterval");
    int64_t base = s->checkpoint != NULL ? s->checkpoint->version : 0, cost = table->checkpoint_cost_ms;
    bool crowded = cost > LONG_CHECKPOINT_MS && clock_mono_us() / 1000 - table->checkpoint_done_ms < 4 * cost;

    return s->version / interval > base / interval + (crowded ? SPREAD_INTERVALS : 0);
}

static Status write_checkpoint(DeltaTable *table, DuckConn *conn, DeltaSnapshot *snapshot, Error *err)
{
    int64_t started = clock_mono_us() / 1000;
    Status rc = OK;

    TRY(delta_checkpoint_write(snapshot, conn, err));
    table->checkpoint_done_ms = clock_mono_us() / 1000;
    table->checkpoint_cost_ms = table->checkpoint_done_ms - started;
    TRY(delta_table_rebase(table, conn, err));
out:
    return rc;
}

/* ---- cleanup ---- */

typedef struct Cleanup {
    DeltaTable *table;
    DuckConn *conn;
    const DeltaSnapshot *snapshot;
    DeltaListing *listing;
} Cleanup;

/* The newest complete checkpoint whose version is not younger than the cut-off; -1 when there is none. */
static Status find_boundary(Cleanup *c, int64_t cutoff_ms, int64_t *boundary, Error *err)
{
    size_t n;
    DeltaCheckpointFiles *checkpoints = delta_listing_checkpoints(c->listing, c->snapshot->version, &n);
    DeltaCheckpoint *checkpoint = NULL;
    Status rc = OK;

    *boundary = -1;
    for (size_t i = 0; i < n; i++) {
        const DeltaLogFile *commit = delta_listing_commit(c->listing, checkpoints[i].version);
        if (commit == NULL || commit->mtime_ms > cutoff_ms || checkpoints[i].mtime_ms > clock_now_ms()) {
            continue;
        }
        TRY(delta_checkpoint_open(c->table, c->conn, &checkpoints[i], &checkpoint,
                                  err)); /* it is about to be all there is */
        if (checkpoint->protocol != NULL && checkpoint->metadata != NULL) {
            *boundary = checkpoints[i].version;
        }
        break;
    }
out:
    delta_checkpoint_unref(checkpoint);
    return rc;
}

/* Is this the newest commit of a flow? Its commitInfo.freshet is what the flow's checkpoint folder can be rebuilt from. */
static Status is_needed(const Cleanup *c, int64_t version, bool *needed, Error *err)
{
    DeltaCommit *commit = NULL;
    bool ours = false;
    Status rc = OK;

    *needed = false;
    TRY(delta_commit_read(c->table, version, &commit, err));
    const DeltaCommitInfo *info = delta_commit_info(commit);
    ours = info != NULL && strstr(info->json, "\"freshet\":{") != NULL;
    for (size_t i = 0; ours && i < commit->n_actions; i++) {
        const DeltaAction *action = &commit->actions[i];
        int64_t newest;
        if (action->kind == DELTA_ACTION_TXN && delta_snapshot_txn(c->snapshot, action->txn.app_id, &newest) &&
            newest == action->txn.version) {
            *needed = true;
        }
    }
out:
    delta_commit_free(commit);
    return rc;
}

static void file_key(const DeltaLogFile *file, char *key, size_t n)
{
    if (file->text != NULL) {
        snprintf(key, n, "%s/%s", DELTA_LOG_DIR, file->text);
    } else {
        snprintf(key, n, "%s/%020" PRId64 ".%s", DELTA_LOG_DIR, file->name.version,
                 file->name.kind == DELTA_LOG_COMMIT ? "json" : "crc");
    }
}

/* Deletes from the oldest on, so that what is left is always a whole end of the log. */
static Status delete_before(const Cleanup *c, int64_t boundary, size_t *deleted, Error *err)
{
    char key[DELTA_LOG_NAME_MAX * 3];
    Status rc = OK;

    for (size_t i = 0; i < c->listing->n && c->listing->files[i].name.version < boundary; i++) {
        const DeltaLogFile *file = &c->listing->files[i];
        bool needed = false;
        if (file->name.kind == DELTA_LOG_COMMIT) {
            TRY(is_needed(c, file->name.version, &needed, err));
        }
        if (needed) {
            break;
        }
        file_key(file, key, sizeof key);
        TRY(store_delete(c->table->store, key, err));
        ++*deleted;
        TRY(failpoint(FP_DELTA_CLEANUP_AFTER_DELETE, err));
    }
out:
    return rc;
}

static Status clean_log(DeltaTable *table, DuckConn *conn, const DeltaSnapshot *snapshot, Error *err)
{
    Cleanup c = {.table = table, .conn = conn, .snapshot = snapshot};
    int64_t cutoff = clock_now_ms() - delta_property_ms(snapshot->metadata, "delta.logRetentionDuration"), boundary;
    size_t deleted = 0;
    Status rc = OK;

    cutoff -= cutoff % DAY_MS;
    TRY(delta_listing_read(table->store, 0, &c.listing, err));
    if (c.listing->n == 0 || c.listing->files[0].mtime_ms > cutoff) {
        goto out;
    }
    TRY(find_boundary(&c, cutoff, &boundary, err));
    TRY(delete_before(&c, boundary, &deleted, err));
    if (deleted > 0) {
        log_info("%s: %zu files of the log before version %" PRId64
                 " are older than delta.logRetentionDuration and were deleted",
                 table->uri, deleted, boundary);
    }
out:
    delta_listing_free(c.listing);
    return rc;
}

static bool may_clean(DeltaTable *table, const DeltaSnapshot *s)
{
    int64_t now = clock_mono_us() / 1000, last = atomic_load(&table->cleaned_ms);

    if (!delta_property_bool(s->metadata, "delta.enableExpiredLogCleanup") ||
        delta_property_i64(s->metadata, "delta.requireCheckpointProtectionBeforeVersion") > 0 ||
        (last != 0 && now - last < CLEANUP_PAUSE_MS)) {
        return false;
    }
    atomic_store(&table->cleaned_ms, now);
    return true;
}

/* ---- both ---- */

static Status maintain(DeltaTable *table, DuckConn *conn, Error *err)
{
    DeltaSnapshot *snapshot = NULL;
    Status rc = OK;

    TRY(delta_table_snapshot(table, conn, &snapshot, err));
    if (!is_due(table, snapshot) || delta_protocol_check_write(snapshot->protocol, table->uri, NULL) != OK) {
        goto out;
    }
    TRY(write_checkpoint(table, conn, snapshot, err));
    if (may_clean(table, snapshot)) {
        TRY(clean_log(table, conn, snapshot, err));
    }
out:
    delta_snapshot_unref(snapshot);
    return rc;
}

void delta_table_maintain(DeltaTable *table, DuckConn *conn)
{
    Error failed = ERROR_NONE;

    if (atomic_exchange(&table->maintained, true)) {
        return;
    }
    if (maintain(table, conn, &failed) != OK) {
        log_warning("%s: the table is fine, but its care failed: %s", table->uri, failed.message);
    }
    atomic_store(&table->maintained, false);
}
