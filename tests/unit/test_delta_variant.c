#include "delta_rows.h"

#include "delta/scan.h"
#include "delta/variant.h"

#define BYTES(...) {{__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})}

typedef struct Blob {
    uint8_t data[24];
    size_t n;
} Blob;

/* Names "a" and "b". */
static const Blob NAMES = BYTES(0x01, 2, 0, 1, 2, 'a', 'b');
static const Blob NO_NAMES = BYTES(0x01, 0, 0);

static void test_delta_variant__takes_what_is_sound(void **state)
{
    static const Blob VALUES[] = {
        BYTES(0x00),                                                       /* null */
        BYTES(0x0c, 0xff),                                                 /* int8 */
        BYTES(0x05, 'x'),                                                  /* short string */
        BYTES(0x40, 2, 0, 0, 0, 'h', 'i'),                                 /* string */
        BYTES(0x20, 38, 1, 0, 0, 0),                                       /* decimal4 */
        BYTES(0x20, 0, 0xff, 0xc9, 0x9a, 0x3b),                            /* of nine digits */
        BYTES(0x20, 0, 0x01, 0x36, 0x65, 0xc4),                            /* negative */
        BYTES(0x44, 0xff, 0x5f, 0xd7, 0x1d, 0x14, 0, 0, 0),                /* the last time of a day */
        BYTES(0x50, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), /* UUID */
        BYTES(0x03, 0, 0),                                                 /* [] */
        BYTES(0x02, 0, 0),                                                 /* {} */
        BYTES(0x03, 2, 0, 1, 3, 0x00, 0x0c, 7),                            /* [null, 7] */
        BYTES(0x02, 2, 0, 1, 2, 0, 3, 0x0c, 7, 0x00), /* {a: null, b: 7}, values in another order */
        BYTES(0x13, 1, 0, 0, 0, 0, 1, 0x04),          /* [true], count of four bytes */
    };
    Error err = ERROR_NONE;
    (void)state;

    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
        if (delta_variant_check(NAMES.data, NAMES.n, VALUES[i].data, VALUES[i].n, &err) != OK) {
            fail_msg("value %zu: %s", i, err.message);
        }
    }
}

static void test_delta_variant__refuses_damage(void **state)
{
    static const struct {
        Blob metadata, value;
    } CASES[] = {
        {BYTES(0x02, 0, 0), BYTES(0x00)},                                       /* version 2 */
        {BYTES(0x01), BYTES(0x00)},                                             /* no count */
        {BYTES(0x01, 5, 0, 1), BYTES(0x00)},                                    /* offsets missing */
        {BYTES(0x01, 1, 0, 9, 'a'), BYTES(0x00)},                               /* a name outside */
        {BYTES(0x01, 2, 0, 2, 1, 'a', 'b'), BYTES(0x00)},                       /* offsets go back */
        {BYTES(0x01, 1, 0, 1, 0xff), BYTES(0x00)},                              /* not UTF-8 */
        {BYTES(0xc1, 0xff, 0xff, 0xff, 0xff, 0, 0), BYTES(0x00)},               /* 4 billion names */
        {BYTES(0x01, 0, 0), BYTES(0x0c)},                                       /* int8 without its byte */
        {BYTES(0x01, 0, 0), BYTES(0x54)},                                       /* type 21 */
        {BYTES(0x01, 0, 0), BYTES(0x40, 0xff, 0xff, 0xff, 0xff)},               /* string of 4 GB */
        {BYTES(0x01, 0, 0), BYTES(0x05, 0xff)},                                 /* not UTF-8 */
        {BYTES(0x01, 0, 0), BYTES(0x20, 39, 1, 0, 0, 0)},                       /* scale 39 */
        {BYTES(0x01, 0, 0), BYTES(0x20, 0, 0, 0xca, 0x9a, 0x3b)},               /* decimal4 of ten digits */
        {BYTES(0x01, 0, 0), BYTES(0x20, 0, 0, 0, 0, 0x80)},                     /* decimal4 of ten digits */
        {BYTES(0x01, 0, 0), BYTES(0x44, 0, 0x60, 0xd7, 0x1d, 0x14, 0, 0, 0)},   /* a time of 24 hours */
        {BYTES(0x01, 1, 0, 1, 'a', 'b'), BYTES(0x00)},                          /* a byte behind the names */
        {BYTES(0x01, 0, 0), BYTES(0x13, 0xff, 0xff, 0xff, 0xff)},               /* 4 billion elements */
        {BYTES(0x01, 0, 0), BYTES(0x03, 1, 5, 9)},                              /* an element outside */
        {BYTES(0x01, 0, 0), BYTES(0x02, 1, 0, 0, 1, 0x00)},                     /* a key that is not there */
        {BYTES(0x01, 1, 0, 1, 'a'), BYTES(0x02, 2, 0, 0, 0, 1, 2, 0x00, 0x00)}, /* a key twice */
    };
    Error err = ERROR_NONE;
    (void)state;

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        if (delta_variant_check(CASES[i].metadata.data, CASES[i].metadata.n, CASES[i].value.data, CASES[i].value.n,
                                &err) == OK) {
            fail_msg("case %zu was taken", i);
        }
    }
}

