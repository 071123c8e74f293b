#include "unit.h"

#include "delta/schema_int.h"
#include "delta/stats.h"

#define A8    "aaaaaaaa"
#define A32   A8 A8 A8 A8
#define MAX   "\xF4\x8F\xBF\xBF" /* U+10FFFF */
#define E2    "\xC3\xA9"         /* é */
#define SMILE "\xF0\x9F\x98\x80" /* one character, two UTF-16 units */

static void test_delta_stats__string_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int64_t limit;
        const char *min, *max; /* NULL = no bound */
    } CASES[] = {
        {"", 32, "", ""},
        {"abc", 32, "abc", "abc"},
        {A32, 32, A32, A32},
        {A32 A8, 32, A32, A32 "\x7F"},
        {A32 "\x7F", 32, A32, A32 MAX},
        {A32 E2, 32, A32, A32 MAX},
        {A32 MAX "b", 32, A32, A32 MAX "\x7F"},
        {A32 MAX, 32, A32, A32 MAX},
        {"ab" MAX, 2, "ab", "ab" MAX},
        {"ab" MAX MAX MAX "c", 2, "ab", NULL},
        {"a" SMILE SMILE, 2, "a", "a" MAX},
        {SMILE "bc", 2, SMILE, SMILE "\x7F"},
        {"x", 0, NULL, NULL},
        {"", 0, "", ""},
        {"\xFF", 32, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Text min = TEXT(1000), max = TEXT(1000);
        assert_int_equal(delta_stats_string_min(CASES[i].value, CASES[i].limit, &min), CASES[i].min != NULL);
        assert_int_equal(delta_stats_string_max(CASES[i].value, CASES[i].limit, &max), CASES[i].max != NULL);
        assert_string_equal(text_str(&min), CASES[i].min ? CASES[i].min : "");
        assert_string_equal(text_str(&max), CASES[i].max ? CASES[i].max : "");
        text_free(&min);
        text_free(&max);
    }
}

#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type ",\"nullable\":true,\"metadata\":{}}"
static const char TABLE[] = "{\"type\":\"struct\",\"fields\":[" FIELD("day", "\"date\"") "," FIELD("id", "\"long\"") "," FIELD(
    "s",
    "{\"type\":\"struct\",\"fields\":[" FIELD("x", "\"decimal(38,18)\"") "," FIELD(
        "T",
        "\"timestamp\"") "]}") "," FIELD("nothing",
                                         "\"void\"") "," FIELD("l",
                                                               "{\"type\":\"array\",\"elementType\":\"long\","
                                                               "\"containsNull\":true}") "," FIELD("d",
                                                                                                   "\"double\"") "," FIELD("n",
                                                                                                                           "\"timestamp_ntz\"") "," FIELD("ok",
                                                                                                                                                          "\"boolean\"") "]}";

static const char *const P_ID[] = {"id"}, *const P_X[] = {"s", "x"}, *const P_T[] = {"S", "t"},
                         *const P_L[] = {"l", "element"}, *const P_D[] = {"d"}, *const P_N[] = {"n"},
                         *const P_OK[] = {"ok"};
static const ParquetStats FACTS[] = {
    {P_ID, 1, "-5", "9007199254740993", 0, false},
    {P_X, 2, "-1.000000000000000000", "12345678901234567890.123456789012345678", 2, false},
    {P_T, 2, "0001-01-01 00:00:00+00", "2024-01-01 10:11:12.123956+00", 0, false},
    {P_L, 2, "1", "2", 0, false},
    {P_D, 1, "0.1", "1e+300", 0, true},
    {P_N, 1, "-infinity", "9999-12-31 23:59:59.999999", 0, false},
    {P_OK, 1, "0", "1", 3, false},
};
static const ParquetFile FILE_FACTS = {
    .path = "x", .rows = 12, .stats = FACTS, .n_stats = sizeof FACTS / sizeof *FACTS};
static const char *const PARTITION[] = {"DAY"};

