/* Joins of streams become a step, and the query over it a UNION ALL over the pairs that are new.
 *
 * Every streaming relation of the FROM is a side. In the FROM itself each is replaced by a table <step>_<side>, which
 * is there only to be replaced again: each variant of the query puts another relation of the side in its place.
 *
 *   two sides            new x all, old x new
 *   n sides, inner       side i new, those before it old, those behind it all
 *   outer                and gone x none, with the kind of the join as it is; pairs that are there are inner
 *
 * Static tables of the same FROM stay in it, so they are joined to pairs, not remembered. Conditions on one side alone
 * are applied to its input where no row is lost that an outer join would output.
 *
 * A side's input has only the columns that the query can mean, unless a star or a NATURAL join asks for all.
 */
#include <stdio.h>
#include <string.h>

#include "sql/stateful_join.h"

typedef struct Side {
    json_t *ref; /* as it stood in the FROM */
    Source *source;
    const char *alias;
    json_t *filter; /* conditions on it alone; NULL: none */
} Side;

struct JoinPlan {
    SqlJoinKind kind;
    const char *step;
    size_t n_sides;
    const char *aliases[JOIN_SIDES_MAX];
};

typedef struct Join {
    Planner *p;
    json_t *select;
    Scope *scope;
    const char *step;
    SqlJoinKind kind;
    Side sides[JOIN_SIDES_MAX];
    size_t n_sides;
    json_t *outer;     /* the node of an outer or semi join */
    json_t *conjuncts; /* that every result row satisfies: of inner joins, then of WHERE */
    size_t n_on;       /* of inner joins */
    json_t *on;        /* conjuncts of `outer` */
    bool has_key;      /* an equality between sides */
    bool natural;
} Join;

static const char ROW[] = "freshet_row", TIME[] = "freshet_time";

/* The table that stands for a side until a variant takes its place. */
static const char *marker_name(Planner *p, const char *step, size_t side)
{
    return arena_printf(p->plan->arena, "%s_%zu", step, side);
}

/* ---- finding sides ---- */

static Source *source_of(Scope *scope, const json_t *ref)
{
    Source *sources = scope->sources.items;
    for (size_t i = 0; i < scope->sources.count; i++) {
        if (sources[i].ref == ref) {
            return &sources[i];
        }
    }
    return NULL;
}

static bool ref_streams(Scope *scope, const json_t *ref)
{
    if (sql_tree_is(ref, "type", "JOIN")) {
        return ref_streams(scope, json_object_get(ref, "left")) || ref_streams(scope, json_object_get(ref, "right"));
    }
    const Source *source = source_of(scope, ref);
    return source && source->relation.rows == ROWS_APPEND;
}

static void add_conjuncts(json_t *list, json_t *condition)
{
    json_t *child;
    size_t i;
    if (sql_tree_is(condition, "type", "CONJUNCTION_AND")) {
        json_array_foreach(json_object_get(condition, "children"), i, child) add_conjuncts(list, child);
    } else if (json_is_object(condition)) {
        json_array_append(list, condition);
    }
}

static Status add_side(Join *j, json_t *parent, const char *key, Error *err)
{
    json_t *ref = json_object_get(parent, key);
    if (j->n_sides == JOIN_SIDES_MAX) {
        return planner_error(j->p, ref, "join some of them in a flow of its own", err,
                             "more than %d streams in one FROM", JOIN_SIDES_MAX);
    }
    Side *side = &j->sides[j->n_sides];
    side->source = source_of(j->scope, ref);
    side->ref = tree_own(j->p, json_incref(ref));
    side->alias = arena_strdup(j->p->plan->arena, side->source->alias);
    json_t *marker = tree_table(j->p, marker_name(j->p, j->step, j->n_sides), side->alias);
    json_object_set(marker, "query_location", json_object_get(ref, "query_location"));
    json_object_set(parent, key, marker);
    j->n_sides++;
    return OK;
}

