#include "unit.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "delta/table.h"
#include "sink/sinks.h"
#include "source/sources.h"
#include "stream_fakes.h"

static Duck *duck;
static DuckConn *conn;
static char folder[] = "/tmp/freshet-sink-delta-XXXXXX";
static int tables;

typedef struct Case {
    DeltaTable *table;
    StreamSink *sink;
} Case;

static void open_sink(Case *c, const SinkDeltaSpec *spec)
{
    Error err = ERROR_NONE;

    if (c->sink) {
        c->sink->ops->close(c->sink);
    }
    assert_ok(sink_delta_open(c->table, spec, &c->sink, &err));
}

static Case new_case(const SinkDeltaSpec *spec)
{
    Case c = {0};
    char uri[128];
    Error err = ERROR_NONE;

    snprintf(uri, sizeof uri, "%s/%d", folder, ++tables);
    assert_ok(delta_table_open(duck, uri, &c.table, &err));
    open_sink(&c, spec);
    return c;
}

static void close_case(Case *c)
{
    c->sink->ops->close(c->sink);
    delta_table_close(c->table);
}

static Status prepare(Case *c, const char *query, Error *err)
{
    Arena *arena = arena_new();
    DuckColumnInfo *columns = NULL;
    size_t n = 0;
    Status rc = duck_describe(conn, query, arena, &columns, &n, err);

    if (rc == OK) {
        rc = c->sink->ops->prepare(c->sink, conn, columns, n, err);
    }
    arena_free(arena);
    return rc;
}

static Status write_batch(Case *c, const char *id, int64_t batch, const char *query, StreamSinkResult *result,
                          Error *err)
{
    char facts[128];

    snprintf(facts, sizeof facts, "{\"flow\":\"f\",\"batch\":%lld,\"offsets\":[%lld],\"watermark\":0}",
             (long long)batch, (long long)batch);
    StreamSinkBatch input = {.query_id = id, .batch = batch, .query = query, .freshet_json = facts, .has_rows = true};
    return c->sink->ops->write(c->sink, conn, &input, result, err);
}

static DeltaSnapshot *snapshot_of(Case *c)
{
    DeltaSnapshot *snapshot = NULL;
    Error err = ERROR_NONE;

    assert_ok(delta_table_snapshot(c->table, conn, &snapshot, &err));
    return snapshot;
}

static const SinkDeltaSpec PLAIN = {.merge_schema = true, .flow = "f"};

static void test_sink_delta__creates_and_appends_once(void **state)
{
    static const char *const KEYS[] = {"delta.appendOnly"}, *const VALUES[] = {"true"}, *const BY[] = {"p"};
    SinkDeltaSpec spec = {.partition_columns = BY,
                          .n_partition_columns = 1,
                          .property_keys = KEYS,
                          .property_values = VALUES,
                          .n_properties = 1,
                          .comment = "a table",
                          .merge_schema = true,
                          .flow = "f"};
    Case c = new_case(&spec);
    StreamSinkResult result;
    int64_t batch = 0;
    char *json = NULL;
    Error err = ERROR_NONE;
    (void)state;

    assert_ok(c.sink->ops->last_batch(c.sink, conn, "q", &batch, &json, &err));
    assert_int_equal(batch, -1);
    assert_ok(prepare(&c, "SELECT 1::BIGINT AS a, 'x' AS p", &err));
    assert_ok(write_batch(&c, "q", 0, "SELECT i AS a, (i % 2)::VARCHAR AS p FROM range(10) AS t(i)", &result, &err));
    assert_int_equal(result.version, 1);
    assert_int_equal(result.rows, 10);
    assert_int_equal(result.files, 2);
    assert_ok(write_batch(&c, "q", 0, "SELECT 1::BIGINT AS a, 'x' AS p", &result, &err));
    assert_true(result.duplicate);
    assert_ok(write_batch(&c, "q", 1, "SELECT 1::BIGINT AS a, 'x' AS p WHERE false", &result, &err));
    assert_int_equal(result.version, -1); /* no rows, no version */
    assert_ok(c.sink->ops->last_batch(c.sink, conn, "q", &batch, &json, &err));
    assert_int_equal(batch, 0);
    assert_string_equal(json, "{\"flow\":\"f\",\"batch\":0,\"offsets\":[0],\"watermark\":0}");
    mem_free(json);
    assert_ok(c.sink->ops->foreign_batch(c.sink, conn, "f", "q", &batch, &err));
    assert_int_equal(batch, -1);
    assert_ok(c.sink->ops->foreign_batch(c.sink, conn, "f", "another id", &batch, &err));
    assert_int_equal(batch, 0);
    assert_ok(c.sink->ops->foreign_batch(c.sink, conn, "g", "another id", &batch, &err));
    assert_int_equal(batch, -1);
    DeltaSnapshot *snapshot = snapshot_of(&c);
    assert_string_equal(delta_snapshot_property(snapshot, "delta.appendOnly"), "true");
    assert_int_equal(delta_snapshot_version(snapshot), 1);
    delta_snapshot_unref(snapshot);
    close_case(&c);
}

