/* GROUP BY over a stream: groups are kept from batch to batch until event time closes them.
 *
 * State, with keys as in the output, but a window as the start of its pane (BIGINT microseconds, stream/window.h), and
 * one column `g` in place of no keys:
 *
 *   groups       keys, s0.. (stream/aggregate.h), [expires]
 *   values_<i>   keys, v0.., [n], [expires]                   a side of the aggregates that need the values themselves
 *
 * `expires` is there when the mode lets groups go: the end of the window (of the last one a pane is in), or the key's
 * own time. One batch:
 *
 *   input     kept in a temporary table where more than one statement reads it
 *   partials  one GROUP BY over it; late groups are told by `expires` and left aside from here on
 *   values    new ones are added to the sides; DISTINCT recipes get their partial results from those
 *   merge     partial results into the groups; rows written have _batch = N
 *   output    append: what closes; update: what was touched; complete: everything. With sliding windows, panes of the
 *             state are put together to windows here, so a row is stored once however many windows it is in; append
 *             puts out the windows that end after the watermark of the batch before, as those before are out already
 *   expire    what is closed leaves
 */
#include <stdio.h>
#include <string.h>

#include "stream/aggregate.h"
#include "stream/op_text.h"
#include "stream/operator.h"
#include "stream/window.h"

enum { NO_KEY = SIZE_MAX };

typedef struct KeyColumn {
    const char *name;     /* "k0"; "g" */
    const DuckType *type; /* of the input */
    const char *result;   /* SQL type in the output */
} KeyColumn;

typedef struct Aggregate {
    StreamOperator base;
    Arena *arena;
    AggregateLayout *layout;
    SqlOutputMode mode;
    KeyColumn *keys; /* of the state: at least one */
    size_t n_keys;
    bool grouped;      /* they are those of the step; otherwise there is one group, g = 0 */
    size_t window_key; /* NO_KEY: none */
    Window window;
    size_t closer;                /* the key whose time closes groups; NO_KEY: rows have no `expires` */
    const char *range;            /* column of the state in whose order rows lie, roughly; NULL: none */
    char input[64], partials[64]; /* temporary tables of a batch */
    int64_t evicted_us;           /* the last batch let go up to here */
} Aggregate;

/* The open groups of a batch's partial results. */
typedef struct Touched {
    int64_t groups;
    bool bounded; /* `range` of all of them lies between lo and hi */
    int64_t lo, hi;
} Touched;

static bool evicts(const Aggregate *op)
{
    return op->closer != NO_KEY;
}

static bool is_sliding(const Aggregate *op)
{
    return op->window_key != NO_KEY && op->window.sliding;
}

/* ---- pieces of text ---- */

/* "k0, k1", of a row "o." or "". */
static void append_keys(const Aggregate *op, const char *row, Text *out)
{
    for (size_t i = 0; i < op->n_keys; i++) {
        text_printf(out, "%s%s%s", i ? ", " : "", row, op->keys[i].name);
    }
}

static void append_match(const Aggregate *op, const char *a, const char *b, Text *out)
{
    for (size_t i = 0; i < op->n_keys; i++) {
        const char *equals = i == op->window_key || !op->grouped ? "=" : "IS NOT DISTINCT FROM";
        text_printf(out, "%s%s.%s %s %s.%s", i ? " AND " : "", a, op->keys[i].name, equals, b, op->keys[i].name);
    }
}

/* Only the part of the state the batch is about: DuckDB skips the rest by its zone maps. */
static void append_bounds(const Aggregate *op, const Touched *touched, const char *row, Text *out)
{
    if (op->range && touched->bounded) {
        text_printf(out, " AND %s%s BETWEEN %lld AND %lld", row, op->range, (long long)touched->lo,
                    (long long)touched->hi);
    }
}

static void append_key_source(const Aggregate *op, size_t i, Text *out)
{
    const char *name = op->keys[i].name;
    char time[48];

    if (!op->grouped) {
        text_printf(out, "0::TINYINT AS %s", name);
    } else if (i == op->window_key) {
        snprintf(time, sizeof time, "epoch_us(%s)", name);
        window_append_pane(&op->window, time, out);
        text_printf(out, " AS %s", name);
    } else {
        text_append(out, name);
    }
}

