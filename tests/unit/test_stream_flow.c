#include "unit.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "stream_fakes.h"

static int worlds;

static FakeWorld new_world(void)
{
    FakeWorld world;
    char uri[64];

    snprintf(uri, sizeof uri, "memory://flow-%d", ++worlds);
    fake_world_open(&world, uri);
    return world;
}

static void run_ok(Flow *flow, const FlowObserver *observer)
{
    Error err = ERROR_NONE;

    assert_non_null(flow);
    assert_ok(flow_run(flow, observer, &err));
}

/* Every number once. */
static void assert_complete(FakeWorld *world, int64_t n)
{
    assert_int_equal(fake_world_ask(world, "SELECT count(*) FROM target"), n);
    assert_int_equal(fake_world_ask(world, "SELECT count(DISTINCT n) FROM target"), n);
}

/* ---- plain runs ---- */

static void test_stream_flow__available_now_in_limits(void **state)
{
    FakeWorld world = new_world();
    FlowStatus status;
    (void)state;

    world.available = 35;
    Flow *flow = fake_flow_open(&world, NULL, TRIGGER_AVAILABLE_NOW, NULL, 0);
    run_ok(flow, NULL);
    flow_status(flow, &status);
    assert_int_equal(status.batches, 4);
    assert_int_equal(status.rows_in, 35);
    assert_int_equal(status.batch, 3);
    assert_string_equal(status.state, "stopped");
    assert_complete(&world, 35);
    assert_int_equal(world.committed, 35); /* after a clean end the source hears of all */
    flow_close(flow);

    world.available = 50;
    flow = fake_flow_open(&world, NULL, TRIGGER_ONCE, NULL, 0);
    run_ok(flow, NULL);
    flow_status(flow, &status);
    assert_int_equal(status.batches, 1); /* once ignores the limit of 10 */
    assert_complete(&world, 50);
    flow_close(flow);
    fake_world_close(&world);
}

static void test_stream_flow__no_schema_no_batch(void **state)
{
    FakeWorld world = new_world();
    (void)state;

    world.has_schema = false;
    Flow *flow = fake_flow_open(&world, NULL, TRIGGER_AVAILABLE_NOW, NULL, 0);
    run_ok(flow, NULL);
    assert_int_equal(world.creations, 0);
    flow_close(flow);
    fake_world_close(&world);
}

static void test_stream_flow__batches_without_rows(void **state)
{
    FakeWorld world = new_world();
    (void)state;

    world.available = 30;
    Flow *flow = fake_flow_open(&world, "SELECT * FROM freshet_relation_0 WHERE n >= 20", TRIGGER_AVAILABLE_NOW, NULL,
                                0);
    run_ok(flow, NULL);
    flow_close(flow);
    assert_int_equal(fake_world_ask(&world, "SELECT count(*) FROM seen"), 1); /* batches 0 and 1 made no commit */
    assert_int_equal(fake_world_ask(&world, "SELECT max(batch) FROM seen"), 2);
    world.available = 60;
    flow = fake_flow_open(&world, "SELECT * FROM freshet_relation_0 WHERE n < 20", TRIGGER_AVAILABLE_NOW, NULL, 0);
    run_ok(flow, NULL);
    flow_close(flow);
    assert_int_equal(fake_world_ask(&world, "SELECT count(*) FROM target"), 10);
    fake_world_close(&world);
}

static void test_stream_flow__old_batches_are_purged(void **state)
{
    FakeWorld world = new_world();
    StoreInfo info;
    Error err = ERROR_NONE;
    (void)state;

    world.available = 100;
    Flow *flow = fake_flow_open(&world, NULL, TRIGGER_AVAILABLE_NOW, NULL, 0);
    run_ok(flow, NULL);
    flow_close(flow);
    assert_error(store_info(world.checkpoint, "offsets/6", &info, &err), E_IO_NOT_FOUND);
    assert_error(store_info(world.checkpoint, "commits/6", &info, &err), E_IO_NOT_FOUND);
    assert_ok(store_info(world.checkpoint, "offsets/7", &info, &err));
    world.available = 110;
    flow = fake_flow_open(&world, NULL, TRIGGER_AVAILABLE_NOW, NULL, 0);
    run_ok(flow, NULL);
    flow_close(flow);
    assert_complete(&world, 110);
    fake_world_close(&world);
}

