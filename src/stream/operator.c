#include "stream/operator.h"

Status stream_operator_open(DuckConn *conn, const StreamOperatorSpec *spec, StreamOperator **out, Error *err)
{
    static Status (*const OPEN[])(DuckConn *, const StreamOperatorSpec *, StreamOperator **, Error *) = {
        [SQL_STEP_AGGREGATE] = stream_aggregate_open,
        [SQL_STEP_SESSION] = stream_session_open,
        [SQL_STEP_DISTINCT] = stream_distinct_open,
        [SQL_STEP_JOIN] = stream_join_open,
    };

    return OPEN[spec->step->kind](conn, spec, out, err);
}

void stream_operator_close(StreamOperator *op)
{
    if (op) {
        op->ops->close(op);
    }
}
