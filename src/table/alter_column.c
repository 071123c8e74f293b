/* ALTER TABLE ... COLUMN. Renaming and dropping change names only: column mapping keeps the files readable, because
 * they know columns by names (or ids) that never change. */
#include <stdio.h>
#include <string.h>

#include "delta/clustering.h"
#include "delta/column_default.h"
#include "delta/constraint.h"
#include "delta/widen.h"
#include "table/alter_int.h"
#include "table/rows.h"

static const char *path_text(Alter *a, DeltaPath path)
{
    Text text = TEXT(1 << 20);

    delta_path_text(path, &text);
    const char *copy = arena_strdup(a->arena, text_str(&text));
    text_free(&text);
    return copy;
}

/* {"name":"a.b","type":...,"nullable":...,"metadata":{}} as commitInfo has it, without the types it had before */
static void describe_field(Alter *a, DeltaPath path, const DeltaField *field, Text *out)
{
    DeltaField shown = *field;
    (void)delta_field_with(a->arena, field, "delta.typeChanges", NULL, &shown, NULL);
    DeltaSchemaBuilder *builder = delta_schema_builder_new(NULL);
    Text json = TEXT(64 << 20);

    delta_schema_builder_add(builder, path_text(a, path), shown.type, shown.nullable, shown.metadata);
    DeltaSchema *schema = delta_schema_builder_finish(builder);
    delta_schema_json(schema, &json);
    /* {"type":"struct","fields":[<it>]} */
    const char *begin = strchr(text_str(&json), '['), *end = strrchr(text_str(&json), ']');
    text_append_n(out, begin + 1, (size_t)(end - begin) - 1);
    delta_schema_unref(schema);
    text_free(&json);
}

/* Takes the schema over, as the outcome of CHANGE COLUMN. */
static Status changed_column(Alter *a, DeltaPath path, DeltaSchema *schema, Error *err)
{
    const DeltaField *field = NULL;
    Text json = TEXT(64 << 20);
    Status rc = OK;

    TRY(delta_schema_field(schema, path, &field, err));
    TRY(delta_transaction_set_schema(a->txn, schema, err));
    describe_field(a, path, field, &json);
    delta_transaction_operation(a->txn, "CHANGE COLUMN");
    delta_transaction_parameter_text(a->txn, "column", text_str(&json));
out:
    text_free(&json);
    delta_schema_unref(schema);
    return rc;
}

static Status put_column(Alter *a, DeltaPath path, const DeltaField *field, Error *err)
{
    Status rc = OK;
    DeltaSchema *schema = NULL;

    TRY(delta_schema_put(a->schema, path, field, &schema, err));
    TRY(changed_column(a, path, schema, err));
out:
    return rc;
}

/* ---- what depends on a column ---- */

/* Can the expression be evaluated over the columns of `schema`? */
static bool binds(const Alter *a, const DeltaSchema *schema, const char *expression)
{
    Arena *arena = arena_new();
    DuckColumnInfo *columns = NULL;
    size_t n = 0;
    Text sql = TEXT(TEXT_SQL_MAX);

    text_append(&sql, "SELECT (");
    bool ok = delta_spark_sql(expression, &sql);
    text_append(&sql, ") FROM (");
    table_rows_shape(schema, &sql);
    text_append(&sql, ")");
    ok = ok && duck_describe(a->conn, text_str(&sql), arena, &columns, &n, NULL) == OK;
    text_free(&sql);
    arena_free(arena);
    return ok;
}

/* An expression needs a column when it cannot do without it; one that is not understood at all may need any. */
static Status check_expression(const Alter *a, DeltaPath path, const DeltaSchema *without, const char *what,
                               const char *expression, const char *klass, const char *verb, Error *err)
{
    if (binds(a, without, expression)) {
        return OK;
    }
    Text name = TEXT(1 << 20);
    delta_path_text(path, &name);
    Status rc = error_set(err, E_DELTA_SCHEMA, "column \"%s\" cannot be %s: %s needs it: %s", text_str(&name), verb,
                          what, expression);
    error_klass(err, klass);
    text_free(&name);
    return rc;
}

