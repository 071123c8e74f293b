/* What the tests of the file source share: one DuckDB instance, per test a folder with "in" (the files) and a
 * checkpoint, rows as sorted JSON, and a small flow that asks a source for batches. */
#ifndef FRESHET_TESTS_SOURCE_FILES_H
#define FRESHET_TESTS_SOURCE_FILES_H

#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "source/sources.h"

static Duck *duck;
static DuckConn *conn;
static Error err;
static char folder[64];
static Store *checkpoint;

static inline int group_up(void **state)
{
    (void)state;
    assert_ok(duck_open(&(DuckConfig){.memory_limit_bytes = INT64_C(1) << 30, .threads = 2}, &duck, &err));
    assert_ok(duck_connect(duck, &conn, &err));
    return 0;
}

static inline int group_down(void **state)
{
    (void)state;
    duck_disconnect(conn);
    duck_close(duck);
    return 0;
}

/* A path below the test's folder; good for the next few calls. */
static inline const char *path_of(const char *name)
{
    static char paths[8][256];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline int set_up(void **state)
{
    (void)state;
    error_clear(&err);
    failpoint_reset();
    snprintf(folder, sizeof folder, "/tmp/freshet-files-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_ok(file_mkdirs(path_of("in"), false, &err));
    assert_ok(store_open(path_of("ckpt"), &checkpoint, &err));
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    failpoint_reset();
    store_unref(checkpoint);
    assert_ok(file_remove_tree(folder, &err));
    return 0;
}

static inline void put_bytes(const char *name, const void *bytes, size_t n)
{
    char *parent = mem_strdup(path_of(name));
    *strrchr(parent, '/') = '\0';
    assert_ok(file_mkdirs(parent, false, &err));
    mem_free(parent);
    assert_ok(file_write(path_of(name), bytes, n, &err));
}

static inline void put(const char *name, const char *text)
{
    put_bytes(name, text, strlen(text));
}

static inline bool exists(const char *name)
{
    return access(path_of(name), F_OK) == 0;
}

/* ---- rows ---- */

/* Puts FOLDER where the text has the test's folder. */
static inline char *without_folder(char *text)
{
    Text out = TEXT(64 << 20);
    for (const char *s = text; *s;) {
        bool here = strncmp(s, folder, strlen(folder)) == 0;
        text_append_n(&out, here ? "FOLDER" : s, here ? 6 : 1);
        s += here ? strlen(folder) : 1;
    }
    mem_free(text);
    return text_take(&out);
}

/* The rows as JSON, one a line, sorted; the caller frees it. */
static inline Status rows_try(const char *sql, char **out)
{
    Text query = TEXT(1 << 20);
    DuckResult *result = NULL;
    bool more;
    Status rc;

    text_printf(
        &query,
        "SELECT coalesce(string_agg(r, chr(10) ORDER BY r), '') FROM (SELECT CAST(to_json(one) AS VARCHAR) AS r "
        "FROM (%s) AS one)",
        sql);
    TRY(duck_query(conn, text_str(&query), &result, &err));
    TRY(duck_result_next(result, &more, &err));
    *out = without_folder(duck_result_text_dup(result, 0));
out:
    duck_result_free(result);
    text_free(&query);
    return rc;
}

static inline void assert_rows(const char *sql, const char *wanted)
{
    char *have = NULL;
    assert_ok(rows_try(sql, &have));
    assert_string_equal(have, wanted);
    mem_free(have);
}

enum { OPTIONS_MAX = 16 };

/* "key", "value", ..., NULL as options. */
static inline size_t options_of(const char *const *words, StreamOption *options)
{
    size_t n = 0;
    for (; words && words[0]; words += 2) {
        options[n++] = (StreamOption){.key = words[0], .value = words[1]};
    }
    return n;
}
#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_OPTIONS   ((const char *const[]){NULL})

/* read_files outside a stream. */
static inline void assert_files(const char *place, const char *const *words, const char *wanted)
{
    StreamOption options[OPTIONS_MAX];
    StreamRelation relation;
    size_t n = options_of(words, options);
    assert_ok(source_files_relation(duck, conn, path_of(place), options, n, &relation, NULL, &err));
    assert_rows(relation.sql, wanted);
    stream_relation_release(&relation);
}

/* ---- a small flow ---- */

static inline StreamSource *open_source(const char *place, const char *const *words)
{
    StreamOption options[OPTIONS_MAX];
    StreamSource *source = NULL;
    const StreamSourceContext context = {
        .duck = duck, .checkpoint = checkpoint, .private_dir = "sources/0", .flow = "t", .warehouse = folder};
    size_t n = options_of(words, options);
    assert_ok(source_files_open(&context, path_of(place), options, n, &source, &err));
    return source;
}

static inline void close_source(StreamSource *source)
{
    source->ops->close(source);
}

/* The rows of (start, end]; after a failure the source may have learnt, and they are read once more. */
static inline Status read_range(StreamSource *source, const char *start, const char *end, char **rows)
{
    for (int attempt = 0;; attempt++) {
        StreamRelation relation = {0};
        DeltaSchema *schema = NULL;
        Status rc = source->ops->schema(source, conn, &schema, &err);
        delta_schema_unref(schema);
        if (rc == OK) {
            rc = source->ops->relation(source, conn, start, end, &relation, &err);
        }
        if (rc == OK) {
            rc = rows_try(relation.sql, rows);
        }
        stream_relation_release(&relation);
        if (rc == OK || attempt == 3 || !source->ops->learnt(source)) {
            return rc;
        }
        error_clear(&err);
    }
}

/* One batch from *offset on: its rows, and *offset moves; NULL rows when there is nothing new. */
static inline Status batch_try(StreamSource *source, char **offset, char **rows)
{
    DeltaSchema *schema = NULL;
    bool changed = true;
    char *end = NULL;
    Status rc = OK;

    *rows = NULL;
    for (int i = 0; i < 10 && changed; i++) {
        TRY(source->ops->schema(source, conn, &schema, &err));
        if (schema == NULL) {
            return OK;
        }
        delta_schema_unref(schema);
        TRY(source->ops->latest(source, conn, *offset, false, &end, &changed, &err));
    }
    assert_false(changed);
    if (end != NULL) {
        rc = read_range(source, *offset, end, rows);
        if (rc == OK) {
            mem_free(*offset);
            *offset = end;
            end = NULL;
        }
    }
out:
    mem_free(end);
    return rc;
}

static inline void assert_batch(StreamSource *source, char **offset, const char *wanted)
{
    char *rows = NULL;
    assert_ok(batch_try(source, offset, &rows));
    if (wanted == NULL || rows == NULL) {
        assert_true(rows == NULL && wanted == NULL);
    } else {
        assert_string_equal(rows, wanted);
    }
    mem_free(rows);
}

#endif
