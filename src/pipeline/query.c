/* A node's query with the pipeline's temporary views in front of it, and for a flow its plan:
 *
 *   WITH "freshet_view_clean" AS (SELECT ... FROM freshet_leaf_1 ...) SELECT * FROM (<the query>)
 *
 * Every leaf, what no view of the pipeline explains, gets a placeholder of its own; the order of leaves is that of
 * first mention, the query's own first, because a checkpoint knows its sources by position.
 */
#include <string.h>

#include "delta/scan.h"
#include "pipeline/pipeline_int.h"
#include "session/metadata.h"
#include "session/relation.h"
#include "sql/lexer.h"

/* While one node is expanded. */
typedef struct Expansion {
    Pipeline *pipeline;
    DuckConn *conn;
    NodeQuery *out;
    Map *views;  /* key of a view -> its ExpandedView */
    Text prefix; /* the common table expressions so far */
} Expansion;

typedef struct ExpandedView {
    const char *name; /* of the common table expression */
    bool streams;     /* reads a stream, itself or through others */
} ExpandedView;

static Status expand(Expansion *expansion, const SqlText *text, SqlQuery *query, SqlSpan span, int depth, bool *streams,
                     Text *sql, Error *err);

static Status stream_of_view(const SqlText *text, const SqlRelation *relation, const Definition *view, Error *err)
{
    error_set(err, E_PIPELINE_STATEMENT,
              "the temporary view %s does not read a stream, so STREAM %s has nothing to follow", view->label,
              view->label);
    error_hint(err, "write STREAM before the table inside the view");
    return pipeline_error_at(err, text, relation->span);
}

static void add_part(NodeQuery *query, const SqlText *text, SqlQuery *of, size_t begin, size_t length)
{
    query->parts = mem_grow(query->parts, query->n_parts, &query->parts_capacity, sizeof *query->parts);
    query->parts[query->n_parts++] = (QueryPart){.begin = begin, .end = begin + length, .text = text, .query = of};
}

/* The view as a common table expression, once. */
static Status expand_view(Expansion *expansion, Definition *view, int depth, const ExpandedView **out, Error *err)
{
    Status rc = OK;
    Arena *arena = expansion->out->arena;
    ExpandedView *known = map_get(expansion->views, view->key);
    Text sql = TEXT(TEXT_SQL_MAX);

    if (known == NULL) {
        known = arena_alloc(arena, sizeof *known);
        known->name = arena_printf(arena, "freshet_view_%zu_%s", map_count(expansion->views), view->name);
        TRY(expand(expansion, view->text, view->query, view->statement->query, depth + 1, &known->streams, &sql, err));
        text_append(&expansion->prefix, expansion->prefix.length == 0 ? "WITH " : ", ");
        text_append_sql_name(&expansion->prefix, known->name);
        text_append(&expansion->prefix, " AS (");
        add_part(expansion->out, view->text, view->query, expansion->prefix.length, sql.length);
        text_printf(&expansion->prefix, "%s)", text_str(&sql));
        map_put(expansion->views, view->key, known);
    }
    *out = known;
out:
    text_free(&sql);
    return rc;
}

static const char *add_leaf(Expansion *expansion, const SqlText *text, const SqlRelation *relation,
                            Definition *definition)
{
    NodeQuery *query = expansion->out;

    query->leaves = mem_grow(query->leaves, query->n_leaves, &query->leaves_capacity, sizeof *query->leaves);
    QueryLeaf *leaf = &query->leaves[query->n_leaves];
    *leaf = (QueryLeaf){.relation = relation,
                        .text = text,
                        .definition = definition,
                        .placeholder = arena_printf(query->arena, "freshet_leaf_%zu", query->n_leaves)};
    query->n_leaves++;
    return leaf->placeholder;
}

