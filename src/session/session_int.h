/* What the runners of statements use of a session. */
#ifndef FRESHET_SESSION_SESSION_INT_H
#define FRESHET_SESSION_SESSION_INT_H

#include "session/session.h"
#include "table/rewrite.h"

/* Rewrites `span` and makes its relations readable until session_finish. */
Status session_prepare(Session *session, const SqlText *text, SqlSpan span, SqlQuery **query, Error *err);
/* The table a statement is about; the error's place is the name. */
Status session_target(Session *session, const SqlText *text, const SqlName *name, DeltaTable **out, Error *err);
/* Finds what the condition demands of the table alone, to skip files by. `others`: further FROM items it is about ("" or
 * ", ..."). */
void session_predicates(Session *session, Arena *arena, const char *others, TableCondition *where);

#endif
