/* Deletion vectors as they are made: what is written is read back, byte for byte as the format says. */
#include "delta_fixture.h"

#include <string.h>

#include "base/clock.h"
#include "delta/dv.h"

static void test_delta_dv_write__a_set_grows(void **state)
{
    (void)state;
    DeltaBitmap *bitmap = delta_bitmap_new();

    assert_true(delta_bitmap_add(bitmap, 7));
    assert_false(delta_bitmap_add(bitmap, 7));
    assert_true(delta_bitmap_add(bitmap, ((uint64_t)3 << 32) + 7));
    assert_true(delta_bitmap_add(bitmap, ((uint64_t)1 << 32) + 9));
    DeltaBitmap *copy = delta_bitmap_copy(bitmap);
    assert_true(delta_bitmap_add(bitmap, 8));
    assert_int_equal(delta_bitmap_count(bitmap), 4);
    assert_int_equal(delta_bitmap_count(copy), 3);
    delta_bitmap_add_all(copy, bitmap);
    assert_int_equal(delta_bitmap_count(copy), 4);
    assert_true(delta_bitmap_contains(copy, ((uint64_t)1 << 32) + 9));
    delta_bitmap_free(bitmap);
    delta_bitmap_free(copy);
}

static void test_delta_dv_write__bytes_are_read_back(void **state)
{
    (void)state;
    uint64_t seed = 20260101;
    print_message("seed %llu\n", (unsigned long long)seed);
    random_seed(seed);

    for (int round = 0; round < 50; round++) {
        DeltaBitmap *bitmap = delta_bitmap_new(), *back = NULL;
        Text bytes = TEXT(1 << 24);
        Error err = ERROR_NONE;
        uint64_t run = random_u64() % 5000, wide = round % 3 == 0 ? (uint64_t)1 << 34 : 100000;
        for (uint64_t i = 0; i < run; i++) {
            delta_bitmap_add(bitmap, i);
        }
        for (int i = 0; i < 2000; i++) {
            delta_bitmap_add(bitmap, random_u64() % wide);
        }
        delta_dv_encode(bitmap, &bytes);
        assert_int_equal(memcmp(bytes.data, "\xD1\xD3\x39\x64", 4), 0);
        assert_ok(delta_dv_decode(bytes.data, bytes.length, &back, &err));
        assert_int_equal(delta_bitmap_count(back), delta_bitmap_count(bitmap));
        delta_bitmap_add_all(back, bitmap);
        assert_int_equal(delta_bitmap_count(back), delta_bitmap_count(bitmap));
        delta_bitmap_free(bitmap);
        delta_bitmap_free(back);
        text_free(&bytes);
    }
}

static void test_delta_dv_write__z85(void **state)
{
    (void)state;
    static const unsigned char BYTES[] = {0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B};
    Text text = TEXT(64), back = TEXT(64);

    delta_z85_encode(BYTES, sizeof BYTES, &text);
    assert_string_equal(text_str(&text), "HelloWorld"); /* the example of ZeroMQ's RFC 32 */
    assert_true(delta_z85_decode(text_str(&text), text.length, &back));
    assert_int_equal(back.length, sizeof BYTES);
    assert_memory_equal(back.data, BYTES, sizeof BYTES);
    text_free(&text);
    text_free(&back);
}

static void test_delta_dv_write__several_in_one_file(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new();
    Arena *arena = arena_new();
    DeltaBitmap *sets[3];
    DeltaDeletionVector vectors[3];
    const char *path = NULL;
    Error err = ERROR_NONE;

    for (uint64_t i = 0; i < 3; i++) {
        sets[i] = delta_bitmap_new();
        for (uint64_t row = 0; row <= i * 1000; row++) {
            delta_bitmap_add(sets[i], row * (i + 1));
        }
    }
    assert_ok(delta_dv_write(f->table, (const DeltaBitmap *const *)sets, 3, arena, vectors, &path, &err));
    assert_true(str_starts(path, "deletion_vector_") && str_ends(path, ".bin"));
    assert_int_equal(vectors[0].offset, 1);
    assert_int_equal(vectors[1].offset, 1 + vectors[0].size_bytes + 8);
    for (uint64_t i = 0; i < 3; i++) {
        DeltaBitmap *back = NULL;
        assert_int_equal(vectors[i].storage_type, 'u');
        assert_ok(delta_dv_load(f->table, &vectors[i], &back, &err)); /* checks size, checksum and cardinality */
        assert_int_equal(delta_bitmap_count(back), i * 1000 + 1);
        assert_true(delta_bitmap_contains(back, i * 1000 * (i + 1)));
        delta_bitmap_free(back);
        delta_bitmap_free(sets[i]);
    }
    arena_free(arena);
    log_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delta_dv_write__a_set_grows),
        cmocka_unit_test(test_delta_dv_write__bytes_are_read_back),
        cmocka_unit_test(test_delta_dv_write__z85),
        cmocka_unit_test(test_delta_dv_write__several_in_one_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
