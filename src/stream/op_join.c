/* A join of streams: every side remembers its rows, and each pair of rows is given once, when the later of the two
 * arrives.
 *
 * State is one relation a side:
 *
 *   plain side      c0.., expires                          rows come and expire, nothing else
 *   tracked side    freshet_row, c0.., matched, expires    it matters whether a row had a partner: the side is outer, or
 *                                                          output once, or rows that an inner join leaves out are kept
 *
 * An inner join's state that is there already stays as it is, whether or not rows are to be kept now: of rows that came
 * before nobody would know whether they had a partner.
 *
 *   c0..            the side's columns, in the order of their names, whatever that of the query is
 *   freshet_row     batch * 2^32 + place in the batch: unique over all batches. Which row of a batch gets which place is
 *                   of no consequence: nothing but `matched` refers to it, in the same state
 *   matched         the batch in which the row met its first partner; NULL: not yet
 *   expires         event time + slack: no partner can come when the watermark is there. NULL: never. A row without event
 *                   time on a bounded side meets no partner at all (the bound is a comparison with its time): where that
 *                   means that it is never output it is left out and counted, else it leaves with the next expiry
 *
 * A batch N, with rows of a side from before as old and those of N as new (the query above asks for new x all, old x
 * new):
 *
 *   arrive     the sides' rows that are not late go into the state
 *   match      of tracked sides: `matched` of rows that met their first partner (of several sides: the first row of
 *              each) becomes N
 *   leave      rows that expired move to <step>_<side>_left, and out of the state. So a row that leaves can still meet
 *              rows of N, and cannot meet any of N + 1: those that could fit are late then
 *
 * The outputs are views over the state and what has just left; the ones that depend on N are made anew every batch:
 *
 *   _new    rows of N                           _gone   what left unmatched, outer sides only
 *   _old    rows from before N                  _none   nothing, for the types
 *   _all    both
 *
 * A side that is output once (SEMI) shows in _old and _all only rows not matched before N. All have a column
 * freshet_row, 0 where the side is plain.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "stream/op_input.h"
#include "stream/op_text.h"

enum { ROW_BITS = 32 }; /* of freshet_row count within the batch */
#define SIDE_NAME "side%zu"

static const int64_t EXPIRES_NEXT = INT64_MIN + 1; /* at the next expiry, whatever the watermark */

typedef struct JoinSide {
    const SqlJoinSide *plan;
    const char *prefix; /* "<step>_<side>" */
    DuckColumnInfo *columns;
    DuckColumnInfo *stored; /* the same by name: c0.. of the state */
    size_t n_columns;
    bool tracked;
    OpInput input;
} JoinSide;

typedef struct Join {
    StreamOperator base;
    DuckConn *conn;
    Arena *arena;
    JoinSide *sides;
    size_t n_sides;
} Join;

static const DuckType TYPE_BIGINT = {.id = DUCK_BIGINT};

/* ---- the views ---- */

static const char *side_table(const Join *op, const JoinSide *side)
{
    return state_table(op->base.state, (size_t)(side - op->sides));
}

/* Where the state has the side's column `i`. */
static size_t place_of(const JoinSide *side, size_t i)
{
    size_t place = 0;

    while (side->stored[place].name != side->columns[i].name) {
        place++;
    }
    return place;
}

/* "SELECT freshet_row, <the side's columns> FROM <from> WHERE <where>" as the view <side>_<suffix>. */
static void append_view(const JoinSide *side, const char *suffix, const char *from, const char *where, Text *sql)
{
    text_printf(sql, "CREATE OR REPLACE TEMP VIEW \"%s_%s\" AS SELECT %s AS freshet_row", side->prefix, suffix,
                side->tracked ? "freshet_row" : "0::BIGINT");
    for (size_t i = 0; i < side->n_columns; i++) {
        text_printf(sql, ", c%zu AS ", place_of(side, i));
        text_append_sql_name(sql, side->columns[i].name);
    }
    text_printf(sql, " FROM %s WHERE %s;\n", from, where);
}

