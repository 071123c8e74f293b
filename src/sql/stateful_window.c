/* window(), session_window() and intervals. */
#include <inttypes.h>
#include <string.h>

#include "sql/stateful_int.h"

static bool is_call(const json_t *node, const char *name)
{
    return sql_tree_is(node, "class", "FUNCTION") && sql_tree_is(node, "function_name", name);
}

bool is_window_call(const json_t *node)
{
    return is_call(node, "window");
}

bool is_session_call(const json_t *node)
{
    return is_call(node, "session_window");
}

bool is_bucket(const json_t *node)
{
    return is_window_call(node) || is_session_call(node);
}

json_t *time_of(Planner *p, const json_t *expression, const Column *column)
{
    return column->carries == CARRIES_WINDOW ? tree_field(p, expression, "end") : tree_named(p, expression, "");
}

/* ---- intervals ---- */

/* Whatever keeps an expression from being a constant. */
static bool is_not_constant(const json_t *node)
{
    const char *name = sql_tree_string(node, "function_name");
    return sql_tree_is(node, "class", "COLUMN_REF") || sql_tree_is(node, "class", "SUBQUERY") ||
           sql_tree_is(node, "class", "STAR") || sql_tree_is(node, "class", "PARAMETER") ||
           sql_tree_is(node, "class", "LAMBDA") || sql_tree_is(node, "class", "WINDOW") ||
           strcmp(name, "getvariable") == 0 || sql_function_is_random(name) || sql_function_is_aggregate(name);
}

Status read_interval(Planner *p, const json_t *node, Interval *out, bool *constant, Error *err)
{
    Status rc = OK;
    DuckResult *result = NULL;
    const char *text = NULL;
    Text sql = TEXT(SQL_TEXT_MAX);
    bool more = false;

    *constant = false;
    if (tree_any(node, true, is_not_constant)) {
        return OK;
    }
    TRY(planner_print_expression(p, node, &text, err));
    text_printf(&sql,
                "SELECT m, d, epoch_us(i - to_months(m) - to_days(d)) FROM (SELECT i, (date_part('year', i) * 12 + "
                "date_part('month', i))::INTEGER AS m, date_part('day', i)::INTEGER AS d FROM (SELECT TRY_CAST((%s) AS "
                "INTERVAL) AS i)) WHERE i IS NOT NULL",
                text);
    if (duck_query(p->conn, text_str(&sql), &result, NULL) != OK) { /* no interval */
        goto out;
    }
    TRY(duck_result_next(result, &more, err));
    if (more) {
        *out = (Interval){duck_result_i64(result, 0), duck_result_i64(result, 1), duck_result_i64(result, 2)};
        *constant = true;
    }
out:
    duck_result_free(result);
    text_free(&sql);
    return rc;
}

void sql_duration_print(int64_t us, Text *out)
{
    static const struct {
        const char *name;
        int64_t us;
    } UNITS[] = {{"week", 604800000000}, {"day", 86400000000},  {"hour", 3600000000}, {"minute", 60000000},
                 {"second", 1000000},    {"millisecond", 1000}, {"microsecond", 1}};
    bool first = true;
    if (us < 0) {
        text_append_char(out, '-');
        us = -us;
    }
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++) {
        int64_t n = us / UNITS[i].us;
        if (n == 0 || (i == 0 && us % UNITS[i].us != 0)) { /* weeks only when they are all */
            continue;
        }
        text_printf(out, "%s%" PRId64 " %s%s", first ? "" : " ", n, UNITS[i].name, n == 1 ? "" : "s");
        us -= n * UNITS[i].us;
        first = false;
    }
    text_append(out, first ? "0 seconds" : "");
}

/* ---- window() ---- */

/* A length of window(): constant, without months. *days: it counts days and nothing else. */
static Status read_length(Planner *p, const json_t *node, const char *what, int64_t *out, bool *days, Error *err)
{
    Interval interval = {0};
    bool constant = false;
    int64_t us = 0;
    Status rc = read_interval(p, node, &interval, &constant, err);
    if (rc != OK) {
        return rc;
    }
    if (!constant) {
        return planner_error(p, node, "for example INTERVAL '1 hour'", err,
                             "the %s of window() must be a constant interval", what);
    }
    if (interval.months != 0) {
        return planner_error(p, node, "windows have a fixed length: write it in days or less", err,
                             "the %s of window() cannot count months or years", what);
    }
    if (__builtin_mul_overflow(interval.days, 86400000000, &us) || __builtin_add_overflow(us, interval.us, out)) {
        return planner_error(p, node, NULL, err, "the %s of window() is too long", what);
    }
    *days = interval.us == 0;
    return OK;
}

Status read_window(Planner *p, const Scope *scope, const json_t *call, SqlWindow *out, const json_t **time, Error *err)
{
    const json_t *arguments = json_object_get(call, "children"), *of = json_array_get(arguments, 0);
    size_t n = json_array_size(arguments);
    SqlWindow window = {0};
    bool days = true, offset_days;
    Status rc = OK;
    if (n < 2 || n > 4) {
        return planner_error(p, call, "window(time, size [, slide [, offset]])", err,
                             "window() takes two to four arguments, not %zu", n);
    }
    TRY(read_length(p, json_array_get(arguments, 1), "size", &window.size_us, &window.days, err));
    window.slide_us = window.size_us;
    if (n > 2) {
        TRY(read_length(p, json_array_get(arguments, 2), "slide", &window.slide_us, &days, err));
        window.days = window.days && days;
    }
    if (n > 3) {
        TRY(read_length(p, json_array_get(arguments, 3), "offset", &window.offset_us, &offset_days, err));
    }
    if (window.size_us <= 0 || window.slide_us <= 0 || window.slide_us > window.size_us) {
        return planner_error(p, call, NULL, err,
                             "window() needs a size above zero and a slide no longer than the size");
    }
    if (window.offset_us <= -window.slide_us || window.offset_us >= window.slide_us) {
        return planner_error(p, call, NULL, err, "the offset of window() must be shorter than its slide");
    }
    window.offset_us += window.offset_us < 0 ? window.slide_us : 0;
    Column column = lineage_of(scope, of);
    *time = column.is_window ? tree_function(p, "window_time", of) : of;
    *out = window;
out:
    return rc;
}
