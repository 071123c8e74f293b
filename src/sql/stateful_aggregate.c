/* GROUP BY and aggregates become a step.
 *
 *   SELECT <list> FROM <from> WHERE <where> GROUP BY <keys> HAVING <having>
 *
 * becomes the step's input, SELECT <keys>, <arguments>, <filters> FROM <from> WHERE <where>, and the query over its
 * output, SELECT <list> FROM <step> WHERE <having>, where every expression that is a key reads k<i>, every aggregate r<j>.
 * Whatever else names a column is an error, as it is in DuckDB.
 *
 * A name in GROUP BY is a column before it is an alias of the list, in DuckDB. The planner knows no columns: an alias wins
 * unless the expression behind it reads a column of that name or is itself one of the other keys.
 */
#include <stdio.h>
#include <string.h>

#include "sql/stateful_int.h"

/* A grouping key while it is made. */
typedef struct Key {
    const json_t *expression; /* as it stands in the query */
    const json_t *input;      /* what the step's input has for it */
    Column column;            /* of the output */
    SqlKey key;
    bool is_session;
} Key;

/* An aggregate while it is made. */
typedef struct Call {
    const json_t *expression;
    SqlAggregate aggregate;
} Call;

typedef struct Aggregation {
    Planner *p;
    json_t *select;
    const Scope *scope;
    const char *step;            /* its name */
    SqlList keys;                /* Key */
    SqlList calls;               /* Call */
    SqlList orders;              /* of one call: SqlOrder */
    json_t *arguments, *filters; /* a0.. and f0.. */
    const json_t *gap;
    json_t *list;       /* rewritten, as far as it is */
    const json_t *from; /* items of the list that may be named: those before this one; NULL: all */
} Aggregation;

static Status rewrite(Aggregation *a, const json_t *node, json_t **out, Error *err);

/* ---- keys ---- */

static const char *item_name(const json_t *item)
{
    return sql_tree_has(item, "alias") ? sql_tree_string(item, "alias")
           : is_column_ref(item)       ? column_part(item, column_parts(item) - 1)
           : is_window_call(item)      ? "window"
           : is_session_call(item)     ? "session_window"
                                       : "";
}

/* The item of the list with that alias (not a plain column of that name); NULL when there is none. */
static const json_t *find_alias(const Aggregation *a, const char *name)
{
    const json_t *item;
    size_t i;
    json_array_foreach(json_object_get(a->select, "select_list"), i, item)
    {
        if (sql_tree_has(item, "alias") && str_ieq(sql_tree_string(item, "alias"), name)) {
            return item;
        }
    }
    return NULL;
}

static bool reads_column(const json_t *node, const char *name)
{
    const char *key;
    const json_t *value;
    size_t i;
    if (is_column_ref(node) && column_parts(node) == 1 && str_ieq(column_part(node, 0), name)) {
        return true;
    }
    if (json_is_array(node)) {
        json_array_foreach(node, i, value)
        {
            if (reads_column(value, name)) {
                return true;
            }
        }
    } else if (json_is_object(node)) {
        json_object_foreach((json_t *)node, key, value)
        {
            if (reads_column(value, name)) {
                return true;
            }
        }
    }
    return false;
}

static bool scope_has(const Scope *scope, const char *name)
{
    const Source *sources = scope->sources.items;
    for (size_t i = 0; i < scope->sources.count; i++) {
        if (lineage_find(&sources[i].relation, name)) {
            return true;
        }
    }
    return false;
}

static bool is_among(const Aggregation *a, const json_t *groups, const json_t *expression)
{
    const json_t *group;
    size_t i;
    json_array_foreach(groups, i, group)
    {
        if (tree_equal(a->scope, group, expression)) {
            return true;
        }
    }
    return false;
}

/* What an expression of GROUP BY means: an ordinal, an alias, itself. */
static Status resolve_group(const Aggregation *a, const json_t *groups, const json_t *group, const json_t **out,
                            Error *err)
{
    const json_t *list = json_object_get(a->select, "select_list"), *item;
    const json_t *value = json_object_get(json_object_get(group, "value"), "value");
    *out = group;
    if (sql_tree_is(group, "class", "CONSTANT") && json_is_integer(value)) {
        json_int_t place = json_integer_value(value);
        if (place < 1 || (size_t)place > json_array_size(list)) {
            return planner_error(a->p, group, NULL, err, "GROUP BY term out of range: there are %zu columns",
                                 json_array_size(list));
        }
        *out = json_array_get(list, (size_t)place - 1);
    } else if (is_column_ref(group) && column_parts(group) == 1 &&
               (item = find_alias(a, column_part(group, 0))) != NULL && !scope_has(a->scope, column_part(group, 0)) &&
               !reads_column(item, column_part(group, 0)) && !is_among(a, groups, item)) {
        *out = item;
    }
    if (contains_aggregate(*out)) {
        return planner_error(a->p, group, NULL, err, "GROUP BY cannot contain an aggregate");
    }
    if (sql_tree_is(*out, "class", "STAR")) {
        return planner_error(a->p, group, "name the columns", err, "a stream cannot be grouped by *");
    }
    return OK;
}

