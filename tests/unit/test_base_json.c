#include "unit.h"

#include "base/json.h"

static const JsonSource SOURCE = {.name = "test.json"};

static json_t *parsed(const char *text)
{
    Error err = ERROR_NONE;
    json_t *value = NULL;
    assert_ok(json_parse(text, strlen(text), &SOURCE, &value, &err));
    return value;
}

/* The text must be refused with this error, and `part` must be in the message. */
static void assert_refused(const char *text, size_t n, const JsonSource *source, ErrorId id, const char *part)
{
    Error err = ERROR_NONE;
    json_t *value = NULL;

    assert_int_not_equal(json_parse_object(text, n, source, &value, &err), OK);
    assert_null(value);
    assert_int_equal(err.id, id);
    assert_contains(err.message, part);
}

static void test_base_json__errors_name_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } CASES[] = {
        {"", "test.json: line 1, column 1: "},
        {"{\"a\":1,\n \"b\":}", "test.json: line 2, column 6: "},
        {"{\"a\":1}x", "test.json: line 1, column 8: "},
        {"{\"a\":1,\"a\":2}", "duplicate"},
        {"{\"a\":99999999999999999999}", "too big integer"},
        {"{\"a\":1e999}", "overflow"},
        {"{\"a\":\"\xFF\"}", "test.json: line 1, column 6: "},
        {"[1]", "must be an object, not an array"},
        {"null", "must be an object, not null"},
        {"{\"a\":NaN}", "test.json: line 1"},
        {"{'a':1}", "test.json: line 1"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        assert_refused(CASES[i].text, strlen(CASES[i].text), &SOURCE, E_JSON, CASES[i].part);
    }
    assert_refused("{}\0", 3, &SOURCE, E_JSON, "column 3");
    assert_refused("{\"a\":1\0}", 8, &SOURCE, E_JSON, "column 7: a NUL byte");
    JsonSource later = {.name = "log", .first_line = 7};
    assert_refused("{\n\n]", 4, &later, E_JSON, "log: line 9, column 1: ");
}

static void test_base_json__limits(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    json_t *value = NULL;
    char text[2 * (JSON_DEPTH_MAX + 1)];

    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_refused(text, sizeof(text), &SOURCE, E_LIMIT, "line 1, column 65: JSON nested deeper than 64");
    assert_ok(json_parse(text + 1, sizeof(text) - 2, &SOURCE, &value, &err));
    json_decref(value);

    /* Brackets in strings are no nesting, not even behind an escaped quote. */
    Text many = TEXT(10000);
    text_append(&many, "{\"a\\\"");
    for (int i = 0; i < 100; i++) {
        text_append(&many, "[{");
    }
    text_append(&many, "\\\\\":1}");
    assert_ok(json_parse(many.data, many.length, &SOURCE, &value, &err));
    json_decref(value);
    text_free(&many);

    JsonSource small = {.name = "s", .bytes_max = 7};
    assert_refused("{\"a\":12}", 8, &small, E_LIMIT, "the maximum is 7");
    assert_ok(json_parse("{\"a\":1}", 7, &small, &value, &err));
    json_decref(value);
}

static void test_base_json__getters(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    json_t *o = parsed("{\"s\":\"x\",\"i\":-9223372036854775808,\"d\":1.5,\"b\":true,\"o\":{},\"a\":[1],"
                       "\"n\":null,\"z\":\"a\\u0000b\"}");
    const char *s = "default";
    int64_t i = 5;
    double d = 0;
    bool b = false;
    json_t *child = NULL;

    assert_ok(json_get_string(o, "s", &s, &err));
    assert_string_equal(s, "x");
    assert_ok(json_get_i64(o, "i", &i, &err));
    assert_true(i == INT64_MIN);
    assert_ok(json_get_double(o, "d", &d, &err));
    assert_true(d == 1.5);
    assert_ok(json_get_double(o, "i", &d, &err));
    assert_ok(json_get_bool(o, "b", &b, &err));
    assert_true(b);
    assert_ok(json_get_object(o, "o", &child, &err));
    assert_ok(json_get_array(o, "a", &child, &err));

    /* Optional: missing and null keep the default, another type is still an error. */
    s = "default";
    assert_ok(json_opt_string(o, "none", &s, &err));
    assert_ok(json_opt_string(o, "n", &s, &err));
    assert_string_equal(s, "default");
    assert_int_equal(json_opt_string(o, "i", &s, &err), ERR_CORRUPT);
    assert_string_equal(err.message, "field 'i' must be a string, not an integer");
    assert_int_equal(json_get_i64(o, "none", &i, &err), ERR_CORRUPT);
    assert_string_equal(err.message, "field 'none' is missing; it must be an integer");
    assert_int_equal(json_get_i64(o, "n", &i, &err), ERR_CORRUPT);
    assert_string_equal(err.message, "field 'n' is null; it must be an integer");
    assert_int_equal(json_get_i64(o, "d", &i, &err), ERR_CORRUPT);
    assert_int_equal(json_get_bool(o, "i", &b, &err), ERR_CORRUPT);
    assert_int_equal(json_get_array(o, "o", &child, &err), ERR_CORRUPT);
    assert_int_equal(json_get_string(o, "z", &s, &err), ERR_CORRUPT);
    assert_string_equal(err.message, "field 'z' holds a NUL character");
    assert_true(json_has(o, "s") && !json_has(o, "n") && !json_has(o, "none"));
    json_decref(o);
}

