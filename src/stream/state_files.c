/* The files of a state: writing what a batch changed, reading it back, naming and removing.
 *
 * A file has the relation's columns in the shapes of state_type.c, `_batch`, and `_deleted`. A key is there after
 * batch N if the newest thing the files up to N say about it is a row; what says "deleted" in the batch that also wrote
 * a row was before it. Rows that have expired by the value recorded with batch N are not, whatever the files say: so
 * expiry writes nothing.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/failpoint.h"
#include "base/file.h"
#include "base/map.h"
#include "duck/parquet.h"
#include "stream/state_int.h"

enum { PATH_BYTES_MAX = 65536, CHUNK_BYTES = 8 << 20, PREFIX_BYTES = 256 };
static const int64_t SPOOL_BYTES_MAX = INT64_C(4) << 30;

/* ---- names ---- */

void state_files_clear(StateFiles *files)
{
    for (size_t i = 0; i < files->n; i++) {
        mem_free(files->items[i].name);
    }
    mem_free(files->items);
    *files = (StateFiles){.expired = INT64_MIN};
}

static StateFile *add_file(StateFiles *files)
{
    files->items = mem_grow(files->items, files->n, &files->capacity, sizeof *files->items);
    files->items[files->n] = (StateFile){0};
    return &files->items[files->n++];
}

static void drop_last(StateFiles *files, size_t keep)
{
    while (files->n > keep) {
        mem_free(files->items[--files->n].name);
    }
}

void state_files_copy(const StateFiles *from, StateFiles *to)
{
    state_files_clear(to);
    for (size_t i = 0; i < from->n; i++) {
        StateFile *file = add_file(to);
        *file = from->items[i];
        file->name = mem_strdup(from->items[i].name);
    }
    to->expired = from->expired;
    to->rows = from->rows;
}

int64_t state_files_bytes(const StateFiles *files)
{
    int64_t bytes = 0;

    for (size_t i = 0; i < files->n; i++) {
        bytes += files->items[i].bytes;
    }
    return bytes;
}

/* The numbers of a file, in the JSON and out of it. */
static const struct {
    const char *key;
    size_t offset;
} NUMBERS[] = {
    {"first", offsetof(StateFile, first)}, {"last", offsetof(StateFile, last)},   {"level", offsetof(StateFile, level)},
    {"rows", offsetof(StateFile, rows)},   {"bytes", offsetof(StateFile, bytes)}, {"crc32", offsetof(StateFile, crc32)},
};
enum { N_NUMBERS = sizeof NUMBERS / sizeof *NUMBERS };

static int64_t *number_of(StateFile *file, size_t i)
{
    return (int64_t *)(void *)((char *)file + NUMBERS[i].offset);
}

static json_t *relation_json(const StateFiles *files)
{
    json_t *relation = json_object(), *list = json_array();

    json_put_i64(relation, "rows", files->rows);
    json_put(relation, "expired", files->expired == INT64_MIN ? json_null() : json_integer(files->expired));
    for (size_t i = 0; i < files->n; i++) {
        json_t *file = json_object();
        json_put_string(file, "name", files->items[i].name, NULL);
        for (size_t k = 0; k < N_NUMBERS; k++) {
            json_put_i64(file, NUMBERS[k].key, *number_of(&files->items[i], k));
        }
        json_array_append_new(list, file);
    }
    json_put(relation, "files", list);
    return relation;
}

json_t *state_files_json(const State *state, int64_t batch, bool next)
{
    json_t *object = json_object(), *relations = json_object();

    json_put_i64(object, "batch", batch);
    for (size_t i = 0; i < state->n_tables; i++) {
        const StateTable *table = &state->tables[i];
        json_put(relations, table->name, relation_json(next ? &table->next : &table->files));
    }
    json_put(object, "relations", relations);
    return object;
}

static Status damaged(const State *state, Error *err, const char *name, const char *what)
{
    error_set(err, E_STREAM_STATE_DAMAGED, "%s: the state file %s/%s/%s %s", state->flow, store_uri(state->checkpoint),
              state->folder, name, what);
    error_hint(err, "put the file back from a copy, or rebuild the table with --full-refresh");
    return error_status(err);
}