static Status set_kind(Join *j, json_t *join, Error *err)
{
    static const struct {
        const char *type;
        SqlJoinKind kind;
    } KINDS[] = {{"LEFT", SQL_JOIN_LEFT},
                 {"RIGHT", SQL_JOIN_RIGHT},
                 {"FULL", SQL_JOIN_FULL},
                 {"OUTER", SQL_JOIN_FULL},
                 {"SEMI", SQL_JOIN_SEMI}};
    const char *type = sql_tree_string(join, "join_type");
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (strcmp(type, KINDS[i].type) != 0) {
            continue;
        }
        if (j->scope->n_streams > 2 || sql_tree_is(json_object_get(join, "left"), "type", "JOIN") ||
            sql_tree_is(json_object_get(join, "right"), "type", "JOIN")) {
            return planner_error(j->p, join, "put one of the joins into a sub-query: FROM (SELECT ... JOIN ...) AS x",
                                 err, "a %s JOIN of streams stands beside another join", type);
        }
        if (sql_tree_is(join, "ref_type", "NATURAL")) {
            return planner_error(j->p, join, "write USING (...)", err, "a NATURAL %s JOIN of streams", type);
        }
        j->kind = KINDS[i].kind;
        j->outer = join;
        return OK;
    }
    return planner_refuse(j->p, join,
                          strcmp(type, "ANTI") == 0 ? "use a LEFT JOIN and keep the rows whose partner IS NULL" : NULL,
                          err, "%s %.60s JOIN of two streams", *type == 'A' ? "an" : "a", type);
}

static Status find_sides(Join *j, json_t *parent, const char *key, Error *err)
{
    json_t *ref = json_object_get(parent, key);
    Status rc = OK;
    if (!sql_tree_is(ref, "type", "JOIN")) {
        return ref_streams(j->scope, ref) ? add_side(j, parent, key, err) : OK;
    }
    bool both = ref_streams(j->scope, json_object_get(ref, "left")) &&
                ref_streams(j->scope, json_object_get(ref, "right"));
    const char *type = sql_tree_string(ref, "ref_type");
    if (both && (strcmp(type, "ASOF") == 0 || strcmp(type, "DEPENDENT") == 0)) {
        return planner_refuse(j->p, ref, NULL, err, "%s of two streams",
                              strcmp(type, "ASOF") == 0 ? "an ASOF JOIN" : "a LATERAL JOIN");
    }
    bool inner = sql_tree_is(ref, "join_type", "INNER");
    if (both && !inner) {
        TRY(set_kind(j, ref, err));
    }
    if (inner || ref == j->outer) {
        add_conjuncts(inner ? j->conjuncts : j->on, json_object_get(ref, "condition"));
    }
    if (both && (sql_tree_has(ref, "using_columns") || strcmp(type, "NATURAL") == 0)) {
        j->has_key = true;
    }
    j->natural = j->natural || strcmp(type, "NATURAL") == 0;
    TRY(find_sides(j, ref, "left", err));
    TRY(find_sides(j, ref, "right", err));
out:
    return rc;
}

/* ---- conditions ---- */

enum { SIDE_NONE = -1, SIDE_MANY = -2 };

/* The side that all columns of an expression belong to; SIDE_MANY when they do not, or when it cannot be told. */
static int side_of(const Join *j, const json_t *node)
{
    const json_t *child;
    size_t skip = 0;
    int all = SIDE_NONE;
    if (is_column_ref(node)) {
        const Source *source = scope_source(j->scope, node, &skip);
        for (size_t i = 0; source && i < j->n_sides; i++) {
            if (j->sides[i].source == source) {
                return (int)i;
            }
        }
        return SIDE_MANY;
    }
    if (sql_tree_is(node, "class", "SUBQUERY") || sql_tree_is(node, "class", "LAMBDA") ||
        sql_function_is_random(sql_tree_string(node, "function_name"))) {
        return SIDE_MANY;
    }
    for (TreeChildren c = tree_children(node); (child = tree_next(&c)) != NULL;) {
        int one = side_of(j, child);
        all = all == SIDE_NONE || one == all ? one : one == SIDE_NONE ? all : SIDE_MANY;
    }
    return all;
}