static Status add_session(Aggregation *a, Key *key, Error *err)
{
    const json_t *arguments = json_object_get(key->expression, "children");
    if (json_array_size(arguments) != 2) {
        return planner_error(a->p, key->expression, "session_window(time, gap)", err,
                             "session_window() takes two arguments, not %zu", json_array_size(arguments));
    }
    if (a->p->options.mode == SQL_OUTPUT_UPDATE) {
        return planner_error(a->p, key->expression, "use append: a session is written when it is complete", err,
                             "session_window() cannot run in update mode: a session that grows changes its key");
    }
    const json_t *time = json_array_get(arguments, 0);
    Column column = lineage_of(a->scope, time);
    key->input = column.is_window ? tree_function(a->p, "window_time", time) : time;
    key->is_session = true;
    key->key.is_event_time = column.carries != CARRIES_NOTHING;
    key->column.delay_us = column.delay_us;
    a->gap = json_array_get(arguments, 1);
    return OK;
}

static Status add_window(Aggregation *a, Key *key, Error *err)
{
    Status rc = read_window(a->p, a->scope, key->expression, &key->key.window, &key->input, err);
    Column column = rc == OK ? lineage_of(a->scope, key->input) : (Column){0};
    key->key.is_window = true;
    key->key.is_event_time = column.carries != CARRIES_NOTHING;
    key->column.delay_us = column.delay_us;
    return rc;
}

static Status add_key(Aggregation *a, const json_t *expression, Error *err)
{
    bool bucket = is_window_call(expression) || is_session_call(expression);
    Key *keys = a->keys.items;
    Key key = {.expression = expression, .input = expression};
    Status rc = OK;
    for (size_t i = 0; i < a->keys.count; i++) {
        if (tree_equal(a->scope, keys[i].expression, expression)) {
            return OK;
        }
        if (bucket && (keys[i].key.is_window || keys[i].is_session)) {
            return planner_error(a->p, expression, "write a flow for each", err,
                                 "GROUP BY has more than one window() or session_window()");
        }
    }
    if (!bucket && (tree_any(expression, true, is_window_call) || tree_any(expression, true, is_session_call))) {
        return planner_error(a->p, expression, "group by the window itself", err,
                             "window() and session_window() cannot stand inside an expression of GROUP BY");
    }
    if (is_session_call(expression)) {
        TRY(add_session(a, &key, err));
    } else if (is_window_call(expression)) {
        TRY(add_window(a, &key, err));
    } else {
        key.column = lineage_of(a->scope, expression);
        key.key.is_event_time = key.column.carries != CARRIES_NOTHING;
    }
    if (bucket) {
        key.column.is_window = true;
        key.column.carries = key.key.is_event_time ? CARRIES_WINDOW : CARRIES_NOTHING;
    }
    key.column.is_start = false;
    key.column.step = (int)a->p->steps.count;
    key.column.key = (int)a->keys.count;
    *(Key *)sql_list_add(&a->keys) = key;
out:
    return rc;
}

static bool is_constant(const json_t *node)
{
    return sql_tree_is(node, "class", "CONSTANT");
}

static Status add_keys(Aggregation *a, Error *err)
{
    const json_t *groups = json_object_get(a->select, "group_expressions"), *group;
    const json_t *list = json_object_get(a->select, "select_list");
    bool all = json_array_size(groups) == 0 && !sql_tree_is(a->select, "aggregate_handling", "STANDARD_HANDLING");
    Status rc = OK;
    size_t i;
    json_array_foreach(all ? list : groups, i, group)
    {
        const json_t *expression = group;
        if (all && (contains_aggregate(group) || is_constant(group))) {
            continue;
        }
        if (all && sql_tree_is(group, "class", "STAR")) {
            TRY(planner_error(a->p, group, "name the columns", err, "a stream cannot be grouped by *"));
        }
        if (!all) {
            TRY(resolve_group(a, groups, group, &expression, err));
        }
        TRY(add_key(a, expression, err));
    }
out:
    return rc;
}

