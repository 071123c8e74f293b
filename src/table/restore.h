/* RESTORE TABLE: an older version once more, as a new one. */
#ifndef FRESHET_TABLE_RESTORE_H
#define FRESHET_TABLE_RESTORE_H

#include "delta/transaction.h"

typedef struct TableRestore {
    int64_t files_after, bytes_after; /* of the table as it is then */
    int64_t files_removed, files_restored, bytes_removed, bytes_restored;
} TableRestore;

/* Content, schema, partitioning and properties become those of `version`; the protocol stays. One commit, none when
 * nothing differs. E_IO_NOT_FOUND when a file of that version has been vacuumed. `timestamp`: as the user asked, or
 * NULL. */
Status table_restore(DeltaTable *table, DuckConn *conn, int64_t version, const char *timestamp, TableRestore *result,
                     Error *err);

#endif