static void test_sink_delta__extends_its_table(void **state)
{
    Case c = new_case(&PLAIN);
    StreamSinkResult result;
    Error err = ERROR_NONE;
    (void)state;

    assert_ok(prepare(&c, "SELECT 1::BIGINT AS a", &err));
    assert_ok(prepare(&c, "SELECT 1::BIGINT AS a, 'x' AS b",
                      &err)); /* fits: the column comes with the first batch that has it */
    DeltaSnapshot *snapshot = snapshot_of(&c);
    assert_int_equal(delta_snapshot_schema(snapshot)->n_fields, 1);
    delta_snapshot_unref(snapshot);
    assert_ok(write_batch(&c, "q", 0, "SELECT 1::BIGINT AS a, 'x' AS b", &result, &err));
    snapshot = snapshot_of(&c);
    assert_int_equal(delta_snapshot_schema(snapshot)->n_fields, 2);
    delta_snapshot_unref(snapshot);
    assert_int_not_equal(prepare(&c, "SELECT 'text' AS a", &err), OK); /* another type */
    close_case(&c);
}

static void test_sink_delta__adopts_what_fits(void **state)
{
    static const char *const BY[] = {"b"};
    static const char *const KEYS[] = {"delta.logRetentionDuration"}, *const VALUES[] = {"interval 7 days"};
    SinkDeltaSpec partitioned = {.partition_columns = BY, .n_partition_columns = 1, .merge_schema = true, .flow = "f"};
    SinkDeltaSpec with_property = {
        .property_keys = KEYS, .property_values = VALUES, .n_properties = 1, .merge_schema = true, .flow = "f"};
    Case c = new_case(&PLAIN);
    Error err = ERROR_NONE;
    (void)state;

    assert_ok(prepare(&c, "SELECT 1::BIGINT AS a, 'x' AS b", &err));
    assert_ok(prepare(&c, "SELECT 1::BIGINT AS a", &err));
    open_sink(&c, &partitioned);
    assert_error(prepare(&c, "SELECT 1::BIGINT AS a, 'x' AS b", &err), E_PIPELINE_CHANGED);
    open_sink(&c, &with_property);
    assert_ok(prepare(&c, "SELECT 1::BIGINT AS a", &err));
    assert_ok(prepare(&c, "SELECT 1::BIGINT AS a", &err)); /* set once */
    DeltaSnapshot *snapshot = snapshot_of(&c);
    assert_int_equal(delta_snapshot_version(snapshot), 1);
    assert_string_equal(delta_snapshot_property(snapshot, "delta.logRetentionDuration"), "interval 7 days");
    delta_snapshot_unref(snapshot);
    close_case(&c);
}

static Status refuse(void *context, Error *err)
{
    (void)context;
    return error_set(err, E_STREAM_EXPECTATION, "no");
}

static void test_sink_delta__verify_comes_before_the_commit(void **state)
{
    Case c = new_case(&PLAIN);
    StreamSinkBatch input = {
        .query_id = "q", .query = "SELECT 1::BIGINT AS a", .freshet_json = "{}", .has_rows = true, .verify = refuse};
    StreamSinkResult result;
    Error err = ERROR_NONE;
    (void)state;

    assert_ok(prepare(&c, "SELECT 1::BIGINT AS a", &err));
    assert_error(c.sink->ops->write(c.sink, conn, &input, &result, &err), E_STREAM_EXPECTATION);
    DeltaSnapshot *snapshot = snapshot_of(&c);
    assert_int_equal(delta_snapshot_version(snapshot), 0);
    delta_snapshot_unref(snapshot);
    close_case(&c);
}

/* ---- two flows, one after the other: numbers -> bronze -> silver ---- */

typedef struct Chain {
    FakeWorld world;
    DeltaTable *bronze, *silver;
    Store *first, *second;
} Chain;

