/* The rules of Iceberg compatibility.
 *
 *     what                                        V1             V2             where it is seen to
 *     column mapping by name or id                yes            yes            check_mapping
 *     deletion vectors                            no feature     not on         check_vectors, delta_iceberg_check_add
 *     another version at the same time            no             no             check_single
 *     types                                       no list, map,  no variant,    check_types
 *                                                 void           void
 *     wider types                                 as Iceberg widens them        check_widening
 *     partitioned by other columns                never          never          check_partitioning
 *     numRecords                                  every add      every add      delta_iceberg_check_add
 *     field ids in the files                      fields         and parts      write.c, mapping.c
 *     partition columns in the files, last        yes            yes            write.c
 *     timestamps are INT64                        yes            yes            all that DuckDB writes
 *     the tag ICEBERG_COMPAT_VERSION of an add                   yes            write.c
 *
 * Compatibility may begin on a table that has files: those whose footers do not say all of that are written anew (ALTER
 * TABLE) or are an error (everything else). It may end at any time; what the files have in addition harms nobody.
 */
#include "delta/iceberg_compat.h"

#include <string.h>

#include "base/map.h"
#include "delta/log/path.h"
#include "delta/property_int.h"
#include "delta/schema_int.h"
#include "delta/stats.h"
#include "delta/table_int.h"
#include "delta/transaction_int.h"
#include "duck/parquet.h"

#define TYPE_BIT(type) (1u << (type))

typedef struct Rules {
    int version;
    const char *property;
    unsigned refused_types;  /* bits of DeltaTypeId */
    bool no_vectors_feature; /* the protocol must not even name it */
    bool part_ids;
    const char *tags;
} Rules;

static const Rules RULES[] = {
    {1, "delta.enableIcebergCompatV1", TYPE_BIT(DELTA_ARRAY) | TYPE_BIT(DELTA_MAP) | TYPE_BIT(DELTA_VOID), true, false,
     NULL},
    {2, "delta.enableIcebergCompatV2", TYPE_BIT(DELTA_VOID) | TYPE_BIT(DELTA_VARIANT), false, true,
     "{\"ICEBERG_COMPAT_VERSION\":\"2\"}"},
};
enum { N_RULES = sizeof RULES / sizeof RULES[0], FILES_AT_ONCE = 1000 };

static const Rules *rules_of(const DeltaMetadata *metadata)
{
    for (size_t i = 0; i < N_RULES; i++) {
        if (delta_property_bool(metadata, RULES[i].property)) {
            return &RULES[i];
        }
    }
    return NULL;
}

int delta_iceberg_version(const DeltaMetadata *metadata)
{
    const Rules *rules = rules_of(metadata);

    return rules != NULL ? rules->version : 0;
}

bool delta_iceberg_numbers_parts(const DeltaMetadata *metadata)
{
    const Rules *rules = rules_of(metadata);

    return rules != NULL && rules->part_ids;
}

static bool lacks_ids(const DeltaType *type)
{
    bool lacks = false;

    for (size_t i = 0; i < type->n_fields && !lacks; i++) {
        lacks = (type->id != DELTA_STRUCT && type->fields[i].field_id == 0) || lacks_ids(type->fields[i].type);
    }
    return lacks;
}

bool delta_iceberg_lacks_part_ids(const DeltaMetadata *metadata, const DeltaSchema *schema)
{
    const DeltaType row = {.id = DELTA_STRUCT, .fields = schema->fields, .n_fields = schema->n_fields};

    return delta_iceberg_numbers_parts(metadata) && lacks_ids(&row);
}

const char *delta_iceberg_tags(const DeltaMetadata *metadata)
{
    const Rules *rules = rules_of(metadata);

    return rules != NULL ? rules->tags : NULL;
}

/* ---- tables ---- */

typedef struct Check {
    const Rules *rules;
    const DeltaMetadata *before, *metadata; /* before: NULL for a new table */
    const DeltaProtocol *protocol;
    const DeltaSchema *schema;
} Check;

