#include "unit.h"

#include "base/file.h"
#include "base/mem.h"
#include "source/delta_int.h"

static Duck *duck;
static DuckConn *conn;
static char folder[] = "/tmp/freshet-source-delta-XXXXXX";
static int tables;

/* ---- a table written by hand ---- */

typedef struct Case {
    DeltaTable *table;
    Store *store, *checkpoint;
    StreamSource *source;
} Case;

static const char PROTOCOL[] = "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n";
static const char METADATA[] =
    "{\"metaData\":{\"id\":\"T\",\"format\":{\"provider\":\"parquet\",\"options\":{}},\"schemaString\":\"{\\\"type\\\":"
    "\\\"struct\\\","
    "\\\"fields\\\":[{\\\"name\\\":\\\"a\\\",\\\"type\\\":\\\"long\\\",\\\"nullable\\\":true,\\\"metadata\\\":{}}]}\","
    "\"partitionColumns\":[],\"configuration\":{},\"createdTime\":1}}\n";
static const char WIDER[] = "{\"metaData\":{\"id\":\"T\",\"format\":{\"provider\":\"parquet\",\"options\":{}},"
                            "\"schemaString\":\"{\\\"type\\\":\\\"struct\\\","
                            "\\\"fields\\\":[{\\\"name\\\":\\\"a\\\",\\\"type\\\":\\\"long\\\",\\\"nullable\\\":true,"
                            "\\\"metadata\\\":{}},{\\\"name\\\":\\\"b\\\","
                            "\\\"type\\\":\\\"string\\\",\\\"nullable\\\":true,\\\"metadata\\\":{}}]}\","
                            "\"partitionColumns\":[],\"configuration\":{},"
                            "\"createdTime\":1}}\n";
static const char OTHER_TYPE[] = "{\"metaData\":{\"id\":\"T\",\"format\":{\"provider\":\"parquet\",\"options\":{}},"
                                 "\"schemaString\":\"{\\\"type\\\":\\\"struct\\\","
                                 "\\\"fields\\\":[{\\\"name\\\":\\\"a\\\",\\\"type\\\":\\\"string\\\",\\\"nullable\\\":"
                                 "true,\\\"metadata\\\":{}}]}\","
                                 "\"partitionColumns\":[],\"configuration\":{},\"createdTime\":1}}\n";

static void add(Text *out, const char *path, int64_t size, int64_t time, bool data_change)
{
    text_printf(
        out,
        "{\"add\":{\"path\":\"%s\",\"partitionValues\":{},\"size\":%lld,\"modificationTime\":%lld,\"dataChange\":%s,"
        "\"stats\":\"{\\\"numRecords\\\":10}\"}}\n",
        path, (long long)size, (long long)time, data_change ? "true" : "false");
}

static void gone(Text *out, const char *path, bool data_change)
{
    text_printf(out, "{\"remove\":{\"path\":\"%s\",\"deletionTimestamp\":1,\"dataChange\":%s}}\n", path,
                data_change ? "true" : "false");
}

static void commit(Case *c, int64_t version, const char *text)
{
    char key[64];
    Text whole = TEXT(1 << 20);
    Error err = ERROR_NONE;

    snprintf(key, sizeof key, "_delta_log/%020lld.json", (long long)version);
    text_printf(&whole, "{\"commitInfo\":{\"timestamp\":%lld,\"operation\":\"WRITE\"}}\n%s",
                (long long)(1700000000000 + version * 1000), text);
    assert_ok(store_put(c->store, key, whole.data, whole.length, &err));
    text_free(&whole);
}

/* `n` files named v<version>-<i>, 100 bytes each. */
static void commit_files(Case *c, int64_t version, int n)
{
    Text text = TEXT(1 << 20);
    char path[64];

    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "v%lld-%d.parquet", (long long)version, i);
        add(&text, path, 100, 1000 + version * 10 + i, true);
    }
    commit(c, version, text_str(&text));
    text_free(&text);
}

