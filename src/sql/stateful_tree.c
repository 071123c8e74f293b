/* Making, comparing and printing trees in the form of json_serialize_sql. */
#include <stdio.h>
#include <string.h>

#include "sql/stateful_int.h"

/* ---- making ---- */

json_t *tree_own(Planner *p, json_t *tree)
{
    json_array_append_new(p->pool, tree);
    return tree;
}

json_t *tree_copy(Planner *p, const json_t *tree)
{
    return tree_own(p, json_deep_copy(tree));
}

/* A node from its text: the templates below, which are ours. */
static json_t *tree_make(Planner *p, const char *json)
{
    json_error_t problem;
    return tree_own(p, json_loads(json, 0, &problem));
}

json_t *tree_column(Planner *p, const char *relation, const char *column)
{
    json_t *node = tree_make(p,
                             "{\"class\":\"COLUMN_REF\",\"type\":\"COLUMN_REF\",\"alias\":\"\",\"query_location\":-1,"
                             "\"column_names\":[]}");
    json_t *names = json_object_get(node, "column_names");
    if (relation) {
        json_array_append_new(names, json_string(relation));
    }
    json_array_append_new(names, json_string(column));
    return node;
}

json_t *tree_field(Planner *p, const json_t *value, const char *field)
{
    json_t *node = tree_make(
        p, "{\"class\":\"OPERATOR\",\"type\":\"STRUCT_EXTRACT\",\"alias\":\"\",\"query_location\":-1,\"children\":["
           "{\"class\":\"CONSTANT\",\"type\":\"VALUE_CONSTANT\",\"alias\":\"\",\"query_location\":-1,\"value\":"
           "{\"type\":{\"id\":\"VARCHAR\",\"type_info\":null},\"is_null\":false,\"value\":\"\"}}]}");
    json_t *children = json_object_get(node, "children");
    json_object_set_new(json_object_get(json_array_get(children, 0), "value"), "value", json_string(field));
    json_array_insert(children, 0, tree_named(p, value, ""));
    return node;
}

json_t *tree_function(Planner *p, const char *name, const json_t *argument)
{
    json_t *node = tree_make(p, "{\"class\":\"FUNCTION\",\"type\":\"FUNCTION\",\"alias\":\"\",\"query_location\":-1,"
                                "\"function_name\":\"\",\"schema\":\"\",\"children\":[],\"filter\":null,\"order_bys\":"
                                "{\"type\":\"ORDER_MODIFIER\",\"orders\":[]},\"distinct\":false,\"is_operator\":false,"
                                "\"export_state\":false,\"catalog\":\"\"}");
    json_object_set_new(node, "function_name", json_string(name));
    if (argument) {
        json_array_append(json_object_get(node, "children"), (json_t *)argument);
    }
    return node;
}

json_t *tree_null(Planner *p)
{
    return tree_make(p, "{\"class\":\"CONSTANT\",\"type\":\"VALUE_CONSTANT\",\"alias\":\"\",\"query_location\":-1,"
                        "\"value\":{\"type\":{\"id\":\"NULL\",\"type_info\":null},\"is_null\":true}}");
}

json_t *tree_bigint(Planner *p, const json_t *value)
{
    json_t *node = tree_make(p, "{\"class\":\"CAST\",\"type\":\"OPERATOR_CAST\",\"alias\":\"\",\"query_location\":-1,"
                                "\"cast_type\":{\"id\":\"BIGINT\",\"type_info\":null},\"try_cast\":false}");
    json_object_set(node, "child", (json_t *)value);
    return node;
}

json_t *tree_star(Planner *p)
{
    return tree_make(
        p, "{\"class\":\"STAR\",\"type\":\"STAR\",\"alias\":\"\",\"query_location\":-1,\"relation_name\":\"\","
           "\"exclude_list\":[],\"replace_list\":[],\"columns\":false,\"expr\":null,"
           "\"qualified_exclude_list\":[],\"rename_list\":[]}");
}

