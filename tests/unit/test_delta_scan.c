#include "delta_rows.h"

#include "delta/scan.h"
#include "delta/scan_int.h"

/* A log of one commit: protocol, metaData, and adds. */
typedef struct Log {
    Text text;
} Log;

static void log_begin(Log *log, const char *fields, const char *partition_columns, const char *configuration)
{
    log->text = TEXT(4 << 20);
    text_append(&log->text,
                "{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"deletionVectors\","
                "\"columnMapping\",\"timestampNtz\"],\"writerFeatures\":[\"deletionVectors\",\"columnMapping\","
                "\"timestampNtz\"]}}\n");
    append_metadata(&log->text, fields, partition_columns, configuration);
}

/* JSON with ' for "; NULL = none. */
static void log_add(Log *log, const char *path, const char *values, const char *stats, const char *dv)
{
    Text quoted = TEXT(1 << 16);

    text_append(&log->text, "{\"add\":{\"path\":");
    text_append_json_string(&log->text, path);
    text_append(&log->text, ",\"partitionValues\":{");
    append_quoted(&log->text, values, strlen(values));
    text_append(&log->text, "},\"size\":7,\"modificationTime\":1,\"dataChange\":true");
    if (stats) {
        append_quoted(&quoted, stats, strlen(stats));
        text_append(&log->text, ",\"stats\":");
        text_append_json_string(&log->text, text_str(&quoted));
    }
    if (dv) {
        text_append(&log->text, ",\"deletionVector\":");
        append_quoted(&log->text, dv, strlen(dv));
    }
    text_append(&log->text, "}}\n");
    text_free(&quoted);
}

static void log_end(LogFixture *f, Log *log)
{
    log_fixture_commit(f, 0, text_str(&log->text));
    text_free(&log->text);
}

/* Writes `select` as a Parquet file of the table. */
static void parquet(LogFixture *f, const char *name, const char *select, const char *options)
{
    Error err = ERROR_NONE;
    Text path = TEXT(4096);
    text_printf(&path, "%s/%s", f->dir, name);
    assert_ok(duck_execf(f->conn, &err, "COPY (%s) TO '%s' (FORMAT parquet%s)", select, text_str(&path), options));
    text_free(&path);
}

static DeltaScan *scanned(LogFixture *f, const DeltaPredicate *predicates, size_t n)
{
    Error err = ERROR_NONE;
    DeltaSnapshot *snapshot = NULL;
    DeltaScan *scan = NULL;
    assert_ok(delta_table_snapshot(f->table, f->conn, &snapshot, &err));
    assert_ok(delta_scan_snapshot(snapshot, f->conn, predicates, n, &scan, &err));
    delta_snapshot_unref(snapshot);
    return scan;
}

/* `question` over the whole table, which it calls t. */
static char *asked(LogFixture *f, const char *question, Error *err)
{
    DeltaScan *scan = scanned(f, NULL, 0);
    Text sql = TEXT(1 << 20);
    text_printf(&sql, "WITH t AS (%s) %s", delta_scan_sql(scan), question);
    char *answer = rows_of(f, text_str(&sql), err);
    text_free(&sql);
    delta_scan_free(scan);
    return answer;
}

#define assert_answer(f, question, expected)            \
    do {                                                \
        Error err_ = ERROR_NONE;                        \
        char *answer_ = asked((f), (question), &err_);  \
        if (!answer_) {                                 \
            fail_msg("%s: %s", question, err_.message); \
        }                                               \
        assert_string_equal(answer_, (expected));       \
        mem_free(answer_);                              \
    } while (0)

static void test_delta_scan__partition_values(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new();
    Log log;

    parquet(f, "a.parquet", "SELECT 1 AS id", "");
    parquet(f, "b.parquet", "SELECT 2 AS id", "");
    log_begin(&log, "id long; day date; ts timestamp; s string; same double", "'day','ts','s','same'", "");
    log_add(&log, "a.parquet", "'day':'2024-02-29','ts':'2024-01-01 00:00:00','s':'a \\\"b\\\"','same':'1.0E3'", NULL,
            NULL);
    log_add(&log, "b.parquet", "'day':null,'ts':'2024-01-01T02:00:00.000001+02:00','s':'','same':'1.0E3'", NULL, NULL);
    log_end(f, &log);
    Error err = ERROR_NONE;
    assert_ok(duck_exec(f->conn, "SET TimeZone = 'America/New_York'", &err));
    assert_answer(f, "SELECT id, day, epoch_us(ts), s, same FROM t ORDER BY id",
                  "1 \"2024-02-29\" 1704067200000000 \"a \\\"b\\\"\" 1000.0\n2 null 1704067200000001 null 1000.0\n");
    assert_answer(f, "SELECT count(*), count(day) FROM t WHERE same > 1", "2 1\n");
    log_fixture_free(f);
}

