/* A Delta table as a stream: first what is there, then what is added, each row once, in the order of the log.
 *
 *   start (nothing logged yet) -> initial snapshot at V, in batches -> commit V + 1 -> V + 2 -> ...
 *                              \-> commit n of startingVersion or startingTimestamp
 *
 * What has to be known to read a logged range again is in the offsets, but for a start that depends on when it was
 * asked for ("latest", a moment): that one is written down once, in sources/<i>/start, as an offset. A batch that
 * begins without a start offset ends at the latest with the initial snapshot, so its version follows from the end: V,
 * or the version before (V + 1, -1).
 *
 * New commits are found by reading the next name; inotify on _delta_log says when. No listing is ever repeated.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/log.h"
#include "source/delta_int.h"

enum { WATCHED_POLL_MS = 30000, UNWATCHED_POLL_MS = 1000, START_BYTES_MAX = 65536 };

static const StreamSourceOps WATCHED_OPS, UNWATCHED_OPS;

/* ---- how the table is read ---- */

static void forget_schema(DeltaSource *source)
{
    delta_schema_unref(source->schema);
    for (size_t i = 0; i < source->n_partition_columns; i++) {
        mem_free(source->partition_columns[i]);
    }
    mem_free(source->partition_columns);
    mem_free(source->column_mapping);
    mem_free(source->id);
    delta_snapshot_unref(source->snapshot);
    delta_tracked_free(source->tracked);
    source->tracked = NULL;
    source->snapshot = NULL;
    source->schema = NULL;
    source->partition_columns = NULL;
    source->n_partition_columns = 0;
    source->column_mapping = NULL;
    source->id = NULL;
    source->known = false;
}

static void learn(DeltaSource *source, const DeltaMetadata *metadata, DeltaSchema *schema, int64_t version)
{
    const char *mapping = delta_pair_get(metadata->configuration, metadata->n_configuration,
                                         "delta.columnMapping.mode");

    forget_schema(source);
    source->id = mem_strdup(metadata->id);
    source->schema = delta_schema_ref(schema);
    source->n_partition_columns = metadata->n_partition_columns;
    source->partition_columns = mem_alloc((metadata->n_partition_columns + 1) * sizeof *source->partition_columns);
    for (size_t i = 0; i < metadata->n_partition_columns; i++) {
        source->partition_columns[i] = mem_strdup(metadata->partition_columns[i]);
    }
    source->column_mapping = mem_strdup(mapping ? mapping : "none");
    source->init_version = version;
    source->newest = source->init_version > source->newest ? source->init_version : source->newest;
    source->known = true;
    source->stale = false;
}

static void learn_schema(DeltaSource *source, DeltaSnapshot *snapshot)
{
    learn(source, delta_snapshot_metadata(snapshot), delta_snapshot_schema(snapshot), delta_snapshot_version(snapshot));
    source->snapshot = source->options.change_feed ? delta_snapshot_ref(snapshot) : NULL;
}

static Status refuse_empty(const DeltaSource *source, const DeltaSnapshot *snapshot, Error *err)
{
    if (delta_snapshot_schema(snapshot)->n_fields > 0) {
        return OK;
    }
    error_set(err, E_DELTA_SCHEMA, "%s has no columns yet, so it cannot be read as a stream",
              delta_table_uri(source->table));
    error_klass(err, "DELTA_SCHEMA_NOT_SET");
    error_hint(err, "give it columns first: INSERT into it WITH SCHEMA EVOLUTION, or ALTER TABLE ... ADD COLUMN");
    return error_status(err);
}

static Status learn_tracked(DeltaSource *source, DuckConn *conn, Error *err);

