/* The schema of a file source, kept beside its log: sources/<i>/_schemas/<k>, "v1" and the schema's JSON; the highest
 * k counts.
 *
 * Only columns of the data are in it, and it only grows, at the end. So what was planned with an older one still
 * reads the same rows.
 */
#ifndef FRESHET_SOURCE_FILES_SCHEMA_H
#define FRESHET_SOURCE_FILES_SCHEMA_H

#include "delta/schema.h"
#include "store/store.h"

/* *out = NULL: there is none yet; *next: the number the next one gets. */
Status files_schema_load(Store *store, const char *dir, DeltaSchema **out, int64_t *next, Error *err);
/* Durable, put-if-absent. */
Status files_schema_save(Store *store, const char *dir, int64_t number, const DeltaSchema *schema, Error *err);

#endif
