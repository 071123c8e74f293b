/* The planner of stateful queries. Cases show plans and refusals; the others run a plan over small tables, with every
 * step done by one statement of DuckDB's, and compare with the query as DuckDB answers it. */
#include "sql_cases.h"

#include "sql/query.h"
#include "sql/stateful.h"

enum { LEAVES_MAX = 8 };

/* ---- plans ---- */

typedef struct Plan {
    SqlText text;
    SqlQuery *query;
    SqlStatefulPlan *plan;
} Plan;

static void plan_free(Plan *plan)
{
    sql_stateful_plan_free(plan->plan);
    sql_query_free(plan->query);
}

/* "-- update within" in front of the query: the output mode, and what the flow says of duplicates. */
static SqlStatefulOptions options_of(const char *input)
{
    const char *end = strchr(input, '\n');
    char *line = mem_strndup(input, end && str_starts(input, "--") ? (size_t)(end - input) : 0);
    SqlStatefulOptions options = {.mode = strstr(line, "update")     ? SQL_OUTPUT_UPDATE
                                          : strstr(line, "complete") ? SQL_OUTPUT_COMPLETE
                                                                     : SQL_OUTPUT_APPEND,
                                  .dedupe_within_watermark = strstr(line, "within") != NULL};
    mem_free(line);
    return options;
}

/* Placeholders of leaves are leaf_<name of the table>_<n>. */
static Status make_plan(DuckConn *conn, const char *input, Plan *out, Error *err)
{
    SqlLeaf leaves[LEAVES_MAX] = {0};
    SqlStatefulOptions options = options_of(input);
    const SqlRelation *relations;
    int64_t offset = -1;
    out->text = (SqlText){.name = "case.sql", .data = input, .length = strlen(input)};
    out->plan = NULL;
    out->query = NULL;
    Status rc = sql_query_rewrite(&out->text, (SqlSpan){0, out->text.length}, NULL, NULL, &out->query, err);
    if (rc != OK) {
        return rc;
    }
    size_t n = sql_query_relations(out->query, &relations);
    assert_true(n <= LEAVES_MAX);
    for (size_t i = 0; i < n; i++) {
        leaves[i] = (SqlLeaf){.placeholder = relations[i].placeholder,
                              .stream = relations[i].stream,
                              .event_time = relations[i].watermark_alias ? relations[i].watermark_alias
                                                                         : relations[i].watermark_expression,
                              .delay_us = relations[i].watermark_delay_us};
    }
    rc = sql_stateful_plan(conn, sql_query_text(out->query), leaves, n, &options, &out->plan, &offset, err);
    if (rc != OK) {
        sql_query_place(out->query, offset, err);
        sql_query_free(out->query);
        out->query = NULL;
    }
    return rc;
}

/* ---- cases ---- */

static void show_aggregates(const SqlStep *step, Text *out)
{
    for (size_t i = 0; i < step->n_aggregates; i++) {
        const SqlAggregate *a = &step->aggregates[i];
        text_printf(out, "  r%zu %s%s(", i, a->function, a->distinct ? " distinct" : "");
        for (size_t k = 0; k < a->n_arguments; k++) {
            text_printf(out, "%sa%zu", k ? ", " : "", a->first + k);
            text_append(out, a->constants[k] ? "=" : "");
            text_append(out, a->constants[k] ? a->constants[k] : "");
        }
        for (size_t k = 0; k < a->n_orders; k++) {
            text_printf(out, "%sa%zu%s%s", k ? ", " : " order ", a->orders[k].column,
                        a->orders[k].descending ? " desc" : "", a->orders[k].nulls_first ? " nulls first" : "");
        }
        text_append(out, ")");
        if (a->has_filter) {
            text_printf(out, " filter f%zu", a->filter);
        }
        text_append(out, "\n");
    }
}

