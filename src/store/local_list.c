/* Listing folders of the local file system: read the names, sort them, ask for the facts of each only when its turn
 * comes, so that a visitor that stops early pays for no more. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "store/local_int.h"

typedef struct Name {
    char *text;
    unsigned char type; /* DT_* */
} Name;

typedef struct Names {
    Name *items;
    size_t count, capacity;
    DIR *folder; /* stays open for fstatat */
} Names;

static void names_free(Names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        mem_free(names->items[i].text);
    }
    mem_free(names->items);
    if (names->folder) {
        closedir(names->folder);
    }
    *names = (Names){0};
}

/* Reads the names in a folder that come after `start_after`, in no order. No folder, no names. */
static Status names_read(Names *names, const char *path, const char *start_after, Error *err)
{
    int fd = file_open(path, O_RDONLY | O_DIRECTORY, 0);

    if (fd < 0 && errno == ENOENT) {
        return OK;
    }
    names->folder = fd < 0 ? NULL : fdopendir(fd);
    if (!names->folder) {
        Status rc = error_errno(err, "listing %s", path);
        if (fd >= 0) {
            close(fd);
        }
        return rc;
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(names->folder);
        if (!entry) {
            break;
        }
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || (start_after && strcmp(name, start_after) <= 0)) {
            continue;
        }
        names->items = mem_grow(names->items, names->count, &names->capacity, sizeof(*names->items));
        names->items[names->count++] = (Name){mem_strdup(name), entry->d_type};
    }
    return errno == 0 ? OK : error_errno(err, "listing %s", path);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(((const Name *)a)->text, ((const Name *)b)->text);
}

static int byte_or_slash(const Name *name, size_t at)
{
    unsigned char c = (unsigned char)name->text[at];
    return c == '\0' && name->type == DT_DIR ? '/' : c;
}

/* The order of what will be whole relative names: a folder counts with its slash, so that "a-b" precedes "a/x". */
static int by_path_bytes(const void *a, const void *b)
{
    const Name *x = a, *y = b;
    size_t n = 0;

    while (x->text[n] && x->text[n] == y->text[n]) {
        n++;
    }
    return byte_or_slash(x, n) - byte_or_slash(y, n);
}

static void names_sort(Names *names, int (*order)(const void *, const void *))
{
    if (names->count > 0) {
        qsort(names->items, names->count, sizeof(*names->items), order);
    }
}

/* What a name stands for. *found is false when it has gone meanwhile or is a link to nothing. */
static Status names_stat(const Names *names, const Name *name, bool *found, struct stat *st, Error *err)
{
    *found = fstatat(dirfd(names->folder), name->text, st, 0) == 0;
    if (!*found && errno != ENOENT && errno != ELOOP) {
        return error_errno(err, "looking for %s", name->text);
    }
    return OK;
}

Status local_list(Store *store, const char *dir, const char *start_after, StoreVisit *visit, void *context, Error *err)
{
    Status rc = OK;
    Text path = local_full_path(store, dir);
    Names names = {0};
    bool more = true;

    TRY(names_read(&names, path.data, start_after, err));
    names_sort(&names, by_bytes);
    for (size_t i = 0; i < names.count && more; i++) {
        struct stat st;
        bool found;
        rc = names_stat(&names, &names.items[i], &found, &st, err);
        if (rc != OK) {
            error_context(err, "listing %s", path.data);
            goto out;
        }
        if (found) {
            StoreEntry entry = {.name = names.items[i].text, .info = local_info_of(&st)};
            more = visit(context, &entry);
        }
    }
out:
    names_free(&names);
    text_free(&path);
    return rc;
}

/* ---- recursively ---- */

/* A folder on the way down: its names, and how far we are. */
typedef struct Frame {
    Names names;
    size_t next;
    size_t path_length; /* of its path with a slash at the end */
} Frame;

typedef struct Walk {
    Text path;          /* absolute, of what is being looked at */
    size_t root_length; /* where the relative name begins */
    Frame frames[STORE_DEPTH_MAX];
    size_t depth;
} Walk;

/* Where readdir does not say what an entry is, ask; a link is no folder here. */
static void names_settle(Names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        struct stat st;
        Name *name = &names->items[i];
        if (name->type == DT_UNKNOWN && fstatat(dirfd(names->folder), name->text, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            name->type = S_ISDIR(st.st_mode) ? DT_DIR : DT_REG;
        }
    }
}

/* Goes down into the folder `walk->path`. */
static Status walk_enter(Walk *walk, Error *err)
{
    if (walk->depth == STORE_DEPTH_MAX) {
        return error_set(err, E_LIMIT, "listing %s: more than %d folders below each other", walk->path.data,
                         STORE_DEPTH_MAX);
    }
    Frame *frame = &walk->frames[walk->depth++];
    *frame = (Frame){0};
    Status rc = names_read(&frame->names, walk->path.data, NULL, err);
    if (rc == OK && frame->names.folder) {
        names_settle(&frame->names);
        names_sort(&frame->names, by_path_bytes);
    }
    if (walk->path.data[walk->path.length - 1] != '/') {
        text_append_char(&walk->path, '/');
    }
    frame->path_length = walk->path.length;
    return rc;
}

static void walk_leave(Walk *walk)
{
    names_free(&walk->frames[--walk->depth].names);
}

static Status walk_file(Walk *walk, const Name *name, StoreVisit *visit, void *context, bool *more, Error *err)
{
    struct stat st;
    bool found;
    Status rc = names_stat(&walk->frames[walk->depth - 1].names, name, &found, &st, err);

    if (rc == OK && found && !S_ISDIR(st.st_mode)) {
        StoreEntry entry = {.name = walk->path.data + walk->root_length, .info = local_info_of(&st)};
        *more = visit(context, &entry);
    }
    return rc;
}

Status local_list_recursive(Store *store, const char *dir, StoreVisit *visit, void *context, Error *err)
{
    Status rc = OK;
    Walk *walk = mem_alloc(sizeof(*walk));
    bool more = true;

    walk->path = local_full_path(store, dir);
    walk->path.max = SIZE_MAX / 2;
    TRY(walk_enter(walk, err));
    walk->root_length = walk->path.length;
    while (walk->depth > 0 && more) {
        Frame *frame = &walk->frames[walk->depth - 1];
        if (frame->next == frame->names.count) {
            walk_leave(walk);
            continue;
        }
        const Name *name = &frame->names.items[frame->next++];
        walk->path.length = frame->path_length;
        text_append(&walk->path, name->text);
        TRY(name->type == DT_DIR ? walk_enter(walk, err) : walk_file(walk, name, visit, context, &more, err));
    }
out:
    while (walk->depth > 0) {
        walk_leave(walk);
    }
    text_free(&walk->path);
    mem_free(walk);
    return rc;
}
