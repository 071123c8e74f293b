/* Any bytes as a script: lexer, statements, column types, and the rewriting of every statement and of the queries
 * inside. Beyond not crashing, every span lies inside the text and the pieces of a rewritten query map back into its
 * span. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "sql/query.h"
#include "sql/statement.h"
#include "sql/type_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool known(void *context, const char *schema, const char *name)
{
    (void)context;
    return schema || (*name & 1);
}

static void check_span(SqlSpan span, size_t length)
{
    if (span.begin > span.end || span.end > length) {
        __builtin_trap();
    }
}

static void check_query(const SqlText *text, SqlSpan span)
{
    SqlQuery *query = NULL;
    Error err = ERROR_NONE;
    if (sql_query_rewrite(text, span, known, NULL, &query, &err) != OK) {
        return;
    }
    const SqlRelation *relations;
    size_t n = sql_query_relations(query, &relations), length = strlen(sql_query_text(query));
    for (size_t i = 0; i < n; i++) {
        check_span(relations[i].span, text->length);
        if (!relations[i].alias || !relations[i].placeholder ||
            !strstr(sql_query_text(query), relations[i].placeholder)) {
            __builtin_trap();
        }
    }
    for (size_t at = 0; at <= length; at += 1 + length / 64) {
        sql_query_place(query, (int64_t)at, &err);
        if (err.place.line < 1 || err.place.column < 1) {
            __builtin_trap();
        }
    }
    Text out = TEXT(64 << 20);
    const char **replacement = mem_alloc((n + 1) * sizeof *replacement);
    for (size_t i = 0; i < n; i++) {
        replacement[i] = i % 2 ? "(SELECT 1)" : NULL;
    }
    sql_query_inline(query, replacement, &out);
    mem_free(replacement);
    text_free(&out);
    sql_query_free(query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SqlText text = {.name = "fuzz", .data = (const char *)data, .length = size};
    SqlScript *script = NULL;
    Error err = ERROR_NONE;
    if (size > 1 << 16) {
        return 0;
    }
    check_query(&text, (SqlSpan){0, size});
    if (sql_script_parse(&text, &script, &err) != OK) {
        if (err.id == E_NONE || !*err.message) {
            __builtin_trap();
        }
        return 0;
    }
    const SqlStatement *statements;
    size_t n = sql_script_statements(script, &statements);
    for (size_t i = 0; i < n; i++) {
        check_span(statements[i].span, size);
        check_query(&text, statements[i].span);
        if (statements[i].has_query) {
            check_span(statements[i].query, size);
            check_query(&text, statements[i].query);
        }
        for (size_t k = 0; k < statements[i].n_columns; k++) {
            Text type = TEXT(1 << 20);
            if (statements[i].columns[k].type) {
                (void)sql_type_normalize(statements[i].columns[k].type, &type, NULL);
            }
            text_free(&type);
        }
    }
    sql_script_free(script);
    return 0;
}
