/* Flows that remember: over a source and a sink of the test's own, with the operators there are. */
#include "unit.h"

#include "base/json.h"
#include "stream/watermark.h"
#include "stream_fakes.h"

static int worlds;

/* Number n happened n seconds after midnight. */
static const char EVENT_TIME[] = "TIMESTAMP '2024-01-01' + to_seconds(n)";
static const int64_t MIDNIGHT_MS = 1704067200000, SECOND_US = 1000000;

/* The numbers modulo 40, each once: within 20 seconds when `within`, else for ever. */
static SqlStatefulPlan distinct_plan(SqlStep *step, bool within)
{
    *step = (SqlStep){.kind = SQL_STEP_DISTINCT,
                      .name = "freshet_step_0",
                      .fingerprint = within ? "distinct on n % 40 within 20 s" : "distinct on n % 40",
                      .title = "n % 40",
                      .input = within ? "SELECT n, n % 40 AS g, n % 40 AS d0, ts AS t0 FROM freshet_relation_0"
                                      : "SELECT n, n % 40 AS g, n % 40 AS d0 FROM freshet_relation_0",
                      .n_distinct = 1,
                      .has_event_time = within,
                      .within_watermark = within,
                      .watermarked = within,
                      .delay_us = 20 * SECOND_US};
    return (SqlStatefulPlan){.steps = step, .n_steps = 1, .body = "SELECT n, g FROM freshet_step_0"};
}

static FakeWorld new_world(const SqlStatefulPlan *plan, bool event_time)
{
    FakeWorld world;
    char uri[64];

    snprintf(uri, sizeof uri, "memory://stateful-%d", ++worlds);
    fake_world_open(&world, uri);
    world.plan = plan;
    world.event_time = event_time ? EVENT_TIME : NULL;
    world.delay_us = 20 * SECOND_US;
    return world;
}

static void run(FakeWorld *world, int64_t available)
{
    Error err = ERROR_NONE;

    world->available = available;
    Flow *flow = fake_flow_open(world, NULL, TRIGGER_AVAILABLE_NOW, NULL, 0);
    assert_non_null(flow);
    assert_ok(flow_run(flow, NULL, &err));
    flow_close(flow);
}

static char *read_text(FakeWorld *world, const char *key)
{
    Text text = TEXT(1 << 20);
    Error err = ERROR_NONE;

    assert_ok(store_read(world->checkpoint, key, 1 << 20, &text, NULL, &err));
    return text_take(&text);
}

/* ---- watermarks ---- */

static void test_stream_watermark__floors_and_never_goes_back(void **state)
{
    WatermarkNode node = {0};
    (void)state;

    assert_int_equal(watermark_next(&node, 1, 0, 0, 5), 0); /* nothing seen */
    watermark_observe(&node, 3, 12 * 3600 * SECOND_US + 14 * 60 * SECOND_US + 1999, 600 * SECOND_US, 1000);
    assert_int_equal(watermark_next(&node, 1, 0, 0, 1000), (12 * 3600 + 4 * 60) * 1000 + 1);
    watermark_observe(&node, 1, 5, 600 * SECOND_US, 2000); /* older rows change nothing */
    assert_int_equal(watermark_next(&node, 1, 0, 0, 2000), (12 * 3600 + 4 * 60) * 1000 + 1);
    assert_int_equal(watermark_next(&node, 1, INT64_C(90000000), 0, 2000), 90000000);
    node = (WatermarkNode){0};
    watermark_observe(&node, 1, -1, 0, 2000);
    assert_int_equal(node.ms, -1);
}

