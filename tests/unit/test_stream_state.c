#include "unit.h"

#include "base/failpoint.h"
#include "duck_fixture.h"
#include "stream/state.h"

static int stores;

static Store *new_store(bool local)
{
    char uri[128];
    Store *store = NULL;

    if (local) {
        snprintf(uri, sizeof uri, "%s/checkpoint-%d", folder, ++stores);
    } else {
        snprintf(uri, sizeof uri, "memory://state-%d", ++stores);
    }
    must(store_open(uri, &store, &err));
    return store;
}

/* A state of one relation whose columns are those of the SELECT. */
typedef struct Fixture {
    Arena *arena;
    StateRelation relation;
    StateSpec spec;
} Fixture;

static Fixture new_fixture(Store *store, const char *select, size_t n_keys, const char *expires)
{
    Fixture f = {.arena = arena_new()};
    DuckColumnInfo *columns = NULL;

    must(duck_describe(conn, select, f.arena, &columns, &f.relation.n_columns, &err));
    f.relation.name = "groups";
    f.relation.columns = columns;
    f.relation.n_keys = n_keys;
    f.relation.expires = expires;
    f.spec = (StateSpec){.checkpoint = store, .flow = "f", .fingerprint = "count by k", .n_relations = 1};
    return f;
}

static State *open_state(Fixture *f)
{
    State *state = NULL;

    f->spec.relations = &f->relation;
    must(state_open(conn, &f->spec, &state, &err));
    return state;
}

/* One batch: statements over the table, @ is its name. */
static json_t *run_batch(State *state, int64_t batch, const char *statements)
{
    Text sql = TEXT(1 << 20);
    json_t *files = NULL;

    for (const char *c = statements; *c; c++) {
        if (*c == '@') {
            text_append(&sql, state_table(state, 0));
        } else {
            text_append_char(&sql, *c);
        }
    }
    state_begin(state);
    must(duck_exec(conn, text_str(&sql), &err));
    must(state_save(state, conn, batch, &files, &err));
    state_settle(state, batch);
    text_free(&sql);
    return files;
}

static int64_t ask(State *state, const char *what)
{
    Text sql = TEXT(1 << 16);

    text_printf(&sql, "SELECT %s FROM %s", what, state_table(state, 0));
    int64_t value = query_i64(text_str(&sql));
    text_free(&sql);
    return value;
}

/* ---- types ---- */

