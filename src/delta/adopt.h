/* A table that takes over what another one is: schema, partitioning, properties, features, clustering. CLONE. */
#ifndef FRESHET_DELTA_ADOPT_H
#define FRESHET_DELTA_ADOPT_H

#include "delta/transaction.h"

/* Everything but the identity (id, time of creation) and the history: the marks of when in-commit timestamps began, the
 * versions whose checkpoints are protected. Ids and physical names of columns stay, since files know columns by them;
 * so do the ids of rows. Features the transaction's table has already are kept. E_DELTA_PROTOCOL_WRITE for features
 * that freshet cannot write. */
Status delta_transaction_adopt(DeltaTransaction *txn, const DeltaSnapshot *source, Error *err);

#endif
