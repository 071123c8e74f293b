/* What a query does over its streams: a walk over the whole tree.
 *
 * A query or relation "streams" when its rows come from a stream. The walk goes down from the statement; each query and
 * each relation says whether it streams, and everything that would have to remember rows of a stream is refused, by
 * name and place. Kinds of nodes that the walk does not know are refused too: a newer DuckDB may bring one.
 */
#include <stdio.h>
#include <string.h>

#include "sql/tree.h"

typedef struct Cte {
    const char *name;
    bool streams;
} Cte;

typedef struct Walk {
    const SqlQuery *query;
    const bool *is_stream;
    Arena *arena;
    SqlStreamFacts *facts;
    SqlList ctes; /* Cte: visible now, innermost last */
} Walk;

static bool walk_query(Walk *w, const json_t *node);
static bool walk_ref(Walk *w, const json_t *ref);
static void walk_expression(Walk *w, const json_t *node, bool streams);

/* Remembers the first thing that is not stateless. */
__attribute__((format(printf, 3, 4))) static void refuse(Walk *w, const json_t *node, const char *format, ...)
{
    char why[200];
    va_list args;
    if (w->facts->why) {
        return;
    }
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    w->facts->why = arena_strdup(w->arena, why);
    w->facts->why_span = sql_tree_span(w->query, sql_tree_location(node));
}

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

/* An aggregate by name, or by what only an aggregate can have. */
static bool is_aggregate(const json_t *node)
{
    return sql_tree_is(node, "class", "FUNCTION") &&
           (sql_function_is_aggregate(sql_tree_string(node, "function_name")) || sql_tree_has(node, "filter") ||
            json_is_true(json_object_get(node, "distinct")) ||
            sql_tree_has(json_object_get(node, "order_bys"), "orders"));
}

static void walk_function(Walk *w, const json_t *node, bool streams)
{
    const char *name = sql_tree_string(node, "function_name");
    if (streams && is_aggregate(node)) {
        bool star = json_array_size(json_object_get(node, "children")) == 0;
        refuse(w, node, star && strcmp(name, "count_star") == 0 ? "count(*)" : star ? "%.100s(*)" : "%.100s()", name);
    }
    w->facts->uses_random = w->facts->uses_random || sql_function_is_random(name);
}

static void walk_children(Walk *w, const json_t *node, bool streams)
{
    const char *key;
    const json_t *value;
    size_t i;
    if (json_is_array(node)) {
        json_array_foreach(node, i, value) walk_expression(w, value, streams);
    } else if (json_is_object(node)) {
        json_object_foreach((json_t *)node, key, value) walk_expression(w, value, streams);
    }
}

/* An expression, or anything that holds some. `streams`: its rows come from a stream. */
static void walk_expression(Walk *w, const json_t *node, bool streams)
{
    const char *class = sql_tree_string(node, "class");
    if (strcmp(class, "SUBQUERY") == 0) {
        walk_expression(w, json_object_get(node, "child"), streams);
        if (walk_query(w, json_object_get(json_object_get(node, "subquery"), "node"))) {
            refuse(w, node, "a sub-query over a stream inside an expression");
        }
        return;
    }
    if (streams && *class && !is_known_class(class)) {
        refuse(w, node, "an expression of the kind %.100s", class);
    }
    if (streams && strcmp(class, "WINDOW") == 0) {
        refuse(w, node, "%.100s() OVER", sql_tree_string(node, "function_name"));
    }
    if (streams && sql_tree_is(node, "type", "GROUPING_FUNCTION")) {
        refuse(w, node, "GROUPING()");
    }
    if (strcmp(class, "FUNCTION") == 0) {
        walk_function(w, node, streams);
    }
    if (sql_tree_time(w->query, node)) {
        w->facts->uses_time = true;
    }
    walk_children(w, node, streams);
}

/* ---- aggregates of the outer query that are written inside a sub-query ---- */

static bool any_inside(const json_t *node, bool into_subqueries, bool (*test)(const Walk *, const json_t *),
                       const Walk *w)
{
    const char *key;
    const json_t *value;
    size_t i;
    if (sql_tree_is(node, "class", "SUBQUERY") && !into_subqueries) {
        return false;
    }
    if (test(w, node)) {
        return true;
    }
    if (json_is_array(node)) {
        json_array_foreach(node, i, value)
        {
            if (any_inside(value, into_subqueries, test, w)) {
                return true;
            }
        }
    } else if (json_is_object(node)) {
        json_object_foreach((json_t *)node, key, value)
        {
            if (any_inside(value, into_subqueries, test, w)) {
                return true;
            }
        }
    }
    return false;
}

