/* The steps of a stateful query in a flow: opening their operators, and a batch through them.
 *
 *   leaves     every placeholder is a temporary view of the batch's rows. Event times are seen as the rows go by
 *              (freshet_observe). A leaf that more than one text of the plan reads, or the body, is laid down in a
 *              temporary table first: files are read and counted once, and what was seen is known before the commit
 *   operators  in order, each with the watermark of what it reads: the flow's, or what the step below hands up
 *   state      saved before the sink's commit, named by it, settled after commits/N
 *
 * Two watermarks: what closes in batch N is decided by that of offsets/N, what is late in batch N by that of
 * offsets/N-1. Both are in the checkpoint, so a batch that runs again has them.
 */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "stream/flow_int.h"

enum { PURGE_EVERY = 8 }; /* batches: a listing of the folder each */

/* ---- what reads what ---- */

/* How often a text reads a relation. */
static size_t mentions(const char *text, const char *name)
{
    size_t length = strlen(name), n = 0;

    for (const char *at = text; at && (at = strstr(at, name)) != NULL; at += length) {
        const char *end = at + length;
        bool longer = *end >= '0' && *end <= '9'; /* freshet_step_1 is not freshet_step_10 */
        n += !longer && end[*end == '"'] != '.';  /* with a dot it only says whose column */
    }
    return n;
}

static size_t step_mentions(const SqlStep *step, const char *name)
{
    size_t n = mentions(step->input, name);

    for (size_t i = 0; i < step->n_sides; i++) {
        n += mentions(step->sides[i].input, name);
    }
    return n;
}

/* Has the leaf to be laid down before anything reads it? It is read once. */
static bool is_shared(const Flow *flow, const FlowReader *reader)
{
    size_t n = 0;

    for (size_t i = 0; i < flow->plan->n_steps; i++) {
        n += step_mentions(&flow->plan->steps[i], reader->placeholder);
    }
    return n > 1 || mentions(flow->plan->body, reader->placeholder) > 0;
}

/* ---- opening ---- */

/* The hint of an error about state that does not fit: which steps would be computed anew, and how. */
static void hint_rebuilt(const Flow *flow, Error *err)
{
    Text list = TEXT(ERROR_TEXT_MAX), was = TEXT(TEXT_SQL_MAX);
    size_t table = strcspn(flow->name, "/");

    for (size_t i = 0; flow->plan && i < flow->plan->n_steps; i++) {
        const SqlStep *step = &flow->plan->steps[i];
        text_clear(&was);
        if (state_fingerprint(checkpoint_store(flow->checkpoint), i, &was, NULL) != OK ||
            str_starts(text_str(&was), step->fingerprint)) {
            continue;
        }
        text_printf(&list, "%s step %zu (%s), ", list.length ? "" : ":", i, step->title ? step->title : step->name);
        text_printf(&list, was.length ? "which was %s;" : "which is new;", text_str(&was));
    }
    error_hint(err,
               "restore the query, or --full-refresh %.*s: it rebuilds the table and all that is remembered for it%s",
               (int)table, flow->name, text_str(&list));
    text_free(&list);
    text_free(&was);
}

Status steps_open(Flow *flow, Error *err)
{
    Status rc = OK;

    flow->steps = mem_alloc((flow->plan->n_steps + 1) * sizeof *flow->steps);
    for (size_t i = 0; i < flow->plan->n_steps; i++) {
        const StreamOperatorSpec spec = {.step = &flow->plan->steps[i],
                                         .mode = flow->plan->mode,
                                         .keeps_rejected = flow->rejected != NULL,
                                         .checkpoint = checkpoint_store(flow->checkpoint),
                                         .index = i,
                                         .flow = flow->name};
        TRY(stream_operator_open(flow->conn, &spec, &flow->steps[i], err));
        flow->n_steps++;
    }
    for (size_t i = 0; i < flow->n_readers; i++) {
        flow->readers[i].shared = is_shared(flow, &flow->readers[i]);
    }
out:
    if (rc != OK) {
        if (err && err->id == E_STREAM_STATE_CHANGED) {
            hint_rebuilt(flow, err);
        }
        steps_close(flow);
    }
    return rc;
}

void steps_close(Flow *flow)
{
    while (flow->n_steps > 0) {
        stream_operator_close(flow->steps[--flow->n_steps]);
    }
    mem_free(flow->steps);
    flow->steps = NULL;
    flow->loaded = false;
}

/* ---- where it stands ---- */

