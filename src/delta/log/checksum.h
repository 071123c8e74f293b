/* _delta_log/%020d.crc: what a version amounts to, in one small file (Delta protocol, Version Checksum File).
 *
 * Other readers take protocol, metadata and totals from it without replaying the log, and check what they replayed. It
 * is optional and never the truth: one that is missing or torn counts as absent, one that disagrees with the log is
 * told and passed over.
 */
#ifndef FRESHET_DELTA_LOG_CHECKSUM_H
#define FRESHET_DELTA_LOG_CHECKSUM_H

#include "delta/log/commit.h"

enum { DELTA_CHECKSUM_ID_MAX = 64 };

/* The numbers of a version: all that has to be carried from one to the next. */
typedef struct DeltaChecksum {
    char table_id[DELTA_CHECKSUM_ID_MAX]; /* metaData.id, as much as fits */
    int64_t version;
    int64_t files, bytes;     /* of the live adds; files < 0: nothing is known of this version and those before it */
    int64_t vectors, deleted; /* their deletion vectors and the rows these hide; -1: not known */
} DeltaChecksum;

#define DELTA_CHECKSUM_NONE ((DeltaChecksum){.version = -1, .files = -1})

/* The file of a version. *found is false when there is none, and when it is torn, not understood or of another table
 * than `table_id`; only a store that cannot be reached is an error. */
Status delta_checksum_read(Store *store, int64_t version, const char *table_id, DeltaChecksum *out, bool *found,
                           Error *err);
/* From the version before `commit` to its own. False, and nothing is done, when that cannot be known without the list
 * of files: a remove without a size, or adds that only describe anew what is there. */
bool delta_checksum_advance(DeltaChecksum *checksum, const DeltaCommit *commit);
/* The numbers of a snapshot, counted over its files. */
Status delta_checksum_count(const DeltaSnapshot *snapshot, DuckConn *conn, DeltaChecksum *out, Error *err);
/* Are two the same, as far as both know? */
bool delta_checksum_equal(const DeltaChecksum *a, const DeltaChecksum *b);

/* Leaves the file of the snapshot's version; `checksum` are its numbers. Somebody else's file of it stays. Not waited
 * for by the disk: a torn one is found out when it is read. */
Status delta_checksum_write(const DeltaSnapshot *snapshot, const DeltaChecksum *checksum, Error *err);

#endif
