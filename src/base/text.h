/* Text: a growing byte buffer with a maximum, quoting for SQL, JSON and URIs, and small helpers. */
#ifndef FRESHET_BASE_TEXT_H
#define FRESHET_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing text, always NUL-terminated once written to. Past `max` further bytes are dropped and `overflow` is set;
 * the owner checks it once at the end. `Text t = TEXT(1 << 20);` ... text_free(&t). */
typedef struct Text {
    char *data;
    size_t length, capacity, max;
    bool overflow;
} Text;
#define TEXT(max_bytes) ((Text){.max = (max_bytes)})
enum { TEXT_SQL_MAX = 256 << 20 }; /* a generated statement: a million file names fit */

void text_free(Text *t);
void text_clear(Text *t); /* keeps the memory */
void text_append(Text *t, const char *s);
void text_append_n(Text *t, const void *s, size_t n);
void text_append_char(Text *t, char c);
__attribute__((format(printf, 2, 3))) void text_printf(Text *t, const char *format, ...);
__attribute__((format(printf, 2, 0))) void text_vprintf(Text *t, const char *format, va_list args);
char *text_take(Text *t);            /* the string, now the caller's; never NULL */
const char *text_str(const Text *t); /* borrowed; "" when empty */

/* 'it''s' and "a ""b""" as DuckDB reads them. */
void text_append_sql_string(Text *t, const char *s);
void text_append_sql_string_n(Text *t, const char *s, size_t n);
void text_append_sql_name(Text *t, const char *s);
void text_append_sql_value(Text *t, const char *s); /* a string, or NULL::VARCHAR for NULL */
/* A JSON string literal with quotes. */
void text_append_json_string(Text *t, const char *s);
void text_append_json_string_n(Text *t, const char *s, size_t n);
/* A JSON array of them. */
void text_append_json_strings(Text *t, const char *const *strings, size_t n);

/* URI encoding of a path for the Delta log: everything but unreserved characters, '/' and the sub-delims Spark leaves
 * (=, ',', '+', '&', '$', '@', ':', ';', '!', '(', ')', '*', '\'', '~') becomes %XX. */
void text_append_uri(Text *t, const char *path);
/* Decodes %XX once. Returns false on a malformed escape or an encoded NUL. */
bool text_append_uri_decoded(Text *t, const char *uri);

/* Does `s` start or end with the given text; are both the same? The i-forms ignore ASCII case. */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
bool str_istarts(const char *s, const char *prefix);
bool str_ieq(const char *a, const char *b);
int str_icmp(const char *a, const char *b);        /* as strcmp */
void str_sort(const char **list, size_t n);        /* by bytes */
void str_lower(char *s);                           /* ASCII, in place */
bool str_parse_i64(const char *s, int64_t *out);   /* whole string, decimal */
bool str_parse_id(const char *s, int64_t *out);    /* from 0 on and as it is printed: not "+7", not "07" */
bool str_parse_double(const char *s, double *out); /* whole string */
bool str_parse_bool(const char *s, bool *out);     /* true/false in any case */
/* "10m", "1g", "1024", "64 kb" -> bytes; a kb is 1024 bytes, as Spark reads it */
bool str_parse_bytes(const char *s, int64_t *out);
/* "30 seconds", "interval 7 days", "5 minutes 10 seconds", "100 ms" -> microseconds; months and years are refused */
bool str_parse_interval(const char *s, int64_t *us);
/* 1,234,567, for people */
void text_append_count(Text *t, int64_t n);
/* 1.2 GB, for people; a GB is 10^9 bytes here */
void text_append_bytes(Text *t, double bytes);
/* Checks UTF-8; returns the offset of the first bad byte or n. */
size_t utf8_valid(const char *s, size_t n);

#endif
