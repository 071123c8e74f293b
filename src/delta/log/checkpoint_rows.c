/* The rows of checkpoints as SQL: small actions as literals, tombstones and adds straight from the snapshot's
 * relations, so a million files never pass through C. The struct columns are those Spark writes. */
#include "delta/log/checkpoint_int.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "delta/partition.h"
#include "delta/property_int.h"
#include "delta/table_int.h"

enum { NAME_BYTES_MAX = 1 << 16 };

#define MAP_SQL "MAP(VARCHAR, VARCHAR)"
#define CHECKPOINT_DV_SQL                                                                                       \
    "STRUCT(\"storageType\" VARCHAR, \"pathOrInlineDv\" VARCHAR, \"offset\" INTEGER, \"sizeInBytes\" INTEGER, " \
    "cardinality BIGINT)"

/* ---- small actions as literals ---- */

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
        text_append_sql_value(sql, pairs[i].value);
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
    text_append_sql_value(sql, m->id);
    text_append(sql, ", \"name\" := ");
    text_append_sql_value(sql, m->name);
    text_append(sql, ", description := ");
    text_append_sql_value(sql, m->description);
    text_append(sql, ", format := struct_pack(provider := ");
    text_append_sql_value(sql, m->provider);
    text_append(sql, ", options := ");
    text_append_sql_value(sql, m->format_options);
    text_append(sql, "::JSON::" MAP_SQL "), \"schemaString\" := ");
    text_append_sql_value(sql, m->schema_string);
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
        text_append_sql_value(sql, txns[i].app_id);
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
        text_append_sql_value(sql, domains[i].domain);
        text_append(sql, ", configuration := ");
        text_append_sql_value(sql, domains[i].configuration);
        text_append(sql, ", removed := false)");
    }
    text_append(sql, n > 0 ? "]) AS \"domainMetadata\"" : "");
}

/* ---- statistics as a struct (delta.checkpoint.writeStatsAsStruct) ---- */

static bool has_bounds(DeltaTypeId id)
{
    return id != DELTA_BOOLEAN && id != DELTA_BINARY && id < DELTA_VARIANT;
}

/* The structure of minValues, maxValues or nullCount, while it is written. */
typedef struct StatsMembers {
    const DeltaSnapshot *snapshot;
    bool bounds;  /* values of the columns' types; otherwise counts */
    bool mapped;  /* members have physical names */
    int64_t left; /* leaves that may follow; below 0: any number */
} StatsMembers;

/* Appends the fields as from_json wants its structure; `top`: they are the table's columns. */
static void put_stats_members(StatsMembers *m, const DeltaField *fields, size_t n, bool top, Text *out)
{
    const DeltaMetadata *metadata = m->snapshot->metadata;
    bool first = true;

    for (size_t i = 0; i < n && m->left != 0; i++) {
        const DeltaField *field = &fields[i];
        bool partition = false;
        for (size_t k = 0; top && k < metadata->n_partition_columns; k++) {
            partition = partition || str_ieq(metadata->partition_columns[k], field->name);
        }
        if (partition || field->type->id == DELTA_VOID) {
            continue;
        }
        Text value = TEXT(TEXT_SQL_MAX);
        if (field->type->id == DELTA_STRUCT) {
            put_stats_members(m, field->type->fields, field->type->n_fields, false, &value);
        } else {
            m->left -= m->left > 0;
            if (!m->bounds) {
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
            text_append_json_string(out, m->mapped ? field->physical_name : field->name);
            text_printf(out, ":%s", text_str(&value));
            first = false;
        }
        text_free(&value);
    }
    text_append(out, first ? "" : "}");
}

static void put_stats_structure(const DeltaSnapshot *s, Text *out)
{
    static const struct {
        const char *name;
        bool bounds;
    } PARTS[] = {{"minValues", true}, {"maxValues", true}, {"nullCount", false}};

    text_append(out, "{\"numRecords\":\"BIGINT\"");
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
        StatsMembers m = {.snapshot = s,
                          .bounds = PARTS[i].bounds,
                          .mapped = strcmp(delta_property_text(s->metadata, "delta.columnMapping.mode"), "none") != 0,
                          .left = delta_property_i64(s->metadata, "delta.dataSkippingNumIndexedCols")};
        Text members = TEXT(TEXT_SQL_MAX);
        put_stats_members(&m, s->schema->fields, s->schema->n_fields, true, &members);
        if (members.length > 0) {
            text_printf(out, ",\"%s\":%s", PARTS[i].name, text_str(&members));
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
        "SELECT struct_pack(path := path, \"partitionValues\" := partition_values, size := size, "
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

Status delta_checkpoint_file_rows(DeltaSnapshot *snapshot, Text *sql, Error *err)
{
    Status rc = OK;

    TRY(put_adds(snapshot, sql, err));
    put_removes(snapshot, sql);
out:
    return rc;
}

/* ---- all but the files ---- */

static void put_v2(int64_t version, const DeltaFile *sidecars, size_t n, Text *sql)
{
    text_printf(sql,
                " UNION ALL BY NAME SELECT struct_pack(version := %" PRId64 "::BIGINT, tags := NULL::" MAP_SQL
                ") AS \"checkpointMetadata\"",
                version);
    for (size_t i = 0; i < n; i++) {
        text_append(sql, i == 0 ? " UNION ALL BY NAME SELECT unnest([" : ", ");
        text_append(sql, "struct_pack(path := ");
        text_append_sql_value(sql, sidecars[i].path);
        text_append(sql, ", \"sizeInBytes\" := ");
        put_i64(sql, sidecars[i].size);
        text_append(sql, ", \"modificationTime\" := ");
        put_i64(sql, sidecars[i].modification_time);
        text_append(sql, ", tags := NULL::" MAP_SQL ")");
    }
    text_append(sql, n > 0 ? "]) AS sidecar" : "");
}

void delta_checkpoint_small_rows(const DeltaSnapshot *snapshot, bool v2, const DeltaFile *sidecars, size_t n_sidecars,
                                 Text *sql)
{
    Arena *arena = arena_new();
    size_t n;

    put_empty_columns(sql);
    text_append(sql, " UNION ALL BY NAME ");
    put_protocol(snapshot->protocol, sql);
    text_append(sql, " UNION ALL BY NAME ");
    put_metadata(snapshot->metadata, sql);
    const DeltaTxn *txns = delta_snapshot_txns(snapshot, arena, &n);
    put_txns(txns, n, sql);
    put_domains(snapshot->domains, snapshot->n_domains, sql);
    if (v2) {
        put_v2(snapshot->version, sidecars, n_sidecars, sql);
    }
    arena_free(arena);
}
