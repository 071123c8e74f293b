/* Writing checkpoints (reference 4.1, 4.3).
 *
 * One COPY of one SELECT: the small actions as literals, tombstones and adds straight from the snapshot's relations, so a million
 * files never pass through C. The struct columns are those Spark writes. The order of effects:
 *
 *     write under a hidden name -> sync -> count the adds in it -> take the name -> hint
 *
 * A crash leaves at most a hidden file. Two writers of one checkpoint write the same state: the second one gives up.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "delta/log/hint.h"
#include "delta/partition.h"
#include "delta/property_int.h"
#include "delta/table_int.h"
#include "delta/transaction.h"
#include "duck/parquet.h"

enum { NAME_BYTES_MAX = 1 << 16 };

#define MAP_SQL "MAP(VARCHAR, VARCHAR)"
#define CHECKPOINT_DV_SQL                                                                                       \
    "STRUCT(\"storageType\" VARCHAR, \"pathOrInlineDv\" VARCHAR, \"offset\" INTEGER, \"sizeInBytes\" INTEGER, " \
    "cardinality BIGINT)"

/* ---- small actions as literals ---- */

static void put_text(Text *sql, const char *value)
{
    if (value != NULL) {
        text_append_sql_string(sql, value);
    } else {
        text_append(sql, "NULL::VARCHAR");
    }
}

static void put_i64(Text *sql, int64_t value)
{
    if (value >= 0) {
        text_printf(sql, "%" PRId64 "::BIGINT", value);
    } else {
        text_append(sql, "NULL::BIGINT");
    }
}

static void put_pairs(Text *sql, const DeltaPair *pairs, size_t n)
{
    text_append(sql, "MAP {");
    for (size_t i = 0; i < n; i++) {
        text_append(sql, i > 0 ? ", " : "");
        text_append_sql_string(sql, pairs[i].key);
        text_append(sql, ": ");
        put_text(sql, pairs[i].value);
    }
    text_append(sql, "}::" MAP_SQL);
}

static void put_list(Text *sql, const char *const *list, size_t n, bool absent)
{
    text_append(sql, absent ? "NULL" : "[");
    for (size_t i = 0; !absent && i < n; i++) {
        text_append(sql, i > 0 ? ", " : "");
        text_append_sql_string(sql, list[i]);
    }
    text_append(sql, absent ? "::VARCHAR[]" : "]::VARCHAR[]");
}

static void put_protocol(const DeltaProtocol *p, Text *sql)
{
    text_printf(sql,
                "SELECT struct_pack(\"minReaderVersion\" := %d::INTEGER, \"minWriterVersion\" := %d::INTEGER, "
                "\"readerFeatures\" := ",
                p->min_reader, p->min_writer);
    put_list(sql, p->reader_features, p->n_reader_features, p->reader_features == NULL);
    text_append(sql, ", \"writerFeatures\" := ");
    put_list(sql, p->writer_features, p->n_writer_features, p->writer_features == NULL);
    text_append(sql, ") AS protocol");
}

static void put_metadata(const DeltaMetadata *m, Text *sql)
{
    text_append(sql, "SELECT struct_pack(id := ");
    put_text(sql, m->id);
    text_append(sql, ", \"name\" := ");
    put_text(sql, m->name);
    text_append(sql, ", description := ");
    put_text(sql, m->description);
    text_append(sql, ", format := struct_pack(provider := ");
    put_text(sql, m->provider);
    text_append(sql, ", options := ");
    put_text(sql, m->format_options);
    text_append(sql, "::JSON::" MAP_SQL "), \"schemaString\" := ");
    put_text(sql, m->schema_string);
    text_append(sql, ", \"partitionColumns\" := ");
    put_list(sql, m->partition_columns, m->n_partition_columns, false);
    text_append(sql, ", configuration := ");
    put_pairs(sql, m->configuration, m->n_configuration);
    text_append(sql, ", \"createdTime\" := ");
    put_i64(sql, m->created_time);
    text_append(sql, ") AS \"metaData\"");
}

