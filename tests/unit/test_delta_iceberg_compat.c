#include "unit.h"

#include "delta/iceberg_compat.h"
#include "delta/mapping_int.h"

#define FIELD(name, type) FIELD_OF(name, type, "")
#define FIELD_OF(name, type, more)          \
    "{\"name\":\"" name "\",\"type\":" type \
    ",\"nullable\":true,\"metadata\":{\"delta.columnMapping.physicalName\":\"" name "\"" more "}}"
#define SCHEMA(fields)  "{\"type\":\"struct\",\"fields\":[" fields "]}"
#define ARRAY(type)     "{\"type\":\"array\",\"elementType\":" type ",\"containsNull\":true}"
#define MAP(key, value) "{\"type\":\"map\",\"keyType\":" key ",\"valueType\":" value ",\"valueContainsNull\":true}"
#define CHANGED(from, to) \
    ",\"delta.typeChanges\":[{\"fromType\":\"" from "\",\"toType\":\"" to "\",\"fieldPath\":\"element\"}]"

static const DeltaPair MODE = {"delta.columnMapping.mode", "name"};

static DeltaSchema *parsed(const char *json)
{
    Error err = ERROR_NONE;
    DeltaSchema *out = NULL;

    assert_ok(delta_schema_parse(json, &out, &err));
    return out;
}

/* ---- rules ---- */

/* What is special about a table of the version; `rule` NULL: nothing is wrong with it. */
typedef struct Case {
    int version;
    const char *type;
    DeltaPair property;
    bool vectors_feature, unmapped;
    const char *partition_before, *partition;
    const char *rule;
} Case;

static void check_case(const Case *c)
{
    static const char *const PROPERTIES[] = {"", "delta.enableIcebergCompatV1", "delta.enableIcebergCompatV2"};
    const DeltaPair pairs[] = {{PROPERTIES[c->version], "true"}, c->unmapped ? c->property : MODE, c->property};
    const char *const features[] = {"columnMapping", "deletionVectors"};
    DeltaProtocol protocol = {
        .min_reader = 3, .min_writer = 7, .writer_features = features, .n_writer_features = c->vectors_feature ? 2 : 1};
    DeltaMetadata metadata = {.configuration = pairs,
                              .n_configuration = c->property.key != NULL ? 3
                                                 : c->unmapped           ? 1
                                                                         : 2,
                              .partition_columns = &c->partition,
                              .n_partition_columns = c->partition != NULL};
    DeltaMetadata before = {.partition_columns = &c->partition_before,
                            .n_partition_columns = c->partition_before != NULL};
    DeltaSchema *schema = parsed(c->type != NULL ? c->type : SCHEMA(FIELD("a", "\"long\"")));
    Error err = ERROR_NONE;

    Status rc = delta_iceberg_check_table(&before, &protocol, &metadata, schema, &err);
    if (c->rule == NULL && rc != OK) {
        fail_msg("%s", err.message);
    } else if (c->rule != NULL) {
        assert_int_not_equal(rc, OK);
        assert_int_equal(err.id, E_DELTA_ICEBERG);
        assert_string_equal(err.klass, c->rule);
    }
    error_clear(&err);
    delta_schema_unref(schema);
}

#define RULE(name) "DELTA_ICEBERG_COMPAT_VIOLATION." name

static void test_delta_iceberg_compat__rules(void **state)
{
    static const Case CASES[] = {
        {.version = 1},
        {.version = 2},
        {.version = 1, .property = {"delta.enableIcebergCompatV2", "true"}, .rule = RULE("VERSION_MUTUAL_EXCLUSIVE")},
        {.version = 2, .property = {"delta.enableIcebergCompatV3", "true"}, .rule = RULE("VERSION_MUTUAL_EXCLUSIVE")},
        {.version = 2, .property = {"delta.enableIcebergCompatV1", "false"}},
        {.version = 1, .unmapped = true, .rule = RULE("WRONG_REQUIRED_TABLE_PROPERTY")},
        {.version = 2, .unmapped = true, .rule = RULE("WRONG_REQUIRED_TABLE_PROPERTY")},
        {.version = 2,
         .property = {"delta.enableDeletionVectors", "true"},
         .rule = RULE("DELETION_VECTORS_SHOULD_BE_DISABLED")},
        {.version = 1, .vectors_feature = true, .rule = RULE("INCOMPATIBLE_TABLE_FEATURE")},
        {.version = 2, .vectors_feature = true},
        {.version = 1, .partition_before = "a", .partition = "a"},
        {.version = 1, .partition = "a"},
        {.version = 1, .partition_before = "a", .rule = RULE("REPLACE_TABLE_CHANGE_PARTITION_NAMES")},
        {.version = 2, .partition_before = "b", .partition = "a", .rule = RULE("REPLACE_TABLE_CHANGE_PARTITION_NAMES")},
    };
    (void)state;

    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        check_case(&CASES[i]);
    }
}

