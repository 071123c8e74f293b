/* Running: one thread a node, an order for those that end, and a way to stop.
 *
 *   WAITING --upstream ended--> RUNNING --> DONE | FAILED
 *      \--upstream failed-----> SKIPPED
 *
 * In a continuous run nobody waits: every node starts at once and finds its input when it appears. A failed node stops
 * alone; the nodes below it have nothing new to read and say so; when no other node is left the run ends.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "delta/allowed.h"
#include "delta/gone.h"
#include "pipeline/run_int.h"

/* ---- telling ---- */

void run_on_progress(void *context, Flow *flow, const char *json)
{
    NodeRun *node = context;
    (void)flow;

    TELL(node->run, progress, node->node->name, json);
    event_log_add(node->run->events, "INFO", "flow_progress", node->node->name, "batch finished", json);
}

void run_on_retrying(void *context, Flow *flow, const Error *err, int64_t delay_ms)
{
    NodeRun *node = context;
    Text message = TEXT(8192);
    (void)flow;

    text_printf(&message, "%s; the next try is in %lld s", err->message, (long long)(delay_ms / 1000));
    TELL(node->run, warning, node->node->name, text_str(&message));
    event_log_add(node->run->events, "WARN", "flow_retry", node->node->name, text_str(&message), NULL);
    text_free(&message);
}

static void tell_start(NodeRun *node)
{
    Text text = TEXT(1 << 16);

    if (node->flow != NULL) {
        flow_describe(node->flow, &text);
    } else {
        text_append(&text, "materialized view");
    }
    TELL(node->run, started, node->node->name, text_str(&text));
    event_log_add(node->run->events, "INFO", "flow_start", node->node->name, text_str(&text), NULL);
    text_free(&text);
}

static void node_status(NodeRun *node, FlowStatus *out)
{
    if (node->flow != NULL) {
        flow_status(node->flow, out);
        return;
    }
    pthread_mutex_lock(&node->run->lock);
    *out = node->view;
    pthread_mutex_unlock(&node->run->lock);
}

/* ---- one node's thread ---- */

static void set_state(NodeRun *node, NodeState state)
{
    pthread_mutex_lock(&node->run->lock);
    node->state = state;
    pthread_mutex_unlock(&node->run->lock);
}

void run_node_ended(NodeRun *node, NodeState state)
{
    FlowStatus status = {0};
    uint64_t one = 1;

    node_status(node, &status);
    if (state == NODE_FAILED) {
        delta_explain_gone(&node->error);
        sql_property_place(node->node->target->text, node->node->target->statement, &node->error);
        sql_column_place(node->node->target->text, node->node->target->statement, &node->error);
        TELL(node->run, failed, node->node->name, &node->error);
        event_log_add(node->run->events, "ERROR", "flow_failed", node->node->name, node->error.message, NULL);
    } else {
        TELL(node->run, finished, node->node->name, &status);
        event_log_add(node->run->events, "INFO", "flow_end", node->node->name, "finished", NULL);
    }
    set_state(node, state);
    if (write(node->run->ended, &one, sizeof one) != (ssize_t)sizeof one) {
        /* The counter can only be full, and then it is readable. */
    }
}

static void *flow_thread(void *context)
{
    NodeRun *node = context;
    FlowObserver observer = {.progress = run_on_progress, .retrying = run_on_retrying, .context = node};

    Status rc = flow_run(node->flow, &observer, &node->error);
    run_node_ended(node, rc == OK ? NODE_DONE : NODE_FAILED);
    return NULL;
}

/* ---- the run ---- */

/* The worst state among the selected nodes upstream: FAILED (*which one), RUNNING, else DONE. Nodes come after those
 * they read, so `starved` passes down in one walk over all. Under the lock. */
static NodeState upstream_state(NodeRun *node, const char **which)
{
    NodeState worst = NODE_DONE;

    for (size_t i = 0; i < node->node->n_upstream; i++) {
        const NodeRun *above = &node->run->nodes[node->node->upstream[i]];
        if (!above->selected) {
            continue;
        }
        if (above->state == NODE_FAILED || above->state == NODE_SKIPPED || above->starved) {
            *which = above->node->name;
            node->starved = true;
            return NODE_FAILED;
        }
        if (above->state != NODE_DONE) {
            worst = NODE_RUNNING;
        }
    }
    return worst;
}

static void start_node(NodeRun *node)
{
    pthread_mutex_lock(&node->run->lock);
    node->state = NODE_RUNNING;
    node->view.state = "starting";
    node->view.version = -1;
    node->view.batch_progress = -1;
    pthread_mutex_unlock(&node->run->lock);
    tell_start(node);
    if (pthread_create(&node->thread, NULL, node->flow != NULL ? flow_thread : run_view_thread, node) == 0) {
        node->has_thread = true;
        return;
    }
    error_set(&node->error, E_INTERNAL, "no thread could be started for %s", node->node->name);
    set_state(node, NODE_FAILED);
    TELL(node->run, failed, node->node->name, &node->error);
}

