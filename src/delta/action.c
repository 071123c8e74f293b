/* Lines of the log <-> C values.
 *
 * A line is one JSON object with one recognised key. Readers skip keys and fields they do not know, take null for
 * absent, and refuse a field of the wrong type: a number where a path should be is damage, not a newer protocol.
 */
#include "delta/action.h"

#include <inttypes.h>
#include <string.h>

#include "base/json.h"

enum { LINE_BYTES_MAX = 64 << 20 };

/* Old writers left the schema of a table without columns out. */
static const char EMPTY_SCHEMA[] = "{\"type\":\"struct\",\"fields\":[]}";

/* ---- small readers ---- */

static Status get_text(const json_t *object, const char *key, Arena *arena, const char **out, Error *err)
{
    const char *s = NULL;
    Status rc = OK;

    TRY(json_get_string(object, key, &s, err));
    *out = arena_strdup(arena, s);
out:
    return rc;
}

static Status opt_text(const json_t *object, const char *key, Arena *arena, const char **out, Error *err)
{
    const char *s = NULL;
    Status rc = OK;

    TRY(json_opt_string(object, key, &s, err));
    if (s != NULL) {
        *out = arena_strdup(arena, s);
    }
out:
    return rc;
}

/* An optional object, kept as its compact text. */
static Status opt_object_text(const json_t *object, const char *key, Arena *arena, const char **out, Error *err)
{
    json_t *value = NULL;
    Text text = TEXT(LINE_BYTES_MAX);
    Status rc = OK;

    TRY(json_opt_object(object, key, &value, err));
    if (value != NULL) {
        TRY(json_dump_text(value, &text, err));
        *out = arena_strndup(arena, text_str(&text), text.length);
    }
out:
    text_free(&text);
    return rc;
}

/* A string that C can hold: without NUL. */
static bool is_plain_string(const json_t *value)
{
    return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value);
}

static Status opt_strings(const json_t *object, const char *key, Arena *arena, const char *const **out, size_t *n,
                          Error *err)
{
    json_t *array = NULL;
    Status rc = OK;

    TRY(json_opt_array(object, key, &array, err));
    if (array == NULL) {
        goto out;
    }
    size_t count = json_array_size(array);
    const char **list = arena_alloc(arena, (count + 1) * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(array, i);
        if (!is_plain_string(item)) {
            rc = error_set(err, E_JSON, "field '%s' must hold strings only", key);
            goto out;
        }
        list[i] = arena_strdup(arena, json_string_value(item));
    }
    *out = list;
    *n = count;
out:
    return rc;
}

/* A map of strings; `nulls` says whether null is a value (partition values) or an error. */
static Status opt_pairs(const json_t *object, const char *key, bool nulls, Arena *arena, const DeltaPair **out,
                        size_t *n, Error *err)
{
    json_t *map = NULL, *value;
    const char *name;
    Status rc = OK;

    TRY(json_opt_object(object, key, &map, err));
    if (map == NULL) {
        goto out;
    }
    DeltaPair *pairs = arena_alloc(arena, (json_object_size(map) + 1) * sizeof *pairs);
    size_t count = 0;
    for (void *at = NULL; json_next(map, &at, &name, &value);) {
        if (!is_plain_string(value) && !(nulls && json_is_null(value))) {
            rc = error_set(err, E_JSON, "field '%s': the value of '%s' must be a string", key, name);
            goto out;
        }
        pairs[count].key = arena_strdup(arena, name);
        pairs[count].value = json_is_null(value) ? NULL : arena_strdup(arena, json_string_value(value));
        count++;
    }
    *out = pairs;
    *n = count;
out:
    return rc;
}

static Status int32_field(int64_t wide, const char *key, int32_t *out, Error *err)
{
    if (wide < INT32_MIN || wide > INT32_MAX) {
        return error_set(err, E_JSON, "field '%s' is out of range: %" PRId64, key, wide);
    }
    *out = (int32_t)wide;
    return OK;
}

/* ---- the actions ---- */

