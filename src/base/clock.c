/* Clocks, random numbers, UUIDs, and the ISO form of moments. */
#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define US_PER_S  INT64_C(1000000)
#define S_PER_DAY INT64_C(86400)

typedef int64_t NowFn(void *);
static _Atomic(NowFn *) wall_now;
static _Atomic(void *) wall_context;

static int64_t read_clock(clockid_t id)
{
    struct timespec t = {0};
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

int64_t clock_now_us(void)
{
    NowFn *now = atomic_load_explicit(&wall_now, memory_order_acquire);
    return now ? now(atomic_load(&wall_context)) : read_clock(CLOCK_REALTIME);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t clock_now_ms(void)
{
    return floor_div(clock_now_us(), 1000);
}

int64_t clock_mono_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

void clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct timespec clock_deadline(int64_t us)
{
    int64_t until = clock_mono_us() + us;
    return (struct timespec){.tv_sec = until / US_PER_S, .tv_nsec = until % US_PER_S * 1000};
}

void clock_set(int64_t (*now_us)(void *), void *context)
{
    atomic_store(&wall_context, context);
    atomic_store_explicit(&wall_now, now_us, memory_order_release);
}

/* Chance: xoshiro256** per thread, its four words filled from the kernel, or from a seed by splitmix64. A child made by
 * fork() starts with new words: two processes must never name a file alike. */
static _Thread_local struct {
    bool seeded;
    uint64_t s[4];
} chance;

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void forget_seed(void)
{
    chance.seeded = false;
}

static void watch_fork(void)
{
    pthread_atfork(NULL, NULL, forget_seed);
}

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

void random_seed(uint64_t seed)
{
    pthread_once(&fork_once, watch_fork);
    for (int i = 0; i < 4; i++) {
        chance.s[i] = splitmix(&seed);
    }
    chance.seeded = true;
}

static void seed_from_kernel(void)
{
    uint64_t words[4];

    if (getrandom(words, sizeof(words), 0) != (ssize_t)sizeof(words)) {
        /* Only a kernel without getrandom comes here: time, process and stack address still tell threads apart. */
        random_seed((uint64_t)read_clock(CLOCK_REALTIME) ^ (uint64_t)getpid() << 40 ^ (uint64_t)(uintptr_t)&chance);
        return;
    }
    pthread_once(&fork_once, watch_fork);
    memcpy(chance.s, words, sizeof(words));
    chance.s[0] |= 1; /* all zero is the one state that stays where it is */
    chance.seeded = true;
}

static uint64_t rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t random_u64(void)
{
    if (!chance.seeded) {
        seed_from_kernel();
    }
    uint64_t *s = chance.s;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

double random_unit(void)
{
    return (double)(random_u64() >> 11) * 0x1.0p-53;
}

void uuid_text(char out[UUID_TEXT])
{
    static const char HEX[] = "0123456789abcdef";
    uint64_t words[2] = {random_u64(), random_u64()};
    size_t at = 0;

    words[0] = (words[0] & ~UINT64_C(0xF000)) | 0x4000;               /* version 4 */
    words[1] = (words[1] & ~(UINT64_C(3) << 62)) | UINT64_C(2) << 62; /* variant 1 */
    for (int i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20) {
            out[at++] = '-';
        }
        out[at++] = HEX[words[i / 16] >> (60 - 4 * (i % 16)) & 15];
    }
    out[at] = '\0';
}

/* The proleptic Gregorian calendar. Years are counted from 1 March, so that the leap day is the last one of a year;
 * an era is 400 years, 146097 days. */
enum { ERA_DAYS = 146097, DAYS_TO_1970 = 719468 };

static int64_t days_from_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = floor_div(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - DAYS_TO_1970;
}

static void civil_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    days += DAYS_TO_1970;
    int64_t era = floor_div(days, ERA_DAYS);
    int64_t day_of_era = days - era * ERA_DAYS;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (ERA_DAYS - 1)) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t from_march = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * from_march + 2) / 5 + 1);
    *month = (int)(from_march < 10 ? from_march + 3 : from_march - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

enum { ISO_MAX = 32 };

static void format_iso(int64_t value, int64_t per_second, int digits, char *out)
{
    int64_t seconds = floor_div(value, per_second);
    int64_t fraction = (value % per_second + per_second) % per_second;
    int64_t days = floor_div(seconds, S_PER_DAY);
    int of_day = (int)(seconds - days * S_PER_DAY);
    int64_t year;
    int month, day;
    char text[96];

    civil_from_days(days, &year, &month, &day);
    snprintf(text, sizeof(text), "%s%04lld-%02d-%02dT%02d:%02d:%02d.%0*lldZ", year < 0 ? "-" : "",
             (long long)(year < 0 ? -year : year), month, day, of_day / 3600, of_day / 60 % 60, of_day % 60, digits,
             (long long)fraction);
    memcpy(out, text, strnlen(text, ISO_MAX - 1) + 1);
    out[ISO_MAX - 1] = '\0';
}

void time_iso_ms(int64_t ms, char *out)
{
    format_iso(ms, 1000, 3, out);
}

void time_iso_us(int64_t us, char *out)
{
    format_iso(us, US_PER_S, 6, out);
}

/* Reads between `least` and `most` digits. */
static bool digits(const char **s, int least, int most, int64_t *out)
{
    int64_t value = 0;
    int n = 0;

    while (n < most && **s >= '0' && **s <= '9') {
        value = value * 10 + (*(*s)++ - '0');
        n++;
    }
    *out = value;
    return n >= least;
}

static bool parse_date(const char **s, int64_t *days)
{
    int64_t year, month, day;
    bool before_christ = **s == '-';
    int64_t back_year;
    int back_month, back_day;

    if (**s == '-' || **s == '+') {
        ++*s;
    }
    if (!digits(s, 4, 6, &year) || *(*s)++ != '-' || !digits(s, 2, 2, &month) || *(*s)++ != '-' ||
        !digits(s, 2, 2, &day) || month < 1 || month > 12 || day < 1) {
        return false;
    }
    year = before_christ ? -year : year;
    *days = days_from_civil(year, (int)month, (int)day);
    civil_from_days(*days, &back_year, &back_month, &back_day);
    return back_year == year && back_month == month && back_day == day; /* 30 February is 1 or 2 March */
}

static bool parse_of_day(const char **s, int64_t *us)
{
    int64_t hour, minute, second = 0, fraction = 0;

    if (!digits(s, 2, 2, &hour) || *(*s)++ != ':' || !digits(s, 2, 2, &minute) || hour > 23 || minute > 59) {
        return false;
    }
    if (**s == ':') {
        ++*s;
        if (!digits(s, 2, 2, &second) || second > 59) {
            return false;
        }
        if (**s == '.') {
            const char *start = ++*s;
            if (!digits(s, 1, 6, &fraction)) {
                return false;
            }
            for (int64_t n = *s - start; n < 6; n++) {
                fraction *= 10;
            }
            for (int extra = 0; extra < 3 && **s >= '0' && **s <= '9'; extra++) {
                ++*s; /* nanoseconds are cut off */
            }
        }
    }
    *us = ((hour * 60 + minute) * 60 + second) * US_PER_S + fraction;
    return true;
}

/* "", "Z", "+hh", "+hhmm", "+hh:mm". */
static bool parse_zone(const char **s, int64_t *us)
{
    int64_t hours, minutes = 0;
    char sign = **s;

    *us = 0;
    if (sign == '\0') {
        return true;
    }
    ++*s;
    if (sign == 'Z' || sign == 'z') {
        return true;
    }
    if ((sign != '+' && sign != '-') || !digits(s, 2, 2, &hours)) {
        return false;
    }
    if (**s == ':') {
        ++*s;
        if (!digits(s, 2, 2, &minutes)) {
            return false;
        }
    } else if (**s != '\0' && !digits(s, 2, 2, &minutes)) {
        return false;
    }
    *us = (hours * 60 + minutes) * 60 * US_PER_S * (sign == '-' ? -1 : 1);
    return hours <= 18 && minutes <= 59;
}

bool time_parse_us(const char *text, int64_t *us)
{
    const char *s = text;
    int64_t days, of_day = 0, zone = 0, result;

    if (!parse_date(&s, &days)) {
        return false;
    }
    if (*s == 'T' || *s == 't' || *s == ' ') {
        s++;
        if (!parse_of_day(&s, &of_day) || !parse_zone(&s, &zone)) {
            return false;
        }
    }
    if (*s != '\0' || __builtin_mul_overflow(days, S_PER_DAY * US_PER_S, &result) ||
        __builtin_add_overflow(result, of_day - zone, &result)) {
        return false;
    }
    *us = result;
    return true;
}
