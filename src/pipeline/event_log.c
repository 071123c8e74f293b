/* The event log: <warehouse>/_event_log, a Delta table (id, timestamp, level, event_type, origin, message, details).
 *
 * Events are collected in memory and appended by a thread of its own, at most every minute and at the end, so that they
 * cost no batch anything. It holds at most EVENTS_MAX; when the disk is slower than the events, the oldest of them give
 * way and their number is said. Losing the log never fails a run.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/pipeline_int.h"
#include "table/create.h"
#include "table/insert.h"

enum { EVENTS_MAX = 10000, FLUSH_SECONDS = 60 };

typedef struct Event {
    char id[UUID_TEXT];
    int64_t time_us;
    char *level, *type, *origin, *message, *details;
} Event;

struct EventLog {
    Pipeline *pipeline;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    Event *events;
    size_t n, capacity, lost;
    bool closing, started;
};

static void event_free(Event *event)
{
    mem_free(event->level);
    mem_free(event->type);
    mem_free(event->origin);
    mem_free(event->message);
    mem_free(event->details);
}

void event_log_add(EventLog *log, const char *level, const char *type, const char *origin, const char *message,
                   const char *details_json)
{
    if (log == NULL) {
        return;
    }
    Event event = {.time_us = clock_now_us(),
                   .level = mem_strdup(level),
                   .type = mem_strdup(type),
                   .origin = mem_strdup(origin),
                   .message = mem_strdup(message),
                   .details = mem_strdup(details_json)};
    uuid_text(event.id);
    pthread_mutex_lock(&log->lock);
    if (log->n == EVENTS_MAX) {
        event_free(&log->events[0]);
        memmove(log->events, log->events + 1, (log->n - 1) * sizeof *log->events);
        log->n--;
        log->lost++;
    }
    log->events = mem_grow(log->events, log->n, &log->capacity, sizeof *log->events);
    log->events[log->n++] = event;
    pthread_mutex_unlock(&log->lock);
}

/* ---- writing ---- */

static void append_events(Text *sql, const Event *events, size_t n)
{
    text_append(
        sql,
        "SELECT id, make_timestamptz(t) AS \"timestamp\", level, event_type, origin, message, details FROM (VALUES ");
    for (size_t i = 0; i < n; i++) {
        const Event *e = &events[i];
        text_printf(sql, "%s('%s', %lld, ", i == 0 ? "" : ", ", e->id, (long long)e->time_us);
        text_append_sql_value(sql, e->level);
        text_append(sql, ", ");
        text_append_sql_value(sql, e->type);
        text_append(sql, ", ");
        text_append_sql_value(sql, e->origin);
        text_append(sql, ", ");
        text_append_sql_value(sql, e->message);
        text_append(sql, ", ");
        text_append_sql_value(sql, e->details);
        text_append_char(sql, ')');
    }
    text_append(sql, ") AS e(id, t, level, event_type, origin, message, details)");
}

static Status write_events(EventLog *log, const Event *events, size_t n, Error *err)
{
    Status rc = OK;
    Text place = TEXT(1 << 16), sql = TEXT(TEXT_SQL_MAX);
    DuckConn *conn = NULL;
    DeltaTable *table = NULL;
    bool exists = false;
    int64_t rows = 0;

    text_printf(&place, "%s/_event_log", warehouse_uri(log->pipeline->warehouse));
    append_events(&sql, events, n);
    TRY(duck_connect(log->pipeline->duck, &conn, err));
    TRY(delta_table_open(log->pipeline->duck, text_str(&place), &table, err));
    TRY(delta_table_exists(table, &exists, err));
    if (!exists) {
        TableSpec spec = {.query = text_str(&sql), .comment = "events of freshet run"};
        TRY(table_create(table, conn, &spec, &rows, err));
    } else {
        TableInsert insert = {.query = text_str(&sql), .by_name = true};
        TRY(table_insert(table, conn, &insert, &rows, err));
    }
out:
    delta_table_close(table);
    if (conn != NULL) {
        duck_disconnect(conn);
    }
    text_free(&place);
    text_free(&sql);
    return rc;
}

/* Writes what is there; the lock is held, and free while it writes. */
static void flush(EventLog *log)
{
    Event *events = log->events;
    size_t n = log->n, lost = log->lost;
    Error err = ERROR_NONE;

    log->events = NULL;
    log->n = log->capacity = log->lost = 0;
    pthread_mutex_unlock(&log->lock);
    if (lost > 0) {
        log_warning("the event log could not keep up: its oldest %zu events are lost", lost);
    }
    if (n > 0 && write_events(log, events, n, &err) != OK) {
        log_warning("writing the event log: %s", err.message);
    }
    for (size_t i = 0; i < n; i++) {
        event_free(&events[i]);
    }
    mem_free(events);
    pthread_mutex_lock(&log->lock);
}

static void *write_loop(void *context)
{
    EventLog *log = context;

    pthread_mutex_lock(&log->lock);
    while (!log->closing) {
        struct timespec until = clock_deadline(FLUSH_SECONDS * INT64_C(1000000));
        while (!log->closing && pthread_cond_timedwait(&log->wake, &log->lock, &until) != ETIMEDOUT) {
        }
        flush(log);
    }
    flush(log);
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

EventLog *event_log_open(Pipeline *pipeline)
{
    EventLog *log = mem_alloc(sizeof *log);

    log->pipeline = pipeline;
    pthread_mutex_init(&log->lock, NULL);
    clock_cond_init(&log->wake);
    log->started = pthread_create(&log->thread, NULL, write_loop, log) == 0;
    return log;
}

void event_log_close(EventLog *log)
{
    if (log == NULL) {
        return;
    }
    pthread_mutex_lock(&log->lock);
    log->closing = true;
    pthread_cond_signal(&log->wake);
    pthread_mutex_unlock(&log->lock);
    if (log->started) {
        pthread_join(log->thread, NULL);
    }
    for (size_t i = 0; i < log->n; i++) {
        event_free(&log->events[i]);
    }
    mem_free(log->events);
    pthread_cond_destroy(&log->wake);
    pthread_mutex_destroy(&log->lock);
    mem_free(log);
}
