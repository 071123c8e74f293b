/* The commits of a table as numbered files.
 *
 * Every commit is read by its own name, one after the other, so a range that was walked is contiguous by construction;
 * a commit that is missing before the end that was promised is data loss and never an end. A commit counts with the
 * adds that change data, in the order of the log; a walk that passed all of version v stands at (v + 1, -1).
 *
 * A commit the stream cannot take (rows deleted or changed, another schema) ends the walk just before it; only a walk
 * that begins there reports it. So everything before is delivered first, and where the error comes does not depend on
 * the rate limits. With a schema tracking log another schema is a barrier (delta_tracking.c).
 */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "source/delta_int.h"

/* What one commit means for the stream. */
typedef struct Verdict {
    bool skip;           /* it gives no files */
    bool schema_changed; /* the flow has to be planned anew first */
    bool barrier;        /* the batch ends before it, and the stream: it is read otherwise from here on */
} Verdict;

/* Rows of a file by its statistics, less those its deletion vector hides; -1 when it does not say. */
static int64_t file_rows(const DeltaFile *file)
{
    static const char KEY[] = "\"numRecords\":";
    const char *at = file->stats ? strstr(file->stats, KEY) : NULL;
    int64_t rows = 0;

    if (!at) {
        return -1;
    }
    for (at += sizeof KEY - 1; *at == ' '; at++) {
    }
    if (*at < '0' || *at > '9') {
        return -1;
    }
    for (; *at >= '0' && *at <= '9' && rows < INT64_MAX / 16; at++) {
        rows = rows * 10 + (*at - '0');
    }
    return rows - (file->deletion_vector ? file->deletion_vector->cardinality : 0);
}

bool delta_walk_admit(DeltaWalk *walk, int64_t size)
{
    if (walk->files_left <= 0 || walk->bytes_left <= 0) {
        walk->full = true;
        return false;
    }
    walk->files_left--;
    walk->bytes_left -= size;
    return true;
}

/* ---- keeping a file ---- */

static const DeltaDeletionVector *copy_vector(Arena *arena, const DeltaDeletionVector *from)
{
    if (!from) {
        return NULL;
    }
    DeltaDeletionVector *to = arena_alloc(arena, sizeof *to);
    *to = *from;
    to->path_or_inline = arena_strdup(arena, from->path_or_inline);
    return to;
}

void delta_walk_add(DeltaWalk *walk, const DeltaFile *file, int64_t rows)
{
    DeltaRange *range = walk->range;

    if (range->changes) { /* the initial snapshot of a change feed */
        delta_changes_add_file(range->changes, file, walk->at.version, walk->source->initial_time, NULL);
        range->n++;
        range->bytes += file->size;
        range->rows = rows < 0 || range->rows < 0 ? -1 : range->rows + rows;
        return;
    }
    DeltaPair *values = arena_alloc(range->arena, (file->n_partition_values + 1) * sizeof *values);

    for (size_t i = 0; i < file->n_partition_values; i++) {
        values[i].key = arena_strdup(range->arena, file->partition_values[i].key);
        values[i].value = file->partition_values[i].value ? arena_strdup(range->arena, file->partition_values[i].value)
                                                          : NULL;
    }
    range->files = mem_grow(range->files, range->n, &range->capacity, sizeof *range->files);
    range->files[range->n++] = (DeltaFile){.path = arena_strdup(range->arena, file->path),
                                           .partition_values = values,
                                           .n_partition_values = file->n_partition_values,
                                           .size = file->size,
                                           .modification_time = file->modification_time,
                                           .data_change = true,
                                           .deletion_vector = copy_vector(range->arena, file->deletion_vector),
                                           .base_row_id = file->base_row_id,
                                           .default_row_commit_version = file->default_row_commit_version};
    range->bytes += file->size;
    range->rows = rows < 0 || range->rows < 0 ? -1 : range->rows + rows;
}

/* ---- rows deleted or changed ---- */