static Status delta_schema_now(StreamSource *base, DuckConn *conn, DeltaSchema **out, Error *err)
{
    DeltaSource *source = (DeltaSource *)base;
    DeltaSnapshot *snapshot = NULL;
    bool exists = source->known;
    Status rc = OK;

    if (!exists) {
        TRY(delta_table_exists(source->table, &exists, err));
    }
    if (!exists) {
        *out = NULL;
        goto out;
    }
    if (!source->known || source->stale) {
        TRY(delta_table_snapshot(source->table, conn, &snapshot, err));
        TRY(refuse_empty(source, snapshot, err));
        learn_schema(source, snapshot);
        if (source->tracking) {
            TRY(learn_tracked(source, conn, err));
        }
    }
    *out = delta_feed_columns(source);
out:
    if (rc != OK) {
        forget_schema(source);
    }
    delta_snapshot_unref(snapshot);
    return rc;
}

/* ---- where the stream begins ---- */

static bool starts_with_commits(const DeltaSource *source)
{
    return source->options.starting_version != DELTA_START_NONE || source->options.starting_timestamp;
}

static Status check_version(DeltaSource *source, int64_t version, Error *err)
{
    int64_t first = 0, last = 0;
    Status rc = OK;

    TRY(delta_table_commit_range(source->table, &first, &last, err));
    if (version < first || version > last) {
        rc = error_set(err, E_DELTA_VERSION,
                       "startingVersion %" PRId64 " of %s is not in its log, which has %" PRId64 " to %" PRId64,
                       version, delta_table_uri(source->table), first, last);
        error_hint(err, "choose a version from that range, or latest");
    }
out:
    return rc;
}

static Status resolve_start(DeltaSource *source, DuckConn *conn, DeltaOffset *out, Error *err)
{
    const DeltaSourceOptions *options = &source->options;
    DeltaSnapshot *snapshot = NULL;
    int64_t us = 0;
    Status rc = OK;

    *out = (DeltaOffset){.index = -1};
    if (options->starting_timestamp) {
        time_parse_us(options->starting_timestamp, &us);
        /* the first millisecond that is not before the moment */
        TRY(delta_table_version_from(source->table, conn, us / 1000 + (us % 1000 > 0), &out->version, err));
    } else if (options->starting_version == DELTA_START_LATEST) {
        TRY(delta_table_snapshot(source->table, conn, &snapshot, err));
        out->version = delta_snapshot_version(snapshot) + 1;
    } else {
        TRY(check_version(source, options->starting_version, err));
        out->version = options->starting_version;
    }
out:
    delta_snapshot_unref(snapshot);
    return rc;
}

static Status read_start(DeltaSource *source, const char *key, bool *found, DeltaOffset *out, Error *err)
{
    Text text = TEXT(START_BYTES_MAX);
    Error local = ERROR_NONE;
    Status rc = store_read(source->checkpoint, key, START_BYTES_MAX, &text, NULL, &local);

    *found = rc == OK;
    if (rc == ERR_NOT_FOUND) {
        rc = OK;
    } else if (rc != OK) {
        *err = local;
    } else if (!str_starts(text_str(&text), "v1\n")) {
        rc = error_set(err, E_STREAM_CHECKPOINT, "%s does not hold the start of a stream", key);
    } else {
        rc = delta_offset_parse(text_str(&text) + 3, source->id, out, err);
    }
    text_free(&text);
    return rc;
}

static Status write_start(DeltaSource *source, const char *key, const DeltaOffset *start, Error *err)
{
    Text text = TEXT(START_BYTES_MAX);
    char *offset = delta_offset_text(start, source->id);
    Status rc = OK;

    text_append(&text, "v1\n");
    text_append(&text, offset);
    TRY(failpoint(FP_SOURCE_START_BEFORE_PUT, err));
    TRY(store_put_if_absent(source->checkpoint, key, text.data, text.length, err));
    TRY(failpoint(FP_SOURCE_START_AFTER_PUT, err));
out:
    mem_free(offset);
    text_free(&text);
    return rc;
}

