/* _last_checkpoint read and written, and its checksum, an MD5 over a canonical form of the JSON. */
#include "delta/log/hint.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "delta/log/md5.h"
#include "delta/log/name.h"

enum { HINT_BYTES_MAX = 16 << 20, SCHEMA_BYTES_MAX = 20000, SIDECARS_MAX = 30 };

/* ---- the checksum: "path=value" of every leaf, sorted, joined with commas ---- */

typedef struct Leaves {
    char **items;
    size_t n, capacity;
} Leaves;

static void append_quoted(Text *out, const char *s)
{
    text_append_char(out, '"');
    for (; *s != '\0'; s++) {
        if (isalnum((unsigned char)*s) || strchr("-._~", *s) != NULL) {
            text_append_char(out, *s);
        } else {
            text_printf(out, "%%%02X", (unsigned)(unsigned char)*s);
        }
    }
    text_append_char(out, '"');
}

static Status flatten(const json_t *value, Text *path, bool top, Leaves *leaves, Error *err)
{
    size_t length = path->length;
    const char *key;
    json_t *child;
    Status rc = OK;

    if (json_is_object(value)) {
        for (void *at = NULL; json_next(value, &at, &key, &child);) {
            if (top && strcmp(key, "checksum") == 0) {
                continue;
            }
            text_append(path, length > 0 ? "+" : "");
            append_quoted(path, key);
            TRY(flatten(child, path, false, leaves, err));
            path->length = length;
        }
    } else if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            text_printf(path, "%s%zu", length > 0 ? "+" : "", i);
            TRY(flatten(json_array_get(value, i), path, false, leaves, err));
            path->length = length;
        }
    } else {
        Text leaf = TEXT(HINT_BYTES_MAX);
        text_append_n(&leaf, text_str(path), length);
        text_append_char(&leaf, '=');
        if (json_is_string(value)) {
            append_quoted(&leaf, json_string_value(value));
        } else {
            rc = json_dump_text(value, &leaf, err);
        }
        leaves->items = mem_grow(leaves->items, leaves->n, &leaves->capacity, sizeof *leaves->items);
        leaves->items[leaves->n++] = text_take(&leaf);
    }
out:
    return rc;
}

static Status checksum_of(const json_t *object, char out[DELTA_HINT_CHECKSUM], Error *err)
{
    Leaves leaves = {0};
    Text path = TEXT(HINT_BYTES_MAX), all = TEXT(HINT_BYTES_MAX);
    Status rc = OK;

    TRY(flatten(object, &path, true, &leaves, err));
    str_sort((const char **)leaves.items, leaves.n);
    for (size_t i = 0; i < leaves.n; i++) {
        text_printf(&all, "%s%s", i > 0 ? "," : "", leaves.items[i]);
    }
    md5_hex(text_str(&all), all.length, out);
out:
    for (size_t i = 0; i < leaves.n; i++) {
        mem_free(leaves.items[i]);
    }
    mem_free(leaves.items);
    text_free(&path);
    text_free(&all);
    return rc;
}

Status delta_hint_checksum(const char *json, size_t n, char out[DELTA_HINT_CHECKSUM], Error *err)
{
    JsonSource source = {.name = "_last_checkpoint", .bytes_max = HINT_BYTES_MAX};
    json_t *object = NULL;
    Status rc = OK;

    TRY(json_parse_object(json, n, &source, &object, err));
    TRY(checksum_of(object, out, err));
out:
    json_decref(object);
    return rc;
}

/* ---- reading and writing ---- */

