/* The parts of delta_table_maintain. One thread at a time works on a table. */
#ifndef FRESHET_DELTA_MAINTAIN_INT_H
#define FRESHET_DELTA_MAINTAIN_INT_H

#include "delta/table_int.h"

/* Leaves the checksum of the newest version when it is ours and its numbers follow from what is known. */
Status delta_checksum_keep(DeltaTable *table, DuckConn *conn, const DeltaSnapshot *snapshot, Error *err);
/* With a checkpoint the files are counted: what is known of them begins anew, and what was known is held against it. */
Status delta_checksum_renew(DeltaTable *table, DuckConn *conn, const DeltaSnapshot *snapshot, Error *err);

/* Makes one file of many commits after the checkpoint, for whoever opens the table next. */
Status delta_log_compact(DeltaTable *table, const DeltaSnapshot *snapshot, Error *err);

/* Deletes what delta.logRetentionDuration no longer covers. */
Status delta_log_clean(DeltaTable *table, DuckConn *conn, DeltaSnapshot *snapshot, Error *err);

#endif
