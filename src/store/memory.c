/* A place in this process's memory, for tests and for tables that need not outlive it.
 *
 * A volume (the "name" of memory://name) holds its objects in one array in byte order of their keys, under one lock.
 * Folders are what the keys say. Visitors are called without the lock, on a copy of what was there.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/store_int.h"

typedef struct Object {
    char *key;
    char *data;
    size_t size;
    int64_t mtime_ms;
} Object;

typedef struct Volume {
    pthread_mutex_t lock;
    Object *objects;
    size_t count, capacity;
    size_t bytes;
    int64_t newest_ms; /* times never go backwards, whatever the clock does */
} Volume;

typedef struct Memory {
    Store base;
    Volume *volume;
    char *folder; /* of the root within the volume; "" or "a/b" */
} Memory;

static const StoreOps MEMORY_OPS;

/* All volumes by name; they live as long as the process. */
static pthread_mutex_t volumes_lock = PTHREAD_MUTEX_INITIALIZER;
static Map *volumes;

static Volume *volume_of(const char *name, size_t n)
{
    pthread_mutex_lock(&volumes_lock);
    volumes = volumes ? volumes : map_new();
    Volume *volume = map_get_n(volumes, name, n);
    if (!volume) {
        volume = mem_alloc(sizeof(*volume));
        pthread_mutex_init(&volume->lock, NULL);
        map_put_n(volumes, name, n, volume);
    }
    pthread_mutex_unlock(&volumes_lock);
    return volume;
}

static Text unlimited(void)
{
    return TEXT(SIZE_MAX / 2);
}

/* Takes `uri` over. */
static Store *memory_new(Volume *volume, const char *folder, char *uri)
{
    Memory *memory = mem_alloc(sizeof(*memory));

    memory->base.ops = &MEMORY_OPS;
    atomic_init(&memory->base.references, 1);
    memory->base.uri = uri;
    memory->volume = volume;
    memory->folder = mem_strdup(folder);
    return &memory->base;
}

Status store_memory_open(const char *place, Store **out, Error *err)
{
    Status rc = OK;
    Text uri = unlimited();
    size_t n = strlen(place), name_length = strcspn(place, "/");

    while (n > name_length && place[n - 1] == '/') {
        n--;
    }
    char *trimmed = mem_strndup(place, n);
    const char *folder = n > name_length ? trimmed + name_length + 1 : "";
    if (name_length == 0) {
        rc = error_set(err, E_STORE_URI, "memory://%s: a name must follow, as in memory://test", place);
        goto out;
    }
    if (store_key_check(folder, true, NULL) != OK) {
        rc = error_set(err, E_STORE_URI, "memory://%s: the folder has an empty part, '.' or '..'", place);
        goto out;
    }
    text_printf(&uri, "memory://%s", trimmed);
    *out = memory_new(volume_of(place, name_length), folder, text_take(&uri));
out:
    mem_free(trimmed);
    return rc;
}

static void memory_close(Store *store)
{
    mem_free(((Memory *)store)->folder);
    mem_free(store);
}

/* The key within the volume, the caller's. A folder's has no slash at its end. */
static char *full_key(const Store *store, const char *key)
{
    const char *folder = ((const Memory *)store)->folder;
    Text text = unlimited();

    text_append(&text, folder);
    if (*folder && *key) {
        text_append_char(&text, '/');
    }
    text_append(&text, key);
    return text_take(&text);
}

static Status memory_open_below(Store *store, const char *dir, Store **out, Error *err)
{
    (void)err;
    char *folder = full_key(store, dir);
    Text uri = unlimited();

    text_printf(&uri, "%s%s%s", store->uri, *dir ? "/" : "", dir);
    *out = memory_new(((Memory *)store)->volume, folder, text_take(&uri));
    mem_free(folder);
    return OK;
}

/* ---- the sorted array; all under the lock ---- */

static Volume *lock_volume(Store *store)
{
    Volume *volume = ((Memory *)store)->volume;
    pthread_mutex_lock(&volume->lock);
    return volume;
}

static void unlock_volume(Volume *volume)
{
    pthread_mutex_unlock(&volume->lock);
}

