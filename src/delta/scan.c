#include "delta/scan.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "delta/partition.h"
#include "delta/property_int.h"
#include "delta/protocol_int.h"
#include "delta/scan_int.h"
#include "delta/schema_int.h"
#include "delta/stats.h"
#include "delta/table_int.h"
#include "delta/transaction_int.h"
#include "delta/variant.h"
#include "delta/write.h"

const char *delta_scan_sql(const DeltaScan *scan)
{
    return text_str(&scan->sql);
}

size_t delta_scan_files(const DeltaScan *scan)
{
    return scan->total;
}

int64_t delta_scan_bytes(const DeltaScan *scan)
{
    return scan->bytes;
}

void delta_scan_free(DeltaScan *scan)
{
    if (!scan) {
        return;
    }
    delta_scan_slices_free(scan->slices);
    delta_scan_withdraw(scan->handle);
    for (size_t i = 0; i < scan->n_files; i++) {
        delta_bitmap_free(atomic_load(&scan->files[i].deleted));
        delta_bitmap_free(atomic_load(&scan->files[i].excepted));
    }
    delta_table_close(scan->table);
    mem_free(scan->files);
    text_free(&scan->sql);
    arena_free(scan->arena);
    mem_free(scan);
}

/* A compressed row, where nobody says how many rows a file has. */
enum { ROW_BYTES_GUESS = 20 };

DeltaScan *delta_scan_new(DeltaTable *table, const ScanColumns *columns)
{
    DeltaScan *scan = mem_alloc(sizeof *scan);

    scan->arena = arena_new();
    scan->table = delta_table_ref(table);
    scan->n_columns = columns->n_partition_columns;
    scan->sql = TEXT(TEXT_SQL_MAX);
    return scan;
}

/* ---- what the columns are ---- */

static bool has_instants(const DeltaType *type)
{
    bool any = type->id == DELTA_TIMESTAMP;

    for (size_t i = 0; i < type->n_fields && !any; i++) {
        any = has_instants(type->fields[i].type);
    }
    return any;
}

/* Is the session in UTC? Asked only where it matters. */
static Status read_zone(DuckConn *conn, ScanColumns *columns, Error *err)
{
    static const char *const UTC[] = {"UTC", "Etc/UTC", "Etc/UCT", "UCT", "Zulu", "Etc/Zulu", "GMT", "Etc/GMT"};
    Status rc = OK;
    DuckResult *result = NULL;
    bool instants = false, more = false;

    columns->utc = true;
    for (size_t i = 0; i < columns->schema->n_fields && !instants; i++) {
        instants = has_instants(columns->schema->fields[i].type);
    }
    if (!instants) {
        return OK;
    }
    TRY(duck_query(conn, "SELECT current_setting('TimeZone')", &result, err));
    TRY(duck_result_next(result, &more, err));
    columns->utc = false;
    for (size_t i = 0; more && i < sizeof UTC / sizeof *UTC; i++) {
        size_t n = 0;
        const char *zone = duck_result_text(result, 0, &n);
        columns->utc |= zone && n == strlen(UTC[i]) && strncmp(zone, UTC[i], n) == 0;
    }
out:
    duck_result_free(result);
    return rc;
}

static Status read_columns(const DeltaScanSource *source, DuckConn *conn, ScanColumns *out, Error *err)
{
    Status rc = OK;
    const char *mapping = source->column_mapping;

    if (mapping && !str_ieq(mapping, "none") && !str_ieq(mapping, "name") && !str_ieq(mapping, "id")) {
        return error_set(err, E_DELTA_SCHEMA, "%s: delta.columnMapping.mode is '%s', not 'none', 'name' or 'id'",
                         delta_table_uri(source->table), mapping);
    }

    *out = (ScanColumns){.schema = source->schema,
                         .partition_columns = source->partition_columns,
                         .n_partition_columns = source->n_partition_columns,
                         .mapping = !mapping || str_ieq(mapping, "none") ? SCAN_BY_NAME
                                    : str_ieq(mapping, "id")             ? SCAN_BY_ID
                                                                         : SCAN_BY_PHYSICAL_NAME};
    TRY(delta_scan_check_schema(out, delta_table_uri(source->table), err));
    TRY(read_zone(conn, out, err));
out:
    return rc;
}

