/* What a transaction reads and is going to write. The attempts are in publish.c, the rules of conflict in conflict.c.
 */
#include "delta/transaction_int.h"

#include <string.h>

#include "base/log.h"
#include "delta/iceberg_compat.h"
#include "delta/log/path.h"
#include "delta/mapping_int.h"
#include "delta/partition.h"
#include "delta/property_int.h"
#include "delta/protocol_int.h"
#include "delta/table_int.h"

enum { PATH_BYTES_MAX = 1 << 16, SCHEMA_BYTES_MAX = 64 << 20 };

/* ---- begin and end ---- */

static void begin_new_table(DeltaTransaction *txn)
{
    char id[UUID_TEXT];

    uuid_text(id);
    txn->read_version = -1;
    txn->protocol = (DeltaProtocol){.min_reader = 1, .min_writer = 2};
    txn->protocol_changed = true;
    txn->metadata = (DeltaMetadata){.id = arena_strdup(txn->arena, id),
                                    .provider = "parquet",
                                    .format_options = "{}",
                                    .created_time = clock_now_ms()};
    txn->metadata_changed = true;
}

static Status begin_on(DeltaTransaction *txn, DeltaSnapshot *snapshot, Error *err)
{
    Text where = TEXT(ERROR_TEXT_MAX);
    Status rc = OK;

    txn->snapshot = delta_snapshot_ref(snapshot);
    txn->read_version = delta_snapshot_version(snapshot);
    txn->protocol = *delta_snapshot_protocol(snapshot);
    txn->metadata = *delta_snapshot_metadata(snapshot);
    txn->schema = delta_schema_ref(delta_snapshot_schema(snapshot));
    txn->row_id_high_water = delta_row_id_high_water(snapshot->domains, snapshot->n_domains);
    text_printf(&where, "table %s", delta_table_uri(txn->table));
    TRY(delta_protocol_check_write(&txn->protocol, text_str(&where), err));
    TRY(delta_protocol_check_use(&txn->protocol, &txn->metadata, txn->schema, text_str(&where), err));
out:
    text_free(&where);
    return rc;
}

Status delta_transaction_begin(DeltaTable *table, DeltaSnapshot *snapshot, DuckConn *conn, DeltaTransaction **out,
                               Error *err)
{
    DeltaTransaction *txn = mem_alloc(sizeof *txn);
    Status rc = OK;

    txn->arena = arena_new();
    txn->table = delta_table_ref(table);
    txn->conn = conn;
    txn->read_files = map_new();
    txn->read_apps = map_new();
    txn->wrote = map_new();
    txn->row_id_high_water = -1;
    txn->operation = "WRITE";
    txn->user_metadata = arena_strdup(txn->arena, duck_user_metadata(conn));
    uuid_text(txn->token);
    if (snapshot == NULL) {
        begin_new_table(txn);
    } else {
        TRY(begin_on(txn, snapshot, err));
    }
    *out = txn;
out:
    if (rc != OK) {
        delta_transaction_free(txn);
    }
    return rc;
}

static void remove_files(DeltaTransaction *txn)
{
    Text path = TEXT(PATH_BYTES_MAX);
    const char *log_path;

    for (size_t i = 0; map_next(txn->wrote, &i, &log_path, NULL);) {
        Error failed = ERROR_NONE;
        text_clear(&path);
        delta_path_canonical(txn->table->root, log_path, strlen(log_path), &path);
        if (delta_path_is_inside(text_str(&path)) && store_delete(txn->table->store, text_str(&path), &failed) != OK) {
            log_debug("%s: a file without a commit stays: %s", delta_table_uri(txn->table), failed.message);
        }
    }
    text_free(&path);
}

void delta_transaction_free(DeltaTransaction *txn)
{
    if (txn == NULL) {
        return;
    }
    if (!txn->committed && !txn->unknown_outcome) {
        remove_files(txn);
    }
    map_free(txn->read_files, NULL);
    map_free(txn->read_apps, NULL);
    map_free(txn->wrote, NULL);
    mem_free(txn->read_predicates);
    mem_free(txn->files.items);
    mem_free(txn->small.items);
    mem_free(txn->parameters.items);
    mem_free(txn->metrics.items);
    delta_schema_unref(txn->schema);
    delta_snapshot_unref(txn->snapshot);
    delta_table_close(txn->table);
    arena_free(txn->arena);
    mem_free(txn);
}