/* Values that are easily lost, with their type. NULL is tried with each. */
static const struct {
    const char *type, *values;
} VALUES[] = {
    {"BOOLEAN", "true, false"},
    {"TINYINT", "-128, 127"},
    {"SMALLINT", "-32768, 32767"},
    {"INTEGER", "-2147483648, 2147483647"},
    {"BIGINT", "-9223372036854775808, 9223372036854775807"},
    {"HUGEINT", "'-170141183460469231731687303715884105728', '170141183460469231731687303715884105727', '-1', '0', "
                "'18446744073709551615', '18446744073709551616', '-18446744073709551616', '-18446744073709551617'"},
    {"UTINYINT", "0, 255"},
    {"USMALLINT", "0, 65535"},
    {"UINTEGER", "0, 4294967295"},
    {"UBIGINT", "0, 18446744073709551615"},
    {"UHUGEINT", "'0', '340282366920938463463374607431768211455', '18446744073709551616', '18446744073709551615'"},
    {"FLOAT", "'-0', 0, 'nan', 'inf', 1.1, 1e-45"},
    {"DOUBLE", "'-0', 0, 'nan', '-inf', 0.1, 5e-324, 1.7976931348623157e308"},
    {"DECIMAL(4,2)", "-99.99, 0.01"},
    {"DECIMAL(9,2)", "-9999999.99"},
    {"DECIMAL(18,4)", "99999999999999.9999"},
    {"DECIMAL(38,10)", "-9999999999999999999999999999.9999999999"},
    {"VARCHAR", "'', 'a''b', 'ä' || chr(0) || 'z', repeat('x', 5000)"},
    {"BLOB", "'', '\\x00\\xFF'"},
    {"BIT", "'1', '000101011'"},
    {"UUID", "'00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'"},
    {"DATE", "'infinity', '-infinity', '0044-03-15 (BC)', '9999-12-31'"},
    {"TIME", "'00:00:00', '24:00:00', '12:34:56.789012'"},
    {"TIMETZ", "'12:00:00+15:59:59', '01:02:03.000004-01:30'"},
    {"TIMESTAMP", "'infinity', '-infinity', '290309-12-22 (BC) 00:00:00', '2024-02-29 23:59:59.999999'"},
    {"TIMESTAMP_S", "'infinity', '0044-03-15 (BC) 00:00:00'"},
    {"TIMESTAMP_MS", "'-infinity', '2024-02-29 23:59:59.999'"},
    {"TIMESTAMP_NS", "'infinity', '2024-02-29 23:59:59.123456789'"},
    {"TIMESTAMPTZ", "'infinity', '2024-02-29 23:59:59.999999+00'"},
    {"INTERVAL", "INTERVAL '14 months -40 days 25 hours 0.000001 seconds', to_microseconds(-9223372036854775808)"},
    {"ENUM('a', 'b''c')", "'a', 'b''c'"},
    {"JSON", "'{\"a\": [1, 2.50]}', 'null'"},
    {"STRUCT(a INTEGER, \"b c\" HUGEINT)", "{'a': 1, 'b c': -1}, {'a': NULL, 'b c': NULL}"},
    {"STRUCT(s STRUCT(f DOUBLE, i INTERVAL), v VARCHAR)",
     "{'s': NULL, 'v': 'x'}, {'s': {'f': '-0', 'i': NULL}, 'v': ''}"},
    {"INTEGER[]", "[], [1, NULL], [NULL]"},
    {"HUGEINT[][]", "[[1, NULL], NULL, []]"},
    {"INTEGER[3]", "[1, NULL, 3]"},
    {"DOUBLE[2]", "['-0', 'nan']"},
    {"MAP(VARCHAR, INTEGER)", "MAP {}, MAP {'a': 1, 'b': NULL}"},
    {"MAP(INTERVAL, HUGEINT[])", "MAP {INTERVAL '1 month': [1, -1], INTERVAL '1 day': NULL}"},
    {"STRUCT(l STRUCT(x INTEGER[2])[], m MAP(VARCHAR, DATE))", "{'l': [{'x': [1, 2]}, NULL], 'm': MAP {'k': NULL}}"},
};

/* The value's bits where its text would not show them. */
static const char *const SHOW = "CAST(v AS VARCHAR)";

static void round_trip(const char *type, const char *values, bool local)
{
    Store *store = new_store(local);
    Text sql = TEXT(1 << 20);

    text_printf(&sql, "SELECT 1::BIGINT AS k, NULL::%s AS v WHERE false", type);
    Fixture f = new_fixture(store, text_str(&sql), 1, NULL);
    State *state = open_state(&f);
    text_clear(&sql);
    text_printf(&sql,
                "INSERT INTO @ SELECT row_number() OVER (), v, 0 FROM (SELECT unnest([%s]::%s[]) AS v) "
                "UNION ALL SELECT 1000, NULL, 0; "
                "INSERT INTO @ SELECT k + 2000 + 1000 * r, v, 0 FROM @, range(300) AS x(r)",
                values, type);
    json_t *files = run_batch(state, 0, text_str(&sql));
    text_clear(&sql);
    text_printf(&sql, "CREATE OR REPLACE TABLE wanted AS FROM %s", state_table(state, 0));
    must(duck_exec(conn, text_str(&sql), &err));
    state_close(state);

    state = open_state(&f);
    must(state_load(state, conn, files, &err));
    text_clear(&sql);
    const char *bits = strcmp(type, "DOUBLE") == 0 || strcmp(type, "FLOAT") == 0 ? "CAST(CAST(v AS BIT) AS VARCHAR)"
                                                                                 : SHOW;
    text_printf(&sql,
                "SELECT count(*) FROM (SELECT k, %s AS t FROM wanted) AS a FULL JOIN (SELECT k, %s AS t FROM %s) AS b "
                "ON a.k = b.k WHERE a.t IS DISTINCT FROM b.t OR a.k IS NULL OR b.k IS NULL",
                bits, bits, state_table(state, 0));
    int64_t differing = query_i64(text_str(&sql));
    if (differing != 0) {
        fail_msg("%s: %lld values did not come back", type, (long long)differing);
    }
    text_clear(&sql);
    text_printf(&sql,
                "SELECT (SELECT count(*) FROM wanted AS a SEMI JOIN %s AS b ON a.k = b.k AND a.v IS NOT DISTINCT "
                "FROM b.v) - (SELECT count(*) FROM wanted)",
                state_table(state, 0));
    assert_int_equal(query_i64(text_str(&sql)), 0);
    state_close(state);
    json_decref(files);
    arena_free(f.arena);
    text_free(&sql);
    store_unref(store);
}

