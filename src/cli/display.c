/* The display of a run. A thread draws bars ten times a second, or plain lines every ten seconds; what flows tell in
 * between is written above the bars, which are taken away for it. */
#include "cli/display.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"

enum { BAR_FLOWS_MAX = 64, FRAME_MS = 100, PLAIN_SECONDS = 10, BAR_CELLS = 16 };

struct Display {
    DisplayKind kind;
    Pipeline *pipeline;
    PipelineObserver observer;
    bool colour;
    pthread_t thread;
    bool drawing, closing;
    pthread_mutex_t lock; /* the terminal */
    pthread_cond_t wake;
    int lines; /* of the bars that stand on the terminal now */
    int failures;
};

bool display_kind(const char *name, DisplayKind *out)
{
    static const char *const names[] = {"auto", "bar", "plain", "json", "none"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) == 0) {
            *out = (DisplayKind)i;
            return true;
        }
    }
    return false;
}

/* ---- one flow as text ---- */

static void append_rate(Text *out, double per_second)
{
    text_append_count(out, (int64_t)per_second);
    text_append(out, " rows/s");
}

/* " (30 late, 4 duplicate)"; nothing where no reason is known */
static void append_reasons(Text *out, const FlowStatus *status)
{
    const char *separator = " (";

    for (size_t i = 0; i < REASON_COUNT; i++) {
        if (status->aside[i] > 0) {
            text_append(out, separator);
            text_append_count(out, status->aside[i]);
            text_printf(out, " %s", STREAM_REASON_TEXTS[i]);
            separator = ", ";
        }
    }
    text_append(out, *separator == ',' ? ")" : "");
}

/* "batch 3, 1,234 rows in, 1,200 out, 34 dropped, version 3" */
static void append_totals(Text *out, const PipelineFlowView *flow)
{
    const FlowStatus *status = &flow->status;

    if (flow->is_view) {
        text_append_count(out, status->rows_out);
        text_printf(out, " %s, refreshed %lld %s", status->rows_out == 1 ? "row" : "rows", (long long)status->batches,
                    status->batches == 1 ? "time" : "times");
    } else {
        text_append_count(out, status->batches);
        text_append(out, status->batches == 1 ? " batch, " : " batches, ");
        text_append_count(out, status->rows_in);
        text_append(out, " rows in, ");
        text_append_count(out, status->rows_out);
        text_append(out, " out");
    }
    if (status->rows_dropped > 0) {
        text_append(out, ", ");
        text_append_count(out, status->rows_dropped);
        text_append(out, " dropped");
        append_reasons(out, status);
    }
    if (status->bad_rows > 0) {
        text_append(out, ", ");
        text_append_count(out, status->bad_rows);
        text_append(out, " rescued");
    }
    if (status->version >= 0) {
        text_printf(out, ", version %lld", (long long)status->version);
    }
}

static void append_backlog(Text *out, const FlowStatus *status)
{
    if (status->files_outstanding > 0) {
        text_append(out, ", ");
        text_append_count(out, status->files_outstanding);
        text_append(out, status->files_outstanding == 1 ? " file" : " files");
        if (status->bytes_outstanding > 0) {
            text_append(out, " (");
            text_append_bytes(out, (double)status->bytes_outstanding);
            text_append(out, ")");
        }
        text_append(out, " to go");
    }
}

/* ---- bars ---- */

static void append_bar(Text *out, double share)
{
    static const char *const parts[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int eighths = share < 0 ? 0 : (int)(share * BAR_CELLS * 8);

    for (int i = 0; i < BAR_CELLS; i++) {
        int own = eighths - i * 8;
        text_append(out, own >= 8 ? "█" : own <= 0 ? " " : parts[own]);
    }
}

static int terminal_columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 100;
}

/* How many bytes of a text fit a width, by characters. */
static size_t bytes_in_columns(const char *text, int columns)
{
    size_t bytes = 0;

    for (int width = 0; text[bytes] != '\0' && width < columns; width++) {
        bytes++;
        while (((unsigned char)text[bytes] & 0xc0) == 0x80) {
            bytes++;
        }
    }
    return bytes;
}

