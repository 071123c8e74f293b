/* Scalar functions, relations and the counter. */
#include <stdatomic.h>
#include <string.h>

#include "duck/function.h"
#include "duck_fixture.h"

/* ---- scalar functions ---- */

/* test_add(a BIGINT, b BIGINT): null in, null out. */
static Status add(const DuckScalarArgs *args, Error *e)
{
    (void)e;
    const int64_t *a = args->inputs[0].data, *b = args->inputs[1].data;
    int64_t *out = args->output->data;
    for (size_t row = 0; row < args->rows; row++) {
        if (!duck_column_is_null(args->output, row)) {
            out[row] = a[row] + b[row];
        }
    }
    return OK;
}

/* test_describe(s VARCHAR): 'null', or the text and its length; handles NULL. */
static Status describe(const DuckScalarArgs *args, Error *e)
{
    (void)e;
    const DuckString *in = args->inputs[0].data;
    for (size_t row = 0; row < args->rows; row++) {
        Text t = TEXT(1 << 20);
        if (duck_column_is_null(&args->inputs[0], row)) {
            text_append(&t, "null");
        } else {
            text_append_n(&t, duck_string_data(&in[row]), duck_string_length(&in[row]));
            text_printf(&t, ":%u", duck_string_length(&in[row]));
        }
        duck_column_set_string(args->output, row, text_str(&t), t.length);
        text_free(&t);
    }
    return OK;
}

/* test_fail(a INTEGER): fails on 13. */
static Status fail_on_13(const DuckScalarArgs *args, Error *e)
{
    const int32_t *a = args->inputs[0].data;
    memcpy(args->output->data, a, args->rows * sizeof *a);
    for (size_t row = 0; row < args->rows; row++) {
        if (!duck_column_is_null(args->output, row) && a[row] == 13) {
            Status rc = error_set(e, E_JSON, "file \"x\": %d is unlucky", a[row]);
            error_hint(e, "use another");
            error_klass(e, "UNLUCKY");
            error_flag(e, ERROR_RETRIABLE);
            return rc;
        }
    }
    return OK;
}

/* test_constant(n BIGINT): one text for all rows of a call, null when its first row is 0. */
static Status constant(const DuckScalarArgs *args, Error *e)
{
    (void)e;
    const int64_t *n = args->inputs[0].data;
    if (n[0] == 0) {
        duck_output_constant_null(args->output);
    } else if (n[0] == 1) {
        duck_output_constant_text(args->output, "one", 3);
    } else {
        duck_output_constant_text(args->output, "a long constant of a file", 25);
    }
    return OK;
}

/* test_nested(l STRUCT(n INTEGER, s VARCHAR)[]): sums all n and adds the lengths of all s. */
static Status nested(const DuckScalarArgs *args, Error *e)
{
    (void)e;
    const DuckListEntry *entries = args->inputs[0].data;
    int64_t *out = args->output->data;
    DuckColumn element = duck_column_child(&args->inputs[0], 0);
    DuckColumn number = duck_column_child(&element, 0), text = duck_column_child(&element, 1);
    for (size_t row = 0; row < args->rows; row++) {
        out[row] = 0;
        if (duck_column_is_null(args->output, row)) {
            continue;
        }
        for (uint64_t i = entries[row].offset; i < entries[row].offset + entries[row].length; i++) {
            if (!duck_column_is_null(&element, i)) {
                out[row] += duck_column_is_null(&number, i) ? 0 : ((const int32_t *)number.data)[i];
                out[row] += duck_column_is_null(&text, i) ? 0 : duck_string_length((const DuckString *)text.data + i);
            }
        }
    }
    return OK;
}

static void register_scalar(const char *name, const char *parameter, size_t n, const char *returns, bool handles_null,
                            Status (*call)(const DuckScalarArgs *, Error *))
{
    const char *parameters[] = {parameter, parameter};
    const DuckScalar scalar = {.name = name,
                               .parameters = parameters,
                               .n_parameters = n,
                               .returns = returns,
                               .handles_null = handles_null,
                               .call = call};
    must(duck_register_scalar(duck, &scalar, &err));
}

