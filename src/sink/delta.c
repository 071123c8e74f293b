/* A Delta table as a sink: append, update or complete, with the batch's number in the commit that makes its rows
 * visible.
 *
 * The transaction reads txn(query id) before it writes: a batch the table has seen is not written again, and of two
 * runners that commit the same batch at once the second gets DELTA_CONCURRENT_TRANSACTION. A batch without rows makes
 * no version.
 */
#include <inttypes.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "delta/clustering.h"
#include "delta/column_default.h"
#include "delta/write.h"
#include "sink/sinks.h"
#include "table/upsert.h"

enum { HISTORY_LOOK_BACK = 1000 };

typedef struct DeltaSink {
    StreamSink base;
    DeltaTable *table;
    DeltaSchema *schema; /* declared; NULL: the query's */
    char **partition_columns;
    size_t n_partition_columns;
    char **cluster_columns;
    size_t n_cluster_columns;
    char **keys, **values;
    size_t n_properties;
    char *comment, *flow;
    DeltaMerge merge_schema;
    SqlOutputMode mode;
} DeltaSink;

/* ---- creating and adopting ---- */

static Status create(DeltaSink *sink, DuckConn *conn, const DuckColumnInfo *columns, size_t n, Error *err)
{
    DeltaTransaction *txn = NULL;
    DeltaSchema *schema = NULL;
    int64_t version = 0;
    Status rc = OK;

    if (sink->schema) {
        schema = delta_schema_ref(sink->schema);
    } else {
        TRY(delta_schema_from_columns(columns, n, &schema, err));
    }
    TRY(delta_transaction_begin(sink->table, NULL, conn, &txn, err));
    for (size_t i = 0; i < sink->n_properties; i++) {
        TRY(delta_transaction_set_property(txn, sink->keys[i], sink->values[i], err));
    }
    TRY(delta_check_columns(conn, schema, (const char *const *)sink->partition_columns, sink->n_partition_columns,
                            err));
    TRY(delta_transaction_set_schema(txn, schema, err));
    TRY(delta_transaction_set_partitioning(txn, (const char *const *)sink->partition_columns, sink->n_partition_columns,
                                           err));
    if (sink->n_cluster_columns > 0) {
        TRY(delta_clustering_declare(txn, (const char *const *)sink->cluster_columns, sink->n_cluster_columns, err));
    }
    if (sink->comment) {
        delta_transaction_set_comment(txn, NULL, sink->comment);
    }
    delta_transaction_operation(txn, "CREATE TABLE");
    TRY(failpoint(FP_SINK_CREATE_BEFORE_COMMIT, err));
    TRY(delta_transaction_commit(txn, &version, err));
    TRY(failpoint(FP_SINK_CREATE_AFTER_COMMIT, err));
out:
    delta_transaction_free(txn);
    delta_schema_unref(schema);
    return rc;
}

static Status check_partitioning(const DeltaSink *sink, const DeltaMetadata *metadata, Error *err)
{
    bool same = sink->n_partition_columns == metadata->n_partition_columns;

    for (size_t i = 0; same && i < sink->n_partition_columns; i++) {
        same = str_ieq(sink->partition_columns[i], metadata->partition_columns[i]);
    }
    if (same || sink->n_partition_columns == 0) {
        return OK; /* not declared: the table keeps its own */
    }
    error_set(err, E_PIPELINE_CHANGED, "%s is partitioned in another way than its definition says",
              delta_table_uri(sink->table));
    error_hint(err, "restore PARTITIONED BY, or rebuild the table with --full-refresh");
    return error_status(err);
}

