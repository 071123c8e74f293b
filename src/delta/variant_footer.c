/* What a Parquet footer says of variants and of field ids.
 *
 * A file ends with the footer, its length (4 bytes, little-endian) and "PAR1". The footer is a Thrift struct in the
 * compact protocol, FileMetaData, whose field 2 lists the schema's elements in pre-order:
 *     SchemaElement  1 type, 3 repetition, 4 name, 5 num_children, 9 field_id, 10 logicalType, ...
 *     LogicalType    a union: the one field that is set is the type; 16 is VARIANT
 * Compact protocol: a field begins with a byte of (id difference << 4 | type), or with a difference of 0 and the id as
 * a varint, 1 to 32,767; integers are zigzag varints; binaries have their length before them; lists begin with (count
 * << 4 | type), count 15 standing for a varint.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "delta/variant.h"

enum {
    TAIL_BYTES = 8,             /* length and magic */
    FOOTER_BYTES_MAX = 1 << 30, /* DuckDB reads the whole of it too */
    THRIFT_DEPTH_MAX = 64,
    GROUPS_MAX = 256, /* nested groups of a schema */
};
enum { THRIFT_TRUE = 1, THRIFT_FALSE, THRIFT_BYTE, THRIFT_I16, THRIFT_I32, THRIFT_I64, THRIFT_DOUBLE, THRIFT_BINARY };
enum { THRIFT_LIST = 9, THRIFT_SET, THRIFT_MAP, THRIFT_STRUCT };
enum { FILE_SCHEMA = 2 };
enum { ELEMENT_TYPE = 1, ELEMENT_NAME = 4, ELEMENT_CHILDREN = 5, ELEMENT_FIELD_ID = 9, ELEMENT_LOGICAL = 10 };
enum { PARQUET_BYTE_ARRAY = 6, LOGICAL_VARIANT = 16 };

/* A cursor that is at its end for good once something was wrong. */
typedef struct Thrift {
    const uint8_t *at, *end;
    bool bad;
} Thrift;

static uint8_t take_byte(Thrift *t)
{
    if (t->at == t->end) {
        t->bad = true;
        return 0;
    }
    return *t->at++;
}

static uint64_t take_varint(Thrift *t)
{
    uint64_t value = 0;

    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t byte = take_byte(t);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            return value;
        }
    }
    t->bad = true;
    return 0;
}

static int64_t take_int(Thrift *t)
{
    uint64_t zigzag = take_varint(t);

    return (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
}

static const uint8_t *take_bytes(Thrift *t, uint64_t n)
{
    const uint8_t *bytes = t->at;

    if (n > (uint64_t)(t->end - t->at)) {
        t->bad = true;
        return NULL;
    }
    t->at += n;
    return bytes;
}

/* The next field of a struct: its type, 0 at the end; *id starts at 0. */
static int take_field(Thrift *t, int64_t *id)
{
    uint8_t head = take_byte(t);
    int type = head & 0x0f;

    if (t->bad || type == 0) {
        return 0;
    }
    *id = head >> 4 ? *id + (head >> 4) : take_int(t);
    t->bad |= *id < 1 || *id > INT16_MAX;
    return t->bad ? 0 : type;
}

static uint64_t take_list(Thrift *t, int *type)
{
    uint8_t head = take_byte(t);

    *type = head & 0x0f;
    return head >> 4 == 15 ? take_varint(t) : head >> 4;
}

static void skip(Thrift *t, int type, int depth, bool in_list)
{
    int64_t id = 0;
    int inner = 0, value = 0;
    uint64_t n = 0;

    if (depth > THRIFT_DEPTH_MAX) {
        t->bad = true;
        return;
    }
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        if (in_list) { /* as a field, the type is the value */
            (void)take_byte(t);
        }
        break;
    case THRIFT_BYTE: (void)take_byte(t); break;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64: (void)take_varint(t); break;
    case THRIFT_DOUBLE: (void)take_bytes(t, 8); break;
    case THRIFT_BINARY: (void)take_bytes(t, take_varint(t)); break;
    case THRIFT_LIST:
    case THRIFT_SET:
        for (n = take_list(t, &inner); n > 0 && !t->bad; n--) {
            skip(t, inner, depth + 1, true);
        }
        break;
    case THRIFT_MAP:
        n = take_varint(t);
        inner = n > 0 ? take_byte(t) : 0;
        for (value = inner & 0x0f, inner >>= 4; n > 0 && !t->bad; n--) {
            skip(t, inner, depth + 1, true);
            skip(t, value, depth + 1, true);
        }
        break;
    case THRIFT_STRUCT:
        while ((inner = take_field(t, &id)) != 0) {
            skip(t, inner, depth + 1, false);
        }
        break;
    default: t->bad = true;
    }
}

