/* MERGE INTO: rows of a source folded into a table. */
#ifndef FRESHET_TABLE_MERGE_H
#define FRESHET_TABLE_MERGE_H

#include "table/delete.h"

typedef enum TableMergeWhen {
    TABLE_MERGE_MATCHED,
    TABLE_MERGE_NOT_MATCHED,
    TABLE_MERGE_NOT_MATCHED_BY_SOURCE
} TableMergeWhen;
typedef enum TableMergeAction { TABLE_MERGE_UPDATE, TABLE_MERGE_DELETE, TABLE_MERGE_INSERT } TableMergeAction;

typedef struct TableMergeClause {
    TableMergeWhen when;
    TableMergeAction action;
    const char *condition; /* SQL; NULL = none */
    /* UPDATE SET *, INSERT *: every column from the source's of that name. With `evolve` those that the source lacks
     * keep their value, or get their default. */
    bool all;
    const TableAssignment *set; /* of INSERT: column NULL = the one at this position */
    size_t n_set;
} TableMergeClause;

typedef struct TableMerge {
    const char *source;              /* SQL behind FROM: a name, (SELECT ...), with or without alias */
    const char *source_alias;        /* how columns of the source are qualified */
    TableCondition on;               /* over both; predicates: what it demands of the target alone */
    const TableMergeClause *clauses; /* per kind the first that fits a row decides */
    size_t n_clauses;
    /* WITH SCHEMA EVOLUTION: columns and fields of the source that a clause gives and the table lacks are added. */
    bool evolve;
} TableMerge;

typedef struct TableMergeResult {
    int64_t source_rows, inserted, updated, deleted;
} TableMergeResult;

/* One commit, none when nothing changes. The source is read once. E_DELTA_MERGE_MATCHES when several source rows match
 * one row of the target, unless the only WHEN MATCHED clause is a DELETE without condition; with nothing but WHEN
 * MATCHED clauses only pairs count that one of them takes. */
Status table_merge(DeltaTable *table, DuckConn *conn, const TableMerge *merge, TableMergeResult *result, Error *err);

#endif
