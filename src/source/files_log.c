/* The log of a file source, in the checkpoint's sources/<i>:
 *
 *   <id>                              one entry, as Spark writes it: "v1", then a line for each file
 *                                       {"path":"file:///in/a.json","timestamp":<ms>,"batchId":<id>,"size":<bytes>}
 *   <first>-<last>.compact.parquet    the entries of those ids: path VARCHAR, size BIGINT, mtime_us BIGINT, id BIGINT,
 *                                       hash_high, hash_low BIGINT (files_set.h)
 *
 * An entry is written before the offset that names it, by put-if-absent, so an entry that no offset names can only be
 * the newest: the source offers it again. COMPACT_ENTRIES entries whose batches are done become one Parquet file, and
 * with it the files before that are no more than COMPACT_FACTOR times as large: every file's name is written a few
 * times in its life, and there are never more than a few Parquet files. What the compacted file replaces is deleted
 * after it has its name; whatever is left of it after a crash is deleted by the next start. A start reads only the
 * two columns of hashes, so a million files that were seen cost it little. (Spark takes the checkpoint over as long
 * as nothing is compacted.)
 */
#include "source/files_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/json.h"
#include "base/mem.h"
#include "duck/function.h"
#include "duck/parquet.h"

enum { COMPACT_ENTRIES = 64, COMPACT_FACTOR = 4, ENTRY_BYTES_MAX = 1 << 30, NAME_LENGTH_MAX = 96 };

typedef struct Compact {
    int64_t first, last, rows;
} Compact;

struct FilesLog {
    Store *store;
    Duck *duck;
    char *dir;
    FilesSet *seen;
    int64_t end;
    FilesEntry *entries; /* of the plain entries, in order of id */
    size_t n, capacity;
    Compact *compacts; /* in order of id */
    size_t n_compacts, compacts_capacity;
};

static void entry_key(const FilesLog *log, int64_t id, Text *out)
{
    text_clear(out);
    text_printf(out, "%s/%" PRId64, log->dir, id);
}

static void compact_name(const Compact *compact, char name[NAME_LENGTH_MAX])
{
    snprintf(name, NAME_LENGTH_MAX, "%" PRId64 "-%" PRId64 ".compact.parquet", compact->first, compact->last);
}

/* ---- plain entries ---- */

static void append_line(Text *out, const FilesItem *item, int64_t id)
{
    Text uri = TEXT(1 << 20);
    text_append(&uri, "file://");
    text_append_uri(&uri, item->path);
    text_append(out, "\n{\"path\":");
    text_append_json_string(out, text_str(&uri));
    text_printf(out, ",\"timestamp\":%" PRId64 ",\"batchId\":%" PRId64 ",\"size\":%" PRId64 "}", item->mtime_us / 1000,
                id, item->size);
    text_free(&uri);
}

static void remember(FilesLog *log, const char *path, int64_t size, int64_t mtime_us, int64_t id)
{
    log->entries = mem_grow(log->entries, log->n, &log->capacity, sizeof *log->entries);
    log->entries[log->n++] = (FilesEntry){{mem_strdup(path), size, mtime_us}, id};
    files_set_add(log->seen, path);
}

Status files_log_append(FilesLog *log, const FilesItem *items, size_t n, Error *err)
{
    Text text = TEXT(ENTRY_BYTES_MAX), key = TEXT(4096);
    int64_t id = log->end + 1;
    Status rc;

    text_append(&text, "v1");
    for (size_t i = 0; i < n; i++) {
        append_line(&text, &items[i], id);
    }
    if (text.overflow) {
        rc = error_set(err, E_LIMIT, "a batch has too many files for one entry of %s", log->dir);
        goto out;
    }
    entry_key(log, id, &key);
    TRY(failpoint(FP_SOURCE_LOG_BEFORE_PUT, err));
    TRY(store_put_if_absent(log->store, text_str(&key), text.data, text.length, err));
    TRY(failpoint(FP_SOURCE_LOG_AFTER_PUT, err));
    for (size_t i = 0; i < n; i++) {
        remember(log, items[i].path, items[i].size, items[i].mtime_us, id);
    }
    log->end = id;
out:
    text_free(&text);
    text_free(&key);
    return rc;
}

