/* ALTER TABLE: columns, properties and constraints of a table. */
#ifndef FRESHET_TABLE_ALTER_H
#define FRESHET_TABLE_ALTER_H

#include "delta/schema_edit.h"
#include "delta/transaction.h"
#include "table/create.h"

typedef enum TableAlterKind {
    TABLE_ALTER_ADD_COLUMNS,
    TABLE_ALTER_COLUMN_TYPE,
    TABLE_ALTER_COLUMN_COMMENT,
    TABLE_ALTER_COLUMN_NOT_NULL,
    TABLE_ALTER_COLUMN_NULLABLE,
    TABLE_ALTER_COLUMN_PLACE,
    TABLE_ALTER_COLUMN_DEFAULT,
    TABLE_ALTER_COLUMN_NO_DEFAULT,
    TABLE_ALTER_COLUMN_CHANGE,
    TABLE_ALTER_RENAME_COLUMN,
    TABLE_ALTER_DROP_COLUMNS,
    TABLE_ALTER_REPLACE_COLUMNS,
    TABLE_ALTER_PROPERTIES,
    TABLE_ALTER_ADD_CONSTRAINT,
    TABLE_ALTER_DROP_CONSTRAINT,
    TABLE_ALTER_CLUSTER_BY,
} TableAlterKind;

typedef struct TableAlter {
    TableAlterKind kind;
    const DeltaPath *paths;   /* of the columns; CLUSTER_BY: none ends it */
    const DeltaPlace *places; /* ADD_COLUMNS, COLUMN_PLACE, COLUMN_CHANGE: one per path */
    size_t n_paths;
    /* ADD_COLUMNS, REPLACE_COLUMNS: one per path; COLUMN_TYPE, COLUMN_CHANGE: one column with the new type. */
    const DeltaSchema *columns;
    const char *name;                             /* of the constraint; the new one of RENAME_COLUMN */
    const char *comment, *condition, *expression; /* the latter two as written, in Spark's SQL */
    const TableProperty *properties;              /* value NULL: unset */
    size_t n_properties;
    bool if_exists, if_not_exists;
} TableAlter;

/* One commit, none when IF [NOT] EXISTS leaves nothing to do. A constraint or NOT NULL is first held against the rows
 * that are there (E_DELTA_CONSTRAINT, E_DELTA_NOT_NULL). A type only becomes a wider one, in tables with
 * delta.enableTypeWidening. Columns are renamed and dropped only where column mapping makes that a matter of metadata,
 * and not while a constraint or a generated column needs them. */
Status table_alter(DeltaTable *table, DuckConn *conn, const TableAlter *alter, Error *err);

#endif
