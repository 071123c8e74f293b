/* Queries that need little of their only relation: the number of its rows, or any few of them. */
#include <string.h>

#include "sql/tree.h"

/* SELECT <anything> FROM the relation, with nothing else but what `modifiers` allows. */
static bool reads_only(const json_t *select, const char *placeholder, size_t modifiers)
{
    static const char *const OTHERS[] = {"where_clause", "group_expressions", "group_sets", "having", "sample",
                                         "qualify"};
    const json_t *from = json_object_get(select, "from_table");

    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        if (sql_tree_has(select, OTHERS[i])) {
            return false;
        }
    }
    return sql_tree_is(select, "type", "SELECT_NODE") && sql_tree_is(from, "type", "BASE_TABLE") &&
           strcmp(sql_tree_string(from, "table_name"), placeholder) == 0 && !sql_tree_has(from, "sample") &&
           !sql_tree_has(from, "column_name_alias") && !sql_tree_has(json_object_get(select, "cte_map"), "map") &&
           json_array_size(json_object_get(select, "modifiers")) == modifiers &&
           json_array_size(json_object_get(select, "select_list")) > 0;
}

static bool is_count(const json_t *expression)
{
    return sql_tree_is(expression, "class", "FUNCTION") && sql_tree_is(expression, "function_name", "count_star") &&
           !sql_tree_has(expression, "filter") && !json_is_true(json_object_get(expression, "distinct"));
}

/* A function may be an aggregate, for which one row is not enough. */
static bool is_column(const json_t *expression)
{
    return sql_tree_is(expression, "class", "COLUMN_REF") ||
           (sql_tree_is(expression, "class", "STAR") && !sql_tree_has(expression, "replace_list") &&
            !sql_tree_has(expression, "expr"));
}

static bool all_are(const json_t *list, bool (*is)(const json_t *))
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        if (!is(item)) {
            return false;
        }
    }
    return true;
}

/* A constant of LIMIT or OFFSET; `absent` when there is none, -1 for what is no such number. */
static int64_t number_of(const json_t *modifier, const char *key, int64_t absent)
{
    const json_t *node = json_object_get(modifier, key);
    const json_t *value = json_object_get(json_object_get(node, "value"), "value");

    if (!sql_tree_has(modifier, key)) {
        return absent;
    }
    bool number = sql_tree_is(node, "class", "CONSTANT") && json_is_integer(value) && json_integer_value(value) >= 0;
    return number ? json_integer_value(value) : -1;
}

bool sql_query_only_counts(DuckConn *conn, const SqlQuery *query)
{
    json_t *owner = NULL;
    const json_t *tree = NULL;
    bool only = false;

    if (query->n_relations == 1 && sql_tree_parse(conn, query, &owner, &tree, NULL) == OK) {
        only = reads_only(tree, query->relations[0].placeholder, 0) &&
               all_are(json_object_get(tree, "select_list"), is_count);
    }
    json_decref(owner);
    return only;
}

int64_t sql_query_first_rows(DuckConn *conn, const SqlQuery *query)
{
    static const int64_t ROWS_MAX = 1 << 30;
    json_t *owner = NULL;
    const json_t *tree = NULL;
    int64_t rows = -1;

    if (query->n_relations == 1 && sql_tree_parse(conn, query, &owner, &tree, NULL) == OK &&
        reads_only(tree, query->relations[0].placeholder, 1) &&
        all_are(json_object_get(tree, "select_list"), is_column)) {
        const json_t *modifier = json_array_get(json_object_get(tree, "modifiers"), 0);
        int64_t limit = number_of(modifier, "limit", -1), offset = number_of(modifier, "offset", 0);
        if (sql_tree_is(modifier, "type", "LIMIT_MODIFIER") && limit >= 0 && offset >= 0 && limit < ROWS_MAX &&
            offset < ROWS_MAX) {
            rows = limit + offset;
        }
    }
    json_decref(owner);
    return rows;
}
