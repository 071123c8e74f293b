#include "unit.h"

#include <unistd.h>

#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "stream/checkpoint.h"
#include "stream/recovery.h"

static Store *fresh_store(void)
{
    static int count;
    char uri[64];
    Store *store = NULL;
    Error err = ERROR_NONE;

    snprintf(uri, sizeof uri, "memory://checkpoint-%d", ++count);
    assert_ok(store_open(uri, &store, &err));
    return store;
}

static void put(Store *store, const char *key, const char *text)
{
    Error err = ERROR_NONE;

    assert_ok(store_put(store, key, text, strlen(text), &err));
}

/* ---- files ---- */

static const char SPARK_OFFSETS[] =
    "v1\n{\"batchWatermarkMs\":0,\"batchTimestampMs\":1700000000000,\"conf\":{\"spark.sql.shuffle.partitions\":"
    "\"200\"}}\n{\"sourceVersion\":1,\"reservoirId\":\"r\",\"reservoirVersion\":3,\"index\":-1,"
    "\"isStartingVersion\":false}\n-";

static void test_stream_checkpoint__offsets_round_trip(void **state)
{
    OffsetsEntry *entry = NULL;
    Text again = TEXT(1 << 20);
    Error err = ERROR_NONE;
    (void)state;

    assert_ok(offsets_entry_parse(SPARK_OFFSETS, strlen(SPARK_OFFSETS), "offsets/4", 4, &entry, &err));
    assert_int_equal(entry->batch, 4);
    assert_int_equal(entry->time_ms, 1700000000000);
    assert_int_equal(entry->n_ends, 2);
    assert_null(entry->ends[1]);
    assert_ok(offsets_entry_write(entry, &again, &err));
    assert_string_equal(text_str(&again), SPARK_OFFSETS);
    offsets_entry_free(entry);
    text_free(&again);
}

static void test_stream_checkpoint__refuses_bad_files(void **state)
{
    static const char *const BAD[] = {
        "",
        "v1",
        "v2\n{}\n",
        "v1\n",
        "v1\n{\n-",
        "v1\n[]\n-",
        "v1\n{\"batchTimestampMs\":\"x\"}\n-",
        "v1\n{\"batchTimestampMs\":1}\nnot json",
    };
    OffsetsEntry *entry = NULL;
    CommitsEntry *commit = NULL;
    Error err = ERROR_NONE;
    (void)state;

    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_error(offsets_entry_parse(BAD[i], strlen(BAD[i]), "offsets/0", 0, &entry, &err), E_STREAM_CHECKPOINT);
    }
    assert_error(commits_entry_parse("", 0, "commits/0", 0, &commit, &err), E_STREAM_CHECKPOINT);
    assert_error(commits_entry_parse("v9\n{}", 5, "commits/0", 0, &commit, &err), E_STREAM_CHECKPOINT);
}

static void test_stream_checkpoint__commits_of_spark_and_ours(void **state)
{
    CommitsEntry *entry = NULL;
    Text text = TEXT(1 << 20);
    Error err = ERROR_NONE;
    (void)state;

    assert_ok(commits_entry_parse("v1\n{}", 5, "commits/0", 0, &entry, &err));
    assert_int_equal(entry->next_watermark_ms, 0);
    assert_null(entry->freshet);
    commits_entry_free(entry);
    commits_entry_write(7, "{\"batch\":3}", &text);
    assert_string_equal(text_str(&text), "v1\n{\"nextBatchWatermarkMs\":7,\"freshet\":{\"batch\":3}}");
    assert_ok(commits_entry_parse(text_str(&text), text.length, "commits/3", 3, &entry, &err));
    assert_int_equal(entry->next_watermark_ms, 7);
    assert_non_null(entry->freshet);
    commits_entry_free(entry);
    text_free(&text);
}

/* ---- the folder ---- */

static void test_stream_checkpoint__id_is_made_once(void **state)
{
    Store *store = fresh_store();
    Checkpoint *a = NULL, *b = NULL;
    Error err = ERROR_NONE;
    (void)state;

    assert_ok(checkpoint_open(store, "f", &a, &err));
    assert_int_equal(strlen(checkpoint_query_id(a)), 36);
    assert_ok(checkpoint_open(store, "f", &b, &err));
    assert_string_equal(checkpoint_query_id(a), checkpoint_query_id(b));
    checkpoint_close(a);
    checkpoint_close(b);
    store_unref(store);
}

static void test_stream_checkpoint__refuses_lost_metadata(void **state)
{
    Store *store = fresh_store();
    Checkpoint *checkpoint = NULL;
    Error err = ERROR_NONE;
    (void)state;

    put(store, "offsets/0", SPARK_OFFSETS);
    assert_error(checkpoint_open(store, "f", &checkpoint, &err), E_STREAM_CHECKPOINT);
    put(store, "metadata", "");
    assert_error(checkpoint_open(store, "f", &checkpoint, &err), E_STREAM_CHECKPOINT);
    store_unref(store);
}

