/* A snapshot: a checkpoint, the commits after it, and what follows from both (Delta protocol, Action
 * Reconciliation). */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "delta/property_int.h"
#include "delta/table_int.h"

/* ---- building ---- */

/* The newest protocol and metaData of the commits down to `end`; what they do not say stays. */
static void find_newest(const DeltaCommitNode *tail, const DeltaCommitNode *end, DeltaSnapshot *s)
{
    const DeltaProtocol *protocol = NULL;
    const DeltaMetadata *metadata = NULL;

    for (const DeltaCommitNode *node = tail; node != end && (protocol == NULL || metadata == NULL);
         node = node->previous) {
        const DeltaProtocol *its_protocol = NULL;
        const DeltaMetadata *its_metadata = NULL;
        for (size_t i = 0; i < node->commit->n_actions; i++) {
            const DeltaAction *action = &node->commit->actions[i];
            if (action->kind == DELTA_ACTION_PROTOCOL) {
                its_protocol = &action->protocol;
            } else if (action->kind == DELTA_ACTION_METADATA) {
                its_metadata = &action->metadata;
            }
        }
        protocol = protocol != NULL ? protocol : its_protocol;
        metadata = metadata != NULL ? metadata : its_metadata;
    }
    s->protocol = protocol != NULL ? protocol : s->protocol;
    s->metadata = metadata != NULL ? metadata : s->metadata;
}

/* Newest word per domain, the removed ones left out. */
static void find_domains(DeltaSnapshot *s)
{
    Map *newest = map_new();
    void *value;

    for (const DeltaCommitNode *node = s->tail; node != NULL; node = node->previous) {
        for (size_t i = node->commit->n_actions; i-- > 0;) {
            const DeltaAction *action = &node->commit->actions[i];
            if (action->kind == DELTA_ACTION_DOMAIN && !map_has(newest, action->domain.domain)) {
                map_put(newest, action->domain.domain, (void *)(uintptr_t)&action->domain);
            }
        }
    }
    for (size_t i = 0; s->checkpoint != NULL && i < s->checkpoint->n_domains; i++) {
        const DeltaDomain *domain = &s->checkpoint->domains[i];
        if (!map_has(newest, domain->domain)) {
            map_put(newest, domain->domain, (void *)(uintptr_t)domain);
        }
    }
    s->domains = mem_alloc((map_count(newest) + 1) * sizeof *s->domains);
    for (size_t i = 0; map_next(newest, &i, NULL, &value);) {
        const DeltaDomain *domain = value;
        if (!domain->removed) {
            s->domains[s->n_domains++] = *domain;
        }
    }
    map_free(newest, NULL);
}

static Status check(const DeltaSnapshot *s, Error *err)
{
    Text where = TEXT(ERROR_TEXT_MAX);
    Status rc = OK;

    if (s->protocol == NULL || s->metadata == NULL) {
        return error_set(err, E_DELTA_CORRUPT, "version %" PRId64 ": the log holds no %s action", s->version,
                         s->protocol == NULL ? "protocol" : "metaData");
    }
    text_printf(&where, "version %" PRId64, s->version);
    TRY(delta_protocol_check_read(s->protocol, text_str(&where), err));
    if (strcmp(s->metadata->provider, "parquet") != 0) {
        rc = error_set(err, E_DELTA_PROTOCOL_READ,
                       "version %" PRId64 ": the data files are '%s', only parquet is understood", s->version,
                       s->metadata->provider);
    }
out:
    text_free(&where);
    return rc;
}

Status delta_snapshot_build(DeltaTable *table, const DeltaSnapshotParts *parts, DeltaSnapshot **out, Error *err)
{
    DeltaSnapshot *s = mem_alloc(sizeof *s);
    const DeltaSnapshot *previous = parts->previous;
    Status rc = OK;

    atomic_init(&s->references, 1);
    pthread_mutex_init(&s->lock, NULL);
    s->table = table;
    s->version = parts->version;
    s->timestamp = parts->timestamp;
    s->file_time = parts->file_time;
    s->checkpoint = parts->checkpoint;
    s->tail = parts->tail;
    if (s->tail != NULL && s->tail->commit->version == s->version) {
        s->timestamp = s->tail->commit->timestamp;
        s->file_time = s->tail->commit->file_time;
    }
    if (previous != NULL) {
        s->protocol = previous->protocol;
        s->metadata = previous->metadata;
    } else if (s->checkpoint != NULL) {
        s->protocol = s->checkpoint->protocol;
        s->metadata = s->checkpoint->metadata;
    }
    find_newest(s->tail, previous != NULL ? previous->tail : NULL, s);
    TRY(check(s, err));
    if (previous != NULL && previous->metadata == s->metadata) {
        s->schema = delta_schema_ref(previous->schema);
    } else {
        if ((rc = delta_schema_parse(s->metadata->schema_string, &s->schema, err)) != OK) {
            (void)error_context(err, "version %" PRId64 ": the schema in its metaData", s->version);
            goto out;
        }
    }
    find_domains(s);
    *out = s;
out:
    if (rc != OK) {
        delta_snapshot_release(s);
    }
    return rc;
}

