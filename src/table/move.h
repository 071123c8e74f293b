/* Moving rows: files of a table are written anew with what they hold, so that they become what the table now wants its
 * files to be. Only inside src/table. */
#ifndef FRESHET_TABLE_MOVE_H
#define FRESHET_TABLE_MOVE_H

#include "delta/write.h"

/* Removes `files`, which are live in the transaction's snapshot, and adds ones that hold their rows, with the schema and
 * the properties that the transaction has now. Rows that have ids keep them, for which all files are written anew. */
Status table_move_rows(DeltaTransaction *txn, DuckConn *conn, const DeltaFile *files, size_t n, Error *err);

#endif
