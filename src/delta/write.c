/* A query's rows as data files.
 *
 *     query                                            what the caller wrote
 *     SELECT casts AS columns FROM (query)             the table's columns, in its order (delta_schema_reconcile)
 *     SELECT *, checks AS freshet_ok FROM (...)        only for tables with checks; a projection of volatile functions is
 *                                                      a barrier: DuckDB moves no filter of the query across it
 *     SELECT stored columns FROM (...) WHERE freshet_ok
 *     COPY (...) TO folder
 *
 * Stored columns have physical names; void ones are left out; partition columns are texts in the log's form, which
 * DuckDB turns into folders and leaves out of the files. Tables that want them in the files get the texts as further
 * columns.
 *
 * A variant is stored as its two binaries, the form of the Delta protocol that every reader of variants takes. DuckDB's
 * own writer would shred it, which needs a table feature, would write NULL as a variant null, and takes no variant
 * inside of another column. Keys have to be sorted in the bytes, which is what normalizing does.
 *
 * Partitioned rows are sorted by partition: unsorted, DuckDB would make several files per value as soon as there are
 * more than a hundred values (3 M rows, 1,000 values: 5,505 files and 10.4 CPU seconds against 1,011 and 3.1; with 10
 * values sorting costs 7 %).
 *
 * The files are durable before the transaction hears of them. After a failure they are removed; after a crash they are
 * orphans that no version names.
 */
#include "delta/write.h"

#include <string.h>

#include "base/failpoint.h"
#include "delta/column_default.h"
#include "delta/constraint.h"
#include "delta/iceberg_compat.h"
#include "delta/partition.h"
#include "delta/schema_int.h"
#include "delta/stats.h"
#include "duck/parquet.h"

#define CHANGE_TYPE   "_change_type"
#define CHANGE_FOLDER "_change_data"

typedef struct Write {
    DeltaTransaction *txn;
    DeltaTable *table;
    DuckConn *conn;
    Arena *arena;
    const char *query;         /* the caller's */
    const DeltaSchema *schema; /* as it will be */
    const char *const *partition_columns;
    size_t n_partition_columns;
    bool mapped;      /* column mapping: physical names and field ids */
    bool materialize; /* partition columns are in the files too */
    bool change_data; /* rows have a column _change_type and become cdc files */
    bool moves_rows;  /* they were in the table before */
    bool row_ids;     /* rows may bring their ids: DELTA_ROW_ID, DELTA_ROW_VERSION */
    ParquetFile *files;
    size_t n_files;
    const char **keys; /* of the files in the store */
} Write;

static const char *stored_name(const Write *w, const DeltaField *field)
{
    return w->mapped ? field->physical_name : field->name;
}

static const char *property(const Write *w, const char *key, const char *otherwise)
{
    const char *value = delta_transaction_property(w->txn, key);

    return value ? value : otherwise;
}

/* ---- the schema the rows are written with ---- */

/* Columns of the query that are none of the table's; ends with NULL. */
static const char *const *extra_columns(const DeltaWriteOptions *options)
{
    static const char *const NONE[] = {NULL}, *const CHANGES[] = {CHANGE_TYPE, NULL};
    static const char *const TRACKED[] = {DELTA_ROW_ID, DELTA_ROW_VERSION, NULL};

    return options->change_data ? CHANGES : options->row_ids ? TRACKED : NONE;
}

/* The schema that the query alone decides. */
static Status take_schema(DeltaTransaction *txn, DuckConn *conn, const char *query, Arena *arena, Error *err)
{
    Status rc = OK;
    DuckColumnInfo *columns = NULL;
    size_t n = 0;
    DeltaSchema *schema = delta_transaction_schema(txn), *taken = NULL;

    TRY(duck_describe(conn, query, arena, &columns, &n, err));
    TRY(delta_schema_from_columns(columns, n, &taken, err));
    if (!schema || !delta_schema_equal(schema, taken)) {
        TRY(delta_transaction_set_schema(txn, taken, err));
    }
out:
    delta_schema_unref(taken);
    return rc;
}

