/* Aggregates that can be kept as plain columns of a state, as templates of SQL text: see aggregate_functions.def. */
#ifndef FRESHET_STREAM_AGGREGATE_FUNCTIONS_H
#define FRESHET_STREAM_AGGREGATE_FUNCTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "duck/type.h"

enum { RECIPE_COLUMNS_MAX = 6 };

typedef struct RecipeColumn {
    const char *partial, *merge, *combine;
} RecipeColumn;

typedef struct AggregateRecipe {
    const char *name;
    unsigned inputs;
    const char *final;
    RecipeColumn columns[RECIPE_COLUMNS_MAX];
} AggregateRecipe;

/* Arguments the recipe is for: 0 to 2. */
size_t aggregate_recipe_arguments(const AggregateRecipe *recipe);
size_t aggregate_recipe_columns(const AggregateRecipe *recipe);

/* DuckDB's own name of an aggregate with several. */
const char *aggregate_canonical(const char *function);
/* The recipe of a canonical name for a first argument of this type (NULL: no argument); NULL: none, the values have to
 * be kept. */
const AggregateRecipe *aggregate_recipe(const char *canonical, const DuckType *first_argument);
/* Why a canonical name has no answer that is the same in every run without ORDER BY: what to do instead; NULL: it
 * has. */
const char *aggregate_refusal(const char *canonical);

typedef enum AggregateTrait {
    AGGREGATE_IDEMPOTENT = 1,
    AGGREGATE_CHOOSES = 2,
    AGGREGATE_UNSORTED = 4,
    AGGREGATE_SKIPS_NULLS = 8,
} AggregateTrait;
bool aggregate_has(const char *canonical, AggregateTrait trait);

/* What the signs of a template stand for. */
typedef struct RecipeNames {
    const char *const *arguments;
    const char *filter; /* a condition; NULL: none */
    const char *state;  /* what $s, $o, $n are columns of: "", "g." */
    const char *old_row, *new_row;
    const size_t *columns; /* of the state, by their number in the recipe: s<columns[i]> */
} RecipeNames;

/* Writes the template, of column `self` of the recipe where that matters. */
void aggregate_expand(const char *template, size_t self, const RecipeNames *names, Text *out);

#endif