/* ---- what the files are ---- */

/* The texts of the partition values, checked. `value_of` gives the log's text for a partition column. */
static Status add_constants(DeltaScan *scan, const ScanColumns *columns, ScanFile *file, const char *const *values,
                            Error *err)
{
    Status rc = OK;
    Text text = TEXT(1 << 20);

    file->constants = arena_alloc(scan->arena, (columns->n_partition_columns + 1) * sizeof *file->constants);
    for (size_t i = 0; i < columns->n_partition_columns; i++) {
        const DeltaField *field = delta_schema_find(columns->schema, columns->partition_columns[i]);
        bool is_null = true;
        if (!field) {
            continue; /* a reader that was planned before the column came */
        }
        text_clear(&text);
        if ((rc = delta_partition_text(field->type, values[i], &text, &is_null, err)) != OK) {
            (void)error_context(err, "data file %s: column \"%s\"", file->place, field->name);
            goto out;
        }
        file->constants[i] = is_null ? NULL : arena_strdup(scan->arena, text_str(&text));
    }
out:
    text_free(&text);
    return rc;
}

static DeltaDeletionVector *copy_deletion_vector(Arena *arena, const DeltaDeletionVector *dv)
{
    DeltaDeletionVector *copy = arena_alloc(arena, sizeof *copy);

    *copy = *dv;
    copy->path_or_inline = arena_strdup(arena, dv->path_or_inline);
    return copy;
}

/* `rows`: -1 where the log has not been asked. */
static Status add_file(DeltaScan *scan, const ScanColumns *columns, const char *path, int64_t size, int64_t rows,
                       const char *const *values, const DeltaDeletionVector *dv, Error *err)
{
    Status rc = OK;
    Text place = TEXT(64 << 10);
    ScanFile file = {.deletion_vector = NULL};

    TRY(delta_file_location(scan->table, path, &place, err));
    file.place = arena_strdup(scan->arena, text_str(&place));
    TRY(add_constants(scan, columns, &file, values, err));
    if (dv) {
        file.deletion_vector = copy_deletion_vector(scan->arena, dv);
        scan->has_deletion_vectors = true;
    }
    scan->files = mem_grow(scan->files, scan->n_files, &scan->capacity, sizeof *scan->files);
    scan->files[scan->n_files++] = file;
    scan->total++;
    scan->bytes = delta_sum(scan->bytes, size);
    scan->rows = delta_sum(scan->rows, rows >= 0 ? rows : 1 + size / ROW_BYTES_GUESS);
out:
    text_free(&place);
    return rc;
}

/* Under column mapping the log's keys are physical names; old logs that gained a mapping later are forgiven. */
static const char *partition_key(const ScanColumns *columns, size_t i)
{
    const DeltaField *field = delta_schema_find(columns->schema, columns->partition_columns[i]);

    return field ? delta_scan_stored_name(columns, field) : columns->partition_columns[i];
}

/* How the files keep their variants. */
static Status look_at_variants(DeltaScan *scan, ScanColumns *columns, Error *err)
{
    Status rc = OK;
    size_t logical = 0, plain = 0;

    for (size_t i = 0; i < scan->n_files; i++) {
        DeltaVariantForm form = DELTA_VARIANT_ABSENT;
        TRY(delta_variant_form(scan->files[i].place, &form, err));
        if (form == DELTA_VARIANT_TYPED) {
            TRY(error_set(
                err, E_DELTA_TYPE,
                "data file %s: its variants are shredded but lack Parquet's logical type VARIANT, a form that "
                "this freshet does not read",
                scan->files[i].place));
        }
        scan->files[i].plain_variants = form == DELTA_VARIANT_PLAIN;
        plain += form == DELTA_VARIANT_PLAIN;
        logical += form == DELTA_VARIANT_LOGICAL;
    }
    columns->variants = plain == 0 ? SCAN_VARIANTS_LOGICAL : logical == 0 ? SCAN_VARIANTS_PLAIN : SCAN_VARIANTS_MIXED;
out:
    return rc;
}

