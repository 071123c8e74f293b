/* What the files of the planner of stateful queries share.
 *
 *   stateful.c            the walk: queries, relations, common table expressions; the plan
 *   stateful_select.c     a SELECT over a stream: what it may have, where it is cut
 *   stateful_lineage.c    which columns carry event time or the key of a group
 *   stateful_meaning.c    what columns and expressions mean, whatever they are called
 *   stateful_aggregate.c  GROUP BY and aggregates become a step
 *   stateful_rewrite.c    expressions over the output of that step
 *   stateful_call.c       aggregates that are written in another way
 *   stateful_window.c     window(), session_window(), intervals
 *   stateful_distinct.c   DISTINCT becomes a step
 *   stateful_join.c       joins of streams become a step and a UNION ALL of its variants
 *   stateful_bound.c      time bounds between the sides of a join
 *   stateful_tree.c       making, comparing, printing trees
 *   stateful_print.c      a plan for people
 *
 * Lowering works on the tree in place and from the leaves up: a node that must remember is replaced by one that reads
 * the output of its step, so whatever is printed afterwards contains no such node. Trees that are made on the way
 * belong to the planner's pool and are borrowed by everybody else.
 */
#ifndef FRESHET_SQL_STATEFUL_INT_H
#define FRESHET_SQL_STATEFUL_INT_H

#include "sql/stateful.h"
#include "sql/tree.h"

/* How the rows of a relation come. */
typedef enum Rows {
    ROWS_STATIC, /* all at once, every time */
    ROWS_FULL,   /* the same, from what a step has remembered (complete mode) */
    ROWS_APPEND, /* each once, never changed */
    ROWS_UPDATE, /* groups that changed: nothing but projection and filter may stand above */
} Rows;

/* A column that carries the watermark: a point in time, or a window that counts by its end. */
typedef enum Carries { CARRIES_NOTHING, CARRIES_TIME, CARRIES_WINDOW } Carries;

enum { NO_STEP = -1 };

/* What is known of a column. */
typedef struct Column {
    const char *name;
    Carries carries;
    int64_t delay_us; /* of the watermark it carries */
    bool is_window;   /* made by window() or session_window() */
    bool is_start;    /* the start of the window that is the key */
    int step, key;    /* the grouping key it is, unchanged; NO_STEP: none */
    json_t *means;    /* the expression it is, over what is there below all queries; NULL: no more than its name says */
} Column;

typedef struct Relation {
    Rows rows;
    bool all_known; /* `columns` are all there are, in order; otherwise only those of which something is known */
    Column *columns;
    size_t n_columns;
} Relation;

/* One relation of a FROM. */
typedef struct Source {
    const char *alias; /* "" without */
    Relation relation;
    const json_t *ref;
} Source;

typedef struct Scope {
    SqlList sources; /* Source */
    Rows rows;
    size_t n_streams;
} Scope;

typedef struct Planner {
    DuckConn *conn;
    SqlStatefulPlan *plan;
    const SqlLeaf *leaves;
    size_t n_leaves;
    SqlStatefulOptions options;
    SqlList steps;      /* SqlStep */
    json_t *pool;       /* trees that live as long as the planner */
    int64_t offset;     /* of the error */
    bool exact;         /* the tree can be printed */
    const char *random; /* the first call of random() or its kin */
    int64_t random_offset;
    size_t depth; /* of queries in queries */
} Planner;

/* ---- the walk (stateful.c) ---- */

/* E_PIPELINE_STATEFUL at `node`: "a stream cannot run through <what>". `hint`: what to do, NULL for the general one. */
__attribute__((format(printf, 5, 6))) Status planner_refuse(Planner *p, const json_t *node, const char *hint,
                                                            Error *err, const char *what, ...);
/* The same with a message of its own. */
__attribute__((format(printf, 5, 6))) Status planner_error(Planner *p, const json_t *node, const char *hint, Error *err,
                                                           const char *message, ...);
/* A new step; its place in `steps` moves when another one is made. */
SqlStep *planner_add_step(Planner *p, SqlStepKind kind);
/* The SELECT as it is, with another list and without what stands behind WHERE. Joins of streams are still in it. */
json_t *planner_core(Planner *p, const json_t *select, json_t *list);

static inline bool streams(Rows rows)
{
    return rows == ROWS_APPEND || rows == ROWS_UPDATE;
}

/* ---- SELECT (stateful_select.c) ---- */

bool is_aggregate_call(const json_t *node);
bool contains_aggregate(const json_t *node);
bool is_star(const json_t *node);
/* What may stand behind a query over a stream. */
typedef struct Clauses {
    bool aggregates;
    json_t *distinct; /* the modifier */
} Clauses;
/* Sorts and limits: only the whole answer has an order and a number of rows. */
Status check_modifiers(Planner *p, const json_t *node, bool complete, Clauses *clauses, Error *err);
void drop_modifier(json_t *node, const json_t *modifier);
/* The SELECT over a stream: cut where it remembers. Its FROM and the queries inside are lowered. */
Status cut_select(Planner *p, json_t *node, Scope *scope, json_t **lowered, Relation *out, Error *err);

/* ---- lineage (stateful_lineage.c) ---- */

