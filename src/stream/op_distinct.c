/* DISTINCT over a stream: a row goes on when its key has not been seen before.
 *
 * State is one row a key: keys(k0.., expires), and for a single VARCHAR key also uuids(u, expires). There are the texts
 * that are UUIDs (op_uuid.h); every other text, and NULL, is in keys.
 *
 *   expires    NULL: never
 *              event time is a key         the event time: a row with it would be late from then on
 *              within the watermark        the first row's event time + delay; later rows do not extend it. A null
 *                                          event time counts as 1970, as it does in Spark: remembered for ever, such
 *                                          keys would pile up
 *              (a key with a null event time: never)
 *
 * A batch:
 *
 *   found      rows that are not late, with their keys as the state has them
 *   matched    keys of the state that found rows have too: only the batch's keys are hashed, the state streams by, so the
 *              cost is the batch's plus a scan of the keys; and keys that found rows have twice
 *   drop       rows with a key of the state go. Where another key is there twice, its first row by event time, then by all
 *              columns, stays: a choice by content, so a batch that runs again chooses the same. Without such keys
 *              nothing is compared
 *   remember   keys of what is left, then expiry. Keys of batch N are probed from N + 1 on, when those that expired are
 *              gone: a row as old as they are would be late
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "stream/op_input.h"
#include "stream/op_text.h"
#include "stream/op_uuid.h"

enum { KEYS = 0, UUIDS = 1, N_RELATIONS = 2 };

typedef struct Distinct {
    StreamOperator base;
    DuckConn *conn;
    Arena *arena;
    DuckColumnInfo *columns; /* of the input: output columns, keys, event time */
    size_t n_out, n_keys;
    bool whole_rows; /* the keys are the output columns, d0.. are not read */
    size_t *order; /* which of the query's keys is k0, k1, ..: by what they mean, so a list in another order has them */
    bool has_uuids;
    const char *select;    /* the input with names of ours for keys and event time: freshet_d0.., freshet_t */
    const char *expires;   /* SQL over it */
    char *found, *matched; /* names of temporary tables */
    OpInput input;
} Distinct;

static const DuckType TYPE_BIGINT = {.id = DUCK_BIGINT};
static const DuckType TYPE_UUID = {.id = DUCK_UUID};

/* ---- texts ---- */

/* The output columns, each after a comma when `more`. */
static void append_output(const Distinct *op, bool more, Text *sql)
{
    for (size_t i = 0; i < op->n_out; i++) {
        text_append(sql, i || more ? ", " : "");
        text_append_sql_name(sql, op->columns[i].name);
    }
}

/* freshet_k0, ... and freshet_u: the columns of the found rows that say which key they have. */
static void append_keys(const Distinct *op, Text *sql)
{
    for (size_t i = 0; i < op->n_keys; i++) {
        text_printf(sql, i ? ", freshet_k%zu" : "freshet_k%zu", i);
    }
    if (op->has_uuids) {
        text_append(sql, ", freshet_u");
    }
}

static void append_same_key(const Distinct *op, const char *a, const char *b, Text *sql)
{
    for (size_t i = 0; i < op->n_keys; i++) {
        text_printf(sql, "%s%s.freshet_k%zu IS NOT DISTINCT FROM %s.freshet_k%zu", i ? " AND " : "", a, i, b, i);
    }
    if (op->has_uuids) {
        text_printf(sql, " AND %s.freshet_u IS NOT DISTINCT FROM %s.freshet_u", a, b);
    }
}

/* k<i> of the state: SQL over the input. */
static void append_key(const Distinct *op, size_t i, Text *sql)
{
    if (op->whole_rows) {
        text_append_sql_name(sql, op->columns[op->order[i]].name);
    } else {
        text_printf(sql, "freshet_d%zu", op->order[i]);
    }
}

