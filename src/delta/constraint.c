#include "delta/constraint.h"

#include <ctype.h>
#include <string.h>

/* Copies what stands between two `quote`s from `s` on as a text or name that `target` encloses; returns what follows
 * it, NULL when there is no end or a backslash, which Spark takes as an escape. */
static const char *copy_quoted(const char *s, char quote, char target, Text *out)
{
    text_append_char(out, target);
    for (s++; *s; s++) {
        if (*s == '\\' && quote != '`') {
            return NULL;
        }
        if (*s == quote) {
            if (s[1] != quote) {
                text_append_char(out, target);
                return s + 1;
            }
            s++;
        }
        if (*s == target) {
            text_append_char(out, target);
        }
        text_append_char(out, *s);
    }
    return NULL;
}

/* Copies a number; NULL when it has one of Spark's type suffixes (1L, 1.5BD). */
static const char *copy_number(const char *s, Text *out)
{
    size_t n = strspn(s, "0123456789.");

    if ((s[n] == 'e' || s[n] == 'E') && s[n + 1 + strspn(s + n + 1, "+-")] >= '0' &&
        s[n + 1 + strspn(s + n + 1, "+-")] <= '9') {
        n += 1 + strspn(s + n + 1, "+-");
        n += strspn(s + n, "0123456789");
    }
    text_append_n(out, s, n);
    return isalpha((unsigned char)s[n]) || s[n] == '_' ? NULL : s + n;
}

/* Copies a word; NULL when it makes a typed literal with the quote that follows it, which DuckDB would read as an
 * alias. */
static const char *copy_word(const char *s, Text *out)
{
    size_t n = 0;

    while (isalnum((unsigned char)s[n]) || s[n] == '_' || (unsigned char)s[n] >= 0x80) {
        n++;
    }
    text_append_n(out, s, n);
    return n == 1 && (s[n] == '\'' || s[n] == '"') ? NULL : s + n;
}

bool delta_spark_sql(const char *expression, Text *out)
{
    const char *s = expression;

    while (s && *s) {
        if (*s == '`') {
            s = copy_quoted(s, '`', '"', out);
        } else if (*s == '"' || *s == '\'') {
            s = copy_quoted(s, *s, '\'', out);
        } else if (isdigit((unsigned char)*s)) {
            s = copy_number(s, out);
        } else if (isalpha((unsigned char)*s) || *s == '_' || (unsigned char)*s >= 0x80) {
            s = copy_word(s, out);
        } else if ((s[0] == '-' && s[1] == '-') || (s[0] == '/' && s[1] == '*') || *s == ';' || *s == '$') {
            s = NULL;
        } else {
            text_append_char(out, *s++);
        }
    }
    return s != NULL;
}
