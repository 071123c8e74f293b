/* Version checksums: left after our commits, right or not there at all, and never believed against the log. */
#include "delta_fixture.h"

#include "base/failpoint.h"
#include "base/json.h"
#include "delta/table_int.h"
#include "delta/transaction.h"

static int set_up(void **state)
{
    store_set_fsync(false);
    *state = log_fixture_new();
    return 0;
}

static int tear_down(void **state)
{
    failpoint_reset();
    log_fixture_free(*state);
    store_set_fsync(true);
    return 0;
}

static DeltaFile file_of(const char *path, int64_t size)
{
    return (DeltaFile){
        .path = path, .size = size, .data_change = true, .base_row_id = -1, .default_row_commit_version = -1};
}

/* Commits one add and one remove (either may be NULL) and lets the table be cared for. */
static void change(LogFixture *f, const DeltaFile *add, const DeltaFile *remove)
{
    Error err = ERROR_NONE;
    DeltaSnapshot *s;
    DeltaTransaction *txn;
    int64_t version;

    assert_ok(delta_table_snapshot(f->table, f->conn, &s, &err));
    assert_ok(delta_transaction_begin(f->table, s, f->conn, &txn, &err));
    if (add != NULL) {
        delta_transaction_add(txn, add);
    }
    if (remove != NULL) {
        delta_transaction_remove(txn, remove, true);
    }
    delta_transaction_set_app(txn, "app", 7);
    assert_ok(delta_transaction_commit(txn, &version, &err));
    delta_transaction_free(txn);
    delta_snapshot_unref(s);
    f->table->checkpoint_cost_ms = 0; /* on a slow machine checkpoints are not put off */
    delta_table_maintain(f->table, f->conn);
}

static void add(LogFixture *f, const char *path, int64_t size)
{
    DeltaFile file = file_of(path, size);

    change(f, &file, NULL);
}

static void create(LogFixture *f)
{
    DeltaTransaction *txn;
    DeltaSchema *schema;
    Error err = ERROR_NONE;
    int64_t version;

    assert_ok(delta_schema_parse("{\"type\":\"struct\",\"fields\":[{\"name\":\"a\",\"type\":\"long\",\"nullable\":true,"
                                 "\"metadata\":{}}]}",
                                 &schema, &err));
    assert_ok(delta_transaction_begin(f->table, NULL, f->conn, &txn, &err));
    assert_ok(delta_transaction_set_schema(txn, schema, &err));
    assert_ok(delta_transaction_commit(txn, &version, &err));
    delta_transaction_free(txn);
    delta_schema_unref(schema);
    delta_table_maintain(f->table, f->conn);
}

/* "files/bytes" of a version's checksum, "-" when it has none. */
static const char *checksum(LogFixture *f, int64_t version)
{
    static char text[64];
    DeltaChecksum read;
    DeltaSnapshot *s;
    Error err = ERROR_NONE;
    bool found;

    assert_ok(delta_table_snapshot(f->table, f->conn, &s, &err));
    assert_ok(
        delta_checksum_read(delta_table_store(f->table), version, delta_snapshot_metadata(s)->id, &read, &found, &err));
    delta_snapshot_unref(s);
    snprintf(text, sizeof text, found ? "%d/%d" : "-", (int)read.files, (int)read.bytes);
    return text;
}

static void crc_name(int version, char out[64])
{
    snprintf(out, 64, "_delta_log/%020d.crc", version);
}

static void put_crc(LogFixture *f, int version, int files, int bytes)
{
    char name[64], content[512];

    crc_name(version, name);
    snprintf(content, sizeof content,
             "{\"tableSizeBytes\":%d,\"numFiles\":%d,\"numMetadata\":1,\"numProtocol\":1,\"metadata\":{\"id\":"
             "\"6b5b8e0c\"},\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n",
             bytes, files);
    log_fixture_write(f, name, content);
}

static void test_delta_checksum__follows_the_commits(void **state)
{
    LogFixture *f = *state;
    DeltaFile a = file_of("a", 10), c = file_of("c", 7);

    create(f);
    assert_string_equal(checksum(f, 0), "0/0");
    change(f, &a, NULL);
    assert_string_equal(checksum(f, 1), "1/10");
    log_fixture_reopen(f); /* from the file */
    change(f, &c, &a);
    assert_string_equal(checksum(f, 2), "1/7");
    change(f, NULL, &c);
    assert_string_equal(checksum(f, 3), "0/0");
}