Status delta_scan_finish(DeltaScan *scan, ScanColumns *columns, Error *err)
{
    Status rc = OK;

    TRY(delta_scan_check_files(scan, columns, err));
    if (delta_schema_has_variant(columns->schema)) {
        TRY(look_at_variants(scan, columns, err));
    }
    scan->handle = columns->handle = delta_scan_publish(scan);
    TRY(delta_scan_write_sql(scan, columns, err));
out:
    return rc;
}

/* `except` NULL: the rows that no deletion vector hides; else those that it hides, but for the ones of except[i]. */
static Status scan_files(const DeltaScanSource *source, DuckConn *conn, const DeltaFile *files,
                         const DeltaDeletionVector *const *except, size_t n, DeltaScan **out, Error *err)
{
    Status rc = OK;
    ScanColumns columns;
    DeltaScan *scan = NULL;
    const char **values = mem_alloc((source->n_partition_columns + 1) * sizeof *values);

    TRY(read_columns(source, conn, &columns, err));
    scan = delta_scan_new(source->table, &columns);
    scan->difference = except != NULL;
    for (size_t i = 0; i < n; i++) {
        for (size_t p = 0; p < columns.n_partition_columns; p++) {
            values[p] = delta_pair_get(files[i].partition_values, files[i].n_partition_values,
                                       partition_key(&columns, p));
        }
        const DeltaBitmap *deleted = source->deleted ? source->deleted[i] : NULL;
        int64_t rows = files[i].stats ? delta_stats_records(files[i].stats) : -1;
        TRY(add_file(scan, &columns, files[i].path, files[i].size, rows, values,
                     deleted ? NULL : files[i].deletion_vector, err));
        if (deleted) {
            atomic_store(&scan->files[i].deleted, delta_bitmap_copy(deleted));
            scan->has_deletion_vectors = true;
        }
        if (except && except[i]) {
            scan->files[i].except = copy_deletion_vector(scan->arena, except[i]);
        }
    }
    scan->row_address = source->row_address;
    if (delta_scan_is_sliced(&columns, n)) {
        TRY(delta_scan_slice(scan, &columns, NULL, NULL, "", conn, err));
    } else {
        TRY(delta_scan_finish(scan, &columns, err));
    }
    *out = scan;
    scan = NULL;
out:
    mem_free(values);
    delta_scan_free(scan);
    return rc;
}

Status delta_scan_list(const DeltaScanSource *source, DuckConn *conn, const DeltaFile *files, size_t n, DeltaScan **out,
                       Error *err)
{
    return scan_files(source, conn, files, NULL, n, out, err);
}

Status delta_scan_difference(const DeltaScanSource *source, DuckConn *conn, const DeltaFile *files,
                             const DeltaDeletionVector *const *except, size_t n, DeltaScan **out, Error *err)
{
    return scan_files(source, conn, files, except, n, out, err);
}

/* ---- a snapshot ---- */

enum {
    COLUMN_PATH,
    COLUMN_SIZE,
    COLUMN_DV_TYPE,
    COLUMN_DV_TEXT,
    COLUMN_DV_OFFSET,
    COLUMN_DV_SIZE,
    COLUMN_DV_ROWS,
    COLUMN_BASE_ROW_ID,
    COLUMN_ROW_VERSION,
    COLUMN_VALUES
};

