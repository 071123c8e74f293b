/* ALTER TABLE: what is not about columns, and the table of all kinds (alter_column.c has those of columns). */
#include <string.h>

#include "delta/clustering.h"
#include "delta/constraint.h"
#include "delta/iceberg_compat.h"
#include "delta/scan.h"
#include "table/alter_int.h"
#include "table/move.h"
#include "table/rows.h"

/* ---- constraints ---- */

Status alter_count_violations(Alter *a, const char *condition, int64_t *n, Error *err)
{
    Status rc = OK;
    DeltaScan *scan = NULL;
    Text sql = TEXT(TEXT_SQL_MAX);

    delta_transaction_read_table(a->txn);
    TRY(delta_scan_snapshot(a->snapshot, a->conn, NULL, 0, &scan, err));
    text_append(&sql, "SELECT count(*) FROM (");
    text_append(&sql, delta_scan_sql(scan));
    text_printf(&sql, ") WHERE (%s) IS NOT TRUE", condition);
    TRY(duck_query_numbers(a->conn, text_str(&sql), n, 1, err));
out:
    text_free(&sql);
    delta_scan_free(scan);
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
    TRY(alter_count_violations(a, text_str(&condition), &violations, err));
    if (violations > 0) {
        rc = error_set(err, E_DELTA_CONSTRAINT, "%lld rows of the table violate constraint \"%s\" (%s)",
                       (long long)violations, a->is->name, a->is->condition);
        error_klass(err, "DELTA_NEW_CHECK_CONSTRAINT_VIOLATION");
        goto out;
    }
    TRY(delta_transaction_set_property(a->txn, text_str(&key), a->is->condition, err));
    delta_transaction_operation(a->txn, "ADD CONSTRAINT");
    delta_transaction_parameter_text(a->txn, "name", a->is->name);
    delta_transaction_parameter_text(a->txn, "expr", a->is->condition);
out:
    text_free(&key);
    text_free(&condition);
    return rc;
}

static Status drop_constraint(Alter *a, Error *err)
{
    Status rc = OK;
    Text key = TEXT(1 << 16);

    const char *condition = delta_snapshot_property(a->snapshot, constraint_key(a, &key));
    a->nothing = condition == NULL;
    if (a->nothing && !a->is->if_exists) {
        rc = error_set(err, E_DELTA_CONSTRAINT, "the table has no constraint \"%s\"", a->is->name);
        error_klass(err, "DELTA_CONSTRAINT_DOES_NOT_EXIST");
        goto out;
    }
    if (!a->nothing) {
        TRY(delta_transaction_set_property(a->txn, text_str(&key), NULL, err));
        delta_transaction_operation(a->txn, "DROP CONSTRAINT");
        delta_transaction_parameter_text(a->txn, "name", a->is->name);
        delta_transaction_parameter_text(a->txn, "expr", condition);
        delta_transaction_parameter_text(a->txn, "existed", "true");
    }
out:
    text_free(&key);
    return rc;
}

/* ---- properties ---- */

/* Row tracking that begins names the files again with ids, so they cannot go in the same commit. */
static Status check_row_ids(const Alter *a, Error *err)
{
    bool tracked = delta_scan_check_ids(a->snapshot, NULL) == OK;
    const char *wanted = delta_transaction_property(a->txn, "delta.enableRowTracking");
    bool tracks = false;

    if (tracked || wanted == NULL || !str_parse_bool(wanted, &tracks) || !tracks) {
        return OK;
    }
    Status rc = error_set(err, E_DELTA_ICEBERG,
                          "files cannot get ids for their rows and be written anew in one commit");
    error_hint(err, "set 'delta.enableRowTracking' in a statement of its own");
    return rc;
}

/* Iceberg compatibility that begins: files that lack what it asks for are written anew in the same commit. */
static Status begin_iceberg(Alter *a, Error *err)
{
    Status rc = OK;
    DeltaFile *files = NULL;
    size_t n = 0;

    TRY(delta_iceberg_check(a->txn, err));
    TRY(delta_iceberg_misfits(a->txn, a->arena, &files, &n, err));
    if (n > 0) {
        TRY(check_row_ids(a, err));
        TRY(table_move_rows(a->txn, a->conn, files, n, err));
        delta_transaction_metric(a->txn, "numRemovedFiles", (int64_t)n);
    }
out:
    return rc;
}

