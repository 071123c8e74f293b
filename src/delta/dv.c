/* Deletion vectors (Delta protocol, Deletion Vector Format).
 *
 * File, header big-endian:   1 byte version = 1 | int32 size | bitmap bytes | int32 CRC-32 of them | next vector ...
 * Bitmap, little-endian:     int32 magic 1681511377 | int64 n | n x (uint32 key, 32-bit Roaring bitmap)
 * Legacy bitmap:             int32 magic 1681511376 | int32 n | n x (int32 size, 32-bit Roaring bitmap), keys 0, 1, ...
 *
 * A row number's upper 32 bits are the key. Real files have one bucket, so the buckets are a sorted array.
 */
#include "delta/dv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "delta/dv_int.h"

enum { MAGIC_PORTABLE = DELTA_DV_MAGIC, MAGIC_LEGACY = 1681511376, DV_BYTES_MAX = 1 << 30, BUCKETS_MAX = 1 << 16 };

void delta_bitmap_free(DeltaBitmap *bitmap)
{
    if (bitmap) {
        for (size_t i = 0; i < bitmap->n_buckets; i++) {
            roaring_bitmap_free(bitmap->buckets[i].rows);
        }
        mem_free(bitmap->buckets);
        mem_free(bitmap);
    }
}

uint64_t delta_bitmap_count(const DeltaBitmap *bitmap)
{
    uint64_t count = 0;

    for (size_t i = 0; i < bitmap->n_buckets; i++) {
        count += roaring_bitmap_get_cardinality(bitmap->buckets[i].rows);
    }
    return count;
}

static const roaring_bitmap_t *bucket_of(const DeltaBitmap *bitmap, uint32_t key)
{
    for (size_t i = 0; i < bitmap->n_buckets; i++) {
        if (bitmap->buckets[i].key == key) {
            return bitmap->buckets[i].rows;
        }
    }
    return NULL;
}

bool delta_bitmap_contains(const DeltaBitmap *bitmap, uint64_t row)
{
    const roaring_bitmap_t *rows = bucket_of(bitmap, (uint32_t)(row >> 32));

    return rows && roaring_bitmap_contains(rows, (uint32_t)row);
}

void delta_bitmap_keep(const DeltaBitmap *bitmap, const int64_t *rows, size_t n, bool *keep)
{
    roaring_uint32_iterator_t at;
    const roaring_bitmap_t *bucket = NULL;
    uint32_t key = 0, last = UINT32_MAX;

    for (size_t i = 0; i < n; i++) {
        uint32_t high = (uint32_t)((uint64_t)rows[i] >> 32), low = (uint32_t)rows[i];
        if (i == 0 || high != key || low < last) { /* the iterator only goes forward */
            key = high;
            bucket = bucket_of(bitmap, key);
            if (bucket) {
                roaring_init_iterator(bucket, &at);
                roaring_move_uint32_iterator_equalorlarger(&at, low);
            }
        } else if (bucket && at.has_value && at.current_value < low) {
            roaring_move_uint32_iterator_equalorlarger(&at, low);
        }
        last = low;
        keep[i] = !(bucket && at.has_value && at.current_value == low);
    }
}

/* ---- bytes ---- */

static uint64_t little(const unsigned char *p, int bytes)
{
    uint64_t value = 0;

    for (int i = bytes - 1; i >= 0; i--) {
        value = value << 8 | p[i];
    }
    return value;
}

static uint32_t big32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static Status corrupt(Error *err, const char *what)
{
    return error_set(err, E_DELTA_CORRUPT, "a deletion vector is damaged: %s", what);
}

static Status read_bucket(DeltaBitmap *bitmap, uint32_t key, const unsigned char *p, size_t n, size_t *used, Error *err)
{
    size_t size = delta_roaring_size(p, n);
    roaring_bitmap_t *rows;

    if (size == 0) {
        return corrupt(err, "a bitmap in it is malformed or ends too early");
    }
    if (bitmap->n_buckets > 0 && bitmap->buckets[bitmap->n_buckets - 1].key >= key) {
        return corrupt(err, "its parts are not in order");
    }
    if (!(rows = roaring_bitmap_portable_deserialize_safe((const char *)p, size))) {
        return corrupt(err, "a bitmap in it cannot be read");
    }
    bitmap->buckets[bitmap->n_buckets++] = (DeltaBucket){.key = key, .rows = rows};
    *used = size;
    return OK;
}

