/* Growing texts, quoting, and the numbers, sizes and intervals that people write. */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { CAPACITY_MIN = 64 };

void text_free(Text *t)
{
    mem_free(t->data);
    t->data = NULL;
    t->length = t->capacity = 0;
    t->overflow = false;
}

void text_clear(Text *t)
{
    t->length = 0;
    t->overflow = false;
    if (t->data) {
        t->data[0] = '\0';
    }
}

/* Makes room for `n` more bytes and the NUL; returns how many of them the maximum allows. */
static size_t reserve(Text *t, size_t n)
{
    if (n > t->max - t->length) {
        n = t->max - t->length;
        t->overflow = true;
    }
    if (t->length + n + 1 > t->capacity) {
        size_t wanted = t->capacity * 2 > CAPACITY_MIN ? t->capacity * 2 : CAPACITY_MIN;
        if (wanted < t->length + n + 1) {
            wanted = t->length + n + 1;
        }
        if (wanted > t->max && t->max >= t->length + n) {
            wanted = t->max + 1;
        }
        t->data = mem_realloc(t->data, wanted);
        t->capacity = wanted;
    }
    return n;
}

void text_append_n(Text *t, const void *s, size_t n)
{
    n = reserve(t, n);
    if (n > 0) {
        memcpy(t->data + t->length, s, n);
    }
    t->length += n;
    t->data[t->length] = '\0';
}

void text_append(Text *t, const char *s)
{
    text_append_n(t, s, strlen(s));
}

void text_append_char(Text *t, char c)
{
    text_append_n(t, &c, 1);
}

void text_vprintf(Text *t, const char *format, va_list args)
{
    char small[256];
    va_list again;

    va_copy(again, args);
    int n = vsnprintf(small, sizeof(small), format, args);
    if (n >= 0 && (size_t)n < sizeof(small)) {
        text_append_n(t, small, (size_t)n);
    } else if (n >= 0) {
        char *large = mem_realloc(NULL, (size_t)n + 1);
        vsnprintf(large, (size_t)n + 1, format, again);
        text_append_n(t, large, (size_t)n);
        mem_free(large);
    }
    va_end(again);
}

void text_printf(Text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_vprintf(t, format, args);
    va_end(args);
}

char *text_take(Text *t)
{
    char *s = t->data ? t->data : mem_strdup("");
    t->data = NULL;
    t->length = t->capacity = 0;
    t->overflow = false;
    return s;
}

const char *text_str(const Text *t)
{
    return t->data ? t->data : "";
}

static void append_doubled(Text *t, const char *s, size_t n, char quote)
{
    text_append_char(t, quote);
    while (n > 0) {
        const char *at = memchr(s, quote, n);
        size_t run = at ? (size_t)(at - s) + 1 : n;
        text_append_n(t, s, run);
        if (at) {
            text_append_char(t, quote);
        }
        s += run;
        n -= run;
    }
    text_append_char(t, quote);
}

/* A statement ends at a NUL byte, so one inside a string is spliced in as chr(0). */
void text_append_sql_string_n(Text *t, const char *s, size_t n)
{
    const char *nul = n ? memchr(s, '\0', n) : NULL;

    if (!nul) {
        append_doubled(t, s, n, '\'');
        return;
    }
    text_append_char(t, '(');
    while (nul) {
        size_t run = (size_t)(nul - s);
        append_doubled(t, s, run, '\'');
        text_append(t, "||chr(0)||");
        s += run + 1;
        n -= run + 1;
        nul = n ? memchr(s, '\0', n) : NULL;
    }
    append_doubled(t, s, n, '\'');
    text_append_char(t, ')');
}

void text_append_sql_string(Text *t, const char *s)
{
    append_doubled(t, s, strlen(s), '\'');
}

void text_append_sql_value(Text *t, const char *s)
{
    if (s != NULL) {
        text_append_sql_string(t, s);
    } else {
        text_append(t, "NULL::VARCHAR");
    }
}

void text_append_sql_name(Text *t, const char *s)
{
    append_doubled(t, s, strlen(s), '"');
}