void delta_transaction_wrote(DeltaTransaction *txn, const char *log_path)
{
    map_put(txn->wrote, log_path, NULL);
}

DeltaTable *delta_transaction_table(const DeltaTransaction *txn)
{
    return txn->table;
}

DeltaSnapshot *delta_transaction_snapshot(const DeltaTransaction *txn)
{
    return txn->snapshot;
}

/* ---- what was read ---- */

void delta_transaction_read_table(DeltaTransaction *txn)
{
    txn->read_table = true;
}

void delta_transaction_read_file(DeltaTransaction *txn, const DeltaFile *file)
{
    Text path = TEXT(PATH_BYTES_MAX);

    delta_path_canonical(txn->table->root, file->path, strlen(file->path), &path);
    map_put(txn->read_files, text_str(&path), txn);
    text_free(&path);
}

void delta_transaction_read_partitions(DeltaTransaction *txn, const char *predicate_sql)
{
    txn->read_predicates = mem_grow(txn->read_predicates, txn->n_read_predicates, &txn->capacity_read_predicates,
                                    sizeof *txn->read_predicates);
    txn->read_predicates[txn->n_read_predicates++] = arena_strdup(txn->arena, predicate_sql);
}

int64_t delta_transaction_read_app(DeltaTransaction *txn, const char *app_id)
{
    int64_t version = -1;

    map_put(txn->read_apps, app_id, txn);
    if (txn->snapshot != NULL) {
        delta_snapshot_txn(txn->snapshot, app_id, &version);
    }
    return version;
}

/* ---- what is written ---- */

static DeltaAction *list_add(DeltaActionList *list, DeltaActionKind kind)
{
    list->items = mem_grow(list->items, list->n, &list->capacity, sizeof *list->items);
    DeltaAction *action = &list->items[list->n++];
    *action = (DeltaAction){.kind = kind};
    return action;
}

DeltaFile delta_file_copy(Arena *arena, const DeltaFile *file)
{
    DeltaFile copy = *file;
    DeltaPair *pairs = arena_alloc(arena, (file->n_partition_values + 1) * sizeof *pairs);

    for (size_t i = 0; i < file->n_partition_values; i++) {
        const char *value = file->partition_values[i].value;
        pairs[i].key = arena_strdup(arena, file->partition_values[i].key);
        pairs[i].value = value != NULL && value[0] == '\0' ? NULL : arena_strdup(arena, value); /* '' is null */
    }
    copy.path = arena_strdup(arena, file->path);
    copy.partition_values = pairs;
    copy.stats = arena_strdup(arena, file->stats);
    copy.tags = arena_strdup(arena, file->tags);
    copy.clustering_provider = arena_strdup(arena, file->clustering_provider);
    if (file->deletion_vector != NULL) {
        DeltaDeletionVector *dv = arena_alloc(arena, sizeof *dv);
        *dv = *file->deletion_vector;
        dv->path_or_inline = arena_strdup(arena, file->deletion_vector->path_or_inline);
        copy.deletion_vector = dv;
    }
    return copy;
}

void delta_transaction_add(DeltaTransaction *txn, const DeltaFile *file)
{
    list_add(&txn->files, DELTA_ACTION_ADD)->file = delta_file_copy(txn->arena, file);
}

void delta_transaction_remove(DeltaTransaction *txn, const DeltaFile *live, bool data_change)
{
    DeltaFile *file = &list_add(&txn->files, DELTA_ACTION_REMOVE)->file;

    *file = delta_file_copy(txn->arena, live);
    file->deletion_timestamp = clock_now_ms();
    file->data_change = data_change;
    file->extended_metadata = true;
    file->stats = NULL;
    file->clustering_provider = NULL;
}

void delta_transaction_cdc(DeltaTransaction *txn, const DeltaFile *file)
{
    list_add(&txn->files, DELTA_ACTION_CDC)->file = delta_file_copy(txn->arena, file);
}

