#include "source/time_pattern.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { ITEMS_MAX = 128, DIGITS_MAX = 18 };

/* letter 0: the literal byte `count`; '[' and ']': bounds of an optional part, '[' knows its end. */
typedef struct Item {
    char letter;
    int count;
} Item;

struct TimePattern {
    Item items[ITEMS_MAX];
    int n;
};

typedef struct Fields {
    int64_t year, month, day, hour, minute, second, micros, zone_s;
    bool pm, half_day, has_zone;
} Fields;

static Status add_item(TimePattern *p, char letter, int count, Error *err)
{
    if (p->n == ITEMS_MAX) {
        return error_set(err, E_STREAM_OPTION, "a time pattern is longer than %d parts", ITEMS_MAX);
    }
    p->items[p->n++] = (Item){letter, count};
    return OK;
}

/* 'text' or '' at *s; moves behind it. */
static Status add_quoted(TimePattern *p, const char **s, Error *err)
{
    const char *c = *s + 1;
    Status rc = OK;
    if (*c == '\'') {
        *s = c + 1;
        return add_item(p, 0, '\'', err);
    }
    for (; *c && *c != '\'' && rc == OK; c++) {
        rc = add_item(p, 0, (unsigned char)*c, err);
    }
    *s = c + (*c == '\'');
    return rc;
}

/* A letter, once or several times in a row, at *s; moves behind it. */
static Status add_run(TimePattern *p, const char *text, const char **s, Error *err)
{
    char letter = **s;
    size_t n = strspn(*s, (char[]){letter, '\0'});

    *s += n;
    if (n > DIGITS_MAX) {
        return error_set(err, E_STREAM_OPTION, "time pattern '%s': %zu times %c, at most %d are understood", text, n,
                         letter, DIGITS_MAX);
    }
    return add_item(p, letter, (int)n, err);
}

static Status close_optionals(TimePattern *p, const char *text, Error *err)
{
    int open[ITEMS_MAX], depth = 0;
    for (int i = 0; i < p->n; i++) {
        if (p->items[i].letter == '[') {
            open[depth++] = i;
        } else if (p->items[i].letter == ']') {
            if (depth == 0) {
                return error_set(err, E_STREAM_OPTION, "time pattern '%s': ']' without '['", text);
            }
            p->items[open[--depth]].count = i;
        }
    }
    return depth == 0 ? OK : error_set(err, E_STREAM_OPTION, "time pattern '%s': '[' without ']'", text);
}

Status time_pattern_new(const char *pattern, Arena *arena, const TimePattern **out, Error *err)
{
    TimePattern *p = arena_alloc(arena, sizeof *p);
    Status rc = OK;

    for (const char *s = pattern; *s && rc == OK;) {
        if (*s == '\'') {
            rc = add_quoted(p, &s, err);
        } else if (*s == '[' || *s == ']') {
            rc = add_item(p, *s++, 0, err);
        } else if (!isalpha((unsigned char)*s)) {
            rc = add_item(p, 0, (unsigned char)*s++, err);
        } else if (strchr("yuMLdHhmsSXxZOVzaE", *s) == NULL) {
            return error_set(err, E_STREAM_OPTION, "time pattern '%s': the letter %c is not understood", pattern, *s);
        } else {
            rc = add_run(p, pattern, &s, err);
        }
    }
    if (rc == OK) {
        rc = close_optionals(p, pattern, err);
    }
    if (rc == OK) {
        *out = p;
    }
    return rc;
}

static bool take_digits(const char **s, const char *end, int least, int most, int64_t *out)
{
    int64_t value = 0;
    int n = 0;
    for (; *s < end && n < most && isdigit((unsigned char)**s); (*s)++, n++) {
        value = value * 10 + (**s - '0');
    }
    *out = value;
    return n >= least && n > 0;
}

/* .5 and .500000 are the same; digits beyond micros are dropped. */
static bool take_fraction(const char **s, const char *end, int64_t *micros)
{
    const char *start = *s;
    int64_t value = 0;
    int n = 0;
    for (; *s < end && isdigit((unsigned char)**s); (*s)++) {
        if (n < 6) {
            value = value * 10 + (**s - '0');
            n++;
        }
    }
    for (; n < 6; n++) {
        value *= 10;
    }
    *micros = value;
    return *s > start;
}

static bool take_name(const char **s, const char *end, const char *const *names, int n_names, bool whole, int64_t *out)
{
    for (int i = 0; i < n_names; i++) {
        size_t n = whole ? strlen(names[i]) : 3;
        if ((size_t)(end - *s) >= n && strncasecmp(*s, names[i], n) == 0) {
            *s += n;
            *out = i + 1;
            return true;
        }
    }
    return false;
}

