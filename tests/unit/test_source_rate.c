#include "unit.h"

#include "source/rate_int.h"
#include "source/sources.h"

static Store *store;
static Duck *duck;
static DuckConn *conn;

static int64_t now_us = 1700000000000000;
static int64_t clock_now(void *context)
{
    (void)context;
    return now_us;
}

static StreamSource *open_rate(const StreamOption *options, size_t n)
{
    StreamSourceContext context = {
        .duck = duck, .checkpoint = store, .private_dir = "sources/0", .flow = "f", .warehouse = "/"};
    StreamSource *source = NULL;
    Error err = ERROR_NONE;

    assert_ok(source_rate_open(&context, options, n, &source, &err));
    return source;
}

static int64_t ask(const char *what, const char *relation)
{
    Text sql = TEXT(65536);
    DuckResult *result = NULL;
    bool more = false;
    Error err = ERROR_NONE;

    text_printf(&sql, "SELECT %s FROM (%s)", what, relation);
    assert_ok(duck_query(conn, text_str(&sql), &result, &err));
    assert_ok(duck_result_next(result, &more, &err));
    int64_t value = duck_result_i64(result, 0);
    duck_result_free(result);
    text_free(&sql);
    return value;
}

static void test_source_rate__values_with_and_without_ramp(void **state)
{
    RateSpeed flat = {.rows = 5}, ramp = {.rows = 12, .ramp_s = 3};
    (void)state;

    assert_int_equal(rate_value_at(&flat, 4), 20);
    assert_int_equal(rate_value_at(&ramp, 0), 0);
    assert_int_equal(rate_value_at(&ramp, 1), 3);
    assert_int_equal(rate_value_at(&ramp, 3), 18);
    assert_int_equal(rate_value_at(&ramp, 5), 42);
    assert_int_equal(rate_value_at(&flat, INT64_MAX / 2), INT64_MAX);
}

static void test_source_rate__rows_follow_the_clock(void **state)
{
    const StreamOption options[] = {{.key = "rowsPerSecond", .value = "10"}};
    StreamSource *source = open_rate(options, 1);
    StreamRelation relation = {0};
    bool changed = false;
    char *end = NULL;
    Error err = ERROR_NONE;
    (void)state;

    assert_ok(source->ops->latest(source, conn, NULL, false, &end, &changed, &err));
    assert_null(end);
    now_us += 3500000;
    assert_ok(source->ops->latest(source, conn, NULL, false, &end, &changed, &err));
    assert_string_equal(end, "3");
    assert_ok(source->ops->relation(source, conn, "1", end, &relation, &err));
    assert_int_equal(relation.rows, 20);
    assert_int_equal(ask("count(*)", relation.sql), 20);
    assert_int_equal(ask("min(value)", relation.sql), 10);
    assert_int_equal(ask("epoch_ms(min(timestamp))", relation.sql), 1700000001000);
    assert_int_equal(ask("epoch_ms(max(timestamp))", relation.sql), 1700000002900);
    stream_relation_release(&relation);
    free(end);
    source->ops->close(source);

    source = open_rate(options, 1); /* the start is remembered */
    now_us += 1000000;
    assert_ok(source->ops->latest(source, conn, "3", false, &end, &changed, &err));
    assert_string_equal(end, "4");
    free(end);
    assert_error(source->ops->latest(source, conn, "{\"x\":1}", false, &end, &changed, &err), E_SOURCE_OFFSET);
    source->ops->close(source);
}

static void test_source_rate__refuses_options(void **state)
{
    StreamSourceContext context = {.checkpoint = store, .private_dir = "sources/1"};
    const StreamOption zero = {.key = "rowsPerSecond", .value = "0"}, other = {.key = "rowPerSecond", .value = "1"};
    StreamSource *source = NULL;
    Error err = ERROR_NONE;
    (void)state;

    assert_error(source_rate_open(&context, &zero, 1, &source, &err), E_STREAM_OPTION);
    assert_error(source_rate_open(&context, &other, 1, &source, &err), E_STREAM_OPTION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source_rate__values_with_and_without_ramp),
        cmocka_unit_test(test_source_rate__rows_follow_the_clock),
        cmocka_unit_test(test_source_rate__refuses_options),
    };
    DuckConfig config = {.threads = 1};
    Error err = ERROR_NONE;

    clock_set(clock_now, NULL);
    if (store_open("memory://rate", &store, &err) != OK || duck_open(&config, &duck, &err) != OK ||
        duck_connect(duck, &conn, &err) != OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    duck_disconnect(conn);
    duck_close(duck);
    store_unref(store);
    return failed;
}
