/* Watermarks: how far event time has come.
 *
 * Each input with WATERMARK is a node; it knows the largest event time of its rows less the delay, in milliseconds,
 * floored. The flow's watermark is the smallest of its nodes', where one that has seen no row counts as 0 and so holds
 * the others; it never goes back. What batch N has seen counts from batch N + 1 on, so the nodes go into the facts of
 * batch N and a batch that runs again has the same.
 */
#ifndef FRESHET_STREAM_WATERMARK_H
#define FRESHET_STREAM_WATERMARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "duck/duck.h"

typedef struct WatermarkNode {
    bool seen;
    int64_t ms;      /* when seen: max(event time) - delay */
    int64_t last_ms; /* time of the last batch that had rows of it, of the first batch when none had; 0: no batch yet */
} WatermarkNode;

/* A batch of time `batch_ms` had `rows` rows with event times up to `max_us`. */
void watermark_observe(WatermarkNode *node, int64_t rows, int64_t max_us, int64_t delay_us, int64_t batch_ms);
/* The flow's watermark after a batch, not below `current_ms`. `idle_ms` > 0: a node without rows for that long is left
 * out, unless all are. */
int64_t watermark_next(const WatermarkNode *nodes, size_t n, int64_t current_ms, int64_t idle_ms, int64_t batch_ms);

/* [{"ms": 1700000000000, "last": 1700000100000}, null, ...], one a node; null: never seen by any batch. */
json_t *watermark_json(const WatermarkNode *nodes, size_t n);
/* Whatever is missing stays as it is. */
void watermark_parse(const json_t *list, WatermarkNode *nodes, size_t n);

/* Refuses a WATERMARK over what is neither a time nor a window: `time` is SQL over the relation `name`,
 * E_PIPELINE_STATEFUL when it is of another type. `column` is what the message calls it. */
Status watermark_check_type(DuckConn *conn, const char *name, const char *time, const char *column, Error *err);

#endif
