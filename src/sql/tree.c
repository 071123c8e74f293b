/* DuckDB's syntax tree by way of json_serialize_sql, and the little that all walks over it need. */
#include "sql/tree.h"

#include <string.h>

/* DuckDB writes 2^64 - 1 for "no place", which is no 64-bit integer to a JSON parser: it becomes -1 of the same length.
 * The needle cannot stand inside a string, whose quotes are escaped. */
static void mend_locations(char *json)
{
    static const char NOWHERE[] = "\"query_location\":18446744073709551615";
    static const char MENDED[] = "\"query_location\":-1                  ";
    _Static_assert(sizeof NOWHERE == sizeof MENDED, "the replacement must have the same length");
    for (char *at = json; at && (at = strstr(at, NOWHERE)) != NULL; at += sizeof MENDED - 1) {
        memcpy(at, MENDED, sizeof MENDED - 1);
    }
}

/* One text in, one text out. */
static Status ask(DuckConn *conn, const char *sql, const char *argument, char **out, Error *err)
{
    DuckResult *result = NULL;
    bool more = false;
    Status rc = OK;
    TRY(duck_query_params(conn, sql, &argument, 1, &result, err));
    TRY(duck_result_next(result, &more, err));
    char *text = more ? duck_result_text_dup(result, 0) : NULL;
    if (!text) {
        TRY(error_set(err, E_INTERNAL, "DuckDB gave no syntax tree"));
    }
    *out = text;
out:
    duck_result_free(result);
    return rc;
}

/* {"error": true, "error_type": "parser", "error_message": "...", "position": "12"} */
static Status tree_error(const json_t *root, int64_t *offset, Error *err)
{
    bool parser = sql_tree_is(root, "error_type", "parser");
    if (!parser) {
        *offset = 0;
        return error_set(err, E_SQL_PARSE, "a query must be one SELECT");
    }
    if (!str_parse_i64(sql_tree_string(root, "position"), offset)) {
        *offset = -1;
    }
    return error_set(err, E_SQL_PARSE, "%s", sql_tree_string(root, "error_message"));
}

Status sql_tree_parse_text(DuckConn *conn, const char *sql, json_t **owner, const json_t **out, int64_t *offset,
                           Error *err)
{
    char *text = NULL;
    json_t *root = NULL;
    json_error_t problem;
    Status rc = OK;
    *offset = -1;
    TRY(ask(conn, "SELECT json_serialize_sql(CAST($1 AS VARCHAR))", sql, &text, err));
    mend_locations(text);
    root = json_loads(text, 0, &problem);
    bool exact = root != NULL;
    if (!exact) { /* integers beyond 64 bits among the constants */
        root = json_loads(text, JSON_DECODE_INT_AS_REAL, &problem);
    }
    if (!root) {
        TRY(error_set(err, E_LIMIT, "the query is nested too deeply: %s", problem.text));
    }
    json_object_set_new(root, "exact", json_boolean(exact));
    if (json_is_true(json_object_get(root, "error"))) {
        TRY(tree_error(root, offset, err));
    }
    const json_t *statements = json_object_get(root, "statements");
    const json_t *node = json_object_get(json_array_get(statements, 0), "node");
    if (json_array_size(statements) != 1 || !json_is_object(node)) {
        *offset = 0;
        TRY(error_set(err, E_SQL_PARSE, "a query must be one SELECT"));
    }
    *owner = root;
    *out = node;
    root = NULL;
out:
    json_decref(root);
    mem_free(text);
    return rc;
}

Status sql_tree_parse(DuckConn *conn, const SqlQuery *query, json_t **owner, const json_t **out, Error *err)
{
    int64_t offset;
    Status rc = sql_tree_parse_text(conn, query->rewritten, owner, out, &offset, err);
    if (rc == ERR_INVALID) {
        sql_query_place(query, offset, err);
    }
    return rc;
}

/* ---- printing ---- */

static void clear_locations(json_t *node)
{
    const char *key;
    json_t *value;
    size_t i;
    if (json_is_object(node)) {
        json_object_foreach(node, key, value)
        {
            if (strcmp(key, "query_location") == 0) {
                json_integer_set(value, 0);
            } else {
                clear_locations(value);
            }
        }
    } else if (json_is_array(node)) {
        json_array_foreach(node, i, value) clear_locations(value);
    }
}

