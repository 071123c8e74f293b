/* Schemas: their JSON in metaData.schemaString, building them, looking fields up.
 *
 *     {"type":"struct","fields":[{"name":"a","type":<type>,"nullable":true,"metadata":{...}}, ...]}
 *     <type> = "long" | {"type":"struct","fields":[...]} | {"type":"array","elementType":<type>,"containsNull":true}
 *            | {"type":"map","keyType":<type>,"valueType":<type>,"valueContainsNull":true}
 *
 * A field's metadata is kept as it is, known or not, so that a schema written back loses nothing.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/map.h"
#include "delta/schema_int.h"

static const char PHYSICAL_NAME[] = "delta.columnMapping.physicalName";
static const char FIELD_ID[] = "delta.columnMapping.id";
static const char PART_IDS[] = "delta.columnMapping.nested.ids";

DeltaSchema *delta_schema_ref(DeltaSchema *schema)
{
    atomic_fetch_add_explicit(&schema->references, 1, memory_order_relaxed);
    return schema;
}

void delta_schema_unref(DeltaSchema *schema)
{
    if (schema && atomic_fetch_sub_explicit(&schema->references, 1, memory_order_acq_rel) == 1) {
        arena_free(schema->arena); /* the schema itself lies in it */
    }
}

static DeltaSchema *schema_make(Arena *arena, const DeltaField *fields, size_t n)
{
    DeltaSchema *schema = arena_alloc(arena, sizeof *schema);

    schema->fields = fields;
    schema->n_fields = n;
    schema->arena = arena;
    atomic_init(&schema->references, 1);
    return schema;
}

/* ---- fields ---- */

/* Metadata text as an object; NULL for "{}" and for what is none (it was checked when the schema was parsed). */
static json_t *metadata_parse(const char *metadata)
{
    JsonSource source = {.name = "field metadata"};
    json_t *object = NULL;

    if (!metadata || strcmp(metadata, "{}") == 0 ||
        json_parse_object(metadata, strlen(metadata), &source, &object, NULL) != OK) {
        return NULL;
    }
    return object;
}

static int32_t read_id(const json_t *object, const char *key)
{
    const json_t *id = json_object_get(object, key);
    bool fits = json_is_integer(id) && json_integer_value(id) > 0 && json_integer_value(id) <= INT32_MAX;

    return fits ? (int32_t)json_integer_value(id) : 0;
}

static void read_mapping(Arena *arena, const json_t *metadata, DeltaField *field)
{
    const json_t *name = json_object_get(metadata, PHYSICAL_NAME);

    if (json_is_string(name)) {
        field->physical_name = arena_strdup(arena, json_string_value(name));
    }
    field->field_id = read_id(metadata, FIELD_ID);
}

/* A list or map whose parts have ids, {"<stored name>.value.element": 7, ...}. Fields of structs have their own. */
static const DeltaType *with_part_ids(Arena *arena, const DeltaType *type, const char *path, const json_t *ids)
{
    if (type->id != DELTA_ARRAY && type->id != DELTA_MAP) {
        return type;
    }
    DeltaType *copy = arena_alloc(arena, sizeof *copy);
    DeltaField *parts = arena_alloc(arena, type->n_fields * sizeof *parts);
    for (size_t i = 0; i < type->n_fields; i++) {
        const char *inner = arena_printf(arena, "%s.%s", path, type->fields[i].name);
        parts[i] = type->fields[i];
        parts[i].field_id = read_id(ids, inner);
        parts[i].type = with_part_ids(arena, type->fields[i].type, inner, ids);
    }
    *copy = *type;
    copy->fields = parts;
    return copy;
}

DeltaField delta_field_make(Arena *arena, const char *name, const DeltaType *type, bool nullable, const char *metadata)
{
    DeltaField field = {.type = type, .nullable = nullable};
    json_t *object = metadata_parse(metadata);

    field.name = arena_strdup(arena, name);
    field.metadata = metadata ? arena_strdup(arena, metadata) : "{}";
    field.physical_name = field.name;
    if (object) {
        read_mapping(arena, object, &field);
    }
    json_decref(object);
    return field;
}

