/* Files as a stream: what is offered, when, how often, with which schema, and what a restart finds. */
#include "source_files.h"

#include <fcntl.h>
#include <poll.h>
#include <utime.h>

#include "source/files_log.h"

static void age(const char *name, int64_t seconds_ago)
{
    struct timespec times[2] = {{.tv_sec = clock_now_ms() / 1000 - seconds_ago},
                                {.tv_sec = clock_now_ms() / 1000 - seconds_ago}};
    assert_int_equal(utimensat(AT_FDCWD, path_of(name), times, 0), 0);
}

static void put_aged(const char *name, const char *text, int64_t seconds_ago)
{
    put(name, text);
    age(name, seconds_ago);
}

/* The descriptor becomes readable before the deadline. */
static bool wakes(StreamSource *source)
{
    struct pollfd fd = {.fd = source->ops->wake_fd(source), .events = POLLIN};
    bool woken = poll(&fd, 1, 10000) == 1;
    source->ops->wake_clear(source);
    return woken;
}

static void test_source_files_stream__each_file_once_in_order_of_time(void **state)
{
    (void)state;
    char *offset = NULL;
    put_aged("in/b.json", "{\"a\":1}\n", 30);
    put_aged("in/a.json", "{\"a\":2}\n", 20);
    put_aged("in/c.json", "{\"a\":3}\n", 20);
    StreamSource *source = open_source("in", OPTIONS("maxFilesPerTrigger", "2", "rescuedDataColumn", "r"));
    assert_batch(source, &offset, "{\"a\":1,\"r\":null}\n{\"a\":2,\"r\":null}");
    assert_string_equal(offset, "{\"logOffset\":0}");
    assert_batch(source, &offset, "{\"a\":3,\"r\":null}");
    assert_batch(source, &offset, NULL);
    put_aged("in/a.json", "{\"a\":9}\n", 0); /* known by its path */
    put_aged("in/old.json", "{\"a\":4}\n", 1000);
    source->ops->wake_clear(source);
    assert_batch(source, &offset, "{\"a\":4,\"r\":null}");
    close_source(source);

    source = open_source("in", OPTIONS("rescuedDataColumn", "r"));
    assert_batch(source, &offset, NULL);
    put_aged("in/d.json", "{\"a\":5}\n", 10);
    assert_batch(source, &offset, "{\"a\":5,\"r\":null}");
    close_source(source);
    mem_free(offset);
}

static void test_source_files_stream__limits_in_bytes(void **state)
{
    (void)state;
    char *offset = NULL;
    put_aged("in/a.json", "{\"a\":1}\n", 30);
    put_aged("in/b.json", "{\"a\":2}\n", 20);
    put_aged("in/c.json", "{\"a\":3}\n", 10);
    StreamSource *source = open_source("in", OPTIONS("maxBytesPerTrigger", "9", "schema", "a INT"));
    StreamBacklog backlog;
    assert_batch(source, &offset, "{\"a\":1}\n{\"a\":2}");
    source->ops->backlog(source, &backlog);
    assert_int_equal(backlog.files, 1);
    assert_int_equal(backlog.bytes, 8);
    assert_batch(source, &offset, "{\"a\":3}");
    close_source(source);
    mem_free(offset);
}

static void test_source_files_stream__a_logged_batch_is_offered_again(void **state)
{
    (void)state;
    static const FailpointId POINTS[] = {FP_SOURCE_LOG_BEFORE_PUT, FP_SOURCE_LOG_AFTER_PUT, FP_SOURCE_SCHEMA_BEFORE_PUT,
                                         FP_SOURCE_SCHEMA_AFTER_PUT};
    put_aged("in/a.json", "{\"a\":1}\n", 30);
    for (size_t i = 0; i < sizeof POINTS / sizeof *POINTS; i++) {
        char *offset = NULL, *rows;
        StreamSource *source = open_source("in", NO_OPTIONS);
        failpoint_reset();
        failpoint_arm(POINTS[i], FAILPOINT_ERROR, 1);
        if (batch_try(source, &offset, &rows) != ERR_IO) {
            fail_msg("%s was not passed: %s", failpoint_name(POINTS[i]), err.message);
        }
        error_clear(&err);
        failpoint_reset();
        close_source(source);

        source = open_source("in", NO_OPTIONS);
        put_aged("in/later.json", "{\"a\":0}\n", 20);
        assert_ok(batch_try(source, &offset, &rows));
        assert_non_null(rows);
        mem_free(rows);
        assert_ok(batch_try(source, &offset, &rows)); /* with what came later, or already there */
        mem_free(rows);
        close_source(source);
        mem_free(offset);
        /* all over again */
        assert_ok(store_delete_folder(checkpoint, "sources", &err));
        assert_int_equal(unlink(path_of("in/later.json")), 0);
    }
}

