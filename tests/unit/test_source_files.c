/* read_files outside a stream, and what it stands on: places, lines, inference, options, CSV, Parquet. */
#include "source_files.h"

#include <zlib.h>
#include <zstd.h>

#include "source/files_set.h"
#include "source/line_input.h"
#include "source/schema_text.h"
#include "source/time_pattern.h"

/* ---- lines ---- */

/* The lines of a file read in parts of `part` bytes, joined by '|', in the order of the parts. */
static char *lines_in_parts(const char *path, int64_t size, int64_t part, size_t block)
{
    LineInput in;
    LineBlock found;
    Text text = TEXT(1 << 24);

    line_input_init(&in, 1 << 20, block);
    for (int64_t from = 0; from == 0 || from < size; from += part) {
        assert_ok(line_input_open(&in, path, from, from + part >= size ? INT64_MAX : from + part, false, &err));
        for (;;) {
            assert_ok(line_input_next(&in, &found, &err));
            if (found.start == found.end) {
                break;
            }
            text_append_n(&text, found.start, (size_t)(found.end - found.start));
        }
    }
    line_input_fini(&in);
    return text_take(&text);
}

static void test_source_files__parts_hold_every_line_once(void **state)
{
    (void)state;
    test_seed();
    for (int round = 0; round < 30; round++) {
        Text text = TEXT(1 << 20);
        for (uint64_t n = random_u64() % 40; n > 0; n--) {
            for (uint64_t i = random_u64() % (random_u64() % 8 == 0 ? 300 : 20); i > 0; i--) {
                text_append_char(&text, (char)('a' + random_u64() % 26));
            }
            text_append_char(&text, '\n');
        }
        text_append(&text, round % 2 ? "the end without a line end" : "");
        put("in/lines", text_str(&text));
        int64_t size = (int64_t)text.length;
        text_append(&text, round % 2 ? "\n" : "");
        for (int64_t part = 1; part < size + 2; part += 1 + (int64_t)(random_u64() % 50)) {
            char *have = lines_in_parts(path_of("in/lines"), size, part, 16 + random_u64() % 64);
            assert_string_equal(have, text_str(&text));
            mem_free(have);
        }
        text_free(&text);
    }
}

static void put_gzip(const char *name, const char *first, const char *second)
{
    unsigned char packed[4096];
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        const char *text = i == 0 ? first : second;
        z_stream z = {.next_in = (unsigned char *)(uintptr_t)text,
                      .avail_in = (unsigned)strlen(text),
                      .next_out = packed + n,
                      .avail_out = (unsigned)(sizeof packed - n)};
        assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        n += z.total_out;
        deflateEnd(&z);
    }
    put_bytes(name, packed, n);
}

static void test_source_files__gzip_and_zstd_by_their_first_bytes(void **state)
{
    (void)state;
    static const char TEXT_ONE[] = "{\"a\":1}\n", TEXT_TWO[] = "{\"a\":2}\n";
    char packed[4096];
    size_t n = ZSTD_compress(packed, sizeof packed, TEXT_ONE, sizeof TEXT_ONE - 1, 3);
    n += ZSTD_compress(packed + n, sizeof packed - n, TEXT_TWO, sizeof TEXT_TWO - 1, 3);
    put_gzip("in/1.json.gz", TEXT_ONE, TEXT_TWO);
    put_bytes("in/named_otherwise.json", packed, n);
    assert_files("in", NO_OPTIONS,
                 "{\"a\":1,\"_rescued_data\":null}\n{\"a\":1,\"_rescued_data\":null}\n"
                 "{\"a\":2,\"_rescued_data\":null}\n{\"a\":2,\"_rescued_data\":null}");
}

static void test_source_files__a_damaged_stream_is_an_error(void **state)
{
    (void)state;
    StreamRelation relation;
    unsigned char bytes[4096];
    char *rows = NULL;
    StreamOption option = {.key = "ignoreCorruptFiles", .value = "true"};

    put("in/0.json", "{\"a\":1}\n");
    put_gzip("in/1.json.gz", "{\"a\":2}\n", "{\"a\":3}\n");
    FILE *f = fopen(path_of("in/1.json.gz"), "rb");
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    put_bytes("in/1.json.gz", bytes, n - 12);
    assert_error(source_files_relation(duck, conn, path_of("in"), NULL, 0, &relation, NULL, &err), E_SOURCE_FILE);
    assert_ok(source_files_relation(duck, conn, path_of("in"), &option, 1, &relation, NULL, &err));
    assert_ok(rows_try(relation.sql, &rows));
    assert_contains(rows, "{\"a\":1,");
    mem_free(rows);
    stream_relation_release(&relation);
}

