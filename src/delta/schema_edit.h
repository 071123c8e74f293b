/* One change of a schema: a column, or a field inside one, found by its path. ALTER TABLE is made of these. */
#ifndef FRESHET_DELTA_SCHEMA_EDIT_H
#define FRESHET_DELTA_SCHEMA_EDIT_H

#include "delta/schema.h"

/* Names from the outermost to the innermost, matched without case. The parts of lists and maps are called "element",
 * "key" and "value". */
typedef struct DeltaPath {
    const char *const *parts;
    size_t n; /* at least 1 */
} DeltaPath;

/* Among its siblings: first, behind another one, or (neither) last. */
typedef struct DeltaPlace {
    bool first;
    const char *after;
} DeltaPlace;

/* Appends a.`b c`.d, as the log and messages name a path. */
void delta_path_text(DeltaPath path, Text *out);

/* The field, borrowed from the schema. E_DELTA_SCHEMA says which part does not exist, and which is nearest. */
Status delta_schema_field(const DeltaSchema *schema, DeltaPath path, const DeltaField **out, Error *err);

/* New schemas with the field replaced, left out, moved, or added under the path's last name. E_DELTA_SCHEMA when a
 * name would stand twice among its siblings, when nothing would be left, or when lists and maps would get other parts.
 */
Status delta_schema_put(const DeltaSchema *schema, DeltaPath path, const DeltaField *field, DeltaSchema **out,
                        Error *err);
Status delta_schema_drop(const DeltaSchema *schema, DeltaPath path, DeltaSchema **out, Error *err);
Status delta_schema_move(const DeltaSchema *schema, DeltaPath path, DeltaPlace place, DeltaSchema **out, Error *err);
Status delta_schema_insert(const DeltaSchema *schema, DeltaPath path, const DeltaField *field, DeltaPlace place,
                           DeltaSchema **out, Error *err);

/* The field with one entry of its metadata set (`value` is taken over) or, with NULL, removed. Lives in `arena`. */
Status delta_field_with(Arena *arena, const DeltaField *field, const char *key, json_t *value, DeltaField *out,
                        Error *err);
/* The schema without these entries of metadata, at any depth. */
Status delta_schema_strip(const DeltaSchema *schema, const char *const *keys, size_t n, DeltaSchema **out, Error *err);

#endif
