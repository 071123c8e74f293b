/* DEFAULT and text in quotes among the values of an INSERT. */
#ifndef FRESHET_SESSION_VALUES_H
#define FRESHET_SESSION_VALUES_H

#include "session/session.h"
#include "table/insert.h"

/* Rewrites the query of `insert` where it is VALUES with DEFAULT in it: a column that is DEFAULT in every row leaves
 * the statement, others get the default's expression. Text in quotes gets the type of its column. What is new lives in
 * `arena`. E_DELTA_SCHEMA when a generated column has values in some rows and DEFAULT in others. */
Status session_values(Session *session, DeltaTable *table, Arena *arena, TableInsert *insert, Error *err);

#endif
