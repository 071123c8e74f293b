#include "sql/functions.h"

#include "base/text.h"

#define BATCH_TIME SQL_BATCH_TIME

#define RANDOM_FUNCTION(name)
#define TIME_FUNCTION(name, arguments, head, tail)
#define TIME_WORD(word, expression)
#define AGGREGATE_FUNCTION(name) name,
static const char *const AGGREGATES[] = {
#include "sql/functions.def"
};
#undef AGGREGATE_FUNCTION
#undef RANDOM_FUNCTION

#define AGGREGATE_FUNCTION(name)
#define RANDOM_FUNCTION(name) name,
static const char *const RANDOMS[] = {
#include "sql/functions.def"
};
#undef RANDOM_FUNCTION
#undef TIME_FUNCTION
#undef TIME_WORD

#define RANDOM_FUNCTION(name)
#define TIME_FUNCTION(name, arguments, head, tail) {name, arguments, head, tail},
#define TIME_WORD(word, expression)                {word, -1, expression, ""},
static const SqlTimeFunction TIMES[] = {
#include "sql/functions.def"
};

static bool is_one_of(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_ieq(names[i], name)) {
            return true;
        }
    }
    return false;
}

bool sql_function_is_aggregate(const char *name)
{
    return is_one_of(AGGREGATES, sizeof AGGREGATES / sizeof *AGGREGATES, name);
}

bool sql_function_is_random(const char *name)
{
    return is_one_of(RANDOMS, sizeof RANDOMS / sizeof *RANDOMS, name);
}

const SqlTimeFunction *sql_function_time(const char *name, int arguments)
{
    for (size_t i = 0; i < sizeof TIMES / sizeof *TIMES; i++) {
        if (TIMES[i].arguments == arguments && str_ieq(TIMES[i].name, name)) {
            return &TIMES[i];
        }
    }
    return NULL;
}
