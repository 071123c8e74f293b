/* CREATE TABLE ... [SHALLOW | DEEP] CLONE: a table with the content of another one at a version.
 *
 * A deep clone has files of its own. A shallow one names the source's files by absolute paths and copies nothing; it
 * breaks when the source's VACUUM removes them. Cloning into a table again (CREATE OR REPLACE) copies only what it does
 * not have. */
#ifndef FRESHET_TABLE_CLONE_H
#define FRESHET_TABLE_CLONE_H

#include "table/create.h"

typedef struct TableClone {
    bool shallow, or_replace, if_not_exists;
    bool like;               /* CREATE TABLE ... LIKE: no rows */
    const char *source_name; /* as the statement names it, for commitInfo */
    const TableProperty *properties;
    size_t n_properties;
} TableClone;

typedef struct TableCloneResult {
    bool done; /* false: IF NOT EXISTS, and there was a table */
    int64_t source_files, source_bytes;
    int64_t files_removed, bytes_removed, files_copied, bytes_copied;
} TableCloneResult;

/* One commit. Copied files are durable before it, and appear under their names when they are whole: what a crash leaves
 * is taken up by the next attempt. E_DELTA_EXISTS as table_create. */
Status table_clone(DeltaTable *table, DuckConn *conn, DeltaSnapshot *source, const TableClone *clone,
                   TableCloneResult *result, Error *err);

#endif