static Status check_definition(const SqlText *text, const SqlRelation *relation, const Definition *read, Error *err)
{
    if (read->kind == DEFINITION_MATERIALIZED_VIEW && relation->stream) {
        error_set(err, E_PIPELINE_STATEMENT,
                  "%s is a materialized view: it is replaced at each refresh, so it cannot be read as a stream",
                  read->label);
        error_hint(err, "read it without STREAM: its newest answer is joined");
        return pipeline_error_at(err, text, relation->span);
    }
    return OK;
}

/* What one query calls; its time functions become the batch's constant. */
static Status fix_query(Expansion *expansion, SqlQuery *query, Error *err)
{
    Status rc = OK;
    SqlQueryFacts facts = {0};

    TRY(sql_query_facts(expansion->conn, query, &facts, err));
    expansion->out->uses_time = expansion->out->uses_time || facts.uses_time;
    expansion->out->uses_random = expansion->out->uses_random || facts.uses_random;
    TRY(sql_query_fix_time(expansion->conn, query, err));
out:
    return rc;
}

/* ---- the ids of rows ---- */

/* OK when the table has them, or will have them, in a column _metadata that is not its own. */
static Status check_row_ids(Expansion *expansion, const SqlText *text, const SqlRelation *relation,
                            const Definition *definition, bool *own, Error *err)
{
    Status rc = OK;
    DeltaTable *table = NULL;
    DeltaSnapshot *snapshot = NULL;
    const SqlStatement *statement = definition != NULL ? definition->statement : NULL;
    bool exists = true;

    *own = false;
    if (statement != NULL) { /* it may be for this run to make */
        Node probe = {.target = (Definition *)(uintptr_t)definition};
        TRY(node_target(expansion->pipeline, &probe, false, &table, err));
        TRY(delta_table_exists(table, &exists, err));
    } else {
        RelationReader reader = pipeline_reader(expansion->pipeline, NULL, text);
        TRY(relation_table(&reader, relation, &table, err));
    }
    for (size_t i = 0; !exists && i < statement->n_properties; i++) {
        if (str_ieq(statement->properties[i].key, "delta.enableRowTracking") &&
            str_ieq(statement->properties[i].value, "true")) {
            goto out;
        }
    }
    if (!exists) {
        rc = error_set(err, E_DELTA_ROW_TRACKING, "%s has no row tracking, so its rows have no ids", definition->label);
        error_hint(err, "TBLPROPERTIES ('delta.enableRowTracking' = 'true') gives all rows an id");
        goto out;
    }
    TRY(delta_table_snapshot(table, expansion->conn, &snapshot, err));
    *own = delta_schema_find(delta_snapshot_schema(snapshot), "_metadata") != NULL;
    if (!*own) {
        TRY(delta_scan_check_ids(snapshot, err));
    }
out:
    delta_snapshot_unref(snapshot);
    delta_table_close(table);
    return rc;
}

/* Relation i of a query that may mean the ids of its rows: a materialized view gets them. Whether it does mean them is
 * known only when DuckDB has bound the names, so a reason why there are none is kept for then. */
static Status offer_row_ids(Expansion *expansion, const SqlText *text, SqlQuery *query, size_t i,
                            const Definition *definition, Error *err)
{
    Status rc = OK;
    const SqlRelation *relations = NULL;
    Error why = ERROR_NONE;
    bool own = false;

    sql_query_relations(query, &relations);
    const SqlRelation *relation = &relations[i];
    if (relation->metadata || relation->kind == SQL_RELATION_FUNCTION ||
        !metadata_is_named_for(text, relation->span, relation->alias)) {
        return OK;
    }
    if (!expansion->out->node->is_view) {
        error_set(&why, E_SQL_BIND, "a streaming query does not tell the ids of rows (_metadata) of Delta tables");
        error_hint(&why, "a materialized view and `freshet sql` do");
        sql_query_lacks_metadata(query, &why);
        return OK;
    }
    rc = check_row_ids(expansion, text, relation, definition, &own, &why);
    if (rc == OK && !own) {
        return sql_query_hide_metadata(query, i, err);
    }
    if (rc != OK && why.id == E_DELTA_ROW_TRACKING) {
        sql_query_lacks_metadata(query, &why);
    }
    return OK; /* whatever else is wrong with the table shows when it is read */
}

