/* What rows have to fulfil to enter a table: NOT NULL, CHECK constraints, invariants, lengths of char and varchar.
 *
 * CHECK constraints and invariants are SQL written for Spark; DuckDB evaluates them. One that DuckDB cannot bind is a
 * reason not to write.
 */
#ifndef FRESHET_DELTA_CONSTRAINT_H
#define FRESHET_DELTA_CONSTRAINT_H

#include "delta/action.h"
#include "delta/schema.h"
#include "duck/duck.h"

/* Spark's quoting as DuckDB's: `name` becomes "name", "text" becomes 'text'. False for what means something else in
 * DuckDB: backslashes in texts, typed literals such as 1L and X'00', comments, unbalanced quotes. */
bool delta_spark_sql(const char *expression, Text *out);

/* The checks of a table over rows with its columns. E_DELTA_PROTOCOL_WRITE names what cannot be evaluated: a constraint
 * or a generated column's expression that DuckDB does not bind. `condition` receives one SQL expression that is true,
 * or raises E_DELTA_NOT_NULL or E_DELTA_CONSTRAINT with the column or constraint and the row; nothing when there is
 * nothing to check. */
Status delta_constraints_sql(DuckConn *conn, const DeltaSchema *schema, const DeltaPair *configuration,
                             size_t n_configuration, Text *condition, Error *err);

/* Registers freshet_refuse, which the condition calls; part of delta_scan_register. */
Status delta_constraints_register(Duck *duck, Error *err);

#endif