/* The short escape of a byte in a JSON string, or 0. */
static char json_escape(unsigned char c)
{
    switch (c) {
    case '"': return '"';
    case '\\': return '\\';
    case '\b': return 'b';
    case '\f': return 'f';
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    default: return 0;
    }
}

/* Bytes that are not UTF-8 become U+FFFD: what is written must be JSON. */
void text_append_json_string_n(Text *t, const char *s, size_t n)
{
    text_append_char(t, '"');
    while (n > 0) {
        size_t valid = utf8_valid(s, n), run = 0;
        for (size_t i = 0; i < valid; i++) {
            unsigned char c = (unsigned char)s[i];
            char escape = json_escape(c);
            if (c >= 0x20 && !escape) {
                continue;
            }
            text_append_n(t, s + run, i - run);
            run = i + 1;
            if (escape) {
                text_append_char(t, '\\');
                text_append_char(t, escape);
            } else {
                text_printf(t, "\\u%04x", c);
            }
        }
        text_append_n(t, s + run, valid - run);
        s += valid;
        n -= valid;
        if (n > 0) {
            text_append(t, "\xEF\xBF\xBD");
            s++;
            n--;
        }
    }
    text_append_char(t, '"');
}

void text_append_json_string(Text *t, const char *s)
{
    text_append_json_string_n(t, s, strlen(s));
}

void text_append_json_strings(Text *t, const char *const *strings, size_t n)
{
    text_append_char(t, '[');
    for (size_t i = 0; i < n; i++) {
        text_append(t, i > 0 ? "," : "");
        text_append_json_string(t, strings[i]);
    }
    text_append_char(t, ']');
}

static bool uri_plain(unsigned char c)
{
    return (c < 0x80 && isalnum(c)) || (c != '\0' && strchr("-_.~/=,+&$@:;!()*'", c));
}

