/* The outputs of a plan's steps as views that DuckDB can bind, for who asks for columns and types without running. */
#include "duck/type.h"
#include "sql/stateful.h"

static void append_name(const SqlStep *step, const char *suffix, size_t side, Text *sql)
{
    text_append(sql, "CREATE OR REPLACE TEMP VIEW ");
    if (suffix) {
        text_printf(sql, "\"%s_%zu_%s\"", step->name, side, suffix);
    } else {
        text_printf(sql, "\"%s\"", step->name);
    }
    text_append(sql, " AS SELECT ");
}

/* The call over a<i> and f<i>, as DuckDB would run it. */
static void append_call(const SqlAggregate *aggregate, Text *sql)
{
    text_append_sql_name(sql, aggregate->function);
    text_append(sql, aggregate->distinct ? "(DISTINCT " : "(");
    for (size_t i = 0; i < aggregate->n_arguments; i++) {
        text_append(sql, i == 0 ? "" : ", ");
        if (aggregate->constants[i]) {
            text_append(sql, aggregate->constants[i]);
        } else {
            text_printf(sql, "a%zu", aggregate->first + i);
        }
    }
    for (size_t i = 0; i < aggregate->n_orders; i++) {
        text_printf(sql, "%sa%zu", i == 0 ? " ORDER BY " : ", ", aggregate->orders[i].column);
    }
    text_append_char(sql, ')');
    if (aggregate->has_filter) {
        text_printf(sql, " FILTER (WHERE f%zu)", aggregate->filter);
    }
}

static bool is_bucket(const SqlStep *step, size_t key)
{
    return step->keys[key].is_window || (step->kind == SQL_STEP_SESSION && key == step->session_key);
}

/* Windows of days begin and end at a time. */
static Status append_keys(DuckConn *conn, const SqlStep *step, Text *sql, Error *err)
{
    Arena *arena = arena_new();
    DuckColumnInfo *columns = NULL;
    size_t n = 0;
    Status rc = OK;

    TRY(duck_describe(conn, step->input, arena, &columns, &n, err));
    for (size_t i = 0; i < step->n_keys; i++) {
        const char *cast = i < n && columns[i].type->id == DUCK_DATE ? "::TIMESTAMP" : "";
        text_append(sql, i == 0 ? "" : ", ");
        if (is_bucket(step, i)) {
            text_printf(sql, "{'start': k%zu%s, 'end': k%zu%s} AS ", i, cast, i, cast);
        }
        text_printf(sql, "k%zu", i);
    }
out:
    arena_free(arena);
    return rc;
}

static Status append_aggregate(DuckConn *conn, const SqlStep *step, Text *sql, Error *err)
{
    Status rc = OK;

    append_name(step, NULL, 0, sql);
    TRY(append_keys(conn, step, sql, err));
    for (size_t i = 0; i < step->n_aggregates; i++) {
        text_append(sql, i + step->n_keys == 0 ? "" : ", ");
        append_call(&step->aggregates[i], sql);
        text_printf(sql, " AS r%zu", i);
    }
    text_printf(sql, " FROM (%s)", step->input);
    for (size_t i = 0; i < step->n_keys; i++) {
        text_printf(sql, "%sk%zu", i == 0 ? " GROUP BY " : ", ", i);
    }
out:
    return rc;
}

static void append_distinct(const SqlStep *step, Text *sql)
{
    append_name(step, NULL, 0, sql);
    text_append(sql, "* EXCLUDE (");
    for (size_t i = 0; i < step->n_distinct; i++) {
        text_printf(sql, "%sd%zu", i == 0 ? "" : ", ", i);
    }
    text_printf(sql, "%s) FROM (%s)", step->has_event_time ? ", t0" : "", step->input);
}

static void append_join(const SqlStep *step, Text *sql)
{
    static const char *const OUTPUTS[] = {"old", "new", "all", "gone", "none"};
    for (size_t i = 0; i < step->n_sides; i++) {
        for (size_t k = 0; k < sizeof OUTPUTS / sizeof *OUTPUTS; k++) {
            append_name(step, OUTPUTS[k], i, sql);
            text_printf(sql, "*, 0::BIGINT AS freshet_row FROM (%s); ", step->sides[i].input);
        }
    }
}

Status sql_stateful_plan_bind(DuckConn *conn, const SqlStatefulPlan *plan, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    for (size_t i = 0; i < plan->n_steps; i++) {
        const SqlStep *step = &plan->steps[i];
        text_clear(&sql);
        switch (step->kind) {
        case SQL_STEP_AGGREGATE:
        case SQL_STEP_SESSION: TRY(append_aggregate(conn, step, &sql, err)); break;
        case SQL_STEP_DISTINCT: append_distinct(step, &sql); break;
        case SQL_STEP_JOIN: append_join(step, &sql); break;
        }
        TRY(duck_exec(conn, text_str(&sql), err));
    }
out:
    text_free(&sql);
    return rc;
}