static Status judge_data(const DeltaSource *source, const DeltaCommit *commit, Verdict *verdict, Error *err)
{
    const DeltaSourceOptions *options = &source->options;
    bool adds = false, removes = false;

    for (size_t i = 0; i < commit->n_actions; i++) {
        const DeltaAction *action = &commit->actions[i];
        adds |= action->kind == DELTA_ACTION_ADD && action->file.data_change;
        removes |= action->kind == DELTA_ACTION_REMOVE && action->file.data_change;
    }
    if (!removes) {
        return OK;
    }
    verdict->skip = options->skip_changes || !adds;
    if (options->skip_changes || options->ignore_changes || (!adds && options->ignore_deletes)) {
        return OK;
    }
    if (adds) {
        error_set(err, E_SOURCE_CHANGE,
                  "version %" PRId64 " of %s changes rows, which a stream of new rows cannot follow", commit->version,
                  delta_table_uri(source->table));
    } else {
        error_set(err, E_SOURCE_DELETE,
                  "version %" PRId64 " of %s deletes rows, which a stream of new rows cannot follow", commit->version,
                  delta_table_uri(source->table));
    }
    error_hint(
        err, "go on without such commits WITH (skipChangeCommits = true)%s, or start the flow anew with --full-refresh",
        adds ? ", take rewritten files whole WITH (ignoreChanges = true)" : ", or WITH (ignoreDeletes = true)");
    return error_status(err);
}

/* ---- another schema ---- */

static bool same_partitioning(const DeltaSource *source, const DeltaMetadata *metadata)
{
    bool same = source->n_partition_columns == metadata->n_partition_columns;

    for (size_t i = 0; same && i < source->n_partition_columns; i++) {
        same = strcmp(source->partition_columns[i], metadata->partition_columns[i]) == 0;
    }
    return same;
}

static Status schema_error(const DeltaSource *source, int64_t version, bool restart_helps, const char *difference,
                           Error *err)
{
    bool started_by_option = source->options.starting_version != DELTA_START_NONE || source->options.starting_timestamp;

    error_set(err, E_SOURCE_SCHEMA_CHANGED, "the schema of %s changed in version %" PRId64 ": %s",
              delta_table_uri(source->table), version, difference);
    if (started_by_option) {
        error_klass(err, "DELTA_SCHEMA_CHANGED_WITH_STARTING_OPTIONS");
    }
    if (restart_helps) {
        error_hint(err, "nothing is lost: start again, and the stream goes on with the new schema");
    } else {
        error_hint(err, "the flow cannot go on over this change; start it anew with --full-refresh");
    }
    return error_status(err);
}

/* Are wider types all that a reader of the new schema would find changed? */
static bool is_widened(const DeltaSource *source, const DeltaMetadata *metadata, const DeltaSchema *schema)
{
    const char *value = delta_pair_get(metadata->configuration, metadata->n_configuration, "delta.enableTypeWidening");
    bool on = false;

    return value && str_parse_bool(value, &on) && on && delta_tracking_keeps_columns(source->schema, schema);
}

static Status check_table(const DeltaSource *source, int64_t version, const DeltaMetadata *metadata, Error *err)
{
    if (strcmp(metadata->id, source->id) != 0) {
        error_set(err, E_SOURCE_OTHER_TABLE, "version %" PRId64 " of %s makes it another table: id %s, was %s", version,
                  delta_table_uri(source->table), metadata->id, source->id);
        error_hint(err, "the table was replaced; start the flow anew with --full-refresh");
        return error_status(err);
    }
    return OK;
}

static Status judge_metadata(const DeltaSource *source, int64_t version, const DeltaMetadata *metadata,
                             Verdict *verdict, Error *err)
{
    DeltaSchema *schema = NULL;
    Error difference = ERROR_NONE;
    Status rc = OK;

    TRY(delta_schema_parse(metadata->schema_string, &schema, err));
    TRY(delta_mapping_check(source, schema, version, err));
    if (!same_partitioning(source, metadata)) {
        rc = schema_error(source, version, false, "its partition columns are others", err);
        goto out;
    }
    if (delta_schema_check_read(source->schema, schema, &difference) == OK) {
        goto out;
    }
    bool newer = version > source->init_version, additive = newer && delta_schema_is_additive(source->schema, schema);
    if (additive && source->written_by_pipeline) {
        verdict->schema_changed = true;
        goto out;
    }
    rc = schema_error(source, version, additive || (newer && is_widened(source, metadata, schema)), difference.message,
                      err);
out:
    delta_schema_unref(schema);
    return rc;
}

