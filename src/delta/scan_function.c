/* The functions a scan's SQL calls: constants per file, rows that are not deleted, variants that can be trusted. (Those of
 * row ids are in scan_ids.c.)
 *
 * SQL knows a scan by a number. Scans are published before their statement runs and withdrawn after it, so a function
 * that has found its scan may use it to the end of the call.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "delta/constraint.h"
#include "delta/scan_int.h"
#include "delta/schema_int.h"
#include "delta/variant.h"
#include "duck/function.h"
#include "duck/parquet.h"

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
enum { BLAMED_FILES_MAX = 10000 };

static DeltaScan **published; /* slot = handle - 1; NULL = free */
static size_t n_slots;

uint64_t delta_scan_publish(DeltaScan *scan)
{
    size_t slot = 0;

    pthread_rwlock_wrlock(&lock);
    while (slot < n_slots && published[slot]) {
        slot++;
    }
    if (slot == n_slots) {
        size_t larger = n_slots ? 2 * n_slots : 16;
        published = mem_realloc(published, larger * sizeof(DeltaScan *));
        memset(published + n_slots, 0, (larger - n_slots) * sizeof(DeltaScan *));
        n_slots = larger;
    }
    published[slot] = scan;
    pthread_rwlock_unlock(&lock);
    return slot + 1;
}

void delta_scan_withdraw(uint64_t handle)
{
    if (handle > 0) {
        pthread_rwlock_wrlock(&lock);
        published[handle - 1] = NULL;
        pthread_rwlock_unlock(&lock);
    }
}

DeltaScan *delta_scan_find(uint64_t handle)
{
    DeltaScan *scan;

    pthread_rwlock_rdlock(&lock);
    scan = handle > 0 && handle <= n_slots ? published[handle - 1] : NULL;
    pthread_rwlock_unlock(&lock);
    return scan;
}

/* Some statement met a damaged Parquet file: of which of the scans that are read is it? */
static void blame_file(Duck *duck, Error *err)
{
    Arena *arena = arena_new();
    const char **places = NULL;
    size_t n = 0, capacity = 0;

    pthread_rwlock_rdlock(&lock);
    for (size_t slot = 0; slot < n_slots; slot++) {
        const DeltaScan *scan = published[slot];
        bool read = scan && delta_table_duck(scan->table) == duck;
        for (size_t i = 0; read && i < scan->n_files && n < BLAMED_FILES_MAX; i++) {
            places = mem_grow(places, n, &capacity, sizeof *places);
            places[n++] = arena_strdup(arena, scan->files[i].place);
        }
    }
    pthread_rwlock_unlock(&lock);
    size_t damaged = parquet_find_damaged(duck, places, n);
    if (damaged < n) {
        (void)error_context(err, "data file %s", places[damaged]);
    }
    mem_free(places);
    arena_free(arena);
}

static Status no_scan(Error *err)
{
    return error_set(err, E_SQL_RUN, "this query refers to a scan of a table that has ended");
}

/* A chunk nearly always comes from one file. */
static bool one_file(const uint64_t *files, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (files[i] != files[0]) {
            return false;
        }
    }
    return true;
}

/* freshet_const(scan, partition column, file_index): the file's value as text */
static Status call_const(const DuckScalarArgs *args, Error *err)
{
    const DeltaScan *scan = args->rows ? delta_scan_find(((const uint64_t *)args->inputs[0].data)[0]) : NULL;
    const uint64_t *files = args->inputs[2].data;
    uint32_t column = args->rows ? ((const uint32_t *)args->inputs[1].data)[0] : 0;

    if (args->rows == 0) {
        return OK;
    }
    if (!scan) {
        return no_scan(err);
    }
    bool constant = one_file(files, args->rows);
    for (size_t i = 0; i < (constant ? 1 : args->rows); i++) {
        if (files[i] >= scan->n_files || column >= scan->n_columns) {
            return no_scan(err);
        }
        const char *text = scan->files[files[i]].constants[column];
        if (constant && text) {
            duck_output_constant_text(args->output, text, strlen(text));
        } else if (constant) {
            duck_output_constant_null(args->output);
        } else if (text) {
            duck_column_set_string(args->output, i, text, strlen(text));
        } else {
            duck_column_set_null(args->output, i);
        }
    }
    return OK;
}