void steps_recover(Flow *flow, const json_t *facts)
{
    WatermarkNode *nodes = mem_alloc((flow->n_readers + 1) * sizeof *nodes);

    json_decref(flow->state);
    flow->state = facts ? json_incref(json_object_get(facts, "state")) : NULL;
    watermark_parse(facts ? json_object_get(facts, "observed") : NULL, nodes, flow->n_readers);
    for (size_t i = 0; i < flow->n_readers; i++) {
        flow->readers[i].node = nodes[i];
    }
    mem_free(nodes);
    flow->loaded = false;
}

static Status other_steps(const Flow *flow, Error *err)
{
    size_t had = flow->state ? json_object_size(flow->state) : 0;

    error_set(err, E_STREAM_STATE_CHANGED, "%s remembers rows in %zu step%s now, its checkpoint holds state of %zu",
              flow->name, flow->n_steps, flow->n_steps == 1 ? "" : "s", had);
    hint_rebuilt(flow, err);
    return error_status(err);
}

Status steps_load(Flow *flow, Error *err)
{
    Status rc = OK;

    if (flow->loaded) {
        return OK;
    }
    bool fresh = !flow->state && flow->next_batch == 0;
    if (!fresh && (flow->state ? json_object_size(flow->state) : 0) != flow->n_steps) {
        return other_steps(flow, err);
    }
    for (size_t i = 0; i < flow->n_steps; i++) {
        char key[24];
        snprintf(key, sizeof key, "%zu", i);
        json_t *files = flow->state ? json_object_get(flow->state, key) : NULL;
        if (flow->state && !files) {
            return other_steps(flow, err);
        }
        TRY(state_load(flow->steps[i]->state, flow->conn, files, err));
    }
    flow->loaded = true;
out:
    return rc;
}

/* ---- watermarks ---- */

/* As operators have it: microseconds, and INT64_MIN as long as there is none. */
static int64_t in_us(int64_t watermark_ms)
{
    return watermark_ms > 0 ? watermark_ms * 1000 : INT64_MIN;
}

/* The watermarks of all steps' inputs, given the flow's. */
static void watermarks_of_steps(const Flow *flow, int64_t flow_us, int64_t *inputs)
{
    int64_t *outputs = mem_alloc((flow->n_steps + 1) * sizeof *outputs);

    for (size_t i = 0; i < flow->n_steps; i++) {
        const SqlStep *step = flow->steps[i]->step;
        int64_t input = INT64_MAX;
        for (size_t k = 0; k < i; k++) {
            if (step_mentions(step, flow->steps[k]->step->name) > 0) {
                input = outputs[k] < input ? outputs[k] : input;
            }
        }
        for (size_t k = 0; k < flow->n_readers; k++) {
            if (step_mentions(step, flow->readers[k].placeholder) > 0) {
                input = flow_us < input ? flow_us : input;
            }
        }
        inputs[i] = input == INT64_MAX ? flow_us : input;
        outputs[i] = inputs[i] == INT64_MIN ? INT64_MIN
                                            : flow->steps[i]->ops->output_watermark(flow->steps[i], inputs[i]);
    }
    mem_free(outputs);
}

Status steps_want_batch(Flow *flow, bool *out, Error *err)
{
    int64_t *evict = mem_alloc((flow->n_steps + 1) * sizeof *evict);
    bool wants = false;
    Status rc = OK;

    if (flow->watermark_ms > flow->late_ms) {
        watermarks_of_steps(flow, in_us(flow->watermark_ms), evict);
        for (size_t i = 0; i < flow->n_steps && !wants; i++) {
            if (evict[i] != INT64_MIN) {
                TRY(flow->steps[i]->ops->wants_batch(flow->steps[i], flow->conn, evict[i], &wants, err));
            }
        }
    }
    *out = wants;
out:
    mem_free(evict);
    return rc;
}

static bool has_watermark(const FlowReader *reader)
{
    return reader->event_column != NULL;
}

/* What the batch saw, as nodes after it, and the flow's watermark that follows. */
static void observe(Flow *flow)
{
    WatermarkNode *nodes = mem_alloc((flow->n_readers + 1) * sizeof *nodes);
    Batch *batch = &flow->batch;
    size_t n = 0;

    for (size_t i = 0; i < flow->n_readers; i++) {
        FlowReader *reader = &flow->readers[i];
        reader->next_node = reader->node;
        if (has_watermark(reader)) {
            watermark_observe(&reader->next_node, reader->times.count, reader->times.max, reader->delay_us,
                              batch->time_ms);
            nodes[n++] = reader->next_node;
        }
    }
    batch->next_watermark_ms = watermark_next(nodes, n, batch->watermark_ms, flow->idle_ms, batch->time_ms);
    mem_free(nodes);
}

