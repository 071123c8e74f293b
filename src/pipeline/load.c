/* From files to definitions: names, duplicates, targets, properties, settings. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "delta/transaction.h"
#include "pipeline/pipeline_int.h"
#include "session/relation.h"

Status pipeline_error_at(Error *err, const SqlText *text, SqlSpan span)
{
    if (err != NULL && err->place.line == 0) {
        sql_error_place(err, text, span);
    }
    return error_status(err);
}

const char *node_property(const Pipeline *pipeline, const Node *node, PropertyId id)
{
    if (node->properties[id] != NULL) {
        return node->properties[id];
    }
    if (node->target->properties[id] != NULL) {
        return node->target->properties[id];
    }
    return pipeline->settings[id];
}

static Definition *find_definition(const Pipeline *pipeline, const char *schema, const char *name)
{
    Text key = TEXT(1024);

    warehouse_key(schema, name, &key);
    Definition *found = map_get(pipeline->definitions, text_str(&key));
    text_free(&key);
    return found;
}

Definition *pipeline_definition(const Pipeline *pipeline, const SqlRelation *relation)
{
    return relation->kind == SQL_RELATION_NAME ? find_definition(pipeline, relation->schema, relation->name) : NULL;
}

/* The SqlResolver of a pipeline: its own names, then the warehouse's. */
static bool resolve_name(void *context, const char *schema, const char *name)
{
    Pipeline *pipeline = context;

    return find_definition(pipeline, schema, name) != NULL || relation_is_table(pipeline->warehouse, schema, name);
}

/* ---- reading files ---- */

static void add_text(Pipeline *pipeline, const char *name, const char *data, size_t n)
{
    SqlText *text = arena_alloc(pipeline->arena, sizeof *text);

    *text = (SqlText){
        .name = arena_strdup(pipeline->arena, name), .data = arena_strndup(pipeline->arena, data, n), .length = n};
    pipeline->texts = mem_grow(pipeline->texts, pipeline->n_texts, &pipeline->texts_capacity, sizeof *pipeline->texts);
    pipeline->texts[pipeline->n_texts++] = text;
}

static Status add_file(Pipeline *pipeline, const char *path, Error *err)
{
    Status rc = OK;
    Text data = TEXT(PIPELINE_FILE_MAX);

    TRY(file_read(path, PIPELINE_FILE_MAX, &data, err));
    add_text(pipeline, path, text_str(&data), data.length);
out:
    text_free(&data);
    return rc;
}

static int only_sql(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && str_ends(entry->d_name, ".sql");
}

static Status add_folder(Pipeline *pipeline, const char *path, Error *err)
{
    Status rc = OK;
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, only_sql, alphasort);

    if (n < 0) {
        rc = error_errno(err, "reading the folder %s", path);
        goto out;
    }
    if (n == 0) {
        rc = error_set(err, E_IO_NOT_FOUND, "the folder %s holds no .sql file", path);
        goto out;
    }
    for (int i = 0; i < n; i++) {
        Text file = TEXT(4096);
        path_join(&file, path, entries[i]->d_name);
        rc = add_file(pipeline, text_str(&file), err);
        text_free(&file);
        if (rc != OK) {
            goto out;
        }
    }
out:
    for (int i = 0; i < n; i++) {
        free(entries[i]);
    }
    free(entries);
    return rc;
}

/* ---- settings and properties ---- */

/* Connection settings of DuckDB that a pipeline may SET. The rest would change what a replay computes, or the machine's
 * share. */
static const char *const SESSION_SETTINGS[] = {"TimeZone",      "Calendar",         "default_null_order",
                                               "default_order", "integer_division", "ieee_floating_point_ops"};

