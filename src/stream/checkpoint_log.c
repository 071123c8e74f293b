/* offsets/ and commits/ as files: what is there at a start, and what every batch adds. */
#include <string.h>

#include "base/failpoint.h"
#include "base/mem.h"
#include "stream/checkpoint.h"

enum { LOG_BYTES_MAX = 64 << 20 };

/* ---- reading back ---- */

/* The ids of a folder: they must follow each other. */
typedef struct Ids {
    int64_t first, last, count;
} Ids;

static bool note_id(void *context, const StoreEntry *entry)
{
    Ids *ids = context;
    int64_t id = 0;
    char plain[24];

    if (!str_parse_i64(entry->name, &id) || id < 0) {
        return true;
    }
    snprintf(plain, sizeof plain, "%lld", (long long)id);
    if (strcmp(plain, entry->name) != 0) {
        return true; /* "007", "+7": nobody writes such a name */
    }
    ids->first = ids->count == 0 || id < ids->first ? id : ids->first;
    ids->last = ids->count == 0 || id > ids->last ? id : ids->last;
    ids->count++;
    return true;
}

static Status list_ids(Store *store, const char *folder, Ids *out, Error *err)
{
    Ids ids = {.first = -1, .last = -1};
    Status rc = OK;

    TRY(store_list(store, folder, NULL, note_id, &ids, err));
    if (ids.count > 0 && ids.last - ids.first + 1 != ids.count) {
        error_set(err, E_STREAM_CHECKPOINT, "%s holds batches %lld to %lld with %lld of them missing", folder,
                  (long long)ids.first, (long long)ids.last, (long long)(ids.last - ids.first + 1 - ids.count));
        error_hint(err, "put the missing files back, or start the flow anew with --full-refresh");
        rc = error_status(err);
        goto out;
    }
    *out = ids;
out:
    return rc;
}

static void entry_key(char key[40], const char *folder, int64_t batch)
{
    snprintf(key, 40, "%s/%lld", folder, (long long)batch);
}

static Status read_offsets(Store *store, int64_t batch, size_t n_sources, OffsetsEntry **out, Error *err)
{
    Text text = TEXT(LOG_BYTES_MAX);
    OffsetsEntry *entry = NULL;
    char key[40];
    Status rc = OK;

    entry_key(key, "offsets", batch);
    TRY(store_read(store, key, LOG_BYTES_MAX, &text, NULL, err));
    TRY(offsets_entry_parse(text_str(&text), text.length, key, batch, &entry, err));
    if (entry->n_ends != n_sources) {
        error_set(err, E_STREAM_FOREIGN, "%s was written for %zu sources, the flow has %zu", key, entry->n_ends,
                  n_sources);
        error_hint(err,
                   "sources may not be added or removed; restore the definition, or start anew with --full-refresh");
        rc = error_status(err);
        goto out;
    }
    *out = entry;
    entry = NULL;
out:
    offsets_entry_free(entry);
    text_free(&text);
    return rc;
}

static Status read_commit(Store *store, int64_t batch, CommitsEntry **out, Error *err)
{
    Text text = TEXT(LOG_BYTES_MAX);
    char key[40];
    Status rc = OK;

    entry_key(key, "commits", batch);
    TRY(store_read(store, key, LOG_BYTES_MAX, &text, NULL, err));
    TRY(commits_entry_parse(text_str(&text), text.length, key, batch, out, err));
out:
    text_free(&text);
    return rc;
}

Status checkpoint_read_commit(Checkpoint *checkpoint, int64_t batch, CommitsEntry **out, Error *err)
{
    return read_commit(checkpoint_store(checkpoint), batch, out, err);
}

Status checkpoint_look(Store *store, int64_t batch, int64_t *oldest, int64_t *newest, CommitsEntry **out, Error *err)
{
    Ids ids = {.first = -1, .last = -1};
    CommitsEntry *entry = NULL;
    Status rc = OK;

    TRY(store_list(store, "commits", NULL, note_id, &ids, err)); /* while ids come and go there may be gaps */
    if (ids.count > 0) {
        TRY(read_commit(store, batch < 0 ? ids.last : batch, &entry, err));
    }
    *oldest = ids.first;
    *newest = ids.last;
    *out = entry;
out:
    return rc;
}

