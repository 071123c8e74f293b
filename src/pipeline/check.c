/* freshet check: what every flow and view would do, in the words of its plan; nothing is touched. */
#include <string.h>

#include "delta/clustering.h"
#include "delta/column_default.h"
#include "delta/iceberg_compat.h"
#include "delta/transaction.h"
#include "pipeline/pipeline_int.h"
#include "session/relation.h"
#include "stream/operator.h"
#include "stream/watermark.h"

/* ---- the words ---- */

__attribute__((format(printf, 3, 4))) static void append_step(Text *out, const char *name, const char *format, ...)
{
    va_list args;

    text_printf(out, "  %-8s ", name);
    va_start(args, format);
    text_vprintf(out, format, args);
    va_end(args);
    text_append_char(out, '\n');
}

static void append_option_list(Text *out, const SqlOption *options, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        text_printf(out, "%s%s%s%s", i == 0 ? "" : ", ", options[i].key != NULL ? options[i].key : "",
                    options[i].key != NULL ? " = " : "", options[i].value);
    }
}

static void append_leaf(Text *out, const QueryLeaf *leaf)
{
    const SqlRelation *relation = leaf->relation;
    Text text = TEXT(1 << 16);

    if (relation->kind == SQL_RELATION_PATH) {
        text_printf(&text, "delta.`%s`", relation->name);
    } else if (relation->kind == SQL_RELATION_FUNCTION) {
        text_printf(&text, "%s(", relation->name);
        append_option_list(&text, relation->arguments, relation->n_arguments);
        text_append_char(&text, ')');
    } else {
        text_printf(&text, "%s%s%s", relation->schema != NULL ? relation->schema : "",
                    relation->schema != NULL ? "." : "", relation->name);
    }
    if (relation->n_options > 0) {
        text_append(&text, "  ");
        append_option_list(&text, relation->options, relation->n_options);
    }
    append_step(out, relation->stream ? "source" : "input", "%s", text_str(&text));
    if (relation->watermark_expression != NULL) {
        text_clear(&text);
        text_printf(&text, "%s - ", relation->watermark_expression);
        sql_duration_print(relation->watermark_delay_us, &text);
        append_step(out, "watermark", "%s", text_str(&text));
    }
    text_free(&text);
}

static void append_columns(Text *out, const DuckColumnInfo *columns, size_t n)
{
    Text text = TEXT(1 << 20);

    for (size_t i = 0; i < n; i++) {
        text_printf(&text, "%s%s ", i == 0 ? "" : ", ", columns[i].name);
        duck_type_sql(columns[i].type, &text);
    }
    append_step(out, "columns", "%s", text_str(&text));
    text_free(&text);
}

static const char *const VIOLATIONS[] = {[SQL_VIOLATION_KEEP] = "keep and count",
                                         [SQL_VIOLATION_DROP] = "drop row",
                                         [SQL_VIOLATION_FAIL] = "fail update",
                                         [SQL_VIOLATION_QUARANTINE] = "quarantine"};

/* How a batch's rows get into the table, in a word. */
static const char *mode_text(const NodeQuery *query)
{
    static const char *const MODES[] = {
        [SQL_OUTPUT_APPEND] = "append", [SQL_OUTPUT_UPDATE] = "update", [SQL_OUTPUT_COMPLETE] = "complete"};

    return query->plan == NULL ? "materialized view" : MODES[query->plan->mode];
}

static void append_keys(const SqlStatefulPlan *plan, Text *out)
{
    for (size_t i = 0; i < plan->n_key_columns; i++) {
        text_printf(out, "%s%s", i == 0 ? " by " : ", ", plan->key_columns[i]);
    }
}

static void append_target(Pipeline *pipeline, const Node *node, const NodeQuery *query, Text *out)
{
    const SqlStatement *statement = node->target->statement;
    Text place = TEXT(1 << 16);

    for (size_t i = 0; i < statement->n_expectations; i++) {
        append_step(out, "expect", "%s: %s, else %s", statement->expectations[i].name,
                    statement->expectations[i].condition, VIOLATIONS[statement->expectations[i].on_violation]);
    }
    if (statement->location != NULL) {
        text_append(&place, statement->location);
    } else {
        warehouse_location(pipeline->warehouse, node->target->schema, node->target->name, &place, NULL);
    }
    text_printf(&place, "   %s", node->is_view ? "replaced as a whole when its inputs changed" : mode_text(query));
    if (query->plan != NULL) {
        append_keys(query->plan, &place);
    }
    append_step(out, "sink", "%s", text_str(&place));
    text_free(&place);
}

