/* An aggregation while it becomes a step (stateful_aggregate.c) and its expressions are rewritten over the step's
 * output (stateful_rewrite.c). */
#ifndef FRESHET_SQL_STATEFUL_AGGREGATE_H
#define FRESHET_SQL_STATEFUL_AGGREGATE_H

#include "sql/stateful_int.h"

/* A grouping key while it is made. */
typedef struct Key {
    const json_t *expression; /* as it stands in the query */
    const json_t *input;      /* what the step's input has for it */
    Column column;            /* of the output */
    SqlKey key;
    bool is_session;
} Key;

/* An aggregate while it is made. */
typedef struct Call {
    const json_t *expression;
    SqlAggregate aggregate;
} Call;

typedef struct Aggregation {
    Planner *p;
    json_t *select;
    const Scope *scope;
    const char *step;            /* its name */
    SqlList keys;                /* Key */
    SqlList calls;               /* Call */
    SqlList orders;              /* of one call: SqlOrder */
    json_t *arguments, *filters; /* a0.. and f0.. */
    const json_t *sets;          /* GROUPING SETS: lists of places in GROUP BY; NULL when there is one */
    size_t *group_keys;          /* the key of each place */
    json_t *aliases;             /* of the list, that GROUP BY names */
    const json_t *gap;
    bool lambdas;       /* the arguments being rewritten may be lambdas */
    json_t *list;       /* rewritten, as far as it is */
    const json_t *from; /* items of the list that may be named: those before this one; NULL: all */
} Aggregation;

/* The select list over the step, in a->list, every item with the name DuckDB would give it; `out` is what is known of
 * them. */
Status rewrite_list(Aggregation *a, Relation *out, Error *err);
/* ORDER BY of `target`. */
Status rewrite_modifiers(Aggregation *a, json_t *target, const Relation *result, Error *err);
/* HAVING, QUALIFY: null when there is none. */
Status rewrite_clause(Aggregation *a, const char *clause, json_t **out, Error *err);
/* Is the key one of a grouping set? */
bool set_has(const Aggregation *a, const json_t *set, size_t key);
/* A call of an aggregate as steps know it (stateful_call.c): the call itself, another one, or an expression of some. */
Status spell_call(Planner *p, const json_t *call, const json_t **out, Error *err);
/* The name of an item of the list as far as the tree says it; "" for an expression. */
const char *item_name(const json_t *item);

#endif
