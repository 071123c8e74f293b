#include "table/alter.h"

#include <string.h>

#include "base/json.h"
#include "delta/constraint.h"
#include "delta/scan.h"
#include "table/rows.h"

typedef struct Alter {
    const TableAlter *is;
    DuckConn *conn;
    DeltaSnapshot *snapshot;
    DeltaTransaction *txn;
    const DeltaSchema *schema;
    bool nothing; /* IF [NOT] EXISTS: no commit */
} Alter;

/* ---- commitInfo ---- */

static void text_parameter(DeltaTransaction *txn, const char *key, const char *value)
{
    Text json = TEXT(1 << 20);

    text_append_json_string(&json, value);
    delta_transaction_parameter(txn, key, text_str(&json));
    text_free(&json);
}

/* ---- columns ---- */

/* The schema with field `index` replaced. */
static Status replace_field(Alter *a, size_t index, const DeltaField *field, Error *err)
{
    DeltaSchemaBuilder *builder = delta_schema_builder_new(NULL);

    for (size_t i = 0; i < a->schema->n_fields; i++) {
        const DeltaField *f = i == index ? field : &a->schema->fields[i];
        delta_schema_builder_add(builder, f->name, f->type, f->nullable, f->metadata);
    }
    DeltaSchema *schema = delta_schema_builder_finish(builder);
    Status rc = delta_transaction_set_schema(a->txn, schema, err);
    delta_schema_unref(schema);
    delta_transaction_operation(a->txn, "CHANGE COLUMN");
    text_parameter(a->txn, "columnName", field->name);
    return rc;
}

static Status add_columns(Alter *a, Error *err)
{
    Status rc = OK;
    const DeltaSchema *columns = a->is->columns;
    DeltaSchemaBuilder *builder = delta_schema_builder_new(a->schema);
    DeltaSchema *schema = NULL;
    Text names = TEXT(1 << 20);
    size_t added = 0;

    for (size_t i = 0; rc == OK && i < columns->n_fields; i++) {
        const DeltaField *field = &columns->fields[i];
        bool there = delta_schema_find(a->schema, field->name) != NULL;
        if (there && !a->is->if_not_exists) {
            rc = error_set(err, E_DELTA_SCHEMA, "the table has a column \"%s\" already", field->name);
            error_klass(err, "DELTA_ADD_COLUMN_COLUMN_EXISTS");
        } else if (!there && !field->nullable) {
            rc = error_set(err, E_DELTA_NOT_NULL,
                           "a new column is NULL in all rows that are there: \"%s\" cannot be NOT NULL", field->name);
        } else if (!there) {
            delta_schema_builder_add(builder, field->name, field->type, true, field->metadata);
            text_printf(&names, "%s%s", added++ > 0 ? ", " : "", field->name);
        }
    }
    schema = delta_schema_builder_finish(builder);
    a->nothing = added == 0;
    if (rc == OK && added > 0) {
        delta_transaction_operation(a->txn, "ADD COLUMNS");
        text_parameter(a->txn, "columns", text_str(&names));
        rc = delta_transaction_set_schema(a->txn, schema, err);
    }
    delta_schema_unref(schema);
    text_free(&names);
    return rc;
}

/* Runs a change of the field's metadata object. */
static Status set_metadata(Alter *a, DeltaField *field, const char *key, json_t *value, Text *out, Error *err)
{
    Status rc = OK;
    json_t *object = NULL;
    JsonSource source = {.name = "the metadata of a column"};

    (void)a;
    TRY(json_parse_object(field->metadata, strlen(field->metadata), &source, &object, err));
    json_put(object, key, value);
    value = NULL;
    TRY(json_dump_text(object, out, err));
    field->metadata = text_str(out);
out:
    json_decref(value);
    json_decref(object);
    return rc;
}

static Status comment_column(Alter *a, Error *err)
{
    Status rc = OK;
    size_t index = 0;
    Text metadata = TEXT(1 << 20);

    TRY(table_rows_column(a->schema, a->is->name, &index, err));
    DeltaField field = a->schema->fields[index];
    TRY(set_metadata(a, &field, "comment", json_string(a->is->comment), &metadata, err));
    TRY(replace_field(a, index, &field, err));
out:
    text_free(&metadata);
    return rc;
}

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

/* Type changes that lose nothing (Delta protocol, Type Widening). */
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

/* The list of what the column's type has been, with the change added. */
static Status type_changes(const DeltaField *field, const DeltaType *to, json_t **out, Error *err)
{
    Status rc = OK;
    json_t *object = NULL, *before = NULL, *list = json_array(), *change = json_object();
    JsonSource source = {.name = "the metadata of a column"};
    Text from_name = TEXT(256), to_name = TEXT(256);

    TRY(json_parse_object(field->metadata, strlen(field->metadata), &source, &object, err));
    TRY(json_opt_array(object, "delta.typeChanges", &before, err));
    if (before != NULL) {
        json_array_extend(list, before);
    }
    delta_type_name(field->type, &from_name);
    delta_type_name(to, &to_name);
    TRY(json_put_string(change, "fromType", text_str(&from_name), err));
    TRY(json_put_string(change, "toType", text_str(&to_name), err));
    json_array_append(list, change);
    *out = json_incref(list);
out:
    json_decref(change);
    json_decref(list);
    json_decref(object);
    text_free(&from_name);
    text_free(&to_name);
    return rc;
}