static const char *trigger_text(const Pipeline *pipeline, const Node *node)
{
    const char *text = node_property(pipeline, node, PROPERTY_TRIGGER);

    return text != NULL ? text : node->is_view ? "10 seconds" : "as fast as there is input";
}

/* ---- binding without reading ---- */

static Status empty_view(DuckConn *conn, const QueryLeaf *leaf, const char *columns_sql, Error *err)
{
    Status rc = OK;
    Text sql = TEXT(TEXT_SQL_MAX);

    text_append(&sql, "CREATE OR REPLACE TEMP VIEW ");
    text_append_sql_name(&sql, leaf->placeholder);
    text_append(&sql, " AS SELECT *");
    if (leaf->relation->watermark_alias != NULL) {
        text_printf(&sql, ", (%s) AS ", leaf->relation->watermark_expression);
        text_append_sql_name(&sql, leaf->relation->watermark_alias);
    }
    text_printf(&sql, " FROM (%s) WHERE false", columns_sql);
    TRY(duck_exec(conn, text_str(&sql), err));
    if (leaf->relation->watermark_expression != NULL) {
        const char *time = leaf->relation->watermark_expression;
        TRY(watermark_check_type(conn, leaf->placeholder, time, time, err));
    }
out:
    text_free(&sql);
    return rc;
}

static void schema_select(const DeltaSchema *schema, Text *out)
{
    text_append(out, "SELECT ");
    for (size_t i = 0; i < schema->n_fields; i++) {
        text_append(out, i == 0 ? "NULL::" : ", NULL::");
        delta_type_sql(schema->fields[i].type, out);
        text_append(out, " AS ");
        text_append_sql_name(out, schema->fields[i].name);
    }
}

/* One check: what the nodes before have told about the tables they will make. */
typedef struct Check {
    Pipeline *pipeline;
    DuckConn *conn;
    int sources;  /* asked so far, each with a checkpoint of its own in memory */
    Map *columns; /* key of a definition -> SELECT of typed NULLs */
} Check;

/* A table of this pipeline that is not there yet has the columns its query gives, or those declared. */
static void remember_columns(Check *check, const Definition *target, const DeltaSchema *schema)
{
    Text select = TEXT(TEXT_SQL_MAX);

    schema_select(schema, &select);
    mem_free(map_put(check->columns, target->key, text_take(&select)));
    text_free(&select);
}

static bool wants_change_feed(const SqlRelation *relation)
{
    bool wanted = false;

    for (size_t i = 0; i < relation->n_options; i++) {
        const SqlOption *option = &relation->options[i];
        if (option->key != NULL && (str_ieq(option->key, "readChangeFeed") || str_ieq(option->key, "readChangeData"))) {
            wanted = str_parse_bool(option->value, &wanted) && wanted;
        }
    }
    return wanted;
}

/* The relation as a source reads it whose checkpoint is elsewhere: a log of schemas may be named with its whole place. */
static SqlRelation without_place(const SqlRelation *relation, Arena *arena)
{
    SqlRelation copy = *relation;
    SqlOption *options = arena_alloc(arena, (copy.n_options + 1) * sizeof *options);

    for (size_t i = 0; i < copy.n_options; i++) {
        const char *key = copy.options[i].key;
        options[i] = copy.options[i];
        if (key != NULL && (str_ieq(key, "schemaTrackingLocation") || str_ieq(key, "schemaLocation"))) {
            options[i].value = "schema";
        }
    }
    copy.options = options;
    return copy;
}

