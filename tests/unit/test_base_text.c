#include "unit.h"

#include "base/mem.h"
#include "base/text.h"

/* What `append` makes of `input`, compared and freed. */
static void assert_appends(void (*append)(Text *, const char *), const char *input, const char *wanted)
{
    Text t = TEXT(1 << 20);
    append(&t, input);
    assert_string_equal(text_str(&t), wanted);
    text_free(&t);
}

static void test_base_text__grows_to_its_maximum(void **state)
{
    (void)state;
    Text t = TEXT(10);

    assert_string_equal(text_str(&t), "");
    text_append(&t, "abc");
    text_printf(&t, "%d", 12345);
    assert_false(t.overflow);
    text_append(&t, "xyz");
    assert_true(t.overflow);
    assert_string_equal(t.data, "abc12345xy");
    text_append_char(&t, 'q');
    assert_int_equal(t.length, 10);
    text_clear(&t);
    assert_false(t.overflow);
    assert_string_equal(text_str(&t), "");
    text_append_n(&t, "a\0b", 3);
    assert_int_equal(t.length, 3);
    char *s = text_take(&t);
    assert_memory_equal(s, "a\0b", 4);
    mem_free(s);
    s = text_take(&t);
    assert_string_equal(s, "");
    mem_free(s);
    text_free(&t);

    Text none = TEXT(0);
    text_append(&none, "a");
    assert_true(none.overflow);
    assert_string_equal(text_str(&none), "");
    text_free(&none);
}

static void test_base_text__long_printf(void **state)
{
    (void)state;
    Text t = TEXT(1 << 20);
    char part[1001];

    memset(part, 'x', 1000);
    part[1000] = '\0';
    for (int i = 0; i < 100; i++) {
        text_printf(&t, "%s", part);
    }
    assert_int_equal(t.length, 100000);
    assert_int_equal(strlen(t.data), 100000);
    text_free(&t);
}

static void test_base_text__sql_quoting(void **state)
{
    (void)state;
    assert_appends(text_append_sql_string, "", "''");
    assert_appends(text_append_sql_string, "it's", "'it''s'");
    assert_appends(text_append_sql_string, "''", "''''''");
    assert_appends(text_append_sql_string, "back\\slash \"x\"", "'back\\slash \"x\"'");
    assert_appends(text_append_sql_name, "a \"b\"", "\"a \"\"b\"\"\"");
    assert_appends(text_append_sql_name, "it's", "\"it's\"");

    Text t = TEXT(1000);
    text_append_sql_string_n(&t, "a'\0b", 4);
    assert_string_equal(t.data, "('a'''||chr(0)||'b')");
    text_clear(&t);
    text_append_sql_string_n(&t, "\0", 1);
    assert_string_equal(t.data, "(''||chr(0)||'')");
    text_clear(&t);
    text_append_sql_string_n(&t, "abcdef", 3);
    assert_string_equal(t.data, "'abc'");
    text_free(&t);
}

static void test_base_text__json_strings(void **state)
{
    (void)state;
    assert_appends(text_append_json_string, "a\"b\\c/\n\r\t\b\f\x01\x7F", "\"a\\\"b\\\\c/\\n\\r\\t\\b\\f\\u0001\x7F\"");
    assert_appends(text_append_json_string, "\xC3\xBC\xF0\x9F\x98\x80", "\"\xC3\xBC\xF0\x9F\x98\x80\"");
    assert_appends(text_append_json_string,
                   "a\xFF"
                   "b\xC3",
                   "\"a\xEF\xBF\xBD"
                   "b\xEF\xBF\xBD\"");

    Text t = TEXT(1000);
    text_append_json_string_n(&t, "a\0b", 3);
    assert_string_equal(t.data, "\"a\\u0000b\"");
    text_clear(&t);
    text_append_json_strings(&t, (const char *[]){"a", "\"", ""}, 3);
    text_append_json_strings(&t, NULL, 0);
    assert_string_equal(text_str(&t), "[\"a\",\"\\\"\",\"\"][]");
    text_free(&t);
}

static void test_base_text__uri(void **state)
{
    (void)state;
    /* Value "a/b c" of a partition: escaped once for the folder, once more for the log. */
    assert_appends(text_append_uri, "p=a%2Fb c/part-0.parquet", "p=a%252Fb%20c/part-0.parquet");
    assert_appends(text_append_uri, "/-_.~=,+&$@:;!()*'", "/-_.~=,+&$@:;!()*'");
    assert_appends(text_append_uri, "\xC3\xBC#?[]\"<>\\^`{|}\x7F\n",
                   "%C3%BC%23%3F%5B%5D%22%3C%3E%5C%5E%60%7B%7C%7D%7F%0A");
    assert_appends(text_append_uri, "", "");
}

