#include "stream/aggregate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"

/* ---- calls ---- */

/* The first argument is a value even where it is the same in every row: count(DISTINCT 1). */
static bool is_constant(const SqlAggregate *call, size_t argument)
{
    return argument > 0 && call->constants && call->constants[argument];
}

/* Number of the side's column that is a<column> of the input. */
static size_t value_of(const AggregateSide *side, size_t column)
{
    size_t i = 0;

    while (i < side->n_columns && side->columns[i] != side->same[column]) {
        i++;
    }
    return i;
}

static void append_order(const SqlOrder *order, const char *name, Text *out)
{
    text_printf(out, "%s %s NULLS %s", name, order->descending ? "DESC" : "ASC", order->nulls_first ? "FIRST" : "LAST");
}

/* a<column> of the input, or v<i> of the side. */
static const char *column_name(const AggregateSide *side, size_t column, char name[32])
{
    snprintf(name, 32, "%s%zu", side ? "v" : "a", side ? value_of(side, column) : column);
    return name;
}

static void append_orders(const AggregatePlan *plan, const AggregateSide *side, Text *out)
{
    const SqlAggregate *call = plan->call;
    const char *separator = " ORDER BY ";
    char name[32];

    for (size_t i = 0; i < call->n_orders; i++) {
        text_append(out, separator);
        append_order(&call->orders[i], column_name(side, call->orders[i].column, name), out);
        separator = ", ";
    }
    if (side && !aggregate_has(plan->canonical, AGGREGATE_UNSORTED)) {
        for (size_t i = 0; i < side->n_columns; i++) {
            text_printf(out, "%sv%zu ASC NULLS LAST", separator, i);
            separator = ", ";
        }
    }
}

/* The call as DuckDB runs it: over the input (side NULL) or over values that are kept. */
static void append_call(const AggregatePlan *plan, const AggregateSide *side, bool distinct, Text *out)
{
    const SqlAggregate *call = plan->call;
    char name[32];

    if (call->n_arguments == 0) {
        text_append(out, "count(*)");
    } else {
        text_append_sql_name(out, call->function);
        text_append(out, distinct ? "(DISTINCT " : "(");
        for (size_t i = 0; i < call->n_arguments; i++) {
            text_append(out, i ? ", " : "");
            text_append(out, is_constant(call, i) ? call->constants[i] : column_name(side, call->first + i, name));
        }
        append_orders(plan, side, out);
        text_append_char(out, ')');
    }
    if (call->has_filter && !side) {
        text_printf(out, " FILTER (WHERE f%zu)", call->filter);
    }
}

/* ---- the layout ---- */

typedef struct Maker {
    DuckConn *conn;
    Arena *arena;
    AggregateLayout *layout;
    AggregateDistinct distinct;
    const size_t *same; /* see AggregateSide */
} Maker;

static const DuckColumnInfo *argument_of(const AggregateLayout *layout, size_t column)
{
    return &layout->input[layout->step->n_keys + column];
}

/* What the input's column means; its name where that is not known. */
static const char *text_of(const AggregateLayout *layout, size_t column)
{
    const char *text = layout->step->input_meanings ? layout->step->input_meanings[column] : NULL;

    return text ? text : layout->input[column].name;
}

static const char *argument_text(const AggregateLayout *layout, size_t argument)
{
    return text_of(layout, layout->step->n_keys + argument);
}

/* Arguments that are written alike have the same values, whatever call they are of. */
static const size_t *find_same(const AggregateLayout *layout, Arena *arena)
{
    size_t n = layout->step->n_arguments;
    size_t *same = arena_alloc(arena, (n + 1) * sizeof *same);

    for (size_t i = 0; i < n; i++) {
        while (same[i] < i && strcmp(argument_text(layout, same[i]), argument_text(layout, i)) != 0) {
            same[i]++;
        }
    }
    return same;
}

/* The recipe, where the call is one it is for. */
static const AggregateRecipe *choose_recipe(const Maker *maker, const AggregatePlan *plan)
{
    const SqlAggregate *call = plan->call;
    bool idempotent = aggregate_has(plan->canonical, AGGREGATE_IDEMPOTENT);
    const DuckType *first = call->n_arguments ? argument_of(maker->layout, call->first)->type : NULL;
    const AggregateRecipe *recipe = aggregate_recipe(plan->canonical, first);

    if (!recipe || aggregate_recipe_arguments(recipe) != call->n_arguments) {
        return NULL;
    }
    if (call->n_orders > 0 && aggregate_has(plan->canonical, AGGREGATE_CHOOSES)) {
        return NULL;
    }
    return call->distinct && !idempotent && maker->distinct == DISTINCT_AT_OUTPUT ? NULL : recipe;
}