void delta_transaction_set_app(DeltaTransaction *txn, const char *app_id, int64_t version)
{
    for (size_t i = 0; i < txn->small.n; i++) {
        DeltaAction *action = &txn->small.items[i];
        if (action->kind == DELTA_ACTION_TXN && strcmp(action->txn.app_id, app_id) == 0) {
            action->txn.version = version;
            return;
        }
    }
    list_add(&txn->small, DELTA_ACTION_TXN)->txn = (DeltaTxn){
        .app_id = arena_strdup(txn->arena, app_id), .version = version, .last_updated = clock_now_ms()};
}

void delta_transaction_set_domain(DeltaTransaction *txn, const DeltaDomain *domain)
{
    DeltaDomain copy = {.domain = arena_strdup(txn->arena, domain->domain),
                        .configuration = arena_strdup(txn->arena, domain->configuration),
                        .removed = domain->removed};

    for (size_t i = 0; i < txn->small.n; i++) {
        DeltaAction *action = &txn->small.items[i];
        if (action->kind == DELTA_ACTION_DOMAIN && strcmp(action->domain.domain, domain->domain) == 0) {
            action->domain = copy;
            return;
        }
    }
    list_add(&txn->small, DELTA_ACTION_DOMAIN)->domain = copy;
}

/* ---- metadata and protocol ---- */

/* After every change: the protocol that schema and properties need. */
static Status raise_protocol(DeltaTransaction *txn, Error *err)
{
    DeltaProtocol raised;
    bool changed = false;
    Status rc = OK;

    txn->metadata_changed = true;
    if (txn->schema == NULL) {
        goto out;
    }
    TRY(delta_protocol_raise(&txn->protocol, &txn->metadata, txn->schema, txn->arena, &raised, &changed, err));
    if (changed) {
        TRY(delta_protocol_check_write(&raised, delta_table_uri(txn->table), err));
        TRY(delta_protocol_check_use(&raised, &txn->metadata, txn->schema, delta_table_uri(txn->table), err));
        txn->protocol = raised;
        txn->protocol_changed = true;
    }
out:
    return rc;
}

static void put_property(DeltaTransaction *txn, const char *key, const char *value)
{
    DeltaMetadata *m = &txn->metadata;
    DeltaPair *pairs = arena_alloc(txn->arena, (m->n_configuration + 1) * sizeof *pairs);
    size_t n = 0;
    bool put = value == NULL;

    for (size_t i = 0; i < m->n_configuration; i++) {
        if (strcmp(m->configuration[i].key, key) != 0) {
            pairs[n++] = m->configuration[i];
        } else if (!put) {
            pairs[n++] = (DeltaPair){m->configuration[i].key, arena_strdup(txn->arena, value)};
            put = true;
        }
    }
    if (!put) {
        pairs[n++] = (DeltaPair){arena_strdup(txn->arena, key), arena_strdup(txn->arena, value)};
    }
    m->configuration = pairs;
    m->n_configuration = n;
}

static const char *mapping_mode(const DeltaMetadata *metadata)
{
    return delta_property_text(metadata, "delta.columnMapping.mode");
}

/* Takes the schema over; columns that are new to a mapped table get their ids and names. */
static Status take_schema(DeltaTransaction *txn, DeltaSchema *schema, bool keep_names, Error *err)
{
    static const char MAX_ID[] = "delta.columnMapping.maxColumnId";
    Text json = TEXT(SCHEMA_BYTES_MAX);
    DeltaSchema *mapped;
    DeltaMapping mapping = {.keep_names = keep_names,
                            .part_ids = delta_iceberg_numbers_parts(&txn->metadata),
                            .max_id = delta_property_i64(&txn->metadata, MAX_ID)};
    Status rc = OK;

    if (strcmp(mapping_mode(&txn->metadata), "none") != 0) {
        TRY(delta_mapping_assign(schema, &mapping, &mapped, err));
        delta_schema_unref(schema);
        schema = mapped;
        put_property(txn, MAX_ID, arena_printf(txn->arena, "%lld", (long long)mapping.max_id));
    }
    delta_schema_json(schema, &json);
    delta_schema_unref(txn->schema);
    txn->schema = schema;
    schema = NULL;
    txn->metadata.schema_string = arena_strdup(txn->arena, text_str(&json));
    TRY(raise_protocol(txn, err));
out:
    delta_schema_unref(schema);
    text_free(&json);
    return rc;
}

