/* The sinks there are. */
#ifndef FRESHET_SINK_SINKS_H
#define FRESHET_SINK_SINKS_H

#include "delta/table.h"
#include "stream/sink.h"

/* What CREATE STREAMING TABLE declares about its target. */
typedef struct SinkDeltaSpec {
    const DeltaSchema *schema; /* declared columns, or NULL: those of the query */
    const char *const *partition_columns;
    size_t n_partition_columns;
    const char *const *cluster_columns; /* none: the table keeps its own */
    size_t n_cluster_columns;
    const char *const *property_keys, *const *property_values; /* stored in the table */
    size_t n_properties;
    const char *comment;
    DeltaMerge merge_schema; /* do new columns of the query extend the table? */
    SqlOutputMode mode;      /* what the batches will be */
    const char *flow;        /* for commitInfo and messages */
} SinkDeltaSpec;

/* Writes to a Delta table with txn. `table` is referenced, spec copied. */
Status sink_delta_open(DeltaTable *table, const SinkDeltaSpec *spec, StreamSink **out, Error *err);

#endif
