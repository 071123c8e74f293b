/* The start of a run: which nodes take part, each with its sources, its sink and its checkpoint, and full refreshes.
 *
 * A full refresh gives a table's flows new checkpoints first (refresh.c tells the protocol); it is finished here, too,
 * when a crash has cut it short.
 */
#include <string.h>

#include "pipeline/run_int.h"

bool run_refreshes(const PipelineRun *run, const Definition *target)
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

static Status unknown_flow(const PipelineRun *run, const char *wanted, Error *err)
{
    Arena *arena = arena_new();
    const char **names = arena_alloc(arena, (2 * run->n_nodes + 1) * sizeof *names);
    Status rc = error_set(err, E_PIPELINE_TARGET, "the pipeline has no flow %s", wanted);

    for (size_t i = 0; i < run->n_nodes; i++) {
        names[2 * i] = run->nodes[i].node->name;
        names[2 * i + 1] = run->nodes[i].node->flow;
    }
    const char *nearest = error_nearest(wanted, names, 2 * run->n_nodes);
    if (nearest != NULL) {
        error_hint(err, "did you mean \"%s\"?", nearest);
    } else {
        error_hint(err, "freshet check lists the flows by their names");
    }
    arena_free(arena);
    return rc;
}

static Status select_named(PipelineRun *run, Error *err)
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
            return unknown_flow(run, options->only[k], err);
        }
    }
    return OK;
}

/* All flows of a table are refreshed together, or their rows would be lost with the table's. */
static void select_refreshed(PipelineRun *run)
{
    for (size_t i = 0; i < run->n_nodes; i++) {
        run->nodes[i].selected = run->nodes[i].selected || run_refreshes(run, run->nodes[i].node->target);
    }
}

static Status check_refresh_names(PipelineRun *run, Error *err)
{
    for (size_t i = 0; i < run->options->n_full_refresh; i++) {
        PipelineRunOptions one = {.full_refresh = run->options->full_refresh + i, .n_full_refresh = 1};
        PipelineRun probe = {.options = &one};
        bool found = false;
        for (size_t k = 0; k < run->n_nodes; k++) {
            found = found || run_refreshes(&probe, run->nodes[k].node->target);
        }
        if (!found) {
            Status rc = error_set(err, E_PIPELINE_TARGET, "--full-refresh: the pipeline writes no table %s",
                                  run->options->full_refresh[i]);
            error_hint(err, "freshet check lists the tables by their names");
            return rc;
        }
    }
    return OK;
}

Status run_select(PipelineRun *run, Error *err)
{
    Status rc = OK;

    TRY(select_named(run, err));
    TRY(check_refresh_names(run, err));
    if (!run->options->full_refresh_all) {
        select_refreshed(run);
    }
out:
    return rc;
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
    if (run_refreshes(run, any->target) && !run->refreshed[any->target->index]) {
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
                !run_refreshes(run, reader->target)) {
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

Status run_open_nodes(PipelineRun *run, Error *err)
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
