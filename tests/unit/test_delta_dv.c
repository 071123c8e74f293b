#include "unit.h"

#include <roaring/roaring.h>

#include "base/mem.h"
#include "delta/dv.h"

/* The portable vector {3, 4, 7, 11, 18, 29}, as Delta writes it. */
static const unsigned char PORTABLE[44] = {0xd1, 0xd3, 0x39, 0x64, 1, 0, 0, 0, 0,    0, 0,    0, 0,    0,    0,
                                           0,    0x3a, 0x30, 0,    0, 1, 0, 0, 0,    0, 0,    5, 0,    0x10, 0,
                                           0,    0,    3,    0,    4, 0, 7, 0, 0x0b, 0, 0x12, 0, 0x1d, 0};
static const unsigned char CHECKSUM[4] = {0xac, 0xd7, 0x4a, 0x79};
static const int64_t ROWS[] = {3, 4, 7, 11, 18, 29};

static void assert_rows(const DeltaBitmap *bitmap)
{
    assert_int_equal(delta_bitmap_count(bitmap), 6);
    for (size_t i = 0; i < 6; i++) {
        assert_true(delta_bitmap_contains(bitmap, (uint64_t)ROWS[i]));
    }
    assert_false(delta_bitmap_contains(bitmap, 5));
    assert_false(delta_bitmap_contains(bitmap, (UINT64_C(1) << 32) + 3));
}

static void test_delta_dv__z85_and_paths(void **state)
{
    (void)state;
    Text out = TEXT(1000);

    assert_true(delta_z85_decode("^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", 55, &out));
    assert_int_equal(out.length, 44);
    assert_memory_equal(out.data, PORTABLE, 44);
    text_clear(&out);
    assert_false(delta_z85_decode("abcd", 4, &out));
    assert_false(delta_z85_decode("abc\"d", 5, &out));
    assert_false(delta_z85_decode("#####", 5, &out)); /* more than 32 bits */
    text_clear(&out);
    assert_true(delta_dv_relative_path("ab^-aqEH.-t@S}K{vb[*k^", &out));
    assert_string_equal(text_str(&out), "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin");
    text_clear(&out);
    assert_true(delta_dv_relative_path("^-aqEH.-t@S}K{vb[*k^", &out));
    assert_string_equal(text_str(&out), "deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin");
    assert_false(delta_dv_relative_path("short", &out));
    text_free(&out);
}

static void test_delta_dv__portable_and_legacy(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    DeltaBitmap *bitmap = NULL;
    unsigned char legacy[4 + 4 + 4 + 28];

    assert_ok(delta_dv_decode(PORTABLE, sizeof PORTABLE, &bitmap, &err));
    assert_rows(bitmap);
    delta_bitmap_free(bitmap);

    memcpy(legacy, "\xd0\xd3\x39\x64\x01\0\0\0\x1c\0\0\0", 12);
    memcpy(legacy + 12, PORTABLE + 16, 28);
    assert_ok(delta_dv_decode(legacy, sizeof legacy, &bitmap, &err));
    assert_rows(bitmap);
    delta_bitmap_free(bitmap);
}

static void test_delta_dv__refuses_damage(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    DeltaBitmap *bitmap = NULL;
    unsigned char bytes[64];

    for (size_t n = 0; n < sizeof PORTABLE; n++) {
        assert_error(delta_dv_decode(PORTABLE, n, &bitmap, &err), E_DELTA_CORRUPT);
    }
    memcpy(bytes, PORTABLE, sizeof PORTABLE);
    bytes[44] = 0;
    assert_error(delta_dv_decode(bytes, 45, &bitmap, &err), E_DELTA_CORRUPT); /* something behind the end */
    bytes[15] = 0x80;
    assert_error(delta_dv_decode(bytes, 44, &bitmap, &err), E_DELTA_CORRUPT); /* negative key */
    memcpy(bytes, PORTABLE, sizeof PORTABLE);
    bytes[4] = 2;
    assert_error(delta_dv_decode(bytes, 44, &bitmap, &err), E_DELTA_CORRUPT); /* a part that is not there */
    bytes[0] = 0xd2;
    assert_error(delta_dv_decode(bytes, 44, &bitmap, &err), E_DELTA_CORRUPT);
    assert_null(bitmap);
}

/* One vector of the legacy form around `n` bytes of a bitmap. */
static Status decode_bitmap(const char *bitmap, size_t n)
{
    unsigned char *bytes = mem_alloc(12 + n);
    DeltaBitmap *out = NULL;

    memcpy(bytes, "\xd0\xd3\x39\x64\x01\0\0\0\0\0\0\0", 12);
    memcpy(bytes + 12, bitmap, n);
    Status rc = delta_dv_decode(bytes, 12 + n, &out, NULL);
    delta_bitmap_free(out);
    mem_free(bytes);
    return rc;
}

