/* Statistics of a data file: from what the Parquet writer knows to the JSON text of add.stats (Delta protocol, Per-file
 * Statistics). */
#ifndef FRESHET_DELTA_STATS_H
#define FRESHET_DELTA_STATS_H

#include "delta/schema.h"
#include "duck/parquet.h"

enum { DELTA_STATS_COLUMNS = 32, DELTA_STATS_PREFIX = 32 }; /* the protocol's defaults */

typedef struct DeltaStatsOptions {
    const DeltaSchema *schema;
    const char *const *partition_columns; /* logical names; they are no data columns */
    size_t n_partition_columns;
    int64_t indexed_columns;   /* delta.dataSkippingNumIndexedCols: leaves from the left; -1 = all */
    const char *stats_columns; /* delta.dataSkippingStatsColumns: replaces the number; NULL = unset */
    int64_t prefix_length;     /* delta.dataSkippingStringPrefixLength, in UTF-16 units */
    bool column_mapping;       /* keys are physical names */
    bool tight_bounds;         /* say so: tables with deletion vectors */
} DeltaStatsOptions;

/* Appends the JSON object for one file. Leaves of lists and maps have no bounds; a bound that Parquet did not give, or
 * that JSON cannot hold (NaN, infinity, years beyond 9999, bytes that are not UTF-8), is left out. */
void delta_stats_json(const DeltaStatsOptions *options, const ParquetFile *file, Text *out);

/* Are all columns that delta.dataSkippingStatsColumns names in the schema? E_DELTA_SCHEMA names one that is not. */
Status delta_stats_check_columns(const DeltaSchema *schema, const char *stats_columns, Error *err);

/* The lower bound of a string: its first `limit` UTF-16 units, never half a surrogate pair. False: no bound. */
bool delta_stats_string_min(const char *s, int64_t limit, Text *out);
/* The upper bound: the string, or its beginning and a character that sorts behind everything cut off. False: no bound.
 */
bool delta_stats_string_max(const char *s, int64_t limit, Text *out);

/* numRecords of a stats text; -1 when there is none. */
int64_t delta_stats_records(const char *stats);

#endif
