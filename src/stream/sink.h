/* A sink of a stream: takes the result of a batch once.
 *
 * A sink that can (Delta) records the batch in the same atomic step as its rows, and tells on restart which batch it
 * has seen last; then a batch that is written twice is there once.
 */
#ifndef FRESHET_STREAM_SINK_H
#define FRESHET_STREAM_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "delta/schema.h"
#include "duck/duck.h"
#include "sql/stateful.h"

typedef struct StreamSink StreamSink;

typedef struct StreamSinkBatch {
    const char *query_id;     /* metadata.id of the checkpoint: txn.appId */
    int64_t batch;            /* txn.version */
    const char *query;        /* SELECT: the batch's output rows */
    const char *freshet_json; /* commitInfo.freshet: flow, batch, offsets, watermark */
    bool has_rows;            /* false: it is known that there are none (no source advanced) */
    /* APPEND: the rows are added. UPDATE: each takes the place of the one with the same key_columns, compared with IS
     * NOT DISTINCT FROM, and the keys that `vanished` (a SELECT; NULL: none) gives go. COMPLETE: they take the place of
     * all. */
    SqlOutputMode mode;
    const char *const *key_columns;
    size_t n_key_columns;
    const char *vanished;
    /* Called when the query has run and before its rows become visible: an error keeps them from it. NULL: nothing to
     * check. */
    Status (*verify)(void *context, Error *err);
    void *verify_context;
} StreamSinkBatch;

typedef struct StreamSinkResult {
    int64_t rows, files, bytes;
    int64_t version; /* of the commit; -1 when there was none */
    bool duplicate;  /* the batch had been committed before; nothing was written */
} StreamSinkResult;

typedef struct StreamSinkOps {
    const char *kind; /* "delta" */
    /* Creates the target for rows of these columns if it is not there; checks an existing one fits. Called after
     * planning and after every replan. */
    Status (*prepare)(StreamSink *sink, DuckConn *conn, const DuckColumnInfo *columns, size_t n, Error *err);
    /* The newest batch recorded for query_id; -1 when none. *freshet_json: what its commit said, a new text, or NULL
     * where it cannot be told any more. */
    Status (*last_batch)(StreamSink *sink, DuckConn *conn, const char *query_id, int64_t *batch, char **freshet_json,
                         Error *err);
    Status (*write)(StreamSink *sink, DuckConn *conn, const StreamSinkBatch *batch, StreamSinkResult *result,
                    Error *err);
    /* The newest batch of the flow of this name under any other query id, since the target was last refreshed in full;
     * -1 when none is found. Asked once, before the first batch of a new checkpoint: the old one may be lost. NULL:
     * cannot be told. */
    Status (*foreign_batch)(StreamSink *sink, DuckConn *conn, const char *flow, const char *query_id, int64_t *batch,
                            Error *err);
    /* Work that may wait until the batch has been reported: checkpoints, log cleanup. NULL: none. */
    void (*maintain)(StreamSink *sink, DuckConn *conn);
    void (*describe)(StreamSink *sink, Text *out); /* "DeltaSink[file:/…]" */
    void (*close)(StreamSink *sink);
} StreamSinkOps;

struct StreamSink {
    const StreamSinkOps *ops; /* first member of every implementation's struct */
};

#endif
