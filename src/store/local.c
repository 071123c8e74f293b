/* A folder of the local file system.
 *
 * A put writes a temporary file ".<name>.<uuid>.tmp" beside its target, fsyncs it, gives it its name by link(2), which
 * fails when the name is taken (or by rename(2), which replaces), removes the temporary name and fsyncs the folder. A
 * process that dies in between leaves at most a temporary file, whose name no reader of a table takes for one of its
 * own. For a small file that is: open the folder, openat, write, fsync, linkat, unlinkat, fsync.
 *
 * fsync is never repeated on a file for which it failed: the kernel may have dropped the pages and would report
 * success. The temporary file is removed, and whoever tries again writes a new one.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/local_int.h"

static const StoreOps LOCAL_OPS;

Store *store_local_new(const char *path)
{
    Store *store = mem_alloc(sizeof(*store));

    store->ops = &LOCAL_OPS;
    atomic_init(&store->references, 1);
    store->uri = mem_strdup(path);
    return store;
}

static void local_close(Store *store)
{
    mem_free(store);
}

Text local_full_path(const Store *store, const char *key)
{
    Text path = TEXT(2 * PATH_MAX);

    if (key[0] == '\0') {
        text_append(&path, store->uri);
    } else {
        path_join(&path, store->uri, key);
    }
    return path;
}

static Status local_open_below(Store *store, const char *dir, Store **out, Error *err)
{
    (void)err;
    Text path = local_full_path(store, dir);

    *out = store_local_new(path.data);
    text_free(&path);
    return OK;
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

StoreInfo local_info_of(const struct stat *st)
{
    bool is_dir = S_ISDIR(st->st_mode);

    return (StoreInfo){
        .size = is_dir ? 0 : st->st_size,
        .mtime_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000,
        .is_dir = is_dir,
    };
}

/* ---- reading ---- */

static Status local_read(Store *store, const char *key, size_t max, Text *out, StoreInfo *info, Error *err)
{
    Status rc = OK;
    struct stat st;
    Text path = local_full_path(store, key);
    int fd = file_open(path.data, O_RDONLY, 0);

    if (fd < 0 || fstat(fd, &st) != 0) {
        rc = error_errno(err, "reading %s", path.data);
        goto out;
    }
    TRY(file_read_fd(fd, path.data, max, out, err));
    if (info) {
        *info = local_info_of(&st);
        info->size = (int64_t)out->length;
    }
out:
    close_fd(fd);
    text_free(&path);
    return rc;
}

static Status read_exactly(int fd, const char *name, int64_t offset, char *data, size_t n, Error *err)
{
    while (n > 0) {
        ssize_t got = pread(fd, data, n, offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return error_errno(err, "reading %s", name);
        }
        if (got == 0) {
            return error_set(err, E_IO, "reading %s: it became shorter meanwhile", name);
        }
        data += got;
        offset += got;
        n -= (size_t)got;
    }
    return OK;
}

static Status local_read_range(Store *store, const char *key, int64_t offset, size_t n, Text *out, Error *err)
{
    Status rc = OK;
    struct stat st;
    Text path = local_full_path(store, key);
    char *data = NULL;
    int fd = file_open(path.data, O_RDONLY, 0);

    if (fd < 0 || fstat(fd, &st) != 0) {
        rc = error_errno(err, "reading %s", path.data);
        goto out;
    }
    if (offset < 0 || offset > st.st_size || n > (uint64_t)(st.st_size - offset)) {
        rc = error_set(err, E_IO, "reading %s: it has %lld bytes; %zu from offset %lld were asked for", path.data,
                       (long long)st.st_size, n, (long long)offset);
        goto out;
    }
    data = mem_realloc(NULL, n + 1);
    TRY(read_exactly(fd, path.data, offset, data, n, err));
    data[n] = '\0';
    size_t max = out->max > n ? out->max : n;
    text_free(out);
    *out = (Text){.data = data, .length = n, .capacity = n + 1, .max = max};
    data = NULL;
out:
    mem_free(data);
    close_fd(fd);
    text_free(&path);
    return rc;
}

static Status local_info(Store *store, const char *key, StoreInfo *out, Error *err)
{
    Status rc = OK;
    struct stat st;
    Text path = local_full_path(store, key);

    if (stat(path.data, &st) != 0) {
        rc = error_errno(err, "looking for %s", path.data);
    } else {
        *out = local_info_of(&st);
    }
    text_free(&path);
    return rc;
}

/* ---- writing ---- */

/* One name in an open folder, on its way from a temporary file. */
typedef struct Target {
    const char *path;        /* of the target, for errors */
    const char *name;        /* its last segment */
    int dir;                 /* the folder, open */
    int file;                /* the temporary file, open; -1 when there is none */
    char temp[NAME_MAX + 1]; /* its name; empty when that is gone */
} Target;

static const char *last_segment(const Text *path)
{
    return strrchr(path->data, '/') + 1;
}

