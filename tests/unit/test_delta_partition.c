#include "unit.h"

#include "delta/constraint.h"
#include "delta/partition.h"
#include "delta/schema_int.h"

static void test_delta_partition__text(void **state)
{
    (void)state;
    static const struct {
        DeltaTypeId type;
        const char *value, *text; /* NULL: refused; "": null */
    } CASES[] = {
        {DELTA_STRING, NULL, ""},
        {DELTA_STRING, "", ""},
        {DELTA_LONG, "", ""},
        {DELTA_STRING, "a/b c", "a/b c"},
        {DELTA_BYTE, "-128", "-128"},
        {DELTA_BYTE, "128", NULL},
        {DELTA_INTEGER, "01", "01"},
        {DELTA_INTEGER, "2147483648", NULL},
        {DELTA_LONG, "-9223372036854775808", "-9223372036854775808"},
        {DELTA_LONG, "1.5", NULL},
        {DELTA_BOOLEAN, "TRUE", "TRUE"},
        {DELTA_BOOLEAN, "1", NULL},
        {DELTA_DOUBLE, "1.0E10", "1.0E10"},
        {DELTA_FLOAT, "-Infinity", "-Infinity"},
        {DELTA_FLOAT, "NaN", "NaN"},
        {DELTA_DOUBLE, "x", NULL},
        {DELTA_DATE, "2024-02-29", "2024-02-29"},
        {DELTA_DATE, "yesterday", NULL},
        {DELTA_DATE, "9999999-12-31", NULL},
        {DELTA_DATE, "+10000-01-31", "10000-01-31"},
        {DELTA_TIMESTAMP, "2020-01-01T00:00:00.123456Z", "2020-01-01T00:00:00.123456Z"},
        {DELTA_TIMESTAMP, "2020-01-01 00:00:00", "2020-01-01T00:00:00.000000Z"},
        {DELTA_TIMESTAMP, "2020-01-01 02:00:00.5+02:00", "2020-01-01T00:00:00.500000Z"},
        {DELTA_TIMESTAMP, "noon", NULL},
        {DELTA_TIMESTAMP_NTZ, "2020-01-01 00:00:00.5", "2020-01-01T00:00:00.500000"},
        {DELTA_STRUCT, "x", NULL},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Error err = ERROR_NONE;
        Text out = TEXT(1000);
        bool null = false;
        Status rc = delta_partition_text(delta_type_primitive(CASES[i].type), CASES[i].value, &out, &null, &err);
        if (!CASES[i].text) {
            assert_int_not_equal(rc, OK);
            assert_int_equal(err.id, E_DELTA_CORRUPT);
        } else {
            assert_int_equal(rc, OK);
            assert_int_equal(null, CASES[i].text[0] == '\0');
        }
        assert_string_equal(text_str(&out), CASES[i].text ? CASES[i].text : "");
        text_free(&out);
    }
}

/* As decimal(6,3): in plain digits, whatever a writer made of them. */
static void test_delta_partition__decimals(void **state)
{
    (void)state;
    static const struct {
        const char *value, *text; /* NULL: refused */
    } CASES[] = {
        {"0", "0"},
        {"-0.000", "0"},
        {"1", "1"},
        {"-120.50", "-120.5"},
        {"+999.999", "999.999"},
        {"00000000000000000000000000000000000000000007.50000000000000000000000000000000000000000", "7.5"},
        {".5", "0.5"},
        {"5.", "5"},
        {"1E-3", "0.001"},
        {"12.5e-1", "1.25"},
        {"1.2E+2", "120"},
        {"100E-5", "0.001"},
        {"16666666666666666666666666666666666666E-763", NULL},
        {"1000", NULL},
        {"0.0005", NULL},
        {"1E3", NULL},
        {"123456789012345678901234567890123456789", NULL},
        {"", ""},
        {".", NULL},
        {"-", NULL},
        {"1,5", NULL},
        {"1.5.", NULL},
        {"1e", NULL},
        {"--1", NULL},
        {"Infinity", NULL},
    };
    Arena *arena = arena_new();
    const DeltaType *type = delta_type_parse_primitive(arena, "decimal(6,3)");
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Text out = TEXT(1000);
        bool null = false;
        Status rc = delta_partition_text(type, CASES[i].value, &out, &null, NULL);
        assert_int_equal(rc, CASES[i].text ? OK : ERR_CORRUPT);
        assert_string_equal(text_str(&out), CASES[i].text ? CASES[i].text : "");
        text_free(&out);
    }
    arena_free(arena);
}

static void test_delta_partition__spark_sql(void **state)
{
    (void)state;
    static const struct {
        const char *spark, *duck; /* NULL: not understood */
    } CASES[] = {
        {"a > 0 AND `b``c` = \"it's\"", "a > 0 AND \"b`c\" = 'it''s'"},
        {"`q\"x` IS NOT NULL", "\"q\"\"x\" IS NOT NULL"},
        {"x = 1.5e-3 or x1 = 2", "x = 1.5e-3 or x1 = 2"},
        {"x = 'a\\'b'", NULL},
        {"x = 1L", NULL},
        {"x = X'41'", NULL},
        {"x = 'open", NULL},
        {"x -- comment", NULL},
        {"x /* c */", NULL},
        {"x; drop", NULL},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Text out = TEXT(1000);
        assert_int_equal(delta_spark_sql(CASES[i].spark, &out), CASES[i].duck != NULL);
        if (CASES[i].duck) {
            assert_string_equal(text_str(&out), CASES[i].duck);
        }
        text_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delta_partition__text),
        cmocka_unit_test(test_delta_partition__decimals),
        cmocka_unit_test(test_delta_partition__spark_sql),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
