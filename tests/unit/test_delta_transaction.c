/* Commits: what they look like, who wins, who may follow, and what a lost answer means. */
#include "delta_fixture.h"

#include <pthread.h>
#include <sys/wait.h>

#include "base/failpoint.h"
#include "delta/transaction.h"

static int set_up(void **state)
{
    *state = log_fixture_new();
    return 0;
}

static int tear_down(void **state)
{
    failpoint_reset();
    log_fixture_free(*state);
    return 0;
}

static const char SCHEMA[] =
    "{\"type\":\"struct\",\"fields\":[{\"name\":\"a\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}},"
    "{\"name\":\"p\",\"type\":\"integer\",\"nullable\":true,\"metadata\":{}}]}";

static DeltaTransaction *begin(LogFixture *f)
{
    Error err = ERROR_NONE;
    DeltaSnapshot *snapshot = NULL;
    DeltaTransaction *txn;
    bool exists;

    assert_ok(delta_table_exists(f->table, &exists, &err));
    if (exists) {
        assert_ok(delta_table_snapshot(f->table, f->conn, &snapshot, &err));
    }
    assert_ok(delta_transaction_begin(f->table, snapshot, f->conn, &txn, &err));
    delta_snapshot_unref(snapshot);
    return txn;
}

static void set_schema(DeltaTransaction *txn, const char *json)
{
    Error err = ERROR_NONE;
    DeltaSchema *schema;

    assert_ok(delta_schema_parse(json, &schema, &err));
    assert_ok(delta_transaction_set_schema(txn, schema, &err));
    delta_schema_unref(schema);
}

static int64_t commit(DeltaTransaction *txn)
{
    Error err = ERROR_NONE;
    int64_t version = -1;

    assert_ok(delta_transaction_commit(txn, &version, &err));
    delta_transaction_free(txn);
    return version;
}

/* A table of columns a, p partitioned by p. */
static void create(LogFixture *f)
{
    Error err = ERROR_NONE;
    DeltaTransaction *txn = begin(f);

    set_schema(txn, SCHEMA);
    assert_ok(delta_transaction_set_partitioning(txn, (const char *const[]){"P"}, 1, &err));
    delta_transaction_operation(txn, "CREATE TABLE");
    assert_int_equal(commit(txn), 0);
}

static DeltaFile file_in(const char *path, const char *partition)
{
    static DeltaPair pair; /* one at a time: the transaction copies */

    pair = (DeltaPair){"p", partition};
    return (DeltaFile){.path = path,
                       .partition_values = &pair,
                       .n_partition_values = 1,
                       .size = 10,
                       .modification_time = 1,
                       .data_change = true,
                       .stats = "{\"numRecords\":5}",
                       .base_row_id = -1,
                       .default_row_commit_version = -1};
}

static void add(DeltaTransaction *txn, const char *path, const char *partition)
{
    DeltaFile file = file_in(path, partition);
    delta_transaction_add(txn, &file);
}

static void append(LogFixture *f, const char *path, const char *partition)
{
    DeltaTransaction *txn = begin(f);
    add(txn, path, partition);
    commit(txn);
}

static void assert_conflict(DeltaTransaction *txn, const char *klass)
{
    Error err = ERROR_NONE;
    int64_t version;

    assert_int_equal(delta_transaction_commit(txn, &version, &err), ERR_CONFLICT);
    assert_string_equal(err.klass, klass);
    delta_transaction_free(txn);
}

static char *commit_text(LogFixture *f, int version)
{
    Text text = TEXT(1 << 20);
    Error err = ERROR_NONE;
    char path[256];

    snprintf(path, sizeof path, "%s/_delta_log/%020d.json", f->dir, version);
    assert_ok(file_read(path, 1 << 20, &text, &err));
    return text_take(&text);
}

/* ---- what a commit looks like ---- */

