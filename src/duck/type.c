/* Types: DuckDB's logical types as trees of ours, their SQL spelling, and the way back. */
#include <stdio.h>

#include "duck/duck_int.h"

typedef struct TypeDef {
    duckdb_type duck;
    const char *sql;
    uint8_t width; /* of a value in its vector */
} TypeDef;

/* By DuckTypeId. DECIMAL and ENUM are as wide as they need; widths of 0 are types whose values lie in children. */
static const TypeDef TYPES[] = {
    [DUCK_BOOLEAN] = {DUCKDB_TYPE_BOOLEAN, "BOOLEAN", 1},
    [DUCK_TINYINT] = {DUCKDB_TYPE_TINYINT, "TINYINT", 1},
    [DUCK_SMALLINT] = {DUCKDB_TYPE_SMALLINT, "SMALLINT", 2},
    [DUCK_INTEGER] = {DUCKDB_TYPE_INTEGER, "INTEGER", 4},
    [DUCK_BIGINT] = {DUCKDB_TYPE_BIGINT, "BIGINT", 8},
    [DUCK_HUGEINT] = {DUCKDB_TYPE_HUGEINT, "HUGEINT", 16},
    [DUCK_UTINYINT] = {DUCKDB_TYPE_UTINYINT, "UTINYINT", 1},
    [DUCK_USMALLINT] = {DUCKDB_TYPE_USMALLINT, "USMALLINT", 2},
    [DUCK_UINTEGER] = {DUCKDB_TYPE_UINTEGER, "UINTEGER", 4},
    [DUCK_UBIGINT] = {DUCKDB_TYPE_UBIGINT, "UBIGINT", 8},
    [DUCK_UHUGEINT] = {DUCKDB_TYPE_UHUGEINT, "UHUGEINT", 16},
    [DUCK_FLOAT] = {DUCKDB_TYPE_FLOAT, "FLOAT", 4},
    [DUCK_DOUBLE] = {DUCKDB_TYPE_DOUBLE, "DOUBLE", 8},
    [DUCK_DECIMAL] = {DUCKDB_TYPE_DECIMAL, "DECIMAL", 16},
    [DUCK_VARCHAR] = {DUCKDB_TYPE_VARCHAR, "VARCHAR", 16},
    [DUCK_BLOB] = {DUCKDB_TYPE_BLOB, "BLOB", 16},
    [DUCK_BIT] = {DUCKDB_TYPE_BIT, "BIT", 16},
    [DUCK_UUID] = {DUCKDB_TYPE_UUID, "UUID", 16},
    [DUCK_DATE] = {DUCKDB_TYPE_DATE, "DATE", 4},
    [DUCK_TIME] = {DUCKDB_TYPE_TIME, "TIME", 8},
    [DUCK_TIME_TZ] = {DUCKDB_TYPE_TIME_TZ, "TIME WITH TIME ZONE", 8},
    [DUCK_TIMESTAMP] = {DUCKDB_TYPE_TIMESTAMP, "TIMESTAMP", 8},
    [DUCK_TIMESTAMP_S] = {DUCKDB_TYPE_TIMESTAMP_S, "TIMESTAMP_S", 8},
    [DUCK_TIMESTAMP_MS] = {DUCKDB_TYPE_TIMESTAMP_MS, "TIMESTAMP_MS", 8},
    [DUCK_TIMESTAMP_NS] = {DUCKDB_TYPE_TIMESTAMP_NS, "TIMESTAMP_NS", 8},
    [DUCK_TIMESTAMP_TZ] = {DUCKDB_TYPE_TIMESTAMP_TZ, "TIMESTAMP WITH TIME ZONE", 8},
    [DUCK_INTERVAL] = {DUCKDB_TYPE_INTERVAL, "INTERVAL", 16},
    [DUCK_ENUM] = {DUCKDB_TYPE_ENUM, "ENUM", 4},
    [DUCK_JSON] = {DUCKDB_TYPE_VARCHAR, "JSON", 16},
    [DUCK_VARIANT] = {DUCKDB_TYPE_VARIANT, "VARIANT", 0},
    [DUCK_NULL] = {DUCKDB_TYPE_SQLNULL, "\"NULL\"", 4},
    [DUCK_STRUCT] = {DUCKDB_TYPE_STRUCT, "STRUCT", 0},
    [DUCK_LIST] = {DUCKDB_TYPE_LIST, "LIST", sizeof(DuckListEntry)},
    [DUCK_ARRAY] = {DUCKDB_TYPE_ARRAY, "ARRAY", 0},
    [DUCK_MAP] = {DUCKDB_TYPE_MAP, "MAP", sizeof(DuckListEntry)},
    [DUCK_UNION] = {DUCKDB_TYPE_UNION, "UNION", 0},
    [DUCK_OTHER] = {DUCKDB_TYPE_INVALID, "OTHER", 0},
};
enum { TYPE_COUNT = sizeof TYPES / sizeof *TYPES };

