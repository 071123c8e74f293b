/* A transaction: what was read, what will be written, and one atomic attempt after another to make it a version.
 *
 * Optimistic commit: put-if-absent of the next version; if taken, every winning commit is checked against what this
 * transaction read, and the attempt moves on with jitter. A lost answer is resolved by the transaction's own token
 * (commitInfo.txnId). A commit is one put of one small file and nothing else: checkpoints and cleanup are
 * delta_table_maintain, which the caller runs when it has reported the commit.
 */
#ifndef FRESHET_DELTA_TRANSACTION_H
#define FRESHET_DELTA_TRANSACTION_H

#include "delta/table.h"

typedef struct DeltaTransaction DeltaTransaction;

/* Begins on a snapshot, or on no table at all (snapshot NULL: the commit creates version 0 and must set metadata). */
Status delta_transaction_begin(DeltaTable *table, DeltaSnapshot *snapshot, DuckConn *conn, DeltaTransaction **out,
                               Error *err);
/* Ends it; NULL is fine. Without a commit the files of delta_transaction_wrote are removed, unless a version may name
 * them (the outcome of the last attempt is unknown). */
void delta_transaction_free(DeltaTransaction *txn);
/* A file this transaction made, as a log path: see delta_transaction_free. */
void delta_transaction_wrote(DeltaTransaction *txn, const char *log_path);

/* What was read. Blind appends say nothing. */
void delta_transaction_read_table(DeltaTransaction *txn); /* all of it */
void delta_transaction_read_file(DeltaTransaction *txn, const DeltaFile *file);
/* A filter on partition columns as SQL over columns named like them, typed; NULL = any file. */
void delta_transaction_read_partitions(DeltaTransaction *txn, const char *predicate_sql);
/* txn(app_id) as of the snapshot; also makes a concurrent commit of the same app a conflict. -1 when there is none. */
int64_t delta_transaction_read_app(DeltaTransaction *txn, const char *app_id);

/* What is written. Everything is copied. */
void delta_transaction_add(DeltaTransaction *txn, const DeltaFile *file);
/* The live file `live` becomes a remove of now. */
void delta_transaction_remove(DeltaTransaction *txn, const DeltaFile *live, bool data_change);
void delta_transaction_cdc(DeltaTransaction *txn, const DeltaFile *file);
void delta_transaction_set_app(DeltaTransaction *txn, const char *app_id, int64_t version);
void delta_transaction_set_domain(DeltaTransaction *txn, const DeltaDomain *domain);
/* Replaces parts of the metadata; what is NULL stays. The protocol is raised minimally when the new schema or
 * properties need it. */
Status delta_transaction_set_schema(DeltaTransaction *txn, const DeltaSchema *schema, Error *err);
/* Of new tables and of full overwrites: the files that stay must lie as the columns say. */
Status delta_transaction_set_partitioning(DeltaTransaction *txn, const char *const *columns, size_t n, Error *err);
/* `value` NULL unsets it. E_DELTA_PROPERTY for an unknown delta.* key, a bad value, or one that only writers set. */
Status delta_transaction_set_property(DeltaTransaction *txn, const char *key, const char *value, Error *err);
/* May users set the property, or do only writers keep it? */
bool delta_property_is_free(const char *key);
void delta_transaction_set_comment(DeltaTransaction *txn, const char *name, const char *description);

/* The table as the commit will make it. Borrowed, until it is changed again. */
DeltaSchema *delta_transaction_schema(const DeltaTransaction *txn); /* NULL before a new table has one */
const char *const *delta_transaction_partition_columns(const DeltaTransaction *txn, size_t *n);
const char *delta_transaction_property(const DeltaTransaction *txn, const char *key); /* NULL when unset */
const DeltaMetadata *delta_transaction_metadata(const DeltaTransaction *txn);
const DeltaProtocol *delta_transaction_protocol(const DeltaTransaction *txn);

/* What it was begun with; borrowed. */
DeltaTable *delta_transaction_table(const DeltaTransaction *txn);
DeltaSnapshot *delta_transaction_snapshot(const DeltaTransaction *txn); /* NULL for a new table */

/* commitInfo: operation ("WRITE", "STREAMING UPDATE", ...), parameters, metrics, freshet's own object. A parameter's
 * value is a JSON text; as _text it becomes a JSON string, which for Spark lists and objects are too. */
void delta_transaction_operation(DeltaTransaction *txn, const char *operation);
void delta_transaction_parameter(DeltaTransaction *txn, const char *key, const char *json_value);
void delta_transaction_parameter_text(DeltaTransaction *txn, const char *key, const char *value);
void delta_transaction_metric(DeltaTransaction *txn, const char *key, int64_t value);
void delta_transaction_freshet(DeltaTransaction *txn, const char *json_object); /* commitInfo.freshet */
/* commitInfo.userMetadata; without it, that of the connection. */
#define DELTA_USER_METADATA_SETTING "spark.databricks.delta.commitInfo.userMetadata"
void delta_transaction_user_metadata(DeltaTransaction *txn, const char *text);

/* Commits; *version is the new one. Nothing to do (no action but commitInfo) still commits. Errors: E_DELTA_CONFLICT
 * with the class DELTA_CONCURRENT_APPEND, ..., E_DELTA_APPEND_ONLY, E_DELTA_PROTOCOL_WRITE. The data files must be
 * durable already (delta_write does it). */
Status delta_transaction_commit(DeltaTransaction *txn, int64_t *version, Error *err);

/* Does `after` differ from `before` in nothing but how far identity columns have counted? */
bool delta_metadata_moves_identity_only(const DeltaMetadata *before, const DeltaMetadata *after);

/* Writes a checkpoint of the snapshot (classic, or v2 by policy) and _last_checkpoint; used after commits and by
 * hand. */
Status delta_checkpoint_write(DeltaSnapshot *snapshot, DuckConn *conn, Error *err);
/* Post-commit work that commit() left for later because the caller wants low latency: checkpoint when due, log cleanup.
 * Never fails the caller: problems are logged. */
void delta_table_maintain(DeltaTable *table, DuckConn *conn);

#endif