/* Declared columns must be there with their types; the table may have more. */
static Status check_declared(const DeltaSink *sink, const DeltaSchema *table, Error *err)
{
    for (size_t i = 0; sink->schema && i < sink->schema->n_fields; i++) {
        const DeltaField *declared = &sink->schema->fields[i], *there = delta_schema_find(table, declared->name);
        if (there && delta_type_equal(there->type, declared->type)) {
            continue;
        }
        Text type = TEXT(65536);
        delta_type_name(declared->type, &type);
        error_set(err, E_PIPELINE_CHANGED, "%s %s column %s that is declared as %s", delta_table_uri(sink->table),
                  there ? "has another type for" : "lacks", declared->name, text_str(&type));
        error_hint(err, "restore the definition, or rebuild the table with --full-refresh");
        text_free(&type);
        return error_status(err);
    }
    return OK;
}

/* Properties that the definition sets and the table does not have so. */
static Status update_properties(DeltaSink *sink, DuckConn *conn, DeltaSnapshot *snapshot, Error *err)
{
    DeltaTransaction *txn = NULL;
    Text list = TEXT(1 << 20);
    int64_t version = 0;
    Status rc = OK;

    for (size_t i = 0; i < sink->n_properties; i++) {
        const char *there = delta_snapshot_property(snapshot, sink->keys[i]);
        if (there && strcmp(there, sink->values[i]) == 0) {
            continue;
        }
        if (!txn) {
            TRY(delta_transaction_begin(sink->table, snapshot, conn, &txn, err));
        }
        TRY(delta_transaction_set_property(txn, sink->keys[i], sink->values[i], err));
        text_append(&list, list.length ? "," : "{");
        text_append_json_string(&list, sink->keys[i]);
        text_append_char(&list, ':');
        text_append_json_string(&list, sink->values[i]);
    }
    if (txn) {
        text_append_char(&list, '}');
        delta_transaction_operation(txn, "SET TBLPROPERTIES");
        delta_transaction_parameter_text(txn, "properties", text_str(&list));
        TRY(delta_transaction_commit(txn, &version, err));
    }
out:
    delta_transaction_free(txn);
    text_free(&list);
    return rc;
}

/* Clustering says nothing about the files that are there: another one is a change of the table like any property. */
static Status update_clustering(DeltaSink *sink, DuckConn *conn, Error *err)
{
    DeltaSnapshot *snapshot = NULL;
    DeltaTransaction *txn = NULL;
    DeltaPath *paths = mem_alloc((sink->n_cluster_columns + 1) * sizeof *paths);
    Text before = TEXT(1 << 20), after = TEXT(1 << 20);
    int64_t version = 0;
    Status rc = OK;

    if (sink->n_cluster_columns == 0) {
        goto out;
    }
    TRY(delta_table_snapshot(sink->table, conn, &snapshot, err));
    delta_clustering_names(snapshot, &before);
    for (size_t i = 0; i < sink->n_cluster_columns; i++) {
        paths[i] = (DeltaPath){(const char *const *)&sink->cluster_columns[i], 1};
        text_append(&after, i ? "," : "");
        delta_path_text(paths[i], &after);
    }
    if (str_ieq(text_str(&before), text_str(&after))) {
        goto out;
    }
    TRY(delta_transaction_begin(sink->table, snapshot, conn, &txn, err));
    TRY(delta_clustering_set(txn, paths, sink->n_cluster_columns, err));
    delta_clustering_describe(txn, text_str(&before), text_str(&after));
    TRY(delta_transaction_commit(txn, &version, err));
out:
    delta_transaction_free(txn);
    delta_snapshot_unref(snapshot);
    text_free(&before);
    text_free(&after);
    mem_free(paths);
    return rc;
}

