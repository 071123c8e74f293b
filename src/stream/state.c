/* The working copy of a state, and its life:
 *
 *           load                begin              save                   settle
 *   (any) -------> at batch N-1 -----> changing ---------> saved, named ---------> at batch N
 *                       ^                  |                    |
 *                       +------ load ------+--------------------+     whatever failed: from the files again
 *
 * Each state has a database of its own in DuckDB's memory: its blocks count against the memory limit, spill to the
 * temporary folder, and nothing of it waits for a disk. DuckDB never gives back the room of rows that were changed or
 * deleted in a table that lives on, except in a checkpoint; state_settle makes one when enough rows have changed.
 */
#include "stream/state.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "stream/state_int.h"

enum { METADATA_BYTES_MAX = 16 << 20, PACK_VALUES_MIN = 16 << 20 };

/* ---- open ---- */

static Status refuse_type(const StateSpec *spec, const DuckColumnInfo *column, const DuckType *type, Error *err)
{
    Text name = TEXT(65536);

    duck_type_sql(type, &name);
    error_set(err, E_PIPELINE_STATEFUL, "%s: a value of type %s cannot be kept from batch to batch (column %s)",
              spec->flow, text_str(&name), column->name);
    if (type->id == DUCK_STRUCT) {
        error_hint(err, "give its fields names: {'a': x, 'b': y} for (x, y)");
    } else {
        error_hint(err, "cast it in the query to a type that can: a number, a text, a timestamp");
    }
    text_free(&name);
    return error_status(err);
}

static DuckType *copy_type(const DuckType *type, Arena *arena)
{
    DuckType *copy = arena_alloc(arena, sizeof *copy);
    DuckTypeMember *members = arena_alloc(arena, (type->n_members + 1) * sizeof *members);

    *copy = *type;
    for (size_t i = 0; i < type->n_members; i++) {
        members[i].name = arena_strdup(arena, type->members[i].name);
        members[i].type = type->members[i].type ? copy_type(type->members[i].type, arena) : NULL;
    }
    copy->members = members;
    copy->other = arena_strdup(arena, type->other ? type->other : "");
    return copy;
}

static Status copy_relation(State *state, const StateSpec *spec, const StateRelation *from, StateTable *table,
                            Error *err)
{
    Text name = TEXT(4096);

    table->name = arena_strdup(state->arena, from->name);
    table->n_columns = from->n_columns;
    table->n_keys = from->n_keys;
    table->expires = from->expires ? arena_strdup(state->arena, from->expires) : NULL;
    table->means = from->means ? arena_strdup(state->arena, from->means) : NULL;
    table->columns = arena_alloc(state->arena, (from->n_columns + 1) * sizeof *table->columns);
    table->shown = arena_alloc(state->arena, (from->n_columns + 1) * sizeof *table->shown);
    table->files.expired = table->next.expired = table->expired = INT64_MIN;
    for (size_t i = 0; i < from->n_columns; i++) {
        const DuckType *homeless = state_type_homeless(from->columns[i].type);
        if (homeless) {
            return refuse_type(spec, &from->columns[i], homeless, err);
        }
        table->columns[i] = (DuckColumnInfo){.name = arena_strdup(state->arena, from->columns[i].name),
                                             .type = copy_type(from->columns[i].type, state->arena)};
        if (from->shown && from->shown[i].name) {
            table->shown[i].name = arena_strdup(state->arena, from->shown[i].name);
        }
        table->shown[i].is_time = from->shown && from->shown[i].is_time;
    }
    text_printf(&name, "%s.main.", state->database);
    text_append_sql_name(&name, table->name);
    table->table = arena_strdup(state->arena, text_str(&name));
    if (table->n_keys > 0) {
        text_clear(&name);
        text_printf(&name, "%s.gone.", state->database);
        text_append_sql_name(&name, table->name);
        table->gone = arena_strdup(state->arena, text_str(&name));
    }
    text_free(&name);
    return OK;
}

/* ("a" BIGINT, ..., "_batch" BIGINT) of the first `n` columns. */
static void append_columns(const StateTable *table, size_t n, Text *out)
{
    text_append_char(out, '(');
    for (size_t i = 0; i < n; i++) {
        text_append_sql_name(out, table->columns[i].name);
        text_append_char(out, ' ');
        duck_type_sql(table->columns[i].type, out);
        text_append(out, ", ");
    }
    text_append(out, "\"" STATE_BATCH "\" BIGINT)");
}