static Status read_line(FilesLog *log, const char *line, size_t n, const JsonSource *source, int64_t id, Error *err)
{
    json_t *object;
    const char *uri;
    int64_t timestamp, mtime_us, size = 0;
    Text path = TEXT(1 << 20);
    Status rc;

    TRY(json_parse_object(line, n, source, &object, err));
    rc = json_get_string(object, "path", &uri, err);
    rc = rc == OK ? json_get_i64(object, "timestamp", &timestamp, err) : rc;
    rc = rc == OK ? json_opt_i64(object, "size", &size, err) : rc;
    if (rc == OK) {
        uri += str_istarts(uri, "file:") ? 5 : 0;
        uri += strncmp(uri, "///", 3) == 0 ? 2 : 0;
        if (__builtin_mul_overflow(timestamp, 1000, &mtime_us)) {
            rc = error_set(err, E_STREAM_CHECKPOINT, "%s: impossible time %" PRId64, source->name, timestamp);
        } else if (text_append_uri_decoded(&path, uri)) {
            remember(log, text_str(&path), size, mtime_us, id);
        } else {
            rc = error_set(err, E_STREAM_CHECKPOINT, "%s: malformed path %s", source->name, uri);
        }
    }
    json_decref(object);
out:
    text_free(&path);
    return rc;
}

static Status read_entry(FilesLog *log, int64_t id, Error *err)
{
    Text key = TEXT(4096), text = TEXT(ENTRY_BYTES_MAX);
    JsonSource source = {.name = "entry", .first_line = 1};
    Status rc;

    entry_key(log, id, &key);
    TRY(store_read(log->store, text_str(&key), ENTRY_BYTES_MAX, &text, NULL, err));
    if (strncmp(text_str(&text), "v1", 2) != 0 || (text.data[2] != '\n' && text.data[2] != '\0')) {
        rc = error_set(err, E_STREAM_CHECKPOINT, "%s/%s does not begin with v1", store_uri(log->store), text_str(&key));
        goto out;
    }
    for (const char *line = text.data + 2; *line == '\n' && rc == OK;) {
        size_t n = strcspn(++line, "\n");
        source.first_line++;
        if (n > 0) {
            rc = read_line(log, line, n, &source, id, err);
        }
        if (rc != OK) {
            error_context(err, "%s/%s", store_uri(log->store), text_str(&key));
        }
        line += n;
    }
out:
    text_free(&key);
    text_free(&text);
    return rc;
}

/* ---- reading the log ---- */

typedef struct Names {
    int64_t *ids;
    size_t n_ids, ids_capacity;
    Compact *compacts;
    size_t n_compacts, compacts_capacity;
    char **rest; /* unfinished files */
    size_t n_rest, rest_capacity;
} Names;

static bool sort_name(void *context, const StoreEntry *entry)
{
    Names *names = context;
    int64_t id;
    Compact compact = {0};
    int length = 0;

    if (entry->info.is_dir) {
        return true;
    }
    if (str_parse_id(entry->name, &id)) {
        names->ids = mem_grow(names->ids, names->n_ids, &names->ids_capacity, sizeof *names->ids);
        names->ids[names->n_ids++] = id;
    } else if (sscanf(entry->name, "%" SCNd64 "-%" SCNd64 ".compact.parquet%n", &compact.first, &compact.last,
                      &length) == 2 &&
               length == (int)strlen(entry->name)) {
        names->compacts = mem_grow(names->compacts, names->n_compacts, &names->compacts_capacity,
                                   sizeof *names->compacts);
        names->compacts[names->n_compacts++] = compact;
    } else if (str_starts(entry->name, ".compact-")) {
        names->rest = mem_grow(names->rest, names->n_rest, &names->rest_capacity, sizeof *names->rest);
        names->rest[names->n_rest++] = mem_strdup(entry->name);
    }
    return true;
}

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The larger of two that begin together comes first. */
static int by_range(const void *a, const void *b)
{
    const Compact *x = a, *y = b;
    return x->first != y->first ? (x->first > y->first) - (x->first < y->first)
                                : (x->last < y->last) - (x->last > y->last);
}

static Status delete_name(FilesLog *log, const char *name, Error *err)
{
    Text key = TEXT(4096);
    text_printf(&key, "%s/%s", log->dir, name);
    Status rc = store_delete(log->store, text_str(&key), err);
    text_free(&key);
    return rc;
}

static Status delete_compact(FilesLog *log, const Compact *compact, Error *err)
{
    char name[NAME_LENGTH_MAX];
    compact_name(compact, name);
    return delete_name(log, name, err);
}

static Status delete_entry(FilesLog *log, int64_t id, Error *err)
{
    char name[NAME_LENGTH_MAX];
    snprintf(name, sizeof name, "%" PRId64, id);
    return delete_name(log, name, err);
}

