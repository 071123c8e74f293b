/* Checkpoints: what is written is what was there; whatever is damaged falls back; the log is cut off where the rules
 * allow. */
#include "delta_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/failpoint.h"
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
    return 0;
}

#define LOG_PROTOCOL_ALL                                                                                    \
    "{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"deletionVectors\"," \
    "\"v2Checkpoint\"],"                                                                                    \
    "\"writerFeatures\":[\"deletionVectors\",\"v2Checkpoint\",\"domainMetadata\",\"rowTracking\"]}}\n"
#define LOG_PROTOCOL_V2                                                                                   \
    "{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"v2Checkpoint\"]," \
    "\"writerFeatures\":[\"v2Checkpoint\"]}}\n"
/* LOG_METADATA with other properties */
static char *metadata_with(const char *configuration)
{
    Text text = TEXT(1 << 16);
    const char *at = strstr(LOG_METADATA, "\"configuration\":{}");

    text_append_n(&text, LOG_METADATA, (size_t)(at - LOG_METADATA));
    text_printf(&text, "\"configuration\":{%s}}}\n", configuration);
    return text_take(&text);
}

static void commit_with(LogFixture *f, int version, const char *before, const char *configuration, const char *after)
{
    Text text = TEXT(1 << 16);
    char *metadata = metadata_with(configuration);

    text_printf(&text, "%s%s%s", before, metadata, after);
    log_fixture_commit(f, version, text_str(&text));
    mem_free(metadata);
    text_free(&text);
}

static void checkpoint(LogFixture *f)
{
    Error err = ERROR_NONE;
    DeltaSnapshot *snapshot;

    assert_ok(delta_table_snapshot(f->table, f->conn, &snapshot, &err));
    assert_ok(delta_checkpoint_write(snapshot, f->conn, &err));
    delta_snapshot_unref(snapshot);
}

static size_t count_files(LogFixture *f, const char *part)
{
    char path[128];
    size_t n = 0;

    snprintf(path, sizeof path, "%s/_delta_log", f->dir);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        n += strstr(entry->d_name, part) != NULL;
    }
    closedir(dir);
    return n;
}

/* Everything a file can carry. */
#define FULL_ADD                                                                                             \
    "{\"add\":{\"path\":\"d=a%2520b/"                                                                        \
    "x%20y\",\"partitionValues\":{},\"size\":11,\"modificationTime\":12,\"dataChange\":true,"                \
    "\"stats\":\"{\\\"numRecords\\\":3,\\\"minValues\\\":{\\\"a\\\":1}}\",\"tags\":{\"k\":\"v \\\"q\\\"\"}," \
    "\"deletionVector\":{\"storageType\":\"u\",\"pathOrInlineDv\":\"ab^-aqEH.-t@S}K{vb[*k^\",\"offset\":4,"  \
    "\"sizeInBytes\":40,"                                                                                    \
    "\"cardinality\":2},\"baseRowId\":7,\"defaultRowCommitVersion\":1,\"clusteringProvider\":\"liquid\"}}\n"

static Status find_full(void *context, const DeltaFile *file, Error *err)
{
    (void)err;
    if (strcmp(file->path, "d=a%2520b/x%20y") == 0) {
        DeltaAction action = {.kind = DELTA_ACTION_ADD, .file = *file};
        delta_action_write(&action, context);
    }
    return OK;
}