static void test_delta_transaction__first_version(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaCommit *read;

    create(f);
    assert_ok(delta_commit_read(f->table, 0, &read, &err));
    assert_int_equal(read->n_actions, 3);
    assert_int_equal(read->actions[0].kind, DELTA_ACTION_COMMIT_INFO);
    assert_string_equal(read->actions[0].info.operation, "CREATE TABLE");
    assert_int_equal(read->actions[1].kind, DELTA_ACTION_METADATA);
    assert_string_equal(read->actions[1].metadata.partition_columns[0], "p");
    assert_int_equal(read->actions[2].kind, DELTA_ACTION_PROTOCOL);
    assert_int_equal(read->actions[2].protocol.min_reader, 1);
    assert_int_equal(read->actions[2].protocol.min_writer, 2);
    delta_commit_free(read);
    assert_newest(f, "0: ");
}

static void test_delta_transaction__commit_info(void **state)
{
    LogFixture *f = *state;

    create(f);
    DeltaTransaction *txn = begin(f);
    add(txn, "x", "1");
    assert_int_equal(delta_transaction_read_app(txn, "q"), -1);
    delta_transaction_set_app(txn, "q", 7);
    delta_transaction_operation(txn, "STREAMING UPDATE");
    delta_transaction_parameter(txn, "outputMode", "\"Append\"");
    delta_transaction_metric(txn, "numAddedFiles", 1);
    delta_transaction_freshet(txn, "{\"batch\":7,\"offsets\":[{\"a\":1}]}");
    delta_transaction_user_metadata(txn, "by \"me\"");
    assert_int_equal(commit(txn), 1);
    char *text = commit_text(f, 1);
    assert_contains(
        text,
        "\"operation\":\"STREAMING UPDATE\",\"operationParameters\":{\"outputMode\":\"Append\"},\"readVersion\":0,"
        "\"isolationLevel\":\"Serializable\",\"isBlindAppend\":true,\"operationMetrics\":{\"numAddedFiles\":\"1\"},"
        "\"userMetadata\":\"by \\\"me\\\"\",\"engineInfo\":\"freshet/");
    assert_contains(text, "\"freshet\":{\"batch\":7,\"offsets\":[{\"a\":1}]}}}\n{\"txn\":{\"appId\":\"q\",\"version\":"
                          "7,\"lastUpdated\":");
    mem_free(text);
    txn = begin(f);
    assert_int_equal(delta_transaction_read_app(txn, "q"), 7);
    delta_transaction_free(txn);
}

static void test_delta_transaction__create_race(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    int64_t version;
    DeltaTransaction *late = begin(f);

    set_schema(late, SCHEMA);
    create(f);
    assert_error(delta_transaction_commit(late, &version, &err), E_DELTA_EXISTS);
    delta_transaction_free(late);
}

static void test_delta_transaction__append_only(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    int64_t version;

    create(f);
    DeltaTransaction *txn = begin(f);
    assert_ok(delta_transaction_set_property(txn, "delta.appendOnly", "true", &err));
    commit(txn);
    append(f, "x", "1");
    DeltaFile file = file_in("x", "1");
    txn = begin(f);
    delta_transaction_remove(txn, &file, true);
    assert_error(delta_transaction_commit(txn, &version, &err), E_DELTA_APPEND_ONLY);
    delta_transaction_free(txn);
    txn = begin(f);
    delta_transaction_remove(txn, &file, false);
    commit(txn);
}

static void test_delta_transaction__invalid_actions(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    int64_t version;

    create(f);
    DeltaTransaction *txn = begin(f);
    add(txn, "x%20y", "1");
    add(txn, "x y", "1");
    assert_error(delta_transaction_commit(txn, &version, &err), E_INTERNAL);
    delta_transaction_free(txn);
    txn = begin(f);
    DeltaFile file = file_in("x", "1");
    file.n_partition_values = 0;
    delta_transaction_add(txn, &file);
    assert_error(delta_transaction_commit(txn, &version, &err), E_INTERNAL);
    delta_transaction_free(txn);
    assert_newest(f, "0: ");
}