/* "SELECT casts AS columns FROM (query)"; sets the transaction's schema where it is new or grows. */
static Status reconcile(DeltaTransaction *txn, DuckConn *conn, const char *query, const DeltaWriteOptions *options,
                        Arena *arena, Text *out, Error *err)
{
    Status rc = OK;
    const char *const *extra = extra_columns(options);
    DeltaSchema *schema = delta_transaction_schema(txn), *grown = NULL;

    if (!schema || schema->n_fields == 0 || options->overwrite_schema) {
        TRY(take_schema(txn, conn, query, arena, err));
        schema = delta_transaction_schema(txn);
    }
    if (!options->change_data && !options->existing_rows) {
        TRY(delta_identity_check_query(conn, schema, query, err));
    }
    TRY(delta_rows_sql(conn, schema, query, extra, options->merge_schema, out, &grown, err));
    if (grown) {
        TRY(delta_transaction_set_schema(txn, grown, err));
    }
out:
    delta_schema_unref(grown);
    return rc;
}

/* Files of a table with Iceberg compatibility say ids that its schema may not have yet. */
static Status number_parts(DeltaTransaction *txn, Error *err)
{
    const DeltaSchema *schema = delta_transaction_schema(txn);

    return delta_iceberg_lacks_part_ids(delta_transaction_metadata(txn), schema)
               ? delta_transaction_set_schema(txn, schema, err)
               : OK;
}

/* ---- the columns as they are stored ---- */

static bool is_void(const DeltaType *type)
{
    for (size_t i = 0; type->id == DELTA_STRUCT && i < type->n_fields; i++) {
        if (!is_void(type->fields[i].type)) {
            return false;
        }
    }
    return type->id == DELTA_VOID || type->id == DELTA_STRUCT;
}

/* Does the stored value differ from the column's: other member names, void members left out, variants as bytes? */
static bool differs(const Write *w, const DeltaType *type)
{
    if (type->id == DELTA_VARIANT) {
        return true;
    }
    for (size_t i = 0; i < type->n_fields; i++) {
        const DeltaField *field = &type->fields[i];
        if (is_void(field->type) || differs(w, field->type) ||
            (type->id == DELTA_STRUCT && strcmp(field->name, stored_name(w, field)) != 0)) {
            return true;
        }
    }
    return false;
}

static Status stored_sql(const Write *w, const DeltaType *type, const char *expression, int depth, Text *out,
                         Error *err);

static Status stored_struct(const Write *w, const DeltaType *type, const char *expression, int depth, Text *out,
                            Error *err)
{
    Status rc = OK;
    bool any = false;

    text_printf(out, "CASE WHEN %s IS NULL THEN NULL ELSE struct_pack(", expression);
    for (size_t i = 0; i < type->n_fields; i++) {
        Text member = TEXT(TEXT_SQL_MAX);
        if (is_void(type->fields[i].type)) {
            continue;
        }
        text_append(out, any ? ", " : "");
        text_append_sql_name(out, stored_name(w, &type->fields[i]));
        text_append(out, " := ");
        text_printf(&member, "struct_extract(%s, ", expression);
        text_append_sql_string(&member, type->fields[i].name);
        text_append(&member, ")");
        rc = stored_sql(w, type->fields[i].type, text_str(&member), depth, out, err);
        text_free(&member);
        TRY(rc);
        any = true;
    }
    text_append(out, ") END");
out:
    return rc;
}

