/* freshet-generate: a clickstream for benchmarks, demonstrations and tests.
 *
 * Files of JSON lines, each written under a hidden name and renamed when it is complete. Event number i of a seed is a
 * pure function of (seed, i), so the same arguments give the same bytes, a range of files can be made on its own, and a
 * repeated event is simply an earlier number once more:
 *
 *   1 %    of the lines repeat one of the 1,000 events before (same event_id, same bytes)
 *   20 %   of the events are out of order by up to 30 s, 0.5 % late by up to 10 min
 *   1 %    have no user_id (anonymous), 0.5 % no event_type (a broken client)
 *   10 %   are heartbeats, which pipelines filter out
 *
 * A line has about 283 bytes. Event times are spread evenly over --hours from 2026-01-01, or are the wall clock with
 * --live.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 512, BUFFER_BYTES = 1 << 20, REPEAT_DISTANCE = 1000 };

static const int64_t START_MS = 1767225600000; /* 2026-01-01T00:00:00Z */

struct settings {
    uint64_t rows, seed;
    unsigned files, first, last; /* files first..last are written */
    unsigned hours;
    long every_ms; /* pause between two files */
    bool live;
    const char *folder;
};

struct event {
    int64_t time_ms;
    uint64_t id[2];
    uint32_t user, product, cents, session, referrer;
    bool anonymous, broken;
    const char *type, *country, *device, *os;
};

static void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void fail(const char *format, ...)
{
    va_list args;

    fputs("freshet-generate: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

/* ---- chance -------------------------------------------------------------------------------------------------------
 * A counter-based generator: the n-th draw for an event is a hash of (seed, event, n). */

struct dice {
    uint64_t state;
};

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return x ^ (x >> 32);
}

static struct dice dice_for(uint64_t seed, uint64_t number)
{
    return (struct dice){mix(seed * 0x9e3779b97f4a7c15u + 1) ^ mix(number + 0x632be59bd9b4e019u)};
}

static uint64_t draw(struct dice *dice)
{
    dice->state += 0x9e3779b97f4a7c15u;
    return mix(dice->state);
}

static uint32_t below(struct dice *dice, uint32_t n)
{
    return (uint32_t)(((draw(dice) >> 32) * n) >> 32);
}

static double fraction(struct dice *dice)
{
    return (double)(draw(dice) >> 11) * 0x1p-53;
}

/* ---- events -------------------------------------------------------------------------------------------------------
 */

#define PICK(dice, list) ((list)[below((dice), (uint32_t)(sizeof(list) / sizeof(*(list))))])

static const char *const TYPES[] = {"view",   "view",   "view",        "view",     "view",
                                    "search", "search", "add_to_cart", "purchase", "heartbeat"};
static const char *const COUNTRIES[] = {"DE", "DE", "DE", "FR", "FR", "GB", "GB", "US", "US", "US",
                                        "IN", "IN", "BR", "JP", "NL", "ES", "IT", "PL", "SE", "CA"};
static const struct {
    const char *kind, *os;
} DEVICES[] = {
    {"phone", "android"}, {"phone", "android"},   {"phone", "ios"},     {"phone", "ios"},
    {"tablet", "ios"},    {"desktop", "windows"}, {"desktop", "macos"}, {"desktop", "linux"},
};

static struct event event_at(const struct settings *settings, uint64_t number)
{
    struct dice dice = dice_for(settings->seed, number);
    struct event e = {.time_ms = START_MS +
                                 (int64_t)((double)number * (double)settings->hours * 3600e3 / (double)settings->rows)};
    double disorder = fraction(&dice);
    uint32_t device = below(&dice, (uint32_t)(sizeof(DEVICES) / sizeof(*DEVICES)));

    if (disorder < 0.005) {
        e.time_ms -= below(&dice, 600000);
    } else if (disorder < 0.205) {
        e.time_ms -= below(&dice, 30000);
    }
    e.id[0] = draw(&dice);
    e.id[1] = draw(&dice);
    e.user = 100000 + (uint32_t)exp(fraction(&dice) * log(900000)); /* few users make many of the events */
    e.product = (uint32_t)exp(fraction(&dice) * log(5000));
    e.type = PICK(&dice, TYPES);
    e.cents = strcmp(e.type, "purchase") == 0 ? 199 + below(&dice, 30000) : 0;
    e.country = PICK(&dice, COUNTRIES);
    e.session = (uint32_t)draw(&dice);
    e.referrer = below(&dice, 100);
    e.anonymous = below(&dice, 100) == 0;
    e.broken = below(&dice, 200) == 0;
    e.device = DEVICES[device].kind;
    e.os = DEVICES[device].os;
    return e;
}

/* Line number -> event number: itself, or for one line in a hundred an earlier one. */
static uint64_t event_of_line(const struct settings *settings, uint64_t line)
{
    struct dice dice = dice_for(~settings->seed, line);

    if (line < REPEAT_DISTANCE || below(&dice, 100) > 0) {
        return line;
    }
    return line - 1 - below(&dice, REPEAT_DISTANCE);
}

/* ---- text: printf would take three quarters of the time
 * -------------------------------------------------------------- */

static char *put(char *p, const char *text)
{
    size_t n = strlen(text);

    memcpy(p, text, n);
    return p + n;
}

static char *put_number(char *p, uint64_t value, unsigned digits_min)
{
    char digits[20];
    unsigned n = 0;

    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0 || n < digits_min);
    while (n > 0) {
        *p++ = digits[--n];
    }
    return p;
}

