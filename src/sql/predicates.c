/* Conjuncts of WHERE that a scan may use to skip files. A relation stands in one SELECT; what its WHERE demands of a
 * plain column holds for every row that the relation contributes, unless an outer or positional join stands between. */
#include <string.h>

#include "sql/tree.h"

typedef struct Finder {
    DuckConn *conn;
    const SqlQuery *query;
    const SqlRelation *relation;
    Arena *arena;
    bool alone; /* the relation is all of FROM: unqualified columns are its own */
    SqlList predicates;
} Finder;

/* ---- the SELECT that reads the relation ---- */

/* True when the relation is in `ref` and every row of it has to pass the WHERE above. */
static bool contributes(const Finder *f, const json_t *ref)
{
    if (sql_tree_is(ref, "type", "BASE_TABLE")) {
        return strcmp(sql_tree_string(ref, "table_name"), f->relation->placeholder) == 0 &&
               !sql_tree_has(ref, "sample") && !sql_tree_has(ref, "column_name_alias");
    }
    if (!sql_tree_is(ref, "type", "JOIN") || sql_tree_has(ref, "sample")) {
        return false;
    }
    const char *type = sql_tree_string(ref, "join_type"), *kind = sql_tree_string(ref, "ref_type");
    bool plain = strcmp(kind, "REGULAR") == 0 || strcmp(kind, "NATURAL") == 0 || strcmp(kind, "CROSS") == 0;
    bool inner = strcmp(type, "INNER") == 0;
    bool left = inner || strcmp(type, "LEFT") == 0 || strcmp(type, "SEMI") == 0 || strcmp(type, "ANTI") == 0;
    bool right = inner || strcmp(type, "RIGHT") == 0;
    bool asof = strcmp(kind, "ASOF") == 0;
    if (left && (plain || asof) && contributes(f, json_object_get(ref, "left"))) {
        return true;
    }
    return right && plain && contributes(f, json_object_get(ref, "right"));
}

static const json_t *find_select(const Finder *f, const json_t *node)
{
    const char *key;
    const json_t *value, *found = NULL;
    size_t i;
    if (sql_tree_is(node, "type", "SELECT_NODE") && contributes(f, json_object_get(node, "from_table"))) {
        return node;
    }
    if (json_is_array(node)) {
        json_array_foreach(node, i, value)
        {
            if ((found = find_select(f, value)) != NULL) {
                return found;
            }
        }
    } else if (json_is_object(node)) {
        json_object_foreach((json_t *)node, key, value)
        {
            if ((found = find_select(f, value)) != NULL) {
                return found;
            }
        }
    }
    return NULL;
}

/* ---- columns and constants ---- */

/* The path of a column of the relation, without its alias. */
static bool column_path(const Finder *f, const json_t *node, SqlPredicate *out)
{
    const json_t *names = json_object_get(node, "column_names");
    size_t n = json_array_size(names);
    if (!sql_tree_is(node, "class", "COLUMN_REF") || n == 0 || sql_tree_time(f->query, node)) {
        return false;
    }
    const char *first = json_string_value(json_array_get(names, 0));
    bool qualified = n > 1 && first && str_ieq(first, f->relation->alias);
    if (!qualified && !f->alone) {
        return false;
    }
    size_t skip = qualified ? 1 : 0;
    const char **path = arena_alloc(f->arena, (n - skip) * sizeof *path);
    for (size_t i = skip; i < n; i++) {
        path[i - skip] = arena_strdup(f->arena, json_string_value(json_array_get(names, i)));
    }
    out->column = path;
    out->n_column = n - skip;
    return true;
}

