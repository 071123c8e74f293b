/* Expressions above an aggregation, over the output of its step: what is a key reads k<i>, what is an aggregate r<j>,
 * which is added when it is new; a name can be that of an item of the list. Whatever else names a column is an error,
 * as it is in DuckDB. */
#include <stdio.h>
#include <string.h>

#include "sql/stateful_aggregate.h"

static Status rewrite(Aggregation *a, const json_t *node, json_t **out, Error *err);

static bool is_constant(const json_t *node)
{
    return sql_tree_is(node, "class", "CONSTANT");
}

const char *item_name(const json_t *item)
{
    return sql_tree_has(item, "alias") ? sql_tree_string(item, "alias")
           : is_column_ref(item)       ? column_part(item, column_parts(item) - 1)
           : is_window_call(item)      ? "window"
           : is_session_call(item)     ? "session_window"
                                       : "";
}

/* ---- aggregates ---- */

/* Adds an expression to a0.. or f0.., once; returns its place. */
static size_t add_input(const Aggregation *a, json_t *list, const json_t *expression, bool shared)
{
    const json_t *known;
    size_t i;
    json_array_foreach(list, i, known)
    {
        if (shared && tree_equal(a->scope, known, expression)) {
            return i;
        }
    }
    json_array_append(list, (json_t *)expression);
    return json_array_size(list) - 1;
}

static bool is_no_constant(const json_t *node)
{
    return is_column_ref(node) || sql_tree_is(node, "class", "SUBQUERY") || sql_tree_is(node, "class", "LAMBDA");
}

static Status add_arguments(Aggregation *a, const json_t *call, SqlAggregate *out, Error *err)
{
    Planner *p = a->p;
    const json_t *children = json_object_get(call, "children"), *child;
    const char **constants = arena_alloc(p->plan->arena, (json_array_size(children) + 1) * sizeof *constants);
    Status rc = OK;
    size_t i;
    out->n_arguments = json_array_size(children);
    out->first = json_array_size(a->arguments);
    out->constants = constants;
    json_array_foreach(children, i, child)
    {
        size_t place = add_input(a, a->arguments, child, out->n_arguments == 1);
        out->first = i == 0 ? place : out->first;
        if (!tree_any(child, true, is_no_constant)) {
            TRY(planner_print_expression(p, child, &constants[i], err));
        }
    }
out:
    return rc;
}

/* The column to order by: an argument of the call itself where it is one, as DISTINCT asks for. */
static size_t add_order(const Aggregation *a, const json_t *expression, const SqlAggregate *call)
{
    for (size_t i = 0; i < call->n_arguments; i++) {
        if (tree_equal(a->scope, json_array_get(a->arguments, call->first + i), expression)) {
            return call->first + i;
        }
    }
    return add_input(a, a->arguments, expression, true);
}

static void add_orders(Aggregation *a, const json_t *call, SqlAggregate *out)
{
    const json_t *orders = json_object_get(json_object_get(call, "order_bys"), "orders"), *order;
    size_t i;
    a->orders.count = 0;
    json_array_foreach(orders, i, order)
    {
        const char *nulls = sql_tree_string(order, "null_order");
        bool descending = sql_tree_is(order, "type", "DESCENDING");
        *(SqlOrder *)sql_list_add(&a->orders) = (SqlOrder){
            .column = add_order(a, json_object_get(order, "expression"), out),
            .descending = descending,
            .nulls_first = strncmp(nulls, "NULLS", 5) == 0 && strstr(nulls, "FIRST") != NULL};
    }
    SqlOrder *copy = arena_alloc(a->p->plan->arena, (a->orders.count + 1) * sizeof *copy);
    for (i = 0; i < a->orders.count; i++) {
        copy[i] = ((SqlOrder *)a->orders.items)[i];
    }
    out->orders = copy;
    out->n_orders = a->orders.count;
}

/* The place of the call among the aggregates. */
static Status add_call(Aggregation *a, const json_t *call, size_t *out, Error *err)
{
    Planner *p = a->p;
    const json_t *children = json_object_get(call, "children");
    const Call *known = a->calls.items;
    SqlAggregate aggregate = {.distinct = json_is_true(json_object_get(call, "distinct"))};
    Status rc = OK;
    for (size_t i = 0; i < a->calls.count; i++) {
        if (tree_equal(a->scope, known[i].expression, call)) {
            *out = i;
            return OK;
        }
    }
    if (contains_aggregate(children) || contains_aggregate(json_object_get(call, "filter"))) {
        return planner_error(p, call, NULL, err, "aggregate function calls cannot be nested");
    }
    if (tree_any(children, false, is_bucket)) {
        return planner_error(p, call, NULL, err, "window() belongs into GROUP BY");
    }
    if (tree_any(children, false, is_star)) {
        return planner_error(p, call, "name the columns", err, "an aggregate of * over a stream");
    }
    aggregate.function = arena_strdup(p->plan->arena, sql_tree_string(call, "function_name"));
    TRY(add_arguments(a, call, &aggregate, err));
    add_orders(a, call, &aggregate);
    if (sql_tree_has(call, "filter")) {
        aggregate.has_filter = true;
        aggregate.filter = add_input(a, a->filters, json_object_get(call, "filter"), true);
    }
    TRY(planner_print_expression(p, call, &aggregate.text, err));
    *out = a->calls.count;
    *(Call *)sql_list_add(&a->calls) = (Call){.expression = call, .aggregate = aggregate};
out:
    return rc;
}

