/* What a table says about itself, as SQL that gives the rows: DESCRIBE HISTORY, DESCRIBE DETAIL, SHOW TBLPROPERTIES,
 * SHOW CREATE TABLE. */
#ifndef FRESHET_TABLE_DESCRIBE_H
#define FRESHET_TABLE_DESCRIBE_H

#include "delta/table.h"

/* Each appends a SELECT with Spark's column names. */
Status table_history_sql(DeltaTable *table, int64_t limit, Text *sql, Error *err);
Status table_detail_sql(DeltaTable *table, DuckConn *conn, Text *sql, Error *err);
Status table_properties_sql(DeltaTable *table, DuckConn *conn, Text *sql, Error *err);
/* The CREATE TABLE statement, as a row of one column createtab_stmt. */
Status table_definition_sql(DeltaTable *table, DuckConn *conn, const char *name, Text *sql, Error *err);

/* DESCRIBE TABLE [EXTENDED]: col_name, data_type, comment as Spark shows them, then partitioning and, extended, what
 * the table `name` is. */
Status table_columns_sql(DeltaTable *table, DuckConn *conn, const char *name, bool extended, Text *sql, Error *err);

#endif
