/* A source and a sink that a test owns, over one DuckDB instance: numbers 0, 1, 2, ... in, a table of them out.
 *
 * The source's offset is {"n":<numbers read>}. The sink keeps rows and the newest batch in one transaction, as a real
 * one does. What they hold lives in the FakeWorld, so that flows can come and go.
 */
#ifndef FRESHET_TESTS_STREAM_FAKES_H
#define FRESHET_TESTS_STREAM_FAKES_H

#include "stream/flow.h"

typedef struct FakeWorld {
    Duck *duck;
    DuckConn *conn; /* for the test's own questions */
    Store *checkpoint;
    int64_t available; /* numbers that the source has */
    int64_t per_batch; /* its rate limit */
    int64_t committed; /* newest n the source was told to be in the target */
    bool grows;        /* its schema grows at number `grows_at` */
    int64_t grows_at;
    bool has_schema;
    int wake_fd;   /* -1: none */
    int creations; /* how often the sink made its table */
    int64_t offsets_seen_max;
    const SqlStatefulPlan *plan; /* of the flow's query; NULL: none */
    const char *event_time;      /* expression over n; NULL: no watermark */
    int64_t delay_us, max_ahead_us;
} FakeWorld;

void fake_world_open(FakeWorld *world, const char *checkpoint_uri);
void fake_world_close(FakeWorld *world);
StreamSource *fake_source_new(FakeWorld *world);
StreamSink *fake_sink_new(FakeWorld *world);
/* One number of a query over the sink's table "target". */
int64_t fake_world_ask(FakeWorld *world, const char *sql);
/* A flow "f" of the fakes with this query (NULL: all numbers) and trigger. */
Flow *fake_flow_open(FakeWorld *world, const char *query, FlowTriggerKind trigger, const FlowExpectation *rules,
                     size_t n_rules);

#endif