/* ---- leaves ---- */

/* The rows of the batch, with the column of event times where it is an expression. */
static void append_rows(const FlowReader *reader, Text *sql)
{
    const char *relation = reader->relation.sql ? reader->relation.sql : reader->empty;

    if (!reader->event_expression) {
        text_append(sql, relation);
        return;
    }
    bool replaces = delta_schema_find(reader->schema, reader->event_column) != NULL;
    text_printf(sql, replaces ? "SELECT * REPLACE ((%s\n) AS " : "SELECT *, (%s\n) AS ", reader->event_expression);
    text_append_sql_name(sql, reader->event_column);
    text_printf(sql, "%s FROM (%s)", replaces ? ")" : "", relation);
}

static int64_t latest_us(const Flow *flow)
{
    return flow->batch.time_ms * 1000 + flow->max_ahead_us;
}

/* A volatile column: it is made once for every row, and the filter on it cannot be moved below. The LIMIT, which takes
 * nothing away, keeps the query's own filters above: the watermark follows all rows of the leaf, not what an optimizer
 * leaves of them. What a join finds in its other side to leave out rows with goes through a LIMIT, down to the files, but
 * not through a sample, of everything; that is slower, so it is taken where there is such a join. */
static void append_observed(const Flow *flow, const FlowReader *reader, const char *rows, Text *sql)
{
    Text time = TEXT(65536);

    text_append(&time, "epoch_us(");
    text_append_sql_name(&time, reader->event_column);
    text_append_char(&time, ')');
    text_append(sql, flow->plan->narrows ? "SELECT * FROM (" : "");
    text_append(sql, "SELECT * EXCLUDE (freshet_seen) FROM (SELECT *, CASE WHEN ");
    if (flow->max_ahead_us > 0) {
        text_printf(sql, "freshet_count(%" PRIu64 ", %s IS NULL OR %s <= %" PRId64 ")", reader->ahead_slot,
                    text_str(&time), text_str(&time), latest_us(flow));
    } else {
        text_append(sql, "true");
    }
    text_printf(sql,
                " THEN freshet_observe(%" PRIu64 ", %s) ELSE false END AS freshet_seen FROM (%s)) WHERE freshet_seen",
                reader->times_slot, text_str(&time), rows);
    if (flow->plan->narrows) {
        text_append(sql, ") USING SAMPLE 100% (system)");
    } else {
        text_printf(sql, " LIMIT %" PRId64, INT64_MAX);
    }
    text_free(&time);
}

/* Lays `select` down and makes *select a read of that. */
static Status keep_leaf(Flow *flow, const FlowReader *reader, const char *suffix, Text *select, Error *err)
{
    Text name = TEXT(4096), sql = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    text_printf(&name, "%s_%s", reader->placeholder, suffix);
    text_append(&sql, "CREATE OR REPLACE TEMP TABLE ");
    text_append_sql_name(&sql, text_str(&name));
    text_printf(&sql, " AS %s", text_str(select));
    TRY(duck_exec(flow->conn, text_str(&sql), err));
    text_clear(select);
    text_append(select, "SELECT * FROM temp.");
    text_append_sql_name(select, text_str(&name));
out:
    text_free(&name);
    text_free(&sql);
    return rc;
}

/* Rows too far ahead go to the rejected ones; so the rows are laid down, and *rows becomes a read of that. */
static Status reject_ahead(Flow *flow, const FlowReader *reader, Text *rows, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    TRY(keep_leaf(flow, reader, "raw", rows, err));
    text_printf(&sql, "INSERT INTO " REJECTED " SELECT '%s', to_json(r) FROM (%s) AS r WHERE epoch_us(r.",
                STREAM_REASON_TEXTS[REASON_AHEAD], text_str(rows));
    text_append_sql_name(&sql, reader->event_column);
    text_printf(&sql, ") > %" PRId64, latest_us(flow));
    TRY(duck_exec(flow->conn, text_str(&sql), err));
out:
    text_free(&sql);
    return rc;
}

static void reset_times(FlowReader *reader)
{
    reader->times.count = 0;
    reader->times.min = INT64_MAX;
    reader->times.max = INT64_MIN;
    reader->times.sum = 0;
    reader->ahead.passed = 0;
    reader->ahead.failed = 0;
}

