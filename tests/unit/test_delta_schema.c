#include "unit.h"

#include "delta/schema_int.h"

static DeltaSchema *parsed(const char *json)
{
    Error err = ERROR_NONE;
    DeltaSchema *schema = NULL;
    assert_ok(delta_schema_parse(json, &schema, &err));
    return schema;
}

static char *dumped(const DeltaSchema *schema)
{
    Text text = TEXT(1 << 20);
    delta_schema_json(schema, &text);
    return text_take(&text);
}

#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type ",\"nullable\":true,\"metadata\":{}}"
#define SCHEMA(fields)    "{\"type\":\"struct\",\"fields\":[" fields "]}"

static void test_delta_schema__round_trip_keeps_unknown_metadata(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        SCHEMA(""),
        SCHEMA("{\"name\":\"a\",\"type\":\"long\",\"nullable\":false,\"metadata\":{\"comment\":\"\\u0001é\",\"x\":{"
               "\"y\":[1,2.5,"
               "null]}}}"),
        SCHEMA(FIELD("s", SCHEMA(FIELD("x", "\"decimal(38,18)\"") "," FIELD("Y", "\"timestamp_ntz\"")))),
        SCHEMA(FIELD(
            "l", "{\"type\":\"array\",\"elementType\":{\"type\":\"map\",\"keyType\":\"string\",\"valueType\":" SCHEMA(
                     FIELD("q", "\"void\"")) ",\"valueContainsNull\":false},\"containsNull\":false}")),
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        DeltaSchema *schema = parsed(CASES[i]);
        char *json = dumped(schema);
        if (i != 1) {
            assert_string_equal(json, CASES[i]);
        } else {
            assert_contains(json, "\"x\":{\"y\":[1,2.5,null]}");
            assert_false(schema->fields[0].nullable);
        }
        free(json);
        delta_schema_unref(schema);
    }
}

static void test_delta_schema__refuses(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    static const struct {
        const char *json, *part;
        ErrorId id;
    } CASES[] = {
        {"{", "schema", E_JSON},
        {"{\"type\":\"array\"}", "must be a struct", E_DELTA_CORRUPT},
        {SCHEMA(FIELD("a", "\"interval day\"")), "column \"a\": type \"interval day\" is not supported", E_DELTA_TYPE},
        {SCHEMA(FIELD("a", "\"decimal(39,0)\"")), "decimal(39,0)", E_DELTA_TYPE},
        {SCHEMA(FIELD("a", "\"decimal(5,6)\"")), "decimal(5,6)", E_DELTA_TYPE},
        {SCHEMA(FIELD("a", "{\"type\":\"udt\"}")), "\"udt\"", E_DELTA_TYPE},
        {SCHEMA(FIELD("a", "1")), "must be a type name", E_JSON},
        {SCHEMA(FIELD("a", "\"long\"") "," FIELD("A", "\"long\"")), "\"A\" is there twice", E_DELTA_CORRUPT},
        {SCHEMA(FIELD("s", SCHEMA(FIELD("b", "\"geometry(4326)\"")))), "column \"s\": column \"b\": type",
         E_DELTA_TYPE},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        DeltaSchema *schema = NULL;
        assert_int_not_equal(delta_schema_parse(CASES[i].json, &schema, &err), OK);
        assert_null(schema);
        assert_int_equal(err.id, CASES[i].id);
        assert_contains(err.message, CASES[i].part);
        error_clear(&err);
    }
}

static void test_delta_schema__column_mapping(void **state)
{
    (void)state;
    DeltaSchema *schema = parsed(
        SCHEMA("{\"name\":\"a\",\"type\":\"long\",\"nullable\":true,\"metadata\":{"
               "\"delta.columnMapping.id\":7,\"delta.columnMapping.physicalName\":\"col-1\"}}"));
    DeltaSchemaBuilder *builder = delta_schema_builder_new(schema);
    DeltaSchema *grown;

    assert_string_equal(schema->fields[0].physical_name, "col-1");
    assert_int_equal(schema->fields[0].field_id, 7);
    delta_schema_builder_add(builder, "b c", delta_type_primitive(DELTA_DATE), false, NULL);
    grown = delta_schema_builder_finish(builder);
    delta_schema_unref(schema);
    assert_string_equal(grown->fields[0].physical_name, "col-1");
    assert_string_equal(grown->fields[1].physical_name, "b c");
    assert_ptr_equal(delta_schema_find(grown, "B C"), &grown->fields[1]);
    assert_null(delta_schema_find(grown, "d"));

    Error err = ERROR_NONE;
    assert_ok(delta_schema_check_names(grown, "name", &err));
    assert_int_not_equal(delta_schema_check_names(grown, NULL, &err), OK);
    assert_int_equal(err.id, E_DELTA_NAME);
    assert_contains(err.hint, "delta.columnMapping.mode");
    delta_schema_unref(grown);
}

