#include "table/rows.h"

#include <string.h>

#include "base/json.h"
#include "delta/constraint.h"

void table_rows_shape(const DeltaSchema *schema, Text *out)
{
    text_append(out, "SELECT ");
    for (size_t i = 0; i < schema->n_fields; i++) {
        text_append(out, i ? ", CAST(NULL AS " : "CAST(NULL AS ");
        delta_type_sql(schema->fields[i].type, out);
        text_append(out, ") AS ");
        text_append_sql_name(out, schema->fields[i].name);
    }
    text_append(out, " WHERE false");
}

Status table_rows_cast(DuckConn *conn, const DeltaSchema *schema, const char *query, const char *const *extra,
                       Text *out, Error *err)
{
    Status rc = OK;
    DeltaSchema *grown = NULL;
    Text select = TEXT(TEXT_SQL_MAX);

    TRY(delta_schema_reconcile_query(schema, conn, query, extra, DELTA_MERGE_NONE, &select, &grown, err));
    text_append(out, "SELECT ");
    text_append(out, text_str(&select));
    for (size_t i = 0; extra != NULL && extra[i] != NULL; i++) {
        text_printf(out, ", %s", extra[i]);
    }
    text_append(out, " FROM (");
    text_append(out, query);
    text_append(out, "\n)");
out:
    delta_schema_unref(grown);
    text_free(&select);
    return rc;
}

void table_rows_typed(const DeltaField *field, const char *expression, Text *out)
{
    text_printf(out, "CAST((%s) AS ", expression);
    delta_type_sql(field->type, out);
    text_append(out, ")");
}

Status table_rows_default(const DeltaField *field, Text *out, Error *err)
{
    Status rc = OK;
    json_t *metadata = NULL;
    const char *expression = NULL;
    JsonSource source = {.name = "the metadata of a column"};
    Text sql = TEXT(1 << 20);

    TRY(json_parse_object(field->metadata, strlen(field->metadata), &source, &metadata, err));
    TRY(json_opt_string(metadata, "CURRENT_DEFAULT", &expression, err));
    if (expression != NULL && !delta_spark_sql(expression, &sql)) {
        rc = error_set(err, E_DELTA_PROTOCOL_WRITE, "the default of column \"%s\" cannot be evaluated: %s", field->name,
                       expression);
        error_hint(err, "give the column a value in the statement");
        goto out;
    }
    table_rows_typed(field, expression != NULL ? text_str(&sql) : "NULL", out);
out:
    text_free(&sql);
    json_decref(metadata);
    return rc;
}

Status table_rows_column(const DeltaSchema *schema, const char *name, size_t *index, Error *err)
{
    for (size_t i = 0; i < schema->n_fields; i++) {
        if (str_ieq(schema->fields[i].name, name)) {
            *index = i;
            return OK;
        }
    }
    Status rc = error_set(err, E_DELTA_SCHEMA, "the table has no column \"%s\"", name);
    const char **names = mem_alloc((schema->n_fields + 1) * sizeof *names);
    for (size_t i = 0; i < schema->n_fields; i++) {
        names[i] = schema->fields[i].name;
    }
    const char *nearest = error_nearest(name, names, schema->n_fields);
    if (nearest != NULL) {
        error_hint(err, "did you mean \"%s\"?", nearest);
    }
    mem_free(names);
    return rc;
}

Status table_rows_number(DuckConn *conn, const char *sql, int64_t *out, Error *err)
{
    Status rc = OK;
    DuckResult *result = NULL;
    bool more = false;

    TRY(duck_query(conn, sql, &result, err));
    TRY(duck_result_next(result, &more, err));
    *out = more && !duck_result_is_null(result, 0) ? duck_result_i64(result, 0) : 0;
out:
    duck_result_free(result);
    return rc;
}
