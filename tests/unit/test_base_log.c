#include "unit.h"

#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

static int64_t fixed(void *context)
{
    (void)context;
    return INT64_C(1704067200123456);
}

/* What is written to stderr while `log_some` runs. */
static void captured(void (*log_some)(void), Text *out)
{
    Error err = ERROR_NONE;
    char path[] = "/tmp/freshet_log_XXXXXX";
    int file = mkstemp(path), saved = dup(STDERR_FILENO);

    dup2(file, STDERR_FILENO);
    log_some();
    dup2(saved, STDERR_FILENO);
    assert_ok(file_read(path, 1 << 20, out, &err));
    close(saved);
    close(file);
    unlink(path);
}

static void some_levels(void)
{
    log_debug("not shown");
    log_info("flow=%s a\nb\x1B", "x");
    log_set_level(LOG_ERROR);
    log_warning("not shown");
    log_set_level(LOG_DEBUG);
    log_debug("shown");
}

static void one_long(void)
{
    char text[20000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_warning("%s", text);
}

static void test_base_log__lines(void **state)
{
    (void)state;
    Text t = TEXT(1 << 20);

    clock_set(fixed, NULL);
    captured(some_levels, &t);
    assert_string_equal(text_str(&t), "2024-01-01T00:00:00.123Z info flow=x a b \n"
                                      "2024-01-01T00:00:00.123Z debug shown\n");
    captured(one_long, &t);
    assert_true(t.length < 10000);
    assert_int_equal(t.data[t.length - 1], '\n');
    clock_set(NULL, NULL);
    text_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_base_log__lines)};
    unsetenv("FRESHET_LOG");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
