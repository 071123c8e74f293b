#include "delta/mapping_int.h"

#include <string.h>

#include "base/clock.h"
#include "base/json.h"

enum { SCHEMA_BYTES_MAX = 64 << 20 };

static const char ID[] = "delta.columnMapping.id";
static const char PHYSICAL_NAME[] = "delta.columnMapping.physicalName";
static const char PART_IDS[] = "delta.columnMapping.nested.ids";

/* One walk through the schema each: new ids are larger than all that are in use, and those of fields come before those
 * of parts, as Spark numbers them. */
typedef enum Pass { FIND_LARGEST, NUMBER_FIELDS, NUMBER_PARTS } Pass;

typedef struct Assignment {
    Pass pass;
    DeltaMapping *mapping;
} Assignment;

/* What a list or map consists of; struct has fields instead. */
static const struct {
    const char *name, *key;
} PARTS[] = {{"element", "elementType"}, {"key", "keyType"}, {"value", "valueType"}};
enum { N_PARTS = sizeof PARTS / sizeof PARTS[0] };

static Status assign_type(Assignment *a, json_t *type, Error *err);

static void see_id(Assignment *a, int64_t id)
{
    a->mapping->max_id = id > a->mapping->max_id ? id : a->mapping->max_id;
}

static void see_part_ids(Assignment *a, json_t *metadata)
{
    const char *path;
    json_t *id;

    json_object_foreach(json_object_get(metadata, PART_IDS), path, id)
    {
        see_id(a, json_is_integer(id) ? json_integer_value(id) : 0);
    }
}

/* The ids of a type's parts are kept by their path from the field's stored name. */
static void number_parts(Assignment *a, json_t *ids, const char *path, const json_t *type)
{
    for (size_t i = 0; i < N_PARTS; i++) {
        const json_t *inner = json_object_get(type, PARTS[i].key);
        Text name = TEXT(SCHEMA_BYTES_MAX);
        if (inner != NULL) {
            text_printf(&name, "%s.%s", path, PARTS[i].name);
            if (!json_has(ids, text_str(&name))) {
                json_put_i64(ids, text_str(&name), ++a->mapping->max_id);
            }
            number_parts(a, ids, text_str(&name), inner);
        }
        text_free(&name);
    }
}

static void number_parts_of(Assignment *a, json_t *field, json_t *metadata)
{
    const char *stored = json_string_value(json_object_get(metadata, PHYSICAL_NAME));
    json_t *known = json_object_get(metadata, PART_IDS);
    json_t *ids = json_is_object(known) ? json_incref(known) : json_object();

    if (stored != NULL) {
        number_parts(a, ids, stored, json_object_get(field, "type"));
    }
    if (json_object_size(ids) > 0) {
        json_put(metadata, PART_IDS, json_incref(ids));
    }
    json_decref(ids);
}

static Status number_field(Assignment *a, json_t *metadata, const char *name, int64_t id, Error *err)
{
    char physical[UUID_TEXT + 4] = "col-";

    if (id < 0) {
        json_put_i64(metadata, ID, ++a->mapping->max_id);
    }
    if (json_has(metadata, PHYSICAL_NAME)) {
        return OK;
    }
    uuid_text(physical + strlen("col-"));
    return json_put_string(metadata, PHYSICAL_NAME, a->mapping->keep_names ? name : physical, err);
}

static Status assign_field(Assignment *a, json_t *field, Error *err)
{
    json_t *metadata = json_object_get(field, "metadata");
    const char *name;
    int64_t id = -1;
    Status rc = OK;

    TRY(json_get_string(field, "name", &name, err));
    if (!json_is_object(metadata)) {
        metadata = json_object();
        json_put(field, "metadata", metadata);
    }
    TRY(json_opt_i64(metadata, ID, &id, err));
    switch (a->pass) {
    case FIND_LARGEST:
        see_id(a, id);
        see_part_ids(a, metadata);
        break;
    case NUMBER_FIELDS: TRY(number_field(a, metadata, name, id, err)); break;
    case NUMBER_PARTS: number_parts_of(a, field, metadata); break;
    }
    TRY(assign_type(a, json_object_get(field, "type"), err));
out:
    return rc;
}

/* A type is a name, or an object that holds further types; only members of structs are mapped. */
static Status assign_type(Assignment *a, json_t *type, Error *err)
{
    const json_t *fields = json_object_get(type, "fields");
    Status rc = OK;

    for (size_t i = 0; i < json_array_size(fields); i++) {
        TRY(assign_field(a, json_array_get(fields, i), err));
    }
    for (size_t i = 0; i < N_PARTS; i++) {
        json_t *inner = json_object_get(type, PARTS[i].key);
        if (inner != NULL) {
            TRY(assign_type(a, inner, err));
        }
    }
out:
    return rc;
}

Status delta_mapping_assign(const DeltaSchema *schema, DeltaMapping *mapping, DeltaSchema **out, Error *err)
{
    Assignment a = {.mapping = mapping};
    JsonSource source = {.name = "the schema"};
    Text text = TEXT(SCHEMA_BYTES_MAX);
    json_t *object = NULL;
    Status rc = OK;

    delta_schema_json(schema, &text);
    TRY(json_parse_object(text_str(&text), text.length, &source, &object, err));
    for (a.pass = FIND_LARGEST; a.pass <= (mapping->part_ids ? NUMBER_PARTS : NUMBER_FIELDS); a.pass++) {
        TRY(assign_type(&a, object, err));
    }
    text_clear(&text);
    TRY(json_dump_text(object, &text, err));
    TRY(delta_schema_parse(text_str(&text), out, err));
out:
    json_decref(object);
    text_free(&text);
    return rc;
}
