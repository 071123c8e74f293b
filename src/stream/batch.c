/* The micro-batch: one function, steps with names and an order, and what is true if the process dies just after each.
 *
 *   step    | what happens                                                         | after a crash
 *   --------|----------------------------------------------------------------------|-----------------------------------------
 *   plan    | every source says how far it may be read; static sides are pinned    | nothing happened
 *   log     | offsets/N written: the batch's input and time are fixed              | N runs again with the same input
 *   read    | sources turn (start, end] into relations                             | same
 *   write   | the steps, their state; the query; rows and txn(query id, N) in one  | before the commit: same; after: N is done
 *           | commit, which names the files of state                               |
 *   commit  | commits/N written, with the facts the commit holds                   | N + 1 is next
 *   settle  | sources hear what is in the target; old files of the checkpoint go   | it is done with a later batch
 *
 * A batch that was logged before (a restart) enters at read, with the logged ends, time and pins. A batch in which no
 * source advanced ends after plan, unless the watermark has moved and a step would let rows out or go. Sources hear of
 * batch N - 1 in batch N, when offsets/N is durable: so what they give up can never be asked for again.
 */
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "stream/flow_int.h"

enum { FACTS_BYTES_MAX = 64 << 20 };

static void forget_ends(Flow *flow)
{
    for (size_t i = 0; i < flow->n_readers; i++) {
        mem_free(flow->readers[i].end);
        flow->readers[i].end = NULL;
        flow->readers[i].advanced = false;
    }
    flow->batch.advanced = false;
}

/* ---- plan ---- */

/* Where the source may be read to; a grown schema ends the planning. */
static Status plan_source(Flow *flow, FlowReader *reader, Error *err)
{
    bool unlimited = flow->trigger.kind == TRIGGER_ONCE;
    bool changed = false;
    char *end = NULL;
    Status rc = OK;

    TRY(reader->source->ops->latest(reader->source, flow->conn, reader->start, unlimited, &end, &changed, err));
    if (changed) {
        flow->batch.replan = true;
        goto out;
    }
    reader->advanced = end && !(reader->start && strcmp(end, reader->start) == 0);
    if (reader->advanced) {
        reader->end = end;
        end = NULL;
        flow->batch.advanced = true;
    }
out:
    mem_free(end);
    return rc;
}

static Status step_plan(Flow *flow, Error *err)
{
    Batch *batch = &flow->batch;
    Status rc = OK;

    forget_ends(flow);
    for (size_t i = 0; i < flow->n_readers && !batch->replan; i++) {
        TRY(plan_source(flow, &flow->readers[i], err));
    }
    if (!batch->replan && !batch->advanced) {
        TRY(steps_want_batch(flow, &batch->no_data, err));
    }
    if (batch->replan || !(batch->advanced || batch->no_data)) {
        goto out;
    }
    batch->id = flow->next_batch;
    batch->time_ms = clock_now_ms();
    batch->watermark_ms = flow->watermark_ms;
    batch->conf = flow->conf ? json_deep_copy(flow->conf) : json_object();
    for (size_t i = 0; i < flow->n_sides; i++) {
        FlowSide *side = &flow->sides[i];
        char key[48];
        TRY(side->ops.pin(side->ops.context, flow->conn, &side->pinned, err));
        snprintf(key, sizeof key, "freshet.static.%zu", i);
        TRY(json_put_string(batch->conf, key, side->pinned, err));
    }
out:
    return rc;
}

/* ---- log ---- */

static Status step_log(Flow *flow, Error *err)
{
    Batch *batch = &flow->batch;
    OffsetsEntry entry = {.batch = batch->id,
                          .time_ms = batch->time_ms,
                          .watermark_ms = batch->watermark_ms,
                          .conf = batch->conf,
                          .n_ends = flow->n_readers};

    entry.ends = mem_alloc(flow->n_readers * sizeof *entry.ends);
    for (size_t i = 0; i < flow->n_readers; i++) {
        entry.ends[i] = flow->readers[i].advanced ? flow->readers[i].end : flow->readers[i].start;
    }
    Status rc = checkpoint_put_offsets(flow->checkpoint, &entry, err);
    mem_free(entry.ends);
    batch->logged = rc == OK;
    return rc;
}