static void test_source_files_stream__offset_beyond_the_log(void **state)
{
    (void)state;
    char *offset = mem_strdup("{\"logOffset\":7}"), *rows;
    put_aged("in/a.json", "{\"a\":1}\n", 30);
    StreamSource *source = open_source("in", NO_OPTIONS);
    assert_error(batch_try(source, &offset, &rows), E_SOURCE_DATA_LOSS);
    mem_free(offset);
    offset = mem_strdup("{\"reservoirVersion\":7}");
    assert_error(batch_try(source, &offset, &rows), E_SOURCE_OFFSET);
    mem_free(offset);
    close_source(source);
}

/* ---- completeness, events ---- */

static void test_source_files_stream__renamed_and_closed_files_wake_at_once(void **state)
{
    (void)state;
    char *offset = NULL;
    put_aged("in/0.json", "{\"a\":0}\n", 30);
    StreamSource *source = open_source("in", OPTIONS("schema", "a INT"));
    assert_batch(source, &offset, "{\"a\":0}");
    assert_batch(source, &offset, NULL);

    put("elsewhere.json", "{\"a\":1}"); /* without a line end: only the rename says that it is complete */
    assert_int_equal(rename(path_of("elsewhere.json"), path_of("in/1.json")), 0);
    assert_true(wakes(source));
    assert_batch(source, &offset, "{\"a\":1}");

    int fd = open(path_of("in/2.json"), O_CREAT | O_WRONLY, 0644);
    assert_int_equal(write(fd, "{\"a\":2}\n{\"a\"", 12), 12);
    assert_true(wakes(source));
    assert_batch(source, &offset, NULL); /* somebody is writing */
    assert_int_equal(write(fd, ":3}", 3), 3);
    close(fd);
    assert_true(wakes(source));
    assert_batch(source, &offset, "{\"a\":2}\n{\"a\":3}");

    put("elsewhere.json", "{\"a\":4}");
    assert_int_equal(link(path_of("elsewhere.json"), path_of("in/3.json")), 0);
    assert_true(wakes(source));
    assert_batch(source, &offset, "{\"a\":4}");

    put("sub/x/4.json", "{\"a\":5}\n");
    assert_int_equal(rename(path_of("sub"), path_of("in/sub")), 0);
    assert_true(wakes(source));
    assert_batch(source, &offset, "{\"a\":5}");
    put("in/sub/x/5.json", "{\"a\":6}\n");
    assert_true(wakes(source));
    assert_batch(source, &offset, "{\"a\":6}");

    put("in/_6.json", "{\"a\":7}\n");
    put("in/.7.json", "{\"a\":7}\n");
    source->ops->wake_clear(source);
    assert_batch(source, &offset, NULL);
    close_source(source);
    mem_free(offset);
}

static void test_source_files_stream__a_file_without_its_end_settles(void **state)
{
    (void)state;
    char *offset = NULL;
    put_aged("in/0.json", "{\"a\":0}\n", 30);
    put("in/1.json", "{\"a\":1}");                        /* young, without its end */
    put_aged("in/2.json", "{\"a\":2}", 60);               /* old */
    put("in/3.json", "{\"a\":3}\n");                      /* young, with its end */
    put_bytes("in/4.json.gz", "\x1f\x8b\x08\x00\x00", 5); /* young, cut */
    StreamSource *source = open_source(
        "in", OPTIONS("schema", "a INT", "freshet.files.settle", "1 second", "ignoreCorruptFiles", "true"));
    assert_batch(source, &offset, "{\"a\":0}\n{\"a\":2}\n{\"a\":3}");
    char *rows = NULL;
    for (int64_t deadline = clock_mono_us() + 20000000; rows == NULL && clock_mono_us() < deadline;) {
        assert_true(wakes(source));
        assert_ok(batch_try(source, &offset, &rows));
    }
    assert_non_null(rows);
    assert_contains(rows, "{\"a\":1}");
    mem_free(rows);
    close_source(source);
    mem_free(offset);
}

