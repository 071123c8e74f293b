/* The snapshot a stream begins with: all live files, numbered from 0 by (modificationTime, path as the log has it, byte
 * order).
 *
 * The numbering must come out the same after a restart, and a million files must not be held in memory: they are kept,
 * numbered, in a temporary table of the flow's connection, from which each batch takes its few. It is made from the
 * snapshot when the first batch asks, and again after a restart that falls into the snapshot.
 */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "base/json.h"
#include "source/delta_int.h"

static void table_name(const DeltaSource *source, Text *out)
{
    text_printf(out, "freshet_initial_%u", source->serial);
}

void delta_initial_drop(DeltaSource *source)
{
    Text sql = TEXT(256);

    if (source->initial_version >= 0) {
        text_append(&sql, "DROP TABLE IF EXISTS temp.");
        table_name(source, &sql);
        duck_exec(source->initial_conn, text_str(&sql), NULL);
        source->initial_version = -1;
        source->initial_conn = NULL;
    }
    text_free(&sql);
}

/* Numbers the files of the snapshot at `version`. */
static Status make_table(DeltaSource *source, DuckConn *conn, int64_t version, Error *err)
{
    DeltaSnapshot *snapshot = NULL;
    Text sql = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    if (source->initial_version == version && source->initial_conn == conn) {
        return OK;
    }
    delta_initial_drop(source);
    TRY(delta_table_snapshot_at(source->table, conn, version, &snapshot, err));
    text_append(&sql, "CREATE OR REPLACE TEMP TABLE ");
    table_name(source, &sql);
    text_append(
        &sql,
        " AS SELECT row_number() OVER (ORDER BY modification_time, path) - 1 AS n, path, size, modification_time, "
        "CAST(to_json(map_keys(partition_values)) AS VARCHAR) AS keys, "
        "CAST(to_json(map_values(partition_values)) AS VARCHAR) AS vals, "
        "TRY_CAST(TRY(json_extract_string(stats, '$.numRecords')) AS BIGINT) AS records, dv FROM (");
    TRY(delta_snapshot_files_sql(snapshot, &sql, err));
    text_append(&sql, ")");
    TRY(duck_exec(conn, text_str(&sql), err));
    source->initial_version = version;
    source->initial_time = delta_snapshot_timestamp(snapshot);
    source->initial_conn = conn;
out:
    if (rc != OK && err) {
        error_context(err, "reading version %" PRId64 " of %s, where the stream began", version,
                      delta_table_uri(source->table));
    }
    delta_snapshot_unref(snapshot);
    text_free(&sql);
    return rc;
}

/* ---- rows of the table as files ---- */

enum { COLUMN_N, COLUMN_PATH, COLUMN_SIZE, COLUMN_TIME, COLUMN_KEYS, COLUMN_VALUES, COLUMN_RECORDS, COLUMN_DV };

static char *text_of(Arena *arena, const DuckResult *row, size_t column)
{
    size_t n = 0;
    const char *text = duck_result_text(row, column, &n);

    return text ? arena_strndup(arena, text, n) : NULL;
}

static Status parse_list(const char *text, json_t **out, Error *err)
{
    JsonSource source = {.name = "partition values"};

    return json_parse(text ? text : "[]", text ? strlen(text) : 2, &source, out, err);
}

static Status read_values(Arena *arena, const DuckResult *row, DeltaFile *file, Error *err)
{
    json_t *keys = NULL, *values = NULL;
    Status rc = OK;

    TRY(parse_list(text_of(arena, row, COLUMN_KEYS), &keys, err));
    TRY(parse_list(text_of(arena, row, COLUMN_VALUES), &values, err));
    size_t n = json_array_size(keys);
    DeltaPair *pairs = arena_alloc(arena, (n + 1) * sizeof *pairs);
    for (size_t i = 0; i < n; i++) {
        const char *value = json_string_value(json_array_get(values, i));
        pairs[i].key = arena_strdup(arena, json_string_value(json_array_get(keys, i)));
        pairs[i].value = value ? arena_strdup(arena, value) : NULL;
    }
    file->partition_values = pairs;
    file->n_partition_values = n;
out:
    json_decref(keys);
    json_decref(values);
    return rc;
}

