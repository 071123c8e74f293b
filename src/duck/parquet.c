/* Writing Parquet: one COPY with RETURN_STATS, and what it says.
 *
 * COPY answers with a row per file: filename, count, file_size_bytes, footer_size_bytes, column_statistics
 * MAP(path, MAP(name, text)) and partition_keys MAP(column, text). Paths are quoted names with dots between
 * ("s"."x", "l"."element", "m"."key"). The texts:
 *   integers 5; DECIMAL with its scale 1.50; FLOAT and DOUBLE 2.5, -inf (NaN is in neither min nor max: has_nan)
 *   BOOLEAN 0 or 1; DATE 2024-01-31; VARCHAR cut after 256 bytes, a max then rounded up; BLOB as hex
 *   TIMESTAMP 2024-01-31 12:00:00.5; TIMESTAMP WITH TIME ZONE the same in UTC with +00
 * A text with a NUL cannot be told as a C string, so such a bound is left out.
 *
 * Files. One COPY to one name makes one file, "<prefix><uuid>.parquet". With partitions or a maximal size DuckDB makes
 * the uuids itself, and every name ends with this write's own token, "<prefix><uuid>-<16 hex digits>.parquet": that is
 * how a failed write finds what it left behind. USE_TMP_FILE is off, since nobody knows the names before they are
 * committed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "duck/duck_int.h"
#include "duck/parquet.h"

enum { TOKEN_TEXT = 17, PROBE_US = 20 * 1000 * 1000 };

/* ---- the statement ---- */

static const struct {
    const char *name, *options;
} CODECS[] = {
    {"zstd", "COMPRESSION zstd, COMPRESSION_LEVEL 1"}, /* less CPU than snappy, and smaller; more levels cost more than
                                                          they save */
    {"snappy", "COMPRESSION snappy"},
    {"gzip", "COMPRESSION gzip"},
    {"lz4_raw", "COMPRESSION lz4_raw"},
    {"uncompressed", "COMPRESSION uncompressed"},
};

static Status append_codec(const char *codec, Text *sql, Error *err)
{
    for (size_t i = 0; i < sizeof CODECS / sizeof *CODECS; i++) {
        if (str_ieq(codec == NULL ? "zstd" : codec, CODECS[i].name)) {
            text_append(sql, CODECS[i].options);
            return OK;
        }
    }
    Status rc = error_set(err, E_SQL_RUN, "Parquet files are not written with compression '%s'", codec);
    error_hint(err, "there is: zstd, snappy, gzip, lz4_raw, uncompressed");
    return rc;
}

static void append_metadata(const ParquetWrite *write, Text *sql)
{
    text_append(sql, ", KV_METADATA {");
    for (size_t i = 0; i < write->n_kv; i++) {
        text_append(sql, i == 0 ? "" : ", ");
        text_append_sql_string(sql, write->kv_keys[i]);
        text_append(sql, ": ");
        text_append_sql_string(sql, write->kv_values[i]);
    }
    text_append_char(sql, '}');
}

static bool many_files(const ParquetWrite *write)
{
    return write->n_partition_by > 0 || write->file_bytes_max > 0;
}

static void append_files(const ParquetWrite *write, const char *token, Text *sql)
{
    const char *prefix = write->prefix == NULL ? "" : write->prefix;
    Text pattern = TEXT(4096);
    text_printf(&pattern, "%s{uuid}-%s", prefix, token);
    text_append(sql, ", APPEND true, FILENAME_PATTERN ");
    text_append_sql_string(sql, text_str(&pattern));
    text_free(&pattern);
    if (write->n_partition_by == 0) {
        text_printf(sql, ", FILE_SIZE_BYTES %lld", (long long)write->file_bytes_max);
        return;
    }
    text_append(sql, ", PARTITION_BY (");
    for (size_t i = 0; i < write->n_partition_by; i++) {
        text_append(sql, i == 0 ? "" : ", ");
        text_append_sql_name(sql, write->partition_by[i]);
    }
    text_printf(sql, "), WRITE_PARTITION_COLUMNS %s", write->write_partition_columns ? "true" : "false");
}

static const char COPY_LEAD[] = "COPY (\n";

static Status build_copy(const ParquetWrite *write, const char *target, const char *token, Text *sql, Error *err)
{
    text_append(sql, COPY_LEAD);
    text_append(sql, write->query);
    text_append(sql, "\n) TO "); /* the line break ends a comment */
    text_append_sql_string(sql, target);
    text_append(sql, " (FORMAT parquet, RETURN_STATS true, ");
    Status rc = append_codec(write->codec, sql, err);
    if (rc != OK) {
        return rc;
    }
    if (many_files(write)) {
        append_files(write, token, sql);
    } else {
        text_append(sql, ", USE_TMP_FILE false, WRITE_EMPTY_FILE false");
    }
    if (write->field_ids != NULL) {
        text_printf(sql, ", FIELD_IDS %s", write->field_ids);
    }
    if (write->n_kv > 0) {
        append_metadata(write, sql);
    }
    if (write->row_group_rows > 0) {
        text_printf(sql, ", ROW_GROUP_SIZE %lld", (long long)write->row_group_rows);
    }
    text_append_char(sql, ')');
    return sql->overflow ? error_set(err, E_LIMIT, "a statement is longer than %d bytes", TEXT_SQL_MAX) : OK;
}

