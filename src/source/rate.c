/* read_rate(rowsPerSecond => n): rows made from the clock, for trying things out.
 *
 * The offset is a bare number, whole seconds since the start; the start is kept in sources/<i>/0 as Spark keeps it
 * ("v1", a line with milliseconds), so that a range of seconds gives the same rows again after a restart. Values of the
 * seconds [s, e) are V(s) to V(e) - 1:
 *
 *   V(t) = rps * t                                          without ramp-up
 *   V(t) = delta * t * (t + 1) / 2, delta = rps / (R + 1)   for t <= R, then V(R) + (t - R) * rps
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "source/rate_int.h"
#include "source/sources.h"

const StreamOptionSpec SOURCE_RATE_OPTIONS[] = {
    {"rowsPerSecond", STREAM_OPTION_LONG, "1", NULL, 1, "Rows to make per second."},
    {"rampUpTime", STREAM_OPTION_INTERVAL, "0 seconds", NULL, 0,
     "Time in which the speed grows from nothing to rowsPerSecond."},
    {"numPartitions", STREAM_OPTION_LONG, "1", NULL, 1, "Accepted for Spark's sake; rows are made in one piece."},
};
const size_t SOURCE_RATE_OPTIONS_COUNT = sizeof SOURCE_RATE_OPTIONS / sizeof *SOURCE_RATE_OPTIONS;

typedef struct RateSource {
    StreamSource base;
    Store *checkpoint;
    char *start_key;  /* "sources/<i>/0" */
    int64_t start_ms; /* -1: not read yet */
    int64_t frozen_s; /* -1: not frozen */
    RateSpeed speed;
    int timer_fd;
} RateSource;

/* ---- arithmetic ---- */

int64_t rate_value_at(const RateSpeed *speed, int64_t t)
{
    int64_t delta = speed->ramp_s > 0 ? speed->rows / (speed->ramp_s + 1) : 0;
    int64_t value = 0;

    if (speed->ramp_s == 0) {
        return t > INT64_MAX / speed->rows ? INT64_MAX : t * speed->rows;
    }
    if (t <= speed->ramp_s) {
        return delta * (t * (t + 1) / 2);
    }
    if (__builtin_mul_overflow(t - speed->ramp_s, speed->rows, &value) ||
        __builtin_add_overflow(value, delta * (speed->ramp_s * (speed->ramp_s + 1) / 2), &value)) {
        return INT64_MAX;
    }
    return value;
}

/* The rows of the seconds [s, e). */
static void rows_sql(const RateSpeed *speed, int64_t start_ms, int64_t s, int64_t e, Text *out)
{
    int64_t first = rate_value_at(speed, s), last = rate_value_at(speed, e);
    double step_ms = last > first ? (double)(e - s) * 1000.0 / (double)(last - first) : 0;

    text_printf(out,
                "SELECT make_timestamptz(1000 * (%lld + round((v - %lld) * %.17g::DOUBLE)::BIGINT)) AS \"timestamp\", "
                "v AS \"value\" "
                "FROM range(%lld::BIGINT, %lld::BIGINT) AS t(v)",
                (long long)(start_ms + s * 1000), (long long)first, step_ms, (long long)first, (long long)last);
}

/* ---- the start ---- */

static Status parse_start(const RateSource *source, const Text *text, int64_t *start_ms, Error *err)
{
    const char *line = text_str(text);

    if (str_starts(line, "v1\n") && str_parse_i64(line + 3, start_ms)) {
        return OK;
    }
    error_set(err, E_STREAM_CHECKPOINT, "%s does not hold the start of a rate source", source->start_key);
    error_hint(err, "put the file back from a copy, or start the flow anew with --full-refresh");
    return error_status(err);
}

