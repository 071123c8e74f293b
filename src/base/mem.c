/* Heap calls that end the process rather than fail, and arenas. */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* stdio may need memory, so the message goes straight to the descriptor. */
static _Noreturn void out_of_memory(size_t size)
{
    char text[96];
    int n = snprintf(text, sizeof(text), "freshet: out of memory (%zu bytes were asked for)\n", size);

    if (n > 0) {
        ssize_t ignored = write(STDERR_FILENO, text, (size_t)n);
        (void)ignored;
    }
    abort();
}

void *mem_alloc(size_t size)
{
    void *p = calloc(1, size ? size : 1);

    if (!p) {
        out_of_memory(size);
    }
    return p;
}

void *mem_realloc(void *p, size_t size)
{
    void *q = realloc(p, size ? size : 1);

    if (!q) {
        out_of_memory(size);
    }
    return q;
}

char *mem_strdup(const char *s)
{
    return s ? mem_strndup(s, strlen(s)) : NULL;
}

char *mem_strndup(const char *s, size_t n)
{
    n = strnlen(s, n);
    char *copy = mem_realloc(NULL, n + 1);
    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

void mem_free(void *p)
{
    free(p);
}

void *mem_grow(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return array;
    }
    size_t wanted = *capacity < 8 ? 8 : *capacity * 2;
    if (wanted <= count) {
        wanted = count + 1;
    }
    if (wanted > SIZE_MAX / 2 / size) {
        out_of_memory(SIZE_MAX);
    }
    array = mem_realloc(array, wanted * size);
    *capacity = wanted;
    return array;
}

/* Blocks double from BLOCK_MIN to BLOCK_MAX; a request that is a good part of a block gets one of its own. */
enum { BLOCK_MIN = 4 << 10, BLOCK_MAX = 256 << 10 };

typedef struct Block {
    struct Block *next;
    max_align_t data[];
} Block;

struct Arena {
    Block *blocks;
    char *free; /* the rest of the newest shared block */
    size_t free_bytes, block_bytes;
};

Arena *arena_new(void)
{
    Arena *arena = mem_alloc(sizeof(*arena));
    arena->block_bytes = BLOCK_MIN;
    return arena;
}

void arena_free(Arena *arena)
{
    if (arena) {
        for (Block *block = arena->blocks, *next; block; block = next) {
            next = block->next;
            mem_free(block);
        }
        mem_free(arena);
    }
}

static char *add_block(Arena *arena, size_t size)
{
    Block *block = mem_alloc(sizeof(*block) + size);
    block->next = arena->blocks;
    arena->blocks = block;
    return (char *)block->data;
}

void *arena_alloc(Arena *arena, size_t size)
{
    size_t align = _Alignof(max_align_t);

    if (size > SIZE_MAX / 2) {
        out_of_memory(size);
    }
    size = (size + align - 1) / align * align;
    size = size ? size : align;
    if (size > arena->free_bytes) {
        if (size > arena->block_bytes / 4) {
            return add_block(arena, size);
        }
        arena->free = add_block(arena, arena->block_bytes);
        arena->free_bytes = arena->block_bytes;
        arena->block_bytes = arena->block_bytes < BLOCK_MAX ? arena->block_bytes * 2 : BLOCK_MAX;
    }
    void *p = arena->free;
    arena->free += size;
    arena->free_bytes -= size;
    return p;
}

char *arena_strdup(Arena *arena, const char *s)
{
    return s ? arena_strndup(arena, s, strlen(s)) : NULL;
}

char *arena_strndup(Arena *arena, const char *s, size_t n)
{
    n = strnlen(s, n);
    char *copy = arena_alloc(arena, n + 1);
    memcpy(copy, s, n);
    return copy;
}

char *arena_printf(Arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) {
        return arena_alloc(arena, 1);
    }
    char *s = arena_alloc(arena, (size_t)n + 1);
    va_start(args, format);
    vsnprintf(s, (size_t)n + 1, format, args);
    va_end(args);
    return s;
}
