/* The plan: from the user's query over placeholders to the one SELECT of a batch.
 *
 * Each placeholder is a temporary view of the typed, empty relation; the query binds against these. A batch shadows the
 * views of the sources that advanced (and of the static sides) with common table expressions of the same names, so that
 * a batch costs no statement of its own for them:
 *
 *   WITH "freshet_relation_0" AS NOT MATERIALIZED (<relation of the batch>)
 *   SELECT * EXCLUDE (<flags>)
 *   FROM (SELECT *, freshet_count(slot, condition) AS <flag>, ... FROM (<query>))
 *   WHERE <flags>
 *
 * freshet_count is volatile, so each expectation sees every row exactly once; WHERE names all the flags, so none is
 * optimised away.
 */
#include <string.h>

#include "stream/flow_int.h"

void plan_clear(Flow *flow)
{
    steps_close(flow);
    for (size_t i = 0; i < flow->n_readers; i++) {
        delta_schema_unref(flow->readers[i].schema);
        mem_free(flow->readers[i].empty);
        flow->readers[i].schema = NULL;
        flow->readers[i].empty = NULL;
    }
    arena_free(flow->columns_arena);
    flow->columns_arena = NULL;
    flow->columns = NULL;
    flow->n_columns = 0;
    flow->planned = false;
    flow->prepared = false;
    text_free(&flow->body);
    flow->body = TEXT(TEXT_SQL_MAX);
}

Status plan_set_time(Flow *flow, int64_t time_ms, Error *err)
{
    char iso[32];

    if (!flow->uses_time) {
        return OK;
    }
    time_iso_ms(time_ms, iso);
    return duck_execf(flow->conn, err, "SET VARIABLE freshet_batch_time = TIMESTAMPTZ '%s'", iso);
}

/* ---- relations ---- */

static char *empty_relation(const DeltaSchema *schema)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    text_append(&sql, "SELECT ");
    for (size_t i = 0; i < schema->n_fields; i++) {
        text_append(&sql, i ? ", NULL::" : "NULL::");
        delta_type_sql(schema->fields[i].type, &sql);
        text_append(&sql, " AS ");
        text_append_sql_name(&sql, schema->fields[i].name);
    }
    text_append(&sql, " WHERE false");
    return text_take(&sql);
}

Status plan_view(Flow *flow, const char *placeholder, const char *relation, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    text_append(&sql, "CREATE OR REPLACE TEMP VIEW ");
    text_append_sql_name(&sql, placeholder);
    text_append(&sql, " AS ");
    text_append(&sql, relation);
    Status rc = duck_exec(flow->conn, text_str(&sql), err);
    text_free(&sql);
    return rc;
}

static Status plan_reader(Flow *flow, FlowReader *reader, bool *ready, Error *err)
{
    DeltaSchema *schema = NULL;
    Status rc = OK;

    TRY(reader->source->ops->schema(reader->source, flow->conn, &schema, err));
    if (!schema) {
        *ready = false;
        goto out;
    }
    reader->schema = schema;
    reader->empty = empty_relation(schema);
    TRY(flow->plan ? steps_plan_leaf(flow, reader, err) : plan_view(flow, reader->placeholder, reader->empty, err));
out:
    return rc;
}

/* The view only has to have the columns; its relation lives no longer than the planning. */
static Status plan_side(Flow *flow, FlowSide *side, Error *err)
{
    char *pinned = NULL;
    Status rc = OK;

    TRY(side->ops.pin(side->ops.context, flow->conn, &pinned, err));
    TRY(side->ops.relation(side->ops.context, flow->conn, pinned, &side->relation, err));
    TRY(plan_view(flow, side->placeholder, side->relation.sql, err));
out:
    mem_free(pinned);
    return rc;
}

/* ---- binding ---- */

static Status check_names(const Flow *flow, Error *err)
{
    for (size_t i = 1; i < flow->n_columns; i++) {
        for (size_t j = 0; j < i; j++) {
            if (str_ieq(flow->columns[i].name, flow->columns[j].name)) {
                error_set(err, E_SQL_BIND, "the query of %s gives two columns named \"%s\"", flow->name,
                          flow->columns[i].name);
                error_hint(err, "give one of them another name with AS");
                return error_status(err);
            }
        }
    }
    return OK;
}

static Status bind_query(Flow *flow, Error *err)
{
    flow->columns_arena = arena_new();
    Status rc = duck_describe_nulls(flow->conn, flow->query, flow->columns_arena, &flow->columns, &flow->n_columns,
                                    err);

    if (rc != OK) {
        if (flow->place) {
            flow->place(flow->place_context, flow->plan ? -1 : duck_error_position(flow->conn), err);
        }
        return rc;
    }
    return check_names(flow, err);
}