/* A column that no row fills still has its type. */
static void put_empty_columns(Text *sql)
{
    text_append(
        sql, "SELECT NULL::STRUCT(\"appId\" VARCHAR, version BIGINT, \"lastUpdated\" BIGINT) AS txn, "
             "NULL::STRUCT(domain VARCHAR, configuration VARCHAR, removed BOOLEAN) AS \"domainMetadata\" WHERE false");
}

static void put_txns(const DeltaTxn *txns, size_t n, Text *sql)
{
    for (size_t i = 0; i < n; i++) {
        text_append(sql, i == 0 ? " UNION ALL BY NAME SELECT unnest([" : ", ");
        text_append(sql, "struct_pack(\"appId\" := ");
        put_text(sql, txns[i].app_id);
        text_printf(sql, ", version := (%" PRId64 ")::BIGINT, \"lastUpdated\" := ", txns[i].version);
        put_i64(sql, txns[i].last_updated);
        text_append_char(sql, ')');
    }
    text_append(sql, n > 0 ? "]) AS txn" : "");
}

static void put_domains(const DeltaDomain *domains, size_t n, Text *sql)
{
    for (size_t i = 0; i < n; i++) {
        text_append(sql, i == 0 ? " UNION ALL BY NAME SELECT unnest([" : ", ");
        text_append(sql, "struct_pack(domain := ");
        put_text(sql, domains[i].domain);
        text_append(sql, ", configuration := ");
        put_text(sql, domains[i].configuration);
        text_append(sql, ", removed := false)");
    }
    text_append(sql, n > 0 ? "]) AS \"domainMetadata\"" : "");
}

/* ---- statistics as a struct (delta.checkpoint.writeStatsAsStruct) ---- */

static bool has_bounds(DeltaTypeId id)
{
    return id != DELTA_BOOLEAN && id != DELTA_BINARY && id < DELTA_VARIANT;
}

/* Members of minValues and maxValues (`bounds`) or nullCount as from_json wants its structure; *left leaves may follow. */
static void put_stats_members(const DeltaSnapshot *s, const DeltaField *fields, size_t n, bool top, bool bounds,
                              bool mapped, int64_t *left, Text *out)
{
    bool first = true;

    for (size_t i = 0; i < n && *left != 0; i++) {
        const DeltaField *field = &fields[i];
        bool partition = false;
        for (size_t k = 0; top && k < s->metadata->n_partition_columns; k++) {
            partition = partition || str_ieq(s->metadata->partition_columns[k], field->name);
        }
        if (partition || field->type->id == DELTA_VOID) {
            continue;
        }
        Text value = TEXT(TEXT_SQL_MAX);
        if (field->type->id == DELTA_STRUCT) {
            put_stats_members(s, field->type->fields, field->type->n_fields, false, bounds, mapped, left, &value);
        } else {
            *left -= *left > 0;
            if (!bounds) {
                text_append(&value, "\"BIGINT\"");
            } else if (has_bounds(field->type->id)) {
                Text type = TEXT(NAME_BYTES_MAX);
                delta_type_sql(field->type, &type);
                text_append_json_string(&value, text_str(&type));
                text_free(&type);
            }
        }
        if (value.length > 0) {
            text_append_char(out, first ? '{' : ',');
            text_append_json_string(out, mapped ? field->physical_name : field->name);
            text_printf(out, ":%s", text_str(&value));
            first = false;
        }
        text_free(&value);
    }
    text_append(out, first ? "" : "}");
}

static void put_stats_structure(const DeltaSnapshot *s, Text *out)
{
    static const char *const BOUNDS[] = {"minValues", "maxValues", "nullCount"};
    bool mapped = strcmp(delta_property_text(s->metadata, "delta.columnMapping.mode"), "none") != 0;

    text_append(out, "{\"numRecords\":\"BIGINT\"");
    for (size_t i = 0; i < 3; i++) {
        int64_t left = delta_property_i64(s->metadata, "delta.dataSkippingNumIndexedCols");
        Text members = TEXT(TEXT_SQL_MAX);
        put_stats_members(s, s->schema->fields, s->schema->n_fields, true, i < 2, mapped, &left, &members);
        if (members.length > 0) {
            text_printf(out, ",\"%s\":%s", BOUNDS[i], text_str(&members));
        }
        text_free(&members);
    }
    text_append(out, ",\"tightBounds\":\"BOOLEAN\"}");
}

