#include "source/files_parquet.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "duck/parquet.h"

/* Files of one schema. */
typedef struct Group {
    FilesItem *items;
    size_t n, capacity;
    DuckColumnInfo *columns; /* of the files */
    size_t n_columns;
} Group;

typedef struct Groups {
    Arena *arena;
    Group **list;
    size_t n, capacity;
    Map *by_signature;
    int64_t rows;
} Groups;

static void append_path(Text *sql, const char *path)
{
    Text escaped = TEXT(1 << 20);
    parquet_escape_glob(&escaped, path);
    text_append_sql_string(sql, text_str(&escaped));
    text_free(&escaped);
}

static void append_paths(Text *sql, const FilesItem *items, size_t n)
{
    text_append_char(sql, '[');
    for (size_t i = 0; i < n; i++) {
        text_append(sql, i > 0 ? ", " : "");
        append_path(sql, items[i].path);
    }
    text_append_char(sql, ']');
}

static Status describe(DuckConn *conn, const char *path, Arena *arena, DuckColumnInfo **columns, size_t *n, Error *err)
{
    Text sql = TEXT(1 << 20);
    Error cause = ERROR_NONE;

    text_append(&sql, "SELECT * FROM read_parquet(");
    append_path(&sql, path);
    text_append(&sql, ", hive_partitioning = false)");
    Status rc = duck_describe(conn, text_str(&sql), arena, columns, n, &cause);
    text_free(&sql);
    return rc == OK || rc == ERR_INTERRUPTED
               ? rc
               : error_set(err, E_SOURCE_FILE, "%s: cannot be read as Parquet: %s", path, cause.message);
}

/* ---- schema ---- */

static void add_columns(DeltaSchemaBuilder *builder, const DeltaSchema *columns, Map *names)
{
    for (size_t i = 0; i < columns->n_fields; i++) {
        const DeltaField *field = &columns->fields[i];
        char *lower = mem_strdup(field->name);
        str_lower(lower);
        if (!map_has(names, lower)) {
            map_put(names, lower, names);
            delta_schema_builder_add(builder, field->name, field->type, true, NULL);
        }
        mem_free(lower);
    }
}

Status files_parquet_schema(DuckConn *conn, const FilesOptions *options, const FilesItem *items, size_t n,
                            DeltaSchema **out, Error *err)
{
    DeltaSchemaBuilder *builder = delta_schema_builder_new(NULL);
    Map *names = map_new();
    Status rc = OK;

    for (size_t i = 0; i < n && rc == OK; i++) {
        Arena *arena = arena_new();
        DuckColumnInfo *columns;
        DeltaSchema *schema;
        size_t n_columns;
        rc = describe(conn, items[i].path, arena, &columns, &n_columns, err);
        if (rc == OK) {
            rc = delta_schema_from_columns(columns, n_columns, &schema, err);
        } else if (options->ignore_corrupt && rc == ERR_CORRUPT) {
            error_clear(err);
            arena_free(arena);
            rc = OK;
            continue;
        }
        if (rc == OK) {
            add_columns(builder, schema, names);
            delta_schema_unref(schema);
        }
        arena_free(arena);
    }
    map_free(names, NULL);
    DeltaSchema *schema = delta_schema_builder_finish(builder);
    if (rc != OK) {
        delta_schema_unref(schema);
        return rc;
    }
    *out = schema;
    return OK;
}

/* ---- grouping ---- */

static Group *group_of(Groups *groups, const char *signature)
{
    Group *group = map_get(groups->by_signature, signature);
    if (group == NULL) {
        group = arena_alloc(groups->arena, sizeof *group);
        map_put(groups->by_signature, signature, group);
        groups->list = mem_grow(groups->list, groups->n, &groups->capacity, sizeof *groups->list);
        groups->list[groups->n++] = group;
    }
    return group;
}