static Status add_setting(Pipeline *pipeline, const char *key, const char *value, Error *err)
{
    Status rc = OK;
    const size_t n = sizeof SESSION_SETTINGS / sizeof *SESSION_SETTINGS;

    if (property_steers(key)) {
        const PropertySpec *spec = property_find(key, err);
        if (spec == NULL) {
            rc = error_status(err);
            goto out;
        }
        TRY(property_check(spec, value, err));
        pipeline->settings[spec->id] = arena_strdup(pipeline->arena, value);
        goto out;
    }
    if (str_ieq(DELTA_USER_METADATA_SETTING, key)) {
        pipeline->user_metadata = arena_strdup(pipeline->arena, value);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        if (str_ieq(SESSION_SETTINGS[i], key)) {
            Text sql = TEXT(4096);
            text_printf(&sql, "SET %s = ", SESSION_SETTINGS[i]);
            text_append_sql_string(&sql, value);
            pipeline->session_settings = mem_grow(pipeline->session_settings, pipeline->n_session_settings,
                                                  &pipeline->session_capacity, sizeof *pipeline->session_settings);
            pipeline->session_settings[pipeline->n_session_settings++] = arena_strdup(pipeline->arena, text_str(&sql));
            text_free(&sql);
            goto out;
        }
    }
    rc = error_set(err, E_PIPELINE_PROPERTY, "there is no setting %s for a pipeline", key);
    const char *nearest = error_nearest(key, SESSION_SETTINGS, n);
    if (nearest != NULL) {
        error_hint(err, "did you mean \"%s\"?", nearest);
    } else {
        error_hint(err, "memory and threads are flags of freshet run: --memory, --threads");
    }
out:
    return rc;
}

/* The steering properties among TBLPROPERTIES; the others are the table's own (node_target_spec). */
static Status take_properties(const SqlText *text, const SqlStatement *statement, const char **properties, Error *err)
{
    Status rc = OK;
    size_t i = 0;

    for (i = 0; i < statement->n_properties; i++) {
        const SqlOption *option = &statement->properties[i];
        if (!property_steers(option->key)) {
            continue;
        }
        const PropertySpec *spec = property_find(option->key, err);
        if (spec == NULL) {
            rc = error_status(err);
            goto out;
        }
        if (spec->global) {
            rc = error_set(err, E_PIPELINE_PROPERTY, "%s holds for the whole run: SET %s = ...", spec->name,
                           spec->name);
            goto out;
        }
        TRY(property_check(spec, option->value, err));
        properties[spec->id] = option->value;
    }
out:
    if (rc != OK) {
        pipeline_error_at(err, text, statement->properties[i].span);
    }
    return rc;
}

/* ---- definitions ---- */

static const char *label_of(Arena *arena, const char *schema, const char *name)
{
    return schema != NULL ? arena_printf(arena, "%s.%s", schema, name) : arena_strdup(arena, name);
}

static Status add_definition(Pipeline *pipeline, DefinitionKind kind, const SqlText *text,
                             const SqlStatement *statement, Error *err)
{
    Status rc = OK;
    const SqlName *name = &statement->target;
    Text key = TEXT(1024);
    Definition *made = arena_alloc(pipeline->arena, sizeof *made);

    if (name->path != NULL) {
        rc = error_set(err, E_PIPELINE_NAME, "%s needs a name, not a path", sql_statement_name(statement->kind));
        error_hint(err, "give the place with LOCATION '...'");
        goto out;
    }
    TRY(warehouse_check_name(name->schema, name->name, err));
    warehouse_key(name->schema, name->name, &key);
    Definition *before = map_get(pipeline->definitions, text_str(&key));
    if (before != NULL) {
        Error at = ERROR_NONE;
        sql_error_place(&at, before->text, before->statement->target.span);
        rc = error_set(err, E_PIPELINE_DUPLICATE, "%s is defined twice: the first time at %s:%d", before->label,
                       at.place.file, at.place.line);
        goto out;
    }
    *made = (Definition){.kind = kind,
                         .index = pipeline->n_definitions,
                         .key = arena_strdup(pipeline->arena, text_str(&key)),
                         .label = label_of(pipeline->arena, name->schema, name->name),
                         .schema = name->schema,
                         .name = name->name,
                         .text = text,
                         .statement = statement};
    TRY(take_properties(text, statement, made->properties, err));
    map_put(pipeline->definitions, made->key, made);
    pipeline->ordered = mem_grow(pipeline->ordered, pipeline->n_definitions, &pipeline->definitions_capacity,
                                 sizeof *pipeline->ordered);
    pipeline->ordered[pipeline->n_definitions++] = made;
out:
    text_free(&key);
    if (rc != OK) {
        pipeline_error_at(err, text, name->span);
    }
    return rc;
}