/* Types of DuckDB for the tests, by hand. */
#define DUCK(name, type_id) static const DuckType name = {.id = type_id}
DUCK(BIGINT, DUCK_BIGINT);
DUCK(HUGEINT, DUCK_HUGEINT);
DUCK(INTEGER, DUCK_INTEGER);
DUCK(VARCHAR, DUCK_VARCHAR);
DUCK(DOUBLE, DUCK_DOUBLE);
DUCK(UUID, DUCK_UUID);
DUCK(INTERVAL, DUCK_INTERVAL);
DUCK(NOTHING, DUCK_NULL);
static const DuckType DECIMAL = {.id = DUCK_DECIMAL, .precision = 10, .scale = 2};

static const DuckTypeMember POINT_MEMBERS[] = {{"x", &BIGINT}, {"y", &VARCHAR}};
static const DuckType POINT = {.id = DUCK_STRUCT, .members = POINT_MEMBERS, .n_members = 2};
static const DuckTypeMember POINTS_MEMBERS[] = {{"", &POINT}};
static const DuckType POINTS = {.id = DUCK_LIST, .members = POINTS_MEMBERS, .n_members = 1};

static void test_delta_schema__from_columns(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    static const DuckType UBIGINT = {.id = DUCK_UBIGINT};
    static const DuckColumnInfo COLUMNS[] = {
        {"id", &HUGEINT}, {"u", &UUID}, {"n", &UBIGINT}, {"d", &DECIMAL}, {"p", &POINTS}};
    static const DuckColumnInfo TWICE[] = {{"id", &BIGINT}, {"ID", &BIGINT}};
    static const DuckColumnInfo BAD[] = {{"wait", &INTERVAL}};
    DeltaSchema *schema = NULL;
    Text name = TEXT(1000);

    assert_ok(delta_schema_from_columns(COLUMNS, 5, &schema, &err));
    for (size_t i = 0; i < schema->n_fields; i++) {
        delta_type_name(schema->fields[i].type, &name);
        text_append_char(&name, ' ');
    }
    assert_string_equal(text_str(&name), "long string decimal(20,0) decimal(10,2) array<struct<x:long,y:string>> ");
    text_clear(&name);
    delta_type_sql(schema->fields[4].type, &name);
    assert_string_equal(text_str(&name), "STRUCT(\"x\" BIGINT, \"y\" VARCHAR)[]");
    text_free(&name);
    delta_schema_unref(schema);
    schema = NULL;
    assert_error(delta_schema_from_columns(TWICE, 2, &schema, &err), E_DELTA_SCHEMA);
    assert_int_not_equal(delta_schema_from_columns(BAD, 1, &schema, &err), OK);
    assert_int_equal(err.id, E_DELTA_TYPE);
    assert_contains(err.message, "\"wait\"");
}

#define TABLE                                                                                                   \
    SCHEMA(FIELD("Id", "\"long\"") "," FIELD("small", "\"integer\"") "," FIELD("name", "\"string\"") "," FIELD( \
        "p", SCHEMA(FIELD("x", "\"long\""))))

static void test_delta_schema__reconcile_orders_casts_and_fills(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    static const DuckColumnInfo COLUMNS[] = {{"name", &UUID}, {"small", &BIGINT}, {"id", &BIGINT}};
    DeltaSchema *table = parsed(TABLE), *evolved = table;
    Text select = TEXT(10000);

    assert_ok(delta_schema_reconcile(table, COLUMNS, 3, false, &select, &evolved, &err));
    assert_null(evolved);
    assert_string_equal(
        text_str(&select),
        "\"id\" AS \"Id\", CAST(freshet_narrow(CAST(\"small\" AS HUGEINT), 31, 'small') AS INTEGER) AS \"small\", "
        "CAST(\"name\" AS VARCHAR) AS \"name\", CAST((NULL) AS STRUCT(\"x\" BIGINT)) AS \"p\"");
    text_free(&select);
    delta_schema_unref(table);
}

