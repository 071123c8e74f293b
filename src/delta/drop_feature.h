/* ALTER TABLE ... DROP FEATURE, the part that is about log and protocol. What a feature has left in the files and in
 * the metadata is removed before; see table/drop_feature.h. */
#ifndef FRESHET_DELTA_DROP_FEATURE_H
#define FRESHET_DELTA_DROP_FEATURE_H

#include "delta/transaction.h"

/* E_DELTA_PROTOCOL_WRITE when the table does not have the feature, or another one requires it. */
Status delta_transaction_may_drop(DeltaTransaction *txn, const char *feature, Error *err);
/* Takes the feature out of the protocol, which becomes table features where versions implied it, and versions again
 * where these are enough. `protect`: older versions keep the feature, so that log cleanup has to leave them whole
 * (checkpointProtection). E_DELTA_PROTOCOL_WRITE when something still uses or requires the feature. */
Status delta_transaction_drop_feature(DeltaTransaction *txn, const char *feature, bool protect, Error *err);

/* Ends column mapping: columns are stored under their own names from now on. All files have to be written anew in the
 * same transaction. E_DELTA_NAME when a name needs mapping. */
Status delta_transaction_end_mapping(DeltaTransaction *txn, Error *err);
/* Removes a property that only writers set. */
void delta_transaction_unset_own(DeltaTransaction *txn, const char *key);

/* Is all that the log has of versions below this one older than the time? */
Status delta_log_is_older(DeltaTable *table, int64_t version, int64_t before_ms, bool *out, Error *err);
/* Deletes what is older than the time and than the newest checkpoint from the log, oldest first. Older versions can no
 * longer be read, and snapshots that were taken before may not be: take a new one. */
Status delta_log_truncate(DeltaTable *table, DuckConn *conn, const DeltaSnapshot *snapshot, int64_t before_ms,
                          Error *err);

#endif
