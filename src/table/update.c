/* UPDATE: the matching rows and what becomes of them are put into a temporary table first,
 *
 *     freshet_changes(freshet_file, freshet_row, o0, o1, ... the row as it was, n0, n1, ... what is assigned), and with
 *     row tracking its id
 *
 * so that every expression is evaluated once: data files and change files agree even on random(). */
#include "table/assign.h"
#include "table/rows.h"

/* The statement that keeps address, old columns and new values of the rows that match. */
static void changes_sql(const TableRewrite *w, const TableCondition *where, const char *const *assigned, Text *out)
{
    Text alias = TEXT(1 << 16);

    text_append_sql_name(&alias, where->alias);
    text_append(out, "CREATE OR REPLACE TEMP TABLE freshet_changes AS SELECT freshet_file, freshet_row");
    text_append(out, w->tracks ? ", " DELTA_ROW_ID : "");
    for (size_t i = 0; i < w->schema->n_fields; i++) {
        text_printf(out, ", %s.", text_str(&alias));
        text_append_sql_name(out, w->schema->fields[i].name);
        text_printf(out, " AS o%zu", i);
        if (assigned[i] != NULL) {
            text_printf(out, ", (%s) AS n%zu", assigned[i], i);
        }
    }
    text_append(out, " FROM (");
    table_rewrite_rows(w, out);
    text_printf(out, ") AS %s", text_str(&alias));
    if (where->sql != NULL) {
        text_printf(out, " WHERE (%s)", where->sql);
    }
    text_free(&alias);
}

/* The old or new rows under the table's names. `assigned` NULL: the old ones; new ones leave generated columns out, so
 * that they are computed from what has become of the others. With `ids` also what row tracking needs. */
static void rows_sql(const TableRewrite *w, const char *const *assigned, bool ids, Text *out)
{
    const DeltaSchema *schema = w->schema;
    size_t n = 0;

    for (size_t i = 0; i < schema->n_fields; i++) {
        if (assigned != NULL && assigned[i] == NULL && table_rows_is_generated(&schema->fields[i])) {
            continue;
        }
        text_printf(out, "%s%c%zu AS ", n++ == 0 ? "SELECT " : ", ",
                    assigned != NULL && assigned[i] != NULL ? 'n' : 'o', i);
        text_append_sql_name(out, schema->fields[i].name);
    }
    if (ids) {
        table_rewrite_ids(w, false, out);
    }
    text_append(out, " FROM freshet_changes");
}

/* `rows`: the new ones, of the table's types; `changes`: both images. */
static Status result_sql(TableRewrite *w, const char *const *assigned, Text *rows, Text *changes, Error *err)
{
    Status rc = OK;
    Text plain = TEXT(TEXT_SQL_MAX);

    rows_sql(w, assigned, true, &plain);
    TRY(table_rows_cast(w->conn, w->schema, text_str(&plain), table_rewrite_id_names(w), rows, err));
    text_clear(&plain);
    rows_sql(w, assigned, false, &plain);
    text_append(changes, "SELECT *, 'update_preimage' AS _change_type FROM (");
    rows_sql(w, NULL, false, changes);
    text_append(changes, ") UNION ALL SELECT *, 'update_postimage' FROM (");
    TRY(table_rows_cast(w->conn, w->schema, text_str(&plain), NULL, changes, err));
    text_append(changes, ")");
out:
    text_free(&plain);
    return rc;
}

static void update_metrics(TableRewrite *w, int64_t updated)
{
    table_rewrite_file_metrics(w);
    /* Spark counts files that get a deletion vector here, although not for DELETE */
    table_rewrite_metric(w, "numRemovedFiles", w->files_removed + w->vectors_added + w->vectors_updated);
    table_rewrite_metric(w, "numUpdatedRows", updated);
    table_rewrite_metric(w, "numCopiedRows", w->rows_copied);
}

Status table_update(DeltaTable *table, DuckConn *conn, const TableCondition *where, const TableAssignment *set,
                    size_t n_set, int64_t *updated, Error *err)
{
    Status rc = OK;
    TableRewrite *w = NULL;
    Text sql = TEXT(TEXT_SQL_MAX), rows = TEXT(TEXT_SQL_MAX), changes = TEXT(TEXT_SQL_MAX);
    int64_t n = 0;

    TRY(table_rewrite_open(table, conn, &w, err));
    const char **assigned = arena_alloc(w->arena, (w->schema->n_fields + 1) * sizeof *assigned);
    TRY(table_assign_check(w->schema, set, n_set, false, err));
    TRY(table_assign(w->conn, w->schema, where->alias, set, n_set, w->arena, assigned, err));
    TRY(table_rewrite_scan(w, where->predicates, where->n_predicates, err));
    changes_sql(w, where, assigned, &sql);
    TRY(duck_exec(conn, text_str(&sql), err));
    TRY(table_rewrite_mark(w, "SELECT freshet_file, freshet_row FROM freshet_changes", &n, err));
    if (n > 0) {
        TRY(result_sql(w, assigned, &rows, &changes, err));
        TRY(table_rewrite_apply(w, text_str(&rows), text_str(&changes), err));
    }
    table_predicate_parameter(w->txn, where->text);
    update_metrics(w, n);
    TRY(table_rewrite_commit(w, "UPDATE", err));
    *updated = n;
out:
    (void)duck_exec(conn, "DROP TABLE IF EXISTS temp.freshet_changes", NULL);
    table_rewrite_close(w);
    text_free(&sql);
    text_free(&rows);
    text_free(&changes);
    return rc;
}
