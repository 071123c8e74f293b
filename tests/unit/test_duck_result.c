/* Values of every type: getters, JSON, and DuckDB's own text. */
#include <math.h>
#include <string.h>

#include "duck_fixture.h"

/* Runs "SELECT <expression>" and steps to its row. */
static DuckResult *select_one(const char *expression)
{
    Text sql = TEXT(1 << 20);
    text_printf(&sql, "SELECT %s", expression);
    DuckResult *result;
    bool more;
    must(duck_query(conn, text_str(&sql), &result, &err));
    must(duck_result_next(result, &more, &err));
    assert_true(more);
    text_free(&sql);
    return result;
}

static const struct {
    const char *expression, *json;
} VALUES[] = {
    {"true", "true"},
    {"NULL", "null"},
    {"NULL::DECIMAL(5,2)", "null"},
    {"(-128)::TINYINT", "-128"},
    {"(-32768)::SMALLINT", "-32768"},
    {"(-2147483648)::INTEGER", "-2147483648"},
    {"(-9223372036854775808)::BIGINT", "-9223372036854775808"},
    {"255::UTINYINT", "255"},
    {"65535::USMALLINT", "65535"},
    {"4294967295::UINTEGER", "4294967295"},
    {"18446744073709551615::UBIGINT", "18446744073709551615"},
    {"170141183460469231731687303715884105727::HUGEINT", "170141183460469231731687303715884105727"},
    {"'-170141183460469231731687303715884105728'::HUGEINT", "-170141183460469231731687303715884105728"},
    {"'340282366920938463463374607431768211455'::UHUGEINT", "340282366920938463463374607431768211455"},
    {"1.5::FLOAT", "1.5"},
    {"0.1::FLOAT", "0.1"},
    {"3::FLOAT", "3.0"},
    {"0.1::DOUBLE", "0.1"},
    {"1e300::DOUBLE", "1e+300"},
    {"(0.1::DOUBLE + 0.2::DOUBLE)", "0.30000000000000004"},
    {"-0.0::DOUBLE", "-0.0"},
    {"'nan'::DOUBLE", "\"NaN\""},
    {"'inf'::DOUBLE", "\"Infinity\""},
    {"'-inf'::FLOAT", "\"-Infinity\""},
    {"1.23::DECIMAL(4,2)", "1.23"},
    {"(-0.05)::DECIMAL(4,2)", "-0.05"},
    {"(-12345.678)::DECIMAL(9,3)", "-12345.678"},
    {"123456789012345.678::DECIMAL(18,3)", "123456789012345.678"},
    {"'12345678901234567890123456789.012345678'::DECIMAL(38,9)", "12345678901234567890123456789.012345678"},
    {"'0.00000000000000000000000000000000000001'::DECIMAL(38,38)", "0.00000000000000000000000000000000000001"},
    {"7::DECIMAL(18,0)", "7"},
    {"'a \"quote\" ü and a \\ and a longer text'", "\"a \\\"quote\\\" ü and a \\\\ and a longer text\""},
    {"''", "\"\""},
    {"('a' || chr(10) || 'b')", "\"a\\nb\""},
    {"'\\xAA\\x00\\x01\\x02'::BLOB", "\"qgABAg==\""},
    {"'abc'::BLOB", "\"YWJj\""},
    {"''::BLOB", "\"\""},
    {"'0101101'::BIT", "\"0101101\""},
    {"'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID", "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\""},
    {"DATE '2024-02-29'", "\"2024-02-29\""},
    {"DATE '0001-01-01'", "\"0001-01-01\""},
    {"DATE '1969-12-31'", "\"1969-12-31\""},
    {"DATE '9999-12-31'", "\"9999-12-31\""},
    {"DATE '10000-01-01'", "\"10000-01-01\""},
    {"DATE '0044-03-15 (BC)'", "\"0044-03-15 (BC)\""},
    {"'infinity'::DATE", "\"infinity\""},
    {"TIME '23:59:59.999999'", "\"23:59:59.999999\""},
    {"'23:59:59+02'::TIMETZ", "\"23:59:59+02\""},
    {"TIMESTAMP '2024-02-29 12:34:56.789'", "\"2024-02-29T12:34:56.789\""},
    {"TIMESTAMP '2024-02-29 12:34:56'", "\"2024-02-29T12:34:56\""},
    {"TIMESTAMP '1969-12-31 23:59:59.999999'", "\"1969-12-31T23:59:59.999999\""},
    {"'infinity'::TIMESTAMP", "\"infinity\""},
    {"TIMESTAMPTZ '2024-02-29 12:34:56.5+02'", "\"2024-02-29T10:34:56.500Z\""},
    {"'2024-02-29 12:34:56'::TIMESTAMP_S", "\"2024-02-29T12:34:56\""},
    {"'2024-02-29 12:34:56.789'::TIMESTAMP_MS", "\"2024-02-29T12:34:56.789\""},
    {"'2024-02-29 12:34:56.123456789'::TIMESTAMP_NS", "\"2024-02-29T12:34:56.123456789\""},
    {"INTERVAL '1 year 2 months 3 days 04:05:06.5'", "\"1 year 2 months 3 days 04:05:06.5\""},
    {"'b'::ENUM('a', 'b')", "\"b\""},
    {"'{\"a\": [1, 2]}'::JSON", "{\"a\": [1, 2]}"},
    {"('{\"a\":' || chr(10) || '1}')::JSON", "{\"a\": 1}"},
    {"{'a': 1, 'b c': 'x', 'n': NULL}", "{\"a\":1,\"b c\":\"x\",\"n\":null}"},
    {"row(1, 'x')", "[1,\"x\"]"},
    {"[1, NULL, 3]", "[1,null,3]"},
    {"[]::INTEGER[]", "[]"},
    {"[[1], [], NULL, [2, 3]]", "[[1],[],null,[2,3]]"},
    {"[1, 2, 3]::INTEGER[3]", "[1,2,3]"},
    {"[['a', 'b'], ['c', NULL]]::VARCHAR[2][2]", "[[\"a\",\"b\"],[\"c\",null]]"},
    {"MAP {'k': 1, 'l': NULL}", "{\"k\":1,\"l\":null}"},
    {"MAP {1: 'a', 2: 'b'}", "[[1,\"a\"],[2,\"b\"]]"},
    {"MAP {}::MAP(VARCHAR, INTEGER)", "{}"},
    {"[MAP {'a': {'x': [1.50::DECIMAL(9,2)]}}]", "[{\"a\":{\"x\":[1.50]}}]"},
    {"union_value(num := 2)", "{\"num\":2}"},
    {"'two'::UNION(num INTEGER, str VARCHAR)", "{\"str\":\"two\"}"},
    {"{'t': TIMESTAMPTZ '2024-01-01 00:00:00Z', 'd': DATE '2024-01-01'}",
     "{\"t\":\"2024-01-01T00:00:00Z\",\"d\":\"2024-01-01\"}"},
    {"'123456789012345678901234567890123456789012345678901234567890'::BIGNUM",
     "\"123456789012345678901234567890123456789012345678901234567890\""},
    {"'-1234567890123456789012345678901234567890'::BIGNUM", "\"-1234567890123456789012345678901234567890\""},
    {"'12:34:56.123456789'::TIME_NS", "\"12:34:56.123456789\""},
};