/* ---- rewriting ---- */

static json_t *numbered(const Aggregation *a, char letter, size_t i)
{
    char name[32];
    snprintf(name, sizeof name, "%c%zu", letter, i);
    return tree_column(a->p, a->step, name);
}

static json_t *with_fields(const Aggregation *a, json_t *value, const json_t *column, size_t from)
{
    for (size_t i = from; i < column_parts(column); i++) {
        value = tree_field(a->p, value, column_part(column, i));
    }
    return value;
}

static bool find_key(const Aggregation *a, const json_t *node, json_t **out)
{
    const Key *keys = a->keys.items;
    for (size_t i = 0; i < a->keys.count; i++) {
        if (tree_equal(a->scope, keys[i].expression, node)) {
            *out = numbered(a, 'k', i);
            return true;
        }
    }
    return false;
}

/* A column that is a key, or a field of one: window.start, s.x where s is a key. */
static bool find_key_column(const Aggregation *a, const json_t *node, json_t **out)
{
    const Key *keys = a->keys.items;
    size_t skip = 0;
    (void)scope_source(a->scope, node, &skip);
    for (size_t n = column_parts(node); n > skip; n--) {
        json_t *prefix = tree_copy(a->p, node), *names = json_object_get(prefix, "column_names");
        while (json_array_size(names) > n) {
            json_array_remove(names, json_array_size(names) - 1);
        }
        for (size_t i = 0; i < a->keys.count; i++) {
            const char *own = keys[i].is_session ? "session_window" : keys[i].key.is_window ? "window" : NULL;
            if (tree_equal(a->scope, keys[i].expression, prefix) ||
                (own && n == 1 && str_ieq(column_part(node, 0), own))) {
                *out = with_fields(a, numbered(a, 'k', i), node, n);
                return true;
            }
        }
    }
    return false;
}

/* A column that is the alias of an item of the list before it (all items in HAVING and ORDER BY). */
static Status find_item(Aggregation *a, const json_t *node, json_t **out, Error *err)
{
    const json_t *item;
    size_t i;
    json_array_foreach(json_object_get(a->select, "select_list"), i, item)
    {
        if (item == a->from) {
            break;
        }
        if (str_ieq(item_name(item), column_part(node, 0))) {
            const json_t *from = a->from;
            a->from = item;
            Status rc = rewrite(a, item, out, err);
            a->from = from;
            *out = rc == OK ? with_fields(a, tree_named(a->p, *out, ""), node, 1) : NULL;
            return rc;
        }
    }
    return OK;
}

static Status rewrite_column(Aggregation *a, const json_t *node, json_t **out, Error *err)
{
    *out = NULL;
    if (find_key_column(a, node, out)) {
        return OK;
    }
    Status rc = find_item(a, node, out, err);
    if (rc == OK && !*out) {
        rc = planner_error(a->p, node,
                           "add it to GROUP BY, or use any_value() if it does not matter which value is taken", err,
                           "column \"%s\" must appear in the GROUP BY clause or must be part of an aggregate function",
                           column_part(node, column_parts(node) - 1));
    }
    return rc;
}

static bool is_lambda_parameter(const json_t *parameters, const json_t *node)
{
    if (is_column_ref(parameters)) {
        return column_parts(parameters) == 1 && str_ieq(column_part(parameters, 0), column_part(node, 0));
    }
    const json_t *child;
    size_t i;
    json_array_foreach(json_object_get(parameters, "children"), i, child)
    {
        if (is_lambda_parameter(child, node)) {
            return true;
        }
    }
    return false;
}

/* a -> 'b' reads JSON, x -> x + 1 is a function when it is an argument of one of these. The tree does not tell. */
static bool takes_lambda(const json_t *call)
{
    static const char *const NAMES[] = {"list_transform", "array_transform", "list_apply",   "array_apply",
                                        "apply",          "list_filter",     "array_filter", "filter",
                                        "list_reduce",    "array_reduce",    "reduce"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (str_ieq(sql_tree_string(call, "function_name"), NAMES[i])) {
            return true;
        }
    }
    return false;
}

