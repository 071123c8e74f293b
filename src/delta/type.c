/* Delta types: building, copying, comparing and naming them, and their DuckDB twins. */
#include <stdio.h>
#include <string.h>

#include "delta/schema_int.h"

/* One row per type: its name in the log and the DuckDB type it is read as and written from. A void column holds only
 * NULLs; DuckDB gives such a column INTEGER too. */
static const struct {
    DeltaType type;
    const char *name, *sql;
} TYPES[] = {
    [DELTA_BOOLEAN] = {{.id = DELTA_BOOLEAN}, "boolean", "BOOLEAN"},
    [DELTA_BYTE] = {{.id = DELTA_BYTE}, "byte", "TINYINT"},
    [DELTA_SHORT] = {{.id = DELTA_SHORT}, "short", "SMALLINT"},
    [DELTA_INTEGER] = {{.id = DELTA_INTEGER}, "integer", "INTEGER"},
    [DELTA_LONG] = {{.id = DELTA_LONG}, "long", "BIGINT"},
    [DELTA_FLOAT] = {{.id = DELTA_FLOAT}, "float", "FLOAT"},
    [DELTA_DOUBLE] = {{.id = DELTA_DOUBLE}, "double", "DOUBLE"},
    [DELTA_DECIMAL] = {{.id = DELTA_DECIMAL, .precision = 10}, "decimal", "DECIMAL"},
    [DELTA_STRING] = {{.id = DELTA_STRING}, "string", "VARCHAR"},
    [DELTA_BINARY] = {{.id = DELTA_BINARY}, "binary", "BLOB"},
    [DELTA_DATE] = {{.id = DELTA_DATE}, "date", "DATE"},
    [DELTA_TIMESTAMP] = {{.id = DELTA_TIMESTAMP}, "timestamp", "TIMESTAMPTZ"},
    [DELTA_TIMESTAMP_NTZ] = {{.id = DELTA_TIMESTAMP_NTZ}, "timestamp_ntz", "TIMESTAMP"},
    [DELTA_VARIANT] = {{.id = DELTA_VARIANT}, "variant", "VARIANT"},
    [DELTA_VOID] = {{.id = DELTA_VOID}, "void", "INTEGER"},
    [DELTA_STRUCT] = {{.id = DELTA_STRUCT}, "struct", "STRUCT"},
    [DELTA_ARRAY] = {{.id = DELTA_ARRAY}, "array", "LIST"},
    [DELTA_MAP] = {{.id = DELTA_MAP}, "map", "MAP"},
};

const DeltaType *delta_type_primitive(DeltaTypeId id)
{
    return &TYPES[id].type;
}

static const DeltaType *decimal_type(Arena *arena, uint8_t precision, uint8_t scale)
{
    DeltaType *type = arena_alloc(arena, sizeof *type);

    *type = (DeltaType){.id = DELTA_DECIMAL, .precision = precision, .scale = scale};
    return type;
}

static const DeltaType *parse_decimal(Arena *arena, const char *text)
{
    int precision = 0, scale = 0, end = 0;

    if (sscanf(text, "decimal ( %d , %d )%n", &precision, &scale, &end) < 2 || end == 0 || text[end] != '\0' ||
        precision < 1 || precision > DELTA_DECIMAL_MAX || scale < 0 || scale > precision) {
        return NULL;
    }
    return decimal_type(arena, (uint8_t)precision, (uint8_t)scale);
}

/* char(n) and varchar(n) are strings with a length that only writers mind. */
static bool is_char(const char *text)
{
    unsigned length = 0;
    int end = 0;

    return (sscanf(text, "char ( %u )%n", &length, &end) == 1 ||
            sscanf(text, "varchar ( %u )%n", &length, &end) == 1) &&
           end > 0 && text[end] == '\0';
}

