#include "sql_cases.h"

#include "sql/functions.h"
#include "sql/lexer.h"
#include "sql/query.h"

static SqlQuery *rewrite(const char *input, Text *out)
{
    SqlText *text = mem_alloc(sizeof *text);
    *text = (SqlText){.name = "case.sql", .data = input, .length = strlen(input)};
    SqlQuery *query = NULL;
    Error err = ERROR_NONE;
    if (sql_query_rewrite(text, (SqlSpan){0, text->length}, NULL, NULL, &query, &err) != OK) {
        sql_case_error(&err, out);
    }
    mem_free(text);
    return query;
}

static void run_facts(void *context, const char *input, Text *out)
{
    SqlQuery *query = rewrite(input, out);
    if (!query) {
        return;
    }
    SqlQueryFacts facts;
    Error err = ERROR_NONE;
    if (sql_query_facts(context, query, &facts, &err) != OK) {
        sql_case_error(&err, out);
    } else {
        text_printf(out, "%s%s\n", facts.uses_time ? "time" : "-", facts.uses_random ? ", random" : "");
    }
    sql_query_free(query);
}

static void run_fix_time(void *context, const char *input, Text *out)
{
    SqlQuery *query = rewrite(input, out);
    Error err = ERROR_NONE;
    if (!query) {
        return;
    }
    if (sql_query_fix_time(context, query, &err) != OK) {
        sql_case_error(&err, out);
        sql_query_free(query);
        return;
    }
    const char *shown = sql_query_text(query);
    for (const char *found; (found = strstr(shown, SQL_BATCH_TIME)) != NULL;) {
        text_append_n(out, shown, (size_t)(found - shown));
        text_append(out, "<T>");
        shown = found + strlen(SQL_BATCH_TIME);
    }
    text_printf(out, "%s\n", shown);
    sql_query_free(query);
}

static void run_predicates(void *context, const char *input, Text *out)
{
    static const char *const COMPARES[] = {"=", "<", "<=", ">", ">=", "is null", "is not null", "in"};
    SqlQuery *query = rewrite(input, out);
    if (!query) {
        return;
    }
    const SqlRelation *relations;
    size_t n = sql_query_relations(query, &relations);
    Arena *arena = arena_new();
    for (size_t i = 0; i < n; i++) {
        SqlPredicate *predicates = NULL;
        size_t count = 0;
        Error err = ERROR_NONE;
        text_printf(out, "%s:", relations[i].name);
        if (sql_query_predicates(context, query, i, arena, &predicates, &count, &err) != OK) {
            sql_case_error(&err, out);
        }
        for (size_t k = 0; k < count; k++) {
            text_append(out, k ? " |" : "");
            for (size_t c = 0; c < predicates[k].n_column; c++) {
                text_printf(out, "%s%s", c ? "." : " ", predicates[k].column[c]);
            }
            text_printf(out, " %s", COMPARES[predicates[k].compare]);
            for (size_t v = 0; v < predicates[k].n_values; v++) {
                text_printf(out, "%s %s", v ? "," : "", predicates[k].values[v]);
            }
        }
        text_append(out, "\n");
    }
    arena_free(arena);
    sql_query_free(query);
}

static void test_sql_query_facts__cases(void **state)
{
    sql_cases_check("query_facts", run_facts, *state);
}

static void test_sql_fix_time__cases(void **state)
{
    sql_cases_check("fix_time", run_fix_time, *state);
}

static void test_sql_predicates__cases(void **state)
{
    sql_cases_check("predicates", run_predicates, *state);
}

/* Calls `check` with the text of each row's first column. */
static void each_row(DuckConn *conn, const char *sql, void (*check)(const char *value))
{
    DuckResult *result = NULL;
    Error err = ERROR_NONE;
    bool more = true;
    if (duck_query(conn, sql, &result, &err) != OK) {
        fail_msg("%s", err.message);
    }
    while (duck_result_next(result, &more, &err) == OK && more) {
        char *value = duck_result_text_dup(result, 0);
        check(value);
        mem_free(value);
    }
    duck_result_free(result);
}