/* No constraint and no generated column may need what is renamed, dropped or gets another type. */
static Status check_dependents(Alter *a, DeltaPath path, const char *verb, Error *err)
{
    static const char PREFIX[] = "delta.constraints.";
    Status rc = OK;
    const DeltaMetadata *metadata = delta_snapshot_metadata(a->snapshot);
    const DeltaField *field = NULL;
    DeltaSchema *without = NULL;

    TRY(delta_schema_field(a->schema, path, &field, err));
    DeltaField hidden = *field;
    hidden.name = "freshet gone";
    TRY(delta_schema_put(a->schema, path, &hidden, &without, err));
    for (size_t i = 0; i < metadata->n_configuration; i++) {
        const DeltaPair *pair = &metadata->configuration[i];
        if (str_istarts(pair->key, PREFIX) && pair->value != NULL) {
            TRY(check_expression(a, path, without,
                                 arena_printf(a->arena, "constraint \"%s\"", pair->key + strlen(PREFIX)), pair->value,
                                 "DELTA_CONSTRAINT_DEPENDENT_COLUMN_CHANGE", verb, err));
        }
    }
    for (size_t i = 0; i < a->schema->n_fields; i++) {
        const DeltaField *column = &a->schema->fields[i];
        const char *expression = delta_generation_expression(a->arena, column);
        if (expression != NULL && column != field) {
            TRY(check_expression(a, path, without, arena_printf(a->arena, "generated column \"%s\"", column->name),
                                 expression, "DELTA_GENERATED_COLUMNS_DEPENDENT_COLUMN_CHANGE", verb, err));
        }
    }
out:
    delta_schema_unref(without);
    return rc;
}

/* ---- adding ---- */

static Status check_new_column(Alter *a, const DeltaField *field, const char *name, Error *err)
{
    Status rc = OK;

    if (!field->nullable) {
        rc = error_set(err, E_DELTA_NOT_NULL,
                       "a new column is NULL in all rows that are there: \"%s\" cannot be NOT NULL", name);
    } else if (delta_column_default(a->arena, field) != NULL) {
        rc = error_set(err, E_DELTA_SCHEMA, "a column with a default cannot be added: \"%s\"", name);
        error_klass(err, "WRONG_COLUMN_DEFAULTS_FOR_DELTA_ALTER_TABLE_ADD_COLUMN_NOT_SUPPORTED");
        error_hint(err, "add the column without, then ALTER COLUMN %s SET DEFAULT", name);
    } else if (delta_generation_expression(a->arena, field) != NULL || delta_is_identity(field)) {
        rc = error_set(err, E_DELTA_SCHEMA, "a table gets generated columns when it is made: \"%s\" cannot be added",
                       name);
        error_hint(err, "CREATE OR REPLACE TABLE t (...) makes the table anew");
    }
    return rc;
}

static Status add_column(Alter *a, size_t i, DeltaSchema **schema, bool *added, Error *err)
{
    Status rc = OK;
    const DeltaField *there = NULL;
    DeltaPath path = a->is->paths[i];
    DeltaField field = a->is->columns->fields[i];
    DeltaSchema *grown = NULL;

    *added = !(a->is->if_not_exists && delta_schema_field(*schema, path, &there, NULL) == OK);
    if (!*added) {
        goto out;
    }
    TRY(check_new_column(a, &field, path_text(a, path), err));
    TRY(delta_schema_insert(*schema, path, &field, a->is->places[i], &grown, err));
    delta_schema_unref(*schema);
    *schema = grown;
out:
    return rc;
}

static const char *place_text(Alter *a, const DeltaPlace *place)
{
    return place->first ? "FIRST" : arena_printf(a->arena, "AFTER %s", place->after);
}

/* {"column":{...},"position":"AFTER x"} */
static void describe_added(Alter *a, size_t i, Text *list)
{
    const DeltaPlace *place = &a->is->places[i];

    text_append(list, list->length > 1 ? ",{\"column\":" : "{\"column\":");
    describe_field(a, a->is->paths[i], &a->is->columns->fields[i], list);
    if (place->first || place->after != NULL) {
        text_append(list, ",\"position\":");
        text_append_json_string(list, place_text(a, place));
    }
    text_append_char(list, '}');
}

