/* The local store: full disks, crashes, paths, links. And what only the one in memory is. */
#include "store_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A file size limit stands for a full disk: the write fails in the middle. */
static void test_store_local__failed_write_leaves_nothing(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;
    struct rlimit before, small;
    static char content[100000];

    signal(SIGXFSZ, SIG_IGN);
    assert_ok(store_put(s, "log/last", "old", 3, &err));
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){.rlim_cur = 4096, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    Status first = store_put_if_absent(s, "log/0.json", content, sizeof(content), &err);
    Status second = store_put(s, "log/last", content, sizeof(content), &err);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(first, ERR_IO);
    assert_int_equal(second, ERR_IO);
    assert_int_equal(err.flags & ERROR_UNKNOWN_OUTCOME, 0);
    assert_contains(err.message, "log/last: File too large");
    assert_contains(err.hint, "ulimit");
    assert_content(s, "log/last", "old");
    assert_tree(s, "", 0, "log/last:3 ");
    error_clear(&err);
    assert_ok(store_put_if_absent(s, "log/0.json", content, sizeof(content), &err));
}

static void test_store_local__crash_before_and_after_publishing(void **state)
{
    Store *s = *state;
    static const FailpointId POINTS[] = {FP_STORE_PUT_BEFORE_PUBLISH, FP_STORE_PUT_AFTER_PUBLISH};
    char key[16];

    for (int i = 0; i < 2; i++) {
        int status;
        snprintf(key, sizeof(key), "log/%d", i);
        pid_t child = fork();
        if (child == 0) {
            failpoint_arm(POINTS[i], FAILPOINT_CRASH, 1);
            _exit(put(s, key, "x", NULL) == OK ? 1 : 2);
        }
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        StoreInfo info;
        assert_int_equal(store_info(s, key, &info, NULL) == OK, i == 1);
    }
    /* What may stay behind begins with a dot and ends with .tmp. */
    Error err = ERROR_NONE;
    Seen seen = {TEXT(READ_MAX), 0};
    assert_ok(store_list(s, "log", NULL, collect, &seen, &err));
    assert_contains(seen.text.data, ".0.");
    assert_contains(seen.text.data, ".tmp:1 1:1 ");
    assert_ok(put(s, "log/0", "x", &err)); /* and does not stand in the way */
    text_free(&seen.text);
}