/* ---- places ---- */

static void test_source_files__places(void **state)
{
    (void)state;
    static const char *const FILES[] = {"in/a.json",     "in/b.txt",      "in/_hidden.json",      "in/.dot.json",
                                        "in/x/c.json",   "in/x/y/d.json", "in/_temporary/e.json", "in/x[1].json",
                                        "in/z{q}/f.json"};
    const struct {
        const char *place;
        const char *const *options;
        const char *names;
    } CASES[] = {
        {"in", OPTIONS("format", "text"), "a.json b.txt c.json d.json f.json x[1].json"},
        {"in", OPTIONS("format", "text", "recursiveFileLookup", "false"), "a.json b.txt x[1].json"},
        {"in", OPTIONS("format", "text", "pathGlobFilter", "*.txt"), "b.txt"},
        {"in/*.json", NO_OPTIONS, "a.json x[1].json"},
        {"in/*", OPTIONS("format", "text"), "a.json b.txt c.json d.json f.json x[1].json"},
        {"in/**/*.json", NO_OPTIONS, "a.json c.json d.json f.json x[1].json"},
        {"in/{a,b}.*", OPTIONS("format", "text"), "a.json b.txt"},
        {"in/{a.json,x/{c,q}.json}", NO_OPTIONS, "a.json c.json"},
        {"in/?.json", NO_OPTIONS, "a.json"},
        {"in/[!a].txt", NO_OPTIONS, "b.txt"},
        {"in/_hidden.json", NO_OPTIONS, "_hidden.json"},
        {"in/_*", OPTIONS("format", "text"), "_hidden.json e.json"},
        {"in/x[1].json", NO_OPTIONS, "x[1].json"},
        {"in/z{q}", NO_OPTIONS, "f.json"},
        {"in/x/*/d.json", NO_OPTIONS, "d.json"},
    };
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        put(FILES[i], "{\"v\":1}\n");
    }
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        StreamOption options[OPTIONS_MAX];
        StreamRelation relation;
        size_t n = options_of(CASES[i].options, options);
        char *rows = NULL;
        Text sql = TEXT(4096);
        options[n++] = (StreamOption){.key = "freshet.withMetadata", .value = "true"};
        assert_ok(source_files_relation(duck, conn, path_of(CASES[i].place), options, n, &relation, NULL, &err));
        text_printf(&sql, "SELECT string_agg(_metadata.file_name, ' ' ORDER BY _metadata.file_name) AS n FROM (%s)",
                    relation.sql);
        assert_ok(rows_try(text_str(&sql), &rows));
        char wanted[256];
        snprintf(wanted, sizeof wanted, "{\"n\":\"%s\"}", CASES[i].names);
        if (strcmp(rows, wanted) != 0) {
            fail_msg("%s: %s, not %s", CASES[i].place, rows, wanted);
        }
        mem_free(rows);
        text_free(&sql);
        stream_relation_release(&relation);
    }
    StreamRelation relation;
    assert_error(source_files_relation(duck, conn, path_of("nowhere"), NULL, 0, &relation, NULL, &err), E_IO_NOT_FOUND);
    assert_error(source_files_relation(duck, conn, "s3://bucket/x", NULL, 0, &relation, NULL, &err), E_STORE_URI);
}

static void test_source_files__the_listing_tells_changes(void **state)
{
    (void)state;
    StreamRelation relation;
    char *before, *same, *after;
    put("in/a.json", "{\"a\":1}\n");
    assert_ok(source_files_relation(duck, conn, path_of("in"), NULL, 0, &relation, &before, &err));
    stream_relation_release(&relation);
    assert_ok(source_files_relation(duck, conn, path_of("in"), NULL, 0, &relation, &same, &err));
    stream_relation_release(&relation);
    put("in/b.json", "{\"a\":1}\n");
    assert_ok(source_files_relation(duck, conn, path_of("in"), NULL, 0, &relation, &after, &err));
    stream_relation_release(&relation);
    assert_string_equal(before, same);
    assert_string_not_equal(before, after);
    mem_free(before);
    mem_free(same);
    mem_free(after);
}

