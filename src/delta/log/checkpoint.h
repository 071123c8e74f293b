/* A checkpoint as snapshots use it: its small actions as values, its files as a relation over its Parquet (Delta
 * protocol, Checkpoints). */
#ifndef FRESHET_DELTA_LOG_CHECKPOINT_H
#define FRESHET_DELTA_LOG_CHECKPOINT_H

#include <stdatomic.h>

#include "base/map.h"
#include "delta/log/overlay.h"
#include "delta/log/segment.h"
#include "delta/table.h"
#include "duck/type.h"

/* Parquet files with the same columns. */
typedef struct DeltaCheckpointSource {
    const char *from;             /* read_parquet(...) */
    const DuckType *add, *remove; /* their structs as these files have them; NULL = no such column */
} DeltaCheckpointSource;

typedef struct DeltaCheckpoint {
    _Atomic int references;
    Arena *arena;
    int64_t version;
    const DeltaProtocol *protocol; /* NULL: the checkpoint lacks it */
    const DeltaMetadata *metadata;
    const DeltaTxn *txns;
    size_t n_txns;
    Map *txn_index; /* app id -> DeltaTxn */
    const DeltaDomain *domains;
    size_t n_domains;
    DeltaCheckpointSource sources[2]; /* the checkpoint itself; its sidecars */
    size_t n_sources;
    const char **sidecars; /* bare names */
    size_t n_sidecars;
    DeltaAction *inlined; /* file actions that stand in a JSON manifest */
    size_t n_inlined;
} DeltaCheckpoint;

/* Reads all but the files. Anything wrong with one of its files is an error that names it: the caller falls back. */
Status delta_checkpoint_open(DeltaTable *table, DuckConn *conn, const DeltaCheckpointFiles *files,
                             DeltaCheckpoint **out, Error *err);
DeltaCheckpoint *delta_checkpoint_ref(DeltaCheckpoint *checkpoint);
void delta_checkpoint_unref(DeltaCheckpoint *checkpoint); /* NULL is fine */

/* Appends one SELECT per source, joined and preceded (unless `out` is empty) by UNION ALL: the adds that `overlay`
 * (NULL: none) does not hide, with the columns of delta_snapshot_files_sql. */
void delta_checkpoint_adds_sql(const DeltaCheckpoint *checkpoint, DeltaOverlay *overlay, Text *out);
/* The same for the tombstones; further columns as delta_overlay_removes_sql. */
void delta_checkpoint_removes_sql(const DeltaCheckpoint *checkpoint, DeltaOverlay *overlay, Text *out);

#endif