static void test_delta_transaction__properties(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;

    create(f);
    DeltaTransaction *txn = begin(f);
    assert_error(delta_transaction_set_property(txn, "delta.apendOnly", "true", &err), E_DELTA_PROPERTY);
    assert_int_equal(delta_transaction_set_property(txn, "delta.apendOnly", "true", &err), ERR_INVALID);
    assert_contains(err.hint, "delta.appendOnly");
    error_clear(&err);
    assert_error(delta_transaction_set_property(txn, "delta.checkpointInterval", "0", &err), E_DELTA_PROPERTY);
    assert_error(delta_transaction_set_property(txn, "delta.logRetentionDuration", "2 months", &err), E_DELTA_PROPERTY);
    assert_error(delta_transaction_set_property(txn, "delta.columnMapping.maxColumnId", "5", &err), E_DELTA_PROPERTY);
    assert_error(delta_transaction_set_property(txn, "delta.feature.unheard", "supported", &err),
                 E_DELTA_PROTOCOL_WRITE);
    assert_ok(delta_transaction_set_property(txn, "owner", "me", &err));
    assert_ok(delta_transaction_set_property(txn, "delta.enableChangeDataFeed", "true", &err));
    assert_int_equal(delta_transaction_protocol(txn)->min_writer, 4);
    assert_ok(delta_transaction_set_property(txn, "delta.enableDeletionVectors", "true", &err));
    const DeltaProtocol *p = delta_transaction_protocol(txn);
    assert_int_equal(p->min_reader, 3);
    assert_int_equal(p->min_writer, 7);
    assert_int_equal(p->n_reader_features, 1);
    assert_true(delta_protocol_supports(p, "deletionVectors"));
    assert_true(delta_protocol_supports(p, "changeDataFeed"));
    assert_true(delta_protocol_supports(p, "appendOnly"));
    assert_true(delta_protocol_supports(p, "checkConstraints"));
    assert_ok(delta_transaction_set_property(txn, "owner", NULL, &err));
    assert_null(delta_transaction_property(txn, "owner"));
    commit(txn);
    assert_newest(f, "1: ");
}

static void test_delta_transaction__protocol_of_new_types(void **state)
{
    LogFixture *f = *state;
    DeltaTransaction *txn = begin(f);

    set_schema(txn, "{\"type\":\"struct\",\"fields\":[{\"name\":\"t\",\"type\":{\"type\":\"array\",\"elementType\":"
                    "\"timestamp_ntz\","
                    "\"containsNull\":true},\"nullable\":true,\"metadata\":{}}]}");
    const DeltaProtocol *p = delta_transaction_protocol(txn);
    assert_int_equal(p->min_reader, 3);
    assert_int_equal(p->min_writer, 7);
    assert_int_equal(p->n_writer_features, 3);
    assert_true(delta_protocol_supports(p, "timestampNtz"));
    commit(txn);
}

static const char ODD_NAMES[] = "{\"type\":\"struct\",\"fields\":[{\"name\":\"a "
                                "b\",\"type\":{\"type\":\"array\",\"elementType\":{\"type\":\"struct\",\"fields\":["
                                "{\"name\":\"c;d\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]},"
                                "\"containsNull\":true},\"nullable\":true,\"metadata\":{}}]}";

static void test_delta_transaction__maps_columns_of_new_tables(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaTransaction *txn = begin(f);
    DeltaSchema *schema;

    assert_ok(delta_schema_parse(ODD_NAMES, &schema, &err));
    assert_ok(delta_transaction_set_property(txn, "delta.columnMapping.mode", "name", &err));
    assert_ok(delta_transaction_set_schema(txn, schema, &err));
    delta_schema_unref(schema);
    const DeltaField *field = &delta_transaction_schema(txn)->fields[0];
    assert_int_equal(field->field_id, 1);
    assert_int_equal(strncmp(field->physical_name, "col-", 4), 0);
    assert_int_equal(field->type->fields[0].type->fields[0].field_id, 2);
    assert_string_equal(delta_transaction_property(txn, "delta.columnMapping.maxColumnId"), "2");
    assert_int_equal(delta_transaction_protocol(txn)->min_reader, 2);
    assert_int_equal(delta_transaction_protocol(txn)->min_writer, 5);
    commit(txn);
    txn = begin(f);
    assert_error(delta_transaction_set_property(txn, "delta.columnMapping.mode", "none", &err), E_DELTA_PROPERTY);
    assert_error(delta_transaction_set_property(txn, "delta.columnMapping.mode", "id", &err), E_DELTA_PROPERTY);
    delta_transaction_free(txn);
}

