/* Rows set aside: kept in a temporary table while a batch runs, then written to <table>__rejected, before the batch's
 * own rows and with a txn of their own, so that a batch that runs again finds them there. The same for expectations
 * that drop rows: where these are kept, the query's rows are laid down, so that the query runs once. */
#include <string.h>

#include "stream/flow_int.h"

#define X(id, text) [REASON_##id] = text,
const char *const STREAM_REASON_TEXTS[REASON_COUNT] = {STREAM_REASONS(X)};
#undef X

#define OUTPUT "temp.freshet_output"

Status rejected_prepare(Flow *flow, Error *err)
{
    static const DuckType VARCHAR = {.id = DUCK_VARCHAR}, BIGINT = {.id = DUCK_BIGINT},
                          MOMENT = {.id = DUCK_TIMESTAMP_TZ};
    static const DuckColumnInfo COLUMNS[] = {
        {"reason", &VARCHAR}, {"row", &VARCHAR}, {"batch", &BIGINT}, {"watermark", &MOMENT}};

    return flow->rejected ? flow->rejected->ops->prepare(flow->rejected, flow->conn, COLUMNS,
                                                         sizeof COLUMNS / sizeof *COLUMNS, err)
                          : OK;
}

Status rejected_begin(Flow *flow, Error *err)
{
    return flow->rejected
               ? duck_exec(flow->conn, "CREATE OR REPLACE TEMP TABLE freshet_rejected (reason VARCHAR, \"row\" JSON)",
                           err)
               : OK;
}

/* ---- expectations ---- */

bool rejected_keeps_output(const Flow *flow)
{
    bool drops = false;

    for (size_t i = 0; i < flow->n_rules; i++) {
        drops = drops || flow->rules[i].on_violation == VIOLATION_DROP;
    }
    return flow->rejected && drops;
}

const char *rejected_output(void)
{
    return "SELECT * FROM " OUTPUT;
}

/* The condition counts as it does where rows are dropped: only what is true passes. */
static void append_violated(const FlowRule *rule, Text *out)
{
    text_printf(out, "(CAST((%s\n) AS BOOLEAN)) IS NOT TRUE", rule->condition);
}

Status rejected_keep_output(Flow *flow, const char *query, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX), reason = TEXT(TEXT_SQL_MAX), violated = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    text_printf(&sql, "CREATE OR REPLACE TEMP TABLE freshet_output AS %s", query);
    TRY(duck_exec(flow->conn, text_str(&sql), err));
    for (size_t i = 0; i < flow->n_rules; i++) {
        const FlowRule *rule = &flow->rules[i];
        if (rule->on_violation != VIOLATION_DROP) {
            continue;
        }
        Text name = TEXT(65536);
        text_printf(&name, "%s %s", STREAM_REASON_TEXTS[REASON_EXPECTATION], rule->name);
        text_append(&violated, violated.length ? " OR " : "");
        append_violated(rule, &violated);
        text_append(&reason, " WHEN ");
        append_violated(rule, &reason);
        text_append(&reason, " THEN ");
        text_append_sql_string(&reason, text_str(&name));
        text_free(&name);
    }
    text_clear(&sql);
    text_printf(&sql,
                "INSERT INTO " REJECTED " SELECT freshet_reason, to_json(freshet_row) FROM (SELECT CASE%s END AS "
                "freshet_reason, freshet_output AS freshet_row FROM " OUTPUT " AS freshet_output WHERE %s)",
                text_str(&reason), text_str(&violated));
    TRY(duck_exec(flow->conn, text_str(&sql), err));
out:
    text_free(&sql);
    text_free(&reason);
    text_free(&violated);
    return rc;
}

/* ---- writing ---- */

Status rejected_write(Flow *flow, Error *err)
{
    Text query = TEXT(4096), facts = TEXT(65536);
    StreamSinkResult result = {0};
    char watermark[32];
    Status rc = OK;

    if (!flow->rejected) {
        return OK;
    }
    time_iso_ms(flow->late_ms, watermark);
    text_printf(&query, "SELECT reason, \"row\"::VARCHAR AS \"row\", %lld::BIGINT AS batch, ",
                (long long)flow->batch.id);
    if (flow->late_ms > 0) {
        text_printf(&query, "TIMESTAMPTZ '%s'", watermark);
    } else {
        text_append(&query, "NULL::TIMESTAMPTZ");
    }
    text_append(&query, " AS watermark FROM " REJECTED);
    text_append(&facts, "{\"flow\":");
    text_append_json_string(&facts, flow->name);
    text_printf(&facts, ",\"batch\":%lld}", (long long)flow->batch.id);
    const StreamSinkBatch batch = {.query_id = checkpoint_query_id(flow->checkpoint),
                                   .batch = flow->batch.id,
                                   .query = text_str(&query),
                                   .freshet_json = text_str(&facts),
                                   .has_rows = true};
    TRY(flow->rejected->ops->write(flow->rejected, flow->conn, &batch, &result, err));
out:
    text_free(&query);
    text_free(&facts);
    return rc;
}
