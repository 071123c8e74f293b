#include "delta/mapping_int.h"

#include <string.h>

#include "base/clock.h"
#include "base/json.h"

enum { SCHEMA_BYTES_MAX = 64 << 20 };

static const char ID[] = "delta.columnMapping.id";
static const char PHYSICAL_NAME[] = "delta.columnMapping.physicalName";

typedef struct Assignment {
    bool keep_names, find_only; /* find_only: the first pass, which looks for the largest id */
    int64_t max_id;
} Assignment;

static Status assign_type(Assignment *a, json_t *type, Error *err);

static Status assign_field(Assignment *a, json_t *field, Error *err)
{
    json_t *metadata = json_object_get(field, "metadata");
    const char *name;
    char physical[UUID_TEXT + 4] = "col-";
    int64_t id = -1;
    Status rc = OK;

    TRY(json_get_string(field, "name", &name, err));
    if (!json_is_object(metadata)) {
        metadata = json_object();
        json_put(field, "metadata", metadata);
    }
    TRY(json_opt_i64(metadata, ID, &id, err));
    if (a->find_only) {
        a->max_id = id > a->max_id ? id : a->max_id;
    } else {
        if (id < 0) {
            json_put_i64(metadata, ID, ++a->max_id);
        }
        if (!json_has(metadata, PHYSICAL_NAME)) {
            uuid_text(physical + strlen("col-"));
            TRY(json_put_string(metadata, PHYSICAL_NAME, a->keep_names ? name : physical, err));
        }
    }
    TRY(assign_type(a, json_object_get(field, "type"), err));
out:
    return rc;
}

/* A type is a name, or an object that holds further types; only members of structs are mapped. */
static Status assign_type(Assignment *a, json_t *type, Error *err)
{
    static const char *const INNER[] = {"elementType", "keyType", "valueType"};
    const json_t *fields = json_object_get(type, "fields");
    Status rc = OK;

    for (size_t i = 0; i < json_array_size(fields); i++) {
        TRY(assign_field(a, json_array_get(fields, i), err));
    }
    for (size_t i = 0; i < sizeof INNER / sizeof INNER[0]; i++) {
        json_t *inner = json_object_get(type, INNER[i]);
        if (inner != NULL) {
            TRY(assign_type(a, inner, err));
        }
    }
out:
    return rc;
}

Status delta_mapping_assign(const DeltaSchema *schema, bool keep_names, int64_t *max_id, DeltaSchema **out, Error *err)
{
    Assignment a = {.keep_names = keep_names, .find_only = true, .max_id = *max_id};
    JsonSource source = {.name = "the schema"};
    Text text = TEXT(SCHEMA_BYTES_MAX);
    json_t *object = NULL;
    Status rc = OK;

    delta_schema_json(schema, &text);
    TRY(json_parse_object(text_str(&text), text.length, &source, &object, err));
    TRY(assign_type(&a, object, err));
    a.find_only = false;
    TRY(assign_type(&a, object, err));
    text_clear(&text);
    TRY(json_dump_text(object, &text, err));
    TRY(delta_schema_parse(text_str(&text), out, err));
    *max_id = a.max_id;
out:
    json_decref(object);
    text_free(&text);
    return rc;
}
