/* Store assignment: the SQL that turns a query's value into a column's type. */
#include <string.h>

#include "delta/schema_int.h"

/* What kinds of values may become what; the rest is refused. */
typedef enum Kind {
    KIND_NONE,
    KIND_BOOLEAN,
    KIND_INTEGER,
    KIND_REAL,
    KIND_DECIMAL,
    KIND_TEXT,
    KIND_BYTES,
    KIND_TIME
} Kind;

static const struct {
    DuckTypeId id;
    Kind kind;
    DeltaTypeId twin; /* the Delta type that DuckDB stores the same way; DELTA_VOID = none */
    int bits;         /* KIND_INTEGER: of the widest value, without sign */
} SCALARS[] = {
    {DUCK_BOOLEAN, KIND_BOOLEAN, DELTA_BOOLEAN, 0},
    {DUCK_TINYINT, KIND_INTEGER, DELTA_BYTE, 7},
    {DUCK_SMALLINT, KIND_INTEGER, DELTA_SHORT, 15},
    {DUCK_INTEGER, KIND_INTEGER, DELTA_INTEGER, 31},
    {DUCK_BIGINT, KIND_INTEGER, DELTA_LONG, 63},
    {DUCK_HUGEINT, KIND_INTEGER, DELTA_VOID, 127},
    {DUCK_UTINYINT, KIND_INTEGER, DELTA_VOID, 8},
    {DUCK_USMALLINT, KIND_INTEGER, DELTA_VOID, 16},
    {DUCK_UINTEGER, KIND_INTEGER, DELTA_VOID, 32},
    {DUCK_UBIGINT, KIND_INTEGER, DELTA_VOID, 64},
    {DUCK_FLOAT, KIND_REAL, DELTA_FLOAT, 0},
    {DUCK_DOUBLE, KIND_REAL, DELTA_DOUBLE, 0},
    {DUCK_DECIMAL, KIND_DECIMAL, DELTA_DECIMAL, 0},
    {DUCK_VARCHAR, KIND_TEXT, DELTA_STRING, 0},
    {DUCK_JSON, KIND_TEXT, DELTA_VOID, 0},
    {DUCK_UUID, KIND_TEXT, DELTA_VOID, 0},
    {DUCK_ENUM, KIND_TEXT, DELTA_VOID, 0},
    {DUCK_BLOB, KIND_BYTES, DELTA_BINARY, 0},
    {DUCK_DATE, KIND_TIME, DELTA_DATE, 0},
    {DUCK_TIMESTAMP, KIND_TIME, DELTA_TIMESTAMP_NTZ, 0},
    {DUCK_TIMESTAMP_S, KIND_TIME, DELTA_VOID, 0},
    {DUCK_TIMESTAMP_MS, KIND_TIME, DELTA_VOID, 0},
    {DUCK_TIMESTAMP_TZ, KIND_TIME, DELTA_TIMESTAMP, 0},
    {DUCK_VARIANT, KIND_NONE, DELTA_VARIANT, 0},
};

static const Kind KIND_OF[] = {
    [DELTA_BOOLEAN] = KIND_BOOLEAN,    [DELTA_BYTE] = KIND_INTEGER,    [DELTA_SHORT] = KIND_INTEGER,
    [DELTA_INTEGER] = KIND_INTEGER,    [DELTA_LONG] = KIND_INTEGER,    [DELTA_FLOAT] = KIND_REAL,
    [DELTA_DOUBLE] = KIND_REAL,        [DELTA_DECIMAL] = KIND_DECIMAL, [DELTA_STRING] = KIND_TEXT,
    [DELTA_BINARY] = KIND_BYTES,       [DELTA_DATE] = KIND_TIME,       [DELTA_TIMESTAMP] = KIND_TIME,
    [DELTA_TIMESTAMP_NTZ] = KIND_TIME, [DELTA_VARIANT] = KIND_NONE,    [DELTA_VOID] = KIND_NONE,
    [DELTA_STRUCT] = KIND_NONE,        [DELTA_ARRAY] = KIND_NONE,      [DELTA_MAP] = KIND_NONE,
};

static const int BITS_OF[] = {[DELTA_BYTE] = 7, [DELTA_SHORT] = 15, [DELTA_INTEGER] = 31, [DELTA_LONG] = 63};

static int scalar_index(DuckTypeId id)
{
    for (int i = 0; i < (int)(sizeof SCALARS / sizeof *SCALARS); i++) {
        if (SCALARS[i].id == id) {
            return i;
        }
    }
    return -1;
}

