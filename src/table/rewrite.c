#include "table/rewrite.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "delta/partition.h"
#include "delta/stats.h"
#include "duck/parquet.h"
#include "table/rows.h"

static bool property_is_true(const DeltaSnapshot *snapshot, const char *key)
{
    const char *value = delta_snapshot_property(snapshot, key);
    bool on = false;

    return value != NULL && str_parse_bool(value, &on) && on;
}

/* ---- ids of rows ---- */

static const char *id_column(const TableRewrite *w, const char *property)
{
    return delta_snapshot_property(w->snapshot, property);
}

/* Row ids live in hidden columns of the files that have a name and no field id. */
static void read_row_tracking(TableRewrite *w)
{
    bool on = property_is_true(w->snapshot, "delta.enableRowTracking") &&
              delta_protocol_supports(delta_snapshot_protocol(w->snapshot), "rowTracking");
    bool named = id_column(w, DELTA_ROW_ID_COLUMN) != NULL && id_column(w, DELTA_ROW_VERSION_COLUMN) != NULL;
    bool by_id = str_ieq(delta_scan_source(w->snapshot).column_mapping, "id");

    w->tracks = on && named && !by_id;
    w->loses_ids = on && !w->tracks;
}

static Status check_row_tracking(const TableRewrite *w, Error *err)
{
    if (!w->loses_ids) {
        return OK;
    }
    Status rc = error_set(err, E_DELTA_PROTOCOL_WRITE,
                          "the table %s has row tracking and %s: rows that move to another file would lose their ids",
                          delta_table_uri(w->table),
                          id_column(w, DELTA_ROW_ID_COLUMN) != NULL ? "finds its columns by id"
                                                                    : "no columns that keep the ids of moved rows");
    error_hint(err, "DELETE works with 'delta.enableDeletionVectors' = 'true'; for other changes use the program that "
                    "made the table");
    return rc;
}

/* The table's columns and those in which its files keep the ids of rows that have moved. */
static DeltaSchema *with_id_columns(const TableRewrite *w, const DeltaSchema *schema)
{
    static const char *const PROPERTIES[] = {DELTA_ROW_ID_COLUMN, DELTA_ROW_VERSION_COLUMN};
    static const DeltaType LONG = {.id = DELTA_LONG};
    DeltaSchemaBuilder *builder = delta_schema_builder_new(schema);
    Text metadata = TEXT(64 << 10);

    for (size_t i = 0; i < 2; i++) {
        text_clear(&metadata);
        text_append(&metadata, "{\"delta.columnMapping.physicalName\":");
        text_append_json_string(&metadata, id_column(w, PROPERTIES[i]));
        text_append(&metadata, "}");
        delta_schema_builder_add(builder, id_column(w, PROPERTIES[i]), &LONG, true, text_str(&metadata));
    }
    text_free(&metadata);
    return delta_schema_builder_finish(builder);
}

/* Scans files with their rows' addresses and, with row tracking, the hidden columns. `gone`: as
 * DeltaScanSource.deleted. */
static Status scan_files(const TableRewrite *w, const DeltaSchema *schema, const DeltaFile *files,
                         const DeltaBitmap *const *gone, size_t n, DeltaScan **out, Error *err)
{
    DeltaScanSource source = delta_scan_source(w->snapshot);
    DeltaSchema *with_ids = w->tracks ? with_id_columns(w, schema) : NULL;

    source.schema = with_ids != NULL ? with_ids : schema;
    source.deleted = gone;
    source.row_address = gone == NULL || w->tracks;
    Status rc = delta_scan_list(&source, w->conn, files, n, out, err);
    delta_schema_unref(with_ids);
    return rc;
}

/* "([a, b, ...]::BIGINT[])[freshet_file::BIGINT + 1]" */
static void per_file(const DeltaFile *files, size_t n, bool version, Text *out)
{
    text_append(out, "([");
    for (size_t i = 0; i < n; i++) {
        int64_t value = version ? files[i].default_row_commit_version : files[i].base_row_id;
        text_printf(out, value < 0 ? "%sNULL" : "%s%" PRId64, i > 0 ? ", " : "", value);
    }
    text_append(out, "]::BIGINT[])[freshet_file::BIGINT + 1]");
}

