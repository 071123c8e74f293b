/* The judge of the JSON reader: jansson reads every line too, and both must agree on what is JSON, on every value,
 * and on what is rescued. Used by the unit test (random records) and by the fuzz target.
 *
 * Where the two are meant to differ the line is not judged: numbers beyond a double (jansson refuses them, here they
 * do not fit), nesting between our limit and jansson's, keys with a NUL. Of a record with a key that comes twice only
 * the values count.
 */
#ifndef FRESHET_TESTS_JSON_JUDGE_H
#define FRESHET_TESTS_JSON_JUDGE_H

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "source/files_scan.h"

typedef struct Judge {
    Duck *duck;
    DuckConn *conn;
    Arena *arena;
    FilesOptions options;
    FilesColumns columns;
    char path[128];
} Judge;

static const char JUDGE_SCHEMA[] =
    "{\"type\":\"struct\",\"fields\":["
    "{\"name\":\"b\",\"type\":\"boolean\",\"nullable\":true,\"metadata\":{}},"
    "{\"name\":\"i\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}},"
    "{\"name\":\"d\",\"type\":\"double\",\"nullable\":true,\"metadata\":{}},"
    "{\"name\":\"s\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}},"
    "{\"name\":\"a longer name of a field\",\"type\":\"integer\",\"nullable\":true,\"metadata\":{}},"
    "{\"name\":\"o\",\"type\":{\"type\":\"struct\",\"fields\":["
    "{\"name\":\"x\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}},"
    "{\"name\":\"o\",\"type\":{\"type\":\"struct\",\"fields\":["
    "{\"name\":\"d\",\"type\":\"double\",\"nullable\":true,\"metadata\":{}}]},\"nullable\":true,\"metadata\":{}}"
    "]},\"nullable\":true,\"metadata\":{}},"
    "{\"name\":\"l\",\"type\":{\"type\":\"array\",\"elementType\":\"long\",\"containsNull\":true},\"nullable\":true,"
    "\"metadata\":{}},"
    "{\"name\":\"lo\",\"type\":{\"type\":\"array\",\"elementType\":{\"type\":\"struct\",\"fields\":["
    "{\"name\":\"x\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}},"
    "{\"name\":\"s\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}},"
    "{\"name\":\"l\",\"type\":{\"type\":\"array\",\"elementType\":\"string\",\"containsNull\":true},\"nullable\":true,"
    "\"metadata\":{}}]},\"containsNull\":true},\"nullable\":true,\"metadata\":{}},"
    "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"keyType\":\"string\",\"valueType\":\"long\",\"valueContainsNull\":"
    "true},"
    "\"nullable\":true,\"metadata\":{}}]}";

static void judge_must(Status rc, const Error *err, const char *what)
{
    if (rc != OK) {
        fprintf(stderr, "judge: %s: %s\n", what, err->message);
        abort();
    }
}

static void judge_open(Judge *judge)
{
    Error err = ERROR_NONE;
    DeltaSchema *schema;

    *judge = (Judge){.arena = arena_new()};
    snprintf(judge->path, sizeof judge->path, "/tmp/freshet-judge-%ld.json", (long)getpid());
    judge_must(duck_open(&(DuckConfig){.memory_limit_bytes = INT64_C(1) << 30, .threads = 1}, &judge->duck, &err), &err,
               "open");
    judge_must(duck_connect(judge->duck, &judge->conn, &err), &err, "connect");
    judge_must(delta_schema_parse(JUDGE_SCHEMA, &schema, &err), &err, "schema");
    judge->options = (FilesOptions){.format = FILES_JSON,
                                    .rescued_column = "_rescued_data",
                                    .corrupt_column = "_corrupt_record",
                                    .evolution = EVOLVE_RESCUE,
                                    .record_bytes_max = 64 << 20};
    judge_must(files_columns_init(&judge->columns, schema, &judge->options, judge->arena, &err), &err, "columns");
    delta_schema_unref(schema);
}

