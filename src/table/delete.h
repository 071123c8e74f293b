/* Rows out of a table, and rows changed in place: DELETE FROM, UPDATE. */
#ifndef FRESHET_TABLE_DELETE_H
#define FRESHET_TABLE_DELETE_H

#include "table/rewrite.h"

/* One commit, none when no row matches. A condition that is NULL for a row leaves it. A condition over partition
 * columns alone, or none, reads no data file. *deleted: rows, -1 when whole files went and the log does not say how
 * many they held. */
Status table_delete(DeltaTable *table, DuckConn *conn, const TableCondition *where, int64_t *deleted, Error *err);

typedef struct TableAssignment {
    const char *column;
    const char *const *path; /* the field that is assigned inside the column: c.f.g has {"f", "g"} */
    size_t n_path;           /* 0: the column itself */
    const char *expression;  /* SQL over the old row; NULL: the column's default */
    bool untyped;            /* it holds a NULL or an empty list that DuckDB has no type for */
} TableAssignment;

/* One commit, none when no row matches. All expressions see the row as it was. */
Status table_update(DeltaTable *table, DuckConn *conn, const TableCondition *where, const TableAssignment *set,
                    size_t n_set, int64_t *updated, Error *err);

/* Marks the rows of the scanned files for which the condition is true. Where copies of other rows would hide from the
 * change feed what went, the rows are kept in a temporary table, freshet_changes, and `changes` receives the query that
 * gives them as deletes. */
Status table_delete_mark(TableRewrite *w, const TableCondition *where, int64_t *deleted, Text *changes, Error *err);

/* The condition as commitInfo.operationParameters.predicate has it: ["(...)"] as JSON inside a JSON string. */
void table_predicate_parameter(DeltaTransaction *txn, const char *condition);

#endif
