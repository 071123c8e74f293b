/* freshet_relation(<handle>): a table made by C.
 *
 * bind:   the handle finds its RelationEntry, whose columns are declared;
 * init:   one Scan, the columns wanted, relation.open;
 * local:  per thread, a ThreadScan that is still empty: DuckDB does not show it the Scan here;
 * main:   on a thread's first call relation.thread_open; then relation.next fills the chunk.
 * The bind data refers to the entry, the thread's state to the scan: whatever order DuckDB lets go of them in, a scan
 * closes after its threads and an entry goes after its scans.
 */
#include <inttypes.h>
#include <stdatomic.h>

#include "duck/duck_int.h"

typedef struct RelationEntry {
    _Atomic int refs;
    _Atomic bool dropped; /* its columns and context may be gone */
    Duck *duck;
    DuckRelation relation;
} RelationEntry;

typedef struct Scan {
    _Atomic int refs;
    RelationEntry *entry;
    bool opened;
    void *user;        /* relation.open's */
    size_t *wanted;    /* columns of the relation */
    size_t *positions; /* where in the chunk each of them stands: DuckDB may ask for a virtual column besides */
    size_t n_wanted;
} Scan;

typedef struct ThreadScan {
    Scan *scan; /* NULL until the first call */
    bool opened;
    void *user; /* relation.thread_open's */
    DuckColumn *columns;
} ThreadScan;

/* ---- lifetimes ---- */

static void entry_ref(void *entry)
{
    atomic_fetch_add(&((RelationEntry *)entry)->refs, 1);
}

void duck_relation_unref(void *entry)
{
    if (atomic_fetch_sub(&((RelationEntry *)entry)->refs, 1) == 1) {
        mem_free(entry);
    }
}

static void scan_unref(void *context)
{
    Scan *scan = context;
    if (atomic_fetch_sub(&scan->refs, 1) > 1) {
        return;
    }
    if (scan->opened && scan->entry->relation.close != NULL) {
        scan->entry->relation.close(scan->user);
    }
    duck_relation_unref(scan->entry);
    mem_free(scan->wanted);
    mem_free(scan->positions);
    mem_free(scan);
}

static void thread_free(void *context)
{
    ThreadScan *thread = context;
    if (thread->scan != NULL) {
        const DuckRelation *relation = &thread->scan->entry->relation;
        if (thread->opened && relation->thread_close != NULL) {
            relation->thread_close(thread->user);
        }
        scan_unref(thread->scan);
    }
    mem_free(thread->columns);
    mem_free(thread);
}

uint64_t duck_relation_register(Duck *duck, const DuckRelation *relation)
{
    RelationEntry *entry = mem_alloc(sizeof *entry);
    entry->refs = 1;
    entry->duck = duck;
    entry->relation = *relation;
    return duck_registry_add(duck->relations, entry);
}

void duck_relation_drop(Duck *duck, uint64_t handle)
{
    RelationEntry *entry = duck_registry_remove(duck->relations, handle);
    if (entry != NULL) {
        atomic_store(&entry->dropped, true);
        duck_relation_unref(entry);
    }
}

/* ---- what DuckDB calls ---- */

static void bind_error(duckdb_bind_info info, const Error *err)
{
    char token[DUCK_TOKEN_TEXT];
    duck_error_keep(duckdb_bind_get_extra_info(info), err, token);
    duckdb_bind_set_error(info, token);
}

static Status declare_columns(duckdb_bind_info info, const DuckRelation *relation, Error *err)
{
    for (size_t i = 0; i < relation->n_columns; i++) {
        duckdb_logical_type type = duck_type_to_logical(relation->columns[i].type);
        if (type == NULL) {
            Text sql = TEXT(ERROR_TEXT_MAX / 2);
            duck_type_sql(relation->columns[i].type, &sql);
            Status rc = error_set(err, E_INTERNAL, "column %s: a relation cannot have the type %s",
                                  relation->columns[i].name, text_str(&sql));
            text_free(&sql);
            return rc;
        }
        duckdb_bind_add_result_column(info, relation->columns[i].name, type);
        duckdb_destroy_logical_type(&type);
    }
    return OK;
}

static void on_bind(duckdb_bind_info info)
{
    Duck *duck = duckdb_bind_get_extra_info(info);
    duckdb_value value = duckdb_bind_get_parameter(info, 0);
    uint64_t handle = duckdb_is_null_value(value) ? 0 : duckdb_get_uint64(value);
    duckdb_destroy_value(&value);
    Error err = ERROR_NONE;
    RelationEntry *entry = duck_registry_get(duck->relations, handle, entry_ref);
    if (entry == NULL) {
        error_set(&err, E_INTERNAL, "freshet_relation: there is no relation %" PRIu64, handle);
        bind_error(info, &err);
        return;
    }
    if (declare_columns(info, &entry->relation, &err) != OK) {
        bind_error(info, &err);
        duck_relation_unref(entry);
        return;
    }
    if (entry->relation.rows_estimate >= 0) {
        duckdb_bind_set_cardinality(info, (idx_t)entry->relation.rows_estimate, false);
    }
    duckdb_bind_set_bind_data(info, entry, duck_relation_unref);
}