/* The views that depend on the batch, and nothing has left yet. */
static void append_views_of_batch(const Join *op, const JoinSide *side, int64_t batch, Text *sql)
{
    Text from = TEXT(TEXT_SQL_MAX);
    char old[128], new[64], unmet[128];
    char known[64] = "true";

    if (side->tracked) {
        int64_t first = batch << ROW_BITS;
        if (side->plan->once) {
            snprintf(known, sizeof known, "(matched IS NULL OR matched = %" PRId64 ")", batch);
        }
        snprintf(new, sizeof new, "freshet_row >= %" PRId64, first);
        snprintf(old, sizeof old, "freshet_row < %" PRId64 " AND %s", first, known);
        snprintf(unmet, sizeof unmet, "freshet_row < %" PRId64 " AND matched IS NULL", first);
    } else {
        snprintf(new, sizeof new, "_batch = %" PRId64, batch);
        snprintf(old, sizeof old, "_batch < %" PRId64, batch);
    }
    text_printf(&from, "(SELECT * FROM %s UNION ALL SELECT * FROM temp.\"%s_left\")", side_table(op, side),
                side->prefix);
    append_view(side, "new", text_str(&from), new, sql);
    append_view(side, "old", text_str(&from), old, sql);
    append_view(side, "all", text_str(&from), known, sql);
    if (side->tracked) {
        append_view(side, "unmet", side_table(op, side), unmet, sql);
    }
    text_printf(sql, "TRUNCATE temp.\"%s_left\";\n", side->prefix);
    text_free(&from);
}

static Status make_views_of_batch(const Join *op, DuckConn *conn, int64_t batch, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    for (size_t i = 0; i < op->n_sides; i++) {
        append_views_of_batch(op, &op->sides[i], batch, &sql);
    }
    Status rc = duck_exec(conn, text_str(&sql), err);
    text_free(&sql);
    return rc;
}

/* The views that stay, and the table of what leaves. */
static Status make_views(const Join *op, DuckConn *conn, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX), left = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    for (size_t i = 0; i < op->n_sides; i++) {
        const JoinSide *side = &op->sides[i];
        text_clear(&left);
        text_printf(&left, "temp.\"%s_left\"", side->prefix);
        text_printf(&sql, "CREATE OR REPLACE TEMP TABLE \"%s_left\" AS SELECT * FROM %s WHERE false;\n", side->prefix,
                    side_table(op, side));
        append_view(side, "gone", text_str(&left), side->plan->outer ? "matched IS NULL" : "false", &sql);
        append_view(side, "none", text_str(&left), "false", &sql);
    }
    TRY(duck_exec(conn, text_str(&sql), err));
    TRY(make_views_of_batch(op, conn, 0, err));
out:
    text_free(&sql);
    text_free(&left);
    return rc;
}

/* ---- run ---- */

/* When the row may go: SQL over the side's input. */
static void append_expires(const JoinSide *side, Text *sql)
{
    if (!side->plan->bounded || !side->plan->event_time) {
        text_append(sql, "NULL::BIGINT");
        return;
    }
    text_append(sql, "CASE WHEN ");
    text_append_sql_name(sql, side->plan->event_time);
    text_printf(sql, " IS NULL THEN %" PRId64 " ELSE epoch_us(", EXPIRES_NEXT);
    text_append_sql_name(sql, side->plan->event_time);
    text_printf(sql, ") + %" PRId64 " END", side->plan->slack_us);
}