/* The rows of the input, each once where they are their own keys; with its earliest event time then. */
static void append_rows(const Distinct *op, const char *relation, Text *sql)
{
    if (!op->whole_rows) {
        text_append(sql, relation);
        return;
    }
    text_append(sql, "(SELECT ");
    append_output(op, false, sql);
    text_printf(sql, "%s FROM %s GROUP BY ", op->input.event_time ? ", min(freshet_t) AS freshet_t" : "", relation);
    append_output(op, false, sql);
    text_append(sql, ")");
}

/* The rows of `relation` with their keys as the state has them and when these expire. A sub-query makes the UUID once a
 * row. */
static void append_keyed(const Distinct *op, const char *relation, Text *sql)
{
    text_append(sql, "SELECT ");
    append_output(op, false, sql);
    for (size_t i = 0; i < op->n_keys; i++) {
        text_append(sql, op->has_uuids ? ", CASE WHEN freshet_u IS NULL THEN " : ", ");
        append_key(op, i, sql);
        text_printf(sql, op->has_uuids ? " END AS freshet_k%zu, freshet_u" : " AS freshet_k%zu", i);
    }
    text_printf(sql, ", %s AS freshet_expires%s FROM ", op->expires, op->input.event_time ? ", freshet_t" : "");
    if (op->has_uuids) {
        text_append(sql, "(SELECT *, freshet_uuid(");
        append_key(op, 0, sql);
        text_append(sql, ") AS freshet_u FROM ");
        append_rows(op, relation, sql);
        text_append(sql, ")");
    } else {
        append_rows(op, relation, sql);
    }
}

/* ---- open ---- */

/* A column of the user's may be called d0 too, so only places count. */
static void name_columns(Distinct *op, const SqlStep *step)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    text_printf(&sql, "SELECT * FROM (%s) AS freshet_input(", step->input);
    append_output(op, false, &sql);
    for (size_t i = 0; i < step->n_distinct; i++) {
        text_printf(&sql, ", freshet_d%zu", i);
    }
    text_append(&sql, step->has_event_time ? ", freshet_t)" : ")");
    op->select = arena_strdup(op->arena, text_str(&sql));
    text_free(&sql);
}

static void find_expires(Distinct *op, const SqlStep *step)
{
    if (step->has_event_time && step->event_time_is_key) {
        op->expires = "epoch_us(freshet_t)";
    } else if (step->has_event_time && step->within_watermark) {
        op->expires = arena_printf(op->arena, "coalesce(epoch_us(freshet_t), 0) + %" PRId64, step->delay_us);
    } else {
        op->expires = "NULL::BIGINT";
    }
}

/* The tables and views the next steps bind against. */
static Status make_outputs(Distinct *op, DuckConn *conn, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    text_append(&sql, "CREATE OR REPLACE TEMP TABLE ");
    text_append_sql_name(&sql, op->found);
    text_append(&sql, " AS ");
    char *relation = arena_printf(op->arena, "(%s)", op->select);
    append_keyed(op, relation, &sql);
    text_append(&sql, " LIMIT 0; CREATE OR REPLACE TEMP VIEW ");
    text_append_sql_name(&sql, op->base.step->name);
    text_append(&sql, " AS SELECT ");
    append_output(op, false, &sql);
    text_append(&sql, " FROM temp.");
    text_append_sql_name(&sql, op->found);
    Status rc = duck_exec(conn, text_str(&sql), err);
    text_free(&sql);
    return rc;
}

static const DuckType *key_type(const Distinct *op, size_t i)
{
    return op->columns[op->whole_rows ? op->order[i] : op->n_out + op->order[i]].type;
}

/* What the keys are by their names alone, where the query does not say what each is. */
static const char *names_of_keys(const Distinct *op)
{
    Text names = TEXT(TEXT_SQL_MAX);

    if (!op->whole_rows || op->base.step->distinct_meanings) {
        return NULL;
    }
    for (size_t i = 0; i < op->n_keys; i++) {
        text_printf(&names, "%s%s", i ? ", " : "", op->columns[op->order[i]].name);
    }
    char *lower = arena_strdup(op->arena, text_str(&names));
    text_free(&names);
    str_lower(lower);
    return lower;
}

