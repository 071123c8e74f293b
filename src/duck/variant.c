/* VARIANT values: taken apart by hand, since the C API has no reader for them.
 *
 * A VARIANT vector is STRUCT(keys VARCHAR[], children STRUCT(key UINTEGER, value UINTEGER)[],
 * values STRUCT(type UTINYINT, offset UINTEGER)[], data BLOB). A row's value 0 is its root. At a value's offset in
 * data: numbers, times, UUID, INTERVAL   their bytes as in a vector of that type DECIMAL precision, scale (varints),
 * then the integer of that precision's width VARCHAR, BLOB, BIGNUM, BIT, ...  length (varint), bytes OBJECT, ARRAY
 * number of children (varint); if any, the first child's index (varint) Varints are little-endian groups of 7 bits.
 * Indexes count from the row's own first key, child or value.
 */
#include "duck/duck_int.h"

enum { VARIANT_NULL, VARIANT_TRUE, VARIANT_FALSE, VARIANT_DECIMAL = 15, VARIANT_OBJECT = 29, VARIANT_ARRAY = 30 };
enum { DECIMAL_DIGITS_MAX = 38 };

/* DuckDB's numbers of what a value may be; strings and the like are DuckString inside a vector, bytes here. */
static const DuckType PRIMITIVES[] = {
    [3] = {.id = DUCK_TINYINT},
    [4] = {.id = DUCK_SMALLINT},
    [5] = {.id = DUCK_INTEGER},
    [6] = {.id = DUCK_BIGINT},
    [7] = {.id = DUCK_HUGEINT},
    [8] = {.id = DUCK_UTINYINT},
    [9] = {.id = DUCK_USMALLINT},
    [10] = {.id = DUCK_UINTEGER},
    [11] = {.id = DUCK_UBIGINT},
    [12] = {.id = DUCK_UHUGEINT},
    [13] = {.id = DUCK_FLOAT},
    [14] = {.id = DUCK_DOUBLE},
    [VARIANT_DECIMAL] = {.id = DUCK_DECIMAL},
    [16] = {.id = DUCK_VARCHAR},
    [17] = {.id = DUCK_BLOB},
    [18] = {.id = DUCK_UUID},
    [19] = {.id = DUCK_DATE},
    [20] = {.id = DUCK_TIME},
    [21] = {.id = DUCK_OTHER, .other = "TIME_NS"},
    [22] = {.id = DUCK_TIMESTAMP_S},
    [23] = {.id = DUCK_TIMESTAMP_MS},
    [24] = {.id = DUCK_TIMESTAMP},
    [25] = {.id = DUCK_TIMESTAMP_NS},
    [26] = {.id = DUCK_TIME_TZ},
    [27] = {.id = DUCK_TIMESTAMP_TZ},
    [28] = {.id = DUCK_INTERVAL},
    [31] = {.id = DUCK_OTHER, .other = "BIGNUM"},
    [32] = {.id = DUCK_BIT},
    [33] = {.id = DUCK_OTHER, .other = "GEOMETRY"},
};
enum { PRIMITIVE_COUNT = sizeof PRIMITIVES / sizeof *PRIMITIVES, DEPTH_MAX = 1000 };

/* One row of a VARIANT vector; arrays start at the row's own first element. */
typedef struct Variant {
    const DuckString *keys;
    const uint32_t *child_keys, *child_values;
    const uint8_t *types;
    const uint32_t *offsets;
    const uint8_t *data;
} Variant;

static const void *list_data(duckdb_vector list, size_t row, size_t member, size_t width)
{
    const DuckListEntry *entry = (const DuckListEntry *)duckdb_vector_get_data(list) + row;
    duckdb_vector elements = duckdb_list_vector_get_child(list);
    if (member != SIZE_MAX) {
        elements = duckdb_struct_vector_get_child(elements, member);
    }
    return (const char *)duckdb_vector_get_data(elements) + entry->offset * width;
}

