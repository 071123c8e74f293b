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
#include "stream/op_aggregate_int.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- a batch ---- */

static const int64_t MINUTE_US = 60000000, PUT_BACK_US = 3 * INT64_C(3600000000); /* clocks: at most */

/* A watermark as the local time that clocks of the zone are past for good: where they are put back, they read times
 * twice in the hours after. It never falls, and windows close once. INT64_MIN stays. */
static Status to_local(const Aggregate *op, DuckConn *conn, int64_t *us, Error *err)
{
    Text sql = TEXT(4096);

    if (!groups_close_locally(op) || *us == INT64_MIN) {
        return OK;
    }
    text_printf(&sql,
                "SELECT min(epoch_us(CAST(make_timestamptz(t) AS TIMESTAMP))) FROM (SELECT unnest(range(%" PRId64
                ", %" PRId64 ", %" PRId64 ")) AS t UNION ALL SELECT %" PRId64 ")",
                *us - *us % MINUTE_US + MINUTE_US, *us + PUT_BACK_US, MINUTE_US, *us);
    Status rc = duck_query_numbers(conn, text_str(&sql), us, 1, err);
    text_free(&sql);
    return rc;
}

static Status expire(Aggregate *op, DuckConn *conn, const StreamOperatorBatch *batch, Error *err)
{
    Status rc = OK;
    int64_t gone;

    if (!groups_leave(op) || batch->evict_us == INT64_MIN) {
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

static Status aggregate_run(StreamOperator *base, DuckConn *conn, const StreamOperatorBatch *in, Error *err)
{
    Aggregate *op = (Aggregate *)base;
    StreamOperatorBatch here = *in, *batch = &here;
    bool kept = op->layout->n_sides > 0 || batch->rejected;
    Touched touched = {0};
    Status rc = OK;

    base->figures = (StreamOperatorFigures){0};
    op->raw = batch->rejected != NULL;
    TRY(to_local(op, conn, &here.late_us, err));
    TRY(to_local(op, conn, &here.evict_us, err));
    if (kept) {
        TRY(groups_keep_input(op, conn, err));
    }
    TRY(groups_make_partials(op, conn, kept, err));
    TRY(groups_look_at_partials(op, conn, batch, &touched, err));
    TRY(groups_hand_over_rejected(op, conn, batch, err));
    if (touched.groups > 0) {
        for (size_t i = 0; i < op->layout->n_sides; i++) {
            TRY(groups_add_values(op, conn, i, batch, &touched, err));
        }
        TRY(groups_merge(op, conn, batch, &touched, err));
    }
    TRY(groups_put_out(op, conn, batch, &touched, err));
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
    Status rc = OK;

    TRY(to_local(op, conn, &evict_us, err));
    if (!groups_leave(op) || evict_us == INT64_MIN || evict_us <= op->evicted_us) {
        *out = false;
        goto out;
    }
    text_printf(&sql, "SELECT count(*) FROM (SELECT 1 FROM %s WHERE expires <= %lld", state_table(base->state, 0),
                (long long)evict_us);
    if (op->mode == SQL_OUTPUT_APPEND && groups_slide(op) &&
        window_panes_of_ends(&op->window, op->evicted_us, evict_us, &lo, &hi)) {
        text_printf(&sql, " OR (%s >= %lld AND %s < %lld)", op->keys[op->window_key].name, (long long)lo,
                    op->keys[op->window_key].name, (long long)hi);
    }
    text_append(&sql, " LIMIT 1)");
    TRY(duck_query_numbers(conn, text_str(&sql), &found, 1, err));
    *out = found > 0;
out:
    text_free(&sql);
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

    (void)duck_execf(op->conn, NULL, "DROP TABLE IF EXISTS temp.%s", base->step->name);
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

/* Windows of days over instants are days of the session's time zone. */
static Status find_zone(Aggregate *op, DuckConn *conn, Error *err)
{
    const SqlStep *step = op->base.step;
    DuckResult *result = NULL;
    char *zone = NULL;
    bool more = false;
    Status rc = OK;

    if (op->window_key == NO_KEY || !step->keys[op->window_key].window.days ||
        op->keys[op->window_key].type->id != DUCK_TIMESTAMP_TZ) {
        return OK;
    }
    TRY(duck_query(conn, "SELECT current_setting('TimeZone') WHERE current_setting('TimeZone') <> 'UTC'", &result,
                   err));
    TRY(duck_result_next(result, &more, err));
    if (more) {
        zone = duck_result_text_dup(result, 0);
        op->zone = arena_strdup(op->arena, zone);
    }
out:
    mem_free(zone);
    duck_result_free(result);
    return rc;
}

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
    if (groups_leave(op)) {
        columns[at++] = (DuckColumnInfo){"expires", &BIGINT};
    }
    *n = at;
    return columns;
}

/* The same columns as people know them. */
static StateShown *shown_columns(const Aggregate *op, size_t n_columns, bool groups)
{
    StateShown *shown = arena_alloc(op->arena, (n_columns + 1) * sizeof *shown);

    for (size_t i = 0; op->grouped && i < op->n_keys; i++) {
        shown[i] = (StateShown){.name = op->base.step->keys[i].text};
        if (i == op->window_key) {
            shown[i] = (StateShown){.name = "window_start", .is_time = true};
        }
    }
    if (groups) {
        aggregate_show(op->layout, op->arena, shown + op->n_keys);
    }
    if (groups_leave(op)) {
        shown[n_columns - 1].is_time = true;
    }
    return shown;
}

static Status open_state(Aggregate *op, DuckConn *conn, const StreamOperatorSpec *spec, Error *err)
{
    const AggregateLayout *layout = op->layout;
    size_t n = 1 + layout->n_sides;
    StateRelation *relations = arena_alloc(op->arena, n * sizeof *relations);
    const char *expires = groups_leave(op) ? "expires" : NULL;

    relations[0] = (StateRelation){.name = "groups", .n_keys = op->n_keys, .expires = expires};
    relations[0].columns = relation_columns(op, layout->columns, layout->n_columns, false, &relations[0].n_columns);
    relations[0].shown = shown_columns(op, relations[0].n_columns, true);
    relations[0].means = aggregate_columns_mean(layout, op->arena);
    for (size_t i = 0; i < layout->n_sides; i++) {
        const AggregateSide *side = &layout->sides[i];
        StateRelation *relation = &relations[1 + i];
        *relation = (StateRelation){.name = arena_printf(op->arena, "values_%zu", i), .expires = expires};
        relation->n_keys = side->once ? 0 : op->n_keys + side->n_columns;
        relation->columns = relation_columns(op, side->values, side->n_columns, !side->once, &relation->n_columns);
        relation->shown = shown_columns(op, relation->n_columns, false);
        relation->means = aggregate_side_means(layout, i);
    }
    const char *closing = arena_printf(op->arena, "%s%s%s", groups_leave(op) ? "lets groups go" : "keeps all groups",
                                       op->zone ? "; days of " : "", op->zone ? op->zone : "");
    StateSpec state = {.relations = relations, .n_relations = n};
    aggregate_state_spec(spec, closing, op->arena, &state);
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
        text_printf(&sql, "%sr%zu %s", separator, op->layout->plans[i].number, op->layout->plans[i].result);
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
    op->conn = conn;
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
    TRY(find_zone(op, conn, err));
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