static void show_step(const SqlStep *step, Text *out)
{
    static const char *const KINDS[] = {"aggregate", "session", "distinct", "join"};
    static const char *const JOINS[] = {"inner", "left", "right", "full", "semi"};
    text_printf(out, "%s %s [%s]%s\n", KINDS[step->kind], step->title, step->fingerprint,
                step->watermarked ? " watermarked" : "");
    if (step->input) {
        text_printf(out, "  %s\n", step->input);
    }
    for (size_t i = 0; i < step->n_keys; i++) {
        const SqlKey *key = &step->keys[i];
        if (key->is_window) {
            text_printf(out, "  k%zu window %lld %lld %lld", i, (long long)key->window.size_us,
                        (long long)key->window.slide_us, (long long)key->window.offset_us);
        }
        text_append(out, key->is_window && !key->is_event_time ? "\n" : "");
        if (key->is_event_time) {
            text_printf(out, key->is_window ? " event time\n" : "  k%zu event time\n", i);
        }
    }
    show_aggregates(step, out);
    if (step->kind == SQL_STEP_DISTINCT) {
        text_printf(out, "  %zu keys%s%s%s\n", step->n_distinct, step->has_event_time ? ", t0" : "",
                    step->event_time_is_key ? ", event time is key" : "",
                    step->within_watermark ? ", within watermark" : "");
    }
    for (size_t i = 0; i < step->n_sides; i++) {
        const SqlJoinSide *side = &step->sides[i];
        text_printf(out, "  %s side %s: %s\n    time %s", i ? "" : JOINS[step->join], side->alias, side->input,
                    side->event_time ? side->event_time : "none");
        if (side->bounded) {
            text_printf(out, ", leaves %lld us later", (long long)side->slack_us);
        }
        text_printf(out, "%s%s\n", side->outer ? ", outer" : "", side->once ? ", once" : "");
    }
    if (step->pairs && step->join != SQL_JOIN_INNER) { /* of those it is the FROM */
        text_printf(out, "  pairs %s\n", step->pairs);
    }
}

static void run_case(void *context, const char *input, Text *out)
{
    Plan plan;
    Error err = ERROR_NONE;
    if (make_plan(context, input, &plan, &err) != OK) {
        sql_case_error(&err, out);
        return;
    }
    for (size_t i = 0; i < plan.plan->n_steps; i++) {
        show_step(&plan.plan->steps[i], out);
    }
    text_printf(out, "%s\n", plan.plan->body);
    assert_true(plan.plan->upserts == (plan.plan->mode == SQL_OUTPUT_UPDATE));
    for (size_t i = 0; i < plan.plan->n_key_columns; i++) {
        text_printf(out, "%s%s", i ? ", " : "keys: ", plan.plan->key_columns[i]);
    }
    text_append(out, plan.plan->n_key_columns ? "\n" : "");
    if (plan.plan->vanished) {
        text_printf(out, "vanished: %s\n", plan.plan->vanished);
    }
    plan_free(&plan);
}

static void test_sql_stateful__plans(void **state)
{
    sql_cases_check("stateful_plans", run_case, *state);
}

static void test_sql_stateful__legality(void **state)
{
    sql_cases_check("stateful_legality", run_case, *state);
}

static void test_sql_stateful__walk(void **state)
{
    sql_cases_check("stateful_walk", run_case, *state);
}

/* A plan as `freshet check` shows it. */
static void run_print(void *context, const char *input, Text *out)
{
    Plan plan;
    Error err = ERROR_NONE;
    if (make_plan(context, input, &plan, &err) != OK) {
        sql_case_error(&err, out);
        return;
    }
    sql_stateful_plan_print(plan.plan, out);
    plan_free(&plan);
}

static void test_sql_stateful__prints(void **state)
{
    sql_cases_check("stateful_print", run_print, *state);
}

/* ---- meaning ---- */

static void fingerprints(DuckConn *conn, const char *sql, Text *out)
{
    Plan plan;
    Error err = ERROR_NONE;
    if (make_plan(conn, sql, &plan, &err) != OK) {
        fail_msg("%s\n%s", err.message, sql);
    }
    for (size_t i = 0; i < plan.plan->n_steps; i++) {
        const SqlStep *step = &plan.plan->steps[i];
        text_printf(out, "%s\n", step->fingerprint);
        for (size_t k = 0; k < step->n_aggregates; k++) {
            text_printf(out, "  %s", step->input_meanings[step->n_keys + step->aggregates[k].first]);
        }
    }
    plan_free(&plan);
}

