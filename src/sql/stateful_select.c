/* A SELECT over a stream: what it may have, and where it is cut. */
#include <string.h>

#include "sql/stateful_int.h"

/* ---- expressions ---- */

static bool is_known_class(const char *class)
{
    static const char *const CLASSES[] = {"COLUMN_REF", "CONSTANT", "FUNCTION",   "COMPARISON", "CONJUNCTION",
                                          "OPERATOR",   "CASE",     "CAST",       "BETWEEN",    "STAR",
                                          "LAMBDA",     "COLLATE",  "LAMBDA_REF", "PARAMETER",  "POSITIONAL_REFERENCE",
                                          "DEFAULT",    "SUBQUERY", "WINDOW"};
    for (size_t i = 0; i < sizeof CLASSES / sizeof *CLASSES; i++) {
        if (strcmp(class, CLASSES[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool is_aggregate_call(const json_t *node)
{
    const char *name = sql_tree_string(node, "function_name");
    if (!sql_tree_is(node, "class", "FUNCTION") || is_window_call(node) || is_session_call(node) ||
        strcmp(name, "window_time") == 0) {
        return false;
    }
    return sql_function_is_aggregate(name) || sql_tree_has(node, "filter") ||
           json_is_true(json_object_get(node, "distinct")) ||
           sql_tree_has(json_object_get(node, "order_bys"), "orders");
}

bool is_star(const json_t *node)
{
    return sql_tree_is(node, "class", "STAR");
}

bool contains_aggregate(const json_t *node)
{
    return tree_any(node, false, is_aggregate_call);
}

static bool is_over(const json_t *node)
{
    return sql_tree_is(node, "class", "WINDOW");
}

/* #1: the columns of a FROM that a step stands for have other places. */
static bool is_positional(const json_t *node)
{
    return sql_tree_is(node, "class", "POSITIONAL_REFERENCE");
}

static bool is_unknown_class(const json_t *node)
{
    const char *class = sql_tree_string(node, "class");
    return *class && !is_known_class(class);
}

/* The first node inside for which `test` holds; NULL when there is none. */
static const json_t *find(const json_t *node, bool (*test)(const json_t *))
{
    const json_t *child, *found = test(node) ? node : NULL;
    if (sql_tree_is(node, "class", "SUBQUERY")) {
        return found;
    }
    for (TreeChildren c = tree_children(node); !found && (child = tree_next(&c)) != NULL;) {
        found = find(child, test);
    }
    return found;
}
/* ---- SELECT ---- */

json_t *planner_core(Planner *p, const json_t *select, json_t *list)
{
    json_t *core = tree_select(p, list, tree_copy(p, json_object_get(select, "from_table")));
    json_object_set(core, "where_clause", tree_copy(p, json_object_get(select, "where_clause")));
    return core;
}

static bool is_column_of_its_own(const json_t *node)
{
    return is_star(node) || is_column_ref(node);
}

/* (SELECT sum(s.a)) over a stream s is an aggregate of the outer query when all its columns are. DuckDB accepts that
 * only when the outer list has no column of its own; a list that has one is safe. */
static Status check_outer_aggregates(Planner *p, const json_t *select, Error *err)
{
    const json_t *list = json_object_get(select, "select_list");
    if (!tree_any(list, false, is_column_of_its_own) && !contains_aggregate(list) &&
        tree_any(list, true, is_aggregate_call)) {
        return planner_refuse(p, list, NULL, err, "an aggregate in a sub-query");
    }
    return OK;
}

Status check_modifiers(Planner *p, const json_t *node, bool complete, Clauses *clauses, Error *err)
{
    json_t *modifiers = json_object_get(node, "modifiers"), *modifier;
    size_t i;
    json_array_foreach(modifiers, i, modifier)
    {
        const char *type = sql_tree_string(modifier, "type");
        const json_t *place = sql_tree_location(modifier) < 0 ? node : modifier;
        if (strcmp(type, "DISTINCT_MODIFIER") == 0) {
            clauses->distinct = modifier;
        } else if (strcmp(type, "ORDER_MODIFIER") == 0) {
            if (!complete) {
                return planner_refuse(p, place,
                                      sql_tree_has(clauses->distinct, "distinct_on_targets")
                                          ? "DISTINCT ON keeps the first row of each key that arrives; the last or the "
                                            "best one is arg_max() in a GROUP BY"
                                          : "a table has no order; sort when it is read",
                                      err, "ORDER BY");
            }
        } else if (strcmp(type, "LIMIT_MODIFIER") == 0 || strcmp(type, "LIMIT_PERCENT_MODIFIER") == 0) {
            if (!complete) {
                return planner_refuse(p, place, NULL, err, sql_tree_has(modifier, "limit") ? "LIMIT" : "OFFSET");
            }
        } else {
            return planner_refuse(p, place, NULL, err, "a clause of the kind %.100s", type);
        }
    }
    return OK;
}

static Status check_expressions(Planner *p, const json_t *node, bool complete, Error *err)
{
    static const char *const HOLDERS[] = {"select_list", "where_clause", "group_expressions",
                                          "having",      "qualify",      "modifiers"};
    for (size_t i = 0; i < sizeof HOLDERS / sizeof *HOLDERS; i++) {
        const json_t *holder = json_object_get(node, HOLDERS[i]), *found;
        if ((found = find(holder, is_unknown_class)) != NULL) {
            return planner_refuse(p, found, NULL, err, "an expression of the kind %.100s",
                                  sql_tree_string(found, "class"));
        }
        if (!complete && (found = find(holder, is_over)) != NULL) {
            return planner_refuse(p, found, NULL, err, "%.100s() OVER", sql_tree_string(found, "function_name"));
        }
    }
    return OK;
}

static Status check_clauses(Planner *p, const json_t *node, bool complete, Error *err)
{
    static const char *const KNOWN[] = {
        "type",       "modifiers", "cte_map", "select_list",        "from_table", "where_clause", "group_expressions",
        "group_sets", "having",    "sample",  "aggregate_handling", "qualify"};
    const char *key;
    json_t *value;
    if (sql_tree_has(node, "sample")) {
        return planner_refuse(p, node, NULL, err, "USING SAMPLE");
    }
    if (sql_tree_has(node, "qualify") && !complete) {
        return planner_refuse(
            p, json_object_get(node, "qualify"),
            "DISTINCT ON (keys) keeps the first row of each key that arrives, arg_max() in a GROUP BY "
            "finds the last or the best one",
            err, "QUALIFY");
    }
    json_object_foreach((json_t *)node, key, value)
    {
        bool known = false;
        for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
            known = known || strcmp(key, KNOWN[i]) == 0;
        }
        if (!known && sql_tree_has(node, key)) {
            return planner_refuse(p, node, NULL, err, "a clause of the kind %.100s", key);
        }
    }
    return OK;
}

static bool has_aggregates(const json_t *node)
{
    const json_t *modifiers = json_object_get(node, "modifiers");
    return sql_tree_has(node, "group_expressions") || sql_tree_has(node, "group_sets") ||
           sql_tree_has(node, "having") || !sql_tree_is(node, "aggregate_handling", "STANDARD_HANDLING") ||
           contains_aggregate(json_object_get(node, "select_list")) ||
           contains_aggregate(json_object_get(node, "qualify")) || contains_aggregate(modifiers);
}

void drop_modifier(json_t *node, const json_t *modifier)
{
    json_t *modifiers = json_object_get(node, "modifiers");
    for (size_t i = json_array_size(modifiers); i-- > 0;) {
        if (json_array_get(modifiers, i) == modifier) {
            json_array_remove(modifiers, i);
        }
    }
}

Status cut_select(Planner *p, json_t *node, Scope *scope, json_t **lowered, Relation *out, Error *err)
{
    Clauses clauses = {.aggregates = has_aggregates(node)};
    bool complete = clauses.aggregates && p->options.mode == SQL_OUTPUT_COMPLETE;
    const JoinPlan *join = NULL;
    const json_t *found;
    Status rc = OK;

    TRY(check_clauses(p, node, complete, err));
    TRY(check_expressions(p, node, complete, err));
    TRY(check_modifiers(p, node, complete, &clauses, err));
    TRY(check_outer_aggregates(p, node, err));
    if (scope->rows == ROWS_UPDATE && (clauses.aggregates || clauses.distinct)) {
        return planner_refuse(p, node, "leave the mode at append, or do the second step in a flow of its own", err,
                              "%s above an aggregate in update mode", clauses.aggregates ? "an aggregate" : "DISTINCT");
    }
    if (!clauses.aggregates && (found = find(node, is_bucket)) != NULL) {
        return planner_error(p, found, "GROUP BY window(...)", err, "%s() belongs into GROUP BY",
                             sql_tree_string(found, "function_name"));
    }
    if ((clauses.aggregates || clauses.distinct || scope->n_streams > 1) &&
        (found = find(node, is_positional)) != NULL) {
        return planner_refuse(p, found, "name the column", err, "a reference by position");
    }
    if (scope->n_streams > 1) {
        TRY(plan_join(p, node, scope, &join, err));
    }
    json_t *modifier = clauses.distinct ? tree_copy(p, clauses.distinct) : NULL;
    *lowered = node;
    if (clauses.aggregates) {
        if (modifier && p->options.mode == SQL_OUTPUT_UPDATE) {
            return planner_refuse(p, node, "leave DISTINCT out: groups are distinct already", err,
                                  "DISTINCT above an aggregate in update mode");
        }
        if (!complete && clauses.distinct) {
            drop_modifier(node, clauses.distinct);
        }
        TRY(lower_aggregate(p, node, scope, join, out, err));
        if (modifier && !complete) {
            TRY(lower_distinct(p, node, modifier, NULL, NULL, out, lowered, out, err));
        }
        goto out;
    }
    *out = lineage_select(p, scope, json_object_get(node, "select_list"));
    if (modifier) {
        drop_modifier(node, clauses.distinct);
        TRY(lower_distinct(p, node, modifier, scope, join, out, lowered, out, err));
    } else {
        *lowered = join_variants(p, join, node);
    }
out:
    return rc;
}
