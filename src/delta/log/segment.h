/* What is in _delta_log: one listing, and which checkpoint and commits of it make a version. */
#ifndef FRESHET_DELTA_LOG_SEGMENT_H
#define FRESHET_DELTA_LOG_SEGMENT_H

#include "base/mem.h"
#include "delta/log/name.h"
#include "store/store.h"

typedef struct DeltaLogFile {
    DeltaLogName name;
    const char *text; /* bare file name; NULL for commits and checksums, whose name follows from the version */
    int64_t size, mtime_ms;
} DeltaLogFile;

enum { DELTA_LOG_KEY_MAX = 192 };
/* The file's key in the table's store: "_delta_log/<name>". */
void delta_log_file_key(const DeltaLogFile *file, char out[DELTA_LOG_KEY_MAX]);

/* Known files in byte order of their names. Checkpoint files of no length are left out: no writer finished them. */
typedef struct DeltaListing {
    Arena *arena;
    DeltaLogFile *files;
    size_t n, capacity;
    int64_t from; /* versions before it were not listed */
} DeltaListing;

Status delta_listing_read(Store *store, int64_t from, DeltaListing **out, Error *err);
void delta_listing_free(DeltaListing *listing); /* NULL is fine */
/* Newest version that has a commit or a complete checkpoint; -1 when there is none. */
int64_t delta_listing_newest(DeltaListing *listing);
/* First and last commit; false when there is none. */
bool delta_listing_commits(const DeltaListing *listing, int64_t *first, int64_t *last);
const DeltaLogFile *delta_listing_commit(const DeltaListing *listing, int64_t version); /* NULL when not there */
/* The longest compaction that starts at `version` and ends at `end_max` at the latest; NULL when there is none. */
const DeltaLogFile *delta_listing_compaction(const DeltaListing *listing, int64_t version, int64_t end_max);

/* The files of one complete checkpoint. */
typedef struct DeltaCheckpointFiles {
    int64_t version;
    DeltaLogKind kind;
    bool json;
    const char **names; /* bare, parts in order */
    size_t n;
    int64_t bytes, mtime_ms;
} DeltaCheckpointFiles;

/* Complete checkpoints up to `version_max`, the preferred one first: newest version, then v2, multi-part, classic.
 * Lives in the listing. */
DeltaCheckpointFiles *delta_listing_checkpoints(DeltaListing *listing, int64_t version_max, size_t *n);

#endif
