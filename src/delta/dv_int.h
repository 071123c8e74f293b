/* The set of row numbers behind a deletion vector, as dv.c reads it and dv_write.c makes it. */
#ifndef FRESHET_DELTA_DV_INT_H
#define FRESHET_DELTA_DV_INT_H

#include <roaring/roaring.h>

#include "delta/dv.h"

enum { DELTA_DV_MAGIC = 1681511377, DELTA_DV_VERSION = 1 };

/* Row numbers with the same upper 32 bits. */
typedef struct DeltaBucket {
    uint32_t key;
    roaring_bitmap_t *rows;
} DeltaBucket;

struct DeltaBitmap {
    DeltaBucket *buckets; /* keys ascend */
    size_t n_buckets, capacity;
};

/* Bytes of the Roaring bitmap at the start of the `n` at `p`, 0 when they are none that the library can be given. */
size_t delta_roaring_size(const unsigned char *p, size_t n);

#define DELTA_Z85 "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

#endif
