/* The walk: queries, relations, common table expressions, and what is legal where.
 *
 * Rows of a relation come in one of four ways (Rows). What stands above decides by that: over STATIC and FULL
 * everything is ordinary SQL and stays as it is; over APPEND a node that must remember becomes a step, whose output is
 * APPEND again, or, for an aggregate, what the output mode makes of it; over UPDATE only projection and filter stand.
 *
 * Common table expressions are lowered when they are first read, and every reader gets a copy of what is left of them
 * as a sub-query: so a step inside is there once, and no text starts with WITH.
 */
#include <stdio.h>
#include <string.h>

#include "sql/stateful_int.h"

enum { DEPTH_MAX = 200 };

typedef struct Cte {
    const char *name;
    json_t *entry; /* of the map; NULL: a recursive one inside itself */
    json_t *query; /* lowered; NULL: not yet */
    bool recursive;
    Relation relation;
    struct Cte *outer; /* what its own query sees, and what is looked at next */
} Cte;

static Status lower_query(Planner *p, json_t *node, Cte *env, json_t **lowered, Relation *out, Error *err);
static Status lower_ref(Planner *p, json_t *ref, Cte *env, Scope *scope, Rows *rows, json_t **lowered, Error *err);

/* ---- refusals ---- */

static void set_place(Planner *p, const json_t *node)
{
    p->offset = node ? sql_tree_location(node) : -1;
}

Status planner_error(Planner *p, const json_t *node, const char *hint, Error *err, const char *message, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, message);
    vsnprintf(text, sizeof text, message, args);
    va_end(args);
    set_place(p, node);
    Status rc = error_set(err, E_PIPELINE_STATEFUL, "%s", text);
    if (hint) {
        error_hint(err, "%s", hint);
    }
    return rc;
}

Status planner_refuse(Planner *p, const json_t *node, const char *hint, Error *err, const char *what, ...)
{
    char text[ERROR_TEXT_MAX / 2];
    va_list args;
    va_start(args, what);
    vsnprintf(text, sizeof text, what, args);
    va_end(args);
    return planner_error(p, node,
                         hint ? hint : "keep the answer as a CREATE MATERIALIZED VIEW over the table, without STREAM",
                         err, "a stream cannot run through %s", text);
}

SqlStep *planner_add_step(Planner *p, SqlStepKind kind)
{
    SqlStep *step = sql_list_add(&p->steps);
    step->kind = kind;
    step->name = arena_printf(p->plan->arena, "freshet_step_%zu", p->steps.count - 1);
    return step;
}
/* ---- expressions ---- */

/* Lowers the queries inside of an expression, or of anything that holds some; *rows becomes FULL when one of them
 * is. */
static Status lower_expressions(Planner *p, json_t *node, Cte *env, Rows *rows, Error *err)
{
    Status rc = OK;
    json_t *child;
    if (sql_tree_is(node, "class", "SUBQUERY")) {
        json_t *subquery = json_object_get(node, "subquery"), *lowered = NULL;
        Relation relation = {0};
        TRY(lower_query(p, json_object_get(subquery, "node"), env, &lowered, &relation, err));
        if (streams(relation.rows)) {
            return planner_refuse(p, node, "join the stream instead", err, "a sub-query inside an expression");
        }
        json_object_set(subquery, "node", lowered);
        p->plan->narrows = true;
        *rows = relation.rows == ROWS_FULL && *rows == ROWS_STATIC ? ROWS_FULL : *rows;
        return lower_expressions(p, json_object_get(node, "child"), env, rows, err);
    }
    if (!p->random && sql_tree_is(node, "class", "FUNCTION") &&
        sql_function_is_random(sql_tree_string(node, "function_name"))) {
        p->random = arena_strdup(p->plan->arena, sql_tree_string(node, "function_name"));
        p->random_offset = sql_tree_location(node);
    }
    for (TreeChildren c = tree_children(node); (child = tree_next(&c)) != NULL;) {
        TRY(lower_expressions(p, child, env, rows, err));
    }
out:
    return rc;
}

/* ---- relations ---- */

static void add_source(Planner *p, Scope *scope, const json_t *ref, const char *alias, Relation relation)
{
    Source *source = sql_list_add(&scope->sources);
    *source = (Source){.alias = arena_strdup(p->plan->arena, alias), .relation = relation, .ref = ref};
}