static void test_stream_state__every_type_round_trips(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
        round_trip(VALUES[i].type, VALUES[i].values, i % 2 == 0);
    }
}

static void test_stream_state__types_without_a_home_are_refused(void **state)
{
    static const char *const SELECTS[] = {"SELECT 1::VARIANT AS v", "SELECT {'a': [1::VARIANT]} AS v",
                                          "SELECT union_value(a := 1) AS v", "SELECT row(1, 2) AS v",
                                          "SELECT '1'::BIGNUM AS v"};
    Store *store = new_store(false);
    State *opened = NULL;
    (void)state;

    for (size_t i = 0; i < sizeof SELECTS / sizeof *SELECTS; i++) {
        Fixture f = new_fixture(store, SELECTS[i], 0, NULL);
        f.spec.relations = &f.relation;
        assert_error(state_open(conn, &f.spec, &opened, &err), E_PIPELINE_STATEFUL);
        arena_free(f.arena);
    }
    store_unref(store);
}

/* ---- batches ---- */

static void test_stream_state__goes_back_to_any_batch(void **state)
{
    Store *store = new_store(true);
    Fixture f = new_fixture(store, "SELECT 1 AS k, 1::BIGINT AS n", 1, NULL);
    State *s = open_state(&f);
    json_t *files[3];
    (void)state;

    must(state_load(s, conn, NULL, &err));
    files[0] = run_batch(s, 0, "INSERT INTO @ VALUES (1, 10, 0), (2, 20, 0), (NULL, 30, 0)");
    files[1] = run_batch(s, 1, "UPDATE @ SET n = 21, _batch = 1 WHERE k = 2");
    state_begin(s);
    must(state_delete(s, conn, 0, "SELECT NULL::INTEGER UNION ALL SELECT 7", 2, &err));
    must(state_save(s, conn, 2, &files[2], &err));
    state_settle(s, 2);
    assert_int_equal(ask(s, "sum(n)"), 31);
    StateFigures figures;
    state_figures(s, &figures);
    assert_int_equal(figures.rows, 2);
    assert_int_equal(figures.rows_removed, 1);
    assert_int_equal(figures.rows_updated, 0);

    must(state_load(s, conn, files[0], &err));
    assert_int_equal(ask(s, "sum(n)"), 60);
    must(state_load(s, conn, files[2], &err));
    assert_int_equal(ask(s, "sum(n)"), 31);
    must(state_load(s, conn, files[1], &err));
    assert_int_equal(ask(s, "sum(n)"), 61);
    must(state_load(s, conn, NULL, &err));
    assert_int_equal(ask(s, "count(*)"), 0);
    state_close(s);
    for (int i = 0; i < 3; i++) {
        json_decref(files[i]);
    }
    arena_free(f.arena);
    store_unref(store);
}

static void test_stream_state__a_failed_batch_leaves_no_trace(void **state)
{
    Store *store = new_store(false);
    Fixture f = new_fixture(store, "SELECT 1 AS k, 1::BIGINT AS n", 1, NULL);
    State *s = open_state(&f);
    Text sql = TEXT(4096);
    (void)state;

    json_t *files = run_batch(s, 0, "INSERT INTO @ VALUES (1, 10, 0)");
    state_begin(s);
    text_printf(&sql, "UPDATE %s SET n = 99, _batch = 1", state_table(s, 0));
    must(duck_exec(conn, text_str(&sql), &err));
    must(state_load(s, conn, files, &err));
    assert_int_equal(ask(s, "sum(n)"), 10);
    json_t *again = run_batch(s, 1, "UPDATE @ SET n = 11, _batch = 1");
    must(state_load(s, conn, again, &err));
    assert_int_equal(ask(s, "sum(n)"), 11);
    state_close(s);
    json_decref(files);
    json_decref(again);
    text_free(&sql);
    arena_free(f.arena);
    store_unref(store);
}