/* ---- read ---- */

static Status step_read(Flow *flow, Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < flow->n_readers; i++) {
        FlowReader *reader = &flow->readers[i];
        stream_relation_release(&reader->relation);
        if (!reader->advanced) {
            continue;
        }
        TRY(reader->source->ops->relation(reader->source, flow->conn, reader->start, reader->end, &reader->relation,
                                          err));
        flow->batch.files += reader->relation.files;
        flow->batch.bytes += reader->relation.bytes;
    }
    for (size_t i = 0; i < flow->n_sides; i++) {
        FlowSide *side = &flow->sides[i];
        stream_relation_release(&side->relation);
        TRY(side->ops.relation(side->ops.context, flow->conn, side->pinned, &side->relation, err));
    }
out:
    return rc;
}

/* ---- write ---- */

/* Fails when rows violate an expectation that fails the flow; called by the sink before the rows are visible. */
static Status verify(void *context, Error *err)
{
    Flow *flow = context;

    for (size_t i = 0; i < flow->n_rules; i++) {
        FlowRule *rule = &flow->rules[i];
        int64_t failed = rule->counter.failed;
        if (rule->on_violation == VIOLATION_FAIL && failed > 0) {
            error_set(err, E_STREAM_EXPECTATION, "%lld row%s of batch %lld violate%s expectation %s of %s: %s",
                      (long long)failed, failed == 1 ? "" : "s", (long long)flow->batch.id, failed == 1 ? "s" : "",
                      rule->name, flow->name, rule->condition);
            error_hint(err,
                       "nothing of the batch was committed; correct the input or the expectation, and start again");
            err->place = rule->place;
            return error_status(err);
        }
    }
    return OK;
}

/* flow, batch, end offsets, next watermark: what a checkpoint can be rebuilt from. Without the closing brace. */
static void facts(const Flow *flow, Text *out)
{
    text_append(out, "{\"flow\":");
    text_append_json_string(out, flow->name);
    text_printf(out, ",\"batch\":%lld,\"offsets\":[", (long long)flow->batch.id);
    for (size_t i = 0; i < flow->n_readers; i++) {
        const FlowReader *reader = &flow->readers[i];
        const char *end = reader->advanced ? reader->end : reader->start;
        text_append(out, i ? "," : "");
        text_append(out, end ? end : "null");
    }
    text_printf(out, "],\"watermark\":%lld", (long long)flow->batch.next_watermark_ms);
    if (flow->plan) {
        steps_facts(flow, out);
    }
}

static void reset_counters(Flow *flow)
{
    for (size_t i = 0; i < flow->n_rules; i++) {
        flow->rules[i].counter.passed = 0;
        flow->rules[i].counter.failed = 0;
    }
    flow->kept.passed = 0;
    flow->kept.failed = 0;
}

static void count_input(Flow *flow)
{
    Batch *batch = &flow->batch;

    batch->rows_in = 0;
    batch->bad_rows = 0;
    for (size_t i = 0; i < flow->n_readers; i++) {
        FlowReader *reader = &flow->readers[i];
        StreamRelation *relation = &reader->relation;
        reader->rows = 0;
        reader->bad_rows = 0;
        if (!relation->sql) {
            continue;
        }
        if (relation->rows >= 0) {
            reader->rows = relation->rows;
        } else if (relation->rows_read) {
            reader->rows = relation->rows_read(relation->owner);
        }
        reader->bad_rows = relation->bad_rows ? relation->bad_rows(relation->owner) : 0;
        batch->rows_in += reader->rows;
        batch->bad_rows += reader->bad_rows;
    }
    memset(batch->aside, 0, sizeof batch->aside);
    batch->aside[REASON_EXPECTATION] = flow->kept.failed;
    steps_count(flow);
}

