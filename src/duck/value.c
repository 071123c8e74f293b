/* Any value as text, in two ways: as JSON with nothing lost, and as DuckDB itself prints it.
 *
 * JSON: integers of any width and decimals are numbers with all their digits; NaN and the infinities are strings;
 * TIMESTAMP is "2024-01-31T12:00:00.5" style ISO-8601 without a zone, TIMESTAMP WITH TIME ZONE the same in UTC with
 * 'Z' (dates outside the years 1 to 9999, and the infinite ones, are as DuckDB prints them); BLOB and GEOMETRY are
 * base64; JSON columns are embedded; STRUCT is an object, a STRUCT without names an array; MAP is an object when its
 * keys are strings and else an array of [key, value]; UNION is {"tag": value}; VARIANT is what it holds. Everything
 * else is a string.
 *
 * Print: the value is handed back to DuckDB and cast to VARCHAR there; so it is the same text by construction. (Not so
 * for what holds objects or arrays of a VARIANT: that is printed as JSON.)
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "duck/duck_int.h"

/* ---- reading vectors ---- */

static const void *data_of(const DuckCell *cell)
{
    return cell->data != NULL ? cell->data : duckdb_vector_get_data(cell->vector);
}

bool duck_cell_is_null(const DuckCell *cell)
{
    if (cell->data != NULL) {
        return false;
    }
    uint64_t *validity = duckdb_vector_get_validity(cell->vector);
    return cell->type->id == DUCK_NULL || (validity != NULL && !(validity[cell->row >> 6] >> (cell->row & 63) & 1));
}

bool duck_load_int(DuckTypeId id, const void *data, size_t row, DuckInt *out)
{
    switch (id) {
    case DUCK_BOOLEAN: *out = ((const uint8_t *)data)[row] != 0; return true;
    case DUCK_TINYINT: *out = ((const int8_t *)data)[row]; return true;
    case DUCK_SMALLINT: *out = ((const int16_t *)data)[row]; return true;
    case DUCK_INTEGER:
    case DUCK_DATE: *out = ((const int32_t *)data)[row]; return true;
    case DUCK_BIGINT:
    case DUCK_TIME:
    case DUCK_TIMESTAMP:
    case DUCK_TIMESTAMP_S:
    case DUCK_TIMESTAMP_MS:
    case DUCK_TIMESTAMP_NS:
    case DUCK_TIMESTAMP_TZ: *out = ((const int64_t *)data)[row]; return true;
    case DUCK_UTINYINT: *out = ((const uint8_t *)data)[row]; return true;
    case DUCK_USMALLINT: *out = ((const uint16_t *)data)[row]; return true;
    case DUCK_UINTEGER: *out = ((const uint32_t *)data)[row]; return true;
    case DUCK_UBIGINT: *out = ((const uint64_t *)data)[row]; return true;
    case DUCK_HUGEINT: memcpy(out, (const char *)data + row * sizeof *out, sizeof *out); return true;
    default: return false;
    }
}

static DuckCell cell_at(const DuckType *type, duckdb_vector vector, size_t row)
{
    return (DuckCell){.type = type, .vector = vector, .row = row};
}

static const DuckString *string_of(const DuckCell *cell)
{
    return (const DuckString *)data_of(cell) + cell->row;
}

static DuckCell struct_member(const DuckCell *cell, size_t i)
{
    return cell_at(cell->type->members[i].type, duckdb_struct_vector_get_child(cell->vector, i), cell->row);
}

/* The elements of a LIST, MAP (then only for map_part: its entries are a struct that DuckType leaves out) or ARRAY: the
 * cell of the first one. */
static DuckCell elements_of(const DuckCell *cell, size_t *n)
{
    if (cell->type->id == DUCK_ARRAY) {
        *n = cell->type->array_size;
        return cell_at(cell->type->members[0].type, duckdb_array_vector_get_child(cell->vector),
                       cell->row * cell->type->array_size);
    }
    const DuckListEntry *entry = (const DuckListEntry *)data_of(cell) + cell->row;
    *n = entry->length;
    return cell_at(cell->type->members[0].type, duckdb_list_vector_get_child(cell->vector), entry->offset);
}

static DuckCell map_part(const DuckCell *map, const DuckCell *first, size_t i, size_t part)
{
    return cell_at(map->type->members[part].type, duckdb_struct_vector_get_child(first->vector, part), first->row + i);
}

