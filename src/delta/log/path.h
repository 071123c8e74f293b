/* Paths in the log: percent-encoded URIs, relative to the table or absolute (Delta protocol, Add File and Remove
 * File). */
#ifndef FRESHET_DELTA_LOG_PATH_H
#define FRESHET_DELTA_LOG_PATH_H

#include <stdbool.h>

#include "base/error.h"
#include "base/text.h"

/* Appends the one form that all spellings of a file share: decoded once; "file:" dropped; relative when it lies below
 * `root` (absolute, decoded, without slash at its end). A malformed escape stays as it is. */
void delta_path_canonical(const char *root, const char *path, size_t n, Text *out);

/* Is this canonical path a file below the table: relative, not empty, no dot segments, no control characters? */
bool delta_path_is_inside(const char *canonical);

#endif