static Status stored_sql(const Write *w, const DeltaType *type, const char *expression, int depth, Text *out,
                         Error *err)
{
    Status rc = OK;

    if (!differs(w, type)) {
        text_append(out, expression);
        return OK;
    }
    if (type->id == DELTA_STRUCT) {
        return stored_struct(w, type, expression, depth, out, err);
    }
    if (type->id == DELTA_VARIANT) {
        text_printf(
            out,
            "CASE WHEN %s IS NULL THEN NULL ELSE list_transform([CAST(variant_to_parquet_variant(variant_normalize("
            "%s)) AS STRUCT(metadata BLOB, \"value\" BLOB))], lambda freshet_v: struct_pack(metadata := "
            "freshet_v.metadata, \"value\" := freshet_whole(freshet_v.metadata, freshet_v.\"value\")))[1] END",
            expression, expression);
        return OK;
    }
    for (size_t i = 0; i < type->n_fields; i++) {
        if (is_void(type->fields[i].type)) {
            return error_set(err, E_DELTA_TYPE, "a list or map of void values cannot be written");
        }
    }
    if (type->id == DELTA_ARRAY) {
        text_printf(out, "list_transform(%s, lambda freshet_e%d: ", expression, depth);
        TRY(stored_sql(w, type->fields[0].type, arena_printf(w->arena, "freshet_e%d", depth), depth + 1, out, err));
        text_append(out, ")");
    } else {
        text_printf(out, "map_from_entries(list_transform(map_entries(%s), lambda freshet_e%d: struct_pack(key := ",
                    expression, depth);
        TRY(stored_sql(w, type->fields[0].type, arena_printf(w->arena, "freshet_e%d.key", depth), depth + 1, out, err));
        text_append(out, ", value := ");
        TRY(stored_sql(w, type->fields[1].type, arena_printf(w->arena, "freshet_e%d.value", depth), depth + 1, out,
                       err));
        text_append(out, ")))");
    }
out:
    return rc;
}

static bool is_partition(const Write *w, const DeltaField *field)
{
    for (size_t i = 0; i < w->n_partition_columns; i++) {
        if (str_ieq(w->partition_columns[i], field->name)) {
            return true;
        }
    }
    return false;
}

/* What the COPY calls the text of partition column `i`. */
static const char *partition_text_name(const Write *w, size_t i)
{
    const DeltaField *field = delta_schema_find(w->schema, w->partition_columns[i]);

    return w->materialize ? arena_printf(w->arena, "freshet_p%zu", i) : stored_name(w, field);
}

static Status partition_select(const Write *w, Text *out, Error *err)
{
    Text name = TEXT(2 * DELTA_NAME_MAX + 16);

    for (size_t i = 0; i < w->n_partition_columns; i++) {
        const DeltaField *field = delta_schema_find(w->schema, w->partition_columns[i]);
        if (!field || !delta_partition_can(field->type)) {
            text_free(&name);
            return error_set(err, E_DELTA_SCHEMA, "column \"%s\" cannot partition a table", w->partition_columns[i]);
        }
        text_clear(&name);
        text_append_sql_name(&name, field->name);
        text_append(out, ", ");
        delta_partition_value_sql(field->type, text_str(&name), out);
        text_append(out, " AS ");
        text_append_sql_name(out, partition_text_name(w, i));
    }
    text_free(&name);
    return OK;
}

/* Ids that rows bring along, in the columns that the table has for them (Delta protocol, Row Tracking). */
static void row_ids_select(const Write *w, Text *out)
{
    text_append(out, ", " DELTA_ROW_ID " AS ");
    text_append_sql_name(out, property(w, DELTA_ROW_ID_COLUMN, DELTA_ROW_ID));
    text_append(out, ", " DELTA_ROW_VERSION " AS ");
    text_append_sql_name(out, property(w, DELTA_ROW_VERSION_COLUMN, DELTA_ROW_VERSION));
}

static Status stored_column(const Write *w, const DeltaField *field, Text *out, Error *err)
{
    Status rc = OK;
    Text name = TEXT(2 * DELTA_NAME_MAX + 16);

    text_append_sql_name(&name, field->name);
    TRY(stored_sql(w, field->type, text_str(&name), 1, out, err));
    text_append(out, " AS ");
    text_append_sql_name(out, stored_name(w, field));
out:
    text_free(&name);
    return rc;
}

/* The list of stored columns, partition texts last. */
static Status stored_select(const Write *w, Text *out, Error *err)
{
    Status rc = OK;
    bool any = false;

    for (size_t i = 0; i < w->schema->n_fields; i++) {
        const DeltaField *field = &w->schema->fields[i];
        if (!is_void(field->type) && !is_partition(w, field)) {
            text_append(out, any ? ", " : "");
            TRY(stored_column(w, field, out, err));
            any = true;
        }
    }
    if (!any) {
        TRY(error_set(err, E_DELTA_SCHEMA, "the table has no column to store: all are partition columns or void"));
    }
    for (size_t i = 0; w->materialize && i < w->n_partition_columns; i++) {
        text_append(out, ", ");
        TRY(stored_column(w, delta_schema_find(w->schema, w->partition_columns[i]), out, err));
    }
    text_append(out, w->change_data ? ", " CHANGE_TYPE : "");
    if (w->row_ids) {
        row_ids_select(w, out);
    }
    TRY(partition_select(w, out, err));
out:
    return rc;
}

