/* The type map of a state: how a value of any type gets into a Parquet file and out again, bit by bit.
 *
 *   plain    as it is: DuckDB's Parquet keeps the type, or a cast brings it back
 *   text     as DuckDB's own text, which its cast reads back exactly
 *   bits     DOUBLE and FLOAT as the integer with the same bits: Parquet dictionaries would make -0.0 a 0.0
 *   wide     HUGEINT, UHUGEINT as STRUCT(hi, lo): COPY would make them DOUBLE
 *   span     INTERVAL as STRUCT(months, days, micros): Parquet's own rounds to milliseconds
 *   nested   member by member
 *   none     refused
 */
#include "stream/state_int.h"

typedef enum Home {
    HOME_NONE,
    HOME_PLAIN,
    HOME_TEXT,
    HOME_BITS,
    HOME_WIDE,
    HOME_SPAN,
    HOME_STRUCT,
    HOME_LIST,
    HOME_MAP,
} Home;

static const Home HOMES[DUCK_OTHER + 1] = {
    [DUCK_BOOLEAN] = HOME_PLAIN,     [DUCK_TINYINT] = HOME_PLAIN,      [DUCK_SMALLINT] = HOME_PLAIN,
    [DUCK_INTEGER] = HOME_PLAIN,     [DUCK_BIGINT] = HOME_PLAIN,       [DUCK_HUGEINT] = HOME_WIDE,
    [DUCK_UTINYINT] = HOME_PLAIN,    [DUCK_USMALLINT] = HOME_PLAIN,    [DUCK_UINTEGER] = HOME_PLAIN,
    [DUCK_UBIGINT] = HOME_PLAIN,     [DUCK_UHUGEINT] = HOME_WIDE,      [DUCK_FLOAT] = HOME_BITS,
    [DUCK_DOUBLE] = HOME_BITS,       [DUCK_DECIMAL] = HOME_PLAIN,      [DUCK_VARCHAR] = HOME_PLAIN,
    [DUCK_BLOB] = HOME_PLAIN,        [DUCK_BIT] = HOME_TEXT,           [DUCK_UUID] = HOME_PLAIN,
    [DUCK_DATE] = HOME_PLAIN,        [DUCK_TIME] = HOME_TEXT,          [DUCK_TIME_TZ] = HOME_TEXT,
    [DUCK_TIMESTAMP] = HOME_PLAIN,   [DUCK_TIMESTAMP_S] = HOME_TEXT,   [DUCK_TIMESTAMP_MS] = HOME_TEXT,
    [DUCK_TIMESTAMP_NS] = HOME_TEXT, [DUCK_TIMESTAMP_TZ] = HOME_PLAIN, [DUCK_INTERVAL] = HOME_SPAN,
    [DUCK_ENUM] = HOME_TEXT,         [DUCK_JSON] = HOME_TEXT,          [DUCK_STRUCT] = HOME_STRUCT,
    [DUCK_LIST] = HOME_LIST,         [DUCK_ARRAY] = HOME_LIST,         [DUCK_MAP] = HOME_MAP,
};

const DuckType *state_type_homeless(const DuckType *type)
{
    Home home = HOMES[type->id];

    if (home == HOME_NONE) {
        return type;
    }
    for (size_t i = 0; home >= HOME_STRUCT && i < type->n_members; i++) {
        if (type->id == DUCK_STRUCT && type->members[i].name[0] == '\0') {
            return type; /* row(...): Parquet wants names */
        }
        const DuckType *homeless = state_type_homeless(type->members[i].type);
        if (homeless) {
            return homeless;
        }
    }
    return NULL;
}

/* Does the whole of it lie in the file as it is? */
static bool plain(const DuckType *type)
{
    Home home = HOMES[type->id];

    for (size_t i = 0; home >= HOME_STRUCT && i < type->n_members; i++) {
        if (!plain(type->members[i].type)) {
            return false;
        }
    }
    return home >= HOME_STRUCT || home == HOME_PLAIN;
}

typedef void Convert(const DuckType *type, const char *value, int depth, Text *out);
static Convert store_value, load_value;

/* {'a': <convert value."a">, ...}, or NULL where the value is. */
static void convert_struct(const DuckType *type, const char *value, int depth, Convert *convert, Text *out)
{
    text_printf(out, "CASE WHEN (%s) IS NOT NULL THEN {", value);
    for (size_t i = 0; i < type->n_members; i++) {
        Text member = TEXT(TEXT_SQL_MAX);
        text_printf(&member, "(%s).", value);
        text_append_sql_name(&member, type->members[i].name);
        text_append(out, i ? ", " : "");
        text_append_sql_string(out, type->members[i].name);
        text_append(out, ": ");
        convert(type->members[i].type, text_str(&member), depth, out);
        text_free(&member);
    }
    text_append(out, "} END");
}

static void convert_list(const DuckType *type, const char *value, int depth, Convert *convert, Text *out)
{
    char element[32];

    snprintf(element, sizeof element, "e%d", depth);
    text_printf(out, "list_transform(%s, lambda %s: ", value, element);
    convert(type->members[0].type, element, depth + 1, out);
    text_append_char(out, ')');
}

