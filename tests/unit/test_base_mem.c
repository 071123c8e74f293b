#include "unit.h"

#include "base/mem.h"

static void test_base_mem__heap(void **state)
{
    (void)state;
    char *p = mem_alloc(100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(p[i], 0);
    }
    p = mem_realloc(p, 1000);
    mem_free(p);
    mem_free(NULL);
    mem_free(mem_alloc(0));
    assert_null(mem_strdup(NULL));
    char *s = mem_strndup("abcdef", 3);
    assert_string_equal(s, "abc");
    mem_free(s);
    s = mem_strndup("ab", 10);
    assert_string_equal(s, "ab");
    mem_free(s);
}

static void test_base_mem__grow_doubles(void **state)
{
    (void)state;
    int *array = NULL;
    size_t capacity = 0, moves = 0;

    for (size_t i = 0; i < 10000; i++) {
        size_t before = capacity;
        array = mem_grow(array, i, &capacity, sizeof(*array));
        moves += capacity != before;
        array[i] = (int)i;
    }
    assert_int_equal(array[9999], 9999);
    assert_true(moves < 15);
    mem_free(array);
}

static void test_base_mem__arena(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    size_t sizes[] = {0, 1, 7, 8, 100, 5000, 100000, 3, 1 << 20, 16};

    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
            if (round > 5 && sizes[i] > 5000) {
                continue;
            }
            char *p = arena_alloc(arena, sizes[i]);
            assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
            for (size_t k = 0; k < sizes[i]; k++) {
                assert_int_equal(p[k], 0);
            }
            memset(p, 0xAB, sizes[i]);
        }
    }
    assert_string_equal(arena_strdup(arena, "abc"), "abc");
    assert_null(arena_strdup(arena, NULL));
    assert_string_equal(arena_strndup(arena, "abc", 2), "ab");
    assert_string_equal(arena_printf(arena, "%s-%d", "x", 5), "x-5");
    arena_free(arena);
    arena_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_mem__heap),
        cmocka_unit_test(test_base_mem__grow_doubles),
        cmocka_unit_test(test_base_mem__arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
