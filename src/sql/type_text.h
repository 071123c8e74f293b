/* Types as Delta, Spark and DuckDB users spell them, as DuckDB spells them.
 *
 * A name means what it means to DuckDB: TIMESTAMP has no time zone, TIMESTAMPTZ is Delta's timestamp. Spark's own names
 * are added to that: STRING, LONG, BYTE, SHORT, BINARY, TIMESTAMP_NTZ, TIMESTAMP_LTZ, ARRAY<T>, MAP<K, V>, STRUCT<a: T,
 * b T NOT NULL COMMENT 'x'>.
 */
#ifndef FRESHET_SQL_TYPE_TEXT_H
#define FRESHET_SQL_TYPE_TEXT_H

#include "base/error.h"
#include "base/text.h"

/* Appends the type as DuckDB has it: "STRUCT("a" BIGINT, "b" VARCHAR[])". Members keep their spelling; NOT NULL and
 * COMMENT of members are dropped. A name that is not known here (an enum or alias of the session) is passed on in
 * quotes. E_SQL_PARSE without place for a text that is no type; `out` is untouched then. */
Status sql_type_normalize(const char *type, Text *out, Error *err);

#endif
