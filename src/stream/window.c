#include "stream/window.h"

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

Window window_of(const SqlWindow *window)
{
    return (Window){.size_us = window->size_us,
                    .slide_us = window->slide_us,
                    .offset_us = window->offset_us,
                    .pane_us = common_divisor(window->size_us, window->slide_us),
                    .sliding = window->size_us != window->slide_us};
}

/* `time`, down to a multiple of `step` past `offset`. DuckDB's % has the sign of the left side. */
static void append_floor(const char *time, int64_t step, int64_t offset, Text *out)
{
    Text past = TEXT(TEXT_SQL_MAX);

    text_printf(&past, "(%s - %lld) %% %lld", time, (long long)(offset % step), (long long)step);
    text_printf(out, "(%s - %s - CASE WHEN %s < 0 THEN %lld ELSE 0 END)", time, text_str(&past), text_str(&past),
                (long long)step);
    text_free(&past);
}

void window_append_pane(const Window *window, const char *time, Text *out)
{
    append_floor(time, window->pane_us, window->offset_us, out);
}

void window_append_last_end(const Window *window, const char *pane, Text *out)
{
    if (window->sliding) {
        append_floor(pane, window->slide_us, window->offset_us, out);
    } else {
        text_append(out, pane);
    }
    text_printf(out, " + %lld", (long long)window->size_us);
}

void window_append_first_end(const Window *window, const char *pane, Text *out)
{
    if (window->sliding) {
        append_floor(pane, window->slide_us, window->offset_us + window->size_us, out);
    } else {
        text_append(out, pane);
    }
    text_printf(out, " + %lld", (long long)window->slide_us);
}

int64_t window_steps(const Window *window)
{
    return (window->size_us + window->slide_us - 1) / window->slide_us;
}

void window_append_start(const Window *window, const char *pane, const char *step, Text *out)
{
    append_floor(pane, window->slide_us, window->offset_us, out);
    text_printf(out, " - %s * %lld", step, (long long)window->slide_us);
}

static int64_t floor_to(int64_t time, int64_t step, int64_t offset)
{
    int64_t past = (time - offset) % step;
    return time - past - (past < 0 ? step : 0);
}

bool window_panes_of_ends(const Window *window, int64_t after_us, int64_t until_us, int64_t *lo, int64_t *hi)
{
    int64_t offset = (window->offset_us + window->size_us) % window->slide_us;

    if (until_us == INT64_MIN) {
        return false;
    }
    int64_t last = floor_to(until_us, window->slide_us, offset);
    if (after_us == INT64_MIN) {
        *lo = INT64_MIN;
        *hi = last;
        return true;
    }
    int64_t first = floor_to(after_us, window->slide_us, offset) + window->slide_us;
    if (first > last) {
        return false;
    }
    *lo = first - window->size_us;
    *hi = last;
    return true;
}
