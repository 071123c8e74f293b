/* Partition values: texts in the log, typed values in SQL (Delta protocol, Partition Value Serialization).
 *
 * The log keeps every value as a text; NULL, and the empty text for every type, mean NULL.
 */
#ifndef FRESHET_DELTA_PARTITION_H
#define FRESHET_DELTA_PARTITION_H

#include "delta/action.h"
#include "delta/schema.h"

/* Can a column of this type partition a table? */
bool delta_partition_can(const DeltaType *type);

/* Checks a value of the log against its column's type and appends it in the form that DuckDB's cast reads the same way
 * in every session: instants get their zone, which is UTC where the log has none. E_DELTA_CORRUPT when it is not of the
 * type. *is_null: the value means NULL, nothing is appended. */
Status delta_partition_text(const DeltaType *type, const char *value, Text *out, bool *is_null, Error *err);

/* Appends the SQL that casts `expression`, a text made by delta_partition_text, to the column's type. */
void delta_partition_cast_sql(const DeltaType *type, const char *expression, Text *out);

/* Appends the SQL that turns the typed `expression` into the log's text; the empty text becomes NULL. */
void delta_partition_value_sql(const DeltaType *type, const char *expression, Text *out);

/* Appends the SQL that reads `expression`, a text as it stands in the log, as a typed value for skipping files; NULL
 * when it is not one (or is the empty text). */
void delta_partition_try_sql(const DeltaType *type, const char *expression, Text *out);

#endif
