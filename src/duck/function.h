/* C functions inside SQL: scalar functions and table functions of ours, over raw vectors.
 *
 * A vector is seen as a DuckColumn: its flat data array, its validity bits and, for nested types, its children. The
 * functions run on DuckDB's worker threads, several at once, so their contexts are read-only or use atomics.
 */
#ifndef FRESHET_DUCK_FUNCTION_H
#define FRESHET_DUCK_FUNCTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "duck/duck.h"
#include "duck/type.h"

enum { DUCK_VECTOR_ROWS = 2048 }; /* rows of one chunk at most */

/* A string of up to 12 bytes lies inside, a longer one behind a pointer: the layout of duckdb_string_t. */
typedef union DuckString {
    struct {
        uint32_t length;
        char prefix[4];
        char *data;
    } pointer;
    struct {
        uint32_t length;
        char data[12];
    } inlined;
} DuckString;

static inline uint32_t duck_string_length(const DuckString *s)
{
    return s->inlined.length;
}
static inline const char *duck_string_data(const DuckString *s)
{
    return s->inlined.length <= sizeof s->inlined.data ? s->inlined.data : s->pointer.data;
}

typedef struct DuckListEntry {
    uint64_t offset, length;
} DuckListEntry;

typedef struct DuckColumn {
    void *vector; /* DuckDB's own handle */
    void *data;   /* flat array of the physical type: int64_t[], DuckString[], DuckListEntry[], ... ; NULL for STRUCT */
    uint64_t *validity; /* bit set = not null; NULL = no nulls (inputs); outputs: always there */
    bool writable;      /* an output */
    bool constant;      /* set by duck_output_constant_text: data and validity no longer mean anything */
    bool referenced;    /* set by duck_result_pass: the same */
} DuckColumn;

/* Views of a column; children of STRUCT by position, of LIST, ARRAY (and of MAP: a list of STRUCT(key, value)) as
 * child 0. Costs about 100 ns: once per call, not per row. Members of a struct that is null need no values: they are
 * made null with it. */
DuckColumn duck_column_child(const DuckColumn *column, size_t index);
/* LIST and MAP outputs: makes room for `rows` child entries (the data pointers of children change: fetch them after
 * this) and sets the count. */
Status duck_column_list_reserve(DuckColumn *column, uint64_t rows, Error *err);
void duck_column_list_set_size(DuckColumn *column, uint64_t rows);
static inline bool duck_column_is_null(const DuckColumn *c, size_t row)
{
    return c->validity != NULL && !(c->validity[row >> 6] >> (row & 63) & 1);
}
static inline void duck_column_set_null(DuckColumn *c, size_t row)
{
    c->validity[row >> 6] &= ~((uint64_t)1 << (row & 63));
}
/* Undoes duck_column_set_null. */
static inline void duck_column_set_valid(DuckColumn *c, size_t row)
{
    c->validity[row >> 6] |= (uint64_t)1 << (row & 63);
}
/* Copies a longer string into the vector's own memory; see duck_column_set_string. VARCHAR must be UTF-8: nobody
 * checks. */
void duck_column_set_long_string(DuckColumn *c, size_t row, const char *s, size_t n);
static inline void duck_column_set_string(DuckColumn *c, size_t row, const char *s, size_t n)
{
    if (n <= 12) {
        DuckString *d = (DuckString *)c->data + row;
        memset(d, 0, sizeof *d);
        d->inlined.length = (uint32_t)n;
        memcpy(d->inlined.data, s, n);
    } else {
        duck_column_set_long_string(c, row, s, n);
    }
}

/* ---- scalar functions ---- */

typedef struct DuckScalarArgs {
    const DuckColumn *inputs;
    size_t n_inputs;
    size_t rows;
    DuckColumn *output;
    void *context; /* as given at registration */
} DuckScalarArgs;

typedef struct DuckScalar {
    const char *name;
    const char *const *parameters; /* SQL types */
    size_t n_parameters;
    const char *returns; /* SQL type */
    bool is_volatile;    /* has effects (counters): never folded, reordered or dropped */
    bool handles_null;   /* false: rows with a NULL argument are null in the output before the call (skip them: what the
                          * inputs hold there is arbitrary) and stay null whatever is written */
    /* An error ends the statement and reaches its caller whole. */
    Status (*call)(const DuckScalarArgs *args, Error *err);
    void *context;
} DuckScalar;

/* Registers on the instance; every connection sees it. The DuckScalar is copied, its context must outlive the instance.
 */
Status duck_register_scalar(Duck *duck, const DuckScalar *scalar, Error *err);
/* Makes the output of this call one constant: the text (a VARCHAR output) or NULL for all rows. Cheap per-file
 * constants. The last thing done to the output. */
void duck_output_constant_text(DuckColumn *output, const char *s, size_t n);
void duck_output_constant_null(DuckColumn *output);

/* ---- table functions: relations made by C ---- */

/* What `SELECT * FROM freshet_relation(<handle>)` reads. One DuckRelation is made per batch (a set of files, the tail
 * of a log, a buffer of messages), opened once per scan, and read by up to `threads_max` threads. count(*) reads the
 * first column, so let it be a cheap one. */
typedef struct DuckRelation {
    const DuckColumnInfo *columns;
    size_t n_columns;
    int64_t rows_estimate; /* -1 unknown */
    int threads_max;       /* how many threads may call next at once */
    /* Starts a scan of the columns `wanted` (indexes into columns, in output order). */
    Status (*open)(void *context, const size_t *wanted, size_t n_wanted, void **scan, Error *err);
    /* A thread's own state, made before its first next(); NULL function: none. */
    Status (*thread_open)(void *scan, void **thread, Error *err);
    /* Fills up to DUCK_VECTOR_ROWS rows of the wanted columns (all validity bits start set); *rows = 0: nothing left
     * for this thread. */
    Status (*next)(void *scan, void *thread, DuckColumn *columns, size_t *rows, Error *err);
    void (*thread_close)(void *thread);
    void (*close)(void *scan);
    void *context;
} DuckRelation;

/* Gives the relation a number for freshet_relation(n). It is copied; context and columns must live until it is dropped.
 */
uint64_t duck_relation_register(Duck *duck, const DuckRelation *relation);
void duck_relation_drop(Duck *duck, uint64_t handle);

/* For `next` of a relation whose rows are those of a query: hands its next rows over as the outputs' own, nothing is
 * copied. The query's columns are of the outputs' types, in their order; more of them are left. *rows = 0 at its
 * end. */
Status duck_result_pass(DuckResult *result, DuckColumn *outputs, size_t n, size_t *rows, Error *err);

/* ---- counters: rows seen while a statement runs, without a second pass ---- */

/* freshet_count(slot, condition) returns the condition (NULL counts as false) and adds to the slot; volatile. */
typedef struct DuckCounter {
    _Atomic int64_t passed, failed;
} DuckCounter;
uint64_t duck_counter_register(Duck *duck, DuckCounter *counter);
void duck_counter_drop(Duck *duck, uint64_t slot);

/* freshet_observe(slot, micros) returns true and takes note of the value, NULL left out; volatile. Set min to INT64_MAX
 * and max to INT64_MIN before a statement. */
typedef struct DuckRange {
    _Atomic int64_t count, min, max;
    _Atomic double sum;
} DuckRange;
uint64_t duck_range_register(Duck *duck, DuckRange *range);
void duck_range_drop(Duck *duck, uint64_t slot);

#endif