/* Both forms: portable has a key before each bitmap, legacy a size. */
static Status read_buckets(DeltaBitmap *bitmap, const unsigned char *p, size_t n, size_t at, size_t count,
                           bool portable, Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < count; i++) {
        size_t used = 0;
        if (n - at < 4) {
            TRY(corrupt(err, "it ends too early"));
        }
        uint32_t word = (uint32_t)little(p + at, 4);
        at += 4;
        if (portable && word >> 31) {
            TRY(corrupt(err, "a row number in it is negative"));
        }
        TRY(read_bucket(bitmap, portable ? word : (uint32_t)i, p + at, n - at, &used, err));
        at += used;
    }
    if (at != n) {
        rc = corrupt(err, "there are bytes behind its end");
    }
out:
    return rc;
}

Status delta_dv_decode(const void *bytes, size_t n, DeltaBitmap **out, Error *err)
{
    Status rc = OK;
    const unsigned char *p = bytes;
    DeltaBitmap *bitmap = NULL;
    uint32_t magic = n >= 4 ? (uint32_t)little(p, 4) : 0;
    bool portable = magic == MAGIC_PORTABLE;
    size_t head = portable ? 12 : 8;

    if ((magic != MAGIC_PORTABLE && magic != MAGIC_LEGACY) || n < head) {
        return corrupt(err, "it does not start with the magic number");
    }
    uint64_t count = little(p + 4, (int)head - 4);
    if (count > BUCKETS_MAX || count > (n - head) / 4) {
        return corrupt(err, "it names more parts than it has");
    }
    bitmap = mem_alloc(sizeof *bitmap);
    bitmap->buckets = mem_alloc((count + 1) * sizeof *bitmap->buckets);
    TRY(read_buckets(bitmap, p, n, head, count, portable, err));
    *out = bitmap;
    bitmap = NULL;
out:
    delta_bitmap_free(bitmap);
    return rc;
}

Status delta_dv_decode_file(const void *file, size_t n, const DeltaDeletionVector *dv, DeltaBitmap **out, Error *err)
{
    const unsigned char *p = file;
    size_t size = (size_t)dv->size_bytes;
    Status rc;

    if (n != size + 8 || big32(p) != size) {
        rc = error_set(err, E_DELTA_CORRUPT, "a deletion vector has another size than the log says (%zu bytes)", size);
        error_klass(err, "DELTA_DELETION_VECTOR_SIZE_MISMATCH");
        return rc;
    }
    if (big32(p + 4 + size) != crc32(0, p + 4, (uInt)size)) {
        rc = corrupt(err, "its checksum is wrong");
        error_klass(err, "DELTA_DELETION_VECTOR_CHECKSUM_MISMATCH");
        return rc;
    }
    return delta_dv_decode(p + 4, size, out, err);
}

/* ---- places ---- */

bool delta_z85_decode(const char *text, size_t n, Text *out)
{
    static const char ALPHABET[] = DELTA_Z85;

    if (n % 5 != 0) {
        return false;
    }
    for (size_t i = 0; i < n; i += 5) {
        uint64_t value = 0;
        for (size_t k = 0; k < 5; k++) {
            const char *found = text[i + k] ? strchr(ALPHABET, text[i + k]) : NULL;
            if (!found) {
                return false;
            }
            value = value * 85 + (uint64_t)(found - ALPHABET);
        }
        if (value > UINT32_MAX) {
            return false;
        }
        unsigned char bytes[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
                                  (unsigned char)(value >> 8), (unsigned char)value};
        text_append_n(out, bytes, 4);
    }
    return true;
}

bool delta_dv_relative_path(const char *path_or_inline, Text *out)
{
    size_t n = strlen(path_or_inline);
    Text uuid = TEXT(16);
    bool fits = n >= 20 && delta_z85_decode(path_or_inline + n - 20, 20, &uuid);

    if (fits) {
        if (n > 20) {
            text_append_n(out, path_or_inline, n - 20);
            text_append_char(out, '/');
        }
        text_append(out, "deletion_vector_");
        for (size_t i = 0; i < 16; i++) {
            text_printf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", (unsigned char)uuid.data[i]);
        }
        text_append(out, ".bin");
    }
    text_free(&uuid);
    return fits;
}

/* Exactly `n` bytes of a file outside the table's store. */
static Status read_absolute(const DeltaTable *table, const char *log_path, int64_t offset, size_t n, Text *out,
                            Error *err)
{
    Status rc = OK;
    Text path = TEXT(64 << 10);
    int fd = -1;

    TRY(delta_file_location(table, log_path, &path, err));
    if ((fd = file_open(text_str(&path), O_RDONLY, 0)) < 0) {
        TRY(error_errno(err, "cannot open %s", text_str(&path)));
    }
    if (lseek(fd, 0, SEEK_END) < offset + (int64_t)n) {
        TRY(error_set(err, E_DELTA_CORRUPT, "%s ends before the deletion vector does", text_str(&path)));
    }
    out->max = n + 1;
    for (size_t done = 0; done < n;) {
        char buffer[8192];
        size_t want = n - done < sizeof buffer ? n - done : sizeof buffer;
        ssize_t got = pread(fd, buffer, want, offset + (int64_t)done);
        if (got <= 0 && errno != EINTR) {
            TRY(error_errno(err, "cannot read %s", text_str(&path)));
        }
        if (got > 0) {
            text_append_n(out, buffer, (size_t)got);
            done += (size_t)got;
        }
    }
out:
    if (fd >= 0) {
        close(fd);
    }
    text_free(&path);
    return rc;
}

