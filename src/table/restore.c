/* RESTORE: the files of two versions compared, and one commit that makes up the difference. */
#include "table/restore.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/map.h"
#include "delta/column_default.h"
#include "delta/dv.h"

typedef struct Restore {
    DeltaTable *table;
    DeltaTransaction *txn;
    Map *wanted;  /* "path dv" of the files of the old version */
    Map *present; /* of the newest */
    TableRestore done;
} Restore;

static void file_key(const DeltaFile *file, Text *out)
{
    text_clear(out);
    text_append(out, file->path);
    text_append_char(out, ' ');
    delta_file_dv_id(file, out);
}

static Status remember(Map *files, const DeltaFile *file)
{
    Text key = TEXT(1 << 17);

    file_key(file, &key);
    map_put(files, text_str(&key), files);
    text_free(&key);
    return OK;
}

static Status remember_wanted(void *context, const DeltaFile *file, Error *err)
{
    Restore *r = context;

    (void)err;
    r->done.files_after++;
    r->done.bytes_after += file->size;
    return remember(r->wanted, file);
}

/* A file of the newest version: it stays or goes. */
static Status visit_present(void *context, const DeltaFile *file, Error *err)
{
    Restore *r = context;
    Text key = TEXT(1 << 17);

    (void)err;
    file_key(file, &key);
    if (!map_has(r->wanted, text_str(&key))) {
        delta_transaction_remove(r->txn, file, true);
        r->done.files_removed++;
        r->done.bytes_removed += file->size;
    }
    text_free(&key);
    return remember(r->present, file);
}

static Status check_there(const char *place, Error *err)
{
    int fd = file_open(place, O_RDONLY, 0);

    if (fd < 0) {
        Status rc = error_errno(err, "the version needs %s", place);
        error_hint(err, "VACUUM has removed files that only older versions need");
        return rc;
    }
    close(fd);
    return OK;
}

static Status check_files(const Restore *r, const DeltaFile *file, Error *err)
{
    Status rc = OK;
    Text place = TEXT(64 << 10), vector = TEXT(64 << 10);

    TRY(delta_file_location(r->table, file->path, &place, err));
    TRY(check_there(text_str(&place), err));
    if (file->deletion_vector != NULL && file->deletion_vector->storage_type == 'u' &&
        delta_dv_relative_path(file->deletion_vector->path_or_inline, &vector)) {
        text_clear(&place);
        TRY(delta_file_location(r->table, text_str(&vector), &place, err));
        TRY(check_there(text_str(&place), err));
    }
out:
    text_free(&place);
    text_free(&vector);
    return rc;
}

/* A file of the old version: it is there already or comes back. */
static Status visit_wanted(void *context, const DeltaFile *file, Error *err)
{
    Status rc = OK;
    Restore *r = context;
    Text key = TEXT(1 << 17);
    DeltaFile add = *file;

    file_key(file, &key);
    if (!map_has(r->present, text_str(&key))) {
        TRY(check_files(r, file, err));
        add.data_change = true;
        delta_transaction_add(r->txn, &add);
        r->done.files_restored++;
        r->done.bytes_restored += file->size;
    }
out:
    text_free(&key);
    return rc;
}

/* ---- metadata ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* What users set; what writers keep (the largest id of a column, ...) goes on from where it is. */
static Status restore_properties(Restore *r, const DeltaMetadata *old, const DeltaMetadata *now, bool *changed,
                                 Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < now->n_configuration; i++) {
        const char *key = now->configuration[i].key;
        if (delta_property_is_free(key) && delta_pair_get(old->configuration, old->n_configuration, key) == NULL) {
            TRY(delta_transaction_set_property(r->txn, key, NULL, err));
            *changed = true;
        }
    }
    for (size_t i = 0; i < old->n_configuration; i++) {
        const DeltaPair *pair = &old->configuration[i];
        if (delta_property_is_free(pair->key) &&
            !same_text(pair->value, delta_pair_get(now->configuration, now->n_configuration, pair->key))) {
            TRY(delta_transaction_set_property(r->txn, pair->key, pair->value, err));
            *changed = true;
        }
    }
