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
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "delta/allowed.h"
#include "pipeline/pipeline_int.h"

enum { VIEW_INTERVAL_US = 10 * 1000 * 1000, RETRY_FIRST_MS = 5000, RETRY_MAX_MS = 600000 };

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
    bool joined_needed;
    NodeState state; /* under the lock */
    Error error;     /* FAILED */
} NodeRun;

typedef struct PipelineRun {
    Pipeline *pipeline;
    const PipelineRunOptions *options;
    const PipelineObserver *observer;
    NodeRun *nodes;
    size_t n_nodes;
    pthread_mutex_t lock; /* states */
    pthread_mutex_t tell; /* one observer call at a time */
    pthread_cond_t wake;  /* views wait on it */
    int ended;            /* eventfd: a node ended */
    bool stopping;
    int *refreshed; /* per definition: the number its full refresh gave in this run; 0 = none */
    EventLog *events;
} PipelineRun;

/* ---- telling ---- */

#define TELL(run, call, ...)                                              \
    do {                                                                  \
        if ((run)->observer->call != NULL) {                              \
            pthread_mutex_lock(&(run)->tell);                             \
            (run)->observer->call((run)->observer->context, __VA_ARGS__); \
            pthread_mutex_unlock(&(run)->tell);                           \
        }                                                                 \
    } while (0)

static void on_progress(void *context, Flow *flow, const char *json)
{
    NodeRun *node = context;
    (void)flow;

    TELL(node->run, progress, node->node->name, json);
    event_log_add(node->run->events, "INFO", "flow_progress", node->node->name, "batch finished", json);
}

static void on_retrying(void *context, Flow *flow, const Error *err, int64_t delay_ms)
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

static void node_end(NodeRun *node, NodeState state)
{
    FlowStatus status = {0};
    uint64_t one = 1;

    node_status(node, &status);
    if (state == NODE_FAILED) {
        TELL(node->run, failed, node->node->name, &node->error);
        event_log_add(node->run->events, "ERROR", "flow_failed", node->node->name, node->error.message, NULL);
    } else {
        TELL(node->run, finished, node->node->name, &status);
        event_log_add(node->run->events, "INFO", "flow_end", node->node->name, "finished", NULL);
    }
    pthread_mutex_lock(&node->run->lock);
    node->state = state;
    pthread_mutex_unlock(&node->run->lock);
    if (write(node->run->ended, &one, sizeof one) != (ssize_t)sizeof one) {
        /* The counter can only be full, and then it is readable. */
    }
}

static void *flow_thread(void *context)
{
    NodeRun *node = context;
    FlowObserver observer = {.progress = on_progress, .retrying = on_retrying, .context = node};

    Status rc = flow_run(node->flow, &observer, &node->error);
    node_end(node, rc == OK ? NODE_DONE : NODE_FAILED);
    return NULL;
}

/* Waits that long or until the run stops; true when it goes on. */
static bool view_sleep(PipelineRun *run, int64_t us)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += us / 1000000;
    until.tv_nsec += us % 1000000 * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&run->lock);
    while (!run->stopping && pthread_cond_timedwait(&run->wake, &run->lock, &until) != ETIMEDOUT) {
    }
    bool on = !run->stopping;
    pthread_mutex_unlock(&run->lock);
    return on;
}

static void view_state(NodeRun *node, const char *state, const ViewResult *result)
{
    pthread_mutex_lock(&node->run->lock);
    node->view.state = state;
    node->view.batch_progress = strcmp(state, "refreshing") == 0 ? 0 : -1;
    if (result != NULL && result->refreshed) {
        node->view.batches++;
        node->view.rows_out = result->rows;
        node->view.rows_dropped = node->view.aside[REASON_EXPECTATION] = result->dropped;
        node->view.version = result->version;
    }
    pthread_mutex_unlock(&node->run->lock);
}