static Status load_start(RateSource *source, Error *err)
{
    Text text = TEXT(256);
    Error local = ERROR_NONE;
    char fresh[64];
    Status rc = OK;

    if (source->start_ms >= 0) {
        return OK;
    }
    rc = store_read(source->checkpoint, source->start_key, 256, &text, NULL, &local);
    if (rc == OK) {
        rc = parse_start(source, &text, &source->start_ms, err);
        goto out;
    }
    if (rc != ERR_NOT_FOUND) {
        *err = local;
        goto out;
    }
    int64_t now = clock_now_ms();
    int n = snprintf(fresh, sizeof fresh, "v1\n%lld", (long long)now);
    TRY(failpoint(FP_SOURCE_START_BEFORE_PUT, err));
    TRY(store_put_if_absent(source->checkpoint, source->start_key, fresh, (size_t)n, err));
    TRY(failpoint(FP_SOURCE_START_AFTER_PUT, err));
    source->start_ms = now;
out:
    text_free(&text);
    return rc;
}

static Status parse_offset(const char *text, int64_t *out, Error *err)
{
    if (!text) {
        *out = 0;
        return OK;
    }
    if (!str_parse_i64(text, out) || *out < 0) {
        return error_set(err, E_SOURCE_OFFSET, "'%s' is not an offset of a rate source, which is a number of seconds",
                         text);
    }
    return OK;
}

/* ---- the source ---- */

static Status rate_schema(StreamSource *base, DuckConn *conn, DeltaSchema **out, Error *err)
{
    static const DeltaType TIMESTAMP = {.id = DELTA_TIMESTAMP}, LONG = {.id = DELTA_LONG};
    DeltaSchemaBuilder *builder = delta_schema_builder_new(NULL);
    (void)base;
    (void)conn;
    (void)err;

    delta_schema_builder_add(builder, "timestamp", &TIMESTAMP, true, NULL);
    delta_schema_builder_add(builder, "value", &LONG, true, NULL);
    *out = delta_schema_builder_finish(builder);
    return OK;
}

static Status rate_latest(StreamSource *base, DuckConn *conn, const char *start, bool unlimited, char **end,
                          bool *schema_changed, Error *err)
{
    RateSource *source = (RateSource *)base;
    char text[32];
    int64_t from = 0, seconds = 0;
    Status rc = OK;
    (void)conn;
    (void)unlimited;
    (void)schema_changed;

    TRY(parse_offset(start, &from, err));
    TRY(load_start(source, err));
    seconds = source->frozen_s >= 0 ? source->frozen_s : (clock_now_ms() - source->start_ms) / 1000;
    if (seconds > from) { /* a clock that was put back gives nothing until it has caught up */
        snprintf(text, sizeof text, "%lld", (long long)seconds);
        *end = mem_strdup(text);
    } else {
        *end = NULL;
    }
out:
    return rc;
}

static Status rate_relation(StreamSource *base, DuckConn *conn, const char *start, const char *end, StreamRelation *out,
                            Error *err)
{
    RateSource *source = (RateSource *)base;
    Text sql = TEXT(4096);
    int64_t s = 0, e = 0;
    Status rc = OK;
    (void)conn;

    TRY(parse_offset(start, &s, err));
    TRY(parse_offset(end, &e, err));
    TRY(load_start(source, err));
    rows_sql(&source->speed, source->start_ms, s, e, &sql);
    *out = (StreamRelation){.rows = rate_value_at(&source->speed, e) - rate_value_at(&source->speed, s)};
    out->sql = text_take(&sql);
out:
    text_free(&sql);
    return rc;
}

static Status rate_commit(StreamSource *base, const char *end, Error *err)
{
    (void)base;
    (void)end;
    (void)err;
    return OK;
}

static Status rate_freeze(StreamSource *base, DuckConn *conn, const char *start, Error *err)
{
    RateSource *source = (RateSource *)base;
    Status rc = OK;
    (void)conn;
    (void)start;

    TRY(load_start(source, err));
    source->frozen_s = (clock_now_ms() - source->start_ms) / 1000;
out:
    return rc;
}