static bool take_zone(const char **s, const char *end, Fields *f)
{
    static const char *const UTC[] = {"UTC", "GMT"};
    int64_t hours = 0, minutes = 0, ignored;

    f->has_zone = true;
    if (*s < end && (**s == 'Z' || **s == 'z')) {
        (*s)++;
        return true;
    }
    bool named = take_name(s, end, UTC, 2, true, &ignored);
    if (*s == end || (**s != '+' && **s != '-')) {
        return named;
    }
    int sign = *(*s)++ == '-' ? -1 : 1;
    if (!take_digits(s, end, 1, 2, &hours)) {
        return false;
    }
    bool colon = *s < end && **s == ':';
    *s += colon;
    if (!take_digits(s, end, 2, 2, &minutes) && colon) {
        return false;
    }
    f->zone_s = sign * (hours * 3600 + minutes * 60);
    return hours <= 18 && minutes < 60;
}

static bool take_item(const TimePattern *p, int i, const char **s, const char *end, Fields *f)
{
    static const char *const MONTHS[] = {"January", "February", "March",     "April",   "May",      "June",
                                         "July",    "August",   "September", "October", "November", "December"};
    static const char *const DAYS[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
    Item item = p->items[i];
    bool tight = i + 1 < p->n && p->items[i + 1].letter != 0 && strchr("yuMLdHhmsS", p->items[i + 1].letter) != NULL;
    int least = item.count > 1 ? item.count : 1, most = tight ? least : item.count > 2 ? DIGITS_MAX : 2;
    int64_t ignored;

    switch (item.letter) {
    case 0: return *s < end && (unsigned char)*(*s)++ == item.count;
    case 'y':
    case 'u':
        if (!take_digits(s, end, least, tight ? least : item.count == 2 ? 2 : 6, &f->year)) {
            return false;
        }
        f->year += item.count == 2 ? 2000 : 0;
        return true;
    case 'M':
    case 'L':
        return item.count >= 3 ? take_name(s, end, MONTHS, 12, item.count > 3, &f->month)
                               : take_digits(s, end, least, most, &f->month);
    case 'd': return take_digits(s, end, least, most, &f->day);
    case 'h': f->half_day = true; return take_digits(s, end, least, most, &f->hour);
    case 'H': return take_digits(s, end, least, most, &f->hour);
    case 'm': return take_digits(s, end, least, most, &f->minute);
    case 's': return take_digits(s, end, least, most, &f->second);
    case 'S': return take_fraction(s, end, &f->micros);
    case 'E': return take_name(s, end, DAYS, 7, item.count > 3, &ignored);
    case 'a':
        if (end - *s < 2 || ((*s)[1] | 0x20) != 'm' || strchr("aApP", **s) == NULL) {
            return false;
        }
        f->pm = (**s | 0x20) == 'p';
        *s += 2;
        return true;
    default: return take_zone(s, end, f);
    }
}

/* Items [from, to); an optional part that does not fit is passed over. */
static bool take_items(const TimePattern *p, int from, int to, const char **s, const char *end, Fields *f)
{
    for (int i = from; i < to; i++) {
        if (p->items[i].letter == '[') {
            const char *at = *s;
            Fields before = *f;
            int close = p->items[i].count;
            if (!take_items(p, i + 1, close, s, end, f)) {
                *s = at;
                *f = before;
            }
            i = close;
        } else if (!take_item(p, i, s, end, f)) {
            return false;
        }
    }
    return true;
}

static int64_t days_from_civil(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool is_time(const Fields *f)
{
    static const int8_t LENGTH[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = f->year % 4 == 0 && (f->year % 100 != 0 || f->year % 400 == 0);
    if (f->month < 1 || f->month > 12 || f->day < 1 || f->day > LENGTH[f->month - 1] + (leap && f->month == 2)) {
        return false;
    }
    bool hour = f->half_day ? f->hour >= 1 && f->hour <= 12 : f->hour <= 23;
    return hour && f->minute <= 59 && f->second <= 59 && f->year <= 200000;
}

bool time_pattern_parse(const TimePattern *pattern, const char *s, size_t n, int64_t *us, bool *has_zone)
{
    Fields f = {.year = 1970, .month = 1, .day = 1};
    const char *end = s + n;

    if (!take_items(pattern, 0, pattern->n, &s, end, &f) || s != end || !is_time(&f)) {
        return false;
    }
    if (f.half_day) {
        f.hour = f.hour % 12 + (f.pm ? 12 : 0);
    }
    int64_t seconds = days_from_civil(f.year, f.month, f.day) * 86400 + f.hour * 3600 + f.minute * 60 + f.second -
                      f.zone_s;
    *us = seconds * 1000000 + f.micros;
    *has_zone = f.has_zone;
    return true;
}
