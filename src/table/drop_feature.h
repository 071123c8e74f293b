/* ALTER TABLE ... DROP FEATURE: the traces a feature has left go first, then its name in the protocol. */
#ifndef FRESHET_TABLE_DROP_FEATURE_H
#define FRESHET_TABLE_DROP_FEATURE_H

#include "delta/transaction.h"

/* Features of writers go in one commit. Those of readers take three, with a checkpoint behind the later two: the traces
 * go, nothing changes, the feature goes. A reader without it meets nothing of it; older versions keep it and are
 * protected by checkpointProtection, unless `truncate_history` removes them: versions older than
 * delta.dropFeatureTruncateHistory.retentionDuration.
 *
 * E_DELTA_PROTOCOL_WRITE with Delta's class: a feature that does not exist, that the table does not have, that cannot
 * be dropped, that another one requires, or (TRUNCATE HISTORY) that versions younger than that still have: what was
 * prepared until then stays. */
Status table_drop_feature(DeltaTable *table, DuckConn *conn, const char *feature, bool truncate_history, Error *err);

#endif
