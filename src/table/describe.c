/* DESCRIBE, SHOW TBLPROPERTIES and SHOW CREATE TABLE as queries over constants. */
#include "table/describe.h"

#include <string.h>

#include "base/json.h"
#include "delta/clustering.h"
#include "delta/transaction.h"

/* ---- SQL literals ---- */

static void literal_time(Text *sql, int64_t ms)
{
    if (ms < 0) {
        text_append(sql, "NULL::TIMESTAMPTZ");
    } else {
        text_printf(sql, "make_timestamptz(%lld)", (long long)ms * 1000);
    }
}

static void literal_list(Text *sql, const char *const *items, size_t n)
{
    text_append(sql, "[");
    for (size_t i = 0; i < n; i++) {
        text_append(sql, i == 0 ? "" : ", ");
        text_append_sql_string(sql, items[i]);
    }
    text_append(sql, "]::VARCHAR[]");
}

static void literal_pairs(Text *sql, const DeltaPair *pairs, size_t n)
{
    text_append(sql, "MAP {");
    for (size_t i = 0; i < n; i++) {
        text_append(sql, i == 0 ? "" : ", ");
        text_append_sql_string(sql, pairs[i].key);
        text_append(sql, ": ");
        text_append_sql_value(sql, pairs[i].value);
    }
    text_append(sql, "}::MAP(VARCHAR, VARCHAR)");
}

/* A value of commitInfo as text: strings as they are, everything else as JSON; NULL when absent. */
static Status json_field_text(const json_t *info, const char *key, Text *out, bool *present, Error *err)
{
    const json_t *value = json_object_get(info, key);

    *present = value != NULL && !json_is_null(value);
    if (!*present) {
        return OK;
    }
    if (json_is_string(value)) {
        text_append(out, json_string_value(value));
        return OK;
    }
    return json_dump_text(value, out, err);
}

/* ---- history ---- */

/* The columns of DESCRIBE HISTORY that come straight from commitInfo, and how each is cast. */
static const struct HistoryColumn {
    const char *name, *key, *type;
} HISTORY_COLUMNS[] = {
    {"userId", "userId", "VARCHAR"},
    {"userName", "userName", "VARCHAR"},
    {"operation", "operation", "VARCHAR"},
    {"operationParameters", "operationParameters", "JSON"},
    {"job", "job", "JSON"},
    {"notebook", "notebook", "JSON"},
    {"clusterId", "clusterId", "VARCHAR"},
    {"readVersion", "readVersion", "BIGINT"},
    {"isolationLevel", "isolationLevel", "VARCHAR"},
    {"isBlindAppend", "isBlindAppend", "BOOLEAN"},
    {"operationMetrics", "operationMetrics", "JSON"},
    {"userMetadata", "userMetadata", "VARCHAR"},
    {"engineInfo", "engineInfo", "VARCHAR"},
};
enum { HISTORY_COLUMN_COUNT = sizeof HISTORY_COLUMNS / sizeof *HISTORY_COLUMNS };

typedef struct HistoryRows {
    Text *sql;
    size_t n;
} HistoryRows;

static Status history_row(void *context, int64_t version, int64_t timestamp, const DeltaCommitInfo *info, Error *err)
{
    Status rc = OK;
    HistoryRows *rows = context;
    json_t *object = NULL;
    Text value = TEXT(64 << 20);
    JsonSource source = {.name = "commitInfo"};

    TRY(json_parse_object(info->json, strlen(info->json), &source, &object, err));
    text_append(rows->sql, rows->n++ == 0 ? "(" : ", (");
    text_printf(rows->sql, "%lld, ", (long long)version);
    literal_time(rows->sql, timestamp);
    for (size_t i = 0; i < HISTORY_COLUMN_COUNT; i++) {
        bool present = false;
        text_clear(&value);
        TRY(json_field_text(object, HISTORY_COLUMNS[i].key, &value, &present, err));
        text_append(rows->sql, ", ");
        text_append_sql_value(rows->sql, present ? text_str(&value) : NULL);
    }
    text_append(rows->sql, ")");
out:
    json_decref(object);
    text_free(&value);
    return rc;
}