static Status open_state(Distinct *op, DuckConn *conn, const StreamOperatorSpec *spec, Error *err)
{
    const char *expires = spec->step->has_event_time ? "expires" : NULL;
    DuckColumnInfo *keys = arena_alloc(op->arena, (op->n_keys + 1) * sizeof *keys);
    const DuckColumnInfo uuids[] = {{"u", &TYPE_UUID}, {"expires", &TYPE_BIGINT}};

    StateShown *shown = arena_alloc(op->arena, (op->n_keys + 1) * sizeof *shown);

    for (size_t i = 0; i < op->n_keys; i++) {
        keys[i] = (DuckColumnInfo){arena_printf(op->arena, "k%zu", i), key_type(op, i)};
        shown[i].name = op->whole_rows               ? op->columns[op->order[i]].name
                        : spec->step->distinct_texts ? spec->step->distinct_texts[op->order[i]]
                                                     : NULL;
    }
    keys[op->n_keys] = uuids[1];
    shown[op->n_keys].is_time = true;
    const StateRelation relations[N_RELATIONS] = {
        [KEYS] = {.name = "keys",
                  .columns = keys,
                  .n_columns = op->n_keys + 1,
                  .expires = expires,
                  .means = names_of_keys(op),
                  .shown = shown},
        [UUIDS] = {.name = "uuids", .columns = uuids, .n_columns = 2, .expires = expires, .shown = shown},
    };
    const StateSpec state = {.checkpoint = spec->checkpoint,
                             .operator= spec->index,
                             .flow = spec->flow,
                             .fingerprint = spec->step->fingerprint,
                             .relations = relations,
                             .n_relations = op->has_uuids ? N_RELATIONS : 1};
    return state_open(conn, &state, &op->base.state, err);
}

/* ---- run ---- */

static Status find(Distinct *op, DuckConn *conn, const StreamOperatorBatch *batch, int64_t *rows, Error *err)
{
    Text relation = TEXT(TEXT_SQL_MAX), sql = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    TRY(op_input_begin(&op->input, conn, batch, &relation, err));
    text_printf(&sql, "CREATE OR REPLACE TEMP TABLE \"%s\" AS ", op->found);
    append_keyed(op, text_str(&relation), &sql);
    TRY(duck_exec(conn, text_str(&sql), err));
    text_clear(&sql);
    text_printf(&sql, "temp.\"%s\"", op->found);
    TRY(op_count_rows(conn, text_str(&sql), rows, err));
out:
    text_free(&relation);
    text_free(&sql);
    return rc;
}

/* The keys of the state that a found row has too. In keys, the NULL that rows with a UUID have for a text may bring up
 * the key NULL without need; no found row has it then. */
static void append_seen(const Distinct *op, Text *sql)
{
    text_append(sql, "SELECT ");
    for (size_t i = 0; i < op->n_keys; i++) {
        text_printf(sql, "%ss.k%zu AS freshet_k%zu", i ? ", " : "", i, i);
    }
    text_printf(sql, "%s FROM %s AS s SEMI JOIN temp.\"%s\" AS f ON ", op->has_uuids ? ", NULL AS freshet_u" : "",
                state_table(op->base.state, KEYS), op->found);
    for (size_t i = 0; i < op->n_keys; i++) {
        text_printf(sql, "%ss.k%zu IS NOT DISTINCT FROM f.freshet_k%zu", i ? " AND " : "", i, i);
    }
    if (op->has_uuids) {
        text_printf(sql, " UNION ALL SELECT NULL, s.u FROM %s AS s SEMI JOIN temp.\"%s\" AS f ON s.u = f.freshet_u",
                    state_table(op->base.state, UUIDS), op->found);
    }
}

