/* Joins of streams: whatever the batches are, their outputs together are the join of all rows that were not late. */
#include "operator_fixture.h"

#include "base/clock.h"

enum { SECOND = 1000000, BATCHES = 8 };

#define SIDE(name) "SELECT id, k, ts FROM cur_" name

static uint64_t below(uint64_t n)
{
    return random_u64() % n;
}

static void input_is(const char *side, const char *values)
{
    must(duck_execf(conn, &err,
                    "CREATE OR REPLACE TEMP TABLE cur_%s AS SELECT id::INT AS id, k::INT AS k, ts::TIMESTAMP "
                    "AS ts FROM (VALUES %s) AS t(id, k, ts) WHERE id IS NOT NULL",
                    side, values));
}

static void no_input(const char *side)
{
    input_is(side, "(NULL, NULL, NULL)");
}

/* ---- one query, joined in batches and at once ---- */

typedef struct Query {
    SqlStep step;
    SqlJoinSide sides[3];
    char condition[512], pairs[1024], body[4096], reference[2048];
    int64_t before, after; /* seconds: b.ts lies between a.ts - before and a.ts + after */
    bool bounded;
} Query;

static const char *const KIND_NAMES[] = {"INNER", "LEFT", "RIGHT", "FULL", "SEMI"};

/* What the planner writes above the join. */
static void write_body(Query *q, SqlJoinKind kind)
{
    const char *columns = kind == SQL_JOIN_SEMI ? "a.id" : "a.id AS a, b.id AS b, b.ts AS t";
    const char *join = kind == SQL_JOIN_SEMI ? "SEMI" : "INNER";
    bool left = kind == SQL_JOIN_LEFT || kind == SQL_JOIN_FULL, right = kind == SQL_JOIN_RIGHT || kind == SQL_JOIN_FULL;
    Text body = TEXT(4096);

    text_printf(&body, "SELECT %s FROM s_0_new AS a %s JOIN s_1_all AS b ON %s UNION ALL ", columns, join,
                q->condition);
    text_printf(&body, "SELECT %s FROM s_0_old AS a %s JOIN s_1_new AS b ON %s", columns, join, q->condition);
    if (left) {
        text_printf(&body, " UNION ALL SELECT %s FROM s_0_gone AS a LEFT JOIN s_1_none AS b ON true", columns);
    }
    if (right) {
        text_printf(&body, " UNION ALL SELECT %s FROM s_0_none AS a RIGHT JOIN s_1_gone AS b ON true", columns);
    }
    snprintf(q->body, sizeof q->body, "%s", text_str(&body));
    text_free(&body);
    snprintf(q->reference, sizeof q->reference, "SELECT %s FROM kept_a AS a %s JOIN kept_b AS b ON %s", columns,
             KIND_NAMES[kind], q->condition);
}

static void make_query(Query *q, SqlJoinKind kind, bool bounded)
{
    memset(q, 0, sizeof *q);
    q->before = (int64_t)below(12) - 3;
    q->after = (int64_t)below(12) - q->before;
    if (q->after < -q->before) {
        q->after = -q->before;
    }
    q->bounded = bounded;
    if (bounded) {
        snprintf(q->condition, sizeof q->condition,
                 "a.k = b.k AND b.ts >= a.ts - INTERVAL (%" PRId64 ") SECONDS AND b.ts <= a.ts + INTERVAL (%" PRId64
                 ") SECONDS AND '{0}' <> a.id::VARCHAR",
                 q->before, q->after);
    } else {
        snprintf(q->condition, sizeof q->condition, "a.k = b.k AND (a.id + b.id) %% 3 > 0");
    }
    snprintf(q->pairs, sizeof q->pairs, "SELECT a.freshet_row, b.freshet_row FROM {0} AS a INNER JOIN {1} AS b ON %s",
             q->condition);
    q->sides[0] = (SqlJoinSide){.input = SIDE("a"),
                                .alias = "a",
                                .event_time = "ts",
                                .bounded = bounded,
                                .slack_us = q->after * SECOND,
                                .outer = kind == SQL_JOIN_LEFT || kind == SQL_JOIN_FULL,
                                .once = kind == SQL_JOIN_SEMI};
    q->sides[1] = (SqlJoinSide){.input = SIDE("b"),
                                .alias = "b",
                                .event_time = "ts",
                                .bounded = bounded,
                                .slack_us = q->before * SECOND,
                                .outer = kind == SQL_JOIN_RIGHT || kind == SQL_JOIN_FULL};
    q->step = (SqlStep){.kind = SQL_STEP_JOIN,
                        .name = "s",
                        .fingerprint = "f",
                        .title = "a, b",
                        .watermarked = true,
                        .join = kind,
                        .sides = q->sides,
                        .n_sides = 2,
                        .pairs = q->pairs};
    write_body(q, kind);
}