static void test_delta_checkpoint__keeps_everything(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *s;
    Text full = TEXT(1 << 16);
    const DeltaDomain *domains;
    int64_t version;

    log_fixture_commit(
        f, 0,
        LOG_PROTOCOL_ALL LOG_METADATA LOG_ADD("a") LOG_ADD("b") LOG_TXN("gone", 1)
            LOG_TXN("q'uote",
                    3) "{\"domainMetadata\":{\"domain\":\"d\",\"configuration\":\"{\\\"x\\\":1}\",\"removed\":false}}\n"
                       "{\"domainMetadata\":{\"domain\":\"e\",\"configuration\":\"{}\",\"removed\":false}}\n");
    log_fixture_commit(
        f, 1,
        FULL_ADD LOG_REMOVE("a")
            LOG_TXN("gone", 2) "{\"domainMetadata\":{\"domain\":\"e\",\"configuration\":\"{}\",\"removed\":true}}\n");
    checkpoint(f);
    log_fixture_unlink(f, "_delta_log/00000000000000000000.json");
    log_fixture_reopen(f);
    assert_newest(f, "1: b d=a%2520b/x%20y#uab^-aqEH.-t@S}K{vb[*k^@4");
    assert_ok(delta_table_snapshot(f->table, f->conn, &s, &err));
    assert_ok(delta_snapshot_each_file(s, f->conn, find_full, &full, &err));
    assert_string_equal(
        text_str(&full),
        "{\"add\":{\"path\":\"d=a%2520b/"
        "x%20y\",\"partitionValues\":{},\"size\":11,\"modificationTime\":12,\"dataChange\":false,"
        "\"stats\":\"{\\\"numRecords\\\":3,\\\"minValues\\\":{\\\"a\\\":1}}\",\"tags\":{\"k\":\"v \\\"q\\\"\"},"
        "\"deletionVector\":{\"storageType\":\"u\",\"pathOrInlineDv\":\"ab^-aqEH.-t@S}K{vb[*k^\",\"offset\":4,"
        "\"sizeInBytes\":40,\"cardinality\":2},\"baseRowId\":7,\"defaultRowCommitVersion\":1,"
        "\"clusteringProvider\":\"liquid\"}}\n");
    text_free(&full);
    assert_true(delta_snapshot_txn(s, "gone", &version));
    assert_int_equal(version, 2);
    assert_true(delta_snapshot_txn(s, "q'uote", &version));
    assert_int_equal(version, 3);
    assert_int_equal(delta_snapshot_domains(s, &domains), 1);
    assert_string_equal(domains[0].configuration, "{\"x\":1}");
    assert_int_equal(delta_snapshot_protocol(s)->n_writer_features, 4);
    assert_null(delta_snapshot_metadata(s)->name);
    assert_int_equal(delta_snapshot_metadata(s)->created_time, -1);
    delta_snapshot_unref(s);
    /* on top of it */
    log_fixture_commit(f, 2, LOG_REMOVE("b") LOG_ADD("c"));
    assert_newest(f, "2: c d=a%2520b/x%20y#uab^-aqEH.-t@S}K{vb[*k^@4");
    log_fixture_reopen(f);
    checkpoint(f);
    log_fixture_unlink(f, "_delta_log/00000000000000000001.json");
    log_fixture_unlink(f, "_delta_log/00000000000000000001.checkpoint.parquet");
    log_fixture_reopen(f);
    assert_newest(f, "2: c d=a%2520b/x%20y#uab^-aqEH.-t@S}K{vb[*k^@4");
}

static void test_delta_checkpoint__of_an_empty_table(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA);
    log_fixture_commit(f, 1, LOG_TXN("a", 1));
    checkpoint(f);
    log_fixture_unlink(f, "_delta_log/00000000000000000000.json");
    log_fixture_reopen(f);
    assert_newest(f, "1: ");
}

static void test_delta_checkpoint__v2_by_policy(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;

    commit_with(f, 0, LOG_PROTOCOL_ALL, "\"delta.checkpointPolicy\":\"v2\"", LOG_ADD("a"));
    log_fixture_commit(f, 1, LOG_ADD("b"));
    checkpoint(f);
    assert_int_equal(count_files(f, "00000000000000000001.checkpoint."), 1);
    assert_int_equal(count_files(f, "00000000000000000001.checkpoint.parquet"), 0);
    log_fixture_unlink(f, "_delta_log/00000000000000000000.json");
    log_fixture_reopen(f);
    assert_newest(f, "1: a b");
}

