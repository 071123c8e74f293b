/* A stream of random rows in batches, for the tests of operators that aggregate: what comes out, batch by batch, must
 * be what DuckDB's own GROUP BY gives over the rows that were not late.
 *
 * Rows lie in `src`: b (batch), ts, c (a country, some null), x INTEGER, d DOUBLE, m DECIMAL(10,2), u BIGINT,
 * s VARCHAR, t BOOLEAN. The operator reads `leaf`, the rows of the batch. `late` holds, per batch, the watermark by
 * which rows are late in it.
 */
#ifndef FRESHET_TEST_AGGREGATE_FIXTURE_H
#define FRESHET_TEST_AGGREGATE_FIXTURE_H

#include "duck_fixture.h"

#include <inttypes.h>

#include "stream/operator.h"
#include "unit.h"

/* a0.. and f0 of every step */
#define ARGUMENTS \
    "x AS a0, d AS a1, m AS a2, u AS a3, s AS a4, t AS a5, 1 + abs(x) % 2 AS a6, ts AS a7, x % 2 = 0 AS f0"
enum { N_ARGUMENTS = 8 };

typedef struct Call {
    const char *function;
    size_t first, n;
    const char *last_constant; /* the last argument, where it is one */
    bool distinct, filtered;
    const SqlOrder *order;
    const char *reference; /* over the rows of src */
    bool rounded;
} Call;

static const SqlOrder BY_TIME = {.column = 7}, BY_TIME_DOWN = {.column = 7, .descending = true};

