/* Temporary tables of an upsert:
 *
 *   freshet_upsert_rows   the query's rows, as columns of the table
 *   freshet_upsert_keys   their keys and those that vanished
 *   freshet_upsert_old    rows of the table with such a key, and where they are
 *   freshet_upsert_same   those of them that stay, because a new row is the same
 *
 * Which files are read is decided by the smallest and largest key: groups of windows are few and recent, so a batch
 * costs what it touches.
 */
#include "table/upsert.h"

#include "table/rewrite.h"
#include "table/rows.h"

typedef struct Upsert {
    const TableUpsert *is;
    TableRewrite *w;
    bool evolved;
    TableUpsertResult done;
} Upsert;

/* a."k" IS NOT DISTINCT FROM b."k" AND ... of columns named by `name`. */
static void append_equal(const char *a, const char *b, const char *name, bool more, Text *sql)
{
    text_printf(sql, more ? " AND %s." : "%s.", a);
    text_append_sql_name(sql, name);
    text_printf(sql, " IS NOT DISTINCT FROM %s.", b);
    text_append_sql_name(sql, name);
}

static void append_same_key(const Upsert *u, const char *a, const char *b, Text *sql)
{
    for (size_t i = 0; i < u->is->n_keys; i++) {
        append_equal(a, b, u->is->keys[i], i > 0, sql);
    }
}

static void append_same_row(const Upsert *u, const char *a, const char *b, Text *sql)
{
    for (size_t i = 0; i < u->w->scanned->n_fields; i++) {
        append_equal(a, b, u->w->scanned->fields[i].name, i > 0, sql);
    }
    text_append(sql, u->evolved ? " AND false" : "");
}

static void append_columns(const DeltaSchema *schema, const char *of, Text *sql)
{
    for (size_t i = 0; i < schema->n_fields; i++) {
        text_printf(sql, i > 0 ? ", %s." : "%s.", of);
        text_append_sql_name(sql, schema->fields[i].name);
    }
}

/* ---- the new rows ---- */

static Status read_rows(Upsert *u, Error *err)
{
    Text select = TEXT(TEXT_SQL_MAX), sql = TEXT(TEXT_SQL_MAX);
    DeltaSchema *evolved = NULL;
    Status rc = OK;

    TRY(delta_schema_reconcile_query(u->w->schema, u->w->conn, u->is->query, NULL, u->is->merge_schema, &select,
                                     &evolved, err));
    if (evolved) {
        TRY(table_rewrite_evolve(u->w, evolved, err));
        u->evolved = true;
    }
    text_append(&sql, "CREATE OR REPLACE TEMP TABLE freshet_upsert_rows AS ");
    TRY(table_rows_cast(u->w->conn, u->w->schema, u->is->query, NULL, &sql, err));
    TRY(duck_exec(u->w->conn, text_str(&sql), err));
    if (u->is->verify) {
        TRY(u->is->verify(u->is->context, err));
    }
out:
    delta_schema_unref(evolved);
    text_free(&select);
    text_free(&sql);
    return rc;
}

static Status make_keys(Upsert *u, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    text_append(&sql, "CREATE OR REPLACE TEMP TABLE freshet_upsert_keys AS SELECT ");
    for (size_t i = 0; i < u->is->n_keys; i++) {
        text_append(&sql, i > 0 ? ", " : "");
        text_append_sql_name(&sql, u->is->keys[i]);
    }
    text_append(&sql, " FROM temp.freshet_upsert_rows");
    if (u->is->vanished) {
        text_printf(&sql, " UNION ALL BY NAME SELECT * FROM (%s)", u->is->vanished);
    }
    Status rc = duck_exec(u->w->conn, text_str(&sql), err);
    text_free(&sql);
    return rc;
}

/* ---- which files ---- */