static void test_delta_scan__bad_partition_value(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new();
    Log log;
    Error err = ERROR_NONE;
    DeltaSnapshot *snapshot = NULL;
    DeltaScan *scan = NULL;

    log_begin(&log, "id long; n byte", "'n'", "");
    log_add(&log, "a.parquet", "'n':'128'", NULL, NULL);
    log_end(f, &log);
    assert_ok(delta_table_snapshot(f->table, f->conn, &snapshot, &err));
    assert_int_not_equal(delta_scan_snapshot(snapshot, f->conn, NULL, 0, &scan, &err), OK);
    assert_int_equal(err.id, E_DELTA_CORRUPT);
    assert_contains(err.message, "a.parquet: column \"n\": partition value \"128\" is not of type byte");
    delta_snapshot_unref(snapshot);
    log_fixture_free(f);
}

static void test_delta_scan__columns_missing_extra_and_wider(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new();
    Log log;

    parquet(f, "old.parquet", "SELECT 1::SMALLINT AS Id, 7 AS file_index, {'x': 1::INTEGER} AS s, 9 AS extra", "");
    parquet(f, "new.parquet",
            "SELECT 2::BIGINT AS id, 8 AS file_index, 'n' AS name, {'y': 'y', 'x': 5::BIGINT} AS s, [{'a': 1}] AS l",
            "");
    log_begin(&log,
              "id long; file_index integer; name string; nothing void; "
              "s {'type':'struct','fields':["
              "{'name':'x','type':'long'},{'name':'y','type':'string'},{'name':'v','type':'void'}]}; "
              "l {'type':'array','elementType':{'type':'struct','fields':["
              "{'name':'a','type':'long'},{'name':'b','type':'long'}]}}; "
              "empty {'type':'struct','fields':[{'name':'v','type':'void'}]}",
              "", "");
    log_add(&log, "old.parquet", "", NULL, NULL);
    log_add(&log, "new.parquet", "", NULL, NULL);
    log_end(f, &log);
    assert_answer(f, "SELECT * FROM t ORDER BY id",
                  "1 7 null null {\"x\":1,\"y\":null,\"v\":null} null null\n"
                  "2 8 \"n\" null {\"x\":5,\"y\":\"y\",\"v\":null} [{\"a\":1,\"b\":null}] null\n");
    assert_answer(f, "SELECT typeof(id), typeof(s), typeof(l) FROM t LIMIT 1",
                  "\"BIGINT\" \"STRUCT(x BIGINT, y VARCHAR, v INTEGER)\" \"STRUCT(a BIGINT, b BIGINT)[]\"\n");
    log_fixture_free(f);
}

static void test_delta_scan__paths_are_no_patterns(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new();
    Log log;

    parquet(f, "x1.parquet", "SELECT 1 AS id", "");
    parquet(f, "x[1].parquet", "SELECT 2 AS id", "");
    parquet(f, "a b%20*?é.parquet", "SELECT 3 AS id", "");
    parquet(f, "it''s.parquet", "SELECT 4 AS id", "");
    log_begin(&log, "id long", "", "");
    log_add(&log, "x%5B1%5D.parquet", "", NULL, NULL);
    log_add(&log, "a%20b%2520%2A%3F%C3%A9.parquet", "", NULL, NULL);
    log_add(&log, "it's.parquet", "", NULL, NULL);
    log_end(f, &log);
    assert_answer(f, "SELECT list(id ORDER BY id) FROM t", "[2,3,4]\n");
    log_fixture_free(f);
}

static void test_delta_scan__empty_table(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new();
    Log log;

    log_begin(&log, "id decimal(5,2); m {'type':'map','keyType':'string','valueType':'binary'}", "", "");
    log_end(f, &log);
    assert_answer(f, "SELECT count(*), sum(id) FROM t", "0 null\n");
    assert_answer(f, "SELECT column_type FROM (DESCRIBE FROM t)", "\"DECIMAL(5,2)\"\n\"MAP(VARCHAR, BLOB)\"\n");
    log_fixture_free(f);
}

