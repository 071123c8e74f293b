#include "delta_rows.h"

#include "base/failpoint.h"
#include "delta/scan.h"
#include "delta/write.h"

/* Version 0 of a table with this schema; features for whatever the tests use. */
static void create(LogFixture *f, const char *fields, const char *partition_columns, const char *configuration)
{
    Text text = TEXT(1 << 20);

    text_append(&text, "{\"protocol\":{\"minReaderVersion\":2,\"minWriterVersion\":5}}\n");
    append_metadata(&text, fields, partition_columns, configuration);
    log_fixture_commit(f, 0, text_str(&text));
    text_free(&text);
}

typedef struct Job {
    const char *query;
    DeltaWriteOptions options;
    const char *partition_by; /* of a new table */
    bool overwrite;
} Job;

/* The schema of a new table, which its partitioning needs. */
static Status set_schema(LogFixture *f, DeltaTransaction *txn, const char *query, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    DuckColumnInfo *columns = NULL;
    size_t n = 0;
    DeltaSchema *schema = NULL;

    TRY(duck_describe(f->conn, query, arena, &columns, &n, err));
    TRY(delta_schema_from_columns(columns, n, &schema, err));
    TRY(delta_transaction_set_schema(txn, schema, err));
out:
    delta_schema_unref(schema);
    arena_free(arena);
    return rc;
}

/* One transaction: write, and commit. */
static Status run(LogFixture *f, const Job *job, DeltaWriteResult *result, Error *err)
{
    Status rc = OK;
    DeltaSnapshot *snapshot = NULL;
    DeltaTransaction *txn = NULL;
    DeltaWriteResult ignored;
    int64_t version, removed;
    bool exists = false;

    TRY(delta_table_exists(f->table, &exists, err));
    if (exists) {
        TRY(delta_table_snapshot(f->table, f->conn, &snapshot, err));
    }
    TRY(delta_transaction_begin(f->table, snapshot, f->conn, &txn, err));
    if (job->overwrite) {
        TRY(delta_write_remove_all(txn, f->conn, &removed, err));
    }
    if (job->partition_by) {
        TRY(set_schema(f, txn, job->query, err));
        TRY(delta_transaction_set_partitioning(txn, &job->partition_by, 1, err));
    }
    TRY(delta_write_query(txn, f->conn, job->query, &job->options, result ? result : &ignored, err));
    TRY(delta_transaction_commit(txn, &version, err));
out:
    delta_transaction_free(txn);
    delta_snapshot_unref(snapshot);
    return rc;
}

static Status append(LogFixture *f, const char *query, DeltaWriteResult *result, Error *err)
{
    Job job = {.query = query};
    return run(f, &job, result, err);
}

/* `question` over the newest snapshot, called t; rows as JSON, one line each. */
static char *asked(LogFixture *f, const char *question)
{
    Error err = ERROR_NONE;
    DeltaSnapshot *snapshot = NULL;
    DeltaScan *scan = NULL;
    Text sql = TEXT(1 << 20);

    assert_ok(delta_table_snapshot(f->table, f->conn, &snapshot, &err));
    assert_ok(delta_scan_snapshot(snapshot, f->conn, NULL, 0, &scan, &err));
    text_printf(&sql, "WITH t AS (%s) %s", delta_scan_sql(scan), question);
    char *rows = rows_of(f, text_str(&sql), &err);
    if (!rows) {
        fail_msg("%s: %s", question, err.message);
    }
    delta_scan_free(scan);
    delta_snapshot_unref(snapshot);
    text_free(&sql);
    return rows;
}

#define assert_answer(f, question, expected)      \
    do {                                          \
        char *answer_ = asked((f), (question));   \
        assert_string_equal(answer_, (expected)); \
        mem_free(answer_);                        \
    } while (0)

/* Data files below the table's folder. */
static int64_t count_files(LogFixture *f)
{
    Error err = ERROR_NONE;
    DuckResult *result = NULL;
    Text sql = TEXT(4096);
    bool more = false;

    text_printf(&sql, "SELECT count(*) FROM glob('%s/**/*.parquet')", f->dir);
    assert_ok(duck_query(f->conn, text_str(&sql), &result, &err));
    assert_ok(duck_result_next(result, &more, &err));
    int64_t n = duck_result_i64(result, 0);
    duck_result_free(result);
    text_free(&sql);
    return n;
}