/* What is known of the value of an expression over the scope. */
Column lineage_of(const Scope *scope, const json_t *node);
/* The result of a select list over the scope. */
Relation lineage_select(Planner *p, const Scope *scope, const json_t *list);
Relation lineage_union(Planner *p, const Relation *left, const Relation *right, bool by_name);
/* With names of its own: (SELECT ...) AS t(a, b). */
Relation lineage_renamed(Planner *p, const Relation *relation, const json_t *names);
const Column *lineage_find(const Relation *relation, const char *name);
/* A column of the scope that carries the watermark, as an expression; NULL when there is none. */
json_t *lineage_carrier(Planner *p, const Scope *scope, Column *out);
/* Is there a column of that name among those that are known? */
bool scope_has(const Scope *scope, const char *name);
/* The alias a column is qualified with, when the scope has it; *rest is the number of names before the column's own. */
const Source *scope_source(const Scope *scope, const json_t *column, size_t *rest);

/* ---- steps ---- */

typedef struct JoinPlan JoinPlan;

/* SELECT with GROUP BY or aggregates: *lowered reads the new step. `join` may be NULL. */
Status lower_aggregate(Planner *p, json_t *select, const Scope *scope, const JoinPlan *join, Relation *out, Error *err);
/* SELECT DISTINCT: `query` without the modifier; `modifier` says ON what. `scope` is that of its FROM, NULL when
 * `query` is no plain SELECT. */
Status lower_distinct(Planner *p, json_t *query, const json_t *modifier, const Scope *scope, const JoinPlan *join,
                      const Relation *relation, json_t **lowered, Relation *out, Error *err);
/* FROM with more than one stream: the step, and what the variants substitute. */
Status plan_join(Planner *p, json_t *select, Scope *scope, const JoinPlan **out, Error *err);
/* The SELECT over the pairs that are new: a UNION ALL. `join` NULL: the query itself. */
json_t *join_variants(Planner *p, const JoinPlan *join, json_t *query);

/* ---- windows and intervals (stateful_window.c) ---- */

bool is_window_call(const json_t *node);  /* window(...) */
bool is_session_call(const json_t *node); /* session_window(...) */
bool is_bucket(const json_t *node);       /* one of them */
/* A window() of GROUP BY: its arguments, and the expression of the time. */
Status read_window(Planner *p, const Scope *scope, const json_t *call, SqlWindow *out, const json_t **time, Error *err);
typedef struct Interval {
    int64_t months, days, us;
} Interval;
/* The value of a constant interval; *constant = false when the expression is none. */
Status read_interval(Planner *p, const json_t *node, Interval *out, bool *constant, Error *err);
/* The time of an expression that carries the watermark as a window: its end. */
json_t *time_of(Planner *p, const json_t *expression, const Column *column);

/* ---- trees (stateful_tree.c) ---- */

/* Takes a new tree into the pool. */
json_t *tree_own(Planner *p, json_t *tree);
json_t *tree_copy(Planner *p, const json_t *tree);
json_t *tree_column(Planner *p, const char *relation, const char *column);
json_t *tree_field(Planner *p, const json_t *value, const char *field);
json_t *tree_function(Planner *p, const char *name, const json_t *argument); /* NULL: none yet */
json_t *tree_null(Planner *p);
json_t *tree_bigint(Planner *p, const json_t *value); /* cast */
json_t *tree_star(Planner *p);
/* COLUMNS(...): those whose names, in lower case, are in the list, or are not. */
json_t *tree_columns(Planner *p, const json_t *names, bool except);
json_t *tree_number(Planner *p, int value);
json_t *tree_table(Planner *p, const char *name, const char *alias);
json_t *tree_subquery(Planner *p, const json_t *query, const char *alias);
json_t *tree_select(Planner *p, const json_t *list, const json_t *from);
json_t *tree_union_all(Planner *p, const json_t *left, const json_t *right);
json_t *tree_and(Planner *p, const json_t *left, const json_t *right); /* left may be NULL */
/* A copy of an expression with another alias. */
json_t *tree_named(Planner *p, const json_t *expression, const char *alias);
/* Equal but for places and aliases. Names of columns match without case; one that is qualified with a relation of the
 * scope is the one that is not. */
bool tree_equal(const Scope *scope, const json_t *a, const json_t *b);
/* The children of an object or array, in order. */
typedef struct TreeChildren {
    const json_t *node;
    size_t i;
    void *at;
} TreeChildren;
static inline TreeChildren tree_children(const json_t *node)
{
    return (TreeChildren){.node = node};
}
json_t *tree_next(TreeChildren *children); /* NULL behind the last */
bool tree_any(const json_t *node, bool into_subqueries, bool (*test)(const json_t *));
bool is_column_ref(const json_t *node);
bool is_window_time(const json_t *node);
/* Field i of a COLUMN_REF's name; NULL behind the last. */
const char *column_part(const json_t *column, size_t i);
size_t column_parts(const json_t *column);
/* In lower case. */
json_t *json_lower(const char *name);
/* Texts; window_time() is spelled out. */
Status planner_print(Planner *p, const json_t *query, const char **out, Error *err);
Status planner_print_expression(Planner *p, const json_t *expression, const char **out, Error *err);
/* A text of an expression over the scope. */
typedef Status Printer(Planner *p, const Scope *scope, const json_t *expression, Text *out, Error *err);
/* For people: without the alias of the relation where there is one relation only. */
Printer planner_print_plain;

/* ---- meaning (stateful_meaning.c) ---- */

/* What an expression over the scope means, as a tree that is equal for equal meaning; NULL when that is not known. */
json_t *meaning_of(Planner *p, const Scope *scope, const json_t *expression);
/* Of columns that may be the one or the other. */
json_t *meaning_either(Planner *p, json_t *a, json_t *b);
/* The text of it, for fingerprints. */
Printer meaning_print;

#endif
