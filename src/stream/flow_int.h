/* Inside a flow: what the batch, the plan, the loop and the progress share. Owner thread: the one that runs the flow,
 * except where `mutex` is named. */
#ifndef FRESHET_STREAM_FLOW_INT_H
#define FRESHET_STREAM_FLOW_INT_H

#include <pthread.h>

#include "base/clock.h"
#include "base/mem.h"
#include "duck/function.h"
#include "stream/checkpoint.h"
#include "stream/flow.h"
#include "stream/operator.h"
#include "stream/reason.h"
#include "stream/recovery.h"
#include "stream/watermark.h"

/* A source and where the flow stands in it. */
typedef struct FlowReader {
    char *placeholder;
    StreamSource *source;
    DeltaSchema *schema; /* as planned */
    char *empty;         /* a typed SELECT without rows: for planning, and for batches in which it did not advance */
    char *start, *end;   /* offsets before and after the batch at hand; NULL start: from the beginning */
    char *from;          /* where the batch that was finished last began, for its progress */
    bool advanced;       /* the batch at hand reads (start, end] */
    StreamRelation relation; /* of the batch at hand; released when it is over */
    int64_t rows, bad_rows;  /* read in the batch at hand */

    /* with WATERMARK (flow.h, FlowInput) */
    char *event_column, *event_expression;
    int64_t delay_us;
    WatermarkNode node, next_node; /* after the last batch that is done, and after the one at hand */
    DuckRange times;               /* event times of the batch at hand, microseconds */
    DuckCounter ahead;             /* failed: its rows that lie too far ahead */
    uint64_t times_slot, ahead_slot;
    bool shared; /* several texts of the plan read it */
} FlowReader;

/* A static side. `pinned` is the version of the batch at hand. */
typedef struct FlowSide {
    char *placeholder;
    FlowStatic ops;
    char *pinned;
    StreamRelation relation;
} FlowSide;

typedef struct FlowRule {
    char *name, *condition;
    FlowViolation on_violation;
    ErrorPlace place;
    DuckCounter counter;
    uint64_t slot;
} FlowRule;

/* The steps of a micro-batch, in order: what they do stands in batch.c; the last column is their key in durationMs of
 * the progress. */
#define BATCH_STEPS(X)                 \
    X(PLAN, plan, "latestOffset")      \
    X(LOG, log, "walCommit")           \
    X(READ, read, "getBatch")          \
    X(WRITE, write, "addBatch")        \
    X(COMMIT, commit, "commitOffsets") \
    X(SETTLE, settle, "commitBatch")

typedef enum BatchStep {
#define X(id, name, key) BATCH_##id,
    BATCH_STEPS(X)
#undef X
        BATCH_STEP_COUNT
} BatchStep;

typedef struct Batch {
    int64_t id;
    int64_t time_ms, watermark_ms;
    int64_t next_watermark_ms;  /* of the batch after it */
    int64_t began_ms, began_us; /* start of the trigger, wall clock and monotonic */
    int64_t step_us[BATCH_STEP_COUNT];
    bool logged;   /* offsets/N is there already: the batch runs again */
    bool advanced; /* some source did */
    bool no_data;  /* none did, but the watermark lets rows out or go */
    bool replan;   /* a schema grew: plan anew before going on */
    json_t *conf;  /* of offsets/N */
    json_t *state; /* files of the state it leaves, by step */
    int64_t rows_in, bad_rows, files, bytes;
    int64_t aside[REASON_COUNT]; /* rows that are not in the result, by reason */
    StreamSinkResult result;
} Batch;

struct Flow {
    char *name, *query;
    Duck *duck;
    DuckConn *conn;
    Checkpoint *checkpoint;
    FlowReader *readers;
    size_t n_readers;
    FlowSide *sides;
    size_t n_sides;
    FlowRule *rules;
    size_t n_rules;
    DuckCounter kept; /* passed: rows that every dropping expectation lets through */
    uint64_t kept_slot;
    StreamSink *sink, *rejected;
    FlowTrigger trigger;
    int64_t retain_batches, retry_first_us;
    void (*place)(void *context, int64_t offset, Error *err);
    void *place_context;
    char run_id[UUID_TEXT];

    /* steps of a stateful query; plan: NULL when it has none */
    const SqlStatefulPlan *plan;
    StreamOperator **steps; /* open while planned */
    size_t n_steps;
    int64_t idle_ms, max_ahead_us;
    json_t *state;   /* files of the state after the last batch that is done; NULL: none yet */
    bool loaded;     /* the working copies are what these say */
    json_t **states; /* the states of the batches that can be gone back to, oldest first */
    size_t n_states, states_capacity;
    bool orphans; /* a batch may have failed and left files that nothing names */

    /* the plan */
    bool planned, prepared;
    bool uses_time; /* the query reads freshet_batch_time */
    Text body; /* the query with its expectations; a batch puts its relations before it as common table expressions */
    Arena *columns_arena;
    DuckColumnInfo *columns;
    size_t n_columns;

