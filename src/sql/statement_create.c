/* CREATE STREAMING TABLE, MATERIALIZED VIEW, TEMPORARY VIEW, TABLE, FLOW, SINK, and the CDC statements that stand for a
 * flow. */
#include "sql/statement_int.h"

static Status if_not_exists(SqlCursor *c, SqlStatement *out, Error *err)
{
    if (!cursor_accept(c, SQL_W_IF)) {
        return OK;
    }
    out->if_not_exists = true;
    Status rc = cursor_expect(c, SQL_W_NOT, "behind IF", err);
    return rc == OK ? cursor_expect(c, SQL_W_EXISTS, "behind IF NOT", err) : rc;
}

/* [IF NOT EXISTS] name [(columns)] [clauses] [AS query] */
static Status create_relation(SqlCursor *c, SqlStatement *out, bool needs_query, Error *err)
{
    const char *name = sql_statement_name(out->kind);
    Status rc = if_not_exists(c, out, err);
    if (rc != OK || (rc = cursor_table_name(c, false, &out->target, err)) != OK) {
        return rc;
    }
    if (cursor_is_op(c, 0, '(') && (rc = sql_parse_column_list(c, out, err)) != OK) {
        return rc;
    }
    if ((rc = sql_parse_clauses(c, out, err)) != OK) {
        return rc;
    }
    if (cursor_accept(c, SQL_W_AS)) {
        return sql_take_query(c, out, err);
    }
    if (cursor_done(c) && !needs_query) {
        return OK;
    }
    rc = cursor_expected(c, err, cursor_done(c) ? "AS and the query of %s" : "a clause of %s or AS", name);
    sql_hint_clause(c, out->kind, err);
    return rc;
}

static Status create_streaming_table(SqlCursor *c, SqlStatement *out, Error *err)
{
    Status rc = cursor_expect(c, SQL_W_TABLE, "behind CREATE STREAMING", err);
    if (rc != OK) {
        return rc;
    }
    if (out->or_replace) {
        rc = cursor_error(c, c->at - 4, c->at - 2, err, "a streaming table is never replaced");
        error_hint(err, "CREATE OR REFRESH goes on with it; to rebuild it run with --full-refresh");
        return rc;
    }
    out->kind = SQL_CREATE_STREAMING_TABLE;
    return create_relation(c, out, false, err);
}

static Status create_materialized_view(SqlCursor *c, SqlStatement *out, Error *err)
{
    Status rc = cursor_expect(c, SQL_W_VIEW, "behind CREATE MATERIALIZED", err);
    out->kind = SQL_CREATE_MATERIALIZED_VIEW;
    return rc == OK ? create_relation(c, out, true, err) : rc;
}

/* Behind TEMPORARY. A temporary table is DuckDB's. */
static Status create_temporary(SqlCursor *c, SqlStatement *out, Error *err)
{
    if (!cursor_accept(c, SQL_W_VIEW)) {
        return OK;
    }
    out->kind = SQL_CREATE_TEMPORARY_VIEW;
    return create_relation(c, out, true, err);
}

/* CREATE TABLE name [DEEP | SHALLOW] CLONE source ..., or LIKE source */
static bool is_clone(const SqlCursor *c)
{
    return cursor_is(c, 0, SQL_W_CLONE) || cursor_is(c, 0, SQL_W_LIKE) ||
           ((cursor_is(c, 0, SQL_W_DEEP) || cursor_is(c, 0, SQL_W_SHALLOW)) && cursor_is(c, 1, SQL_W_CLONE));
}

static Status create_table(SqlCursor *c, SqlStatement *out, Error *err)
{
    SqlCursor ahead = *c;
    SqlStatement named = *out;
    Status rc = if_not_exists(&ahead, &named, err);
    if (rc != OK || (rc = cursor_table_name(&ahead, false, &named.target, err)) != OK) {
        return rc;
    }
    if (is_clone(&ahead)) {
        *c = ahead;
        *out = named;
        out->kind = SQL_CLONE;
        sql_take_rest(c, out);
        return OK;
    }
    out->kind = SQL_CREATE_TABLE;
    return create_relation(c, out, false, err);
}