/* One batch of chance: keys are added and changed, some are deleted, some expire. */
static json_t *random_batch(State *s, int64_t b, int64_t *expired)
{
    Text sql = TEXT(1 << 16);
    json_t *files = NULL;
    int64_t n = 0;

    state_begin(s);
    if (random_u64() % 8 != 0) {
        text_printf(&sql,
                    "MERGE INTO %s AS t USING (SELECT %u + %u * i AS k, %lld + i AS until, i::INTEGER AS v FROM "
                    "range(5) AS r(i)) AS n ON t.k = n.k WHEN MATCHED THEN UPDATE SET v = t.v + n.v, _batch = %lld "
                    "WHEN NOT MATCHED THEN INSERT VALUES (n.k, n.until, n.v, %lld)",
                    state_table(s, 0), (unsigned)(random_u64() % 50), (unsigned)(random_u64() % 7 + 1),
                    (long long)(*expired + 20), (long long)b, (long long)b);
        must(duck_exec(conn, text_str(&sql), &err));
    }
    if (random_u64() % 3 == 0) {
        text_clear(&sql);
        text_printf(&sql, "SELECT k FROM %s WHERE k %% 5 = %u", state_table(s, 0), (unsigned)(random_u64() % 5));
        must(state_delete(s, conn, 0, text_str(&sql), b, &err));
    }
    if (random_u64() % 4 == 0) {
        *expired += (int64_t)(random_u64() % 12);
        must(state_expire(s, conn, 0, *expired, &n, &err));
    }
    must(state_save(s, conn, b, &files, &err));
    state_settle(s, b);
    text_free(&sql);
    return files;
}

/* Now and then a restart: what is loaded is what was there. */
static void test_stream_state__random_batches_survive_restarts(void **state)
{
    enum { BATCHES = 120 };
    Store *store = new_store(true);
    Fixture f = new_fixture(store, "SELECT 1 AS k, 1::BIGINT AS until, 1 AS v", 1, "until");
    State *s = open_state(&f);
    json_t *files = NULL;
    Text sql = TEXT(1 << 16);
    int64_t expired = 0;
    bool snapshot = false;
    (void)state;

    test_seed();
    for (int64_t b = 0; b < BATCHES; b++) {
        if (random_u64() % 2) {
            must(state_snapshot(s, conn, &err));
        }
        json_decref(files);
        files = random_batch(s, b, &expired);
        text_clear(&sql);
        must(json_dump_text(files, &sql, &err));
        snapshot = snapshot || strstr(text_str(&sql), "\"level\":-1,") != NULL;
        if (random_u64() % 6 != 0) {
            continue;
        }
        text_clear(&sql);
        text_printf(&sql, "CREATE OR REPLACE TABLE wanted AS FROM %s", state_table(s, 0));
        must(duck_exec(conn, text_str(&sql), &err));
        state_close(s);
        s = open_state(&f);
        must(state_load(s, conn, files, &err));
        text_clear(&sql);
        text_printf(&sql,
                    "SELECT (SELECT count(*) FROM (FROM %s EXCEPT ALL FROM wanted)) + (SELECT count(*) FROM (FROM "
                    "wanted EXCEPT ALL FROM %s))",
                    state_table(s, 0), state_table(s, 0));
        assert_int_equal(query_i64(text_str(&sql)), 0);
        const json_t *kept[] = {files};
        must(state_purge(s, kept, 1, &err));
    }
    assert_true(snapshot);
    state_close(s);
    json_decref(files);
    text_free(&sql);
    arena_free(f.arena);
    store_unref(store);
}

