/* The change feed: what commits did to rows, as one relation (Delta protocol, Change Data Files).
 *
 * The columns are those of the table, then _change_type (insert, update_preimage, update_postimage, delete),
 * _commit_version and _commit_timestamp. A commit with cdc files says everything in them; otherwise its adds are
 * inserts, its removes deletes, and a file that is both changed its deletion vector: the rows that differ were deleted
 * or came back.
 */
#ifndef FRESHET_DELTA_CHANGES_H
#define FRESHET_DELTA_CHANGES_H

#include "delta/scan.h"

/* Collects commits, then gives the relation; owns the scans its SQL refers to. */
typedef struct DeltaChanges DeltaChanges;

/* Changes read with the schema of `snapshot`. */
Status delta_changes_new(DeltaSnapshot *snapshot, DuckConn *conn, DeltaChanges **out, Error *err);
void delta_changes_free(DeltaChanges *changes);

/* All changes of one commit. */
Status delta_changes_add_commit(DeltaChanges *changes, const DeltaCommit *commit, Error *err);
/* The rows of a live file as inserts of a version: the initial snapshot of a stream. */
Status delta_changes_add_file(DeltaChanges *changes, const DeltaFile *file, int64_t version, int64_t timestamp,
                              Error *err);

/* The relation; once, after the last commit. "SELECT ...", valid while `changes` lives. */
Status delta_changes_finish(DeltaChanges *changes, const char **sql, Error *err);
size_t delta_changes_files(const DeltaChanges *changes);
int64_t delta_changes_bytes(const DeltaChanges *changes);

/* The columns of the feed over a table's schema; a new reference. */
DeltaSchema *delta_changes_schema(const DeltaSchema *schema);
/* E_DELTA_CHANGES (DELTA_MISSING_CHANGE_DATA) unless the metadata says delta.enableChangeDataFeed. */
Status delta_changes_check(const DeltaMetadata *metadata, int64_t version, const char *uri, Error *err);

/* Versions first to last, both included; last < 0: the newest. E_DELTA_VERSION for a range that is empty or outside the
 * log, E_DELTA_CHANGES where the feed was off or the schema changed in a way that the newest cannot read. */
Status delta_changes_range(DeltaTable *table, DuckConn *conn, int64_t first, int64_t last, DeltaChanges **out,
                           Error *err);

#endif
