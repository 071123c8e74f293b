/* What the files of this folder share: the definitions of a pipeline and the nodes of its graph.
 *
 *   load.c     files -> statements -> definitions, settings
 *   query.c    a query with its views expanded, and what it reads
 *   graph.c    nodes (flows and materialized views), their edges, circles
 *   node.c     a node opened: its sources, its sink, its checkpoint
 *   view.c     one refresh of a materialized view
 *   refresh.c  full refresh of a table
 *   run.c      nodes as threads, order, failures, stop (run_int.h); run_open.c the start, run_view.c views as they run
 *   check.c    explaining without touching
 */
#ifndef FRESHET_PIPELINE_PIPELINE_INT_H
#define FRESHET_PIPELINE_PIPELINE_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "base/mem.h"
#include "pipeline/pipeline.h"
#include "pipeline/property.h"
#include "session/relation.h"
#include "sql/stateful.h"
#include "sql/statement.h"

enum { PIPELINE_FILE_MAX = 64 << 20, PIPELINE_NODES_MAX = 4096, PIPELINE_VIEW_DEPTH_MAX = 32 };

/* ---- definitions ---- */

typedef enum DefinitionKind {
    DEFINITION_STREAMING_TABLE,
    DEFINITION_MATERIALIZED_VIEW,
    DEFINITION_TEMPORARY_VIEW,
} DefinitionKind;

/* A named thing of the pipeline. */
typedef struct Definition {
    DefinitionKind kind;
    size_t index;       /* in Pipeline.ordered */
    const char *key;    /* "schema.name", lower case */
    const char *label;  /* as the user reads it: "orders", "silver.orders" */
    const char *schema; /* NULL when not given */
    const char *name;
    const SqlText *text;
    const SqlStatement *statement;
    const char *properties[PROPERTY_COUNT]; /* NULL = not set here */
    SqlQuery *query;                        /* of its AS; NULL when it has none */
} Definition;

/* A query that feeds a table: the AS of a table or view, or a CREATE FLOW. */
typedef struct Node {
    const char *name; /* "silver.orders", "silver.orders/backfill" */
    const char *flow; /* the flow's own name, lower case: last part of its checkpoint folder */
    Definition *target;
    const SqlText *text;
    const SqlStatement *statement; /* where the query stands */
    SqlQuery *query;
    const char *properties[PROPERTY_COUNT];
    bool is_view;     /* materialized view */
    size_t *upstream; /* nodes that write what this one reads */
    size_t n_upstream;
} Node;

struct Pipeline {
    Duck *duck;
    Warehouse *warehouse;
    Arena *arena;
    SqlText **texts;
    SqlScript **scripts;
    size_t n_texts, texts_capacity;
    Map *definitions;     /* key -> Definition */
    Definition **ordered; /* as written */
    size_t n_definitions, definitions_capacity;
    Node *nodes; /* in graph order: what is read before who reads it */
    size_t n_nodes, nodes_capacity;
    const char *settings[PROPERTY_COUNT]; /* SET and --set */
    const char **session_settings;        /* "SET x = y" for every connection */
    size_t n_session_settings, session_capacity;
    const char *user_metadata; /* of all commits; NULL = none */
    int stop_pipe[2];
    atomic_int stops;        /* how often stop was asked for */
    struct PipelineRun *run; /* while pipeline_run runs; for the display */
    pthread_mutex_t run_lock;
};

/* The effective value of a property for a node: its own, its table's, SET's, or NULL. */
const char *node_property(const Pipeline *pipeline, const Node *node, PropertyId id);
/* The definition a relation names; NULL when it is a table of the warehouse, a path or a function. */
Definition *pipeline_definition(const Pipeline *pipeline, const SqlRelation *relation);
/* The name of the pipeline or the warehouse that is nearest to `name`, which is none, as the error's hint. */
void pipeline_hint_table(const Pipeline *pipeline, const char *name, Error *err);
/* Sets the place of an error that has none yet. */
Status pipeline_error_at(Error *err, const SqlText *text, SqlSpan span);

/* ---- graph ---- */

/* Fills the upstream lists and puts the nodes in order; E_PIPELINE_CYCLE names the circle. */
Status graph_order(Pipeline *pipeline, Error *err);

/* ---- queries ---- */

/* One relation that a node reads, with the name under which its query finds it. */
typedef struct QueryLeaf {
    const SqlRelation *relation;
    const SqlText *text;
    const char *placeholder;
    Definition *definition; /* the table of the pipeline it is; NULL: something else */
} QueryLeaf;

/* Bytes [begin, end) of a node's expanded query come from one query that the user wrote. */
typedef struct QueryPart {
    size_t begin, end;
    const SqlText *text;
    SqlQuery *query;
} QueryPart;

