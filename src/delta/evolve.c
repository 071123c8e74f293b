/* Schemas against each other: what a query gives against what a table takes, what a reader was planned with against
 * what has become of the table. */
#include <string.h>

#include "delta/constraint.h"
#include "delta/schema_int.h"

/* ---- a query's columns into a table ---- */

typedef struct Reconcile {
    Arena *arena;
    DeltaMerge merge;
} Reconcile;

/* `name`: the path's last part; `fields`: those that are there beside it. */
static Status extra_column(const Reconcile *r, const char *path, const char *name, const DeltaField *fields, size_t n,
                           Error *err)
{
    const char **names = arena_alloc(r->arena, (n + 1) * sizeof *names);

    for (size_t i = 0; i < n; i++) {
        names[i] = fields[i].name;
    }
    const char *nearest = error_nearest(name, names, n);
    Status rc = error_set(err, E_DELTA_SCHEMA, "column \"%s\" of the query is not in the table", path);

    if (nearest != NULL) {
        error_hint(err, "did you mean \"%s\"? a new column is added with mergeSchema = true", nearest);
    } else {
        error_hint(err, "set mergeSchema = true to add it, or leave it out of the query");
    }
    return rc;
}

static Status merge_type(const Reconcile *r, const DeltaType *table, const DuckType *from, const char *path,
                         const DeltaType **out, Error *err);

static const DuckTypeMember *find_member(const DuckType *type, const char *name)
{
    for (size_t i = 0; i < type->n_members; i++) {
        if (str_ieq(type->members[i].name, name)) {
            return &type->members[i];
        }
    }
    return NULL;
}

static Status merge_struct(const Reconcile *r, const DeltaType *table, const DuckType *from, const char *path,
                           const DeltaType **out, Error *err)
{
    Status rc = OK;
    DeltaField *fields = arena_alloc(r->arena, (table->n_fields + from->n_members + 1) * sizeof *fields);
    size_t n = table->n_fields;
    bool changed = false;

    for (size_t i = 0; i < table->n_fields; i++) {
        const DuckTypeMember *member = find_member(from, table->fields[i].name);
        fields[i] = table->fields[i];
        if (member) {
            TRY(merge_type(r, table->fields[i].type, member->type,
                           arena_printf(r->arena, "%s.%s", path, table->fields[i].name), &fields[i].type, err));
            changed |= fields[i].type != table->fields[i].type;
        }
    }
    for (size_t m = 0; m < from->n_members; m++) {
        const DuckTypeMember *member = &from->members[m];
        const char *inner = arena_printf(r->arena, "%s.%s", path, member->name);
        const DeltaType *type = NULL;
        if (delta_field_find(fields, n, member->name) || r->merge == DELTA_MERGE_COLUMNS) {
            continue;
        }
        if (!r->merge) {
            TRY(extra_column(r, inner, member->name, table->fields, table->n_fields, err));
        }
        TRY(delta_type_from_duck(member->type, inner, r->arena, &type, err));
        fields[n++] = delta_field_make(r->arena, member->name, type, true, NULL);
        changed = true;
    }
    *out = changed ? delta_type_struct(r->arena, fields, n) : table;
out:
    return rc;
}