static Status lower_cte(Planner *p, Cte *cte, Error *err)
{
    json_t *query = json_object_get(json_object_get(json_object_get(cte->entry, "value"), "query"), "node");
    Status rc = OK;
    json_t *lowered = NULL;
    if (cte->query) {
        return OK;
    }
    cte->recursive = sql_tree_is(query, "type", "RECURSIVE_CTE_NODE");
    TRY(lower_query(p, query, cte->outer, &lowered, &cte->relation, err));
    cte->relation = lineage_renamed(p, &cte->relation,
                                    json_object_get(json_object_get(cte->entry, "value"), "aliases"));
    cte->query = lowered;
out:
    return rc;
}

static Cte *find_cte(Cte *env, const json_t *ref)
{
    for (; env && !sql_tree_has(ref, "schema_name") && !sql_tree_has(ref, "catalog_name"); env = env->outer) {
        if (str_ieq(env->name, sql_tree_string(ref, "table_name"))) {
            return env;
        }
    }
    return NULL;
}

/* The names that stand behind an alias, of the reference or else of the common table expression. */
static json_t *names_of(Planner *p, const json_t *ref, const Cte *cte)
{
    const json_t *names = json_object_get(ref, "column_name_alias");
    const json_t *own = json_object_get(json_object_get(cte->entry, "value"), "aliases");
    json_t *both = tree_copy(p, own ? own : names);
    for (size_t i = 0; i < json_array_size(names); i++) {
        if (i < json_array_size(both)) {
            json_array_set(both, i, json_array_get(names, i));
        } else {
            json_array_append(both, json_array_get(names, i));
        }
    }
    return both;
}

/* A common table expression becomes a sub-query; one that reads itself keeps its WITH, inside. */
static Status lower_cte_ref(Planner *p, json_t *ref, Cte *cte, Scope *scope, Rows *rows, json_t **lowered, Error *err)
{
    const char *alias = sql_tree_has(ref, "alias") ? sql_tree_string(ref, "alias") : cte->name;
    json_t *subquery, *names = json_object_get(ref, "column_name_alias");
    Status rc = OK;
    TRY(lower_cte(p, cte, err));
    if (cte->recursive) {
        json_t *select = tree_select(p, tree_own(p, json_pack("[O]", tree_star(p))), tree_table(p, cte->name, ""));
        json_t *entry = tree_copy(p, cte->entry);
        json_object_set(json_object_get(json_object_get(entry, "value"), "query"), "node", tree_copy(p, cte->query));
        json_array_append(json_object_get(json_object_get(select, "cte_map"), "map"), entry);
        subquery = tree_subquery(p, select, alias);
    } else {
        subquery = tree_subquery(p, tree_copy(p, cte->query), alias);
        names = names_of(p, ref, cte);
    }
    json_object_set(subquery, "column_name_alias", names);
    json_object_set(subquery, "sample", json_object_get(ref, "sample"));
    add_source(p, scope, subquery, alias,
               lineage_renamed(p, &cte->relation, json_object_get(ref, "column_name_alias")));
    *rows = cte->relation.rows;
    *lowered = subquery;
out:
    return rc;
}

static Status lower_table(Planner *p, json_t *ref, Cte *env, Scope *scope, Rows *rows, json_t **lowered, Error *err)
{
    const char *name = sql_tree_string(ref, "table_name");
    const char *alias = sql_tree_has(ref, "alias") ? sql_tree_string(ref, "alias") : name;
    Cte *cte = find_cte(env, ref);
    if (cte && cte->entry) {
        return lower_cte_ref(p, ref, cte, scope, rows, lowered, err);
    }
    *rows = ROWS_STATIC;
    Relation relation = {.rows = ROWS_STATIC};
    for (size_t i = 0; i < p->n_leaves; i++) {
        const SqlLeaf *leaf = &p->leaves[i];
        if (!str_ieq(leaf->placeholder, name)) {
            continue;
        }
        *rows = relation.rows = leaf->stream ? ROWS_APPEND : ROWS_STATIC;
        if (leaf->event_time && leaf->stream) {
            relation.columns = arena_alloc(p->plan->arena, sizeof *relation.columns);
            relation.n_columns = 1;
            relation.columns[0] = (Column){
                .name = leaf->event_time, .carries = CARRIES_TIME, .delay_us = leaf->delay_us, .step = NO_STEP};
        }
    }
    if (json_array_size(json_object_get(ref, "column_name_alias")) > 0) {
        relation.n_columns = 0; /* renamed by place, which is not known */
    }
    add_source(p, scope, ref, alias, relation);
    return OK;
}