/* Arrays of two elements that are the same one: 2^40 values in a hundred bytes. */
static void test_delta_variant__does_not_unfold(void **state)
{
    enum { LEVELS = 40, LEVEL = 5 };
    uint8_t value[LEVELS * LEVEL + 1] = {0};
    Error err = ERROR_NONE;
    (void)state;

    for (size_t i = 0; i < LEVELS; i++) {
        uint8_t *at = value + i * LEVEL;
        at[0] = 0x03;
        at[1] = 2;
        at[4] = (uint8_t)(sizeof value - (i + 1) * LEVEL);
    }
    assert_int_equal(delta_variant_check(NO_NAMES.data, NO_NAMES.n, value, sizeof value, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.message, "overlap"));
}

static void test_delta_variant__depth_has_a_limit(void **state)
{
    enum { LEVELS = 100000, LEVEL = 10 };
    uint8_t *value = mem_alloc(LEVELS * LEVEL + 1);
    Error err = ERROR_NONE;
    (void)state;

    for (size_t i = 0; i < LEVELS; i++) {
        uint8_t *at = value + i * LEVEL;
        size_t rest = (LEVELS - i - 1) * LEVEL + 1;
        at[0] = 0x0f; /* array, offsets of four bytes */
        at[1] = 1;
        for (size_t b = 0; b < 4; b++) {
            at[6 + b] = (uint8_t)(rest >> 8 * b);
        }
    }
    assert_int_equal(delta_variant_check(NO_NAMES.data, NO_NAMES.n, value, LEVELS * LEVEL + 1, &err), ERR_LIMIT);
    mem_free(value);
}

/* ---- files ---- */

static const struct {
    const char *select;
    DeltaVariantForm form;
} FILES[] = {
    {"1 AS a, 'x' AS b, [1, 2] AS l", DELTA_VARIANT_ABSENT},
    {"5::VARIANT AS v", DELTA_VARIANT_LOGICAL},
    {"{'k': 1, 's': 'x'}::VARIANT AS v, 1 AS a", DELTA_VARIANT_LOGICAL},
    {"{'metadata': '\\x01'::BLOB, 'value': '\\x00'::BLOB} AS v", DELTA_VARIANT_PLAIN},
    {"[{'value': '\\x00'::BLOB, 'metadata': '\\x01'::BLOB}] AS v", DELTA_VARIANT_PLAIN},
    {"{'metadata': '\\x01'::BLOB, 'value': '\\x00'::BLOB, 'typed_value': 5} AS v", DELTA_VARIANT_TYPED},
    {"{'metadata': '\\x01'::BLOB, 'value': '\\x00'::BLOB, 'more': 5} AS v", DELTA_VARIANT_ABSENT},
    {"{'metadata': 'x', 'value': 'y'} AS v", DELTA_VARIANT_PLAIN}, /* Parquet's text is a binary too */
    {"{'metadata': '\\x01'::BLOB, 'value': '\\x00'::BLOB} AS v, 5::VARIANT AS w", DELTA_VARIANT_LOGICAL},
};

static void test_delta_variant__forms_of_files(void **state)
{
    LogFixture *f = log_fixture_new();
    Text path = TEXT(4096);
    Error err = ERROR_NONE;
    (void)state;

    text_printf(&path, "%s/f.parquet", f->dir);
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        DeltaVariantForm form = DELTA_VARIANT_TYPED;
        assert_ok(
            duck_execf(f->conn, &err, "COPY (SELECT %s) TO '%s' (FORMAT parquet)", FILES[i].select, text_str(&path)));
        assert_ok(delta_variant_form(text_str(&path), &form, &err));
        if (form != FILES[i].form) {
            fail_msg("%s: form %d, expected %d", FILES[i].select, (int)form, (int)FILES[i].form);
        }
    }
    log_fixture_write(f, "f.parquet", "PAR1 this is none");
    assert_int_equal(delta_variant_form(text_str(&path), &(DeltaVariantForm){0}, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.message, "f.parquet"));
    log_fixture_write(f, "f.parquet", "xxxxx\xff\xff\xff\x7fPAR1");
    assert_int_equal(delta_variant_form(text_str(&path), &(DeltaVariantForm){0}, &err), ERR_CORRUPT);
    log_fixture_write(f, "f.parquet", "xxxxxx\x02\x7f\x7fPAR1");
    assert_int_equal(delta_variant_form(text_str(&path), &(DeltaVariantForm){0}, &err), ERR_CORRUPT);
    text_free(&path);
    log_fixture_free(f);
}

/* ---- scans ---- */

