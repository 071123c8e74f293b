/* Types are immutable, so a change of a field makes the types above it anew and shares the rest. */
#include "delta/schema_edit.h"

#include <ctype.h>
#include <string.h>

#include "delta/schema_int.h"

typedef enum EditKind { PUT, DROP, MOVE, INSERT } EditKind;

typedef struct Edit {
    EditKind kind;
    DeltaPath path;
    const DeltaField *field; /* PUT, INSERT */
    DeltaPlace place;        /* MOVE, INSERT */
    Arena *arena;
} Edit;

/* ---- paths ---- */

static bool is_plain(const char *name)
{
    for (const char *s = name; *s != '\0'; s++) {
        if (!isalnum((unsigned char)*s) && *s != '_') {
            return false;
        }
    }
    return *name != '\0';
}

void delta_path_text(DeltaPath path, Text *out)
{
    for (size_t i = 0; i < path.n; i++) {
        const char *name = path.parts[i];
        text_append(out, i > 0 ? "." : "");
        if (is_plain(name)) {
            text_append(out, name);
            continue;
        }
        text_append_char(out, '`');
        for (; *name != '\0'; name++) {
            text_append(out, *name == '`' ? "`" : "");
            text_append_char(out, *name);
        }
        text_append_char(out, '`');
    }
}

static Status missing(DeltaPath path, size_t depth, const DeltaField *siblings, size_t n, Error *err)
{
    const char **names = mem_alloc((n + 1) * sizeof *names);
    Text whole = TEXT(1 << 20);

    for (size_t i = 0; i < n; i++) {
        names[i] = siblings[i].name;
    }
    path.n = depth + 1;
    delta_path_text(path, &whole);
    Status rc = error_set(err, E_DELTA_SCHEMA, "the table has no column \"%s\"", text_str(&whole));
    const char *nearest = error_nearest(path.parts[depth], names, n);
    if (nearest != NULL) {
        error_hint(err, "did you mean \"%s\"?", nearest);
    }
    text_free(&whole);
    mem_free(names);
    return rc;
}

static Status find(const DeltaField *fields, size_t n, DeltaPath path, size_t depth, size_t *index, Error *err)
{
    const DeltaField *field = delta_field_find(fields, n, path.parts[depth]);

    if (field == NULL) {
        return missing(path, depth, fields, n, err);
    }
    *index = (size_t)(field - fields);
    return OK;
}

Status delta_schema_field(const DeltaSchema *schema, DeltaPath path, const DeltaField **out, Error *err)
{
    Status rc = OK;
    const DeltaField *fields = schema->fields;
    size_t n = schema->n_fields, index = 0;

    for (size_t depth = 0; depth < path.n; depth++) {
        TRY(find(fields, n, path, depth, &index, err));
        *out = &fields[index];
        n = fields[index].type->n_fields;
        fields = fields[index].type->fields;
    }
out:
    return rc;
}

/* ---- lists of siblings ---- */

static Status twice(const Edit *e, const char *name, Error *err)
{
    Text whole = TEXT(1 << 20);

    delta_path_text((DeltaPath){e->path.parts, e->path.n - 1}, &whole);
    text_printf(&whole, "%s%s", whole.length > 0 ? "." : "", name);
    Status rc = error_set(err, E_DELTA_SCHEMA, "the table has a column \"%s\" already", text_str(&whole));
    error_klass(err, "DELTA_ADD_COLUMN_COLUMN_EXISTS");
    text_free(&whole);
    return rc;
}

/* Puts `field` at its place among the `*n` in `list`, which has room for one more. */
static Status place_field(const Edit *e, const DeltaField *field, DeltaField *list, size_t *n, Error *err)
{
    Status rc = OK;
    size_t at = e->place.first ? 0 : *n;

    if (e->place.after != NULL) {
        const char *parts[] = {e->place.after};
        TRY(find(list, *n, (DeltaPath){parts, 1}, 0, &at, err));
        at++;
    }
    memmove(list + at + 1, list + at, (*n - at) * sizeof *list);
    list[at] = *field;
    ++*n;
out:
    return rc;
}

/* The innermost siblings as the edit leaves them. */
static Status edit_list(const Edit *e, const DeltaField *fields, size_t n, DeltaField *list, size_t *n_out, Error *err)
{
    Status rc = OK;
    size_t index = n;

    if (e->kind != INSERT) {
        TRY(find(fields, n, e->path, e->path.n - 1, &index, err));
    }
    *n_out = 0;
    for (size_t i = 0; i < n; i++) {
        bool same_name = e->field != NULL && i != index && str_ieq(fields[i].name, e->field->name);
        if (same_name) {
            TRY(twice(e, fields[i].name, err));
        }
        if (i != index) {
            list[(*n_out)++] = fields[i];
        } else if (e->kind == PUT) {
            list[(*n_out)++] = *e->field;
        }
    }
    if (e->kind == INSERT || e->kind == MOVE) {
        TRY(place_field(e, e->kind == MOVE ? &fields[index] : e->field, list, n_out, err));
    }
    if (*n_out == 0) {
        TRY(error_set(err, E_DELTA_SCHEMA, "\"%s\" is all there is at its place and cannot be dropped",
                      fields[index].name));
    }
out:
    return rc;
}

/* ---- types from the inside out ---- */

static const DeltaType *rebuild(const Edit *e, const DeltaType *type, const DeltaField *list, size_t n)
{
    if (type->id == DELTA_ARRAY) {
        return delta_type_array(e->arena, list[0].type, list[0].nullable);
    }
    if (type->id == DELTA_MAP) {
        return delta_type_map(e->arena, list[0].type, list[1].type, list[1].nullable);
    }
    return delta_type_struct(e->arena, list, n);
}

