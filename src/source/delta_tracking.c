/* The schema tracking log of a stream, in the files and words of Delta's own:
 *
 *   <schemaTrackingLocation>/_schema_log_<table id>[_<streamingSourceTrackingId>]/<0, 1, 2, ...>
 *
 * An entry is the line "v1" and an object: which schema, partitioning, properties and protocol the stream reads with
 * from commit deltaCommitVersion on. The newest one counts, however far the table has moved since. A commit v that
 * changes any of it is a barrier:
 *
 *   ... files of v - 1 | (v, -20) the batch ends | (v, -19) an empty batch | entry for v, the stream stops
 *                                                                          | started again: files of v, ...
 *
 * The entry is written when the engine says that (v, -20) is in the target; a process that dies before finds a start at
 * (v, -19) that no entry covers, and writes it then. Where the new schema renames, drops or retypes a column, a restart
 * needs the user's word, because the query and its target may mean something else from there on. Commits behind v
 * without files are taken into its entry, as far as they are there.
 */
#include <inttypes.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/file.h"
#include "base/log.h"
#include "delta/transaction.h"
#include "source/delta_int.h"

enum { ENTRY_BYTES_MAX = 64 << 20, NO_ENTRY = -1 };

static const char CONFLICT[] = "DELTA_STREAMING_SCHEMA_LOCATION_CONFLICT";

void delta_tracked_free(DeltaTracked *tracked)
{
    if (tracked) {
        delta_schema_unref(tracked->schema);
        arena_free(tracked->arena);
    }
}

/* ---- where ---- */

Status delta_tracking_place(DeltaSource *source, Error *err)
{
    const char *wanted = source->options.tracking, *checkpoint = store_uri(source->checkpoint);
    size_t n = strlen(checkpoint);
    Store *place = NULL;
    Status rc = OK;

    if (!wanted) {
        return OK;
    }
    if (*wanted != '/' && !strchr(wanted, ':')) {
        source->tracking = mem_strdup(wanted);
        return OK;
    }
    TRY(store_open(wanted, &place, err));
    const char *uri = store_uri(place);
    if (strncmp(uri, checkpoint, n) != 0 || (uri[n] != '/' && uri[n] != '\0')) {
        rc = error_set(err, E_STREAM_OPTION, "schemaTrackingLocation %s of %s is not in the flow's checkpoint %s",
                       wanted, delta_table_uri(source->table), checkpoint);
        error_klass(err, "DELTA_STREAMING_SCHEMA_LOCATION_NOT_UNDER_CHECKPOINT");
        error_hint(err, "a plain name as schemaTrackingLocation = 'schema' is a folder of the checkpoint");
        goto out;
    }
    source->tracking = mem_strdup(uri[n] == '/' ? uri + n + 1 : "");
out:
    store_unref(place);
    return rc;
}

static void log_folder(const DeltaSource *source, Text *out)
{
    Text name = TEXT(4096);

    text_printf(&name, "_schema_log_%s", source->id);
    if (source->options.tracking_id) {
        text_printf(&name, "_%s", source->options.tracking_id);
    }
    if (*source->tracking) {
        path_join(out, source->tracking, text_str(&name));
    } else {
        text_append(out, text_str(&name));
    }
    text_free(&name);
}

static void entry_key(const DeltaSource *source, int64_t number, Text *out)
{
    log_folder(source, out);
    text_printf(out, "/%" PRId64, number);
}

static bool take_number(void *context, const StoreEntry *entry)
{
    int64_t number = NO_ENTRY, *newest = context;

    if (str_parse_id(entry->name, &number) && number > *newest) {
        *newest = number;
    }
    return true;
}

static Status newest_number(const DeltaSource *source, int64_t *out, Error *err)
{
    Text folder = TEXT(8192);

    *out = NO_ENTRY;
    log_folder(source, &folder);
    Status rc = store_list(source->checkpoint, text_str(&folder), NULL, take_number, out, err);
    text_free(&folder);
    return rc;
}

/* ---- reading an entry ---- */

static Status read_partitions(const char *json, DeltaTracked *out, Error *err)
{
    DeltaSchema *schema = NULL;
    Status rc = OK;

    TRY(delta_schema_parse(json, &schema, err));
    const char **names = arena_alloc(out->arena, (schema->n_fields + 1) * sizeof *names);
    for (size_t i = 0; i < schema->n_fields; i++) {
        names[i] = arena_strdup(out->arena, schema->fields[i].name);
    }
    out->metadata.partition_columns = names;
    out->metadata.n_partition_columns = schema->n_fields;
out:
    delta_schema_unref(schema);
    return rc;
}

