/* Deletion vectors as they are made: sets that grow, their bytes, and the file that holds those of one commit. The
 * formats are described in dv.c. */
#include <string.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "delta/dv_int.h"
#include "store/store.h"

enum { DV_FILE_MAX = INT32_MAX }; /* offsets in the log are 32 bits */

/* ---- sets ---- */

DeltaBitmap *delta_bitmap_new(void)
{
    return mem_alloc(sizeof(DeltaBitmap));
}

DeltaBitmap *delta_bitmap_copy(const DeltaBitmap *bitmap)
{
    DeltaBitmap *copy = delta_bitmap_new();

    delta_bitmap_add_all(copy, bitmap);
    return copy;
}

/* The bucket of a key, made where it belongs when it is not there. */
static roaring_bitmap_t *bucket_for(DeltaBitmap *bitmap, uint32_t key)
{
    size_t at = 0;

    while (at < bitmap->n_buckets && bitmap->buckets[at].key < key) {
        at++;
    }
    if (at == bitmap->n_buckets || bitmap->buckets[at].key != key) {
        bitmap->buckets = mem_grow(bitmap->buckets, bitmap->n_buckets, &bitmap->capacity, sizeof *bitmap->buckets);
        memmove(bitmap->buckets + at + 1, bitmap->buckets + at, (bitmap->n_buckets - at) * sizeof *bitmap->buckets);
        bitmap->buckets[at] = (DeltaBucket){.key = key, .rows = roaring_bitmap_create()};
        bitmap->n_buckets++;
    }
    return bitmap->buckets[at].rows;
}

bool delta_bitmap_add(DeltaBitmap *bitmap, uint64_t row)
{
    return roaring_bitmap_add_checked(bucket_for(bitmap, (uint32_t)(row >> 32)), (uint32_t)row);
}

void delta_bitmap_add_all(DeltaBitmap *bitmap, const DeltaBitmap *other)
{
    for (size_t i = 0; i < other->n_buckets; i++) {
        roaring_bitmap_or_inplace(bucket_for(bitmap, other->buckets[i].key), other->buckets[i].rows);
    }
}

/* ---- bytes ---- */

static void append_little(Text *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        text_append_char(out, (char)(value >> (8 * i) & 0xFF));
    }
}

static void append_big32(Text *out, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        text_append_char(out, (char)(value >> shift & 0xFF));
    }
}

void delta_dv_encode(const DeltaBitmap *bitmap, Text *out)
{
    append_little(out, DELTA_DV_MAGIC, 4);
    append_little(out, bitmap->n_buckets, 8);
    for (size_t i = 0; i < bitmap->n_buckets; i++) {
        roaring_bitmap_t *rows = bitmap->buckets[i].rows;
        roaring_bitmap_run_optimize(rows);
        size_t size = roaring_bitmap_portable_size_in_bytes(rows);
        char *bytes = mem_alloc(size);
        roaring_bitmap_portable_serialize(rows, bytes);
        append_little(out, bitmap->buckets[i].key, 4);
        text_append_n(out, bytes, size);
        mem_free(bytes);
    }
}

void delta_z85_encode(const void *bytes, size_t n, Text *out)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i + 4 <= n; i += 4) {
        /* whole groups only; the analyser does not see that they are filled:
         * NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
        uint32_t value = (uint32_t)p[i] << 24 | (uint32_t)p[i + 1] << 16 | (uint32_t)p[i + 2] << 8 | p[i + 3];
        char digits[5];
        for (int k = 4; k >= 0; k--) {
            digits[k] = DELTA_Z85[value % 85];
            value /= 85;
        }
        text_append_n(out, digits, sizeof digits);
    }
}

/* ---- the file ---- */

/* Appends size, bytes and checksum of one vector and describes it. */
static void append_vector(const DeltaBitmap *bitmap, Text *file, DeltaDeletionVector *out)
{
    Text bytes = TEXT(DV_FILE_MAX);

    delta_dv_encode(bitmap, &bytes);
    *out = (DeltaDeletionVector){.storage_type = 'u',
                                 .offset = (int32_t)file->length,
                                 .has_offset = true,
                                 .size_bytes = (int32_t)bytes.length,
                                 .cardinality = (int64_t)delta_bitmap_count(bitmap)};
    append_big32(file, (uint32_t)bytes.length);
    text_append_n(file, bytes.data, bytes.length);
    append_big32(file, (uint32_t)crc32(0, (const unsigned char *)bytes.data, (uInt)bytes.length));
    file->overflow |= bytes.overflow;
    text_free(&bytes);
}

/* Sixteen random bytes as Z85, which is the file's name in descriptors. */
static const char *new_name(Arena *arena)
{
    Text name = TEXT(64);
    uint64_t words[2] = {random_u64(), random_u64()};

    delta_z85_encode(words, sizeof words, &name);
    const char *copy = arena_strdup(arena, text_str(&name));
    text_free(&name);
    return copy;
}

Status delta_dv_write(const DeltaTable *table, const DeltaBitmap *const *bitmaps, size_t n, Arena *arena,
                      DeltaDeletionVector *out, const char **log_path, Error *err)
{
    Status rc = OK;
    Text file = TEXT(DV_FILE_MAX), path = TEXT(4096);
    const char *name = new_name(arena);
    DeltaDeletionVector *made = arena_alloc(arena, (n + 1) * sizeof *made);

    text_append_char(&file, DELTA_DV_VERSION);
    for (size_t i = 0; i < n; i++) {
        append_vector(bitmaps[i], &file, &made[i]);
        made[i].path_or_inline = name;
    }
    if (file.overflow) {
        TRY(error_set(err, E_LIMIT, "the deletion vectors of one commit take more than %d bytes", DV_FILE_MAX));
    }
    delta_dv_relative_path(name, &path);
    TRY(store_put_if_absent(delta_table_store(table), text_str(&path), file.data, file.length, err));
    memcpy(out, made, n * sizeof *made);
    *log_path = arena_strdup(arena, text_str(&path));
out:
    text_free(&file);
    text_free(&path);
    return rc;
}