static void test_delta_schema__reconcile_refuses(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    static const struct {
        DuckColumnInfo column;
        ErrorId id;
        const char *klass;
    } CASES[] = {
        {{"extra", &BIGINT}, E_DELTA_SCHEMA, ""},
        {{"small", &VARCHAR}, E_DELTA_SCHEMA, "DELTA_FAILED_TO_MERGE_FIELDS"},
        {{"p", &BIGINT}, E_DELTA_SCHEMA, "DELTA_FAILED_TO_MERGE_FIELDS"},
        {{"p", &POINT}, E_DELTA_SCHEMA, ""},
        {{"name", &INTERVAL}, E_DELTA_SCHEMA, "DELTA_FAILED_TO_MERGE_FIELDS"},
    };
    DeltaSchema *table = parsed(TABLE), *evolved = NULL;

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Text select = TEXT(10000);
        assert_int_not_equal(delta_schema_reconcile(table, &CASES[i].column, 1, false, &select, &evolved, &err), OK);
        assert_int_equal(err.id, CASES[i].id);
        assert_string_equal(err.klass, CASES[i].klass);
        assert_int_equal(select.length, 0);
        error_clear(&err);
        text_free(&select);
    }
    delta_schema_unref(table);
}

static void test_delta_schema__reconcile_merges(void **state)
{
    (void)state;
    Error err = ERROR_NONE;
    static const DuckColumnInfo COLUMNS[] = {{"id", &INTEGER}, {"p", &POINT}, {"extra", &DOUBLE}, {"name", &NOTHING}};
    DeltaSchema *table = parsed(TABLE), *evolved = NULL;
    Text select = TEXT(10000);

    assert_ok(delta_schema_reconcile(table, COLUMNS, 4, true, &select, &evolved, &err));
    char *json = dumped(evolved);
    assert_string_equal(
        json,
        SCHEMA(FIELD("Id", "\"long\"") "," FIELD("small", "\"integer\"") "," FIELD("name", "\"string\"") "," FIELD(
            "p", SCHEMA(FIELD("x", "\"long\"") "," FIELD("y", "\"string\""))) "," FIELD("extra", "\"double\"")));
    assert_contains(text_str(&select),
                    "CAST(\"id\" AS BIGINT) AS \"Id\", CAST((NULL) AS INTEGER) AS \"small\", CAST(NULL AS VARCHAR)");
    assert_contains(text_str(&select), "\"p\" AS \"p\", \"extra\" AS \"extra\"");
    assert_true(delta_schema_is_additive(table, evolved));
    assert_false(delta_schema_is_additive(evolved, table));
    assert_false(delta_schema_equal(evolved, table));
    assert_int_equal(delta_schema_check_read(evolved, table, &err), OK);
    assert_int_not_equal(delta_schema_check_read(table, evolved, &err), OK);
    assert_contains(err.message, "\"p.y\" is new");
    free(json);
    text_free(&select);
    delta_schema_unref(evolved);
    delta_schema_unref(table);
}

static void test_delta_schema__check_read(void **state)
{
    (void)state;
    static const struct {
        const char *read, *data, *part;
    } CASES[] = {
        {SCHEMA(FIELD("a", "\"long\"")), SCHEMA(FIELD("a", "\"void\"")), NULL},
        {SCHEMA(FIELD("a", "\"long\"") "," FIELD("b", "\"long\"")), SCHEMA(FIELD("a", "\"long\"")), NULL},
        {SCHEMA(FIELD("a", "\"long\"")), SCHEMA(FIELD("A", "\"long\"")), "\"A\" is spelled differently"},
        {SCHEMA(FIELD("a", "\"long\"")), SCHEMA(FIELD("a", "\"integer\"")),
         "\"a\" is integer now and was read as long"},
        {SCHEMA(FIELD("a", "\"decimal(5,2)\"")), SCHEMA(FIELD("a", "\"decimal(6,2)\"")), "is decimal(6,2) now"},
        {SCHEMA("{\"name\":\"a\",\"type\":\"long\",\"nullable\":false,\"metadata\":{}}"),
         SCHEMA(FIELD("a", "\"long\"")), "may be NULL now"},
        {SCHEMA(FIELD("s", SCHEMA(FIELD("x", "\"long\"")))), SCHEMA(FIELD("s", SCHEMA(FIELD("x", "\"string\"")))),
         "\"s.x\" is string"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Error err = ERROR_NONE;
        DeltaSchema *read = parsed(CASES[i].read), *data = parsed(CASES[i].data);
        Status rc = delta_schema_check_read(read, data, &err);
        assert_int_equal(rc == OK, CASES[i].part == NULL);
        if (CASES[i].part) {
            assert_contains(err.message, CASES[i].part);
        }
        delta_schema_unref(read);
        delta_schema_unref(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delta_schema__round_trip_keeps_unknown_metadata),
        cmocka_unit_test(test_delta_schema__refuses),
        cmocka_unit_test(test_delta_schema__column_mapping),
        cmocka_unit_test(test_delta_schema__from_columns),
        cmocka_unit_test(test_delta_schema__reconcile_orders_casts_and_fills),
        cmocka_unit_test(test_delta_schema__reconcile_refuses),
        cmocka_unit_test(test_delta_schema__reconcile_merges),
        cmocka_unit_test(test_delta_schema__check_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
