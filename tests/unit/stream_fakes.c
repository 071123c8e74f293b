#include "unit.h"

#include <limits.h>
#include <unistd.h>

#include "base/mem.h"
#include "stream_fakes.h"

typedef struct FakeSource {
    StreamSource base;
    FakeWorld *world;
    bool grown;
    int64_t frozen; /* -1: not */
} FakeSource;

typedef struct FakeSink {
    StreamSink base;
    FakeWorld *world;
} FakeSink;

/* ---- source ---- */

static int64_t number_of(const char *offset)
{
    long long n = 0;

    return offset && sscanf(offset, "{\"n\":%lld}", &n) == 1 ? n : 0;
}

static Status fake_schema(StreamSource *base, DuckConn *conn, DeltaSchema **out, Error *err)
{
    static const DeltaType LONG = {.id = DELTA_LONG}, STRING = {.id = DELTA_STRING};
    FakeSource *source = (FakeSource *)base;
    (void)conn;
    (void)err;

    if (!source->world->has_schema) {
        *out = NULL;
        return OK;
    }
    DeltaSchemaBuilder *builder = delta_schema_builder_new(NULL);
    delta_schema_builder_add(builder, "n", &LONG, true, NULL);
    if (source->grown) {
        delta_schema_builder_add(builder, "extra", &STRING, true, NULL);
    }
    *out = delta_schema_builder_finish(builder);
    return OK;
}

static Status fake_latest(StreamSource *base, DuckConn *conn, const char *start, bool unlimited, char **end,
                          bool *schema_changed, Error *err)
{
    FakeSource *source = (FakeSource *)base;
    FakeWorld *world = source->world;
    int64_t from = number_of(start), to = source->frozen >= 0 ? source->frozen : world->available;
    char text[64];
    (void)conn;
    (void)err;

    to = !unlimited && to > from + world->per_batch ? from + world->per_batch : to;
    if (world->grows && !source->grown && to > world->grows_at) {
        if (from == world->grows_at) {
            source->grown = true;
            *schema_changed = true;
            return OK;
        }
        to = world->grows_at;
    }
    snprintf(text, sizeof text, "{\"n\":%lld}", (long long)to);
    *end = to > from ? mem_strdup(text) : NULL;
    return OK;
}

static Status fake_relation(StreamSource *base, DuckConn *conn, const char *start, const char *end, StreamRelation *out,
                            Error *err)
{
    FakeSource *source = (FakeSource *)base;
    Text sql = TEXT(4096);
    (void)conn;

    if (number_of(start) < source->world->committed) {
        return error_set(err, E_SOURCE_DATA_LOSS, "the source gave up %lld, and is asked for %lld",
                         (long long)source->world->committed, (long long)number_of(start));
    }
    text_printf(&sql, "SELECT n%s FROM range(%lld::BIGINT, %lld::BIGINT) AS r(n)",
                source->grown ? ", 'x' AS extra" : "", (long long)number_of(start), (long long)number_of(end));
    *out = (StreamRelation){.sql = text_take(&sql), .rows = number_of(end) - number_of(start), .files = 1, .bytes = 8};
    return OK;
}

static Status fake_commit(StreamSource *base, const char *end, Error *err)
{
    FakeSource *source = (FakeSource *)base;
    (void)err;

    source->world->committed = number_of(end);
    return OK;
}

static Status fake_freeze(StreamSource *base, DuckConn *conn, const char *start, Error *err)
{
    FakeSource *source = (FakeSource *)base;
    (void)conn;
    (void)start;
    (void)err;

    source->frozen = source->world->available;
    return OK;
}

static int fake_wake_fd(StreamSource *base)
{
    return ((FakeSource *)base)->world->wake_fd;
}

static void fake_wake_clear(StreamSource *base)
{
    uint64_t value = 0;

    if (((FakeSource *)base)->world->wake_fd >= 0) {
        (void)!read(((FakeSource *)base)->world->wake_fd, &value, sizeof value);
    }
}

static void fake_describe(StreamSource *base, Text *out)
{
    (void)base;
    text_append(out, "FakeSource[]");
}

static void fake_close(StreamSource *base)
{
    mem_free(base);
}

static const StreamSourceOps SOURCE_OPS = {
    .kind = "fake",
    .schema = fake_schema,
    .latest = fake_latest,
    .relation = fake_relation,
    .commit = fake_commit,
    .freeze = fake_freeze,
    .wake_fd = fake_wake_fd,
    .wake_clear = fake_wake_clear,
    .describe = fake_describe,
    .identity = fake_describe,
    .close = fake_close,
};

StreamSource *fake_source_new(FakeWorld *world)
{
    FakeSource *source = mem_alloc(sizeof *source);

    source->base.ops = &SOURCE_OPS;
    source->world = world;
    source->frozen = -1;
    return &source->base;
}

/* ---- sink ---- */