/* ---- the schema ---- */

typedef struct Element {
    int64_t type, children;
    const char *name;
    size_t n_name;
    bool variant, has_id;
    int64_t field_id;
} Element;

static void take_logical(Thrift *t, Element *element)
{
    int64_t id = 0;

    for (int type; (type = take_field(t, &id)) != 0;) {
        element->variant |= id == LOGICAL_VARIANT;
        skip(t, type, 2, false);
    }
}

static Element take_element(Thrift *t)
{
    Element element = {.type = -1};
    int64_t id = 0;

    for (int type; (type = take_field(t, &id)) != 0;) {
        if (id == ELEMENT_TYPE && type == THRIFT_I32) {
            element.type = take_int(t);
        } else if (id == ELEMENT_CHILDREN && type == THRIFT_I32) {
            element.children = take_int(t);
        } else if (id == ELEMENT_NAME && type == THRIFT_BINARY) {
            element.n_name = (size_t)take_varint(t);
            element.name = (const char *)take_bytes(t, element.n_name);
        } else if (id == ELEMENT_FIELD_ID && type == THRIFT_I32) {
            element.has_id = true;
            element.field_id = take_int(t);
        } else if (id == ELEMENT_LOGICAL && type == THRIFT_STRUCT) {
            take_logical(t, &element);
        } else {
            skip(t, type, 1, false);
        }
    }
    t->bad |= element.name == NULL || element.children < 0;
    return element;
}

/* A group whose children are still to come. */
typedef struct Group {
    int64_t children;
    bool metadata, value, typed, other;
} Group;

static bool is_named(const Element *element, const char *name)
{
    return element->n_name == strlen(name) && memcmp(element->name, name, element->n_name) == 0;
}

static void add_child(Group *group, const Element *element)
{
    bool binary = element->type == PARQUET_BYTE_ARRAY && element->children == 0;

    group->children--;
    if (binary && is_named(element, "metadata")) {
        group->metadata = true;
    } else if (binary && is_named(element, "value")) {
        group->value = true;
    } else if (is_named(element, "typed_value")) {
        group->typed = true;
    } else {
        group->other = true;
    }
}

static DeltaVariantForm form_of(const Group *group)
{
    if (!group->metadata || group->other || !(group->value || group->typed)) {
        return DELTA_VARIANT_ABSENT;
    }
    return group->typed ? DELTA_VARIANT_TYPED : DELTA_VARIANT_PLAIN;
}

static DeltaVariantForm take_schema(Thrift *t)
{
    Group groups[GROUPS_MAX];
    DeltaVariantForm form = DELTA_VARIANT_ABSENT;
    bool logical = false;
    size_t depth = 0;
    int type = 0;

    for (uint64_t n = take_list(t, &type); n > 0 && !t->bad; n--) {
        Element element = take_element(t);
        if (t->bad || type != THRIFT_STRUCT || depth == GROUPS_MAX) {
            t->bad = true;
            break;
        }
        logical |= element.variant;
        if (depth > 0) {
            add_child(&groups[depth - 1], &element);
        }
        if (element.children > 0) {
            groups[depth++] = (Group){.children = element.children};
        }
        for (; depth > 0 && groups[depth - 1].children == 0; depth--) {
            DeltaVariantForm found = form_of(&groups[depth - 1]);
            form = found > form ? found : form;
        }
    }
    return logical ? DELTA_VARIANT_LOGICAL : form;
}