const char *delta_field_metadata(Arena *arena, const DeltaField *field, const char *key)
{
    json_t *object = metadata_parse(field->metadata);
    const char *value = object ? arena_strdup(arena, json_string_value(json_object_get(object, key))) : NULL;

    json_decref(object);
    return value;
}

bool delta_field_has_metadata(const DeltaField *field, const char *key)
{
    json_t *object = metadata_parse(field->metadata);
    bool has = object && json_has(object, key);

    json_decref(object);
    return has;
}

const DeltaField *delta_fields_duplicate(const DeltaField *fields, size_t n)
{
    Map *seen = map_new();
    Text lower = TEXT(DELTA_NAME_MAX + 1);
    const DeltaField *twice = NULL;

    for (size_t i = 0; i < n && !twice; i++) {
        text_clear(&lower);
        text_append(&lower, fields[i].name);
        if (lower.data) {
            str_lower(lower.data);
        }
        if (map_put(seen, text_str(&lower), (void *)&fields[i])) {
            twice = &fields[i];
        }
    }
    text_free(&lower);
    map_free(seen, NULL);
    return twice;
}

/* ---- parsing ---- */

typedef struct Parser {
    Arena *arena;
    size_t n_fields; /* of the whole schema */
} Parser;

static Status parse_type(Parser *p, const json_t *json, const DeltaType **out, Error *err);

static Status parse_field(Parser *p, const json_t *json, DeltaField *out, Error *err)
{
    Status rc = OK;
    const char *name = NULL;
    bool nullable = true;
    json_t *metadata = NULL;
    const DeltaType *type = NULL;
    Text text = TEXT(16 << 20);

    if (!json_is_object(json)) {
        return error_set(err, E_JSON, "a field must be an object");
    }
    if (++p->n_fields > DELTA_FIELDS_MAX) {
        return error_set(err, E_LIMIT, "a schema has more than %d fields", DELTA_FIELDS_MAX);
    }
    TRY(json_get_string(json, "name", &name, err));
    if (strlen(name) > DELTA_NAME_MAX) {
        TRY(error_set(err, E_LIMIT, "a field name is longer than %d bytes", DELTA_NAME_MAX));
    }
    TRY(json_opt_bool(json, "nullable", &nullable, err));
    TRY(json_opt_object(json, "metadata", &metadata, err));
    if ((rc = parse_type(p, json_object_get(json, "type"), &type, err)) != OK) {
        (void)error_context(err, "column \"%.200s\"", name);
        goto out;
    }
    *out = (DeltaField){.name = arena_strdup(p->arena, name), .type = type, .nullable = nullable, .metadata = "{}"};
    out->physical_name = out->name;
    if (metadata && json_object_size(metadata) > 0) {
        TRY(json_dump_text(metadata, &text, err));
        out->metadata = arena_strdup(p->arena, text_str(&text));
        read_mapping(p->arena, metadata, out);
        const json_t *ids = json_object_get(metadata, PART_IDS);
        out->type = json_object_size(ids) > 0 ? with_part_ids(p->arena, type, out->physical_name, ids) : type;
    }
out:
    text_free(&text);
    return rc;
}

static Status parse_struct(Parser *p, const json_t *json, const DeltaField **out, size_t *n, Error *err)
{
    Status rc = OK;
    json_t *list = NULL;
    DeltaField *fields;

    TRY(json_get_array(json, "fields", &list, err));
    fields = arena_alloc(p->arena, (json_array_size(list) + 1) * sizeof *fields);
    for (size_t i = 0; i < json_array_size(list); i++) {
        TRY(parse_field(p, json_array_get(list, i), &fields[i], err));
    }
    const DeltaField *twice = delta_fields_duplicate(fields, json_array_size(list));
    if (twice) {
        rc = error_set(err, E_DELTA_CORRUPT, "column \"%.200s\" is there twice (names match without case)",
                       twice->name);
        error_klass(err, "DELTA_DUPLICATE_COLUMNS_FOUND");
        goto out;
    }
    *out = fields;
    *n = json_array_size(list);
out:
    return rc;
}

