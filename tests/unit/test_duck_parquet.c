/* Writing Parquet files: names, partitions, statistics, failures. */
#include <dirent.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "duck/parquet.h"
#include "duck_fixture.h"

static Arena *arena;
static ParquetFile *files;
static size_t n_files;

static int up_arena(void **state)
{
    (void)state;
    arena = arena_new();
    return 0;
}

static int down_arena(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static const char *sub_folder(const char *name)
{
    const char *path = arena_printf(arena, "%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0755), 0);
    return path;
}

/* Regular files below `path`. */
static int count_files(const char *path)
{
    DIR *stream = opendir(path);
    assert_non_null(stream);
    int n = 0;
    for (struct dirent *e; (e = readdir(stream)) != NULL;) {
        if (e->d_name[0] != '.') {
            n += e->d_type == DT_DIR ? count_files(arena_printf(arena, "%s/%s", path, e->d_name)) : 1;
        }
    }
    closedir(stream);
    return n;
}

static int64_t rows_of(const char *path)
{
    Text sql = TEXT(1 << 16), escaped = TEXT(4096);
    parquet_escape_glob(&escaped, path);
    text_append(&sql, "SELECT count(*) FROM read_parquet(");
    text_append_sql_string(&sql, text_str(&escaped));
    text_append(&sql, ", hive_partitioning = false)");
    int64_t rows = query_i64(text_str(&sql));
    text_free(&sql);
    text_free(&escaped);
    return rows;
}

static const ParquetStats *stats_of(const ParquetFile *file, const char *path)
{
    for (size_t i = 0; i < file->n_stats; i++) {
        Text joined = TEXT(4096);
        for (size_t k = 0; k < file->stats[i].n_path; k++) {
            text_printf(&joined, "%s%s", k == 0 ? "" : "/", file->stats[i].path[k]);
        }
        bool found = strcmp(text_str(&joined), path) == 0;
        text_free(&joined);
        if (found) {
            return &file->stats[i];
        }
    }
    return NULL;
}

static void test_duck_parquet__one_file(void **state)
{
    (void)state;
    const ParquetWrite write = {
        .query = "SELECT range AS a FROM range(1000) -- a comment", .folder = sub_folder("one [1]"), .prefix = "part-"};
    must(parquet_write(conn, &write, arena, &files, &n_files, &err));
    assert_int_equal(n_files, 1);
    assert_int_equal(files[0].rows, 1000);
    struct stat st;
    assert_int_equal(stat(files[0].path, &st), 0);
    assert_int_equal(files[0].bytes, st.st_size);
    assert_true(str_starts(strrchr(files[0].path, '/') + 1, "part-"));
    assert_true(str_ends(files[0].path, ".parquet"));
    assert_int_equal(rows_of(files[0].path), 1000);
    const ParquetStats *a = stats_of(&files[0], "a");
    assert_string_equal(a->min, "0");
    assert_string_equal(a->max, "999");
    assert_int_equal(a->null_count, 0);
}

static const struct {
    const char *expression, *path, *min, *max;
    int64_t null_count;
    bool has_nan;
} STATS[] = {
    {"CASE WHEN i > 0 THEN i - 2 END::BIGINT", "%", "-1", "7", 1, false},
    {"i::TINYINT", "%", "0", "9", 0, false},
    {"i + 0.5::DOUBLE", "%", "0.5", "9.5", 0, false},
    {"CASE WHEN i = 5 THEN 'nan'::DOUBLE ELSE i END", "%", "0.0", "9.0", 0, true},
    {"'nan'::FLOAT", "%", NULL, NULL, 0, true},
    {"CASE i WHEN 0 THEN '-inf'::FLOAT WHEN 1 THEN 'inf'::FLOAT ELSE 0 END", "%", "-inf", "inf", 0, false},
    {"((i - 5) * 1.25)::DECIMAL(9,2)", "%", "-6.25", "5.00", 0, false},
    {"(i::DECIMAL(38,0) * 10000000000000000000000000000)::DECIMAL(38,4)", "%", "0.0000",
     "90000000000000000000000000000.0000", 0, false},
    {"'text ' || i", "%", "text 0", "text 9", 0, false},
    {"'a' || chr(0) || i", "%", NULL, NULL, 0, false},
    {"NULL::VARCHAR", "%", NULL, NULL, 10, false},
    {"(i % 2 = 0)", "%", "0", "1", 0, false},
    {"DATE '2024-01-01' + i::INTEGER", "%", "2024-01-01", "2024-01-10", 0, false},
    {"TIMESTAMPTZ '2024-01-01 00:00:00.123456+00' + to_seconds(i)", "%", "2024-01-01 00:00:00.123456+00",
     "2024-01-01 00:00:09.123456+00", 0, false},
    {"TIMESTAMP '1969-01-01 00:00:00.5' + to_seconds(i)", "%", "1969-01-01 00:00:00.5", "1969-01-01 00:00:09.5", 0,
     false},
    {"('a' || i)::BLOB", "%", "6130", "6139", 0, false},
    {"{'x': i, 'n': {'y z': i + 1}}", "%/n/y z", "1", "10", 0, false},
    {"CASE WHEN i > 3 THEN {'q\"uo.te': i} END", "%/q\"uo.te", "4", "9", 4, false},
    {"[i, NULL, i + 1]", "%/element", "0", "10", 10, false},
    {"[{'a': i}]", "%/element/a", "0", "9", 0, false},
    {"MAP {'k' || i: i}", "%/key", "k0", "k9", 0, false},
    {"MAP {'k': i}", "%/value", "0", "9", 0, false},
};

/* The path with % as the column's own name, which has a dot and a quote in it. */
static const char *stats_path(const char *path)
{
    return arena_printf(arena, "c.\"ol%s", path + 1);
}

static void test_duck_parquet__statistics_of_every_type(void **state)
{
    (void)state;
    const char *where = sub_folder("stats");
    for (size_t i = 0; i < sizeof STATS / sizeof *STATS; i++) {
        const ParquetWrite write = {
            .query = arena_printf(arena, "SELECT %s AS \"c.\"\"ol\" FROM range(10) t(i)", STATS[i].expression),
            .folder = where};
        must(parquet_write(conn, &write, arena, &files, &n_files, &err));
        assert_int_equal(n_files, 1);
        const ParquetStats *s = stats_of(&files[0], stats_path(STATS[i].path));
        if (s == NULL) {
            fail_msg("%s: no statistics for %s", STATS[i].expression, STATS[i].path);
        }
        bool bounds = (s->min == NULL ? STATS[i].min == NULL
                                      : STATS[i].min != NULL && strcmp(s->min, STATS[i].min) == 0) &&
                      (s->max == NULL ? STATS[i].max == NULL
                                      : STATS[i].max != NULL && strcmp(s->max, STATS[i].max) == 0);
        if (!bounds || s->null_count != STATS[i].null_count || s->has_nan != STATS[i].has_nan) {
            fail_msg("%s: min %s max %s nulls %lld nan %d", STATS[i].expression, s->min == NULL ? "-" : s->min,
                     s->max == NULL ? "-" : s->max, (long long)s->null_count, s->has_nan);
        }
    }
}

static void test_duck_parquet__long_strings_are_bounded(void **state)
{
    (void)state;
    const ParquetWrite write = {.query = "SELECT repeat(chr((97 + i)::INTEGER), 300) AS s FROM range(3) t(i)",
                                .folder = sub_folder("long")};
    must(parquet_write(conn, &write, arena, &files, &n_files, &err));
    const ParquetStats *s = stats_of(&files[0], "s");
    assert_int_equal(strlen(s->min), 256);
    assert_int_equal(strspn(s->min, "a"), 256);
    assert_int_equal(strlen(s->max), 256);
    assert_int_equal(strspn(s->max, "c"), 255);
    assert_int_equal(s->max[255], 'd');
}

static void test_duck_parquet__no_rows_no_files(void **state)
{
    (void)state;
    const char *const by[] = {"p"};
    ParquetWrite write = {.query = "SELECT range AS a, 1 AS p FROM range(10) WHERE range < 0",
                          .folder = sub_folder("none"),
                          .prefix = "part-"};
    must(parquet_write(conn, &write, arena, &files, &n_files, &err));
    assert_int_equal(n_files, 0);
    write.file_bytes_max = 1000000;
    must(parquet_write(conn, &write, arena, &files, &n_files, &err));
    assert_int_equal(n_files, 0);
    write.partition_by = by;
    write.n_partition_by = 1;
    must(parquet_write(conn, &write, arena, &files, &n_files, &err));
    assert_int_equal(n_files, 0);
    assert_int_equal(count_files(write.folder), 0);
}

static void test_duck_parquet__partitions(void **state)
{
    (void)state;
    const char *const by[] = {"part \"x\"", "D"};
    const ParquetWrite write = {
        .query = "SELECT i, CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN 'a b/c=d%ü' WHEN 2 THEN "
                 "'it''s [1]*?' ELSE '__' END AS \"part \"\"x\"\"\", DATE '2024-01-01' + (i % 2)::INTEGER AS d "
                 "FROM range(400) t(i)",
        .folder = sub_folder("partitions"),
        .prefix = "part-",
        .partition_by = by,
        .n_partition_by = 2};
    must(parquet_write(conn, &write, arena, &files, &n_files, &err));
    static const struct {
        const char *x, *d;
    } WANTED[] = {
        {NULL, "2024-01-01"}, {"a b/c=d%ü", "2024-01-02"}, {"it's [1]*?", "2024-01-01"}, {"__", "2024-01-02"}};
    assert_int_equal(n_files, 4);
    int found = 0;
    for (size_t f = 0; f < n_files; f++) {
        assert_int_equal(files[f].rows, 100);
        assert_int_equal(rows_of(files[f].path), 100);
        assert_null(stats_of(&files[f], "d"));
        assert_non_null(stats_of(&files[f], "i"));
        for (size_t w = 0; w < 4; w++) {
            const char *x = files[f].partition_values[0];
            found += (x == NULL ? WANTED[w].x == NULL : WANTED[w].x != NULL && strcmp(x, WANTED[w].x) == 0) &&
                     strcmp(files[f].partition_values[1], WANTED[w].d) == 0;
        }
    }
    assert_int_equal(found, 4);
    assert_int_equal(count_files(write.folder), 4);
}

static void test_duck_parquet__many_partitions_one_file_each(void **state)
{
    (void)state;
    const char *const by[] = {"p"};
    const ParquetWrite write = {.query = "SELECT i, i % 300 AS p FROM range(60000) t(i)",
                                .folder = sub_folder("many"),
                                .prefix = "part-",
                                .partition_by = by,
                                .n_partition_by = 1,
                                .write_partition_columns = true};
    must(parquet_write(conn, &write, arena, &files, &n_files, &err));
    assert_int_equal(n_files, 300);
    assert_non_null(stats_of(&files[0], "p"));
    assert_string_equal(stats_of(&files[0], "p")->min, files[0].partition_values[0]);
}

static void test_duck_parquet__size_limit_and_options(void **state)
{
    (void)state;
    const char *const keys[] = {"freshet", "a b"}, *const values[] = {"1", "it's"};
    const ParquetWrite write = {.query = "SELECT i AS a, hash(i)::VARCHAR AS h FROM range(200000) t(i)",
                                .folder = sub_folder("size"),
                                .prefix = "part-",
                                .file_bytes_max = 500000,
                                .row_group_rows = 20000,
                                .codec = "snappy",
                                .field_ids = "{a: 7, h: 8}",
                                .kv_keys = keys,
                                .kv_values = values,
                                .n_kv = 2};
    must(parquet_write(conn, &write, arena, &files, &n_files, &err));
    assert_true(n_files > 2);
    int64_t rows = 0;
    for (size_t i = 0; i < n_files; i++) {
        rows += files[i].rows;
        assert_true(files[i].bytes < 2000000);
    }
    assert_int_equal(rows, 200000);
    const char *path = files[0].path;
    assert_int_equal(
        query_i64(arena_printf(
            arena, "SELECT count(*) FROM parquet_kv_metadata('%s') WHERE key = 'a b' AND value = 'it''s'", path)),
        1);
    assert_int_equal(
        query_i64(arena_printf(arena, "SELECT count(*) FROM parquet_schema('%s') WHERE field_id IN (7, 8)", path)), 2);
    assert_int_equal(query_i64(arena_printf(
                         arena, "SELECT count(*) FROM parquet_metadata('%s') WHERE compression = 'SNAPPY'", path)) %
                         2,
                     0);
}

static void test_duck_parquet__codecs(void **state)
{
    (void)state;
    static const struct {
        const char *codec, *stored;
    } CODECS[] = {{NULL, "ZSTD"},   {"zstd", "ZSTD"},       {"snappy", "SNAPPY"},
                  {"gzip", "GZIP"}, {"lz4_raw", "LZ4_RAW"}, {"uncompressed", "UNCOMPRESSED"}};
    ParquetWrite write = {.query = "SELECT 'text' AS a FROM range(1000)", .folder = sub_folder("codecs")};
    for (size_t i = 0; i < sizeof CODECS / sizeof *CODECS; i++) {
        write.codec = CODECS[i].codec;
        must(parquet_write(conn, &write, arena, &files, &n_files, &err));
        assert_int_equal(
            query_i64(arena_printf(arena, "SELECT count(*) FROM parquet_metadata('%s') WHERE compression = '%s'",
                                   files[0].path, CODECS[i].stored)),
            1);
    }
    write.codec = "brotli9";
    assert_int_equal(parquet_write(conn, &write, arena, &files, &n_files, &err), ERR_INVALID);
    assert_non_null(strstr(err.hint, "zstd"));
    error_clear(&err);
}

static void test_duck_parquet__failures_leave_nothing(void **state)
{
    (void)state;
    const char *const by[] = {"p"};
    ParquetWrite write = {
        .query = "SELECT i, i % 7 AS p, CASE WHEN i = 900000 THEN error('late') END AS e FROM range(1000000) t(i)",
        .folder = sub_folder("failures"),
        .prefix = "part-"};
    ParquetFile *untouched = files;
    for (int shape = 0; shape < 3; shape++) {
        write.file_bytes_max = shape == 1 ? 100000 : 0;
        write.row_group_rows = 10000;
        write.partition_by = by;
        write.n_partition_by = shape == 2;
        assert_int_equal(parquet_write(conn, &write, arena, &files, &n_files, &err), ERR_INVALID);
        assert_string_equal(err.message, "late");
        error_clear(&err);
        assert_int_equal(count_files(write.folder), 0);
    }
    assert_ptr_equal(files, untouched);
    write.query = "SELECT a, nope FROM (SELECT 1 AS a)";
    assert_int_equal(parquet_write(conn, &write, arena, &files, &n_files, &err), ERR_INVALID);
    assert_int_equal(err.id, E_SQL_BIND);
    assert_int_equal(duck_error_position(conn), 10);
    error_clear(&err);
    write.query = "SELECT 1 AS a";
    write.n_partition_by = 0;
    write.folder = "/no/such/folder";
    assert_int_equal(parquet_write(conn, &write, arena, &files, &n_files, &err), ERR_IO);
    error_clear(&err);
}

static void *interrupt_when_running(void *context)
{
    (void)context;
    int64_t deadline = clock_mono_us() + 60 * 1000000;
    while (duck_progress(conn) < 0 && clock_mono_us() < deadline) {
        usleep(500);
    }
    duck_interrupt(conn);
    return NULL;
}

static void test_duck_parquet__interrupts_leave_nothing(void **state)
{
    (void)state;
    const char *const by[] = {"p"};
    ParquetWrite write = {.query = "SELECT i, i % 7 AS p FROM range(2000000000) t(i)",
                          .folder = sub_folder("interrupts"),
                          .prefix = "part-",
                          .partition_by = by};
    for (size_t partitions = 0; partitions < 2; partitions++) {
        pthread_t thread;
        write.n_partition_by = partitions;
        (void)duck_progress(conn); /* from the next statement on it is known */
        assert_int_equal(pthread_create(&thread, NULL, interrupt_when_running, NULL), 0);
        assert_int_equal(parquet_write(conn, &write, arena, &files, &n_files, &err), ERR_INTERRUPTED);
        pthread_join(thread, NULL);
        error_clear(&err);
        assert_int_equal(count_files(write.folder), 0);
    }
}

static void test_duck_parquet__paths_are_not_globs(void **state)
{
    (void)state;
    const char *where = sub_folder("glob");
    must(duck_execf(conn, &err, "COPY (SELECT 1 AS a) TO '%s/x1.parquet' (FORMAT parquet)", where));
    must(duck_execf(conn, &err, "COPY (FROM range(2)) TO '%s/x[1].parquet' (FORMAT parquet)", where));
    must(duck_execf(conn, &err, "COPY (FROM range(3)) TO '%s/y*?.parquet' (FORMAT parquet)", where));
    must(duck_execf(conn, &err, "COPY (FROM range(4)) TO '%s/yab.parquet' (FORMAT parquet)", where));
    must(duck_execf(conn, &err, "COPY (FROM range(5)) TO '%s/z {a,b} %%20 ''ü\\].parquet' (FORMAT parquet)", where));
    assert_int_equal(rows_of(arena_printf(arena, "%s/x[1].parquet", where)), 2);
    assert_int_equal(rows_of(arena_printf(arena, "%s/x1.parquet", where)), 1);
    assert_int_equal(rows_of(arena_printf(arena, "%s/y*?.parquet", where)), 3);
    assert_int_equal(rows_of(arena_printf(arena, "%s/z {a,b} %%20 'ü\\].parquet", where)), 5);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Small batches must stay small: median of some writes of ten rows. */
static void test_duck_parquet__ten_rows_are_quick(void **state)
{
    (void)state;
    enum { RUNS = 41 };
    int64_t took[RUNS];
    const ParquetWrite write = {.query = "SELECT range AS a, 'row ' || range AS b FROM range(10)",
                                .folder = sub_folder("quick"),
                                .prefix = "part-"};
    for (int i = 0; i < RUNS; i++) {
        int64_t start = clock_mono_us();
        must(duck_exec(conn, "SELECT 42", &err));
        must(parquet_write(conn, &write, arena, &files, &n_files, &err));
        took[i] = clock_mono_us() - start;
    }
    qsort(took, RUNS, sizeof *took, by_value);
    print_message("query and COPY of 10 rows: fastest %lld us, median %lld us\n", (long long)took[0],
                  (long long)took[RUNS / 2]);
    assert_true(took[0] < 20000);
}

int main(void)
{
#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, up_arena, down_arena)
    const struct CMUnitTest tests[] = {
        WITH_ARENA(test_duck_parquet__one_file),
        WITH_ARENA(test_duck_parquet__statistics_of_every_type),
        WITH_ARENA(test_duck_parquet__long_strings_are_bounded),
        WITH_ARENA(test_duck_parquet__no_rows_no_files),
        WITH_ARENA(test_duck_parquet__partitions),
        WITH_ARENA(test_duck_parquet__many_partitions_one_file_each),
        WITH_ARENA(test_duck_parquet__size_limit_and_options),
        WITH_ARENA(test_duck_parquet__codecs),
        WITH_ARENA(test_duck_parquet__failures_leave_nothing),
        WITH_ARENA(test_duck_parquet__interrupts_leave_nothing),
        WITH_ARENA(test_duck_parquet__paths_are_not_globs),
        WITH_ARENA(test_duck_parquet__ten_rows_are_quick),
    };
    return cmocka_run_group_tests(tests, duck_fixture_up, duck_fixture_down);
}
