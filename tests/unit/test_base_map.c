#include "unit.h"

#include "base/map.h"
#include "base/mem.h"

static void test_base_map__put_get_remove(void **state)
{
    (void)state;
    Map *m = map_new();
    int a = 1, b = 2;

    assert_null(map_get(m, "x"));
    assert_null(map_remove(m, "x"));
    assert_null(map_put(m, "x", &a));
    assert_ptr_equal(map_put(m, "x", &b), &a);
    assert_ptr_equal(map_get(m, "x"), &b);
    assert_int_equal(map_count(m), 1);
    assert_null(map_put(m, "null", NULL));
    assert_true(map_has(m, "null") && !map_has(m, "nul"));
    assert_null(map_put_n(m, "a\0b", 3, &a));
    assert_ptr_equal(map_get_n(m, "a\0b", 3), &a);
    assert_null(map_get(m, "a"));
    assert_null(map_put_n(m, "", 0, &b));
    assert_ptr_equal(map_get(m, ""), &b);
    assert_ptr_equal(map_remove(m, "x"), &b);
    assert_false(map_has(m, "x"));
    assert_int_equal(map_count(m), 3);
    map_free(m, NULL);
    map_free(NULL, NULL);
}

static void test_base_map__keeps_the_order(void **state)
{
    (void)state;
    Map *m = map_new();
    const char *key;
    void *value;
    char name[16];

    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        map_put(m, name, mem_strdup(name));
    }
    for (int i = 0; i < 1000; i += 2) {
        snprintf(name, sizeof(name), "k%d", i);
        mem_free(map_remove(m, name));
    }
    map_put(m, "k0", mem_strdup("k0")); /* comes back at the end */
    int wanted = 1, seen = 0;
    for (size_t i = 0; map_next(m, &i, &key, &value); seen++) {
        snprintf(name, sizeof(name), "k%d", seen == 500 ? 0 : wanted);
        assert_string_equal(key, name);
        assert_string_equal(value, name);
        wanted += 2;
    }
    assert_int_equal(seen, 501);
    map_free(m, mem_free);
}

/* Random operations against a plain array. */
static void test_base_map__like_an_array(void **state)
{
    (void)state;
    enum { KEYS = 300 };
    static char marks[KEYS];
    void *model[KEYS] = {0};
    Map *m = map_new();
    size_t count = 0;
    char name[16];

    test_seed();
    for (int round = 0; round < 50000; round++) {
        size_t k = random_u64() % KEYS;
        snprintf(name, sizeof(name), "%zu", k * 7919);
        if (random_u64() % 3) {
            void *value = &marks[random_u64() % KEYS];
            assert_ptr_equal(map_put(m, name, value), model[k]);
            count += !model[k];
            model[k] = value;
        } else {
            assert_ptr_equal(map_remove(m, name), model[k]);
            count -= model[k] != NULL;
            model[k] = NULL;
        }
        assert_int_equal(map_count(m), count);
        k = random_u64() % KEYS;
        snprintf(name, sizeof(name), "%zu", k * 7919);
        assert_ptr_equal(map_get(m, name), model[k]);
    }
    map_free(m, NULL);
}

static void test_base_map__hash(void **state)
{
    (void)state;
    assert_true(hash_bytes("a", 1) != hash_bytes("b", 1));
    assert_true(hash_bytes("a", 1) != hash_bytes("a\0", 2));
    assert_true(hash_bytes("", 0) == hash_bytes(NULL, 0));
    assert_true(hash_bytes("12345678abc", 11) == hash_bytes(&"x12345678abc"[1], 11));
    /* Every bit of the result moves: names that differ in one digit fall evenly into 64 buckets. */
    int buckets[64] = {0};
    for (int i = 0; i < 64000; i++) {
        char name[64];
        int n = snprintf(name, sizeof(name), "part-%05d-c000.snappy.parquet", i);
        buckets[hash_bytes(name, (size_t)n) & 63]++;
    }
    for (int i = 0; i < 64; i++) {
        assert_in_range(buckets[i], 800, 1200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_map__put_get_remove),
        cmocka_unit_test(test_base_map__keeps_the_order),
        cmocka_unit_test(test_base_map__like_an_array),
        cmocka_unit_test(test_base_map__hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
