/* The new rows are kept in a temporary table first: they are checked, their partitions are looked up, and they are
 * written, perhaps twice (data and change files), but computed once. */
#include "table/replace.h"

#include "delta/column_default.h"
#include "table/delete.h"
#include "table/rows.h"

static Status keep_rows(TableRewrite *w, const TableInsert *insert, int64_t *n, Error *err)
{
    Status rc = OK;
    Text query = TEXT(TEXT_SQL_MAX), sql = TEXT(TEXT_SQL_MAX);

    TRY(table_insert_query(w->conn, insert, w->schema, &query, err));
    TRY(delta_identity_check_query(w->conn, w->schema, text_str(&query), err));
    text_append(&sql, "CREATE OR REPLACE TEMP TABLE freshet_new AS ");
    TRY(table_rows_cast(w->conn, w->schema, text_str(&query), NULL, &sql, err));
    TRY(duck_exec(w->conn, text_str(&sql), err));
    TRY(duck_query_numbers(w->conn, "SELECT count(*) FROM freshet_new", n, 1, err));
out:
    text_free(&query);
    text_free(&sql);
    return rc;
}

static Status check_rows(TableRewrite *w, const TableCondition *where, Error *err)
{
    Status rc = OK;
    Text sql = TEXT(TEXT_SQL_MAX);
    int64_t outside = 0;

    text_append(&sql, "SELECT count(*) FROM freshet_new AS ");
    text_append_sql_name(&sql, where->alias);
    text_printf(&sql, " WHERE (%s) IS NOT TRUE", where->sql);
    TRY(duck_query_numbers(w->conn, text_str(&sql), &outside, 1, err));
    if (outside > 0) {
        rc = error_set(err, E_DELTA_CONSTRAINT, "%lld new rows are outside of REPLACE WHERE %s", (long long)outside,
                       where->text);
        error_klass(err, "DELTA_REPLACE_WHERE_MISMATCH");
        error_hint(err, "leave them out of the query, or widen the condition");
    }
out:
    text_free(&sql);
    return rc;
}

/* "the row's partition is one of the new rows'" */
static Status partition_condition(TableRewrite *w, TableCondition *out, Error *err)
{
    size_t n = 0;
    const char *const *columns = delta_transaction_partition_columns(w->txn, &n);
    Text sql = TEXT(1 << 20);

    if (n == 0) {
        text_free(&sql);
        return error_set(err, E_DELTA_SCHEMA, "partitionOverwriteMode = dynamic needs a partitioned table");
    }
    text_append(&sql, "EXISTS (SELECT 1 FROM freshet_new AS freshet_n WHERE ");
    for (size_t i = 0; i < n; i++) {
        text_append(&sql, i > 0 ? " AND freshet_n." : "freshet_n.");
        text_append_sql_name(&sql, columns[i]);
        text_append(&sql, " IS NOT DISTINCT FROM freshet_t.");
        text_append_sql_name(&sql, columns[i]);
    }
    text_append(&sql, ")");
    *out = (TableCondition){.alias = "freshet_t", .sql = arena_strdup(w->arena, text_str(&sql))};
    text_free(&sql);
    return OK;
}

/* Marks what goes. `changes`: what the feed has to be told, where copied rows would hide it. */
static Status mark_rows(TableRewrite *w, const TableCondition *where, int64_t *gone, Text *changes, Error *err)
{
    Status rc = OK;
    bool decided = false;

    TRY(table_rewrite_scan(w, where->predicates, where->n_predicates, err));
    TRY(table_rewrite_mark_files(w, where, &decided, gone, err));
    if (decided) {
        goto out;
    }
    TRY(table_delete_mark(w, where, gone, changes, err));
    if (changes->length > 0) {
        text_append(changes, " UNION ALL SELECT *, 'insert' FROM freshet_new");
    }
out:
    return rc;
}

static void describe(TableRewrite *w, const TableInsert *insert, const TableCondition *where, int64_t gone)
{
    delta_transaction_parameter_text(w->txn, "mode", "Overwrite");
    if (where != NULL) {
        delta_transaction_parameter_text(w->txn, "predicate", where->text);
        table_rewrite_metric(w, "numCopiedRows", w->rows_copied);
        table_rewrite_metric(w, "numAddedChangeFiles", w->change_files);
    } else {
        delta_transaction_parameter_text(w->txn, "isDynamicPartitionOverwrite", "true");
    }
    if (insert->user_metadata != NULL) {
        delta_transaction_user_metadata(w->txn, insert->user_metadata);
    }
    table_rewrite_metric(w, "numFiles", w->files_added);
    table_rewrite_metric(w, "numOutputRows", w->rows_written + w->rows_copied);
    table_rewrite_metric(w, "numOutputBytes", w->bytes_added);
    table_rewrite_metric(w, "numRemovedFiles", w->files_removed);
    if (where != NULL && gone >= 0) {
        table_rewrite_metric(w, "numDeletedRows", gone);
    }
}

Status table_replace(DeltaTable *table, DuckConn *conn, const TableInsert *insert, const TableCondition *where,
                     int64_t *rows, Error *err)
{
    Status rc = OK;
    TableRewrite *w = NULL;
    TableCondition partitions = {0};
    Text changes = TEXT(1 << 16), rows_sql = TEXT(1 << 10);
    int64_t n = 0, gone = 0;

    TRY(table_rewrite_open(table, conn, &w, err));
    if (insert->txn_app_id != NULL) {
        if (delta_transaction_read_app(w->txn, insert->txn_app_id) >= insert->txn_version) {
            *rows = -1;
            goto out;
        }
        delta_transaction_set_app(w->txn, insert->txn_app_id, insert->txn_version);
    }
    TRY(keep_rows(w, insert, &n, err));
    if (where != NULL) {
        TRY(check_rows(w, where, err));
    } else {
        TRY(partition_condition(w, &partitions, err));
    }
    TRY(mark_rows(w, where != NULL ? where : &partitions, &gone, &changes, err));
    text_append(&rows_sql, "SELECT *");
    table_rewrite_ids(w, true, &rows_sql);
    text_append(&rows_sql, " FROM freshet_new");
    TRY(table_rewrite_apply(w, n > 0 ? text_str(&rows_sql) : NULL, changes.length > 0 ? text_str(&changes) : NULL,
                            err));
    describe(w, insert, where, gone);
    TRY(table_rewrite_commit(w, "WRITE", err));
    *rows = n;
out:
    (void)duck_exec(conn, "DROP TABLE IF EXISTS temp.freshet_new; DROP TABLE IF EXISTS temp.freshet_changes", NULL);
    table_rewrite_close(w);
    text_free(&changes);
    text_free(&rows_sql);
    return rc;
}