/* The id of a row that has not moved is the first one of its file plus its number (Delta protocol, Row Tracking). */
static void relation_sql(const TableRewrite *w, const DeltaScan *scan, const DeltaFile *files, size_t n, Text *out)
{
    Text id = TEXT(1 << 16), version = TEXT(1 << 16);

    if (!w->tracks) {
        text_append(out, delta_scan_sql(scan));
        return;
    }
    text_append_sql_name(&id, id_column(w, DELTA_ROW_ID_COLUMN));
    text_append_sql_name(&version, id_column(w, DELTA_ROW_VERSION_COLUMN));
    text_printf(out, "SELECT * EXCLUDE (%s, %s), coalesce(%s, ", text_str(&id), text_str(&version), text_str(&id));
    per_file(files, n, false, out);
    text_printf(out, " + freshet_row) AS " DELTA_ROW_ID ", coalesce(%s, ", text_str(&version));
    per_file(files, n, true, out);
    text_append(out, ") AS " DELTA_ROW_VERSION " FROM (");
    text_append(out, delta_scan_sql(scan));
    text_append(out, ")");
    text_free(&id);
    text_free(&version);
}

void table_rewrite_ids(const TableRewrite *w, bool is_new, Text *out)
{
    if (w->tracks) {
        text_append(out, is_new ? ", NULL::BIGINT AS " DELTA_ROW_ID : ", " DELTA_ROW_ID);
        text_append(out, ", NULL::BIGINT AS " DELTA_ROW_VERSION);
    }
}

const char *const *table_rewrite_id_names(const TableRewrite *w)
{
    static const char *const NAMES[] = {DELTA_ROW_ID, DELTA_ROW_VERSION, NULL}, *const NONE[] = {NULL};

    return w->tracks ? NAMES : NONE;
}

/* ---- open and close ---- */

Status table_rewrite_open(DeltaTable *table, DuckConn *conn, TableRewrite **out, Error *err)
{
    Status rc = OK;
    TableRewrite *w = mem_alloc(sizeof *w);

    w->table = delta_table_ref(table);
    w->conn = conn;
    w->arena = arena_new();
    w->began_ms = clock_now_ms();
    TRY(delta_table_snapshot(table, conn, &w->snapshot, err));
    TRY(delta_transaction_begin(table, w->snapshot, conn, &w->txn, err));
    w->schema = w->scanned = delta_snapshot_schema(w->snapshot);
    w->vectors = property_is_true(w->snapshot, "delta.enableDeletionVectors") &&
                 delta_protocol_supports(delta_snapshot_protocol(w->snapshot), "deletionVectors");
    w->feed = property_is_true(w->snapshot, "delta.enableChangeDataFeed");
    read_row_tracking(w);
    *out = w;
    w = NULL;
out:
    table_rewrite_close(w);
    return rc;
}

void table_rewrite_close(TableRewrite *w)
{
    if (w == NULL) {
        return;
    }
    for (size_t i = 0; w->marked != NULL && i < w->n_files; i++) {
        delta_bitmap_free(w->marked[i]);
    }
    delta_scan_free(w->scan);
    delta_transaction_free(w->txn);
    delta_snapshot_unref(w->snapshot);
    delta_table_close(w->table);
    arena_free(w->arena);
    mem_free(w);
}

/* ---- which files ---- */

static bool is_partition_column(const DeltaMetadata *metadata, const char *name)
{
    for (size_t i = 0; i < metadata->n_partition_columns; i++) {
        if (str_ieq(metadata->partition_columns[i], name)) {
            return true;
        }
    }
    return false;
}

