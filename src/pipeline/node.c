/* A node opened: its target, its sources, its checkpoint. */
#include <string.h>

#include "pipeline/pipeline_int.h"
#include "session/columns.h"
#include "session/metadata.h"
#include "session/relation.h"
#include "sink/sinks.h"
#include "source/sources.h"

RelationReader pipeline_reader(const Pipeline *pipeline, DuckConn *conn, const SqlText *text)
{
    return (RelationReader){.duck = pipeline->duck, .conn = conn, .warehouse = pipeline->warehouse, .text = text};
}

Status pipeline_connect(Pipeline *pipeline, DuckConn **out, Error *err)
{
    Status rc = OK;
    DuckConn *conn = NULL;

    TRY(duck_connect(pipeline->duck, &conn, err));
    duck_set_user_metadata(conn, pipeline->user_metadata);
    for (size_t i = 0; i < pipeline->n_session_settings; i++) {
        TRY(duck_exec(conn, pipeline->session_settings[i], err));
    }
    *out = conn;
    conn = NULL;
out:
    if (conn != NULL) {
        duck_disconnect(conn);
    }
    return rc;
}

/* ---- the target ---- */

Status node_target(Pipeline *pipeline, const Node *node, bool registering, DeltaTable **out, Error *err)
{
    Status rc = OK;
    const Definition *target = node->target;
    const char *location = target->statement->location;
    bool exists = false;

    if (registering) {
        TRY(warehouse_register(pipeline->warehouse, target->schema, target->name, location, err));
    }
    if (location != NULL) {
        TRY(delta_table_open(pipeline->duck, location, out, err));
    } else {
        TRY(warehouse_table(pipeline->warehouse, target->schema, target->name, out, &exists, err));
    }
out:
    if (rc != OK) {
        pipeline_error_at(err, target->text,
                          location != NULL ? target->statement->location_span : target->statement->target.span);
    }
    return rc;
}

Status node_target_spec(const Node *node, DuckConn *conn, Arena *arena, TargetSpec *out, Error *err)
{
    Status rc = OK;
    const SqlStatement *statement = node->target->statement;

    *out = (TargetSpec){.keys = arena_alloc(arena, (statement->n_properties + 1) * sizeof(char *)),
                        .values = arena_alloc(arena, (statement->n_properties + 1) * sizeof(char *))};
    for (size_t i = 0; i < statement->n_properties; i++) {
        if (!property_steers(statement->properties[i].key)) {
            out->keys[out->n_properties] = statement->properties[i].key;
            out->values[out->n_properties++] = statement->properties[i].value;
        }
    }
    if (statement->n_columns > 0) {
        TRY(columns_schema(conn, node->target->text, statement->columns, statement->n_columns, &out->schema, err));
    }
out:
    return rc;
}

static Status open_sink(Pipeline *pipeline, const Node *node, const NodeQuery *query, DuckConn *conn, Arena *arena,
                        StreamSink **out, Error *err)
{
    Status rc = OK;
    const SqlStatement *statement = node->target->statement;
    DeltaTable *table = NULL;
    TargetSpec target = {0};

    TRY(node_target(pipeline, node, true, &table, err));
    TRY(node_target_spec(node, conn, arena, &target, err));
    SinkDeltaSpec spec = {
        .schema = target.schema,
        .partition_columns = statement->partitioned_by,
        .n_partition_columns = statement->n_partitioned_by,
        .cluster_columns = statement->cluster_by,
        .n_cluster_columns = statement->n_cluster_by,
        .property_keys = target.keys,
        .property_values = target.values,
        .n_properties = target.n_properties,
        .comment = statement->comment,
        .mode = query->plan->n_steps > 0 ? query->plan->mode : SQL_OUTPUT_APPEND,
        .merge_schema = query->selects_star ? DELTA_MERGE_ALL : DELTA_MERGE_COLUMNS,
        .flow = node->name,
    };
    TRY(sink_delta_open(table, &spec, out, err));
out:
    delta_schema_unref(target.schema);
    delta_table_close(table);
    return rc;
}

/* Does the node set rows aside at all? */
static bool sets_aside(const Node *node, const NodeQuery *query)
{
    const SqlStatement *statement = node->target->statement;
    bool does = query->plan->n_steps > 0;

    for (size_t i = 0; i < statement->n_expectations; i++) {
        does = does || statement->expectations[i].on_violation == SQL_VIOLATION_DROP;
    }
    return does;
}