static int up(void **state)
{
    if (duck_fixture_up(state) != 0) {
        return -1;
    }
    register_scalar("test_add", "BIGINT", 2, "BIGINT", false, add);
    register_scalar("test_describe", "VARCHAR", 1, "VARCHAR", true, describe);
    register_scalar("test_fail", "INTEGER", 1, "INTEGER", false, fail_on_13);
    register_scalar("test_constant", "BIGINT", 1, "VARCHAR", false, constant);
    register_scalar("test_constant_nulls", "BIGINT", 1, "VARCHAR", true, constant);
    register_scalar("test_nested", "STRUCT(n INTEGER, s VARCHAR)[]", 1, "BIGINT", false, nested);
    return 0;
}

static void test_duck_function__null_in_null_out(void **state)
{
    (void)state;
    assert_int_equal(query_i64("SELECT test_add(40, 2)"), 42);
    assert_int_equal(
        query_i64("SELECT count(*) FROM range(5000) t(i) WHERE test_add(i, CASE WHEN i % 3 <> 0 THEN i END) "
                  "IS NOT DISTINCT FROM CASE WHEN i % 3 <> 0 THEN 2 * i END"),
        5000);
    assert_int_equal(query_i64("SELECT count(test_add(i, NULL)) FROM range(5000) t(i)"), 0);
    assert_int_equal(query_i64("SELECT test_add(NULL, 1) IS NULL"), 1);
}

static void test_duck_function__strings(void **state)
{
    (void)state;
    assert_int_equal(
        query_i64("SELECT count(*) FROM (SELECT CASE WHEN i % 7 <> 0 THEN repeat('ü', i % 30) END AS s "
                  "FROM range(9000) t(i)) WHERE test_describe(s) = coalesce(s || ':' || strlen(s), 'null')"),
        9000);
    assert_int_equal(query_i64("SELECT test_describe(NULL) = 'null'"), 1);
}

static void check_unlucky(Status rc)
{
    assert_int_equal(rc, ERROR_DEFS[E_JSON].status);
    assert_int_equal(err.id, E_JSON);
    assert_string_equal(err.message, "file \"x\": 13 is unlucky");
    assert_string_equal(err.hint, "use another");
    assert_string_equal(err.klass, "UNLUCKY");
    assert_int_equal(err.flags, ERROR_RETRIABLE);
    error_clear(&err);
}

static void test_duck_function__errors_arrive_whole(void **state)
{
    (void)state;
    check_unlucky(duck_exec(conn, "SELECT sum(test_fail(range::INTEGER)) FROM range(1000000)", &err));
    check_unlucky(duck_exec(conn, "SELECT test_fail(13)", &err));
    must(duck_exec(conn, "SET errors_as_json = false", &err));
    check_unlucky(duck_exec(conn, "SELECT test_fail(13)", &err));
    must(duck_exec(conn, "SET errors_as_json = true", &err));
    DuckResult *result;
    Status rc = duck_query_stream(conn, "SELECT test_fail(range::INTEGER) FROM range(100)", &result, &err);
    if (rc == OK) {
        bool more;
        rc = duck_result_next(result, &more, &err);
        duck_result_free(result);
    }
    check_unlucky(rc);
    /* TRY swallows them; the next one still arrives */
    assert_int_equal(query_i64("SELECT count(TRY(test_fail(range::INTEGER % 14))) FROM range(1400)"), 1300);
    check_unlucky(duck_exec(conn, "SELECT test_fail(range::INTEGER) FROM range(14)", &err));
    must(duck_exec(conn, "SELECT test_fail(12)", &err));
}

static void test_duck_function__constants(void **state)
{
    (void)state;
    assert_int_equal(
        query_i64("SELECT count(*) FROM range(1, 5000) t(i) WHERE test_constant(2) = 'a long constant of a file'"),
        4999);
    assert_int_equal(
        query_i64("SELECT count(*) FROM (SELECT 1::BIGINT AS i FROM range(5000)) WHERE test_constant(i) = 'one'"),
        5000);
    assert_int_equal(query_i64("SELECT count(test_constant(0)) FROM range(5000) t(i)"), 0);
    assert_int_equal(query_i64("SELECT count(test_constant_nulls(i)) FROM (SELECT 0::BIGINT AS i FROM range(5000))"),
                     0);
    /* rows with NULL stay null although the others get a constant */
    assert_int_equal(
        query_i64("SELECT count(*) FROM (SELECT CASE WHEN i % 2 = 0 THEN 3 END AS n FROM range(5000) t(i)) "
                  "WHERE test_constant(n) IS NOT DISTINCT FROM CASE WHEN n = 3 THEN 'a long constant of a file' END"),
        5000);
}

