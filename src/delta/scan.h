/* Reading rows: a snapshot (or some files of it) as one DuckDB relation.
 *
 * The text is one SELECT over read_parquet with a schema map, per-file constants for partition columns and a row filter
 * for deletion vectors (scan_sql.c), so projection and filters reach the row groups. Files are skipped by partition
 * values and statistics before.
 */
#ifndef FRESHET_DELTA_SCAN_H
#define FRESHET_DELTA_SCAN_H

#include "delta/dv.h"
#include "delta/table.h"

typedef enum DeltaCompare {
    DELTA_EQ,
    DELTA_LT,
    DELTA_LE,
    DELTA_GT,
    DELTA_GE,
    DELTA_IS_NULL,
    DELTA_IS_NOT_NULL,
    DELTA_IN
} DeltaCompare;
/* A conjunct for skipping, over logical names; values are SQL constants. Mirrors SqlPredicate (sql/query.h). */
typedef struct DeltaPredicate {
    const char *const *column;
    size_t n_column;
    DeltaCompare compare;
    const char *const *values;
    size_t n_values;
} DeltaPredicate;

/* A prepared scan owns the per-file constants and deletion vectors its SQL text refers to; free it after the
 * statement. */
typedef struct DeltaScan DeltaScan;
void delta_scan_free(DeltaScan *scan);
/* "SELECT ... FROM read_parquet(...)": usable as a sub-query or view body while the scan lives. Columns: the schema's,
 * in order, with their names. An empty set of files gives typed no rows. */
const char *delta_scan_sql(const DeltaScan *scan);
size_t delta_scan_files(const DeltaScan *scan);
int64_t delta_scan_bytes(const DeltaScan *scan);

/* All live files that may hold matching rows. */
Status delta_scan_snapshot(DeltaSnapshot *snapshot, DuckConn *conn, const DeltaPredicate *predicates, size_t n,
                           DeltaScan **out, Error *err);
/* The same with one more column, "_metadata" STRUCT(row_id BIGINT, row_commit_version BIGINT): a row's id and the
 * version that wrote it last (Delta protocol, Row Tracking). What a file lacks to tell them is NULL.
 * E_DELTA_ROW_TRACKING when the table has no row tracking at this version. */
Status delta_scan_snapshot_ids(DeltaSnapshot *snapshot, DuckConn *conn, const DeltaPredicate *predicates, size_t n,
                               DeltaScan **out, Error *err);
/* OK when the rows of the table have ids at this version, else E_DELTA_ROW_TRACKING. */
Status delta_scan_check_ids(const DeltaSnapshot *snapshot, Error *err);
/* Any files with `rows` rows between them, for who needs no more; *out is NULL when statistics do not tell which. */
Status delta_scan_first(DeltaSnapshot *snapshot, DuckConn *conn, int64_t rows, DeltaScan **out, Error *err);
/* These files only (a stream's batch), read with `schema` (columns missing in a file are NULL). Partition columns as
 * named. */
typedef struct DeltaScanSource {
    DeltaTable *table;
    const DeltaSchema *schema;
    const char *const *partition_columns;
    size_t n_partition_columns;
    const char *column_mapping; /* "none", "name", "id" */
    /* Two more columns: freshet_file UBIGINT, the file's index, and freshet_row BIGINT, the row's number in it. */
    bool row_address;
    /* Per file the rows to leave out, instead of its deletion vector; copied. NULL: as the log says. */
    const DeltaBitmap *const *deleted;
} DeltaScanSource;
Status delta_scan_list(const DeltaScanSource *source, DuckConn *conn, const DeltaFile *files, size_t n, DeltaScan **out,
                       Error *err);

/* The rows that a file's deletion vector hides and except[i] (NULL: none) does not: what a commit deleted, or brought
 * back. Every file has a deletion vector. */
Status delta_scan_difference(const DeltaScanSource *source, DuckConn *conn, const DeltaFile *files,
                             const DeltaDeletionVector *const *except, size_t n, DeltaScan **out, Error *err);

/* How a snapshot's files are scanned. */
DeltaScanSource delta_scan_source(const DeltaSnapshot *snapshot);

/* The live files that may hold matching rows, as values in `arena`: what a statement that changes rows works on. */
Status delta_scan_candidates(DeltaSnapshot *snapshot, DuckConn *conn, const DeltaPredicate *predicates, size_t n,
                             Arena *arena, DeltaFile **files, size_t *n_files, Error *err);

/* Registers the scalar functions scans use; once per instance, done by delta_table_open. */
Status delta_scan_register(Duck *duck, Error *err);

#endif
