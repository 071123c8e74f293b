/* Inside of a run: what supervision (run.c), the start (run_open.c) and materialized views (run_view.c) share.
 *
 * Locks: PipelineRun.lock guards what says so below, and is held for moments only; PipelineRun.tell is held while the
 * observer is called, never together with the other. All else belongs to the thread that runs pipeline_run until a
 * node's own thread is started, and then to that until it is joined.
 */
#ifndef FRESHET_PIPELINE_RUN_INT_H
#define FRESHET_PIPELINE_RUN_INT_H

#include "pipeline/pipeline_int.h"

typedef enum NodeState { NODE_WAITING, NODE_RUNNING, NODE_DONE, NODE_FAILED, NODE_SKIPPED } NodeState;

typedef struct NodeRun {
    struct PipelineRun *run;
    const Node *node;
    bool selected;
    bool starved; /* a node above it, at any distance, has failed */
    NodeQuery *query;
    Flow *flow;      /* NULL for views */
    DuckConn *conn;  /* of a materialized view while its thread runs, under the lock */
    FlowStatus view; /* of a materialized view, under the lock */
    pthread_t thread;
    bool has_thread; /* to be joined */
    NodeState state; /* under the lock */
    Error error;     /* why it has FAILED */
} NodeRun;

typedef struct PipelineRun {
    Pipeline *pipeline;
    const PipelineRunOptions *options;
    const PipelineObserver *observer;
    NodeRun *nodes;
    size_t n_nodes;
    pthread_mutex_t lock;
    pthread_mutex_t tell; /* one observer call at a time */
    pthread_cond_t wake;  /* with `lock`: views wait on it for the stop */
    int ended;            /* eventfd: a node ended */
    bool stopping;        /* under the lock */
    int *refreshed;       /* per definition: the number its full refresh gave in this run; 0 = none */
    EventLog *events;
} PipelineRun;

/* Calls the observer, where it has such a function: TELL(run, warning, name, text). */
#define TELL(run, call, ...)                                              \
    do {                                                                  \
        if ((run)->observer->call != NULL) {                              \
            pthread_mutex_lock(&(run)->tell);                             \
            (run)->observer->call((run)->observer->context, __VA_ARGS__); \
            pthread_mutex_unlock(&(run)->tell);                           \
        }                                                                 \
    } while (0)

/* What a flow tells while it runs; `context` is its NodeRun. Views use the same, with `flow` NULL. */
void run_on_progress(void *context, Flow *flow, const char *json);
void run_on_retrying(void *context, Flow *flow, const Error *err, int64_t delay_ms);
/* The last call of a node's thread: says how it ended and wakes supervision. */
void run_node_ended(NodeRun *node, NodeState state);

/* ---- run_open.c ---- */

/* Is the table refreshed in full in this run? */
bool run_refreshes(const PipelineRun *run, const Definition *target);
/* Marks the nodes that take part, by the run's options. E_PIPELINE_TARGET for a name the pipeline does not have. */
Status run_select(PipelineRun *run, Error *err);
/* Opens them, and does what full refreshes do before the first batch. A node that cannot be opened has failed; the
 * others go on. */
Status run_open_nodes(PipelineRun *run, Error *err);

/* ---- run_view.c ---- */

/* The thread of a materialized view; `context` is its NodeRun. */
void *run_view_thread(void *context);

#endif
