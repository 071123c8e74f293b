/* What stands where a table stands in a query that is not a stream: a table at its newest or an older version, files,
 * changes.
 *
 * One resolved relation is a sub-query and what it depends on. Used by questions, materialized views and the static
 * sides of streams.
 */
#ifndef FRESHET_SESSION_RELATION_H
#define FRESHET_SESSION_RELATION_H

#include "delta/scan.h"
#include "sql/query.h"
#include "stream/source.h"
#include "table/warehouse.h"

/* Is this plain name a table of the warehouse? The SqlResolver for sessions: context is the Warehouse. */
bool relation_is_table(void *warehouse, const char *schema, const char *name);

/* `pinned`: NULL = newest (or what VERSION/TIMESTAMP AS OF says); else "<tableId>@<version>" as it was given before.
 * *pin (may be NULL): a text that changes whenever the content may have changed: "<tableId>@<version>" for tables, the
 * listing for files. `predicates` only skip files. */
Status relation_resolve(Duck *duck, DuckConn *conn, Warehouse *warehouse, const SqlText *text,
                        const SqlRelation *relation, const char *pinned, const SqlPredicate *predicates,
                        size_t n_predicates, StreamRelation *out, char **pin, Error *err);
/* A newest or older table of which little is needed. `first_rows` < 0: the number of its rows, as so many rows without
 * a value, and no file is opened; else any rows, at least so many. out->sql is NULL when statistics do not tell enough
 * for that: then it has to be resolved as a whole. */
Status relation_resolve_little(Duck *duck, DuckConn *conn, Warehouse *warehouse, const SqlText *text,
                               const SqlRelation *relation, int64_t first_rows, StreamRelation *out, Error *err);
/* The table a NAME or PATH relation means; E_DELTA_NOT_A_TABLE with the nearest names as hint when there is none. */
Status relation_table(Duck *duck, Warehouse *warehouse, const SqlText *text, const SqlRelation *relation,
                      DeltaTable **out, Error *err);

/* The nearest table of the warehouse as the error's hint; where there is none the warehouse itself. `wanted`: with its
 * schema where one was given. */
void relation_hint_nearest(Warehouse *warehouse, const char *wanted, Error *err);
/* The name of which DuckDB says that no table has it, in `arena`; NULL for any other error. The nearest name that
 * DuckDB knows is never one of ours. */
const char *relation_unknown_table(const Error *err, Arena *arena);

/* The moment a constant expression means, in ms. */
Status relation_time(DuckConn *conn, const char *expression, int64_t *ms, Error *err);

/* The predicates of a query as those of a scan, in `arena`. */
DeltaPredicate *relation_predicates(Arena *arena, const SqlPredicate *predicates, size_t n);

/* SqlOptions as StreamOptions with their places. */
StreamOption *relation_options(Arena *arena, const SqlText *text, const SqlOption *options, size_t n);

#endif