static Status set_properties(Alter *a, Error *err)
{
    Status rc = OK;
    Text list = TEXT(1 << 20);
    bool unset = a->is->n_properties > 0 && a->is->properties[0].value == NULL;

    text_append_char(&list, unset ? '[' : '{');
    for (size_t i = 0; i < a->is->n_properties; i++) {
        const TableProperty *property = &a->is->properties[i];
        bool comment = strcmp(property->key, "comment") == 0; /* of the table: no property of Delta's */
        if (unset && !comment && !a->is->if_exists && delta_snapshot_property(a->snapshot, property->key) == NULL) {
            rc = error_set(err, E_DELTA_PROPERTY, "the table has no property '%s'", property->key);
            error_klass(err, "DELTA_UNSET_NON_EXISTENT_PROPERTY");
            goto out;
        }
        if (str_istarts(property->key, "delta.constraints.")) {
            rc = error_set(err, E_DELTA_PROPERTY, "'%s' is a constraint, not a property", property->key);
            error_hint(err, "ALTER TABLE ... ADD CONSTRAINT name CHECK (condition), or DROP CONSTRAINT name");
            goto out;
        }
        if (comment) {
            delta_transaction_set_comment(a->txn, NULL, unset ? "" : property->value);
        } else {
            TRY(delta_transaction_set_property(a->txn, property->key, property->value, err));
        }
        text_append(&list, i > 0 ? "," : "");
        text_append_json_string(&list, property->key);
        if (!unset) {
            text_append_char(&list, ':');
            text_append_json_string(&list, property->value);
        }
    }
    TRY(begin_iceberg(a, err));
    text_append_char(&list, unset ? ']' : '}');
    delta_transaction_operation(a->txn, unset ? "UNSET TBLPROPERTIES" : "SET TBLPROPERTIES");
    delta_transaction_parameter_text(a->txn, "properties", text_str(&list));
    if (unset) {
        delta_transaction_parameter(a->txn, "ifExists", "true"); /* in Spark's commits it always is */
    }
out:
    text_free(&list);
    return rc;
}

/* ---- dispatch ---- */

static Status cluster_by(Alter *a, Error *err)
{
    Status rc = OK;
    Text before = TEXT(1 << 20), after = TEXT(1 << 20);

    delta_clustering_names(a->snapshot, &before);
    TRY(delta_clustering_set(a->txn, a->is->paths, a->is->n_paths, err));
    for (size_t i = 0; i < a->is->n_paths; i++) {
        text_append(&after, i > 0 ? "," : "");
        delta_path_text(a->is->paths[i], &after);
    }
    a->nothing = strcmp(text_str(&before), text_str(&after)) == 0;
    delta_clustering_describe(a->txn, text_str(&before), text_str(&after));
out:
    text_free(&before);
    text_free(&after);
    return rc;
}

static Status apply(Alter *a, Error *err)
{
    switch (a->is->kind) {
    case TABLE_ALTER_ADD_COLUMNS: return alter_add_columns(a, err);
    case TABLE_ALTER_COLUMN_TYPE: return alter_column_type(a, err);
    case TABLE_ALTER_COLUMN_COMMENT: return alter_column_comment(a, err);
    case TABLE_ALTER_COLUMN_NOT_NULL: return alter_column_nullable(a, false, err);
    case TABLE_ALTER_COLUMN_NULLABLE: return alter_column_nullable(a, true, err);
    case TABLE_ALTER_COLUMN_PLACE: return alter_column_place(a, err);
    case TABLE_ALTER_COLUMN_DEFAULT:
    case TABLE_ALTER_COLUMN_NO_DEFAULT: return alter_column_default(a, err);
    case TABLE_ALTER_COLUMN_CHANGE: return alter_column_change(a, err);
    case TABLE_ALTER_REPLACE_COLUMNS: return alter_replace_columns(a, err);
    case TABLE_ALTER_RENAME_COLUMN: return alter_rename_column(a, err);
    case TABLE_ALTER_DROP_COLUMNS: return alter_drop_columns(a, err);
    case TABLE_ALTER_PROPERTIES: return set_properties(a, err);
    case TABLE_ALTER_ADD_CONSTRAINT: return add_constraint(a, err);
    case TABLE_ALTER_DROP_CONSTRAINT: return drop_constraint(a, err);
    case TABLE_ALTER_CLUSTER_BY: return cluster_by(a, err);
    }
    return error_set(err, E_INTERNAL, "ALTER TABLE of kind %d", (int)a->is->kind);
}

Status table_alter(DeltaTable *table, DuckConn *conn, const TableAlter *alter, Error *err)
{
    Status rc = OK;
    Alter a = {.is = alter, .conn = conn, .arena = arena_new()};
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
    arena_free(a.arena);
    return rc;
}
