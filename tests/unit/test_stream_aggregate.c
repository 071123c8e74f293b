/* GROUP BY over a stream: whatever the batches are, what comes out is DuckDB's answer over the rows that were not
 * late. */
#include "aggregate_fixture.h"

enum { MINUTE = 60000000, BATCHES = 6, CALLS_MAX = N_CALLS };

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

    make_stream(BATCHES, 40, -30 * (int64_t)MINUTE, 12 * MINUTE, 25 * MINUTE);
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

static const SqlOutputMode MODES[] = {SQL_OUTPUT_APPEND, SQL_OUTPUT_UPDATE, SQL_OUTPUT_COMPLETE};

static void test_stream_aggregate__tumbling(void **state)
{
    (void)state;
    test_seed();
    for (size_t i = 0; i < 3; i++) {
        window_case(MODES[i], (SqlWindow){5 * MINUTE, 5 * MINUTE, below(2) * 2 * MINUTE}, i == 0 ? N_CALLS : 5);
        window_case(MODES[i], (SqlWindow){11 * MINUTE, 11 * MINUTE, 0}, 3);
    }
}

/* Panes are the slide, a part of it, or longer than what lies between two batches. */
static void test_stream_aggregate__sliding(void **state)
{
    (void)state;
    test_seed();
    for (size_t i = 0; i < 3; i++) {
        window_case(MODES[i], (SqlWindow){12 * MINUTE, 5 * MINUTE, 2 * MINUTE}, 6);
        window_case(MODES[i], (SqlWindow){10 * MINUTE, 2 * MINUTE, 0}, 6);
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
    plain_case(SQL_OUTPUT_UPDATE, "t", false, 12);
    plain_case(SQL_OUTPUT_COMPLETE, "t", false, 12);
    plain_case(SQL_OUTPUT_UPDATE, NULL, false, 5);
    plain_case(SQL_OUTPUT_COMPLETE, NULL, false, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_aggregate__sliding),
        cmocka_unit_test(test_stream_aggregate__without_window),
        cmocka_unit_test(test_stream_aggregate__tumbling),
    };
    return cmocka_run_group_tests(tests, duck_fixture_up, duck_fixture_down);
}