static void init_error(duckdb_init_info info, const Error *err)
{
    char token[DUCK_TOKEN_TEXT];
    duck_error_keep(duckdb_init_get_extra_info(info), err, token);
    duckdb_init_set_error(info, token);
}

static void on_init(duckdb_init_info info)
{
    RelationEntry *entry = duckdb_init_get_bind_data(info);
    Error err = ERROR_NONE;
    if (atomic_load(&entry->dropped)) {
        error_set(&err, E_INTERNAL, "freshet_relation: the relation was dropped before it was read");
        init_error(info, &err);
        return;
    }
    size_t n = (size_t)duckdb_init_get_column_count(info);
    Scan *scan = mem_alloc(sizeof *scan);
    entry_ref(entry);
    scan->entry = entry;
    scan->wanted = mem_alloc((n + 1) * sizeof *scan->wanted);
    scan->positions = mem_alloc((n + 1) * sizeof *scan->positions);
    for (size_t i = 0; i < n; i++) {
        idx_t column = duckdb_init_get_column_index(info, i);
        if (column < entry->relation.n_columns) {
            scan->wanted[scan->n_wanted] = (size_t)column;
            scan->positions[scan->n_wanted++] = i;
        }
    }
    Status rc = entry->relation.open(entry->relation.context, scan->wanted, scan->n_wanted, &scan->user, &err);
    scan->opened = rc == OK;
    atomic_store(&scan->refs, 1); /* from here other threads may see it: they count themselves in first */
    if (rc != OK) {
        scan_unref(scan);
        init_error(info, &err);
        return;
    }
    duckdb_init_set_max_threads(info, entry->relation.threads_max < 1 ? 1 : (idx_t)entry->relation.threads_max);
    duckdb_init_set_init_data(info, scan, scan_unref);
}

static void on_local_init(duckdb_init_info info)
{
    duckdb_init_set_init_data(info, mem_alloc(sizeof(ThreadScan)), thread_free);
}

static Status open_thread(ThreadScan *thread, Scan *scan, Error *err)
{
    if (thread->scan == NULL) {
        atomic_fetch_add(&scan->refs, 1);
        thread->scan = scan;
        thread->columns = mem_alloc((scan->n_wanted + 1) * sizeof *thread->columns);
    }
    const DuckRelation *relation = &scan->entry->relation;
    if (relation->thread_open != NULL) {
        Status rc = relation->thread_open(scan->user, &thread->user, err);
        if (rc != OK) {
            return rc;
        }
    }
    thread->opened = true;
    return OK;
}

static Status fill(ThreadScan *thread, Scan *scan, duckdb_data_chunk chunk, Error *err)
{
    Status rc;
    if (!thread->opened && (rc = open_thread(thread, scan, err)) != OK) {
        return rc;
    }
    const DuckRelation *relation = &scan->entry->relation;
    for (size_t i = 0; i < scan->n_wanted; i++) {
        thread->columns[i] = duck_column_of(duckdb_data_chunk_get_vector(chunk, scan->positions[i]), true);
    }
    size_t rows = 0;
    if ((rc = relation->next(scan->user, thread->user, thread->columns, &rows, err)) != OK) {
        return rc;
    }
    if (rows > DUCK_VECTOR_ROWS) {
        return error_set(err, E_INTERNAL, "a relation made %zu rows at once, %d is the maximum", rows,
                         DUCK_VECTOR_ROWS);
    }
    for (size_t i = 0; i < scan->n_wanted; i++) {
        if (!thread->columns[i].referenced) {
            duck_column_settle_nulls(&thread->columns[i], relation->columns[scan->wanted[i]].type, rows);
        }
    }
    duckdb_data_chunk_set_size(chunk, rows);
    return OK;
}

static void on_chunk(duckdb_function_info info, duckdb_data_chunk chunk)
{
    Error err = ERROR_NONE;
    if (fill(duckdb_function_get_local_init_data(info), duckdb_function_get_init_data(info), chunk, &err) != OK) {
        char token[DUCK_TOKEN_TEXT];
        duck_error_keep(duckdb_function_get_extra_info(info), &err, token);
        duckdb_function_set_error(info, token);
    }
}

Status duck_relation_init(Duck *duck, Error *err)
{
    duckdb_table_function function = duckdb_create_table_function();
    /* not UBIGINT: a literal is an INTEGER, and table functions take no implicit cast from it */
    duckdb_logical_type handle = duckdb_create_logical_type(DUCKDB_TYPE_ANY);
    duckdb_table_function_set_name(function, "freshet_relation");
    duckdb_table_function_add_parameter(function, handle);
    duckdb_table_function_set_extra_info(function, duck, NULL);
    duckdb_table_function_set_bind(function, on_bind);
    duckdb_table_function_set_init(function, on_init);
    duckdb_table_function_set_local_init(function, on_local_init);
    duckdb_table_function_set_function(function, on_chunk);
    duckdb_table_function_supports_projection_pushdown(function, true);
    Status rc = OK;
    if (duckdb_register_table_function(duck->admin, function) != DuckDBSuccess) {
        rc = error_set(err, E_DUCK_OPEN, "starting DuckDB: freshet_relation cannot be registered");
    }
    duckdb_destroy_logical_type(&handle);
    duckdb_destroy_table_function(&function);
    return rc;
}