static void test_delta_checkpoint__statistics_as_struct(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *s;
    Text full = TEXT(1 << 16);

    commit_with(f, 0, LOG_PROTOCOL_ALL,
                "\"delta.checkpoint.writeStatsAsStruct\":\"true\",\"delta.checkpoint.writeStatsAsJson\":\"false\"",
                FULL_ADD);
    checkpoint(f);
    log_fixture_reopen(f);
    assert_ok(delta_table_snapshot(f->table, f->conn, &s, &err));
    assert_ok(delta_snapshot_each_file(s, f->conn, find_full, &full, &err));
    assert_contains(text_str(&full), "\"stats\":\"{\\\"numRecords\\\":3,\\\"minValues\\\":{\\\"a\\\":1}");
    text_free(&full);
    delta_snapshot_unref(s);
}

static void test_delta_checkpoint__tombstones_expire(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    Text commit = TEXT(4096);
    DuckResult *result;
    bool more;

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA LOG_ADD("a") LOG_ADD("b"));
    text_printf(&commit,
                LOG_REMOVE("a") "{\"remove\":{\"path\":\"b\",\"deletionTimestamp\":%lld,\"dataChange\":true}}\n",
                (long long)clock_now_ms());
    log_fixture_commit(f, 1, text_str(&commit));
    checkpoint(f);
    text_clear(&commit);
    text_printf(&commit,
                "SELECT string_agg(remove.path, ',') FROM "
                "read_parquet('%s/_delta_log/00000000000000000001.checkpoint.parquet')",
                f->dir);
    assert_ok(duck_query(f->conn, text_str(&commit), &result, &err));
    assert_ok(duck_result_next(result, &more, &err));
    char *paths = duck_result_text_dup(result, 0);
    assert_string_equal(paths, "b");
    mem_free(paths);
    duck_result_free(result);
    text_free(&commit);
}

static void damage(LogFixture *f, const char *name, const char *content)
{
    char path[256];

    snprintf(path, sizeof path, "_delta_log/%s", name);
    log_fixture_write(f, path, content);
}

static void test_delta_checkpoint__damage_falls_back(void **state)
{
    static const char *const JUNK[] = {"", "PAR1", "garbage that is no Parquet file at all"};
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *s;

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA LOG_ADD("a"));
    log_fixture_commit(f, 1, LOG_ADD("b"));
    checkpoint(f);
    log_fixture_commit(f, 2, LOG_ADD("c"));
    checkpoint(f);
    log_fixture_commit(f, 3, LOG_ADD("d"));
    for (size_t i = 0; i < sizeof JUNK / sizeof JUNK[0]; i++) {
        damage(f, "00000000000000000002.checkpoint.parquet", JUNK[i]);
        log_fixture_reopen(f);
        assert_newest(f, "3: a b c d");
    }
    log_fixture_unlink(f, "_delta_log/00000000000000000000.json"); /* the older checkpoint still does */
    log_fixture_reopen(f);
    assert_newest(f, "3: a b c d");
    damage(f, "00000000000000000001.checkpoint.parquet", "junk");
    log_fixture_reopen(f);
    assert_int_equal(delta_table_snapshot(f->table, f->conn, &s, &err), ERR_CORRUPT);
    assert_contains(err.message, "checkpoint.parquet");
    error_clear(&err);
    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA LOG_ADD("a"));
    assert_newest(f, "3: a b c d");
}

static void test_delta_checkpoint__multi_part_only_when_complete(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    char sql[1024];

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA LOG_ADD("a"));
    log_fixture_commit(f, 1, LOG_ADD("b"));
    checkpoint(f);
    for (int part = 1; part <= 2; part++) {
        snprintf(sql, sizeof sql,
                 "COPY (SELECT * FROM read_parquet('%s/_delta_log/00000000000000000001.checkpoint.parquet') WHERE "
                 "(\"add\".path = 'b') = %s OR "
                 "\"add\" IS NULL AND %s) TO '%s/_delta_log/00000000000000000001.checkpoint.%010d.0000000002.parquet' "
                 "(FORMAT parquet)",
                 f->dir, part == 1 ? "false" : "true", part == 1 ? "true" : "false", f->dir, part);
        assert_ok(duck_exec(f->conn, sql, &err));
    }
    log_fixture_unlink(f, "_delta_log/00000000000000000001.checkpoint.parquet");
    log_fixture_unlink(f, "_delta_log/00000000000000000000.json");
    log_fixture_reopen(f);
    assert_newest(f, "1: a b");
    log_fixture_unlink(f, "_delta_log/00000000000000000001.checkpoint.0000000001.0000000002.parquet");
    log_fixture_reopen(f);
    DeltaSnapshot *s;
    assert_int_equal(delta_table_snapshot(f->table, f->conn, &s, &err), ERR_CORRUPT);
    assert_int_equal(err.id, E_DELTA_GAP);
    assert_non_null(strstr(err.hint, "00000000000000000001.checkpoint.0000000002.0000000002.parquet"));
    error_clear(&err);
}

