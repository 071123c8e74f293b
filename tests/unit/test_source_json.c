#include "unit.h"

#include "json_judge.h"

static Judge judge;

static int set_up(void **state)
{
    (void)state;
    judge_open(&judge);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    judge_close(&judge);
    return 0;
}

/* ---- random records ---- */

static uint32_t below(uint32_t n)
{
    return (uint32_t)(random_u64() % n);
}

#define PICK(list) list[below(sizeof(list) / sizeof *(list))]

static void put_space(Text *out)
{
    static const char *const SPACES[] = {"", "", "", "", " ", "  ", "\t", " \r"};
    text_append(out, PICK(SPACES));
}

static void put_string(Text *out)
{
    static const char *const PIECES[] = {"a",
                                         "bc",
                                         " ",
                                         "\\n",
                                         "\\\"",
                                         "\\\\",
                                         "\\/",
                                         "\\u0041",
                                         "\\u00e9",
                                         "\\ud83d\\ude00",
                                         "é",
                                         "😀",
                                         "0123456789abcdef",
                                         "\\u0000",
                                         "{",
                                         "]",
                                         ",",
                                         "日本",
                                         "~",
                                         "the end of a string"};
    text_append_char(out, '"');
    for (uint32_t n = below(6); n > 0; n--) {
        text_append(out, PICK(PIECES));
    }
    text_append_char(out, '"');
}

static void put_number(Text *out)
{
    static const char *const NUMBERS[] = {"0",
                                          "-0",
                                          "1",
                                          "-1",
                                          "42",
                                          "9223372036854775807",
                                          "-9223372036854775808",
                                          "9007199254740993",
                                          "1.5",
                                          "-0.1",
                                          "1e3",
                                          "1E-3",
                                          "123456.789",
                                          "0.1234567890123456789",
                                          "1e22",
                                          "1e23",
                                          "5e-324",
                                          "1.7976931348623157e308",
                                          "2147483648",
                                          "-2147483649",
                                          "2147483647",
                                          "999999999999999",
                                          "0.30000000000000004",
                                          "12345678901234567"};
    if (below(3) == 0) {
        text_printf(out, "%lld", (long long)(random_u64() >> below(64)));
    } else if (below(3) == 0) {
        text_printf(out, "%.*g", 1 + (int)below(17),
                    (double)(int64_t)random_u64() / (double)(1 + (random_u64() >> below(60))));
    } else {
        text_append(out, PICK(NUMBERS));
    }
}

static void put_value(Text *out, int depth);

static void put_key(Text *out)
{
    static const char *const KEYS[] = {"\"b\"", "\"i\"",     "\"d\"",  "\"s\"",       "\"a longer name of a field\"",
                                       "\"o\"", "\"l\"",     "\"lo\"", "\"m\"",       "\"x\"",
                                       "\"I\"", "\"other\"", "\"\"",   "\"\\u0069\"", "\"a longer name of a FIELD\"",
                                       "\"é\"", "\"q\\\"\""};
    text_append(out, PICK(KEYS));
}

static void put_object(Text *out, int depth)
{
    text_append_char(out, '{');
    for (uint32_t n = below(8), i = 0; i < n; i++) {
        text_append(out, i > 0 ? "," : "");
        put_space(out);
        put_key(out);
        put_space(out);
        text_append_char(out, ':');
        put_space(out);
        put_value(out, depth + 1);
        put_space(out);
    }
    text_append_char(out, '}');
}

static void put_array(Text *out, int depth)
{
    text_append_char(out, '[');
    for (uint32_t n = below(5), i = 0; i < n; i++) {
        text_append(out, i > 0 ? "," : "");
        put_space(out);
        put_value(out, depth + 1);
        put_space(out);
    }
    text_append_char(out, ']');
}

static void put_value(Text *out, int depth)
{
    static const char *const WORDS[] = {"true", "false", "null", "\"NaN\"", "\"-Infinity\"", "\"12\""};
    switch (below(depth > 5 ? 4 : 7)) {
    case 0: put_string(out); break;
    case 1:
    case 2: put_number(out); break;
    case 3: text_append(out, PICK(WORDS)); break;
    case 4: put_array(out, depth); break;
    default: put_object(out, depth);
    }
}

/* One of three records gets a byte changed, dropped or doubled. */
static void put_damage(Text *out, size_t from)
{
    static const char BYTES[] = "{}[]\",:\\0-+.eEtfnu \r\x01\x7f\x80\xc3\xed\xff";
    size_t n = out->length - from;
    if (n == 0 || below(3) != 0) {
        return;
    }
    char *at = out->data + from + below((uint32_t)n);
    switch (below(3)) {
    case 0: *at = BYTES[below(sizeof BYTES - 1)]; break;
    case 1:
        memmove(at, at + 1, (size_t)(out->data + out->length - at - 1));
        out->length--;
        break;
    default: out->length = (size_t)(at - out->data);
    }
}

