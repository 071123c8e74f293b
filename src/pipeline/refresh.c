/* Full refresh of a table, in three steps that a crash may part:
 *
 *   1  every flow of the table has a new checkpoint, number n + 1, with a new query id (flow_open makes it)
 *   2  one commit removes all rows, may replace the schema, and records txn(freshet.refresh, n + 1)
 *   3  batch 0
 *
 * Flows whose number is above the one recorded are between 1 and 2: the run goes on at 2.
 */
#include "base/failpoint.h"
#include "delta/transaction.h"
#include "delta/write.h"
#include "pipeline/pipeline_int.h"

static const char REFRESH_APP[] = "freshet.refresh";

Status refresh_recorded(DeltaTable *table, DuckConn *conn, int *number, Error *err)
{
    Status rc = OK;
    DeltaSnapshot *snapshot = NULL;
    bool exists = false;
    int64_t version = 0;

    *number = 0;
    TRY(delta_table_exists(table, &exists, err));
    if (!exists) {
        goto out;
    }
    TRY(delta_table_snapshot(table, conn, &snapshot, err));
    if (delta_snapshot_txn(snapshot, REFRESH_APP, &version)) {
        *number = (int)version;
    }
out:
    delta_snapshot_unref(snapshot);
    return rc;
}

Status refresh_target(DeltaTable *table, DuckConn *conn, int number, const DeltaSchema *schema, Error *err)
{
    Status rc = OK;
    DeltaSnapshot *snapshot = NULL;
    DeltaTransaction *txn = NULL;
    Text json = TEXT(256);
    bool exists = false;
    int64_t removed = 0, version = 0;

    TRY(delta_table_exists(table, &exists, err));
    if (!exists) {
        goto out;
    }
    TRY(failpoint(FP_PIPELINE_REFRESH_BEFORE_COMMIT, err));
    TRY(delta_table_snapshot(table, conn, &snapshot, err));
    TRY(delta_transaction_begin(table, snapshot, conn, &txn, err));
    if (delta_transaction_read_app(txn, REFRESH_APP) >= number) {
        goto out; /* done before a crash */
    }
    TRY(delta_write_remove_all(txn, conn, &removed, err));
    if (schema != NULL) {
        TRY(delta_transaction_set_schema(txn, schema, err));
    }
    delta_transaction_set_app(txn, REFRESH_APP, number);
    delta_transaction_operation(txn, "TRUNCATE");
    delta_transaction_metric(txn, "numRemovedFiles", removed);
    text_printf(&json, "{\"refresh\":%d}", number);
    delta_transaction_freshet(txn, text_str(&json));
    TRY(delta_transaction_commit(txn, &version, err));
    TRY(failpoint(FP_PIPELINE_REFRESH_AFTER_COMMIT, err));
out:
    delta_transaction_free(txn);
    delta_snapshot_unref(snapshot);
    text_free(&json);
    return rc;
}
