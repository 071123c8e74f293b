#include "stream/aggregate_functions.h"

#include <string.h>

enum { INPUT_EXACT = 1, INPUT_DOUBLE = 2, INPUT_OTHER = 4, INPUT_ANY = 7 };

static const AggregateRecipe RECIPES[] = {
#define RECIPE(name, inputs, final, ...) {name, inputs, final, {__VA_ARGS__}},
#include "stream/aggregate_functions.def"
};

typedef struct NamePair {
    const char *name, *value;
} NamePair;

static const NamePair ALIASES[] = {
#define ALIAS(name, of) {name, of},
#include "stream/aggregate_functions.def"
};

static const NamePair REFUSALS[] = {
#define REFUSED(name, hint) {name, hint},
#include "stream/aggregate_functions.def"
};

static const struct {
    const char *name;
    AggregateTrait trait;
} TRAITS[] = {
#define TRAIT(name, trait) {name, AGGREGATE_##trait},
#include "stream/aggregate_functions.def"
};

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static const char *lookup(const NamePair *pairs, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(pairs[i].name, name) == 0) {
            return pairs[i].value;
        }
    }
    return NULL;
}

const char *aggregate_canonical(const char *function)
{
    const char *name = lookup(ALIASES, LENGTH(ALIASES), function);
    return name ? name : function;
}

const char *aggregate_refusal(const char *canonical)
{
    return lookup(REFUSALS, LENGTH(REFUSALS), canonical);
}

bool aggregate_has(const char *canonical, AggregateTrait trait)
{
    for (size_t i = 0; i < LENGTH(TRAITS); i++) {
        if (TRAITS[i].trait == trait && strcmp(TRAITS[i].name, canonical) == 0) {
            return true;
        }
    }
    return false;
}

/* By what sum() makes of it: something exact, or a DOUBLE. */
static unsigned input_of(const DuckType *type)
{
    if (!type) {
        return INPUT_OTHER;
    }
    switch (type->id) {
    case DUCK_BOOLEAN:
    case DUCK_TINYINT:
    case DUCK_SMALLINT:
    case DUCK_INTEGER:
    case DUCK_BIGINT:
    case DUCK_HUGEINT:
    case DUCK_UTINYINT:
    case DUCK_USMALLINT:
    case DUCK_UINTEGER:
    case DUCK_UBIGINT:
    case DUCK_DECIMAL: return INPUT_EXACT;
    case DUCK_UHUGEINT:
    case DUCK_FLOAT:
    case DUCK_DOUBLE: return INPUT_DOUBLE;
    default: return INPUT_OTHER;
    }
}

const AggregateRecipe *aggregate_recipe(const char *canonical, const DuckType *first_argument)
{
    unsigned input = input_of(first_argument);

    for (size_t i = 0; i < LENGTH(RECIPES); i++) {
        if (strcmp(RECIPES[i].name, canonical) == 0 && (RECIPES[i].inputs & input)) {
            return &RECIPES[i];
        }
    }
    return NULL;
}

size_t aggregate_recipe_columns(const AggregateRecipe *recipe)
{
    size_t n = 0;

    while (n < RECIPE_COLUMNS_MAX && recipe->columns[n].partial) {
        n++;
    }
    return n;
}

size_t aggregate_recipe_arguments(const AggregateRecipe *recipe)
{
    const char *partial = recipe->columns[0].partial;

    return strstr(partial, "$1") ? 2 : strstr(partial, "$0") ? 1 : 0;
}

/* The column a sign names: this one, or the one whose number follows. */
static const char *append_column(const char *after, const char *row, size_t self, const RecipeNames *names, Text *out)
{
    if (*after >= '0' && *after < '0' + RECIPE_COLUMNS_MAX) {
        self = (size_t)(*after++ - '0');
    }
    text_printf(out, "%ss%zu", row, names->columns[self]);
    return after;
}

void aggregate_expand(const char *template, size_t self, const RecipeNames *names, Text *out)
{
    for (const char *p = template; *p;) {
        if (*p != '$') {
            text_append_char(out, *p++);
            continue;
        }
        switch (p[1]) {
        case '0':
        case '1':
            text_append(out, names->arguments[p[1] - '0']);
            p += 2;
            break;
        case 'F':
            if (names->filter) {
                text_printf(out, " FILTER (WHERE %s)", names->filter);
            }
            p += 2;
            break;
        case 'A':
            if (names->filter) {
                text_printf(out, " AND %s", names->filter);
            }
            p += 2;
            break;
        case 's': p = append_column(p + 2, names->state, self, names, out); break;
        case 'o': p = append_column(p + 2, names->old_row, self, names, out); break;
        default: p = append_column(p + 2, names->new_row, self, names, out); break;
        }
    }
}
