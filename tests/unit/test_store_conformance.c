/* What store.h promises, held against every store. */
#include "store_fixture.h"

static void put_and_read(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;
    Text t = TEXT(2);
    StoreInfo info, again;

    assert_ok(store_put_if_absent(s, "a/b/c.json", "x\0y", 3, &err));
    assert_ok(store_read(s, "a/b/c.json", 3, &t, &info, &err));
    assert_int_equal(t.length, 3);
    assert_memory_equal(t.data, "x\0y", 4);
    assert_int_equal(info.size, 3);
    assert_false(info.is_dir);
    assert_true(llabs(info.mtime_ms - clock_now_ms()) < 60000);
    assert_ok(store_info(s, "a/b/c.json", &again, &err));
    assert_true(again.size == info.size && again.mtime_ms == info.mtime_ms && !again.is_dir);
    assert_error(store_read(s, "a/b/c.json", 2, &t, &info, &err), E_LIMIT);
    assert_int_equal(t.length, 3); /* untouched on failure */
    assert_ok(store_put_if_absent(s, "empty", "", 0, &err));
    assert_ok(store_read(s, "empty", 0, &t, &info, &err));
    assert_int_equal(t.length + (size_t)info.size, 0);
    text_free(&t);
}

static void missing_names(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;
    Text t = TEXT(10);
    StoreInfo info;
    const char *keys[] = {"a", "b"};

    assert_error(store_read(s, "a", 10, &t, NULL, &err), E_IO_NOT_FOUND);
    assert_error(store_read(s, "x/y", 10, &t, NULL, &err), E_IO_NOT_FOUND);
    assert_error(store_read_range(s, "a", 0, 1, &t, &err), E_IO_NOT_FOUND);
    assert_error(store_info(s, "a", &info, &err), E_IO_NOT_FOUND);
    assert_error(store_rename_no_replace(s, "a", "b", &err), E_IO_NOT_FOUND);
    assert_error(store_sync(s, "a", &err), E_IO_NOT_FOUND);
    assert_error(store_sync_many(s, keys, 2, &err), E_IO_NOT_FOUND);
    assert_ok(store_sync_many(s, keys, 0, &err));
    assert_ok(store_delete(s, "a", &err));
    assert_ok(store_delete(s, "x/y/z", &err));
    assert_ok(store_delete_folder(s, "x", &err));
    assert_list(s, "", NULL, 0, "");
    assert_list(s, "x/y", NULL, 0, "");
    assert_tree(s, "", 0, "");
    assert_tree(s, "x", 0, "");
    text_free(&t);
}

static void put_if_absent_does_not_replace(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;

    assert_ok(put(s, "log/0.json", "first", &err));
    assert_int_equal(put(s, "log/0.json", "second", &err), ERR_EXISTS);
    assert_int_equal(err.id, E_IO_EXISTS);
    assert_int_equal(err.flags, 0);
    error_clear(&err);
    assert_content(s, "log/0.json", "first");
    assert_error(put(s, "log", "a folder", &err), E_IO_EXISTS);
    assert_list(s, "log", NULL, 0, "0.json:5 "); /* nothing temporary stays */
}

static void put_replaces(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;

    assert_ok(store_put(s, "log/last", "first", 5, &err));
    assert_ok(store_put(s, "log/last", "2nd", 3, &err));
    assert_content(s, "log/last", "2nd");
    assert_list(s, "log", NULL, 0, "last:3 ");
    assert_error(store_put(s, "log", "a folder", 8, &err), E_IO);
    assert_error(store_put(s, "log/last/x", "below a file", 12, &err), E_IO);
    assert_error(put(s, "log/last/x", "below a file", &err), E_IO);
    assert_list(s, "", NULL, 0, "log/ ");
}

