/* Cases of the SQL front end as text, in tests/sql/<name>.txt:
 *
 *     == what the case shows
 *     input
 *     --
 *     expected output
 *
 * FRESHET_UPDATE_CASES=1 writes what came out into the file, to be read before it is committed.
 */
#ifndef FRESHET_TESTS_SQL_CASES_H
#define FRESHET_TESTS_SQL_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "duck/duck.h"

typedef void (*SqlCaseRun)(void *context, const char *input, Text *out);

static inline void sql_case_path(const char *name, Text *out)
{
    const char *file = __FILE__, *cut = strstr(file, "unit/sql_cases.h");
    text_append_n(out, file, cut ? (size_t)(cut - file) : 0);
    text_printf(out, "sql/%s.txt", name);
}

static inline char *sql_case_read(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    Text all = TEXT(16 << 20);
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, f)) > 0;)
        text_append_n(&all, buffer, n);
    fclose(f);
    return text_take(&all);
}

/* An error as the cases show it. */
static inline void sql_case_error(const Error *err, Text *out)
{
    text_printf(out, "error %d:%d+%d %s: %s\n", err->place.line, err->place.column, err->place.length,
                ERROR_DEFS[err->id].code, err->message);
    if (*err->hint)
        text_printf(out, "hint: %s\n", err->hint);
}

static inline void sql_cases_check(const char *name, SqlCaseRun run, void *context)
{
    Text path = TEXT(4096), updated = TEXT(16 << 20);
    sql_case_path(name, &path);
    char *file = sql_case_read(text_str(&path)), *at = strstr(file, "== ");
    int cases = 0, failed = 0;
    text_append_n(&updated, file, at ? (size_t)(at - file) : 0);
    while (at && *at) {
        char *title_end = strchr(at, '\n'), *split = strstr(title_end, "\n--\n"), *next = strstr(split, "\n== ");
        char *input = mem_strndup(title_end + 1, split > title_end ? (size_t)(split - title_end - 1) : 0);
        const char *want = split + 4, *want_end = next ? next + 1 : want + strlen(want);
        Text got = TEXT(16 << 20);
        run(context, input, &got);
        text_append_n(&updated, at, (size_t)(split + 4 - at));
        text_append(&updated, text_str(&got));
        cases++;
        if (got.length != (size_t)(want_end - want) || strncmp(text_str(&got), want, got.length) != 0) {
            failed++;
            print_error("%s: %.*s\n%s\n-- expected\n%.*s-- got\n%s\n", name, (int)(title_end - at), at, input,
                        (int)(want_end - want), want, text_str(&got));
        }
        text_free(&got);
        mem_free(input);
        at = next ? next + 1 : NULL;
    }
    if (getenv("FRESHET_UPDATE_CASES")) {
        FILE *f = fopen(text_str(&path), "wb");
        assert_non_null(f);
        fwrite(text_str(&updated), 1, updated.length, f);
        fclose(f);
        failed = 0;
    }
    mem_free(file);
    text_free(&path);
    text_free(&updated);
    assert_true(cases > 0);
    assert_int_equal(failed, 0);
}

/* For cmocka_run_group_tests: a connection in `*state`, to an instance of its own. */
static inline int sql_connect(void **state)
{
    Duck *duck;
    DuckConn *conn = NULL;
    Error err = ERROR_NONE;
    if (duck_open(&(DuckConfig){.memory_limit_bytes = 256 << 20, .threads = 1}, &duck, &err) != OK ||
        duck_connect(duck, &conn, &err) != OK) {
        print_error("%s\n", err.message);
        return -1;
    }
    *state = conn;
    return 0;
}

static inline int sql_disconnect(void **state)
{
    Duck *duck = duck_instance(*state);
    duck_disconnect(*state);
    duck_close(duck);
    return 0;
}

#endif