/* What the source of a stream says itself: its options are checked, and a change feed has columns of its own. */
static Status stream_columns(Check *check, const QueryLeaf *leaf, bool remembers, Text *out, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    StreamSourceContext context = {.duck = check->pipeline->duck,
                                   .private_dir = "sources/0",
                                   .flow = "check",
                                   .warehouse = warehouse_uri(check->pipeline->warehouse)};
    const SqlRelation relation = without_place(leaf->relation, arena);
    QueryLeaf asked = *leaf;
    StreamSource *source = NULL;
    DeltaSchema *schema = NULL;

    asked.relation = &relation;
    TRY(store_open(arena_printf(arena, "memory://freshet-check/%d", check->sources++), &context.checkpoint, err));
    TRY(node_open_source(check->pipeline, &asked, remembers, &context, arena, &source, err));
    if (leaf->relation->kind == SQL_RELATION_FUNCTION) {
        goto out; /* files are read as by a question: file_columns */
    }
    rc = source->ops->schema(source, check->conn, &schema, err);
    if (rc != OK) {
        pipeline_error_at(err, leaf->text, leaf->relation->span);
        goto out;
    }
    if (schema != NULL) {
        schema_select(schema, out);
    } else if (leaf->definition != NULL && map_has(check->columns, leaf->definition->key)) {
        text_append(out, map_get(check->columns, leaf->definition->key));
        text_append(out, wants_change_feed(leaf->relation)
                             ? ", NULL::VARCHAR AS _change_type, NULL::BIGINT AS _commit_version, "
                               "NULL::TIMESTAMPTZ AS _commit_timestamp"
                             : "");
    }
out:
    delta_schema_unref(schema);
    if (source != NULL) {
        source->ops->close(source);
    }
    store_unref(context.checkpoint);
    arena_free(arena);
    return rc;
}

static Status table_columns(Check *check, const QueryLeaf *leaf, Text *out, Error *err)
{
    Status rc = OK;
    DeltaTable *table = NULL;
    DeltaSnapshot *snapshot = NULL;
    Node probe = {.target = leaf->definition};
    bool exists = true;

    if (leaf->definition == NULL) {
        RelationReader reader = pipeline_reader(check->pipeline, check->conn, leaf->text);
        TRY(relation_table(&reader, leaf->relation, &table, err));
    } else {
        TRY(node_target(check->pipeline, &probe, false, &table, err));
        TRY(delta_table_exists(table, &exists, err));
    }
    if (exists) {
        TRY(delta_table_snapshot(table, check->conn, &snapshot, err));
        schema_select(delta_snapshot_schema(snapshot), out);
    } else if (map_has(check->columns, leaf->definition->key)) {
        text_append(out, map_get(check->columns, leaf->definition->key));
    }
    if (leaf->relation->metadata && out->length > 0) {
        text_append(out, ", NULL::STRUCT(row_id BIGINT, row_commit_version BIGINT) AS _metadata");
    }
out:
    delta_snapshot_unref(snapshot);
    delta_table_close(table);
    return rc;
}

/* Files as they would be read by a question: the schema is inferred, and not written down. None yet: not known. */
static Status file_columns(Check *check, const QueryLeaf *leaf, Text *out, Error *err)
{
    SqlRelation question = *leaf->relation;
    StreamRelation files = {0};

    question.stream = false;
    RelationReader reader = pipeline_reader(check->pipeline, check->conn, leaf->text);
    Status rc = relation_resolve(&reader, &question, &(RelationAsk){0}, &files, NULL, err);
    if (rc == OK) {
        DuckColumnInfo *columns = NULL;
        Arena *arena = arena_new();
        size_t n = 0;
        rc = duck_describe(check->conn, files.sql, arena, &columns, &n, err);
        text_append(out, rc == OK ? "SELECT " : "");
        for (size_t i = 0; rc == OK && i < n; i++) {
            text_append(out, i == 0 ? "NULL::" : ", NULL::");
            duck_type_sql(columns[i].type, out);
            text_append(out, " AS ");
            text_append_sql_name(out, columns[i].name);
        }
        arena_free(arena);
        stream_relation_release(&files);
    } else if (rc == ERR_NOT_FOUND) {
        error_clear(err);
        rc = OK;
    }
    return rc;
}

static Status leaf_columns(Check *check, const QueryLeaf *leaf, bool remembers, Text *out, Error *err)
{
    bool function = leaf->relation->kind == SQL_RELATION_FUNCTION;

    if (leaf->relation->stream) {
        Status rc = stream_columns(check, leaf, remembers, out, err);
        if (rc != OK || !function) {
            return rc;
        }
    }
    if (!function) {
        return table_columns(check, leaf, out, err);
    }
    if (strcmp(leaf->relation->name, "read_rate") == 0) {
        text_append(out, "SELECT NULL::TIMESTAMPTZ AS \"timestamp\", NULL::BIGINT AS \"value\"");
        return OK;
    }
    return file_columns(check, leaf, out, err);
}

/* Every leaf as an empty relation of its columns, so that the query can be bound. *known = false: an input that is not
 * there yet. */