static void test_source_files_stream__freeze_fixes_the_end(void **state)
{
    (void)state;
    char *offset = NULL;
    put_aged("in/0.json", "{\"a\":0}\n", 30);
    put("in/1.json", "{\"a\":1}"); /* waited for */
    StreamSource *source = open_source(
        "in", OPTIONS("schema", "a INT", "maxFilesPerTrigger", "1", "freshet.files.settle", "200 ms"));
    assert_ok(source->ops->freeze(source, conn, NULL, &err));
    put("in/2.json", "{\"a\":2}\n");
    assert_batch(source, &offset, "{\"a\":0}");
    assert_batch(source, &offset, "{\"a\":1}");
    assert_batch(source, &offset, NULL);
    close_source(source);
    mem_free(offset);
}

static void test_source_files_stream__existing_files_may_be_left_out(void **state)
{
    (void)state;
    char *offset = NULL;
    put_aged("in/0.json", "{\"a\":0}\n", 30);
    for (int i = 0; i < 2; i++) {
        StreamSource *source = open_source("in", OPTIONS("schema", "a INT", "includeExistingFiles", "false"));
        assert_batch(source, &offset, i == 0 ? "" : NULL);
        assert_batch(source, &offset, NULL);
        close_source(source);
    }
    put_aged("in/1.json", "{\"a\":1}\n", 20);
    StreamSource *source = open_source("in", OPTIONS("schema", "a INT", "includeExistingFiles", "false"));
    assert_batch(source, &offset, "{\"a\":1}");
    close_source(source);
    mem_free(offset);
}

static void test_source_files_stream__by_time(void **state)
{
    (void)state;
    char *offset = NULL;
    put_aged("in/0.json", "{\"a\":0}\n", 1000);
    put_aged("in/1.json", "{\"a\":1}\n", 100);
    put_aged("in/2.json", "{\"a\":2}\n", 10);
    StreamSource *source = open_source("in", OPTIONS("schema", "a INT", "modifiedBefore", "2001-01-01"));
    assert_batch(source, &offset, NULL);
    close_source(source);
    source = open_source("in", OPTIONS("schema", "a INT", "latestFirst", "true", "maxFilesPerTrigger", "2"));
    assert_batch(source, &offset, "{\"a\":1}\n{\"a\":2}");
    close_source(source);
    mem_free(offset);
}

static void test_source_files_stream__vanished_files(void **state)
{
    (void)state;
    char *offset = NULL, *rows;
    put_aged("in/0.json", "{\"a\":0}\n", 30);
    put_aged("in/1.json", "{\"a\":1}\n", 20);
    StreamSource *source = open_source("in", OPTIONS("schema", "a INT", "maxFilesPerTrigger", "1"));
    assert_batch(source, &offset, "{\"a\":0}");
    assert_int_equal(unlink(path_of("in/1.json")), 0); /* found, not yet promised */
    assert_batch(source, &offset, NULL);
    close_source(source);

    assert_int_equal(unlink(path_of("in/0.json")), 0); /* logged, asked for again */
    source = open_source("in", OPTIONS("schema", "a INT"));
    assert_error(read_range(source, NULL, offset, &rows), E_SOURCE_FILE);
    close_source(source);
    source = open_source("in", OPTIONS("schema", "a INT", "ignoreMissingFiles", "true"));
    assert_ok(read_range(source, NULL, offset, &rows));
    assert_string_equal(rows, "");
    mem_free(rows);
    close_source(source);
    mem_free(offset);
}