/* The table's type, grown by what the query has in addition. Without `merge` anything additional is an error. */
static Status merge_type(const Reconcile *r, const DeltaType *table, const DuckType *from, const char *path,
                         const DeltaType **out, Error *err)
{
    Status rc = OK;
    const DeltaType *first = NULL, *second = NULL;

    *out = table;
    if (table->id == DELTA_VOID && from->id != DUCK_NULL && !from->bare_null) {
        if (!r->merge) {
            rc = error_set(err, E_DELTA_SCHEMA, "column \"%s\" of the table has no type yet (void)", path);
            error_hint(err, "set mergeSchema = true to give it the type of the query");
            goto out;
        }
        TRY(delta_type_from_duck(from, path, r->arena, out, err));
    } else if (table->id == DELTA_STRUCT && from->id == DUCK_STRUCT) {
        TRY(merge_struct(r, table, from, path, out, err));
    } else if (table->id == DELTA_ARRAY && (from->id == DUCK_LIST || from->id == DUCK_ARRAY)) {
        TRY(merge_type(r, table->fields[0].type, from->members[0].type, arena_printf(r->arena, "%s.element", path),
                       &first, err));
        if (first != table->fields[0].type) {
            *out = delta_type_array(r->arena, first, table->fields[0].nullable);
        }
    } else if (table->id == DELTA_MAP && from->id == DUCK_MAP) {
        TRY(merge_type(r, table->fields[0].type, from->members[0].type, arena_printf(r->arena, "%s.key", path), &first,
                       err));
        TRY(merge_type(r, table->fields[1].type, from->members[1].type, arena_printf(r->arena, "%s.value", path),
                       &second, err));
        if (first != table->fields[0].type || second != table->fields[1].type) {
            *out = delta_type_map(r->arena, first, second, table->fields[1].nullable);
        }
    }
out:
    return rc;
}

static Status check_columns(const DuckColumnInfo *columns, size_t n, Error *err)
{
    Arena *scratch = arena_new();
    DeltaField *fields = arena_alloc(scratch, (n + 1) * sizeof *fields);
    const DeltaField *twice;
    Status rc = OK;

    for (size_t i = 0; i < n; i++) {
        fields[i].name = columns[i].name;
    }
    if ((twice = delta_fields_duplicate(fields, n)) != NULL) {
        rc = error_set(err, E_DELTA_SCHEMA, "the query has two columns named \"%s\" (names match without case)",
                       twice->name);
        error_klass(err, "DELTA_DUPLICATE_COLUMNS_FOUND");
        error_hint(err, "give one of them another name with AS");
    }
    arena_free(scratch);
    return rc;
}

static const DuckColumnInfo *find_column(const DuckColumnInfo *columns, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_ieq(columns[i].name, name)) {
            return &columns[i];
        }
    }
    return NULL;
}

/* The fields of the table as it will be: its own, grown inside, then the query's new ones. */
static Status merge_fields(const Reconcile *r, const DeltaSchema *table, const DuckColumnInfo *columns, size_t n,
                           DeltaField *fields, size_t *n_fields, bool *changed, Error *err)
{
    Status rc = OK;
    size_t count = table->n_fields;

    for (size_t i = 0; i < table->n_fields; i++) {
        const DuckColumnInfo *column = find_column(columns, n, table->fields[i].name);
        fields[i] = table->fields[i];
        if (column) {
            TRY(merge_type(r, table->fields[i].type, column->type, table->fields[i].name, &fields[i].type, err));
            *changed |= fields[i].type != table->fields[i].type;
        }
    }
    for (size_t i = 0; i < n; i++) {
        const DeltaType *type = NULL;
        if (delta_schema_find(table, columns[i].name)) {
            continue;
        }
        if (!r->merge) {
            TRY(extra_column(r, columns[i].name, columns[i].name, table->fields, table->n_fields, err));
        }
        TRY(delta_type_from_duck(columns[i].type, columns[i].name, r->arena, &type, err));
        fields[count++] = delta_field_make(r->arena, columns[i].name, type, true, NULL);
        *changed = true;
    }
    *n_fields = count;
out:
    return rc;
}

/* A column the query does not give: its default, else NULL. Generated and identity columns are NULL here, and get their
 * values from delta_rows_sql. */
