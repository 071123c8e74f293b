/* A batch goes into the state: partial results, values, merge. */
#include "stream/op_aggregate_int.h"

#include <stdio.h>

/* ---- input and partial results ---- */

Status groups_keep_input(Aggregate *op, DuckConn *conn, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    text_printf(&sql, "CREATE OR REPLACE TEMP TABLE %s AS SELECT * FROM ", op->input);
    if (op->raw) {
        text_printf(&sql, "(%s)", op->base.step->input);
    } else {
        groups_append_source(op, false, &sql);
    }
    return op_run_text(conn, &sql, err);
}

Status groups_make_partials(Aggregate *op, DuckConn *conn, bool kept, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    text_printf(&sql, "CREATE OR REPLACE TEMP TABLE %s AS SELECT *", op->partials);
    groups_append_expires(op, &sql);
    text_append(&sql, " FROM (SELECT ");
    if (op->grouped) {
        groups_append_keys(op, "", &sql);
    } else {
        text_append(&sql, "0::TINYINT AS g"); /* one group, though there may be no rows */
    }
    text_append(&sql, ", count(*) AS n");
    aggregate_append_partials(op->layout, &sql);
    text_append(&sql, " FROM ");
    groups_append_source(op, kept, &sql);
    if (op->grouped) {
        text_append(&sql, " GROUP BY ");
        groups_append_keys(op, "", &sql);
    }
    text_append(&sql, ")");
    return op_run_text(conn, &sql, err);
}

/* Sliding windows: rows times the closed windows they are in. */
static Status count_late_in_windows(Aggregate *op, DuckConn *conn, const StreamOperatorBatch *batch, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    text_append(&sql, "SELECT CAST(sum(n) AS BIGINT) FROM ");
    groups_append_fan(op, op->partials, INT64_MIN, batch->late_us, &sql);
    Status rc = duck_query_numbers(conn, text_str(&sql), &op->base.figures.rows_late, 1, err);
    text_free(&sql);
    return rc;
}

Status groups_look_at_partials(Aggregate *op, DuckConn *conn, const StreamOperatorBatch *batch, Touched *touched,
                               Error *err)
{
    bool lates = groups_leave(op) && batch->late_us != INT64_MIN;
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
    groups_append_open(op, batch, &sql);
    text_printf(&sql, " AS open FROM %s)", op->partials);
    TRY(duck_query_numbers(conn, text_str(&sql), numbers, 6, err));
    *touched = (Touched){.groups = numbers[0], .bounded = numbers[1] == numbers[0], .lo = numbers[2], .hi = numbers[3]};
    op->base.figures.rows_null_time = numbers[4];
    op->base.figures.rows_late = numbers[5];
    if (lates && groups_slide(op)) {
        TRY(count_late_in_windows(op, conn, batch, err));
    }
out:
    text_free(&sql);
    return rc;
}

Status groups_hand_over_rejected(Aggregate *op, DuckConn *conn, const StreamOperatorBatch *batch, Error *err)
{
    const StreamOperatorFigures *figures = &op->base.figures;
    Text sql = TEXT(TEXT_SQL_MAX), input = TEXT(4096);

    if (!batch->rejected || figures->rows_late + figures->rows_null_time == 0) {
        return OK;
    }
    groups_append_time(op, groups_leave(op) ? op->closer : op->window_key, &input);
    const char *time = text_str(&input);
    text_printf(&sql, "INSERT INTO %s SELECT CASE WHEN %s IS NULL THEN '%s' ELSE '%s' END, ", batch->rejected, time,
                STREAM_REASON_TEXTS[REASON_NO_TIME], STREAM_REASON_TEXTS[REASON_LATE]);
    aggregate_append_row(op->layout, &sql);
    text_printf(&sql, " FROM %s i WHERE ", op->input);
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
    text_free(&input);
    return op_run_text(conn, &sql, err);
}

/* ---- values ---- */

static const char *side_table(const Aggregate *op, size_t side)
{
    return state_table(op->base.state, 1 + side);
}

/* The batch's values for a side: open rows of the input, with keys, v0.., [n], [expires]; each value once. `where`:
 * only of rows for which it holds; NULL: of all. It may name `expires`, and is asked before rows are grouped. */
