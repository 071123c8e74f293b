/* Columns over raw vectors, scalar functions, and the counter.
 *
 * DuckDB gives a scalar function flat vectors, so a column is a data pointer and a validity pointer. A function that
 * does not handle NULL finds the rows with a NULL argument already null in its output, and they stay so whatever it
 * does to them.
 */
#include <inttypes.h>
#include <stdatomic.h>

#include "duck/duck_int.h"

_Static_assert(sizeof(DuckString) == sizeof(duckdb_string_t), "DuckString has duckdb_string_t's layout");
_Static_assert(offsetof(DuckString, pointer.data) == offsetof(duckdb_string_t, value.pointer.ptr), "pointer");
_Static_assert(offsetof(DuckString, inlined.data) == offsetof(duckdb_string_t, value.inlined.inlined), "inlined");
_Static_assert(sizeof(DuckListEntry) == sizeof(duckdb_list_entry), "DuckListEntry has duckdb_list_entry's layout");

enum { VALIDITY_WORDS = DUCK_VECTOR_ROWS / 64 };

/* ---- columns ---- */

DuckColumn duck_column_of(duckdb_vector vector, bool writable)
{
    if (writable) {
        duckdb_vector_ensure_validity_writable(vector);
    }
    return (DuckColumn){.vector = vector,
                        .data = duckdb_vector_get_data(vector),
                        .validity = duckdb_vector_get_validity(vector),
                        .writable = writable};
}

DuckColumn duck_column_child(const DuckColumn *column, size_t index)
{
    duckdb_logical_type type = duckdb_vector_get_column_type(column->vector);
    duckdb_vector child;
    switch (duckdb_get_type_id(type)) {
    case DUCKDB_TYPE_LIST:
    case DUCKDB_TYPE_MAP: child = duckdb_list_vector_get_child(column->vector); break;
    case DUCKDB_TYPE_ARRAY: child = duckdb_array_vector_get_child(column->vector); break;
    default: child = duckdb_struct_vector_get_child(column->vector, index); break;
    }
    duckdb_destroy_logical_type(&type);
    return duck_column_of(child, column->writable);
}

Status duck_column_list_reserve(DuckColumn *column, uint64_t rows, Error *err)
{
    if (duckdb_list_vector_reserve(column->vector, rows) != DuckDBSuccess) {
        return error_set(err, E_SQL_MEMORY, "no memory for a list of %" PRIu64 " elements", rows);
    }
    duck_column_list_set_size(column, rows);
    return OK;
}

void duck_column_list_set_size(DuckColumn *column, uint64_t rows)
{
    (void)duckdb_list_vector_set_size(column->vector, rows);
}

void duck_column_set_long_string(DuckColumn *c, size_t row, const char *s, size_t n)
{
    duckdb_unsafe_vector_assign_string_element_len(c->vector, row, s, n);
}

static void settle_struct(const DuckColumn *column, const DuckType *type, size_t rows)
{
    for (size_t i = 0; i < type->n_members; i++) {
        DuckColumn child = duck_column_of(duckdb_struct_vector_get_child(column->vector, i), true);
        for (size_t row = 0; row < rows; row++) {
            if (duck_column_is_null(column, row)) {
                duck_column_set_null(&child, row);
            }
        }
        duck_column_settle_nulls(&child, type->members[i].type, rows);
    }
}

static void settle_list(const DuckColumn *column, const DuckType *type, size_t rows)
{
    DuckListEntry *entries = column->data;
    for (size_t row = 0; row < rows; row++) {
        if (duck_column_is_null(column, row)) {
            entries[row] = (DuckListEntry){0};
        }
    }
    DuckColumn child = duck_column_of(duckdb_list_vector_get_child(column->vector), true);
    /* the entries of a map are a struct of key and value that DuckType leaves out */
    const DuckType entry = {.id = DUCK_STRUCT, .members = type->members, .n_members = type->n_members};
    duck_column_settle_nulls(&child, type->id == DUCK_MAP ? &entry : type->members[0].type,
                             (size_t)duckdb_list_vector_get_size(column->vector));
}

static void settle_array(const DuckColumn *column, const DuckType *type, size_t rows)
{
    DuckColumn child = duck_column_of(duckdb_array_vector_get_child(column->vector), true);
    for (size_t i = 0; i < rows * type->array_size; i++) {
        if (duck_column_is_null(column, i / type->array_size)) {
            duck_column_set_null(&child, i);
        }
    }
    duck_column_settle_nulls(&child, type->members[0].type, rows * type->array_size);
}

void duck_column_settle_nulls(const DuckColumn *column, const DuckType *type, size_t rows)
{
    switch (type->id) {
    case DUCK_STRUCT: settle_struct(column, type, rows); break;
    case DUCK_LIST:
    case DUCK_MAP: settle_list(column, type, rows); break;
    case DUCK_ARRAY: settle_array(column, type, rows); break;
    default: break;
    }
}

/* ---- scalar functions ---- */

