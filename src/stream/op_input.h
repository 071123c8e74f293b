/* The input of an operator, read once a batch: rows whose event time lies behind the watermark are set aside and
 * counted. A row without event time is not late.
 *
 *   op_input_begin   gives the rows that count, as a relation to stand after FROM
 *   ...              one statement reads it, once
 *   op_input_end     gives what was seen meanwhile, and adds late rows, and those that lack an event time, to the batch's
 *                    table of rejected ones
 *   op_input_drop    the input is not looked at any more
 *
 * The rows go by once, so they are counted while they do (freshet_count), where some may be left out; only where
 * rejected rows are kept the input is laid down first, in the temporary table `staged`.
 */
#ifndef FRESHET_STREAM_OP_INPUT_H
#define FRESHET_STREAM_OP_INPUT_H

#include "base/text.h"
#include "duck/function.h"
#include "stream/operator.h"
#include "stream/reason.h"

typedef struct OpInput {
    const char *select;          /* borrowed */
    const char *event_time;      /* column of `select`, borrowed; NULL: no row is late */
    bool needs_time;             /* rows without event time are left out; they count as read */
    bool counts;                 /* the rows are wanted even where all of them count */
    const char *staged;          /* name of the temporary table, borrowed */
    const DuckColumnInfo *shown; /* columns a rejected row shows, borrowed */
    size_t n_shown;
    Duck *duck;
    DuckCounter *counter; /* passed: rows that count, failed: late ones */
    uint64_t slot;
} OpInput;

/* The fields up to n_shown are the caller's. */
void op_input_init(OpInput *input, Duck *duck);
void op_input_fini(OpInput *input); /* a zeroed one is fine */

Status op_input_begin(OpInput *input, DuckConn *conn, const StreamOperatorBatch *batch, Text *relation, Error *err);
/* *rows: how many were read; -1: they were not counted, as none could be left out. */
Status op_input_end(OpInput *input, DuckConn *conn, const StreamOperatorBatch *batch, int64_t *rows, int64_t *late,
                    Error *err);
Status op_input_drop(const OpInput *input, DuckConn *conn, const StreamOperatorBatch *batch, Error *err);

/* "INSERT INTO <rejected> SELECT <reason>, <the row as JSON>", to be followed by FROM something with the columns that
 * are shown; and the condition for a row not to be late. */
void op_input_append_rejected(const OpInput *input, const StreamOperatorBatch *batch, StreamReason reason, Text *sql);
void op_input_append_in_time(const OpInput *input, const StreamOperatorBatch *batch, Text *sql);

#endif
