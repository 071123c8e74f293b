/* The folders outside of a table in which its log may name files. */
#include "delta/allowed.h"

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/text.h"
#include "delta/log/name.h"
#include "delta/log/path.h"
#include "store/store.h"

typedef struct Folder {
    char *path; /* without a '/' at its end; "" is the root */
    size_t uses;
} Folder;

typedef struct Folders {
    Folder *items;
    size_t n, capacity;
} Folders;

static struct {
    pthread_mutex_t lock;
    char *text; /* of the user's list; NULL: none */
    Folders listed, warehouses;
} allowed = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void folders_add(Folders *folders, const char *path, size_t length)
{
    folders->items = mem_grow(folders->items, folders->n, &folders->capacity, sizeof *folders->items);
    folders->items[folders->n++] = (Folder){.path = mem_strndup(path, length), .uses = 1};
}

static void folders_clear(Folders *folders)
{
    for (size_t i = 0; i < folders->n; i++) {
        mem_free(folders->items[i].path);
    }
    mem_free(folders->items);
    *folders = (Folders){0};
}

static size_t without_slash(const char *path)
{
    size_t n = strlen(path);

    return n > 0 && path[n - 1] == '/' ? n - 1 : n;
}

/* Below the folder, not beside it: /a does not admit /a-evil. */
static bool is_below(const char *path, const Folder *folder)
{
    size_t n = strlen(folder->path);

    return strncmp(path, folder->path, n) == 0 && path[n] == '/';
}

static bool any_above(const Folders *folders, const char *path)
{
    for (size_t i = 0; i < folders->n; i++) {
        if (is_below(path, &folders->items[i])) {
            return true;
        }
    }
    return false;
}

/* ---- the user's list ---- */

/* One item, blanks around it left out. */
static Status take_item(Folders *folders, const char *item, size_t n, Error *err)
{
    Store *store = NULL;
    char *place;
    Status rc = OK;

    while (n > 0 && item[0] == ' ') {
        item++;
        n--;
    }
    while (n > 0 && item[n - 1] == ' ') {
        n--;
    }
    if (n == 0) {
        return OK;
    }
    place = mem_strndup(item, n);
    TRY(store_open(place, &store, err));
    if (store_uri(store)[0] != '/') {
        rc = error_set(err, E_DELTA_PROPERTY, "freshet.allowedPaths cannot hold '%s'", place);
        error_hint(err, "it takes local folders with commas between them");
        goto out;
    }
    folders_add(folders, store_uri(store), without_slash(store_uri(store)));
out:
    store_unref(store);
    mem_free(place);
    return rc;
}

Status delta_allowed_set(const char *list, Error *err)
{
    Folders folders = {0};
    Status rc = OK;

    for (const char *at = list; at != NULL && *at != '\0';) {
        size_t n = strcspn(at, ",");
        TRY(take_item(&folders, at, n, err));
        at += n + (at[n] == ',');
    }
    pthread_mutex_lock(&allowed.lock);
    Folders before = allowed.listed;
    mem_free(allowed.text);
    allowed.text = mem_strdup(list);
    allowed.listed = folders;
    folders = before;
    pthread_mutex_unlock(&allowed.lock);
out:
    folders_clear(&folders);
    return rc;
}

char *delta_allowed_get(void)
{
    pthread_mutex_lock(&allowed.lock);
    char *copy = mem_strdup(allowed.text);
    pthread_mutex_unlock(&allowed.lock);
    return copy;
}

/* ---- warehouses ---- */

static size_t find(const Folders *folders, const char *path, size_t length)
{
    size_t i = 0;

    while (i < folders->n &&
           (strlen(folders->items[i].path) != length || strncmp(folders->items[i].path, path, length) != 0)) {
        i++;
    }
    return i;
}

void delta_allowed_open(const char *warehouse)
{
    size_t n = without_slash(warehouse);

    pthread_mutex_lock(&allowed.lock);
    size_t i = find(&allowed.warehouses, warehouse, n);
    if (i < allowed.warehouses.n) {
        allowed.warehouses.items[i].uses++;
    } else {
        folders_add(&allowed.warehouses, warehouse, n);
    }
    pthread_mutex_unlock(&allowed.lock);
}

void delta_allowed_close(const char *warehouse)
{
    Folders *all = &allowed.warehouses;

    pthread_mutex_lock(&allowed.lock);
    size_t i = find(all, warehouse, without_slash(warehouse));
    if (i < all->n && --all->items[i].uses == 0) {
        mem_free(all->items[i].path);
        all->items[i] = all->items[--all->n];
        if (all->n == 0) {
            folders_clear(all);
        }
    }
    pthread_mutex_unlock(&allowed.lock);
}

/* ---- the question ---- */

/* Below a folder with a log? */
static bool is_in_table(const char *path)
{
    Text log = TEXT(1 << 16);
    struct stat there;
    bool found = false;

    for (const char *end = strrchr(path, '/'); end > path && !found; end = memrchr(path, '/', (size_t)(end - path))) {
        text_clear(&log);
        text_append_n(&log, path, (size_t)(end - path));
        text_append(&log, "/" DELTA_LOG_DIR);
        found = stat(text_str(&log), &there) == 0 && S_ISDIR(there.st_mode);
    }
    text_free(&log);
    return found;
}

bool delta_allowed_path(const char *path)
{
    if (path[0] != '/' || !delta_path_is_inside(path + 1)) {
        return false;
    }
    pthread_mutex_lock(&allowed.lock);
    bool listed = any_above(&allowed.listed, path), warehouse = any_above(&allowed.warehouses, path);
    pthread_mutex_unlock(&allowed.lock);
    return listed || (warehouse && is_in_table(path));
}