/* An empty object, or one without a storage type, is what some writers of checkpoints leave for "none". */
static Status read_deletion_vector(const json_t *file, Arena *arena, const DeltaDeletionVector **out, Error *err)
{
    json_t *object = NULL;
    const char *storage = NULL;
    int64_t offset = 0, size = 0;
    Status rc = OK;

    TRY(json_opt_object(file, "deletionVector", &object, err));
    if (object == NULL) {
        goto out;
    }
    TRY(json_opt_string(object, "storageType", &storage, err));
    if (storage == NULL || storage[0] == '\0') {
        goto out;
    }
    if (strlen(storage) != 1 || strchr("upi", storage[0]) == NULL) {
        rc = error_set(err, E_JSON, "deletion vector of the unknown storage type '%s'", storage);
        goto out;
    }
    DeltaDeletionVector *dv = arena_alloc(arena, sizeof *dv);
    dv->storage_type = storage[0];
    TRY(get_text(object, "pathOrInlineDv", arena, &dv->path_or_inline, err));
    dv->has_offset = json_has(object, "offset");
    TRY(json_opt_i64(object, "offset", &offset, err));
    TRY(json_get_i64(object, "sizeInBytes", &size, err));
    TRY(json_get_i64(object, "cardinality", &dv->cardinality, err));
    TRY(int32_field(offset, "offset", &dv->offset, err));
    TRY(int32_field(size, "sizeInBytes", &dv->size_bytes, err));
    *out = dv;
out:
    return rc;
}

/* The fields that add, remove and cdc share. */
static Status read_file(const json_t *object, Arena *arena, DeltaFile *file, Error *err)
{
    Status rc = OK;

    *file = (DeltaFile){.base_row_id = -1, .default_row_commit_version = -1};
    TRY(get_text(object, "path", arena, &file->path, err));
    if (file->path[0] == '\0') {
        rc = error_set(err, E_JSON, "field 'path' is empty");
        goto out;
    }
    TRY(opt_pairs(object, "partitionValues", true, arena, &file->partition_values, &file->n_partition_values, err));
    TRY(json_opt_i64(object, "size", &file->size, err));
    TRY(opt_object_text(object, "tags", arena, &file->tags, err));
    TRY(opt_text(object, "stats", arena, &file->stats, err));
    TRY(read_deletion_vector(object, arena, &file->deletion_vector, err));
    TRY(json_opt_i64(object, "baseRowId", &file->base_row_id, err));
    TRY(json_opt_i64(object, "defaultRowCommitVersion", &file->default_row_commit_version, err));
    if (file->size < 0) {
        rc = error_set(err, E_JSON, "field 'size' is negative");
    }
out:
    return rc;
}

static Status read_add(const json_t *object, Arena *arena, DeltaAction *action, Error *err)
{
    DeltaFile *file = &action->file;
    json_t *partitions;
    Status rc = OK;

    TRY(read_file(object, arena, file, err));
    TRY(json_get_object(object, "partitionValues", &partitions, err));
    TRY(json_get_i64(object, "size", &file->size, err));
    TRY(json_get_i64(object, "modificationTime", &file->modification_time, err));
    TRY(json_get_bool(object, "dataChange", &file->data_change, err));
    TRY(opt_text(object, "clusteringProvider", arena, &file->clustering_provider, err));
out:
    return rc;
}

static Status read_remove(const json_t *object, Arena *arena, DeltaAction *action, Error *err)
{
    DeltaFile *file = &action->file;
    Status rc = OK;

    TRY(read_file(object, arena, file, err));
    file->data_change = true;
    TRY(json_opt_i64(object, "deletionTimestamp", &file->deletion_timestamp, err));
    TRY(json_opt_bool(object, "dataChange", &file->data_change, err));
    TRY(json_opt_bool(object, "extendedFileMetadata", &file->extended_metadata, err));
out:
    return rc;
}

static Status read_cdc(const json_t *object, Arena *arena, DeltaAction *action, Error *err)
{
    return read_file(object, arena, &action->file, err);
}

