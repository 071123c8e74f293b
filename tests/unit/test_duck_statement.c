/* Statements, errors, parameters, streams, interrupts, the instance and its settings. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "duck_fixture.h"

static void test_duck_statement__exec_runs_several(void **state)
{
    (void)state;
    must(duck_exec(conn, "CREATE TEMP TABLE several (a INTEGER); INSERT INTO several VALUES (1), (2)", &err));
    must(duck_execf(conn, &err, "INSERT INTO several VALUES (%d)", 40));
    assert_int_equal(query_i64("SELECT sum(a) FROM several"), 43);
    must(duck_exec(conn, "DROP TABLE several", &err));
}

static void test_duck_statement__changed_counts(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        int64_t changed;
    } CASES[] = {
        {"CREATE TEMP TABLE counted (a INTEGER)", -1},
        {"INSERT INTO counted SELECT range FROM range(10)", 10},
        {"UPDATE counted SET a = a + 1 WHERE a < 4", 4},
        {"DELETE FROM counted WHERE a > 100", 0},
        {"SELECT * FROM counted", -1},
        {"INSERT INTO counted VALUES (7) RETURNING a", -1},
        {"DROP TABLE counted", -1},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        DuckResult *result;
        must(duck_query(conn, CASES[i].sql, &result, &err));
        assert_int_equal(duck_result_changed(result), CASES[i].changed);
        bool more, rows = str_starts(CASES[i].sql, "SELECT") || strstr(CASES[i].sql, "RETURNING") != NULL;
        must(duck_result_next(result, &more, &err));
        assert_int_equal(more, rows);
        duck_result_free(result);
    }
}

typedef struct ErrorCase {
    const char *sql;
    ErrorId id;
    int64_t position;
    const char *message, *hint;
} ErrorCase;

static const ErrorCase ERRORS[] = {
    {"selec 1", E_SQL_PARSE, 0, "syntax error at or near \"selec\"", ""},
    {"SELECT * FROM t WHERE", E_SQL_PARSE, 21, "syntax error at end of input", ""},
    {"SELECT 1; SELECT x FROM (SELECT 1 AS xx)", E_SQL_BIND, 17, "Referenced column \"x\" not found in FROM clause!",
     "there is: \"xx\""},
    {"SELECT substrin('a')", E_SQL_BIND, 7, "Scalar Function with name substrin does not exist!",
     "did you mean \"substring\"?"},
    {"SELECT 1::INTEGER + 'x'::VARCHAR[]", E_SQL_BIND, 18, NULL, NULL},
    {"SELECT * FROM no_such_table", E_SQL_BIND, 14, "Table with name no_such_table does not exist!", NULL},
    {"SELECT 'üü', nope FROM (SELECT 1 AS a)", E_SQL_BIND, 15, NULL, NULL}, /* bytes, not characters */
    {"SELECT 'abc'::INTEGER", E_SQL_RUN, 12, "Could not convert string 'abc' to INT32", ""},
    {"SELECT error('boo')", E_SQL_RUN, -1, "boo", ""},
    {"SELECT * FROM read_parquet('/no/such/file.parquet')", E_IO, 14,
     "No files found that match the pattern \"/no/such/file.parquet\"", ""},
    {"SELECT $1::VARCHAR", E_SQL_RUN, -1, NULL, NULL},
    {"LOAD no_such_extension", E_IO, -1, NULL, NULL},
};

static void check_error(const ErrorCase *c, Status rc)
{
    assert_int_equal(rc, ERROR_DEFS[c->id].status);
    assert_int_equal(err.id, c->id);
    assert_int_equal(duck_error_position(conn), c->position);
    if (c->message != NULL) {
        assert_string_equal(err.message, c->message);
    }
    if (c->hint != NULL) {
        assert_string_equal(err.hint, c->hint);
    }
    assert_null(strstr(err.message, "LINE 1"));
    assert_null(strstr(err.message, "Error:"));
    error_clear(&err);
}