/* The first commit to read, by an option: decided once, the same for ever. */
static Status first_commit(DeltaSource *source, DuckConn *conn, DeltaOffset *out, Error *err)
{
    Text key = TEXT(4096);
    bool found = false;
    Status rc = OK;

    path_join(&key, source->private_dir, "start");
    TRY(read_start(source, text_str(&key), &found, out, err));
    if (!found) {
        TRY(resolve_start(source, conn, out, err));
        TRY(write_start(source, text_str(&key), out, err));
    }
out:
    text_free(&key);
    return rc;
}

/* Where a walk begins that has no start offset. `end` is the logged end, NULL when one is being chosen. */
static Status beginning(DeltaSource *source, DuckConn *conn, const DeltaOffset *end, DeltaOffset *out, Error *err)
{
    if (starts_with_commits(source)) {
        return first_commit(source, conn, out, err);
    }
    *out = (DeltaOffset){.version = source->init_version, .index = -1, .initial = true};
    if (end) {
        out->version = end->initial ? end->version : end->version - 1;
    }
    if (out->version < 0) {
        return error_set(err, E_SOURCE_OFFSET, "the first batch cannot end before the first version of %s",
                         delta_table_uri(source->table));
    }
    return OK;
}

static Status backwards(const DeltaSource *source, int64_t version, Error *err)
{
    error_set(err, E_STREAM_BACKWARDS,
              "%s ends at version %" PRId64 ", but version %" PRId64 " was read from it before",
              delta_table_uri(source->table), source->newest, version);
    error_hint(err, "the table was put back to an older state; start the flow anew with --full-refresh");
    return error_status(err);
}

/* The log begins at `first`, after what was to be read next. */
static Status begins_later(const DeltaSource *source, int64_t first, DeltaOffset *at, Error *err)
{
    if (source->options.fail_on_data_loss) {
        error_set(err, E_SOURCE_DATA_LOSS,
                  "version %" PRId64 " of %s is missing: it was not read yet, and the log begins at %" PRId64,
                  at->version, delta_table_uri(source->table), first);
        error_hint(err, "start anew with --full-refresh, or go on with what is there WITH (failOnDataLoss = false)");
        return error_status(err);
    }
    log_warning("flow=%s versions %" PRId64 " to %" PRId64 " of %s are gone and are left out", source->flow,
                at->version, first - 1, delta_table_uri(source->table));
    *at = (DeltaOffset){.version = first, .index = -1};
    return OK;
}

/* ---- the schema tracking log ---- */

static bool found_any(void *context, const StoreEntry *entry)
{
    (void)entry;
    *(bool *)context = true;
    return false;
}

/* The first entry of a stream that has not begun: how the table is read where it will begin. */
static Status begin_tracking(DeltaSource *source, DuckConn *conn, Error *err)
{
    DeltaOffset at = {.version = source->init_version};
    Status rc = OK;

    if (starts_with_commits(source)) {
        TRY(first_commit(source, conn, &at, err));
    }
    TRY(delta_tracking_begin(source, conn, at.version < source->init_version ? at.version : source->init_version, err));
out:
    return rc;
}

/* Reads the table as the log's newest entry says. A stream that has begun without the log is left as it is: only the
 * start of its next batch tells where the log has to begin (track_start). */
static Status learn_tracked(DeltaSource *source, DuckConn *conn, Error *err)
{
    DeltaTracked *tracked = NULL;
    bool begun = false;
    Status rc = OK;

    TRY(delta_tracking_load(source, &tracked, err));
    if (!tracked) {
        TRY(store_list(source->checkpoint, "offsets", NULL, found_any, &begun, err));
        if (begun) {
            goto out;
        }
        TRY(begin_tracking(source, conn, err));
        TRY(delta_tracking_load(source, &tracked, err));
    }
    learn(source, &tracked->metadata, tracked->schema, tracked->version);
    source->tracked = tracked;
    tracked = NULL;
    if (source->options.change_feed) {
        TRY(delta_table_snapshot_at(source->table, conn, source->init_version, &source->snapshot, err));
    }
out:
    delta_tracked_free(tracked);
    return rc;
}

