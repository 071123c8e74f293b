/* INSERT INTO and INSERT OVERWRITE. */
#include "table/insert.h"

#include <string.h>

/* The query with its columns named like the targets they go to, by position. */
static Status name_by_position(DuckConn *conn, const TableInsert *insert, const DeltaSchema *schema, Text *out,
                               Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    DuckColumnInfo *columns = NULL;
    size_t n = 0, wanted = insert->columns != NULL ? insert->n_columns : schema->n_fields;

    TRY(duck_describe(conn, insert->query, arena, &columns, &n, err));
    if (n != wanted && !(insert->merge_schema && insert->columns == NULL)) {
        rc = error_set(err, E_DELTA_SCHEMA, "the query gives %zu columns, %s %zu", n,
                       insert->columns != NULL ? "the column list has" : "the table has", wanted);
        error_hint(err,
                   "name the columns, INSERT INTO t (a, b) ..., or match them by name with INSERT INTO t BY NAME ...");
        goto out;
    }
    text_printf(out, "SELECT * FROM (%s) AS freshet_insert(", insert->query);
    for (size_t i = 0; i < n; i++) {
        const char *name = i >= wanted               ? columns[i].name
                           : insert->columns != NULL ? insert->columns[i]
                                                     : schema->fields[i].name;
        text_append(out, i == 0 ? "" : ", ");
        text_append_sql_name(out, name);
    }
    text_append(out, ")");
out:
    arena_free(arena);
    return rc;
}

Status table_insert_query(DuckConn *conn, const TableInsert *insert, const DeltaSchema *schema, Text *out, Error *err)
{
    if (!insert->by_name) {
        return name_by_position(conn, insert, schema, out, err);
    }
    text_append(out, insert->query);
    return OK;
}

static void describe_operation(DeltaTransaction *txn, const TableInsert *insert)
{
    delta_transaction_operation(txn, "WRITE");
    delta_transaction_parameter_text(txn, "mode", insert->overwrite ? "Overwrite" : "Append");
    if (insert->user_metadata != NULL) {
        delta_transaction_user_metadata(txn, insert->user_metadata);
    }
}

Status table_insert(DeltaTable *table, DuckConn *conn, const TableInsert *insert, int64_t *rows, Error *err)
{
    Status rc = OK;
    DeltaSnapshot *snapshot = NULL;
    DeltaTransaction *txn = NULL;
    Text query = TEXT(TEXT_SQL_MAX);
    DeltaWriteResult written = {0};
    int64_t version = 0, removed = 0;

    TRY(delta_table_snapshot(table, conn, &snapshot, err));
    TRY(delta_transaction_begin(table, snapshot, conn, &txn, err));
    if (insert->txn_app_id != NULL) {
        if (delta_transaction_read_app(txn, insert->txn_app_id) >= insert->txn_version) {
            *rows = -1;
            goto out;
        }
        delta_transaction_set_app(txn, insert->txn_app_id, insert->txn_version);
    }
    TRY(table_insert_query(conn, insert, delta_snapshot_schema(snapshot), &query, err));
    if (insert->overwrite) {
        TRY(delta_write_remove_all(txn, conn, &removed, err));
    }
    describe_operation(txn, insert);
    DeltaWriteOptions options = {.merge_schema = insert->merge_schema, .overwrite_schema = insert->overwrite_schema};
    if ((rc = delta_write_query(txn, conn, text_str(&query), &options, &written, err)) != OK) {
        const char *own = strstr(text_str(&query), insert->query);
        duck_error_rebase(conn, own ? own - text_str(&query) : 0, own ? (int64_t)strlen(insert->query) : -1);
        goto out;
    }
    delta_transaction_metric(txn, "numFiles", written.files);
    delta_transaction_metric(txn, "numOutputRows", written.rows);
    delta_transaction_metric(txn, "numOutputBytes", written.bytes);
    TRY(delta_transaction_commit(txn, &version, err));
    delta_table_maintain(table, conn);
    *rows = written.rows;
out:
    delta_transaction_free(txn);
    delta_snapshot_unref(snapshot);
    text_free(&query);
    return rc;
}
