/* session_window() over a stream: rows of a key whose times follow each other closely are one group.
 *
 * A row alone is the session [time, time + gap); sessions of a key that overlap or touch are one, from the first start
 * to the last end. The gap may differ from row to row.
 *
 * State: sessions   keys (those but the session's; `g` when there are none), start, "end", s0.. (stream/aggregate.h),
 *                   l0..: the values of each side as a LIST of STRUCT(v0..), with repetitions unless the side has
 *                   each value once
 *
 * Stored sessions of a key never touch each other. One batch:
 *
 *   rows      the input with start and "end", in a temporary table; what has neither, or ends behind the watermark of
 *             the batch before (judged alone, not by the session it would join), is counted and left aside
 *   islands   sessions of the batch's rows alone, with partial results
 *   join      islands and the stored sessions that touch one of them, in islands again: these take the place of the
 *             stored ones. It is enough to look at those: two stored ones become one through an island that touches both
 *   output    append: what ends at or before the watermark, and leaves; complete: everything
 */
#include <stdio.h>
#include <string.h>

#include "stream/aggregate.h"
#include "stream/op_text.h"
#include "stream/operator.h"
#include "stream/reason.h"

typedef struct Session {
    StreamOperator base;
    DuckConn *conn;
    Arena *arena;
    AggregateLayout *layout;
    SqlOutputMode mode;
    bool evicts;
    size_t *keys;                           /* k<keys[i]> of the input: all but the session's */
    size_t n_keys;                          /* 0: there is one group, g = 0 */
    const char *type;                       /* of the session in the output */
    const char *make_time;                  /* function that makes its start and end */
    const DuckColumnInfo *lists;            /* l0.. */
    char rows[64], islands[64], joined[64]; /* temporary tables of a batch */
    int64_t evicted_us;
} Session;

/* ---- pieces of text ---- */

/* "k1, k2, " of a row "o." or "". */
static void append_keys(const Session *op, const char *row, Text *out)
{
    for (size_t i = 0; i < op->n_keys; i++) {
        text_printf(out, "%sk%zu, ", row, op->keys[i]);
    }
    if (op->n_keys == 0) {
        text_printf(out, "%sg, ", row);
    }
}

static void append_match(const Session *op, const char *a, const char *b, Text *out)
{
    for (size_t i = 0; i < op->n_keys; i++) {
        text_printf(out, "%s.k%zu IS NOT DISTINCT FROM %s.k%zu AND ", a, op->keys[i], b, op->keys[i]);
    }
    if (op->n_keys == 0) {
        text_printf(out, "%s.g = %s.g AND ", a, b);
    }
}

static void append_state_columns(const Session *op, Text *out)
{
    for (size_t i = 0; i < op->layout->n_columns; i++) {
        text_printf(out, ", s%zu", i);
    }
    for (size_t i = 0; i < op->layout->n_sides; i++) {
        text_printf(out, ", l%zu", i);
    }
}

/* Rows with keys, start and "end", numbered by the island they are in: a relation. Rows begin an island when they start
 * after everything before them has ended; those that start together do so together, in whatever order the two windows
 * take them. */
static void append_islands(const Session *op, const char *rows, Text *out)
{
    text_append(out, "(SELECT *, sum(begins) OVER (PARTITION BY ");
    append_keys(op, "", out);
    text_append(out, "1 ORDER BY start RANGE UNBOUNDED PRECEDING) AS island FROM (SELECT *, CASE WHEN start <= "
                     "max(\"end\") OVER (PARTITION BY ");
    append_keys(op, "", out);
    text_printf(out,
                "1 ORDER BY start GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) THEN 0 ELSE 1 END AS "
                "begins FROM %s))",
                rows);
}

/* ", list(<values of a row>) AS l0, ..." over the columns of the input */
static void append_list_partials(const AggregateLayout *layout, Text *out)
{
    for (size_t i = 0; i < layout->n_sides; i++) {
        const AggregateSide *side = &layout->sides[i];
        text_append(out, side->once ? ", list(DISTINCT {" : ", list({");
        for (size_t v = 0; v < side->n_columns; v++) {
            text_printf(out, "%s'v%zu': a%zu", v ? ", " : "", v, side->columns[v]);
        }
        text_append(out, "}) FILTER (WHERE ");
        aggregate_append_side_condition(layout, i, out);
        text_printf(out, ") AS l%zu", i);
    }
}