static void test_delta_checksum__says_what_others_read(void **state)
{
    LogFixture *f = *state;
    Text file = TEXT(1 << 16);
    JsonSource source = {.name = "crc"};
    json_t *object, *list;
    const char *text;
    Error err = ERROR_NONE;
    int64_t number;

    create(f);
    add(f, "a", 10);
    assert_ok(
        store_read(delta_table_store(f->table), "_delta_log/00000000000000000001.crc", 1 << 16, &file, NULL, &err));
    assert_ok(json_parse_object(text_str(&file), file.length, &source, &object, &err));
    assert_ok(json_get_i64(object, "numMetadata", &number, &err));
    assert_int_equal(number, 1);
    assert_ok(json_get_i64(object, "numProtocol", &number, &err));
    assert_int_equal(number, 1);
    assert_ok(json_get_string(object, "txnId", &text, &err));
    assert_ok(json_get_array(object, "setTransactions", &list, &err));
    assert_int_equal(json_array_size(list), 1);
    assert_ok(json_get_i64(json_array_get(list, 0), "version", &number, &err));
    assert_int_equal(number, 7);
    assert_ok(json_get_array(object, "domainMetadata", &list, &err));
    assert_ok(json_get_string(json_object_get(object, "metadata"), "schemaString", &text, &err));
    assert_ok(json_get_i64(json_object_get(object, "protocol"), "minWriterVersion", &number, &err));
    assert_false(json_has(object, "inCommitTimestampOpt"));
    json_decref(object);
    text_free(&file);
}

static void test_delta_checksum__foreign_commit_without_one(void **state)
{
    LogFixture *f = *state;
    DeltaSnapshot *s;
    Error err = ERROR_NONE;

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA LOG_ADD("x"));
    add(f, "a", 5);
    add(f, "b", 5);
    assert_string_equal(checksum(f, 2), "-"); /* what version 0 amounts to was not told */
    put_crc(f, 2, 3, 20);
    add(f, "c", 5);
    assert_string_equal(checksum(f, 3), "4/25");
    log_fixture_commit(f, 4, LOG_ADD("y"));
    add(f, "d", 5);
    assert_string_equal(checksum(f, 4), "-");
    assert_string_equal(checksum(f, 5), "-");
    for (int i = 6; i <= 11; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        add(f, name, 5);
    }
    assert_string_equal(checksum(f, 9), "-");
    assert_string_equal(checksum(f, 10), "11/65"); /* the checkpoint has counted */
    assert_string_equal(checksum(f, 11), "12/70");
    assert_ok(delta_table_snapshot(f->table, f->conn, &s, &err));
    delta_snapshot_unref(s);
}

static void test_delta_checksum__wrong_ones_are_told_from_the_log(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA LOG_ADD("x"));
    put_crc(f, 0, 100, 1000);
    add(f, "a", 5);
    assert_string_equal(checksum(f, 1), "2/15");
    assert_newest(f, "1: a x");
    log_fixture_reopen(f);
    char name[64];
    crc_name(1, name);
    log_fixture_write(f, name, "{\"tableSizeBytes\":15,\"numFi");
    add(f, "b", 5);
    assert_newest(f, "2: a b x");
    assert_string_equal(checksum(f, 2), "3/20"); /* over version 0, whose file is as wrong as before */
    log_fixture_reopen(f);
    crc_name(2, name);
    log_fixture_write(f, name, "");
    assert_newest(f, "2: a b x");
}

static void test_delta_checksum__cannot_follow_what_is_only_described_anew(void **state)
{
    LogFixture *f = *state;
    DeltaFile a = file_of("a", 10);

    create(f);
    change(f, &a, NULL);
    a.data_change = false;
    a.stats = "{\"numRecords\":1}";
    change(f, &a, NULL);
    assert_string_equal(checksum(f, 2), "-");
}

static void test_delta_checksum__failure_is_no_failure(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;

    create(f);
    failpoint_arm(FP_DELTA_CHECKSUM_AFTER_PUT, FAILPOINT_ERROR, 1);
    add(f, "a", 10);
    add(f, "b", 10);
    assert_string_equal(checksum(f, 2), "2/20");
    assert_newest(f, "2: a b");
}

int main(void)
{
#define WITH_TABLE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_TABLE(test_delta_checksum__follows_the_commits),
        WITH_TABLE(test_delta_checksum__says_what_others_read),
        WITH_TABLE(test_delta_checksum__foreign_commit_without_one),
        WITH_TABLE(test_delta_checksum__wrong_ones_are_told_from_the_log),
        WITH_TABLE(test_delta_checksum__cannot_follow_what_is_only_described_anew),
        WITH_TABLE(test_delta_checksum__failure_is_no_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