static void test_source_files__set_forgets_only_what_is_removed(void **state)
{
    (void)state;
    FilesSet *set = files_set_new();
    char path[32];
    for (int i = 0; i < 5000; i++) {
        snprintf(path, sizeof path, "/in/%d", i);
        assert_true(files_set_add(set, path));
        assert_false(files_set_add(set, path));
    }
    for (int i = 0; i < 5000; i += 3) {
        snprintf(path, sizeof path, "/in/%d", i);
        files_set_remove(set, path);
    }
    for (int i = 0; i < 5000; i++) {
        snprintf(path, sizeof path, "/in/%d", i);
        assert_int_equal(files_set_has(set, path), i % 3 != 0);
    }
    files_set_free(set);
    /* the hash is part of a format */
    FilesHash hash = files_hash("/in/a.json");
    assert_int_equal(hash.high, 0x570456a7724d67f9);
    assert_int_equal(hash.low, 0x514b5ddc430e0ae6);
}

/* ---- schema ---- */

static void test_source_files__types_are_inferred(void **state)
{
    (void)state;
    put("in/a.json", "{\"i\":1,\"d\":1,\"t\":true,\"s\":\"x\",\"n\":null,\"m\":1,\"big\":99999999999999999999,\"e\":{},"
                     "\"l\":[],\"o\":{\"x\":1},\"at\":\"2024-01-01\"}\n"
                     "{\"i\":2,\"d\":1.5,\"m\":\"x\",\"l\":[1],\"o\":{\"y\":[{\"z\":true}]},\"I\":7}\n");
    StreamRelation relation;
    assert_ok(source_files_relation(duck, conn, path_of("in"), NULL, 0, &relation, NULL, &err));
    Text sql = TEXT(4096);
    text_printf(&sql,
                "SELECT DISTINCT typeof(i) i, typeof(d) d, typeof(t) t, typeof(s) s, typeof(n) n, typeof(m) m, "
                "typeof(big) big, typeof(e) e, typeof(l) l, "
                "typeof(o) o, typeof(\"at\") at_ FROM (%s)",
                relation.sql);
    assert_rows(text_str(&sql),
                "{\"i\":\"BIGINT\",\"d\":\"DOUBLE\",\"t\":\"BOOLEAN\",\"s\":\"VARCHAR\",\"n\":\"VARCHAR\",\"m\":"
                "\"VARCHAR\",\"big\":\"VARCHAR\",\"e\":\"VARCHAR\","
                "\"l\":\"BIGINT[]\",\"o\":\"STRUCT(x BIGINT, y STRUCT(z BOOLEAN)[])\",\"at_\":\"VARCHAR\"}");
    text_clear(&sql);
    text_printf(&sql, "SELECT big, m, _rescued_data->>'I' AS r FROM (%s)", relation.sql);
    assert_rows(text_str(&sql),
                "{\"big\":\"99999999999999999999\",\"m\":\"1\",\"r\":null}\n{\"big\":null,\"m\":\"x\",\"r\":\"7\"}");
    text_free(&sql);
    stream_relation_release(&relation);
}