/* Adjusted, plain, and (as INT96 reads like plain ones) nested, in sessions of any zone. */
static void test_delta_scan__instants_do_not_move(void **state)
{
    (void)state;
    static const char *const ZONES[] = {"UTC", "America/New_York", "Asia/Kolkata"};
    LogFixture *f = log_fixture_new();
    Log log;
    Error err = ERROR_NONE;

    parquet(f, "a.parquet",
            "SELECT 1 AS id, TIMESTAMPTZ '2024-07-01 00:00:00+00' AS ts, [{'t': TIMESTAMPTZ '2024-07-01 00:00:00+00'}] "
            "AS l, MAP {'k': TIMESTAMPTZ '2024-07-01 00:00:00+00'} AS m",
            "");
    parquet(f, "b.parquet",
            "SELECT 2 AS id, TIMESTAMP '2024-07-01 00:00:00' AS ts, [{'t': TIMESTAMP '2024-07-01 00:00:00'}] AS l, MAP "
            "{'k': TIMESTAMP '2024-07-01 00:00:00'} AS m",
            "");
    parquet(f, "c.parquet", "SELECT 3 AS id", "");
    log_begin(&log,
              "id long; ts timestamp; "
              "l {'type':'array','elementType':{'type':'struct','fields':[{'name':'t','type':'timestamp'}]}}; "
              "m {'type':'map','keyType':'string','valueType':'timestamp'}",
              "", "");
    log_add(&log, "b.parquet", "", NULL, NULL);
    log_add(&log, "a.parquet", "", NULL, NULL);
    log_add(&log, "c.parquet", "", NULL, NULL);
    log_end(f, &log);
    for (size_t i = 0; i < 3; i++) {
        assert_ok(duck_execf(f->conn, &err, "SET TimeZone = '%s'", ZONES[i]));
        assert_answer(
            f,
            "SELECT id, epoch(ts)::BIGINT, epoch(l[1].t)::BIGINT, epoch(m['k'])::BIGINT, typeof(ts), typeof(l) FROM t "
            "ORDER BY id",
            "1 1719792000 1719792000 1719792000 \"TIMESTAMP WITH TIME ZONE\" \"STRUCT(t TIMESTAMP WITH TIME ZONE)[]\"\n"
            "2 1719792000 1719792000 1719792000 \"TIMESTAMP WITH TIME ZONE\" \"STRUCT(t TIMESTAMP WITH TIME ZONE)[]\"\n"
            "3 null null null \"TIMESTAMP WITH TIME ZONE\" \"STRUCT(t TIMESTAMP WITH TIME ZONE)[]\"\n");
    }
    log_fixture_free(f);
}

/* A field with id n that is stored as "col-n". */
#define MAPPED(name, type, n)                                                                        \
    "{'name':'" name "','type':" type ",'metadata':{'delta.columnMapping.physicalName':'col-" n "'," \
    "'delta.columnMapping.id':" n "}}"

/* clang-format off */
static void test_delta_scan__column_mapping(void **state)
{
    (void)state;
    static const char *const MODES[] = {"'delta.columnMapping.mode':'name'", "'delta.columnMapping.mode':'id'"};
    for (size_t i = 0; i < 2; i++) {
        LogFixture *f = log_fixture_new();
        Log log;
        parquet(f, "a.parquet",
                "SELECT 1 AS \"col-1\", {'col-3': 'x', 'col-4': 5} AS \"col-2\", [{'col-6': 1}] AS \"col-5\", MAP "
                "{'k': {'col-8': 2}} AS \"col-7\"",
                ", FIELD_IDS {'col-1': 1, 'col-2': 2, 'col-5': {__duckdb_field_id: 5, element: {'col-6': 6}}, 'col-7': "
                "{__duckdb_field_id: 7, value: {'col-8': 8}}}");
        log_begin(&log,
                  MAPPED("id", "'long'", "1") "; "
                  MAPPED("s", "{'type':'struct','fields':[" MAPPED("n", "'long'", "4") "," MAPPED("name", "'string'", "3") "]}", "2") "; "
                  MAPPED("l", "{'type':'array','elementType':{'type':'struct','fields':[" MAPPED("q", "'long'", "6") "]}}", "5") "; "
                  MAPPED("m", "{'type':'map','keyType':'string','valueType':{'type':'struct','fields':[" MAPPED("z", "'long'", "8") "]}}", "7") "; "
                  MAPPED("p", "'string'", "9") "; " MAPPED("added", "'long'", "10"),
                  "'p'", MODES[i]);
        log_add(&log, "a.parquet", "'col-9':'part'", NULL, NULL);
        log_end(f, &log);
        assert_answer(f, "SELECT * FROM t", "1 {\"n\":5,\"name\":\"x\"} [{\"q\":1}] {\"k\":{\"z\":2}} \"part\" null\n");
        log_fixture_free(f);
    }
}