static const Call CALLS[] = {
    {"count_star", 0, 0, NULL, false, false, NULL, "count(*)", false},
    {"count_star", 0, 0, NULL, false, true, NULL, "count(*) FILTER (x % 2 = 0)", false},
    {"count", 0, 1, NULL, false, false, NULL, "count(x)", false},
    {"count", 4, 1, NULL, true, false, NULL, "count(DISTINCT s)", false},
    {"count", 3, 1, NULL, true, true, NULL, "count(DISTINCT u) FILTER (x % 2 = 0)", false},
    {"count_if", 5, 1, NULL, false, false, NULL, "count_if(t)", false},
    {"sum", 0, 1, NULL, false, false, NULL, "sum(x)", false},
    {"sum", 2, 1, NULL, false, true, NULL, "sum(m) FILTER (x % 2 = 0)", false},
    {"sum", 1, 1, NULL, false, false, NULL, "sum(d)", true},
    {"sum", 0, 1, NULL, true, false, NULL, "sum(DISTINCT x)", false},
    {"avg", 0, 1, NULL, false, false, NULL, "avg(x)", true},
    {"avg", 1, 1, NULL, false, false, NULL, "avg(d)", true},
    {"mean", 2, 1, NULL, false, false, NULL, "avg(m)", true},
    {"avg", 2, 1, NULL, true, false, NULL, "avg(DISTINCT m)", true},
    {"min", 4, 1, NULL, false, false, NULL, "min(s)", false},
    {"max", 7, 1, NULL, false, true, NULL, "max(ts) FILTER (x % 2 = 0)", false},
    {"max", 1, 1, NULL, true, false, NULL, "max(d)", false},
    {"any_value", 4, 1, NULL, false, false, NULL, "min(s)", false},
    {"bool_and", 5, 1, NULL, false, false, NULL, "bool_and(t)", false},
    {"bool_or", 5, 1, NULL, false, true, NULL, "bool_or(t) FILTER (x % 2 = 0)", false},
    {"bit_and", 3, 1, NULL, false, false, NULL, "bit_and(u)", false},
    {"bit_or", 0, 1, NULL, false, false, NULL, "bit_or(x)", false},
    {"bit_xor", 3, 1, NULL, false, false, NULL, "bit_xor(u)", false},
    {"product", 6, 1, NULL, false, false, NULL, "product(1 + abs(x) % 2)", true},
    {"max_by", 0, 2, NULL, false, false, NULL, "(max({'v': d, 'a': x}) FILTER (d IS NOT NULL AND x IS NOT NULL)).a",
     false},
    {"arg_min", 3, 2, NULL, false, true, NULL,
     "(min({'v': s, 'a': u}) FILTER (s IS NOT NULL AND u IS NOT NULL AND x % 2 = 0)).a", false},
    {"stddev", 0, 1, NULL, false, false, NULL, "stddev(x)", true},
    {"var_pop", 1, 1, NULL, false, false, NULL, "var_pop(d)", true},
    {"variance", 2, 1, NULL, false, true, NULL, "var_samp(m) FILTER (x % 2 = 0)", true},
    {"sem", 0, 1, NULL, false, false, NULL, "sem(x)", true},
    {"stddev_samp", 0, 1, NULL, true, false, NULL, "stddev_samp(DISTINCT x)", true},
    {"covar_samp", 0, 2, NULL, false, false, NULL, "covar_samp(x, d)", true},
    {"corr", 0, 2, NULL, false, false, NULL, "corr(x, d)", true},
    {"regr_slope", 0, 2, NULL, false, false, NULL, "regr_slope(x, d)", true},
    {"regr_intercept", 0, 2, NULL, false, false, NULL, "regr_intercept(x, d)", true},
    {"regr_r2", 0, 2, NULL, false, true, NULL, "regr_r2(x, d) FILTER (x % 2 = 0)", true},
    {"regr_count", 0, 2, NULL, false, false, NULL, "regr_count(x, d)", false},
    {"regr_avgx", 0, 2, NULL, false, false, NULL, "regr_avgx(x, d)", true},
    {"median", 0, 1, NULL, false, false, NULL, "median(x)", true},
    {"quantile_cont", 0, 2, "0.9", false, true, NULL, "quantile_cont(x, 0.9) FILTER (x % 2 = 0)", true},
    {"quantile", 0, 2, "0.25", false, false, NULL, "quantile_disc(x, 0.25)", false},
    {"list", 3, 1, NULL, false, false, NULL, "list(u ORDER BY u ASC NULLS LAST)", false},
    {"array_agg", 4, 1, NULL, true, false, NULL, "list_sort(array_agg(DISTINCT s), 'ASC', 'NULLS LAST')", false},
    {"string_agg", 4, 2, "'+'", false, false, NULL, "string_agg(s, '+' ORDER BY s)", false},
    {"list", 0, 1, NULL, false, true, &BY_TIME_DOWN,
     "list(x ORDER BY ts DESC NULLS LAST, x ASC NULLS LAST) FILTER (x % 2 = 0)", false},
    {"first", 0, 1, NULL, false, false, &BY_TIME, "list(x ORDER BY ts ASC NULLS LAST, x ASC NULLS LAST)[1]", false},
    {"last", 0, 1, NULL, false, false, &BY_TIME, "list(x ORDER BY ts ASC NULLS LAST, x ASC NULLS LAST)[-1]", false},
    {"mode", 0, 1, NULL, false, false, NULL, "mode(x ORDER BY x)", false},
    {"entropy", 0, 1, NULL, false, false, NULL, "entropy(x)", true},
    {"approx_count_distinct", 4, 1, NULL, false, false, NULL, "approx_count_distinct(s)", false},
    {"histogram", 0, 1, NULL, false, false, NULL, "histogram(x)", false},
    {"max", 0, 2, "3", false, false, NULL, "max(x, 3)", false},
    {"kurtosis", 0, 1, NULL, false, false, NULL, "kurtosis(x)", true},
};
enum { N_CALLS = sizeof CALLS / sizeof *CALLS };

static int64_t below(int64_t n)
{
    return (int64_t)(random_u64() % (uint64_t)n);
}