/* The step's input with windows as starts of panes, as a relation. */
static void append_source(const Aggregate *op, bool kept, Text *out)
{
    const SqlStep *step = op->base.step;

    text_append(out, "(SELECT ");
    for (size_t i = 0; i < op->n_keys; i++) {
        text_append(out, i ? ", " : "");
        append_key_source(op, i, out);
    }
    for (size_t i = 0; i < step->n_arguments; i++) {
        text_printf(out, ", a%zu", i);
    }
    for (size_t i = 0; i < step->n_filters; i++) {
        text_printf(out, ", f%zu", i);
    }
    text_printf(out, kept ? " FROM %s)" : " FROM (%s))", kept ? op->input : step->input);
}

/* ", <when a row of the state leaves, from its keys> AS expires" */
static void append_expires(const Aggregate *op, Text *out)
{
    if (!evicts(op)) {
        return;
    }
    const KeyColumn *key = &op->keys[op->closer];
    text_append(out, ", ");
    if (op->closer == op->window_key) {
        window_append_last_end(&op->window, key->name, out);
    } else {
        text_printf(out, key->type->id == DUCK_STRUCT ? "epoch_us(%s.\"end\")" : "epoch_us(%s)", key->name);
    }
    text_append(out, " AS expires");
}

/* The condition for rows with keys and `expires` to count: they have an event time and are not late. */
static void append_open(const Aggregate *op, const StreamOperatorBatch *batch, Text *out)
{
    if (op->window_key == NO_KEY) {
        text_append(out, "true");
    } else {
        text_printf(out, "%s IS NOT NULL", op->keys[op->window_key].name);
    }
    if (evicts(op) && batch->late_us != INT64_MIN) {
        text_printf(out, " AND coalesce(expires > %lld, true)", (long long)batch->late_us);
    }
}

/* ---- input and partial results ---- */

static Status keep_input(Aggregate *op, DuckConn *conn, Error *err)
{
    return duck_execf(conn, err, "CREATE OR REPLACE TEMP TABLE %s AS SELECT * FROM (%s)", op->input,
                      op->base.step->input);
}

static Status make_partials(Aggregate *op, DuckConn *conn, bool kept, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    text_printf(&sql, "CREATE OR REPLACE TEMP TABLE %s AS SELECT *", op->partials);
    append_expires(op, &sql);
    text_append(&sql, " FROM (SELECT ");
    if (op->grouped) {
        append_keys(op, "", &sql);
    } else {
        text_append(&sql, "0::TINYINT AS g"); /* one group, though there may be no rows */
    }
    text_append(&sql, ", count(*) AS n");
    aggregate_append_partials(op->layout, &sql);
    text_append(&sql, " FROM ");
    append_source(op, kept, &sql);
    if (op->grouped) {
        text_append(&sql, " GROUP BY ");
        append_keys(op, "", &sql);
    }
    text_append(&sql, ")");
    return op_run_text(conn, &sql, err);
}

/* Rows of `relation` with keys, once for every window they are in that ends after `after_us` (INT64_MIN: any) and at
 * or before `until_us` (INT64_MAX: any); the window's start replaces the pane's, which becomes `pane`. A relation. */
static void append_fan(const Aggregate *op, const char *relation, int64_t after_us, int64_t until_us, Text *out)
{
    const char *key = op->keys[op->window_key].name;
    long long size = (long long)op->window.size_us;

    text_printf(out, "(SELECT * EXCLUDE (start) REPLACE (start AS %s), %s AS pane FROM (SELECT o.*, ", key, key);
    window_append_start(&op->window, key, "step", out);
    text_printf(out, " AS start FROM %s o CROSS JOIN range(%lld) AS steps(step)) WHERE %s < start + %lld", relation,
                (long long)window_steps(&op->window), key, size);
    if (after_us != INT64_MIN) {
        text_printf(out, " AND start + %lld > %lld", size, (long long)after_us);
    }
    if (until_us != INT64_MAX) {
        text_printf(out, " AND start + %lld <= %lld", size, (long long)until_us);
    }
    text_append(out, ")");
}

/* Sliding windows: rows times the closed windows they are in. */
static Status count_late_in_windows(Aggregate *op, DuckConn *conn, const StreamOperatorBatch *batch, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    text_append(&sql, "SELECT CAST(sum(n) AS BIGINT) FROM ");
    append_fan(op, op->partials, INT64_MIN, batch->late_us, &sql);
    Status rc = op_ask(conn, text_str(&sql), &op->base.figures.rows_late, 1, err);
    text_free(&sql);
    return rc;
}