static void test_duck_result__json_of_every_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
        DuckResult *result = select_one(VALUES[i].expression);
        Text json = TEXT(1 << 20);
        duck_result_json(result, 0, &json);
        if (strcmp(text_str(&json), VALUES[i].json) != 0) {
            fail_msg("%s: %s, expected %s", VALUES[i].expression, text_str(&json), VALUES[i].json);
        }
        text_free(&json);
        duck_result_free(result);
    }
}

static void check_printed(const char *expression)
{
    Text sql = TEXT(1 << 20), text = TEXT(1 << 20);
    text_printf(&sql, "%s, (%s)::VARCHAR", expression, expression);
    DuckResult *result = select_one(text_str(&sql));
    char *expected = duck_result_text_dup(result, 1);
    bool some = duck_result_print(result, 0, &text);
    assert_int_equal(some, expected != NULL);
    if (some && strcmp(text_str(&text), expected) != 0) {
        fail_msg("%s: printed %s, cast %s", expression, text_str(&text), expected);
    }
    mem_free(expected);
    text_free(&text);
    text_free(&sql);
    duck_result_free(result);
}

static void test_duck_result__print_is_the_cast(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
        check_printed(VALUES[i].expression);
    }
    static const char *const MORE[] = {
        "1e20::DOUBLE",
        "123456789.125::DOUBLE",
        "1e-7::FLOAT",
        "{'a': 'it''s', 'b': ['x, y', '', NULL], 'c': 'NULL'}",
        "['', ' lead', 'br[ack', 'q\"uote']",
        "{'j': '{\"x\": 1}'::JSON}",
        "{'b': '\\xAA'::BLOB, 'u': '0101'::BIT}",
        "{'e': 'b'::ENUM('a', 'b'), 'h': 5::HUGEINT, 'y': 3::TINYINT}",
        "[DATE '2024-01-01', 'infinity'::DATE]",
        "MAP {{'a': 1}: [TIMESTAMPTZ '2024-01-01 00:00:00Z']}",
        "[1.50::DECIMAL(9,2), NULL]",
        "['nan'::DOUBLE, 0.1::DOUBLE]",
    };
    for (size_t i = 0; i < sizeof MORE / sizeof *MORE; i++) {
        check_printed(MORE[i]);
    }
}

