/* Places for errors of lower layers, which know names and not the text that they stand in. */
#include <string.h>

#include "base/mem.h"
#include "sql/lexer.h"
#include "sql/statement.h"

void sql_property_place(const SqlText *text, const SqlStatement *statement, Error *err)
{
    if (err == NULL || err->id != E_DELTA_PROPERTY || err->place.line != 0) {
        return;
    }
    for (size_t i = 0; i < statement->n_properties; i++) {
        const char *named = strstr(err->message, statement->properties[i].key);
        if (named != NULL && named[strlen(statement->properties[i].key)] == '\'') {
            sql_error_place(err, text, statement->properties[i].span);
            return;
        }
    }
}

/* Errors whose message names a column in quotes. */
static const ErrorId ABOUT_COLUMNS[] = {E_DELTA_SCHEMA, E_DELTA_NAME, E_DELTA_TYPE, E_DELTA_NOT_NULL,
                                        E_DELTA_PROTOCOL_WRITE};

static bool is_about_columns(const Error *err)
{
    for (size_t i = 0; i < sizeof ABOUT_COLUMNS / sizeof *ABOUT_COLUMNS; i++) {
        if (err->id == ABOUT_COLUMNS[i]) {
            return true;
        }
    }
    return false;
}

/* The first name in quotes from *at on, in `arena`, and *at behind it; NULL: no further one. */
static const char *quoted_name(const char **at, Arena *arena)
{
    const char *begin = *at + strcspn(*at, "\"'");
    const char *end = *begin != '\0' ? strchr(begin + 1, *begin) : NULL;

    *at = end != NULL ? end + 1 : begin + strlen(begin);
    return end != NULL ? arena_strndup(arena, begin + 1, (size_t)(end - begin - 1)) : NULL;
}

/* The only token that spells the name; NULL: none or several. */
static const SqlToken *only_token(const SqlText *text, const SqlTokens *tokens, const char *name, Arena *arena)
{
    const SqlToken *found = NULL;
    size_t n = 0;

    for (size_t i = 0; i < tokens->count; i++) {
        const SqlToken *token = &tokens->items[i];
        if (sql_token_is_name(token, SQL_WORD_RESERVED) && str_ieq(sql_token_value(text, token, arena), name)) {
            found = token;
            n++;
        }
    }
    return n == 1 ? found : NULL;
}

void sql_column_place(const SqlText *text, const SqlStatement *statement, Error *err)
{
    if (err == NULL || err->place.line != 0 || !is_about_columns(err)) {
        return;
    }
    Arena *arena = arena_new();
    SqlTokens tokens = {0};
    const char *at = err->message, *name = NULL;

    if (sql_lex(text, statement->span, &tokens, NULL) == OK) {
        while (err->place.line == 0 && (name = quoted_name(&at, arena)) != NULL) {
            const SqlToken *token = only_token(text, &tokens, name, arena);
            if (token != NULL) {
                sql_error_place(err, text, (SqlSpan){token->begin, token->end});
            }
        }
    }
    sql_tokens_fini(&tokens);
    arena_free(arena);
}
