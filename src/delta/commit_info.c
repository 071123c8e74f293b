/* commitInfo: what a commit says of itself, in the words and with the keys that Spark uses.
 *
 * Statements give operation, parameters and their own metrics. What follows from the actions of any commit is added
 * here, so that DESCRIBE HISTORY shows the same for every way to write.
 */
#include <inttypes.h>
#include <string.h>

#include "delta/property_int.h"
#include "delta/stats.h"
#include "delta/table_int.h"
#include "delta/transaction_int.h"

/* ---- what follows from the actions ---- */

static bool has(const DeltaPairList *pairs, const char *key)
{
    return delta_pair_get(pairs->items, pairs->n, key) != NULL;
}

static void parameter_if_absent(DeltaTransaction *txn, const char *key, const char *json)
{
    if (!has(&txn->parameters, key)) {
        delta_transaction_parameter(txn, key, json);
    }
}

static void metric_if_absent(DeltaTransaction *txn, const char *key, int64_t value)
{
    if (value >= 0 && !has(&txn->metrics, key)) {
        delta_transaction_metric(txn, key, value);
    }
}

/* Files, rows and bytes that a commit writes and removes; rows are -1 when a file does not tell how many it has. */
typedef struct Sums {
    int64_t files, rows, bytes, removed_files, removed_bytes;
} Sums;

static Sums sum_up(const DeltaTransaction *txn)
{
    Sums sums = {0};

    for (size_t i = 0; i < txn->files.n; i++) {
        const DeltaAction *action = &txn->files.items[i];
        if (action->kind == DELTA_ACTION_ADD) {
            int64_t rows = delta_stats_records(action->file.stats);
            sums.files++;
            sums.bytes += action->file.size;
            sums.rows = rows < 0 || sums.rows < 0 ? -1 : sums.rows + rows;
        } else if (action->kind == DELTA_ACTION_REMOVE) {
            sums.removed_files++;
            sums.removed_bytes += action->file.size;
        }
    }
    return sums;
}

static void complete_write(DeltaTransaction *txn)
{
    Sums sums = sum_up(txn);

    metric_if_absent(txn, "numFiles", sums.files);
    metric_if_absent(txn, "numOutputRows", sums.rows);
    metric_if_absent(txn, "numOutputBytes", sums.bytes);
    if (sums.removed_files > 0 || (txn->snapshot != NULL && strcmp(txn->operation, "WRITE") != 0)) {
        metric_if_absent(txn, "numRemovedFiles", sums.removed_files);
        metric_if_absent(txn, "numRemovedBytes", sums.removed_bytes);
    }
}

static void text_if_absent(DeltaTransaction *txn, const char *key, const char *value)
{
    if (!has(&txn->parameters, key)) {
        delta_transaction_parameter_text(txn, key, value);
    }
}

static void complete_create(DeltaTransaction *txn)
{
    const DeltaMetadata *m = &txn->metadata;
    Text text = TEXT(PARAMETER_BYTES_MAX);

    text_append_json_strings(&text, (const char *const *)m->partition_columns, m->n_partition_columns);
    text_if_absent(txn, "partitionBy", text_str(&text));
    text_clear(&text);
    text_if_absent(txn, "isManaged", "false");
    text_if_absent(txn, "clusterBy", "[]");
    if (m->description != NULL && *m->description != '\0') {
        text_if_absent(txn, "description", m->description);
    }
    parameter_if_absent(txn, "description", "null");
    text_append_char(&text, '{');
    for (size_t i = 0; i < m->n_configuration; i++) {
        text_append(&text, i > 0 ? "," : "");
        text_append_json_string(&text, m->configuration[i].key);
        text_append_char(&text, ':');
        text_append_json_string(&text, m->configuration[i].value);
    }
    text_append_char(&text, '}');
    text_if_absent(txn, "properties", text_str(&text));
    text_free(&text);
}

void delta_transaction_complete_info(DeltaTransaction *txn)
{
    bool creates = str_starts(txn->operation, "CREATE ") || str_starts(txn->operation, "REPLACE TABLE");

    if (creates) {
        complete_create(txn);
    }
    if (strcmp(txn->operation, "WRITE") == 0) {
        text_if_absent(txn, "partitionBy", "[]");
        complete_write(txn);
    } else if (creates && str_ends(txn->operation, " AS SELECT")) {
        complete_write(txn);
    }
}

/* ---- the text ---- */

static void put_object(Text *out, const char *key, const DeltaPairList *pairs, bool quote_values)
{
    text_printf(out, ",\"%s\":{", key);
    for (size_t i = 0; i < pairs->n; i++) {
        text_append(out, i > 0 ? "," : "");
        text_append_json_string(out, pairs->items[i].key);
        text_append_char(out, ':');
        if (quote_values) {
            text_append_json_string(out, pairs->items[i].value);
        } else {
            text_append(out, pairs->items[i].value);
        }
    }
    text_append_char(out, '}');
}

/* What other writers look for when they meet this commit. */
static void put_tags(const DeltaTransaction *txn, Text *out)
{
    bool preserved = delta_property_bool(&txn->metadata, "delta.enableRowTracking");
    bool counted = txn->metadata_changed && txn->snapshot != NULL &&
                   delta_metadata_moves_identity_only(delta_snapshot_metadata(txn->snapshot), &txn->metadata);

    if (preserved || counted) {
        text_printf(out, ",\"tags\":{%s%s%s}", preserved ? "\"delta.rowTracking.preserved\":\"true\"" : "",
                    preserved && counted ? "," : "", counted ? "\"delta.identity.schemaUpdate\":\"true\"" : "");
    }
}

void delta_transaction_render_info(const DeltaTransaction *txn, int64_t timestamp_ms, Text *out)
{
    static const char *const ISOLATION[] = {[DELTA_SERIALIZABLE] = "Serializable",
                                            [DELTA_WRITE_SERIALIZABLE] = "WriteSerializable",
                                            [DELTA_SNAPSHOT_ISOLATION] = "SnapshotIsolation"};

    text_append(out, "{\"commitInfo\":{");
    if (delta_transaction_uses_ict(txn)) {
        text_printf(out, "\"inCommitTimestamp\":%" PRId64 ",", timestamp_ms);
    }
    text_printf(out, "\"timestamp\":%" PRId64 ",\"operation\":", timestamp_ms);
    text_append_json_string(out, txn->operation);
    put_object(out, "operationParameters", &txn->parameters, false);
    if (txn->read_version >= 0) {
        text_printf(out, ",\"readVersion\":%" PRId64, txn->read_version);
    }
    text_printf(out, ",\"isolationLevel\":\"%s\",\"isBlindAppend\":%s", ISOLATION[delta_transaction_isolation(txn)],
                delta_transaction_is_blind_append(txn) ? "true" : "false");
    put_object(out, "operationMetrics", &txn->metrics, true);
    if (txn->user_metadata != NULL) {
        text_append(out, ",\"userMetadata\":");
        text_append_json_string(out, txn->user_metadata);
    }
    put_tags(txn, out);
    text_printf(out, ",\"engineInfo\":\"freshet/%s\",\"txnId\":\"%s\"", FRESHET_VERSION, txn->token);
    if (txn->freshet != NULL) {
        text_printf(out, ",\"freshet\":%s", txn->freshet);
    }
    text_append(out, "}}\n");
}