static Status read_sidecar(const json_t *object, Arena *arena, DeltaAction *action, Error *err)
{
    DeltaFile *file = &action->file;
    Status rc = OK;

    *file = (DeltaFile){.base_row_id = -1, .default_row_commit_version = -1};
    TRY(get_text(object, "path", arena, &file->path, err));
    TRY(json_opt_i64(object, "sizeInBytes", &file->size, err));
    TRY(json_opt_i64(object, "modificationTime", &file->modification_time, err));
out:
    return rc;
}

static Status read_metadata(const json_t *object, Arena *arena, DeltaAction *action, Error *err)
{
    DeltaMetadata *m = &action->metadata;
    json_t *format;
    Status rc = OK;

    *m = (DeltaMetadata){
        .provider = "parquet", .format_options = "{}", .schema_string = EMPTY_SCHEMA, .created_time = -1};
    TRY(get_text(object, "id", arena, &m->id, err));
    TRY(opt_text(object, "name", arena, &m->name, err));
    TRY(opt_text(object, "description", arena, &m->description, err));
    TRY(json_get_object(object, "format", &format, err));
    TRY(opt_text(format, "provider", arena, &m->provider, err));
    TRY(opt_object_text(format, "options", arena, &m->format_options, err));
    TRY(opt_text(object, "schemaString", arena, &m->schema_string, err));
    TRY(opt_strings(object, "partitionColumns", arena, &m->partition_columns, &m->n_partition_columns, err));
    TRY(opt_pairs(object, "configuration", false, arena, &m->configuration, &m->n_configuration, err));
    TRY(json_opt_i64(object, "createdTime", &m->created_time, err));
out:
    return rc;
}

static Status read_version_number(const json_t *object, const char *key, int *out, Error *err)
{
    int64_t wide;
    int32_t version = 0;
    Status rc = OK;

    TRY(json_get_i64(object, key, &wide, err));
    TRY(int32_field(wide, key, &version, err));
    *out = version;
out:
    return rc;
}

static Status read_protocol(const json_t *object, Arena *arena, DeltaAction *action, Error *err)
{
    DeltaProtocol *p = &action->protocol;
    Status rc = OK;

    *p = (DeltaProtocol){0};
    TRY(read_version_number(object, "minReaderVersion", &p->min_reader, err));
    TRY(read_version_number(object, "minWriterVersion", &p->min_writer, err));
    TRY(opt_strings(object, "readerFeatures", arena, &p->reader_features, &p->n_reader_features, err));
    TRY(opt_strings(object, "writerFeatures", arena, &p->writer_features, &p->n_writer_features, err));
out:
    return rc;
}

static Status read_txn(const json_t *object, Arena *arena, DeltaAction *action, Error *err)
{
    DeltaTxn *txn = &action->txn;
    Status rc = OK;

    *txn = (DeltaTxn){.last_updated = -1};
    TRY(get_text(object, "appId", arena, &txn->app_id, err));
    TRY(json_get_i64(object, "version", &txn->version, err));
    TRY(json_opt_i64(object, "lastUpdated", &txn->last_updated, err));
out:
    return rc;
}

static Status read_domain(const json_t *object, Arena *arena, DeltaAction *action, Error *err)
{
    DeltaDomain *domain = &action->domain;
    Status rc = OK;

    *domain = (DeltaDomain){.configuration = ""};
    TRY(get_text(object, "domain", arena, &domain->domain, err));
    TRY(opt_text(object, "configuration", arena, &domain->configuration, err));
    TRY(json_opt_bool(object, "removed", &domain->removed, err));
out:
    return rc;
}

