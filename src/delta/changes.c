/* Three kinds of files, each one scan; what a commit says about all rows of a file stands as constants of the file, the
 * way partition values do:
 *
 *   whole      a file that was added or removed        _change_type, version and time are constants
 *   cdc        a change file                           _change_type is a column of the file
 *   partial    a file whose deletion vector changed    as whole, but only the rows in one vector and not in the other
 */
#include "delta/changes.h"

#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/map.h"

static const char CHANGE_TYPE[] = "_change_type", COMMIT_VERSION[] = "_commit_version",
                  COMMIT_TIMESTAMP[] = "_commit_timestamp";
enum { FEED_COLUMNS = 3 };

typedef struct FileList {
    DeltaFile *files;
    const DeltaDeletionVector **except; /* partial only: rows of this vector are left out */
    size_t n, capacity, except_capacity;
    DeltaScan *scan;
} FileList;

struct DeltaChanges {
    Arena *arena;
    DeltaSnapshot *snapshot;
    DuckConn *conn;
    DeltaSchema *schema;            /* with the feed's columns */
    const char **partition_columns; /* the table's, then version, time, type: cdc files leave the last one out */
    size_t n_partition_columns;
    FileList whole, cdc, partial;
    Text sql;
};

/* ---- columns ---- */

DeltaSchema *delta_changes_schema(const DeltaSchema *schema)
{
    static const DeltaType text = {.id = DELTA_STRING}, number = {.id = DELTA_LONG}, time = {.id = DELTA_TIMESTAMP};
    DeltaSchemaBuilder *builder = delta_schema_builder_new(schema);

    delta_schema_builder_add(builder, CHANGE_TYPE, &text, true, NULL);
    delta_schema_builder_add(builder, COMMIT_VERSION, &number, true, NULL);
    delta_schema_builder_add(builder, COMMIT_TIMESTAMP, &time, true, NULL);
    return delta_schema_builder_finish(builder);
}

Status delta_changes_new(DeltaSnapshot *snapshot, DuckConn *conn, DeltaChanges **out, Error *err)
{
    DeltaChanges *changes = mem_alloc(sizeof *changes);
    const DeltaMetadata *metadata = delta_snapshot_metadata(snapshot);
    size_t n = metadata->n_partition_columns;
    (void)err;

    changes->arena = arena_new();
    changes->snapshot = delta_snapshot_ref(snapshot);
    changes->conn = conn;
    changes->schema = delta_changes_schema(delta_snapshot_schema(snapshot));
    changes->sql = TEXT(TEXT_SQL_MAX);
    changes->partition_columns = arena_alloc(changes->arena, (n + FEED_COLUMNS) * sizeof(char *));
    for (size_t i = 0; i < n; i++) {
        changes->partition_columns[i] = metadata->partition_columns[i];
    }
    changes->partition_columns[n] = COMMIT_VERSION;
    changes->partition_columns[n + 1] = COMMIT_TIMESTAMP;
    changes->partition_columns[n + 2] = CHANGE_TYPE;
    changes->n_partition_columns = n + FEED_COLUMNS;
    *out = changes;
    return OK;
}

static void list_free(FileList *list)
{
    delta_scan_free(list->scan);
    mem_free(list->files);
    mem_free(list->except);
}

void delta_changes_free(DeltaChanges *changes)
{
    if (!changes) {
        return;
    }
    list_free(&changes->whole);
    list_free(&changes->cdc);
    list_free(&changes->partial);
    text_free(&changes->sql);
    delta_schema_unref(changes->schema);
    delta_snapshot_unref(changes->snapshot);
    arena_free(changes->arena);
    mem_free(changes);
}

size_t delta_changes_files(const DeltaChanges *changes)
{
    return changes->whole.n + changes->cdc.n + changes->partial.n;
}

static int64_t list_bytes(const FileList *list)
{
    int64_t bytes = 0;

    for (size_t i = 0; i < list->n; i++) {
        bytes += list->files[i].size;
    }
    return bytes;
}

int64_t delta_changes_bytes(const DeltaChanges *changes)
{
    return list_bytes(&changes->whole) + list_bytes(&changes->cdc) + list_bytes(&changes->partial);
}

/* ---- files ---- */

static DeltaDeletionVector *copy_vector(Arena *arena, const DeltaDeletionVector *dv)
{
    if (!dv) {
        return NULL;
    }
    DeltaDeletionVector *copy = arena_alloc(arena, sizeof *copy);
    *copy = *dv;
    copy->path_or_inline = arena_strdup(arena, dv->path_or_inline);
    return copy;
}

