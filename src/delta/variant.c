/* The bytes of a variant, checked before anybody follows an offset.
 *
 *     metadata   header (version | sorted << 4 | width - 1 << 6), count, count + 1 offsets, the names
 *     value      header (basic type | more << 2), then
 *                0 primitive: `more` is its type      1 short string: `more` is its length
 *                2 object: count, ids, offsets, values    3 array: count, offsets, values
 *
 * All numbers are little-endian. Nothing in the format keeps two offsets from naming one value, so that a few bytes
 * could unfold to billions of values; as values of an honest writer do not overlap, there are never more than bytes.
 * DuckDB takes metadata and value behind each other and finds the value where the names end: so they end with the
 * metadata, or it would decode what was not checked.
 */
#include "delta/variant.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"

enum {
    VARIANT_BYTES_MAX = 128 << 20, /* Spark's limit */
    VARIANT_DEPTH_MAX = 1000,      /* Spark's for parsed JSON */
    DECIMAL_DIGITS_MAX = 38,
};
static const size_t US_PER_DAY = (size_t)86400 * 1000 * 1000;
enum { BASIC_PRIMITIVE, BASIC_SHORT_STRING, BASIC_OBJECT, BASIC_ARRAY };

typedef struct Bytes {
    const uint8_t *data;
    size_t n;
} Bytes;

typedef struct Names {
    Bytes bytes; /* from the first name on */
    const uint8_t *offsets;
    size_t width, count;
} Names;

typedef struct Check {
    Names names;
    size_t budget; /* values that may still come */
    Error *err;
} Check;

static Status damaged(Error *err, const char *what)
{
    return error_set(err, E_DELTA_CORRUPT, "a variant is damaged: %s", what);
}

static size_t number(const uint8_t *at, size_t width)
{
    size_t value = 0;

    for (size_t i = 0; i < width; i++) {
        value |= (size_t)at[i] << 8 * i;
    }
    return value;
}

static Status check_metadata(Bytes metadata, Names *out, Error *err)
{
    if (metadata.n == 0 || (metadata.data[0] & 0x0f) != 1) {
        return damaged(err, "its metadata is not of version 1");
    }
    size_t width = (size_t)(metadata.data[0] >> 6) + 1;
    if (metadata.n < 1 + width) {
        return damaged(err, "its metadata ends too early");
    }
    size_t count = number(metadata.data + 1, width);
    if (count > metadata.n || (metadata.n - 1 - width) / width < count + 1) {
        return damaged(err, "its metadata ends too early");
    }
    const uint8_t *offsets = metadata.data + 1 + width;
    const uint8_t *first = offsets + (count + 1) * width;
    size_t room = metadata.n - (size_t)(first - metadata.data), last = 0;
    for (size_t i = 0; i <= count; i++) {
        size_t offset = number(offsets + i * width, width);
        if (offset < last || offset > room || (i == 0 && offset != 0)) {
            return damaged(err, "the names in its metadata lie outside of it");
        }
        if (utf8_valid((const char *)first + last, offset - last) != offset - last) {
            return damaged(err, "a name in its metadata is not UTF-8");
        }
        last = offset;
    }
    if (last != room) {
        return damaged(err, "there are bytes behind the names in its metadata");
    }
    *out = (Names){.bytes = {first, last}, .offsets = offsets, .width = width, .count = count};
    return OK;
}

static Bytes name_of(const Names *names, size_t id)
{
    size_t from = number(names->offsets + id * names->width, names->width);
    size_t to = number(names->offsets + (id + 1) * names->width, names->width);

    return (Bytes){names->bytes.data + from, to - from};
}

/* Bytes behind the header by primitive type; strings and binaries have their length there. */
static const uint8_t PRIMITIVES[] = {0, 0, 0, 1, 2, 4, 8, 8, 5, 9, 17, 4, 8, 8, 4, 4, 4, 8, 8, 8, 16};
enum { PRIMITIVE_DECIMAL4 = 8, PRIMITIVE_DECIMAL16 = 10, PRIMITIVE_BINARY = 15, PRIMITIVE_STRING = 16 };
enum { PRIMITIVE_TIME = 17 };

static Status check_text(Bytes text, Error *err)
{
    return utf8_valid((const char *)text.data, text.n) == text.n ? OK : damaged(err, "a string is not UTF-8");
}

/* A scale, then the digits as an integer of 4, 8 or 16 bytes, which may be 9, 18 and 38. */
static Status check_decimal(const uint8_t *scale, size_t width, Error *err)
{
    __extension__ typedef unsigned __int128 Wide;
    bool negative = scale[width] & 0x80;
    Wide digits = negative ? ~(Wide)0 : 0, limit = 1;

    for (size_t i = width; i > 0; i--) {
        digits = digits << 8 | scale[i];
    }
    digits = negative ? -digits : digits;
    for (size_t n = width == 4 ? 9 : width == 8 ? 18 : DECIMAL_DIGITS_MAX; n > 0; n--) {
        limit *= 10;
    }
    return *scale <= DECIMAL_DIGITS_MAX && digits < limit ? OK
                                                          : damaged(err, "a decimal has more digits than its type");
}

