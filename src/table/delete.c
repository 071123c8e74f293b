#include "table/delete.h"

#include "table/rows.h"

void table_predicate_parameter(DeltaTransaction *txn, const char *condition)
{
    Text list = TEXT(1 << 20);

    text_append_json_strings(&list, &condition, condition != NULL);
    delta_transaction_parameter_text(txn, "predicate", text_str(&list));
    text_free(&list);
}

/* "FROM (candidates) AS alias WHERE (condition)" */
static void matching_sql(const TableRewrite *w, const TableCondition *where, Text *out)
{
    text_append(out, " FROM (");
    table_rewrite_rows(w, out);
    text_append(out, ") AS ");
    text_append_sql_name(out, where->alias);
    if (where->sql != NULL) {
        text_printf(out, " WHERE (%s)", where->sql);
    }
}

Status table_delete_mark(TableRewrite *w, const TableCondition *where, int64_t *deleted, Text *changes, Error *err)
{
    Status rc = OK;
    Text sql = TEXT(TEXT_SQL_MAX);

    if (w->feed && !w->vectors) {
        text_append(&sql, "CREATE OR REPLACE TEMP TABLE freshet_changes AS SELECT *");
        matching_sql(w, where, &sql);
        TRY(duck_exec(w->conn, text_str(&sql), err));
        text_clear(&sql);
        text_append(&sql, "SELECT freshet_file, freshet_row FROM freshet_changes");
        text_append(changes, "SELECT * EXCLUDE (freshet_file, freshet_row");
        for (const char *const *name = table_rewrite_id_names(w); *name != NULL; name++) {
            text_printf(changes, ", %s", *name);
        }
        text_append(changes, "), 'delete' AS _change_type FROM freshet_changes");
    } else {
        text_append(&sql, "SELECT freshet_file, freshet_row");
        matching_sql(w, where, &sql);
    }
    TRY(table_rewrite_mark(w, text_str(&sql), deleted, err));
out:
    text_free(&sql);
    return rc;
}

static void delete_metrics(TableRewrite *w, int64_t deleted)
{
    table_rewrite_file_metrics(w);
    table_rewrite_metric(w, "numCopiedRows", w->rows_copied);
    if (deleted >= 0) {
        table_rewrite_metric(w, "numDeletedRows", deleted);
    }
}

Status table_delete(DeltaTable *table, DuckConn *conn, const TableCondition *where, int64_t *deleted, Error *err)
{
    Status rc = OK;
    TableRewrite *w = NULL;
    Text changes = TEXT(1 << 16);
    bool decided = false;
    int64_t n = 0;

    TRY(table_rewrite_open(table, conn, &w, err));
    TRY(table_rewrite_scan(w, where->predicates, where->n_predicates, err));
    TRY(table_rewrite_mark_files(w, where, &decided, &n, err));
    if (!decided) {
        TRY(table_delete_mark(w, where, &n, &changes, err));
    }
    TRY(table_rewrite_apply(w, NULL, changes.length > 0 ? text_str(&changes) : NULL, err));
    table_predicate_parameter(w->txn, where->text != NULL ? where->text : "true");
    delete_metrics(w, n);
    TRY(table_rewrite_commit(w, "DELETE", err));
    *deleted = n;
out:
    (void)duck_exec(conn, "DROP TABLE IF EXISTS temp.freshet_changes", NULL);
    table_rewrite_close(w);
    text_free(&changes);
    return rc;
}