/* Facts of the files of the newest snapshot, from the log. */
static char *log_facts(LogFixture *f, const char *expression)
{
    Error err = ERROR_NONE;
    DeltaSnapshot *snapshot = NULL;
    DuckResult *result = NULL;
    Text files = TEXT(1 << 20), sql = TEXT(1 << 20), out = TEXT(1 << 20);
    bool more = false;

    assert_ok(delta_table_snapshot(f->table, f->conn, &snapshot, &err));
    assert_ok(delta_snapshot_files_sql(snapshot, &files, &err));
    text_printf(&sql, "SELECT (%s)::VARCHAR AS x FROM (%s) ORDER BY x", expression, text_str(&files));
    assert_ok(duck_query(f->conn, text_str(&sql), &result, &err));
    while (duck_result_next(result, &more, &err) == OK && more) {
        duck_result_print(result, 0, &out);
        text_append_char(&out, '\n');
    }
    duck_result_free(result);
    delta_snapshot_unref(snapshot);
    text_free(&files);
    text_free(&sql);
    return text_take(&out);
}

#define ALL_TYPES                                                                                                      \
    "SELECT i = 0 AS b, i::TINYINT AS ti, i::SMALLINT AS si, i::INTEGER AS n, i::BIGINT AS l, i::HUGEINT AS h, "       \
    "i::UBIGINT AS u, "                                                                                                \
    "i::FLOAT AS r, i::DOUBLE AS d, (i / 8)::DECIMAL(38,18) AS e, 'text ' || i AS s, ('\\x00\\xFF'::BLOB) AS bl, "     \
    "DATE '2024-02-29' + i::INTEGER AS day, TIMESTAMPTZ '2024-01-01 00:00:00.123456+00' AS ts, TIMESTAMP '1969-12-31 " \
    "23:59:59.999999' AS ntz, "                                                                                        \
    "{'x': i, 'y': {'z': 'q'}} AS st, [i, NULL] AS li, MAP {'k': i} AS m, "                                            \
    "'12345678-1234-1234-1234-123456789012'::UUID AS id, "                                                             \
    "'x'::ENUM('x', 'y') AS en, [{'h': i::HUGEINT}] AS lh FROM range(3) t(i)"

static void test_delta_write__types_come_back(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new();
    Error err = ERROR_NONE;
    DeltaWriteResult result;

    assert_ok(append(f, ALL_TYPES, &result, &err));
    assert_int_equal(result.rows, 3);
    assert_int_equal(result.files, 1);
    assert_true(result.bytes > 0);
    assert_answer(f, "SELECT * FROM t ORDER BY n LIMIT 1 OFFSET 1",
                  "false 1 1 1 1 1 1 1.0 1.0 0.125000000000000000 \"text 1\" \"AP8=\" \"2024-03-01\" "
                  "\"2024-01-01T00:00:00.123456Z\" "
                  "\"1969-12-31T23:59:59.999999\" {\"x\":1,\"y\":{\"z\":\"q\"}} [1,null] {\"k\":1} "
                  "\"12345678-1234-1234-1234-123456789012\" "
                  "\"x\" [{\"h\":1}]\n");
    char *stats = log_facts(f, "stats");
    assert_contains(
        stats, "{\"numRecords\":3,\"minValues\":{\"ti\":0,\"si\":0,\"n\":0,\"l\":0,\"h\":0,\"u\":0,\"r\":0.0,\"d\":0.0,"
               "\"e\":0.000000000000000000,\"s\":\"text 0\",\"day\":\"2024-02-29\",\"ts\":\"2024-01-01T00:00:00.123Z\","
               "\"ntz\":\"1969-12-31T23:59:59.999\",\"st\":{\"x\":0,\"y\":{\"z\":\"q\"}},");
    mem_free(stats);
    log_fixture_free(f);
}

