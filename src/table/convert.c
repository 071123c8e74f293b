/* CONVERT TO DELTA: the columns and the partitions that Parquet files have in common, and one commit that names them
 * all. */
#include "table/convert.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "delta/partition.h"
#include "delta/variant.h"
#include "duck/parquet.h"
#include "duck/type.h"
#include "table/rows.h"

typedef struct Found {
    const char *key;
    int64_t size, mtime_ms;
} Found;

typedef struct Convert {
    DeltaTable *table;
    DuckConn *conn;
    Arena *arena;
    const DeltaSchema *partitions;
    Found *files;
    size_t n, capacity;
    Text list; /* ['path', ...] for read_parquet */
    DeltaTransaction *txn;
} Convert;

/* ---- the files ---- */

static bool is_hidden(const char *key)
{
    for (const char *part = key; part != NULL; part = strchr(part, '/')) {
        part += *part == '/';
        /* a folder like _p=1 is a partition */
        if (*part == '.' || (*part == '_' && part[strcspn(part, "=/")] != '=')) {
            return true;
        }
    }
    return false;
}

static bool find_file(void *context, const StoreEntry *entry)
{
    Convert *c = context;

    if (!entry->info.is_dir && str_ends(entry->name, ".parquet") && !is_hidden(entry->name)) {
        c->files = mem_grow(c->files, c->n, &c->capacity, sizeof *c->files);
        c->files[c->n++] = (Found){arena_strdup(c->arena, entry->name), entry->info.size, entry->info.mtime_ms};
    }
    return true;
}

static Status list_files(Convert *c, Error *err)
{
    Status rc = OK;
    Text place = TEXT(64 << 10), glob = TEXT(128 << 10);

    TRY(store_list_recursive(delta_table_store(c->table), "", find_file, c, err));
    if (c->n == 0) {
        TRY(error_set(err, E_DELTA_SCHEMA, "there is no Parquet file below %s", delta_table_uri(c->table)));
    }
    text_append_char(&c->list, '[');
    for (size_t i = 0; i < c->n; i++) {
        text_clear(&place);
        text_clear(&glob);
        TRY(store_local_path(delta_table_store(c->table), c->files[i].key, &place, err));
        parquet_escape_glob(&glob, text_str(&place));
        text_append(&c->list, i > 0 ? ", " : "");
        text_append_sql_string(&c->list, text_str(&glob));
    }
    text_append_char(&c->list, ']');
out:
    text_free(&place);
    text_free(&glob);
    return rc;
}

/* ---- the schema ---- */

/* Typed parts of variants, which DuckDB writes by itself, need a feature of their own. */
static Status name_shredding(Convert *c, const DeltaSchema *schema, Error *err)
{
    Status rc = OK;
    int64_t typed = 0;
    Text sql = TEXT(TEXT_SQL_MAX);

    if (!delta_schema_has_variant(schema)) {
        goto out;
    }
    text_append(&sql, "SELECT count(*) FROM parquet_schema(");
    text_append(&sql, text_str(&c->list));
    text_append(&sql, ") WHERE name = 'typed_value'");
    TRY(duck_query_numbers(c->conn, text_str(&sql), &typed, 1, err));
    if (typed > 0) {
        TRY(delta_transaction_set_property(c->txn, "delta.feature.variantShredding", "supported", err));
    }
out:
    text_free(&sql);
    return rc;
}

/* All columns of all files, then the partition columns. */
static Status set_schema(Convert *c, Error *err)
{
    Status rc = OK;
    DuckColumnInfo *columns = NULL;
    size_t n = 0, n_partitions = c->partitions != NULL ? c->partitions->n_fields : 0;
    DeltaSchema *stored = NULL, *schema = NULL;
    const char **names = arena_alloc(c->arena, (n_partitions + 1) * sizeof *names);
    Text sql = TEXT(TEXT_SQL_MAX);

    text_append(&sql, "SELECT * FROM read_parquet(");
    text_append(&sql, text_str(&c->list));
    text_append(&sql, ", hive_partitioning=false, union_by_name=true)");
    TRY(duck_describe(c->conn, text_str(&sql), c->arena, &columns, &n, err));
    TRY(delta_schema_from_columns(columns, n, &stored, err));
    DeltaSchemaBuilder *builder = delta_schema_builder_new(stored);
    for (size_t i = 0; i < n_partitions; i++) {
        const DeltaField *field = &c->partitions->fields[i];
        names[i] = field->name;
        if (delta_schema_find(stored, field->name) == NULL) {
            delta_schema_builder_add(builder, field->name, field->type, true, field->metadata);
        }
    }
    schema = delta_schema_builder_finish(builder);
    TRY(delta_transaction_set_schema(c->txn, schema, err));
    TRY(name_shredding(c, schema, err));
    TRY(delta_transaction_set_partitioning(c->txn, names, n_partitions, err));
out:
    delta_schema_unref(stored);
    delta_schema_unref(schema);
    text_free(&sql);
    return rc;
}

/* ---- the adds ---- */