/* Lays down the keys of which rows go: those seen before, and those that are there twice. *n: how many. */
static Status match(Distinct *op, DuckConn *conn, int64_t *n, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    text_printf(&sql, "CREATE OR REPLACE TEMP TABLE \"%s\" AS SELECT *, true AS freshet_old FROM (", op->matched);
    append_seen(op, &sql);
    text_append_char(&sql, ')');
    TRY(duck_exec(conn, text_str(&sql), err));
    if (!op->whole_rows) {
        text_clear(&sql);
        text_printf(&sql, "INSERT INTO temp.\"%s\" SELECT ", op->matched);
        append_keys(op, &sql);
        text_printf(&sql, ", false FROM temp.\"%s\" GROUP BY ALL HAVING count(*) > 1", op->found);
        TRY(duck_exec(conn, text_str(&sql), err));
    }
    text_clear(&sql);
    text_printf(&sql, "temp.\"%s\"", op->matched);
    TRY(op_count_rows(conn, text_str(&sql), n, err));
out:
    text_free(&sql);
    return rc;
}

static void append_found_of(const Distinct *op, const char *keys, Text *sql)
{
    text_printf(sql, " FROM temp.\"%s\" AS f SEMI JOIN %s AS m ON ", op->found, keys);
    append_same_key(op, "f", "m", sql);
}

/* The places of the first of the found rows of each key that is new and there twice. */
static void append_first(const Distinct *op, Text *sql)
{
    Text keys = TEXT(TEXT_SQL_MAX);

    text_append(&keys, "(SELECT ");
    append_keys(op, &keys);
    text_printf(&keys, " FROM temp.\"%s\" GROUP BY ALL HAVING NOT bool_or(freshet_old))", op->matched);
    text_append(sql, "SELECT arg_min(f.rowid, row(");
    text_append(sql, op->input.event_time ? "freshet_t" : "");
    append_output(op, op->input.event_time != NULL, sql);
    text_append(sql, "))");
    append_found_of(op, text_str(&keys), sql);
    text_append(sql, " GROUP BY ");
    append_keys(op, sql);
    text_free(&keys);
}

/* Of the found rows those with a key seen before leave, and of the others with one key all but the first. */
static Status drop(Distinct *op, DuckConn *conn, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX), matched = TEXT(4096);
    int64_t n = 0;
    Status rc = OK;

    TRY(match(op, conn, &n, err));
    if (n == 0) {
        goto out;
    }
    text_printf(&sql, "DELETE FROM temp.\"%s\" WHERE rowid IN (SELECT f.rowid", op->found);
    text_printf(&matched, "temp.\"%s\"", op->matched);
    append_found_of(op, text_str(&matched), &sql);
    text_append_char(&sql, ')');
    if (!op->whole_rows) {
        text_append(&sql, " AND rowid NOT IN (");
        append_first(op, &sql);
        text_append_char(&sql, ')');
    }
    TRY(duck_exec(conn, text_str(&sql), err));
out:
    text_free(&sql);
    text_free(&matched);
    return rc;
}

/* What of the staged input is not among the rows that go on, each as often as it was there. */
static Status reject_duplicates(Distinct *op, DuckConn *conn, const StreamOperatorBatch *batch, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    op_input_append_rejected(&op->input, batch, REASON_DUPLICATE, &sql);
    text_append(&sql, " FROM (SELECT *, row_number() OVER (PARTITION BY ");
    append_output(op, false, &sql);
    text_printf(&sql, ") AS freshet_copy FROM temp.\"%s\" WHERE ", op->input.staged);
    op_input_append_in_time(&op->input, batch, &sql);
    text_printf(&sql, ") AS s WHERE freshet_copy > 1 OR NOT EXISTS (SELECT 1 FROM temp.\"%s\" AS f WHERE ", op->found);
    for (size_t i = 0; i < op->n_out; i++) {
        text_append(&sql, i ? " AND s." : "s.");
        text_append_sql_name(&sql, op->columns[i].name);
        text_append(&sql, " IS NOT DISTINCT FROM f.");
        text_append_sql_name(&sql, op->columns[i].name);
    }
    text_append_char(&sql, ')');
    Status rc = duck_exec(conn, text_str(&sql), err);
    text_free(&sql);
    return rc;
}