static bool same_side(const AggregateSide *a, const AggregateSide *b)
{
    return a->n_columns == b->n_columns && a->once == b->once && a->keeps_nulls == b->keeps_nulls &&
           a->has_filter == b->has_filter && (!a->has_filter || a->filter == b->filter) &&
           memcmp(a->columns, b->columns, a->n_columns * sizeof *a->columns) == 0;
}

static void side_add(AggregateSide *side, size_t *columns, size_t column)
{
    side->columns = columns;
    if (value_of(side, column) == side->n_columns) {
        columns[side->n_columns++] = side->same[column];
    }
}

/* The side with the values of the call: one that is there already, or a new one. */
static int choose_side(const Maker *maker, const AggregatePlan *plan)
{
    const SqlAggregate *call = plan->call;
    AggregateLayout *layout = maker->layout;
    AggregateSide side = {
        .has_filter = call->has_filter, .filter = call->filter, .once = call->distinct, .same = maker->same};
    size_t *columns = arena_alloc(maker->arena, (call->n_arguments + call->n_orders) * sizeof *columns);

    for (size_t i = 0; i < call->n_arguments; i++) {
        if (!is_constant(call, i)) {
            side_add(&side, columns, call->first + i);
        }
    }
    bool skips = plan->recipe || aggregate_has(plan->canonical, AGGREGATE_SKIPS_NULLS);
    side.keeps_nulls = !skips || side.n_columns != 1;
    for (size_t i = 0; i < call->n_orders; i++) {
        side_add(&side, columns, call->orders[i].column);
    }
    for (size_t i = 0; i < layout->n_sides; i++) {
        if (same_side(&layout->sides[i], &side)) {
            return (int)i;
        }
    }
    DuckColumnInfo *values = arena_alloc(maker->arena, side.n_columns * sizeof *values);
    for (size_t i = 0; i < side.n_columns; i++) {
        values[i] = (DuckColumnInfo){arena_printf(maker->arena, "v%zu", i), argument_of(layout, columns[i])->type};
    }
    side.values = values;
    layout->sides[layout->n_sides] = side;
    return (int)layout->n_sides++;
}

static Status plan_call(const Maker *maker, const SqlAggregate *call, AggregatePlan *plan, Error *err)
{
    plan->canonical = aggregate_canonical(call->n_arguments ? call->function : "count_star");
    plan->side = AGGREGATE_NO_SIDE;
    const char *refusal = call->n_orders ? NULL : aggregate_refusal(plan->canonical);
    if (refusal) {
        error_set(err, E_PIPELINE_STATEFUL, "%s: a stream has no order of its own, so %s() would not be the same twice",
                  call->text, call->function);
        error_hint(err, "%s", refusal);
        return error_status(err);
    }
    plan->recipe = choose_recipe(maker, plan);
    bool idempotent = aggregate_has(plan->canonical, AGGREGATE_IDEMPOTENT);
    if (!plan->recipe || (call->distinct && !idempotent)) {
        plan->side = choose_side(maker, plan);
    }
    return OK;
}

/* The columns the planner promised: keys, arguments, filters, by position. */
static Status check_input(const AggregateLayout *layout, Error *err)
{
    const SqlStep *step = layout->step;
    const struct {
        char letter;
        size_t n;
    } parts[] = {{'k', step->n_keys}, {'a', step->n_arguments}, {'f', step->n_filters}};
    size_t column = 0;

    for (size_t part = 0; part < sizeof parts / sizeof *parts; part++) {
        for (size_t i = 0; i < parts[part].n; i++, column++) {
            char name[32];
            snprintf(name, sizeof name, "%c%zu", parts[part].letter, i);
            if (column >= layout->n_input || strcmp(layout->input[column].name, name) != 0) {
                return error_set(err, E_INTERNAL, "the input of %s lacks column %s", step->name, name);
            }
        }
    }
    return OK;
}

