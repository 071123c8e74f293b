/* Small things operators need for statements they put together and for the event time in their columns. */
#ifndef FRESHET_STREAM_OP_TEXT_H
#define FRESHET_STREAM_OP_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "duck/duck.h"
#include "duck/type.h"

/* Runs the statement and frees its text. */
Status op_run_text(DuckConn *conn, Text *sql, Error *err);
/* Rows of a table: DuckDB knows without a look at them. */
Status op_count_rows(DuckConn *conn, const char *table, int64_t *rows, Error *err);

/* Types epoch_us() takes as points in time. */
bool op_type_is_time(const DuckType *type);
/* What a window of an earlier step is: STRUCT("start", "end"), whose event time is its end. */
bool op_type_is_window(const DuckType *type);
/* STRUCT("start", "end") for windows over a column of this type, of times: days do not hold windows of hours. */
void op_append_window_type(const DuckType *time, Text *out);
/* CAST({'start': <microseconds>, 'end': <microseconds>} AS <type>), with the function that makes a time of them. */
void op_append_window(const char *make, const char *start_us, const char *end_us, const char *type, Text *out);
/* The one for microseconds since 1970 UTC in windows over a column of this type. */
const char *op_make_time(const DuckType *time);

#endif
