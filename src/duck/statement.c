/* Running statements. */
#define DUCK_DEPRECATED_TOO /* duckdb_pending_prepared_streaming has no successor in DuckDB 1.5 */
#include <stdarg.h>

#include "duck/duck_int.h"

/* Runs `sql`; on success *result is to be destroyed by the caller. */
static Status run(DuckConn *conn, const char *sql, duckdb_result *result, Error *err)
{
    conn->error_position = -1;
    duck_progress_ready(conn);
    if (duckdb_query(conn->handle, sql, result) == DuckDBSuccess) {
        return OK;
    }
    Status rc = duck_error_translate(conn, duckdb_result_error(result), err);
    duckdb_destroy_result(result);
    return rc;
}

Status duck_exec(DuckConn *conn, const char *sql, Error *err)
{
    duckdb_result result;
    Status rc = run(conn, sql, &result, err);
    if (rc == OK) {
        duckdb_destroy_result(&result);
    }
    return rc;
}

Status duck_execf(DuckConn *conn, Error *err, const char *format, ...)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    va_list args;
    va_start(args, format);
    text_vprintf(&sql, format, args);
    va_end(args);
    Status rc = sql.overflow ? error_set(err, E_LIMIT, "a statement is longer than %d bytes", TEXT_SQL_MAX)
                             : duck_exec(conn, text_str(&sql), err);
    text_free(&sql);
    return rc;
}

Status duck_query(DuckConn *conn, const char *sql, DuckResult **out, Error *err)
{
    duckdb_result result;
    Status rc = run(conn, sql, &result, err);
    if (rc == OK && (rc = duck_result_wrap(conn, &result, NULL, out, err)) != OK) {
        duckdb_destroy_result(&result);
    }
    return rc;
}

static Status prepare(DuckConn *conn, const char *sql, duckdb_prepared_statement *statement, Error *err)
{
    conn->error_position = -1;
    duck_progress_ready(conn);
    if (duckdb_prepare(conn->handle, sql, statement) == DuckDBSuccess) {
        return OK;
    }
    Status rc = duck_error_translate(conn, duckdb_prepare_error(*statement), err);
    duckdb_destroy_prepare(statement);
    return rc;
}

Status duck_query_numbers(DuckConn *conn, const char *sql, int64_t *numbers, size_t n, Error *err)
{
    DuckResult *result = NULL;
    bool more = false;
    Status rc = OK;

    TRY(duck_query(conn, sql, &result, err));
    TRY(duck_result_next(result, &more, err));
    for (size_t i = 0; i < n; i++) {
        numbers[i] = more && !duck_result_is_null(result, i) ? duck_result_i64(result, i) : 0;
    }
out:
    duck_result_free(result);
    return rc;
}

Status duck_query_stream(DuckConn *conn, const char *sql, DuckResult **out, Error *err)
{
    duckdb_prepared_statement statement = NULL;
    duckdb_pending_result pending = NULL;
    duckdb_result result;
    Status rc = OK;
    TRY(prepare(conn, sql, &statement, err));
    if (duckdb_pending_prepared_streaming(statement, &pending) != DuckDBSuccess) {
        TRY(duck_error_translate(conn, duckdb_pending_error(pending), err));
    }
    if (duckdb_execute_pending(pending, &result) != DuckDBSuccess) {
        rc = duck_error_translate(conn, duckdb_result_error(&result), err);
        duckdb_destroy_result(&result);
        goto out;
    }
    rc = duck_result_wrap(conn, &result, statement, out, err);
    if (rc == OK) {
        statement = NULL;
    } else {
        duckdb_destroy_result(&result);
    }
out:
    duckdb_destroy_pending(&pending);
    duckdb_destroy_prepare(&statement);
    return rc;
}

Status duck_query_params(DuckConn *conn, const char *sql, const char *const *params, size_t n, DuckResult **out,
                         Error *err)
{
    duckdb_prepared_statement statement = NULL;
    duckdb_result result;
    Status rc = OK;
    TRY(prepare(conn, sql, &statement, err));
    if (duckdb_nparams(statement) != n) {
        rc = error_set(err, E_SQL_BIND, "a statement takes %zu parameters, %zu were given",
                       (size_t)duckdb_nparams(statement), n);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        duckdb_state state = params[i] == NULL ? duckdb_bind_null(statement, i + 1)
                                               : duckdb_bind_varchar(statement, i + 1, params[i]);
        if (state != DuckDBSuccess) {
            rc = error_set(err, E_SQL_BIND, "parameter $%zu cannot be bound: is it UTF-8?", i + 1);
            goto out;
        }
    }
    if (duckdb_execute_prepared(statement, &result) != DuckDBSuccess) {
        rc = duck_error_translate(conn, duckdb_result_error(&result), err);
        duckdb_destroy_result(&result);
        goto out;
    }
    if ((rc = duck_result_wrap(conn, &result, NULL, out, err)) != OK) {
        duckdb_destroy_result(&result);
    }
out:
    duckdb_destroy_prepare(&statement);
    return rc;
}

