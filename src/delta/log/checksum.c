#include "delta/log/checksum.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/json.h"
#include "base/log.h"
#include "delta/log/name.h"
#include "delta/property_int.h"
#include "delta/table_int.h"

enum {
    CHECKSUM_BYTES_MAX = 64 << 20,
    TXNS_MAX = 100,   /* more are left out, as Spark does: readers then take them from the log */
    DOMAINS_MAX = 10, /* likewise */
};

static void key_of(int64_t version, char out[DELTA_LOG_NAME_MAX])
{
    snprintf(out, DELTA_LOG_NAME_MAX, DELTA_LOG_DIR "/%020" PRId64 ".crc", version);
}

/* ---- reading ---- */

static Status parse(const Text *file, const char *key, int64_t version, DeltaChecksum *out, Error *err)
{
    JsonSource source = {.name = key, .bytes_max = CHECKSUM_BYTES_MAX};
    DeltaChecksum read = {.version = version, .vectors = -1, .deleted = -1};
    json_t *object = NULL, *metadata;
    const char *id;
    Status rc = OK;

    TRY(json_parse_object(text_str(file), file->length, &source, &object, err));
    TRY(json_get_i64(object, "numFiles", &read.files, err));
    TRY(json_get_i64(object, "tableSizeBytes", &read.bytes, err));
    TRY(json_opt_i64(object, "numDeletionVectorsOpt", &read.vectors, err));
    TRY(json_opt_i64(object, "numDeletedRecordsOpt", &read.deleted, err));
    TRY(json_get_object(object, "metadata", &metadata, err));
    TRY(json_get_string(metadata, "id", &id, err));
    if (read.files < 0 || read.bytes < 0) {
        rc = error_set(err, E_JSON, "%s: %" PRId64 " files of %" PRId64 " bytes", key, read.files, read.bytes);
        goto out;
    }
    snprintf(read.table_id, sizeof read.table_id, "%s", id);
    *out = read;
out:
    json_decref(object);
    return rc;
}

Status delta_checksum_read(Store *store, int64_t version, const char *table_id, DeltaChecksum *out, bool *found,
                           Error *err)
{
    char key[DELTA_LOG_NAME_MAX];
    Text file = TEXT(CHECKSUM_BYTES_MAX);
    DeltaChecksum read;
    Error inner = ERROR_NONE;

    key_of(version, key);
    *found = false;
    Status rc = store_read(store, key, CHECKSUM_BYTES_MAX, &file, NULL, &inner);
    if (rc == OK && parse(&file, key, version, &read, &inner) != OK) {
        log_debug("%s is ignored: %s", key, inner.message);
    } else if (rc == OK && strncmp(read.table_id, table_id, sizeof read.table_id - 1) == 0) {
        *out = read;
        *found = true;
    }
    text_free(&file);
    if (rc != OK && rc != ERR_NOT_FOUND && rc != ERR_LIMIT) {
        if (err != NULL) {
            *err = inner;
        }
        return rc;
    }
    return OK;
}

/* ---- from version to version ---- */

static bool is_counted(const DeltaAction *action)
{
    return action->kind == DELTA_ACTION_ADD || (action->kind == DELTA_ACTION_REMOVE && action->file.extended_metadata);
}

/* False, and *total is as it was, when the sum is not a number of that many bits. */
static bool count(int64_t *total, int64_t n, bool add)
{
    int64_t sum;

    if (add ? __builtin_add_overflow(*total, n, &sum) : __builtin_sub_overflow(*total, n, &sum)) {
        return false;
    }
    *total = sum;
    return true;
}

bool delta_checksum_advance(DeltaChecksum *checksum, const DeltaCommit *commit)
{
    DeltaChecksum next = *checksum;
    bool adds_nothing_new = false, removes = false;

    next.version = commit->version;
    for (size_t i = 0; i < commit->n_actions; i++) {
        const DeltaAction *action = &commit->actions[i];
        if (action->kind != DELTA_ACTION_ADD && action->kind != DELTA_ACTION_REMOVE) {
            continue;
        }
        if (!is_counted(action)) {
            return false;
        }
        bool add = action->kind == DELTA_ACTION_ADD;
        const DeltaDeletionVector *vector = action->file.deletion_vector;
        bool knows_vectors = vector != NULL && next.vectors >= 0 && next.deleted >= 0;
        if (!count(&next.files, 1, add) || !count(&next.bytes, action->file.size, add) ||
            (knows_vectors && (!count(&next.vectors, 1, add) || !count(&next.deleted, vector->cardinality, add)))) {
            return false;
        }
        adds_nothing_new = adds_nothing_new || (add && !action->file.data_change);
        removes = removes || !add;
    }
    if ((adds_nothing_new && !removes) || next.files < 0 || next.bytes < 0) {
        return false;
    }
    *checksum = next;
    return true;
}