/* A union is a struct of its tag and all alternatives. */
static DuckCell union_member(const DuckCell *cell, size_t *tag)
{
    const uint8_t *tags = duckdb_vector_get_data(duckdb_struct_vector_get_child(cell->vector, 0));
    *tag = tags[cell->row];
    return cell_at(cell->type->members[*tag].type, duckdb_struct_vector_get_child(cell->vector, *tag + 1), cell->row);
}

static size_t enum_index(const DuckCell *cell)
{
    switch (duck_type_width(cell->type)) {
    case 1: return ((const uint8_t *)data_of(cell))[cell->row];
    case 2: return ((const uint16_t *)data_of(cell))[cell->row];
    default: return ((const uint32_t *)data_of(cell))[cell->row];
    }
}

/* ---- wide numbers ---- */

enum { DIGITS_TEXT = 48 }; /* 39 digits of 128 bits; a scale of 38 and the zero before it fit too */

static char *digits(DuckUint magnitude, char text[DIGITS_TEXT])
{
    char *at = text + DIGITS_TEXT - 1;
    *at = '\0';
    do {
        *--at = (char)('0' + (int)(magnitude % 10));
        magnitude /= 10;
    } while (magnitude != 0);
    return at;
}

static DuckUint magnitude_of(DuckInt value)
{
    return value < 0 ? -(DuckUint)value : (DuckUint)value;
}

static DuckInt load_decimal(const DuckType *type, const void *data, size_t row)
{
    static const DuckTypeId BY_WIDTH[] = {
        [2] = DUCK_SMALLINT, [4] = DUCK_INTEGER, [8] = DUCK_BIGINT, [16] = DUCK_HUGEINT};
    DuckInt value = 0;
    (void)duck_load_int(BY_WIDTH[duck_type_width(type)], data, row, &value);
    return value;
}

void duck_decimal_text(const DuckType *type, const void *data, size_t row, char text[DUCK_DECIMAL_TEXT])
{
    DuckInt value = load_decimal(type, data, row);
    char buffer[DIGITS_TEXT];
    char *all = digits(magnitude_of(value), buffer);
    int scale = type->scale;
    while (strlen(all) <= (size_t)scale) {
        *--all = '0';
    }
    int whole = (int)strlen(all) - scale;
    snprintf(text, DUCK_DECIMAL_TEXT, "%s%.*s%s%s", value < 0 ? "-" : "", whole, all, scale > 0 ? "." : "",
             all + whole);
}

/* ---- DuckDB's own text ---- */

static duckdb_value to_value(const DuckCell *cell);
static void json_number(const DuckCell *cell, Text *out);

/* Have all of them a text? */
static bool have_text(const duckdb_value *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (values[i] == NULL) {
            return false;
        }
    }
    return true;
}

static void free_values(duckdb_value *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        duckdb_destroy_value(&values[i]);
    }
    mem_free(values);
}

static duckdb_value struct_value(const DuckCell *cell, duckdb_logical_type type)
{
    size_t n = cell->type->n_members;
    duckdb_value *members = mem_alloc((n + 1) * sizeof(duckdb_value));
    for (size_t i = 0; i < n; i++) {
        DuckCell member = struct_member(cell, i);
        members[i] = to_value(&member);
    }
    duckdb_value result = have_text(members, n) ? duckdb_create_struct_value(type, members) : NULL;
    free_values(members, n);
    return result;
}

/* LIST and ARRAY; `type` is that of an element. */
static duckdb_value elements_value(const DuckCell *cell, duckdb_logical_type type)
{
    size_t n;
    DuckCell element = elements_of(cell, &n);
    duckdb_value *elements = mem_alloc((n + 1) * sizeof(duckdb_value));
    for (size_t i = 0; i < n; i++, element.row++) {
        elements[i] = to_value(&element);
    }
    duckdb_value result = !have_text(elements, n)       ? NULL
                          : cell->type->id == DUCK_LIST ? duckdb_create_list_value(type, elements, n)
                                                        : duckdb_create_array_value(type, elements, n);
    free_values(elements, n);
    return result;
}

