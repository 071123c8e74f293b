/* What a batch tells the world: the progress object of Spark with commitVersion, filesOutstanding, bytesOutstanding and
 * expectations added, and the figures for the display. */
#include <math.h>

#include "stream/flow_int.h"

/* ---- figures ---- */

static void backlog(const Flow *flow, StreamBacklog *out)
{
    *out = (StreamBacklog){0};
    for (size_t i = 0; i < flow->n_readers; i++) {
        StreamSource *source = flow->readers[i].source;
        StreamBacklog one = {-1, -1};
        if (source->ops->backlog) {
            source->ops->backlog(source, &one);
        }
        out->files = out->files < 0 || one.files < 0 ? -1 : out->files + one.files;
        out->bytes = out->bytes < 0 || one.bytes < 0 ? -1 : out->bytes + one.bytes;
    }
}

static int64_t batch_us(const Flow *flow)
{
    int64_t us = 0;

    for (int i = 0; i < BATCH_STEP_COUNT; i++) {
        us += flow->batch.step_us[i];
    }
    return us;
}

/* NaN when there is no time to divide by: such rates are left out. */
static double per_second(int64_t rows, int64_t us)
{
    return us > 0 ? (double)rows * 1e6 / (double)us : NAN;
}

static int64_t since_previous_us(const Flow *flow)
{
    return flow->previous_us > 0 ? flow->batch.began_us - flow->previous_us : 0;
}

/* ---- the object ---- */

static void append_rate(Text *out, const char *key, double value)
{
    if (isfinite(value)) {
        text_printf(out, ",\"%s\":%.17g", key, value);
    }
}

static void append_rates(const Flow *flow, int64_t rows, Text *out)
{
    append_rate(out, "inputRowsPerSecond", per_second(rows, since_previous_us(flow)));
    append_rate(out, "processedRowsPerSecond", per_second(rows, batch_us(flow)));
}

static void append_durations(const Flow *flow, int64_t trigger_us, Text *out)
{
    static const struct {
        const char *key;
        int step;
    } KEYS[] = {
        {"addBatch", BATCH_WRITE}, {"commitBatch", BATCH_SETTLE}, {"commitOffsets", BATCH_COMMIT},
        {"getBatch", BATCH_READ},  {"latestOffset", BATCH_PLAN},  {"triggerExecution", -1},
        {"walCommit", BATCH_LOG},
    };
    bool any = false;

    text_append(out, ",\"durationMs\":{");
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        int64_t us = KEYS[i].step < 0 ? trigger_us : flow->batch.step_us[KEYS[i].step];
        if (us > 0 || KEYS[i].step < 0) {
            text_printf(out, "%s\"%s\":%lld", any ? "," : "", KEYS[i].key, (long long)(us / 1000));
            any = true;
        }
    }
    text_append(out, "}");
}

static void append_described(Text *out, void (*describe)(void *, Text *), void *thing)
{
    Text text = TEXT(65536);

    describe(thing, &text);
    text_append(out, "{\"description\":");
    text_append_json_string(out, text_str(&text));
    text_free(&text);
}

static void describe_source(void *source, Text *out)
{
    ((StreamSource *)source)->ops->describe(source, out);
}

static void describe_sink(void *sink, Text *out)
{
    ((StreamSink *)sink)->ops->describe(sink, out);
}

static void append_sources(const Flow *flow, bool idle, Text *out)
{
    text_append(out, ",\"sources\":[");
    for (size_t i = 0; i < flow->n_readers; i++) {
        const FlowReader *reader = &flow->readers[i];
        const char *end = !idle && reader->end ? reader->end : reader->start;
        const char *start = idle ? reader->start : reader->from;
        text_append(out, i ? "," : "");
        append_described(out, describe_source, reader->source);
        text_printf(out, ",\"startOffset\":%s,\"endOffset\":%s,\"latestOffset\":%s,\"numInputRows\":%lld",
                    start ? start : "null", end ? end : "null", end ? end : "null",
                    (long long)(idle ? 0 : reader->rows));
        append_rates(flow, idle ? 0 : reader->rows, out);
        text_append(out, "}");
    }
    text_append(out, "]");
}

