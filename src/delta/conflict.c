/* Which commits a transaction may go on top of: Delta's rules, in Delta's order. */
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "delta/log/path.h"
#include "delta/partition.h"
#include "delta/property_int.h"
#include "delta/protocol_int.h"
#include "delta/table_int.h"
#include "delta/transaction_int.h"

enum { PATH_BYTES_MAX = 1 << 16 };

static const char ROW_TRACKING[] = "delta.rowTracking";

static const DeltaAction *find(const DeltaCommit *commit, DeltaActionKind kind)
{
    for (size_t i = 0; i < commit->n_actions; i++) {
        if (commit->actions[i].kind == kind) {
            return &commit->actions[i];
        }
    }
    return NULL;
}

__attribute__((format(printf, 4, 5))) static Status conflict(const DeltaCommit *winner, const char *klass, Error *err,
                                                             const char *format, ...)
{
    char what[512];
    va_list args;
    const DeltaAction *info = find(winner, DELTA_ACTION_COMMIT_INFO);
    const char *operation = info != NULL && info->info.operation != NULL ? info->info.operation : "a commit";

    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    Status rc = error_set(err, E_DELTA_CONFLICT, "version %" PRId64 " (%s) %s", winner->version, operation, what);
    error_klass(err, klass);
    error_hint(err, "nothing was written; run the statement again on the table as it is now");
    return rc;
}

/* ---- 1, 1b: protocol ---- */

static bool drops_feature(const DeltaProtocol *before, const DeltaProtocol *after)
{
    for (size_t i = 0; i < before->n_writer_features; i++) {
        if (!delta_protocol_supports(after, before->writer_features[i])) {
            return true;
        }
    }
    return false;
}

static DeltaProtocol protocol_copy(Arena *arena, const DeltaProtocol *p)
{
    DeltaProtocol copy = *p;
    const char **readers = arena_alloc(arena, (p->n_reader_features + 1) * sizeof *readers);
    const char **writers = arena_alloc(arena, (p->n_writer_features + 1) * sizeof *writers);

    for (size_t i = 0; i < p->n_reader_features; i++) {
        readers[i] = arena_strdup(arena, p->reader_features[i]);
    }
    for (size_t i = 0; i < p->n_writer_features; i++) {
        writers[i] = arena_strdup(arena, p->writer_features[i]);
    }
    copy.reader_features = p->reader_features != NULL ? readers : NULL;
    copy.writer_features = p->writer_features != NULL ? writers : NULL;
    return copy;
}

static Status check_protocol(DeltaTransaction *txn, const DeltaCommit *winner, Error *err)
{
    const DeltaAction *action = find(winner, DELTA_ACTION_PROTOCOL);
    Status rc = OK;

    if (action == NULL) {
        goto out;
    }
    if (txn->snapshot == NULL) {
        rc = error_set(err, E_DELTA_EXISTS, "another writer created the table meanwhile");
        goto out;
    }
    if (txn->protocol_changed || drops_feature(&txn->protocol, &action->protocol)) {
        rc = conflict(winner, "DELTA_PROTOCOL_CHANGED", err, "changed the protocol");
        goto out;
    }
    TRY(delta_protocol_check_write(&action->protocol, delta_table_uri(txn->table), err));
    txn->protocol = protocol_copy(txn->arena, &action->protocol);
out:
    return rc;
}

/* ---- 2: metadata ---- */

/* Settings that change nothing for rows on their way, and the value they may get; NULL stands for any. */
static const struct {
    const char *key, *value;
} HARMLESS[] = {
    {"delta.enableRowTracking", "true"},
    {"delta.rowTracking.materializedRowIdColumnName", NULL},
    {"delta.rowTracking.materializedRowCommitVersionColumnName", NULL},
    {"delta.columnMapping.mode", "name"}, /* from none: there is no way back */
    {"delta.columnMapping.maxColumnId", NULL},
    {"delta.enableDeletionVectors", "true"},
    {"delta.checkpointPolicy", "v2"},
    {"delta.enableInCommitTimestamps", "true"},
    {"delta.inCommitTimestampEnablementVersion", NULL},
    {"delta.inCommitTimestampEnablementTimestamp", NULL},
    {"io.unitycatalog.tableId", NULL},
};