static Status judge(const DeltaSource *source, const DeltaCommit *commit, Verdict *verdict, Error *err)
{
    char where[64];
    Status rc = OK;

    snprintf(where, sizeof where, "version %" PRId64, commit->version);
    verdict->barrier = source->tracking && commit->version > source->init_version &&
                       delta_tracking_differs(source->tracked, commit);
    for (size_t i = 0; i < commit->n_actions; i++) {
        const DeltaAction *action = &commit->actions[i];
        if (action->kind == DELTA_ACTION_PROTOCOL) {
            TRY(delta_protocol_check_read(&action->protocol, where, err));
        } else if (action->kind == DELTA_ACTION_METADATA) {
            if (source->options.change_feed) {
                TRY(delta_changes_check(&action->metadata, commit->version, delta_table_uri(source->table), err));
            }
            TRY(check_table(source, commit->version, &action->metadata, err));
            if (!source->tracking) {
                TRY(judge_metadata(source, commit->version, &action->metadata, verdict, err));
            }
        }
    }
    if (!verdict->schema_changed && !verdict->barrier && !source->options.change_feed) {
        TRY(judge_data(source, commit, verdict, err));
    }
out:
    return rc;
}

/* ---- the walk ---- */

/* The last index of a version that the walk may pass. */
int64_t delta_walk_last_index(const DeltaWalk *walk, int64_t version)
{
    return walk->end && walk->end->version == version ? walk->end->index : INT64_MAX;
}

/* The end of a commit: the next version, or the logged end inside it. */
Status delta_walk_end_commit(DeltaWalk *walk, const DeltaCommit *commit, bool *done, Error *err)
{
    int64_t last = delta_walk_last_index(walk, commit->version);

    if (last == INT64_MAX) {
        walk->at = (DeltaOffset){.version = commit->version + 1, .index = -1};
    } else if (walk->at.index == last) {
        *done = true;
    } else {
        return error_set(err, E_SOURCE_DATA_LOSS,
                         "version %" PRId64 " of %s holds fewer files than the checkpoint says were read",
                         commit->version, delta_table_uri(walk->source->table));
    }
    return OK;
}

/* Takes the files of a commit after walk->at.index. *done: nothing further may be read. */
static Status take_files(DeltaWalk *walk, const DeltaCommit *commit, bool *done, Error *err)
{
    int64_t index = 0, last = delta_walk_last_index(walk, commit->version);

    for (size_t i = 0; i < commit->n_actions && index <= last; i++) {
        const DeltaAction *action = &commit->actions[i];
        if (action->kind != DELTA_ACTION_ADD || !action->file.data_change) {
            continue;
        }
        if (index > walk->at.index) {
            if (!walk->end && !delta_walk_admit(walk, action->file.size)) {
                *done = true;
                return OK;
            }
            delta_walk_add(walk, &action->file, file_rows(&action->file));
            walk->at.index = index;
        }
        index++;
    }
    return delta_walk_end_commit(walk, commit, done, err);
}

static Status missing(const DeltaWalk *walk, int64_t version, Error *err)
{
    error_set(err, E_SOURCE_DATA_LOSS, "version %" PRId64 " of %s is missing in its log", version,
              delta_table_uri(walk->source->table));
    if (walk->end && version >= walk->end->version - 1) {
        error_klass(err, "DELTA_STREAMING_TRAILING_COMMIT_MISSING");
    }
    error_hint(
        err,
        "commits were removed before the stream had read them; start anew with --full-refresh, or go on with what is "
        "there WITH (failOnDataLoss = false)");
    return error_status(err);
}

/* Reads the next commit; NULL at the end of the log. */
static Status next_commit(DeltaWalk *walk, DeltaCommit **out, Error *err)
{
    DeltaSource *source = walk->source;
    int64_t version = walk->at.version;
    Error local = ERROR_NONE;
    Status rc = delta_commit_read(source->table, version, out, &local);

    if (rc == OK) {
        source->newest = version > source->newest ? version : source->newest;
        return OK;
    }
    if (rc != ERR_NOT_FOUND) {
        *err = local;
        return rc;
    }
    *out = NULL;
    return walk->end || version <= source->newest ? missing(walk, version, err) : OK;
}

/* Is there anything left before the end? (v, -1) does not need commit v. */
static bool wants_more(const DeltaWalk *walk)
{
    if (walk->end) {
        return delta_offset_compare(&walk->at, walk->end) < 0;
    }
    return !walk->full && walk->at.version <= walk->source->bound;
}

/* At a barrier, or where the logged end is one, there is nothing to read: it is passed by a batch of its own. */
static bool pass_barrier(DeltaWalk *walk)
{
    const DeltaOffset *end = walk->end;

    if (walk->at.index == DELTA_BARRIER && (!end || delta_offset_compare(&walk->at, end) < 0)) {
        walk->at.index = DELTA_BARRIER_PASSED;
        return true;
    }
    if (end && end->version == walk->at.version && walk->at.index == -1 && delta_offset_is_barrier(end)) {
        walk->at = *end;
        return true;
    }
    return false;
}