static void test_source_files__hints_and_given_schemas(void **state)
{
    (void)state;
    put("in/a.json",
        "{\"day\":\"2024-02-29\",\"p\":{\"net\":12.50,\"q\":1},\"at\":\"2024-01-01T05:06:07.5+01:00\",\"m\":{\"k\":1,"
        "\"j\":null},\"b\":\"aGk=\"}\n"
        "{\"day\":\"2023-02-29\",\"p\":{\"net\":12.505},\"at\":\"soon\",\"m\":{\"k\":\"x\"},\"b\":\"*\"}\n");
    assert_files(
        "in", OPTIONS("schemaHints", "day DATE, p.net DECIMAL(10,2), at TIMESTAMPTZ, m MAP<STRING, BIGINT>, b BINARY"),
        "{\"day\":\"2024-02-29\",\"p\":{\"net\":12.5,\"q\":1},\"at\":\"2024-01-01 "
        "04:06:07.5+00\",\"m\":{\"k\":1,\"j\":null},\"b\":\"hi\",\"_rescued_data\":null}\n"
        "{\"day\":null,\"p\":{\"net\":null,\"q\":null},\"at\":null,\"m\":{\"k\":null},\"b\":null,\"_rescued_data\":\"{"
        "\\\"day\\\":\\\"2023-02-29\\\","
        "\\\"p\\\":{\\\"net\\\":12.505},\\\"at\\\":\\\"soon\\\",\\\"m\\\":{\\\"k\\\":\\\"x\\\"},\\\"b\\\":\\\"*\\\","
        "\\\"_file_path\\\":\\\"file:FOLDER/in/a.json\\\"}\"}");
    assert_files("in", OPTIONS("schema", "p STRUCT<net: DOUBLE>, day STRING COMMENT 'x', gone TINYINT"),
                 "{\"p\":{\"net\":12.505},\"day\":\"2023-02-29\",\"gone\":null}\n{\"p\":{\"net\":12.5},\"day\":\"2024-"
                 "02-29\",\"gone\":null}");
    StreamRelation relation;
    static const char *const BAD[] = {"a", "a NOTYPE", "a BIGINT,", "a BIGINT; DROP", "a STRUCT<x>", "a INTERVAL"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        StreamOption option = {.key = "schema", .value = BAD[i]};
        assert_int_not_equal(source_files_relation(duck, conn, path_of("in"), &option, 1, &relation, NULL, &err), OK);
        error_clear(&err);
    }
}

static void test_source_files__corrupt_lines_are_kept(void **state)
{
    (void)state;
    put("in/a.json", "\xEF\xBB\xBF{\"a\":1}\r\n\r\n{\"a\":2\n\xff\xfe{\n{\"a\":3}");
    assert_files("in", NO_OPTIONS,
                 "{\"a\":1,\"_rescued_data\":null}\n{\"a\":3,\"_rescued_data\":null}\n"
                 "{\"a\":null,\"_rescued_data\":\"{\\\"_corrupt_record\\\":\\\"\\\\\\\\xFF\\\\\\\\xFE{\\\",\\\"_"
                 "reason\\\":\\\"the line is not a JSON object\\\","
                 "\\\"_file_path\\\":\\\"file:FOLDER/in/a.json\\\",\\\"_line\\\":4}\"}\n"
                 "{\"a\":null,\"_rescued_data\":\"{\\\"_corrupt_record\\\":\\\"{\\\\\\\"a\\\\\\\":2\\\",\\\"_"
                 "reason\\\":\\\"the line ends inside an object\\\","
                 "\\\"_file_path\\\":\\\"file:FOLDER/in/a.json\\\",\\\"_line\\\":3}\"}");
    assert_files("in", OPTIONS("schema", "a INT, _corrupt_record STRING"),
                 "{\"a\":1,\"_corrupt_record\":null}\n{\"a\":3,\"_corrupt_record\":null}\n{\"a\":null,\"_corrupt_"
                 "record\":\"\\\\xFF\\\\xFE{\"}\n"
                 "{\"a\":null,\"_corrupt_record\":\"{\\\"a\\\":2\"}");
    assert_files("in", OPTIONS("mode", "DROPMALFORMED", "schema", "a INT"), "{\"a\":1}\n{\"a\":3}");
    StreamOption fail = {.key = "mode", .value = "failfast"};
    StreamRelation relation;
    char *rows = NULL;
    assert_ok(source_files_relation(duck, conn, path_of("in"), &fail, 1, &relation, NULL, &err));
    assert_int_not_equal(rows_try(relation.sql, &rows), OK);
    assert_contains(err.message, "a.json:3: the line ends inside an object");
    error_clear(&err);
    stream_relation_release(&relation);
}