static bool is_harmless(const char *key, const char *value)
{
    for (size_t i = 0; i < sizeof HARMLESS / sizeof HARMLESS[0]; i++) {
        if (strcmp(HARMLESS[i].key, key) == 0 && value != NULL &&
            (HARMLESS[i].value == NULL || strcmp(HARMLESS[i].value, value) == 0)) {
            return true;
        }
    }
    return false;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Every property of `a` that `b` has differently is harmless with the value it gets. */
static bool differs_harmlessly(const DeltaMetadata *a, const DeltaMetadata *b, const DeltaMetadata *after)
{
    for (size_t i = 0; i < a->n_configuration; i++) {
        const char *key = a->configuration[i].key;
        if (!same_text(a->configuration[i].value, delta_pair_get(b->configuration, b->n_configuration, key)) &&
            !is_harmless(key, delta_pair_get(after->configuration, after->n_configuration, key))) {
            return false;
        }
    }
    return true;
}

/* Takes out of the fields of a schema what may change without any effect on rows on their way: the mark up to which
 * an identity column has given out numbers, and, where `mapping` begins, names and ids under which the columns are
 * stored. False when a column is stored under another name than before. */
static bool strip_fields(json_t *node, bool mapping)
{
    static const char *const MAPPING[] = {"delta.columnMapping.id", "delta.columnMapping.physicalName",
                                          "delta.columnMapping.nested.ids"};
    json_t *child, *metadata = json_object_get(node, "metadata");
    const char *key;
    size_t i;

    if (json_is_object(metadata)) {
        const json_t *stored = json_object_get(metadata, MAPPING[1]);
        if (mapping && stored != NULL && !json_equal(stored, json_object_get(node, "name"))) {
            return false;
        }
        for (i = 0; mapping && i < sizeof MAPPING / sizeof MAPPING[0]; i++) {
            json_object_del(metadata, MAPPING[i]);
        }
        json_object_del(metadata, "delta.identity.highWaterMark");
    }
    json_object_foreach(node, key, child)
    {
        if (child != metadata && !strip_fields(child, mapping)) {
            return false;
        }
    }
    json_array_foreach(node, i, child)
    {
        if (!strip_fields(child, mapping)) {
            return false;
        }
    }
    return true;
}

static bool begins_mapping(const DeltaMetadata *before, const DeltaMetadata *after)
{
    return strcmp(delta_property_text(before, "delta.columnMapping.mode"), "none") == 0 &&
           strcmp(delta_property_text(after, "delta.columnMapping.mode"), "name") == 0;
}

static bool same_schema(const DeltaMetadata *before, const DeltaMetadata *after)
{
    JsonSource source = {.name = "schema"};
    json_t *a = NULL, *b = NULL;
    bool mapping = begins_mapping(before, after);

    if (strcmp(before->schema_string, after->schema_string) == 0) {
        return true;
    }
    bool same = json_parse_object(before->schema_string, strlen(before->schema_string), &source, &a, NULL) == OK &&
                json_parse_object(after->schema_string, strlen(after->schema_string), &source, &b, NULL) == OK &&
                strip_fields(a, mapping) && strip_fields(b, mapping) && json_equal(a, b);
    json_decref(a);
    json_decref(b);
    return same;
}

static bool same_but_harmless(const DeltaMetadata *before, const DeltaMetadata *after)
{
    if (strcmp(before->id, after->id) != 0 || before->n_partition_columns != after->n_partition_columns ||
        !same_schema(before, after)) {
        return false;
    }
    for (size_t i = 0; i < before->n_partition_columns; i++) {
        if (strcmp(before->partition_columns[i], after->partition_columns[i]) != 0) {
            return false;
        }
    }
    return differs_harmlessly(before, after, after) && differs_harmlessly(after, before, after);
}

/* The properties and the schema's text are taken over; the parsed schema is the same for whoever only writes rows. */
static void take_metadata(DeltaTransaction *txn, const DeltaMetadata *after)
{
    DeltaPair *pairs = arena_alloc(txn->arena, (after->n_configuration + 1) * sizeof *pairs);

    for (size_t i = 0; i < after->n_configuration; i++) {
        pairs[i].key = arena_strdup(txn->arena, after->configuration[i].key);
        pairs[i].value = arena_strdup(txn->arena, after->configuration[i].value);
    }
    txn->metadata.configuration = pairs;
    txn->metadata.n_configuration = after->n_configuration;
    txn->metadata.schema_string = arena_strdup(txn->arena, after->schema_string);
}

static Status check_metadata(DeltaTransaction *txn, const DeltaCommit *winner, Error *err)
{
    const DeltaAction *action = find(winner, DELTA_ACTION_METADATA);

    if (action == NULL) {
        return OK;
    }
    if (txn->snapshot == NULL) {
        return error_set(err, E_DELTA_EXISTS, "another writer created the table meanwhile");
    }
    if (txn->metadata_changed || !same_but_harmless(&txn->metadata, &action->metadata)) {
        return conflict(winner, "DELTA_METADATA_CHANGED", err, "changed the schema or the properties of the table");
    }
    take_metadata(txn, &action->metadata);
    return OK;
}

/* The same properties. */
static bool same_properties(const DeltaMetadata *a, const DeltaMetadata *b)
{
    bool same = a->n_configuration == b->n_configuration;

    for (size_t i = 0; same && i < a->n_configuration; i++) {
        same = same_text(a->configuration[i].value,
                         delta_pair_get(b->configuration, b->n_configuration, a->configuration[i].key));
    }
    return same;
}

bool delta_metadata_moves_identity_only(const DeltaMetadata *before, const DeltaMetadata *after)
{
    return strcmp(before->schema_string, after->schema_string) != 0 && strcmp(before->id, after->id) == 0 &&
           same_properties(before, after) && same_schema(before, after);
}

/* ---- 3, 4, 5: domains, applications, row ids ---- */

int64_t delta_row_id_high_water(const DeltaDomain *domains, size_t n)
{
    JsonSource source = {.name = ROW_TRACKING};
    int64_t mark = -1;

    for (size_t i = 0; i < n; i++) {
        json_t *object = NULL;
        if (strcmp(domains[i].domain, ROW_TRACKING) == 0 && !domains[i].removed &&
            json_parse_object(domains[i].configuration, strlen(domains[i].configuration), &source, &object, NULL) ==
                OK) {
            json_opt_i64(object, "rowIdHighWaterMark", &mark, NULL);
        }
        json_decref(object);
    }
    return mark;
}

static Status check_small(DeltaTransaction *txn, const DeltaCommit *winner, Error *err)
{
    for (size_t i = 0; i < winner->n_actions; i++) {
        const DeltaAction *action = &winner->actions[i];
        if (action->kind == DELTA_ACTION_TXN && map_has(txn->read_apps, action->txn.app_id)) {
            return conflict(winner, "DELTA_CONCURRENT_TRANSACTION", err,
                            "is batch %" PRId64 " of the same application '%.100s'", action->txn.version,
                            action->txn.app_id);
        }
        if (action->kind != DELTA_ACTION_DOMAIN) {
            continue;
        }
        if (strcmp(action->domain.domain, ROW_TRACKING) == 0) {
            txn->row_id_high_water = delta_row_id_high_water(&action->domain, 1);
            continue;
        }
        for (size_t k = 0; k < txn->small.n; k++) {
            if (txn->small.items[k].kind == DELTA_ACTION_DOMAIN &&
                strcmp(txn->small.items[k].domain.domain, action->domain.domain) == 0) {
                return conflict(winner, "DELTA_CONCURRENT_TRANSACTION", err, "changed the same domain '%.100s'",
                                action->domain.domain);
            }
        }
    }
    return OK;
}

/* ---- 7, 8, 9: files ---- */

static const char *stored_name(const DeltaTransaction *txn, const DeltaField *field)
{
    bool mapped = strcmp(delta_property_text(&txn->metadata, "delta.columnMapping.mode"), "none") != 0;

    return mapped ? field->physical_name : field->name;
}

/* "SELECT <value> AS "p", ..." with the partition values of a file, typed. */
static void put_partition_row(const DeltaTransaction *txn, const DeltaFile *file, Text *sql)
{
    text_append(sql, "SELECT ");
    for (size_t i = 0; i < txn->metadata.n_partition_columns; i++) {
        const DeltaField *field = delta_schema_find(txn->schema, txn->metadata.partition_columns[i]);
        const char *value = delta_pair_get(file->partition_values, file->n_partition_values, stored_name(txn, field));
        Text literal = TEXT(PATH_BYTES_MAX * 4);
        if (value != NULL) {
            text_append_sql_string(&literal, value);
        } else {
            text_append(&literal, "NULL::VARCHAR");
        }
        text_append(sql, i > 0 ? ", " : "");
        delta_partition_try_sql(field->type, text_str(&literal), sql);
        text_append(sql, " AS ");
        text_append_sql_name(sql, field->name);
        text_free(&literal);
    }
}

/* Does the file lie in a partition that was read? When DuckDB cannot tell, it does. */
static bool predicate_matches(const DeltaTransaction *txn, const char *predicate, const DeltaFile *file)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    DuckResult *result = NULL;
    Error ignored = ERROR_NONE;
    bool more = true, matches = true;

    text_append(&sql, "SELECT count(*) FROM (");
    put_partition_row(txn, file, &sql);
    text_printf(&sql, ") WHERE coalesce(%s, true)", predicate);
    if (duck_query(txn->conn, text_str(&sql), &result, &ignored) == OK &&
        duck_result_next(result, &more, &ignored) == OK && more) {
        matches = duck_result_i64(result, 0) > 0;
    }
    duck_result_free(result);
    text_free(&sql);
    return matches;
}