/* Prints the one statement whose node is `head`, the node's own text, `tail`. */
static Status print_node(DuckConn *conn, const char *head, const json_t *node, const char *tail, char **out, Error *err)
{
    Text json = TEXT(SQL_TEXT_MAX);
    json_t *copy = json_deep_copy(node);
    clear_locations(copy);
    char *dumped = json_dumps(copy, JSON_COMPACT | JSON_ENCODE_ANY);
    text_printf(&json, "{\"error\":false,\"statements\":[{\"node\":%s", head);
    text_append(&json, dumped ? dumped : "");
    text_printf(&json, "%s,\"named_param_map\":[]}]}", tail);
    Status rc = ask(conn, "SELECT json_deserialize_sql(CAST($1 AS JSON))", text_str(&json), out, err);
    json_decref(copy);
    free(dumped);
    text_free(&json);
    return rc;
}

Status sql_tree_print_query(DuckConn *conn, const json_t *query, Arena *arena, const char **out, Error *err)
{
    char *text = NULL;
    Status rc = print_node(conn, "", query, "", &text, err);
    if (rc == OK) {
        *out = arena_strdup(arena, text);
    }
    mem_free(text);
    return rc;
}

Status sql_tree_print(DuckConn *conn, const json_t *expression, Arena *arena, const char **out, Error *err)
{
    static const char HEAD[] = "{\"type\":\"SELECT_NODE\",\"modifiers\":[],\"cte_map\":{\"map\":[]},\"select_list\":[";
    static const char TAIL[] =
        "],\"from_table\":{\"type\":\"EMPTY\",\"alias\":\"\",\"sample\":null,\"query_location\":0},"
        "\"where_clause\":null,\"group_expressions\":[],\"group_sets\":[],"
        "\"aggregate_handling\":\"STANDARD_HANDLING\",\"having\":null,\"sample\":null,"
        "\"qualify\":null}";
    char *text = NULL;
    Status rc = OK;
    TRY(print_node(conn, HEAD, expression, TAIL, &text, err));
    if (!str_starts(text, "SELECT ")) {
        TRY(error_set(err, E_INTERNAL, "DuckDB printed \"%s\" for an expression", text));
    }
    *out = arena_strdup(arena, text + strlen("SELECT "));
out:
    mem_free(text);
    return rc;
}

/* ---- fields ---- */

const char *sql_tree_string(const json_t *node, const char *key)
{
    const char *value = json_string_value(json_object_get(node, key));
    return value ? value : "";
}

bool sql_tree_is(const json_t *node, const char *key, const char *value)
{
    return strcmp(sql_tree_string(node, key), value) == 0;
}

bool sql_tree_has(const json_t *node, const char *key)
{
    const json_t *value = json_object_get(node, key);
    if (json_is_array(value)) {
        return json_array_size(value) > 0;
    }
    if (json_is_string(value)) {
        return *json_string_value(value) != 0;
    }
    return value && !json_is_null(value);
}

int64_t sql_tree_location(const json_t *node)
{
    const json_t *own = json_object_get(node, "query_location"), *value;
    const char *key;
    size_t i;
    int64_t location = json_is_integer(own) ? json_integer_value(own)
                       : json_is_real(own)  ? (int64_t)json_real_value(own)
                                            : -1;
    if (location >= 0) {
        return location;
    }
    if (json_is_array(node)) {
        json_array_foreach(node, i, value)
        {
            if ((location = sql_tree_location(value)) >= 0) {
                return location;
            }
        }
    } else if (json_is_object(node)) {
        json_object_foreach((json_t *)node, key, value)
        {
            if ((location = sql_tree_location(value)) >= 0) {
                return location;
            }
        }
    }
    return -1;
}

const SqlTimeFunction *sql_tree_time(const SqlQuery *query, const json_t *node)
{
    if (sql_tree_is(node, "class", "FUNCTION")) {
        return sql_function_time(sql_tree_string(node, "function_name"),
                                 (int)json_array_size(json_object_get(node, "children")));
    }
    const json_t *names = json_object_get(node, "column_names");
    if (!sql_tree_is(node, "class", "COLUMN_REF") || json_array_size(names) != 1) {
        return NULL;
    }
    int64_t location = sql_tree_location(node);
    bool quoted = location >= 0 && (size_t)location < query->length && query->rewritten[location] == '"';
    const char *name = json_string_value(json_array_get(names, 0));
    return quoted || !name ? NULL : sql_function_time(name, -1);
}
