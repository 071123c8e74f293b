/* Bytes of a deletion vector: refused or read, and then asked for rows. */
#include "delta/dv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DeltaBitmap *bitmap = NULL;
    Text text = TEXT(1 << 20);
    int64_t rows[] = {0, 1, 2, 3, 65535, 65536, 1 << 20, INT64_C(1) << 32, 5};
    bool keep[sizeof rows / sizeof *rows];

    if (delta_dv_decode(data, size, &bitmap, NULL) == OK) {
        delta_bitmap_keep(bitmap, rows, sizeof rows / sizeof *rows, keep);
        (void)delta_bitmap_count(bitmap);
    }
    (void)delta_z85_decode((const char *)data, size, &text);
    text_free(&text);
    delta_bitmap_free(bitmap);
    return 0;
}