static void test_duck_statement__errors_are_translated(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++) {
        check_error(&ERRORS[i], duck_exec(conn, ERRORS[i].sql, &err));
    }
    must(duck_exec(conn, "SELECT 1", &err));
    assert_int_equal(duck_error_position(conn), -1);
}

static void test_duck_statement__errors_without_json(void **state)
{
    (void)state;
    must(duck_exec(conn, "SET errors_as_json = false", &err));
    assert_int_equal(duck_exec(conn, "SELECT x FROM (SELECT 1 AS xx)", &err), ERR_INVALID);
    assert_int_equal(err.id, E_SQL_BIND);
    assert_string_equal(err.message, "Referenced column \"x\" not found in FROM clause!");
    assert_string_equal(err.hint, "there is: \"xx\"");
    error_clear(&err);
    must(duck_exec(conn, "SET errors_as_json = true", &err));
}

static void test_duck_statement__errors_of_prepare_and_stream(void **state)
{
    (void)state;
    Arena *arena = arena_new();
    DuckColumnInfo *columns = NULL;
    size_t n = 7;
    DuckResult *result = NULL;
    assert_int_equal(duck_describe(conn, "SELECT nope FROM (SELECT 1 AS a)", arena, &columns, &n, &err), ERR_INVALID);
    assert_int_equal(err.id, E_SQL_BIND);
    assert_int_equal(duck_error_position(conn), 7);
    assert_int_equal(n, 7);
    error_clear(&err);
    assert_int_equal(duck_query_stream(conn, "SELEC", &result, &err), ERR_INVALID);
    assert_int_equal(err.id, E_SQL_PARSE);
    error_clear(&err);
    /* fails after the first rows were handed out */
    must(duck_query_stream(conn, "SELECT CASE WHEN range = 900000 THEN error('late') ELSE 'x' END FROM range(1000000)",
                           &result, &err));
    Status rc = OK;
    bool more = true;
    while (more && rc == OK) {
        rc = duck_result_next(result, &more, &err);
    }
    assert_int_equal(rc, ERR_INVALID);
    assert_string_equal(err.message, "late");
    error_clear(&err);
    duck_result_free(result);
    arena_free(arena);
    assert_int_equal(query_i64("SELECT 5"), 5);
}

static void test_duck_statement__out_of_memory_is_an_error(void **state)
{
    (void)state;
    DuckConfig config = {.memory_limit_bytes = 64 << 20, .threads = 1};
    Duck *small;
    DuckConn *c;
    must(duck_open(&config, &small, &err));
    must(duck_connect(small, &c, &err));
    assert_int_equal(duck_exec(c, "SELECT list(range::VARCHAR || repeat('x', 100)) FROM range(10000000)", &err),
                     ERR_LIMIT);
    assert_int_equal(err.id, E_SQL_MEMORY);
    assert_non_null(strstr(err.hint, "memory limit"));
    assert_null(strstr(err.message, "Possible solutions"));
    error_clear(&err);
    must(duck_exec(c, "SELECT 1", &err));
    duck_disconnect(c);
    duck_close(small);
}

static void test_duck_statement__params(void **state)
{
    (void)state;
    DuckResult *result;
    const char *const params[] = {"41", NULL, "it's ü"};
    bool more;
    must(duck_query_params(conn, "SELECT $1::BIGINT + 1, $2::VARCHAR, $3::VARCHAR", params, 3, &result, &err));
    must(duck_result_next(result, &more, &err));
    assert_true(more);
    assert_int_equal(duck_result_i64(result, 0), 42);
    assert_true(duck_result_is_null(result, 1));
    char *text = duck_result_text_dup(result, 2);
    assert_string_equal(text, "it's ü");
    mem_free(text);
    duck_result_free(result);
    assert_int_equal(duck_query_params(conn, "SELECT $1::BIGINT", params, 2, &result, &err), ERR_INVALID);
    assert_int_equal(err.id, E_SQL_BIND);
    error_clear(&err);
    const char *const bad[] = {"x"};
    assert_int_equal(duck_query_params(conn, "SELECT $1::BIGINT", bad, 1, &result, &err), ERR_INVALID);
    assert_int_equal(err.id, E_SQL_RUN);
    error_clear(&err);
}

