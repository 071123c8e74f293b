/* GROUP BY over a stream: whatever the batches are, what comes out is DuckDB's answer over the rows that were not
 * late. */
#include "aggregate_fixture.h"

#define MINUTE INT64_C(60000000)
enum { BATCHES = 4, CALLS_MAX = N_CALLS };

typedef struct Query {
    SqlStep step;
    SqlKey keys[2];
    SqlAggregate aggregates[CALLS_MAX];
    const Call *chosen[CALLS_MAX];
    char input[1024];
} Query;

static void make_query(Query *q, const char *key0, const char *key1, size_t n_calls)
{
    memset(q, 0, sizeof *q);
    snprintf(q->input, sizeof q->input, "SELECT %s%s%s%s%s FROM leaf", key0 ? key0 : "", key0 ? " AS k0, " : "",
             key1 ? key1 : "", key1 ? " AS k1, " : "", ARGUMENTS);
    q->step = (SqlStep){.kind = SQL_STEP_AGGREGATE,
                        .name = "freshet_step_0",
                        .fingerprint = "a test",
                        .title = "a test",
                        .input = q->input,
                        .keys = q->keys,
                        .n_keys = key1   ? 2
                                  : key0 ? 1
                                         : 0,
                        .aggregates = q->aggregates,
                        .n_aggregates = n_calls,
                        .n_arguments = N_ARGUMENTS,
                        .n_filters = 1};
    choose_calls(q->aggregates, q->chosen, n_calls);
}

/* What DuckDB says of the rows that count; `key0` and `key1` over src and w.start. */
static void check(const Query *q, const Run *run, const char *key0, const char *key1, const char *from,
                  const char *where)
{
    Text got = TEXT(1 << 20), wanted = TEXT(1 << 20);
    size_t n = q->step.n_aggregates;

    (void)run;
    append_compared(&got, q->step.n_keys, q->chosen, n);
    text_append(&got, " FROM got");
    append_compared(&wanted, q->step.n_keys, q->chosen, n);
    text_printf(&wanted, " FROM (SELECT 0%s%s%s%s%s%s", key0 ? ", " : "", key0 ? key0 : "", key0 ? " AS k0" : "",
                key1 ? ", " : "", key1 ? key1 : "", key1 ? " AS k1" : "");
    append_references(&wanted, q->chosen, n);
    text_printf(&wanted, " FROM %s WHERE %s%s%s%s%s)", from, where, key0 ? " GROUP BY " : "", key0 ? key0 : "",
                key1 ? ", " : "", key1 ? key1 : "");
    same_rows(text_str(&got), text_str(&wanted));
    text_free(&got);
    text_free(&wanted);
}

static void window_case(SqlOutputMode mode, SqlWindow window, size_t n_calls)
{
    Query q;
    char from[512], where[256], key[256];
    int64_t delay = below(4) * MINUTE;

    make_stream(BATCHES, 40, -30 * MINUTE, 12 * MINUTE, 25 * MINUTE);
    make_query(&q, "ts", "c", n_calls);
    q.keys[0] = (SqlKey){.is_window = true, .window = window, .is_event_time = true};
    q.step.watermarked = true;
    Run run = run_new(&q.step, mode);
    run_stream(&run, BATCHES, delay);
    snprintf(from, sizeof from,
             "src JOIN (SELECT %" PRId64 " + i * %" PRId64 " AS start FROM range(-500, 500) AS r(i)) w ON epoch_us(ts) "
             ">= start AND epoch_us(ts) < start + %" PRId64 " JOIN late ON late.b = src.b",
             window.offset_us, window.slide_us, window.size_us);
    snprintf(key, sizeof key, "{'start': make_timestamp(start), 'end': make_timestamp(start + %" PRId64 ")}",
             window.size_us);
    snprintf(where, sizeof where, "true");
    if (mode != SQL_OUTPUT_COMPLETE) {
        snprintf(where, sizeof where, "start + %" PRId64 " > late.us", window.size_us);
        char late[1024];
        snprintf(late, sizeof late, "SELECT count(*) FROM %s WHERE start + %" PRId64 " <= late.us", from,
                 window.size_us);
        assert_int_equal(run.total.rows_late, query_i64(late));
    }
    assert_int_equal(run.total.rows_null_time, query_i64("SELECT count(*) FROM src WHERE ts IS NULL"));
    if (mode == SQL_OUTPUT_APPEND) {
        size_t n = strlen(where);
        snprintf(where + n, sizeof where - n, " AND start + %" PRId64 " <= %" PRId64, window.size_us, run.watermark_us);
    }
    check(&q, &run, key, "c", from, where);
    run_free(&run);
}