/* The same SQL type on both sides: no cast is needed. */
static bool is_plain(const DuckType *from, const DeltaType *to)
{
    int i = scalar_index(from->id);

    if (i >= 0) {
        return SCALARS[i].twin == to->id &&
               (to->id != DELTA_DECIMAL || (from->precision == to->precision && from->scale == to->scale));
    }
    if ((from->id == DUCK_STRUCT) != (to->id == DELTA_STRUCT) || (from->id == DUCK_LIST) != (to->id == DELTA_ARRAY) ||
        (from->id == DUCK_MAP) != (to->id == DELTA_MAP) || !delta_type_is_nested(to) ||
        from->n_members != to->n_fields) {
        return false;
    }
    for (size_t m = 0; m < to->n_fields; m++) {
        if ((to->id == DELTA_STRUCT && strcmp(from->members[m].name, to->fields[m].name) != 0) ||
            !is_plain(from->members[m].type, to->fields[m].type)) {
            return false;
        }
    }
    return true;
}

/* May a scalar be stored, and how? */
static bool can_assign(Kind from, Kind to)
{
    bool numbers = from >= KIND_INTEGER && from <= KIND_DECIMAL && to >= KIND_INTEGER && to <= KIND_DECIMAL;

    return from != KIND_NONE && (from == to || numbers || (to == KIND_TEXT && from != KIND_BYTES));
}

static Status refuse(const DuckType *from, const DeltaType *to, const char *column, Error *err)
{
    Text have = TEXT(1024), want = TEXT(1024), sql = TEXT(512);
    Status rc;

    duck_type_sql(from, &have);
    delta_type_name(to, &want);
    delta_type_sql(to, &sql);
    rc = error_set(err, E_DELTA_SCHEMA, "column \"%s\" is %.400s in the table and cannot take %.400s", column,
                   text_str(&want), text_str(&have));
    error_klass(err, "DELTA_FAILED_TO_MERGE_FIELDS");
    if (!delta_type_is_nested(to)) {
        error_hint(err, "cast it in the query: CAST(... AS %s)", text_str(&sql));
    }
    text_free(&have);
    text_free(&want);
    text_free(&sql);
    return rc;
}

static void cast_sql(const char *expression, const DeltaType *to, Text *out)
{
    text_append(out, "CAST(");
    text_append(out, expression);
    text_append(out, " AS ");
    delta_type_sql(to, out);
    text_append(out, ")");
}

/* freshet_narrow(value, bits, column) fails with the column's name where DuckDB's own cast would not know it. */
static void narrow_sql(const char *expression, Kind from, const DeltaType *to, const char *column, Text *out)
{
    text_append(out, "CAST(freshet_narrow(CAST(");
    if (from != KIND_INTEGER) {
        text_append(out, "trunc(");
    }
    text_append(out, expression);
    text_append(out, from != KIND_INTEGER ? ") AS HUGEINT), " : " AS HUGEINT), ");
    text_printf(out, "%d, ", BITS_OF[to->id]);
    text_append_sql_string(out, column);
    text_append(out, ") AS ");
    delta_type_sql(to, out);
    text_append(out, ")");
}

static Status assign_scalar(const char *expression, const DuckType *from, const DeltaType *to, const char *column,
                            Text *out, Error *err)
{
    int i = scalar_index(from->id);

    if (i < 0 || !can_assign(SCALARS[i].kind, KIND_OF[to->id])) {
        return refuse(from, to, column, err);
    }
    if (KIND_OF[to->id] == KIND_INTEGER && (SCALARS[i].kind != KIND_INTEGER || SCALARS[i].bits > BITS_OF[to->id])) {
        narrow_sql(expression, SCALARS[i].kind, to, column, out);
    } else {
        cast_sql(expression, to, out);
    }
    return OK;
}

static Status assign(const char *expression, const DuckType *from, const DeltaType *to, const char *column, int depth,
                     Text *out, Error *err);