/* Does a relation inside have the alias of one of this query? */
static bool shadows(const Aggregation *a, const json_t *node)
{
    const Source *sources = a->scope->sources.items;
    const json_t *child;
    const char *alias = sql_tree_has(node, "alias") ? sql_tree_string(node, "alias")
                                                    : sql_tree_string(node, "table_name");
    bool found = false;
    for (size_t i = 0; json_object_get(node, "sample") && *alias && i < a->scope->sources.count; i++) {
        found = found || str_ieq(sources[i].alias, alias);
    }
    for (TreeChildren c = tree_children(node); !found && (child = tree_next(&c)) != NULL;) {
        found = shadows(a, child);
    }
    return found;
}

/* In a sub-query only names that are qualified with a relation of this query are surely of this query. */
static void rewrite_subquery(Aggregation *a, json_t *node)
{
    const char *key;
    json_t *value, *found = NULL;
    size_t i, skip;
    if (json_is_array(node)) {
        json_array_foreach(node, i, value)
        {
            if (is_column_ref(value) && scope_source(a->scope, value, &skip) && find_key_column(a, value, &found)) {
                json_array_set(node, i, found);
            } else {
                rewrite_subquery(a, value);
            }
        }
    } else if (json_is_object(node)) {
        void *next;
        json_object_foreach_safe(node, next, key, value)
        {
            if (is_column_ref(value) && scope_source(a->scope, value, &skip) && find_key_column(a, value, &found)) {
                json_object_set(node, key, found);
            } else {
                rewrite_subquery(a, value);
            }
        }
    }
}

/* The parameters of the lambdas around a node. */
typedef struct Lambda {
    const json_t *parameters;
    const struct Lambda *outer;
} Lambda;

static Status rewrite_inside(Aggregation *a, const json_t *node, const Lambda *lambdas, json_t **out, Error *err);

/* GROUPING(a, b): a bit for each argument that the row's set lacks, looked up by the number of the set. */
static Status rewrite_grouping(Aggregation *a, const json_t *node, json_t **out, Error *err)
{
    const Key *keys = a->keys.items;
    const json_t *arguments = json_object_get(node, "children"), *argument, *set;
    json_t *masks = tree_function(a->p, "list_value", NULL);
    size_t i, s, k;
    json_array_foreach(a->sets, s, set)
    {
        int mask = 0;
        json_array_foreach(arguments, i, argument)
        {
            for (k = 0; k < a->keys.count && !tree_equal(a->scope, keys[k].expression, argument); k++) {
            }
            if (k == a->keys.count) {
                return planner_error(a->p, argument, NULL, err, "an argument of GROUPING() must be in GROUP BY");
            }
            mask = mask * 2 + !set_has(a, set, k);
        }
        json_array_append(json_object_get(masks, "children"), tree_number(a->p, mask));
    }
    json_t *look = tree_function(a->p, "list_extract", masks);
    json_array_append(json_object_get(look, "children"), numbered(a, 'k', a->keys.count - 1));
    *out = tree_bigint(a->p, a->sets ? look : tree_number(a->p, 0));
    return OK;
}

static Status rewrite_parts(Aggregation *a, const json_t *node, const Lambda *lambdas, json_t **out, Error *err)
{
    json_t *copy = tree_own(a->p, json_is_array(node) ? json_array() : json_object()), *part = NULL;
    Lambda own = {.parameters = json_object_get(node, "lhs"), .outer = lambdas};
    bool before = a->lambdas, inside = json_is_array(node) ? before : takes_lambda(node);
    const char *key;
    const json_t *value;
    Status rc = OK;
    size_t i;
    if (before && sql_tree_is(node, "class", "LAMBDA")) {
        lambdas = &own;
    }
    if (json_is_array(node)) {
        json_array_foreach(node, i, value)
        {
            a->lambdas = inside;
            TRY(rewrite_inside(a, value, lambdas, &part, err));
            json_array_append(copy, part);
        }
    } else {
        json_object_foreach((json_t *)node, key, value)
        {
            a->lambdas = inside;
            TRY(rewrite_inside(a, value, lambdas, &part, err));
            json_object_set(copy, key, part);
        }
    }
    *out = copy;
out:
    a->lambdas = before;
    return rc;
}

