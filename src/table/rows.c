#include "table/rows.h"

#include <string.h>

#include "delta/column_default.h"

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
    DeltaSchema *grown = NULL;
    Status rc = delta_rows_sql(conn, schema, query, extra, DELTA_MERGE_NONE, out, &grown, err);

    delta_schema_unref(grown);
    return rc;
}

void table_rows_typed(const DeltaField *field, const char *expression, Text *out)
{
    text_printf(out, "CAST((%s) AS ", expression);
    delta_type_sql(field->type, out);
    text_append(out, ")");
}

Status table_rows_default(DuckConn *conn, const DeltaField *field, Text *out, Error *err)
{
    return delta_column_value_sql(conn, field, out, err);
}

bool table_rows_is_generated(const DeltaField *field)
{
    Arena *arena = arena_new();
    bool is = delta_generation_expression(arena, field) != NULL;

    arena_free(arena);
    return is;
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
