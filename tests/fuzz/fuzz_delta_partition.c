/* A partition value of the log as every type: refused, or of a form that DuckDB's cast takes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "delta/partition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const DeltaType TYPES[] = {
    {.id = DELTA_BOOLEAN},   {.id = DELTA_BYTE},          {.id = DELTA_SHORT},
    {.id = DELTA_INTEGER},   {.id = DELTA_LONG},          {.id = DELTA_FLOAT},
    {.id = DELTA_DOUBLE},    {.id = DELTA_DATE},          {.id = DELTA_DECIMAL, .precision = 9, .scale = 2},
    {.id = DELTA_TIMESTAMP}, {.id = DELTA_TIMESTAMP_NTZ}, {.id = DELTA_DECIMAL, .precision = 38, .scale = 10},
};
enum { N_TYPES = sizeof TYPES / sizeof *TYPES };

static void fail(const char *what, const char *value, const Error *err)
{
    fprintf(stderr, "%s: '%s': %s\n", what, value, err->message);
    abort();
}

/* Reads the log's text as DuckDB sees it, and writes it back. */
static void cast(DuckConn *conn, const DeltaType *type, const char *text)
{
    Error err = ERROR_NONE;
    DuckResult *result = NULL;
    bool more;
    Text value = TEXT(1 << 20), typed = TEXT(1 << 20), sql = TEXT(1 << 20);

    text_append_sql_string(&value, text);
    delta_partition_cast_sql(type, text_str(&value), &typed);
    text_append(&sql, "SELECT ");
    delta_partition_value_sql(type, text_str(&typed), &sql);
    if (duck_query(conn, text_str(&sql), &result, &err) != OK || duck_result_next(result, &more, &err) != OK) {
        fail(text_str(&sql), text, &err);
    }
    duck_result_free(result);
    text_free(&value);
    text_free(&typed);
    text_free(&sql);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Duck *duck;
    static DuckConn *conn;
    Error err = ERROR_NONE;
    bool is_null;

    if (!duck && (duck_open(&(DuckConfig){.memory_limit_bytes = 256 << 20, .threads = 1}, &duck, &err) != OK ||
                  duck_connect(duck, &conn, &err) != OK)) {
        fail("open", "", &err);
    }
    if (size < 1) {
        return 0;
    }
    const DeltaType *type = &TYPES[data[0] % N_TYPES];
    char *value = mem_strndup((const char *)data + 1, size - 1);
    Text text = TEXT(1 << 20);
    if (delta_partition_text(type, value, &text, &is_null, &err) == OK && !is_null) {
        cast(conn, type, text_str(&text));
    }
    text_free(&text);
    mem_free(value);
    return 0;
}