Status delta_transaction_set_schema(DeltaTransaction *txn, const DeltaSchema *schema, Error *err)
{
    Text json = TEXT(SCHEMA_BYTES_MAX);
    DeltaSchema *parsed = NULL;
    Status rc = OK;

    bool chosen = delta_pair_get(txn->metadata.configuration, txn->metadata.n_configuration,
                                 "delta.columnMapping.mode") != NULL;
    if (txn->snapshot == NULL && !chosen && delta_schema_check_names(schema, "none", NULL) != OK) {
        put_property(txn, "delta.columnMapping.mode", "name"); /* a new table may have columns of any name */
    }
    TRY(delta_schema_check_names(schema, mapping_mode(&txn->metadata), err));
    delta_schema_json(schema, &json);
    TRY(delta_schema_parse(text_str(&json), &parsed, err));
    TRY(take_schema(txn, parsed, false, err));
out:
    text_free(&json);
    return rc;
}

static Status check_partition_column(const DeltaTransaction *txn, const char *const *columns, size_t i,
                                     const char **spelling, Error *err)
{
    const DeltaField *field = delta_schema_find(txn->schema, columns[i]);

    if (field == NULL) {
        return error_set(err, E_DELTA_SCHEMA, "partition column '%s' is not in the schema", columns[i]);
    }
    if (!delta_partition_can(field->type)) {
        return error_set(err, E_DELTA_SCHEMA, "column '%s' cannot partition a table: its type cannot", columns[i]);
    }
    for (size_t k = 0; k < i; k++) {
        if (str_ieq(columns[k], columns[i])) {
            return error_set(err, E_DELTA_SCHEMA, "partition column '%s' is named twice", columns[i]);
        }
    }
    *spelling = field->name;
    return OK;
}

Status delta_transaction_set_partitioning(DeltaTransaction *txn, const char *const *columns, size_t n, Error *err)
{
    const char **copy = arena_alloc(txn->arena, (n + 1) * sizeof *copy);
    Status rc = OK;

    if (txn->schema == NULL) {
        return error_set(err, E_INTERNAL, "partitioning needs a schema first");
    }
    for (size_t i = 0; i < n; i++) {
        const char *spelling = NULL;
        TRY(check_partition_column(txn, columns, i, &spelling, err));
        copy[i] = arena_strdup(txn->arena, spelling);
    }
    if (n > 0 && n == txn->schema->n_fields) {
        return error_set(err, E_DELTA_SCHEMA, "a table cannot be partitioned by all of its columns");
    }
    txn->metadata.partition_columns = copy;
    txn->metadata.n_partition_columns = n;
    txn->metadata_changed = true;
out:
    return rc;
}

/* `highest`: the last version that stands for a fixed set of features. The one behind it, 3 or 7, stands for those that
 * the protocol names: a table gets there by naming one, and Spark, too, makes no more of it. */
static Status set_version(DeltaTransaction *txn, const char *key, int *version, int highest, const char *value,
                          Error *err)
{
    int64_t wanted;

    if (value == NULL || !str_parse_i64(value, &wanted) || wanted < 1 || wanted > highest + 1) {
        Status rc = error_set(err, E_DELTA_PROPERTY, "table property '%s' can be set to 1 .. %d", key, highest + 1);
        error_hint(err, "name a feature instead: 'delta.feature.<name>' = 'supported'");
        return rc;
    }
    if (*version < wanted && wanted <= highest) {
        *version = (int)wanted;
        txn->protocol_changed = true;
    }
    return OK;
}

