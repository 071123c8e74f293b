#include "unit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/file.h"

#define POINT FP_STORE_PUT_BEFORE_PUBLISH
#define NAME  "store.put.before_publish"

static int reset(void **state)
{
    (void)state;
    failpoint_reset();
    return 0;
}

static void test_base_failpoint__error_on_one_hit(void **state)
{
    (void)state;
    Error err = ERROR_NONE;

    assert_string_equal(failpoint_name(POINT), NAME);
    assert_true(strlen(failpoint_text(POINT)) > 0);
    assert_ok(failpoint(POINT, &err));
    assert_int_equal(failpoint_hits(POINT), 1);
    failpoint_arm(POINT, FAILPOINT_ERROR, 3);
    assert_ok(failpoint(POINT, &err));
    assert_ok(failpoint(FP_STORE_PUT_AFTER_PUBLISH, &err));
    assert_int_equal(failpoint(POINT, &err), ERR_IO);
    assert_int_equal(err.id, E_FAILPOINT);
    assert_int_equal(err.flags, ERROR_RETRIABLE);
    assert_contains(err.message, NAME);
    assert_ok(failpoint(POINT, &err));
    assert_int_equal(failpoint_hits(POINT), 4);
}

static void test_base_failpoint__error_on_every_hit(void **state)
{
    (void)state;
    Error err = ERROR_NONE;

    failpoint_arm(POINT, FAILPOINT_ERROR, 0);
    assert_error(failpoint(POINT, &err), E_FAILPOINT);
    assert_error(failpoint(POINT, &err), E_FAILPOINT);
    failpoint_reset();
    assert_int_equal(failpoint_hits(POINT), 0);
    assert_ok(failpoint(POINT, &err));
}

static void test_base_failpoint__crash_and_pause(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();

    if (child == 0) {
        failpoint_arm(POINT, FAILPOINT_CRASH, 2);
        for (int i = 0; i < 10; i++) {
            (void)!failpoint(POINT, NULL);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

    child = fork();
    if (child == 0) {
        failpoint_arm(POINT, FAILPOINT_PAUSE, 1);
        _exit(failpoint(POINT, NULL) == OK ? 5 : 6);
    }
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    kill(child, SIGCONT);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 5);
}

/* The environment is read once a process, so each case runs this program again; the answer is its exit status. */
static int run_with(const char *failpoints, const char *trace)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        setenv("FRESHET_FAILPOINT", failpoints, 1);
        setenv("FRESHET_FAILPOINT_TRACE", trace, 1);
        execl("/proc/self/exe", "test_base_failpoint", "child", (char *)NULL);
        _exit(99);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Passes the point three times; the exit status says at which it failed, 10 more when by a mistake in the variable. */
static int run_child(void)
{
    Error err = ERROR_NONE;

    for (int i = 1; i <= 3; i++) {
        if (failpoint(POINT, &err) != OK) {
            return err.id == E_USAGE ? 10 + i : i;
        }
    }
    return 0;
}

static void test_base_failpoint__environment(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    char trace[] = "/tmp/freshet_trace_XXXXXX";
    Text text = TEXT(1000);

    close(mkstemp(trace));
    assert_int_equal(run_with("", trace), 0);
    assert_ok(file_read(trace, 1000, &text, &err));
    assert_string_equal(text_str(&text), NAME "\n" NAME "\n" NAME "\n");
    assert_int_equal(run_with(NAME "=error@2", ""), 2);
    assert_int_equal(run_with(NAME "=error", ""), 1);
    assert_int_equal(run_with("store.put.after_publish=crash@1;" NAME "=error@3", ""), 3);
    assert_int_equal(run_with(NAME "=crash@2", ""), 128 + SIGKILL);
    assert_int_equal(run_with("no.such.point=error@1", ""), 11);
    assert_int_equal(run_with(NAME "=explode@1", ""), 11);
    assert_int_equal(run_with(NAME "=error@x", ""), 11);
    assert_int_equal(run_with(NAME "=error@-1", ""), 11);
    assert_int_equal(run_with(NAME, ""), 11);
    unlink(trace);
    text_free(&text);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "child") == 0) {
        return run_child();
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_base_failpoint__error_on_one_hit, reset),
        cmocka_unit_test_setup(test_base_failpoint__error_on_every_hit, reset),
        cmocka_unit_test_setup(test_base_failpoint__crash_and_pause, reset),
        cmocka_unit_test_setup(test_base_failpoint__environment, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