/* A deletion vector of the file, read by whichever thread needs it first; NULL without vector. */
static Status vector_rows(const DeltaScan *scan, const ScanFile *file, const DeltaDeletionVector *dv,
                          _Atomic(DeltaBitmap *) *loaded, const DeltaBitmap **out, Error *err)
{
    Status rc = OK;
    DeltaBitmap *bitmap = atomic_load_explicit(loaded, memory_order_acquire), *first = NULL;

    if (!bitmap && dv) {
        if ((rc = delta_dv_load(scan->table, dv, &bitmap, err)) != OK) {
            (void)error_context(err, "data file %s", file->place);
            return rc;
        }
        if (!atomic_compare_exchange_strong(loaded, &first, bitmap)) {
            delta_bitmap_free(bitmap);
            bitmap = first;
        }
    }
    *out = bitmap;
    return rc;
}

/* Of a run of rows of one file: are they wanted? */
static Status keep_rows(DeltaScan *scan, ScanFile *file, const int64_t *rows, size_t n, bool *keep, Error *err)
{
    Status rc = OK;
    const DeltaBitmap *deleted = NULL, *excepted = NULL;

    TRY(vector_rows(scan, file, file->deletion_vector, &file->deleted, &deleted, err));
    if (deleted) {
        delta_bitmap_keep(deleted, rows, n, keep);
    } else {
        memset(keep, true, n);
    }
    if (!scan->difference) {
        goto out;
    }
    TRY(vector_rows(scan, file, file->except, &file->excepted, &excepted, err));
    for (size_t i = 0; i < n; i++) {
        keep[i] = !keep[i] && !(excepted && delta_bitmap_contains(excepted, (uint64_t)rows[i]));
    }
out:
    return rc;
}

/* freshet_keep(scan, file_index, file_row_number): is the row still there? */
static Status call_keep(const DuckScalarArgs *args, Error *err)
{
    Status rc = OK;
    DeltaScan *scan = args->rows ? delta_scan_find(((const uint64_t *)args->inputs[0].data)[0]) : NULL;
    const uint64_t *files = args->inputs[1].data;
    const int64_t *rows = args->inputs[2].data;
    bool *keep = args->output->data;

    for (size_t start = 0, end; start < args->rows; start = end) {
        for (end = start + 1; end < args->rows && files[end] == files[start]; end++) {
        }
        if (!scan || files[start] >= scan->n_files) {
            return no_scan(err);
        }
        TRY(keep_rows(scan, &scan->files[files[start]], rows + start, end - start, keep + start, err));
    }
out:
    return rc;
}

/* freshet_plain(scan, file_index): are the file's variants two binaries? */
static Status call_plain(const DuckScalarArgs *args, Error *err)
{
    const DeltaScan *scan = args->rows ? delta_scan_find(((const uint64_t *)args->inputs[0].data)[0]) : NULL;
    const uint64_t *files = args->inputs[1].data;
    bool *plain = args->output->data;

    for (size_t i = 0; i < args->rows; i++) {
        if (!scan || files[i] >= scan->n_files) {
            return no_scan(err);
        }
        plain[i] = scan->files[files[i]].plain_variants;
    }
    return OK;
}

/* freshet_variant(scan, file_index, metadata, value): both behind each other, as variant_bytes_to_variant takes them,
 * once it is sure that they are a variant */
static Status call_variant(const DuckScalarArgs *args, Error *err)
{
    const DeltaScan *scan = args->rows ? delta_scan_find(((const uint64_t *)args->inputs[0].data)[0]) : NULL;
    const uint64_t *files = args->inputs[1].data;
    const DuckString *metadata = args->inputs[2].data, *values = args->inputs[3].data;
    Text bytes = TEXT(SIZE_MAX);
    Status rc = OK;

    for (size_t i = 0; i < args->rows; i++) {
        if (duck_column_is_null(args->output, i)) {
            continue;
        }
        if (!scan || files[i] >= scan->n_files) {
            rc = no_scan(err);
            break;
        }
        const char *names = duck_string_data(&metadata[i]), *value = duck_string_data(&values[i]);
        size_t n_names = duck_string_length(&metadata[i]), n_value = duck_string_length(&values[i]);
        rc = delta_variant_check((const uint8_t *)names, n_names, (const uint8_t *)value, n_value, err);
        if (rc != OK) {
            (void)error_context(err, "data file %s", scan->files[files[i]].place);
            break;
        }
        text_clear(&bytes);
        text_append_n(&bytes, names, n_names);
        text_append_n(&bytes, value, n_value);
        duck_column_set_string(args->output, i, text_str(&bytes), bytes.length);
    }
    text_free(&bytes);
    return rc;
}

