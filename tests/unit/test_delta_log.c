/* Finding the log segment and replaying it: what is there, what is torn, what is missing. */
#include "delta_fixture.h"

#include "delta/log/hint.h"
#include "delta/log/md5.h"
#include "delta/log/name.h"
#include "delta/log/path.h"

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

static void test_delta_log__names(void **state)
{
    static const struct {
        const char *name;
        DeltaLogKind kind;
    } CASES[] = {
        {"00000000000000000007.json", DELTA_LOG_COMMIT},
        {"00000000000000000007.checkpoint.parquet", DELTA_LOG_CHECKPOINT},
        {"00000000000000000007.checkpoint.0000000001.0000000002.parquet", DELTA_LOG_CHECKPOINT_PART},
        {"00000000000000000007.checkpoint.0000000003.0000000002.parquet", DELTA_LOG_OTHER},
        {"00000000000000000007.checkpoint.0000000000.0000000002.parquet", DELTA_LOG_OTHER},
        {"00000000000000000007.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json", DELTA_LOG_CHECKPOINT_UUID},
        {"00000000000000000007.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.parquet", DELTA_LOG_CHECKPOINT_UUID},
        {"00000000000000000007.00000000000000000009.compacted.json", DELTA_LOG_COMPACTION},
        {"00000000000000000009.00000000000000000007.compacted.json", DELTA_LOG_OTHER},
        {"00000000000000000007.crc", DELTA_LOG_CHECKSUM},
        {"0000000000000000007.json", DELTA_LOG_OTHER},
        {"000000000000000000007.json", DELTA_LOG_OTHER},
        {"00000000000000000007.json.tmp", DELTA_LOG_OTHER},
        {".00000000000000000007.json.9f.tmp", DELTA_LOG_OTHER},
        {"99999999999999999999.json", DELTA_LOG_OTHER},
        {"_last_checkpoint", DELTA_LOG_OTHER},
        {"", DELTA_LOG_OTHER},
    };
    DeltaLogName name;

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        delta_log_name_parse(CASES[i].name, &name);
        if (name.kind != CASES[i].kind) {
            fail_msg("%s: %d", CASES[i].name, (int)name.kind);
        }
    }
}

static void test_delta_log__paths(void **state)
{
    static const char *const CASES[][2] = {
        {"a/b.parquet", "a/b.parquet"}, {"p=a%252Fb%20c/x", "p=a%2Fb c/x"},
        {"/r/t/a%20b", "a b"},          {"file:///r/t/a", "a"},
        {"file:/r/t/a", "a"},           {"file://localhost/r/t/a", "a"},
        {"/r/t-evil/a", "/r/t-evil/a"}, {"/r/t", "/r/t"},
        {"s3://b/x%20y", "s3://b/x y"}, {"p=12:30/x", "p=12:30/x"},
        {"100%/x", "100%/x"},
    };
    Text out = TEXT(4096);

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        text_clear(&out);
        delta_path_canonical("/r/t", CASES[i][0], strlen(CASES[i][0]), &out);
        assert_string_equal(text_str(&out), CASES[i][1]);
    }
    text_free(&out);
    assert_true(delta_path_is_inside("a..b/c"));
    assert_true(delta_path_is_inside("time:12/c"));
    assert_false(delta_path_is_inside("../x"));
    assert_false(delta_path_is_inside("a/../../x"));
    assert_false(delta_path_is_inside("a/.."));
    assert_false(delta_path_is_inside("./a"));
    assert_false(delta_path_is_inside("/etc/passwd"));
    assert_false(delta_path_is_inside("s3://b/x"));
    assert_false(delta_path_is_inside("a\nb"));
    assert_false(delta_path_is_inside(""));
}

