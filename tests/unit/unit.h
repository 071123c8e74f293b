/* What every unit test includes before anything else: cmocka wants these headers in this order. */
#ifndef FRESHET_TESTS_UNIT_H
#define FRESHET_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"

/* The call must succeed; otherwise its message is shown. Needs `Error err` in scope. */
#define assert_ok(call)                             \
    do {                                            \
        if ((call) != OK) {                         \
            fail_msg("%s: %s", #call, err.message); \
        }                                           \
    } while (0)

/* The call must fail with this ErrorId; the error is cleared. */
#define assert_error(call, wanted)                                              \
    do {                                                                        \
        assert_int_not_equal((call), OK);                                       \
        if (err.id != (wanted)) {                                               \
            fail_msg("%s: %s %s", #call, ERROR_DEFS[err.id].code, err.message); \
        }                                                                       \
        error_clear(&err);                                                      \
    } while (0)

#define assert_contains(text, part)                                 \
    do {                                                            \
        if (!strstr((text), (part))) {                              \
            fail_msg("'%s' does not contain '%s'", (text), (part)); \
        }                                                           \
    } while (0)

/* The seed of a test that uses chance: FRESHET_TEST_SEED or always the same; it is printed and set. */
static inline uint64_t test_seed(void)
{
    const char *given = getenv("FRESHET_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 20240101;

    print_message("FRESHET_TEST_SEED=%llu\n", (unsigned long long)seed);
    random_seed(seed);
    return seed;
}

#endif