Status delta_checksum_count(const DeltaSnapshot *snapshot, DuckConn *conn, DeltaChecksum *out, Error *err)
{
    DeltaChecksum count = {.version = snapshot->version};
    Text sql = TEXT(TEXT_SQL_MAX);
    int64_t numbers[4];
    Status rc = OK;

    text_append(&sql, "SELECT count(*), coalesce(sum(size), 0)::BIGINT, count(dv), "
                      "coalesce(sum(dv.cardinality), 0)::BIGINT FROM (");
    TRY(delta_snapshot_files_sql(snapshot, &sql, err));
    text_append_char(&sql, ')');
    TRY(duck_query_numbers(conn, text_str(&sql), numbers, 4, err));
    count.files = numbers[0];
    count.bytes = numbers[1];
    count.vectors = numbers[2];
    count.deleted = numbers[3];
    snprintf(count.table_id, sizeof count.table_id, "%s", snapshot->metadata->id);
    *out = count;
out:
    text_free(&sql);
    return rc;
}

static bool same_if_known(int64_t a, int64_t b)
{
    return a < 0 || b < 0 || a == b;
}

bool delta_checksum_equal(const DeltaChecksum *a, const DeltaChecksum *b)
{
    return a->version == b->version && a->files == b->files && a->bytes == b->bytes &&
           same_if_known(a->vectors, b->vectors) && same_if_known(a->deleted, b->deleted);
}

/* ---- writing ---- */

/* What stands behind the action's name in its line: {"txn":{...}} -> {...} */
static void put_body(const DeltaAction *action, Text *out)
{
    Text line = TEXT(CHECKSUM_BYTES_MAX);

    delta_action_write(action, &line);
    const char *body = strchr(text_str(&line), ':') + 1;
    text_append_n(out, body, line.length - (size_t)(body - text_str(&line)) - strlen("}\n"));
    text_free(&line);
}

static void put_txns(const DeltaSnapshot *s, Text *out)
{
    Arena *arena = arena_new();
    size_t n;
    const DeltaTxn *txns = delta_snapshot_txns(s, arena, &n);

    text_append(out, n <= TXNS_MAX ? ",\"setTransactions\":[" : "");
    for (size_t i = 0; i < n && n <= TXNS_MAX; i++) {
        DeltaAction action = {.kind = DELTA_ACTION_TXN, .txn = txns[i]};
        text_append(out, i > 0 ? "," : "");
        put_body(&action, out);
    }
    text_append(out, n <= TXNS_MAX ? "]" : "");
    arena_free(arena);
}

static void put_domains(const DeltaSnapshot *s, Text *out)
{
    if (s->n_domains > DOMAINS_MAX) {
        return;
    }
    text_append(out, ",\"domainMetadata\":[");
    for (size_t i = 0; i < s->n_domains; i++) {
        DeltaAction action = {.kind = DELTA_ACTION_DOMAIN, .domain = s->domains[i]};
        text_append(out, i > 0 ? "," : "");
        put_body(&action, out);
    }
    text_append_char(out, ']');
}

static void render(const DeltaSnapshot *s, const DeltaChecksum *checksum, Text *out)
{
    const DeltaCommit *commit = s->tail != NULL ? s->tail->commit : NULL;
    const DeltaCommitInfo *info = commit != NULL && commit->version == s->version ? delta_commit_info(commit) : NULL;

    text_append_char(out, '{');
    if (info != NULL && info->txn_id != NULL) {
        text_append(out, "\"txnId\":");
        text_append_json_string(out, info->txn_id);
        text_append_char(out, ',');
    }
    text_printf(out, "\"tableSizeBytes\":%" PRId64 ",\"numFiles\":%" PRId64, checksum->bytes, checksum->files);
    if (checksum->vectors >= 0 && checksum->deleted >= 0 && delta_protocol_supports(s->protocol, "deletionVectors")) {
        text_printf(out, ",\"numDeletedRecordsOpt\":%" PRId64 ",\"numDeletionVectorsOpt\":%" PRId64, checksum->deleted,
                    checksum->vectors);
    }
    text_append(out, ",\"numMetadata\":1,\"numProtocol\":1");
    if (delta_property_bool(s->metadata, "delta.enableInCommitTimestamps")) {
        text_printf(out, ",\"inCommitTimestampOpt\":%" PRId64, s->timestamp);
    }
    put_txns(s, out);
    put_domains(s, out);
    text_append(out, ",\"metadata\":");
    put_body(&(DeltaAction){.kind = DELTA_ACTION_METADATA, .metadata = *s->metadata}, out);
    text_append(out, ",\"protocol\":");
    put_body(&(DeltaAction){.kind = DELTA_ACTION_PROTOCOL, .protocol = *s->protocol}, out);
    text_append(out, "}\n");
}

Status delta_checksum_write(const DeltaSnapshot *snapshot, const DeltaChecksum *checksum, Error *err)
{
    char key[DELTA_LOG_NAME_MAX];
    Text file = TEXT(CHECKSUM_BYTES_MAX);
    Error failed = ERROR_NONE;

    key_of(snapshot->version, key);
    render(snapshot, checksum, &file);
    Status rc = file.overflow
                    ? error_set(&failed, E_LIMIT, "%s would have more than %d bytes", key, CHECKSUM_BYTES_MAX)
                    : store_put_if_absent_unsynced(snapshot->table->store, key, text_str(&file), file.length, &failed);
    text_free(&file);
    if (rc == OK) {
        return failpoint(FP_DELTA_CHECKSUM_AFTER_PUT, err);
    }
    if (rc == ERR_EXISTS) {
        return OK;
    }
    if (err != NULL) {
        *err = failed;
    }
    return rc;
}