static Status check_single(const Check *c, Error *err)
{
    static const char *const ALL[] = {"delta.enableIcebergCompatV1", "delta.enableIcebergCompatV2",
                                      "delta.enableIcebergCompatV3"};
    size_t on = 0;

    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++) {
        on += delta_property_bool(c->metadata, ALL[i]);
    }
    if (on <= 1) {
        return OK;
    }
    Status rc = error_set(err, E_DELTA_ICEBERG, "a table has one version of Iceberg compatibility at a time");
    error_hint(err, "set the property of the other version to 'false' in the same statement");
    return rc;
}

static Status check_mapping(const Check *c, Error *err)
{
    static const char MODE[] = "delta.columnMapping.mode";
    const char *mode = delta_property_text(c->metadata, MODE);

    if (strcmp(mode, "none") != 0) {
        return OK;
    }
    Status rc = error_set(err, E_DELTA_ICEBERG, "IcebergCompatV%d needs column mapping, and the table has none",
                          c->rules->version);
    error_hint(err, "set '%s' = 'name' in the same statement", MODE);
    return rc;
}

static Status check_vectors(const Check *c, Error *err)
{
    bool on = delta_property_bool(c->metadata, "delta.enableDeletionVectors");

    if (!on) {
        return OK;
    }
    Status rc = error_set(err, E_DELTA_ICEBERG, "IcebergCompatV%d goes without deletion vectors", c->rules->version);
    error_hint(err, "one of 'delta.enableDeletionVectors' and '%s' has to be 'false'", c->rules->property);
    return rc;
}

static Status check_features(const Check *c, Error *err)
{
    if (!c->rules->no_vectors_feature || !delta_protocol_supports(c->protocol, "deletionVectors")) {
        return OK;
    }
    Status rc = error_set(err, E_DELTA_ICEBERG, "IcebergCompatV%d goes without the table feature deletionVectors",
                          c->rules->version);
    error_hint(err, "ALTER TABLE ... DROP FEATURE deletionVectors first, or take IcebergCompatV2");
    return rc;
}

static const DeltaType *find_type(const DeltaType *type, unsigned bits)
{
    const DeltaType *found = bits & TYPE_BIT(type->id) ? type : NULL;

    for (size_t i = 0; i < type->n_fields && found == NULL; i++) {
        found = find_type(type->fields[i].type, bits);
    }
    return found;
}

static Status check_types(const Check *c, Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < c->schema->n_fields && rc == OK; i++) {
        const DeltaType *refused = find_type(c->schema->fields[i].type, c->rules->refused_types);
        Text name = TEXT(1 << 20);
        if (refused != NULL) {
            delta_type_name(refused, &name);
            rc = error_set(err, E_DELTA_ICEBERG, "IcebergCompatV%d has no type %s, which column \"%s\" needs",
                           c->rules->version, text_str(&name), c->schema->fields[i].name);
        }
        text_free(&name);
    }
    return rc;
}

/* Files that lie in folders of one set of columns cannot be told to Iceberg as those of another. */
static Status check_partitioning(const Check *c, Error *err)
{
    size_t n = c->before != NULL ? c->before->n_partition_columns : 0;
    bool same = n == c->metadata->n_partition_columns;

    for (size_t i = 0; same && i < n; i++) {
        same = strcmp(c->before->partition_columns[i], c->metadata->partition_columns[i]) == 0;
    }
    if (n == 0 || same) {
        return OK;
    }
    Status rc = error_set(err, E_DELTA_ICEBERG, "IcebergCompatV%d keeps the names of a table's partition columns",
                          c->rules->version);
    error_hint(err,
               "a table with other ones is a new table: DROP TABLE, then CREATE TABLE; '%s' = 'false' lifts the rule",
               c->rules->property);
    return rc;
}

/* ---- wider types ---- */

static bool iceberg_widens(const DeltaType *from, const DeltaType *to)
{
    if (from->id == DELTA_DECIMAL && to->id == DELTA_DECIMAL) {
        return from->scale == to->scale && from->precision <= to->precision;
    }
    return (delta_type_is_integer(from) && delta_type_is_integer(to)) ||
           (from->id == DELTA_FLOAT && to->id == DELTA_DOUBLE);
}