/* Appends the query with its relations replaced. */
static Status expand(Expansion *expansion, const SqlText *text, SqlQuery *query, SqlSpan span, int depth, bool *streams,
                     Text *sql, Error *err)
{
    Status rc = OK;
    Arena *arena = expansion->out->arena;
    const SqlRelation *relations = NULL;
    size_t n = sql_query_relations(query, &relations);
    const char **names = arena_alloc(arena, (n + 1) * sizeof *names);

    *streams = false;
    if (depth > PIPELINE_VIEW_DEPTH_MAX) {
        rc = error_set(err, E_PIPELINE_CYCLE, "temporary views read each other more than %d deep",
                       PIPELINE_VIEW_DEPTH_MAX);
        pipeline_error_at(err, text, span);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        Definition *read = pipeline_definition(expansion->pipeline, &relations[i]);
        const ExpandedView *view = NULL;
        Text name = TEXT(1024);
        if (read != NULL && read->kind == DEFINITION_TEMPORARY_VIEW) {
            TRY(expand_view(expansion, read, depth, &view, err));
            if (relations[i].stream && !view->streams) {
                rc = stream_of_view(text, &relations[i], read, err);
                goto out;
            }
            *streams = *streams || view->streams;
            text_append_sql_name(&name, view->name);
        } else {
            if (read != NULL) {
                TRY(check_definition(text, &relations[i], read, err));
            }
            *streams = *streams || relations[i].stream;
            TRY(offer_row_ids(expansion, text, query, i, read, err));
            text_append_sql_name(&name, add_leaf(expansion, text, &relations[i], read));
        }
        names[i] = arena_strdup(arena, text_str(&name));
        text_free(&name);
    }
    TRY(fix_query(expansion, query, err));
    sql_query_inline(query, names, sql);
out:
    return rc;
}

/* Is there a star among the columns of the query's own text: SELECT *, a.*, or FROM without SELECT? */
static Status find_star(const SqlText *text, SqlSpan span, bool *out, Error *err)
{
    Status rc = OK;
    SqlTokens tokens = {0};
    bool select = false;

    *out = false;
    TRY(sql_lex(text, span, &tokens, err));
    for (size_t i = 0; i < tokens.count; i++) {
        const SqlToken *token = &tokens.items[i], *before = i > 0 ? token - 1 : NULL;
        select = select || sql_token_is_word(token, SQL_W_SELECT);
        if (sql_token_is_op(token, '*') && before != NULL) {
            *out = *out || sql_token_is_word(before, SQL_W_SELECT) || sql_token_is_op(before, ',') ||
                   sql_token_is_op(before, '.');
        }
    }
    *out = *out || !select;
out:
    sql_tokens_fini(&tokens);
    return rc;
}

/* A streaming table reads a stream, a materialized view does not. */
static Status check_kind(const Node *node, bool streams, Error *err)
{
    if (node->is_view && streams) {
        error_set(err, E_PIPELINE_STATEMENT, "the materialized view %s reads a STREAM", node->name);
        error_hint(err, "leave STREAM out (a view is always the full answer), or make it a CREATE STREAMING TABLE");
    } else if (!node->is_view && !streams) {
        error_set(err, E_PIPELINE_STATEMENT, "%s reads no STREAM, so there is nothing to follow", node->name);
        error_hint(err, "write STREAM before the table or read_files(...), or make it a CREATE MATERIALIZED VIEW");
    } else {
        return OK;
    }
    return pipeline_error_at(err, node->text, node->statement->query);
}

