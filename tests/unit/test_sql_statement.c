#include "sql_cases.h"

#include "base/clock.h"
#include "sql/statement.h"
#include "sql/type_text.h"

static void print_name(Text *out, const char *label, const SqlName *name)
{
    if (name->path) {
        text_printf(out, "  %s path %s\n", label, name->path);
    } else if (name->name || name->schema) {
        text_printf(out, "  %s %s%s%s\n", label, name->schema ? name->schema : "", name->schema ? " . " : "",
                    name->name ? name->name : "(none)");
    }
}

static void print_names(Text *out, const char *label, const char *const *items, size_t n)
{
    if (!n) {
        return;
    }
    text_printf(out, "  %s", label);
    for (size_t i = 0; i < n; i++) {
        text_printf(out, "%s %s", i ? "," : "", items[i]);
    }
    text_append(out, "\n");
}

static void print_options(Text *out, const char *label, const SqlOption *options, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        text_printf(out, "  %s %s = %s%s%s\n", label, options[i].key ? options[i].key : "(positional)",
                    options[i].value, options[i].is_string ? " (string)" : "", options[i].is_list ? " (list)" : "");
    }
}

static void print_text(Text *out, const char *label, const char *value)
{
    if (value) {
        text_printf(out, "  %s %s\n", label, value);
    }
}

static void print_columns(Text *out, const SqlStatement *s)
{
    for (size_t i = 0; i < s->n_columns; i++) {
        const SqlColumn *column = &s->columns[i];
        text_printf(out, "  column %s: %s%s\n", column->name, column->type ? column->type : "(none)",
                    column->not_null ? " not null" : "");
        print_text(out, "  default", column->default_expression);
        print_text(out, "  generated", column->generated_expression);
        if (column->identity) {
            text_printf(out, "    identity %lld by %lld%s\n", (long long)column->identity->start,
                        (long long)column->identity->step, column->identity->always ? " always" : "");
        }
        print_text(out, "  comment", column->comment);
    }
    static const char *const VIOLATIONS[] = {"keep", "drop", "fail", "quarantine"};
    for (size_t i = 0; i < s->n_expectations; i++) {
        text_printf(out, "  expect %s: %s (%s)\n", s->expectations[i].name, s->expectations[i].condition,
                    VIOLATIONS[s->expectations[i].on_violation]);
    }
}

static void print_statement(const SqlText *text, const SqlStatement *s, Text *out)
{
    static const char *const FLOWS[] = {"insert", "merge", "auto cdc"};
    text_printf(out, "%s%s%s%s%s%s%s\n", sql_statement_name(s->kind), s->if_not_exists ? " [if not exists]" : "",
                s->or_replace ? " [or replace]" : "", s->or_refresh ? " [or refresh]" : "",
                s->if_exists ? " [if exists]" : "", s->by_name ? " [by name]" : "", s->overwrite ? " [overwrite]" : "");
    if (s->flow_name) {
        text_printf(out, "  flow %s (%s)\n", s->flow_name, FLOWS[s->flow_kind]);
    }
    print_name(out, "target", &s->target);
    print_columns(out, s);
    print_names(out, "into", s->insert_columns, s->n_insert_columns);
    print_names(out, "partitioned by", s->partitioned_by, s->n_partitioned_by);
    print_names(out, "cluster by", s->cluster_by, s->n_cluster_by);
    print_text(out, "format", s->format);
    print_text(out, "comment", s->comment);
    print_text(out, "location", s->location);
    print_options(out, "property", s->properties, s->n_properties);
    print_options(out, "option", s->options, s->n_options);
    print_text(out, "replace where", s->replace_where);
    if (s->set_key) {
        text_printf(out, "  set %s = %s\n", s->set_key, s->set_value);
    }
    if (s->limit >= 0) {
        text_printf(out, "  limit %lld\n", (long long)s->limit);
    }
    if (s->has_query) {
        text_printf(out, "  query %.*s\n", (int)(s->query.end - s->query.begin), text->data + s->query.begin);
    }
    print_text(out, "rest", s->rest);
}

static void run_statements(void *context, const char *input, Text *out)
{
    (void)context;
    SqlText text = {.name = "case.sql", .data = input, .length = strlen(input)};
    SqlScript *script = NULL;
    Error err = ERROR_NONE;
    if (sql_script_parse(&text, &script, &err) != OK) {
        sql_case_error(&err, out);
        return;
    }
    const SqlStatement *statements;
    size_t n = sql_script_statements(script, &statements);
    for (size_t i = 0; i < n; i++) {
        print_statement(&text, &statements[i], out);
    }
    sql_script_free(script);
}

