/* The sources there are. Each constructor checks its options and touches nothing outside until it is asked for a schema
 * or an offset. */
#ifndef FRESHET_SOURCE_SOURCES_H
#define FRESHET_SOURCE_SOURCES_H

#include "delta/table.h"
#include "stream/source.h"

/* read_files('uri or glob', format => 'json', ...) as a stream. `place` is absolute or relative to the working
 * directory. */
Status source_files_open(const StreamSourceContext *context, const char *place, const StreamOption *options, size_t n,
                         StreamSource **out, Error *err);
/* A Delta table as a stream. `table` is referenced. */
Status source_delta_open(const StreamSourceContext *context, DeltaTable *table, const StreamOption *options, size_t n,
                         bool written_by_pipeline, StreamSource **out, Error *err);
/* read_rate(rowsPerSecond => n, ...): rows made from the clock. */
Status source_rate_open(const StreamSourceContext *context, const StreamOption *options, size_t n, StreamSource **out,
                        Error *err);

/* Option tables, for the manual. */
extern const StreamOptionSpec SOURCE_FILES_OPTIONS[];
extern const size_t SOURCE_FILES_OPTIONS_COUNT;
extern const StreamOptionSpec SOURCE_DELTA_OPTIONS[];
extern const size_t SOURCE_DELTA_OPTIONS_COUNT;
extern const StreamOptionSpec SOURCE_RATE_OPTIONS[];
extern const size_t SOURCE_RATE_OPTIONS_COUNT;

/* read_files(...) outside a stream: all files that match now, as a sub-query (materialized views, questions). *listing:
 * a text that changes whenever the set of files, a size or a time changes. The relation lives until released. */
Status source_files_relation(Duck *duck, DuckConn *conn, const char *place, const StreamOption *options, size_t n,
                             StreamRelation *out, char **listing, Error *err);

#endif
