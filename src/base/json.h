/* JSON: parsing with limits, reading with types, writing in one stable form. The tree itself is jansson's json_t; use
 * json_decref and its constructors as they are.
 *
 * Numbers: an integer that does not fit 64 bits and a real that is not finite are parse errors, so text that may hold
 * wider numbers (file statistics with decimals) is left to DuckDB.
 */
#ifndef FRESHET_BASE_JSON_H
#define FRESHET_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

enum { JSON_DEPTH_MAX = 64 };

/* What is parsed, for limits and errors. */
typedef struct JsonSource {
    const char *name; /* stands before every error: a file name, "the schema of table t" */
    int first_line;   /* line of `name` at which the text starts; 0 = the text is all there is (counts from 1) */
    size_t bytes_max; /* 0 = no maximum beyond what the caller has read */
} JsonSource;

/* Parses `n` bytes that hold one JSON value and nothing else. A key that stands twice in an object, more than
 * JSON_DEPTH_MAX levels, bytes that are not UTF-8 and anything after the value are errors: E_JSON, or E_LIMIT for size
 * and depth, with line and column (1-based, in bytes). *out is the caller's: json_decref. */
Status json_parse(const char *text, size_t n, const JsonSource *source, json_t **out, Error *err);
/* The same; anything but an object is E_JSON. */
Status json_parse_object(const char *text, size_t n, const JsonSource *source, json_t **out, Error *err);

/* Required fields: missing, null or of another type is E_JSON: "field 'path' must be a string, not an integer".
 * Strings, objects and arrays are borrowed from `object`. A string that holds a NUL is refused: C would cut it. */
Status json_get_string(const json_t *object, const char *key, const char **out, Error *err);
Status json_get_i64(const json_t *object, const char *key, int64_t *out, Error *err);
Status json_get_double(const json_t *object, const char *key, double *out, Error *err); /* integers too */
Status json_get_bool(const json_t *object, const char *key, bool *out, Error *err);
Status json_get_object(const json_t *object, const char *key, json_t **out, Error *err);
Status json_get_array(const json_t *object, const char *key, json_t **out, Error *err);

/* Optional fields: missing or null leaves *out as it is, so that it holds the default; another type is E_JSON. */
Status json_opt_string(const json_t *object, const char *key, const char **out, Error *err);
Status json_opt_i64(const json_t *object, const char *key, int64_t *out, Error *err);
Status json_opt_double(const json_t *object, const char *key, double *out, Error *err);
Status json_opt_bool(const json_t *object, const char *key, bool *out, Error *err);
Status json_opt_object(const json_t *object, const char *key, json_t **out, Error *err);
Status json_opt_array(const json_t *object, const char *key, json_t **out, Error *err);

/* True when the field is there and not null. */
bool json_has(const json_t *object, const char *key);

/* Iteration in the order of the text: `for (void *at = NULL; json_next(object, &at, &key, &value);)`. The object must
 * not change meanwhile. */
bool json_next(const json_t *object, void **at, const char **key, json_t **value);

/* Sets a field. A string that is not UTF-8 is E_JSON (a file name can be such; jansson would drop the field). NULL sets
 * null. */
Status json_put_string(json_t *object, const char *key, const char *value, Error *err);
void json_put_i64(json_t *object, const char *key, int64_t value);
/* Takes `value` over. */
void json_put(json_t *object, const char *key, json_t *value);

/* Appends the value on one line, without spaces, keys in the order they were set, reals with 17 digits (the shortest
 * that always come back as the same double). E_LIMIT when `out` is full. */
Status json_dump_text(const json_t *value, Text *out, Error *err);

#endif