/* Types of what DuckDB's aggregates give and of the columns of state, by describing them over the input. */
static Status find_types(const Maker *maker, Error *err)
{
    AggregateLayout *layout = maker->layout;
    Text sql = TEXT(TEXT_SQL_MAX);
    DuckColumnInfo *found;
    size_t n;
    Status rc = OK;

    text_append(&sql, "SELECT 0");
    for (size_t i = 0; i < layout->step->n_aggregates; i++) {
        text_append(&sql, ", ");
        append_call(&layout->plans[i], NULL, layout->plans[i].call->distinct, &sql);
    }
    text_printf(&sql, " FROM (%s)", layout->step->input);
    TRY(duck_describe(maker->conn, text_str(&sql), maker->arena, &found, &n, err));
    for (size_t i = 0; i < layout->step->n_aggregates; i++) {
        AggregatePlan *plan = &layout->plans[i];
        Text type = TEXT(TEXT_SQL_MAX);
        duck_type_sql(found[i + 1].type, &type);
        plan->result = arena_strdup(maker->arena, text_str(&type));
        plan->output = (DuckColumnInfo){arena_printf(maker->arena, "r%zu", plan->number), found[i + 1].type};
        text_free(&type);
    }
    text_clear(&sql);
    text_append(&sql, "SELECT 0");
    aggregate_append_partials(layout, &sql);
    text_printf(&sql, " FROM (%s)", layout->step->input);
    TRY(duck_describe(maker->conn, text_str(&sql), maker->arena, &found, &n, err));
    layout->columns = found + 1;
out:
    text_free(&sql);
    return rc;
}

/* ---- what the state means ---- */

static const char *filter_text(const AggregateLayout *layout, size_t filter)
{
    return text_of(layout, layout->step->n_keys + layout->step->n_arguments + filter);
}

static void set_meaning_of_side(const Maker *maker, AggregateSide *side)
{
    const AggregateLayout *layout = maker->layout;
    Text text = TEXT(TEXT_SQL_MAX);

    text_append(&text, side->once ? "each of" : "all of");
    for (size_t i = 0; i < side->n_columns; i++) {
        text_printf(&text, "%s %s", i ? "," : "", argument_text(layout, side->columns[i]));
    }
    text_append(&text, side->keeps_nulls ? " with nulls" : "");
    if (side->has_filter) {
        text_printf(&text, " where %s", filter_text(layout, side->filter));
    }
    side->means = arena_strdup(maker->arena, text_str(&text));
    text_free(&text);
}

static void append_partial_text(const AggregateLayout *layout, const AggregatePlan *plan, size_t column, Text *out)
{
    const SqlAggregate *call = plan->call;
    const char *arguments[2] = {NULL};
    RecipeNames names = {.arguments = arguments, .filter = call->has_filter ? filter_text(layout, call->filter) : NULL};

    for (size_t i = 0; i < call->n_arguments && i < 2; i++) {
        arguments[i] = is_constant(call, i) ? call->constants[i] : argument_text(layout, call->first + i);
    }
    aggregate_expand(plan->recipe->columns[column].partial, column, &names, out);
}

/* The partial result, then a hash of how it is brought on: the templates, and the partial results of the recipe's other
 * columns where these take part. */
static const char *meaning_of_part(const Maker *maker, const AggregatePlan *plan, size_t column)
{
    const RecipeColumn *part = &plan->recipe->columns[column];
    Text text = TEXT(TEXT_SQL_MAX), how = TEXT(TEXT_SQL_MAX);

    append_partial_text(maker->layout, plan, column, &text);
    if (plan->side != AGGREGATE_NO_SIDE) {
        text_printf(&text, " over %s", maker->layout->sides[plan->side].means);
    }
    text_printf(&how, "%s\n%s", part->merge, part->combine ? part->combine : "");
    for (size_t i = 0; i < aggregate_recipe_columns(plan->recipe); i++) {
        char old[32];
        snprintf(old, sizeof old, "$o%zu", i);
        if (strstr(part->merge, old)) {
            text_append_char(&how, '\n');
            append_partial_text(maker->layout, plan, i, &how);
        }
    }
    const char *means = arena_printf(maker->arena, "%s #%08x", text_str(&text),
                                     (unsigned)(hash_bytes(how.data, how.length) & 0xffffffff));
    text_free(&text);
    text_free(&how);
    return means;
}

static int compare_parts(const void *a, const void *b)
{
    const AggregatePart *x = a, *y = b;
    int order = strcmp(x->means, y->means);

    return order ? order : x->plan < y->plan ? -1 : x->plan > y->plan;
}