/* The position of the first object whose key is not below `key`. */
static size_t lower_bound(const Volume *volume, const char *key)
{
    size_t low = 0, high = volume->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(volume->objects[middle].key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static Object *find(const Volume *volume, const char *key)
{
    size_t at = lower_bound(volume, key);
    return at < volume->count && strcmp(volume->objects[at].key, key) == 0 ? &volume->objects[at] : NULL;
}

/* What is in a folder is objects [*first, *last). The root ("") holds all. */
static void folder_range(const Volume *volume, const char *folder, size_t *first, size_t *last)
{
    if (*folder == '\0') {
        *first = 0;
        *last = volume->count;
        return;
    }
    Text edge = unlimited();
    text_printf(&edge, "%s/", folder);
    *first = lower_bound(volume, edge.data);
    edge.data[edge.length - 1] = '/' + 1;
    *last = lower_bound(volume, edge.data);
    text_free(&edge);
}

static bool is_folder(const Volume *volume, const char *key)
{
    size_t first, last;

    folder_range(volume, key, &first, &last);
    return first < last;
}

/* True when a part of the key before its last is a file. */
static bool is_below_file(const Volume *volume, const char *key)
{
    char *part = mem_strdup(key);
    bool found = false;

    for (char *slash = strrchr(part, '/'); slash && !found; slash = strrchr(part, '/')) {
        *slash = '\0';
        found = find(volume, part) != NULL;
    }
    mem_free(part);
    return found;
}

/* Takes `key` and `data` over. */
static void insert(Volume *volume, char *key, char *data, size_t n)
{
    size_t at = lower_bound(volume, key);
    int64_t now = clock_now_ms();

    volume->newest_ms = now > volume->newest_ms ? now : volume->newest_ms;
    volume->objects = mem_grow(volume->objects, volume->count, &volume->capacity, sizeof(*volume->objects));
    memmove(volume->objects + at + 1, volume->objects + at, (volume->count - at) * sizeof(*volume->objects));
    volume->objects[at] = (Object){.key = key, .data = data, .size = n, .mtime_ms = volume->newest_ms};
    volume->count++;
    volume->bytes += n;
}

static void erase(Volume *volume, size_t first, size_t last)
{
    if (first == last) {
        return;
    }
    for (size_t i = first; i < last; i++) {
        volume->bytes -= volume->objects[i].size;
        mem_free(volume->objects[i].key);
        mem_free(volume->objects[i].data);
    }
    memmove(volume->objects + first, volume->objects + last, (volume->count - last) * sizeof(*volume->objects));
    volume->count -= last - first;
}

static void erase_object(Volume *volume, const Object *object)
{
    size_t at = (size_t)(object - volume->objects);
    erase(volume, at, at + 1);
}

static StoreInfo info_of(const Object *object)
{
    return (StoreInfo){.size = (int64_t)object->size, .mtime_ms = object->mtime_ms};
}

/* ---- the operations ---- */

static Status missing(const Volume *volume, const Store *store, const char *key, const char *full, Error *err)
{
    if (is_folder(volume, full)) {
        return error_set(err, E_IO, "%s/%s is a folder", store->uri, key);
    }
    return error_set(err, E_IO_NOT_FOUND, "%s/%s does not exist", store->uri, key);
}

static Status memory_read(Store *store, const char *key, size_t max, Text *out, StoreInfo *info, Error *err)
{
    Status rc = OK;
    char *full = full_key(store, key);
    Volume *volume = lock_volume(store);
    const Object *object = find(volume, full);

    if (!object) {
        rc = missing(volume, store, key, full, err);
    } else if (object->size > max) {
        rc = error_set(err, E_LIMIT, "reading %s/%s: %zu bytes, the maximum is %zu", store->uri, key, object->size,
                       max);
    } else {
        out->max = out->max > max ? out->max : max;
        text_clear(out);
        text_append_n(out, object->data, object->size);
        if (info) {
            *info = info_of(object);
        }
    }
    unlock_volume(volume);
    mem_free(full);
    return rc;
}

static Status memory_read_range(Store *store, const char *key, int64_t offset, size_t n, Text *out, Error *err)
{
    Status rc = OK;
    char *full = full_key(store, key);
    Volume *volume = lock_volume(store);
    const Object *object = find(volume, full);

    if (!object) {
        rc = missing(volume, store, key, full, err);
    } else if (offset < 0 || (uint64_t)offset > object->size || n > object->size - (size_t)offset) {
        rc = error_set(err, E_IO, "reading %s/%s: it has %zu bytes; %zu from offset %lld were asked for", store->uri,
                       key, object->size, n, (long long)offset);
    } else {
        out->max = out->max > n ? out->max : n;
        text_clear(out);
        text_append_n(out, object->data + offset, n);
    }
    unlock_volume(volume);
    mem_free(full);
    return rc;
}

static Status memory_info(Store *store, const char *key, StoreInfo *out, Error *err)
{
    Status rc = OK;
    char *full = full_key(store, key);
    Volume *volume = lock_volume(store);
    const Object *object = find(volume, full);

    if (object) {
        *out = info_of(object);
    } else if (is_folder(volume, full)) {
        *out = (StoreInfo){.is_dir = true};
    } else {
        rc = missing(volume, store, key, full, err);
    }
    unlock_volume(volume);
    mem_free(full);
    return rc;
}

/* Whether the name can be taken, and the bytes be had. */
static Status may_put(const Volume *volume, const Store *store, const char *key, const char *full, size_t n,
                      bool replace, Error *err)
{
    bool folder = is_folder(volume, full);

    if (!replace && (folder || find(volume, full))) {
        return error_set(err, E_IO_EXISTS, "%s/%s exists already", store->uri, key);
    }
    if (folder) {
        return error_set(err, E_IO, "writing %s/%s: it is a folder", store->uri, key);
    }
    if (is_below_file(volume, full)) {
        return error_set(err, E_IO, "writing %s/%s: a part of the name is a file", store->uri, key);
    }
    if (n > STORE_MEMORY_MAX - volume->bytes) {
        return error_set(err, E_LIMIT, "writing %s/%s: a place in memory holds at most %d bytes", store->uri, key,
                         STORE_MEMORY_MAX);
    }
    return OK;
}

static Status memory_put(Store *store, const char *key, const void *data, size_t n, unsigned how, Error *err)
{
    Status rc = OK;
    char *full = full_key(store, key);
    char *copy = mem_realloc(NULL, n);
    Volume *volume = NULL;

    if (n > 0) {
        memcpy(copy, data, n);
    }
    TRY(failpoint(FP_STORE_PUT_BEFORE_PUBLISH, err));
    volume = lock_volume(store);
    TRY(may_put(volume, store, key, full, n, (how & STORE_PUT_REPLACE) != 0, err));
    const Object *before = find(volume, full);
    if (before) {
        erase_object(volume, before);
    }
    insert(volume, full, copy, n);
    full = copy = NULL;
    rc = failpoint(FP_STORE_PUT_AFTER_PUBLISH, err);
    if (rc != OK) {
        error_flag(err, ERROR_UNKNOWN_OUTCOME);
    }
out:
    if (volume) {
        unlock_volume(volume);
    }
    mem_free(full);
    mem_free(copy);
    return rc;
}

static Status memory_rename(Store *store, const char *from, const char *to, Error *err)
{
    Status rc = OK;
    char *from_key = full_key(store, from), *to_key = full_key(store, to);
    Volume *volume = lock_volume(store);
    Object *object = find(volume, from_key);

    if (!object) {
        rc = missing(volume, store, from, from_key, err);
        goto out;
    }
    TRY(may_put(volume, store, to, to_key, 0, false, err));
    Object moved = *object;
    object->data = NULL;
    erase_object(volume, object);
    insert(volume, to_key, moved.data, moved.size);
    find(volume, to_key)->mtime_ms = moved.mtime_ms; /* as a file keeps it */
    to_key = NULL;
out:
    unlock_volume(volume);
    mem_free(from_key);
    mem_free(to_key);
    return rc;
}

static Status memory_remove(Store *store, const char *key, Error *err)
{
    Status rc = OK;
    char *full = full_key(store, key);
    Volume *volume = lock_volume(store);
    const Object *object = find(volume, full);

    if (object) {
        erase_object(volume, object);
    } else if (is_folder(volume, full)) {
        rc = error_set(err, E_IO, "deleting %s/%s: it is a folder", store->uri, key);
    }
    unlock_volume(volume);
    mem_free(full);
    return rc;
}

static Status memory_remove_folder(Store *store, const char *dir, Error *err)
{
    (void)err;
    char *full = full_key(store, dir);
    Volume *volume = lock_volume(store);
    size_t first, last;

    folder_range(volume, full, &first, &last);
    erase(volume, first, last);
    unlock_volume(volume);
    mem_free(full);
    return OK;
}

static Status memory_mkdirs(Store *store, const char *dir, Error *err)
{
    (void)store, (void)dir, (void)err;
    return OK;
}

/* ---- listing ---- */

typedef struct Found {
    char *name;
    StoreInfo info;
} Found;

typedef struct Listing {
    Found *items;
    size_t count, capacity;
} Listing;

static void listing_add(Listing *listing, const char *name, size_t n, StoreInfo info)
{
    listing->items = mem_grow(listing->items, listing->count, &listing->capacity, sizeof(*listing->items));
    listing->items[listing->count++] = (Found){mem_strndup(name, n), info};
}

static void listing_visit(const Listing *listing, StoreVisit *visit, void *context)
{
    bool more = true;

    for (size_t i = 0; i < listing->count && more; i++) {
        StoreEntry entry = {listing->items[i].name, listing->items[i].info};
        more = visit(context, &entry);
    }
}

static void listing_free(Listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) {
        mem_free(listing->items[i].name);
    }
    mem_free(listing->items);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const Found *)a)->name, ((const Found *)b)->name);
}

