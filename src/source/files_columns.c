#include "source/files_columns.h"

#include <string.h>

#include "source/files_item.h"

static const DeltaType STRING_TYPE = {.id = DELTA_STRING}, LONG_TYPE = {.id = DELTA_LONG},
                       TIMESTAMP_TYPE = {.id = DELTA_TIMESTAMP};

static const DeltaField METADATA_FIELDS[] = {
    {.name = "file_path", .type = &STRING_TYPE, .nullable = true},
    {.name = "file_name", .type = &STRING_TYPE, .nullable = true},
    {.name = "file_size", .type = &LONG_TYPE, .nullable = true},
    {.name = "file_modification_time", .type = &TIMESTAMP_TYPE, .nullable = true},
};
static const DeltaType METADATA_TYPE = {
    .id = DELTA_STRUCT, .fields = METADATA_FIELDS, .n_fields = sizeof METADATA_FIELDS / sizeof *METADATA_FIELDS};

static DuckTypeId duck_id(DeltaTypeId id)
{
    static const DuckTypeId IDS[] = {
        [DELTA_BOOLEAN] = DUCK_BOOLEAN,
        [DELTA_BYTE] = DUCK_TINYINT,
        [DELTA_SHORT] = DUCK_SMALLINT,
        [DELTA_INTEGER] = DUCK_INTEGER,
        [DELTA_LONG] = DUCK_BIGINT,
        [DELTA_FLOAT] = DUCK_FLOAT,
        [DELTA_DOUBLE] = DUCK_DOUBLE,
        [DELTA_DECIMAL] = DUCK_DECIMAL,
        [DELTA_STRING] = DUCK_VARCHAR,
        [DELTA_BINARY] = DUCK_BLOB,
        [DELTA_DATE] = DUCK_DATE,
        [DELTA_TIMESTAMP] = DUCK_TIMESTAMP_TZ,
        [DELTA_TIMESTAMP_NTZ] = DUCK_TIMESTAMP,
        [DELTA_VARIANT] = DUCK_VARIANT,
        [DELTA_VOID] = DUCK_NULL,
        [DELTA_STRUCT] = DUCK_STRUCT,
        [DELTA_ARRAY] = DUCK_LIST,
        [DELTA_MAP] = DUCK_MAP,
    };
    return IDS[id];
}

/* The DuckDB type that a Delta type is read as. */
static const DuckType *duck_type_of(const DeltaType *type, Arena *arena)
{
    DuckType *duck = arena_alloc(arena, sizeof *duck);
    DuckTypeMember *members = arena_alloc(arena, (type->n_fields + 1) * sizeof *members);

    for (size_t i = 0; i < type->n_fields; i++) {
        members[i] = (DuckTypeMember){arena_strdup(arena, type->fields[i].name),
                                      duck_type_of(type->fields[i].type, arena)};
    }
    *duck = (DuckType){.id = duck_id(type->id),
                       .precision = type->precision,
                       .scale = type->scale,
                       .members = members,
                       .n_members = type->n_fields};
    return duck;
}

/* Only these can be made from text; nested ones from JSON. */
static Status check_type(const DeltaType *type, const char *column, FilesFormat format, Error *err)
{
    bool nested = type->n_fields > 0 || type->id == DELTA_STRUCT;
    if (type->id == DELTA_VARIANT || type->id == DELTA_VOID ||
        (nested && (format == FILES_CSV || format == FILES_TEXT))) {
        Text name = TEXT(4096);
        delta_type_name(type, &name);
        error_set(err, E_DELTA_TYPE, "column \"%s\": %s cannot be read from %s files", column, text_str(&name),
                  files_format_name(format));
        text_free(&name);
        return ERR_UNSUPPORTED;
    }
    if (type->id == DELTA_MAP && type->fields[0].type->id != DELTA_STRING && format == FILES_JSON) {
        return error_set(err, E_DELTA_TYPE, "column \"%s\": the keys of a map read from json files are strings",
                         column);
    }
    for (size_t i = 0; i < type->n_fields; i++) {
        Status rc = check_type(type->fields[i].type, column, format, err);
        if (rc != OK) {
            return rc;
        }
    }
    return OK;
}

