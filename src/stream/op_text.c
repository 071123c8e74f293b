#include "stream/op_text.h"

#include <string.h>

Status op_run_text(DuckConn *conn, Text *sql, Error *err)
{
    Status rc = duck_exec(conn, text_str(sql), err);

    text_free(sql);
    return rc;
}

Status op_count_rows(DuckConn *conn, const char *table, int64_t *rows, Error *err)
{
    Text sql = TEXT(4096);

    text_printf(&sql, "SELECT count(*) FROM %s", table);
    Status rc = duck_query_numbers(conn, text_str(&sql), rows, 1, err);
    text_free(&sql);
    return rc;
}

bool op_type_is_time(const DuckType *type)
{
    switch (type->id) {
    case DUCK_TIMESTAMP:
    case DUCK_TIMESTAMP_S:
    case DUCK_TIMESTAMP_MS:
    case DUCK_TIMESTAMP_NS:
    case DUCK_TIMESTAMP_TZ:
    case DUCK_DATE: return true;
    default: return false;
    }
}

bool op_type_is_window(const DuckType *type)
{
    return type->id == DUCK_STRUCT && type->n_members == 2 && strcmp(type->members[1].name, "end") == 0 &&
           op_type_is_time(type->members[1].type);
}

void op_append_window_type(const DuckType *time, Text *out)
{
    static const DuckType TIMESTAMP = {.id = DUCK_TIMESTAMP};
    const DuckType *type = time->id == DUCK_DATE ? &TIMESTAMP : time;

    text_append(out, "STRUCT(\"start\" ");
    duck_type_sql(type, out);
    text_append(out, ", \"end\" ");
    duck_type_sql(type, out);
    text_append_char(out, ')');
}

void op_append_window(const char *make, const char *start_us, const char *end_us, const char *type, Text *out)
{
    text_printf(out, "CAST({'start': %s(%s), 'end': %s(%s)} AS %s)", make, start_us, make, end_us, type);
}

const char *op_make_time(const DuckType *time)
{
    return time->id == DUCK_TIMESTAMP_TZ ? "make_timestamptz" : "make_timestamp";
}
