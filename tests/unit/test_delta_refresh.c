/* What it costs to see what is new: which files of the log are read, counted by a store that stands before the real
 * one. */
#include "delta_fixture.h"

#include "delta/table_int.h"
#include "delta/transaction.h"
#include "store/store_int.h"

typedef struct Watched {
    Store base;
    Store *real;
    int reads, found, lists; /* store_read calls, those that found something, listings of any kind */
} Watched;

static Store *real_of(Store *store)
{
    return ((Watched *)store)->real;
}

static void watched_close(Store *store)
{
    store_unref(real_of(store));
    mem_free(store);
}

static Status watched_read(Store *store, const char *key, size_t max, Text *out, StoreInfo *info, Error *err)
{
    Watched *w = (Watched *)store;
    Status rc = store_read(w->real, key, max, out, info, err);

    w->reads++;
    w->found += rc == OK;
    return rc;
}

static Status watched_info(Store *store, const char *key, StoreInfo *out, Error *err)
{
    return store_info(real_of(store), key, out, err);
}

static Status watched_put(Store *store, const char *key, const void *data, size_t n, unsigned how, Error *err)
{
    return real_of(store)->ops->put(real_of(store), key, data, n, how, err);
}

static Status watched_list(Store *store, const char *dir, const char *start_after, StoreVisit *visit, void *context,
                           Error *err)
{
    ((Watched *)store)->lists++;
    return store_list(real_of(store), dir, start_after, visit, context, err);
}

static Status watched_local_path(Store *store, const char *key, Text *out, Error *err)
{
    return store_local_path(real_of(store), key, out, err);
}

static const StoreOps WATCHED = {
    .close = watched_close,
    .read = watched_read,
    .info = watched_info,
    .put = watched_put,
    .list = watched_list,
    .local_path = watched_local_path,
};

/* Puts itself before the table's store. */
static Watched *watch(DeltaTable *table)
{
    Watched *w = mem_alloc(sizeof *w);

    w->base.ops = &WATCHED;
    atomic_init(&w->base.references, 1);
    w->base.uri = mem_strdup(store_uri(table->store));
    w->real = table->store;
    table->store = &w->base;
    return w;
}

static void forget(Watched *w)
{
    w->reads = w->found = w->lists = 0;
}

static int set_up(void **state)
{
    LogFixture *f = log_fixture_new();

    store_set_fsync(false);
    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA);
    for (int i = 1; i <= 40; i++) {
        log_fixture_commit(f, i, LOG_TXN("a", 1));
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    log_fixture_free(*state);
    store_set_fsync(true);
    return 0;
}

static void test_delta_refresh__reads_the_new_commit_alone(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *s;
    Watched *w = watch(f->table);

    assert_ok(delta_table_snapshot(f->table, f->conn, &s, &err));
    delta_snapshot_unref(s);
    assert_true(w->found >= 41);
    for (int i = 41; i <= 43; i++) {
        forget(w);
        log_fixture_commit(f, i, LOG_ADD("x"));
        assert_ok(delta_table_snapshot(f->table, f->conn, &s, &err));
        assert_int_equal(delta_snapshot_version(s), i);
        delta_snapshot_unref(s);
        assert_int_equal(w->found, 1);
        assert_int_equal(w->reads, 2); /* and one that shows that there are no more */
        assert_int_equal(w->lists, 0);
    }
}

static void test_delta_refresh__reads_nothing_when_nothing_is_new(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *s;
    Watched *w = watch(f->table);

    for (int i = 0; i < 3; i++) {
        assert_ok(delta_table_snapshot(f->table, f->conn, &s, &err));
        delta_snapshot_unref(s);
        assert_int_equal(i == 0 ? 0 : w->found, 0);
        assert_true(i <= 1 || w->lists == 0); /* the first time it makes sure that there is no gap */
        forget(w);
    }
}

static void test_delta_refresh__opens_from_the_checkpoint(void **state)
{
    LogFixture *f = *state;
    Error err = ERROR_NONE;
    DeltaSnapshot *s;

    assert_ok(delta_table_snapshot(f->table, f->conn, &s, &err));
    assert_ok(delta_checkpoint_write(s, f->conn, &err));
    delta_snapshot_unref(s);
    log_fixture_commit(f, 41, LOG_ADD("x"));
    log_fixture_commit(f, 42, LOG_ADD("y"));
    log_fixture_reopen(f);
    Watched *w = watch(f->table);
    assert_ok(delta_table_snapshot(f->table, f->conn, &s, &err));
    assert_int_equal(delta_snapshot_version(s), 42);
    delta_snapshot_unref(s);
    assert_int_equal(w->found, 3); /* the hint and two commits */
    assert_int_equal(w->lists, 1);
}

int main(void)
{
#define WITH_TABLE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_TABLE(test_delta_refresh__reads_the_new_commit_alone),
        WITH_TABLE(test_delta_refresh__reads_nothing_when_nothing_is_new),
        WITH_TABLE(test_delta_refresh__opens_from_the_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
