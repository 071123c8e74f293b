/* What tests of commits share: a table of columns a, p partitioned by p, transactions on it, their text. */
#ifndef FRESHET_TESTS_DELTA_COMMITS_H
#define FRESHET_TESTS_DELTA_COMMITS_H

#include "delta_fixture.h"

#include "base/failpoint.h"
#include "delta/transaction.h"

static inline int commits_set_up(void **state)
{
    *state = log_fixture_new();
    return 0;
}

static inline int commits_tear_down(void **state)
{
    failpoint_reset();
    log_fixture_free(*state);
    return 0;
}

static const char COMMITS_SCHEMA[] =
    "{\"type\":\"struct\",\"fields\":[{\"name\":\"a\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}},"
    "{\"name\":\"p\",\"type\":\"integer\",\"nullable\":true,\"metadata\":{}}]}";

static inline DeltaTransaction *begin(LogFixture *f)
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

static inline void set_schema(DeltaTransaction *txn, const char *json)
{
    Error err = ERROR_NONE;
    DeltaSchema *schema;

    assert_ok(delta_schema_parse(json, &schema, &err));
    assert_ok(delta_transaction_set_schema(txn, schema, &err));
    delta_schema_unref(schema);
}

static inline int64_t commit(DeltaTransaction *txn)
{
    Error err = ERROR_NONE;
    int64_t version = -1;

    assert_ok(delta_transaction_commit(txn, &version, &err));
    delta_transaction_free(txn);
    return version;
}

/* A table of columns a, p partitioned by p. */
static inline void create(LogFixture *f)
{
    Error err = ERROR_NONE;
    DeltaTransaction *txn = begin(f);

    set_schema(txn, COMMITS_SCHEMA);
    assert_ok(delta_transaction_set_partitioning(txn, (const char *const[]){"P"}, 1, &err));
    delta_transaction_operation(txn, "CREATE TABLE");
    assert_int_equal(commit(txn), 0);
}

static inline DeltaFile file_in(const char *path, const char *partition)
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

static inline void add(DeltaTransaction *txn, const char *path, const char *partition)
{
    DeltaFile file = file_in(path, partition);
    delta_transaction_add(txn, &file);
}

static inline void append(LogFixture *f, const char *path, const char *partition)
{
    DeltaTransaction *txn = begin(f);
    add(txn, path, partition);
    commit(txn);
}

static inline void assert_conflict(DeltaTransaction *txn, const char *klass)
{
    Error err = ERROR_NONE;
    int64_t version;

    assert_int_equal(delta_transaction_commit(txn, &version, &err), ERR_CONFLICT);
    assert_string_equal(err.klass, klass);
    delta_transaction_free(txn);
}

static inline char *commit_text(LogFixture *f, int version)
{
    Text text = TEXT(1 << 20);
    Error err = ERROR_NONE;
    char path[256];

    snprintf(path, sizeof path, "%s/_delta_log/%020d.json", f->dir, version);
    assert_ok(file_read(path, 1 << 20, &text, &err));
    return text_take(&text);
}

#define WITH_TABLE(test) cmocka_unit_test_setup_teardown(test, commits_set_up, commits_tear_down)

#endif
