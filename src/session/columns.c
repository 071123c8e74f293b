#include "session/columns.h"

#include <string.h>

#include "delta/column_default.h"
#include "duck/type.h"
#include "sql/type_text.h"

static void put_text(Text *out, const char *key, const char *value)
{
    if (value != NULL) {
        text_append(out, out->length > 1 ? "," : "");
        text_append_json_string(out, key);
        text_append_char(out, ':');
        text_append_json_string(out, value);
    }
}

/* The metadata object of a declared field. */
static void field_metadata(const SqlColumn *column, Text *out)
{
    text_append_char(out, '{');
    put_text(out, "comment", column->comment);
    put_text(out, "CURRENT_DEFAULT", column->default_expression);
    put_text(out, "delta.generationExpression", column->generated_expression);
    if (column->identity != NULL) {
        text_append(out, out->length > 1 ? "," : "");
        delta_identity_metadata(column->identity->start, column->identity->step, column->identity->always, out);
    }
    text_append_char(out, '}');
}

/* Of types, DuckDB knows few by name, and suggests one of those. */
static void hint_type(const char *wanted, Error *err)
{
    static const char *const NAMES[] = {
        "TINYINT", "SMALLINT",  "INT",         "BIGINT",        "BYTE",   "SHORT",   "INTEGER", "LONG",    "FLOAT",
        "DOUBLE",  "DECIMAL",   "STRING",      "TEXT",          "CHAR",   "VARCHAR", "BINARY",  "BOOLEAN", "DATE",
        "UUID",    "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP_NTZ", "STRUCT", "ARRAY",   "MAP",     "VARIANT"};
    const char *nearest = error_nearest(wanted, NAMES, sizeof NAMES / sizeof *NAMES);

    if (err != NULL && err->id == E_SQL_BIND && nearest != NULL && str_starts(err->message, "Type with name")) {
        error_hint(err, "did you mean %s?", nearest);
    }
}

static Status column_type(DuckConn *conn, const SqlColumn *column, Arena *arena, const DeltaType **out, Error *err)
{
    Status rc = OK;
    Text sql = TEXT(1 << 16);
    DuckColumnInfo *info = NULL;
    size_t n = 0;

    text_append(&sql, "SELECT CAST(NULL AS ");
    TRY(sql_type_normalize(column->type, &sql, err));
    text_append(&sql, ") AS c");
    rc = duck_describe(conn, text_str(&sql), arena, &info, &n, err);
    if (rc != OK) {
        hint_type(column->type, err);
        goto out;
    }
    TRY(delta_type_from_duck(info[0].type, column->name, arena, out, err));
out:
    text_free(&sql);
    return rc;
}

Status columns_schema(DuckConn *conn, const SqlText *text, const SqlColumn *columns, size_t n, DeltaSchema **out,
                      Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    DeltaSchemaBuilder *builder = delta_schema_builder_new(NULL);
    Text metadata = TEXT(1 << 20);
    size_t i = 0;

    for (i = 0; i < n; i++) {
        const DeltaType *type = NULL;
        TRY(column_type(conn, &columns[i], arena, &type, err));
        text_clear(&metadata);
        field_metadata(&columns[i], &metadata);
        delta_schema_builder_add(builder, columns[i].name, type, !columns[i].not_null, text_str(&metadata));
    }
out:
    if (rc != OK && err != NULL && i < n && err->place.line == 0) {
        sql_error_place(err, text, columns[i].type_span);
    }
    DeltaSchema *schema = delta_schema_builder_finish(builder);
    if (rc == OK) {
        *out = schema;
    } else {
        delta_schema_unref(schema);
    }
    text_free(&metadata);
    arena_free(arena);
    return rc;
}