static void open_case(Case *c)
{
    char uri[128];
    Error err = ERROR_NONE;

    snprintf(uri, sizeof uri, "%s/%d/table", folder, ++tables);
    assert_ok(delta_table_open(duck, uri, &c->table, &err));
    c->store = delta_table_store(c->table);
    snprintf(uri, sizeof uri, "%s/%d/checkpoint", folder, tables);
    assert_ok(store_open(uri, &c->checkpoint, &err));
    c->source = NULL;
}

/* Version 0 with `n` files. */
static void create(Case *c, int n)
{
    Text text = TEXT(1 << 20);
    char path[64];

    text_append(&text, PROTOCOL);
    text_append(&text, METADATA);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "v0-%d.parquet", i);
        add(&text, path, 100, 1000 - i, true); /* older ones have higher names */
    }
    commit(c, 0, text_str(&text));
    text_free(&text);
}

static Status try_source(Case *c, const StreamOption *options, size_t n, bool ours, Error *err)
{
    StreamSourceContext context = {
        .duck = duck, .checkpoint = c->checkpoint, .private_dir = "sources/0", .flow = "f", .warehouse = "/"};

    if (c->source) {
        c->source->ops->close(c->source);
        c->source = NULL;
    }
    return source_delta_open(&context, c->table, options, n, ours, &c->source, err);
}

static void open_source(Case *c, const StreamOption *options, size_t n, bool ours)
{
    DeltaSchema *schema = NULL;
    Error err = ERROR_NONE;

    assert_ok(try_source(c, options, n, ours, &err));
    assert_ok(c->source->ops->schema(c->source, conn, &schema, &err));
    delta_schema_unref(schema);
}

static void close_case(Case *c)
{
    if (c->source) {
        c->source->ops->close(c->source);
    }
    store_unref(c->checkpoint);
    delta_table_close(c->table);
}

static const char *text_of(int64_t version, int64_t index, bool initial)
{
    static char text[4][256];
    static int at;

    at = (at + 1) % 4;
    snprintf(
        text[at], sizeof text[at],
        "{\"sourceVersion\":1,\"reservoirId\":\"T\",\"reservoirVersion\":%lld,\"index\":%lld,\"isStartingVersion\":%s}",
        (long long)version, (long long)index, initial ? "true" : "false");
    return text[at];
}

/* latest() from `start` must give `wanted` (NULL: nothing new). */
static void assert_latest(Case *c, const char *start, const char *wanted)
{
    bool changed = false;
    char *end = NULL;
    Error err = ERROR_NONE;

    assert_ok(c->source->ops->latest(c->source, conn, start, false, &end, &changed, &err));
    assert_false(changed);
    if (wanted) {
        assert_non_null(end);
        assert_string_equal(end, wanted);
    } else {
        assert_null(end);
    }
    mem_free(end);
}

static Status latest(Case *c, const char *start, Error *err)
{
    bool changed = false;
    char *end = NULL;
    Status rc = c->source->ops->latest(c->source, conn, start, false, &end, &changed, err);

    mem_free(end);
    return rc;
}

/* Names of the range's files, as a walk over the log finds them again. */
static void assert_files(Case *c, const char *start, const char *end, const char *wanted)
{
    DeltaSource *source = (DeltaSource *)c->source;
    StreamRelation relation = {0};
    Error err = ERROR_NONE;
    Status rc = c->source->ops->relation(c->source, conn, start, end, &relation, &err);

    (void)source;
    assert_ok(rc);
    int64_t files = 0;
    for (const char *at = wanted; *at; at++) {
        files += *at == ' ';
    }
    files += *wanted ? 1 : 0;
    assert_int_equal(relation.files, files);
    assert_int_equal(relation.bytes, files * 100);
    assert_int_equal(relation.rows, files * 10);
    char list[1024];
    snprintf(list, sizeof list, "%s", wanted);
    for (char *name = strtok(list, " "); name; name = strtok(NULL, " ")) {
        assert_contains(relation.sql, name);
    }
    stream_relation_release(&relation);
}

/* ---- offsets ---- */

