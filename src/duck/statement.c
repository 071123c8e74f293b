/* Running statements. */
#define DUCK_DEPRECATED_TOO /* duckdb_pending_prepared_streaming has no successor in DuckDB 1.5 */
#include <stdarg.h>

#include "duck/duck_int.h"

/* Runs `sql`; on success *result is to be destroyed by the caller. */
static Status run(DuckConn *conn, const char *sql, duckdb_result *result, Error *err)
{
    conn->error_position = -1;
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
    if (duckdb_prepare(conn->handle, sql, statement) == DuckDBSuccess) {
        return OK;
    }
    Status rc = duck_error_translate(conn, duckdb_prepare_error(*statement), err);
    duckdb_destroy_prepare(statement);
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
