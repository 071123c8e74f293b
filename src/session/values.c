#include "session/values.h"

#include <string.h>

#include "delta/column_default.h"
#include "sql/values.h"
#include "table/rows.h"

typedef struct Defaults {
    const SqlValues *values;
    const DeltaField **fields; /* per column of the values: the table's */
    bool *left_out;            /* DEFAULT in every row */
} Defaults;

static bool is_default_everywhere(const SqlValues *values, size_t column)
{
    for (size_t row = 0; row < values->n_rows; row++) {
        if (values->items[row * values->n_columns + column].text != NULL) {
            return false;
        }
    }
    return true;
}

/* Text in quotes for a column of another type: DuckDB would give it that type in a table of its own. */
static bool is_typed_by_column(const SqlValue *value, const DeltaField *field)
{
    return value->is_string && field->type->id != DELTA_STRING;
}

static Status put_value(Session *session, const Defaults *d, size_t row, size_t column, Text *out, Error *err)
{
    const SqlValue *value = &d->values->items[row * d->values->n_columns + column];
    const DeltaField *field = d->fields[column];

    if (value->text != NULL) {
        is_typed_by_column(value, field) ? table_rows_typed(field, value->text, out) : text_append(out, value->text);
        return OK;
    }
    if (table_rows_is_generated(field)) {
        return error_set(err, E_DELTA_SCHEMA,
                         "the generated column \"%s\" is DEFAULT in all rows of an INSERT or in none", field->name);
    }
    return delta_column_value_sql(session_conn(session), field, out, err);
}

static Status put_rows(Session *session, const Defaults *d, Text *out, Error *err)
{
    Status rc = OK;

    text_append(out, "VALUES ");
    for (size_t row = 0; row < d->values->n_rows; row++) {
        size_t n = 0;
        text_append(out, row > 0 ? ", (" : "(");
        for (size_t column = 0; column < d->values->n_columns; column++) {
            if (!d->left_out[column]) {
                text_append(out, n++ > 0 ? ", " : "");
                TRY(put_value(session, d, row, column, out, err));
            }
        }
        text_append(out, "\n)"); /* a value may end with a line comment */
    }
out:
    return rc;
}

/* Does any value need us, or is the query DuckDB's as it is? */
static bool any_to_put(const Defaults *d)
{
    bool any = d->values->any_default;

    for (size_t i = 0; i < d->values->n_rows * d->values->n_columns && !any; i++) {
        any = is_typed_by_column(&d->values->items[i], d->fields[i % d->values->n_columns]);
    }
    return any;
}

Status session_values(Session *session, DeltaTable *table, Arena *arena, TableInsert *insert, Error *err)
{
    Status rc = OK;
    DeltaSnapshot *snapshot = NULL;
    SqlText query = {.name = "values", .data = insert->query, .length = strlen(insert->query)};
    SqlValues values;
    Text sql = TEXT(TEXT_SQL_MAX);
    size_t n_kept = 0;

    if (insert->by_name || !sql_values_parse(&query, arena, &values) || !(values.any_default || values.any_string)) {
        goto out;
    }
    TRY(delta_table_snapshot(table, session_conn(session), &snapshot, err));
    const DeltaSchema *schema = delta_snapshot_schema(snapshot);
    if (values.n_columns != (insert->columns != NULL ? insert->n_columns : schema->n_fields)) {
        goto out; /* the INSERT says so itself */
    }
    Defaults d = {.values = &values,
                  .fields = arena_alloc(arena, values.n_columns * sizeof *d.fields),
                  .left_out = arena_alloc(arena, values.n_columns * sizeof *d.left_out)};
    const char **kept = arena_alloc(arena, values.n_columns * sizeof *kept);
    for (size_t i = 0; i < values.n_columns; i++) {
        size_t index = i;
        if (insert->columns != NULL) {
            TRY(table_rows_column(schema, insert->columns[i], &index, err));
        }
        d.fields[i] = &schema->fields[index];
        d.left_out[i] = is_default_everywhere(&values, i) && (n_kept > 0 || i + 1 < values.n_columns);
        if (!d.left_out[i]) {
            kept[n_kept++] = arena_strdup(arena, d.fields[i]->name);
        }
    }
    if (!any_to_put(&d)) {
        goto out;
    }
    TRY(put_rows(session, &d, &sql, err));
    insert->query = arena_strdup(arena, text_str(&sql));
    insert->columns = kept;
    insert->n_columns = n_kept;
out:
    text_free(&sql);
    delta_snapshot_unref(snapshot);
    return rc;
}
