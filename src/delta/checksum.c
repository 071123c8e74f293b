/* Which checksum files are left: for every commit of ours whose numbers follow from the version before (Delta protocol,
 * Version Checksum File).
 *
 * The numbers go from version to version in memory, or from the file of an older version over commits of ours. Where
 * that leads nowhere, because another writer left none, nothing is written until the next checkpoint counts the files.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "delta/maintain_int.h"

enum { CHECKSUM_CHAIN_MAX = 32 };

/* Others may write actions whose effect cannot be seen from the commit alone. */
static bool is_ours(const DeltaCommit *commit)
{
    const DeltaCommitInfo *info = delta_commit_info(commit);

    return info != NULL && strstr(info->json, "\"engineInfo\":\"freshet/") != NULL;
}

/* What is known of a version: from memory, or from its file; of the version before the first that it is empty. */
static Status known_checksum(const DeltaTable *table, const DeltaSnapshot *s, int64_t version, DeltaChecksum *out,
                             bool *found, Error *err)
{
    const DeltaChecksum *memory = &table->checksum;
    DeltaChecksum nothing = {.version = -1};

    snprintf(nothing.table_id, sizeof nothing.table_id, "%s", s->metadata->id);
    bool ours = memory->files >= 0 && memory->version == version && strcmp(memory->table_id, nothing.table_id) == 0;
    *found = ours || version < 0;
    if (*found) {
        *out = ours ? *memory : nothing;
        return OK;
    }
    return delta_checksum_read(table->store, version, nothing.table_id, out, found, err);
}

/* The numbers of the snapshot, from an older version and the commits since that are ours. *found is false when that
 * does not lead anywhere: then a count has to be awaited. */
static Status derive_checksum(const DeltaTable *table, const DeltaSnapshot *s, DeltaChecksum *out, bool *found,
                              Error *err)
{
    const DeltaCommit *commits[CHECKSUM_CHAIN_MAX];
    const DeltaCommitNode *node = s->tail;
    int64_t dark = table->checksum.files < 0 ? table->checksum.version : -1;
    DeltaChecksum checksum;
    size_t n = 0;
    Status rc = OK;

    for (;;) {
        int64_t version = s->version - (int64_t)n;
        TRY(known_checksum(table, s, version, &checksum, found, err));
        if (*found) {
            break;
        }
        if (version <= dark || n == CHECKSUM_CHAIN_MAX || node == NULL || node->commit->version != version ||
            !is_ours(node->commit)) {
            goto out;
        }
        commits[n++] = node->commit;
        node = node->previous;
    }
    while (*found && n > 0) {
        *found = delta_checksum_advance(&checksum, commits[--n]);
    }
    if (*found) {
        *out = checksum;
    }
out:
    return rc;
}

/* All files are in memory: the checksum can be held against them at no cost. */
static void check_against_memory(const DeltaSnapshot *s, DuckConn *conn, DeltaChecksum *checksum)
{
    int64_t files, bytes;

    if ((s->checkpoint != NULL && s->checkpoint->n_sources > 0) ||
        delta_snapshot_totals(s, conn, &files, &bytes, NULL) != OK ||
        (files == checksum->files && bytes == checksum->bytes)) {
        return;
    }
    log_warning("%s: by the checksums version %" PRId64 " has %" PRId64 " files of %" PRId64
                " bytes, by the log %" PRId64 " of %" PRId64 "; the log counts",
                s->table->uri, s->version, checksum->files, checksum->bytes, files, bytes);
    checksum->files = files;
    checksum->bytes = bytes;
    checksum->vectors = checksum->deleted = -1;
}

Status delta_checksum_keep(DeltaTable *table, DuckConn *conn, const DeltaSnapshot *s, Error *err)
{
    DeltaChecksum checksum;
    bool found;
    Status rc = OK;

    if (table->checksum.version == s->version) {
        goto out;
    }
    TRY(derive_checksum(table, s, &checksum, &found, err));
    if (!found) {
        table->checksum = (DeltaChecksum){.version = s->version, .files = -1};
        goto out;
    }
    check_against_memory(s, conn, &checksum);
    table->checksum = checksum;
    if (s->tail != NULL && s->tail->commit->version == s->version && is_ours(s->tail->commit)) {
        TRY(delta_checksum_write(s, &checksum, err));
    }
out:
    return rc;
}

Status delta_checksum_renew(DeltaTable *table, DuckConn *conn, const DeltaSnapshot *s, Error *err)
{
    const DeltaChecksum *known = &table->checksum;
    DeltaChecksum count;
    Status rc = OK;

    TRY(delta_checksum_count(s, conn, &count, err));
    if (known->files >= 0 && !delta_checksum_equal(known, &count)) {
        log_warning("%s: by the checksums version %" PRId64 " has %" PRId64 " files of %" PRId64
                    " bytes, by the log %" PRId64 " of %" PRId64 "; the log counts",
                    table->uri, s->version, known->files, known->bytes, count.files, count.bytes);
    }
    bool fresh = known->files < 0;
    table->checksum = count;
    if (fresh) {
        TRY(delta_checksum_write(s, &count, err));
    }
out:
    return rc;
}
