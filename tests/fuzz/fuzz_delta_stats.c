/* Bounds of strings: never above, never below the string, in the order of unsigned bytes. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "delta/constraint.h"
#include "delta/stats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    char *s = mem_strndup((const char *)data + 1, size - 1);
    Text min = TEXT(1 << 20), max = TEXT(1 << 20), sql = TEXT(4 << 20);
    int64_t limit = data[0] % 40;

    if (delta_stats_string_min(s, limit, &min) &&
        (strcmp(text_str(&min), s) > 0 || utf8_valid(text_str(&min), min.length) != min.length)) {
        abort();
    }
    if (delta_stats_string_max(s, limit, &max) &&
        (strcmp(text_str(&max), s) < 0 || utf8_valid(text_str(&max), max.length) != max.length)) {
        abort();
    }
    if (delta_stats_records(s) < -1) {
        abort();
    }
    (void)delta_spark_sql(s, &sql);
    text_free(&min);
    text_free(&max);
    text_free(&sql);
    mem_free(s);
    return 0;
}