static Status missing_sql(Arena *arena, const DeltaField *field, Text *out, Error *err)
{
    const char *expression = delta_field_metadata(arena, field, "CURRENT_DEFAULT");
    bool computed = delta_field_has_metadata(field, "delta.generationExpression") ||
                    delta_field_has_metadata(field, "delta.identity.start");
    Text sql = TEXT(1 << 20);
    Status rc = OK;

    if (!expression && !field->nullable && !computed) {
        TRY(error_set(err, E_DELTA_NOT_NULL, "column \"%s\" is NOT NULL and the query does not give it", field->name));
    }
    if (expression && !delta_spark_sql(expression, &sql)) {
        TRY(error_set(err, E_DELTA_PROTOCOL_WRITE, "the default of column \"%s\" is not understood: %s", field->name,
                      expression));
    }
    text_append(out, "CAST((");
    text_append(out, expression ? text_str(&sql) : "NULL");
    text_append(out, ") AS ");
    delta_type_sql(field->type, out);
    text_append(out, ")");
out:
    text_free(&sql);
    return rc;
}

static Status select_sql(Arena *arena, const DeltaField *fields, size_t n_fields, const DuckColumnInfo *columns,
                         size_t n, Text *out, Error *err)
{
    Status rc = OK;
    Text name = TEXT(DELTA_NAME_MAX * 2 + 16);

    for (size_t i = 0; i < n_fields; i++) {
        const DuckColumnInfo *column = find_column(columns, n, fields[i].name);
        text_append(out, i ? ", " : "");
        if (column) {
            text_clear(&name);
            text_append_sql_name(&name, column->name);
            TRY(delta_assign_sql(text_str(&name), column->type, fields[i].type, fields[i].name, out, err));
        } else {
            TRY(missing_sql(arena, &fields[i], out, err));
        }
        text_append(out, " AS ");
        text_append_sql_name(out, fields[i].name);
    }
out:
    text_free(&name);
    return rc;
}

Status delta_schema_reconcile(const DeltaSchema *table, const DuckColumnInfo *columns, size_t n, DeltaMerge merge,
                              Text *select, DeltaSchema **evolved, Error *err)
{
    Status rc = OK;
    Reconcile r = {.arena = arena_new(), .merge = merge};
    DeltaField *fields = arena_alloc(r.arena, (table->n_fields + n + 1) * sizeof *fields);
    Text sql = TEXT(TEXT_SQL_MAX);
    size_t n_fields = 0;
    bool changed = false;
    DeltaSchemaBuilder *builder;

    TRY(check_columns(columns, n, err));
    TRY(merge_fields(&r, table, columns, n, fields, &n_fields, &changed, err));
    TRY(select_sql(r.arena, fields, n_fields, columns, n, &sql, err));
    text_append(select, text_str(&sql));
    *evolved = NULL;
    if (changed) {
        builder = delta_schema_builder_new(NULL);
        for (size_t i = 0; i < n_fields; i++) {
            delta_schema_builder_add(builder, fields[i].name, fields[i].type, fields[i].nullable, fields[i].metadata);
        }
        *evolved = delta_schema_builder_finish(builder);
    }
out:
    text_free(&sql);
    arena_free(r.arena);
    return rc;
}

static size_t leave_out(DuckColumnInfo *columns, size_t n, const char *const *extra)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        bool out = false;
        for (size_t k = 0; extra != NULL && extra[k] != NULL && !out; k++) {
            out = strcmp(columns[i].name, extra[k]) == 0;
        }
        if (!out) {
            columns[kept++] = columns[i];
        }
    }
    return kept;
}

Status delta_schema_reconcile_query(const DeltaSchema *table, DuckConn *conn, const char *query,
                                    const char *const *extra, DeltaMerge merge, Text *select, DeltaSchema **evolved,
                                    Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    DuckColumnInfo *columns = NULL;
    Error misfit = ERROR_NONE;
    size_t n = 0;

    TRY(duck_describe(conn, query, arena, &columns, &n, err));
    n = leave_out(columns, n, extra);
    if (delta_schema_reconcile(table, columns, n, merge, select, evolved, &misfit) == OK) {
        goto out;
    }
    /* seldom: is what does not fit a NULL? */
    TRY(duck_describe_nulls(conn, query, arena, &columns, &n, err));
    n = leave_out(columns, n, extra);
    TRY(delta_schema_reconcile(table, columns, n, merge, select, evolved, err));
out:
    error_clear(&misfit);
    arena_free(arena);
    return rc;
}

