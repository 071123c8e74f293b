/* A source of a stream: something that says how far it may be read and turns a range of offsets into a relation.
 *
 * Offsets are JSON texts, the ones Spark writes for the same source, so that a checkpoint of a stateless query moves
 * both ways. Ranges are half-open: (start, end]; start NULL means from the source's configured beginning. What lies in
 * a range never changes once it is logged.
 *
 *   step of the micro-batch
 *   plan      latest(start) -> end            NULL end: nothing new
 *   log       offsets/N holds end
 *   read      relation(start, end)            the same relation again after a crash
 *   settle    commit(end)                     once batch N + 1 is logged: what lies before it may be forgotten, archived
 *                                             or deleted
 */
#ifndef FRESHET_STREAM_SOURCE_H
#define FRESHET_STREAM_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "delta/schema.h"
#include "duck/duck.h"
#include "store/store.h"

typedef struct StreamSource StreamSource;

/* One batch's rows. `sql` is a sub-query with the columns of the schema that schema() gave before. */
typedef struct StreamRelation {
    char *sql;
    int64_t files, bytes;              /* what the range covers; 0 when the notion does not apply */
    int64_t rows;                      /* -1 unknown before the read; then rows_read tells afterwards */
    bool metadata;                     /* the rows have the hidden column _metadata, too, which no `*` is to show */
    int64_t (*rows_read)(void *owner); /* after the statement ran; NULL when rows is exact */
    int64_t (*bad_rows)(void *owner);  /* rows that were kept as corrupt or rescued; NULL: none */
    void *owner;
    void (*release)(void *owner); /* frees owner; sql is freed by stream_relation_release */
} StreamRelation;
void stream_relation_release(StreamRelation *relation);

typedef struct StreamBacklog {
    int64_t files, bytes; /* seen, not yet admitted to a batch; -1 unknown */
} StreamBacklog;

typedef struct StreamSourceOps {
    const char *kind; /* "files", "delta", "rate" */

    /* The columns of the next batches, a new reference. *out = NULL: not known yet (no file to infer from, no table);
     * the flow waits. */
    Status (*schema)(StreamSource *source, DuckConn *conn, DeltaSchema **out, Error *err);

    /* Where a batch that starts at `start` may end under the rate limits (`unlimited` ignores them: trigger once).
     * *end: a new text, or NULL when there is nothing new. Must return what freeze() fixed, if it was called.
     * `*schema_changed` = true (then *end may be NULL): the schema grew or must be read anew before going on: the flow
     * is planned again with schema(). Source-private logs are durable before this returns. */
    Status (*latest)(StreamSource *source, DuckConn *conn, const char *start, bool unlimited, char **end,
                     bool *schema_changed, Error *err);

    /* The rows of (start, end]. */
    Status (*relation)(StreamSource *source, DuckConn *conn, const char *start, const char *end, StreamRelation *out,
                       Error *err);

    /* Called when running a relation failed: true when the source learnt from it (a new column was found and the schema
     * is extended, durably), so that the same batch can be planned and run again. NULL: never. */
    bool (*learnt)(StreamSource *source);

    /* Everything up to `end` is committed in the target. */
    Status (*commit)(StreamSource *source, const char *end, Error *err);

    /* Fixes the end for available-now: nothing that appears later is read. Called once, before the first latest(). */
    Status (*freeze)(StreamSource *source, DuckConn *conn, const char *start, Error *err);

    /* A file descriptor that becomes readable when there may be new input (inotify, eventfd); -1: none, then poll_ms is
     * used. */
    int (*wake_fd)(StreamSource *source);
    void (*wake_clear)(StreamSource *source); /* drains it */
    int poll_ms; /* how often to look when nothing wakes us; 0: never (the fd is reliable) */

    void (*backlog)(StreamSource *source, StreamBacklog *out); /* NULL: unknown */
    void (*describe)(StreamSource *source, Text *out);         /* "DeltaSource[file:/…]", as in Spark's progress */
    /* What the source is, for the check on restart: stable text (kind, place, table id). */
    void (*identity)(StreamSource *source, Text *out);
    void (*close)(StreamSource *source);
} StreamSourceOps;

struct StreamSource {
    const StreamSourceOps *ops; /* first member of every implementation's struct */
};

/* What a source may use. */
typedef struct StreamSourceContext {
    Duck *duck;
    Store *checkpoint;       /* the flow's checkpoint folder */
    const char *private_dir; /* "sources/<i>", its own folder below */
    const char *flow;        /* for messages */
    const char *warehouse;   /* absolute */
} StreamSourceContext;

/* A named option with its value as text and its place in the pipeline file for errors. */
typedef struct StreamOption {
    const char *key, *value;
    bool is_list; /* value is SQL text of a list */
    ErrorPlace place;
} StreamOption;

/* The table of options a source understands: drives parsing, errors ("did you mean") and the manual. */
typedef enum StreamOptionType {
    STREAM_OPTION_BOOL,
    STREAM_OPTION_LONG,
    STREAM_OPTION_BYTES,
    STREAM_OPTION_TEXT,
    STREAM_OPTION_INTERVAL,
    STREAM_OPTION_ENUM,
    STREAM_OPTION_VERSION
} StreamOptionType;
typedef struct StreamOptionSpec {
    const char *name; /* as Delta and Spark spell it; matched without case */
    StreamOptionType type;
    const char *default_text; /* for the manual */
    const char *values;       /* ENUM: "a|b|c" */
    int64_t min;              /* LONG, BYTES: smallest legal value */
    const char *text;         /* one sentence for the manual */
} StreamOptionSpec;
/* Checks every option against the specs: E_STREAM_OPTION with the nearest name, or the legal values. */
Status stream_options_check(const StreamOption *options, size_t n, const StreamOptionSpec *specs, size_t n_specs,
                            const char *what, Error *err);
/* The value of an option by name without case, or NULL. */
const char *stream_option_get(const StreamOption *options, size_t n, const char *name);

#endif