/* An equality between two sides: columns on both hands that are not surely of one side. */
static bool is_key(const Join *j, const json_t *conjunct)
{
    const json_t *left = json_object_get(conjunct, "left"), *right = json_object_get(conjunct, "right");
    bool equality = sql_tree_is(conjunct, "type", "COMPARE_EQUAL") ||
                    sql_tree_is(conjunct, "type", "COMPARE_NOT_DISTINCT_FROM");
    if (!equality || !tree_any(left, false, is_column_ref) || !tree_any(right, false, is_column_ref)) {
        return false;
    }
    int a = side_of(j, left), b = side_of(j, right);
    return a < 0 || a != b;
}

/* Where a condition on one side alone may be applied before the join. */
static bool may_filter(const Join *j, int side, bool in_on)
{
    switch (j->kind) {
    case SQL_JOIN_INNER:
    case SQL_JOIN_SEMI: return true;
    case SQL_JOIN_LEFT: return in_on ? side == 1 : side == 0;
    case SQL_JOIN_RIGHT: return in_on ? side == 0 : side == 1;
    case SQL_JOIN_FULL: return false;
    }
    return false;
}

static void push_filters(Join *j, const json_t *conjuncts, bool in_on)
{
    json_t *conjunct;
    size_t i;
    json_array_foreach(conjuncts, i, conjunct)
    {
        int side = side_of(j, conjunct);
        if (side >= 0 && may_filter(j, side, in_on)) {
            j->sides[side].filter = tree_and(j->p, j->sides[side].filter, conjunct);
        }
        j->has_key = j->has_key || is_key(j, conjunct);
    }
}

/* The time of a side, taken from a column; false when another of its columns is its time already. */
static bool use_time(const Join *j, Bounds *b, size_t side, const Column *column)
{
    json_t *time = tree_column(j->p, j->sides[side].alias, column->name);
    if (!b->sides[side].time) {
        b->sides[side].time = time;
        b->sides[side].carries = column->carries;
    }
    return tree_equal(j->scope, b->sides[side].time, time);
}

/* Columns of two sides that a USING or NATURAL join makes equal. */
static void add_using_columns(const Join *j, const json_t *ref, Bounds *b, size_t one, size_t other)
{
    const Relation *left = &j->sides[one].source->relation, *right = &j->sides[other].source->relation;
    const json_t *names = json_object_get(ref, "using_columns"), *name;
    for (size_t c = 0; c < left->n_columns; c++) {
        const Column *column = &left->columns[c], *same = lineage_find(right, column->name);
        bool used = sql_tree_is(ref, "ref_type", "NATURAL");
        size_t i;
        json_array_foreach(names, i, name) used = used || str_ieq(json_string_value(name), column->name);
        if (used && same && column->carries != CARRIES_NOTHING && same->carries == column->carries &&
            use_time(j, b, one, column) && use_time(j, b, other, same)) {
            bounds_same(b, one, other);
        }
    }
}

/* USING (ts), or a NATURAL join: columns of one name that carry the watermark are equal. Returns the sides below. */
static uint32_t add_using(const Join *j, const json_t *ref, Bounds *b)
{
    uint32_t sides = 0;
    if (!sql_tree_is(ref, "type", "JOIN")) {
        for (size_t i = 0; i < j->n_sides; i++) {
            sides |= sql_tree_is(ref, "table_name", marker_name(j->p, j->step, i)) ? 1U << i : 0;
        }
        return sides;
    }
    uint32_t left = add_using(j, json_object_get(ref, "left"), b),
             right = add_using(j, json_object_get(ref, "right"), b);
    for (size_t i = 0; i < j->n_sides; i++) {
        for (size_t k = 0; k < j->n_sides; k++) {
            if ((left & (1U << i)) && (right & (1U << k))) {
                add_using_columns(j, ref, b, i, k);
            }
        }
    }
    return left | right;
}