static void add_item(Group *group, const FilesItem *item)
{
    group->items = mem_grow(group->items, group->n, &group->capacity, sizeof *group->items);
    group->items[group->n++] = *item;
}

/* Rows and a digest of the schema of one file. */
static Status add_footer(DuckConn *conn, Groups *groups, const FilesItem *item, Error *err)
{
    Text sql = TEXT(1 << 20);
    DuckResult *result = NULL;
    Error cause = ERROR_NONE;
    bool more;
    Status rc;

    text_append(&sql, "SELECT (SELECT num_rows FROM parquet_file_metadata(");
    append_path(&sql, item->path);
    text_append(&sql, ")), md5(string_agg(concat_ws('|', name, type, type_length, repetition_type, num_children, "
                      "converted_type, scale, precision, logical_type), ';')) "
                      "FROM parquet_schema(");
    append_path(&sql, item->path);
    text_append_char(&sql, ')');
    rc = duck_query(conn, text_str(&sql), &result, &cause);
    if (rc == OK) {
        rc = duck_result_next(result, &more, &cause);
    }
    if (rc == OK) {
        char *signature = duck_result_text_dup(result, 1);
        groups->rows += duck_result_i64(result, 0);
        add_item(group_of(groups, signature ? signature : ""), item);
        mem_free(signature);
    } else if (rc != ERR_INTERRUPTED) {
        rc = error_set(err, E_SOURCE_FILE, "%s: cannot be read as Parquet: %s", item->path, cause.message);
    } else if (err != NULL) {
        *err = cause;
    }
    duck_result_free(result);
    text_free(&sql);
    return rc;
}

static Status group_files(DuckConn *conn, const FilesOptions *options, const FilesItem *items, size_t n, Groups *groups,
                          int64_t *files, int64_t *bytes, Error *err)
{
    for (size_t i = 0; i < n; i++) {
        FilesItem item = items[i];
        bool gone;
        Status rc = files_item_check(&item, options, &gone, err);
        if (rc == OK && !gone) {
            item.path = arena_strdup(groups->arena, item.path);
            rc = add_footer(conn, groups, &item, err);
            ++*files;
            *bytes += item.size;
        }
        if (rc == ERR_CORRUPT && options->ignore_corrupt) {
            log_warning("%s; the file is passed over (ignoreCorruptFiles)", err->message);
            error_clear(err);
            rc = OK;
        }
        if (rc != OK) {
            return rc;
        }
    }
    for (size_t i = 0; i < groups->n; i++) {
        Group *group = groups->list[i];
        Status rc = describe(conn, group->items[0].path, groups->arena, &group->columns, &group->n_columns, err);
        if (rc != OK) {
            return rc;
        }
    }
    return OK;
}

/* ---- the query of one group ---- */

static const DuckColumnInfo *column_of(const Group *group, const char *name)
{
    for (size_t i = 0; i < group->n_columns; i++) {
        if (strcmp(group->columns[i].name, name) == 0) {
            return &group->columns[i];
        }
    }
    return NULL;
}

typedef struct Casts {
    char *name, *wanted, *had;
    bool nested;
} Casts;

static Casts casts_of(const DeltaField *field, const DuckColumnInfo *column, Arena *arena)
{
    Text text = TEXT(1 << 20);
    Casts casts = {.nested = field->type->n_fields > 0};

    text_append_sql_name(&text, column->name);
    casts.name = arena_strdup(arena, text_str(&text));
    text_clear(&text);
    delta_type_sql(field->type, &text);
    casts.wanted = arena_strdup(arena, text_str(&text));
    text_clear(&text);
    duck_type_sql(column->type, &text);
    casts.had = arena_strdup(arena, text_str(&text));
    text_free(&text);
    return casts;
}

/* True for the values that come back from the wanted type as they were. */
static void append_survives(Text *sql, const Casts *c)
{
    text_printf(sql, "TRY_CAST(TRY_CAST(%s AS %s) AS %s) IS NOT DISTINCT FROM %s", c->name, c->wanted, c->had, c->name);
}

