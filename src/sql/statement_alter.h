/* The bodies of ALTER TABLE, RESTORE and CONVERT TO DELTA: what stands behind the name of the table. */
#ifndef FRESHET_SQL_STATEMENT_ALTER_H
#define FRESHET_SQL_STATEMENT_ALTER_H

#include "sql/statement.h"

typedef enum SqlAlterKind {
    SQL_ALTER_ADD_COLUMNS,      /* ADD COLUMN[S] name type ..., ... or in brackets */
    SQL_ALTER_COLUMN_TYPE,      /* ALTER|CHANGE COLUMN name TYPE type */
    SQL_ALTER_COLUMN_COMMENT,   /* ALTER COLUMN name COMMENT 'text' */
    SQL_ALTER_COLUMN_NOT_NULL,  /* ALTER COLUMN name SET NOT NULL */
    SQL_ALTER_COLUMN_NULLABLE,  /* ALTER COLUMN name DROP NOT NULL */
    SQL_ALTER_RENAME_COLUMN,    /* RENAME COLUMN name TO other */
    SQL_ALTER_DROP_COLUMNS,     /* DROP COLUMN[S] name, ... or in brackets */
    SQL_ALTER_SET_PROPERTIES,   /* SET TBLPROPERTIES (key = value, ...) */
    SQL_ALTER_UNSET_PROPERTIES, /* UNSET TBLPROPERTIES [IF EXISTS] (key, ...) */
    SQL_ALTER_ADD_CONSTRAINT,   /* ADD CONSTRAINT name CHECK (condition) */
    SQL_ALTER_DROP_CONSTRAINT,  /* DROP CONSTRAINT [IF EXISTS] name */
} SqlAlterKind;

typedef struct SqlAlter {
    SqlAlterKind kind;
    const SqlColumn *columns; /* ADD COLUMNS; COLUMN_TYPE: one with the new type */
    size_t n_columns;
    const char *name;         /* of the column or constraint */
    const char *const *names; /* DROP COLUMNS */
    size_t n_names;
    const char *comment, *condition;
    const SqlOption *properties;
    size_t n_properties;
    bool if_exists; /* of the property, constraint or column */
    bool if_not_exists;
} SqlAlter;

/* Reads text[span]. E_SQL_PARSE with its place. */
Status sql_alter_parse(const SqlText *text, SqlSpan span, Arena *arena, SqlAlter *out, Error *err);

/* [TO] VERSION AS OF n, [TO] TIMESTAMP AS OF expression: one of both is set, as text. */
typedef struct SqlRestore {
    const char *version, *timestamp;
} SqlRestore;
Status sql_restore_parse(const SqlText *text, SqlSpan span, Arena *arena, SqlRestore *out, Error *err);

/* [NO STATISTICS] [PARTITIONED BY (column type, ...)] of CONVERT TO DELTA. */
Status sql_convert_parse(const SqlText *text, SqlSpan span, Arena *arena, const SqlColumn **partitions, size_t *n,
                         Error *err);

#endif
