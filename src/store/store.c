/* The head of all stores: URIs to implementations, keys checked once, references, the setting of fsync. */
#include "store/store.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "store/store_int.h"

static atomic_bool fsync_on = true;

void store_set_fsync(bool on)
{
    atomic_store(&fsync_on, on);
}

bool store_fsync(void)
{
    return atomic_load_explicit(&fsync_on, memory_order_relaxed);
}

Status store_key_check(const char *key, bool may_be_empty, Error *err)
{
    size_t length = strlen(key);

    if (length == 0 && may_be_empty) {
        return OK;
    }
    if (length > STORE_KEY_MAX) {
        return error_set(err, E_STORE_KEY, "name of %zu bytes, the maximum is %d: %.100s...", length, STORE_KEY_MAX,
                         key);
    }
    for (const char *segment = key;; segment++) {
        size_t n = strcspn(segment, "/");
        if (n == 0) {
            return error_set(err, E_STORE_KEY, "the name '%s' is absolute or has an empty part", key);
        }
        if (segment[0] == '.' && (n == 1 || (n == 2 && segment[1] == '.'))) {
            return error_set(err, E_STORE_KEY, "the name '%s' has a part '%.*s'", key, (int)n, segment);
        }
        segment += n;
        if (*segment == '\0') {
            return OK;
        }
    }
}

/* ---- opening ---- */

static Status open_path(const char *path, Store **out, Error *err)
{
    Text absolute = TEXT(PATH_MAX);
    Status rc = path_absolute(path, &absolute, err);

    if (rc == OK) {
        *out = store_local_new(absolute.data);
    }
    text_free(&absolute);
    return rc;
}

/* What follows "file:": "///path", "//localhost/path" or, as Hadoop writes it, "/path". */
static Status open_file_uri(const char *rest, Store **out, Error *err)
{
    Status rc = OK;
    Text path = TEXT(PATH_MAX);
    const char *encoded = rest;

    if (str_starts(rest, "//")) {
        encoded = str_istarts(rest, "//localhost/") ? rest + strlen("//localhost") : rest + 2;
    }
    if (encoded[0] != '/') {
        rc = error_set(err, E_STORE_URI, "file:%s: must be an absolute path on this machine, as file:///data/t", rest);
        goto out;
    }
    if (!text_append_uri_decoded(&path, encoded)) {
        rc = error_set(err, E_STORE_URI, "file:%s: %%00, or a '%%' without two hexadecimal digits behind it", rest);
        error_hint(err, "a path with a '%%' in it can be given as it is, without file://");
        goto out;
    }
    TRY(open_path(text_str(&path), out, err));
out:
    text_free(&path);
    return rc;
}

typedef struct Scheme {
    const char *prefix;
    size_t skip; /* bytes of the prefix that `open` does not want to see */
    Status (*open)(const char *rest, Store **out, Error *err);
} Scheme;

static const Scheme SCHEMES[] = {
    {"file:/", sizeof("file:") - 1, open_file_uri},
    {"memory://", sizeof("memory://") - 1, store_memory_open},
};

/* The length of "scheme" in "scheme://...", or 0 for a plain path. */
static size_t scheme_length(const char *uri)
{
    size_t n = 0;

    while (isalnum((unsigned char)uri[n]) || (n > 0 && uri[n] && strchr("+-.", uri[n]))) {
        n++;
    }
    return str_starts(uri + n, "://") ? n : 0;
}

Status store_open(const char *uri, Store **out, Error *err)
{
    if (uri[0] == '\0') {
        return error_set(err, E_STORE_URI, "an empty text is no place");
    }
    for (size_t i = 0; i < sizeof(SCHEMES) / sizeof(*SCHEMES); i++) {
        if (str_istarts(uri, SCHEMES[i].prefix)) {
            return SCHEMES[i].open(uri + SCHEMES[i].skip, out, err);
        }
    }
    size_t n = scheme_length(uri);
    if (n > 0) {
        Status rc = error_set(err, E_STORE_URI, "%s: this build does not understand %.*s://", uri, (int)n, uri);
        error_hint(err, "it understands plain paths, file:// and memory://");
        return rc;
    }
    return open_path(uri, out, err);
}

Store *store_ref(Store *store)
{
    atomic_fetch_add(&store->references, 1);
    return store;
}

