/* POSIX files. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

int file_open(const char *path, int flags, mode_t mode)
{
    int fd;

    do {
        fd = open(path, flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static void close_fd(int fd)
{
    int saved = errno;

    if (fd >= 0) {
        close(fd);
    }
    errno = saved;
}

/* The size that fstat tells is only where the buffer starts: files grow, and those of /proc claim to be empty. */
Status file_read_fd(int fd, const char *name, size_t max, Text *out, Error *err)
{
    Status rc = OK;
    struct stat st;
    Text data = TEXT(max);
    char *buffer = NULL;
    size_t length = 0, capacity;

    if (fstat(fd, &st) != 0) {
        return error_errno(err, "reading %s", name);
    }
    size_t expected = S_ISREG(st.st_mode) ? (size_t)st.st_size : 0;
    if (expected > max) {
        return error_set(err, E_LIMIT, "reading %s: %zu bytes, the maximum is %zu", name, expected, max);
    }
    capacity = expected + 2; /* one byte shows whether there is more, one is the NUL */
    buffer = mem_realloc(NULL, capacity);
    for (;;) {
        if (length + 1 == capacity) {
            capacity *= 2;
            buffer = mem_realloc(buffer, capacity);
        }
        ssize_t n = read(fd, buffer + length, capacity - 1 - length);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            rc = error_errno(err, "reading %s", name);
            goto out;
        }
        if (n == 0) {
            break;
        }
        length += (size_t)n;
        if (length > max) {
            rc = error_set(err, E_LIMIT, "reading %s: more than the maximum of %zu bytes", name, max);
            goto out;
        }
    }
    buffer[length] = '\0';
    data.data = buffer;
    data.length = length;
    data.capacity = capacity;
    data.max = out->max > max ? out->max : max;
    text_free(out);
    *out = data;
    buffer = NULL;
out:
    mem_free(buffer);
    return rc;
}

Status file_read(const char *path, size_t max, Text *out, Error *err)
{
    int fd = file_open(path, O_RDONLY, 0);

    if (fd < 0) {
        return error_errno(err, "opening %s", path);
    }
    Status rc = file_read_fd(fd, path, max, out, err);
    close_fd(fd);
    return rc;
}

Status file_write_fd(int fd, const char *name, const void *data, size_t n, Error *err)
{
    const char *at = data;

    while (n > 0) {
        ssize_t written = write(fd, at, n);
        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            return error_errno(err, "writing %s", name);
        }
        at += written;
        n -= (size_t)written;
    }
    return OK;
}

Status file_write(const char *path, const void *data, size_t n, Error *err)
{
    int fd = file_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);

    if (fd < 0) {
        return error_errno(err, "creating %s", path);
    }
    Status rc = file_write_fd(fd, path, data, n, err);
    if (close(fd) != 0 && rc == OK && errno != EINTR) {
        rc = error_errno(err, "writing %s", path);
    }
    return rc;
}

Status file_sync_fd(int fd, const char *name, Error *err)
{
    return fsync(fd) == 0 ? OK : error_errno(err, "syncing %s", name);
}

static Status sync_path(const char *path, int flags, Error *err)
{
    int fd = file_open(path, O_RDONLY | flags, 0);

    if (fd < 0) {
        return error_errno(err, "syncing %s", path);
    }
    Status rc = file_sync_fd(fd, path, err);
    close_fd(fd);
    return rc;
}

Status file_sync(const char *path, Error *err)
{
    return sync_path(path, 0, err);
}

Status file_sync_dir(const char *path, Error *err)
{
    return sync_path(path, O_DIRECTORY, err);
}

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The length of the parent's path; 0 when the path has no folder part ("name"), 1 for the root. */
static size_t parent_length(const char *path)
{
    size_t n = strlen(path);

    while (n > 0 && path[n - 1] != '/') {
        n--;
    }
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    return n;
}

/* Makes one folder whose parent exists. A folder that somebody else made a moment ago is synced all the same: their
 * sync may not have happened yet, and what we put inside depends on it. */
static Status make_dir(const char *path, bool durable, Error *err)
{
    if (mkdir(path, 0777) != 0) {
        int code = errno;
        if (code != EEXIST || !is_dir(path)) {
            errno = code;
            return error_errno(err, "making folder %s", path);
        }
    }
    if (!durable) {
        return OK;
    }
    size_t n = parent_length(path);
    char *parent = n ? mem_strndup(path, n) : mem_strdup(".");
    Status rc = file_sync_dir(parent, err);
    mem_free(parent);
    return rc;
}

/* Goes up to the first folder that exists, then down again; a loop, because depth is the user's. */
Status file_mkdirs(const char *path, bool durable, Error *err)
{
    Status rc = OK;
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    if (n == 0) {
        return OK;
    }
    char *work = mem_strndup(path, n);
    size_t have = n;
    while (have > 0 && !is_dir(work)) {
        have = parent_length(work);
        work[have] = '\0';
    }
    while (have < n) {
        size_t next = have;
        while (path[next] == '/') {
            next++;
        }
        while (next < n && path[next] != '/') {
            next++;
        }
        memcpy(work + have, path + have, next - have);
        work[next] = '\0';
        have = next;
        TRY(make_dir(work, durable, err));
    }
out:
    mem_free(work);
    return rc;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

Status file_remove_tree(const char *path, Error *err)
{
    enum { OPEN_FOLDERS = 16 };

    if (nftw(path, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT) {
        return error_errno(err, "removing %s", path);
    }
    return OK;
}

void path_join(Text *out, const char *dir, const char *name)
{
    size_t n = strlen(dir);

    text_append_n(out, dir, n);
    if (n > 0 && dir[n - 1] != '/') {
        text_append_char(out, '/');
    }
    text_append(out, name);
}

/* Takes back the last segment of `path` ("/a/b" becomes "/a"), unless it is a link or itself "..". */
static void step_up(Text *path)
{
    struct stat st;

    if (path->length == 0) {
        return; /* above the root is the root */
    }
    char *slash = strrchr(path->data, '/');
    if (strcmp(slash, "/..") == 0 || (lstat(path->data, &st) == 0 && S_ISLNK(st.st_mode))) {
        text_append(path, "/..");
        return;
    }
    path->length = (size_t)(slash - path->data);
    *slash = '\0';
}

static void add_segments(Text *path, const char *s)
{
    while (*s) {
        size_t n = strcspn(s, "/");
        if (n == 2 && memcmp(s, "..", 2) == 0) {
            step_up(path);
        } else if (n > 0 && !(n == 1 && *s == '.')) {
            text_append_char(path, '/');
            text_append_n(path, s, n);
        }
        s += n;
        s += *s == '/';
    }
}

Status path_absolute(const char *path, Text *out, Error *err)
{
    Status rc = OK;
    Text result = TEXT(2 * PATH_MAX);

    if (path[0] != '/') {
        char cwd[PATH_MAX];
        if (!getcwd(cwd, sizeof(cwd))) {
            rc = error_errno(err, "finding the working directory");
            goto out;
        }
        add_segments(&result, cwd);
    }
    add_segments(&result, path);
    if (result.length == 0) {
        text_append_char(&result, '/');
    }
    if (result.overflow || result.length >= PATH_MAX) {
        rc = error_set(err, E_LIMIT, "path longer than %d bytes: %.100s...", PATH_MAX - 1, path);
        goto out;
    }
    text_clear(out);
    text_append_n(out, result.data, result.length);
out:
    text_free(&result);
    return rc;
}