out:
    return rc;
}

static bool same_partitioning(const DeltaMetadata *a, const DeltaMetadata *b)
{
    bool same = a->n_partition_columns == b->n_partition_columns;

    for (size_t i = 0; same && i < a->n_partition_columns; i++) {
        same = strcmp(a->partition_columns[i], b->partition_columns[i]) == 0;
    }
    return same;
}

static Status restore_metadata(Restore *r, const DeltaSnapshot *old, const DeltaSnapshot *now, bool *changed,
                               Error *err)
{
    Status rc = OK;
    DeltaSchema *schema = NULL;
    Text json = TEXT(64 << 20);
    const DeltaMetadata *before = delta_snapshot_metadata(old), *present = delta_snapshot_metadata(now);

    TRY(restore_properties(r, before, present, changed, err));
    TRY(delta_identity_keep_marks(delta_snapshot_schema(old), delta_snapshot_schema(now), &schema, err));
    delta_schema_json(schema, &json);
    if (!same_text(text_str(&json), present->schema_string)) {
        TRY(delta_transaction_set_schema(r->txn, schema, err));
        *changed = true;
    }
    if (!same_partitioning(before, present)) {
        TRY(delta_transaction_set_partitioning(r->txn, before->partition_columns, before->n_partition_columns, err));
        *changed = true;
    }
out:
    delta_schema_unref(schema);
    text_free(&json);
    return rc;
}

/* ---- all of it ---- */

static void describe(Restore *r, int64_t version, const char *timestamp)
{
    char number[32];

    snprintf(number, sizeof number, "%lld", (long long)version);
    delta_transaction_operation(r->txn, "RESTORE");
    delta_transaction_parameter(r->txn, "version", timestamp == NULL ? number : "null");
    if (timestamp != NULL) {
        delta_transaction_parameter_text(r->txn, "timestamp", timestamp);
    } else {
        delta_transaction_parameter(r->txn, "timestamp", "null");
    }
    delta_transaction_metric(r->txn, "tableSizeAfterRestore", r->done.bytes_after);
    delta_transaction_metric(r->txn, "numOfFilesAfterRestore", r->done.files_after);
    delta_transaction_metric(r->txn, "numRemovedFiles", r->done.files_removed);
    delta_transaction_metric(r->txn, "numRestoredFiles", r->done.files_restored);
    delta_transaction_metric(r->txn, "removedFilesSize", r->done.bytes_removed);
    delta_transaction_metric(r->txn, "restoredFilesSize", r->done.bytes_restored);
}

Status table_restore(DeltaTable *table, DuckConn *conn, int64_t version, const char *timestamp, TableRestore *result,
                     Error *err)
{
    Status rc = OK;
    Restore r = {.table = table, .wanted = map_new(), .present = map_new()};
    DeltaSnapshot *now = NULL, *old = NULL;
    bool changed = false;
    int64_t committed = 0;

    TRY(delta_table_snapshot(table, conn, &now, err));
    TRY(delta_table_snapshot_at(table, conn, version, &old, err));
    TRY(delta_transaction_begin(table, now, conn, &r.txn, err));
    delta_transaction_read_table(r.txn);
    TRY(restore_metadata(&r, old, now, &changed, err));
    TRY(delta_snapshot_each_file(old, conn, remember_wanted, &r, err));
    TRY(delta_snapshot_each_file(now, conn, visit_present, &r, err));
    TRY(delta_snapshot_each_file(old, conn, visit_wanted, &r, err));
    describe(&r, version, timestamp);
    if (changed || r.done.files_removed + r.done.files_restored > 0) {
        TRY(delta_transaction_commit(r.txn, &committed, err));
        delta_table_maintain(table, conn);
    }
    *result = r.done;
out:
    delta_transaction_free(r.txn);
    delta_snapshot_unref(old);
    delta_snapshot_unref(now);
    map_free(r.wanted, NULL);
    map_free(r.present, NULL);
    return rc;
}