static void keys_stay_inside(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;
    Text t = TEXT(10);
    StoreInfo info;
    Store *below;
    static const char *const BAD[] = {"/a", "a//b", "a/", "..", "../a", "a/..", "a/../b", ".", "./a", "a/./b", "/"};
    char long_key[5000];

    memset(long_key, 'x', sizeof(long_key));
    long_key[sizeof(long_key) - 1] = '\0';
    for (size_t i = 0; i < sizeof(BAD) / sizeof(*BAD); i++) {
        assert_error(store_read(s, BAD[i], 10, &t, NULL, &err), E_STORE_KEY);
        assert_error(store_read_range(s, BAD[i], 0, 1, &t, &err), E_STORE_KEY);
        assert_error(store_info(s, BAD[i], &info, &err), E_STORE_KEY);
        assert_error(put(s, BAD[i], "x", &err), E_STORE_KEY);
        assert_error(store_put(s, BAD[i], "x", 1, &err), E_STORE_KEY);
        assert_error(store_rename_no_replace(s, "a", BAD[i], &err), E_STORE_KEY);
        assert_error(store_rename_no_replace(s, BAD[i], "a", &err), E_STORE_KEY);
        assert_error(store_delete(s, BAD[i], &err), E_STORE_KEY);
        assert_error(store_delete_folder(s, BAD[i], &err), E_STORE_KEY);
        assert_error(store_mkdirs(s, BAD[i], &err), E_STORE_KEY);
        assert_error(store_list(s, BAD[i], NULL, collect, NULL, &err), E_STORE_KEY);
        assert_error(store_list_recursive(s, BAD[i], collect, NULL, &err), E_STORE_KEY);
        assert_error(store_sync(s, BAD[i], &err), E_STORE_KEY);
        assert_error(store_local_path(s, BAD[i], &t, &err), E_STORE_KEY);
        assert_error(store_open_below(s, BAD[i], &below, &err), E_STORE_KEY);
    }
    assert_error(put(s, "", "x", &err), E_STORE_KEY);
    assert_error(put(s, long_key, "x", &err), E_STORE_KEY);
    assert_ok(put(s, "..a/...b/c..", "x", &err)); /* dots alone are not the point */
    text_free(&t);
}

static void strange_names(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;
    static const char *const NAMES[] = {"p=a%2Fb c", "x[1]*?.parquet", "\xC3\xBC", "a\nb", "'\"\\", ".hidden", "-"};
    size_t n = sizeof(NAMES) / sizeof(*NAMES);
    Text t = TEXT(READ_MAX);
    char longest[256];

    for (size_t i = 0; i < n; i++) {
        assert_ok(put(s, NAMES[i], NAMES[i], &err));
        assert_content(s, NAMES[i], NAMES[i]);
    }
    memset(longest, 'x', sizeof(longest));
    longest[255] = '\0'; /* leaves no room for the additions of a temporary name */
    assert_ok(put(s, longest, "1", &err));
    assert_content(s, longest, "1");
    text_free(&t);
}

static void lists_one_folder_in_byte_order(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;
    static const char *const KEYS[] = {"d/b",        "d/a/x", "d/a/y", "d/a-b", "d/B",
                                       "d/\xC3\xBC", "d/a.b", "d/10",  "d/9",   "e"};

    for (size_t i = 0; i < sizeof(KEYS) / sizeof(*KEYS); i++) {
        assert_ok(put(s, KEYS[i], KEYS[i], &err));
    }
    assert_list(s, "", NULL, 0, "d/ e:1 ");
    assert_list(s, "d", NULL, 0, "10:4 9:3 B:3 a/ a-b:5 a.b:5 b:3 \xC3\xBC:4 ");
    assert_list(s, "d", "a", 0, "a-b:5 a.b:5 b:3 \xC3\xBC:4 ");
    assert_list(s, "d", "a-a", 0, "a-b:5 a.b:5 b:3 \xC3\xBC:4 ");
    assert_list(s, "d", "\xFF", 0, "");
    assert_list(s, "d", NULL, 2, "10:4 9:3 ");
    Seen seen = {TEXT(100), 0};
    assert_error(store_list(s, "e", NULL, collect, &seen, &err), E_IO);
    assert_string_equal(text_str(&seen.text), "");
}

