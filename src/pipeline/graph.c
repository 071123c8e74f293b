/* The order of a pipeline: which node writes what another one reads, and whether that goes in a circle. */
#include "pipeline/pipeline_int.h"

/* Marks of the depth-first walk. */
typedef enum Mark { UNSEEN, OPEN, DONE } Mark;

typedef struct Walk {
    Pipeline *pipeline;
    Mark *marks;
    size_t *order, n_order; /* old indexes in the new order */
} Walk;

static void add_upstream(Pipeline *pipeline, Node *node, size_t upstream)
{
    for (size_t i = 0; i < node->n_upstream; i++) {
        if (node->upstream[i] == upstream) {
            return;
        }
    }
    size_t *grown = arena_alloc(pipeline->arena, (node->n_upstream + 1) * sizeof *grown);
    for (size_t i = 0; i < node->n_upstream; i++) {
        grown[i] = node->upstream[i];
    }
    grown[node->n_upstream] = upstream;
    node->upstream = grown;
    node->n_upstream++;
}

/* Every node that writes `definition` is upstream of `node`. */
static void connect_table(Pipeline *pipeline, Node *node, const Definition *definition)
{
    for (size_t i = 0; i < pipeline->n_nodes; i++) {
        if (pipeline->nodes[i].target == definition) {
            add_upstream(pipeline, node, i);
        }
    }
}

/* Follows what a query reads, through temporary views, to the tables of the pipeline. */
static Status connect_query(Pipeline *pipeline, Node *node, const SqlText *text, const SqlQuery *query, int depth,
                            Error *err)
{
    Status rc = OK;
    const SqlRelation *relations = NULL;
    size_t n = sql_query_relations(query, &relations);

    for (size_t i = 0; i < n; i++) {
        Definition *read = pipeline_definition(pipeline, &relations[i]);
        if (read == NULL) {
            continue;
        }
        if (read->kind != DEFINITION_TEMPORARY_VIEW) {
            connect_table(pipeline, node, read);
            continue;
        }
        if (depth >= PIPELINE_VIEW_DEPTH_MAX) {
            error_set(err, E_PIPELINE_CYCLE, "the temporary view %s reads itself", read->label);
            rc = pipeline_error_at(err, text, relations[i].span);
            goto out;
        }
        TRY(connect_query(pipeline, node, read->text, read->query, depth + 1, err));
    }
out:
    return rc;
}

/* "a reads b reads a": the open nodes from the one that closes the circle. */
static Status circle(const Walk *walk, size_t from, Error *err)
{
    const Pipeline *pipeline = walk->pipeline;
    const Node *node = &pipeline->nodes[from];
    Text names = TEXT(2048);
    size_t at = from;

    do {
        text_printf(&names, "%s reads ", pipeline->nodes[at].target->label);
        for (size_t i = 0; i < pipeline->nodes[at].n_upstream; i++) {
            if (walk->marks[pipeline->nodes[at].upstream[i]] == OPEN) {
                at = pipeline->nodes[at].upstream[i];
                break;
            }
        }
    } while (at != from && names.length < 1024);
    error_set(err, E_PIPELINE_CYCLE, "tables depend on each other in a circle: %s%s", text_str(&names),
              node->target->label);
    text_free(&names);
    return pipeline_error_at(err, node->text, node->statement->target.span);
}

static Status visit(Walk *walk, size_t i, Error *err)
{
    Status rc = OK;
    const Node *node = &walk->pipeline->nodes[i];

    if (walk->marks[i] == DONE) {
        goto out;
    }
    if (walk->marks[i] == OPEN) {
        rc = circle(walk, i, err);
        goto out;
    }
    walk->marks[i] = OPEN;
    for (size_t k = 0; k < node->n_upstream; k++) {
        TRY(visit(walk, node->upstream[k], err));
    }
    walk->marks[i] = DONE;
    walk->order[walk->n_order++] = i;
out:
    return rc;
}

/* Moves the nodes into the order found, and the edges with them. */
static void reorder(Walk *walk)
{
    Pipeline *pipeline = walk->pipeline;
    Node *sorted = mem_alloc((pipeline->n_nodes + 1) * sizeof *sorted);
    size_t *place = arena_alloc(pipeline->arena, (pipeline->n_nodes + 1) * sizeof *place);

    for (size_t i = 0; i < walk->n_order; i++) {
        place[walk->order[i]] = i;
        sorted[i] = pipeline->nodes[walk->order[i]];
    }
    for (size_t i = 0; i < pipeline->n_nodes; i++) {
        for (size_t k = 0; k < sorted[i].n_upstream; k++) {
            sorted[i].upstream[k] = place[sorted[i].upstream[k]];
        }
    }
    mem_free(pipeline->nodes);
    pipeline->nodes = sorted;
    pipeline->nodes_capacity = pipeline->n_nodes + 1;
}

Status graph_order(Pipeline *pipeline, Error *err)
{
    Status rc = OK;
    Walk walk = {.pipeline = pipeline,
                 .marks = arena_alloc(pipeline->arena, (pipeline->n_nodes + 1) * sizeof(Mark)),
                 .order = arena_alloc(pipeline->arena, (pipeline->n_nodes + 1) * sizeof(size_t))};

    for (size_t i = 0; i < pipeline->n_nodes; i++) {
        TRY(connect_query(pipeline, &pipeline->nodes[i], pipeline->nodes[i].text, pipeline->nodes[i].query, 0, err));
    }
    for (size_t i = 0; i < pipeline->n_nodes; i++) {
        TRY(visit(&walk, i, err));
    }
    reorder(&walk);
out:
    return rc;
}