static Status parse_relation(json_t *relation, StateFiles *out, Error *err)
{
    json_t *list = NULL;
    const char *name = NULL;
    Status rc = OK;

    TRY(json_get_i64(relation, "rows", &out->rows, err));
    TRY(json_opt_i64(relation, "expired", &out->expired, err));
    TRY(json_get_array(relation, "files", &list, err));
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *item = json_array_get(list, i);
        TRY(json_get_string(item, "name", &name, err));
        StateFile *file = add_file(out);
        file->name = mem_strdup(name);
        for (size_t k = 0; k < N_NUMBERS; k++) {
            TRY(json_get_i64(item, NUMBERS[k].key, number_of(file, k), err));
        }
    }
out:
    return rc;
}

Status state_files_parse(const State *state, const json_t *object, StateFiles *files, Error *err)
{
    json_t *relations = NULL, *relation = NULL;
    Error local = ERROR_NONE;
    Status rc = json_get_object(object, "relations", &relations, &local);

    for (size_t i = 0; rc == OK && i < state->n_tables; i++) {
        rc = json_get_object(relations, state->tables[i].name, &relation, &local);
        if (rc == OK) {
            rc = parse_relation(relation, &files[i], &local);
        }
    }
    if (rc != OK) {
        rc = error_set(err, E_STREAM_STATE_DAMAGED, "%s: what the last commit says about the state of step %zu: %s",
                       state->flow, state->operator, local.message);
        error_hint(err, "rebuild the table with --full-refresh");
    }
    return rc;
}

/* ---- places ---- */

static Status spool_folder(DuckConn *conn, Text *out, Error *err)
{
    DuckResult *result = NULL;
    size_t n = 0;
    bool more = false;
    Status rc = OK;

    TRY(duck_query(conn, "SELECT current_setting('temp_directory')", &result, err));
    TRY(duck_result_next(result, &more, err));
    const char *temp = duck_result_text(result, 0, &n);
    text_append_n(out, temp, n);
    TRY(file_mkdirs(text_str(out), false, err));
    text_append(out, "/state-XXXXXX");
    if (!mkdtemp(out->data)) {
        rc = error_errno(err, "creating the folder %s", text_str(out));
    }
out:
    duck_result_free(result);
    return rc;
}

Status state_place_init(StatePlace *place, const State *state, DuckConn *conn, Error *err)
{
    Status rc = OK;

    *place = (StatePlace){.folder = TEXT(PATH_BYTES_MAX)};
    if (store_local_path(state->checkpoint, state->folder, &place->folder, NULL) != OK) {
        text_clear(&place->folder);
        TRY(spool_folder(conn, &place->folder, err));
        place->spooled = true;
    }
out:
    return rc;
}

void state_place_fini(StatePlace *place)
{
    if (place->spooled) {
        (void)file_remove_tree(text_str(&place->folder), NULL);
    }
    text_free(&place->folder);
}

static void key_of(const State *state, const char *name, Text *out)
{
    text_clear(out);
    text_printf(out, "%s/%s", state->folder, name);
}

/* ---- checksums ---- */

static Status checksum(const State *state, const char *key, int64_t bytes, int64_t *out, Error *err)
{
    Text chunk = TEXT(CHUNK_BYTES);
    uLong crc = crc32(0, NULL, 0);
    Status rc = OK;

    for (int64_t at = 0; at < bytes; at += CHUNK_BYTES) {
        int64_t n = bytes - at < CHUNK_BYTES ? bytes - at : CHUNK_BYTES;
        TRY(store_read_range(state->checkpoint, key, at, (size_t)n, &chunk, err));
        crc = crc32(crc, (const unsigned char *)chunk.data, (uInt)n);
    }
    *out = (int64_t)crc;
out:
    text_free(&chunk);
    return rc;
}

/* Is the file there, as long as its commit says? */
static Status verify_size(const State *state, const StateFile *file, Error *err)
{
    Text key = TEXT(PATH_BYTES_MAX);
    StoreInfo info = {0};
    Error local = ERROR_NONE;

    key_of(state, file->name, &key);
    Status rc = store_info(state->checkpoint, text_str(&key), &info, &local);
    if (rc == ERR_NOT_FOUND) {
        rc = damaged(state, err, file->name, "is missing");
    } else if (rc != OK) {
        *err = local;
    } else if (info.size != file->bytes) {
        rc = damaged(state, err, file->name, "has another size than its commit says");
    }
    text_free(&key);
    return rc;
}

/* Is the file what its commit named? */
static Status verify(const State *state, const StateFile *file, Error *err)
{
    Text key = TEXT(PATH_BYTES_MAX);
    int64_t crc = 0;
    Status rc = OK;

    TRY(verify_size(state, file, err));
    key_of(state, file->name, &key);
    TRY(checksum(state, text_str(&key), file->bytes, &crc, err));
    if (crc != file->crc32) {
        rc = damaged(state, err, file->name, "is not what was written: its checksum differs");
    }
out:
    text_free(&key);
    return rc;
}

