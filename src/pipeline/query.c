/* A node's query with the pipeline's temporary views in front of it:
 *
 *   WITH "freshet_view_clean" AS (SELECT ... FROM freshet_leaf_1 ...) SELECT * FROM (<the query>)
 *
 * Every leaf, what no view of the pipeline explains, gets a placeholder of its own; the order of leaves is that of
 * first mention, the query's own first, because a checkpoint knows its sources by position.
 */
#include <string.h>

#include "pipeline/pipeline_int.h"
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
        text_printf(&expansion->prefix, " AS (%s)", text_str(&sql));
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

/* Facts of one query, with the streams it reads through views. */
static Status check_streams(Expansion *expansion, const SqlText *text, SqlQuery *query, const bool *is_stream,
                            bool *streams, Error *err)
{
    Status rc = OK;
    SqlStreamFacts facts = {0};

    TRY(sql_query_stream_facts(expansion->conn, query, is_stream, expansion->out->arena, &facts, err));
    *streams = facts.reads_stream;
    expansion->out->uses_time = expansion->out->uses_time || facts.uses_time;
    expansion->out->uses_random = expansion->out->uses_random || facts.uses_random;
    if (facts.reads_stream && !facts.stateless) {
        rc = error_set(err, E_PIPELINE_STATEFUL,
                       "a stream cannot run through %s: the query would have to remember rows from batch to batch",
                       facts.why != NULL ? facts.why : "this query");
        error_hint(err, "keep the answer as a CREATE MATERIALIZED VIEW over the table, without STREAM");
        sql_error_place(err, text, facts.why_span);
        goto out;
    }
    TRY(sql_query_fix_time(expansion->conn, query, err));
out:
    return rc;
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
    bool *is_stream = arena_alloc(arena, n + 1);

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
            is_stream[i] = view->streams;
            text_append_sql_name(&name, view->name);
        } else {
            if (read != NULL) {
                TRY(check_definition(text, &relations[i], read, err));
            }
            is_stream[i] = relations[i].stream;
            text_append_sql_name(&name, add_leaf(expansion, text, &relations[i], read));
        }
        names[i] = arena_strdup(arena, text_str(&name));
        text_free(&name);
    }
    TRY(check_streams(expansion, text, query, is_stream, streams, err));
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
        query->body = sql.length;
        text_printf(&sql, "%s\n)", text_str(&body));
    } else {
        text_append(&sql, text_str(&body));
    }
    query->sql = arena_strdup(query->arena, text_str(&sql));
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
        mem_free(query->leaves);
        arena_free(query->arena);
        mem_free(query);
    }
}

/* The offset in the node's own text, with its own placeholders instead of the leaves' names. */
static int64_t own_offset(const NodeQuery *query, int64_t offset)
{
    const char *own = sql_query_text(query->node->query);
    const char *expanded = query->sql + query->body;
    size_t i = 0, k = 0, end = (size_t)offset - query->body;

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

void node_query_place(void *node_query, int64_t offset, Error *err)
{
    const NodeQuery *query = node_query;

    if (offset >= (int64_t)query->body) {
        sql_query_place(query->node->query, own_offset(query, offset), err);
    }
    pipeline_error_at(err, query->node->text, query->node->statement->query);
}