static void read_configuration(json_t *object, DeltaTracked *out)
{
    DeltaPair *pairs = arena_alloc(out->arena, (json_object_size(object) + 1) * sizeof *pairs);
    const char *key;
    json_t *value;
    size_t n = 0;

    for (void *at = NULL; object && json_next(object, &at, &key, &value);) {
        if (json_is_string(value)) {
            pairs[n++] = (DeltaPair){arena_strdup(out->arena, key), arena_strdup(out->arena, json_string_value(value))};
        }
    }
    out->metadata.configuration = pairs;
    out->metadata.n_configuration = n;
}

static Status read_fields(json_t *object, DeltaTracked *out, Error *err)
{
    const char *id = NULL, *schema = NULL, *partitions = NULL, *protocol = NULL, *path = NULL;
    json_t *configuration = NULL;
    Status rc = OK;

    TRY(json_get_string(object, "tableId", &id, err));
    TRY(json_get_i64(object, "deltaCommitVersion", &out->version, err));
    TRY(json_get_string(object, "dataSchemaJson", &schema, err));
    TRY(json_get_string(object, "partitionSchemaJson", &partitions, err));
    TRY(json_get_string(object, "sourceMetadataPath", &path, err));
    TRY(json_opt_object(object, "tableConfigurations", &configuration, err));
    TRY(json_opt_string(object, "protocolJson", &protocol, err));
    TRY(json_opt_i64(object, "previousMetadataSeqNum", &out->previous, err));
    out->metadata.id = arena_strdup(out->arena, id);
    out->metadata.schema_string = arena_strdup(out->arena, schema);
    out->protocol = protocol ? arena_strdup(out->arena, protocol) : NULL;
    out->source_path = arena_strdup(out->arena, path);
    read_configuration(configuration, out);
    TRY(read_partitions(partitions, out, err));
    TRY(delta_schema_parse(schema, &out->schema, err));
out:
    return rc;
}

static Status read_entry(const DeltaSource *source, int64_t number, DeltaTracked **out, Error *err)
{
    Text key = TEXT(8192), text = TEXT(ENTRY_BYTES_MAX);
    Arena *arena = arena_new();
    DeltaTracked *tracked = arena_alloc(arena, sizeof *tracked);
    json_t *object = NULL;
    Status rc = OK;

    *tracked = (DeltaTracked){.arena = arena, .number = number, .previous = number - 1};
    entry_key(source, number, &key);
    JsonSource name = {.name = text_str(&key), .first_line = 2};
    TRY(store_read(source->checkpoint, text_str(&key), ENTRY_BYTES_MAX, &text, NULL, err));
    if (!str_starts(text_str(&text), "v1\n")) {
        rc = error_set(err, E_STREAM_CHECKPOINT, "%s is not an entry of a schema tracking log", text_str(&key));
        goto out;
    }
    TRY(json_parse_object(text.data + 3, text.length - 3, &name, &object, err));
    rc = read_fields(object, tracked, err);
    if (rc != OK) {
        (void)error_context(err, "%s", text_str(&key));
        goto out;
    }
    *out = tracked;
    tracked = NULL;
out:
    delta_tracked_free(tracked);
    json_decref(object);
    text_free(&key);
    text_free(&text);
    return rc;
}

/* ---- writing one ---- */

static Status partition_schema(const DeltaMetadata *metadata, Text *out, Error *err)
{
    DeltaSchema *schema = NULL, *partitions = NULL;
    DeltaSchemaBuilder *builder = delta_schema_builder_new(NULL);
    Status rc = delta_schema_parse(metadata->schema_string, &schema, err);

    for (size_t i = 0; rc == OK && i < metadata->n_partition_columns; i++) {
        const DeltaField *field = delta_schema_find(schema, metadata->partition_columns[i]);
        if (field) {
            delta_schema_builder_add(builder, field->name, field->type, field->nullable, field->metadata);
        }
    }
    partitions = delta_schema_builder_finish(builder);
    delta_schema_json(partitions, out);
    delta_schema_unref(partitions);
    delta_schema_unref(schema);
    return rc;
}

