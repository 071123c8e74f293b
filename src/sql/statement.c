/* A text cut at its semicolons. The first words of each statement choose its parser from a table (statement_int.h);
 * what no parser takes is a query for DuckDB. */
#include "sql/statement.h"

#include <string.h>

#include "sql/statement_int.h"

struct SqlScript {
    SqlText text;
    Arena *arena;
    SqlTokens tokens;
    SqlList statements;
};

const char *sql_statement_name(SqlStatementKind kind)
{
    static const char *const NAMES[] = {
        [SQL_CREATE_STREAMING_TABLE] = "CREATE STREAMING TABLE",
        [SQL_CREATE_MATERIALIZED_VIEW] = "CREATE MATERIALIZED VIEW",
        [SQL_CREATE_TEMPORARY_VIEW] = "CREATE TEMPORARY VIEW",
        [SQL_CREATE_FLOW] = "CREATE FLOW",
        [SQL_CREATE_SINK] = "CREATE SINK",
        [SQL_SET] = "SET",
        [SQL_CREATE_TABLE] = "CREATE TABLE",
        [SQL_DROP_TABLE] = "DROP TABLE",
        [SQL_INSERT] = "INSERT",
        [SQL_DELETE] = "DELETE",
        [SQL_UPDATE] = "UPDATE",
        [SQL_MERGE] = "MERGE",
        [SQL_ALTER_TABLE] = "ALTER TABLE",
        [SQL_DESCRIBE_HISTORY] = "DESCRIBE HISTORY",
        [SQL_DESCRIBE_DETAIL] = "DESCRIBE DETAIL",
        [SQL_DESCRIBE_TABLE] = "DESCRIBE TABLE",
        [SQL_CREATE_SCHEMA] = "CREATE SCHEMA",
        [SQL_DROP_SCHEMA] = "DROP SCHEMA",
        [SQL_USE] = "USE",
        [SQL_SHOW_SCHEMAS] = "SHOW SCHEMAS",
        [SQL_SHOW_TABLES] = "SHOW TABLES",
        [SQL_SHOW_TBLPROPERTIES] = "SHOW TBLPROPERTIES",
        [SQL_SHOW_CREATE_TABLE] = "SHOW CREATE TABLE",
        [SQL_OPTIMIZE] = "OPTIMIZE",
        [SQL_VACUUM] = "VACUUM",
        [SQL_RESTORE] = "RESTORE",
        [SQL_CLONE] = "CLONE",
        [SQL_CONVERT] = "CONVERT TO DELTA",
        [SQL_QUERY] = "query",
    };
    return NAMES[kind];
}

Status sql_refuse_sink(const SqlText *text, const SqlStatement *statement, Error *err)
{
    Status rc = error_set(err, E_PIPELINE_STATEMENT, "there are no sinks: this version writes Delta tables only");

    error_hint(err,
               "CREATE STREAMING TABLE keeps the rows, and any program that reads Delta tables can take them there");
    sql_error_place(err, text, statement->span);
    return rc;
}

typedef struct Starter {
    SqlWord word;
    SqlParse parse; /* NULL: DuckDB's */
    bool asks;      /* see SqlStatement */
} Starter;

/* Every word a statement may start with, ours and DuckDB's. */
static const Starter STARTERS[] = {
    {SQL_W_ALTER, sql_parse_alter, false},
    {SQL_W_APPLY, sql_parse_auto_cdc, false},
    {SQL_W_AUTO, sql_parse_auto_cdc, false},
    {SQL_W_COMMENT, sql_parse_comment, false},
    {SQL_W_CONVERT, sql_parse_convert, false},
    {SQL_W_CREATE, sql_parse_create, false},
    {SQL_W_DELETE, sql_parse_delete, false},
    {SQL_W_DESC, sql_parse_describe, true},
    {SQL_W_DESCRIBE, sql_parse_describe, true},
    {SQL_W_DROP, sql_parse_drop, false},
    {SQL_W_INSERT, sql_parse_insert, false},
    {SQL_W_MERGE, sql_parse_merge, false},
    {SQL_W_OPTIMIZE, sql_parse_optimize, false},
    {SQL_W_REPLACE, sql_parse_replace, false},
    {SQL_W_RESTORE, sql_parse_restore, false},
    {SQL_W_SET, sql_parse_set, false},
    {SQL_W_SHOW, sql_parse_show, true},
    {SQL_W_UPDATE, sql_parse_update, false},
    {SQL_W_VACUUM, sql_parse_vacuum, false},
    {SQL_W_ABORT, NULL, false},
    {SQL_W_ANALYZE, NULL, false},
    {SQL_W_ATTACH, NULL, false},
    {SQL_W_BEGIN, NULL, false},
    {SQL_W_CALL, NULL, true},
    {SQL_W_CHECKPOINT, NULL, false},
    {SQL_W_COMMIT, NULL, false},
    {SQL_W_COPY, NULL, false},
    {SQL_W_DEALLOCATE, NULL, false},
    {SQL_W_DETACH, NULL, false},
    {SQL_W_END, NULL, false},
    {SQL_W_EXECUTE, NULL, true},
    {SQL_W_EXPLAIN, NULL, true},
    {SQL_W_EXPORT, NULL, false},
    {SQL_W_FORCE, NULL, false},
    {SQL_W_FROM, NULL, true},
    {SQL_W_IMPORT, NULL, false},
    {SQL_W_INSTALL, NULL, false},
    {SQL_W_LOAD, NULL, false},
    {SQL_W_PIVOT, NULL, true},
    {SQL_W_PIVOT_LONGER, NULL, true},
    {SQL_W_PIVOT_WIDER, NULL, true},
    {SQL_W_PRAGMA, NULL, true},
    {SQL_W_PREPARE, NULL, false},
    {SQL_W_RESET, NULL, false},
    {SQL_W_ROLLBACK, NULL, false},
    {SQL_W_SELECT, NULL, true},
    {SQL_W_START, NULL, false},
    {SQL_W_SUMMARIZE, NULL, true},
    {SQL_W_TABLE, NULL, true},
    {SQL_W_TRUNCATE, NULL, false},
    {SQL_W_UNPIVOT, NULL, true},
    {SQL_W_USE, sql_parse_use, false},
    {SQL_W_VALUES, NULL, true},
    {SQL_W_WITH, NULL, true},
};
enum { N_STARTERS = sizeof STARTERS / sizeof *STARTERS };

