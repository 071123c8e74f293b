/* DISTINCT over a stream, against a model that goes row by row. */
#include "operator_fixture.h"

#include "base/clock.h"

enum { NEVER = -1, ROWS_MAX = 400, SECOND = 1000000 };

static SqlStep step_of(const char *input, size_t n_distinct)
{
    return (SqlStep){.kind = SQL_STEP_DISTINCT,
                     .name = "freshet_step_0",
                     .fingerprint = "f",
                     .title = "id",
                     .input = input,
                     .n_distinct = n_distinct};
}

/* Rows of a relation of the state. */
static int64_t kept(const StreamOperator *op, size_t relation)
{
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", state_table(op->state, relation));
    return query_i64(sql);
}

static void rows_are(const char *rows)
{
    DuckResult *result;
    must(
        duck_query(conn,
                   "SELECT coalesce(string_agg(format('{},{}', coalesce(id, 'NULL'), v), ' ' ORDER BY id, v), '') FROM "
                   "freshet_step_0",
                   &result, &err));
    bool more;
    must(duck_result_next(result, &more, &err));
    char *text = duck_result_text_dup(result, 0);
    assert_string_equal(text, rows);
    mem_free(text);
    duck_result_free(result);
}

static void input_is(const char *values)
{
    must(duck_execf(conn, &err, "CREATE OR REPLACE TEMP TABLE cur AS SELECT * FROM (VALUES %s) AS t(id, v, ts)",
                    values));
}

static void test_stream_distinct__first_row_of_a_key(void **state)
{
    (void)state;
    input_is("('a', 1, TIMESTAMP '2026-01-01')");
    SqlStep step = step_of("SELECT id, v, id AS d0 FROM cur", 1);
    StreamOperator *op = open_step(&step);
    rows_are("");
    input_is("('a', 2, NULL), ('a', 1, NULL), ('b', 1, NULL), (NULL, 7, NULL), (NULL, 6, NULL)");
    run(op, 0, INT64_MIN, INT64_MIN, NULL);
    rows_are("a,1 b,1 NULL,6");
    assert_int_equal(op->figures.rows_out, 3);
    assert_int_equal(op->figures.rows_duplicate, 2);
    input_is("('a', 0, NULL), ('c', 1, NULL), (NULL, 1, NULL)");
    run(op, 1, INT64_MIN, INT64_MIN, NULL);
    rows_are("c,1");
    assert_int_equal(op->figures.rows_duplicate, 2);
    input_is("('a', 0, NULL)");
    run(op, 2, INT64_MIN, INT64_MIN, NULL);
    rows_are("");
    close_step(op);
}

/* A text is kept as UUID only where that gives the same text back. */
static void test_stream_distinct__uuid_texts_stay_apart(void **state)
{
    (void)state;
    const char *all =
        "('0f8fad5b-d9cb-469f-a165-70867728950e', 1, NULL), ('0F8FAD5B-d9cb-469f-a165-70867728950e', 2, NULL), "
        "('0f8fad5bd9cb469fa16570867728950e', 3, NULL), ('{0f8fad5b-d9cb-469f-a165-70867728950e}', 4, NULL), "
        "('0f8fad5b-d9cb-469f-a165-70867728950x', 5, NULL), ('', 6, NULL), (NULL, 7, NULL)";
    input_is(all);
    SqlStep step = step_of("SELECT id, v, id AS d0 FROM cur", 1);
    StreamOperator *op = open_step(&step);
    run(op, 0, INT64_MIN, INT64_MIN, NULL);
    assert_int_equal(op->figures.rows_out, 7);
    assert_int_equal(kept(op, 1), 1);
    run(op, 1, INT64_MIN, INT64_MIN, NULL);
    assert_int_equal(op->figures.rows_out, 0);
    assert_int_equal(op->figures.rows_duplicate, 7);
    close_step(op);
}