Status table_history_sql(DeltaTable *table, int64_t limit, Text *sql, Error *err)
{
    Status rc = OK;
    Text values = TEXT(TEXT_SQL_MAX);
    HistoryRows rows = {.sql = &values};

    TRY(delta_table_history(table, limit, history_row, &rows, err));
    text_append(sql, "SELECT version, \"timestamp\"");
    for (size_t i = 0; i < HISTORY_COLUMN_COUNT; i++) {
        const struct HistoryColumn *c = &HISTORY_COLUMNS[i];
        /* Other writers are free to put anything there: what does not fit is NULL. */
        text_printf(sql, ", TRY_CAST(c%zu AS %s) AS \"%s\"", i, c->type, c->name);
    }
    if (rows.n == 0) { /* LIMIT 0 */
        text_append(sql, " FROM (SELECT 0 AS version, NULL::TIMESTAMPTZ AS \"timestamp\"");
        for (size_t i = 0; i < HISTORY_COLUMN_COUNT; i++) {
            text_printf(sql, ", NULL::VARCHAR AS c%zu", i);
        }
        text_append(sql, ") WHERE false");
        goto out;
    }
    text_printf(sql, " FROM (VALUES %s) AS t(version, \"timestamp\"", text_str(&values));
    for (size_t i = 0; i < HISTORY_COLUMN_COUNT; i++) {
        text_printf(sql, ", c%zu", i);
    }
    text_append(sql, ")");
out:
    text_free(&values);
    return rc;
}

/* ---- detail, properties, definition ---- */

static void append_features(Text *sql, const DeltaProtocol *protocol)
{
    size_t n = 0;

    text_append(sql, "list_sort(list_distinct([");
    for (size_t i = 0; i < protocol->n_reader_features; i++) {
        text_append(sql, n++ == 0 ? "" : ", ");
        text_append_sql_string(sql, protocol->reader_features[i]);
    }
    for (size_t i = 0; i < protocol->n_writer_features; i++) {
        text_append(sql, n++ == 0 ? "" : ", ");
        text_append_sql_string(sql, protocol->writer_features[i]);
    }
    text_append(sql, "]::VARCHAR[]))");
}

Status table_detail_sql(DeltaTable *table, DuckConn *conn, Text *sql, Error *err)
{
    Status rc = OK;
    DeltaSnapshot *snapshot = NULL;
    int64_t files = 0, bytes = 0;

    TRY(delta_table_snapshot(table, conn, &snapshot, err));
    TRY(delta_snapshot_totals(snapshot, conn, &files, &bytes, err));
    const DeltaMetadata *metadata = delta_snapshot_metadata(snapshot);
    const DeltaProtocol *protocol = delta_snapshot_protocol(snapshot);
    text_append(sql, "SELECT 'delta' AS \"format\", ");
    text_append_sql_value(sql, metadata->id);
    text_append(sql, " AS id, ");
    text_append_sql_value(sql, metadata->name);
    text_append(sql, " AS name, ");
    text_append_sql_value(sql, metadata->description);
    text_append(sql, " AS description, ");
    text_append_sql_value(sql, delta_table_uri(table));
    text_append(sql, " AS \"location\", ");
    literal_time(sql, metadata->created_time);
    text_append(sql, " AS \"createdAt\", ");
    literal_time(sql, delta_snapshot_timestamp(snapshot));
    text_append(sql, " AS \"lastModified\", ");
    literal_list(sql, metadata->partition_columns, metadata->n_partition_columns);
    text_printf(sql, " AS \"partitionColumns\", %lld AS \"numFiles\", %lld AS \"sizeInBytes\", ", (long long)files,
                (long long)bytes);
    literal_pairs(sql, metadata->configuration, metadata->n_configuration);
    text_printf(sql, " AS properties, %d AS \"minReaderVersion\", %d AS \"minWriterVersion\", ", protocol->min_reader,
                protocol->min_writer);
    append_features(sql, protocol);
    text_printf(sql, " AS \"tableFeatures\", %lld AS version", (long long)delta_snapshot_version(snapshot));
out:
    delta_snapshot_unref(snapshot);
    return rc;
}

Status table_properties_sql(DeltaTable *table, DuckConn *conn, Text *sql, Error *err)
{
    Status rc = OK;
    DeltaSnapshot *snapshot = NULL;

    TRY(delta_table_snapshot(table, conn, &snapshot, err));
    const DeltaMetadata *metadata = delta_snapshot_metadata(snapshot);
    const DeltaProtocol *protocol = delta_snapshot_protocol(snapshot);
    text_printf(sql,
                "SELECT key, value FROM (SELECT unnest(map_entries(map_concat(MAP {'delta.minReaderVersion': '%d', "
                "'delta.minWriterVersion': '%d'}, ",
                protocol->min_reader, protocol->min_writer);
    literal_pairs(sql, metadata->configuration, metadata->n_configuration);
    text_append(sql, ")), recursive := true)) ORDER BY key");
out:
    delta_snapshot_unref(snapshot);
    return rc;
}

