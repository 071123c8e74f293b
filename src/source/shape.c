#include "source/shape.h"

#include <ctype.h>

#include "source/json_text.h"
#include "source/value_text.h"

enum {
    SEEN_BOOLEAN = 1,
    SEEN_LONG = 2,
    SEEN_REAL = 4,
    SEEN_WIDE = 8,
    SEEN_STRING = 16,
    SEEN_OBJECT = 32,
    SEEN_ARRAY = 64
};

static const DeltaType STRING_TYPE = {.id = DELTA_STRING}, LONG_TYPE = {.id = DELTA_LONG},
                       DOUBLE_TYPE = {.id = DELTA_DOUBLE}, BOOLEAN_TYPE = {.id = DELTA_BOOLEAN};

static void shape_free(void *p)
{
    Shape *shape = p;
    if (shape == NULL) {
        return;
    }
    shape_free(shape->element);
    if (shape->fields != NULL) {
        map_free(shape->fields, shape_free);
        map_free(shape->lower, NULL);
    }
    mem_free(shape);
}

void shapes_init(Shapes *shapes)
{
    *shapes = (Shapes){.root = mem_alloc(sizeof *shapes->root)};
}

void shapes_fini(Shapes *shapes)
{
    shape_free(shapes->root);
    shapes->root = NULL;
}

bool shape_takes_name(const char *name, size_t n)
{
    return n > 0 && n <= SHAPE_NAME_MAX && memchr(name, '\0', n) == NULL;
}

/* The shape of a field; NULL when there are too many, or one of that name in another case. */
static Shape *field_of(Shapes *shapes, Shape *object, const char *name, size_t n)
{
    Shape *field = object->fields ? map_get_n(object->fields, name, n) : NULL;
    if (field != NULL || shapes->n_fields == SHAPE_FIELDS_MAX || !shape_takes_name(name, n)) {
        return field;
    }
    if (object->fields == NULL) {
        object->fields = map_new();
        object->lower = map_new();
    }
    char *lower = mem_strndup(name, n);
    str_lower(lower);
    if (!map_has(object->lower, lower)) {
        field = mem_alloc(sizeof *field);
        map_put_n(object->fields, name, n, field);
        map_put(object->lower, lower, field);
        shapes->n_fields++;
    }
    mem_free(lower);
    return field;
}

/* ---- JSON: the record was checked, so nothing here can fail ---- */

static const char *add_value(Shapes *shapes, Shape *shape, const char *p, int depth);

static const char *add_number(Shape *shape, const char *p)
{
    JsonFault fault;
    int64_t ignored;
    const char *end = json_text_number(p, &fault);
    bool real = false;
    for (const char *c = p; c < end && !real; c++) {
        real = *c == '.' || *c == 'e' || *c == 'E';
    }
    if (shape != NULL) {
        shape->kinds |= real ? SEEN_REAL : text_to_i64(p, (size_t)(end - p), &ignored) ? SEEN_LONG : SEEN_WIDE;
    }
    return end;
}

static const char *add_member(Shapes *shapes, Shape *object, const char *p, int depth)
{
    JsonString key;
    JsonFault fault;
    Shape *field = NULL;

    p = json_text_string(p, &key, &fault);
    if (object != NULL && !key.escaped) {
        field = field_of(shapes, object, key.s, key.n);
    } else if (object != NULL) {
        char *name = mem_alloc(key.n + 1);
        field = field_of(shapes, object, name, json_text_unescape(key.s, key.n, name));
        mem_free(name);
    }
    p = json_text_space(json_text_space(p) + 1);
    return add_value(shapes, field, p, depth);
}

static const char *add_container(Shapes *shapes, Shape *shape, const char *p, int depth)
{
    bool object = *p == '{';
    if (depth > SHAPE_DEPTH_MAX && shape != NULL) {
        shape->kinds |= SEEN_STRING;
        shape = NULL;
    }
    if (shape != NULL) {
        shape->kinds |= object ? SEEN_OBJECT : SEEN_ARRAY;
        if (!object && shape->element == NULL) {
            shape->element = mem_alloc(sizeof *shape->element);
        }
    }
    p = json_text_space(p + 1);
    while (*p != '}' && *p != ']') {
        p = object ? add_member(shapes, shape, p, depth + 1)
                   : add_value(shapes, shape ? shape->element : NULL, p, depth + 1);
        p = json_text_space(p);
        if (*p == ',') {
            p = json_text_space(p + 1);
        }
    }
    return p + 1;
}