Status alter_add_columns(Alter *a, Error *err)
{
    Status rc = OK;
    DeltaSchema *schema = delta_schema_ref(delta_snapshot_schema(a->snapshot));
    Text list = TEXT(64 << 20);

    a->nothing = true;
    text_append_char(&list, '[');
    for (size_t i = 0; i < a->is->n_paths; i++) {
        bool added = false;
        TRY(add_column(a, i, &schema, &added, err));
        if (added) {
            describe_added(a, i, &list);
            a->nothing = false;
        }
    }
    text_append_char(&list, ']');
    if (!a->nothing) {
        delta_transaction_operation(a->txn, "ADD COLUMNS");
        delta_transaction_parameter_text(a->txn, "columns", text_str(&list));
        TRY(delta_transaction_set_schema(a->txn, schema, err));
    }
out:
    delta_schema_unref(schema);
    text_free(&list);
    return rc;
}

/* ---- renaming and dropping ---- */

static Status need_mapping(const Alter *a, const char *what, const char *klass, Error *err)
{
    const char *mode = delta_snapshot_property(a->snapshot, "delta.columnMapping.mode");

    if (mode != NULL && !str_ieq(mode, "none")) {
        return OK;
    }
    Status rc = error_set(err, E_DELTA_SCHEMA, "%s a column needs column mapping, which the table does not have", what);
    error_klass(err, klass);
    error_hint(err, "ALTER TABLE ... SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')");
    return rc;
}

/* delta.dataSkippingStatsColumns without the column or with its new name. */
static Status follow_stats_columns(Alter *a, DeltaPath path, const char *to, Error *err)
{
    static const char KEY[] = "delta.dataSkippingStatsColumns";
    Status rc = OK;
    const char *list = delta_transaction_property(a->txn, KEY), *old = path_text(a, path);
    size_t n = strlen(old);
    Text kept = TEXT(1 << 20);

    if (list == NULL) {
        return OK;
    }
    for (const char *s = list; *s != '\0';) {
        size_t length = strcspn(s, ",");
        const char *name = s + strspn(s, " ");
        bool is_it = strncasecmp(name, old, n) == 0 && strchr(" ,.", name[n]) != NULL;
        if (!is_it || to != NULL) {
            text_append(&kept, kept.length > 0 ? "," : "");
            text_append(&kept, is_it ? to : "");
            name += is_it ? n : 0;
            text_append_n(&kept, name, (size_t)(s + length - name));
        }
        s += length + (s[length] == ',');
    }
    rc = delta_transaction_set_property(a->txn, KEY, kept.length > 0 ? text_str(&kept) : NULL, err);
    text_free(&kept);
    return rc;
}

/* The partition columns once more, under their names of now: the schema they are checked against is new. */
static Status follow_partitioning(Alter *a, const char *from, const char *to, Error *err)
{
    const DeltaMetadata *metadata = delta_snapshot_metadata(a->snapshot);
    const char **columns = arena_alloc(a->arena, (metadata->n_partition_columns + 1) * sizeof *columns);

    for (size_t i = 0; i < metadata->n_partition_columns; i++) {
        bool renamed = from != NULL && str_ieq(metadata->partition_columns[i], from);
        columns[i] = renamed ? to : metadata->partition_columns[i];
    }
    return metadata->n_partition_columns == 0
               ? OK
               : delta_transaction_set_partitioning(a->txn, columns, metadata->n_partition_columns, err);
}

