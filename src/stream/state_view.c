/* commits/N names the files, freshet-state/<step>/metadata says what is in them. Each step becomes a State without a
 * working copy, whose tables are those of the metadata; state_files.c makes the SELECTs. */
#include "stream/state_view.h"

#include <inttypes.h>
#include <string.h>

#include "stream/checkpoint.h"
#include "stream/state_int.h"

enum { METADATA_BYTES_MAX = 16 << 20, STEPS_MAX = 4096 };

/* A relation that is to be shown. */
typedef struct Shown {
    size_t step;
    const StateTable *table;
    const char *rows; /* SELECT of its columns and _batch */
} Shown;

struct StateView {
    Arena *arena;
    const StateViewSpec *spec; /* while it is opened */
    State *steps;
    StatePlace *places; /* one a step */
    size_t n_steps;
    Shown *shown;
    size_t n_shown, shown_capacity;
    int64_t batch, files, bytes;
    Text sql;
};

/* ---- refusals ---- */

/* "step 0: groups, values_0 (keys: ...); step 1: ..." */
static void append_steps(const StateView *view, Text *out)
{
    for (size_t i = 0; i < view->n_steps; i++) {
        const char *fingerprint = "";
        (void)json_opt_string(view->steps[i].metadata, "fingerprint", &fingerprint, NULL);
        text_printf(out, "%sstep => %zu with ", i ? "; " : "", i);
        for (size_t k = 0; k < view->steps[i].n_tables; k++) {
            text_printf(out, "%srelation => '%s'", k ? ", " : "", view->steps[i].tables[k].name);
        }
        text_printf(out, " (%s)", fingerprint);
    }
}

static Status no_such(const StateView *view, Error *err, const char *what)
{
    Text there = TEXT(ERROR_TEXT_MAX);

    append_steps(view, &there);
    error_set(err, E_STREAM_STATE_NONE, "the state of %s has no %s", view->spec->flow, what);
    error_hint(err, "there is %s", text_str(&there));
    text_free(&there);
    return error_status(err);
}

static Status no_such_batch(const StateView *view, int64_t oldest, int64_t newest, Error *err)
{
    error_set(err, E_STREAM_STATE_NONE, "the state of %s after batch %" PRId64 " is not there", view->spec->flow,
              view->spec->batch);
    error_hint(err, "batches %" PRId64 " to %" PRId64 " are kept; how many is freshet.state.retainBatches", oldest,
               newest);
    return error_status(err);
}

/* ---- what there is ---- */

/* The state object of the batch: files by step. */
static Status read_batch(StateView *view, CommitsEntry **commit, const json_t **state, Error *err)
{
    const StateViewSpec *spec = view->spec;
    int64_t oldest = -1, newest = -1;
    Error local = ERROR_NONE;
    Status rc = checkpoint_look(spec->checkpoint, spec->batch, &oldest, &newest, commit, &local);

    if (rc == ERR_NOT_FOUND && spec->batch >= 0) {
        error_clear(&local);
        TRY(checkpoint_look(spec->checkpoint, -1, &oldest, &newest, commit, err));
        return no_such_batch(view, oldest, newest, err);
    }
    if (rc != OK) {
        *err = local;
        return rc;
    }
    if (!*commit) {
        rc = error_set(err, E_STREAM_STATE_NONE, "%s has not committed a batch yet", spec->flow);
        goto out;
    }
    json_t *found = (*commit)->freshet ? json_object_get((*commit)->freshet, "state") : NULL;
    if (!found) {
        rc = error_set(err, E_STREAM_STATE_NONE, "%s remembers nothing from batch to batch", spec->flow);
        error_hint(err,
                   "groups, keys that were seen and rows of joined streams are remembered; the rest needs no state");
        goto out;
    }
    view->batch = (*commit)->batch;
    *state = found;
out:
    return rc;
}