static duckdb_value map_value(const DuckCell *cell, duckdb_logical_type type)
{
    size_t n;
    DuckCell first = elements_of(cell, &n);
    duckdb_value *keys = mem_alloc((n + 1) * sizeof(duckdb_value));
    duckdb_value *values = mem_alloc((n + 1) * sizeof(duckdb_value));
    for (size_t i = 0; i < n; i++) {
        DuckCell key = map_part(cell, &first, i, 0), value = map_part(cell, &first, i, 1);
        keys[i] = to_value(&key);
        values[i] = to_value(&value);
    }
    bool whole = have_text(keys, n) && have_text(values, n);
    duckdb_value result = whole ? duckdb_create_map_value(type, keys, values, n) : NULL;
    free_values(keys, n);
    free_values(values, n);
    return result;
}

static duckdb_value union_value(const DuckCell *cell, duckdb_logical_type type)
{
    size_t tag;
    DuckCell member = union_member(cell, &tag);
    duckdb_value value = to_value(&member);
    duckdb_value result = value != NULL ? duckdb_create_union_value(type, tag, value) : NULL;
    duckdb_destroy_value(&value);
    return result;
}

static duckdb_value nested_value(const DuckCell *cell)
{
    bool of_elements = cell->type->id == DUCK_LIST || cell->type->id == DUCK_ARRAY;
    duckdb_logical_type type = duck_type_to_logical(of_elements ? cell->type->members[0].type : cell->type);
    if (type == NULL) {
        return NULL;
    }
    duckdb_value result = of_elements                     ? elements_value(cell, type)
                          : cell->type->id == DUCK_STRUCT ? struct_value(cell, type)
                          : cell->type->id == DUCK_MAP    ? map_value(cell, type)
                                                          : union_value(cell, type);
    duckdb_destroy_logical_type(&type);
    return result;
}

/* BIGNUM inside: three bytes of length, the top bit set for numbers >= 0, then the magnitude, big-endian; a negative
 * one has all bits inverted. */
static duckdb_value bignum_value(const DuckCell *cell)
{
    enum { HEADER = 3 };
    const uint8_t *bytes = (const uint8_t *)duck_string_data(string_of(cell));
    size_t n = duck_string_length(string_of(cell)) - HEADER;
    bool negative = !(bytes[0] & 0x80);
    uint8_t *magnitude = mem_alloc(n + 1);
    for (size_t i = 0; i < n; i++) {
        magnitude[i] = negative ? (uint8_t)~bytes[HEADER + i] : bytes[HEADER + i];
    }
    duckdb_value value = duckdb_create_bignum((duckdb_bignum){.data = magnitude, .size = n, .is_negative = negative});
    mem_free(magnitude);
    return value;
}

/* Times that have a text. A file may hold any number of 64 bits, and for those beyond DuckDB throws through its C API or
 * reads where nothing is. */
static bool time_has_text(DuckTypeId id, int64_t n)
{
    enum { S_PER_DAY = 86400 };
    static const int64_t DAY = (int64_t)S_PER_DAY * 1000000, FIRST_DAY = -106751991, FIRST_DAY_NS = -106751;
    const struct {
        int64_t min, max;
    } RANGES[] = {
        [DUCK_TIME] = {0, DAY},
        [DUCK_TIMESTAMP] = {FIRST_DAY * DAY, INT64_MAX},
        [DUCK_TIMESTAMP_TZ] = {FIRST_DAY * DAY, INT64_MAX},
        [DUCK_TIMESTAMP_S] = {FIRST_DAY * S_PER_DAY, -FIRST_DAY * S_PER_DAY},
        [DUCK_TIMESTAMP_MS] = {FIRST_DAY * S_PER_DAY * 1000, -FIRST_DAY * S_PER_DAY * 1000},
        [DUCK_TIMESTAMP_NS] = {FIRST_DAY_NS * DAY * 1000, INT64_MAX},
    };
    bool time = (size_t)id < sizeof RANGES / sizeof *RANGES && RANGES[id].max > 0;
    bool infinite = id != DUCK_TIME && (n == INT64_MAX || n == -INT64_MAX);

    return !time || infinite || (n >= RANGES[id].min && n <= RANGES[id].max);
}

static bool time_tz_has_text(uint64_t bits)
{
    enum { OFFSETS = 2 * 57599 }; /* of sixteen hours less a second to both sides */

    return (bits >> 24) <= UINT64_C(86400000000) && (bits & 0xffffff) <= OFFSETS;
}

