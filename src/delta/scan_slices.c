/* Scans of very many files, a slice at a time.
 *
 * DuckDB takes about 5 KB a file to plan a read_parquet and 7 KB more to run it, which its memory limit does not count:
 * 12 GB for a million files. So beyond delta_scan_slicing.whole_max files the scan's SQL is
 *
 *     SELECT * FROM freshet_relation(3)
 *
 * whose every thread takes the next `slice` files, scans them as a DeltaScan of its own on a connection of its own, and
 * hands its chunks through. What is in memory is a slice per thread. The files of a snapshot come as the rows of a query
 * that each reading of the relation runs anew; those of a list are there already.
 *
 * A thread inside `next` may run tasks of its own inner statement only, and holds the reader's lock for nothing else than
 * the query of the files, so threads cannot wait for each other in a circle.
 *
 * DuckDB pushes columns into such a relation but no filters: comparisons with literals, which are known here, go into the
 * slices' SQL, so those still reach the row groups.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "delta/scan_int.h"
#include "delta/schema_int.h"
#include "delta/variant.h"

ScanSlicing delta_scan_slicing = {.whole_max = 10000, .slice = 1024};

enum { THREADS_MAX = 64 };

struct ScanSlices {
    DeltaScan *scan; /* the whole; owns this */
    ScanColumns columns;
    DeltaSnapshot *snapshot; /* of files_sql; else NULL */
    char *files_sql;         /* NULL: scan->files */
    char *where;
    char *zone; /* the session's, where it matters; else NULL */
    DuckColumnInfo *infos;
    size_t n_infos;
    uint64_t relation;
};

/* One reading of the relation. */
typedef struct SliceReader {
    ScanSlices *slices;
    Text select; /* the columns wanted */
    size_t n_wanted;
    pthread_mutex_t lock; /* of what follows */
    DuckConn *conn;       /* of rows */
    DuckResult *rows;
    size_t next; /* first file of the next slice */
    bool done;
} SliceReader;

typedef struct SliceThread {
    SliceReader *reader;
    DuckConn *conn;
    DeltaScan *slice; /* the slice that is read; NULL: none yet, or no more */
    DuckResult *result;
} SliceThread;

bool delta_scan_is_sliced(const ScanColumns *columns, size_t n_files)
{
    /* relations cannot hold a VARIANT */
    return n_files > delta_scan_slicing.whole_max && !delta_schema_has_variant(columns->schema);
}

/* ---- which files are next ---- */

/* The slice's files out of the query. */
static Status take_rows(SliceReader *reader, DeltaScan *slice, Error *err)
{
    Status rc = OK;
    Arena *scratch = arena_new();

    while (slice->n_files < delta_scan_slicing.slice) {
        bool more = false;
        TRY(duck_result_next(reader->rows, &more, err));
        if (!more) {
            reader->done = true;
            break;
        }
        TRY(delta_scan_add_row(slice, &reader->slices->columns, reader->rows, scratch, err));
    }
out:
    arena_free(scratch);
    return rc;
}

/* The slice's files out of the list: they share the texts of the whole, but load deletion vectors of their own. */
static void take_files(SliceReader *reader, DeltaScan *slice)
{
    const DeltaScan *whole = reader->slices->scan;
    size_t left = whole->n_files - reader->next;
    size_t n = left < delta_scan_slicing.slice ? left : delta_scan_slicing.slice;

    slice->files = mem_alloc((n + 1) * sizeof *slice->files);
    for (size_t i = 0; i < n; i++) {
        const ScanFile *file = &whole->files[reader->next + i];
        DeltaBitmap *deleted = atomic_load(&file->deleted);
        slice->files[i] = *file;
        atomic_init(&slice->files[i].deleted, deleted ? delta_bitmap_copy(deleted) : NULL);
        atomic_init(&slice->files[i].excepted, NULL);
        slice->rows += whole->rows / (int64_t)whole->n_files;
    }
    slice->n_files = slice->total = n;
    slice->has_deletion_vectors = whole->has_deletion_vectors;
    reader->done = n == left;
}

