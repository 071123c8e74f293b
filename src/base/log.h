/* Messages for operators, on stderr, one line each: "2026-01-01T00:00:00.000Z warning flow=x text". Nothing is logged
 * at debug level unless FRESHET_LOG=debug. Errors that end a statement are not logged but returned. */
#ifndef FRESHET_BASE_LOG_H
#define FRESHET_BASE_LOG_H

typedef enum LogLevel { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR } LogLevel;
void log_set_level(LogLevel level);
__attribute__((format(printf, 2, 3))) void log_message(LogLevel level, const char *format, ...);
#define log_debug(...)   log_message(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)    log_message(LOG_INFO, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, __VA_ARGS__)

#endif
