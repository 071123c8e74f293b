/* POSIX files: whole reads and writes that survive EINTR and short counts, syncing, folders, paths. Errors name the
 * path and come from error_errno (E_IO_NOT_FOUND when something is missing). Nothing here is atomic; see store/. */
#ifndef FRESHET_BASE_FILE_H
#define FRESHET_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/text.h"

/* Reads a whole file into *out, whose old content goes. More than `max` bytes is E_LIMIT; out->max is raised to `max`
 * where it is lower. */
Status file_read(const char *path, size_t max, Text *out, Error *err);
/* The same from an open descriptor, from its position to its end; `name` is for errors. */
Status file_read_fd(int fd, const char *name, size_t max, Text *out, Error *err);
/* Writes all `n` bytes; `name` is for errors. */
Status file_write_fd(int fd, const char *name, const void *data, size_t n, Error *err);
/* Creates or truncates the file and writes it; neither atomic nor synced. */
Status file_write(const char *path, const void *data, size_t n, Error *err);

/* fsync. A failure is final: the kernel may have dropped the pages, so the file must be written anew, never synced
 * again. */
Status file_sync_fd(int fd, const char *name, Error *err);
Status file_sync(const char *path, Error *err);
Status file_sync_dir(const char *path, Error *err);

/* open(2) with O_CLOEXEC that goes on after EINTR; -1 and errno on failure. */
int file_open(const char *path, int flags, mode_t mode);

/* Makes the folder and those above it; what exists is fine. `durable`: the parent of every folder made is fsynced. */
Status file_mkdirs(const char *path, bool durable, Error *err);
/* Removes a file or a folder with all it holds; links are removed, not followed. Missing is fine. */
Status file_remove_tree(const char *path, Error *err);

/* Appends "dir/name" to *out, with one slash between; an empty dir gives just the name. */
void path_join(Text *out, const char *dir, const char *name);
/* Sets *out to the absolute path without ".", "//" and trailing slashes, relative to the working directory. Links are
 * not resolved; ".." after a link stays, because the kernel reads it from the link's target. */
Status path_absolute(const char *path, Text *out, Error *err);

#endif