static void open_chain(Chain *chain)
{
    char uri[160];
    Error err = ERROR_NONE;
    int id = ++tables;

    fake_world_open(&chain->world, "memory://unused");
    chain->world.per_batch = 20;
    snprintf(uri, sizeof uri, "%s/%d/bronze", folder, id);
    assert_ok(delta_table_open(chain->world.duck, uri, &chain->bronze, &err));
    snprintf(uri, sizeof uri, "%s/%d/silver", folder, id);
    assert_ok(delta_table_open(chain->world.duck, uri, &chain->silver, &err));
    snprintf(uri, sizeof uri, "%s/%d/c1", folder, id);
    assert_ok(store_open(uri, &chain->first, &err));
    snprintf(uri, sizeof uri, "%s/%d/c2", folder, id);
    assert_ok(store_open(uri, &chain->second, &err));
}

static void close_chain(Chain *chain)
{
    delta_table_close(chain->bronze);
    delta_table_close(chain->silver);
    store_unref(chain->first);
    store_unref(chain->second);
    fake_world_close(&chain->world);
}

static Flow *open_flow(Chain *chain, const char *name, Store *checkpoint, StreamSource *source, DeltaTable *target,
                       const char *query)
{
    Error err = ERROR_NONE;
    FlowInput input = {.placeholder = "freshet_relation_0", .source = source};
    FlowSpec spec = {.name = name,
                     .duck = chain->world.duck,
                     .checkpoint = checkpoint,
                     .inputs = &input,
                     .n_inputs = 1,
                     .query = query,
                     .trigger = {.kind = TRIGGER_AVAILABLE_NOW},
                     .target_id = delta_table_uri(target),
                     .retain_batches = 2,
                     .retry_first_ms = 1};
    Flow *flow = NULL;

    assert_ok(sink_delta_open(target, &PLAIN, &spec.sink, &err));
    if (flow_open(&spec, &flow, &err) != OK) {
        spec.sink->ops->close(spec.sink);
        source->ops->close(source);
    }
    return flow;
}

static bool run_chain(Chain *chain, bool restart)
{
    Error err = ERROR_NONE;
    static const StreamOption LIMIT[] = {{.key = "maxFilesPerTrigger", .value = "1"}};
    StreamSourceContext context = {
        .duck = chain->world.duck, .checkpoint = chain->second, .private_dir = "sources/0", .flow = "silver"};
    StreamSource *source = NULL;

    bool ok = fake_flow_run(open_flow(chain, "bronze", chain->first, fake_source_new(&chain->world), chain->bronze,
                                      "SELECT n, n % 3 AS k FROM freshet_relation_0"),
                            restart);
    assert_ok(source_delta_open(&context, chain->bronze, LIMIT, 1, true, &source, &err));
    return fake_flow_run(open_flow(chain, "silver", chain->second, source, chain->silver,
                                   "SELECT n, 'n' || n AS name FROM freshet_relation_0 WHERE k <> 0"),
                         restart) &&
           ok;
}

/* Counts by DuckDB alone, over the files the log names. */
static void assert_table(Chain *chain, DeltaTable *table, const char *what, int64_t expect)
{
    DeltaSnapshot *snapshot = NULL;
    Text sql = TEXT(1 << 20), files = TEXT(1 << 20);
    Error err = ERROR_NONE;

    assert_ok(delta_table_snapshot(table, chain->world.conn, &snapshot, &err));
    assert_ok(delta_snapshot_files_sql(snapshot, &files, &err));
    text_printf(&sql, "SET VARIABLE fs = (SELECT list('%s/' || path) FROM (%s))", delta_table_uri(table),
                text_str(&files));
    assert_ok(duck_exec(chain->world.conn, text_str(&sql), &err));
    text_clear(&sql);
    text_printf(&sql, "SELECT %s FROM read_parquet(getvariable('fs'))", what);
    assert_int_equal(fake_world_ask(&chain->world, text_str(&sql)), expect);
    delta_snapshot_unref(snapshot);
    text_free(&sql);
    text_free(&files);
}

static void assert_chain(Chain *chain, int64_t n)
{
    int64_t third = (n + 2) / 3;

    assert_table(chain, chain->bronze, "count(*)", n);
    assert_table(chain, chain->bronze, "count(DISTINCT n)", n);
    assert_table(chain, chain->silver, "count(*)", n - third);
    assert_table(chain, chain->silver, "count(DISTINCT n)", n - third);
}

static void test_sink_delta__chain(void **state)
{
    Chain chain;
    (void)state;

    open_chain(&chain);
    chain.world.available = 90;
    assert_true(run_chain(&chain, false));
    assert_chain(&chain, 90);
    chain.world.available = 100;
    assert_true(run_chain(&chain, false));
    assert_chain(&chain, 100);
    close_chain(&chain);
}