static json_t *tree_string(Planner *p, const char *value)
{
    json_t *node = tree_make(p,
                             "{\"class\":\"CONSTANT\",\"type\":\"VALUE_CONSTANT\",\"alias\":\"\",\"query_location\":-1,"
                             "\"value\":{\"type\":{\"id\":\"VARCHAR\",\"type_info\":null},\"is_null\":false}}");
    json_object_set_new(json_object_get(node, "value"), "value", json_string(value));
    return node;
}

json_t *tree_columns(Planner *p, const json_t *names, bool except)
{
    json_t *star = tree_star(p), *filter = tree_function(p, "list_filter", tree_star(p)), *name;
    json_t *lambda = tree_make(
        p, "{\"class\":\"LAMBDA\",\"type\":\"LAMBDA\",\"alias\":\"\",\"query_location\":-1,\"lhs\":null,"
           "\"expr\":{\"class\":\"OPERATOR\",\"type\":\"COMPARE_IN\",\"alias\":\"\","
           "\"query_location\":-1,\"children\":[]}}");
    json_t *in = json_object_get(lambda, "expr"), *children = json_object_get(in, "children");
    size_t i;
    json_object_set(lambda, "lhs", tree_column(p, NULL, "c"));
    json_object_set_new(in, "type", json_string(except ? "COMPARE_NOT_IN" : "COMPARE_IN"));
    json_array_append(children, tree_function(p, "lower", tree_column(p, NULL, "c")));
    json_array_foreach(names, i, name) json_array_append(children, tree_string(p, json_string_value(name)));
    json_array_append(json_object_get(filter, "children"), lambda);
    json_object_set_new(star, "columns", json_true());
    json_object_set(star, "expr", filter);
    return star;
}

json_t *tree_number(Planner *p, int value)
{
    json_t *node = tree_make(p,
                             "{\"class\":\"CONSTANT\",\"type\":\"VALUE_CONSTANT\",\"alias\":\"\",\"query_location\":-1,"
                             "\"value\":{\"type\":{\"id\":\"INTEGER\",\"type_info\":null},\"is_null\":false}}");
    json_object_set_new(json_object_get(node, "value"), "value", json_integer(value));
    return node;
}

json_t *tree_table(Planner *p, const char *name, const char *alias)
{
    json_t *node = tree_make(p, "{\"type\":\"BASE_TABLE\",\"alias\":\"\",\"sample\":null,\"query_location\":-1,"
                                "\"schema_name\":\"\",\"table_name\":\"\",\"column_name_alias\":[],"
                                "\"catalog_name\":\"\",\"at_clause\":null}");
    json_object_set_new(node, "table_name", json_string(name));
    json_object_set_new(node, "alias", json_string(alias));
    return node;
}

json_t *tree_subquery(Planner *p, const json_t *query, const char *alias)
{
    json_t *node = tree_make(p, "{\"type\":\"SUBQUERY\",\"alias\":\"\",\"sample\":null,\"query_location\":-1,"
                                "\"subquery\":{\"named_param_map\":[]},\"column_name_alias\":[]}");
    json_object_set_new(node, "alias", json_string(alias));
    json_object_set(json_object_get(node, "subquery"), "node", (json_t *)query);
    return node;
}

json_t *tree_select(Planner *p, const json_t *list, const json_t *from)
{
    json_t *node = tree_make(p,
                             "{\"type\":\"SELECT_NODE\",\"modifiers\":[],\"cte_map\":{\"map\":[]},\"select_list\":[],"
                             "\"from_table\":null,\"where_clause\":null,\"group_expressions\":[],\"group_sets\":[],"
                             "\"aggregate_handling\":\"STANDARD_HANDLING\",\"having\":null,\"sample\":null,"
                             "\"qualify\":null}");
    json_object_set(node, "select_list", (json_t *)list);
    json_object_set(node, "from_table", (json_t *)from);
    return node;
}

