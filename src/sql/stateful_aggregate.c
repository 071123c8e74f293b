/* GROUP BY and aggregates become a step.
 *
 *   SELECT <list> FROM <from> WHERE <where> GROUP BY <keys> HAVING <having>
 *
 * becomes the step's input, SELECT <keys>, <arguments>, <filters> FROM <from> WHERE <where>, and the query over its
 * output, SELECT <list> FROM <step> WHERE <having>, where every expression that is a key reads k<i>, every aggregate
 * r<j>. Whatever else names a column is an error, as it is in DuckDB.
 *
 * A name in GROUP BY is a column before it is an alias of the list, in DuckDB. The planner knows no columns: an alias
 * wins unless the expression behind it reads a column of that name or is itself one of the other keys. Whoever knows the
 * columns looks whether that was right (SqlStep.shadowed).
 *
 * GROUPING SETS: the rows go into the input once for each set, with NULL for the keys that it lacks, and the number of
 * the set, from 1, is one more key, the last.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql/stateful_aggregate.h"

/* ---- keys ---- */

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
    const json_t *child;
    bool found = is_column_ref(node) && column_parts(node) == 1 && str_ieq(column_part(node, 0), name);
    for (TreeChildren c = tree_children(node); !found && (child = tree_next(&c)) != NULL;) {
        found = reads_column(child, name);
    }
    return found;
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
        json_array_append_new(a->aliases, json_string(column_part(group, 0)));
    }
    if (contains_aggregate(*out)) {
        return planner_error(a->p, group, NULL, err, "GROUP BY cannot contain an aggregate");
    }
    if (is_star(*out)) {
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

/* *place: of the key, which may be there already. */
static Status add_key(Aggregation *a, const json_t *expression, size_t *place, Error *err)
{
    bool bucket = is_bucket(expression);
    Key *keys = a->keys.items;
    Key key = {.expression = expression, .input = expression};
    Status rc = OK;
    for (size_t i = 0; i < a->keys.count; i++) {
        if (tree_equal(a->scope, keys[i].expression, expression)) {
            *place = i;
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
    *place = a->keys.count;
    *(Key *)sql_list_add(&a->keys) = key;
out:
    return rc;
}

static Status add_keys(Aggregation *a, Error *err)
{
    const json_t *groups = json_object_get(a->select, "group_expressions"), *group;
    const json_t *list = json_object_get(a->select, "select_list");
    bool all = json_array_size(groups) == 0 && !sql_tree_is(a->select, "aggregate_handling", "STANDARD_HANDLING");
    Status rc = OK;
    size_t i, place = 0;
    a->group_keys = arena_alloc(a->p->plan->arena, (json_array_size(groups) + 1) * sizeof *a->group_keys);
    json_array_foreach(all ? list : groups, i, group)
    {
        const json_t *expression = group;
        if (all && (contains_aggregate(group) || sql_tree_is(group, "class", "CONSTANT"))) {
            continue;
        }
        if (all && is_star(group)) {
            TRY(planner_error(a->p, group, "name the columns", err, "a stream cannot be grouped by *"));
        }
        if (!all) {
            TRY(resolve_group(a, groups, group, &expression, err));
        }
        TRY(add_key(a, expression, &place, err));
        if (!all) {
            a->group_keys[i] = place;
        }
    }
out:
    return rc;
}

bool set_has(const Aggregation *a, const json_t *set, size_t key)
{
    const json_t *group;
    size_t i;
    json_array_foreach(set, i, group)
    {
        if (a->group_keys[json_integer_value(group)] == key) {
            return true;
        }
    }
    return false;
}

/* The number of the set becomes a key; what is not in all sets closes nothing. */
static Status add_sets(Aggregation *a, Error *err)
{
    const json_t *sets = json_object_get(a->select, "group_sets"), *set;
    const json_t *place = json_object_get(a->select, "group_expressions");
    size_t i;
    if (json_array_size(sets) < 2) {
        return OK;
    }
    if (a->p->options.mode == SQL_OUTPUT_UPDATE) {
        return planner_error(
            a->p, place, "write a flow for each set of keys, or use complete mode", err,
            "GROUPING SETS, ROLLUP and CUBE cannot run in update mode: rows of different sets can have "
            "the same keys");
    }
    if (a->gap) {
        return planner_error(a->p, place, "write a flow for each set of keys", err,
                             "session_window() cannot stand in GROUPING SETS, ROLLUP or CUBE");
    }
    for (size_t k = 0; k < a->keys.count; k++) {
        Key *key = &((Key *)a->keys.items)[k];
        bool everywhere = true;
        json_array_foreach(sets, i, set) everywhere = everywhere && set_has(a, set, k);
        if (!everywhere && key->key.is_window) {
            return planner_error(a->p, place, "GROUP BY window(...), ROLLUP (...)", err,
                                 "window() has to be in every grouping set");
        }
        key->key.is_event_time = key->key.is_event_time && everywhere;
        key->column.carries = everywhere ? key->column.carries : CARRIES_NOTHING;
    }
    a->sets = sets;
    *(Key *)sql_list_add(&a->keys) = (Key){.expression = tree_column(a->p, "freshet", "grouping_set"),
                                           .input = tree_number(a->p, 0),
                                           .column = {.step = NO_STEP}};
    return OK;
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

/* The keys of a grouping set, `number` counted from 1. */
static json_t *keys_of_set(const Aggregation *a, const json_t *set, size_t number)
{
    json_t *keys = tree_own(a->p, json_array());
    for (size_t i = 0; i < a->keys.count; i++) {
        const Key *key = &((Key *)a->keys.items)[i];
        bool last = set && i + 1 == a->keys.count;
        json_array_append(keys, last                         ? tree_number(a->p, (int)number)
                                : set && !set_has(a, set, i) ? tree_null(a->p)
                                                             : (json_t *)key->input);
    }
    return keys;
}

/* The rows of the input with these keys. */
static json_t *input_rows(const Aggregation *a, const JoinPlan *join, const json_t *keys)
{
    json_t *list = tree_own(a->p, json_array());
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
    return sql_tree_is(core, "type", "SELECT_NODE") ? provide_aliases(a, list, core) : core;
}

static Status print_input(const Aggregation *a, const JoinPlan *join, const char **out, Error *err)
{
    json_t *all = a->sets ? NULL : input_rows(a, join, keys_of_set(a, NULL, 0));
    const json_t *set;
    size_t i;
    json_array_foreach(a->sets, i, set)
    {
        json_t *rows = input_rows(a, join, keys_of_set(a, set, i + 1));
        all = all ? tree_union_all(a->p, all, rows) : rows;
    }
    return planner_print(a->p, all, out, err);
}

/* SELECT <alias> FROM <from>, for each. */
static Status print_shadowed(const Aggregation *a, const JoinPlan *join, SqlStep *step, Error *err)
{
    size_t i, n = json_array_size(a->aliases);
    const char **names = arena_alloc(a->p->plan->arena, (n + 1) * sizeof *names);
    const char **texts = arena_alloc(a->p->plan->arena, (n + 1) * sizeof *texts);
    const json_t *alias;
    Status rc = OK;
    json_array_foreach(a->aliases, i, alias)
    {
        json_t *list = tree_own(a->p, json_array());
        names[i] = arena_strdup(a->p->plan->arena, json_string_value(alias));
        json_array_append(list, tree_column(a->p, NULL, names[i]));
        json_t *core = planner_core(a->p, a->select, list);
        json_object_set_new(core, "where_clause", json_null());
        TRY(planner_print(a->p, join_variants(a->p, join, core), &texts[i], err));
    }
    step->aliases = names;
    step->shadowed = texts;
    step->n_aliases = n;
out:
    return rc;
}

static Status print_key(const Aggregation *a, const Key *key, Printer *print, Text *out, Error *err)
{
    const SqlWindow *window = &key->key.window;
    bool bucket = key->is_session || key->key.is_window, slides = window->slide_us != window->size_us;
    const json_t *of = bucket ? json_array_get(json_object_get(key->expression, "children"), 0) : key->expression;
    Status rc = OK;
    text_append(out, key->is_session ? "session_window(" : bucket ? "window(" : "");
    TRY(print(a->p, a->scope, of, out, err));
    if (key->is_session) {
        text_append(out, ", ");
        TRY(print(a->p, a->scope, a->gap, out, err));
    } else if (bucket) {
        text_append(out, ", ");
        sql_duration_print(window->size_us, out);
        text_append(out, slides || window->offset_us ? ", " : "");
        if (slides || window->offset_us) {
            sql_duration_print(window->slide_us, out);
        }
        text_append(out, window->offset_us ? ", " : "");
        if (window->offset_us) {
            sql_duration_print(window->offset_us, out);
        }
    }
    text_append(out, bucket ? ")" : "");
out:
    return rc;
}

static Status print_title(const Aggregation *a, Text *title, Text *fingerprint, Error *err)
{
    const Key *keys = a->keys.items;
    size_t n = a->keys.count - (a->sets ? 1 : 0);
    char *sets = a->sets ? json_dumps(a->sets, JSON_COMPACT) : NULL;
    Status rc = OK;
    text_append(fingerprint, "keys:");
    for (size_t i = 0; i < n; i++) {
        text_append(title, i == 0 ? "" : ", ");
        TRY(print_key(a, &keys[i], planner_print_plain, title, err));
        text_append_char(fingerprint, ' ');
        TRY(print_key(a, &keys[i], meaning_print, fingerprint, err));
        text_append_char(fingerprint, ';');
    }
    if (sets) {
        text_printf(title, " in %zu grouping sets", json_array_size(a->sets));
        text_printf(fingerprint, " sets: %s;", sets);
    }
    if (n == 0) {
        text_append(title, "all rows");
    }
out:
    free(sets);
    return rc;
}

/* A join below, also one inside a sub-query, that remembers rows for ever: nothing above it carries a watermark. */
static const SqlStep *unbounded_join(const Planner *p)
{
    const SqlStep *steps = p->steps.items;
    for (size_t i = 0; i < p->steps.count; i++) {
        for (size_t k = 0; k < steps[i].n_sides; k++) {
            if (!steps[i].sides[k].bounded) {
                return &steps[i];
            }
        }
    }
    return NULL;
}

/* The smallest change that bounds it: a watermark for the side that has none, else a bound in the other direction or in
 * both. */
static const char *unbounded_hint(Planner *p, const SqlStep *join)
{
    const SqlJoinSide *side = join->sides;
    for (size_t i = 0; i < join->n_sides; i++) {
        if (!join->sides[i].event_time) {
            return arena_printf(p->plan->arena,
                                "give %s a WATERMARK, and bound the times of the streams in ON, such as r.ts BETWEEN "
                                "l.ts AND l.ts + INTERVAL '1 hour'",
                                join->sides[i].alias);
        }
        side = side->bounded ? &join->sides[i] : side;
    }
    const SqlJoinSide *other = side == join->sides ? join->sides + 1 : join->sides;
    if (join->n_sides == 2 && other->bounded) {
        return arena_printf(p->plan->arena,
                            "bound the times the other way too: AND %s.%s <= %s.%s + INTERVAL '1 hour' in ON",
                            other->alias, other->event_time, side->alias, side->event_time);
    }
    return arena_printf(p->plan->arena,
                        "bound the times in ON, such as %s.%s BETWEEN %s.%s AND %s.%s + INTERVAL '1 hour'", side->alias,
                        side->event_time, other->alias, other->event_time, other->alias, other->event_time);
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
    const SqlStep *join = unbounded_join(a->p);
    if (join) {
        return planner_error(a->p, a->select, unbounded_hint(a->p, join), err,
                             "in append mode a %s is written when it is complete, but the join below remembers rows "
                             "for ever and can bring up one of any age",
                             session ? "session" : "group");
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

/* What the calls mean, and so in the fingerprint: in an order of their own, since that of the select list says nothing
 * about the state. */
static Status print_meanings(const Aggregation *a, SqlAggregate *aggregates, Text *fingerprint, Error *err)
{
    const Call *calls = a->calls.items;
    const char **sorted = arena_alloc(a->p->plan->arena, (a->calls.count + 1) * sizeof *sorted);
    Text text = TEXT(SQL_TEXT_MAX);
    Status rc = OK;

    for (size_t i = 0; i < a->calls.count; i++) {
        text_clear(&text);
        TRY(meaning_print(a->p, a->scope, calls[i].expression, &text, err));
        aggregates[i].meaning = sorted[i] = arena_strdup(a->p->plan->arena, text_str(&text));
    }
    str_sort(sorted, a->calls.count);
    text_append(fingerprint, " aggregates:");
    for (size_t i = 0; i < a->calls.count; i++) {
        text_printf(fingerprint, " %s;", sorted[i]);
    }
out:
    text_free(&text);
    return rc;
}

/* The columns of the input as texts. */
static Status print_inputs(const Aggregation *a, Printer *print, const char *const **out, Error *err)
{
    const Key *keys = a->keys.items;
    size_t n_keys = a->keys.count - (a->sets ? 1 : 0), n = json_array_size(a->arguments);
    size_t n_filters = json_array_size(a->filters);
    const char **texts = arena_alloc(a->p->plan->arena, (a->keys.count + n + n_filters + 1) * sizeof *texts);
    Text text = TEXT(SQL_TEXT_MAX);
    Status rc = OK;

    for (size_t i = 0; i < n_keys + n; i++) {
        text_clear(&text);
        const json_t *input = i < n_keys ? keys[i].input : json_array_get(a->arguments, i - n_keys);
        TRY(print(a->p, a->scope, input, &text, err));
        texts[i < n_keys ? i : a->keys.count + i - n_keys] = arena_strdup(a->p->plan->arena, text_str(&text));
    }
    for (size_t i = 0; i < n_filters; i++) {
        text_clear(&text);
        TRY(print(a->p, a->scope, json_array_get(a->filters, i), &text, err));
        texts[a->keys.count + n + i] = arena_strdup(a->p->plan->arena, text_str(&text));
    }
    *out = texts;
out:
    text_free(&text);
    return rc;
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
        Text text = TEXT(SQL_TEXT_MAX);
        made.keys[i] = keys[i].key;
        rc = print_key(a, &keys[i], planner_print_plain, &text, err);
        made.keys[i].text = arena_strdup(p->plan->arena, text_str(&text));
        text_free(&text);
        TRY(rc);
        made.watermarked = made.watermarked || keys[i].key.is_event_time;
        made.session_key = keys[i].is_session ? i : made.session_key;
    }
    for (size_t i = 0; i < a->calls.count; i++) {
        made.aggregates[i] = calls[i].aggregate;
    }
    TRY(check_mode(a, made.watermarked, a->gap != NULL, err));
    TRY(print_input(a, join, &made.input, err));
    TRY(print_shadowed(a, join, &made, err));
    TRY(print_inputs(a, planner_print_plain, &made.input_texts, err));
    TRY(print_inputs(a, meaning_print, &made.input_meanings, err));
    TRY(print_title(a, &title, &fingerprint, err));
    made.meaning = arena_strdup(p->plan->arena, text_str(&fingerprint));
    TRY(print_meanings(a, made.aggregates, &fingerprint, err));
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
                     .aliases = tree_own(p, json_array()),
                     .list = tree_own(p, json_array())};
    json_t *where = json_object_get(select, "where_clause");
    json_t *having = NULL, *qualify = NULL;
    Relation result = {0};
    Status rc = OK;

    if (contains_aggregate(where)) {
        return planner_error(p, where, "use HAVING", err, "WHERE cannot contain aggregates");
    }
    TRY(add_keys(&a, err));
    TRY(add_sets(&a, err));
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