/* ---- aggregates ---- */

static bool is_star(const json_t *node)
{
    return sql_tree_is(node, "class", "STAR");
}

static bool is_bucket(const json_t *node)
{
    return is_window_call(node) || is_session_call(node);
}

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
            .column = add_input(a, a->arguments, json_object_get(order, "expression"), true),
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

static Status rewrite_parts(Aggregation *a, const json_t *node, const Lambda *lambdas, json_t **out, Error *err)
{
    json_t *copy = tree_own(a->p, json_is_array(node) ? json_array() : json_object()), *part = NULL;
    Lambda own = {.parameters = json_object_get(node, "lhs"), .outer = lambdas};
    const char *key;
    const json_t *value;
    Status rc = OK;
    size_t i;
    if (sql_tree_is(node, "class", "LAMBDA")) {
        lambdas = &own;
    }
    if (json_is_array(node)) {
        json_array_foreach(node, i, value)
        {
            TRY(rewrite_inside(a, value, lambdas, &part, err));
            json_array_append(copy, part);
        }
    } else {
        json_object_foreach((json_t *)node, key, value)
        {
            TRY(rewrite_inside(a, value, lambdas, &part, err));
            json_object_set(copy, key, part);
        }
    }
    *out = copy;
out:
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
    if (is_aggregate_call(node)) {
        Status rc = add_call(a, node, &place, err);
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

/* The select list over the step, every item with the name DuckDB would give it. */
static Status rewrite_list(Aggregation *a, Relation *out, Error *err)
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
static Status rewrite_modifiers(Aggregation *a, json_t *target, const Relation *result, Error *err)
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

static Status rewrite_clause(Aggregation *a, const char *clause, json_t **out, Error *err)
{
    const json_t *node = json_object_get(a->select, clause);
    *out = tree_own(a->p, json_null());
    return node && !json_is_null(node) ? rewrite(a, node, out, err) : OK;
}

/* ---- the step ---- */

static void add_inputs(const Aggregation *a, json_t *list, const json_t *expressions, char letter)
{
    const json_t *expression;
    char name[32];
    size_t i;
    json_array_foreach(expressions, i, expression)
    {
        snprintf(name, sizeof name, "%c%zu", letter, i);
        json_array_append(list, tree_named(a->p, expression, name));
    }
}

/* WHERE may name aliases of the list: then they are columns of a query below. */
static json_t *provide_aliases(const Aggregation *a, json_t *list, json_t *query)
{
    const json_t *items = json_object_get(a->select, "select_list"), *where = json_object_get(query, "where_clause");
    const json_t *item;
    json_t *inner = tree_copy(a->p, list), *outer = tree_own(a->p, json_array());
    bool any = false;
    size_t i;
    json_array_foreach(items, i, item)
    {
        const char *alias = sql_tree_string(item, "alias");
        if (*alias && reads_column(where, alias) && !contains_aggregate(item) && !is_bucket(item) &&
            !reads_column(item, alias)) {
            json_array_append(inner, tree_copy(a->p, item));
            any = true;
        }
    }
    if (!any) {
        return query;
    }
    json_array_foreach(list, i, item)
    {
        json_array_append(outer, tree_column(a->p, NULL, sql_tree_string(item, "alias")));
    }
    json_object_set(query, "select_list", inner);
    return tree_select(a->p, outer, tree_subquery(a->p, query, "freshet_input"));
}

static Status print_input(const Aggregation *a, const JoinPlan *join, const char **out, Error *err)
{
    json_t *list = tree_own(a->p, json_array());
    json_t *keys = tree_own(a->p, json_array());
    for (size_t i = 0; i < a->keys.count; i++) {
        json_array_append(keys, (json_t *)((Key *)a->keys.items)[i].input);
    }
    add_inputs(a, list, keys, 'k');
    add_inputs(a, list, a->arguments, 'a');
    add_inputs(a, list, a->filters, 'f');
    if (a->gap) {
        json_array_append(list, tree_named(a->p, a->gap, "g0"));
    }
    if (json_array_size(list) == 0) { /* SELECT count(*): rows are all that counts */
        json_array_append(list, tree_named(a->p, tree_number(a->p, 1), "one"));
    }
    json_t *core = join_variants(a->p, join, planner_core(a->p, a->select, list));
    return planner_print(a->p, sql_tree_is(core, "type", "SELECT_NODE") ? provide_aliases(a, list, core) : core, out,
                         err);
}

/* Without aliases of relations when there is one relation only. */
static Status print_plain(const Aggregation *a, const json_t *expression, Text *out, Error *err)
{
    json_t *copy = tree_own(a->p, json_pack("[o]", json_deep_copy(expression)));
    const char *text = NULL;
    Status rc = OK;
    if (a->scope->sources.count == 1) {
        for (json_t *stack = tree_own(a->p, json_pack("[O]", copy)); json_array_size(stack) > 0;) {
            json_t *top = json_incref(json_array_get(stack, json_array_size(stack) - 1)), *value;
            const char *key;
            size_t i, skip;
            json_array_remove(stack, json_array_size(stack) - 1);
            if (is_column_ref(top) && scope_source(a->scope, top, &skip)) {
                json_array_remove(json_object_get(top, "column_names"), 0);
            } else if (json_is_array(top)) {
                json_array_foreach(top, i, value) json_array_append(stack, value);
            } else if (json_is_object(top)) {
                json_object_foreach(top, key, value) json_array_append(stack, value);
            }
            json_decref(top);
        }
    }
    TRY(planner_print_expression(a->p, json_array_get(copy, 0), &text, err));
    text_append(out, text);
out:
    return rc;
}

static Status print_title(const Aggregation *a, Text *title, Text *fingerprint, Error *err)
{
    const Key *keys = a->keys.items;
    const Call *calls = a->calls.items;
    Status rc = OK;
    text_append(fingerprint, "keys:");
    for (size_t i = 0; i < a->keys.count; i++) {
        const SqlKey *key = &keys[i].key;
        Text text = TEXT(SQL_TEXT_MAX);
        text_append(&text, keys[i].is_session ? "session_window(" : key->is_window ? "window(" : "");
        rc = print_plain(a, keys[i].input, &text, err);
        if (rc == OK && keys[i].is_session) {
            text_append(&text, ", ");
            rc = print_plain(a, a->gap, &text, err);
        } else if (key->is_window) {
            text_append(&text, ", ");
            print_duration(key->window.size_us, &text);
            text_append(&text, key->window.slide_us != key->window.size_us || key->window.offset_us ? ", " : "");
            if (key->window.slide_us != key->window.size_us || key->window.offset_us) {
                print_duration(key->window.slide_us, &text);
            }
            if (key->window.offset_us) {
                text_append(&text, ", ");
                print_duration(key->window.offset_us, &text);
            }
        }
        text_append(&text, keys[i].is_session || key->is_window ? ")" : "");
        text_printf(title, "%s%s", i == 0 ? "" : ", ", text_str(&text));
        text_printf(fingerprint, " %s;", text_str(&text));
        text_free(&text);
        TRY(rc);
    }
    text_append(fingerprint, " aggregates:");
    for (size_t i = 0; i < a->calls.count; i++) {
        text_append_char(fingerprint, ' ');
        TRY(print_plain(a, calls[i].expression, fingerprint, err));
        text_append_char(fingerprint, ';');
    }
    if (a->keys.count == 0) {
        text_append(title, "all rows");
    }
out:
    return rc;
}

static Status check_mode(const Aggregation *a, bool watermarked, bool session, Error *err)
{
    bool window = false;
    Column carrier;
    const Key *keys = a->keys.items;
    for (size_t i = 0; i < a->keys.count; i++) {
        window = window || keys[i].key.is_window || keys[i].is_session;
    }
    if (session && a->keys.count == 1) {
        return planner_error(a->p, keys[0].expression, "add a column to GROUP BY", err,
                             "session_window() needs another grouping key");
    }
    if (a->p->options.mode != SQL_OUTPUT_APPEND || watermarked) {
        return OK;
    }
    if (session) {
        return planner_error(a->p, a->select,
                             "write WATERMARK <its column> DELAY OF INTERVAL '10 minutes' behind the stream", err,
                             "in append mode a session is written when it is complete, and without a watermark it "
                             "never is");
    }
    if (lineage_carrier(a->p, a->scope, &carrier)) {
        return planner_error(
            a->p, a->select,
            arena_printf(a->p->plan->arena,
                         "add window(%s, INTERVAL '1 hour') or %s to GROUP BY, or set "
                         "'freshet.outputMode' = 'update'",
                         carrier.name, carrier.name),
            err,
            "in append mode a group is written when it is complete: GROUP BY needs the column with the "
            "watermark, or a window over it");
    }
    return planner_error(
        a->p, a->select,
        window ? "write WATERMARK <its column> DELAY OF INTERVAL '10 minutes' behind the stream, or set "
                 "'freshet.outputMode' = 'update'"
               : "write WATERMARK <column> DELAY OF INTERVAL '10 minutes' behind the stream and group by "
                 "a window over that column, or set 'freshet.outputMode' = 'update'",
        err, "in append mode a group is written when it is complete, and without a watermark it never is");
}

static Status make_step(Aggregation *a, const JoinPlan *join, Error *err)
{
    Planner *p = a->p;
    const Key *keys = a->keys.items;
    const Call *calls = a->calls.items;
    Text title = TEXT(SQL_TEXT_MAX), fingerprint = TEXT(SQL_TEXT_MAX);
    SqlStep made = {.n_keys = a->keys.count,
                    .keys = arena_alloc(p->plan->arena, (a->keys.count + 1) * sizeof *made.keys),
                    .n_aggregates = a->calls.count,
                    .aggregates = arena_alloc(p->plan->arena, (a->calls.count + 1) * sizeof *made.aggregates),
                    .n_arguments = json_array_size(a->arguments),
                    .n_filters = json_array_size(a->filters)};
    Status rc = OK;
    for (size_t i = 0; i < a->keys.count; i++) {
        made.keys[i] = keys[i].key;
        made.watermarked = made.watermarked || keys[i].key.is_event_time;
        made.session_key = keys[i].is_session ? i : made.session_key;
    }
    for (size_t i = 0; i < a->calls.count; i++) {
        made.aggregates[i] = calls[i].aggregate;
    }
    TRY(check_mode(a, made.watermarked, a->gap != NULL, err));
    TRY(print_input(a, join, &made.input, err));
    TRY(print_title(a, &title, &fingerprint, err));
    SqlStep *step = planner_add_step(p, a->gap ? SQL_STEP_SESSION : SQL_STEP_AGGREGATE);
    made.kind = step->kind;
    made.name = step->name;
    made.title = arena_strdup(p->plan->arena, text_str(&title));
    made.fingerprint = arena_strdup(p->plan->arena, text_str(&fingerprint));
    *step = made;
out:
    text_free(&title);
    text_free(&fingerprint);
    return rc;
}

Status lower_aggregate(Planner *p, json_t *select, const Scope *scope, const JoinPlan *join, Relation *out, Error *err)
{
    Aggregation a = {.p = p,
                     .select = tree_copy(p, select), /* to be read while `select` changes */
                     .scope = scope,
                     .step = arena_printf(p->plan->arena, "freshet_step_%zu", p->steps.count),
                     .keys = SQL_LIST(Key),
                     .calls = SQL_LIST(Call),
                     .orders = SQL_LIST(SqlOrder),
                     .arguments = tree_own(p, json_array()),
                     .filters = tree_own(p, json_array()),
                     .list = tree_own(p, json_array())};
    json_t *where = json_object_get(select, "where_clause");
    json_t *having = NULL, *qualify = NULL;
    Relation result = {0};
    Status rc = OK;

    if (contains_aggregate(where)) {
        return planner_error(p, where, "use HAVING", err, "WHERE cannot contain aggregates");
    }
    TRY(add_keys(&a, err));
    TRY(rewrite_list(&a, &result, err));
    TRY(rewrite_modifiers(&a, select, &result, err));
    TRY(rewrite_clause(&a, "having", &having, err));
    TRY(rewrite_clause(&a, "qualify", &qualify, err));
    TRY(make_step(&a, join, err));
    json_object_set(select, "where_clause", having);
    json_object_set_new(select, "having", json_null());
    json_object_set(select, "qualify", qualify);
    json_object_set(select, "select_list", a.list);
    json_object_set(select, "from_table", tree_table(p, a.step, ""));
    json_object_set_new(select, "group_expressions", json_array());
    json_object_set_new(select, "group_sets", json_array());
    json_object_set_new(select, "aggregate_handling", json_string("STANDARD_HANDLING"));
    result.rows = p->options.mode == SQL_OUTPUT_APPEND   ? ROWS_APPEND
                  : p->options.mode == SQL_OUTPUT_UPDATE ? ROWS_UPDATE
                                                         : ROWS_FULL;
    *out = result;
out:
    sql_list_fini(&a.keys);
    sql_list_fini(&a.calls);
    sql_list_fini(&a.orders);
    return rc;
}