static Status create_schema(SqlCursor *c, SqlStatement *out, Error *err)
{
    Status rc = if_not_exists(c, out, err);
    return rc == OK ? sql_parse_schema_name(c, out, SQL_CREATE_SCHEMA, err) : rc;
}

/* INSERT INTO target [BY NAME] query */
static Status flow_insert(SqlCursor *c, SqlStatement *out, Error *err)
{
    Status rc = cursor_expect(c, SQL_W_INTO, "behind INSERT; a flow only adds rows", err);
    if (rc != OK || (rc = cursor_table_name(c, false, &out->target, err)) != OK) {
        return rc;
    }
    if (cursor_is_op(c, 0, '(') && cursor_peek(c, 2)->kind == SQL_TOKEN_OPERATOR) {
        rc = cursor_error(c, c->at, c->tokens[c->at].match + 1, err, "a flow takes no list of columns");
        error_hint(err, "write INSERT INTO %s BY NAME SELECT ...", out->target.name ? out->target.name : "target");
        return rc;
    }
    out->flow_kind = SQL_FLOW_INSERT;
    out->by_name = cursor_accept2(c, SQL_W_BY, SQL_W_NAME);
    return sql_take_query(c, out, err);
}

static Status flow_target(SqlCursor *c, SqlStatement *out, SqlFlowKind kind, const char *after, Error *err)
{
    Status rc = cursor_expect(c, SQL_W_INTO, after, err);
    if (rc != OK || (rc = cursor_table_name(c, false, &out->target, err)) != OK) {
        return rc;
    }
    out->flow_kind = kind;
    sql_take_rest(c, out);
    return OK;
}

static Status flow_body(SqlCursor *c, SqlStatement *out, Error *err)
{
    if (cursor_accept(c, SQL_W_INSERT)) {
        return flow_insert(c, out, err);
    }
    if (cursor_accept(c, SQL_W_MERGE)) {
        return flow_target(c, out, SQL_FLOW_MERGE, "behind MERGE", err);
    }
    if (cursor_accept2(c, SQL_W_AUTO, SQL_W_CDC)) {
        return flow_target(c, out, SQL_FLOW_AUTO_CDC, "behind AUTO CDC", err);
    }
    if (cursor_accept2(c, SQL_W_APPLY, SQL_W_CHANGES)) {
        return flow_target(c, out, SQL_FLOW_AUTO_CDC, "behind APPLY CHANGES", err);
    }
    return cursor_expected(c, err, "INSERT INTO, MERGE INTO or AUTO CDC INTO behind AS");
}

Status sql_parse_auto_cdc(SqlCursor *c, SqlStatement *out, Error *err)
{
    out->kind = SQL_CREATE_FLOW;
    if (!cursor_is(c, 1, SQL_W_CDC) && !cursor_is(c, 1, SQL_W_CHANGES)) {
        c->at++;
        return cursor_expected(c, err, "AUTO CDC INTO or APPLY CHANGES INTO");
    }
    Status rc = flow_body(c, out, err);
    out->flow_name = out->target.name;
    return rc;
}

static Status create_flow(SqlCursor *c, SqlStatement *out, Error *err)
{
    out->kind = SQL_CREATE_FLOW;
    Status rc = if_not_exists(c, out, err);
    if (rc != OK || (rc = cursor_name(c, SQL_WORD_COLUMN, "the name of the flow", &out->flow_name, err)) != OK) {
        return rc;
    }
    if (cursor_is_op(c, 0, '.')) {
        return cursor_error(c, c->at - 1, c->at + 1, err, "the name of a flow has one part");
    }
    if ((rc = sql_parse_clauses(c, out, err)) != OK) {
        return rc;
    }
    if (!cursor_accept(c, SQL_W_AS)) {
        rc = cursor_expected(c, err, "AS INSERT INTO ... behind the name of the flow");
        sql_hint_clause(c, out->kind, err);
        return rc;
    }
    return flow_body(c, out, err);
}