static Status arrive(const Join *op, JoinSide *side, DuckConn *conn, const StreamOperatorBatch *batch,
                     StreamOperatorFigures *figures, Error *err)
{
    Text relation = TEXT(TEXT_SQL_MAX), sql = TEXT(TEXT_SQL_MAX);
    int64_t stored = 0, rows = 0, late = 0;
    Status rc = OK;

    TRY(op_input_begin(&side->input, conn, batch, &relation, err));
    text_printf(&sql, "INSERT INTO %s SELECT ", side_table(op, side));
    if (side->tracked) {
        text_printf(&sql, "%" PRId64 " + row_number() OVER (), ", batch->batch << ROW_BITS);
    }
    for (size_t i = 0; i < side->n_columns; i++) {
        text_append_sql_name(&sql, side->stored[i].name);
        text_append(&sql, ", ");
    }
    text_append(&sql, side->tracked ? "NULL, " : "");
    append_expires(side, &sql);
    text_printf(&sql, ", %" PRId64 " FROM %s", batch->batch, text_str(&relation));
    TRY(duck_exec_changed(conn, text_str(&sql), &stored, err));
    TRY(op_input_end(&side->input, conn, batch, &rows, &late, err));
    TRY(op_input_drop(&side->input, conn, batch, err));
    figures->rows_late += late;
    figures->rows_null_time += rows < 0 ? 0 : rows - stored;
out:
    text_free(&relation);
    text_free(&sql);
    return rc;
}

/* Which view of side `i` takes part when those rows are looked for that meet the new ones of side `driver` and were not
 * met before; `seeker` is the side whose rows they are. */
static const char *match_view(size_t i, size_t seeker, size_t driver)
{
    return i == driver ? "new" : i == seeker ? "unmet" : "all";
}

/* `pairs` with the relations put in: {0}, {1}, ... outside of quotes. */
static void append_pairs(const Join *op, size_t seeker, size_t driver, Text *sql)
{
    char quote = 0, *end;

    for (const char *s = op->base.step->pairs; *s; s++) {
        if (!quote && s[0] == '{' && s[1] >= '0' && s[1] <= '9') {
            size_t i = strtoul(s + 1, &end, 10);
            if (*end == '}' && i < op->n_sides) {
                text_printf(sql, "temp.\"%s_%s\"", op->sides[i].prefix, match_view(i, seeker, driver));
                s = end;
                continue;
            }
        }
        if (quote ? *s == quote : *s == '\'' || *s == '"') {
            quote = quote ? 0 : *s;
        }
        text_append_char(sql, *s);
    }
}

/* Marks the rows of a tracked side that meet their first partner in this batch: new rows among all of the other sides,
 * old ones where one of those is new. */
static Status match(const Join *op, size_t i, DuckConn *conn, int64_t batch, Error *err)
{
    const JoinSide *side = &op->sides[i];
    Text columns = TEXT(4096), sql = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    for (size_t k = 0; k < op->n_sides; k++) {
        text_printf(&columns, "%sr%zu", k ? ", " : "", k);
    }
    text_printf(&sql, "CREATE OR REPLACE TEMP TABLE \"%s_met\" AS SELECT DISTINCT r%zu AS freshet_row FROM (",
                side->prefix, i);
    for (size_t k = 0; k < op->n_sides; k++) {
        text_append(&sql, k ? " UNION ALL SELECT * FROM (" : "SELECT * FROM (");
        append_pairs(op, i, k, &sql);
        text_printf(&sql, ") AS p(%s)", text_str(&columns));
    }
    text_append(&sql, ")");
    TRY(duck_exec(conn, text_str(&sql), err));
    TRY(duck_execf(conn, err,
                   "UPDATE %s SET matched = %" PRId64 ", _batch = %" PRId64
                   " WHERE freshet_row IN (SELECT freshet_row FROM temp.\"%s_met\")",
                   side_table(op, side), batch, batch, side->prefix));
out:
    text_free(&columns);
    text_free(&sql);
    return rc;
}