static void test_source_json__random_records_agree_with_jansson(void **state)
{
    (void)state;
    test_seed();
    for (int round = 0; round < 20; round++) {
        Text text = TEXT(64 << 20);
        for (int line = 0; line < 2000; line++) {
            size_t from = text.length;
            put_object(&text, 0);
            put_damage(&text, from);
            text_append_char(&text, '\n');
        }
        judge_text(&judge, text.data, text.length);
        text_free(&text);
    }
}

/* Numbers, texts, names, values where another type is due, and what is cut off. */
static const char *const LINES[] = {
    "{\"i\":1}",
    "{\"i\":01}",
    "{\"i\":-}",
    "{\"i\":1.}",
    "{\"d\":1.}",
    "{\"d\":.5}",
    "{\"d\":1e}",
    "{\"d\":1e5}",
    "{\"d\":00.5}",
    "{\"i\":1 }",
    "{\"i\":1}x",
    "{\"i\":1,}",
    "{,}",
    "{\"i\"}",
    "{\"i\":}",
    "{\"i\" : 1}",
    "{\"i\":tru}",
    "{\"b\":truex}",
    "{\"b\":true}",
    "[]",
    "5",
    "\"s\"",
    "null",
    "{\"s\":\"\\ud800\"}",
    "{\"s\":\"\\udc00\"}",
    "{\"s\":\"\\ud800\\u0041\"}",
    "{\"s\":\"\\u00g0\"}",
    "{\"s\":\"\\x\"}",
    "{\"s\":\"a\tb\"}",
    "{\"s\":\"\xc3\x28\"}",
    "{\"s\":\"\xed\xa0\x80\"}",
    "{\"s\":\"\xf4\x90\x80\x80\"}",
    "{\"s\":\"\xc0\x80\"}",
    "{\"\xff\":1}",
    "{\"s\":{\"a\":[1,2,{\"b\":null}]}}",
    "{\"s\":[1, 2 ,3]}",
    "{\"l\":[1,\"x\",null,2.5,[],{}]}",
    "{\"lo\":[{\"x\":1,\"z\":2},{\"x\":\"no\"},3,null,{\"l\":[\"a\",1]}]}",
    "{\"m\":{\"a\":1,\"b\":\"x\",\"a\":2}}",
    "{\"o\":{\"x\":1,\"o\":{\"d\":1,\"e\":2},\"y\":3}}",
    "{\"i\":1,\"i\":2}",
    "{\"i\":1,\"i\":\"x\"}",
    "{\"i\":\"x\",\"i\":1}",
    "{\"o\":{\"x\":1},\"o\":{}}",
    "{\"I\":1}",
    "{\"i\":9223372036854775807,\"d\":9223372036854775807}",
    "{\"a longer name of a field\":1,\"a longer name of a fielD\":2}",
    "{\"\\u0069\":5}",
    "{\"l\":[]}",
    "{\"m\":{}}",
    "{\"lo\":[]}",
    "{\"o\":{}}",
    "{\"l\":[1,2",
    "{\"s\":\"abc",
    "{\"m\":{\"a\":1",
    "  {\"i\":1}  ",
    "\t{}\r",
    "{\"l\":[1,]}",
    "{\"l\":[,1]}",
    "{\"m\":{\"a\"}}",
    "{\"m\":{1:1}}",
    "{\"s\":\"\x7f\"}",
    "{\"s\":\"\\u0000\"}",
    "{\"d\":1e400}",
    "{\"i\":1e400}",
    "{\"x\":1e400}",
    "{\"i\":99999999999999999999}",
};

static void test_source_json__cases_agree_with_jansson(void **state)
{
    (void)state;
    Text text = TEXT(1 << 20);
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++) {
        text_append(&text, LINES[i]);
        text_append_char(&text, '\n');
    }
    for (int depth = 60; depth < 300; depth += 60) {
        text_append(&text, "{\"x\":");
        for (int i = 0; i < depth; i++) {
            text_append(&text, "[");
        }
        for (int i = 0; i < depth; i++) {
            text_append(&text, "]");
        }
        text_append(&text, "}\n");
    }
    judge_text(&judge, text.data, text.length - 1);
    text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source_json__cases_agree_with_jansson),
        cmocka_unit_test(test_source_json__random_records_agree_with_jansson),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