/* Counts what is late or has no time, and finds where the open groups lie. */
static Status look_at_partials(Aggregate *op, DuckConn *conn, const StreamOperatorBatch *batch, Touched *touched,
                               Error *err)
{
    bool lates = evicts(op) && batch->late_us != INT64_MIN;
    const char *range = op->range ? op->range : "NULL::BIGINT";
    int64_t numbers[6];
    Text sql = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    text_printf(&sql,
                "SELECT count(*) FILTER (open), count(%s) FILTER (open), min(%s) FILTER (open), max(%s) FILTER "
                "(open)",
                range, range, range);
    if (op->window_key != NO_KEY) {
        text_printf(&sql, ", CAST(sum(n) FILTER (%s IS NULL) AS BIGINT)", op->keys[op->window_key].name);
    } else {
        text_append(&sql, ", 0");
    }
    if (lates) {
        text_printf(&sql, ", CAST(sum(n) FILTER (expires <= %lld) AS BIGINT)", (long long)batch->late_us);
    } else {
        text_append(&sql, ", 0");
    }
    text_append(&sql, " FROM (SELECT *, ");
    append_open(op, batch, &sql);
    text_printf(&sql, " AS open FROM %s)", op->partials);
    TRY(op_ask(conn, text_str(&sql), numbers, 6, err));
    *touched = (Touched){.groups = numbers[0], .bounded = numbers[1] == numbers[0], .lo = numbers[2], .hi = numbers[3]};
    op->base.figures.rows_null_time = numbers[4];
    op->base.figures.rows_late = numbers[5];
    if (lates && is_sliding(op)) {
        TRY(count_late_in_windows(op, conn, batch, err));
    }
out:
    text_free(&sql);
    return rc;
}

/* Rows that were set aside, as JSON: from the input that was kept. */
static Status hand_over_rejected(Aggregate *op, DuckConn *conn, const StreamOperatorBatch *batch, Error *err)
{
    const StreamOperatorFigures *figures = &op->base.figures;
    Text sql = TEXT(TEXT_SQL_MAX);
    char time[128];

    if (!batch->rejected || figures->rows_late + figures->rows_null_time == 0) {
        return OK;
    }
    const KeyColumn *key = &op->keys[evicts(op) ? op->closer : op->window_key];
    snprintf(time, sizeof time, key->type->id == DUCK_STRUCT ? "epoch_us(%s.\"end\")" : "epoch_us(%s)", key->name);
    text_printf(&sql,
                "INSERT INTO %s SELECT CASE WHEN %s IS NULL THEN 'no event time' ELSE 'late' END, to_json(i) "
                "FROM %s i WHERE ",
                batch->rejected, time, op->input);
    text_append(&sql, figures->rows_null_time > 0 ? time : "false");
    text_append(&sql, figures->rows_null_time > 0 ? " IS NULL" : "");
    if (figures->rows_late > 0) {
        Text end = TEXT(TEXT_SQL_MAX), pane = TEXT(TEXT_SQL_MAX);
        if (op->closer == op->window_key) {
            window_append_pane(&op->window, time, &pane);
            window_append_first_end(&op->window, text_str(&pane), &end);
        } else {
            text_append(&end, time);
        }
        text_printf(&sql, " OR %s <= %lld", text_str(&end), (long long)batch->late_us);
        text_free(&pane);
        text_free(&end);
    }
    return op_run_text(conn, &sql, err);
}

/* ---- values ---- */

static const char *side_table(const Aggregate *op, size_t side)
{
    return state_table(op->base.state, 1 + side);
}

static void append_values(const AggregateSide *side, const char *row, Text *out)
{
    for (size_t i = 0; i < side->n_columns; i++) {
        text_printf(out, ", %sv%zu", row, i);
    }
}

/* The batch's values for a side: open rows of the input, with keys, v0.., [n], [expires]; each value once. */
static void append_new_values(const Aggregate *op, size_t i, const StreamOperatorBatch *batch, Text *out)
{
    const AggregateSide *side = &op->layout->sides[i];

    text_append(out, "(SELECT * FROM (SELECT *");
    append_expires(op, out); /* after the GROUP BY: one column less to group by */
    text_append(out, " FROM (SELECT ");
    append_keys(op, "", out);
    append_values(side, "", out);
    text_append(out, side->once ? "" : ", count(*) AS n");
    text_append(out, " FROM (SELECT ");
    append_keys(op, "", out);
    text_append(out, ", ");
    aggregate_append_side_values(op->layout, i, out);
    text_append(out, " FROM ");
    append_source(op, true, out);
    text_append(out, " WHERE ");
    aggregate_append_side_condition(op->layout, i, out);
    text_append(out, ") GROUP BY ALL)) WHERE ");
    append_open(op, batch, out);
    text_append(out, ")");
}

