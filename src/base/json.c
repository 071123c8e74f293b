/* jansson with limits, places of errors and typed getters. */
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The place of a byte in the text: line and column, 1-based. */
static void locate(const char *text, size_t at, const JsonSource *source, int *line, int *column)
{
    size_t start = 0;

    *line = source->first_line > 0 ? source->first_line : 1;
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n') {
            ++*line;
            start = i + 1;
        }
    }
    *column = (int)(at - start) + 1;
}

/* Refuses nesting before the parser recurses into it. Brackets inside strings do not count. */
static Status check_depth(const char *text, size_t n, const JsonSource *source, Error *err)
{
    int depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX) {
                int line, column;
                locate(text, i, source, &line, &column);
                return error_set(err, E_LIMIT, "%s: line %d, column %d: JSON nested deeper than %d levels",
                                 source->name, line, column, JSON_DEPTH_MAX);
            }
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return OK;
}

Status json_parse(const char *text, size_t n, const JsonSource *source, json_t **out, Error *err)
{
    Status rc = OK;
    json_error_t error;

    if (source->bytes_max > 0 && n > source->bytes_max) {
        return error_set(err, E_LIMIT, "%s: JSON of %zu bytes, the maximum is %zu", source->name, n, source->bytes_max);
    }
    TRY(check_depth(text, n, source, err));
    const char *nul = memchr(text, '\0', n);
    if (nul) { /* jansson passes over some of them */
        int line, column;
        locate(text, (size_t)(nul - text), source, &line, &column);
        return error_set(err, E_JSON, "%s: line %d, column %d: a NUL byte", source->name, line, column);
    }
    json_t *value = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!value) {
        int line, column;
        size_t at = error.position > 0 ? (size_t)error.position - 1 : 0;
        locate(text, at < n ? at : n, source, &line, &column);
        return error_set(err, E_JSON, "%s: line %d, column %d: %s", source->name, line, column, error.text);
    }
    *out = value;
out:
    return rc;
}

static const char *type_name(const json_t *value)
{
    if (!value) {
        return "missing";
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a real number";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    case JSON_NULL: return "null";
    }
    return "unknown";
}

Status json_parse_object(const char *text, size_t n, const JsonSource *source, json_t **out, Error *err)
{
    json_t *value = NULL;
    Status rc = json_parse(text, n, source, &value, err);

    if (rc != OK) {
        return rc;
    }
    if (!json_is_object(value)) {
        rc = error_set(err, E_JSON, "%s: line %d: must be an object, not %s", source->name,
                       source->first_line > 0 ? source->first_line : 1, type_name(value));
        json_decref(value);
        return rc;
    }
    *out = value;
    return OK;
}

bool json_has(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return value && !json_is_null(value);
}

typedef enum Want { WANT_STRING, WANT_I64, WANT_DOUBLE, WANT_BOOL, WANT_OBJECT, WANT_ARRAY } Want;

static const char *const WANT_NAMES[] = {"a string", "an integer", "a number", "a boolean", "an object", "an array"};

static bool is_wanted(const json_t *value, Want want)
{
    switch (want) {
    case WANT_STRING: return json_is_string(value);
    case WANT_I64: return json_is_integer(value);
    case WANT_DOUBLE: return json_is_number(value);
    case WANT_BOOL: return json_is_boolean(value);
    case WANT_OBJECT: return json_is_object(value);
    case WANT_ARRAY: return json_is_array(value);
    }
    return false;
}

/* Finds the field and checks its type; *value is NULL when an optional one is not there. */
static Status fetch(const json_t *object, const char *key, Want want, bool required, json_t **value, Error *err)
{
    json_t *found = json_object_get(object, key);

    if (!found || json_is_null(found)) {
        if (!required) {
            *value = NULL;
            return OK;
        }
        return error_set(err, E_JSON, "field '%s' is %s; it must be %s", key, type_name(found), WANT_NAMES[want]);
    }
    if (!is_wanted(found, want)) {
        return error_set(err, E_JSON, "field '%s' must be %s, not %s", key, WANT_NAMES[want], type_name(found));
    }
    if (want == WANT_STRING && strlen(json_string_value(found)) != json_string_length(found)) {
        return error_set(err, E_JSON, "field '%s' holds a NUL character", key);
    }
    *value = found;
    return OK;
}

/* json_get_NAME and json_opt_NAME for one type; `read` turns json_t *value into the output. */
#define GETTERS(name, type, want, read)                                                                     \
    static Status fetch_##name(const json_t *object, const char *key, bool required, type *out, Error *err) \
    {                                                                                                       \
        json_t *value = NULL;                                                                               \
        Status rc = fetch(object, key, want, required, &value, err);                                        \
        if (rc == OK && value) {                                                                            \
            *out = read;                                                                                    \
        }                                                                                                   \
        return rc;                                                                                          \
    }                                                                                                       \
    Status json_get_##name(const json_t *object, const char *key, type *out, Error *err)                    \
    {                                                                                                       \
        return fetch_##name(object, key, true, out, err);                                                   \
    }                                                                                                       \
    Status json_opt_##name(const json_t *object, const char *key, type *out, Error *err)                    \
    {                                                                                                       \
        return fetch_##name(object, key, false, out, err);                                                  \
    }

GETTERS(string, const char *, WANT_STRING, json_string_value(value))
GETTERS(i64, int64_t, WANT_I64, json_integer_value(value))
GETTERS(double, double, WANT_DOUBLE, json_number_value(value))
GETTERS(bool, bool, WANT_BOOL, json_is_true(value))
GETTERS(object, json_t *, WANT_OBJECT, value)
GETTERS(array, json_t *, WANT_ARRAY, value)

bool json_next(const json_t *object, void **at, const char **key, json_t **value)
{
    json_t *o = (json_t *)(uintptr_t)object; /* jansson's iterators are not const */

    *at = *at ? json_object_iter_next(o, *at) : json_object_iter(o);
    if (!*at) {
        return false;
    }
    *key = json_object_iter_key(*at);
    *value = json_object_iter_value(*at);
    return true;
}

/* jansson says NULL or -1 when memory is out or we hand it nonsense; neither leaves anything to save. */
void json_put(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0) {
        fprintf(stderr, "freshet: cannot set field '%s' of a JSON object\n", key);
        abort();
    }
}

Status json_put_string(json_t *object, const char *key, const char *value, Error *err)
{
    if (!value) {
        json_put(object, key, json_null());
        return OK;
    }
    size_t n = strlen(value), valid = utf8_valid(value, n);
    if (valid != n) {
        return error_set(err, E_JSON, "field '%s': byte %zu of '%.*s' is not UTF-8", key, valid + 1, (int)valid, value);
    }
    json_put(object, key, json_stringn_nocheck(value, n));
    return OK;
}

void json_put_i64(json_t *object, const char *key, int64_t value)
{
    json_put(object, key, json_integer(value));
}

static int append(const char *buffer, size_t size, void *context)
{
    text_append_n(context, buffer, size);
    return 0;
}

Status json_dump_text(const json_t *value, Text *out, Error *err)
{
    if (json_dump_callback(value, append, out, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17)) != 0) {
        return error_set(err, E_INTERNAL, "a value cannot be written as JSON");
    }
    if (out->overflow) {
        return error_set(err, E_LIMIT, "JSON longer than the maximum of %zu bytes", out->max);
    }
    return OK;
}