static void run_type(void *context, const char *input, Text *out)
{
    (void)context;
    Error err = ERROR_NONE;
    Text type = TEXT(1 << 20);
    if (sql_type_normalize(input, &type, &err) == OK) {
        text_printf(out, "%s\n", text_str(&type));
    } else {
        sql_case_error(&err, out);
    }
    text_free(&type);
}

static void test_sql_statement__cases(void **state)
{
    (void)state;
    sql_cases_check("statements", run_statements, NULL);
}

static void test_sql_type_text__cases(void **state)
{
    (void)state;
    sql_cases_check("types", run_type, NULL);
}

static void test_sql_statement__nul_and_bad_utf8(void **state)
{
    (void)state;
    static const char NUL[] = "SELECT 1;\nSELECT \0 2", BAD[] = "SELECT '\xff'";
    const SqlText texts[] = {{"a", NUL, sizeof NUL - 1}, {"b", BAD, sizeof BAD - 1}};
    for (size_t i = 0; i < 2; i++) {
        SqlScript *script = NULL;
        Error err = ERROR_NONE;
        assert_int_equal(sql_script_parse(&texts[i], &script, &err), ERR_INVALID);
        assert_null(script);
        assert_int_equal(err.place.line, i == 0 ? 2 : 1);
        assert_int_equal(err.place.column, i == 0 ? 8 : 9);
    }
}

static void test_sql_statement__deep_nesting(void **state)
{
    (void)state;
    Text deep = TEXT(1 << 20);
    for (int i = 0; i < 300; i++) {
        text_append(&deep, "(");
    }
    SqlText text = {"deep", text_str(&deep), deep.length};
    SqlScript *script = NULL;
    Error err = ERROR_NONE;
    assert_int_equal(sql_script_parse(&text, &script, &err), ERR_LIMIT);
    assert_int_equal(err.place.column, 257);
    text_free(&deep);
}

/* Pieces of which random scripts are made: each opens or closes something. */
static const char *const PIECES[] = {
    "'",
    "\"",
    "`",
    "$$",
    "$a$",
    "/*",
    "*/",
    "--",
    "\n",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ";",
    ",",
    ".",
    "::",
    "=>",
    "=",
    "@v1",
    "<",
    ">",
    " ",
    "E'",
    "\\",
    "1.5e3",
    "0x",
    "$1",
    "x",
    "STREAM ",
    "FROM ",
    "WITH ",
    "AS ",
    "CREATE ",
    "STREAMING TABLE ",
    "SELECT ",
    "INSERT INTO ",
    "VERSION AS OF ",
    "WATERMARK ",
    "DELAY OF ",
    "INTERVAL ",
    "TABLE ",
    "COPY ",
    "TO ",
    "UNION ",
    "JOIN ",
    "window",
    "FLOW ",
    "CONSTRAINT ",
    "EXPECT ",
    "COMMENT ",
    "TBLPROPERTIES ",
    "\xc2\xa0",
    "\xc3\xa4",
    "\xff",
    "delta.",
    "LATERAL ",
    "USING ",
};

/* Random texts never crash, and an error always says something. (Sanitizers make this worth its time.) */
static void test_sql_statement__random_texts(void **state)
{
    (void)state;
    const char *given = getenv("FRESHET_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : random_u64();
    print_message("FRESHET_TEST_SEED=%llu\n", (unsigned long long)seed);
    random_seed(seed);
    for (int round = 0; round < 100000; round++) {
        Text bytes = TEXT(1 << 10);
        size_t wanted = random_u64() % 200;
        bool raw = random_u64() % 4 == 0;
        while (bytes.length < wanted) {
            if (raw) {
                text_append_char(&bytes, (char)random_u64());
            } else {
                text_append(&bytes, PIECES[random_u64() % (sizeof PIECES / sizeof *PIECES)]);
            }
        }
        SqlText text = {"random", text_str(&bytes), bytes.length};
        SqlScript *script = NULL;
        SqlQuery *query = NULL;
        Error err = ERROR_NONE;
        if (sql_script_parse(&text, &script, &err) != OK) {
            assert_true(*err.message);
        }
        sql_script_free(script);
        if (sql_query_rewrite(&text, (SqlSpan){0, text.length}, NULL, NULL, &query, &err) == OK) {
            assert_non_null(sql_query_text(query));
        }
        sql_query_free(query);
        text_free(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sql_statement__cases),
        cmocka_unit_test(test_sql_type_text__cases),
        cmocka_unit_test(test_sql_statement__nul_and_bad_utf8),
        cmocka_unit_test(test_sql_statement__deep_nesting),
        cmocka_unit_test(test_sql_statement__random_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