static void test_source_files__a_dropped_record_leaves_the_next_alone(void **state)
{
    (void)state;
    put("in/day=1/a.csv", "1,x,1.5\n2,too few\n3,z,2.5\n");
    put("in/day=none/b.csv", "4,way,1,too,many\n");
    put("in/day=2/c.csv", "5,v,3.5\n");
    assert_files(
        "in",
        OPTIONS("mode", "DROPMALFORMED", "schema", "id INT, s STRING, d DOUBLE, day INT", "partitionColumns", "day"),
        "{\"id\":1,\"s\":\"x\",\"d\":1.5,\"day\":1}\n{\"id\":3,\"s\":\"z\",\"d\":2.5,\"day\":1}\n"
        "{\"id\":5,\"s\":\"v\",\"d\":3.5,\"day\":2}");
}

/* What Spark calls malformed, too: nothing would keep the value. */
static void test_source_files__a_value_that_nothing_rescues(void **state)
{
    (void)state;
    put("in/a.json", "{\"a\":1,\"s\":\"x\"}\n{\"a\":\"one\",\"s\":\"y\"}\n{\"a\":3,\"s\":\"z\",\"more\":1}");
    assert_files("in", OPTIONS("schema", "a INT, s STRING, _corrupt_record STRING"),
                 "{\"a\":1,\"s\":\"x\",\"_corrupt_record\":null}\n{\"a\":3,\"s\":\"z\",\"_corrupt_record\":null}\n"
                 "{\"a\":null,\"s\":\"y\",\"_corrupt_record\":\"{\\\"a\\\":\\\"one\\\",\\\"s\\\":\\\"y\\\"}\"}");
    assert_files("in", OPTIONS("mode", "DROPMALFORMED", "schema", "a INT, s STRING"),
                 "{\"a\":1,\"s\":\"x\"}\n{\"a\":3,\"s\":\"z\"}");
    assert_files(
        "in", OPTIONS("mode", "DROPMALFORMED", "schema", "a INT", "rescuedDataColumn", "r"),
        "{\"a\":1,\"r\":\"{\\\"s\\\":\\\"x\\\",\\\"_file_path\\\":\\\"file:FOLDER/in/a.json\\\"}\"}\n"
        "{\"a\":3,\"r\":\"{\\\"s\\\":\\\"z\\\",\\\"more\\\":1,\\\"_file_path\\\":\\\"file:FOLDER/in/a.json\\\"}\"}\n"
        "{\"a\":null,\"r\":\"{\\\"a\\\":\\\"one\\\",\\\"s\\\":\\\"y\\\",\\\"_file_path\\\":\\\"file:FOLDER/in/"
        "a.json\\\"}\"}");
}

static void test_source_files__what_is_no_text_is_one_record(void **state)
{
    (void)state;
    put_bytes("in/utf16.json", "\xff\xfe{\0}\0", 6);
    put("in/ok.json", "{\"a\":1}\n");
    put("in/empty.json", "");
    Text line = TEXT(1 << 20);
    text_append(&line, "{\"a\":\"");
    for (int i = 0; i < 20000; i++) {
        text_append_char(&line, 'x');
    }
    text_append(&line, "\"}\n{\"a\":2}\n");
    put("in/long.json", text_str(&line));
    text_free(&line);
    StreamRelation relation;
    StreamOption options[] = {{.key = "maxRecordBytes", .value = "4096"}, {.key = "schemaHints", .value = "a BIGINT"}};
    assert_ok(source_files_relation(duck, conn, path_of("in"), options, 2, &relation, NULL, &err));
    Text sql = TEXT(4096);
    text_printf(&sql,
                "SELECT a, _rescued_data->>'_reason' AS r, length(_rescued_data->>'_corrupt_record') AS n FROM (%s)",
                relation.sql);
    assert_rows(
        text_str(&sql),
        "{\"a\":1,\"r\":null,\"n\":null}\n{\"a\":2,\"r\":null,\"n\":null}\n"
        "{\"a\":null,\"r\":\"the file is UTF-16 text, only UTF-8 is read\",\"n\":12}\n"
        "{\"a\":null,\"r\":\"the line is longer than 4096 bytes (maxRecordBytes); this is its beginning\",\"n\":1024}");
    text_free(&sql);
    stream_relation_release(&relation);
}

