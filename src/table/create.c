/* CREATE TABLE, with and without AS, OR REPLACE, and over a table that is there already (LOCATION). */
#include "table/create.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "delta/clustering.h"
#include "delta/column_default.h"
#include "delta/iceberg_compat.h"

/* commitInfo.operation, by what is asked for. */
static const char *operation_name(const TableSpec *spec, bool exists)
{
    static const char *const names[3][2] = {
        {"CREATE TABLE", "CREATE TABLE AS SELECT"},
        {"CREATE OR REPLACE TABLE", "CREATE OR REPLACE TABLE AS SELECT"},
        {"REPLACE TABLE", "REPLACE TABLE AS SELECT"},
    };
    return names[!(spec->or_replace && exists) ? 0 : spec->must_exist ? 2 : 1][spec->query != NULL];
}

/* A table that is replaced starts with no properties of its own, but for what its files are written by. */
static Status forget_properties(DeltaTransaction *txn, const DeltaSnapshot *snapshot, Error *err)
{
    static const char *const KEPT[] = {"delta.columnMapping.mode", "delta.enableInCommitTimestamps",
                                       "delta.enableRowTracking"};
    Status rc = OK;
    const DeltaMetadata *before = delta_snapshot_metadata(snapshot);

    for (size_t i = 0; i < before->n_configuration; i++) {
        const char *key = before->configuration[i].key;
        bool kept = false;
        for (size_t k = 0; k < sizeof KEPT / sizeof *KEPT; k++) {
            kept = kept || strcmp(key, KEPT[k]) == 0;
        }
        if (!kept && delta_property_is_free(key)) {
            TRY(delta_transaction_set_property(txn, key, NULL, err));
        }
    }
    if (before->description != NULL) {
        delta_transaction_set_comment(txn, NULL, "");
    }
out:
    return rc;
}

/* A table that is replaced gets the column mapping that Iceberg compatibility needs, as a new one does. */
static Status set_properties(DeltaTransaction *txn, const TableSpec *spec, Error *err)
{
    static const char MODE[] = "delta.columnMapping.mode";
    Status rc = OK;

    for (size_t i = 0; i < spec->n_properties; i++) {
        TRY(delta_transaction_set_property(txn, spec->properties[i].key, spec->properties[i].value, err));
    }
    if (delta_iceberg_version(delta_transaction_metadata(txn)) > 0 && delta_transaction_property(txn, MODE) == NULL) {
        TRY(delta_transaction_set_property(txn, MODE, "name", err));
    }
out:
    return rc;
}

/* A table that is replaced loses the columns it was clustered by, if the new one has none. */
static Status set_clustering(DeltaTransaction *txn, const DeltaSnapshot *snapshot, const TableSpec *spec, Error *err)
{
    Status rc = OK;
    Text before = TEXT(1 << 20);

    if (snapshot != NULL) {
        delta_clustering_names(snapshot, &before);
    }
    if (spec->n_cluster_columns > 0 || (before.length > 0 && spec->n_partition_columns == 0)) {
        TRY(delta_clustering_declare(txn, spec->cluster_columns, spec->n_cluster_columns, err));
    }
out:
    text_free(&before);
    return rc;
}

/* The schema as declared, or as the query gives it. */
static Status spec_schema(const TableSpec *spec, DuckConn *conn, DeltaSchema **out, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    DuckColumnInfo *columns = NULL;
    size_t n = 0;

    TRY(duck_describe(conn, spec->query, arena, &columns, &n, err));
    TRY(delta_schema_from_columns(columns, n, out, err));
out:
    arena_free(arena);
    return rc;
}

/* Schema, partitioning, properties and rows of the spec as one transaction over `snapshot` (NULL: a new table). */
static Status write_table(DeltaTable *table, DeltaSnapshot *snapshot, DuckConn *conn, const TableSpec *spec,
                          int64_t *rows, Error *err)
{
    Status rc = OK;
    DeltaTransaction *txn = NULL;
    DeltaSchema *own = NULL;
    const DeltaSchema *schema = spec->schema;
    DeltaWriteResult written = {0};
    int64_t version = 0, removed = 0;

    TRY(delta_transaction_begin(table, snapshot, conn, &txn, err));
    if (schema == NULL) {
        TRY(spec_schema(spec, conn, &own, err));
        schema = own;
    }
    if (snapshot != NULL) {
        TRY(delta_write_remove_all(txn, conn, &removed, err));
        TRY(forget_properties(txn, snapshot, err));
    }
    TRY(delta_check_columns(conn, schema, spec->partition_columns, spec->n_partition_columns, err));
    TRY(set_properties(txn, spec, err));
    TRY(delta_transaction_set_schema(txn, schema, err));
    TRY(delta_transaction_set_partitioning(txn, spec->partition_columns, spec->n_partition_columns, err));
    TRY(set_clustering(txn, snapshot, spec, err));
    delta_transaction_set_comment(txn, NULL, spec->comment);
    delta_transaction_operation(txn, operation_name(spec, snapshot != NULL));
    if (spec->query != NULL) {
        TRY(delta_write_query(txn, conn, spec->query, NULL, &written, err));
        delta_transaction_metric(txn, "numFiles", written.files);
        delta_transaction_metric(txn, "numOutputRows", written.rows);
        delta_transaction_metric(txn, "numOutputBytes", written.bytes);
    }
    TRY(delta_transaction_commit(txn, &version, err));
    delta_table_maintain(table, conn);
    *rows = written.rows;
out:
    delta_transaction_free(txn);
    delta_schema_unref(own);
    return rc;
}