static Status rewrite_inside(Aggregation *a, const json_t *node, const Lambda *lambdas, json_t **out, Error *err)
{
    size_t place = 0;
    if (!json_is_object(node) && !json_is_array(node)) {
        *out = (json_t *)node;
        return OK;
    }
    if (sql_tree_has(node, "class") && find_key(a, node, out)) {
        return OK;
    }
    if (is_column_ref(node)) {
        for (const Lambda *l = lambdas; l; l = l->outer) {
            if (is_lambda_parameter(l->parameters, node)) {
                *out = (json_t *)node;
                return OK;
            }
        }
        return rewrite_column(a, node, out, err);
    }
    if (sql_tree_is(node, "type", "GROUPING_FUNCTION")) {
        return rewrite_grouping(a, node, out, err);
    }
    if (is_aggregate_call(node)) {
        const json_t *call = NULL;
        Status rc = spell_call(a->p, node, &call, err);
        if (rc == OK && !is_aggregate_call(call)) {
            return rewrite_parts(a, call, lambdas, out, err);
        }
        rc = rc == OK ? add_call(a, call, &place, err) : rc;
        *out = numbered(a, 'r', place);
        return rc;
    }
    if (is_bucket(node)) {
        return planner_error(a->p, node, NULL, err, "%s() is not the one of GROUP BY",
                             sql_tree_string(node, "function_name"));
    }
    if (is_star(node)) {
        return planner_error(a->p, node, "name the columns", err, "* cannot stand beside GROUP BY or an aggregate");
    }
    if (sql_tree_is(node, "class", "SUBQUERY")) {
        if (shadows(a, json_object_get(node, "subquery"))) {
            return planner_error(a->p, node, "give it another alias", err,
                                 "a relation of the sub-query has the alias of one outside");
        }
        *out = tree_copy(a->p, node);
        rewrite_subquery(a, *out);
        return OK;
    }
    return rewrite_parts(a, node, lambdas, out, err);
}

static Status rewrite(Aggregation *a, const json_t *node, json_t **out, Error *err)
{
    return rewrite_inside(a, node, NULL, out, err);
}

/* The step as a relation: its keys. */
static Relation step_relation(const Aggregation *a)
{
    const Key *keys = a->keys.items;
    Relation relation = {.n_columns = a->keys.count};
    relation.columns = arena_alloc(a->p->plan->arena, (a->keys.count + 1) * sizeof *relation.columns);
    for (size_t i = 0; i < a->keys.count; i++) {
        relation.columns[i] = keys[i].column;
        relation.columns[i].name = arena_printf(a->p->plan->arena, "k%zu", i);
    }
    return relation;
}

Status rewrite_list(Aggregation *a, Relation *out, Error *err)
{
    Planner *p = a->p;
    const json_t *list = json_object_get(a->select, "select_list"), *item;
    SqlList columns = SQL_LIST(Column);
    Scope above = {.sources = SQL_LIST(Source)};
    Status rc = OK;
    size_t i;
    *(Source *)sql_list_add(&above.sources) = (Source){.alias = a->step, .relation = step_relation(a)};
    json_array_foreach(list, i, item)
    {
        json_t *rewritten = NULL;
        const char *name = item_name(item);
        a->from = item;
        TRY(rewrite(a, item, &rewritten, err));
        if (!*name && sql_tree_is(item, "function_name", "window_time")) {
            name = "window_time";
        } else if (!*name) {
            TRY(planner_print_expression(p, item, &name, err));
        }
        json_array_append(a->list, tree_named(p, rewritten, name));
        Column column = lineage_of(&above, rewritten);
        column.means = meaning_of(p, a->scope, item);
        column.name = arena_strdup(p->plan->arena, name);
        *(Column *)sql_list_add(&columns) = column;
    }
    a->from = NULL;
    out->all_known = true;
    out->columns = sql_list_take(&columns, p->plan->arena, &out->n_columns);
out:
    sql_list_fini(&above.sources);
    sql_list_fini(&columns);
    return rc;
}

/* ORDER BY prefers names of the result: those stay. */
Status rewrite_modifiers(Aggregation *a, json_t *target, const Relation *result, Error *err)
{
    const json_t *modifiers = json_object_get(a->select, "modifiers"), *modifier, *order;
    json_t *targets = json_object_get(target, "modifiers");
    Status rc = OK;
    size_t i, k;
    json_array_foreach(modifiers, i, modifier)
    {
        json_array_foreach(json_object_get(modifier, "orders"), k, order)
        {
            const json_t *expression = json_object_get(order, "expression");
            json_t *rewritten = NULL;
            bool name = is_column_ref(expression) && column_parts(expression) == 1;
            if (is_constant(expression) || is_star(expression) ||
                (name && lineage_find(result, column_part(expression, 0)))) {
                continue;
            }
            TRY(rewrite(a, expression, &rewritten, err));
            json_object_set(json_array_get(json_object_get(json_array_get(targets, i), "orders"), k), "expression",
                            rewritten);
        }
    }
out:
    return rc;
}

Status rewrite_clause(Aggregation *a, const char *clause, json_t **out, Error *err)
{
    const json_t *node = json_object_get(a->select, clause);
    *out = tree_own(a->p, json_null());
    return node && !json_is_null(node) ? rewrite(a, node, out, err) : OK;
}