static void append_new_values(const Aggregate *op, size_t i, const StreamOperatorBatch *batch, const char *where,
                              Text *out)
{
    const AggregateSide *side = &op->layout->sides[i];

    text_append(out, "(SELECT * FROM (SELECT *");
    groups_append_expires(op, out); /* after the GROUP BY: one column less to group by */
    text_append(out, " FROM (SELECT ");
    groups_append_keys(op, "", out);
    groups_append_values(side, "", out);
    text_append(out, side->once ? "" : ", count(*) AS n");
    text_append(out, " FROM (SELECT ");
    groups_append_keys(op, "", out);
    text_append(out, ", ");
    aggregate_append_side_values(op->layout, i, out);
    text_append(out, " FROM ");
    if (where) {
        text_append(out, "(SELECT * FROM (SELECT *");
        groups_append_expires(op, out);
        text_append(out, " FROM ");
    }
    groups_append_source(op, true, out);
    if (where) {
        text_printf(out, ") WHERE %s)", where);
    }
    text_append(out, " WHERE ");
    aggregate_append_side_condition(op->layout, i, out);
    text_append(out, ") GROUP BY ALL)) WHERE ");
    groups_append_open(op, batch, out);
    text_append_char(out, ')');
}

static void append_value_match(const Aggregate *op, const AggregateSide *side, Text *out)
{
    groups_append_match(op, "o", "n", out);
    for (size_t i = 0; i < side->n_columns; i++) {
        text_printf(out, " AND o.v%zu IS NOT DISTINCT FROM n.v%zu", i, i);
    }
}

/* What of a side lies within the bounds of the batch's groups: how many rows, and where the last of them is. */
typedef struct SideRows {
    int64_t n, last;
} SideRows;

static Status look_at_side(Aggregate *op, DuckConn *conn, size_t side, const Touched *touched, SideRows *out,
                           Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    int64_t numbers[2];

    text_printf(&sql, "SELECT count(*), max(%s) FROM %s WHERE true", op->range ? op->range : "NULL::BIGINT",
                side_table(op, side));
    groups_append_bounds(op, touched, "", &sql);
    Status rc = duck_query_numbers(conn, text_str(&sql), numbers, 2, err);
    text_free(&sql);
    if (rc == OK) {
        *out = (SideRows){.n = numbers[0], .last = numbers[1]};
    }
    return rc;
}

static void append_value_merge(const Aggregate *op, size_t i, const StreamOperatorBatch *batch, const Touched *touched,
                               Text *sql)
{
    const AggregateSide *side = &op->layout->sides[i];

    text_printf(sql, "MERGE INTO %s o USING ", side_table(op, i));
    append_new_values(op, i, batch, NULL, sql);
    text_append(sql, " n ON ");
    append_value_match(op, side, sql);
    groups_append_bounds(op, touched, "o.", sql);
    text_printf(sql, " WHEN MATCHED THEN UPDATE SET n = o.n + n.n, _batch = %lld WHEN NOT MATCHED THEN INSERT VALUES (",
                (long long)batch->batch);
    groups_append_keys(op, "n.", sql);
    groups_append_values(side, "n.", sql);
    text_printf(sql, ", n.n%s, %lld)", groups_leave(op) ? ", n.expires" : "", (long long)batch->batch);
}

static void append_insert(const Aggregate *op, size_t i, const StreamOperatorBatch *batch, const char *where, Text *out)
{
    text_printf(out, "INSERT INTO %s SELECT n.*, %lld FROM ", side_table(op, i), (long long)batch->batch);
    append_new_values(op, i, batch, where, out);
    text_append(out, " n");
}

/* Adds the batch's values that the state has not. Those of groups behind the last it has need no look at it; they go in
 * by a statement of their own. */
