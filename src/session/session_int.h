/* What the runners of statements use of a session. */
#ifndef FRESHET_SESSION_SESSION_INT_H
#define FRESHET_SESSION_SESSION_INT_H

#include "session/session.h"

/* Rewrites `span` and makes its relations readable until session_finish. */
Status session_prepare(Session *session, const SqlText *text, SqlSpan span, SqlQuery **query, Error *err);
/* The table a statement is about; the error's place is the name. */
Status session_target(Session *session, const SqlText *text, const SqlName *name, DeltaTable **out, Error *err);

#endif