/* <table>__rejected, when the node's query sets rows aside that are to be kept. */
static Status open_rejected(Pipeline *pipeline, const Node *node, const NodeQuery *query, StreamSink **out, Error *err)
{
    const char *text = node_property(pipeline, node, PROPERTY_KEEP_REJECTED);
    const SinkDeltaSpec spec = {.flow = node->name};
    Text name = TEXT(4096);
    DeltaTable *table = NULL;
    bool wanted = false, exists = false;
    Status rc = OK;

    if (!sets_aside(node, query) || text == NULL || !str_parse_bool(text, &wanted) || !wanted) {
        goto out;
    }
    text_printf(&name, "%s__rejected", node->target->name);
    TRY(warehouse_register(pipeline->warehouse, node->target->schema, text_str(&name), NULL, err));
    TRY(warehouse_table(pipeline->warehouse, node->target->schema, text_str(&name), &table, &exists, err));
    TRY(sink_delta_open(table, &spec, out, err));
out:
    delta_table_close(table);
    text_free(&name);
    return rc;
}

/* ---- sources ---- */

static Status refuse_stream_clause(const QueryLeaf *leaf, bool remembers, Error *err)
{
    const SqlRelation *relation = leaf->relation;

    if (relation->version_as_of != NULL || relation->timestamp_as_of != NULL) {
        error_set(err, E_STREAM_OPTION, "a stream cannot travel in time");
        error_hint(err, "use WITH (startingVersion = n) or WITH (startingTimestamp = '...')");
        error_klass(err, "DELTA_UNSUPPORTED_TIME_TRAVEL_VIEWS");
    } else if (relation->watermark_expression != NULL && !remembers) {
        error_set(err, E_PIPELINE_STATEFUL, "WATERMARK has no effect on a query that remembers nothing");
        error_hint(err, "leave it out");
    } else {
        return OK;
    }
    return pipeline_error_at(err, leaf->text, relation->span);
}

/* The table of a leaf, whether it is there yet or not. */
static Status leaf_table(Pipeline *pipeline, const QueryLeaf *leaf, DeltaTable **out, Error *err)
{
    const SqlRelation *relation = leaf->relation;
    bool exists = false;

    if (relation->kind == SQL_RELATION_PATH) {
        return delta_table_open(pipeline->duck, relation->name, out, err);
    }
    if (leaf->definition != NULL && leaf->definition->statement->location != NULL) {
        return delta_table_open(pipeline->duck, leaf->definition->statement->location, out, err);
    }
    return warehouse_table(pipeline->warehouse, relation->schema, relation->name, out, &exists, err);
}

static Status not_a_table(const Pipeline *pipeline, const SqlRelation *relation, const DeltaTable *table, Error *err)
{
    Text name = TEXT(4096);

    text_printf(&name, "%s%s%s", relation->schema != NULL ? relation->schema : "", relation->schema != NULL ? "." : "",
                relation->name);
    Status rc = error_set(err, E_DELTA_NOT_A_TABLE, "%s is not a Delta table: %s has no _delta_log with a commit",
                          text_str(&name), delta_table_uri(table));
    if (relation->kind == SQL_RELATION_NAME) {
        pipeline_hint_table(pipeline, text_str(&name), err);
    }
    text_free(&name);
    return rc;
}

static Status open_table_source(Pipeline *pipeline, const QueryLeaf *leaf, const StreamSourceContext *context,
                                Arena *arena, StreamSource **out, Error *err)
{
    Status rc = OK;
    DeltaTable *table = NULL;
    StreamOption *options = relation_options(arena, leaf->text, leaf->relation->options, leaf->relation->n_options);
    bool exists = true;

    TRY(leaf_table(pipeline, leaf, &table, err));
    if (leaf->definition == NULL) { /* nobody here will make it */
        TRY(delta_table_exists(table, &exists, err));
    }
    if (!exists) {
        rc = not_a_table(pipeline, leaf->relation, table, err);
        goto out;
    }
    TRY(source_delta_open(context, table, options, leaf->relation->n_options, leaf->definition != NULL, out, err));
out:
    delta_table_close(table);
    return rc;
}

