/* DESCRIBE and SHOW: what tables and the warehouse say of themselves, as queries. */
#include <string.h>

#include "session/session_int.h"
#include "session/statements.h"
#include "table/describe.h"

static void statement_name(const SqlName *target, Text *out)
{
    if (target->path != NULL) {
        text_printf(out, "delta.`%s`", target->path);
    } else {
        text_printf(out, "%s%s%s", target->schema != NULL ? target->schema : "", target->schema != NULL ? "." : "",
                    target->name);
    }
}

/* SHOW TBLPROPERTIES t ('key') */
static Status only_property(const SqlText *text, const SqlStatement *statement, Text *sql, Error *err)
{
    Status rc = OK;
    const char *rest = statement->rest, *key = NULL;
    Text all = TEXT(TEXT_SQL_MAX);

    if (rest == NULL) {
        goto out;
    }
    size_t n = strlen(rest);
    bool brackets = n > 2 && rest[0] == '(' && rest[n - 1] == ')';
    size_t quote = brackets && n > 4 && rest[1] == '\'' && rest[n - 2] == '\'';
    if (!brackets) {
        rc = error_set(err, E_SQL_PARSE, "expected ('key') or the end of SHOW TBLPROPERTIES");
        sql_error_place(err, text, statement->rest_span);
        goto out;
    }
    key = mem_strndup(rest + 1 + quote, n - 2 - 2 * quote);
    text_printf(&all, "SELECT * FROM (%s) WHERE key = ", text_str(sql));
    text_append_sql_string(&all, key);
    text_clear(sql);
    text_append(sql, text_str(&all));
out:
    mem_free((char *)key);
    text_free(&all);
    return rc;
}

/* DESCRIBE and SHOW: the table's own words as a query. */
Status session_run_describe(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                            Error *err)
{
    Status rc = OK;
    DeltaTable *table = NULL;
    Text sql = TEXT(TEXT_SQL_MAX), name = TEXT(1 << 16);
    const SqlName *target = &statement->target;

    TRY(session_target(session, text, target, &table, err));
    if (statement->kind == SQL_DESCRIBE_HISTORY) {
        TRY(table_history_sql(table, statement->limit, &sql, err));
    } else if (statement->kind == SQL_DESCRIBE_DETAIL) {
        TRY(table_detail_sql(table, session->conn, &sql, err));
    } else if (statement->kind == SQL_SHOW_TBLPROPERTIES) {
        TRY(table_properties_sql(table, session->conn, &sql, err));
        TRY(only_property(text, statement, &sql, err));
    } else if (statement->kind == SQL_DESCRIBE_TABLE) {
        statement_name(target, &name);
        TRY(table_columns_sql(table, session->conn, text_str(&name), statement->extended, &sql, err));
    } else {
        statement_name(target, &name);
        TRY(table_definition_sql(table, session->conn, text_str(&name), &sql, err));
    }
    TRY(duck_query(session->conn, text_str(&sql), result, err));
out:
    delta_table_close(table);
    text_free(&sql);
    text_free(&name);
    return rc;
}

typedef struct TableRows {
    Text *sql;
    const char *schema; /* NULL: of all */
    size_t n;
} TableRows;

static Status table_row(void *context, const char *schema, const char *name, const char *location, Error *err)
{
    TableRows *rows = context;
    (void)err;

    if (rows->schema != NULL && !str_ieq(rows->schema, schema)) {
        return OK;
    }
    text_append(rows->sql, rows->n++ == 0 ? "(" : ", (");
    text_append_sql_string(rows->sql, schema);
    text_append(rows->sql, ", ");
    text_append_sql_string(rows->sql, name);
    text_append(rows->sql, ", ");
    text_append_sql_string(rows->sql, location);
    text_append(rows->sql, ")");
    return OK;
}

Status session_run_show_tables(Session *session, const SqlText *text, const SqlStatement *statement,
                               DuckResult **result, Error *err)
{
    Status rc = OK;
    Text sql = TEXT(TEXT_SQL_MAX);
    TableRows rows = {.sql = &sql, .schema = statement->target.schema};
    (void)text;

    text_append(&sql, "SELECT * FROM (VALUES ");
    TRY(warehouse_each(session->warehouse, table_row, &rows, err));
    text_append(&sql, rows.n == 0 ? "('', '', '')) AS t(\"schema\", \"table\", \"location\") WHERE false"
                                  : ") AS t(\"schema\", \"table\", \"location\") ORDER BY ALL");
    TRY(duck_query(session->conn, text_str(&sql), result, err));
out:
    text_free(&sql);
    return rc;
}