static Status parse_nested(Parser *p, const json_t *json, const char *kind, const DeltaType **out, Error *err)
{
    Status rc = OK;
    bool nullable = true;
    const DeltaType *first = NULL, *second = NULL;

    if (strcmp(kind, "struct") == 0) {
        DeltaType *type = arena_alloc(p->arena, sizeof *type);
        type->id = DELTA_STRUCT;
        TRY(parse_struct(p, json, &type->fields, &type->n_fields, err));
        *out = type;
    } else if (strcmp(kind, "array") == 0) {
        TRY(json_opt_bool(json, "containsNull", &nullable, err));
        TRY(parse_type(p, json_object_get(json, "elementType"), &first, err));
        *out = delta_type_array(p->arena, first, nullable);
    } else if (strcmp(kind, "map") == 0) {
        TRY(json_opt_bool(json, "valueContainsNull", &nullable, err));
        TRY(parse_type(p, json_object_get(json, "keyType"), &first, err));
        TRY(parse_type(p, json_object_get(json, "valueType"), &second, err));
        *out = delta_type_map(p->arena, first, second, nullable);
    } else {
        rc = error_set(err, E_DELTA_TYPE, "type \"%.100s\" is not supported", kind);
    }
out:
    return rc;
}

static Status parse_type(Parser *p, const json_t *json, const DeltaType **out, Error *err)
{
    Status rc = OK;
    const char *kind = NULL;

    if (json_is_object(json)) {
        TRY(json_get_string(json, "type", &kind, err));
        return parse_nested(p, json, kind, out, err);
    }
    if (!json_is_string(json)) {
        return error_set(err, E_JSON, "field 'type' must be a type name or an object");
    }
    const DeltaType *type = delta_type_parse_primitive(p->arena, json_string_value(json));
    if (!type) {
        return error_set(err, E_DELTA_TYPE, "type \"%.100s\" is not supported", json_string_value(json));
    }
    *out = type;
out:
    return rc;
}

Status delta_schema_parse(const char *json, DeltaSchema **out, Error *err)
{
    Status rc = OK;
    JsonSource source = {.name = "schema", .bytes_max = 64 << 20};
    json_t *root = NULL;
    Parser p = {.arena = arena_new()};
    const DeltaField *fields = NULL;
    size_t n = 0;
    const char *kind = NULL;

    TRY(json_parse_object(json, strlen(json), &source, &root, err));
    TRY(json_get_string(root, "type", &kind, err));
    if (strcmp(kind, "struct") != 0) {
        TRY(error_set(err, E_DELTA_CORRUPT, "the schema of a table must be a struct, not \"%.100s\"", kind));
    }
    TRY(parse_struct(&p, root, &fields, &n, err));
    *out = schema_make(p.arena, fields, n);
    p.arena = NULL;
out:
    json_decref(root);
    arena_free(p.arena);
    return rc;
}

/* ---- writing ---- */

static void write_fields(const DeltaField *fields, size_t n, Text *out);

static void write_type(const DeltaType *type, Text *out)
{
    const DeltaField *parts = type->fields;

    switch (type->id) {
    case DELTA_STRUCT: write_fields(parts, type->n_fields, out); break;
    case DELTA_ARRAY:
        text_append(out, "{\"type\":\"array\",\"elementType\":");
        write_type(parts[0].type, out);
        text_printf(out, ",\"containsNull\":%s}", parts[0].nullable ? "true" : "false");
        break;
    case DELTA_MAP:
        text_append(out, "{\"type\":\"map\",\"keyType\":");
        write_type(parts[0].type, out);
        text_append(out, ",\"valueType\":");
        write_type(parts[1].type, out);
        text_printf(out, ",\"valueContainsNull\":%s}", parts[1].nullable ? "true" : "false");
        break;
    default:
        text_append_char(out, '"');
        delta_type_name(type, out);
        text_append_char(out, '"');
    }
}

static void write_fields(const DeltaField *fields, size_t n, Text *out)
{
    text_append(out, "{\"type\":\"struct\",\"fields\":[");
    for (size_t i = 0; i < n; i++) {
        text_append(out, i ? ",{\"name\":" : "{\"name\":");
        text_append_json_string(out, fields[i].name);
        text_append(out, ",\"type\":");
        write_type(fields[i].type, out);
        text_printf(out, ",\"nullable\":%s,\"metadata\":", fields[i].nullable ? "true" : "false");
        text_append(out, fields[i].metadata);
        text_append_char(out, '}');
    }
    text_append(out, "]}");
}

