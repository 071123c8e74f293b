/* A Delta table by its place, its snapshots and its commits.
 *
 * Path -> log segment -> replay -> snapshot -> scan | transaction | checkpoint. A DeltaTable is a shared, thread-safe
 * handle that remembers its newest snapshot; a DeltaSnapshot is immutable and reference counted. Refreshing reads only
 * commits newer than the snapshot at hand.
 *
 * What a snapshot holds in memory is small: protocol, metaData, txns, domains, and the file actions of the commits
 * after the newest checkpoint. The files of the checkpoint stay in its Parquet: "the files" is a relation
 * (delta_snapshot_files_sql), not a list, so a million files fit the memory limit.
 */
#ifndef FRESHET_DELTA_TABLE_H
#define FRESHET_DELTA_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "delta/action.h"
#include "delta/schema.h"
#include "duck/duck.h"
#include "store/store.h"

typedef struct DeltaTable DeltaTable;
typedef struct DeltaSnapshot DeltaSnapshot;

/* Opens the place; nothing is read yet, it need not be a table. The same place gives the same handle within one Duck
 * instance (reference counted). */
Status delta_table_open(Duck *duck, const char *uri, DeltaTable **out, Error *err);
DeltaTable *delta_table_ref(DeltaTable *table);
void delta_table_close(DeltaTable *table);
const char *delta_table_uri(const DeltaTable *table); /* absolute; for messages and registries */
Store *delta_table_store(const DeltaTable *table);
Duck *delta_table_duck(const DeltaTable *table);

/* *exists: there is a _delta_log with at least one commit or checkpoint. */
Status delta_table_exists(DeltaTable *table, bool *exists, Error *err);
/* The newest snapshot (refreshes). E_DELTA_NOT_A_TABLE, E_DELTA_GAP, E_DELTA_PROTOCOL_READ, E_DELTA_CORRUPT, ... A
 * version this process has already seen never goes away silently. `conn` runs the queries over checkpoints. */
Status delta_table_snapshot(DeltaTable *table, DuckConn *conn, DeltaSnapshot **out, Error *err);
Status delta_table_snapshot_at(DeltaTable *table, DuckConn *conn, int64_t version, DeltaSnapshot **out, Error *err);
/* The latest version whose timestamp is <= ms; E_DELTA_TIMESTAMP when that is before the oldest. */
Status delta_table_version_at(DeltaTable *table, DuckConn *conn, int64_t ms, int64_t *version, Error *err);
/* The earliest version whose timestamp is >= ms; E_DELTA_TIMESTAMP when it is after the newest. */
Status delta_table_version_from(DeltaTable *table, DuckConn *conn, int64_t ms, int64_t *version, Error *err);
/* Earliest and newest commit JSON that exist in the log. */
Status delta_table_commit_range(DeltaTable *table, int64_t *first, int64_t *last, Error *err);

DeltaSnapshot *delta_snapshot_ref(DeltaSnapshot *snapshot);
void delta_snapshot_unref(DeltaSnapshot *snapshot);
DeltaTable *delta_snapshot_table(const DeltaSnapshot *snapshot);
int64_t delta_snapshot_version(const DeltaSnapshot *snapshot);
int64_t delta_snapshot_timestamp(const DeltaSnapshot *snapshot); /* ms: in-commit timestamp or file time */
const DeltaMetadata *delta_snapshot_metadata(const DeltaSnapshot *snapshot);
const DeltaProtocol *delta_snapshot_protocol(const DeltaSnapshot *snapshot);
DeltaSchema *delta_snapshot_schema(const DeltaSnapshot *snapshot);                   /* borrowed */
const char *delta_snapshot_property(const DeltaSnapshot *snapshot, const char *key); /* NULL when unset */
/* Newest txn version of an application; false when it has none. */
bool delta_snapshot_txn(const DeltaSnapshot *snapshot, const char *app_id, int64_t *version);
size_t delta_snapshot_domains(const DeltaSnapshot *snapshot, const DeltaDomain **domains);

/* The live files as a relation: SELECT path VARCHAR, partition_values MAP(VARCHAR, VARCHAR), size BIGINT,
 * modification_time BIGINT, stats VARCHAR, dv STRUCT(storage_type VARCHAR, path_or_inline VARCHAR, "offset" INTEGER,
 * size_bytes INTEGER, cardinality BIGINT), base_row_id BIGINT, default_row_commit_version BIGINT, tags VARCHAR,
 * clustering_provider VARCHAR. Valid while the snapshot is referenced. */
Status delta_snapshot_files_sql(const DeltaSnapshot *snapshot, Text *out, Error *err);
/* Number of live files and their bytes. */
Status delta_snapshot_totals(const DeltaSnapshot *snapshot, DuckConn *conn, int64_t *files, int64_t *bytes, Error *err);
/* Number of rows by the statistics of the files; -1 when they do not say. */
Status delta_snapshot_rows(const DeltaSnapshot *snapshot, DuckConn *conn, int64_t *rows, Error *err);

/* Calls back for each live file, in no order; DeltaFile is borrowed for the call. For uses that must see every file
 * (overwrite, initial stream). */
typedef Status (*DeltaFileCallback)(void *context, const DeltaFile *file, Error *err);
Status delta_snapshot_each_file(const DeltaSnapshot *snapshot, DuckConn *conn, DeltaFileCallback callback,
                                void *context, Error *err);

/* ---- single commits, for streams, history and conflicts ---- */

typedef struct DeltaCommit {
    int64_t version;
    int64_t timestamp;          /* ms: file time (not yet made monotonic) or in-commit */
    int64_t file_time;          /* ms: file time */
    const DeltaAction *actions; /* in log order; unknown ones left out */
    size_t n_actions;
    Arena *arena;
} DeltaCommit;
/* E_IO_NOT_FOUND when there is no such commit; E_DELTA_CORRUPT when torn, empty or garbage (names file and line). */
Status delta_commit_read(DeltaTable *table, int64_t version, DeltaCommit **out, Error *err);
void delta_commit_free(DeltaCommit *commit);
/* The last-resort guard of every reader that goes commit by commit, for a protocol action met on the way. */
Status delta_protocol_check_read(const DeltaProtocol *protocol, const char *where, Error *err);
Status delta_protocol_check_write(const DeltaProtocol *protocol, const char *where, Error *err);
/* Is the feature named, or implied by the legacy versions? */
bool delta_protocol_supports(const DeltaProtocol *protocol, const char *feature);

/* DESCRIBE HISTORY rows, newest first: the callback gets version, timestamp ms (made monotonic) and the commitInfo
 * (json may be "{}"). limit < 0: all. */
typedef Status (*DeltaHistoryCallback)(void *context, int64_t version, int64_t timestamp, const DeltaCommitInfo *info,
                                       Error *err);
Status delta_table_history(DeltaTable *table, int64_t limit, DeltaHistoryCallback callback, void *context, Error *err);

/* Absolute local path (or later: readable place) of a file named in the log; refuses paths that leave the table, but
 * for absolute ones that delta/allowed.h admits, as shallow clones have them. */
Status delta_file_location(const DeltaTable *table, const char *log_path, Text *out, Error *err);

#endif