static void test_delta_checkpoint__json_manifest_and_compaction(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;

    log_fixture_write(f, "_delta_log/00000000000000000005.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json",
                      "{\"checkpointMetadata\":{\"version\":5}}\n" LOG_PROTOCOL_ALL LOG_METADATA LOG_ADD("a")
                          LOG_ADD("b") LOG_TXN("q", 8));
    log_fixture_commit(f, 5, LOG_TXN("q", 8));
    log_fixture_commit(f, 6, LOG_ADD("c") LOG_REMOVE("a"));
    log_fixture_commit(f, 7, LOG_ADD("d"));
    log_fixture_commit(f, 8, LOG_REMOVE("b"));
    assert_newest(f, "8: c d");
    log_fixture_write(f, "_delta_log/00000000000000000006.00000000000000000007.compacted.json",
                      LOG_ADD("c") LOG_REMOVE("a") LOG_ADD("d"));
    log_fixture_reopen(f);
    assert_newest(f, "8: c d");
    log_fixture_write(f, "_delta_log/00000000000000000006.00000000000000000007.compacted.json", "torn");
    log_fixture_reopen(f);
    assert_newest(f, "8: c d");
}

/* ---- maintenance ---- */

static void append(LogFixture *f, int i)
{
    Error err = ERROR_NONE;
    DeltaSnapshot *s;
    DeltaTransaction *txn;
    char path[32];
    int64_t version;

    snprintf(path, sizeof path, "f%03d", i);
    assert_ok(delta_table_snapshot(f->table, f->conn, &s, &err));
    assert_ok(delta_transaction_begin(f->table, s, f->conn, &txn, &err));
    DeltaFile file = {
        .path = path, .size = 1, .data_change = true, .base_row_id = -1, .default_row_commit_version = -1};
    delta_transaction_add(txn, &file);
    if (i == 3) {
        delta_transaction_set_app(txn, "idle", 1);
        delta_transaction_freshet(txn, "{\"flow\":\"idle\"}");
    }
    assert_ok(delta_transaction_commit(txn, &version, &err));
    delta_transaction_free(txn);
    delta_snapshot_unref(s);
    f->table->checkpoint_cost_ms = 0; /* on a slow machine checkpoints are not put off */
    delta_table_maintain(f->table, f->conn);
}

static void test_delta_maintain__checkpoints_at_the_interval(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *s;
    int64_t files, bytes;

    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA);
    for (int i = 1; i <= 25; i++) {
        append(f, i);
    }
    assert_int_equal(count_files(f, "checkpoint.parquet"), 2);
    assert_int_equal(count_files(f, ".checkpoint-"), 0);
    log_fixture_unlink(f, "_delta_log/00000000000000000003.json");
    log_fixture_reopen(f);
    assert_ok(delta_table_snapshot(f->table, f->conn, &s, &err));
    assert_ok(delta_snapshot_totals(s, f->conn, &files, &bytes, &err));
    assert_int_equal(files, 25);
    delta_snapshot_unref(s);
}

