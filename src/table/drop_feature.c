/* One table says which features can be dropped and how their traces go. A step that finds none changes nothing, so that
 * a statement that was interrupted goes on when it is run again. */
#include "table/drop_feature.h"

#include <string.h>

#include "base/clock.h"
#include "delta/clustering.h"
#include "delta/drop_feature.h"
#include "delta/scan.h"
#include "delta/schema_edit.h"
#include "table/move.h"

typedef struct Drop {
    DeltaTable *table;
    DuckConn *conn;
    Arena *arena;
    const char *feature;
    DeltaSnapshot *snapshot;
    DeltaTransaction *txn;
    bool changed;         /* traces were found */
    int64_t files, bytes; /* written anew */
} Drop;

/* ---- steps ---- */

static const char *property(const Drop *d, const char *key)
{
    return delta_transaction_property(d->txn, key);
}

static Status unset(Drop *d, const char *key, Error *err)
{
    Status rc = OK;

    if (property(d, key) != NULL) {
        TRY(delta_transaction_set_property(d->txn, key, NULL, err));
        d->changed = true;
    }
out:
    return rc;
}

static void unset_own(Drop *d, const char *key)
{
    d->changed = d->changed || property(d, key) != NULL;
    delta_transaction_unset_own(d->txn, key);
}

/* The schema without an entry of its columns' metadata. */
static Status strip(Drop *d, const char *key, Error *err)
{
    Status rc = OK;
    DeltaSchema *plain = NULL, *schema = delta_transaction_schema(d->txn);
    Text before = TEXT(64 << 20), after = TEXT(64 << 20);

    TRY(delta_schema_strip(schema, &key, 1, &plain, err));
    delta_schema_json(schema, &before);
    delta_schema_json(plain, &after);
    if (strcmp(text_str(&before), text_str(&after)) != 0) {
        TRY(delta_transaction_set_schema(d->txn, plain, err));
        d->changed = true;
    }
out:
    delta_schema_unref(plain);
    text_free(&before);
    text_free(&after);
    return rc;
}