/* Numbers the columns of the state: by what they mean, those that mean the same once. */
static void number_columns(const Maker *maker)
{
    AggregateLayout *layout = maker->layout;
    size_t n_plans = layout->step->n_aggregates, n = 0;
    AggregatePart *parts = arena_alloc(maker->arena, (n_plans * RECIPE_COLUMNS_MAX + 1) * sizeof *parts);

    for (size_t i = 0; i < n_plans; i++) {
        const AggregatePlan *plan = &layout->plans[i];
        for (size_t c = 0; plan->recipe && c < aggregate_recipe_columns(plan->recipe); c++) {
            parts[n++] = (AggregatePart){.plan = i, .column = c, .means = meaning_of_part(maker, plan, c)};
        }
    }
    qsort(parts, n, sizeof *parts, compare_parts);
    layout->parts = parts;
    for (size_t i = 0; i < n; i++) {
        AggregatePart part = parts[i];
        if (layout->n_columns == 0 || strcmp(parts[layout->n_columns - 1].means, part.means) != 0) {
            parts[layout->n_columns++] = part;
        }
        layout->plans[part.plan].columns[part.column] = layout->n_columns - 1;
    }
}

static int compare_sides(const void *a, const void *b)
{
    return strcmp(((const AggregateSide *)a)->means, ((const AggregateSide *)b)->means);
}

/* Sorts the sides by what they mean. */
static void number_sides(const Maker *maker)
{
    AggregateLayout *layout = maker->layout;
    const char **means = arena_alloc(maker->arena, (layout->n_sides + 1) * sizeof *means);

    for (size_t i = 0; i < layout->n_sides; i++) {
        set_meaning_of_side(maker, &layout->sides[i]);
        means[i] = layout->sides[i].means;
    }
    qsort(layout->sides, layout->n_sides, sizeof *layout->sides, compare_sides);
    for (size_t i = 0; i < layout->step->n_aggregates; i++) {
        AggregatePlan *plan = &layout->plans[i];
        for (size_t k = 0; plan->side != AGGREGATE_NO_SIDE && k < layout->n_sides; k++) {
            if (layout->sides[k].means == means[plan->side]) {
                plan->side = (int)k;
                break;
            }
        }
    }
}

const char *aggregate_columns_mean(const AggregateLayout *layout, Arena *arena)
{
    Text text = TEXT(TEXT_SQL_MAX);

    for (size_t i = 0; i < layout->n_columns; i++) {
        text_printf(&text, "%s%s", i ? "; " : "", layout->parts[i].means);
    }
    const char *means = arena_strdup(arena, text_str(&text));
    text_free(&text);
    return means;
}

const char *aggregate_side_means(const AggregateLayout *layout, size_t side)
{
    return layout->sides[side].means;
}

void aggregate_state_spec(const StreamOperatorSpec *spec, const char *closing, Arena *arena, StateSpec *state)
{
    const SqlStep *step = spec->step;

    state->checkpoint = spec->checkpoint;
    state->operator= spec->index;
    state->flow = spec->flow;
    state->fingerprint = arena_printf(arena, "%s; %s", step->fingerprint, closing);
    state->meaning = step->meaning ? arena_printf(arena, "%s; %s", step->meaning, closing) : NULL;
}

static int compare_plans(const void *a, const void *b)
{
    const AggregatePlan *x = a, *y = b;
    int order = strcmp(x->call->meaning ? x->call->meaning : x->call->text,
                       y->call->meaning ? y->call->meaning : y->call->text);

    return order ? order : x->number < y->number ? -1 : 1;
}

/* A name in GROUP BY that is a column as well as an alias means the column. */
static Status check_aliases(DuckConn *conn, const SqlStep *step, Arena *arena, Error *err)
{
    DuckColumnInfo *columns;
    size_t n;

    for (size_t i = 0; i < step->n_aliases; i++) {
        if (duck_describe(conn, step->shadowed[i], arena, &columns, &n, NULL) == OK) {
            error_set(err, E_PIPELINE_STATEFUL,
                      "\"%s\" in GROUP BY is a column of the input, and the name of another column "
                      "of the result",
                      step->aliases[i]);
            error_hint(err, "give the result's column another name, or write its expression in GROUP BY");
            return error_status(err);
        }
    }
    return OK;
}