/* One folder name=value; *part steps behind it. */
static Status partition_value(Convert *c, const DeltaField *field, const char *key, const char **part, DeltaPair *out,
                              Error *err)
{
    Status rc = OK;
    size_t n = strlen(field->name);
    const char *slash = strchr(*part, '/');
    Text value = TEXT(64 << 10), checked = TEXT(64 << 10);
    bool is_null = false;

    if (slash == NULL || strncasecmp(*part, field->name, n) != 0 || (*part)[n] != '=') {
        rc = error_set(err, E_DELTA_SCHEMA, "the file %s does not lie in a folder %s=...", key, field->name);
        error_hint(err, "PARTITIONED BY names the folders from the outermost to the innermost");
        goto out;
    }
    const char *text = arena_strndup(c->arena, *part + n + 1, (size_t)(slash - *part) - n - 1);
    is_null = strcmp(text, "__HIVE_DEFAULT_PARTITION__") == 0;
    if (!is_null && !text_append_uri_decoded(&value, text)) {
        TRY(error_set(err, E_DELTA_SCHEMA, "the folder of %s is not encoded as partitions are", key));
    }
    out->key = field->name;
    out->value = is_null ? NULL : arena_strdup(c->arena, text_str(&value));
    if (delta_partition_text(field->type, out->value, &checked, &is_null, err) != OK) {
        rc = error_context(err, "the file %s", key);
        goto out;
    }
    *part = slash + 1;
out:
    text_free(&value);
    text_free(&checked);
    return rc;
}

static Status add_file(Convert *c, const Found *file, int64_t rows, Error *err)
{
    Status rc = OK;
    size_t n = c->partitions != NULL ? c->partitions->n_fields : 0;
    DeltaPair *values = arena_alloc(c->arena, (n + 1) * sizeof *values);
    const char *part = file->key;
    Text path = TEXT(64 << 10), stats = TEXT(256);

    for (size_t i = 0; i < n; i++) {
        TRY(partition_value(c, &c->partitions->fields[i], file->key, &part, &values[i], err));
    }
    if (n == 0 && strchr(part, '=') != NULL && strchr(part, '=') < strrchr(part, '/')) {
        rc = error_set(err, E_DELTA_SCHEMA, "the file %s lies in a folder that names a partition", file->key);
        error_hint(err, "CONVERT TO DELTA ... PARTITIONED BY (column type, ...)");
        goto out;
    }
    text_append_uri(&path, file->key);
    text_printf(&stats, "{\"numRecords\":%" PRId64 "}", rows);
    DeltaFile add = {.path = text_str(&path),
                     .partition_values = values,
                     .n_partition_values = n,
                     .size = file->size,
                     .modification_time = file->mtime_ms,
                     .data_change = true,
                     .stats = text_str(&stats),
                     .base_row_id = -1,
                     .default_row_commit_version = -1};
    delta_transaction_add(c->txn, &add);
out:
    text_free(&path);
    text_free(&stats);
    return rc;
}

/* Row counts come from the footers, in the order of the list. */
static Status add_files(Convert *c, Error *err)
{
    Status rc = OK;
    DuckResult *rows = NULL;
    Text sql = TEXT(TEXT_SQL_MAX);
    bool more = false;

    text_append(&sql, "SELECT m.num_rows FROM parquet_file_metadata(");
    text_append(&sql, text_str(&c->list));
    text_append(&sql, ") AS m ORDER BY m.file_name");
    TRY(duck_query(c->conn, text_str(&sql), &rows, err));
    for (size_t i = 0; i < c->n; i++) { /* both are in byte order of the names below one folder */
        TRY(duck_result_next(rows, &more, err));
        if (!more) {
            TRY(error_set(err, E_INTERNAL, "DuckDB read %zu of %zu footers", i, c->n));
        }
        TRY(add_file(c, &c->files[i], duck_result_i64(rows, 0), err));
    }
out:
    duck_result_free(rows);
    text_free(&sql);
    return rc;
}

/* "[\"p\"]", a list as Spark writes it */
static void partition_parameter(Convert *c)
{
    size_t n = c->partitions != NULL ? c->partitions->n_fields : 0;
    const char **names = mem_alloc((n + 1) * sizeof *names);
    Text list = TEXT(1 << 20);

    for (size_t i = 0; i < n; i++) {
        names[i] = c->partitions->fields[i].name;
    }
    text_append_json_strings(&list, names, n);
    delta_transaction_parameter_text(c->txn, "partitionedBy", text_str(&list));
    text_free(&list);
    mem_free(names);
}

Status table_convert(DeltaTable *table, DuckConn *conn, const DeltaSchema *partitions, int64_t *files, Error *err)
{
    Status rc = OK;
    Convert c = {
        .table = table, .conn = conn, .arena = arena_new(), .partitions = partitions, .list = TEXT(TEXT_SQL_MAX)};
    bool exists = false;
    int64_t version = 0;

    TRY(delta_table_exists(table, &exists, err));
    if (exists) {
        TRY(error_set(err, E_DELTA_EXISTS, "%s is a Delta table already", delta_table_uri(table)));
    }
    TRY(list_files(&c, err));
    TRY(delta_transaction_begin(table, NULL, conn, &c.txn, err));
    TRY(set_schema(&c, err));
    TRY(add_files(&c, err));
    delta_transaction_operation(c.txn, "CONVERT");
    delta_transaction_parameter(c.txn, "numFiles", arena_printf(c.arena, "%zu", c.n));
    delta_transaction_parameter(c.txn, "collectStats", "true");
    partition_parameter(&c);
    delta_transaction_parameter_text(c.txn, "sourceFormat", "parquet");
    delta_transaction_metric(c.txn, "numConvertedFiles", (int64_t)c.n);
    TRY(delta_transaction_commit(c.txn, &version, err));
    *files = (int64_t)c.n;
out:
    delta_transaction_free(c.txn);
    mem_free(c.files);
    text_free(&c.list);
    arena_free(c.arena);
    return rc;
}