/* freshet_whole(metadata, value): the value, once it is sure that readers take it as a variant */
static Status call_whole(const DuckScalarArgs *args, Error *err)
{
    const DuckString *metadata = args->inputs[0].data, *values = args->inputs[1].data;

    for (size_t i = 0; i < args->rows; i++) {
        if (duck_column_is_null(args->output, i)) {
            continue;
        }
        const char *names = duck_string_data(&metadata[i]), *value = duck_string_data(&values[i]);
        size_t n_names = duck_string_length(&metadata[i]), n_value = duck_string_length(&values[i]);
        Status rc = delta_variant_check((const uint8_t *)names, n_names, (const uint8_t *)value, n_value, err);
        if (rc != OK) {
            return rc;
        }
        duck_column_set_string(args->output, i, value, n_value);
    }
    return OK;
}

typedef struct Int128 { /* DuckDB's HUGEINT */
    uint64_t lower;
    int64_t upper;
} Int128;

/* freshet_narrow(value, bits, column): the value if it fits so many bits and a sign, else an error with the column's
 * name */
static Status call_narrow(const DuckScalarArgs *args, Error *err)
{
    const Int128 *values = args->inputs[0].data;
    const DuckString *names = args->inputs[2].data;
    int64_t *out = args->output->data;

    for (size_t i = 0; i < args->rows; i++) {
        if (duck_column_is_null(&args->inputs[0], i)) {
            duck_column_set_null(args->output, i);
            continue;
        }
        int32_t bits = ((const int32_t *)args->inputs[1].data)[i];
        int64_t value = (int64_t)values[i].lower;
        bool fits = values[i].upper == (value < 0 ? -1 : 0);
        if (fits && bits < 63) {
            fits = value >> bits == (value < 0 ? -1 : 0);
        }
        if (!fits) {
            Status rc = error_set(err, E_DELTA_SCHEMA,
                                  "a value of column \"%.*s\" does not fit its type in the table (%s)",
                                  (int)duck_string_length(&names[i]), duck_string_data(&names[i]),
                                  bits == 63   ? "long"
                                  : bits == 31 ? "integer"
                                  : bits == 15 ? "short"
                                               : "byte");
            error_klass(err, "CAST_OVERFLOW_IN_TABLE_INSERT");
            error_hint(err, "the column needs a wider type, for example %s", bits == 63 ? "DECIMAL(38,0)" : "BIGINT");
            return rc;
        }
        out[i] = value;
    }
    return OK;
}

Status delta_scan_register(Duck *duck, Error *err)
{
    static const char *const CONST_TYPES[] = {"UBIGINT", "UINTEGER", "UBIGINT"};
    static const char *const KEEP_TYPES[] = {"UBIGINT", "UBIGINT", "BIGINT"};
    static const char *const BASE_TYPES[] = {"UBIGINT", "UINTEGER", "UBIGINT"};
    static const char *const PLAIN_TYPES[] = {"UBIGINT", "UBIGINT"};
    static const char *const VARIANT_TYPES[] = {"UBIGINT", "UBIGINT", "BLOB", "BLOB"};
    static const char *const WHOLE_TYPES[] = {"BLOB", "BLOB"};
    static const char *const NARROW_TYPES[] = {"HUGEINT", "INTEGER", "VARCHAR"};
    static const DuckScalar FUNCTIONS[] = {
        {.name = "freshet_const",
         .parameters = CONST_TYPES,
         .n_parameters = 3,
         .returns = "VARCHAR",
         .call = call_const},
        {.name = "freshet_keep", .parameters = KEEP_TYPES, .n_parameters = 3, .returns = "BOOLEAN", .call = call_keep},
        {.name = "freshet_row_base",
         .parameters = BASE_TYPES,
         .n_parameters = 3,
         .returns = "BIGINT",
         .call = delta_scan_call_row_base},
        {.name = "freshet_plain",
         .parameters = PLAIN_TYPES,
         .n_parameters = 2,
         .returns = "BOOLEAN",
         .call = call_plain},
        {.name = "freshet_variant",
         .parameters = VARIANT_TYPES,
         .n_parameters = 4,
         .returns = "BLOB",
         .call = call_variant},
        {.name = "freshet_whole", .parameters = WHOLE_TYPES, .n_parameters = 2, .returns = "BLOB", .call = call_whole},
        {.name = "freshet_narrow",
         .parameters = NARROW_TYPES,
         .n_parameters = 3,
         .returns = "BIGINT",
         .call = call_narrow},
    };
    Status rc = OK;

    parquet_on_damage(duck, blame_file);
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++) {
        TRY(duck_register_scalar(duck, &FUNCTIONS[i], err));
    }
    TRY(delta_constraints_register(duck, err));
out:
    return rc;
}