#define PLAIN_ONE "{'value': '\\x02\\x01\\x00\\x00\\x02\\x0c\\x01'::BLOB, 'metadata': '\\x01\\x01\\x00\\x01a'::BLOB}"

static void write_table(LogFixture *f, const char *const *selects, size_t n)
{
    Text log = TEXT(1 << 16);
    Error err = ERROR_NONE;

    text_append(&log, "{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":"
                      "[\"variantType-preview\"],\"writerFeatures\":[\"variantType-preview\"]}}\n");
    append_metadata(&log, "v variant; l {'type':'array','elementType':'variant','containsNull':true}", "", "");
    for (size_t i = 0; i < n; i++) {
        text_printf(&log,
                    "{\"add\":{\"path\":\"%zu.parquet\",\"partitionValues\":{},\"size\":1,\"modificationTime\":1,"
                    "\"dataChange\":true}}\n",
                    i);
        assert_ok(
            duck_execf(f->conn, &err, "COPY (SELECT %s) TO '%s/%zu.parquet' (FORMAT parquet)", selects[i], f->dir, i));
    }
    log_fixture_commit(f, 0, text_str(&log));
    text_free(&log);
}

static Status scan_rows(LogFixture *f, char **rows, Error *err)
{
    DeltaSnapshot *snapshot = NULL;
    DeltaScan *scan = NULL;
    Text sql = TEXT(1 << 20);
    Status rc = OK;

    TRY(delta_table_snapshot(f->table, f->conn, &snapshot, err));
    TRY(delta_scan_snapshot(snapshot, f->conn, NULL, 0, &scan, err));
    text_printf(&sql, "SELECT v, l FROM (%s) ORDER BY v::VARCHAR NULLS LAST", delta_scan_sql(scan));
    *rows = rows_of(f, text_str(&sql), err);
    rc = *rows != NULL ? OK : error_status(err);
out:
    text_free(&sql);
    delta_scan_free(scan);
    delta_snapshot_unref(snapshot);
    return rc;
}

static void test_delta_variant__files_of_both_kinds(void **state)
{
    static const struct {
        const char *files[3];
        size_t n;
        const char *rows;
    } CASES[] = {
        {{PLAIN_ONE " AS v, [" PLAIN_ONE ", NULL] AS l"}, 1, "{\"a\":1} [{\"a\":1},null]\n"},
        {{"5::VARIANT AS v"}, 1, "5 null\n"},
        {{PLAIN_ONE " AS v, [" PLAIN_ONE ", NULL] AS l", "5::VARIANT AS v", "NULL::INTEGER AS x"},
         3,
         "5 null\n{\"a\":1} [{\"a\":1},null]\nnull null\n"},
        /* what looks like a plain variant is none where variants have the logical type */
        {{"{'metadata': '\\x01'::BLOB, 'value': '\\x00'::BLOB}::VARIANT AS v", PLAIN_ONE " AS v"},
         2,
         "{\"a\":1} null\n{\"metadata\":\"AQ==\",\"value\":\"AA==\"} null\n"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        LogFixture *f = log_fixture_new();
        Error err = ERROR_NONE;
        char *rows = NULL;
        write_table(f, CASES[i].files, CASES[i].n);
        assert_ok(scan_rows(f, &rows, &err));
        assert_string_equal(rows, CASES[i].rows);
        mem_free(rows);
        log_fixture_free(f);
    }
}

static void test_delta_variant__errors_name_the_file(void **state)
{
    static const struct {
        const char *file, *what;
    } CASES[] = {
        {"{'value': '\\x03\\x05'::BLOB, 'metadata': '\\x01\\x00\\x00'::BLOB} AS v",
         "an object or array ends too early"},
        {"{'value': ''::BLOB, 'metadata': '\\x01\\x00\\x00'::BLOB} AS v", "it is empty"},
        {"{'value': '\\x00'::BLOB, 'metadata': '\\x01\\x00\\x00'::BLOB, 'typed_value': 5} AS v", "shredded"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        LogFixture *f = log_fixture_new();
        Error err = ERROR_NONE;
        char *rows = NULL;
        write_table(f, (const char *const[]){CASES[i].file}, 1);
        assert_int_not_equal(scan_rows(f, &rows, &err), OK);
        if (strstr(err.message, "0.parquet") == NULL || strstr(err.message, CASES[i].what) == NULL) {
            fail_msg("%s: %s", CASES[i].file, err.message);
        }
        log_fixture_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delta_variant__takes_what_is_sound),
        cmocka_unit_test(test_delta_variant__refuses_damage),
        cmocka_unit_test(test_delta_variant__does_not_unfold),
        cmocka_unit_test(test_delta_variant__depth_has_a_limit),
        cmocka_unit_test(test_delta_variant__forms_of_files),
        cmocka_unit_test(test_delta_variant__files_of_both_kinds),
        cmocka_unit_test(test_delta_variant__errors_name_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
