/* A hash map from byte strings to pointers. Keys are copied, values are the caller's; iteration is in the order of
 * insertion. Keys without a length end with a NUL. Not thread safe. */
#ifndef FRESHET_BASE_MAP_H
#define FRESHET_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Map Map;
Map *map_new(void);
void map_free(Map *m, void (*free_value)(void *)); /* NULL is fine, for both */
size_t map_count(const Map *m);

/* The value, or NULL when the key is not there; map_has tells that from a value that is NULL. */
void *map_get(const Map *m, const char *key);
void *map_get_n(const Map *m, const char *key, size_t n);
bool map_has(const Map *m, const char *key);

/* These return the value that stood there before, or NULL. A key that is put again keeps its place in the order. */
void *map_put(Map *m, const char *key, void *value);
void *map_put_n(Map *m, const char *key, size_t n, void *value);
void *map_remove(Map *m, const char *key);

/* Iteration: `for (size_t i = 0; map_next(m, &i, &key, &value);)`. Nothing may be put meanwhile. */
bool map_next(const Map *m, size_t *i, const char **key, void **value);

/* A hash of 64 bits, the same in every run: not for input that wants to collide. */
uint64_t hash_bytes(const void *p, size_t n);

#endif