static void lists_trees_in_byte_order(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;
    static const char *const KEYS[] = {"t/p=2/f", "t/p=1/q=1/f", "t/p=1/a", "t/p", "t/p=1-x/f", "t/_delta_log/0", "u"};

    for (size_t i = 0; i < sizeof(KEYS) / sizeof(*KEYS); i++) {
        assert_ok(put(s, KEYS[i], "x", &err));
    }
    assert_tree(s, "t", 0, "_delta_log/0:1 p:1 p=1-x/f:1 p=1/a:1 p=1/q=1/f:1 p=2/f:1 ");
    assert_tree(s, "t/p=1", 0, "a:1 q=1/f:1 ");
    assert_tree(s, "t", 3, "_delta_log/0:1 p:1 p=1-x/f:1 ");
    assert_tree(s, "", 1, "t/_delta_log/0:1 ");
}

static bool delete_it(void *context, const StoreEntry *entry)
{
    return store_delete(context, entry->name, NULL) == OK;
}

static void visitors_may_use_the_store(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;

    assert_ok(put(s, "a", "1", &err));
    assert_ok(put(s, "b", "1", &err));
    assert_ok(put(s, "c/d", "1", &err));
    assert_ok(store_list_recursive(s, "", delete_it, s, &err));
    assert_tree(s, "", 0, "");
}

static void ranges(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;
    Text t = TEXT(1);

    assert_ok(put(s, "f", "0123456789", &err));
    assert_ok(store_read_range(s, "f", 3, 4, &t, &err));
    assert_string_equal(t.data, "3456");
    assert_ok(store_read_range(s, "f", 10, 0, &t, &err));
    assert_int_equal(t.length, 0);
    assert_ok(store_read_range(s, "f", 0, 10, &t, &err));
    assert_string_equal(t.data, "0123456789");
    assert_error(store_read_range(s, "f", 3, 8, &t, &err), E_IO);
    assert_error(store_read_range(s, "f", 11, 0, &t, &err), E_IO);
    assert_error(store_read_range(s, "f", -1, 1, &t, &err), E_IO);
    assert_error(store_read_range(s, "f", 5, SIZE_MAX, &t, &err), E_IO);
    assert_string_equal(t.data, "0123456789");
    text_free(&t);
}

static void rename_does_not_replace(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;

    assert_ok(put(s, "a", "A", &err));
    assert_ok(put(s, "b", "B", &err));
    assert_error(store_rename_no_replace(s, "a", "b", &err), E_IO_EXISTS);
    assert_content(s, "b", "B");
    assert_ok(store_rename_no_replace(s, "a", "x/y/a", &err));
    assert_content(s, "x/y/a", "A");
    assert_tree(s, "", 0, "b:1 x/y/a:1 ");
}

static void deletes(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;
    StoreInfo info;

    assert_ok(put(s, "d/a", "1", &err));
    assert_ok(put(s, "d/e/b", "1", &err));
    assert_ok(put(s, "dd", "1", &err));
    assert_error(store_delete(s, "d", &err), E_IO);
    assert_ok(store_info(s, "d", &info, &err));
    assert_true(info.is_dir && info.size == 0);
    assert_ok(store_delete(s, "d/a", &err));
    assert_ok(store_delete(s, "d/a", &err));
    assert_ok(store_delete(s, "dd/x", &err)); /* below a file there is nothing */
    assert_ok(store_delete_folder(s, "d", &err));
    assert_tree(s, "", 0, "dd:1 ");
    assert_ok(store_mkdirs(s, "m/n", &err));
    assert_ok(store_mkdirs(s, "m/n", &err));
    assert_ok(put(s, "m/n/o", "1", &err));
    assert_ok(store_delete_folder(s, "", &err));
    assert_tree(s, "", 0, "");
}

