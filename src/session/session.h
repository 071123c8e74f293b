/* A session: statements one after another on one connection, as `freshet sql` runs them.
 *
 * Freshet's own statements (CREATE TABLE, INSERT, DESCRIBE HISTORY, ...) work on Delta tables; every other statement
 * goes to DuckDB with the relations in it resolved (see relation.h).
 */
#ifndef FRESHET_SESSION_SESSION_H
#define FRESHET_SESSION_SESSION_H

#include "duck/duck.h"
#include "sql/statement.h"
#include "table/warehouse.h"

typedef struct Session Session;

Status session_open(Duck *duck, Warehouse *warehouse, Session **out, Error *err);
void session_close(Session *session);
DuckConn *session_conn(Session *session);

/* Are the rows of statement i those that a program wants that runs all of them? Where one of them asks, only answers
 * are; else also the counts that INSERT, UPDATE, DELETE, MERGE, RESTORE, CLONE and CONVERT give of what they changed. */
bool session_wants_rows(const SqlStatement *statements, size_t n, size_t i);

/* Runs one statement. *result: its rows, NULL when it has none; rows are handed out as they are made, so the session is
 * busy until duck_result_free. The error's place is in the user's text. */
Status session_run(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                   Error *err);
/* Frees what the last statement's relations held; called by session_run and session_close too. */
void session_finish(Session *session);

#endif
