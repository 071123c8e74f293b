/* DELETE, UPDATE and MERGE: their clauses, and their expressions as spans of the rewritten text. */
#include "sql/statement_dml.h"

#include "sql/statement_int.h"

/* An expression: up to `stop` (SQL_WORD_COUNT: no word) or the end, or a comma where `comma` ends it too. WHEN inside
 * CASE ... END stops nothing. */
static Status expression(SqlCursor *c, SqlWord stop, bool comma, const char *what, SqlSpan *out, Error *err)
{
    size_t from = c->at;
    int cases = 0;

    while (!cursor_done(c)) {
        if (cases == 0 && (cursor_is(c, 0, stop) || (comma && cursor_is_op(c, 0, ',')))) {
            break;
        }
        bool named = c->at > 0 && sql_token_is_op(&c->tokens[c->at - 1], '.');
        cases += !named && cursor_is(c, 0, SQL_W_CASE);
        cases -= !named && cases > 0 && cursor_is(c, 0, SQL_W_END);
        cursor_skip(c);
    }
    if (c->at == from) {
        return cursor_expected(c, err, "%s", what);
    }
    *out = cursor_span(c, from, c->at);
    return OK;
}

/* name [. name]* [[AS] alias] up to a word of the statement; *alias is the last name without one. */
static Status target(SqlCursor *c, const char **alias, Error *err)
{
    Status rc = OK;

    do {
        TRY(cursor_name(c, SQL_WORD_RESERVED, "the name of a table", alias, err));
    } while (cursor_accept_op(c, '.'));
    bool as = cursor_accept(c, SQL_W_AS);
    bool clause = cursor_done(c) || cursor_is(c, 0, SQL_W_SET) || cursor_is(c, 0, SQL_W_WHERE) ||
                  cursor_is(c, 0, SQL_W_USING);
    if (as || !clause) {
        TRY(cursor_name(c, as ? SQL_WORD_RESERVED : SQL_WORD_COLUMN, "an alias", alias, err));
    }
out:
    return rc;
}

/* ---- assignments ---- */

/* [target.]column[.field]* */
static Status column(SqlCursor *c, const char *alias, SqlAssignment *out, Error *err)
{
    Status rc = OK;
    SqlList parts = SQL_LIST(const char *);
    const char *name = NULL;
    size_t n = 0;

    TRY(cursor_name(c, SQL_WORD_COLUMN, "the name of a column", &name, err));
    *(const char **)sql_list_add(&parts) = name;
    while (cursor_accept_op(c, '.')) {
        TRY(cursor_name(c, SQL_WORD_RESERVED, "the name of a column", &name, err));
        *(const char **)sql_list_add(&parts) = name;
    }
    const char *const *names = sql_list_take(&parts, c->arena, &n);
    size_t first = n > 1 && str_ieq(names[0], alias) ? 1 : 0;
    out->column = names[first];
    out->path = names + first + 1;
    out->n_path = n - first - 1;
out:
    sql_list_fini(&parts);
    return rc;
}

static Status value(SqlCursor *c, SqlWord stop, SqlAssignment *out, Error *err)
{
    const SqlToken *behind = cursor_peek(c, 1);

    if (cursor_is(c, 0, SQL_W_DEFAULT) &&
        (behind->kind == SQL_TOKEN_END || sql_token_is_op(behind, ',') || sql_token_is_word(behind, stop))) {
        c->at++;
        out->is_default = true;
        return OK;
    }
    return expression(c, stop, true, "a value", &out->value, err);
}

/* column = value, ... up to `stop` */
static Status assignments(SqlCursor *c, SqlWord stop, const char *alias, const SqlAssignment **out, size_t *n,
                          Error *err)
{
    Status rc = OK;
    SqlList list = SQL_LIST(SqlAssignment);

    do {
        SqlAssignment *next = sql_list_add(&list);
        TRY(column(c, alias, next, err));
        TRY(cursor_expect_op(c, '=', "behind the column", err));
        TRY(value(c, stop, next, err));
    } while (cursor_accept_op(c, ','));
    *out = sql_list_take(&list, c->arena, n);
out:
    sql_list_fini(&list);
    return rc;
}

