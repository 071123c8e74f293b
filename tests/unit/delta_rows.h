/* Schemas in short, and rows as text, for tests of what is read from and written into tables. */
#ifndef FRESHET_TESTS_DELTA_ROWS_H
#define FRESHET_TESTS_DELTA_ROWS_H

#include "delta_fixture.h"

/* Appends `s` with ' in place of ", as tests write JSON. */
static inline void append_quoted(Text *out, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        text_append_char(out, s[i] == '\'' ? '"' : s[i]);
    }
}

/* "id long; s {'type':'struct',...}; {'name':'x',...}" as the JSON of a schema: a name and a type, a name and the JSON
 * of a type, or the JSON of a whole field. */
static inline char *schema_of(const char *fields)
{
    Text out = TEXT(1 << 20);

    text_append(&out, "{\"type\":\"struct\",\"fields\":[");
    for (const char *s = fields, *end; *s; s = *end ? end + 2 : end) {
        end = strstr(s, "; ");
        end = end ? end : s + strlen(s);
        const char *type = *s == '{' ? s : strchr(s, ' ') + 1;
        text_append(&out, s == fields ? "" : ",");
        if (type > s) {
            text_printf(&out, "{\"name\":\"%.*s\",\"type\":%s", (int)(type - s - 1), s, *type == '{' ? "" : "\"");
        }
        append_quoted(&out, type, (size_t)(end - type));
        text_append(&out, type == s ? "" : *type == '{' ? "}" : "\"}");
    }
    text_append(&out, "]}");
    return text_take(&out);
}

/* Appends a metaData action; partition columns and configuration as JSON without brackets. */
static inline void append_metadata(Text *out, const char *fields, const char *partition_columns,
                                   const char *configuration)
{
    char *schema = schema_of(fields);

    text_append(out,
                "{\"metaData\":{\"id\":\"x\",\"format\":{\"provider\":\"parquet\",\"options\":{}},\"schemaString\":");
    text_append_json_string(out, schema);
    text_append(out, ",\"partitionColumns\":[");
    append_quoted(out, partition_columns, strlen(partition_columns));
    text_append(out, "],\"configuration\":{");
    append_quoted(out, configuration, strlen(configuration));
    text_append(out, "}}}\n");
    mem_free(schema);
}

/* All rows of a statement as JSON values, a line each; NULL and *err when it fails. */
static inline char *rows_of(LogFixture *f, const char *sql, Error *err)
{
    DuckResult *result = NULL;
    Text out = TEXT(1 << 20);
    bool more = false;

    if (duck_query(f->conn, sql, &result, err) != OK) {
        return NULL;
    }
    while (duck_result_next(result, &more, err) == OK && more) {
        for (size_t i = 0; i < duck_result_columns(result); i++) {
            text_append(&out, i ? " " : "");
            duck_result_json(result, i, &out);
        }
        text_append_char(&out, '\n');
    }
    duck_result_free(result);
    text_append(&out, "");
    return text_take(&out);
}

#endif
