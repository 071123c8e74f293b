/* Lines of the log <-> values. */
#include "unit.h"

#include "delta/action.h"

static Arena *arena;

static DeltaAction parse(const char *line)
{
    DeltaAction action;
    Error err = ERROR_NONE;

    assert_ok(delta_action_parse(line, strlen(line), "here", arena, &action, &err));
    return action;
}

static void refuse(const char *line, const char *why)
{
    DeltaAction action;
    Error err = ERROR_NONE;

    assert_int_equal(delta_action_parse(line, strlen(line), "file.json: line 3", arena, &action, &err), ERR_CORRUPT);
    assert_int_equal(err.id, E_DELTA_CORRUPT);
    assert_contains(err.message, "file.json: line 3");
    assert_contains(err.message, why);
}

/* What is read and written again is the same line. */
static void round_trip(const char *line)
{
    DeltaAction action = parse(line);
    Text out = TEXT(1 << 16);

    delta_action_write(&action, &out);
    assert_string_equal(text_str(&out), line);
    text_free(&out);
}

static void test_delta_action__round_trip(void **state)
{
    (void)state;
    round_trip(
        "{\"add\":{\"path\":\"d=2024-01-01/"
        "part-0.parquet\",\"partitionValues\":{\"d\":\"2024-01-01\",\"n\":null},\"size\":841454,"
        "\"modificationTime\":1512909768000,\"dataChange\":true,\"stats\":\"{\\\"numRecords\\\":10}\",\"tags\":{\"A\":"
        "\"1\"},"
        "\"deletionVector\":{\"storageType\":\"u\",\"pathOrInlineDv\":\"ab^-aqEH.-t@S}K{vb[*k^\",\"offset\":4,"
        "\"sizeInBytes\":40,"
        "\"cardinality\":6},\"baseRowId\":4071,\"defaultRowCommitVersion\":41,\"clusteringProvider\":\"liquid\"}}\n");
    round_trip("{\"remove\":{\"path\":\"a%20b\",\"deletionTimestamp\":1515488792485,\"dataChange\":false,"
               "\"extendedFileMetadata\":true,"
               "\"partitionValues\":{},\"size\":3}}\n");
    round_trip(
        "{\"remove\":{\"path\":\"x\",\"deletionTimestamp\":0,\"dataChange\":true,\"extendedFileMetadata\":false}}\n");
    round_trip(
        "{\"cdc\":{\"path\":\"_change_data/c.parquet\",\"partitionValues\":{},\"size\":1213,\"dataChange\":false}}\n");
    round_trip("{\"metaData\":{\"id\":\"u\",\"name\":\"n\",\"description\":\"d\",\"format\":{\"provider\":\"parquet\","
               "\"options\":{}},"
               "\"schemaString\":\"{}\",\"partitionColumns\":[\"a\",\"b\"],\"configuration\":{\"k\":\"v\"},"
               "\"createdTime\":15}}\n");
    round_trip("{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[],\"writerFeatures\":["
               "\"appendOnly\"]}}\n");
    round_trip("{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n");
    round_trip("{\"txn\":{\"appId\":\"a\",\"version\":9223372036854775807,\"lastUpdated\":7}}\n");
    round_trip("{\"txn\":{\"appId\":\"a\",\"version\":-3}}\n");
    round_trip("{\"domainMetadata\":{\"domain\":\"d\",\"configuration\":\"{}\",\"removed\":true}}\n");
    round_trip(
        "{\"commitInfo\":{\"timestamp\":5,\"operation\":\"WRITE\",\"freshet\":{\"batch\":3,\"x\":[1,2.5,null]}}}\n");
}