/* The next slice, not published yet; *out = NULL after the last. */
static Status take_slice(SliceReader *reader, DeltaScan **out, Error *err)
{
    Status rc = OK;
    const DeltaScan *whole = reader->slices->scan;
    DeltaScan *slice = NULL;

    *out = NULL;
    pthread_mutex_lock(&reader->lock);
    if (reader->done) {
        goto out;
    }
    slice = delta_scan_new(whole->table, &reader->slices->columns);
    slice->row_address = whole->row_address;
    slice->difference = whole->difference;
    slice->first = reader->next;
    if (reader->rows) {
        TRY(take_rows(reader, slice, err));
    } else {
        take_files(reader, slice);
    }
    reader->next += slice->n_files;
    if (slice->n_files > 0) {
        *out = slice;
        slice = NULL;
    }
out:
    reader->done = reader->done || rc != OK;
    pthread_mutex_unlock(&reader->lock);
    delta_scan_free(slice);
    return rc;
}

/* ---- the relation ---- */

static void reader_close(void *context)
{
    SliceReader *reader = context;

    duck_result_free(reader->rows);
    duck_disconnect(reader->conn);
    pthread_mutex_destroy(&reader->lock);
    text_free(&reader->select);
    mem_free(reader);
}

static Status reader_open(void *context, const size_t *wanted, size_t n_wanted, void **out, Error *err)
{
    Status rc = OK;
    ScanSlices *slices = context;
    SliceReader *reader = mem_alloc(sizeof *reader);

    reader->slices = slices;
    reader->select = TEXT(TEXT_SQL_MAX);
    reader->n_wanted = n_wanted;
    pthread_mutex_init(&reader->lock, NULL);
    text_append(&reader->select, n_wanted == 0 ? "SELECT NULL" : "SELECT ");
    for (size_t i = 0; i < n_wanted; i++) {
        text_append(&reader->select, i ? ", " : "");
        text_append_sql_name(&reader->select, slices->infos[wanted[i]].name);
    }
    if (slices->files_sql) {
        TRY(duck_connect(delta_table_duck(slices->scan->table), &reader->conn, err));
        TRY(duck_query_stream(reader->conn, slices->files_sql, &reader->rows, err));
    }
    *out = reader;
    reader = NULL;
out:
    if (reader) {
        reader_close(reader);
    }
    return rc;
}

/* Between two slices. */
static void end_slice(SliceThread *thread)
{
    duck_result_free(thread->result);
    delta_scan_free(thread->slice);
    thread->result = NULL;
    thread->slice = NULL;
}

static void thread_close(void *context)
{
    SliceThread *thread = context;

    end_slice(thread);
    duck_disconnect(thread->conn);
    mem_free(thread);
}

static Status thread_open(void *context, void **out, Error *err)
{
    Status rc = OK;
    SliceReader *reader = context;
    SliceThread *thread = mem_alloc(sizeof *thread);
    Text set = TEXT(4096);

    thread->reader = reader;
    TRY(duck_connect(delta_table_duck(reader->slices->scan->table), &thread->conn, err));
    if (reader->slices->zone) {
        text_append(&set, "SET TimeZone = ");
        text_append_sql_string(&set, reader->slices->zone);
        TRY(duck_exec(thread->conn, text_str(&set), err));
    }
    *out = thread;
    thread = NULL;
out:
    if (thread) {
        thread_close(thread);
    }
    text_free(&set);
    return rc;
}

static Status begin_slice(SliceThread *thread, Error *err)
{
    Status rc = OK;
    SliceReader *reader = thread->reader;
    ScanColumns columns = reader->slices->columns; /* a slice has its own handle */
    Text sql = TEXT(TEXT_SQL_MAX);

    TRY(take_slice(reader, &thread->slice, err));
    if (thread->slice) {
        TRY(delta_scan_finish(thread->slice, &columns, err));
        text_printf(&sql, "%s FROM (", text_str(&reader->select));
        text_append(&sql, delta_scan_sql(thread->slice));
        text_printf(&sql, ") AS freshet_slice%s", reader->slices->where);
        TRY(duck_query_stream(thread->conn, text_str(&sql), &thread->result, err));
    }
out:
    text_free(&sql);
    return rc;
}