static void test_source_delta__offset_round_trip(void **state)
{
    DeltaOffset offset;
    Error err = ERROR_NONE;
    (void)state;

    assert_ok(delta_offset_parse(text_of(7, 3, false), "T", &offset, &err));
    assert_int_equal(offset.version, 7);
    assert_int_equal(offset.index, 3);
    char *again = delta_offset_text(&offset, "T");
    assert_string_equal(again, text_of(7, 3, false));
    mem_free(again);
    assert_error(delta_offset_parse(text_of(7, 3, false), "U", &offset, &err), E_SOURCE_OTHER_TABLE);
    assert_error(delta_offset_parse("{\"sourceVersion\":1}", "T", &offset, &err), E_SOURCE_OFFSET);
    assert_error(delta_offset_parse("17", "T", &offset, &err), E_SOURCE_OFFSET);
    for (int version = 1; version <= 4; version++) {
        char text[256];
        snprintf(text, sizeof text,
                 "{\"sourceVersion\":%d,\"reservoirId\":\"T\",\"reservoirVersion\":7,\"index\":-20,"
                 "\"isStartingVersion\":false}",
                 version);
        if (version == 3) { /* at a change of the schema: behind "nothing of it yet", before the first file */
            const DeltaOffset before = {.version = 7, .index = -1}, behind = {.version = 7, .index = 0};
            assert_ok(delta_offset_parse(text, "T", &offset, &err));
            assert_true(delta_offset_is_barrier(&offset));
            char *written = delta_offset_text(&offset, "T");
            assert_string_equal(written, text);
            mem_free(written);
            assert_true(delta_offset_compare(&before, &offset) < 0 && delta_offset_compare(&offset, &behind) < 0);
        } else {
            assert_error(delta_offset_parse(text, "T", &offset, &err), E_SOURCE_OFFSET);
        }
    }
}

/* ---- options ---- */

static void test_source_delta__options(void **state)
{
    static const struct {
        const char *key, *value;
        ErrorId id;
    } CASES[] = {
        {"readChangeFeed", "true", E_NONE},
        {"readChangeFeed", "perhaps", E_STREAM_OPTION},
        {"readChangeFeed", "false", E_NONE},
        {"schemaTrackingLocation", "/x", E_STREAM_OPTION},
        {"withEventTimeOrder", "true", E_STREAM_OPTION},
        {"startingTimestamp", "soon", E_STREAM_OPTION},
        {"startingVersion", "latest", E_NONE},
        {"versionAsOf", "1", E_STREAM_OPTION},
        {"maxFilesPerTrigger", "0", E_STREAM_OPTION},
        {"IGNOREDELETES", "true", E_NONE},
    };
    const StreamOption both[] = {{.key = "startingVersion", .value = "1"},
                                 {.key = "startingTimestamp", .value = "2024-01-01"}};
    Case c;
    (void)state;

    open_case(&c);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        StreamOption option = {.key = CASES[i].key, .value = CASES[i].value};
        Error err = ERROR_NONE;
        Status rc = try_source(&c, &option, 1, false, &err);
        if (err.id != CASES[i].id) {
            fail_msg("%s = %s: %d %s", option.key, option.value, rc, err.message);
        }
    }
    Error err = ERROR_NONE;
    assert_error(try_source(&c, both, 2, false, &err), E_SOURCE_START);
    close_case(&c);
}

/* ---- reading on ---- */

static void test_source_delta__no_table_no_schema(void **state)
{
    DeltaSchema *schema = NULL;
    Error err = ERROR_NONE;
    Case c;
    (void)state;

    open_case(&c);
    assert_ok(try_source(&c, NULL, 0, false, &err));
    assert_ok(c.source->ops->schema(c.source, conn, &schema, &err));
    assert_null(schema);
    close_case(&c);
}

