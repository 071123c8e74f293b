/* What a batch puts out of the state. */
#include "stream/op_aggregate_int.h"

#include <stdio.h>

/* Rows of a relation of the state that belong to the groups the batch puts out, with keys as in the output (windows
 * by their start): a relation. */
static void append_chosen(const Aggregate *op, const StreamOperatorBatch *batch, const Touched *touched,
                          size_t relation, Text *out)
{
    const char *table = state_table(op->base.state, relation);
    bool bounds = op->mode == SQL_OUTPUT_APPEND;
    int64_t until_us = bounds ? batch->evict_us : INT64_MAX;
    int64_t after_us = groups_leave(op) ? batch->late_us : INT64_MIN;
    Text rows = TEXT(TEXT_SQL_MAX), partials = TEXT(TEXT_SQL_MAX);
    int64_t lo, hi;

    text_printf(&rows, "(SELECT * FROM %s WHERE true", table);
    if (op->mode == SQL_OUTPUT_APPEND && !groups_slide(op)) {
        text_printf(&rows, " AND expires <= %lld", (long long)until_us);
    } else if (op->mode == SQL_OUTPUT_APPEND) {
        if (!window_panes_of_ends(&op->window, after_us, until_us, &lo, &hi)) {
            lo = hi = 0;
        }
        text_printf(&rows, " AND %s >= %lld AND %s < %lld", op->keys[op->window_key].name, (long long)lo,
                    op->keys[op->window_key].name, (long long)hi);
    } else if (op->mode == SQL_OUTPUT_UPDATE && !groups_slide(op)) {
        groups_append_bounds(op, touched, "", &rows);
    }
    text_append(&rows, ")");

    text_printf(&partials, "(SELECT * FROM %s WHERE ", op->partials);
    groups_append_open(op, batch, &partials);
    text_append(&partials, ")");

    if (op->mode == SQL_OUTPUT_UPDATE) {
        text_append(out, "(SELECT o.* FROM ");
    }
    if (groups_slide(op)) {
        groups_append_fan(op, text_str(&rows), after_us, until_us, out);
    } else {
        text_append(out, text_str(&rows));
    }
    if (op->mode == SQL_OUTPUT_UPDATE) {
        text_append(out, " o SEMI JOIN ");
        if (groups_slide(op)) {
            groups_append_fan(op, text_str(&partials), after_us, until_us, out);
        } else {
            text_append(out, text_str(&partials));
        }
        text_append(out, " n ON ");
        groups_append_match(op, "o", "n", out);
        text_append(out, ")");
    }
    text_free(&rows);
    text_free(&partials);
}

/* The groups put out, one row each with keys and s0..: a relation. */
static void append_groups(const Aggregate *op, const StreamOperatorBatch *batch, const Touched *touched, Text *out)
{
    if (!groups_slide(op)) {
        append_chosen(op, batch, touched, 0, out);
        return;
    }
    text_append(out, "(SELECT ");
    groups_append_keys(op, "", out);
    aggregate_append_combined(op->layout, out);
    text_append(out, " FROM (SELECT ");
    groups_append_keys(op, "", out);
    aggregate_append_combines(op->layout, "pane", out);
    text_append(out, " FROM ");
    append_chosen(op, batch, touched, 0, out);
    text_append(out, " GROUP BY ");
    groups_append_keys(op, "", out);
    text_append(out, "))");
}

/* The answers that come from a side, per group put out: a relation. */
static void append_answers(const Aggregate *op, const StreamOperatorBatch *batch, const Touched *touched, size_t i,
                           Text *out)
{
    const AggregateSide *side = &op->layout->sides[i];

    text_append(out, "(SELECT ");
    groups_append_keys(op, "", out);
    text_append(out, ", true AS present");
    aggregate_append_side_finals(op->layout, i, out);
    text_append(out, " FROM (SELECT ");
    groups_append_keys(op, "", out);
    groups_append_values(side, "", out);
    text_append(out, side->once ? " FROM " : ", unnest(range(n)) AS copy FROM ");
    append_chosen(op, batch, touched, 1 + i, out);
    text_append(out, ") GROUP BY ");
    groups_append_keys(op, "", out);
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
            /* of local time the cast to the type of the key makes a time of the zone */
            op_append_window(op->zone ? "make_timestamp" : op_make_time(op->keys[i].type), start, end,
                             op->keys[i].result, out);
            text_printf(out, " AS %s", name);
        } else {
            text_printf(out, "g.%s", name);
        }
    }
}

Status groups_put_out(Aggregate *op, DuckConn *conn, const StreamOperatorBatch *batch, const Touched *touched,
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
        groups_append_match(op, "g", name, &sql);
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