static Status check_change(const Check *c, const DeltaField *field, const json_t *change, Arena *arena, Error *err)
{
    Status rc = OK;
    const char *before = NULL, *after = NULL;

    TRY(json_get_string(change, "fromType", &before, err));
    TRY(json_get_string(change, "toType", &after, err));
    const DeltaType *from = delta_type_parse_primitive(arena, before), *to = delta_type_parse_primitive(arena, after);
    if (from == NULL || to == NULL || !iceberg_widens(from, to)) {
        rc = error_set(err, E_DELTA_ICEBERG, "column \"%s\" was %s and is %s, a change that IcebergCompatV%d has not",
                       field->name, before, after, c->rules->version);
    }
out:
    return rc;
}

static Status check_changes(const Check *c, const DeltaField *field, Error *err)
{
    Status rc = OK;
    JsonSource source = {.name = field->name};
    json_t *metadata = NULL, *changes = NULL;
    Arena *arena = arena_new();

    TRY(json_parse_object(field->metadata, strlen(field->metadata), &source, &metadata, err));
    changes = json_object_get(metadata, "delta.typeChanges");
    for (size_t i = 0; i < json_array_size(changes); i++) {
        TRY(check_change(c, field, json_array_get(changes, i), arena, err));
    }
out:
    json_decref(metadata);
    arena_free(arena);
    return rc;
}

static Status check_widened(const Check *c, const DeltaField *fields, size_t n, Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < n; i++) {
        TRY(strstr(fields[i].metadata, "typeChanges") != NULL ? check_changes(c, &fields[i], err) : OK);
        TRY(check_widened(c, fields[i].type->fields, fields[i].type->n_fields, err));
    }
out:
    return rc;
}

static Status check_widening(const Check *c, Error *err)
{
    return check_widened(c, c->schema->fields, c->schema->n_fields, err);
}

#define VIOLATION(rule) "DELTA_ICEBERG_COMPAT_VIOLATION." rule

static const struct {
    const char *klass;
    Status (*check)(const Check *c, Error *err);
} CHECKS[] = {
    {VIOLATION("VERSION_MUTUAL_EXCLUSIVE"), check_single},
    {VIOLATION("WRONG_REQUIRED_TABLE_PROPERTY"), check_mapping},
    {VIOLATION("DELETION_VECTORS_SHOULD_BE_DISABLED"), check_vectors},
    {VIOLATION("INCOMPATIBLE_TABLE_FEATURE"), check_features},
    {VIOLATION("UNSUPPORTED_DATA_TYPE"), check_types},
    {VIOLATION("REPLACE_TABLE_CHANGE_PARTITION_NAMES"), check_partitioning},
    {VIOLATION("UNSUPPORTED_TYPE_WIDENING"), check_widening},
};

Status delta_iceberg_check_table(const DeltaMetadata *before, const DeltaProtocol *protocol,
                                 const DeltaMetadata *metadata, const DeltaSchema *schema, Error *err)
{
    Check c = {
        .rules = rules_of(metadata), .before = before, .metadata = metadata, .protocol = protocol, .schema = schema};
    Status rc = OK;

    for (size_t i = 0; c.rules != NULL && i < sizeof CHECKS / sizeof *CHECKS; i++) {
        if ((rc = CHECKS[i].check(&c, err)) != OK) {
            error_klass(err, CHECKS[i].klass);
            break;
        }
    }
    return rc;
}

static const DeltaMetadata *metadata_before(const DeltaTransaction *txn)
{
    return txn->snapshot != NULL ? delta_snapshot_metadata(txn->snapshot) : NULL;
}

Status delta_iceberg_check(const DeltaTransaction *txn, Error *err)
{
    if (!txn->metadata_changed && !txn->protocol_changed) {
        return OK;
    }
    return delta_iceberg_check_table(metadata_before(txn), &txn->protocol, &txn->metadata, txn->schema, err);
}

/* ---- files ---- */

Status delta_iceberg_check_add(int version, const DeltaFile *file, Error *err)
{
    Status rc = OK;

    if (file->deletion_vector != NULL) {
        rc = error_set(err, E_DELTA_ICEBERG, "IcebergCompatV%d: the file %s has a deletion vector", version,
                       file->path);
        error_klass(err, VIOLATION("DELETION_VECTORS_NOT_PURGED"));
    } else if (delta_stats_records(file->stats) < 0) {
        rc = error_set(err, E_DELTA_ICEBERG, "IcebergCompatV%d: the statistics of %s have no numRecords", version,
                       file->path);
    }
    return rc;
}