/* Rows around `now`, some without key or time; what is not late goes into kept_<side> too. Gives their newest time, in
 * seconds. */
static int64_t make_input(const char *side, int *next, int64_t now, int64_t late)
{
    Text values = TEXT(1 << 16);
    int64_t newest = 0;
    int first = *next;

    for (size_t n = (size_t)below(12); n > 0; n--) {
        int64_t ts = now - 12 + (int64_t)below(20), k = (int64_t)below(6);
        bool null_time = below(12) == 0;
        ts = ts < 1 ? 1 : ts;
        text_printf(&values, "%s(%d, nullif(%" PRId64 ", 5), make_timestamp(nullif(%" PRId64 ", 0)))",
                    *next > first ? ", " : "", *next, k, null_time ? 0 : ts * SECOND);
        (*next)++;
        newest = !null_time && ts > newest ? ts : newest;
    }
    input_is(side, *next > first ? text_str(&values) : "(NULL, NULL, NULL)");
    must(duck_execf(conn, &err, "INSERT INTO kept_%s FROM cur_%s WHERE ts IS NULL OR ts > make_timestamp(%" PRId64 ")",
                    side, side, late * SECOND));
    text_free(&values);
    return newest;
}

static void empty_results(const Query *q)
{
    for (const char *const *side = (const char *const[]){"a", "b", "c", NULL}; *side; side++) {
        no_input(*side);
        must(duck_execf(conn, &err, "CREATE OR REPLACE TEMP TABLE kept_%s AS FROM cur_%s", *side, *side));
    }
    must(duck_execf(conn, &err, "CREATE OR REPLACE TEMP TABLE result AS SELECT * FROM (%s) LIMIT 0", q->reference));
}

static void results_agree(const Query *q)
{
    char sql[8192];
    snprintf(
        sql, sizeof sql,
        "SELECT count(*) FROM ((SELECT 1 FROM (FROM result EXCEPT ALL (%s))) UNION ALL (SELECT 1 FROM ((%s) EXCEPT "
        "ALL FROM result)))",
        q->reference, q->reference);
    if (query_i64(sql) != 0) {
        fail_msg("differs from %s", q->reference);
    }
}

/* A batch, now and then computed twice from the same state; its rows are added to the table result. */
static void run_batch(const Query *q, StreamOperator *op, int64_t batch, int64_t late, int64_t evict, json_t **files)
{
    for (uint64_t again = below(2); again < 2; again++) {
        must(state_load(op->state, conn, *files, &err));
        run(op, batch, late * SECOND, evict * SECOND, NULL);
        must(duck_execf(conn, &err, "CREATE OR REPLACE TEMP TABLE one AS %s", q->body));
    }
    must(duck_exec(conn, "INSERT INTO result FROM one", &err));
    json_decref(*files);
    must(state_save(op->state, conn, batch, files, &err));
    state_settle(op->state, batch);
}

static void one_join(SqlJoinKind kind, bool bounded)
{
    Query q;
    json_t *files = NULL;
    int next = 0;
    int64_t seen[2] = {0, 0}, late = 0, evict = 0;
    bool wants;

    make_query(&q, kind, bounded);
    empty_results(&q);
    StreamOperator *op = open_step(&q.step);
    for (int64_t batch = 0; batch < BATCHES; batch++) {
        for (size_t i = 0; i < 2; i++) {
            int64_t newest = make_input(i ? "b" : "a", &next, 15 + batch * 4, late);
            seen[i] = newest > seen[i] ? newest : seen[i];
        }
        run_batch(&q, op, batch, late, evict, &files);
        int64_t watermark = (seen[0] < seen[1] ? seen[0] : seen[1]) - 5;
        late = evict;
        evict = watermark > evict ? watermark : evict;
    }
    no_input("a");
    no_input("b");
    must(op->ops->wants_batch(op, conn, INT64_C(1) << 40, &wants, &err));
    run_batch(&q, op, BATCHES, late, 1000000, &files);
    assert_true(wants || query_i64("SELECT count(*) FROM one") == 0);
    must(op->ops->wants_batch(op, conn, INT64_C(1) << 40, &wants, &err));
    assert_false(wants);
    for (size_t i = 0; i < 2 && bounded; i++) {
        char sql[256];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", state_table(op->state, i));
        assert_int_equal(query_i64(sql), 0);
    }
    results_agree(&q);
    json_decref(files);
    close_step(op);
}

