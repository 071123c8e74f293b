/* The attempts of a transaction.
 *
 *     validate -> render(version) -> put_if_absent -> done
 *                     ^                  | taken
 *                     |                  v
 *                     +--- back off <- check every winner up to the newest
 *
 * A put whose answer was lost is settled by reading the version back: the commit carries our token or somebody else's.
 * Putting the same bytes at the same version again is harmless, so an attempt that left nothing behind is simply
 * repeated.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/failpoint.h"
#include "delta/iceberg_compat.h"
#include "delta/log/name.h"
#include "delta/log/path.h"
#include "delta/property_int.h"
#include "delta/protocol_int.h"
#include "delta/stats.h"
#include "delta/table_int.h"
#include "delta/transaction_int.h"

enum { COMMIT_BYTES_MAX = 1 << 30, ATTEMPTS_MAX = 100000, BACKOFF_FIRST_MS = 1, BACKOFF_MAX_MS = 200, PUT_RETRIES = 3 };

/* ---- facts about the transaction ---- */

bool delta_transaction_is_blind_append(const DeltaTransaction *txn)
{
    for (size_t i = 0; i < txn->files.n; i++) {
        if (txn->files.items[i].kind != DELTA_ACTION_ADD) {
            return false;
        }
    }
    return !txn->read_table && map_count(txn->read_files) == 0 && txn->n_read_predicates == 0;
}

/* Only rearranges rows: conflicts with nothing but what touches the same files. */
static bool is_rewrite(const DeltaTransaction *txn)
{
    for (size_t i = 0; i < txn->files.n; i++) {
        if (txn->files.items[i].file.data_change) {
            return false;
        }
    }
    for (size_t i = 0; i < txn->small.n; i++) {
        if (txn->small.items[i].kind == DELTA_ACTION_TXN) {
            return false;
        }
    }
    return txn->files.n > 0 && !txn->metadata_changed && !txn->protocol_changed;
}

DeltaIsolation delta_transaction_isolation(const DeltaTransaction *txn)
{
    if (is_rewrite(txn)) {
        return DELTA_SNAPSHOT_ISOLATION;
    }
    bool all = strcmp(delta_property_text(&txn->metadata, "delta.isolationLevel"), "Serializable") == 0;
    return all ? DELTA_SERIALIZABLE : DELTA_WRITE_SERIALIZABLE;
}

bool delta_transaction_tracks_rows(const DeltaTransaction *txn)
{
    return delta_protocol_supports(&txn->protocol, "rowTracking") &&
           !delta_property_bool(&txn->metadata, "delta.rowTrackingSuspended");
}

bool delta_transaction_uses_ict(const DeltaTransaction *txn)
{
    return delta_property_bool(&txn->metadata, "delta.enableInCommitTimestamps");
}

/* ---- validity ---- */

/* The partition values of an add are exactly the table's partition columns, by their stored names. */
static Status check_partition_values(const DeltaTransaction *txn, const DeltaFile *file, Error *err)
{
    const DeltaMetadata *m = &txn->metadata;
    const char *mode = delta_property_text(m, "delta.columnMapping.mode");
    bool mapped = strcmp(mode, "none") != 0, fits = file->n_partition_values == m->n_partition_columns;

    for (size_t i = 0; fits && i < m->n_partition_columns; i++) {
        const DeltaField *field = delta_schema_find(txn->schema, m->partition_columns[i]);
        const char *name = mapped && field != NULL ? field->physical_name : m->partition_columns[i];
        bool found = false;
        for (size_t k = 0; k < file->n_partition_values; k++) {
            found = found || strcmp(file->partition_values[k].key, name) == 0;
        }
        fits = found;
    }
    if (!fits) {
        Status rc = error_set(err, E_INTERNAL,
                              "%s: the partition values are not those of the table's partition columns", file->path);
        error_klass(err, "DELTA_INVALID_PARTITIONING_SCHEMA");
        return rc;
    }
    return OK;
}

static Status check_once(Map *seen, const DeltaTransaction *txn, const DeltaAction *action, Error *err)
{
    Text key = TEXT(1 << 20);
    Status rc = OK;

    text_append(&key, action->kind == DELTA_ACTION_ADD ? "+" : "-");
    delta_path_canonical(txn->table->root, action->file.path, strlen(action->file.path), &key);
    text_append_char(&key, '\n');
    delta_file_dv_id(&action->file, &key);
    if (map_has(seen, text_str(&key))) {
        rc = error_set(err, E_INTERNAL, "%s: the file stands twice in one commit", action->file.path);
        error_klass(err, "DELTA_DUPLICATE_ACTIONS_FOUND");
    } else {
        map_put(seen, text_str(&key), NULL);
        key.data[0] = action->kind == DELTA_ACTION_ADD ? '-' : '+';
        if (map_has(seen, text_str(&key))) {
            rc = error_set(err, E_INTERNAL, "%s: the file is added and removed in one commit", action->file.path);
            error_klass(err, "DELTA_DUPLICATE_ACTIONS_FOUND");
        }
    }
    text_free(&key);
    return rc;
}