/* With the start of the next batch known, the log begins, or takes in a barrier that was passed just before the process
 * died. *again: the flow has to be planned with what it says now. */
static Status track_start(DeltaSource *source, DuckConn *conn, const DeltaOffset *at, bool *again, Error *err)
{
    bool inside = at->initial || at->index >= 0 || at->index == DELTA_BARRIER_PASSED;
    int64_t version = inside || at->version == 0 ? at->version : at->version - 1;
    Status rc = OK;

    if (!source->tracking) {
        return OK;
    }
    if (!source->tracked) {
        TRY(delta_tracking_begin(source, conn, version, err));
        *again = true;
    } else if (at->index == DELTA_BARRIER_PASSED && source->tracked->version < version) {
        TRY(delta_tracking_follow(source, version, err));
        *again = true;
    } else if (version > source->tracked->version && !delta_tracking_fits(source, conn, version)) {
        TRY(delta_tracking_begin(source, conn, version, err)); /* it has run without the log for a while */
        *again = true;
    }
    source->stale = source->stale || *again;
out:
    return rc;
}

/* An offset of the checkpoint. */
static Status parse_offset(const DeltaSource *source, const char *text, DeltaOffset *out, Error *err)
{
    Status rc = OK;

    TRY(delta_offset_parse(text, source->id, out, err));
    if (delta_offset_is_barrier(out) && !source->tracking) {
        rc = error_set(err, E_SOURCE_OFFSET, "the stream from %s stands at a change of the schema, version %" PRId64,
                       delta_table_uri(source->table), out->version);
        error_hint(err, "go on WITH (schemaTrackingLocation = ...), the one it had");
    }
out:
    return rc;
}

/* At the first look after a start: is what the checkpoint wants to read next still there, with the same columns? */
static Status check_start(DeltaSource *source, DuckConn *conn, DeltaOffset *at, bool *again, Error *err)
{
    int64_t first = 0, last = 0;
    Status rc = OK;

    if (source->started) {
        return OK;
    }
    TRY(track_start(source, conn, at, again, err));
    if (*again) {
        goto out;
    }
    if (!at->initial) {
        TRY(delta_table_commit_range(source->table, &first, &last, err));
        source->newest = last > source->newest ? last : source->newest;
        if (at->version > source->newest + 1) {
            rc = backwards(source, at->version - 1, err);
            goto out;
        }
        if (at->version < first && at->version <= source->newest) {
            TRY(begins_later(source, first, at, err));
        }
    }
    TRY(delta_mapping_check_start(source, conn, at->version, err));
    source->started = true;
out:
    return rc;
}

/* ---- ranges ---- */

static void range_clear(DeltaRange *range)
{
    delta_changes_free(range->changes);
    arena_free(range->arena);
    mem_free(range->files);
    mem_free(range->start);
    mem_free(range->end);
    *range = (DeltaRange){0};
}

