/* The rows of INSERT ... VALUES, to find the word DEFAULT among them, which DuckDB takes only for its own tables, and
 * text in quotes, which is of the type that is wanted where it stands. */
#ifndef FRESHET_SQL_VALUES_H
#define FRESHET_SQL_VALUES_H

#include "base/mem.h"
#include "sql/source_text.h"

typedef struct SqlValue {
    const char *text; /* as written; NULL: DEFAULT */
    bool is_string;   /* one string literal */
} SqlValue;

typedef struct SqlValues {
    const SqlValue *items; /* row by row */
    size_t n_rows, n_columns;
    bool any_default, any_string;
} SqlValues;

/* Cuts VALUES (a, b), (c, d), .... False when the query is something else, goes on behind the last row, or has rows of
 * different lengths: then it is DuckDB's to judge. Lives in `arena`. */
bool sql_values_parse(const SqlText *query, Arena *arena, SqlValues *out);

/* Is the expression one string literal and nothing else? */
bool sql_is_string(const char *expression);

#endif
