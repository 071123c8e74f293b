#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static const char *const LEVEL_NAMES[] = {"debug", "info", "warning", "error"};
enum { LEVEL_COUNT = sizeof(LEVEL_NAMES) / sizeof(*LEVEL_NAMES), LINE_MAX_BYTES = 8192 };

static atomic_int level_least = LOG_INFO;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void read_environment(void)
{
    const char *name = getenv("FRESHET_LOG");

    for (int i = 0; name && i < LEVEL_COUNT; i++) {
        if (strcmp(name, LEVEL_NAMES[i]) == 0) {
            atomic_store(&level_least, i);
        }
    }
}

void log_set_level(LogLevel level)
{
    pthread_once(&once, read_environment);
    atomic_store(&level_least, (int)level);
}

/* One write per line, so that lines of several threads do not mix. */
void log_message(LogLevel level, const char *format, ...)
{
    char line[LINE_MAX_BYTES], now[32];
    va_list args;

    pthread_once(&once, read_environment);
    if ((int)level < atomic_load_explicit(&level_least, memory_order_relaxed)) {
        return;
    }
    time_iso_ms(clock_now_ms(), now);
    size_t head = (size_t)snprintf(line, sizeof(line), "%s %s ", now, LEVEL_NAMES[level]);
    va_start(args, format);
    vsnprintf(line + head, sizeof(line) - head - 1, format, args);
    va_end(args);
    size_t n = head + strlen(line + head);
    for (char *c = line + head; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7F) {
            *c = ' ';
        }
    }
    line[n++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, n);
    (void)ignored;
}