static void test_source_files_stream__no_file_no_schema(void **state)
{
    (void)state;
    char *offset = NULL;
    char *none;
    StreamSource *source = open_source("in/later", NO_OPTIONS);
    assert_error(batch_try(source, &offset, &none), E_IO_NOT_FOUND);
    assert_ok(file_mkdirs(path_of("in/later"), false, &err));
    assert_batch(source, &offset, NULL);
    put_aged("in/later/a.json", "", 30); /* an empty file says nothing */
    assert_batch(source, &offset, NULL);
    put_aged("in/later/b.json", "{\"a\":1}\n", 20);
    char *rows = NULL;
    for (int64_t deadline = clock_mono_us() + 20000000; rows == NULL && clock_mono_us() < deadline;) {
        assert_ok(batch_try(source, &offset, &rows));
        assert_true(rows != NULL || wakes(source));
    }
    assert_string_equal(rows, "{\"a\":1,\"_rescued_data\":null}");
    mem_free(rows);
    close_source(source);
    mem_free(offset);
}

/* ---- schemas that grow ---- */

static void test_source_files_stream__a_new_column_at_the_head_ends_the_batch_before_it(void **state)
{
    (void)state;
    char *offset = NULL;
    put_aged("in/0.json", "{\"a\":0}\n", 30);
    StreamSource *source = open_source("in", NO_OPTIONS);
    assert_batch(source, &offset, "{\"a\":0,\"_rescued_data\":null}");
    put_aged("in/1.json", "{\"a\":1}\n", 25);
    put_aged("in/2.json", "{\"a\":2,\"n\":{\"x\":1}}\n", 20);
    put_aged("in/3.json", "{\"n\":{\"x\":3,\"y\":true}}\n", 10);
    assert_batch(source, &offset, "{\"a\":1,\"_rescued_data\":null}");
    assert_batch(source, &offset, "{\"a\":2,\"n\":{\"x\":1},\"_rescued_data\":null}");
    close_source(source);
    source = open_source("in", NO_OPTIONS);
    assert_batch(source, &offset, "{\"a\":null,\"n\":{\"x\":3,\"y\":true},\"_rescued_data\":null}");
    assert_batch(source, &offset, NULL);
    close_source(source);
    mem_free(offset);
}

static void put_deep(const char *name, const char *last)
{
    Text text = TEXT(1 << 20);
    for (int i = 0; i < 500; i++) {
        text_append(&text, "{}\n");
    }
    text_append(&text, last);
    put_aged(name, text_str(&text), 20);
    text_free(&text);
}

static const char *const COUNTS[] = {"schemaEvolutionMode", "addNewColumns", NULL};

static void test_source_files_stream__a_new_column_deeper_is_learnt(void **state)
{
    (void)state;
    char *offset = NULL, *rows;
    put_aged("in/0.json", "{\"a\":0}\n", 30);
    StreamSource *source = open_source("in", COUNTS);
    assert_batch(source, &offset, "{\"a\":0,\"_rescued_data\":null}");
    put_deep("in/1.json", "{\"n\":1.5}\n");
    put_deep("in/2.json", "{\"m\":[{\"q\":1}]}\n");
    assert_ok(batch_try(source, &offset, &rows));
    assert_contains(rows, "{\"a\":null,\"n\":1.5,\"m\":null,\"_rescued_data\":null}");
    assert_contains(rows, "{\"a\":null,\"n\":null,\"m\":[{\"q\":1}],\"_rescued_data\":null}");
    size_t n = 1;
    for (const char *c = rows; *c; c++) {
        n += *c == '\n';
    }
    assert_int_equal(n, 1002);
    mem_free(rows);
    close_source(source);
    mem_free(offset);
}