/* The partition values of a file and the constants of its commit. `type` NULL: the file has its own column. */
static DeltaPair *file_constants(DeltaChanges *changes, const DeltaFile *file, int64_t version, int64_t timestamp,
                                 const char *type, size_t *n)
{
    Arena *arena = changes->arena;
    DeltaPair *pairs = arena_alloc(arena, (file->n_partition_values + FEED_COLUMNS) * sizeof *pairs);
    char time[32];

    *n = file->n_partition_values;
    for (size_t i = 0; i < *n; i++) {
        pairs[i].key = arena_strdup(arena, file->partition_values[i].key);
        pairs[i].value = file->partition_values[i].value ? arena_strdup(arena, file->partition_values[i].value) : NULL;
    }
    time_iso_ms(timestamp, time);
    pairs[(*n)++] = (DeltaPair){COMMIT_VERSION, arena_printf(arena, "%lld", (long long)version)};
    pairs[(*n)++] = (DeltaPair){COMMIT_TIMESTAMP, arena_strdup(arena, time)};
    if (type) {
        pairs[(*n)++] = (DeltaPair){CHANGE_TYPE, type};
    }
    return pairs;
}

static void add_file(DeltaChanges *changes, FileList *list, const DeltaFile *file, const DeltaDeletionVector *select,
                     const DeltaDeletionVector *except, int64_t version, int64_t timestamp, const char *type)
{
    DeltaFile copy = {.path = arena_strdup(changes->arena, file->path),
                      .size = file->size,
                      .deletion_vector = copy_vector(changes->arena, select)};

    copy.partition_values = file_constants(changes, file, version, timestamp, type, &copy.n_partition_values);
    list->files = mem_grow(list->files, list->n, &list->capacity, sizeof *list->files);
    list->except = mem_grow(list->except, list->n, &list->except_capacity, sizeof *list->except);
    list->except[list->n] = copy_vector(changes->arena, except);
    list->files[list->n++] = copy;
}

Status delta_changes_add_file(DeltaChanges *changes, const DeltaFile *file, int64_t version, int64_t timestamp,
                              Error *err)
{
    (void)err;
    add_file(changes, &changes->whole, file, file->deletion_vector, NULL, version, timestamp, "insert");
    return OK;
}

/* ---- one commit ---- */

/* A MERGE that says of itself that it changed no row rewrote files only. */
static Status is_empty_merge(const DeltaCommitInfo *info, bool *empty, Error *err)
{
    static const char *const counts[] = {"numTargetRowsInserted", "numTargetRowsUpdated", "numTargetRowsDeleted"};
    Status rc = OK;
    JsonSource source = {.name = "commitInfo"};
    json_t *object = NULL, *metrics = NULL;

    *empty = false;
    if (!info->operation || strcmp(info->operation, "MERGE") != 0) {
        goto out;
    }
    TRY(json_parse_object(info->json, strlen(info->json), &source, &object, err));
    metrics = json_object_get(object, "operationMetrics");
    *empty = json_is_object(metrics);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const char *text = json_string_value(json_object_get(metrics, counts[i]));
        *empty = *empty && text && strcmp(text, "0") == 0;
    }
out:
    json_decref(object);
    return rc;
}

static bool same_vector(const DeltaDeletionVector *a, const DeltaDeletionVector *b)
{
    DeltaFile x = {.deletion_vector = a}, y = {.deletion_vector = b};
    Text p = TEXT(1 << 20), q = TEXT(1 << 20);

    delta_file_dv_id(&x, &p);
    delta_file_dv_id(&y, &q);
    bool same = strcmp(text_str(&p), text_str(&q)) == 0;
    text_free(&p);
    text_free(&q);
    return same;
}

/* A file that was removed and added again with another vector: what it hides more was deleted, what it hides less came
 * back. */
static void add_difference(DeltaChanges *changes, const DeltaFile *before, const DeltaFile *after,
                           const DeltaCommit *commit)
{
    const DeltaDeletionVector *old = before->deletion_vector, *new = after->deletion_vector;

    if (same_vector(old, new)) {
        return;
    }
    if (new) {
        add_file(changes, &changes->partial, after, new, old, commit->version, commit->timestamp, "delete");
    }
    if (old) {
        add_file(changes, &changes->partial, after, old, new, commit->version, commit->timestamp, "insert");
    }
}