/* The ids of what lies inside a type, as members of a FIELD_IDS literal; parts of lists and maps need not have any. */
static void inner_ids(const Write *w, const DeltaType *type, Text *out)
{
    bool any = false;

    for (size_t i = 0; i < type->n_fields; i++) {
        const DeltaField *field = &type->fields[i];
        bool has_id = field->field_id > 0;
        Text inner = TEXT(TEXT_SQL_MAX);
        if (!is_void(field->type)) {
            inner_ids(w, field->type, &inner);
        }
        if (!is_void(field->type) && (has_id || inner.length > 0)) {
            text_append(out, any ? ", " : "");
            text_append_sql_name(out, stored_name(w, field));
            text_append(out, ": {");
            if (has_id) {
                text_printf(out, "__duckdb_field_id: %d%s", field->field_id, inner.length > 0 ? ", " : "");
            }
            text_append(out, text_str(&inner));
            text_append(out, "}");
            any = true;
        }
        text_free(&inner);
    }
}

/* FIELD_IDS {...} of a table with column mapping. */
static void field_ids(const Write *w, Text *out)
{
    DeltaField *stored = arena_alloc(w->arena, (w->schema->n_fields + 1) * sizeof *stored);
    DeltaType row = {.id = DELTA_STRUCT, .fields = stored};

    for (size_t i = 0; i < w->schema->n_fields; i++) {
        if (w->materialize || !is_partition(w, &w->schema->fields[i])) {
            stored[row.n_fields++] = w->schema->fields[i];
        }
    }
    text_append(out, "{");
    inner_ids(w, &row, out);
    text_append(out, "}");
}

static const char *codec(const Write *w)
{
    static const struct {
        const char *name, *codec;
    } CODECS[] = {{"none", "uncompressed"}, {"uncompressed", "uncompressed"}, {"snappy", "snappy"}, {"gzip", "gzip"},
                  {"lz4", "lz4_raw"},       {"lz4_raw", "lz4_raw"},           {"zstd", "zstd"}};
    const char *wanted = property(w, "delta.parquet.compression.codec", "zstd");

    for (size_t i = 0; i < sizeof CODECS / sizeof *CODECS; i++) {
        if (str_ieq(wanted, CODECS[i].name)) {
            return CODECS[i].codec;
        }
    }
    return "zstd"; /* a codec of Spark's that DuckDB has not: any codec is a right one */
}

/* ---- the files ---- */

/* The whole statement over the table's columns `rows`. */
static Status statement(const Write *w, const char *rows, Text *out, Error *err)
{
    Status rc = OK;
    const DeltaMetadata *metadata = delta_transaction_metadata(w->txn);
    Text checks = TEXT(TEXT_SQL_MAX);

    if (!w->change_data && !w->moves_rows) {
        TRY(delta_constraints_sql(w->conn, w->schema, metadata->configuration, metadata->n_configuration, &checks,
                                  err));
    }
    text_append(out, "SELECT ");
    TRY(stored_select(w, out, err));
    if (checks.length > 0) {
        text_append(out, " FROM (SELECT *, ");
        text_append(out, text_str(&checks));
        text_append(out, " AS freshet_ok FROM (");
        text_append(out, rows);
        text_append(out, ")) WHERE freshet_ok");
    } else {
        text_append(out, " FROM (");
        text_append(out, rows);
        text_append(out, ")");
    }
    for (size_t i = 0; i < w->n_partition_columns; i++) {
        text_append(out, i ? ", " : " ORDER BY ");
        text_append_sql_name(out, partition_text_name(w, i));
    }
out:
    text_free(&checks);
    return rc;
}