static void test_source_files_stream__evolution_modes(void **state)
{
    (void)state;
    char *offset = NULL, *rows;
    put_aged("in/0.json", "{\"a\":0}\n", 30);
    StreamSource *source = open_source("in", NO_OPTIONS);
    assert_batch(source, &offset, "{\"a\":0,\"_rescued_data\":null}");
    close_source(source);
    put_aged("in/1.json", "{\"a\":1,\"b\":2}\n", 10);

    source = open_source("in", OPTIONS("schemaEvolutionMode", "failOnNewColumns"));
    assert_error(batch_try(source, &offset, &rows), E_SOURCE_NEW_COLUMN);
    assert_error(batch_try(source, &offset, &rows), E_SOURCE_NEW_COLUMN);
    close_source(source);
    source = open_source("in", OPTIONS("schemaEvolutionMode", "rescue"));
    assert_batch(source, &offset,
                 "{\"a\":1,\"_rescued_data\":\"{\\\"b\\\":2,\\\"_file_path\\\":\\\"file:FOLDER/in/1.json\\\"}\"}");
    close_source(source);
    put_aged("in/2.json", "{\"a\":2,\"b\":2}\n", 10);
    source = open_source("in", OPTIONS("schema", "b INT"));
    assert_batch(source, &offset, "{\"b\":2}");
    close_source(source);
    for (int i = 3; i < 5; i++) { /* grows, and stays grown after a restart */
        put_aged(i == 3 ? "in/3.json" : "in/4.json", "{\"a\":3,\"c\":2}\n", 10);
        source = open_source("in", OPTIONS("schema", "a INT", "schemaEvolutionMode", "addNewColumns"));
        assert_batch(source, &offset, "{\"a\":3,\"c\":2}");
        close_source(source);
    }
    mem_free(offset);
}

/* ---- afterwards ---- */

static void test_source_files_stream__clean_source(void **state)
{
    (void)state;
    char *offset = NULL;
    put_aged("in/x/0.json", "{\"a\":0}\n", 30);
    StreamSource *source = open_source(
        "in", OPTIONS("schema", "a INT", "cleanSource", "archive", "sourceArchiveDir", path_of("archive")));
    assert_batch(source, &offset, "{\"a\":0}");
    assert_true(exists("in/x/0.json"));
    assert_ok(source->ops->commit(source, offset, &err));
    assert_false(exists("in/x/0.json"));
    assert_true(exists("archive/x/0.json"));
    close_source(source);

    put_aged("in/1.json", "{\"a\":1}\n", 30);
    put_aged("in/2.json", "{\"a\":2}\n", 20);
    source = open_source("in", OPTIONS("schema", "a INT", "cleanSource", "delete"));
    assert_batch(source, &offset, "{\"a\":1}\n{\"a\":2}");
    put("in/2.json", "{\"a\":3}\n"); /* another file of that name: nobody has read it */
    assert_ok(source->ops->commit(source, offset, &err));
    assert_false(exists("in/1.json"));
    assert_true(exists("in/2.json"));
    close_source(source);
    mem_free(offset);
}

static size_t count_names(const char *part)
{
    size_t n = 0;
    char command[256];
    snprintf(command, sizeof command, "ls '%s' | grep -c '%s'", path_of("ckpt/sources/0"), part);
    FILE *f = popen(command, "r");
    assert_int_equal(fscanf(f, "%zu", &n), 1);
    pclose(f);
    return n;
}

static void test_source_files_stream__the_log_compacts(void **state)
{
    (void)state;
    enum { ENTRIES = 400 };
    char name[32];
    FilesSet *seen = files_set_new();
    FilesLog *log;
    assert_ok(files_log_open(checkpoint, "sources/0", duck, seen, &log, &err));
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(name, sizeof name, "/in/%d \n.json", i);
        assert_ok(files_log_append(log, &(FilesItem){name, i, i * INT64_C(1000)}, 1, &err));
        if (i == 200) { /* a crash between the name and the deletions */
            failpoint_arm(FP_SOURCE_COMPACT_AFTER_PUBLISH, FAILPOINT_ERROR, 1);
        }
        Status rc = files_log_settle(log, i - 1, &err);
        if (rc != OK) {
            assert_int_equal(err.id, E_FAILPOINT);
            error_clear(&err);
            failpoint_reset();
            files_log_close(log);
            files_set_free(seen);
            seen = files_set_new();
            assert_ok(files_log_open(checkpoint, "sources/0", duck, seen, &log, &err));
            assert_int_equal(files_log_end(log), i);
        }
    }
    files_log_close(log);
    files_set_free(seen);
    assert_true(count_names("compact.parquet") <= 3);
    assert_true(count_names("^[0-9]*$") <= 70);
    assert_int_equal(count_names("^.compact-"), 0);

    seen = files_set_new();
    assert_ok(files_log_open(checkpoint, "sources/0", duck, seen, &log, &err));
    assert_int_equal(files_log_end(log), ENTRIES - 1);
    assert_int_equal(files_set_count(seen), ENTRIES);
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(name, sizeof name, "/in/%d \n.json", i);
        assert_true(files_set_has(seen, name));
    }
    FilesEntry *entries;
    size_t n;
    assert_ok(files_log_range(log, ENTRIES - 3, ENTRIES - 1, &entries, &n, &err));
    assert_int_equal(n, 2);
    assert_string_equal(entries[1].item.path, "/in/399 \n.json");
    assert_int_equal(entries[1].item.size, 399);
    mem_free(entries);
    assert_error(files_log_range(log, 3, ENTRIES - 1, &entries, &n, &err), E_SOURCE_DATA_LOSS);
    files_log_close(log);
    files_set_free(seen);
}

