/* What checkpoint_rows.c says as SQL and checkpoint_write.c brings into files. */
#ifndef FRESHET_DELTA_LOG_CHECKPOINT_INT_H
#define FRESHET_DELTA_LOG_CHECKPOINT_INT_H

#include "delta/table.h"

/* Appends a SELECT with everything of the state but its files: protocol, metaData, txn and domainMetadata; with `v2`
 * also checkpointMetadata and one row for each sidecar (path, size, modification_time). */
void delta_checkpoint_small_rows(const DeltaSnapshot *snapshot, bool v2, const DeltaFile *sidecars, size_t n_sidecars,
                                 Text *sql);
/* Appends a SELECT of the columns add and remove: the live files, and the tombstones that still matter. */
Status delta_checkpoint_file_rows(DeltaSnapshot *snapshot, Text *sql, Error *err);

/* delta_checkpoint_write with a choice for v2: `classic_name` gives it the name every reader looks for, so that one
 * which does not know v2 finds the protocol that tells it so. */
Status delta_checkpoint_write_named(DeltaSnapshot *snapshot, DuckConn *conn, bool classic_name, Error *err);

#endif