static bool same_columns(const DeltaSchema *schema, const DeltaSchema *declared)
{
    bool same = schema->n_fields == declared->n_fields;

    for (size_t i = 0; same && i < schema->n_fields; i++) {
        same = str_ieq(schema->fields[i].name, declared->fields[i].name) &&
               delta_type_equal(schema->fields[i].type, declared->fields[i].type);
    }
    return same;
}

static bool same_partitions(const DeltaMetadata *metadata, const TableSpec *spec)
{
    bool same = spec->n_partition_columns == metadata->n_partition_columns;

    for (size_t i = 0; same && i < metadata->n_partition_columns; i++) {
        same = str_ieq(spec->partition_columns[i], metadata->partition_columns[i]);
    }
    return same;
}

/* Is what is there what the statement declares? A statement without columns takes anything. */
static Status check_adopted(DeltaTable *table, DuckConn *conn, const TableSpec *spec, Error *err)
{
    Status rc = OK;
    DeltaSnapshot *snapshot = NULL;

    TRY(delta_table_snapshot(table, conn, &snapshot, err));
    if (spec->schema == NULL) {
        goto out;
    }
    bool columns = same_columns(delta_snapshot_schema(snapshot), spec->schema);
    if (!columns || !same_partitions(delta_snapshot_metadata(snapshot), spec)) {
        rc = error_set(err, E_DELTA_SCHEMA, "the table at %s has other %s than the statement declares",
                       delta_table_uri(table), columns ? "partition columns" : "columns");
        error_klass(err, "DELTA_CREATE_TABLE_SCHEME_MISMATCH");
        error_hint(err, "leave the columns out to take the table as it is");
    }
out:
    delta_snapshot_unref(snapshot);
    return rc;
}

Status table_create(DeltaTable *table, DuckConn *conn, const TableSpec *spec, int64_t *rows, Error *err)
{
    Status rc = OK;
    DeltaSnapshot *snapshot = NULL;
    bool exists = false;

    TRY(delta_table_exists(table, &exists, err));
    if (exists && !spec->or_replace && spec->adopt && spec->query == NULL) {
        TRY(check_adopted(table, conn, spec, err));
        *rows = -1;
        goto out;
    }
    if (spec->schema == NULL && spec->query == NULL) {
        rc = error_set(err, E_DELTA_SCHEMA, "the table needs columns or a query");
        goto out;
    }
    if (spec->must_exist && !exists) {
        rc = error_set(err, E_DELTA_NOT_A_TABLE, "there is no table at %s to replace", delta_table_uri(table));
        error_hint(err, "CREATE OR REPLACE TABLE makes it when it is not there");
        goto out;
    }
    if (exists && spec->if_not_exists) {
        *rows = -1;
        goto out;
    }
    if (exists && !spec->or_replace) {
        rc = error_set(err, E_DELTA_EXISTS, "there is a table at %s already", delta_table_uri(table));
        error_hint(err,
                   "use CREATE OR REPLACE TABLE to replace what it holds, or CREATE TABLE IF NOT EXISTS to keep it");
        goto out;
    }
    if (exists) {
        TRY(delta_table_snapshot(table, conn, &snapshot, err));
    }
    TRY(write_table(table, snapshot, conn, spec, rows, err));
out:
    delta_snapshot_unref(snapshot);
    return rc;
}

Status table_drop(DeltaTable *table, bool files, Error *err)
{
    Status rc = OK;
    Text root = TEXT(4096), gone = TEXT(4096);
    char id[UUID_TEXT];

    if (!files) {
        goto out;
    }
    TRY(store_local_path(delta_table_store(table), "", &root, err));
    /* Beside the folder and hidden: whoever looks sees the whole table or none of it. */
    const char *slash = strrchr(text_str(&root), '/');
    uuid_text(id);
    text_append_n(&gone, text_str(&root), (size_t)(slash - text_str(&root)) + 1);
    text_printf(&gone, "._dropped_%s", id);
    if (rename(text_str(&root), text_str(&gone)) != 0) {
        rc = error_errno(err, "dropping the table at %s", text_str(&root));
        goto out;
    }
    TRY(file_remove_tree(text_str(&gone), err));
out:
    text_free(&root);
    text_free(&gone);
    return rc;
}
