/* An operator: a step of a stateful query at work.
 *
 *   open    types of its inputs by describing them on typed, empty relations; the state's relations
 *   run     one batch: reads its input, changes its state, leaves its outputs as temporary tables of the connection
 *   state   saved and loaded by the flow, named by the commit of the batch (stream/state.h)
 *
 * Outputs are what sql/stateful.h says of the step. A failed run leaves the state's working copy in any condition: the
 * flow loads it anew before it runs the batch again. A run depends on its input, the state and the figures below alone,
 * so a batch that runs again gives the same rows.
 */
#ifndef FRESHET_STREAM_OPERATOR_H
#define FRESHET_STREAM_OPERATOR_H

#include "duck/type.h"
#include "sql/stateful.h"
#include "stream/state.h"

typedef struct StreamOperator StreamOperator;

/* What an operator is made of. */
typedef struct StreamOperatorSpec {
    const SqlStep *step; /* lives as long as the operator */
    SqlOutputMode mode;
    bool keeps_rejected; /* rows set aside are kept: it is worth while to know of them */
    Store *checkpoint;
    size_t index;
    const char *flow;
} StreamOperatorSpec;

/* One batch. Times are microseconds since 1970; INT64_MIN: there is no watermark yet. */
typedef struct StreamOperatorBatch {
    int64_t batch;
    int64_t late_us;  /* rows with event time (windows: end) <= late_us are late: the watermark of the batch before */
    int64_t evict_us; /* what is closed at <= evict_us leaves: the watermark of this batch */
    const char *rejected; /* table to which rows set aside are added, (reason VARCHAR, row JSON); NULL: only counted */
} StreamOperatorBatch;

/* Figures of the last run, for the progress. */
typedef struct StreamOperatorFigures {
    int64_t rows_late;      /* numRowsDroppedByWatermark */
    int64_t rows_duplicate; /* numDroppedDuplicateRows */
    int64_t rows_null_time; /* rows whose event time is null, where that leaves them out */
    int64_t rows_evicted;   /* state rows that left because of time */
    int64_t rows_unmatched; /* of these, rows that would have been put out had a partner come */
    int64_t rows_out;
} StreamOperatorFigures;

typedef struct StreamOperatorOps {
    const char *name; /* Spark's operatorName: "stateStoreSave", "sessionWindowStateStoreSave", "dedupe", ... */
    Status (*run)(StreamOperator *op, DuckConn *conn, const StreamOperatorBatch *batch, Error *err);
    /* Would a batch without input put anything out, or let anything go, at this watermark? Cheap: asked whenever the
     * watermark has moved. */
    Status (*wants_batch)(StreamOperator *op, DuckConn *conn, int64_t evict_us, bool *out, Error *err);
    /* The watermark of its output rows, given that of its input. */
    int64_t (*output_watermark)(const StreamOperator *op, int64_t input_us);
    void (*close)(StreamOperator *op);
} StreamOperatorOps;

struct StreamOperator {
    const StreamOperatorOps *ops; /* first member of every implementation's struct */
    const SqlStep *step;
    State *state;
    StreamOperatorFigures figures;
};

/* Opens the step's operator and its state, empty; its outputs are there, typed and empty, for what reads them to bind
 * against. E_SQL_BIND for an input that does not bind, E_PIPELINE_STATEFUL for a type or an aggregate that cannot be
 * kept. One function a kind; stream_operator_open chooses by the step. */
Status stream_operator_open(DuckConn *conn, const StreamOperatorSpec *spec, StreamOperator **out, Error *err);
Status stream_aggregate_open(DuckConn *conn, const StreamOperatorSpec *spec, StreamOperator **out, Error *err);
Status stream_session_open(DuckConn *conn, const StreamOperatorSpec *spec, StreamOperator **out, Error *err);
Status stream_distinct_open(DuckConn *conn, const StreamOperatorSpec *spec, StreamOperator **out, Error *err);
Status stream_join_open(DuckConn *conn, const StreamOperatorSpec *spec, StreamOperator **out, Error *err);
void stream_operator_close(StreamOperator *op); /* NULL is fine */

#endif