/* Fields inside a column that the query names itself do not extend the table: says so, once per plan. */
static void warn_left_out(const DeltaSink *sink, const DeltaSchema *table, const DuckColumnInfo *columns, size_t n)
{
    DeltaSchema *own = NULL, *all = NULL;
    Text select = TEXT(TEXT_SQL_MAX), other = TEXT(TEXT_SQL_MAX);

    if (sink->merge_schema == DELTA_MERGE_COLUMNS &&
        delta_schema_reconcile(table, columns, n, DELTA_MERGE_ALL, &select, &all, NULL) == OK && all &&
        delta_schema_reconcile(table, columns, n, DELTA_MERGE_COLUMNS, &other, &own, NULL) == OK &&
        !(own && delta_schema_equal(own, all))) {
        log_warning("flow=%s fields inside columns are left out that %s does not have, because the query names its "
                    "columns; SELECT * would extend the table",
                    sink->flow, delta_table_uri(sink->table));
    }
    delta_schema_unref(own);
    delta_schema_unref(all);
    text_free(&select);
    text_free(&other);
}

/* A mode that takes rows away does not go with a table that keeps all. */
static Status check_append_only(const DeltaSink *sink, const DeltaSnapshot *snapshot, Error *err)
{
    const char *value = delta_snapshot_property(snapshot, "delta.appendOnly");

    if (sink->mode == SQL_OUTPUT_APPEND || !value || !str_ieq(value, "true")) {
        return OK;
    }
    error_set(err, E_DELTA_APPEND_ONLY, "the query replaces rows, but the table is append-only (delta.appendOnly)");
    error_hint(err, "set delta.appendOnly to false, or 'freshet.outputMode' to 'append'");
    return error_status(err);
}

static Status adopt(DeltaSink *sink, DuckConn *conn, const DuckColumnInfo *columns, size_t n, Error *err)
{
    DeltaSnapshot *snapshot = NULL;
    DeltaSchema *evolved = NULL;
    Text select = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    TRY(delta_table_snapshot(sink->table, conn, &snapshot, err));
    TRY(delta_protocol_check_write(delta_snapshot_protocol(snapshot), delta_table_uri(sink->table), err));
    TRY(check_append_only(sink, snapshot, err));
    TRY(check_partitioning(sink, delta_snapshot_metadata(snapshot), err));
    TRY(check_declared(sink, delta_snapshot_schema(snapshot), err));
    TRY(delta_schema_reconcile(delta_snapshot_schema(snapshot), columns, n, sink->merge_schema, &select, &evolved,
                               err));
    warn_left_out(sink, delta_snapshot_schema(snapshot), columns, n);
    TRY(update_properties(sink, conn, snapshot, err));
    TRY(update_clustering(sink, conn, err));
out:
    if (rc != OK && err) {
        rc = error_context(err, "table %s", delta_table_uri(sink->table));
    }
    delta_schema_unref(evolved);
    delta_snapshot_unref(snapshot);
    text_free(&select);
    return rc;
}

static Status sink_prepare(StreamSink *base, DuckConn *conn, const DuckColumnInfo *columns, size_t n, Error *err)
{
    DeltaSink *sink = (DeltaSink *)base;
    Error local = ERROR_NONE;
    bool exists = false;
    Status rc = OK;

    TRY(delta_table_exists(sink->table, &exists, err));
    if (!exists) {
        rc = create(sink, conn, columns, n, &local);
        if (rc == OK || (rc != ERR_CONFLICT && rc != ERR_EXISTS)) {
            if (rc != OK) {
                *err = local;
            }
            goto out;
        }
        /* another flow was faster */
    }
    TRY(adopt(sink, conn, columns, n, err));
out:
    return rc;
}

/* ---- what the table knows ---- */

/* Looks for a commit's own facts, newest first. */
typedef struct Search {
    const char *query_id; /* the commit with txn of this query and batch, by operationParameters.queryId ... */
    int64_t batch;
    const char *flow; /* ... or the newest commit of this flow under another id */
    char *json;       /* found: commitInfo.freshet */
    int64_t found_batch;
    bool done;
} Search;

static const char *query_of(const json_t *info)
{
    json_t *parameters = NULL;
    const char *id = NULL;

    if (json_opt_object(info, "operationParameters", &parameters, NULL) != OK || !parameters ||
        json_opt_string(parameters, "queryId", &id, NULL) != OK) {
        return NULL;
    }
    return id;
}