static void test_delta_log__file_location(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    Text out = TEXT(4096), wanted = TEXT(4096), absolute = TEXT(4096);

    assert_ok(delta_file_location(f->table, "p=a%20b/x.parquet", &out, &err));
    text_printf(&wanted, "%s/p=a b/x.parquet", f->dir);
    assert_string_equal(text_str(&out), text_str(&wanted));
    text_printf(&absolute, "file://%s/p=a%%20b/x.parquet", f->dir);
    assert_ok(delta_file_location(f->table, text_str(&absolute), &out, &err));
    assert_string_equal(text_str(&out), text_str(&wanted));
    assert_error(delta_file_location(f->table, "%2e%2e/x", &out, &err), E_DELTA_PATH);
    assert_error(delta_file_location(f->table, "a/%2E%2e/x", &out, &err), E_DELTA_PATH);
    assert_error(delta_file_location(f->table, "x%00y", &out, &err), E_DELTA_PATH);
    assert_error(delta_file_location(f->table, "/etc/passwd", &out, &err), E_DELTA_PATH);
    text_free(&out);
    text_free(&wanted);
    text_free(&absolute);
}

static void test_delta_log__hint_checksum(void **state)
{
    static const char *const CASES[][2] = {
        {"{\"version\":10,\"size\":13,\"checksum\":\"x\"}", "d43ce16196a30efd991362a9114c7531"},
        {"{\"version\":10,\"size\":13,\"v2Checkpoint\":{\"path\":\"00000000000000000010.checkpoint.a/b.json\"}}",
         "fbe92b86676437720c2d82b74bae4d92"},
    };
    char sum[DELTA_HINT_CHECKSUM];
    Error err = ERROR_NONE;

    (void)state;
    md5_hex("", 0, sum);
    assert_string_equal(sum, "d41d8cd98f00b204e9800998ecf8427e");
    md5_hex("12345678901234567890123456789012345678901234567890123456789012345678901234567890", 80, sum);
    assert_string_equal(sum, "57edf4a22be3c955ac49da2e2107b67a");
    for (size_t i = 0; i < 2; i++) {
        assert_ok(delta_hint_checksum(CASES[i][0], strlen(CASES[i][0]), sum, &err));
        assert_string_equal(sum, CASES[i][1]);
    }
}

static void test_delta_log__hint_is_only_a_hint(void **state)
{
    static const char *const HINTS[] = {"",
                                        "{",
                                        "[]",
                                        "{\"version\":\"7\"}",
                                        "{\"version\":-1}",
                                        "{\"version\":1e300}",
                                        "{\"version\":99,\"size\":1}",
                                        "{\"version\":1,\"size\":1,\"checksum\":\"00\"}"};
    LogFixture *f = *state;
    Error err = ERROR_NONE;

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA LOG_ADD("a"));
    log_fixture_commit(f, 1, LOG_ADD("b"));
    for (size_t i = 0; i < sizeof HINTS / sizeof HINTS[0]; i++) {
        log_fixture_write(f, "_delta_log/_last_checkpoint", HINTS[i]);
        log_fixture_reopen(f);
        assert_newest(f, "1: a b");
    }
}

static void test_delta_log__not_a_table(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *snapshot;
    bool exists = true;

    assert_ok(delta_table_exists(f->table, &exists, &err));
    assert_false(exists);
    assert_error(delta_table_snapshot(f->table, f->conn, &snapshot, &err), E_DELTA_NOT_A_TABLE);
    log_fixture_write(f, "_delta_log/.00000000000000000000.json.1.tmp", LOG_PROTOCOL);
    log_fixture_write(f, "_delta_log/_last_checkpoint", "{\"version\":0,\"size\":1}");
    log_fixture_write(f, "_delta_log/00000000000000000000.crc", "{}");
    assert_error(delta_table_snapshot(f->table, f->conn, &snapshot, &err), E_DELTA_NOT_A_TABLE);
    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA);
    assert_ok(delta_table_exists(f->table, &exists, &err));
    assert_true(exists);
    assert_newest(f, "0: ");
}