static void test_delta_action__defaults(void **state)
{
    (void)state;
    DeltaAction add = parse(
        "{\"add\":{\"path\":\"p\",\"partitionValues\":{},\"size\":1,\"modificationTime\":2,\"dataChange\":false,"
        "\"stats\":null,\"deletionVector\":null,\"unknown\":[1]}}");
    assert_int_equal(add.kind, DELTA_ACTION_ADD);
    assert_null(add.file.stats);
    assert_null(add.file.deletion_vector);
    assert_int_equal(add.file.base_row_id, -1);
    DeltaAction remove = parse("{\"remove\":{\"path\":\"p\"}}");
    assert_int_equal(remove.file.deletion_timestamp, 0);
    assert_true(remove.file.data_change);
    DeltaAction info = parse("{\"commitInfo\":{\"operation\":7,\"txnId\":\"t\",\"isBlindAppend\":true}}");
    assert_null(info.info.operation);
    assert_string_equal(info.info.txn_id, "t");
    assert_int_equal(info.info.is_blind_append, 1);
    assert_int_equal(info.info.in_commit_timestamp, -1);
    assert_int_equal(parse("{\"future\":{\"a\":1}}").kind, DELTA_ACTION_UNKNOWN);
    assert_int_equal(parse("{}").kind, DELTA_ACTION_UNKNOWN);
    assert_int_equal(parse("{\"add\":null,\"txn\":{\"appId\":\"a\",\"version\":1}}").kind, DELTA_ACTION_TXN);
}

static void test_delta_action__empty_deletion_vector_is_none(void **state)
{
    (void)state;
    DeltaAction action = parse(
        "{\"remove\":{\"path\":\"p\",\"deletionVector\":{\"storageType\":\"\",\"pathOrInlineDv\":\"\"}}}");
    Text id = TEXT(100);

    assert_null(action.file.deletion_vector);
    delta_file_dv_id(&action.file, &id);
    assert_string_equal(text_str(&id), "");
    action = parse("{\"remove\":{\"path\":\"p\",\"deletionVector\":{\"storageType\":\"i\",\"pathOrInlineDv\":\"wi5b\","
                   "\"sizeInBytes\":4,"
                   "\"cardinality\":1}}}");
    delta_file_dv_id(&action.file, &id);
    assert_string_equal(text_str(&id), "iwi5b");
    text_free(&id);
}

static void test_delta_action__damage(void **state)
{
    (void)state;
    refuse("{\"add\":{\"path\":\"p\",", "line 1");
    refuse("not json", "");
    refuse("[1]", "");
    refuse("{\"add\":{}}", "path");
    refuse("{\"add\":7}", "must be an object");
    refuse("{\"add\":{\"path\":\"\",\"partitionValues\":{},\"size\":1,\"modificationTime\":2,\"dataChange\":false}}",
           "empty");
    refuse(
        "{\"add\":{\"path\":\"p\",\"partitionValues\":{},\"size\":\"1\",\"modificationTime\":2,\"dataChange\":false}}",
        "size");
    refuse("{\"add\":{\"path\":\"p\",\"partitionValues\":{\"a\":1},\"size\":1,\"modificationTime\":2,\"dataChange\":"
           "false}}",
           "'a'");
    refuse("{\"add\":{\"path\":\"p\",\"partitionValues\":{\"a\":\"x\\u0000y\"},\"size\":1,\"modificationTime\":2,"
           "\"dataChange\":false}}",
           "'a'");
    refuse("{\"add\":{\"path\":\"p\",\"partitionValues\":{},\"size\":-1,\"modificationTime\":2,\"dataChange\":false}}",
           "negative");
    refuse("{\"txn\":{\"appId\":\"a\",\"version\":1.5}}", "version");
    refuse("{\"txn\":{\"appId\":\"a\",\"version\":99999999999999999999}}", "");
    refuse("{\"txn\":{\"appId\":\"a\",\"version\":1},\"add\":{\"path\":\"p\"}}", "");
    refuse("{\"txn\":{\"appId\":\"a\",\"appId\":\"b\",\"version\":1}}", "");
    refuse("{\"protocol\":{\"minReaderVersion\":9999999999,\"minWriterVersion\":2}}", "range");
    refuse("{\"remove\":{\"path\":\"p\",\"deletionVector\":{\"storageType\":\"z\",\"pathOrInlineDv\":\"\"}}}", "'z'");
}

static void test_delta_action__deep_json_is_refused(void **state)
{
    (void)state;
    Text line = TEXT(1 << 20);

    text_append(&line, "{\"commitInfo\":");
    for (int i = 0; i < 100000; i++) {
        text_append(&line, "[");
    }
    refuse(text_str(&line), "deep");
    text_free(&line);
}

static int set_up(void **state)
{
    (void)state;
    arena = arena_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_delta_action__round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_delta_action__defaults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_delta_action__empty_deletion_vector_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_delta_action__damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_delta_action__deep_json_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
