/* The entries stand in an array in the order they came; an open-addressing table of positions in that array finds
 * them. A removed entry leaves a hole (key NULL) that the next rebuild closes, so positions stay valid in between. */
#include "base/map.h"

#include <string.h>

#include "base/mem.h"

typedef struct Entry {
    char *key; /* NULL = removed */
    size_t length;
    uint64_t hash;
    void *value;
} Entry;

enum { SLOT_EMPTY = 0, SLOTS_MIN = 16 }; /* a slot holds position + 1 */

struct Map {
    Entry *entries;
    size_t used, capacity; /* entries with holes */
    size_t count;          /* entries without holes */
    size_t *slots;
    size_t slot_count; /* a power of two, at least 4/3 of `used` */
};

Map *map_new(void)
{
    return mem_alloc(sizeof(Map));
}

void map_free(Map *m, void (*free_value)(void *))
{
    if (!m) {
        return;
    }
    for (size_t i = 0; i < m->used; i++) {
        if (m->entries[i].key) {
            mem_free(m->entries[i].key);
            if (free_value) {
                free_value(m->entries[i].value);
            }
        }
    }
    mem_free(m->entries);
    mem_free(m->slots);
    mem_free(m);
}

size_t map_count(const Map *m)
{
    return m->count;
}

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93u;
    h ^= h >> 29;
    h *= 0xCA9B0C7EBA1DA115u;
    return h ^ (h >> 32);
}

uint64_t hash_bytes(const void *p, size_t n)
{
    const unsigned char *s = p;
    uint64_t h = n * 0x9E3779B97F4A7C15u + 0x2545F4914F6CDD1Du;
    uint64_t word;

    for (; n >= sizeof(word); n -= sizeof(word), s += sizeof(word)) {
        memcpy(&word, s, sizeof(word));
        h = mix(h ^ word);
    }
    if (n > 0) {
        word = 0;
        memcpy(&word, s, n);
        h ^= word;
    }
    return mix(h);
}

static Entry *find(const Map *m, const char *key, size_t n, uint64_t hash)
{
    if (m->slot_count == 0) {
        return NULL;
    }
    for (size_t i = hash & (m->slot_count - 1); m->slots[i] != SLOT_EMPTY; i = (i + 1) & (m->slot_count - 1)) {
        Entry *e = &m->entries[m->slots[i] - 1];
        if (e->key && e->hash == hash && e->length == n && memcmp(e->key, key, n) == 0) {
            return e;
        }
    }
    return NULL;
}

void *map_get_n(const Map *m, const char *key, size_t n)
{
    Entry *e = find(m, key, n, hash_bytes(key, n));
    return e ? e->value : NULL;
}

void *map_get(const Map *m, const char *key)
{
    return map_get_n(m, key, strlen(key));
}

bool map_has(const Map *m, const char *key)
{
    size_t n = strlen(key);
    return find(m, key, n, hash_bytes(key, n)) != NULL;
}

static void link_slot(Map *m, size_t position)
{
    size_t i = m->entries[position].hash & (m->slot_count - 1);

    while (m->slots[i] != SLOT_EMPTY) {
        i = (i + 1) & (m->slot_count - 1);
    }
    m->slots[i] = position + 1;
}

/* Closes the holes and sizes the table for twice what is there. */
static void rebuild(Map *m)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->used; i++) {
        if (m->entries[i].key) {
            m->entries[kept++] = m->entries[i];
        }
    }
    m->used = kept;
    m->slot_count = SLOTS_MIN;
    while (m->slot_count < kept * 2 + 2) {
        m->slot_count *= 2;
    }
    mem_free(m->slots);
    m->slots = mem_alloc(m->slot_count * sizeof(*m->slots));
    for (size_t i = 0; i < kept; i++) {
        link_slot(m, i);
    }
}

void *map_put_n(Map *m, const char *key, size_t n, void *value)
{
    uint64_t hash = hash_bytes(key, n);
    Entry *e = find(m, key, n, hash);

    if (e) {
        void *before = e->value;
        e->value = value;
        return before;
    }
    if ((m->used + 1) * 4 > m->slot_count * 3) {
        rebuild(m);
    }
    m->entries = mem_grow(m->entries, m->used, &m->capacity, sizeof(*m->entries));
    char *copy = mem_alloc(n + 1);
    memcpy(copy, key, n);
    m->entries[m->used] = (Entry){copy, n, hash, value};
    link_slot(m, m->used++);
    m->count++;
    return NULL;
}

void *map_put(Map *m, const char *key, void *value)
{
    return map_put_n(m, key, strlen(key), value);
}

void *map_remove(Map *m, const char *key)
{
    size_t n = strlen(key);
    Entry *e = find(m, key, n, hash_bytes(key, n));

    if (!e) {
        return NULL;
    }
    void *value = e->value;
    mem_free(e->key);
    *e = (Entry){0};
    m->count--;
    return value;
}

bool map_next(const Map *m, size_t *i, const char **key, void **value)
{
    while (*i < m->used && !m->entries[*i].key) {
        ++*i;
    }
    if (*i >= m->used) {
        return false;
    }
    const Entry *e = &m->entries[(*i)++];
    if (key) {
        *key = e->key;
    }
    if (value) {
        *value = e->value;
    }
    return true;
}