/* The path whose smallest and largest value bound the key: the key itself or the start of a window. */
static const char *const *bounded_path(const Upsert *u, const char *key, size_t *n)
{
    static const DeltaTypeId BOUNDED[] = {DELTA_BYTE, DELTA_SHORT,  DELTA_INTEGER,   DELTA_LONG,
                                          DELTA_DATE, DELTA_STRING, DELTA_TIMESTAMP, DELTA_TIMESTAMP_NTZ};
    const DeltaField *field = delta_schema_find(u->w->scanned, key);
    const char **path = arena_alloc(u->w->arena, 2 * sizeof *path);

    *n = 1;
    path[0] = field ? field->name : key;
    const DeltaType *type = field ? field->type : NULL;
    if (type && type->id == DELTA_STRUCT) {
        for (size_t i = 0; i < type->n_fields && *n == 1; i++) {
            if (str_ieq(type->fields[i].name, "start")) {
                path[1] = type->fields[i].name;
                type = type->fields[i].type;
                *n = 2;
            }
        }
    }
    for (size_t i = 0; type && i < sizeof BOUNDED / sizeof *BOUNDED; i++) {
        if (type->id == BOUNDED[i]) {
            return path;
        }
    }
    return NULL;
}

static void append_path(const char *const *path, size_t n, Text *sql)
{
    for (size_t i = 0; i < n; i++) {
        text_append(sql, i > 0 ? "." : "k.");
        text_append_sql_name(sql, path[i]);
    }
}

/* Adds two predicates where no key is NULL. */
static Status bound_key(const Upsert *u, const char *key, DeltaPredicate *predicates, size_t *n, Error *err)
{
    Text sql = TEXT(65536), at = TEXT(4096);
    DuckResult *result = NULL;
    size_t n_path = 0;
    const char *const *path = bounded_path(u, key, &n_path);
    bool more = false;
    Status rc = OK;

    if (!path) {
        goto out;
    }
    append_path(path, n_path, &at);
    text_printf(&sql, "SELECT count(*) - count(%s), ", text_str(&at));
    text_printf(&sql,
                "'''' || replace(min(%s)::VARCHAR, '''', '''''') || '''::' || typeof(min(%s)), "
                "'''' || replace(max(%s)::VARCHAR, '''', '''''') || '''::' || typeof(max(%s)) "
                "FROM temp.freshet_upsert_keys AS k",
                text_str(&at), text_str(&at), text_str(&at), text_str(&at));
    TRY(duck_query(u->w->conn, text_str(&sql), &result, err));
    TRY(duck_result_next(result, &more, err));
    if (duck_result_i64(result, 0) != 0 || duck_result_is_null(result, 1)) {
        goto out;
    }
    for (size_t i = 0; i < 2; i++) {
        const char **value = arena_alloc(u->w->arena, sizeof *value);
        size_t length = 0;
        const char *text = duck_result_text(result, i + 1, &length);
        *value = arena_strndup(u->w->arena, text, length);
        predicates[(*n)++] = (DeltaPredicate){.column = path,
                                              .n_column = n_path,
                                              .compare = i == 0 ? DELTA_GE : DELTA_LE,
                                              .values = value,
                                              .n_values = 1};
    }
out:
    duck_result_free(result);
    text_free(&sql);
    text_free(&at);
    return rc;
}

static Status choose_files(Upsert *u, Error *err)
{
    DeltaPredicate *predicates = arena_alloc(u->w->arena, (2 * u->is->n_keys + 1) * sizeof *predicates);
    size_t n = 0;
    Status rc = OK;

    for (size_t i = 0; i < u->is->n_keys; i++) {
        TRY(bound_key(u, u->is->keys[i], predicates, &n, err));
    }
    TRY(table_rewrite_scan(u->w, predicates, n, err));
out:
    return rc;
}

/* ---- rows of some keys: what goes, what stays ---- */

/* A key that the table does not have; NULL: none. */
static const char *unknown_key(const Upsert *u)
{
    for (size_t i = 0; i < u->is->n_keys; i++) {
        if (!delta_schema_find(u->w->scanned, u->is->keys[i])) {
            return u->is->keys[i];
        }
    }
    return NULL;
}