static Status bind_rule(Flow *flow, const FlowRule *rule, Error *err)
{
    Arena *arena = arena_new();
    Text sql = TEXT(TEXT_SQL_MAX);
    DuckColumnInfo *columns = NULL;
    size_t n = 0;

    text_printf(&sql, "SELECT CAST((%s\n) AS BOOLEAN) FROM (%s\n)", rule->condition, flow->query);
    Status rc = duck_describe(flow->conn, text_str(&sql), arena, &columns, &n, err);
    if (rc != OK) {
        rc = error_context(err, "expectation %s", rule->name);
        err->place = rule->place;
    }
    text_free(&sql);
    arena_free(arena);
    return rc;
}

/* ---- the statement ---- */

static void append_flag(Text *out, size_t i)
{
    text_printf(out, "freshet_expectation_%zu", i);
}

static bool drops(const FlowRule *rule)
{
    return rule->on_violation == VIOLATION_DROP;
}

static void append_where(const Flow *flow, Text *out)
{
    size_t n = 0;

    text_append(out, " WHERE ");
    for (size_t i = 0; i < flow->n_rules; i++) {
        if (drops(&flow->rules[i])) {
            if (n++ == 0) {
                text_printf(out, "freshet_count(%llu, ", (unsigned long long)flow->kept_slot);
            } else {
                text_append(out, " AND ");
            }
            append_flag(out, i);
        }
    }
    text_append(out, n > 0 ? ")" : "true");
    for (size_t i = 0; i < flow->n_rules; i++) {
        if (!drops(&flow->rules[i])) {
            text_append(out, " AND ");
            append_flag(out, i);
            text_append(out, " IS NOT NULL");
        }
    }
}

static void make_body(Flow *flow)
{
    Text *out = &flow->body;

    if (flow->n_rules == 0) {
        text_printf(out, "SELECT * FROM (%s\n)", flow->query);
        return;
    }
    text_append(out, "SELECT * EXCLUDE (");
    for (size_t i = 0; i < flow->n_rules; i++) {
        text_append(out, i ? ", " : "");
        append_flag(out, i);
    }
    text_append(out, ") FROM (SELECT *");
    for (size_t i = 0; i < flow->n_rules; i++) {
        text_printf(out, ", freshet_count(%llu, CAST((%s\n) AS BOOLEAN)) AS ", (unsigned long long)flow->rules[i].slot,
                    flow->rules[i].condition);
        append_flag(out, i);
    }
    text_printf(out, " FROM (%s\n))", rejected_keeps_output(flow) ? rejected_output() : flow->query);
    append_where(flow, out);
}

static void append_relation(Text *out, bool *any, const char *placeholder, const char *sql)
{
    text_append(out, *any ? ", " : "WITH ");
    text_append_sql_name(out, placeholder);
    text_append(out, " AS NOT MATERIALIZED (");
    text_append(out, sql);
    text_append(out, ")");
    *any = true;
}

/* The relations of the batch, for what follows. */
static void append_relations(const Flow *flow, Text *out)
{
    bool any = false;

    for (size_t i = 0; !flow->plan && i < flow->n_readers; i++) { /* steps have made views of the batch's rows */
        if (flow->readers[i].relation.sql) {
            append_relation(out, &any, flow->readers[i].placeholder, flow->readers[i].relation.sql);
        }
    }
    for (size_t i = 0; !flow->plan && i < flow->n_sides; i++) {
        append_relation(out, &any, flow->sides[i].placeholder, flow->sides[i].relation.sql);
    }
    text_append(out, any ? "\n" : "");
}

void plan_statement(const Flow *flow, Text *out)
{
    if (!rejected_keeps_output(flow)) {
        append_relations(flow, out);
    }
    text_append_n(out, flow->body.data, flow->body.length);
}

void plan_query_statement(const Flow *flow, Text *out)
{
    append_relations(flow, out);
    text_printf(out, "SELECT * FROM (%s\n)", flow->query);
}

Status plan_make(Flow *flow, bool *ready, Error *err)
{
    Status rc = OK;

    *ready = true;
    plan_clear(flow);
    flow->uses_time = flow->plan || strstr(flow->query, "freshet_batch_time") != NULL;
    TRY(plan_set_time(flow, clock_now_ms(), err));
    for (size_t i = 0; i < flow->n_readers; i++) {
        TRY(plan_reader(flow, &flow->readers[i], ready, err));
    }
    if (!*ready) {
        goto out;
    }
    for (size_t i = 0; i < flow->n_sides; i++) {
        TRY(plan_side(flow, &flow->sides[i], err));
    }
    if (flow->plan) {
        TRY(steps_open(flow, err));
    }
    TRY(bind_query(flow, err));
    for (size_t i = 0; i < flow->n_rules; i++) {
        TRY(bind_rule(flow, &flow->rules[i], err));
    }
    make_body(flow);
    flow->planned = true;
out:
    for (size_t i = 0; i < flow->n_sides; i++) {
        stream_relation_release(&flow->sides[i].relation);
    }
    if (!flow->planned) {
        plan_clear(flow);
    }
    return rc;
}