static void test_stream_checkpoint__one_runner(void **state)
{
    char folder[] = "/tmp/freshet-lock-XXXXXX";
    Store *store = NULL;
    Checkpoint *a = NULL, *b = NULL;
    Error err = ERROR_NONE;
    (void)state;

    assert_non_null(mkdtemp(folder));
    assert_ok(store_open(folder, &store, &err));
    assert_ok(checkpoint_open(store, "f", &a, &err));
    assert_int_not_equal(checkpoint_open(store, "f", &b, &err), OK);
    assert_int_equal(err.id, E_STREAM_LOCKED);
    assert_contains(err.message, "process ");
    error_clear(&err);
    checkpoint_close(a);
    assert_ok(checkpoint_open(store, "f", &b, &err));
    checkpoint_close(b);
    store_unref(store);
    assert_ok(file_remove_tree(folder, &err));
}

static void test_stream_checkpoint__belongs_to_its_flow(void **state)
{
    static const char *const ONE[] = {"delta:/a"}, *const OTHER[] = {"delta:/b"},
                             *const TWO[] = {"delta:/a", "delta:/b"};
    Store *store = fresh_store();
    Checkpoint *checkpoint = NULL;
    Error err = ERROR_NONE;
    (void)state;

    assert_ok(checkpoint_open(store, "f", &checkpoint, &err));
    assert_ok(checkpoint_bind(checkpoint, "f", "t", ONE, 1, &err));
    assert_ok(checkpoint_bind(checkpoint, "f", "t", ONE, 1, &err));
    assert_error(checkpoint_bind(checkpoint, "g", "t", ONE, 1, &err), E_STREAM_FOREIGN);
    assert_error(checkpoint_bind(checkpoint, "f", "u", ONE, 1, &err), E_STREAM_FOREIGN);
    assert_error(checkpoint_bind(checkpoint, "f", "t", TWO, 2, &err), E_STREAM_FOREIGN);
    assert_int_not_equal(checkpoint_bind(checkpoint, "f", "t", OTHER, 1, &err), OK);
    assert_contains(err.message, "delta:/a");
    assert_contains(err.message, "delta:/b");
    checkpoint_close(checkpoint);
    store_unref(store);
}

static void test_stream_checkpoint__reads_back(void **state)
{
    Store *store = fresh_store();
    Checkpoint *checkpoint = NULL;
    CheckpointState found;
    Error err = ERROR_NONE;
    (void)state;

    assert_ok(checkpoint_open(store, "f", &checkpoint, &err));
    put(store, "offsets/9", SPARK_OFFSETS);
    put(store, "offsets/10", SPARK_OFFSETS);
    put(store, "offsets/.11.abc.tmp", "torn");
    put(store, "offsets/11.crc", "x");
    put(store, "commits/9", "v1\n{\"nextBatchWatermarkMs\":0}");
    assert_ok(checkpoint_load(checkpoint, 2, &found, &err));
    assert_int_equal(found.offsets_last, 10);
    assert_int_equal(found.commits_last, 9);
    assert_int_equal(found.oldest, 9);
    assert_int_equal(found.before->batch, 9);
    checkpoint_state_clear(&found);
    assert_error(checkpoint_load(checkpoint, 1, &found, &err), E_STREAM_FOREIGN);
    put(store, "offsets/12", SPARK_OFFSETS);
    assert_error(checkpoint_load(checkpoint, 2, &found, &err), E_STREAM_CHECKPOINT);
    checkpoint_close(checkpoint);
    store_unref(store);
}

static void test_stream_checkpoint__taken_name_is_another_runner(void **state)
{
    Store *store = fresh_store();
    Checkpoint *checkpoint = NULL;
    OffsetsEntry entry = {.batch = 0};
    Error err = ERROR_NONE;
    (void)state;

    assert_ok(checkpoint_open(store, "f", &checkpoint, &err));
    assert_ok(checkpoint_put_offsets(checkpoint, &entry, &err));
    assert_error(checkpoint_put_offsets(checkpoint, &entry, &err), E_STREAM_LOCKED);
    checkpoint_close(checkpoint);
    store_unref(store);
}

/* ---- recovery ---- */

typedef struct RecoveryCase {
    int64_t offsets, commits, target, committed; /* committed: what commits/C says; -2: Spark wrote it */
    int expect;                                  /* RecoveryAction, or -ErrorId */
} RecoveryCase;

static CommitsEntry *a_commit(int64_t committed)
{
    CommitsEntry *commit = mem_alloc(sizeof *commit);

    if (committed > -2) {
        commit->freshet = json_object();
        json_put_i64(commit->freshet, "committed", committed);
    }
    return commit;
}

static OffsetsEntry *an_entry(int64_t batch)
{
    OffsetsEntry *entry = mem_alloc(sizeof *entry);

    entry->batch = batch;
    entry->n_ends = 1;
    entry->ends = mem_alloc(sizeof *entry->ends);
    entry->ends[0] = mem_strdup("{\"v\":1,\"index\":2}");
    return entry;
}

