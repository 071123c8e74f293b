/* Column mapping of schemas that are written: ids and physical names for columns that have none yet (Delta protocol,
 * Column Mapping). */
#ifndef FRESHET_DELTA_MAPPING_INT_H
#define FRESHET_DELTA_MAPPING_INT_H

#include "delta/schema.h"

typedef struct DeltaMapping {
    bool keep_names; /* a column without a physical name has files under its own name already */
    bool part_ids;   /* the parts of lists and maps get ids too: delta.columnMapping.nested.ids */
    int64_t max_id;  /* new ids follow; moves with the largest one in use */
} DeltaMapping;

/* A schema in which every field of every struct has delta.columnMapping.id and .physicalName. */
Status delta_mapping_assign(const DeltaSchema *schema, DeltaMapping *mapping, DeltaSchema **out, Error *err);

#endif