static void append_value_match(const Aggregate *op, const AggregateSide *side, Text *out)
{
    append_match(op, "o", "n", out);
    for (size_t i = 0; i < side->n_columns; i++) {
        text_printf(out, " AND o.v%zu IS NOT DISTINCT FROM n.v%zu", i, i);
    }
}

/* Values of groups that are all new need no look at the state. */
static Status side_has_rows(Aggregate *op, DuckConn *conn, size_t side, const Touched *touched, bool *out, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    int64_t found;

    text_printf(&sql, "SELECT count(*) FROM (SELECT 1 FROM %s WHERE true", side_table(op, side));
    append_bounds(op, touched, "", &sql);
    text_append(&sql, " LIMIT 1)");
    Status rc = op_ask(conn, text_str(&sql), &found, 1, err);
    text_free(&sql);
    if (rc == OK) {
        *out = found > 0;
    }
    return rc;
}

static Status add_values(Aggregate *op, DuckConn *conn, size_t i, const StreamOperatorBatch *batch,
                         const Touched *touched, Error *err)
{
    const AggregateSide *side = &op->layout->sides[i];
    Text sql = TEXT(TEXT_SQL_MAX);
    bool look = false;
    Status rc = OK;

    TRY(side_has_rows(op, conn, i, touched, &look, err));
    if (look && !side->once) {
        text_printf(&sql, "MERGE INTO %s o USING ", side_table(op, i));
        append_new_values(op, i, batch, &sql);
        text_append(&sql, " n ON ");
        append_value_match(op, side, &sql);
        append_bounds(op, touched, "o.", &sql);
        text_printf(&sql,
                    " WHEN MATCHED THEN UPDATE SET n = o.n + n.n, _batch = %lld WHEN NOT MATCHED THEN INSERT "
                    "VALUES (",
                    (long long)batch->batch);
        append_keys(op, "n.", &sql);
        append_values(side, "n.", &sql);
        text_printf(&sql, ", n.n%s, %lld)", evicts(op) ? ", n.expires" : "", (long long)batch->batch);
    } else {
        text_printf(&sql, "INSERT INTO %s SELECT n.*, %lld FROM ", side_table(op, i), (long long)batch->batch);
        append_new_values(op, i, batch, &sql);
        text_append(&sql, " n");
        if (look) {
            text_printf(&sql, " ANTI JOIN (SELECT * FROM %s WHERE true", side_table(op, i));
            append_bounds(op, touched, "", &sql);
            text_append(&sql, ") o ON ");
            append_value_match(op, side, &sql);
        }
    }
    TRY(duck_exec(conn, text_str(&sql), err));
out:
    text_free(&sql);
    return rc;
}

/* ---- groups ---- */

/* Is column s<column> one of those that follow a side? Then that side, else AGGREGATE_NO_SIDE. */
static int followed_side(const Aggregate *op, size_t column)
{
    for (size_t i = 0; i < op->base.step->n_aggregates; i++) {
        const AggregatePlan *plan = &op->layout->plans[i];
        if (plan->recipe && column >= plan->first && column < plan->first + aggregate_recipe_columns(plan->recipe)) {
            return plan->side;
        }
    }
    return AGGREGATE_NO_SIDE;
}

/* Open partial results, completed by what the sides' new values give: a relation. */
static void append_completed(const Aggregate *op, const StreamOperatorBatch *batch, Text *out)
{
    text_append(out, "(SELECT ");
    append_keys(op, "p.", out);
    for (size_t i = 0; i < op->layout->n_columns; i++) {
        int side = followed_side(op, i);
        if (side == AGGREGATE_NO_SIDE) {
            text_printf(out, ", p.s%zu", i);
        } else {
            text_printf(out, ", coalesce(d%d.s%zu, p.s%zu) AS s%zu", side, i, i, i);
        }
    }
    text_printf(out, "%s FROM (SELECT * FROM %s WHERE ", evicts(op) ? ", p.expires" : "", op->partials);
    append_open(op, batch, out);
    text_append(out, ") p");
    for (size_t i = 0; i < op->layout->n_sides; i++) {
        if (!aggregate_side_is_followed(op->layout, i)) {
            continue;
        }
        char name[24];
        snprintf(name, sizeof name, "d%zu", i);
        text_append(out, " LEFT JOIN (SELECT ");
        append_keys(op, "", out);
        aggregate_append_side_partials(op->layout, i, out);
        text_printf(out, " FROM %s WHERE _batch = %lld GROUP BY ", side_table(op, i), (long long)batch->batch);
        append_keys(op, "", out);
        text_printf(out, ") %s ON ", name);
        append_match(op, "p", name, out);
    }
    text_append(out, ")");
}

