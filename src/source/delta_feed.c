/* The change feed of a Delta table as a stream.
 *
 * What is numbered are the cdc files of a commit if it has any, else its adds and removes that change data. A commit
 * whose changes only show from all of its actions together (it has cdc files, or deletion vectors) is taken whole or
 * not at all; the first one of a batch always is, so that the stream never stands still.
 */
#include <inttypes.h>

#include "source/delta_int.h"

DeltaSchema *delta_feed_columns(const DeltaSource *source)
{
    return source->options.change_feed ? delta_changes_schema(source->schema) : delta_schema_ref(source->schema);
}

Status delta_feed_begin(DeltaSource *source, DuckConn *conn, Error *err)
{
    return source->options.change_feed ? delta_changes_new(source->snapshot, conn, &source->range.changes, err) : OK;
}

Status delta_feed_check_start(DeltaSource *source, DuckConn *conn, const DeltaOffset *at, Error *err)
{
    DeltaSnapshot *snapshot = NULL;
    Status rc = OK;

    if (!source->options.change_feed) {
        return OK;
    }
    if (at->version < source->init_version) {
        TRY(delta_table_snapshot_at(source->table, conn, at->version, &snapshot, err));
    } else {
        snapshot = delta_snapshot_ref(source->snapshot);
    }
    TRY(delta_changes_check(delta_snapshot_metadata(snapshot), at->version, delta_table_uri(source->table), err));
out:
    delta_snapshot_unref(snapshot);
    return rc;
}

/* What of a commit is numbered. */
typedef struct FeedItems {
    bool cdc, whole;
    int64_t n, bytes;
} FeedItems;

static bool is_item(const DeltaAction *action, bool cdc)
{
    if (cdc) {
        return action->kind == DELTA_ACTION_CDC;
    }
    return (action->kind == DELTA_ACTION_ADD || action->kind == DELTA_ACTION_REMOVE) && action->file.data_change;
}

static FeedItems count_items(const DeltaCommit *commit)
{
    FeedItems items = {0};

    for (size_t i = 0; i < commit->n_actions; i++) {
        items.cdc |= commit->actions[i].kind == DELTA_ACTION_CDC;
    }
    items.whole = items.cdc;
    for (size_t i = 0; i < commit->n_actions; i++) {
        if (is_item(&commit->actions[i], items.cdc)) {
            items.n++;
            items.bytes += commit->actions[i].file.size;
            items.whole |= commit->actions[i].file.deletion_vector != NULL;
        }
    }
    return items;
}

/* All of a commit, if the limits leave room for it. Where vectors decide, its two ends count, too. */
static Status take_whole(DeltaWalk *walk, const DeltaCommit *commit, const FeedItems *items, bool *done, Error *err)
{
    int64_t files = items->n + (items->cdc ? 0 : 2);
    Status rc = OK;

    if (!walk->end) {
        bool fits = walk->files_left >= files && walk->bytes_left >= items->bytes;
        if (walk->files_left <= 0 || walk->bytes_left <= 0 || (walk->range->n > 0 && !fits)) {
            walk->full = *done = true;
            return OK;
        }
        walk->files_left -= files;
        walk->bytes_left -= items->bytes;
    }
    TRY(delta_changes_add_commit(walk->range->changes, commit, err));
    walk->range->n += (size_t)items->n;
    walk->range->bytes += items->bytes;
    walk->range->rows = -1;
    walk->at = (DeltaOffset){.version = commit->version, .index = items->n - 1};
    TRY(delta_walk_end_commit(walk, commit, done, err));
out:
    return rc;
}

Status delta_feed_take(DeltaWalk *walk, const DeltaCommit *commit, bool *done, Error *err)
{
    FeedItems items = count_items(commit);
    int64_t index = 0, last = delta_walk_last_index(walk, commit->version);
    Status rc = OK;

    if (items.whole && items.n > 0) {
        return take_whole(walk, commit, &items, done, err);
    }
    for (size_t i = 0; i < commit->n_actions && index <= last; i++) {
        DeltaCommit one = {
            .version = commit->version, .timestamp = commit->timestamp, .actions = &commit->actions[i], .n_actions = 1};
        if (!is_item(one.actions, false)) {
            continue;
        }
        if (index > walk->at.index) {
            if (!walk->end && !delta_walk_admit(walk, one.actions->file.size)) {
                *done = true;
                return OK;
            }
            TRY(delta_changes_add_commit(walk->range->changes, &one, err));
            walk->range->n++;
            walk->range->bytes += one.actions->file.size;
            walk->range->rows = -1;
            walk->at.index = index;
        }
        index++;
    }
    return delta_walk_end_commit(walk, commit, done, err);
out:
    return rc;
}