static Status read_part(const DeltaTable *table, const DeltaDeletionVector *dv, int64_t offset, size_t n, Text *out,
                        Error *err)
{
    Status rc = OK;
    Text key = TEXT(64 << 10);

    text_clear(out);
    if (dv->storage_type == 'p') {
        TRY(read_absolute(table, dv->path_or_inline, offset, n, out, err));
    } else if (delta_dv_relative_path(dv->path_or_inline, &key)) {
        TRY(store_read_range(delta_table_store(table), text_str(&key), offset, n, out, err));
    } else {
        TRY(corrupt(err, "its name in the log is malformed"));
    }
out:
    text_free(&key);
    return rc;
}

static Status load_file(const DeltaTable *table, const DeltaDeletionVector *dv, DeltaBitmap **out, Error *err)
{
    Status rc = OK;
    Text bytes = TEXT(DV_BYTES_MAX);

    TRY(read_part(table, dv, 0, 1, &bytes, err));
    if (bytes.data[0] != 1) {
        TRY(error_set(err, E_DELTA_CORRUPT, "a deletion vector file is of version %d, not 1", bytes.data[0]));
    }
    TRY(read_part(table, dv, dv->offset, (size_t)dv->size_bytes + 8, &bytes, err));
    TRY(delta_dv_decode_file(bytes.data, bytes.length, dv, out, err));
out:
    text_free(&bytes);
    return rc;
}

static Status load_inline(const DeltaDeletionVector *dv, DeltaBitmap **out, Error *err)
{
    Status rc = OK;
    Text bytes = TEXT(DV_BYTES_MAX);

    if (!delta_z85_decode(dv->path_or_inline, strlen(dv->path_or_inline), &bytes)) {
        TRY(corrupt(err, "its text in the log is not Z85"));
    }
    if (bytes.length < (size_t)dv->size_bytes) {
        rc = error_set(err, E_DELTA_CORRUPT, "a deletion vector has another size than the log says (%d bytes)",
                       dv->size_bytes);
        error_klass(err, "DELTA_DELETION_VECTOR_SIZE_MISMATCH");
        goto out;
    }
    TRY(delta_dv_decode(bytes.data, (size_t)dv->size_bytes, out, err));
out:
    text_free(&bytes);
    return rc;
}

/* Puts the vector's file before the message. */
static void name_vector(const DeltaDeletionVector *dv, Error *err)
{
    Text path = TEXT(64 << 10);

    if (dv->storage_type == 'p') {
        (void)error_context(err, "%.1000s", dv->path_or_inline);
    } else if (dv->storage_type == 'u' && delta_dv_relative_path(dv->path_or_inline, &path)) {
        (void)error_context(err, "%s", text_str(&path));
    }
    text_free(&path);
}

Status delta_dv_load(const DeltaTable *table, const DeltaDeletionVector *dv, DeltaBitmap **out, Error *err)
{
    Status rc = OK;
    DeltaBitmap *bitmap = NULL;

    if (dv->size_bytes < 0 || dv->size_bytes > DV_BYTES_MAX - 8 || dv->offset < 0) {
        return corrupt(err, "its size or offset in the log is impossible");
    }
    switch (dv->storage_type) {
    case 'i': TRY(load_inline(dv, &bitmap, err)); break;
    case 'u':
    case 'p': TRY(load_file(table, dv, &bitmap, err)); break;
    default:
        TRY(error_set(err, E_DELTA_CORRUPT, "a deletion vector has the unknown storage type '%c'", dv->storage_type));
    }
    if (delta_bitmap_count(bitmap) != (uint64_t)dv->cardinality) {
        rc = error_set(err, E_DELTA_CORRUPT, "a deletion vector holds %llu rows, the log says %lld",
                       (unsigned long long)delta_bitmap_count(bitmap), (long long)dv->cardinality);
        error_klass(err, "DELTA_DELETION_VECTOR_CARDINALITY_MISMATCH");
        goto out;
    }
    *out = bitmap;
    bitmap = NULL;
out:
    if (rc != OK) {
        name_vector(dv, err);
    }
    delta_bitmap_free(bitmap);
    return rc;
}
