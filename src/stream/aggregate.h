/* The aggregates of a step as columns of its state.
 *
 * An aggregate with a recipe is kept as a few columns of its group, s<first>.. ; any other as the values it is over, in
 * a side relation, from which DuckDB's own aggregate gives the answer when a group is put out. DISTINCT needs its
 * values too, each once; with a recipe its columns are then brought on by the values that are new. Aggregates over the
 * same values share a side, and those that keep the same columns share them: avg(x) needs nothing beside sum(x) and
 * count(x). What a state means are its columns and sides, not the calls: a query with other calls over the same ones
 * goes on with it.
 *
 *   side, each value once     keys, v0.., [expires]           rows are only added
 *   side, with multiplicity   keys, v0.., n, [expires]
 *
 * The texts written here go into the statements of the operators, which know about keys, windows and sessions.
 */
#ifndef FRESHET_STREAM_AGGREGATE_H
#define FRESHET_STREAM_AGGREGATE_H

#include "base/mem.h"
#include "sql/stateful.h"
#include "stream/aggregate_functions.h"
#include "stream/operator.h"
#include "stream/state.h"

enum { AGGREGATE_NO_SIDE = -1 };

typedef struct AggregateSide {
    const size_t *columns; /* v<i> is a<columns[i]> of the input */
    const size_t *same;    /* a<same[i]> is the first argument that is written as a<i> is: `columns` has only such */
    size_t n_columns;
    const DuckColumnInfo *values; /* v0.. with their types */
    bool has_filter;
    size_t filter;
    bool once;         /* each value once; otherwise with its number, n */
    bool keeps_nulls;  /* a value whose first column is null counts */
    const char *means; /* in the user's words */
} AggregateSide;

typedef struct AggregatePlan {
    const SqlAggregate *call;
    size_t number; /* of the call in the step: its answer is r<number> */
    const char *canonical;
    const AggregateRecipe *recipe;      /* NULL: DuckDB's aggregate over the side's values */
    size_t columns[RECIPE_COLUMNS_MAX]; /* s<columns[i]>, which other calls may have too */
    int side;                           /* AGGREGATE_NO_SIDE: none */
    const char *result;                 /* SQL type of what DuckDB's aggregate gives */
    DuckColumnInfo output;              /* r<number> */
} AggregatePlan;

/* A column of the state, and the call that brings it on: one of those that have it. */
typedef struct AggregatePart {
    size_t plan, column; /* of its recipe */
    const char *means;   /* equal for calls that keep the same: the partial result in the user's words, and more */
} AggregatePart;

typedef struct AggregateLayout {
    const SqlStep *step;
    const DuckColumnInfo *input; /* k0.., a0.., f0.., and what may follow */
    size_t n_input;
    AggregatePlan *plans;    /* one per aggregate of the step, in the order of what they mean */
    DuckColumnInfo *columns; /* s0.., in the order of what they mean */
    AggregatePart *parts;    /* what they are */
    size_t n_columns;
    AggregateSide *sides; /* in that order too */
    size_t n_sides;
} AggregateLayout;

/* How DISTINCT with a recipe is kept: its columns can follow the new values only where a value that is new to a row of
 * the state is new to the group that is put out. */
typedef enum AggregateDistinct { DISTINCT_FOLLOWS, DISTINCT_AT_OUTPUT } AggregateDistinct;

/* Describes the input and lays the aggregates out; everything lives in `arena`. E_SQL_BIND when the input or a call
 * does not bind, E_PIPELINE_STATEFUL for an aggregate whose answer would not be the same in every run. */
Status aggregate_layout_make(DuckConn *conn, const SqlStep *step, AggregateDistinct distinct, Arena *arena,
                             AggregateLayout **out, Error *err);

/* What the columns are, and what each side is: texts that are equal where the state is. */
const char *aggregate_columns_mean(const AggregateLayout *layout, Arena *arena);
const char *aggregate_side_means(const AggregateLayout *layout, size_t side);
/* Whose state it is and what it means: the step, and `closing`, when its groups go. */
void aggregate_state_spec(const StreamOperatorSpec *spec, const char *closing, Arena *arena, StateSpec *state);

/* What s0.. are to people: the calls. `out` has room for n_columns. */
void aggregate_show(const AggregateLayout *layout, Arena *arena, StateShown *out);

/* "to_json({'product': k1, ...})": a row of the input as people know it. */
void aggregate_append_row(const AggregateLayout *layout, Text *out);

/* ", <partial> AS s0, ..." over the columns of the input. DISTINCT ones: as over no rows. */
void aggregate_append_partials(const AggregateLayout *layout, Text *out);
/* ", <partial> AS s3, ..." of the recipes that follow a side, over its columns; nothing when no recipe does. */
void aggregate_append_side_partials(const AggregateLayout *layout, size_t side, Text *out);
/* ", <old and new> AS s0" or, with `sets`, "s0 = <old and new>, ..."; rows are called `old_row` and `new_row`
 * ("o.", "n."). */
void aggregate_append_merges(const AggregateLayout *layout, const char *old_row, const char *new_row, bool sets,
                             Text *out);
/* ", <combined> AS s0, ..." over rows of state that are one group; `order`: a column that tells them apart. A SELECT
 * around it takes the columns of the state from what that gives: ", s0, ..." */
void aggregate_append_combines(const AggregateLayout *layout, const char *order, Text *out);
void aggregate_append_combined(const AggregateLayout *layout, Text *out);
/* ", <final> AS r0, ..." over the columns of state of the relation `groups` ("g.") and, for what is computed from side
 * i, over relations called side<i> that have r<j> of aggregate_append_side_finals, left joined. */
void aggregate_append_finals(const AggregateLayout *layout, const char *groups, Text *out);
/* ", <call> AS r3, ..." over rows of side `side`, each as often as it counts; nothing when there is none. */
void aggregate_append_side_finals(const AggregateLayout *layout, size_t side, Text *out);
/* Does some aggregate's answer come from the side's values at output? */
bool aggregate_side_is_read(const AggregateLayout *layout, size_t side);
/* Do columns of state follow the side's new values? */
bool aggregate_side_is_followed(const AggregateLayout *layout, size_t side);
/* "a1 AS v0, ..." ; and the condition for rows of the input to count: "f0 AND a1 IS NOT NULL", or "true". */
void aggregate_append_side_values(const AggregateLayout *layout, size_t side, Text *out);
void aggregate_append_side_condition(const AggregateLayout *layout, size_t side, Text *out);

#endif