/* Properties that are no properties: they change the protocol and are not stored. */
static Status set_pseudo(DeltaTransaction *txn, const char *key, const char *value, bool *done, Error *err)
{
    static const char FEATURE[] = "delta.feature.";
    DeltaProtocol raised;
    Status rc = OK;

    *done = true;
    if (strcmp(key, "delta.minReaderVersion") == 0) {
        return set_version(txn, key, &txn->protocol.min_reader, 2, value, err);
    }
    if (strcmp(key, "delta.minWriterVersion") == 0) {
        return set_version(txn, key, &txn->protocol.min_writer, 6, value, err);
    }
    *done = str_starts(key, FEATURE);
    if (*done) {
        if (value == NULL || (strcmp(value, "supported") != 0 && strcmp(value, "enabled") != 0)) {
            return error_set(err, E_DELTA_PROPERTY, "table property '%s' can only be 'supported'", key);
        }
        raised = txn->protocol;
        TRY(delta_protocol_add_feature(&txn->protocol, key + sizeof FEATURE - 1, txn->arena, &raised, err));
        txn->protocol = raised;
        txn->protocol_changed = true;
    }
out:
    return rc;
}

/* Mapping begins with a table, or by name later on; it does not end (but see delta_transaction_end_mapping). */
static Status check_mapping_change(const DeltaTransaction *txn, const char *before, const char *after, Error *err)
{
    bool begins = strcmp(before, "none") == 0 && strcmp(after, "name") == 0;

    if (strcmp(before, after) == 0 || begins || (txn->snapshot == NULL && txn->schema == NULL)) {
        return OK;
    }
    Status rc = error_set(err, E_DELTA_PROPERTY, "delta.columnMapping.mode cannot change from '%s' to '%s'", before,
                          after);
    error_hint(err, "an existing table can only change from 'none' to 'name'");
    return rc;
}

/* A schema that is there already is that of files: of the table, or of the one it is a clone of. */
static Status begin_mapping(DeltaTransaction *txn, Error *err)
{
    return txn->schema == NULL ? OK : take_schema(txn, delta_schema_ref(txn->schema), true, err);
}

/* The columns of data files that keep the ids of rows that move: named once, when row tracking is turned on. */
static void name_row_id_columns(DeltaTransaction *txn)
{
    static const char *const COLUMNS[][2] = {
        {"delta.rowTracking.materializedRowIdColumnName", "_row-id-col-"},
        {"delta.rowTracking.materializedRowCommitVersionColumnName", "_row-commit-version-col-"}};
    char id[UUID_TEXT];

    for (size_t i = 0; i < sizeof COLUMNS / sizeof *COLUMNS; i++) {
        if (delta_transaction_property(txn, COLUMNS[i][0]) == NULL) {
            uuid_text(id);
            put_property(txn, COLUMNS[i][0], arena_printf(txn->arena, "%s%s", COLUMNS[i][1], id));
        }
    }
}

static Status add_untracked(void *context, const DeltaFile *file, Error *err)
{
    DeltaTransaction *txn = context;
    DeltaFile again = *file;

    (void)err;
    again.data_change = false;
    if (file->base_row_id < 0) {
        delta_transaction_add(txn, &again);
    }
    return OK;
}

/* Every file needs a first row id as soon as the property is on: those without one are named again and get theirs like
 * new files. Files that others add meanwhile would have none: they are a conflict. */
static Status begin_row_tracking(DeltaTransaction *txn, Error *err)
{
    name_row_id_columns(txn);
    if (txn->snapshot == NULL) {
        return OK;
    }
    delta_transaction_read_table(txn);
    return delta_snapshot_each_file(txn->snapshot, txn->conn, add_untracked, txn, err);
}

/* Iceberg compatibility that begins: a new table's columns get the mapping it needs; an existing table is asked for it
 * at the commit, and all of its files have to conform, those that others add meanwhile, too. */
static void begin_iceberg(DeltaTransaction *txn)
{
    if (txn->snapshot != NULL) {
        delta_transaction_read_table(txn);
    } else if (txn->schema == NULL && delta_transaction_property(txn, "delta.columnMapping.mode") == NULL) {
        put_property(txn, "delta.columnMapping.mode", "name");
    }
}