static char *written(int64_t indexed, const char *columns, bool tight)
{
    Error err = ERROR_NONE;
    DeltaSchema *schema = NULL;
    Text out = TEXT(100000);
    assert_ok(delta_schema_parse(TABLE, &schema, &err));
    DeltaStatsOptions options = {.schema = schema,
                                 .partition_columns = PARTITION,
                                 .n_partition_columns = 1,
                                 .indexed_columns = indexed,
                                 .stats_columns = columns,
                                 .prefix_length = DELTA_STATS_PREFIX,
                                 .tight_bounds = tight};
    delta_stats_json(&options, &FILE_FACTS, &out);
    delta_schema_unref(schema);
    return text_take(&out);
}

static void test_delta_stats__json(void **state)
{
    (void)state;
    static const struct {
        int64_t indexed;
        const char *columns;
        bool tight;
        const char *json;
    } CASES[] = {
        {32, NULL, false,
         "{\"numRecords\":12,\"minValues\":{\"id\":-5,\"s\":{\"x\":-1.000000000000000000,\"T\":\"0001-01-01T00:00:00."
         "000Z\"},\"d\":0.1},"
         "\"maxValues\":{\"id\":9007199254740993,\"s\":{\"x\":12345678901234567890.123456789012345678,\"T\":\"2024-01-"
         "01T10:11:12.123Z\"},"
         "\"n\":\"9999-12-31T23:59:59.999\"},\"nullCount\":{\"id\":0,\"s\":{\"x\":2,\"T\":0},\"d\":0,\"n\":0,\"ok\":3}"
         "}"},
        {2, NULL, true,
         "{\"numRecords\":12,\"minValues\":{\"id\":-5,\"s\":{\"x\":-1.000000000000000000}},\"maxValues\":{\"id\":"
         "9007199254740993,"
         "\"s\":{\"x\":12345678901234567890.123456789012345678}},\"nullCount\":{\"id\":0,\"s\":{\"x\":2}},"
         "\"tightBounds\":true}"},
        {0, NULL, false, "{\"numRecords\":12}"},
        {0, "`ok`, s.t", false,
         "{\"numRecords\":12,\"minValues\":{\"s\":{\"T\":\"0001-01-01T00:00:00.000Z\"}},\"maxValues\":{\"s\":{\"T\":"
         "\"2024-01-01T10:11:12.123Z\"}},"
         "\"nullCount\":{\"s\":{\"T\":0},\"ok\":3}}"},
        {0, "S", false,
         "{\"numRecords\":12,\"minValues\":{\"s\":{\"x\":-1.000000000000000000,\"T\":\"0001-01-01T00:00:00.000Z\"}},"
         "\"maxValues\":{\"s\":{\"x\":12345678901234567890.123456789012345678,\"T\":\"2024-01-01T10:11:12.123Z\"}},"
         "\"nullCount\":{\"s\":{\"x\":2,\"T\":0}}}"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char *json = written(CASES[i].indexed, CASES[i].columns, CASES[i].tight);
        assert_string_equal(json, CASES[i].json);
        free(json);
    }
}

static void test_delta_stats__records(void **state)
{
    (void)state;
    assert_int_equal(delta_stats_records("{\"numRecords\":12}"), 12);
    assert_int_equal(
        delta_stats_records(
            "{\"minValues\":{\"numRecords\":3,\"x\":1.123456789012345678901234567890},\"numRecords\": 7,\"x\":1}"),
        7);
    assert_int_equal(delta_stats_records("{\"a\":\"\\\"numRecords\\\":5\"}"), -1);
    assert_int_equal(delta_stats_records("{\"numRecords\":\"5\"}"), -1);
    assert_int_equal(delta_stats_records("{\"numRecords"), -1);
    assert_int_equal(delta_stats_records(""), -1);
    assert_int_equal(delta_stats_records(NULL), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delta_stats__string_bounds),
        cmocka_unit_test(test_delta_stats__json),
        cmocka_unit_test(test_delta_stats__records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