json_t *tree_union_all(Planner *p, const json_t *left, const json_t *right)
{
    json_t *node = tree_make(p, "{\"type\":\"SET_OPERATION_NODE\",\"modifiers\":[],\"cte_map\":{\"map\":[]},"
                                "\"setop_type\":\"UNION\",\"setop_all\":true}");
    json_object_set(node, "left", (json_t *)left);
    json_object_set(node, "right", (json_t *)right);
    return node;
}

json_t *tree_and(Planner *p, const json_t *left, const json_t *right)
{
    if (!left || json_is_null(left)) {
        return (json_t *)right;
    }
    json_t *node = tree_make(p, "{\"class\":\"CONJUNCTION\",\"type\":\"CONJUNCTION_AND\",\"alias\":\"\","
                                "\"query_location\":-1,\"children\":[]}");
    json_array_append(json_object_get(node, "children"), (json_t *)left);
    json_array_append(json_object_get(node, "children"), (json_t *)right);
    return node;
}

json_t *tree_named(Planner *p, const json_t *expression, const char *alias)
{
    json_t *copy = tree_copy(p, expression);
    json_object_set_new(copy, "alias", json_string(alias));
    return copy;
}

/* ---- looking ---- */

bool is_column_ref(const json_t *node)
{
    return sql_tree_is(node, "class", "COLUMN_REF");
}

const char *column_part(const json_t *column, size_t i)
{
    return json_string_value(json_array_get(json_object_get(column, "column_names"), i));
}

size_t column_parts(const json_t *column)
{
    return json_array_size(json_object_get(column, "column_names"));
}

json_t *tree_next(TreeChildren *children)
{
    if (json_is_array(children->node)) {
        return json_array_get(children->node, children->i++);
    }
    json_t *object = (json_t *)children->node;
    children->at = children->at ? json_object_iter_next(object, children->at) : json_object_iter(object);
    return children->at ? json_object_iter_value(children->at) : NULL;
}

bool tree_any(const json_t *node, bool into_subqueries, bool (*test)(const json_t *))
{
    if (!into_subqueries && sql_tree_is(node, "class", "SUBQUERY")) {
        return false;
    }
    if (test(node)) {
        return true;
    }
    const json_t *child;
    for (TreeChildren c = tree_children(node); (child = tree_next(&c)) != NULL;) {
        if (tree_any(child, into_subqueries, test)) {
            return true;
        }
    }
    return false;
}

/* ---- comparing ---- */

static bool same_column(const Scope *scope, const json_t *a, const json_t *b)
{
    size_t skip_a = 0, skip_b = 0;
    const Source *of_a = scope_source(scope, a, &skip_a), *of_b = scope_source(scope, b, &skip_b);
    size_t n = column_parts(a) - skip_a;
    if (n != column_parts(b) - skip_b || (of_a && of_b && of_a != of_b)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!str_ieq(column_part(a, skip_a + i), column_part(b, skip_b + i))) {
            return false;
        }
    }
    return true;
}

static bool is_aside(const char *key)
{
    return strcmp(key, "query_location") == 0 || strcmp(key, "alias") == 0;
}

static bool same_object(const Scope *scope, const json_t *a, const json_t *b)
{
    const char *key;
    const json_t *value;
    if (is_column_ref(a) && is_column_ref(b)) {
        return same_column(scope, a, b);
    }
    if (json_object_size(a) != json_object_size(b)) {
        return false;
    }
    json_object_foreach((json_t *)a, key, value)
    {
        if (!is_aside(key) && !tree_equal(scope, value, json_object_get(b, key))) {
            return false;
        }
    }
    return true;
}

bool tree_equal(const Scope *scope, const json_t *a, const json_t *b)
{
    if (json_is_object(a) && json_is_object(b)) {
        return same_object(scope, a, b);
    }
    if (!json_is_array(a) || !json_is_array(b)) {
        return json_equal(a, b);
    }
    if (json_array_size(a) != json_array_size(b)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(a); i++) {
        if (!tree_equal(scope, json_array_get(a, i), json_array_get(b, i))) {
            return false;
        }
    }
    return true;
}

