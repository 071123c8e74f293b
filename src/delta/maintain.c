/* What a table needs after commits: the checksum of the version, a checkpoint when one is due, and the end of the log
 * cut off when it is too old.
 *
 * Nothing here may fail or delay the writer that calls it, so problems are logged. One thread at a time works on a
 * table.
 */
#include "base/clock.h"
#include "base/log.h"
#include "delta/maintain_int.h"
#include "delta/property_int.h"
#include "delta/transaction.h"

enum { LONG_CHECKPOINT_MS = 500, SPREAD_INTERVALS = 10 };
static const int64_t CLEANUP_PAUSE_MS = INT64_C(10) * 60 * 1000; /* between two looks at the old end of a log */

/* ---- checkpoints ---- */

/* Due when a multiple of the interval lies between the newest checkpoint and the newest version. A checkpoint of a very
 * big table takes seconds; those are spread out, so that they take at most a fifth of the time, but never further than
 * ten intervals. */
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

static bool may_clean(DeltaTable *table, const DeltaSnapshot *s)
{
    int64_t now = clock_mono_us() / 1000, last = atomic_load(&table->cleaned_ms);

    if (!delta_property_bool(s->metadata, "delta.enableExpiredLogCleanup") ||
        (last != 0 && now - last < CLEANUP_PAUSE_MS)) {
        return false;
    }
    atomic_store(&table->cleaned_ms, now);
    return true;
}

/* ---- all of it ---- */

/* Problems of one part do not keep the others from their work. */
static void told(const DeltaTable *table, const char *what, Status rc, const Error *err)
{
    if (rc != OK) {
        log_warning("%s: the table is fine, but %s failed: %s", table->uri, what, err->message);
    }
}

static Status maintain(DeltaTable *table, DuckConn *conn, Error *err)
{
    DeltaSnapshot *snapshot = NULL;
    Error failed = ERROR_NONE;
    Status rc = OK;

    TRY(delta_table_snapshot(table, conn, &snapshot, err));
    if (delta_protocol_check_write(snapshot->protocol, table->uri, NULL) != OK) {
        goto out;
    }
    told(table, "its checksum", delta_checksum_keep(table, conn, snapshot, &failed), &failed);
    if (!is_due(table, snapshot)) {
        TRY(delta_log_compact(table, snapshot, err));
        goto out;
    }
    TRY(write_checkpoint(table, conn, snapshot, err));
    TRY(delta_checksum_renew(table, conn, snapshot, err));
    if (may_clean(table, snapshot)) {
        TRY(delta_log_clean(table, conn, snapshot, err));
    }
out:
    delta_snapshot_unref(snapshot);
    return rc;
}

void delta_table_maintain(DeltaTable *table, DuckConn *conn)
{
    Error failed = ERROR_NONE;

    if (!atomic_exchange(&table->maintained, true)) {
        told(table, "its care", maintain(table, conn, &failed), &failed);
        atomic_store(&table->maintained, false);
    }
}