static void test_delta_maintain__failures_leave_the_table_alone(void **state)
{
    static const FailpointId POINTS[] = {FP_DELTA_CHECKPOINT_BEFORE_WRITE, FP_DELTA_CHECKPOINT_AFTER_WRITE,
                                         FP_DELTA_CHECKPOINT_AFTER_PUBLISH, FP_DELTA_CHECKPOINT_AFTER_HINT};
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *s;
    int64_t files, bytes;

    commit_with(f, 0, LOG_PROTOCOL, "\"delta.checkpointInterval\":\"2\"", "");
    for (int i = 1; i <= 10; i++) {
        failpoint_reset();
        failpoint_arm(POINTS[i % 4], FAILPOINT_ERROR, 1);
        append(f, i);
        failpoint_reset();
        log_fixture_reopen(f);
        assert_ok(delta_table_snapshot(f->table, f->conn, &s, &err));
        assert_ok(delta_snapshot_totals(s, f->conn, &files, &bytes, &err));
        assert_int_equal(files, i);
        delta_snapshot_unref(s);
        assert_int_equal(count_files(f, ".checkpoint-"), 0);
    }
}

static void make_old(LogFixture *f, const char *name)
{
    char path[256];
    struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};

    snprintf(path, sizeof path, "%s/_delta_log/%s", f->dir, name);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

#define INTERVAL_5 "\"delta.checkpointInterval\":\"5\""

/* Twelve commits after the first, f<first> and so on: all old but the last, and nothing cleaned up. */
static void old_log(LogFixture *f, const char *protocol, const char *properties, int first)
{
    char name[64], all[512];

    snprintf(all, sizeof all, "%s,\"delta.enableExpiredLogCleanup\":\"false\"", properties);
    commit_with(f, 0, protocol, all, "");
    for (int i = 0; i < 12; i++) {
        append(f, first + i);
    }
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "%020d.json", i);
        make_old(f, name);
    }
}

static void test_delta_maintain__cleans_up_what_is_old(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    int64_t first, last;

    old_log(f, LOG_PROTOCOL, INTERVAL_5, 1);
    make_old(f, "00000000000000000005.checkpoint.parquet");
    make_old(f, "00000000000000000010.checkpoint.parquet");
    commit_with(f, 13, "", INTERVAL_5, "");
    append(f, 14);
    append(f, 15);
    /* version 10 is the boundary, but version 3 is the newest commit of a flow */
    assert_ok(delta_table_commit_range(f->table, &first, &last, &err));
    assert_int_equal(first, 3);
    assert_int_equal(last, 15);
    log_fixture_reopen(f);
    DeltaSnapshot *s;
    assert_ok(delta_table_snapshot_at(f->table, f->conn, 11, &s, &err));
    delta_snapshot_unref(s);
}

static void test_delta_maintain__cleans_up_to_the_checkpoint(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    int64_t first, last;

    old_log(f, LOG_PROTOCOL, INTERVAL_5, 11);
    commit_with(f, 13, "", INTERVAL_5, "");
    append(f, 24);
    append(f, 25);
    assert_ok(delta_table_commit_range(f->table, &first, &last, &err));
    assert_int_equal(first, 10);
    assert_int_equal(count_files(f, "00000000000000000005"), 0);
    assert_int_equal(count_files(f, "checkpoint.parquet"), 2);
    log_fixture_reopen(f);
    DeltaSnapshot *s;
    assert_ok(delta_table_snapshot_at(f->table, f->conn, 10, &s, &err));
    delta_snapshot_unref(s);
}

static void test_delta_maintain__protected_history_goes_at_once(void **state)
{
    static const struct {
        int before, first;
    } CASES[] = {{12, 0}, {6, 10}};
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    int64_t first, last;
    char properties[256];
    int next = 23;

    old_log(f, LOG_PROTOCOL, INTERVAL_5, 11);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        assert_ok(delta_table_commit_range(f->table, &first, &last, &err));
        snprintf(properties, sizeof properties,
                 "\"delta.checkpointInterval\":\"5\",\"delta.requireCheckpointProtectionBeforeVersion\":\"%d\"",
                 CASES[i].before);
        commit_with(f, (int)last + 1, "", properties, "");
        log_fixture_reopen(f);
        for (int k = 0; k < 5; k++) {
            append(f, next++);
        }
        assert_ok(delta_table_commit_range(f->table, &first, &last, &err));
        assert_int_equal(first, CASES[i].first);
    }
}