static void put_file(Store *store, const char *key, const char *text)
{
    Error err = ERROR_NONE;

    assert_ok(store_put_if_absent(store, key, text, strlen(text), &err));
}

/* A checkpoint as Spark leaves it, after a batch that read the first `version` commits of bronze. */
static void write_spark_checkpoint(Chain *chain, int64_t version)
{
    DeltaSnapshot *snapshot = NULL;
    Text text = TEXT(65536);
    Error err = ERROR_NONE;

    assert_ok(delta_table_snapshot(chain->bronze, chain->world.conn, &snapshot, &err));
    text_printf(
        &text,
        "v1\n{\"batchWatermarkMs\":0,\"batchTimestampMs\":1700000000000,\"conf\":{\"spark.sql.shuffle.partitions\":"
        "\"7\"}}\n{\"sourceVersion\":1,\"reservoirId\":\"%s\",\"reservoirVersion\":%lld,\"index\":-1,"
        "\"isStartingVersion\":false}",
        delta_snapshot_metadata(snapshot)->id, (long long)version + 1);
    put_file(chain->second, "metadata", "{\"id\":\"8a6c7a0e-0000-4000-8000-000000000001\"}");
    put_file(chain->second, "offsets/0", text_str(&text));
    put_file(chain->second, "offsets/.0.crc", "crc");
    put_file(chain->second, "commits/0", "v1\n{\"nextBatchWatermarkMs\":0}");
    delta_snapshot_unref(snapshot);
    text_free(&text);
}

static void test_sink_delta__goes_on_from_a_checkpoint_of_spark(void **state)
{
    Text offsets = TEXT(65536);
    Chain chain;
    Error err = ERROR_NONE;
    (void)state;

    open_chain(&chain);
    chain.world.available = 60; /* commits 1 to 3 of bronze, 20 numbers each */
    fake_flow_run(open_flow(&chain, "bronze", chain.first, fake_source_new(&chain.world), chain.bronze,
                            "SELECT n, n % 3 AS k FROM freshet_relation_0"),
                  false);
    write_spark_checkpoint(&chain, 2);
    assert_true(run_chain(&chain, false));
    assert_table(&chain, chain.silver, "min(n)", 40); /* k <> 0 */
    assert_table(&chain, chain.silver, "count(*)", 14);
    assert_ok(store_read(chain.second, "offsets/1", 65536, &offsets, NULL, &err));
    assert_contains(text_str(&offsets), "\"spark.sql.shuffle.partitions\":\"7\""); /* Spark finds its settings again */
    text_free(&offsets);
    close_chain(&chain);
}

static bool attempt_chain(void *chain, bool restart)
{
    return run_chain(chain, restart);
}

static void play_chain(const FakeFailure *failure)
{
    Chain chain;

    open_chain(&chain);
    for (int round = 0; round < 2; round++) {
        chain.world.available = round == 0 ? 50 : 90;
        fake_attempts(failure, attempt_chain, &chain);
        assert_chain(&chain, chain.world.available);
    }
    close_chain(&chain);
}

static void test_sink_delta__chain_is_exactly_once_at_every_failpoint(void **state)
{
    static const int HITS[] = {1, 4};
    const FakeSweep sweep = {.play = play_chain, .hits = HITS, .n_hits = 2};
    (void)state;

    assert_true(fake_sweep(&sweep) > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sink_delta__creates_and_appends_once),
        cmocka_unit_test(test_sink_delta__extends_its_table),
        cmocka_unit_test(test_sink_delta__adopts_what_fits),
        cmocka_unit_test(test_sink_delta__verify_comes_before_the_commit),
        cmocka_unit_test(test_sink_delta__chain),
        cmocka_unit_test(test_sink_delta__goes_on_from_a_checkpoint_of_spark),
        cmocka_unit_test(test_sink_delta__chain_is_exactly_once_at_every_failpoint),
    };
    DuckConfig config = {.threads = 2};
    Error err = ERROR_NONE;

    log_set_level(LOG_ERROR); /* flows say when they try again */
    store_set_fsync(false);
    if (!mkdtemp(folder) || duck_open(&config, &duck, &err) != OK || duck_connect(duck, &conn, &err) != OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, fakes_up, fakes_down);
    duck_disconnect(conn);
    duck_close(duck);
    file_remove_tree(folder, NULL);
    return failed;
}