Status alter_rename_column(Alter *a, Error *err)
{
    Status rc = OK;
    DeltaPath path = a->is->paths[0];
    const DeltaField *field = NULL;
    DeltaSchema *schema = NULL;
    const char **parts = arena_alloc(a->arena, path.n * sizeof *parts);
    DeltaPath renamed = {parts, path.n};

    TRY(need_mapping(a, "renaming", "DELTA_UNSUPPORTED_RENAME_COLUMN", err));
    TRY(delta_schema_field(a->schema, path, &field, err));
    TRY(check_dependents(a, path, "renamed", err));
    memcpy(parts, path.parts, path.n * sizeof *parts);
    parts[path.n - 1] = a->is->name;
    DeltaField other = *field;
    other.name = a->is->name;
    TRY(delta_schema_put(a->schema, path, &other, &schema, err));
    TRY(delta_schema_field(schema, renamed, &field, err)); /* parts of lists and maps have no names of their own */
    TRY(delta_transaction_set_schema(a->txn, schema, err));
    TRY(follow_partitioning(a, path.n == 1 ? path.parts[0] : NULL, a->is->name, err));
    TRY(follow_stats_columns(a, path, path_text(a, renamed), err));
    delta_transaction_operation(a->txn, "RENAME COLUMN");
    delta_transaction_parameter_text(a->txn, "oldColumnPath", path_text(a, path));
    delta_transaction_parameter_text(a->txn, "newColumnPath", path_text(a, renamed));
out:
    delta_schema_unref(schema);
    return rc;
}

static Status check_droppable(Alter *a, DeltaPath path, Error *err)
{
    Status rc = OK;
    const DeltaMetadata *metadata = delta_snapshot_metadata(a->snapshot);
    const char *klass = NULL, *by = NULL;

    for (size_t i = 0; path.n == 1 && i < metadata->n_partition_columns; i++) {
        if (str_ieq(metadata->partition_columns[i], path.parts[0])) {
            klass = "DELTA_UNSUPPORTED_DROP_PARTITION_COLUMN";
            by = "partitioned";
        }
    }
    if (delta_clustering_uses(a->snapshot, path)) {
        klass = "DELTA_UNSUPPORTED_DROP_CLUSTERING_COLUMN";
        by = "clustered";
    }
    if (klass != NULL) {
        rc = error_set(err, E_DELTA_SCHEMA, "column \"%s\" cannot be dropped: the table is %s by it",
                       path_text(a, path), by);
        error_klass(err, klass);
        goto out;
    }
    TRY(check_dependents(a, path, "dropped", err));
out:
    return rc;
}

Status alter_drop_columns(Alter *a, Error *err)
{
    Status rc = OK;
    const DeltaField *field = NULL;
    DeltaSchema *schema = delta_schema_ref(delta_snapshot_schema(a->snapshot)), *smaller = NULL;
    Text list = TEXT(1 << 20);

    TRY(need_mapping(a, "dropping", "DELTA_UNSUPPORTED_DROP_COLUMN", err));
    a->nothing = true;
    text_append_char(&list, '[');
    for (size_t i = 0; i < a->is->n_paths; i++) {
        DeltaPath path = a->is->paths[i];
        if (a->is->if_exists && delta_schema_field(schema, path, &field, NULL) != OK) {
            continue;
        }
        TRY(delta_schema_field(schema, path, &field, err));
        TRY(check_droppable(a, path, err));
        TRY(delta_schema_drop(schema, path, &smaller, err));
        delta_schema_unref(schema);
        schema = smaller;
        TRY(follow_stats_columns(a, path, NULL, err));
        text_append(&list, list.length > 1 ? "," : "");
        text_append_json_string(&list, path_text(a, path));
        a->nothing = false;
    }
    text_append_char(&list, ']');
    if (!a->nothing) {
        TRY(delta_transaction_set_schema(a->txn, schema, err));
        TRY(follow_partitioning(a, NULL, NULL, err));
        delta_transaction_operation(a->txn, "DROP COLUMNS");
        delta_transaction_parameter_text(a->txn, "columns", text_str(&list));
    }
out:
    delta_schema_unref(schema);
    text_free(&list);
    return rc;
}

/* ---- what a column says and where it stands ---- */

Status alter_column_comment(Alter *a, Error *err)
{
    Status rc = OK;
    const DeltaField *field = NULL;
    DeltaField changed;

    TRY(delta_schema_field(a->schema, a->is->paths[0], &field, err));
    TRY(delta_field_with(a->arena, field, "comment", json_string(a->is->comment), &changed, err));
    TRY(put_column(a, a->is->paths[0], &changed, err));
out:
    return rc;
}

