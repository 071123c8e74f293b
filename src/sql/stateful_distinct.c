/* DISTINCT becomes a step: its input has the columns of the result, then the keys d0.., then the event time t0.
 *
 * Keys are the columns themselves where the list names them all. Where it does not (a star, a UNION) the key is the row
 * as a whole, as one struct.
 */
#include <stdio.h>
#include <string.h>

#include "sql/stateful_int.h"

static const char ROWS[] = "freshet_rows"; /* the relation, and its rows as they are */

typedef struct Keys {
    json_t *expressions;
    bool has_event_time; /* one of them carries the watermark */
} Keys;

/* What an expression of DISTINCT ON means: an ordinal, an alias, itself. */
static Status resolve_target(Planner *p, const json_t *list, const json_t *target, const json_t **out, Error *err)
{
    const json_t *value = json_object_get(json_object_get(target, "value"), "value"), *item;
    size_t i;
    *out = target;
    if (sql_tree_is(target, "class", "CONSTANT") && json_is_integer(value)) {
        json_int_t place = json_integer_value(value);
        if (place < 1 || (size_t)place > json_array_size(list)) {
            return planner_error(p, target, NULL, err, "DISTINCT ON term out of range: there are %zu columns",
                                 json_array_size(list));
        }
        *out = json_array_get(list, (size_t)place - 1);
        return OK;
    }
    json_array_foreach(list, i, item)
    {
        if (is_column_ref(target) && column_parts(target) == 1 && sql_tree_has(item, "alias") &&
            str_ieq(sql_tree_string(item, "alias"), column_part(target, 0))) {
            *out = item;
        }
    }
    return OK;
}

static Status add_key(Planner *p, const Scope *scope, const json_t *expression, Keys *keys, Error *err)
{
    if (is_star(expression)) {
        return planner_error(p, expression, "name the columns", err, "DISTINCT ON takes no *");
    }
    keys->has_event_time = keys->has_event_time || lineage_of(scope, expression).carries != CARRIES_NOTHING;
    json_array_append(keys->expressions, (json_t *)expression);
    return OK;
}

static Status find_keys(Planner *p, const Scope *scope, const json_t *list, const json_t *modifier, Keys *keys,
                        Error *err)
{
    const json_t *targets = json_object_get(modifier, "distinct_on_targets"), *target;
    bool on = json_array_size(targets) > 0;
    Status rc = OK;
    size_t i;
    keys->expressions = tree_own(p, json_array());
    json_array_foreach(on ? targets : list, i, target)
    {
        const json_t *expression = target;
        if (on) {
            TRY(resolve_target(p, list, target, &expression, err));
        }
        TRY(add_key(p, scope, expression, keys, err));
    }
out:
    return rc;
}

/* The rows as a sub-query, of which everything is a key or what ON says. */
static json_t *wrap(Planner *p, const json_t *query, const json_t *modifier, const Relation *relation, Scope *scope,
                    json_t **on)
{
    json_t *star = tree_star(p), *targets = json_object_get(modifier, "distinct_on_targets");
    json_object_set_new(star, "relation_name", json_string(ROWS));
    *(Source *)sql_list_add(&scope->sources) = (Source){.alias = ROWS, .relation = *relation};
    *on = tree_own(p, json_pack("{s:[]}", "distinct_on_targets"));
    if (json_array_size(targets) > 0) {
        json_object_set(*on, "distinct_on_targets", targets);
    } else {
        json_array_append(json_object_get(*on, "distinct_on_targets"), tree_column(p, NULL, ROWS));
        for (size_t i = 0; i < relation->n_columns; i++) {
            if (relation->columns[i].carries != CARRIES_NOTHING) { /* so that the watermark is seen to be a key */
                json_array_append(json_object_get(*on, "distinct_on_targets"),
                                  tree_column(p, ROWS, relation->columns[i].name));
                break;
            }
        }
    }
    return tree_select(p, tree_own(p, json_pack("[O]", star)), tree_subquery(p, query, ROWS));
}

/* The keys as `print` has them, one text each. */
static Status print_keys(Planner *p, const Scope *scope, const Keys *keys, Printer *print, const char ***out,
                         Error *err)
{
    const char **texts = arena_alloc(p->plan->arena, (json_array_size(keys->expressions) + 1) * sizeof *texts);
    Text text = TEXT(SQL_TEXT_MAX);
    const json_t *key;
    Status rc = OK;
    size_t i;
    json_array_foreach(keys->expressions, i, key)
    {
        text_clear(&text);
        TRY(print(p, scope, key, &text, err));
        texts[i] = arena_strdup(p->plan->arena, text_str(&text));
    }
    *out = texts;
out:
    text_free(&text);
    return rc;
}

static bool is_row(const char *text)
{
    return strcmp(text, ROWS) == 0;
}

