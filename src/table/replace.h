/* Part of a table replaced by other rows: INSERT INTO ... REPLACE WHERE, and INSERT OVERWRITE with
 * partitionOverwriteMode = dynamic. */
#ifndef FRESHET_TABLE_REPLACE_H
#define FRESHET_TABLE_REPLACE_H

#include "table/insert.h"
#include "table/rewrite.h"

/* One commit: the rows for which `where` is true go, the query's rows come. With `where` NULL: all rows of the
 * partitions that the query's rows are in. E_DELTA_CONSTRAINT (DELTA_REPLACE_WHERE_MISMATCH) when `where` is not true
 * for a new row. *rows as table_insert. */
Status table_replace(DeltaTable *table, DuckConn *conn, const TableInsert *insert, const TableCondition *where,
                     int64_t *rows, Error *err);

#endif