void text_append_uri(Text *t, const char *path)
{
    static const char HEX[] = "0123456789ABCDEF";

    for (const char *run = path;;) {
        const char *s = run;
        while (uri_plain((unsigned char)*s)) {
            s++;
        }
        text_append_n(t, run, (size_t)(s - run));
        if (*s == '\0') {
            return;
        }
        unsigned char c = (unsigned char)*s;
        text_append_n(t, (char[]){'%', HEX[c >> 4], HEX[c & 15]}, 3);
        run = s + 1;
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool text_append_uri_decoded(Text *t, const char *uri)
{
    size_t before = t->length;

    for (const char *s = uri; *s;) {
        size_t run = strcspn(s, "%");
        text_append_n(t, s, run);
        s += run;
        if (*s != '%') {
            continue;
        }
        int high = hex_value(s[1]);
        int low = high < 0 ? -1 : hex_value(s[2]);
        if (low < 0 || high + low == 0) {
            t->length = before; /* nothing is left of the attempt */
            if (t->data) {
                t->data[before] = '\0';
            }
            return false;
        }
        text_append_char(t, (char)(high << 4 | low));
        s += 3;
    }
    return true;
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : (unsigned char)c;
}

bool str_istarts(const char *s, const char *prefix)
{
    while (*prefix && lower(*s) == lower(*prefix)) {
        s++;
        prefix++;
    }
    return *prefix == '\0';
}

int str_icmp(const char *a, const char *b)
{
    while (*a && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return lower(*a) - lower(*b);
}

bool str_ieq(const char *a, const char *b)
{
    return str_icmp(a, b) == 0;
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void str_sort(const char **list, size_t n)
{
    if (n > 1) {
        qsort(list, n, sizeof *list, compare_strings);
    }
}

void str_lower(char *s)
{
    for (; *s; s++) {
        *s = (char)lower(*s);
    }
}

bool str_parse_i64(const char *s, int64_t *out)
{
    char *end = NULL;
    const char *first = *s == '-' || *s == '+' ? s + 1 : s;

    if (!isdigit((unsigned char)*first)) {
        return false;
    }
    errno = 0;
    long long value = strtoll(s, &end, 10);
    if (errno != 0 || *end != '\0') {
        return false;
    }
    *out = value;
    return true;
}

bool str_parse_id(const char *s, int64_t *out)
{
    return isdigit((unsigned char)*s) && (*s != '0' || s[1] == '\0') && str_parse_i64(s, out);
}

bool str_parse_double(const char *s, double *out)
{
    char *end = NULL;

    if (*s == '\0' || isspace((unsigned char)*s)) {
        return false;
    }
    errno = 0;
    double value = strtod(s, &end);
    if (end == s || *end != '\0' || (errno == ERANGE && isinf(value))) {
        return false;
    }
    *out = value;
    return true;
}

bool str_parse_bool(const char *s, bool *out)
{
    bool yes = str_ieq(s, "true");

    if (!yes && !str_ieq(s, "false")) {
        return false;
    }
    *out = yes;
    return true;
}

typedef struct Unit {
    const char *name;
    int64_t size;
} Unit;

static const Unit *unit_find(const Unit *units, const char *name, size_t n)
{
    for (; units->name; units++) {
        if (strlen(units->name) == n && strncasecmp(units->name, name, n) == 0) {
            return units;
        }
    }
    return NULL;
}

static const char *skip_spaces(const char *s)
{
    return s + strspn(s, " \t\r\n");
}

static size_t word_length(const char *s)
{
    size_t n = 0;

    while (isalpha((unsigned char)s[n]) || (unsigned char)s[n] >= 0x80) {
        n++;
    }
    return n;
}

/* Powers of 1024 under every spelling, as Spark reads byte options. */
static const Unit BYTE_UNITS[] = {
    {"", 1},
    {"b", 1},
    {"k", INT64_C(1) << 10},
    {"kb", INT64_C(1) << 10},
    {"kib", INT64_C(1) << 10},
    {"m", INT64_C(1) << 20},
    {"mb", INT64_C(1) << 20},
    {"mib", INT64_C(1) << 20},
    {"g", INT64_C(1) << 30},
    {"gb", INT64_C(1) << 30},
    {"gib", INT64_C(1) << 30},
    {"t", INT64_C(1) << 40},
    {"tb", INT64_C(1) << 40},
    {"tib", INT64_C(1) << 40},
    {"p", INT64_C(1) << 50},
    {"pb", INT64_C(1) << 50},
    {"pib", INT64_C(1) << 50},
    {NULL, 0},
};

bool str_parse_bytes(const char *s, int64_t *out)
{
    int64_t value = 0, result;

    s = skip_spaces(s);
    if (!isdigit((unsigned char)*s)) {
        return false;
    }
    for (; isdigit((unsigned char)*s); s++) {
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *s - '0', &value)) {
            return false;
        }
    }
    s = skip_spaces(s);
    size_t n = word_length(s);
    const Unit *unit = unit_find(BYTE_UNITS, s, n);
    if (!unit || *skip_spaces(s + n) != '\0' || __builtin_mul_overflow(value, unit->size, &result)) {
        return false;
    }
    *out = result;
    return true;
}

#define US_PER_SECOND INT64_C(1000000)
static const Unit TIME_UNITS[] = {
    {"us", 1},
    {"\xC2\xB5s", 1},
    {"microsecond", 1},
    {"microseconds", 1},
    {"ms", 1000},
    {"msec", 1000},
    {"millisecond", 1000},
    {"milliseconds", 1000},
    {"s", US_PER_SECOND},
    {"sec", US_PER_SECOND},
    {"secs", US_PER_SECOND},
    {"second", US_PER_SECOND},
    {"seconds", US_PER_SECOND},
    {"m", 60 * US_PER_SECOND},
    {"min", 60 * US_PER_SECOND},
    {"mins", 60 * US_PER_SECOND},
    {"minute", 60 * US_PER_SECOND},
    {"minutes", 60 * US_PER_SECOND},
    {"h", 3600 * US_PER_SECOND},
    {"hr", 3600 * US_PER_SECOND},
    {"hour", 3600 * US_PER_SECOND},
    {"hours", 3600 * US_PER_SECOND},
    {"d", 86400 * US_PER_SECOND},
    {"day", 86400 * US_PER_SECOND},
    {"days", 86400 * US_PER_SECOND},
    {"w", 7 * 86400 * US_PER_SECOND},
    {"week", 7 * 86400 * US_PER_SECOND},
    {"weeks", 7 * 86400 * US_PER_SECOND},
    {NULL, 0},
};

/* One "[-]number[.fraction] unit" as microseconds; a fraction of a microsecond is cut off. */
static bool parse_term(const char **s, int64_t *us)
{
    enum { FRACTION_DIGITS = 6 };
    bool negative = **s == '-';
    int64_t whole = 0, fraction = 0, scale = 1, product;

    if (**s == '-' || **s == '+') {
        *s = skip_spaces(*s + 1);
    }
    if (!isdigit((unsigned char)**s)) {
        return false;
    }
    for (; isdigit((unsigned char)**s); ++*s) {
        if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, **s - '0', &whole)) {
            return false;
        }
    }
    if (**s == '.') {
        const char *start = ++*s;
        for (; isdigit((unsigned char)**s); ++*s) {
            if (*s - start < FRACTION_DIGITS) {
                fraction = fraction * 10 + (**s - '0');
                scale *= 10;
            }
        }
        if (*s == start) {
            return false;
        }
    }
    *s = skip_spaces(*s);
    size_t n = word_length(*s);
    const Unit *unit = unit_find(TIME_UNITS, *s, n);
    if (!unit || __builtin_mul_overflow(whole, unit->size, &product) ||
        __builtin_add_overflow(product, fraction * unit->size / scale, &product)) {
        return false;
    }
    *s = skip_spaces(*s + n);
    *us = negative ? -product : product;
    return true;
}