static void predicate_sql(const DeltaPredicate *predicate, Text *out)
{
    static const char *const OPERATORS[] = {
        [DELTA_EQ] = " = ",  [DELTA_LT] = " < ",           [DELTA_LE] = " <= ",  [DELTA_GT] = " > ",
        [DELTA_GE] = " >= ", [DELTA_IS_NULL] = " IS NULL", [DELTA_IN] = " IN (", [DELTA_IS_NOT_NULL] = " IS NOT NULL"};

    text_append_sql_name(out, predicate->column[0]);
    text_append(out, OPERATORS[predicate->compare]);
    for (size_t i = 0; i < predicate->n_values; i++) {
        text_printf(out, "%s(%s)", i > 0 ? ", " : "", predicate->values[i]);
    }
    text_append(out, predicate->compare == DELTA_IN ? ")" : "");
}

/* What the transaction reads is all files of the partitions that the predicates allow. */
static void record_reads(TableRewrite *w, const DeltaPredicate *predicates, size_t n)
{
    const DeltaMetadata *metadata = delta_snapshot_metadata(w->snapshot);
    Text sql = TEXT(TEXT_SQL_MAX);

    for (size_t i = 0; i < n; i++) {
        if (predicates[i].n_column == 1 && is_partition_column(metadata, predicates[i].column[0])) {
            text_append(&sql, sql.length > 0 ? " AND " : "");
            predicate_sql(&predicates[i], &sql);
        }
    }
    delta_transaction_read_partitions(w->txn, sql.length > 0 ? text_str(&sql) : NULL);
    for (size_t i = 0; i < w->n_files; i++) {
        delta_transaction_read_file(w->txn, &w->files[i]);
    }
    text_free(&sql);
}

Status table_rewrite_scan(TableRewrite *w, const DeltaPredicate *predicates, size_t n, Error *err)
{
    Status rc = OK;

    TRY(delta_scan_candidates(w->snapshot, w->conn, predicates, n, w->arena, &w->files, &w->n_files, err));
    w->marked = arena_alloc(w->arena, (w->n_files + 1) * sizeof(DeltaBitmap *));
    w->whole = arena_alloc(w->arena, (w->n_files + 1) * sizeof *w->whole);
    record_reads(w, predicates, n);
    TRY(scan_files(w, w->scanned, w->files, NULL, w->n_files, &w->scan, err));
out:
    return rc;
}

void table_rewrite_rows(const TableRewrite *w, Text *out)
{
    relation_sql(w, w->scan, w->files, w->n_files, out);
}

Status table_rewrite_evolve(TableRewrite *w, const DeltaSchema *schema, Error *err)
{
    Status rc = OK;

    TRY(delta_transaction_set_schema(w->txn, schema, err));
    w->schema = delta_transaction_schema(w->txn);
    w->evolved = true;
out:
    return rc;
}

/* ---- marks ---- */

Status table_rewrite_mark(TableRewrite *w, const char *sql, int64_t *n, Error *err)
{
    Status rc = OK;
    DuckResult *rows = NULL;
    int64_t marked = 0;
    bool more = false;

    TRY(duck_query_stream(w->conn, sql, &rows, err));
    for (;;) {
        TRY(duck_result_next(rows, &more, err));
        if (!more) {
            break;
        }
        size_t file = (size_t)duck_result_i64(rows, 0);
        if (file >= w->n_files) {
            TRY(error_set(err, E_INTERNAL, "a row of file %zu of %zu", file, w->n_files));
        }
        if (w->marked[file] == NULL) {
            w->marked[file] = delta_bitmap_new();
        }
        marked += delta_bitmap_add(w->marked[file], (uint64_t)duck_result_i64(rows, 1));
    }
    *n = marked;
out:
    duck_result_free(rows);
    w->scanned_ms = clock_now_ms();
    return rc;
}

/* Rows of a file that are still there; -1 where the log does not say how many it was written with. */
static int64_t live_rows(const DeltaFile *file)
{
    int64_t rows = file->stats != NULL ? delta_stats_records(file->stats) : -1;

    return rows >= 0 && file->deletion_vector != NULL ? rows - file->deletion_vector->cardinality : rows;
}

