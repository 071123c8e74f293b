/* What store.h promises, held against every store. A case gets an empty store in `*state`. */
#include "unit.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/store.h"

enum { READ_MAX = 1 << 20 };

static char folder[] = "/tmp/freshet_store_XXXXXX";

static int enter(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    return file_remove_tree(folder, NULL) == OK ? 0 : -1;
}

static int local_new(void **state)
{
    static int number;
    char path[PATH_MAX];

    failpoint_reset();
    snprintf(path, sizeof(path), "%s/store %d%%", folder, number++);
    return store_open(path, (Store **)state, NULL) == OK ? 0 : -1;
}

static int memory_new(void **state)
{
    static int number;
    char uri[64];

    failpoint_reset();
    snprintf(uri, sizeof(uri), "memory://test%d", number++);
    return store_open(uri, (Store **)state, NULL) == OK ? 0 : -1;
}

static int done(void **state)
{
    failpoint_reset();
    store_unref(*state);
    return 0;
}

static Status put(Store *s, const char *key, const char *text, Error *err)
{
    return store_put_if_absent(s, key, text, strlen(text), err);
}

static void assert_content(Store *s, const char *key, const char *wanted)
{
    Error err = ERROR_NONE;
    Text t = TEXT(READ_MAX);

    assert_ok(store_read(s, key, READ_MAX, &t, NULL, &err));
    assert_string_equal(text_str(&t), wanted);
    text_free(&t);
}

/* Collects "name:size " or "name/ " per entry; stops after `most`. */
typedef struct Seen {
    Text text;
    int most;
} Seen;

static bool collect(void *context, const StoreEntry *entry)
{
    Seen *seen = context;

    if (entry->info.is_dir) {
        text_printf(&seen->text, "%s/ ", entry->name);
    } else {
        text_printf(&seen->text, "%s:%lld ", entry->name, (long long)entry->info.size);
    }
    return --seen->most != 0;
}

static void assert_list(Store *s, const char *dir, const char *start_after, int most, const char *wanted)
{
    Error err = ERROR_NONE;
    Seen seen = {TEXT(READ_MAX), most};

    assert_ok(store_list(s, dir, start_after, collect, &seen, &err));
    assert_string_equal(text_str(&seen.text), wanted);
    text_free(&seen.text);
}

static void assert_tree(Store *s, const char *dir, int most, const char *wanted)
{
    Error err = ERROR_NONE;
    Seen seen = {TEXT(READ_MAX), most};

    assert_ok(store_list_recursive(s, dir, collect, &seen, &err));
    assert_string_equal(text_str(&seen.text), wanted);
    text_free(&seen.text);
}

/* ---- cases for every store */

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

/* ---- races */

enum { RACERS = 8, ROUNDS = 40, PAYLOAD = 3000 };

typedef struct Racer {
    Store *store;
    int number;
    int wins;
    pthread_barrier_t *start;
    pthread_t thread;
} Racer;

/* Every racer tries to take every name with a content that is all its number. */
static void race_round(Racer *racer, int round)
{
    char key[32], content[PAYLOAD];

    snprintf(key, sizeof(key), "log/%020d.json", round);
    memset(content, 'a' + racer->number, sizeof(content));
    Status rc = store_put_if_absent(racer->store, key, content, sizeof(content), NULL);
    racer->wins += rc == OK;
    if (rc != OK && rc != ERR_EXISTS) {
        racer->wins = INT_MIN / 2; /* the sum cannot come out right */
    }
}

static void *race(void *context)
{
    Racer *racer = context;

    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(racer->start);
        race_round(racer, round);
    }
    return NULL;
}