/* How many columns a text takes, by characters. */
static int text_columns(const char *text)
{
    int width = 0;

    for (; *text; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

static void append_spaces(Text *out, int n)
{
    for (; n > 0; n--) {
        text_append_char(out, ' ');
    }
}

static bool is_busy(const PipelineFlowView *flow)
{
    return flow->status.batch_progress >= 0;
}

/* What stands in the place of the bar of a flow that is not busy. */
static const char *state_text(const PipelineFlowView *flow)
{
    return flow->status.state != NULL ? flow->status.state : "";
}

/* Widths of the columns that all lines of a frame share. */
typedef struct Columns {
    int name, state, all;
} Columns;

static Columns columns_of(const PipelineFlowView *flows, size_t n)
{
    Columns columns = {.state = BAR_CELLS, .all = terminal_columns()};

    for (size_t i = 0; i < n; i++) {
        int name = text_columns(flows[i].name), state = is_busy(&flows[i]) ? 0 : text_columns(state_text(&flows[i]));
        columns.name = name > columns.name ? name : columns.name;
        columns.state = state > columns.state ? state : columns.state;
    }
    return columns;
}

static void append_flow_line(const Display *display, Text *out, const PipelineFlowView *flow, const Columns *columns)
{
    Text line = TEXT(4096);
    bool busy = is_busy(flow);

    text_append(&line, flow->name);
    append_spaces(&line, columns->name - text_columns(flow->name) + 1);
    if (busy) {
        append_bar(&line, flow->status.batch_progress);
    } else {
        text_append(&line, state_text(flow));
    }
    append_spaces(&line, columns->state - (busy ? BAR_CELLS : text_columns(state_text(flow))) + 2);
    append_totals(&line, flow);
    if (!flow->is_view && busy && flow->status.processed_rows_per_second > 0) {
        text_append(&line, ", ");
        append_rate(&line, flow->status.processed_rows_per_second);
    }
    append_backlog(&line, &flow->status);
    size_t bytes = bytes_in_columns(text_str(&line), columns->all - 1);
    text_append(out, display->colour && busy ? "\033[36m" : "");
    text_append_n(out, line.data, bytes);
    text_append(out, display->colour && busy ? "\033[0m" : "");
    text_append(out, "\033[K\n");
    text_free(&line);
}

/* Takes the bars away, so that a line can be said. The lock is held. */
static void erase_bars(Display *display)
{
    if (display->lines > 0) {
        fprintf(stderr, "\033[%dA\033[J", display->lines);
        display->lines = 0;
    }
}

static void draw_bars(Display *display)
{
    PipelineFlowView flows[BAR_FLOWS_MAX];
    size_t n = pipeline_flows(display->pipeline, flows, BAR_FLOWS_MAX);
    Text frame = TEXT(1 << 18);
    Columns columns = columns_of(flows, n);

    if (display->lines > 0) {
        text_printf(&frame, "\033[%dA", display->lines);
    }
    for (size_t i = 0; i < n; i++) {
        append_flow_line(display, &frame, &flows[i], &columns);
    }
    text_append(&frame, "\033[J");
    fputs(text_str(&frame), stderr);
    fflush(stderr);
    display->lines = (int)n;
    text_free(&frame);
}

/* ---- lines ---- */

static void say(Display *display, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(Display *display, const char *format, ...)
{
    va_list args;

    pthread_mutex_lock(&display->lock);
    erase_bars(display);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fflush(stderr);
    pthread_mutex_unlock(&display->lock);
}

static void draw_plain(Display *display)
{
    PipelineFlowView flows[BAR_FLOWS_MAX];
    size_t n = pipeline_flows(display->pipeline, flows, BAR_FLOWS_MAX);

    for (size_t i = 0; i < n; i++) {
        Text line = TEXT(4096);
        append_totals(&line, &flows[i]);
        append_backlog(&line, &flows[i].status);
        fprintf(stderr, "%s: %s (%s)\n", flows[i].name, text_str(&line), state_text(&flows[i]));
        text_free(&line);
    }
}

static void *draw_loop(void *context)
{
    Display *display = context;
    int64_t wait_ms = display->kind == DISPLAY_BAR ? FRAME_MS : PLAIN_SECONDS * 1000;

    pthread_mutex_lock(&display->lock);
    while (!display->closing) {
        struct timespec until = clock_deadline(wait_ms * 1000);
        while (!display->closing && pthread_cond_timedwait(&display->wake, &display->lock, &until) != ETIMEDOUT) {
        }
        if (!display->closing && display->kind == DISPLAY_BAR) {
            draw_bars(display);
        } else if (!display->closing) {
            draw_plain(display);
        }
    }
    erase_bars(display);
    pthread_mutex_unlock(&display->lock);
    return NULL;
}

/* ---- the observer ---- */

static void on_started(void *context, const char *flow, const char *description)
{
    Display *display = context;

    if (display->kind == DISPLAY_PLAIN) {
        say(display, "%s: %s\n", flow, description);
    } else if (display->kind == DISPLAY_BAR) { /* one line; the event log has the whole of it */
        int columns = terminal_columns() - 1 - text_columns(flow) - 2;
        size_t bytes = bytes_in_columns(description, columns);
        say(display, "%s: %.*s\n", flow, (int)bytes, description);
    }
}

static void on_progress(void *context, const char *flow, const char *json)
{
    Display *display = context;
    (void)flow;

    if (display->kind == DISPLAY_JSON) {
        puts(json);
        fflush(stdout);
    }
}

static void on_warning(void *context, const char *flow, const char *message)
{
    Display *display = context;

    if (display->kind != DISPLAY_NONE) {
        say(display, "warning: %s: %s\n", flow, message);
    }
}

static void on_failed(void *context, const char *flow, const Error *err)
{
    Display *display = context;
    Text text = TEXT(1 << 16);
    Error named = *err;

    display->failures++;
    if (!str_starts(named.message, flow)) {
        error_context(&named, "%s", flow);
    }
    cli_error_text(&named, display->colour, &text);
    say(display, "%s", text_str(&text));
    text_free(&text);
}

static void on_waiting(void *context, const char *flow, const char *why)
{
    on_warning(context, flow, why);
}

static void on_finished(void *context, const char *flow, const FlowStatus *status)
{
    Display *display = context;
    PipelineFlowView views[BAR_FLOWS_MAX], view = {.name = flow, .status = *status};
    size_t n = pipeline_flows(display->pipeline, views, BAR_FLOWS_MAX);

    if (display->kind != DISPLAY_BAR && display->kind != DISPLAY_PLAIN) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        view.is_view = strcmp(views[i].name, flow) == 0 ? views[i].is_view : view.is_view;
    }
    Text line = TEXT(4096);
    append_totals(&line, &view);
    say(display, "%s: done, %s\n", flow, text_str(&line));
    text_free(&line);
}

Display *display_open(DisplayKind kind, Pipeline *pipeline)
{
    Display *display = mem_alloc(sizeof *display);

    display->kind = kind != DISPLAY_AUTO ? kind : isatty(STDERR_FILENO) ? DISPLAY_BAR : DISPLAY_PLAIN;
    display->pipeline = pipeline;
    display->colour = cli_colour(STDERR_FILENO);
    display->observer = (PipelineObserver){.started = on_started,
                                           .progress = on_progress,
                                           .warning = on_warning,
                                           .failed = on_failed,
                                           .waiting = on_waiting,
                                           .finished = on_finished,
                                           .context = display};
    pthread_mutex_init(&display->lock, NULL);
    clock_cond_init(&display->wake);
    if (display->kind == DISPLAY_BAR || display->kind == DISPLAY_PLAIN) {
        display->drawing = pthread_create(&display->thread, NULL, draw_loop, display) == 0;
    }
    return display;
}

const PipelineObserver *display_observer(Display *display)
{
    return &display->observer;
}

int display_failures(const Display *display)
{
    return display->failures;
}

void display_close(Display *display)
{
    pthread_mutex_lock(&display->lock);
    display->closing = true;
    pthread_cond_signal(&display->wake);
    pthread_mutex_unlock(&display->lock);
    if (display->drawing) {
        pthread_join(display->thread, NULL);
    }
    pthread_cond_destroy(&display->wake);
    pthread_mutex_destroy(&display->lock);
    mem_free(display);
}
