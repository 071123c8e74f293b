/* State of an operator: relations that survive the process.
 *
 * The working copy of a relation is a DuckDB table in the flow's scratch database, under the instance's memory limit;
 * it is a cache. What counts are files below `freshet-state/<operator>/` of the checkpoint:
 *
 *   metadata                      format version, fingerprint, columns with their types: written before the first file
 *   <relation>.<N>.delta.<uuid>.parquet     rows that batch N (and some before it) wrote, and those it deleted
 *   <relation>.<N>.snapshot.<uuid>.parquet  the whole relation after batch N
 *
 * A batch's commit names the files it stands on, with their sizes and checksums: only named files are state, others are
 * orphans. So a batch that runs again starts from exactly what the batch before has left, and any kept batch can be
 * gone back to.
 *
 * Columns: those of the spec, then `_batch BIGINT`, the batch that wrote the row last. Whoever changes rows sets it;
 * that is how state_save knows what to write. Types without a bit-exact home in Parquet are stored in another shape
 * (HUGEINT as two columns, INTERVAL as months, days, micros); a type without any is refused when the state is opened.
 *
 * Owner thread: the flow's.
 */
#ifndef FRESHET_STREAM_STATE_H
#define FRESHET_STREAM_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "duck/duck.h"
#include "duck/type.h"
#include "store/store.h"

typedef struct State State;

/* What a column is to people who look into the state (state_view.h). */
typedef struct StateShown {
    const char *name; /* "count(*)"; NULL: the column's own */
    bool is_time;     /* a BIGINT of microseconds that is a moment */
} StateShown;

typedef struct StateRelation {
    const char *name;              /* "groups", "values": part of the table's and the files' names */
    const DuckColumnInfo *columns; /* `_batch` left out */
    size_t n_columns;
    /* Columns that identify a row, the first ones; 0: rows are only added and expire (no updates, no state_delete). */
    size_t n_keys;
    /* The column, BIGINT microseconds, by which rows expire: a row leaves when expires <= the value given to
     * state_expire; NULL values never. NULL: rows do not expire. */
    const char *expires;
    const char *means;       /* what its columns are, where the spec has a `meaning`; NULL: nothing more */
    const StateShown *shown; /* one a column; NULL: as they are. Says nothing about what the state means */
} StateRelation;

typedef struct StateSpec {
    Store *checkpoint; /* referenced */
    size_t operator;   /* its number in the flow */
    const char *flow;  /* for messages */
    const char *fingerprint;
    /* What has to stay the same besides what the relations mean; the fingerprint is for people then. NULL: all of
     * it. */
    const char *meaning;
    const StateRelation *relations; /* copied */
    size_t n_relations;
} StateSpec;

/* Makes the tables, empty, in a scratch database of the connection's own. A state on disk with another fingerprint:
 * E_STREAM_STATE_CHANGED names what changed. */
Status state_open(DuckConn *conn, const StateSpec *spec, State **out, Error *err);
void state_close(State *state); /* drops the tables; files stay */

/* What the metadata of an operator says its state means; *out stays empty where there is none. */
Status state_fingerprint(Store *checkpoint, size_t operator, Text * out, Error *err);

/* Does a relation of the state that is there have the column? *there: whether there is a state at all; if not, *has
 * stays as it is. */
Status state_find_column(Store *checkpoint, size_t operator, const char * relation, const char *column, bool *there,
                         bool *has, Error *err);

/* The table's name for SQL: quoted, qualified. Lives as long as the state. */
const char *state_table(const State *state, size_t relation);

/* Brings the working copy to what `files` says, the object state_save gave for a batch (NULL: empty, before the first
 * batch). Does nothing when it is there already. A file that is missing, cut or changed: E_STREAM_STATE_DAMAGED. */
Status state_load(State *state, DuckConn *conn, const json_t *files, Error *err);

/* The working copy is about to be changed: until state_settle it is worth nothing to a batch that runs again. */
void state_begin(State *state);

/* Rows of `relation` whose expires is <= `until_us`, deleted. *n: how many. Files do not say that they went, only the
 * value does: so a batch adds its rows first and expires last. */
Status state_expire(State *state, DuckConn *conn, size_t relation, int64_t until_us, int64_t *n, Error *err);
/* Deletes the rows whose keys `select` gives (a SELECT of the key columns, in order), with tombstones for the file. */
Status state_delete(State *state, DuckConn *conn, size_t relation, const char *select, int64_t batch, Error *err);

/* Writes what batch N changed since the last load or save, durably, and gives what the commit has to name: a new
 * reference. Snapshots are written when the files since the last one outweigh it, and state_snapshot has not done it.
 * Failpoints around every file. */
Status state_save(State *state, DuckConn *conn, int64_t batch, json_t **files, Error *err);
/* The commit is durable: the working copy is at this batch. Before that a failure makes the copy worthless, and the
 * next state_load starts from the files. */
void state_settle(State *state, int64_t batch);

/* Between two batches: writes the snapshot that is due, if any, so that no batch waits for it. The next batch's commit
 * names it; until then, and should this fail, the files of the last commit are the state. */
Status state_snapshot(State *state, DuckConn *conn, Error *err);

/* Removes files that none of `kept` (objects of state_save, the batches that can still be gone back to) names. */
Status state_purge(State *state, const json_t *const *kept, size_t n_kept, Error *err);

typedef struct StateFigures {
    int64_t rows, bytes;                /* of all relations; bytes: of the files that are named now */
    int64_t rows_updated, rows_removed; /* by the last batch */
} StateFigures;
void state_figures(const State *state, StateFigures *out);

#endif