static Status merge_groups(Aggregate *op, DuckConn *conn, const StreamOperatorBatch *batch, const Touched *touched,
                           Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    text_printf(&sql, "MERGE INTO %s o USING ", state_table(op->base.state, 0));
    append_completed(op, batch, &sql);
    text_append(&sql, " n ON ");
    append_match(op, "o", "n", &sql);
    append_bounds(op, touched, "o.", &sql);
    text_append(&sql, " WHEN MATCHED THEN UPDATE SET ");
    aggregate_append_merges(op->layout, "o.", "n.", true, &sql);
    text_printf(&sql, "_batch = %lld WHEN NOT MATCHED THEN INSERT VALUES (", (long long)batch->batch);
    append_keys(op, "n.", &sql);
    for (size_t i = 0; i < op->layout->n_columns; i++) {
        text_printf(&sql, ", n.s%zu", i);
    }
    text_printf(&sql, "%s, %lld)", evicts(op) ? ", n.expires" : "", (long long)batch->batch);
    return op_run_text(conn, &sql, err);
}

/* ---- output ---- */

/* Rows of a relation of the state that belong to the groups the batch puts out, with keys as in the output (windows
 * by their start): a relation. */
static void append_chosen(const Aggregate *op, const StreamOperatorBatch *batch, const Touched *touched,
                          size_t relation, Text *out)
{
    const char *table = state_table(op->base.state, relation);
    bool bounds = op->mode == SQL_OUTPUT_APPEND;
    int64_t until_us = bounds ? batch->evict_us : INT64_MAX;
    int64_t after_us = evicts(op) ? batch->late_us : INT64_MIN;
    Text rows = TEXT(TEXT_SQL_MAX), partials = TEXT(TEXT_SQL_MAX);
    int64_t lo, hi;

    text_printf(&rows, "(SELECT * FROM %s WHERE true", table);
    if (op->mode == SQL_OUTPUT_APPEND && !is_sliding(op)) {
        text_printf(&rows, " AND expires <= %lld", (long long)until_us);
    } else if (op->mode == SQL_OUTPUT_APPEND) {
        if (!window_panes_of_ends(&op->window, after_us, until_us, &lo, &hi)) {
            lo = hi = 0;
        }
        text_printf(&rows, " AND %s >= %lld AND %s < %lld", op->keys[op->window_key].name, (long long)lo,
                    op->keys[op->window_key].name, (long long)hi);
    } else if (op->mode == SQL_OUTPUT_UPDATE && !is_sliding(op)) {
        append_bounds(op, touched, "", &rows);
    }
    text_append(&rows, ")");

    text_printf(&partials, "(SELECT * FROM %s WHERE ", op->partials);
    append_open(op, batch, &partials);
    text_append(&partials, ")");

    if (op->mode == SQL_OUTPUT_UPDATE) {
        text_append(out, "(SELECT o.* FROM ");
    }
    if (is_sliding(op)) {
        append_fan(op, text_str(&rows), after_us, until_us, out);
    } else {
        text_append(out, text_str(&rows));
    }
    if (op->mode == SQL_OUTPUT_UPDATE) {
        text_append(out, " o SEMI JOIN ");
        if (is_sliding(op)) {
            append_fan(op, text_str(&partials), after_us, until_us, out);
        } else {
            text_append(out, text_str(&partials));
        }
        text_append(out, " n ON ");
        append_match(op, "o", "n", out);
        text_append(out, ")");
    }
    text_free(&rows);
    text_free(&partials);
}

/* The groups put out, one row each with keys and s0..: a relation. */
static void append_groups(const Aggregate *op, const StreamOperatorBatch *batch, const Touched *touched, Text *out)
{
    if (!is_sliding(op)) {
        append_chosen(op, batch, touched, 0, out);
        return;
    }
    text_append(out, "(SELECT ");
    append_keys(op, "", out);
    aggregate_append_combines(op->layout, "pane", out);
    text_append(out, " FROM ");
    append_chosen(op, batch, touched, 0, out);
    text_append(out, " GROUP BY ");
    append_keys(op, "", out);
    text_append(out, ")");
}

