/* Windows over event time, as arithmetic on microseconds since 1970 and as SQL text for it.
 *
 * Windows are [start, start + size) with starts at offset + i * slide. What is kept are panes: the pieces of time, all
 * of one length, that windows are made of (a pane lies in a window as a whole or not at all). Tumbling windows are
 * their own panes. A division rounds down, before 1970 too.
 */
#ifndef FRESHET_STREAM_WINDOW_H
#define FRESHET_STREAM_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "sql/stateful.h"

typedef struct Window {
    int64_t size_us, slide_us, offset_us;
    int64_t pane_us; /* greatest common divisor of size and slide */
    bool sliding;
} Window;

Window window_of(const SqlWindow *window);

/* Start of the pane that holds `time`: a BIGINT expression, as is the result. */
void window_append_pane(const Window *window, const char *time, Text *out);
/* End of the last window that the pane is in; of the first one. */
void window_append_last_end(const Window *window, const char *pane, Text *out);
void window_append_first_end(const Window *window, const char *pane, Text *out);
/* Windows that one pane is in, at most; and the start of the one of number `step` (an expression from 0 to that), to be
 * taken only where pane < start + size. */
int64_t window_steps(const Window *window);
void window_append_start(const Window *window, const char *pane, const char *step, Text *out);

/* The panes, lo <= start < hi, of windows that end after `after_us` (INT64_MIN: no bound) and at or before `until_us`;
 * false when there is no such window. */
bool window_panes_of_ends(const Window *window, int64_t after_us, int64_t until_us, int64_t *lo, int64_t *hi);

#endif