/* "+0" beside "0" was taken for a second one, and the entry deleted as done with. */
static void test_source_files_stream__other_names_in_the_log_are_nothing(void **state)
{
    (void)state;
    FilesSet *seen = files_set_new();
    FilesLog *log;
    put("ckpt/sources/0/0", "v1\n{\"path\":\"/in/a\",\"timestamp\":1,\"batchId\":0}");
    put("ckpt/sources/0/+0", "v1");
    put("ckpt/sources/0/00", "v1");
    assert_ok(files_log_open(checkpoint, "sources/0", duck, seen, &log, &err));
    assert_int_equal(files_log_end(log), 0);
    assert_true(files_set_has(seen, "/in/a"));
    assert_true(exists("ckpt/sources/0/0"));
    files_log_close(log);
    files_set_free(seen);
}

static void test_source_files_stream__a_damaged_log_is_named(void **state)
{
    (void)state;
    static const char *const BAD[] = {"", "v2\n", "v1\n{\"path\":", "v1\n{\"path\":\"file:///x\"}", "v1\n[]"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        FilesSet *seen = files_set_new();
        FilesLog *log;
        put("ckpt/sources/0/0", BAD[i]);
        assert_int_not_equal(files_log_open(checkpoint, "sources/0", duck, seen, &log, &err), OK);
        assert_contains(err.message, "sources/0/0");
        error_clear(&err);
        files_set_free(seen);
    }
}

static void test_source_files_stream__describes_itself(void **state)
{
    (void)state;
    Text text = TEXT(4096);
    char wanted[128];
    StreamSource *source = open_source("in/*.json", NO_OPTIONS);
    source->ops->describe(source, &text);
    snprintf(wanted, sizeof wanted, "FileStreamSource[file:%s/in/*.json]", folder);
    assert_string_equal(text_str(&text), wanted);
    text_clear(&text);
    source->ops->identity(source, &text);
    assert_contains(text_str(&text), "/in/*.json");
    text_free(&text);
    close_source(source);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_source_files_stream__each_file_once_in_order_of_time),
        TEST(test_source_files_stream__limits_in_bytes),
        TEST(test_source_files_stream__a_logged_batch_is_offered_again),
        TEST(test_source_files_stream__offset_beyond_the_log),
        TEST(test_source_files_stream__renamed_and_closed_files_wake_at_once),
        TEST(test_source_files_stream__a_file_without_its_end_settles),
        TEST(test_source_files_stream__freeze_fixes_the_end),
        TEST(test_source_files_stream__existing_files_may_be_left_out),
        TEST(test_source_files_stream__by_time),
        TEST(test_source_files_stream__vanished_files),
        TEST(test_source_files_stream__no_file_no_schema),
        TEST(test_source_files_stream__a_new_column_at_the_head_ends_the_batch_before_it),
        TEST(test_source_files_stream__a_new_column_deeper_is_learnt),
        TEST(test_source_files_stream__evolution_modes),
        TEST(test_source_files_stream__clean_source),
        TEST(test_source_files_stream__the_log_compacts),
        TEST(test_source_files_stream__other_names_in_the_log_are_nothing),
        TEST(test_source_files_stream__a_damaged_log_is_named),
        TEST(test_source_files_stream__describes_itself),
    };
    return cmocka_run_group_tests(tests, group_up, group_down);
}