static bool matches(Search *search, const json_t *facts, const char *query_id)
{
    const char *flow = NULL;

    if (json_opt_i64(facts, "batch", &search->found_batch, NULL) != OK ||
        json_opt_string(facts, "flow", &flow, NULL) != OK) {
        return false;
    }
    if (search->flow) {
        return flow && query_id && strcmp(flow, search->flow) == 0 && strcmp(query_id, search->query_id) != 0;
    }
    return query_id && strcmp(query_id, search->query_id) == 0 && search->found_batch == search->batch;
}

static Status look_at(void *context, int64_t version, int64_t timestamp, const DeltaCommitInfo *info, Error *err)
{
    Search *search = context;
    JsonSource source = {.name = "commitInfo"};
    json_t *object = NULL, *facts = NULL;
    Text text = TEXT(64 << 20);
    (void)version;
    (void)timestamp;
    (void)err;

    if (json_parse_object(info->json, strlen(info->json), &source, &object, NULL) != OK ||
        json_opt_object(object, "freshet", &facts, NULL) != OK || !facts) {
        goto out; /* commitInfo is anybody's to write */
    }
    if (json_has(facts, "refresh")) {
        search->done = true; /* what is older was thrown away on purpose */
    } else if (matches(search, facts, query_of(object)) && json_dump_text(facts, &text, NULL) == OK) {
        search->json = text_take(&text);
        search->done = true;
    }
out:
    json_decref(object);
    text_free(&text);
    return search->done ? ERR_INTERRUPTED : OK; /* ends the walk; search_history knows */
}

/* From the newest commit back to the one that is looked for. */
static Status search_history(DeltaSink *sink, Search *search, Error *err)
{
    Error local = ERROR_NONE;
    Status rc = delta_table_history(sink->table, HISTORY_LOOK_BACK, look_at, search, &local);

    if (rc == OK || search->done) {
        return OK;
    }
    *err = local;
    return rc;
}

static Status sink_last_batch(StreamSink *base, DuckConn *conn, const char *query_id, int64_t *batch,
                              char **freshet_json, Error *err)
{
    DeltaSink *sink = (DeltaSink *)base;
    DeltaSnapshot *snapshot = NULL;
    Search search = {.query_id = query_id};
    bool exists = false;
    int64_t version = -1;
    Status rc = OK;

    TRY(delta_table_exists(sink->table, &exists, err));
    if (exists) {
        TRY(delta_table_snapshot(sink->table, conn, &snapshot, err));
        if (!delta_snapshot_txn(snapshot, query_id, &version)) {
            version = -1;
        }
    }
    if (version >= 0) {
        search.batch = version;
        TRY(search_history(sink, &search, err));
    }
    *batch = version;
    *freshet_json = search.json;
    search.json = NULL;
out:
    mem_free(search.json);
    delta_snapshot_unref(snapshot);
    return rc;
}

static Status sink_foreign_batch(StreamSink *base, DuckConn *conn, const char *flow, const char *query_id,
                                 int64_t *batch, Error *err)
{
    DeltaSink *sink = (DeltaSink *)base;
    Search search = {.query_id = query_id, .flow = flow};
    bool exists = false;
    Status rc = OK;
    (void)conn;

    *batch = -1;
    TRY(delta_table_exists(sink->table, &exists, err));
    if (exists) {
        TRY(search_history(sink, &search, err));
        *batch = search.json ? search.found_batch : -1;
    }
out:
    mem_free(search.json);
    return rc;
}

/* ---- a batch ---- */

typedef struct BatchFigures {
    int64_t rows, bytes, files, files_removed;
} BatchFigures;