/* A timer that ticks with the source's seconds. */
static int rate_wake_fd(StreamSource *base)
{
    RateSource *source = (RateSource *)base;

    if (source->timer_fd < 0 && source->start_ms >= 0) {
        int64_t into_us = (clock_now_us() - source->start_ms * 1000) % 1000000;
        int64_t wait_us = 1000000 - (into_us < 0 ? into_us + 1000000 : into_us);
        struct itimerspec spec = {.it_value = {.tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000},
                                  .it_interval = {.tv_sec = 1}};
        source->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (source->timer_fd >= 0) {
            timerfd_settime(source->timer_fd, 0, &spec, NULL);
        }
    }
    return source->timer_fd;
}

static void rate_wake_clear(StreamSource *base)
{
    RateSource *source = (RateSource *)base;
    uint64_t ticks = 0;

    if (source->timer_fd >= 0) {
        (void)!read(source->timer_fd, &ticks, sizeof ticks);
    }
}

static void rate_backlog(StreamSource *base, StreamBacklog *out)
{
    (void)base;
    *out = (StreamBacklog){0, 0};
}

static void rate_describe(StreamSource *base, Text *out)
{
    RateSource *source = (RateSource *)base;

    text_printf(out, "RateStreamV2[rowsPerSecond=%lld, rampUpTimeSeconds=%lld]", (long long)source->speed.rows,
                (long long)source->speed.ramp_s);
}

static void rate_identity(StreamSource *base, Text *out)
{
    RateSource *source = (RateSource *)base;

    text_printf(out, "rate:%lld,%lld", (long long)source->speed.rows, (long long)source->speed.ramp_s);
}

static void rate_close(StreamSource *base)
{
    RateSource *source = (RateSource *)base;

    if (source->timer_fd >= 0) {
        close(source->timer_fd);
    }
    store_unref(source->checkpoint);
    mem_free(source->start_key);
    mem_free(source);
}

static const StreamSourceOps RATE_OPS = {
    .kind = "rate",
    .schema = rate_schema,
    .latest = rate_latest,
    .relation = rate_relation,
    .commit = rate_commit,
    .freeze = rate_freeze,
    .wake_fd = rate_wake_fd,
    .wake_clear = rate_wake_clear,
    .poll_ms = 1000,
    .backlog = rate_backlog,
    .describe = rate_describe,
    .identity = rate_identity,
    .close = rate_close,
};

Status source_rate_open(const StreamSourceContext *context, const StreamOption *options, size_t n, StreamSource **out,
                        Error *err)
{
    const char *rows = stream_option_get(options, n, "rowsPerSecond"),
               *ramp = stream_option_get(options, n, "rampUpTime");
    RateSpeed speed = {.rows = 1};
    int64_t ramp_us = 0;
    Text key = TEXT(4096);
    Status rc = OK;

    TRY(stream_options_check(options, n, SOURCE_RATE_OPTIONS, SOURCE_RATE_OPTIONS_COUNT, "read_rate", err));
    if (rows) {
        str_parse_i64(rows, &speed.rows);
    }
    if (ramp) {
        str_parse_interval(ramp, &ramp_us);
        speed.ramp_s = ramp_us / 1000000;
    }
    if (speed.ramp_s > 1000000) {
        rc = error_set(err, E_STREAM_OPTION, "rampUpTime of read_rate is longer than 1,000,000 seconds");
        goto out;
    }
    RateSource *source = mem_alloc(sizeof *source);
    path_join(&key, context->private_dir, "0");
    source->base.ops = &RATE_OPS;
    source->checkpoint = store_ref(context->checkpoint);
    source->start_key = text_take(&key);
    source->start_ms = -1;
    source->frozen_s = -1;
    source->timer_fd = -1;
    source->speed = speed;
    *out = &source->base;
out:
    text_free(&key);
    return rc;
}
