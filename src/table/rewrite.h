/* Changing rows that are there: what DELETE, UPDATE and MERGE share.
 *
 *   open        snapshot and transaction
 *   scan        the files that may hold rows of interest (partition values and statistics decide), as one relation
 *               whose rows say where they are: freshet_file, freshet_row
 *   mark        rows that are to go, by address
 *   apply       a file without rows left is removed; another one gets a larger deletion vector where the table has
 *               them (delta.enableDeletionVectors), or else is written anew without its marked rows; new rows are
 *               written, and so are the changes where the change feed cannot be told from that (reference 13.4)
 *   commit      one version, or none when nothing changed
 *
 * What a file holds is never read twice for DELETE with deletion vectors, and rows that stay are only copied without.
 * Only inside src/table.
 */
#ifndef FRESHET_TABLE_REWRITE_H
#define FRESHET_TABLE_REWRITE_H

#include "delta/scan.h"
#include "delta/transaction.h"
#include "delta/write.h"

/* A condition over the rows of a table. */
typedef struct TableCondition {
    const char *alias;                /* what its columns may be qualified by */
    const char *sql;                  /* NULL: every row */
    const char *text;                 /* as the user wrote it, for commitInfo; NULL with sql */
    const DeltaPredicate *predicates; /* conjuncts of it, to skip files by */
    size_t n_predicates;
} TableCondition;

typedef struct TableRewrite {
    DeltaTable *table;
    DuckConn *conn;
    Arena *arena;
    DeltaSnapshot *snapshot;
    const DeltaSchema *schema; /* borrowed from the snapshot */
    DeltaTransaction *txn;
    bool vectors;    /* delta.enableDeletionVectors */
    bool feed;       /* delta.enableChangeDataFeed */
    bool moves_rows; /* set by the caller: rows get new places although they stay the same rows */
    DeltaFile *files;
    size_t n_files;
    DeltaScan *scan;
    DeltaBitmap **marked; /* per file, NULL: none */
    bool *whole;          /* per file: all of its rows */
    int64_t began_ms, scanned_ms;

    /* what happened, for operationMetrics */
    int64_t rows_copied, rows_written;
    int64_t files_removed, files_added, bytes_removed, bytes_added, change_files;
    int64_t vectors_added, vectors_updated, vectors_removed;
} TableRewrite;

Status table_rewrite_open(DeltaTable *table, DuckConn *conn, TableRewrite **out, Error *err);
void table_rewrite_close(TableRewrite *w); /* NULL is fine; without commit nothing stays */

/* Chooses files and tells the transaction what is read. */
Status table_rewrite_scan(TableRewrite *w, const DeltaPredicate *predicates, size_t n, Error *err);
/* Appends the relation of the chosen files: the table's columns, freshet_file, freshet_row. */
void table_rewrite_rows(const TableRewrite *w, Text *out);

/* Runs a query of (freshet_file, freshet_row) and marks its rows; *n: how many had not been. */
Status table_rewrite_mark(TableRewrite *w, const char *sql, int64_t *n, Error *err);
/* Marks whole files where the condition only looks at partition columns; *decided = false when it looks further. *n: rows, -1 where
 * the log does not say. */
Status table_rewrite_mark_files(TableRewrite *w, const TableCondition *where, bool *decided, int64_t *n, Error *err);

/* Does what was marked. `rows`: new rows, exactly the table's columns, or NULL; `changes`: all rows that change, with
 * _change_type, or NULL when the feed needs none. */
Status table_rewrite_apply(TableRewrite *w, const char *rows, const char *changes, Error *err);
/* Metrics under `key`, and the commit. */
void table_rewrite_metric(TableRewrite *w, const char *key, int64_t value);
Status table_rewrite_commit(TableRewrite *w, const char *operation, Error *err);

#endif