Status alter_column_place(Alter *a, Error *err)
{
    Status rc = OK;
    DeltaSchema *schema = NULL;
    const DeltaPlace *place = &a->is->places[0];

    TRY(delta_schema_move(a->schema, a->is->paths[0], *place, &schema, err));
    TRY(changed_column(a, a->is->paths[0], schema, err));
    delta_transaction_parameter_text(a->txn, "position", place_text(a, place));
out:
    return rc;
}

/* SET DEFAULT and DROP DEFAULT. Tables have to allow defaults first, since older writers then cannot write them. */
Status alter_column_default(Alter *a, Error *err)
{
    Status rc = OK;
    bool set = a->is->kind == TABLE_ALTER_COLUMN_DEFAULT;
    const DeltaField *field = NULL;
    DeltaField changed;
    DeltaPath path = a->is->paths[0];

    TRY(delta_schema_field(a->schema, path, &field, err));
    if (set && !delta_protocol_supports(delta_snapshot_protocol(a->snapshot), "allowColumnDefaults")) {
        rc = error_set(err, E_DELTA_PROTOCOL_WRITE, "the table does not allow defaults of columns");
        error_klass(err, "WRONG_COLUMN_DEFAULTS_FOR_DELTA_FEATURE_NOT_ENABLED");
        error_hint(err, "ALTER TABLE ... SET TBLPROPERTIES ('delta.feature.allowColumnDefaults' = 'supported')");
        goto out;
    }
    if (set && (path.n > 1 || delta_generation_expression(a->arena, field) != NULL || delta_is_identity(field))) {
        TRY(error_set(err, E_DELTA_SCHEMA, "\"%s\" cannot have a default: %s", path_text(a, path),
                      path.n > 1 ? "it is inside a column" : "it is generated"));
    }
    TRY(delta_field_with(a->arena, field, "CURRENT_DEFAULT", set ? json_string(a->is->expression) : NULL, &changed,
                         err));
    if (set) {
        TRY(delta_check_default(a->conn, &changed, err));
    }
    TRY(put_column(a, path, &changed, err));
out:
    return rc;
}

/* ---- types and NOT NULL ---- */

/* How much of the path leads to a field of a struct: changes of types are recorded there. */
static size_t nearest_field(const DeltaSchema *schema, DeltaPath path)
{
    size_t nearest = 1;

    for (size_t n = 1; n < path.n; n++) {
        const DeltaField *above = NULL;
        if (delta_schema_field(schema, (DeltaPath){path.parts, n}, &above, NULL) == OK &&
            above->type->id == DELTA_STRUCT) {
            nearest = n + 1;
        }
    }
    return nearest;
}

/* The schema with the column's new type; *nearest: the field that is changed by it. */
static Status widen_column(Alter *a, DeltaPath path, const DeltaType *type, DeltaPath *nearest, DeltaSchema **out,
                           bool *changed, Error *err)
{
    Status rc = OK;
    const char *enabled = delta_snapshot_property(a->snapshot, "delta.enableTypeWidening");
    const DeltaField *field = NULL, *wanted = NULL;
    DeltaSchema *target = NULL;
    DeltaField widened;

    TRY(delta_schema_field(a->schema, path, &field, err));
    DeltaField as_wished = *field;
    as_wished.type = type;
    TRY(delta_schema_put(a->schema, path, &as_wished, &target, err));
    *nearest = (DeltaPath){path.parts, nearest_field(a->schema, path)};
    TRY(delta_schema_field(a->schema, *nearest, &field, err));
    TRY(delta_schema_field(target, *nearest, &wanted, err));
    TRY(delta_widen(a->arena, field, wanted->type, path_text(a, path), &widened, changed, err));
    if (*changed && (enabled == NULL || !str_ieq(enabled, "true"))) {
        rc = error_set(err, E_DELTA_SCHEMA, "column \"%s\" can get a wider type only with type widening",
                       path_text(a, path));
        error_hint(err, "ALTER TABLE ... SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')");
        goto out;
    }
    TRY(*changed ? check_dependents(a, *nearest, "given another type", err) : OK);
    TRY(delta_schema_put(a->schema, *nearest, &widened, out, err));
out:
    delta_schema_unref(target);
    return rc;
}

