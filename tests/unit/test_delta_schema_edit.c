#include "unit.h"

#include "delta/protocol_int.h"
#include "delta/schema_edit.h"
#include "delta/schema_int.h"
#include "delta/widen.h"

#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type ",\"nullable\":true,\"metadata\":{}}"
#define SCHEMA(fields)    "{\"type\":\"struct\",\"fields\":[" fields "]}"
#define ARRAY(type)       "{\"type\":\"array\",\"elementType\":" type ",\"containsNull\":true}"

static DeltaSchema *schema;

static DeltaSchema *parsed(const char *json)
{
    Error err = ERROR_NONE;
    DeltaSchema *out = NULL;

    assert_ok(delta_schema_parse(json, &out, &err));
    return out;
}

static int setup(void **state)
{
    (void)state;
    schema = parsed(SCHEMA(FIELD("a", "\"integer\"") "," FIELD(
        "s", SCHEMA(FIELD("x", "\"short\"") "," FIELD(
                 "y z", "\"string\""))) "," FIELD("l", ARRAY(SCHEMA(FIELD("n", "\"float\""))))));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    delta_schema_unref(schema);
    return 0;
}

/* Names in order, with what structs hold. */
static void names(const DeltaField *fields, size_t n, Text *out)
{
    for (size_t i = 0; i < n; i++) {
        text_printf(out, "%s%s", i > 0 ? " " : "", fields[i].name);
        if (fields[i].type->n_fields > 0) {
            text_append_char(out, '(');
            names(fields[i].type->fields, fields[i].type->n_fields, out);
            text_append_char(out, ')');
        }
    }
}

static void assert_names(DeltaSchema *edited, const char *expected)
{
    Text text = TEXT(1 << 16);

    names(edited->fields, edited->n_fields, &text);
    assert_string_equal(text_str(&text), expected);
    text_free(&text);
    delta_schema_unref(edited);
}

#define PATH(...) \
    ((DeltaPath){(const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)})

static void test_delta_schema_edit__paths(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    const DeltaField *field = NULL;
    Text text = TEXT(1000);

    assert_ok(delta_schema_field(schema, PATH("L", "element", "N"), &field, &err));
    assert_int_equal(field->type->id, DELTA_FLOAT);
    assert_int_equal(delta_schema_field(schema, PATH("s", "y_z"), &field, &err), ERR_INVALID);
    assert_contains(err.message, "s.y_z");
    assert_string_equal(err.hint, "did you mean \"y z\"?");
    delta_path_text(PATH("s", "y z", "a`b"), &text);
    assert_string_equal(text_str(&text), "s.`y z`.`a``b`");
    text_free(&text);
}

static void test_delta_schema_edit__changes(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    DeltaSchema *out = NULL;
    DeltaField field = {.name = "new",
                        .type = delta_type_primitive(DELTA_LONG),
                        .nullable = true,
                        .metadata = "{}",
                        .physical_name = "new"};

    assert_ok(delta_schema_put(schema, PATH("l", "element", "n"), &field, &out, &err));
    assert_names(out, "a s(x y z) l(element(new))");
    assert_ok(delta_schema_drop(schema, PATH("s", "x"), &out, &err));
    assert_names(out, "a s(y z) l(element(n))");
    assert_ok(delta_schema_move(schema, PATH("l"), (DeltaPlace){.first = true}, &out, &err));
    assert_names(out, "l(element(n)) a s(x y z)");
    assert_ok(delta_schema_move(schema, PATH("a"), (DeltaPlace){.after = "S"}, &out, &err));
    assert_names(out, "s(x y z) a l(element(n))");
    assert_ok(delta_schema_insert(schema, PATH("s", "new"), &field, (DeltaPlace){.after = "x"}, &out, &err));
    assert_names(out, "a s(x new y z) l(element(n))");
    assert_names(schema, "a s(x y z) l(element(n))"); /* which takes a reference away */
    setup(state);
}

static void test_delta_schema_edit__refuses(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    DeltaSchema *out = NULL;
    DeltaField field = {.name = "A", .type = delta_type_primitive(DELTA_LONG), .metadata = "{}", .physical_name = "A"};

    assert_error(delta_schema_insert(schema, PATH("A"), &field, (DeltaPlace){0}, &out, &err), E_DELTA_SCHEMA);
    assert_error(delta_schema_put(schema, PATH("s"), &field, &out, &err), E_DELTA_SCHEMA);
    assert_error(delta_schema_drop(schema, PATH("l", "element", "n"), &out, &err), E_DELTA_SCHEMA);
    assert_error(delta_schema_drop(schema, PATH("l", "element"), &out, &err), E_DELTA_SCHEMA);
    assert_error(delta_schema_insert(schema, PATH("a", "x"), &field, (DeltaPlace){0}, &out, &err), E_DELTA_SCHEMA);
    assert_error(delta_schema_move(schema, PATH("a"), (DeltaPlace){.after = "q"}, &out, &err), E_DELTA_SCHEMA);
    assert_null(out);
}

static void test_delta_schema_edit__metadata(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    Arena *arena = arena_new();
    DeltaField field;
    DeltaSchema *with = NULL, *without = NULL;
    static const char *const KEYS[] = {"k"};

    assert_ok(delta_field_with(arena, &schema->fields[1].type->fields[0], "k", json_string("v"), &field, &err));
    assert_string_equal(field.metadata, "{\"k\":\"v\"}");
    assert_ok(delta_schema_put(schema, PATH("s", "x"), &field, &with, &err));
    assert_true(delta_field_has_metadata(&with->fields[1].type->fields[0], "k"));
    assert_ok(delta_schema_strip(with, KEYS, 1, &without, &err));
    assert_true(delta_schema_equal(schema, without));
    delta_schema_unref(with);
    delta_schema_unref(without);
    arena_free(arena);
}