static void append_list_combines(const AggregateLayout *layout, Text *out)
{
    for (size_t i = 0; i < layout->n_sides; i++) {
        const char *distinct = layout->sides[i].once ? "list_distinct" : "";
        text_printf(out, ", %s(flatten(list(l%zu) FILTER (WHERE l%zu IS NOT NULL))) AS l%zu", distinct, i, i, i);
    }
}

/* ---- a batch ---- */

static Status keep_rows(const Session *op, DuckConn *conn, Error *err)
{
    const SqlStep *step = op->base.step;
    Text sql = TEXT(TEXT_SQL_MAX);

    text_printf(&sql,
                "CREATE OR REPLACE TEMP TABLE %s AS SELECT *%s, epoch_us(k%zu) AS start, epoch_us(k%zu + CAST(g0 AS "
                "INTERVAL)) AS \"end\" "
                "FROM (%s)",
                op->rows, op->n_keys ? "" : ", 0::TINYINT AS g", step->session_key, step->session_key, step->input);
    return op_run_text(conn, &sql, err);
}

/* Conditions on a kept row. */
#define TIMED "coalesce(start < \"end\", false)"

static void append_late(const Session *op, const StreamOperatorBatch *batch, Text *out)
{
    if (op->evicts && batch->late_us != INT64_MIN) {
        text_printf(out, "\"end\" <= %lld", (long long)batch->late_us);
    } else {
        text_append(out, "false");
    }
}

static Status set_aside(Session *op, DuckConn *conn, const StreamOperatorBatch *batch, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX), late = TEXT(4096);
    int64_t numbers[2] = {0};
    Status rc = OK;

    append_late(op, batch, &late);
    text_printf(&sql, "SELECT count(*) FILTER (WHERE NOT " TIMED "), count(*) FILTER (WHERE " TIMED " AND %s) FROM %s",
                text_str(&late), op->rows);
    TRY(duck_query_numbers(conn, text_str(&sql), numbers, 2, err));
    op->base.figures.rows_null_time = numbers[0];
    op->base.figures.rows_late = numbers[1];
    if (batch->rejected && numbers[0] + numbers[1] > 0) {
        text_clear(&sql);
        text_printf(&sql, "INSERT INTO %s SELECT CASE WHEN " TIMED " THEN '%s' ELSE '%s' END, ", batch->rejected,
                    STREAM_REASON_TEXTS[REASON_LATE], STREAM_REASON_TEXTS[REASON_NO_TIME]);
        aggregate_append_row(op->layout, &sql);
        text_printf(&sql, " FROM %s WHERE NOT " TIMED " OR %s", op->rows, text_str(&late));
        TRY(duck_exec(conn, text_str(&sql), err));
    }
out:
    text_free(&sql);
    text_free(&late);
    return rc;
}

/* The batch's own sessions. */
static Status make_islands(const Session *op, DuckConn *conn, const StreamOperatorBatch *batch, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX), rows = TEXT(TEXT_SQL_MAX);

    text_printf(&rows, "(SELECT * FROM %s WHERE " TIMED " AND NOT (", op->rows);
    append_late(op, batch, &rows);
    text_append(&rows, "))");
    text_printf(&sql, "CREATE OR REPLACE TEMP TABLE %s AS SELECT ", op->islands);
    append_keys(op, "", &sql);
    text_append(&sql, "min(start) AS start, max(\"end\") AS \"end\"");
    aggregate_append_partials(op->layout, &sql);
    append_list_partials(op->layout, &sql);
    text_append(&sql, " FROM ");
    append_islands(op, text_str(&rows), &sql);
    text_append(&sql, " GROUP BY ");
    append_keys(op, "", &sql);
    text_append(&sql, "island");
    text_free(&rows);
    return op_run_text(conn, &sql, err);
}

/* The stored sessions that touch an island: a relation. */
static void append_touched(const Session *op, Text *out)
{
    text_printf(out, "(SELECT o.* FROM %s o SEMI JOIN %s n ON ", state_table(op->base.state, 0), op->islands);
    append_match(op, "o", "n", out);
    text_append(out, "o.start <= n.\"end\" AND n.start <= o.\"end\")");
}