static Status create_sink(SqlCursor *c, SqlStatement *out, Error *err)
{
    out->kind = SQL_CREATE_SINK;
    Status rc = if_not_exists(c, out, err);
    if (rc != OK || (rc = cursor_table_name(c, false, &out->target, err)) != OK) {
        return rc;
    }
    size_t named = c->at;
    if ((rc = sql_parse_clauses(c, out, err)) != OK) {
        return rc;
    }
    if (!cursor_done(c)) {
        rc = cursor_expected(c, err, "USING or OPTIONS");
        sql_hint_clause(c, out->kind, err);
        return rc;
    }
    return out->format ? OK : cursor_error(c, named - 1, named, err, "a sink needs USING and what it writes to");
}

typedef struct Created {
    SqlWord word;
    SqlParse parse; /* NULL: DuckDB's */
} Created;

/* What may stand behind CREATE [OR REPLACE | OR REFRESH]. */
static const Created CREATED[] = {
    {SQL_W_STREAMING, create_streaming_table},
    {SQL_W_MATERIALIZED, create_materialized_view},
    {SQL_W_TEMPORARY, create_temporary},
    {SQL_W_TEMP, create_temporary},
    {SQL_W_TABLE, create_table},
    {SQL_W_FLOW, create_flow},
    {SQL_W_SINK, create_sink},
    {SQL_W_VIEW, NULL},
    {SQL_W_SCHEMA, create_schema},
    {SQL_W_DATABASE, create_schema},
    {SQL_W_TYPE, NULL},
    {SQL_W_SEQUENCE, NULL},
    {SQL_W_MACRO, NULL},
    {SQL_W_FUNCTION, NULL},
    {SQL_W_INDEX, NULL},
    {SQL_W_UNIQUE, NULL},
    {SQL_W_SECRET, NULL},
    {SQL_W_PERSISTENT, NULL},
    {SQL_W_RECURSIVE, NULL},
    {SQL_W_LOCAL, NULL},
    {SQL_W_GLOBAL, NULL},
    {SQL_W_UNLOGGED, NULL},
};
enum { N_CREATED = sizeof CREATED / sizeof *CREATED };

static Status unknown_create(const SqlCursor *c, Error *err)
{
    Status rc = cursor_expected(
        c, err, "STREAMING TABLE, MATERIALIZED VIEW, TEMPORARY VIEW, TABLE, FLOW or SINK behind CREATE");
    if (cursor_peek(c, 0)->kind != SQL_TOKEN_WORD) {
        return rc;
    }
    const char *names[N_CREATED];
    for (size_t i = 0; i < N_CREATED; i++) {
        names[i] = sql_word_text(CREATED[i].word);
    }
    char *word = sql_token_value(c->text, cursor_peek(c, 0), c->arena);
    str_lower(word);
    const char *nearest = error_nearest(word, names, N_CREATED);
    if (nearest) {
        error_hint(err, "did you mean \"%s\"?", nearest);
    }
    return rc;
}

Status sql_parse_create(SqlCursor *c, SqlStatement *out, Error *err)
{
    c->at++;
    out->or_replace = cursor_accept2(c, SQL_W_OR, SQL_W_REPLACE);
    out->or_refresh = !out->or_replace && cursor_accept2(c, SQL_W_OR, SQL_W_REFRESH);
    const Created *created = NULL;
    for (size_t i = 0; !created && i < N_CREATED; i++) {
        created = cursor_is(c, 0, CREATED[i].word) ? &CREATED[i] : NULL;
    }
    if (!created) {
        return unknown_create(c, err);
    }
    bool refreshed = created->parse == create_streaming_table || created->parse == create_materialized_view;
    if (out->or_refresh && !refreshed) {
        return cursor_expected(c, err, "STREAMING TABLE or MATERIALIZED VIEW behind OR REFRESH");
    }
    if (!created->parse) {
        return OK;
    }
    c->at++;
    return created->parse(c, out, err);
}

/* REPLACE TABLE: CREATE OR REPLACE TABLE of one that is there. */
Status sql_parse_replace(SqlCursor *c, SqlStatement *out, Error *err)
{
    c->at++;
    Status rc = cursor_expect(c, SQL_W_TABLE, "behind REPLACE", err);
    out->or_replace = out->must_exist = true;
    return rc == OK ? create_table(c, out, err) : rc;
}
