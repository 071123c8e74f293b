/* The columns of a file source: those of the data, and those that freshet adds.
 *
 *   data columns, partition columns (from the path), _corrupt_record (only where a given schema has it),
 *   _rescued_data, _metadata
 */
#ifndef FRESHET_SOURCE_FILES_COLUMNS_H
#define FRESHET_SOURCE_FILES_COLUMNS_H

#include "delta/schema.h"
#include "duck/type.h"
#include "source/files_options.h"

typedef enum ColumnRole { ROLE_DATA, ROLE_PARTITION, ROLE_CORRUPT, ROLE_RESCUED, ROLE_METADATA } ColumnRole;

typedef struct FilesColumns {
    Arena *arena;         /* not owned */
    DeltaSchema *schema;  /* all columns; a reference */
    DuckColumnInfo *duck; /* the same as DuckDB has them */
    ColumnRole *roles;
    size_t *positions; /* DATA: among data[]; PARTITION: among the partition columns */
    DeltaField *data;
    size_t n, n_data, n_partitions;
    const char **partitions; /* names */
    const char **added;      /* names of the columns that are not data: a file's field of such a name is rescued */
    size_t n_added;
} FilesColumns;

/* `data`: the schema of the data, as inferred, kept or given (it may declare the other columns too). Allocates in
 * `arena`, which outlives it. */
Status files_columns_init(FilesColumns *columns, const DeltaSchema *data, const FilesOptions *options, Arena *arena,
                          Error *err);
void files_columns_fini(FilesColumns *columns);

#endif
