/* A 32-bit Roaring bitmap in its portable form, looked through before the library reads it: the library believes what a
 * container says of itself, and bytes of others may say what is not so.
 *
 *   uint32 cookie   12346: uint32 n follows, no container is of runs
 *                   12347 | (n - 1) << 16: (n + 7) / 8 bytes follow, a bit for each container of runs
 *   n x (uint16 key, uint16 values - 1), keys ascend
 *   n x uint32 place of the container, unless there are runs and n < 4
 *   n containers    runs:   uint16 r, r x (uint16 first, uint16 more), they ascend
 *                   bits:   8,192 bytes, when there are more than 4,096 values
 *                   values: uint16 each, ascending
 *
 * All little-endian (RoaringFormatSpec).
 */
#include "delta/dv_int.h"

enum {
    COOKIE = 12346,
    COOKIE_RUNS = 12347,
    CONTAINERS_MAX = 1 << 16,
    OFFSETS_FROM = 4,
    VALUES_MAX = 4096,
    BITS_BYTES = 8192
};

/* What is left of the bytes; a read behind their end takes nothing and clears `good`. */
typedef struct Bytes {
    const unsigned char *at, *end;
    bool good;
} Bytes;

static const unsigned char *take(Bytes *bytes, size_t n)
{
    const unsigned char *p = bytes->at;

    if ((size_t)(bytes->end - p) < n) {
        bytes->good = false;
        return NULL;
    }
    bytes->at += n;
    return p;
}

static unsigned half(const unsigned char *p)
{
    return p[0] | (unsigned)p[1] << 8;
}

static uint32_t take_word(Bytes *bytes)
{
    const unsigned char *p = take(bytes, 4);

    return p ? half(p) | (uint32_t)half(p + 2) << 16 : 0;
}

static bool runs_good(Bytes *bytes)
{
    const unsigned char *p = take(bytes, 2);
    size_t n = p ? half(p) : 0;
    unsigned next = 0; /* the first value that the next run may start with */

    if (n == 0 || !(p = take(bytes, n * 4))) {
        return false;
    }
    for (size_t i = 0; i < n; i++, p += 4) {
        unsigned first = half(p), last = first + half(p + 2);
        if (first < next || last > UINT16_MAX) {
            return false;
        }
        next = last + 1;
    }
    return true;
}

static bool bits_good(Bytes *bytes, size_t values)
{
    const unsigned char *p = take(bytes, BITS_BYTES);
    size_t count = 0;

    for (size_t i = 0; p && i < BITS_BYTES; i++) {
        count += (size_t)__builtin_popcount(p[i]);
    }
    return p && count == values;
}

static bool values_good(Bytes *bytes, size_t values)
{
    const unsigned char *p = take(bytes, values * 2);

    for (size_t i = 1; p && i < values; i++) {
        if (half(p + 2 * i) <= half(p + 2 * i - 2)) {
            return false;
        }
    }
    return p != NULL;
}

size_t delta_roaring_size(const unsigned char *p, size_t n)
{
    Bytes bytes = {p, p + n, true};
    uint32_t cookie = take_word(&bytes);
    bool with_runs = (cookie & UINT16_MAX) == COOKIE_RUNS;
    size_t count = with_runs ? (cookie >> 16) + 1 : take_word(&bytes);

    if (!bytes.good || (!with_runs && cookie != COOKIE) || count > CONTAINERS_MAX) {
        return 0;
    }
    const unsigned char *runs = with_runs ? take(&bytes, (count + 7) / 8) : NULL;
    const unsigned char *heads = take(&bytes, count * 4);
    if (!with_runs || count >= OFFSETS_FROM) {
        (void)take(&bytes, count * 4); /* containers follow each other */
    }
    for (size_t i = 0; bytes.good && i < count; i++) {
        size_t values = (size_t)half(heads + 4 * i + 2) + 1;
        bool good = i == 0 || half(heads + 4 * i) > half(heads + 4 * i - 4);
        if (runs && runs[i / 8] >> i % 8 & 1) {
            good = good && runs_good(&bytes);
        } else if (values > VALUES_MAX) {
            good = good && bits_good(&bytes, values);
        } else {
            good = good && values_good(&bytes, values);
        }
        if (!good) {
            return 0;
        }
    }
    return bytes.good ? (size_t)(bytes.at - p) : 0;
}