static void describe_batch(DeltaTransaction *txn, const StreamSinkBatch *batch, const BatchFigures *figures)
{
    static const char *const MODES[] = {
        [SQL_OUTPUT_APPEND] = "Append", [SQL_OUTPUT_UPDATE] = "Update", [SQL_OUTPUT_COMPLETE] = "Complete"};
    char epoch[32];

    snprintf(epoch, sizeof epoch, "%" PRId64, batch->batch);
    delta_transaction_operation(txn, "STREAMING UPDATE");
    delta_transaction_parameter_text(txn, "outputMode", MODES[batch->mode]);
    delta_transaction_parameter_text(txn, "queryId", batch->query_id);
    delta_transaction_parameter_text(txn, "epochId", epoch);
    delta_transaction_metric(txn, "numRemovedFiles", figures->files_removed);
    delta_transaction_metric(txn, "numOutputRows", figures->rows);
    delta_transaction_metric(txn, "numOutputBytes", figures->bytes);
    delta_transaction_metric(txn, "numAddedFiles", figures->files);
    delta_transaction_freshet(txn, batch->freshet_json);
}

static Status append_rows(DeltaSink *sink, DuckConn *conn, DeltaTransaction *txn, const StreamSinkBatch *batch,
                          StreamSinkResult *result, Error *err)
{
    DeltaWriteOptions options = {.merge_schema = sink->merge_schema};
    DeltaWriteResult written = {0};
    Status rc = OK;

    TRY(delta_write_query(txn, conn, batch->query, &options, &written, err));
    if (batch->verify) {
        TRY(batch->verify(batch->verify_context, err));
    }
    if (written.files == 0) {
        goto out; /* commits/N alone names the batch */
    }
    describe_batch(txn, batch, &(BatchFigures){.rows = written.rows, .bytes = written.bytes, .files = written.files});
    delta_transaction_set_app(txn, batch->query_id, batch->batch);
    TRY(failpoint(FP_SINK_APPEND_BEFORE_COMMIT, err));
    TRY(delta_transaction_commit(txn, &result->version, err));
    TRY(failpoint(FP_SINK_APPEND_AFTER_COMMIT, err));
    result->rows = written.rows;
    result->files = written.files;
    result->bytes = written.bytes;
out:
    return rc;
}

static Status upsert_verify(void *context, Error *err)
{
    const StreamSinkBatch *batch = context;

    return batch->verify ? batch->verify(batch->verify_context, err) : OK;
}

static Status upsert_ready(void *context, DeltaTransaction *txn, const TableUpsertResult *done, Error *err)
{
    const StreamSinkBatch *batch = context;

    describe_batch(
        txn, batch,
        &(BatchFigures){
            .rows = done->rows, .bytes = done->bytes, .files = done->files, .files_removed = done->files_removed});
    return failpoint(FP_SINK_APPEND_BEFORE_COMMIT, err);
}

/* Update and complete mode. */
static Status upsert_rows(DeltaSink *sink, DuckConn *conn, const StreamSinkBatch *batch, StreamSinkResult *result,
                          Error *err)
{
    const TableUpsert upsert = {.query = batch->query,
                                .keys = batch->key_columns,
                                .n_keys = batch->n_key_columns,
                                .all = batch->mode == SQL_OUTPUT_COMPLETE || batch->n_key_columns == 0,
                                .vanished = batch->vanished,
                                .merge_schema = sink->merge_schema,
                                .app_id = batch->query_id,
                                .app_version = batch->batch,
                                .verify = upsert_verify,
                                .ready = upsert_ready,
                                .context = (void *)batch};
    TableUpsertResult done = {0};
    Status rc = OK;

    TRY(table_upsert(sink->table, conn, &upsert, &done, err));
    if (done.version >= 0) {
        TRY(failpoint(FP_SINK_APPEND_AFTER_COMMIT, err));
    }
    *result = (StreamSinkResult){.rows = done.rows,
                                 .files = done.files,
                                 .bytes = done.bytes,
                                 .version = done.version,
                                 .duplicate = done.duplicate};
out:
    return rc;
}

