/* What columns and expressions mean, so that state is told by it and not by how a query is written:
 *
 *   names       are without case, as DuckDB has them; literals keep theirs
 *   relations   have no alias where there is one; where there are several, they are relation0, relation1, ...
 *   columns     of sub-queries are the expressions there: p means upper(product) over (SELECT upper(product) AS p ...)
 *
 * A column of a relation whose columns are not known means its name. Two columns of a relation mean the same only when
 * they have the same values, so a query level whose columns may get other names unseen (COLUMNS) tells nothing.
 */
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "sql/stateful_int.h"

enum { NODES_MAX = 400 }; /* of one meaning: larger ones are hashed, so that queries over queries stay small */

/* ---- columns ---- */

/* The relation that an unqualified column is of. Where two may have the name, it can be the column of a USING, which is
 * neither's. */
static const Source *source_of_name(const Scope *scope, const char *name)
{
    const Source *sources = scope->sources.items, *found = NULL;
    if (scope->sources.count == 1) {
        return sources;
    }
    for (size_t i = 0; i < scope->sources.count; i++) {
        if (lineage_find(&sources[i].relation, name) || !sources[i].relation.all_known) {
            if (found) {
                return NULL;
            }
            found = &sources[i];
        }
    }
    return found;
}

/* What a relation's column means beside the relations around it: relation1.product, relation1(upper(product)). */
static json_t *with_place(Planner *p, const Scope *scope, const Source *source, json_t *means)
{
    char place[32];
    if (scope->sources.count == 1) {
        return means;
    }
    snprintf(place, sizeof place, "relation%zu", (size_t)(source - (const Source *)scope->sources.items));
    if (!is_column_ref(means)) {
        return tree_function(p, place, means);
    }
    json_t *column = tree_copy(p, means);
    json_array_insert_new(json_object_get(column, "column_names"), 0, json_string(place));
    return column;
}

static json_t *mean_column(Planner *p, const Scope *scope, const json_t *node)
{
    size_t at = 0;
    const Source *source = scope_source(scope, node, &at);
    source = source ? source : source_of_name(scope, column_part(node, 0));
    const Column *known = source ? lineage_find(&source->relation, column_part(node, at)) : NULL;
    json_t *means = known ? known->means : NULL;
    if (!means) {
        means = tree_column(p, NULL, "");
        json_array_set_new(json_object_get(means, "column_names"), 0, json_lower(column_part(node, at)));
    }
    means = source ? with_place(p, scope, source, means) : means;
    if (at + 1 == column_parts(node)) {
        return means;
    }
    if (!is_column_ref(means)) { /* fields of an expression */
        for (at++; at < column_parts(node); at++) {
            means = tree_field(p, means, json_string_value(tree_own(p, json_lower(column_part(node, at)))));
        }
        return means;
    }
    means = tree_copy(p, means);
    for (at++; at < column_parts(node); at++) {
        json_array_append_new(json_object_get(means, "column_names"), json_lower(column_part(node, at)));
    }
    return means;
}

/* ---- expressions ---- */

static bool is_name(const char *key)
{
    static const char *const KEYS[] = {
        "alias",   "function_name", "table_name", "schema_name",       "catalog_name",  "relation_name", "schema",
        "catalog", "key",           "column",     "column_name_alias", "using_columns", "exclude_list"};
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        if (strcmp(key, KEYS[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Returns what takes the place of `node`, which is changed inside. */
static json_t *mean(Planner *p, const Scope *scope, json_t *node, bool names)
{
    bool field = sql_tree_is(node, "type", "STRUCT_EXTRACT");
    const char *key;
    json_t *value;
    void *next;
    size_t i;
    if (is_column_ref(node)) {
        return mean_column(p, scope, node);
    }
    if (json_is_string(node)) {
        return names ? tree_own(p, json_lower(json_string_value(node))) : node;
    }
    json_array_foreach(node, i, value)
    {
        json_array_set(node, i, mean(p, scope, value, names));
    }
    json_object_foreach_safe(node, next, key, value)
    {
        if (strcmp(key, "cast_type") != 0) {
            json_object_set(node, key, mean(p, scope, value, is_name(key)));
        }
    }
    if (field) { /* (s).field, a constant */
        json_t *constant = json_object_get(json_array_get(json_object_get(node, "children"), 1), "value");
        json_object_set(constant, "value", mean(p, scope, json_object_get(constant, "value"), true));
    }
    return node;
}

static size_t count_nodes(const json_t *node, size_t n)
{
    const json_t *child;
    n += json_is_object(node);
    for (TreeChildren c = tree_children(node); n <= NODES_MAX && (child = tree_next(&c)) != NULL;) {
        n = count_nodes(child, n);
    }
    return n;
}

json_t *meaning_of(Planner *p, const Scope *scope, const json_t *expression)
{
    json_t *means = mean(p, scope, tree_copy(p, expression), false);
    const char *text = NULL;
    char hash[32];
    if (!is_column_ref(means)) {
        json_object_set_new(means, "alias", json_string(""));
    }
    if (count_nodes(means, 0) <= NODES_MAX) {
        return means;
    }
    if (planner_print_expression(p, means, &text, NULL) != OK) {
        return NULL;
    }
    snprintf(hash, sizeof hash, "#%016llx", (unsigned long long)hash_bytes(text, strlen(text)));
    return tree_column(p, NULL, hash);
}

json_t *meaning_either(Planner *p, json_t *a, json_t *b)
{
    json_t *both = a && b ? tree_function(p, "either", a) : NULL;
    if (both && json_equal(a, b)) {
        return a;
    }
    if (both) {
        json_array_append(json_object_get(both, "children"), b);
    }
    return both;
}

Status meaning_print(Planner *p, const Scope *scope, const json_t *expression, Text *out, Error *err)
{
    const char *text = NULL;
    json_t *means = meaning_of(p, scope, expression);
    Status rc = planner_print_expression(p, means ? means : expression, &text, err);
    text_append(out, rc == OK ? text : "");
    return rc;
}