static void check_aggregate(const char *name)
{
    if (!sql_function_is_aggregate(name)) {
        fail_msg("aggregate %s is not in functions.def", name);
    }
}

static void test_sql_functions__knows_every_aggregate(void **state)
{
    each_row(*state, "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'",
             check_aggregate);
    /* macros that call an aggregate, directly or through another macro */
    each_row(*state,
             "WITH RECURSIVE f AS (SELECT function_name, lower(macro_definition) AS d FROM duckdb_functions() WHERE "
             "function_type = "
             "'macro'), a AS (SELECT DISTINCT function_name AS n FROM duckdb_functions() WHERE function_type = "
             "'aggregate' UNION "
             "SELECT f.function_name FROM f, a WHERE regexp_matches(f.d, '(^|[^a-z_''\"])' || a.n || '\\(')) "
             "SELECT n FROM a WHERE n NOT IN ('list_distinct')",
             check_aggregate);
}

static void check_volatile(const char *name)
{
    /* these look at the session or have an effect, but answer the same for the same row */
    static const char *const HARMLESS[] = {"current_database", "current_schema", "current_schemas",
                                           "in_search_path",   "current_query",  "error",
                                           "sleep_ms",         "stats",          "write_log"};
    for (size_t i = 0; i < sizeof HARMLESS / sizeof *HARMLESS; i++) {
        if (strcmp(name, HARMLESS[i]) == 0) {
            return;
        }
    }
    if (!sql_function_is_random(name) && !sql_function_time(name, 0)) {
        fail_msg("%s is volatile and not in functions.def", name);
    }
}

static void test_sql_functions__knows_every_volatile_function(void **state)
{
    each_row(*state,
             "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT' AND "
             "NOT starts_with(function_name, 'freshet_')",
             check_volatile);
}

static void check_time(const char *name)
{
    if (!sql_function_time(name, 0) && !sql_function_time(name, 1)) {
        fail_msg("%s depends on the time and is not in functions.def", name);
    }
}

/* Stability is no guide (age says CONSISTENT): what has "current" or "now" in it and no argument, and macros over the
 * time. */
static void test_sql_functions__knows_every_time_function(void **state)
{
    each_row(*state,
             "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'scalar' AND len(parameters) "
             "= 0 AND "
             "(function_name LIKE '%time%' OR function_name LIKE '%now%' OR function_name LIKE '%\\_date' ESCAPE '\\' "
             "OR function_name = 'today')",
             check_time);
    each_row(
        *state,
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'macro' AND "
        "regexp_matches(macro_definition, '(^|[^a-z_''])(current_|localtime|now\\(|today\\()(timestamp|date|time)?')"
        " AND NOT regexp_matches(macro_definition, 'current_(database|schema|query|user|catalog|role)')",
        check_time);
    each_row(
        *state,
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_name = 'age' AND len(parameters) = 1",
        check_time);
}