static void test_source_files__records_over_several_lines(void **state)
{
    (void)state;
    put("in/array.json", "[\n  {\"a\": 1,\n   \"b\": \"x,]}\\\"\\n[\"},\n  {\"a\": 2, \"b\": [\n1,\n2]}\n]\n");
    put("in/pretty.json", "{\n  \"a\": 3\n}\n{\n  \"a\": 4\n}");
    assert_files(
        "in", OPTIONS("multiLine", "true", "schemaHints", "b STRING"),
        "{\"a\":1,\"b\":\"x,]}\\\"\\n[\",\"_rescued_data\":null}\n{\"a\":2,\"b\":\"[ 1, 2]\",\"_rescued_data\":null}\n"
        "{\"a\":3,\"b\":null,\"_rescued_data\":null}\n{\"a\":4,\"b\":null,\"_rescued_data\":null}");
}

/* ---- csv ---- */

static void test_source_files__csv(void **state)
{
    (void)state;
    put("in/a.csv",
        "id,name,price\r\n1,\"a, "
        "\"\"b\"\"\",1.5\r\n2,\"two\nlines\",x\r\n\r\n3,,\r\n4,\"\",2\r\n5,short\r\n6,\"open,1\n7,bad\"quote,3\n");
    assert_files("in", OPTIONS("schemaHints", "price DOUBLE"),
                 "{\"id\":1,\"name\":\"a, \\\"b\\\"\",\"price\":1.5,\"_rescued_data\":null}\n"
                 "{\"id\":2,\"name\":\"two\\nlines\",\"price\":null,\"_rescued_data\":\"{\\\"price\\\":\\\"x\\\",\\\"_"
                 "file_path\\\":\\\"file:FOLDER/in/a.csv\\\"}\"}\n"
                 "{\"id\":3,\"name\":null,\"price\":null,\"_rescued_data\":null}\n"
                 "{\"id\":4,\"name\":\"\",\"price\":2.0,\"_rescued_data\":null}\n"
                 "{\"id\":7,\"name\":\"bad\\\"quote\",\"price\":3.0,\"_rescued_data\":null}\n"
                 "{\"id\":null,\"name\":null,\"price\":null,\"_rescued_data\":\"{\\\"_corrupt_record\\\":\\\"5,"
                 "short\\\",\\\"_reason\\\":\\\"fewer fields than columns\\\","
                 "\\\"_file_path\\\":\\\"file:FOLDER/in/a.csv\\\",\\\"_line\\\":8}\"}\n"
                 "{\"id\":null,\"name\":null,\"price\":null,\"_rescued_data\":\"{\\\"_corrupt_record\\\":\\\"6,"
                 "\\\\\\\"open,1\\\",\\\"_reason\\\":\\\"text behind a closing quote\\\","
                 "\\\"_file_path\\\":\\\"file:FOLDER/in/a.csv\\\",\\\"_line\\\":9}\"}");
}

static void test_source_files__csv_dialects(void **state)
{
    (void)state;
    put("in/a.csv", "# a comment\n31.12.2024; 7 ;NA;'it\\'s'\n01.01.2025;8;1;''\n");
    assert_files(
        "in",
        OPTIONS("schema", "d DATE, i INT, n INT, s STRING", "sep", ";", "quote", "'", "comment", "#", "nullValue", "NA",
                "dateFormat", "dd.MM.yyyy", "ignoreLeadingWhiteSpace", "true", "ignoreTrailingWhiteSpace", "true",
                "emptyValue", "-"),
        "{\"d\":\"2024-12-31\",\"i\":7,\"n\":null,\"s\":\"it's\"}\n{\"d\":\"2025-01-01\",\"i\":8,\"n\":1,\"s\":\"-\"}");
    /* the first line names the columns: a header although nobody said so */
    put("other/a.csv", "i,s\n1,x\n");
    assert_files("other", OPTIONS("schema", "s STRING, i INT"), "{\"s\":\"x\",\"i\":1}");
    assert_files("other", OPTIONS("schema", "s STRING, i STRING", "header", "false"),
                 "{\"s\":\"1\",\"i\":\"x\"}\n{\"s\":\"i\",\"i\":\"s\"}");
    /* columns that come and go by name, from file to file */
    put("names/a.csv", "a,b\n1,2\n");
    put("names/b.csv", "b,a\n4,3\n");
    put("names/c.csv", "A,b\n5,6\n");
    assert_files("names", NO_OPTIONS,
                 "{\"a\":1,\"b\":2,\"_rescued_data\":null}\n{\"a\":3,\"b\":4,\"_rescued_data\":null}\n"
                 "{\"a\":null,\"b\":6,\"_rescued_data\":\"{\\\"A\\\":\\\"5\\\",\\\"_file_path\\\":\\\"file:FOLDER/"
                 "names/c.csv\\\"}\"}");
}

