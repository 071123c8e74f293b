/* Lineage: which columns carry event time, and which are the key of a group.
 *
 * A column keeps what it carries through plain references, aliases, stars, sub-queries and UNION ALL where it stands at
 * the same place everywhere. An expression carries nothing, but for the end of a window and window_time(): all rows of
 * a window leave its step at once, when the watermark is at its end, so a row with a later end can still come, one with
 * an earlier cannot. Its start carries nothing: the rows that leave have starts behind the watermark already.
 */
#include <string.h>

#include "sql/stateful_int.h"

static Column unknown(const char *name)
{
    return (Column){.name = name, .step = NO_STEP};
}

static bool is_something(const Column *column)
{
    return column->carries != CARRIES_NOTHING || column->is_window || column->step != NO_STEP || column->means;
}

const Column *lineage_find(const Relation *relation, const char *name)
{
    for (size_t i = 0; i < relation->n_columns; i++) {
        if (str_ieq(relation->columns[i].name, name)) {
            return &relation->columns[i];
        }
    }
    return NULL;
}

bool scope_has(const Scope *scope, const char *name)
{
    const Source *sources = scope->sources.items;
    for (size_t i = 0; i < scope->sources.count; i++) {
        if (lineage_find(&sources[i].relation, name)) {
            return true;
        }
    }
    return false;
}

const Source *scope_source(const Scope *scope, const json_t *column, size_t *rest)
{
    const Source *sources = scope->sources.items;
    *rest = 0;
    for (size_t i = 0; column_parts(column) > 1 && i < scope->sources.count; i++) {
        if (*sources[i].alias && str_ieq(sources[i].alias, column_part(column, 0))) {
            *rest = 1;
            return &sources[i];
        }
    }
    return NULL;
}

/* ---- expressions ---- */

/* The field of a window. */
static Column field_of(Column window, const char *field)
{
    Column column = unknown(field);
    if (window.is_window && str_ieq(field, "end")) {
        column.carries = window.carries == CARRIES_WINDOW ? CARRIES_TIME : CARRIES_NOTHING;
        column.delay_us = window.delay_us;
    } else if (window.is_window && str_ieq(field, "start")) {
        column.step = window.step;
        column.key = window.key;
        column.is_start = true;
    }
    return column;
}

static Column lineage_of_column(const Scope *scope, const json_t *node)
{
    const Source *sources = scope->sources.items;
    size_t at = 0, parts = column_parts(node);
    const Source *only = scope_source(scope, node, &at);
    for (size_t i = 0; i < scope->sources.count; i++) {
        const Column *found = !only || only == &sources[i] ? lineage_find(&sources[i].relation, column_part(node, at))
                                                           : NULL;
        if (found) {
            return at + 1 == parts   ? *found
                   : at + 2 == parts ? field_of(*found, column_part(node, at + 1))
                                     : unknown("");
        }
    }
    return unknown(column_part(node, parts - 1));
}

Column lineage_of(const Scope *scope, const json_t *node)
{
    const json_t *children = json_object_get(node, "children"), *first = json_array_get(children, 0);
    if (is_column_ref(node)) {
        return lineage_of_column(scope, node);
    }
    if (sql_tree_is(node, "type", "STRUCT_EXTRACT")) {
        const json_t *field = json_object_get(json_object_get(json_array_get(children, 1), "value"), "value");
        return json_is_string(field) ? field_of(lineage_of(scope, first), json_string_value(field)) : unknown("");
    }
    if (is_window_time(node)) {
        Column end = field_of(lineage_of(scope, first), "end");
        end.name = "window_time";
        return end;
    }
    return unknown("");
}

json_t *lineage_carrier(Planner *p, const Scope *scope, Column *out)
{
    const Source *sources = scope->sources.items;
    for (size_t i = 0; i < scope->sources.count; i++) {
        for (size_t k = 0; k < sources[i].relation.n_columns; k++) {
            const Column *column = &sources[i].relation.columns[k];
            if (column->carries != CARRIES_NOTHING) {
                *out = *column;
                return tree_column(p, *sources[i].alias ? sources[i].alias : NULL, column->name);
            }
        }
    }
    return NULL;
}

/* ---- select lists ---- */

static void add_column(SqlList *columns, Column column, const char *name)
{
    column.name = name;
    *(Column *)sql_list_add(columns) = column;
}

static bool is_listed(const json_t *names, const char *name)
{
    const json_t *value;
    size_t i;
    json_array_foreach(names, i, value)
    {
        const char *listed = json_is_string(value) ? json_string_value(value) : sql_tree_string(value, "column");
        if (str_ieq(listed, name)) {
            return true;
        }
    }
    return false;
}

static const char *key_of(const json_t *entry)
{
    const json_t *key = json_object_get(entry, "key");
    return json_is_string(key) ? json_string_value(key) : sql_tree_string(key, "column");
}

/* The entry of replace_list or rename_list for a column; NULL when there is none. */
static const json_t *entry_of(const json_t *entries, const char *name)
{
    const json_t *entry;
    size_t i;
    json_array_foreach(entries, i, entry)
    {
        if (str_ieq(key_of(entry), name)) {
            return json_object_get(entry, "value");
        }
    }
    return NULL;
}

