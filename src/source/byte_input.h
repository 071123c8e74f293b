/* The bytes of a file, decompressed where its first bytes say gzip or zstd (whatever its name says). Members and
 * frames may follow one another. A stream that ends early or is damaged is E_SOURCE_FILE.
 */
#ifndef FRESHET_SOURCE_BYTE_INPUT_H
#define FRESHET_SOURCE_BYTE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct ByteInput ByteInput;

/* Opens at byte `from` (0 for compressed files). */
Status byte_input_open(const char *path, int64_t from, ByteInput **out, Error *err);
/* Up to `n` bytes; *got = 0 at the end. */
Status byte_input_read(ByteInput *in, void *buffer, size_t n, size_t *got, Error *err);
bool byte_input_compressed(const ByteInput *in);
void byte_input_close(ByteInput *in); /* NULL is fine */

/* Is the file, by its first bytes, compressed? Then it cannot be read from the middle. */
Status byte_input_probe(const char *path, bool *compressed, Error *err);

#endif