/* [(column, ...)] VALUES (value, ...) */
static Status insert_values(SqlCursor *c, const char *alias, SqlMergeClause *out, Error *err)
{
    Status rc = OK;
    SqlList list = SQL_LIST(SqlAssignment);
    SqlCursor names = *c;
    bool named = cursor_is_op(c, 0, '(');

    if (named) {
        names.at = c->at + 1;
        names.end = c->tokens[c->at].match;
        cursor_skip(c);
    }
    TRY(cursor_expect(c, SQL_W_VALUES, named ? "behind the columns" : "behind INSERT", err));
    if (!cursor_is_op(c, 0, '(')) {
        TRY(cursor_expected(c, err, "\"(\" behind VALUES"));
    }
    SqlCursor values = *c;
    values.at = c->at + 1;
    values.end = c->tokens[c->at].match;
    do {
        SqlAssignment *next = sql_list_add(&list);
        if (named) {
            TRY(column(&names, alias, next, err));
        }
        TRY(value(&values, SQL_WORD_COUNT, next, err));
        if (named && cursor_is_op(&names, 0, ',') != cursor_is_op(&values, 0, ',')) {
            TRY(cursor_error(c, c->at, c->at + 1, err, "INSERT has not as many values as columns"));
        }
        (void)(named && cursor_accept_op(&names, ','));
    } while (cursor_accept_op(&values, ','));
    cursor_skip(c);
    out->set = sql_list_take(&list, c->arena, &out->n_set);
out:
    sql_list_fini(&list);
    return rc;
}

/* ---- MERGE ---- */

/* MATCHED, NOT MATCHED [BY TARGET], NOT MATCHED BY SOURCE */
static Status when(SqlCursor *c, SqlMergeWhen *out, Error *err)
{
    Status rc = OK;
    bool not_matched = cursor_accept(c, SQL_W_NOT);

    TRY(cursor_expect(c, SQL_W_MATCHED, not_matched ? "behind WHEN NOT" : "behind WHEN", err));
    *out = not_matched ? SQL_MERGE_NOT_MATCHED : SQL_MERGE_MATCHED;
    if (not_matched && cursor_accept(c, SQL_W_BY)) {
        if (cursor_accept_text(c, "source")) {
            *out = SQL_MERGE_NOT_MATCHED_BY_SOURCE;
        } else if (!cursor_accept_text(c, "target")) {
            rc = cursor_expected(c, err, "SOURCE or TARGET behind NOT MATCHED BY");
        }
    }
out:
    return rc;
}

static Status action(SqlCursor *c, const char *alias, SqlMergeClause *out, Error *err)
{
    Status rc = OK;

    if (out->when == SQL_MERGE_NOT_MATCHED) {
        TRY(cursor_expect(c, SQL_W_INSERT, "behind THEN of WHEN NOT MATCHED", err));
        out->action = SQL_MERGE_INSERT;
        out->all = cursor_accept_op(c, '*');
        rc = out->all ? OK : insert_values(c, alias, out, err);
    } else if (cursor_accept(c, SQL_W_DELETE)) {
        out->action = SQL_MERGE_DELETE;
    } else {
        if (!cursor_accept(c, SQL_W_UPDATE)) {
            TRY(cursor_expected(c, err, "UPDATE or DELETE behind THEN"));
        }
        out->action = SQL_MERGE_UPDATE;
        TRY(cursor_expect(c, SQL_W_SET, "behind UPDATE", err));
        out->all = out->when == SQL_MERGE_MATCHED && cursor_accept_op(c, '*');
        rc = out->all ? OK : assignments(c, SQL_W_WHEN, alias, &out->set, &out->n_set, err);
    }
out:
    return rc;
}

static Status merge_clause(SqlCursor *c, const char *alias, SqlMergeClause *out, Error *err)
{
    Status rc = OK;

    TRY(cursor_expect(c, SQL_W_WHEN, "behind the clause before", err));
    TRY(when(c, &out->when, err));
    out->has_condition = cursor_accept(c, SQL_W_AND);
    if (out->has_condition) {
        TRY(expression(c, SQL_W_THEN, false, "a condition behind AND", &out->condition, err));
    }
    TRY(cursor_expect(c, SQL_W_THEN, "in WHEN [NOT] MATCHED", err));
    TRY(action(c, alias, out, err));
out:
    return rc;
}