static const char *add_value(Shapes *shapes, Shape *shape, const char *p, int depth)
{
    JsonString string;
    JsonFault fault;
    unsigned kind = 0;

    switch (*p) {
    case '{':
    case '[': return add_container(shapes, shape, p, depth);
    case '"':
        kind = SEEN_STRING;
        p = json_text_string(p, &string, &fault);
        break;
    case 't':
        kind = SEEN_BOOLEAN;
        p += 4;
        break;
    case 'f':
        kind = SEEN_BOOLEAN;
        p += 5;
        break;
    case 'n': p += 4; break;
    default: return add_number(shape, p);
    }
    if (shape != NULL) {
        shape->kinds |= kind;
    }
    return p;
}

void shapes_add_json(Shapes *shapes, const char **line)
{
    JsonFault fault;
    const char *p = json_text_space(*line);
    const char *end = *p == '{' ? json_text_skip(p, JSON_RECORD_DEPTH, &fault) : NULL;

    if (end != NULL && *json_text_space(end) == '\n') {
        add_container(shapes, shapes->root, p, 0);
    }
    *line = (const char *)rawmemchr(*line, '\n') + 1;
}

/* ---- CSV ---- */

void shapes_add_text(Shapes *shapes, const char *name, const char *s, size_t n, bool null)
{
    Shape *field = field_of(shapes, shapes->root, name, strlen(name));
    int64_t whole;
    double real;

    if (field == NULL || null) {
        return;
    }
    if (text_to_i64(s, n, &whole)) {
        field->kinds |= SEEN_LONG;
    } else if (text_to_double(s, n, false, &real)) {
        bool digits = true;
        for (size_t i = 0; i < n && digits; i++) {
            digits = isdigit((unsigned char)s[i]) || s[i] == '-' || s[i] == '+';
        }
        field->kinds |= digits ? SEEN_WIDE : SEEN_REAL;
    } else {
        bool boolean = (n == 4 && strncasecmp(s, "true", 4) == 0) || (n == 5 && strncasecmp(s, "false", 5) == 0);
        field->kinds |= boolean ? SEEN_BOOLEAN : SEEN_STRING;
    }
}

/* ---- types ---- */

static const DeltaType *type_of(const Shape *shape, Arena *arena);

static const DeltaType *struct_of(const Shape *shape, Arena *arena)
{
    DeltaType *type = arena_alloc(arena, sizeof *type);
    DeltaField *fields = arena_alloc(arena, map_count(shape->fields) * sizeof *fields);
    const char *name;
    void *field;

    *type = (DeltaType){.id = DELTA_STRUCT, .fields = fields};
    for (size_t i = 0; map_next(shape->fields, &i, &name, &field);) {
        fields[type->n_fields++] = (DeltaField){
            .name = arena_strdup(arena, name), .type = type_of(field, arena), .nullable = true, .metadata = "{}"};
    }
    return type;
}

static const DeltaType *list_of(const DeltaType *element, Arena *arena)
{
    DeltaType *type = arena_alloc(arena, sizeof *type);
    DeltaField *field = arena_alloc(arena, sizeof *field);
    *field = (DeltaField){.name = "element", .type = element, .nullable = true, .metadata = "{}"};
    *type = (DeltaType){.id = DELTA_ARRAY, .fields = field, .n_fields = 1};
    return type;
}

static const DeltaType *type_of(const Shape *shape, Arena *arena)
{
    switch (shape->kinds) {
    case SEEN_BOOLEAN: return &BOOLEAN_TYPE;
    case SEEN_LONG: return &LONG_TYPE;
    case SEEN_REAL:
    case SEEN_REAL | SEEN_LONG: return &DOUBLE_TYPE;
    case SEEN_OBJECT: return shape->fields ? struct_of(shape, arena) : &STRING_TYPE;
    case SEEN_ARRAY: return list_of(type_of(shape->element, arena), arena);
    default: return &STRING_TYPE;
    }
}

