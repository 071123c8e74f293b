/* Variant columns in data files, and the bytes of a variant.
 *
 * A variant is a group of two binaries, metadata (the names of all keys) and value, in Parquet either with the logical
 * type VARIANT or, as the Delta protocol writes them and most tables have them, without. A file may also keep typed
 * parts beside the value (shredding). DuckDB reads groups with the logical type itself, shredded or not; the others are
 * read as two binaries and checked here before DuckDB decodes them.
 * Source: Delta protocol, Variant Data Type; parquet-format VariantEncoding.md and VariantShredding.md.
 */
#ifndef FRESHET_DELTA_VARIANT_H
#define FRESHET_DELTA_VARIANT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "delta/schema.h"

/* How the groups that look like variants lie in a file. Writers treat all of a file alike. */
typedef enum DeltaVariantForm {
    DELTA_VARIANT_ABSENT,  /* there are none */
    DELTA_VARIANT_LOGICAL, /* with the logical type: DuckDB reads VARIANT */
    DELTA_VARIANT_PLAIN,   /* without: DuckDB reads STRUCT(metadata BLOB, value BLOB) */
    DELTA_VARIANT_TYPED,   /* without, and with typed parts */
} DeltaVariantForm;

/* Looks at a file's schema; `place` is its local path. E_DELTA_CORRUPT names the file when it is no Parquet file. */
Status delta_variant_form(const char *place, DeltaVariantForm *out, Error *err);
/* The same from a footer's bytes; what is wrong with them, without the file's name. */
Status delta_variant_footer(const uint8_t *footer, size_t n, DeltaVariantForm *out, Error *err);

/* Calls back for each field of a file's schema, at any depth, that has a field id; the name has n bytes. Errors name
 * the file. */
typedef Status (*DeltaFieldIdCallback)(void *context, int64_t id, const char *name, size_t n, Error *err);
Status delta_file_field_ids(const char *place, DeltaFieldIdCallback callback, void *context, Error *err);

/* Is every part of the variant inside its bytes, and the whole of bounded depth and size? E_DELTA_CORRUPT, E_LIMIT. */
Status delta_variant_check(const uint8_t *metadata, size_t n_metadata, const uint8_t *value, size_t n_value,
                           Error *err);

bool delta_schema_has_variant(const DeltaSchema *schema);

#endif