/* Islands and stored sessions, joined where they touch, take the place of the stored ones. */
static Status join_sessions(const Session *op, DuckConn *conn, const StreamOperatorBatch *batch, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX), rows = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    text_append(&rows, "(SELECT ");
    append_keys(op, "", &rows);
    text_append(&rows, "start, \"end\"");
    append_state_columns(op, &rows);
    text_append(&rows, " FROM ");
    append_touched(op, &rows);
    text_printf(&rows, " UNION ALL SELECT * FROM %s)", op->islands);

    text_printf(&sql, "CREATE OR REPLACE TEMP TABLE %s AS SELECT ", op->joined);
    append_keys(op, "", &sql);
    text_append(&sql, "first_start, last_end");
    aggregate_append_combined(op->layout, &sql);
    for (size_t i = 0; i < op->layout->n_sides; i++) {
        text_printf(&sql, ", l%zu", i);
    }
    text_append(&sql, " FROM (SELECT ");
    append_keys(op, "", &sql);
    text_append(&sql, "min(start) AS first_start, max(\"end\") AS last_end");
    aggregate_append_combines(op->layout, "start", &sql);
    append_list_combines(op->layout, &sql);
    text_append(&sql, " FROM ");
    append_islands(op, text_str(&rows), &sql);
    text_append(&sql, " GROUP BY ");
    append_keys(op, "", &sql);
    text_append(&sql, "island)");
    TRY(duck_exec(conn, text_str(&sql), err));

    text_clear(&sql);
    text_append(&sql, "SELECT ");
    append_keys(op, "", &sql);
    text_append(&sql, "start FROM ");
    append_touched(op, &sql);
    TRY(state_delete(op->base.state, conn, 0, text_str(&sql), batch->batch, err));
    TRY(duck_execf(conn, err, "INSERT INTO %s SELECT *, %lld FROM %s", state_table(op->base.state, 0),
                   (long long)batch->batch, op->joined));
out:
    text_free(&sql);
    text_free(&rows);
    return rc;
}

/* ---- output ---- */

static void append_chosen(const Session *op, const StreamOperatorBatch *batch, Text *out)
{
    text_printf(out, "(SELECT * FROM %s", state_table(op->base.state, 0));
    if (op->mode == SQL_OUTPUT_APPEND) {
        text_printf(out, " WHERE \"end\" <= %lld", (long long)batch->evict_us);
    }
    text_append_char(out, ')');
}

/* The answers that come from a list, per session: a relation. */
static void append_answers(const Session *op, const StreamOperatorBatch *batch, size_t i, Text *out)
{
    const AggregateSide *side = &op->layout->sides[i];

    text_append(out, "(SELECT ");
    append_keys(op, "", out);
    text_append(out, "start, true AS present");
    aggregate_append_side_finals(op->layout, i, out);
    text_append(out, " FROM (SELECT ");
    append_keys(op, "", out);
    text_append(out, "start");
    for (size_t v = 0; v < side->n_columns; v++) {
        text_printf(out, ", value.v%zu", v);
    }
    text_append(out, " FROM (SELECT ");
    append_keys(op, "", out);
    text_printf(out, "start, unnest(l%zu) AS value FROM ", i);
    append_chosen(op, batch, out);
    text_append(out, ")) GROUP BY ");
    append_keys(op, "", out);
    text_append(out, "start)");
}

static Status put_out(Session *op, DuckConn *conn, const StreamOperatorBatch *batch, Error *err)
{
    const SqlStep *step = op->base.step;
    Text sql = TEXT(TEXT_SQL_MAX);

    text_printf(&sql, "CREATE OR REPLACE TEMP TABLE %s AS SELECT ", step->name);
    for (size_t i = 0; i < step->n_keys; i++) {
        text_append(&sql, i ? ", " : "");
        if (i == step->session_key) {
            op_append_window(op->make_time, "g.start", "g.\"end\"", op->type, &sql);
            text_printf(&sql, " AS k%zu", i);
        } else {
            text_printf(&sql, "g.k%zu", i);
        }
    }
    aggregate_append_finals(op->layout, "g.", &sql);
    text_append(&sql, " FROM ");
    append_chosen(op, batch, &sql);
    text_append(&sql, " g");
    for (size_t i = 0; i < op->layout->n_sides; i++) {
        char name[32];
        snprintf(name, sizeof name, "side%zu", i);
        text_append(&sql, " LEFT JOIN ");
        append_answers(op, batch, i, &sql);
        text_printf(&sql, " %s ON ", name);
        append_match(op, "g", name, &sql);
        text_printf(&sql, "g.start = %s.start", name);
    }
    Status rc = duck_exec(conn, text_str(&sql), err);
    if (rc == OK) {
        rc = op_count_rows(conn, step->name, &op->base.figures.rows_out, err);
    }
    text_free(&sql);
    return rc;
}

