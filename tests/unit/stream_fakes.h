/* A source and a sink that a test owns, over one DuckDB instance: numbers 0, 1, 2, ... in, a table of them out.
 *
 * The source's offset is {"n":<numbers read>}. The sink keeps rows and the newest batch in one transaction, as a real
 * one does. What they hold lives in the FakeWorld, so that flows can come and go.
 */
#ifndef FRESHET_TESTS_STREAM_FAKES_H
#define FRESHET_TESTS_STREAM_FAKES_H

#include "base/failpoint.h"
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

/* For cmocka_run_group_tests: the instance that the worlds of a program share, one after the other. */
int fakes_up(void **state);
int fakes_down(void **state);

void fake_world_open(FakeWorld *world, const char *checkpoint_uri);
void fake_world_close(FakeWorld *world);
StreamSource *fake_source_new(FakeWorld *world);
StreamSink *fake_sink_new(FakeWorld *world);
/* One number of a query over the sink's table "target". */
int64_t fake_world_ask(FakeWorld *world, const char *sql);
/* A flow "f" of the fakes with this query (NULL: all numbers) and trigger. */
Flow *fake_flow_open(FakeWorld *world, const char *query, FlowTriggerKind trigger, const FlowExpectation *rules,
                     size_t n_rules);
/* Runs and closes it; true when it ended well. With `restart` a failure ends the run instead of being tried again. NULL
 * is a flow that could not be opened. */
bool fake_flow_run(Flow *flow, bool restart);

/* ---- failures: the same work over and over, with one failure at each place that it passes ---- */

typedef struct FakeFailure {
    FailpointId point;
    int hit;
    bool restart; /* what failed ends, and is started anew */
} FakeFailure;

/* True when it ended well. */
typedef bool (*FakeAttempt)(void *context, bool restart);

/* Attempts until one ends well in which nothing failed. */
void fake_attempts(const FakeFailure *failure, FakeAttempt attempt, void *context);

typedef struct FakeSweep {
    void (*play)(const FakeFailure *failure); /* the work from its beginning, and what has to be true at its end */
    const int *hits;                          /* ascending; those that the work does not reach are left out */
    size_t n_hits;
    size_t (*hits_of)(const char *point); /* how many of them, for a point that has to be passed; NULL: all, anywhere */
    bool both;                            /* with and without restart; else in turn, the first hit with */
} FakeSweep;

/* The number of failures played. */
int fake_sweep(const FakeSweep *sweep);

#endif