static void test_stream_join__batches_are_the_join_of_all(void **state)
{
    (void)state;
    test_seed();
    for (int i = 0; i < 2; i++) {
        for (SqlJoinKind kind = SQL_JOIN_INNER; kind <= SQL_JOIN_SEMI; kind++) {
            one_join(kind, true);
        }
        one_join(SQL_JOIN_INNER, false);
    }
}

/* ---- three streams, one stream with itself ---- */

static void test_stream_join__three_streams(void **state)
{
    (void)state;
    test_seed();
    Query q;
    json_t *files = NULL;
    int next = 0;

    make_query(&q, SQL_JOIN_INNER, false);
    q.sides[0].event_time = q.sides[1].event_time = NULL;
    q.sides[2] = (SqlJoinSide){.input = SIDE("c"), .alias = "c"};
    q.step.n_sides = 3;
    q.step.pairs = NULL;
    snprintf(q.body, sizeof q.body,
             "SELECT a.id AS a, b.id AS b, c.id AS c FROM s_0_new a, s_1_all b, s_2_all c WHERE a.k = b.k "
             "AND b.k = c.k UNION ALL SELECT a.id, b.id, c.id FROM s_0_old a, s_1_new b, s_2_all c WHERE "
             "a.k = b.k AND b.k = c.k UNION ALL SELECT a.id, b.id, c.id FROM s_0_old a, s_1_old b, "
             "s_2_new c WHERE a.k = b.k AND b.k = c.k");
    snprintf(q.reference, sizeof q.reference,
             "SELECT a.id AS a, b.id AS b, c.id AS c FROM kept_a a, kept_b b, kept_c c WHERE a.k = b.k AND b.k = c.k");
    empty_results(&q);
    StreamOperator *op = open_step(&q.step);
    for (int64_t batch = 0; batch < BATCHES; batch++) {
        make_input("a", &next, 20, 0);
        make_input("b", &next, 20, 0);
        make_input("c", &next, 20, 0);
        run_batch(&q, op, batch, 0, 0, &files);
    }
    results_agree(&q);
    assert_int_equal(op->figures.rows_late + op->figures.rows_null_time + op->figures.rows_evicted, 0);
    json_decref(files);
    close_step(op);
}

static void test_stream_join__a_stream_with_itself(void **state)
{
    (void)state;
    test_seed();
    Query q;
    json_t *files = NULL;
    int next = 0;

    make_query(&q, SQL_JOIN_INNER, false);
    q.sides[1].input = q.sides[0].input;
    snprintf(q.reference, sizeof q.reference,
             "SELECT a.id AS a, b.id AS b, b.ts AS t FROM kept_a AS a JOIN kept_a AS b ON %s", q.condition);
    empty_results(&q);
    StreamOperator *op = open_step(&q.step);
    for (int64_t batch = 0; batch < BATCHES; batch++) {
        make_input("a", &next, 20, 0);
        run_batch(&q, op, batch, 0, 0, &files);
    }
    results_agree(&q);
    json_decref(files);
    close_step(op);
}

/* ---- moments ---- */

static Query payments(SqlJoinKind kind)
{
    Query q;
    make_query(&q, kind, true);
    q.before = 0;
    q.after = 10;
    snprintf(q.condition, sizeof q.condition, "a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + INTERVAL 10 SECONDS");
    snprintf(q.pairs, sizeof q.pairs, "SELECT a.freshet_row, b.freshet_row FROM {0} AS a JOIN {1} AS b ON %s",
             q.condition);
    q.sides[0].slack_us = 10 * SECOND;
    q.sides[1].slack_us = 0;
    write_body(&q, kind);
    return q;
}