/* A node's query, ready for DuckDB: temporary views are common table expressions in front of it. */
typedef struct NodeQuery {
    Arena *arena;
    const Node *node;
    const char *sql;
    QueryPart *parts; /* the views, then the node's own */
    size_t n_parts, parts_capacity;
    QueryLeaf *leaves;
    size_t n_leaves, leaves_capacity;
    SqlStatefulPlan *plan;     /* how a stream runs through it; NULL for a materialized view */
    const SqlLeaf *sql_leaves; /* of the plan, one for each leaf */
    bool uses_time;
    bool uses_random;
    bool selects_star; /* SELECT *: what the input gains, the target gains */
} NodeQuery;

/* Expands views, fixes the batch time and, for a flow, cuts the query into steps: E_PIPELINE_STATEFUL for what cannot
 * run through a stream. */
Status node_query_make(Pipeline *pipeline, DuckConn *conn, const Node *node, NodeQuery **out, Error *err);
void node_query_free(NodeQuery *query);
/* Moves an error of DuckDB to the user's text; the `place` of a FlowSpec. */
void node_query_place(void *node_query, int64_t offset, Error *err);

/* ---- nodes ---- */

/* The number of the checkpoint that a flow of the node uses now. */
Status node_checkpoint_number(Pipeline *pipeline, const Node *node, int *number, Error *err);
/* A flow opened over checkpoint `number`: sources, sink, lock. The table's place is registered. The query must outlive
 * the flow. */
Status node_open_flow(Pipeline *pipeline, const Node *node, NodeQuery *query, int number, FlowTrigger trigger,
                      Flow **out, Error *err);
/* The source of a leaf that is a stream; checks its options and touches nothing yet. `remembers`: the query has
 * steps. */
Status node_open_source(Pipeline *pipeline, const QueryLeaf *leaf, bool remembers, const StreamSourceContext *context,
                        Arena *arena, StreamSource **out, Error *err);
/* The trigger by the run's mode and the node's properties. */
Status node_trigger(const Pipeline *pipeline, const Node *node, PipelineRunMode mode, FlowTrigger *out, Error *err);
/* The target of a node as a handle; its name is registered when `registering`. */
Status node_target(Pipeline *pipeline, const Node *node, bool registering, DeltaTable **out, Error *err);
/* Table properties that are stored, and the declared columns. Everything in `arena`; *schema is the caller's. */
typedef struct TargetSpec {
    DeltaSchema *schema; /* NULL: those of the query */
    const char **keys, **values;
    size_t n_properties;
} TargetSpec;
Status node_target_spec(const Node *node, DuckConn *conn, Arena *arena, TargetSpec *out, Error *err);

/* The expectations of a node's target, in `arena`; E_PIPELINE_STATEMENT for one that this version cannot keep. */
Status node_expectations(const Node *node, Arena *arena, FlowExpectation **out, size_t *n, Error *err);

/* For relations of that text; `conn` may be NULL where only relation_table is asked. */
RelationReader pipeline_reader(const Pipeline *pipeline, DuckConn *conn, const SqlText *text);

/* A connection with the session settings of the pipeline. */
Status pipeline_connect(Pipeline *pipeline, DuckConn **out, Error *err);

/* ---- materialized views ---- */

typedef struct ViewResult {
    bool refreshed; /* a commit was made */
    int64_t rows, version;
    int64_t dropped;    /* rows left out by expectations */
    char *expectations; /* what they counted, as in the progress of a flow; the caller's, NULL: none */
} ViewResult;
/* Refreshes if an input changed since the last time (`last`, a text this function replaces, remembers it within a run).
 * A table of the pipeline that is not there yet is E_PIPELINE_WAITING. */
Status view_refresh(Pipeline *pipeline, const Node *node, NodeQuery *query, DuckConn *conn, bool force, char **last,
                    ViewResult *result, Error *err);

/* Holds the answer, a temporary table, against the expectations of the node: rows to drop are deleted from it,
 * E_STREAM_EXPECTATION for one that fails the update. Fills `dropped` and `expectations`. */
Status view_rules_apply(const Node *node, DuckConn *conn, const char *answer, ViewResult *result, Error *err);
/* Does every condition bind over the columns of `relation`? The error has its place. */
Status view_rules_bind(const Node *node, DuckConn *conn, const char *relation, Error *err);

/* ---- full refresh ---- */

/* The number of the newest full refresh the table has recorded; 0 when there was none, or no table. */
Status refresh_recorded(DeltaTable *table, DuckConn *conn, int *number, Error *err);
/* Empties the target for checkpoint number `number`, once: recorded as txn freshet.refresh. No table is fine. `schema`
 * (may be NULL) replaces the table's. */
Status refresh_target(DeltaTable *table, DuckConn *conn, int number, const DeltaSchema *schema, Error *err);

/* ---- event log ---- */

/* Progress and events as a Delta table, <warehouse>/_event_log, written in the background. */
typedef struct EventLog EventLog;
EventLog *event_log_open(Pipeline *pipeline);
void event_log_add(EventLog *log, const char *level, const char *type, const char *origin, const char *message,
                   const char *details_json);
void event_log_close(EventLog *log); /* writes what is left */

#endif