static Status lower_subquery(Planner *p, json_t *ref, Cte *env, Scope *scope, Rows *rows, json_t **lowered, Error *err)
{
    json_t *subquery = json_object_get(ref, "subquery"), *query = NULL;
    Relation relation = {0};
    Status rc = OK;
    (void)lowered;
    TRY(lower_query(p, json_object_get(subquery, "node"), env, &query, &relation, err));
    json_object_set(subquery, "node", query);
    *rows = relation.rows;
    relation = lineage_renamed(p, &relation, json_object_get(ref, "column_name_alias"));
    add_source(p, scope, ref, sql_tree_string(ref, "alias"), relation);
out:
    return rc;
}

typedef struct JoinRule {
    const char *type, *words;
    bool left, right; /* the side that may stream, beside a static one */
} JoinRule;

static const JoinRule JOIN_RULES[] = {
    {"INNER", "a JOIN", true, true},        {"LEFT", "a LEFT JOIN", true, false},
    {"RIGHT", "a RIGHT JOIN", false, true}, {"SEMI", "a SEMI JOIN", true, false},
    {"ANTI", "an ANTI JOIN", true, false},  {"FULL", "a FULL JOIN", false, false},
    {"OUTER", "a FULL JOIN", false, false},
};

static Status check_join(Planner *p, const json_t *join, Rows left_rows, Rows right_rows, Error *err)
{
    const char *type = sql_tree_string(join, "join_type"), *ref = sql_tree_string(join, "ref_type");
    bool left = streams(left_rows), right = streams(right_rows);
    const JoinRule *rule = NULL;
    for (size_t i = 0; !rule && i < sizeof JOIN_RULES / sizeof *JOIN_RULES; i++) {
        rule = strcmp(type, JOIN_RULES[i].type) == 0 ? &JOIN_RULES[i] : NULL;
    }
    if (left_rows == ROWS_UPDATE || right_rows == ROWS_UPDATE) {
        return planner_refuse(p, join, "join in a flow of its own, over the change feed of this table", err,
                              "a join above an aggregate in update mode");
    }
    if ((left && right_rows == ROWS_FULL) || (right && left_rows == ROWS_FULL)) {
        return planner_refuse(p, join, NULL, err, "a join with an aggregate in complete mode");
    }
    if (!rule || strcmp(ref, "POSITIONAL") == 0) {
        return planner_refuse(p, join, NULL, err, "a %.60s JOIN", rule ? ref : type);
    }
    if (strcmp(ref, "REGULAR") != 0 && strcmp(ref, "NATURAL") != 0 && strcmp(ref, "CROSS") != 0 &&
        strcmp(ref, "DEPENDENT") != 0 && strcmp(ref, "ASOF") != 0) {
        return planner_refuse(p, join, NULL, err, "a %.60s JOIN", ref);
    }
    if (left && right) {
        return OK; /* plan_join has the rules */
    }
    if (strcmp(ref, "ASOF") == 0 && right) {
        return planner_refuse(p, join, NULL, err, "an ASOF JOIN with the stream on the right");
    }
    if (!rule->left && !rule->right) {
        return planner_refuse(p, join, NULL, err, "%s with a table", rule->words);
    }
    if ((left && !rule->left) || (right && !rule->right)) {
        return planner_refuse(
            p, join,
            "a row of the table that has no partner now could get one later: use an inner join, or keep "
            "the answer as a CREATE MATERIALIZED VIEW, without STREAM",
            err, "%s with the stream on the %s", rule->words, left ? "left" : "right");
    }
    return OK;
}

static Rows joined_rows(Rows left, Rows right)
{
    return left > right ? left : right;
}