/* A file may hold any number as a time. DuckDB throws, or crashes, when it is to print some of them. */
static void test_duck_result__times_without_text_are_numbers(void **state)
{
    static const struct {
        const char *expression, *printed;
    } CASES[] = {
        {"make_timestamp(x - 1)", "-9223372022400000001"},
        {"make_timestamp_ns(x // 1000 * 1000)", "-9223372022400000000"},
        {"{'at': make_timestamp(x - 1)}", "{\"at\":\"-9223372022400000001\"}"},
        {"[make_timestamp(x - 1)]", "[\"-9223372022400000001\"]"},
        {"MAP {'a': make_timestamp(x - 1)}", "{\"a\":\"-9223372022400000001\"}"},
        {"variant_bytes_to_variant(CASE WHEN x < 0 THEN "
         "'\\x01\\x00\\x00\\x44\\x00\\x60\\xD7\\x1D\\x14\\x00\\x00\\x01'::BLOB END)",
         "72057680437927936"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Text text = TEXT(1 << 10), json = TEXT(1 << 10), sql = TEXT(1 << 10);
        text_printf(&sql, "%s FROM (SELECT range - 9223372022400000000 AS x FROM range(1))", CASES[i].expression);
        DuckResult *result = select_one(text_str(&sql));
        assert_true(duck_result_print(result, 0, &text));
        duck_result_json(result, 0, &json);
        assert_string_equal(text_str(&text), CASES[i].printed);
        text_free(&sql);
        text_free(&text);
        text_free(&json);
        duck_result_free(result);
    }
    check_printed("make_timestamp(-9223372022400000000)");
    check_printed("make_timestamp(9223372036854775806)");
    check_printed("make_timestamp_ns(-9223286400000000000)");
    check_printed("make_timestamp_ns(9223372036854775806)");
}

/* What a VARIANT holds is told as it would be without the VARIANT. */
static void test_duck_result__variants(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
        bool other_shape = strstr(VALUES[i].expression, "MAP") != NULL ||
                           strstr(VALUES[i].expression, "UNION") != NULL ||
                           strstr(VALUES[i].expression, "union") != NULL ||
                           strstr(VALUES[i].expression, "JSON") != NULL || strstr(VALUES[i].expression, "row(") != NULL;
        if (other_shape) {
            continue;
        }
        Text sql = TEXT(1 << 16), json = TEXT(1 << 16), printed = TEXT(1 << 16);
        text_printf(&sql, "(%s)::VARIANT AS v, v::VARCHAR", VALUES[i].expression);
        DuckResult *result = select_one(text_str(&sql));
        duck_result_json(result, 0, &json);
        if (strcmp(text_str(&json), VALUES[i].json) != 0) {
            fail_msg("%s in a VARIANT: %s, expected %s", VALUES[i].expression, text_str(&json), VALUES[i].json);
        }
        char *cast = duck_result_text_dup(result, 1);
        bool nested = json.data[0] == '[' || json.data[0] == '{';
        if (duck_result_print(result, 0, &printed) && strcmp(text_str(&printed), nested ? VALUES[i].json : cast) != 0) {
            fail_msg("%s in a VARIANT: printed %s, cast %s", VALUES[i].expression, text_str(&printed), cast);
        }
        mem_free(cast);
        text_free(&printed);
        text_free(&json);
        text_free(&sql);
        duck_result_free(result);
    }
}

/* Variants of others may have decimals of fewer digits than their scale. */
static void test_duck_result__variant_of_a_small_decimal(void **state)
{
    (void)state;
    Text json = TEXT(100), printed = TEXT(100);
    DuckResult *result = select_one(
        "variant_bytes_to_variant(b) FROM (VALUES ('\\x01\\x00\\x00\\x24\\x10\\xFB\\xFF\\xFF"
        "\\xFF\\xFF\\xFF\\xFF\\xFF'::BLOB), (NULL)) AS t(b)");

    duck_result_json(result, 0, &json);
    assert_string_equal(text_str(&json), "-0.0000000000000005");
    assert_true(duck_result_print(result, 0, &printed));
    assert_string_equal(text_str(&printed), "-0.0000000000000005");
    text_free(&printed);
    text_free(&json);
    duck_result_free(result);
}