static void test_source_files__csv_quotes_across_blocks(void **state)
{
    (void)state;
    Text text = TEXT(64 << 20);
    text_append(&text, "a,b\n");
    for (int i = 0; i < 40; i++) {
        text_printf(&text, "%d,\"", i);
        for (int k = 0; k < 9000 + i * 1000; k++) {
            text_append(&text, "line\n");
        }
        text_append(&text, "\"\n");
    }
    put("in/a.csv", text_str(&text));
    text_free(&text);
    StreamRelation relation;
    assert_ok(source_files_relation(duck, conn, path_of("in"), NULL, 0, &relation, NULL, &err));
    Text sql = TEXT(4096);
    text_printf(&sql, "SELECT count(*) n, sum(a) a, sum(length(b)) b, count(_rescued_data) r FROM (%s)", relation.sql);
    assert_rows(text_str(&sql), "{\"n\":40,\"a\":780,\"b\":5700000,\"r\":0}");
    text_free(&sql);
    stream_relation_release(&relation);
}

static void test_source_files__csv_last_record_over_lines_without_a_line_end(void **state)
{
    (void)state;
    put("in/a.csv", "a,b\n1,\"x\ny\nz\"");
    assert_files("in", NO_OPTIONS, "{\"a\":1,\"b\":\"x\\ny\\nz\",\"_rescued_data\":null}");
}

/* ---- parquet, text, partitions ---- */

static void test_source_files__parquet(void **state)
{
    (void)state;
    assert_ok(
        duck_execf(conn, &err, "COPY (SELECT 1 AS id, 'a' AS s, {'x': 1} AS o) TO '%s'", path_of("in/a.parquet")));
    assert_ok(duck_execf(conn, &err,
                         "COPY (SELECT 'zz' AS id, 2 AS s, true AS extra UNION ALL SELECT '7', 3, NULL) TO '%s'",
                         path_of("in/b.parquet")));
    assert_files("in", OPTIONS("schema", "id INT, s STRING, o STRUCT<x: INT>", "rescuedDataColumn", "r"),
                 "{\"id\":1,\"s\":\"a\",\"o\":{\"x\":1},\"r\":null}\n{\"id\":7,\"s\":\"3\",\"o\":null,\"r\":null}\n"
                 "{\"id\":null,\"s\":\"2\",\"o\":null,\"r\":\"{\\\"id\\\":\\\"zz\\\",\\\"extra\\\":true,\\\"_file_"
                 "path\\\":\\\"file:FOLDER/in/b.parquet\\\"}\"}");
    put("in/c.parquet", "not a Parquet file");
    StreamRelation relation;
    assert_error(source_files_relation(duck, conn, path_of("in"), NULL, 0, &relation, NULL, &err), E_SOURCE_FILE);
}

static void test_source_files__text_and_partitions(void **state)
{
    (void)state;
    put("in/day=1/city=S%C3%A3o/a.log", "one\ntwo\r\n");
    put("in/day=x/city=__HIVE_DEFAULT_PARTITION__/b.log", "three");
    assert_files("in", OPTIONS("partitionColumns", "day,city"),
                 "{\"value\":\"one\",\"day\":\"1\",\"city\":\"São\",\"_rescued_data\":null}\n{\"value\":\"three\","
                 "\"day\":\"x\",\"city\":null,\"_rescued_data\":null}\n"
                 "{\"value\":\"two\",\"day\":\"1\",\"city\":\"São\",\"_rescued_data\":null}");
    assert_files("in", OPTIONS("schema", "value STRING, day INT", "partitionColumns", "day"),
                 "{\"value\":\"one\",\"day\":1}\n{\"value\":\"three\",\"day\":null}\n{\"value\":\"two\",\"day\":1}");
}