static void test_duck_statement__stream_hands_out_all_rows(void **state)
{
    (void)state;
    DuckResult *result;
    must(duck_query_stream(conn, "SELECT range, 'r' || range FROM range(100000)", &result, &err));
    int64_t sum = 0, rows = 0, letters = 0;
    for (bool more;; rows++) {
        must(duck_result_next(result, &more, &err));
        if (!more) {
            break;
        }
        size_t n;
        sum += duck_result_i64(result, 0);
        assert_int_equal(duck_result_text(result, 1, &n)[0], 'r');
        letters += (int64_t)n;
    }
    assert_int_equal(rows, 100000);
    assert_int_equal(sum, INT64_C(99999) * 50000);
    assert_int_equal(letters, 100000 + 10 + 2 * 90 + 3 * 900 + 4 * 9000 + 5 * 90000);
    duck_result_free(result);
    /* leaving a stream early frees the connection */
    must(duck_query_stream(conn, "SELECT range FROM range(10000000)", &result, &err));
    bool more;
    must(duck_result_next(result, &more, &err));
    duck_result_free(result);
    assert_int_equal(query_i64("SELECT 3"), 3);
}

typedef struct Runner {
    DuckConn *conn;
    _Atomic int running;
    Status rc;
    Error err;
} Runner;

static void *run_long(void *context)
{
    Runner *r = context;
    r->running = 1;
    r->rc = duck_exec(
        r->conn, "SELECT count(*) FROM range(30000000) a, range(100000) b WHERE (a.range ^ b.range) % 7 = 3", &r->err);
    r->running = 2;
    return NULL;
}

/* Interrupts a long query once its progress is known; microseconds until it has returned. INT64_MAX: DuckDB had taken
 * the query for one whose progress cannot be told, which it may when its threads start late. */
static int64_t interrupt_once(void)
{
    Runner runner = {.conn = conn};
    pthread_t thread;
    (void)duck_progress(conn); /* from the next statement on it is known */
    assert_int_equal(pthread_create(&thread, NULL, run_long, &runner), 0);
    int64_t deadline = clock_mono_us() + 20 * 1000000;
    /* progress is known only while it runs, and not at every moment of that */
    double progress = duck_progress(conn);
    while (progress < 0 && clock_mono_us() < deadline) {
        usleep(1000);
        progress = duck_progress(conn);
    }
    assert_int_equal(runner.running, 1);
    assert_true(progress <= 1);
    int64_t start = clock_mono_us();
    do {
        duck_interrupt(conn); /* lost while the statement is only beginning */
        usleep(1000);
    } while (runner.running == 1);
    pthread_join(thread, NULL);
    int64_t took = clock_mono_us() - start;
    assert_int_equal(runner.rc, ERR_INTERRUPTED);
    assert_int_equal(runner.err.id, E_INTERRUPTED);
    assert_int_equal(query_i64("SELECT 4"), 4);
    return progress < 0 ? INT64_MAX : took;
}

/* A machine busy with other things may delay one interrupt, hardly five. */
static void test_duck_statement__interrupt_and_progress(void **state)
{
    (void)state;
    int64_t took = INT64_MAX;
    for (int i = 0; i < 5 && took > 1000000; i++) {
        took = interrupt_once();
        print_message("interrupted after %lld us\n", (long long)took);
    }
    assert_true(took < 1000000); /* the query itself would take minutes */
}

