/* A flow's checkpoint folder, in Spark's layout.
 *
 *   metadata       {"id":"<uuid>"}                 the query id: txn.appId of every commit, made once
 *   offsets/<N>    what batch N reads              written before anything of N happens; fixes its input
 *   commits/<N>    batch N is in the target
 *   sources/<i>/   private to source i
 *   freshet.json   which flow, target and sources the folder belongs to
 *   freshet.lock   held (OFD lock) by the one process that runs the flow; local folders only
 *
 * Every file is created whole or not at all, and never replaced: a name that is taken means that another runner is at
 * work. Names that are not plain decimal numbers are ignored below offsets/ and commits/.
 */
#ifndef FRESHET_STREAM_CHECKPOINT_H
#define FRESHET_STREAM_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "store/store.h"

/* offsets/N. */
typedef struct OffsetsEntry {
    int64_t batch;
    int64_t time_ms, watermark_ms;
    json_t *conf; /* object: Spark's session settings, our own keys start "freshet." */
    char **ends;  /* one per source in order; NULL: the source has given nothing yet */
    size_t n_ends;
} OffsetsEntry;
void offsets_entry_free(OffsetsEntry *entry); /* NULL is fine */
/* The file's text and back. `name` is for errors. E_STREAM_CHECKPOINT for anything that is not version 1 with one line
 * a source. */
Status offsets_entry_parse(const char *text, size_t n, const char *name, int64_t batch, OffsetsEntry **out, Error *err);
Status offsets_entry_write(const OffsetsEntry *entry, Text *out, Error *err);

/* commits/N. `freshet` is ours: the facts of commitInfo.freshet, plus "committed", the newest batch that made a commit
 * in the target. */
typedef struct CommitsEntry {
    int64_t batch;
    int64_t next_watermark_ms;
    json_t *freshet; /* NULL when the file is Spark's */
} CommitsEntry;
void commits_entry_free(CommitsEntry *entry);
Status commits_entry_parse(const char *text, size_t n, const char *name, int64_t batch, CommitsEntry **out, Error *err);
/* `freshet_json` is an object text or NULL. */
void commits_entry_write(int64_t next_watermark_ms, const char *freshet_json, Text *out);

typedef struct Checkpoint Checkpoint;

/* Takes the lock (E_STREAM_LOCKED names the holder where it can), and makes or reads `metadata`. E_STREAM_CHECKPOINT
 * when metadata is missing although batches are there, or damaged. `store` is referenced. */
Status checkpoint_open(Store *store, const char *flow, Checkpoint **out, Error *err);
void checkpoint_close(Checkpoint *checkpoint);
const char *checkpoint_query_id(const Checkpoint *checkpoint);
Store *checkpoint_store(const Checkpoint *checkpoint);

/* Compares freshet.json with the flow's target and sources (E_STREAM_FOREIGN names both), writing it where it is
 * missing. */
Status checkpoint_bind(Checkpoint *checkpoint, const char *flow, const char *target, const char *const *sources,
                       size_t n_sources, Error *err);

/* What the folder says at a start. */
typedef struct CheckpointState {
    int64_t offsets_last, commits_last; /* newest ids; -1: none */
    int64_t oldest;                     /* oldest id that is still there, in either folder; -1: none */
    OffsetsEntry *last, *before;        /* offsets/L and offsets/L-1; NULL where L has none */
    CommitsEntry *commit;               /* commits/C */
} CheckpointState;
void checkpoint_state_clear(CheckpointState *state);
/* Reads back: ids contiguous, known versions, `n_sources` lines. E_STREAM_CHECKPOINT otherwise. */
Status checkpoint_load(Checkpoint *checkpoint, size_t n_sources, CheckpointState *out, Error *err);

/* commits/<batch>. */
Status checkpoint_read_commit(Checkpoint *checkpoint, int64_t batch, CommitsEntry **out, Error *err);

/* For who only looks, without the lock and while a runner is at work: commits/<batch> of a checkpoint folder, for -1
 * the newest. *oldest and *newest are the ids that are there, -1 and *out = NULL when there is none. E_NOT_FOUND for a
 * batch between them that is gone. */
Status checkpoint_look(Store *store, int64_t batch, int64_t *oldest, int64_t *newest, CommitsEntry **out, Error *err);

/* E_STREAM_LOCKED when the file exists: another runner wrote it. */
Status checkpoint_put_offsets(Checkpoint *checkpoint, const OffsetsEntry *entry, Error *err);
Status checkpoint_put_commit(Checkpoint *checkpoint, int64_t batch, int64_t next_watermark_ms, const char *freshet_json,
                             Error *err);
/* Deletes the ids from `from` to `to`, commits first; missing files are fine. */
Status checkpoint_purge(Checkpoint *checkpoint, int64_t from, int64_t to, Error *err);

#endif