static void test_sql_stateful__meaning(void **state)
{
    static const struct {
        bool same;
        const char *a, *b;
    } CASES[] = {
        /* names */
        {true, "-- update\nSELECT k, sum(v) FROM STREAM t GROUP BY k",
         "-- update\nSELECT K, SUM(T.V) FROM STREAM t GROUP BY \"K\""},
        {false, "-- update\nSELECT count(*) FILTER (k = 'a') FROM STREAM t",
         "-- update\nSELECT count(*) FILTER (k = 'A') FROM STREAM t"},
        {true, "-- update\nSELECT s.Name.First, count(*) FROM STREAM t GROUP BY ALL",
         "-- update\nSELECT s.name.first, count(*) FROM STREAM t GROUP BY ALL"},
        {true, "SELECT DISTINCT ON ((s).Name) v FROM STREAM t", "SELECT DISTINCT ON ((S).name) v FROM STREAM t"},
        {false, "SELECT DISTINCT ON (m['Name']) v FROM STREAM t", "SELECT DISTINCT ON (m['name']) v FROM STREAM t"},
        /* aliases of relations, of columns, of common table expressions */
        {true, "-- update\nSELECT a.k, sum(b.v) FROM STREAM t AS a JOIN d AS b USING (id) GROUP BY a.k",
         "-- update\nSELECT x.k, sum(y.v) FROM STREAM t AS x JOIN d AS y USING (id) GROUP BY x.k"},
        {false, "-- update\nSELECT a.k, sum(b.v) FROM STREAM t AS a JOIN d AS b USING (id) GROUP BY a.k",
         "-- update\nSELECT b.k, sum(a.v) FROM STREAM t AS a JOIN d AS b USING (id) GROUP BY b.k"},
        {true, "-- update\nSELECT p, sum(v) FROM (SELECT upper(k) AS p, v FROM STREAM t) GROUP BY p",
         "-- update\nWITH c AS (SELECT v AS w, upper(K) AS q FROM STREAM t) SELECT q, sum(w) FROM c GROUP BY q"},
        {true,
         "-- update\nSELECT p, sum(v) FROM (SELECT a.k AS p, b.v FROM STREAM t AS a JOIN d AS b USING (id)) GROUP BY p",
         "-- update\nSELECT q, sum(w) FROM (SELECT x.k AS q, y.v AS w FROM STREAM t AS x JOIN d AS y USING (id)) GROUP "
         "BY q"},
        {false, "-- update\nSELECT p, sum(v) FROM (SELECT upper(k) AS p, v FROM STREAM t) GROUP BY p",
         "-- update\nSELECT p, sum(v) FROM (SELECT lower(k) AS p, v FROM STREAM t) GROUP BY p"},
        {false, "-- update\nSELECT sum(v) FROM (SELECT * REPLACE (v + 1 AS v) FROM STREAM t)",
         "-- update\nSELECT sum(v) FROM (SELECT * FROM STREAM t)"},
        {true, "-- update\nSELECT sum(v) FROM (SELECT * RENAME (w AS v) FROM STREAM t)",
         "-- update\nSELECT sum(w) FROM (SELECT * FROM STREAM t)"},
        {false,
         "-- update\nSELECT k, sum(v) FROM (SELECT k, v FROM STREAM t UNION ALL SELECT k, v FROM STREAM u) GROUP BY k",
         "-- update\nSELECT k, sum(v) FROM (SELECT k, v FROM STREAM t UNION ALL SELECT k, w FROM STREAM u) GROUP BY k"},
        /* two columns that are not the same do not mean the same */
        {false, "-- update\nSELECT sum(p) FROM (SELECT * EXCLUDE (y) RENAME (x AS y), y AS p FROM STREAM t)",
         "-- update\nSELECT sum(y) FROM (SELECT * EXCLUDE (y) RENAME (x AS y), y AS p FROM STREAM t)"},
        {false,
         "-- update\nSELECT sum(p) FROM (SELECT * FROM (SELECT id, x AS p FROM STREAM t) JOIN (SELECT id, x AS q FROM "
         "d) USING (id))",
         "-- update\nSELECT sum(q) FROM (SELECT * FROM (SELECT id, x AS p FROM STREAM t) JOIN (SELECT id, x AS q FROM "
         "d) USING (id))"},
        {false, "-- update\nSELECT sum(x) FROM (SELECT abs(COLUMNS(*)), x AS y FROM STREAM t)",
         "-- update\nSELECT sum(y) FROM (SELECT abs(COLUMNS(*)), x AS y FROM STREAM t)"},
        /* keys and columns in another order */
        {true, "SELECT DISTINCT k, v FROM STREAM t", "SELECT DISTINCT V, P FROM (SELECT k AS p, v FROM STREAM t)"},
        {true, "SELECT a.x, b.y FROM STREAM t AS a JOIN STREAM u AS b ON a.id = b.id",
         "SELECT q.Y, p.X FROM STREAM t AS p JOIN STREAM u AS q ON p.ID = q.id"},
        /* what a join keeps */
        {false, "SELECT p.k FROM (SELECT id, upper(k) AS k FROM STREAM t) AS p JOIN STREAM u AS q ON p.id = q.id",
         "SELECT p.k FROM (SELECT id, k FROM STREAM t) AS p JOIN STREAM u AS q ON p.id = q.id"},
        {false,
         "SELECT a.x FROM STREAM t WATERMARK ts DELAY OF INTERVAL '1 hour' AS a JOIN STREAM u WATERMARK ts DELAY OF "
         "INTERVAL '1 hour' AS b "
         "ON a.id = b.id AND b.ts BETWEEN a.ts AND a.ts + INTERVAL '1 hour'",
         "SELECT a.x FROM STREAM t WATERMARK ts DELAY OF INTERVAL '1 hour' AS a JOIN STREAM u WATERMARK ts DELAY OF "
         "INTERVAL '1 hour' AS b "
         "ON a.id = b.id AND b.ts BETWEEN a.ts AND a.ts + INTERVAL '2 hours'"},
    };
    Text a = TEXT(65536), b = TEXT(65536);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        text_clear(&a);
        text_clear(&b);
        fingerprints(*state, CASES[i].a, &a);
        fingerprints(*state, CASES[i].b, &b);
        if ((strcmp(text_str(&a), text_str(&b)) == 0) != CASES[i].same) {
            fail_msg("%s\n%s\n%s\n%s", CASES[i].a, text_str(&a), CASES[i].b, text_str(&b));
        }
    }
    text_free(&a);
    text_free(&b);
}

