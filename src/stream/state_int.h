/* Inside of a state: what the working copy (state.c), its files (state_files.c) and the type map (state_type.c) share.
 *
 * The files of a relation after batch N, as the object a commit holds:
 *
 *   {"batch": N, "relations": {"groups": {"rows": 12, "expired": <us> | null, "files": [
 *       {"name": "groups.40.snapshot.<uuid>.parquet", "first": -1, "last": 40, "level": -1, "rows": 10, ...},
 *       {"name": "groups.56.delta.<uuid>.parquet",    "first": 41, "last": 56, "level": 1, "rows": 7, "bytes": 811,
 *        "crc32": 2774610993}, ...]}}}
 *
 * They stand in order: a snapshot first, where there is one, then deltas of batches that follow one another. A delta of
 * level 0 is of one batch. The STATE_FAN-th of a level is written as one of the next level that takes the place of all
 * of them, so a commit names few files however seldom there is a snapshot; and a row is written at most once a level.
 */
#ifndef FRESHET_STREAM_STATE_INT_H
#define FRESHET_STREAM_STATE_INT_H

#include "base/mem.h"
#include "base/text.h"
#include "duck/type.h"
#include "stream/state.h"

enum { STATE_VERSION = 1, STATE_SNAPSHOT = -1, STATE_FAN = 16, STATE_LEVELS_MAX = 16, STATE_DELTAS_MIN = 8 };

/* The last columns of every file. A row of a delta with _deleted has its keys alone. */
#define STATE_BATCH   "_batch"
#define STATE_DELETED "_deleted"

typedef struct StateFile {
    char *name;          /* below the operator's folder */
    int64_t first, last; /* batches it covers; of a snapshot first is -1 */
    int64_t level;       /* STATE_SNAPSHOT, or of a delta */
    int64_t rows, bytes;
    int64_t crc32;
} StateFile;

/* What a relation consists of after some batch. */
typedef struct StateFiles {
    StateFile *items;
    size_t n, capacity;
    int64_t expired; /* rows with expires <= this are gone; INT64_MIN: nothing ever expired */
    int64_t rows;
} StateFiles;

typedef struct StateTable {
    char *name;
    DuckColumnInfo *columns; /* in the state's arena */
    StateShown *shown;       /* one a column */
    size_t n_columns, n_keys;
    char *expires;
    char *means; /* as in the spec */
    char *table; /* qualified, quoted */
    char *gone;  /* the tombstones: key columns and _batch; NULL without keys */
    int64_t expired;
    StateFiles files; /* of the batch the state is at */
    StateFiles next;  /* of the batch that was saved, not yet settled */
} StateTable;

struct State {
    Arena *arena;
    DuckConn *conn;
    Store *checkpoint;
    char *folder; /* "freshet-state/0" */
    char *flow, *database;
    size_t operator;
    json_t *metadata;    /* what the file `metadata` has to hold */
    bool metadata_there; /* it holds that */
    StateTable *tables;
    size_t n_tables;
    int64_t batch;   /* the working copy is what this batch left; -1: empty, before the first */
    bool clean;      /* nobody has changed it since */
    int64_t removed; /* by the batch at hand */
    int64_t churn;   /* values written and removed since the database was packed */
    StateFigures figures;
};

/* Where DuckDB reads and writes files of a state: the store's own folder, or, where it has none, one of ours below the
 * temporary folder, gone with state_place_fini. */
typedef struct StatePlace {
    Text folder;
    bool spooled;
} StatePlace;

/* ---- state_type.c ---- */

/* Can values of the type be brought back bit by bit? The innermost type that cannot, or NULL. */
const DuckType *state_type_homeless(const DuckType *type);
/* The expression that turns `value`, of `type`, into what the file holds, and back. */
void state_type_store(const DuckType *type, const char *value, Text *out);
void state_type_load(const DuckType *type, const char *value, Text *out);

/* ---- state_files.c ---- */

void state_files_clear(StateFiles *files);
void state_files_copy(const StateFiles *from, StateFiles *to);
int64_t state_files_bytes(const StateFiles *files);
/* The object of a batch: of the files, or of those that are next. And back: E_STREAM_STATE_DAMAGED for an object that
 * is none of this state. */
json_t *state_files_json(const State *state, int64_t batch, bool next);
Status state_files_parse(const State *state, const json_t *object, StateFiles *files, Error *err);
/* Writes what changed in batch `batch` of table->next, which holds the files of the batch before. */
Status state_files_write(State *state, DuckConn *conn, StateTable *table, int64_t batch, Error *err);
Status state_place_init(StatePlace *place, const State *state, DuckConn *conn, Error *err);
void state_place_fini(StatePlace *place); /* a zeroed one is fine */
/* SELECT of the rows of a table that `files` hold, with its columns and _batch: for those who only look. Sizes are
 * compared, checksums are not. The files have to stay as long as the SELECT is read. */
Status state_files_select(const State *state, const StatePlace *place, const StateTable *table, const StateFiles *files,
                          Text *sql, Error *err);
/* Writes a snapshot of a working copy that is what batch `batch` left, when one is due, and puts it in the place of
 * table->files. */
Status state_files_snapshot(State *state, DuckConn *conn, StateTable *table, int64_t batch, Error *err);
/* Fills the empty working copy of a table from `files`, whose sizes and checksums are compared first. */
Status state_files_load(State *state, DuckConn *conn, StateTable *table, const StateFiles *files, Error *err);

#endif