Status aggregate_layout_make(DuckConn *conn, const SqlStep *step, AggregateDistinct distinct, Arena *arena,
                             AggregateLayout **out, Error *err)
{
    AggregateLayout *layout = arena_alloc(arena, sizeof *layout);
    Maker maker = {.conn = conn, .arena = arena, .layout = layout, .distinct = distinct};
    DuckColumnInfo *input;
    Status rc = OK;

    TRY(check_aliases(conn, step, arena, err));
    TRY(duck_describe(conn, step->input, arena, &input, &layout->n_input, err));
    layout->step = step;
    layout->input = input;
    layout->plans = arena_alloc(arena, step->n_aggregates * sizeof *layout->plans);
    layout->sides = arena_alloc(arena, step->n_aggregates * sizeof *layout->sides);
    TRY(check_input(layout, err));
    maker.same = find_same(layout, arena);
    for (size_t i = 0; i < step->n_aggregates; i++) {
        layout->plans[i] = (AggregatePlan){.call = &step->aggregates[i], .number = i};
    }
    qsort(layout->plans, step->n_aggregates, sizeof *layout->plans, compare_plans);
    for (size_t i = 0; i < step->n_aggregates; i++) {
        TRY(plan_call(&maker, layout->plans[i].call, &layout->plans[i], err));
    }
    number_sides(&maker);
    number_columns(&maker);
    TRY(find_types(&maker, err));
    *out = layout;
out:
    return rc;
}

/* ---- columns of state ---- */

enum { NAME_MAX_BYTES = 32 };

/* The names of the call's arguments and filter in the input or, `side` given, in the side's rows. */
typedef struct CallNames {
    char argument[2][NAME_MAX_BYTES];
    const char *arguments[2];
    char filter[NAME_MAX_BYTES];
} CallNames;

static RecipeNames names_of(const AggregatePlan *plan, const AggregateSide *side, CallNames *names)
{
    const SqlAggregate *call = plan->call;
    RecipeNames out = {
        .arguments = names->arguments, .state = "", .old_row = "", .new_row = "", .columns = plan->columns};

    for (size_t i = 0; i < call->n_arguments && i < 2; i++) {
        names->arguments[i] = is_constant(call, i) ? call->constants[i]
                                                   : column_name(side, call->first + i, names->argument[i]);
    }
    if (!side && plan->side != AGGREGATE_NO_SIDE) {
        out.filter = "false"; /* it follows its side: this is where it begins */
    } else if (!side && call->has_filter) {
        snprintf(names->filter, sizeof names->filter, "f%zu", call->filter);
        out.filter = names->filter;
    }
    return out;
}

/* The call that brings column `i` on. */
static const AggregatePlan *owner(const AggregateLayout *layout, size_t i)
{
    return &layout->plans[layout->parts[i].plan];
}

/* Partial results of those columns that follow `side`, over its values; with AGGREGATE_NO_SIDE of all, over the
 * input. */
static void append_partials(const AggregateLayout *layout, int side, Text *out)
{
    for (size_t i = 0; i < layout->n_columns; i++) {
        const AggregatePlan *plan = owner(layout, i);
        size_t column = layout->parts[i].column;
        CallNames call;
        RecipeNames names = names_of(plan, side == AGGREGATE_NO_SIDE ? NULL : &layout->sides[side], &call);
        if (side == AGGREGATE_NO_SIDE || side == plan->side) {
            text_append(out, ", ");
            aggregate_expand(plan->recipe->columns[column].partial, column, &names, out);
            text_printf(out, " AS s%zu", i);
        }
    }
}

void aggregate_append_partials(const AggregateLayout *layout, Text *out)
{
    append_partials(layout, AGGREGATE_NO_SIDE, out);
}

static bool follows(const AggregatePlan *plan, size_t side)
{
    return plan->recipe && plan->side == (int)side;
}

void aggregate_append_side_partials(const AggregateLayout *layout, size_t side, Text *out)
{
    append_partials(layout, (int)side, out);
}

static void append_cast(const char *expression, const DuckType *type, Text *out)
{
    text_printf(out, "CAST(%s AS ", expression);
    duck_type_sql(type, out);
    text_append_char(out, ')');
}

static void append_merge(const AggregateLayout *layout, const AggregatePlan *plan, size_t column,
                         const RecipeNames *names, Text *out)
{
    Text merge = TEXT(TEXT_SQL_MAX);

    aggregate_expand(plan->recipe->columns[column].merge, column, names, &merge);
    append_cast(text_str(&merge), layout->columns[plan->columns[column]].type, out);
    text_free(&merge);
}

