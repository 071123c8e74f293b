/* ( column type options, ..., CONSTRAINT name EXPECT (condition) ..., ... ) */
#include "sql/statement_int.h"

/* Words that end a type or an expression: what may stand behind it in a column. */
static bool is_column_option(const SqlCursor *c)
{
    static const SqlWord OPTIONS[] = {SQL_W_NOT,     SQL_W_NULL,    SQL_W_DEFAULT,   SQL_W_GENERATED,
                                      SQL_W_COMMENT, SQL_W_PRIMARY, SQL_W_UNIQUE,    SQL_W_REFERENCES,
                                      SQL_W_CHECK,   SQL_W_COLLATE, SQL_W_CONSTRAINT};
    for (size_t i = 0; i < sizeof OPTIONS / sizeof *OPTIONS; i++) {
        if (cursor_is(c, 0, OPTIONS[i])) {
            return true;
        }
    }
    return false;
}

/* Steps over a type; commas between < and > belong to it. */
static Status column_type(SqlCursor *c, SqlColumn *column, Error *err)
{
    size_t from = c->at;
    int angles = 0;
    while (!cursor_done(c) && (angles > 0 || (!cursor_is_op(c, 0, ',') && !is_column_option(c)))) {
        angles += cursor_is_op(c, 0, '<') - cursor_is_op(c, 0, '>');
        if (angles < 0) {
            return cursor_error(c, c->at, c->at + 1, err, "\">\" closes nothing in the type of \"%.100s\"",
                                column->name);
        }
        cursor_skip(c);
    }
    if (angles > 0) {
        return cursor_error(c, from, c->at, err, "\"<\" is not closed in the type of \"%.100s\"", column->name);
    }
    column->type_span = cursor_span(c, from, c->at);
    column->type = c->at > from ? cursor_slice(c, from, c->at) : NULL;
    return OK;
}

/* DEFAULT e: up to the next option of the column. */
static Status column_default(SqlCursor *c, SqlColumn *column, Error *err)
{
    size_t from = c->at;
    while (!cursor_done(c) && !cursor_is_op(c, 0, ',')) {
        bool starts = c->at == from;
        bool is_not = cursor_is(c, 0, SQL_W_IS) && (cursor_is(c, 1, SQL_W_NOT) || cursor_is(c, 1, SQL_W_NULL));
        bool ends = cursor_is(c, 0, SQL_W_NOT) ? cursor_is(c, 1, SQL_W_NULL) : is_column_option(c);
        if (ends && !(starts && cursor_is(c, 0, SQL_W_NULL))) {
            break;
        }
        c->at += is_not ? 1 : 0;
        c->at += is_not && cursor_is(c, 0, SQL_W_NOT) ? 1 : 0;
        cursor_skip(c);
    }
    if (c->at == from) {
        return cursor_expected(c, err, "an expression behind DEFAULT");
    }
    column->default_expression = cursor_expression(c, from, c->at);
    return OK;
}

/* GENERATED ALWAYS AS ( e ) */
static Status column_generated(SqlCursor *c, SqlColumn *column, Error *err)
{
    Status rc;
    size_t from = c->at - 1;
    bool by_default = cursor_accept2(c, SQL_W_BY, SQL_W_DEFAULT);
    if (!by_default && (rc = cursor_expect(c, SQL_W_ALWAYS, "behind GENERATED", err)) != OK) {
        return rc;
    }
    if ((rc = cursor_expect(c, SQL_W_AS, "behind GENERATED ALWAYS", err)) != OK) {
        return rc;
    }
    if (cursor_is(c, 0, SQL_W_IDENTITY)) {
        return cursor_error(c, from, c->at + 1, err, "identity columns are not supported");
    }
    if (!cursor_is_op(c, 0, '(')) {
        return cursor_expected(c, err, "\"(\" behind GENERATED ALWAYS AS");
    }
    size_t open = c->at;
    cursor_skip(c);
    if (c->at == open + 2) {
        return cursor_error(c, open, c->at, err, "the expression of the generated column \"%.100s\" is empty",
                            column->name);
    }
    column->generated_expression = cursor_expression(c, open + 1, c->at - 1);
    return OK;
}

static Status column_option(SqlCursor *c, SqlColumn *column, Error *err)
{
    if (cursor_accept2(c, SQL_W_NOT, SQL_W_NULL)) {
        column->not_null = true;
        return OK;
    }
    if (cursor_accept(c, SQL_W_NULL)) {
        return OK;
    }
    if (cursor_accept(c, SQL_W_DEFAULT)) {
        return column_default(c, column, err);
    }
    if (cursor_accept(c, SQL_W_GENERATED)) {
        return column_generated(c, column, err);
    }
    if (cursor_accept(c, SQL_W_COMMENT)) {
        return cursor_string(c, "the comment as a string", &column->comment, err);
    }
    Status rc = cursor_expected(c, err, "NOT NULL, DEFAULT, GENERATED ALWAYS AS or COMMENT");
    if (cursor_is(c, 0, SQL_W_CHECK) || cursor_is(c, 0, SQL_W_CONSTRAINT)) {
        error_hint(err, "a rule for rows is its own entry of the list: CONSTRAINT name EXPECT (condition); "
                        "a CHECK is added by ALTER TABLE ... ADD CONSTRAINT");
    } else if (cursor_is(c, 0, SQL_W_PRIMARY) || cursor_is(c, 0, SQL_W_UNIQUE) || cursor_is(c, 0, SQL_W_REFERENCES)) {
        error_hint(err, "Delta tables enforce no keys");
    }
    return rc;
}