const DeltaType *delta_type_parse_primitive(Arena *arena, const char *text)
{
    for (DeltaTypeId id = DELTA_BOOLEAN; id < DELTA_STRUCT; id++) {
        if (strcmp(text, TYPES[id].name) == 0) {
            return &TYPES[id].type;
        }
    }
    if (is_char(text)) {
        return delta_type_primitive(DELTA_STRING);
    }
    return parse_decimal(arena, text);
}

const DeltaType *delta_type_struct(Arena *arena, const DeltaField *fields, size_t n)
{
    DeltaType *type = arena_alloc(arena, sizeof *type);
    DeltaField *copy = arena_alloc(arena, (n ? n : 1) * sizeof *copy);

    for (size_t i = 0; i < n; i++) {
        copy[i] = delta_field_copy(arena, &fields[i]);
    }
    *type = (DeltaType){.id = DELTA_STRUCT, .fields = copy, .n_fields = n};
    return type;
}

static DeltaField part(const char *name, const DeltaType *type, bool nullable)
{
    return (DeltaField){.name = name, .type = type, .nullable = nullable, .metadata = "{}", .physical_name = name};
}

const DeltaType *delta_type_array(Arena *arena, const DeltaType *element, bool contains_null)
{
    DeltaType *type = arena_alloc(arena, sizeof *type);
    DeltaField *fields = arena_alloc(arena, sizeof *fields);

    fields[0] = part("element", element, contains_null);
    *type = (DeltaType){.id = DELTA_ARRAY, .fields = fields, .n_fields = 1};
    return type;
}

const DeltaType *delta_type_map(Arena *arena, const DeltaType *key, const DeltaType *value, bool value_contains_null)
{
    DeltaType *type = arena_alloc(arena, sizeof *type);
    DeltaField *fields = arena_alloc(arena, 2 * sizeof *fields);

    fields[0] = part("key", key, false);
    fields[1] = part("value", value, value_contains_null);
    *type = (DeltaType){.id = DELTA_MAP, .fields = fields, .n_fields = 2};
    return type;
}

const DeltaType *delta_type_copy(Arena *arena, const DeltaType *type)
{
    switch (type->id) {
    case DELTA_DECIMAL: return decimal_type(arena, type->precision, type->scale);
    case DELTA_STRUCT: return delta_type_struct(arena, type->fields, type->n_fields);
    case DELTA_ARRAY:
        return delta_type_array(arena, delta_type_copy(arena, type->fields[0].type), type->fields[0].nullable);
    case DELTA_MAP:
        return delta_type_map(arena, delta_type_copy(arena, type->fields[0].type),
                              delta_type_copy(arena, type->fields[1].type), type->fields[1].nullable);
    default: return delta_type_primitive(type->id);
    }
}

DeltaField delta_field_copy(Arena *arena, const DeltaField *field)
{
    DeltaField copy = *field;

    copy.name = arena_strdup(arena, field->name);
    copy.metadata = arena_strdup(arena, field->metadata);
    copy.physical_name = arena_strdup(arena, field->physical_name);
    copy.type = delta_type_copy(arena, field->type);
    return copy;
}

const DeltaField *delta_field_find(const DeltaField *fields, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_ieq(fields[i].name, name)) {
            return &fields[i];
        }
    }
    return NULL;
}

void delta_type_sql(const DeltaType *type, Text *out)
{
    switch (type->id) {
    case DELTA_DECIMAL: text_printf(out, "DECIMAL(%d,%d)", type->precision, type->scale); break;
    case DELTA_ARRAY:
        delta_type_sql(type->fields[0].type, out);
        text_append(out, "[]");
        break;
    case DELTA_MAP:
        text_append(out, "MAP(");
        delta_type_sql(type->fields[0].type, out);
        text_append(out, ", ");
        delta_type_sql(type->fields[1].type, out);
        text_append(out, ")");
        break;
    case DELTA_STRUCT:
        if (type->n_fields == 0) { /* DuckDB has no struct without members; it can only be NULL anyway */
            text_append(out, TYPES[DELTA_VOID].sql);
            break;
        }
        for (size_t i = 0; i < type->n_fields; i++) {
            text_append(out, i ? ", " : "STRUCT(");
            text_append_sql_name(out, type->fields[i].name);
            text_append_char(out, ' ');
            delta_type_sql(type->fields[i].type, out);
        }
        text_append(out, ")");
        break;
    default: text_append(out, TYPES[type->id].sql);
    }
}