void delta_snapshot_release(DeltaSnapshot *s)
{
    if (s == NULL || atomic_fetch_sub(&s->references, 1) != 1) {
        return;
    }
    delta_overlay_free(s->overlay);
    delta_schema_unref(s->schema);
    mem_free(s->domains);
    delta_commit_node_unref(s->tail);
    delta_checkpoint_unref(s->checkpoint);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

DeltaSnapshot *delta_snapshot_ref(DeltaSnapshot *snapshot)
{
    atomic_fetch_add(&snapshot->references, 1);
    delta_table_ref(snapshot->table);
    return snapshot;
}

void delta_snapshot_unref(DeltaSnapshot *snapshot)
{
    if (snapshot != NULL) {
        DeltaTable *table = snapshot->table;
        delta_snapshot_release(snapshot);
        delta_table_close(table);
    }
}

/* ---- small questions ---- */

DeltaTable *delta_snapshot_table(const DeltaSnapshot *snapshot)
{
    return snapshot->table;
}

int64_t delta_snapshot_version(const DeltaSnapshot *snapshot)
{
    return snapshot->version;
}

int64_t delta_snapshot_timestamp(const DeltaSnapshot *snapshot)
{
    return snapshot->timestamp;
}

const DeltaMetadata *delta_snapshot_metadata(const DeltaSnapshot *snapshot)
{
    return snapshot->metadata;
}

const DeltaProtocol *delta_snapshot_protocol(const DeltaSnapshot *snapshot)
{
    return snapshot->protocol;
}

DeltaSchema *delta_snapshot_schema(const DeltaSnapshot *snapshot)
{
    return snapshot->schema;
}

const char *delta_snapshot_property(const DeltaSnapshot *snapshot, const char *key)
{
    return delta_pair_get(snapshot->metadata->configuration, snapshot->metadata->n_configuration, key);
}

size_t delta_snapshot_domains(const DeltaSnapshot *snapshot, const DeltaDomain **domains)
{
    *domains = snapshot->domains;
    return snapshot->n_domains;
}

/* Applications that have not written for delta.setTransactionRetentionDuration are forgotten. */
static bool txn_counts(const DeltaSnapshot *s, const DeltaTxn *txn)
{
    int64_t keep_ms = delta_property_ms(s->metadata, "delta.setTransactionRetentionDuration");

    return keep_ms == 0 || (txn->last_updated >= 0 && txn->last_updated > clock_now_ms() - keep_ms);
}

static const DeltaTxn *find_txn(const DeltaSnapshot *s, const char *app_id)
{
    for (const DeltaCommitNode *node = s->tail; node != NULL; node = node->previous) {
        for (size_t i = node->commit->n_actions; i-- > 0;) {
            const DeltaAction *action = &node->commit->actions[i];
            if (action->kind == DELTA_ACTION_TXN && strcmp(action->txn.app_id, app_id) == 0) {
                return &action->txn;
            }
        }
    }
    return s->checkpoint != NULL ? map_get(s->checkpoint->txn_index, app_id) : NULL;
}

bool delta_snapshot_txn(const DeltaSnapshot *snapshot, const char *app_id, int64_t *version)
{
    const DeltaTxn *txn = find_txn(snapshot, app_id);

    if (txn == NULL || !txn_counts(snapshot, txn)) {
        return false;
    }
    *version = txn->version;
    return true;
}

DeltaTxn *delta_snapshot_txns(const DeltaSnapshot *s, Arena *arena, size_t *n)
{
    Map *newest = map_new();
    void *value;

    for (const DeltaCommitNode *node = s->tail; node != NULL; node = node->previous) {
        for (size_t i = node->commit->n_actions; i-- > 0;) {
            const DeltaAction *action = &node->commit->actions[i];
            if (action->kind == DELTA_ACTION_TXN && !map_has(newest, action->txn.app_id)) {
                map_put(newest, action->txn.app_id, (void *)(uintptr_t)&action->txn);
            }
        }
    }
    for (size_t i = 0; s->checkpoint != NULL && i < s->checkpoint->n_txns; i++) {
        const DeltaTxn *txn = &s->checkpoint->txns[i];
        if (!map_has(newest, txn->app_id)) {
            map_put(newest, txn->app_id, (void *)(uintptr_t)txn);
        }
    }
    DeltaTxn *txns = arena_alloc(arena, (map_count(newest) + 1) * sizeof *txns);
    *n = 0;
    for (size_t i = 0; map_next(newest, &i, NULL, &value);) {
        if (txn_counts(s, value)) {
            txns[(*n)++] = *(const DeltaTxn *)value;
        }
    }
    map_free(newest, NULL);
    return txns;
}

/* ---- the files ---- */

/* The overlay of the tail (with a JSON manifest's file actions below it); made once. */
static DeltaOverlay *overlay_of(DeltaSnapshot *s)
{
    pthread_mutex_lock(&s->lock);
    if (s->overlay == NULL) {
        DeltaOverlay *overlay = delta_overlay_new(s->table->duck, s->table->root);
        for (const DeltaCommitNode *node = s->tail; node != NULL; node = node->previous) {
            delta_overlay_apply(overlay, node->commit->actions, node->commit->n_actions);
        }
        if (s->checkpoint != NULL && s->checkpoint->n_inlined > 0) {
            delta_overlay_apply(overlay, s->checkpoint->inlined, s->checkpoint->n_inlined);
        }
        s->overlay = overlay;
    }
    DeltaOverlay *overlay = s->overlay;
    pthread_mutex_unlock(&s->lock);
    return overlay;
}

Status delta_snapshot_files_sql(const DeltaSnapshot *snapshot, Text *out, Error *err)
{
    DeltaOverlay *overlay = overlay_of((DeltaSnapshot *)(uintptr_t)snapshot);
    Text sql = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    if (snapshot->checkpoint != NULL) {
        delta_checkpoint_adds_sql(snapshot->checkpoint, overlay, &sql);
    }
    if (sql.length == 0 || delta_overlay_adds(overlay) > 0) {
        text_append(&sql, sql.length > 0 ? " UNION ALL " : "");
        delta_overlay_adds_sql(overlay, &sql);
    }
    text_append_n(out, text_str(&sql), sql.length);
    if (sql.overflow || out->overflow) {
        rc = error_set(err, E_LIMIT, "the list of checkpoint files is longer than a statement may be");
    }
    text_free(&sql);
    return rc;
}

void delta_snapshot_removes_sql(DeltaSnapshot *snapshot, Text *out)
{
    DeltaOverlay *overlay = overlay_of(snapshot);

    if (snapshot->checkpoint != NULL) {
        delta_checkpoint_removes_sql(snapshot->checkpoint, overlay, out);
    }
    if (delta_overlay_entries(overlay) > delta_overlay_adds(overlay)) {
        text_append(out, out->length > 0 ? " UNION ALL " : "");
        delta_overlay_removes_sql(overlay, out);
    }
}

/* All files are in memory: no need to ask DuckDB. */
static bool is_overlay_only(const DeltaSnapshot *s)
{
    return s->checkpoint == NULL || s->checkpoint->n_sources == 0;
}

Status delta_snapshot_totals(const DeltaSnapshot *snapshot, DuckConn *conn, int64_t *files, int64_t *bytes, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    int64_t numbers[2];
    Status rc = OK;

    if (is_overlay_only(snapshot)) {
        const DeltaOverlay *overlay = overlay_of((DeltaSnapshot *)(uintptr_t)snapshot);
        int64_t sum = 0;
        for (size_t i = 0; i < delta_overlay_adds(overlay); i++) {
            sum = delta_sum(sum, delta_overlay_add_at(overlay, i)->size);
        }
        *files = (int64_t)delta_overlay_adds(overlay);
        *bytes = sum;
        goto out;
    }
    text_append(&sql, "SELECT count(*), coalesce(least(sum(size), 9223372036854775807), 0)::BIGINT FROM (");
    TRY(delta_snapshot_files_sql(snapshot, &sql, err));
    text_append_char(&sql, ')');
    TRY(duck_query_numbers(conn, text_str(&sql), numbers, 2, err));
    *files = numbers[0];
    *bytes = numbers[1];
out:
    text_free(&sql);
    return rc;
}

/* numRecords counts what is in a file, its deletion vector what of that is gone. */
Status delta_snapshot_rows(const DeltaSnapshot *snapshot, DuckConn *conn, int64_t *rows, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    text_append(&sql, "SELECT CASE WHEN count(*) = count(n) THEN coalesce(sum(n - hidden), 0)::BIGINT ELSE -1 END FROM "
                      "(SELECT TRY_CAST(TRY(json_extract_string(stats, '$.numRecords')) AS BIGINT) AS n, "
                      "coalesce(dv.cardinality, 0) AS hidden FROM (");
    TRY(delta_snapshot_files_sql(snapshot, &sql, err));
    text_append(&sql, "))");
    TRY(duck_query_numbers(conn, text_str(&sql), rows, 1, err));
out:
    text_free(&sql);
    return rc;
}

/* ---- every file, one by one ---- */

static const char *text_at(const DuckResult *result, size_t column, Arena *arena)
{
    size_t n;
    const char *s = duck_result_text(result, column, &n);

    return s != NULL ? arena_strndup(arena, s, n) : NULL;
}

static int64_t number_at(const DuckResult *result, size_t column)
{
    return duck_result_is_null(result, column) ? -1 : duck_result_i64(result, column);
}

static Status pairs_from_json(const char *json, Arena *arena, DeltaFile *file, Error *err)
{
    JsonSource source = {.name = "partition values of a checkpoint"};
    json_t *map = NULL, *value;
    const char *key;
    Status rc = OK;

    TRY(json_parse_object(json, strlen(json), &source, &map, err));
    DeltaPair *pairs = arena_alloc(arena, (json_object_size(map) + 1) * sizeof *pairs);
    for (void *at = NULL; json_next(map, &at, &key, &value);) {
        pairs[file->n_partition_values].key = arena_strdup(arena, key);
        pairs[file->n_partition_values++].value = arena_strdup(arena, json_string_value(value));
    }
    file->partition_values = pairs;
out:
    json_decref(map);
    return rc;
}

/* A row of EACH_SQL as a value in `arena`. */
static Status file_from_row(const DuckResult *r, Arena *arena, DeltaFile *file, Error *err)
{
    Status rc = OK;

    *file = (DeltaFile){
        .path = text_at(r, 0, arena),
        .size = duck_result_i64(r, 2),
        .modification_time = duck_result_i64(r, 3),
        .stats = text_at(r, 4, arena),
        .base_row_id = number_at(r, 5),
        .default_row_commit_version = number_at(r, 6),
        .tags = text_at(r, 7, arena),
        .clustering_provider = text_at(r, 8, arena),
    };
    TRY(pairs_from_json(text_at(r, 1, arena), arena, file, err));
    const char *storage = text_at(r, 9, arena);
    if (storage != NULL) {
        DeltaDeletionVector *dv = arena_alloc(arena, sizeof *dv);
        dv->storage_type = storage[0];
        dv->path_or_inline = text_at(r, 10, arena);
        dv->has_offset = !duck_result_is_null(r, 11);
        dv->offset = dv->has_offset ? (int32_t)duck_result_i64(r, 11) : 0;
        dv->size_bytes = (int32_t)duck_result_i64(r, 12);
        dv->cardinality = duck_result_i64(r, 13);
        file->deletion_vector = dv;
    }
out:
    return rc;
}

static const char EACH_SQL[] =
    "SELECT path, to_json(partition_values)::VARCHAR, size, modification_time, stats, base_row_id, "
    "default_row_commit_version, tags, "
    "clustering_provider, dv.storage_type, dv.path_or_inline, dv.\"offset\", dv.size_bytes, dv.cardinality FROM (";

Status delta_snapshot_each_row(DuckConn *conn, const char *files, const char *where, DeltaFileCallback callback,
                               void *context, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    DuckResult *result = NULL;
    bool more;
    Status rc = OK;

    text_append(&sql, EACH_SQL);
    text_append(&sql, files);
    text_append_char(&sql, ')');
    text_append(&sql, where);
    TRY(duck_query_stream(conn, text_str(&sql), &result, err));
    for (;;) {
        TRY(duck_result_next(result, &more, err));
        if (!more) {
            break;
        }
        Arena *arena = arena_new();
        DeltaFile file;
        rc = file_from_row(result, arena, &file, err);
        if (rc == OK) {
            rc = callback(context, &file, err);
        }
        arena_free(arena);
        if (rc != OK) {
            goto out;
        }
    }
out:
    duck_result_free(result);
    text_free(&sql);
    return rc;
}

Status delta_snapshot_each_file(const DeltaSnapshot *snapshot, DuckConn *conn, DeltaFileCallback callback,
                                void *context, Error *err)
{
    Status rc = OK;
    Text sql = TEXT(TEXT_SQL_MAX);

    if (!is_overlay_only(snapshot)) {
        TRY(delta_snapshot_files_sql(snapshot, &sql, err));
        rc = delta_snapshot_each_row(conn, text_str(&sql), "", callback, context, err);
        goto out;
    }
    const DeltaOverlay *overlay = overlay_of((DeltaSnapshot *)(uintptr_t)snapshot);
    for (size_t i = 0; i < delta_overlay_adds(overlay); i++) {
        DeltaFile file = *delta_overlay_add_at(overlay, i);
        file.data_change = false;
        TRY(callback(context, &file, err));
    }
out:
    text_free(&sql);
    return rc;
}
