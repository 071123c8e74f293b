/* Parquet files as a relation. DuckDB reads them; files of one schema are read together, and what they lack or have
 * beyond the source's schema is settled by name: missing columns are NULL, a value that does not fit its column and a
 * column without a home are rescued.
 */
#ifndef FRESHET_SOURCE_FILES_PARQUET_H
#define FRESHET_SOURCE_FILES_PARQUET_H

#include "source/files_scan.h"

/* The columns of all files by name, in order of appearance; the first type that a name had. */
Status files_parquet_schema(DuckConn *conn, const FilesOptions *options, const FilesItem *items, size_t n,
                            DeltaSchema **out, Error *err);

/* As files_scan_relation. The number of rows is known beforehand. */
Status files_parquet_relation(DuckConn *conn, const FilesOptions *options, const FilesColumns *columns,
                              const FilesItem *items, size_t n, StreamRelation *out, Error *err);

#endif