static Status unknown_statement(const SqlCursor *c, Error *err)
{
    const char *names[N_STARTERS];
    for (size_t i = 0; i < N_STARTERS; i++) {
        names[i] = sql_word_text(STARTERS[i].word);
    }
    char *word = sql_token_value(c->text, cursor_peek(c, 0), c->arena);
    Status rc = cursor_error(c, c->at, c->at + 1, err, "no statement starts with \"%.100s\"", word);
    str_lower(word);
    const char *nearest = error_nearest(word, names, N_STARTERS);
    if (nearest) {
        error_hint(err, "did you mean \"%s\"?", nearest);
    }
    return rc;
}

Status sql_take_query(SqlCursor *c, SqlStatement *out, Error *err)
{
    if (cursor_done(c)) {
        return cursor_expected(c, err, "a query");
    }
    out->has_query = true;
    out->query = cursor_span(c, c->at, c->end);
    c->at = c->end;
    return OK;
}

void sql_take_rest(SqlCursor *c, SqlStatement *out)
{
    out->rest_span = cursor_span(c, c->at, c->end);
    out->rest = cursor_done(c) ? NULL : cursor_slice(c, c->at, c->end);
    c->at = c->end;
}

static Status parse_statement(SqlCursor *c, SqlStatement *out, Error *err)
{
    *out = (SqlStatement){
        .kind = SQL_QUERY,
        .span = cursor_span(c, c->at, c->end),
        .has_query = true,
        .query = cursor_span(c, c->at, c->end),
        .limit = -1,
    };
    const SqlToken *first = cursor_peek(c, 0);
    if (sql_token_is_op(first, '(')) {
        out->asks = true;
        return OK;
    }
    const Starter *starter = NULL;
    for (size_t i = 0; !starter && i < N_STARTERS; i++) {
        starter = sql_token_is_word(first, STARTERS[i].word) ? &STARTERS[i] : NULL;
    }
    if (!starter) {
        return unknown_statement(c, err);
    }
    out->asks = starter->asks;
    if (!starter->parse) {
        return OK;
    }

    SqlStatement parsed = *out;
    parsed.has_query = false;
    Status rc = starter->parse(c, &parsed, err);
    if (rc != OK || parsed.kind == SQL_QUERY) {
        return rc;
    }
    if (!cursor_done(c)) {
        return cursor_expected(c, err, "the end of %s", sql_statement_name(parsed.kind));
    }
    if (!parsed.has_query) {
        parsed.query = (SqlSpan){0};
    }
    *out = parsed;
    return OK;
}

Status sql_script_parse(const SqlText *text, SqlScript **out, Error *err)
{
    SqlScript *script = mem_alloc(sizeof *script);
    Status rc = OK;
    script->text = *text;
    script->arena = arena_new();
    script->statements = SQL_LIST(SqlStatement);
    TRY(sql_lex(text, (SqlSpan){0, text->length}, &script->tokens, err));
    for (size_t begin = 0, end = 0; begin < script->tokens.count; begin = end + 1) {
        for (end = begin; end < script->tokens.count && !sql_token_is_op(&script->tokens.items[end], ';');) {
            end++;
        }
        SqlCursor c = {
            .text = &script->text, .tokens = script->tokens.items, .at = begin, .end = end, .arena = script->arena};
        if (begin < end) {
            TRY(parse_statement(&c, sql_list_add(&script->statements), err));
        }
    }
    *out = script;
    return OK;
out:
    sql_script_free(script);
    return rc;
}

void sql_script_free(SqlScript *script)
{
    if (!script) {
        return;
    }
    sql_list_fini(&script->statements);
    sql_tokens_fini(&script->tokens);
    arena_free(script->arena);
    mem_free(script);
}

size_t sql_script_statements(const SqlScript *script, const SqlStatement **statements)
{
    *statements = script->statements.items;
    return script->statements.count;
}