static Status make_table(State *state, const StateTable *table, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    text_printf(&sql, "CREATE OR REPLACE TABLE %s ", table->table);
    append_columns(table, table->n_columns, &sql);
    if (table->gone) {
        text_printf(&sql, "; CREATE OR REPLACE TABLE %s ", table->gone);
        append_columns(table, table->n_keys, &sql);
    }
    Status rc = duck_exec(state->conn, text_str(&sql), err);
    text_free(&sql);
    return rc;
}

static Status make_tables(State *state, Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < state->n_tables; i++) {
        TRY(make_table(state, &state->tables[i], err));
    }
out:
    return rc;
}

/* ---- metadata ---- */

static json_t *describe_table(const StateTable *table)
{
    json_t *relation = json_object(), *columns = json_array();

    json_put_string(relation, "name", table->name, NULL);
    json_put_i64(relation, "keys", (int64_t)table->n_keys);
    json_put_string(relation, "expires", table->expires, NULL);
    if (table->means) {
        json_put_string(relation, "means", table->means, NULL);
    }
    for (size_t i = 0; i < table->n_columns; i++) {
        json_t *column = json_object();
        Text type = TEXT(TEXT_SQL_MAX);
        duck_type_sql(table->columns[i].type, &type);
        json_put_string(column, "name", table->columns[i].name, NULL);
        json_put_string(column, "type", text_str(&type), NULL);
        if (table->shown[i].name) {
            json_put_string(column, "shows", table->shown[i].name, NULL);
        }
        if (table->shown[i].is_time) {
            json_put(column, "time", json_true());
        }
        json_array_append_new(columns, column);
        text_free(&type);
    }
    json_put(relation, "columns", columns);
    return relation;
}

static json_t *describe(const State *state, const StateSpec *spec)
{
    json_t *metadata = json_object(), *relations = json_array();

    json_put_i64(metadata, "version", STATE_VERSION);
    json_put_string(metadata, "fingerprint", spec->fingerprint, NULL);
    if (spec->meaning) {
        json_put_string(metadata, "meaning", spec->meaning, NULL);
    }
    for (size_t i = 0; i < state->n_tables; i++) {
        json_array_append_new(relations, describe_table(&state->tables[i]));
    }
    json_put(metadata, "relations", relations);
    return metadata;
}

static Status changed(const State *state, const json_t *there, Error *err)
{
    const char *was = "?", *is = "?";
    int64_t version = -1;

    (void)json_opt_i64(there, "version", &version, NULL);
    (void)json_opt_string(there, "fingerprint", &was, NULL);
    (void)json_opt_string(state->metadata, "fingerprint", &is, NULL);
    if (version != STATE_VERSION) {
        error_set(err, E_STREAM_STATE_CHANGED, "%s: the state in %s/%s has format version %" PRId64 ", not %d",
                  state->flow, store_uri(state->checkpoint), state->folder, version, STATE_VERSION);
    } else if (strcmp(was, is) != 0) {
        error_set(
            err, E_STREAM_STATE_CHANGED,
            "%s: step %zu of the query remembers something else than its state holds: it is %s, the state is of %s",
            state->flow, state->operator, is, was);
    } else {
        error_set(err, E_STREAM_STATE_CHANGED, "%s: what step %zu of the query remembers has other types now: %s",
                  state->flow, state->operator, is);
    }
    error_hint(err, "restore the query, or rebuild the table with --full-refresh");
    return error_status(err);
}

static void metadata_key(const State *state, Text *out)
{
    text_printf(out, "%s/metadata", state->folder);
}

/* Are both the same but for how columns are shown, and steps are where that does not say what they mean? */
static bool same_meaning(const json_t *a, const json_t *b)
{
    json_t *both[] = {json_deep_copy(a), json_deep_copy(b)};

    for (size_t i = 0; i < 2; i++) {
        json_t *relations = json_object_get(both[i], "relations");
        if (json_object_get(both[i], "meaning")) {
            json_object_del(both[i], "fingerprint");
        }
        for (size_t k = 0; k < json_array_size(relations); k++) {
            json_t *columns = json_object_get(json_array_get(relations, k), "columns");
            for (size_t c = 0; c < json_array_size(columns); c++) {
                json_object_del(json_array_get(columns, c), "shows");
                json_object_del(json_array_get(columns, c), "time");
            }
        }
    }
    bool same = json_equal(both[0], both[1]);
    json_decref(both[0]);
    json_decref(both[1]);
    return same;
}