static void range_begin(DeltaRange *range, const char *start)
{
    range_clear(range);
    range->arena = arena_new();
    range->start = mem_strdup(start);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* The walk through snapshot and commits. A batch without start offset stops where the snapshot ends, see the head. */
static Status walk_on(DeltaWalk *walk, DuckConn *conn, bool has_start, Error *err)
{
    bool snapshot_only = walk->at.initial && !has_start && !walk->end;
    Status rc = OK;

    if (walk->at.initial) {
        TRY(delta_walk_initial(walk, conn, err));
        if (!walk->at.initial) {
            delta_initial_drop(walk->source);
        }
    }
    if (!walk->at.initial && !snapshot_only) {
        TRY(delta_walk_commits(walk, err));
    }
out:
    return rc;
}

static Status note_backlog(DeltaSource *source, DuckConn *conn, const DeltaWalk *walk, Error *err)
{
    if (walk->at.initial) {
        return delta_initial_rest(source, conn, walk->at.index, &source->backlog, err);
    }
    source->backlog = walk->full ? (StreamBacklog){-1, -1} : (StreamBacklog){0, 0};
    return OK;
}

static Status delta_latest(StreamSource *base, DuckConn *conn, const char *start, bool unlimited, char **end,
                           bool *schema_changed, Error *err)
{
    DeltaSource *source = (DeltaSource *)base;
    DeltaWalk walk = {.source = source,
                      .range = &source->range,
                      .files_left = unlimited ? INT64_MAX : source->options.files_max,
                      .bytes_left = unlimited ? INT64_MAX : source->options.bytes_max};
    DeltaOffset begun;
    bool again = false;
    Status rc = OK;

    range_begin(&source->range, start);
    TRY(delta_feed_begin(source, conn, err));
    if (start) {
        TRY(parse_offset(source, start, &walk.at, err));
    } else {
        TRY(beginning(source, conn, NULL, &walk.at, err));
        TRY(delta_feed_check_start(source, conn, &walk.at, err));
    }
    TRY(check_start(source, conn, &walk.at, &again, err));
    if (again) {
        *end = NULL;
        *schema_changed = true;
        goto out;
    }
    begun = walk.at;
    TRY(walk_on(&walk, conn, start != NULL, err));
    TRY(note_backlog(source, conn, &walk, err));
    if (delta_offset_compare(&begun, &walk.at) != 0) {
        source->range.end = delta_offset_text(&walk.at, source->id);
        *end = mem_strdup(source->range.end);
    } else {
        *end = NULL;
        *schema_changed = walk.schema_changed;
        source->stale = walk.schema_changed;
    }
out:
    if (rc != OK) {
        range_clear(&source->range);
    }
    return rc;
}

/* Walks a logged range again, after a restart. */
static Status walk_again(DeltaSource *source, DuckConn *conn, const char *start, const char *end, Error *err)
{
    DeltaWalk walk = {.source = source, .range = &source->range};
    DeltaOffset last;
    bool again = false;
    Status rc = OK;

    range_begin(&source->range, start);
    TRY(delta_feed_begin(source, conn, err));
    TRY(parse_offset(source, end, &last, err));
    walk.end = &last;
    if (start) {
        TRY(parse_offset(source, start, &walk.at, err));
    } else {
        TRY(beginning(source, conn, &last, &walk.at, err));
    }
    if (delta_offset_compare(&walk.at, &last) > 0) {
        rc = error_set(err, E_SOURCE_OFFSET, "the logged batch of %s ends at %s, before its start",
                       delta_table_uri(source->table), end);
        goto out;
    }
    TRY(check_start(source, conn, &walk.at, &again, err));
    if (again) {
        source->learnt = true;
        rc = delta_tracking_stop(source, walk.at.version, err);
        goto out;
    }
    TRY(walk_on(&walk, conn, start != NULL, err));
    source->range.end = mem_strdup(end);
out:
    if (rc != OK) {
        range_clear(&source->range);
    }
    return rc;
}

/* ---- the relation ---- */

typedef struct DeltaBatch {
    Duck *duck;
    Arena *arena; /* what the scan's files point into */
    DeltaScan *scan;
    DeltaChanges *changes; /* readChangeFeed: instead of the scan */
    const char *sql;       /* of either */
    DuckCounter counter;   /* where statistics do not tell the rows */
    uint64_t slot;
    bool counting;
} DeltaBatch;

static void batch_release(void *owner)
{
    DeltaBatch *batch = owner;

    if (batch->counting) {
        duck_counter_drop(batch->duck, batch->slot);
    }
    delta_scan_free(batch->scan);
    delta_changes_free(batch->changes);
    arena_free(batch->arena);
    mem_free(batch);
}

static int64_t batch_rows(void *owner)
{
    return ((DeltaBatch *)owner)->counter.passed;
}

static char *relation_sql(const DeltaBatch *batch)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    if (batch->counting) {
        text_printf(&sql, "SELECT * FROM (%s) WHERE freshet_count(%" PRIu64 ", true)", batch->sql, batch->slot);
    } else {
        text_append(&sql, batch->sql);
    }
    return text_take(&sql);
}