static void test_delta_iceberg_compat__types(void **state)
{
    static const char *const LISTS[] = {SCHEMA(FIELD("a", ARRAY("\"long\""))),
                                        SCHEMA(FIELD("m", MAP("\"string\"", "\"long\""))),
                                        SCHEMA(FIELD("s", SCHEMA(FIELD("l", ARRAY("\"date\"")))))};
    (void)state;

    for (size_t i = 0; i < sizeof LISTS / sizeof LISTS[0]; i++) {
        check_case(&(Case){.version = 1, .type = LISTS[i], .rule = RULE("UNSUPPORTED_DATA_TYPE")});
        check_case(&(Case){.version = 2, .type = LISTS[i]});
    }
    for (int version = 1; version <= 2; version++) {
        check_case(
            &(Case){.version = version, .type = SCHEMA(FIELD("v", "\"void\"")), .rule = RULE("UNSUPPORTED_DATA_TYPE")});
        check_case(&(Case){.version = version, .type = SCHEMA(FIELD("s", SCHEMA(FIELD("t", "\"timestamp_ntz\""))))});
    }
    check_case(&(Case){.version = 2, .type = SCHEMA(FIELD("v", "\"variant\"")), .rule = RULE("UNSUPPORTED_DATA_TYPE")});
}

#define WIDER(from, to) SCHEMA(FIELD("s", SCHEMA(FIELD_OF("l", ARRAY("\"" to "\""), CHANGED(from, to)))))

static void test_delta_iceberg_compat__wider_types(void **state)
{
    static const char *const FINE[] = {WIDER("byte", "long"), WIDER("integer", "long"), WIDER("float", "double"),
                                       WIDER("decimal(5,2)", "decimal(9,2)")};
    static const char *const WRONG[] = {WIDER("integer", "double"), WIDER("integer", "decimal(10,0)"),
                                        WIDER("date", "timestamp_ntz"), WIDER("decimal(5,2)", "decimal(9,3)"),
                                        WIDER("nonsense", "long")};
    (void)state;

    for (size_t i = 0; i < sizeof FINE / sizeof FINE[0]; i++) {
        check_case(&(Case){.version = 2, .type = FINE[i]});
    }
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        check_case(&(Case){.version = 2, .type = WRONG[i], .rule = RULE("UNSUPPORTED_TYPE_WIDENING")});
    }
}

static void test_delta_iceberg_compat__adds(void **state)
{
    const DeltaDeletionVector vector = {.storage_type = 'i'};
    DeltaFile file = {.path = "f", .stats = "{\"numRecords\":3}"};
    Error err = ERROR_NONE;
    (void)state;

    assert_ok(delta_iceberg_check_add(2, &file, &err));
    file.deletion_vector = &vector;
    assert_error(delta_iceberg_check_add(1, &file, &err), E_DELTA_ICEBERG);
    file = (DeltaFile){.path = "f", .stats = "{}"};
    assert_error(delta_iceberg_check_add(2, &file, &err), E_DELTA_ICEBERG);
}

/* ---- ids ---- */

/* Names and ids as they go into a file. */
static void ids(const DeltaField *fields, size_t n, Text *out)
{
    for (size_t i = 0; i < n; i++) {
        text_printf(out, "%s%s=%d", i > 0 ? " " : "", fields[i].name, fields[i].field_id);
        if (fields[i].type->n_fields > 0) {
            text_append_char(out, '(');
            ids(fields[i].type->fields, fields[i].type->n_fields, out);
            text_append_char(out, ')');
        }
    }
}

static DeltaSchema *assign(const DeltaSchema *schema, bool part_ids, int64_t *max_id, const char *expected)
{
    DeltaMapping mapping = {.part_ids = part_ids, .max_id = *max_id};
    DeltaSchema *out = NULL;
    Text text = TEXT(1 << 16);
    Error err = ERROR_NONE;

    assert_ok(delta_mapping_assign(schema, &mapping, &out, &err));
    ids(out->fields, out->n_fields, &text);
    assert_string_equal(text_str(&text), expected);
    text_free(&text);
    *max_id = mapping.max_id;
    return out;
}

static void test_delta_iceberg_compat__part_ids(void **state)
{
    DeltaSchema *schema = parsed(SCHEMA(
        FIELD("l", ARRAY(ARRAY("\"long\""))) "," FIELD("m", MAP("\"string\"", SCHEMA(FIELD("x", ARRAY("\"date\"")))))));
    int64_t max_id = 0;
    (void)state;

    /* none without the property; then fields keep theirs, and parts come behind all fields */
    DeltaSchema *plain = assign(schema, false, &max_id, "l=1(element=0(element=0)) m=2(key=0 value=0(x=3(element=0)))");
    assert_int_equal(max_id, 3);
    DeltaSchema *parts = assign(plain, true, &max_id, "l=1(element=4(element=5)) m=2(key=6 value=7(x=3(element=8)))");
    assert_int_equal(max_id, 8);
    assert_contains(parts->fields[1].metadata, "\"delta.columnMapping.nested.ids\":{\"m.key\":6,\"m.value\":7}");

    /* what has ids keeps them, known from the schema alone, and new columns go on behind the largest */
    DeltaSchemaBuilder *builder = delta_schema_builder_new(parts);
    delta_schema_builder_add(builder, "n", parts->fields[0].type, true, NULL);
    DeltaSchema *grown = delta_schema_builder_finish(builder);
    max_id = 0;
    DeltaSchema *again = assign(
        grown, true, &max_id,
        "l=1(element=4(element=5)) m=2(key=6 value=7(x=3(element=8))) n=9(element=10(element=11))");
    assert_int_equal(max_id, 11);
    delta_schema_unref(schema);
    delta_schema_unref(plain);
    delta_schema_unref(parts);
    delta_schema_unref(grown);
    delta_schema_unref(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delta_iceberg_compat__rules),       cmocka_unit_test(test_delta_iceberg_compat__types),
        cmocka_unit_test(test_delta_iceberg_compat__wider_types), cmocka_unit_test(test_delta_iceberg_compat__adds),
        cmocka_unit_test(test_delta_iceberg_compat__part_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
