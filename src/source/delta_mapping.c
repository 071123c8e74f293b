/* Renamed and dropped columns. With column mapping a column is its physical name; a reader that was planned with one
 * schema would give a renamed column the values of another, or none. */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "source/delta_int.h"

const DeltaField *delta_mapping_find(const DeltaField *fields, size_t n, const char *physical)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(fields[i].physical_name, physical) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

/* The first field of `old` that `new` dropped or renamed, at any depth; NULL when there is none. */
static const DeltaField *first_lost(const DeltaField *old, size_t n_old, const DeltaField *new, size_t n_new)
{
    for (size_t i = 0; i < n_old; i++) {
        const DeltaField *there = delta_mapping_find(new, n_new, old[i].physical_name);
        if (!there || strcmp(there->name, old[i].name) != 0) {
            return &old[i];
        }
        const DeltaField *below = first_lost(old[i].type->fields, old[i].type->n_fields, there->type->fields,
                                             there->type->n_fields);
        if (below) {
            return below;
        }
    }
    return NULL;
}

Status delta_mapping_check(const DeltaSource *source, const DeltaSchema *schema, int64_t version, Error *err)
{
    bool older = version < source->init_version;
    const DeltaSchema *old = older ? schema : source->schema, *new = older ? source->schema : schema;

    if (str_ieq(source->column_mapping, "none")) {
        return OK;
    }
    const DeltaField *lost = first_lost(old->fields, old->n_fields, new->fields, new->n_fields);
    if (!lost) {
        return OK;
    }
    error_set(err, E_SOURCE_SCHEMA_CHANGED,
              "column %s of %s was renamed or dropped between versions %" PRId64 " and %" PRId64, lost->name,
              delta_table_uri(source->table), older ? version : source->init_version,
              older ? source->init_version : version);
    error_klass(err, "DELTA_STREAMING_INCOMPATIBLE_SCHEMA_CHANGE_USE_SCHEMA_LOG");
    error_hint(err, "the stream cannot tell which rows have which column; let it keep track of such changes WITH "
                    "(schemaTrackingLocation = 'schema'), or start the flow anew with --full-refresh");
    return error_status(err);
}

Status delta_mapping_check_start(const DeltaSource *source, DuckConn *conn, int64_t version, Error *err)
{
    DeltaSnapshot *snapshot = NULL;
    Status rc = OK;

    if (source->tracking || str_ieq(source->column_mapping, "none") || version >= source->init_version) {
        return OK;
    }
    if (delta_table_snapshot_at(source->table, conn, version, &snapshot, NULL) != OK) {
        log_debug("flow=%s version %" PRId64 " of %s cannot be rebuilt, its columns are not compared", source->flow,
                  version, delta_table_uri(source->table));
        return OK;
    }
    rc = delta_mapping_check(source, delta_snapshot_schema(snapshot), version, err);
    delta_snapshot_unref(snapshot);
    return rc;
}