static void put_stats_parsed(const DeltaSnapshot *s, Text *sql)
{
    bool mapped = strcmp(delta_property_text(s->metadata, "delta.columnMapping.mode"), "none") != 0;
    Text structure = TEXT(TEXT_SQL_MAX), value = TEXT(NAME_BYTES_MAX);

    put_stats_structure(s, &structure);
    text_append(sql, ", stats_parsed := from_json(stats, ");
    text_append_sql_string(sql, text_str(&structure));
    text_append_char(sql, ')');
    for (size_t i = 0; i < s->metadata->n_partition_columns; i++) {
        const DeltaField *field = delta_schema_find(s->schema, s->metadata->partition_columns[i]);
        const char *name = mapped ? field->physical_name : field->name;
        text_append(sql, i == 0 ? ", \"partitionValues_parsed\" := struct_pack(" : ", ");
        text_append_sql_name(sql, name);
        text_append(sql, " := ");
        text_clear(&value);
        text_append(&value, "partition_values[");
        text_append_sql_string(&value, name);
        text_append_char(&value, ']');
        delta_partition_try_sql(field->type, text_str(&value), sql);
    }
    text_append(sql, s->metadata->n_partition_columns > 0 ? ")" : "");
    text_free(&structure);
    text_free(&value);
}

/* ---- files ---- */

static void put_dv(Text *sql)
{
    text_append(
        sql,
        "CASE WHEN dv IS NULL THEN NULL::" CHECKPOINT_DV_SQL " ELSE struct_pack(\"storageType\" := dv.storage_type, "
        "\"pathOrInlineDv\" := dv.path_or_inline, \"offset\" := dv.\"offset\", \"sizeInBytes\" := dv.size_bytes, "
        "cardinality := dv.cardinality)::" CHECKPOINT_DV_SQL " END");
}

static Status put_adds(const DeltaSnapshot *s, Text *sql, Error *err)
{
    bool as_struct = delta_property_bool(s->metadata, "delta.checkpoint.writeStatsAsStruct");
    bool as_json = delta_property_bool(s->metadata, "delta.checkpoint.writeStatsAsJson");
    Status rc = OK;

    text_append(
        sql,
        " UNION ALL BY NAME SELECT struct_pack(path := path, \"partitionValues\" := partition_values, size := size, "
        "\"modificationTime\" := modification_time, \"dataChange\" := false, tags := CASE WHEN tags IS NULL THEN NULL "
        "ELSE "
        "tags::JSON::" MAP_SQL " END, \"deletionVector\" := ");
    put_dv(sql);
    text_append(sql, ", \"baseRowId\" := base_row_id, \"defaultRowCommitVersion\" := default_row_commit_version, "
                     "\"clusteringProvider\" := clustering_provider");
    text_append(sql, as_json || !as_struct ? ", stats := stats" : "");
    if (as_struct) {
        put_stats_parsed(s, sql);
    }
    text_append(sql, ") AS \"add\" FROM (");
    TRY(delta_snapshot_files_sql(s, sql, err));
    text_append_char(sql, ')');
out:
    return rc;
}

