/* What the files of a scan share: the scan itself, its SQL, the functions that SQL calls, and skipping. */
#ifndef FRESHET_DELTA_SCAN_INT_H
#define FRESHET_DELTA_SCAN_INT_H

#include "delta/dv.h"
#include "delta/scan.h"
#include "duck/function.h"
#include "duck/type.h"

/* One file of a scan. Texts live in the scan's arena. */
typedef struct ScanFile {
    const char *place;                          /* absolute local path */
    const char **constants;                     /* per partition column: a text for DuckDB's cast, or NULL */
    const DeltaDeletionVector *deletion_vector; /* NULL = none */
    const DeltaDeletionVector *except;          /* of a difference: rows of this vector are not wanted; NULL = none */
    _Atomic(DeltaBitmap *) deleted, excepted;   /* loaded when the file's first rows arrive */
    int64_t base_row_id, default_row_commit_version; /* -1 = none; known only where the scan has row ids */
    bool plain_variants;                             /* its variants are two binaries, without Parquet's logical type */
} ScanFile;

typedef struct ScanSlices ScanSlices;

struct DeltaScan {
    Arena *arena;
    DeltaTable *table;
    ScanFile *files;
    size_t n_files, capacity, n_columns; /* n_columns: partition columns */
    size_t total;                        /* files it reads: n_files, or more where it is sliced */
    size_t first;                        /* of a slice: the number of its first file in the whole */
    ScanSlices *slices;                  /* NULL: one read_parquet over all files */
    int64_t bytes;
    int64_t rows; /* about how many, deleted ones included */
    bool has_deletion_vectors, row_address;
    bool difference; /* gives the rows that the deletion vector hides and `except` does not, instead of all others */
    uint64_t handle; /* what its SQL calls it; 0 = not registered */
    Text sql;
};

/* How the columns of a table lie in its files. */
typedef struct ScanColumns {
    const DeltaSchema *schema;
    const char *const *partition_columns;
    size_t n_partition_columns;
    enum { SCAN_BY_NAME, SCAN_BY_PHYSICAL_NAME, SCAN_BY_ID } mapping;
    bool utc; /* the session's TimeZone is UTC: instants of any kind of Parquet timestamp read the same */
    enum { SCAN_VARIANTS_LOGICAL, SCAN_VARIANTS_PLAIN, SCAN_VARIANTS_MIXED } variants; /* of all files */
    uint64_t handle;                                                                   /* of the scan */
    bool row_ids;                                                                      /* one more column, _metadata */
    const char *row_id_name,
        *row_version_name; /* columns of files in which rows keep them that have moved; NULL: none */
} ScanColumns;

/* Index of the partition column, -1 when it is none. */
int delta_scan_partition(const ScanColumns *columns, const char *name);
/* The name a field has in the files and in the keys of the log. */
const char *delta_scan_stored_name(const ScanColumns *columns, const DeltaField *field);

/* Writes scan->sql for the files it has. */
Status delta_scan_write_sql(DeltaScan *scan, const ScanColumns *columns, Error *err);

/* ---- scan.c: making a scan ---- */

DeltaScan *delta_scan_new(DeltaTable *table, const ScanColumns *columns);
/* Takes in a file as a row of the query that scan.c writes for a snapshot; its texts go through `scratch`. */
Status delta_scan_add_row(DeltaScan *scan, const ScanColumns *columns, const DuckResult *row, Arena *scratch,
                          Error *err);
/* Publishes the scan and writes its SQL, once it has its files. */
Status delta_scan_finish(DeltaScan *scan, ScanColumns *columns, Error *err);

/* ---- scan_slices.c: scans of very many files ---- */

/* A scan of more than `whole_max` files is read in slices of `slice` files. Tests set it. */
typedef struct ScanSlicing {
    size_t whole_max, slice;
} ScanSlicing;
extern ScanSlicing delta_scan_slicing;

/* Are so many files of this table read in slices? */
bool delta_scan_is_sliced(const ScanColumns *columns, size_t n_files);
/* Makes scan->slices and writes scan->sql. The files are those of `files_sql` (the query of scan.c; `snapshot` is what
 * it refers to), or those that the scan has when it is NULL. `where`: "" or " WHERE ..." that every row has to pass
 * which the statement needs. */
Status delta_scan_slice(DeltaScan *scan, const ScanColumns *columns, DeltaSnapshot *snapshot, const char *files_sql,
                        const char *where, DuckConn *conn, Error *err);
void delta_scan_slices_free(ScanSlices *slices);

/* ---- scan_mapping.c: can the columns be found? ---- */

/* E_DELTA_SCHEMA where two columns are stored under one name or id, or one has none. */
Status delta_scan_check_schema(const ScanColumns *columns, const char *uri, Error *err);
/* Where columns are found by field id: E_DELTA_CORRUPT names a file without ids, E_DELTA_SCHEMA one that calls a nested
 * field by another name than the table, since below the top level DuckDB goes by names. */
Status delta_scan_check_files(const DeltaScan *scan, const ScanColumns *columns, Error *err);

/* ---- scan_ids.c: the column _metadata ---- */

/* Appends ", expression AS _metadata" for select lists, when the scan has it. */
void delta_scan_ids_sql(const DeltaScan *scan, const ScanColumns *columns, Text *out);
/* Appends entries of the schema map for the columns that hold the ids of moved rows; `map` may be empty. */
void delta_scan_ids_map(const ScanColumns *columns, Text *map);
/* Appends the join that brings them where files are read by field id, which those columns do not have. `files`: the
 * list of read_parquet. */
void delta_scan_ids_join(const ScanColumns *columns, const char *files, Text *out);
/* freshet_row_base(scan, 0 | 1, file_index): base row id or default commit version of a file. */
Status delta_scan_call_row_base(const DuckScalarArgs *args, Error *err);
/* The scan of a handle; NULL when it has ended. */
DeltaScan *delta_scan_find(uint64_t handle);

/* Makes the scan known to freshet_const and freshet_keep under a new handle, and forgets it. */
uint64_t delta_scan_publish(DeltaScan *scan);
void delta_scan_withdraw(uint64_t handle);

/* Appends " WHERE ..." over the relation of delta_snapshot_files_sql that leaves out files in which no row can match;
 * nothing when no predicate can tell. `facts` receives further columns that the condition needs ("" or ", expr AS
 * name"). */
void delta_skip_sql(const ScanColumns *columns, const DeltaPredicate *predicates, size_t n, Text *facts, Text *where);

/* Appends " WHERE ..." over the rows of the scan, of the predicates that compare a column with literals: those alone
 * mean the same wherever they run. Nothing when there are none. */
void delta_skip_rows_sql(const ScanColumns *columns, const DeltaPredicate *predicates, size_t n, Text *where);

#endif
