#include "unit.h"

#include <errno.h>

static void test_base_error__set_and_context(void **state)
{
    (void)state;
    Error err = ERROR_NONE;

    assert_int_equal(error_status(&err), OK);
    assert_int_equal(error_status(NULL), ERR_INTERNAL);
    assert_int_equal(error_set(&err, E_IO_EXISTS, "file %s: %d", "a", 7), ERR_EXISTS);
    assert_string_equal(err.message, "file a: 7");
    assert_int_equal(error_context(&err, "commit %d", 3), ERR_EXISTS);
    assert_string_equal(err.message, "commit 3: file a: 7");
    error_hint(&err, "try %s", "again");
    error_klass(&err, "DELTA_X");
    error_flag(&err, ERROR_RETRIABLE);
    error_flag(&err, ERROR_UNKNOWN_OUTCOME);
    assert_string_equal(err.hint, "try again");
    assert_int_equal(err.flags, ERROR_RETRIABLE | ERROR_UNKNOWN_OUTCOME);

    /* A new error forgets the old one, even when it quotes it. */
    assert_int_equal(error_set(&err, E_JSON, "was: %s", err.message), ERR_CORRUPT);
    assert_string_equal(err.message, "was: commit 3: file a: 7");
    assert_string_equal(err.hint, "");
    assert_string_equal(err.klass, "");
    assert_int_equal(err.flags, 0);
    error_clear(&err);
    assert_int_equal(err.id, E_NONE);
}

static void test_base_error__null_keeps_the_status(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, E_LIMIT, "x"), ERR_LIMIT);
    assert_int_equal(error_context(NULL, "x"), ERR_INTERNAL);
    error_hint(NULL, "x");
    error_klass(NULL, "x");
    error_flag(NULL, ERROR_RETRIABLE);
    error_clear(NULL);
    errno = ENOENT;
    assert_int_equal(error_errno(NULL, "x"), ERR_NOT_FOUND);
}

static void test_base_error__long_texts_are_cut(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    char *text = malloc(10001);

    for (int i = 0; i < 5000; i++) {
        memcpy(text + (size_t)i * 2, "\xC3\xBC", 2);
    }
    text[10000] = '\0';
    error_set(&err, E_IO, "%s%s", "x", text);
    assert_true(strlen(err.message) < ERROR_TEXT_MAX);
    assert_string_equal(err.message + strlen(err.message) - 5, "\xC3\xBC...");
    for (int i = 0; i < 10; i++) {
        error_context(&err, "%s", text);
    }
    assert_true(strlen(err.message) < ERROR_TEXT_MAX);
    error_hint(&err, "%s", text);
    assert_true(strlen(err.hint) < ERROR_HINT_MAX);
    error_klass(&err, text);
    assert_true(strlen(err.klass) < sizeof(err.klass));
    free(text);
}

static void test_base_error__errno(void **state)
{
    (void)state;
    Error err = ERROR_NONE;

    errno = ENOENT;
    assert_int_equal(error_errno(&err, "opening %s", "a"), ERR_NOT_FOUND);
    assert_int_equal(errno, ENOENT);
    assert_string_equal(err.message, "opening a: No such file or directory");
    errno = ENOSPC;
    assert_int_equal(error_errno(&err, "writing %s", "a"), ERR_IO);
    assert_contains(err.hint, "disk is full");
    assert_int_equal(err.flags, ERROR_RETRIABLE);
    errno = EACCES;
    error_errno(&err, "writing %s", "a");
    assert_contains(err.hint, "permissions");
    error_set(&err, E_IO, "could not write file \"/a\": %s", strerror(ENOSPC));
    error_errno_said(&err);
    assert_contains(err.hint, "disk is full");
    assert_int_equal(err.flags, ERROR_RETRIABLE);
    error_set(&err, E_IO, "%s, or so", strerror(ENOSPC));
    error_errno_said(&err);
    assert_string_equal(err.hint, "");
    assert_int_equal(err.flags, 0);
}

static void test_base_error__table_is_complete(void **state)
{
    (void)state;
    for (int i = 1; i < ERROR_ID_COUNT; i++) {
        assert_true(strncmp(ERROR_DEFS[i].code, "FR-", 3) == 0);
        assert_int_not_equal(ERROR_DEFS[i].status, OK);
        assert_true(strlen(ERROR_DEFS[i].text) > 0);
        for (int j = 1; j < i; j++) {
            assert_string_not_equal(ERROR_DEFS[i].code, ERROR_DEFS[j].code);
        }
    }
}

static void test_base_error__nearest(void **state)
{
    (void)state;
    const char *const names[] = {"event_type", "user_id", "price", "createdAt"};

    assert_string_equal(error_nearest("event_tpye", names, 4), "event_type"); /* a swap is one step */
    assert_string_equal(error_nearest("userid", names, 4), "user_id");
    assert_string_equal(error_nearest("USER_ID", names, 4), "user_id");
    assert_string_equal(error_nearest("created_at", names, 4), "createdAt");
    assert_null(error_nearest("revenue", names, 4));
    assert_null(error_nearest("", names, 4));
    assert_null(error_nearest("price", names, 0));
    char long_word[200];
    memset(long_word, 'x', sizeof(long_word) - 1);
    long_word[sizeof(long_word) - 1] = '\0';
    assert_null(error_nearest(long_word, names, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_error__set_and_context),    cmocka_unit_test(test_base_error__null_keeps_the_status),
        cmocka_unit_test(test_base_error__long_texts_are_cut), cmocka_unit_test(test_base_error__errno),
        cmocka_unit_test(test_base_error__table_is_complete),  cmocka_unit_test(test_base_error__nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