static Status check_deletion_vector(const DeltaTransaction *txn, const DeltaFile *file, Error *err)
{
    if (file->deletion_vector == NULL) {
        return OK;
    }
    if (!delta_protocol_supports(&txn->protocol, "deletionVectors")) {
        return error_set(err, E_INTERNAL, "%s: a deletion vector in a table without that feature", file->path);
    }
    if (delta_stats_records(file->stats) < 0) {
        Status rc = error_set(err, E_INTERNAL, "%s: a deletion vector needs numRecords in the statistics", file->path);
        error_klass(err, "DELTA_DELETION_VECTOR_MISSING_NUM_RECORDS");
        return rc;
    }
    return OK;
}

static Status check_files(const DeltaTransaction *txn, Error *err)
{
    bool append_only = delta_protocol_supports(&txn->protocol, "appendOnly") &&
                       delta_property_bool(&txn->metadata, "delta.appendOnly");
    int iceberg = delta_iceberg_version(&txn->metadata);
    Map *seen = map_new();
    Status rc = OK;

    for (size_t i = 0; i < txn->files.n; i++) {
        const DeltaAction *action = &txn->files.items[i];
        if (action->kind == DELTA_ACTION_CDC) {
            continue;
        }
        TRY(check_once(seen, txn, action, err));
        if (action->kind == DELTA_ACTION_ADD) {
            TRY(check_partition_values(txn, &action->file, err));
            TRY(check_deletion_vector(txn, &action->file, err));
            TRY(iceberg > 0 ? delta_iceberg_check_add(iceberg, &action->file, err) : OK);
        } else if (append_only && action->file.data_change) {
            rc = error_set(err, E_DELTA_APPEND_ONLY, "table %s is append-only: rows cannot be removed or replaced",
                           delta_table_uri(txn->table));
            error_hint(err, "the property delta.appendOnly forbids it");
            goto out;
        }
    }
out:
    map_free(seen, NULL);
    return rc;
}

static Status check_domains(const DeltaTransaction *txn, Error *err)
{
    for (size_t i = 0; i < txn->small.n; i++) {
        if (txn->small.items[i].kind == DELTA_ACTION_DOMAIN &&
            !delta_protocol_supports(&txn->protocol, "domainMetadata")) {
            return error_set(err, E_INTERNAL, "domain metadata in a table without that feature");
        }
    }
    return OK;
}

/* Columns that this transaction wants statistics of; what a table has already is left alone. */
static Status check_stats_columns(const DeltaTransaction *txn, Error *err)
{
    static const char KEY[] = "delta.dataSkippingStatsColumns";
    const DeltaMetadata *old = txn->snapshot != NULL ? delta_snapshot_metadata(txn->snapshot) : NULL;
    const char *now = delta_transaction_property(txn, KEY);
    const char *before = old != NULL ? delta_pair_get(old->configuration, old->n_configuration, KEY) : NULL;

    if (now == NULL || (before != NULL && strcmp(before, now) == 0)) {
        return OK;
    }
    return delta_stats_check_columns(txn->schema, now, err);
}

/* Checks what is to be written: once, before the first attempt. */
static Status validate(DeltaTransaction *txn, Error *err)
{
    Status rc = OK;

    if (txn->schema == NULL) {
        return error_set(err, E_INTERNAL, "a new table needs a schema");
    }
    if (txn->metadata_changed || txn->protocol_changed) {
        TRY(delta_protocol_check_write(&txn->protocol, delta_table_uri(txn->table), err));
        TRY(delta_protocol_check_use(&txn->protocol, &txn->metadata, txn->schema, delta_table_uri(txn->table), err));
        TRY(check_stats_columns(txn, err));
        TRY(delta_iceberg_check(txn, err));
    }
    TRY(check_files(txn, err));
    TRY(delta_iceberg_check_files(txn, err));
    TRY(check_domains(txn, err));
out:
    return rc;
}

/* ---- the text of a commit ---- */

