/* The text of a scan.
 *
 *     SELECT c0 AS "id", CAST(freshet_const(7, 0, file_index) AS DATE) AS "day"
 *     FROM read_parquet(['...'], hive_partitioning=false,
 *          explicit_cardinality=1000, schema => MAP{'id': {name: 'c0', type: 'BIGINT', default_value: NULL}})
 *     WHERE freshet_keep(7, file_index, file_row_number)
 *
 * Inside, columns have neutral names, because a data column called file_index would hide DuckDB's own. The map is keyed
 * by name, physical name or field id; a column a file lacks is NULL, and DuckDB casts narrower types up. Below the top
 * level DuckDB matches members by name only, so structs are read under their physical names and built anew outside.
 *
 * Given a schema, DuckDB looks into no file before it plans, and takes the scan for empty: a join would be built on it
 * however large it is. So it is told how many rows there are (10 million joined with 50,000: 1.7 CPU seconds without,
 * 0.7 with).
 *
 * Instants: a Parquet timestamp may be adjusted to UTC or, as INT96 always is, not. DuckDB reads the one as
 * TIMESTAMPTZ, the other as TIMESTAMP, and a cast between them goes through the session's time zone. In a UTC session
 * that changes nothing and the column is declared TIMESTAMPTZ, so filters reach the row groups. In any other it is
 * declared as a union of both: DuckDB picks the member of the file's own type, and the plain ones are placed in UTC
 * here.
 *
 * Variants: groups with Parquet's logical type are VARIANT for DuckDB. Those without are declared as the two binaries
 * they are, checked by freshet_variant, and decoded. Where files of both kinds meet, all are declared VARIANT: DuckDB
 * then makes a variant object of the two binaries, which is taken apart again where freshet_plain says so.
 */
#include <inttypes.h>
#include <string.h>

#include "delta/partition.h"
#include "delta/scan_int.h"
#include "delta/schema_int.h"
#include "duck/parquet.h"

static const char PLAIN_VARIANT[] = "STRUCT(metadata BLOB, \"value\" BLOB)";

/* The third member takes the map's default_value, which is an INTEGER NULL. */
static const char INSTANT_UNION[] = "UNION(tz TIMESTAMPTZ, ntz TIMESTAMP, nothing INTEGER)";

int delta_scan_partition(const ScanColumns *columns, const char *name)
{
    for (size_t i = 0; i < columns->n_partition_columns; i++) {
        if (str_ieq(columns->partition_columns[i], name)) {
            return (int)i;
        }
    }
    return -1;
}

const char *delta_scan_stored_name(const ScanColumns *columns, const DeltaField *field)
{
    return columns->mapping == SCAN_BY_NAME ? field->name : field->physical_name;
}

/* Void columns, and what consists of nothing else, are in no file. */
static bool is_stored(const DeltaType *type)
{
    if (type->id == DELTA_STRUCT) {
        for (size_t i = 0; i < type->n_fields; i++) {
            if (is_stored(type->fields[i].type)) {
                return true;
            }
        }
        return false;
    }
    for (size_t i = 0; i < type->n_fields; i++) {
        if (!is_stored(type->fields[i].type)) {
            return false;
        }
    }
    return type->id != DELTA_VOID;
}

/* Does the value that comes out of the file differ from the column's type in more than DuckDB casts by itself? */
static bool needs_rebuild(const ScanColumns *columns, const DeltaType *type)
{
    if (type->id == DELTA_TIMESTAMP) {
        return !columns->utc;
    }
    if (type->id == DELTA_VARIANT) {
        return columns->variants != SCAN_VARIANTS_LOGICAL;
    }
    for (size_t i = 0; i < type->n_fields; i++) {
        const DeltaField *field = &type->fields[i];
        if (needs_rebuild(columns, field->type) || !is_stored(field->type) ||
            (type->id == DELTA_STRUCT && strcmp(delta_scan_stored_name(columns, field), field->name) != 0)) {
            return true;
        }
    }
    return false;
}