/* Types a user can meet that have no place of their own in DuckTypeId. */
static const TypeDef OTHERS[] = {
    {DUCKDB_TYPE_BIGNUM, "BIGNUM", 16},
    {DUCKDB_TYPE_TIME_NS, "TIME_NS", 8},
    {DUCKDB_TYPE_GEOMETRY, "GEOMETRY", 16},
    {DUCKDB_TYPE_ANY, "ANY", 0},
};

static const TypeDef *other_def(const DuckType *type)
{
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        if (type->other != NULL && strcmp(OTHERS[i].sql, type->other) == 0) {
            return &OTHERS[i];
        }
    }
    return &TYPES[DUCK_OTHER];
}

static DuckTypeId id_of(duckdb_logical_type logical)
{
    duckdb_type duck = duckdb_get_type_id(logical);
    if (duck == DUCKDB_TYPE_VARCHAR) {
        char *alias = duckdb_logical_type_get_alias(logical);
        bool json = alias != NULL && strcmp(alias, "JSON") == 0;
        duckdb_free(alias);
        return json ? DUCK_JSON : DUCK_VARCHAR;
    }
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (TYPES[i].duck == duck && i != DUCK_JSON) {
            return (DuckTypeId)i;
        }
    }
    return DUCK_OTHER;
}

/* ---- from DuckDB ---- */

/* How the children of a nested logical type are reached. The names are to be freed with duckdb_free. */
typedef struct ChildrenOf {
    idx_t (*count)(duckdb_logical_type);
    char *(*name)(duckdb_logical_type, idx_t);
    duckdb_logical_type (*type)(duckdb_logical_type, idx_t);
} ChildrenOf;

static idx_t one(duckdb_logical_type type)
{
    (void)type;
    return 1;
}
static idx_t two(duckdb_logical_type type)
{
    (void)type;
    return 2;
}
static duckdb_logical_type list_child(duckdb_logical_type type, idx_t i)
{
    (void)i;
    return duckdb_list_type_child_type(type);
}
static duckdb_logical_type array_child(duckdb_logical_type type, idx_t i)
{
    (void)i;
    return duckdb_array_type_child_type(type);
}
static duckdb_logical_type map_child(duckdb_logical_type type, idx_t i)
{
    return i == 0 ? duckdb_map_type_key_type(type) : duckdb_map_type_value_type(type);
}

static const ChildrenOf CHILDREN[TYPE_COUNT] = {
    [DUCK_STRUCT] = {duckdb_struct_type_child_count, duckdb_struct_type_child_name, duckdb_struct_type_child_type},
    [DUCK_UNION] = {duckdb_union_type_member_count, duckdb_union_type_member_name, duckdb_union_type_member_type},
    [DUCK_LIST] = {one, NULL, list_child},
    [DUCK_ARRAY] = {one, NULL, array_child},
    [DUCK_MAP] = {two, NULL, map_child},
};

static Status build(duckdb_logical_type logical, Arena *arena, int depth, const DuckType **out, Error *err);

static Status build_members(duckdb_logical_type logical, Arena *arena, int depth, DuckType *type, Error *err)
{
    const ChildrenOf *children = &CHILDREN[type->id];
    size_t n = (size_t)children->count(logical);
    DuckTypeMember *members = arena_alloc(arena, (n + 1) * sizeof *members);
    for (size_t i = 0; i < n; i++) {
        if (children->name != NULL) {
            char *name = children->name(logical, i);
            members[i].name = arena_strdup(arena, name == NULL ? "" : name);
            duckdb_free(name);
        } else {
            members[i].name = type->id != DUCK_MAP ? "element" : i == 0 ? "key" : "value";
        }
        duckdb_logical_type child = children->type(logical, i);
        Status rc = build(child, arena, depth + 1, &members[i].type, err);
        duckdb_destroy_logical_type(&child);
        if (rc != OK) {
            return rc;
        }
    }
    type->members = members;
    type->n_members = n;
    return OK;
}

