/* When versions were made: DESCRIBE HISTORY and the way from a moment to a version.
 *
 * A commit's time is its in-commit timestamp from the version on that turned them on; before, the time of its file,
 * made to grow by at least 1 ms from commit to commit. In-commit timestamps grow by themselves, so they are searched by
 * halving.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "delta/property_int.h"
#include "delta/table_int.h"

/* Commits that are in the log, with the times of their files made monotonic. */
typedef struct Times {
    int64_t *versions, *ms;
    size_t n;
    int64_t ict_from;     /* first version whose in-commit timestamp counts; INT64_MAX = none */
    int64_t ict_since_ms; /* and the moment; INT64_MIN where all of them count */
    Arena *arena;
} Times;

static void times_fini(Times *t)
{
    if (t->arena != NULL) {
        arena_free(t->arena);
    }
}

static Status times_init(DeltaTable *table, Times *t, Error *err)
{
    DeltaListing *listing = NULL;
    Status rc = OK;

    *t = (Times){.ict_from = INT64_MAX, .arena = arena_new()};
    TRY(delta_listing_read(table->store, 0, &listing, err));
    t->versions = arena_alloc(t->arena, (listing->n + 1) * sizeof(int64_t));
    t->ms = arena_alloc(t->arena, (listing->n + 1) * sizeof(int64_t));
    for (size_t i = 0; i < listing->n; i++) {
        const DeltaLogFile *file = &listing->files[i];
        if (file->name.kind == DELTA_LOG_COMMIT) {
            int64_t ms = file->mtime_ms;
            if (t->n > 0 && ms <= t->ms[t->n - 1]) {
                ms = t->ms[t->n - 1] + 1;
            }
            t->versions[t->n] = file->name.version;
            t->ms[t->n++] = ms;
        }
    }
    if (t->n == 0) {
        rc = error_set(err, E_DELTA_NOT_A_TABLE, "%s is not a Delta table: there is no commit in its %s", table->uri,
                       DELTA_LOG_DIR);
    }
out:
    delta_listing_free(listing);
    return rc;
}

static void times_set_ict(Times *t, const DeltaMetadata *metadata)
{
    const char *since = delta_property_text(metadata, "delta.inCommitTimestampEnablementTimestamp");

    if (delta_property_bool(metadata, "delta.enableInCommitTimestamps")) {
        t->ict_from = delta_property_i64(metadata, "delta.inCommitTimestampEnablementVersion");
        t->ict_since_ms = INT64_MIN;
        if (since != NULL && t->ict_from > 0) {
            str_parse_i64(since, &t->ict_since_ms);
        }
    }
}

/* First commit at or after a version. */
static size_t times_index(const Times *t, int64_t version)
{
    size_t i = 0;

    while (i < t->n && t->versions[i] < version) {
        i++;
    }
    return i;
}

static Status time_of(DeltaTable *table, const Times *t, size_t i, int64_t *ms, Error *err)
{
    DeltaCommitInfo info;
    bool found;
    Status rc = OK;

    *ms = t->ms[i];
    if (t->versions[i] < t->ict_from) {
        return OK;
    }
    Arena *arena = arena_new();
    TRY(delta_log_read_info(table->store, t->versions[i], arena, &info, &found, err));
    if (found && info.in_commit_timestamp >= 0) {
        *ms = info.in_commit_timestamp;
    }
out:
    arena_free(arena);
    return rc;
}