static void test_delta_log__gap(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *snapshot;
    int64_t first, last;

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA LOG_ADD("a"));
    log_fixture_commit(f, 1, LOG_ADD("b"));
    log_fixture_commit(f, 3, LOG_ADD("d"));
    assert_error(delta_table_snapshot(f->table, f->conn, &snapshot, &err), E_DELTA_GAP);
    assert_ok(delta_table_snapshot_at(f->table, f->conn, 1, &snapshot, &err));
    delta_snapshot_unref(snapshot);
    assert_error(delta_table_snapshot_at(f->table, f->conn, 3, &snapshot, &err), E_DELTA_GAP);
    assert_error(delta_table_snapshot_at(f->table, f->conn, 4, &snapshot, &err), E_DELTA_VERSION);
    assert_error(delta_table_snapshot_at(f->table, f->conn, -1, &snapshot, &err), E_DELTA_VERSION);
    log_fixture_unlink(f, "_delta_log/00000000000000000000.json");
    log_fixture_reopen(f);
    assert_error(delta_table_snapshot_at(f->table, f->conn, 1, &snapshot, &err), E_DELTA_VERSION);
    assert_error(delta_table_snapshot(f->table, f->conn, &snapshot, &err), E_DELTA_GAP);
    assert_ok(delta_table_commit_range(f->table, &first, &last, &err));
    assert_int_equal(first, 1);
    assert_int_equal(last, 3);
}

static void test_delta_log__newest_commit_damaged(void **state)
{
    static const struct {
        const char *content, *line;
    } CASES[] = {
        {"", "empty"},
        {"\n\n", "empty"},
        {LOG_ADD("b") "{\"add\":{\"pa", "line 2"},
        {"\x01\x02garbage", "line 1"},
        {LOG_ADD("b") "\n7", "line 3"},
    };
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *snapshot;

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA LOG_ADD("a"));
    for (int warm = 0; warm < 2; warm++) {
        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
            log_fixture_reopen(f);
            if (warm) {
                log_fixture_commit(f, 1, "");
                log_fixture_unlink(f, "_delta_log/00000000000000000001.json");
                assert_newest(f, "0: a");
            }
            log_fixture_commit(f, 1, CASES[i].content);
            assert_int_equal(delta_table_snapshot(f->table, f->conn, &snapshot, &err), ERR_CORRUPT);
            assert_contains(err.message, "00000000000000000001.json");
            assert_contains(err.message, CASES[i].line);
            error_clear(&err);
        }
    }
    log_fixture_commit(f, 1, LOG_ADD("b"));
    assert_newest(f, "1: a b");
}

static void test_delta_log__lines(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaCommit *commit;

    log_fixture_commit(f, 0,
                       LOG_PROTOCOL "\r\n \n" LOG_METADATA
                                    "{\"newer\":{}}\n{\"txn\":{\"appId\":\"x\",\"version\":4}}"); /* no line end */
    assert_ok(delta_commit_read(f->table, 0, &commit, &err));
    assert_int_equal(commit->n_actions, 3);
    assert_int_equal(commit->version, 0);
    assert_true(commit->timestamp > 0);
    delta_commit_free(commit);
    assert_error(delta_commit_read(f->table, 1, &commit, &err), E_IO_NOT_FOUND);
}

static void test_delta_log__missing_parts_of_the_state(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *snapshot;

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_ADD("a"));
    assert_error(delta_table_snapshot(f->table, f->conn, &snapshot, &err), E_DELTA_CORRUPT);
    log_fixture_commit(f, 0, LOG_METADATA LOG_ADD("a"));
    assert_error(delta_table_snapshot(f->table, f->conn, &snapshot, &err), E_DELTA_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delta_log__names),
        cmocka_unit_test(test_delta_log__paths),
        cmocka_unit_test_setup_teardown(test_delta_log__file_location, set_up, tear_down),
        cmocka_unit_test(test_delta_log__hint_checksum),
        cmocka_unit_test_setup_teardown(test_delta_log__hint_is_only_a_hint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_delta_log__not_a_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_delta_log__gap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_delta_log__newest_commit_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_delta_log__lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_delta_log__missing_parts_of_the_state, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
