/* Bytes of a variant and of a Parquet footer: refused, or sound. Of a variant the first byte says how many bytes its
 * metadata has. */
#include "delta/variant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DeltaVariantForm form = DELTA_VARIANT_ABSENT;

    if (size > 0 && data[0] < size) {
        size_t n = data[0];
        (void)delta_variant_check(data + 1, n, data + 1 + n, size - 1 - n, NULL);
    }
    (void)delta_variant_footer(data, size, &form, NULL);
    return 0;
}
