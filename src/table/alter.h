/* ALTER TABLE: columns, properties and constraints of a table. */
#ifndef FRESHET_TABLE_ALTER_H
#define FRESHET_TABLE_ALTER_H

#include "delta/schema.h"
#include "delta/transaction.h"
#include "table/create.h"

typedef enum TableAlterKind {
    TABLE_ALTER_ADD_COLUMNS,
    TABLE_ALTER_COLUMN_TYPE,
    TABLE_ALTER_COLUMN_COMMENT,
    TABLE_ALTER_COLUMN_NOT_NULL,
    TABLE_ALTER_COLUMN_NULLABLE,
    TABLE_ALTER_PROPERTIES,
    TABLE_ALTER_ADD_CONSTRAINT,
    TABLE_ALTER_DROP_CONSTRAINT,
} TableAlterKind;

typedef struct TableAlter {
    TableAlterKind kind;
    const DeltaSchema *columns; /* ADD_COLUMNS; COLUMN_TYPE: one column with the new type */
    const char *name;           /* of the column or constraint */
    const char *comment, *condition;
    const TableProperty *properties; /* value NULL: unset */
    size_t n_properties;
    bool if_exists, if_not_exists;
} TableAlter;

/* One commit, none when IF [NOT] EXISTS leaves nothing to do. A constraint or NOT NULL is first held against the rows
 * that are there (E_DELTA_CONSTRAINT, E_DELTA_NOT_NULL). A type only becomes a wider one, in tables with
 * delta.enableTypeWidening. */
Status table_alter(DeltaTable *table, DuckConn *conn, const TableAlter *alter, Error *err);

#endif