static Status find_bounds(Join *j, Bounds *b, BoundSide *sides, Error *err)
{
    const json_t *conjunct;
    Status rc = OK;
    size_t i;
    for (i = 0; i < j->n_sides; i++) {
        sides[i] = (BoundSide){.source = j->sides[i].source};
    }
    TRY(bounds_begin(b, j->p, j->scope, sides, j->n_sides, err));
    json_array_foreach(j->conjuncts, i, conjunct) TRY(bounds_add(b, conjunct, err));
    json_array_foreach(j->on, i, conjunct) TRY(bounds_add(b, conjunct, err));
    (void)add_using(j, json_object_get(j->select, "from_table"), b);
    bounds_close(b);
    for (i = 0; i < j->n_sides; i++) { /* none used: the first there is still tells which rows are late */
        const Relation *relation = &j->sides[i].source->relation;
        for (size_t k = 0; k < relation->n_columns && !sides[i].time; k++) {
            if (relation->columns[k].carries != CARRIES_NOTHING) {
                sides[i].time = tree_column(j->p, *j->sides[i].alias ? j->sides[i].alias : NULL,
                                            relation->columns[k].name);
                sides[i].carries = relation->columns[k].carries;
            }
        }
    }
out:
    return rc;
}

/* ---- columns ---- */

static void collect_name(const char *name, json_t *names)
{
    char *lower = mem_strdup(name);
    str_lower(lower);
    json_object_set_new(names, lower, json_true());
    mem_free(lower);
}

/* Names of columns, without the aliases before them. */
static void collect_names(const Join *j, const json_t *node, json_t *names)
{
    const json_t *child;
    size_t i = 0;
    if (is_column_ref(node)) {
        (void)scope_source(j->scope, node, &i);
    }
    for (; is_column_ref(node) && i < column_parts(node); i++) {
        collect_name(column_part(node, i), names);
    }
    json_array_foreach(json_object_get(node, "using_columns"), i, child) collect_name(json_string_value(child), names);
    for (TreeChildren c = tree_children(node); (child = tree_next(&c)) != NULL;) {
        collect_names(j, child, names);
    }
}

/* The names the query mentions, in order, as the list of an IN; NULL when it may mean any column. */
static json_t *mentioned(const Join *j, const Bounds *b)
{
    json_t *names = tree_own(j->p, json_object()), *list = tree_own(j->p, json_array());
    const char *name;
    json_t *value;
    if (j->natural || tree_any(j->select, true, is_star)) {
        return NULL;
    }
    collect_names(j, j->select, names);
    for (size_t i = 0; i < j->n_sides; i++) {
        collect_names(j, b->sides[i].time, names);
    }
    for (void *at = NULL; json_next(names, &at, &name, &value);) {
        json_array_append_new(list, json_string(name));
    }
    return list;
}

/* A column reference of one part that is the alias of a side means the whole row. */
static bool means_row(const Join *j, const json_t *node)
{
    const json_t *child;
    bool found = false;
    for (size_t i = 0; is_column_ref(node) && column_parts(node) == 1 && i < j->n_sides; i++) {
        found = found || str_ieq(column_part(node, 0), j->sides[i].alias);
    }
    for (TreeChildren c = tree_children(node); !found && (child = tree_next(&c)) != NULL;) {
        found = means_row(j, child);
    }
    return found;
}

/* ---- the step ---- */

static Status print_side(Join *j, size_t i, const Bounds *b, const json_t *names, SqlJoinSide *out, Error *err)
{
    Planner *p = j->p;
    Side *side = &j->sides[i];
    const BoundSide *bound = &b->sides[i];
    json_t *list = tree_own(p, json_array());
    json_array_append(list, names ? tree_columns(p, names, false) : tree_star(p));
    out->alias = *side->alias ? side->alias : arena_printf(p->plan->arena, "freshet_side_%zu", i);
    if (bound->time && is_column_ref(bound->time) && bound->carries == CARRIES_TIME && column_parts(bound->time) < 3) {
        size_t skip = 0;
        (void)scope_source(j->scope, bound->time, &skip);
        if (column_parts(bound->time) == skip + 1) {
            out->event_time = arena_strdup(p->plan->arena, column_part(bound->time, skip));
        }
    }
    if (bound->time && !out->event_time) { /* the end of a window */
        const Column column = {.carries = bound->carries};
        json_array_append(list, tree_named(p, time_of(p, bound->time, &column), TIME));
        out->event_time = TIME;
    }
    json_t *select = tree_select(p, list, side->ref);
    if (side->filter) {
        json_object_set(select, "where_clause", side->filter);
    }
    out->bounded = bound->time && bounds_slack(b, i, &out->slack_us);
    out->outer = j->kind == SQL_JOIN_FULL || (j->kind == SQL_JOIN_LEFT && i == 0) ||
                 (j->kind == SQL_JOIN_RIGHT && i == 1);
    out->once = j->kind == SQL_JOIN_SEMI && i == 0;
    return planner_print(p, select, &out->input, err);
}

