/* Column mapping of schemas that are written: ids and physical names for columns that have none yet (Delta protocol,
 * Column Mapping). */
#ifndef FRESHET_DELTA_MAPPING_INT_H
#define FRESHET_DELTA_MAPPING_INT_H

#include "delta/schema.h"

/* A schema in which every field of every struct has delta.columnMapping.id and .physicalName. New ids follow *max_id,
 * which moves with the largest id in use. `keep_names`: a column without a physical name has files under its own name
 * already. */
Status delta_mapping_assign(const DeltaSchema *schema, bool keep_names, int64_t *max_id, DeltaSchema **out, Error *err);

#endif