/* The answers that come from a side, per group put out: a relation. */
static void append_answers(const Aggregate *op, const StreamOperatorBatch *batch, const Touched *touched, size_t i,
                           Text *out)
{
    const AggregateSide *side = &op->layout->sides[i];

    text_append(out, "(SELECT ");
    append_keys(op, "", out);
    text_append(out, ", true AS present");
    aggregate_append_side_finals(op->layout, i, out);
    text_append(out, " FROM (SELECT ");
    append_keys(op, "", out);
    append_values(side, "", out);
    text_append(out, side->once ? " FROM " : ", unnest(range(n)) AS copy FROM ");
    append_chosen(op, batch, touched, 1 + i, out);
    text_append(out, ") GROUP BY ");
    append_keys(op, "", out);
    text_append(out, ")");
}

static void append_result_keys(const Aggregate *op, Text *out)
{
    for (size_t i = 0; op->grouped && i < op->n_keys; i++) {
        const char *name = op->keys[i].name;
        text_append(out, i ? ", " : "");
        if (i == op->window_key) {
            char start[48], end[80];
            snprintf(start, sizeof start, "g.%s", name);
            snprintf(end, sizeof end, "g.%s + %lld", name, (long long)op->window.size_us);
            op_append_window(start, end, op->keys[i].result, out);
            text_printf(out, " AS %s", name);
        } else {
            text_printf(out, "g.%s", name);
        }
    }
}

static Status put_out(Aggregate *op, DuckConn *conn, const StreamOperatorBatch *batch, const Touched *touched,
                      Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX), select = TEXT(TEXT_SQL_MAX), finals = TEXT(TEXT_SQL_MAX);

    append_result_keys(op, &select);
    aggregate_append_finals(op->layout, "g.", &finals);
    text_append(&select, text_str(&finals) + (select.length == 0 && finals.length > 0 ? 2 : 0));
    text_printf(&sql, "CREATE OR REPLACE TEMP TABLE %s AS SELECT %s FROM ", op->base.step->name, text_str(&select));
    append_groups(op, batch, touched, &sql);
    text_append(&sql, " g");
    for (size_t i = 0; i < op->layout->n_sides; i++) {
        if (!aggregate_side_is_read(op->layout, i)) {
            continue;
        }
        char name[32];
        snprintf(name, sizeof name, "side%zu", i);
        text_append(&sql, " LEFT JOIN ");
        append_answers(op, batch, touched, i, &sql);
        text_printf(&sql, " %s ON ", name);
        append_match(op, "g", name, &sql);
    }
    Status rc = duck_exec(conn, text_str(&sql), err);
    if (rc == OK) {
        rc = op_count_rows(conn, op->base.step->name, &op->base.figures.rows_out, err);
    }
    text_free(&sql);
    text_free(&select);
    text_free(&finals);
    return rc;
}

/* ---- a batch ---- */

static Status expire(Aggregate *op, DuckConn *conn, const StreamOperatorBatch *batch, Error *err)
{
    Status rc = OK;
    int64_t gone;

    if (!evicts(op) || batch->evict_us == INT64_MIN) {
        return OK;
    }
    for (size_t i = 0; i < 1 + op->layout->n_sides; i++) {
        TRY(state_expire(op->base.state, conn, i, batch->evict_us, &gone, err));
        op->base.figures.rows_evicted += gone;
    }
    op->evicted_us = batch->evict_us;
out:
    return rc;
}

static Status aggregate_run(StreamOperator *base, DuckConn *conn, const StreamOperatorBatch *batch, Error *err)
{
    Aggregate *op = (Aggregate *)base;
    bool kept = op->layout->n_sides > 0 || batch->rejected;
    Touched touched = {0};
    Status rc = OK;

    base->figures = (StreamOperatorFigures){0};
    if (kept) {
        TRY(keep_input(op, conn, err));
    }
    TRY(make_partials(op, conn, kept, err));
    TRY(look_at_partials(op, conn, batch, &touched, err));
    TRY(hand_over_rejected(op, conn, batch, err));
    if (touched.groups > 0) {
        for (size_t i = 0; i < op->layout->n_sides; i++) {
            TRY(add_values(op, conn, i, batch, &touched, err));
        }
        TRY(merge_groups(op, conn, batch, &touched, err));
    }
    TRY(put_out(op, conn, batch, &touched, err));
    TRY(expire(op, conn, batch, err));
    TRY(duck_execf(conn, err, "DROP TABLE IF EXISTS %s; DROP TABLE %s", op->input, op->partials));
out:
    return rc;
}