static void append_expectations(const Flow *flow, Text *out)
{
    static const char *const ACTIONS[] = {
        [VIOLATION_KEEP] = "keep", [VIOLATION_DROP] = "drop", [VIOLATION_FAIL] = "fail"};

    text_append(out, ",\"expectations\":[");
    for (size_t i = 0; i < flow->n_rules; i++) {
        const FlowRule *rule = &flow->rules[i];
        text_append(out, i ? ",{\"name\":" : "{\"name\":");
        text_append_json_string(out, rule->name);
        text_printf(out, ",\"action\":\"%s\",\"passed\":%lld,\"failed\":%lld}", ACTIONS[rule->on_violation],
                    (long long)rule->counter.passed, (long long)rule->counter.failed);
    }
    text_append(out, "]");
}

static void append_aside(const Batch *batch, Text *out)
{
    text_append(out, ",\"rowsSetAside\":{");
    for (size_t i = 0; i < REASON_COUNT; i++) {
        text_printf(out, "%s\"%s\":%lld", i ? "," : "", STREAM_REASON_TEXTS[i], (long long)batch->aside[i]);
    }
    text_append_char(out, '}');
}

static void append_ours(const Flow *flow, bool idle, Text *out)
{
    const Batch *batch = &flow->batch;
    StreamBacklog waiting;

    backlog(flow, &waiting);
    if (!idle && batch->result.version >= 0) {
        text_printf(out, ",\"commitVersion\":%lld", (long long)batch->result.version);
    }
    if (waiting.files >= 0) {
        text_printf(out, ",\"filesOutstanding\":%lld", (long long)waiting.files);
    }
    if (waiting.bytes >= 0) {
        text_printf(out, ",\"bytesOutstanding\":%lld", (long long)waiting.bytes);
    }
    if (!idle && batch->bad_rows > 0) {
        text_printf(out, ",\"numBadRows\":%lld", (long long)batch->bad_rows);
    }
    if (!idle && batch->aside[REASON_AHEAD] > 0) {
        text_printf(out, ",\"numRowsTooFarAhead\":%lld", (long long)batch->aside[REASON_AHEAD]);
    }
    if (!idle && (flow->plan || flow->n_rules > 0)) {
        append_aside(batch, out);
    }
    if (!idle && flow->n_rules > 0) {
        append_expectations(flow, out);
    }
}

/* ---- event time and state ---- */

static void append_time(Text *out, const char *key, double us)
{
    char iso[32];

    time_iso_ms((int64_t)floor(us / 1000), iso);
    text_printf(out, "\"%s\":\"%s\"", key, iso);
}

/* What the batch saw of all its watermarks' columns; the watermark is the one it ran with. */
static void append_event_time(const Flow *flow, bool idle, Text *out)
{
    int64_t count = 0, min = INT64_MAX, max = INT64_MIN;
    double sum = 0;
    bool any = false;

    for (size_t i = 0; i < flow->n_readers; i++) {
        const DuckRange *times = &flow->readers[i].times;
        any = any || flow->readers[i].event_column;
        if (!idle && times->count > 0) {
            count += times->count;
            sum += times->sum;
            min = times->min < min ? times->min : min;
            max = times->max > max ? times->max : max;
        }
    }
    if (!flow->plan || !any) {
        return;
    }
    text_append(out, ",\"eventTime\":{");
    if (count > 0) {
        append_time(out, "avg", sum / (double)count);
        text_append_char(out, ',');
        append_time(out, "max", (double)max);
        text_append_char(out, ',');
        append_time(out, "min", (double)min);
        text_append_char(out, ',');
    }
    append_time(out, "watermark", 1000.0 * (double)(idle ? flow->watermark_ms : flow->batch.watermark_ms));
    text_append_char(out, '}');
}