static void roots_below(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;
    Store *below = NULL, *again = NULL;

    assert_ok(store_open_below(s, "t/u", &below, &err));
    assert_ok(put(below, "v/f", "1", &err));
    assert_content(s, "t/u/v/f", "1");
    assert_list(below, "", NULL, 0, "v/ ");
    assert_tree(below, "v", 0, "f:1 ");
    assert_ok(store_open(store_uri(below), &again, &err)); /* the URI leads to the same place */
    assert_string_equal(store_uri(again), store_uri(below));
    assert_content(again, "v/f", "1");
    store_unref(again);
    assert_ok(store_open_below(s, "", &again, &err));
    assert_string_equal(store_uri(again), store_uri(s));
    store_unref(again);
    assert_ptr_equal(store_ref(below), below);
    store_unref(below);
    assert_content(below, "v/f", "1");
    store_unref(below);
    store_unref(NULL);
}

static void syncs(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;
    const char *keys[] = {"p=1/a", "p=1/b", "p=2/q=1/c", "d"};

    for (int i = 0; i < 4; i++) {
        assert_ok(put(s, keys[i], "x", &err));
    }
    assert_ok(store_sync(s, "p=2/q=1/c", &err));
    assert_ok(store_sync_many(s, keys, 4, &err));
    assert_true(store_fsync());
    store_set_fsync(false);
    assert_ok(put(s, "unsynced", "x", &err));
    assert_ok(store_sync_many(s, keys, 4, &err));
    store_set_fsync(true);
}

static void failure_before_publishing_leaves_nothing(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;

    failpoint_arm(FP_STORE_PUT_BEFORE_PUBLISH, FAILPOINT_ERROR, 0);
    assert_int_equal(put(s, "log/0", "x", &err), ERR_IO);
    assert_int_equal(err.flags & ERROR_UNKNOWN_OUTCOME, 0);
    assert_int_equal(store_put(s, "log/0", "x", 1, &err), ERR_IO);
    assert_tree(s, "", 0, "");
    failpoint_reset();
    error_clear(&err);
    assert_ok(put(s, "log/0", "x", &err));
}

static void failure_after_publishing_is_unknown(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;

    failpoint_arm(FP_STORE_PUT_AFTER_PUBLISH, FAILPOINT_ERROR, 1);
    assert_int_equal(put(s, "log/0", "x", &err), ERR_IO);
    assert_int_equal(err.flags & ERROR_UNKNOWN_OUTCOME, ERROR_UNKNOWN_OUTCOME);
    assert_tree(s, "", 0, "log/0:1 "); /* the name, and nothing temporary */
    failpoint_reset();
    failpoint_arm(FP_STORE_PUT_AFTER_PUBLISH, FAILPOINT_ERROR, 1);
    assert_int_equal(store_put(s, "log/0", "yy", 2, &err), ERR_IO);
    assert_int_equal(err.flags & ERROR_UNKNOWN_OUTCOME, ERROR_UNKNOWN_OUTCOME);
    assert_tree(s, "", 0, "log/0:2 ");
}

static int64_t now_us;

static int64_t fake_clock(void *context)
{
    (void)context;
    return now_us;
}

static void times_do_not_go_backwards(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;
    StoreInfo first, second;

    now_us = clock_now_us();
    clock_set(fake_clock, NULL);
    assert_ok(put(s, "0", "x", &err));
    now_us -= 3600 * INT64_C(1000000);
    assert_ok(put(s, "1", "x", &err));
    clock_set(NULL, NULL);
    assert_ok(store_info(s, "0", &first, &err));
    assert_ok(store_info(s, "1", &second, &err));
    assert_true(second.mtime_ms >= first.mtime_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(put_and_read),
        BOTH(missing_names),
        BOTH(put_if_absent_does_not_replace),
        BOTH(put_replaces),
        BOTH(keys_stay_inside),
        BOTH(strange_names),
        BOTH(lists_one_folder_in_byte_order),
        BOTH(lists_trees_in_byte_order),
        BOTH(visitors_may_use_the_store),
        BOTH(ranges),
        BOTH(rename_does_not_replace),
        BOTH(deletes),
        BOTH(roots_below),
        BOTH(syncs),
        BOTH(failure_before_publishing_leaves_nothing),
        BOTH(failure_after_publishing_is_unknown),
        BOTH(times_do_not_go_backwards),
    };
    return cmocka_run_group_tests(tests, store_enter, store_leave);
}
