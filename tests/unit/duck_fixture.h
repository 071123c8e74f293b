/* One instance with two threads, one connection, and a folder of its own, for the tests of src/duck. */
#ifndef FRESHET_TEST_DUCK_FIXTURE_H
#define FRESHET_TEST_DUCK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h> /* needs the first four */

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "duck/duck.h"
#include "duck/type.h"

static Duck *duck;
static DuckConn *conn;
static Error err;
static char folder[64];

static inline void must_at(Status rc, const char *what, const char *file, int line)
{
    if (rc != OK) {
        print_error("%s\n  failed: %s\n  hint: %s\n", what, err.message, err.hint);
        _fail(file, line);
    }
}
#define must(call) must_at(call, #call, __FILE__, __LINE__)

static inline int64_t query_i64(const char *sql)
{
    DuckResult *result;
    bool more;
    must(duck_query(conn, sql, &result, &err));
    must(duck_result_next(result, &more, &err));
    assert_true(more);
    int64_t value = duck_result_i64(result, 0);
    duck_result_free(result);
    return value;
}

static inline int duck_fixture_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/freshet-test-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    setenv("TMPDIR", folder, 1);
    DuckConfig config = {.memory_limit_bytes = INT64_C(1) << 30, .threads = 2};
    must(duck_open(&config, &duck, &err));
    must(duck_connect(duck, &conn, &err));
    return 0;
}

static inline int duck_fixture_down(void **state)
{
    (void)state;
    duck_disconnect(conn);
    duck_close(duck);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

#endif
