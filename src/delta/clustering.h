/* Clustered tables: the columns by which OPTIMIZE brings rows together (Delta protocol, Clustered Table). They stand in
 * the domain delta.clustering, by the names they are stored under. */
#ifndef FRESHET_DELTA_CLUSTERING_H
#define FRESHET_DELTA_CLUSTERING_H

#include "delta/schema_edit.h"
#include "delta/transaction.h"

enum { DELTA_CLUSTERING_COLUMNS_MAX = 4 };

/* Makes the table clustered by the columns, none ends it; schema and partitioning are those of the transaction. Says
 * E_DELTA_SCHEMA with Delta's class when the table is partitioned, a column stands twice, has a type without bounds, or
 * lies behind the columns that have statistics. */
Status delta_clustering_set(DeltaTransaction *txn, const DeltaPath *columns, size_t n, Error *err);

/* The same for whole columns of a table that is made, by their names; commitInfo says so (clusterBy). */
Status delta_clustering_declare(DeltaTransaction *txn, const char *const *names, size_t n, Error *err);

/* Names the commit CLUSTER BY, from one list of columns to the other. */
void delta_clustering_describe(DeltaTransaction *txn, const char *before, const char *after);

/* Appends the columns as a,b.c; nothing for a table that is not clustered. */
void delta_clustering_names(const DeltaSnapshot *snapshot, Text *out);
/* Is the table clustered by the column or by something inside it? */
bool delta_clustering_uses(const DeltaSnapshot *snapshot, DeltaPath path);

#endif
