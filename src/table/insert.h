/* Rows into an existing table: INSERT INTO, INSERT OVERWRITE. */
#ifndef FRESHET_TABLE_INSERT_H
#define FRESHET_TABLE_INSERT_H

#include "delta/transaction.h"
#include "delta/write.h"

typedef struct TableInsert {
    const char *query;          /* SELECT: the rows */
    bool by_name;               /* else by position */
    const char *const *columns; /* INSERT INTO t (a, b): the targets of the query's columns in order; NULL = all */
    size_t n_columns;
    bool overwrite; /* all rows that are there are replaced in the same commit */
    /* partitionOverwriteMode = dynamic: with overwrite, only in the partitions of the rows (table_replace). */
    bool dynamic_partitions;
    bool merge_schema;     /* mergeSchema: new columns extend the table */
    bool overwrite_schema; /* overwriteSchema: the query's columns replace the table's; with overwrite only */
    /* txnAppId and txnVersion, for writes that may be repeated: nothing is written when the table has a version of this
     * application that is not smaller. NULL = none. */
    const char *txn_app_id;
    int64_t txn_version;
    const char *user_metadata; /* NULL = none */
} TableInsert;

/* One commit. *rows: how many were written; -1 when txnVersion had been seen and nothing was done. */
Status table_insert(DeltaTable *table, DuckConn *conn, const TableInsert *insert, int64_t *rows, Error *err);

/* Appends the query with its columns named like the columns of the table that they go to. */
Status table_insert_query(DuckConn *conn, const TableInsert *insert, const DeltaSchema *schema, Text *out, Error *err);

#endif