/* Says that nothing new comes from the node above. */
static void tell_waiting(NodeRun *node, const char *above, bool logged)
{
    Text why = TEXT(1024);

    text_printf(&why, "waits for %s, which has stopped", above);
    TELL(node->run, waiting, node->node->name, text_str(&why));
    if (logged) {
        event_log_add(node->run->events, "WARN", "flow_waiting", node->node->name, text_str(&why), NULL);
    }
    text_free(&why);
}

/* Starts what may start. Returns how many nodes have not ended; *useful counts those that can still get input. */
static size_t start_ready(PipelineRun *run, size_t *useful)
{
    bool ordered = run->options->mode != PIPELINE_CONTINUOUS;
    size_t open = 0;

    *useful = 0;
    for (size_t i = 0; i < run->n_nodes; i++) {
        NodeRun *node = &run->nodes[i];
        const char *above = NULL;
        pthread_mutex_lock(&run->lock);
        NodeState state = node->selected ? node->state : NODE_DONE, upstream = upstream_state(node, &above);
        bool stopping = run->stopping;
        pthread_mutex_unlock(&run->lock);
        if (state == NODE_WAITING && stopping) {
            set_state(node, NODE_DONE);
        } else if (state == NODE_WAITING && ordered && upstream == NODE_FAILED) {
            set_state(node, NODE_SKIPPED);
            tell_waiting(node, above, true);
        } else if (state == NODE_WAITING && (!ordered || upstream == NODE_DONE)) {
            start_node(node);
        }
        pthread_mutex_lock(&run->lock);
        state = node->selected ? node->state : NODE_DONE;
        pthread_mutex_unlock(&run->lock);
        if (state == NODE_WAITING || state == NODE_RUNNING) {
            open++;
            *useful += ordered || upstream != NODE_FAILED;
        }
    }
    return open;
}

/* Continuous runs: nodes below a failed one have nothing new to read. Says so once. */
static void tell_starved(PipelineRun *run, bool *told)
{
    for (size_t i = 0; i < run->n_nodes; i++) {
        NodeRun *node = &run->nodes[i];
        const char *above = NULL;
        pthread_mutex_lock(&run->lock);
        bool starved = node->state == NODE_RUNNING && upstream_state(node, &above) == NODE_FAILED;
        pthread_mutex_unlock(&run->lock);
        if (!told[i] && node->selected && starved) {
            told[i] = true;
            tell_waiting(node, above, false);
        }
    }
}

static void stop_nodes(PipelineRun *run, bool abandon)
{
    pthread_mutex_lock(&run->lock);
    run->stopping = true;
    pthread_cond_broadcast(&run->wake);
    for (size_t i = 0; i < run->n_nodes; i++) {
        if (abandon && run->nodes[i].conn != NULL) {
            duck_interrupt(run->nodes[i].conn);
        }
    }
    pthread_mutex_unlock(&run->lock);
    for (size_t i = 0; i < run->n_nodes; i++) {
        if (run->nodes[i].flow != NULL) {
            flow_stop(run->nodes[i].flow, abandon);
        }
    }
}

/* Starts, waits, stops; returns when every node has ended. Who abandons says so until all have heard it: an interrupt
 * that comes between two statements is lost. */
static void supervise(PipelineRun *run)
{
    enum { ABANDON_EVERY_MS = 50 };
    bool *told = mem_alloc(run->n_nodes + 1);
    bool abandon = false;
    size_t useful = 0;

    while (start_ready(run, &useful) > 0) {
        struct pollfd fds[2] = {{.fd = run->ended, .events = POLLIN},
                                {.fd = run->pipeline->stop_pipe[0], .events = POLLIN}};
        if (run->options->mode == PIPELINE_CONTINUOUS) {
            tell_starved(run, told);
        }
        if (useful == 0) {
            stop_nodes(run, false);
        }
        if (poll(fds, 2, abandon ? ABANDON_EVERY_MS : -1) < 0 && errno != EINTR) {
            break;
        }
        if (fds[0].revents & POLLIN) {
            uint64_t n = 0;
            /* no lock is held, and it never blocks: NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection) */
            if (read(run->ended, &n, sizeof n) < 0) {
                continue;
            }
        }
        if (fds[1].revents & POLLIN) {
            char drop[16];
            while (read(run->pipeline->stop_pipe[0], drop, sizeof drop) > 0) {
            }
            abandon = pipeline_abandoned(run->pipeline);
            stop_nodes(run, abandon);
        } else if (abandon) {
            stop_nodes(run, true);
        }
    }
    for (size_t i = 0; i < run->n_nodes; i++) {
        if (run->nodes[i].has_thread) {
            pthread_join(run->nodes[i].thread, NULL);
        }
    }
    mem_free(told);
}