/* ---- what COPY says ---- */

/* One row's entries of a map whose keys are VARCHAR. */
typedef struct MapRow {
    const DuckString *keys;
    duckdb_vector values;
    uint64_t first, n;
} MapRow;

static MapRow map_row(duckdb_vector map, size_t row)
{
    const DuckListEntry *entry = (const DuckListEntry *)duckdb_vector_get_data(map) + row;
    duckdb_vector entries = duckdb_list_vector_get_child(map);
    return (MapRow){.keys = duckdb_vector_get_data(duckdb_struct_vector_get_child(entries, 0)),
                    .values = duckdb_struct_vector_get_child(entries, 1),
                    .first = entry->offset,
                    .n = entry->length};
}

static const char *string_dup(const DuckString *s, Arena *arena)
{
    return arena_strndup(arena, duck_string_data(s), duck_string_length(s));
}

static bool string_is(const DuckString *s, const char *text)
{
    return duck_string_length(s) == strlen(text) && memcmp(duck_string_data(s), text, strlen(text)) == 0;
}

static const DuckString *varchar_at(duckdb_vector vector, uint64_t row)
{
    DuckColumn column = duck_column_of(vector, false);
    return duck_column_is_null(&column, row) ? NULL : (const DuckString *)column.data + row;
}

/* Takes "a"."b ""c""" apart. */
static void parse_path(const DuckString *text, Arena *arena, ParquetStats *stats)
{
    const char *s = duck_string_data(text), *end = s + duck_string_length(text);
    size_t names = 1;
    for (const char *c = s; c < end; c++) {
        names += *c == '.';
    }
    const char **path = arena_alloc(arena, names * sizeof *path);
    size_t n = 0;
    while (s < end) {
        char *name = arena_alloc(arena, (size_t)(end - s) + 1), *to = name;
        s += *s == '"';
        for (; s < end && (*s != '"' || (s + 1 < end && s[1] == '"')); s++) {
            s += *s == '"';
            *to++ = *s;
        }
        path[n++] = name;
        s += s < end; /* the closing quote */
        s += s < end && *s == '.';
    }
    stats->path = path;
    stats->n_path = n;
}

static const char *bound_dup(const DuckString *s, Arena *arena)
{
    return memchr(duck_string_data(s), '\0', duck_string_length(s)) == NULL ? string_dup(s, arena) : NULL;
}

static int64_t count_of(const DuckString *s, Arena *arena)
{
    int64_t count;
    return str_parse_i64(string_dup(s, arena), &count) ? count : -1;
}

static void read_column_stats(const MapRow *facts, Arena *arena, ParquetStats *stats)
{
    stats->null_count = -1;
    for (uint64_t i = facts->first; i < facts->first + facts->n; i++) {
        const DuckString *key = &facts->keys[i], *value = varchar_at(facts->values, i);
        if (value == NULL) {
            continue;
        }
        if (string_is(key, "min")) {
            stats->min = bound_dup(value, arena);
        } else if (string_is(key, "max")) {
            stats->max = bound_dup(value, arena);
        } else if (string_is(key, "null_count")) {
            stats->null_count = count_of(value, arena);
        } else if (string_is(key, "has_nan")) {
            stats->has_nan = string_is(value, "true");
        }
    }
}

static void read_stats(const DuckCell *cell, Arena *arena, ParquetFile *file)
{
    MapRow columns = map_row(cell->vector, cell->row);
    ParquetStats *stats = arena_alloc(arena, (size_t)(columns.n + 1) * sizeof *stats);
    for (uint64_t i = 0; i < columns.n; i++) {
        parse_path(&columns.keys[columns.first + i], arena, &stats[i]);
        MapRow facts = map_row(columns.values, columns.first + i);
        read_column_stats(&facts, arena, &stats[i]);
    }
    file->stats = stats;
    file->n_stats = (size_t)columns.n;
}

static void read_partition(const DuckCell *cell, const ParquetWrite *write, Arena *arena, ParquetFile *file)
{
    const char **values = arena_alloc(arena, (write->n_partition_by + 1) * sizeof *values);
    MapRow keys = map_row(cell->vector, cell->row);
    for (size_t column = 0; column < write->n_partition_by; column++) {
        for (uint64_t i = keys.first; i < keys.first + keys.n; i++) {
            const DuckString *value = varchar_at(keys.values, i);
            if (value != NULL && str_ieq(string_dup(&keys.keys[i], arena), write->partition_by[column])) {
                values[column] = string_dup(value, arena);
            }
        }
    }
    file->partition_values = values;
}

/* Columns of COPY's answer. */
enum { COPY_FILENAME, COPY_COUNT, COPY_BYTES, COPY_FOOTER, COPY_STATISTICS, COPY_PARTITION };

