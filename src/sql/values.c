#include "sql/values.h"

#include <string.h>

#include "sql/cursor.h"

/* The items between two brackets; adds them to the list and returns how many there are. */
static size_t cut_row(SqlCursor *row, SqlList *items, SqlValues *values)
{
    size_t n = 0;

    while (!cursor_done(row)) {
        size_t from = row->at;
        SqlValue *item = sql_list_add(items);
        while (!cursor_done(row) && !cursor_is_op(row, 0, ',')) {
            cursor_skip(row);
        }
        bool is_default = row->at == from + 1 && sql_token_is_word(&row->tokens[from], SQL_W_DEFAULT);
        item->is_string = row->at == from + 1 && row->tokens[from].kind == SQL_TOKEN_STRING;
        values->any_default |= is_default;
        values->any_string |= item->is_string;
        item->text = is_default ? NULL : cursor_slice(row, from, row->at);
        n++;
        (void)cursor_accept_op(row, ',');
    }
    return n;
}

bool sql_values_parse(const SqlText *query, Arena *arena, SqlValues *out)
{
    SqlTokens tokens = {0};
    SqlList items = SQL_LIST(SqlValue);
    SqlValues values = {0};
    bool fits = sql_lex(query, (SqlSpan){0, query->length}, &tokens, NULL) == OK;
    SqlCursor c = {.text = query, .tokens = tokens.items, .end = tokens.count, .arena = arena};

    fits = fits && cursor_accept(&c, SQL_W_VALUES);
    do {
        fits = fits && cursor_is_op(&c, 0, '(');
        if (fits) {
            SqlCursor row = c;
            row.at = c.at + 1;
            row.end = c.tokens[c.at].match;
            size_t n = cut_row(&row, &items, &values);
            fits = n > 0 && (values.n_rows == 0 || n == values.n_columns);
            values.n_columns = n;
            values.n_rows++;
            cursor_skip(&c);
        }
    } while (fits && cursor_accept_op(&c, ','));
    fits = fits && cursor_done(&c);
    if (fits) {
        size_t n = 0;
        values.items = sql_list_take(&items, arena, &n);
        *out = values;
    }
    sql_list_fini(&items);
    sql_tokens_fini(&tokens);
    return fits;
}

bool sql_is_string(const char *expression)
{
    SqlText text = {.name = "expression", .data = expression, .length = strlen(expression)};
    SqlTokens tokens = {0};
    bool is = sql_lex(&text, (SqlSpan){0, text.length}, &tokens, NULL) == OK && tokens.count == 1 &&
              tokens.items[0].kind == SQL_TOKEN_STRING;

    sql_tokens_fini(&tokens);
    return is;
}