static Status lower_join(Planner *p, json_t *join, Cte *env, Scope *scope, Rows *rows, json_t **lowered, Error *err)
{
    Rows left_rows = ROWS_STATIC, right_rows = ROWS_STATIC;
    json_t *left = NULL, *right = NULL;
    Status rc = OK;
    (void)lowered;
    TRY(lower_ref(p, json_object_get(join, "left"), env, scope, &left_rows, &left, err));
    TRY(lower_ref(p, json_object_get(join, "right"), env, scope, &right_rows, &right, err));
    json_object_set(join, "left", left);
    json_object_set(join, "right", right);
    if (streams(left_rows) || streams(right_rows)) {
        TRY(check_join(p, join, left_rows, right_rows, err));
    }
    p->plan->narrows = p->plan->narrows || streams(left_rows) != streams(right_rows);
    *rows = joined_rows(left_rows, right_rows);
    TRY(lower_expressions(p, json_object_get(join, "condition"), env, rows, err));
out:
    return rc;
}

/* UNPIVOT makes rows of one row; PIVOT groups. */
static Status lower_pivot(Planner *p, json_t *ref, Cte *env, Scope *scope, Rows *rows, json_t **lowered, Error *err)
{
    json_t *source = NULL;
    Scope inside = {.sources = SQL_LIST(Source)};
    Relation relation = {0};
    Status rc = OK;
    (void)lowered;
    TRY(lower_ref(p, json_object_get(ref, "source"), env, &inside, rows, &source, err));
    json_object_set(ref, "source", source);
    if (streams(*rows) && (!sql_tree_has(ref, "unpivot_names") || inside.n_streams > 1)) {
        TRY(planner_refuse(p, ref, NULL, err, "PIVOT"));
    }
    TRY(lower_expressions(p, json_object_get(ref, "aggregates"), env, rows, err));
    TRY(lower_expressions(p, json_object_get(ref, "pivots"), env, rows, err));
    relation.rows = *rows;
    add_source(p, scope, ref, sql_tree_string(ref, "alias"), relation);
out:
    sql_list_fini(&inside.sources);
    return rc;
}

static Status lower_show(Planner *p, json_t *ref, Cte *env, Scope *scope, Rows *rows, json_t **lowered, Error *err)
{
    json_t *query = json_object_get(ref, "query");
    Relation relation = {0};
    Status rc = OK;
    (void)lowered;
    if (json_is_object(query)) {
        json_t *inside = NULL;
        TRY(lower_query(p, query, env, &inside, &relation, err));
        json_object_set(ref, "query", inside);
    }
    if (streams(relation.rows)) {
        TRY(planner_refuse(p, ref, NULL, err, "%.60s", sql_tree_string(ref, "show_type")));
    }
    *rows = relation.rows;
    relation.n_columns = 0;
    relation.all_known = false;
    add_source(p, scope, ref, sql_tree_string(ref, "alias"), relation);
out:
    return rc;
}

/* Values, table functions, nothing at all: expressions are all they hold. */
static Status lower_plain(Planner *p, json_t *ref, Cte *env, Scope *scope, Rows *rows, json_t **lowered, Error *err)
{
    Relation relation = {.rows = ROWS_STATIC};
    Status rc = OK;
    (void)lowered;
    *rows = ROWS_STATIC;
    TRY(lower_expressions(p, json_object_get(ref, "function"), env, rows, err));
    TRY(lower_expressions(p, json_object_get(ref, "values"), env, rows, err));
    if (!sql_tree_is(ref, "type", "EMPTY")) {
        add_source(p, scope, ref, sql_tree_string(ref, "alias"), relation);
    }
out:
    return rc;
}