static Status widen_column(Alter *a, Error *err)
{
    Status rc = OK;
    size_t index = 0;
    const DeltaType *to = a->is->columns->fields[0].type;
    const char *enabled = delta_snapshot_property(a->snapshot, "delta.enableTypeWidening");
    Text metadata = TEXT(1 << 20), from_name = TEXT(1 << 16), to_name = TEXT(1 << 16);
    json_t *changes = NULL;

    TRY(table_rows_column(a->schema, a->is->name, &index, err));
    DeltaField field = a->schema->fields[index];
    delta_type_name(field.type, &from_name);
    delta_type_name(to, &to_name);
    if (delta_type_equal(field.type, to)) {
        a->nothing = true;
        goto out;
    }
    if (!is_wider(field.type, to)) {
        rc = error_set(err, E_DELTA_SCHEMA, "column \"%s\" is %s and cannot become %s", field.name,
                       text_str(&from_name), text_str(&to_name));
        error_klass(err, "DELTA_UNSUPPORTED_TYPE_CHANGE_IN_ALTER_TABLE");
        error_hint(err, "only a wider type can hold what is there; CREATE OR REPLACE TABLE writes the rows anew");
        goto out;
    }
    if (enabled == NULL || !str_ieq(enabled, "true")) {
        rc = error_set(err, E_DELTA_SCHEMA, "column \"%s\" can become %s only with type widening", field.name,
                       text_str(&to_name));
        error_hint(err, "ALTER TABLE ... SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')");
        goto out;
    }
    TRY(type_changes(&field, to, &changes, err));
    TRY(set_metadata(a, &field, "delta.typeChanges", changes, &metadata, err));
    field.type = to;
    TRY(replace_field(a, index, &field, err));
out:
    text_free(&metadata);
    text_free(&from_name);
    text_free(&to_name);
    return rc;
}

/* ---- conditions on rows that are there ---- */

/* Counts rows for which the condition is not true. The transaction has then read the table. */
static Status count_violations(Alter *a, const char *condition, int64_t *n, Error *err)
{
    Status rc = OK;
    DeltaScan *scan = NULL;
    Text sql = TEXT(TEXT_SQL_MAX);

    delta_transaction_read_table(a->txn);
    TRY(delta_scan_snapshot(a->snapshot, a->conn, NULL, 0, &scan, err));
    text_append(&sql, "SELECT count(*) FROM (");
    text_append(&sql, delta_scan_sql(scan));
    text_printf(&sql, ") WHERE (%s) IS NOT TRUE", condition);
    TRY(table_rows_number(a->conn, text_str(&sql), n, err));
out:
    text_free(&sql);
    delta_scan_free(scan);
    return rc;
}

static Status set_nullable(Alter *a, bool nullable, Error *err)
{
    Status rc = OK;
    size_t index = 0;
    int64_t nulls = 0;
    Text condition = TEXT(1 << 16);

    TRY(table_rows_column(a->schema, a->is->name, &index, err));
    DeltaField field = a->schema->fields[index];
    a->nothing = field.nullable == nullable;
    if (a->nothing) {
        goto out;
    }
    if (!nullable) {
        text_append_sql_name(&condition, field.name);
        text_append(&condition, " IS NOT NULL");
        TRY(count_violations(a, text_str(&condition), &nulls, err));
    }
    if (nulls > 0) {
        rc = error_set(err, E_DELTA_NOT_NULL, "column \"%s\" is NULL in %lld rows", field.name, (long long)nulls);
        error_hint(err, "UPDATE them first");
        goto out;
    }
    field.nullable = nullable;
    TRY(replace_field(a, index, &field, err));
out:
    text_free(&condition);
    return rc;
}

static const char *constraint_key(const Alter *a, Text *out)
{
    text_printf(out, "delta.constraints.%s", a->is->name);
    str_lower(out->data);
    return text_str(out);
}