/* ---- two schemas ---- */

static Status differs(Error *err, const char *path, const char *name, const char *what)
{
    Status rc = error_set(err, E_DELTA_SCHEMA, "column \"%s%s\" %s", path, name, what);

    error_klass(err, "DELTA_SCHEMA_CHANGED_WITH_VERSION");
    return rc;
}

static Status check_fields(const DeltaField *read, size_t n_read, const DeltaField *data, size_t n_data,
                           const char *path, Arena *scratch, Error *err);

static Status check_type(const DeltaType *read, const DeltaType *data, const char *path, const char *name,
                         Arena *scratch, Error *err)
{
    const char *inner = arena_printf(scratch, "%s%s.", path, name);

    if (data->id == DELTA_VOID) {
        return OK; /* only NULLs: they fit anything */
    }
    if (read->id != data->id || (read->id == DELTA_DECIMAL && !delta_type_equal(read, data))) {
        Text have = TEXT(256), now = TEXT(256);
        delta_type_name(read, &have);
        delta_type_name(data, &now);
        Status rc = differs(err, path, name,
                            arena_printf(scratch, "is %s now and was read as %s", text_str(&now), text_str(&have)));
        text_free(&have);
        text_free(&now);
        return rc;
    }
    return check_fields(read->fields, read->n_fields, data->fields, data->n_fields, inner, scratch, err);
}

static Status check_fields(const DeltaField *read, size_t n_read, const DeltaField *data, size_t n_data,
                           const char *path, Arena *scratch, Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < n_data; i++) {
        const DeltaField *known = delta_field_find(read, n_read, data[i].name);
        if (!known) {
            return differs(err, path, data[i].name, "is new");
        }
        if (strcmp(known->name, data[i].name) != 0) {
            return differs(err, path, data[i].name, "is spelled differently now");
        }
        if (data[i].nullable && !known->nullable) {
            return differs(err, path, data[i].name, "may be NULL now and was read as NOT NULL");
        }
        TRY(check_type(known->type, data[i].type, path, data[i].name, scratch, err));
    }
out:
    return rc;
}

Status delta_schema_check_read(const DeltaSchema *read, const DeltaSchema *data, Error *err)
{
    Arena *scratch = arena_new();
    Status rc = check_fields(read->fields, read->n_fields, data->fields, data->n_fields, "", scratch, err);

    arena_free(scratch);
    return rc;
}

bool delta_schema_equal(const DeltaSchema *a, const DeltaSchema *b)
{
    Text one = TEXT(TEXT_SQL_MAX), other = TEXT(TEXT_SQL_MAX);
    bool equal;

    delta_schema_json(a, &one);
    delta_schema_json(b, &other);
    equal = strcmp(text_str(&one), text_str(&other)) == 0;
    text_free(&one);
    text_free(&other);
    return equal;
}

/* Does `b` hold all of `a`, unchanged, and nothing new that must not be NULL? */
static bool fields_grow(const DeltaField *a, size_t n_a, const DeltaField *b, size_t n_b)
{
    for (size_t i = 0; i < n_a; i++) {
        const DeltaField *now = delta_field_find(b, n_b, a[i].name);
        if (!now || strcmp(now->name, a[i].name) != 0 || strcmp(now->physical_name, a[i].physical_name) != 0 ||
            now->nullable != a[i].nullable || now->type->id != a[i].type->id ||
            (now->type->id == DELTA_DECIMAL && !delta_type_equal(now->type, a[i].type)) ||
            !fields_grow(a[i].type->fields, a[i].type->n_fields, now->type->fields, now->type->n_fields)) {
            return false;
        }
    }
    for (size_t i = 0; i < n_b; i++) {
        if (!b[i].nullable && !delta_field_find(a, n_a, b[i].name)) {
            return false;
        }
    }
    return true;
}

bool delta_schema_is_additive(const DeltaSchema *a, const DeltaSchema *b)
{
    return fields_grow(a->fields, a->n_fields, b->fields, b->n_fields);
}