/* ---- running ---- */

static void exec(DuckConn *conn, const char *sql)
{
    Error err = ERROR_NONE;
    if (duck_exec(conn, sql, &err) != OK) {
        fail_msg("%s\n%s", err.message, sql);
    }
}

/* The key as an expression of one row; sliding windows give a list to be unnested. */
static void append_key(const SqlStep *step, size_t i, Text *out)
{
    const SqlKey *key = &step->keys[i];
    if (!key->is_window) {
        text_printf(out, "k%zu", i);
        return;
    }
    text_printf(out,
                "unnest([{'start': s, 'end': s + to_microseconds(%lld)} FOR s IN [make_timestamp(epoch_us(k%zu) - "
                "(((epoch_us(k%zu) - %lld) %% %lld) + %lld) %% %lld - n * %lld) FOR n IN range(0, %lld)] IF s <= k%zu "
                "AND k%zu < s + to_microseconds(%lld)])",
                (long long)key->window.size_us, i, i, (long long)key->window.offset_us, (long long)key->window.slide_us,
                (long long)key->window.slide_us, (long long)key->window.slide_us, (long long)key->window.slide_us,
                (long long)((key->window.size_us + key->window.slide_us - 1) / key->window.slide_us), i, i,
                (long long)key->window.size_us);
}

static void append_call(const SqlAggregate *a, Text *out)
{
    text_printf(out, "%s(%s", a->function, a->distinct ? "DISTINCT " : "");
    for (size_t k = 0; k < a->n_arguments; k++) {
        text_append(out, k ? ", " : "");
        if (a->constants[k]) {
            text_append(out, a->constants[k]);
        } else {
            text_printf(out, "a%zu", a->first + k);
        }
    }
    for (size_t k = 0; k < a->n_orders; k++) {
        text_printf(out, "%sa%zu%s%s", k ? ", " : " ORDER BY ", a->orders[k].column,
                    a->orders[k].descending ? " DESC" : "", a->orders[k].nulls_first ? " NULLS FIRST" : "");
    }
    text_append(out, ")");
    if (a->has_filter) {
        text_printf(out, " FILTER (WHERE f%zu)", a->filter);
    }
}