/* The alias at the end of the source: name, name alias, (query) AS alias, function(...) alias. */
static const char *source_alias(const SqlCursor *c, size_t from, size_t to)
{
    size_t last = to - 1, items = 0;

    for (size_t i = from; i < to; i++, items++) {
        if (sql_token_is_word(&c->tokens[i], SQL_W_AS) && i + 1 < to) {
            return sql_token_value(c->text, &c->tokens[i + 1], c->arena);
        }
        i = c->tokens[i].match > i ? c->tokens[i].match : i;
    }
    return sql_token_is_name(&c->tokens[last], SQL_WORD_COLUMN) ? sql_token_value(c->text, &c->tokens[last], c->arena)
                                                                : "source";
}

static Status merge(SqlCursor *c, SqlDml *out, Error *err)
{
    Status rc = OK;
    SqlList clauses = SQL_LIST(SqlMergeClause);
    size_t from;

    TRY(sql_parse_evolution(c, &out->evolve, err));
    TRY(cursor_expect(c, SQL_W_INTO, out->evolve ? "behind EVOLUTION" : "behind MERGE", err));
    TRY(target(c, &out->alias, err));
    TRY(cursor_expect(c, SQL_W_USING, "behind the table to merge into", err));
    from = c->at;
    TRY(expression(c, SQL_W_ON, false, "a table or a query behind USING", &out->source, err));
    out->source_alias = source_alias(c, from, c->at);
    TRY(cursor_expect(c, SQL_W_ON, "behind the source", err));
    TRY(expression(c, SQL_W_WHEN, false, "a condition behind ON", &out->on, err));
    do {
        TRY(merge_clause(c, out->alias, sql_list_add(&clauses), err));
    } while (!cursor_done(c));
    out->clauses = sql_list_take(&clauses, c->arena, &out->n_clauses);
out:
    sql_list_fini(&clauses);
    return rc;
}

/* ---- statements ---- */

/* A second table of UPDATE or DELETE, as PostgreSQL has it, is MERGE here. */
static Status refuse_second_table(const SqlCursor *c, SqlWord word, Error *err)
{
    Status rc = OK;
    SqlCursor all = *c;

    while (!cursor_done(&all) && rc == OK) {
        if (cursor_is(&all, 0, word) &&
            !(all.at > c->at && sql_token_is_word(&c->tokens[all.at - 1], SQL_W_DISTINCT))) {
            rc = cursor_error(&all, all.at, all.at + 1, err, "rows of another table cannot be joined here");
            error_hint(err, "MERGE INTO t USING s ON condition WHEN MATCHED THEN UPDATE SET ... or DELETE");
        }
        cursor_skip(&all);
    }
    return rc;
}

static Status where(SqlCursor *c, SqlDml *out, Error *err)
{
    Status rc = OK;

    out->has_where = cursor_accept(c, SQL_W_WHERE);
    if (out->has_where) {
        TRY(expression(c, SQL_WORD_COUNT, false, "a condition behind WHERE", &out->where, err));
    }
    if (!cursor_done(c)) {
        rc = cursor_expected(c, err, "WHERE or the end of the statement");
    }
out:
    return rc;
}

static Status statement(SqlCursor *c, SqlStatementKind kind, SqlDml *out, Error *err)
{
    Status rc = OK;

    c->at++;
    if (kind == SQL_MERGE) {
        return merge(c, out, err);
    }
    if (kind == SQL_DELETE) {
        TRY(cursor_expect(c, SQL_W_FROM, "behind DELETE", err));
    }
    TRY(target(c, &out->alias, err));
    if (kind == SQL_UPDATE) {
        TRY(cursor_expect(c, SQL_W_SET, "behind the table to update", err));
        TRY(refuse_second_table(c, SQL_W_FROM, err));
        TRY(assignments(c, SQL_W_WHERE, out->alias, &out->set, &out->n_set, err));
    }
    if (kind == SQL_DELETE) {
        TRY(refuse_second_table(c, SQL_W_USING, err));
    }
    TRY(where(c, out, err));
out:
    return rc;
}

Status sql_dml_parse(const SqlText *text, SqlStatementKind kind, Arena *arena, SqlDml *out, Error *err)
{
    Status rc = OK;
    SqlTokens tokens = {0};
    SqlDml dml = {0};

    TRY(sql_lex(text, (SqlSpan){0, text->length}, &tokens, err));
    SqlCursor c = {.text = text, .tokens = tokens.items, .end = tokens.count, .arena = arena};
    TRY(statement(&c, kind, &dml, err));
    *out = dml;
out:
    sql_tokens_fini(&tokens);
    return rc;
}