/* A big relation of which little changes: deltas are merged instead of a snapshot a batch. */
static void test_stream_state__deltas_are_merged(void **state)
{
    Store *store = new_store(false);
    Fixture f = new_fixture(store, "SELECT 1 AS k, 1::BIGINT AS n", 1, NULL);
    State *s = open_state(&f);
    json_t *files = run_batch(s, 0, "INSERT INTO @ SELECT range, random() * 1e18, 0 FROM range(200000)");
    Text sql = TEXT(1 << 16);
    (void)state;

    for (int64_t b = 1; b <= 300; b++) {
        char change[128];
        snprintf(change, sizeof change, "UPDATE @ SET n = 0, _batch = %lld WHERE k = %lld", (long long)b, (long long)b);
        json_decref(files);
        files = run_batch(s, b, change);
    }
    must(json_dump_text(files, &sql, &err));
    assert_contains(text_str(&sql), "\"level\":2,");
    const json_t *groups = json_object_get(json_object_get(files, "relations"), "groups");
    assert_true(json_array_size(json_object_get(groups, "files")) < 48);
    state_close(s);
    s = open_state(&f);
    must(state_load(s, conn, files, &err));
    assert_int_equal(ask(s, "count(*)"), 200000);
    assert_int_equal(ask(s, "count(*) FILTER (n = 0 AND k BETWEEN 1 AND 300)"), 300);
    state_close(s);
    json_decref(files);
    text_free(&sql);
    arena_free(f.arena);
    store_unref(store);
}

/* A snapshot between two batches is named by the second; until then the files of the first are the state. */
static void test_stream_state__a_snapshot_between_batches(void **state)
{
    Store *store = new_store(true);
    Fixture f = new_fixture(store, "SELECT 1 AS k, 1::BIGINT AS n", 1, NULL);
    State *s = open_state(&f);
    json_t *before = NULL, *after = NULL;
    (void)state;

    for (int64_t b = 0; b <= 8; b++) {
        char change[128];
        snprintf(change, sizeof change, "INSERT INTO @ SELECT %lld, 0, %lld", (long long)b, (long long)b);
        json_decref(before);
        before = run_batch(s, b, change);
    }
    failpoint_arm(FP_STREAM_STATE_AFTER_FILE, FAILPOINT_ERROR, 0);
    assert_error(state_snapshot(s, conn, &err), E_FAILPOINT);
    failpoint_reset();
    error_clear(&err);
    must(state_snapshot(s, conn, &err));
    must(state_snapshot(s, conn, &err)); /* nothing is due any more */
    after = run_batch(s, 9, "INSERT INTO @ SELECT 9, 0, 9; UPDATE @ SET n = 1, _batch = 9 WHERE k = 3");
    const json_t *list = json_object_get(json_object_get(json_object_get(after, "relations"), "groups"), "files");
    assert_int_equal(json_array_size(list), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "last")), 8);
    must(state_load(s, conn, before, &err)); /* as if 9 had not been committed */
    assert_int_equal(ask(s, "count(*)"), 9);
    must(state_load(s, conn, after, &err));
    assert_int_equal(ask(s, "count(*) + 100 * sum(n)"), 110);
    state_close(s);
    json_decref(before);
    json_decref(after);
    arena_free(f.arena);
    store_unref(store);
}

/* ---- what goes wrong ---- */

static void name_of_first(const json_t *files, char *out, size_t n)
{
    const json_t *groups = json_object_get(json_object_get(files, "relations"), "groups");
    const json_t *file = json_array_get(json_object_get(groups, "files"), 0);

    snprintf(out, n, "freshet-state/0/%s", json_string_value(json_object_get(file, "name")));
}

static void test_stream_state__damage_is_found(void **state)
{
    Store *store = new_store(true);
    Fixture f = new_fixture(store, "SELECT 1 AS k, 1::BIGINT AS n", 1, NULL);
    State *s = open_state(&f);
    json_t *files = run_batch(s, 0, "INSERT INTO @ SELECT range, range, 0 FROM range(1000)");
    Text bytes = TEXT(1 << 20);
    char name[256];
    (void)state;

    state_close(s);
    s = open_state(&f);
    name_of_first(files, name, sizeof name);
    must(store_read(store, name, 1 << 20, &bytes, NULL, &err));
    bytes.data[bytes.length / 2] ^= 1;
    must(store_put(store, name, bytes.data, bytes.length, &err));
    assert_error(state_load(s, conn, files, &err), E_STREAM_STATE_DAMAGED);
    must(store_put(store, name, bytes.data, bytes.length - 1, &err));
    assert_error(state_load(s, conn, files, &err), E_STREAM_STATE_DAMAGED);
    must(store_delete(store, name, &err));
    assert_error(state_load(s, conn, files, &err), E_STREAM_STATE_DAMAGED);
    assert_contains(ERROR_DEFS[E_STREAM_STATE_DAMAGED].code, "FR-STREAM-");
    state_close(s);
    text_free(&bytes);
    json_decref(files);
    arena_free(f.arena);
    store_unref(store);
}

