/* A spill folder of our own: <TMPDIR>/freshet-duck-XXXXXX, readable by nobody else, removed at close.
 *
 * A process that dies leaves its folder behind, perhaps with gigabytes in it. So the owner holds an flock on the folder
 * itself, and whoever makes the next one removes those that nobody holds. Process ids would not do: containers that
 * share a TMPDIR see different ones.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "duck/duck_int.h"

#define PREFIX "freshet-duck-"

/* Removes the files DuckDB made below `fd` and the folders it may have made, one level of them. */
static void remove_entries(int fd, int depth)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    if (stream == NULL) {
        if (copy >= 0) {
            close(copy);
        }
        return;
    }
    for (struct dirent *e; (e = readdir(stream)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
            continue;
        }
        if (unlinkat(fd, e->d_name, 0) == 0 || depth == 0) {
            continue;
        }
        int sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub >= 0) {
            remove_entries(sub, depth - 1);
            close(sub);
            (void)unlinkat(fd, e->d_name, AT_REMOVEDIR);
        }
    }
    closedir(stream);
}

/* Opens and locks `name` below `parent`. -1 when it is held, not ours, or gone meanwhile. */
static int lock_folder(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    struct stat held, named;
    if (fstat(fd, &held) == 0 && held.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
        fstatat(parent, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_ino == held.st_ino) {
        return fd;
    }
    close(fd);
    return -1;
}

static void remove_abandoned(const char *base)
{
    DIR *stream = opendir(base);
    if (stream == NULL) {
        return;
    }
    int parent = dirfd(stream);
    for (struct dirent *e; (e = readdir(stream)) != NULL;) {
        if (!str_starts(e->d_name, PREFIX)) {
            continue;
        }
        int fd = lock_folder(parent, e->d_name);
        if (fd >= 0) {
            remove_entries(fd, 1);
            (void)unlinkat(parent, e->d_name, AT_REMOVEDIR);
            close(fd);
        }
    }
    closedir(stream);
}

Status duck_tempdir_init(TempDir *dir, const char *wanted, Error *err)
{
    if (wanted != NULL) {
        *dir = (TempDir){.path = mem_strdup(wanted), .lock_fd = -1};
        return OK;
    }
    const char *base = getenv("TMPDIR");
    if (base == NULL || base[0] == '\0') {
        base = "/tmp";
    }
    remove_abandoned(base);
    /* Another process may take a fresh folder for an abandoned one before its lock is held: then make another. */
    for (int attempt = 0; attempt < 8; attempt++) {
        Text path = TEXT(4096);
        text_printf(&path, "%s/" PREFIX "XXXXXX", base);
        if (path.overflow || mkdtemp(path.data) == NULL) {
            Status rc = error_errno(err, "creating the folder for spilled data %s", text_str(&path));
            error_hint(err, "set TMPDIR to a folder that can be written, on a disk with room");
            text_free(&path);
            return rc;
        }
        int fd = lock_folder(AT_FDCWD, path.data);
        if (fd >= 0) {
            *dir = (TempDir){.path = text_take(&path), .lock_fd = fd};
            return OK;
        }
        text_free(&path);
    }
    return error_set(err, E_IO, "creating a folder for spilled data in %s: it was removed again and again", base);
}

void duck_tempdir_fini(TempDir *dir)
{
    if (dir->path != NULL && dir->lock_fd >= 0) {
        remove_entries(dir->lock_fd, 1);
        (void)rmdir(dir->path);
        close(dir->lock_fd);
    }
    mem_free(dir->path);
    *dir = (TempDir){.lock_fd = -1};
}