static void build_enum(duckdb_logical_type logical, Arena *arena, DuckType *type)
{
    size_t n = duckdb_enum_dictionary_size(logical);
    DuckTypeMember *members = arena_alloc(arena, (n + 1) * sizeof *members);
    for (size_t i = 0; i < n; i++) {
        char *name = duckdb_enum_dictionary_value(logical, i);
        members[i].name = arena_strdup(arena, name == NULL ? "" : name);
        duckdb_free(name);
    }
    type->members = members;
    type->n_members = n;
}

static Status build(duckdb_logical_type logical, Arena *arena, int depth, const DuckType **out, Error *err)
{
    if (depth > DUCK_TYPE_DEPTH_MAX) {
        return error_set(err, E_LIMIT, "a type is nested more than %d levels deep", DUCK_TYPE_DEPTH_MAX);
    }
    DuckType *type = arena_alloc(arena, sizeof *type);
    type->id = id_of(logical);
    if (CHILDREN[type->id].count != NULL) {
        Status rc = build_members(logical, arena, depth, type, err);
        if (rc != OK) {
            return rc;
        }
    }
    switch (type->id) {
    case DUCK_DECIMAL:
        type->precision = duckdb_decimal_width(logical);
        type->scale = duckdb_decimal_scale(logical);
        break;
    case DUCK_ENUM: build_enum(logical, arena, type); break;
    case DUCK_ARRAY: type->array_size = (size_t)duckdb_array_type_array_size(logical); break;
    case DUCK_OTHER:
        type->other = "UNKNOWN";
        for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
            if (OTHERS[i].duck == duckdb_get_type_id(logical)) {
                type->other = OTHERS[i].sql;
            }
        }
        break;
    default: break;
    }
    *out = type;
    return OK;
}

Status duck_type_from_logical(duckdb_logical_type logical, Arena *arena, const DuckType **out, Error *err)
{
    return build(logical, arena, 0, out, err);
}

/* ---- to DuckDB ---- */

static duckdb_logical_type logical_nested(const DuckType *type)
{
    size_t n = type->n_members;
    duckdb_logical_type *children = mem_alloc((n + 1) * sizeof(duckdb_logical_type)), result = NULL;
    const char **names = mem_alloc((n + 1) * sizeof(char *));
    size_t made = 0;
    for (; made < n; made++) {
        names[made] = type->members[made].name;
        if ((children[made] = duck_type_to_logical(type->members[made].type)) == NULL) {
            goto out;
        }
    }
    switch (type->id) {
    case DUCK_STRUCT: result = duckdb_create_struct_type(children, names, n); break;
    case DUCK_UNION: result = duckdb_create_union_type(children, names, n); break;
    case DUCK_LIST: result = duckdb_create_list_type(children[0]); break;
    case DUCK_ARRAY: result = duckdb_create_array_type(children[0], type->array_size); break;
    case DUCK_MAP: result = duckdb_create_map_type(children[0], children[1]); break;
    default: break;
    }
out:
    for (size_t i = 0; i < made; i++) {
        duckdb_destroy_logical_type(&children[i]);
    }
    mem_free(children);
    mem_free(names);
    return result;
}

static duckdb_logical_type logical_enum(const DuckType *type)
{
    const char **names = mem_alloc((type->n_members + 1) * sizeof *names);
    for (size_t i = 0; i < type->n_members; i++) {
        names[i] = type->members[i].name;
    }
    duckdb_logical_type result = duckdb_create_enum_type(names, type->n_members);
    mem_free(names);
    return result;
}

duckdb_logical_type duck_type_to_logical(const DuckType *type)
{
    duckdb_logical_type result;
    switch (type->id) {
    case DUCK_STRUCT:
    case DUCK_UNION:
    case DUCK_LIST:
    case DUCK_ARRAY:
    case DUCK_MAP: return logical_nested(type);
    case DUCK_ENUM: return logical_enum(type);
    case DUCK_DECIMAL: return duckdb_create_decimal_type(type->precision, type->scale);
    case DUCK_VARIANT: return NULL;
    case DUCK_OTHER:
        return other_def(type)->duck == DUCKDB_TYPE_INVALID ? NULL : duckdb_create_logical_type(other_def(type)->duck);
    case DUCK_JSON:
        result = duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
        duckdb_logical_type_set_alias(result, "JSON");
        return result;
    default: return duckdb_create_logical_type(TYPES[type->id].duck);
    }
}

