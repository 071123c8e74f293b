#include "stream/op_input.h"

#include <inttypes.h>

#include "base/mem.h"

void op_input_init(OpInput *input, Duck *duck)
{
    input->duck = duck;
    input->counter = mem_alloc(sizeof *input->counter);
    input->slot = duck_counter_register(duck, input->counter);
}

void op_input_fini(OpInput *input)
{
    if (input->counter) {
        duck_counter_drop(input->duck, input->slot);
        mem_free(input->counter);
        input->counter = NULL;
    }
}

static bool counts(const OpInput *input, const StreamOperatorBatch *batch)
{
    return input->counts || (input->event_time && (input->needs_time || batch->late_us != INT64_MIN));
}

/* The condition under which a row counts. */
static void append_in_time(const OpInput *input, int64_t late_us, Text *sql)
{
    if (!input->event_time || late_us == INT64_MIN) {
        text_append(sql, "true");
        return;
    }
    text_append_sql_name(sql, input->event_time);
    text_append(sql, " IS NULL OR epoch_us(");
    text_append_sql_name(sql, input->event_time);
    text_printf(sql, ") > %" PRId64, late_us);
}

Status op_input_begin(OpInput *input, DuckConn *conn, const StreamOperatorBatch *batch, Text *relation, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX), rows = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    input->counter->passed = 0;
    input->counter->failed = 0;
    if (batch->rejected) {
        text_append(&sql, "CREATE OR REPLACE TEMP TABLE ");
        text_append_sql_name(&sql, input->staged);
        text_printf(&sql, " AS %s", input->select);
        TRY(duck_exec(conn, text_str(&sql), err));
    }
    if (batch->rejected) {
        text_append(&rows, "temp.");
        text_append_sql_name(&rows, input->staged);
    } else {
        text_printf(&rows, "(%s)", input->select);
    }
    if (!counts(input, batch)) {
        text_append(relation, text_str(&rows));
        goto out;
    }
    text_printf(relation, "(SELECT * FROM %s", text_str(&rows));
    /* CASE, not AND: a filter of its own would run first, and what it leaves out would not be counted. */
    text_printf(relation, " WHERE CASE WHEN freshet_count(%" PRIu64 ", ", input->slot);
    append_in_time(input, batch->late_us, relation);
    text_append(relation, ") THEN ");
    if (input->needs_time) {
        text_append_sql_name(relation, input->event_time);
        text_append(relation, " IS NOT NULL");
    } else {
        text_append(relation, "true");
    }
    text_append(relation, " ELSE false END)");
out:
    text_free(&sql);
    text_free(&rows);
    return rc;
}

void op_input_append_rejected(const OpInput *input, const StreamOperatorBatch *batch, StreamReason reason, Text *sql)
{
    text_printf(sql, "INSERT INTO %s SELECT '%s', to_json(struct_pack(", batch->rejected, STREAM_REASON_TEXTS[reason]);
    for (size_t i = 0; i < input->n_shown; i++) {
        text_append(sql, i ? ", " : "");
        text_append_sql_name(sql, input->shown[i].name);
        text_append(sql, " := ");
        text_append_sql_name(sql, input->shown[i].name);
    }
    text_append(sql, "))");
}

/* Adds the rows of the staged input for which the condition holds to the rejected ones. */
static Status reject(const OpInput *input, DuckConn *conn, const StreamOperatorBatch *batch, StreamReason reason,
                     const char *condition, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    op_input_append_rejected(input, batch, reason, &sql);
    text_append(&sql, " FROM temp.");
    text_append_sql_name(&sql, input->staged);
    text_printf(&sql, " WHERE %s", condition);
    Status rc = duck_exec(conn, text_str(&sql), err);
    text_free(&sql);
    return rc;
}

/* Late rows, and those without event time where they are left out. */
static Status reject_untimely(const OpInput *input, DuckConn *conn, const StreamOperatorBatch *batch, Error *err)
{
    Text condition = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    if (input->counter->failed > 0) {
        text_append(&condition, "NOT (");
        append_in_time(input, batch->late_us, &condition);
        text_append_char(&condition, ')');
        TRY(reject(input, conn, batch, REASON_LATE, text_str(&condition), err));
    }
    if (input->needs_time) {
        text_clear(&condition);
        text_append_sql_name(&condition, input->event_time);
        text_append(&condition, " IS NULL");
        TRY(reject(input, conn, batch, REASON_NO_TIME, text_str(&condition), err));
    }
out:
    text_free(&condition);
    return rc;
}

void op_input_append_in_time(const OpInput *input, const StreamOperatorBatch *batch, Text *sql)
{
    append_in_time(input, batch->late_us, sql);
}

Status op_input_end(OpInput *input, DuckConn *conn, const StreamOperatorBatch *batch, int64_t *rows, int64_t *late,
                    Error *err)
{
    Status rc = OK;

    if (batch->rejected) {
        TRY(reject_untimely(input, conn, batch, err));
    }
    *rows = counts(input, batch) ? input->counter->passed : -1;
    *late = input->counter->failed;
out:
    return rc;
}

Status op_input_drop(const OpInput *input, DuckConn *conn, const StreamOperatorBatch *batch, Error *err)
{
    return batch->rejected ? duck_execf(conn, err, "DROP TABLE IF EXISTS temp.\"%s\"", input->staged) : OK;
}