/* The type to declare: what is stored, under the names it is stored with. */
static void stored_type_sql(const ScanColumns *columns, const DeltaType *type, Text *out)
{
    bool any = false;

    switch (type->id) {
    case DELTA_TIMESTAMP: text_append(out, columns->utc ? "TIMESTAMPTZ" : INSTANT_UNION); break;
    case DELTA_VARIANT: text_append(out, columns->variants == SCAN_VARIANTS_PLAIN ? PLAIN_VARIANT : "VARIANT"); break;
    case DELTA_ARRAY:
        stored_type_sql(columns, type->fields[0].type, out);
        text_append(out, "[]");
        break;
    case DELTA_MAP:
        text_append(out, "MAP(");
        stored_type_sql(columns, type->fields[0].type, out);
        text_append(out, ", ");
        stored_type_sql(columns, type->fields[1].type, out);
        text_append(out, ")");
        break;
    case DELTA_STRUCT:
        text_append(out, "STRUCT(");
        for (size_t i = 0; i < type->n_fields; i++) {
            if (is_stored(type->fields[i].type)) {
                text_append(out, any ? ", " : "");
                text_append_sql_name(out, delta_scan_stored_name(columns, &type->fields[i]));
                text_append_char(out, ' ');
                stored_type_sql(columns, type->fields[i].type, out);
                any = true;
            }
        }
        text_append(out, ")");
        break;
    default: delta_type_sql(type, out);
    }
}

static void null_sql(const DeltaType *type, Text *out)
{
    text_append(out, "CAST(NULL AS ");
    delta_type_sql(type, out);
    text_append(out, ")");
}

static void rebuild_sql(const ScanColumns *columns, const DeltaType *type, const char *expression, int depth,
                        Text *out);

static void rebuild_struct(const ScanColumns *columns, const DeltaType *type, const char *expression, int depth,
                           Text *out)
{
    Text member = TEXT(TEXT_SQL_MAX);

    text_append(out, "CASE WHEN ");
    text_append(out, expression);
    text_append(out, " IS NULL THEN NULL ELSE struct_pack(");
    for (size_t i = 0; i < type->n_fields; i++) {
        const DeltaField *field = &type->fields[i];
        text_append(out, i ? ", " : "");
        text_append_sql_name(out, field->name);
        text_append(out, " := ");
        if (!is_stored(field->type)) {
            null_sql(field->type, out);
            continue;
        }
        text_clear(&member);
        text_append(&member, "struct_extract(");
        text_append(&member, expression);
        text_append(&member, ", ");
        text_append_sql_string(&member, delta_scan_stored_name(columns, field));
        text_append(&member, ")");
        rebuild_sql(columns, field->type, text_str(&member), depth, out);
    }
    text_append(out, ") END");
    text_free(&member);
}

static void rebuild_variant(const ScanColumns *columns, const char *expression, Text *out)
{
    unsigned long long handle = columns->handle;

    if (columns->variants == SCAN_VARIANTS_PLAIN) {
        text_printf(out,
                    "variant_bytes_to_variant(freshet_variant(%llu, file_index, struct_extract(%s, 'metadata'), "
                    "struct_extract(%s, 'value')))",
                    handle, expression, expression);
        return;
    }
    text_printf(out,
                "CASE WHEN freshet_plain(%llu, file_index) THEN variant_bytes_to_variant(freshet_variant(%llu, "
                "file_index, CAST(variant_extract(%s, 'metadata') AS BLOB), CAST(variant_extract(%s, 'value') AS "
                "BLOB))) ELSE %s END",
                handle, handle, expression, expression, expression);
}