static void test_source_delta__snapshot_then_commits(void **state)
{
    const StreamOption two[] = {{.key = "maxFilesPerTrigger", .value = "2"}};
    Case c;
    (void)state;

    open_case(&c);
    create(&c, 3);
    open_source(&c, two, 1, false);
    assert_latest(&c, NULL, text_of(0, 1, true));
    assert_files(&c, NULL, text_of(0, 1, true), "v0-2 v0-1"); /* by modification time */
    assert_latest(&c, text_of(0, 1, true), text_of(1, -1, false));
    assert_files(&c, text_of(0, 1, true), text_of(1, -1, false), "v0-0");
    assert_latest(&c, text_of(1, -1, false), NULL);
    commit_files(&c, 1, 3);
    assert_latest(&c, text_of(1, -1, false), text_of(1, 1, false)); /* a batch ends inside a commit */
    assert_latest(&c, text_of(1, 1, false), text_of(2, -1, false));
    commit_files(&c, 2, 1);
    assert_latest(&c, text_of(1, 1, false), text_of(3, -1, false));
    assert_files(&c, text_of(1, 1, false), text_of(3, -1, false), "v1-2 v2-0");

    open_source(&c, two, 1, false); /* after a restart the ranges are the same */
    assert_files(&c, NULL, text_of(0, 1, true), "v0-2 v0-1");
    assert_files(&c, text_of(0, 1, true), text_of(1, -1, false), "v0-0");
    assert_files(&c, text_of(1, -1, false), text_of(1, 1, false), "v1-0 v1-1");
    assert_files(&c, NULL, text_of(1, -1, false), "v0-0 v0-1 v0-2");
    assert_files(&c, NULL, text_of(2, 0, false),
                 "v0-0 v0-1 v0-2 v1-0 v1-1 v1-2 v2-0"); /* as Spark may have logged it */
    close_case(&c);
}

/* The end of a version is a place in the stream, also of one without files: so one batch without rows, and no more. */
static void test_source_delta__empty_snapshot(void **state)
{
    Case c;
    (void)state;

    open_case(&c);
    create(&c, 0);
    open_source(&c, NULL, 0, false);
    assert_latest(&c, NULL, text_of(1, -1, false));
    assert_files(&c, NULL, text_of(1, -1, false), "");
    assert_latest(&c, text_of(1, -1, false), NULL);
    commit_files(&c, 1, 1);
    assert_latest(&c, text_of(1, -1, false), text_of(2, -1, false));
    close_case(&c);
}

static void test_source_delta__bytes_are_soft(void **state)
{
    const StreamOption bytes[] = {{.key = "maxBytesPerTrigger", .value = "150"}};
    const StreamOption both[] = {{.key = "maxBytesPerTrigger", .value = "1000"},
                                 {.key = "maxFilesPerTrigger", .value = "3"}};
    Case c;
    (void)state;

    open_case(&c);
    create(&c, 0);
    commit_files(&c, 1, 5);
    open_source(&c, bytes, 1, false);
    assert_latest(&c, text_of(1, -1, false), text_of(1, 1, false)); /* 100 < 150: the second is admitted, too */
    open_source(&c, both, 2, false);
    assert_latest(&c, text_of(1, -1, false), text_of(1, 2, false));
    close_case(&c);
}

static void test_source_delta__commits_without_data_move_on(void **state)
{
    Text text = TEXT(65536);
    Case c;
    (void)state;

    open_case(&c);
    create(&c, 2);
    gone(&text, "v0-0.parquet", false);
    gone(&text, "v0-1.parquet", false);
    add(&text, "all.parquet", 200, 5, false);
    commit(&c, 1, text_str(&text));
    commit(&c, 2, "");
    open_source(&c, NULL, 0, false);
    assert_latest(&c, text_of(1, -1, false), text_of(3, -1, false));
    assert_files(&c, text_of(1, -1, false), text_of(3, -1, false), "");
    text_free(&text);
    close_case(&c);
}