/* clang-format on */

/* {3, 4, 7, 11, 18, 29} inline: the vector of the reference. */
#define DV_TEXT \
    "'storageType':'i','pathOrInlineDv':'^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L','sizeInBytes':44"
static const char INLINE_DV[] = "{" DV_TEXT ",'cardinality':6}";
static const char WRONG_DV[] = "{" DV_TEXT ",'cardinality':7}";

static void test_delta_scan__deletion_vectors(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new();
    Log log;

    parquet(f, "a.parquet", "SELECT i AS id FROM range(10000) t(i)", ", ROW_GROUP_SIZE 2048");
    parquet(f, "b.parquet", "SELECT 20000 + i AS id FROM range(20) t(i)", "");
    parquet(f, "c.parquet", "SELECT 30000 + i AS id FROM range(40) t(i)", "");
    log_begin(&log, "id long", "", "");
    log_add(&log, "a.parquet", "", "{'numRecords':10000}", INLINE_DV);
    log_add(&log, "b.parquet", "", NULL, NULL);
    log_add(&log, "c.parquet", "", "{'numRecords':40}", INLINE_DV);
    log_end(f, &log);
    assert_answer(f, "SELECT count(*), sum(id) FROM t", "10048 51415826\n");
    assert_answer(f, "SELECT list(id ORDER BY id) FROM t WHERE id < 10", "[0,1,2,5,6,8,9]\n");
    assert_answer(f, "SELECT count(*) FROM t WHERE id IN (3, 30004, 30005, 20003, 9999)", "3\n");
    log_fixture_free(f);
}

static void test_delta_scan__errors_of_deletion_vectors_arrive_whole(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new();
    Log log;
    Error err = ERROR_NONE;

    parquet(f, "a.parquet", "SELECT 1 AS id", "");
    log_begin(&log, "id long", "", "");
    log_add(&log, "a.parquet", "", "{'numRecords':1}", WRONG_DV);
    log_end(f, &log);
    assert_null(asked(f, "SELECT * FROM t", &err));
    assert_int_equal(err.id, E_DELTA_CORRUPT);
    assert_string_equal(err.klass, "DELTA_DELETION_VECTOR_CARDINALITY_MISMATCH");
    assert_contains(err.message, "a.parquet");
    log_fixture_free(f);
}

static void test_delta_scan__text_outlives_scan(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new();
    Error err = ERROR_NONE;

    assert_null(rows_of(f, "SELECT freshet_const(4711, 0, 0)", &err));
    assert_contains(err.message, "has ended");
    error_clear(&err);
    assert_null(rows_of(f, "SELECT freshet_keep(4711, 0, 0)", &err));
    assert_contains(err.message, "has ended");
    log_fixture_free(f);
}

static void test_delta_scan__list_with_another_schema(void **state)
{
    (void)state;
    static const char *const PARTITION[] = {"p"};
    LogFixture *f = log_fixture_new();
    Error err = ERROR_NONE;
    DeltaSchema *schema = NULL;
    DeltaScan *scan = NULL;
    DeltaPair value = {"p", "7"};
    DeltaFile files[] = {{.path = "a.parquet", .partition_values = &value, .n_partition_values = 1, .size = 5},
                         {.path = "b.parquet", .size = 6}};

    parquet(f, "a.parquet", "SELECT 1 AS id, 'a' AS name", "");
    parquet(f, "b.parquet", "SELECT 2 AS id", "");
    log_fixture_commit(f, 0, LOG_PROTOCOL LOG_METADATA);
    char *json = schema_of("name string; p short");
    assert_ok(delta_schema_parse(json, &schema, &err));
    mem_free(json);
    DeltaScanSource source = {
        .table = f->table, .schema = schema, .partition_columns = PARTITION, .n_partition_columns = 1};
    assert_ok(delta_scan_list(&source, f->conn, files, 2, &scan, &err));
    assert_int_equal(delta_scan_files(scan), 2);
    assert_int_equal(delta_scan_bytes(scan), 11);
    Text sql = TEXT(1 << 20);
    text_printf(&sql, "SELECT * FROM (%s) ORDER BY name", delta_scan_sql(scan));
    char *answer = rows_of(f, text_str(&sql), &err);
    text_free(&sql);
    assert_string_equal(answer, "\"a\" 7\nnull null\n");
    mem_free(answer);
    delta_scan_free(scan);
    delta_schema_unref(schema);
    log_fixture_free(f);
}