/* Appends the SQL that turns a value as stored into one of the column's type; `depth` keeps lambda parameters apart. */
static void rebuild_sql(const ScanColumns *columns, const DeltaType *type, const char *expression, int depth, Text *out)
{
    char item[48];

    if (!needs_rebuild(columns, type)) {
        text_append(out, expression);
        return;
    }
    switch (type->id) {
    case DELTA_TIMESTAMP:
        text_printf(out,
                    "CASE union_tag(%s) WHEN 'tz' THEN union_extract(%s, 'tz') "
                    "WHEN 'ntz' THEN union_extract(%s, 'ntz') AT TIME ZONE 'UTC' END",
                    expression, expression, expression);
        break;
    case DELTA_VARIANT: rebuild_variant(columns, expression, out); break;
    case DELTA_STRUCT: rebuild_struct(columns, type, expression, depth, out); break;
    case DELTA_ARRAY:
        text_append(out, "list_transform(");
        text_append(out, expression);
        text_printf(out, ", lambda freshet_e%d: ", depth);
        snprintf(item, sizeof item, "freshet_e%d", depth);
        rebuild_sql(columns, type->fields[0].type, item, depth + 1, out);
        text_append(out, ")");
        break;
    default: /* DELTA_MAP */
        text_append(out, "map_from_entries(list_transform(map_entries(");
        text_append(out, expression);
        text_printf(out, "), lambda freshet_e%d: struct_pack(key := ", depth);
        snprintf(item, sizeof item, "freshet_e%d.key", depth);
        rebuild_sql(columns, type->fields[0].type, item, depth + 1, out);
        text_append(out, ", value := ");
        snprintf(item, sizeof item, "freshet_e%d.value", depth);
        rebuild_sql(columns, type->fields[1].type, item, depth + 1, out);
        text_append(out, ")))");
    }
}

/* One partition column: a literal where all files agree, else a constant per file. */
static void partition_sql(const DeltaScan *scan, const DeltaField *field, int column, Text *out)
{
    const char *first = scan->files[0].constants[column];
    Text value = TEXT(64 << 10);
    bool same = true;

    for (size_t i = 1; i < scan->n_files && same; i++) {
        const char *next = scan->files[i].constants[column];
        same = first && next ? strcmp(first, next) == 0 : first == next;
    }
    if (!same) {
        text_printf(&value, "freshet_const(%llu, %d, file_index)", (unsigned long long)scan->handle, column);
        delta_partition_cast_sql(field->type, text_str(&value), out);
    } else if (first) {
        text_append_sql_string(&value, first);
        delta_partition_cast_sql(field->type, text_str(&value), out);
    } else {
        null_sql(field->type, out);
    }
    text_free(&value);
}

/* An entry of the schema map. False when the field has nothing the files could be asked for. */
static bool map_entry(const ScanColumns *columns, const DeltaField *field, size_t index, Text *out)
{
    Text type = TEXT(TEXT_SQL_MAX);

    if (columns->mapping == SCAN_BY_ID) {
        if (field->field_id == 0) {
            return false;
        }
        text_printf(out, "%d", field->field_id);
    } else {
        text_append_sql_string(out, delta_scan_stored_name(columns, field));
    }
    stored_type_sql(columns, field->type, &type);
    text_printf(out, ": {name: 'c%zu', type: ", index);
    text_append_sql_string(out, text_str(&type));
    text_append(out, ", default_value: NULL}");
    text_free(&type);
    return true;
}

/* All arguments of read_parquet up to the schema map. */
static void files_sql(const DeltaScan *scan, Text *out)
{
    Text path = TEXT(64 << 10);

    text_append(out, "[");
    for (size_t i = 0; i < scan->n_files; i++) {
        text_clear(&path);
        parquet_escape_glob(&path, scan->files[i].place);
        text_append(out, i ? ", " : "");
        text_append_sql_string(out, text_str(&path));
    }
    text_printf(out, "], hive_partitioning=false, explicit_cardinality=%" PRId64, scan->rows > 0 ? scan->rows : 1);
    text_free(&path);
}