static Status next_rows(void *context, void *state, DuckColumn *outputs, size_t *rows, Error *err)
{
    Status rc = OK;
    SliceReader *reader = context;
    SliceThread *thread = state;

    for (*rows = 0; *rows == 0;) {
        if (!thread->result) {
            TRY(begin_slice(thread, err));
        }
        if (!thread->slice) {
            break;
        }
        TRY(duck_result_pass(thread->result, outputs, reader->n_wanted, rows, err));
        if (*rows == 0) {
            end_slice(thread);
        }
    }
out:
    return rc;
}

/* ---- making it ---- */

void delta_scan_slices_free(ScanSlices *slices)
{
    if (!slices) {
        return;
    }
    if (slices->relation) {
        duck_relation_drop(delta_table_duck(slices->scan->table), slices->relation);
    }
    delta_schema_unref((DeltaSchema *)(uintptr_t)slices->columns.schema);
    delta_snapshot_unref(slices->snapshot);
    mem_free(slices->files_sql);
    mem_free(slices->where);
    mem_free(slices->zone);
    mem_free(slices);
}

/* What outlives the caller's own. */
static void keep_columns(ScanSlices *slices, const ScanColumns *columns)
{
    Arena *arena = slices->scan->arena;
    const char **names = arena_alloc(arena, (columns->n_partition_columns + 1) * sizeof *names);

    for (size_t i = 0; i < columns->n_partition_columns; i++) {
        names[i] = arena_strdup(arena, columns->partition_columns[i]);
    }
    slices->columns = *columns;
    slices->columns.partition_columns = names;
    slices->columns.schema = delta_schema_ref((DeltaSchema *)(uintptr_t)columns->schema);
    slices->columns.row_id_name = columns->row_id_name ? arena_strdup(arena, columns->row_id_name) : NULL;
    slices->columns.row_version_name = columns->row_version_name ? arena_strdup(arena, columns->row_version_name)
                                                                 : NULL;
}

static Status keep_zone(ScanSlices *slices, DuckConn *conn, Error *err)
{
    Status rc = OK;
    DuckResult *result = NULL;
    bool more = false;

    if (!slices->columns.utc) {
        TRY(duck_query(conn, "SELECT current_setting('TimeZone')", &result, err));
        TRY(duck_result_next(result, &more, err));
        slices->zone = more ? duck_result_text_dup(result, 0) : NULL;
    }
out:
    duck_result_free(result);
    return rc;
}

/* The columns as the SQL of no files has them. */
static Status describe(ScanSlices *slices, DuckConn *conn, Error *err)
{
    Status rc = OK;
    DeltaScan *whole = slices->scan, *none = delta_scan_new(whole->table, &slices->columns);

    none->row_address = whole->row_address;
    TRY(delta_scan_write_sql(none, &slices->columns, err));
    TRY(duck_describe(conn, delta_scan_sql(none), whole->arena, &slices->infos, &slices->n_infos, err));
out:
    delta_scan_free(none);
    return rc;
}

Status delta_scan_slice(DeltaScan *scan, const ScanColumns *columns, DeltaSnapshot *snapshot, const char *files_sql,
                        const char *where, DuckConn *conn, Error *err)
{
    Status rc = OK;
    ScanSlices *slices = scan->slices = mem_alloc(sizeof *slices);

    slices->scan = scan;
    slices->snapshot = snapshot ? delta_snapshot_ref(snapshot) : NULL;
    slices->files_sql = files_sql ? mem_strdup(files_sql) : NULL;
    slices->where = mem_strdup(where);
    keep_columns(slices, columns);
    TRY(keep_zone(slices, conn, err));
    TRY(describe(slices, conn, err));
    DuckRelation relation = {.columns = slices->infos,
                             .n_columns = slices->n_infos,
                             .rows_estimate = scan->rows > 0 ? scan->rows : 1,
                             .threads_max = THREADS_MAX,
                             .open = reader_open,
                             .thread_open = thread_open,
                             .next = next_rows,
                             .thread_close = thread_close,
                             .close = reader_close,
                             .context = slices};
    slices->relation = duck_relation_register(duck_instance(conn), &relation);
    text_printf(&scan->sql, "SELECT * FROM freshet_relation(%llu)", (unsigned long long)slices->relation);
out:
    return rc;
}