static void append_operators(const Flow *flow, bool idle, Text *out)
{
    text_append(out, ",\"stateOperators\":[");
    for (size_t i = 0; i < flow->n_steps; i++) {
        const StreamOperator *op = flow->steps[i];
        StreamOperatorFigures figures = op->figures;
        StateFigures state;
        state_figures(op->state, &state);
        if (idle) {
            figures = (StreamOperatorFigures){0};
            state.rows_updated = state.rows_removed = 0;
        }
        text_printf(out,
                    "%s{\"operatorName\":\"%s\",\"numRowsTotal\":%lld,\"numRowsUpdated\":%lld,\"numRowsRemoved\":%lld,"
                    "\"memoryUsedBytes\":%lld,\"numRowsDroppedByWatermark\":%lld,\"customMetrics\":{"
                    "\"numDroppedDuplicateRows\":%lld,\"numRowsWithoutEventTime\":%lld,\"numRowsEvicted\":%lld,"
                    "\"numRowsWithoutPartner\":%lld}}",
                    i ? "," : "", op->ops->name, (long long)state.rows, (long long)state.rows_updated,
                    (long long)state.rows_removed, (long long)state.bytes, (long long)figures.rows_late,
                    (long long)figures.rows_duplicate, (long long)figures.rows_null_time,
                    (long long)figures.rows_evicted, (long long)figures.rows_unmatched);
    }
    text_append(out, "]");
}

void progress_json(const Flow *flow, bool idle, Text *out)
{
    const Batch *batch = &flow->batch;
    int64_t rows = idle ? 0 : batch->rows_in;
    int64_t trigger_us = batch_us(flow);
    char iso[32];

    time_iso_ms(batch->began_ms > 0 ? batch->began_ms : clock_now_ms(), iso);
    text_printf(out, "{\"id\":\"%s\",\"runId\":\"%s\",\"name\":", checkpoint_query_id(flow->checkpoint), flow->run_id);
    text_append_json_string(out, flow->name);
    text_printf(out, ",\"timestamp\":\"%s\",\"batchId\":%lld,\"batchDuration\":%lld,\"numInputRows\":%lld", iso,
                (long long)(idle ? flow->next_batch : batch->id), (long long)(trigger_us / 1000), (long long)rows);
    append_rates(flow, rows, out);
    append_durations(flow, trigger_us, out);
    append_event_time(flow, idle, out);
    append_operators(flow, idle, out);
    append_sources(flow, idle, out);
    text_append(out, ",\"sink\":");
    append_described(out, describe_sink, flow->sink);
    text_printf(out, ",\"numOutputRows\":%lld}", (long long)(idle ? 0 : batch->result.rows));
    append_ours(flow, idle, out);
    text_append(out, "}");
}

/* ---- the display ---- */

void progress_status(Flow *flow)
{
    const Batch *batch = &flow->batch;
    StreamBacklog waiting;

    backlog(flow, &waiting);
    pthread_mutex_lock(&flow->mutex);
    FlowStatus *status = &flow->status;
    double input = per_second(batch->rows_in, since_previous_us(flow));
    double processed = per_second(batch->rows_in, batch_us(flow));
    status->batch = batch->id;
    status->batches++;
    status->rows_in += batch->rows_in;
    status->rows_out += batch->result.rows;
    for (size_t i = 0; i < REASON_COUNT; i++) {
        status->aside[i] += batch->aside[i];
        status->rows_dropped += batch->aside[i];
    }
    status->bad_rows += batch->bad_rows;
    status->version = batch->result.version >= 0 ? batch->result.version : status->version;
    status->files_outstanding = waiting.files;
    status->bytes_outstanding = waiting.bytes;
    status->input_rows_per_second = isfinite(input) ? input : 0;
    status->processed_rows_per_second = isfinite(processed) ? processed : 0;
    pthread_mutex_unlock(&flow->mutex);
}

void progress_state(Flow *flow, const char *state)
{
    pthread_mutex_lock(&flow->mutex);
    flow->status.state = state;
    pthread_mutex_unlock(&flow->mutex);
}