static duckdb_value other_value(const DuckCell *cell)
{
    const char *name = cell->type->other;
    if (strcmp(name, "BIGNUM") == 0) {
        return bignum_value(cell);
    }
    if (strcmp(name, "TIME_NS") == 0) {
        int64_t ns = ((const int64_t *)data_of(cell))[cell->row];
        return time_has_text(DUCK_TIME, ns / 1000) ? duckdb_create_time_ns((duckdb_time_ns){ns}) : NULL;
    }
    if (strcmp(name, "GEOMETRY") == 0) {
        const DuckString *s = string_of(cell);
        return duckdb_create_blob((const uint8_t *)duck_string_data(s), duck_string_length(s));
    }
    return NULL;
}

static duckdb_value string_value(const DuckCell *cell)
{
    const DuckString *s = string_of(cell);
    char *text = (char *)(uintptr_t)duck_string_data(s);
    size_t n = duck_string_length(s);
    switch (cell->type->id) {
    case DUCK_BLOB: return duckdb_create_blob((const uint8_t *)text, n);
    case DUCK_BIT: return duckdb_create_bit((duckdb_bit){.data = (uint8_t *)text, .size = n});
    default: return duckdb_create_varchar_length(text, n);
    }
}

static duckdb_hugeint hugeint_of(DuckInt value)
{
    return (duckdb_hugeint){.lower = (uint64_t)value, .upper = (int64_t)(value >> 64)};
}

/* Integers of all widths and everything that is one inside. */
static duckdb_value number_value(const DuckCell *cell)
{
    DuckInt wide = 0;
    (void)duck_load_int(cell->type->id, data_of(cell), cell->row, &wide);
    int64_t n = (int64_t)wide;
    if (!time_has_text(cell->type->id, n)) {
        return NULL;
    }
    switch (cell->type->id) {
    case DUCK_BOOLEAN: return duckdb_create_bool(n != 0);
    case DUCK_TINYINT: return duckdb_create_int8((int8_t)n);
    case DUCK_SMALLINT: return duckdb_create_int16((int16_t)n);
    case DUCK_INTEGER: return duckdb_create_int32((int32_t)n);
    case DUCK_UTINYINT: return duckdb_create_uint8((uint8_t)n);
    case DUCK_USMALLINT: return duckdb_create_uint16((uint16_t)n);
    case DUCK_UINTEGER: return duckdb_create_uint32((uint32_t)n);
    case DUCK_UBIGINT: return duckdb_create_uint64((uint64_t)wide);
    case DUCK_HUGEINT: return duckdb_create_hugeint(hugeint_of(wide));
    case DUCK_DATE: return duckdb_create_date((duckdb_date){(int32_t)n});
    case DUCK_TIME: return duckdb_create_time((duckdb_time){n});
    case DUCK_TIMESTAMP: return duckdb_create_timestamp((duckdb_timestamp){n});
    case DUCK_TIMESTAMP_S: return duckdb_create_timestamp_s((duckdb_timestamp_s){n});
    case DUCK_TIMESTAMP_MS: return duckdb_create_timestamp_ms((duckdb_timestamp_ms){n});
    case DUCK_TIMESTAMP_NS: return duckdb_create_timestamp_ns((duckdb_timestamp_ns){n});
    case DUCK_TIMESTAMP_TZ: return duckdb_create_timestamp_tz((duckdb_timestamp){n});
    default: return duckdb_create_int64(n);
    }
}