static int64_t rows_of(const Query *q, const char *where)
{
    char sql[8192];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM (%s) WHERE %s", q->body, where);
    return query_i64(sql);
}

/* A row that leaves with the watermark of a batch still meets the rows of that batch. */
static void test_stream_join__match_then_leave(void **state)
{
    (void)state;
    Query q = payments(SQL_JOIN_LEFT);
    q.step.sides = q.sides;
    q.step.pairs = q.pairs;
    empty_results(&q);
    StreamOperator *op = open_step(&q.step);
    input_is("a", "(1, 1, make_timestamp(20000000)), (2, 2, make_timestamp(20000000)), (3, 3, NULL)");
    run(op, 0, 0, 0, NULL);
    assert_int_equal(rows_of(&q, "b IS NULL"), 1); /* the one without time meets nobody */
    no_input("a");
    input_is("b", "(7, 1, make_timestamp(29000000))");
    run(op, 1, 28 * SECOND, 30 * SECOND, NULL);
    assert_int_equal(rows_of(&q, "true"), 2);
    assert_int_equal(rows_of(&q, "a = 1 AND b = 7"), 1);
    assert_int_equal(rows_of(&q, "a = 2 AND b IS NULL"), 1);
    assert_int_equal(op->figures.rows_evicted, 3);
    no_input("b");
    run(op, 2, 30 * SECOND, 30 * SECOND, NULL);
    assert_int_equal(rows_of(&q, "true"), 0);
    close_step(op);
}

static void test_stream_join__late_rows_are_set_aside(void **state)
{
    (void)state;
    Query q = payments(SQL_JOIN_INNER);
    q.step.sides = q.sides;
    q.step.pairs = q.pairs;
    empty_results(&q);
    StreamOperator *op = open_step(&q.step);
    must(duck_exec(conn, "CREATE TEMP TABLE rejected(reason VARCHAR, row JSON)", &err));
    input_is("a", "(1, 1, make_timestamp(5000000)), (2, 1, make_timestamp(5000001)), (3, 1, NULL)");
    input_is("b", "(4, 1, make_timestamp(6000000)), (5, 1, make_timestamp(4000000))");
    run(op, 3, 5 * SECOND, 5 * SECOND, "rejected");
    assert_int_equal(rows_of(&q, "true"), 1);
    assert_int_equal(op->figures.rows_late, 2);
    assert_int_equal(op->figures.rows_null_time, 1);
    assert_int_equal(query_i64("SELECT sum((row->>'id')::INT)::BIGINT FROM rejected WHERE reason = 'late'"), 6);
    must(duck_exec(conn, "DROP TABLE rejected", &err));
    close_step(op);
}

static void test_stream_join__watermark_of_its_rows(void **state)
{
    (void)state;
    Query q = payments(SQL_JOIN_INNER);
    q.step.sides = q.sides;
    q.step.pairs = q.pairs;
    empty_results(&q);
    StreamOperator *op = open_step(&q.step);
    assert_int_equal(op->ops->output_watermark(op, 30 * SECOND), 20 * SECOND);
    assert_true(op->ops->output_watermark(op, INT64_MIN) == INT64_MIN);
    q.sides[0].slack_us = -5 * SECOND;
    assert_int_equal(op->ops->output_watermark(op, 30 * SECOND), 30 * SECOND);
    q.sides[1].bounded = false;
    assert_true(op->ops->output_watermark(op, 30 * SECOND) == INT64_MIN);
    q.sides[1].event_time = NULL;
    assert_int_equal(op->ops->output_watermark(op, 30 * SECOND), 30 * SECOND);
    close_step(op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_join__batches_are_the_join_of_all),
        cmocka_unit_test(test_stream_join__three_streams),
        cmocka_unit_test(test_stream_join__a_stream_with_itself),
        cmocka_unit_test(test_stream_join__match_then_leave),
        cmocka_unit_test(test_stream_join__late_rows_are_set_aside),
        cmocka_unit_test(test_stream_join__watermark_of_its_rows),
    };
    return cmocka_run_group_tests(tests, duck_fixture_up, duck_fixture_down);
}
