/* Literals, WITH (...), TBLPROPERTIES (...), OPTIONS (...) and the arguments of table functions. */
#include <string.h>

#include "sql/cursor.h"

bool sql_needs_unit(const char *interval)
{
    return strspn(interval, "+-0123456789. ") == strlen(interval);
}

/* DATE '...', TIMESTAMP '...', INTERVAL '5 minutes', INTERVAL 5 MINUTES: the value is the text inside. */
static bool accept_typed_literal(SqlCursor *c, SqlOption *out)
{
    static const SqlWord TYPES[] = {SQL_W_DATE,          SQL_W_TIME,          SQL_W_TIMESTAMP, SQL_W_TIMESTAMPTZ,
                                    SQL_W_TIMESTAMP_NTZ, SQL_W_TIMESTAMP_LTZ, SQL_W_INTERVAL};
    bool typed = false;
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        typed = typed || cursor_is(c, 0, TYPES[i]);
    }
    const SqlToken *next = cursor_peek(c, 1), *unit = cursor_peek(c, 2);
    bool interval = cursor_is(c, 0, SQL_W_INTERVAL) && unit->kind == SQL_TOKEN_WORD &&
                    (next->kind == SQL_TOKEN_STRING || next->kind == SQL_TOKEN_NUMBER);
    if (!typed || (next->kind != SQL_TOKEN_STRING && !interval)) {
        return false;
    }
    out->value = sql_token_value(c->text, next, c->arena);
    out->is_string = true;
    c->at += 2;
    if (interval && sql_needs_unit(out->value)) {
        out->value = arena_printf(c->arena, "%s %s", out->value, sql_token_value(c->text, unit, c->arena));
        c->at++;
    }
    return true;
}

static Status list_literal(SqlCursor *c, SqlOption *out, Error *err)
{
    size_t from = c->at, close = c->tokens[c->at].match;
    c->at++;
    while (c->at < close) {
        SqlOption item = {0};
        Status rc = cursor_literal(c, &item, err);
        if (rc != OK) {
            return rc;
        }
        if (!cursor_accept_op(c, ',') && c->at != close) {
            return cursor_expected(c, err, "\",\" or \"]\" in the list");
        }
    }
    c->at = close + 1;
    out->value = cursor_slice(c, from, c->at);
    out->is_list = true;
    return OK;
}

Status cursor_literal(SqlCursor *c, SqlOption *out, Error *err)
{
    const SqlToken *token = cursor_peek(c, 0);
    bool sign = sql_token_is_op(token, '-') || sql_token_is_op(token, '+');
    if (sql_token_is_op(token, '[')) {
        return list_literal(c, out, err);
    }
    if (accept_typed_literal(c, out)) {
        return OK;
    }
    if (sign && cursor_peek(c, 1)->kind == SQL_TOKEN_NUMBER) {
        const char *number = sql_token_value(c->text, cursor_peek(c, 1), c->arena);
        out->value = sql_token_is_op(token, '-') ? arena_printf(c->arena, "-%s", number) : number;
        c->at += 2;
        return OK;
    }
    if (token->kind != SQL_TOKEN_STRING && token->kind != SQL_TOKEN_NUMBER && token->kind != SQL_TOKEN_WORD) {
        Status rc = cursor_expected(c, err, "a value");
        if (token->kind == SQL_TOKEN_NAME) {
            error_hint(err, "strings stand in 'single quotes'");
        }
        return rc;
    }
    if (token->kind == SQL_TOKEN_WORD && cursor_is_op(c, 1, '(')) {
        return cursor_error(c, c->at, c->at + 2, err, "a value must be a literal, not an expression");
    }
    out->value = sql_token_value(c->text, token, c->arena);
    out->is_string = token->kind == SQL_TOKEN_STRING;
    c->at++;
    return OK;
}

Status cursor_key(SqlCursor *c, const char *what, const char **out, Error *err)
{
    const SqlToken *token = cursor_peek(c, 0);
    if (token->kind != SQL_TOKEN_STRING && token->kind != SQL_TOKEN_NAME && token->kind != SQL_TOKEN_WORD) {
        return cursor_expected(c, err, "%s", what);
    }
    Text key = TEXT(SQL_TEXT_MAX);
    text_append(&key, sql_token_value(c->text, token, c->arena));
    c->at++;
    while (token->kind == SQL_TOKEN_WORD && cursor_is_op(c, 0, '.') &&
           sql_token_is_name(cursor_peek(c, 1), SQL_WORD_RESERVED)) {
        text_append_char(&key, '.');
        text_append(&key, sql_token_value(c->text, cursor_peek(c, 1), c->arena));
        c->at += 2;
    }
    *out = arena_strdup(c->arena, text_str(&key));
    text_free(&key);
    return OK;
}

Status cursor_options(SqlCursor *c, const SqlOption **out, size_t *n, Error *err)
{
    SqlList options = SQL_LIST(SqlOption);
    Status rc = OK;
    TRY(cursor_expect_op(c, '(', "before the options", err));
    while (!cursor_is_op(c, 0, ')')) {
        SqlOption *option = sql_list_add(&options);
        size_t from = c->at;
        TRY(cursor_key(c, "the name of an option", &option->key, err));
        if (!cursor_accept_op(c, '=') && !cursor_accept_op(c, SQL_OP_ARROW)) {
            TRY(cursor_expected(c, err, "\"=\" behind \"%.100s\"", option->key));
        }
        TRY(cursor_literal(c, option, err));
        option->span = cursor_span(c, from, c->at);
        TRY(sql_list_check(c, &options, offsetof(SqlOption, key), option->span, "option", err));
        if (!cursor_accept_op(c, ',')) {
            break;
        }
    }
    TRY(cursor_expect_op(c, ')', "or \",\" behind the option", err));
    *out = sql_list_take(&options, c->arena, n);
out:
    sql_list_fini(&options);
    return rc;
}

Status cursor_arguments(SqlCursor *c, const SqlOption **out, size_t *n, Error *err)
{
    SqlList options = SQL_LIST(SqlOption);
    Status rc = OK;
    bool named = false;
    TRY(cursor_expect_op(c, '(', "before the arguments", err));
    while (!cursor_is_op(c, 0, ')')) {
        SqlOption *option = sql_list_add(&options);
        size_t from = c->at;
        const SqlToken *next = cursor_peek(c, 1);
        bool has_name = sql_token_is_op(next, SQL_OP_ARROW) || sql_token_is_op(next, SQL_OP_ASSIGN) ||
                        sql_token_is_op(next, '=') || sql_token_is_op(next, '.');
        if (has_name) {
            TRY(cursor_key(c, "the name of an option", &option->key, err));
            if (!cursor_accept_op(c, SQL_OP_ARROW) && !cursor_accept_op(c, SQL_OP_ASSIGN) &&
                !cursor_accept_op(c, '=')) {
                TRY(cursor_expected(c, err, "\"=>\" behind \"%.100s\"", option->key));
            }
        } else if (named) {
            TRY(cursor_expected(c, err, "\"name => value\" behind a named argument"));
        }
        named = named || has_name;
        TRY(cursor_literal(c, option, err));
        option->span = cursor_span(c, from, c->at);
        TRY(sql_list_check(c, &options, offsetof(SqlOption, key), option->span, "option", err));
        if (!cursor_accept_op(c, ',')) {
            break;
        }
    }
    TRY(cursor_expect_op(c, ')', "or \",\" behind the argument", err));
    *out = sql_list_take(&options, c->arena, n);
out:
    sql_list_fini(&options);
    return rc;
}