static bool is_column(const Walk *w, const json_t *node)
{
    return sql_tree_is(node, "class", "STAR") ||
           (sql_tree_is(node, "class", "COLUMN_REF") && !sql_tree_time(w->query, node));
}

static bool is_aggregate_node(const Walk *w, const json_t *node)
{
    (void)w;
    return is_aggregate(node);
}

/* (SELECT sum(s.a)) over a stream s is an aggregate of the outer query when all its columns are. DuckDB accepts that
 * only when the outer list has no column of its own; a list that has one is safe. */
static void check_outer_aggregates(Walk *w, const json_t *select)
{
    const json_t *list = json_object_get(select, "select_list");
    if (!any_inside(list, false, is_column, w) && any_inside(list, true, is_aggregate_node, w)) {
        refuse(w, list, "an aggregate in a sub-query");
    }
}

/* ---- relations ---- */

typedef struct JoinRule {
    const char *type, *words;
    bool left, right; /* the side that may stream */
} JoinRule;

static const JoinRule JOIN_RULES[] = {
    {"INNER", "a JOIN", true, true},        {"LEFT", "a LEFT JOIN", true, false},
    {"RIGHT", "a RIGHT JOIN", false, true}, {"SEMI", "a SEMI JOIN", true, false},
    {"ANTI", "an ANTI JOIN", true, false},  {"FULL", "a FULL JOIN", false, false},
    {"OUTER", "a FULL JOIN", false, false},
};

static void check_join(Walk *w, const json_t *join, bool left, bool right)
{
    const char *type = sql_tree_string(join, "join_type"), *ref = sql_tree_string(join, "ref_type");
    const JoinRule *rule = NULL;
    for (size_t i = 0; !rule && i < sizeof JOIN_RULES / sizeof *JOIN_RULES; i++) {
        rule = strcmp(type, JOIN_RULES[i].type) == 0 ? &JOIN_RULES[i] : NULL;
    }
    if (left && right) {
        refuse(w, join, "a join of two streams");
    } else if (!rule || strcmp(ref, "POSITIONAL") == 0) {
        refuse(w, join, "a %.60s JOIN", rule ? ref : type);
    } else if (strcmp(ref, "ASOF") == 0 && right) {
        refuse(w, join, "an ASOF JOIN with the stream on the right");
    } else if (!rule->left && !rule->right) {
        refuse(w, join, "%s with a stream", rule->words);
    } else if ((left && !rule->left) || (right && !rule->right)) {
        refuse(w, join, "%s with the stream on the %s", rule->words, left ? "left" : "right");
    } else if (strcmp(ref, "REGULAR") != 0 && strcmp(ref, "NATURAL") != 0 && strcmp(ref, "CROSS") != 0 &&
               strcmp(ref, "DEPENDENT") != 0 && strcmp(ref, "ASOF") != 0) {
        refuse(w, join, "a %.60s JOIN", ref);
    }
}

static bool walk_join(Walk *w, const json_t *join)
{
    bool left = walk_ref(w, json_object_get(join, "left"));
    bool right = walk_ref(w, json_object_get(join, "right"));
    if (left || right) {
        check_join(w, join, left, right);
    }
    walk_expression(w, json_object_get(join, "condition"), left || right);
    return left || right;
}

static bool walk_base_table(Walk *w, const json_t *ref)
{
    const char *name = sql_tree_string(ref, "table_name");
    if (!sql_tree_has(ref, "schema_name")) {
        const Cte *ctes = w->ctes.items;
        for (size_t i = w->ctes.count; i-- > 0;) {
            if (str_ieq(ctes[i].name, name)) {
                return ctes[i].streams;
            }
        }
    }
    for (size_t i = 0; i < w->query->n_relations; i++) {
        if (str_ieq(w->query->relations[i].placeholder, name)) {
            w->facts->reads_stream = w->facts->reads_stream || w->is_stream[i];
            return w->is_stream[i];
        }
    }
    return false;
}

/* UNPIVOT makes rows of one row; PIVOT groups. */
static bool walk_pivot(Walk *w, const json_t *ref)
{
    bool streams = walk_ref(w, json_object_get(ref, "source"));
    if (streams && !sql_tree_has(ref, "unpivot_names")) {
        refuse(w, ref, "PIVOT");
    }
    walk_expression(w, json_object_get(ref, "aggregates"), streams);
    walk_expression(w, json_object_get(ref, "pivots"), streams);
    return streams;
}