static Status read_column(StateView *view, DuckConn *conn, const json_t *column, DuckColumnInfo *out, StateShown *shown,
                          Error *err)
{
    const char *name = NULL, *type = NULL;
    DuckColumnInfo *described = NULL;
    size_t n = 0;
    Text sql = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    TRY(json_get_string(column, "name", &name, err));
    TRY(json_get_string(column, "type", &type, err));
    text_printf(&sql, "SELECT CAST(NULL AS %s) AS c", type);
    TRY(duck_describe(conn, text_str(&sql), view->arena, &described, &n, err));
    *out = (DuckColumnInfo){.name = name, .type = described[0].type};
    TRY(json_opt_string(column, "shows", &shown->name, err));
    shown->is_time = json_is_true(json_object_get(column, "time"));
out:
    text_free(&sql);
    return rc;
}

static Status read_table(StateView *view, DuckConn *conn, const json_t *relation, StateTable *table, Error *err)
{
    const char *name = NULL, *expires = NULL;
    json_t *columns = NULL;
    int64_t keys = 0;
    Status rc = OK;

    TRY(json_get_string(relation, "name", &name, err));
    TRY(json_get_i64(relation, "keys", &keys, err));
    TRY(json_opt_string(relation, "expires", &expires, err));
    TRY(json_get_array(relation, "columns", &columns, err));
    size_t n = json_array_size(columns);
    table->name = arena_strdup(view->arena, name);
    table->expires = expires ? arena_strdup(view->arena, expires) : NULL;
    table->columns = arena_alloc(view->arena, (n + 1) * sizeof *table->columns);
    table->shown = arena_alloc(view->arena, (n + 1) * sizeof *table->shown);
    table->n_columns = n;
    table->n_keys = keys >= 0 && (size_t)keys <= n ? (size_t)keys : 0;
    table->files.expired = INT64_MIN;
    for (size_t i = 0; i < n; i++) {
        TRY(read_column(view, conn, json_array_get(columns, i), &table->columns[i], &table->shown[i], err));
    }
out:
    return rc;
}

/* The step's relations, from its metadata. */
static Status read_step(StateView *view, DuckConn *conn, size_t i, Error *err)
{
    State *step = &view->steps[i];
    Text text = TEXT(METADATA_BYTES_MAX);
    char *key = arena_printf(view->arena, "freshet-state/%zu/metadata", i);
    JsonSource source = {.name = key};
    json_t *relations = NULL;
    Status rc = OK;

    *step = (State){.arena = view->arena,
                    .checkpoint = view->spec->checkpoint,
                    .operator= i,
                    .flow = arena_strdup(view->arena, view->spec->flow),
                    .folder = arena_printf(view->arena, "freshet-state/%zu", i)};
    TRY(store_read(step->checkpoint, key, METADATA_BYTES_MAX, &text, NULL, err));
    TRY(json_parse_object(text_str(&text), text.length, &source, &step->metadata, err));
    TRY(json_get_array(step->metadata, "relations", &relations, err));
    size_t n = json_array_size(relations);
    step->tables = arena_alloc(view->arena, (n + 1) * sizeof *step->tables);
    for (size_t k = 0; k < n; k++) {
        TRY(read_table(view, conn, json_array_get(relations, k), &step->tables[k], err));
        step->n_tables++;
    }
out:
    if (rc != OK) {
        (void)error_context(err, "the state of %s", view->spec->flow);
    }
    text_free(&text);
    return rc;
}

/* ---- what is shown ---- */

static Status add_table(StateView *view, size_t step, StateTable *table, const StateFiles *files, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    TRY(state_files_select(&view->steps[step], &view->places[step], table, files, &sql, err));
    view->shown = mem_grow(view->shown, view->n_shown, &view->shown_capacity, sizeof *view->shown);
    view->shown[view->n_shown++] = (Shown){
        .step = step, .table = table, .rows = arena_strdup(view->arena, text_str(&sql))};
    view->files += (int64_t)files->n;
    view->bytes += state_files_bytes(files);
out:
    text_free(&sql);
    return rc;
}