static void test_delta_write__partitions(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new();
    Error err = ERROR_NONE;
    DeltaWriteResult result;
    Job job = {
        .query = "SELECT * FROM (VALUES (1, 'a/b c'), (2, ''), (3, NULL), (4, 'ü=%''\"'), (5, 'a/b c')) v(id, p)",
        .partition_by = "p"};

    assert_ok(run(f, &job, &result, &err));
    assert_int_equal(result.files, 3);
    assert_answer(f, "SELECT id, p FROM t ORDER BY id", "1 \"a/b c\"\n2 null\n3 null\n4 \"ü=%'\\\"\"\n5 \"a/b c\"\n");
    char *values = log_facts(f, "partition_values");
    assert_string_equal(values, "{p='ü=%\\'\"'}\n{p=NULL}\n{p=a/b c}\n");
    mem_free(values);
    char *stats = log_facts(f, "stats");
    assert_null(strstr(stats, "\"p\""));
    mem_free(stats);
    log_fixture_free(f);
}

static void test_delta_write__typed_partitions(void **state)
{
    (void)state;
    static const struct {
        const char *value, *text;
    } CASES[] = {
        {"TIMESTAMPTZ '2024-01-01 02:00:00.5+02'", "2024-01-01T00:00:00.500000Z"},
        {"TIMESTAMP '2024-01-01 02:00:00.5'", "2024-01-01 02:00:00.5"},
        {"DATE '2024-01-01'", "2024-01-01"},
        {"true", "true"},
        {"-5::TINYINT", "-5"},
        {"1.50::DECIMAL(5,2)", "1.50"},
        {"0.1::DOUBLE", "0.1"},
        {"'-inf'::DOUBLE", "-Infinity"},
        {"'nan'::FLOAT", "NaN"},
        {"encode('bytes')", "bytes"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        LogFixture *f = log_fixture_new();
        Error err = ERROR_NONE;
        Text query = TEXT(1000), question = TEXT(1000), expected = TEXT(1000);
        text_printf(&query, "SELECT 1 AS id, %s AS p", CASES[i].value);
        Job job = {.query = text_str(&query), .partition_by = "p"};
        assert_ok(duck_exec(f->conn, "SET TimeZone = 'America/New_York'", &err));
        assert_ok(run(f, &job, NULL, &err));
        char *values = log_facts(f, "partition_values['p']");
        text_printf(&expected, "%s\n", CASES[i].text);
        assert_string_equal(values, text_str(&expected));
        text_printf(&question, "SELECT p = %s, typeof(p) = typeof(%s) FROM t", CASES[i].value, CASES[i].value);
        assert_answer(f, text_str(&question), "true true\n");
        mem_free(values);
        text_free(&query);
        text_free(&question);
        text_free(&expected);
        log_fixture_free(f);
    }
}

/* Every rule that a row can break: nothing is committed and no file stays. */
static void test_delta_write__refuses_rows(void **state)
{
    (void)state;
    static const char FIELDS[] =
        "{'name':'id','type':'long','nullable':false}; small integer; "
        "{'name':'name','type':'string','metadata':{'__CHAR_VARCHAR_TYPE_STRING':'varchar(3)'}}; "
        "{'name':'n','type':'integer','metadata':{'delta.invariants':'{\\'expression\\':{\\'expression\\':\\'n > "
        "3\\'}}'}}; "
        "s {'type':'struct','fields':[{'name':'x','type':'long','nullable':false}]}";
    static const struct {
        const char *query;
        ErrorId id;
        const char *part;
    } CASES[] = {
        {"SELECT NULL::BIGINT AS id, 5 AS n, 5 AS small", E_DELTA_NOT_NULL,
         "column \"id\" is NOT NULL, and is NULL in the row {'id': NULL, 'small': 5"},
        {"SELECT 5 AS n", E_DELTA_NOT_NULL, "\"id\" is NOT NULL and the query does not give it"},
        {"SELECT 1 AS id, 5 AS n, 5 AS small, {'x': NULL::BIGINT} AS s", E_DELTA_NOT_NULL, "\"s.x\""},
        {"SELECT 1 AS id, 3 AS n, 5 AS small", E_DELTA_CONSTRAINT,
         "constraint \"n\" (n > 3) is violated by the row {'id': 1"},
        {"SELECT 1 AS id, NULL::INTEGER AS n, 5 AS small", E_DELTA_CONSTRAINT, "constraint \"n\""},
        {"SELECT 1 AS id, 5 AS n, 0 AS small", E_DELTA_CONSTRAINT, "constraint \"positive\" (`small` > 0)"},
        {"SELECT 1 AS id, 5 AS n, 5 AS small, 'long' AS name", E_DELTA_CONSTRAINT, "varchar(3)"},
        {"SELECT 1 AS id, 5 AS n, 3000000000 AS small", E_DELTA_SCHEMA,
         "column \"small\" does not fit its type in the table (integer)"},
        {"SELECT sum(i) * 1000000000 AS id, 5 AS n, 1 AS small FROM range(1000000) t(i)", E_DELTA_SCHEMA,
         "\"id\" does not fit"},
        {"SELECT 1 AS id, 5 AS n, 5 AS small, 7 AS extra", E_DELTA_SCHEMA,
         "\"extra\" of the query is not in the table"},
        {"SELECT 'one' AS id, 5 AS n", E_DELTA_SCHEMA, "\"id\" is long in the table and cannot take VARCHAR"},
        {"SELECT 1 / (SELECT x FROM nowhere) AS id", E_SQL_BIND, "nowhere"},
        {"SELECT CASE WHEN i = 99999 THEN error('late') ELSE i END::BIGINT AS id, 5 AS n, 1 AS small FROM "
         "range(100000) t(i)",
         E_SQL_RUN, "late"},
    };
    LogFixture *f = log_fixture_new();

    create(f, FIELDS, "", "'delta.constraints.positive':'`small` > 0'");
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Error err = ERROR_NONE;
        assert_int_not_equal(append(f, CASES[i].query, NULL, &err), OK);
        if (err.id != CASES[i].id) {
            fail_msg("case %zu: %s %s", i, ERROR_DEFS[err.id].code, err.message);
        }
        assert_contains(err.message, CASES[i].part);
        assert_int_equal(count_files(f), 0);
    }
    Error err = ERROR_NONE;
    /* what the query filters itself is never judged; a NULL struct may lack its NOT NULL member */
    assert_ok(append(
        f, "SELECT * FROM (VALUES (1, 5, 1, 'abc'), (NULL, 5, 1, 'd')) v(id, n, small, name) WHERE id IS NOT NULL",
        NULL, &err));
    assert_answer(f, "SELECT * FROM t", "1 1 \"abc\" 5 null\n");
    log_fixture_free(f);
}

