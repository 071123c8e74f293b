/* From a statement's text to what DuckDB runs: each relation of ours becomes a temporary view of its placeholder's
 * name, which lives until the statement has run (session_finish).
 *
 * A view of the session is a text, expanded wherever it is read, so it always shows the newest versions:
 *
 *   SELECT ... FROM v  -->  placeholder of v = (<query of v with its own relations inlined>)
 */
#include <string.h>

#include "base/mem.h"
#include "session/metadata.h"
#include "session/relation.h"
#include "session/session_int.h"
#include "session/statements.h"
#include "sql/lexer.h"
#include "sql/query.h"

enum { VIEW_DEPTH_MAX = 32, VIEWS_MAX = 10000 };

typedef struct SessionView {
    SqlText text; /* owned: the query alone */
} SessionView;

static void free_view(void *value)
{
    SessionView *view = value;

    mem_free((char *)view->text.data);
    mem_free((char *)view->text.name);
    mem_free(view);
}

/* Names match without case. */
static SessionView *find_view(const Session *session, const char *schema, const char *name)
{
    SessionView *found = NULL;

    if (schema == NULL && session->views != NULL) {
        char *key = mem_strdup(name);
        str_lower(key);
        found = map_get(session->views, key);
        mem_free(key);
    }
    return found;
}

/* The SqlResolver of a session: its views, then the warehouse's tables. */
static bool resolve_name(void *context, const char *schema, const char *name)
{
    Session *session = context;

    return find_view(session, schema, name) != NULL ||
           relation_is_table(session->warehouse, session_schema(session, schema), name);
}

/* ---- relations ---- */

static Status relation_sql(Session *session, const SqlText *text, SqlQuery *query, size_t i, int depth, Text *out,
                           Error *err);

/* The view's query with all that it reads inlined. */
static Status expand_view(Session *session, const SessionView *view, int depth, Text *out, Error *err)
{
    SqlQuery *query = NULL;
    Arena *arena = arena_new();
    const SqlRelation *relations = NULL;
    Text one = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    if (depth > VIEW_DEPTH_MAX) {
        rc = error_set(err, E_PIPELINE_CYCLE, "temporary views read each other more than %d deep", VIEW_DEPTH_MAX);
        goto out;
    }
    TRY(sql_query_rewrite(&view->text, (SqlSpan){0, view->text.length}, resolve_name, session, &query, err));
    size_t n = sql_query_relations(query, &relations);
    const char **inlined = arena_alloc(arena, (n + 1) * sizeof *inlined);
    for (size_t i = 0; i < n; i++) {
        text_clear(&one);
        TRY(relation_sql(session, &view->text, query, i, depth + 1, &one, err));
        inlined[i] = arena_printf(arena, "(%s)", text_str(&one));
    }
    sql_query_inline(query, inlined, out);
out:
    sql_query_free(query);
    arena_free(arena);
    text_free(&one);
    return rc;
}

/* Rows that are only counted are not read, and of rows that are cut off not more than that. *done is false when the
 * query needs more, or statistics do not tell. */
static Status little_sql(Session *session, const SqlText *text, const SqlQuery *query, const SqlRelation *relation,
                         Text *out, bool *done, Error *err)
{
    static const int64_t ROWS_MAX = 10000;
    StreamRelation resolved = {0};
    bool counts = sql_query_only_counts(session->conn, query);
    int64_t rows = counts ? -1 : sql_query_first_rows(session->conn, query);
    Status rc = OK;

    *done = false;
    if (relation->stream || relation->kind == SQL_RELATION_FUNCTION || (!counts && (rows < 0 || rows > ROWS_MAX))) {
        return OK;
    }
    RelationReader reader = session_reader(session, text);
    TRY(relation_resolve_little(&reader, relation, rows, &resolved, err));
    if (resolved.sql != NULL) {
        text_append(out, resolved.sql);
        session->relations = mem_grow(session->relations, session->n_relations, &session->relations_capacity,
                                      sizeof *session->relations);
        session->relations[session->n_relations++] = resolved;
        *done = true;
    }
out:
    return rc;
}

/* Resolves relation i with the column _metadata if the statement may mean that one, and hides it. Whether it does is
 * known only when DuckDB has bound the names; so a table that cannot have it is read without. */
