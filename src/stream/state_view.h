/* What a flow remembers, for who looks at it from outside: the named files of a committed batch as a SELECT.
 *
 * Nothing is locked and nothing is written, so a running flow is not disturbed. What is shown is what a restart would
 * load: rows that have expired and keys that were deleted are not there.
 *
 *   one relation, or several with    step, relation, batch, and the relation's columns, under the names people know them
 *   the same columns                 by ("count(*)", "window_start") where they have one; moments are TIMESTAMPTZ
 *   several                          step, relation, batch, key JSON, value JSON
 *
 * `batch` is the one that wrote the row last.
 */
#ifndef FRESHET_STREAM_STATE_VIEW_H
#define FRESHET_STREAM_STATE_VIEW_H

#include "duck/duck.h"
#include "store/store.h"

typedef struct StateView StateView;

typedef struct StateViewSpec {
    Store *checkpoint;    /* the flow's folder; referenced */
    const char *flow;     /* for messages */
    int64_t step;         /* -1: all */
    const char *relation; /* NULL: all */
    int64_t batch;        /* -1: the newest that is committed */
} StateViewSpec;

/* E_STREAM_STATE_NONE when the flow remembers nothing, or not this step, relation or batch: the hint lists what there
 * is. E_STREAM_STATE_DAMAGED for a file that is missing or cut. */
Status state_view_open(DuckConn *conn, const StateViewSpec *spec, StateView **out, Error *err);
void state_view_free(StateView *view); /* after the SELECT has been read; NULL is fine */

const char *state_view_sql(const StateView *view);
int64_t state_view_batch(const StateView *view);
int64_t state_view_files(const StateView *view); /* how many it reads, and their bytes */
int64_t state_view_bytes(const StateView *view);

#endif