/* Moves to the list of the schema's elements. */
static void find_schema(Thrift *t)
{
    int64_t id = 0;

    for (int type; (type = take_field(t, &id)) != 0;) {
        if (id == FILE_SCHEMA && type == THRIFT_LIST) {
            return;
        }
        skip(t, type, 0, false);
    }
    t->bad = true;
}

static Status damaged(Error *err)
{
    return error_set(err, E_DELTA_CORRUPT, "the footer of the Parquet file is damaged");
}

Status delta_variant_footer(const uint8_t *footer, size_t n, DeltaVariantForm *out, Error *err)
{
    Thrift t = {.at = footer, .end = footer + n};

    find_schema(&t);
    DeltaVariantForm form = take_schema(&t);
    if (t.bad) {
        return damaged(err);
    }
    *out = form;
    return OK;
}

/* Calls back for each element that has a field id. */
static Status visit_ids(const uint8_t *footer, size_t n, DeltaFieldIdCallback callback, void *context, Error *err)
{
    Status rc = OK;
    Thrift t = {.at = footer, .end = footer + n};
    int type = 0;

    find_schema(&t);
    for (uint64_t left = t.bad ? 0 : take_list(&t, &type); left > 0 && !t.bad; left--) {
        Element element = take_element(&t);
        t.bad = t.bad || type != THRIFT_STRUCT;
        if (!t.bad && element.has_id) {
            TRY(callback(context, element.field_id, element.name, element.n_name, err));
        }
    }
    rc = t.bad ? damaged(err) : OK;
out:
    return rc;
}

/* ---- the file ---- */

static bool read_at(int fd, void *to, size_t n, off_t from)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(fd, (char *)to + done, n - done, from + (off_t)done);
        if (got <= 0) {
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

/* The footer's bytes, for the caller to mem_free. */
static Status read_footer(const char *place, uint8_t **out, size_t *n_out, Error *err)
{
    Status rc = OK;
    struct stat info;
    uint8_t tail[TAIL_BYTES], *footer = NULL;
    int fd = file_open(place, O_RDONLY, 0);

    if (fd < 0 || fstat(fd, &info) != 0) {
        rc = error_errno(err, "data file %s", place);
        goto out;
    }
    if (info.st_size < TAIL_BYTES || !read_at(fd, tail, TAIL_BYTES, info.st_size - TAIL_BYTES) ||
        memcmp(tail + 4, "PAR1", 4) != 0) {
        rc = error_set(err, E_DELTA_CORRUPT, "data file %s: the end of the file is not that of a Parquet file", place);
        goto out;
    }
    size_t n = (size_t)tail[0] | (size_t)tail[1] << 8 | (size_t)tail[2] << 16 | (size_t)tail[3] << 24;
    if (n > (size_t)info.st_size - TAIL_BYTES || n > FOOTER_BYTES_MAX) {
        rc = error_set(err, E_DELTA_CORRUPT, "data file %s: a Parquet footer of %zu bytes in %lld", place, n,
                       (long long)info.st_size);
        goto out;
    }
    footer = mem_alloc(n + 1);
    if (!read_at(fd, footer, n, info.st_size - TAIL_BYTES - (off_t)n)) {
        rc = error_errno(err, "data file %s", place);
        goto out;
    }
    *out = footer;
    *n_out = n;
    footer = NULL;
out:
    mem_free(footer);
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

Status delta_variant_form(const char *place, DeltaVariantForm *out, Error *err)
{
    uint8_t *footer = NULL;
    size_t n = 0;
    Status rc = read_footer(place, &footer, &n, err);

    if (rc == OK && (rc = delta_variant_footer(footer, n, out, err)) != OK) {
        (void)error_context(err, "data file %s", place);
    }
    mem_free(footer);
    return rc;
}

Status delta_file_field_ids(const char *place, DeltaFieldIdCallback callback, void *context, Error *err)
{
    uint8_t *footer = NULL;
    size_t n = 0;
    Status rc = read_footer(place, &footer, &n, err);

    if (rc == OK && (rc = visit_ids(footer, n, callback, context, err)) != OK) {
        (void)error_context(err, "data file %s", place);
    }
    mem_free(footer);
    return rc;
}
