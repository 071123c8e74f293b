/* From a listing to a snapshot (Delta protocol, Checkpoints, Last Checkpoint File).
 *
 * Read the hint; list from there; take the newest complete checkpoint up to the wanted version; read the commits after
 * it. Whatever is wrong with the hint or a checkpoint, the next older one is tried, and in the end the commits from
 * version 0. What is wrong with a commit is never passed over: without it the state is unknown.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "delta/log/hint.h"
#include "delta/table_int.h"

enum { ATTEMPTS = 3 };

typedef struct Load {
    DeltaTable *table;
    DuckConn *conn;
    int64_t wanted; /* -1 = newest */
    int64_t target; /* the version that is being built */
    DeltaListing *listing;
    DeltaCheckpoint *checkpoint;
    DeltaCommitNode *tail;
    Error damage;  /* of the first checkpoint that could not be read */
    int64_t tried; /* the oldest checkpoint that was tried; INT64_MAX = none */
    bool vanished; /* a listed file was gone when it was opened: a cleanup ran meanwhile */
} Load;

static Status list_from(Load *l, int64_t from, Error *err)
{
    delta_listing_free(l->listing);
    l->listing = NULL;
    return delta_listing_read(l->table->store, from, &l->listing, err);
}

/* Lists from the hinted checkpoint if that helps, else everything. */
static Status list_log(Load *l, Error *err)
{
    int64_t hinted, target;
    size_t n = 0;
    Status rc = OK;

    TRY(delta_hint_read(l->table->store, &hinted, err));
    if (hinted > 0 && (l->wanted < 0 || hinted <= l->wanted)) {
        TRY(list_from(l, hinted, err));
        target = l->wanted < 0 ? INT64_MAX : l->wanted;
        delta_listing_checkpoints(l->listing, target, &n);
    }
    if (n == 0) {
        TRY(list_from(l, 0, err));
    }
out:
    return rc;
}

static Status no_version(const Load *l, int64_t newest, Error *err)
{
    Status rc = error_set(err, E_DELTA_VERSION, "version %" PRId64 " does not exist", l->wanted);
    error_hint(err, "the newest version is %" PRId64, newest);
    return rc;
}

/* Says of which checkpoint there are only some parts, where that explains what is missing. */
static void hint_incomplete(const Load *l, Error *err)
{
    for (size_t i = l->listing->n; i-- > 0;) {
        const DeltaLogFile *file = &l->listing->files[i];
        if (file->name.kind == DELTA_LOG_CHECKPOINT_PART) {
            error_hint(err, "of the checkpoint of version %" PRId64 " there is %s, but not all %u parts",
                       file->name.version, file->text, file->name.parts);
            return;
        }
    }
}

static Status choose_target(Load *l, Error *err)
{
    int64_t newest = delta_listing_newest(l->listing);

    if (newest < 0) {
        Status rc = error_set(err, E_DELTA_NOT_A_TABLE, "%s is not a Delta table: there is no commit in its %s",
                              l->table->uri, DELTA_LOG_DIR);
        hint_incomplete(l, err);
        return rc;
    }
    if (newest < l->table->seen) {
        return error_set(err, E_DELTA_GAP,
                         "version %" PRId64 " has been read before, but the newest in the log is %" PRId64,
                         l->table->seen, newest);
    }
    if (l->wanted > newest) {
        return no_version(l, newest, err);
    }
    l->target = l->wanted < 0 ? newest : l->wanted;
    return OK;
}

/* The first version after `after` that the listing lacks, up to the target; -1 when none. */
static int64_t find_gap(const Load *l, int64_t after)
{
    for (int64_t v = after + 1; v <= l->target; v++) {
        if (delta_listing_commit(l->listing, v) == NULL) {
            return v;
        }
    }
    return -1;
}

static Status gap_error(const Load *l, int64_t missing, bool from_start, Error *err)
{
    int64_t first = 0, last = 0;
    Status rc;

    delta_listing_commits(l->listing, &first, &last);
    if (from_start && l->wanted >= 0 && missing == 0) {
        rc = error_set(err, E_DELTA_VERSION,
                       "version %" PRId64 " cannot be rebuilt: the log begins at version %" PRId64
                       " and no older checkpoint is left",
                       l->wanted, first);
        error_hint(err, "the log was cleaned up (delta.logRetentionDuration)");
        return rc;
    }
    if (from_start && missing == 0) {
        rc = error_set(err, E_DELTA_GAP,
                       "the log begins at version %" PRId64 " and there is no checkpoint to start from", first);
        error_klass(err, "DELTA_TRUNCATED_TRANSACTION_LOG");
        hint_incomplete(l, err);
        return rc;
    }
    rc = error_set(err, E_DELTA_GAP, "version %" PRId64 " is missing in the log, there is a version %" PRId64, missing,
                   last);
    error_hint(err, "%s/%020" PRId64 ".json was deleted or never arrived; restore it, or read an older version",
               DELTA_LOG_DIR, missing);
    return rc;
}

/* ---- commits ---- */

static Status read_compaction(Load *l, const DeltaLogFile *file, DeltaCommit **out, Error *err)
{
    DeltaCommit *commit = mem_alloc(sizeof *commit);
    char key[DELTA_LOG_NAME_MAX * 2];
    DeltaAction *actions;
    Status rc = OK;

    commit->version = file->name.end;
    commit->arena = arena_new();
    snprintf(key, sizeof key, "%s/%s", DELTA_LOG_DIR, file->text);
    TRY(delta_log_read_actions(l->table->store, key, commit->arena, &actions, &commit->n_actions, &commit->file_time,
                               err));
    commit->actions = actions;
    *out = commit;
out:
    if (rc != OK) {
        delta_commit_free(commit);
    }
    return rc;
}