static void run_aggregate(DuckConn *conn, const SqlStep *step)
{
    Text sql = TEXT(1 << 20);
    text_printf(&sql, "CREATE OR REPLACE TEMP TABLE %s AS SELECT ", step->name);
    for (size_t i = 0; i < step->n_keys; i++) {
        text_printf(&sql, "k%zu, ", i);
    }
    for (size_t i = 0; i < step->n_aggregates; i++) {
        append_call(&step->aggregates[i], &sql);
        text_printf(&sql, " AS r%zu, ", i);
    }
    text_append(&sql, "FROM (SELECT ");
    for (size_t i = 0; i < step->n_keys; i++) {
        append_key(step, i, &sql);
        text_printf(&sql, " AS k%zu, ", i);
    }
    text_printf(&sql, "* EXCLUDE (");
    for (size_t i = 0; i < step->n_keys; i++) {
        text_printf(&sql, "%sk%zu", i ? ", " : "", i);
    }
    text_printf(&sql, "%s) FROM (%s)) %s", step->n_keys ? "" : "nothing", step->input, step->n_keys ? "GROUP BY " : "");
    for (size_t i = 0; i < step->n_keys; i++) {
        text_printf(&sql, "%sk%zu", i ? ", " : "", i);
    }
    const char *none = strstr(text_str(&sql), "* EXCLUDE (nothing)");
    if (none) {
        memcpy((char *)(uintptr_t)none, "*                  ", strlen("* EXCLUDE (nothing)"));
    }
    exec(conn, text_str(&sql));
    text_free(&sql);
}

static void run_distinct(DuckConn *conn, const SqlStep *step)
{
    Text sql = TEXT(1 << 20), keys = TEXT(1 << 16);
    for (size_t i = 0; i < step->n_distinct; i++) {
        text_printf(&keys, "%sd%zu", i ? ", " : "", i);
    }
    text_printf(&sql,
                "CREATE OR REPLACE TEMP TABLE %s AS SELECT * EXCLUDE (%s%s) FROM (SELECT DISTINCT ON (%s) * FROM (%s))",
                step->name, text_str(&keys), step->has_event_time ? ", t0" : "", text_str(&keys), step->input);
    exec(conn, text_str(&sql));
    text_free(&sql);
    text_free(&keys);
}

/* The text of the pairs over all rows of the sides. */
static void append_pairs_of_all(const SqlStep *step, Text *sql)
{
    size_t found = 0;
    char *end;
    for (const char *at = step->pairs; *at; at++) {
        size_t side = at[0] == '{' ? strtoul(at + 1, &end, 10) : 0;
        if (at[0] == '{' && end > at + 1 && *end == '}') {
            text_printf(sql, "%s_%zu_all", step->name, side);
            assert_int_equal(side, found++);
            at = end;
        } else {
            text_append_char(sql, *at);
        }
    }
    assert_int_equal(found, step->n_sides);
}

/* All rows of all sides are new, or, `halved`, every second one is from before. What never matched has left. */
static void run_join(DuckConn *conn, const SqlStep *step)
{
    Text sql = TEXT(1 << 20);
    for (size_t i = 0; i < step->n_sides; i++) {
        text_printf(
            &sql,
            "CREATE OR REPLACE TEMP TABLE %s_%zu_all AS SELECT *, row_number() OVER () AS freshet_row FROM (%s);"
            "CREATE OR REPLACE TEMP TABLE %s_%zu_new AS FROM %s_%zu_all;"
            "CREATE OR REPLACE TEMP TABLE %s_%zu_old AS FROM %s_%zu_all LIMIT 0;"
            "CREATE OR REPLACE TEMP TABLE %s_%zu_none AS FROM %s_%zu_all LIMIT 0;"
            "CREATE OR REPLACE TEMP TABLE %s_%zu_gone AS FROM %s_%zu_all;",
            step->name, i, step->sides[i].input, step->name, i, step->name, i, step->name, i, step->name, i, step->name,
            i, step->name, i, step->name, i, step->name, i);
    }
    if (step->pairs) {
        text_append(&sql, "CREATE OR REPLACE TEMP TABLE pairs AS SELECT * FROM (");
        append_pairs_of_all(step, &sql);
        text_append(&sql, step->n_sides > 2 ? ");" : ") AS p(r0, r1);");
    }
    for (size_t i = 0; i < 2 && step->pairs && step->join != SQL_JOIN_INNER; i++) {
        text_printf(&sql, "DELETE FROM %s_%zu_gone WHERE freshet_row IN (SELECT r%zu FROM pairs);", step->name, i, i);
    }
    exec(conn, text_str(&sql));
    text_free(&sql);
}

static int64_t number(DuckConn *conn, const char *sql)
{
    DuckResult *result = NULL;
    Error err = ERROR_NONE;
    bool more = false;
    if (duck_query(conn, sql, &result, &err) != OK || duck_result_next(result, &more, &err) != OK) {
        fail_msg("%s\n%s", err.message, sql);
    }
    int64_t n = duck_result_i64(result, 0);
    duck_result_free(result);
    return n;
}

