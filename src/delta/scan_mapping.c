/* Column mapping as a scan needs it: each column has a name or an id of its own, and the files have those ids.
 *
 * DuckDB gives NULL for a column that it does not find. That is right for a column that came after the file, and wrong
 * for a file without any field ids, which nothing in a table with delta.columnMapping.mode = 'id' should be.
 */
#include <string.h>

#include "base/map.h"
#include "delta/scan_int.h"
#include "delta/variant.h"

static Status twice(const DeltaField *field, const char *uri, Error *err)
{
    return error_set(err, E_DELTA_SCHEMA, "%s: the column \"%s\" is stored under the name or field id of another one",
                     uri, field->name);
}

Status delta_scan_check_schema(const ScanColumns *columns, const char *uri, Error *err)
{
    Status rc = OK;
    Map *seen = map_new();
    Text key = TEXT(64 << 10);

    for (size_t i = 0; columns->mapping != SCAN_BY_NAME && i < columns->schema->n_fields; i++) {
        const DeltaField *field = &columns->schema->fields[i];
        if (delta_scan_partition(columns, field->name) >= 0) {
            continue;
        }
        text_clear(&key);
        if (columns->mapping == SCAN_BY_PHYSICAL_NAME) {
            text_append(&key, delta_scan_stored_name(columns, field));
        } else if (field->field_id > 0) {
            text_printf(&key, "%d", field->field_id);
        } else {
            rc = error_set(err, E_DELTA_SCHEMA,
                           "%s: the column \"%s\" has no delta.columnMapping.id, by which its files are to be read",
                           uri, field->name);
            goto out;
        }
        if (map_has(seen, text_str(&key))) {
            TRY(twice(field, uri, err));
        }
        map_put(seen, text_str(&key), seen);
    }
out:
    map_free(seen, NULL);
    text_free(&key);
    return rc;
}

/* ---- files ---- */

/* What one file says. */
typedef struct Look {
    const DeltaSchema *schema;
    bool any;
} Look;

/* The field of that id below `type`; NULL: none. */
static const DeltaField *nested_field(const DeltaType *type, int64_t id)
{
    for (size_t i = 0; i < type->n_fields; i++) {
        const DeltaField *field = &type->fields[i];
        const DeltaField *found = type->id == DELTA_STRUCT && field->field_id == id ? field
                                                                                    : nested_field(field->type, id);
        if (found) {
            return found;
        }
    }
    return NULL;
}

static Status see_id(void *context, int64_t id, const char *name, size_t n, Error *err)
{
    Look *look = context;
    const DeltaField *field = NULL;

    look->any = true;
    for (size_t i = 0; id > 0 && i < look->schema->n_fields && !field; i++) {
        field = nested_field(look->schema->fields[i].type, id);
    }
    if (field && (n != strlen(field->physical_name) || strncasecmp(name, field->physical_name, n) != 0)) {
        return error_set(
            err, E_DELTA_SCHEMA,
            "the nested field \"%s\" is called \"%.*s\" there and not \"%s\"; this freshet finds nested fields "
            "by name",
            field->name, (int)(n < 200 ? n : 200), name, field->physical_name);
    }
    return OK;
}

Status delta_scan_check_files(const DeltaScan *scan, const ScanColumns *columns, Error *err)
{
    Status rc = OK;

    for (size_t i = 0; columns->mapping == SCAN_BY_ID && i < scan->n_files; i++) {
        Look look = {.schema = columns->schema};
        TRY(delta_file_field_ids(scan->files[i].place, see_id, &look, err));
        if (!look.any) {
            TRY(error_set(err, E_DELTA_CORRUPT,
                          "data file %s: its columns have no field ids, by which the table's are found "
                          "(delta.columnMapping.mode = 'id')",
                          scan->files[i].place));
        }
    }
out:
    return rc;
}
