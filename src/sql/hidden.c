/* The hidden column of read_files: a statement that names _metadata gets it, and `*` does not show it.
 *
 * The relation has the column as soon as the statement names it. So every `*` of the select list over the relation becomes
 * `* EXCLUDE (_metadata)`, a list that the user excludes grows by the name, and alias.* is treated alike.
 */
#include <string.h>

#include "sql/query_int.h"

typedef struct Hider {
    const SqlText *text;
    const SqlToken *tokens;
    size_t count;
    Arena *arena;
    SqlList *edits;
} Hider;

static bool spells(const Hider *h, size_t at, const char *name)
{
    const SqlToken *token = &h->tokens[at];
    bool text = token->kind == SQL_TOKEN_WORD || token->kind == SQL_TOKEN_NAME;

    return text && str_ieq(sql_token_value(h->text, token, h->arena), name);
}

static bool names_between(const Hider *h, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (spells(h, i, "_metadata")) {
            return true;
        }
    }
    return false;
}

static void insert(const Hider *h, size_t byte, const char *text)
{
    *(SqlPiece *)sql_list_add(h->edits) = (SqlPiece){.kind = SQL_PIECE_EDIT,
                                                     .source = {byte, byte},
                                                     .data = text,
                                                     .length = strlen(text),
                                                     .order = h->edits->count - 1};
}

/* The word SELECT that the FROM list around token `at` belongs to, `count` when there is none before it. */
static size_t select_before(const Hider *h, size_t at)
{
    while (at-- > 0) {
        const SqlToken *token = &h->tokens[at];
        if (token->match < at) {
            at = token->match;
        } else if (token->match > at || sql_token_is_op(token, ';')) {
            break;
        } else if (sql_token_is_word(token, SQL_W_SELECT)) {
            return at;
        }
    }
    return h->count;
}

/* Is the `*` at `at` a whole item of a select list, for all columns or for those of `alias`? */
static bool is_star(const Hider *h, size_t at, const char *alias)
{
    const SqlToken *next = &h->tokens[at + 1], *before = &h->tokens[at - 1];

    if (!sql_token_is_op(&h->tokens[at], '*')) {
        return false;
    }
    bool ends = sql_token_is_op(next, ',') || sql_token_is_word(next, SQL_W_FROM) || spells(h, at + 1, "exclude") ||
                spells(h, at + 1, "replace") || spells(h, at + 1, "rename");
    bool all = sql_token_is_op(before, ',') || sql_token_is_op(before, ')') ||
               sql_token_is_word(before, SQL_W_SELECT) || spells(h, at - 1, "distinct") || spells(h, at - 1, "all");
    return ends && (all || (sql_token_is_op(before, '.') && spells(h, at - 2, alias)));
}

static void hide_in_star(const Hider *h, size_t at)
{
    if (!spells(h, at + 1, "exclude")) {
        insert(h, h->tokens[at].end, " EXCLUDE (_metadata)");
    } else if (!sql_token_is_op(&h->tokens[at + 2], '(')) {
        insert(h, h->tokens[at + 2].begin, "(_metadata, ");
        insert(h, h->tokens[at + 2].end, ")");
    } else if (!names_between(h, at + 3, h->tokens[at + 2].match)) {
        insert(h, h->tokens[at + 2].end, "_metadata, ");
    }
}

void sql_hide_metadata(const SqlQuery *query, const SqlTokens *tokens, const SqlList *relations, SqlList *edits)
{
    Hider hider = {&query->text, tokens->items, tokens->count, query->arena, edits};

    if (!names_between(&hider, 0, tokens->count)) {
        return;
    }
    size_t done = 0; /* stars before this token are dealt with */
    for (size_t i = 0; i < relations->count; i++) {
        const SqlRelation *relation = &((const SqlRelation *)relations->items)[i];
        size_t at = 0;
        if (relation->kind != SQL_RELATION_FUNCTION || strcmp(relation->name, "read_files") != 0) {
            continue;
        }
        while (at < tokens->count && tokens->items[at].begin < relation->span.begin) {
            at++;
        }
        size_t item = select_before(&hider, at);
        for (item = item + 1 > done ? item + 1 : done; item < at; item++) {
            if (is_star(&hider, item, relation->alias)) {
                hide_in_star(&hider, item);
            } else if (tokens->items[item].match > item) {
                item = tokens->items[item].match;
            }
        }
        done = at > done ? at : done;
    }
}