typedef struct SkipCase {
    const char *column, *member;
    DeltaCompare compare;
    const char *values[3];
    size_t files; /* that are left */
} SkipCase;

/* Three files: bounds 1..10, 11..20 and none at all; the last must always stay. */
static const SkipCase SKIP_CASES[] = {
    {"id", NULL, DELTA_EQ, {"5"}, 2},
    {"id", NULL, DELTA_EQ, {"10.5"}, 1},
    {"id", NULL, DELTA_LT, {"1"}, 1},
    {"id", NULL, DELTA_LE, {"1"}, 2},
    {"id", NULL, DELTA_GT, {"10"}, 2},
    {"id", NULL, DELTA_GE, {"10"}, 3},
    {"id", NULL, DELTA_IN, {"5", "15"}, 3},
    {"id", NULL, DELTA_IN, {"50", "15"}, 2},
    {"ID", NULL, DELTA_EQ, {"NULL"}, 3},
    {"id", NULL, DELTA_EQ, {"'5'"}, 2},
    {"id", NULL, DELTA_EQ, {"'5' || ''"}, 3}, /* compared as text: says nothing */
    {"id", NULL, DELTA_EQ, {"no_such_function(1)"}, 3},
    {"id", NULL, DELTA_IS_NULL, {NULL}, 2},
    {"id", NULL, DELTA_IS_NOT_NULL, {NULL}, 3},
    {"none", NULL, DELTA_IS_NOT_NULL, {NULL}, 2},
    {"none", NULL, DELTA_EQ, {"1"}, 2},
    {"name", NULL, DELTA_EQ, {"'mmm'"}, 2},
    {"name", NULL, DELTA_EQ, {"'\xC3\xA9'"}, 2},
    {"name", NULL, DELTA_GT, {"'z'"}, 2},
    {"name", NULL, DELTA_EQ, {"5"}, 3},
    {"old", NULL, DELTA_GT, {"'zzz'"}, 3}, /* U+FFFD ends an old writer's maximum */
    {"old", NULL, DELTA_LT, {"'a'"}, 2},
    {"s", "x", DELTA_GT, {"100"}, 1},
    {"d", NULL, DELTA_LT, {"1.0"}, 1},
    {"d", NULL, DELTA_GT, {"99.0"}, 3}, /* NaN may hide */
    {"d", NULL, DELTA_EQ, {"99.0"}, 1},
    {"d", NULL, DELTA_EQ, {"'NaN'::DOUBLE"}, 3},
    {"ts", NULL, DELTA_GT, {"'2024-01-01 00:00:00.123999+00'"}, 3}, /* the maximum was cut to milliseconds */
    {"ts", NULL, DELTA_GT, {"'2024-01-01 00:00:00.125+00'"}, 2},
    {"wide", NULL, DELTA_EQ, {"12345678901234567890.123456789012345678"}, 2},
    {"wide", NULL, DELTA_GT, {"12345678901234600000"}, 1},
    {"p", NULL, DELTA_EQ, {"DATE '2024-01-02'"}, 1},
    {"p", NULL, DELTA_EQ, {"'2024-01-01'"}, 1},
    {"p", NULL, DELTA_GE, {"'2024-01-02'"}, 1},
    {"p", NULL, DELTA_IS_NULL, {NULL}, 1},
    {"p", NULL, DELTA_IS_NOT_NULL, {NULL}, 2},
    {"unknown", NULL, DELTA_EQ, {"1"}, 3},
    {"s", NULL, DELTA_IS_NULL, {NULL}, 3},
};