static bool is_constant_function(const char *name)
{
    static const char *const NAMES[] = {
        "+",
        "-",
        "*",
        "/",
        "//",
        "%",
        "||",
        "to_years",
        "to_months",
        "to_weeks",
        "to_days",
        "to_hours",
        "to_minutes",
        "to_seconds",
        "to_milliseconds",
        "to_microseconds",
        "trunc",
        "date_trunc",
        "date_add",
        "make_date",
        "make_timestamp",
        "make_timestamptz",
        "to_timestamp",
        "epoch_ms",
        "strptime",
        "lower",
        "upper",
        "concat",
        "getvariable",
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (str_ieq(name, NAMES[i])) {
            return true;
        }
    }
    return false;
}

/* No columns, no sub-query, and the same answer whenever it is asked. */
static bool is_constant(const json_t *node)
{
    if (sql_tree_is(node, "class", "CONSTANT")) {
        return !json_is_true(json_object_get(json_object_get(node, "value"), "is_null"));
    }
    if (sql_tree_is(node, "class", "CAST")) {
        return is_constant(json_object_get(node, "child"));
    }
    if (!sql_tree_is(node, "class", "FUNCTION") || !is_constant_function(sql_tree_string(node, "function_name")) ||
        sql_tree_has(node, "catalog")) {
        return false;
    }
    const json_t *children = json_object_get(node, "children"), *child;
    size_t i;
    json_array_foreach(children, i, child)
    {
        if (!is_constant(child)) {
            return false;
        }
    }
    return json_array_size(children) > 0;
}

/* The commonest constants are written here; DuckDB prints the others. */
static Status constant_text(const Finder *f, const json_t *node, const char **out, Error *err)
{
    const json_t *value = json_object_get(node, "value"), *inner = json_object_get(value, "value");
    const char *type = sql_tree_string(json_object_get(value, "type"), "id");
    bool integer = strcmp(type, "INTEGER") == 0 || strcmp(type, "BIGINT") == 0;
    if (integer && json_is_integer(inner)) {
        *out = arena_printf(f->arena, "%lld", (long long)json_integer_value(inner));
        return OK;
    }
    if (strcmp(type, "VARCHAR") == 0 && json_is_string(inner)) {
        Text text = TEXT(SQL_TEXT_MAX);
        text_append_sql_string_n(&text, json_string_value(inner), json_string_length(inner));
        *out = arena_strdup(f->arena, text_str(&text));
        text_free(&text);
        return OK;
    }
    return sql_tree_print(f->conn, node, f->arena, out, err);
}

/* ---- conjuncts ---- */

/* Adds column <compare> values, if they are all constants. */
static Status add_predicate(Finder *f, const json_t *column, SqlCompare compare, const json_t *const *values, size_t n,
                            Error *err)
{
    SqlPredicate predicate = {.compare = compare, .n_values = n};
    if (!column_path(f, column, &predicate)) {
        return OK;
    }
    const char **texts = n ? arena_alloc(f->arena, n * sizeof *texts) : NULL;
    for (size_t i = 0; i < n; i++) {
        if (!is_constant(values[i])) {
            return OK;
        }
        Status rc = constant_text(f, values[i], &texts[i], err);
        if (rc != OK) {
            return rc;
        }
    }
    predicate.values = texts;
    *(SqlPredicate *)sql_list_add(&f->predicates) = predicate;
    return OK;
}

static Status add_comparison(Finder *f, const json_t *node, Error *err)
{
    static const struct {
        const char *type;
        SqlCompare compare, turned; /* column op constant, constant op column */
    } COMPARISONS[] = {
        {"COMPARE_EQUAL", SQL_EQ, SQL_EQ},
        {"COMPARE_LESSTHAN", SQL_LT, SQL_GT},
        {"COMPARE_LESSTHANOREQUALTO", SQL_LE, SQL_GE},
        {"COMPARE_GREATERTHAN", SQL_GT, SQL_LT},
        {"COMPARE_GREATERTHANOREQUALTO", SQL_GE, SQL_LE},
    };
    const json_t *left = json_object_get(node, "left"), *right = json_object_get(node, "right");
    bool turned = sql_tree_is(right, "class", "COLUMN_REF") && is_constant(left);
    for (size_t i = 0; i < sizeof COMPARISONS / sizeof *COMPARISONS; i++) {
        if (!sql_tree_is(node, "type", COMPARISONS[i].type)) {
            continue;
        }
        if (turned) {
            return add_predicate(f, right, COMPARISONS[i].turned, &left, 1, err);
        }
        return add_predicate(f, left, COMPARISONS[i].compare, &right, 1, err);
    }
    return OK;
}