/* Adds what the relation consists of to the scope. */
static Status lower_ref(Planner *p, json_t *ref, Cte *env, Scope *scope, Rows *rows, json_t **lowered, Error *err)
{
    static const struct {
        const char *type;
        Status (*lower)(Planner *, json_t *, Cte *, Scope *, Rows *, json_t **, Error *);
    } REFS[] = {
        {"BASE_TABLE", lower_table}, {"SUBQUERY", lower_subquery},     {"JOIN", lower_join},
        {"PIVOT", lower_pivot},      {"EXPRESSION_LIST", lower_plain}, {"TABLE_FUNCTION", lower_plain},
        {"EMPTY", lower_plain},      {"SHOW_REF", lower_show},
    };
    const char *type = sql_tree_string(ref, "type");
    *lowered = ref;
    *rows = ROWS_STATIC;
    for (size_t i = 0; i < sizeof REFS / sizeof *REFS; i++) {
        if (strcmp(type, REFS[i].type) != 0) {
            continue;
        }
        Status rc = REFS[i].lower(p, ref, env, scope, rows, lowered, err);
        if (rc == OK && streams(*rows) && sql_tree_has(*lowered, "sample")) {
            rc = planner_refuse(p, ref, NULL, err, "TABLESAMPLE");
        }
        scope->n_streams += rc == OK && streams(*rows) && !sql_tree_is(ref, "type", "JOIN");
        return rc;
    }
    return planner_refuse(p, ref, NULL, err, "a relation of the kind %.100s", type);
}
/* ---- queries ---- */

static Status lower_select(Planner *p, json_t *node, Cte *env, json_t **lowered, Relation *out, Error *err)
{
    static const char *const HOLDERS[] = {"select_list", "where_clause", "group_expressions",
                                          "having",      "qualify",      "modifiers"};
    Scope scope = {.sources = SQL_LIST(Source)};
    json_t *from = NULL;
    Status rc = OK;

    TRY(lower_ref(p, json_object_get(node, "from_table"), env, &scope, &scope.rows, &from, err));
    json_object_set(node, "from_table", from);
    for (size_t i = 0; i < sizeof HOLDERS / sizeof *HOLDERS; i++) {
        TRY(lower_expressions(p, json_object_get(node, HOLDERS[i]), env, &scope.rows, err));
    }
    if (streams(scope.rows)) {
        TRY(cut_select(p, node, &scope, lowered, out, err));
    } else {
        *out = lineage_select(p, &scope, json_object_get(node, "select_list"));
        *lowered = node;
    }
out:
    sql_list_fini(&scope.sources);
    return rc;
}

static Status lower_set_operation(Planner *p, json_t *node, Cte *env, json_t **lowered, Relation *out, Error *err)
{
    const char *type = sql_tree_string(node, "setop_type");
    bool is_union = str_starts(type, "UNION"), all = json_is_true(json_object_get(node, "setop_all"));
    json_t *left = NULL, *right = NULL;
    Relation left_rows = {0}, right_rows = {0};
    Clauses clauses = {0};
    Rows rows = ROWS_STATIC;
    Status rc = OK;

    TRY(lower_query(p, json_object_get(node, "left"), env, &left, &left_rows, err));
    TRY(lower_query(p, json_object_get(node, "right"), env, &right, &right_rows, err));
    json_object_set(node, "left", left);
    json_object_set(node, "right", right);
    *out = lineage_union(p, &left_rows, &right_rows, strcmp(type, "UNION_BY_NAME") == 0);
    *lowered = node;
    TRY(lower_expressions(p, json_object_get(node, "modifiers"), env, &rows, err));
    if (!streams(out->rows)) {
        goto out;
    }
    if (!is_union) {
        return planner_refuse(p, right, NULL, err, "%.60s", type);
    }
    if (out->rows == ROWS_UPDATE) {
        return planner_refuse(p, right, "write one flow for each into the same table", err,
                              "UNION above an aggregate in update mode");
    }
    if (left_rows.rows != right_rows.rows) {
        return planner_refuse(p, right, "write the table's rows with a statement of its own", err,
                              "UNION ALL of a stream and a table");
    }
    TRY(check_modifiers(p, node, false, &clauses, err));
    json_t *modifier = clauses.distinct ? tree_copy(p, clauses.distinct) : NULL;
    if (modifier || !all) {
        drop_modifier(node, clauses.distinct);
        json_object_set_new(node, "setop_all", json_true());
        TRY(lower_distinct(p, node, modifier, NULL, NULL, out, lowered, out, err));
    }
out:
    return rc;
}