/* ---- writing ---- */

/* The rows batches `first`.. changed, or all there are. */
static void write_query(const StateTable *table, int64_t first, Text *sql)
{
    text_append(sql, "SELECT ");
    for (size_t i = 0; i < table->n_columns; i++) {
        Text name = TEXT(PATH_BYTES_MAX);
        text_append_sql_name(&name, table->columns[i].name);
        state_type_store(table->columns[i].type, text_str(&name), sql);
        text_printf(sql, " AS %s, ", text_str(&name));
        text_free(&name);
    }
    text_append(sql, "\"" STATE_BATCH "\", false AS \"" STATE_DELETED "\" FROM ");
    if (first < 0) {
        text_append(sql, table->table);
        return;
    }
    text_printf(sql, "%s WHERE \"" STATE_BATCH "\" >= %" PRId64, table->table, first);
    if (!table->gone) {
        return;
    }
    text_append(sql, " UNION ALL BY NAME SELECT ");
    for (size_t i = 0; i < table->n_keys; i++) {
        Text name = TEXT(PATH_BYTES_MAX);
        text_append_sql_name(&name, table->columns[i].name);
        state_type_store(table->columns[i].type, text_str(&name), sql);
        text_printf(sql, " AS %s, ", text_str(&name));
        text_free(&name);
    }
    text_printf(sql, "\"" STATE_BATCH "\", true AS \"" STATE_DELETED "\" FROM %s WHERE \"" STATE_BATCH "\" >= %" PRId64,
                table->gone, first);
}

static Status into_store(const State *state, const StatePlace *place, const ParquetFile *file, const char *key,
                         Error *err)
{
    Text bytes = TEXT((size_t)SPOOL_BYTES_MAX);
    Status rc = OK;

    if (!place->spooled) {
        return store_sync(state->checkpoint, key, err);
    }
    TRY(file_read(file->path, (size_t)SPOOL_BYTES_MAX, &bytes, err));
    TRY(store_put(state->checkpoint, key, bytes.data, bytes.length, err));
out:
    text_free(&bytes);
    return rc;
}

/* Writes one file; *file has a NULL name when there was nothing to write. */
static Status write_file(State *state, DuckConn *conn, const StateTable *table, const char *prefix, int64_t first,
                         StateFile *file, Error *err)
{
    Arena *arena = arena_new();
    Text sql = TEXT(TEXT_SQL_MAX), key = TEXT(PATH_BYTES_MAX);
    StatePlace place = {0};
    ParquetFile *written = NULL;
    size_t n = 0;
    Status rc = OK;

    TRY(state_place_init(&place, state, conn, err));
    TRY(store_mkdirs(state->checkpoint, state->folder, err));
    write_query(table, first, &sql);
    ParquetWrite write = {.query = text_str(&sql), .folder = text_str(&place.folder), .prefix = prefix};
    TRY(failpoint(FP_STREAM_STATE_BEFORE_FILE, err));
    TRY(parquet_write(conn, &write, arena, &written, &n, err));
    if (n == 0) {
        goto out;
    }
    const char *name = strrchr(written->path, '/') + 1;
    key_of(state, name, &key);
    TRY(into_store(state, &place, written, text_str(&key), err));
    TRY(checksum(state, text_str(&key), written->bytes, &file->crc32, err));
    TRY(failpoint(FP_STREAM_STATE_AFTER_FILE, err));
    file->rows = written->rows;
    file->bytes = written->bytes;
    file->name = mem_strdup(name);
out:
    if (rc != OK) {
        (void)error_context(err, "writing the state of %s", state->flow);
    }
    state_place_fini(&place);
    text_free(&sql);
    text_free(&key);
    arena_free(arena);
    return rc;
}

/* How many files at the end of the list a new one of level 0 takes the place of, and the level it then has. */
static int64_t level_of_next(const StateFiles *files, size_t *keep)
{
    int64_t level = 0;
    size_t end = files->n;

    while (level < STATE_LEVELS_MAX) {
        size_t n = 0;
        while (n < end && n + 1 < STATE_FAN && files->items[end - 1 - n].level == level) {
            n++;
        }
        if (n + 1 < STATE_FAN) {
            break;
        }
        end -= n;
        level++;
    }
    *keep = end;
    return level;
}

