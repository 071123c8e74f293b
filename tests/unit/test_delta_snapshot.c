/* Replay, incremental refresh, time travel and history of logs without checkpoints. */
#include "delta_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

static int set_up(void **state)
{
    *state = log_fixture_new();
    return 0;
}

static int tear_down(void **state)
{
    log_fixture_free(*state);
    return 0;
}

#define DV_ADD(path, dv)                                                                                   \
    "{\"add\":{\"path\":\"" path                                                                           \
    "\",\"partitionValues\":{},\"size\":10,\"modificationTime\":1,\"dataChange\":true,\"deletionVector\":" \
    "{\"storageType\":\"u\",\"pathOrInlineDv\":\"" dv "\",\"offset\":1,\"sizeInBytes\":4,\"cardinality\":1}}}\n"
#define DV_REMOVE(path, dv)                                                      \
    "{\"remove\":{\"path\":\"" path "\",\"dataChange\":true,\"deletionVector\":" \
    "{\"storageType\":\"u\",\"pathOrInlineDv\":\"" dv "\",\"offset\":1,\"sizeInBytes\":4,\"cardinality\":1}}}\n"
#define LOG_PROTOCOL_DV                                                                                      \
    "{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"deletionVectors\"]," \
    "\"writerFeatures\":[\"deletionVectors\"]}}\n"

static void test_delta_replay__add_after_remove(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA LOG_ADD("a") LOG_ADD("b"));
    assert_newest(f, "0: a b");
    log_fixture_commit(f, 1, LOG_REMOVE("a"));
    assert_newest(f, "1: b");
    log_fixture_commit(f, 2, LOG_ADD("a"));
    assert_newest(f, "2: a b");
    log_fixture_commit(f, 3, LOG_REMOVE("a") LOG_ADD("a")); /* in any order: a rewrite of the add */
    log_fixture_commit(f, 4, LOG_ADD("b") LOG_REMOVE("b"));
    assert_newest(f, "4: a b");
    log_fixture_reopen(f);
    assert_newest(f, "4: a b");
}

static void test_delta_replay__deletion_vector_is_part_of_the_key(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;

    log_fixture_commit(f, 0, LOG_PROTOCOL_DV LOG_METADATA LOG_ADD("a") LOG_ADD("b"));
    log_fixture_commit(f, 1, LOG_REMOVE("a") DV_ADD("a", "v1"));
    assert_newest(f, "1: a#uv1@1 b");
    log_fixture_commit(f, 2, DV_REMOVE("a", "v1") DV_ADD("a", "v2"));
    assert_newest(f, "2: a#uv2@1 b");
    log_fixture_commit(f, 3, DV_REMOVE("a", "v1")); /* not the one that is live */
    assert_newest(f, "3: a#uv2@1 b");
    log_fixture_commit(f, 4, DV_REMOVE("a", "v2"));
    assert_newest(f, "4: b");
}

static void test_delta_replay__spellings_of_a_path(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    Text commit = TEXT(4096);

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA LOG_ADD("x%20y") LOG_ADD("z"));
    log_fixture_commit(f, 1, LOG_REMOVE("x y"));
    text_printf(&commit, "{\"remove\":{\"path\":\"file://%s/z\",\"dataChange\":true}}\n", f->dir);
    log_fixture_commit(f, 2, text_str(&commit));
    assert_newest(f, "2: ");
    text_free(&commit);
}

static void test_delta_snapshot__old_ones_stay_as_they_were(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *before;
    int64_t version = 0;

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA LOG_ADD("a") LOG_TXN("q", 3));
    assert_ok(delta_table_snapshot(f->table, f->conn, &before, &err));
    log_fixture_commit(f, 1, LOG_ADD("b") LOG_TXN("q", 4) LOG_TXN("r", 9));
    assert_newest(f, "1: a b");
    assert_int_equal(delta_snapshot_version(before), 0);
    char *live = log_fixture_live(f, before);
    assert_string_equal(live, "a");
    mem_free(live);
    assert_true(delta_snapshot_txn(before, "q", &version));
    assert_int_equal(version, 3);
    assert_false(delta_snapshot_txn(before, "r", &version));
    DeltaSnapshot *now;
    assert_ok(delta_table_snapshot(f->table, f->conn, &now, &err));
    assert_true(delta_snapshot_txn(now, "q", &version));
    assert_int_equal(version, 4);
    assert_ptr_equal(delta_snapshot_schema(now), delta_snapshot_schema(before));
    delta_snapshot_unref(now);
    delta_snapshot_unref(before);
}