/* Opens the folder of a path for reading, which is what fsync and the *at calls need. With `create` it is made when it
 * is missing. */
static Status open_parent(const char *path, bool create, int *out, Error *err)
{
    Status rc = OK;
    const char *slash = strrchr(path, '/');
    char *dir = mem_strndup(path, slash > path ? (size_t)(slash - path) : 1);
    int fd = file_open(dir, O_RDONLY | O_DIRECTORY, 0);

    if (fd < 0 && errno == ENOENT && create) {
        TRY(file_mkdirs(dir, store_fsync(), err));
        fd = file_open(dir, O_RDONLY | O_DIRECTORY, 0);
    }
    if (fd < 0) {
        rc = error_errno(err, "opening folder %s", dir);
        goto out;
    }
    *out = fd;
out:
    mem_free(dir);
    return rc;
}

static Status sync_fd(int fd, const char *name, Error *err)
{
    return store_fsync() ? file_sync_fd(fd, name, err) : OK;
}

/* Writes the temporary file and, unless told not to, syncs it. Of a name that leaves no room for the additions, only a
 * part is used. */
static Status write_temp(Target *target, const void *data, size_t n, bool sync, Error *err)
{
    Status rc = OK;
    char uuid[UUID_TEXT];
    int room = NAME_MAX - (int)strlen("...tmp") - (UUID_TEXT - 1);

    uuid_text(uuid);
    snprintf(target->temp, sizeof(target->temp), ".%.*s.%s.tmp", room, target->name, uuid);
    do {
        target->file = openat(target->dir, target->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (target->file < 0 && errno == EINTR);
    if (target->file < 0) {
        return error_errno(err, "creating %s", target->path);
    }
    TRY(file_write_fd(target->file, target->path, data, n, err));
    TRY(sync ? sync_fd(target->file, target->path, err) : OK);
out:
    return rc;
}

static void remove_temp(Target *target)
{
    if (target->file >= 0 && target->temp[0] != '\0') {
        unlinkat(target->dir, target->temp, 0);
        target->temp[0] = '\0';
    }
}

static Status name_taken(const char *path, Error *err)
{
    return error_set(err, E_IO_EXISTS, "%s exists already", path);
}

/* A failure (errno) of the call that gives the name. Anything but a plain refusal may have reached the disk. */
static Status naming_failed(const char *path, Error *err)
{
    static const int REFUSALS[] = {EACCES, EDQUOT, EISDIR, EMLINK, ENAMETOOLONG, ENOENT, ENOSPC, ENOTDIR, EPERM, EROFS};
    int code = errno;
    Status rc = error_errno(err, "naming %s", path);

    for (size_t i = 0; i < sizeof(REFUSALS) / sizeof(*REFUSALS); i++) {
        if (code == REFUSALS[i]) {
            return rc;
        }
    }
    error_flag(err, ERROR_UNKNOWN_OUTCOME);
    return rc;
}

/* Moves a name without replacing. Not every file system knows how; `errno` tells, see no_such_call. */
static bool move_name(int from_dir, const char *from, int to_dir, const char *to)
{
    return renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE) == 0;
}

/* The file system does not offer the call at all. */
static bool no_such_call(int code)
{
    return code == EINVAL || code == ENOSYS || code == EOPNOTSUPP || code == EPERM;
}

/* True when link(2) took effect although it reported a failure: a network file system repeats a request whose answer
 * was lost, and the repetition finds the name taken by ourselves. */
static bool linked_after_all(const Target *target)
{
    struct stat st;
    int saved = errno;
    bool linked = fstat(target->file, &st) == 0 && st.st_nlink == 2;

    errno = saved;
    return linked;
}

static Status publish_new(Target *target, Error *err)
{
    if (linkat(target->dir, target->temp, target->dir, target->name, 0) == 0 || linked_after_all(target)) {
        return OK;
    }
    if (no_such_call(errno) && move_name(target->dir, target->temp, target->dir, target->name)) {
        target->temp[0] = '\0';
        return OK;
    }
    if (errno == EEXIST) {
        return name_taken(target->path, err);
    }
    if (no_such_call(errno)) {
        Status rc = error_errno(err, "%s: this file system can neither link nor rename without replacing",
                                target->path);
        error_hint(err, "a table needs one of them to keep its writers apart; put it on another file system");
        return rc;
    }
    return naming_failed(target->path, err);
}

static Status publish_replacing(Target *target, Error *err)
{
    if (renameat(target->dir, target->temp, target->dir, target->name) != 0) {
        return naming_failed(target->path, err);
    }
    target->temp[0] = '\0';
    return OK;
}

static Status local_put(Store *store, const char *key, const void *data, size_t n, unsigned how, Error *err)
{
    Status rc = OK;
    Text path = local_full_path(store, key);
    Target target = {.path = path.data, .name = last_segment(&path), .dir = -1, .file = -1};
    bool published = false, sync = (how & STORE_PUT_UNSYNCED) == 0;

    TRY(open_parent(path.data, true, &target.dir, err));
    TRY(write_temp(&target, data, n, sync, err));
    TRY(failpoint(FP_STORE_PUT_BEFORE_PUBLISH, err));
    TRY(how & STORE_PUT_REPLACE ? publish_replacing(&target, err) : publish_new(&target, err));
    published = true;
    TRY(failpoint(FP_STORE_PUT_AFTER_PUBLISH, err));
    remove_temp(&target);
    TRY(sync ? sync_fd(target.dir, path.data, err) : OK);
out:
    if (rc != OK && published) {
        error_flag(err, ERROR_UNKNOWN_OUTCOME);
    }
    remove_temp(&target);
    close_fd(target.file);
    close_fd(target.dir);
    text_free(&path);
    return rc;
}

static Status local_rename(Store *store, const char *from, const char *to, Error *err)
{
    Status rc = OK;
    Text from_path = local_full_path(store, from), to_path = local_full_path(store, to);
    const char *from_name = last_segment(&from_path), *to_name = last_segment(&to_path);
    int from_dir = -1, to_dir = -1;
    bool moved = false;

    TRY(open_parent(from_path.data, false, &from_dir, err));
    TRY(open_parent(to_path.data, true, &to_dir, err));
    moved = move_name(from_dir, from_name, to_dir, to_name);
    if (!moved && no_such_call(errno) && linkat(from_dir, from_name, to_dir, to_name, 0) == 0) {
        moved = true;
        if (unlinkat(from_dir, from_name, 0) != 0) {
            rc = error_errno(err, "deleting %s, which has its new name already", from_path.data);
            goto out;
        }
    }
    if (!moved) {
        rc = errno == EEXIST ? name_taken(to_path.data, err) : naming_failed(to_path.data, err);
        goto out;
    }
    TRY(sync_fd(to_dir, to_path.data, err));
    TRY(sync_fd(from_dir, from_path.data, err));
out:
    if (rc != OK && moved) {
        error_flag(err, ERROR_UNKNOWN_OUTCOME);
    }
    close_fd(from_dir);
    close_fd(to_dir);
    text_free(&from_path);
    text_free(&to_path);
    return rc;
}

static Status local_remove(Store *store, const char *key, Error *err)
{
    Status rc = OK;
    Text path = local_full_path(store, key);

    if (unlink(path.data) != 0 && errno != ENOENT && errno != ENOTDIR) {
        rc = error_errno(err, "deleting %s", path.data);
    }
    text_free(&path);
    return rc;
}

static Status local_remove_folder(Store *store, const char *dir, Error *err)
{
    Text path = local_full_path(store, dir);
    Status rc = file_remove_tree(path.data, err);

    text_free(&path);
    return rc;
}

static Status local_mkdirs(Store *store, const char *dir, Error *err)
{
    Text path = local_full_path(store, dir);
    Status rc = file_mkdirs(path.data, store_fsync(), err);

    text_free(&path);
    return rc;
}

/* ---- durability of what others wrote ---- */

/* Notes the folders of a key, from its own up to the root (""). */
static void note_folders(Map *folders, const char *key)
{
    size_t n = strlen(key);

    do {
        while (n > 0 && key[n - 1] != '/') {
            n--;
        }
        n -= n > 0;
        map_put_n(folders, key, n, NULL);
    } while (n > 0);
}

static Status local_sync(Store *store, const char *const *keys, size_t n, Error *err)
{
    Status rc = OK;
    Map *folders = map_new();
    Text path = {0};
    const char *dir;

    for (size_t i = 0; i < n && store_fsync(); i++) {
        text_free(&path);
        path = local_full_path(store, keys[i]);
        TRY(file_sync(path.data, err));
        note_folders(folders, keys[i]);
    }
    for (size_t i = 0; map_next(folders, &i, &dir, NULL);) {
        text_free(&path);
        path = local_full_path(store, dir);
        TRY(file_sync_dir(path.data, err));
    }
out:
    text_free(&path);
    map_free(folders, NULL);
    return rc;
}

static Status local_path(Store *store, const char *key, Text *out, Error *err)
{
    Status rc = OK;
    Text path = local_full_path(store, key);

    if (path.length > out->max) {
        rc = error_set(err, E_LIMIT, "path longer than %zu bytes: %s", out->max, path.data);
    } else {
        text_clear(out);
        text_append_n(out, path.data, path.length);
    }
    text_free(&path);
    return rc;
}

static const StoreOps LOCAL_OPS = {
    .close = local_close,
    .open_below = local_open_below,
    .read = local_read,
    .read_range = local_read_range,
    .info = local_info,
    .put = local_put,
    .rename = local_rename,
    .remove = local_remove,
    .remove_folder = local_remove_folder,
    .mkdirs = local_mkdirs,
    .list = local_list,
    .list_recursive = local_list_recursive,
    .sync = local_sync,
    .local_path = local_path,
};