static Status choose_tables(StateView *view, DuckConn *conn, const json_t *state, size_t i, Error *err)
{
    State *step = &view->steps[i];
    StateFiles *files = mem_alloc((step->n_tables + 1) * sizeof *files);
    char key[24];
    Status rc = OK;

    for (size_t k = 0; k < step->n_tables; k++) {
        files[k].expired = INT64_MIN;
    }
    snprintf(key, sizeof key, "%zu", i);
    TRY(state_place_init(&view->places[i], step, conn, err));
    TRY(state_files_parse(step, json_object_get(state, key), files, err));
    for (size_t k = 0; k < step->n_tables; k++) {
        if (!view->spec->relation || str_ieq(view->spec->relation, step->tables[k].name)) {
            TRY(add_table(view, i, &step->tables[k], &files[k], err));
        }
    }
out:
    for (size_t k = 0; k < step->n_tables; k++) {
        state_files_clear(&files[k]);
    }
    mem_free(files);
    return rc;
}

static Status choose(StateView *view, DuckConn *conn, const json_t *state, Error *err)
{
    const StateViewSpec *spec = view->spec;
    Text what = TEXT(4096);
    Status rc = OK;

    if (spec->step >= (int64_t)view->n_steps) {
        text_printf(&what, "step %" PRId64, spec->step);
        rc = no_such(view, err, text_str(&what));
        goto out;
    }
    for (size_t i = 0; i < view->n_steps; i++) {
        if (spec->step < 0 || spec->step == (int64_t)i) {
            TRY(choose_tables(view, conn, state, i, err));
        }
    }
    if (view->n_shown == 0) {
        text_printf(&what, "relation '%s'", spec->relation ? spec->relation : "");
        if (spec->step >= 0) {
            text_printf(&what, " in step %" PRId64, spec->step);
        }
        rc = no_such(view, err, text_str(&what));
    }
out:
    text_free(&what);
    return rc;
}

/* ---- the SELECT ---- */

/* Years 1 to 9999; a mark such as "at the next expiry" is none. */
#define MOMENT "CASE WHEN %s BETWEEN -62135596800000000 AND 253402300799999999 THEN to_timestamp(%s / 1000000.0) END"

static void append_value(const StateTable *table, size_t i, Text *out)
{
    Text name = TEXT(4096);

    text_append_sql_name(&name, table->columns[i].name);
    if (table->shown[i].is_time) {
        text_printf(out, MOMENT, text_str(&name), text_str(&name));
    } else {
        text_append(out, text_str(&name));
    }
    text_free(&name);
}

/* The name under which column i is shown: what people know it by, where no column before it has that name already. */
static const char *shown_name(const StateTable *table, size_t i)
{
    static const char *const OURS[] = {"step", "relation", "batch"};
    const char *name = table->shown[i].name ? table->shown[i].name : table->columns[i].name;
    bool taken = false;

    for (size_t k = 0; k < sizeof OURS / sizeof *OURS; k++) {
        taken = taken || str_ieq(name, OURS[k]);
    }
    for (size_t k = 0; k < i && !taken; k++) {
        taken = str_ieq(name, shown_name(table, k));
    }
    return taken ? table->columns[i].name : name;
}

static bool same_columns(const StateTable *a, const StateTable *b)
{
    bool same = a->n_columns == b->n_columns;

    for (size_t i = 0; same && i < a->n_columns; i++) {
        same = strcmp(shown_name(a, i), shown_name(b, i)) == 0 && a->shown[i].is_time == b->shown[i].is_time;
    }
    return same;
}

static void append_heads(const Shown *shown, Text *out)
{
    text_printf(out, "SELECT %zu AS step, ", shown->step);
    text_append_sql_string(out, shown->table->name);
    text_append(out, " AS relation, \"" STATE_BATCH "\" AS batch");
}