static void test_delta_snapshot__outlives_the_handle(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *snapshot;

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA LOG_ADD("a"));
    assert_ok(delta_table_snapshot(f->table, f->conn, &snapshot, &err));
    log_fixture_reopen(f);
    char *live = log_fixture_live(f, snapshot);
    assert_string_equal(live, "a");
    mem_free(live);
    delta_snapshot_unref(snapshot);
}

static void test_delta_snapshot__never_goes_back(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *snapshot;

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA);
    log_fixture_commit(f, 1, LOG_ADD("a"));
    assert_ok(delta_table_snapshot_at(f->table, f->conn, 1, &snapshot, &err));
    delta_snapshot_unref(snapshot);
    log_fixture_unlink(f, "_delta_log/00000000000000000001.json");
    assert_error(delta_table_snapshot(f->table, f->conn, &snapshot, &err), E_DELTA_GAP);
}

static void test_delta_snapshot__made_anew_at_the_same_place(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *snapshot;
    char log[128];

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA LOG_ADD("a"));
    log_fixture_commit(f, 1, LOG_ADD("b"));
    assert_newest(f, "1: a b");
    snprintf(log, sizeof log, "%s/_delta_log", f->dir);
    assert_ok(file_remove_tree(log, &err));
    assert_error(delta_table_snapshot(f->table, f->conn, &snapshot, &err), E_DELTA_NOT_A_TABLE);
    log_fixture_commit(
        f, 0,
        LOG_PROTOCOL "{\"metaData\":{\"id\":\"another\",\"format\":{\"provider\":\"parquet\"},\"partitionColumns\":[],"
                     "\"configuration\":{}}}\n" LOG_ADD("c"));
    assert_newest(f, "0: c");
}

static void test_delta_snapshot__a_commit_never_came(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *snapshot;

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA);
    assert_newest(f, "0: ");
    log_fixture_commit(f, 2, LOG_ADD("b"));
    assert_error(delta_table_snapshot(f->table, f->conn, &snapshot, &err), E_DELTA_GAP);
    log_fixture_commit(f, 1, LOG_ADD("a"));
    assert_newest(f, "2: a b");
}

static void test_delta_snapshot__one_handle_a_place(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaTable *other;
    char uri[128];

    snprintf(uri, sizeof uri, "file://%s/", f->dir);
    assert_ok(delta_table_open(f->duck, uri, &other, &err));
    assert_ptr_equal(other, f->table);
    delta_table_close(other);
}

static void test_delta_snapshot__protocol_gate(void **state)
{
    static const struct {
        const char *protocol;
        ErrorId error;
        const char *names;
    } CASES[] = {
        {"\"minReaderVersion\":4,\"minWriterVersion\":7", E_DELTA_PROTOCOL_READ, "reader version 4"},
        {"\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"fromTheFuture\"],\"writerFeatures\":["
         "\"fromTheFuture\"]",
         E_DELTA_PROTOCOL_READ, "fromTheFuture"},
        {"\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"catalogManaged\"],\"writerFeatures\":["
         "\"catalogManaged\"]",
         E_DELTA_PROTOCOL_READ, "catalogManaged"},
        {"\"minReaderVersion\":3,\"minWriterVersion\":6", E_DELTA_CORRUPT, "writer version 7"},
        {"\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"timestampNtz\"],\"writerFeatures\":[]",
         E_DELTA_CORRUPT, "timestampNtz"},
        {"\"minReaderVersion\":0,\"minWriterVersion\":7", E_DELTA_CORRUPT, "do not exist"},
        {"\"minReaderVersion\":1,\"minWriterVersion\":9", E_NONE, ""},
        {"\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":[\"fromTheFuture\"]", E_NONE, ""},
    };
    LogFixture *f = *state;
    DeltaSnapshot *snapshot;

    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        Error err = ERROR_NONE;
        Text commit = TEXT(4096);
        text_printf(&commit, "{\"protocol\":{%s}}\n" LOG_METADATA, CASES[i].protocol);
        log_fixture_commit(f, 0, text_str(&commit));
        text_free(&commit);
        log_fixture_reopen(f);
        Status rc = delta_table_snapshot(f->table, f->conn, &snapshot, &err);
        assert_int_equal(err.id, CASES[i].error);
        if (rc == OK) {
            delta_snapshot_unref(snapshot);
        } else {
            assert_contains(err.message, CASES[i].names);
        }
    }
}

