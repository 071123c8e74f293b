/* Many writers of one table, as threads and as processes. */
#include "delta_commits.h"

#include <pthread.h>
#include <sys/wait.h>

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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delta_transaction__processes_lose_nothing),
        WITH_TABLE(test_delta_transaction__threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