/* Is it time to write the whole relation? When loading would read as much again, and tombstones, beside the last. */
static bool outweighed(const StateFiles *files)
{
    int64_t snapshot = 0, deltas = 0;
    size_t n = 0;

    for (size_t i = 0; i < files->n; i++) {
        bool whole = files->items[i].level == STATE_SNAPSHOT;
        *(whole ? &snapshot : &deltas) += files->items[i].bytes;
        n += !whole;
    }
    return n >= STATE_DELTAS_MIN && deltas >= snapshot;
}

static void name_file(const StateTable *table, const StateFile *file, char prefix[PREFIX_BYTES])
{
    snprintf(prefix, PREFIX_BYTES, "%s.%" PRId64 ".%s.", table->name, file->last,
             file->level == STATE_SNAPSHOT ? "snapshot" : "delta");
}

Status state_files_snapshot(State *state, DuckConn *conn, StateTable *table, int64_t batch, Error *err)
{
    StateFile file = {.first = -1, .last = batch, .level = STATE_SNAPSHOT};
    char prefix[PREFIX_BYTES];
    Status rc = OK;

    if (batch < 0 || !outweighed(&table->files)) {
        return OK;
    }
    name_file(table, &file, prefix);
    TRY(write_file(state, conn, table, prefix, file.first, &file, err));
    drop_last(&table->files, 0);
    if (file.name) {
        *add_file(&table->files) = file;
    }
out:
    return rc;
}

Status state_files_write(State *state, DuckConn *conn, StateTable *table, int64_t batch, Error *err)
{
    StateFiles *files = &table->next;
    StateFile file = {.first = batch, .last = batch};
    size_t keep = 0;
    char prefix[PREFIX_BYTES];
    Status rc = OK;

    if (files->n == 0 || outweighed(files)) { /* what the first batch wrote is all there is */
        file.level = STATE_SNAPSHOT;
        file.first = -1;
    } else {
        file.level = level_of_next(files, &keep);
        file.first = keep < files->n ? files->items[keep].first : batch;
    }
    name_file(table, &file, prefix);
    TRY(write_file(state, conn, table, prefix, file.first, &file, err));
    if (file.name || file.level != 0) {
        drop_last(files, keep);
    }
    if (file.name) {
        *add_file(files) = file;
    }
out:
    return rc;
}

/* ---- loading ---- */

static Status append_path(const State *state, const StatePlace *place, const StateFile *file, Text *list, Error *err)
{
    Text path = TEXT(PATH_BYTES_MAX), key = TEXT(PATH_BYTES_MAX), bytes = TEXT((size_t)SPOOL_BYTES_MAX);
    Status rc = OK;

    text_printf(&path, "%s/%s", text_str(&place->folder), file->name);
    if (place->spooled) {
        key_of(state, file->name, &key);
        TRY(store_read(state->checkpoint, text_str(&key), (size_t)SPOOL_BYTES_MAX, &bytes, NULL, err));
        TRY(file_write(text_str(&path), bytes.data, bytes.length, err));
    }
    text_clear(&key);
    parquet_escape_glob(&key, text_str(&path));
    text_append(list, list->length ? ", " : "");
    text_append_sql_string(list, text_str(&key));
out:
    text_free(&path);
    text_free(&key);
    text_free(&bytes);
    return rc;
}

/* SELECT of the columns in their own types, _batch and _deleted. */
static void append_read(const StateTable *table, const char *paths, Text *sql)
{
    text_append(sql, "SELECT ");
    for (size_t i = 0; i < table->n_columns; i++) {
        Text name = TEXT(PATH_BYTES_MAX);
        text_append_sql_name(&name, table->columns[i].name);
        state_type_load(table->columns[i].type, text_str(&name), sql);
        text_printf(sql, " AS %s, ", text_str(&name));
        text_free(&name);
    }
    text_printf(sql, "\"" STATE_BATCH "\", \"" STATE_DELETED "\" FROM read_parquet([%s], hive_partitioning = false)",
                paths);
}

static void append_alive(const StateTable *table, int64_t expired, const char *more, Text *sql)
{
    text_append(sql, " WHERE ");
    text_append(sql, more);
    if (table->expires && expired != INT64_MIN) {
        text_append(sql, " AND (");
        text_append_sql_name(sql, table->expires);
        text_printf(sql, " > %" PRId64 " OR ", expired);
        text_append_sql_name(sql, table->expires);
        text_append(sql, " IS NULL)");
    }
}