static bool walk_show(Walk *w, const json_t *ref)
{
    bool streams = walk_query(w, json_object_get(ref, "query"));
    if (streams) {
        refuse(w, ref, "%.60s", sql_tree_string(ref, "show_type"));
    }
    return streams;
}

static bool walk_subquery(Walk *w, const json_t *ref)
{
    return walk_query(w, json_object_get(json_object_get(ref, "subquery"), "node"));
}

static bool walk_table_function(Walk *w, const json_t *ref)
{
    walk_expression(w, json_object_get(ref, "function"), false);
    return false;
}

static bool walk_values(Walk *w, const json_t *ref)
{
    walk_expression(w, json_object_get(ref, "values"), false);
    return false;
}

/* Whether the relation streams. */
static bool walk_ref(Walk *w, const json_t *ref)
{
    static const struct {
        const char *type;
        bool (*walk)(Walk *, const json_t *);
    } REFS[] = {
        {"BASE_TABLE", walk_base_table}, {"SUBQUERY", walk_subquery},      {"JOIN", walk_join},
        {"PIVOT", walk_pivot},           {"EXPRESSION_LIST", walk_values}, {"TABLE_FUNCTION", walk_table_function},
        {"SHOW_REF", walk_show},
    };
    const char *type = sql_tree_string(ref, "type");
    if (!*type || strcmp(type, "EMPTY") == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof REFS / sizeof *REFS; i++) {
        if (strcmp(type, REFS[i].type) == 0) {
            bool streams = REFS[i].walk(w, ref);
            if (streams && sql_tree_has(ref, "sample")) {
                refuse(w, ref, "TABLESAMPLE");
            }
            return streams;
        }
    }
    refuse(w, ref, "a relation of the kind %.100s", type);
    return false;
}

/* ---- queries ---- */

/* Makes the common table expressions of a query visible; the caller takes them back. */
static void walk_ctes(Walk *w, const json_t *node)
{
    const json_t *map = json_object_get(json_object_get(node, "cte_map"), "map"), *entry;
    size_t i;
    json_array_foreach(map, i, entry)
    {
        const json_t *query = json_object_get(json_object_get(json_object_get(entry, "value"), "query"), "node");
        bool streams = walk_query(w, query);
        *(Cte *)sql_list_add(&w->ctes) = (Cte){.name = sql_tree_string(entry, "key"), .streams = streams};
    }
}

/* ORDER BY, LIMIT, DISTINCT. */
static void walk_modifiers(Walk *w, const json_t *node, bool streams)
{
    const json_t *modifiers = json_object_get(node, "modifiers"), *modifier;
    size_t i;
    json_array_foreach(modifiers, i, modifier)
    {
        const char *type = sql_tree_string(modifier, "type");
        const json_t *place = sql_tree_location(modifier) < 0 ? node : modifier;
        walk_expression(w, modifier, false);
        if (!streams) {
            continue;
        }
        if (strcmp(type, "ORDER_MODIFIER") == 0) {
            refuse(w, place, "ORDER BY");
        } else if (strcmp(type, "LIMIT_MODIFIER") == 0 || strcmp(type, "LIMIT_PERCENT_MODIFIER") == 0) {
            refuse(w, place, sql_tree_has(modifier, "limit") ? "LIMIT" : "OFFSET");
        } else if (strcmp(type, "DISTINCT_MODIFIER") == 0) {
            refuse(w, place, sql_tree_has(modifier, "distinct_on_targets") ? "DISTINCT ON" : "DISTINCT");
        } else {
            refuse(w, place, "a clause of the kind %.100s", type);
        }
    }
}

/* The clauses that make one row of many. */
static void check_clauses(Walk *w, const json_t *node)
{
    static const struct {
        const char *key, *words;
    } CLAUSES[] = {{"group_expressions", "GROUP BY"},
                   {"group_sets", "GROUP BY"},
                   {"having", "HAVING"},
                   {"qualify", "QUALIFY"},
                   {"sample", "USING SAMPLE"}};
    for (size_t i = 0; i < sizeof CLAUSES / sizeof *CLAUSES; i++) {
        const json_t *clause = json_object_get(node, CLAUSES[i].key);
        if (sql_tree_has(node, CLAUSES[i].key)) {
            refuse(w, sql_tree_location(clause) < 0 ? node : clause, "%s", CLAUSES[i].words);
        }
    }
    if (!sql_tree_is(node, "aggregate_handling", "STANDARD_HANDLING")) {
        refuse(w, node, "GROUP BY ALL");
    }
}