static void append_data(Text *sql, const Group *group, const DeltaField *field, Arena *arena)
{
    const DuckColumnInfo *column = column_of(group, field->name);

    if (column == NULL) {
        text_append(sql, "CAST(NULL AS ");
        delta_type_sql(field->type, sql);
        text_append_char(sql, ')');
        return;
    }
    Casts casts = casts_of(field, column, arena);
    if (strcmp(casts.had, casts.wanted) == 0) {
        text_append(sql, casts.name);
    } else if (casts.nested) {
        text_printf(sql, "TRY_CAST(%s AS %s)", casts.name, casts.wanted);
    } else {
        text_append(sql, "CASE WHEN ");
        append_survives(sql, &casts);
        text_printf(sql, " THEN TRY_CAST(%s AS %s) END", casts.name, casts.wanted);
    }
}

/* A text for each file of the group, picked by the file a row is from. */
static void append_per_file(Text *sql, const Group *group,
                            void (*value)(const FilesItem *item, const char *name, Text *out), const char *name)
{
    text_append(sql, "([");
    for (size_t i = 0; i < group->n; i++) {
        text_append(sql, i > 0 ? ", " : "");
        value(&group->items[i], name, sql);
    }
    text_append(sql, "])[file_index::BIGINT + 1]");
}

static void put_partition(const FilesItem *item, const char *name, Text *out)
{
    Text value = TEXT(1 << 16);
    if (files_partition_value(item->path, name, &value)) {
        text_append_sql_string(out, text_str(&value));
    } else {
        text_append(out, "NULL");
    }
    text_free(&value);
}

static void put_uri(const FilesItem *item, const char *name, Text *out)
{
    Text uri = TEXT(1 << 20);
    (void)name;
    files_uri(&uri, item->path);
    text_append_sql_string(out, text_str(&uri));
    text_free(&uri);
}

static void put_name(const FilesItem *item, const char *name, Text *out)
{
    (void)name;
    text_append_sql_string(out, files_name(item->path));
}

static void put_size(const FilesItem *item, const char *name, Text *out)
{
    (void)name;
    text_printf(out, "%" PRId64, item->size);
}

static void put_mtime(const FilesItem *item, const char *name, Text *out)
{
    (void)name;
    text_printf(out, "make_timestamptz(%" PRId64 ")", item->mtime_us);
}

static void append_metadata(Text *sql, const Group *group)
{
    text_append(sql, "struct_pack(file_path := ");
    append_per_file(sql, group, put_uri, NULL);
    text_append(sql, ", file_name := ");
    append_per_file(sql, group, put_name, NULL);
    text_append(sql, ", file_size := CAST(");
    append_per_file(sql, group, put_size, NULL);
    text_append(sql, " AS BIGINT), file_modification_time := ");
    append_per_file(sql, group, put_mtime, NULL);
    text_append_char(sql, ')');
}

/* The members of the rescued object: columns without a home, and values that do not survive their cast. */
static size_t append_rescued_members(Text *sql, const Group *group, const FilesColumns *columns, Arena *arena)
{
    size_t n = 0;

    for (size_t i = 0; i < group->n_columns; i++) {
        const DuckColumnInfo *column = &group->columns[i];
        const DeltaField *field = NULL;
        for (size_t f = 0; f < columns->n_data && field == NULL; f++) {
            field = strcmp(columns->data[f].name, column->name) == 0 ? &columns->data[f] : NULL;
        }
        Casts casts = field ? casts_of(field, column, arena) : (Casts){0};
        if (field != NULL && strcmp(casts.had, casts.wanted) == 0) {
            continue;
        }
        text_append(sql, n++ > 0 ? ", " : "");
        text_append_sql_name(sql, column->name);
        text_append(sql, " := ");
        if (field == NULL) {
            text_append_sql_name(sql, column->name);
            continue;
        }
        text_append(sql, "CASE WHEN NOT (");
        append_survives(sql, &casts);
        text_printf(sql, ") THEN %s END", casts.name);
    }
    return n;
}