static Status bind_leaves(Check *check, const NodeQuery *query, bool *known, Error *err)
{
    Status rc = OK;
    Text columns = TEXT(TEXT_SQL_MAX);

    *known = true;
    for (size_t i = 0; i < query->n_leaves && *known; i++) {
        text_clear(&columns);
        TRY(leaf_columns(check, &query->leaves[i], query->plan != NULL && query->plan->n_steps > 0, &columns, err));
        *known = columns.length > 0;
        if (*known) {
            rc = empty_view(check->conn, &query->leaves[i], text_str(&columns), err);
            if (rc != OK) { /* of WATERMARK */
                pipeline_error_at(err, query->leaves[i].text, query->leaves[i].relation->span);
                goto out;
            }
        }
    }
out:
    text_free(&columns);
    return rc;
}

/* ---- the target ---- */

/* An unknown property, or one that cannot have the value. */
static Status check_properties(const Node *node, DeltaTransaction *txn, const TargetSpec *target, Error *err)
{
    for (size_t i = 0; i < target->n_properties; i++) {
        Status rc = delta_transaction_set_property(txn, target->keys[i], target->values[i], err);
        if (rc != OK) {
            sql_property_place(node->target->text, node->target->statement, err);
            return rc;
        }
    }
    return OK;
}

/* A table that is not there yet, as the first run would make it: a transaction that is never committed. */
static Status check_new_table(const Check *check, const Node *node, DeltaTable *table, const TargetSpec *target,
                              const DeltaSchema *schema, Error *err)
{
    Status rc = OK;
    const SqlStatement *statement = node->target->statement;
    DeltaTransaction *txn = NULL;

    TRY(delta_transaction_begin(table, NULL, check->conn, &txn, err));
    TRY(check_properties(node, txn, target, err));
    TRY(delta_check_columns(check->conn, schema, statement->partitioned_by, statement->n_partitioned_by, err));
    TRY(delta_transaction_set_schema(txn, schema, err));
    TRY(delta_transaction_set_partitioning(txn, statement->partitioned_by, statement->n_partitioned_by, err));
    if (statement->n_cluster_by > 0) {
        TRY(delta_clustering_declare(txn, statement->cluster_by, statement->n_cluster_by, err));
    }
    TRY(delta_iceberg_check(txn, err));
out:
    delta_transaction_free(txn);
    return rc;
}

/* May the query's columns go into the declared ones? *schema: what the table has then. */
static Status declared_columns(const Check *check, const NodeQuery *query, const DeltaSchema *declared,
                               const char *select, DeltaSchema **schema, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    DeltaMerge merge = query->plan == NULL   ? DELTA_MERGE_NONE
                       : query->selects_star ? DELTA_MERGE_ALL
                                             : DELTA_MERGE_COLUMNS;
    Status rc = delta_rows_sql(check->conn, declared, select, NULL, merge, &sql, schema, err);

    text_free(&sql);
    return rc;
}

static Status check_target(Check *check, const Node *node, const NodeQuery *query, const DuckColumnInfo *columns,
                           size_t n, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    DeltaTable *table = NULL;
    DeltaSchema *answer = NULL, *schema = NULL;
    TargetSpec target = {0};
    Text select = TEXT(TEXT_SQL_MAX);
    bool exists = false;

    rc = delta_schema_from_columns(columns, n, &answer, err);
    if (rc != OK) {
        pipeline_error_at(err, node->text, node->statement->query);
        goto out;
    }
    schema_select(answer, &select);
    TRY(view_rules_bind(node, check->conn, text_str(&select), err));
    TRY(node_target(check->pipeline, node, false, &table, err));
    TRY(delta_table_exists(table, &exists, err));
    TRY(node_target_spec(node, check->conn, arena, &target, err));
    if (target.schema != NULL) {
        TRY(declared_columns(check, query, target.schema, text_str(&select), &schema, err));
    }
    if (!exists) {
        TRY(check_new_table(check, node, table, &target, target.schema != NULL ? target.schema : answer, err));
    }
    remember_columns(check, node->target, schema != NULL ? schema : answer);
out:
    if (rc != OK) {
        sql_column_place(node->target->text, node->target->statement, err);
        pipeline_error_at(err, node->target->text, node->target->statement->target.span);
    }
    delta_schema_unref(target.schema);
    delta_schema_unref(schema);
    delta_schema_unref(answer);
    delta_table_close(table);
    text_free(&select);
    arena_free(arena);
    return rc;
}