static void test_source_delta__starting_positions(void **state)
{
    const StreamOption at_one[] = {{.key = "startingVersion", .value = "1"}},
                       newest[] = {{.key = "startingVersion", .value = "latest"}};
    const StreamOption moment[] = {{.key = "startingTimestamp", .value = "2023-11-14 22:13:21.5"}};
    const StreamOption nine[] = {{.key = "startingVersion", .value = "9"}};
    Error err = ERROR_NONE;
    Case c;
    (void)state;

    open_case(&c);
    create(&c, 1);
    commit_files(&c, 1, 1);
    commit_files(&c, 2, 1);
    open_source(&c, at_one, 1, false);
    assert_latest(&c, NULL, text_of(3, -1, false));
    assert_files(&c, NULL, text_of(3, -1, false), "v1-0 v2-0");
    assert_ok(store_delete(c.checkpoint, "sources/0/start", &err));
    open_source(&c, nine, 1, false);
    assert_error(latest(&c, NULL, &err), E_DELTA_VERSION);
    open_source(&c, newest, 1, false);
    assert_latest(&c, NULL, NULL);
    commit_files(&c, 3, 1);
    open_source(&c, newest, 1, false); /* a restart does not skip what came in between */
    assert_latest(&c, NULL, text_of(4, -1, false));
    assert_files(&c, NULL, text_of(4, -1, false), "v3-0");
    assert_ok(store_delete(c.checkpoint, "sources/0/start", &err));
    open_source(&c, moment, 1, false);
    if (latest(&c, NULL, &err) != OK) { /* file times of this store decide where there is no in-commit timestamp */
        assert_int_equal(err.id, E_DELTA_TIMESTAMP);
    }
    close_case(&c);
}

/* ---- commits that a stream of new rows cannot take ---- */

static void test_source_delta__deletes_and_changes(void **state)
{
    static const struct {
        const char *option;
        ErrorId on_delete, on_change;
        const char *files; /* of versions 1 to 3: a delete, a change, an append */
    } CASES[] = {
        {NULL, E_SOURCE_DELETE, E_SOURCE_CHANGE, NULL},    {"ignoreDeletes", E_NONE, E_SOURCE_CHANGE, NULL},
        {"ignoreChanges", E_NONE, E_NONE, "changed v3-0"}, {"ignoreFileDeletion", E_NONE, E_NONE, "changed v3-0"},
        {"skipChangeCommits", E_NONE, E_NONE, "v3-0"},
    };
    Text text = TEXT(65536);
    Case c;
    (void)state;

    open_case(&c);
    create(&c, 2);
    gone(&text, "v0-0.parquet", true);
    commit(&c, 1, text_str(&text));
    text_clear(&text);
    gone(&text, "v0-1.parquet", true);
    add(&text, "changed.parquet", 100, 5, true);
    commit(&c, 2, text_str(&text));
    commit_files(&c, 3, 1);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        StreamOption option = {.key = CASES[i].option, .value = "true"};
        Error err = ERROR_NONE;
        open_source(&c, &option, CASES[i].option ? 1 : 0, false);
        latest(&c, text_of(1, -1, false), &err);
        assert_int_equal(err.id, CASES[i].on_delete);
        error_clear(&err);
        latest(&c, text_of(2, -1, false), &err);
        assert_int_equal(err.id, CASES[i].on_change);
        if (CASES[i].files) {
            assert_latest(&c, text_of(1, -1, false), text_of(4, -1, false));
            assert_files(&c, text_of(1, -1, false), text_of(4, -1, false), CASES[i].files);
        }
    }
    text_free(&text);
    close_case(&c);
}

static void test_source_delta__what_comes_before_an_error_is_delivered(void **state)
{
    Text text = TEXT(65536);
    Error err = ERROR_NONE;
    Case c;
    (void)state;

    open_case(&c);
    create(&c, 1);
    commit_files(&c, 1, 2);
    gone(&text, "v0-0.parquet", true);
    commit(&c, 2, text_str(&text));
    open_source(&c, NULL, 0, false);
    assert_latest(&c, text_of(1, -1, false), text_of(2, -1, false));
    assert_int_not_equal(latest(&c, text_of(2, -1, false), &err), OK);
    assert_contains(err.message, "version 2");
    assert_contains(err.hint, "skipChangeCommits");
    text_free(&text);
    close_case(&c);
}

/* ---- schema ---- */

