/* What a streaming query does to its table beyond appending: rows in the place of those with the same key, or in the
 * place of all. Rows that are there already, column for column, are left alone. */
#ifndef FRESHET_TABLE_UPSERT_H
#define FRESHET_TABLE_UPSERT_H

#include "delta/transaction.h"

typedef struct TableUpsertResult {
    int64_t rows, removed; /* written; rows that went, -1: all there were */
    int64_t files, bytes;  /* data files added */
    int64_t files_removed;
    int64_t version; /* -1: nothing changed, nothing was committed */
    bool duplicate;  /* app_id has committed app_version before */
} TableUpsertResult;

typedef struct TableUpsert {
    const char *query;       /* SELECT: the rows, each key once; run once */
    const char *const *keys; /* columns that identify a row, compared with IS NOT DISTINCT FROM */
    size_t n_keys;
    bool all;             /* the rows take the place of all there are; keys are not looked at */
    const char *vanished; /* SELECT of the key columns: rows that go; NULL: none */
    DeltaMerge merge_schema;
    const char *app_id;
    int64_t app_version;
    /* After the query has run, before anything is written; an error ends it. NULL: nothing to say. */
    Status (*verify)(void *context, Error *err);
    /* Just before the commit: says what it is (operation, parameters). */
    Status (*ready)(void *context, DeltaTransaction *txn, const TableUpsertResult *done, Error *err);
    void *context;
} TableUpsert;

/* One commit, none when nothing changes. E_DELTA_APPEND_ONLY when rows would have to go that may not. */
Status table_upsert(DeltaTable *table, DuckConn *conn, const TableUpsert *upsert, TableUpsertResult *result,
                    Error *err);

#endif