static Status session_run(StreamOperator *base, DuckConn *conn, const StreamOperatorBatch *batch, Error *err)
{
    Session *op = (Session *)base;
    Status rc = OK;

    base->figures = (StreamOperatorFigures){0};
    TRY(keep_rows(op, conn, err));
    TRY(set_aside(op, conn, batch, err));
    TRY(make_islands(op, conn, batch, err));
    TRY(join_sessions(op, conn, batch, err));
    TRY(put_out(op, conn, batch, err));
    if (op->evicts && batch->evict_us != INT64_MIN) {
        TRY(state_expire(base->state, conn, 0, batch->evict_us, &base->figures.rows_evicted, err));
        op->evicted_us = batch->evict_us;
    }
    TRY(duck_execf(conn, err, "DROP TABLE %s; DROP TABLE %s; DROP TABLE %s", op->rows, op->islands, op->joined));
out:
    return rc;
}

static Status session_wants_batch(StreamOperator *base, DuckConn *conn, int64_t evict_us, bool *out, Error *err)
{
    Session *op = (Session *)base;
    Text sql = TEXT(4096);
    int64_t found = 0;
    Status rc = OK;

    if (op->evicts && evict_us > op->evicted_us) {
        text_printf(&sql, "SELECT count(*) FROM (SELECT 1 FROM %s WHERE \"end\" <= %lld LIMIT 1)",
                    state_table(base->state, 0), (long long)evict_us);
        TRY(duck_query_numbers(conn, text_str(&sql), &found, 1, err));
    }
    *out = found > 0;
out:
    text_free(&sql);
    return rc;
}

static int64_t session_output_watermark(const StreamOperator *base, int64_t input_us)
{
    (void)base;
    return input_us;
}

static void session_close(StreamOperator *base)
{
    Session *op = (Session *)base;

    (void)duck_execf(op->conn, NULL, "DROP TABLE IF EXISTS temp.%s", base->step->name);
    state_close(op->base.state);
    arena_free(op->arena);
    mem_free(op);
}

static const StreamOperatorOps SESSION_OPS = {
    .name = "sessionWindowStateStoreSave",
    .run = session_run,
    .wants_batch = session_wants_batch,
    .output_watermark = session_output_watermark,
    .close = session_close,
};

/* ---- opening ---- */

static Status plan_session(Session *op, Error *err)
{
    const SqlStep *step = op->base.step;
    const DuckType *time = op->layout->input[step->session_key].type;
    Text type = TEXT(4096);

    if (op->mode == SQL_OUTPUT_UPDATE) {
        error_set(err, E_PIPELINE_STATEFUL, "%s: sessions grow together, so their rows cannot be updated in place",
                  step->title);
        error_hint(err, "use output mode append or complete");
        return error_status(err);
    }
    if (!op_type_is_time(time)) {
        duck_type_sql(time, &type);
        error_set(err, E_PIPELINE_STATEFUL, "%s: session_window() needs a time, and its first argument is of type %s",
                  step->title, text_str(&type));
        error_hint(err, "cast it: session_window(CAST(... AS TIMESTAMP), ...)");
        text_free(&type);
        return error_status(err);
    }
    if (op->mode == SQL_OUTPUT_APPEND && !step->watermarked) {
        error_set(err, E_PIPELINE_STATEFUL,
                  "%s: in append mode sessions are put out when event time closes them, and "
                  "their time has no WATERMARK",
                  step->title);
        error_hint(err, "declare a WATERMARK on it, or use output mode complete");
        return error_status(err);
    }
    op->evicts = op->mode == SQL_OUTPUT_APPEND;
    op_append_window_type(time, &type);
    op->type = arena_strdup(op->arena, text_str(&type));
    op->make_time = op_make_time(time);
    text_free(&type);
    op->keys = arena_alloc(op->arena, step->n_keys * sizeof *op->keys);
    for (size_t i = 0; i < step->n_keys; i++) {
        if (i != step->session_key) {
            op->keys[op->n_keys++] = i;
        }
    }
    return OK;
}