static void test_source_files__options_are_checked(void **state)
{
    (void)state;
    static const StreamOption BAD[] = {
        {.key = "formt", .value = "json"},
        {.key = "format", .value = "xml"},
        {.key = "maxFilesPerTrigger", .value = "0"},
        {.key = "sep", .value = "ab"},
        {.key = "dateFormat", .value = "qq"},
        {.key = "cleanSource", .value = "archive"},
        {.key = "modifiedAfter", .value = "yesterday"},
        {.key = "schemaEvolutionMode", .value = "sometimes"},
    };
    StreamRelation relation;
    put("in/a.json", "{}\n");
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_error(source_files_relation(duck, conn, path_of("in"), &BAD[i], 1, &relation, NULL, &err),
                     E_STREAM_OPTION);
    }
    put("in/b.unknown", "{}\n");
    assert_error(source_files_relation(duck, conn, path_of("in/b.unknown"), NULL, 0, &relation, NULL, &err),
                 E_SOURCE_FORMAT);
}

static void test_source_files__time_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        int64_t us; /* -1: does not fit */
    } CASES[] = {
        {"yyyy-MM-dd", "1970-01-02", INT64_C(86400000000)},
        {"yyyy-MM-dd", "1970-1-2", -1},
        {"y-M-d", "1970-1-2", INT64_C(86400000000)},
        {"dd/MM/yyyy HH:mm", "01/01/1970 00:01", 60000000},
        {"yyyyMMddHHmmss", "19700101000002", 2000000},
        {"yyyy-MM-dd'T'HH:mm:ss[.SSS]XXX", "1970-01-01T01:00:00.250+01:00", 250000},
        {"yyyy-MM-dd'T'HH:mm:ss[.SSS]XXX", "1970-01-01T00:00:01Z", 1000000},
        {"MMM d, yyyy h:mm a", "Jan 1, 1970 12:01 AM", 60000000},
        {"EEE, dd MMM yyyy", "Thu, 01 Jan 1970", 0},
        {"yyyy-MM-dd", "1970-02-30", -1},
        {"yyyy-MM-dd", "1970-01-01x", -1},
        {"yy-MM-dd", "70-01-01", INT64_C(3155760000000000)},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Arena *arena = arena_new();
        const TimePattern *pattern;
        int64_t us = -1;
        bool zone;
        assert_ok(time_pattern_new(CASES[i].pattern, arena, &pattern, &err));
        if (!time_pattern_parse(pattern, CASES[i].text, strlen(CASES[i].text), &us, &zone)) {
            us = -1;
        }
        if (us != CASES[i].us) {
            fail_msg("%s of %s: %lld", CASES[i].pattern, CASES[i].text, (long long)us);
        }
        arena_free(arena);
    }
}

static void test_source_files__time_patterns_have_a_limit(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    const TimePattern *pattern;
    assert_int_not_equal(time_pattern_new("yyyyyyyyyyyyyyyyyyyyMM", arena, &pattern, &err), OK);
    assert_contains(err.message, "20 times y, at most 18");
    arena_free(arena);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_source_files__parts_hold_every_line_once),
        TEST(test_source_files__gzip_and_zstd_by_their_first_bytes),
        TEST(test_source_files__a_damaged_stream_is_an_error),
        TEST(test_source_files__places),
        TEST(test_source_files__the_listing_tells_changes),
        TEST(test_source_files__set_forgets_only_what_is_removed),
        TEST(test_source_files__types_are_inferred),
        TEST(test_source_files__hints_and_given_schemas),
        TEST(test_source_files__corrupt_lines_are_kept),
        TEST(test_source_files__a_dropped_record_leaves_the_next_alone),
        TEST(test_source_files__a_value_that_nothing_rescues),
        TEST(test_source_files__what_is_no_text_is_one_record),
        TEST(test_source_files__records_over_several_lines),
        TEST(test_source_files__csv),
        TEST(test_source_files__csv_dialects),
        TEST(test_source_files__csv_quotes_across_blocks),
        TEST(test_source_files__csv_last_record_over_lines_without_a_line_end),
        TEST(test_source_files__parquet),
        TEST(test_source_files__text_and_partitions),
        TEST(test_source_files__options_are_checked),
        TEST(test_source_files__time_patterns),
        TEST(test_source_files__time_patterns_have_a_limit),
    };
    return cmocka_run_group_tests(tests, group_up, group_down);
}
