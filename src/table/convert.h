/* CONVERT TO DELTA: a folder of Parquet files becomes a table where it is. */
#ifndef FRESHET_TABLE_CONVERT_H
#define FRESHET_TABLE_CONVERT_H

#include "delta/schema.h"
#include "delta/transaction.h"

/* The first version of a table over all Parquet files below `table`'s folder; hidden ones (beginning with _ or .) are
 * left out. `partitions`: columns that the folders hold as name=value, in their order; NULL = none. No file is changed.
 * *files: how many. E_DELTA_EXISTS when it is a table already; E_DELTA_SCHEMA when there is no file, when the files'
 * columns do not go together or a folder does not fit the partitions. */
Status table_convert(DeltaTable *table, DuckConn *conn, const DeltaSchema *partitions, int64_t *files, Error *err);

#endif