/* Rows that expectations drop, where they are to be kept. */
static Status keep_dropped(Flow *flow, Error *err)
{
    Text query = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    if (rejected_keeps_output(flow)) {
        plan_query_statement(flow, &query);
        rc = rejected_keep_output(flow, text_str(&query), err);
    }
    text_free(&query);
    return rc;
}

static Status step_write(Flow *flow, Error *err)
{
    Batch *batch = &flow->batch;
    Text query = TEXT(TEXT_SQL_MAX), json = TEXT(FACTS_BYTES_MAX);
    StreamSinkResult result = {.version = -1};
    Status rc = OK;

    TRY(plan_set_time(flow, batch->time_ms, err));
    reset_counters(flow);
    batch->next_watermark_ms = batch->watermark_ms;
    TRY(rejected_begin(flow, err));
    if (flow->plan) {
        TRY(steps_run(flow, err));
    }
    TRY(keep_dropped(flow, err));
    TRY(rejected_write(flow, err));
    plan_statement(flow, &query);
    facts(flow, &json);
    text_append_char(&json, '}');
    if (query.overflow || json.overflow) {
        rc = error_set(err, E_LIMIT, "batch %lld of %s needs a statement of more than %d bytes", (long long)batch->id,
                       flow->name, TEXT_SQL_MAX);
        error_hint(err, "lower maxFilesPerTrigger");
        goto out;
    }
    StreamSinkBatch input = {.query_id = checkpoint_query_id(flow->checkpoint),
                             .batch = batch->id,
                             .query = text_str(&query),
                             .freshet_json = text_str(&json),
                             .has_rows = batch->advanced || flow->plan,
                             .mode = flow->plan ? flow->plan->mode : SQL_OUTPUT_APPEND,
                             .key_columns = flow->plan ? flow->plan->key_columns : NULL,
                             .n_key_columns = flow->plan ? flow->plan->n_key_columns : 0,
                             .vanished = flow->plan ? flow->plan->vanished : NULL,
                             .verify = verify,
                             .verify_context = flow};
    TRY(failpoint(FP_STREAM_SINK_BEFORE_WRITE, err));
    TRY(flow->sink->ops->write(flow->sink, flow->conn, &input, &result, err));
    TRY(failpoint(FP_STREAM_SINK_AFTER_WRITE, err));
    batch->result = result;
    if (result.version >= 0 || result.duplicate) {
        flow->committed = batch->id;
    }
    count_input(flow);
out:
    text_free(&query);
    text_free(&json);
    return rc;
}

/* ---- commit ---- */

static Status log_commit(Flow *flow, Error *err)
{
    Text json = TEXT(FACTS_BYTES_MAX);

    facts(flow, &json);
    text_printf(&json, ",\"committed\":%lld}", (long long)flow->committed);
    Status rc = checkpoint_put_commit(flow->checkpoint, flow->batch.id, flow->batch.next_watermark_ms, text_str(&json),
                                      err);
    text_free(&json);
    return rc;
}

static Status step_commit(Flow *flow, Error *err)
{
    Status rc = log_commit(flow, err);

    if (rc == OK && flow->plan) {
        steps_settle(flow);
    }
    return rc;
}

/* ---- settle ---- */

/* What a source gives up may not be asked for again: batch N - 1, for which commits/N - 1 and offsets/N are both
 * durable. */
Status batch_tell_sources(Flow *flow, Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < flow->n_readers; i++) {
        FlowReader *reader = &flow->readers[i];
        if (reader->start) {
            TRY(failpoint(FP_STREAM_SOURCE_BEFORE_COMMIT, err));
            TRY(reader->source->ops->commit(reader->source, reader->start, err));
            TRY(failpoint(FP_STREAM_SOURCE_AFTER_COMMIT, err));
        }
    }