/* The column of a WATERMARK: its alias, or the column it is. */
static Status watermark_column(const QueryLeaf *leaf, Arena *arena, const char **out, Error *err)
{
    const SqlRelation *relation = leaf->relation;
    SqlTokens tokens = {0};
    SqlText text = {.name = "watermark", .data = relation->watermark_expression};
    Status rc = OK;

    *out = relation->watermark_alias;
    if (relation->watermark_expression == NULL || relation->watermark_alias != NULL) {
        return OK;
    }
    text.length = strlen(text.data);
    TRY(sql_lex(&text, (SqlSpan){0, text.length}, &tokens, err));
    if (tokens.count != 1 || !sql_token_is_name(&tokens.items[0], SQL_WORD_RESERVED)) {
        rc = error_set(err, E_PIPELINE_STATEFUL, "the watermark's expression needs a name");
        error_hint(err, "write WATERMARK %s AS event_time DELAY OF ...", relation->watermark_expression);
        pipeline_error_at(err, leaf->text, relation->span);
        goto out;
    }
    *out = sql_token_value(&text, &tokens.items[0], arena);
out:
    sql_tokens_fini(&tokens);
    return rc;
}

static SqlOutputMode output_mode(const Pipeline *pipeline, const Node *node)
{
    static const char *const MODES[] = {
        [SQL_OUTPUT_APPEND] = "append", [SQL_OUTPUT_UPDATE] = "update", [SQL_OUTPUT_COMPLETE] = "complete"};
    const char *value = node_property(pipeline, node, PROPERTY_OUTPUT_MODE);

    for (size_t i = 0; value != NULL && i < sizeof MODES / sizeof *MODES; i++) {
        if (str_ieq(value, MODES[i])) {
            return (SqlOutputMode)i;
        }
    }
    return SQL_OUTPUT_APPEND;
}

/* Cuts a flow's query into steps. */
static Status plan_query(const Pipeline *pipeline, DuckConn *conn, NodeQuery *query, Error *err)
{
    Status rc = OK;
    const Node *node = query->node;
    const char *within = node_property(pipeline, node, PROPERTY_DEDUPE_WITHIN);
    SqlStatefulOptions options = {.mode = output_mode(pipeline, node),
                                  .dedupe_within_watermark = within != NULL && str_ieq(within, "watermark")};
    SqlLeaf *leaves = arena_alloc(query->arena, (query->n_leaves + 1) * sizeof *leaves);
    int64_t offset = -1;

    for (size_t i = 0; i < query->n_leaves; i++) {
        const QueryLeaf *leaf = &query->leaves[i];
        leaves[i] = (SqlLeaf){.placeholder = leaf->placeholder,
                              .stream = leaf->relation->stream,
                              .delay_us = leaf->relation->watermark_delay_us};
        TRY(watermark_column(leaf, query->arena, &leaves[i].event_time, err));
    }
    query->sql_leaves = leaves;
    rc = sql_stateful_plan(conn, query->sql, leaves, query->n_leaves, &options, &query->plan, &offset, err);
    if (rc != OK) {
        node_query_place(query, offset, err);
    }
out:
    return rc;
}

Status node_query_make(Pipeline *pipeline, DuckConn *conn, const Node *node, NodeQuery **out, Error *err)
{
    Status rc = OK;
    NodeQuery *query = mem_alloc(sizeof *query);
    Expansion expansion = {
        .pipeline = pipeline, .conn = conn, .out = query, .views = map_new(), .prefix = TEXT(TEXT_SQL_MAX)};
    Text body = TEXT(TEXT_SQL_MAX), sql = TEXT(TEXT_SQL_MAX);
    bool streams = false;

    query->arena = arena_new();
    query->node = node;
    TRY(expand(&expansion, node->text, node->query, node->statement->query, 0, &streams, &body, err));
    TRY(check_kind(node, streams, err));
    TRY(find_star(node->text, node->statement->query, &query->selects_star, err));
    if (expansion.prefix.length > 0) {
        text_printf(&sql, "%s SELECT * FROM (", text_str(&expansion.prefix));
        add_part(query, node->text, node->query, sql.length, body.length);
        text_printf(&sql, "%s\n)", text_str(&body));
    } else {
        add_part(query, node->text, node->query, 0, body.length);
        text_append(&sql, text_str(&body));
    }
    query->sql = arena_strdup(query->arena, text_str(&sql));
    if (!node->is_view) {
        TRY(plan_query(pipeline, conn, query, err));
    }
    *out = query;
    query = NULL;
out:
    node_query_free(query);
    map_free(expansion.views, NULL);
    text_free(&expansion.prefix);
    text_free(&body);
    text_free(&sql);
    return rc;
}