static Status aggregate_wants_batch(StreamOperator *base, DuckConn *conn, int64_t evict_us, bool *out, Error *err)
{
    Aggregate *op = (Aggregate *)base;
    Text sql = TEXT(TEXT_SQL_MAX);
    int64_t found = 0, lo, hi;

    if (!evicts(op) || evict_us == INT64_MIN || evict_us <= op->evicted_us) {
        *out = false;
        return OK;
    }
    text_printf(&sql, "SELECT count(*) FROM (SELECT 1 FROM %s WHERE expires <= %lld", state_table(base->state, 0),
                (long long)evict_us);
    if (op->mode == SQL_OUTPUT_APPEND && is_sliding(op) &&
        window_panes_of_ends(&op->window, op->evicted_us, evict_us, &lo, &hi)) {
        text_printf(&sql, " OR (%s >= %lld AND %s < %lld)", op->keys[op->window_key].name, (long long)lo,
                    op->keys[op->window_key].name, (long long)hi);
    }
    text_append(&sql, " LIMIT 1)");
    Status rc = op_ask(conn, text_str(&sql), &found, 1, err);
    text_free(&sql);
    if (rc == OK) {
        *out = found > 0;
    }
    return rc;
}

static int64_t aggregate_output_watermark(const StreamOperator *base, int64_t input_us)
{
    (void)base;
    return input_us;
}

static void aggregate_close(StreamOperator *base)
{
    Aggregate *op = (Aggregate *)base;

    state_close(op->base.state);
    arena_free(op->arena);
    mem_free(op);
}

static const StreamOperatorOps AGGREGATE_OPS = {
    .name = "stateStoreSave",
    .run = aggregate_run,
    .wants_batch = aggregate_wants_batch,
    .output_watermark = aggregate_output_watermark,
    .close = aggregate_close,
};

/* ---- opening ---- */

static Status plan_key(Aggregate *op, const SqlKey *key, size_t i, Error *err)
{
    const SqlStep *step = op->base.step;
    const DuckColumnInfo *column = &op->layout->input[i];
    Text type = TEXT(TEXT_SQL_MAX), result = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    duck_type_sql(column->type, &type);
    if (key->is_window && !op_type_is_time(column->type)) {
        error_set(err, E_PIPELINE_STATEFUL, "%s: window() needs a time, and its first argument is of type %s",
                  step->title, text_str(&type));
        error_hint(err, "cast it: window(CAST(... AS TIMESTAMP), ...)");
        rc = error_status(err);
        goto out;
    }
    if (key->is_event_time && !op_type_is_time(column->type) && !op_type_is_window(column->type)) {
        rc = error_set(err, E_PIPELINE_STATEFUL, "%s: the event time is of type %s, which is no time", step->title,
                       text_str(&type));
        goto out;
    }
    if (key->is_window && op->window_key != NO_KEY) {
        rc = error_set(err, E_PIPELINE_STATEFUL, "%s: a query has one window, and this one has two", step->title);
        goto out;
    }
    op->keys[i] = (KeyColumn){.name = arena_printf(op->arena, "k%zu", i), .type = column->type};
    if (key->is_window) {
        op->window_key = i;
        op->window = window_of(&key->window);
        op_append_window_type(column->type, &result);
    }
    op->keys[i].result = arena_strdup(op->arena, text_str(key->is_window ? &result : &type));
    if (key->is_event_time && step->watermarked && op->mode != SQL_OUTPUT_COMPLETE && op->closer == NO_KEY) {
        op->closer = i;
    }
out:
    text_free(&type);
    text_free(&result);
    return rc;
}

static Status plan_keys(Aggregate *op, Error *err)
{
    static const DuckType TINYINT = {.id = DUCK_TINYINT};
    const SqlStep *step = op->base.step;
    Status rc = OK;

    op->grouped = step->n_keys > 0;
    op->n_keys = op->grouped ? step->n_keys : 1;
    op->keys = arena_alloc(op->arena, op->n_keys * sizeof *op->keys);
    op->window_key = op->closer = NO_KEY;
    if (!op->grouped) {
        op->keys[0] = (KeyColumn){.name = "g", .type = &TINYINT, .result = "TINYINT"};
    }
    for (size_t i = 0; i < step->n_keys; i++) {
        TRY(plan_key(op, &step->keys[i], i, err));
    }
    if (op->mode == SQL_OUTPUT_APPEND && op->closer == NO_KEY) {
        error_set(err, E_PIPELINE_STATEFUL,
                  "%s: in append mode groups are put out when event time closes them, and no "
                  "grouping key has one",
                  step->title);
        error_hint(err, "group by a window over the column with the WATERMARK, or use output mode update or complete");
        rc = error_status(err);
        goto out;
    }
    op->range = op->closer != NO_KEY ? "expires" : op->window_key != NO_KEY ? op->keys[op->window_key].name : NULL;
out:
    return rc;
}