/* GENERATED ... AS IDENTITY (START WITH a INCREMENT BY b) */
static void append_identity(Text *ddl, const json_t *metadata)
{
    int64_t start = 1, step = 1;
    bool by_default = false;

    if (json_opt_i64(metadata, "delta.identity.start", &start, NULL) == OK &&
        json_opt_i64(metadata, "delta.identity.step", &step, NULL) == OK &&
        json_opt_bool(metadata, "delta.identity.allowExplicitInsert", &by_default, NULL) == OK) {
        text_printf(ddl, " GENERATED %s AS IDENTITY (START WITH %lld INCREMENT BY %lld)",
                    by_default ? "BY DEFAULT" : "ALWAYS", (long long)start, (long long)step);
    }
}

static void append_options(Text *ddl, const DeltaField *field)
{
    JsonSource source = {.name = "the metadata of a column"};
    json_t *metadata = NULL;
    const char *generated = NULL, *value = NULL, *comment = NULL;

    text_append(ddl, field->nullable ? "" : " NOT NULL");
    if (json_parse_object(field->metadata, strlen(field->metadata), &source, &metadata, NULL) != OK) {
        return;
    }
    if (json_opt_string(metadata, "delta.generationExpression", &generated, NULL) == OK && generated != NULL) {
        text_printf(ddl, " GENERATED ALWAYS AS (%s)", generated);
    }
    if (json_has(metadata, "delta.identity.start")) {
        append_identity(ddl, metadata);
    }
    if (json_opt_string(metadata, "CURRENT_DEFAULT", &value, NULL) == OK && value != NULL) {
        text_printf(ddl, " DEFAULT %s", value);
    }
    if (json_opt_string(metadata, "comment", &comment, NULL) == OK && comment != NULL) {
        text_append(ddl, " COMMENT ");
        text_append_sql_string(ddl, comment);
    }
    json_decref(metadata);
}

static void append_columns(Text *ddl, const DeltaSchema *schema)
{
    for (size_t i = 0; i < schema->n_fields; i++) {
        const DeltaField *field = &schema->fields[i];
        text_append(ddl, i == 0 ? "\n  " : ",\n  ");
        text_append_sql_name(ddl, field->name);
        text_append_char(ddl, ' ');
        delta_type_sql(field->type, ddl);
        append_options(ddl, field);
    }
}

static void append_clauses(Text *ddl, const DeltaSnapshot *snapshot)
{
    const DeltaMetadata *metadata = delta_snapshot_metadata(snapshot);
    Text clustering = TEXT(1 << 20);
    size_t n = 0;

    for (size_t i = 0; i < metadata->n_partition_columns; i++) {
        text_append(ddl, i == 0 ? "\nPARTITIONED BY (" : ", ");
        text_append_sql_name(ddl, metadata->partition_columns[i]);
    }
    text_append(ddl, metadata->n_partition_columns > 0 ? ")" : "");
    delta_clustering_names(snapshot, &clustering);
    if (clustering.length > 0) {
        text_printf(ddl, "\nCLUSTER BY (%s)", text_str(&clustering));
    }
    if (metadata->description != NULL && metadata->description[0] != '\0') {
        text_append(ddl, "\nCOMMENT ");
        text_append_sql_string(ddl, metadata->description);
    }
    for (size_t i = 0; i < metadata->n_configuration; i++) {
        if (!delta_property_is_free(metadata->configuration[i].key)) {
            continue; /* writers keep it; nobody sets it */
        }
        text_append(ddl, n++ == 0 ? "\nTBLPROPERTIES (" : ",\n  ");
        text_append_sql_string(ddl, metadata->configuration[i].key);
        text_append(ddl, " = ");
        text_append_sql_value(ddl, metadata->configuration[i].value);
    }
    text_append(ddl, n > 0 ? ")" : "");
    text_free(&clustering);
}

Status table_definition_sql(DeltaTable *table, DuckConn *conn, const char *name, Text *sql, Error *err)
{
    Status rc = OK;
    DeltaSnapshot *snapshot = NULL;
    Text ddl = TEXT(16 << 20);

    TRY(delta_table_snapshot(table, conn, &snapshot, err));
    text_printf(&ddl, "CREATE TABLE %s (", name);
    append_columns(&ddl, delta_snapshot_schema(snapshot));
    text_append(&ddl, "\n)\nUSING DELTA");
    append_clauses(&ddl, snapshot);
    text_append(&ddl, "\nLOCATION ");
    text_append_sql_string(&ddl, delta_table_uri(table));
    text_append(sql, "SELECT ");
    text_append_sql_string(sql, text_str(&ddl));
    text_append(sql, " AS createtab_stmt");
out:
    delta_snapshot_unref(snapshot);
    text_free(&ddl);
    return rc;
}