/* The first part may not stream either: the rows of later batches would meet those of this one. */
static Status lower_recursive(Planner *p, json_t *node, Cte *env, json_t **lowered, Relation *out, Error *err)
{
    json_t *left = NULL, *right = NULL;
    Relation left_rows = {0}, right_rows = {0};
    Cte self = {.name = sql_tree_string(node, "cte_name"), .outer = env};
    Status rc = OK;

    TRY(lower_query(p, json_object_get(node, "left"), env, &left, &left_rows, err));
    json_object_set(node, "left", left);
    TRY(lower_query(p, json_object_get(node, "right"), &self, &right, &right_rows, err));
    json_object_set(node, "right", right);
    if (streams(left_rows.rows) || streams(right_rows.rows)) {
        TRY(planner_refuse(p, node, NULL, err, "WITH RECURSIVE"));
    }
    *out = (Relation){.rows = joined_rows(left_rows.rows, right_rows.rows)};
    *lowered = node;
out:
    return rc;
}

/* Makes the common table expressions of a query visible. */
static Cte *add_ctes(Planner *p, const json_t *node, Cte *env)
{
    json_t *map = json_object_get(json_object_get(node, "cte_map"), "map"), *entry;
    size_t i;
    json_array_foreach(map, i, entry)
    {
        Cte *cte = arena_alloc(p->plan->arena, sizeof *cte);
        *cte = (Cte){.name = sql_tree_string(entry, "key"), .entry = tree_copy(p, entry), .outer = env};
        cte->name = sql_tree_string(cte->entry, "key");
        env = cte;
    }
    return env;
}

static Status lower_query(Planner *p, json_t *node, Cte *env, json_t **lowered, Relation *out, Error *err)
{
    static const struct {
        const char *type;
        Status (*lower)(Planner *, json_t *, Cte *, json_t **, Relation *, Error *);
    } NODES[] = {{"SELECT_NODE", lower_select},
                 {"SET_OPERATION_NODE", lower_set_operation},
                 {"RECURSIVE_CTE_NODE", lower_recursive}};
    const char *type = sql_tree_string(node, "type");
    Status rc = OK;
    if (p->depth >= DEPTH_MAX) {
        return error_set(err, E_LIMIT, "queries are nested more than %d deep", DEPTH_MAX);
    }
    Cte *visible = add_ctes(p, node, env);
    json_t *map = json_object_get(json_object_get(node, "cte_map"), "map");
    json_array_clear(map);
    p->depth++;
    for (size_t i = 0; i < sizeof NODES / sizeof *NODES; i++) {
        if (strcmp(type, NODES[i].type) == 0) {
            rc = NODES[i].lower(p, node, visible, lowered, out, err);
            p->depth--;
            return rc;
        }
    }
    return planner_refuse(p, node, NULL, err, "a query of the kind %.100s", type);
}

/* ---- the plan ---- */

/* In update mode the rows say which group they are: a column for each key. */
static Status find_keys(Planner *p, const Relation *result, Error *err)
{
    const SqlStep *steps = p->steps.items;
    size_t at = p->steps.count;
    while (at-- > 0 && steps[at].kind != SQL_STEP_AGGREGATE) {
    }
    const SqlStep *step = &steps[at];
    const char **names = arena_alloc(p->plan->arena, (step->n_keys + 1) * sizeof *names);
    for (size_t k = 0; k < step->n_keys; k++) {
        for (size_t i = 0; i < result->n_columns; i++) {
            const Column *column = &result->columns[i];
            bool is_key = column->step == (int)at && column->key == (int)k;
            names[k] = is_key && (!names[k] || !column->is_start) ? column->name : names[k];
        }
        if (!names[k]) {
            return planner_error(p, NULL,
                                 "select every expression of GROUP BY as it is (of a window at least its start): rows "
                                 "of the table are found by them",
                                 err, "in update mode the result needs each grouping key, and one of %s is missing",
                                 step->title);
        }
    }
    p->plan->upserts = true;
    p->plan->key_columns = names;
    p->plan->n_key_columns = step->n_keys;
    return OK;
}