static Status add_unseen(const Aggregate *op, DuckConn *conn, size_t i, const StreamOperatorBatch *batch,
                         const Touched *touched, const SideRows *there, Error *err)
{
    bool splits = op->range && touched->bounded && there->last < touched->hi;
    Text sql = TEXT(TEXT_SQL_MAX), where = TEXT(4096);
    Status rc = OK;

    if (splits) {
        text_printf(&where, "%s <= %lld", op->range, (long long)there->last);
    }
    append_insert(op, i, batch, splits ? text_str(&where) : NULL, &sql);
    text_printf(&sql, " ANTI JOIN (SELECT * FROM %s WHERE true", side_table(op, i));
    groups_append_bounds(op, touched, "", &sql);
    text_append(&sql, ") o ON ");
    append_value_match(op, &op->layout->sides[i], &sql);
    TRY(duck_exec(conn, text_str(&sql), err));
    if (splits) {
        text_clear(&sql);
        text_clear(&where);
        text_printf(&where, "%s > %lld", op->range, (long long)there->last);
        append_insert(op, i, batch, text_str(&where), &sql);
        TRY(duck_exec(conn, text_str(&sql), err));
    }
out:
    text_free(&sql);
    text_free(&where);
    return rc;
}

Status groups_add_values(Aggregate *op, DuckConn *conn, size_t i, const StreamOperatorBatch *batch,
                         const Touched *touched, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    SideRows there;
    Status rc = OK;

    TRY(look_at_side(op, conn, i, touched, &there, err));
    if (there.n > 0 && op->layout->sides[i].once) {
        rc = add_unseen(op, conn, i, batch, touched, &there, err);
        goto out;
    }
    if (there.n > 0) {
        append_value_merge(op, i, batch, touched, &sql);
    } else {
        append_insert(op, i, batch, NULL, &sql);
    }
    TRY(duck_exec(conn, text_str(&sql), err));
out:
    text_free(&sql);
    return rc;
}

/* ---- groups ---- */

/* Open partial results, completed by what the sides' new values give: a relation. */
static void append_completed(const Aggregate *op, const StreamOperatorBatch *batch, Text *out)
{
    text_append(out, "(SELECT ");
    groups_append_keys(op, "p.", out);
    for (size_t i = 0; i < op->layout->n_columns; i++) {
        int side = op->layout->plans[op->layout->parts[i].plan].side;
        if (side == AGGREGATE_NO_SIDE) {
            text_printf(out, ", p.s%zu", i);
        } else {
            text_printf(out, ", coalesce(d%d.s%zu, p.s%zu) AS s%zu", side, i, i, i);
        }
    }
    text_printf(out, "%s FROM (SELECT * FROM %s WHERE ", groups_leave(op) ? ", p.expires" : "", op->partials);
    groups_append_open(op, batch, out);
    text_append(out, ") p");
    for (size_t i = 0; i < op->layout->n_sides; i++) {
        if (!aggregate_side_is_followed(op->layout, i)) {
            continue;
        }
        char name[24];
        snprintf(name, sizeof name, "d%zu", i);
        text_append(out, " LEFT JOIN (SELECT ");
        groups_append_keys(op, "", out);
        aggregate_append_side_partials(op->layout, i, out);
        text_printf(out, " FROM %s WHERE _batch = %lld GROUP BY ", side_table(op, i), (long long)batch->batch);
        groups_append_keys(op, "", out);
        text_printf(out, ") %s ON ", name);
        groups_append_match(op, "p", name, out);
    }
    text_append(out, ")");
}

Status groups_merge(Aggregate *op, DuckConn *conn, const StreamOperatorBatch *batch, const Touched *touched, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    text_printf(&sql, "MERGE INTO %s o USING ", state_table(op->base.state, 0));
    append_completed(op, batch, &sql);
    text_append(&sql, " n ON ");
    groups_append_match(op, "o", "n", &sql);
    groups_append_bounds(op, touched, "o.", &sql);
    text_append(&sql, " WHEN MATCHED THEN UPDATE SET ");
    aggregate_append_merges(op->layout, "o.", "n.", true, &sql);
    text_printf(&sql, "_batch = %lld WHEN NOT MATCHED THEN INSERT VALUES (", (long long)batch->batch);
    groups_append_keys(op, "n.", &sql);
    for (size_t i = 0; i < op->layout->n_columns; i++) {
        text_printf(&sql, ", n.s%zu", i);
    }
    text_printf(&sql, "%s, %lld)", groups_leave(op) ? ", n.expires" : "", (long long)batch->batch);
    return op_run_text(conn, &sql, err);
}
