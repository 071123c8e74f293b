/* A materialized view as it runs: a thread that refreshes it, waits, and refreshes it again.
 *
 * Errors that may pass are tried again with growing delays; an input that is not there yet is waited for. A view whose
 * refresh takes longer than its interval rests as long as it has worked.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "pipeline/run_int.h"

enum { VIEW_INTERVAL_US = 10 * 1000 * 1000, RETRY_FIRST_MS = 5000, RETRY_MAX_MS = 600000 };

/* Waits that long or until the run stops; true when it goes on. */
static bool view_sleep(PipelineRun *run, int64_t us)
{
    struct timespec until = clock_deadline(us);

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
    run_on_progress(node, NULL, text_str(&json));
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
        run_on_retrying(node, NULL, &node->error, delay_ms);
        if (!view_sleep(node->run, delay_ms * 1000)) {
            return rc;
        }
        delay_ms = delay_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : delay_ms * 2;
    }
}

static Status view_loop(NodeRun *node, DuckConn *conn)
{
    Status rc = OK;
    PipelineRun *run = node->run;
    FlowTrigger trigger = {0};
    ViewResult result = {0};
    char *last = NULL;
    bool force = run_refreshes(run, node->node->target);
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

void *run_view_thread(void *context)
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
    run_node_ended(node, rc == OK ? NODE_DONE : NODE_FAILED);
    return NULL;
}
