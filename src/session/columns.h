/* Columns as CREATE TABLE declares them, as a Delta schema. */
#ifndef FRESHET_SESSION_COLUMNS_H
#define FRESHET_SESSION_COLUMNS_H

#include "delta/schema.h"
#include "duck/duck.h"
#include "sql/statement.h"

/* Types are DuckDB's or the spellings of Delta; NOT NULL, COMMENT, DEFAULT and GENERATED are kept; their
 * expressions are checked where a table is made of them. Errors stand at the column. */
Status columns_schema(DuckConn *conn, const SqlText *text, const SqlColumn *columns, size_t n, DeltaSchema **out,
                      Error *err);

#endif