/* Inputs whose children DuckDB holds in other than flat form (constants, dictionaries) arrive flat. */
static void test_duck_function__nested_inputs(void **state)
{
    (void)state;
    assert_int_equal(
        query_i64("SELECT test_nested([{'n': 1, 's': 'abc'}, NULL, {'n': NULL, 's': 'a much longer text'}])"), 22);
    assert_int_equal(query_i64("SELECT sum(test_nested([{'n': 7, 's': 'const'}])) FROM range(5000)"), 12 * 5000);
    assert_int_equal(
        query_i64(
            "SELECT sum(test_nested([{'n': i::INTEGER, 's': 'const'}, {'n': 1, 's': NULL}])) FROM range(5000) t(i)"),
        4999 * 2500 + 6 * 5000);
    must(duck_exec(
        conn,
        "CREATE TEMP TABLE nest AS SELECT i, [{'n': i::INTEGER, 's': repeat('x', i % 20)} FOR k IN range(i % 4)] "
        "AS l FROM range(20000) t(i)",
        &err));
    static const char *const CHECKS[] = {
        "SELECT count(*) FROM nest WHERE test_nested(l) <> (i % 4) * (i + i % 20)",
        "SELECT count(*) FROM (SELECT i, l FROM nest WHERE i % 5 = 2) WHERE test_nested(l) <> (i % 4) * (i + i % 20)",
        "SELECT count(*) FROM (SELECT a.i, a.l FROM nest a JOIN nest b ON a.i = b.i + 1 ORDER BY b.i DESC LIMIT 9000) "
        "WHERE test_nested(l) <> (i % 4) * (i + i % 20)",
        "SELECT count(*) FROM (SELECT n.i, n.l[1:2] AS l FROM nest n) WHERE test_nested(l) <> least(i % 4, 2) * (i + i "
        "% 20)",
        "SELECT count(*) FROM (SELECT i, list_concat(l, list_reverse(l)) AS l FROM nest) WHERE test_nested(l) <> 2 * "
        "(i % 4) * (i + i % 20)",
        "SELECT count(*) FROM (SELECT i, list_filter(l, x -> x.n % 2 = 0) AS l FROM nest) "
        "WHERE test_nested(l) <> CASE WHEN i % 2 = 0 THEN (i % 4) * (i + i % 20) ELSE 0 END",
        "SELECT count(*) FROM (SELECT i, list({'n': e.n, 's': e.s}) AS l FROM (SELECT i, unnest(l) AS e FROM nest) "
        "GROUP BY i) "
        "WHERE test_nested(l) <> (i % 4) * (i + i % 20)",
    };
    for (size_t i = 0; i < sizeof CHECKS / sizeof *CHECKS; i++) {
        if (query_i64(CHECKS[i]) != 0) {
            fail_msg("wrong: %s", CHECKS[i]);
        }
    }
    must(duck_exec(conn, "DROP TABLE nest", &err));
}

static void test_duck_function__bad_registrations(void **state)
{
    (void)state;
    const char *const parameters[] = {"NO_SUCH_TYPE"};
    const DuckScalar bad = {
        .name = "test_bad", .parameters = parameters, .n_parameters = 1, .returns = "BIGINT", .call = add};
    assert_int_not_equal(duck_register_scalar(duck, &bad, &err), OK);
    error_clear(&err);
}

/* ---- the counter ---- */

static DuckCounter counter;
static uint64_t slot;

/* Runs the statement, %llu standing for the slot, and checks what was counted. */
static void check_count(const char *format, int64_t passed, int64_t failed)
{
    char sql[1024];
    counter = (DuckCounter){0};
    int n = 0;
    for (const char *s = format; *s != '\0'; s++) {
        n += *s == '@' ? snprintf(sql + n, sizeof sql - (size_t)n, "%llu", (unsigned long long)slot)
                       : snprintf(sql + n, sizeof sql - (size_t)n, "%c", *s);
    }
    must(duck_exec(conn, sql, &err));
    if (counter.passed != passed || counter.failed != failed) {
        fail_msg("%s: %lld passed, %lld failed", sql, (long long)counter.passed, (long long)counter.failed);
    }
}