out:
    return rc;
}

static Status step_settle(Flow *flow, Error *err)
{
    int64_t to = flow->batch.id - flow->retain_batches;
    Status rc = OK;

    TRY(batch_tell_sources(flow, err));
    if (to > flow->purged) {
        TRY(checkpoint_purge(flow->checkpoint, flow->purged + 1, to, err));
        flow->purged = to;
    }
    if (flow->plan) {
        TRY(steps_purge(flow, err));
    }
out:
    return rc;
}

/* ---- the batch ---- */

static const struct {
    const char *name;
    Status (*run)(Flow *flow, Error *err);
} STEPS[BATCH_STEP_COUNT] = {
#define X(id, step, key) [BATCH_##id] = {#step, step_##step},
    BATCH_STEPS(X)
#undef X
};

static void release_relations(Flow *flow)
{
    for (size_t i = 0; i < flow->n_readers; i++) {
        stream_relation_release(&flow->readers[i].relation);
    }
    for (size_t i = 0; i < flow->n_sides; i++) {
        stream_relation_release(&flow->sides[i].relation);
    }
}

void batch_clear(Flow *flow)
{
    release_relations(flow);
    forget_ends(flow);
    for (size_t i = 0; i < flow->n_sides; i++) {
        mem_free(flow->sides[i].pinned);
        flow->sides[i].pinned = NULL;
    }
    json_decref(flow->batch.conf);
    json_decref(flow->batch.state);
    flow->batch = (Batch){.id = flow->next_batch, .result.version = -1};
}

/* The batch is done: its ends are where the next one starts. Relations and figures stay until the progress is out. */
static void advance(Flow *flow)
{
    for (size_t i = 0; i < flow->n_readers; i++) {
        FlowReader *reader = &flow->readers[i];
        mem_free(reader->from);
        reader->from = reader->start;
        reader->start = mem_strdup(reader->advanced ? reader->end : reader->from);
    }
    flow->next_batch = flow->batch.id + 1;
    flow->late_ms = flow->batch.watermark_ms;
    flow->watermark_ms = flow->batch.next_watermark_ms;
    flow->pending = false;
}

static Status run_step(Flow *flow, BatchStep step, Error *err)
{
    int64_t begun = clock_mono_us();

    if (flow->stop == FLOW_ABANDONS) {
        return error_set(err, E_INTERRUPTED, "%s was stopped before it could %s batch %lld", flow->name,
                         STEPS[step].name, (long long)flow->batch.id);
    }
    Status rc = STEPS[step].run(flow, err);
    flow->batch.step_us[step] += clock_mono_us() - begun;
    return rc;
}

/* A source may learn from a failed read (a file holds a new column): then the same batch is planned and run again. */
static bool learnt(Flow *flow)
{
    bool any = false;

    for (size_t i = 0; i < flow->n_readers; i++) {
        StreamSource *source = flow->readers[i].source;
        any = (source->ops->learnt && source->ops->learnt(source)) || any;
    }
    return any;
}

Status batch_run(Flow *flow, bool *ran, Error *err)
{
    Batch *batch = &flow->batch;
    BatchStep step = batch->logged ? BATCH_READ : BATCH_PLAN;
    Status rc = OK;

    *ran = false;
    batch->replan = false;
    if (batch->began_us == 0) {
        batch->began_us = clock_mono_us();
        batch->began_ms = clock_now_ms();
    }
    for (; step < BATCH_STEP_COUNT; step++) {
        rc = run_step(flow, step, err);
        if (rc != OK) {
            if ((step == BATCH_READ || step == BATCH_WRITE) && rc != ERR_INTERRUPTED && learnt(flow)) {
                error_clear(err);
                release_relations(flow);
                batch->replan = true;
                return OK;
            }
            return error_context(err, "%s, batch %lld", flow->name, (long long)batch->id);
        }
        if (step == BATCH_PLAN && (batch->replan || !(batch->advanced || batch->no_data))) {
            return OK;
        }
        if (step == BATCH_PLAN) {
            progress_state(flow, "running");
        }
    }
    advance(flow);
    *ran = true;
    return OK;
}

