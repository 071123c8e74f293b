/* What a query calls that is not the same every time: a walk over the whole tree. */
#include "sql/tree.h"

static void find_calls(const SqlQuery *query, const json_t *node, SqlQueryFacts *facts)
{
    const char *key;
    const json_t *value;
    size_t i;
    if (sql_tree_is(node, "class", "FUNCTION")) {
        facts->uses_random = facts->uses_random || sql_function_is_random(sql_tree_string(node, "function_name"));
    }
    facts->uses_time = facts->uses_time || sql_tree_time(query, node);
    if (json_is_array(node)) {
        json_array_foreach(node, i, value) find_calls(query, value, facts);
    } else if (json_is_object(node)) {
        json_object_foreach((json_t *)node, key, value) find_calls(query, value, facts);
    }
}

Status sql_query_facts(DuckConn *conn, const SqlQuery *query, SqlQueryFacts *out, Error *err)
{
    json_t *owner = NULL;
    const json_t *tree = NULL;
    SqlQueryFacts facts = {0};
    Status rc = sql_tree_parse(conn, query, &owner, &tree, err);
    if (rc != OK) {
        return rc;
    }
    find_calls(query, tree, &facts);
    json_decref(owner);
    *out = facts;
    return OK;
}