static void test_duck_function__counter_counts_each_row_once(void **state)
{
    (void)state;
    slot = duck_counter_register(duck, &counter);
    must(duck_execf(conn, &err,
                    "COPY (SELECT i, i %% 10 AS d, CASE WHEN i %% 4 <> 0 THEN i END AS n FROM range(500000) t(i)) TO "
                    "'%s/count.parquet' (FORMAT parquet, ROW_GROUP_SIZE 50000)",
                    folder));
    must(duck_execf(conn, &err, "CREATE TEMP VIEW rows AS SELECT * FROM read_parquet('%s/count.parquet')", folder));
    check_count("SELECT i FROM rows WHERE freshet_count(@, d < 3)", 150000, 350000);
    check_count("SELECT count(*) FROM rows WHERE freshet_count(@, n > 0)", 375000, 125000);
    check_count("SELECT count(*) FROM rows WHERE freshet_count(@, i >= 0)", 500000,
                0); /* known to be true from statistics */
    check_count("SELECT count(*) FROM rows WHERE freshet_count(@, i < 0)", 0, 500000);
    check_count("SELECT count(*) FROM rows WHERE freshet_count(@, true)", 500000, 0);
    check_count("SELECT count(*) FROM rows WHERE freshet_count(@, NULL)", 0, 500000);
    check_count("CREATE OR REPLACE TEMP TABLE kept AS SELECT d + 1 AS e FROM (SELECT * FROM rows WHERE "
                "freshet_count(@, d = 0)) "
                "WHERE e > 0 ORDER BY i",
                50000, 450000);
    check_count(
        "SELECT d, sum(i) FROM rows WHERE freshet_count(@, d < 5) GROUP BY d HAVING sum(i) > 10 ORDER BY 1 LIMIT 2",
        250000, 250000);
    check_count("SELECT count(*) FROM rows a JOIN (SELECT d FROM rows WHERE freshet_count(@, d < 5) AND d IS NOT NULL) "
                "b ON a.i = b.d",
                250000, 250000);
    check_count("SELECT c FROM (SELECT freshet_count(@, d = 1) AS c, i FROM rows) WHERE i > 250000 OR i <= 250000",
                50000, 450000);
    must(duck_execf(conn, &err, "SELECT 1"));
    Text sql = TEXT(4096);
    text_printf(&sql,
                "COPY (SELECT i, d::VARCHAR AS d FROM rows WHERE freshet_count(@, d <> 9)) TO '%s/counted.parquet' "
                "(FORMAT parquet)",
                folder);
    check_count(text_str(&sql), 450000, 50000);
    text_free(&sql);
    duck_counter_drop(duck, slot);
    assert_int_equal(duck_exec(conn, "SELECT freshet_count(1, true)", &err), ERR_INTERNAL);
    error_clear(&err);
    must(duck_exec(conn, "DROP TABLE kept; DROP VIEW rows", &err));
}

/* ---- relations ---- */

/* `rows` rows of: a BIGINT = row; b VARCHAR = 'row <row>', null every 5th; c STRUCT(x INTEGER, y VARCHAR[]), null every
 * 7th; m MAP(VARCHAR, BIGINT) of row % 3 entries; d DECIMAL(10,2); t TIMESTAMPTZ. */
typedef struct Numbers {
    int64_t rows, fail_at;
    _Atomic int64_t next, opened, closed, threads_opened, threads_closed, wanted;
} Numbers;

enum { NUMBERS_A, NUMBERS_B, NUMBERS_C, NUMBERS_M, NUMBERS_D, NUMBERS_T, NUMBERS_COLUMNS };

static const DuckType BIGINT_TYPE = {.id = DUCK_BIGINT}, VARCHAR_TYPE = {.id = DUCK_VARCHAR},
                      INTEGER_TYPE = {.id = DUCK_INTEGER};