static void test_stream_flow__schema_grows_in_flight(void **state)
{
    FakeWorld world = new_world();
    (void)state;

    world.available = 40;
    world.grows = true;
    world.grows_at = 15;
    Flow *flow = fake_flow_open(&world, NULL, TRIGGER_AVAILABLE_NOW, NULL, 0);
    run_ok(flow, NULL);
    flow_close(flow);
    assert_complete(&world, 40);
    assert_int_equal(fake_world_ask(&world, "SELECT count(extra) FROM target"), 25);
    fake_world_close(&world);
}

static int64_t fixed_time(void *context)
{
    return *(int64_t *)context;
}

static void test_stream_flow__time_is_the_batch_s_also_in_a_replay(void **state)
{
    static const char QUERY[] = "SELECT n, getvariable('freshet_batch_time') AS moment FROM freshet_relation_0";
    FakeWorld world = new_world();
    int64_t now = 1700000000123000;
    Error err = ERROR_NONE;
    (void)state;

    clock_set(fixed_time, &now);
    world.available = 5;
    Flow *flow = fake_flow_open(&world, QUERY, TRIGGER_AVAILABLE_NOW, NULL, 0);
    failpoint_arm(FP_STREAM_SINK_BEFORE_WRITE, FAILPOINT_ERROR, 1);
    flow_stop(flow, false); /* a stopped flow does not try again */
    flow_close(flow);
    flow = fake_flow_open(&world, QUERY, TRIGGER_ONCE, NULL, 0);
    assert_ok(flow_run(flow, NULL, &err)); /* fails once, tries again by itself 1 ms later */
    flow_close(flow);
    now += 3600 * 1000000LL;
    world.available = 6;
    flow = fake_flow_open(&world, QUERY, TRIGGER_ONCE, NULL, 0);
    run_ok(flow, NULL);
    flow_close(flow);
    assert_int_equal(
        fake_world_ask(&world, "SELECT count(*) FROM target WHERE moment = TIMESTAMPTZ '2023-11-14 22:13:20.123+00'"),
        5);
    assert_int_equal(
        fake_world_ask(&world, "SELECT count(*) FROM target WHERE moment = TIMESTAMPTZ '2023-11-14 23:13:20.123+00'"),
        1);
    clock_set(NULL, NULL);
    failpoint_reset();
    fake_world_close(&world);
}

/* ---- expectations ---- */

static void keep_progress(void *context, Flow *flow, const char *json)
{
    (void)flow;
    snprintf(context, 8192, "%s", json);
}

static void test_stream_flow__expectations_keep_and_drop(void **state)
{
    const FlowExpectation rules[] = {
        {.name = "small", .condition = "n < 8 -- all but two", .on_violation = VIOLATION_KEEP},
        {.name = "even", .condition = "n % 2 = 0", .on_violation = VIOLATION_DROP},
        {.name = "low", .condition = "n < 6", .on_violation = VIOLATION_DROP},
    };
    char progress[8192] = "";
    FlowObserver observer = {.progress = keep_progress, .context = progress};
    FakeWorld world = new_world();
    FlowStatus status;
    (void)state;

    world.available = 10;
    Flow *flow = fake_flow_open(&world, NULL, TRIGGER_AVAILABLE_NOW, rules, 3);
    run_ok(flow, &observer);
    assert_int_equal(fake_world_ask(&world, "SELECT count(*) FROM target"), 3);
    assert_contains(progress, "{\"name\":\"small\",\"action\":\"keep\",\"passed\":8,\"failed\":2}");
    assert_contains(progress, "{\"name\":\"even\",\"action\":\"drop\",\"passed\":5,\"failed\":5}");
    assert_contains(progress, "{\"name\":\"low\",\"action\":\"drop\",\"passed\":6,\"failed\":4}");
    flow_status(flow, &status);
    assert_int_equal(status.rows_dropped, 7); /* not 9: a row that fails twice is dropped once */
    flow_close(flow);
    fake_world_close(&world);
}

