/* The bodies of ALTER TABLE, RESTORE, CLONE and CONVERT TO DELTA: what stands behind the name of the table. */
#ifndef FRESHET_SQL_STATEMENT_ALTER_H
#define FRESHET_SQL_STATEMENT_ALTER_H

#include "sql/statement.h"

typedef enum SqlAlterKind {
    SQL_ALTER_ADD_COLUMNS,       /* ADD COLUMN[S] path type ... [FIRST | AFTER name], ... or in brackets */
    SQL_ALTER_COLUMN_TYPE,       /* ALTER|CHANGE COLUMN path TYPE type */
    SQL_ALTER_COLUMN_COMMENT,    /* ALTER COLUMN path COMMENT 'text' */
    SQL_ALTER_COLUMN_NOT_NULL,   /* ALTER COLUMN path SET NOT NULL */
    SQL_ALTER_COLUMN_NULLABLE,   /* ALTER COLUMN path DROP NOT NULL */
    SQL_ALTER_COLUMN_PLACE,      /* ALTER COLUMN path FIRST | AFTER name */
    SQL_ALTER_COLUMN_DEFAULT,    /* ALTER COLUMN path SET DEFAULT expression */
    SQL_ALTER_COLUMN_NO_DEFAULT, /* ALTER COLUMN path DROP DEFAULT */
    SQL_ALTER_COLUMN_CHANGE, /* CHANGE [COLUMN] path name type [COMMENT 'text'] [FIRST | AFTER name], as Hive has it */
    SQL_ALTER_RENAME_COLUMN, /* RENAME COLUMN path TO name */
    SQL_ALTER_DROP_COLUMNS,  /* DROP COLUMN[S] [IF EXISTS] path, ... or in brackets */
    SQL_ALTER_REPLACE_COLUMNS,  /* REPLACE COLUMNS (name type ..., ...) */
    SQL_ALTER_SET_PROPERTIES,   /* SET TBLPROPERTIES (key = value, ...) */
    SQL_ALTER_UNSET_PROPERTIES, /* UNSET TBLPROPERTIES [IF EXISTS] (key, ...) */
    SQL_ALTER_ADD_CONSTRAINT,   /* ADD CONSTRAINT name CHECK (condition) */
    SQL_ALTER_DROP_CONSTRAINT,  /* DROP CONSTRAINT [IF EXISTS] name */
    SQL_ALTER_CLUSTER_BY,       /* CLUSTER BY (path, ...) | NONE */
    SQL_ALTER_DROP_FEATURE,     /* DROP FEATURE name [TRUNCATE HISTORY] */
    SQL_ALTER_RENAME_TABLE,     /* RENAME TO name */
} SqlAlterKind;

/* a, a.b, a.element.b: the names of a column and of fields inside it */
typedef struct SqlPath {
    const char *const *parts;
    size_t n;
    bool first;        /* ADD COLUMNS, COLUMN_PLACE: FIRST */
    const char *after; /* AFTER name; NULL without */
} SqlPath;

typedef struct SqlAlter {
    SqlAlterKind kind;
    const SqlPath *paths; /* of the columns that are added, altered, renamed, dropped or clustered by */
    size_t n_paths;
    const SqlColumn
        *columns; /* ADD, REPLACE COLUMNS: one per path; COLUMN_TYPE, COLUMN_CHANGE: one with the new type */
    size_t n_columns;
    const char *name; /* of the constraint or feature; the new one of RENAME COLUMN */
    const char *comment, *condition, *expression;
    const SqlOption *properties;
    size_t n_properties;
    bool if_exists; /* of the property, constraint or column */
    bool if_not_exists;
    bool truncate_history;
} SqlAlter;

/* Reads text[span]. E_SQL_PARSE with its place. */
Status sql_alter_parse(const SqlText *text, SqlSpan span, Arena *arena, SqlAlter *out, Error *err);

/* [TO] VERSION AS OF n, [TO] TIMESTAMP AS OF expression: one of both is set, as text. */
typedef struct SqlRestore {
    const char *version, *timestamp;
} SqlRestore;
Status sql_restore_parse(const SqlText *text, SqlSpan span, Arena *arena, SqlRestore *out, Error *err);

/* {DEEP | SHALLOW} CLONE source [VERSION | TIMESTAMP AS OF x] [TBLPROPERTIES (...)] [LOCATION 'uri']; CLONE alone is
 * deep. LIKE source [USING DELTA] [TBLPROPERTIES (...)] [LOCATION 'uri']: the same without rows. */
typedef struct SqlClone {
    bool shallow, like;
    SqlName source;
    SqlRestore at; /* neither: the newest version */
    const SqlOption *properties;
    size_t n_properties;
    const char *location; /* NULL when absent */
} SqlClone;
Status sql_clone_parse(const SqlText *text, SqlSpan span, Arena *arena, SqlClone *out, Error *err);

/* [NO STATISTICS] [PARTITIONED BY (column type, ...)] of CONVERT TO DELTA. */
Status sql_convert_parse(const SqlText *text, SqlSpan span, Arena *arena, const SqlColumn **partitions, size_t *n,
                         Error *err);

#endif