void delta_type_name(const DeltaType *type, Text *out)
{
    text_append(out, TYPES[type->id].name);
    if (type->id == DELTA_DECIMAL) {
        text_printf(out, "(%d,%d)", type->precision, type->scale);
    } else if (delta_type_is_nested(type)) {
        text_append_char(out, '<');
        for (size_t i = 0; i < type->n_fields; i++) {
            text_append(out, i ? "," : "");
            if (type->id == DELTA_STRUCT) {
                text_append(out, type->fields[i].name);
                text_append_char(out, ':');
            }
            delta_type_name(type->fields[i].type, out);
        }
        text_append_char(out, '>');
    }
}

bool delta_type_equal(const DeltaType *a, const DeltaType *b)
{
    if (a->id != b->id || a->n_fields != b->n_fields) {
        return false;
    }
    if (a->id == DELTA_DECIMAL) {
        return a->precision == b->precision && a->scale == b->scale;
    }
    for (size_t i = 0; i < a->n_fields; i++) {
        if ((a->id == DELTA_STRUCT && !str_ieq(a->fields[i].name, b->fields[i].name)) ||
            !delta_type_equal(a->fields[i].type, b->fields[i].type)) {
            return false;
        }
    }
    return true;
}

/* ---- from DuckDB's types (language.md, Types) ---- */

/* The widened home of every scalar type that has a lossless one. HUGEINT, which every sum of integers is, becomes long;
 * whoever writes it checks the range. */
static const struct {
    DuckTypeId duck;
    DeltaTypeId delta;
} HOMES[] = {
    {DUCK_BOOLEAN, DELTA_BOOLEAN},
    {DUCK_TINYINT, DELTA_BYTE},
    {DUCK_SMALLINT, DELTA_SHORT},
    {DUCK_INTEGER, DELTA_INTEGER},
    {DUCK_BIGINT, DELTA_LONG},
    {DUCK_HUGEINT, DELTA_LONG},
    {DUCK_UTINYINT, DELTA_SHORT},
    {DUCK_USMALLINT, DELTA_INTEGER},
    {DUCK_UINTEGER, DELTA_LONG},
    {DUCK_FLOAT, DELTA_FLOAT},
    {DUCK_DOUBLE, DELTA_DOUBLE},
    {DUCK_VARCHAR, DELTA_STRING},
    {DUCK_JSON, DELTA_STRING},
    {DUCK_UUID, DELTA_STRING},
    {DUCK_ENUM, DELTA_STRING},
    {DUCK_BLOB, DELTA_BINARY},
    {DUCK_DATE, DELTA_DATE},
    {DUCK_TIMESTAMP, DELTA_TIMESTAMP_NTZ},
    {DUCK_TIMESTAMP_S, DELTA_TIMESTAMP_NTZ},
    {DUCK_TIMESTAMP_MS, DELTA_TIMESTAMP_NTZ},
    {DUCK_TIMESTAMP_TZ, DELTA_TIMESTAMP},
    {DUCK_VARIANT, DELTA_VARIANT},
};

