/* The hidden column of files and of tables with row tracking: a statement that names _metadata gets it, and `*` does
 * not show it.
 *
 * The relation has the column as soon as the statement names it. So every `*` of the select list over the relation
 * becomes `* EXCLUDE (_metadata)`, a list that the user excludes grows by the name, and alias.* is treated alike.
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

/* The stars of the select list over the relation whose first token is `at`. */
static void hide_in_list(const Hider *h, const SqlRelation *relation, size_t at, bool *done)
{
    for (size_t item = select_before(h, at) + 1; item < at; item++) {
        if (is_star(h, item, relation->alias)) {
            if (!done[item]) {
                hide_in_star(h, item);
            }
            done[item] = true;
        } else if (h->tokens[item].match > item) {
            item = h->tokens[item].match;
        }
    }
}

static bool has_metadata(const SqlRelation *relation)
{
    bool files = relation->kind == SQL_RELATION_FUNCTION && strcmp(relation->name, "read_files") == 0;

    return files || relation->metadata;
}

void sql_apply_edits(SqlQuery *query, const SqlTokens *tokens)
{
    SqlList edits = SQL_LIST(SqlPiece);
    Hider hider = {&query->text, tokens->items, tokens->count, query->arena, &edits};
    bool *done = arena_alloc(query->arena, tokens->count + 1);

    for (size_t i = 0; i < query->n_edits; i++) {
        *(SqlPiece *)sql_list_add(&edits) = query->edits[i];
    }
    memset(done, 0, tokens->count + 1);
    bool named = names_between(&hider, 0, tokens->count);
    for (size_t i = 0; named && i < query->n_relations; i++) {
        const SqlRelation *relation = &query->relations[i];
        size_t at = 0;
        while (at < tokens->count && tokens->items[at].begin < relation->span.begin) {
            at++;
        }
        if (has_metadata(relation)) {
            hide_in_list(&hider, relation, at, done);
        }
    }
    sql_query_set_edits(query, edits.items, edits.count);
    sql_list_fini(&edits);
}

Status sql_query_hide_metadata(SqlQuery *query, size_t relation, Error *err)
{
    SqlTokens tokens = {0};
    Status rc = OK;

    TRY(sql_lex(&query->text, query->span, &tokens, err));
    query->relations[relation].metadata = true;
    sql_apply_edits(query, &tokens);
out:
    sql_tokens_fini(&tokens);
    return rc;
}