/* One row per file: its index and its partition columns, as "index, ..." of a VALUES list. */
static Status partition_rows(const TableRewrite *w, Text *out, Error *err)
{
    Status rc = OK;
    const DeltaMetadata *metadata = delta_snapshot_metadata(w->snapshot);
    DeltaScanSource source = delta_scan_source(w->snapshot);
    bool mapped = source.column_mapping != NULL && !str_ieq(source.column_mapping, "none");
    Text value = TEXT(64 << 10), literal = TEXT(256 << 10);

    for (size_t i = 0; i < w->n_files; i++) {
        text_printf(out, "%s(%zu", i > 0 ? ", " : "", i);
        for (size_t p = 0; p < metadata->n_partition_columns; p++) {
            const DeltaField *field = delta_schema_find(w->schema, metadata->partition_columns[p]);
            const char *key = mapped ? field->physical_name : field->name;
            bool is_null = true;
            text_clear(&value);
            text_clear(&literal);
            TRY(delta_partition_text(field->type,
                                     delta_pair_get(w->files[i].partition_values, w->files[i].n_partition_values, key),
                                     &value, &is_null, err));
            text_append(&literal, is_null ? "NULL" : "");
            if (!is_null) {
                text_append_sql_string(&literal, text_str(&value));
            }
            text_append(out, ", ");
            delta_partition_cast_sql(field->type, text_str(&literal), out);
        }
        text_append(out, ")");
    }
out:
    text_free(&value);
    text_free(&literal);
    return rc;
}

/* Does the condition bind when there are only partition columns? */
static bool looks_at_partitions_only(const TableRewrite *w, const TableCondition *where)
{
    const DeltaMetadata *metadata = delta_snapshot_metadata(w->snapshot);
    Arena *arena = arena_new();
    DeltaSchemaBuilder *builder = delta_schema_builder_new(NULL);
    Text sql = TEXT(TEXT_SQL_MAX);
    DuckColumnInfo *columns = NULL;
    size_t n = 0;

    for (size_t i = 0; i < metadata->n_partition_columns; i++) {
        const DeltaField *field = delta_schema_find(w->schema, metadata->partition_columns[i]);
        delta_schema_builder_add(builder, field->name, field->type, true, NULL);
    }
    DeltaSchema *partitions = delta_schema_builder_finish(builder);
    text_append(&sql, "SELECT 1 FROM (");
    table_rows_shape(partitions, &sql);
    text_append(&sql, ") AS ");
    text_append_sql_name(&sql, where->alias);
    text_printf(&sql, " WHERE (%s)", where->sql);
    bool binds = metadata->n_partition_columns > 0 &&
                 duck_describe(w->conn, text_str(&sql), arena, &columns, &n, NULL) == OK;
    delta_schema_unref(partitions);
    text_free(&sql);
    arena_free(arena);
    return binds;
}

static void mark_whole(TableRewrite *w, size_t file, int64_t *n)
{
    int64_t rows = live_rows(&w->files[file]);

    w->whole[file] = true;
    *n = rows < 0 || *n < 0 ? -1 : *n + rows;
}

Status table_rewrite_mark_files(TableRewrite *w, const TableCondition *where, bool *decided, int64_t *n, Error *err)
{
    Status rc = OK;
    const DeltaMetadata *metadata = delta_snapshot_metadata(w->snapshot);
    Text sql = TEXT(TEXT_SQL_MAX);
    DuckResult *files = NULL;
    bool more = false;
    int64_t rows = 0;

    *decided = where->sql == NULL || w->n_files == 0 || looks_at_partitions_only(w, where);
    for (size_t i = 0; where->sql == NULL && i < w->n_files; i++) {
        mark_whole(w, i, &rows);
    }
    if (where->sql == NULL || w->n_files == 0 || !*decided) {
        goto out;
    }
    text_append(&sql, "SELECT freshet_file FROM (VALUES ");
    TRY(partition_rows(w, &sql, err));
    text_append(&sql, ") AS ");
    text_append_sql_name(&sql, where->alias);
    text_append(&sql, "(freshet_file");
    for (size_t i = 0; i < metadata->n_partition_columns; i++) {
        text_append(&sql, ", ");
        text_append_sql_name(&sql, metadata->partition_columns[i]);
    }
    text_printf(&sql, ") WHERE (%s)", where->sql);
    TRY(duck_query(w->conn, text_str(&sql), &files, err));
    for (;;) {
        TRY(duck_result_next(files, &more, err));
        if (!more) {
            break;
        }
        mark_whole(w, (size_t)duck_result_i64(files, 0), &rows);
    }
out:
    if (rc == OK) {
        *n = rows;
    }
    w->scanned_ms = clock_now_ms();
    duck_result_free(files);
    text_free(&sql);
    return rc;
}