static void test_stream_state__another_query_is_told(void **state)
{
    Store *store = new_store(false);
    Fixture f = new_fixture(store, "SELECT 1 AS k, 1::BIGINT AS n", 1, NULL);
    Fixture wider = new_fixture(store, "SELECT 1 AS k, 1::HUGEINT AS n", 1, NULL);
    State *s = open_state(&f);
    State *other = NULL;
    (void)state;

    json_decref(run_batch(s, 0, "INSERT INTO @ VALUES (1, 1, 0)"));
    state_close(s);
    s = open_state(&f);
    state_close(s);
    wider.spec.relations = &wider.relation;
    assert_error(state_open(conn, &wider.spec, &other, &err), E_STREAM_STATE_CHANGED);
    f.spec.fingerprint = "sum by k";
    assert_int_not_equal(state_open(conn, &f.spec, &other, &err), OK);
    assert_contains(err.message, "it is sum by k, the state is of count by k");
    assert_contains(err.hint, "--full-refresh");
    error_clear(&err);
    arena_free(f.arena);
    arena_free(wider.arena);
    store_unref(store);
}

static void test_stream_state__purge_keeps_what_is_named(void **state)
{
    Store *store = new_store(true);
    Fixture f = new_fixture(store, "SELECT 1 AS k, 1::BIGINT AS n", 1, NULL);
    State *s = open_state(&f);
    json_t *first = run_batch(s, 0, "INSERT INTO @ VALUES (1, 1, 0)");
    (void)state;

    failpoint_reset();
    failpoint_arm(FP_STREAM_STATE_AFTER_FILE, FAILPOINT_ERROR, 1);
    json_t *none = NULL;
    state_begin(s);
    Text sql = TEXT(4096);
    text_printf(&sql, "INSERT INTO %s VALUES (2, 2, 1)", state_table(s, 0));
    must(duck_exec(conn, text_str(&sql), &err));
    assert_error(state_save(s, conn, 1, &none, &err), E_FAILPOINT);
    failpoint_reset();
    must(state_load(s, conn, first, &err));
    json_t *second = run_batch(s, 1, "INSERT INTO @ VALUES (2, 2, 1)");
    const json_t *kept[] = {second};
    must(state_purge(s, kept, 1, &err));
    state_close(s);
    s = open_state(&f);
    must(state_load(s, conn, second, &err));
    assert_int_equal(ask(s, "sum(n)"), 3);
    state_close(s);
    text_clear(&sql);
    text_printf(&sql, "SELECT count(*) FROM glob('%s/freshet-state/0/*.parquet')", store_uri(store));
    assert_int_equal(query_i64(text_str(&sql)), 2);
    text_free(&sql);
    json_decref(first);
    json_decref(second);
    arena_free(f.arena);
    store_unref(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_state__every_type_round_trips),
        cmocka_unit_test(test_stream_state__types_without_a_home_are_refused),
        cmocka_unit_test(test_stream_state__goes_back_to_any_batch),
        cmocka_unit_test(test_stream_state__a_failed_batch_leaves_no_trace),
        cmocka_unit_test(test_stream_state__random_batches_survive_restarts),
        cmocka_unit_test(test_stream_state__deltas_are_merged),
        cmocka_unit_test(test_stream_state__a_snapshot_between_batches),
        cmocka_unit_test(test_stream_state__damage_is_found),
        cmocka_unit_test(test_stream_state__another_query_is_told),
        cmocka_unit_test(test_stream_state__purge_keeps_what_is_named),
    };
    return cmocka_run_group_tests(tests, duck_fixture_up, duck_fixture_down);
}