/* In-commit timestamps that begin in the middle of a table's life say where (Delta protocol, In-Commit Timestamps). */
static void render_metadata(DeltaTransaction *txn, int64_t version, int64_t timestamp_ms, Text *out)
{
    DeltaAction action = {.kind = DELTA_ACTION_METADATA, .metadata = txn->metadata};
    DeltaMetadata *m = &action.metadata;
    char since_version[32], since_ms[32];
    DeltaPair *pairs = NULL;

    if (txn->enables_ict) {
        pairs = mem_alloc((m->n_configuration + 2) * sizeof *pairs);
        size_t n = 0;
        for (size_t i = 0; i < m->n_configuration; i++) {
            if (!str_starts(m->configuration[i].key, "delta.inCommitTimestampEnablement")) {
                pairs[n++] = m->configuration[i];
            }
        }
        snprintf(since_version, sizeof since_version, "%" PRId64, version);
        snprintf(since_ms, sizeof since_ms, "%" PRId64, timestamp_ms);
        pairs[n++] = (DeltaPair){"delta.inCommitTimestampEnablementVersion", since_version};
        pairs[n++] = (DeltaPair){"delta.inCommitTimestampEnablementTimestamp", since_ms};
        m->configuration = pairs;
        m->n_configuration = n;
    }
    delta_action_write(&action, out);
    mem_free(pairs);
}

/* Row tracking: every add without a first row id gets the next free ones, and the mark moves (Delta protocol, Row
 * Tracking). */
static Status give_row_ids(int64_t version, int64_t *high_water, DeltaFile *file, Error *err)
{
    if (file->base_row_id < 0) {
        int64_t records = delta_stats_records(file->stats);
        if (records < 0) {
            Status rc = error_set(err, E_INTERNAL, "%s: row tracking needs numRecords in the statistics", file->path);
            error_klass(err, "DELTA_ROW_ID_ASSIGNMENT_WITHOUT_STATS");
            return rc;
        }
        file->base_row_id = *high_water + 1;
        *high_water += records;
    }
    if (file->default_row_commit_version < 0) {
        file->default_row_commit_version = version;
    }
    return OK;
}

static Status render_files(DeltaTransaction *txn, int64_t version, Text *out, Error *err)
{
    bool tracks = delta_transaction_tracks_rows(txn);
    int64_t high_water = txn->row_id_high_water;
    Status rc = OK;

    for (size_t i = 0; i < txn->files.n; i++) {
        DeltaAction action = txn->files.items[i];
        if (tracks && action.kind == DELTA_ACTION_ADD) {
            TRY(give_row_ids(version, &high_water, &action.file, err));
        }
        delta_action_write(&action, out);
    }
    if (tracks && high_water != txn->row_id_high_water) {
        char json[64];
        snprintf(json, sizeof json, "{\"rowIdHighWaterMark\":%" PRId64 "}", high_water);
        DeltaAction domain = {.kind = DELTA_ACTION_DOMAIN,
                              .domain = {.domain = "delta.rowTracking", .configuration = json}};
        delta_action_write(&domain, out);
    }
out:
    return rc;
}

/* The text of the commit for an attempt. `timestamp_ms` is the in-commit timestamp where these are on. */
static Status render(DeltaTransaction *txn, int64_t version, int64_t timestamp_ms, Text *out, Error *err)
{
    Status rc = OK;

    text_clear(out);
    delta_transaction_render_info(txn, timestamp_ms, out);
    if (txn->metadata_changed) {
        render_metadata(txn, version, timestamp_ms, out);
    }
    if (txn->protocol_changed) {
        DeltaAction action = {.kind = DELTA_ACTION_PROTOCOL, .protocol = txn->protocol};
        delta_action_write(&action, out);
    }
    for (size_t i = 0; i < txn->small.n; i++) {
        delta_action_write(&txn->small.items[i], out);
    }
    TRY(render_files(txn, version, out, err));
    if (out->overflow) {
        rc = error_set(err, E_LIMIT, "a commit of more than %d bytes", COMMIT_BYTES_MAX);
    }
out:
    return rc;
}

/* ---- attempts ---- */

typedef struct Attempt {
    DeltaTransaction *txn;
    int64_t version;
    int64_t last_ms; /* timestamp of the version before; INT64_MIN = none */
    bool mine;       /* the version turned out to hold our own commit */
} Attempt;

/* Waits a little, longer after every lost race, by chance, so that writers that met once do not meet again. */
static void back_off(int lost)
{
    double limit_ms = lost < 8 ? (double)(BACKOFF_FIRST_MS << lost) : BACKOFF_MAX_MS;
    double ms = (limit_ms > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : limit_ms) * random_unit();
    struct timespec pause = {.tv_sec = 0, .tv_nsec = (long)(ms * 1e6)};

    nanosleep(&pause, NULL);
}