static void append_rescued(Text *sql, const Group *group, const FilesColumns *columns, Arena *arena)
{
    Text members = TEXT(TEXT_SQL_MAX);
    if (append_rescued_members(&members, group, columns, arena) == 0) {
        text_append(sql, "CAST(NULL AS VARCHAR)");
    } else {
        text_printf(sql, "(SELECT CASE WHEN r <> '{}' THEN CAST(json_merge_patch(r, json_object('_file_path', ");
        append_per_file(sql, group, put_uri, NULL);
        text_printf(sql, ")) AS VARCHAR) END FROM (SELECT json_merge_patch('{}', to_json(struct_pack(%s))) AS r))",
                    text_str(&members));
    }
    text_free(&members);
}

static void append_column(Text *sql, const Group *group, const FilesColumns *columns, size_t c, Arena *arena)
{
    const DeltaField *field = &columns->schema->fields[c];

    switch (columns->roles[c]) {
    case ROLE_DATA: append_data(sql, group, field, arena); break;
    case ROLE_PARTITION:
        text_append(sql, "TRY_CAST(");
        append_per_file(sql, group, put_partition, field->name);
        text_append(sql, " AS ");
        delta_type_sql(field->type, sql);
        text_append_char(sql, ')');
        break;
    case ROLE_RESCUED: append_rescued(sql, group, columns, arena); break;
    case ROLE_METADATA: append_metadata(sql, group); break;
    case ROLE_CORRUPT: text_append(sql, "CAST(NULL AS VARCHAR)"); break;
    }
    text_append(sql, " AS ");
    text_append_sql_name(sql, field->name);
}

static void append_group(Text *sql, const Group *group, const FilesColumns *columns, Arena *arena)
{
    text_append(sql, "SELECT ");
    for (size_t c = 0; c < columns->n; c++) {
        text_append(sql, c > 0 ? ", " : "");
        append_column(sql, group, columns, c, arena);
    }
    text_append(sql, " FROM read_parquet(");
    append_paths(sql, group->items, group->n);
    text_append(sql, ", hive_partitioning = false)");
}

static void append_nothing(Text *sql, const FilesColumns *columns)
{
    text_append(sql, "SELECT ");
    for (size_t c = 0; c < columns->n; c++) {
        text_append(sql, c > 0 ? ", CAST(NULL AS " : "CAST(NULL AS ");
        delta_type_sql(columns->schema->fields[c].type, sql);
        text_append(sql, ") AS ");
        text_append_sql_name(sql, columns->schema->fields[c].name);
    }
    text_append(sql, " WHERE false");
}

Status files_parquet_relation(DuckConn *conn, const FilesOptions *options, const FilesColumns *columns,
                              const FilesItem *items, size_t n, StreamRelation *out, Error *err)
{
    Groups groups = {.arena = arena_new(), .by_signature = map_new()};
    StreamRelation relation = {0};
    Text sql = TEXT(TEXT_SQL_MAX);
    Status rc;

    TRY(group_files(conn, options, items, n, &groups, &relation.files, &relation.bytes, err));
    for (size_t i = 0; i < groups.n; i++) {
        text_append(&sql, i > 0 ? " UNION ALL " : "");
        append_group(&sql, groups.list[i], columns, groups.arena);
    }
    if (groups.n == 0) {
        append_nothing(&sql, columns);
    }
    relation.rows = groups.rows;
    relation.sql = text_take(&sql);
    *out = relation;
out:
    for (size_t i = 0; i < groups.n; i++) {
        mem_free(groups.list[i]->items);
    }
    mem_free(groups.list);
    map_free(groups.by_signature, NULL);
    arena_free(groups.arena);
    text_free(&sql);
    return rc;
}