static void append_list(const StateTable *table, size_t n, Text *sql)
{
    for (size_t i = 0; i < n; i++) {
        text_append_sql_name(sql, table->columns[i].name);
        text_append(sql, ", ");
    }
    text_append(sql, "\"" STATE_BATCH "\"");
}

/* The newest word of each key in `deltas`, as a table; its tombstones too, for a later file that covers them. */
static Status load_deltas(DuckConn *conn, const StateTable *table, const char *deltas, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    text_append(&sql, "CREATE OR REPLACE TEMP TABLE freshet_state_deltas AS SELECT * FROM (");
    append_read(table, deltas, &sql);
    text_append(&sql, ") QUALIFY row_number() OVER (PARTITION BY ");
    for (size_t i = 0; i < table->n_keys; i++) {
        text_append(&sql, i ? ", " : "");
        text_append_sql_name(&sql, table->columns[i].name);
    }
    text_append(&sql, " ORDER BY \"" STATE_BATCH "\" DESC, \"" STATE_DELETED "\") = 1");
    TRY(duck_exec(conn, text_str(&sql), err));
    text_clear(&sql);
    text_printf(&sql, "INSERT INTO %s SELECT ", table->gone);
    append_list(table, table->n_keys, &sql);
    text_append(&sql, " FROM temp.freshet_state_deltas WHERE \"" STATE_DELETED "\"");
    TRY(duck_exec(conn, text_str(&sql), err));
out:
    text_free(&sql);
    return rc;
}

static Status insert(DuckConn *conn, const StateTable *table, int64_t expired, const char *from, const char *where,
                     Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    text_printf(&sql, "INSERT INTO %s SELECT ", table->table);
    append_list(table, table->n_columns, &sql);
    text_printf(&sql, " FROM %s AS s", from);
    append_alive(table, expired, where, &sql);
    Status rc = duck_exec(conn, text_str(&sql), err);
    text_free(&sql);
    return rc;
}

/* Rows of `from` whose key no delta speaks of. */
static void append_untouched(const StateTable *table, Text *sql)
{
    text_append(sql, "NOT EXISTS (SELECT 1 FROM temp.freshet_state_deltas AS d WHERE ");
    for (size_t i = 0; i < table->n_keys; i++) {
        text_append(sql, i ? " AND d." : "d.");
        text_append_sql_name(sql, table->columns[i].name);
        text_append(sql, " IS NOT DISTINCT FROM s.");
        text_append_sql_name(sql, table->columns[i].name);
    }
    text_append_char(sql, ')');
}

static Status load_rows(DuckConn *conn, const StateTable *table, int64_t expired, const char *snapshot,
                        const char *deltas, Error *err)
{
    Text from = TEXT(TEXT_SQL_MAX), where = TEXT(TEXT_SQL_MAX);
    bool keyed = deltas[0] && table->n_keys > 0;
    Status rc = OK;

    text_append_char(&from, '(');
    append_read(table, snapshot, &from);
    text_append_char(&from, ')');
    if (keyed) {
        TRY(load_deltas(conn, table, deltas, err));
        append_untouched(table, &where);
    } else {
        text_append(&where, "true");
    }
    if (snapshot[0]) {
        TRY(insert(conn, table, expired, text_str(&from), text_str(&where), err));
    }
    if (keyed) {
        TRY(insert(conn, table, expired, "temp.freshet_state_deltas", "NOT \"" STATE_DELETED "\"", err));
        TRY(duck_exec(conn, "DROP TABLE temp.freshet_state_deltas", err));
    }
out:
    text_free(&from);
    text_free(&where);
    return rc;
}

Status state_files_load(State *state, DuckConn *conn, StateTable *table, const StateFiles *files, Error *err)
{
    Text snapshot = TEXT(TEXT_SQL_MAX), deltas = TEXT(TEXT_SQL_MAX);
    StatePlace place = {0};
    Status rc = OK;

    if (files->n == 0) {
        return OK;
    }
    TRY(state_place_init(&place, state, conn, err));
    for (size_t i = 0; i < files->n; i++) {
        const StateFile *file = &files->items[i];
        bool whole = file->level == STATE_SNAPSHOT || table->n_keys == 0;
        TRY(verify(state, file, err));
        TRY(append_path(state, &place, file, whole ? &snapshot : &deltas, err));
    }
    TRY(load_rows(conn, table, files->expired, text_str(&snapshot), text_str(&deltas), err));
out:
    if (rc != OK) {
        (void)error_context(err, "loading the state of %s", state->flow);
    }
    state_place_fini(&place);
    text_free(&snapshot);
    text_free(&deltas);
    return rc;
}