static void test_duck_statement__settings(void **state)
{
    (void)state;
    DuckConn *other;
    must(duck_connect(duck, &other, &err));
    DuckConn *saved = conn;
    conn = other;
    assert_int_equal(query_i64("SELECT (current_setting('TimeZone') = 'UTC')"), 1);
    assert_int_equal(query_i64("SELECT epoch('2024-07-01 00:00:00'::TIMESTAMPTZ)::BIGINT"), 1719792000);
    assert_int_equal(query_i64("SELECT epoch(('2024-07-01'::TIMESTAMP)::TIMESTAMPTZ)::BIGINT"), 1719792000);
    assert_int_equal(query_i64("SELECT (current_setting('autoload_known_extensions') = false)"), 1);
    assert_int_equal(query_i64("SELECT (current_setting('autoinstall_known_extensions') = false)"), 1);
    assert_int_equal(query_i64("SELECT (current_setting('preserve_insertion_order') = false)"), 1);
    assert_int_equal(query_i64("SELECT current_setting('threads')::BIGINT"), 2);
    conn = saved;
    duck_disconnect(other);
    assert_ptr_equal(duck_instance(conn), duck);
    assert_true(str_starts(duck_library_version(), "v1.5."));
}

static void test_duck_statement__spill_folder_is_removed(void **state)
{
    (void)state;
    DuckConfig config = {.memory_limit_bytes = 96 << 20, .threads = 2};
    Duck *own;
    DuckConn *c;
    DuckResult *result;
    bool more;
    must(duck_open(&config, &own, &err));
    must(duck_connect(own, &c, &err));
    must(duck_query(c, "SELECT current_setting('temp_directory')", &result, &err));
    must(duck_result_next(result, &more, &err));
    char *spill = duck_result_text_dup(result, 0);
    duck_result_free(result);
    struct stat st;
    assert_int_equal(stat(spill, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    /* spills, and dies on the disk with its folder */
    must(duck_exec(c, "SELECT range, hash(range) h FROM range(8000000) ORDER BY h OFFSET 7999999", &err));
    /* a folder nobody holds is an abandoned one */
    Text abandoned = TEXT(4096);
    text_append_n(&abandoned, spill, strlen(spill) - 6);
    text_append(&abandoned, "aaaaaa");
    assert_int_equal(mkdir(text_str(&abandoned), 0700), 0);
    Duck *next;
    must(duck_open(&config, &next, &err));
    assert_int_equal(stat(text_str(&abandoned), &st), -1);
    assert_int_equal(stat(spill, &st), 0);
    text_free(&abandoned);
    duck_close(next);
    duck_disconnect(c);
    duck_close(own);
    assert_int_equal(stat(spill, &st), -1);
    mem_free(spill);
}

static void test_duck_statement__folder_for_spills_must_be_writable(void **state)
{
    (void)state;
    char *saved = mem_strdup(getenv("TMPDIR"));
    setenv("TMPDIR", "/no/such/folder", 1);
    Duck *own = NULL;
    Status rc = duck_open(NULL, &own, &err);
    setenv("TMPDIR", saved, 1);
    mem_free(saved);
    assert_int_not_equal(rc, OK);
    assert_null(own);
    assert_non_null(strstr(err.message, "/no/such/folder"));
    error_clear(&err);
}

int main(void)
{
    setenv("TZ", "America/New_York", 1); /* must not matter */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_duck_statement__exec_runs_several),
        cmocka_unit_test(test_duck_statement__changed_counts),
        cmocka_unit_test(test_duck_statement__errors_are_translated),
        cmocka_unit_test(test_duck_statement__errors_without_json),
        cmocka_unit_test(test_duck_statement__errors_of_prepare_and_stream),
        cmocka_unit_test(test_duck_statement__out_of_memory_is_an_error),
        cmocka_unit_test(test_duck_statement__params),
        cmocka_unit_test(test_duck_statement__stream_hands_out_all_rows),
        cmocka_unit_test(test_duck_statement__interrupt_and_progress),
        cmocka_unit_test(test_duck_statement__settings),
        cmocka_unit_test(test_duck_statement__spill_folder_is_removed),
        cmocka_unit_test(test_duck_statement__folder_for_spills_must_be_writable),
    };
    return cmocka_run_group_tests(tests, duck_fixture_up, duck_fixture_down);
}