/* `batches` batches of about `rows` rows; times go on by `step_us` a batch and differ by up to `spread_us`. */
static void make_stream(int batches, int rows, int64_t start_us, int64_t step_us, int64_t spread_us)
{
    must(duck_execf(conn, &err,
                    "SELECT setseed(%f); CREATE OR REPLACE TABLE src AS SELECT b, make_timestamp(us) AS ts, "
                    "CASE WHEN c < 0.1 THEN NULL ELSE 'c' || (c * 3)::INT END AS c, "
                    "CASE WHEN x > 0.1 THEN (x * 20)::INT - 10 END AS x, "
                    "CASE WHEN d > 0.1 THEN (d * 16)::INT / 4 END::DOUBLE AS d, (m * 1000)::DECIMAL(10, 2) AS m, "
                    "CASE WHEN u > 0.1 THEN (u * 9)::BIGINT END AS u, "
                    "CASE WHEN s > 0.2 THEN 's' || (s * 7)::INT END AS s, CASE WHEN t > 0.2 THEN t > 0.5 END AS t FROM "
                    "(SELECT b, CASE WHEN random() > 0.02 THEN %" PRId64 " + b * %" PRId64 " + (random() * %" PRId64
                    ")::BIGINT END AS us, random() AS c, random() AS x, random() AS d, random() AS m, random() AS u, "
                    "random() AS s, random() AS t FROM range(%d) AS b(b), range(%d) AS r(r) WHERE random() > 0.3)",
                    (double)below(1000) / 1000, start_us, step_us, spread_us, batches, rows));
    must(duck_exec(conn, "CREATE OR REPLACE TEMP VIEW leaf AS SELECT * FROM src WHERE false", &err));
}

static void choose_calls(SqlAggregate *out, const Call **chosen, size_t n)
{
    static const char *constants[N_CALLS][2];

    for (size_t i = 0; i < n; i++) {
        const Call *call = &CALLS[n >= N_CALLS ? i : (size_t)below(N_CALLS)];
        size_t at = (size_t)(call - CALLS);
        chosen[i] = call;
        constants[at][1] = call->last_constant;
        out[i] = (SqlAggregate){.function = call->function,
                                .first = call->first,
                                .n_arguments = call->n,
                                .constants = call->last_constant ? constants[at] : NULL,
                                .distinct = call->distinct,
                                .has_filter = call->filtered,
                                .orders = call->order,
                                .n_orders = call->order ? 1 : 0,
                                .text = call->reference};
    }
}

/* ", <reference> AS r0, ..." */
static void append_references(Text *out, const Call *const *chosen, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        text_printf(out, ", %s AS r%zu", chosen[i]->reference, i);
    }
}

/* The columns as they can be compared: k0.., r0.. What is no exact number is rounded, and not where halves lie. */
static void append_compared(Text *out, size_t n_keys, const Call *const *chosen, size_t n)
{
    text_append(out, "SELECT 0");
    for (size_t i = 0; i < n_keys; i++) {
        text_printf(out, ", k%zu", i);
    }
    for (size_t i = 0; i < n; i++) {
        text_printf(out, chosen[i]->rounded ? ", round(r%zu * 1.2345678901, 5) + 0.0" : ", r%zu", i);
    }
}

static void show(const char *title, const char *sql)
{
    DuckResult *result;
    bool more;

    print_message("%s\n", title);
    must(duck_query(conn, sql, &result, &err));
    for (int i = 0; i < 5; i++) {
        must(duck_result_next(result, &more, &err));
        if (!more) {
            break;
        }
        Text line = TEXT(1 << 20);
        for (size_t c = 0; c < duck_result_columns(result); c++) {
            text_append(&line, " | ");
            if (!duck_result_print(result, c, &line)) {
                text_append(&line, "NULL");
            }
        }
        print_message("%s\n", text_str(&line));
        text_free(&line);
    }
    duck_result_free(result);
}

/* Both relations must have the same rows. */
static void same_rows(const char *got, const char *wanted)
{
    Text missing = TEXT(1 << 20), extra = TEXT(1 << 20), count = TEXT(1 << 20);

    text_printf(&missing, "(%s) EXCEPT ALL (%s)", wanted, got);
    text_printf(&extra, "(%s) EXCEPT ALL (%s)", got, wanted);
    text_printf(&count, "SELECT (SELECT count(*) FROM (%s)) + (SELECT count(*) FROM (%s))", text_str(&missing),
                text_str(&extra));
    if (query_i64(text_str(&count)) != 0) {
        show("missing", text_str(&missing));
        show("not expected", text_str(&extra));
        fail_msg("other rows than DuckDB's own");
    }
    text_free(&missing);
    text_free(&extra);
    text_free(&count);
}

/* ---- an operator and what it has put out ---- */

static int stores;

typedef struct Run {
    StreamOperatorSpec spec;
    StreamOperator *op;
    json_t *files;
    int64_t watermark_us, late_us, batch;
    StreamOperatorFigures total;
} Run;

