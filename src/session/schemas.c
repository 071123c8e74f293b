/* CREATE SCHEMA, DROP SCHEMA, USE and SHOW SCHEMAS: the schemas of the warehouse. */
#include "session/session_int.h"
#include "session/statements.h"

Status session_run_create_schema(Session *session, const SqlText *text, const SqlStatement *statement,
                                 DuckResult **result, Error *err)
{
    const char *schema = statement->target.schema;
    Status rc = OK;
    bool exists = false;
    (void)result;

    TRY(warehouse_has_schema(session->warehouse, schema, &exists, err));
    if (!exists || !statement->if_not_exists) {
        TRY(warehouse_create_schema(session->warehouse, schema, err));
    }
out:
    if (rc != OK) {
        sql_error_place(err, text, statement->target.span);
    }
    return rc;
}

Status session_run_drop_schema(Session *session, const SqlText *text, const SqlStatement *statement,
                               DuckResult **result, Error *err)
{
    const char *schema = statement->target.schema;
    Status rc = OK;
    bool exists = false;
    (void)result;

    TRY(warehouse_has_schema(session->warehouse, schema, &exists, err));
    if (exists || !statement->if_exists) {
        TRY(warehouse_drop_schema(session->warehouse, schema, err));
    }
    if (session->schema != NULL && str_ieq(session->schema, schema)) {
        mem_free(session->schema);
        session->schema = NULL;
    }
out:
    if (rc != OK) {
        sql_error_place(err, text, statement->target.span);
    }
    return rc;
}

/* A schema of the warehouse, or else a database that was attached to DuckDB, which then gives its own tables. */
Status session_run_use(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                       Error *err)
{
    const char *schema = statement->target.schema;
    Text sql = TEXT(4096);
    Status rc = OK;
    bool exists = false;
    (void)result;

    TRY(warehouse_has_schema(session->warehouse, schema, &exists, err));
    if (!exists) {
        text_append(&sql, "USE ");
        text_append_sql_name(&sql, schema);
        if (duck_exec(session->conn, text_str(&sql), NULL) != OK) {
            rc = error_set(err, E_PIPELINE_SCHEMA, "there is no schema %s in %s", schema,
                           warehouse_uri(session->warehouse));
            error_hint(err, "CREATE SCHEMA %s makes it; SHOW SCHEMAS lists those that are there", schema);
            goto out;
        }
    }
    mem_free(session->schema);
    session->schema = exists ? mem_strdup(schema) : NULL;
out:
    if (rc != OK) {
        sql_error_place(err, text, statement->target.span);
    }
    text_free(&sql);
    return rc;
}

static Status schema_row(void *context, const char *schema, Error *err)
{
    Text *sql = context;
    (void)err;

    text_append(sql, str_ends(text_str(sql), ")") ? ", (" : "(");
    text_append_sql_string(sql, schema);
    text_append(sql, ")");
    return OK;
}

Status session_run_show_schemas(Session *session, const SqlText *text, const SqlStatement *statement,
                                DuckResult **result, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    Status rc = OK;
    (void)text;
    (void)statement;

    text_append(&sql, "SELECT * FROM (VALUES ");
    TRY(warehouse_each_schema(session->warehouse, schema_row, &sql, err));
    text_append(&sql, ") AS t(\"schema\") ORDER BY ALL");
    TRY(duck_query(session->conn, text_str(&sql), result, err));
out:
    text_free(&sql);
    return rc;
}
