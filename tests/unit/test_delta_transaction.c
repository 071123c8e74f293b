/* Commits: what they look like, and what a lost answer means. */
#include "delta_commits.h"

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

    set_schema(late, COMMITS_SCHEMA);
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

/* Ids are given when the version is certain: who loses twice gives them a third time, above those of both winners. */
static void test_delta_transaction__row_ids_again(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaCommit *read;
    int64_t next = 10, marks = 0;

    create(f);
    DeltaTransaction *txn = begin(f);
    assert_ok(delta_transaction_set_property(txn, "delta.feature.rowTracking", "supported", &err));
    commit(txn);
    DeltaTransaction *late = begin(f);
    add(late, "late0", "1");
    add(late, "late1", "1");
    append(f, "a", "1");
    append(f, "b", "1");
    assert_int_equal(commit(late), 4);
    assert_ok(delta_commit_read(f->table, 4, &read, &err));
    for (size_t i = 0; i < read->n_actions; i++) {
        const DeltaAction *action = &read->actions[i];
        if (action->kind == DELTA_ACTION_ADD) {
            assert_int_equal(action->file.base_row_id, next);
            assert_int_equal(action->file.default_row_commit_version, 4);
            next += 5;
        } else if (action->kind == DELTA_ACTION_DOMAIN) {
            assert_string_equal(action->domain.configuration, "{\"rowIdHighWaterMark\":19}");
            marks++;
        }
    }
    assert_int_equal(next, 20);
    assert_int_equal(marks, 1);
    delta_commit_free(read);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
        WITH_TABLE(test_delta_transaction__row_ids_again),
        WITH_TABLE(test_delta_transaction__lost_answer_is_settled_by_the_token),
        WITH_TABLE(test_delta_transaction__failed_put_leaves_nothing),
        WITH_TABLE(test_delta_transaction__failure_after_the_commit_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