/* Named arguments of the function and WITH options are one list. */
static StreamOption *function_options(const QueryLeaf *leaf, size_t skip, Arena *arena, size_t *n)
{
    const SqlRelation *relation = leaf->relation;
    StreamOption *options = arena_alloc(arena, (relation->n_arguments + relation->n_options + 1) * sizeof *options);
    StreamOption *arguments = relation_options(arena, leaf->text, relation->arguments + skip,
                                               relation->n_arguments - skip);
    StreamOption *with = relation_options(arena, leaf->text, relation->options, relation->n_options);

    *n = relation->n_arguments - skip + relation->n_options;
    memcpy(options, arguments, (relation->n_arguments - skip) * sizeof *options);
    memcpy(options + relation->n_arguments - skip, with, relation->n_options * sizeof *options);
    return options;
}

static Status open_function_source(const QueryLeaf *leaf, const StreamSourceContext *context, Arena *arena,
                                   StreamSource **out, Error *err)
{
    Status rc = OK;
    const SqlRelation *relation = leaf->relation;
    size_t n = 0;

    if (strcmp(relation->name, "read_rate") == 0) {
        StreamOption *options = function_options(leaf, 0, arena, &n);
        TRY(source_rate_open(context, options, n, out, err));
        goto out;
    }
    if (strcmp(relation->name, "read_files") != 0) {
        rc = error_set(err, E_PIPELINE_STATEMENT, "%s is not a source of this version", relation->name);
        error_hint(err, "sources are read_files, read_rate and Delta tables");
        goto out;
    }
    if (relation->n_arguments == 0 || relation->arguments[0].key != NULL) {
        rc = error_set(err, E_SQL_BIND, "read_files needs a folder, file or glob as its first argument");
        goto out;
    }
    StreamOption *options = function_options(leaf, 1, arena, &n);
    if (metadata_is_named(leaf->text, relation->span)) {
        options[n++] = metadata_option();
    }
    TRY(source_files_open(context, relation->arguments[0].value, options, n, out, err));
out:
    return rc;
}

Status node_open_source(Pipeline *pipeline, const QueryLeaf *leaf, bool remembers, const StreamSourceContext *context,
                        Arena *arena, StreamSource **out, Error *err)
{
    Status rc = OK;

    TRY(refuse_stream_clause(leaf, remembers, err));
    if (leaf->relation->kind == SQL_RELATION_FUNCTION) {
        TRY(open_function_source(leaf, context, arena, out, err));
    } else {
        TRY(open_table_source(pipeline, leaf, context, arena, out, err));
    }
out:
    if (rc != OK) {
        pipeline_error_at(err, leaf->text, leaf->relation->span);
    }
    return rc;
}

/* ---- static sides ---- */

/* Lives in the query's arena, as long as the flow. */
typedef struct StaticSide {
    Pipeline *pipeline;
    const QueryLeaf *leaf;
} StaticSide;

static Status static_pin(void *context, DuckConn *conn, char **pinned, Error *err)
{
    Status rc = OK;
    const StaticSide *side = context;
    DeltaTable *table = NULL;
    DeltaSnapshot *snapshot = NULL;
    Text pin = TEXT(4096);

    TRY(leaf_table(side->pipeline, side->leaf, &table, err));
    TRY(delta_table_snapshot(table, conn, &snapshot, err));
    text_printf(&pin, "%s@%lld", delta_snapshot_metadata(snapshot)->id, (long long)delta_snapshot_version(snapshot));
    *pinned = text_take(&pin);
out:
    if (rc == ERR_NOT_FOUND && side->leaf->definition != NULL) {
        error_flag(err, ERROR_RETRIABLE); /* the pipeline will make it */
    }
    if (rc != OK) {
        pipeline_error_at(err, side->leaf->text, side->leaf->relation->span);
    }
    delta_snapshot_unref(snapshot);
    delta_table_close(table);
    text_free(&pin);
    return rc;
}

static Status static_relation(void *context, DuckConn *conn, const char *pinned, StreamRelation *out, Error *err)
{
    const StaticSide *side = context;
    RelationReader reader = pipeline_reader(side->pipeline, conn, side->leaf->text);

    return relation_resolve(&reader, side->leaf->relation, &(RelationAsk){.pinned = pinned}, out, NULL, err);
}