static const SqlWindow TWELVE = {12 * MINUTE, 5 * MINUTE, 2 * MINUTE, false};
static const SqlOutputMode MODES[] = {SQL_OUTPUT_APPEND, SQL_OUTPUT_UPDATE, SQL_OUTPUT_COMPLETE};

static void test_stream_aggregate__tumbling(void **state)
{
    (void)state;
    test_seed();
    for (size_t i = 0; i < 3; i++) {
        window_case(MODES[i], (SqlWindow){5 * MINUTE, 5 * MINUTE, below(2) * 2 * MINUTE, false}, i == 0 ? N_CALLS : 5);
    }
}

/* Panes are the slide, a part of it, or longer than what lies between two batches. */
static void test_stream_aggregate__sliding(void **state)
{
    (void)state;
    test_seed();
    for (size_t i = 0; i < 3; i++) {
        window_case(MODES[i], i == 1 ? (SqlWindow){10 * MINUTE, 2 * MINUTE, 0, false} : TWELVE, 6);
    }
}

/* Keys without a window: none, one without event time, the event time itself. */
static void plain_case(SqlOutputMode mode, const char *key0, bool event_time, size_t n_calls)
{
    Query q;
    char where[256] = "true";

    make_stream(BATCHES, 30, 0, 2, 5);
    make_query(&q, key0, key0 ? "c" : NULL, n_calls);
    q.keys[0].is_event_time = event_time;
    q.step.watermarked = event_time;
    Run run = run_new(&q.step, mode);
    run_stream(&run, BATCHES, 0);
    if (event_time && mode != SQL_OUTPUT_COMPLETE) {
        snprintf(where, sizeof where, "coalesce(epoch_us(ts) > late.us, true)");
    }
    if (mode == SQL_OUTPUT_APPEND) {
        size_t n = strlen(where);
        snprintf(where + n, sizeof where - n, " AND epoch_us(ts) <= %" PRId64, run.watermark_us);
    }
    check(&q, &run, key0, key0 ? "c" : NULL, "src JOIN late ON late.b = src.b", where);
    run_free(&run);
}

static void test_stream_aggregate__without_window(void **state)
{
    (void)state;
    test_seed();
    for (size_t i = 0; i < 3; i++) {
        plain_case(MODES[i], "ts", true, 5);
    }
    plain_case(SQL_OUTPUT_UPDATE, "t", false, 6);
    plain_case(SQL_OUTPUT_COMPLETE, "t", false, 6);
    plain_case(SQL_OUTPUT_UPDATE, NULL, false, 5);
    plain_case(SQL_OUTPUT_COMPLETE, NULL, false, 8);
}

/* ---- by hand ---- */

static void leaf_is(const char *rows)
{
    must(duck_execf(
        conn, &err,
        "CREATE OR REPLACE TABLE src AS SELECT 0 AS b, ts::TIMESTAMP AS ts, c::VARCHAR AS c, x::INT AS x, "
        "x::DOUBLE AS d, x::DECIMAL(10, 2) AS m, x::BIGINT AS u, c::VARCHAR AS s, true AS t FROM (VALUES %s) "
        "AS v(ts, c, x) WHERE c IS NOT NULL; CREATE OR REPLACE TEMP VIEW leaf AS FROM src",
        rows));
}

static void call_is(Query *q, size_t i, const char *function, size_t first, bool distinct)
{
    q->aggregates[i] = (SqlAggregate){
        .function = function, .first = first, .n_arguments = 1, .distinct = distinct, .text = function};
}

static void windowed(Query *q, SqlWindow window)
{
    make_query(q, "ts", "c", 1);
    q->keys[0] = (SqlKey){.is_window = true, .window = window, .is_event_time = true};
    q->step.watermarked = true;
}

/* Windows of 12 minutes every 5, from 2 minutes past. */
static void test_stream_aggregate__windows_of_a_time(void **state)
{
    Query q;

    (void)state;
    leaf_is("(NULL, NULL, 0)");
    windowed(&q, TWELVE);
    call_is(&q, 0, "sum", 0, false);
    Run run = run_new(&q.step, SQL_OUTPUT_UPDATE);
    leaf_is("('1970-01-01 12:05:00', 'a', 1)");
    run_batch(&run, NULL);
    assert_int_equal(run.total.rows_out, 2);
    same_rows("SELECT strftime(k0.start, '%H:%M'), strftime(k0.end, '%H:%M'), k1, r0::INT FROM got",
              "SELECT * FROM (VALUES ('11:57', '12:09', 'a', 1), ('12:02', '12:14', 'a', 1))");
    run_free(&run);
}

static bool wants(Run *run, int64_t evict_us)
{
    bool wanted = false;
    must(run->op->ops->wants_batch(run->op, conn, evict_us, &wanted, &err));
    return wanted;
}

