#include "source/files_set.h"

#include <string.h>

#include "base/mem.h"

enum { SLOTS_MIN = 1024 };

/* Open addressing, at most three quarters full; two zeros are an empty slot. */
struct FilesSet {
    FilesHash *slots;
    size_t n_slots, count; /* n_slots: a power of two */
};

__extension__ typedef unsigned __int128 Wide;

/* Multiplies to 128 bits and folds: every bit of both factors reaches the result. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    Wide product = (Wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t little_endian(const unsigned char *s, size_t n)
{
    uint64_t word = 0;
    for (size_t i = 0; i < n; i++) {
        word |= (uint64_t)s[i] << (8 * i);
    }
    return word;
}

FilesHash files_hash(const char *path)
{
    static const uint64_t K0 = 0x9E3779B97F4A7C15u, K1 = 0xD1B54A32D192ED03u, K2 = 0x8CB92BA72F3D8DD7u,
                          K3 = 0xA24BAED4963EE407u;
    const unsigned char *s = (const unsigned char *)path;
    size_t n = strlen(path);
    uint64_t a = fold(n + 1, K0), b = fold(n + 1, K1);

    for (; n > 0; s += n < 8 ? n : 8, n -= n < 8 ? n : 8) {
        uint64_t word = little_endian(s, n < 8 ? n : 8);
        a = fold(a ^ word ^ K2, K0 ^ (a >> 32));
        b = fold(b ^ word ^ K3, K1 ^ (b << 32));
    }
    FilesHash hash = {fold(a ^ K1, K3), fold(b ^ K0, K2)};
    hash.low |= hash.high == 0 && hash.low == 0;
    return hash;
}

FilesSet *files_set_new(void)
{
    return mem_alloc(sizeof(FilesSet));
}

void files_set_free(FilesSet *set)
{
    if (set != NULL) {
        mem_free(set->slots);
        mem_free(set);
    }
}

size_t files_set_count(const FilesSet *set)
{
    return set->count;
}

static bool is_empty(const FilesHash *slot)
{
    return slot->high == 0 && slot->low == 0;
}

/* The slot that holds the hash, or the empty one where it would be. */
static FilesHash *find(const FilesSet *set, FilesHash hash)
{
    size_t i = hash.low & (set->n_slots - 1);
    while (!is_empty(&set->slots[i]) && (set->slots[i].high != hash.high || set->slots[i].low != hash.low)) {
        i = (i + 1) & (set->n_slots - 1);
    }
    return &set->slots[i];
}

static void grow(FilesSet *set)
{
    FilesSet bigger = {.n_slots = set->n_slots ? set->n_slots * 2 : SLOTS_MIN, .count = set->count};
    bigger.slots = mem_alloc(bigger.n_slots * sizeof *bigger.slots);
    for (size_t i = 0; i < set->n_slots; i++) {
        if (!is_empty(&set->slots[i])) {
            *find(&bigger, set->slots[i]) = set->slots[i];
        }
    }
    mem_free(set->slots);
    *set = bigger;
}

bool files_set_has(const FilesSet *set, const char *path)
{
    return set->n_slots > 0 && !is_empty(find(set, files_hash(path)));
}

bool files_set_add_hash(FilesSet *set, FilesHash hash)
{
    if (set->count + 1 > set->n_slots / 4 * 3) {
        grow(set);
    }
    FilesHash *slot = find(set, hash);
    if (!is_empty(slot)) {
        return false;
    }
    *slot = hash;
    set->count++;
    return true;
}

bool files_set_add(FilesSet *set, const char *path)
{
    return files_set_add_hash(set, files_hash(path));
}

/* What follows the hole and may have been displaced by it is put in again. */
void files_set_remove(FilesSet *set, const char *path)
{
    if (!files_set_has(set, path)) {
        return;
    }
    FilesHash *slot = find(set, files_hash(path));
    *slot = (FilesHash){0};
    set->count--;
    for (size_t i = ((size_t)(slot - set->slots) + 1) & (set->n_slots - 1); !is_empty(&set->slots[i]);
         i = (i + 1) & (set->n_slots - 1)) {
        FilesHash moved = set->slots[i];
        set->slots[i] = (FilesHash){0};
        *find(set, moved) = moved;
    }
}