static void test_source_delta__new_column(void **state)
{
    Text text = TEXT(65536);
    DeltaSchema *schema = NULL;
    bool changed = false;
    char *end = NULL;
    Error err = ERROR_NONE;
    Case c;
    (void)state;

    open_case(&c);
    create(&c, 1);
    open_source(&c, NULL, 0, true);
    commit_files(&c, 1, 1);
    text_append(&text, WIDER);
    add(&text, "v2-0.parquet", 100, 5, true);
    commit(&c, 2, text_str(&text));
    assert_latest(&c, text_of(1, -1, false), text_of(2, -1, false)); /* ends at the change */
    assert_ok(c.source->ops->latest(c.source, conn, text_of(2, -1, false), false, &end, &changed, &err));
    assert_null(end);
    assert_true(changed);
    assert_ok(c.source->ops->schema(c.source, conn, &schema, &err));
    assert_int_equal(schema->n_fields, 2);
    delta_schema_unref(schema);
    assert_latest(&c, text_of(2, -1, false), text_of(3, -1, false));

    /* a table that others write: stop, and a restart goes on */
    create(&c, 1);
    close_case(&c);
    open_case(&c);
    create(&c, 1);
    open_source(&c, NULL, 0, false);
    commit(&c, 1, text_str(&text));
    assert_error(latest(&c, text_of(1, -1, false), &err), E_SOURCE_SCHEMA_CHANGED);
    open_source(&c, NULL, 0, false);
    assert_latest(&c, text_of(1, -1, false), text_of(2, -1, false));
    text_free(&text);
    close_case(&c);
}

static void test_source_delta__other_type_stops(void **state)
{
    Error err = ERROR_NONE;
    Case c;
    (void)state;

    open_case(&c);
    create(&c, 1);
    open_source(&c, NULL, 0, true);
    commit(&c, 1, OTHER_TYPE);
    assert_int_not_equal(latest(&c, text_of(1, -1, false), &err), OK);
    assert_int_equal(err.id, E_SOURCE_SCHEMA_CHANGED);
    assert_contains(err.hint, "--full-refresh");
    close_case(&c);
}

/* ---- loss ---- */

static void test_source_delta__gaps_are_errors(void **state)
{
    const StreamOption lenient[] = {{.key = "failOnDataLoss", .value = "false"}};
    StreamRelation relation = {0};
    Error err = ERROR_NONE;
    Case c;
    (void)state;

    open_case(&c);
    create(&c, 1);
    commit_files(&c, 1, 1);
    commit_files(&c, 2, 1);
    open_source(&c, NULL, 0, false);
    assert_error(latest(&c, text_of(5, -1, false), &err), E_STREAM_BACKWARDS);
    assert_latest(&c, text_of(1, -1, false), text_of(3, -1, false));
    open_source(&c, NULL, 0, false);
    assert_ok(store_delete(c.store, "_delta_log/00000000000000000002.json", &err));
    assert_error(c.source->ops->relation(c.source, conn, text_of(1, -1, false), text_of(3, -1, false), &relation, &err),
                 E_SOURCE_DATA_LOSS);
    assert_error(c.source->ops->relation(c.source, conn, text_of(1, -1, false), text_of(1, 4, false), &relation, &err),
                 E_SOURCE_DATA_LOSS);
    (void)lenient;
    close_case(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source_delta__offset_round_trip),
        cmocka_unit_test(test_source_delta__options),
        cmocka_unit_test(test_source_delta__no_table_no_schema),
        cmocka_unit_test(test_source_delta__snapshot_then_commits),
        cmocka_unit_test(test_source_delta__empty_snapshot),
        cmocka_unit_test(test_source_delta__bytes_are_soft),
        cmocka_unit_test(test_source_delta__commits_without_data_move_on),
        cmocka_unit_test(test_source_delta__starting_positions),
        cmocka_unit_test(test_source_delta__deletes_and_changes),
        cmocka_unit_test(test_source_delta__what_comes_before_an_error_is_delivered),
        cmocka_unit_test(test_source_delta__new_column),
        cmocka_unit_test(test_source_delta__other_type_stops),
        cmocka_unit_test(test_source_delta__gaps_are_errors),
    };
    DuckConfig config = {.threads = 2};
    Error err = ERROR_NONE;

    if (!mkdtemp(folder) || duck_open(&config, &duck, &err) != OK || duck_connect(duck, &conn, &err) != OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    duck_disconnect(conn);
    duck_close(duck);
    file_remove_tree(folder, NULL);
    return failed;
}