/* The metadata of an operator, for json_decref; NULL where there is none. */
static Status look_at_metadata(Store *checkpoint, size_t operator, json_t ** out, Error *err)
{
    Text text = TEXT(METADATA_BYTES_MAX);
    char key[64];
    JsonSource source = {.name = key};
    Error local = ERROR_NONE;
    Status rc = OK;

    *out = NULL;
    snprintf(key, sizeof key, "freshet-state/%zu/metadata", operator);
    rc = store_read(checkpoint, key, METADATA_BYTES_MAX, &text, NULL, &local);
    if (rc == ERR_NOT_FOUND) {
        rc = OK;
        goto out;
    }
    if (rc != OK) {
        *err = local;
        goto out;
    }
    TRY(json_parse_object(text_str(&text), text.length, &source, out, err));
out:
    text_free(&text);
    return rc;
}

Status state_fingerprint(Store *checkpoint, size_t operator, Text * out, Error *err)
{
    const char *fingerprint = "";
    json_t *metadata = NULL;
    Status rc = OK;

    TRY(look_at_metadata(checkpoint, operator, & metadata, err));
    if (metadata) {
        TRY(json_opt_string(metadata, "fingerprint", &fingerprint, err));
    }
    text_append(out, fingerprint);
out:
    json_decref(metadata);
    return rc;
}

/* The object of the list that has the name; NULL: none. */
static const json_t *find_named(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *is = json_string_value(json_object_get(json_array_get(list, i), "name"));
        if (is && strcmp(is, name) == 0) {
            return json_array_get(list, i);
        }
    }
    return NULL;
}

Status state_find_column(Store *checkpoint, size_t operator, const char * relation, const char *column, bool *there,
                         bool *has, Error *err)
{
    json_t *metadata = NULL;
    Status rc = OK;

    TRY(look_at_metadata(checkpoint, operator, & metadata, err));
    *there = metadata != NULL;
    if (metadata) {
        const json_t *found = find_named(json_object_get(metadata, "relations"), relation);
        *has = find_named(json_object_get(found, "columns"), column) != NULL;
    }
out:
    json_decref(metadata);
    return rc;
}

static Status read_metadata(State *state, Error *err)
{
    Text key = TEXT(4096), text = TEXT(METADATA_BYTES_MAX);
    JsonSource source = {0};
    Error local = ERROR_NONE;
    json_t *there = NULL;
    Status rc = OK;

    metadata_key(state, &key);
    source.name = text_str(&key);
    rc = store_read(state->checkpoint, text_str(&key), METADATA_BYTES_MAX, &text, NULL, &local);
    if (rc == ERR_NOT_FOUND) {
        rc = OK;
        goto out;
    }
    if (rc != OK) {
        *err = local;
        goto out;
    }
    if (json_parse_object(text_str(&text), text.length, &source, &there, &local) != OK) {
        rc = error_set(err, E_STREAM_STATE_DAMAGED, "%s: %s", state->flow, local.message);
        error_hint(err, "put the file back from a copy, or rebuild the table with --full-refresh");
        goto out;
    }
    if (!same_meaning(there, state->metadata)) {
        rc = changed(state, there, err);
        goto out;
    }
    state->metadata_there = json_equal(there, state->metadata);
out:
    json_decref(there);
    text_free(&key);
    text_free(&text);
    return rc;
}

static Status write_metadata(State *state, Error *err)
{
    Text key = TEXT(4096), text = TEXT(METADATA_BYTES_MAX);
    Status rc = OK;

    if (state->metadata_there) {
        return OK;
    }
    metadata_key(state, &key);
    TRY(json_dump_text(state->metadata, &text, err));
    TRY(failpoint(FP_STREAM_STATE_BEFORE_METADATA, err));
    TRY(store_put(state->checkpoint, text_str(&key), text.data, text.length, err));
    TRY(failpoint(FP_STREAM_STATE_AFTER_METADATA, err));
    state->metadata_there = true;
out:
    text_free(&key);
    text_free(&text);
    return rc;
}