/* The replacements have the types of what they replace, with and without the variable, and follow it. */
static void test_sql_fix_time__keeps_types_and_follows_the_variable(void **state)
{
    DuckConn *conn = *state;
    static const char SQL[] =
        "SELECT now() AS a, current_timestamp AS b, current_date AS c, current_time AS d, localtime AS e, "
        "localtimestamp AS f, today() AS g, get_current_timestamp() AS h, transaction_timestamp() AS i, "
        "current_localtime() AS j, current_localtimestamp() AS k, get_current_time() AS l, "
        "ago(INTERVAL '1 day') AS m, age(TIMESTAMP '2020-01-01') AS n, age(DATE '2020-01-01') AS o, "
        "age(TIMESTAMPTZ '2020-01-01') AS p, current_date() AS q";
    Text sql = TEXT(1 << 16);
    Error err = ERROR_NONE;
    SqlQuery *query = rewrite(SQL, &sql);
    assert_int_equal(sql_query_fix_time(conn, query, &err), OK);
    text_clear(&sql);
    text_printf(&sql,
                "SELECT string_agg(a.column_name) FROM (DESCRIBE %s) a JOIN (DESCRIBE %s) b USING (column_name) WHERE "
                "a.column_type IS DISTINCT FROM b.column_type",
                SQL, sql_query_text(query));
    for (int set = 0; set < 2; set++) {
        DuckResult *result = NULL;
        bool more;
        if (duck_query(conn, text_str(&sql), &result, &err) != OK) {
            fail_msg("%s", err.message);
        }
        assert_int_equal(duck_result_next(result, &more, &err), OK);
        char *different = duck_result_text_dup(result, 0);
        assert_null(different);
        duck_result_free(result);
        assert_int_equal(
            duck_exec(conn, "SET VARIABLE freshet_batch_time = TIMESTAMPTZ '2024-02-03 04:05:06.789Z'", &err), OK);
    }
    text_clear(&sql);
    text_printf(&sql, "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM (%s)", sql_query_text(query));
    static const char *const WANT[] = {
        "2024-02-03 04:05:06.789+00",
        "2024-02-03 04:05:06.789+00",
        "2024-02-03",
        "04:05:06.789+00",
        "04:05:06.789",
        "2024-02-03 04:05:06.789",
        "2024-02-03",
        "2024-02-03 04:05:06.789+00",
        "2024-02-03 04:05:06.789+00",
        "04:05:06.789",
        "2024-02-03 04:05:06.789",
        "04:05:06.789+00",
        "2024-02-02 04:05:06.789+00",
        "4 years 1 month 2 days",
        "4 years 1 month 2 days",
        "4 years 1 month 2 days",
        "2024-02-03",
    };
    DuckResult *result = NULL;
    bool more;
    if (duck_query(conn, text_str(&sql), &result, &err) != OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(duck_result_next(result, &more, &err), OK);
    for (size_t i = 0; i < sizeof WANT / sizeof *WANT; i++) {
        char *value = duck_result_text_dup(result, i);
        assert_string_equal(value, WANT[i]);
        mem_free(value);
    }
    duck_result_free(result);
    text_free(&sql);
    sql_query_free(query);
}

/* The words of keywords.def: sorted, of DuckDB's class, and complete where it matters. */
static void check_reserved(const char *pair)
{
    const char *space = strchr(pair, ' ');
    SqlWord word = sql_word_find(pair, (size_t)(space - pair));
    SqlWordClass class = str_ieq(space + 1, "reserved")        ? SQL_WORD_RESERVED
                         : str_ieq(space + 1, "type_function") ? SQL_WORD_FUNCTION
                         : str_ieq(space + 1, "column_name")   ? SQL_WORD_COLUMN
                                                               : SQL_WORD_FREE;
    if (class >= SQL_WORD_FUNCTION && word == SQL_W_OTHER) {
        fail_msg("\"%s\" is not in keywords.def", pair);
    }
    if (word != SQL_W_OTHER && sql_word_class(word) != class) {
        fail_msg("\"%s\" has another class in keywords.def", pair);
    }
}

static void test_sql_keywords__are_those_of_duckdb(void **state)
{
    for (int i = 2; i < SQL_WORD_COUNT; i++) {
        assert_true(strcmp(sql_word_text((SqlWord)(i - 1)), sql_word_text((SqlWord)i)) < 0);
    }
    each_row(*state, "SELECT keyword_name || ' ' || keyword_category FROM duckdb_keywords()", check_reserved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sql_query_facts__cases),
        cmocka_unit_test(test_sql_fix_time__cases),
        cmocka_unit_test(test_sql_predicates__cases),
        cmocka_unit_test(test_sql_functions__knows_every_aggregate),
        cmocka_unit_test(test_sql_functions__knows_every_volatile_function),
        cmocka_unit_test(test_sql_functions__knows_every_time_function),
        cmocka_unit_test(test_sql_fix_time__keeps_types_and_follows_the_variable),
        cmocka_unit_test(test_sql_keywords__are_those_of_duckdb),
    };
    return cmocka_run_group_tests(tests, sql_connect, sql_disconnect);
}
