#include "unit.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static char root[] = "/tmp/freshet_file_XXXXXX";

static int enter(void **state)
{
    (void)state;
    return mkdtemp(root) && chdir(root) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    return chdir("/") == 0 && file_remove_tree(root, NULL) == OK && access(root, F_OK) != 0 ? 0 : -1;
}

static void test_base_file__read_and_write(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    Text t = TEXT(0);

    assert_ok(file_write("a", "a\0b", 3, &err));
    assert_ok(file_read("a", 3, &t, &err));
    assert_int_equal(t.length, 3);
    assert_memory_equal(t.data, "a\0b", 4);
    assert_error(file_read("a", 2, &t, &err), E_LIMIT);
    assert_int_equal(t.length, 3); /* untouched on failure */
    assert_ok(file_write("a", "", 0, &err));
    assert_ok(file_read("a", 0, &t, &err));
    assert_int_equal(t.length, 0);
    assert_error(file_read("none", 10, &t, &err), E_IO_NOT_FOUND);
    assert_error(file_read(".", 10, &t, &err), E_IO);
    assert_error(file_write("none/a", "", 0, &err), E_IO_NOT_FOUND);
    assert_ok(file_read("/proc/self/status", 1 << 16, &t, &err)); /* claims to be empty */
    assert_true(t.length > 100 && strlen(t.data) == t.length);
    assert_error(file_read("/dev/zero", 1000, &t, &err), E_LIMIT);
    assert_ok(file_sync("a", &err));
    assert_ok(file_sync_dir(".", &err));
    assert_error(file_sync_dir("a", &err), E_IO);
    text_free(&t);
}

static void test_base_file__folders(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    char path[PATH_MAX];
    struct stat st;

    assert_ok(file_mkdirs("x/y//z/", true, &err));
    assert_int_equal(stat("x/y/z", &st), 0);
    assert_ok(file_mkdirs("x/y/z", false, &err));
    snprintf(path, sizeof(path), "%s/abs/b", root);
    assert_ok(file_mkdirs(path, true, &err));
    assert_ok(file_mkdirs("/", true, &err));
    assert_ok(file_mkdirs("", true, &err));
    assert_ok(file_write("x/file", "1", 1, &err));
    assert_error(file_mkdirs("x/file/z", false, &err), E_IO);
    assert_error(file_mkdirs("x/file", false, &err), E_IO);

    /* What a link points to survives. */
    assert_ok(file_mkdirs("keep", false, &err));
    assert_ok(file_write("keep/file", "1", 1, &err));
    snprintf(path, sizeof(path), "%s/keep", root);
    assert_int_equal(symlink(path, "x/link"), 0);
    assert_ok(file_remove_tree("x", &err));
    assert_int_not_equal(access("x", F_OK), 0);
    assert_int_equal(access("keep/file", F_OK), 0);
    assert_ok(file_remove_tree("x", &err));
}

static void assert_absolute(const char *path, const char *wanted)
{
    Error err = ERROR_NONE;
    Text t = TEXT(PATH_MAX), w = TEXT(PATH_MAX);

    if (wanted[0] != '/') {
        text_printf(&w, "%s%s%s", root, *wanted ? "/" : "", wanted);
    } else {
        text_append(&w, wanted);
    }
    assert_ok(path_absolute(path, &t, &err));
    assert_string_equal(t.data, w.data);
    text_free(&t);
    text_free(&w);
}

static void test_base_file__paths(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    Text t = TEXT(PATH_MAX);

    assert_absolute("/a//b/./c/", "/a/b/c");
    assert_absolute("/a/../b/..", "/");
    assert_absolute("/../../x", "/x");
    assert_absolute("", "");
    assert_absolute(".", "");
    assert_absolute("t", "t");
    assert_absolute("./t/../u", "u");
    assert_int_equal(symlink("/usr/share", "link"), 0);
    assert_absolute("link/t", "link/t");
    assert_absolute("link/../t", "link/../t"); /* the kernel goes to /usr/t, not to t */
    assert_absolute("link/../../t", "link/../../t");

    path_join(&t, "a", "b");
    assert_string_equal(t.data, "a/b");
    text_clear(&t);
    path_join(&t, "a/", "b");
    assert_string_equal(t.data, "a/b");
    text_clear(&t);
    path_join(&t, "", "b");
    assert_string_equal(t.data, "b");

    char long_path[PATH_MAX + 10];
    memset(long_path, 'x', sizeof(long_path));
    long_path[sizeof(long_path) - 1] = '\0';
    assert_error(path_absolute(long_path, &t, &err), E_LIMIT);
    assert_string_equal(t.data, "b");
    text_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_file__read_and_write),
        cmocka_unit_test(test_base_file__folders),
        cmocka_unit_test(test_base_file__paths),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