static Status resolve(Session *session, const SqlText *text, SqlQuery *query, size_t i, bool metadata,
                      const RelationAsk *ask, StreamRelation *out, Error *err)
{
    const SqlRelation *relations = NULL;
    RelationReader reader = session_reader(session, text);
    Error without = ERROR_NONE;
    Status rc = OK;

    sql_query_relations(query, &relations);
    SqlRelation asked = relations[i];
    asked.metadata = metadata;
    rc = relation_resolve(&reader, &asked, ask, out, NULL, &without);
    if (rc != OK && without.id == E_DELTA_ROW_TRACKING) {
        sql_query_lacks_metadata(query, &without);
        return relation_resolve(&reader, &relations[i], ask, out, NULL, err);
    }
    if (rc != OK) {
        *err = without;
    } else if (out->metadata) {
        rc = sql_query_hide_metadata(query, i, err);
    }
    return rc;
}

/* Relation i of a query as a SELECT; what it holds is the session's until session_finish. */
static Status relation_sql(Session *session, const SqlText *text, SqlQuery *query, size_t i, int depth, Text *out,
                           Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    SqlPredicate *predicates = NULL;
    RelationAsk ask = {0};
    const SqlRelation *relations = NULL;
    bool done;

    sql_query_relations(query, &relations);
    const SqlRelation *relation = &relations[i];
    const SessionView *view = relation->kind == SQL_RELATION_NAME ? find_view(session, relation->schema, relation->name)
                                                                  : NULL;
    if (view != NULL) {
        TRY(expand_view(session, view, depth, out, err));
        goto out;
    }
    bool metadata = relation->kind != SQL_RELATION_FUNCTION &&
                    metadata_is_named_for(text, relation->span, relation->alias);
    if (!metadata) {
        TRY(little_sql(session, text, query, relation, out, &done, err));
        if (done) {
            goto out;
        }
    }
    if (sql_query_predicates(session->conn, query, i, arena, &predicates, &ask.n_predicates, NULL) != OK) {
        ask.n_predicates = 0; /* not a SELECT: every file is read */
    }
    ask.predicates = predicates;
    session->relations = mem_grow(session->relations, session->n_relations, &session->relations_capacity,
                                  sizeof *session->relations);
    StreamRelation *resolved = &session->relations[session->n_relations];
    *resolved = (StreamRelation){0};
    TRY(resolve(session, text, query, i, metadata, &ask, resolved, err));
    session->n_relations++;
    text_append(out, resolved->sql);
out:
    arena_free(arena);
    return rc;
}

/* A temporary view per relation, named like its placeholder. */
static Status bind_relations(Session *session, const SqlText *text, SqlQuery *query, Error *err)
{
    Status rc = OK;
    Text view = TEXT(TEXT_SQL_MAX);
    const SqlRelation *relations = NULL;
    size_t n = sql_query_relations(query, &relations);

    for (size_t i = 0; i < n; i++) {
        text_clear(&view);
        text_append(&view, "CREATE OR REPLACE TEMP VIEW ");
        text_append_sql_name(&view, relations[i].placeholder);
        text_append(&view, " AS ");
        TRY(relation_sql(session, text, query, i, 0, &view, err));
        TRY(duck_exec(session->conn, text_str(&view), err));
    }
out:
    text_free(&view);
    return rc;
}

Status session_prepare(Session *session, const SqlText *text, SqlSpan span, SqlQuery **query, Error *err)
{
    Status rc = OK;
    SqlQuery *made = NULL;

    session_finish(session);
    TRY(sql_query_rewrite(text, span, resolve_name, session, &made, err));
    TRY(bind_relations(session, text, made, err));
    *query = made;
    made = NULL;
out:
    sql_query_free(made);
    return rc;
}

/* ---- views ---- */

/* Does the query bind? Its error has a place only now, where the user's text is at hand. */
static Status try_view(Session *session, const SqlText *text, SqlSpan span, Error *err)
{
    Status rc = OK;
    SqlQuery *query = NULL;
    Arena *arena = arena_new();
    DuckColumnInfo *columns = NULL;
    size_t n = 0;

    TRY(session_prepare(session, text, span, &query, err));
    rc = duck_describe(session->conn, sql_query_text(query), arena, &columns, &n, err);
    if (rc != OK) {
        sql_query_place(query, duck_error_position(session->conn), err);
    }
out:
    session_finish(session);
    sql_query_free(query);
    arena_free(arena);
    return rc;
}