Status alter_column_type(Alter *a, Error *err)
{
    Status rc = OK;
    DeltaSchema *schema = NULL;
    DeltaPath nearest;
    bool changed = false;

    TRY(widen_column(a, a->is->paths[0], a->is->columns->fields[0].type, &nearest, &schema, &changed, err));
    a->nothing = !changed;
    if (changed) {
        rc = changed_column(a, nearest, schema, err);
        schema = NULL;
    }
out:
    delta_schema_unref(schema);
    return rc;
}

/* Type, comment and place in one commit. */
Status alter_column_change(Alter *a, Error *err)
{
    Status rc = OK;
    DeltaPath path = a->is->paths[0], nearest;
    const DeltaPlace *place = &a->is->places[0];
    bool moves = place->first || place->after != NULL, changed = false;
    const DeltaField *field = NULL;
    DeltaField commented;
    DeltaSchema *schema = NULL, *next = NULL;

    TRY(widen_column(a, path, a->is->columns->fields[0].type, &nearest, &schema, &changed, err));
    if (a->is->comment != NULL) {
        TRY(delta_schema_field(schema, path, &field, err));
        TRY(delta_field_with(a->arena, field, "comment", json_string(a->is->comment), &commented, err));
        TRY(delta_schema_put(schema, path, &commented, &next, err));
        delta_schema_unref(schema);
        schema = next;
    }
    if (moves) {
        TRY(delta_schema_move(schema, path, *place, &next, err));
        delta_schema_unref(schema);
        schema = next;
    }
    a->nothing = !changed && a->is->comment == NULL && !moves;
    if (!a->nothing) {
        rc = changed_column(a, path, schema, err);
        schema = NULL;
    }
    if (rc == OK && moves) {
        delta_transaction_parameter_text(a->txn, "position", place_text(a, place));
    }
out:
    delta_schema_unref(schema);
    return rc;
}

/* ---- all columns anew ---- */

static const char *comment_of(Alter *a, const DeltaField *field)
{
    const char *comment = NULL;
    json_t *metadata = NULL;

    if (json_parse_object(field->metadata, strlen(field->metadata), &(JsonSource){.name = field->name}, &metadata,
                          NULL) == OK) {
        (void)json_opt_string(metadata, "comment", &comment, NULL);
        comment = arena_strdup(a->arena, comment);
    }
    json_decref(metadata);
    return comment;
}

/* A column as the list wants it: what it is called and stored as stays, the rest follows the list. */
static Status replace_column(Alter *a, const DeltaField *wanted, DeltaSchemaBuilder *builder, Error *err)
{
    Status rc = OK;
    const DeltaField *field = delta_schema_find(a->schema, wanted->name);
    DeltaSchema *schema = NULL;
    DeltaPath path = {&wanted->name, 1}, nearest;
    DeltaField made = *wanted;
    bool changed = false;

    if (field == NULL) {
        TRY(check_new_column(a, wanted, wanted->name, err));
    } else if (field->nullable && !wanted->nullable) {
        rc = error_set(err, E_DELTA_NOT_NULL, "column \"%s\" becomes NOT NULL only by ALTER COLUMN ... SET NOT NULL",
                       field->name);
        goto out;
    } else {
        const char *comment = comment_of(a, wanted);
        TRY(widen_column(a, path, wanted->type, &nearest, &schema, &changed, err));
        made = *delta_schema_find(schema, wanted->name);
        if (comment != NULL) {
            TRY(delta_field_with(a->arena, &made, "comment", json_string(comment), &made, err));
        }
        made.nullable = wanted->nullable;
    }
    delta_schema_builder_add(builder, made.name, made.type, made.nullable, made.metadata);
out:
    delta_schema_unref(schema);
    return rc;
}

