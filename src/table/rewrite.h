/* Changing rows that are there: what DELETE, UPDATE and MERGE share.
 *
 *   open        snapshot and transaction
 *   scan        the files that may hold rows of interest (partition values and statistics decide), as one relation
 *               whose rows say where they are: freshet_file, freshet_row
 *   mark        rows that are to go, by address
 *   apply       a file without rows left is removed; another one gets a larger deletion vector where the table has
 *               them (delta.enableDeletionVectors), or else is written anew without its marked rows; new rows are
 *               written, and so are the changes where the change feed cannot be told from that
 *   commit      one version, or none when nothing changed
 *
 * What a file holds is never read twice for DELETE with deletion vectors, and rows that stay are only copied without.
 *
 * In a table with row tracking (delta.enableRowTracking) a row keeps its id wherever it moves: the relation has its id
 * and the version that changed it last, and what is written says them for rows that are not new. Only inside src/table.
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
    const DeltaSchema *schema;  /* as it will be; borrowed from the transaction */
    const DeltaSchema *scanned; /* of the relation: as it was, borrowed from the snapshot */
    DeltaTransaction *txn;
    bool vectors;   /* delta.enableDeletionVectors */
    bool feed;      /* delta.enableChangeDataFeed */
    bool tracks;    /* delta.enableRowTracking: rows keep their ids */
    bool loses_ids; /* it is on, but rows that move could not keep them */
    DeltaFile *files;
    size_t n_files;
    DeltaScan *scan;
    DeltaBitmap **marked; /* per file, NULL: none */
    bool *whole;          /* per file: all of its rows */
    bool evolved;         /* the schema changes */
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
/* Appends the relation of the chosen files: the table's columns, freshet_file, freshet_row; with row tracking also
 * DELTA_ROW_ID and DELTA_ROW_VERSION. */
void table_rewrite_rows(const TableRewrite *w, Text *out);
/* Lets the table's schema become another one in the same commit. */
Status table_rewrite_evolve(TableRewrite *w, const DeltaSchema *schema, Error *err);

/* Runs a query of (freshet_file, freshet_row) and marks its rows; *n: how many had not been. */
Status table_rewrite_mark(TableRewrite *w, const char *sql, int64_t *n, Error *err);
/* Marks whole files where the condition only looks at partition columns; *decided = false when it looks further. *n:
 * rows, -1 where the log does not say. */
Status table_rewrite_mark_files(TableRewrite *w, const TableCondition *where, bool *decided, int64_t *n, Error *err);

/* Does what was marked. `rows`: new rows, exactly the table's columns and, with row tracking, DELTA_ROW_ID and
 * DELTA_ROW_VERSION (table_rewrite_ids), or NULL; `changes`: all rows that change, with _change_type, or NULL when the
 * feed needs none. */
Status table_rewrite_apply(TableRewrite *w, const char *rows, const char *changes, Error *err);
/* With row tracking: appends ", id AS ..., version AS ..." for rows that this commit changes (their id is in column
 * DELTA_ROW_ID) or that are new. */
void table_rewrite_ids(const TableRewrite *w, bool is_new, Text *out);
/* The names of these columns, as table_rows_cast takes them; ends with NULL. */
const char *const *table_rewrite_id_names(const TableRewrite *w);
/* Metrics under `key`, and the commit. */
void table_rewrite_metric(TableRewrite *w, const char *key, int64_t value);
/* Those of the files, as DELETE and UPDATE name them. */
void table_rewrite_file_metrics(TableRewrite *w);
Status table_rewrite_commit(TableRewrite *w, const char *operation, Error *err);

#endif