/* Keys of groups that a filter leaves out: those without filters, except those with them. */
static Status print_vanished(Planner *p, const json_t *query, Error *err)
{
    json_t *list = tree_own(p, json_array()), *unfiltered = tree_copy(p, query);
    bool filtered = false;
    for (json_t *node = unfiltered; node;) {
        filtered = filtered || sql_tree_has(node, "where_clause");
        json_object_set_new(node, "where_clause", json_null());
        node = json_object_get(json_object_get(json_object_get(node, "from_table"), "subquery"), "node");
    }
    if (!filtered || p->plan->n_key_columns == 0) {
        return OK;
    }
    for (size_t i = 0; i < p->plan->n_key_columns; i++) {
        json_array_append(list, tree_column(p, NULL, p->plan->key_columns[i]));
    }
    json_t *except = tree_union_all(p, tree_select(p, list, tree_subquery(p, unfiltered, "freshet_all")),
                                    tree_select(p, list, tree_subquery(p, query, "freshet_kept")));
    json_object_set_new(except, "setop_type", json_string("EXCEPT"));
    json_object_set_new(except, "setop_all", json_false());
    return planner_print(p, except, &p->plan->vanished, err);
}

static Status check_result(Planner *p, const Relation *result, bool reads_stream, Error *err)
{
    if (reads_stream && result->rows == ROWS_STATIC) {
        return planner_refuse(p, NULL, NULL, err, "a query whose result does not depend on it");
    }
    if (p->options.mode == SQL_OUTPUT_COMPLETE && result->rows == ROWS_APPEND) {
        return planner_error(p, NULL, "leave 'freshet.outputMode' out: the default is append", err,
                             "complete mode needs an aggregate: without one all rows would have to be kept");
    }
    if (p->random && p->steps.count > 0) {
        Status rc = planner_error(
            p, NULL, "compute it in a flow of its own, before this one, so that its values are stored", err,
            "%s() gives other values when a batch is run again, and this query remembers rows", p->random);
        p->offset = p->random_offset;
        return rc;
    }
    return OK;
}

static Status make_plan(Planner *p, const char *sql, json_t *tree, Error *err)
{
    SqlStatefulPlan *plan = p->plan;
    Relation result = {0};
    json_t *lowered = NULL;
    bool reads_stream = false, spelled = tree_any(tree, true, is_window_time);
    Status rc = OK;

    for (size_t i = 0; i < p->n_leaves; i++) {
        reads_stream = reads_stream || p->leaves[i].stream;
    }
    TRY(lower_query(p, tree, NULL, &lowered, &result, err));
    TRY(check_result(p, &result, reads_stream, err));
    plan->uses_random = p->random != NULL;
    if (result.rows == ROWS_APPEND) { /* rows that never change: update mode adds them */
        plan->mode = SQL_OUTPUT_APPEND;
    }
    if (p->steps.count == 0 && !spelled) { /* as the user wrote it */
        plan->body = str_istarts(sql, "WITH") ? arena_printf(plan->arena, "SELECT * FROM (%s\n)", sql)
                                              : arena_strdup(plan->arena, sql);
        goto out;
    }
    if (result.rows == ROWS_UPDATE) {
        TRY(find_keys(p, &result, err));
        TRY(print_vanished(p, lowered, err));
    }
    TRY(planner_print(p, lowered, &plan->body, err));
out:
    if (rc == OK) {
        plan->steps = sql_list_take(&p->steps, plan->arena, &plan->n_steps);
    }
    return rc;
}

Status sql_stateful_plan(DuckConn *conn, const char *sql, const SqlLeaf *leaves, size_t n_leaves,
                         const SqlStatefulOptions *options, SqlStatefulPlan **out, int64_t *offset, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    SqlStatefulPlan *plan = arena_alloc(arena, sizeof *plan);
    json_t *root = NULL;
    const json_t *tree = NULL;
    Planner p = {.conn = conn,
                 .plan = plan,
                 .leaves = leaves,
                 .n_leaves = n_leaves,
                 .options = *options,
                 .steps = SQL_LIST(SqlStep),
                 .pool = json_array(),
                 .offset = -1};

    *plan = (SqlStatefulPlan){.arena = arena, .mode = options->mode};
    TRY(sql_tree_parse_text(conn, sql, &root, &tree, &p.offset, err));
    p.exact = json_is_true(json_object_get(root, "exact"));
    TRY(make_plan(&p, sql, (json_t *)tree, err));
    *out = plan;
    arena = NULL;
out:
    *offset = rc == OK ? -1 : p.offset;
    sql_list_fini(&p.steps);
    json_decref(p.pool);
    json_decref(root);
    arena_free(arena);
    return rc;
}

void sql_stateful_plan_free(SqlStatefulPlan *plan)
{
    if (plan) {
        arena_free(plan->arena);
    }
}