static Status make_leaf(Flow *flow, FlowReader *reader, Error *err)
{
    Text rows = TEXT(TEXT_SQL_MAX), select = TEXT(TEXT_SQL_MAX);
    bool read = reader->relation.sql != NULL;
    Status rc = OK;

    reset_times(reader);
    append_rows(reader, &rows);
    bool kept = read && has_watermark(reader) && flow->rejected && flow->max_ahead_us > 0;
    if (kept) {
        TRY(reject_ahead(flow, reader, &rows, err));
    }
    if (read && has_watermark(reader)) {
        append_observed(flow, reader, text_str(&rows), &select);
    } else {
        text_append(&select, text_str(&rows));
    }
    if (read && reader->shared) {
        TRY(keep_leaf(flow, reader, "kept", &select, err));
    }
    TRY(plan_view(flow, reader->placeholder, text_str(&select), err));
out:
    text_free(&rows);
    text_free(&select);
    return rc;
}

Status steps_plan_leaf(Flow *flow, FlowReader *reader, Error *err)
{
    Text rows = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    append_rows(reader, &rows);
    TRY(plan_view(flow, reader->placeholder, text_str(&rows), err));
    if (has_watermark(reader)) {
        text_clear(&rows);
        text_append_sql_name(&rows, reader->event_column);
        TRY(watermark_check_type(flow->conn, reader->placeholder, text_str(&rows), reader->event_column, err));
    }
out:
    text_free(&rows);
    return rc;
}

static Status make_leaves(Flow *flow, Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < flow->n_readers; i++) {
        TRY(make_leaf(flow, &flow->readers[i], err));
    }
    for (size_t i = 0; i < flow->n_sides; i++) {
        TRY(plan_view(flow, flow->sides[i].placeholder, flow->sides[i].relation.sql, err));
    }
out:
    return rc;
}

/* ---- a batch ---- */

static Status run_steps(Flow *flow, Error *err)
{
    int64_t *late = mem_alloc((flow->n_steps + 1) * sizeof *late),
            *evict = mem_alloc((flow->n_steps + 1) * sizeof *evict);
    Status rc = OK;

    watermarks_of_steps(flow, in_us(flow->late_ms), late);
    watermarks_of_steps(flow, in_us(flow->batch.watermark_ms), evict);
    for (size_t i = 0; i < flow->n_steps; i++) {
        StreamOperator *op = flow->steps[i];
        const StreamOperatorBatch batch = {.batch = flow->batch.id,
                                           .late_us = late[i],
                                           .evict_us = evict[i],
                                           .rejected = flow->rejected ? REJECTED : NULL};
        state_begin(op->state);
        TRY(op->ops->run(op, flow->conn, &batch, err));
    }
out:
    mem_free(late);
    mem_free(evict);
    return rc;
}

static Status save_steps(Flow *flow, Error *err)
{
    json_t *all = json_object(), *files = NULL;
    Status rc = OK;

    for (size_t i = 0; i < flow->n_steps; i++) {
        char key[24];
        snprintf(key, sizeof key, "%zu", i);
        TRY(state_save(flow->steps[i]->state, flow->conn, flow->batch.id, &files, err));
        json_put(all, key, files);
    }
    json_decref(flow->batch.state);
    flow->batch.state = json_incref(all);
out:
    json_decref(all);
    return rc;
}

/* A join ends early where its other side is empty: leaves whose rows have not all gone by are read again, for their event
 * times alone. */
static Status see_rest(Flow *flow, Error *err)
{
    Text sql = TEXT(4096);
    int64_t rows;
    Status rc = OK;

    for (size_t i = 0; flow->plan->narrows && i < flow->n_readers; i++) {
        FlowReader *reader = &flow->readers[i];
        int64_t wanted = reader->relation.rows < 0 ? 1 : reader->relation.rows;
        if (!has_watermark(reader) || !reader->relation.sql || reader->shared || reader->times.count >= wanted) {
            continue;
        }
        reset_times(reader);
        text_clear(&sql);
        text_append(&sql, "SELECT count(*) FROM ");
        text_append_sql_name(&sql, reader->placeholder);
        TRY(duck_query_numbers(flow->conn, text_str(&sql), &rows, 1, err));
    }
out:
    text_free(&sql);
    return rc;
}

Status steps_run(Flow *flow, Error *err)
{
    Status rc = OK;

    TRY(steps_load(flow, err));
    TRY(make_leaves(flow, err));
    flow->loaded = false;
    TRY(run_steps(flow, err));
    TRY(see_rest(flow, err));
    observe(flow);
    TRY(save_steps(flow, err));
out:
    return rc;
}

/* ---- figures, facts ---- */

