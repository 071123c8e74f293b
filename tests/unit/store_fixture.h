/* What tests of stores share: a new store for each case, and what is in it. A case gets an empty store in `*state`. */
#ifndef FRESHET_TESTS_STORE_FIXTURE_H
#define FRESHET_TESTS_STORE_FIXTURE_H

#include "unit.h"

#include <limits.h>

#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/store.h"

enum { READ_MAX = 1 << 20 };

static char folder[] = "/tmp/freshet_store_XXXXXX";

static inline int store_enter(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static inline int store_leave(void **state)
{
    (void)state;
    return file_remove_tree(folder, NULL) == OK ? 0 : -1;
}

static inline int local_new(void **state)
{
    static int number;
    char path[PATH_MAX];

    failpoint_reset();
    snprintf(path, sizeof(path), "%s/store %d%%", folder, number++);
    return store_open(path, (Store **)state, NULL) == OK ? 0 : -1;
}

static inline int memory_new(void **state)
{
    static int number;
    char uri[64];

    failpoint_reset();
    snprintf(uri, sizeof(uri), "memory://test%d", number++);
    return store_open(uri, (Store **)state, NULL) == OK ? 0 : -1;
}

static inline int store_done(void **state)
{
    failpoint_reset();
    store_unref(*state);
    return 0;
}

static inline Status put(Store *s, const char *key, const char *text, Error *err)
{
    return store_put_if_absent(s, key, text, strlen(text), err);
}

static inline void assert_content(Store *s, const char *key, const char *wanted)
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

static inline bool collect(void *context, const StoreEntry *entry)
{
    Seen *seen = context;

    if (entry->info.is_dir) {
        text_printf(&seen->text, "%s/ ", entry->name);
    } else {
        text_printf(&seen->text, "%s:%lld ", entry->name, (long long)entry->info.size);
    }
    return --seen->most != 0;
}

static inline void assert_list(Store *s, const char *dir, const char *start_after, int most, const char *wanted)
{
    Error err = ERROR_NONE;
    Seen seen = {TEXT(READ_MAX), most};

    assert_ok(store_list(s, dir, start_after, collect, &seen, &err));
    assert_string_equal(text_str(&seen.text), wanted);
    text_free(&seen.text);
}

static inline void assert_tree(Store *s, const char *dir, int most, const char *wanted)
{
    Error err = ERROR_NONE;
    Seen seen = {TEXT(READ_MAX), most};

    assert_ok(store_list_recursive(s, dir, collect, &seen, &err));
    assert_string_equal(text_str(&seen.text), wanted);
    text_free(&seen.text);
}

/* A case as two tests, one per store. */
#define BOTH(name)                                                      \
    {"test_store_local__" #name, name, local_new, store_done, NULL},    \
    {                                                                   \
        "test_store_memory__" #name, name, memory_new, store_done, NULL \
    }
#define LOCAL(name) cmocka_unit_test_setup_teardown(name, local_new, store_done)

#endif