static Variant variant_of(const DuckCell *cell)
{
    duckdb_vector keys = duckdb_struct_vector_get_child(cell->vector, 0);
    duckdb_vector children = duckdb_struct_vector_get_child(cell->vector, 1);
    duckdb_vector values = duckdb_struct_vector_get_child(cell->vector, 2);
    duckdb_vector data = duckdb_struct_vector_get_child(cell->vector, 3);
    return (Variant){
        .keys = list_data(keys, cell->row, SIZE_MAX, sizeof(DuckString)),
        .child_keys = list_data(children, cell->row, 0, sizeof(uint32_t)),
        .child_values = list_data(children, cell->row, 1, sizeof(uint32_t)),
        .types = list_data(values, cell->row, 0, sizeof(uint8_t)),
        .offsets = list_data(values, cell->row, 1, sizeof(uint32_t)),
        .data = (const uint8_t *)duck_string_data((const DuckString *)duckdb_vector_get_data(data) + cell->row),
    };
}

static uint32_t varint(const uint8_t **at)
{
    uint32_t value = 0;
    for (int shift = 0; shift < 32; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint32_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            break;
        }
    }
    return value;
}

/* Writes the value as a vector of one row would hold it and hands that to `write`. */
static void with_primitive(const Variant *v, uint32_t value, void (*write)(const DuckCell *, Text *), Text *out)
{
    const uint8_t *at = v->data + v->offsets[value];
    DuckType type = PRIMITIVES[v->types[value]];
    union {
        DuckString string;
        DuckInt aligned;
        uint8_t bytes[16];
    } flat = {0};
    DuckTypeId id = type.id;
    bool counted = id == DUCK_VARCHAR || id == DUCK_BLOB || id == DUCK_BIT ||
                   (id == DUCK_OTHER && strcmp(type.other, "TIME_NS") != 0);
    if (counted) {
        uint32_t n = varint(&at);
        flat.string.inlined.length = n;
        if (n <= sizeof flat.string.inlined.data) {
            memcpy(flat.string.inlined.data, at, n);
        } else {
            flat.string.pointer.data = (char *)(uintptr_t)at;
        }
    } else {
        if (id == DUCK_DECIMAL) {
            type.precision = (uint8_t)varint(&at);
            type.scale = (uint8_t)varint(&at);
        }
        size_t width = duck_type_width(&type);
        memcpy(flat.bytes, at, width);
        if (id == DUCK_DECIMAL && type.precision < type.scale) { /* 0.05 may be one digit there */
            memset(flat.bytes + width, at[width - 1] & 0x80 ? 0xff : 0, sizeof flat.bytes - width);
            type.precision = DECIMAL_DIGITS_MAX;
        }
    }
    DuckCell cell = {.type = &type, .data = &flat};
    write(&cell, out);
}

static void json_value(const Variant *v, uint32_t value, int depth, Text *out)
{
    uint8_t type = v->types[value];
    if (type == VARIANT_NULL || depth > DEPTH_MAX) {
        text_append(out, "null");
    } else if (type == VARIANT_TRUE || type == VARIANT_FALSE) {
        text_append(out, type == VARIANT_TRUE ? "true" : "false");
    } else if (type == VARIANT_OBJECT || type == VARIANT_ARRAY) {
        bool object = type == VARIANT_OBJECT;
        const uint8_t *at = v->data + v->offsets[value];
        uint32_t n = varint(&at), first = n == 0 ? 0 : varint(&at);
        text_append_char(out, object ? '{' : '[');
        for (uint32_t i = first; i < first + n; i++) {
            text_append(out, i == first ? "" : ",");
            if (object) {
                const DuckString *key = &v->keys[v->child_keys[i]];
                text_append_json_string_n(out, duck_string_data(key), duck_string_length(key));
                text_append_char(out, ':');
            }
            json_value(v, v->child_values[i], depth + 1, out);
        }
        text_append_char(out, object ? '}' : ']');
    } else if (type < PRIMITIVE_COUNT) {
        with_primitive(v, value, duck_cell_json, out);
    } else {
        text_printf(out, "\"VARIANT type %u\"", type);
    }
}

void duck_variant_json(const DuckCell *cell, Text *out)
{
    Variant v = variant_of(cell);
    json_value(&v, 0, 0, out);
}

void duck_variant_print(const DuckCell *cell, Text *out)
{
    Variant v = variant_of(cell);
    uint8_t type = v.types[0];
    if (type > VARIANT_FALSE && type < PRIMITIVE_COUNT && type != VARIANT_OBJECT && type != VARIANT_ARRAY) {
        with_primitive(&v, 0, duck_cell_print, out);
    } else {
        json_value(&v, 0, 0, out);
    }
}