static void test_delta_scan__skips_files(void **state)
{
    (void)state;
    LogFixture *f = log_fixture_new();
    Log log;

    log_begin(
        &log,
        "id long; name string; s {'type':'struct','fields':[{'name':'x','type':'integer'}]}; d double; ts timestamp; "
        "p date; none long; old string; wide decimal(38,18)",
        "'p'", "");
    log_add(&log, "a.parquet", "'p':'2024-01-01'",
            "{'numRecords':10,'minValues':{'id':1,'name':'aaa','s':{'x':1},'d':1.0,'ts':'2024-01-01T00:00:00.000Z',"
            "'old':'a','wide':12345678901234567890.123456789012345678},"
            "'maxValues':{'id':10,'name':'mzz','s':{'x':9},'d':2.0,'ts':'2024-01-01T00:00:00.123Z',"
            "'old':'a\xEF\xBF\xBD','wide':12345678901234567890.123456789012345678},'nullCount':{'id':0,'none':10}}",
            NULL);
    log_add(
        &log, "b.parquet", "'p':'2024-01-02'",
        "{'numRecords':10,'minValues':{'id':11,'name':'n','s':{'x':1},'d':3.0,'ts':'2024-02-01T00:00:00.000Z','wide':5}"
        ","
        "'maxValues':{'id':20,'name':'\xC3\xA9\xC3\xA9','s':{'x':9},'d':4.0,'ts':'2024-02-01T00:00:00.123Z','wide':6},"
        "'nullCount':{'id':3,'none':9}}",
        NULL);
    log_add(&log, "c.parquet", "'p':null", "{broken", NULL);
    log_end(f, &log);
    for (size_t i = 0; i < sizeof SKIP_CASES / sizeof *SKIP_CASES; i++) {
        const SkipCase *c = &SKIP_CASES[i];
        const char *column[] = {c->column, c->member};
        size_t n = 0;
        while (n < 3 && c->values[n]) {
            n++;
        }
        DeltaPredicate predicate = {
            .column = column, .n_column = c->member ? 2 : 1, .compare = c->compare, .values = c->values, .n_values = n};
        DeltaScan *scan = scanned(f, &predicate, 1);
        if (delta_scan_files(scan) != c->files) {
            fail_msg("case %zu: %s %d %s: %zu files are left, not %zu", i, c->column, (int)c->compare,
                     c->values[0] ? c->values[0] : "", delta_scan_files(scan), c->files);
        }
        delta_scan_free(scan);
    }
    log_fixture_free(f);
}

/* Seven files of ten rows each, two of them with a partition value of their own; the third is damaged on request. */
static LogFixture *seven_files(bool damaged)
{
    LogFixture *f = log_fixture_new();
    Log log;

    log_begin(&log,
              "id long; s {'type':'struct','fields':[{'name':'x','type':'string'},{'name':'l','type':{'type':"
              "'array','elementType':'long'}}]}; ts timestamp; p string",
              "'p'", "");
    for (int i = 0; i < 7; i++) {
        char name[32], select[256];
        snprintf(name, sizeof name, "f%d.parquet", i);
        snprintf(select, sizeof select,
                 "SELECT r AS id, CASE WHEN r %% 3 > 0 THEN {x: 'a longer text ' || r, l: [r, NULL]} END AS s, "
                 "TIMESTAMP '2024-01-01 00:00:00' + to_hours(r) AS ts FROM range(%d, %d) t(r)",
                 10 * i, 10 * i + 10);
        parquet(f, name, select, "");
        log_add(&log, name, i == 2 ? "'p':'two'" : "'p':null", NULL, NULL);
        if (damaged && i == 2) {
            Text path = TEXT(4096);
            text_printf(&path, "%s/%s", f->dir, name);
            FILE *file = fopen(text_str(&path), "w");
            assert_non_null(file);
            fputs("PAR1 no, it is not PAR1", file);
            fclose(file);
            text_free(&path);
        }
    }
    log_end(f, &log);
    return f;
}