/* Adds what the objects of a folder show in it: files, and each folder once; what is in one stands together. */
static void list_range(const Volume *volume, size_t first, size_t last, size_t prefix, const char *start_after,
                       Listing *listing)
{
    const char *folder = NULL;
    size_t folder_length = 0;

    for (size_t i = first; i < last; i++) {
        const Object *object = &volume->objects[i];
        const char *name = object->key + prefix;
        size_t n = strcspn(name, "/");
        bool is_dir = name[n] == '/';
        if (is_dir && folder && n == folder_length && memcmp(name, folder, n) == 0) {
            continue;
        }
        folder = is_dir ? name : folder;
        folder_length = is_dir ? n : folder_length;
        listing_add(listing, name, n, is_dir ? (StoreInfo){.is_dir = true} : info_of(object));
        if (start_after && strcmp(listing->items[listing->count - 1].name, start_after) <= 0) {
            mem_free(listing->items[--listing->count].name);
        }
    }
}

/* Both listings; start_after counts only in the flat one. */
static Status memory_listing(Store *store, const char *dir, bool flat, const char *start_after, StoreVisit *visit,
                             void *context, Error *err)
{
    Status rc = OK;
    Listing listing = {0};
    char *full = full_key(store, dir);
    Volume *volume = lock_volume(store);
    size_t first, last, prefix = *full ? strlen(full) + 1 : 0;

    if (find(volume, full)) {
        rc = error_set(err, E_IO, "listing %s/%s: it is a file", store->uri, dir);
    }
    folder_range(volume, full, &first, &last);
    if (flat) {
        list_range(volume, first, last, prefix, start_after, &listing);
    } else {
        for (size_t i = first; i < last; i++) {
            listing_add(&listing, volume->objects[i].key + prefix, SIZE_MAX, info_of(&volume->objects[i]));
        }
    }
    unlock_volume(volume);
    mem_free(full);
    if (listing.count > 0) {
        qsort(listing.items, listing.count, sizeof(*listing.items), by_name);
    }
    listing_visit(&listing, visit, context);
    listing_free(&listing);
    return rc;
}