/* Tombstones that are still young enough to matter to VACUUM and to readers of old snapshots. */
static void put_removes(DeltaSnapshot *s, Text *sql)
{
    int64_t oldest = clock_now_ms() - delta_property_ms(s->metadata, "delta.deletedFileRetentionDuration");
    Text removes = TEXT(TEXT_SQL_MAX);

    delta_snapshot_removes_sql(s, &removes);
    if (removes.length > 0) {
        text_append(
            sql,
            " UNION ALL BY NAME SELECT struct_pack(path := path, \"deletionTimestamp\" := deletion_timestamp, "
            "\"dataChange\" := data_change, \"extendedFileMetadata\" := extended_metadata, \"partitionValues\" := "
            "CASE WHEN extended_metadata THEN partition_values END, size := CASE WHEN extended_metadata THEN size END, "
            "\"deletionVector\" := ");
        put_dv(sql);
        text_printf(
            sql,
            ", \"baseRowId\" := base_row_id, \"defaultRowCommitVersion\" := default_row_commit_version) AS remove "
            "FROM (%s) WHERE deletion_timestamp > %" PRId64,
            text_str(&removes), oldest);
    }
    text_free(&removes);
}

/* ---- the file ---- */

typedef struct Writer {
    DeltaSnapshot *snapshot;
    DuckConn *conn;
    Arena *arena;
    bool v2;
    char uuid[UUID_TEXT];
    Text temp, name; /* keys: the hidden file, the checkpoint */
    ParquetFile *file;
    int64_t adds;
} Writer;

static Status make_query(Writer *w, Text *sql, Error *err)
{
    DeltaSnapshot *s = w->snapshot;
    size_t n;
    Status rc = OK;

    put_empty_columns(sql);
    text_append(sql, " UNION ALL BY NAME ");
    put_protocol(s->protocol, sql);
    text_append(sql, " UNION ALL BY NAME ");
    put_metadata(s->metadata, sql);
    if (w->v2) {
        text_printf(sql,
                    " UNION ALL BY NAME SELECT struct_pack(version := %" PRId64 "::BIGINT, tags := NULL::" MAP_SQL
                    ") AS \"checkpointMetadata\"",
                    s->version);
    }
    const DeltaTxn *txns = delta_snapshot_txns(s, w->arena, &n);
    put_txns(txns, n, sql);
    put_domains(s->domains, s->n_domains, sql);
    put_removes(s, sql);
    TRY(put_adds(s, sql, err));
    if (sql->overflow) {
        rc = error_set(err, E_LIMIT, "the statement that writes a checkpoint is longer than %d bytes", TEXT_SQL_MAX);
    }
out:
    return rc;
}

static void make_name(Writer *w)
{
    char name[DELTA_LOG_NAME_MAX];

    uuid_text(w->uuid);
    if (w->v2) {
        text_printf(&w->name, "%s/%020" PRId64 ".checkpoint.%s.parquet", DELTA_LOG_DIR, w->snapshot->version, w->uuid);
    } else {
        delta_log_checkpoint_name(w->snapshot->version, name);
        text_append(&w->name, name);
    }
}

static Status write_file(Writer *w, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX), folder = TEXT(NAME_BYTES_MAX);
    ParquetWrite write = {.prefix = ".checkpoint-", .codec = "snappy"};
    size_t n = 0;
    Status rc = OK;

    TRY(make_query(w, &sql, err));
    TRY(store_local_path(w->snapshot->table->store, DELTA_LOG_DIR, &folder, err));
    write.query = text_str(&sql);
    write.folder = text_str(&folder);
    TRY(parquet_write(w->conn, &write, w->arena, &w->file, &n, err));
    if (n != 1) {
        rc = error_set(err, E_INTERNAL, "a checkpoint became %zu files", n);
        goto out;
    }
    text_printf(&w->temp, "%s/%s", DELTA_LOG_DIR, strrchr(w->file->path, '/') + 1);
    TRY(store_sync(w->snapshot->table->store, text_str(&w->temp), err));
out:
    text_free(&sql);
    text_free(&folder);
    return rc;
}