static void view_progress(NodeRun *node, const ViewResult *result, int64_t started_us)
{
    Text json = TEXT(1 << 16);
    char time[32];

    time_iso_ms(started_us / 1000, time);
    text_append(&json, "{\"name\":");
    text_append_json_string(&json, node->node->name);
    text_printf(
        &json, ",\"timestamp\":\"%s\",\"numOutputRows\":%lld,\"commitVersion\":%lld,\"durationMs\":{\"refresh\":%lld}",
        time, (long long)result->rows, (long long)result->version, (long long)(clock_now_us() - started_us) / 1000);
    if (result->expectations != NULL) {
        text_printf(&json, ",\"expectations\":%s", result->expectations);
    }
    text_append_char(&json, '}');
    on_progress(node, NULL, text_str(&json));
    text_free(&json);
}

/* One refresh, again after errors that may pass. */
static Status refresh_with_retries(NodeRun *node, DuckConn *conn, bool force, char **last, ViewResult *result)
{
    int64_t delay_ms = RETRY_FIRST_MS;

    for (;;) {
        error_clear(&node->error);
        Status rc = view_refresh(node->run->pipeline, node->node, node->query, conn, force, last, result, &node->error);
        if (rc == OK || node->error.id == E_PIPELINE_WAITING || !(node->error.flags & ERROR_RETRIABLE)) {
            return rc;
        }
        on_retrying(node, NULL, &node->error, delay_ms);
        if (!view_sleep(node->run, delay_ms * 1000)) {
            return rc;
        }
        delay_ms = delay_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : delay_ms * 2;
    }
}

/* Whether this table is refreshed whatever its fingerprint says. */
static bool wants_full_refresh(const PipelineRun *run, const Definition *target)
{
    bool wanted = run->options->full_refresh_all;

    for (size_t i = 0; i < run->options->n_full_refresh; i++) {
        Text key = TEXT(1024);
        if (strchr(run->options->full_refresh[i], '.') == NULL) {
            text_append(&key, "default.");
        }
        text_append(&key, run->options->full_refresh[i]);
        wanted = wanted || str_ieq(text_str(&key), target->key);
        text_free(&key);
    }
    return wanted;
}

static Status view_loop(NodeRun *node, DuckConn *conn)
{
    Status rc = OK;
    PipelineRun *run = node->run;
    FlowTrigger trigger = {0};
    ViewResult result = {0};
    char *last = NULL;
    bool force = wants_full_refresh(run, node->node->target);
    Error *err = &node->error;

    TRY(node_trigger(run->pipeline, node->node, run->options->mode, &trigger, err));
    bool once = trigger.kind == TRIGGER_AVAILABLE_NOW || trigger.kind == TRIGGER_ONCE;
    int64_t interval = trigger.kind == TRIGGER_INTERVAL && trigger.interval_us > 0 ? trigger.interval_us
                                                                                   : VIEW_INTERVAL_US;
    for (;;) {
        int64_t started = clock_now_us(), mono = clock_mono_us();
        view_state(node, "refreshing", NULL);
        rc = refresh_with_retries(node, conn, force, &last, &result);
        if (rc == ERR_INTERRUPTED && pipeline_abandoned(run->pipeline)) {
            error_clear(err);
            rc = OK;
            goto out;
        }
        if (rc != OK && (node->error.id != E_PIPELINE_WAITING || once)) {
            goto out;
        }
        view_state(node, rc == OK ? "waiting for changes" : "waiting for its input", &result);
        if (rc == OK && result.refreshed) {
            view_progress(node, &result, started);
        }
        mem_free(result.expectations);
        result.expectations = NULL;
        error_clear(&node->error);
        rc = OK;
        force = false;
        int64_t took = clock_mono_us() - mono; /* never more than half of the time */
        if (once || !view_sleep(run, took > interval ? took : interval)) {
            break;
        }
    }
out:
    mem_free(last);
    return rc;
}

/* Whom stop_nodes is to interrupt; NULL = nobody any more. */
static void view_conn(NodeRun *node, DuckConn *conn)
{
    pthread_mutex_lock(&node->run->lock);
    node->conn = conn;
    pthread_mutex_unlock(&node->run->lock);
}

static void *view_thread(void *context)
{
    NodeRun *node = context;
    DuckConn *conn = NULL;
    Status rc = pipeline_connect(node->run->pipeline, &conn, &node->error);

    if (rc == OK) {
        view_conn(node, conn);
        rc = view_loop(node, conn);
        view_conn(node, NULL);
        duck_disconnect(conn);
    }
    view_state(node, "stopped", NULL);
    node_end(node, rc == OK ? NODE_DONE : NODE_FAILED);
    return NULL;
}