static Status run_result(const PipelineRun *run, Error *err)
{
    size_t failed = 0;
    const NodeRun *first = NULL;

    for (size_t i = 0; i < run->n_nodes; i++) {
        const NodeRun *node = &run->nodes[i];
        if (node->selected && (node->state == NODE_FAILED || node->state == NODE_SKIPPED)) {
            failed++;
            first = first == NULL && node->state == NODE_FAILED ? node : first;
        }
    }
    if (failed == 0 || first == NULL) {
        return OK;
    }
    if (err != NULL) {
        *err = first->error;
    }
    return ERROR_DEFS[first->error.id].status;
}

static PipelineRun *run_new(Pipeline *pipeline, const PipelineRunOptions *options, const PipelineObserver *observer)
{
    PipelineRun *run = mem_alloc(sizeof *run);

    run->pipeline = pipeline;
    run->options = options;
    run->observer = observer;
    run->n_nodes = pipeline->n_nodes;
    run->nodes = mem_alloc((run->n_nodes + 1) * sizeof *run->nodes);
    run->refreshed = mem_alloc((pipeline->n_definitions + 1) * sizeof *run->refreshed);
    for (size_t i = 0; i < run->n_nodes; i++) {
        run->nodes[i].run = run;
        run->nodes[i].node = &pipeline->nodes[i];
        run->nodes[i].view = (FlowStatus){.state = "not started", .version = -1, .batch_progress = -1.0};
    }
    pthread_mutex_init(&run->lock, NULL);
    pthread_mutex_init(&run->tell, NULL);
    clock_cond_init(&run->wake);
    run->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return run;
}

static void run_free(PipelineRun *run)
{
    for (size_t i = 0; i < run->n_nodes; i++) {
        flow_close(run->nodes[i].flow);
        node_query_free(run->nodes[i].query);
    }
    close(run->ended);
    pthread_cond_destroy(&run->wake);
    pthread_mutex_destroy(&run->lock);
    pthread_mutex_destroy(&run->tell);
    mem_free(run->refreshed);
    mem_free(run->nodes);
    mem_free(run);
}

static void publish(Pipeline *pipeline, PipelineRun *run)
{
    pthread_mutex_lock(&pipeline->run_lock);
    pipeline->run = run;
    pthread_mutex_unlock(&pipeline->run_lock);
}

/* SET freshet.fsync, when the pipeline says it: for all of the process while the pipeline runs. */
static void choose_fsync(const Pipeline *pipeline)
{
    bool on = true;

    if (pipeline->settings[PROPERTY_FSYNC] != NULL && str_parse_bool(pipeline->settings[PROPERTY_FSYNC], &on)) {
        store_set_fsync(on);
    }
}

/* SET freshet.allowedPaths likewise. */
static Status choose_paths(const Pipeline *pipeline, Error *err)
{
    const char *list = pipeline->settings[PROPERTY_ALLOWED_PATHS];

    return list != NULL ? delta_allowed_set(list, err) : OK;
}

Status pipeline_run(Pipeline *pipeline, const PipelineRunOptions *options, const PipelineObserver *observer, Error *err)
{
    Status rc = OK;
    PipelineRun *run = run_new(pipeline, options, observer);
    bool fsync_before = store_fsync();
    char *paths_before = delta_allowed_get();

    choose_fsync(pipeline);
    TRY(choose_paths(pipeline, err));
    TRY(run_select(run, err));
    run->events = event_log_open(pipeline);
    TRY(run_open_nodes(run, err));
    publish(pipeline, run);
    supervise(run);
    publish(pipeline, NULL);
    TRY(run_result(run, err));
out:
    event_log_close(run->events);
    run_free(run);
    store_set_fsync(fsync_before);
    (void)delta_allowed_set(paths_before, NULL);
    mem_free(paths_before);
    return rc;
}

void pipeline_stop(Pipeline *pipeline)
{
    atomic_fetch_add(&pipeline->stops, 1);
    if (write(pipeline->stop_pipe[1], "s", 1) < 0) {
        /* A full pipe wakes the run just as well. */
    }
}

bool pipeline_abandoned(const Pipeline *pipeline)
{
    return atomic_load(&((Pipeline *)pipeline)->stops) > 1;
}

size_t pipeline_flows(const Pipeline *pipeline, PipelineFlowView *views, size_t max)
{
    Pipeline *own = (Pipeline *)pipeline; /* for the lock */
    size_t n = 0;

    pthread_mutex_lock(&own->run_lock);
    for (size_t i = 0; own->run != NULL && i < own->run->n_nodes && n < max; i++) {
        NodeRun *node = &own->run->nodes[i];
        if (node->selected) {
            views[n] = (PipelineFlowView){.name = node->node->name, .is_view = node->node->is_view};
            node_status(node, &views[n++].status);
        }
    }
    pthread_mutex_unlock(&own->run_lock);
    return n;
}