static Status parse_hint(const Text *file, int64_t *version, Error *err)
{
    JsonSource source = {.name = DELTA_LOG_HINT, .bytes_max = HINT_BYTES_MAX};
    json_t *object = NULL;
    const char *wanted = NULL;
    char actual[DELTA_HINT_CHECKSUM];
    Status rc = OK;

    TRY(json_parse_object(text_str(file), file->length, &source, &object, err));
    TRY(json_get_i64(object, "version", version, err));
    TRY(json_opt_string(object, "checksum", &wanted, err));
    if (*version < 0) {
        rc = error_set(err, E_JSON, "version %" PRId64, *version);
        goto out;
    }
    if (wanted != NULL) {
        TRY(checksum_of(object, actual, err));
        if (strcmp(wanted, actual) != 0) {
            rc = error_set(err, E_JSON, "its checksum is %s, it says %s", actual, wanted);
        }
    }
out:
    json_decref(object);
    return rc;
}

Status delta_hint_read(Store *store, int64_t *version, Error *err)
{
    Text file = TEXT(HINT_BYTES_MAX);
    Error inner = ERROR_NONE;
    int64_t found = -1;
    Status rc = store_read(store, DELTA_LOG_HINT, HINT_BYTES_MAX, &file, NULL, &inner);

    if (rc == OK && parse_hint(&file, &found, &inner) != OK) {
        log_debug("%s is ignored: %s", DELTA_LOG_HINT, inner.message);
        found = -1;
    } else if (rc != OK && rc != ERR_NOT_FOUND && rc != ERR_LIMIT) {
        if (err != NULL) {
            *err = inner;
        }
        goto out;
    }
    rc = OK;
    *version = found;
out:
    text_free(&file);
    return rc;
}

/* "v2Checkpoint": what a reader would otherwise look up in the checkpoint. */
static void put_v2(const DeltaHint *hint, Text *out)
{
    text_append(out, ",\"v2Checkpoint\":{\"path\":");
    text_append_json_string(out, hint->v2_name);
    text_printf(out, ",\"sizeInBytes\":%" PRId64 ",\"modificationTime\":%" PRId64, hint->v2_bytes, hint->v2_mtime_ms);
    if (hint->small != NULL) {
        text_printf(out, ",\"nonFileActions\":%s", hint->small);
    }
    if (hint->n_sidecars <= SIDECARS_MAX) {
        text_append(out, ",\"sidecarFiles\":[");
        for (size_t i = 0; i < hint->n_sidecars; i++) {
            text_append(out, i > 0 ? ",{\"path\":" : "{\"path\":");
            text_append_json_string(out, hint->sidecars[i].path);
            text_printf(out, ",\"sizeInBytes\":%" PRId64 ",\"modificationTime\":%" PRId64 "}", hint->sidecars[i].size,
                        hint->sidecars[i].modification_time);
        }
        text_append_char(out, ']');
    }
    text_append_char(out, '}');
}

Status delta_hint_write(Store *store, const DeltaHint *hint, Error *err)
{
    Text body = TEXT(HINT_BYTES_MAX), file = TEXT(HINT_BYTES_MAX);
    char checksum[DELTA_HINT_CHECKSUM];
    Status rc = OK;

    text_printf(&body, "{\"version\":%" PRId64 ",\"size\":%" PRId64, hint->version, hint->size);
    if (hint->parts > 0) {
        text_printf(&body, ",\"parts\":%zu", hint->parts);
    }
    text_printf(&body, ",\"sizeInBytes\":%" PRId64 ",\"numOfAddFiles\":%" PRId64, hint->bytes, hint->adds);
    if (hint->schema != NULL && strlen(hint->schema) <= SCHEMA_BYTES_MAX) {
        text_printf(&body, ",\"checkpointSchema\":%s", hint->schema);
    }
    if (hint->v2_name != NULL) {
        put_v2(hint, &body);
    }
    text_printf(&file, "%s}", text_str(&body));
    TRY(delta_hint_checksum(text_str(&file), file.length, checksum, err));
    text_clear(&file);
    text_printf(&file, "%s,\"checksum\":\"%s\"}", text_str(&body), checksum);
    TRY(store_put(store, DELTA_LOG_HINT, text_str(&file), file.length, err));
out:
    text_free(&body);
    text_free(&file);
    return rc;
}
