/* Results: row by row over DuckDB's chunks. A getter reads the vector of the current chunk; nothing is copied. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "duck/duck_int.h"

typedef struct ResultColumn {
    const DuckType *type;
    duckdb_vector vector; /* of the current chunk */
    const void *data;
    uint64_t *validity;
} ResultColumn;

struct DuckResult {
    DuckConn *conn;
    duckdb_result result;
    duckdb_prepared_statement statement; /* streams; else NULL */
    Arena *arena;                        /* columns and their types */
    ResultColumn *columns;
    size_t n_columns;
    duckdb_data_chunk chunk;
    size_t row,
        rows; /* in the chunk; `row` is one ahead of the current row before the first step: see duck_result_next */
    int64_t changed;
    bool done;
};

Status duck_result_wrap(DuckConn *conn, duckdb_result *result, duckdb_prepared_statement statement, DuckResult **out,
                        Error *err)
{
    Arena *arena = arena_new();
    size_t n = (size_t)duckdb_column_count(result);
    ResultColumn *columns = arena_alloc(arena, (n + 1) * sizeof *columns);
    for (size_t i = 0; i < n; i++) {
        duckdb_logical_type logical = duckdb_column_logical_type(result, i);
        Status rc = duck_type_from_logical(logical, arena, &columns[i].type, err);
        duckdb_destroy_logical_type(&logical);
        if (rc != OK) {
            arena_free(arena);
            return error_context(err, "column %s", duckdb_column_name(result, i));
        }
    }
    DuckResult *r = arena_alloc(arena, sizeof *r);
    *r = (DuckResult){.conn = conn,
                      .result = *result,
                      .statement = statement,
                      .arena = arena,
                      .columns = columns,
                      .n_columns = n,
                      .changed = -1};
    switch (duckdb_result_return_type(*result)) {
    case DUCKDB_RESULT_TYPE_CHANGED_ROWS:
        r->changed = (int64_t)duckdb_rows_changed(result);
        r->done = true;
        break;
    case DUCKDB_RESULT_TYPE_QUERY_RESULT: break;
    default: /* CREATE, SET: no rows, whatever columns DuckDB names */
        r->n_columns = 0;
        r->done = true;
        break;
    }
    *out = r;
    return OK;
}

void duck_result_free(DuckResult *result)
{
    if (result == NULL) {
        return;
    }
    duckdb_destroy_data_chunk(&result->chunk);
    duckdb_destroy_result(&result->result);
    duckdb_destroy_prepare(&result->statement);
    arena_free(result->arena);
}

size_t duck_result_columns(const DuckResult *result)
{
    return result->n_columns;
}

const char *duck_result_name(const DuckResult *result, size_t column)
{
    duckdb_result handle = result->result;
    return duckdb_column_name(&handle, column);
}

int64_t duck_result_changed(const DuckResult *result)
{
    return result->changed;
}

/* The next chunk that has rows; sets `done` when there is none. */
static Status next_chunk(DuckResult *r, Error *err)
{
    duckdb_destroy_data_chunk(&r->chunk);
    r->rows = 0;
    r->chunk = duckdb_fetch_chunk(r->result);
    if (r->chunk == NULL || (r->rows = (size_t)duckdb_data_chunk_get_size(r->chunk)) == 0) {
        r->done = true;
        const char *message = duckdb_result_error(&r->result);
        return message == NULL || message[0] == '\0' ? OK : duck_error_translate(r->conn, message, err);
    }
    for (size_t i = 0; i < r->n_columns; i++) {
        ResultColumn *c = &r->columns[i];
        c->vector = duckdb_data_chunk_get_vector(r->chunk, i);
        c->data = duckdb_vector_get_data(c->vector);
        c->validity = duckdb_vector_get_validity(c->vector);
    }
    r->row = 0;
    return OK;
}

Status duck_result_next(DuckResult *r, bool *more, Error *err)
{
    if (!r->done && r->row + 1 < r->rows) {
        r->row++;
    } else if (!r->done) {
        Status rc = next_chunk(r, err);
        if (rc != OK) {
            return rc;
        }
    }
    *more = !r->done;
    return OK;
}

Status duck_result_pass(DuckResult *r, DuckColumn *outputs, size_t n, size_t *rows, Error *err)
{
    Status rc = OK;

    if (!r->done) {
        TRY(next_chunk(r, err));
    }
    for (size_t i = 0; !r->done && i < n; i++) {
        duckdb_vector_reference_vector(outputs[i].vector, r->columns[i].vector);
        outputs[i].referenced = true;
    }
    *rows = r->done ? 0 : r->rows;
out:
    return rc;
}

/* A getter of the wrong kind is our mistake, and a made-up value would travel far before it is seen. */
static _Noreturn void wrong_getter(const DuckResult *r, size_t column, const char *wanted)
{
    Text type = TEXT(256);
    duck_type_sql(r->columns[column].type, &type);
    fprintf(stderr, "freshet: column %zu (%s) of a result is %s, read as %s\n", column, duck_result_name(r, column),
            text_str(&type), wanted);
    abort();
}

bool duck_result_is_null(const DuckResult *r, size_t column)
{
    const uint64_t *validity = r->columns[column].validity;
    return validity != NULL && !(validity[r->row >> 6] >> (r->row & 63) & 1);
}

int64_t duck_result_i64(const DuckResult *r, size_t column)
{
    const ResultColumn *c = &r->columns[column];
    if (duck_result_is_null(r, column) || c->type->id == DUCK_NULL) {
        return 0;
    }
    DuckInt value;
    if (!duck_load_int(c->type->id, c->data, r->row, &value)) {
        wrong_getter(r, column, "an integer");
    }
    return value > INT64_MAX ? INT64_MAX : value < INT64_MIN ? INT64_MIN : (int64_t)value;
}

const char *duck_result_text(const DuckResult *r, size_t column, size_t *n)
{
    const ResultColumn *c = &r->columns[column];
    *n = 0;
    if (duck_result_is_null(r, column) || c->type->id == DUCK_NULL) {
        return NULL;
    }
    if (c->type->id != DUCK_VARCHAR && c->type->id != DUCK_BLOB && c->type->id != DUCK_JSON) {
        wrong_getter(r, column, "text");
    }
    const DuckString *s = (const DuckString *)c->data + r->row;
    *n = duck_string_length(s);
    return duck_string_data(s);
}

char *duck_result_text_dup(const DuckResult *r, size_t column)
{
    size_t n;
    const char *s = duck_result_text(r, column, &n);
    return s == NULL ? NULL : mem_strndup(s, n);
}

DuckCell duck_result_cell(const DuckResult *r, size_t column)
{
    return (DuckCell){.type = r->columns[column].type, .vector = r->columns[column].vector, .row = r->row};
}

void duck_result_json(const DuckResult *r, size_t column, Text *out)
{
    DuckCell c = duck_result_cell(r, column);
    duck_cell_json(&c, out);
}

void duck_result_row_json(const DuckResult *r, Text *out)
{
    for (size_t i = 0; i < duck_result_columns(r); i++) {
        text_append_char(out, i == 0 ? '{' : ',');
        text_append_json_string(out, duck_result_name(r, i));
        text_append_char(out, ':');
        duck_result_json(r, i, out);
    }
    text_append_char(out, '}');
}

bool duck_result_print(const DuckResult *r, size_t column, Text *out)
{
    if (duck_result_is_null(r, column) || r->columns[column].type->id == DUCK_NULL) {
        return false;
    }
    DuckCell c = duck_result_cell(r, column);
    duck_cell_print(&c, out);
    return true;
}