static Status refuse_statement(const SqlText *text, const SqlStatement *statement, Error *err)
{
    if (statement->kind == SQL_CREATE_SINK) {
        return sql_refuse_sink(text, statement, err);
    }
    error_set(err, E_PIPELINE_STATEMENT, "%s is not a statement of a pipeline", sql_statement_name(statement->kind));
    error_hint(
        err,
        "use freshet sql; a pipeline takes CREATE STREAMING TABLE, MATERIALIZED VIEW, TEMPORARY VIEW, FLOW and SET");
    return pipeline_error_at(err, text, statement->span);
}

static Status add_statement(Pipeline *pipeline, const SqlText *text, const SqlStatement *statement, Error *err)
{
    switch (statement->kind) {
    case SQL_CREATE_STREAMING_TABLE: return add_definition(pipeline, DEFINITION_STREAMING_TABLE, text, statement, err);
    case SQL_CREATE_MATERIALIZED_VIEW:
        return add_definition(pipeline, DEFINITION_MATERIALIZED_VIEW, text, statement, err);
    case SQL_CREATE_TEMPORARY_VIEW: return add_definition(pipeline, DEFINITION_TEMPORARY_VIEW, text, statement, err);
    case SQL_CREATE_FLOW: return OK; /* when all targets are known */
    case SQL_SET:
        if (add_setting(pipeline, statement->set_key, statement->set_value, err) != OK) {
            return pipeline_error_at(err, text, statement->span);
        }
        return OK;
    default: return refuse_statement(text, statement, err);
    }
}

/* ---- nodes ---- */

static Status rewrite(Pipeline *pipeline, const SqlText *text, SqlSpan span, SqlQuery **out, Error *err)
{
    return sql_query_rewrite(text, span, resolve_name, pipeline, out, err);
}

static Node *new_node(Pipeline *pipeline, Definition *target, const SqlText *text, const SqlStatement *statement)
{
    pipeline->nodes = mem_grow(pipeline->nodes, pipeline->n_nodes, &pipeline->nodes_capacity, sizeof *pipeline->nodes);
    Node *node = &pipeline->nodes[pipeline->n_nodes++];
    *node = (Node){.target = target, .text = text, .statement = statement};
    return node;
}

/* The query of a table, view or temporary view; tables and views become nodes. */
static Status add_own_query(Pipeline *pipeline, Definition *definition, Error *err)
{
    Status rc = OK;

    if (!definition->statement->has_query) {
        goto out;
    }
    TRY(rewrite(pipeline, definition->text, definition->statement->query, &definition->query, err));
    if (definition->kind == DEFINITION_TEMPORARY_VIEW) {
        goto out;
    }
    Node *node = new_node(pipeline, definition, definition->text, definition->statement);
    node->name = definition->label;
    char *flow = arena_strdup(pipeline->arena, definition->name);
    str_lower(flow);
    node->flow = flow;
    node->query = definition->query;
    node->is_view = definition->kind == DEFINITION_MATERIALIZED_VIEW;
out:
    return rc;
}