static Status parse_column(SqlCursor *c, bool typed, SqlColumn *column, Error *err)
{
    size_t from = c->at;
    Status rc = cursor_name(c, SQL_WORD_RESERVED, "a column name", &column->name, err);
    if (rc != OK || (rc = column_type(c, column, err)) != OK) {
        return rc;
    }
    if (typed && !column->type) {
        return cursor_expected(c, err, "the type of column \"%.100s\"", column->name);
    }
    while (!cursor_done(c) && !cursor_is_op(c, 0, ',')) {
        if ((rc = column_option(c, column, err)) != OK) {
            return rc;
        }
    }
    column->span = cursor_span(c, from, c->at);
    return OK;
}

/* ON VIOLATION { DROP ROW | FAIL UPDATE | QUARANTINE } */
static Status on_violation(SqlCursor *c, SqlViolation *out, Error *err)
{
    if (cursor_accept2(c, SQL_W_DROP, SQL_W_ROW)) {
        *out = SQL_VIOLATION_DROP;
    } else if (cursor_accept2(c, SQL_W_FAIL, SQL_W_UPDATE)) {
        *out = SQL_VIOLATION_FAIL;
    } else if (cursor_accept(c, SQL_W_QUARANTINE)) {
        *out = SQL_VIOLATION_QUARANTINE;
    } else {
        return cursor_expected(c, err, "DROP ROW, FAIL UPDATE or QUARANTINE");
    }
    return OK;
}

/* Behind CONSTRAINT: name EXPECT ( condition ) [ON VIOLATION ...] */
static Status parse_expectation(SqlCursor *c, SqlExpectation *out, Error *err)
{
    size_t from = c->at - 1;
    Status rc = cursor_name(c, SQL_WORD_COLUMN, "the name of the constraint", &out->name, err);
    if (rc != OK) {
        return rc;
    }
    if (!cursor_accept(c, SQL_W_EXPECT)) {
        rc = cursor_expected(c, err, "EXPECT (condition)");
        if (cursor_is(c, 0, SQL_W_CHECK)) {
            error_hint(err,
                       "a CHECK is added by ALTER TABLE ... ADD CONSTRAINT; EXPECT states what a row should fulfil");
        }
        return rc;
    }
    if (!cursor_is_op(c, 0, '(')) {
        return cursor_expected(c, err, "\"(\" behind EXPECT");
    }
    size_t open = c->at;
    cursor_skip(c);
    if (c->at == open + 2) {
        return cursor_error(c, open, c->at, err, "the condition of \"%.100s\" is empty", out->name);
    }
    out->condition = cursor_expression(c, open + 1, c->at - 1);
    out->condition_span = cursor_span(c, open + 1, c->at - 1);
    if (cursor_accept2(c, SQL_W_ON, SQL_W_VIOLATION) && (rc = on_violation(c, &out->on_violation, err)) != OK) {
        return rc;
    }
    out->span = cursor_span(c, from, c->at);
    return cursor_done(c) || cursor_is_op(c, 0, ',') ? OK : cursor_expected(c, err, "\",\", \")\" or ON VIOLATION");
}

/* One entry of the list; inside ends at its closing bracket. */
static Status parse_entry(SqlCursor *inside, SqlStatementKind kind, SqlList *columns, SqlList *expectations, Error *err)
{
    Status rc;
    bool constraint = cursor_is(inside, 0, SQL_W_CONSTRAINT) &&
                      sql_token_is_name(cursor_peek(inside, 1), SQL_WORD_COLUMN) &&
                      cursor_peek(inside, 2)->kind == SQL_TOKEN_WORD;
    if (!constraint) {
        bool typed = kind == SQL_CREATE_TABLE || kind == SQL_CREATE_STREAMING_TABLE;
        SqlColumn *column = sql_list_add(columns);
        rc = parse_column(inside, typed, column, err);
        return rc == OK ? sql_list_check(inside, columns, offsetof(SqlColumn, name), column->span, "column", err) : rc;
    }
    size_t from = inside->at++;
    SqlExpectation *expectation = sql_list_add(expectations);
    rc = parse_expectation(inside, expectation, err);
    if (rc == OK && kind != SQL_CREATE_STREAMING_TABLE && kind != SQL_CREATE_MATERIALIZED_VIEW) {
        return cursor_error(inside, from, inside->at, err, "%s takes no expectations", sql_statement_name(kind));
    }
    if (rc == OK) {
        rc = sql_list_check(inside, expectations, offsetof(SqlExpectation, name), expectation->span, "constraint", err);
    }
    return rc;
}

Status sql_parse_columns(SqlCursor *c, SqlStatement *out, Error *err)
{
    SqlList columns = SQL_LIST(SqlColumn), expectations = SQL_LIST(SqlExpectation);
    Status rc = OK;
    do {
        TRY(parse_entry(c, out->kind, &columns, &expectations, err));
    } while (cursor_accept_op(c, ','));
    out->columns = sql_list_take(&columns, c->arena, &out->n_columns);
    out->expectations = sql_list_take(&expectations, c->arena, &out->n_expectations);
out:
    sql_list_fini(&columns);
    sql_list_fini(&expectations);
    return rc;
}

Status sql_parse_column_list(SqlCursor *c, SqlStatement *out, Error *err)
{
    SqlCursor inside = *c;
    Status rc = OK;
    TRY(cursor_expect_op(&inside, '(', "before the columns", err));
    inside.end = c->tokens[c->at].match;
    TRY(sql_parse_columns(&inside, out, err));
    c->at = inside.end + 1;
out:
    return rc;
}