static Status read_files(DuckResult *result, const ParquetWrite *write, Arena *arena, ParquetFile **files, size_t *n,
                         Error *err)
{
    ParquetFile *list = NULL;
    size_t count = 0, capacity = 0;
    for (bool more;;) {
        Status rc = duck_result_next(result, &more, err);
        if (rc != OK) {
            mem_free(list);
            return rc;
        }
        if (!more) {
            break;
        }
        size_t length;
        const char *path = duck_result_text(result, COPY_FILENAME, &length);
        ParquetFile file = {.path = arena_strndup(arena, path, length),
                            .rows = duck_result_i64(result, COPY_COUNT),
                            .bytes = duck_result_i64(result, COPY_BYTES)};
        if (file.rows == 0) {
            (void)unlink(file.path);
            continue;
        }
        DuckCell statistics = duck_result_cell(result, COPY_STATISTICS);
        DuckCell partition = duck_result_cell(result, COPY_PARTITION);
        if (!duck_cell_is_null(&statistics)) {
            read_stats(&statistics, arena, &file);
        }
        if (write->n_partition_by > 0 && !duck_cell_is_null(&partition)) {
            read_partition(&partition, write, arena, &file);
        }
        list = mem_grow(list, count, &capacity, sizeof *list);
        list[count++] = file;
    }
    ParquetFile *kept = arena_alloc(arena, (count + 1) * sizeof *kept);
    if (count > 0) {
        memcpy(kept, list, count * sizeof *kept);
    }
    mem_free(list);
    *files = kept;
    *n = count;
    return OK;
}

/* ---- cleaning up ---- */

/* Removes the files whose name ends with `ending`, down to `depth` levels of partition directories. */
static void remove_written(int parent, const char *name, const char *ending, size_t depth)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (stream == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    for (struct dirent *e; (e = readdir(stream)) != NULL;) {
        if (str_ends(e->d_name, ending)) {
            (void)unlinkat(fd, e->d_name, 0);
        } else if (depth > 0 && strchr(e->d_name, '=') != NULL) {
            remove_written(fd, e->d_name, ending, depth - 1);
        }
    }
    closedir(stream);
}

static void clean_up(const ParquetWrite *write, const char *target, const char *token)
{
    if (!many_files(write)) {
        (void)unlink(target);
        return;
    }
    char ending[TOKEN_TEXT + 16];
    snprintf(ending, sizeof ending, "-%s.parquet", token);
    remove_written(AT_FDCWD, write->folder, ending, write->n_partition_by);
}

Status parquet_write(DuckConn *conn, const ParquetWrite *write, Arena *arena, ParquetFile **files, size_t *n,
                     Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX), target = TEXT(1 << 16);
    DuckResult *result = NULL;
    Status rc = OK;
    char token[TOKEN_TEXT], uuid[UUID_TEXT];
    snprintf(token, sizeof token, "%016" PRIx64, random_u64());
    text_append(&target, write->folder);
    if (!many_files(write)) {
        uuid_text(uuid);
        text_printf(&target, "/%s%s.parquet", write->prefix == NULL ? "" : write->prefix, uuid);
    }
    TRY(build_copy(write, text_str(&target), token, &sql, err));
    rc = duck_query(conn, text_str(&sql), &result, err);
    if (rc == OK) {
        rc = read_files(result, write, arena, files, n, err);
    } else {
        duck_error_rebase(conn, (int64_t)strlen(COPY_LEAD), (int64_t)strlen(write->query));
    }
    if (rc != OK) {
        clean_up(write, text_str(&target), token);
    }
out:
    duck_result_free(result);
    text_free(&sql);
    text_free(&target);
    return rc;
}

/* ---- damage ---- */

void parquet_on_damage(Duck *duck, ParquetBlame blame)
{
    atomic_store(&duck->blame, blame);
}

size_t parquet_find_damaged(Duck *duck, const char *const *paths, size_t n)
{
    DuckConn *conn = NULL;
    Text sql = TEXT(1 << 20), path = TEXT(1 << 18);
    int64_t end_us = clock_mono_us() + PROBE_US;
    size_t found = n;

    if (duck_connect(duck, &conn, NULL) != OK) {
        return n;
    }
    conn->probing = true;
    for (size_t i = 0; i < n && found == n && clock_mono_us() < end_us; i++) {
        text_clear(&sql);
        text_clear(&path);
        parquet_escape_glob(&path, paths[i]);
        text_append(&sql, "SELECT count(*) FROM read_parquet(");
        text_append_sql_string(&sql, text_str(&path));
        text_append(&sql, ", hive_partitioning=false) AS f WHERE hash(f) = 0");
        found = duck_exec(conn, text_str(&sql), NULL) == OK ? n : i;
    }
    duck_disconnect(conn);
    text_free(&sql);
    text_free(&path);
    return found;
}

void parquet_escape_glob(Text *out, const char *path)
{
    for (const char *c = path; *c != '\0'; c++) {
        if (*c == '[' || *c == '*' || *c == '?') {
            text_printf(out, "[%c]", *c);
        } else {
            text_append_char(out, *c);
        }
    }
}