/* What a footer is asked for, as SQL. */
typedef struct Wanted {
    Text names; /* 'x', 'y', 'element': of every element */
    Text pairs; /* ('x', 1), ('y', 2), ...: with their ids */
    Text needs; /* OR NOT list_contains(ids, 2) ...: what must be there, where what it is a part of is */
} Wanted;

static void want_field(Wanted *wanted, const DeltaField *field)
{
    text_append(&wanted->names, wanted->names.length > 0 ? ", " : "");
    text_append_sql_string(&wanted->names, field->physical_name);
    text_append(&wanted->pairs, wanted->pairs.length > 0 ? ", (" : "(");
    text_append_sql_string(&wanted->pairs, field->physical_name);
    text_printf(&wanted->pairs, ", %d)", field->field_id);
}

static void want_inside(Wanted *wanted, const DeltaField *field)
{
    for (size_t i = 0; i < field->type->n_fields; i++) {
        const DeltaField *inner = &field->type->fields[i];
        bool part = field->type->id != DELTA_STRUCT;
        if (!part || inner->field_id > 0) {
            want_field(wanted, inner);
        }
        if (part && inner->field_id > 0) {
            text_printf(&wanted->needs, " OR (list_contains(ids, %d) AND NOT list_contains(ids, %d))", field->field_id,
                        inner->field_id);
        }
        want_inside(wanted, inner);
    }
}

static void want_table(Wanted *wanted, const DeltaTransaction *txn)
{
    const DeltaMetadata *m = &txn->metadata;

    for (size_t i = 0; i < txn->schema->n_fields; i++) {
        want_field(wanted, &txn->schema->fields[i]);
        want_inside(wanted, &txn->schema->fields[i]);
    }
    for (size_t i = 0; i < m->n_partition_columns; i++) {
        const DeltaField *field = delta_schema_find(txn->schema, m->partition_columns[i]);
        text_printf(&wanted->needs, " OR NOT list_contains(ids, %d)", field != NULL ? field->field_id : 0);
    }
}

static void wanted_fini(Wanted *wanted)
{
    text_free(&wanted->names);
    text_free(&wanted->pairs);
    text_free(&wanted->needs);
}

typedef struct Live {
    const DeltaTransaction *txn;
    Arena *arena;
    Map *gone;
    DeltaFile *files;
    size_t n, capacity;
} Live;

static Status keep_live(void *context, const DeltaFile *file, Error *err)
{
    Live *live = context;
    Text path = TEXT(1 << 16);

    (void)err;
    delta_path_canonical(live->txn->table->root, file->path, strlen(file->path), &path);
    if (!map_has(live->gone, text_str(&path))) {
        map_put(live->gone, text_str(&path), NULL); /* once: an add may name it again */
        live->files = mem_grow(live->files, live->n, &live->capacity, sizeof *live->files);
        live->files[live->n++] = delta_file_copy(live->arena, file);
    }
    text_free(&path);
    return OK;
}

/* The files that the commit leaves in the table. */
static Status list_live(Live *live, Error *err)
{
    Status rc = OK;
    const DeltaActionList *actions = &live->txn->files;
    Text path = TEXT(1 << 16);

    for (size_t i = 0; i < actions->n; i++) {
        const DeltaFile *file = &actions->items[i].file;
        text_clear(&path);
        delta_path_canonical(live->txn->table->root, file->path, strlen(file->path), &path);
        if (actions->items[i].kind == DELTA_ACTION_REMOVE) {
            map_put(live->gone, text_str(&path), NULL);
        }
    }
    for (size_t i = 0; i < actions->n; i++) {
        if (actions->items[i].kind == DELTA_ACTION_ADD) {
            TRY(keep_live(live, &actions->items[i].file, err));
        }
    }
    if (live->txn->snapshot != NULL) {
        TRY(delta_snapshot_each_file(live->txn->snapshot, live->txn->conn, keep_live, live, err));
    }
out:
    text_free(&path);
    return rc;
}

