/* The parsers of statement families. Each gets a cursor that stands on the first word of a statement and ends with it,
 * and a statement whose kind is SQL_QUERY and whose query is all of it. It either leaves it so (DuckDB's), or sets the
 * kind and reads the statement to its end. Inside src/sql only. */
#ifndef FRESHET_SQL_STATEMENT_INT_H
#define FRESHET_SQL_STATEMENT_INT_H

#include "sql/cursor.h"

typedef Status (*SqlParse)(SqlCursor *c, SqlStatement *out, Error *err);

/* statement_create.c */
Status sql_parse_create(SqlCursor *c, SqlStatement *out, Error *err);
Status sql_parse_replace(SqlCursor *c, SqlStatement *out, Error *err);
/* statement_table.c */
Status sql_parse_drop(SqlCursor *c, SqlStatement *out, Error *err);
Status sql_parse_insert(SqlCursor *c, SqlStatement *out, Error *err);
Status sql_parse_delete(SqlCursor *c, SqlStatement *out, Error *err);
Status sql_parse_update(SqlCursor *c, SqlStatement *out, Error *err);
Status sql_parse_merge(SqlCursor *c, SqlStatement *out, Error *err);
Status sql_parse_alter(SqlCursor *c, SqlStatement *out, Error *err);
Status sql_parse_comment(SqlCursor *c, SqlStatement *out, Error *err);
Status sql_parse_describe(SqlCursor *c, SqlStatement *out, Error *err);
Status sql_parse_show(SqlCursor *c, SqlStatement *out, Error *err);
Status sql_parse_use(SqlCursor *c, SqlStatement *out, Error *err);
Status sql_parse_optimize(SqlCursor *c, SqlStatement *out, Error *err);
Status sql_parse_vacuum(SqlCursor *c, SqlStatement *out, Error *err);
Status sql_parse_restore(SqlCursor *c, SqlStatement *out, Error *err);
Status sql_parse_convert(SqlCursor *c, SqlStatement *out, Error *err);
Status sql_parse_set(SqlCursor *c, SqlStatement *out, Error *err);
/* statement_create.c: AUTO CDC INTO ... and APPLY CHANGES INTO ... without CREATE FLOW */
Status sql_parse_auto_cdc(SqlCursor *c, SqlStatement *out, Error *err);

/* statement_clause.c: COMMENT, TBLPROPERTIES, ... in any order, each at most once, as far as `kind` knows them. */
Status sql_parse_clauses(SqlCursor *c, SqlStatement *out, Error *err);
/* The hint for a word that is no clause: the nearest one of this kind of statement. */
void sql_hint_clause(const SqlCursor *c, SqlStatementKind kind, Error *err);
/* ( columns and expectations ); column_list.c */
Status sql_parse_column_list(SqlCursor *c, SqlStatement *out, Error *err);

/* [WITH SCHEMA EVOLUTION] behind INSERT or MERGE; statement_table.c */
Status sql_parse_evolution(SqlCursor *c, bool *out, Error *err);
/* What stands behind a column's name: its type and options, up to a comma, FIRST, AFTER or the end. */
Status sql_parse_column_type(SqlCursor *c, bool typed, SqlColumn *column, Error *err);

/* Sets the query to what is left, which must not be empty. */
Status sql_take_query(SqlCursor *c, SqlStatement *out, Error *err);
/* Sets rest to what is left, which may be empty. */
void sql_take_rest(SqlCursor *c, SqlStatement *out);

/* The name of a schema; `kind` is set unless it is one of another catalog (a.b), which is DuckDB's. */
Status sql_parse_schema_name(SqlCursor *c, SqlStatement *out, SqlStatementKind kind, Error *err);

#endif
