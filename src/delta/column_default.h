/* Columns that get their values by themselves: defaults, generated columns and identity columns (Delta protocol,
 * Default Columns, Generated Columns, Identity Columns).
 *
 *   default     metadata CURRENT_DEFAULT, SQL of Spark's: what a column is when a statement does not give it
 *   generated   metadata delta.generationExpression, SQL over the same row: computed when not given, else compared
 *   identity    metadata delta.identity.{start,step,highWaterMark,allowExplicitInsert}: start + k * step, beyond the
 *               high-water mark; commits that use numbers move the mark in the schema
 *
 * Numbers are handed out by a temporary sequence of the connection, so that all threads of a query may take some. It is
 * made when a statement is about to need numbers, and read and dropped when its rows are written. Numbers that end in
 * no row are gaps, which the protocol allows.
 */
#ifndef FRESHET_DELTA_COLUMN_DEFAULT_H
#define FRESHET_DELTA_COLUMN_DEFAULT_H

#include "delta/transaction.h"

/* ---- what a column is ---- */

/* The expression, in `arena`; NULL when it has none. */
const char *delta_column_default(Arena *arena, const DeltaField *field);
const char *delta_generation_expression(Arena *arena, const DeltaField *field);
bool delta_is_identity(const DeltaField *field);
/* The metadata entries of an identity column. */
void delta_identity_metadata(int64_t start, int64_t step, bool always, Text *out);

/* May a table be made with the column, or with all columns of the schema? E_DELTA_SCHEMA or E_DELTA_PROTOCOL_WRITE
 * names the column whose expression is not understood, needs columns it must not, or would mean something else to
 * Spark. */
Status delta_check_default(DuckConn *conn, const DeltaField *field, Error *err);
Status delta_check_columns(DuckConn *conn, const DeltaSchema *schema, const char *const *partition_columns, size_t n,
                           Error *err);

/* ---- writing ---- */

/* Appends a query of the schema's columns, those of `query`, cast, and for the others what they are by themselves, and
 * then of the columns named in `extra` (NULL: none), which are no columns of the table. `evolved`: as
 * delta_schema_reconcile. */
Status delta_rows_sql(DuckConn *conn, const DeltaSchema *schema, const char *query, const char *const *extra,
                      DeltaMerge merge, Text *out, DeltaSchema **evolved, Error *err);
/* Appends what column `field` is when a statement does not give it, as one expression; for generated columns, which
 * need the rest of the row, that is NULL: delta_rows_sql computes them when they are left out. */
Status delta_column_value_sql(DuckConn *conn, const DeltaField *field, Text *out, Error *err);
/* Appends the condition under which a row's value is the one of the generated column; nothing for other columns. */
Status delta_generated_check_sql(DuckConn *conn, const DeltaSchema *schema, const DeltaField *field, Text *out,
                                 Error *err);

/* E_DELTA_SCHEMA (DELTA_IDENTITY_COLUMNS_EXPLICIT_INSERT_NOT_SUPPORTED) when new rows bring values for a column that is
 * GENERATED ALWAYS AS IDENTITY: the field alone, or all columns of a query. */
Status delta_identity_check_given(const DeltaField *field, Error *err);
Status delta_identity_check_query(DuckConn *conn, const DeltaSchema *schema, const char *query, Error *err);
/* The schema with the high-water marks of `now` where these are further: numbers are not given out again when a table
 * goes back to an older version. */
Status delta_identity_keep_marks(const DeltaSchema *schema, const DeltaSchema *now, DeltaSchema **out, Error *err);
/* Moves the high-water marks to the numbers this connection has handed out since. */
Status delta_identity_advance(DeltaTransaction *txn, DuckConn *conn, Error *err);

#endif
