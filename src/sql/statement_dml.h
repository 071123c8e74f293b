/* The bodies of DELETE, UPDATE and MERGE. They are read from the text that sql_query_rewrite made of the statement,
 * where relations are placeholders already; spans are of that text. */
#ifndef FRESHET_SQL_STATEMENT_DML_H
#define FRESHET_SQL_STATEMENT_DML_H

#include "sql/statement.h"

/* column = value. */
typedef struct SqlAssignment {
    const char *column;      /* without qualification; NULL: INSERT VALUES (...) without columns */
    const char *const *path; /* of a field inside it: column.f.g = value has {"f", "g"} */
    size_t n_path;
    bool is_default; /* DEFAULT instead of a value */
    SqlSpan value;
} SqlAssignment;

typedef enum SqlMergeWhen { SQL_MERGE_MATCHED, SQL_MERGE_NOT_MATCHED, SQL_MERGE_NOT_MATCHED_BY_SOURCE } SqlMergeWhen;
typedef enum SqlMergeAction { SQL_MERGE_UPDATE, SQL_MERGE_DELETE, SQL_MERGE_INSERT } SqlMergeAction;

typedef struct SqlMergeClause {
    SqlMergeWhen when;
    SqlMergeAction action;
    bool all; /* UPDATE SET *, INSERT * */
    bool has_condition;
    SqlSpan condition;
    const SqlAssignment *set;
    size_t n_set;
} SqlMergeClause;

typedef struct SqlDml {
    const char *alias; /* of the target; its name when none is given */
    bool has_where;
    SqlSpan where;
    const SqlAssignment *set; /* UPDATE */
    size_t n_set;
    SqlSpan source; /* MERGE: what stands behind USING, alias included */
    const char *source_alias;
    SqlSpan on;
    const SqlMergeClause *clauses;
    size_t n_clauses;
    bool evolve; /* MERGE WITH SCHEMA EVOLUTION */
} SqlDml;

/* Reads a whole statement of `kind` (SQL_DELETE, SQL_UPDATE, SQL_MERGE). E_SQL_PARSE has its place in `text`. */
Status sql_dml_parse(const SqlText *text, SqlStatementKind kind, Arena *arena, SqlDml *out, Error *err);

#endif