static Status make_static(Pipeline *pipeline, NodeQuery *query, const QueryLeaf *leaf, FlowStatic *out, Error *err)
{
    if (leaf->relation->kind == SQL_RELATION_FUNCTION) {
        error_set(err, E_PIPELINE_STATEMENT, "%s beside a stream has no version that a replay could read again",
                  leaf->relation->name);
        error_hint(err, "load it into a table of its own and join that");
        return pipeline_error_at(err, leaf->text, leaf->relation->span);
    }
    StaticSide *side = arena_alloc(query->arena, sizeof *side);
    *side = (StaticSide){.pipeline = pipeline, .leaf = leaf};
    *out = (FlowStatic){
        .placeholder = leaf->placeholder, .pin = static_pin, .relation = static_relation, .context = side};
    return OK;
}

/* ---- the flow ---- */

Status node_trigger(const Pipeline *pipeline, const Node *node, PipelineRunMode mode, FlowTrigger *out, Error *err)
{
    const char *text = node_property(pipeline, node, PROPERTY_TRIGGER);

    *out = (FlowTrigger){.kind = TRIGGER_ASAP};
    if (mode == PIPELINE_AVAILABLE_NOW) {
        out->kind = TRIGGER_AVAILABLE_NOW;
    } else if (mode == PIPELINE_ONCE) {
        out->kind = TRIGGER_ONCE;
    } else if (text != NULL) {
        return flow_trigger_parse(text, out, err);
    }
    return OK;
}

/* The folder of the table's own flow as given, of another one below it. */
static Status checkpoint_folder(Pipeline *pipeline, const Node *node, int wanted, Text *folder, int *number, Error *err)
{
    Status rc = OK;
    const char *custom = node_property(pipeline, node, PROPERTY_CHECKPOINT_LOCATION);
    Text place = TEXT(1 << 16);

    if (custom != NULL) {
        text_append(&place, custom);
        if (node->properties[PROPERTY_CHECKPOINT_LOCATION] == NULL && node->statement != node->target->statement) {
            text_printf(&place, "/%s", node->flow);
        }
    }
    TRY(warehouse_checkpoint(pipeline->warehouse, node->target->schema, node->target->name, node->flow,
                             custom != NULL ? text_str(&place) : NULL, wanted, folder, number, err));
out:
    text_free(&place);
    return rc;
}

Status node_checkpoint_number(Pipeline *pipeline, const Node *node, int *number, Error *err)
{
    Text folder = TEXT(1 << 16);
    Status rc = checkpoint_folder(pipeline, node, -1, &folder, number, err);

    text_free(&folder);
    return rc;
}

static int64_t interval_property(const Pipeline *pipeline, const Node *node, PropertyId id)
{
    const char *text = node_property(pipeline, node, id);
    int64_t us = 0;

    return text != NULL && str_parse_interval(text, &us) ? us : 0;
}

static int retain_batches(const Pipeline *pipeline, const Node *node)
{
    const char *text = node_property(pipeline, node, PROPERTY_RETAIN_BATCHES);
    int64_t n = 100;

    if (text != NULL) {
        str_parse_i64(text, &n);
    }
    return (int)n;
}

Status node_expectations(const Node *node, Arena *arena, FlowExpectation **out, size_t *n, Error *err)
{
    static const FlowViolation violation[] = {[SQL_VIOLATION_KEEP] = VIOLATION_KEEP,
                                              [SQL_VIOLATION_DROP] = VIOLATION_DROP,
                                              [SQL_VIOLATION_FAIL] = VIOLATION_FAIL};
    const SqlStatement *statement = node->target->statement;
    FlowExpectation *made = arena_alloc(arena, (statement->n_expectations + 1) * sizeof *made);

    for (size_t i = 0; i < statement->n_expectations; i++) {
        const SqlExpectation *e = &statement->expectations[i];
        if (e->on_violation == SQL_VIOLATION_QUARANTINE) {
            error_set(err, E_PIPELINE_STATEMENT, "expectation %s: QUARANTINE cannot be kept by this version", e->name);
            error_hint(err, "use DROP ROW, which counts what it drops, or keep the rows and mark them in the query");
            return pipeline_error_at(err, node->target->text, e->span);
        }
        Error at = ERROR_NONE;
        sql_error_place(&at, node->target->text, e->condition_span);
        made[i] = (FlowExpectation){
            .name = e->name, .condition = e->condition, .on_violation = violation[e->on_violation], .place = at.place};
    }
    *out = made;
    *n = statement->n_expectations;
    return OK;
}

