/* ALTER TABLE inside: the change that is being made. */
#ifndef FRESHET_TABLE_ALTER_INT_H
#define FRESHET_TABLE_ALTER_INT_H

#include "table/alter.h"

typedef struct Alter {
    const TableAlter *is;
    DuckConn *conn;
    Arena *arena;
    DeltaSnapshot *snapshot;
    DeltaTransaction *txn;
    const DeltaSchema *schema; /* as it is; borrowed from the snapshot */
    bool nothing;              /* IF [NOT] EXISTS, or all is as wished already: no commit */
} Alter;

/* Counts rows for which the condition is not true. The transaction has then read the table. */
Status alter_count_violations(Alter *a, const char *condition, int64_t *n, Error *err);

/* alter_column.c: what each kind does to columns. */
Status alter_add_columns(Alter *a, Error *err);
Status alter_rename_column(Alter *a, Error *err);
Status alter_drop_columns(Alter *a, Error *err);
Status alter_column_comment(Alter *a, Error *err);
Status alter_column_place(Alter *a, Error *err);
Status alter_column_default(Alter *a, Error *err);
Status alter_column_type(Alter *a, Error *err);
Status alter_column_change(Alter *a, Error *err);
Status alter_replace_columns(Alter *a, Error *err);
Status alter_column_nullable(Alter *a, bool nullable, Error *err);

#endif
