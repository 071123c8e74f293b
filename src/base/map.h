/* A hash map from byte strings to pointers; insertion order is kept. Keys are copied. */
#ifndef FRESHET_BASE_MAP_H
#define FRESHET_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Map Map;
Map *map_new(void);
void map_free(Map *m, void (*free_value)(void *)); /* free_value may be NULL */
size_t map_count(const Map *m);
void *map_get(const Map *m, const char *key);
void *map_get_n(const Map *m, const char *key, size_t n);
bool map_has(const Map *m, const char *key);
/* Returns the value that stood there before, or NULL. */
void *map_put(Map *m, const char *key, void *value);
void *map_put_n(Map *m, const char *key, size_t n, void *value);
void *map_remove(Map *m, const char *key);
/* Iteration in insertion order: `for (size_t i = 0; map_next(m, &i, &key, &value);)` */
bool map_next(const Map *m, size_t *i, const char **key, void **value);
uint64_t hash_bytes(const void *p, size_t n); /* 64 bits, not keyed */

#endif