enum { PARAMETERS_MAX = 32 };

typedef struct ScalarEntry {
    Duck *duck;
    Arena *arena; /* of the entry itself */
    const DuckType *returns;
    bool handles_null;
    Status (*call)(const DuckScalarArgs *args, Error *err);
    void *context;
} ScalarEntry;

static void free_entry(void *entry)
{
    arena_free(((ScalarEntry *)entry)->arena);
}

/* Makes rows with a NULL argument null in the output. */
static void null_in_null_out(const DuckColumn *inputs, size_t n_inputs, DuckColumn *output, size_t rows)
{
    for (size_t i = 0; i < n_inputs; i++) {
        for (size_t word = 0; inputs[i].validity != NULL && word < (rows + 63) / 64; word++) {
            output->validity[word] &= inputs[i].validity[word];
        }
    }
}

static void run_scalar(duckdb_function_info info, duckdb_data_chunk chunk, duckdb_vector result)
{
    ScalarEntry *entry = duckdb_scalar_function_get_extra_info(info);
    DuckColumn inputs[PARAMETERS_MAX], output = duck_column_of(result, true);
    size_t n = (size_t)duckdb_data_chunk_get_column_count(chunk), rows = (size_t)duckdb_data_chunk_get_size(chunk);
    for (size_t i = 0; i < n; i++) {
        inputs[i] = duck_column_of(duckdb_data_chunk_get_vector(chunk, i), false);
    }
    if (!entry->handles_null) {
        null_in_null_out(inputs, n, &output, rows);
    }
    const DuckScalarArgs args = {
        .inputs = inputs, .n_inputs = n, .rows = rows, .output = &output, .context = entry->context};
    Error err = ERROR_NONE;
    if (entry->call(&args, &err) != OK) {
        char token[DUCK_TOKEN_TEXT];
        duck_error_keep(entry->duck, &err, token);
        duckdb_scalar_function_set_error(info, token);
        return;
    }
    if (output.constant) {
        return;
    }
    if (!entry->handles_null) {
        null_in_null_out(inputs, n, &output, rows);
    }
    duck_column_settle_nulls(&output, entry->returns, rows);
}

static Status declare(Duck *duck, const DuckScalar *scalar, duckdb_scalar_function function, Error *err)
{
    DuckConn admin = {.duck = duck, .handle = duck->admin};
    duckdb_logical_type type;
    Status rc = OK;
    for (size_t i = 0; i < scalar->n_parameters; i++) {
        TRY(duck_type_parse_logical(&admin, scalar->parameters[i], &type, err));
        duckdb_scalar_function_add_parameter(function, type);
        duckdb_destroy_logical_type(&type);
    }
    TRY(duck_type_parse_logical(&admin, scalar->returns, &type, err));
    duckdb_scalar_function_set_return_type(function, type);
    ScalarEntry *entry = NULL;
    Arena *arena = arena_new();
    entry = arena_alloc(arena, sizeof *entry);
    *entry = (ScalarEntry){.duck = duck,
                           .arena = arena,
                           .handles_null = scalar->handles_null,
                           .call = scalar->call,
                           .context = scalar->context};
    rc = duck_type_from_logical(type, arena, &entry->returns, err);
    duckdb_destroy_logical_type(&type);
    if (rc != OK) {
        arena_free(arena);
        return rc;
    }
    duckdb_scalar_function_set_name(function, scalar->name);
    duckdb_scalar_function_set_function(function, run_scalar);
    duckdb_scalar_function_set_extra_info(function, entry, free_entry);
    /* rows with NULL reach run_scalar in either case; it decides */
    duckdb_scalar_function_set_special_handling(function);
    if (scalar->is_volatile) {
        duckdb_scalar_function_set_volatile(function);
    }
out:
    return rc;
}

Status duck_register_scalar(Duck *duck, const DuckScalar *scalar, Error *err)
{
    if (scalar->n_parameters > PARAMETERS_MAX) {
        return error_set(err, E_INTERNAL, "function %s has more than %d parameters", scalar->name, PARAMETERS_MAX);
    }
    duckdb_scalar_function function = duckdb_create_scalar_function();
    pthread_mutex_lock(&duck->admin_lock);
    Status rc = declare(duck, scalar, function, err);
    if (rc == OK && duckdb_register_scalar_function(duck->admin, function) != DuckDBSuccess) {
        rc = error_set(err, E_INTERNAL, "function %s cannot be registered: is the name taken?", scalar->name);
    }
    pthread_mutex_unlock(&duck->admin_lock);
    duckdb_destroy_scalar_function(&function);
    return rc;
}