/* ---- touched files ---- */

/* A file that keeps some of its rows. */
typedef struct Partial {
    const DeltaFile *file;
    DeltaBitmap *gone; /* all its deleted rows, old and new */
    int64_t rows;      /* it was written with */
} Partial;

typedef struct Partials {
    Partial *items;
    size_t n, capacity;
} Partials;

static void partials_free(Partials *partials)
{
    for (size_t i = 0; i < partials->n; i++) {
        delta_bitmap_free(partials->items[i].gone);
    }
    mem_free(partials->items);
}

static Status physical_rows(TableRewrite *w, const DeltaFile *file, int64_t *rows, Error *err)
{
    Status rc = OK;
    Text place = TEXT(64 << 10), glob = TEXT(128 << 10), sql = TEXT(256 << 10);

    *rows = file->stats != NULL ? delta_stats_records(file->stats) : -1;
    if (*rows >= 0) {
        goto out;
    }
    TRY(delta_file_location(w->table, file->path, &place, err));
    parquet_escape_glob(&glob, text_str(&place));
    text_append(&sql, "SELECT num_rows FROM parquet_file_metadata(");
    text_append_sql_string(&sql, text_str(&glob));
    text_append(&sql, ")");
    TRY(duck_query_numbers(w->conn, text_str(&sql), rows, 1, err));
out:
    text_free(&place);
    text_free(&glob);
    text_free(&sql);
    return rc;
}

static void remove_file(TableRewrite *w, const DeltaFile *file)
{
    delta_transaction_remove(w->txn, file, true);
    w->files_removed++;
    w->bytes_removed += file->size;
    w->vectors_removed += file->deletion_vector != NULL;
}

/* Removes the file when no row is left; else adds it to `partials`. */
static Status sort_file(TableRewrite *w, size_t index, Partials *partials, Error *err)
{
    Status rc = OK;
    const DeltaFile *file = &w->files[index];
    Partial partial = {.file = file};
    DeltaBitmap *before = NULL;

    if (w->whole[index]) {
        remove_file(w, file);
        goto out;
    }
    partial.gone = delta_bitmap_copy(w->marked[index]);
    TRY(physical_rows(w, file, &partial.rows, err));
    if (file->deletion_vector != NULL) {
        TRY(delta_dv_load(w->table, file->deletion_vector, &before, err));
        delta_bitmap_add_all(partial.gone, before);
    }
    if (delta_bitmap_count(partial.gone) >= (uint64_t)partial.rows) {
        remove_file(w, file);
        goto out;
    }
    partials->items = mem_grow(partials->items, partials->n, &partials->capacity, sizeof *partials->items);
    partials->items[partials->n++] = partial;
    partial.gone = NULL;
out:
    delta_bitmap_free(before);
    delta_bitmap_free(partial.gone);
    return rc;
}

/* ---- with deletion vectors ---- */

/* Where the value of a top-level key of the object begins, or NULL. The statistics may hold numbers that no parser of
 * ours keeps exactly, so their text is only cut, never read and written again. */