static void test_delta_write__refuses_what_it_cannot_evaluate(void **state)
{
    (void)state;
    static const struct {
        const char *metadata, *configuration;
    } CASES[] = {
        {"", "'delta.constraints.c':'spark_only(id) > 0'"},
        {"", "'delta.constraints.c':'id > 1L'"},
        {"", "'delta.constraints.c':'nobody > 1'"},
        {"'delta.generationExpression':'spark_only(1)'", ""},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        LogFixture *f = log_fixture_new();
        Error err = ERROR_NONE;
        Text schema = TEXT(1000);
        text_printf(&schema, "{'name':'id','type':'long','metadata':{%s}}", CASES[i].metadata);
        create(f, text_str(&schema), "", CASES[i].configuration);
        assert_error(append(f, "SELECT 5 AS id", NULL, &err), E_DELTA_PROTOCOL_WRITE);
        assert_int_equal(count_files(f), 0);
        text_free(&schema);
        log_fixture_free(f);
    }
}

static void test_delta_write__schema_grows_and_is_replaced(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new();
    Error err = ERROR_NONE;
    Job grow = {.query = "SELECT 2 AS ID, {'y': 'n', 'x': 7} AS s, 2.5 AS added", .options = {.merge_schema = true}};
    Job replace = {.query = "SELECT 'new' AS other", .options = {.overwrite_schema = true}, .overwrite = true};

    assert_ok(append(f, "SELECT 1 AS id, {'x': 5} AS s", NULL, &err));
    assert_error(append(f, grow.query, NULL, &err), E_DELTA_SCHEMA);
    assert_ok(run(f, &grow, NULL, &err));
    assert_answer(f, "SELECT * FROM t ORDER BY id", "1 {\"x\":5,\"y\":null} null\n2 {\"x\":7,\"y\":\"n\"} 2.5\n");
    assert_ok(run(f, &replace, NULL, &err));
    assert_answer(f, "SELECT * FROM t", "\"new\"\n");
    log_fixture_free(f);
}