/* Of what has left a side whose rows are not put out alone: rows that never had a partner. */
static Status count_unmatched(const JoinSide *side, DuckConn *conn, const StreamOperatorBatch *batch, int64_t *n,
                              Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    text_printf(&sql, "SELECT count(*) FROM temp.\"%s_left\" WHERE matched IS NULL", side->prefix);
    TRY(duck_query_numbers(conn, text_str(&sql), n, 1, err));
    if (batch->rejected && *n > 0) {
        text_clear(&sql);
        op_input_append_rejected(&side->input, batch, REASON_EVICTED, &sql);
        text_printf(&sql, " FROM (SELECT * FROM temp.\"%s_left\" WHERE matched IS NULL) AS s(freshet_row",
                    side->prefix);
        for (size_t i = 0; i < side->n_columns; i++) {
            text_append(&sql, ", ");
            text_append_sql_name(&sql, side->stored[i].name);
        }
        text_append_char(&sql, ')');
        TRY(duck_exec(conn, text_str(&sql), err));
    }
out:
    text_free(&sql);
    return rc;
}

static Status leave(const Join *op, size_t i, DuckConn *conn, const StreamOperatorBatch *batch,
                    StreamOperatorFigures *figures, Error *err)
{
    const JoinSide *side = &op->sides[i];
    int64_t evict_us = batch->evict_us, n = 0, unmatched = 0;
    Status rc = OK;

    if (!side->plan->bounded || evict_us == INT64_MIN) {
        goto out;
    }
    TRY(duck_execf(conn, err, "INSERT INTO temp.\"%s_left\" SELECT * FROM %s WHERE expires <= %" PRId64, side->prefix,
                   side_table(op, side), evict_us));
    TRY(state_expire(op->base.state, conn, i, evict_us, &n, err));
    figures->rows_evicted += n;
    if (side->tracked && !side->plan->outer && n > 0) {
        TRY(count_unmatched(side, conn, batch, &unmatched, err));
        figures->rows_unmatched += unmatched;
    }
out:
    return rc;
}

static Status join_run(StreamOperator *base, DuckConn *conn, const StreamOperatorBatch *batch, Error *err)
{
    Join *op = (Join *)base;
    StreamOperatorFigures figures = {0};
    Status rc = OK;

    TRY(make_views_of_batch(op, conn, batch->batch, err));
    for (size_t i = 0; i < op->n_sides; i++) {
        TRY(arrive(op, &op->sides[i], conn, batch, &figures, err));
    }
    for (size_t i = 0; i < op->n_sides; i++) {
        if (op->sides[i].tracked) {
            TRY(match(op, i, conn, batch->batch, err));
        }
    }
    for (size_t i = 0; i < op->n_sides; i++) {
        TRY(leave(op, i, conn, batch, &figures, err));
    }
    base->figures = figures;
out:
    return rc;
}

static Status any_row(DuckConn *conn, const char *sql, bool *out, Error *err)
{
    DuckResult *result = NULL;
    bool more = false;
    Status rc = OK;

    TRY(duck_query(conn, sql, &result, err));
    TRY(duck_result_next(result, &more, err));
    *out = more;
out:
    duck_result_free(result);
    return rc;
}

/* Only what would be put out is worth a batch of its own; other rows leave with the next one that has input. */
static Status join_wants_batch(StreamOperator *base, DuckConn *conn, int64_t evict_us, bool *out, Error *err)
{
    Join *op = (Join *)base;
    Text sql = TEXT(TEXT_SQL_MAX);
    bool wants = false;
    Status rc = OK;

    for (size_t i = 0; i < op->n_sides && !wants; i++) {
        if (op->sides[i].plan->outer) {
            text_clear(&sql);
            text_printf(&sql, "SELECT 1 FROM %s WHERE expires <= %" PRId64 " AND matched IS NULL LIMIT 1",
                        side_table(op, &op->sides[i]), evict_us);
            TRY(any_row(conn, text_str(&sql), &wants, err));
        }
    }
    *out = wants;
out:
    text_free(&sql);
    return rc;
}

/* A row that is still remembered can be output with its own event time: not older than the watermark less its slack. A
 * side that remembers for ever can always bring up an older one. */