void delta_schema_json(const DeltaSchema *schema, Text *out)
{
    write_fields(schema->fields, schema->n_fields, out);
}

/* ---- building ---- */

struct DeltaSchemaBuilder {
    Arena *arena;
    DeltaField *fields;
    size_t n_fields, capacity;
};

static void builder_push(DeltaSchemaBuilder *builder, DeltaField field)
{
    builder->fields = mem_grow(builder->fields, builder->n_fields, &builder->capacity, sizeof *builder->fields);
    builder->fields[builder->n_fields++] = field;
}

DeltaSchemaBuilder *delta_schema_builder_new(const DeltaSchema *base)
{
    DeltaSchemaBuilder *builder = mem_alloc(sizeof *builder);

    builder->arena = arena_new();
    for (size_t i = 0; base && i < base->n_fields; i++) {
        builder_push(builder, delta_field_copy(builder->arena, &base->fields[i]));
    }
    return builder;
}

void delta_schema_builder_add(DeltaSchemaBuilder *builder, const char *name, const DeltaType *type, bool nullable,
                              const char *metadata)
{
    builder_push(builder,
                 delta_field_make(builder->arena, name, delta_type_copy(builder->arena, type), nullable, metadata));
}

DeltaSchema *delta_schema_builder_finish(DeltaSchemaBuilder *builder)
{
    size_t bytes = builder->n_fields * sizeof *builder->fields;
    DeltaField *fields = arena_alloc(builder->arena, bytes + 1);
    DeltaSchema *schema;

    if (bytes > 0) {
        memcpy(fields, builder->fields, bytes);
    }
    schema = schema_make(builder->arena, fields, builder->n_fields);
    mem_free(builder->fields);
    mem_free(builder);
    return schema;
}

Status delta_schema_from_columns(const DuckColumnInfo *columns, size_t n, DeltaSchema **out, Error *err)
{
    Status rc = OK;
    Arena *scratch = arena_new();
    DeltaSchemaBuilder *builder = delta_schema_builder_new(NULL);
    DeltaSchema *schema = NULL;
    const DeltaField *twice;

    for (size_t i = 0; i < n; i++) {
        const DeltaType *type = NULL;
        if (columns[i].name[0] == '\0') {
            TRY(error_set(err, E_DELTA_NAME, "column %zu of the query has no name", i + 1));
        }
        TRY(delta_type_from_duck(columns[i].type, columns[i].name, scratch, &type, err));
        delta_schema_builder_add(builder, columns[i].name, type, true, NULL);
    }
    schema = delta_schema_builder_finish(builder);
    builder = NULL;
    if ((twice = delta_fields_duplicate(schema->fields, schema->n_fields)) != NULL) {
        rc = error_set(err, E_DELTA_SCHEMA, "the query has two columns named \"%s\" (names match without case)",
                       twice->name);
        error_klass(err, "DELTA_DUPLICATE_COLUMNS_FOUND");
        error_hint(err, "give one of them another name with AS");
        goto out;
    }
    *out = schema;
    schema = NULL;
out:
    if (builder) {
        delta_schema_unref(delta_schema_builder_finish(builder));
    }
    delta_schema_unref(schema);
    arena_free(scratch);
    return rc;
}

const DeltaField *delta_schema_find(const DeltaSchema *schema, const char *name)
{
    return delta_field_find(schema->fields, schema->n_fields, name);
}

/* ---- names ---- */

static Status check_names(const DeltaField *fields, size_t n, Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < n; i++) {
        const char *name = fields[i].name;
        if (name[strcspn(name, " ,;{}()\n\t=\r")] != '\0') {
            rc = error_set(
                err, E_DELTA_NAME,
                "column \"%s\" has a character that needs column mapping: one of blank , ; { } ( ) = tab or line end",
                name);
            error_hint(err, "rename the column with AS, or set the table property 'delta.columnMapping.mode' = 'name'");
            goto out;
        }
        TRY(check_names(fields[i].type->fields, fields[i].type->n_fields, err)); /* "element" and the like pass */
    }
out:
    return rc;
}

Status delta_schema_check_names(const DeltaSchema *schema, const char *column_mapping, Error *err)
{
    return column_mapping && strcmp(column_mapping, "none") != 0 ? OK
                                                                 : check_names(schema->fields, schema->n_fields, err);
}