void node_query_free(NodeQuery *query)
{
    if (query != NULL) {
        sql_stateful_plan_free(query->plan);
        mem_free(query->leaves);
        mem_free(query->parts);
        arena_free(query->arena);
        mem_free(query);
    }
}

/* The offset in the text of the part's query, with its own placeholders instead of the leaves' names. */
static int64_t own_offset(const NodeQuery *query, const QueryPart *part, int64_t offset)
{
    const char *own = sql_query_text(part->query);
    const char *expanded = query->sql + part->begin;
    size_t i = 0, k = 0, end = (size_t)offset - part->begin;

    /* Both texts differ only in the names at the places of relations: walk them side by side. */
    while (k < end && own[i] != '\0') {
        if (own[i] == expanded[k]) {
            i++;
            k++;
            continue;
        }
        i += strcspn(own + i, " \t\r\n,();");
        k += strcspn(expanded + k, " \t\r\n,();");
    }
    return (int64_t)i;
}

/* An error in the text of a step has no place in the user's text, but the name it speaks of may: the first token that
 * is what the message has in double quotes. */
static void place_name(const SqlText *text, SqlSpan span, Error *err)
{
    SqlTokens tokens = {0};
    Arena *arena = arena_new();
    const char *begin = strchr(err->message, '"'), *end = begin != NULL ? strchr(begin + 1, '"') : NULL;
    const char *name = end != NULL ? arena_strndup(arena, begin + 1, (size_t)(end - begin - 1)) : NULL;

    if (name != NULL && err->place.line == 0 && sql_lex(text, span, &tokens, NULL) == OK) {
        for (size_t i = 0; i < tokens.count; i++) {
            const SqlToken *token = &tokens.items[i];
            if (sql_token_is_name(token, SQL_WORD_RESERVED) && str_ieq(sql_token_value(text, token, arena), name)) {
                sql_error_place(err, text, (SqlSpan){token->begin, token->end});
                break;
            }
        }
    }
    sql_tokens_fini(&tokens);
    arena_free(arena);
}

void pipeline_hint_table(const Pipeline *pipeline, const char *name, Error *err)
{
    const char **labels = mem_alloc((pipeline->n_definitions + 1) * sizeof *labels);

    for (size_t i = 0; i < pipeline->n_definitions; i++) {
        labels[i] = pipeline->ordered[i]->label;
    }
    const char *nearest = error_nearest(name, labels, pipeline->n_definitions);
    if (nearest != NULL) {
        error_hint(err, "did you mean \"%s\"?", nearest);
    } else {
        relation_hint_nearest(pipeline->warehouse, name, err);
    }
    mem_free(labels);
}

void node_query_place(void *node_query, int64_t offset, Error *err)
{
    const NodeQuery *query = node_query;

    for (size_t i = 0; i < query->n_parts && offset >= 0; i++) {
        const QueryPart *part = &query->parts[i];
        if ((size_t)offset >= part->begin && (size_t)offset < part->end) {
            sql_query_place(part->query, own_offset(query, part, offset), err);
        }
    }
    if (err != NULL && offset < 0) {
        place_name(query->node->text, query->node->statement->query, err);
    }
    pipeline_error_at(err, query->node->text, query->node->statement->query);
}
