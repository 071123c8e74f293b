/* Time functions become the batch's constant: found in the tree, replaced in the text. */
#include <stdlib.h>
#include <string.h>

#include "sql/tree.h"

typedef struct Fixer {
    const SqlQuery *query;
    SqlText text; /* the rewritten one, and its tokens */
    SqlTokens tokens;
    Arena *arena;
    SqlList fixes; /* SqlReplacement */
} Fixer;

static Status lost(const Fixer *f, const SqlTimeFunction *function, int64_t location, Error *err)
{
    Status rc = error_set(err, E_SQL_PARSE, "the time of %s cannot be fixed here", function->name);
    sql_query_place(f->query, location, err);
    error_hint(err, "write it as a call of its own, as in now()");
    return rc;
}

static void add_fix(Fixer *f, size_t begin, size_t end, const char *text)
{
    *(SqlReplacement *)sql_list_add(&f->fixes) = (SqlReplacement){.begin = begin, .end = end, .text = text};
}

/* The name DuckDB would give the column, where the call is all of it: the replacement must not rename the result. */
static const char *column_name(const Fixer *f, const json_t *node, const SqlTimeFunction *function)
{
    const char *name = function->arguments < 0
                           ? json_string_value(json_array_get(json_object_get(node, "column_names"), 0))
                           : arena_printf(f->arena, "%s()", sql_tree_string(node, "function_name"));
    Text text = TEXT(1024);
    text_append(&text, " AS ");
    text_append_sql_name(&text, name);
    const char *alias = arena_strdup(f->arena, text_str(&text));
    text_free(&text);
    return alias;
}

/* Index of the token that begins at `offset`; the number of tokens when none does. */
static size_t token_at(const Fixer *f, size_t offset)
{
    size_t low = 0, high = f->tokens.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (f->tokens.items[middle].begin < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < f->tokens.count && f->tokens.items[low].begin == offset ? low : f->tokens.count;
}

/* Reads the call in the text: [schema .] name [( ... )]. */
static Status fix_call(Fixer *f, const json_t *node, const SqlTimeFunction *function, bool column, Error *err)
{
    int64_t location = sql_tree_location(node);
    const SqlToken *tokens = f->tokens.items;
    size_t begin = (size_t)location, name = location < 0 ? f->tokens.count : token_at(f, begin);
    bool call = function->arguments >= 0;
    while (name + 2 < f->tokens.count && sql_token_is_op(&tokens[name + 1], '.')) {
        name += 2;
    }
    if (!tokens || name == f->tokens.count ||
        !str_ieq(sql_token_value(&f->text, &tokens[name], f->arena), function->name) ||
        (call && !sql_token_is_op(&tokens[name + 1], '('))) {
        return lost(f, function, location, err);
    }
    size_t close = call ? tokens[tokens[name + 1].match].end : tokens[name].end;
    if (function->arguments > 0) {
        add_fix(f, begin, tokens[name + 1].end, function->head);
        add_fix(f, close - 1, close, function->tail);
    } else {
        const char *alias = column && !sql_tree_has(node, "alias") ? column_name(f, node, function) : "";
        add_fix(f, begin, close, arena_printf(f->arena, "%s%s", function->head, alias));
    }
    return OK;
}

/* `column`: the node is an element of a select list. */
static Status find_calls(Fixer *f, const json_t *node, bool column, Error *err)
{
    const char *key;
    const json_t *value;
    size_t i;
    Status rc = OK;
    const SqlTimeFunction *function = sql_tree_time(f->query, node);
    if (function && (rc = fix_call(f, node, function, column, err)) != OK) {
        return rc;
    }
    if (json_is_array(node)) {
        json_array_foreach(node, i, value)
        {
            if ((rc = find_calls(f, value, column, err)) != OK) {
                return rc;
            }
        }
    } else if (json_is_object(node)) {
        json_object_foreach((json_t *)node, key, value)
        {
            if ((rc = find_calls(f, value, strcmp(key, "select_list") == 0, err)) != OK) {
                return rc;
            }
        }
    }
    return OK;
}

static int by_place(const void *a, const void *b)
{
    const SqlReplacement *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

/* Sorts, and drops what a node brought that stands twice in the tree. */
static size_t sort_fixes(SqlReplacement *fixes, size_t n)
{
    size_t kept = 0;
    if (n) {
        qsort(fixes, n, sizeof *fixes, by_place);
    }
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || fixes[i].begin != fixes[kept - 1].begin) {
            fixes[kept++] = fixes[i];
        }
    }
    return kept;
}

Status sql_query_fix_time(DuckConn *conn, SqlQuery *query, Error *err)
{
    json_t *owner = NULL;
    const json_t *tree = NULL;
    Fixer f = {
        .query = query,
        .text = {.name = query->text.name, .data = query->rewritten, .length = query->length},
        .arena = query->arena,
        .fixes = SQL_LIST(SqlReplacement),
    };
    Status rc = OK;
    TRY(sql_tree_parse(conn, query, &owner, &tree, err));
    TRY(sql_lex(&f.text, (SqlSpan){0, f.text.length}, &f.tokens, err));
    TRY(find_calls(&f, tree, false, err));
    size_t n = sort_fixes(f.fixes.items, f.fixes.count);
    if (n) {
        sql_query_replace(query, f.fixes.items, n);
    }
out:
    sql_list_fini(&f.fixes);
    sql_tokens_fini(&f.tokens);
    json_decref(owner);
    return rc;
}