static int64_t join_output_watermark(const StreamOperator *base, int64_t input_us)
{
    const Join *op = (const Join *)base;
    int64_t watermark = input_us;

    for (size_t i = 0; i < op->n_sides; i++) {
        const SqlJoinSide *plan = op->sides[i].plan;
        if (!plan->event_time) {
            continue;
        }
        if (!plan->bounded || (plan->slack_us > 0 && input_us < INT64_MIN + plan->slack_us)) {
            return INT64_MIN;
        }
        if (plan->slack_us > 0 && input_us - plan->slack_us < watermark) {
            watermark = input_us - plan->slack_us;
        }
    }
    return watermark;
}

/* ---- open, close ---- */

static void drop_outputs(const Join *op)
{
    static const char *const VIEWS[] = {"new", "old", "all", "unmet", "gone", "none"};
    static const char *const TABLES[] = {"left", "met"};

    for (size_t i = 0; i < op->n_sides && op->sides[i].prefix; i++) {
        for (size_t k = 0; k < sizeof VIEWS / sizeof *VIEWS; k++) {
            (void)duck_execf(op->conn, NULL, "DROP VIEW IF EXISTS temp.\"%s_%s\"", op->sides[i].prefix, VIEWS[k]);
        }
        for (size_t k = 0; k < sizeof TABLES / sizeof *TABLES; k++) {
            (void)duck_execf(op->conn, NULL, "DROP TABLE IF EXISTS temp.\"%s_%s\"", op->sides[i].prefix, TABLES[k]);
        }
    }
}

static void join_close(StreamOperator *base)
{
    Join *op = (Join *)base;

    drop_outputs(op);
    if (base->state) {
        state_close(base->state);
    }
    for (size_t i = 0; i < op->n_sides; i++) {
        op_input_fini(&op->sides[i].input);
    }
    arena_free(op->arena);
    mem_free(op);
}

static const StreamOperatorOps JOIN_OPS = {.name = "symmetricHashJoin",
                                           .run = join_run,
                                           .wants_batch = join_wants_batch,
                                           .output_watermark = join_output_watermark,
                                           .close = join_close};

/* May rows of the side leave an inner join without a partner? */
static bool leaves_alone(const Join *op, const JoinSide *side)
{
    return op->base.step->join == SQL_JOIN_INNER && op->base.step->pairs && side->plan->bounded;
}

/* Is that side of an inner join tracked? Its state says so, where there is one. */
static Status is_tracked(size_t i, const StreamOperatorSpec *spec, bool *out, Error *err)
{
    char relation[32];
    bool there = false;
    Status rc = OK;

    *out = spec->keeps_rejected;
    snprintf(relation, sizeof relation, SIDE_NAME, i);
    TRY(state_find_column(spec->checkpoint, spec->index, relation, "matched", &there, out, err));
out:
    return rc;
}

static int compare_columns(const void *a, const void *b)
{
    return str_icmp(((const DuckColumnInfo *)a)->name, ((const DuckColumnInfo *)b)->name);
}

static Status open_side(Join *op, size_t i, DuckConn *conn, const StreamOperatorSpec *spec, Error *err)
{
    JoinSide *side = &op->sides[i];
    const SqlStep *step = op->base.step;
    Status rc = OK;

    side->plan = &step->sides[i];
    side->tracked = side->plan->outer || side->plan->once;
    side->prefix = arena_printf(op->arena, "%s_%zu", step->name, i);
    TRY(duck_describe(conn, side->plan->input, op->arena, &side->columns, &side->n_columns, err));
    side->stored = arena_alloc(op->arena, (side->n_columns + 1) * sizeof *side->stored);
    memcpy(side->stored, side->columns, side->n_columns * sizeof *side->stored);
    qsort(side->stored, side->n_columns, sizeof *side->stored, compare_columns);
    if (leaves_alone(op, side)) {
        TRY(is_tracked(i, spec, &side->tracked, err));
    }
    side->input = (OpInput){.select = side->plan->input,
                            .event_time = side->plan->event_time,
                            /* it meets no partner, and only rows with one count */
                            .needs_time = side->plan->bounded && side->plan->event_time && !side->plan->outer,
                            .staged = arena_printf(op->arena, "%s_input", side->prefix),
                            .shown = side->columns,
                            .n_shown = side->n_columns};
    op_input_init(&side->input, duck_instance(conn));
out:
    return rc;
}

