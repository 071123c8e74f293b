#include "delta/drop_feature.h"

#include <inttypes.h>
#include <string.h>

#include "base/failpoint.h"
#include "delta/property_int.h"
#include "delta/protocol_int.h"
#include "delta/schema_edit.h"
#include "delta/table_int.h"
#include "delta/transaction_int.h"

static const char PROTECTED[] = "delta.requireCheckpointProtectionBeforeVersion";

/* ---- properties that only writers set ---- */

static void put_own(DeltaTransaction *txn, const char *key, const char *value)
{
    DeltaMetadata *m = &txn->metadata;
    DeltaPair *pairs = arena_alloc(txn->arena, (m->n_configuration + 1) * sizeof *pairs);
    size_t n = 0;

    for (size_t i = 0; i < m->n_configuration; i++) {
        if (strcmp(m->configuration[i].key, key) != 0) {
            pairs[n++] = m->configuration[i];
        }
    }
    if (value != NULL) {
        pairs[n++] = (DeltaPair){key, value};
    }
    txn->metadata_changed = txn->metadata_changed || n != m->n_configuration || value != NULL;
    m->configuration = pairs;
    m->n_configuration = n;
}

void delta_transaction_unset_own(DeltaTransaction *txn, const char *key)
{
    put_own(txn, arena_strdup(txn->arena, key), NULL);
}

/* ---- the protocol ---- */

Status delta_transaction_may_drop(DeltaTransaction *txn, const char *feature, Error *err)
{
    DeltaProtocol without;

    return delta_protocol_drop_feature(&txn->protocol, feature, txn->arena, &without, err);
}

Status delta_transaction_drop_feature(DeltaTransaction *txn, const char *feature, bool protect, Error *err)
{
    static const char PROTECTION[] = "checkpointProtection";
    Status rc = OK;
    DeltaProtocol smaller, raised;
    bool needed = false;

    TRY(delta_protocol_drop_feature(&txn->protocol, feature, txn->arena, &smaller, err));
    TRY(delta_protocol_raise(&smaller, &txn->metadata, txn->schema, txn->arena, &raised, &needed, err));
    if (needed) {
        TRY(error_set(err, E_DELTA_PROTOCOL_WRITE, "table feature '%s' is still in use", feature));
    }
    if (protect) {
        TRY(delta_protocol_add_feature(&smaller, PROTECTION, txn->arena, &smaller, err));
        put_own(txn, PROTECTED, arena_printf(txn->arena, "%" PRId64, txn->read_version + 1));
    }
    txn->protocol = smaller;
    txn->protocol_changed = true;
    delta_transaction_read_table(txn); /* the version that is protected is this one: nobody may come between */
out:
    return rc;
}

Status delta_transaction_end_mapping(DeltaTransaction *txn, Error *err)
{
    static const char *const KEYS[] = {"delta.columnMapping.id", "delta.columnMapping.physicalName",
                                       "delta.columnMapping.nested.ids"};
    Status rc = OK;
    DeltaSchema *plain = NULL;

    TRY(delta_schema_check_names(txn->schema, "none", err));
    TRY(delta_schema_strip(txn->schema, KEYS, sizeof KEYS / sizeof *KEYS, &plain, err));
    put_own(txn, "delta.columnMapping.mode", NULL);
    put_own(txn, "delta.columnMapping.maxColumnId", NULL);
    TRY(delta_transaction_set_schema(txn, plain, err));
out:
    delta_schema_unref(plain);
    return rc;
}

/* ---- the log ---- */

Status delta_log_is_older(DeltaTable *table, int64_t version, int64_t before_ms, bool *out, Error *err)
{
    Status rc = OK;
    DeltaListing *listing = NULL;

    TRY(delta_listing_read(table->store, 0, &listing, err));
    *out = true;
    for (size_t i = 0; i < listing->n; i++) {
        *out = *out && (listing->files[i].name.version >= version || listing->files[i].mtime_ms < before_ms);
    }
out:
    delta_listing_free(listing);
    return rc;
}

Status delta_log_truncate(DeltaTable *table, DuckConn *conn, const DeltaSnapshot *snapshot, int64_t before_ms,
                          Error *err)
{
    Status rc = OK;
    DeltaListing *listing = NULL;
    char key[DELTA_LOG_KEY_MAX];
    size_t n = 0;

    TRY(delta_table_rebase(table, conn, err)); /* on the newest checkpoint: older ones may go */
    TRY(delta_listing_read(table->store, 0, &listing, err));
    const DeltaCheckpointFiles *checkpoints = delta_listing_checkpoints(listing, snapshot->version, &n);
    int64_t boundary = n > 0 ? checkpoints[0].version : -1;
    for (size_t i = 0; i < listing->n && listing->files[i].name.version < boundary; i++) {
        if (listing->files[i].mtime_ms >= before_ms) {
            break;
        }
        delta_log_file_key(&listing->files[i], key);
        TRY(store_delete(table->store, key, err));
        TRY(failpoint(FP_DELTA_CLEANUP_AFTER_DELETE, err));
    }
out:
    delta_listing_free(listing);
    return rc;
}