Status state_open(DuckConn *conn, const StateSpec *spec, State **out, Error *err)
{
    static atomic_uint databases;
    State *state = mem_alloc(sizeof *state);
    Status rc = OK;

    state->arena = arena_new();
    state->checkpoint = store_ref(spec->checkpoint);
    state->operator= spec->operator;
    state->flow = arena_strdup(state->arena, spec->flow);
    state->folder = arena_printf(state->arena, "freshet-state/%zu", spec->operator);
    state->database = arena_printf(state->arena, "freshet_state_%u", atomic_fetch_add(&databases, 1));
    state->tables = arena_alloc(state->arena, (spec->n_relations + 1) * sizeof *state->tables);
    state->batch = -1;
    for (; state->n_tables < spec->n_relations; state->n_tables++) {
        TRY(copy_relation(state, spec, &spec->relations[state->n_tables], &state->tables[state->n_tables], err));
    }
    state->metadata = describe(state, spec);
    TRY(read_metadata(state, err));
    TRY(duck_execf(conn, err, "ATTACH ':memory:' AS %s (COMPRESS); CREATE SCHEMA %s.gone", state->database,
                   state->database));
    state->conn = conn;
    TRY(make_tables(state, err));
    state->clean = true;
    *out = state;
    state = NULL;
out:
    state_close(state);
    return rc;
}

void state_close(State *state)
{
    if (!state) {
        return;
    }
    if (state->conn && duck_execf(state->conn, NULL, "DETACH %s", state->database) != OK) {
        log_debug("%s: %s could not be dropped", state->flow, state->database);
    }
    for (size_t i = 0; i < state->n_tables; i++) {
        state_files_clear(&state->tables[i].files);
        state_files_clear(&state->tables[i].next);
    }
    json_decref(state->metadata);
    store_unref(state->checkpoint);
    arena_free(state->arena);
    mem_free(state);
}

const char *state_table(const State *state, size_t relation)
{
    return state->tables[relation].table;
}

/* ---- load ---- */

/* Are these the files the clean working copy stands on? */
static bool is_there(const State *state, const json_t *files)
{
    if (!state->clean) {
        return false;
    }
    if (!files) {
        return state->batch < 0;
    }
    json_t *mine = state_files_json(state, state->batch, false);
    bool same = state->batch >= 0 && json_equal(mine, files);
    json_decref(mine);
    return same;
}

static void sum_figures(State *state)
{
    state->figures.rows = 0;
    state->figures.bytes = 0;
    for (size_t i = 0; i < state->n_tables; i++) {
        state->figures.rows += state->tables[i].files.rows;
        state->figures.bytes += state_files_bytes(&state->tables[i].files);
    }
}

Status state_load(State *state, DuckConn *conn, const json_t *files, Error *err)
{
    StateFiles *loaded = mem_alloc((state->n_tables + 1) * sizeof *loaded);
    int64_t batch = -1;
    Status rc = OK;

    if (is_there(state, files)) {
        goto out;
    }
    for (size_t i = 0; i < state->n_tables; i++) {
        loaded[i].expired = INT64_MIN;
    }
    if (files) {
        TRY(state_files_parse(state, files, loaded, err));
        TRY(json_get_i64(files, "batch", &batch, err));
    }
    state->clean = false;
    TRY(make_tables(state, err));
    for (size_t i = 0; i < state->n_tables; i++) {
        StateTable *table = &state->tables[i];
        TRY(state_files_load(state, conn, table, &loaded[i], err));
        state_files_copy(&loaded[i], &table->files);
        table->expired = loaded[i].expired;
    }
    state->batch = batch;
    state->clean = true;
    sum_figures(state);
out:
    for (size_t i = 0; i < state->n_tables; i++) {
        state_files_clear(&loaded[i]);
    }
    mem_free(loaded);
    return rc;
}

void state_begin(State *state)
{
    state->clean = false;
    state->removed = 0;
}

/* ---- rows that go ---- */

static void note_removed(State *state, const StateTable *table, int64_t rows)
{
    state->removed += rows;
    state->churn += rows * (int64_t)table->n_columns;
}

Status state_expire(State *state, DuckConn *conn, size_t relation, int64_t until_us, int64_t *n, Error *err)
{
    StateTable *table = &state->tables[relation];
    Text sql = TEXT(4096);
    int64_t count = 0;
    Status rc = OK;

    text_printf(&sql, "DELETE FROM %s WHERE ", table->table);
    text_append_sql_name(&sql, table->expires);
    text_printf(&sql, " <= %" PRId64, until_us);
    TRY(duck_exec_changed(conn, text_str(&sql), &count, err));
    table->expired = until_us > table->expired ? until_us : table->expired;
    note_removed(state, table, count);
    *n = count;
out:
    text_free(&sql);
    return rc;
}