/* What a table of many files answers, it answers in slices too: read once, read twice in one statement, in part. */
static void test_delta_scan__slices(void **state)
{
    (void)state;
    LogFixture *f = seven_files(false);
    const ScanSlicing before = delta_scan_slicing;
    Error err = ERROR_NONE;

    delta_scan_slicing = (ScanSlicing){.whole_max = 3, .slice = 2};
    assert_ok(duck_exec(f->conn, "SET TimeZone = 'America/New_York'", &err));
    DeltaScan *scan = scanned(f, NULL, 0);
    assert_non_null(strstr(delta_scan_sql(scan), "freshet_relation"));
    assert_int_equal(delta_scan_files(scan), 7);
    assert_int_equal(delta_scan_bytes(scan), 49);
    delta_scan_free(scan);
    assert_answer(f, "SELECT count(*), sum(id), count(s), count(s.x), sum(len(s.l)) FROM t", "70 2415 46 46 92\n");
    assert_answer(f, "SELECT id, s.x, s.l, epoch(ts)::BIGINT, p FROM t WHERE id IN (22, 33, 68) ORDER BY id",
                  "22 \"a longer text 22\" [22,null] 1704146400 \"two\"\n33 null null 1704186000 null\n"
                  "68 \"a longer text 68\" [68,null] 1704312000 null\n");
    assert_answer(f, "SELECT count(*), count(a.p) FROM t a JOIN t b USING (id) WHERE b.id >= 15", "55 10\n");
    assert_answer(f, "SELECT count(*) FROM (SELECT id FROM t LIMIT 3)", "3\n");
    delta_scan_slicing = before;
    log_fixture_free(f);
}

/* Literals narrow the slices themselves; what is computed does not, and stays with the statement. */
static void test_delta_scan__slices_take_literals(void **state)
{
    (void)state;
    LogFixture *f = seven_files(false);
    const ScanSlicing before = delta_scan_slicing;
    const char *const column[] = {"ID"}, *const literals[] = {"22", "'33'"}, *const computed[] = {"(20 + 2)"};
    DeltaPredicate predicate = {
        .column = column, .n_column = 1, .compare = DELTA_IN, .values = literals, .n_values = 2};

    delta_scan_slicing = (ScanSlicing){.whole_max = 3, .slice = 2};
    for (int i = 0; i < 2; i++) {
        Error err = ERROR_NONE;
        DeltaScan *scan = scanned(f, &predicate, 1);
        Text sql = TEXT(1 << 20);
        text_printf(&sql, "SELECT count(*), min(id) FROM (%s)", delta_scan_sql(scan));
        char *answer = rows_of(f, text_str(&sql), &err);
        assert_string_equal(answer, i == 0 ? "2 22\n" : "70 0\n");
        mem_free(answer);
        text_free(&sql);
        delta_scan_free(scan);
        predicate.values = computed;
        predicate.n_values = 1;
    }
    delta_scan_slicing = before;
    log_fixture_free(f);
}

static void test_delta_scan__slices_name_the_damaged_file(void **state)
{
    (void)state;
    LogFixture *f = seven_files(true);
    const ScanSlicing before = delta_scan_slicing;
    Error err = ERROR_NONE;

    delta_scan_slicing = (ScanSlicing){.whole_max = 3, .slice = 2};
    assert_null(asked(f, "SELECT sum(id) FROM t", &err));
    assert_non_null(strstr(err.message, "f2.parquet"));
    error_clear(&err);
    delta_scan_slicing = before;
    log_fixture_free(f);
}

static int slice_all(void **state)
{
    (void)state;
    delta_scan_slicing = (ScanSlicing){.whole_max = 1, .slice = 2};
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delta_scan__partition_values),
        cmocka_unit_test(test_delta_scan__bad_partition_value),
        cmocka_unit_test(test_delta_scan__columns_missing_extra_and_wider),
        cmocka_unit_test(test_delta_scan__paths_are_no_patterns),
        cmocka_unit_test(test_delta_scan__empty_table),
        cmocka_unit_test(test_delta_scan__instants_do_not_move),
        cmocka_unit_test(test_delta_scan__column_mapping),
        cmocka_unit_test(test_delta_scan__deletion_vectors),
        cmocka_unit_test(test_delta_scan__errors_of_deletion_vectors_arrive_whole),
        cmocka_unit_test(test_delta_scan__text_outlives_scan),
        cmocka_unit_test(test_delta_scan__list_with_another_schema),
        cmocka_unit_test(test_delta_scan__skips_files),
        cmocka_unit_test(test_delta_scan__slices),
        cmocka_unit_test(test_delta_scan__slices_take_literals),
        cmocka_unit_test(test_delta_scan__slices_name_the_damaged_file),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed ? failed : cmocka_run_group_tests_name("in slices", tests, slice_all, NULL);
}
