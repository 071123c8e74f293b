/* freshet check: what every flow and view would do, in the words of its plan; nothing is touched. */
#include <string.h>

#include "pipeline/pipeline_int.h"
#include "session/relation.h"

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

    for (size_t i = 0; i < statement->n_expectations && !node->is_view; i++) {
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
    Map *columns; /* key of a definition -> SELECT of typed NULLs */
} Check;

/* A table of this pipeline that is not there yet has the columns its query gives. */
static Status remember_columns(Check *check, const Definition *target, const DuckColumnInfo *columns, size_t n,
                               Error *err)
{
    Status rc = OK;
    DeltaSchema *schema = NULL;
    Text select = TEXT(TEXT_SQL_MAX);

    TRY(delta_schema_from_columns(columns, n, &schema, err));
    schema_select(schema, &select);
    mem_free(map_put(check->columns, target->key, text_take(&select)));
out:
    delta_schema_unref(schema);
    text_free(&select);
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
        TRY(relation_table(check->pipeline->duck, check->pipeline->warehouse, leaf->text, leaf->relation, &table, err));
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
    Status rc = relation_resolve(check->pipeline->duck, check->conn, check->pipeline->warehouse, leaf->text, &question,
                                 NULL, NULL, 0, &files, NULL, err);
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

static Status leaf_columns(Check *check, const QueryLeaf *leaf, Text *out, Error *err)
{
    if (leaf->relation->kind != SQL_RELATION_FUNCTION) {
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
        TRY(leaf_columns(check, &query->leaves[i], &columns, err));
        *known = columns.length > 0;
        if (*known) {
            TRY(empty_view(check->conn, &query->leaves[i], text_str(&columns), err));
        }
    }
out:
    text_free(&columns);
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
        rc = sql_stateful_plan_bind(check->conn, query->plan, err);
        rc = rc == OK ? duck_describe(check->conn, query->plan->body, arena, &columns, &n, err) : rc;
        if (rc != OK) {
            node_query_place(query, -1, err);
            goto out;
        }
    } else if ((rc = duck_describe(check->conn, query->sql, arena, &columns, &n, err)) != OK) {
        node_query_place(query, duck_error_position(check->conn), err);
        goto out;
    }
    append_columns(out, columns, n);
    rc = remember_columns(check, node->target, columns, n, err);
    if (rc != OK) {
        pipeline_error_at(err, node->text, node->statement->query);
    }
out:
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