/* By a key that is new no row can be found, which is right where there is none. */
static Status check_keys(const Upsert *u, Error *err)
{
    const char *key = unknown_key(u);

    if (!key || u->w->n_files == 0) {
        return OK;
    }
    error_set(err, E_DELTA_SCHEMA, "the table has no column \"%s\", by which the rows to be replaced would be found",
              key);
    error_hint(err, "a column that was renamed can keep its old name, or be renamed in the table by ALTER TABLE; "
                    "--full-refresh makes the rows anew");
    return error_status(err);
}

static Status find_old(Upsert *u, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    text_append(&sql, "CREATE OR REPLACE TEMP TABLE freshet_upsert_old AS SELECT t.* FROM ");
    text_append_char(&sql, '(');
    table_rewrite_rows(u->w, &sql);
    text_append(&sql, ") AS t SEMI JOIN temp.freshet_upsert_keys AS k ON ");
    if (unknown_key(u)) {
        text_append(&sql, "false");
    } else {
        append_same_key(u, "t", "k", &sql);
    }
    TRY(duck_exec(u->w->conn, text_str(&sql), err));
    text_clear(&sql);
    text_append(&sql, "CREATE OR REPLACE TEMP TABLE freshet_upsert_same AS SELECT o.freshet_file, o.freshet_row FROM "
                      "temp.freshet_upsert_old AS o SEMI JOIN temp.freshet_upsert_rows AS r ON ");
    append_same_row(u, "o", "r", &sql);
    TRY(duck_exec(u->w->conn, text_str(&sql), err));
out:
    text_free(&sql);
    return rc;
}

#define GOING                                                                  \
    "temp.freshet_upsert_old AS o ANTI JOIN temp.freshet_upsert_same AS s ON " \
    "o.freshet_file = s.freshet_file AND o.freshet_row = s.freshet_row"

/* The rows that are not there yet. */
static void append_coming(const Upsert *u, Text *sql)
{
    text_append(sql, "temp.freshet_upsert_rows AS r ANTI JOIN temp.freshet_upsert_old AS o ON ");
    append_same_row(u, "r", "o", sql);
}

static void append_change(const Upsert *u, const char *row, const char *other, const char *both, const char *one,
                          Text *sql)
{
    text_printf(sql, ", CASE WHEN EXISTS (SELECT 1 FROM temp.freshet_upsert_%s AS x WHERE ", other);
    append_same_key(u, "x", row, sql);
    text_printf(sql, ") THEN '%s' ELSE '%s' END AS _change_type FROM ", both, one);
}

/* For the change feed. */
static void append_changes(const Upsert *u, Text *sql)
{
    text_append(sql, "SELECT ");
    append_columns(u->w->scanned, "o", sql);
    append_change(u, "o", "rows", "update_preimage", "delete", sql);
    text_append(sql, GOING " UNION ALL BY NAME SELECT ");
    append_columns(u->w->schema, "r", sql);
    append_change(u, "r", "old", "update_postimage", "insert", sql);
    append_coming(u, sql);
}

static Status apply(Upsert *u, Error *err)
{
    Text rows = TEXT(TEXT_SQL_MAX), changes = TEXT(TEXT_SQL_MAX), sql = TEXT(TEXT_SQL_MAX);
    int64_t coming = 0;
    Status rc = OK;

    TRY(table_rewrite_mark(u->w, "SELECT o.freshet_file, o.freshet_row FROM " GOING, &u->done.removed, err));
    text_append(&sql, "SELECT count(*) FROM ");
    append_coming(u, &sql);
    TRY(duck_query_numbers(u->w->conn, text_str(&sql), &coming, 1, err));
    text_append(&rows, "SELECT ");
    append_columns(u->w->schema, "r", &rows);
    table_rewrite_ids(u->w, true, &rows);
    text_append(&rows, " FROM ");
    append_coming(u, &rows);
    if (u->w->feed && u->done.removed > 0) {
        append_changes(u, &changes);
    }
    TRY(table_rewrite_apply(u->w, coming > 0 ? text_str(&rows) : NULL, changes.length > 0 ? text_str(&changes) : NULL,
                            err));
    u->done.rows = coming;
    u->done.files = u->w->files_added;
    u->done.bytes = u->w->bytes_added;
    u->done.files_removed = u->w->files_removed;
out:
    text_free(&rows);
    text_free(&changes);
    text_free(&sql);
    return rc;
}

