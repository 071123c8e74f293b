/* Columns as users write them in options: schema => 'id BIGINT, at TIMESTAMPTZ', schemaHints => 'day DATE, price.net
 * DECIMAL(10,2)'.
 *
 * Types are DuckDB's; ARRAY<t>, MAP<k, v>, STRUCT<a: t, ...>, TIMESTAMP_NTZ, TIMESTAMP_LTZ and BYTE of Spark are
 * understood too.
 */
#ifndef FRESHET_SOURCE_SCHEMA_TEXT_H
#define FRESHET_SOURCE_SCHEMA_TEXT_H

#include "delta/schema.h"

/* `option` is named in errors (E_STREAM_OPTION). Names of hints may be paths; they are kept as they stand, with the
 * dots. */
Status schema_text_parse(DuckConn *conn, const char *option, const char *text, DeltaSchema **out, Error *err);
/* The schema with the hinted columns in their types, at their place or, where it has none, at the end. */
DeltaSchema *schema_text_apply(const DeltaSchema *schema, const DeltaSchema *hints);

#endif