static Status delta_relation(StreamSource *base, DuckConn *conn, const char *start, const char *end,
                             StreamRelation *out, Error *err)
{
    DeltaSource *source = (DeltaSource *)base;
    DeltaScanSource how = {.table = source->table,
                           .schema = source->schema,
                           .partition_columns = (const char *const *)source->partition_columns,
                           .n_partition_columns = source->n_partition_columns,
                           .column_mapping = source->column_mapping};
    DeltaBatch *batch = mem_alloc(sizeof *batch);
    DeltaRange *range = &source->range;
    Status rc = OK;

    batch->duck = source->duck;
    if (!range->end || !same_text(range->start, start) || !same_text(range->end, end)) {
        TRY(walk_again(source, conn, start, end, err));
    }
    TRY(delta_walk_exclude(source, conn, err));
    if (range->changes) {
        TRY(delta_changes_finish(range->changes, &batch->sql, err));
        batch->changes = range->changes;
        range->changes = NULL;
    } else {
        TRY(delta_scan_list(&how, conn, range->files, range->n, &batch->scan, err));
        batch->sql = delta_scan_sql(batch->scan);
    }
    batch->arena = range->arena;
    range->arena = NULL;
    batch->counting = range->rows < 0;
    if (batch->counting) {
        batch->slot = duck_counter_register(source->duck, &batch->counter);
    }
    *out = (StreamRelation){.sql = relation_sql(batch),
                            .files = (int64_t)range->n,
                            .bytes = range->bytes,
                            .rows = range->rows,
                            .rows_read = batch->counting ? batch_rows : NULL,
                            .owner = batch,
                            .release = batch_release};
    batch = NULL;
    range_clear(range);
out:
    if (batch) {
        batch_release(batch);
    }
    return rc;
}

/* ---- the rest of the source ---- */

/* The log is the table's, not ours. But a barrier that is in the target is what ends a stream (delta_tracking.c). */
static Status delta_commit(StreamSource *base, const char *end, Error *err)
{
    DeltaSource *source = (DeltaSource *)base;
    DeltaOffset offset;
    Status rc = OK;

    if (!source->tracked) {
        return OK;
    }
    TRY(parse_offset(source, end, &offset, err));
    if (delta_offset_is_barrier(&offset) && source->tracked->version < offset.version) {
        TRY(delta_tracking_follow(source, offset.version, err));
        source->stale = true;
        rc = delta_tracking_stop(source, offset.version, err);
    }
out:
    return rc;
}

static bool delta_learnt(StreamSource *base)
{
    DeltaSource *source = (DeltaSource *)base;
    bool learnt = source->learnt;

    source->learnt = false;
    return learnt;
}

static Status delta_freeze(StreamSource *base, DuckConn *conn, const char *start, Error *err)
{
    DeltaSource *source = (DeltaSource *)base;
    DeltaSnapshot *snapshot = NULL;
    Status rc = OK;
    (void)start;

    TRY(delta_table_snapshot(source->table, conn, &snapshot, err));
    source->bound = delta_snapshot_version(snapshot);
out:
    delta_snapshot_unref(snapshot);
    return rc;
}