#define V2_PROPERTIES \
    "\"delta.checkpointPolicy\":\"v2\",\"freshet.checkpoint.partSize\":\"1\",\"delta.checkpointInterval\":\"5\""

static void test_delta_maintain__sidecars_go_with_their_checkpoints(void **state)
{
    LogFixture *f = *state;
    char path[128], name[512];
    struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    size_t left[2] = {0};
    Error err = ERROR_NONE;
    DeltaSnapshot *s;

    old_log(f, LOG_PROTOCOL_V2, V2_PROPERTIES, 11);
    assert_int_equal(count_files(f, "00000000000000000005.checkpoint."), 1);
    snprintf(path, sizeof path, "%s/_delta_log/_sidecars", f->dir);
    DIR *dir = opendir(path);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        assert_int_equal(utimensat(AT_FDCWD, name, times, 0), 0);
    }
    closedir(dir);
    commit_with(f, 13, "", V2_PROPERTIES, "");
    append(f, 24);
    append(f, 25);
    dir = opendir(path);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        left[0] += str_starts(entry->d_name, "00000000000000000005.");
        left[1] += str_starts(entry->d_name, "00000000000000000010.");
    }
    closedir(dir);
    assert_int_equal(left[0], 0);
    assert_true(left[1] > 0);
    assert_int_equal(count_files(f, "00000000000000000015.checkpoint.parquet"), 1); /* for readers without v2 */
    log_fixture_reopen(f);
    assert_ok(delta_table_snapshot_at(f->table, f->conn, 12, &s, &err));
    delta_snapshot_unref(s);
}

static void test_delta_maintain__compacts_where_checkpoints_are_rare(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *s;
    int64_t version;

    commit_with(f, 0, LOG_PROTOCOL, "\"delta.checkpointInterval\":\"100\",\"freshet.log.compactionInterval\":\"4\"",
                LOG_ADD("a"));
    for (int i = 1; i <= 4; i++) {
        append(f, i);
    }
    log_fixture_reopen(f);
    for (int i = 5; i <= 9; i++) {
        append(f, i);
    }
    assert_int_equal(count_files(f, "compacted.json"), 2);
    assert_int_equal(count_files(f, "00000000000000000001.00000000000000000004.compacted.json"), 1);
    assert_int_equal(count_files(f, "00000000000000000005.00000000000000000008.compacted.json"), 1);
    log_fixture_write(f, "_delta_log/00000000000000000002.json", LOG_ADD("nobody looks here"));
    log_fixture_reopen(f);
    assert_newest(f, "9: a f001 f002 f003 f004 f005 f006 f007 f008 f009");
    assert_ok(delta_table_snapshot(f->table, f->conn, &s, &err));
    assert_true(delta_snapshot_txn(s, "idle", &version));
    assert_int_equal(version, 1);
    delta_snapshot_unref(s);
}

int main(void)
{
#define WITH_TABLE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_TABLE(test_delta_checkpoint__keeps_everything),
        WITH_TABLE(test_delta_checkpoint__of_an_empty_table),
        WITH_TABLE(test_delta_checkpoint__v2_by_policy),
        WITH_TABLE(test_delta_checkpoint__statistics_as_struct),
        WITH_TABLE(test_delta_checkpoint__tombstones_expire),
        WITH_TABLE(test_delta_checkpoint__damage_falls_back),
        WITH_TABLE(test_delta_checkpoint__multi_part_only_when_complete),
        WITH_TABLE(test_delta_checkpoint__json_manifest_and_compaction),
        WITH_TABLE(test_delta_maintain__checkpoints_at_the_interval),
        WITH_TABLE(test_delta_maintain__failures_leave_the_table_alone),
        WITH_TABLE(test_delta_maintain__cleans_up_what_is_old),
        WITH_TABLE(test_delta_maintain__cleans_up_to_the_checkpoint),
        WITH_TABLE(test_delta_maintain__protected_history_goes_at_once),
        WITH_TABLE(test_delta_maintain__sidecars_go_with_their_checkpoints),
        WITH_TABLE(test_delta_maintain__compacts_where_checkpoints_are_rare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
