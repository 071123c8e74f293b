/* Who may follow whom: commits that began before another one won. */
#include "delta_commits.h"

static void test_delta_conflict__blind_append_follows(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;

    create(f);
    append(f, "x", "1");
    DeltaTransaction *late = begin(f);
    add(late, "late", "1");
    append(f, "y", "1");
    DeltaTransaction *remover = begin(f);
    DeltaFile x = file_in("x", "1");
    delta_transaction_read_table(remover);
    delta_transaction_remove(remover, &x, true);
    commit(remover);
    assert_int_equal(commit(late), 4);
    assert_newest(f, "4: late y");
}

static void test_delta_conflict__appends_to_what_was_read(void **state)
{
    LogFixture *f = *state;

    create(f);
    append(f, "x", "1");
    DeltaTransaction *whole = begin(f), *other = begin(f), *same = begin(f), *files = begin(f);
    DeltaFile x = file_in("x", "1");
    delta_transaction_read_table(whole);
    delta_transaction_read_partitions(other, "p = 2");
    delta_transaction_read_partitions(same, "p < 2");
    delta_transaction_read_file(files, &x);
    append(f, "y", "01"); /* 01 and 1 are the same integer */
    add(whole, "w", "1");
    add(other, "o", "2");
    add(same, "s", "1");
    add(files, "f", "1");
    assert_conflict(whole, "DELTA_CONCURRENT_APPEND");
    assert_conflict(same, "DELTA_CONCURRENT_APPEND");
    assert_conflict(files, "DELTA_CONCURRENT_APPEND");
    assert_int_equal(commit(other), 3);
}

static void test_delta_conflict__removes(void **state)
{
    LogFixture *f = *state;

    create(f);
    append(f, "x", "1");
    append(f, "y", "2");
    DeltaFile x = file_in("x", "1"), y;
    DeltaTransaction *reader = begin(f), *remover = begin(f), *other = begin(f), *table = begin(f), *winner = begin(f);
    delta_transaction_read_file(reader, &x);
    add(reader, "r", "1");
    delta_transaction_remove(remover, &x, true);
    delta_transaction_read_table(table);
    delta_transaction_remove(winner, &x, false);
    y = file_in("y", "2");
    delta_transaction_read_file(other, &y);
    delta_transaction_remove(other, &y, true);
    commit(winner);
    assert_conflict(reader, "DELTA_CONCURRENT_DELETE_READ");
    assert_conflict(remover, "DELTA_CONCURRENT_DELETE_DELETE");
    assert_conflict(table, "DELTA_CONCURRENT_DELETE_READ");
    commit(other);
}

static void test_delta_conflict__rewrites_and_appends_pass_each_other(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;

    create(f);
    append(f, "x", "1");
    append(f, "y", "1");
    DeltaTransaction *compaction = begin(f);
    DeltaFile x = file_in("x", "1"), y, z;
    delta_transaction_read_file(compaction, &x);
    delta_transaction_remove(compaction, &x, false);
    y = file_in("y", "1");
    delta_transaction_read_file(compaction, &y);
    delta_transaction_remove(compaction, &y, false);
    z = file_in("xy", "1");
    z.data_change = false;
    delta_transaction_add(compaction, &z);
    append(f, "new", "1");
    assert_int_equal(commit(compaction), 4);
    char *text = commit_text(f, 4);
    assert_contains(text, "\"isolationLevel\":\"SnapshotIsolation\",\"isBlindAppend\":false");
    mem_free(text);
    assert_newest(f, "4: new xy");
}

static void test_delta_conflict__metadata_and_protocol(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;

    create(f);
    DeltaTransaction *blind = begin(f), *raising = begin(f), *winner = begin(f);
    add(blind, "b", "1");
    assert_ok(delta_transaction_set_property(winner, "owner", "me", &err));
    assert_ok(delta_transaction_set_property(raising, "delta.feature.timestampNtz", "supported", &err));
    commit(winner);
    assert_conflict(blind, "DELTA_METADATA_CHANGED");
    assert_conflict(raising, "DELTA_METADATA_CHANGED");
    DeltaTransaction *first = begin(f), *second = begin(f), *plain = begin(f);
    assert_ok(delta_transaction_set_property(first, "delta.enableDeletionVectors", "true",
                                             &err)); /* harmless to rows on their way */
    assert_ok(delta_transaction_set_property(second, "delta.feature.timestampNtz", "supported", &err));
    add(plain, "p", "1");
    commit(first);
    assert_conflict(second, "DELTA_PROTOCOL_CHANGED");
    assert_int_equal(commit(plain), 3);
}

static void test_delta_conflict__applications_and_domains(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaDomain domain = {.domain = "mine", .configuration = "{}"};

    create(f);
    DeltaTransaction *txn = begin(f);
    assert_ok(delta_transaction_set_property(txn, "delta.feature.domainMetadata", "supported", &err));
    commit(txn);
    DeltaTransaction *late = begin(f), *other = begin(f), *early = begin(f), *domain_too = begin(f);
    assert_int_equal(delta_transaction_read_app(late, "q"), -1);
    delta_transaction_set_app(late, "q", 3);
    delta_transaction_set_app(other, "r", 3);
    delta_transaction_set_app(early, "q", 3);
    delta_transaction_set_domain(early, &domain);
    delta_transaction_set_domain(domain_too, &domain);
    commit(early);
    assert_conflict(late, "DELTA_CONCURRENT_TRANSACTION");
    assert_conflict(domain_too, "DELTA_CONCURRENT_TRANSACTION");
    commit(other);
}