/* Columns that the list leaves out are dropped. */
static Status check_left_out(Alter *a, Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < a->schema->n_fields; i++) {
        const DeltaField *field = &a->schema->fields[i];
        DeltaPath path = {&field->name, 1};
        if (delta_is_identity(field)) {
            rc = error_set(err, E_DELTA_SCHEMA, "the columns of a table with an identity column cannot be replaced");
            error_klass(err, "DELTA_IDENTITY_COLUMNS_REPLACE_COLUMN_NOT_SUPPORTED");
            goto out;
        }
        if (delta_schema_find(a->is->columns, field->name) == NULL) {
            TRY(need_mapping(a, "dropping", "DELTA_UNSUPPORTED_DROP_COLUMN", err));
            TRY(check_droppable(a, path, err));
            TRY(follow_stats_columns(a, path, NULL, err));
        }
    }
out:
    return rc;
}

Status alter_replace_columns(Alter *a, Error *err)
{
    Status rc = OK;
    DeltaSchemaBuilder *builder = delta_schema_builder_new(NULL);
    DeltaSchema *schema = NULL;
    Text list = TEXT(64 << 20);

    TRY(check_left_out(a, err));
    text_append_char(&list, '[');
    for (size_t i = 0; i < a->is->n_paths; i++) {
        TRY(replace_column(a, &a->is->columns->fields[i], builder, err));
        text_append(&list, i > 0 ? "," : "");
        describe_field(a, a->is->paths[i], &a->is->columns->fields[i], &list);
    }
    text_append_char(&list, ']');
    schema = delta_schema_builder_finish(builder);
    builder = NULL;
    TRY(delta_transaction_set_schema(a->txn, schema, err));
    TRY(follow_partitioning(a, NULL, NULL, err));
    delta_transaction_operation(a->txn, "REPLACE COLUMNS");
    delta_transaction_parameter_text(a->txn, "columns", text_str(&list));
out:
    if (builder != NULL) {
        schema = delta_schema_builder_finish(builder);
    }
    delta_schema_unref(schema);
    text_free(&list);
    return rc;
}

/* A condition that holds where the field is not NULL, or the struct it is in is. */
static Status not_null_condition(Alter *a, DeltaPath path, Text *out, Error *err)
{
    Status rc = OK;
    Text at = TEXT(1 << 20);

    for (size_t i = 0; i < path.n; i++) {
        const DeltaField *field = NULL;
        TRY(delta_schema_field(a->schema, (DeltaPath){path.parts, i + 1}, &field, err));
        if (i > 0) {
            text_printf(out, "%s IS NULL OR ", text_str(&at));
            text_append_char(&at, '.');
        }
        text_append_sql_name(&at, field->name);
    }
    text_printf(out, "%s IS NOT NULL", text_str(&at));
out:
    text_free(&at);
    return rc;
}

Status alter_column_nullable(Alter *a, bool nullable, Error *err)
{
    Status rc = OK;
    int64_t nulls = 0;
    DeltaPath path = a->is->paths[0];
    const DeltaField *field = NULL, *above = NULL;
    Text condition = TEXT(1 << 20);

    TRY(delta_schema_field(a->schema, path, &field, err));
    for (size_t n = 1; n < path.n; n++) {
        TRY(delta_schema_field(a->schema, (DeltaPath){path.parts, n}, &above, err));
        if (above->type->id != DELTA_STRUCT && !nullable) {
            rc = error_set(err, E_DELTA_SCHEMA, "\"%s\" is inside a list or map, where NOT NULL is not held",
                           path_text(a, path));
            error_klass(err, "DELTA_NESTED_NOT_NULL_CONSTRAINT");
            goto out;
        }
    }
    a->nothing = field->nullable == nullable;
    if (a->nothing) {
        goto out;
    }
    if (!nullable) {
        TRY(not_null_condition(a, path, &condition, err));
        TRY(alter_count_violations(a, text_str(&condition), &nulls, err));
    }
    if (nulls > 0) {
        rc = error_set(err, E_DELTA_NOT_NULL, "column \"%s\" is NULL in %lld rows", path_text(a, path),
                       (long long)nulls);
        error_hint(err, "UPDATE them first");
        goto out;
    }
    DeltaField changed = *field;
    changed.nullable = nullable;
    TRY(put_column(a, path, &changed, err));
out:
    text_free(&condition);
    return rc;
}