/* Groups leave with the watermark that closes them, and a batch without rows is asked for when one would. */
static void test_stream_aggregate__closes_once(void **state)
{
    const int64_t noon = INT64_C(12) * 60 * MINUTE;
    Query q;

    (void)state;
    leaf_is("(NULL, NULL, 0)");
    windowed(&q, TWELVE);
    call_is(&q, 0, "count", 0, true);
    Run run = run_new(&q.step, SQL_OUTPUT_APPEND);
    leaf_is("('1970-01-01 12:05:00', 'a', 1), ('1970-01-01 12:06:00', 'a', 1), ('1970-01-01 12:07:00', 'a', 2)");
    run_batch(&run, NULL);
    assert_int_equal(run.total.rows_out, 0);
    assert_false(wants(&run, noon + 8 * MINUTE));
    assert_true(wants(&run, noon + 9 * MINUTE));
    leaf_is("(NULL, NULL, 0)");
    run.watermark_us = noon + 9 * MINUTE;
    run_batch(&run, NULL);
    assert_int_equal(run.total.rows_out, 1); /* 11:57 - 12:09, of 12:05 and 12:06 and 12:07 */
    assert_false(wants(&run, noon + 13 * MINUTE));
    assert_true(wants(&run, noon + 14 * MINUTE));
    run_restart(&run);
    run.watermark_us = noon + 20 * MINUTE;
    run_batch(&run, NULL);
    assert_int_equal(run.total.rows_out, 3);
    assert_false(wants(&run, noon + 60 * MINUTE));
    assert_int_equal(run.op->figures.rows_evicted, 6); /* three panes, one value in each */
    same_rows("SELECT strftime(k0.start, '%H:%M'), r0 FROM got",
              "SELECT * FROM (VALUES ('11:57', 2), ('12:02', 2), ('12:07', 1))");
    run_free(&run);
}

/* Rows set aside are handed over as they were, with the reason. */
static void test_stream_aggregate__rejected_rows(void **state)
{
    Query q;

    (void)state;
    leaf_is("(NULL, NULL, 0)");
    windowed(&q, (SqlWindow){MINUTE, MINUTE, 0, false});
    call_is(&q, 0, "sum", 0, false);
    Run run = run_new(&q.step, SQL_OUTPUT_APPEND);
    must(duck_exec(conn, "CREATE OR REPLACE TEMP TABLE set_aside(reason VARCHAR, row JSON)", &err));
    leaf_is("('1970-01-01 00:00:59', 'a', 1), ('1970-01-01 00:01:00', 'b', 2), (NULL, 'c', 3)");
    run.watermark_us = run.late_us = MINUTE;
    run_batch(&run, "set_aside");
    assert_int_equal(run.total.rows_late, 1);
    assert_int_equal(run.total.rows_null_time, 1);
    same_rows("SELECT reason, row->>'k1', row->>'a0' FROM set_aside",
              "SELECT * FROM (VALUES ('late', 'a', '1'), ('no event time', 'c', '3'))");
    run_free(&run);
}

/* The same batch from the same state: the same rows in the same words. */
static void test_stream_aggregate__again_the_same(void **state)
{
    Query q;

    (void)state;
    test_seed();
    make_stream(2, 400, 0, 5 * MINUTE, 10 * MINUTE);
    make_query(&q, "ts", "c", 12);
    q.keys[0] = (SqlKey){
        .is_window = true, .window = {.size_us = 10 * MINUTE, .slide_us = 10 * MINUTE}, .is_event_time = true};
    q.step.watermarked = true;
    Run run = run_new(&q.step, SQL_OUTPUT_UPDATE);
    must(duck_exec(conn, "CREATE OR REPLACE TEMP VIEW leaf AS FROM src WHERE b = 0", &err));
    run_batch(&run, NULL);
    must(duck_exec(conn, "CREATE OR REPLACE TEMP VIEW leaf AS FROM src WHERE b = 1", &err));
    StreamOperatorBatch batch = {.batch = 1, .late_us = INT64_MIN, .evict_us = INT64_MIN};
    state_begin(run.op->state);
    must(run.op->ops->run(run.op, conn, &batch, &err));
    must(duck_exec(conn, "CREATE OR REPLACE TABLE before AS FROM freshet_step_0", &err));
    run_restart(&run);
    state_begin(run.op->state);
    must(run.op->ops->run(run.op, conn, &batch, &err));
    Text got = TEXT(1 << 16), wanted = TEXT(1 << 16);
    append_compared(&got, 2, q.chosen, 12);
    append_compared(&wanted, 2, q.chosen, 12);
    text_append(&got, " FROM freshet_step_0");
    text_append(&wanted, " FROM before");
    same_rows(text_str(&got), text_str(&wanted));
    text_free(&got);
    text_free(&wanted);
    run_free(&run);
}

