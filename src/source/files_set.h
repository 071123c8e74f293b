/* A set of paths that keeps 16 bytes of each: a hash of 128 bits stands for the path. For the million files a source
 * has seen. */
#ifndef FRESHET_SOURCE_FILES_SET_H
#define FRESHET_SOURCE_FILES_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct FilesSet FilesSet;

/* The hash is part of a format (files_log.h): it never changes. Never two zeros. */
typedef struct FilesHash {
    uint64_t high, low;
} FilesHash;
FilesHash files_hash(const char *path);

FilesSet *files_set_new(void);
void files_set_free(FilesSet *set); /* NULL is fine */
size_t files_set_count(const FilesSet *set);
bool files_set_has(const FilesSet *set, const char *path);
bool files_set_add(FilesSet *set, const char *path); /* false: it was there */
bool files_set_add_hash(FilesSet *set, FilesHash hash);
void files_set_remove(FilesSet *set, const char *path);

#endif