/* ---- recovery ---- */

/* The logged ends as the batch at hand: `entry` is where it ends, `before` where it starts. */
static Status load_batch(Flow *flow, const OffsetsEntry *entry, Error *err)
{
    Batch *batch = &flow->batch;
    Status rc = OK;

    batch->id = entry->batch;
    batch->time_ms = entry->time_ms;
    batch->watermark_ms = entry->watermark_ms;
    batch->logged = true;
    batch->conf = json_incref(entry->conf);
    for (size_t i = 0; i < flow->n_readers; i++) {
        FlowReader *reader = &flow->readers[i];
        const char *end = entry->ends[i];
        reader->advanced = end && !(reader->start && strcmp(end, reader->start) == 0);
        reader->end = reader->advanced ? mem_strdup(end) : NULL;
        batch->advanced = batch->advanced || reader->advanced;
    }
    for (size_t i = 0; i < flow->n_sides; i++) {
        char key[48];
        const char *pinned = NULL;
        snprintf(key, sizeof key, "freshet.static.%zu", i);
        TRY(json_opt_string(entry->conf, key, &pinned, err));
        if (pinned) {
            flow->sides[i].pinned = mem_strdup(pinned);
        } else { /* a checkpoint of Spark: it reads static sides anew, too */
            TRY(flow->sides[i].ops.pin(flow->sides[i].ops.context, flow->conn, &flow->sides[i].pinned, err));
        }
    }
out:
    return rc;
}

static void set_starts(Flow *flow, const OffsetsEntry *entry)
{
    for (size_t i = 0; i < flow->n_readers; i++) {
        mem_free(flow->readers[i].start);
        flow->readers[i].start = entry ? mem_strdup(entry->ends[i]) : NULL;
    }
}

Status batch_look(Flow *flow, Error *err)
{
    CheckpointState state = {.offsets_last = -1, .commits_last = -1, .oldest = -1};
    Status rc = OK;

    TRY(checkpoint_load(flow->checkpoint, flow->n_readers, &state, err));
    set_starts(flow, state.commits_last == state.offsets_last ? state.last : state.before);
out:
    checkpoint_state_clear(&state);
    return rc;
}

/* Spark's settings go on from batch to batch; pins of static sides belong to their own. */
static void keep_conf(Flow *flow, const OffsetsEntry *entry)
{
    const char *key = NULL;
    json_t *value = NULL;

    json_decref(flow->conf);
    flow->conf = json_object();
    for (void *at = NULL; entry && json_next(entry->conf, &at, &key, &value);) {
        if (!str_starts(key, "freshet.")) {
            json_put(flow->conf, key, json_incref(value));
        }
    }
}

/* A new checkpoint while the target knows another one of this flow: its folder is lost, and reading from the start
 * would repeat rows. */
static Status check_lost(Flow *flow, const CheckpointState *state, Error *err)
{
    int64_t foreign = -1;
    Status rc = OK;

    if (state->offsets_last >= 0 || !flow->sink->ops->foreign_batch) {
        return OK;
    }
    TRY(flow->sink->ops->foreign_batch(flow->sink, flow->conn, flow->name, checkpoint_query_id(flow->checkpoint),
                                       &foreign, err));
    if (foreign >= 0) {
        error_set(err, E_STREAM_AHEAD, "the target of %s holds batch %lld of this flow, but its checkpoint %s is new",
                  flow->name, (long long)foreign, store_uri(checkpoint_store(flow->checkpoint)));
        error_hint(err, "the checkpoint was deleted or moved; going on would read everything a second time. Put it "
                        "back, or rebuild the table with --full-refresh");
        rc = error_status(err);
    }
out:
    return rc;
}

