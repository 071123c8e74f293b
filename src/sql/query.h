/* A query as the user wrote it, cut into what DuckDB understands and the relations that freshet provides.
 *
 * The lexer finds every place where a table may stand (after FROM, JOIN, a comma of FROM, SUMMARIZE, ...) and what
 * stands there: a name, delta.`uri`, a function such as read_files(...), with STREAM, WITH (...), WATERMARK, time
 * travel and alias. Each relation that freshet provides becomes a placeholder name in the rewritten text; the caller
 * creates a (temporary) view of that name, or inlines a sub-query, before it runs the text. Names that are CTEs of the
 * statement or that the caller does not know stay as they are, for DuckDB. Back-quoted names become double-quoted ones;
 * `window(` and session_window( become "window"( ... (for the stateful planner).
 */
#ifndef FRESHET_SQL_QUERY_H
#define FRESHET_SQL_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "duck/duck.h"
#include "sql/source_text.h"

typedef enum SqlRelationKind {
    SQL_RELATION_NAME,     /* name, schema.name */
    SQL_RELATION_PATH,     /* delta.`uri` */
    SQL_RELATION_FUNCTION, /* read_files(...), table_changes(...), state(...): those in SQL_TABLE_FUNCTIONS */
} SqlRelationKind;

/* key = value of WITH (...), or key => value / positional (key NULL) of a function. Values are literals: text holds the
 * value without quotes; a list ['a','b'] keeps its SQL text and has is_list set. */
typedef struct SqlOption {
    const char *key;
    const char *value;
    bool is_string, is_list;
    SqlSpan span;
} SqlOption;

typedef struct SqlRelation {
    SqlRelationKind kind;
    bool stream;
    const char *schema; /* NAME: NULL when not given */
    const char *name;   /* NAME: the name; PATH: the uri; FUNCTION: the function, lower case */
    const SqlOption *arguments;
    size_t n_arguments;
    const SqlOption *options; /* WITH (...) */
    size_t n_options;
    const char *version_as_of;   /* literal text or NULL; name@v5 is the same */
    const char *timestamp_as_of; /* SQL text of the expression (evaluated by the caller) or NULL */
    const char *watermark_expression, *watermark_alias; /* SQL text; NULL without WATERMARK */
    int64_t watermark_delay_us;
    bool metadata;           /* a column _metadata that no `*` shows; of tables: only when a caller says so */
    const char *alias;       /* as written, or the last part of a name; what qualified columns use */
    const char *placeholder; /* stands in the rewritten text: "freshet_relation_0", ... unique in the query */
    SqlSpan span;            /* in the original text */
} SqlRelation;

typedef struct SqlQuery SqlQuery;

/* Decides whether a plain name is one of ours; called once per name. NULL resolver: only STREAM x, paths, functions and
 * time travel are. */
typedef bool (*SqlResolver)(void *context, const char *schema, const char *name);

/* Rewrites `span` of `text` (one statement or sub-query of any kind: SELECT, COPY, EXPLAIN, CREATE TEMP TABLE AS ...).
 * Fails with E_SQL_PARSE for a malformed clause of ours. The query owns an arena; free it with sql_query_free. The text
 * must outlive the query. Comments and ';' at the end are left out. */
Status sql_query_rewrite(const SqlText *text, SqlSpan span, SqlResolver resolver, void *context, SqlQuery **out,
                         Error *err);
void sql_query_free(SqlQuery *query);

const char *sql_query_text(const SqlQuery *query); /* the rewritten statement, no final ';' */
size_t sql_query_relations(const SqlQuery *query, const SqlRelation **relations);
/* The rewritten text with each placeholder i replaced by `replacement[i]` (NULL keeps the placeholder). For inlining
 * views: "(SELECT ...)". An alias is there already wherever one is needed. */
void sql_query_inline(const SqlQuery *query, const char *const *replacement, Text *out);
/* Moves an error of DuckDB (byte offset into sql_query_text, see duck_error_position; -1 when unknown) to the user's
 * text, and puts the user's names in the place of placeholders in its message. */
void sql_query_place(const SqlQuery *query, int64_t offset, Error *err);

/* The rows of relation i have a column _metadata besides their own: from now on it is not among what a `*` of the text
 * stands for. Before sql_query_replace and its like. */
Status sql_query_hide_metadata(SqlQuery *query, size_t relation, Error *err);
/* `why` is what sql_query_place says when DuckDB knows no column _metadata. */
void sql_query_lacks_metadata(SqlQuery *query, const Error *why);

/* ---- what a query does: walks over DuckDB's own syntax tree ---- */

typedef struct SqlQueryFacts {
    bool uses_time;   /* current_timestamp and its kin */
    bool uses_random; /* random(), uuid(), ... */
} SqlQueryFacts;

/* The query must be one SELECT: E_SQL_PARSE otherwise. */
Status sql_query_facts(DuckConn *conn, const SqlQuery *query, SqlQueryFacts *out, Error *err);

/* Replaces every time function in the query's text (now(), current_timestamp, today(), age(x), ...: functions.def) by
 * an expression of the same type over the batch's time, getvariable('freshet_batch_time'), a TIMESTAMPTZ. Errors still
 * find their place (sql_query_place). A column that is nothing but such a call keeps its name. `current_date` and its
 * like without brackets mean the time even when a table has a column of that name, which then needs quotes. */
Status sql_query_fix_time(DuckConn *conn, SqlQuery *query, Error *err);

/* Conjuncts of WHERE that compare a plain column of relation i with a constant, usable to skip files: written as SQL
 * over the bare column name. Conservative: only when every row that the relation contributes must satisfy them (not
 * below an outer join's null-supplying side, not under OR, not in a sub-query of another relation).
 *
 * The tree knows no schema, so the caller checks two things: a path that is no column of the relation is to be ignored
 * (it may be an alias of the select list or a column of an outer query), and so is a value whose type does not compare
 * in the column's own order (a VARCHAR column with a number: DuckDB casts the column, whose minimum as text says
 * nothing then). */
typedef enum SqlCompare { SQL_EQ, SQL_LT, SQL_LE, SQL_GT, SQL_GE, SQL_IS_NULL, SQL_IS_NOT_NULL, SQL_IN } SqlCompare;
typedef struct SqlPredicate {
    const char *const *column; /* path of names: {"s","x"} or {"id"} */
    size_t n_column;
    SqlCompare compare;
    const char *const *values; /* SQL text of constants (no columns, no sub-query, deterministic); IN: several */
    size_t n_values;
} SqlPredicate;
Status sql_query_predicates(DuckConn *conn, const SqlQuery *query, size_t relation, Arena *arena, SqlPredicate **out,
                            size_t *n, Error *err);

/* Is this SELECT count(*) FROM its only relation, without a condition or anything else? Then the number of rows is all
 * that it needs of the relation. */
bool sql_query_only_counts(DuckConn *conn, const SqlQuery *query);
/* Is this SELECT columns FROM its only relation LIMIT n [OFFSET m], and nothing else? Then any n + m rows of the
 * relation do; -1 when it is not. */
int64_t sql_query_first_rows(DuckConn *conn, const SqlQuery *query);

#endif