/* commitInfo is free-form: a field of an unexpected type is none of ours and counts as absent. */
static Status read_commit_info(const json_t *object, Arena *arena, DeltaAction *action, Error *err)
{
    DeltaCommitInfo *info = &action->info;
    Text text = TEXT(LINE_BYTES_MAX);
    Status rc = OK;

    *info = (DeltaCommitInfo){.timestamp = -1, .in_commit_timestamp = -1, .is_blind_append = -1};
    TRY(json_dump_text(object, &text, err));
    info->json = arena_strndup(arena, text_str(&text), text.length);
    info->operation = arena_strdup(arena, json_string_value(json_object_get(object, "operation")));
    info->txn_id = arena_strdup(arena, json_string_value(json_object_get(object, "txnId")));
    const json_t *value = json_object_get(object, "timestamp");
    if (json_is_integer(value)) {
        info->timestamp = json_integer_value(value);
    }
    value = json_object_get(object, "inCommitTimestamp");
    if (json_is_integer(value)) {
        info->in_commit_timestamp = json_integer_value(value);
    }
    value = json_object_get(object, "isBlindAppend");
    if (json_is_boolean(value)) {
        info->is_blind_append = json_is_true(value);
    }
out:
    text_free(&text);
    return rc;
}

static Status read_nothing(const json_t *object, Arena *arena, DeltaAction *action, Error *err)
{
    (void)object, (void)arena, (void)action, (void)err;
    return OK;
}

static const struct {
    const char *key;
    DeltaActionKind kind;
    Status (*read)(const json_t *object, Arena *arena, DeltaAction *action, Error *err);
} ACTIONS[] = {
    {"add", DELTA_ACTION_ADD, read_add},
    {"remove", DELTA_ACTION_REMOVE, read_remove},
    {"cdc", DELTA_ACTION_CDC, read_cdc},
    {"metaData", DELTA_ACTION_METADATA, read_metadata},
    {"protocol", DELTA_ACTION_PROTOCOL, read_protocol},
    {"txn", DELTA_ACTION_TXN, read_txn},
    {"domainMetadata", DELTA_ACTION_DOMAIN, read_domain},
    {"commitInfo", DELTA_ACTION_COMMIT_INFO, read_commit_info},
    {"checkpointMetadata", DELTA_ACTION_CHECKPOINT_METADATA, read_nothing},
    {"sidecar", DELTA_ACTION_SIDECAR, read_sidecar},
};
enum { N_ACTIONS = sizeof ACTIONS / sizeof ACTIONS[0] };

static Status read_action(const json_t *line, Arena *arena, DeltaAction *out, Error *err)
{
    DeltaAction action = {.kind = DELTA_ACTION_UNKNOWN};
    const json_t *value;
    const char *key = NULL;
    Status rc = OK;

    for (size_t i = 0; i < N_ACTIONS; i++) {
        value = json_object_get(line, ACTIONS[i].key);
        if (value == NULL || json_is_null(value)) {
            continue;
        }
        if (key != NULL) {
            return error_set(err, E_JSON, "one line holds both '%s' and '%s'", key, ACTIONS[i].key);
        }
        key = ACTIONS[i].key;
        if (!json_is_object(value)) {
            return error_set(err, E_JSON, "'%s' must be an object", key);
        }
        action.kind = ACTIONS[i].kind;
        rc = ACTIONS[i].read(value, arena, &action, err);
        if (rc != OK) {
            return error_context(err, "%s", key);
        }
    }
    *out = action;
    return OK;
}

Status delta_action_parse(const char *line, size_t n, const char *where, Arena *arena, DeltaAction *out, Error *err)
{
    JsonSource source = {.name = where, .bytes_max = LINE_BYTES_MAX};
    json_t *object = NULL;
    Error inner = ERROR_NONE;
    Status rc = json_parse_object(line, n, &source, &object, &inner);

    if (rc != OK) {
        rc = error_set(err, E_DELTA_CORRUPT, "%s", inner.message);
        goto out;
    }
    rc = read_action(object, arena, out, &inner);
    if (rc != OK) {
        rc = error_set(err, E_DELTA_CORRUPT, "%s: %s", where, inner.message);
    }
out:
    json_decref(object);
    return rc;
}

/* ---- writing ---- */

static void put_key(Text *out, const char *key)
{
    char last = out->length > 0 ? out->data[out->length - 1] : '\0';

    if (last != '{') {
        text_append_char(out, ',');
    }
    text_printf(out, "\"%s\":", key);
}