static Status memory_list(Store *store, const char *dir, const char *start_after, StoreVisit *visit, void *context,
                          Error *err)
{
    return memory_listing(store, dir, true, start_after, visit, context, err);
}

static Status memory_list_recursive(Store *store, const char *dir, StoreVisit *visit, void *context, Error *err)
{
    return memory_listing(store, dir, false, NULL, visit, context, err);
}

static Status memory_sync(Store *store, const char *const *keys, size_t n, Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < n && rc == OK; i++) {
        StoreInfo info;
        rc = memory_info(store, keys[i], &info, err);
    }
    return rc;
}

static Status memory_local_path(Store *store, const char *key, Text *out, Error *err)
{
    (void)key, (void)out;
    return error_set(err, E_STORE_UNSUPPORTED, "%s has no path that another library could open", store->uri);
}

static const StoreOps MEMORY_OPS = {
    .close = memory_close,
    .open_below = memory_open_below,
    .read = memory_read,
    .read_range = memory_read_range,
    .info = memory_info,
    .put = memory_put,
    .rename = memory_rename,
    .remove = memory_remove,
    .remove_folder = memory_remove_folder,
    .mkdirs = memory_mkdirs,
    .list = memory_list,
    .list_recursive = memory_list_recursive,
    .sync = memory_sync,
    .local_path = memory_local_path,
};
