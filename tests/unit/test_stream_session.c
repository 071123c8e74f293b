/* session_window() over a stream, against sessions found anew from all rows whose session is open, batch by batch. */
#include "aggregate_fixture.h"

#define MINUTE INT64_C(60000000)
enum { BATCHES = 4 };

typedef struct Query {
    SqlStep step;
    SqlKey keys[2];
    SqlAggregate aggregates[N_CALLS];
    const Call *chosen[N_CALLS];
    char input[1024];
} Query;

static void make_query(Query *q, const char *gap, const char *key, size_t n_calls)
{
    memset(q, 0, sizeof *q);
    snprintf(q->input, sizeof q->input, "SELECT ts AS k0, %s%s%s, %s AS g0 FROM leaf", key ? key : "",
             key ? " AS k1, " : "", ARGUMENTS, gap);
    q->step = (SqlStep){.kind = SQL_STEP_SESSION,
                        .name = "freshet_step_0",
                        .fingerprint = "a test",
                        .title = "a test",
                        .input = q->input,
                        .keys = q->keys,
                        .n_keys = key ? 2 : 1,
                        .aggregates = q->aggregates,
                        .n_aggregates = n_calls,
                        .n_arguments = N_ARGUMENTS,
                        .n_filters = 1,
                        .watermarked = true};
    q->keys[0].is_event_time = true;
    choose_calls(q->aggregates, q->chosen, n_calls);
}

/* The rows of `pool` with the session each is in. */
#define SESSIONS                                                                                                       \
    "(SELECT *, min(us) OVER w AS session_start, max(ends) OVER w AS session_end FROM (SELECT *, sum(begins) OVER "    \
    "(PARTITION BY c ORDER BY us RANGE UNBOUNDED PRECEDING) AS island FROM (SELECT *, CASE WHEN us <= max(ends) OVER " \
    "(PARTITION BY c ORDER BY us GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) THEN 0 ELSE 1 END AS "            \
    "begins FROM pool)) WINDOW w AS (PARTITION BY c, island))"

/* Goes through the batches with whole rows: `closed` gets them with their sessions. */
static void simulate(const char *gap, bool keyed, bool keeps_all, int64_t delay)
{
    must(
        duck_execf(conn, &err,
                   "CREATE OR REPLACE TABLE timed AS SELECT * REPLACE (%s AS c), epoch_us(ts) AS us, epoch_us(ts + %s) "
                   "AS ends FROM src WHERE ts IS NOT NULL AND ts + %s > ts; CREATE OR REPLACE TABLE pool AS FROM timed "
                   "WHERE false; CREATE OR REPLACE TABLE closed AS SELECT *, us AS session_start, us AS session_end "
                   "FROM pool",
                   keyed ? "c" : "NULL", gap, gap));
    int64_t late = INT64_MIN, watermark = INT64_MIN;
    for (int b = 0; b <= BATCHES; b++) {
        must(duck_execf(conn, &err, "INSERT INTO pool FROM timed WHERE b = %d AND (ends > %" PRId64 " OR %d = 1)", b,
                        late, keeps_all));
        if (!keeps_all) {
            must(duck_execf(conn, &err,
                            "INSERT INTO closed SELECT * EXCLUDE (island, begins) FROM " SESSIONS
                            " WHERE session_end <= %" PRId64 "; DELETE FROM pool USING closed AS d WHERE pool.c IS NOT "
                            "DISTINCT FROM d.c AND pool.us = d.us AND d.session_end <= %" PRId64,
                            watermark, watermark));
        }
        late = watermark;
        Text sql = TEXT(4096);
        text_printf(&sql, "SELECT coalesce(epoch_ms(max(ts)) * 1000, -9000000000000000) FROM src WHERE b = %d", b);
        int64_t seen = query_i64(text_str(&sql)) - delay;
        watermark = seen > watermark ? seen : watermark;
        text_free(&sql);
    }
    if (keeps_all) {
        must(duck_exec(conn, "INSERT INTO closed SELECT * EXCLUDE (island, begins) FROM " SESSIONS, &err));
    }
}

static void session_case(SqlOutputMode mode, const char *gap, const char *key, size_t n_calls)
{
    Query q;
    Text got = TEXT(1 << 20), wanted = TEXT(1 << 20);
    int64_t delay = below(3) * MINUTE;

    make_stream(BATCHES, 40, -20 * MINUTE, 8 * MINUTE, 12 * MINUTE);
    make_query(&q, gap, key, n_calls);
    Run run = run_new(&q.step, mode);
    run_stream(&run, BATCHES, delay);
    simulate(gap, key != NULL, mode == SQL_OUTPUT_COMPLETE, delay);
    append_compared(&got, q.step.n_keys, q.chosen, n_calls);
    text_append(&got, " FROM got");
    append_compared(&wanted, q.step.n_keys, q.chosen, n_calls);
    text_printf(&wanted,
                " FROM (SELECT {'start': make_timestamp(session_start), 'end': make_timestamp(session_end)} AS "
                "k0%s",
                key ? ", c AS k1" : "");
    append_references(&wanted, q.chosen, n_calls);
    text_append(&wanted, " FROM closed GROUP BY session_start, session_end, c)");
    same_rows(text_str(&got), text_str(&wanted));
    text_free(&got);
    text_free(&wanted);
    run_free(&run);
}

static void test_stream_session__same_gap(void **state)
{
    (void)state;
    test_seed();
    session_case(SQL_OUTPUT_APPEND, "INTERVAL 90 SECONDS", "c", 14);
    session_case(SQL_OUTPUT_APPEND, "INTERVAL 10 SECONDS", NULL, 5);
    session_case(SQL_OUTPUT_COMPLETE, "INTERVAL 2 MINUTES", "c", 5);
}

static void test_stream_session__gap_of_the_row(void **state)
{
    (void)state;
    test_seed();
    session_case(SQL_OUTPUT_APPEND, "to_seconds(u * 20 - 10)", "c", 5);
    session_case(SQL_OUTPUT_COMPLETE, "to_seconds(u * 20 - 10)", "c", 5);
}

/* Gap 10 s, events at 0, 10 and 21 s. */
static void test_stream_session__touching_is_together(void **state)
{
    Query q;

    (void)state;
    make_stream(1, 1, 0, 1, 1);
    make_query(&q, "'10 seconds'", NULL, 1);
    Run run = run_new(&q.step, SQL_OUTPUT_COMPLETE);
    must(
        duck_exec(conn,
                  "CREATE OR REPLACE TABLE src AS SELECT 0 AS b, make_timestamp(i * 1000000) AS ts, NULL AS c, 1 AS x, "
                  "1.0 AS d, 1 AS m, 1 AS u, 's' AS s, true AS t FROM (VALUES (0), (21), (10)) AS v(i); "
                  "CREATE OR REPLACE TEMP VIEW leaf AS FROM src",
                  &err));
    run_batch(&run, NULL);
    same_rows("SELECT epoch_us(k0.start) / 1000000, epoch_us(k0.end) / 1000000 FROM got",
              "SELECT * FROM (VALUES (0::DOUBLE, 20::DOUBLE), (21, 31))");
    run_free(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_session__touching_is_together),
        cmocka_unit_test(test_stream_session__same_gap),
        cmocka_unit_test(test_stream_session__gap_of_the_row),
    };
    return cmocka_run_group_tests(tests, duck_fixture_up, duck_fixture_down);
}