static Status replace_some(Upsert *u, Error *err)
{
    Status rc = OK;

    TRY(make_keys(u, err));
    TRY(choose_files(u, err));
    TRY(check_keys(u, err));
    TRY(find_old(u, err));
    TRY(apply(u, err));
out:
    return rc;
}

/* ---- all rows ---- */

/* Is the table what the rows say, as a multiset? */
static Status is_same(Upsert *u, bool *same, Error *err)
{
    Text old = TEXT(TEXT_SQL_MAX), sql = TEXT(TEXT_SQL_MAX);
    int64_t differing = 0;
    Status rc = OK;

    TRY(table_rewrite_scan(u->w, NULL, 0, err));
    text_append(&old, "(SELECT ");
    append_columns(u->w->scanned, "t", &old);
    text_append(&old, " FROM (");
    table_rewrite_rows(u->w, &old);
    text_append(&old, ") AS t)");
    text_printf(&sql,
                "SELECT (SELECT count(*) FROM (FROM temp.freshet_upsert_rows EXCEPT ALL FROM %s)) + "
                "(SELECT count(*) FROM (FROM %s EXCEPT ALL FROM temp.freshet_upsert_rows))",
                text_str(&old), text_str(&old));
    TRY(duck_query_numbers(u->w->conn, text_str(&sql), &differing, 1, err));
    *same = differing == 0;
out:
    text_free(&old);
    text_free(&sql);
    return rc;
}

static Status replace_all(Upsert *u, Error *err)
{
    const DeltaWriteOptions options = {0};
    DeltaWriteResult written = {0};
    bool same = false;
    Status rc = OK;

    if (!u->evolved) {
        TRY(is_same(u, &same, err));
    }
    if (same) {
        goto out;
    }
    TRY(delta_write_remove_all(u->w->txn, u->w->conn, &u->done.files_removed, err));
    TRY(delta_write_query(u->w->txn, u->w->conn, "SELECT * FROM temp.freshet_upsert_rows", &options, &written, err));
    u->done.rows = written.rows;
    u->done.files = written.files;
    u->done.bytes = written.bytes;
    u->done.removed = -1;
out:
    return rc;
}

/* ---- the upsert ---- */

static Status commit(Upsert *u, Error *err)
{
    Status rc = OK;

    if (u->done.rows == 0 && u->done.removed == 0 && !u->evolved) {
        goto out;
    }
    delta_transaction_set_app(u->w->txn, u->is->app_id, u->is->app_version);
    if (u->is->ready) {
        TRY(u->is->ready(u->is->context, u->w->txn, &u->done, err));
    }
    TRY(delta_transaction_commit(u->w->txn, &u->done.version, err));
out:
    return rc;
}

static void drop_tables(DuckConn *conn)
{
    static const char *const TABLES[] = {"rows", "keys", "old", "same"};

    for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; i++) {
        (void)duck_execf(conn, NULL, "DROP TABLE IF EXISTS temp.freshet_upsert_%s", TABLES[i]);
    }
}

Status table_upsert(DeltaTable *table, DuckConn *conn, const TableUpsert *upsert, TableUpsertResult *result, Error *err)
{
    Upsert u = {.is = upsert, .done = {.version = -1}};
    Status rc = OK;

    TRY(table_rewrite_open(table, conn, &u.w, err));
    if (delta_transaction_read_app(u.w->txn, upsert->app_id) >= upsert->app_version) {
        u.done.duplicate = true;
        *result = u.done;
        goto out;
    }
    TRY(read_rows(&u, err));
    TRY(upsert->all ? replace_all(&u, err) : replace_some(&u, err));
    TRY(commit(&u, err));
    *result = u.done;
out:
    drop_tables(conn);
    table_rewrite_close(u.w);
    return rc;
}