static Status check_winner(Attempt *a, const DeltaCommit *winner, Error *err)
{
    const DeltaCommitInfo *info = NULL;
    Status rc = OK;

    for (size_t i = 0; i < winner->n_actions; i++) {
        if (winner->actions[i].kind == DELTA_ACTION_COMMIT_INFO) {
            info = &winner->actions[i].info;
        }
    }
    if (info != NULL && info->txn_id != NULL && strcmp(info->txn_id, a->txn->token) == 0) {
        a->mine = true;
        goto out;
    }
    TRY(delta_conflict_check(a->txn, winner, err));
    a->last_ms = winner->timestamp;
    a->version = winner->version + 1;
out:
    return rc;
}

/* Goes through the commits from the attempted version to the newest. */
static Status check_winners(Attempt *a, Error *err)
{
    for (;;) {
        DeltaCommit *winner;
        Error failed = ERROR_NONE;
        Status rc = delta_commit_read(a->txn->table, a->version, &winner, &failed);
        if (rc == ERR_NOT_FOUND) {
            return OK;
        }
        if (rc == OK) {
            rc = check_winner(a, winner, &failed);
            delta_commit_free(winner);
        }
        if (rc != OK && err != NULL) {
            *err = failed;
        }
        if (rc != OK || a->mine) {
            return rc;
        }
    }
}

static int64_t attempt_time(const Attempt *a)
{
    int64_t now = clock_now_ms();

    return delta_transaction_uses_ict(a->txn) && a->last_ms != INT64_MIN && now <= a->last_ms ? a->last_ms + 1 : now;
}

/* Puts the commit once. *taken: somebody holds the version, us included. */
static Status put_once(const Attempt *a, const Text *commit, bool *taken, Error *err)
{
    char key[DELTA_LOG_NAME_MAX];
    Error failed = ERROR_NONE;

    delta_log_commit_name(a->version, key);
    for (int i = 0;; i++) {
        Status rc = store_put_if_absent(a->txn->table->store, key, commit->data, commit->length, &failed);
        *taken = rc == ERR_EXISTS;
        if (rc == OK || rc == ERR_EXISTS) {
            return OK;
        }
        StoreInfo info;
        bool unknown = (failed.flags & ERROR_UNKNOWN_OUTCOME) != 0;
        Status seen = unknown ? store_info(a->txn->table->store, key, &info, NULL) : rc;
        if (unknown && seen == OK) {
            *taken = true;
            return OK;
        }
        if (!unknown || seen != ERR_NOT_FOUND || i == PUT_RETRIES) {
            a->txn->unknown_outcome = unknown;
            if (err != NULL) {
                *err = failed;
            }
            return rc;
        }
        error_clear(&failed);
        back_off(i);
    }
}

static Status attempt(Attempt *a, Text *commit, bool *done, Error *err)
{
    bool taken;
    Status rc = OK;

    TRY(render(a->txn, a->version, attempt_time(a), commit, err));
    TRY(failpoint(FP_DELTA_COMMIT_BEFORE_PUBLISH, err));
    TRY(put_once(a, commit, &taken, err));
    if (taken) {
        TRY(check_winners(a, err));
    }
    *done = !taken || a->mine;
    if (*done) {
        a->txn->committed = true;
        rc = failpoint(FP_DELTA_COMMIT_AFTER_PUBLISH, err);
        if (rc != OK) {
            error_flag(err, ERROR_UNKNOWN_OUTCOME);
        }
    }
out:
    return rc;
}

static Status commit_failed(const DeltaTransaction *txn, int64_t version, Error *err)
{
    return error_context(err, "table %s: committing version %" PRId64, delta_table_uri(txn->table), version);
}

Status delta_transaction_commit(DeltaTransaction *txn, int64_t *version, Error *err)
{
    Attempt a = {.txn = txn, .version = txn->read_version + 1, .last_ms = INT64_MIN};
    Text commit = TEXT(COMMIT_BYTES_MAX);
    bool done = false;
    Status rc = OK;

    if (txn->snapshot != NULL) {
        a.last_ms = delta_snapshot_timestamp(txn->snapshot);
    }
    TRY(validate(txn, err));
    delta_transaction_complete_info(txn);
    for (int lost = 0; !done; lost++) {
        if (lost == ATTEMPTS_MAX) {
            rc = error_set(err, E_DELTA_CONFLICT, "%d attempts found the version taken", ATTEMPTS_MAX);
            error_klass(err, "DELTA_MAX_COMMIT_RETRIES_EXCEEDED");
            goto out;
        }
        if (lost > 0) {
            back_off(lost);
        }
        TRY(attempt(&a, &commit, &done, err));
    }
    *version = a.version;
out:
    text_free(&commit);
    return rc == OK ? OK : commit_failed(txn, a.version, err);
}