static void read_vector(Arena *arena, const DuckResult *row, DeltaFile *file)
{
    const char *storage = text_of(arena, row, COLUMN_DV);

    if (!storage || !*storage) {
        return; /* some checkpoints hold an empty descriptor instead of none */
    }
    DeltaDeletionVector *dv = arena_alloc(arena, sizeof *dv);
    dv->storage_type = *storage;
    dv->path_or_inline = text_of(arena, row, COLUMN_DV + 1);
    dv->has_offset = !duck_result_is_null(row, COLUMN_DV + 2);
    dv->offset = dv->has_offset ? (int32_t)duck_result_i64(row, COLUMN_DV + 2) : 0;
    dv->size_bytes = (int32_t)duck_result_i64(row, COLUMN_DV + 3);
    dv->cardinality = duck_result_i64(row, COLUMN_DV + 4);
    file->deletion_vector = dv;
}

static Status read_file(Arena *arena, const DuckResult *row, DeltaFile *file, int64_t *rows, Error *err)
{
    *file = (DeltaFile){.path = text_of(arena, row, COLUMN_PATH),
                        .size = duck_result_i64(row, COLUMN_SIZE),
                        .modification_time = duck_result_i64(row, COLUMN_TIME),
                        .data_change = true,
                        .base_row_id = -1,
                        .default_row_commit_version = -1};
    read_vector(arena, row, file);
    *rows = duck_result_is_null(row, COLUMN_RECORDS) ? -1 : duck_result_i64(row, COLUMN_RECORDS);
    if (*rows >= 0 && file->deletion_vector) {
        *rows -= file->deletion_vector->cardinality;
    }
    return read_values(arena, row, file, err);
}

/* The files after `index`, at most as many as the walk may take and one more, which tells whether that was all. */
static void select_files(const DeltaWalk *walk, Text *sql)
{
    text_append(sql, "SELECT n, path, size, modification_time, keys, vals, records, dv.storage_type, "
                     "dv.path_or_inline, dv.\"offset\", "
                     "dv.size_bytes, dv.cardinality FROM temp.");
    table_name(walk->source, sql);
    text_printf(sql, " WHERE n > %" PRId64, walk->at.index);
    if (walk->end && walk->end->version == walk->at.version) {
        text_printf(sql, " AND n <= %" PRId64, walk->end->index);
    }
    text_append(sql, " ORDER BY n");
    if (!walk->end && walk->files_left < INT_MAX / 2) {
        text_printf(sql, " LIMIT %" PRId64, walk->files_left + 1);
    }
}

Status delta_walk_initial(DeltaWalk *walk, DuckConn *conn, Error *err)
{
    bool whole = !(walk->end && walk->end->version == walk->at.version);
    Text sql = TEXT(65536);
    DuckResult *result = NULL;
    Arena *scratch = arena_new();
    bool more = false;
    Status rc = OK;

    TRY(make_table(walk->source, conn, walk->at.version, err));
    select_files(walk, &sql);
    TRY(duck_query_stream(conn, text_str(&sql), &result, err));
    for (;;) {
        DeltaFile file;
        int64_t rows = -1;
        TRY(duck_result_next(result, &more, err));
        if (!more) {
            break;
        }
        TRY(read_file(scratch, result, &file, &rows, err));
        if (!walk->end && !delta_walk_admit(walk, file.size)) {
            goto out;
        }
        delta_walk_add(walk, &file, rows);
        walk->at.index = duck_result_i64(result, COLUMN_N);
    }
    if (whole) {
        walk->at = (DeltaOffset){.version = walk->at.version + 1, .index = -1};
    } else if (walk->at.index != walk->end->index) {
        rc = error_set(err, E_SOURCE_DATA_LOSS,
                       "version %" PRId64 " of %s holds fewer files than the checkpoint says were read",
                       walk->at.version, delta_table_uri(walk->source->table));
    }
out:
    duck_result_free(result);
    arena_free(scratch);
    text_free(&sql);
    return rc;
}

Status delta_initial_rest(DeltaSource *source, DuckConn *conn, int64_t index, StreamBacklog *out, Error *err)
{
    Text sql = TEXT(512);
    int64_t numbers[2];

    text_append(&sql, "SELECT count(*), coalesce(sum(size), 0)::BIGINT FROM temp.");
    table_name(source, &sql);
    text_printf(&sql, " WHERE n > %" PRId64, index);
    Status rc = duck_query_numbers(conn, text_str(&sql), numbers, 2, err);
    if (rc == OK) {
        *out = (StreamBacklog){numbers[0], numbers[1]};
    }
    text_free(&sql);
    return rc;
}