static void test_base_text__uri_decoding(void **state)
{
    (void)state;
    Text t = TEXT(1000);

    assert_true(text_append_uri_decoded(&t, "p=a%252Fb%20c/%c3%BC+x"));
    assert_string_equal(t.data, "p=a%2Fb c/\xC3\xBC+x");
    static const char *const BAD[] = {"a%", "a%2", "a%zz", "a%2g", "x%00y", "%%20"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(*BAD); i++) {
        text_clear(&t);
        text_append(&t, "keep");
        assert_false(text_append_uri_decoded(&t, BAD[i]));
        assert_string_equal(t.data, "keep");
    }
    text_free(&t);
}

static void test_base_text__uri_round_trip(void **state)
{
    (void)state;
    Text encoded = TEXT(10000), decoded = TEXT(10000);
    char path[64];

    test_seed();
    for (int round = 0; round < 2000; round++) {
        size_t n = random_u64() % 60;
        for (size_t i = 0; i < n; i++) {
            path[i] = (char)(1 + random_u64() % 255);
        }
        path[n] = '\0';
        text_clear(&encoded);
        text_clear(&decoded);
        text_append_uri(&encoded, path);
        assert_true(text_append_uri_decoded(&decoded, text_str(&encoded)));
        assert_string_equal(text_str(&decoded), path);
    }
    text_free(&encoded);
    text_free(&decoded);
}

static void test_base_text__comparisons(void **state)
{
    (void)state;
    assert_true(str_starts("abc", "ab") && str_starts("abc", "") && !str_starts("abc", "abcd"));
    assert_true(str_ends("abc", "bc") && str_ends("abc", "") && !str_ends("bc", "abc"));
    assert_true(str_istarts("SELECT x", "select") && !str_istarts("SEL", "select"));
    assert_true(str_ieq("AbC", "aBc") && !str_ieq("ab", "abc"));
    assert_true(str_icmp("abc", "ABD") < 0 && str_icmp("b", "A") > 0);
    assert_false(str_ieq("\xC3\x84", "\xC3\xA4")); /* ASCII only */
    char s[] = "AbC-\xC3\x84";
    str_lower(s);
    assert_string_equal(s, "abc-\xC3\x84");
}

static void test_base_text__numbers(void **state)
{
    (void)state;
    int64_t i = 5;
    double d = 5;
    bool b = false;

    assert_true(str_parse_i64("-9223372036854775808", &i) && i == INT64_MIN);
    assert_true(str_parse_i64("9223372036854775807", &i) && i == INT64_MAX);
    static const char *const BAD[] = {"", " 1", "1 ", "9223372036854775808", "1.0", "0x10", "-", "--1", "abc"};
    for (size_t k = 0; k < sizeof(BAD) / sizeof(*BAD); k++) {
        assert_false(str_parse_i64(BAD[k], &i));
    }
    assert_true(i == INT64_MAX);
    assert_true(str_parse_id("0", &i) && i == 0);
    assert_true(str_parse_id("120", &i) && i == 120);
    static const char *const NO_IDS[] = {"", "-1", "+1", "01", "00", " 1", "1a", "9223372036854775808"};
    for (size_t k = 0; k < sizeof(NO_IDS) / sizeof(*NO_IDS); k++) {
        assert_false(str_parse_id(NO_IDS[k], &i));
    }
    assert_true(str_parse_double("1.5e3", &d) && d == 1500);
    assert_true(str_parse_double("-0.1", &d) && d == -0.1);
    assert_false(str_parse_double("1.5x", &d));
    assert_false(str_parse_double("", &d));
    assert_false(str_parse_double("1e999", &d));
    assert_true(str_parse_bool("TRUE", &b) && b);
    assert_true(str_parse_bool("false", &b) && !b);
    assert_false(str_parse_bool("yes", &b));
}