static bool partition_was_read(const DeltaTransaction *txn, const DeltaFile *file, bool has_values)
{
    for (size_t i = 0; i < txn->n_read_predicates; i++) {
        const char *predicate = txn->read_predicates[i];
        if (predicate == NULL || txn->metadata.n_partition_columns == 0 || !has_values ||
            predicate_matches(txn, predicate, file)) {
            return true;
        }
    }
    return false;
}

/* Files read without a partition filter: what is added elsewhere may match as well. */
static bool add_was_missed(const DeltaTransaction *txn, const DeltaFile *file)
{
    bool files_only = map_count(txn->read_files) > 0 && txn->n_read_predicates == 0;

    return txn->read_table || files_only || partition_was_read(txn, file, true);
}

static Map *removed_paths(const DeltaTransaction *txn)
{
    Map *paths = map_new();
    Text path = TEXT(PATH_BYTES_MAX);

    for (size_t i = 0; i < txn->files.n; i++) {
        if (txn->files.items[i].kind == DELTA_ACTION_REMOVE) {
            const char *log_path = txn->files.items[i].file.path;
            text_clear(&path);
            delta_path_canonical(txn->table->root, log_path, strlen(log_path), &path);
            map_put(paths, text_str(&path), paths);
        }
    }
    text_free(&path);
    return paths;
}

