/* DuckDB's own syntax tree of a query, as JSON from json_serialize_sql. Inside src/sql only.
 *
 * A node that stands for something the user wrote has "query_location", its byte offset in the rewritten text; nodes
 * that DuckDB made itself have -1 here. Only SELECTs have a tree. The owner has a field "exact": false when integers
 * among the constants are wider than 64 bits and all numbers were therefore read as reals; expressions of such a tree
 * are not printed.
 */
#ifndef FRESHET_SQL_TREE_H
#define FRESHET_SQL_TREE_H

#include "base/json.h"

#include "sql/functions.h"
#include "sql/query_int.h"

/* Parses the rewritten text of `query`. *out is the statement's query node, owned by *owner (json_decref). Errors:
 * E_SQL_PARSE with its place when DuckDB cannot parse it or when it is no single SELECT. */
Status sql_tree_parse(DuckConn *conn, const SqlQuery *query, json_t **owner, const json_t **out, Error *err);
/* The same for a text that stands for itself: *offset is the place of an error in it, -1 when unknown. */
Status sql_tree_parse_text(DuckConn *conn, const char *sql, json_t **owner, const json_t **out, int64_t *offset,
                           Error *err);
/* The text of a query node; NULL locations and all. */
Status sql_tree_print_query(DuckConn *conn, const json_t *query, Arena *arena, const char **out, Error *err);
/* The text of an expression of a tree. */
Status sql_tree_print(DuckConn *conn, const json_t *expression, Arena *arena, const char **out, Error *err);

/* "" when the field is missing or no string. */
const char *sql_tree_string(const json_t *node, const char *key);
bool sql_tree_is(const json_t *node, const char *key, const char *value);
/* True when the field is there, not null and not empty. */
bool sql_tree_has(const json_t *node, const char *key);
/* Byte offset in the rewritten text of the node or the first node inside that has one; -1 when there is none. */
int64_t sql_tree_location(const json_t *node);

/* The time function that an expression node calls, or NULL. A quoted name is a column. */
const SqlTimeFunction *sql_tree_time(const SqlQuery *query, const json_t *node);

#endif
