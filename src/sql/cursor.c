/* Steps of hand-written parsers, and the errors that say what was expected. */
#include "sql/cursor.h"

#include <stdio.h>
#include <string.h>

static const SqlToken END_TOKEN = {.kind = SQL_TOKEN_END};

const SqlToken *cursor_peek(const SqlCursor *c, size_t ahead)
{
    return c->at < c->end && c->end - c->at > ahead ? &c->tokens[c->at + ahead] : &END_TOKEN;
}

bool cursor_done(const SqlCursor *c)
{
    return c->at >= c->end;
}

bool cursor_is(const SqlCursor *c, size_t ahead, SqlWord word)
{
    return sql_token_is_word(cursor_peek(c, ahead), word);
}

bool cursor_is_op(const SqlCursor *c, size_t ahead, int op)
{
    return sql_token_is_op(cursor_peek(c, ahead), op);
}

bool cursor_accept(SqlCursor *c, SqlWord word)
{
    bool is = cursor_is(c, 0, word);
    c->at += is;
    return is;
}

bool cursor_accept2(SqlCursor *c, SqlWord first, SqlWord second)
{
    bool is = cursor_is(c, 0, first) && cursor_is(c, 1, second);
    c->at += is ? 2 : 0;
    return is;
}

bool cursor_accept_op(SqlCursor *c, int op)
{
    bool is = cursor_is_op(c, 0, op);
    c->at += is;
    return is;
}

bool cursor_accept_text(SqlCursor *c, const char *word)
{
    const SqlToken *token = cursor_peek(c, 0);

    if (token->kind != SQL_TOKEN_WORD || !str_ieq(sql_token_value(c->text, token, c->arena), word)) {
        return false;
    }
    c->at++;
    return true;
}

void cursor_skip(SqlCursor *c)
{
    if (!cursor_done(c)) {
        size_t match = c->tokens[c->at].match;
        c->at = match > c->at ? match + 1 : c->at + 1;
    }
}

SqlSpan cursor_span(const SqlCursor *c, size_t from, size_t to)
{
    if (from < to) {
        return (SqlSpan){c->tokens[from].begin, c->tokens[to - 1].end};
    }
    size_t place = from < c->end ? c->tokens[from].begin : c->end > 0 ? c->tokens[c->end - 1].end : 0;
    return (SqlSpan){place, place};
}

const char *cursor_slice(const SqlCursor *c, size_t from, size_t to)
{
    SqlSpan span = cursor_span(c, from, to);
    return arena_strndup(c->arena, c->text->data + span.begin, span.end - span.begin);
}

const char *cursor_expression(const SqlCursor *c, size_t from, size_t to)
{
    Text out = TEXT(2 * SQL_TEXT_MAX);
    size_t copied = cursor_span(c, from, to).begin;
    for (size_t i = from; i < to; i++) {
        const SqlToken *token = &c->tokens[i];
        if (token->kind == SQL_TOKEN_NAME && c->text->data[token->begin] == '`') {
            text_append_n(&out, c->text->data + copied, token->begin - copied);
            text_append_sql_name(&out, sql_token_value(c->text, token, c->arena));
            copied = token->end;
        }
    }
    text_append_n(&out, c->text->data + copied, cursor_span(c, from, to).end - copied);
    const char *expression = arena_strdup(c->arena, text_str(&out));
    text_free(&out);
    return expression;
}

Status cursor_error(const SqlCursor *c, size_t from, size_t to, Error *err, const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    Status rc = error_set(err, E_SQL_PARSE, "%s", message);
    sql_error_place(err, c->text, cursor_span(c, from, to));
    return rc;
}

/* What stands at the next token, for a message; long tokens are cut. */
static void describe_next(const SqlCursor *c, char *out, size_t n)
{
    const SqlToken *token = cursor_peek(c, 0);
    if (token->kind == SQL_TOKEN_END) {
        snprintf(out, n, "the end of the statement");
        return;
    }
    size_t length = token->end - token->begin, cut = length < 40 ? length : 40;
    while (cut < length && cut > 0 && ((unsigned char)c->text->data[token->begin + cut] & 0xC0) == 0x80) {
        cut--;
    }
    bool quoted = token->kind == SQL_TOKEN_STRING || token->kind == SQL_TOKEN_NAME;
    snprintf(out, n, "%s%.*s%s%s", quoted ? "" : "\"", (int)cut, c->text->data + token->begin,
             cut < length ? "..." : "", quoted ? "" : "\"");
}

Status cursor_expected(const SqlCursor *c, Error *err, const char *format, ...)
{
    char what[256], found[80];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    describe_next(c, found, sizeof found);
    return cursor_error(c, c->at, cursor_done(c) ? c->at : c->at + 1, err, "expected %s, found %s", what, found);
}

/* Words of keywords.def are lower case, but statements are written in capitals. */
static void upper_word(SqlWord word, char out[32])
{
    snprintf(out, 32, "%s", sql_word_text(word));
    for (char *p = out; *p; p++) {
        *p = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
    }
}

Status cursor_expect(SqlCursor *c, SqlWord word, const char *after, Error *err)
{
    if (cursor_accept(c, word)) {
        return OK;
    }
    char name[32];
    upper_word(word, name);
    return cursor_expected(c, err, "%s %s", name, after);
}

Status cursor_expect_op(SqlCursor *c, char op, const char *after, Error *err)
{
    if (cursor_accept_op(c, op)) {
        return OK;
    }
    return cursor_expected(c, err, "\"%c\" %s", op, after);
}

