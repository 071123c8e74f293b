/* Inside the operator for GROUP BY: what its files share; op_aggregate.c tells the story. */
#ifndef FRESHET_STREAM_OP_AGGREGATE_INT_H
#define FRESHET_STREAM_OP_AGGREGATE_INT_H

#include "stream/aggregate.h"
#include "stream/op_text.h"
#include "stream/operator.h"
#include "stream/reason.h"
#include "stream/window.h"

enum { NO_KEY = SIZE_MAX };

typedef struct KeyColumn {
    const char *name;     /* "k0"; "g" */
    const DuckType *type; /* of the input */
    const char *result;   /* SQL type in the output */
} KeyColumn;

typedef struct Aggregate {
    StreamOperator base;
    DuckConn *conn;
    Arena *arena;
    AggregateLayout *layout;
    SqlOutputMode mode;
    KeyColumn *keys; /* of the state: at least one */
    size_t n_keys;
    bool grouped;      /* they are those of the step; otherwise there is one group, g = 0 */
    size_t window_key; /* NO_KEY: none */
    Window window;
    const char *zone;  /* windows are days of this time zone: panes, their ends, and the watermarks that these
                                     are compared with, are local time there; NULL: UTC */
    size_t closer;     /* the key whose time closes groups; NO_KEY: rows have no `expires` */
    const char *range; /* column of the state in whose order rows lie, roughly; NULL: none */
    char input[64], partials[64]; /* temporary tables of a batch */
    bool raw;                     /* `input` is as the step has it, for the rejected rows; otherwise it is a source */
    int64_t evicted_us;           /* the last batch let go up to here */
} Aggregate;

/* The open groups of a batch's partial results. */
typedef struct Touched {
    int64_t groups;
    bool bounded; /* `range` of all of them lies between lo and hi */
    int64_t lo, hi;
} Touched;

/* ---- op_aggregate_text.c: pieces of statements ---- */

/* Do rows of the state have `expires`? */
bool groups_leave(const Aggregate *op);

/* Are groups in windows that overlap, so that the state keeps panes? */
bool groups_slide(const Aggregate *op);

/* Are windows days of a time zone that close by themselves? */
bool groups_close_locally(const Aggregate *op);

/* The time of key `i` of the input in microseconds: a BIGINT expression. */
void groups_append_time(const Aggregate *op, size_t i, Text *out);

/* "k0, k1", of a row "o." or "". */
void groups_append_keys(const Aggregate *op, const char *row, Text *out);

/* "a.k0 = b.k0 AND ..."; null keys are equal. */
void groups_append_match(const Aggregate *op, const char *a, const char *b, Text *out);

/* Only the part of the state the batch is about: DuckDB skips the rest by its zone maps. */
void groups_append_bounds(const Aggregate *op, const Touched *touched, const char *row, Text *out);

/* The step's input with windows as starts of panes, as a relation. */
void groups_append_source(const Aggregate *op, bool kept, Text *out);

/* ", <when a row of the state leaves, from its keys> AS expires" */
void groups_append_expires(const Aggregate *op, Text *out);

/* The condition for rows with keys and `expires` to count: they have an event time and are not late. */
void groups_append_open(const Aggregate *op, const StreamOperatorBatch *batch, Text *out);

/* Rows of `relation` with keys, once for every window they are in that ends after `after_us` (INT64_MIN: any) and at
 * or before `until_us` (INT64_MAX: any); the window's start replaces the pane's, which becomes `pane`. A relation. */
void groups_append_fan(const Aggregate *op, const char *relation, int64_t after_us, int64_t until_us, Text *out);

/* ", v0, v1" of a row "n." or "". */
void groups_append_values(const AggregateSide *side, const char *row, Text *out);

/* ---- op_aggregate_batch.c: a batch goes into the state ---- */

/* The input, where more than one statement reads it, as a temporary table. */
Status groups_keep_input(Aggregate *op, DuckConn *conn, Error *err);

/* The partial results: keys, n rows, s0.., [expires], late ones too. */
Status groups_make_partials(Aggregate *op, DuckConn *conn, bool kept, Error *err);

/* Counts what is late or has no time, and finds where the open groups lie. */
Status groups_look_at_partials(Aggregate *op, DuckConn *conn, const StreamOperatorBatch *batch, Touched *touched,
                               Error *err);

/* Rows that were set aside, as JSON: from the input that was kept. */
Status groups_hand_over_rejected(Aggregate *op, DuckConn *conn, const StreamOperatorBatch *batch, Error *err);

/* Adds the batch's values that are new to side i. */
Status groups_add_values(Aggregate *op, DuckConn *conn, size_t i, const StreamOperatorBatch *batch,
                         const Touched *touched, Error *err);

/* Merges the open partial results into the groups. */
Status groups_merge(Aggregate *op, DuckConn *conn, const StreamOperatorBatch *batch, const Touched *touched,
                    Error *err);

/* ---- op_aggregate_output.c: what it puts out ---- */

/* Makes the step's output. */
Status groups_put_out(Aggregate *op, DuckConn *conn, const StreamOperatorBatch *batch, const Touched *touched,
                      Error *err);

#endif