/* The next commit, or several at once. The target itself is always read as it is, for its commitInfo. */
static Status read_next(Load *l, int64_t version, DeltaCommit **out, Error *err)
{
    const DeltaLogFile *compaction = delta_listing_compaction(l->listing, version, l->target - 1);
    Error ignored = ERROR_NONE;

    if (compaction != NULL) {
        if (read_compaction(l, compaction, out, &ignored) == OK) {
            return OK;
        }
        log_warning("%s: %s is not used: %s", l->table->uri, compaction->text, ignored.message);
    }
    Status rc = delta_commit_read(l->table, version, out, err);
    l->vanished = l->vanished || rc == ERR_NOT_FOUND;
    return rc;
}

static Status read_commits(Load *l, int64_t after, Error *err)
{
    Status rc = OK;

    for (int64_t v = after + 1; v <= l->target;) {
        DeltaCommit *commit;
        TRY(read_next(l, v, &commit, err));
        v = commit->version + 1;
        l->tail = delta_commit_node_new(commit, l->tail);
    }
out:
    return rc;
}

/* ---- checkpoints ---- */

/* Tries the checkpoints of the listing; *found says whether one could be read. */
static Status open_checkpoint(Load *l, bool *found, Error *err)
{
    size_t n;
    const DeltaCheckpointFiles *candidates = delta_listing_checkpoints(l->listing, l->target, &n);
    int64_t tried = l->tried;

    *found = false;
    for (size_t i = 0; i < n && !*found; i++) {
        Error failed = ERROR_NONE;
        if (candidates[i].version >= tried) {
            continue; /* known to be damaged from the shorter listing */
        }
        l->tried = candidates[i].version;
        Status rc = delta_checkpoint_open(l->table, l->conn, &candidates[i], &l->checkpoint, &failed);
        if (rc == ERR_INTERRUPTED) {
            *err = failed;
            return rc;
        }
        *found = rc == OK;
        if (rc != OK) {
            log_warning("%s: %s; an older state of the log is tried", l->table->uri, failed.message);
            if (error_status(&l->damage) == OK) {
                l->damage = failed;
            }
        }
    }
    return OK;
}

static Status start_from_commits(Load *l, Error *err)
{
    int64_t missing;
    Status rc = OK;

    if (l->listing->from > 0) {
        bool found;
        TRY(list_from(l, 0, err));
        TRY(open_checkpoint(l, &found, err));
        if (found) {
            goto out;
        }
    }
    missing = find_gap(l, -1);
    if (missing >= 0 && error_status(&l->damage) != OK) {
        rc = error_set(err, E_DELTA_CORRUPT,
                       "%s; and without it the log cannot be read, because version %" PRId64 " is missing",
                       l->damage.message, missing);
        goto out;
    }
    if (missing >= 0) {
        rc = gap_error(l, missing, true, err);
    }
out:
    return rc;
}

/* File time of the target, and its in-commit timestamp where no commit was read for it. */
static Status find_time(Load *l, DeltaSnapshotParts *parts, Error *err)
{
    const DeltaLogFile *file = delta_listing_commit(l->listing, l->target);
    DeltaCommitInfo info;
    bool found = false;
    Status rc = OK;

    if (l->tail != NULL || file == NULL) {
        return OK;
    }
    parts->timestamp = parts->file_time = file->mtime_ms;
    Arena *arena = arena_new();
    TRY(delta_log_read_info(l->table->store, l->target, arena, &info, &found, err));
    if (found && info.in_commit_timestamp >= 0) {
        parts->timestamp = info.in_commit_timestamp;
    }
out:
    arena_free(arena);
    return rc;
}

static Status load(Load *l, DeltaSnapshot **out, Error *err)
{
    DeltaSnapshotParts parts = {0};
    bool found;
    int64_t after, missing;
    Status rc = OK;

    TRY(list_log(l, err));
    TRY(choose_target(l, err));
    TRY(open_checkpoint(l, &found, err));
    if (!found) {
        TRY(start_from_commits(l, err));
    }
    after = l->checkpoint != NULL ? l->checkpoint->version : -1;
    missing = find_gap(l, after);
    if (missing >= 0) {
        rc = gap_error(l, missing, false, err);
        goto out;
    }
    TRY(read_commits(l, after, err));
    TRY(find_time(l, &parts, err));
    parts.version = l->target;
    parts.checkpoint = l->checkpoint;
    parts.tail = l->tail;
    l->checkpoint = NULL;
    l->tail = NULL;
    TRY(delta_snapshot_build(l->table, &parts, out, err));
out:
    return rc;
}

Status delta_snapshot_load(DeltaTable *table, DuckConn *conn, int64_t version, DeltaSnapshot **out, Error *err)
{
    Status rc = OK;

    for (int attempt = 1; attempt <= ATTEMPTS; attempt++) {
        Load *l = mem_alloc(sizeof *l);
        Error failed = ERROR_NONE;
        *l = (Load){.table = table, .conn = conn, .wanted = version, .tried = INT64_MAX};
        rc = load(l, out, &failed);
        bool again = rc == ERR_NOT_FOUND && l->vanished;
        delta_listing_free(l->listing);
        delta_checkpoint_unref(l->checkpoint);
        delta_commit_node_unref(l->tail);
        mem_free(l);
        if (rc == OK) {
            return OK;
        }
        if (err != NULL) {
            *err = failed;
        }
        if (!again) {
            break;
        }
    }
    return rc;
}