static Status copy(Write *w, const char *rows, const DeltaWriteOptions *options, Error *err)
{
    Status rc = OK;
    Text sql = TEXT(TEXT_SQL_MAX), folder = TEXT(64 << 10), ids = TEXT(TEXT_SQL_MAX);
    Store *store = delta_table_store(w->table);
    const char **partition_by = arena_alloc(w->arena, (w->n_partition_columns + 1) * sizeof *partition_by);

    TRY(statement(w, rows, &sql, err));
    TRY(store_mkdirs(store, w->change_data ? CHANGE_FOLDER : "", err));
    TRY(store_local_path(store, "", &folder, err));
    size_t root = folder.length;
    text_append(&folder, w->change_data ? "/" CHANGE_FOLDER : "");
    for (size_t i = 0; i < w->n_partition_columns; i++) {
        partition_by[i] = partition_text_name(w, i);
    }
    if (w->mapped) {
        field_ids(w, &ids);
    }
    ParquetWrite write = {.query = text_str(&sql),
                          .folder = text_str(&folder),
                          .prefix = w->change_data ? "cdc-" : "part-",
                          .partition_by = partition_by,
                          .n_partition_by = w->n_partition_columns,
                          .codec = codec(w),
                          .field_ids = w->mapped ? text_str(&ids) : NULL,
                          .file_bytes_max = options->file_bytes_max};
    if ((rc = parquet_write(w->conn, &write, w->arena, &w->files, &w->n_files, err)) != OK) {
        const char *query = strstr(text_str(&sql), w->query);
        duck_error_rebase(w->conn, query ? query - text_str(&sql) : 0, query ? (int64_t)strlen(w->query) : -1);
        goto out;
    }
    w->keys = arena_alloc(w->arena, (w->n_files + 1) * sizeof *w->keys);
    for (size_t i = 0; i < w->n_files; i++) {
        const char *path = w->files[i].path;
        if (strncmp(path, text_str(&folder), folder.length) != 0) {
            TRY(error_set(err, E_INTERNAL, "DuckDB wrote %s outside of %s", path, text_str(&folder)));
        }
        w->keys[i] = path + root + strspn(path + root, "/");
    }
out:
    text_free(&sql);
    text_free(&folder);
    text_free(&ids);
    return rc;
}

static Status make_durable(const Write *w, Error *err)
{
    Status rc = OK;

    TRY(failpoint(FP_DELTA_WRITE_AFTER_FILES, err));
    TRY(store_sync_many(delta_table_store(w->table), w->keys, w->n_files, err));
    TRY(failpoint(FP_DELTA_WRITE_AFTER_SYNC, err));
out:
    return rc;
}

static void remove_files(const Write *w)
{
    for (size_t i = 0; w->keys && i < w->n_files; i++) {
        (void)store_delete(delta_table_store(w->table), w->keys[i],
                           NULL); /* what stays is an orphan, which harms nobody */
    }
}

/* ---- the adds ---- */

static void read_stats_options(const Write *w, DeltaStatsOptions *out)
{
    *out = (DeltaStatsOptions){
        .schema = w->schema,
        .partition_columns = w->partition_columns,
        .n_partition_columns = w->n_partition_columns,
        .indexed_columns = DELTA_STATS_COLUMNS,
        .stats_columns = property(w, "delta.dataSkippingStatsColumns", NULL),
        .prefix_length = DELTA_STATS_PREFIX,
        .column_mapping = w->mapped,
        .tight_bounds = delta_protocol_supports(delta_transaction_protocol(w->txn), "deletionVectors"),
    };
    str_parse_i64(property(w, "delta.dataSkippingNumIndexedCols", ""), &out->indexed_columns);
    str_parse_i64(property(w, "delta.dataSkippingStringPrefixLength", ""), &out->prefix_length);
}

