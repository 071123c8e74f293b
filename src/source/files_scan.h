/* Reading text files (json, csv, text) as a relation: files cut into units, read by several threads at once.
 *
 * A unit is a file, or a part of UNIT_BYTES of a big uncompressed one whose records are lines. Which thread reads
 * what, and so the order of the rows, is left to chance.
 */
#ifndef FRESHET_SOURCE_FILES_SCAN_H
#define FRESHET_SOURCE_FILES_SCAN_H

#include <stdatomic.h>

#include "source/files_columns.h"
#include "source/files_item.h"

/* What reading met. Outlives the relation; threads add to it. */
typedef struct FilesFindings {
    _Atomic int64_t rows, corrupt, rescued; /* rescued: rows with something in them that did not fit */
    atomic_bool unknown_column; /* a field that the schema does not know, in a mode that does not just rescue it */
} FilesFindings;

/* The files as a sub-query with the columns of `columns`. What the pointers lead to must live until the relation is
 * released, except `items`, which are copied. A file that is gone is an error or, with ignoreMissingFiles, passed
 * over. */
Status files_scan_relation(Duck *duck, const FilesOptions *options, const FilesColumns *columns, const FilesItem *items,
                           size_t n, FilesFindings *findings, StreamRelation *out, Error *err);

#endif
