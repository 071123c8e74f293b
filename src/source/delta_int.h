/* Inside the Delta source: offsets, options, and the walk over a table's files in the order the offsets count them. */
#ifndef FRESHET_SOURCE_DELTA_INT_H
#define FRESHET_SOURCE_DELTA_INT_H

#include "delta/changes.h"
#include "delta/scan.h"
#include "duck/function.h"
#include "source/sources.h"

/* ---- delta_offset.c ---- */

/* A position in the total order (version, index): everything up to and including it has been read. */
typedef struct DeltaOffset {
    int64_t version;
    int64_t index; /* last file read within the version; -1: none of it yet; or one of DeltaBarrier */
    bool initial;  /* within the initial snapshot at `version`; isStartingVersion in the JSON */
} DeltaOffset;

/* Between "none of it yet" and the first file of a commit that changes how the table is read. */
typedef enum DeltaBarrier { DELTA_BARRIER = -20, DELTA_BARRIER_PASSED = -19 } DeltaBarrier;
bool delta_offset_is_barrier(const DeltaOffset *offset);

/* `id` is the table's; NULL: not checked. E_SOURCE_OFFSET, E_SOURCE_OTHER_TABLE. */
Status delta_offset_parse(const char *text, const char *id, DeltaOffset *out, Error *err);
char *delta_offset_text(const DeltaOffset *offset, const char *id);
/* By version and index; `initial` is ignored. */
int delta_offset_compare(const DeltaOffset *a, const DeltaOffset *b);

/* ---- delta_options.c ---- */

typedef struct DeltaSourceOptions {
    int64_t files_max, bytes_max; /* a batch's limits */
    bool ignore_deletes, ignore_changes, skip_changes, fail_on_data_loss;
    bool change_feed;  /* readChangeFeed: what commits did to rows, instead of the rows they added */
    char *exclude;     /* regular expression, or NULL */
    char *tracking;    /* place of the schema tracking log as the user gave it; NULL: none */
    char *tracking_id; /* streamingSourceTrackingId, or NULL */
    char *allow_rename, *allow_drop, *allow_type_change; /* "always", a version, or NULL */
    int64_t starting_version;                            /* -1: not given; DELTA_START_LATEST */
    char *starting_timestamp;                            /* or NULL */
} DeltaSourceOptions;
enum { DELTA_START_NONE = -1, DELTA_START_LATEST = -2 };

/* Checks and reads all of SOURCE_DELTA_OPTIONS. `what` names the table in errors. */
Status delta_source_options(const StreamOption *options, size_t n, const char *what, DeltaSourceOptions *out,
                            Error *err);
void delta_source_options_clear(DeltaSourceOptions *options);

/* ---- the source ---- */

/* The files of a range, in order, and where it ends. */
typedef struct DeltaRange {
    Arena *arena;
    DeltaFile *files;
    size_t n, capacity;
    int64_t bytes, rows;   /* rows: -1 when some file does not say */
    char *start, *end;     /* offsets as texts; NULL start: from the beginning */
    DeltaChanges *changes; /* readChangeFeed: collects what `files` does otherwise, n counts */
} DeltaRange;

/* An entry of the schema tracking log: how the stream reads the table from commit `version` on. */
typedef struct DeltaTracked {
    Arena *arena;             /* holds all of it, itself too */
    int64_t number, previous; /* of this entry, and of the one whose schema it replaced; -1: none */
    int64_t version;
    DeltaMetadata metadata; /* id, schema, partition columns and properties alone */
    DeltaSchema *schema;
    const char *protocol;    /* the action's JSON; NULL: not told */
    const char *source_path; /* sourceMetadataPath */
} DeltaTracked;
void delta_tracked_free(DeltaTracked *tracked); /* NULL is fine */

typedef struct DeltaSource {
    StreamSource base;
    Duck *duck;
    DeltaTable *table;
    Store *checkpoint;
    char *flow, *private_dir;
    DeltaSourceOptions options;
    bool written_by_pipeline;
    unsigned serial; /* names its temporary table */

    /* how the table is read, as of init_version; changes only when the flow is planned anew */
    bool known, stale;
    char *id;
    DeltaSchema *schema;
    char **partition_columns;
    size_t n_partition_columns;
    char *column_mapping;
    int64_t init_version;
    DeltaSnapshot *snapshot; /* readChangeFeed: of init_version */
    char *tracking;          /* the log's place in the checkpoint; NULL: no schema tracking */
    DeltaTracked *tracked;   /* its newest entry, which all of the above is from; NULL: none yet */
    bool learnt;             /* a read failed because the log had to begin or to catch up first */

    /* where it stands */
    bool started;            /* the first latest() has checked the start */
    int64_t newest;          /* highest version known to exist */
    int64_t bound;           /* available-now reads no commit after it; INT64_MAX: no bound */
    int64_t initial_time;    /* ms, of initial_version */
    int64_t initial_version; /* version the temporary table of the initial snapshot was made from; -1: none */
    DuckConn *initial_conn;  /* the connection that holds it */
    DeltaRange range;        /* planned last, so that relation() need not read the log again */
    StreamBacklog backlog;
    int watch_fd, watch; /* inotify; -1 */
} DeltaSource;

