/* DuckDB, the one room: an instance, its connections, statements and their results.
 *
 * Nothing outside src/duck includes duckdb.h. One instance per process with one memory limit, one thread pool and one
 * temporary folder; one connection per flow (a connection belongs to one thread at a time; duck_interrupt is the one
 * call another thread may make). Every connection starts with TimeZone = 'UTC', extension autoload off,
 * preserve_insertion_order = false and the functions registered on the instance.
 */
#ifndef FRESHET_DUCK_DUCK_H
#define FRESHET_DUCK_DUCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

typedef struct Duck Duck;
typedef struct DuckConn DuckConn;
typedef struct DuckResult DuckResult;

typedef struct DuckConfig {
    int64_t memory_limit_bytes; /* 0: 40 % of the memory this process may use (cgroup or machine) */
    int threads;                /* 0: all the process may use */
    const char *temp_dir;       /* where DuckDB spills; NULL: a folder of its own below TMPDIR, removed at close */
} DuckConfig;

Status duck_open(const DuckConfig *config, Duck **out, Error *err);
void duck_close(Duck *duck); /* after all connections; NULL is fine */
const char *duck_library_version(void);

Status duck_connect(Duck *duck, DuckConn **out, Error *err);
void duck_disconnect(DuckConn *conn);
Duck *duck_instance(DuckConn *conn);
/* A text of the connection's user that goes with every Delta commit made through it (userMetadata); NULL or "" ends it.
 * The text is copied. */
void duck_set_user_metadata(DuckConn *conn, const char *text);
const char *duck_user_metadata(const DuckConn *conn); /* borrowed; NULL = none */

/* Runs one or more statements and drops the results. */
Status duck_exec(DuckConn *conn, const char *sql, Error *err);
__attribute__((format(printf, 3, 4))) Status duck_execf(DuckConn *conn, Error *err, const char *format, ...);

/* Runs one INSERT, UPDATE, DELETE or CREATE TABLE AS and says how many rows it changed. */
Status duck_exec_changed(DuckConn *conn, const char *sql, int64_t *changed, Error *err);

/* Runs one statement; rows are held by the result. For answers of bounded size: log facts, statistics, counts. */
Status duck_query(DuckConn *conn, const char *sql, DuckResult **out, Error *err);
/* The same with rows handed out as they are made; the connection is busy until duck_result_free. */
Status duck_query_stream(DuckConn *conn, const char *sql, DuckResult **out, Error *err);
/* Positional parameters $1..$n, all VARCHAR (cast in the SQL); a NULL entry is NULL. */
Status duck_query_params(DuckConn *conn, const char *sql, const char *const *params, size_t n, DuckResult **out,
                         Error *err);
void duck_result_free(DuckResult *result);

/* Runs one statement for the first row of its answer: its first `n` columns as duck_result_i64 gives them; 0 for NULL,
 * and for all when there is no row. */
Status duck_query_numbers(DuckConn *conn, const char *sql, int64_t *numbers, size_t n, Error *err);

size_t duck_result_columns(const DuckResult *result);
const char *duck_result_name(const DuckResult *result, size_t column);
/* Rows changed by INSERT/UPDATE/DELETE/COPY; -1 when the statement has none. */
int64_t duck_result_changed(const DuckResult *result);
/* Steps to the next row; *more = false at the end. */
Status duck_result_next(DuckResult *result, bool *more, Error *err);
bool duck_result_is_null(const DuckResult *result, size_t column);
/* Any integer type up to 64 bits, BOOLEAN, TIMESTAMP(TZ) and DATE as their number. */
int64_t duck_result_i64(const DuckResult *result, size_t column);
/* VARCHAR and BLOB; borrowed until the next row; not NUL-terminated, *n bytes. NULL when null. */
const char *duck_result_text(const DuckResult *result, size_t column, size_t *n);
/* A copy, NUL-terminated, for the caller to mem_free; NULL when null. */
char *duck_result_text_dup(const DuckResult *result, size_t column);
/* Any value as one JSON value: 64-bit integers and decimals with all their digits, timestamps as ISO-8601 strings,
 * nested as JSON, blobs as base64 text. For `--format jsonl` and tests. */
void duck_result_json(const DuckResult *result, size_t column, Text *out);
/* The row as one JSON object, its values as above. */
void duck_result_row_json(const DuckResult *result, Text *out);
/* Any value as DuckDB's own text form, for tables and csv. False when null. */
bool duck_result_print(const DuckResult *result, size_t column, Text *out);

/* Stops what runs on this connection; its caller gets E_INTERRUPTED. Without effect when nothing runs at the moment or
 * a statement is just beginning, so whoever wants an end sets a flag of his own and calls until it has come. Any
 * thread. */
void duck_interrupt(DuckConn *conn);
/* Share of the running statement that is done, 0..1, or -1 when unknown: so for statements that began before the first
 * call. Any thread. */
double duck_progress(DuckConn *conn);

/* Errors carry DuckDB's message; parse and bind errors also its byte offset into the statement that was run.
 * Returns -1 when the last error on this connection had no position. */
int64_t duck_error_position(const DuckConn *conn);
/* For who ran a statement around a caller's text, which stood `ahead` bytes into it and had `length`: from here on the
 * position counts in that text, and there is none when it lies outside. */
void duck_error_rebase(DuckConn *conn, int64_t ahead, int64_t length);

#endif