/* The files to read: facts first, then one column per partition value. */
static Status files_sql(DeltaSnapshot *snapshot, const ScanColumns *columns, const DeltaPredicate *predicates, size_t n,
                        Text *out, Error *err)
{
    Status rc = OK;
    Text files = TEXT(TEXT_SQL_MAX), facts = TEXT(TEXT_SQL_MAX), where = TEXT(TEXT_SQL_MAX);

    TRY(delta_snapshot_files_sql(snapshot, &files, err));
    delta_skip_sql(columns, predicates, n, &facts, &where);
    text_append(
        out, "SELECT path, size, dv.storage_type, dv.path_or_inline, dv.\"offset\", dv.size_bytes, dv.cardinality, ");
    text_append(out, columns->row_ids ? "base_row_id, default_row_commit_version" : "NULL, NULL");
    for (size_t i = 0; i < columns->n_partition_columns; i++) {
        text_append(out, ", map_extract_value(partition_values, ");
        text_append_sql_string(out, partition_key(columns, i));
        text_append(out, ")");
    }
    text_append(out, " FROM (SELECT *");
    text_append(out, text_str(&facts));
    text_append(out, " FROM (");
    text_append(out, text_str(&files));
    text_append(out, "))");
    text_append(out, text_str(&where));
out:
    text_free(&files);
    text_free(&facts);
    text_free(&where);
    return rc;
}

static const char *row_text(const DuckResult *row, size_t column, Arena *arena)
{
    size_t n = 0;
    const char *text = duck_result_text(row, column, &n);

    return text ? arena_strndup(arena, text, n) : NULL;
}

static int64_t number_or_none(const DuckResult *row, size_t column)
{
    return duck_result_is_null(row, column) ? -1 : duck_result_i64(row, column);
}

Status delta_scan_add_row(DeltaScan *scan, const ScanColumns *columns, const DuckResult *row, Arena *scratch,
                          Error *err)
{
    const char **values = arena_alloc(scratch, (columns->n_partition_columns + 1) * sizeof *values);
    DeltaDeletionVector dv = {0};

    for (size_t i = 0; i < columns->n_partition_columns; i++) {
        values[i] = row_text(row, COLUMN_VALUES + i, scratch);
    }
    if (!duck_result_is_null(row, COLUMN_DV_TYPE)) {
        const char *type = row_text(row, COLUMN_DV_TYPE, scratch), *text = row_text(row, COLUMN_DV_TEXT, scratch);
        dv = (DeltaDeletionVector){.storage_type = type[0],
                                   .path_or_inline = text ? text : "",
                                   .has_offset = !duck_result_is_null(row, COLUMN_DV_OFFSET),
                                   .offset = (int32_t)duck_result_i64(row, COLUMN_DV_OFFSET),
                                   .size_bytes = (int32_t)duck_result_i64(row, COLUMN_DV_SIZE),
                                   .cardinality = duck_result_i64(row, COLUMN_DV_ROWS)};
    }
    Status rc = OK;
    TRY(add_file(scan, columns, row_text(row, COLUMN_PATH, scratch), duck_result_i64(row, COLUMN_SIZE), -1, values,
                 dv.storage_type ? &dv : NULL, err));
    if (columns->row_ids) {
        ScanFile *file = &scan->files[scan->n_files - 1];
        file->base_row_id = number_or_none(row, COLUMN_BASE_ROW_ID);
        file->default_row_commit_version = number_or_none(row, COLUMN_ROW_VERSION);
    }
out:
    return rc;
}

/* Lets go of the files of a scan that will be read in slices: from here on they are only counted. */
static void forget_files(DeltaScan *scan)
{
    mem_free(scan->files);
    arena_free(scan->arena);
    scan->files = NULL;
    scan->n_files = scan->capacity = 0;
    scan->arena = arena_new();
}

static void count_row(DeltaScan *scan, const DuckResult *row)
{
    int64_t size = duck_result_i64(row, COLUMN_SIZE);

    scan->total++;
    scan->bytes = delta_sum(scan->bytes, size);
    scan->rows = delta_sum(scan->rows, 1 + size / ROW_BYTES_GUESS);
}