static void test_stream_distinct__many_keys_of_any_type(void **state)
{
    (void)state;
    const char *select = "SELECT id, v, id AS d0, [v, NULL] AS d1, {'x': v, 'y': ts} AS d2, v::DOUBLE AS d3 FROM cur";
    input_is(
        "('a', 1, NULL), ('a', 1, NULL), ('a', NULL, TIMESTAMP '2026-01-01'), ('a', NULL, NULL), ('a', NULL, NULL)");
    SqlStep step = step_of(select, 4);
    StreamOperator *op = open_step(&step);
    run(op, 0, INT64_MIN, INT64_MIN, NULL);
    assert_int_equal(op->figures.rows_out, 3);
    run(op, 1, INT64_MIN, INT64_MIN, NULL);
    assert_int_equal(op->figures.rows_out, 0);
    assert_int_equal(kept(op, 0), 3);
    close_step(op);
}

static void test_stream_distinct__columns_of_any_name(void **state)
{
    (void)state;
    input_is("('a', 1, TIMESTAMP '1970-01-01 00:00:05'), ('A', 2, TIMESTAMP '1970-01-01 00:00:07')");
    SqlStep step = step_of("SELECT id, v, id AS d0, v AS t0, upper(id) AS d0, ts AS t0 FROM cur", 1);
    step.has_event_time = step.watermarked = true;
    StreamOperator *op = open_step(&step);
    run(op, 0, 4 * SECOND, 4 * SECOND, NULL);
    rows_are("a,1");
    assert_int_equal(op->figures.rows_late, 0);
    close_step(op);
}

/* The keys d0.. of a query without ON are of no consequence: its columns are. */
static void test_stream_distinct__whole_rows(void **state)
{
    (void)state;
    input_is("('a', 1, TIMESTAMP '1970-01-01 00:00:09'), ('a', 1, NULL), ('a', 1, TIMESTAMP '1970-01-01 00:00:07'), "
             "(NULL, NULL, NULL), (NULL, NULL, NULL), ('a', 2, TIMESTAMP '1970-01-01 00:00:01')");
    SqlStep step = step_of("SELECT id, v, 1 AS d0, ts AS t0 FROM cur", 1);
    step.whole_rows = step.has_event_time = step.watermarked = step.within_watermark = true;
    step.delay_us = 2 * SECOND;
    StreamOperator *op = open_step(&step);
    run(op, 0, 1 * SECOND, 1 * SECOND, NULL);
    assert_int_equal(op->figures.rows_out, 2);
    assert_int_equal(op->figures.rows_duplicate, 3);
    assert_int_equal(op->figures.rows_late, 1);
    run(op, 1, 1 * SECOND, 9 * SECOND, NULL); /* 7 s and the delay; nothing and the delay */
    assert_int_equal(op->figures.rows_out, 0);
    assert_int_equal(op->figures.rows_evicted, 2);
    assert_int_equal(kept(op, 0), 0);
    close_step(op);
}

static void test_stream_distinct__late_rows_are_set_aside(void **state)
{
    (void)state;
    input_is("('a', 1, TIMESTAMP '1970-01-01 00:00:05'), ('b', 2, TIMESTAMP '1970-01-01 00:00:06'), ('c', 3, NULL)");
    SqlStep step = step_of("SELECT id, v, id AS d0, ts AS t0 FROM cur", 1);
    step.has_event_time = step.watermarked = true;
    StreamOperator *op = open_step(&step);
    must(duck_exec(conn, "CREATE TEMP TABLE rejected(reason VARCHAR, row JSON)", &err));
    run(op, 0, 5 * SECOND, 6 * SECOND, "rejected");
    rows_are("b,2 c,3");
    assert_int_equal(op->figures.rows_late, 1);
    assert_int_equal(op->figures.rows_duplicate, 0);
    assert_int_equal(op->figures.rows_evicted, 0);
    assert_int_equal(
        query_i64("SELECT count(*) FROM rejected WHERE reason = 'late' AND row = '{\"id\":\"a\",\"v\":1}'"), 1);
    close_step(op);
    must(duck_exec(conn, "DROP TABLE rejected", &err));
}

