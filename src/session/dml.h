/* Runners of the statements that change tables. DELETE, UPDATE and MERGE (dml.c) give one row that counts the rows they
 * changed, in columns named as Spark names them. */
#ifndef FRESHET_SESSION_DML_H
#define FRESHET_SESSION_DML_H

#include "session/session.h"

Status session_run_delete(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                          Error *err);
Status session_run_update(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                          Error *err);
Status session_run_merge(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                         Error *err);

/* alter.c: ALTER TABLE gives no rows, RESTORE one with its metrics. */
Status session_run_alter(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                         Error *err);
Status session_run_restore(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                           Error *err);
/* clone.c: CREATE TABLE ... CLONE: a row with its metrics, none when IF NOT EXISTS left a table alone. */
Status session_run_clone(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                         Error *err);
/* CONVERT TO DELTA: a row with the number of files. */
Status session_run_convert(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                           Error *err);

/* schemas.c: SHOW SCHEMAS gives a row for each schema, the others give none. */
Status session_run_create_schema(Session *session, const SqlText *text, const SqlStatement *statement,
                                 DuckResult **result, Error *err);
Status session_run_drop_schema(Session *session, const SqlText *text, const SqlStatement *statement,
                               DuckResult **result, Error *err);
Status session_run_use(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                       Error *err);
Status session_run_show_schemas(Session *session, const SqlText *text, const SqlStatement *statement,
                                DuckResult **result, Error *err);

#endif