static Status entry_json(const DeltaSource *source, int64_t version, const DeltaMetadata *metadata,
                         const char *protocol, json_t *object, Error *err)
{
    Text text = TEXT(ENTRY_BYTES_MAX);
    json_t *configuration = json_object();
    Status rc = OK;

    TRY(json_put_string(object, "tableId", metadata->id, err));
    json_put_i64(object, "deltaCommitVersion", version);
    TRY(json_put_string(object, "dataSchemaJson", metadata->schema_string, err));
    TRY(partition_schema(metadata, &text, err));
    TRY(json_put_string(object, "partitionSchemaJson", text_str(&text), err));
    text_clear(&text);
    const char *uri = store_uri(source->checkpoint);
    text_printf(&text, "%s%s/%s", *uri == '/' ? "file:" : "", uri, source->private_dir);
    TRY(json_put_string(object, "sourceMetadataPath", text_str(&text), err));
    for (size_t i = 0; i < metadata->n_configuration; i++) {
        TRY(json_put_string(configuration, metadata->configuration[i].key, metadata->configuration[i].value, err));
    }
    json_put(object, "tableConfigurations", json_incref(configuration));
    TRY(json_put_string(object, "protocolJson", protocol, err));
out:
    json_decref(configuration);
    text_free(&text);
    return rc;
}

static Status location_conflict(const DeltaSource *source, const char *who, Error *err)
{
    error_set(err, E_STREAM_OPTION, "%s keeps its schema tracking log where %s keeps it, too",
              delta_table_uri(source->table), who);
    error_klass(err, CONFLICT);
    error_hint(err, "give each source its own schemaTrackingLocation or streamingSourceTrackingId");
    return error_status(err);
}

static Status put_entry(const DeltaSource *source, int64_t number, int64_t version, const DeltaMetadata *metadata,
                        const char *protocol, Error *err)
{
    Text key = TEXT(8192), text = TEXT(ENTRY_BYTES_MAX);
    json_t *object = json_object();
    Status rc = OK;

    TRY(entry_json(source, version, metadata, protocol, object, err));
    text_append(&text, "v1\n");
    TRY(json_dump_text(object, &text, err));
    entry_key(source, number, &key);
    TRY(failpoint(FP_SOURCE_TRACKING_BEFORE_PUT, err));
    rc = store_put_if_absent(source->checkpoint, text_str(&key), text.data, text.length, err);
    if (rc == ERR_EXISTS) {
        error_clear(err);
        rc = location_conflict(source, "another stream", err);
    }
    if (rc == OK) {
        rc = failpoint(FP_SOURCE_TRACKING_AFTER_PUT, err);
    }
out:
    json_decref(object);
    text_free(&key);
    text_free(&text);
    return rc;
}

/* A protocol as the log has it, without the line end. */
static void protocol_json(const DeltaProtocol *protocol, Text *out)
{
    DeltaAction action = {.kind = DELTA_ACTION_PROTOCOL, .protocol = *protocol};

    delta_action_write(&action, out);
    if (out->length > 0 && out->data[out->length - 1] == '\n') {
        out->data[--out->length] = '\0';
    }
}

Status delta_tracking_begin(DeltaSource *source, DuckConn *conn, int64_t version, Error *err)
{
    int64_t number = source->tracked ? source->tracked->number + 1 : 0;
    DeltaSnapshot *snapshot = NULL;
    Text protocol = TEXT(1 << 20);
    Status rc = OK;

    TRY(delta_table_snapshot_at(source->table, conn, version, &snapshot, err));
    protocol_json(delta_snapshot_protocol(snapshot), &protocol);
    TRY(put_entry(source, number, version, delta_snapshot_metadata(snapshot), text_str(&protocol), err));
out:
    if (rc != OK) {
        (void)error_context(err, "beginning the schema tracking log of %s", delta_table_uri(source->table));
    }
    delta_snapshot_unref(snapshot);
    text_free(&protocol);
    return rc;
}

/* ---- what changes ---- */

/* What one commit says; NULL: nothing. */
typedef struct Changed {
    const DeltaMetadata *metadata;
    const DeltaProtocol *protocol;
    bool files;
} Changed;

static Changed changed_by(const DeltaCommit *commit)
{
    Changed changed = {0};

    for (size_t i = 0; i < commit->n_actions; i++) {
        const DeltaAction *action = &commit->actions[i];
        switch (action->kind) {
        case DELTA_ACTION_METADATA: changed.metadata = &action->metadata; break;
        case DELTA_ACTION_PROTOCOL: changed.protocol = &action->protocol; break;
        case DELTA_ACTION_ADD:
        case DELTA_ACTION_REMOVE:
        case DELTA_ACTION_CDC: changed.files = true; break;
        default: break;
        }
    }
    return changed;
}

static bool same_json(const char *a, const char *b)
{
    JsonSource source = {.name = "schema tracking log"};
    json_t *first = NULL, *second = NULL;
    bool same = json_parse(a, strlen(a), &source, &first, NULL) == OK &&
                json_parse(b, strlen(b), &source, &second, NULL) == OK && json_equal(first, second) == 1;

    json_decref(first);
    json_decref(second);
    return same;
}