static Status add_between(Finder *f, const json_t *node, Error *err)
{
    const json_t *input = json_object_get(node, "input"), *lower = json_object_get(node, "lower"),
                 *upper = json_object_get(node, "upper");
    if (!sql_tree_is(node, "type", "COMPARE_BETWEEN")) {
        return OK;
    }
    Status rc = add_predicate(f, input, SQL_GE, &lower, 1, err);
    return rc == OK ? add_predicate(f, input, SQL_LE, &upper, 1, err) : rc;
}

/* IS NULL, IS NOT NULL, IN (constants) */
static Status add_operator(Finder *f, const json_t *node, Error *err)
{
    enum { VALUES_MAX = 1000 };
    const json_t *children = json_object_get(node, "children"), *first = json_array_get(children, 0);
    size_t n = json_array_size(children);
    if (sql_tree_is(node, "type", "OPERATOR_IS_NULL") && n == 1) {
        return add_predicate(f, first, SQL_IS_NULL, NULL, 0, err);
    }
    if (sql_tree_is(node, "type", "OPERATOR_IS_NOT_NULL") && n == 1) {
        return add_predicate(f, first, SQL_IS_NOT_NULL, NULL, 0, err);
    }
    if (!sql_tree_is(node, "type", "COMPARE_IN") || n < 2 || n - 1 > VALUES_MAX) {
        return OK;
    }
    const json_t *values[VALUES_MAX];
    for (size_t i = 1; i < n; i++) {
        values[i - 1] = json_array_get(children, i);
    }
    return add_predicate(f, first, SQL_IN, values, n - 1, err);
}

static Status add_conjuncts(Finder *f, const json_t *node, Error *err)
{
    if (sql_tree_is(node, "type", "CONJUNCTION_AND")) {
        const json_t *children = json_object_get(node, "children"), *child;
        size_t i;
        json_array_foreach(children, i, child)
        {
            Status rc = add_conjuncts(f, child, err);
            if (rc != OK) {
                return rc;
            }
        }
        return OK;
    }
    if (sql_tree_is(node, "class", "COMPARISON")) {
        return add_comparison(f, node, err);
    }
    if (sql_tree_is(node, "class", "BETWEEN")) {
        return add_between(f, node, err);
    }
    return sql_tree_is(node, "class", "OPERATOR") ? add_operator(f, node, err) : OK;
}

Status sql_query_predicates(DuckConn *conn, const SqlQuery *query, size_t relation, Arena *arena, SqlPredicate **out,
                            size_t *n, Error *err)
{
    json_t *owner = NULL;
    const json_t *tree = NULL;
    Finder f = {
        .conn = conn,
        .query = query,
        .relation = &query->relations[relation],
        .arena = arena,
        .predicates = SQL_LIST(SqlPredicate),
    };
    Status rc = OK;
    TRY(sql_tree_parse(conn, query, &owner, &tree, err));
    const json_t *select = find_select(&f, tree);
    bool exact = json_is_true(json_object_get(owner, "exact"));
    if (exact && select && !sql_tree_has(select, "sample")) {
        f.alone = sql_tree_is(json_object_get(select, "from_table"), "type", "BASE_TABLE");
        TRY(add_conjuncts(&f, json_object_get(select, "where_clause"), err));
    }
    *out = sql_list_take(&f.predicates, arena, n);
out:
    sql_list_fini(&f.predicates);
    json_decref(owner);
    return rc;
}
