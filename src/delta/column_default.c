#include "delta/column_default_int.h"

#include <string.h>

#include "delta/constraint.h"
#include "delta/schema_int.h"

const char *delta_column_default(Arena *arena, const DeltaField *field)
{
    return delta_field_metadata(arena, field, DELTA_CURRENT_DEFAULT);
}

const char *delta_generation_expression(Arena *arena, const DeltaField *field)
{
    return delta_field_metadata(arena, field, DELTA_GENERATION);
}

/* ---- expressions ---- */

/* A SELECT of the expression over no rows of the columns; `without`: one that is not there. */
bool delta_expression_binds(DuckConn *conn, const DeltaField *fields, size_t n, const DeltaField *without,
                            const char *sql, const DeltaType *type, Error *why)
{
    Arena *arena = arena_new();
    DuckColumnInfo *info = NULL;
    size_t n_info = 0, listed = 0;
    Text query = TEXT(TEXT_SQL_MAX);

    text_printf(&query, "SELECT CAST((%s) AS ", sql);
    delta_type_sql(type, &query);
    text_append(&query, ")");
    for (size_t i = 0; i < n; i++) {
        if (&fields[i] == without) {
            continue;
        }
        text_append(&query, listed++ > 0 ? ", CAST(NULL AS " : " FROM (SELECT CAST(NULL AS ");
        delta_type_sql(fields[i].type, &query);
        text_append(&query, ") AS ");
        text_append_sql_name(&query, fields[i].name);
    }
    text_append(&query, listed > 0 ? ")" : "");
    bool ok = duck_describe(conn, text_str(&query), arena, &info, &n_info, why) == OK;
    text_free(&query);
    arena_free(arena);
    return ok;
}

Status delta_expression_refuse(const DeltaField *field, const char *what, const char *expression, const Error *why,
                               Error *err)
{
    bool said = why != NULL && why->id != E_NONE;
    Status rc = error_set(err, E_DELTA_PROTOCOL_WRITE, "the %s of column \"%s\" cannot be evaluated: %s%s%s", what,
                          field->name, expression, said ? ": " : "", said ? why->message : "");

    if (said) {
        error_hint(err, "%s", why->hint);
    } else {
        error_hint(err,
                   "it has to mean the same to Spark and DuckDB: no comments, backslashes or literals with a type");
    }
    return rc;
}

Status delta_check_default(DuckConn *conn, const DeltaField *field, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    const char *expression = delta_column_default(arena, field);
    Text sql = TEXT(1 << 20);
    Error why = ERROR_NONE;

    if (!delta_spark_sql(expression, &sql) ||
        !delta_expression_binds(conn, NULL, 0, NULL, text_str(&sql), field->type, &why)) {
        rc = delta_expression_refuse(field, "default", expression, &why, err);
        error_klass(err, "INVALID_DEFAULT_VALUE");
        if (why.id == E_SQL_BIND && strstr(why.message, "olumn") != NULL) {
            error_hint(err, "a default stands for itself: it names no columns; GENERATED ALWAYS AS does");
        }
    }
    text_free(&sql);
    arena_free(arena);
    return rc;
}

Status delta_check_columns(DuckConn *conn, const DeltaSchema *schema, const char *const *partition_columns, size_t n,
                           Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < schema->n_fields; i++) {
        const DeltaField *field = &schema->fields[i];
        if (delta_field_has_metadata(field, DELTA_GENERATION)) {
            TRY(delta_generated_check(conn, schema, field, err));
        }
        if (delta_field_has_metadata(field, DELTA_CURRENT_DEFAULT)) {
            TRY(delta_check_default(conn, field, err));
        }
        if (delta_is_identity(field)) {
            TRY(delta_identity_check(field, partition_columns, n, err));
        }
    }
out:
    return rc;
}

/* ---- values that are not given ---- */

static Status default_sql(const DeltaField *field, Text *out, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    const char *expression = delta_column_default(arena, field);
    Text sql = TEXT(1 << 20);

    if (expression != NULL && !delta_spark_sql(expression, &sql)) {
        TRY(delta_expression_refuse(field, "default", expression, NULL, err));
    }
    text_printf(out, "CAST((%s) AS ", expression != NULL ? text_str(&sql) : "NULL");
    delta_type_sql(field->type, out);
    text_append(out, ")");
out:
    text_free(&sql);
    arena_free(arena);
    return rc;
}

Status delta_column_value_sql(DuckConn *conn, const DeltaField *field, Text *out, Error *err)
{
    return delta_is_identity(field) ? delta_identity_sql(conn, field, out, err) : default_sql(field, out, err);
}

static bool has_computed(const DeltaSchema *schema)
{
    for (size_t i = 0; i < schema->n_fields; i++) {
        if (delta_field_has_metadata(&schema->fields[i], DELTA_GENERATION) || delta_is_identity(&schema->fields[i])) {
            return true;
        }
    }
    return false;
}

static bool is_given(const DuckColumnInfo *columns, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_ieq(columns[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* "value AS name, ..." for the generated and identity columns that the query does not give. */
static Status computed_sql(DuckConn *conn, const DeltaSchema *schema, const DuckColumnInfo *columns, size_t n,
                           Arena *arena, Text *out, Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < schema->n_fields; i++) {
        const DeltaField *field = &schema->fields[i];
        const char *sql = NULL;
        bool generated = delta_field_has_metadata(field, DELTA_GENERATION);
        if ((!generated && !delta_is_identity(field)) || is_given(columns, n, field->name)) {
            continue;
        }
        text_append(out, out->length > 0 ? ", " : "");
        if (generated) {
            TRY(delta_generated_sql(conn, schema, field, arena, &sql, err));
            text_printf(out, "CAST((%s) AS ", sql);
            delta_type_sql(field->type, out);
            text_append(out, ")");
        } else {
            TRY(delta_identity_sql(conn, field, out, err));
        }
        text_append(out, " AS ");
        text_append_sql_name(out, field->name);
    }
out:
    return rc;
}

Status delta_rows_sql(DuckConn *conn, const DeltaSchema *schema, const char *query, const char *const *extra,
                      DeltaMerge merge, Text *out, DeltaSchema **evolved, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    DuckColumnInfo *columns = NULL;
    size_t n = 0;
    DeltaSchema *grown = NULL;
    Text select = TEXT(TEXT_SQL_MAX), computed = TEXT(TEXT_SQL_MAX);

    TRY(delta_schema_reconcile_query(schema, conn, query, extra, merge, &select, &grown, err));
    if (has_computed(schema)) {
        TRY(duck_describe(conn, query, arena, &columns, &n, err));
        TRY(computed_sql(conn, schema, columns, n, arena, &computed, err));
    }
    if (computed.length > 0) {
        text_append(out, "SELECT * REPLACE (");
        text_append(out, text_str(&computed));
        text_append(out, ") FROM (");
    }
    text_append(out, "SELECT ");
    text_append(out, text_str(&select));
    for (size_t i = 0; extra != NULL && extra[i] != NULL; i++) {
        text_printf(out, ", %s", extra[i]);
    }
    text_append(out, " FROM (");
    text_append(out, query);
    text_append(out, "\n)"); /* the query may end with a line comment */
    text_append(out, computed.length > 0 ? ")" : "");
    *evolved = grown;
    grown = NULL;
out:
    delta_schema_unref(grown);
    text_free(&select);
    text_free(&computed);
    arena_free(arena);
    return rc;
}
