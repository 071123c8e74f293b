/* Files of actions, one JSON object a line: commits, compacted commits, JSON manifests of v2 checkpoints. */
#ifndef FRESHET_DELTA_LOG_COMMIT_H
#define FRESHET_DELTA_LOG_COMMIT_H

#include <stdatomic.h>

#include "delta/action.h"
#include "delta/table.h"

/* Reads one file. Torn, empty or without any action is E_DELTA_CORRUPT with file and line; missing is E_IO_NOT_FOUND.
 * Blank lines are skipped, and so are unknown actions. `mtime_ms` may be NULL. */
Status delta_log_read_actions(Store *store, const char *key, Arena *arena, DeltaAction **actions, size_t *n,
                              int64_t *mtime_ms, Error *err);
/* Only the commitInfo of a commit; *found is false when it has none. */
Status delta_log_read_info(Store *store, int64_t version, Arena *arena, DeltaCommitInfo *out, bool *found, Error *err);

/* A commit (or several compacted ones) as snapshots share them: a list from the newest to the oldest. */
typedef struct DeltaCommitNode {
    DeltaCommit *commit; /* of compacted ones, the last version */
    struct DeltaCommitNode *previous;
    _Atomic int references;
    size_t depth; /* nodes from here to the oldest, this one included */
} DeltaCommitNode;

/* Takes the commit and a reference to `previous` (NULL is fine) over; the node has one reference. */
DeltaCommitNode *delta_commit_node_new(DeltaCommit *commit, DeltaCommitNode *previous);
DeltaCommitNode *delta_commit_node_ref(DeltaCommitNode *node);
void delta_commit_node_unref(DeltaCommitNode *node); /* NULL is fine */

/* First commitInfo of a commit, or NULL. */
const DeltaCommitInfo *delta_commit_info(const DeltaCommit *commit);

#endif