static void test_base_json__iteration_in_order(void **state)
{
    (void)state;
    json_t *o = parsed("{\"z\":1,\"a\":2,\"m\":3}");
    const char *key;
    json_t *value;
    char order[4] = "";
    size_t n = 0;

    for (void *at = NULL; json_next(o, &at, &key, &value);) {
        order[n++] = key[0];
        assert_int_equal(json_integer_value(value), n);
    }
    assert_string_equal(order, "zam");
    json_decref(o);
    json_t *empty = parsed("{}");
    void *at = NULL;
    assert_false(json_next(empty, &at, &key, &value));
    json_decref(empty);
}

static void test_base_json__dump(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    Text t = TEXT(1000);
    json_t *o = json_object();

    json_put_i64(o, "z", INT64_MIN);
    json_put(o, "b", json_true());
    assert_ok(json_put_string(o, "s", "\xC3\xBC/\"\n", &err));
    assert_ok(json_put_string(o, "n", NULL, &err));
    json_put(o, "d", json_real(0.1));
    json_put(o, "a", json_pack("[i,i]", 1, 2));
    assert_ok(json_dump_text(o, &t, &err));
    assert_string_equal(t.data, "{\"z\":-9223372036854775808,\"b\":true,\"s\":\"\xC3\xBC/\\\"\\n\",\"n\":null,"
                                "\"d\":0.10000000000000001,\"a\":[1,2]}");
    assert_int_equal(json_put_string(o, "bad", "ab\xFFz", &err), ERR_CORRUPT);
    assert_string_equal(err.message, "field 'bad': byte 3 of 'ab' is not UTF-8");
    assert_null(json_object_get(o, "bad"));
    Text small = TEXT(5);
    assert_int_equal(json_dump_text(o, &small, &err), ERR_LIMIT);
    text_free(&small);
    text_free(&t);
    json_decref(o);
}

/* Random bytes, and good texts with random damage: parsed or refused, never a crash, and what is parsed comes back the
 * same from its own dump. */
static void test_base_json__random_texts(void **state)
{
    (void)state;
    static const char GOOD[] = "{\"add\":{\"path\":\"p=1/x.parquet\",\"size\":123,\"partitionValues\":{\"p\":\"1\"},"
                               "\"stats\":\"{\\\"numRecords\\\":3}\",\"tags\":null,\"d\":[1.5e-7,true,false,-0.0]}}";
    static const char LETTERS[] = "{}[]\",:0123456789.eE+-truefalsn\\u \n\x80\xC3\xBC\xFF";
    char text[512];
    int good = 0;

    test_seed();
    for (int round = 0; round < 100000; round++) {
        size_t n;
        if (round % 3 == 0) {
            n = random_u64() % sizeof(text);
            for (size_t i = 0; i < n; i++) {
                text[i] = round % 2 ? (char)random_u64() : LETTERS[random_u64() % (sizeof(LETTERS) - 1)];
            }
        } else {
            n = sizeof(GOOD) - 1;
            memcpy(text, GOOD, n);
            for (uint64_t k = random_u64() % 4; k > 0; k--) {
                text[random_u64() % n] = LETTERS[random_u64() % (sizeof(LETTERS) - 1)];
            }
            n = round % 7 == 0 ? random_u64() % n : n;
        }
        char *exact = malloc(n ? n : 1); /* so that a read past the end is seen */
        memcpy(exact, text, n);
        json_t *value = NULL, *again = NULL;
        Error err = ERROR_NONE;
        if (json_parse(exact, n, &SOURCE, &value, &err) == OK) {
            Text dump = TEXT(1 << 20);
            assert_ok(json_dump_text(value, &dump, &err));
            assert_ok(json_parse(dump.data, dump.length, &SOURCE, &again, &err));
            assert_true(json_equal(value, again));
            json_decref(again);
            text_free(&dump);
            json_decref(value);
            good++;
        } else {
            assert_null(value);
            assert_true(err.id == E_JSON || err.id == E_LIMIT);
        }
        free(exact);
    }
    assert_true(good > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_json__errors_name_the_place),
        cmocka_unit_test(test_base_json__limits),
        cmocka_unit_test(test_base_json__getters),
        cmocka_unit_test(test_base_json__iteration_in_order),
        cmocka_unit_test(test_base_json__dump),
        cmocka_unit_test(test_base_json__random_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
