#include "unit.h"

#include "sql/values.h"

static void test_sql_values__cuts_rows(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        bool fits;
        size_t rows, columns;
        bool any_default;
        const char *last; /* item; NULL: DEFAULT */
    } CASES[] = {
        {"VALUES (1, DEFAULT)", true, 1, 2, true, NULL},
        {"values (1, f(a, (2))), ('DEFAULT', [3, 4])", true, 2, 2, false, "[3, 4]"},
        {"VALUES (default), (1 + 1)", true, 2, 1, true, "1 + 1"},
        {"VALUES (\"default\")", true, 1, 1, false, "\"default\""},
        {"VALUES (1), (1, 2)", false, 0, 0, false, NULL},
        {"VALUES (1) ORDER BY 1", false, 0, 0, false, NULL},
        {"VALUES ()", false, 0, 0, false, NULL},
        {"SELECT DEFAULT", false, 0, 0, false, NULL},
        {"(VALUES (DEFAULT))", false, 0, 0, false, NULL},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Arena *arena = arena_new();
        SqlText text = {.name = "test", .data = CASES[i].sql, .length = strlen(CASES[i].sql)};
        SqlValues values = {0};
        if (sql_values_parse(&text, arena, &values) != CASES[i].fits) {
            fail_msg("%s", CASES[i].sql);
        }
        if (CASES[i].fits) {
            assert_int_equal(values.n_rows, CASES[i].rows);
            assert_int_equal(values.n_columns, CASES[i].columns);
            assert_int_equal(values.any_default, CASES[i].any_default);
            const char *last = values.items[values.n_rows * values.n_columns - 1].text;
            assert_true(CASES[i].last == NULL ? last == NULL : last != NULL && strcmp(last, CASES[i].last) == 0);
        }
        arena_free(arena);
    }
}

static void test_sql_values__one_string(void **state)
{
    (void)state;
    static const char *const YES[] = {"'2026-01-01'", " 'it''s' ", "E'a\\n'", "$$x$$", "'a' -- b"};
    static const char *const NO[] = {"", "a", "'a' || 'b'", "DATE '2026-01-01'", "('a')", "NULL", "\"a\"", "'a'::DATE"};
    for (size_t i = 0; i < sizeof YES / sizeof *YES; i++) {
        assert_true(sql_is_string(YES[i]));
    }
    for (size_t i = 0; i < sizeof NO / sizeof *NO; i++) {
        assert_false(sql_is_string(NO[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sql_values__cuts_rows),
                                       cmocka_unit_test(test_sql_values__one_string)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
