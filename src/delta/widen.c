#include "delta/widen.h"

#include <string.h>

#include "delta/schema_int.h"

typedef struct Widen {
    Arena *arena;
    const char *path; /* of the column, for messages */
    bool changed;
} Widen;

/* ---- which types are wider ---- */

/* How many digits an integer type needs before the point; 0 for other types. */
static int integer_digits(const DeltaType *type)
{
    switch (type->id) {
    case DELTA_BYTE: return 3;
    case DELTA_SHORT: return 5;
    case DELTA_INTEGER: return 10;
    case DELTA_LONG: return 20;
    default: return 0;
    }
}

static bool is_wider(const DeltaType *from, const DeltaType *to)
{
    int digits = integer_digits(from);

    if (to->id == DELTA_DECIMAL && from->id == DELTA_DECIMAL) {
        return to->scale >= from->scale && to->precision - to->scale >= from->precision - from->scale;
    }
    if (to->id == DELTA_DECIMAL) {
        int needed = from->id == DELTA_LONG ? 20 : 10;
        return digits > 0 && to->precision - to->scale >= needed;
    }
    if (digits > 0) {
        return integer_digits(to) > digits || (to->id == DELTA_DOUBLE && from->id != DELTA_LONG);
    }
    return (from->id == DELTA_FLOAT && to->id == DELTA_DOUBLE) ||
           (from->id == DELTA_DATE && to->id == DELTA_TIMESTAMP_NTZ);
}

static Status refuse(const Widen *w, const DeltaType *from, const DeltaType *to, Error *err)
{
    Text from_name = TEXT(1 << 16), to_name = TEXT(1 << 16);

    delta_type_name(from, &from_name);
    delta_type_name(to, &to_name);
    Status rc = error_set(err, E_DELTA_SCHEMA, "column \"%s\" is %s and cannot become %s", w->path,
                          text_str(&from_name), text_str(&to_name));
    error_klass(err, "DELTA_UNSUPPORTED_TYPE_CHANGE_IN_ALTER_TABLE");
    error_hint(err, "only a wider type can hold what is there; CREATE OR REPLACE TABLE writes the rows anew");
    text_free(&from_name);
    text_free(&to_name);
    return rc;
}

/* ---- the change and its record ---- */

/* {"fromType": ..., "toType": ..., "fieldPath": "element.value"}, the path only for parts of lists and maps */
static Status record(const DeltaType *from, const DeltaType *to, const char *part, json_t *changes, Error *err)
{
    Status rc = OK;
    json_t *change = json_object();
    Text from_name = TEXT(256), to_name = TEXT(256);

    delta_type_name(from, &from_name);
    delta_type_name(to, &to_name);
    TRY(json_put_string(change, "fromType", text_str(&from_name), err));
    TRY(json_put_string(change, "toType", text_str(&to_name), err));
    if (part[0] != '\0') {
        TRY(json_put_string(change, "fieldPath", part, err));
    }
    json_array_append(changes, change);
out:
    json_decref(change);
    text_free(&from_name);
    text_free(&to_name);
    return rc;
}

static Status widen_field(Widen *w, const DeltaField *field, const DeltaType *to, DeltaField *out, Error *err);

/* `part`: the way from the nearest field of a struct to here, "" when this is its own type. */
static Status widen_type(Widen *w, const DeltaType *from, const DeltaType *to, const char *part, json_t *changes,
                         const DeltaType **out, Error *err)
{
    Status rc = OK;

    *out = from;
    if (delta_type_equal(from, to)) {
        return OK;
    }
    if (!delta_type_is_nested(from)) {
        if (!is_wider(from, to)) {
            return refuse(w, from, to, err);
        }
        w->changed = true;
        *out = to;
        return record(from, to, part, changes, err);
    }
    if (from->id != to->id || from->n_fields != to->n_fields) {
        return refuse(w, from, to, err);
    }
    DeltaField *fields = arena_alloc(w->arena, (from->n_fields + 1) * sizeof *fields);
    for (size_t i = 0; i < from->n_fields; i++) {
        const DeltaField *inner = delta_field_find(to->fields, to->n_fields, from->fields[i].name);
        if (inner == NULL) {
            TRY(refuse(w, from, to, err));
        }
        fields[i] = from->fields[i];
        if (from->id == DELTA_STRUCT) {
            TRY(widen_field(w, &from->fields[i], inner->type, &fields[i], err));
        } else {
            TRY(widen_type(w, from->fields[i].type, inner->type,
                           arena_printf(w->arena, "%s%s%s", part, part[0] != '\0' ? "." : "", fields[i].name), changes,
                           &fields[i].type, err));
        }
    }
    if (from->id == DELTA_STRUCT) {
        *out = delta_type_struct(w->arena, fields, from->n_fields);
    } else if (from->id == DELTA_ARRAY) {
        *out = delta_type_array(w->arena, fields[0].type, fields[0].nullable);
    } else {
        *out = delta_type_map(w->arena, fields[0].type, fields[1].type, fields[1].nullable);
    }
out:
    return rc;
}

/* Adds the changes to the field's list of them. */
static Status keep_changes(Widen *w, const json_t *changes, DeltaField *field, Error *err)
{
    static const char KEY[] = "delta.typeChanges";
    Status rc = OK;
    json_t *object = NULL, *before = NULL, *list = json_array();
    JsonSource source = {.name = "the metadata of a column"};
    const char *metadata = field->metadata;

    TRY(json_parse_object(metadata, strlen(metadata), &source, &object, err));
    TRY(json_opt_array(object, KEY, &before, err));
    if (before != NULL) {
        json_array_extend(list, before);
    }
    json_array_extend(list, (json_t *)changes);
    TRY(delta_field_with(w->arena, field, KEY, json_incref(list), field, err));
out:
    json_decref(list);
    json_decref(object);
    return rc;
}

static Status widen_field(Widen *w, const DeltaField *field, const DeltaType *to, DeltaField *out, Error *err)
{
    Status rc = OK;
    json_t *changes = json_array();
    DeltaField widened = *field;

    TRY(widen_type(w, field->type, to, "", changes, &widened.type, err));
    if (json_array_size(changes) > 0) {
        TRY(keep_changes(w, changes, &widened, err));
    }
    *out = widened;
out:
    json_decref(changes);
    return rc;
}

Status delta_widen(Arena *arena, const DeltaField *field, const DeltaType *to, const char *path, DeltaField *out,
                   bool *changed, Error *err)
{
    Widen w = {.arena = arena, .path = path};
    Status rc = widen_field(&w, field, to, out, err);

    *changed = w.changed;
    return rc;
}