/* Columns of a relation of the state: keys, then `own`, then what all have. */
static DuckColumnInfo *relation_columns(const Aggregate *op, const DuckColumnInfo *own, size_t n_own, bool counted,
                                        size_t *n)
{
    static const DuckType BIGINT = {.id = DUCK_BIGINT};
    DuckColumnInfo *columns = arena_alloc(op->arena, (op->n_keys + n_own + 2) * sizeof *columns);
    size_t at = 0;

    for (size_t i = 0; i < op->n_keys; i++) {
        columns[at++] = (DuckColumnInfo){op->keys[i].name, i == op->window_key ? &BIGINT : op->keys[i].type};
    }
    for (size_t i = 0; i < n_own; i++) {
        columns[at] = own[i];
        columns[at].name = arena_strdup(op->arena, own[i].name);
        at++;
    }
    if (counted) {
        columns[at++] = (DuckColumnInfo){"n", &BIGINT};
    }
    if (evicts(op)) {
        columns[at++] = (DuckColumnInfo){"expires", &BIGINT};
    }
    *n = at;
    return columns;
}

static Status open_state(Aggregate *op, DuckConn *conn, const StreamOperatorSpec *spec, Error *err)
{
    const AggregateLayout *layout = op->layout;
    size_t n = 1 + layout->n_sides;
    StateRelation *relations = arena_alloc(op->arena, n * sizeof *relations);
    const char *expires = evicts(op) ? "expires" : NULL;

    relations[0] = (StateRelation){.name = "groups", .n_keys = op->n_keys, .expires = expires};
    relations[0].columns = relation_columns(op, layout->columns, layout->n_columns, false, &relations[0].n_columns);
    for (size_t i = 0; i < layout->n_sides; i++) {
        const AggregateSide *side = &layout->sides[i];
        StateRelation *relation = &relations[1 + i];
        *relation = (StateRelation){.name = arena_printf(op->arena, "values_%zu", i), .expires = expires};
        relation->n_keys = side->once ? 0 : op->n_keys + side->n_columns;
        relation->columns = relation_columns(op, side->values, side->n_columns, !side->once, &relation->n_columns);
    }
    StateSpec state = {.checkpoint = spec->checkpoint,
                       .operator= spec->index,
                       .flow = spec->flow,
                       .fingerprint = arena_printf(op->arena, "%s; %s", op->base.step->fingerprint,
                                                   evicts(op) ? "lets groups go" : "keeps all groups"),
                       .relations = relations,
                       .n_relations = n};
    return state_open(conn, &state, &op->base.state, err);
}

/* The output as a table without rows, for what is bound against it. */
static Status make_output(const Aggregate *op, DuckConn *conn, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    const char *separator = "";

    text_printf(&sql, "CREATE OR REPLACE TEMP TABLE %s (", op->base.step->name);
    for (size_t i = 0; op->grouped && i < op->n_keys; i++) {
        text_printf(&sql, "%s%s %s", separator, op->keys[i].name, op->keys[i].result);
        separator = ", ";
    }
    for (size_t i = 0; i < op->base.step->n_aggregates; i++) {
        text_printf(&sql, "%sr%zu %s", separator, i, op->layout->plans[i].result);
        separator = ", ";
    }
    text_append(&sql, ")");
    return op_run_text(conn, &sql, err);
}

Status stream_aggregate_open(DuckConn *conn, const StreamOperatorSpec *spec, StreamOperator **out, Error *err)
{
    Aggregate *op = mem_alloc(sizeof *op);
    Status rc = OK;

    op->base = (StreamOperator){.ops = &AGGREGATE_OPS, .step = spec->step};
    op->arena = arena_new();
    op->mode = spec->mode;
    op->evicted_us = INT64_MIN;
    snprintf(op->input, sizeof op->input, "%s_input", spec->step->name);
    snprintf(op->partials, sizeof op->partials, "%s_partials", spec->step->name);
    bool sliding = false;
    for (size_t i = 0; i < spec->step->n_keys; i++) {
        const SqlKey *key = &spec->step->keys[i];
        sliding |= key->is_window && key->window.size_us != key->window.slide_us;
    }
    TRY(aggregate_layout_make(conn, spec->step, sliding ? DISTINCT_AT_OUTPUT : DISTINCT_FOLLOWS, op->arena, &op->layout,
                              err));
    TRY(plan_keys(op, err));
    TRY(open_state(op, conn, spec, err));
    TRY(make_output(op, conn, err));
    *out = &op->base;
    op = NULL;
out:
    if (op) {
        aggregate_close(&op->base);
    }
    return rc;
}