static const char *find_value(const char *object, const char *key)
{
    size_t n = strlen(key);
    int depth = 0;

    for (const char *s = object; *s != '\0'; s++) {
        if (*s == '"') {
            const char *begin = ++s;
            while (*s != '\0' && *s != '"') {
                s += *s == '\\' && s[1] != '\0' ? 2 : 1;
            }
            if (*s == '\0') {
                return NULL;
            }
            if (depth == 1 && (size_t)(s - begin) == n && strncmp(begin, key, n) == 0) {
                const char *behind = s + 1 + strspn(s + 1, " \t\r\n");
                if (*behind == ':') {
                    return behind + 1 + strspn(behind + 1, " \t\r\n");
                }
            }
        } else {
            depth += (*s == '{' || *s == '[') - (*s == '}' || *s == ']');
        }
    }
    return NULL;
}

/* The statistics of a file some of whose rows are gone: the same bounds, which are no longer tight. */
static void loosen_stats(const char *stats, int64_t rows, Text *out)
{
    const char *brace = stats != NULL ? strchr(stats, '{') : NULL;
    const char *tight = brace != NULL ? find_value(brace, "tightBounds") : NULL;

    if (brace == NULL || delta_stats_records(stats) < 0) {
        text_printf(out, "{\"numRecords\":%" PRId64 ",\"tightBounds\":false}", rows);
    } else if (tight == NULL) {
        const char *first = brace + 1 + strspn(brace + 1, " \t\r\n");
        text_append(out, *first == '}' ? "{\"tightBounds\":false" : "{\"tightBounds\":false,");
        text_append(out, first);
    } else {
        text_append_n(out, stats, (size_t)(tight - stats));
        text_append(out, "false");
        text_append(out, tight + strspn(tight, "abcdefghijklmnopqrstuvwxyz"));
    }
}

static Status write_vectors(TableRewrite *w, const Partials *partials, Error *err)
{
    Status rc = OK;
    DeltaDeletionVector *vectors = arena_alloc(w->arena, (partials->n + 1) * sizeof *vectors);
    const DeltaBitmap **gone = arena_alloc(w->arena, (partials->n + 1) * sizeof *gone);
    const char *path = NULL;
    Text stats = TEXT(16 << 20);

    for (size_t i = 0; i < partials->n; i++) {
        gone[i] = partials->items[i].gone;
    }
    TRY(delta_dv_write(w->table, gone, partials->n, w->arena, vectors, &path, err));
    delta_transaction_wrote(w->txn, path);
    for (size_t i = 0; i < partials->n; i++) {
        DeltaFile add = *partials->items[i].file;
        text_clear(&stats);
        loosen_stats(add.stats, partials->items[i].rows, &stats);
        delta_transaction_remove(w->txn, &add, true);
        w->vectors_updated += add.deletion_vector != NULL;
        w->vectors_added += add.deletion_vector == NULL;
        add.deletion_vector = &vectors[i];
        add.stats = text_str(&stats);
        add.data_change = true;
        delta_transaction_add(w->txn, &add);
    }
out:
    text_free(&stats);
    return rc;
}

/* ---- without: the rows that stay are copied ---- */

/* Removes the files and appends the relation of the rows that stay; *scan holds what it reads. */
static Status survivors(TableRewrite *w, const Partials *partials, DeltaScan **scan, Text *out, Error *err)
{
    Status rc = OK;
    DeltaFile *files = arena_alloc(w->arena, (partials->n + 1) * sizeof *files);
    const DeltaBitmap **gone = arena_alloc(w->arena, (partials->n + 1) * sizeof *gone);

    for (size_t i = 0; i < partials->n; i++) {
        const Partial *partial = &partials->items[i];
        files[i] = *partial->file;
        gone[i] = partial->gone;
        w->rows_copied += partial->rows - (int64_t)delta_bitmap_count(partial->gone);
        remove_file(w, partial->file);
    }
    TRY(scan_files(w, w->schema, files, gone, partials->n, scan, err));
    text_append(out, w->tracks ? "SELECT * EXCLUDE (freshet_file, freshet_row) FROM (" : "");
    relation_sql(w, *scan, files, partials->n, out);
    text_append(out, w->tracks ? ")" : "");
out:
    return rc;
}

