/* A folder for one Delta table, its handle, and logs written by hand. `LogFixture *f = log_fixture_new();` */
#ifndef FRESHET_TESTS_DELTA_FIXTURE_H
#define FRESHET_TESTS_DELTA_FIXTURE_H

#include "unit.h"

#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "delta/table.h"

#define LOG_PROTOCOL "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n"
#define LOG_METADATA                                                                                            \
    "{\"metaData\":{\"id\":\"6b5b8e0c\",\"format\":{\"provider\":\"parquet\",\"options\":{}},\"schemaString\":" \
    "\"{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[{\\\"name\\\":\\\"a\\\",\\\"type\\\":\\\"long\\\","         \
    "\\\"nullable\\\":true,"                                                                                    \
    "\\\"metadata\\\":{}}]}\",\"partitionColumns\":[],\"configuration\":{}}}\n"
#define LOG_ADD(path)                                                                                                 \
    "{\"add\":{\"path\":\"" path "\",\"partitionValues\":{},\"size\":10,\"modificationTime\":1,\"dataChange\":true}}" \
    "\n"
#define LOG_REMOVE(path)      "{\"remove\":{\"path\":\"" path "\",\"deletionTimestamp\":5,\"dataChange\":true}}\n"
#define LOG_TXN(app, version) "{\"txn\":{\"appId\":\"" app "\",\"version\":" #version "}}\n"

typedef struct LogFixture {
    char dir[64];
    Duck *duck;
    DuckConn *conn;
    DeltaTable *table;
} LogFixture;

static inline LogFixture *log_fixture_new(void)
{
    LogFixture *f = mem_alloc(sizeof *f);
    Error err = ERROR_NONE;
    DuckConfig config = {.memory_limit_bytes = 256 << 20, .threads = 2};

    snprintf(f->dir, sizeof f->dir, "/tmp/freshet-delta-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_ok(duck_open(&config, &f->duck, &err));
    assert_ok(duck_connect(f->duck, &f->conn, &err));
    assert_ok(delta_table_open(f->duck, f->dir, &f->table, &err));
    return f;
}

static inline void log_fixture_free(LogFixture *f)
{
    Error err = ERROR_NONE;

    delta_table_close(f->table);
    duck_disconnect(f->conn);
    duck_close(f->duck);
    assert_ok(file_remove_tree(f->dir, &err));
    mem_free(f);
}

/* A handle that has seen nothing yet. */
static inline void log_fixture_reopen(LogFixture *f)
{
    Error err = ERROR_NONE;

    delta_table_close(f->table);
    assert_ok(delta_table_open(f->duck, f->dir, &f->table, &err));
}

/* Writes a file below the table's folder. */
static inline void log_fixture_write(LogFixture *f, const char *name, const char *content)
{
    Text path = TEXT(4096);
    Error err = ERROR_NONE;

    text_printf(&path, "%s/%s", f->dir, name);
    *strrchr(path.data, '/') = '\0';
    assert_ok(file_mkdirs(path.data, false, &err));
    text_clear(&path);
    text_printf(&path, "%s/%s", f->dir, name);
    assert_ok(file_write(path.data, content, strlen(content), &err));
    text_free(&path);
}

static inline void log_fixture_commit(LogFixture *f, int version, const char *content)
{
    char name[64];

    snprintf(name, sizeof name, "_delta_log/%020d.json", version);
    log_fixture_write(f, name, content);
}

static inline void log_fixture_unlink(LogFixture *f, const char *name)
{
    Text path = TEXT(4096);

    text_printf(&path, "%s/%s", f->dir, name);
    assert_int_equal(unlink(path.data), 0);
    text_free(&path);
}

static inline int log_fixture_by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef struct LogFixtureFiles {
    char *names[4096];
    size_t n;
} LogFixtureFiles;

static inline Status log_fixture_collect(void *context, const DeltaFile *file, Error *err)
{
    LogFixtureFiles *files = context;
    Text name = TEXT(4096);

    (void)err;
    assert_true(files->n < 4096);
    text_append(&name, file->path);
    if (file->deletion_vector != NULL) {
        text_append_char(&name, '#');
        delta_file_dv_id(file, &name);
    }
    files->names[files->n++] = text_take(&name);
    return OK;
}

/* The live files of a snapshot, sorted, "a b#dv c"; mem_free it. */
static inline char *log_fixture_live(LogFixture *f, DeltaSnapshot *snapshot)
{
    LogFixtureFiles *files = mem_alloc(sizeof *files);
    Text all = TEXT(1 << 20);
    Error err = ERROR_NONE;
    int64_t count, bytes;

    assert_ok(delta_snapshot_each_file(snapshot, f->conn, log_fixture_collect, files, &err));
    assert_ok(delta_snapshot_totals(snapshot, f->conn, &count, &bytes, &err));
    assert_int_equal(count, (int64_t)files->n);
    qsort(files->names, files->n, sizeof *files->names, log_fixture_by_text);
    for (size_t i = 0; i < files->n; i++) {
        text_printf(&all, "%s%s", i > 0 ? " " : "", files->names[i]);
        mem_free(files->names[i]);
    }
    mem_free(files);
    return text_take(&all);
}

/* Newest version and its files, as "3: a b". */
#define assert_newest(f, wanted)                                                      \
    do {                                                                              \
        DeltaSnapshot *snapshot_;                                                     \
        Text text_ = TEXT(1 << 20);                                                   \
        assert_ok(delta_table_snapshot((f)->table, (f)->conn, &snapshot_, &err));     \
        char *live_ = log_fixture_live((f), snapshot_);                               \
        text_printf(&text_, "%d: %s", (int)delta_snapshot_version(snapshot_), live_); \
        assert_string_equal(text_str(&text_), wanted);                                \
        mem_free(live_);                                                              \
        text_free(&text_);                                                            \
        delta_snapshot_unref(snapshot_);                                              \
    } while (0)

#endif