/* The table that stands for a side in the text of the pairs, and its row there. */
static const char *pairs_name(Planner *p, size_t side)
{
    return arena_printf(p->plan->arena, "freshet_pairs_%zu_", side);
}

static const char *row_name(Planner *p, size_t side)
{
    return arena_printf(p->plan->arena, "freshet_row_%zu", side);
}

/* Replaces the first `from` in `text`. */
static const char *replaced(Planner *p, const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    return at ? arena_printf(p->plan->arena, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) : text;
}

/* `text` with {i} for the table that stands for side i in it. */
static const char *with_places(Join *j, const char *text)
{
    for (size_t i = 0; i < j->n_sides; i++) {
        char place[32];
        snprintf(place, sizeof place, "{%zu}", i);
        text = replaced(j->p, text, pairs_name(j->p, i), place);
    }
    return text;
}

static bool reads_alias(const Join *j, const json_t *node)
{
    const json_t *item, *child;
    size_t i;
    if (is_column_ref(node) && column_parts(node) == 1) {
        json_array_foreach(json_object_get(j->select, "select_list"), i, item)
        {
            if (str_ieq(sql_tree_string(item, "alias"), column_part(node, 0))) {
                return true;
            }
        }
    }
    for (TreeChildren c = tree_children(node); (child = tree_next(&c)) != NULL;) {
        if (reads_alias(j, child)) {
            return true;
        }
    }
    return false;
}

/* Puts a side's table, its row renamed so that no NATURAL join takes it for a column, in the place of its marker. */
static void put_pairs(Join *j, json_t *parent, const char *key)
{
    Planner *p = j->p;
    json_t *ref = json_object_get(parent, key), *hidden = tree_own(p, json_pack("[s,s]", ROW, TIME));
    if (sql_tree_is(ref, "type", "JOIN")) {
        put_pairs(j, ref, "left");
        put_pairs(j, ref, "right");
        return;
    }
    for (size_t i = 0; i < j->n_sides; i++) {
        if (sql_tree_is(ref, "table_name", marker_name(p, j->step, i))) {
            json_t *list = tree_own(p, json_array());
            json_array_append(list, tree_columns(p, hidden, true));
            json_array_append(list, tree_named(p, tree_column(p, NULL, ROW), row_name(p, i)));
            json_object_set(
                parent, key,
                tree_subquery(p, tree_select(p, list, tree_table(p, pairs_name(p, i), "")), j->sides[i].alias));
        }
    }
}

/* The FROM as it is, and of WHERE what can be said without the select list. */
static Status print_inner_pairs(Join *j, const char **out, Error *err)
{
    Planner *p = j->p;
    json_t *list = tree_own(p, json_array()), *where = NULL, *conjunct;
    const char *text = NULL;
    Status rc = OK;
    size_t i;
    for (i = 0; i < j->n_sides; i++) {
        json_array_append(list, tree_column(p, NULL, row_name(p, i)));
    }
    json_t *query = tree_copy(p, planner_core(p, j->select, list));
    put_pairs(j, query, "from_table");
    json_array_foreach(j->conjuncts, i, conjunct)
    {
        if (i >= j->n_on && !reads_alias(j, conjunct)) {
            where = tree_and(p, where, conjunct);
        }
    }
    json_object_set(query, "where_clause", where ? where : tree_own(p, json_null()));
    TRY(planner_print(p, query, &text, err));
    *out = with_places(j, text);
out:
    return rc;
}

static Status print_pairs(Join *j, const SqlJoinSide *sides, const char **out, Error *err)
{
    Planner *p = j->p;
    json_t *join = tree_copy(p, j->outer), *list = tree_own(p, json_array());
    const char *text = NULL;
    Status rc = OK;
    for (size_t i = 0; i < 2; i++) {
        json_object_set(join, i == 0 ? "left" : "right", tree_table(p, pairs_name(p, i), sides[i].alias));
        json_array_append(list, tree_column(p, sides[i].alias, ROW));
    }
    json_object_set_new(join, "join_type", json_string("INNER"));
    TRY(planner_print(p, tree_select(p, list, join), &text, err));
    *out = with_places(j, text);
out:
    return rc;
}