/* Under write-serializable isolation a statement may be ordered before appends that read nothing. */
static bool may_precede(const DeltaTransaction *txn, const DeltaCommit *winner)
{
    const DeltaAction *info = find(winner, DELTA_ACTION_COMMIT_INFO);

    return delta_transaction_isolation(txn) == DELTA_WRITE_SERIALIZABLE && !txn->metadata_changed && info != NULL &&
           info->info.is_blind_append == 1;
}

/* A rewrite of rows by others (dataChange = false) adds nothing that was not there: its removes tell whether it
 * matters. */
static Status check_adds(const DeltaTransaction *txn, const DeltaCommit *winner, Error *err)
{
    if (delta_transaction_isolation(txn) == DELTA_SNAPSHOT_ISOLATION || may_precede(txn, winner)) {
        return OK;
    }
    for (size_t i = 0; i < winner->n_actions; i++) {
        const DeltaAction *action = &winner->actions[i];
        if (action->kind == DELTA_ACTION_ADD && action->file.data_change && add_was_missed(txn, &action->file)) {
            return conflict(winner, "DELTA_CONCURRENT_APPEND", err, "added files to what this statement has read");
        }
    }
    return OK;
}

static Status check_removes(const DeltaTransaction *txn, const DeltaCommit *winner, Error *err)
{
    Map *own = removed_paths(txn);
    Text path = TEXT(PATH_BYTES_MAX);
    Status rc = OK;

    for (size_t i = 0; i < winner->n_actions && rc == OK; i++) {
        const DeltaAction *action = &winner->actions[i];
        if (action->kind != DELTA_ACTION_REMOVE) {
            continue;
        }
        text_clear(&path);
        delta_path_canonical(txn->table->root, action->file.path, strlen(action->file.path), &path);
        if (txn->read_table || map_has(txn->read_files, text_str(&path)) ||
            partition_was_read(txn, &action->file, action->file.extended_metadata)) {
            rc = conflict(winner, "DELTA_CONCURRENT_DELETE_READ", err,
                          "removed the file '%.200s', which this statement has read", action->file.path);
        } else if (map_has(own, text_str(&path))) {
            rc = conflict(winner, "DELTA_CONCURRENT_DELETE_DELETE", err,
                          "removed the file '%.200s', which this statement removes as well", action->file.path);
        }
    }
    map_free(own, NULL);
    text_free(&path);
    return rc;
}

Status delta_conflict_check(DeltaTransaction *txn, const DeltaCommit *winner, Error *err)
{
    Status rc = OK;

    TRY(check_protocol(txn, winner, err));
    TRY(check_metadata(txn, winner, err));
    TRY(check_small(txn, winner, err));
    TRY(check_adds(txn, winner, err));
    TRY(check_removes(txn, winner, err));
out:
    return rc;
}