/* commits/L was lost with the process: what the commit in the target says stands in for it. */
static Status log_lost(Flow *flow, json_t *facts, Error *err)
{
    Text text = TEXT(FACTS_BYTES_MAX);
    int64_t watermark = flow->batch.watermark_ms;
    Status rc = OK;

    log_debug("%s: batch %lld is in the target already", flow->name, (long long)flow->batch.id);
    flow->batch.next_watermark_ms = watermark;
    if (!facts) {
        return log_commit(flow, err);
    }
    (void)json_opt_i64(facts, "watermark", &watermark, NULL);
    flow->batch.next_watermark_ms = watermark;
    json_put_i64(facts, "committed", flow->committed);
    TRY(json_dump_text(facts, &text, err));
    TRY(checkpoint_put_commit(flow->checkpoint, flow->batch.id, watermark, text_str(&text), err));
out:
    text_free(&text);
    return rc;
}

/* `target`: what the newest batch in the target says of itself; NULL when it cannot be told. */
static Status apply(Flow *flow, const CheckpointState *state, RecoveryAction action, int64_t target_batch,
                    json_t *target, Error *err)
{
    const json_t *before = state->commit ? state->commit->freshet : NULL;
    Status rc = OK;

    flow->committed = target_batch;
    flow->purged = state->oldest > 0 ? state->oldest - 1 : -1;
    flow->watermark_ms = state->commit ? state->commit->next_watermark_ms : 0;
    keep_conf(flow, state->last);
    if (action == RECOVERY_NEXT) {
        set_starts(flow, state->last);
        flow->next_batch = state->offsets_last + 1;
        flow->late_ms = state->last ? state->last->watermark_ms : 0;
        flow->batch.id = flow->next_batch;
        steps_recover(flow, before);
        return OK;
    }
    set_starts(flow, state->before);
    flow->next_batch = state->last->batch;
    flow->late_ms = state->before ? state->before->watermark_ms : 0;
    TRY(load_batch(flow, state->last, err));
    if (state->commits_last < state->offsets_last - 1 && target_batch == state->offsets_last - 1) {
        before = target;
    }
    if (action == RECOVERY_LOG_COMMIT && (target || !flow->plan)) {
        TRY(log_lost(flow, target, err));
        steps_recover(flow, target);
        advance(flow);
        batch_clear(flow);
    } else { /* the sink knows a batch that it has, and the steps find their state again */
        steps_recover(flow, before);
        flow->pending = true;
    }
out:
    return rc;
}

Status batch_recover(Flow *flow, Error *err)
{
    CheckpointState state = {.offsets_last = -1, .commits_last = -1, .oldest = -1};
    JsonSource source = {.name = "commitInfo.freshet"};
    RecoveryAction action = RECOVERY_NEXT;
    Text target = TEXT(8192);
    int64_t target_batch = -1;
    json_t *facts = NULL;
    char *json = NULL;
    Status rc = OK;

    batch_clear(flow);
    flow->sink->ops->describe(flow->sink, &target);
    TRY(checkpoint_load(flow->checkpoint, flow->n_readers, &state, err));
    TRY(flow->sink->ops->last_batch(flow->sink, flow->conn, checkpoint_query_id(flow->checkpoint), &target_batch, &json,
                                    err));
    TRY(check_lost(flow, &state, err));
    TRY(recovery_decide(&state, target_batch, json, text_str(&target), &action, err));
    if (json) {
        TRY(json_parse_object(json, strlen(json), &source, &facts, err));
    }
    TRY(apply(flow, &state, action, target_batch, facts, err));
    if (flow->plan) {
        TRY(steps_keep(flow, state.oldest, flow->next_batch - 1, err));
    }
    flow->recovered = true;
out:
    json_decref(facts);
    checkpoint_state_clear(&state);
    text_free(&target);
    mem_free(json);
    return rc;
}