static void test_duck_result__variants_over_rows(void **state)
{
    (void)state;
    DuckResult *r;
    must(duck_query(
        conn,
        "SELECT v, j::VARCHAR FROM (SELECT j::VARIANT AS v, j FROM (SELECT ('{\"row\":' || i || ',\"list\":[' || i || "
        "',null,\"text of ' || i || '\"],\"deep\":{\"' || 'k' || i || '\":[{}, []]}}')::JSON AS j FROM range(5000) "
        "t(i)))",
        &r, &err));
    size_t rows = 0;
    for (bool more;; rows++) {
        must(duck_result_next(r, &more, &err));
        if (!more) {
            break;
        }
        Text json = TEXT(1 << 16);
        duck_result_json(r, 0, &json);
        char *expected = duck_result_text_dup(r, 1), *to = expected; /* without the blanks */
        bool in_string = false;
        for (const char *s = expected; *s != '\0'; s++) {
            in_string ^= *s == '"';
            if (*s != ' ' || in_string) {
                *to++ = *s;
            }
        }
        *to = '\0';
        assert_string_equal(text_str(&json), expected);
        mem_free(expected);
        text_free(&json);
    }
    assert_int_equal(rows, 5000);
    duck_result_free(r);
}

static void test_duck_result__numbers(void **state)
{
    (void)state;
    DuckResult *r = select_one(
        "1::UTINYINT, -2::SMALLINT, DATE '1970-01-03', TIMESTAMP '1970-01-01 00:00:00.000004', true, "
        "sum(5::BIGINT), '99999999999999999999'::HUGEINT, 2.5::FLOAT, 0.25::DECIMAL(30,2), NULL::DOUBLE");
    static const int64_t INTEGERS[] = {1, -2, 2, 4, 1, 5, INT64_MAX};
    for (size_t i = 0; i < sizeof INTEGERS / sizeof *INTEGERS; i++) {
        assert_int_equal(duck_result_i64(r, i), INTEGERS[i]);
    }
    assert_true(duck_result_is_null(r, 9));
    assert_false(duck_result_is_null(r, 0));
    assert_int_equal(duck_result_columns(r), 10);
    duck_result_free(r);
    r = select_one("1 AS one, 2 AS \"two words\"");
    assert_string_equal(duck_result_name(r, 1), "two words");
    duck_result_free(r);
}

static void test_duck_result__text_may_hold_nul(void **state)
{
    (void)state;
    DuckResult *r = select_one("'a' || chr(0) || 'b', '\\x00\\xFF'::BLOB, NULL::VARCHAR");
    size_t n;
    assert_memory_equal(duck_result_text(r, 0, &n), "a\0b", 3);
    assert_int_equal(n, 3);
    assert_memory_equal(duck_result_text(r, 1, &n), "\0\xff", 2);
    assert_int_equal(n, 2);
    assert_null(duck_result_text(r, 2, &n));
    assert_null(duck_result_text_dup(r, 2));
    duck_result_free(r);
}

/* Nested columns over many chunks, materialised and streamed, agree with DuckDB's own JSON. */
static void test_duck_result__nested_over_chunks(void **state)
{
    (void)state;
    static const char SQL[] =
        "SELECT v, to_json(v)::VARCHAR FROM (SELECT CASE WHEN i % 11 <> 0 THEN {'i': i, 'l': list_transform("
        "range(i % 5), x -> CASE WHEN x = 3 THEN NULL ELSE {'s': 'text ' || x || ' of ' || i, 'm': MAP {"
        "'k' || i: [i]}} END), 'c': ['const', NULL]} END AS v FROM range(7000) t(i)) ORDER BY v.i";
    for (int stream = 0; stream < 2; stream++) {
        DuckResult *r;
        must((stream ? duck_query_stream : duck_query)(conn, SQL, &r, &err));
        size_t rows = 0;
        for (bool more;; rows++) {
            must(duck_result_next(r, &more, &err));
            if (!more) {
                break;
            }
            Text json = TEXT(1 << 20);
            duck_result_json(r, 0, &json);
            char *expected = duck_result_text_dup(r, 1);
            assert_string_equal(text_str(&json), expected == NULL ? "null" : expected);
            mem_free(expected);
            text_free(&json);
        }
        assert_int_equal(rows, 7000);
        duck_result_free(r);
    }
}

