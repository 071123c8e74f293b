/* What the files of delta/ share about schemas: building types in an arena. */
#ifndef FRESHET_DELTA_SCHEMA_INT_H
#define FRESHET_DELTA_SCHEMA_INT_H

#include "delta/schema.h"

/* Larger schemas are refused before they can cost memory; Spark gives up far earlier. */
enum { DELTA_FIELDS_MAX = 100000, DELTA_NAME_MAX = 4096, DELTA_DECIMAL_MAX = 38 };

/* The shared instance of a type without parameters. */
const DeltaType *delta_type_primitive(DeltaTypeId id);
/* "long", "decimal(10,2)", "varchar(3)" (a string) as a type of `arena`; NULL when the text is none. */
const DeltaType *delta_type_parse_primitive(Arena *arena, const char *text);
const DeltaType *delta_type_array(Arena *arena, const DeltaType *element, bool contains_null);
const DeltaType *delta_type_map(Arena *arena, const DeltaType *key, const DeltaType *value, bool value_contains_null);
const DeltaType *delta_type_struct(Arena *arena, const DeltaField *fields, size_t n); /* `fields` is copied, deeply */
const DeltaType *delta_type_copy(Arena *arena, const DeltaType *type);

/* A field whose physical name and id follow from its metadata. All but `type` is copied. */
DeltaField delta_field_make(Arena *arena, const char *name, const DeltaType *type, bool nullable, const char *metadata);
DeltaField delta_field_copy(Arena *arena, const DeltaField *field);
/* Field by name without case among `n`; NULL when there is none. */
const DeltaField *delta_field_find(const DeltaField *fields, size_t n, const char *name);
/* Two fields whose names differ in case only, or not at all; NULL when there are none. */
const DeltaField *delta_fields_duplicate(const DeltaField *fields, size_t n);
/* A string entry of the field's metadata in `arena`, NULL when it is not there. */
const char *delta_field_metadata(Arena *arena, const DeltaField *field, const char *key);
bool delta_field_has_metadata(const DeltaField *field, const char *key);

/* Writing a value of one type into a column of another, as Spark's store assignment does it: numbers among themselves
 * (range checked, fractions cut), dates and timestamps among themselves, any scalar into a string, nested values by
 * member name. Appends the SQL that turns `expression` into `to`. E_DELTA_SCHEMA (DELTA_FAILED_TO_MERGE_FIELDS) names
 * `column`. */
Status delta_assign_sql(const char *expression, const DuckType *from, const DeltaType *to, const char *column,
                        Text *out, Error *err);

static inline bool delta_type_is_nested(const DeltaType *type)
{
    return type->id == DELTA_STRUCT || type->id == DELTA_ARRAY || type->id == DELTA_MAP;
}
static inline bool delta_type_is_integer(const DeltaType *type)
{
    return type->id >= DELTA_BYTE && type->id <= DELTA_LONG;
}

#endif