static Status fake_prepare(StreamSink *base, DuckConn *conn, const DuckColumnInfo *columns, size_t n, Error *err)
{
    FakeSink *sink = (FakeSink *)base;
    Text sql = TEXT(65536);
    Status rc = OK;

    text_append(&sql, "CREATE TABLE IF NOT EXISTS target (");
    for (size_t i = 0; i < n; i++) {
        text_append(&sql, i ? ", " : "");
        text_append_sql_name(&sql, columns[i].name);
        text_append(&sql, " ");
        duck_type_sql(columns[i].type, &sql);
    }
    text_append(&sql, "); CREATE TABLE IF NOT EXISTS seen (id VARCHAR, batch BIGINT, facts VARCHAR)");
    TRY(duck_exec(conn, text_str(&sql), err));
    for (size_t i = 0; i < n; i++) {
        text_clear(&sql);
        text_append(&sql, "ALTER TABLE target ADD COLUMN IF NOT EXISTS ");
        text_append_sql_name(&sql, columns[i].name);
        text_append(&sql, " ");
        duck_type_sql(columns[i].type, &sql);
        TRY(duck_exec(conn, text_str(&sql), err));
    }
    sink->world->creations++;
out:
    text_free(&sql);
    return rc;
}

static Status fake_last_batch(StreamSink *base, DuckConn *conn, const char *query_id, int64_t *batch, char **json,
                              Error *err)
{
    DuckResult *result = NULL;
    bool more = false;
    Status rc = OK;
    (void)base;

    *batch = -1;
    *json = NULL;
    TRY(duck_exec(conn, "CREATE TABLE IF NOT EXISTS seen (id VARCHAR, batch BIGINT, facts VARCHAR)", err));
    TRY(duck_query_params(conn, "SELECT batch, facts FROM seen WHERE id = $1 ORDER BY batch DESC LIMIT 1", &query_id, 1,
                          &result, err));
    TRY(duck_result_next(result, &more, err));
    if (more) {
        *batch = duck_result_i64(result, 0);
        *json = duck_result_text_dup(result, 1);
    }
out:
    duck_result_free(result);
    return rc;
}

static Status count(DuckConn *conn, const char *sql, int64_t *out, Error *err)
{
    DuckResult *result = NULL;
    bool more = false;
    Status rc = OK;

    TRY(duck_query(conn, sql, &result, err));
    TRY(duck_result_next(result, &more, err));
    *out = more ? duck_result_i64(result, 0) : -1;
out:
    duck_result_free(result);
    return rc;
}

static Status fake_write(StreamSink *base, DuckConn *conn, const StreamSinkBatch *batch, StreamSinkResult *result,
                         Error *err)
{
    char *json = NULL;
    int64_t last = -1, rows = 0, version = 0;
    Status rc = OK;

    TRY(fake_last_batch(base, conn, batch->query_id, &last, &json, err));
    if (last >= batch->batch) {
        *result = (StreamSinkResult){.version = -1, .duplicate = true};
        goto out;
    }
    TRY(duck_exec(conn, "BEGIN", err));
    TRY(duck_execf(conn, err, "CREATE OR REPLACE TEMP TABLE produced AS %s", batch->query));
    TRY(count(conn, "SELECT count(*) FROM produced", &rows, err));
    TRY(batch->verify(batch->verify_context, err));
    if (rows > 0) {
        TRY(duck_exec(conn, "INSERT INTO target BY NAME SELECT * FROM produced", err));
        TRY(duck_execf(conn, err, "INSERT INTO seen VALUES ('%s', %lld, '%s')", batch->query_id,
                       (long long)batch->batch, batch->freshet_json));
    }
    TRY(duck_exec(conn, "COMMIT", err));
    TRY(count(conn, "SELECT count(*) FROM seen", &version, err));
    *result = (StreamSinkResult){.rows = rows, .files = 1, .version = rows > 0 ? version : -1};
out:
    if (rc != OK) {
        duck_exec(conn, "ROLLBACK", NULL);
    }
    mem_free(json);
    return rc;
}

static void fake_sink_describe(StreamSink *base, Text *out)
{
    (void)base;
    text_append(out, "FakeSink[]");
}

static void fake_sink_close(StreamSink *base)
{
    mem_free(base);
}

static const StreamSinkOps SINK_OPS = {
    .kind = "fake",
    .prepare = fake_prepare,
    .last_batch = fake_last_batch,
    .write = fake_write,
    .describe = fake_sink_describe,
    .close = fake_sink_close,
};

StreamSink *fake_sink_new(FakeWorld *world)
{
    FakeSink *sink = mem_alloc(sizeof *sink);

    sink->base.ops = &SINK_OPS;
    sink->world = world;
    return &sink->base;
}

/* ---- the world ---- */

static Duck *shared_duck;

int fakes_up(void **state)
{
    DuckConfig config = {.threads = 2, .memory_limit_bytes = 256 << 20};
    (void)state;

    return duck_open(&config, &shared_duck, NULL) == OK ? 0 : -1;
}

