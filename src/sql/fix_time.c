/* Time functions become the batch's constant: found in the tree, replaced in the text, from the last to the first. */
#include <stdlib.h>
#include <string.h>

#include "sql/tree.h"

typedef struct Fix {
    size_t begin, end; /* bytes of the rewritten text */
    const char *text;
} Fix;

typedef struct Fixer {
    const SqlQuery *query;
    SqlText text; /* the rewritten one */
    Arena *arena;
    SqlList fixes;
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
    *(Fix *)sql_list_add(&f->fixes) = (Fix){.begin = begin, .end = end, .text = text};
}

/* The name DuckDB would give the column, where the call is all of it: the replacement must not rename the result. */
static const char *column_name(const Fixer *f, const json_t *node, const SqlTimeFunction *function)
{
    const char *name = function->arguments < 0 ? json_string_value(json_array_get(json_object_get(node, "column_names"), 0))
                                               : arena_printf(f->arena, "%s()", sql_tree_string(node, "function_name"));
    Text text = TEXT(1024);
    text_append(&text, " AS ");
    text_append_sql_name(&text, name);
    const char *alias = arena_strdup(f->arena, text_str(&text));
    text_free(&text);
    return alias;
}

/* Reads the call in the text: [schema .] name [( ... )]. */
static Status fix_call(Fixer *f, const json_t *node, const SqlTimeFunction *function, bool column, Error *err)
{
    int64_t location = sql_tree_location(node);
    SqlTokens tokens = {0};
    Status rc = OK;
    if (location < 0 || (size_t)location >= f->text.length)
        return lost(f, function, location, err);
    TRY(sql_lex(&f->text, (SqlSpan){0, f->text.length}, &tokens, err));
    size_t at = 0;
    while (at < tokens.count && tokens.items[at].begin < (size_t)location)
        at++;
    size_t name = at;
    while (name + 2 < tokens.count && sql_token_is_op(&tokens.items[name + 1], '.'))
        name += 2;
    if (tokens.items[at].begin != (size_t)location || !str_ieq(sql_token_value(&f->text, &tokens.items[name], f->arena), function->name))
        TRY(lost(f, function, location, err));
    const SqlToken *open = &tokens.items[name + (name < tokens.count)];
    if (function->arguments >= 0 && !sql_token_is_op(open, '('))
        TRY(lost(f, function, location, err));
    size_t end = tokens.items[name].end, close = function->arguments >= 0 ? tokens.items[open->match].end : end;
    const char *alias = column && !sql_tree_has(node, "alias") && function->arguments <= 0 ? column_name(f, node, function) : "";
    if (function->arguments > 0) {
        add_fix(f, (size_t)location, open->end, function->head);
        add_fix(f, close - 1, close, function->tail);
    } else {
        add_fix(f, (size_t)location, close, arena_printf(f->arena, "%s%s", function->head, alias));
    }
out:
    sql_tokens_fini(&tokens);
    return rc;
}

/* `column`: the node is an element of a select list. */
static Status find_calls(Fixer *f, const json_t *node, bool column, Error *err)
{
    const char *key;
    const json_t *value;
    size_t i;
    Status rc = OK;
    const SqlTimeFunction *function = sql_tree_time(f->query, node);
    if (function && (rc = fix_call(f, node, function, column, err)) != OK)
        return rc;
    if (json_is_array(node)) {
        json_array_foreach(node, i, value)
        {
            if ((rc = find_calls(f, value, column, err)) != OK)
                return rc;
        }
    } else if (json_is_object(node)) {
        json_object_foreach((json_t *)node, key, value)
        {
            if ((rc = find_calls(f, value, strcmp(key, "select_list") == 0, err)) != OK)
                return rc;
        }
    }
    return OK;
}

static int later_first(const void *a, const void *b)
{
    const Fix *x = a, *y = b;
    return x->begin > y->begin ? -1 : x->begin < y->begin;
}

Status sql_query_fix_time(DuckConn *conn, SqlQuery *query, Error *err)
{
    json_t *owner = NULL;
    const json_t *tree = NULL;
    Fixer f = {
        .query = query,
        .text = {.name = query->text.name, .data = query->rewritten, .length = strlen(query->rewritten)},
        .arena = query->arena,
        .fixes = SQL_LIST(Fix),
    };
    Status rc = OK;
    TRY(sql_tree_parse(conn, query, &owner, &tree, err));
    TRY(find_calls(&f, tree, false, err));
    Fix *fixes = f.fixes.items;
    if (f.fixes.count)
        qsort(fixes, f.fixes.count, sizeof *fixes, later_first);
    for (size_t i = 0; i < f.fixes.count; i++) {
        bool same = i > 0 && fixes[i].begin == fixes[i - 1].begin; /* one node that stands twice in the tree */
        if (!same)
            sql_query_replace(query, fixes[i].begin, fixes[i].end, fixes[i].text);
    }
out:
    sql_list_fini(&f.fixes);
    json_decref(owner);
    return rc;
}
