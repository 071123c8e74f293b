/* Memory: an arena for one unit of work, and heap calls that cannot return NULL.
 *
 * Small allocations of ours that fail leave nothing to save: mem_alloc and friends then end the process with a
 * message (big data lives in DuckDB, under its memory limit). Everything that grows with input has its own maximum.
 */
#ifndef FRESHET_BASE_MEM_H
#define FRESHET_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t size); /* zeroed */
void *mem_realloc(void *p, size_t size);
char *mem_strdup(const char *s); /* NULL stays NULL */
char *mem_strndup(const char *s, size_t n);
void mem_free(void *p); /* NULL is fine */

/* Makes room in `array`, with `count` elements of `size` bytes each, for one more; *capacity doubles when it is used
 * up. Returns the array's new place; what is new in it is not zeroed. */
void *mem_grow(void *array, size_t count, size_t *capacity, size_t size);

/* An arena: blocks freed together. Not thread safe. */
typedef struct Arena Arena;
Arena *arena_new(void);
void arena_free(Arena *arena);                /* NULL is fine */
void *arena_alloc(Arena *arena, size_t size); /* zeroed, aligned for any type */
char *arena_strdup(Arena *arena, const char *s);
char *arena_strndup(Arena *arena, const char *s, size_t n);
__attribute__((format(printf, 2, 3))) char *arena_printf(Arena *arena, const char *format, ...);

#endif