Status duck_describe(DuckConn *conn, const char *sql, Arena *arena, DuckColumnInfo **columns, size_t *n, Error *err)
{
    duckdb_prepared_statement statement = NULL;
    Status rc = OK;
    TRY(prepare(conn, sql, &statement, err));
    size_t count = (size_t)duckdb_prepared_statement_column_count(statement);
    DuckColumnInfo *infos = arena_alloc(arena, (count + 1) * sizeof *infos);
    for (size_t i = 0; i < count; i++) {
        const char *name = duckdb_prepared_statement_column_name(statement, i);
        infos[i].name = arena_strdup(arena, name == NULL ? "" : name);
        duckdb_free((void *)(uintptr_t)name);
        duckdb_logical_type logical = duckdb_prepared_statement_column_logical_type(statement, i);
        rc = duck_type_from_logical(logical, arena, &infos[i].type, err);
        duckdb_destroy_logical_type(&logical);
        if (rc != OK) {
            error_context(err, "column %s", infos[i].name);
            goto out;
        }
    }
    *columns = infos;
    *n = count;
out:
    duckdb_destroy_prepare(&statement);
    return rc;
}

/* ---- bare NULLs ---- */

/* DuckDB calls a bare NULL INTEGER where a query ends. In a UNION with a smaller type it still takes that one, which an
 * INTEGER does not: `probe` is the type with BOOLEAN for INTEGER. */
static const DuckType *probe_type(const DuckType *type, Arena *arena, bool *any)
{
    DuckType *probe = arena_alloc(arena, sizeof *probe);
    DuckTypeMember *members = arena_alloc(arena, (type->n_members + 1) * sizeof *members);

    *probe = *type;
    for (size_t i = 0; i < type->n_members; i++) {
        members[i] = type->members[i];
        if (members[i].type != NULL) {
            members[i].type = probe_type(type->members[i].type, arena, any);
        }
    }
    probe->members = members;
    if (type->id == DUCK_INTEGER) {
        probe->id = DUCK_BOOLEAN;
        *any = true;
    }
    return probe;
}

/* The type with bare_null where the probe was taken. */
static const DuckType *mark_nulls(const DuckType *type, const DuckType *probed, Arena *arena)
{
    DuckType *marked = arena_alloc(arena, sizeof *marked);
    DuckTypeMember *members = arena_alloc(arena, (type->n_members + 1) * sizeof *members);

    *marked = *type;
    marked->bare_null = type->id == DUCK_INTEGER && probed->id == DUCK_BOOLEAN;
    if (probed->id != type->id || probed->n_members != type->n_members) {
        return marked;
    }
    for (size_t i = 0; i < type->n_members; i++) {
        members[i] = type->members[i];
        if (members[i].type != NULL) {
            members[i].type = mark_nulls(type->members[i].type, probed->members[i].type, arena);
        }
    }
    marked->members = members;
    return marked;
}

Status duck_describe_nulls(DuckConn *conn, const char *sql, Arena *arena, DuckColumnInfo **columns, size_t *n,
                           Error *err)
{
    Status rc = OK;
    Text probe = TEXT(TEXT_SQL_MAX);
    DuckColumnInfo *probed = NULL;
    size_t n_probed = 0;
    bool any = false;

    TRY(duck_describe(conn, sql, arena, columns, n, err));
    /* a query with CTEs of its own forgets its NULLs when it is put into brackets */
    bool with = str_istarts(sql + strspn(sql, " \t\r\n"), "WITH ");
    text_printf(&probe, with ? "%s\nUNION ALL SELECT " : "FROM (%s\n) UNION ALL SELECT ", sql);
    for (size_t i = 0; i < *n; i++) {
        bool here = false;
        const DuckType *type = probe_type((*columns)[i].type, arena, &here);
        text_append(&probe, i > 0 ? ", NULL" : "NULL");
        if (here) {
            text_append(&probe, "::");
            duck_type_sql(type, &probe);
        }
        any = any || here;
    }
    text_append(&probe, " WHERE false");
    /* a query that cannot be asked so has its types as they are */
    if (any && duck_describe(conn, text_str(&probe), arena, &probed, &n_probed, NULL) == OK && n_probed == *n) {
        for (size_t i = 0; i < *n; i++) {
            (*columns)[i].type = mark_nulls((*columns)[i].type, probed[i].type, arena);
        }
    }
out:
    text_free(&probe);
    return rc;
}

bool duck_type_has_bare_null(const DuckType *type)
{
    bool has = type->bare_null;

    for (size_t i = 0; i < type->n_members && !has; i++) {
        has = type->members[i].type != NULL && duck_type_has_bare_null(type->members[i].type);
    }
    return has;
}

Status duck_exec_changed(DuckConn *conn, const char *sql, int64_t *changed, Error *err)
{
    DuckResult *result = NULL;
    Status rc = duck_query(conn, sql, &result, err);

    if (rc == OK) {
        *changed = duck_result_changed(result);
    }
    duck_result_free(result);
    return rc;
}
