/* The column _metadata of a scan: ids of rows (Delta protocol, Row Tracking).
 *
 *     struct_pack(row_id := coalesce(moved_id, freshet_row_base(7, 0, file_index) + file_row_number),
 *                 row_commit_version := coalesce(moved_version, freshet_row_base(7, 1, file_index))) AS "_metadata"
 *
 * A row that was moved to another file keeps its id and version in two columns of that file, whose names the table's
 * properties tell and which have no field id. Where the files are read by field id, they are read once more by name for
 * those two and joined by position.
 */
#include "delta/scan_int.h"

enum { BASE_ROW_ID, BASE_VERSION };

static bool has_moved(const ScanColumns *columns)
{
    return columns->row_id_name != NULL && columns->row_version_name != NULL;
}

static void member_sql(const DeltaScan *scan, const ScanColumns *columns, bool version, Text *out)
{
    text_printf(out, "%s := ", version ? "row_commit_version" : "row_id");
    text_append(out, !has_moved(columns) ? "" : version ? "coalesce(moved_version, " : "coalesce(moved_id, ");
    text_printf(out, "freshet_row_base(%llu, %d, file_index)%s", (unsigned long long)scan->handle,
                version ? BASE_VERSION : BASE_ROW_ID, version ? "" : " + file_row_number");
    text_append(out, has_moved(columns) ? ")" : "");
}

void delta_scan_ids_sql(const DeltaScan *scan, const ScanColumns *columns, Text *out)
{
    if (!columns->row_ids) {
        return;
    }
    if (scan->n_files == 0) {
        text_append(out, ", CAST(NULL AS STRUCT(row_id BIGINT, row_commit_version BIGINT))");
    } else {
        text_append(out, ", struct_pack(");
        member_sql(scan, columns, false, out);
        text_append(out, ", ");
        member_sql(scan, columns, true, out);
        text_append(out, ")");
    }
    text_append(out, " AS \"_metadata\"");
}

static void append_map(const ScanColumns *columns, Text *map)
{
    const char *const stored[] = {columns->row_id_name, columns->row_version_name};
    static const char *const NAMES[] = {"moved_id", "moved_version"};

    for (size_t i = 0; i < 2; i++) {
        text_append(map, map->length > 0 ? ", " : "");
        text_append_sql_string(map, stored[i]);
        text_printf(map, ": {name: '%s', type: 'BIGINT', default_value: NULL}", NAMES[i]);
    }
}

void delta_scan_ids_map(const ScanColumns *columns, Text *map)
{
    if (columns->row_ids && has_moved(columns) && columns->mapping != SCAN_BY_ID) {
        append_map(columns, map);
    }
}

void delta_scan_ids_join(const ScanColumns *columns, const char *files, Text *out)
{
    Text map = TEXT(64 << 10);

    if (columns->row_ids && has_moved(columns) && columns->mapping == SCAN_BY_ID) {
        append_map(columns, &map);
        text_append(out, " JOIN (SELECT file_index AS moved_file, file_row_number AS moved_row, moved_id, "
                         "moved_version FROM read_parquet(");
        text_append(out, files);
        text_append(out, ", schema => MAP{");
        text_append(out, text_str(&map));
        text_append(out, "})) ON moved_file = file_index AND moved_row = file_row_number");
    }
    text_free(&map);
}

Status delta_scan_call_row_base(const DuckScalarArgs *args, Error *err)
{
    const DeltaScan *scan = args->rows ? delta_scan_find(((const uint64_t *)args->inputs[0].data)[0]) : NULL;
    const uint64_t *files = args->inputs[2].data;
    bool version = args->rows && ((const uint32_t *)args->inputs[1].data)[0] == BASE_VERSION;
    int64_t *out = args->output->data;

    for (size_t i = 0; i < args->rows; i++) {
        if (!scan || files[i] >= scan->n_files) {
            return error_set(err, E_SQL_RUN, "this query refers to a scan of a table that has ended");
        }
        const ScanFile *file = &scan->files[files[i]];
        out[i] = version ? file->default_row_commit_version : file->base_row_id;
        if (out[i] < 0) {
            duck_column_set_null(args->output, i);
        }
    }
    return OK;
}
