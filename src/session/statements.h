/* Runners of statements, one for each kind that is more than a few lines (the table of them is in session.c). */
#ifndef FRESHET_SESSION_STATEMENTS_H
#define FRESHET_SESSION_STATEMENTS_H

#include "session/session.h"

/* As session_run. */
typedef Status SessionRunner(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                             Error *err);

/* create.c: no rows. */
SessionRunner session_run_create_table, session_run_drop_table;

/* One row that counts the rows they changed, in columns named as Spark names them: insert.c, dml.c. */
SessionRunner session_run_insert;
SessionRunner session_run_delete, session_run_update, session_run_merge;

/* alter.c: ALTER TABLE gives no rows, RESTORE one with its metrics, CONVERT TO DELTA one with the number of files. */
SessionRunner session_run_alter, session_run_restore, session_run_convert;

/* clone.c: CREATE TABLE ... CLONE: a row with its metrics, none when IF NOT EXISTS left a table alone. */
SessionRunner session_run_clone;

/* describe.c: DESCRIBE, SHOW TBLPROPERTIES and SHOW CREATE TABLE; SHOW TABLES. */
SessionRunner session_run_describe, session_run_show_tables;

/* schemas.c: SHOW SCHEMAS gives a row for each schema, the others give none. */
SessionRunner session_run_create_schema, session_run_drop_schema, session_run_use, session_run_show_schemas;

/* prepare.c: CREATE [OR REPLACE] TEMPORARY VIEW: its text, which each statement that reads it expands anew. */
SessionRunner session_run_create_view;

#endif