/* Is every delta.* property of `a` in `b`, too? */
static bool has_properties(const DeltaMetadata *a, const DeltaMetadata *b)
{
    for (size_t i = 0; i < a->n_configuration; i++) {
        const DeltaPair *pair = &a->configuration[i];
        const char *there = delta_pair_get(b->configuration, b->n_configuration, pair->key);
        if (str_starts(pair->key, "delta.") && (!there || strcmp(there, pair->value) != 0)) {
            return false;
        }
    }
    return true;
}

static bool same_metadata(const DeltaMetadata *a, const DeltaMetadata *b)
{
    bool same = a->n_partition_columns == b->n_partition_columns;

    for (size_t i = 0; same && i < a->n_partition_columns; i++) {
        same = strcmp(a->partition_columns[i], b->partition_columns[i]) == 0;
    }
    return same && has_properties(a, b) && has_properties(b, a) &&
           (same_json(a->schema_string, b->schema_string) || delta_metadata_moves_identity_only(a, b));
}

bool delta_tracking_differs(const DeltaTracked *tracked, const DeltaCommit *commit)
{
    Changed changed = changed_by(commit);
    bool differs = changed.metadata && !same_metadata(&tracked->metadata, changed.metadata);

    if (changed.protocol && tracked->protocol && !differs) {
        Text protocol = TEXT(1 << 20);
        protocol_json(changed.protocol, &protocol);
        differs = !same_json(tracked->protocol, text_str(&protocol));
        text_free(&protocol);
    }
    return differs;
}

bool delta_tracking_fits(const DeltaSource *source, DuckConn *conn, int64_t version)
{
    DeltaSnapshot *snapshot = NULL;
    bool fits = true;

    if (delta_table_snapshot_at(source->table, conn, version, &snapshot, NULL) == OK) {
        fits = same_metadata(&source->tracked->metadata, delta_snapshot_metadata(snapshot));
    } else {
        log_debug("flow=%s version %" PRId64 " of %s cannot be rebuilt, its schema is not compared", source->flow,
                  version, delta_table_uri(source->table));
    }
    delta_snapshot_unref(snapshot);
    return fits;
}

/* ---- renamed, dropped, retyped ---- */

typedef struct Losses {
    const DeltaField *renamed, *dropped, *retyped; /* the first of each, as it was */
} Losses;

static void find_losses(const DeltaField *old, size_t n_old, const DeltaField *new, size_t n_new, Losses *out)
{
    for (size_t i = 0; i < n_old; i++) {
        const DeltaField *there = delta_mapping_find(new, n_new, old[i].physical_name);
        if (!there) {
            out->dropped = out->dropped ? out->dropped : &old[i];
            continue;
        }
        const DeltaType *a = old[i].type, *b = there->type;
        if (strcmp(there->name, old[i].name) != 0) {
            out->renamed = out->renamed ? out->renamed : &old[i];
        }
        if (a->id != b->id || a->precision != b->precision || a->scale != b->scale) {
            out->retyped = out->retyped ? out->retyped : &old[i];
        } else {
            find_losses(a->fields, a->n_fields, b->fields, b->n_fields, out);
        }
    }
}

static Losses losses_between(const DeltaSchema *old, const DeltaSchema *new)
{
    Losses losses = {0};

    find_losses(old->fields, old->n_fields, new->fields, new->n_fields, &losses);
    return losses;
}

bool delta_tracking_keeps_columns(const DeltaSchema *old, const DeltaSchema *new)
{
    Losses losses = losses_between(old, new);

    return !losses.renamed && !losses.dropped;
}

/* Does the user's word cover the change in this version? */
static bool is_allowed(const char *option, int64_t version)
{
    int64_t named = 0;

    return option && (str_ieq(option, "always") || (str_parse_i64(option, &named) && named == version));
}

static Status check_allowed(const DeltaSource *source, const DeltaTracked *old, const DeltaTracked *new, Error *err)
{
    const DeltaSourceOptions *options = &source->options;
    Losses losses = losses_between(old->schema, new->schema);
    const struct {
        const DeltaField *field;
        const char *what, *option, *value;
    } KINDS[] = {{losses.renamed, "renamed", "allowSourceColumnRename", options->allow_rename},
                 {losses.dropped, "dropped", "allowSourceColumnDrop", options->allow_drop},
                 {losses.retyped, "given another type", "allowSourceColumnTypeChange", options->allow_type_change}};

    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (KINDS[i].field && !is_allowed(KINDS[i].value, new->version)) {
            error_set(err, E_SOURCE_SCHEMA_BLOCKED,
                      "column %s of %s was %s between versions %" PRId64 " and %" PRId64
                      "; the stream has read everything before and waits for your word",
                      KINDS[i].field->name, delta_table_uri(source->table), KINDS[i].what, old->version, new->version);
            error_hint(err,
                       "look at the query and its target, then go on WITH (%s = %" PRId64 "), or = 'always' for all "
                       "such changes",
                       KINDS[i].option, new->version);
            return error_status(err);
        }
    }
    return OK;
}

