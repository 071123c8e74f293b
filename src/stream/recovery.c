#include "stream/recovery.h"

#include <string.h>

static Status ahead(int64_t target_batch, int64_t last, const char *target, Error *err)
{
    if (last < 0) {
        error_set(err, E_STREAM_AHEAD, "%s holds batch %lld of this flow, but its checkpoint is empty", target,
                  (long long)target_batch);
    } else {
        error_set(err, E_STREAM_AHEAD, "%s holds batch %lld of this flow, but its checkpoint ends at batch %lld",
                  target, (long long)target_batch, (long long)last);
    }
    error_hint(
        err,
        "an older copy of the checkpoint was put back; going on would skip or repeat rows. Put the newest checkpoint "
        "back, or rebuild the table with --full-refresh");
    return error_status(err);
}

/* Do the offsets that the commit names agree with offsets/L? Values are compared, not their spelling. */
static Status same_offsets(const OffsetsEntry *entry, const char *target_json, const char *target, Error *err)
{
    JsonSource source = {.name = "commitInfo.freshet"};
    json_t *facts = NULL, *offsets = NULL;
    bool same = true;
    Status rc = OK;

    TRY(json_parse_object(target_json, strlen(target_json), &source, &facts, err));
    TRY(json_opt_array(facts, "offsets", &offsets, err));
    if (!offsets) {
        goto out;
    }
    same = json_array_size(offsets) == entry->n_ends;
    for (size_t i = 0; same && i < entry->n_ends; i++) {
        const json_t *there = json_array_get(offsets, i);
        json_t *here = NULL;
        if (!entry->ends[i]) {
            same = json_is_null(there);
            continue;
        }
        source.name = "an offset of the checkpoint";
        TRY(json_parse(entry->ends[i], strlen(entry->ends[i]), &source, &here, err));
        same = json_equal(there, here) == 1;
        json_decref(here);
    }
    if (!same) {
        error_set(err, E_STREAM_AHEAD, "batch %lld in %s was made from other offsets than the checkpoint says",
                  (long long)entry->batch, target);
        error_hint(err, "an older copy of the checkpoint was put back and a batch was planned anew; restore the newest "
                        "checkpoint, or rebuild the table with --full-refresh");
        rc = error_status(err);
    }
out:
    json_decref(facts);
    return rc;
}

/* Batches that the checkpoint says made a commit must still be in the target. */
static Status not_replaced(const CheckpointState *state, int64_t target_batch, const char *target, Error *err)
{
    int64_t committed = -1;
    Status rc = OK;

    if (!state->commit || !state->commit->freshet) {
        return OK;
    }
    TRY(json_opt_i64(state->commit->freshet, "committed", &committed, err));
    if (committed > target_batch) {
        error_set(err, E_STREAM_FOREIGN, "%s does not hold batch %lld, which the checkpoint says was committed to it",
                  target, (long long)committed);
        error_hint(err,
                   "the table was dropped, replaced or put back to an older state; rebuild it with --full-refresh");
        rc = error_status(err);
    }
out:
    return rc;
}

static Status damaged(Error *err, const char *what, int64_t batch)
{
    error_set(err, E_STREAM_CHECKPOINT, "%s/%lld is missing in the checkpoint", what, (long long)batch);
    error_hint(err,
               "somebody removed files of the checkpoint; put them back, or rebuild the table with --full-refresh");
    return error_status(err);
}

Status recovery_decide(const CheckpointState *state, int64_t target_batch, const char *target_json, const char *target,
                       RecoveryAction *out, Error *err)
{
    int64_t last = state->offsets_last, done = state->commits_last;
    Status rc = OK;

    if (done > last) {
        return damaged(err, "offsets", done);
    }
    if (target_batch > last) {
        return ahead(target_batch, last, target, err);
    }
    if (last < 0) {
        *out = RECOVERY_NEXT;
        return OK;
    }
    if (last > 0 && done < last && !state->before) {
        return damaged(err, "offsets", last - 1);
    }
    if (target_batch == last && target_json) {
        TRY(same_offsets(state->last, target_json, target, err));
    }
    if (done == last) {
        TRY(not_replaced(state, target_batch, target, err));
        *out = RECOVERY_NEXT;
    } else if (target_batch == last) {
        *out = RECOVERY_LOG_COMMIT;
    } else if (done == last - 1 || target_batch == last - 1) {
        TRY(not_replaced(state, target_batch, target, err));
        *out = RECOVERY_RERUN;
    } else {
        rc = damaged(err, "commits", last - 1);
    }
out:
    return rc;
}