/* First index in [low, high) whose time is > ms (or >= ms with `or_equal`); high when there is none. */
static Status search(DeltaTable *table, const Times *t, size_t low, size_t high, int64_t ms, bool or_equal, size_t *out,
                     Error *err)
{
    Status rc = OK;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int64_t at;
        TRY(time_of(table, t, middle, &at, err));
        if (at > ms || (or_equal && at == ms)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *out = low;
out:
    return rc;
}

static Status times_open(DeltaTable *table, DuckConn *conn, Times *t, Error *err)
{
    DeltaSnapshot *snapshot = NULL;
    Status rc = OK;

    TRY(delta_table_snapshot(table, conn, &snapshot, err));
    TRY(times_init(table, t, err));
    times_set_ict(t, delta_snapshot_metadata(snapshot));
out:
    delta_snapshot_unref(snapshot);
    return rc;
}

/* The commits among which a moment is looked for. */
static void choose_range(const Times *t, int64_t ms, size_t *low, size_t *high)
{
    size_t ict = t->ict_from == INT64_MAX ? t->n : times_index(t, t->ict_from);
    bool in_ict = ict < t->n && (ict == 0 || ms >= t->ict_since_ms);

    *low = in_ict ? ict : 0;
    *high = in_ict ? t->n : ict;
}

static Status moment_error(const DeltaTable *table, const char *what, int64_t ms, int64_t bound_ms, int64_t version,
                           Error *err)
{
    char moment[40], bound[40];

    time_iso_ms(ms, moment);
    time_iso_ms(bound_ms, bound);
    return error_set(err, E_DELTA_TIMESTAMP, "table %s: %s lies %s version, %" PRId64 ", of %s", table->uri, moment,
                     what, version, bound);
}

static Status too_late(DeltaTable *table, const Times *t, int64_t ms, Error *err)
{
    int64_t newest;
    Status rc = time_of(table, t, t->n - 1, &newest, err);

    return rc != OK ? rc : moment_error(table, "after the newest", ms, newest, t->versions[t->n - 1], err);
}

Status delta_table_version_at(DeltaTable *table, DuckConn *conn, int64_t ms, int64_t *version, Error *err)
{
    Times t = {0};
    size_t low, high, i;
    int64_t bound;
    Status rc = OK;

    TRY(times_open(table, conn, &t, err));
    choose_range(&t, ms, &low, &high);
    TRY(search(table, &t, low, high, ms, false, &i, err));
    if (i == 0) {
        TRY(time_of(table, &t, 0, &bound, err));
        rc = moment_error(table, "before the first available", ms, bound, t.versions[0], err);
        goto out;
    }
    if (i == t.n) {
        TRY(time_of(table, &t, t.n - 1, &bound, err));
        if (bound < ms) {
            rc = too_late(table, &t, ms, err);
            goto out;
        }
    }
    *version = t.versions[i - 1];
out:
    times_fini(&t);
    return rc;
}

Status delta_table_version_from(DeltaTable *table, DuckConn *conn, int64_t ms, int64_t *version, Error *err)
{
    Times t = {0};
    size_t low, high, i;
    Status rc = OK;

    TRY(times_open(table, conn, &t, err));
    choose_range(&t, ms, &low, &high);
    TRY(search(table, &t, low, high, ms, true, &i, err));
    if (i == t.n) {
        rc = too_late(table, &t, ms, err);
        goto out;
    }
    *version = t.versions[i];
out:
    times_fini(&t);
    return rc;
}

/* Newest first. Only the line with the commitInfo of each commit is parsed. */
Status delta_table_history(DeltaTable *table, int64_t limit, DeltaHistoryCallback callback, void *context, Error *err)
{
    Times t = {0};
    int64_t left = limit < 0 ? INT64_MAX : limit;
    Status rc = OK;

    TRY(times_init(table, &t, err));
    for (size_t i = t.n; i-- > 0 && left > 0; left--) {
        Arena *arena = arena_new();
        DeltaCommitInfo info = {.json = "{}", .timestamp = -1, .in_commit_timestamp = -1, .is_blind_append = -1}, read;
        bool found;
        rc = delta_log_read_info(table->store, t.versions[i], arena, &read, &found, err);
        if (rc == OK) {
            info = found ? read : info;
            int64_t ms = info.in_commit_timestamp >= 0 ? info.in_commit_timestamp : t.ms[i];
            rc = callback(context, t.versions[i], ms, &info, err);
        }
        arena_free(arena);
        if (rc != OK) {
            goto out;
        }
    }
out:
    times_fini(&t);
    return rc;
}
