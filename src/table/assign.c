#include "table/assign.h"

#include <string.h>

#include "delta/column_default.h"
#include "table/rows.h"

typedef struct Assign {
    DuckConn *conn;
    const TableAssignment *set;
    size_t n;
    Arena *arena;
} Assign;

/* "s.a.b" */
static const char *spelled(const Assign *a, const TableAssignment *set)
{
    const char *text = set->column;

    for (size_t i = 0; i < set->n_path; i++) {
        text = arena_printf(a->arena, "%s.%s", text, set->path[i]);
    }
    return text;
}

static bool same_path(const TableAssignment *a, const TableAssignment *b, size_t n)
{
    bool same = str_ieq(a->column, b->column);

    for (size_t i = 0; i < n && same; i++) {
        same = str_ieq(a->path[i], b->path[i]);
    }
    return same;
}

/* No assignment may be inside of another one's place. */
static Status check_twice(const Assign *a, Error *err)
{
    for (size_t i = 0; i < a->n; i++) {
        for (size_t j = 0; j < a->n; j++) {
            if (i != j && a->set[j].n_path >= a->set[i].n_path && same_path(&a->set[i], &a->set[j], a->set[i].n_path)) {
                return error_set(err, E_DELTA_SCHEMA, "column \"%s\" is assigned twice", spelled(a, &a->set[i]));
            }
        }
    }
    return OK;
}

static Status no_field(const Assign *a, const TableAssignment *set, size_t depth, const DeltaType *type, Error *err)
{
    TableAssignment outer = *set;
    outer.n_path = depth;
    const char *column = spelled(a, &outer);

    if (type->id != DELTA_STRUCT) {
        return error_set(err, E_DELTA_SCHEMA, "column \"%s\" is no struct: it has no field \"%s\" to assign", column,
                         set->path[depth]);
    }
    Status rc = error_set(err, E_DELTA_SCHEMA, "column \"%s\" has no field \"%s\"", column, set->path[depth]);
    const char **names = arena_alloc(a->arena, (type->n_fields + 1) * sizeof *names);
    for (size_t i = 0; i < type->n_fields; i++) {
        names[i] = type->fields[i].name;
    }
    const char *nearest = error_nearest(set->path[depth], names, type->n_fields);
    if (nearest != NULL) {
        error_hint(err, "did you mean \"%s\"?", nearest);
    }
    return rc;
}

static Status value_sql(const Assign *a, const DeltaField *field, const TableAssignment *set, Text *out, Error *err)
{
    if (set->expression == NULL) {
        return table_rows_default(a->conn, field, out, err);
    }
    if (set->untyped) {
        table_rows_typed(field, set->expression, out);
    } else {
        text_append(out, set->expression);
    }
    return OK;
}

static const DeltaField *find_field(const DeltaType *type, const char *name)
{
    for (size_t i = 0; i < type->n_fields; i++) {
        if (str_ieq(type->fields[i].name, name)) {
            return &type->fields[i];
        }
    }
    return NULL;
}

/* An assignment at or below field `name` of the struct at the first `depth` steps of `place`; NULL: the field keeps its
 * value. */
static const TableAssignment *find_inside(const Assign *a, const TableAssignment *place, size_t depth, const char *name)
{
    for (size_t i = 0; i < a->n; i++) {
        const TableAssignment *set = &a->set[i];
        if (set->n_path > depth && same_path(set, place, depth) && str_ieq(set->path[depth], name)) {
            return set;
        }
    }
    return NULL;
}

/* Appends the struct `old`, which is at the first `depth` steps of `place`, with what is assigned inside of it. */
static Status struct_sql(const Assign *a, const TableAssignment *place, size_t depth, const DeltaType *type,
                         const char *old, Text *out, Error *err)
{
    Status rc = OK;
    Text member = TEXT(1 << 20);

    for (size_t i = 0; i < a->n; i++) {
        if (a->set[i].n_path > depth && same_path(&a->set[i], place, depth) &&
            (type->id != DELTA_STRUCT || find_field(type, a->set[i].path[depth]) == NULL)) {
            TRY(no_field(a, &a->set[i], depth, type, err));
        }
    }
    text_append(out, "struct_pack(");
    for (size_t i = 0; i < type->n_fields; i++) {
        const DeltaField *field = &type->fields[i];
        const TableAssignment *inside = find_inside(a, place, depth, field->name);
        text_clear(&member);
        text_printf(&member, "struct_extract(%s, ", old);
        text_append_sql_string(&member, field->name);
        text_append(&member, ")");
        text_append(out, i > 0 ? ", " : "");
        text_append_sql_name(out, field->name);
        text_append(out, " := (");
        if (inside == NULL) {
            text_append(out, text_str(&member));
        } else if (inside->n_path == depth + 1) {
            TRY(value_sql(a, field, inside, out, err));
        } else {
            TRY(struct_sql(a, inside, depth + 1, field->type, text_str(&member), out, err));
        }
        text_append(out, ")");
    }
    text_append(out, ")");
out:
    text_free(&member);
    return rc;
}

Status table_assign_check(const DeltaSchema *schema, const TableAssignment *set, size_t n, bool insert, Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < n; i++) {
        size_t column = 0;
        TRY(table_rows_column(schema, set[i].column, &column, err));
        const DeltaField *field = &schema->fields[column];
        if (insert) {
            TRY(set[i].expression != NULL ? delta_identity_check_given(field, err) : OK);
        } else if (delta_is_identity(field)) {
            rc = error_set(err, E_DELTA_SCHEMA, "column \"%s\" is an identity column: its values stay as they are",
                           field->name);
            error_klass(err, "DELTA_IDENTITY_COLUMNS_UPDATE_NOT_SUPPORTED");
            goto out;
        }
    }
out:
    return rc;
}

Status table_assign(DuckConn *conn, const DeltaSchema *schema, const char *alias, const TableAssignment *set, size_t n,
                    Arena *arena, const char **values, Error *err)
{
    Status rc = OK;
    Assign a = {.conn = conn, .set = set, .n = n, .arena = arena};
    Text value = TEXT(TEXT_SQL_MAX), old = TEXT(1 << 16);

    TRY(check_twice(&a, err));
    for (size_t i = 0; i < n; i++) {
        size_t column = 0;
        TRY(table_rows_column(schema, set[i].column, &column, err));
        const DeltaField *field = &schema->fields[column];
        text_clear(&value);
        if (set[i].expression == NULL && table_rows_is_generated(field)) {
            continue; /* computed with the rest of the row */
        }
        if (set[i].n_path == 0) {
            TRY(value_sql(&a, field, &set[i], &value, err));
        } else if (values[column] != NULL) {
            continue; /* a further field of the same column */
        } else {
            text_clear(&old);
            text_append_sql_name(&old, alias);
            text_append_char(&old, '.');
            text_append_sql_name(&old, field->name);
            TRY(struct_sql(&a, &set[i], 0, field->type, text_str(&old), &value, err));
        }
        values[column] = arena_strdup(arena, text_str(&value));
    }
out:
    text_free(&value);
    text_free(&old);
    return rc;
}