static Status flow_target(Pipeline *pipeline, const SqlText *text, const SqlStatement *statement, Definition **out,
                          Error *err)
{
    const SqlName *name = &statement->target;
    Definition *target = name->path == NULL ? find_definition(pipeline, name->schema, name->name) : NULL;

    if (target != NULL && target->kind == DEFINITION_STREAMING_TABLE) {
        *out = target;
        return OK;
    }
    if (target != NULL) {
        error_set(err, E_PIPELINE_TARGET, "the flow %s cannot write %s, which is a %s", statement->flow_name,
                  target->label, sql_statement_name(target->statement->kind) + strlen("CREATE "));
    } else {
        error_set(err, E_PIPELINE_TARGET, "the flow %s writes a table that is not declared here", statement->flow_name);
        error_hint(err, "declare it: CREATE STREAMING TABLE %s%s%s;", name->schema != NULL ? name->schema : "",
                   name->schema != NULL ? "." : "", name->name != NULL ? name->name : "name");
    }
    return pipeline_error_at(err, text, name->span);
}

static Status check_flow_name(const Pipeline *pipeline, const Node *node, Error *err)
{
    for (size_t i = 0; i + 1 < pipeline->n_nodes; i++) {
        const Node *other = &pipeline->nodes[i];
        if (other->target == node->target && strcmp(other->flow, node->flow) == 0) {
            error_set(err, E_PIPELINE_DUPLICATE, "%s has two flows of the name %s", node->target->label, node->flow);
            return pipeline_error_at(err, node->text, node->statement->span);
        }
    }
    return OK;
}

static Status add_flow(Pipeline *pipeline, const SqlText *text, const SqlStatement *statement, Error *err)
{
    Status rc = OK;
    Definition *target = NULL;

    if (statement->flow_kind != SQL_FLOW_INSERT) {
        error_set(err, E_PIPELINE_STATEMENT, "flow %s: flows of MERGE and AUTO CDC cannot be run by this version",
                  statement->flow_name);
        rc = pipeline_error_at(err, text, statement->span);
        goto out;
    }
    TRY(flow_target(pipeline, text, statement, &target, err));
    TRY(warehouse_check_name(NULL, statement->flow_name, err));
    Node *node = new_node(pipeline, target, text, statement);
    char *flow = arena_strdup(pipeline->arena, statement->flow_name);
    str_lower(flow);
    node->flow = flow;
    node->name = arena_printf(pipeline->arena, "%s/%s", target->label, statement->flow_name);
    TRY(take_properties(text, statement, node->properties, err));
    TRY(check_flow_name(pipeline, node, err));
    TRY(rewrite(pipeline, text, statement->query, &node->query, err));
out:
    return rc;
}

/* ---- the whole ---- */

static Status each_statement(Pipeline *pipeline,
                             Status (*visit)(Pipeline *, const SqlText *, const SqlStatement *, Error *), Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < pipeline->n_texts; i++) {
        const SqlStatement *statements = NULL;
        size_t n = sql_script_statements(pipeline->scripts[i], &statements);
        for (size_t k = 0; k < n; k++) {
            TRY(visit(pipeline, pipeline->texts[i], &statements[k], err));
        }
    }
out:
    return rc;
}

static Status visit_flow(Pipeline *pipeline, const SqlText *text, const SqlStatement *statement, Error *err)
{
    return statement->kind == SQL_CREATE_FLOW ? add_flow(pipeline, text, statement, err) : OK;
}

static Status load_files(Pipeline *pipeline, const char *path, Error *err)
{
    struct stat info;

    if (stat(path, &info) != 0) {
        return error_errno(err, "reading the pipeline %s", path);
    }
    return S_ISDIR(info.st_mode) ? add_folder(pipeline, path, err) : add_file(pipeline, path, err);
}

