/* Making a table, with rows or without: CREATE TABLE, CREATE TABLE AS, CREATE OR REPLACE TABLE; and DROP TABLE. */
#ifndef FRESHET_TABLE_CREATE_H
#define FRESHET_TABLE_CREATE_H

#include "delta/transaction.h"
#include "delta/write.h"

typedef struct TableProperty {
    const char *key, *value;
} TableProperty;

typedef struct TableSpec {
    const DeltaSchema *schema; /* NULL: that of the query */
    const char *query;         /* NULL: an empty table */
    const char *const *partition_columns;
    size_t n_partition_columns;
    const char *const *cluster_columns;
    size_t n_cluster_columns;
    const TableProperty *properties;
    size_t n_properties;
    const char *comment; /* NULL = none */
    bool or_replace;     /* an existing table becomes a new version with this content, its history stays */
    bool must_exist;     /* with or_replace: there is a table to replace */
    bool adopt; /* a table that is there is taken as it is, if it has the columns and partitions that are declared */
    bool if_not_exists; /* an existing table is left alone */
} TableSpec;

/* One commit. *rows: how many were written; -1 when an existing table was left alone. E_DELTA_EXISTS without
 * or_replace, adopt and if_not_exists; E_DELTA_SCHEMA (DELTA_CREATE_TABLE_SCHEME_MISMATCH) when what is there is
 * another table. What is replaced loses its properties and comment, but for those that say how files and rows are
 * stored. */
Status table_create(DeltaTable *table, DuckConn *conn, const TableSpec *spec, int64_t *rows, Error *err);

/* Takes the table away: its log first, in one rename, then every file below its folder. `files` = false leaves the
 * folder (a table that was given a LOCATION belongs to whoever gave it). */
Status table_drop(DeltaTable *table, bool files, Error *err);

#endif