bool str_parse_interval(const char *s, int64_t *us)
{
    int64_t total = 0, term;

    s = skip_spaces(s);
    if (str_istarts(s, "interval") && !isalnum((unsigned char)s[strlen("interval")])) {
        s = skip_spaces(s + strlen("interval"));
    }
    do {
        if (!parse_term(&s, &term) || __builtin_add_overflow(total, term, &total)) {
            return false;
        }
    } while (*s != '\0');
    *us = total;
    return true;
}

void text_append_count(Text *t, int64_t n)
{
    char digits[32];
    uint64_t size = n < 0 ? -(uint64_t)n : (uint64_t)n;
    int count = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)size);

    if (n < 0) {
        text_append_char(t, '-');
    }
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0) {
            text_append_char(t, ',');
        }
        text_append_char(t, digits[i]);
    }
}

void text_append_bytes(Text *t, double bytes)
{
    static const char *const UNITS[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    size_t unit = 0;

    /* 999.95 would be printed as 1000.0. */
    while (fabs(bytes) >= (unit == 0 ? 999.5 : 999.95) && unit + 1 < sizeof(UNITS) / sizeof(*UNITS)) {
        bytes /= 1000;
        unit++;
    }
    text_printf(t, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, UNITS[unit]);
}

/* The length of the character at s, or 0. Overlong forms, surrogates and what lies above U+10FFFF are refused. */
static size_t utf8_character(const unsigned char *s, size_t n)
{
    unsigned char first = s[0];
    unsigned char least = 0x80, most = 0xBF; /* of the second byte */
    size_t length;

    if (first < 0x80) {
        return 1;
    }
    if (first < 0xC2 || first > 0xF4) {
        return 0;
    }
    length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (first == 0xE0) {
        least = 0xA0;
    } else if (first == 0xED) {
        most = 0x9F;
    } else if (first == 0xF0) {
        least = 0x90;
    } else if (first == 0xF4) {
        most = 0x8F;
    }
    if (n < length || s[1] < least || s[1] > most) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return length;
}

size_t utf8_valid(const char *s, size_t n)
{
    const unsigned char *bytes = (const unsigned char *)s;
    size_t i = 0;

    while (i < n) {
        uint64_t word;
        if (n - i >= sizeof(word)) {
            memcpy(&word, bytes + i, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof(word);
                continue;
            }
        }
        size_t length = utf8_character(bytes + i, n - i);
        if (length == 0) {
            break;
        }
        i += length;
    }
    return i;
}
