/* session_window(): refused. */
#include "stream/operator.h"

Status stream_session_open(DuckConn *conn, const StreamOperatorSpec *spec, StreamOperator **out, Error *err)
{
    (void)conn;
    (void)out;
    return error_set(err, E_PIPELINE_STATEFUL, "%s: session windows are not kept", spec->step->title);
}