/* A batch that was logged by a reader without the log goes on over the change, and cannot be cut any more. */
static Status barrier_inside(const DeltaWalk *walk, int64_t version, Error *err)
{
    error_set(err, E_SOURCE_SCHEMA_CHANGED,
              "the batch at hand of %s was begun without a schema tracking log, and version %" PRId64
              " inside it changes how the table is read",
              delta_table_uri(walk->source->table), version);
    error_klass(err, "DELTA_STREAMING_SCHEMA_LOG_INIT_FAILED_INCOMPATIBLE_METADATA");
    error_hint(err, "leave schemaTrackingLocation out until the batch is done");
    return error_status(err);
}

Status delta_walk_commits(DeltaWalk *walk, Error *err)
{
    const DeltaOffset begun = walk->at;
    DeltaCommit *commit = NULL;
    bool done = false;
    Status rc = OK;

    while (!done && wants_more(walk) && !pass_barrier(walk)) {
        Verdict verdict = {0};
        Error local = ERROR_NONE;
        bool moved = walk->range->n > 0 || delta_offset_compare(&walk->at, &begun) != 0;
        TRY(next_commit(walk, &commit, err));
        if (!commit) {
            break;
        }
        rc = judge(walk->source, commit, &verdict, &local);
        if ((rc != OK || verdict.schema_changed) && moved && !walk->end) {
            rc = OK; /* everything before it first */
            break;
        }
        if (rc != OK) {
            *err = local;
            goto out;
        }
        if (verdict.schema_changed && walk->end) { /* the batch was logged by a reader that knew the schema */
            rc = schema_error(walk->source, commit->version, true,
                              "the batch at hand has columns this reader was not planned for", err);
            goto out;
        }
        if (verdict.barrier && walk->end) {
            rc = barrier_inside(walk, commit->version, err);
            goto out;
        }
        if (verdict.schema_changed) {
            walk->schema_changed = true;
            done = true;
        } else if (verdict.barrier) {
            walk->at = (DeltaOffset){.version = commit->version, .index = DELTA_BARRIER};
            done = true;
        } else if (verdict.skip && delta_walk_last_index(walk, commit->version) == INT64_MAX) {
            walk->at = (DeltaOffset){.version = commit->version + 1, .index = -1};
        } else {
            TRY(walk->range->changes ? delta_feed_take(walk, commit, &done, err)
                                     : take_files(walk, commit, &done, err));
        }
        delta_commit_free(commit);
        commit = NULL;
    }
out:
    delta_commit_free(commit);
    return rc;
}

/* ---- excludeRegex ---- */

Status delta_walk_exclude(DeltaSource *source, DuckConn *conn, Error *err)
{
    DeltaRange *range = &source->range;
    Text sql = TEXT(TEXT_SQL_MAX);
    DuckResult *result = NULL;
    size_t kept = 0;
    bool more = false;
    Status rc = OK;

    if (!source->options.exclude || range->n == 0) {
        return OK;
    }
    text_append(&sql, "SELECT i FROM (VALUES ");
    for (size_t i = 0; i < range->n; i++) {
        text_printf(&sql, "%s(%zu, ", i ? "," : "", i);
        text_append_sql_string(&sql, range->files[i].path);
        text_append(&sql, ")");
    }
    text_append(&sql, ") AS f(i, path) WHERE NOT regexp_matches(path, ");
    text_append_sql_string(&sql, source->options.exclude);
    text_append(&sql, ") ORDER BY i");
    TRY(duck_query(conn, text_str(&sql), &result, err));
    range->rows = 0;
    range->bytes = 0;
    TRY(duck_result_next(result, &more, err));
    while (more) {
        range->files[kept] = range->files[duck_result_i64(result, 0)];
        range->bytes += range->files[kept++].size;
        TRY(duck_result_next(result, &more, err));
    }
    range->n = kept;
    range->rows = kept > 0 ? -1 : 0;
out:
    if (rc != OK) {
        error_klass(err, "DELTA_REGEX_OPT_SYNTAX_ERROR");
        rc = error_context(err, "option excludeRegex");
    }
    duck_result_free(result);
    text_free(&sql);
    return rc;
}