static Status assign_struct(const char *expression, const DuckType *from, const DeltaType *to, const char *column,
                            int depth, Text *out, Error *err)
{
    Status rc = OK;
    Text inner = TEXT(TEXT_SQL_MAX), path = TEXT(64 << 10);

    text_append(out, "CASE WHEN ");
    text_append(out, expression);
    text_append(out, " IS NULL THEN NULL ELSE struct_pack(");
    for (size_t i = 0; i < to->n_fields; i++) {
        const DeltaField *field = &to->fields[i];
        const DuckTypeMember *member = NULL;
        for (size_t m = 0; m < from->n_members && !member; m++) {
            member = str_ieq(from->members[m].name, field->name) ? &from->members[m] : NULL;
        }
        text_append(out, i ? ", " : "");
        text_append_sql_name(out, field->name);
        text_append(out, " := ");
        text_clear(&inner);
        text_clear(&path);
        text_printf(&path, "%s.%s", column, field->name);
        if (member) {
            text_append(&inner, "struct_extract(");
            text_append(&inner, expression);
            text_append(&inner, ", ");
            text_append_sql_string(&inner, member->name);
            text_append(&inner, ")");
            TRY(assign(text_str(&inner), member->type, field->type, text_str(&path), depth, out, err));
        } else if (field->nullable) {
            cast_sql("NULL", field->type, out);
        } else {
            TRY(error_set(err, E_DELTA_NOT_NULL, "column \"%s\" is NOT NULL and the query does not give it",
                          text_str(&path)));
        }
    }
    text_append(out, ") END");
out:
    text_free(&inner);
    text_free(&path);
    return rc;
}

static Status assign_list(const char *expression, const DuckType *from, const DeltaType *to, const char *column,
                          int depth, Text *out, Error *err)
{
    Status rc = OK;
    Text item = TEXT(64), path = TEXT(64 << 10);

    text_printf(&item, "freshet_e%d", depth);
    text_printf(&path, "%s.element", column);
    text_append(out, "list_transform(");
    if (from->id == DUCK_ARRAY) { /* fixed length */
        text_append(out, "CAST(");
    }
    text_append(out, expression);
    if (from->id == DUCK_ARRAY) {
        text_append(out, " AS ");
        duck_type_sql(from->members[0].type, out);
        text_append(out, "[])");
    }
    text_printf(out, ", lambda %s: ", text_str(&item));
    TRY(assign(text_str(&item), from->members[0].type, to->fields[0].type, text_str(&path), depth + 1, out, err));
    text_append(out, ")");
out:
    text_free(&item);
    text_free(&path);
    return rc;
}

static Status assign_map(const char *expression, const DuckType *from, const DeltaType *to, const char *column,
                         int depth, Text *out, Error *err)
{
    static const char *const PARTS[] = {"key", "value"};
    Status rc = OK;
    Text item = TEXT(64), path = TEXT(64 << 10);

    text_append(out, "map_from_entries(list_transform(map_entries(");
    text_append(out, expression);
    text_printf(out, "), lambda freshet_e%d: struct_pack(", depth);
    for (size_t i = 0; i < 2; i++) {
        text_clear(&item);
        text_clear(&path);
        text_printf(&item, "freshet_e%d.%s", depth, PARTS[i]);
        text_printf(&path, "%s.%s", column, PARTS[i]);
        text_printf(out, "%s%s := ", i ? ", " : "", PARTS[i]);
        TRY(assign(text_str(&item), from->members[i].type, to->fields[i].type, text_str(&path), depth + 1, out, err));
    }
    text_append(out, ")))");
out:
    text_free(&item);
    text_free(&path);
    return rc;
}

static Status assign(const char *expression, const DuckType *from, const DeltaType *to, const char *column, int depth,
                     Text *out, Error *err)
{
    if (is_plain(from, to)) {
        text_append(out, expression);
        return OK;
    }
    if (from->id == DUCK_NULL || from->bare_null) {
        cast_sql("NULL", to, out); /* not the expression: by now DuckDB may take it for an INTEGER */
        return OK;
    }
    if (to->id == DELTA_STRUCT && from->id == DUCK_STRUCT && to->n_fields > 0) {
        return assign_struct(expression, from, to, column, depth, out, err);
    }
    if (to->id == DELTA_ARRAY && (from->id == DUCK_LIST || from->id == DUCK_ARRAY)) {
        return assign_list(expression, from, to, column, depth, out, err);
    }
    if (to->id == DELTA_MAP && from->id == DUCK_MAP) {
        return assign_map(expression, from, to, column, depth, out, err);
    }
    return assign_scalar(expression, from, to, column, out, err);
}

Status delta_assign_sql(const char *expression, const DuckType *from, const DeltaType *to, const char *column,
                        Text *out, Error *err)
{
    return assign(expression, from, to, column, 1, out, err);
}
