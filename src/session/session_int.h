/* What the runners of statements use of a session. */
#ifndef FRESHET_SESSION_SESSION_INT_H
#define FRESHET_SESSION_SESSION_INT_H

#include "base/map.h"
#include "session/relation.h"
#include "session/session.h"
#include "sql/statement_alter.h"
#include "stream/source.h"
#include "table/rewrite.h"

struct Session {
    Duck *duck;
    DuckConn *conn;
    Warehouse *warehouse;
    char *schema; /* of names without one, from USE; NULL: default */
    Map *views;   /* lower-case name -> SessionView (prepare.c) */
    /* What the running statement reads; the placeholders are temporary views over it. */
    StreamRelation *relations;
    size_t n_relations, relations_capacity;
};

/* ---- prepare.c ---- */

/* Rewrites `span` and makes its relations readable until session_finish. */
Status session_prepare(Session *session, const SqlText *text, SqlSpan span, SqlQuery **query, Error *err);
/* DROP VIEW of such a view; false when the statement is something else. */
bool session_drop_view(Session *session, const SqlText *text, SqlSpan span);
void session_drop_views(Session *session);
/* Refuses what would outlive the relations it reads: CREATE VIEW, CREATE MACRO, PREPARE over Delta tables or files. */
Status session_check_lasting(Session *session, const SqlText *text, SqlSpan span, Error *err);

/* ---- session.c ---- */

/* For relations of that text. */
RelationReader session_reader(const Session *session, const SqlText *text);
/* The schema of a name that says none: that of USE. NULL: default. */
const char *session_schema(const Session *session, const char *schema);

/* What a statement that changes a table tells of it: one row of counts. A negative value: not known, NULL. */
typedef struct SessionCount {
    const char *name;
    int64_t value;
} SessionCount;
Status session_report(Session *session, const SessionCount *counts, size_t n, DuckResult **result, Error *err);

/* The table a statement is about; the error's place is the name. */
Status session_target(Session *session, const SqlText *text, const SqlName *name, DeltaTable **out, Error *err);
/* The place of a table that may not be there yet, remembered under its name. `location`: LOCATION, or NULL. */
Status session_new_table(Session *session, const SqlName *name, const char *location, DeltaTable **out, Error *err);
/* The version that VERSION or TIMESTAMP AS OF means. */
Status session_version(Session *session, DeltaTable *table, const SqlRestore *restore, int64_t *version, Error *err);
/* Finds what the condition demands of the table alone, to skip files by. `others`: further FROM items it is about (""
 * or ", ..."). */
void session_predicates(Session *session, Arena *arena, const char *others, TableCondition *where);

#endif