/* ---- DESCRIBE TABLE ---- */

static void column_row(Text *sql, const char *name, const char *type, const char *comment)
{
    text_append(sql, sql->length > 0 ? ", (" : "(");
    text_append_sql_value(sql, name);
    text_append(sql, ", ");
    text_append_sql_value(sql, type);
    text_append(sql, ", ");
    text_append_sql_value(sql, comment);
    text_append(sql, ")");
}

/* The type as Spark's SQL spells it. */
static void spark_type(const DeltaType *type, Text *out)
{
    static const char *const NAMES[] = {
        [DELTA_BYTE] = "tinyint", [DELTA_SHORT] = "smallint", [DELTA_INTEGER] = "int", [DELTA_LONG] = "bigint"};
    static const char *const NESTED[] = {[DELTA_STRUCT] = "struct", [DELTA_ARRAY] = "array", [DELTA_MAP] = "map"};

    if (type->id >= DELTA_BYTE && type->id <= DELTA_LONG) {
        text_append(out, NAMES[type->id]);
    } else if (type->id != DELTA_STRUCT && type->id != DELTA_ARRAY && type->id != DELTA_MAP) {
        delta_type_name(type, out);
    } else {
        text_printf(out, "%s<", NESTED[type->id]);
        for (size_t i = 0; i < type->n_fields; i++) {
            text_printf(out, "%s%s%s", i > 0 ? "," : "", type->id == DELTA_STRUCT ? type->fields[i].name : "",
                        type->id == DELTA_STRUCT ? ":" : "");
            spark_type(type->fields[i].type, out);
        }
        text_append_char(out, '>');
    }
}

static void field_row(Text *sql, const DeltaField *field)
{
    JsonSource source = {.name = "the metadata of a column"};
    json_t *metadata = NULL;
    const char *comment = NULL;
    Text type = TEXT(1 << 20);

    spark_type(field->type, &type);
    if (json_parse_object(field->metadata, strlen(field->metadata), &source, &metadata, NULL) == OK) {
        (void)json_opt_string(metadata, "comment", &comment, NULL);
    }
    column_row(sql, field->name, text_str(&type), comment);
    json_decref(metadata);
    text_free(&type);
}

static void properties_row(Text *sql, const DeltaMetadata *metadata)
{
    Text list = TEXT(1 << 20);

    text_append_char(&list, '[');
    for (size_t i = 0; i < metadata->n_configuration; i++) {
        text_printf(&list, "%s%s=%s", i > 0 ? "," : "", metadata->configuration[i].key,
                    metadata->configuration[i].value != NULL ? metadata->configuration[i].value : "");
    }
    text_append_char(&list, ']');
    column_row(sql, "Table Properties", text_str(&list), "");
    text_free(&list);
}

Status table_columns_sql(DeltaTable *table, DuckConn *conn, const char *name, bool extended, Text *sql, Error *err)
{
    Status rc = OK;
    DeltaSnapshot *snapshot = NULL;
    Text rows = TEXT(16 << 20), clustering = TEXT(1 << 20);

    TRY(delta_table_snapshot(table, conn, &snapshot, err));
    const DeltaMetadata *metadata = delta_snapshot_metadata(snapshot);
    const DeltaSchema *schema = delta_snapshot_schema(snapshot);
    for (size_t i = 0; i < schema->n_fields; i++) {
        field_row(&rows, &schema->fields[i]);
    }
    for (size_t i = 0; i < metadata->n_partition_columns; i++) {
        if (i == 0) {
            column_row(&rows, "# Partition Information", "", "");
            column_row(&rows, "# col_name", "data_type", "comment");
        }
        field_row(&rows, delta_schema_find(schema, metadata->partition_columns[i]));
    }
    delta_clustering_names(snapshot, &clustering);
    if (clustering.length > 0) {
        column_row(&rows, "# Clustering Information", text_str(&clustering), "");
    }
    if (extended) {
        column_row(&rows, "", "", "");
        column_row(&rows, "# Detailed Table Information", "", "");
        column_row(&rows, "Name", name, "");
        column_row(&rows, "Comment", metadata->description != NULL ? metadata->description : "", "");
        column_row(&rows, "Location", delta_table_uri(table), "");
        column_row(&rows, "Provider", "delta", "");
        properties_row(&rows, metadata);
    }
    text_printf(sql, "SELECT * FROM (VALUES %s) AS t(col_name, data_type, \"comment\")", text_str(&rows));
out:
    delta_snapshot_unref(snapshot);
    text_free(&rows);
    text_free(&clustering);
    return rc;
}