static void test_stream_watermark__the_slowest_node_holds_unless_idle(void **state)
{
    WatermarkNode nodes[2] = {{0}}, read[2] = {{0}};
    (void)state;

    watermark_observe(&nodes[0], 1, 100 * SECOND_US, 0, 1000);
    watermark_observe(&nodes[1], 0, INT64_MIN, 0, 1000);
    assert_int_equal(watermark_next(nodes, 2, 0, 0, 1000), 0); /* one that has seen nothing counts as 0 */
    assert_int_equal(watermark_next(nodes, 2, 0, 500, 1400), 0);
    watermark_observe(&nodes[0], 1, 200 * SECOND_US, 0, 1600);
    assert_int_equal(watermark_next(nodes, 2, 0, 500, 1600), 200000);
    watermark_observe(&nodes[1], 1, 150 * SECOND_US, 0, 1700);
    assert_int_equal(watermark_next(nodes, 2, 0, 500, 1700), 150000);
    json_t *json = watermark_json(nodes, 2);
    watermark_parse(json, read, 2);
    assert_memory_equal(&read[1].ms, &nodes[1].ms, sizeof read[1].ms);
    assert_int_equal(read[0].last_ms, 1600);
    assert_true(read[0].seen && read[1].seen);
    json_decref(json);
}

/* ---- flows ---- */

static void test_stream_stateful__remembers_across_batches_and_restarts(void **state)
{
    SqlStep step;
    SqlStatefulPlan plan = distinct_plan(&step, false);
    FakeWorld world = new_world(&plan, false);
    (void)state;

    run(&world, 25);
    assert_int_equal(fake_world_ask(&world, "SELECT count(*) FROM target"), 25);
    run(&world, 60);
    assert_int_equal(fake_world_ask(&world, "SELECT count(*) FROM target"), 40);
    run(&world, 200); /* nothing new: no commits, and the state goes on */
    assert_int_equal(fake_world_ask(&world, "SELECT count(*) FROM target"), 40);
    assert_int_equal(fake_world_ask(&world, "SELECT max(n) FROM target"), 39);
    fake_world_close(&world);
}

static void test_stream_stateful__watermark_lets_go_and_a_batch_without_data(void **state)
{
    SqlStep step;
    SqlStatefulPlan plan = distinct_plan(&step, true);
    FakeWorld world = new_world(&plan, true);
    StoreInfo info;
    Error err = ERROR_NONE;
    char wanted[64];
    (void)state;

    run(&world, 10); /* 0..9: the watermark stays before the epoch of the test's times */
    char *commit = read_text(&world, "commits/0");
    snprintf(wanted, sizeof wanted, "\"nextBatchWatermarkMs\":%lld", (long long)(MIDNIGHT_MS + 9000 - 20000));
    assert_contains(commit, wanted);
    assert_contains(commit, "\"state\":{\"0\":{");
    mem_free(commit);
    assert_error(store_info(world.checkpoint, "offsets/1", &info, &err), E_IO_NOT_FOUND); /* nothing to let go */

    world.per_batch = 1000;
    run(&world, 100); /* max 99: the watermark is 79, rows of 0..59 expire in a batch of their own */
    char *offsets = read_text(&world, "offsets/2"), *before = read_text(&world, "offsets/1");
    assert_string_equal(strrchr(offsets, '\n'), strrchr(before, '\n'));
    snprintf(wanted, sizeof wanted, "\"batchWatermarkMs\":%lld", (long long)(MIDNIGHT_MS + 79000));
    assert_contains(offsets, wanted);
    assert_error(store_info(world.checkpoint, "offsets/3", &info, &err), E_IO_NOT_FOUND);
    mem_free(offsets);
    mem_free(before);
    /* 40 keys at first; 0..9 were seen again while they were remembered, as were the rest */
    assert_int_equal(fake_world_ask(&world, "SELECT count(*) FROM target"), 40);
    run(&world, 140); /* 100..139 are keys 20..39, 0..19: all were let go with 79 */
    assert_int_equal(fake_world_ask(&world, "SELECT count(*) FROM target"), 80);
    fake_world_close(&world);
}

static void test_stream_stateful__rows_far_ahead_do_not_move_the_watermark(void **state)
{
    SqlStep step;
    SqlStatefulPlan plan = distinct_plan(&step, true);
    FakeWorld world = new_world(&plan, true);
    (void)state;

    world.event_time = "CASE WHEN n = 5 THEN TIMESTAMP '2999-01-01' ELSE TIMESTAMP '2024-01-01' + to_seconds(n) END";
    world.max_ahead_us = 3600 * SECOND_US;
    run(&world, 10);
    char *commit = read_text(&world, "commits/0"), wanted[64];
    snprintf(wanted, sizeof wanted, "\"nextBatchWatermarkMs\":%lld", (long long)(MIDNIGHT_MS - 11000));
    assert_contains(commit, wanted);
    assert_int_equal(fake_world_ask(&world, "SELECT count(*) FROM target"), 9);
    mem_free(commit);
    fake_world_close(&world);
}

