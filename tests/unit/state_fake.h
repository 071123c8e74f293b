/* stream/state.h over plain tables: a save is a copy. For tests of operators, which need no files. */
#ifndef FRESHET_TEST_STATE_FAKE_H
#define FRESHET_TEST_STATE_FAKE_H

#include "base/mem.h"
#include "base/text.h"
#include "duck/type.h"
#include "stream/state.h"

struct State {
    DuckConn *conn;
    size_t n;
    char *tables[8];
};

Status state_open(DuckConn *c, const StateSpec *spec, State **out, Error *e)
{
    State *state = mem_alloc(sizeof *state);
    Status rc = OK;

    state->conn = c;
    state->n = spec->n_relations;
    for (size_t i = 0; i < state->n && rc == OK; i++) {
        const StateRelation *relation = &spec->relations[i];
        Text sql = TEXT(1 << 20), name = TEXT(256);
        text_printf(&name, "temp.\"state_%zu_%s\"", spec->operator, relation->name);
        text_printf(&sql, "CREATE OR REPLACE TEMP TABLE %s(", text_str(&name));
        for (size_t k = 0; k < relation->n_columns; k++) {
            text_append_sql_name(&sql, relation->columns[k].name);
            text_append_char(&sql, ' ');
            duck_type_sql(relation->columns[k].type, &sql);
            text_append(&sql, ", ");
        }
        text_append(&sql, "_batch BIGINT)");
        rc = duck_exec(c, text_str(&sql), e);
        text_free(&sql);
        state->tables[i] = text_take(&name);
    }
    if (rc == OK) {
        *out = state;
    }
    return rc;
}

void state_close(State *state)
{
    for (size_t i = 0; i < state->n; i++) {
        (void)duck_execf(state->conn, NULL, "DROP TABLE IF EXISTS %s", state->tables[i]);
        mem_free(state->tables[i]);
    }
    mem_free(state);
}

const char *state_table(const State *state, size_t relation)
{
    return state->tables[relation];
}

Status state_expire(State *state, DuckConn *c, size_t relation, int64_t until_us, int64_t *n, Error *e)
{
    DuckResult *result = NULL;
    char sql[256];
    snprintf(sql, sizeof sql, "DELETE FROM %s WHERE expires <= %lld", state->tables[relation], (long long)until_us);
    Status rc = duck_query(c, sql, &result, e);
    if (rc == OK) {
        *n = duck_result_changed(result);
    }
    duck_result_free(result);
    return rc;
}

Status state_load(State *state, DuckConn *c, const json_t *files, Error *e)
{
    Status rc = OK;
    for (size_t i = 0; i < state->n && rc == OK; i++) {
        rc = duck_execf(c, e, "TRUNCATE %s", state->tables[i]);
        if (rc == OK && files) {
            rc = duck_execf(c, e, "INSERT INTO %s FROM saved_%zu", state->tables[i], i);
        }
    }
    return rc;
}

Status state_save(State *state, DuckConn *c, int64_t batch, json_t **files, Error *e)
{
    Status rc = OK;
    for (size_t i = 0; i < state->n && rc == OK; i++) {
        rc = duck_execf(c, e, "CREATE OR REPLACE TEMP TABLE saved_%zu AS FROM %s", i, state->tables[i]);
    }
    if (rc == OK) {
        *files = json_pack("{sI}", "batch", (json_int_t)batch);
    }
    return rc;
}

void state_settle(State *state, int64_t batch)
{
    (void)state;
    (void)batch;
}

#endif