/* Appends the local path of a compacted file as read_parquet takes it, quoted. */
static Status append_compact_path(const FilesLog *log, const Compact *compact, Text *sql, Error *err)
{
    char name[NAME_LENGTH_MAX];
    Text key = TEXT(4096), path = TEXT(1 << 16), escaped = TEXT(1 << 17);

    compact_name(compact, name);
    text_printf(&key, "%s/%s", log->dir, name);
    Status rc = store_local_path(log->store, text_str(&key), &path, err);
    if (rc == OK) {
        parquet_escape_glob(&escaped, text_str(&path));
        text_append_sql_string(sql, text_str(&escaped));
    }
    text_free(&key);
    text_free(&path);
    text_free(&escaped);
    return rc;
}

static Status read_compact(FilesLog *log, DuckConn *conn, Compact *compact, Error *err)
{
    Text sql = TEXT(1 << 18);
    DuckResult *result = NULL;
    bool more = false;
    Status rc;

    text_append(&sql, "SELECT hash_high, hash_low FROM read_parquet(");
    TRY(append_compact_path(log, compact, &sql, err));
    text_append_char(&sql, ')');
    TRY(duck_query_stream(conn, text_str(&sql), &result, err));
    TRY(duck_result_next(result, &more, err));
    while (more) {
        files_set_add_hash(log->seen,
                           (FilesHash){(uint64_t)duck_result_i64(result, 0), (uint64_t)duck_result_i64(result, 1)});
        compact->rows++;
        TRY(duck_result_next(result, &more, err));
    }
out:
    duck_result_free(result);
    text_free(&sql);
    return rc;
}

/* Compacted files that are part of a larger one are what a crash left; the others are read. */
static Status read_compacts(FilesLog *log, Names *names, Error *err)
{
    DuckConn *conn = NULL;
    Status rc = OK;

    if (names->n_compacts > 0) {
        TRY(duck_connect(log->duck, &conn, err));
        qsort(names->compacts, names->n_compacts, sizeof *names->compacts, by_range);
    }
    for (size_t i = 0; i < names->n_compacts; i++) {
        Compact compact = names->compacts[i];
        if (compact.last <= log->end) {
            TRY(delete_compact(log, &compact, err));
            continue;
        }
        TRY(read_compact(log, conn, &compact, err));
        log->compacts = mem_grow(log->compacts, log->n_compacts, &log->compacts_capacity, sizeof *log->compacts);
        log->compacts[log->n_compacts++] = compact;
        log->end = compact.last;
    }
out:
    duck_disconnect(conn);
    return rc;
}

static Status read_entries(FilesLog *log, Names *names, Error *err)
{
    Status rc = OK;

    if (names->n_ids > 0) {
        qsort(names->ids, names->n_ids, sizeof *names->ids, by_id);
    }
    for (size_t i = 0; i < names->n_ids; i++) {
        int64_t id = names->ids[i];
        if (id <= log->end) {
            TRY(delete_entry(log, id, err));
            continue;
        }
        if (id != log->end + 1) {
            rc = error_set(err, E_STREAM_CHECKPOINT, "%s/%s: entry %" PRId64 " is missing before %" PRId64,
                           store_uri(log->store), log->dir, log->end + 1, id);
            goto out;
        }
        TRY(read_entry(log, id, err));
        log->end = id;
    }
out:
    return rc;
}

Status files_log_open(Store *store, const char *dir, Duck *duck, FilesSet *seen, FilesLog **out, Error *err)
{
    FilesLog *log = mem_alloc(sizeof *log);
    Names names = {0};
    Status rc;

    *log = (FilesLog){.store = store_ref(store), .duck = duck, .dir = mem_strdup(dir), .seen = seen, .end = -1};
    TRY(store_list(store, dir, NULL, sort_name, &names, err));
    for (size_t i = 0; i < names.n_rest; i++) {
        TRY(delete_name(log, names.rest[i], err));
    }
    TRY(read_compacts(log, &names, err));
    TRY(read_entries(log, &names, err));
    *out = log;
out:
    if (rc != OK) {
        files_log_close(log);
    }
    for (size_t i = 0; i < names.n_rest; i++) {
        mem_free(names.rest[i]);
    }
    mem_free(names.rest);
    mem_free(names.ids);
    mem_free(names.compacts);
    return rc;
}

void files_log_close(FilesLog *log)
{
    if (log == NULL) {
        return;
    }
    for (size_t i = 0; i < log->n; i++) {
        mem_free((char *)(uintptr_t)log->entries[i].item.path);
    }
    mem_free(log->entries);
    mem_free(log->compacts);
    mem_free(log->dir);
    store_unref(log->store);
    mem_free(log);
}

