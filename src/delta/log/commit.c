/* Commit files read line by line; a list of commits that snapshots share. */
#include "delta/log/commit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "delta/log/name.h"

enum { COMMIT_BYTES_MAX = 1 << 30, WHERE_MAX = 160 };

/* One line of a file, without its end. */
typedef struct Line {
    const char *text;
    size_t length, number;
} Line;

static bool line_next(const Text *file, size_t *at, Line *line)
{
    while (*at < file->length) {
        const char *start = file->data + *at;
        const char *end = memchr(start, '\n', file->length - *at);
        size_t n = end != NULL ? (size_t)(end - start) : file->length - *at;
        *at += n + (end != NULL);
        line->number++;
        line->text = start;
        line->length = n > 0 && start[n - 1] == '\r' ? n - 1 : n;
        for (size_t i = 0; i < line->length; i++) {
            if (start[i] != ' ' && start[i] != '\t') {
                return true;
            }
        }
    }
    return false;
}

static Status parse_lines(const Text *file, const char *key, Arena *arena, DeltaAction **actions, size_t *n, Error *err)
{
    DeltaAction *list = NULL;
    size_t count = 0, capacity = 0, lines = 0;
    Line line = {0};
    char where[WHERE_MAX];
    Status rc = OK;

    for (size_t at = 0; line_next(file, &at, &line);) {
        DeltaAction action;
        snprintf(where, sizeof where, "%s: line %zu", key, line.number);
        TRY(delta_action_parse(line.text, line.length, where, arena, &action, err));
        lines++;
        if (action.kind != DELTA_ACTION_UNKNOWN) {
            list = mem_grow(list, count, &capacity, sizeof *list);
            list[count++] = action;
        }
    }
    if (lines == 0) {
        rc = error_set(err, E_DELTA_CORRUPT, "%s: the file is empty", key);
        error_hint(
            err,
            "a writer or a disk lost its content; the table cannot be read past this version until it is restored");
        goto out;
    }
    *actions = arena_alloc(arena, (count + 1) * sizeof **actions);
    if (count > 0) {
        memcpy(*actions, list, count * sizeof *list);
    }
    *n = count;
out:
    mem_free(list);
    return rc;
}

Status delta_log_read_actions(Store *store, const char *key, Arena *arena, DeltaAction **actions, size_t *n,
                              int64_t *mtime_ms, Error *err)
{
    Text file = TEXT(COMMIT_BYTES_MAX);
    StoreInfo info;
    Status rc = OK;

    TRY(store_read(store, key, COMMIT_BYTES_MAX, &file, &info, err));
    TRY(parse_lines(&file, key, arena, actions, n, err));
    if (mtime_ms != NULL) {
        *mtime_ms = info.mtime_ms;
    }
out:
    text_free(&file);
    return rc;
}

Status delta_log_read_info(Store *store, int64_t version, Arena *arena, DeltaCommitInfo *out, bool *found, Error *err)
{
    static const char START[] = "{\"commitInfo\"";
    char key[DELTA_LOG_NAME_MAX], where[WHERE_MAX];
    Text file = TEXT(COMMIT_BYTES_MAX);
    Line line = {0};
    Status rc = OK;

    delta_log_commit_name(version, key);
    TRY(store_read(store, key, COMMIT_BYTES_MAX, &file, NULL, err));
    *found = false;
    for (size_t at = 0; !*found && line_next(&file, &at, &line);) {
        DeltaAction action;
        if (line.length < sizeof START || strncmp(line.text, START, sizeof START - 1) != 0) {
            continue;
        }
        snprintf(where, sizeof where, "%s: line %zu", key, line.number);
        TRY(delta_action_parse(line.text, line.length, where, arena, &action, err));
        *found = action.kind == DELTA_ACTION_COMMIT_INFO;
        *out = action.info;
    }
    if (line.number == 0) {
        rc = error_set(err, E_DELTA_CORRUPT, "%s: the file is empty", key);
    }
out:
    text_free(&file);
    return rc;
}

const DeltaCommitInfo *delta_commit_info(const DeltaCommit *commit)
{
    for (size_t i = 0; i < commit->n_actions; i++) {
        if (commit->actions[i].kind == DELTA_ACTION_COMMIT_INFO) {
            return &commit->actions[i].info;
        }
    }
    return NULL;
}

Status delta_commit_read(DeltaTable *table, int64_t version, DeltaCommit **out, Error *err)
{
    DeltaCommit *commit = mem_alloc(sizeof *commit);
    char key[DELTA_LOG_NAME_MAX];
    DeltaAction *actions;
    Status rc = OK;

    commit->version = version;
    commit->arena = arena_new();
    delta_log_commit_name(version, key);
    TRY(delta_log_read_actions(delta_table_store(table), key, commit->arena, &actions, &commit->n_actions,
                               &commit->file_time, err));
    commit->actions = actions;
    commit->timestamp = commit->file_time;
    const DeltaCommitInfo *info = delta_commit_info(commit);
    if (info != NULL && info->in_commit_timestamp >= 0) {
        commit->timestamp = info->in_commit_timestamp;
    }
    *out = commit;
out:
    if (rc != OK) {
        delta_commit_free(commit);
    }
    return rc;
}

void delta_commit_free(DeltaCommit *commit)
{
    if (commit != NULL) {
        arena_free(commit->arena);
        mem_free(commit);
    }
}

DeltaCommitNode *delta_commit_node_new(DeltaCommit *commit, DeltaCommitNode *previous)
{
    DeltaCommitNode *node = mem_alloc(sizeof *node);

    node->commit = commit;
    node->previous = previous;
    node->depth = previous != NULL ? previous->depth + 1 : 1;
    atomic_init(&node->references, 1);
    return node;
}

DeltaCommitNode *delta_commit_node_ref(DeltaCommitNode *node)
{
    if (node != NULL) {
        atomic_fetch_add(&node->references, 1);
    }
    return node;
}

void delta_commit_node_unref(DeltaCommitNode *node)
{
    while (node != NULL && atomic_fetch_sub(&node->references, 1) == 1) {
        DeltaCommitNode *previous = node->previous;
        delta_commit_free(node->commit);
        mem_free(node);
        node = previous;
    }
}