void aggregate_append_merges(const AggregateLayout *layout, const char *old_row, const char *new_row, bool sets,
                             Text *out)
{
    for (size_t i = 0; i < layout->n_columns; i++) {
        const AggregatePlan *plan = owner(layout, i);
        RecipeNames names = {.state = "", .old_row = old_row, .new_row = new_row, .columns = plan->columns};
        if (sets) {
            text_printf(out, "s%zu = ", i);
        }
        append_merge(layout, plan, layout->parts[i].column, &names, out);
        if (sets) {
            text_append(out, ", ");
        } else {
            text_printf(out, " AS s%zu, ", i);
        }
    }
}

/* A recipe without an aggregate of its own for many rows: its rows are gathered and merged one after the other. */
static void append_reduction(const AggregateLayout *layout, const AggregatePlan *plan, const char *order, Text *out)
{
    RecipeNames names = {.state = "", .old_row = "o.", .new_row = "n.", .columns = plan->columns};
    size_t n = aggregate_recipe_columns(plan->recipe);

    text_append(out, "list_reduce(list({");
    for (size_t c = 0; c < n; c++) {
        text_printf(out, "%s's%zu': s%zu", c ? ", " : "", plan->columns[c], plan->columns[c]);
    }
    text_printf(out, "} ORDER BY %s), lambda o, n: {", order);
    for (size_t c = 0; c < n; c++) {
        text_printf(out, "%s's%zu': ", c ? ", " : "", plan->columns[c]);
        append_merge(layout, plan, c, &names, out);
    }
    text_append(out, "})");
}

/* Do all columns of the recipe have an aggregate for many rows? */
static bool combines(const AggregatePlan *plan)
{
    return plan->recipe->columns[0].combine != NULL;
}

static void append_combine(const AggregateLayout *layout, size_t i, Text *out)
{
    const AggregatePlan *plan = owner(layout, i);
    RecipeNames names = {.state = "", .old_row = "", .new_row = "", .columns = plan->columns};
    Text expression = TEXT(TEXT_SQL_MAX);

    aggregate_expand(plan->recipe->columns[layout->parts[i].column].combine, layout->parts[i].column, &names,
                     &expression);
    text_append(out, ", ");
    append_cast(text_str(&expression), layout->columns[i].type, out);
    text_printf(out, " AS s%zu", i);
    text_free(&expression);
}

void aggregate_append_combines(const AggregateLayout *layout, const char *order, Text *out)
{
    bool *reduced = mem_alloc((layout->step->n_aggregates + 1) * sizeof *reduced);

    for (size_t i = 0; i < layout->n_columns; i++) {
        size_t plan = layout->parts[i].plan;
        if (combines(owner(layout, i))) {
            append_combine(layout, i, out);
        } else if (!reduced[plan]) {
            text_append(out, ", ");
            append_reduction(layout, owner(layout, i), order, out);
            text_printf(out, " AS reduced%zu", plan);
            reduced[plan] = true;
        }
    }
    mem_free(reduced);
}

void aggregate_append_combined(const AggregateLayout *layout, Text *out)
{
    for (size_t i = 0; i < layout->n_columns; i++) {
        text_append(out, ", ");
        if (!combines(owner(layout, i))) {
            text_printf(out, "reduced%zu.s%zu AS ", layout->parts[i].plan, i);
        }
        text_printf(out, "s%zu", i);
    }
}

/* ---- answers ---- */

/* What the call gives over no values at all: not always NULL. */
static void append_answer_to_nothing(const AggregateLayout *layout, const AggregatePlan *plan, Text *out)
{
    const AggregateSide *side = &layout->sides[plan->side];

    text_append(out, "(SELECT ");
    append_call(plan, side, plan->call->distinct, out);
    text_append(out, " FROM (SELECT ");
    for (size_t i = 0; i < side->n_columns; i++) {
        text_append(out, i ? ", " : "");
        append_cast("NULL", side->values[i].type, out);
        text_printf(out, " AS v%zu", i);
    }
    text_append(out, ") WHERE false)");
}