static const DuckTypeMember LIST_MEMBERS[] = {{"element", &VARCHAR_TYPE}};
static const DuckType LIST_TYPE = {.id = DUCK_LIST, .members = LIST_MEMBERS, .n_members = 1};
static const DuckTypeMember STRUCT_MEMBERS[] = {{"x", &INTEGER_TYPE}, {"y", &LIST_TYPE}};
static const DuckType STRUCT_TYPE = {.id = DUCK_STRUCT, .members = STRUCT_MEMBERS, .n_members = 2};
static const DuckTypeMember MAP_MEMBERS[] = {{"key", &VARCHAR_TYPE}, {"value", &BIGINT_TYPE}};
static const DuckType MAP_TYPE = {.id = DUCK_MAP, .members = MAP_MEMBERS, .n_members = 2};
static const DuckType DECIMAL_TYPE = {.id = DUCK_DECIMAL, .precision = 10, .scale = 2},
                      TIME_TYPE = {.id = DUCK_TIMESTAMP_TZ};
static const DuckColumnInfo NUMBERS_INFO[NUMBERS_COLUMNS] = {
    {"a", &BIGINT_TYPE}, {"b", &VARCHAR_TYPE}, {"c", &STRUCT_TYPE},
    {"m", &MAP_TYPE},    {"d", &DECIMAL_TYPE}, {"t", &TIME_TYPE},
};

typedef struct NumbersScan {
    Numbers *numbers;
    size_t wanted[NUMBERS_COLUMNS], n_wanted;
} NumbersScan;

static Status numbers_open(void *context, const size_t *wanted, size_t n, void **scan, Error *e)
{
    (void)e;
    NumbersScan *s = mem_alloc(sizeof *s);
    s->numbers = context;
    s->n_wanted = n;
    memcpy(s->wanted, wanted, n * sizeof *wanted);
    s->numbers->opened++;
    s->numbers->wanted = (int64_t)n;
    *scan = s;
    return OK;
}

static Status numbers_thread_open(void *scan, void **thread, Error *e)
{
    (void)e;
    ((NumbersScan *)scan)->numbers->threads_opened++;
    *thread = scan;
    return OK;
}

static void numbers_thread_close(void *thread)
{
    NumbersScan *s = thread;
    assert_int_equal(s->numbers->closed, 0); /* the scan is still there */
    s->numbers->threads_closed++;
}

static void numbers_close(void *scan)
{
    NumbersScan *s = scan;
    s->numbers->closed++;
    mem_free(s);
}

static Status write_struct(DuckColumn *c, int64_t first, size_t rows, Error *e)
{
    DuckColumn x = duck_column_child(c, 0), y = duck_column_child(c, 1);
    uint64_t elements = 0;
    for (size_t i = 0; i < rows; i++) {
        elements += (uint64_t)((first + (int64_t)i) % 4);
    }
    Status rc = duck_column_list_reserve(&y, elements, e);
    DuckColumn texts = duck_column_child(&y, 0);
    DuckListEntry *lists = y.data;
    uint64_t at = 0;
    for (size_t i = 0; i < rows; i++) {
        int64_t row = first + (int64_t)i;
        lists[i] = (DuckListEntry){at, (uint64_t)(row % 4)};
        for (uint64_t k = 0; k < lists[i].length; k++, at++) {
            char text[64];
            int n = snprintf(text, sizeof text, "element %llu of row %lld", (unsigned long long)k, (long long)row);
            duck_column_set_string(&texts, at, text, (size_t)n);
            if (k == 2) {
                duck_column_set_null(&texts, at);
            }
        }
        ((int32_t *)x.data)[i] = (int32_t)row;
        if (row % 7 == 0) {
            duck_column_set_null(c, i);
        }
    }
    return rc;
}

static Status write_map(DuckColumn *m, int64_t first, size_t rows, Error *e)
{
    uint64_t at = 0;
    DuckListEntry *entries = m->data;
    for (size_t i = 0; i < rows; i++) {
        entries[i] = (DuckListEntry){at, (uint64_t)((first + (int64_t)i) % 3)};
        at += entries[i].length;
    }
    Status rc = duck_column_list_reserve(m, at, e);
    DuckColumn entry = duck_column_child(m, 0), key = duck_column_child(&entry, 0),
               value = duck_column_child(&entry, 1);
    for (size_t i = 0; i < rows; i++) {
        for (uint64_t k = 0; k < entries[i].length; k++) {
            duck_column_set_string(&key, entries[i].offset + k, k == 0 ? "first" : "second", k == 0 ? 5 : 6);
            ((int64_t *)value.data)[entries[i].offset + k] = first + (int64_t)i;
        }
    }
    return rc;
}