/* The value as DuckDB's own; NULL when there is no way to make one (VARIANT), or to print it. */
static duckdb_value to_value(const DuckCell *cell)
{
    if (duck_cell_is_null(cell)) {
        return duckdb_create_null_value();
    }
    const void *data = data_of(cell);
    size_t row = cell->row;
    switch (cell->type->id) {
    case DUCK_FLOAT: return duckdb_create_float(((const float *)data)[row]);
    case DUCK_DOUBLE: return duckdb_create_double(((const double *)data)[row]);
    case DUCK_UHUGEINT: return duckdb_create_uhugeint(((const duckdb_uhugeint *)data)[row]);
    case DUCK_UUID: { /* stored with the top bit flipped, so that it sorts */
        duckdb_uhugeint uuid = ((const duckdb_uhugeint *)data)[row];
        uuid.upper ^= UINT64_C(1) << 63;
        return duckdb_create_uuid(uuid);
    }
    case DUCK_DECIMAL:
        return duckdb_create_decimal((duckdb_decimal){.width = cell->type->precision,
                                                      .scale = cell->type->scale,
                                                      .value = hugeint_of(load_decimal(cell->type, data, row))});
    case DUCK_TIME_TZ: {
        uint64_t bits = ((const uint64_t *)data)[row];
        return time_tz_has_text(bits) ? duckdb_create_time_tz_value((duckdb_time_tz){bits}) : NULL;
    }
    case DUCK_INTERVAL: return duckdb_create_interval(((const duckdb_interval *)data)[row]);
    case DUCK_ENUM: {
        duckdb_logical_type logical = duck_type_to_logical(cell->type);
        duckdb_value value = duckdb_create_enum_value(logical, enum_index(cell));
        duckdb_destroy_logical_type(&logical);
        return value;
    }
    case DUCK_VARCHAR:
    case DUCK_JSON:
    case DUCK_BLOB:
    case DUCK_BIT: return string_value(cell);
    case DUCK_STRUCT:
    case DUCK_LIST:
    case DUCK_ARRAY:
    case DUCK_MAP:
    case DUCK_UNION: return nested_value(cell);
    case DUCK_OTHER: return other_value(cell);
    case DUCK_VARIANT: return NULL;
    default: return number_value(cell);
    }
}

void duck_cell_print(const DuckCell *cell, Text *out)
{
    if (cell->type->id == DUCK_VARCHAR || cell->type->id == DUCK_JSON) {
        text_append_n(out, duck_string_data(string_of(cell)), duck_string_length(string_of(cell)));
        return;
    }
    if (cell->type->id == DUCK_VARIANT) {
        duck_variant_print(cell, out);
        return;
    }
    duckdb_value value = to_value(cell);
    if (value == NULL) {
        DuckInt number;
        if (cell->type->n_members > 0) {
            duck_cell_json(cell, out);
        } else if (duck_load_int(cell->type->id, data_of(cell), cell->row, &number)) {
            json_number(cell, out);
        } else {
            duck_type_sql(cell->type, out); /* a type nobody has met yet: say which */
        }
        return;
    }
    char *text = duckdb_get_varchar(value);
    text_append(out, text == NULL ? "" : text);
    duckdb_free(text);
    duckdb_destroy_value(&value);
}

/* ---- JSON ---- */

static void json_number(const DuckCell *cell, Text *out)
{
    DuckInt value;
    char buffer[DIGITS_TEXT];
    if (cell->type->id == DUCK_UHUGEINT) {
        DuckUint wide;
        memcpy(&wide, (const char *)data_of(cell) + cell->row * sizeof wide, sizeof wide);
        text_append(out, digits(wide, buffer));
    } else if (cell->type->id == DUCK_DECIMAL) {
        char text[DUCK_DECIMAL_TEXT];
        duck_decimal_text(cell->type, data_of(cell), cell->row, text);
        text_append(out, text);
    } else if (duck_load_int(cell->type->id, data_of(cell), cell->row, &value)) {
        text_append(out, value < 0 ? "-" : "");
        text_append(out, digits(magnitude_of(value), buffer));
    }
}

static void json_boolean(const DuckCell *cell, Text *out)
{
    text_append(out, ((const uint8_t *)data_of(cell))[cell->row] ? "true" : "false");
}