static void add_file_actions(DeltaChanges *changes, const DeltaCommit *commit)
{
    Map *removed = map_new(), *readded = map_new();

    for (size_t i = 0; i < commit->n_actions; i++) {
        const DeltaAction *a = &commit->actions[i];
        if (a->kind == DELTA_ACTION_REMOVE && a->file.data_change) {
            map_put(removed, a->file.path, (void *)&a->file);
        }
    }
    for (size_t i = 0; i < commit->n_actions; i++) {
        const DeltaAction *a = &commit->actions[i];
        if (a->kind != DELTA_ACTION_ADD || !a->file.data_change) {
            continue;
        }
        const DeltaFile *before = map_get(removed, a->file.path);
        if (before) {
            add_difference(changes, before, &a->file, commit);
            map_put(readded, a->file.path, changes);
        } else {
            add_file(changes, &changes->whole, &a->file, a->file.deletion_vector, NULL, commit->version,
                     commit->timestamp, "insert");
        }
    }
    for (size_t i = 0; i < commit->n_actions; i++) {
        const DeltaAction *a = &commit->actions[i];
        if (a->kind == DELTA_ACTION_REMOVE && a->file.data_change && !map_has(readded, a->file.path)) {
            add_file(changes, &changes->whole, &a->file, a->file.deletion_vector, NULL, commit->version,
                     commit->timestamp, "delete");
        }
    }
    map_free(removed, NULL);
    map_free(readded, NULL);
}

Status delta_changes_add_commit(DeltaChanges *changes, const DeltaCommit *commit, Error *err)
{
    Status rc = OK;
    bool any = false, empty = false;

    for (size_t i = 0; i < commit->n_actions; i++) {
        const DeltaAction *a = &commit->actions[i];
        if (a->kind == DELTA_ACTION_CDC) {
            add_file(changes, &changes->cdc, &a->file, NULL, NULL, commit->version, commit->timestamp, NULL);
            any = true;
        } else if (a->kind == DELTA_ACTION_COMMIT_INFO) {
            TRY(is_empty_merge(&a->info, &empty, err));
        }
    }
    if (!any && !empty) {
        add_file_actions(changes, commit);
    }
out:
    return rc;
}

/* ---- the relation ---- */

static Status scan_list(DeltaChanges *changes, FileList *list, size_t n_constants, Error *err)
{
    Status rc = OK;
    const char *mode = delta_snapshot_property(changes->snapshot, "delta.columnMapping.mode");
    DeltaScanSource source = {.table = delta_snapshot_table(changes->snapshot),
                              .schema = changes->schema,
                              .partition_columns = changes->partition_columns,
                              .n_partition_columns = n_constants,
                              /* _change_type has no field id */
                              .column_mapping = mode && str_ieq(mode, "id") && list == &changes->cdc ? "name" : mode};

    if (list->n == 0) {
        return OK;
    }
    if (list == &changes->partial) {
        TRY(delta_scan_difference(&source, changes->conn, list->files, list->except, list->n, &list->scan, err));
    } else {
        TRY(delta_scan_list(&source, changes->conn, list->files, list->n, &list->scan, err));
    }
    text_printf(&changes->sql, "%s(%s)", changes->sql.length > 0 ? " UNION ALL " : "", delta_scan_sql(list->scan));
out:
    return rc;
}

/* No file at all: typed columns, no rows. */
static void empty_relation(DeltaChanges *changes)
{
    text_append(&changes->sql, "SELECT ");
    for (size_t i = 0; i < changes->schema->n_fields; i++) {
        text_append(&changes->sql, i == 0 ? "NULL::" : ", NULL::");
        delta_type_sql(changes->schema->fields[i].type, &changes->sql);
        text_append(&changes->sql, " AS ");
        text_append_sql_name(&changes->sql, changes->schema->fields[i].name);
    }
    text_append(&changes->sql, " WHERE false");
}

Status delta_changes_finish(DeltaChanges *changes, const char **sql, Error *err)
{
    Status rc = OK;

    TRY(scan_list(changes, &changes->whole, changes->n_partition_columns, err));
    TRY(scan_list(changes, &changes->partial, changes->n_partition_columns, err));
    TRY(scan_list(changes, &changes->cdc, changes->n_partition_columns - 1, err));
    if (changes->sql.length == 0) {
        empty_relation(changes);
    }
    *sql = text_str(&changes->sql);
out:
    return rc;
}

/* ---- a range of versions ---- */