static Status sink_write(StreamSink *base, DuckConn *conn, const StreamSinkBatch *batch, StreamSinkResult *out,
                         Error *err)
{
    DeltaSink *sink = (DeltaSink *)base;
    StreamSinkResult result = {.version = -1};
    DeltaSnapshot *snapshot = NULL;
    DeltaTransaction *txn = NULL;
    Status rc = OK;

    if (batch->mode != SQL_OUTPUT_APPEND) {
        TRY(upsert_rows(sink, conn, batch, &result, err));
    } else if (batch->has_rows) {
        TRY(delta_table_snapshot(sink->table, conn, &snapshot, err));
        TRY(delta_transaction_begin(sink->table, snapshot, conn, &txn, err));
        if (delta_transaction_read_app(txn, batch->query_id) >= batch->batch) {
            result.duplicate = true;
        } else {
            TRY(append_rows(sink, conn, txn, batch, &result, err));
        }
    }
    *out = result;
out:
    delta_transaction_free(txn);
    delta_snapshot_unref(snapshot);
    return rc;
}

/* ---- the rest ---- */

static void sink_maintain(StreamSink *base, DuckConn *conn)
{
    delta_table_maintain(((DeltaSink *)base)->table, conn);
}

static void sink_describe(StreamSink *base, Text *out)
{
    const char *uri = delta_table_uri(((DeltaSink *)base)->table);

    text_printf(out, "DeltaSink[%s%s]", *uri == '/' ? "file:" : "", uri);
}

static void free_list(char **list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        mem_free(list[i]);
    }
    mem_free(list);
}

static char **copy_list(const char *const *list, size_t n)
{
    char **copy = mem_alloc((n + 1) * sizeof *copy);

    for (size_t i = 0; i < n; i++) {
        copy[i] = mem_strdup(list[i]);
    }
    return copy;
}

static void sink_close(StreamSink *base)
{
    DeltaSink *sink = (DeltaSink *)base;

    delta_table_close(sink->table);
    delta_schema_unref(sink->schema);
    free_list(sink->partition_columns, sink->n_partition_columns);
    free_list(sink->cluster_columns, sink->n_cluster_columns);
    free_list(sink->keys, sink->n_properties);
    free_list(sink->values, sink->n_properties);
    mem_free(sink->comment);
    mem_free(sink->flow);
    mem_free(sink);
}

static const StreamSinkOps DELTA_SINK_OPS = {
    .kind = "delta",
    .prepare = sink_prepare,
    .last_batch = sink_last_batch,
    .foreign_batch = sink_foreign_batch,
    .write = sink_write,
    .maintain = sink_maintain,
    .describe = sink_describe,
    .close = sink_close,
};

Status sink_delta_open(DeltaTable *table, const SinkDeltaSpec *spec, StreamSink **out, Error *err)
{
    DeltaSink *sink = mem_alloc(sizeof *sink);
    (void)err;

    sink->base.ops = &DELTA_SINK_OPS;
    sink->table = delta_table_ref(table);
    sink->schema = spec->schema ? delta_schema_ref((DeltaSchema *)spec->schema) : NULL;
    sink->partition_columns = copy_list(spec->partition_columns, spec->n_partition_columns);
    sink->n_partition_columns = spec->n_partition_columns;
    sink->cluster_columns = copy_list(spec->cluster_columns, spec->n_cluster_columns);
    sink->n_cluster_columns = spec->n_cluster_columns;
    sink->keys = copy_list(spec->property_keys, spec->n_properties);
    sink->values = copy_list(spec->property_values, spec->n_properties);
    sink->n_properties = spec->n_properties;
    sink->comment = mem_strdup(spec->comment);
    sink->flow = mem_strdup(spec->flow);
    sink->merge_schema = spec->merge_schema;
    sink->mode = spec->mode;
    *out = &sink->base;
    return OK;
}