static void test_stream_flow__expectation_fails_the_batch(void **state)
{
    const FlowExpectation rules[] = {
        {.name = "positive", .condition = "n <> 13 AND n <> 14", .on_violation = VIOLATION_FAIL}};
    FakeWorld world = new_world();
    Error err = ERROR_NONE;
    (void)state;

    world.available = 30;
    Flow *flow = fake_flow_open(&world, NULL, TRIGGER_AVAILABLE_NOW, rules, 1);
    assert_int_not_equal(flow_run(flow, NULL, &err), OK);
    assert_int_equal(err.id, E_STREAM_EXPECTATION);
    assert_contains(err.message, "2 rows of batch 1 violate expectation positive");
    error_clear(&err);
    flow_close(flow);
    assert_complete(&world, 10);
    flow = fake_flow_open(&world, NULL, TRIGGER_AVAILABLE_NOW, NULL, 0);
    run_ok(flow, NULL); /* the same batch again, now without the rule */
    flow_close(flow);
    assert_complete(&world, 30);
    fake_world_close(&world);
}

static void test_stream_flow__bad_expectation_has_its_place(void **state)
{
    const FlowExpectation rules[] = {{.name = "odd", .condition = "nosuch > 1", .place = {.line = 12}}};
    FakeWorld world = new_world();
    Error err = ERROR_NONE;
    (void)state;

    world.available = 1;
    Flow *flow = fake_flow_open(&world, NULL, TRIGGER_AVAILABLE_NOW, rules, 1);
    assert_int_not_equal(flow_run(flow, NULL, &err), OK);
    assert_int_equal(err.id, E_SQL_BIND);
    assert_int_equal(err.place.line, 12);
    flow_close(flow);
    fake_world_close(&world);
}

/* ---- progress ---- */

static void test_stream_flow__progress_is_json(void **state)
{
    char progress[8192] = "";
    FlowObserver observer = {.progress = keep_progress, .context = progress};
    JsonSource source = {.name = "progress"};
    FakeWorld world = new_world();
    json_t *object = NULL, *sources = NULL;
    int64_t batch = -1, rows = -1, version = -1;
    Error err = ERROR_NONE;
    (void)state;

    world.available = 20;
    Flow *flow = fake_flow_open(&world, NULL, TRIGGER_AVAILABLE_NOW, NULL, 0);
    run_ok(flow, &observer);
    assert_ok(json_parse_object(progress, strlen(progress), &source, &object, &err));
    assert_ok(json_get_i64(object, "batchId", &batch, &err));
    assert_ok(json_get_i64(object, "numInputRows", &rows, &err));
    assert_ok(json_get_i64(object, "commitVersion", &version, &err));
    assert_ok(json_get_array(object, "sources", &sources, &err));
    assert_int_equal(batch, 1);
    assert_int_equal(rows, 10);
    assert_int_equal(version, 2);
    assert_contains(progress, "\"startOffset\":{\"n\":10},\"endOffset\":{\"n\":20}");
    assert_contains(progress, "\"walCommit\"");
    json_decref(object);
    flow_close(flow);
    fake_world_close(&world);
}

/* ---- waiting and stopping ---- */

typedef struct Runner {
    Flow *flow;
    Status rc;
    Error err;
} Runner;

static void *run_thread(void *context)
{
    Runner *runner = context;

    runner->rc = flow_run(runner->flow, NULL, &runner->err);
    return NULL;
}

/* Waits on a condition, not for a time. */
static void wait_for_rows(const Flow *flow, int64_t rows)
{
    int64_t deadline = clock_mono_us() + 20 * 1000000;
    FlowStatus status = {0};

    while (status.rows_in < rows && clock_mono_us() < deadline) {
        usleep(1000);
        flow_status(flow, &status);
    }
    assert_int_equal(status.rows_in, rows);
}

static void test_stream_flow__wakes_and_stops(void **state)
{
    FakeWorld world = new_world();
    pthread_t thread;
    uint64_t one = 1;
    (void)state;

    world.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    world.available = 10;
    Runner runner = {.flow = fake_flow_open(&world, NULL, TRIGGER_ASAP, NULL, 0)};
    assert_int_equal(pthread_create(&thread, NULL, run_thread, &runner), 0);
    wait_for_rows(runner.flow, 10);
    world.available = 20;
    assert_int_equal(write(world.wake_fd, &one, sizeof one), sizeof one);
    wait_for_rows(runner.flow, 20);
    flow_stop(runner.flow, false);
    pthread_join(thread, NULL);
    assert_int_equal(runner.rc, OK);
    assert_complete(&world, 20);
    flow_close(runner.flow);
    close(world.wake_fd);
    fake_world_close(&world);
}