static Status check_primitive(Bytes value, Error *err)
{
    size_t type = value.data[0] >> 2;

    if (type >= sizeof PRIMITIVES) {
        return error_set(err, E_DELTA_TYPE, "a variant holds a value of type %zu, which this freshet does not know",
                         type);
    }
    size_t n = PRIMITIVES[type];
    if (value.n - 1 < n) {
        return damaged(err, "a value ends too early");
    }
    if (type >= PRIMITIVE_DECIMAL4 && type <= PRIMITIVE_DECIMAL16) {
        return check_decimal(value.data + 1, n - 1, err);
    }
    if (type == PRIMITIVE_TIME && number(value.data + 1, n) >= US_PER_DAY) {
        return damaged(err, "a time is not within a day");
    }
    if (type == PRIMITIVE_BINARY || type == PRIMITIVE_STRING) {
        Bytes text = {value.data + 1 + n, number(value.data + 1, n)};
        if (text.n > value.n - 1 - n) {
            return damaged(err, "a value ends too early");
        }
        return type == PRIMITIVE_STRING ? check_text(text, err) : OK;
    }
    return OK;
}

static Status check_value(Check *c, Bytes value, int depth);

/* The parts of an object or array. `ids`: NULL in an array. */
static Status check_parts(Check *c, const uint8_t *ids, size_t id_width, const uint8_t *offsets, size_t width,
                          size_t count, Bytes values, int depth)
{
    Bytes last = {0};

    for (size_t i = 0; i < count; i++) {
        size_t offset = number(offsets + i * width, width);
        if (offset >= values.n) {
            return damaged(c->err, "a part lies outside of it");
        }
        if (ids != NULL) {
            size_t id = number(ids + i * id_width, id_width);
            if (id >= c->names.count) {
                return damaged(c->err, "a key is not in its metadata");
            }
            Bytes name = name_of(&c->names, id);
            if (i > 0 && name.n == last.n && memcmp(name.data, last.data, name.n) == 0) {
                return damaged(c->err, "an object has a key twice");
            }
            last = name;
        }
        Status rc = check_value(c, (Bytes){values.data + offset, values.n - offset}, depth + 1);
        if (rc != OK) {
            return rc;
        }
    }
    return OK;
}

static Status check_container(Check *c, Bytes value, int depth)
{
    uint8_t header = value.data[0] >> 2;
    bool object = (value.data[0] & 3) == BASIC_OBJECT;
    size_t width = (size_t)(header & 3) + 1, id_width = object ? (size_t)(header >> 2 & 3) + 1 : 0;
    size_t count_width = header >> (object ? 4 : 2) & 1 ? 4 : 1;

    if (value.n < 1 + count_width) {
        return damaged(c->err, "an object or array ends too early");
    }
    size_t count = number(value.data + 1, count_width), room = value.n - 1 - count_width;
    if (room < width || (room - width) / (width + id_width) < count) {
        return damaged(c->err, "an object or array ends too early");
    }
    const uint8_t *ids = value.data + 1 + count_width, *offsets = ids + count * id_width;
    Bytes values = {offsets + (count + 1) * width, room - width - count * (width + id_width)};
    size_t end = number(offsets + count * width, width);
    if (end > values.n) {
        return damaged(c->err, "an object or array ends too early");
    }
    values.n = end;
    return check_parts(c, object ? ids : NULL, id_width, offsets, width, count, values, depth);
}

static Status check_value(Check *c, Bytes value, int depth)
{
    if (depth > VARIANT_DEPTH_MAX) {
        return error_set(c->err, E_LIMIT, "a variant is nested more than %d levels deep", VARIANT_DEPTH_MAX);
    }
    if (value.n == 0 || c->budget == 0) {
        return damaged(c->err, value.n == 0 ? "it is empty" : "its parts overlap");
    }
    c->budget--;
    switch (value.data[0] & 3) {
    case BASIC_PRIMITIVE: return check_primitive(value, c->err);
    case BASIC_SHORT_STRING:
        if ((size_t)(value.data[0] >> 2) > value.n - 1) {
            return damaged(c->err, "a value ends too early");
        }
        return check_text((Bytes){value.data + 1, value.data[0] >> 2}, c->err);
    default: return check_container(c, value, depth);
    }
}

Status delta_variant_check(const uint8_t *metadata, size_t n_metadata, const uint8_t *value, size_t n_value, Error *err)
{
    Check c = {.budget = n_value, .err = err};

    if (n_metadata > VARIANT_BYTES_MAX || n_value > VARIANT_BYTES_MAX) {
        return error_set(err, E_LIMIT, "a variant has more than %d bytes", VARIANT_BYTES_MAX);
    }
    Status rc = check_metadata((Bytes){metadata, n_metadata}, &c.names, err);
    return rc == OK ? check_value(&c, (Bytes){value, n_value}, 0) : rc;
}

static bool type_has_variant(const DeltaType *type)
{
    for (size_t i = 0; i < type->n_fields; i++) {
        if (type_has_variant(type->fields[i].type)) {
            return true;
        }
    }
    return type->id == DELTA_VARIANT;
}

bool delta_schema_has_variant(const DeltaSchema *schema)
{
    for (size_t i = 0; i < schema->n_fields; i++) {
        if (type_has_variant(schema->fields[i].type)) {
            return true;
        }
    }
    return false;
}