/* Asks the footers of `n` files; marks[i] becomes true for one that lacks something. */
static Status ask_footers(const Live *live, const Wanted *wanted, const DeltaFile *files, size_t n, bool *marks,
                          Error *err)
{
    Status rc = OK;
    DuckResult *result = NULL;
    Map *places = map_new();
    Text sql = TEXT(TEXT_SQL_MAX), place = TEXT(1 << 16), glob = TEXT(1 << 17);
    bool more = false;

    text_printf(&sql,
                "SELECT file_name FROM (SELECT file_name, list(field_id) AS ids, bool_or(type IS NOT DISTINCT FROM "
                "'INT96' OR (name IN (%s) AND (name, coalesce(field_id, 0)) NOT IN (%s))) AS wrong FROM "
                "parquet_schema([",
                text_str(&wanted->names), text_str(&wanted->pairs));
    for (size_t i = 0; i < n; i++) {
        text_clear(&place);
        text_clear(&glob);
        TRY(delta_file_location(live->txn->table, files[i].path, &place, err));
        parquet_escape_glob(&glob, text_str(&place));
        text_append(&sql, i > 0 ? ", " : "");
        text_append_sql_string(&sql, text_str(&glob));
        map_put(places, text_str(&place), &marks[i]);
    }
    text_printf(&sql, "]) WHERE column_id > 0 GROUP BY file_name) WHERE wrong%s", text_str(&wanted->needs));
    TRY(duck_query(live->txn->conn, text_str(&sql), &result, err));
    for (;;) {
        TRY(duck_result_next(result, &more, err));
        if (!more) {
            break;
        }
        char *name = duck_result_text_dup(result, 0);
        bool *mark = map_get(places, name);
        mem_free(name);
        if (mark == NULL) {
            TRY(error_set(err, E_INTERNAL, "DuckDB read the footer of a file that it was not asked for"));
        }
        *mark = true;
    }
out:
    duck_result_free(result);
    map_free(places, NULL);
    text_free(&sql);
    text_free(&place);
    text_free(&glob);
    return rc;
}

Status delta_iceberg_misfits(const DeltaTransaction *txn, Arena *arena, DeltaFile **files, size_t *n, Error *err)
{
    Status rc = OK;
    const DeltaMetadata *before = metadata_before(txn);
    int version = delta_iceberg_version(&txn->metadata);
    Live live = {.txn = txn, .arena = arena, .gone = map_new()};
    Wanted wanted = {TEXT(TEXT_SQL_MAX), TEXT(TEXT_SQL_MAX), TEXT(TEXT_SQL_MAX)};
    bool *marks = NULL;

    *n = 0;
    *files = NULL;
    if (version == 0 || (before != NULL && version == delta_iceberg_version(before))) {
        goto out;
    }
    TRY(list_live(&live, err));
    want_table(&wanted, txn);
    marks = mem_alloc((live.n + 1) * sizeof *marks);
    for (size_t i = 0; i < live.n; i += FILES_AT_ONCE) {
        size_t some = live.n - i < FILES_AT_ONCE ? live.n - i : FILES_AT_ONCE;
        TRY(ask_footers(&live, &wanted, live.files + i, some, marks + i, err));
    }
    *files = arena_alloc(arena, (live.n + 1) * sizeof **files);
    for (size_t i = 0; i < live.n; i++) {
        if (marks[i] || live.files[i].deletion_vector != NULL || delta_stats_records(live.files[i].stats) < 0) {
            (*files)[(*n)++] = live.files[i];
        }
    }
out:
    mem_free(marks);
    mem_free(live.files);
    map_free(live.gone, NULL);
    wanted_fini(&wanted);
    return rc;
}

Status delta_iceberg_check_files(const DeltaTransaction *txn, Error *err)
{
    Status rc = OK;
    DeltaFile *files = NULL;
    size_t n = 0;
    Arena *arena = arena_new();

    TRY(delta_iceberg_misfits(txn, arena, &files, &n, err));
    if (n > 0) {
        rc = error_set(
            err, E_DELTA_ICEBERG,
            "files of the table are not as IcebergCompatV%d wants them (%zu, %s for one): field ids, partition "
            "columns, numRecords, times as INT64, no deletion vectors",
            delta_iceberg_version(&txn->metadata), n, files[0].path);
        error_klass(err, VIOLATION("CHANGE_VERSION_NEED_REWRITE"));
        error_hint(err, "ALTER TABLE ... SET TBLPROPERTIES ('%s' = 'true') writes such files anew",
                   rules_of(&txn->metadata)->property);
    }
out:
    arena_free(arena);
    return rc;
}