Status delta_changes_check(const DeltaMetadata *metadata, int64_t version, const char *uri, Error *err)
{
    const char *value = delta_pair_get(metadata->configuration, metadata->n_configuration,
                                       "delta.enableChangeDataFeed");
    bool on = false;

    if (!value) {
        value = delta_pair_get(metadata->configuration, metadata->n_configuration, "delta.enableChangeDataCapture");
    }
    if (value && str_parse_bool(value, &on) && on) {
        return OK;
    }
    Status rc = error_set(err, E_DELTA_CHANGES,
                          "%s has no change data feed at version %lld: delta.enableChangeDataFeed is not true there",
                          uri, (long long)version);
    error_hint(err, "changes can be read from the version on at which the property was set");
    return rc;
}

static Status check_schema(const DeltaSchema *read, const DeltaMetadata *metadata, int64_t version, Error *err)
{
    Status rc = OK;
    DeltaSchema *schema = NULL;

    TRY(delta_schema_parse(metadata->schema_string, &schema, err));
    if (delta_schema_check_read(read, schema, err) != OK) {
        Error why = *err;
        error_clear(err);
        rc = error_set(err, E_DELTA_CHANGES,
                       "the schema at version %lld cannot be read with the newest one of the range: %s",
                       (long long)version, why.message);
        error_klass(err, "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE");
        error_hint(err, "read the changes before and after that version apart");
    }
out:
    delta_schema_unref(schema);
    return rc;
}

/* One version of the range: its protocol and metadata are looked at before its files. */
static Status add_version(DeltaChanges *changes, DeltaTable *table, int64_t version, Error *err)
{
    Status rc = OK;
    DeltaCommit *commit = NULL;

    TRY(delta_commit_read(table, version, &commit, err));
    for (size_t i = 0; i < commit->n_actions; i++) {
        const DeltaAction *a = &commit->actions[i];
        if (a->kind == DELTA_ACTION_PROTOCOL) {
            TRY(delta_protocol_check_read(&a->protocol, delta_table_uri(table), err));
        } else if (a->kind == DELTA_ACTION_METADATA) {
            TRY(delta_changes_check(&a->metadata, version, delta_table_uri(table), err));
            TRY(check_schema(delta_snapshot_schema(changes->snapshot), &a->metadata, version, err));
        }
    }
    TRY(delta_changes_add_commit(changes, commit, err));
out:
    delta_commit_free(commit);
    return rc;
}

/* The feed has to be on when the range begins, and the schema there readable. */
static Status check_first(DeltaTable *table, DuckConn *conn, const DeltaSnapshot *last, int64_t first, Error *err)
{
    Status rc = OK;
    DeltaSnapshot *snapshot = NULL;

    TRY(delta_table_snapshot_at(table, conn, first, &snapshot, err));
    TRY(delta_changes_check(delta_snapshot_metadata(snapshot), first, delta_table_uri(table), err));
    TRY(check_schema(delta_snapshot_schema(last), delta_snapshot_metadata(snapshot), first, err));
out:
    delta_snapshot_unref(snapshot);
    return rc;
}

Status delta_changes_range(DeltaTable *table, DuckConn *conn, int64_t first, int64_t last, DeltaChanges **out,
                           Error *err)
{
    Status rc = OK;
    DeltaSnapshot *snapshot = NULL;
    DeltaChanges *changes = NULL;

    TRY(delta_table_snapshot(table, conn, &snapshot, err));
    int64_t newest = delta_snapshot_version(snapshot);
    if (first < 0 || first > newest || last > newest || (last >= 0 && last < first)) {
        rc = error_set(err, E_DELTA_VERSION,
                       "the range of versions %lld to %lld is not in the log of %s, whose latest version is %lld",
                       (long long)first, (long long)(last < 0 ? newest : last), delta_table_uri(table),
                       (long long)newest);
        error_klass(err,
                    last >= 0 && last < first ? "DELTA_INVALID_CDC_RANGE" : "DELTA_CDC_START_VERSION_AFTER_LATEST");
        goto out;
    }
    if (last >= 0 && last < newest) {
        delta_snapshot_unref(snapshot);
        snapshot = NULL;
        TRY(delta_table_snapshot_at(table, conn, last, &snapshot, err));
    }
    TRY(check_first(table, conn, snapshot, first, err));
    TRY(delta_changes_new(snapshot, conn, &changes, err));
    for (int64_t v = first; v <= delta_snapshot_version(snapshot); v++) {
        TRY(add_version(changes, table, v, err));
    }
    *out = changes;
    changes = NULL;
out:
    delta_changes_free(changes);
    delta_snapshot_unref(snapshot);
    return rc;
}
