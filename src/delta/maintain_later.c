/* Until checkpoints are written after commits: there is nothing to maintain. The checkpoint writer replaces this file. */
#include "delta/transaction.h"

void delta_table_maintain(DeltaTable *table, DuckConn *conn)
{
    (void)table;
    (void)conn;
}
