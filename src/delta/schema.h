/* A table's schema: Delta types and fields, their JSON in the log, and the way to DuckDB's types and back.
 *
 * Schemas are immutable and reference counted; all they point to lives in their arena.
 * Source: Delta protocol, Schema Serialization Format; Column Mapping; Type Widening.
 */
#ifndef FRESHET_DELTA_SCHEMA_H
#define FRESHET_DELTA_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "duck/type.h"

typedef enum DeltaTypeId {
    DELTA_BOOLEAN,
    DELTA_BYTE,
    DELTA_SHORT,
    DELTA_INTEGER,
    DELTA_LONG,
    DELTA_FLOAT,
    DELTA_DOUBLE,
    DELTA_DECIMAL,
    DELTA_STRING,
    DELTA_BINARY,
    DELTA_DATE,
    DELTA_TIMESTAMP,
    DELTA_TIMESTAMP_NTZ,
    DELTA_VARIANT,
    DELTA_VOID,
    DELTA_STRUCT,
    DELTA_ARRAY,
    DELTA_MAP,
} DeltaTypeId;

typedef struct DeltaType DeltaType;
typedef struct DeltaField {
    const char *name;
    const DeltaType *type;
    bool nullable;
    const char *metadata;      /* the field's metadata object as compact JSON; "{}" when empty */
    const char *physical_name; /* delta.columnMapping.physicalName, else the name */
    int32_t field_id; /* delta.columnMapping.id, of a list's or map's part its entry in .nested.ids; 0 = none */
} DeltaField;

struct DeltaType {
    DeltaTypeId id;
    uint8_t precision, scale; /* DECIMAL */
    const DeltaField *fields; /* STRUCT; ARRAY: one field "element"; MAP: "key" and "value" (nullable = containsNull) */
    size_t n_fields;
};

typedef struct DeltaSchema {
    const DeltaField *fields;
    size_t n_fields;
    Arena *arena;
    _Atomic int references;
} DeltaSchema;

DeltaSchema *delta_schema_ref(DeltaSchema *schema);
void delta_schema_unref(DeltaSchema *schema); /* NULL is fine */

/* Parses metaData.schemaString. Depth, field count and name length are limited; unknown types are refused by name. */
Status delta_schema_parse(const char *json, DeltaSchema **out, Error *err);
void delta_schema_json(const DeltaSchema *schema, Text *out);

/* A builder for new schemas: start from none or from an existing one, append, finish. */
typedef struct DeltaSchemaBuilder DeltaSchemaBuilder;
DeltaSchemaBuilder *delta_schema_builder_new(const DeltaSchema *base /* may be NULL */);
/* metadata NULL = "{}". The type may live anywhere, it is copied. */
void delta_schema_builder_add(DeltaSchemaBuilder *builder, const char *name, const DeltaType *type, bool nullable,
                              const char *metadata);
DeltaSchema *delta_schema_builder_finish(DeltaSchemaBuilder *builder);

/* Columns of a query as Delta types. HUGEINT becomes long and is checked when it is cast
 * (delta_schema_reconcile), UUID
 * and ENUM string, unsigned the next larger, UBIGINT decimal(20,0), TIME, INTERVAL, BIT, UNION, ... are refused by name
 * with a hint. */
Status delta_type_from_duck(const DuckType *type, const char *column, Arena *arena, const DeltaType **out, Error *err);
Status delta_schema_from_columns(const DuckColumnInfo *columns, size_t n, DeltaSchema **out, Error *err);

/* "BIGINT", "STRUCT("a" BIGINT)", ...: the DuckDB type a Delta type is read as and written from. */
void delta_type_sql(const DeltaType *type, Text *out);
/* "long", "decimal(10,2)", "struct<a:long>": for messages. */
void delta_type_name(const DeltaType *type, Text *out);
/* Names of struct fields are compared without case; nullability does not count. */
bool delta_type_equal(const DeltaType *a, const DeltaType *b);
/* Field by name without case; NULL when there is none. */
const DeltaField *delta_schema_find(const DeltaSchema *schema, const char *name);

/* E_DELTA_NAME when a name, at any depth, has one of blank ,;{}()= tab or line end and the table has no column mapping
 * (`column_mapping`: its mode; NULL = "none"). For schemas that are about to be written. */
Status delta_schema_check_names(const DeltaSchema *schema, const char *column_mapping, Error *err);

/* ---- writing into a table: enforcement and evolution ---- */

/* What becomes of columns and nested fields that the query has and the table has not. */
typedef enum DeltaMerge {
    DELTA_MERGE_NONE,    /* DELTA_METADATA_MISMATCH with a hint (mergeSchema) */
    DELTA_MERGE_ALL,     /* they are appended, nullable */
    DELTA_MERGE_COLUMNS, /* columns are appended; fields inside a column the table has are left out */
} DeltaMerge;

/* How the columns of a query become those of a table: `select` receives "expr AS "name", ..." over the query's column
 * names, in the table's column order, with the casts (missing nullable columns become typed NULLs, strings of CHAR(n)
 * stay). *evolved is the grown schema; NULL when it does not change. */
Status delta_schema_reconcile(const DeltaSchema *table, const DuckColumnInfo *columns, size_t n, DeltaMerge merge,
                              Text *select, DeltaSchema **evolved, Error *err);

/* The same for the columns of a query, but for those named in `extra` (ends with NULL; NULL = none). A bare NULL, or an
 * empty list, fits any column. */
Status delta_schema_reconcile_query(const DeltaSchema *table, DuckConn *conn, const char *query,
                                    const char *const *extra, DeltaMerge merge, Text *select, DeltaSchema **evolved,
                                    Error *err);

/* Is a reader that was planned with `read` able to take data of `data`? The error names the first difference. */
Status delta_schema_check_read(const DeltaSchema *read, const DeltaSchema *data, Error *err);
bool delta_schema_equal(const DeltaSchema *a, const DeltaSchema *b);
/* True when b only adds nullable columns (at any depth) to a. */
bool delta_schema_is_additive(const DeltaSchema *a, const DeltaSchema *b);

#endif