/* From the texts to the graph. */
static Status define(Pipeline *pipeline, const char *name, const PipelineOptions *options, Error *err)
{
    Status rc = OK;

    pipeline->scripts = mem_alloc((pipeline->n_texts + 1) * sizeof(SqlScript *));
    for (size_t i = 0; i < pipeline->n_texts; i++) {
        TRY(sql_script_parse(pipeline->texts[i], &pipeline->scripts[i], err));
    }
    TRY(each_statement(pipeline, add_statement, err));
    for (size_t i = 0; options != NULL && i < options->n_settings; i++) {
        TRY(add_setting(pipeline, options->settings[i].key, options->settings[i].value, err));
    }
    for (size_t i = 0; i < pipeline->n_definitions; i++) {
        TRY(add_own_query(pipeline, pipeline->ordered[i], err));
    }
    TRY(each_statement(pipeline, visit_flow, err));
    if (pipeline->n_nodes == 0) {
        rc = error_set(err, E_PIPELINE_STATEMENT, "%s holds nothing to run", name);
        error_hint(err,
                   "a pipeline needs a CREATE STREAMING TABLE ... AS, a CREATE MATERIALIZED VIEW or a CREATE FLOW");
        goto out;
    }
    TRY(graph_order(pipeline, err));
out:
    return rc;
}

static Status new_pipeline(Duck *duck, Warehouse *warehouse, Pipeline **out, Error *err)
{
    Pipeline *pipeline = mem_alloc(sizeof *pipeline);

    pipeline->duck = duck;
    pipeline->warehouse = warehouse;
    pipeline->arena = arena_new();
    pipeline->definitions = map_new();
    pipeline->stop_pipe[0] = pipeline->stop_pipe[1] = -1;
    pthread_mutex_init(&pipeline->run_lock, NULL);
    if (pipe2(pipeline->stop_pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        Status rc = error_errno(err, "making a pipe");
        pipeline_free(pipeline);
        return rc;
    }
    *out = pipeline;
    return OK;
}

Status pipeline_load(Duck *duck, Warehouse *warehouse, const char *path, const PipelineOptions *options, Pipeline **out,
                     Error *err)
{
    Status rc = OK;
    Pipeline *pipeline = NULL;

    TRY(new_pipeline(duck, warehouse, &pipeline, err));
    TRY(load_files(pipeline, path, err));
    TRY(define(pipeline, path, options, err));
    *out = pipeline;
    pipeline = NULL;
out:
    pipeline_free(pipeline);
    return rc;
}

Status pipeline_load_text(Duck *duck, Warehouse *warehouse, const char *name, const char *sql,
                          const PipelineOptions *options, Pipeline **out, Error *err)
{
    Status rc = OK;
    Pipeline *pipeline = NULL;

    TRY(new_pipeline(duck, warehouse, &pipeline, err));
    add_text(pipeline, name, sql, strlen(sql));
    TRY(define(pipeline, name, options, err));
    *out = pipeline;
    pipeline = NULL;
out:
    pipeline_free(pipeline);
    return rc;
}

void pipeline_free(Pipeline *pipeline)
{
    if (pipeline == NULL) {
        return;
    }
    for (size_t i = 0; i < pipeline->n_nodes; i++) {
        if (pipeline->nodes[i].query !=
            pipeline->nodes[i].target->query) { /* a table's own query is its definition's */
            sql_query_free(pipeline->nodes[i].query);
        }
    }
    for (size_t i = 0; i < pipeline->n_definitions; i++) {
        sql_query_free(pipeline->ordered[i]->query);
    }
    for (size_t i = 0; pipeline->scripts != NULL && i < pipeline->n_texts; i++) {
        sql_script_free(pipeline->scripts[i]);
    }
    for (int i = 0; i < 2; i++) {
        if (pipeline->stop_pipe[i] >= 0) {
            close(pipeline->stop_pipe[i]);
        }
    }
    pthread_mutex_destroy(&pipeline->run_lock);
    map_free(pipeline->definitions, NULL);
    mem_free(pipeline->ordered);
    mem_free(pipeline->nodes);
    mem_free(pipeline->texts);
    mem_free(pipeline->scripts);
    mem_free(pipeline->session_settings);
    arena_free(pipeline->arena);
    mem_free(pipeline);
}