static const char *const KIND_NAMES[] = {[SQL_JOIN_INNER] = "inner",
                                         [SQL_JOIN_LEFT] = "left",
                                         [SQL_JOIN_RIGHT] = "right",
                                         [SQL_JOIN_FULL] = "full",
                                         [SQL_JOIN_SEMI] = "semi"};

static bool is_name(const json_t *expression, const char *name)
{
    return is_column_ref(expression) && column_parts(expression) == 1 && str_ieq(column_part(expression, 0), name);
}

static bool is_mentioned(const json_t *names, const char *name)
{
    const json_t *value;
    bool found = !names;
    size_t i;
    json_array_foreach(names, i, value) found = found || str_ieq(json_string_value(value), name);
    return found;
}

/* "1.name is upper(product)": columns of side `i` that are more than their names. */
static Status add_meanings(const Join *j, size_t i, const json_t *names, const char **texts, size_t *n, Error *err)
{
    const Relation *relation = &j->sides[i].source->relation;
    const char *text = NULL;
    Status rc = OK;
    for (size_t k = 0; k < relation->n_columns; k++) {
        const Column *column = &relation->columns[k];
        if (column->means && !is_name(column->means, column->name) && is_mentioned(names, column->name)) {
            json_t *name = tree_own(j->p, json_lower(column->name));
            TRY(planner_print_expression(j->p, column->means, &text, err));
            texts[(*n)++] = arena_printf(j->p->plan->arena, "%zu.%s is %s", i, json_string_value(name), text);
        }
    }
out:
    return rc;
}

/* What the state has of each side, in an order of its own. */
static Status print_columns(const Join *j, const json_t *names, Text *fingerprint, Error *err)
{
    const json_t *name;
    const char **texts;
    size_t i, n = 0, n_max = json_array_size(names);
    Status rc = OK;
    for (i = 0; i < j->n_sides; i++) {
        n_max += j->sides[i].source->relation.n_columns;
    }
    texts = arena_alloc(j->p->plan->arena, (n_max + 1) * sizeof *texts);
    json_array_foreach(names, i, name) texts[n++] = json_string_value(name);
    for (i = 0; i < j->n_sides; i++) {
        TRY(add_meanings(j, i, names, texts, &n, err));
    }
    str_sort(texts, n);
    text_append(fingerprint, names ? " columns" : " all columns");
    for (i = 0; i < n; i++) {
        text_printf(fingerprint, "%s %s", i ? "," : "", texts[i]);
    }
    text_append_char(fingerprint, ';');
out:
    return rc;
}

static Status print_texts(const Join *j, const json_t *names, SqlStep *step, Error *err)
{
    Planner *p = j->p;
    Text title = TEXT(SQL_TEXT_MAX), fingerprint = TEXT(SQL_TEXT_MAX);
    const json_t *conjunct;
    const char *text = NULL;
    Status rc = OK;
    size_t i;
    text_printf(&fingerprint, "join %s;", KIND_NAMES[j->kind]);
    text_printf(&title, "%s:", KIND_NAMES[j->kind]);
    for (i = 0; i < step->n_sides; i++) {
        text_printf(&title, "%s %s", i == 0 ? "" : ",", step->sides[i].alias);
        const char *time = step->sides[i].event_time;
        json_t *folded = tree_own(p, json_lower(time ? time : "none"));
        text_printf(&fingerprint, " time %s", json_string_value(folded));
        if (step->sides[i].bounded) {
            text_append(&fingerprint, " leaves after ");
            sql_duration_print(step->sides[i].slack_us, &fingerprint);
        }
        text_append_char(&fingerprint, ';');
    }
    json_array_foreach(j->kind == SQL_JOIN_INNER ? j->conjuncts : j->on, i, conjunct)
    {
        if (j->kind == SQL_JOIN_INNER && j->n_on > 0 && i >= j->n_on) {
            break;
        }
        TRY(planner_print_expression(p, conjunct, &text, err));
        text_printf(&title, "%s%s", i == 0 ? " on " : " AND ", text);
        if (j->kind != SQL_JOIN_INNER) {
            text_append(&fingerprint, " on ");
            TRY(meaning_print(p, j->scope, conjunct, &fingerprint, err));
            text_append_char(&fingerprint, ';');
        }
    }
    TRY(print_columns(j, names, &fingerprint, err));
    step->title = arena_strdup(p->plan->arena, text_str(&title));
    step->fingerprint = arena_strdup(p->plan->arena, text_str(&fingerprint));
out:
    text_free(&title);
    text_free(&fingerprint);
    return rc;
}

