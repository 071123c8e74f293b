/* One operator over temporary tables, without a flow around it: opened, and run batch by batch. */
#ifndef FRESHET_TEST_OPERATOR_FIXTURE_H
#define FRESHET_TEST_OPERATOR_FIXTURE_H

#include "duck_fixture.h"

#include <inttypes.h>
#include <string.h>

#include "stream/operator.h"
#include "unit.h"

static Store *checkpoint;

/* In append mode, with a state of its own. */
static inline StreamOperator *open_step(const SqlStep *step)
{
    StreamOperator *op = NULL;
    static int stores;
    char uri[64];
    snprintf(uri, sizeof uri, "memory://operator-%d", ++stores);
    must(store_open(uri, &checkpoint, &err));
    StreamOperatorSpec spec = {.step = step, .mode = SQL_OUTPUT_APPEND, .flow = "f", .checkpoint = checkpoint};
    must(stream_operator_open(conn, &spec, &op, &err));
    return op;
}

static inline void close_step(StreamOperator *op)
{
    op->ops->close(op);
    store_unref(checkpoint);
}

static inline void run(StreamOperator *op, int64_t batch, int64_t late_us, int64_t evict_us, const char *rejected)
{
    StreamOperatorBatch at = {.batch = batch, .late_us = late_us, .evict_us = evict_us, .rejected = rejected};
    state_begin(op->state);
    must(op->ops->run(op, conn, &at, &err));
}

#endif