/* Writes files anew, with the columns as the transaction now has them: all of them, or those with deleted rows. */
static Status rewrite_files(Drop *d, bool all, Error *err)
{
    Status rc = OK;
    DeltaFile *files = NULL;
    size_t n = 0, chosen = 0;
    const char *tracking = property(d, "delta.enableRowTracking");

    TRY(delta_scan_candidates(d->snapshot, d->conn, NULL, 0, d->arena, &files, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (all || files[i].deletion_vector != NULL) {
            files[chosen++] = files[i];
        }
    }
    if (chosen == 0) {
        goto out;
    }
    if (tracking != NULL && str_ieq(tracking, "true")) {
        rc = error_set(err, E_DELTA_PROTOCOL_WRITE,
                       "without %s files are written anew, and rows would lose the ids that row tracking gives them",
                       d->feature);
        error_hint(err, "if nobody needs the ids: ALTER TABLE delta.`%s` DROP FEATURE rowTracking, then this once more",
                   delta_table_uri(d->table));
        goto out;
    }
    TRY(table_move_rows(d->txn, d->conn, files, chosen, err));
    d->files += (int64_t)chosen;
    d->changed = true;
out:
    return rc;
}

/* ---- what features leave ---- */

static Status end_vectors(Drop *d, Error *err)
{
    Status rc = unset(d, "delta.enableDeletionVectors", err);

    return rc == OK ? rewrite_files(d, false, err) : rc;
}

static Status end_mapping(Drop *d, Error *err)
{
    Status rc = OK;
    const char *mode = property(d, "delta.columnMapping.mode");
    Text clustering = TEXT(1 << 20);

    if (mode == NULL || str_ieq(mode, "none")) {
        goto out;
    }
    delta_clustering_names(d->snapshot, &clustering);
    if (clustering.length > 0) {
        rc = error_set(err, E_DELTA_PROTOCOL_WRITE, "the table is clustered by columns under their stored names: %s",
                       text_str(&clustering));
        error_hint(err, "ALTER TABLE ... CLUSTER BY NONE first");
        goto out;
    }
    TRY(delta_transaction_end_mapping(d->txn, err));
    TRY(rewrite_files(d, true, err));
    d->changed = true;
out:
    text_free(&clustering);
    return rc;
}

static Status end_widening(Drop *d, Error *err)
{
    Status rc = OK;
    bool before = d->changed;

    TRY(strip(d, "delta.typeChanges", err));
    if (d->changed != before) {
        TRY(rewrite_files(d, true, err));
    }
    TRY(unset(d, "delta.enableTypeWidening", err));
out:
    return rc;
}

static Status end_v2_checkpoints(Drop *d, Error *err)
{
    return unset(d, "delta.checkpointPolicy", err);
}

static Status end_constraints(Drop *d, Error *err)
{
    const DeltaMetadata *metadata = delta_transaction_metadata(d->txn);

    for (size_t i = 0; i < metadata->n_configuration; i++) {
        if (str_istarts(metadata->configuration[i].key, "delta.constraints.")) {
            Status rc = error_set(err, E_DELTA_PROTOCOL_WRITE, "the table has the constraint \"%s\"",
                                  strrchr(metadata->configuration[i].key, '.') + 1);
            error_klass(err, "DELTA_CANNOT_DROP_CHECK_CONSTRAINT_FEATURE");
            error_hint(err, "ALTER TABLE ... DROP CONSTRAINT first");
            return rc;
        }
    }
    return OK;
}

static Status end_commit_timestamps(Drop *d, Error *err)
{
    Status rc = unset(d, "delta.enableInCommitTimestamps", err);

    unset_own(d, "delta.inCommitTimestampEnablementVersion");
    unset_own(d, "delta.inCommitTimestampEnablementTimestamp");
    return rc;
}

static Status end_defaults(Drop *d, Error *err)
{
    return strip(d, "CURRENT_DEFAULT", err);
}

/* Leaves a tombstone of the domain. */
static void end_domain(Drop *d, const char *name)
{
    const DeltaDomain *domains = NULL;
    size_t n = delta_snapshot_domains(d->snapshot, &domains);

    for (size_t i = 0; i < n; i++) {
        if (!domains[i].removed && (name == NULL || strcmp(domains[i].domain, name) == 0)) {
            DeltaDomain gone = domains[i];
            gone.removed = true;
            delta_transaction_set_domain(d->txn, &gone);
            d->changed = true;
        }
    }
}

static Status end_clustering(Drop *d, Error *err)
{
    (void)err;
    end_domain(d, "delta.clustering");
    return OK;
}

static Status forget_row_ids(void *context, const DeltaFile *file, Error *err)
{
    Drop *d = context;
    DeltaFile again = *file;

    (void)err;
    if (file->base_row_id >= 0 || file->default_row_commit_version >= 0) {
        again.base_row_id = again.default_row_commit_version = -1;
        again.data_change = false;
        delta_transaction_add(d->txn, &again);
        d->changed = true;
    }
    return OK;
}

static Status end_row_tracking(Drop *d, Error *err)
{
    Status rc = OK;

    TRY(unset(d, "delta.enableRowTracking", err));
    TRY(unset(d, "delta.rowTrackingSuspended", err));
    unset_own(d, "delta.rowTracking.materializedRowIdColumnName");
    unset_own(d, "delta.rowTracking.materializedRowCommitVersionColumnName");
    end_domain(d, "delta.rowTracking");
    TRY(delta_snapshot_each_file(d->snapshot, d->conn, forget_row_ids, d, err));
out:
    return rc;
}

static Status end_domains(Drop *d, Error *err)
{
    (void)err;
    end_domain(d, NULL);
    return OK;
}

static Status end_nothing(Drop *d, Error *err)
{
    (void)d;
    (void)err;
    return OK;
}

static Status end_iceberg_v1(Drop *d, Error *err)
{
    return unset(d, "delta.enableIcebergCompatV1", err);
}

static Status end_iceberg_v2(Drop *d, Error *err)
{
    return unset(d, "delta.enableIcebergCompatV2", err);
}

static Status end_partition_columns(Drop *d, Error *err)
{
    return unset(d, "delta.enableMaterializePartitionColumnsFeature", err);
}

/* What in a commit makes a reader need the feature; used only for TRUNCATE HISTORY. */
static bool uses_vectors(const DeltaAction *action)
{
    return (action->kind == DELTA_ACTION_ADD || action->kind == DELTA_ACTION_REMOVE) &&
           action->file.deletion_vector != NULL;
}

static bool uses_mapping(const DeltaAction *action)
{
    return action->kind == DELTA_ACTION_METADATA &&
           strstr(action->metadata.schema_string, "delta.columnMapping.") != NULL;
}

static bool uses_widening(const DeltaAction *action)
{
    return action->kind == DELTA_ACTION_METADATA && strstr(action->metadata.schema_string, "delta.typeChanges") != NULL;
}

static bool uses_v2_checkpoints(const DeltaAction *action)
{
    return action->kind == DELTA_ACTION_CHECKPOINT_METADATA || action->kind == DELTA_ACTION_SIDECAR;
}

static const char PROTECTION[] = "checkpointProtection";

typedef struct Droppable {
    const char *name;
    Status (*prepare)(Drop *d, Error *err);
    bool (*in_history)(const DeltaAction *action); /* NULL: old versions can be read without the feature */
    bool apart;                                    /* traces go in a commit of their own */
} Droppable;

static const Droppable DROPPABLE[] = {
    {"deletionVectors", end_vectors, uses_vectors, true},
    {"columnMapping", end_mapping, uses_mapping, true},
    {"typeWidening", end_widening, uses_widening, true},
    {"typeWidening-preview", end_widening, uses_widening, true},
    {"v2Checkpoint", end_v2_checkpoints, uses_v2_checkpoints, true},
    {"vacuumProtocolCheck", end_nothing, NULL, false},
    {"checkConstraints", end_constraints, NULL, false},
    {"inCommitTimestamp", end_commit_timestamps, NULL, false},
    {"allowColumnDefaults", end_defaults, NULL, false},
    {"clustering", end_clustering, NULL, false},
    {"rowTracking", end_row_tracking, NULL, false},
    {"domainMetadata", end_domains, NULL, true},
    {"icebergCompatV1", end_iceberg_v1, NULL, false},
    {"icebergCompatV2", end_iceberg_v2, NULL, false},
    {"materializePartitionColumns", end_partition_columns, NULL, false},
    {PROTECTION, NULL, NULL, false}, /* see drop_protection */
};
enum { N_DROPPABLE = sizeof DROPPABLE / sizeof *DROPPABLE };

/* ---- commits ---- */

static void drop_fini(Drop *d)
{
    delta_transaction_free(d->txn);
    delta_snapshot_unref(d->snapshot);
    d->txn = NULL;
    d->snapshot = NULL;
}

static Status drop_begin(Drop *d, Error *err)
{
    Status rc = OK;

    drop_fini(d);
    d->changed = false;
    TRY(delta_table_snapshot(d->table, d->conn, &d->snapshot, err));
    TRY(delta_transaction_begin(d->table, d->snapshot, d->conn, &d->txn, err));
    delta_transaction_read_table(d->txn);
out:
    return rc;
}

static Status commit(Drop *d, const char *operation, Error *err)
{
    int64_t version = 0;

    delta_transaction_operation(d->txn, operation);
    delta_transaction_parameter_text(d->txn, "featureName", d->feature);
    if (d->files > 0) {
        delta_transaction_metric(d->txn, "numRemovedFiles", d->files);
    }
    return delta_transaction_commit(d->txn, &version, err);
}

/* A checkpoint of the newest version, from which readers start. */
static Status barrier(Drop *d, Error *err)
{
    Status rc = OK;
    DeltaSnapshot *newest = NULL;

    TRY(delta_table_snapshot(d->table, d->conn, &newest, err));
    TRY(delta_checkpoint_write(newest, d->conn, err));
out:
    delta_snapshot_unref(newest);
    return rc;
}

static Status drop_name(Drop *d, bool protect, bool truncate, Error *err)
{
    Status rc = OK;

    delta_transaction_parameter(d->txn, "truncateHistory", truncate ? "true" : "false");
    TRY(delta_transaction_drop_feature(d->txn, d->feature, protect, err));
    TRY(commit(d, "DROP FEATURE", err));
out:
    return rc;
}

/* TRUNCATE HISTORY may take what is older. */
static int64_t truncates_before_ms(const Drop *d)
{
    const char *retention = property(d, "delta.dropFeatureTruncateHistory.retentionDuration");
    int64_t us = INT64_C(24) * 3600 * 1000000;

    if (retention != NULL) {
        (void)str_parse_interval(retention, &us);
    }
    return clock_now_ms() - us / 1000 + (us == 0);
}

/* Only as far as the feature's own versions reach: the log behind the retention goes, the rest must be free of it. */
static Status truncate_history(Drop *d, const Droppable *how, Error *err)
{
    Status rc = OK;
    int64_t first = 0, last = 0, found = -1;

    TRY(delta_log_truncate(d->table, d->conn, d->snapshot, truncates_before_ms(d), err));
    TRY(delta_table_commit_range(d->table, &first, &last, err));
    for (int64_t version = first; version <= last && found < 0; version++) {
        DeltaCommit *commit = NULL;
        TRY(delta_commit_read(d->table, version, &commit, err));
        for (size_t i = 0; i < commit->n_actions; i++) {
            found = how->in_history(&commit->actions[i]) ? version : found;
        }
        delta_commit_free(commit);
    }
    if (found >= 0) {
        rc = error_set(err, E_DELTA_PROTOCOL_WRITE, "version %lld still needs '%s'", (long long)found, d->feature);
        error_klass(err, "DELTA_FEATURE_DROP_WAIT_FOR_RETENTION_PERIOD");
        error_hint(err, "run the statement again when that version is older than "
                        "delta.dropFeatureTruncateHistory.retentionDuration, or leave TRUNCATE HISTORY out");
    }
out:
    return rc;
}

/* What removed the traces may still name them, so an empty commit with a checkpoint comes before the one that drops the
 * feature: readers without it never have to look further back. */
static Status drop_reader_feature(Drop *d, const Droppable *how, bool truncate, Error *err)
{
    Status rc = OK;

    TRY(commit(d, "Empty Commit", err));
    TRY(drop_begin(d, err));
    TRY(barrier(d, err));
    if (truncate) {
        TRY(truncate_history(d, how, err));
        TRY(drop_begin(d, err));
    }
    TRY(drop_name(d, !truncate, truncate, err));
    TRY(barrier(d, err));
out:
    return rc;
}

/* checkpointProtection goes when the versions it protects are gone, and these go all at once: of a part of them readers
 * could no longer tell what they need. */
static Status drop_protection(Drop *d, bool truncate, Error *err)
{
    static const char PROTECTED[] = "delta.requireCheckpointProtectionBeforeVersion";
    Status rc = OK;
    int64_t version = 0, before_ms = truncates_before_ms(d);
    bool old = false;

    if (!truncate) {
        rc = error_set(err, E_DELTA_PROTOCOL_WRITE, "'%s' goes only together with the history that it protects",
                       d->feature);
        error_klass(err, "DELTA_FEATURE_CAN_ONLY_DROP_CHECKPOINT_PROTECTION_WITH_HISTORY_TRUNCATION");
        error_hint(err, "ALTER TABLE ... DROP FEATURE %s TRUNCATE HISTORY", d->feature);
        goto out;
    }
    (void)str_parse_i64(property(d, PROTECTED) != NULL ? property(d, PROTECTED) : "0", &version);
    TRY(delta_log_is_older(d->table, version, before_ms, &old, err));
    if (!old) {
        rc = error_set(err, E_DELTA_PROTOCOL_WRITE, "versions before %lld are protected and not old enough to go",
                       (long long)version);
        error_klass(err, "DELTA_FEATURE_DROP_CHECKPOINT_PROTECTION_WAIT_FOR_RETENTION_PERIOD");
        error_hint(err, "run the statement again when they are older than "
                        "delta.dropFeatureTruncateHistory.retentionDuration");
        goto out;
    }
    TRY(barrier(d, err));
    TRY(delta_log_truncate(d->table, d->conn, d->snapshot, before_ms, err));
    TRY(drop_begin(d, err));
    unset_own(d, PROTECTED);
    TRY(drop_name(d, false, true, err));
out:
    return rc;
}

static Status find_feature(const DeltaSnapshot *snapshot, const char *name, const Droppable **out, Error *err)
{
    const char *names[N_DROPPABLE];

    for (size_t i = 0; i < N_DROPPABLE; i++) {
        names[i] = DROPPABLE[i].name;
        if (strcmp(DROPPABLE[i].name, name) == 0) {
            *out = &DROPPABLE[i];
            return OK;
        }
    }
    bool has = delta_protocol_supports(delta_snapshot_protocol(snapshot), name);
    const char *nearest = error_nearest(name, names, N_DROPPABLE);
    Status rc = error_set(err, E_DELTA_PROTOCOL_WRITE,
                          has ? "table feature '%s' cannot be dropped" : "there is no table feature '%s' to drop",
                          name);
    error_klass(err, has ? "DELTA_FEATURE_DROP_NONREMOVABLE_FEATURE" : "DELTA_FEATURE_DROP_UNSUPPORTED_CLIENT_FEATURE");
    if (nearest != NULL) {
        error_hint(err, "did you mean \"%s\"?", nearest);
    }
    return rc;
}

Status table_drop_feature(DeltaTable *table, DuckConn *conn, const char *feature, bool truncate, Error *err)
{
    Status rc = OK;
    const Droppable *how = NULL;
    Drop d = {.table = table, .conn = conn, .arena = arena_new(), .feature = feature};

    TRY(drop_begin(&d, err));
    TRY(find_feature(d.snapshot, feature, &how, err));
    TRY(delta_transaction_may_drop(d.txn, feature, err));
    if (strcmp(feature, PROTECTION) == 0) {
        rc = drop_protection(&d, truncate, err);
        goto out;
    }
    if (truncate && how->in_history == NULL) {
        rc = error_set(err, E_DELTA_PROTOCOL_WRITE,
                       "'%s' leaves nothing in the history: TRUNCATE HISTORY is not needed", feature);
        error_klass(err, "DELTA_FEATURE_DROP_HISTORY_TRUNCATION_NOT_ALLOWED");
        goto out;
    }
    TRY(how->prepare(&d, err));
    if (d.changed && how->apart) {
        TRY(commit(&d, d.files > 0 ? "REORG" : "UNSET TBLPROPERTIES", err));
        TRY(drop_begin(&d, err));
    }
    rc = how->in_history != NULL ? drop_reader_feature(&d, how, truncate, err) : drop_name(&d, false, false, err);
out:
    drop_fini(&d);
    arena_free(d.arena);
    return rc;
}