void steps_count(Flow *flow)
{
    Batch *batch = &flow->batch;

    for (size_t i = 0; i < flow->n_steps; i++) {
        const StreamOperatorFigures *figures = &flow->steps[i]->figures;
        batch->aside[REASON_LATE] += figures->rows_late;
        batch->aside[REASON_NO_TIME] += figures->rows_null_time;
        batch->aside[REASON_DUPLICATE] += figures->rows_duplicate;
        batch->aside[REASON_EVICTED] += figures->rows_unmatched;
    }
    for (size_t i = 0; flow->plan && i < flow->n_readers; i++) {
        batch->aside[REASON_AHEAD] += flow->readers[i].ahead.failed;
    }
}

void steps_facts(const Flow *flow, Text *out)
{
    WatermarkNode *nodes = mem_alloc((flow->n_readers + 1) * sizeof *nodes);
    Error err = ERROR_NONE;

    for (size_t i = 0; i < flow->n_readers; i++) {
        nodes[i] = flow->readers[i].next_node;
    }
    json_t *observed = watermark_json(nodes, flow->n_readers);
    text_append(out, ",\"observed\":");
    (void)json_dump_text(observed, out, &err); /* too long shows in out->overflow */
    text_append(out, ",\"state\":");
    (void)json_dump_text(flow->batch.state, out, &err);
    json_decref(observed);
    mem_free(nodes);
}

/* ---- after a batch ---- */

static void keep(Flow *flow, json_t *state)
{
    flow->states = mem_grow(flow->states, flow->n_states, &flow->states_capacity, sizeof *flow->states);
    flow->states[flow->n_states++] = json_incref(state);
}

static void forget_kept(Flow *flow, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        json_decref(flow->states[i]);
    }
    flow->n_states -= n;
    if (flow->n_states == 0) {
        return;
    }
    memmove(flow->states, flow->states + n, flow->n_states * sizeof *flow->states);
}

void steps_settle(Flow *flow)
{
    for (size_t i = 0; i < flow->n_steps; i++) {
        state_settle(flow->steps[i]->state, flow->batch.id);
    }
    for (size_t i = 0; i < flow->n_readers; i++) {
        flow->readers[i].node = flow->readers[i].next_node;
    }
    json_decref(flow->state);
    flow->state = json_incref(flow->batch.state);
    flow->loaded = true;
    keep(flow, flow->state);
}

void steps_snapshot(Flow *flow)
{
    Error err = ERROR_NONE;

    for (size_t i = 0; i < flow->n_steps; i++) {
        if (state_snapshot(flow->steps[i]->state, flow->conn, &err) != OK) {
            log_warning("flow=%s %s", flow->name, err.message); /* the next batch writes it */
            flow->orphans = true;
            error_clear(&err);
        }
    }
}

Status steps_keep(Flow *flow, int64_t from, int64_t to, Error *err)
{
    CommitsEntry *entry = NULL;
    Error local = ERROR_NONE;

    flow->orphans = true;
    forget_kept(flow, flow->n_states);
    for (int64_t batch = from < 0 ? 0 : from; batch <= to; batch++) {
        Status rc = checkpoint_read_commit(flow->checkpoint, batch, &entry, &local);
        if (rc != OK && rc != ERR_NOT_FOUND) {
            *err = local;
            return rc;
        }
        if (rc == OK && entry->freshet && json_object_get(entry->freshet, "state")) {
            keep(flow, json_object_get(entry->freshet, "state"));
        }
        error_clear(&local);
        commits_entry_free(entry);
        entry = NULL;
    }
    return OK;
}

Status steps_purge(Flow *flow, Error *err)
{
    const json_t **files = NULL;
    Status rc = OK;

    if (flow->n_states > (size_t)flow->retain_batches) {
        forget_kept(flow, flow->n_states - (size_t)flow->retain_batches);
    }
    if (!flow->orphans && flow->batch.id % PURGE_EVERY != 0) {
        return OK;
    }
    files = mem_alloc((flow->n_states + 1) * sizeof *files);
    for (size_t i = 0; i < flow->n_steps; i++) {
        char key[24];
        size_t n = 0;
        snprintf(key, sizeof key, "%zu", i);
        for (size_t k = 0; k < flow->n_states; k++) {
            const json_t *one = json_object_get(flow->states[k], key);
            if (one) {
                files[n++] = one;
            }
        }
        TRY(state_purge(flow->steps[i]->state, files, n, err));
    }
    flow->orphans = false;
out:
    mem_free(files);
    return rc;
}