/* The shortest decimal that reads back as the same number, recognisable as a real. */
static void json_real(const DuckCell *cell, Text *out)
{
    bool narrow = cell->type->id == DUCK_FLOAT;
    double value = narrow ? (double)((const float *)data_of(cell))[cell->row]
                          : ((const double *)data_of(cell))[cell->row];
    if (!isfinite(value)) {
        text_append(out, isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    char text[40];
    for (int precision = narrow ? 6 : 15;; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, value);
        if (narrow ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value) {
            break;
        }
    }
    text_append(out, text);
    text_append(out, strpbrk(text, ".e") == NULL ? ".0" : "");
}

static void json_string(const DuckCell *cell, Text *out)
{
    text_append_json_string_n(out, duck_string_data(string_of(cell)), duck_string_length(string_of(cell)));
}

/* A JSON text may hold line breaks between its tokens (never inside strings); they would break JSON lines. */
static void json_embedded(const DuckCell *cell, Text *out)
{
    const char *s = duck_string_data(string_of(cell));
    for (size_t i = 0, n = duck_string_length(string_of(cell)); i < n; i++) {
        text_append_char(out, s[i] == '\n' || s[i] == '\r' ? ' ' : s[i]);
    }
}

static void json_base64(const DuckCell *cell, Text *out)
{
    static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *s = (const uint8_t *)duck_string_data(string_of(cell));
    size_t n = duck_string_length(string_of(cell));
    text_append_char(out, '"');
    for (size_t i = 0; i < n; i += 3) {
        uint32_t group = (uint32_t)s[i] << 16 | (i + 1 < n ? (uint32_t)s[i + 1] << 8 : 0) | (i + 2 < n ? s[i + 2] : 0);
        char four[4] = {ALPHABET[group >> 18], ALPHABET[group >> 12 & 63], i + 1 < n ? ALPHABET[group >> 6 & 63] : '=',
                        i + 2 < n ? ALPHABET[group & 63] : '='};
        text_append_n(out, four, sizeof four);
    }
    text_append_char(out, '"');
}

static void json_printed(const DuckCell *cell, Text *out)
{
    Text text = TEXT(TEXT_SQL_MAX);
    duck_cell_print(cell, &text);
    text_append_json_string_n(out, text_str(&text), text.length);
    text_free(&text);
}

/* Days since the epoch as year, month, day (proleptic Gregorian), by eras of 400 years that start in March. */
static void civil_of_days(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t of_era = z - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100), march = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * march + 2) / 5 + 1);
    *month = (int)(march < 10 ? march + 3 : march - 9);
    *year = (int)(y + era * 400 + (*month <= 2));
}

/* First and past-the-last day of the years that ISO-8601 writes with four digits. */
static const int64_t DAYS_MIN = -719162, DAYS_END = 2932897, DAY_US = INT64_C(86400000000);

static void json_date(const DuckCell *cell, Text *out)
{
    int32_t days = ((const int32_t *)data_of(cell))[cell->row];
    if (days < DAYS_MIN || days >= DAYS_END) {
        json_printed(cell, out);
        return;
    }
    int year, month, day;
    civil_of_days(days, &year, &month, &day);
    text_printf(out, "\"%04d-%02d-%02d\"", year, month, day);
}

/* TIMESTAMP and TIMESTAMP WITH TIME ZONE. */
static void json_instant(const DuckCell *cell, Text *out)
{
    int64_t us = ((const int64_t *)data_of(cell))[cell->row];
    if (us < DAYS_MIN * DAY_US || us >= DAYS_END * DAY_US) {
        json_printed(cell, out);
        return;
    }
    int64_t days = us / DAY_US - (us % DAY_US < 0), rest = us - days * DAY_US;
    int year, month, day, second = (int)(rest / 1000000), fraction = (int)(rest % 1000000);
    civil_of_days(days, &year, &month, &day);
    text_printf(out, "\"%04d-%02d-%02dT%02d:%02d:%02d", year, month, day, second / 3600, second / 60 % 60, second % 60);
    if (fraction % 1000 != 0) {
        text_printf(out, ".%06d", fraction);
    } else if (fraction != 0) {
        text_printf(out, ".%03d", fraction / 1000);
    }
    text_append(out, cell->type->id == DUCK_TIMESTAMP_TZ ? "Z\"" : "\"");
}

/* TIMESTAMP_S, _MS, _NS: "2024-01-31 12:00:00.123456789" with a T. */
static void json_other_instant(const DuckCell *cell, Text *out)
{
    Text text = TEXT(256);
    duck_cell_print(cell, &text);
    if (text.length > 10 && text.data[10] == ' ' && text.data[0] >= '0' && text.data[0] <= '9') {
        text.data[10] = 'T';
    }
    text_append_json_string_n(out, text_str(&text), text.length);
    text_free(&text);
}

static void json_enum(const DuckCell *cell, Text *out)
{
    text_append_json_string(out, cell->type->members[enum_index(cell)].name);
}