static inline void judge_close(Judge *judge)
{
    unlink(judge->path);
    files_columns_fini(&judge->columns);
    arena_free(judge->arena);
    duck_disconnect(judge->conn);
    duck_close(judge->duck);
}

/* ---- what jansson says a row must be ---- */

static bool wanted_value(const DeltaType *type, const json_t *have, json_t **value, json_t **rescued);

static void wanted_object(const DeltaField *fields, size_t n, const json_t *have, json_t *out, json_t *rescued)
{
    const char *key;
    size_t key_n;
    json_t *value;

    for (size_t i = 0; i < n; i++) {
        json_object_set_new(out, fields[i].name, json_null());
    }
    json_object_keylen_foreach((json_t *)(uintptr_t)have, key, key_n, value)
    {
        const DeltaField *field = NULL;
        for (size_t i = 0; i < n && field == NULL; i++) {
            field = strlen(fields[i].name) == key_n && memcmp(fields[i].name, key, key_n) == 0 ? &fields[i] : NULL;
        }
        json_t *fits = NULL, *rest = NULL;
        if (field != NULL && wanted_value(field->type, value, &fits, &rest)) {
            json_object_set_new(out, field->name, fits);
        } else {
            rest = json_incref(value);
        }
        if (rest != NULL) {
            json_object_setn_new(rescued, key, key_n, rest);
        }
    }
}

static json_t *wanted_list(const DeltaType *type, const json_t *have, json_t *rescued)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(have); i++) {
        json_t *fits = NULL, *rest = NULL, *value = json_array_get(have, i);
        char key[32];
        if (!wanted_value(type, value, &fits, &rest)) {
            fits = json_null();
            rest = json_incref(value);
        }
        json_array_append_new(list, fits);
        snprintf(key, sizeof key, "%zu", i);
        if (rest != NULL) {
            json_object_set_new(rescued, key, rest);
        }
    }
    return list;
}

static json_t *wanted_map(const DeltaType *type, const json_t *have, json_t *rescued)
{
    json_t *map = json_object(), *value;
    const char *key;
    size_t key_n;
    json_object_keylen_foreach((json_t *)(uintptr_t)have, key, key_n, value)
    {
        json_t *fits = NULL, *rest = NULL;
        if (!wanted_value(type, value, &fits, &rest)) {
            fits = json_null();
            rest = json_incref(value);
        }
        json_object_setn_new(map, key, key_n, fits);
        if (rest != NULL) {
            json_object_setn_new(rescued, key, key_n, rest);
        }
    }
    return map;
}

static bool wanted_special(const json_t *have, json_t **value)
{
    static const char *const NAMES[] = {"NaN", "Infinity", "+Infinity", "-Infinity", "INF",
                                        "Inf", "+INF",     "-INF",      "-Inf"};
    for (size_t i = 0; json_is_string(have) && i < sizeof NAMES / sizeof *NAMES; i++) {
        if (strcmp(json_string_value(have), NAMES[i]) == 0 && strlen(NAMES[i]) == json_string_length(have)) {
            *value = json_string(NAMES[i]);
            return true;
        }
    }
    return false;
}