static void put_string(Text *out, const char *key, const char *value)
{
    put_key(out, key);
    text_append_json_string(out, value);
}

static void put_opt_string(Text *out, const char *key, const char *value)
{
    if (value != NULL) {
        put_string(out, key, value);
    }
}

static void put_i64(Text *out, const char *key, int64_t value)
{
    put_key(out, key);
    text_printf(out, "%" PRId64, value);
}

static void put_opt_i64(Text *out, const char *key, int64_t value)
{
    if (value >= 0) {
        put_i64(out, key, value);
    }
}

static void put_bool(Text *out, const char *key, bool value)
{
    put_key(out, key);
    text_append(out, value ? "true" : "false");
}

static void put_raw(Text *out, const char *key, const char *json)
{
    put_key(out, key);
    text_append(out, json);
}

static void put_pairs(Text *out, const char *key, const DeltaPair *pairs, size_t n)
{
    put_key(out, key);
    text_append_char(out, '{');
    for (size_t i = 0; i < n; i++) {
        text_append(out, i > 0 ? "," : "");
        text_append_json_string(out, pairs[i].key);
        text_append_char(out, ':');
        if (pairs[i].value != NULL) {
            text_append_json_string(out, pairs[i].value);
        } else {
            text_append(out, "null");
        }
    }
    text_append_char(out, '}');
}

static void put_strings(Text *out, const char *key, const char *const *list, size_t n)
{
    put_key(out, key);
    text_append_char(out, '[');
    for (size_t i = 0; i < n; i++) {
        text_append(out, i > 0 ? "," : "");
        text_append_json_string(out, list[i]);
    }
    text_append_char(out, ']');
}

static void put_deletion_vector(Text *out, const DeltaDeletionVector *dv)
{
    if (dv == NULL) {
        return;
    }
    put_raw(out, "deletionVector", "{");
    put_string(out, "storageType", (const char[]){dv->storage_type, '\0'});
    put_string(out, "pathOrInlineDv", dv->path_or_inline);
    if (dv->has_offset) {
        put_i64(out, "offset", dv->offset);
    }
    put_i64(out, "sizeInBytes", dv->size_bytes);
    put_i64(out, "cardinality", dv->cardinality);
    text_append_char(out, '}');
}

static void put_row_ids(Text *out, const DeltaFile *file)
{
    put_opt_i64(out, "baseRowId", file->base_row_id);
    put_opt_i64(out, "defaultRowCommitVersion", file->default_row_commit_version);
}

static void write_add(const DeltaFile *file, Text *out)
{
    put_string(out, "path", file->path);
    put_pairs(out, "partitionValues", file->partition_values, file->n_partition_values);
    put_i64(out, "size", file->size);
    put_i64(out, "modificationTime", file->modification_time);
    put_bool(out, "dataChange", file->data_change);
    put_opt_string(out, "stats", file->stats);
    if (file->tags != NULL) {
        put_raw(out, "tags", file->tags);
    }
    put_deletion_vector(out, file->deletion_vector);
    put_row_ids(out, file);
    put_opt_string(out, "clusteringProvider", file->clustering_provider);
}

static void write_remove(const DeltaFile *file, Text *out)
{
    put_string(out, "path", file->path);
    put_i64(out, "deletionTimestamp", file->deletion_timestamp);
    put_bool(out, "dataChange", file->data_change);
    put_bool(out, "extendedFileMetadata", file->extended_metadata);
    if (file->extended_metadata) {
        put_pairs(out, "partitionValues", file->partition_values, file->n_partition_values);
        put_i64(out, "size", file->size);
    }
    if (file->tags != NULL) {
        put_raw(out, "tags", file->tags);
    }
    put_opt_string(out, "stats", file->stats);
    put_deletion_vector(out, file->deletion_vector);
    put_row_ids(out, file);
}

static void write_cdc(const DeltaFile *file, Text *out)
{
    put_string(out, "path", file->path);
    put_pairs(out, "partitionValues", file->partition_values, file->n_partition_values);
    put_i64(out, "size", file->size);
    put_bool(out, "dataChange", false);
    if (file->tags != NULL) {
        put_raw(out, "tags", file->tags);
    }
}