static Status edit_type(const Edit *e, const DeltaType *type, size_t depth, const DeltaType **out, Error *err)
{
    Status rc = OK;
    DeltaField *list = arena_alloc(e->arena, (type->n_fields + 1) * sizeof *list);
    size_t n = type->n_fields, index = 0;
    bool last = depth + 1 == e->path.n;

    if (last && type->id != DELTA_STRUCT && e->kind != PUT) {
        Text above = TEXT(1 << 20);
        delta_path_text((DeltaPath){e->path.parts, depth}, &above);
        rc = error_set(err, E_DELTA_SCHEMA, "column \"%s\" is no struct: it has no fields to add, drop or move",
                       text_str(&above));
        error_klass(err, "DELTA_UNSUPPORTED_DROP_NESTED_COLUMN_FROM_NON_STRUCT_TYPE");
        text_free(&above);
        goto out;
    }
    if (last) {
        TRY(edit_list(e, type->fields, type->n_fields, list, &n, err));
    } else {
        TRY(find(type->fields, n, e->path, depth, &index, err));
        memcpy(list, type->fields, n * sizeof *list);
        TRY(edit_type(e, type->fields[index].type, depth + 1, &list[index].type, err));
    }
    *out = rebuild(e, type, list, n);
out:
    return rc;
}

static Status edit(const DeltaSchema *schema, Edit *e, DeltaSchema **out, Error *err)
{
    Status rc = OK;
    const DeltaType row = {.id = DELTA_STRUCT, .fields = schema->fields, .n_fields = schema->n_fields};
    const DeltaType *edited = NULL;
    DeltaSchemaBuilder *builder;

    e->arena = arena_new();
    TRY(edit_type(e, &row, 0, &edited, err));
    builder = delta_schema_builder_new(NULL);
    for (size_t i = 0; i < edited->n_fields; i++) {
        const DeltaField *f = &edited->fields[i];
        delta_schema_builder_add(builder, f->name, f->type, f->nullable, f->metadata);
    }
    *out = delta_schema_builder_finish(builder);
out:
    arena_free(e->arena);
    return rc;
}

Status delta_schema_put(const DeltaSchema *schema, DeltaPath path, const DeltaField *field, DeltaSchema **out,
                        Error *err)
{
    return edit(schema, &(Edit){.kind = PUT, .path = path, .field = field}, out, err);
}

Status delta_schema_drop(const DeltaSchema *schema, DeltaPath path, DeltaSchema **out, Error *err)
{
    return edit(schema, &(Edit){.kind = DROP, .path = path}, out, err);
}

Status delta_schema_move(const DeltaSchema *schema, DeltaPath path, DeltaPlace place, DeltaSchema **out, Error *err)
{
    return edit(schema, &(Edit){.kind = MOVE, .path = path, .place = place}, out, err);
}

Status delta_schema_insert(const DeltaSchema *schema, DeltaPath path, const DeltaField *field, DeltaPlace place,
                           DeltaSchema **out, Error *err)
{
    return edit(schema, &(Edit){.kind = INSERT, .path = path, .field = field, .place = place}, out, err);
}

/* ---- metadata ---- */

Status delta_field_with(Arena *arena, const DeltaField *field, const char *key, json_t *value, DeltaField *out,
                        Error *err)
{
    Status rc = OK;
    json_t *object = NULL;
    JsonSource source = {.name = "the metadata of a column"};
    Text text = TEXT(16 << 20);

    TRY(json_parse_object(field->metadata, strlen(field->metadata), &source, &object, err));
    if (value != NULL) {
        json_put(object, key, json_incref(value));
    } else {
        json_object_del(object, key);
    }
    TRY(json_dump_text(object, &text, err));
    *out = delta_field_make(arena, field->name, field->type, field->nullable, text_str(&text));
out:
    json_decref(value);
    json_decref(object);
    text_free(&text);
    return rc;
}

typedef struct Strip {
    Arena *arena;
    const char *const *keys;
    size_t n;
} Strip;

static Status strip_type(const Strip *s, const DeltaType *type, const DeltaType **out, Error *err)
{
    Status rc = OK;
    DeltaField *fields = arena_alloc(s->arena, (type->n_fields + 1) * sizeof *fields);

    *out = type;
    for (size_t i = 0; i < type->n_fields; i++) {
        fields[i] = type->fields[i];
        TRY(strip_type(s, type->fields[i].type, &fields[i].type, err));
        for (size_t k = 0; type->id == DELTA_STRUCT && k < s->n; k++) {
            TRY(delta_field_with(s->arena, &fields[i], s->keys[k], NULL, &fields[i], err));
        }
    }
    if (type->n_fields > 0) {
        *out = rebuild(&(Edit){.arena = s->arena}, type, fields, type->n_fields);
    }
out:
    return rc;
}

Status delta_schema_strip(const DeltaSchema *schema, const char *const *keys, size_t n, DeltaSchema **out, Error *err)
{
    Status rc = OK;
    Strip s = {.arena = arena_new(), .keys = keys, .n = n};
    const DeltaType row = {.id = DELTA_STRUCT, .fields = schema->fields, .n_fields = schema->n_fields};
    const DeltaType *stripped = NULL;
    DeltaSchemaBuilder *builder;

    TRY(strip_type(&s, &row, &stripped, err));
    builder = delta_schema_builder_new(NULL);
    for (size_t i = 0; i < stripped->n_fields; i++) {
        const DeltaField *f = &stripped->fields[i];
        delta_schema_builder_add(builder, f->name, f->type, f->nullable, f->metadata);
    }
    *out = delta_schema_builder_finish(builder);
out:
    arena_free(s.arena);
    return rc;
}