/* DuckDB knows none of the names that a wrong one could have meant. */
static void hint_unknown_table(const Check *check, Error *err)
{
    Arena *arena = arena_new();
    const char *name = relation_unknown_table(err, arena);

    if (name != NULL) {
        pipeline_hint_table(check->pipeline, name, err);
    }
    arena_free(arena);
}

/* ---- the steps ---- */

/* The columns of a query that remembers rows: its operators are opened as for the first run, so what they refuse, such
 * as a type that cannot be kept, is found here. Their state is in a place where nobody has written. */
static Status describe_steps(const Check *check, const Node *node, const SqlStatefulPlan *plan, Arena *arena,
                             DuckColumnInfo **columns, size_t *n, Error *err)
{
    StreamOperator **steps = arena_alloc(arena, plan->n_steps * sizeof *steps);
    StreamOperatorSpec spec = {.mode = plan->mode, .flow = node->name};
    size_t opened = 0;
    Status rc = OK;

    TRY(store_open("memory://freshet-check", &spec.checkpoint, err));
    for (; opened < plan->n_steps; opened++) {
        spec.step = &plan->steps[opened];
        spec.index = opened;
        TRY(stream_operator_open(check->conn, &spec, &steps[opened], err));
    }
    TRY(duck_describe(check->conn, plan->body, arena, columns, n, err));
out:
    while (opened > 0) {
        stream_operator_close(steps[--opened]);
    }
    store_unref(spec.checkpoint);
    return rc;
}

/* ---- the pages ---- */

static Status explain_columns(Check *check, const Node *node, NodeQuery *query, Text *out, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    DuckColumnInfo *columns = NULL;
    size_t n = 0;
    bool known = false;

    TRY(bind_leaves(check, query, &known, err));
    if (!known) {
        append_step(out, "columns", "known when the input is there");
        goto out;
    }
    if (query->plan != NULL && query->plan->n_steps > 0) {
        rc = describe_steps(check, node, query->plan, arena, &columns, &n, err);
        if (rc != OK) {
            node_query_place(query, -1, err);
            goto out;
        }
    } else if ((rc = duck_describe(check->conn, query->sql, arena, &columns, &n, err)) != OK) {
        node_query_place(query, duck_error_position(check->conn), err);
        goto out;
    }
    append_columns(out, columns, n);
    rc = check_target(check, node, query, columns, n, err);
out:
    if (rc != OK) {
        hint_unknown_table(check, err);
    }
    arena_free(arena);
    return rc;
}

static Status explain_node(Check *check, const Node *node, Text *out, Error *err)
{
    Status rc = OK;
    NodeQuery *query = NULL;

    TRY(node_query_make(check->pipeline, check->conn, node, &query, err));
    text_printf(out, "%s  (%s, %s)\n", node->name, mode_text(query), trigger_text(check->pipeline, node));
    for (size_t i = 0; i < query->n_leaves; i++) {
        append_leaf(out, &query->leaves[i]);
    }
    if (query->plan != NULL) {
        sql_stateful_plan_print(query->plan, out);
    }
    TRY(explain_columns(check, node, query, out, err));
    if (query->uses_random) {
        append_step(out, "warning", "random() and its kin give other rows when a batch is run again after a crash");
    }
    append_target(check->pipeline, node, query, out);
out:
    node_query_free(query);
    return rc;
}

Status pipeline_check(Pipeline *pipeline, Text *explanation, PipelineErrorCallback on_error, void *context, Error *err)
{
    Status rc = OK;
    Check check = {.pipeline = pipeline, .columns = map_new()};
    Error first = ERROR_NONE;

    TRY(pipeline_connect(pipeline, &check.conn, err));
    for (size_t i = 0; i < pipeline->n_nodes; i++) {
        Error own = ERROR_NONE;
        text_append(explanation, i == 0 ? "" : "\n");
        if (explain_node(&check, &pipeline->nodes[i], explanation, &own) != OK) {
            on_error(context, &own);
            first = first.id == E_NONE ? own : first;
        }
    }
    if (first.id != E_NONE) {
        *err = first;
        rc = error_status(err);
    }
out:
    if (check.conn != NULL) {
        duck_disconnect(check.conn);
    }
    map_free(check.columns, mem_free);
    return rc;
}