/* ---- opening ---- */

static Status select_nodes(PipelineRun *run, Error *err)
{
    const PipelineRunOptions *options = run->options;

    for (size_t i = 0; i < run->n_nodes; i++) {
        run->nodes[i].selected = options->n_only == 0;
    }
    for (size_t k = 0; k < options->n_only; k++) {
        bool found = false;
        for (size_t i = 0; i < run->n_nodes; i++) {
            const Node *node = run->nodes[i].node;
            if (str_ieq(node->name, options->only[k]) || str_ieq(node->flow, options->only[k]) ||
                str_ieq(node->target->key, options->only[k])) {
                run->nodes[i].selected = found = true;
            }
        }
        if (!found) {
            return error_set(err, E_PIPELINE_TARGET, "the pipeline has no flow %s", options->only[k]);
        }
    }
    return OK;
}

/* All flows of a table are refreshed together, or their rows would be lost with the table's. */
static void select_refreshed(PipelineRun *run)
{
    for (size_t i = 0; i < run->n_nodes; i++) {
        run->nodes[i].selected = run->nodes[i].selected || wants_full_refresh(run, run->nodes[i].node->target);
    }
}

static Status check_refresh_names(PipelineRun *run, Error *err)
{
    for (size_t i = 0; i < run->options->n_full_refresh; i++) {
        PipelineRunOptions one = {.full_refresh = run->options->full_refresh + i, .n_full_refresh = 1};
        PipelineRun probe = {.options = &one};
        bool found = false;
        for (size_t k = 0; k < run->n_nodes; k++) {
            found = found || wants_full_refresh(&probe, run->nodes[k].node->target);
        }
        if (!found) {
            return error_set(err, E_PIPELINE_TARGET, "--full-refresh: the pipeline writes no table %s",
                             run->options->full_refresh[i]);
        }
    }
    return OK;
}

/* The number of the checkpoints that the flows of a table use in this run; -1: each the one it has. */
static Status target_number(PipelineRun *run, DuckConn *conn, const Node *any, int *number, Error *err)
{
    Status rc = OK;
    DeltaTable *table = NULL;
    int recorded = 0, highest = 0;

    TRY(node_target(run->pipeline, any, true, &table, err));
    TRY(refresh_recorded(table, conn, &recorded, err));
    for (size_t i = 0; i < run->n_nodes; i++) {
        int own = 0;
        if (run->nodes[i].node->target == any->target && !run->nodes[i].node->is_view) {
            TRY(node_checkpoint_number(run->pipeline, run->nodes[i].node, &own, err));
            highest = own > highest ? own : highest;
        }
    }
    *number = -1;
    if (wants_full_refresh(run, any->target) && !run->refreshed[any->target->index]) {
        *number = (highest > recorded ? highest : recorded) + 1;
        run->refreshed[any->target->index] = *number;
    } else if (run->refreshed[any->target->index] > 0) {
        *number = run->refreshed[any->target->index];
    } else if (highest > recorded) { /* a refresh that a crash cut short */
        *number = highest;
    }
out:
    delta_table_close(table);
    return rc;
}

static Status open_node(PipelineRun *run, NodeRun *node, DuckConn *conn, Error *err)
{
    Status rc = OK;
    FlowTrigger trigger = {0};
    int number = -1;

    TRY(node_query_make(run->pipeline, conn, node->node, &node->query, err));
    if (node->node->is_view) {
        goto out;
    }
    TRY(node_trigger(run->pipeline, node->node, run->options->mode, &trigger, err));
    TRY(target_number(run, conn, node->node, &number, err));
    TRY(node_open_flow(run->pipeline, node->node, node->query, number, trigger, &node->flow, err));
out:
    return rc;
}

/* Streams that read an emptied table stop with DELTA_SOURCE_IGNORE_DELETE: says so before anything starts. */
static void warn_readers(PipelineRun *run, size_t target)
{
    const Node *refreshed = run->nodes[target].node;

    for (size_t i = 0; i < run->n_nodes; i++) {
        const Node *reader = run->nodes[i].node;
        for (size_t k = 0; k < reader->n_upstream; k++) {
            if (run->pipeline->nodes[reader->upstream[k]].target == refreshed->target && !reader->is_view &&
                !wants_full_refresh(run, reader->target)) {
                Text message = TEXT(4096);
                text_printf(
                    &message,
                    "reads %s, which is being refreshed in full: it will stop at the deletion unless it is listed in "
                    "--full-refresh too, or reads with skipChangeCommits = true",
                    refreshed->target->label);
                TELL(run, warning, reader->name, text_str(&message));
                text_free(&message);
            }
        }
    }
}

