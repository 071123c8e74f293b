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

/* Who reads: a session, a view that is refreshed, the static side of a flow. */
typedef struct RelationReader {
    Duck *duck;
    DuckConn *conn; /* relation_table: may be NULL */
    Warehouse *warehouse;
    const char *schema;  /* where names without a schema are; NULL: default */
    const SqlText *text; /* what the relation's span is in */
} RelationReader;

/* How a relation is to be read; all zero: all of it, at its newest or the version it names. */
typedef struct RelationAsk {
    const char *pinned; /* "<tableId>@<version>" as it was given before; NULL: none */
    const SqlPredicate *predicates;
    size_t n_predicates; /* they only skip files */
} RelationAsk;

/* Is this plain name a table of the warehouse? */
bool relation_is_table(Warehouse *warehouse, const char *schema, const char *name);

/* *pin (may be NULL): a text that changes whenever the content may have changed: "<tableId>@<version>" for tables, the
 * listing for files. */
Status relation_resolve(const RelationReader *reader, const SqlRelation *relation, const RelationAsk *ask,
                        StreamRelation *out, char **pin, Error *err);
/* A newest or older table of which little is needed. `first_rows` < 0: the number of its rows, as so many rows without
 * a value, and no file is opened; else any rows, at least so many. out->sql is NULL when statistics do not tell enough
 * for that: then it has to be resolved as a whole. */
Status relation_resolve_little(const RelationReader *reader, const SqlRelation *relation, int64_t first_rows,
                               StreamRelation *out, Error *err);
/* The table a NAME or PATH relation means; E_DELTA_NOT_A_TABLE with the nearest names as hint when there is none. */
Status relation_table(const RelationReader *reader, const SqlRelation *relation, DeltaTable **out, Error *err);

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