static void test_base_text__bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes; /* -1 = refused */
    } CASES[] = {
        {"1024", 1024},
        {"10m", 10 << 20},
        {"1g", 1 << 30},
        {"64kb", 64 << 10},
        {"64 KiB", 64 << 10},
        {"0", 0},
        {"7B", 7},
        {" 3 t ", INT64_C(3) << 40},
        {"8191p", INT64_C(8191) << 50},
        {"8192p", -1},
        {"", -1},
        {"m", -1},
        {"-1", -1},
        {"1.5g", -1},
        {"1x", -1},
        {"1k 2", -1},
        {"99999999999999999999", -1},
        {"1mbb", -1},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        int64_t bytes = -1;
        assert_int_equal(str_parse_bytes(CASES[i].text, &bytes), CASES[i].bytes >= 0);
        assert_true(bytes == CASES[i].bytes);
    }
}

static void test_base_text__intervals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us; /* -1 = refused */
    } CASES[] = {
        {"30 seconds", 30000000},
        {"interval 7 days", INT64_C(604800000000)},
        {"INTERVAL 1 Week", INT64_C(604800000000)},
        {"5 minutes 10 seconds", 310000000},
        {"100 ms", 100000},
        {"100ms", 100000},
        {"0 seconds", 0},
        {"1.5 hours", INT64_C(5400000000)},
        {"0.000001 seconds", 1},
        {"2 h 30 m", INT64_C(9000000000)},
        {"1 hour -30 minutes", INT64_C(1800000000)},
        {" 3  us ", 3},
        {"3 \xC2\xB5s", 3},
        {"1 month", -1},
        {"1 year", -1},
        {"interval", -1},
        {"", -1},
        {"30", -1},
        {"seconds", -1},
        {"1. seconds", -1},
        {"1 second x", -1},
        {"intervals 1 day", -1},
        {"9223372036854775807 days", -1},
        {"9223372036854775807 us 1 us", -1},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        int64_t us = -1;
        if (str_parse_interval(CASES[i].text, &us) != (CASES[i].us >= 0) || us != CASES[i].us) {
            fail_msg("'%s' gives %lld", CASES[i].text, (long long)us);
        }
    }
    int64_t us;
    assert_true(str_parse_interval("-2 s", &us) && us == -2000000);
}

static void count_text(Text *t, const char *n)
{
    text_append_count(t, strtoll(n, NULL, 10));
}

static void bytes_text(Text *t, const char *n)
{
    text_append_bytes(t, strtod(n, NULL));
}

static void test_base_text__for_people(void **state)
{
    (void)state;
    assert_appends(count_text, "0", "0");
    assert_appends(count_text, "999", "999");
    assert_appends(count_text, "1000", "1,000");
    assert_appends(count_text, "-1234567", "-1,234,567");
    assert_appends(count_text, "-9223372036854775808", "-9,223,372,036,854,775,808");
    assert_appends(bytes_text, "0", "0 B");
    assert_appends(bytes_text, "999", "999 B");
    assert_appends(bytes_text, "999.9", "1.0 kB");
    assert_appends(bytes_text, "1234567890", "1.2 GB");
    assert_appends(bytes_text, "999960", "1.0 MB");
}

static void test_base_text__utf8(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t valid;
    } CASES[] = {
        {"", 0},
        {"plain ascii, longer than one word", 33},
        {"\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80", 9},
        {"ab\xC0\x80", 2},       /* overlong */
        {"\xE0\x9F\xBF", 0},     /* overlong */
        {"\xED\xA0\x80", 0},     /* surrogate */
        {"\xF4\x8F\xBF\xBF", 4}, /* U+10FFFF */
        {"\xF4\x90\x80\x80", 0}, /* above it */
        {"abcdefgh\xFFxyz", 8},
        {"abcdefghi\xE2\x82", 9}, /* cut off */
        {"\x80", 0},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        assert_int_equal(utf8_valid(CASES[i].text, strlen(CASES[i].text)), CASES[i].valid);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_text__grows_to_its_maximum),
        cmocka_unit_test(test_base_text__long_printf),
        cmocka_unit_test(test_base_text__sql_quoting),
        cmocka_unit_test(test_base_text__json_strings),
        cmocka_unit_test(test_base_text__uri),
        cmocka_unit_test(test_base_text__uri_decoding),
        cmocka_unit_test(test_base_text__uri_round_trip),
        cmocka_unit_test(test_base_text__comparisons),
        cmocka_unit_test(test_base_text__numbers),
        cmocka_unit_test(test_base_text__bytes),
        cmocka_unit_test(test_base_text__intervals),
        cmocka_unit_test(test_base_text__for_people),
        cmocka_unit_test(test_base_text__utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