/* A checkpoint with fewer adds than the table has would lose files for good: count before anyone can see it. */
static Status verify_file(Writer *w, Error *err)
{
    Text sql = TEXT(NAME_BYTES_MAX), path = TEXT(NAME_BYTES_MAX);
    DuckResult *result = NULL;
    int64_t files, bytes;
    bool more;
    Status rc = OK;

    parquet_escape_glob(&path, w->file->path);
    text_append(&sql, "SELECT count(c.\"add\".path), count(c.protocol.\"minReaderVersion\"), count(c.\"metaData\".id) "
                      "FROM read_parquet(");
    text_append_sql_string(&sql, text_str(&path));
    text_append(&sql, ", hive_partitioning=false) AS c");
    TRY(duck_query(w->conn, text_str(&sql), &result, err));
    TRY(duck_result_next(result, &more, err));
    TRY(delta_snapshot_totals(w->snapshot, w->conn, &files, &bytes, err));
    w->adds = duck_result_i64(result, 0);
    if (w->adds != files || duck_result_i64(result, 1) != 1 || duck_result_i64(result, 2) != 1) {
        rc = error_set(err, E_INTERNAL,
                       "the checkpoint holds %" PRId64 " files, the table %" PRId64 "; it is thrown away", w->adds,
                       files);
    }
out:
    duck_result_free(result);
    text_free(&sql);
    text_free(&path);
    return rc;
}

/* The hint never goes back to an older checkpoint. */
static Status write_hint(Writer *w, Error *err)
{
    Store *store = w->snapshot->table->store;
    DeltaHint hint = {.version = w->snapshot->version, .size = w->file->rows, .bytes = w->file->bytes, .adds = w->adds};
    StoreInfo info;
    int64_t hinted;
    Status rc = OK;

    TRY(delta_hint_read(store, &hinted, err));
    if (hinted > hint.version) {
        goto out;
    }
    TRY(store_info(store, text_str(&w->name), &info, err));
    hint.bytes = info.size;
    if (w->v2) {
        hint.v2_name = strrchr(text_str(&w->name), '/') + 1;
        hint.v2_mtime_ms = info.mtime_ms;
    }
    TRY(delta_hint_write(store, &hint, err));
out:
    return rc;
}

static Status publish(Writer *w, bool *published, Error *err)
{
    Error failed = ERROR_NONE;
    Status rc = store_rename_no_replace(w->snapshot->table->store, text_str(&w->temp), text_str(&w->name), &failed);

    *published = rc == OK;
    if (rc == ERR_EXISTS) {
        log_debug("%s: somebody else wrote %s", delta_table_uri(w->snapshot->table), text_str(&w->name));
        return OK;
    }
    if (rc != OK && err != NULL) {
        *err = failed;
    }
    return rc;
}

Status delta_checkpoint_write(DeltaSnapshot *snapshot, DuckConn *conn, Error *err)
{
    Writer w = {.snapshot = snapshot,
                .conn = conn,
                .arena = arena_new(),
                .temp = TEXT(NAME_BYTES_MAX),
                .name = TEXT(NAME_BYTES_MAX)};
    bool published = false;
    Status rc = OK;

    w.v2 = strcmp(delta_property_text(snapshot->metadata, "delta.checkpointPolicy"), "v2") == 0 &&
           delta_protocol_supports(snapshot->protocol, "v2Checkpoint");
    make_name(&w);
    TRY(delta_protocol_check_write(snapshot->protocol, delta_table_uri(snapshot->table), err));
    TRY(failpoint(FP_DELTA_CHECKPOINT_BEFORE_WRITE, err));
    TRY(write_file(&w, err));
    TRY(verify_file(&w, err));
    TRY(failpoint(FP_DELTA_CHECKPOINT_AFTER_WRITE, err));
    TRY(publish(&w, &published, err));
    if (published) {
        TRY(failpoint(FP_DELTA_CHECKPOINT_AFTER_PUBLISH, err));
        TRY(write_hint(&w, err));
        TRY(failpoint(FP_DELTA_CHECKPOINT_AFTER_HINT, err));
    }
out:
    if (!published && w.temp.length > 0) {
        (void)store_delete(snapshot->table->store, text_str(&w.temp), NULL);
    }
    if (rc != OK) {
        error_context(err, "writing checkpoint %" PRId64 " of %s", snapshot->version, delta_table_uri(snapshot->table));
    }
    text_free(&w.temp);
    text_free(&w.name);
    arena_free(w.arena);
    return rc;
}
