/* Statements: what stands between semicolons, parsed as far as freshet has to understand it. Queries inside stay spans
 * of the text (see query.h). */
#ifndef FRESHET_SQL_STATEMENT_H
#define FRESHET_SQL_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/mem.h"
#include "sql/query.h"
#include "sql/source_text.h"

typedef enum SqlStatementKind {
    SQL_CREATE_STREAMING_TABLE,
    SQL_CREATE_MATERIALIZED_VIEW,
    SQL_CREATE_TEMPORARY_VIEW,
    SQL_CREATE_FLOW, /* see SqlFlowKind; APPLY CHANGES INTO and AUTO CDC INTO without CREATE FLOW too */
    SQL_CREATE_SINK,
    SQL_SET,
    SQL_CREATE_TABLE, /* with or without AS */
    SQL_DROP_TABLE,
    SQL_INSERT, /* INTO | OVERWRITE | INTO ... REPLACE WHERE */
    SQL_DELETE,
    SQL_UPDATE,
    SQL_MERGE,
    SQL_ALTER_TABLE, /* recognised with target; the rest stays text */
    SQL_DESCRIBE_HISTORY,
    SQL_DESCRIBE_DETAIL,
    SQL_DESCRIBE_TABLE, /* DESCRIBE TABLE [EXTENDED] t, DESCRIBE EXTENDED t; DESCRIBE t is DuckDB's */
    SQL_CREATE_SCHEMA,  /* or DATABASE, NAMESPACE; target.schema. One of a catalog (a.b) is DuckDB's */
    SQL_DROP_SCHEMA,
    SQL_USE, /* target.schema */
    SQL_SHOW_SCHEMAS,
    SQL_SHOW_TABLES,
    SQL_SHOW_TBLPROPERTIES,
    SQL_SHOW_CREATE_TABLE,
    SQL_OPTIMIZE,
    SQL_VACUUM,
    SQL_RESTORE,
    SQL_CLONE,
    SQL_CONVERT, /* recognised with target */
    SQL_QUERY,   /* everything else: DuckDB's, after rewriting */
} SqlStatementKind;
const char *sql_statement_name(SqlStatementKind kind); /* "CREATE STREAMING TABLE" */

typedef struct SqlStatement SqlStatement;
/* E_PIPELINE_STATEMENT: wherever a CREATE SINK stands, there is nothing that could run it. */
Status sql_refuse_sink(const SqlText *text, const SqlStatement *statement, Error *err);

/* What a CREATE FLOW does with its rows. Of MERGE and AUTO CDC only target and rest are parsed. */
typedef enum SqlFlowKind { SQL_FLOW_INSERT, SQL_FLOW_MERGE, SQL_FLOW_AUTO_CDC } SqlFlowKind;

typedef struct SqlName {
    const char *schema; /* NULL when not given */
    const char *name;
    const char *path; /* delta.`uri`: the uri, name NULL */
    SqlSpan span;
} SqlName;

/* GENERATED ... AS IDENTITY (START WITH start INCREMENT BY step) */
typedef struct SqlIdentity {
    int64_t start, step;
    bool always; /* values are never given */
} SqlIdentity;

typedef struct SqlColumn {
    const char *name;
    const char *type; /* SQL text as written, NULL when left out (views); see type_text.h. Delta spellings (STRING,
                         LONG, TIMESTAMP_NTZ, ARRAY<...>, MAP<k,v>, STRUCT<a: T>) are kept */
    bool not_null;
    const char *comment, *default_expression, *generated_expression; /* NULL when absent */
    const SqlIdentity *identity;                                     /* NULL when absent */
    bool generated_always;                                           /* not BY DEFAULT */
    SqlSpan span, type_span;
} SqlColumn;

typedef enum SqlViolation {
    SQL_VIOLATION_KEEP,
    SQL_VIOLATION_DROP,
    SQL_VIOLATION_FAIL,
    SQL_VIOLATION_QUARANTINE
} SqlViolation;
typedef struct SqlExpectation {
    const char *name;
    const char *condition; /* SQL text as DuckDB reads it, as are all expressions here: no back-quotes */
    SqlViolation on_violation;
    SqlSpan span, condition_span;
} SqlExpectation;

struct SqlStatement {
    SqlStatementKind kind;
    SqlSpan span;   /* the whole statement without ';' */
    bool asks;      /* a question: its rows are the answer, not a report of what it has done */
    SqlName target; /* what is created, written or described; SHOW TABLES IN s: schema s, no name */
    bool if_not_exists, or_replace, or_refresh, if_exists;
    bool must_exist;       /* REPLACE TABLE: with or_replace */
    bool extended;         /* DESCRIBE ... EXTENDED */
    const char *flow_name; /* CREATE FLOW; the target's name for an APPLY CHANGES INTO of its own */
    SqlFlowKind flow_kind;
    const char *format;        /* CREATE SINK ... USING kafka: lower case */
    bool by_name;              /* INSERT ... BY NAME */
    bool overwrite;            /* INSERT OVERWRITE */
    bool evolve;               /* INSERT, MERGE WITH SCHEMA EVOLUTION */
    const char *replace_where; /* INSERT INTO t REPLACE WHERE <condition text> */
    const SqlColumn *columns;
    size_t n_columns;
    const char *const *insert_columns; /* INSERT INTO t (a, b) */
    size_t n_insert_columns;
    const SqlExpectation *expectations;
    size_t n_expectations;
    const char *const *partitioned_by;
    size_t n_partitioned_by;
    const char *const *cluster_by;
    size_t n_cluster_by;
    const char *comment, *location; /* NULL when absent */
    SqlSpan location_span;
    const SqlOption *properties; /* TBLPROPERTIES, keys as written */
    size_t n_properties;
    const SqlOption *options; /* INSERT ... WITH (txnAppId = ...), CREATE SINK OPTIONS (...) */
    size_t n_options;
    bool has_query;
    SqlSpan query; /* AS query / INSERT's query / the whole text of SQL_QUERY */
    const char *set_key, *set_value;
    int64_t limit;    /* DESCRIBE HISTORY t LIMIT n; -1 */
    const char *rest; /* text after the target for kinds that are only recognised; NULL when empty */
    SqlSpan rest_span;
};

/* Where the error is about a table property (E_DELTA_PROPERTY), has no place yet and names one of the statement's, that
 * is its place. */
void sql_property_place(const SqlText *text, const SqlStatement *statement, Error *err);
/* The same for an error about a column whose name stands in the statement once. */
void sql_column_place(const SqlText *text, const SqlStatement *statement, Error *err);

typedef struct SqlScript SqlScript;

/* Splits and parses; everything lives in the script, the text must outlive it. Comments, strings, dollar quotes,
 * back-quotes are respected when splitting. An error is E_SQL_PARSE with its place. */
Status sql_script_parse(const SqlText *text, SqlScript **out, Error *err);
void sql_script_free(SqlScript *script);
size_t sql_script_statements(const SqlScript *script, const SqlStatement **statements);

#endif