static void append_key_names(const StateTable *table, Text *out)
{
    for (size_t i = 0; i < table->n_keys; i++) {
        text_append(out, i ? ", " : "");
        text_append_sql_name(out, table->columns[i].name);
    }
}

Status state_delete(State *state, DuckConn *conn, size_t relation, const char *select, int64_t batch, Error *err)
{
    StateTable *table = &state->tables[relation];
    Text sql = TEXT(TEXT_SQL_MAX);
    int64_t count = 0;
    Status rc = OK;

    text_append(&sql, "CREATE OR REPLACE TEMP TABLE freshet_state_gone(");
    append_key_names(table, &sql);
    text_printf(&sql, ") AS SELECT * FROM (%s\n); INSERT INTO %s SELECT *, %" PRId64 " FROM temp.freshet_state_gone",
                select, table->gone, batch);
    TRY(duck_exec(conn, text_str(&sql), err));
    text_clear(&sql);
    text_printf(&sql, "DELETE FROM %s AS t USING temp.freshet_state_gone AS g WHERE ", table->table);
    for (size_t i = 0; i < table->n_keys; i++) {
        text_append(&sql, i ? " AND t." : "t.");
        text_append_sql_name(&sql, table->columns[i].name);
        text_append(&sql, " IS NOT DISTINCT FROM g.");
        text_append_sql_name(&sql, table->columns[i].name);
    }
    TRY(duck_exec_changed(conn, text_str(&sql), &count, err));
    note_removed(state, table, count);
    TRY(duck_exec(conn, "DROP TABLE temp.freshet_state_gone", err));
out:
    text_free(&sql);
    return rc;
}

/* ---- save, settle ---- */

static Status count_rows(DuckConn *conn, const StateTable *table, int64_t batch, int64_t *all, int64_t *touched,
                         Error *err)
{
    Text sql = TEXT(4096);
    int64_t numbers[2] = {0};

    text_printf(&sql, "SELECT (SELECT count(*) FROM %s), (SELECT count(*) FROM %s WHERE " STATE_BATCH " = %" PRId64 ")",
                table->table, table->table, batch);
    Status rc = duck_query_numbers(conn, text_str(&sql), numbers, 2, err);
    *all = numbers[0];
    *touched = numbers[1];
    text_free(&sql);
    return rc;
}

Status state_save(State *state, DuckConn *conn, int64_t batch, json_t **files, Error *err)
{
    int64_t touched = 0, updated = 0;
    Status rc = OK;

    TRY(write_metadata(state, err));
    for (size_t i = 0; i < state->n_tables; i++) {
        StateTable *table = &state->tables[i];
        state_files_copy(&table->files, &table->next);
        table->next.expired = table->expired;
        TRY(count_rows(conn, table, batch, &table->next.rows, &touched, err));
        TRY(state_files_write(state, conn, table, batch, err));
        updated += touched;
        state->churn += touched * (int64_t)table->n_columns;
    }
    state->figures.rows_updated = updated;
    state->figures.rows_removed = state->removed;
    *files = state_files_json(state, batch, true);
out:
    return rc;
}

/* DuckDB packs what stayed and gives back the rest; nobody else uses this database. It costs as much as writing the
 * state once, so it waits until that much has changed. */
static void pack(State *state)
{
    Error err = ERROR_NONE;
    int64_t values = PACK_VALUES_MIN;

    for (size_t i = 0; i < state->n_tables; i++) {
        values += state->tables[i].files.rows * (int64_t)state->tables[i].n_columns;
    }
    if (state->churn < values) {
        return;
    }
    state->churn = 0;
    if (duck_execf(state->conn, &err, "CHECKPOINT %s", state->database) != OK) {
        log_debug("%s: packing its state: %s", state->flow, err.message);
    }
}

void state_settle(State *state, int64_t batch)
{
    for (size_t i = 0; i < state->n_tables; i++) {
        StateTable *table = &state->tables[i];
        state_files_clear(&table->files);
        table->files = table->next;
        table->next = (StateFiles){.expired = INT64_MIN};
    }
    state->batch = batch;
    state->clean = true;
    sum_figures(state);
    pack(state);
}

Status state_snapshot(State *state, DuckConn *conn, Error *err)
{
    Status rc = OK;

    for (size_t i = 0; state->clean && i < state->n_tables; i++) {
        TRY(state_files_snapshot(state, conn, &state->tables[i], state->batch, err));
    }
    sum_figures(state);
out:
    return rc;
}

void state_figures(const State *state, StateFigures *out)
{
    *out = state->figures;
}