int64_t files_log_end(const FilesLog *log)
{
    return log->end;
}

static int64_t compacted_end(const FilesLog *log)
{
    return log->n_compacts > 0 ? log->compacts[log->n_compacts - 1].last : -1;
}

Status files_log_range(const FilesLog *log, int64_t start, int64_t end, FilesEntry **out, size_t *n, Error *err)
{
    if (end > log->end || start < compacted_end(log)) {
        return error_set(err, E_SOURCE_DATA_LOSS,
                         "%s/%s holds entries %" PRId64 " to %" PRId64 ", the checkpoint asks for %" PRId64
                         " to %" PRId64,
                         store_uri(log->store), log->dir, compacted_end(log) + 1, log->end, start + 1, end);
    }
    FilesEntry *entries = mem_alloc((log->n + 1) * sizeof *entries);
    *n = 0;
    for (size_t i = 0; i < log->n; i++) {
        if (log->entries[i].id > start && log->entries[i].id <= end) {
            entries[(*n)++] = log->entries[i];
        }
    }
    *out = entries;
    return OK;
}

Status files_log_uncompacted(const FilesLog *log, int64_t start, int64_t end, FilesEntry **out, size_t *n, Error *err)
{
    return files_log_range(log, start < compacted_end(log) ? compacted_end(log) : start, end, out, n, err);
}

/* ---- compaction ---- */

/* The entries to be compacted, as a relation for DuckDB. */
typedef struct Rows {
    const FilesEntry *entries;
    size_t n, at;
} Rows;

static const DuckType VARCHAR = {.id = DUCK_VARCHAR}, BIGINT = {.id = DUCK_BIGINT};
static const DuckColumnInfo COMPACT_COLUMNS[] = {{"path", &VARCHAR}, {"size", &BIGINT},      {"mtime_us", &BIGINT},
                                                 {"id", &BIGINT},    {"hash_high", &BIGINT}, {"hash_low", &BIGINT}};
enum { N_COMPACT_COLUMNS = sizeof COMPACT_COLUMNS / sizeof *COMPACT_COLUMNS };

typedef struct RowsScan {
    Rows *rows;
    size_t wanted[N_COMPACT_COLUMNS], n_wanted;
} RowsScan;

static Status rows_open(void *context, const size_t *wanted, size_t n_wanted, void **out, Error *err)
{
    RowsScan *scan = mem_alloc(sizeof *scan);
    (void)err;
    scan->rows = context;
    scan->n_wanted = n_wanted;
    memcpy(scan->wanted, wanted, n_wanted * sizeof *wanted);
    *out = scan;
    return OK;
}

static void put_value(DuckColumn *column, size_t row, const FilesEntry *entry, size_t which)
{
    FilesHash hash = files_hash(entry->item.path);
    const int64_t numbers[] = {0,         entry->item.size,   entry->item.mtime_us,
                               entry->id, (int64_t)hash.high, (int64_t)hash.low};
    if (which == 0) {
        duck_column_set_string(column, row, entry->item.path, strlen(entry->item.path));
    } else {
        ((int64_t *)column->data)[row] = numbers[which];
    }
}

static Status rows_next(void *context, void *thread, DuckColumn *columns, size_t *n, Error *err)
{
    const RowsScan *scan = context;
    Rows *rows = scan->rows;
    (void)thread;
    (void)err;
    for (*n = 0; *n < DUCK_VECTOR_ROWS && rows->at < rows->n; ++*n, rows->at++) {
        for (size_t c = 0; c < scan->n_wanted; c++) {
            put_value(&columns[c], *n, &rows->entries[rows->at], scan->wanted[c]);
        }
    }
    return OK;
}

static Status copy_compact(const FilesLog *log, const Compact *merged, size_t n_merged, const char *path,
                           size_t n_entries, Error *err)
{
    Rows rows = {log->entries, n_entries, 0};
    DuckConn *conn = NULL;
    Text sql = TEXT(1 << 20);
    Status rc;
    uint64_t handle = duck_relation_register(log->duck, &(DuckRelation){.columns = COMPACT_COLUMNS,
                                                                        .n_columns = N_COMPACT_COLUMNS,
                                                                        .rows_estimate = (int64_t)n_entries,
                                                                        .threads_max = 1,
                                                                        .open = rows_open,
                                                                        .next = rows_next,
                                                                        .close = mem_free,
                                                                        .context = &rows});

    text_printf(&sql, "COPY (SELECT path, size, mtime_us, id, hash_high, hash_low FROM freshet_relation(%" PRIu64 ")",
                handle);
    for (size_t i = 0; i < n_merged; i++) {
        text_append(&sql, " UNION ALL SELECT path, size, mtime_us, id, hash_high, hash_low FROM read_parquet(");
        TRY(append_compact_path(log, &merged[i], &sql, err));
        text_append_char(&sql, ')');
    }
    text_append(&sql, ") TO ");
    text_append_sql_string(&sql, path);
    text_append(&sql, " (FORMAT parquet, COMPRESSION zstd)");
    TRY(duck_connect(log->duck, &conn, err));
    TRY(duck_exec(conn, text_str(&sql), err));
out:
    duck_disconnect(conn);
    duck_relation_drop(log->duck, handle);
    text_free(&sql);
    return rc;
}