static Status add_file(const Write *w, const DeltaStatsOptions *stats_options, size_t index, Error *err)
{
    Status rc = OK;
    const ParquetFile *file = &w->files[index];
    Text path = TEXT(64 << 10), stats = TEXT(16 << 20);
    StoreInfo info;
    DeltaPair *values = arena_alloc(w->arena, (w->n_partition_columns + 1) * sizeof *values);

    for (size_t i = 0; i < w->n_partition_columns; i++) {
        values[i].key = stored_name(w, delta_schema_find(w->schema, w->partition_columns[i]));
        values[i].value = file->partition_values[i];
    }
    TRY(store_info(delta_table_store(w->table), w->keys[index], &info, err));
    text_append_uri(&path, w->keys[index]);
    delta_stats_json(stats_options, file, &stats);
    DeltaFile add = {.path = text_str(&path),
                     .partition_values = values,
                     .n_partition_values = w->n_partition_columns,
                     .size = info.size,
                     .modification_time = info.mtime_ms,
                     .data_change = !w->moves_rows,
                     .stats = text_str(&stats),
                     .tags = delta_iceberg_tags(delta_transaction_metadata(w->txn)),
                     .base_row_id = -1,
                     .default_row_commit_version = -1};
    if (w->change_data) {
        add.data_change = false;
        add.stats = add.tags = NULL;
        delta_transaction_cdc(w->txn, &add);
    } else {
        delta_transaction_add(w->txn, &add);
    }
    delta_transaction_wrote(w->txn, add.path);
out:
    text_free(&path);
    text_free(&stats);
    return rc;
}

static Status add_files(const Write *w, DeltaWriteResult *result, Error *err)
{
    Status rc = OK;
    DeltaStatsOptions stats_options;
    DeltaWriteResult sum = {0};

    read_stats_options(w, &stats_options);
    for (size_t i = 0; i < w->n_files; i++) {
        TRY(add_file(w, &stats_options, i, err));
        sum.rows += w->files[i].rows;
        sum.bytes += w->files[i].bytes;
        sum.files++;
    }
    *result = sum;
out:
    return rc;
}

Status delta_write_query(DeltaTransaction *txn, DuckConn *conn, const char *query, const DeltaWriteOptions *options,
                         DeltaWriteResult *result, Error *err)
{
    static const DeltaWriteOptions DEFAULTS = {0};
    Status rc = OK;
    Write w = {.txn = txn, .table = delta_transaction_table(txn), .conn = conn, .arena = arena_new(), .query = query};
    Text rows = TEXT(TEXT_SQL_MAX);
    bool handed_over = false;

    options = options ? options : &DEFAULTS;
    w.change_data = options->change_data;
    w.moves_rows = options->moves_rows;
    w.row_ids = options->row_ids;
    TRY(reconcile(txn, conn, query, options, w.arena, &rows, err));
    TRY(number_parts(txn, err));
    w.schema = delta_transaction_schema(txn);
    w.partition_columns = delta_transaction_partition_columns(txn, &w.n_partition_columns);
    w.mapped = !str_ieq(property(&w, "delta.columnMapping.mode", "none"), "none");
    w.materialize = delta_iceberg_version(delta_transaction_metadata(txn)) > 0 ||
                    delta_protocol_supports(delta_transaction_protocol(txn), "materializePartitionColumns");
    TRY(delta_iceberg_check(txn, err));
    TRY(copy(&w, text_str(&rows), options, err));
    TRY(make_durable(&w, err));
    handed_over = true; /* from the first add on the transaction answers for the files */
    TRY(add_files(&w, result, err));
    TRY(delta_identity_advance(txn, conn, err));
out:
    if (rc != OK && !handed_over) {
        remove_files(&w);
    }
    text_free(&rows);
    arena_free(w.arena);
    return rc;
}

/* ---- overwriting ---- */

typedef struct Removal {
    DeltaTransaction *txn;
    int64_t removed;
} Removal;

static Status remove_one(void *context, const DeltaFile *file, Error *err)
{
    Removal *removal = context;

    (void)err;
    delta_transaction_remove(removal->txn, file, true);
    removal->removed++;
    return OK;
}

Status delta_write_remove_all(DeltaTransaction *txn, DuckConn *conn, int64_t *removed, Error *err)
{
    Status rc = OK;
    Removal removal = {.txn = txn};
    DeltaSnapshot *snapshot = delta_transaction_snapshot(txn);

    delta_transaction_read_table(txn);
    if (snapshot) {
        TRY(delta_snapshot_each_file(snapshot, conn, remove_one, &removal, err));
    }
    if (removed) {
        *removed = removal.removed;
    }
out:
    return rc;
}