static void test_stream_distinct__wants_a_batch_for_what_can_go(void **state)
{
    (void)state;
    input_is("('a', 1, TIMESTAMP '1970-01-01 00:00:05')");
    SqlStep step = step_of("SELECT id, v, id AS d0, ts AS t0 FROM cur", 1);
    step.has_event_time = step.watermarked = step.within_watermark = true;
    step.delay_us = 10 * SECOND;
    StreamOperator *op = open_step(&step);
    bool wants;
    run(op, 0, INT64_MIN, INT64_MIN, NULL);
    must(op->ops->wants_batch(op, conn, 15 * SECOND - 1, &wants, &err));
    assert_false(wants);
    must(op->ops->wants_batch(op, conn, 15 * SECOND, &wants, &err));
    assert_true(wants);
    run(op, 1, 0, 15 * SECOND, NULL);
    assert_int_equal(op->figures.rows_duplicate, 1);
    assert_int_equal(op->figures.rows_evicted, 1);
    must(op->ops->wants_batch(op, conn, 15 * SECOND, &wants, &err));
    assert_false(wants);
    assert_string_equal(op->ops->name, "dedupeWithinWatermark");
    assert_int_equal(op->ops->output_watermark(op, 7), 7);
    close_step(op);
}

/* ---- the model ---- */

typedef struct Row {
    int key; /* -1: null */
    int v;
    int64_t time; /* seconds; NEVER: null */
} Row;

typedef struct Model {
    bool timed, within, key_time;
    int64_t delay;
    struct {
        int key;
        int64_t time, expires; /* NEVER: for ever */
        bool gone;
    } seen[ROWS_MAX];
    size_t n_seen;
    int64_t late, duplicate, evicted;
} Model;

static bool model_has(const Model *model, const Row *row)
{
    for (size_t i = 0; i < model->n_seen; i++) {
        if (!model->seen[i].gone && model->seen[i].key == row->key &&
            (!model->key_time || model->seen[i].time == row->time)) {
            return true;
        }
    }
    return false;
}

static int by_time(const void *a, const void *b)
{
    const Row *x = a, *y = b;
    uint64_t s = (uint64_t)x->time, t = (uint64_t)y->time; /* null last */
    return s != t ? (s < t ? -1 : 1) : x->v - y->v;
}

/* Takes the rows of a batch, writes those that go on as the table `expected`. */
static void model_run(Model *model, Row *rows, size_t n, int64_t late, int64_t evict)
{
    must(duck_exec(conn, "CREATE OR REPLACE TEMP TABLE expected(id VARCHAR, v INT, ts TIMESTAMP)", &err));
    model->late = model->duplicate = model->evicted = 0;
    if (model->timed) { /* else they are in the order of v */
        qsort(rows, n, sizeof *rows, by_time);
    }
    for (size_t i = 0; i < n; i++) {
        if (model->timed && rows[i].time != NEVER && rows[i].time <= late) {
            model->late++;
        } else if (model_has(model, &rows[i])) {
            model->duplicate++;
        } else {
            int64_t expires = rows[i].time;
            if (model->within) {
                expires = (rows[i].time != NEVER ? rows[i].time : 0) + model->delay;
            } else if (!model->key_time) {
                expires = NEVER;
            }
            model->seen[model->n_seen].key = rows[i].key;
            model->seen[model->n_seen].time = rows[i].time;
            model->seen[model->n_seen++].expires = expires;
            must(duck_execf(conn, &err, "INSERT INTO expected SELECT id, v, ts FROM cur WHERE n = %d", rows[i].v));
        }
    }
    for (size_t i = 0; i < model->n_seen; i++) {
        if (!model->seen[i].gone && model->seen[i].expires != NEVER && model->seen[i].expires <= evict) {
            model->seen[i].gone = true;
            model->evicted++;
        }
    }
}

static uint64_t below(uint64_t n)
{
    return random_u64() % n;
}