static Status add_constraint(Alter *a, Error *err)
{
    Status rc = OK;
    Text key = TEXT(1 << 16), condition = TEXT(1 << 20);
    int64_t violations = 0;

    if (delta_snapshot_property(a->snapshot, constraint_key(a, &key)) != NULL) {
        rc = error_set(err, E_DELTA_CONSTRAINT, "the table has a constraint \"%s\" already", a->is->name);
        error_klass(err, "DELTA_CONSTRAINT_ALREADY_EXISTS");
        goto out;
    }
    if (!delta_spark_sql(a->is->condition, &condition)) {
        rc = error_set(err, E_DELTA_CONSTRAINT, "a constraint has to mean the same to all writers: %s does not",
                       a->is->condition);
        error_hint(err, "no comments, backslashes or literals with a type such as X'00'");
        goto out;
    }
    TRY(count_violations(a, text_str(&condition), &violations, err));
    if (violations > 0) {
        rc = error_set(err, E_DELTA_CONSTRAINT, "%lld rows of the table violate constraint \"%s\" (%s)",
                       (long long)violations, a->is->name, a->is->condition);
        error_klass(err, "DELTA_NEW_CHECK_CONSTRAINT_VIOLATION");
        goto out;
    }
    TRY(delta_transaction_set_property(a->txn, text_str(&key), a->is->condition, err));
    delta_transaction_operation(a->txn, "ADD CONSTRAINT");
    text_parameter(a->txn, "name", a->is->name);
    text_parameter(a->txn, "expr", a->is->condition);
out:
    text_free(&key);
    text_free(&condition);
    return rc;
}

static Status drop_constraint(Alter *a, Error *err)
{
    Status rc = OK;
    Text key = TEXT(1 << 16);

    a->nothing = delta_snapshot_property(a->snapshot, constraint_key(a, &key)) == NULL;
    if (a->nothing && !a->is->if_exists) {
        rc = error_set(err, E_DELTA_CONSTRAINT, "the table has no constraint \"%s\"", a->is->name);
        error_klass(err, "DELTA_CONSTRAINT_DOES_NOT_EXIST");
        goto out;
    }
    if (!a->nothing) {
        TRY(delta_transaction_set_property(a->txn, text_str(&key), NULL, err));
        delta_transaction_operation(a->txn, "DROP CONSTRAINT");
        text_parameter(a->txn, "name", a->is->name);
    }
out:
    text_free(&key);
    return rc;
}

/* ---- properties ---- */

static Status set_properties(Alter *a, Error *err)
{
    Status rc = OK;
    Text list = TEXT(1 << 20);
    bool unset = a->is->n_properties > 0 && a->is->properties[0].value == NULL;

    text_append_char(&list, unset ? '[' : '{');
    for (size_t i = 0; i < a->is->n_properties; i++) {
        const TableProperty *property = &a->is->properties[i];
        if (unset && !a->is->if_exists && delta_snapshot_property(a->snapshot, property->key) == NULL) {
            rc = error_set(err, E_DELTA_PROPERTY, "the table has no property '%s'", property->key);
            error_klass(err, "DELTA_UNSET_NON_EXISTENT_PROPERTY");
            goto out;
        }
        if (str_istarts(property->key, "delta.constraints.")) {
            rc = error_set(err, E_DELTA_PROPERTY, "'%s' is a constraint, not a property", property->key);
            error_hint(err, "ALTER TABLE ... ADD CONSTRAINT name CHECK (condition), or DROP CONSTRAINT name");
            goto out;
        }
        TRY(delta_transaction_set_property(a->txn, property->key, property->value, err));
        text_append(&list, i > 0 ? "," : "");
        text_append_json_string(&list, property->key);
        if (!unset) {
            text_append_char(&list, ':');
            text_append_json_string(&list, property->value);
        }
    }
    text_append_char(&list, unset ? ']' : '}');
    delta_transaction_operation(a->txn, unset ? "UNSET TBLPROPERTIES" : "SET TBLPROPERTIES");
    text_parameter(a->txn, "properties", text_str(&list));
out:
    text_free(&list);
    return rc;
}

/* ---- dispatch ---- */

static Status apply(Alter *a, Error *err)
{
    switch (a->is->kind) {
    case TABLE_ALTER_ADD_COLUMNS: return add_columns(a, err);
    case TABLE_ALTER_COLUMN_TYPE: return widen_column(a, err);
    case TABLE_ALTER_COLUMN_COMMENT: return comment_column(a, err);
    case TABLE_ALTER_COLUMN_NOT_NULL: return set_nullable(a, false, err);
    case TABLE_ALTER_COLUMN_NULLABLE: return set_nullable(a, true, err);
    case TABLE_ALTER_PROPERTIES: return set_properties(a, err);
    case TABLE_ALTER_ADD_CONSTRAINT: return add_constraint(a, err);
    case TABLE_ALTER_DROP_CONSTRAINT: return drop_constraint(a, err);
    }
    return error_set(err, E_INTERNAL, "ALTER TABLE of kind %d", (int)a->is->kind);
}

Status table_alter(DeltaTable *table, DuckConn *conn, const TableAlter *alter, Error *err)
{
    Status rc = OK;
    Alter a = {.is = alter, .conn = conn};
    int64_t version = 0;

    TRY(delta_table_snapshot(table, conn, &a.snapshot, err));
    TRY(delta_transaction_begin(table, a.snapshot, conn, &a.txn, err));
    a.schema = delta_snapshot_schema(a.snapshot);
    TRY(apply(&a, err));
    if (!a.nothing) {
        TRY(delta_transaction_commit(a.txn, &version, err));
        delta_table_maintain(table, conn);
    }
out:
    delta_transaction_free(a.txn);
    delta_snapshot_unref(a.snapshot);
    return rc;
}
