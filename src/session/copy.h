/* COPY (query) TO a Parquet file, for queries whose rows DuckDB cannot write as they are. */
#ifndef FRESHET_SESSION_COPY_H
#define FRESHET_SESSION_COPY_H

#include "base/text.h"
#include "duck/duck.h"

/* DuckDB writes a VARIANT to Parquet only as a column of its own. Where `statement` copies a query with VARIANTs inside
 * of lists, maps or structs to Parquet, *out receives the same statement with those as JSON; else, and when the query
 * cannot be bound, it stays empty. */
void session_copy_variants(DuckConn *conn, const char *statement, Text *out);

#endif
