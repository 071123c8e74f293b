/* Schemas from files: inferred from a sample, extended by what new files bring. */
#ifndef FRESHET_SOURCE_FILES_INFER_H
#define FRESHET_SOURCE_FILES_INFER_H

#include "source/files_columns.h"
#include "source/files_item.h"

/* How much of the files is looked at. HEAD: the first INFER_HEAD_RECORDS of each. SAMPLE: the first
 * INFER_SAMPLE_FILES files, INFER_SAMPLE_BYTES in all but at least INFER_HEAD_BYTES of each. ALL: everything. Of
 * Parquet files the footer says it all. */
typedef enum FilesDepth { INFER_HEAD, INFER_SAMPLE, INFER_ALL } FilesDepth;
enum {
    INFER_HEAD_RECORDS = 100,
    INFER_HEAD_BYTES = 64 << 10,
    INFER_SAMPLE_FILES = 1000,
    INFER_SAMPLE_BYTES = 16 << 20
};

/* The schema of the data in the files, with the hints. No fields when there are no records. */
Status files_infer(DuckConn *conn, const FilesOptions *options, const FilesItem *items, size_t n, FilesDepth depth,
                   DeltaSchema **out, Error *err);

/* `base` with the columns the files have and it lacks; NULL when there are none. */
Status files_extend(DuckConn *conn, const FilesOptions *options, const FilesColumns *columns, const DeltaSchema *base,
                    const FilesItem *items, size_t n, FilesDepth depth, DeltaSchema **out, Error *err);

#endif