static void test_delta_transaction__mapping_an_existing_table_keeps_its_names(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;

    create(f);
    DeltaTransaction *txn = begin(f);
    assert_error(delta_transaction_set_property(txn, "delta.columnMapping.mode", "id", &err), E_DELTA_PROPERTY);
    assert_ok(delta_transaction_set_property(txn, "delta.columnMapping.mode", "name", &err));
    assert_string_equal(delta_transaction_schema(txn)->fields[0].physical_name, "a");
    assert_int_equal(delta_transaction_schema(txn)->fields[1].field_id, 2);
    commit(txn);
    append(f, "x", "1");
    assert_newest(f, "2: x");
}

static void test_delta_transaction__refuses_unknown_writers(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *snapshot;
    DeltaTransaction *txn;

    log_fixture_commit(f, 0,
                       "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":["
                       "\"fromTheFuture\"]}}\n" LOG_METADATA);
    assert_ok(delta_table_snapshot(f->table, f->conn, &snapshot, &err));
    assert_error(delta_transaction_begin(f->table, snapshot, f->conn, &txn, &err), E_DELTA_PROTOCOL_WRITE);
    delta_snapshot_unref(snapshot);
}

static void test_delta_transaction__in_commit_timestamps(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *snapshot;
    int64_t before = 0;

    create(f);
    DeltaTransaction *txn = begin(f);
    assert_ok(delta_transaction_set_property(txn, "delta.enableInCommitTimestamps", "true", &err));
    append(f, "a", "1"); /* so that the version is not the first attempt's */
    assert_int_equal(commit(txn), 2);
    append(f, "b", "1");
    append(f, "c", "1");
    assert_ok(delta_table_snapshot(f->table, f->conn, &snapshot, &err));
    assert_string_equal(delta_snapshot_property(snapshot, "delta.inCommitTimestampEnablementVersion"), "2");
    delta_snapshot_unref(snapshot);
    for (int v = 2; v <= 4; v++) {
        DeltaCommit *read;
        assert_ok(delta_commit_read(f->table, v, &read, &err));
        assert_int_equal(read->actions[0].kind, DELTA_ACTION_COMMIT_INFO);
        assert_true(read->actions[0].info.in_commit_timestamp > before);
        before = read->actions[0].info.in_commit_timestamp;
        delta_commit_free(read);
    }
}

static void test_delta_transaction__row_ids(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaCommit *read;

    create(f);
    DeltaTransaction *txn = begin(f);
    assert_ok(delta_transaction_set_property(txn, "delta.feature.rowTracking", "supported", &err));
    commit(txn);
    DeltaTransaction *late = begin(f);
    add(late, "late", "1");
    append(f, "a", "1");
    assert_int_equal(commit(late), 3);
    assert_ok(delta_commit_read(f->table, 3, &read, &err));
    for (size_t i = 0; i < read->n_actions; i++) {
        if (read->actions[i].kind == DELTA_ACTION_ADD) {
            assert_int_equal(read->actions[i].file.base_row_id, 5);
            assert_int_equal(read->actions[i].file.default_row_commit_version, 3);
        } else if (read->actions[i].kind == DELTA_ACTION_DOMAIN) {
            assert_string_equal(read->actions[i].domain.configuration, "{\"rowIdHighWaterMark\":9}");
        }
    }
    delta_commit_free(read);
}

/* ---- conflicts ---- */

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
static void test_delta_transaction__says_that_only_identity_moved(void **state)
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

/* ---- lost answers and crashes ---- */

static void test_delta_transaction__lost_answer_is_settled_by_the_token(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;

    create(f);
    DeltaTransaction *txn = begin(f);
    add(txn, "x", "1");
    failpoint_reset(); /* hits count from here */
    failpoint_arm(FP_STORE_PUT_AFTER_PUBLISH, FAILPOINT_ERROR, 1);
    assert_int_equal(commit(txn), 1);
    failpoint_reset();
    assert_newest(f, "1: x");
}

static void test_delta_transaction__failed_put_leaves_nothing(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    int64_t version;

    create(f);
    log_fixture_write(f, "p=1/x", "data");
    DeltaTransaction *txn = begin(f);
    add(txn, "p=1/x", "1");
    delta_transaction_wrote(txn, "p=1/x");
    failpoint_reset(); /* hits count from here */
    failpoint_arm(FP_STORE_PUT_BEFORE_PUBLISH, FAILPOINT_ERROR, 1);
    assert_error(delta_transaction_commit(txn, &version, &err), E_FAILPOINT);
    failpoint_reset();
    delta_transaction_free(txn);
    assert_newest(f, "0: ");
    char path[256];
    snprintf(path, sizeof path, "%s/p=1/x", f->dir);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void test_delta_transaction__failure_after_the_commit_says_so(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    int64_t version;

    create(f);
    log_fixture_write(f, "p=1/x", "data");
    DeltaTransaction *txn = begin(f);
    add(txn, "p=1/x", "1");
    delta_transaction_wrote(txn, "p=1/x");
    failpoint_reset(); /* hits count from here */
    failpoint_arm(FP_DELTA_COMMIT_AFTER_PUBLISH, FAILPOINT_ERROR, 1);
    assert_int_not_equal(delta_transaction_commit(txn, &version, &err), OK);
    assert_true(err.flags & ERROR_UNKNOWN_OUTCOME);
    error_clear(&err);
    failpoint_reset();
    delta_transaction_free(txn);
    assert_newest(f, "1: p=1/x");
    char path[256];
    snprintf(path, sizeof path, "%s/p=1/x", f->dir);
    assert_int_equal(access(path, F_OK), 0);
}

/* ---- races ---- */

enum { THREADS = 8, PROCESSES = 8 };

/* Commits of each writer: 25, or FRESHET_RACE_COMMITS. */
static int commits_each(void)
{
    const char *set = getenv("FRESHET_RACE_COMMITS");
    int64_t n;

    return set != NULL && str_parse_i64(set, &n) && n > 0 ? (int)n : 25;
}

typedef struct Racer {
    const char *dir;
    int number;
    bool failed;
    char message[512];
} Racer;

static void race(Racer *racer, Duck *duck)
{
    Error err = ERROR_NONE;
    DuckConn *conn = NULL;
    DeltaTable *table = NULL;
    Status rc = OK;

    TRY(duck_connect(duck, &conn, &err));
    TRY(delta_table_open(duck, racer->dir, &table, &err));
    for (int i = 0; i < commits_each(); i++) {
        DeltaSnapshot *snapshot;
        DeltaTransaction *txn;
        char path[64];
        int64_t version;
        TRY(delta_table_snapshot(table, conn, &snapshot, &err));
        rc = delta_transaction_begin(table, snapshot, conn, &txn, &err);
        delta_snapshot_unref(snapshot);
        if (rc != OK) {
            goto out;
        }
        snprintf(path, sizeof path, "%d-%d", racer->number, i);
        DeltaPair pair = {"p", "1"};
        DeltaFile file = {.path = path,
                          .partition_values = &pair,
                          .n_partition_values = 1,
                          .size = 1,
                          .base_row_id = -1,
                          .default_row_commit_version = -1,
                          .data_change = true};
        delta_transaction_add(txn, &file);
        rc = delta_transaction_commit(txn, &version, &err);
        delta_transaction_free(txn);
        if (rc != OK) {
            goto out;
        }
    }
out:
    racer->failed = rc != OK;
    snprintf(racer->message, sizeof racer->message, "%.500s", err.message);
    delta_table_close(table);
    duck_disconnect(conn);
}

typedef struct ThreadRacer {
    Racer racer;
    Duck *duck;
} ThreadRacer;

static void *race_thread(void *context)
{
    ThreadRacer *r = context;
    race(&r->racer, r->duck);
    return NULL;
}

static void assert_all_there(LogFixture *f, int writers)
{
    Error err = ERROR_NONE;
    DeltaSnapshot *snapshot;
    int64_t files, bytes;

    log_fixture_reopen(f);
    assert_ok(delta_table_snapshot(f->table, f->conn, &snapshot, &err));
    assert_int_equal(delta_snapshot_version(snapshot), writers * commits_each());
    assert_ok(delta_snapshot_totals(snapshot, f->conn, &files, &bytes, &err));
    assert_int_equal(files, writers * commits_each());
    delta_snapshot_unref(snapshot);
}

static void test_delta_transaction__threads_lose_nothing(void **state)
{
    LogFixture *f = *state;
    pthread_t threads[THREADS];
    ThreadRacer racers[THREADS];

    store_set_fsync(false);
    create(f);
    for (int i = 0; i < THREADS; i++) {
        racers[i] = (ThreadRacer){.racer = {.dir = f->dir, .number = i}, .duck = f->duck};
        assert_int_equal(pthread_create(&threads[i], NULL, race_thread, &racers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        if (racers[i].racer.failed) {
            fail_msg("%s", racers[i].racer.message);
        }
    }
    assert_all_there(f, THREADS);
    store_set_fsync(true);
}

/* The children are made before any instance has threads of its own. */
static void test_delta_transaction__processes_lose_nothing(void **state)
{
    char dir[] = "/tmp/freshet-delta-XXXXXX";
    int go[2];
    pid_t children[PROCESSES];
    char byte = 0;

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(pipe(go), 0);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            Racer racer = {.dir = dir, .number = i, .failed = true};
            DuckConfig config = {.memory_limit_bytes = 128 << 20, .threads = 1};
            Error err = ERROR_NONE;
            Duck *duck;
            close(go[1]);
            store_set_fsync(false);
            if (read(go[0], &byte, 1) == 0 && duck_open(&config, &duck, &err) == OK) {
                race(&racer, duck);
                duck_close(duck);
            }
            if (racer.failed) {
                fprintf(stderr, "%s %s\n", err.message, racer.message);
            }
            _exit(racer.failed);
        }
    }
    LogFixture *f = log_fixture_new();
    char own[64];
    strcpy(own, f->dir);
    strcpy(f->dir, dir);
    log_fixture_reopen(f);
    create(f);
    close(go[0]);
    close(go[1]); /* the end of the pipe is the start */
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_all_there(f, PROCESSES);
    log_fixture_free(f);
    assert_int_equal(rmdir(own), 0);
}

int main(void)
{
#define WITH_TABLE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delta_transaction__processes_lose_nothing),
        WITH_TABLE(test_delta_transaction__first_version),
        WITH_TABLE(test_delta_transaction__commit_info),
        WITH_TABLE(test_delta_transaction__create_race),
        WITH_TABLE(test_delta_transaction__append_only),
        WITH_TABLE(test_delta_transaction__invalid_actions),
        WITH_TABLE(test_delta_transaction__properties),
        WITH_TABLE(test_delta_transaction__protocol_of_new_types),
        WITH_TABLE(test_delta_transaction__maps_columns_of_new_tables),
        WITH_TABLE(test_delta_transaction__mapping_an_existing_table_keeps_its_names),
        WITH_TABLE(test_delta_transaction__refuses_unknown_writers),
        WITH_TABLE(test_delta_transaction__in_commit_timestamps),
        WITH_TABLE(test_delta_transaction__row_ids),
        WITH_TABLE(test_delta_conflict__blind_append_follows),
        WITH_TABLE(test_delta_conflict__appends_to_what_was_read),
        WITH_TABLE(test_delta_conflict__removes),
        WITH_TABLE(test_delta_conflict__rewrites_and_appends_pass_each_other),
        WITH_TABLE(test_delta_conflict__metadata_and_protocol),
        WITH_TABLE(test_delta_conflict__applications_and_domains),
        WITH_TABLE(test_delta_conflict__metadata_that_changes_nothing_for_rows),
        WITH_TABLE(test_delta_transaction__says_that_only_identity_moved),
        cmocka_unit_test(test_delta_conflict__matrix_serializable),
        cmocka_unit_test(test_delta_conflict__matrix_write_serializable),
        WITH_TABLE(test_delta_transaction__lost_answer_is_settled_by_the_token),
        WITH_TABLE(test_delta_transaction__failed_put_leaves_nothing),
        WITH_TABLE(test_delta_transaction__failure_after_the_commit_says_so),
        WITH_TABLE(test_delta_transaction__threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