Status delta_transaction_set_property(DeltaTransaction *txn, const char *key, const char *value, Error *err)
{
    bool done, used_ict = delta_transaction_uses_ict(txn), numbers = delta_iceberg_numbers_parts(&txn->metadata);
    bool tracked_rows = delta_property_bool(&txn->metadata, "delta.enableRowTracking");
    const char *mode = mapping_mode(&txn->metadata);
    int iceberg = delta_iceberg_version(&txn->metadata);
    Status rc = OK;

    TRY(set_pseudo(txn, key, value, &done, err));
    if (done) {
        goto out;
    }
    TRY(delta_property_check(key, value, err));
    if (strcmp(key, "delta.columnMapping.mode") == 0) {
        TRY(check_mapping_change(txn, mode, value != NULL ? value : "none", err));
    }
    put_property(txn, key, value);
    if (delta_iceberg_version(&txn->metadata) > iceberg) {
        begin_iceberg(txn);
    }
    if (!tracked_rows && delta_property_bool(&txn->metadata, "delta.enableRowTracking")) {
        TRY(begin_row_tracking(txn, err));
    }
    if (strcmp(mode, mapping_mode(&txn->metadata)) != 0 || numbers != delta_iceberg_numbers_parts(&txn->metadata)) {
        TRY(begin_mapping(txn, err));
    }
    if (!used_ict && delta_transaction_uses_ict(txn) && txn->snapshot != NULL) {
        txn->enables_ict = true;
    }
    if (txn->enables_ict && !delta_transaction_uses_ict(txn)) {
        txn->enables_ict = false;
    }
    TRY(raise_protocol(txn, err));
out:
    return rc;
}

void delta_transaction_set_comment(DeltaTransaction *txn, const char *name, const char *description)
{
    if (name != NULL) {
        txn->metadata.name = arena_strdup(txn->arena, name);
    }
    if (description != NULL) {
        txn->metadata.description = arena_strdup(txn->arena, description);
    }
    txn->metadata_changed = true;
}

DeltaSchema *delta_transaction_schema(const DeltaTransaction *txn)
{
    return txn->schema;
}

const char *const *delta_transaction_partition_columns(const DeltaTransaction *txn, size_t *n)
{
    *n = txn->metadata.n_partition_columns;
    return txn->metadata.partition_columns;
}

const char *delta_transaction_property(const DeltaTransaction *txn, const char *key)
{
    return delta_pair_get(txn->metadata.configuration, txn->metadata.n_configuration, key);
}

const DeltaMetadata *delta_transaction_metadata(const DeltaTransaction *txn)
{
    return &txn->metadata;
}

const DeltaProtocol *delta_transaction_protocol(const DeltaTransaction *txn)
{
    return &txn->protocol;
}

/* ---- commitInfo ---- */

static void pair_add(DeltaTransaction *txn, DeltaPairList *list, const char *key, const char *value)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->items[i].key, key) == 0) {
            list->items[i].value = arena_strdup(txn->arena, value);
            return;
        }
    }
    list->items = mem_grow(list->items, list->n, &list->capacity, sizeof *list->items);
    list->items[list->n++] = (DeltaPair){arena_strdup(txn->arena, key), arena_strdup(txn->arena, value)};
}

void delta_transaction_operation(DeltaTransaction *txn, const char *operation)
{
    txn->operation = arena_strdup(txn->arena, operation);
}

void delta_transaction_parameter(DeltaTransaction *txn, const char *key, const char *json_value)
{
    pair_add(txn, &txn->parameters, key, json_value);
}

void delta_transaction_parameter_text(DeltaTransaction *txn, const char *key, const char *value)
{
    Text json = TEXT(PARAMETER_BYTES_MAX);

    text_append_json_string(&json, value);
    delta_transaction_parameter(txn, key, text_str(&json));
    text_free(&json);
}

void delta_transaction_metric(DeltaTransaction *txn, const char *key, int64_t value)
{
    pair_add(txn, &txn->metrics, key, arena_printf(txn->arena, "%lld", (long long)value));
}

void delta_transaction_freshet(DeltaTransaction *txn, const char *json_object)
{
    txn->freshet = arena_strdup(txn->arena, json_object);
}

void delta_transaction_user_metadata(DeltaTransaction *txn, const char *text)
{
    txn->user_metadata = arena_strdup(txn->arena, text);
}
