/* A warehouse: a folder whose tables have names, and the small registry beside them.
 *
 *   <warehouse>/<schema>/<table>/                        a Delta table; `b` alone is <warehouse>/default/b
 *   <warehouse>/_freshet/tables/<schema>.<table>.json    where a table is: {"version":1,"location":"..."}
 *   <warehouse>/_freshet/schemas/<schema>.json           a schema that was made before its first table: {"version":1}
 *   <warehouse>/_freshet/flows/<schema>.<table>.<flow>.json {"version":1,"flow":"...","checkpoint":"..."}
 *   <warehouse>/_checkpoints/<schema>/<table>/<flow>/<n>/     a flow's checkpoint; the highest n counts
 *
 * Names match without case, folders are lower case. Registry files are written before first use, put-if-absent; places
 * in them are relative where they lie in the warehouse (store_place_write), so it can be moved as a whole.
 */
#ifndef FRESHET_TABLE_WAREHOUSE_H
#define FRESHET_TABLE_WAREHOUSE_H

#include <stdbool.h>
#include <stddef.h>

#include "delta/table.h"

typedef struct Warehouse Warehouse;

/* `uri` NULL: ./warehouse. Nothing is created before something is written. */
Status warehouse_open(Duck *duck, const char *uri, Warehouse **out, Error *err);
void warehouse_close(Warehouse *warehouse);
const char *warehouse_uri(const Warehouse *warehouse); /* absolute */

/* A legal table or schema name: letters, digits, _, $, -; no leading _ in schemas; delta, json, csv, parquet reserved
 * as schemas. E_PIPELINE_NAME otherwise. schema may be NULL. */
Status warehouse_check_name(const char *schema, const char *name, Error *err);
/* "schema.name" in lower case with "default" filled in: the key by which names are compared. */
void warehouse_key(const char *schema, const char *name, Text *out);

/* Where a table is or would be: its registered place, else the folder of its name. */
Status warehouse_location(Warehouse *warehouse, const char *schema, const char *name, Text *out, Error *err);
/* The handle at that place; *exists tells whether there is a table (out is given either way). */
Status warehouse_table(Warehouse *warehouse, const char *schema, const char *name, DeltaTable **out, bool *exists,
                       Error *err);
/* Remembers where a name is. The same place again is fine; another place is E_PIPELINE_CHANGED with both. `location`
 * NULL: the folder of its name. */
Status warehouse_register(Warehouse *warehouse, const char *schema, const char *name, const char *location, Error *err);
/* Forgets a name (DROP TABLE). */
Status warehouse_forget(Warehouse *warehouse, const char *schema, const char *name, Error *err);

/* Every table of the warehouse: registered ones and folders with a _delta_log, in order of name. */
typedef Status (*WarehouseCallback)(void *context, const char *schema, const char *name, const char *location,
                                    Error *err);
Status warehouse_each(Warehouse *warehouse, WarehouseCallback callback, void *context, Error *err);

/* A schema is there when it was made or has a table; `default` always is. Names are checked: E_PIPELINE_NAME. */
Status warehouse_has_schema(Warehouse *warehouse, const char *schema, bool *exists, Error *err);
/* E_PIPELINE_SCHEMA when it is there already. */
Status warehouse_create_schema(Warehouse *warehouse, const char *schema, Error *err);
/* E_PIPELINE_SCHEMA when it is not there, or holds tables. */
Status warehouse_drop_schema(Warehouse *warehouse, const char *schema, Error *err);
/* Every schema once, in no order. */
typedef Status (*WarehouseSchemaCallback)(void *context, const char *schema, Error *err);
Status warehouse_each_schema(Warehouse *warehouse, WarehouseSchemaCallback callback, void *context, Error *err);

/* The checkpoint folder of a flow: `custom` (freshet.checkpointLocation) or <warehouse>/_checkpoints/..., with the
 * number `wanted`, or, for -1, the highest there is (0 at first). *number says which. Also writes the flow's registry
 * file. */
Status warehouse_checkpoint(Warehouse *warehouse, const char *schema, const char *table, const char *flow,
                            const char *custom, int wanted, Text *out, int *number, Error *err);

/* The flows that have written into a table, in order of name, each with its newest checkpoint folder; nothing is
 * written. A flow that is no longer declared is among them. */
typedef Status (*WarehouseFlowCallback)(void *context, const char *flow, const char *checkpoint, Error *err);
Status warehouse_each_flow(Warehouse *warehouse, const char *schema, const char *table, WarehouseFlowCallback callback,
                           void *context, Error *err);

#endif