static Status check_rules(const Join *j, const SqlStep *step, Error *err)
{
    const json_t *place = j->outer ? j->outer : j->select;
    if (j->p->options.mode != SQL_OUTPUT_APPEND) {
        return planner_error(j->p, place, "leave 'freshet.outputMode' out: the default is append", err,
                             "a join of two streams runs in append mode only");
    }
    if (!j->has_key) {
        return planner_error(j->p, place, "join on an equality as well, such as l.id = r.id", err,
                             "a join of two streams needs at least one equality between them");
    }
    for (size_t i = 0; i < step->n_sides; i++) {
        const SqlJoinSide *side = &step->sides[i];
        if ((side->outer || side->once) && !side->bounded) {
            return planner_error(
                j->p, place,
                "give both streams a WATERMARK and bound their times in ON, such as r.ts BETWEEN l.ts AND "
                "l.ts + INTERVAL '1 hour'",
                err, "a %s join of streams has to know when no partner of a row of %s can come any more",
                KIND_NAMES[j->kind], side->alias);
        }
    }
    return OK;
}

/* What the sides' columns carry above the join: a side that remembers for ever can bring up a row of any age. */
static void set_lineage(Join *j, const SqlStep *step)
{
    bool bounded = true;
    for (size_t i = 0; i < step->n_sides; i++) {
        bounded = bounded && (step->sides[i].bounded || !step->sides[i].event_time);
    }
    for (size_t i = 0; i < step->n_sides; i++) {
        Relation *relation = &j->sides[i].source->relation;
        Column *columns = arena_alloc(j->p->plan->arena, (relation->n_columns + 1) * sizeof *columns);
        for (size_t k = 0; k < relation->n_columns; k++) {
            columns[k] = relation->columns[k];
            if (!bounded || !step->sides[i].bounded) {
                columns[k].carries = CARRIES_NOTHING;
            }
        }
        relation->columns = columns;
    }
}

static bool any_leaves(const SqlStep *step)
{
    bool any = false;
    for (size_t i = 0; i < step->n_sides; i++) {
        any = any || step->sides[i].bounded;
    }
    return any;
}

static Status make_step(Join *j, Error *err)
{
    Planner *p = j->p;
    BoundSide sides[JOIN_SIDES_MAX] = {0};
    Bounds *bounds = mem_alloc(sizeof *bounds);
    SqlStep made = {.kind = SQL_STEP_JOIN, .join = j->kind, .n_sides = j->n_sides};
    Status rc = OK;

    made.sides = arena_alloc(p->plan->arena, j->n_sides * sizeof *made.sides);
    TRY(find_bounds(j, bounds, sides, err));
    json_t *names = means_row(j, j->select) ? NULL : mentioned(j, bounds);
    for (size_t i = 0; i < j->n_sides; i++) {
        TRY(print_side(j, i, bounds, names, &made.sides[i], err));
        made.watermarked = made.watermarked || made.sides[i].event_time;
    }
    TRY(check_rules(j, &made, err));
    if (j->kind != SQL_JOIN_INNER) {
        TRY(print_pairs(j, made.sides, &made.pairs, err));
    } else if (any_leaves(&made)) {
        TRY(print_inner_pairs(j, &made.pairs, err));
    }
    TRY(print_texts(j, names, &made, err));
    SqlStep *step = planner_add_step(p, SQL_STEP_JOIN);
    made.name = step->name;
    *step = made;
    set_lineage(j, step);
out:
    mem_free(bounds);
    return rc;
}