static void write_metadata(const DeltaMetadata *m, Text *out)
{
    put_string(out, "id", m->id);
    put_opt_string(out, "name", m->name);
    put_opt_string(out, "description", m->description);
    put_raw(out, "format", "{");
    put_string(out, "provider", m->provider);
    put_raw(out, "options", m->format_options);
    text_append_char(out, '}');
    put_string(out, "schemaString", m->schema_string);
    put_strings(out, "partitionColumns", m->partition_columns, m->n_partition_columns);
    put_pairs(out, "configuration", m->configuration, m->n_configuration);
    put_opt_i64(out, "createdTime", m->created_time);
}

static void write_protocol(const DeltaProtocol *p, Text *out)
{
    put_i64(out, "minReaderVersion", p->min_reader);
    put_i64(out, "minWriterVersion", p->min_writer);
    if (p->reader_features != NULL) {
        put_strings(out, "readerFeatures", p->reader_features, p->n_reader_features);
    }
    if (p->writer_features != NULL) {
        put_strings(out, "writerFeatures", p->writer_features, p->n_writer_features);
    }
}

static void write_txn(const DeltaTxn *txn, Text *out)
{
    put_string(out, "appId", txn->app_id);
    put_i64(out, "version", txn->version);
    put_opt_i64(out, "lastUpdated", txn->last_updated);
}

static void write_domain(const DeltaDomain *domain, Text *out)
{
    put_string(out, "domain", domain->domain);
    put_string(out, "configuration", domain->configuration);
    put_bool(out, "removed", domain->removed);
}

static void write_sidecar(const DeltaFile *file, Text *out)
{
    put_string(out, "path", file->path);
    put_i64(out, "sizeInBytes", file->size);
    put_i64(out, "modificationTime", file->modification_time);
}

void delta_action_write(const DeltaAction *action, Text *out)
{
    if (action->kind == DELTA_ACTION_COMMIT_INFO) {
        text_printf(out, "{\"commitInfo\":%s}\n", action->info.json);
        return;
    }
    if (action->kind == DELTA_ACTION_CHECKPOINT_METADATA || action->kind == DELTA_ACTION_UNKNOWN) {
        return; /* never written as a line of their own */
    }
    for (size_t i = 0; i < N_ACTIONS; i++) {
        if (ACTIONS[i].kind == action->kind) {
            text_printf(out, "{\"%s\":{", ACTIONS[i].key);
        }
    }
    switch (action->kind) {
    case DELTA_ACTION_ADD: write_add(&action->file, out); break;
    case DELTA_ACTION_REMOVE: write_remove(&action->file, out); break;
    case DELTA_ACTION_CDC: write_cdc(&action->file, out); break;
    case DELTA_ACTION_METADATA: write_metadata(&action->metadata, out); break;
    case DELTA_ACTION_PROTOCOL: write_protocol(&action->protocol, out); break;
    case DELTA_ACTION_TXN: write_txn(&action->txn, out); break;
    case DELTA_ACTION_DOMAIN: write_domain(&action->domain, out); break;
    case DELTA_ACTION_SIDECAR: write_sidecar(&action->file, out); break;
    case DELTA_ACTION_COMMIT_INFO:
    case DELTA_ACTION_CHECKPOINT_METADATA:
    case DELTA_ACTION_UNKNOWN: break; /* not here */
    }
    text_append(out, "}}\n");
}

/* ---- helpers ---- */

void delta_file_dv_id(const DeltaFile *file, Text *out)
{
    const DeltaDeletionVector *dv = file->deletion_vector;

    if (dv == NULL) {
        return;
    }
    text_append_char(out, dv->storage_type);
    text_append(out, dv->path_or_inline);
    if (dv->has_offset) {
        text_printf(out, "@%" PRId32, dv->offset);
    }
}

const char *delta_pair_get(const DeltaPair *pairs, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(pairs[i].key, key) == 0) {
            return pairs[i].value;
        }
    }
    return NULL;
}