void checkpoint_state_clear(CheckpointState *state)
{
    offsets_entry_free(state->last);
    offsets_entry_free(state->before);
    commits_entry_free(state->commit);
    *state = (CheckpointState){.offsets_last = -1, .commits_last = -1, .oldest = -1};
}

Status checkpoint_load(Checkpoint *checkpoint, size_t n_sources, CheckpointState *out, Error *err)
{
    CheckpointState state = {.offsets_last = -1, .commits_last = -1, .oldest = -1};
    Store *store = checkpoint_store(checkpoint);
    Ids offsets, commits;
    Status rc = OK;

    TRY(list_ids(store, "offsets", &offsets, err));
    TRY(list_ids(store, "commits", &commits, err));
    state.offsets_last = offsets.last;
    state.commits_last = commits.last;
    state.oldest = commits.count > 0 && commits.first < offsets.first ? commits.first : offsets.first;
    if (offsets.count > 0) {
        TRY(read_offsets(store, offsets.last, n_sources, &state.last, err));
    }
    if (offsets.count > 1) {
        TRY(read_offsets(store, offsets.last - 1, n_sources, &state.before, err));
    }
    if (commits.count > 0) {
        TRY(read_commit(store, commits.last, &state.commit, err));
    }
    *out = state;
    state = (CheckpointState){0};
out:
    if (rc != OK) {
        error_context(err, "checkpoint %s", store_uri(store));
    }
    checkpoint_state_clear(&state);
    return rc;
}

/* ---- adding ---- */

static Status put(Checkpoint *checkpoint, const char *key, const Text *text, Error *err)
{
    Error local = ERROR_NONE;
    Status rc = store_put_if_absent(checkpoint_store(checkpoint), key, text->data, text->length, &local);

    if (rc == ERR_EXISTS) {
        error_set(err, E_STREAM_LOCKED, "another runner has written %s of checkpoint %s", key,
                  store_uri(checkpoint_store(checkpoint)));
        error_hint(err, "two processes run this flow; stop one of them");
        return error_status(err);
    }
    if (rc != OK && err) {
        *err = local;
    }
    return rc;
}

Status checkpoint_put_offsets(Checkpoint *checkpoint, const OffsetsEntry *entry, Error *err)
{
    Text text = TEXT(LOG_BYTES_MAX);
    char key[40];
    Status rc = OK;

    entry_key(key, "offsets", entry->batch);
    TRY(offsets_entry_write(entry, &text, err));
    TRY(failpoint(FP_STREAM_OFFSETS_BEFORE_PUT, err));
    TRY(put(checkpoint, key, &text, err));
    TRY(failpoint(FP_STREAM_OFFSETS_AFTER_PUT, err));
out:
    text_free(&text);
    return rc;
}

Status checkpoint_put_commit(Checkpoint *checkpoint, int64_t batch, int64_t next_watermark_ms, const char *freshet_json,
                             Error *err)
{
    Text text = TEXT(LOG_BYTES_MAX);
    char key[40];
    Status rc = OK;

    entry_key(key, "commits", batch);
    commits_entry_write(next_watermark_ms, freshet_json, &text);
    TRY(failpoint(FP_STREAM_COMMITS_BEFORE_PUT, err));
    TRY(put(checkpoint, key, &text, err));
    TRY(failpoint(FP_STREAM_COMMITS_AFTER_PUT, err));
out:
    text_free(&text);
    return rc;
}

Status checkpoint_purge(Checkpoint *checkpoint, int64_t from, int64_t to, Error *err)
{
    static const char *const FOLDERS[] = {"commits", "offsets"}; /* what is left of a batch is never a commit alone */
    char key[40];
    Status rc = OK;

    for (int64_t batch = from; batch <= to; batch++) {
        for (size_t i = 0; i < 2; i++) {
            entry_key(key, FOLDERS[i], batch);
            TRY(failpoint(FP_STREAM_PURGE_BEFORE_DELETE, err));
            TRY(store_delete(checkpoint_store(checkpoint), key, err));
            TRY(failpoint(FP_STREAM_PURGE_AFTER_DELETE, err));
        }
    }
out:
    return rc;
}