static bool walk_select(Walk *w, const json_t *node)
{
    static const char *const KNOWN[] = {
        "type",       "modifiers", "cte_map", "select_list",        "from_table", "where_clause", "group_expressions",
        "group_sets", "having",    "sample",  "aggregate_handling", "qualify"};
    const char *key;
    json_t *value;
    bool streams = walk_ref(w, json_object_get(node, "from_table"));
    if (streams) {
        check_clauses(w, node);
    }
    walk_modifiers(w, node, streams);
    walk_expression(w, json_object_get(node, "select_list"), streams);
    walk_expression(w, json_object_get(node, "where_clause"), streams);
    walk_expression(w, json_object_get(node, "group_expressions"), streams);
    walk_expression(w, json_object_get(node, "having"), streams);
    walk_expression(w, json_object_get(node, "qualify"), streams);
    if (!streams) {
        return false;
    }
    check_outer_aggregates(w, node);
    json_object_foreach((json_t *)node, key, value)
    {
        bool known = false;
        for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
            known = known || strcmp(key, KNOWN[i]) == 0;
        }
        if (!known && sql_tree_has(node, key)) {
            refuse(w, node, "a clause of the kind %.100s", key);
        }
    }
    return true;
}

static bool walk_set_operation(Walk *w, const json_t *node)
{
    const json_t *left_node = json_object_get(node, "left"), *right_node = json_object_get(node, "right");
    bool left = walk_query(w, left_node), right = walk_query(w, right_node);
    const char *type = sql_tree_string(node, "setop_type");
    bool is_union = str_starts(type, "UNION"), all = json_is_true(json_object_get(node, "setop_all"));
    if (left || right) {
        if (!is_union) {
            refuse(w, right_node, "%.60s", type);
        } else if (!all) {
            refuse(w, right_node, "UNION without ALL");
        } else if (left != right) {
            refuse(w, right_node, "UNION ALL of a stream and a table");
        }
    }
    walk_modifiers(w, node, left || right);
    return left || right;
}

/* The first part may not stream either: the rows of later batches would meet those of this one. */
static bool walk_recursive(Walk *w, const json_t *node)
{
    bool streams = walk_query(w, json_object_get(node, "left"));
    *(Cte *)sql_list_add(&w->ctes) = (Cte){.name = sql_tree_string(node, "cte_name"), .streams = streams};
    streams = walk_query(w, json_object_get(node, "right")) || streams;
    if (streams) {
        refuse(w, node, "WITH RECURSIVE");
    }
    walk_modifiers(w, node, streams);
    return streams;
}

/* Whether the query streams. */
static bool walk_query(Walk *w, const json_t *node)
{
    if (!node || json_is_null(node)) {
        return false;
    }
    size_t visible = w->ctes.count;
    bool streams = false;
    walk_ctes(w, node);
    if (sql_tree_is(node, "type", "SELECT_NODE")) {
        streams = walk_select(w, node);
    } else if (sql_tree_is(node, "type", "SET_OPERATION_NODE")) {
        streams = walk_set_operation(w, node);
    } else if (sql_tree_is(node, "type", "RECURSIVE_CTE_NODE")) {
        streams = walk_recursive(w, node);
    } else {
        refuse(w, node, "a query of the kind %.100s", sql_tree_string(node, "type"));
    }
    w->ctes.count = visible;
    return streams;
}

Status sql_query_stream_facts(DuckConn *conn, const SqlQuery *query, const bool *is_stream, Arena *arena,
                              SqlStreamFacts *facts, Error *err)
{
    json_t *owner = NULL;
    const json_t *tree = NULL;
    SqlStreamFacts found = {0};
    Status rc = sql_tree_parse(conn, query, &owner, &tree, err);
    if (rc != OK) {
        return rc;
    }
    Walk w = {.query = query, .is_stream = is_stream, .arena = arena, .facts = &found, .ctes = SQL_LIST(Cte)};
    bool streams = walk_query(&w, tree);
    if (found.reads_stream && !streams) {
        refuse(&w, tree, "a stream whose rows do not reach the result");
    }
    sql_list_fini(&w.ctes);
    json_decref(owner);
    if (!found.reads_stream) {
        found.why = NULL;
        found.why_span = (SqlSpan){0};
    }
    found.stateless = found.reads_stream && !found.why;
    *facts = found;
    return OK;
}