/* What to write instead of the types that have none. */
static const struct {
    DuckTypeId duck;
    const char *hint;
} HINTS[] = {
    {DUCK_NULL, "say which type its NULLs have, for example NULL::VARCHAR"},
    {DUCK_UHUGEINT, "cast it, for example to DECIMAL(38,0) or VARCHAR"},
    {DUCK_TIMESTAMP_NS, "cast it to TIMESTAMP: a Delta table holds microseconds"},
    {DUCK_TIME, "cast it to VARCHAR, or add it to a date"},
    {DUCK_TIME_TZ, "cast it to VARCHAR, or add it to a date"},
    {DUCK_INTERVAL, "keep it as a number, for example epoch(x), or cast it to VARCHAR"},
    {DUCK_BIT, "cast it to VARCHAR"},
    {DUCK_UNION, "take its members apart, for example union_extract(x, 'name')"},
};

static Status refuse(const DuckType *type, const char *column, Error *err)
{
    Text sql = TEXT(1024);
    const char *hint = "cast it to a type that a Delta table has";
    Status rc;

    duck_type_sql(type, &sql);
    for (size_t i = 0; i < sizeof HINTS / sizeof *HINTS; i++) {
        hint = HINTS[i].duck == type->id ? HINTS[i].hint : hint;
    }
    rc = error_set(err, E_DELTA_TYPE, "column \"%s\" is of type %s, which a Delta table does not have", column,
                   text_str(&sql));
    error_hint(err, "%s", hint);
    text_free(&sql);
    return rc;
}

static Status struct_from_duck(const DuckType *type, const char *column, Arena *arena, const DeltaType **out,
                               Error *err)
{
    Status rc = OK;
    DeltaType *made = arena_alloc(arena, sizeof *made);
    DeltaField *fields = arena_alloc(arena, (type->n_members + 1) * sizeof *fields);

    for (size_t i = 0; i < type->n_members; i++) {
        const char *name = type->members[i].name;
        const char *path = arena_printf(arena, "%s.%s", column, name);
        const DeltaType *member = NULL;
        if (name[0] == '\0') {
            TRY(error_set(err, E_DELTA_NAME, "a member of column \"%s\" has no name", column));
        }
        TRY(delta_type_from_duck(type->members[i].type, path, arena, &member, err));
        fields[i] = delta_field_make(arena, name, member, true, NULL);
    }
    const DeltaField *twice = delta_fields_duplicate(fields, type->n_members);
    if (twice) {
        rc = error_set(err, E_DELTA_SCHEMA, "column \"%s\" has two members named \"%s\"", column, twice->name);
        error_klass(err, "DELTA_DUPLICATE_COLUMNS_FOUND");
        goto out;
    }
    *made = (DeltaType){.id = DELTA_STRUCT, .fields = fields, .n_fields = type->n_members};
    *out = made;
out:
    return rc;
}

Status delta_type_from_duck(const DuckType *type, const char *column, Arena *arena, const DeltaType **out, Error *err)
{
    Status rc = OK;
    const DeltaType *first = NULL, *second = NULL;

    for (size_t i = 0; i < sizeof HOMES / sizeof *HOMES; i++) {
        if (HOMES[i].duck == type->id) {
            *out = delta_type_primitive(HOMES[i].delta);
            return OK;
        }
    }
    switch (type->id) {
    case DUCK_UBIGINT: *out = decimal_type(arena, 20, 0); break;
    case DUCK_DECIMAL: *out = decimal_type(arena, type->precision, type->scale); break;
    case DUCK_STRUCT: TRY(struct_from_duck(type, column, arena, out, err)); break;
    case DUCK_LIST:
    case DUCK_ARRAY:
        TRY(delta_type_from_duck(type->members[0].type, arena_printf(arena, "%s.element", column), arena, &first, err));
        *out = delta_type_array(arena, first, true);
        break;
    case DUCK_MAP:
        TRY(delta_type_from_duck(type->members[0].type, arena_printf(arena, "%s.key", column), arena, &first, err));
        TRY(delta_type_from_duck(type->members[1].type, arena_printf(arena, "%s.value", column), arena, &second, err));
        *out = delta_type_map(arena, first, second, true);
        break;
    default: rc = refuse(type, column, err);
    }
out:
    return rc;
}