void aggregate_append_finals(const AggregateLayout *layout, const char *groups, Text *out)
{
    for (size_t i = 0; i < layout->step->n_aggregates; i++) {
        const AggregatePlan *plan = &layout->plans[i];
        RecipeNames names = {.state = groups, .old_row = "", .new_row = "", .columns = plan->columns};
        text_append(out, ", CAST(");
        if (plan->recipe) {
            aggregate_expand(plan->recipe->final, 0, &names, out);
        } else {
            text_printf(out, "CASE WHEN side%d.present THEN side%d.r%zu ELSE ", plan->side, plan->side, plan->number);
            append_answer_to_nothing(layout, plan, out);
            text_append(out, " END");
        }
        text_printf(out, " AS %s) AS r%zu", plan->result, plan->number);
    }
}

void aggregate_append_side_finals(const AggregateLayout *layout, size_t side, Text *out)
{
    for (size_t i = 0; i < layout->step->n_aggregates; i++) {
        const AggregatePlan *plan = &layout->plans[i];
        if (plan->recipe || plan->side != (int)side) {
            continue;
        }
        text_append(out, ", ");
        append_call(plan, &layout->sides[side], plan->call->distinct, out);
        text_printf(out, " AS r%zu", plan->number);
    }
}

bool aggregate_side_is_read(const AggregateLayout *layout, size_t side)
{
    for (size_t i = 0; i < layout->step->n_aggregates; i++) {
        if (!layout->plans[i].recipe && layout->plans[i].side == (int)side) {
            return true;
        }
    }
    return false;
}

bool aggregate_side_is_followed(const AggregateLayout *layout, size_t side)
{
    for (size_t i = 0; i < layout->step->n_aggregates; i++) {
        if (follows(&layout->plans[i], side)) {
            return true;
        }
    }
    return false;
}

void aggregate_append_side_values(const AggregateLayout *layout, size_t side, Text *out)
{
    const AggregateSide *values = &layout->sides[side];

    for (size_t i = 0; i < values->n_columns; i++) {
        text_printf(out, "%sa%zu AS v%zu", i ? ", " : "", values->columns[i], i);
    }
}

void aggregate_append_side_condition(const AggregateLayout *layout, size_t side, Text *out)
{
    const AggregateSide *values = &layout->sides[side];

    text_append(out, values->keeps_nulls ? "true" : "a");
    if (!values->keeps_nulls) {
        text_printf(out, "%zu IS NOT NULL", values->columns[0]);
    }
    if (values->has_filter) {
        text_printf(out, " AND f%zu", values->filter);
    }
}

/* ---- for people ---- */

/* The call as people write it. */
static const char *shown_call(const SqlAggregate *call, Arena *arena)
{
    static const char STAR[] = "count_star()";

    return str_starts(call->text, STAR) ? arena_printf(arena, "count(*)%s", call->text + sizeof STAR - 1) : call->text;
}

void aggregate_show(const AggregateLayout *layout, Arena *arena, StateShown *out)
{
    for (size_t i = 0; i < layout->step->n_aggregates; i++) {
        const AggregatePlan *plan = &layout->plans[i];
        size_t n = plan->recipe ? aggregate_recipe_columns(plan->recipe) : 0;
        for (size_t k = 0; k < n; k++) {
            const char *text = shown_call(plan->call, arena);
            StateShown *shown = &out[plan->columns[k]]; /* of a call that has no other, where there is one */
            if (n == 1 || !shown->name) {
                shown->name = n == 1 ? text : arena_printf(arena, "%s #%zu", text, k + 1);
            }
        }
    }
}

/* NULL: the column is not shown. */
static const char *input_name(const AggregateLayout *layout, size_t i)
{
    const SqlStep *step = layout->step;

    if (!step->input_texts) {
        return layout->input[i].name;
    }
    return i < step->n_keys + step->n_arguments ? step->input_texts[i] : NULL;
}

void aggregate_append_row(const AggregateLayout *layout, Text *out)
{
    const char *separator = "to_json({";

    for (size_t i = 0; i < layout->n_input; i++) {
        const char *name = input_name(layout, i);
        bool shown = name != NULL;
        for (size_t k = 0; shown && k < i; k++) {
            const char *before = input_name(layout, k);
            shown = !before || !str_ieq(before, name);
        }
        if (shown) {
            text_append(out, separator);
            text_append_sql_string(out, name);
            text_printf(out, ": %s", layout->input[i].name);
            separator = ", ";
        }
    }
    text_append(out, separator[0] == ',' ? "})" : "'{}'::JSON");
}