/* Takes in the files of the query, or counts them where they are too many to be read at once. */
static Status add_rows(DeltaScan *scan, const ScanColumns *columns, DuckConn *conn, const char *sql, Error *err)
{
    Status rc = OK;
    DuckResult *rows = NULL;
    Arena *scratch = NULL;
    bool more = false;

    TRY(duck_query_stream(conn, sql, &rows, err));
    for (size_t i = 0;; i++) {
        if (i % 1024 == 0) {
            arena_free(scratch);
            scratch = arena_new();
        }
        TRY(duck_result_next(rows, &more, err));
        if (!more) {
            break;
        }
        if (delta_scan_is_sliced(columns, i + 1)) {
            forget_files(scan);
            count_row(scan, rows);
        } else {
            TRY(delta_scan_add_row(scan, columns, rows, scratch, err));
        }
    }
out:
    arena_free(scratch);
    duck_result_free(rows);
    return rc;
}

static const char *mapping_mode(const DeltaSnapshot *snapshot)
{
    const DeltaProtocol *protocol = delta_snapshot_protocol(snapshot);
    const char *mode = delta_snapshot_property(snapshot, "delta.columnMapping.mode");

    return mode && delta_protocol_supports(protocol, "columnMapping") ? mode : "none";
}

DeltaScanSource delta_scan_source(const DeltaSnapshot *snapshot)
{
    const DeltaMetadata *metadata = delta_snapshot_metadata(snapshot);

    return (DeltaScanSource){.table = delta_snapshot_table(snapshot),
                             .schema = delta_snapshot_schema(snapshot),
                             .partition_columns = metadata->partition_columns,
                             .n_partition_columns = metadata->n_partition_columns,
                             .column_mapping = mapping_mode(snapshot)};
}

Status delta_scan_check_ids(const DeltaSnapshot *snapshot, Error *err)
{
    bool tracked = delta_protocol_supports(delta_snapshot_protocol(snapshot), "rowTracking") &&
                   delta_property_bool(delta_snapshot_metadata(snapshot), "delta.enableRowTracking");

    if (!tracked) {
        error_set(err, E_DELTA_ROW_TRACKING, "%s has no row tracking at version %" PRId64 ", so its rows have no ids",
                  delta_table_uri(delta_snapshot_table(snapshot)), delta_snapshot_version(snapshot));
        error_hint(err, "ALTER TABLE ... SET TBLPROPERTIES ('delta.enableRowTracking' = 'true') gives all rows an id");
        return error_status(err);
    }
    return OK;
}

/* Says in which columns rows keep their ids. */
static void add_row_ids(const DeltaSnapshot *snapshot, ScanColumns *columns)
{
    columns->row_ids = true;
    columns->row_id_name = delta_snapshot_property(snapshot, DELTA_ROW_ID_COLUMN);
    columns->row_version_name = delta_snapshot_property(snapshot, DELTA_ROW_VERSION_COLUMN);
}

static Status scan_snapshot(DeltaSnapshot *snapshot, DuckConn *conn, const DeltaPredicate *predicates, size_t n,
                            bool row_ids, DeltaScan **out, Error *err)
{
    Status rc = OK;
    DeltaScanSource source = delta_scan_source(snapshot);
    ScanColumns columns;
    DeltaScan *scan = NULL;
    Text sql = TEXT(TEXT_SQL_MAX), where = TEXT(TEXT_SQL_MAX);

    TRY(read_columns(&source, conn, &columns, err));
    delta_skip_rows_sql(&columns, predicates, n, &where);
    if (row_ids) {
        TRY(delta_scan_check_ids(snapshot, err));
        add_row_ids(snapshot, &columns);
    }
    scan = delta_scan_new(source.table, &columns);
    TRY(files_sql(snapshot, &columns, predicates, n, &sql, err));
    rc = add_rows(scan, &columns, conn, text_str(&sql), err);
    if (rc == ERR_INVALID && n > 0) { /* a condition that does not run decides nothing: read all files */
        error_clear(err);
        delta_scan_free(scan);
        scan = delta_scan_new(source.table, &columns);
        text_clear(&sql);
        text_clear(&where);
        TRY(files_sql(snapshot, &columns, NULL, 0, &sql, err));
        rc = add_rows(scan, &columns, conn, text_str(&sql), err);
    }
    if (rc != OK) {
        goto out;
    }
    if (delta_scan_is_sliced(&columns, scan->total)) {
        TRY(delta_scan_slice(scan, &columns, snapshot, text_str(&sql), text_str(&where), conn, err));
    } else {
        TRY(delta_scan_finish(scan, &columns, err));
    }
    *out = scan;
    scan = NULL;
out:
    text_free(&sql);
    text_free(&where);
    delta_scan_free(scan);
    return rc;
}