/* False: it does not fit. *rescued: what inside it does not. */
static bool wanted_value(const DeltaType *type, const json_t *have, json_t **value, json_t **rescued)
{
    json_t *rest = json_object();
    bool fits = true;

    if (json_is_null(have)) {
        *value = json_null();
    } else if (type->id == DELTA_BOOLEAN && json_is_boolean(have)) {
        *value = json_incref((json_t *)(uintptr_t)have);
    } else if (json_is_integer(have) &&
               (type->id == DELTA_LONG || (type->id == DELTA_INTEGER && json_integer_value(have) >= INT32_MIN &&
                                           json_integer_value(have) <= INT32_MAX))) {
        *value = json_incref((json_t *)(uintptr_t)have);
    } else if (type->id == DELTA_DOUBLE && json_is_number(have)) {
        *value = json_real(json_number_value(have));
    } else if (type->id == DELTA_STRING) {
        *value = json_incref((json_t *)(uintptr_t)have);
    } else if (type->id == DELTA_STRUCT && json_is_object(have)) {
        *value = json_object();
        wanted_object(type->fields, type->n_fields, have, *value, rest);
    } else if (type->id == DELTA_ARRAY && json_is_array(have)) {
        *value = wanted_list(type->fields[0].type, have, rest);
    } else if (type->id == DELTA_MAP && json_is_object(have)) {
        *value = wanted_map(type->fields[1].type, have, rest);
    } else {
        fits = type->id == DELTA_DOUBLE && wanted_special(have, value);
    }
    if (fits && json_object_size(rest) > 0) {
        *rescued = json_incref(rest);
    }
    json_decref(rest);
    return fits;
}

/* ---- what the reader made of it ---- */

static bool same(const DeltaType *type, const json_t *want, const json_t *have);

/* The text of a value that is no string: equal as JSON. */
static bool same_text(const json_t *want, const json_t *have)
{
    if (json_is_string(want)) {
        return json_equal(want, have);
    }
    json_t *parsed = json_loadb(json_string_value(have), json_string_length(have), JSON_DECODE_ANY | JSON_ALLOW_NUL,
                                NULL);
    bool equal = parsed != NULL && json_equal(want, parsed);
    json_decref(parsed);
    return equal;
}

static bool same_fields(const DeltaField *fields, size_t n, const json_t *want, const json_t *have)
{
    for (size_t i = 0; i < n; i++) {
        if (!same(fields[i].type, json_object_get(want, fields[i].name), json_object_get(have, fields[i].name))) {
            return false;
        }
    }
    return true;
}

static bool same(const DeltaType *type, const json_t *want, const json_t *have)
{
    if (json_is_null(want) || have == NULL || json_is_null(have)) {
        return json_is_null(want) && (have == NULL || json_is_null(have));
    }
    switch (type->id) {
    case DELTA_STRING: return same_text(want, have);
    case DELTA_DOUBLE:
        return json_is_number(have) ? json_is_number(want) && json_number_value(want) == json_number_value(have)
                                    : json_is_string(want);
    case DELTA_STRUCT: return same_fields(type->fields, type->n_fields, want, have);
    case DELTA_ARRAY:
        if (json_array_size(want) != json_array_size(have)) {
            return false;
        }
        for (size_t i = 0; i < json_array_size(want); i++) {
            if (!same(type->fields[0].type, json_array_get(want, i), json_array_get(have, i))) {
                return false;
            }
        }
        return true;
    default: return json_equal(want, have);
    }
}

static void judge_fail(const char *line, size_t n, const char *what, const json_t *want, const char *have)
{
    char *text = want ? json_dumps(want, JSON_ENCODE_ANY) : NULL;
    fprintf(stderr, "judge: %s\n  line: %.*s\n  want: %s\n  have: %s\n", what, (int)n, line, text ? text : "-", have);
    free(text);
    abort();
}