/* The spellings our own functions use most need no statement: 20 of them would cost milliseconds at every start. */
static duckdb_logical_type parse_known(const char *sql, size_t n)
{
    if (n > 2 && sql[n - 2] == '[' && sql[n - 1] == ']') {
        duckdb_logical_type element = parse_known(sql, n - 2), list = NULL;
        if (element != NULL) {
            list = duckdb_create_list_type(element);
            duckdb_destroy_logical_type(&element);
        }
        return list;
    }
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        bool plain = CHILDREN[i].count == NULL && i != DUCK_DECIMAL && i != DUCK_ENUM && i != DUCK_NULL;
        if (plain && strlen(TYPES[i].sql) == n && strncmp(TYPES[i].sql, sql, n) == 0) {
            return duck_type_to_logical(&(DuckType){.id = (DuckTypeId)i});
        }
    }
    if (n == 3 && strncmp(sql, "ANY", n) == 0) {
        return duckdb_create_logical_type(DUCKDB_TYPE_ANY);
    }
    return NULL;
}

Status duck_type_parse_logical(DuckConn *conn, const char *sql, duckdb_logical_type *out, Error *err)
{
    duckdb_logical_type known = parse_known(sql, strlen(sql));
    if (known != NULL) {
        *out = known;
        return OK;
    }
    Arena *arena = arena_new();
    Text statement = TEXT(1 << 16);
    text_printf(&statement, "SELECT NULL::%s", sql);
    DuckColumnInfo *columns;
    size_t n;
    Status rc = duck_describe(conn, text_str(&statement), arena, &columns, &n, err);
    if (rc == OK && (n != 1 || (known = duck_type_to_logical(columns[0].type)) == NULL)) {
        rc = error_set(err, E_INTERNAL, "%s is not a type a function can have", sql);
    }
    if (rc == OK) {
        *out = known;
    }
    text_free(&statement);
    arena_free(arena);
    return rc;
}

/* ---- for everybody ---- */

size_t duck_type_width(const DuckType *type)
{
    switch (type->id) {
    case DUCK_DECIMAL: return type->precision <= 4 ? 2 : type->precision <= 9 ? 4 : type->precision <= 18 ? 8 : 16;
    case DUCK_ENUM: return type->n_members <= UINT8_MAX ? 1 : type->n_members <= UINT16_MAX ? 2 : 4;
    case DUCK_OTHER: return other_def(type)->width;
    default: return TYPES[type->id].width;
    }
}

static void sql_members(const DuckType *type, Text *out)
{
    text_printf(out, "%s(", TYPES[type->id].sql);
    for (size_t i = 0; i < type->n_members; i++) {
        text_append(out, i == 0 ? "" : ", ");
        if (type->id == DUCK_STRUCT || type->id == DUCK_UNION) {
            text_append_sql_name(out, type->members[i].name);
            text_append_char(out, ' ');
        }
        duck_type_sql(type->members[i].type, out);
    }
    text_append_char(out, ')');
}

void duck_type_sql(const DuckType *type, Text *out)
{
    switch (type->id) {
    case DUCK_DECIMAL: text_printf(out, "DECIMAL(%u,%u)", type->precision, type->scale); break;
    case DUCK_LIST:
        duck_type_sql(type->members[0].type, out);
        text_append(out, "[]");
        break;
    case DUCK_ARRAY:
        duck_type_sql(type->members[0].type, out);
        text_printf(out, "[%zu]", type->array_size);
        break;
    case DUCK_STRUCT:
    case DUCK_UNION:
    case DUCK_MAP: sql_members(type, out); break;
    case DUCK_ENUM:
        text_append(out, "ENUM(");
        for (size_t i = 0; i < type->n_members; i++) {
            text_append(out, i == 0 ? "" : ", ");
            text_append_sql_string(out, type->members[i].name);
        }
        text_append_char(out, ')');
        break;
    case DUCK_OTHER: text_append(out, type->other == NULL ? TYPES[DUCK_OTHER].sql : type->other); break;
    default: text_append(out, TYPES[type->id].sql); break;
    }
}

bool duck_type_equal(const DuckType *a, const DuckType *b)
{
    if (a == b) {
        return true;
    }
    if (a->id != b->id || a->n_members != b->n_members || a->array_size != b->array_size ||
        (a->id == DUCK_DECIMAL && (a->precision != b->precision || a->scale != b->scale)) ||
        (a->id == DUCK_OTHER && other_def(a) != other_def(b))) {
        return false;
    }
    bool named = a->id == DUCK_STRUCT || a->id == DUCK_UNION || a->id == DUCK_ENUM;
    for (size_t i = 0; i < a->n_members; i++) {
        if (named && strcmp(a->members[i].name, b->members[i].name) != 0) {
            return false;
        }
        if (a->id != DUCK_ENUM && !duck_type_equal(a->members[i].type, b->members[i].type)) {
            return false;
        }
    }
    return true;
}