static Status write_column(DuckColumn *column, size_t which, int64_t first, size_t rows, Error *e)
{
    if (which == NUMBERS_C) {
        return write_struct(column, first, rows, e);
    }
    if (which == NUMBERS_M) {
        return write_map(column, first, rows, e);
    }
    for (size_t i = 0; i < rows; i++) {
        int64_t row = first + (int64_t)i;
        if (which == NUMBERS_B) {
            char text[32];
            int n = snprintf(text, sizeof text, "row %lld", (long long)row);
            duck_column_set_string(column, i, text, (size_t)n);
            if (row % 5 == 0) {
                duck_column_set_null(column, i);
            }
        } else {
            ((int64_t *)column->data)[i] = which == NUMBERS_T ? row * 1000000 : row;
        }
    }
    return OK;
}

static Status numbers_next(void *scan, void *thread, DuckColumn *columns, size_t *rows, Error *e)
{
    (void)thread;
    NumbersScan *s = scan;
    int64_t first = atomic_fetch_add(&s->numbers->next, 1000);
    if (s->numbers->fail_at > 0 && first >= s->numbers->fail_at) {
        return error_set(e, E_IO_NOT_FOUND, "message %lld is gone", (long long)first);
    }
    int64_t left = s->numbers->rows - first;
    *rows = left <= 0 ? 0 : left < 1000 ? (size_t)left : 1000;
    for (size_t i = 0; i < s->n_wanted; i++) {
        Status rc = write_column(&columns[i], s->wanted[i], first, *rows, e);
        if (rc != OK) {
            return rc;
        }
    }
    return OK;
}

static uint64_t numbers_register(Numbers *numbers)
{
    const DuckRelation relation = {.columns = NUMBERS_INFO,
                                   .n_columns = NUMBERS_COLUMNS,
                                   .rows_estimate = numbers->rows,
                                   .threads_max = 2,
                                   .open = numbers_open,
                                   .thread_open = numbers_thread_open,
                                   .next = numbers_next,
                                   .thread_close = numbers_thread_close,
                                   .close = numbers_close,
                                   .context = numbers};
    uint64_t handle = duck_relation_register(duck, &relation);
    must(duck_execf(conn, &err, "CREATE OR REPLACE TEMP VIEW numbers AS SELECT * FROM freshet_relation(%llu)",
                    (unsigned long long)handle));
    return handle;
}

static void numbers_done(Numbers *numbers, uint64_t handle, int64_t wanted)
{
    duck_relation_drop(duck, handle);
    assert_int_equal(numbers->opened, 1);
    assert_int_equal(numbers->closed, 1);
    assert_int_equal(numbers->threads_opened, numbers->threads_closed);
    assert_true(numbers->threads_opened >= 1);
    assert_int_equal(numbers->wanted, wanted);
}

/* One query over a fresh relation. */
static int64_t over_numbers(int64_t rows, const char *sql, int64_t wanted)
{
    Numbers numbers = {.rows = rows};
    uint64_t handle = numbers_register(&numbers);
    int64_t value = query_i64(sql);
    numbers_done(&numbers, handle, wanted);
    return value;
}

static void test_duck_function__relation_two_threads_and_projection(void **state)
{
    (void)state;
    assert_int_equal(over_numbers(1000000, "SELECT sum(a) FROM numbers", 1), INT64_C(999999) * 500000);
    assert_int_equal(over_numbers(1000000, "SELECT count(*) FROM numbers", 1),
                     1000000); /* DuckDB takes the first column */
    assert_int_equal(over_numbers(100000, "SELECT count(b) FROM numbers", 1), 80000);
    assert_int_equal(over_numbers(100000, "SELECT count(*) FROM numbers WHERE a % 5 <> 0 AND b <> 'row ' || a", 2), 0);
    assert_int_equal(over_numbers(100000, "SELECT (sum(d) * 100)::BIGINT FROM numbers WHERE d * 100 = a", 2),
                     INT64_C(99999) * 50000);
    assert_int_equal(over_numbers(100000, "SELECT count(*) FROM numbers WHERE epoch(t) <> a", 2), 0);
    assert_int_equal(over_numbers(0, "SELECT count(*) FROM (SELECT a, b FROM numbers)", 1), 0);
}