/* Streams become inputs, everything else static sides, in the order of first mention. */
static Status open_leaves(Pipeline *pipeline, NodeQuery *query, Store *checkpoint, Arena *arena, FlowSpec *spec,
                          Error *err)
{
    Status rc = OK;
    FlowInput *inputs = arena_alloc(arena, (query->n_leaves + 1) * sizeof *inputs);
    FlowStatic *statics = arena_alloc(arena, (query->n_leaves + 1) * sizeof *statics);

    spec->inputs = inputs;
    spec->statics = statics;
    for (size_t i = 0; i < query->n_leaves; i++) {
        const QueryLeaf *leaf = &query->leaves[i];
        if (!leaf->relation->stream) {
            TRY(make_static(pipeline, query, leaf, &statics[spec->n_statics], err));
            spec->n_statics++;
            continue;
        }
        StreamSourceContext context = {
            .duck = pipeline->duck,
            .checkpoint = checkpoint,
            .private_dir = arena_printf(arena, "sources/%zu", spec->n_inputs),
            .flow = spec->name,
            .warehouse = warehouse_uri(pipeline->warehouse),
        };
        FlowInput *input = &inputs[spec->n_inputs];
        input->placeholder = leaf->placeholder;
        input->event_column = query->sql_leaves[i].event_time;
        input->event_expression = leaf->relation->watermark_alias ? leaf->relation->watermark_expression : NULL;
        input->delay_us = query->sql_leaves[i].delay_us;
        TRY(node_open_source(pipeline, leaf, query->plan->n_steps > 0, &context, arena, &input->source, err));
        spec->n_inputs++;
    }
out:
    return rc;
}

Status node_open_flow(Pipeline *pipeline, const Node *node, NodeQuery *query, int number, FlowTrigger trigger,
                      Flow **out, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    Text folder = TEXT(1 << 16);
    Store *checkpoint = NULL;
    DuckConn *conn = NULL;
    DeltaTable *target = NULL;
    FlowExpectation *rules = NULL;
    FlowSpec spec = {.name = node->name,
                     .duck = pipeline->duck,
                     .query = query->sql,
                     .plan = query->plan,
                     .idle_us = interval_property(pipeline, node, PROPERTY_IDLE_TIMEOUT),
                     .max_ahead_us = interval_property(pipeline, node, PROPERTY_MAX_AHEAD),
                     .place = node_query_place,
                     .place_context = query,
                     .trigger = trigger,
                     .retain_batches = retain_batches(pipeline, node),
                     .settings = pipeline->session_settings,
                     .n_settings = pipeline->n_session_settings,
                     .user_metadata = pipeline->user_metadata};
    int used = 0;

    TRY(pipeline_connect(pipeline, &conn, err));
    TRY(checkpoint_folder(pipeline, node, number, &folder, &used, err));
    TRY(store_open(text_str(&folder), &checkpoint, err));
    spec.checkpoint = checkpoint;
    TRY(node_expectations(node, arena, &rules, &spec.n_expectations, err));
    spec.expectations = rules;
    TRY(node_target(pipeline, node, false, &target, err));
    spec.target_id = delta_table_uri(target);
    spec.folder = warehouse_uri(pipeline->warehouse);
    TRY(open_leaves(pipeline, query, checkpoint, arena, &spec, err));
    TRY(open_sink(pipeline, node, query, conn, arena, &spec.sink, err));
    TRY(open_rejected(pipeline, node, query, &spec.rejected, err));
    TRY(flow_open(&spec, out, err));
    spec.n_inputs = 0; /* the flow's now */
    spec.sink = spec.rejected = NULL;
out:
    for (size_t i = 0; i < spec.n_inputs; i++) {
        spec.inputs[i].source->ops->close(spec.inputs[i].source);
    }
    if (spec.sink != NULL) {
        spec.sink->ops->close(spec.sink);
    }
    if (spec.rejected != NULL) {
        spec.rejected->ops->close(spec.rejected);
    }
    if (conn != NULL) {
        duck_disconnect(conn);
    }
    delta_table_close(target);
    store_unref(checkpoint);
    text_free(&folder);
    arena_free(arena);
    return rc;
}