int fakes_down(void **state)
{
    (void)state;
    duck_close(shared_duck);
    return 0;
}

void fake_world_open(FakeWorld *world, const char *checkpoint_uri)
{
    Error err = ERROR_NONE;

    *world = (FakeWorld){.duck = shared_duck, .per_batch = 10, .has_schema = true, .wake_fd = -1};
    assert_ok(duck_connect(world->duck, &world->conn, &err));
    assert_ok(duck_exec(world->conn, "DROP TABLE IF EXISTS target; DROP TABLE IF EXISTS seen", &err));
    assert_ok(store_open(checkpoint_uri, &world->checkpoint, &err));
}

void fake_world_close(FakeWorld *world)
{
    duck_disconnect(world->conn);
    store_unref(world->checkpoint);
}

int64_t fake_world_ask(FakeWorld *world, const char *sql)
{
    Error err = ERROR_NONE;
    int64_t value = 0;

    assert_ok(count(world->conn, sql, &value, &err));
    return value;
}

Flow *fake_flow_open(FakeWorld *world, const char *query, FlowTriggerKind trigger, const FlowExpectation *rules,
                     size_t n_rules)
{
    FlowInput input = {.placeholder = "freshet_relation_0",
                       .source = fake_source_new(world),
                       .event_column = world->event_time ? "ts" : NULL,
                       .event_expression = world->event_time,
                       .delay_us = world->delay_us};
    FlowSpec spec = {
        .name = "f",
        .duck = world->duck,
        .checkpoint = world->checkpoint,
        .inputs = &input,
        .n_inputs = 1,
        .query = query ? query : "SELECT * FROM freshet_relation_0",
        .plan = world->plan,
        .max_ahead_us = world->max_ahead_us,
        .sink = fake_sink_new(world),
        .trigger = {.kind = trigger},
        .target_id = "target",
        .retain_batches = 3,
        .retry_first_ms = 1,
        .expectations = rules,
        .n_expectations = n_rules,
    };
    Flow *flow = NULL;
    Error err = ERROR_NONE;

    if (flow_open(&spec, &flow, &err) != OK) {
        spec.sink->ops->close(spec.sink);
        input.source->ops->close(input.source);
        return NULL;
    }
    return flow;
}

/* ---- failures ---- */

static void stop_retrying(void *context, Flow *flow, const Error *err, int64_t delay_ms)
{
    (void)context;
    (void)err;
    (void)delay_ms;
    flow_stop(flow, false);
}

bool fake_flow_run(Flow *flow, bool restart)
{
    FlowObserver observer = {.retrying = stop_retrying};
    Error err = ERROR_NONE;

    if (!flow) { /* opening may be what failed */
        return false;
    }
    Status rc = flow_run(flow, restart ? &observer : NULL, &err);
    flow_close(flow);
    return rc == OK;
}

void fake_attempts(const FakeFailure *failure, FakeAttempt attempt, void *context)
{
    for (int tries = 0; tries < 4; tries++) {
        int hits = failpoint_hits(failure->point);
        bool ok = attempt(context, failure->restart);
        bool failed = hits < failure->hit && failpoint_hits(failure->point) >= failure->hit;
        if (ok && !failed) {
            return;
        }
    }
    fail_msg("%s, hit %d: no attempt ended well", failpoint_name(failure->point), failure->hit);
}

static int sweep_point(const FakeSweep *sweep, FailpointId point, size_t n_hits, int passes)
{
    int survived = 0;

    for (size_t i = 0; i < n_hits && sweep->hits[i] <= passes; i++) {
        for (int restart = 0; restart < 2; restart++) {
            if (!sweep->both && restart == (int)(i % 2)) {
                continue;
            }
            FakeFailure failure = {.point = point, .hit = sweep->hits[i], .restart = restart == 1};
            failpoint_reset();
            failpoint_arm(point, FAILPOINT_ERROR, failure.hit);
            sweep->play(&failure);
            assert_true(failpoint_hits(point) >= failure.hit);
            survived++;
        }
    }
    return survived;
}

int fake_sweep(const FakeSweep *sweep)
{
    const FakeFailure none = {.hit = INT_MAX};
    int passes[FAILPOINT_COUNT], survived = 0;

    failpoint_reset();
    sweep->play(&none);
    for (int id = 0; id < FAILPOINT_COUNT; id++) {
        passes[id] = failpoint_hits((FailpointId)id);
    }
    for (int id = 0; id < FAILPOINT_COUNT; id++) {
        const char *name = failpoint_name((FailpointId)id);
        size_t n_hits = sweep->hits_of ? sweep->hits_of(name) : sweep->n_hits;
        if (n_hits > 0 && passes[id] == 0 && sweep->hits_of) {
            fail_msg("%s is never passed", name);
        }
        survived += sweep_point(sweep, (FailpointId)id, n_hits, passes[id]);
    }
    failpoint_reset();
    print_message("%d failures survived\n", survived);
    return survived;
}