static void test_delta_protocol__legacy_features(void **state)
{
    DeltaProtocol p = {.min_reader = 1, .min_writer = 4};

    (void)state;
    assert_true(delta_protocol_supports(&p, "appendOnly"));
    assert_true(delta_protocol_supports(&p, "changeDataFeed"));
    assert_false(delta_protocol_supports(&p, "columnMapping"));
    assert_false(delta_protocol_supports(&p, "deletionVectors"));
    p = (DeltaProtocol){.min_reader = 1, .min_writer = 5};
    assert_false(delta_protocol_supports(&p, "columnMapping")); /* needs reader 2 */
    p = (DeltaProtocol){.min_reader = 2, .min_writer = 5};
    assert_true(delta_protocol_supports(&p, "columnMapping"));
    p = (DeltaProtocol){.min_reader = 1,
                        .min_writer = 7,
                        .writer_features = (const char *const[]){"appendOnly"},
                        .n_writer_features = 1};
    assert_true(delta_protocol_supports(&p, "appendOnly"));
    assert_false(delta_protocol_supports(&p, "invariants"));
}

/* ---- time ---- */

static void set_time(LogFixture *f, int version, int64_t ms)
{
    char path[256];
    struct timespec times[2] = {{.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000},
                                {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};

    snprintf(path, sizeof path, "%s/_delta_log/%020d.json", f->dir, version);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static int64_t version_at(LogFixture *f, int64_t ms)
{
    Error err = ERROR_NONE;
    int64_t version = -1;
    Status rc = delta_table_version_at(f->table, f->conn, ms, &version, &err);

    return rc == OK ? version : -(int64_t)err.id;
}

static int64_t version_from(LogFixture *f, int64_t ms)
{
    Error err = ERROR_NONE;
    int64_t version = -1;
    Status rc = delta_table_version_from(f->table, f->conn, ms, &version, &err);

    return rc == OK ? version : -(int64_t)err.id;
}

static void test_delta_history__file_times(void **state)
{
    static const int64_t TIMES[] = {1000000, 3000000, 2000000, 3000001, 5000000}; /* 2 goes back, 3 would stand still */
    LogFixture *f = *state;

    for (int v = 0; v < 5; v++) {
        log_fixture_commit(f, v, v == 0 ? LOG_PROTOCOL LOG_METADATA : LOG_ADD("a"));
        set_time(f, v, TIMES[v]);
    }
    assert_int_equal(version_at(f, 999999), -E_DELTA_TIMESTAMP);
    assert_int_equal(version_at(f, 1000000), 0);
    assert_int_equal(version_at(f, 2999999), 0);
    assert_int_equal(version_at(f, 3000000), 1);
    assert_int_equal(version_at(f, 3000001), 2);
    assert_int_equal(version_at(f, 3000002), 3);
    assert_int_equal(version_at(f, 5000000), 4);
    assert_int_equal(version_at(f, 5000001), -E_DELTA_TIMESTAMP);
    assert_int_equal(version_from(f, 0), 0);
    assert_int_equal(version_from(f, 1000001), 1);
    assert_int_equal(version_from(f, 3000001), 2);
    assert_int_equal(version_from(f, 5000000), 4);
    assert_int_equal(version_from(f, 5000001), -E_DELTA_TIMESTAMP);
}

#define LOG_PROTOCOL_ICT \
    "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":[\"inCommitTimestamp\"]}}\n"

static void commit_ict(LogFixture *f, int version, int64_t ict, const char *rest)
{
    Text text = TEXT(4096);

    text_printf(&text, "{\"commitInfo\":{\"inCommitTimestamp\":%lld,\"timestamp\":1,\"operation\":\"WRITE\"}}\n%s",
                (long long)ict, rest);
    log_fixture_commit(f, version, text_str(&text));
    text_free(&text);
}

static void test_delta_history__in_commit_timestamps(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *snapshot;
    char metadata[2048];

    strcpy(metadata, LOG_METADATA);
    char *at = strstr(metadata, "\"configuration\":{}");
    strcpy(at, "\"configuration\":{\"delta.enableInCommitTimestamps\":\"true\",\"delta."
               "inCommitTimestampEnablementVersion\":\"2\","
               "\"delta.inCommitTimestampEnablementTimestamp\":\"7000000\"}}}\n");
    log_fixture_commit(f, 0, LOG_PROTOCOL_ICT LOG_METADATA);
    log_fixture_commit(f, 1, LOG_ADD("a"));
    commit_ict(f, 2, 7000000, metadata);
    commit_ict(f, 3, 8000000, LOG_ADD("b"));
    set_time(f, 0, 1000000);
    set_time(f, 1, 6000000);
    set_time(f, 2, 90000000);
    set_time(f, 3, 91000000);
    assert_int_equal(version_at(f, 6500000), 1);
    assert_int_equal(version_at(f, 7000000), 2);
    assert_int_equal(version_at(f, 7999999), 2);
    assert_int_equal(version_at(f, 8000000), 3);
    assert_int_equal(version_at(f, 90000000), -E_DELTA_TIMESTAMP);
    assert_int_equal(version_from(f, 6500000), 2);
    assert_int_equal(version_from(f, 7000001), 3);
    assert_ok(delta_table_snapshot(f->table, f->conn, &snapshot, &err));
    assert_int_equal(delta_snapshot_timestamp(snapshot), 8000000);
    delta_snapshot_unref(snapshot);
}

static Status note_version(void *context, int64_t version, int64_t timestamp, const DeltaCommitInfo *info, Error *err)
{
    (void)err;
    text_printf(context, "%lld@%lld:%s ", (long long)version, (long long)timestamp,
                info->operation != NULL ? info->operation : "-");
    return OK;
}

static void test_delta_history__newest_first(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    Text seen = TEXT(4096);

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA);
    log_fixture_commit(f, 1, LOG_ADD("a") "{\"commitInfo\":{\"operation\":\"WRITE\"}}\n");
    log_fixture_commit(f, 2, "{\"commitInfo\":{\"operation\":\"MERGE\"}}\n");
    set_time(f, 0, 1000);
    set_time(f, 1, 1000);
    set_time(f, 2, 5000);
    assert_ok(delta_table_history(f->table, -1, note_version, &seen, &err));
    assert_string_equal(text_str(&seen), "2@5000:MERGE 1@1001:WRITE 0@1000:- ");
    text_clear(&seen);
    assert_ok(delta_table_history(f->table, 1, note_version, &seen, &err));
    assert_string_equal(text_str(&seen), "2@5000:MERGE ");
    text_free(&seen);
}

int main(void)
{
#define WITH_TABLE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_TABLE(test_delta_replay__add_after_remove),
        WITH_TABLE(test_delta_replay__deletion_vector_is_part_of_the_key),
        WITH_TABLE(test_delta_replay__spellings_of_a_path),
        WITH_TABLE(test_delta_snapshot__old_ones_stay_as_they_were),
        WITH_TABLE(test_delta_snapshot__outlives_the_handle),
        WITH_TABLE(test_delta_snapshot__never_goes_back),
        WITH_TABLE(test_delta_snapshot__made_anew_at_the_same_place),
        WITH_TABLE(test_delta_snapshot__a_commit_never_came),
        WITH_TABLE(test_delta_snapshot__one_handle_a_place),
        WITH_TABLE(test_delta_snapshot__protocol_gate),
        cmocka_unit_test(test_delta_protocol__legacy_features),
        WITH_TABLE(test_delta_history__file_times),
        WITH_TABLE(test_delta_history__in_commit_timestamps),
        WITH_TABLE(test_delta_history__newest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