static char *put_hex(char *p, uint64_t value, unsigned digits)
{
    while (digits-- > 0) {
        *p++ = "0123456789abcdef"[value >> (4 * digits) & 15];
    }
    return p;
}

static char *put_uuid(char *p, const uint64_t id[2])
{
    p = put_hex(p, id[0] >> 32, 8);
    *p++ = '-';
    p = put_hex(p, id[0] >> 16, 4);
    p = put(p, "-4");
    p = put_hex(p, id[0], 3);
    p = put(p, "-8");
    p = put_hex(p, id[1] >> 48, 3);
    *p++ = '-';
    return put_hex(p, id[1], 12);
}

static char *put_time(char *p, int64_t ms)
{
    static int64_t cached_day = INT64_MIN;
    static char date[16];
    int64_t day = ms / 86400000, rest = ms % 86400000;

    if (day != cached_day) {
        time_t seconds = (time_t)(day * 86400);
        struct tm tm;

        gmtime_r(&seconds, &tm);
        strftime(date, sizeof(date), "%Y-%m-%dT", &tm);
        cached_day = day;
    }
    p = put(p, date);
    p = put_number(p, (uint64_t)(rest / 3600000), 2);
    *p++ = ':';
    p = put_number(p, (uint64_t)(rest / 60000 % 60), 2);
    *p++ = ':';
    p = put_number(p, (uint64_t)(rest / 1000 % 60), 2);
    *p++ = '.';
    p = put_number(p, (uint64_t)(rest % 1000), 3);
    return put(p, "Z");
}

static char *put_event(char *p, const struct event *e)
{
    p = put_uuid(put(p, "{\"event_id\":\""), e->id);
    p = put_time(put(p, "\",\"event_time\":\""), e->time_ms);
    *p++ = '"';
    if (!e->broken) {
        p = put(put(put(p, ",\"event_type\":\""), e->type), "\"");
    }
    if (!e->anonymous) {
        p = put_number(put(p, ",\"user_id\":"), e->user, 1);
    }
    p = put_number(put(p, ",\"product_id\":"), e->product, 1);
    p = put_number(put(p, ",\"revenue\":"), e->cents / 100, 1);
    p = put_number(put(p, "."), e->cents % 100, 2);
    p = put(put(p, ",\"country\":\""), e->country);
    p = put_number(put(p, "\",\"page\":\"https://shop.example/p/"), e->product, 1);
    p = put_number(put(p, "?ref="), e->referrer, 1);
    p = put_hex(put(p, "\",\"session_id\":\""), e->session, 8);
    p = put(put(p, "\",\"device\":{\"kind\":\""), e->device);
    p = put(put(p, "\",\"os\":\""), e->os);
    return put(p, "\"}}\n");
}

/* ---- files --------------------------------------------------------------------------------------------------------
 */

static int64_t wall_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void flush(FILE *file, const char *path, const char *buffer, const char *end)
{
    size_t n = (size_t)(end - buffer);

    if (fwrite(buffer, 1, n, file) != n) {
        fail("%s: %s", path, strerror(errno));
    }
}

/* Writes file k aside and renames it. With --live the events carry the time of writing, and one line on stdout tells
 * the first event and the moment of the rename, in nanoseconds since 1970. */