static Status remember(Distinct *op, DuckConn *conn, int64_t batch, int64_t *added, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    int64_t n = 0, uuids = 0;
    Status rc = OK;

    text_printf(&sql, "INSERT INTO %s SELECT ", state_table(op->base.state, KEYS));
    for (size_t i = 0; i < op->n_keys; i++) {
        text_printf(&sql, "freshet_k%zu, ", i);
    }
    text_printf(&sql, "freshet_expires, %" PRId64 " FROM temp.\"%s\"%s", batch, op->found,
                op->has_uuids ? " WHERE freshet_u IS NULL" : "");
    TRY(duck_exec_changed(conn, text_str(&sql), &n, err));
    if (op->has_uuids) {
        text_clear(&sql);
        text_printf(&sql,
                    "INSERT INTO %s SELECT freshet_u, freshet_expires, %" PRId64
                    " FROM temp.\"%s\" WHERE freshet_u IS NOT NULL",
                    state_table(op->base.state, UUIDS), batch, op->found);
        TRY(duck_exec_changed(conn, text_str(&sql), &uuids, err));
    }
    *added = n + uuids;
out:
    text_free(&sql);
    return rc;
}

static Status distinct_expire(Distinct *op, DuckConn *conn, int64_t evict_us, int64_t *evicted, Error *err)
{
    int64_t sum = 0, n = 0;
    Status rc = OK;

    for (size_t i = 0; op->input.event_time && evict_us != INT64_MIN && i < (op->has_uuids ? 2 : 1); i++) {
        TRY(state_expire(op->base.state, conn, i, evict_us, &n, err));
        sum += n;
    }
    *evicted = sum;
out:
    return rc;
}

static Status distinct_run(StreamOperator *base, DuckConn *conn, const StreamOperatorBatch *batch, Error *err)
{
    Distinct *op = (Distinct *)base;
    StreamOperatorFigures figures = {0};
    int64_t rows = 0, counted = 0;
    Status rc = OK;

    TRY(find(op, conn, batch, &rows, err));
    TRY(op_input_end(&op->input, conn, batch, &counted, &figures.rows_late, err));
    TRY(drop(op, conn, err));
    TRY(remember(op, conn, batch->batch, &figures.rows_out, err));
    figures.rows_duplicate = (counted < 0 ? rows : counted) - figures.rows_out;
    if (batch->rejected && figures.rows_duplicate > 0) {
        TRY(reject_duplicates(op, conn, batch, err));
    }
    TRY(op_input_drop(&op->input, conn, batch, err));
    TRY(distinct_expire(op, conn, batch->evict_us, &figures.rows_evicted, err));
    base->figures = figures;
out:
    return rc;
}

static Status distinct_wants_batch(StreamOperator *base, DuckConn *conn, int64_t evict_us, bool *out, Error *err)
{
    Distinct *op = (Distinct *)base;
    Text sql = TEXT(TEXT_SQL_MAX);
    int64_t wants = 0;
    Status rc = OK;

    for (size_t i = 0; base->step->has_event_time && !wants && i < (op->has_uuids ? 2 : 1); i++) {
        text_clear(&sql);
        text_printf(&sql, "SELECT EXISTS (SELECT 1 FROM %s WHERE expires <= %" PRId64 ")", state_table(base->state, i),
                    evict_us);
        TRY(duck_query_numbers(conn, text_str(&sql), &wants, 1, err));
    }
    *out = wants != 0;
out:
    text_free(&sql);
    return rc;
}

static int64_t distinct_output_watermark(const StreamOperator *base, int64_t input_us)
{
    (void)base;
    return input_us;
}

/* ---- open, close ---- */

static void distinct_close(StreamOperator *base)
{
    Distinct *op = (Distinct *)base;

    if (op->found) {
        (void)duck_execf(op->conn, NULL, "DROP VIEW IF EXISTS temp.\"%s\"; DROP TABLE IF EXISTS temp.\"%s\"",
                         base->step->name, op->found);
        (void)duck_execf(op->conn, NULL, "DROP TABLE IF EXISTS temp.\"%s\"", op->matched);
    }
    if (base->state) {
        state_close(base->state);
    }
    op_input_fini(&op->input);
    arena_free(op->arena);
    mem_free(op);
}