Status delta_scan_snapshot(DeltaSnapshot *snapshot, DuckConn *conn, const DeltaPredicate *predicates, size_t n,
                           DeltaScan **out, Error *err)
{
    return scan_snapshot(snapshot, conn, predicates, n, false, out, err);
}

Status delta_scan_snapshot_ids(DeltaSnapshot *snapshot, DuckConn *conn, const DeltaPredicate *predicates, size_t n,
                               DeltaScan **out, Error *err)
{
    return scan_snapshot(snapshot, conn, predicates, n, true, out, err);
}

/* ---- files as values ---- */

typedef struct Candidates {
    Arena *arena;
    DeltaFile *files;
    size_t n, capacity;
} Candidates;

static Status add_candidate(void *context, const DeltaFile *file, Error *err)
{
    Candidates *c = context;

    (void)err;
    c->files = mem_grow(c->files, c->n, &c->capacity, sizeof *c->files);
    c->files[c->n++] = delta_file_copy(c->arena, file);
    return OK;
}

static Status skipped_candidates(DeltaSnapshot *snapshot, DuckConn *conn, const DeltaPredicate *predicates, size_t n,
                                 Candidates *c, Error *err)
{
    Status rc = OK;
    DeltaScanSource source = delta_scan_source(snapshot);
    ScanColumns columns;
    Text sql = TEXT(TEXT_SQL_MAX), facts = TEXT(TEXT_SQL_MAX), where = TEXT(TEXT_SQL_MAX);

    TRY(read_columns(&source, conn, &columns, err));
    delta_skip_sql(&columns, predicates, n, &facts, &where);
    text_append(&sql, "SELECT *");
    text_append(&sql, text_str(&facts));
    text_append(&sql, " FROM (");
    TRY(delta_snapshot_files_sql(snapshot, &sql, err));
    text_append(&sql, ")");
    TRY(delta_snapshot_each_row(conn, text_str(&sql), text_str(&where), add_candidate, c, err));
out:
    text_free(&sql);
    text_free(&facts);
    text_free(&where);
    return rc;
}

Status delta_scan_candidates(DeltaSnapshot *snapshot, DuckConn *conn, const DeltaPredicate *predicates, size_t n,
                             Arena *arena, DeltaFile **files, size_t *n_files, Error *err)
{
    Status rc = ERR_INVALID;
    Candidates c = {.arena = arena};

    if (n > 0) {
        rc = skipped_candidates(snapshot, conn, predicates, n, &c, err);
    }
    if (rc == ERR_INVALID) { /* nothing to skip by, or a condition that does not run: all of them */
        error_clear(err);
        c.n = 0;
        rc = delta_snapshot_each_file(snapshot, conn, add_candidate, &c, err);
    }
    if (rc == OK) {
        *files = arena_alloc(arena, (c.n + 1) * sizeof **files);
        if (c.n > 0) {
            memcpy(*files, c.files, c.n * sizeof **files);
        }
        *n_files = c.n;
    }
    mem_free(c.files);
    return rc;
}