/* ---- apply ---- */

static Status write_rows(TableRewrite *w, const char *query, Error *err)
{
    Status rc = OK;
    DeltaWriteOptions options = {.row_ids = w->tracks, .existing_rows = true};
    DeltaWriteResult written = {0};

    TRY(check_row_tracking(w, err));
    TRY(delta_write_query(w->txn, w->conn, query, &options, &written, err));
    w->files_added += written.files;
    w->bytes_added += written.bytes;
    w->rows_written += written.rows - w->rows_copied;
out:
    return rc;
}

static Status write_changes(TableRewrite *w, const char *changes, Error *err)
{
    Status rc = OK;
    DeltaWriteOptions options = {.change_data = true};
    DeltaWriteResult written = {0};

    TRY(delta_write_query(w->txn, w->conn, changes, &options, &written, err));
    w->change_files = written.files;
out:
    return rc;
}

Status table_rewrite_apply(TableRewrite *w, const char *rows, const char *changes, Error *err)
{
    Status rc = OK;
    Partials partials = {0};
    DeltaScan *scan = NULL;
    Text query = TEXT(TEXT_SQL_MAX);

    for (size_t i = 0; i < w->n_files; i++) {
        if (w->whole[i] || w->marked[i] != NULL) {
            TRY(sort_file(w, i, &partials, err));
        }
    }
    bool copies = partials.n > 0 && !w->vectors;
    if (partials.n > 0 && w->vectors) {
        TRY(write_vectors(w, &partials, err));
    }
    if (copies) {
        TRY(survivors(w, &partials, &scan, &query, err));
    }
    if (rows != NULL) {
        text_append(&query, copies ? " UNION ALL " : "");
        text_append(&query, rows);
    }
    if (query.length > 0) {
        TRY(write_rows(w, text_str(&query), err));
    }
    /* removed files and larger deletion vectors tell of deleted rows by themselves; copies and new rows do not */
    if (changes != NULL && w->feed && (copies || rows != NULL)) {
        TRY(write_changes(w, changes, err));
    }
out:
    text_free(&query);
    delta_scan_free(scan);
    partials_free(&partials);
    return rc;
}

/* ---- commit ---- */

void table_rewrite_metric(TableRewrite *w, const char *key, int64_t value)
{
    delta_transaction_metric(w->txn, key, value);
}

void table_rewrite_file_metrics(TableRewrite *w)
{
    table_rewrite_metric(w, "numRemovedFiles", w->files_removed);
    table_rewrite_metric(w, "numRemovedBytes", w->bytes_removed);
    table_rewrite_metric(w, "numAddedFiles", w->files_added);
    table_rewrite_metric(w, "numAddedBytes", w->bytes_added);
    table_rewrite_metric(w, "numAddedChangeFiles", w->change_files);
    table_rewrite_metric(w, "numDeletionVectorsAdded", w->vectors_added + w->vectors_updated);
    table_rewrite_metric(w, "numDeletionVectorsRemoved", w->vectors_removed + w->vectors_updated);
    table_rewrite_metric(w, "numDeletionVectorsUpdated", w->vectors_updated);
}

Status table_rewrite_commit(TableRewrite *w, const char *operation, Error *err)
{
    Status rc = OK;
    int64_t version = 0, now = clock_now_ms();

    if (!w->evolved && w->files_removed + w->files_added + w->vectors_added + w->vectors_updated == 0) {
        goto out; /* nothing changed */
    }
    delta_transaction_operation(w->txn, operation);
    table_rewrite_metric(w, "executionTimeMs", now - w->began_ms);
    table_rewrite_metric(w, "scanTimeMs", w->scanned_ms - w->began_ms);
    table_rewrite_metric(w, "rewriteTimeMs", now - w->scanned_ms);
    TRY(delta_transaction_commit(w->txn, &version, err));
    delta_table_maintain(w->table, w->conn);
out:
    return rc;
}