static Status open_state(Session *op, DuckConn *conn, const StreamOperatorSpec *spec, Error *err)
{
    static const DuckType BIGINT = {.id = DUCK_BIGINT}, TINYINT = {.id = DUCK_TINYINT};
    const AggregateLayout *layout = op->layout;
    DuckColumnInfo *columns = arena_alloc(op->arena,
                                          (op->n_keys + 3 + layout->n_columns + layout->n_sides) * sizeof *columns);
    StateShown *shown = arena_alloc(op->arena, (op->n_keys + 3 + layout->n_columns + layout->n_sides) * sizeof *shown);
    StateRelation relation = {
        .name = "sessions", .columns = columns, .expires = op->evicts ? "end" : NULL, .shown = shown};
    size_t n = 0;

    for (size_t i = 0; i < op->n_keys; i++) {
        shown[n].name = op->base.step->keys[op->keys[i]].text;
        columns[n++] = layout->input[op->keys[i]];
    }
    if (op->n_keys == 0) {
        columns[n++] = (DuckColumnInfo){"g", &TINYINT};
    }
    shown[n] = (StateShown){.name = "session_start", .is_time = true};
    columns[n++] = (DuckColumnInfo){"start", &BIGINT};
    relation.n_keys = n;
    shown[n] = (StateShown){.name = "session_end", .is_time = true};
    columns[n++] = (DuckColumnInfo){"end", &BIGINT};
    aggregate_show(layout, op->arena, shown + n);
    for (size_t i = 0; i < layout->n_columns; i++) {
        columns[n++] = layout->columns[i];
    }
    for (size_t i = 0; i < layout->n_sides; i++) {
        columns[n++] = op->lists[i];
    }
    relation.n_columns = n;
    relation.means = aggregate_columns_mean(layout, op->arena);
    for (size_t i = 0; i < layout->n_sides; i++) {
        relation.means = arena_printf(op->arena, "%s; %s", relation.means, aggregate_side_means(layout, i));
    }
    const char *closing = op->evicts ? "lets groups go" : "keeps all groups";
    StateSpec state = {.relations = &relation, .n_relations = 1};
    aggregate_state_spec(spec, closing, op->arena, &state);
    return state_open(conn, &state, &op->base.state, err);
}

static Status find_list_types(Session *op, DuckConn *conn, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    DuckColumnInfo *found;
    size_t n;
    Status rc = OK;

    text_append(&sql, "SELECT 0");
    append_list_partials(op->layout, &sql);
    text_printf(&sql, " FROM (%s)", op->base.step->input);
    TRY(duck_describe(conn, text_str(&sql), op->arena, &found, &n, err));
    op->lists = found + 1;
out:
    text_free(&sql);
    return rc;
}

static Status make_output(const Session *op, DuckConn *conn, Error *err)
{
    const SqlStep *step = op->base.step;
    Text sql = TEXT(TEXT_SQL_MAX);

    text_printf(&sql, "CREATE OR REPLACE TEMP TABLE %s (", step->name);
    for (size_t i = 0; i < step->n_keys; i++) {
        text_printf(&sql, "%sk%zu ", i ? ", " : "", i);
        if (i == step->session_key) {
            text_append(&sql, op->type);
        } else {
            duck_type_sql(op->layout->input[i].type, &sql);
        }
    }
    for (size_t i = 0; i < step->n_aggregates; i++) {
        text_printf(&sql, ", r%zu %s", op->layout->plans[i].number, op->layout->plans[i].result);
    }
    text_append_char(&sql, ')');
    return op_run_text(conn, &sql, err);
}

Status stream_session_open(DuckConn *conn, const StreamOperatorSpec *spec, StreamOperator **out, Error *err)
{
    Session *op = mem_alloc(sizeof *op);
    Status rc = OK;

    op->base = (StreamOperator){.ops = &SESSION_OPS, .step = spec->step};
    op->conn = conn;
    op->arena = arena_new();
    op->mode = spec->mode;
    op->evicted_us = INT64_MIN;
    snprintf(op->rows, sizeof op->rows, "%s_rows", spec->step->name);
    snprintf(op->islands, sizeof op->islands, "%s_islands", spec->step->name);
    snprintf(op->joined, sizeof op->joined, "%s_joined", spec->step->name);
    TRY(aggregate_layout_make(conn, spec->step, DISTINCT_AT_OUTPUT, op->arena, &op->layout, err));
    TRY(plan_session(op, err));
    TRY(find_list_types(op, conn, err));
    TRY(open_state(op, conn, spec, err));
    TRY(make_output(op, conn, err));
    *out = &op->base;
    op = NULL;
out:
    if (op) {
        session_close(&op->base);
    }
    return rc;
}
