/* Inside of tables and snapshots: what the files behind delta/table.h share. */
#ifndef FRESHET_DELTA_TABLE_INT_H
#define FRESHET_DELTA_TABLE_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "delta/log/checkpoint.h"
#include "delta/log/checksum.h"
#include "delta/log/commit.h"
#include "delta/log/overlay.h"
#include "delta/log/segment.h"
#include "delta/table.h"

/* References count what callers hold: handles, and one for each snapshot they hold. The table's own snapshot counts
 * none, so it goes with the last caller. */
struct DeltaTable {
    _Atomic int references;
    Duck *duck;
    Store *store;
    char *uri;
    char *root;            /* as delta_path_canonical takes it */
    pthread_mutex_t lock;  /* of what follows; held while a refresh reads the log */
    DeltaSnapshot *newest; /* NULL before the first load */
    int64_t seen;          /* newest version this process has seen; -1 */
    int64_t gap_looked_ms; /* monotonic time of the last look for commits behind a missing one */
    int64_t checkpoint_cost_ms,
        checkpoint_done_ms;     /* of the last one this process wrote; maintained by one thread at a time */
    DeltaChecksum checksum;     /* newest that is known; whoever maintains has it */
    int64_t compacted;          /* last version in a compaction this process wrote; likewise */
    _Atomic bool maintained;    /* somebody is at it */
    _Atomic int64_t cleaned_ms; /* monotonic time of the last look at the old end of the log; 0 = none */
};

struct DeltaSnapshot {
    _Atomic int references;
    DeltaTable *table;
    int64_t version, timestamp;
    int64_t file_time;             /* ms: of the commit's file; 0 = there is only a checkpoint of this version */
    DeltaCheckpoint *checkpoint;   /* NULL: the log from version 0 */
    DeltaCommitNode *tail;         /* commits after it, newest first; NULL when there are none */
    const DeltaMetadata *metadata; /* in the checkpoint or the tail */
    const DeltaProtocol *protocol;
    DeltaSchema *schema;
    DeltaDomain *domains; /* not removed; strings in the checkpoint or the tail */
    size_t n_domains;
    pthread_mutex_t lock; /* of the overlay, made when first asked for */
    DeltaOverlay *overlay;
};

/* What a snapshot is made of; delta_snapshot_build takes the references over, also on failure. `previous` (may be NULL)
 * is a snapshot with the same checkpoint whose tail is below this one: what did not change since is shared. */
typedef struct DeltaSnapshotParts {
    int64_t version, timestamp, file_time; /* the times: where the tail does not reach the version */
    DeltaCheckpoint *checkpoint;
    DeltaCommitNode *tail;
    DeltaSnapshot *previous;
} DeltaSnapshotParts;
Status delta_snapshot_build(DeltaTable *table, const DeltaSnapshotParts *parts, DeltaSnapshot **out, Error *err);
/* Sizes are what a log says, so their sums may end at INT64_MAX. */
static inline int64_t delta_sum(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* Without the table's reference. */
void delta_snapshot_release(DeltaSnapshot *snapshot);

/* Puts the newest snapshot on the newest checkpoint, so that the commits below it can be forgotten. */
Status delta_table_rebase(DeltaTable *table, DuckConn *conn, Error *err);
/* Loads a version (-1: the newest) from the log. */
Status delta_snapshot_load(DeltaTable *table, DuckConn *conn, int64_t version, DeltaSnapshot **out, Error *err);
/* The tombstones, as delta_overlay_removes_sql; empty text when there can be none. */
void delta_snapshot_removes_sql(DeltaSnapshot *snapshot, Text *out);
/* Calls back for each row of `files`, a relation with the columns of delta_snapshot_files_sql and perhaps more that
 * `where` (" WHERE ..." or "") may use. */
Status delta_snapshot_each_row(DuckConn *conn, const char *files, const char *where, DeltaFileCallback callback,
                               void *context, Error *err);
/* All txns that still count, oldest rules applied (delta.setTransactionRetentionDuration); in `arena`. */
DeltaTxn *delta_snapshot_txns(const DeltaSnapshot *snapshot, Arena *arena, size_t *n);

#endif