static const StreamOperatorOps DISTINCT_OPS = {.name = "dedupe",
                                               .run = distinct_run,
                                               .wants_batch = distinct_wants_batch,
                                               .output_watermark = distinct_output_watermark,
                                               .close = distinct_close};
static const StreamOperatorOps DISTINCT_WITHIN_OPS = {.name = "dedupeWithinWatermark",
                                                      .run = distinct_run,
                                                      .wants_batch = distinct_wants_batch,
                                                      .output_watermark = distinct_output_watermark,
                                                      .close = distinct_close};

/* What key `i` of the query is sorted by: its meaning, its name where that is all there is, its place. */
static int compare_keys(const Distinct *op, size_t a, size_t b)
{
    const char *const *meanings = op->base.step->distinct_meanings;
    int order = meanings         ? strcmp(meanings[a], meanings[b])
                : op->whole_rows ? str_icmp(op->columns[a].name, op->columns[b].name)
                                 : 0;

    return order ? order : (a > b) - (a < b);
}

static void order_keys(Distinct *op)
{
    op->order = arena_alloc(op->arena, (op->n_keys + 1) * sizeof *op->order);
    for (size_t i = 0; i < op->n_keys; i++) {
        size_t at = i;
        for (; at > 0 && compare_keys(op, op->order[at - 1], i) > 0; at--) {
            op->order[at] = op->order[at - 1];
        }
        op->order[at] = i;
    }
}

/* What the input's columns are: output, keys, event time. */
static Status describe_input(Distinct *op, DuckConn *conn, Error *err)
{
    const SqlStep *step = op->base.step;
    size_t n = 0, n_rest = step->n_distinct + (step->has_event_time ? 1 : 0);

    Status rc = duck_describe(conn, step->input, op->arena, &op->columns, &n, err);
    if (rc != OK) {
        return rc;
    }
    if (n < n_rest || step->n_distinct == 0) {
        return error_set(err, E_INTERNAL, "%s: %zu columns of which %zu are keys", step->name, n, step->n_distinct);
    }
    op->n_out = n - n_rest;
    op->whole_rows = step->whole_rows;
    op->n_keys = op->whole_rows ? op->n_out : step->n_distinct;
    order_keys(op);
    op->has_uuids = op->n_keys == 1 && key_type(op, 0)->id == DUCK_VARCHAR;
    return OK;
}

Status stream_distinct_open(DuckConn *conn, const StreamOperatorSpec *spec, StreamOperator **out, Error *err)
{
    const SqlStep *step = spec->step;
    Distinct *op = mem_alloc(sizeof *op);
    Status rc = OK;

    op->base = (StreamOperator){.ops = step->within_watermark ? &DISTINCT_WITHIN_OPS : &DISTINCT_OPS, .step = step};
    op->conn = conn;
    op->arena = arena_new();
    TRY(op_uuid_register(duck_instance(conn), err));
    TRY(describe_input(op, conn, err));
    name_columns(op, step);
    find_expires(op, step);
    op->input = (OpInput){.select = op->select,
                          .event_time = step->has_event_time ? "freshet_t" : NULL,
                          .staged = arena_printf(op->arena, "%s_input", step->name),
                          .counts = op->whole_rows,
                          .shown = op->columns,
                          .n_shown = op->n_out};
    op_input_init(&op->input, duck_instance(conn));
    op->matched = arena_printf(op->arena, "%s_matched", step->name);
    op->found = arena_printf(op->arena, "%s_found", step->name);
    TRY(make_outputs(op, conn, err));
    TRY(open_state(op, conn, spec, err));
    *out = &op->base;
    op = NULL;
out:
    if (op) {
        distinct_close(&op->base);
    }
    return rc;
}
