/* Calls of aggregates, spelled as steps know them:
 *
 *   mode() WITHIN GROUP (ORDER BY x)              mode(x ORDER BY x)
 *   quantile_cont(f) WITHIN GROUP (ORDER BY x)    quantile_cont(x, f); DESC: -f
 *   count(DISTINCT (a, b))                        count(DISTINCT {'v1': a, 'v2': b}): state has no structs without names
 *   macros of DuckDB's own                        what they stand for
 */
#include <stdio.h>
#include <string.h>

#include "sql/stateful_aggregate.h"

/* x and y are the arguments. */
static const struct Macro {
    const char *name;
    size_t n_arguments;
    const char *text;
} MACROS[] = {
    {"geomean", 1, "exp(avg(ln(x)))"},
    {"geometric_mean", 1, "exp(avg(ln(x)))"},
    {"json_group_array", 1,
     "CAST('[' || string_agg(CASE WHEN x IS NULL THEN CAST('null' AS JSON) ELSE to_json(x) END, ',') || ']' AS JSON)"},
    {"json_group_object", 2,
     "CAST('{' || string_agg(CASE WHEN x IS NULL THEN error('json_group_object key cannot be NULL') ELSE "
     "to_json(CAST(x AS VARCHAR)) END || ':' || CASE WHEN y IS NULL THEN CAST('null' AS JSON) ELSE to_json(y) END, "
     "',') || '}' AS JSON)"},
    {"json_group_structure", 1,
     "json_structure(CAST('[' || string_agg(CASE WHEN x IS NULL THEN CAST('null' AS JSON) ELSE to_json(x) END, ',') "
     "|| ']' AS JSON)) -> 0"},
    {"wavg", 2, "sum(x * y) / sum(CASE WHEN x IS NOT NULL THEN y ELSE 0 END)"},
    {"weighted_avg", 2, "sum(x * y) / sum(CASE WHEN x IS NOT NULL THEN y ELSE 0 END)"},
};

static const struct Macro *find_macro(const char *name)
{
    for (size_t i = 0; i < sizeof MACROS / sizeof *MACROS; i++) {
        if (str_ieq(MACROS[i].name, name)) {
            return &MACROS[i];
        }
    }
    return NULL;
}

/* The text's columns become arguments, and everything in it stands where the call does. */
static void put_arguments(json_t *node, const json_t *arguments, json_t *location)
{
    const char *key;
    json_t *value;
    size_t i;
    void *next;

    json_array_foreach(node, i, value)
    {
        if (is_column_ref(value)) {
            json_array_set(node, i, json_array_get(arguments, *column_part(value, 0) == 'y'));
        } else {
            put_arguments(value, arguments, location);
        }
    }
    json_object_foreach_safe(node, next, key, value)
    {
        if (is_column_ref(value)) {
            json_object_set(node, key, json_array_get(arguments, *column_part(value, 0) == 'y'));
        } else if (strcmp(key, "query_location") == 0) {
            json_object_set(node, key, location);
        } else {
            put_arguments(value, arguments, location);
        }
    }
}

static Status expand_macro(Planner *p, const json_t *call, const struct Macro *macro, const json_t **out, Error *err)
{
    const json_t *arguments = json_object_get(call, "children"), *tree;
    json_t *owner = NULL, *expression;
    int64_t offset;
    Text sql = TEXT(SQL_TEXT_MAX);
    Status rc = OK;

    if (json_array_size(arguments) != macro->n_arguments) {
        TRY(planner_error(p, call, NULL, err, "%s() takes %zu argument%s, not %zu", macro->name, macro->n_arguments,
                          macro->n_arguments == 1 ? "" : "s", json_array_size(arguments)));
    }
    if (sql_tree_has(call, "filter") || json_is_true(json_object_get(call, "distinct")) ||
        sql_tree_has(json_object_get(call, "order_bys"), "orders")) {
        TRY(planner_error(p, call, arena_printf(p->plan->arena, "write what it stands for: %s", macro->text), err,
                          "%s() takes no DISTINCT, FILTER or ORDER BY", macro->name));
    }
    text_printf(&sql, "SELECT %s", macro->text);
    TRY(sql_tree_parse_text(p->conn, text_str(&sql), &owner, &tree, &offset, err));
    expression = tree_copy(p, json_array_get(json_object_get(tree, "select_list"), 0));
    put_arguments(expression, arguments, json_object_get(call, "query_location"));
    *out = expression;
out:
    json_decref(owner);
    text_free(&sql);
    return rc;
}

/* -f, of each where there are several: counted from the other end. */
static void negate(Planner *p, json_t *list, size_t i)
{
    json_t *fraction = json_array_get(list, i), *children = json_object_get(fraction, "children");

    if (sql_tree_is(fraction, "function_name", "list_value")) {
        for (size_t k = 0; k < json_array_size(children); k++) {
            negate(p, children, k);
        }
    } else {
        json_t *minus = tree_function(p, "-", fraction);
        json_object_set_new(minus, "is_operator", json_true());
        json_array_set(list, i, minus);
    }
}

static json_t *within_group(Planner *p, const json_t *call)
{
    json_t *copy = tree_copy(p, call), *children = json_object_get(copy, "children");
    json_t *orders = json_object_get(json_object_get(copy, "order_bys"), "orders"), *order = json_array_get(orders, 0);

    if (!sql_tree_is(copy, "function_name", "mode")) {
        if (sql_tree_is(order, "type", "DESCENDING")) {
            negate(p, children, 0);
        }
        json_array_insert(children, 0, json_object_get(order, "expression"));
        json_array_clear(orders);
    } else {
        json_array_append(children, json_object_get(order, "expression"));
    }
    return copy;
}

static json_t *with_names(Planner *p, const json_t *call)
{
    json_t *copy = tree_copy(p, call), *row = json_array_get(json_object_get(copy, "children"), 0), *part;
    char name[32];
    size_t i;

    json_object_set_new(row, "function_name", json_string("struct_pack"));
    json_array_foreach(json_object_get(row, "children"), i, part)
    {
        snprintf(name, sizeof name, "v%zu", i + 1);
        json_object_set_new(part, "alias", json_string(name));
    }
    return copy;
}

Status spell_call(Planner *p, const json_t *call, const json_t **out, Error *err)
{
    const char *name = sql_tree_string(call, "function_name");
    const struct Macro *macro = find_macro(name);
    const json_t *children = json_object_get(call, "children");
    size_t n_orders = json_array_size(json_object_get(json_object_get(call, "order_bys"), "orders"));
    bool fraction = str_ieq(name, "quantile_cont") || str_ieq(name, "quantile_disc");

    *out = call;
    if (macro) {
        return expand_macro(p, call, macro, out, err);
    }
    if (n_orders == 1 &&
        (fraction ? json_array_size(children) == 1 : str_ieq(name, "mode") && json_array_size(children) == 0)) {
        *out = within_group(p, call);
    } else if (str_ieq(name, "count") && json_array_size(children) == 1 &&
               sql_tree_is(json_array_get(children, 0), "function_name", "row")) {
        *out = with_names(p, call);
    }
    return OK;
}
