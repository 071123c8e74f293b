/* libfreshet: Delta tables kept up to date from streams, from inside a program.
 *
 *   freshet_open -> freshet_execute          statements, as `freshet sql` runs them, rows as JSON objects
 *                -> freshet_pipeline_open    a pipeline of SQL flows, as `freshet run` reads it
 *                     -> freshet_pipeline_run | _explain | _stop
 *
 * Functions return 0, or a positive number after filling in the error, which may be NULL. Texts are UTF-8. An engine
 * may be used by one thread at a time, each of its pipelines by another; freshet_pipeline_stop may be called by any
 * thread. Handles are freed in the reverse order of their making.
 */
#ifndef FRESHET_H
#define FRESHET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* "0.1.0"; lives for ever. */
const char *freshet_version(void);

/* What went wrong. `code` is stable (docs/errors.md); `line` is 0 where no text of the caller is to blame. */
typedef struct freshet_error {
    char code[16];      /* "FR-BIND-001" */
    char message[4096]; /* starts in lower case, no full stop */
    char hint[1024];    /* what can be done; may be empty */
    char file[512];     /* name of the text */
    int line, column;   /* from 1 */
} freshet_error;

/* An engine: memory, threads and a warehouse. */
typedef struct freshet freshet;

typedef struct freshet_config {
    size_t size;           /* sizeof(freshet_config): later versions add members at the end */
    const char *warehouse; /* folder of the tables; NULL: ./warehouse */
    int64_t memory_bytes;  /* limit for data; 0: 40 % of what this process may use */
    int threads;           /* 0: all cores this process may use */
} freshet_config;

/* `config` may be NULL for the defaults. */
int freshet_open(const freshet_config *config, freshet **out, freshet_error *error);
void freshet_close(freshet *engine); /* NULL is fine */

/* Called once per row with one JSON object: 64-bit integers and decimals with all their digits, timestamps in ISO 8601.
 * The text ends with a NUL byte and lives during the call. Another value than 0 ends the statement, without error. */
typedef int (*freshet_row_callback)(void *context, const char *json, size_t length);

/* Runs one or more statements. `on_row`, which may be NULL, gets the rows of those that ask (SELECT, DESCRIBE, SHOW);
 * where none does, the counts that INSERT, UPDATE, DELETE, MERGE and the like give of what they changed. */
int freshet_execute(freshet *engine, const char *sql, freshet_row_callback on_row, void *context, freshet_error *error);

/* A pipeline: streaming tables, materialized views and flows. */
typedef struct freshet_pipeline freshet_pipeline;

/* `name` stands for the text in errors ("pipeline.sql"). Nothing is read or written yet but the text itself. */
int freshet_pipeline_open(freshet *engine, const char *name, const char *sql, freshet_pipeline **out,
                          freshet_error *error);
void freshet_pipeline_close(freshet_pipeline *pipeline); /* NULL is fine; not while it runs */

typedef enum freshet_run_mode {
    FRESHET_CONTINUOUS = 0,    /* each flow by its own trigger, until freshet_pipeline_stop */
    FRESHET_AVAILABLE_NOW = 1, /* what is there now, in as many batches as the limits ask for */
    FRESHET_ONCE = 2           /* one batch with everything that is there */
} freshet_run_mode;

/* One StreamingQueryProgress per batch, as a JSON object. Called from the threads of the flows, one at a time. */
typedef void (*freshet_progress_callback)(void *context, const char *flow, const char *json);

/* Runs until it is done, stopped, or nothing can run any more. Fails when a flow failed: `error` is then the first
 * flow's; what was committed stays. */
int freshet_pipeline_run(freshet_pipeline *pipeline, freshet_run_mode mode, freshet_progress_callback on_progress,
                         void *context, freshet_error *error);
/* Finishes the current batches; a second call abandons them (they run again next time). Any thread. */
void freshet_pipeline_stop(freshet_pipeline *pipeline);

/* What `freshet check` says, as text in `buffer` (cut to fit, NUL at the end). `buffer` is filled in even if a flow
 * does not bind. */
int freshet_pipeline_explain(freshet_pipeline *pipeline, char *buffer, size_t size, freshet_error *error);

/* ---- for tests of what is built on freshet ---- */

/* Makes the named place (docs/failpoints.md) do `action` at its `hit`-th passing from now on: "fail" (the flow stops
 * there, as if the process had died), "error" (it is retried), "off". hit 0: every time. `name` NULL: all off. */
int freshet_failpoint(const char *name, const char *action, int hit, freshet_error *error);
/* Sets the wall clock that batches see, microseconds since 1970; 0: the machine's own. */
void freshet_set_clock(int64_t now_us);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
