#include "session/copy.h"

#include <stdio.h>
#include <string.h>

#include "duck/type.h"
#include "sql/lexer.h"

enum { DEPTH_NAME_MAX = 32 };

static bool has_variant(const DuckType *type)
{
    bool found = type->id == DUCK_VARIANT;

    for (size_t i = 0; type->id != DUCK_ENUM && i < type->n_members && !found; i++) {
        found = has_variant(type->members[i].type);
    }
    return found;
}

/* `expression` with its variants as JSON; `depth` keeps lambda parameters apart. */
static void as_json(const DuckType *type, const char *expression, int depth, Text *out)
{
    char item[DEPTH_NAME_MAX];

    if (!has_variant(type)) {
        text_append(out, expression);
    } else if (type->id == DUCK_STRUCT) {
        text_printf(out, "CASE WHEN %s IS NULL THEN NULL ELSE struct_pack(", expression);
        for (size_t i = 0; i < type->n_members; i++) {
            Text member = TEXT(TEXT_SQL_MAX);
            text_printf(&member, "struct_extract(%s, ", expression);
            text_append_sql_string(&member, type->members[i].name);
            text_append_char(&member, ')');
            text_append(out, i > 0 ? ", " : "");
            text_append_sql_name(out, type->members[i].name);
            text_append(out, " := ");
            as_json(type->members[i].type, text_str(&member), depth, out);
            text_free(&member);
        }
        text_append(out, ") END");
    } else if (type->id == DUCK_LIST || type->id == DUCK_ARRAY) {
        snprintf(item, sizeof item, "freshet_c%d", depth);
        text_printf(out, "list_transform(%s, lambda %s: ", expression, item);
        as_json(type->members[0].type, item, depth + 1, out);
        text_append_char(out, ')');
    } else if (type->id == DUCK_MAP) {
        text_printf(out, "map_from_entries(list_transform(map_entries(%s), lambda freshet_c%d: struct_pack(key := ",
                    expression, depth);
        snprintf(item, sizeof item, "freshet_c%d.key", depth);
        as_json(type->members[0].type, item, depth + 1, out);
        text_append(out, ", value := ");
        snprintf(item, sizeof item, "freshet_c%d.value", depth);
        as_json(type->members[1].type, item, depth + 1, out);
        text_append(out, ")))");
    } else {
        text_printf(out, "CAST(%s AS JSON)", expression);
    }
}

/* "SELECT columns FROM (query)" when a column has variants inside. */
static void select_json(DuckConn *conn, const char *query, Arena *arena, Text *out)
{
    DuckColumnInfo *columns = NULL;
    size_t n = 0;
    bool inside = false;

    if (duck_describe(conn, query, arena, &columns, &n, NULL) != OK) {
        return; /* the statement itself will say why */
    }
    for (size_t i = 0; i < n; i++) {
        inside |= columns[i].type->id != DUCK_VARIANT && has_variant(columns[i].type);
    }
    for (size_t i = 0; inside && i < n; i++) {
        Text name = TEXT(TEXT_SQL_MAX);
        text_append_sql_name(&name, columns[i].name);
        text_append(out, i > 0 ? ", " : "SELECT ");
        if (columns[i].type->id == DUCK_VARIANT) {
            text_append(out, text_str(&name));
        } else {
            as_json(columns[i].type, text_str(&name), 1, out);
        }
        text_append(out, " AS ");
        text_append(out, text_str(&name));
        text_free(&name);
    }
    if (inside) {
        text_append(out, " FROM (");
        text_append(out, query);
        text_append(out, "\n)");
    }
}

/* Does what follows the query name the format, or a file with its ending? */
static bool is_parquet(const SqlText *text, const SqlTokens *tokens, size_t from)
{
    for (size_t i = from; i < tokens->count; i++) {
        const SqlToken *token = &tokens->items[i];
        for (size_t at = token->begin; at + strlen("parquet") <= token->end; at++) {
            if (strncasecmp(text->data + at, "parquet", strlen("parquet")) == 0) {
                return true;
            }
        }
    }
    return false;
}

void session_copy_variants(DuckConn *conn, const char *statement, Text *out)
{
    SqlText text = {.name = "", .data = statement, .length = strlen(statement)};
    SqlTokens tokens = {0};
    Arena *arena = arena_new();
    Text select = TEXT(TEXT_SQL_MAX);
    size_t start = strspn(statement, " \t\r\n");

    if (strncasecmp(statement + start, "copy", strlen("copy")) != 0 ||
        sql_lex(&text, (SqlSpan){0, text.length}, &tokens, NULL) != OK) {
        goto out;
    }
    if (tokens.count < 3 || !sql_token_is_op(&tokens.items[1], '(')) {
        goto out;
    }
    const SqlToken *open = &tokens.items[1], *close = &tokens.items[open->match];
    if (is_parquet(&text, &tokens, open->match)) {
        select_json(conn, arena_strndup(arena, statement + open->end, close->begin - open->end), arena, &select);
    }
    if (select.length > 0) {
        text_append_n(out, statement, open->end);
        text_append_n(out, text_str(&select), select.length);
        text_append(out, statement + close->begin);
    }
out:
    sql_tokens_fini(&tokens);
    text_free(&select);
    arena_free(arena);
}