static void check_type(const char *sql, const char *spelled)
{
    Arena *arena = arena_new();
    DuckColumnInfo *columns, *again;
    size_t n;
    Text statement = TEXT(1 << 16), text = TEXT(1 << 16);
    text_printf(&statement, "SELECT NULL::%s AS c", sql);
    must(duck_describe(conn, text_str(&statement), arena, &columns, &n, &err));
    assert_int_equal(n, 1);
    assert_string_equal(columns[0].name, "c");
    duck_type_sql(columns[0].type, &text);
    assert_string_equal(text_str(&text), spelled);
    text_clear(&statement);
    text_printf(&statement, "SELECT NULL::%s", text_str(&text));
    must(duck_describe(conn, text_str(&statement), arena, &again, &n, &err));
    assert_true(duck_type_equal(columns[0].type, again[0].type));
    text_free(&text);
    text_free(&statement);
    arena_free(arena);
}

static void test_duck_result__types_are_spelled(void **state)
{
    (void)state;
    static const char *const SAME[] = {
        "BOOLEAN",
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "HUGEINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "UHUGEINT",
        "FLOAT",
        "DOUBLE",
        "DECIMAL(38,10)",
        "VARCHAR",
        "BLOB",
        "BIT",
        "UUID",
        "DATE",
        "TIME",
        "TIME WITH TIME ZONE",
        "TIMESTAMP",
        "TIMESTAMP_S",
        "TIMESTAMP_MS",
        "TIMESTAMP_NS",
        "TIMESTAMP WITH TIME ZONE",
        "INTERVAL",
        "ENUM('a', 'it''s')",
        "JSON",
        "VARIANT",
        "STRUCT(\"a b\" BIGINT, \"c\"\"d\" VARCHAR[])",
        "INTEGER[][]",
        "INTEGER[3]",
        "MAP(VARCHAR, STRUCT(\"x\" JSON))",
        "UNION(\"n\" INTEGER, \"s\" VARCHAR)",
        "BIGNUM",
        "TIME_NS",
    };
    for (size_t i = 0; i < sizeof SAME / sizeof *SAME; i++) {
        check_type(SAME[i], SAME[i]);
    }
    check_type("int8", "BIGINT");
    check_type("timestamptz", "TIMESTAMP WITH TIME ZONE");
}

static void test_duck_result__types_differ(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    DuckColumnInfo *columns;
    size_t n;
    must(duck_describe(conn,
                       "SELECT 1::DECIMAL(5,2), 1::DECIMAL(6,2), {'a': 1}, {'b': 1}, {'a': 1}, [1], [1::BIGINT], "
                       "''::VARCHAR, '1'::JSON, [1]::INTEGER[1], $1::INTEGER[2]",
                       arena, &columns, &n, &err));
    assert_int_equal(n, 11);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            bool equal = i == j || (i == 2 && j == 4) || (i == 4 && j == 2);
            assert_int_equal(duck_type_equal(columns[i].type, columns[j].type), equal);
        }
    }
    arena_free(arena);
}

static void test_duck_result__type_depth_has_a_maximum(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    DuckColumnInfo *columns;
    size_t n;
    Text sql = TEXT(1 << 16);
    must(duck_exec(conn, "SET max_expression_depth = 100000", &err));
    text_append(&sql, "SELECT NULL::INTEGER");
    for (int i = 0; i < 200; i++) {
        text_append(&sql, "[]");
    }
    assert_int_equal(duck_describe(conn, text_str(&sql), arena, &columns, &n, &err), ERR_LIMIT);
    error_clear(&err);
    DuckResult *result;
    assert_int_equal(duck_query(conn, text_str(&sql), &result, &err), ERR_LIMIT);
    error_clear(&err);
    text_free(&sql);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_duck_result__json_of_every_type),
        cmocka_unit_test(test_duck_result__print_is_the_cast),
        cmocka_unit_test(test_duck_result__times_without_text_are_numbers),
        cmocka_unit_test(test_duck_result__variants),
        cmocka_unit_test(test_duck_result__variant_of_a_small_decimal),
        cmocka_unit_test(test_duck_result__variants_over_rows),
        cmocka_unit_test(test_duck_result__numbers),
        cmocka_unit_test(test_duck_result__text_may_hold_nul),
        cmocka_unit_test(test_duck_result__nested_over_chunks),
        cmocka_unit_test(test_duck_result__types_are_spelled),
        cmocka_unit_test(test_duck_result__types_differ),
        cmocka_unit_test(test_duck_result__type_depth_has_a_maximum),
    };
    return cmocka_run_group_tests(tests, duck_fixture_up, duck_fixture_down);
}