/* The compacted file takes the place of the ones it merged and of the first `n_entries` files. */
static void take_in(FilesLog *log, const Compact *compact, size_t n_merged, size_t n_entries)
{
    log->n_compacts -= n_merged;
    log->compacts = mem_grow(log->compacts, log->n_compacts, &log->compacts_capacity, sizeof *log->compacts);
    log->compacts[log->n_compacts++] = *compact;
    for (size_t i = 0; i < n_entries; i++) {
        mem_free((char *)(uintptr_t)log->entries[i].item.path);
    }
    log->n -= n_entries;
    memmove(log->entries, log->entries + n_entries, log->n * sizeof *log->entries);
}

static Status publish_compact(FilesLog *log, const char *temporary, const Compact *compact, size_t n_merged,
                              size_t n_entries, Error *err)
{
    int64_t first_entry = compacted_end(log) + 1;
    Compact *merged = mem_alloc((n_merged + 1) * sizeof *merged);
    char name[NAME_LENGTH_MAX];
    Text to = TEXT(4096);
    Status rc;

    compact_name(compact, name);
    text_printf(&to, "%s/%s", log->dir, name);
    TRY(failpoint(FP_SOURCE_COMPACT_BEFORE_PUBLISH, err));
    TRY(store_rename_no_replace(log->store, temporary, text_str(&to), err));
    TRY(failpoint(FP_SOURCE_COMPACT_AFTER_PUBLISH, err));
    for (size_t i = 0; i < n_merged; i++) {
        merged[i] = log->compacts[log->n_compacts - n_merged + i];
    }
    take_in(log, compact, n_merged, n_entries);
    for (size_t i = 0; i < n_merged; i++) {
        TRY(delete_compact(log, &merged[i], err));
    }
    for (int64_t id = first_entry; id <= compact->last; id++) {
        TRY(delete_entry(log, id, err));
    }
out:
    mem_free(merged);
    text_free(&to);
    return rc;
}

/* Compacts the entries up to `last`, which hold the first `n_entries` files. */
static Status compact_entries(FilesLog *log, int64_t last, size_t n_entries, Error *err)
{
    Compact compact = {compacted_end(log) + 1, last, (int64_t)n_entries};
    char uuid[UUID_TEXT];
    Text key = TEXT(4096), path = TEXT(1 << 16);
    size_t n_merged = 0;
    Status rc;

    while (n_merged < log->n_compacts &&
           log->compacts[log->n_compacts - n_merged - 1].rows <= compact.rows * COMPACT_FACTOR) {
        n_merged++;
        compact.first = log->compacts[log->n_compacts - n_merged].first;
        compact.rows += log->compacts[log->n_compacts - n_merged].rows;
    }
    uuid_text(uuid);
    text_printf(&key, "%s/.compact-%s", log->dir, uuid);
    rc = store_local_path(log->store, text_str(&key), &path, err);
    if (err != NULL && err->id == E_STORE_UNSUPPORTED) {
        error_clear(err); /* a store without local files keeps its plain entries */
        rc = OK;
        goto out;
    }
    TRY(rc);
    TRY(copy_compact(log, n_merged > 0 ? log->compacts + (log->n_compacts - n_merged) : NULL, n_merged, text_str(&path),
                     n_entries, err));
    TRY(store_sync(log->store, text_str(&key), err));
    TRY(publish_compact(log, text_str(&key), &compact, n_merged, n_entries, err));
out:
    text_free(&key);
    text_free(&path);
    return rc;
}

Status files_log_settle(FilesLog *log, int64_t id, Error *err)
{
    size_t n = 0;
    if (id - compacted_end(log) < COMPACT_ENTRIES) {
        return OK;
    }
    while (n < log->n && log->entries[n].id <= id) {
        n++;
    }
    return compact_entries(log, id, n, err);
}