static void test_delta_write__names(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new(), *mapped = log_fixture_new();
    Error err = ERROR_NONE;
    Job grow = {.query = "SELECT 1 AS \"a b\"", .options = {.merge_schema = true}};

    assert_ok(append(f, "SELECT 1 AS \"quo\"\"te.d\", 2 AS \"ü'\" -- comment", NULL, &err));
    assert_answer(f, "SELECT * FROM t", "1 2\n");
    char *stats = log_facts(f, "stats");
    assert_contains(stats, "\"minValues\":{\"quo\\\"te.d\":1,\"ü'\":2}");
    mem_free(stats);
    assert_int_not_equal(run(f, &grow, NULL, &err), OK);
    assert_int_equal(err.id, E_DELTA_NAME);
    assert_contains(err.hint, "delta.columnMapping.mode");
    error_clear(&err);
    assert_ok(append(mapped, "SELECT 1 AS \"a b\"", NULL, &err)); /* a new table gets column mapping */
    assert_answer(mapped, "SELECT \"a b\" FROM t", "1\n");
    log_fixture_free(mapped);
    log_fixture_free(f);
}

static void test_delta_write__no_rows_no_files(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new();
    Error err = ERROR_NONE;
    DeltaWriteResult result = {.rows = 7};

    assert_ok(append(f, "SELECT 1 AS id WHERE false", &result, &err));
    assert_int_equal(result.rows, 0);
    assert_int_equal(result.files, 0);
    assert_int_equal(count_files(f), 0);
    assert_answer(f, "SELECT count(*) FROM t", "0\n");
    log_fixture_free(f);
}

static void test_delta_write__failure_leaves_nothing(void **state)
{
    (void)state;
    static const FailpointId POINTS[] = {FP_DELTA_WRITE_AFTER_FILES, FP_DELTA_WRITE_AFTER_SYNC};
    LogFixture *f = log_fixture_new();
    Error err = ERROR_NONE;
    Job job = {.query = "SELECT i, i % 3 AS p FROM range(100) t(i)", .partition_by = "p"};

    for (size_t i = 0; i < 2; i++) {
        failpoint_reset(); /* hits count from here */
        failpoint_arm(POINTS[i], FAILPOINT_ERROR, 1);
        assert_error(run(f, &job, NULL, &err), E_FAILPOINT);
        assert_int_equal(count_files(f), 0);
        failpoint_reset();
    }
    assert_ok(run(f, &job, NULL, &err));
    assert_int_equal(count_files(f), 3);
    log_fixture_free(f);
}

static void test_delta_write__overwrite(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new();
    Error err = ERROR_NONE;
    Job job = {.query = "SELECT 9 AS id", .overwrite = true};

    assert_ok(append(f, "SELECT 1 AS id", NULL, &err));
    assert_ok(append(f, "SELECT 2 AS id", NULL, &err));
    assert_ok(run(f, &job, NULL, &err));
    assert_answer(f, "SELECT * FROM t", "9\n");
    log_fixture_free(f);
}

/* A field with id n that is stored as "col-n". */
#define MAPPED(name, type, n)                                                                        \
    "{'name':'" name "','type':" type ",'metadata':{'delta.columnMapping.physicalName':'col-" n "'," \
    "'delta.columnMapping.id':" n "}}"
#define LIST_OF(fields) "{'type':'array','elementType':{'type':'struct','fields':[" fields "]}}"

/* clang-format off */
static const char MAPPED_FIELDS[] =
    MAPPED("my id", "'long'", "1") "; "
    MAPPED("s", "{'type':'struct','fields':[" MAPPED("n", "'long'", "3") "]}", "2") "; "
    MAPPED("p", "'string'", "4") "; "
    MAPPED("l", LIST_OF(MAPPED("q", "'long'", "6")), "5") "; "
    MAPPED("m", "{'type':'map','keyType':'string','valueType':" LIST_OF(MAPPED("z", "'long'", "8")) "}", "7");