static void write_file(const struct settings *settings, unsigned k)
{
    static char buffer[BUFFER_BYTES];
    char hidden[4096], path[4096], first_id[37] = "";
    uint64_t line = settings->rows * k / settings->files, end = settings->rows * (k + 1) / settings->files;
    char *p = buffer;
    FILE *file;

    snprintf(hidden, sizeof(hidden), "%s/.clicks-%05u.json.part", settings->folder, k);
    snprintf(path, sizeof(path), "%s/clicks-%05u.json", settings->folder, k);
    if (!(file = fopen(hidden, "w"))) {
        fail("%s: %s", hidden, strerror(errno));
    }
    for (; line < end; line++) {
        struct event e = event_at(settings, settings->live ? line : event_of_line(settings, line));

        if (settings->live) {
            e.time_ms = wall_clock_ns() / 1000000;
        }
        if (!first_id[0]) {
            *put_uuid(first_id, e.id) = 0;
        }
        p = put_event(p, &e);
        if (p > buffer + BUFFER_BYTES - LINE_MAX_BYTES) {
            flush(file, hidden, buffer, p);
            p = buffer;
        }
    }
    flush(file, hidden, buffer, p);
    if (fclose(file)) {
        fail("%s: %s", hidden, strerror(errno));
    }
    int64_t now = wall_clock_ns();
    if (rename(hidden, path)) {
        fail("%s: %s", path, strerror(errno));
    }
    if (settings->live) {
        printf("%s %" PRId64 "\n", first_id, now);
        fflush(stdout);
    }
}

static void write_files(const struct settings *settings)
{
    struct timespec next;

    clock_gettime(CLOCK_MONOTONIC, &next);
    for (unsigned k = settings->first; k <= settings->last; k++) {
        if (k > settings->first && settings->every_ms > 0) {
            next.tv_nsec += settings->every_ms % 1000 * 1000000;
            next.tv_sec += settings->every_ms / 1000 + next.tv_nsec / 1000000000;
            next.tv_nsec %= 1000000000;
            while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR) {
            }
        }
        write_file(settings, k);
    }
}

/* ---- command line ---------------------------------------------------------------------------------------------------
 */

static const char USAGE[] =
    "usage: freshet-generate [OPTION VALUE].. FOLDER\n"
    "\n"
    "Writes a clickstream as files of JSON lines; the same arguments give the same bytes.\n"
    "\n"
    "  --rows N     lines in all (100000), about 283 bytes each\n"
    "  --files N    files they are spread over (10)\n"
    "  --seed N     another seed, other events (1)\n"
    "  --hours N    event time that they cover (24)\n"
    "  --range A-B  only files A to B of these, counted from 0 (all)\n"
    "  --every MS   pause between two files (0)\n"
    "  --live       event times are the wall clock; prints the first event_id of each file and the moment\n"
    "               of its rename, in nanoseconds since 1970\n";

static uint64_t number_argument(const char *option, const char *text, uint64_t min, uint64_t max)
{
    char *end = NULL;
    unsigned long long value;

    errno = 0;
    value = text ? strtoull(text, &end, 10) : 0;
    if (!text || *text < '0' || *text > '9' || *end || errno || value < min || value > max) {
        fail("%s takes a number from %" PRIu64 " to %" PRIu64, option, min, max);
    }
    return value;
}

static struct settings parse_arguments(char **argv)
{
    struct settings s = {.rows = 100000, .files = 10, .seed = 1, .hours = 24, .last = UINT32_MAX};

    for (char **arg = argv + 1; *arg; arg++) {
        if (strcmp(*arg, "--rows") == 0) {
            s.rows = number_argument(*arg, arg[1], 1, UINT32_MAX), arg++;
        } else if (strcmp(*arg, "--files") == 0) {
            s.files = (unsigned)number_argument(*arg, arg[1], 1, 99999), arg++;
        } else if (strcmp(*arg, "--seed") == 0) {
            s.seed = number_argument(*arg, arg[1], 0, UINT64_MAX), arg++;
        } else if (strcmp(*arg, "--hours") == 0) {
            s.hours = (unsigned)number_argument(*arg, arg[1], 1, 1000000), arg++;
        } else if (strcmp(*arg, "--every") == 0) {
            s.every_ms = (long)number_argument(*arg, arg[1], 0, 3600000), arg++;
        } else if (strcmp(*arg, "--range") == 0) {
            if (!arg[1] || sscanf(arg[1], "%u-%u", &s.first, &s.last) != 2 || s.first > s.last) {
                fail("--range takes two numbers, as in 0-7");
            }
            arg++;
        } else if (strcmp(*arg, "--live") == 0) {
            s.live = true;
        } else if (strcmp(*arg, "--help") == 0 || strcmp(*arg, "-h") == 0) {
            fputs(USAGE, stdout);
            exit(0);
        } else if (**arg == '-' || s.folder) {
            fputs(USAGE, stderr);
            exit(2);
        } else {
            s.folder = *arg;
        }
    }
    if (!s.folder) {
        fputs(USAGE, stderr);
        exit(2);
    }
    if (s.last >= s.files) {
        s.last = s.files - 1;
    }
    return s;
}

int main(int argc, char **argv)
{
    struct settings settings = parse_arguments(argv);

    (void)argc;
    if (mkdir(settings.folder, 0777) && errno != EEXIST) {
        fail("%s: %s", settings.folder, strerror(errno));
    }
    write_files(&settings);
    return 0;
}