/* What is infinite stays so, and sums are as exact as their rows, batch after batch. */
static void test_stream_aggregate__sums_of_doubles(void **state)
{
    Query q;

    (void)state;
    leaf_is("(NULL, NULL, 0)");
    make_query(&q, "c", NULL, 1);
    call_is(&q, 0, "sum", 1, false);
    Run run = run_new(&q.step, SQL_OUTPUT_COMPLETE);
    for (int b = 0; b < 10; b++) {
        leaf_is("(NULL, 'sum', 1), (NULL, 'inf', 1), (NULL, 'nan', 1)");
        must(duck_execf(
            conn, &err,
            "UPDATE src SET d = CASE c WHEN 'sum' THEN 0.1 WHEN 'nan' THEN 'nan'::DOUBLE ELSE CASE %d WHEN 1 "
            "THEN 'inf'::DOUBLE ELSE 1 END END",
            b));
        run_batch(&run, NULL);
    }
    same_rows("SELECT k0, r0 FROM got", "SELECT * FROM (VALUES ('sum', 1::DOUBLE), ('inf', 'inf'), ('nan', 'nan'))");
    run_free(&run);
}

/* An argument that is the same in every row is a value all the same. */
static void test_stream_aggregate__constant_argument(void **state)
{
    static const char *const CONSTANTS[] = {"7"};
    Query q;

    (void)state;
    leaf_is("(NULL, NULL, 0)");
    make_query(&q, "c", NULL, 3);
    call_is(&q, 0, "list", 0, false);
    call_is(&q, 1, "count", 0, true);
    call_is(&q, 2, "sum", 0, false);
    snprintf(q.input, sizeof q.input,
             "SELECT c AS k0, 7 AS a0, 0 AS a1, 0 AS a2, 0 AS a3, 0 AS a4, 0 AS a5, 0 AS a6, "
             "0 AS a7, true AS f0 FROM leaf");
    for (size_t i = 0; i < 3; i++) {
        q.aggregates[i].constants = CONSTANTS;
    }
    Run run = run_new(&q.step, SQL_OUTPUT_UPDATE);
    for (int b = 0; b < 2; b++) {
        leaf_is("(NULL, 'a', 1), (NULL, 'a', 1), (NULL, 'b', 1)");
        run_batch(&run, NULL);
    }
    same_rows("SELECT k0, r0, r1, r2 FROM got",
              "SELECT * FROM (VALUES ('a', [7, 7, 7, 7], 1, 28), ('b', [7, 7], 1, 14))");
    run_free(&run);
}

static void refused(Query *q, SqlOutputMode mode, const char *why)
{
    StreamOperatorSpec spec = {.step = &q->step, .mode = mode, .flow = "f"};
    StreamOperator *op = NULL;
    must(store_open("memory://refused", &spec.checkpoint, &err));
    Status rc = stream_aggregate_open(conn, &spec, &op, &err);
    store_unref(spec.checkpoint);
    assert_contains(err.message, why);
    assert_error(rc, E_PIPELINE_STATEFUL);
    assert_null(op);
}

static void test_stream_aggregate__refuses(void **state)
{
    Query q;

    (void)state;
    leaf_is("(NULL, NULL, 0)");
    windowed(&q, TWELVE);
    call_is(&q, 0, "last", 0, false);
    refused(&q, SQL_OUTPUT_UPDATE, "last() would not be the same twice");
    make_query(&q, "s", "c", 1);
    call_is(&q, 0, "sum", 0, false);
    refused(&q, SQL_OUTPUT_APPEND, "no grouping key has one");
    q.keys[0] = (SqlKey){.is_window = true, .window = TWELVE};
    refused(&q, SQL_OUTPUT_UPDATE, "first argument is of type VARCHAR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_aggregate__windows_of_a_time),
        cmocka_unit_test(test_stream_aggregate__closes_once),
        cmocka_unit_test(test_stream_aggregate__rejected_rows),
        cmocka_unit_test(test_stream_aggregate__again_the_same),
        cmocka_unit_test(test_stream_aggregate__sums_of_doubles),
        cmocka_unit_test(test_stream_aggregate__constant_argument),
        cmocka_unit_test(test_stream_aggregate__refuses),
        cmocka_unit_test(test_stream_aggregate__tumbling),
        cmocka_unit_test(test_stream_aggregate__sliding),
        cmocka_unit_test(test_stream_aggregate__without_window),
    };
    return cmocka_run_group_tests(tests, duck_fixture_up, duck_fixture_down);
}