Status cursor_name(SqlCursor *c, SqlWordClass class, const char *what, const char **out, Error *err)
{
    const SqlToken *token = cursor_peek(c, 0);
    if (!sql_token_is_name(token, class)) {
        Status rc = cursor_expected(c, err, "%s", what);
        if (token->kind == SQL_TOKEN_WORD) {
            error_hint(err, "\"%s\" is a reserved word; as a name it needs back-quotes",
                       sql_word_text((SqlWord)token->word));
        } else if (token->kind == SQL_TOKEN_STRING) {
            error_hint(err, "names are written without quotes, or in `back-quotes` or \"double quotes\"");
        }
        return rc;
    }
    c->at++;
    *out = sql_token_value(c->text, token, c->arena);
    return OK;
}

Status cursor_string(SqlCursor *c, const char *what, const char **out, Error *err)
{
    const SqlToken *token = cursor_peek(c, 0);
    if (token->kind != SQL_TOKEN_STRING) {
        Status rc = cursor_expected(c, err, "%s", what);
        if (token->kind == SQL_TOKEN_NAME) {
            error_hint(err, "strings stand in 'single quotes'");
        }
        return rc;
    }
    c->at++;
    *out = sql_token_value(c->text, token, c->arena);
    return OK;
}

bool cursor_is_default_schema(const SqlCursor *c)
{
    return cursor_is(c, 0, SQL_W_DEFAULT) && cursor_is_op(c, 1, '.');
}

Status cursor_schema_name(SqlCursor *c, const char **out, Error *err)
{
    return cursor_name(c, cursor_is(c, 0, SQL_W_DEFAULT) ? SQL_WORD_RESERVED : SQL_WORD_COLUMN, "the name of a schema",
                       out, err);
}

Status cursor_table_name(SqlCursor *c, bool path_string, SqlName *out, Error *err)
{
    SqlName name = {0};
    size_t from = c->at;
    if (path_string && cursor_peek(c, 0)->kind == SQL_TOKEN_STRING) {
        name.path = sql_token_value(c->text, cursor_peek(c, 0), c->arena);
        c->at++;
    } else {
        SqlWordClass class = cursor_is_default_schema(c) ? SQL_WORD_RESERVED : SQL_WORD_COLUMN;
        Status rc = cursor_name(c, class, "the name of a table", &name.name, err);
        if (rc != OK) {
            return rc;
        }
        if (cursor_accept_op(c, '.')) {
            bool quoted = cursor_peek(c, 0)->kind == SQL_TOKEN_NAME;
            name.schema = name.name;
            rc = cursor_name(c, SQL_WORD_RESERVED, "the name of a table", &name.name, err);
            if (rc != OK) {
                return rc;
            }
            if (quoted && str_ieq(name.schema, "delta")) {
                name = (SqlName){.path = name.name};
            }
        }
        if (cursor_is_op(c, 0, '.')) {
            rc = cursor_error(c, from, c->at + 2 < c->end ? c->at + 2 : c->at, err, "a name has at most two parts");
            error_hint(err, "the warehouse is chosen by --warehouse: write schema.table");
            return rc;
        }
    }
    if (name.path && !*name.path) {
        return cursor_error(c, from, c->at, err, "the place of the table is empty");
    }
    name.span = cursor_span(c, from, c->at);
    *out = name;
    return OK;
}

Status cursor_name_list(SqlCursor *c, const char *what, const char *const **out, size_t *n, Error *err)
{
    SqlList names = SQL_LIST(const char *);
    Status rc = OK;
    TRY(cursor_expect_op(c, '(', "before the list of names", err));
    do {
        const char *name = NULL;
        TRY(cursor_name(c, SQL_WORD_RESERVED, what, &name, err));
        *(const char **)sql_list_add(&names) = name;
        TRY(sql_list_check(c, &names, 0, cursor_span(c, c->at - 1, c->at), "the name", err));
    } while (cursor_accept_op(c, ','));
    TRY(cursor_expect_op(c, ')', "behind the list of names", err));
    *out = sql_list_take(&names, c->arena, n);
out:
    sql_list_fini(&names);
    return rc;
}

/* ---- lists ---- */

void *sql_list_add(SqlList *list)
{
    list->items = mem_grow(list->items, list->count, &list->capacity, list->size);
    char *item = (char *)list->items + list->count++ * list->size;
    memset(item, 0, list->size);
    return item;
}

void *sql_list_take(SqlList *list, Arena *arena, size_t *n)
{
    *n = list->count;
    if (!list->count) {
        return NULL;
    }
    void *copy = arena_alloc(arena, list->count * list->size);
    memcpy(copy, list->items, list->count * list->size);
    return copy;
}

static const char *name_at(const SqlList *list, size_t i, size_t offset)
{
    const char *name;
    memcpy(&name, (const char *)list->items + i * list->size + offset, sizeof name);
    return name;
}

Status sql_list_check(const SqlCursor *c, const SqlList *list, size_t name_offset, SqlSpan span, const char *what,
                      Error *err)
{
    const char *last = name_at(list, list->count - 1, name_offset);
    if (list->count > SQL_LIST_MAX) {
        Status rc = error_set(err, E_LIMIT, "a list has more than %d elements", SQL_LIST_MAX);
        sql_error_place(err, c->text, span);
        return rc;
    }
    for (size_t i = 0; last && i + 1 < list->count; i++) {
        const char *name = name_at(list, i, name_offset);
        if (name && str_ieq(name, last)) {
            Status rc = error_set(err, E_SQL_PARSE, "%s \"%.100s\" stands twice", what, last);
            sql_error_place(err, c->text, span);
            return rc;
        }
    }
    return OK;
}

void sql_list_fini(SqlList *list)
{
    mem_free(list->items);
    *list = (SqlList){.size = list->size};
}
