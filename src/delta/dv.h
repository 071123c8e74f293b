/* Deletion vectors: the rows of a file that are no longer there (Delta protocol, Deletion Vectors). */
#ifndef FRESHET_DELTA_DV_H
#define FRESHET_DELTA_DV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "delta/action.h"
#include "delta/table.h"

/* An immutable set of row numbers; threads may share it. */
typedef struct DeltaBitmap DeltaBitmap;
void delta_bitmap_free(DeltaBitmap *bitmap); /* NULL is fine */
uint64_t delta_bitmap_count(const DeltaBitmap *bitmap);
bool delta_bitmap_contains(const DeltaBitmap *bitmap, uint64_t row);
/* keep[i] = rows[i] is not in the set; fastest when rows ascend. */
void delta_bitmap_keep(const DeltaBitmap *bitmap, const int64_t *rows, size_t n, bool *keep);

/* Reads the vector of a descriptor: inline, or from its file in the table's folder. E_DELTA_CORRUPT with the class
 * DELTA_DELETION_VECTOR_SIZE_MISMATCH, ..._CHECKSUM_MISMATCH or ..._CARDINALITY_MISMATCH; E_IO_NOT_FOUND without the
 * file. */
Status delta_dv_load(const DeltaTable *table, const DeltaDeletionVector *dv, DeltaBitmap **out, Error *err);

/* ---- making them (dv_write.c); a set that grows belongs to one thread ---- */

DeltaBitmap *delta_bitmap_new(void);
DeltaBitmap *delta_bitmap_copy(const DeltaBitmap *bitmap);
/* True when the row was not in the set before. Fastest when rows ascend. */
bool delta_bitmap_add(DeltaBitmap *bitmap, uint64_t row);
void delta_bitmap_add_all(DeltaBitmap *bitmap, const DeltaBitmap *other);

/* Writes the sets (none of them empty) as the vectors of one new file in the table's folder, durable, and describes
 * them in out[0..n). *log_path is its name in the log. Both live in `arena`. */
Status delta_dv_write(const DeltaTable *table, const DeltaBitmap *const *bitmaps, size_t n, Arena *arena,
                      DeltaDeletionVector *out, const char **log_path, Error *err);
/* Appends the bytes of a set in the portable form. */
void delta_dv_encode(const DeltaBitmap *bitmap, Text *out);
/* Z85 of `n` bytes, a multiple of 4. */
void delta_z85_encode(const void *bytes, size_t n, Text *out);

/* The parts, for tests. Bitmap bytes, portable or legacy form; all of them have to be used up. */
Status delta_dv_decode(const void *bytes, size_t n, DeltaBitmap **out, Error *err);
/* One entry of a deletion vector file: size, bytes, checksum. */
Status delta_dv_decode_file(const void *file, size_t n, const DeltaDeletionVector *dv, DeltaBitmap **out, Error *err);
/* Z85: 5 characters for 4 bytes. False when the text is none. */
bool delta_z85_decode(const char *text, size_t n, Text *out);
/* "[prefix/]deletion_vector_<uuid>.bin" of a descriptor's pathOrInlineDv. False when it is malformed. */
bool delta_dv_relative_path(const char *path_or_inline, Text *out);

#endif