static void test_stream_recovery__every_case(void **state)
{
    static const RecoveryCase CASES[] = {
        {-1, -1, -1, -1, RECOVERY_NEXT},       /* new */
        {-1, -1, 0, -1, -E_STREAM_AHEAD},      /* the checkpoint was deleted inside */
        {-1, 0, -1, -1, -E_STREAM_CHECKPOINT}, /* commits without offsets */
        {3, 4, 4, 4, -E_STREAM_CHECKPOINT},    /* the same, later */
        {0, -1, -1, -1, RECOVERY_RERUN},       /* batch 0 was logged */
        {0, -1, 0, -1, RECOVERY_LOG_COMMIT},   /* batch 0 was committed */
        {5, 5, 5, 5, RECOVERY_NEXT},           /* a clean end */
        {5, 5, 3, 3, RECOVERY_NEXT},           /* batches 4 and 5 had no rows */
        {5, 5, 3, 4, -E_STREAM_FOREIGN},       /* the table lost batch 4 */
        {5, 5, -1, 5, -E_STREAM_FOREIGN},      /* the table was replaced */
        {5, 5, -1, -2, RECOVERY_NEXT},         /* Spark's, into a sink that keeps no record */
        {5, 5, 6, 5, -E_STREAM_AHEAD},         /* an older checkpoint */
        {6, 5, 5, 5, RECOVERY_RERUN},          /* logged, not committed */
        {6, 5, 2, 2, RECOVERY_RERUN},          /* the same after batches without rows */
        {6, 5, 6, 5, RECOVERY_LOG_COMMIT},     /* committed, not logged */
        {6, 5, 7, 5, -E_STREAM_AHEAD},         /* an older checkpoint */
        {6, 5, 2, 4, -E_STREAM_FOREIGN},       /* the table lost batch 4 */
        {6, 3, 6, 3, RECOVERY_LOG_COMMIT},     /* commits were lost, the table proves them */
        {6, 3, 5, 3, RECOVERY_RERUN},          {6, 3, 4, 3, -E_STREAM_CHECKPOINT}, /* and here it does not */
        {6, -1, -1, -1, -E_STREAM_CHECKPOINT},
    };
    (void)state;

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const RecoveryCase *c = &CASES[i];
        CheckpointState found = {.offsets_last = c->offsets, .commits_last = c->commits};
        RecoveryAction action = RECOVERY_NEXT;
        Error err = ERROR_NONE;

        found.last = c->offsets >= 0 ? an_entry(c->offsets) : NULL;
        found.before = c->offsets > 0 ? an_entry(c->offsets - 1) : NULL;
        found.commit = c->commits >= 0 ? a_commit(c->committed) : NULL;
        Status rc = recovery_decide(&found, c->target, NULL, "the table", &action, &err);
        if ((rc == OK ? (int)action : -(int)err.id) != c->expect) {
            fail_msg("case %zu: %d %s", i, rc == OK ? (int)action : -(int)err.id, err.message);
        }
        if (rc != OK) {
            assert_true(strlen(err.hint) > 0);
        }
        checkpoint_state_clear(&found);
    }
}

static void test_stream_recovery__offsets_must_agree(void **state)
{
    CheckpointState found = {.offsets_last = 1, .commits_last = 0};
    RecoveryAction action = RECOVERY_NEXT;
    Error err = ERROR_NONE;
    (void)state;

    found.last = an_entry(1);
    found.before = an_entry(0);
    found.commit = a_commit(0);
    assert_ok(recovery_decide(&found, 1, "{\"offsets\":[{\"index\":2, \"v\":1}]}", "t", &action, &err));
    assert_int_equal(action, RECOVERY_LOG_COMMIT);
    assert_error(recovery_decide(&found, 1, "{\"offsets\":[{\"index\":3,\"v\":1}]}", "t", &action, &err),
                 E_STREAM_AHEAD);
    assert_error(recovery_decide(&found, 1, "{\"offsets\":[]}", "t", &action, &err), E_STREAM_AHEAD);
    checkpoint_state_clear(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_checkpoint__offsets_round_trip),
        cmocka_unit_test(test_stream_checkpoint__refuses_bad_files),
        cmocka_unit_test(test_stream_checkpoint__commits_of_spark_and_ours),
        cmocka_unit_test(test_stream_checkpoint__id_is_made_once),
        cmocka_unit_test(test_stream_checkpoint__refuses_lost_metadata),
        cmocka_unit_test(test_stream_checkpoint__one_runner),
        cmocka_unit_test(test_stream_checkpoint__belongs_to_its_flow),
        cmocka_unit_test(test_stream_checkpoint__reads_back),
        cmocka_unit_test(test_stream_checkpoint__taken_name_is_another_runner),
        cmocka_unit_test(test_stream_recovery__every_case),
        cmocka_unit_test(test_stream_recovery__offsets_must_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