static Status print_texts(Planner *p, const Scope *scope, const Keys *keys, SqlStep *step, Error *err)
{
    Text title = TEXT(SQL_TEXT_MAX), fingerprint = TEXT(SQL_TEXT_MAX);
    size_t n = json_array_size(keys->expressions);
    const char **texts = NULL, **meanings = NULL, **sorted = arena_alloc(p->plan->arena, (n + 1) * sizeof *sorted);
    bool all = false;
    Status rc = OK;
    TRY(print_keys(p, scope, keys, planner_print_plain, &texts, err));
    TRY(print_keys(p, scope, keys, meaning_print, &meanings, err));
    for (size_t i = 0; i < n; i++) {
        all = all || is_row(texts[i]);
        text_append(&title, i == 0 || all ? "" : ", ");
        text_append(&title, is_row(texts[i]) ? "all columns" : all ? "" : texts[i]);
        sorted[i] = meanings[i];
    }
    step->distinct_texts = texts;
    step->distinct_meanings = all ? NULL : meanings;
    str_sort(sorted, n);
    text_append(&fingerprint, "distinct:");
    for (size_t i = 0; i < n; i++) {
        text_printf(&fingerprint, " %s;", sorted[i]);
    }
    text_append(&fingerprint, step->within_watermark    ? " within the watermark"
                              : step->event_time_is_key ? " until the watermark"
                                                        : "");
    step->title = arena_strdup(p->plan->arena, text_str(&title));
    step->fingerprint = arena_strdup(p->plan->arena, text_str(&fingerprint));
out:
    text_free(&title);
    text_free(&fingerprint);
    return rc;
}

/* The list of the input: columns of the result, keys, event time. */
static json_t *input_list(Planner *p, const json_t *list, const Keys *keys, const json_t *time)
{
    json_t *all = tree_copy(p, list);
    const json_t *key;
    char name[32];
    size_t i;
    json_array_foreach(keys->expressions, i, key)
    {
        snprintf(name, sizeof name, "d%zu", i);
        json_array_append(all, tree_named(p, key, name));
    }
    if (time) {
        json_array_append(all, tree_named(p, time, "t0"));
    }
    return all;
}

/* Names that DuckDB would give stay when the item moves. */
static Status name_items(Planner *p, json_t *list, Error *err)
{
    const json_t *item;
    Status rc = OK;
    size_t i;
    json_array_foreach(list, i, item)
    {
        const char *name = NULL;
        if (sql_tree_has(item, "alias") || is_column_ref(item)) {
            continue;
        }
        if (sql_tree_is(item, "function_name", "window_time")) {
            name = "window_time";
        } else {
            TRY(planner_print_expression(p, item, &name, err));
        }
        json_array_set(list, i, tree_named(p, item, name));
    }
out:
    return rc;
}

static Status check_mode(Planner *p, const json_t *query, const SqlStep *step, Error *err)
{
    if (p->options.dedupe_within_watermark && !step->has_event_time) {
        return planner_error(p, query, "write WATERMARK <column> DELAY OF INTERVAL '10 minutes' behind the stream", err,
                             "'freshet.dedupe.within' = 'watermark' needs a watermark");
    }
    return OK;
}

Status lower_distinct(Planner *p, json_t *query, const json_t *modifier, const Scope *scope, const JoinPlan *join,
                      const Relation *relation, json_t **lowered, Relation *out, Error *err)
{
    const json_t *list = json_object_get(query, "select_list");
    bool whole_rows = json_array_size(json_object_get(modifier, "distinct_on_targets")) == 0;
    Scope wrapped = {.sources = SQL_LIST(Source), .rows = relation->rows};
    Relation result = *relation;
    Keys keys = {0};
    Column carrier = {0};
    SqlStep made = {0};
    Status rc = OK;

    if (!scope || tree_any(list, false, is_star)) {
        json_t *on = NULL;
        query = wrap(p, join_variants(p, join, query), modifier, relation, &wrapped, &on);
        list = json_object_get(query, "select_list");
        join = NULL;
        scope = &wrapped;
        modifier = on;
    }
    TRY(find_keys(p, scope, list, modifier, &keys, err));
    json_t *time = lineage_carrier(p, scope, &carrier);
    made.n_distinct = json_array_size(keys.expressions);
    made.whole_rows = whole_rows;
    made.has_event_time = time != NULL;
    made.event_time_is_key = keys.has_event_time;
    made.within_watermark = p->options.dedupe_within_watermark && !keys.has_event_time;
    made.delay_us = carrier.delay_us;
    made.watermarked = made.has_event_time;
    TRY(check_mode(p, query, &made, err));

    json_t *named = tree_copy(p, list);
    if (!tree_any(list, false, is_star)) {
        TRY(name_items(p, named, err));
    }
    json_t *input = planner_core(p, query, input_list(p, named, &keys, time ? time_of(p, time, &carrier) : NULL));
    TRY(planner_print(p, join_variants(p, join, input), &made.input, err));
    TRY(print_texts(p, scope, &keys, &made, err));
    SqlStep *step = planner_add_step(p, SQL_STEP_DISTINCT);
    made.kind = step->kind;
    made.name = step->name;
    *step = made;
    *lowered = tree_select(p, tree_own(p, json_pack("[O]", tree_star(p))), tree_table(p, made.name, ""));
    for (size_t i = 0; i < result.n_columns; i++) {
        result.columns[i].step = NO_STEP;
    }
    *out = result;
out:
    sql_list_fini(&wrapped.sources);
    return rc;
}
