/* A flow: one streaming query from its sources to its sink, with a checkpoint of its own.
 *
 * The micro-batch (batch.c) is one function with named steps; the flow's loop gives it triggers, waits without using
 * the CPU, and stops cleanly. Recovery decides from the checkpoint and the sink what happens first.
 */
#ifndef FRESHET_STREAM_FLOW_H
#define FRESHET_STREAM_FLOW_H

#include "sql/query.h"
#include "sql/stateful.h"
#include "stream/reason.h"
#include "stream/sink.h"
#include "stream/source.h"

typedef struct Flow Flow;

typedef enum FlowTriggerKind { TRIGGER_ASAP, TRIGGER_INTERVAL, TRIGGER_ONCE, TRIGGER_AVAILABLE_NOW } FlowTriggerKind;
typedef struct FlowTrigger {
    FlowTriggerKind kind;
    int64_t interval_us;
} FlowTrigger;
/* "30 seconds", "availableNow", "once" */
Status flow_trigger_parse(const char *text, FlowTrigger *out, Error *err);

/* A static side: a table that the query joins, pinned per batch at its newest version (recorded in offsets/N as
 * conf["freshet.static.<i>"] = "<tableId>@<version>"). */
typedef struct FlowStatic {
    const char *placeholder;
    /* Newest version, as "<id>@<version>" text; and the relation at a pinned one. */
    Status (*pin)(void *context, DuckConn *conn, char **pinned, Error *err);
    Status (*relation)(void *context, DuckConn *conn, const char *pinned, StreamRelation *out, Error *err);
    void *context;
} FlowStatic;

typedef struct FlowInput {
    const char *placeholder; /* name of the relation in the query text */
    StreamSource *source;    /* owned by the flow from then on */
    /* With WATERMARK: the column of event times, by its name; the expression that makes it, NULL when it is one of the
     * source's own; and the delay. Without: NULL. */
    const char *event_column, *event_expression;
    int64_t delay_us;
} FlowInput;

/* An expectation is a condition on the query's output columns. */
typedef enum FlowViolation { VIOLATION_KEEP, VIOLATION_DROP, VIOLATION_FAIL } FlowViolation;
typedef struct FlowExpectation {
    const char *name, *condition;
    FlowViolation on_violation;
    ErrorPlace place;
} FlowExpectation;

typedef struct FlowSpec {
    const char *name; /* "silver.orders" or "silver.orders/backfill" */
    Duck *duck;
    Store *checkpoint; /* referenced */
    const FlowInput *inputs;
    size_t n_inputs;
    const FlowStatic *statics;
    size_t n_statics;
    const char *query; /* rewritten SELECT over the placeholders, time functions fixed */
    /* The query cut into steps, when it has to remember rows; lives as long as the flow. NULL, or without steps: it has
     * not, and `query` runs as it is. */
    const SqlStatefulPlan *plan;
    int64_t idle_us;      /* an input with WATERMARK that gave no rows for so long does not hold the others; 0: never */
    int64_t max_ahead_us; /* rows whose event time lies further ahead of the batch's are set aside; 0: none */
    /* Moves an error of DuckDB about `query` (byte offset into it, -1 unknown) to the user's text; may be NULL. */
    void (*place)(void *context, int64_t offset, Error *err);
    void *place_context;
    const FlowExpectation *expectations;
    size_t n_expectations;
    StreamSink *sink;     /* owned by the flow from then on */
    StreamSink *rejected; /* takes the rows that steps set aside; owned as well; NULL: they are only counted */
    FlowTrigger trigger;
    const char *target_id;       /* the target's place, as freshet.json has it */
    const char *folder;          /* what lies below it is named from there in freshet.json; NULL: nothing */
    int retain_batches;          /* 0: 100 */
    const char *const *settings; /* statements for the flow's connection: SET TimeZone = ... */
    size_t n_settings;
    const char *user_metadata; /* of the flow's commits; NULL = none */
    int64_t retry_first_ms;    /* first delay after a retriable error, doubled up to 10 minutes; 0: 5 s */
} FlowSpec;

/* Everything is copied; sources and sink belong to the flow once it is open (on failure they are still the caller's).
 * Takes the lock of the checkpoint at open: E_STREAM_LOCKED when another runner has it. */
Status flow_open(const FlowSpec *spec, Flow **out, Error *err);
void flow_close(Flow *flow);

/* What the loop calls from the flow's thread. */
typedef struct FlowObserver {
    /* One StreamingQueryProgress per batch; may be NULL. */
    void (*progress)(void *context, Flow *flow, const char *progress_json);
    /* A retriable error: the batch runs again after the delay. */
    void (*retrying)(void *context, Flow *flow, const Error *err, int64_t delay_ms);
    void *context;
    /* How often to report while there is no input (Spark: 10,000); 0: never, and an idle flow sleeps on. */
    int64_t idle_ms;
} FlowObserver;

/* Runs the loop in the calling thread until the trigger's end, a stop, or an error that is not retriable. */
Status flow_run(Flow *flow, const FlowObserver *observer, Error *err);
/* Any thread: flow_run finishes the current batch, then returns OK (abandon = true: the batch is interrupted, it will
 * run again next time). */
void flow_stop(Flow *flow, bool abandon);

/* For the display; any thread, values of the last finished batch and the running one. */
typedef struct FlowStatus {
    int64_t batch, rows_in, rows_out, batches, version;
    int64_t rows_dropped, aside[REASON_COUNT]; /* together, and by reason */
    int64_t files_outstanding, bytes_outstanding;
    double input_rows_per_second, processed_rows_per_second, batch_progress; /* batch_progress 0..1, -1 idle */
    int64_t bad_rows;
    const char *state; /* static text: "waiting for input", "running", "waiting for silver.orders", "stopped" */
} FlowStatus;
void flow_status(const Flow *flow, FlowStatus *out);
const char *flow_name(const Flow *flow);
/* One line for start: sources, start offset, checkpoint. */
void flow_describe(const Flow *flow, Text *out);

#endif