/* ---- looking ---- */

/* The newest word of each key, as load_deltas takes it, but of all files at once: nothing is written. */
static void append_newest(const StateTable *table, const char *paths, Text *sql)
{
    append_read(table, paths, sql);
    if (table->n_keys == 0) {
        return;
    }
    text_append(sql, " QUALIFY row_number() OVER (PARTITION BY ");
    for (size_t i = 0; i < table->n_keys; i++) {
        text_append(sql, i ? ", " : "");
        text_append_sql_name(sql, table->columns[i].name);
    }
    text_append(sql, " ORDER BY \"" STATE_BATCH "\" DESC, \"" STATE_DELETED "\") = 1");
}

static void append_no_rows(const StateTable *table, Text *sql)
{
    text_append(sql, "SELECT ");
    for (size_t i = 0; i < table->n_columns; i++) {
        text_append(sql, "CAST(NULL AS ");
        duck_type_sql(table->columns[i].type, sql);
        text_append(sql, ") AS ");
        text_append_sql_name(sql, table->columns[i].name);
        text_append(sql, ", ");
    }
    text_append(sql, "CAST(NULL AS BIGINT) AS \"" STATE_BATCH "\" WHERE false");
}

Status state_files_select(const State *state, const StatePlace *place, const StateTable *table, const StateFiles *files,
                          Text *sql, Error *err)
{
    Text paths = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    if (files->n == 0) {
        append_no_rows(table, sql);
        return OK;
    }
    for (size_t i = 0; i < files->n; i++) {
        TRY(verify_size(state, &files->items[i], err));
        TRY(append_path(state, place, &files->items[i], &paths, err));
    }
    text_append(sql, "SELECT ");
    append_list(table, table->n_columns, sql);
    text_append(sql, " FROM (");
    append_newest(table, text_str(&paths), sql);
    text_append_char(sql, ')');
    append_alive(table, files->expired, "NOT \"" STATE_DELETED "\"", sql);
out:
    text_free(&paths);
    return rc;
}

/* ---- purge ---- */

static void keep_names(const json_t *object, Map *names)
{
    const char *name = NULL, *key = NULL;
    json_t *relations = NULL, *relation = NULL, *list = NULL;

    if (json_opt_object(object, "relations", &relations, NULL) != OK || !relations) {
        return;
    }
    for (void *at = NULL; json_next(relations, &at, &key, &relation);) {
        list = json_object_get(relation, "files");
        for (size_t i = 0; i < json_array_size(list); i++) {
            if (json_opt_string(json_array_get(list, i), "name", &name, NULL) == OK && name) {
                map_put(names, name, names);
            }
        }
    }
}

typedef struct Sweep {
    const State *state;
    const Map *names;
    char **unnamed;
    size_t n, capacity;
} Sweep;

static bool look_at(void *context, const StoreEntry *entry)
{
    Sweep *sweep = context;

    if (!entry->info.is_dir && str_ends(entry->name, ".parquet") && !map_has(sweep->names, entry->name)) {
        sweep->unnamed = mem_grow(sweep->unnamed, sweep->n, &sweep->capacity, sizeof *sweep->unnamed);
        sweep->unnamed[sweep->n++] = mem_strdup(entry->name);
    }
    return true;
}

Status state_purge(State *state, const json_t *const *kept, size_t n_kept, Error *err)
{
    Map *names = map_new();
    Text key = TEXT(PATH_BYTES_MAX);
    Sweep sweep = {.state = state, .names = names};
    Status rc = OK;

    for (size_t i = 0; i < n_kept; i++) {
        keep_names(kept[i], names);
    }
    TRY(store_list(state->checkpoint, state->folder, NULL, look_at, &sweep, err));
    for (size_t i = 0; i < sweep.n; i++) {
        key_of(state, sweep.unnamed[i], &key);
        TRY(failpoint(FP_STREAM_STATE_BEFORE_PURGE, err));
        TRY(store_delete(state->checkpoint, text_str(&key), err));
        TRY(failpoint(FP_STREAM_STATE_AFTER_PURGE, err));
    }
out:
    for (size_t i = 0; i < sweep.n; i++) {
        mem_free(sweep.unnamed[i]);
    }
    mem_free(sweep.unnamed);
    map_free(names, NULL);
    text_free(&key);
    return rc;
}