/* Every name was won by one, whose content is whole. */
static void assert_race_won(Store *s, int wins)
{
    Error err = ERROR_NONE;
    Text t = TEXT(READ_MAX);
    char key[32];

    assert_int_equal(wins, ROUNDS);
    for (int round = 0; round < ROUNDS; round++) {
        snprintf(key, sizeof(key), "log/%020d.json", round);
        assert_ok(store_read(s, key, READ_MAX, &t, NULL, &err));
        assert_int_equal(t.length, PAYLOAD);
        assert_int_equal(strspn(t.data, (char[]){t.data[0], '\0'}), PAYLOAD);
    }
    Seen seen = {TEXT(READ_MAX), ROUNDS + 1};
    assert_ok(store_list(s, "log", NULL, collect, &seen, &err));
    assert_int_equal(seen.most, 1); /* ROUNDS names and nothing temporary */
    text_free(&seen.text);
    text_free(&t);
}

static void threads_race(void **state)
{
    Racer racers[RACERS];
    pthread_barrier_t start;
    int wins = 0;

    pthread_barrier_init(&start, NULL, RACERS);
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (Racer){.store = *state, .number = i, .start = &start};
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < RACERS; i++) {
        pthread_join(racers[i].thread, NULL);
        wins += racers[i].wins;
    }
    pthread_barrier_destroy(&start);
    assert_race_won(*state, wins);
}

static void *read_until_told(void *context)
{
    Store *s = context;
    Text t = TEXT(READ_MAX);
    long torn = 0;
    StoreInfo info;

    while (store_info(s, "stop", &info, NULL) != OK) {
        if (store_read(s, "hot", READ_MAX, &t, NULL, NULL) == OK) {
            torn += t.length != PAYLOAD || strspn(t.data, (char[]){t.data[0], '\0'}) != PAYLOAD;
        }
    }
    text_free(&t);
    return (void *)torn;
}

static void readers_see_whole_contents(void **state)
{
    Store *s = *state;
    Error err = ERROR_NONE;
    pthread_t reader;
    void *torn;
    char content[PAYLOAD];

    assert_int_equal(pthread_create(&reader, NULL, read_until_told, s), 0);
    for (int i = 0; i < 100; i++) {
        memset(content, 'a' + i % 26, sizeof(content));
        assert_ok(store_put(s, "hot", content, sizeof(content), &err));
    }
    assert_ok(put(s, "stop", "", &err));
    pthread_join(reader, &torn);
    assert_null(torn);
}

/* ---- the local store alone */

static void test_store_local__processes_race(void **state)
{
    int ends[2], status, wins = 0;
    pid_t children[RACERS];
    char go;

    assert_int_equal(pipe(ends), 0);
    for (int i = 0; i < RACERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            Racer racer = {.store = *state, .number = i};
            close(ends[1]);
            (void)!read(ends[0], &go, 1); /* ends when the parent closes its end: all start together */
            for (int round = 0; round < ROUNDS; round++) {
                race_round(&racer, round);
            }
            _exit(racer.wins < 0 ? 255 : racer.wins);
        }
    }
    close(ends[0]);
    close(ends[1]);
    for (int i = 0; i < RACERS; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 255);
        wins += WEXITSTATUS(status);
    }
    assert_race_won(*state, wins);
}

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

/* A case as two tests, one per store. */
#define BOTH(name)                                                \
    {"test_store_local__" #name, name, local_new, done, NULL},    \
    {                                                             \
        "test_store_memory__" #name, name, memory_new, done, NULL \
    }
#define LOCAL(name) cmocka_unit_test_setup_teardown(name, local_new, done)

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
        BOTH(threads_race),
        BOTH(readers_see_whole_contents),
        LOCAL(test_store_local__processes_race),
        LOCAL(test_store_local__failed_write_leaves_nothing),
        LOCAL(test_store_local__crash_before_and_after_publishing),
        LOCAL(test_store_local__uris),
        LOCAL(test_store_local__paths_and_links),
        LOCAL(test_store_local__errors_name_the_path),
        LOCAL(test_store_local__deep_folders_are_refused),
        cmocka_unit_test_setup_teardown(test_store_memory__limits_and_sharing, memory_new, done),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