void store_unref(Store *store)
{
    if (store && atomic_fetch_sub(&store->references, 1) == 1) {
        char *uri = store->uri;
        store->ops->close(store);
        mem_free(uri);
    }
}

const char *store_uri(const Store *store)
{
    return store->uri;
}

const char *store_place_write(const char *place, const char *folder)
{
    size_t n = strlen(folder);
    bool below = strncmp(place, folder, n) == 0 && place[n] == '/' && place[n + 1] != '\0';

    return below ? place + n + 1 : place;
}

void store_place_read(const char *written, const char *folder, Text *out)
{
    bool below = written[0] != '/' && strstr(written, "://") == NULL;

    text_printf(out, "%s%s%s", below ? folder : "", below ? "/" : "", written);
}

/* ---- the operations: keys are checked here, once for all stores ---- */

/* For functions that own nothing yet. */
#define CHECK(call)              \
    do {                         \
        Status checked = (call); \
        if (checked != OK) {     \
            return checked;      \
        }                        \
    } while (0)
#define CHECK_KEY(key) CHECK(store_key_check((key), false, err))
#define CHECK_DIR(dir) CHECK(store_key_check((dir), true, err))

Status store_open_below(Store *store, const char *dir, Store **out, Error *err)
{
    CHECK_DIR(dir);
    return store->ops->open_below(store, dir, out, err);
}

Status store_read(Store *store, const char *key, size_t max, Text *out, StoreInfo *info, Error *err)
{
    CHECK_KEY(key);
    return store->ops->read(store, key, max, out, info, err);
}

Status store_read_range(Store *store, const char *key, int64_t offset, size_t n, Text *out, Error *err)
{
    CHECK_KEY(key);
    return store->ops->read_range(store, key, offset, n, out, err);
}

Status store_info(Store *store, const char *key, StoreInfo *out, Error *err)
{
    CHECK_DIR(key);
    return store->ops->info(store, key, out, err);
}

Status store_put_if_absent(Store *store, const char *key, const void *data, size_t n, Error *err)
{
    CHECK_KEY(key);
    return store->ops->put(store, key, data, n, STORE_PUT_IF_ABSENT, err);
}

Status store_put_if_absent_unsynced(Store *store, const char *key, const void *data, size_t n, Error *err)
{
    CHECK_KEY(key);
    return store->ops->put(store, key, data, n, STORE_PUT_IF_ABSENT | STORE_PUT_UNSYNCED, err);
}

Status store_put(Store *store, const char *key, const void *data, size_t n, Error *err)
{
    CHECK_KEY(key);
    return store->ops->put(store, key, data, n, STORE_PUT_REPLACE, err);
}

Status store_rename_no_replace(Store *store, const char *from, const char *to, Error *err)
{
    CHECK_KEY(from);
    CHECK_KEY(to);
    return store->ops->rename(store, from, to, err);
}

Status store_delete(Store *store, const char *key, Error *err)
{
    CHECK_KEY(key);
    return store->ops->remove(store, key, err);
}

Status store_delete_folder(Store *store, const char *dir, Error *err)
{
    CHECK_DIR(dir);
    return store->ops->remove_folder(store, dir, err);
}

Status store_mkdirs(Store *store, const char *dir, Error *err)
{
    CHECK_DIR(dir);
    return store->ops->mkdirs(store, dir, err);
}

Status store_list(Store *store, const char *dir, const char *start_after, StoreVisit *visit, void *context, Error *err)
{
    CHECK_DIR(dir);
    return store->ops->list(store, dir, start_after, visit, context, err);
}

Status store_list_recursive(Store *store, const char *dir, StoreVisit *visit, void *context, Error *err)
{
    CHECK_DIR(dir);
    return store->ops->list_recursive(store, dir, visit, context, err);
}

Status store_sync(Store *store, const char *key, Error *err)
{
    return store_sync_many(store, &key, 1, err);
}

Status store_sync_many(Store *store, const char *const *keys, size_t n, Error *err)
{
    for (size_t i = 0; i < n; i++) {
        CHECK_KEY(keys[i]);
    }
    return store->ops->sync(store, keys, n, err);
}

Status store_local_path(Store *store, const char *key, Text *out, Error *err)
{
    CHECK_DIR(key);
    return store->ops->local_path(store, key, out, err);
}