static bool is_partition(const FilesOptions *options, const char *name)
{
    for (size_t i = 0; i < options->n_partition_columns; i++) {
        if (str_ieq(options->partition_columns[i], name)) {
            return true;
        }
    }
    return false;
}

static void add(FilesColumns *c, DeltaSchemaBuilder *builder, const DeltaField *field, ColumnRole role, size_t position)
{
    delta_schema_builder_add(builder, field->name, field->type, true, field->metadata);
    c->roles[c->n] = role;
    c->positions[c->n] = position;
    c->n++;
    if (role != ROLE_DATA) {
        c->added[c->n_added++] = arena_strdup(c->arena, field->name);
    }
}

static void add_data(FilesColumns *c, DeltaSchemaBuilder *builder, const DeltaSchema *data, const FilesOptions *options)
{
    for (size_t i = 0; i < data->n_fields; i++) {
        const DeltaField *field = &data->fields[i];
        bool rescued = options->rescued_column && str_ieq(field->name, options->rescued_column);
        if (rescued || is_partition(options, field->name)) {
            continue;
        }
        if (str_ieq(field->name, options->corrupt_column) && field->type->id == DELTA_STRING) {
            add(c, builder, field, ROLE_CORRUPT, 0);
            continue;
        }
        add(c, builder, field, ROLE_DATA, c->n_data);
        c->data[c->n_data++] = *field;
    }
}

static void add_ours(FilesColumns *c, DeltaSchemaBuilder *builder, const DeltaSchema *data, const FilesOptions *options)
{
    for (size_t i = 0; i < options->n_partition_columns; i++) {
        const DeltaField *declared = delta_schema_find(data, options->partition_columns[i]);
        DeltaField field = {
            .name = options->partition_columns[i], .type = declared ? declared->type : &STRING_TYPE, .nullable = true};
        c->partitions[c->n_partitions] = field.name;
        add(c, builder, &field, ROLE_PARTITION, c->n_partitions++);
    }
    if (options->rescued_column != NULL) {
        add(c, builder, &(DeltaField){.name = options->rescued_column, .type = &STRING_TYPE}, ROLE_RESCUED, 0);
    }
    if (options->with_metadata && delta_schema_find(data, "_metadata") == NULL) {
        add(c, builder, &(DeltaField){.name = "_metadata", .type = &METADATA_TYPE}, ROLE_METADATA, 0);
    }
}

Status files_columns_init(FilesColumns *c, const DeltaSchema *data, const FilesOptions *options, Arena *arena,
                          Error *err)
{
    size_t most = data->n_fields + options->n_partition_columns + 2;

    for (size_t i = 0; i < data->n_fields && options->format != FILES_PARQUET; i++) {
        Status rc = check_type(data->fields[i].type, data->fields[i].name, options->format, err);
        if (rc != OK) {
            return rc;
        }
    }
    *c = (FilesColumns){.arena = arena};
    c->roles = arena_alloc(arena, most * sizeof *c->roles);
    c->positions = arena_alloc(arena, most * sizeof *c->positions);
    c->data = arena_alloc(arena, most * sizeof *c->data);
    c->partitions = arena_alloc(arena, most * sizeof *c->partitions);
    c->added = arena_alloc(arena, most * sizeof *c->added);
    DeltaSchemaBuilder *builder = delta_schema_builder_new(NULL);
    add_data(c, builder, data, options);
    add_ours(c, builder, data, options);
    c->schema = delta_schema_builder_finish(builder);

    c->duck = arena_alloc(arena, most * sizeof *c->duck);
    size_t n_data = 0;
    for (size_t i = 0; i < c->n; i++) {
        const DeltaField *field = &c->schema->fields[i];
        c->duck[i] = (DuckColumnInfo){field->name, duck_type_of(field->type, arena)};
        if (c->roles[i] == ROLE_DATA) {
            c->data[n_data++] = *field; /* the copy that lives as long as the schema */
        }
    }
    return OK;
}

void files_columns_fini(FilesColumns *c)
{
    delta_schema_unref(c->schema);
    c->schema = NULL;
}