/* The whole matrix of the reference (11.3): whom a row's commit passes when a column's commit came first. */

typedef enum Kind { APPEND, OPTIMIZE, DELETE, METADATA, PROTOCOL, SAME_APP, KINDS } Kind;

static DeltaTransaction *act(LogFixture *f, Kind kind, const char *path)
{
    Error err = ERROR_NONE;
    DeltaTransaction *txn = begin(f);
    DeltaFile old = file_in("old", "1");

    switch (kind) {
    case APPEND: add(txn, path, "1"); break;
    case OPTIMIZE:
    case DELETE:
        delta_transaction_read_file(txn, &old);
        delta_transaction_read_partitions(txn, "p = 1");
        delta_transaction_remove(txn, &old, kind == DELETE);
        DeltaFile rest = file_in(path, "1");
        rest.data_change = kind == DELETE;
        delta_transaction_add(txn, &rest);
        break;
    case METADATA: assert_ok(delta_transaction_set_property(txn, "owner", path, &err)); break;
    case PROTOCOL:
        assert_ok(delta_transaction_set_property(txn, "delta.feature.timestampNtz", "supported", &err));
        break;
    case SAME_APP:
        delta_transaction_read_app(txn, "app");
        delta_transaction_set_app(txn, "app", 1);
        add(txn, path, "1");
        break;
    case KINDS: break;
    }
    return txn;
}

static void assert_matrix(const char *isolation, const char *const (*matrix)[KINDS])
{
    for (Kind late = APPEND; late < KINDS; late++) {
        for (Kind winner = APPEND; winner < KINDS; winner++) {
            LogFixture *f = log_fixture_new();
            Error err = ERROR_NONE;
            int64_t version;
            create(f);
            DeltaTransaction *txn = begin(f);
            assert_ok(delta_transaction_set_property(txn, "delta.isolationLevel", isolation, &err));
            commit(txn);
            append(f, "old", "1");
            DeltaTransaction *first = act(f, winner, "first"), *second = act(f, late, "second");
            commit(first);
            Status rc = delta_transaction_commit(second, &version, &err);
            const char *klass = rc == OK ? "" : err.klass + strlen("DELTA_");
            if (strcmp(klass, matrix[late][winner]) != 0) {
                fail_msg("%s: commit %d after %d: '%s' instead of '%s' %s", isolation, late, winner, klass,
                         matrix[late][winner], err.message);
            }
            delta_transaction_free(second);
            log_fixture_free(f);
        }
    }
}

#define ADDS           "CONCURRENT_APPEND"
#define READ           "CONCURRENT_DELETE_READ"
#define TWICE          "CONCURRENT_TRANSACTION"
#define SCHEMA_CHANGED "METADATA_CHANGED"
#define RAISED         "PROTOCOL_CHANGED"

static void test_delta_conflict__matrix_serializable(void **state)
{
    /* winners: append, OPTIMIZE, DELETE, metadata, protocol, append of the same application */
    static const char *const MATRIX[KINDS][KINDS] = {
        [APPEND] = {"", "", "", SCHEMA_CHANGED, "", ""},         [OPTIMIZE] = {"", READ, READ, SCHEMA_CHANGED, "", ""},
        [DELETE] = {ADDS, READ, ADDS, SCHEMA_CHANGED, "", ADDS}, [METADATA] = {"", "", "", SCHEMA_CHANGED, "", ""},
        [PROTOCOL] = {"", "", "", SCHEMA_CHANGED, RAISED, ""},   [SAME_APP] = {"", "", "", SCHEMA_CHANGED, "", TWICE},
    };

    (void)state;
    assert_matrix("Serializable", MATRIX);
}

static void test_delta_conflict__matrix_write_serializable(void **state)
{
    static const char *const MATRIX[KINDS][KINDS] = {
        [APPEND] = {"", "", "", SCHEMA_CHANGED, "", ""},       [OPTIMIZE] = {"", READ, READ, SCHEMA_CHANGED, "", ""},
        [DELETE] = {"", READ, ADDS, SCHEMA_CHANGED, "", ""},   [METADATA] = {"", "", "", SCHEMA_CHANGED, "", ""},
        [PROTOCOL] = {"", "", "", SCHEMA_CHANGED, RAISED, ""}, [SAME_APP] = {"", "", "", SCHEMA_CHANGED, "", TWICE},
    };

    (void)state;
    assert_matrix("WriteSerializable", MATRIX);
}