/* The columns that say where a row is stored. */
static void address_sql(const DeltaScan *scan, Text *out)
{
    if (scan->row_address) {
        if (scan->n_files == 0) {
            text_append(out, ", CAST(NULL AS UBIGINT) AS freshet_file, CAST(NULL AS BIGINT) AS freshet_row");
        } else if (scan->first > 0) {
            text_printf(out, ", file_index + %zu::UBIGINT AS freshet_file, file_row_number AS freshet_row",
                        scan->first);
        } else {
            text_append(out, ", file_index AS freshet_file, file_row_number AS freshet_row");
        }
    }
}

static void empty_sql(const DeltaScan *scan, const ScanColumns *columns, Text *out)
{
    text_append(out, "SELECT ");
    for (size_t i = 0; i < columns->schema->n_fields; i++) {
        text_append(out, i ? ", " : "");
        null_sql(columns->schema->fields[i].type, out);
        text_append(out, " AS ");
        text_append_sql_name(out, columns->schema->fields[i].name);
    }
    address_sql(scan, out);
    delta_scan_ids_sql(scan, columns, out);
    text_append(out, " WHERE false");
}

static void select_sql(const DeltaScan *scan, const ScanColumns *columns, Text *map, Text *out)
{
    char inner[24];

    text_append(out, "SELECT ");
    for (size_t i = 0; i < columns->schema->n_fields; i++) {
        const DeltaField *field = &columns->schema->fields[i];
        int partition = delta_scan_partition(columns, field->name);
        Text entry = TEXT(TEXT_SQL_MAX);
        text_append(out, i ? ", " : "");
        if (partition >= 0) {
            partition_sql(scan, field, partition, out);
        } else if (is_stored(field->type) && map_entry(columns, field, i, &entry)) {
            text_append(map, map->length > 0 ? ", " : "");
            text_append(map, text_str(&entry));
            snprintf(inner, sizeof inner, "c%zu", i);
            rebuild_sql(columns, field->type, inner, 1, out);
        } else {
            null_sql(field->type, out);
        }
        text_append(out, " AS ");
        text_append_sql_name(out, field->name);
        text_free(&entry);
    }
    address_sql(scan, out);
    delta_scan_ids_sql(scan, columns, out);
    delta_scan_ids_map(columns, map);
}

static void from_sql(const DeltaScan *scan, const ScanColumns *columns, const Text *map, Text *out)
{
    /* only partition columns: DuckDB wants an entry all the same */
    static const char NOTHING[] = ": {name: 'nothing', type: 'INTEGER', default_value: NULL}";
    Text files = TEXT(TEXT_SQL_MAX);

    files_sql(scan, &files);
    text_printf(out, " FROM read_parquet(%s, schema => MAP{", text_str(&files));
    if (map->length > 0) {
        text_append(out, text_str(map));
    } else {
        text_printf(out, "%s%s", columns->mapping == SCAN_BY_ID ? "0" : "''", NOTHING);
    }
    text_append(out, "})");
    delta_scan_ids_join(columns, text_str(&files), out);
    text_free(&files);
}

Status delta_scan_write_sql(DeltaScan *scan, const ScanColumns *columns, Error *err)
{
    Text map = TEXT(TEXT_SQL_MAX);

    if (columns->schema->n_fields == 0) {
        error_set(err, E_DELTA_SCHEMA, "%s has no columns yet, so there is nothing to read",
                  delta_table_uri(scan->table));
        error_hint(err, "give it columns: ALTER TABLE ... ADD COLUMN, or INSERT WITH SCHEMA EVOLUTION INTO it");
        return error_status(err);
    }
    if (scan->n_files == 0) {
        empty_sql(scan, columns, &scan->sql);
    } else {
        select_sql(scan, columns, &map, &scan->sql);
        from_sql(scan, columns, &map, &scan->sql);
        if (scan->has_deletion_vectors) {
            text_printf(&scan->sql, " WHERE freshet_keep(%llu, file_index, file_row_number)",
                        (unsigned long long)scan->handle);
        }
    }
    text_free(&map);
    return scan->sql.overflow ? error_set(err, E_LIMIT, "the statement over %zu files is too long", scan->n_files) : OK;
}
