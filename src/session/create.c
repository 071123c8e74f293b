/* CREATE TABLE and DROP TABLE. */
#include "table/create.h"
#include "session/columns.h"
#include "session/session_int.h"
#include "session/statements.h"
#include "sql/query.h"

/* Is there a table of the name already? */
static Status is_known(Session *session, const SqlName *name, bool *known, Error *err)
{
    Status rc = OK;
    DeltaTable *table = NULL;

    if (name->path == NULL) {
        const char *schema = session_schema(session, name->schema);
        TRY(warehouse_check_name(schema, name->name, err));
        TRY(warehouse_table(session->warehouse, schema, name->name, &table, known, err));
    }
out:
    delta_table_close(table);
    return rc;
}

Status session_run_create_table(Session *session, const SqlText *text, const SqlStatement *statement,
                                DuckResult **result, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    DeltaTable *table = NULL;
    DeltaSchema *schema = NULL;
    SqlQuery *query = NULL;
    int64_t rows = 0;
    (void)result;

    if (statement->n_columns > 0) {
        TRY(columns_schema(session->conn, text, statement->columns, statement->n_columns, &schema, err));
    }
    if (statement->has_query) {
        TRY(session_prepare(session, text, statement->query, &query, err));
    }
    TableProperty *properties = arena_alloc(arena, (statement->n_properties + 1) * sizeof *properties);
    for (size_t i = 0; i < statement->n_properties; i++) {
        properties[i] = (TableProperty){statement->properties[i].key, statement->properties[i].value};
    }
    bool known = false;
    TRY(is_known(session, &statement->target, &known, err));
    TRY(session_new_table(session, &statement->target, statement->location, &table, err));
    TableSpec spec = {
        .schema = schema,
        .query = query != NULL ? sql_query_text(query) : NULL,
        .partition_columns = statement->partitioned_by,
        .n_partition_columns = statement->n_partitioned_by,
        .cluster_columns = statement->cluster_by,
        .n_cluster_columns = statement->n_cluster_by,
        .properties = properties,
        .n_properties = statement->n_properties,
        .comment = statement->comment,
        .or_replace = statement->or_replace,
        .must_exist = statement->must_exist,
        .adopt = statement->location != NULL && !known,
        .if_not_exists = statement->if_not_exists,
    };
    rc = table_create(table, session->conn, &spec, &rows, err);
    if (rc != OK && spec.adopt && statement->target.path == NULL) { /* the name is free again for another place */
        (void)warehouse_forget(session->warehouse, session_schema(session, statement->target.schema),
                               statement->target.name, NULL);
    }
    if (rc != OK && query != NULL) {
        sql_query_place(query, duck_error_position(session->conn), err);
    }
out:
    sql_query_free(query);
    delta_schema_unref(schema);
    delta_table_close(table);
    arena_free(arena);
    return rc;
}

Status session_run_drop_table(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                              Error *err)
{
    Status rc = OK;
    const SqlName *name = &statement->target;
    const char *schema = session_schema(session, name->schema);
    DeltaTable *table = NULL;
    Text own = TEXT(4096);
    (void)result;

    rc = session_target(session, text, name, &table, err);
    if (rc == ERR_NOT_FOUND && statement->if_exists) {
        error_clear(err);
        rc = OK;
        goto out;
    }
    if (rc != OK) {
        goto out;
    }
    if (name->path != NULL) {
        rc = error_set(err, E_PIPELINE_STATEMENT, "DROP TABLE takes the name of a table, not a path");
        error_hint(err, "a table without a name is a folder: remove it with the tools for folders");
        goto out;
    }
    /* Files go only with a table that lies where its name puts it. */
    text_printf(&own, "/%s/%s", schema != NULL ? schema : "default", name->name);
    str_lower(own.data);
    TRY(table_drop(table, str_ends(delta_table_uri(table), text_str(&own)), err));
    TRY(warehouse_forget(session->warehouse, schema, name->name, err));
out:
    delta_table_close(table);
    text_free(&own);
    return rc;
}