/* Begins to watch the log's folder once it is there; until then, and where it cannot be watched, the flow polls. */
static int delta_wake_fd(StreamSource *base)
{
    DeltaSource *source = (DeltaSource *)base;
    Text path = TEXT(8192);

    if (source->watch_fd < 0) {
        source->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    }
    if (source->watch_fd >= 0 && source->watch < 0 &&
        store_local_path(delta_table_store(source->table), "_delta_log", &path, NULL) == OK) {
        source->watch = inotify_add_watch(source->watch_fd, text_str(&path), IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
        if (source->watch < 0 && errno != ENOENT) {
            log_debug("flow=%s %s cannot be watched: %s; looking every second", source->flow, text_str(&path),
                      strerror(errno));
        }
    }
    text_free(&path);
    source->base.ops = source->watch >= 0 ? &WATCHED_OPS : &UNWATCHED_OPS;
    return source->watch >= 0 ? source->watch_fd : -1;
}

static void delta_wake_clear(StreamSource *base)
{
    DeltaSource *source = (DeltaSource *)base;
    _Alignas(struct inotify_event) char events[4096];

    while (source->watch_fd >= 0) {
        ssize_t n = read(source->watch_fd, events, sizeof events);
        if (n <= 0) {
            return;
        }
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *event = (const struct inotify_event *)(events + at);
            if (event->mask & IN_IGNORED) {
                source->watch = -1; /* the folder is gone; another may take its place */
            }
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
}

static void delta_backlog(StreamSource *base, StreamBacklog *out)
{
    *out = ((DeltaSource *)base)->backlog;
}

static void delta_describe(StreamSource *base, Text *out)
{
    DeltaSource *source = (DeltaSource *)base;

    text_printf(out, "DeltaSource[%s%s]", *delta_table_uri(source->table) == '/' ? "file:" : "",
                delta_table_uri(source->table));
}

static void delta_identity(StreamSource *base, Text *out)
{
    text_printf(out, "delta:%s", delta_table_uri(((DeltaSource *)base)->table));
}

static void delta_close(StreamSource *base)
{
    DeltaSource *source = (DeltaSource *)base;

    delta_initial_drop(source);
    range_clear(&source->range);
    forget_schema(source);
    delta_source_options_clear(&source->options);
    if (source->watch_fd >= 0) {
        close(source->watch_fd);
    }
    delta_table_close(source->table);
    store_unref(source->checkpoint);
    mem_free(source->flow);
    mem_free(source->private_dir);
    mem_free(source->tracking);
    mem_free(source);
}

#define DELTA_OPS(milliseconds)         \
    {                                   \
        .kind = "delta",                \
        .schema = delta_schema_now,     \
        .latest = delta_latest,         \
        .relation = delta_relation,     \
        .learnt = delta_learnt,         \
        .commit = delta_commit,         \
        .freeze = delta_freeze,         \
        .wake_fd = delta_wake_fd,       \
        .wake_clear = delta_wake_clear, \
        .poll_ms = (milliseconds),      \
        .backlog = delta_backlog,       \
        .describe = delta_describe,     \
        .identity = delta_identity,     \
        .close = delta_close,           \
    }
static const StreamSourceOps WATCHED_OPS = DELTA_OPS(WATCHED_POLL_MS);
static const StreamSourceOps UNWATCHED_OPS = DELTA_OPS(UNWATCHED_POLL_MS);

Status source_delta_open(const StreamSourceContext *context, DeltaTable *table, const StreamOption *options, size_t n,
                         bool written_by_pipeline, StreamSource **out, Error *err)
{
    static atomic_uint serial;
    DeltaSourceOptions read = {0};
    Text what = TEXT(8192);
    Status rc = OK;

    text_printf(&what, "STREAM %s", delta_table_uri(table));
    TRY(delta_source_options(options, n, text_str(&what), &read, err));
    DeltaSource *source = mem_alloc(sizeof *source);
    source->base.ops = &UNWATCHED_OPS;
    source->duck = context->duck;
    source->table = delta_table_ref(table);
    source->checkpoint = store_ref(context->checkpoint);
    source->flow = mem_strdup(context->flow);
    source->private_dir = mem_strdup(context->private_dir);
    source->options = read;
    source->written_by_pipeline = written_by_pipeline;
    source->serial = atomic_fetch_add(&serial, 1);
    source->newest = -1;
    source->bound = INT64_MAX;
    source->initial_version = -1;
    source->watch_fd = -1;
    source->watch = -1;
    rc = delta_tracking_place(source, err);
    if (rc != OK) {
        delta_close(&source->base);
        goto out;
    }
    *out = &source->base;
out:
    text_free(&what);
    return rc;
}
