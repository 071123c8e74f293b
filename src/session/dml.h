/* Runners of the statements that change rows: DELETE, UPDATE, MERGE. Each gives one row that counts the rows it changed. */
#ifndef FRESHET_SESSION_DML_H
#define FRESHET_SESSION_DML_H

#include "session/session.h"

Status session_run_delete(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                          Error *err);
Status session_run_update(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                          Error *err);
Status session_run_merge(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                         Error *err);

#endif
