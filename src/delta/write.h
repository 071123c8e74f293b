/* Writing rows: the result of a query as durable data files of a table, with the adds that name them.
 *
 * query -> reconcile with the table's schema -> NOT NULL checks -> COPY (partitioned) -> fsync -> DeltaFile with
 * statistics. The caller's transaction gets the adds and, if the schema grew, the new metadata.
 */
#ifndef FRESHET_DELTA_WRITE_H
#define FRESHET_DELTA_WRITE_H

#include "delta/transaction.h"

/* Columns of a query whose rows keep their ids, and the properties that say which columns of the files hold them. */
#define DELTA_ROW_ID             "freshet_row_id"
#define DELTA_ROW_VERSION        "freshet_row_version"
#define DELTA_ROW_ID_COLUMN      "delta.rowTracking.materializedRowIdColumnName"
#define DELTA_ROW_VERSION_COLUMN "delta.rowTracking.materializedRowCommitVersionColumnName"

typedef struct DeltaWriteOptions {
    DeltaMerge merge_schema; /* mergeSchema: NONE or ALL */
    /* The rows are changes: one more column, _change_type; files in _change_data; cdc actions. Nothing is checked. */
    bool change_data;
    /* Two more columns, DELTA_ROW_ID and DELTA_ROW_VERSION, of rows that had another place before (row tracking); NULL
     * for a new row, changed by this commit. */
    bool row_ids;
    bool overwrite_schema;  /* only with a full overwrite */
    bool existing_rows;     /* some were in the table before: their identity columns have values */
    bool moves_rows;        /* all were: nothing is checked, and the adds are no change of data */
    int64_t file_bytes_max; /* 0 = one file per partition (and thread) */
} DeltaWriteOptions;

typedef struct DeltaWriteResult {
    int64_t rows, bytes, files;
} DeltaWriteResult;

/* Runs `query` (any SELECT; its column names and types decide) and adds its files to `txn`. A query without rows adds
 * none. E_DELTA_SCHEMA (DELTA_METADATA_MISMATCH, DELTA_FAILED_TO_MERGE_FIELDS), E_DELTA_NOT_NULL, E_DELTA_CONSTRAINT,
 * and whatever the query raises. */
Status delta_write_query(DeltaTransaction *txn, DuckConn *conn, const char *query, const DeltaWriteOptions *options,
                         DeltaWriteResult *result, Error *err);
/* Removes every live file in `txn` (a full overwrite), reading the whole table. */
Status delta_write_remove_all(DeltaTransaction *txn, DuckConn *conn, int64_t *removed, Error *err);

#endif
