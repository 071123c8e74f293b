#include "unit.h"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t fixed(void *context)
{
    return *(int64_t *)context;
}

static void test_base_clock__can_be_replaced(void **state)
{
    (void)state;
    int64_t now = -1500;

    clock_set(fixed, &now);
    assert_true(clock_now_us() == -1500);
    assert_true(clock_now_ms() == -2); /* floor, also before 1970 */
    clock_set(NULL, NULL);
    assert_true(clock_now_us() / 1000000 - (int64_t)time(NULL) <= 1);
    int64_t mono = clock_mono_us();
    assert_true(clock_mono_us() >= mono);
}

static void test_base_clock__iso(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *text;
    } CASES[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {INT64_C(1704067200123456), "2024-01-01T00:00:00.123456Z"},
        {INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z"},
        {INT64_C(-62135596800000000), "0001-01-01T00:00:00.000000Z"},
        {INT64_C(-62135596800000001), "0000-12-31T23:59:59.999999Z"},
        {INT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z"},
        {INT64_MAX, "294247-01-10T04:00:54.775807Z"},
        {INT64_MIN, "-290308-12-21T19:59:05.224192Z"},
    };
    char text[32];

    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        time_iso_us(CASES[i].us, text);
        assert_string_equal(text, CASES[i].text);
    }
    time_iso_ms(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    time_iso_ms(INT64_MIN, text);
    assert_string_equal(text, "-292275055-05-16T16:47:04.192Z");
}

static void test_base_clock__parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } GOOD[] = {
        {"1970-01-01", 0},
        {"2024-01-01", INT64_C(1704067200000000)},
        {"2024-01-01 05:06:07", INT64_C(1704085567000000)},
        {"2024-01-01T05:06", INT64_C(1704085560000000)},
        {"2024-01-01T05:06:07Z", INT64_C(1704085567000000)},
        {"2024-01-01T05:06:07.5z", INT64_C(1704085567500000)},
        {"2024-01-01T05:06:07.123456789Z", INT64_C(1704085567123456)},
        {"2024-01-01T05:06:07+02", INT64_C(1704078367000000)},
        {"2024-01-01T05:06:07-0530", INT64_C(1704105367000000)},
        {"2024-01-01T05:06:07.25+05:30", INT64_C(1704065767250000)},
        {"1969-12-31T23:59:59.999999", -1},
        {"0001-01-01", INT64_C(-62135596800000000)},
        {"2000-02-29", INT64_C(951782400000000)},
    };
    static const char *const BAD[] = {
        "",
        "2024",
        "2024-1-1",
        "2024-13-01",
        "2024-00-01",
        "2024-02-30",
        "2023-02-29",
        "1900-02-29",
        "2024-04-31",
        "2024-01-00",
        "2024-01-01x",
        "2024-01-01 ",
        "2024-01-01 5:06:07",
        "2024-01-01 24:00:00",
        "2024-01-01 05:60:00",
        "2024-01-01 05:06:60",
        "2024-01-01 05:06:07.",
        "2024-01-01 05:06:07.1234567890",
        "2024-01-01 05:06:07+",
        "2024-01-01 05:06:07+2",
        "2024-01-01 05:06:07+02:",
        "2024-01-01 05:06:07+19",
        "2024-01-01 05:06:07+02:60",
        "2024-01-01 05:06:07Zx",
        "999999-01-01",
        " 2024-01-01",
    };
    for (size_t i = 0; i < sizeof(GOOD) / sizeof(*GOOD); i++) {
        int64_t us = 42;
        if (!time_parse_us(GOOD[i].text, &us) || us != GOOD[i].us) {
            fail_msg("'%s' gives %lld", GOOD[i].text, (long long)us);
        }
    }
    for (size_t i = 0; i < sizeof(BAD) / sizeof(*BAD); i++) {
        int64_t us = 42;
        if (time_parse_us(BAD[i], &us) || us != 42) {
            fail_msg("'%s' gives %lld", BAD[i], (long long)us);
        }
    }
}

/* Against the C library, and back again. */
static void test_base_clock__round_trip(void **state)
{
    (void)state;
    test_seed();
    for (int i = 0; i < 20000; i++) {
        int64_t us = (int64_t)(random_u64() % UINT64_C(600000000000000000)) - INT64_C(300000000000000000);
        us = i % 100 == 0 ? (int64_t)random_u64() : us;
        char text[32], wanted[64];
        int64_t back, seconds = us / 1000000 - (us % 1000000 < 0);
        time_iso_us(us, text);
        assert_true(time_parse_us(text, &back));
        assert_true(back == us);
        time_t t = (time_t)seconds;
        struct tm tm;
        gmtime_r(&t, &tm);
        snprintf(wanted, sizeof(wanted), "-%02d-%02dT%02d:%02d:%02d.", tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                 tm.tm_sec);
        assert_contains(text, wanted);
    }
}

static void test_base_clock__random(void **state)
{
    (void)state;
    random_seed(7);
    uint64_t first = random_u64();
    random_seed(7);
    assert_true(random_u64() == first);
    for (int i = 0; i < 1000; i++) {
        double x = random_unit();
        assert_true(x >= 0 && x < 1);
    }
    char a[UUID_TEXT], b[UUID_TEXT];
    uuid_text(a);
    uuid_text(b);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 36);
    assert_int_equal(a[14], '4');
    assert_non_null(strchr("89ab", a[19]));
    assert_int_equal(strspn(a, "0123456789abcdef-"), 36);
}

/* Two processes that share a seed up to fork() must not make the same names after it. */
static void test_base_clock__fork_reseeds(void **state)
{
    (void)state;
    int ends[2];
    char mine[UUID_TEXT], theirs[UUID_TEXT];

    random_seed(7);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        uuid_text(mine);
        _exit(write(ends[1], mine, sizeof(mine)) == sizeof(mine) ? 0 : 1);
    }
    uuid_text(mine);
    assert_int_equal(read(ends[0], theirs, sizeof(theirs)), sizeof(theirs));
    assert_string_not_equal(mine, theirs);
    waitpid(child, NULL, 0);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_clock__can_be_replaced), cmocka_unit_test(test_base_clock__iso),
        cmocka_unit_test(test_base_clock__parse),           cmocka_unit_test(test_base_clock__round_trip),
        cmocka_unit_test(test_base_clock__random),          cmocka_unit_test(test_base_clock__fork_reseeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
