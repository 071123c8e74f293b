#include "stream/watermark.h"

#include "stream/op_text.h"

/* Floored towards the past, also before 1970. */
static int64_t ms_of(int64_t us)
{
    return us / 1000 - (us % 1000 < 0);
}

void watermark_observe(WatermarkNode *node, int64_t rows, int64_t max_us, int64_t delay_us, int64_t batch_ms)
{
    int64_t ms = ms_of(max_us) - delay_us / 1000;

    if (rows > 0) {
        node->ms = node->seen && node->ms > ms ? node->ms : ms;
        node->seen = true;
    }
    if (rows > 0 || node->last_ms == 0) {
        node->last_ms = batch_ms;
    }
}

int64_t watermark_next(const WatermarkNode *nodes, size_t n, int64_t current_ms, int64_t idle_ms, int64_t batch_ms)
{
    int64_t smallest = INT64_MAX;

    for (size_t i = 0; i < n; i++) {
        if (idle_ms > 0 && nodes[i].last_ms > 0 && batch_ms - nodes[i].last_ms > idle_ms) {
            continue;
        }
        int64_t ms = nodes[i].seen ? nodes[i].ms : 0;
        smallest = ms < smallest ? ms : smallest;
    }
    return smallest != INT64_MAX && smallest > current_ms ? smallest : current_ms;
}

json_t *watermark_json(const WatermarkNode *nodes, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *node = nodes[i].last_ms > 0 ? json_object() : json_null();
        if (nodes[i].last_ms > 0) {
            json_put(node, "ms", nodes[i].seen ? json_integer(nodes[i].ms) : json_null());
            json_put_i64(node, "last", nodes[i].last_ms);
        }
        json_array_append_new(list, node);
    }
    return list;
}

void watermark_parse(const json_t *list, WatermarkNode *nodes, size_t n)
{
    for (size_t i = 0; i < n && i < json_array_size(list); i++) {
        const json_t *node = json_array_get(list, i);
        if (!json_is_object(node)) {
            continue;
        }
        nodes[i].seen = json_has(node, "ms");
        (void)json_opt_i64(node, "ms", &nodes[i].ms, NULL);
        (void)json_opt_i64(node, "last", &nodes[i].last_ms, NULL);
    }
}

Status watermark_check_type(DuckConn *conn, const char *name, const char *time, const char *column, Error *err)
{
    Arena *arena = arena_new();
    Text sql = TEXT(TEXT_SQL_MAX), type = TEXT(65536);
    DuckColumnInfo *columns;
    size_t n;
    Status rc = OK;

    text_printf(&sql, "SELECT (%s\n) AS t FROM ", time);
    text_append_sql_name(&sql, name);
    TRY(duck_describe(conn, text_str(&sql), arena, &columns, &n, err));
    if (!op_type_is_time(columns[0].type) && !op_type_is_window(columns[0].type)) {
        duck_type_sql(columns[0].type, &type);
        error_set(err, E_PIPELINE_STATEFUL, "a WATERMARK needs a time, and %s is of type %s", column, text_str(&type));
        error_hint(err,
                   "make one of it: WATERMARK CAST(%s AS TIMESTAMP) AS event_time DELAY OF ..., or "
                   "to_timestamp() of seconds since 1970",
                   column);
        rc = error_status(err);
    }
out:
    text_free(&sql);
    text_free(&type);
    arena_free(arena);
    return rc;
}
