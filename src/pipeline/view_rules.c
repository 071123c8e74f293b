/* Expectations of a materialized view: the whole answer is there before it is written, so they are statements over it.
 * A row violates a condition that is not true for it, false or NULL, as in a stream. */
#include <string.h>

#include "pipeline/pipeline_int.h"

static Status at_rule(const FlowExpectation *rule, Error *err)
{
    Status rc = error_context(err, "expectation %s", rule->name);

    err->place = rule->place;
    return rc;
}

static Status bind_rule(const FlowExpectation *rule, DuckConn *conn, const char *relation, Error *err)
{
    Arena *arena = arena_new();
    Text sql = TEXT(TEXT_SQL_MAX);
    DuckColumnInfo *columns = NULL;
    size_t n = 0;

    text_printf(&sql, "SELECT CAST((%s\n) AS BOOLEAN) FROM (%s\n)", rule->condition, relation);
    Status rc = duck_describe(conn, text_str(&sql), arena, &columns, &n, err);
    text_free(&sql);
    arena_free(arena);
    return rc == OK ? OK : at_rule(rule, err);
}

Status view_rules_bind(const Node *node, DuckConn *conn, const char *relation, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    FlowExpectation *rules = NULL;
    size_t n = 0;

    TRY(node_expectations(node, arena, &rules, &n, err));
    for (size_t i = 0; i < n; i++) {
        TRY(bind_rule(&rules[i], conn, relation, err));
    }
out:
    arena_free(arena);
    return rc;
}

static Status count_rule(const FlowExpectation *rule, DuckConn *conn, const char *answer, int64_t *passed,
                         int64_t *failed, Error *err)
{
    Status rc = OK;
    Text sql = TEXT(TEXT_SQL_MAX);
    DuckResult *result = NULL;
    bool more = false;

    text_printf(&sql,
                "SELECT count(*) FILTER (v IS TRUE), count(*) FILTER (v IS NOT TRUE) "
                "FROM (SELECT CAST((%s\n) AS BOOLEAN) AS v FROM %s)",
                rule->condition, answer);
    rc = duck_query(conn, text_str(&sql), &result, err);
    rc = rc == OK ? duck_result_next(result, &more, err) : rc;
    if (rc != OK) {
        rc = at_rule(rule, err);
        goto out;
    }
    *passed = duck_result_i64(result, 0);
    *failed = duck_result_i64(result, 1);
out:
    duck_result_free(result);
    text_free(&sql);
    return rc;
}

static Status fail_update(const Node *node, const FlowExpectation *rule, int64_t failed, Error *err)
{
    Status rc = error_set(err, E_STREAM_EXPECTATION, "%lld row%s of the answer violate%s expectation %s of %s: %s",
                          (long long)failed, failed == 1 ? "" : "s", failed == 1 ? "s" : "", rule->name, node->name,
                          rule->condition);
    error_hint(err, "the view keeps the answer it had; correct the input or the expectation, and start again");
    err->place = rule->place;
    return rc;
}

/* All rows that violate any of the rules that drop; a row counts once. */
static Status drop_rows(const FlowExpectation *rules, size_t n, DuckConn *conn, const char *answer, int64_t *dropped,
                        Error *err)
{
    Status rc = OK;
    Text sql = TEXT(TEXT_SQL_MAX);
    DuckResult *result = NULL;
    size_t n_drop = 0;

    text_printf(&sql, "DELETE FROM %s WHERE ", answer);
    for (size_t i = 0; i < n; i++) {
        if (rules[i].on_violation == VIOLATION_DROP) {
            text_printf(&sql, "%sCAST((%s\n) AS BOOLEAN) IS NOT TRUE", n_drop++ > 0 ? " OR " : "", rules[i].condition);
        }
    }
    if (n_drop > 0) {
        TRY(duck_query(conn, text_str(&sql), &result, err));
        *dropped = duck_result_changed(result);
    }
out:
    duck_result_free(result);
    text_free(&sql);
    return rc;
}

Status view_rules_apply(const Node *node, DuckConn *conn, const char *answer, ViewResult *result, Error *err)
{
    static const char *const ACTIONS[] = {
        [VIOLATION_KEEP] = "keep", [VIOLATION_DROP] = "drop", [VIOLATION_FAIL] = "fail"};
    Status rc = OK;
    Arena *arena = arena_new();
    Text json = TEXT(1 << 20);
    FlowExpectation *rules = NULL;
    size_t n = 0;

    TRY(node_expectations(node, arena, &rules, &n, err));
    text_append_char(&json, '[');
    for (size_t i = 0; i < n; i++) {
        int64_t passed = 0, failed = 0;
        TRY(count_rule(&rules[i], conn, answer, &passed, &failed, err));
        if (rules[i].on_violation == VIOLATION_FAIL && failed > 0) {
            rc = fail_update(node, &rules[i], failed, err);
            goto out;
        }
        text_append(&json, i > 0 ? ",{\"name\":" : "{\"name\":");
        text_append_json_string(&json, rules[i].name);
        text_printf(&json, ",\"action\":\"%s\",\"passed\":%lld,\"failed\":%lld}", ACTIONS[rules[i].on_violation],
                    (long long)passed, (long long)failed);
    }
    text_append_char(&json, ']');
    TRY(drop_rows(rules, n, conn, answer, &result->dropped, err));
    result->expectations = n > 0 ? text_take(&json) : NULL;
out:
    text_free(&json);
    arena_free(arena);
    return rc;
}