/* ---- the source's side ---- */

/* ".../sources/0" of an entry is the source's own, wherever the checkpoint was when it was written. */
static Status check_owner(const DeltaSource *source, const DeltaTracked *tracked, Error *err)
{
    size_t n = strlen(tracked->source_path), own = strlen(source->private_dir);

    if (n > own && strcmp(tracked->source_path + n - own, source->private_dir) == 0 &&
        tracked->source_path[n - own - 1] == '/') {
        return OK;
    }
    return location_conflict(source, tracked->source_path, err);
}

Status delta_tracking_load(const DeltaSource *source, DeltaTracked **out, Error *err)
{
    DeltaTracked *newest = NULL, *before = NULL;
    int64_t number = NO_ENTRY;
    Status rc = OK;

    TRY(newest_number(source, &number, err));
    if (number == NO_ENTRY) {
        *out = NULL;
        goto out;
    }
    TRY(read_entry(source, number, &newest, err));
    if (strcmp(newest->metadata.id, source->id) != 0) {
        rc = error_set(err, E_SOURCE_OTHER_TABLE,
                       "the schema tracking log was made for table id %s, here is table id %s", newest->metadata.id,
                       source->id);
        goto out;
    }
    TRY(check_owner(source, newest, err));
    if (newest->previous >= 0) {
        TRY(read_entry(source, newest->previous, &before, err));
        TRY(check_allowed(source, before, newest, err));
    }
    *out = newest;
    newest = NULL;
out:
    delta_tracked_free(newest);
    delta_tracked_free(before);
    return rc;
}

/* What a run of commits makes of the tracked schema. */
typedef struct Followed {
    Text protocol;
    DeltaCommit *commit; /* holds what `metadata` points to; NULL: `metadata` is the tracked one */
    const DeltaMetadata *metadata;
    int64_t version;
} Followed;

/* Takes what the next commit says. *more: there may be another one to take. */
static Status follow_commit(const DeltaSource *source, int64_t version, bool first, Followed *out, bool *more,
                            Error *err)
{
    DeltaCommit *commit = NULL;
    Error local = ERROR_NONE;
    Status rc = delta_commit_read(source->table, version, &commit, &local);

    *more = false;
    if (rc == ERR_NOT_FOUND && !first) {
        return OK;
    }
    if (rc != OK) {
        *err = local;
        return rc;
    }
    Changed changed = changed_by(commit);
    *more = !changed.files && (changed.metadata || changed.protocol);
    if (first || *more) {
        out->version = version;
        if (changed.protocol) {
            text_clear(&out->protocol);
            protocol_json(changed.protocol, &out->protocol);
        }
        if (changed.metadata) {
            delta_commit_free(out->commit);
            out->commit = commit;
            out->metadata = changed.metadata;
            commit = NULL;
        }
    }
    delta_commit_free(commit);
    return OK;
}

Status delta_tracking_follow(DeltaSource *source, int64_t version, Error *err)
{
    const DeltaTracked *tracked = source->tracked;
    Followed followed = {.protocol = TEXT(1 << 20), .metadata = &tracked->metadata};
    bool more = true;
    Status rc = OK;

    text_append(&followed.protocol, tracked->protocol ? tracked->protocol : "");
    for (int64_t next = version; more; next++) {
        TRY(follow_commit(source, next, next == version, &followed, &more, err));
    }
    TRY(put_entry(source, tracked->number + 1, followed.version, followed.metadata,
                  followed.protocol.length > 0 ? text_str(&followed.protocol) : NULL, err));
out:
    delta_commit_free(followed.commit);
    text_free(&followed.protocol);
    return rc;
}

Status delta_tracking_stop(const DeltaSource *source, int64_t version, Error *err)
{
    error_set(err, E_SOURCE_SCHEMA_TRACKED,
              "version %" PRId64 " of %s changes how it is read; the stream has read everything before it and has "
              "written the new schema down",
              version, delta_table_uri(source->table));
    error_hint(err, "start again, and the stream goes on with the new schema");
    return error_status(err);
}