static json_t *row_value(DuckResult *result, size_t column)
{
    Text text = TEXT(256 << 20);
    duck_result_json(result, column, &text);
    json_t *value = json_loadb(text.data, text.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    text_free(&text);
    return value;
}

static void judge_rescued(Judge *judge, DuckResult *result, const char *line, size_t n, json_t *want)
{
    char *have = duck_result_text_dup(result, judge->columns.n_data);
    if (json_object_size(want) == 0) {
        if (have != NULL) {
            judge_fail(line, n, "something is rescued", want, have);
        }
        return;
    }
    char uri[256];
    snprintf(uri, sizeof uri, "file:%s", judge->path);
    json_object_set_new(want, "_file_path", json_string(uri));
    size_t length;
    const char *text = duck_result_text(result, judge->columns.n_data, &length);
    json_t *parsed = text ? json_loadb(text, length, JSON_ALLOW_NUL, NULL) : NULL;
    if (parsed == NULL || !json_equal(parsed, want)) {
        judge_fail(line, n, "what is rescued differs", want, have ? have : "NULL");
    }
    json_decref(parsed);
    mem_free(have);
}

static void judge_row(Judge *judge, DuckResult *result, const char *line, size_t n)
{
    json_error_t error;
    bool nul = memchr(line, '\0', n) != NULL; /* jansson passes over some of them */
    json_t *want = nul ? NULL : json_loadb(line, n, JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    char *rescued = duck_result_text_dup(result, judge->columns.n_data);
    bool corrupt = rescued != NULL && strstr(rescued, "{\"_corrupt_record\":") == rescued &&
                   strstr(rescued, "\"_reason\":") != NULL;
    enum json_error_code code = want == NULL && !nul ? json_error_code(&error) : json_error_unknown;

    if (code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
        (corrupt && strstr(rescued, "nested too deeply"))) {
        goto out;
    }
    if (json_is_object(want) == corrupt) {
        judge_fail(line, n, corrupt ? "a good record is corrupt" : "a bad record is read", want,
                   rescued ? rescued : "-");
    }
    if (corrupt) {
        goto out;
    }
    json_t *fits = json_object(), *rest = json_object(),
           *once = json_loadb(line, n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    wanted_object(judge->columns.data, judge->columns.n_data, want, fits, rest);
    for (size_t i = 0; i < judge->columns.n_data; i++) {
        const DeltaField *field = &judge->columns.data[i];
        json_t *have = row_value(result, i), *expected = json_object_get(fits, field->name);
        if (!same(field->type, expected, have)) {
            char *text = have ? json_dumps(have, JSON_ENCODE_ANY) : NULL;
            judge_fail(line, n, field->name, expected, text ? text : "not JSON");
        }
        json_decref(have);
    }
    if (once != NULL) {
        judge_rescued(judge, result, line, n, rest);
    }
    json_decref(once);
    json_decref(fits);
    json_decref(rest);
out:
    json_decref(want);
    mem_free(rescued);
}

static bool judge_blank(const char *line, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r') {
            return false;
        }
    }
    return true;
}

/* Reads the bytes as a file, after one line of our own (so that they are not taken for something else); aborts where
 * the two disagree. */
static void judge_text(Judge *judge, const char *bytes, size_t n)
{
    Error err = ERROR_NONE;
    FilesFindings findings = {0};
    StreamRelation relation;
    DuckResult *result;
    Text file = TEXT(n + 16);
    bool more;

    text_append(&file, "{}\n");
    text_append_n(&file, bytes, n);
    judge_must(file_write(judge->path, file.data, file.length, &err), &err, "write");
    FilesItem item = {.path = judge->path, .size = 0};
    judge_must(files_scan_relation(judge->duck, &judge->options, &judge->columns, &item, 1, &findings, &relation, &err),
               &err, "relation");
    judge_must(duck_query(judge->conn, relation.sql, &result, &err), &err, "query");
    for (const char *at = file.data, *end = file.data + file.length; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        if (!judge_blank(at, (size_t)(stop - at))) {
            judge_must(duck_result_next(result, &more, &err), &err, "next");
            if (!more) {
                judge_fail(at, (size_t)(stop - at), "no row", NULL, "-");
            }
            judge_row(judge, result, at, (size_t)(stop - at));
        }
        at = stop + 1;
    }
    judge_must(duck_result_next(result, &more, &err), &err, "next");
    if (more) {
        judge_fail("", 0, "a row too many", NULL, "-");
    }
    duck_result_free(result);
    relation.release(relation.owner);
    mem_free(relation.sql);
    text_free(&file);
}

#endif
