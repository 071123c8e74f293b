#include "sql_cases.h"

#include "sql/query.h"

/* The warehouse of the cases. */
static bool known(void *context, const char *schema, const char *name)
{
    static const char *const NAMES[] = {".t", ".u", ".orders", ".window", "a.t", "b.t", "silver.orders", ".größe"};
    char full[256];
    (void)context;
    snprintf(full, sizeof full, "%s.%s", schema ? schema : "", name);
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (str_ieq(full, NAMES[i])) {
            return true;
        }
    }
    return false;
}

static void print_options(Text *out, const char *label, const SqlOption *options, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        text_printf(out, "    %s %s = %s%s%s\n", label, options[i].key ? options[i].key : "(positional)",
                    options[i].value, options[i].is_string ? " (string)" : "", options[i].is_list ? " (list)" : "");
    }
}

static void print_relation(Text *out, const char *input, const SqlRelation *r)
{
    static const char *const KINDS[] = {"name", "path", "function"};
    text_printf(out, "  %s%s %s%s%s as %s  [%.*s]\n", r->stream ? "stream " : "", KINDS[r->kind],
                r->schema ? r->schema : "", r->schema ? " . " : "", r->name, r->alias,
                (int)(r->span.end - r->span.begin), input + r->span.begin);
    print_options(out, "argument", r->arguments, r->n_arguments);
    print_options(out, "option", r->options, r->n_options);
    if (r->version_as_of) {
        text_printf(out, "    version %s\n", r->version_as_of);
    }
    if (r->timestamp_as_of) {
        text_printf(out, "    timestamp %s\n", r->timestamp_as_of);
    }
    if (r->watermark_expression) {
        text_printf(out, "    watermark %s as %s delay %lld us\n", r->watermark_expression,
                    r->watermark_alias ? r->watermark_alias : "(none)", (long long)r->watermark_delay_us);
    }
}

/* What DuckDB thinks of the rewritten text: nothing for a SELECT that parses and for other statements. */
static void check_syntax(DuckConn *conn, const char *sql, Text *out)
{
    static const char CHECK[] =
        "SELECT json_extract_string(j, '$.error_message') FROM (SELECT json_serialize_sql(CAST($1 AS VARCHAR)) AS j)";
    DuckResult *result = NULL;
    bool more;
    Error err = ERROR_NONE;
    if (duck_query_params(conn, CHECK, &sql, 1, &result, &err) != OK || duck_result_next(result, &more, &err) != OK) {
        fail_msg("%s", err.message);
    }
    char *message = duck_result_text_dup(result, 0);
    if (message && !strstr(message, "Only SELECT statements")) {
        text_printf(out, "!! %s\n", message);
    }
    mem_free(message);
    duck_result_free(result);
}

static void run_rewrite(void *context, const char *input, Text *out)
{
    SqlText text = {.name = "case.sql", .data = input, .length = strlen(input)};
    SqlQuery *query = NULL;
    Error err = ERROR_NONE;
    if (sql_query_rewrite(&text, (SqlSpan){0, text.length}, known, NULL, &query, &err) != OK) {
        sql_case_error(&err, out);
        return;
    }
    const SqlRelation *relations;
    size_t n = sql_query_relations(query, &relations);
    const char *shown = sql_query_text(query);
    for (const char *found; (found = strstr(shown, "freshet_relation_")) != NULL;) {
        text_append_n(out, shown, (size_t)(found - shown));
        text_append(out, "#");
        shown = found + strlen("freshet_relation_");
    }
    text_printf(out, "%s\n", shown);
    for (size_t i = 0; i < n; i++) {
        print_relation(out, input, &relations[i]);
    }
    check_syntax(context, sql_query_text(query), out);
    sql_query_free(query);
}

static void test_sql_query__cases(void **state)
{
    sql_cases_check("rewrite", run_rewrite, *state);
}

static SqlQuery *rewrite(const char *sql, SqlText *text)
{
    *text = (SqlText){.name = "q.sql", .data = sql, .length = strlen(sql)};
    SqlQuery *query = NULL;
    Error err = ERROR_NONE;
    if (sql_query_rewrite(text, (SqlSpan){0, text->length}, known, NULL, &query, &err) != OK) {
        fail_msg("%s: %s", sql, err.message);
    }
    return query;
}

/* An offset into the rewritten text leads to the user's token. */
static void check_place(const SqlQuery *query, const char *at, int line, int column, int length)
{
    Error err = ERROR_NONE;
    error_set(&err, E_SQL_BIND, "x");
    const char *text = sql_query_text(query), *found = strstr(text, at);
    assert_non_null(found);
    sql_query_place(query, found - text, &err);
    assert_int_equal(err.place.line, line);
    assert_int_equal(err.place.column, column);
    assert_int_equal(err.place.length, length);
}

static void test_sql_query_place__maps_back(void **state)
{
    (void)state;
    SqlText text;
    SqlQuery *query = rewrite(
        "SELECT `am ount`,\n  ammount FROM STREAM silver.orders\nWHERE ammount2 > silver.orders.x", &text);
    check_place(query, "\"am ount\"", 1, 8, 9);
    check_place(query, "ammount ", 2, 3, 7);
    check_place(query, "freshet_relation_0", 2, 16, 20);
    check_place(query, "AS \"orders\"", 2, 36, 1);
    check_place(query, "ammount2", 3, 7, 8);
    check_place(query, "\"orders\".x", 3, 18, 13);
    sql_query_free(query);
}

static void test_sql_query_place__names_relations_in_messages(void **state)
{
    (void)state;
    SqlText text;
    SqlQuery *query = rewrite("SELECT * FROM a.t, u", &text);
    Error err = ERROR_NONE;
    error_set(&err, E_SQL_BIND, "Table with name freshet_relation_1 does not exist");
    sql_query_place(query, -1, &err);
    assert_string_equal(err.message, "Table with name u does not exist");
    assert_int_equal(err.place.line, 0);
    sql_query_free(query);
}

static void test_sql_query_inline__replaces_placeholders(void **state)
{
    (void)state;
    SqlText text;
    SqlQuery *query = rewrite("SELECT * FROM t JOIN a.t AS x ON t.k = x.k", &text);
    const char *replacement[] = {"(SELECT 1 AS k)", NULL};
    Text out = TEXT(1 << 20);
    sql_query_inline(query, replacement, &out);
    assert_string_equal(text_str(&out),
                        "SELECT * FROM (SELECT 1 AS k) AS \"t\" JOIN freshet_relation_1 AS x ON t.k = x.k");
    text_free(&out);
    sql_query_free(query);
}

static void test_sql_query_rewrite__placeholder_stays_unique(void **state)
{
    (void)state;
    SqlText text;
    SqlQuery *query = rewrite("SELECT * FROM t, freshet_relation_0", &text);
    assert_string_equal(sql_query_text(query), "SELECT * FROM freshet_relation__0 AS \"t\", freshet_relation_0");
    sql_query_free(query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sql_query__cases),
        cmocka_unit_test(test_sql_query_place__maps_back),
        cmocka_unit_test(test_sql_query_place__names_relations_in_messages),
        cmocka_unit_test(test_sql_query_inline__replaces_placeholders),
        cmocka_unit_test(test_sql_query_rewrite__placeholder_stays_unique),
    };
    return cmocka_run_group_tests(tests, sql_connect, sql_disconnect);
}