/* Step 2 of a full refresh, once per table, after all of its flows have their new checkpoints. */
static Status empty_targets(PipelineRun *run, DuckConn *conn, Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < run->n_nodes; i++) {
        const Node *node = run->nodes[i].node;
        DeltaTable *table = NULL;
        int own = 0, recorded = 0;
        if (!run->nodes[i].selected || run->nodes[i].flow == NULL) {
            continue;
        }
        TRY(node_target(run->pipeline, node, false, &table, err));
        rc = refresh_recorded(table, conn, &recorded, err);
        if (rc == OK) {
            rc = node_checkpoint_number(run->pipeline, node, &own, err);
        }
        if (rc == OK && own > recorded) {
            warn_readers(run, i);
            rc = refresh_target(table, conn, own, NULL, err);
        }
        delta_table_close(table);
        if (rc != OK) {
            goto out;
        }
    }
out:
    return rc;
}

/* A node that cannot be opened has failed; the others go on. */
static Status open_nodes(PipelineRun *run, Error *err)
{
    Status rc = OK;
    DuckConn *conn = NULL;

    TRY(pipeline_connect(run->pipeline, &conn, err));
    for (size_t i = 0; i < run->n_nodes; i++) {
        NodeRun *node = &run->nodes[i];
        if (node->selected && open_node(run, node, conn, &node->error) != OK) {
            node->state = NODE_FAILED;
            TELL(run, failed, node->node->name, &node->error);
            event_log_add(run->events, "ERROR", "flow_failed", node->node->name, node->error.message, NULL);
        }
    }
    TRY(empty_targets(run, conn, err));
out:
    if (conn != NULL) {
        duck_disconnect(conn);
    }
    return rc;
}

/* ---- the run ---- */

/* Worst state among the selected nodes upstream, as seen from `node`; nodes come after those they read. */
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
    node->state = NODE_RUNNING;
    node->view.state = "starting";
    node->view.version = -1;
    node->view.batch_progress = -1;
    tell_start(node);
    if (pthread_create(&node->thread, NULL, node->flow != NULL ? flow_thread : view_thread, node) == 0) {
        node->joined_needed = true;
        return;
    }
    error_set(&node->error, E_INTERNAL, "no thread could be started for %s", node->node->name);
    node->state = NODE_FAILED;
    TELL(node->run, failed, node->node->name, &node->error);
}

static void skip_node(NodeRun *node, const char *above)
{
    Text why = TEXT(1024);

    node->state = NODE_SKIPPED;
    text_printf(&why, "waits for %s, which has stopped", above);
    TELL(node->run, waiting, node->node->name, text_str(&why));
    event_log_add(node->run->events, "WARN", "flow_waiting", node->node->name, text_str(&why), NULL);
    text_free(&why);
}

/* Starts what may start. Returns how many nodes have not ended; *useful counts those that can still get input. Under
 * the lock except while it tells. */
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
            node->state = NODE_DONE;
        } else if (state == NODE_WAITING && ordered && upstream == NODE_FAILED) {
            skip_node(node, above);
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
        if (!told[i] && node->selected && node->state == NODE_RUNNING && upstream_state(node, &above) == NODE_FAILED) {
            Text why = TEXT(1024);
            told[i] = true;
            text_printf(&why, "waits for %s, which has stopped", above);
            TELL(run, waiting, node->node->name, text_str(&why));
            text_free(&why);
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
        if (run->nodes[i].joined_needed) {
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
    pthread_condattr_t attributes;

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
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&run->wake, &attributes);
    pthread_condattr_destroy(&attributes);
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
    TRY(select_nodes(run, err));
    TRY(check_refresh_names(run, err));
    if (!options->full_refresh_all) {
        select_refreshed(run);
    }
    run->events = event_log_open(pipeline);
    TRY(open_nodes(run, err));
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
