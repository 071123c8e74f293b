/* Messages for operators, on stderr, one line each: "2026-01-01T00:00:00.000Z warning table x: ...". Errors that end a
 * statement are not logged but returned. Any thread. */
#ifndef FRESHET_BASE_LOG_H
#define FRESHET_BASE_LOG_H

typedef enum LogLevel { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR } LogLevel;
/* Drops what is below the level. Without a call it is what the environment variable FRESHET_LOG names ("debug", ...),
 * and else LOG_INFO. */
void log_set_level(LogLevel level);
/* Control characters become spaces; what is longer than 8 KB is cut. */
__attribute__((format(printf, 2, 3))) void log_message(LogLevel level, const char *format, ...);
#define log_debug(...)   log_message(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)    log_message(LOG_INFO, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, __VA_ARGS__)

#endif