/* What a container says of itself and is not so: the library would read behind its end, or count wrong. */
static void test_delta_dv__refuses_bitmaps_that_lie(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        bool good;
    } CASES[] = {
        {"\x3a\x30\0\0\0\0\0\0", 8, true},                                               /* no container */
        {"\x3a\x30\0\0\xff\xff\xff\xff", 8, false},                                      /* 2^32 - 1 of them */
        {"\x3b\x30\0\0\1\0\0\0\0\1\0\5\0\0\0", 15, true},                                /* a run */
        {"\x3b\x30\0\0\1\0\0\0\0\0\0", 11, false},                                       /* no run */
        {"\x3b\x30\0\0\1\0\0\1\0\1\0\xff\xff\1\0", 15, false},                           /* over the end */
        {"\x3b\x30\0\0\1\0\0\3\0\2\0\5\0\1\0\6\0\1\0", 19, false},                       /* two that meet */
        {"\x3a\x30\0\0\1\0\0\0\0\0\1\0\x10\0\0\0\5\0\5\0", 20, false},                   /* a value twice */
        {"\x3a\x30\0\0\2\0\0\0\1\0\0\0\1\0\0\0\x18\0\0\0\x1a\0\0\0\5\0\5\0", 28, false}, /* a key twice */
    };

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        assert_int_equal(decode_bitmap(CASES[i].bytes, CASES[i].n) == OK, CASES[i].good);
    }
    char bits[16 + 8192] = "\x3a\x30\0\0\1\0\0\0\0\0\0\x20\x10"; /* 8,193 values by its head */
    memset(bits + 16, 0xff, 1024);
    assert_int_equal(decode_bitmap(bits, sizeof bits), ERR_CORRUPT);
    bits[sizeof bits - 1] = 1;
    assert_int_equal(decode_bitmap(bits, sizeof bits), OK);
}

static void test_delta_dv__file(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    DeltaBitmap *bitmap = NULL;
    DeltaDeletionVector dv = {.storage_type = 'u', .offset = 1, .size_bytes = 44, .cardinality = 6};
    unsigned char entry[52] = {0, 0, 0, 44};

    memcpy(entry + 4, PORTABLE, 44);
    memcpy(entry + 48, CHECKSUM, 4);
    assert_ok(delta_dv_decode_file(entry, sizeof entry, &dv, &bitmap, &err));
    assert_rows(bitmap);
    delta_bitmap_free(bitmap);
    bitmap = NULL;

    entry[51] ^= 1;
    assert_int_not_equal(delta_dv_decode_file(entry, sizeof entry, &dv, &bitmap, &err), OK);
    assert_string_equal(err.klass, "DELTA_DELETION_VECTOR_CHECKSUM_MISMATCH");
    error_clear(&err);
    entry[3] = 45;
    assert_int_not_equal(delta_dv_decode_file(entry, sizeof entry, &dv, &bitmap, &err), OK);
    assert_string_equal(err.klass, "DELTA_DELETION_VECTOR_SIZE_MISMATCH");
    assert_null(bitmap);
}

/* keep() against contains() on random sets: sparse, dense, runs, and rows in any order. */
static void test_delta_dv__keep_agrees_with_contains(void **state)
{
    (void)state;
    enum { N = 2048 };
    int64_t rows[N];
    bool keep[N];

    test_seed();
    for (int round = 0; round < 60; round++) {
        roaring_bitmap_t *set = roaring_bitmap_create();
        uint32_t span = 1u << (4 + random_u64() % 18);
        for (uint64_t i = 0, n = random_u64() % 5000; i < n; i++) {
            roaring_bitmap_add(set, (uint32_t)(random_u64() % span));
        }
        if (round % 3 == 0) {
            roaring_bitmap_add_range(set, span / 3, span / 2);
            roaring_bitmap_run_optimize(set);
        }
        size_t size = roaring_bitmap_portable_size_in_bytes(set);
        unsigned char *bytes = mem_alloc(size + 16);
        Error err = ERROR_NONE;
        DeltaBitmap *bitmap = NULL;
        memcpy(bytes, PORTABLE, 16);
        roaring_bitmap_portable_serialize(set, (char *)bytes + 16);
        assert_ok(delta_dv_decode(bytes, size + 16, &bitmap, &err));
        assert_int_equal(delta_bitmap_count(bitmap), roaring_bitmap_get_cardinality(set));
        int64_t at = (int64_t)(random_u64() % span);
        for (size_t i = 0; i < N; i++) {
            at = round % 2 == 0 ? at + 1 + (int64_t)(random_u64() % 3) : (int64_t)(random_u64() % span);
            rows[i] = round % 7 == 0 && i > N / 2 ? at + (INT64_C(1) << 32) : at;
        }
        delta_bitmap_keep(bitmap, rows, N, keep);
        for (size_t i = 0; i < N; i++) {
            bool deleted = rows[i] >> 32 == 0 && roaring_bitmap_contains(set, (uint32_t)rows[i]);
            assert_int_equal(keep[i], !deleted);
        }
        mem_free(bytes);
        delta_bitmap_free(bitmap);
        roaring_bitmap_free(set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delta_dv__z85_and_paths),  cmocka_unit_test(test_delta_dv__portable_and_legacy),
        cmocka_unit_test(test_delta_dv__refuses_damage), cmocka_unit_test(test_delta_dv__refuses_bitmaps_that_lie),
        cmocka_unit_test(test_delta_dv__file),           cmocka_unit_test(test_delta_dv__keep_agrees_with_contains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