DeltaSchema *shapes_schema(const Shapes *shapes, bool strings)
{
    DeltaSchema *empty = delta_schema_builder_finish(delta_schema_builder_new(NULL));
    DeltaSchema *schema = shapes_extend(shapes, empty, strings, NULL, 0);
    if (schema == NULL) {
        return empty;
    }
    delta_schema_unref(empty);
    return schema;
}

/* ---- extending ---- */

static const DeltaType *extend_type(const DeltaType *type, const Shape *shape, Arena *arena);

static const DeltaField *find_field(const DeltaField *fields, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_ieq(fields[i].name, name)) {
            return &fields[i];
        }
    }
    return NULL;
}

/* A STRUCT with the fields of `shape` that it lacks; the same type when there are none. */
static const DeltaType *extend_struct(const DeltaType *type, const Shape *shape, Arena *arena)
{
    size_t most = type->n_fields + (shape->fields ? map_count(shape->fields) : 0);
    DeltaField *fields = arena_alloc(arena, (most + 1) * sizeof *fields);
    size_t n = type->n_fields;
    bool changed = false;
    const char *name;
    void *field;

    for (size_t i = 0; i < type->n_fields; i++) {
        const Shape *seen = shape->fields ? map_get(shape->fields, type->fields[i].name) : NULL;
        fields[i] = type->fields[i];
        fields[i].type = seen ? extend_type(type->fields[i].type, seen, arena) : type->fields[i].type;
        changed = changed || fields[i].type != type->fields[i].type;
    }
    for (size_t i = 0; shape->fields && map_next(shape->fields, &i, &name, &field);) {
        if (find_field(type->fields, type->n_fields, name) == NULL) {
            fields[n++] = (DeltaField){
                .name = arena_strdup(arena, name), .type = type_of(field, arena), .nullable = true, .metadata = "{}"};
        }
    }
    if (n == type->n_fields && !changed) {
        return type;
    }
    DeltaType *extended = arena_alloc(arena, sizeof *extended);
    *extended = (DeltaType){.id = DELTA_STRUCT, .fields = fields, .n_fields = n};
    return extended;
}

static const DeltaType *extend_type(const DeltaType *type, const Shape *shape, Arena *arena)
{
    if (type->id == DELTA_STRUCT && shape->fields != NULL) {
        return extend_struct(type, shape, arena);
    }
    if (type->id == DELTA_ARRAY && shape->element != NULL) {
        const DeltaType *element = extend_type(type->fields[0].type, shape->element, arena);
        return element == type->fields[0].type ? type : list_of(element, arena);
    }
    return type;
}

static bool is_one_of(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_ieq(names[i], name)) {
            return true;
        }
    }
    return false;
}

DeltaSchema *shapes_extend(const Shapes *shapes, const DeltaSchema *base, bool strings, const char *const *reserved,
                           size_t n_reserved)
{
    Arena *arena = arena_new();
    const DeltaType record = {.id = DELTA_STRUCT, .fields = base->fields, .n_fields = base->n_fields};
    const DeltaType *extended = extend_struct(&record, shapes->root, arena);
    DeltaSchemaBuilder *builder = delta_schema_builder_new(NULL);
    bool changed = false;

    for (size_t i = 0; i < extended->n_fields; i++) {
        const DeltaField *field = &extended->fields[i];
        bool is_new = i >= base->n_fields;
        if (is_new && is_one_of(field->name, reserved, n_reserved)) {
            continue;
        }
        delta_schema_builder_add(builder, field->name, is_new && strings ? &STRING_TYPE : field->type, true,
                                 field->metadata);
        changed = changed || is_new || field->type != base->fields[i].type;
    }
    DeltaSchema *schema = delta_schema_builder_finish(builder);
    arena_free(arena);
    if (!changed) {
        delta_schema_unref(schema);
        return NULL;
    }
    return schema;
}
