/* Writing Parquet with the facts a log needs: one COPY, its files, row counts and column statistics. */
#ifndef FRESHET_DUCK_PARQUET_H
#define FRESHET_DUCK_PARQUET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "duck/duck.h"

/* Statistics of one leaf column of one file, as text of DuckDB's RETURN_STATS (see the notes in parquet.c about what
 * each type looks like). Path: the names from the root, e.g. {"s", "x"}; list and map leaves carry their
 * "element"/"key"/"value" steps. */
typedef struct ParquetStats {
    const char *const *path;
    size_t n_path;
    const char *min, *max; /* NULL = none, or not known to bound all values */
    int64_t null_count;    /* -1 = unknown */
    bool has_nan;          /* min and max leave NaN out, although readers sort it above all numbers */
} ParquetStats;

typedef struct ParquetFile {
    const char *path; /* local path */
    int64_t rows, bytes;
    const char *const *partition_values; /* one per partition column in order, not escaped; NULL = null */
    const ParquetStats *stats;
    size_t n_stats;
} ParquetFile;

typedef struct ParquetWrite {
    const char *query;  /* a SELECT whose columns are already of storable types */
    const char *folder; /* local folder (exists); files are created below with unique names */
    const char *prefix; /* "part-"; NULL = "" */
    /* Column names; their directories are made by DuckDB. With more than a few hundred values, ORDER BY them in the
     * query: DuckDB keeps at most that many files open and else writes several per value. */
    const char *const *partition_by;
    size_t n_partition_by;
    bool write_partition_columns; /* keep them in the files too */
    const char *codec;            /* "zstd" (default when NULL), "snappy", "gzip", "lz4_raw", "uncompressed" */
    const char *field_ids;        /* text of a FIELD_IDS {...} literal or NULL */
    const char *const *kv_keys, *const *kv_values; /* file metadata */
    size_t n_kv;
    int64_t row_group_rows; /* 0 = default */
    int64_t file_bytes_max; /* 0 = one file. About: a file ends with the row group that passes it. Not for partitioned
                             * writes, which make one file per value */
} ParquetWrite;

/* Runs it. Files with no row are removed and not reported. Nothing is fsynced: the caller does, for all at once. On
 * failure whatever was created is removed (not the directories of partitions: another writer may just be using them).
 * Results live in `arena`. duck_error_position counts in write->query. */
Status parquet_write(DuckConn *conn, const ParquetWrite *write, Arena *arena, ParquetFile **files, size_t *n,
                     Error *err);

/* What DuckDB says of Parquet whose structures are damaged leaves the file out. Whoever knows which files statements
 * read at the moment can say it: `blame` gets such an error, and may add the file that parquet_find_damaged finds. It
 * may be called by any thread. */
typedef void (*ParquetBlame)(Duck *duck, Error *err);
void parquet_on_damage(Duck *duck, ParquetBlame blame);
/* Index of the first file that cannot be read to its end; `n` when there is none, or none was found in some seconds. */
size_t parquet_find_damaged(Duck *duck, const char *const *paths, size_t n);

/* A path as read_parquet takes it literally: glob characters escaped. */
void parquet_escape_glob(Text *out, const char *path);

#endif
