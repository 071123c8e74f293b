/* Bytes of a variant and of a Parquet footer: refused, or sound. Of a variant the first byte says how many bytes its
 * metadata has. What is sound DuckDB decodes or refuses, and what it encodes of that is sound again. */
#include "delta/variant.h"

#include <stdio.h>
#include <stdlib.h>

#include "duck/duck.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DECODED_MAX = 4096 };

static Duck *duck;
static DuckConn *conn;

static void must(bool good, const Error *err)
{
    if (!good) {
        fprintf(stderr, "%s\n", err->message);
        abort();
    }
}

static void append_blob(const uint8_t *bytes, size_t n, Text *out)
{
    text_append_char(out, '\'');
    for (size_t i = 0; i < n; i++) {
        text_printf(out, "\\x%02X", bytes[i]);
    }
    text_append(out, "'::BLOB");
}

static void decode(const uint8_t *bytes, size_t n)
{
    Text sql = TEXT(1 << 20), json = TEXT(64 << 20);
    DuckResult *result = NULL;
    Error err = ERROR_NONE;
    bool more = false;

    text_append(&sql, "SELECT v, p.metadata, p.value FROM (SELECT v, CAST(variant_to_parquet_variant("
                      "variant_normalize(v)) AS STRUCT(metadata BLOB, \"value\" BLOB)) p FROM (SELECT "
                      "variant_bytes_to_variant(");
    append_blob(bytes, n, &sql);
    text_append(&sql, ") v))");
    if (duck_query(conn, text_str(&sql), &result, &err) == OK && duck_result_next(result, &more, &err) == OK && more) {
        size_t n_metadata, n_value;
        duck_result_json(result, 0, &json);
        const char *metadata = duck_result_text(result, 1, &n_metadata);
        const char *value = duck_result_text(result, 2, &n_value);
        must(delta_variant_check((const uint8_t *)metadata, n_metadata, (const uint8_t *)value, n_value, &err) == OK,
             &err);
    }
    duck_result_free(result);
    text_free(&sql);
    text_free(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DeltaVariantForm form = DELTA_VARIANT_ABSENT;
    Error err = ERROR_NONE;

    if (!duck) {
        must(duck_open(&(DuckConfig){.memory_limit_bytes = INT64_C(1) << 30, .threads = 1}, &duck, &err) == OK, &err);
        must(duck_connect(duck, &conn, &err) == OK, &err);
    }
    if (size > 0 && data[0] < size) {
        size_t n = data[0];
        if (delta_variant_check(data + 1, n, data + 1 + n, size - 1 - n, NULL) == OK && size < DECODED_MAX) {
            decode(data + 1, size - 1);
        }
    }
    (void)delta_variant_footer(data, size, &form, NULL);
    return 0;
}