/* Columns that are not known, under other names or with other values. */
static void add_changed(Planner *p, const Scope *scope, const json_t *star, SqlList *columns)
{
    const json_t *entry;
    size_t i;
    json_array_foreach(json_object_get(star, "rename_list"), i, entry)
    {
        const char *name = key_of(entry);
        Column column = unknown(name);
        column.means = meaning_of(p, scope, tree_column(p, NULL, name));
        if (!scope_has(scope, name)) {
            add_column(columns, column, arena_strdup(p->plan->arena, sql_tree_string(entry, "value")));
        }
    }
    json_array_foreach(json_object_get(star, "replace_list"), i, entry)
    {
        const char *name = key_of(entry);
        const json_t *value = json_object_get(entry, "value");
        Column column = lineage_of(scope, value);
        column.means = meaning_of(p, scope, value);
        if (!scope_has(scope, name)) {
            add_column(columns, column, arena_strdup(p->plan->arena, name));
        }
    }
}

/* Returns whether all columns of the star are known. */
static bool add_star(Planner *p, const Scope *scope, const json_t *star, SqlList *columns)
{
    const Source *sources = scope->sources.items;
    const char *relation = sql_tree_string(star, "relation_name");
    bool all = scope->sources.count == 1; /* USING has columns once */
    if (json_is_true(json_object_get(star, "columns"))) {
        return false;
    }
    for (size_t i = 0; i < scope->sources.count; i++) {
        if (*relation && !str_ieq(relation, sources[i].alias)) {
            continue;
        }
        all = all && sources[i].relation.all_known;
        for (size_t k = 0; k < sources[i].relation.n_columns; k++) {
            Column column = sources[i].relation.columns[k];
            if (is_listed(json_object_get(star, "exclude_list"), column.name) ||
                is_listed(json_object_get(star, "qualified_exclude_list"), column.name)) {
                continue;
            }
            const json_t *renamed = entry_of(json_object_get(star, "rename_list"), column.name);
            const json_t *replaced = entry_of(json_object_get(star, "replace_list"), column.name);
            const json_t *is = replaced ? replaced : tree_column(p, NULL, column.name);
            column = replaced ? lineage_of(scope, replaced) : column;
            column.means = meaning_of(p, scope, is);
            column.name = renamed    ? arena_strdup(p->plan->arena, json_string_value(renamed))
                          : replaced ? sources[i].relation.columns[k].name
                                     : column.name;
            add_column(columns, column, column.name);
        }
    }
    add_changed(p, scope, star, columns);
    return all;
}

static Relation relation_of(Planner *p, SqlList *columns, Rows rows, bool all)
{
    Relation relation = {.rows = rows, .all_known = all};
    relation.columns = sql_list_take(columns, p->plan->arena, &relation.n_columns);
    sql_list_fini(columns);
    return relation;
}

/* Columns that are made or named by a pattern. */
static bool is_pattern(const json_t *node)
{
    return is_star(node) && json_is_true(json_object_get(node, "columns"));
}

Relation lineage_select(Planner *p, const Scope *scope, const json_t *list)
{
    SqlList columns = SQL_LIST(Column);
    const json_t *item;
    size_t i;
    bool patterns = tree_any(list, false, is_pattern), all = !patterns;
    json_array_foreach(list, i, item)
    {
        if (sql_tree_is(item, "class", "STAR")) {
            all = add_star(p, scope, item, &columns) && all;
            continue;
        }
        Column column = lineage_of(scope, item);
        column.means = streams(scope->rows) ? meaning_of(p, scope, item) : NULL;
        const char *alias = sql_tree_string(item, "alias");
        const char *name = *alias                ? alias
                           : is_column_ref(item) ? column_part(item, column_parts(item) - 1)
                                                 : column.name;
        add_column(&columns, column, arena_strdup(p->plan->arena, name));
    }
    for (i = 0; patterns && i < columns.count; i++) {
        ((Column *)columns.items)[i].means = NULL;
    }
    return relation_of(p, &columns, scope->rows, all);
}

/* ---- relations ---- */

/* What holds for both. */
static Column common(Planner *p, const Column *a, const Column *b)
{
    Column column = unknown(a->name);
    if (b) {
        column.means = meaning_either(p, a->means, b->means);
        column.carries = a->carries == b->carries ? a->carries : CARRIES_NOTHING;
        column.is_window = a->is_window && b->is_window;
        column.delay_us = a->delay_us > b->delay_us ? a->delay_us : b->delay_us;
    }
    return column;
}

Relation lineage_union(Planner *p, const Relation *left, const Relation *right, bool by_name)
{
    SqlList columns = SQL_LIST(Column);
    bool by_place = !by_name && left->all_known && right->all_known;
    for (size_t i = 0; i < left->n_columns; i++) {
        const Column *other = !by_place              ? lineage_find(right, left->columns[i].name)
                              : i < right->n_columns ? &right->columns[i]
                                                     : NULL;
        Column column = common(p, &left->columns[i], other);
        column.means = by_place || by_name ? column.means : NULL;
        if (by_place || is_something(&column)) {
            add_column(&columns, column, column.name);
        }
    }
    return relation_of(p, &columns, left->rows > right->rows ? left->rows : right->rows, by_place);
}

Relation lineage_renamed(Planner *p, const Relation *relation, const json_t *names)
{
    SqlList columns = SQL_LIST(Column);
    size_t n = json_array_size(names);
    if (n == 0) {
        return *relation;
    }
    /* names count from the left, so nothing is known when the columns before one are not */
    for (size_t i = 0; relation->all_known && i < relation->n_columns; i++) {
        const char *name = i < n ? json_string_value(json_array_get(names, i)) : relation->columns[i].name;
        add_column(&columns, relation->columns[i], arena_strdup(p->plan->arena, name));
    }
    return relation_of(p, &columns, relation->rows, relation->all_known);
}
