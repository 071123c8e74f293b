/* Iceberg compatibility, versions 1 and 2: a table whose files could be those of an Iceberg table as they are (Delta
 * protocol, Iceberg Compatibility V1, V2). No metadata of Iceberg's is written.
 */
#ifndef FRESHET_DELTA_ICEBERG_COMPAT_H
#define FRESHET_DELTA_ICEBERG_COMPAT_H

#include "delta/transaction.h"

/* The version whose property is on; 0: none. */
int delta_iceberg_version(const DeltaMetadata *metadata);
/* Do the parts of lists and maps have field ids? */
bool delta_iceberg_numbers_parts(const DeltaMetadata *metadata);
/* They should have, and some have none: another writer's table. */
bool delta_iceberg_lacks_part_ids(const DeltaMetadata *metadata, const DeltaSchema *schema);
/* What add.tags says of a file written now: a JSON object, or NULL. */
const char *delta_iceberg_tags(const DeltaMetadata *metadata);

/* May a table become like this? `before`: its metadata so far, NULL for a new one. E_DELTA_ICEBERG with the class
 * DELTA_ICEBERG_COMPAT_VIOLATION.<rule>, named as Spark names the rules. */
Status delta_iceberg_check_table(const DeltaMetadata *before, const DeltaProtocol *protocol,
                                 const DeltaMetadata *metadata, const DeltaSchema *schema, Error *err);
/* The same for what a transaction changes; OK when it changes neither metadata nor protocol. */
Status delta_iceberg_check(const DeltaTransaction *txn, Error *err);
/* May the log name this file in a table of that version? */
Status delta_iceberg_check_add(int version, const DeltaFile *file, Error *err);

/* The files that the commit leaves in the table and that are not as its version wants them, in `arena`: none when no
 * version begins with this commit, since from then on every file is written so. Reads footers. */
Status delta_iceberg_misfits(const DeltaTransaction *txn, Arena *arena, DeltaFile **files, size_t *n, Error *err);
/* E_DELTA_ICEBERG (CHANGE_VERSION_NEED_REWRITE) when there are any. */
Status delta_iceberg_check_files(const DeltaTransaction *txn, Error *err);

#endif