static void test_stream_flow__abandons_a_long_batch(void **state)
{
    static const char LONG_QUERY[] =
        "SELECT r.n FROM freshet_relation_0 AS r, range(100000000000) AS t(i) WHERE hash(i, r.n) = 1";
    FakeWorld world = new_world();
    pthread_t thread;
    FlowStatus status = {.state = ""};
    (void)state;

    world.available = 10;
    Runner runner = {.flow = fake_flow_open(&world, LONG_QUERY, TRIGGER_ASAP, NULL, 0)};
    assert_int_equal(pthread_create(&thread, NULL, run_thread, &runner), 0);
    while (strcmp(status.state, "running") != 0) {
        usleep(1000);
        flow_status(runner.flow, &status);
    }
    while (pthread_tryjoin_np(thread, NULL) != 0) {
        flow_stop(runner.flow, true); /* again: it may have come between two statements */
        usleep(10000);
    }
    assert_int_equal(runner.rc, OK);
    flow_close(runner.flow);
    Flow *flow = fake_flow_open(&world, NULL, TRIGGER_AVAILABLE_NOW, NULL, 0);
    run_ok(flow, NULL); /* the batch runs again */
    flow_close(flow);
    assert_complete(&world, 10);
    fake_world_close(&world);
}

/* ---- failures ---- */

static bool run_numbers(void *world, bool restart)
{
    return fake_flow_run(fake_flow_open(world, NULL, TRIGGER_AVAILABLE_NOW, NULL, 0), restart);
}

/* Input arrives in two halves. */
static void play_numbers(const FakeFailure *failure)
{
    FakeWorld world = new_world();

    for (int round = 0; round < 2; round++) {
        world.available = round == 0 ? 35 : 95;
        fake_attempts(failure, run_numbers, &world);
        assert_complete(&world, world.available);
    }
    fake_world_close(&world);
}

static size_t hits_of(const char *point) /* of state: test_stream_stateful.c */
{
    return str_starts(point, "stream.") && !str_starts(point, "stream.state.") ? 4 : 0;
}

static void test_stream_flow__exactly_once_at_every_failpoint(void **state)
{
    static const int HITS[] = {1, 2, 4, 9};
    const FakeSweep sweep = {.play = play_numbers, .hits = HITS, .n_hits = 4, .hits_of = hits_of, .both = true};
    (void)state;

    assert_true(fake_sweep(&sweep) > 60);
}

/* ---- damaged checkpoints ---- */

static void test_stream_flow__lost_and_old_checkpoints_stop_it(void **state)
{
    FakeWorld world = new_world();
    Store *whole = world.checkpoint;
    Error err = ERROR_NONE;
    (void)state;

    world.available = 30;
    Flow *flow = fake_flow_open(&world, NULL, TRIGGER_AVAILABLE_NOW, NULL, 0);
    run_ok(flow, NULL);
    flow_close(flow);
    assert_ok(store_delete(whole, "offsets/2", &err));
    assert_ok(store_delete(whole, "commits/2", &err));
    world.available = 40;
    flow = fake_flow_open(&world, NULL, TRIGGER_AVAILABLE_NOW, NULL, 0);
    assert_error(flow_run(flow, NULL, &err), E_STREAM_AHEAD);
    flow_close(flow);
    assert_complete(&world, 30);
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_flow__available_now_in_limits),
        cmocka_unit_test(test_stream_flow__no_schema_no_batch),
        cmocka_unit_test(test_stream_flow__batches_without_rows),
        cmocka_unit_test(test_stream_flow__old_batches_are_purged),
        cmocka_unit_test(test_stream_flow__schema_grows_in_flight),
        cmocka_unit_test(test_stream_flow__time_is_the_batch_s_also_in_a_replay),
        cmocka_unit_test(test_stream_flow__expectations_keep_and_drop),
        cmocka_unit_test(test_stream_flow__expectation_fails_the_batch),
        cmocka_unit_test(test_stream_flow__bad_expectation_has_its_place),
        cmocka_unit_test(test_stream_flow__progress_is_json),
        cmocka_unit_test(test_stream_flow__wakes_and_stops),
        cmocka_unit_test(test_stream_flow__abandons_a_long_batch),
        cmocka_unit_test(test_stream_flow__exactly_once_at_every_failpoint),
        cmocka_unit_test(test_stream_flow__lost_and_old_checkpoints_stop_it),
    };

    log_set_level(LOG_ERROR); /* flows say when they try again */
    return cmocka_run_group_tests(tests, fakes_up, fakes_down);
}
