#include "unit.h"

#include "stream/flow_int.h"
#include "stream/source.h"

static const StreamOptionSpec SPECS[] = {
    {"maxFilesPerTrigger", STREAM_OPTION_LONG, "1000", NULL, 1, ""},
    {"maxBytesPerTrigger", STREAM_OPTION_BYTES, "", NULL, 1, ""},
    {"ignoreDeletes", STREAM_OPTION_BOOL, "false", NULL, 0, ""},
    {"startingVersion", STREAM_OPTION_VERSION, "", NULL, 0, ""},
    {"mode", STREAM_OPTION_ENUM, "a", "first|second", 0, ""},
    {"maxFileAge", STREAM_OPTION_INTERVAL, "", NULL, 0, ""},
};

static Status check(const char *key, const char *value, Error *err)
{
    StreamOption option = {.key = key, .value = value, .place = {.line = 7}};

    return stream_options_check(&option, 1, SPECS, sizeof SPECS / sizeof *SPECS, "a test", err);
}

static void test_stream_options__accepts_in_any_case(void **state)
{
    Error err = ERROR_NONE;
    (void)state;

    assert_ok(check("MAXFILESPERTRIGGER", "5", &err));
    assert_ok(check("maxbytespertrigger", "10m", &err));
    assert_ok(check("ignoreDeletes", "TRUE", &err));
    assert_ok(check("startingVersion", "Latest", &err));
    assert_ok(check("startingVersion", "0", &err));
    assert_ok(check("mode", "Second", &err));
    assert_ok(check("maxFileAge", "7 days", &err));
}

static void test_stream_options__refuses_values(void **state)
{
    static const char *const BAD[][2] = {
        {"maxFilesPerTrigger", "0"},
        {"maxFilesPerTrigger", "x"},
        {"maxBytesPerTrigger", "0"},
        {"ignoreDeletes", "yes please"},
        {"startingVersion", "-1"},
        {"startingVersion", "new"},
        {"mode", "sec"},
        {"mode", ""},
        {"maxFileAge", "1 month"},
    };
    Error err = ERROR_NONE;
    (void)state;

    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_int_not_equal(check(BAD[i][0], BAD[i][1], &err), OK);
        assert_int_equal(err.id, E_STREAM_OPTION);
        assert_int_equal(err.place.line, 7);
        error_clear(&err);
    }
}

static void test_stream_options__names_the_nearest(void **state)
{
    Error err = ERROR_NONE;
    (void)state;

    assert_int_not_equal(check("maxFilePerTrigger", "5", &err), OK);
    assert_contains(err.hint, "maxFilesPerTrigger");
}

static void test_stream_options__refuses_twice(void **state)
{
    StreamOption options[] = {{.key = "mode", .value = "first"}, {.key = "MODE", .value = "first"}};
    Error err = ERROR_NONE;
    (void)state;

    assert_error(stream_options_check(options, 2, SPECS, sizeof SPECS / sizeof *SPECS, "a test", &err),
                 E_STREAM_OPTION);
    assert_string_equal(stream_option_get(options, 2, "Mode"), "first");
    assert_null(stream_option_get(options, 2, "other"));
}

static void test_stream_trigger__parses(void **state)
{
    FlowTrigger trigger;
    Error err = ERROR_NONE;
    (void)state;

    assert_ok(flow_trigger_parse("30 seconds", &trigger, &err));
    assert_int_equal(trigger.kind, TRIGGER_INTERVAL);
    assert_int_equal(trigger.interval_us, 30000000);
    assert_ok(flow_trigger_parse("availablenow", &trigger, &err));
    assert_int_equal(trigger.kind, TRIGGER_AVAILABLE_NOW);
    assert_ok(flow_trigger_parse("ONCE", &trigger, &err));
    assert_int_equal(trigger.kind, TRIGGER_ONCE);
    assert_ok(flow_trigger_parse("0 seconds", &trigger, &err));
    assert_int_equal(trigger.kind, TRIGGER_ASAP);
    assert_error(flow_trigger_parse("sometimes", &trigger, &err), E_PIPELINE_PROPERTY);
    assert_error(flow_trigger_parse("1 month", &trigger, &err), E_PIPELINE_PROPERTY);
}

/* A tick is a multiple of the interval; what a late batch missed is not made up for. */
static void test_stream_trigger__ticks_are_multiples(void **state)
{
    static const struct {
        int64_t now, next;
    } CASES[] = {{0, 5}, {1, 5}, {4, 5}, {5, 10}, {13, 15}, {1004, 1005}};
    (void)state;

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        assert_int_equal(trigger_next_us(CASES[i].now, 5), CASES[i].next);
    }
    assert_int_equal(trigger_next_us(10, INT64_MAX), INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_options__accepts_in_any_case),
        cmocka_unit_test(test_stream_options__refuses_values),
        cmocka_unit_test(test_stream_options__names_the_nearest),
        cmocka_unit_test(test_stream_options__refuses_twice),
        cmocka_unit_test(test_stream_trigger__parses),
        cmocka_unit_test(test_stream_trigger__ticks_are_multiples),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