/* The columns, in the types of `first`, the relation all others are like. */
static void append_typed(const Shown *shown, const StateTable *first, Text *out)
{
    append_heads(shown, out);
    for (size_t i = 0; i < shown->table->n_columns; i++) {
        text_append(out, shown->table == first || first->shown[i].is_time ? ", (" : ", CAST(");
        append_value(shown->table, i, out);
        if (shown->table != first && !first->shown[i].is_time) {
            text_append(out, " AS ");
            duck_type_sql(first->columns[i].type, out);
        }
        text_append(out, ") AS ");
        text_append_sql_name(out, shown_name(first, i));
    }
    text_printf(out, " FROM (%s)", shown->rows);
}

/* to_json of the columns from `from` to before `to`. */
static void append_object(const StateTable *table, size_t from, size_t to, const char *name, Text *out)
{
    text_append(out, from < to ? ", to_json({" : ", NULL::JSON");
    for (size_t i = from; i < to; i++) {
        text_append(out, i > from ? ", " : "");
        text_append_sql_string(out, shown_name(table, i));
        text_append(out, ": ");
        append_value(table, i, out);
    }
    text_append(out, from < to ? "}) AS " : " AS ");
    text_append(out, name);
}

static void append_json(const Shown *shown, Text *out)
{
    const StateTable *table = shown->table;
    size_t n_keys = table->n_keys;

    append_heads(shown, out);
    append_object(table, 0, n_keys, "key", out);
    append_object(table, n_keys, table->n_columns, "value", out);
    text_printf(out, " FROM (%s)", shown->rows);
}

static void make_sql(StateView *view)
{
    const StateTable *first = view->shown[0].table;
    bool alike = true;

    for (size_t i = 1; i < view->n_shown; i++) {
        alike = alike && same_columns(first, view->shown[i].table);
    }
    for (size_t i = 0; i < view->n_shown; i++) {
        text_append(&view->sql, i ? " UNION ALL " : "");
        if (alike) {
            append_typed(&view->shown[i], first, &view->sql);
        } else {
            append_json(&view->shown[i], &view->sql);
        }
    }
}

/* ---- open, free ---- */

Status state_view_open(DuckConn *conn, const StateViewSpec *spec, StateView **out, Error *err)
{
    StateView *view = mem_alloc(sizeof *view);
    CommitsEntry *commit = NULL;
    const json_t *state = NULL;
    Status rc = OK;

    *view = (StateView){.arena = arena_new(), .spec = spec, .sql = TEXT(TEXT_SQL_MAX)};
    TRY(read_batch(view, &commit, &state, err));
    size_t n = json_object_size(state) < STEPS_MAX ? json_object_size(state) : STEPS_MAX;
    view->steps = arena_alloc(view->arena, (n + 1) * sizeof *view->steps);
    view->places = arena_alloc(view->arena, (n + 1) * sizeof *view->places);
    for (; view->n_steps < n; view->n_steps++) {
        TRY(read_step(view, conn, view->n_steps, err));
    }
    TRY(choose(view, conn, state, err));
    make_sql(view);
    view->spec = NULL;
    *out = view;
    view = NULL;
out:
    commits_entry_free(commit);
    state_view_free(view);
    return rc;
}

void state_view_free(StateView *view)
{
    if (!view) {
        return;
    }
    for (size_t i = 0; view->steps && i <= view->n_steps; i++) {
        json_decref(view->steps[i].metadata);
        state_place_fini(&view->places[i]);
    }
    mem_free(view->shown);
    text_free(&view->sql);
    arena_free(view->arena);
    mem_free(view);
}

const char *state_view_sql(const StateView *view)
{
    return text_str(&view->sql);
}

int64_t state_view_batch(const StateView *view)
{
    return view->batch;
}

int64_t state_view_files(const StateView *view)
{
    return view->files;
}

int64_t state_view_bytes(const StateView *view)
{
    return view->bytes;
}