/* Keys are uuids, other texts and null; v is different for every row. */
static size_t make_batch(Row *rows, int *next, int64_t now)
{
    size_t n = (size_t)below(30);
    must(duck_exec(conn, "CREATE OR REPLACE TEMP TABLE cur(n INT, id VARCHAR, v INT, ts TIMESTAMP)", &err));
    for (size_t i = 0; i < n; i++) {
        rows[i] = (Row){
            .key = (int)below(25) - 1, .v = (*next)++, .time = below(10) ? now - 15 + (int64_t)below(25) : NEVER};
        if (rows[i].time < 0) {
            rows[i].time = NEVER;
        }
        must(duck_execf(conn, &err,
                        "INSERT INTO cur SELECT %d, CASE WHEN %d < 0 THEN NULL WHEN %d %% 3 = 0 THEN 'key ' || %d ELSE "
                        "format('00000000-0000-4000-8000-{:012d}', %d) END, %d, make_timestamp(nullif(%" PRId64
                        ", -1) * 1000000)",
                        rows[i].v, rows[i].key, rows[i].key, rows[i].key, rows[i].key, rows[i].v, rows[i].time));
    }
    return n;
}

static int64_t rows_that_differ(void)
{
    return query_i64("SELECT count(*) FROM ((SELECT id, v, ts FROM freshet_step_0 EXCEPT ALL FROM expected) UNION ALL "
                     "(FROM expected EXCEPT ALL SELECT id, v, ts FROM freshet_step_0))");
}

static void one_stream(bool timed, bool within, bool key_time)
{
    static Model model;
    memset(&model, 0, sizeof model);
    model.timed = timed;
    model.within = within;
    model.key_time = key_time;
    model.delay = 10;
    must(duck_exec(conn, "CREATE OR REPLACE TEMP TABLE cur(n INT, id VARCHAR, v INT, ts TIMESTAMP)", &err));
    SqlStep step = step_of(key_time ? "SELECT id, v, ts, id AS d0, ts AS d1, ts AS t0 FROM cur"
                           : timed  ? "SELECT id, v, ts, id AS d0, ts AS t0 FROM cur"
                                    : "SELECT id, v, ts, id AS d0 FROM cur",
                           key_time ? 2 : 1);
    step.has_event_time = step.watermarked = timed;
    step.within_watermark = within;
    step.event_time_is_key = key_time;
    step.delay_us = 10 * SECOND;
    StreamOperator *op = open_step(&step);
    int64_t late = INT64_MIN / SECOND, evict = late;
    int next = 0;
    json_t *files = NULL;
    for (int batch = 0; batch < 10; batch++) {
        Row rows[32];
        size_t n = make_batch(rows, &next, 20 + batch * 5);
        if (below(3)) {
            evict = 20 + batch * 5 - 12 > evict ? 20 + batch * 5 - 12 : evict;
        }
        model_run(&model, rows, n, late, evict);
        for (uint64_t again = below(2); again < 2; again++) {
            must(state_load(op->state, conn, files, &err));
            run(op, batch, late < 0 ? INT64_MIN : late * SECOND, evict < 0 ? INT64_MIN : evict * SECOND, NULL);
            assert_int_equal(rows_that_differ(), 0);
            assert_int_equal(op->figures.rows_late, model.late);
            assert_int_equal(op->figures.rows_duplicate, model.duplicate);
            assert_int_equal(op->figures.rows_evicted, model.evicted);
        }
        json_decref(files);
        must(state_save(op->state, conn, batch, &files, &err));
        state_settle(op->state, batch);
        late = evict;
    }
    json_decref(files);
    close_step(op);
}

static void test_stream_distinct__agrees_with_a_model(void **state)
{
    (void)state;
    test_seed();
    for (int i = 0; i < 4; i++) {
        one_stream(false, false, false);
        one_stream(true, false, false);
        one_stream(true, true, false);
        one_stream(true, false, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_distinct__first_row_of_a_key),
        cmocka_unit_test(test_stream_distinct__uuid_texts_stay_apart),
        cmocka_unit_test(test_stream_distinct__many_keys_of_any_type),
        cmocka_unit_test(test_stream_distinct__columns_of_any_name),
        cmocka_unit_test(test_stream_distinct__whole_rows),
        cmocka_unit_test(test_stream_distinct__late_rows_are_set_aside),
        cmocka_unit_test(test_stream_distinct__wants_a_batch_for_what_can_go),
        cmocka_unit_test(test_stream_distinct__agrees_with_a_model),
    };
    return cmocka_run_group_tests(tests, duck_fixture_up, duck_fixture_down);
}