    /* where it stands */
    bool recovered, frozen;
    bool pending; /* batch.logged was found at the start and has to run first */
    int64_t next_batch;
    int64_t committed;    /* newest batch that made a commit in the target; -1 */
    int64_t purged;       /* ids up to this one are gone from the checkpoint */
    int64_t watermark_ms; /* of the next batch */
    int64_t late_ms;      /* of the last batch that is done: what is late in the next one */
    json_t *conf;         /* Spark's settings, handed on from batch to batch */
    Batch batch;          /* the one at hand */
    int64_t previous_us;  /* start of the trigger before; 0 none */

    /* any thread */
    int stop_fd;      /* eventfd, readable from flow_stop on */
    _Atomic int stop; /* FlowStop */
    pthread_mutex_t mutex;
    FlowStatus status; /* under mutex */
};

typedef enum FlowStop { FLOW_GOES_ON, FLOW_FINISHES, FLOW_ABANDONS } FlowStop;

/* ---- plan.c: the query over relations ---- */

/* Asks the sources for their schemas and binds the query and its expectations; *ready = false: a source has no schema
 * yet. */
Status plan_make(Flow *flow, bool *ready, Error *err);
void plan_clear(Flow *flow);
/* The statement of the batch at hand: its relations, then the body. And that of the query, without its expectations. */
void plan_statement(const Flow *flow, Text *out);
void plan_query_statement(const Flow *flow, Text *out);
/* Makes current_timestamp and its kin the batch's time. */
Status plan_set_time(Flow *flow, int64_t time_ms, Error *err);

/* A temporary view of the name. */
Status plan_view(Flow *flow, const char *placeholder, const char *relation, Error *err);

/* ---- steps.c: the steps of a stateful query ---- */

/* While planning: the operators over the typed, empty leaves. */
Status steps_open(Flow *flow, Error *err);
void steps_close(Flow *flow);
/* The view of a leaf for planning. */
Status steps_plan_leaf(Flow *flow, FlowReader *reader, Error *err);
/* What the last batch that is done says in its facts (NULL: there was none) about state and watermarks. */
void steps_recover(Flow *flow, const json_t *facts);
/* The working copies as these facts say. E_STREAM_STATE_CHANGED when they are not those of the plan's steps. */
Status steps_load(Flow *flow, Error *err);
/* Would a batch without input do anything, now that the watermark has moved? */
Status steps_want_batch(Flow *flow, bool *out, Error *err);
/* The batch at hand through all steps, its state saved: then the body can be read, and the facts are known. */
Status steps_run(Flow *flow, Error *err);
/* Adds what the steps set aside to batch->aside. */
void steps_count(Flow *flow);
/* ,"observed":[...],"state":{...} */
void steps_facts(const Flow *flow, Text *out);
/* commits/N is there. */
void steps_settle(Flow *flow);
/* The batch has been reported: snapshots that are due, so that the next one does not wait for them. */
void steps_snapshot(Flow *flow);
/* Removes the files that no batch needs any more which is kept, or that was never committed. */
Status steps_purge(Flow *flow, Error *err);
/* Reads the states of the batches `from`..`to` back, so that their files stay. */
Status steps_keep(Flow *flow, int64_t from, int64_t to, Error *err);

/* ---- rejected.c: rows set aside, kept where flow->rejected is there ---- */

#define REJECTED "temp.freshet_rejected" /* of the batch at hand: reason VARCHAR, row JSON */

Status rejected_prepare(Flow *flow, Error *err); /* the table is made ready */
Status rejected_begin(Flow *flow, Error *err);   /* of a batch: no rows yet */
/* Do expectations drop rows that are to be kept? Then the body reads rejected_output(), which
 * rejected_keep_output lays down from `query`, the statement of the flow's query. */
bool rejected_keeps_output(const Flow *flow);
const char *rejected_output(void);
Status rejected_keep_output(Flow *flow, const char *query, Error *err);
Status rejected_write(Flow *flow, Error *err);

/* ---- batch.c: the micro-batch ---- */

/* Runs the batch at hand, or the next one, through all steps. *ran = false: no source advanced, or flow->batch.replan
 * is set. With the trigger `once` rate limits do not count. After a failure the flow has to recover before it goes
 * on. */
Status batch_run(Flow *flow, bool *ran, Error *err);
/* Reads the checkpoint and the sink and sets where the flow stands, with the batch to run again, if any. */
Status batch_recover(Flow *flow, Error *err);
/* Sets the starts of the sources as the checkpoint alone has them, for those who ask before the flow runs. */
Status batch_look(Flow *flow, Error *err);
void batch_clear(Flow *flow);
/* Tells every source that what lies before the next batch is in the target and that the checkpoint says so. */
Status batch_tell_sources(Flow *flow, Error *err);

/* ---- progress.c ---- */

/* One StreamingQueryProgress, Spark's progress object, of the batch at hand; `idle`: nothing ran, the id is the next
 * one's. */
void progress_json(const Flow *flow, bool idle, Text *out);
/* Brings flow->status up to date after a batch. */
void progress_status(Flow *flow);
void progress_state(Flow *flow, const char *state);

/* ---- trigger.c ---- */

/* The first multiple of the interval after `now_us`. */
int64_t trigger_next_us(int64_t now_us, int64_t interval_us);

#endif