/* ---- delta_walk.c: commits ---- */

/* What limits and ends a walk. */
typedef struct DeltaWalk {
    DeltaSource *source;
    DeltaRange *range;      /* files are added here */
    DeltaOffset at;         /* begins here, moves on */
    const DeltaOffset *end; /* a logged end: read exactly up to it, without limits; NULL: as far as limits allow */
    int64_t files_left, bytes_left;
    bool full;           /* a limit ended it */
    bool schema_changed; /* the very first commit needs the flow to be planned anew */
} DeltaWalk;

/* Charges a file to the limits; false when they are used up. */
bool delta_walk_admit(DeltaWalk *walk, int64_t size);
void delta_walk_add(DeltaWalk *walk, const DeltaFile *file, int64_t rows);
int64_t delta_walk_last_index(const DeltaWalk *walk, int64_t version);
Status delta_walk_end_commit(DeltaWalk *walk, const DeltaCommit *commit, bool *done, Error *err);
/* Goes on through the commits after walk->at. What would be an error ends the walk before it, unless nothing was passed
 * yet. */
Status delta_walk_commits(DeltaWalk *walk, Error *err);

/* Drops the files of source->range whose path matches excludeRegex, by DuckDB's regular expressions (RE2). They have
 * counted for limits and offsets. */
Status delta_walk_exclude(DeltaSource *source, DuckConn *conn, Error *err);

/* ---- delta_feed.c: commits as changes (readChangeFeed) ---- */

/* The columns of the stream: those of the table, or of its change feed; a new reference. */
DeltaSchema *delta_feed_columns(const DeltaSource *source);
/* Begins to collect changes in the range. */
Status delta_feed_begin(DeltaSource *source, DuckConn *conn, Error *err);
/* Takes what a commit did after walk->at.index. *done: nothing further may be read. */
Status delta_feed_take(DeltaWalk *walk, const DeltaCommit *commit, bool *done, Error *err);
/* E_DELTA_CHANGES when the feed is off where the stream begins. */
Status delta_feed_check_start(DeltaSource *source, DuckConn *conn, const DeltaOffset *at, Error *err);

/* ---- delta_initial.c: the snapshot a stream begins with ---- */

/* Goes on through the files of the snapshot at walk->at.version, numbered by (modificationTime, path); at its end
 * walk->at is the beginning of the next version. */
Status delta_walk_initial(DeltaWalk *walk, DuckConn *conn, Error *err);
void delta_initial_drop(DeltaSource *source);
/* Files and bytes of the initial snapshot behind `index`. */
Status delta_initial_rest(DeltaSource *source, DuckConn *conn, int64_t index, StreamBacklog *out, Error *err);

/* ---- delta_mapping.c ---- */

/* E_SOURCE_SCHEMA_CHANGED when a column was renamed or dropped between the schema of `version` and the one the stream
 * reads with. */
Status delta_mapping_check(const DeltaSource *source, const DeltaSchema *schema, int64_t version, Error *err);
/* The same for the schema at a version where the stream goes on, as far as that can be rebuilt. */
Status delta_mapping_check_start(const DeltaSource *source, DuckConn *conn, int64_t version, Error *err);

/* The field of a physical name, or NULL. */
const DeltaField *delta_mapping_find(const DeltaField *fields, size_t n, const char *physical);

/* ---- delta_tracking.c: the schema tracking log ---- */

/* Finds the log's place in the checkpoint: source->tracking. */
Status delta_tracking_place(DeltaSource *source, Error *err);
/* The newest entry; NULL when there is none. E_SOURCE_SCHEMA_BLOCKED when the user has to agree to it first. */
Status delta_tracking_load(const DeltaSource *source, DeltaTracked **out, Error *err);
/* Writes an entry: how the table was read at a version. The first one, or one where the stream has gone on without. */
Status delta_tracking_begin(DeltaSource *source, DuckConn *conn, int64_t version, Error *err);
/* Is the table at a version, where the stream goes on, read as the newest entry says? Yes when that cannot be known. */
bool delta_tracking_fits(const DeltaSource *source, DuckConn *conn, int64_t version);
/* Has `new` every column of `old`, at any depth, with its name? Types may differ. */
bool delta_tracking_keeps_columns(const DeltaSchema *old, const DeltaSchema *new);
/* Does the commit change how the table is read? */
bool delta_tracking_differs(const DeltaTracked *tracked, const DeltaCommit *commit);
/* Appends the entry for the change in this commit. */
Status delta_tracking_follow(DeltaSource *source, int64_t version, Error *err);
/* E_SOURCE_SCHEMA_TRACKED: what a stream ends with that has followed a change. */
Status delta_tracking_stop(const DeltaSource *source, int64_t version, Error *err);

#endif