static void test_stream_stateful__another_query_meets_a_sentence(void **state)
{
    SqlStep steps[2];
    SqlStatefulPlan plan = distinct_plan(steps, false), other = plan;
    FakeWorld world = new_world(&plan, false);
    Error err = ERROR_NONE;
    (void)state;

    run(&world, 25);
    steps[1] = steps[0];
    steps[1].name = "freshet_step_1";
    steps[1].input = "SELECT n, g, n AS d0 FROM freshet_step_0";
    other.n_steps = 2;
    world.plan = &other;
    Flow *flow = fake_flow_open(&world, NULL, TRIGGER_AVAILABLE_NOW, NULL, 0);
    assert_error(flow_run(flow, NULL, &err), E_STREAM_STATE_CHANGED);
    flow_close(flow);
    world.plan = NULL;
    flow = fake_flow_open(&world, "SELECT n, n % 40 AS g FROM freshet_relation_0", TRIGGER_AVAILABLE_NOW, NULL, 0);
    assert_error(flow_run(flow, NULL, &err), E_STREAM_STATE_CHANGED);
    flow_close(flow);
    steps[0].fingerprint = "distinct on n";
    world.plan = &plan;
    flow = fake_flow_open(&world, NULL, TRIGGER_AVAILABLE_NOW, NULL, 0);
    assert_error(flow_run(flow, NULL, &err), E_STREAM_STATE_CHANGED);
    flow_close(flow);
    fake_world_close(&world);
}

static bool run_distinct(void *world, bool restart)
{
    return fake_flow_run(fake_flow_open(world, NULL, TRIGGER_AVAILABLE_NOW, NULL, 0), restart);
}

static void play_distinct(const FakeFailure *failure)
{
    static int64_t wanted = -1; /* whatever failed, the same as in the first play */
    SqlStep step;
    SqlStatefulPlan plan = distinct_plan(&step, true);
    FakeWorld world = new_world(&plan, true);

    for (int round = 0; round < 2; round++) {
        world.available = round == 0 ? 65 : 170;
        fake_attempts(failure, run_distinct, &world);
    }
    /* In batches of ten, a key comes back 40 seconds later: 20 after it has expired, with the watermark 20 behind */
    assert_int_equal(fake_world_ask(&world, "SELECT count(*) - count(DISTINCT n) FROM target"), 0);
    int64_t rows = fake_world_ask(&world, "SELECT count(*) FROM target");
    wanted = wanted < 0 ? rows : wanted;
    assert_int_equal(rows, wanted);
    fake_world_close(&world);
}

static size_t hits_of(const char *point)
{
    if (!str_starts(point, "stream.") || str_starts(point, "stream.purge.")) {
        return 0;
    }
    return str_starts(point, "stream.state.") || str_starts(point, "stream.sink.") ||
                   str_starts(point, "stream.commits.")
               ? 2
               : 1;
}

static void test_stream_stateful__exactly_once_at_every_failpoint(void **state)
{
    static const int HITS[] = {1, 4};
    const FakeSweep sweep = {.play = play_distinct, .hits = HITS, .n_hits = 2, .hits_of = hits_of};
    (void)state;

    assert_true(fake_sweep(&sweep) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_watermark__floors_and_never_goes_back),
        cmocka_unit_test(test_stream_watermark__the_slowest_node_holds_unless_idle),
        cmocka_unit_test(test_stream_stateful__remembers_across_batches_and_restarts),
        cmocka_unit_test(test_stream_stateful__watermark_lets_go_and_a_batch_without_data),
        cmocka_unit_test(test_stream_stateful__rows_far_ahead_do_not_move_the_watermark),
        cmocka_unit_test(test_stream_stateful__another_query_meets_a_sentence),
        cmocka_unit_test(test_stream_stateful__exactly_once_at_every_failpoint),
    };
    return cmocka_run_group_tests(tests, fakes_up, fakes_down);
}
