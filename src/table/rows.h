/* Rows of a table as SQL: relations to bind against, and queries brought to the table's exact columns. */
#ifndef FRESHET_TABLE_ROWS_H
#define FRESHET_TABLE_ROWS_H

#include "delta/scan.h"
#include "duck/type.h"

/* Appends a relation without rows that has the schema's columns. */
void table_rows_shape(const DeltaSchema *schema, Text *out);
/* Appends the query with every column of the schema, in its order and of its types, and those named in `extra` behind
 * (ends with NULL; NULL: none); columns the query lacks get their default, or are computed. E_DELTA_SCHEMA when a value
 * cannot be stored in its column. */
Status table_rows_cast(DuckConn *conn, const DeltaSchema *schema, const char *query, const char *const *extra,
                       Text *out, Error *err);
/* Appends what a column is when a statement does not give it: its default, the next number of an identity column, or
 * NULL, of its type. E_DELTA_PROTOCOL_WRITE for a default that DuckDB cannot read. */
Status table_rows_default(DuckConn *conn, const DeltaField *field, Text *out, Error *err);
/* Is the column computed from others, when a row is given without it? */
bool table_rows_is_generated(const DeltaField *field);
/* Appends an expression without a type of its own, NULL or text in quotes, as one of the column's type. */
void table_rows_typed(const DeltaField *field, const char *expression, Text *out);
/* Column by name without case; E_DELTA_SCHEMA with the nearest name as hint. */
Status table_rows_column(const DeltaSchema *schema, const char *name, size_t *index, Error *err);

#endif