Status session_run_create_view(Session *session, const SqlText *text, const SqlStatement *statement,
                               DuckResult **result, Error *err)
{
    Status rc = OK;
    const SqlName *name = &statement->target;
    SqlSpan span = statement->query;
    SessionView *view = NULL;
    char *key = NULL;
    (void)result;

    if (name->schema != NULL || name->path != NULL) {
        rc = error_set(err, E_PIPELINE_NAME, "a temporary view has a name without a schema");
        sql_error_place(err, text, name->span);
        goto out;
    }
    if (find_view(session, NULL, name->name) != NULL && !statement->or_replace) {
        rc = error_set(err, E_PIPELINE_NAME, "the session has a temporary view %s already", name->name);
        error_hint(err, "CREATE OR REPLACE TEMPORARY VIEW replaces it");
        sql_error_place(err, text, name->span);
        goto out;
    }
    if (session->views != NULL && map_count(session->views) >= VIEWS_MAX) {
        rc = error_set(err, E_LIMIT, "a session has at most %d temporary views", VIEWS_MAX);
        goto out;
    }
    TRY(try_view(session, text, span, err));
    key = mem_strdup(name->name);
    str_lower(key);
    view = mem_alloc(sizeof *view);
    *view = (SessionView){.text = {.name = mem_strdup(text->name),
                                   .data = mem_strndup(text->data + span.begin, span.end - span.begin),
                                   .length = span.end - span.begin}};
    if (session->views == NULL) {
        session->views = map_new();
    }
    SessionView *old = map_put(session->views, key, view);
    if (old != NULL) {
        free_view(old);
    }
out:
    mem_free(key);
    return rc;
}

bool session_drop_view(Session *session, const SqlText *text, SqlSpan span)
{
    SqlTokens tokens = {0};
    Arena *arena = arena_new();
    bool dropped = false;

    if (sql_lex(text, span, &tokens, NULL) == OK && tokens.count >= 3 &&
        sql_token_is_word(&tokens.items[0], SQL_W_DROP) && sql_token_is_word(&tokens.items[1], SQL_W_VIEW)) {
        const SqlToken *last = &tokens.items[tokens.count - 1];
        char *name = sql_token_value(text, last, arena);
        if (find_view(session, NULL, name) != NULL) {
            str_lower(name);
            free_view(map_remove(session->views, name));
            dropped = true;
        }
    }
    sql_tokens_fini(&tokens);
    arena_free(arena);
    return dropped;
}

void session_drop_views(Session *session)
{
    map_free(session->views, free_view);
    session->views = NULL;
}

/* ---- what may not outlive its relations ---- */

Status session_check_lasting(Session *session, const SqlText *text, SqlSpan span, Error *err)
{
    static const struct {
        SqlWord word;
        const char *what;
    } LASTING[] = {{SQL_W_VIEW, "CREATE VIEW"}, {SQL_W_MACRO, "CREATE MACRO"}, {SQL_W_FUNCTION, "CREATE FUNCTION"}};
    SqlTokens tokens = {0};
    const char *what = NULL;
    Status rc = OK;

    if (session->n_relations == 0) {
        return OK;
    }
    TRY(sql_lex(text, span, &tokens, err));
    bool creates = tokens.count > 0 && sql_token_is_word(&tokens.items[0], SQL_W_CREATE);
    if (tokens.count > 0 && sql_token_is_word(&tokens.items[0], SQL_W_PREPARE)) {
        what = "PREPARE";
    }
    for (size_t i = 1; creates && i < tokens.count && i < 5 && what == NULL; i++) {
        for (size_t k = 0; k < sizeof LASTING / sizeof *LASTING; k++) {
            what = sql_token_is_word(&tokens.items[i], LASTING[k].word) ? LASTING[k].what : what;
        }
    }
    if (what != NULL) {
        rc = error_set(err, E_PIPELINE_STATEMENT,
                       "%s cannot hold a Delta table or files: they are read anew by each statement", what);
        error_hint(err, "CREATE TEMPORARY VIEW can; it lives as long as the session");
        sql_error_place(err, text, span);
    }
out:
    sql_tokens_fini(&tokens);
    return rc;
}