/* ---- wider types ---- */

static void test_delta_widen__records_every_change(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *metadata; /* NULL: refused */
    } CASES[] = {
        {"\"byte\"", "\"long\"", "{\"delta.typeChanges\":[{\"fromType\":\"byte\",\"toType\":\"long\"}]}"},
        {"\"long\"", "\"long\"", "{}"},
        {ARRAY("\"short\""), ARRAY("\"double\""),
         "{\"delta.typeChanges\":[{\"fromType\":\"short\",\"toType\":\"double\",\"fieldPath\":\"element\"}]}"},
        {"{\"type\":\"map\",\"keyType\":\"integer\",\"valueType\":" ARRAY("\"date\"") ",\"valueContainsNull\":true}",
         "{\"type\":\"map\",\"keyType\":\"long\",\"valueType\":" ARRAY(
             "\"timestamp_ntz\"") ",\"valueContainsNull\":true}",
         "{\"delta.typeChanges\":[{\"fromType\":\"integer\",\"toType\":\"long\",\"fieldPath\":\"key\"},{\"fromType\":"
         "\"date\",\"toType\":\"timestamp_ntz\",\"fieldPath\":\"value.element\"}]}"},
        {"\"decimal(10,2)\"", "\"decimal(12,4)\"",
         "{\"delta.typeChanges\":[{\"fromType\":\"decimal(10,2)\",\"toType\":\"decimal(12,4)\"}]}"},
        {"\"decimal(10,2)\"", "\"decimal(11,4)\"", NULL},
        {"\"long\"", "\"double\"", NULL},
        {"\"long\"", "\"decimal(20,0)\"",
         "{\"delta.typeChanges\":[{\"fromType\":\"long\",\"toType\":\"decimal(20,0)\"}]}"},
        {"\"integer\"", "\"string\"", NULL},
        {SCHEMA(FIELD("x", "\"byte\"")), SCHEMA(FIELD("y", "\"short\"")), NULL},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Error err = ERROR_NONE;
        Arena *arena = arena_new();
        char from_json[1000], to_json[1000];
        snprintf(from_json, sizeof from_json, SCHEMA(FIELD("c", "%s")), CASES[i].from);
        snprintf(to_json, sizeof to_json, SCHEMA(FIELD("c", "%s")), CASES[i].to);
        DeltaSchema *from = parsed(from_json), *to = parsed(to_json);
        DeltaField out;
        bool changed = false;
        if (CASES[i].metadata == NULL) {
            assert_error(delta_widen(arena, &from->fields[0], to->fields[0].type, "c", &out, &changed, &err),
                         E_DELTA_SCHEMA);
        } else {
            assert_ok(delta_widen(arena, &from->fields[0], to->fields[0].type, "c", &out, &changed, &err));
            assert_string_equal(out.metadata, CASES[i].metadata);
            assert_true(delta_type_equal(out.type, to->fields[0].type));
            assert_int_equal(changed, strcmp(CASES[i].metadata, "{}") != 0);
        }
        delta_schema_unref(from);
        delta_schema_unref(to);
        arena_free(arena);
    }
}

/* ---- protocols without a feature ---- */

static void test_delta_protocol__drop_feature(void **state)
{
    (void)state;
    static const char *const V2[] = {"v2Checkpoint", "appendOnly", "invariants"}, *const READERS[] = {"v2Checkpoint"};
    static const char *const TRACKED[] = {"domainMetadata", "rowTracking"};
    Error err = ERROR_NONE;
    Arena *arena = arena_new();
    DeltaProtocol out = {0};

    DeltaProtocol p = {.min_reader = 1, .min_writer = 3};
    assert_ok(delta_protocol_drop_feature(&p, "checkConstraints", arena, &out, &err));
    assert_int_equal(out.min_writer, 2);
    assert_ok(delta_protocol_drop_feature(&p, "appendOnly", arena, &out, &err)); /* no version has just the other two */
    assert_int_equal(out.min_writer, 7);
    assert_int_equal(out.n_writer_features, 2);
    p = (DeltaProtocol){3, 7, READERS, 1, V2, 3};
    assert_ok(delta_protocol_drop_feature(&p, "v2Checkpoint", arena, &out, &err));
    assert_int_equal(out.min_reader, 1);
    assert_int_equal(out.min_writer, 2);
    p = (DeltaProtocol){1, 7, NULL, 0, TRACKED, 2};
    assert_error(delta_protocol_drop_feature(&p, "domainMetadata", arena, &out, &err), E_DELTA_PROTOCOL_WRITE);
    assert_error(delta_protocol_drop_feature(&p, "appendOnly", arena, &out, &err), E_DELTA_PROTOCOL_WRITE);
    assert_ok(delta_protocol_drop_feature(&p, "rowTracking", arena, &out, &err));
    assert_string_equal(out.writer_features[0], "domainMetadata");
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delta_schema_edit__paths),          cmocka_unit_test(test_delta_schema_edit__changes),
        cmocka_unit_test(test_delta_schema_edit__refuses),        cmocka_unit_test(test_delta_schema_edit__metadata),
        cmocka_unit_test(test_delta_widen__records_every_change), cmocka_unit_test(test_delta_protocol__drop_feature),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
