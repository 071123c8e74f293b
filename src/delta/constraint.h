/* SQL that others left in a table: CHECK constraints, invariants and defaults, written for Spark, evaluated by DuckDB.
 */
#ifndef FRESHET_DELTA_CONSTRAINT_H
#define FRESHET_DELTA_CONSTRAINT_H

#include "delta/schema.h"

/* Spark's quoting as DuckDB's: `name` becomes "name", "text" becomes 'text'. False for what means something else in
 * DuckDB: backslashes in texts, typed literals such as 1L and X'00', comments, unbalanced quotes. */
bool delta_spark_sql(const char *expression, Text *out);

#endif
