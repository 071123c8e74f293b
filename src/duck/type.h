/* The type of a column as DuckDB has it, without duckdb.h: what PREPARE says, and what our functions declare. */
#ifndef FRESHET_DUCK_TYPE_H
#define FRESHET_DUCK_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/text.h"
#include "duck/duck.h"

typedef enum DuckTypeId {
    DUCK_BOOLEAN,
    DUCK_TINYINT,
    DUCK_SMALLINT,
    DUCK_INTEGER,
    DUCK_BIGINT,
    DUCK_HUGEINT,
    DUCK_UTINYINT,
    DUCK_USMALLINT,
    DUCK_UINTEGER,
    DUCK_UBIGINT,
    DUCK_UHUGEINT,
    DUCK_FLOAT,
    DUCK_DOUBLE,
    DUCK_DECIMAL,
    DUCK_VARCHAR,
    DUCK_BLOB,
    DUCK_BIT,
    DUCK_UUID,
    DUCK_DATE,
    DUCK_TIME,
    DUCK_TIME_TZ,
    DUCK_TIMESTAMP,
    DUCK_TIMESTAMP_S,
    DUCK_TIMESTAMP_MS,
    DUCK_TIMESTAMP_NS,
    DUCK_TIMESTAMP_TZ,
    DUCK_INTERVAL,
    DUCK_ENUM,
    DUCK_JSON,
    DUCK_VARIANT,
    DUCK_NULL,
    DUCK_STRUCT,
    DUCK_LIST,
    DUCK_ARRAY,
    DUCK_MAP,
    DUCK_UNION,
    DUCK_OTHER,
} DuckTypeId;

typedef struct DuckType DuckType;
typedef struct DuckTypeMember {
    const char *name;
    const DuckType *type;
} DuckTypeMember;

struct DuckType {
    DuckTypeId id;
    uint8_t precision, scale;      /* DECIMAL */
    bool bare_null;                /* INTEGER: DuckDB's stand-in for a NULL without a type (duck_describe_nulls) */
    const DuckTypeMember *members; /* STRUCT: its fields; LIST, ARRAY: one; MAP: "key" and "value"; UNION: its
                                    * alternatives; ENUM: its values as names, type NULL */
    size_t n_members;
    size_t array_size; /* ARRAY */
    const char *other; /* OTHER: DuckDB's name */
};

/* One output column of a statement. */
typedef struct DuckColumnInfo {
    const char *name;
    const DuckType *type;
} DuckColumnInfo;

/* Names and types of the rows a SELECT would give, without running it. Everything lives in `arena`. */
Status duck_describe(DuckConn *conn, const char *sql, Arena *arena, DuckColumnInfo **columns, size_t *n, Error *err);

/* The same, but also tells where INTEGER only stands for the type of a NULL: the column of SELECT NULL, the elements of
 * [], members of structs. Such values can be cast to anything. The query is bound twice. */
Status duck_describe_nulls(DuckConn *conn, const char *sql, Arena *arena, DuckColumnInfo **columns, size_t *n,
                           Error *err);
/* Does the type hold a bare_null? */
bool duck_type_has_bare_null(const DuckType *type);

/* The type as DuckDB spells it: DECIMAL(10,2), STRUCT("a" BIGINT, "b" VARCHAR[]) */
void duck_type_sql(const DuckType *type, Text *out);
bool duck_type_equal(const DuckType *a, const DuckType *b);

#endif