void duck_output_constant_text(DuckColumn *output, const char *s, size_t n)
{
    bool all = true;
    for (size_t i = 0; i < VALIDITY_WORDS && all; i++) {
        all = output->validity[i] == UINT64_MAX;
    }
    duckdb_value value = all ? duckdb_create_varchar_length(s, n) : NULL;
    if (value != NULL) {
        duckdb_vector_reference_value(output->vector, value);
        duckdb_destroy_value(&value);
        output->constant = true;
        return;
    }
    /* some rows are null already, or the bytes are not UTF-8 (then DuckDB shall say so): row by row */
    for (size_t row = 0; row < DUCK_VECTOR_ROWS; row++) {
        duck_column_set_string(output, row, s, n);
    }
}

void duck_output_constant_null(DuckColumn *output)
{
    memset(output->validity, 0, VALIDITY_WORDS * sizeof *output->validity);
}

/* ---- freshet_count ---- */

static Status count_rows(const DuckScalarArgs *args, Error *err)
{
    Duck *duck = args->context;
    const uint64_t *slots = args->inputs[0].data;
    const uint8_t *conditions = args->inputs[1].data;
    uint8_t *results = args->output->data;
    for (size_t row = 0; row < args->rows;) {
        /* the slot is a literal, so this is one turn */
        uint64_t slot = slots[row];
        DuckCounter *counter = duck_registry_get(duck->counters, slot, NULL);
        if (counter == NULL) {
            return error_set(err, E_INTERNAL, "freshet_count: there is no counter %" PRIu64, slot);
        }
        int64_t passed = 0, seen = 0;
        for (; row < args->rows && slots[row] == slot; row++, seen++) {
            results[row] = !duck_column_is_null(&args->inputs[1], row) && conditions[row] != 0;
            passed += results[row];
        }
        atomic_fetch_add_explicit(&counter->passed, passed, memory_order_relaxed);
        atomic_fetch_add_explicit(&counter->failed, seen - passed, memory_order_relaxed);
    }
    return OK;
}

uint64_t duck_counter_register(Duck *duck, DuckCounter *counter)
{
    return duck_registry_add(duck->counters, counter);
}

void duck_counter_drop(Duck *duck, uint64_t slot)
{
    (void)duck_registry_remove(duck->counters, slot);
}

/* ---- freshet_observe ---- */

static void widen(DuckRange *range, int64_t count, int64_t min, int64_t max, double sum)
{
    int64_t seen = atomic_load_explicit(&range->min, memory_order_relaxed);
    while (min < seen && !atomic_compare_exchange_weak(&range->min, &seen, min)) {
    }
    seen = atomic_load_explicit(&range->max, memory_order_relaxed);
    while (max > seen && !atomic_compare_exchange_weak(&range->max, &seen, max)) {
    }
    double total = atomic_load_explicit(&range->sum, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&range->sum, &total, total + sum)) {
    }
    atomic_fetch_add_explicit(&range->count, count, memory_order_relaxed);
}

static Status observe_rows(const DuckScalarArgs *args, Error *err)
{
    Duck *duck = args->context;
    const uint64_t *slots = args->inputs[0].data;
    const int64_t *values = args->inputs[1].data;
    uint8_t *results = args->output->data;
    for (size_t row = 0; row < args->rows;) {
        uint64_t slot = slots[row];
        DuckRange *range = duck_registry_get(duck->counters, slot, NULL);
        if (range == NULL) {
            return error_set(err, E_INTERNAL, "freshet_observe: there is no range %" PRIu64, slot);
        }
        int64_t count = 0, min = INT64_MAX, max = INT64_MIN;
        double sum = 0;
        for (; row < args->rows && slots[row] == slot; row++) {
            results[row] = true;
            if (!duck_column_is_null(&args->inputs[1], row)) {
                count++;
                min = values[row] < min ? values[row] : min;
                max = values[row] > max ? values[row] : max;
                sum += (double)values[row];
            }
        }
        widen(range, count, min, max, sum);
    }
    return OK;
}

uint64_t duck_range_register(Duck *duck, DuckRange *range)
{
    return duck_registry_add(duck->counters, range);
}

void duck_range_drop(Duck *duck, uint64_t slot)
{
    (void)duck_registry_remove(duck->counters, slot);
}

Status duck_functions_init(Duck *duck, Error *err)
{
    static const char *const PARAMETERS[] = {"UBIGINT", "BOOLEAN"}, *const OBSERVED[] = {"UBIGINT", "BIGINT"};
    const DuckScalar count = {.name = "freshet_count",
                              .parameters = PARAMETERS,
                              .n_parameters = 2,
                              .returns = "BOOLEAN",
                              .is_volatile = true,
                              .handles_null = true,
                              .call = count_rows,
                              .context = duck};
    const DuckScalar observe = {.name = "freshet_observe",
                                .parameters = OBSERVED,
                                .n_parameters = 2,
                                .returns = "BOOLEAN",
                                .is_volatile = true,
                                .handles_null = true,
                                .call = observe_rows,
                                .context = duck};
    Status rc = OK;
    TRY(duck_register_scalar(duck, &count, err));
    TRY(duck_register_scalar(duck, &observe, err));
    TRY(duck_relation_init(duck, err));
out:
    return rc;
}