/* clang-format on */

static void test_delta_write__column_mapping(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new();
    Error err = ERROR_NONE;
    Text sql = TEXT(4096);
    Job grow = {.query = "SELECT 2 AS \"my id\", {'n': 4, 'new,': 5} AS s, 'x' AS p",
                .options = {.merge_schema = true}};

    create(f, MAPPED_FIELDS, "'p'", "'delta.columnMapping.mode':'name','delta.columnMapping.maxColumnId':'8'");
    assert_ok(append(f,
                     "SELECT 1 AS \"my id\", {'n': 2} AS s, 'part' AS p, [{'q': 3}] AS l, MAP {'k': [{'z': 7}]} AS m",
                     NULL, &err));
    assert_answer(f, "SELECT * FROM t", "1 {\"n\":2} \"part\" [{\"q\":3}] {\"k\":[{\"z\":7}]}\n");
    char *facts = log_facts(f, "partition_values::VARCHAR || stats");
    assert_contains(facts, "{col-4=part}{\"numRecords\":1,\"minValues\":{\"col-1\":1,\"col-2\":{\"col-3\":2}}");
    mem_free(facts);
    text_printf(&sql,
                "SELECT string_agg(name || coalesce(':' || field_id, ''), ' ') FROM parquet_schema('%s/**/*.parquet')",
                f->dir);
    char *names = rows_of(f, text_str(&sql), &err);
    assert_string_equal(names, "\"duckdb_schema col-1:1 col-2:2 col-3:3 col-5:5 list element col-6:6 col-7:7 key_value "
                               "key value list element col-8:8\"\n");
    mem_free(names);
    assert_ok(run(f, &grow, NULL, &err));
    assert_answer(f, "SELECT \"my id\", s FROM t ORDER BY 1", "1 {\"n\":2,\"new,\":null}\n2 {\"n\":4,\"new,\":5}\n");
    text_free(&sql);
    log_fixture_free(f);
}

static void test_delta_write__defaults_and_void(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new();
    Error err = ERROR_NONE;

    create(f, "id long; {'name':'d','type':'string','metadata':{'CURRENT_DEFAULT':'\\'it is\\''}}; v void", "", "");
    assert_ok(append(f, "SELECT 1 AS id", NULL, &err));
    assert_ok(append(f, "SELECT 2 AS id, NULL::VARCHAR AS d", NULL, &err));
    assert_answer(f, "SELECT * FROM t ORDER BY id", "1 \"it is\" null\n2 null null\n");
    log_fixture_free(f);
}

/* DuckDB saw a longer statement; the place is told in what the caller wrote. */
static void test_delta_write__errors_keep_their_place(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new();
    Error err = ERROR_NONE;

    assert_error(append(f, "SELECT CAST(x AS INTEGER) AS a FROM (VALUES ('1'), ('q')) v(x)", NULL, &err), E_SQL_RUN);
    assert_int_equal(duck_error_position(f->conn), 7);
    assert_error(append(f, "SELECT nobody AS a", NULL, &err), E_SQL_BIND);
    assert_int_equal(duck_error_position(f->conn), 7);
    log_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delta_write__types_come_back),
        cmocka_unit_test(test_delta_write__partitions),
        cmocka_unit_test(test_delta_write__typed_partitions),
        cmocka_unit_test(test_delta_write__refuses_rows),
        cmocka_unit_test(test_delta_write__refuses_what_it_cannot_evaluate),
        cmocka_unit_test(test_delta_write__schema_grows_and_is_replaced),
        cmocka_unit_test(test_delta_write__names),
        cmocka_unit_test(test_delta_write__no_rows_no_files),
        cmocka_unit_test(test_delta_write__failure_leaves_nothing),
        cmocka_unit_test(test_delta_write__overwrite),
        cmocka_unit_test(test_delta_write__column_mapping),
        cmocka_unit_test(test_delta_write__defaults_and_void),
        cmocka_unit_test(test_delta_write__errors_keep_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