static void json_struct(const DuckCell *cell, Text *out)
{
    bool named = cell->type->n_members > 0 && cell->type->members[0].name[0] != '\0';
    text_append_char(out, named ? '{' : '[');
    for (size_t i = 0; i < cell->type->n_members; i++) {
        text_append(out, i == 0 ? "" : ",");
        if (named) {
            text_append_json_string(out, cell->type->members[i].name);
            text_append_char(out, ':');
        }
        DuckCell member = struct_member(cell, i);
        duck_cell_json(&member, out);
    }
    text_append_char(out, named ? '}' : ']');
}

static void json_list(const DuckCell *cell, Text *out)
{
    size_t n;
    DuckCell element = elements_of(cell, &n);
    text_append_char(out, '[');
    for (size_t i = 0; i < n; i++, element.row++) {
        text_append(out, i == 0 ? "" : ",");
        duck_cell_json(&element, out);
    }
    text_append_char(out, ']');
}

static void json_map(const DuckCell *cell, Text *out)
{
    size_t n;
    DuckCell first = elements_of(cell, &n);
    DuckTypeId key_id = cell->type->members[0].type->id;
    bool object = key_id == DUCK_VARCHAR || key_id == DUCK_ENUM;
    text_append_char(out, object ? '{' : '[');
    for (size_t i = 0; i < n; i++) {
        DuckCell key = map_part(cell, &first, i, 0), value = map_part(cell, &first, i, 1);
        text_append(out, i == 0 ? "" : ",");
        text_append(out, object ? "" : "[");
        duck_cell_json(&key, out);
        text_append_char(out, object ? ':' : ',');
        duck_cell_json(&value, out);
        text_append(out, object ? "" : "]");
    }
    text_append_char(out, object ? '}' : ']');
}

static void json_union(const DuckCell *cell, Text *out)
{
    size_t tag;
    DuckCell member = union_member(cell, &tag);
    text_append_char(out, '{');
    text_append_json_string(out, cell->type->members[tag].name);
    text_append_char(out, ':');
    duck_cell_json(&member, out);
    text_append_char(out, '}');
}

static void json_other(const DuckCell *cell, Text *out)
{
    (strcmp(cell->type->other, "GEOMETRY") == 0 ? json_base64 : json_printed)(cell, out);
}

/* By DuckTypeId; what is missing is a string as printed. */
static void (*const JSON_WRITERS[DUCK_OTHER + 1])(const DuckCell *cell, Text *out) = {
    [DUCK_BOOLEAN] = json_boolean,
    [DUCK_TINYINT] = json_number,
    [DUCK_SMALLINT] = json_number,
    [DUCK_INTEGER] = json_number,
    [DUCK_BIGINT] = json_number,
    [DUCK_HUGEINT] = json_number,
    [DUCK_UTINYINT] = json_number,
    [DUCK_USMALLINT] = json_number,
    [DUCK_UINTEGER] = json_number,
    [DUCK_UBIGINT] = json_number,
    [DUCK_UHUGEINT] = json_number,
    [DUCK_FLOAT] = json_real,
    [DUCK_DOUBLE] = json_real,
    [DUCK_DECIMAL] = json_number,
    [DUCK_VARCHAR] = json_string,
    [DUCK_JSON] = json_embedded,
    [DUCK_BLOB] = json_base64,
    [DUCK_DATE] = json_date,
    [DUCK_TIMESTAMP] = json_instant,
    [DUCK_TIMESTAMP_TZ] = json_instant,
    [DUCK_TIMESTAMP_S] = json_other_instant,
    [DUCK_TIMESTAMP_MS] = json_other_instant,
    [DUCK_TIMESTAMP_NS] = json_other_instant,
    [DUCK_ENUM] = json_enum,
    [DUCK_STRUCT] = json_struct,
    [DUCK_LIST] = json_list,
    [DUCK_ARRAY] = json_list,
    [DUCK_MAP] = json_map,
    [DUCK_UNION] = json_union,
    [DUCK_OTHER] = json_other,
    [DUCK_VARIANT] = duck_variant_json,
};

void duck_cell_json(const DuckCell *cell, Text *out)
{
    if (duck_cell_is_null(cell)) {
        text_append(out, "null");
    } else {
        (JSON_WRITERS[cell->type->id] == NULL ? json_printed : JSON_WRITERS[cell->type->id])(cell, out);
    }
}