json_t *json_lower(const char *name)
{
    char *lower = mem_strdup(name);
    str_lower(lower);
    json_t *string = json_string(lower);
    mem_free(lower);
    return string;
}

/* ---- printing ---- */

/* window_time(w) is the last microsecond of w: (w)."end" - to_microseconds(1). */
static json_t *spell_out(Planner *p, const json_t *call)
{
    json_t *minus = tree_function(p, "-", tree_field(p, json_array_get(json_object_get(call, "children"), 0), "end"));
    json_object_set_new(minus, "is_operator", json_true());
    json_array_append(json_object_get(minus, "children"), tree_function(p, "to_microseconds", tree_number(p, 1)));
    json_object_set(minus, "alias", json_object_get(call, "alias"));
    return minus;
}

bool is_window_time(const json_t *node)
{
    return sql_tree_is(node, "class", "FUNCTION") && sql_tree_is(node, "function_name", "window_time") &&
           json_array_size(json_object_get(node, "children")) == 1;
}

static void spell_out_all(Planner *p, json_t *node)
{
    const char *key;
    json_t *value;
    size_t i;
    if (json_is_array(node)) {
        json_array_foreach(node, i, value)
        {
            if (is_window_time(value)) {
                value = spell_out(p, value);
                json_array_set(node, i, value);
            }
            spell_out_all(p, value);
        }
    } else if (json_is_object(node)) {
        void *next;
        json_object_foreach_safe(node, next, key, value)
        {
            if (is_window_time(value)) {
                value = spell_out(p, value);
                json_object_set(node, key, value);
            }
            spell_out_all(p, value);
        }
    }
}

static Status check_exact(Planner *p, Error *err)
{
    return p->exact ? OK
                    : planner_error(p, NULL, "write it as a text with a cast: '123456789012345678901'::HUGEINT", err,
                                    "a number of more than 64 bits cannot stand in a query that remembers rows");
}

Status planner_print(Planner *p, const json_t *query, const char **out, Error *err)
{
    json_t *copy = tree_copy(p, query);
    Status rc = check_exact(p, err);
    if (rc != OK) {
        return rc;
    }
    spell_out_all(p, copy);
    return sql_tree_print_query(p->conn, copy, p->plan->arena, out, err);
}

Status planner_print_expression(Planner *p, const json_t *expression, const char **out, Error *err)
{
    json_t *list = tree_own(p, json_array());
    Status rc = check_exact(p, err);
    if (rc != OK) {
        return rc;
    }
    json_array_append(list, tree_named(p, expression, ""));
    spell_out_all(p, list);
    return sql_tree_print(p->conn, json_array_get(list, 0), p->plan->arena, out, err);
}

Status planner_print_plain(Planner *p, const Scope *scope, const json_t *expression, Text *out, Error *err)
{
    json_t *copy = tree_own(p, json_pack("[o]", json_deep_copy(expression)));
    const char *text = NULL;
    Status rc = OK;
    for (json_t *stack = tree_own(p, scope->sources.count == 1 ? json_pack("[O]", copy) : json_array());
         json_array_size(stack) > 0;) {
        json_t *top = json_incref(json_array_get(stack, json_array_size(stack) - 1)), *value;
        const char *key;
        size_t i, skip;
        json_array_remove(stack, json_array_size(stack) - 1);
        if (is_column_ref(top) && scope_source(scope, top, &skip)) {
            json_array_remove(json_object_get(top, "column_names"), 0);
        } else if (json_is_array(top)) {
            json_array_foreach(top, i, value) json_array_append(stack, value);
        } else if (json_is_object(top)) {
            json_object_foreach(top, key, value) json_array_append(stack, value);
        }
        json_decref(top);
    }
    TRY(planner_print_expression(p, json_array_get(copy, 0), &text, err));
    text_append(out, text);
out:
    return rc;
}
