#include "table/move.h"

#include "delta/scan.h"

typedef struct Move {
    DeltaTransaction *txn;
    DuckConn *conn;
} Move;

static Status remove_file(void *context, const DeltaFile *file, Error *err)
{
    const Move *move = context;

    (void)err;
    delta_transaction_read_file(move->txn, file);
    delta_transaction_remove(move->txn, file, false);
    return OK;
}

static Status write_rows(const Move *move, const char *query, bool row_ids, Error *err)
{
    DeltaWriteOptions options = {.existing_rows = true, .moves_rows = true, .row_ids = row_ids};
    DeltaWriteResult written = {0};

    return delta_write_query(move->txn, move->conn, query, &options, &written, err);
}

/* A scan with ids is one of the whole table. */
static Status move_tracked(Move *move, Error *err)
{
    Status rc = OK;
    DeltaSnapshot *snapshot = delta_transaction_snapshot(move->txn);
    DeltaScan *scan = NULL;
    Text query = TEXT(TEXT_SQL_MAX);

    TRY(delta_scan_snapshot_ids(snapshot, move->conn, NULL, 0, &scan, err));
    TRY(delta_snapshot_each_file(snapshot, move->conn, remove_file, move, err));
    text_append(&query, "SELECT * EXCLUDE (_metadata), _metadata.row_id AS " DELTA_ROW_ID
                        ", _metadata.row_commit_version AS " DELTA_ROW_VERSION " FROM (");
    text_append(&query, delta_scan_sql(scan));
    text_append(&query, ")");
    TRY(write_rows(move, text_str(&query), true, err));
out:
    delta_scan_free(scan);
    text_free(&query);
    return rc;
}

Status table_move_rows(DeltaTransaction *txn, DuckConn *conn, const DeltaFile *files, size_t n, Error *err)
{
    Status rc = OK;
    Move move = {.txn = txn, .conn = conn};
    DeltaSnapshot *snapshot = delta_transaction_snapshot(txn);
    DeltaScanSource source = delta_scan_source(snapshot);
    DeltaScan *scan = NULL;

    if (delta_scan_check_ids(snapshot, NULL) == OK) {
        return move_tracked(&move, err);
    }
    TRY(delta_scan_list(&source, conn, files, n, &scan, err));
    for (size_t i = 0; i < n; i++) {
        TRY(remove_file(&move, &files[i], err));
    }
    TRY(write_rows(&move, delta_scan_sql(scan), false, err));
out:
    delta_scan_free(scan);
    return rc;
}