/* Runs the plan and compares rows and column names with the query itself, or with what stands behind a line "like". */
static void run_compare(void *context, const char *input, Text *out)
{
    DuckConn *conn = context;
    const char *like = strstr(input, "\nlike\n");
    char *own = mem_strndup(input, like ? (size_t)(like - input) : strlen(input));
    Plan plan;
    Error err = ERROR_NONE;
    const SqlRelation *relations;
    if (make_plan(conn, own, &plan, &err) != OK) {
        sql_case_error(&err, out);
        mem_free(own);
        return;
    }
    size_t n = sql_query_relations(plan.query, &relations);
    for (size_t i = 0; i < n; i++) {
        duck_execf(conn, NULL, "CREATE OR REPLACE TEMP VIEW \"%s\" AS FROM %s", relations[i].placeholder,
                   relations[i].name);
    }
    for (size_t i = 0; i < plan.plan->n_steps; i++) {
        const SqlStep *step = &plan.plan->steps[i];
        assert_int_not_equal(step->kind, SQL_STEP_SESSION);
        (step->kind == SQL_STEP_JOIN       ? run_join
         : step->kind == SQL_STEP_DISTINCT ? run_distinct
                                           : run_aggregate)(conn, step);
    }
    Text sql = TEXT(1 << 20);
    text_printf(&sql, "CREATE OR REPLACE TEMP TABLE got AS %s", plan.plan->body);
    exec(conn, text_str(&sql));
    text_clear(&sql);
    text_printf(&sql, "CREATE OR REPLACE TEMP TABLE want AS %s",
                like ? like + strlen("\nlike\n") : sql_query_text(plan.query));
    exec(conn, text_str(&sql));
    int64_t rows = number(conn, "SELECT count(*) FROM want");
    int64_t missing = number(conn, "SELECT count(*) FROM (FROM want EXCEPT ALL FROM got)");
    int64_t extra = number(conn, "SELECT count(*) FROM (FROM got EXCEPT ALL FROM want)");
    int64_t names = number(conn, "SELECT count(*) FROM (SELECT column_name, column_index FROM duckdb_columns() WHERE "
                                 "table_name = 'want' EXCEPT SELECT column_name, column_index FROM duckdb_columns() "
                                 "WHERE table_name = 'got')");
    text_printf(out, "%lld rows", (long long)rows);
    if (missing || extra || names) {
        text_printf(out, ", %lld missing, %lld too many, %lld names differ\nbody: %s", (long long)missing,
                    (long long)extra, (long long)names, plan.plan->body);
    }
    text_append(out, "\n");
    text_free(&sql);
    plan_free(&plan);
    mem_free(own);
}

static void test_sql_stateful__answers(void **state)
{
    exec(*state,
         "CREATE OR REPLACE TABLE clicks AS SELECT TIMESTAMP '2026-01-01' + to_minutes(i * 7) AS ts, i % 5 AS "
         "product_id, 'u' || i % 11 AS user_id, (i * 37 % 100) / 4 AS revenue, CASE WHEN i % 13 = 0 THEN NULL "
         "ELSE {'a': i % 3, 'b': 'x'} END AS s FROM range(300) t(i);"
         "CREATE OR REPLACE TABLE orders AS SELECT TIMESTAMP '2026-01-01' + to_minutes(i * 11) AS ts, i AS id, i % 5 "
         "AS product_id, i % 7 AS n FROM range(200) t(i);"
         "CREATE OR REPLACE TABLE payments AS SELECT TIMESTAMP '2026-01-01' + to_minutes(i * 11 + i % 31) AS ts, "
         "i * 2 AS id, i % 3 AS kind FROM range(120) t(i);"
         "CREATE OR REPLACE TABLE products AS SELECT i AS id, 'p' || i AS name FROM range(4) t(i);"
         "CREATE OR REPLACE MACRO \"window\"(t, size) AS {'start': time_bucket(size, t, TIMESTAMP '1970-01-01'), "
         "'end': time_bucket(size, t, TIMESTAMP '1970-01-01') + size};"
         "CREATE OR REPLACE MACRO window_time(w) AS w.\"end\" - to_microseconds(1)");
    sql_cases_check("stateful_answers", run_compare, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sql_stateful__plans),   cmocka_unit_test(test_sql_stateful__legality),
        cmocka_unit_test(test_sql_stateful__walk),    cmocka_unit_test(test_sql_stateful__prints),
        cmocka_unit_test(test_sql_stateful__meaning), cmocka_unit_test(test_sql_stateful__answers),
    };
    return cmocka_run_group_tests(tests, sql_connect, sql_disconnect);
}
