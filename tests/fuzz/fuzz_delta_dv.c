/* Bytes of a deletion vector: refused or read, and then asked for rows and written again. */
#include "delta/dv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES_MAX = 64 << 20 };

static void ask_for_rows(const DeltaBitmap *bitmap)
{
    int64_t rows[] = {0, 1, 2, 3, 65535, 65536, 1 << 20, INT64_C(1) << 32, 5};
    bool keep[sizeof rows / sizeof *rows];

    delta_bitmap_keep(bitmap, rows, sizeof rows / sizeof *rows, keep);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (keep[i] == delta_bitmap_contains(bitmap, (uint64_t)rows[i])) {
            abort();
        }
    }
}

static void write_again(const DeltaBitmap *bitmap)
{
    DeltaBitmap *copy = delta_bitmap_copy(bitmap), *again = NULL;
    Text bytes = TEXT(BYTES_MAX);

    delta_bitmap_add_all(copy, bitmap);
    delta_dv_encode(copy, &bytes);
    if (delta_dv_decode(bytes.data, bytes.length, &again, NULL) != OK ||
        delta_bitmap_count(again) != delta_bitmap_count(bitmap)) {
        abort();
    }
    delta_bitmap_free(copy);
    delta_bitmap_free(again);
    text_free(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DeltaBitmap *bitmap = NULL;
    Text text = TEXT(1 << 20);

    if (delta_dv_decode(data, size, &bitmap, NULL) == OK) {
        ask_for_rows(bitmap);
        write_again(bitmap);
    }
    (void)delta_z85_decode((const char *)data, size, &text);
    text_free(&text);
    delta_bitmap_free(bitmap);
    return 0;
}
