/* Inside of columns with values of their own: what column_default.c, generated.c and identity.c share. */
#ifndef FRESHET_DELTA_COLUMN_DEFAULT_INT_H
#define FRESHET_DELTA_COLUMN_DEFAULT_INT_H

#include "delta/column_default.h"

#define DELTA_CURRENT_DEFAULT "CURRENT_DEFAULT"
#define DELTA_GENERATION      "delta.generationExpression"

/* Can the expression be evaluated over no rows of the columns (but for `without`), and be cast to `type`? `why` may be
 * NULL. */
bool delta_expression_binds(DuckConn *conn, const DeltaField *fields, size_t n, const DeltaField *without,
                            const char *sql, const DeltaType *type, Error *why);
/* E_DELTA_PROTOCOL_WRITE: "the <what> of column ... cannot be evaluated". `why`: what DuckDB says of it; NULL or not set:
 * it may mean something else to Spark. */
Status delta_expression_refuse(const DeltaField *field, const char *what, const char *expression, const Error *why,
                               Error *err);

/* generated.c: the expression as DuckDB reads it, in `arena`; and whether a table may be made with it. */
Status delta_generated_sql(DuckConn *conn, const DeltaSchema *schema, const DeltaField *field, Arena *arena,
                           const char **out, Error *err);
Status delta_generated_check(DuckConn *conn, const DeltaSchema *schema, const DeltaField *field, Error *err);

/* identity.c: appends an expression that gives the next number; and whether a table may be made with the column. */
Status delta_identity_sql(DuckConn *conn, const DeltaField *field, Text *out, Error *err);
Status delta_identity_check(const DeltaField *field, const char *const *partition_columns, size_t n, Error *err);

#endif