static void test_store_local__uris(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    Store *s = NULL;
    static const struct {
        const char *uri, *path; /* NULL: E_STORE_URI */
    } CASES[] = {
        {"/a/b", "/a/b"},
        {"/a//b/./c/", "/a/b/c"},
        {"/a%20b", "/a%20b"},
        {"file:///a%20b%25/c", "/a b%/c"},
        {"FILE:///a", "/a"},
        {"file://localhost/a", "/a"},
        {"file:/a", "/a"},
        {"/", "/"},
        {"file://host/a", NULL},
        {"file:///a%2", NULL},
        {"file:///a%00b", NULL},
        {"s3://bucket/t", NULL},
        {"abfss://c@a.dfs.core.windows.net/t", NULL},
        {"memory://", NULL},
        {"memory:///x", NULL},
        {"memory://m/../x", NULL},
        {"memory://m//x", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        if (!CASES[i].path) {
            assert_error(store_open(CASES[i].uri, &s, &err), E_STORE_URI);
            continue;
        }
        assert_ok(store_open(CASES[i].uri, &s, &err));
        assert_string_equal(store_uri(s), CASES[i].path);
        store_unref(s);
    }
    (void)!store_open("s3://bucket/t", &s, &err);
    assert_contains(err.message, "s3://");
    assert_contains(err.hint, "memory://");
    error_clear(&err);

    char cwd[PATH_MAX], wanted[PATH_MAX + 10];
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    assert_ok(store_open("t/u", &s, &err));
    snprintf(wanted, sizeof(wanted), "%s/t/u", cwd);
    assert_string_equal(store_uri(s), wanted);
    store_unref(s);
    assert_ok(store_open("/", &s, &err));
    Text t = TEXT(PATH_MAX);
    assert_ok(store_local_path(s, "proc/self/stat", &t, &err));
    assert_string_equal(t.data, "/proc/self/stat");
    assert_content(s, "proc/sys/kernel/ostype", "Linux\n");
    text_free(&t);
    store_unref(s);
}

static void test_store_local__paths_and_links(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;
    Text t = TEXT(PATH_MAX), small = TEXT(3);
    char wanted[PATH_MAX], link[PATH_MAX];

    assert_ok(store_local_path(s, "a b/c", &t, &err));
    snprintf(wanted, sizeof(wanted), "%s/a b/c", store_uri(s));
    assert_string_equal(t.data, wanted);
    assert_ok(store_local_path(s, "", &t, &err));
    assert_string_equal(t.data, store_uri(s));
    assert_error(store_local_path(s, "a", &small, &err), E_LIMIT);

    /* A link to a file is a file, a link to nothing is not there, a link to a folder is listed but not entered. */
    assert_ok(put(s, "d/f", "12345", &err));
    snprintf(link, sizeof(link), "%s/to_file", store_uri(s));
    assert_int_equal(symlink("d/f", link), 0);
    snprintf(link, sizeof(link), "%s/to_nothing", store_uri(s));
    assert_int_equal(symlink("none", link), 0);
    snprintf(link, sizeof(link), "%s/to_itself", store_uri(s));
    assert_int_equal(symlink("to_itself", link), 0);
    snprintf(link, sizeof(link), "%s/to_folder", store_uri(s));
    assert_int_equal(symlink(".", link), 0);
    assert_list(s, "", NULL, 0, "d/ to_file:5 to_folder/ ");
    assert_tree(s, "", 0, "d/f:5 to_file:5 ");
    assert_ok(store_delete_folder(s, "to_folder", &err));
    assert_list(s, "", NULL, 0, "d/ to_file:5 ");
    text_free(&t);
}

static void test_store_local__errors_name_the_path(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;
    Text t = TEXT(10);
    char path[PATH_MAX];

    assert_int_equal(store_read(s, "no/such", 10, &t, NULL, &err), ERR_NOT_FOUND);
    assert_contains(err.message, store_uri(s));
    assert_contains(err.message, "no/such: No such file or directory");
    if (geteuid() != 0) {
        assert_ok(put(s, "d/f", "x", &err));
        snprintf(path, sizeof(path), "%s/d", store_uri(s));
        chmod(path, 0500);
        assert_int_equal(put(s, "d/g", "x", &err), ERR_IO);
        assert_contains(err.hint, "permissions");
        chmod(path, 0700);
    }
}

static void test_store_local__deep_folders_are_refused(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;
    Text key = TEXT(PATH_MAX);
    Seen seen = {TEXT(READ_MAX), 0};

    for (int i = 0; i < 200; i++) {
        text_append(&key, "d/");
    }
    text_append(&key, "f");
    assert_ok(put(s, key.data, "x", &err));
    assert_content(s, key.data, "x");
    assert_error(store_list_recursive(s, "", collect, &seen, &err), E_LIMIT);
    text_free(&key);
}

static void test_store_memory__limits_and_sharing(void **state)
{
    Store *s = *state, *other = NULL;
    Error err = ERROR_NONE;
    Text t = TEXT(10);

    assert_error(store_local_path(s, "a", &t, &err), E_STORE_UNSUPPORTED);
    assert_ok(put(s, "t/a", "x", &err));
    assert_ok(store_open("memory://another/t/", &other, &err));
    assert_string_equal(store_uri(other), "memory://another/t");
    assert_tree(other, "", 0, "");
    store_unref(other);
}

/* A place written into a file of a folder is found again when the folder has moved, if it lay in the folder. */
static void test_store_place__moves_with_its_folder(void **state)
{
    static const struct {
        const char *place, *written, *read_elsewhere;
    } CASES[] = {
        {"/data/wh/default/t", "default/t", "/new/default/t"},
        {"/data/wh", "/data/wh", "/data/wh"}, /* the folder itself */
        {"/data/wh/", "/data/wh/", "/data/wh/"},
        {"/data/wh2/t", "/data/wh2/t", "/data/wh2/t"}, /* the same beginning, another folder */
        {"/other/t", "/other/t", "/other/t"},
        {"memory://wh/t", "memory://wh/t", "memory://wh/t"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Text same = TEXT(1024), moved = TEXT(1024);
        const char *written = store_place_write(CASES[i].place, "/data/wh");
        assert_string_equal(written, CASES[i].written);
        store_place_read(written, "/data/wh", &same);
        store_place_read(written, "/new", &moved);
        assert_string_equal(text_str(&same), CASES[i].place);
        assert_string_equal(text_str(&moved), CASES[i].read_elsewhere);
        text_free(&same);
        text_free(&moved);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_place__moves_with_its_folder),
        LOCAL(test_store_local__failed_write_leaves_nothing),
        LOCAL(test_store_local__crash_before_and_after_publishing),
        LOCAL(test_store_local__uris),
        LOCAL(test_store_local__paths_and_links),
        LOCAL(test_store_local__errors_name_the_path),
        LOCAL(test_store_local__deep_folders_are_refused),
        cmocka_unit_test_setup_teardown(test_store_memory__limits_and_sharing, memory_new, store_done),
    };
    return cmocka_run_group_tests(tests, store_enter, store_leave);
}
