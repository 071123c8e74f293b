/* A streaming query that remembers, cut into steps.
 *
 * The tree of the query (DuckDB's own, from json_serialize_sql) is cut at the nodes that must remember rows of a
 * stream: GROUP BY and aggregates, DISTINCT, joins of streams. Each cut is a step; what lies between two cuts stays
 * ordinary SQL:
 *
 *   leaf relations --> step 0 --> step 1 --> ... --> body --> sink
 *
 * Texts of a plan read the leaves by their placeholders and earlier steps by the names of their outputs; none starts
 * with WITH, so each can stand as a sub-query. The planner knows no types: it says what to compute, the operators ask
 * DuckDB for the types of their inputs. Nodes it does not know are refused by name.
 *
 * What the steps give to the texts after them (`name` is the step's, "freshet_step_<i>"):
 *
 *   AGGREGATE, SESSION   <name>: columns k0..k<n_keys-1>, then r0..r<n_aggregates-1>; a window key is a
 *                        STRUCT("start", "end") of the key column's own type; bodies above never see partial results
 *   DISTINCT             <name>: the output columns of the input (no d<i>, t0), those of its rows that are new
 *   JOIN                 <name>_<side>_old | _new | _all | _gone | _none: rows of a side with the side's columns:
 *                        from before this batch, of this batch, both, evicted without ever matching, never any.
 *                        They may have a further column freshet_row, which the texts above do not mean.
 *                        The text above is a UNION ALL over the pairs that are new (for sides 0 and 1: new x all,
 *                        old x new, and for outer sides gone x none).
 *
 * A key without window may be a window of a step below, a STRUCT("start", "end"): as event time it counts by its end.
 */
#ifndef FRESHET_SQL_STATEFUL_H
#define FRESHET_SQL_STATEFUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "duck/duck.h"

/* A relation of the query: a table that DuckDB sees under the placeholder's name. */
typedef struct SqlLeaf {
    const char *placeholder;
    bool stream;
    const char *event_time; /* column that carries the watermark; NULL without WATERMARK */
    int64_t delay_us;
} SqlLeaf;

typedef enum SqlOutputMode { SQL_OUTPUT_APPEND, SQL_OUTPUT_UPDATE, SQL_OUTPUT_COMPLETE } SqlOutputMode;

/* How event time closes what a step remembers. */
typedef struct SqlWindow {
    int64_t size_us, slide_us, offset_us; /* tumbling: slide = size; 0 <= offset < slide */
    bool days; /* size and slide are written in days: where the time zone has its own, they are meant */
} SqlWindow;

typedef struct SqlKey {
    bool is_window; /* the input's column is the event time; the step makes `window` of it */
    SqlWindow window;
    bool is_event_time; /* closes groups: a window over a watermark's column, or that column itself */
    const char *text;   /* for people: "product_id" */
} SqlKey;

typedef struct SqlOrder {
    size_t column; /* a<i> of the input */
    bool descending, nulls_first;
} SqlOrder;

/* One aggregate call: name, a<first>..a<first+n_arguments-1> of the input as arguments. */
typedef struct SqlAggregate {
    const char *function; /* DuckDB's name, lower case: "sum", "count_star", "arg_max" */
    size_t first, n_arguments;
    const char *const *constants; /* per argument: SQL text when it is a constant (quantiles, separators), else NULL */
    bool distinct;
    bool has_filter;
    size_t filter; /* f<i> of the input */
    const SqlOrder *orders;
    size_t n_orders;
    const char *text;    /* as the user wrote it: for messages */
    const char *meaning; /* equal for equal meaning, however it is written: for fingerprints. NULL: text */
} SqlAggregate;

typedef enum SqlStepKind { SQL_STEP_AGGREGATE, SQL_STEP_SESSION, SQL_STEP_DISTINCT, SQL_STEP_JOIN } SqlStepKind;

typedef enum SqlJoinKind { SQL_JOIN_INNER, SQL_JOIN_LEFT, SQL_JOIN_RIGHT, SQL_JOIN_FULL, SQL_JOIN_SEMI } SqlJoinKind;

/* One side of a join of streams. */
typedef struct SqlJoinSide {
    const char *input;      /* SELECT: its rows, one-sided predicates of an inner join applied */
    const char *alias;      /* what `pairs` calls it */
    const char *event_time; /* column of the input that carries the watermark; NULL: none */
    /* When no partner can come any more, with W the watermark: event_time + slack_us <= W. */
    bool bounded;
    int64_t slack_us;
    bool outer; /* rows without a partner are output when they leave */
    bool once;  /* SEMI, left side: output at the first match only */
} SqlJoinSide;

