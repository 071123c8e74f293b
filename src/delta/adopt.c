#include "delta/adopt.h"

#include <inttypes.h>
#include <string.h>

#include "delta/property_int.h"
#include "delta/protocol_int.h"
#include "delta/table_int.h"
#include "delta/transaction_int.h"

static const char CLUSTERING[] = "delta.clustering", ROW_TRACKING[] = "delta.rowTracking";

/* Properties that speak of the table's own past. */
static const char *const OWN[] = {"delta.inCommitTimestampEnablementVersion",
                                  "delta.inCommitTimestampEnablementTimestamp",
                                  "delta.requireCheckpointProtectionBeforeVersion"};

static bool is_own(const char *key)
{
    for (size_t i = 0; i < sizeof OWN / sizeof *OWN; i++) {
        if (strcmp(OWN[i], key) == 0) {
            return true;
        }
    }
    return false;
}

/* The source's properties, and the table's own marks. */
static void adopt_properties(DeltaTransaction *txn, const DeltaMetadata *source)
{
    DeltaMetadata *m = &txn->metadata;
    DeltaPair *pairs = arena_alloc(txn->arena, (m->n_configuration + source->n_configuration + 1) * sizeof *pairs);
    size_t n = 0;

    for (size_t i = 0; i < source->n_configuration; i++) {
        const DeltaPair *pair = &source->configuration[i];
        if (!is_own(pair->key)) {
            pairs[n++] = (DeltaPair){arena_strdup(txn->arena, pair->key), arena_strdup(txn->arena, pair->value)};
        }
    }
    for (size_t i = 0; i < m->n_configuration; i++) {
        if (is_own(m->configuration[i].key)) {
            pairs[n++] = m->configuration[i];
        }
    }
    m->configuration = pairs;
    m->n_configuration = n;
}

static Status adopt_metadata(DeltaTransaction *txn, const DeltaSnapshot *source, Error *err)
{
    Status rc = OK;
    const DeltaMetadata *from = source->metadata;
    DeltaMetadata *m = &txn->metadata;
    DeltaSchema *schema = NULL;
    const char **columns = arena_alloc(txn->arena, (from->n_partition_columns + 1) * sizeof *columns);
    bool used_ict = delta_transaction_uses_ict(txn);

    TRY(delta_schema_parse(from->schema_string, &schema, err));
    delta_schema_unref(txn->schema);
    txn->schema = schema;
    m->schema_string = arena_strdup(txn->arena, from->schema_string);
    for (size_t i = 0; i < from->n_partition_columns; i++) {
        columns[i] = arena_strdup(txn->arena, from->partition_columns[i]);
    }
    m->partition_columns = columns;
    m->n_partition_columns = from->n_partition_columns;
    m->description = arena_strdup(txn->arena, from->description);
    adopt_properties(txn, from);
    txn->enables_ict = txn->snapshot != NULL && !used_ict && delta_transaction_uses_ict(txn);
    txn->metadata_changed = true;
out:
    return rc;
}

/* The features of both, and what the schema and the properties need. */
static Status adopt_protocol(DeltaTransaction *txn, const DeltaSnapshot *source, Error *err)
{
    Status rc = OK;
    const DeltaProtocol *from = source->protocol;
    DeltaProtocol raised = txn->protocol;
    bool changed = false;

    TRY(delta_protocol_check_write(from, delta_table_uri(delta_snapshot_table(source)), err));
    if (from->n_writer_features == 0 && txn->protocol.n_writer_features == 0) {
        raised.min_reader = from->min_reader > raised.min_reader ? from->min_reader : raised.min_reader;
        raised.min_writer = from->min_writer > raised.min_writer ? from->min_writer : raised.min_writer;
    }
    for (size_t i = 0; i < from->n_writer_features; i++) {
        TRY(delta_protocol_add_feature(&raised, from->writer_features[i], txn->arena, &raised, err));
    }
    txn->protocol = raised;
    TRY(delta_protocol_raise(&txn->protocol, &txn->metadata, txn->schema, txn->arena, &raised, &changed, err));
    TRY(delta_protocol_check_write(&raised, delta_table_uri(txn->table), err));
    TRY(delta_protocol_check_use(&raised, &txn->metadata, txn->schema, delta_table_uri(txn->table), err));
    txn->protocol = raised;
    txn->protocol_changed = true;
out:
    return rc;
}

static const DeltaDomain *find_domain(const DeltaSnapshot *snapshot, const char *name)
{
    for (size_t i = 0; snapshot != NULL && i < snapshot->n_domains; i++) {
        if (strcmp(snapshot->domains[i].domain, name) == 0 && !snapshot->domains[i].removed) {
            return &snapshot->domains[i];
        }
    }
    return NULL;
}

/* Clustering is the source's. The mark of row ids has to lie beyond those of both tables. */
static void adopt_domains(DeltaTransaction *txn, const DeltaSnapshot *source)
{
    const DeltaDomain *clustering = find_domain(source, CLUSTERING), *before = find_domain(txn->snapshot, CLUSTERING);
    int64_t mark = delta_row_id_high_water(source->domains, source->n_domains);

    if (clustering != NULL) {
        delta_transaction_set_domain(txn, clustering);
    } else if (before != NULL) {
        DeltaDomain gone = *before;
        gone.removed = true;
        delta_transaction_set_domain(txn, &gone);
    }
    if (mark > txn->row_id_high_water && delta_transaction_tracks_rows(txn)) {
        txn->row_id_high_water = mark;
        delta_transaction_set_domain(
            txn,
            &(DeltaDomain){.domain = ROW_TRACKING,
                           .configuration = arena_printf(txn->arena, "{\"rowIdHighWaterMark\":%" PRId64 "}", mark)});
    }
}

Status delta_transaction_adopt(DeltaTransaction *txn, const DeltaSnapshot *source, Error *err)
{
    Status rc = OK;

    TRY(adopt_metadata(txn, source, err));
    TRY(adopt_protocol(txn, source, err));
    adopt_domains(txn, source);
out:
    return rc;
}