static void test_duck_function__relation_nested(void **state)
{
    (void)state;
    assert_int_equal(
        over_numbers(
            30000,
            "SELECT count(*) FROM numbers WHERE c IS DISTINCT FROM CASE WHEN a % 7 <> 0 THEN {'x': a::INTEGER, "
            "'y': [CASE WHEN k <> 2 THEN 'element ' || k || ' of row ' || a END FOR k IN range(a % 4)]} END",
            2),
        0);
    /* members of a null struct are null too */
    assert_int_equal(over_numbers(7000, "SELECT count(*) FROM numbers WHERE c.x IS NULL AND c.y IS NULL", 1), 1000);
    assert_int_equal(
        over_numbers(30000,
                     "SELECT count(*) FROM numbers WHERE m IS DISTINCT FROM map_from_entries([{'k': CASE k WHEN 0 THEN "
                     "'first' ELSE 'second' END, 'v': a} FOR k IN range(a % 3)])",
                     2),
        0);
    Numbers numbers = {.rows = 20000};
    uint64_t handle = numbers_register(&numbers);
    must(duck_execf(conn, &err, "COPY (SELECT * FROM numbers) TO '%s/numbers.parquet' (FORMAT parquet)", folder));
    numbers_done(&numbers, handle, NUMBERS_COLUMNS);
    Text sql = TEXT(4096);
    text_printf(&sql, "SELECT sum(len(c.y)) + sum(m['first']) FROM read_parquet('%s/numbers.parquet')", folder);
    int64_t lists = 0, firsts = 0;
    for (int64_t a = 0; a < 20000; a++) {
        lists += a % 7 != 0 ? a % 4 : 0;
        firsts += a % 3 != 0 ? a : 0;
    }
    assert_int_equal(query_i64(text_str(&sql)), lists + firsts);
    text_free(&sql);
}

static void test_duck_function__relation_errors(void **state)
{
    (void)state;
    Numbers numbers = {.rows = 1000000, .fail_at = 500000};
    uint64_t handle = numbers_register(&numbers);
    assert_int_equal(duck_exec(conn, "SELECT sum(a) FROM numbers", &err), ERR_NOT_FOUND);
    assert_int_equal(err.id, E_IO_NOT_FOUND);
    assert_true(str_starts(err.message, "message "));
    error_clear(&err);
    numbers_done(&numbers, handle, 1);
    assert_int_equal(duck_exec(conn, "SELECT * FROM numbers", &err), ERR_INTERNAL);
    error_clear(&err);
    assert_int_equal(duck_exec(conn, "SELECT * FROM freshet_relation(NULL)", &err), ERR_INTERNAL);
    error_clear(&err);
}

static void test_duck_function__relation_left_early(void **state)
{
    (void)state;
    Numbers numbers = {.rows = 1000000};
    uint64_t handle = numbers_register(&numbers);
    DuckResult *result;
    bool more;
    must(duck_query_stream(conn, "SELECT a FROM numbers", &result, &err));
    must(duck_result_next(result, &more, &err));
    assert_true(more);
    duck_result_free(result);
    must(duck_exec(conn, "SELECT 1", &err));
    numbers_done(&numbers, handle, 1);
    Numbers limited = {.rows = 1000000};
    handle = numbers_register(&limited);
    must(duck_exec(conn, "SELECT a, b FROM numbers LIMIT 3", &err));
    numbers_done(&limited, handle, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_duck_function__null_in_null_out),
        cmocka_unit_test(test_duck_function__strings),
        cmocka_unit_test(test_duck_function__errors_arrive_whole),
        cmocka_unit_test(test_duck_function__constants),
        cmocka_unit_test(test_duck_function__nested_inputs),
        cmocka_unit_test(test_duck_function__bad_registrations),
        cmocka_unit_test(test_duck_function__counter_counts_each_row_once),
        cmocka_unit_test(test_duck_function__relation_two_threads_and_projection),
        cmocka_unit_test(test_duck_function__relation_nested),
        cmocka_unit_test(test_duck_function__relation_errors),
        cmocka_unit_test(test_duck_function__relation_left_early),
    };
    return cmocka_run_group_tests(tests, up, duck_fixture_down);
}
