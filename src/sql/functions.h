/* What freshet has to know of DuckDB's functions; the table is functions.def. */
#ifndef FRESHET_SQL_FUNCTIONS_H
#define FRESHET_SQL_FUNCTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* The micro-batch's time as the rewritten text reads it. The cast keeps the type when the variable is not set. */
#define SQL_BATCH_TIME "CAST(getvariable('freshet_batch_time') AS TIMESTAMPTZ)"

typedef struct SqlTimeFunction {
    const char *name;
    int arguments;           /* -1: a word without brackets */
    const char *head, *tail; /* see functions.def */
} SqlTimeFunction;

bool sql_function_is_aggregate(const char *name);
bool sql_function_is_random(const char *name);
/* The time function of that name and number of arguments, -1 for a word without brackets; NULL when there is none. */
const SqlTimeFunction *sql_function_time(const char *name, int arguments);

#endif