static void run_open(Run *run)
{
    Error local = ERROR_NONE;

    if ((run->spec.step->kind == SQL_STEP_SESSION ? stream_session_open
                                                  : stream_aggregate_open)(conn, &run->spec, &run->op, &local) != OK) {
        fail_msg("open: %s", local.message);
    }
    must(state_load(run->op->state, conn, run->files, &err));
}

static Run run_new(const SqlStep *step, SqlOutputMode mode)
{
    char uri[64];
    Run run = {.spec = {.step = step, .mode = mode, .flow = "f"}, .watermark_us = INT64_MIN, .late_us = INT64_MIN};

    snprintf(uri, sizeof uri, "memory://aggregate-%d", ++stores);
    must(store_open(uri, &run.spec.checkpoint, &err));
    run_open(&run);
    must(duck_exec(conn, "CREATE OR REPLACE TABLE late(b BIGINT, us BIGINT)", &err));
    must(duck_execf(conn, &err, "CREATE OR REPLACE TABLE got AS SELECT * FROM %s", step->name));
    return run;
}

static void run_free(Run *run)
{
    run->op->ops->close(run->op);
    json_decref(run->files);
    store_unref(run->spec.checkpoint);
}

/* The process ends and comes back. */
static void run_restart(Run *run)
{
    run->op->ops->close(run->op);
    run_open(run);
}

/* One batch over `leaf`, saved; its output goes into `got` as the sink would put it there. */
static void run_batch(Run *run, const char *rejected)
{
    const char *name = run->spec.step->name;
    StreamOperatorBatch batch = {
        .batch = run->batch, .late_us = run->late_us, .evict_us = run->watermark_us, .rejected = rejected};
    json_t *files = NULL;

    state_begin(run->op->state);
    must(run->op->ops->run(run->op, conn, &batch, &err));
    must(state_save(run->op->state, conn, run->batch, &files, &err));
    state_settle(run->op->state, run->batch);
    json_decref(run->files);
    run->files = files;
    run->total.rows_late += run->op->figures.rows_late;
    run->total.rows_null_time += run->op->figures.rows_null_time;
    run->total.rows_out += run->op->figures.rows_out;
    must(duck_execf(conn, &err, "INSERT INTO late SELECT %" PRId64 ", %" PRId64, run->batch, run->late_us));
    if (run->spec.mode == SQL_OUTPUT_COMPLETE) {
        must(duck_exec(conn, "DELETE FROM got", &err));
    } else if (run->spec.mode == SQL_OUTPUT_UPDATE && run->spec.step->n_keys == 0) {
        must(duck_exec(conn, "DELETE FROM got", &err));
    } else if (run->spec.mode == SQL_OUTPUT_UPDATE) {
        Text sql = TEXT(4096);
        text_printf(&sql, "DELETE FROM got USING %s AS n WHERE true", name);
        for (size_t i = 0; i < run->spec.step->n_keys; i++) {
            text_printf(&sql, " AND got.k%zu IS NOT DISTINCT FROM n.k%zu", i, i);
        }
        must(duck_exec(conn, text_str(&sql), &err));
        text_free(&sql);
    }
    must(duck_execf(conn, &err, "INSERT INTO got SELECT * FROM %s", name));
    run->late_us = run->watermark_us;
    run->batch++;
}

/* All batches of src and one without rows after them; the watermark follows the times by `delay_us`. */
static void run_stream(Run *run, int batches, int64_t delay_us)
{
    for (int b = 0; b < batches; b++) {
        must(duck_execf(conn, &err, "CREATE OR REPLACE TEMP VIEW leaf AS SELECT * FROM src WHERE b = %d", b));
        if (below(4) == 0) {
            run_restart(run);
        }
        run_batch(run, NULL);
        int64_t seen = query_i64("SELECT coalesce(epoch_ms(max(ts)) * 1000, -9000000000000000) FROM leaf") - delay_us;
        run->watermark_us = seen > run->watermark_us ? seen : run->watermark_us;
    }
    must(duck_exec(conn, "CREATE OR REPLACE TEMP VIEW leaf AS SELECT * FROM src WHERE false", &err));
    run_batch(run, NULL);
}

#endif