/* A map travels as the list of its entries. */
static void convert_entries(const DuckType *type, const char *list, int depth, Convert *convert, Text *out)
{
    char key[32], value[32];

    snprintf(key, sizeof key, "e%d.key", depth);
    snprintf(value, sizeof value, "e%d.value", depth);
    text_printf(out, "list_transform(%s, lambda e%d: {'key': ", list, depth);
    convert(type->members[0].type, key, depth + 1, out);
    text_append(out, ", 'value': ");
    convert(type->members[1].type, value, depth + 1, out);
    text_append(out, "})");
}

#define LOW_BITS "18446744073709551615"
#define TWO_64   "18446744073709551616"

static void store_wide(const DuckType *type, const char *v, Text *out)
{
    const char *self = type->id == DUCK_HUGEINT ? "HUGEINT" : "UHUGEINT";
    const char *high = type->id == DUCK_HUGEINT ? "BIGINT" : "UBIGINT";

    text_printf(out, "{'hi': CAST(((%s) - ((%s) & " LOW_BITS "::%s)) // " TWO_64 "::%s AS %s), ", v, v, self, self,
                high);
    text_printf(out, "'lo': CAST((%s) & " LOW_BITS "::%s AS UBIGINT)}", v, self);
}

static void load_wide(const DuckType *type, const char *v, Text *out)
{
    if (type->id == DUCK_UHUGEINT) {
        text_printf(out, "CAST((%s).hi AS UHUGEINT) * " TWO_64 "::UHUGEINT + CAST((%s).lo AS UHUGEINT)", v, v);
        return;
    }
    /* from the side of zero, so that neither end overflows on the way */
    text_printf(out,
                "CASE WHEN (%s).hi < 0 THEN (CAST((%s).hi AS HUGEINT) + 1) * " TWO_64 "::HUGEINT - (" TWO_64
                "::HUGEINT - CAST((%s).lo AS HUGEINT)) ELSE CAST((%s).hi AS HUGEINT) * " TWO_64
                "::HUGEINT + CAST((%s).lo AS HUGEINT) END",
                v, v, v, v, v);
}

static void store_value(const DuckType *type, const char *v, int depth, Text *out)
{
    if (plain(type) && type->id != DUCK_ARRAY) {
        text_printf(out, "%s", v);
        return;
    }
    Text list = TEXT(TEXT_SQL_MAX);
    switch (HOMES[type->id]) {
    case HOME_TEXT: text_printf(out, "CAST(%s AS VARCHAR)", v); break;
    case HOME_BITS:
        text_printf(out, "CAST(CAST(%s AS BIT) AS %s)", v, type->id == DUCK_DOUBLE ? "BIGINT" : "INTEGER");
        break;
    case HOME_WIDE: store_wide(type, v, out); break;
    case HOME_SPAN:
        text_printf(out,
                    "{'months': datepart('year', %s) * 12 + datepart('month', %s), 'days': datepart('day', %s), "
                    "'micros': datepart('hour', %s) * 3600000000 + datepart('minute', %s) * 60000000 + "
                    "datepart('microsecond', %s)}",
                    v, v, v, v, v, v);
        break;
    case HOME_STRUCT: convert_struct(type, v, depth, store_value, out); break;
    case HOME_LIST:
        text_printf(&list, "CAST(%s AS ", v);
        duck_type_sql(type->members[0].type, &list);
        text_append(&list, "[])");
        if (plain(type)) {
            text_append(out, text_str(&list));
        } else {
            convert_list(type, text_str(&list), depth, store_value, out);
        }
        break;
    case HOME_MAP:
        text_printf(&list, "map_entries(%s)", v);
        convert_entries(type, text_str(&list), depth, store_value, out);
        break;
    default: break;
    }
    text_free(&list);
}

static void load_value(const DuckType *type, const char *v, int depth, Text *out)
{
    if (plain(type)) {
        text_printf(out, "%s", v);
        return;
    }
    Text list = TEXT(TEXT_SQL_MAX);
    switch (HOMES[type->id]) {
    case HOME_TEXT:
        text_printf(out, "CAST(%s AS ", v);
        duck_type_sql(type, out);
        text_append_char(out, ')');
        break;
    case HOME_BITS:
        text_printf(out, "CAST(CAST(%s AS BIT) AS %s)", v, type->id == DUCK_DOUBLE ? "DOUBLE" : "FLOAT");
        break;
    case HOME_WIDE: load_wide(type, v, out); break;
    case HOME_SPAN:
        text_printf(out,
                    "to_months(CAST((%s).months AS INTEGER)) + to_days(CAST((%s).days AS INTEGER)) + "
                    "to_microseconds((%s).micros)",
                    v, v, v);
        break;
    case HOME_STRUCT: convert_struct(type, v, depth, load_value, out); break;
    case HOME_LIST: convert_list(type, v, depth, load_value, out); break;
    case HOME_MAP:
        convert_entries(type, v, depth, load_value, &list);
        text_printf(out, "map_from_entries(%s)", text_str(&list));
        break;
    default: break;
    }
    text_free(&list);
}

void state_type_store(const DuckType *type, const char *value, Text *out)
{
    store_value(type, value, 0, out);
}

void state_type_load(const DuckType *type, const char *value, Text *out)
{
    text_append(out, "CAST(");
    load_value(type, value, 0, out);
    text_append(out, " AS ");
    duck_type_sql(type, out);
    text_append_char(out, ')');
}