/* LOG_METADATA-like text of a table of one column with this field metadata and these properties. */
static void commit_schema(LogFixture *f, int version, const char *before, const char *field, const char *properties)
{
    Text text = TEXT(1 << 16), schema = TEXT(1 << 16);

    text_printf(
        &schema,
        "{\"type\":\"struct\",\"fields\":[{\"name\":\"a\",\"type\":\"long\",\"nullable\":true,\"metadata\":{%s}}]}",
        field);
    text_printf(
        &text,
        "%s{\"metaData\":{\"id\":\"m\",\"format\":{\"provider\":\"parquet\",\"options\":{}},\"schemaString\":", before);
    text_append_json_string(&text, text_str(&schema));
    text_printf(&text, ",\"partitionColumns\":[],\"configuration\":{%s}}}\n", properties);
    log_fixture_commit(f, version, text_str(&text));
    text_free(&text);
    text_free(&schema);
}

static void test_delta_conflict__metadata_that_changes_nothing_for_rows(void **state)
{
    static const char PROTOCOL_5[] = "{\"protocol\":{\"minReaderVersion\":2,\"minWriterVersion\":5}}\n";
    static const char MAPPING[] = "\"delta.columnMapping.mode\":\"name\",\"delta.columnMapping.maxColumnId\":\"1\"";
    static const struct {
        const char *before_field, *after_field, *after_properties;
        bool passes;
    } CASES[] = {
        {"", "\"delta.columnMapping.id\":1,\"delta.columnMapping.physicalName\":\"a\"", MAPPING, true},
        {"", "\"delta.columnMapping.id\":1,\"delta.columnMapping.physicalName\":\"col-b\"", MAPPING, false},
        {"\"delta.identity.start\":1,\"delta.identity.highWaterMark\":7",
         "\"delta.identity.start\":1,\"delta.identity.highWaterMark\":70", "", true},
        {"\"delta.identity.start\":1", "\"delta.identity.start\":1,\"delta.identity.highWaterMark\":7", "", true},
        {"\"delta.identity.start\":1", "\"delta.identity.start\":2", "", false},
        {"", "\"comment\":\"new\"", "", false},
    };
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    int64_t version;

    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        int base = (int)i * 3;
        commit_schema(f, base, PROTOCOL_5, CASES[i].before_field, "");
        DeltaTransaction *late = begin(f);
        DeltaFile file = {.path = "x", .data_change = true, .base_row_id = -1, .default_row_commit_version = -1};
        delta_transaction_add(late, &file);
        commit_schema(f, base + 1, "", CASES[i].after_field, CASES[i].after_properties);
        Status rc = delta_transaction_commit(late, &version, &err);
        assert_int_equal(rc, CASES[i].passes ? OK : ERR_CONFLICT);
        delta_transaction_free(late);
        if (rc != OK) {
            assert_string_equal(err.klass, "DELTA_METADATA_CHANGED");
            error_clear(&err);
            log_fixture_commit(f, base + 2, LOG_TXN("a", 1));
        }
    }
}

/* Spark passes by a commit that says of itself that only identity columns have counted on. */
static void test_delta_conflict__says_that_only_identity_moved(void **state)
{
    LogFixture *f = *state;

    commit_schema(f, 0, "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":6}}\n",
                  "\"delta.identity.start\":1,\"delta.identity.step\":1", "");
    DeltaTransaction *txn = begin(f);
    set_schema(txn,
               "{\"type\":\"struct\",\"fields\":[{\"name\":\"a\",\"type\":\"long\",\"nullable\":true,\"metadata\":{"
               "\"delta.identity.start\":1,\"delta.identity.step\":1,\"delta.identity.highWaterMark\":5}}]}");
    assert_int_equal(commit(txn), 1);
    char *text = commit_text(f, 1);
    assert_contains(text, "\"tags\":{\"delta.identity.schemaUpdate\":\"true\"}");
    mem_free(text);
}

/* All files of a table have to conform when Iceberg compatibility begins: one that was not looked at is in the way. */
static void test_delta_conflict__files_that_iceberg_compatibility_has_not_seen(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;

    create(f);
    DeltaTransaction *begins = begin(f);
    assert_ok(delta_transaction_set_property(begins, "delta.columnMapping.mode", "name", &err));
    assert_ok(delta_transaction_set_property(begins, "delta.enableIcebergCompatV2", "true", &err));
    append(f, "x", "1");
    assert_conflict(begins, "DELTA_CONCURRENT_APPEND");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TABLE(test_delta_conflict__blind_append_follows),
        WITH_TABLE(test_delta_conflict__appends_to_what_was_read),
        WITH_TABLE(test_delta_conflict__removes),
        WITH_TABLE(test_delta_conflict__rewrites_and_appends_pass_each_other),
        WITH_TABLE(test_delta_conflict__metadata_and_protocol),
        WITH_TABLE(test_delta_conflict__applications_and_domains),
        WITH_TABLE(test_delta_conflict__metadata_that_changes_nothing_for_rows),
        WITH_TABLE(test_delta_conflict__says_that_only_identity_moved),
        WITH_TABLE(test_delta_conflict__files_that_iceberg_compatibility_has_not_seen),
        cmocka_unit_test(test_delta_conflict__matrix_serializable),
        cmocka_unit_test(test_delta_conflict__matrix_write_serializable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