/* The relation of a side, see the head of this file. */
static StateRelation side_relation(const Join *op, const JoinSide *side)
{
    DuckColumnInfo *columns = arena_alloc(op->arena, (side->n_columns + 3) * sizeof *columns);
    StateShown *shown = arena_alloc(op->arena, (side->n_columns + 3) * sizeof *shown);
    Text means = TEXT(TEXT_SQL_MAX);
    size_t n = 0;

    if (side->tracked) {
        columns[n++] = (DuckColumnInfo){"freshet_row", &TYPE_BIGINT};
    }
    for (size_t i = 0; i < side->n_columns; i++) {
        const DuckColumnInfo *column = &side->stored[i];
        shown[n].name = column->name;
        columns[n++] = (DuckColumnInfo){arena_printf(op->arena, "c%zu", i), column->type};
        text_printf(&means, "%s%s", i ? ", " : "", column->name);
    }
    if (means.length > 0) {
        str_lower(means.data);
    }
    if (side->tracked) {
        columns[n++] = (DuckColumnInfo){"matched", &TYPE_BIGINT};
    }
    shown[n].is_time = true;
    columns[n++] = (DuckColumnInfo){"expires", &TYPE_BIGINT};
    const char *all = arena_strdup(op->arena, text_str(&means));
    text_free(&means);
    return (StateRelation){.name = arena_printf(op->arena, SIDE_NAME, (size_t)(side - op->sides)),
                           .means = all,
                           .columns = columns,
                           .n_columns = n,
                           .n_keys = side->tracked ? 1 : 0,
                           .expires = "expires",
                           .shown = shown};
}

static void warn_of_old_state(const Join *op, const StreamOperatorSpec *spec)
{
    for (size_t i = 0; i < op->n_sides; i++) {
        if (leaves_alone(op, &op->sides[i]) && op->sides[i].tracked != spec->keeps_rejected) {
            log_warning("%s: the state does%s tell which rows leave the join without a partner, as when the table was "
                        "made: --full-refresh changes that",
                        spec->flow, op->sides[i].tracked ? "" : " not");
            return;
        }
    }
}

static Status open_state(Join *op, DuckConn *conn, const StreamOperatorSpec *spec, Error *err)
{
    StateRelation *relations = arena_alloc(op->arena, op->n_sides * sizeof *relations);

    for (size_t i = 0; i < op->n_sides; i++) {
        relations[i] = side_relation(op, &op->sides[i]);
    }
    const StateSpec state = {.checkpoint = spec->checkpoint,
                             .operator= spec->index,
                             .flow = spec->flow,
                             .fingerprint = spec->step->fingerprint,
                             .relations = relations,
                             .n_relations = op->n_sides};
    return state_open(conn, &state, &op->base.state, err);
}

Status stream_join_open(DuckConn *conn, const StreamOperatorSpec *spec, StreamOperator **out, Error *err)
{
    Join *op = mem_alloc(sizeof *op);
    Status rc = OK;

    op->base = (StreamOperator){.ops = &JOIN_OPS, .step = spec->step};
    op->conn = conn;
    op->arena = arena_new();
    op->n_sides = spec->step->n_sides;
    op->sides = arena_alloc(op->arena, op->n_sides * sizeof *op->sides);
    for (size_t i = 0; i < op->n_sides; i++) {
        TRY(open_side(op, i, conn, spec, err));
    }
    TRY(open_state(op, conn, spec, err));
    warn_of_old_state(op, spec);
    TRY(make_views(op, conn, err));
    *out = &op->base;
    op = NULL;
out:
    if (op) {
        join_close(&op->base);
    }
    return rc;
}