Status plan_join(Planner *p, json_t *select, Scope *scope, const JoinPlan **out, Error *err)
{
    Join j = {.p = p,
              .select = select,
              .scope = scope,
              .step = arena_printf(p->plan->arena, "freshet_step_%zu", p->steps.count),
              .conjuncts = tree_own(p, json_array()),
              .on = tree_own(p, json_array())};
    JoinPlan *plan = arena_alloc(p->plan->arena, sizeof *plan);
    json_t *where = tree_own(p, json_array());
    Status rc = OK;

    TRY(find_sides(&j, select, "from_table", err));
    add_conjuncts(where, json_object_get(select, "where_clause"));
    push_filters(&j, j.conjuncts, false);
    push_filters(&j, where, false);
    push_filters(&j, j.on, true);
    j.n_on = json_array_size(j.conjuncts);
    if (j.kind == SQL_JOIN_INNER) {
        json_array_extend(j.conjuncts, where);
    }
    TRY(make_step(&j, err));
    plan->kind = j.kind;
    plan->step = j.step;
    plan->n_sides = j.n_sides;
    for (size_t i = 0; i < j.n_sides; i++) {
        plan->aliases[i] = j.sides[i].alias;
    }
    *out = plan;
out:
    return rc;
}

/* ---- variants ---- */

/* Which relation of each side a variant reads, and what kind of join the outer one is in it. */
typedef struct Variant {
    const char *sides[JOIN_SIDES_MAX]; /* "new", "old", ... */
    const char *type;                  /* NULL: as it is */
} Variant;

/* Puts a variant's relations in the places of the markers. Returns whether `ref` is one of them. */
static bool substitute(Planner *p, const JoinPlan *join, const Variant *variant, json_t *parent, const char *key)
{
    json_t *ref = json_object_get(parent, key);
    if (sql_tree_is(ref, "type", "JOIN")) {
        bool left = substitute(p, join, variant, ref, "left"), right = substitute(p, join, variant, ref, "right");
        if (left && right && join->kind != SQL_JOIN_INNER && variant->type) {
            json_object_set_new(ref, "join_type", json_string(variant->type));
        }
        return false;
    }
    for (size_t i = 0; i < join->n_sides; i++) {
        const char *marker = marker_name(p, join->step, i);
        if (!sql_tree_is(ref, "table_name", marker)) {
            continue;
        }
        const char *name = arena_printf(p->plan->arena, "%s_%s", marker, variant->sides[i]);
        json_t *hidden = tree_own(p, json_pack("[s,s]", ROW, TIME)), *list = tree_own(p, json_array());
        json_array_append(list, tree_columns(p, hidden, true));
        json_object_set(parent, key, tree_subquery(p, tree_select(p, list, tree_table(p, name, "")), join->aliases[i]));
        return true;
    }
    return false;
}

static json_t *add_variant(Planner *p, const JoinPlan *join, const Variant *variant, const json_t *query,
                           json_t *before)
{
    json_t *copy = tree_copy(p, query);
    (void)substitute(p, join, variant, copy, "from_table");
    return before ? tree_union_all(p, before, copy) : copy;
}

json_t *join_variants(Planner *p, const JoinPlan *join, json_t *query)
{
    json_t *all = NULL;
    if (!join) {
        return query;
    }
    for (size_t i = 0; i < join->n_sides; i++) {
        Variant variant = {.type = join->kind == SQL_JOIN_SEMI ? NULL : "INNER"};
        for (size_t k = 0; k < join->n_sides; k++) {
            variant.sides[k] = k < i ? "old" : k == i ? "new" : "all";
        }
        all = add_variant(p, join, &variant, query, all);
    }
    if (join->kind == SQL_JOIN_LEFT || join->kind == SQL_JOIN_FULL) {
        all = add_variant(p, join, &(Variant){.sides = {"gone", "none"}, .type = "LEFT"}, query, all);
    }
    if (join->kind == SQL_JOIN_RIGHT || join->kind == SQL_JOIN_FULL) {
        all = add_variant(p, join, &(Variant){.sides = {"none", "gone"}, .type = "RIGHT"}, query, all);
    }
    return all;
}