typedef struct SqlStep {
    SqlStepKind kind;
    const char *name;
    const char *fingerprint; /* what the state means: text, equal for equal meaning, whatever names and filters above */
    const char *meaning;     /* of that what calls of aggregates do not change; NULL: all */
    const char *title;       /* for people: "window(event_ts, 1 hour), product_id" */

    /* AGGREGATE, SESSION: SELECT k0.., a0.., f0.. ; for SESSION the session key's column is the event time and `gap` is
     * a further column g0 (INTERVAL) of the input. DISTINCT: SELECT with the columns of the output, then d0.. (keys),
     * then t0 (event time, when there is one). JOIN: NULL, the sides have theirs. */
    const char *input;
    SqlKey *keys;
    size_t n_keys;
    size_t session_key; /* SESSION: which of the keys */
    SqlAggregate *aggregates;
    size_t n_aggregates;
    size_t n_arguments, n_filters;
    const char *const *input_texts;    /* what k0.., a0.., f0.. are, for people; NULL for one that is of no interest */
    const char *const *input_meanings; /* the same for fingerprints; NULL where the texts are */
    /* Names in GROUP BY that were taken for aliases of the list, and SELECTs of columns of these names: where one binds,
     * the column is meant, as DuckDB has it, and the step is not what was asked for. */
    const char *const *aliases, *const *shadowed;
    size_t n_aliases;
    bool watermarked; /* late rows are set aside and state is evicted: some key, or t0, carries the watermark */

    /* DISTINCT. Where the query does not name its columns, d0 is the row as a whole, a struct. */
    size_t n_distinct;                    /* keys d0..; the output columns are all before them */
    const char *const *distinct_texts;    /* what they are, for people */
    const char *const *distinct_meanings; /* the same for fingerprints; NULL where the row as a whole is one */
    bool whole_rows;        /* SELECT DISTINCT without ON: the keys are the output columns, however they are written */
    bool has_event_time;    /* t0 is there */
    bool event_time_is_key; /* t0 is one of the keys: they leave behind the watermark */
    bool within_watermark;  /* keys leave `delay_us` after their first row's event time */
    int64_t delay_us;

    /* JOIN */
    SqlJoinKind join;
    SqlJoinSide *sides;
    size_t n_sides; /* more than 2: inner only */
    /* Which rows meet: SELECT <the freshet_row of each side, in order> FROM ... ON ...; its relations are written {0},
     * {1}, ..., to be replaced by a relation that has the side's columns and freshet_row. NULL: an inner join that
     * remembers all rows for ever. */
    const char *pairs;
} SqlStep;

typedef struct SqlStatefulPlan {
    Arena *arena;
    SqlStep *steps; /* in the order they run */
    size_t n_steps;
    const char *body;   /* SELECT over leaves and outputs of steps: the flow's rows */
    SqlOutputMode mode; /* that was asked for; APPEND in the place of UPDATE when the rows are no groups */
    /* UPDATE: the rows are groups, to be upserted by these columns of the body; without any, in the place of the one
     * row there is. `vanished`: when something filters groups, a SELECT of just those columns for the touched groups
     * that do not pass, to be deleted; NULL otherwise. */
    bool upserts; /* mode is UPDATE */
    const char *const *key_columns;
    size_t n_key_columns;
    const char *vanished;
    bool uses_random;
    bool
        narrows; /* streams are joined with tables, or compared with sub-queries: DuckDB lets those pick rows in files */
} SqlStatefulPlan;

typedef struct SqlStatefulOptions {
    SqlOutputMode mode;
    bool dedupe_within_watermark;
} SqlStatefulOptions;

/* Cuts `sql`, one SELECT, whose relations are the placeholders of `leaves` (any other name is DuckDB's). A query
 * without anything to remember gives a plan without steps. E_PIPELINE_STATEFUL for what cannot run incrementally, with
 * the smallest change that makes it legal as the hint; *offset is then the place in `sql`, -1 when unknown. */
Status sql_stateful_plan(DuckConn *conn, const char *sql, const SqlLeaf *leaves, size_t n_leaves,
                         const SqlStatefulOptions *options, SqlStatefulPlan **out, int64_t *offset, Error *err);
void sql_stateful_plan_free(SqlStatefulPlan *plan);

/* The steps as lines for people, for `freshet check`. */
void sql_stateful_plan_print(const SqlStatefulPlan *plan, Text *out);
void sql_duration_print(int64_t us, Text *out); /* "1 hour 30 minutes" */

#endif
