#include "delta/clustering.h"

#include <string.h>

#include "delta/property_int.h"
#include "delta/schema_int.h"

static const char DOMAIN[] = "delta.clustering";

/* ---- which columns can ---- */

static Status refuse(Error *err, const char *klass, const char *name, const char *why)
{
    Status rc = error_set(err, E_DELTA_SCHEMA, "the table cannot be clustered by \"%s\": %s", name, why);

    error_klass(err, klass);
    return rc;
}

static bool has_bounds(const DeltaType *type)
{
    return !delta_type_is_nested(type) && type->id != DELTA_BOOLEAN && type->id != DELTA_BINARY &&
           type->id != DELTA_VARIANT && type->id != DELTA_VOID;
}

/* Counts the leaves up to the field, as statistics do; true when it was met. */
static bool leaves_before(const DeltaField *fields, size_t n, const DeltaField *wanted, int64_t *leaves)
{
    for (size_t i = 0; i < n; i++) {
        if (&fields[i] == wanted) {
            return true;
        }
        if (fields[i].type->id != DELTA_STRUCT) {
            ++*leaves;
        } else if (leaves_before(fields[i].type->fields, fields[i].type->n_fields, wanted, leaves)) {
            return true;
        }
    }
    return false;
}

/* Statistics of every file are what clustering lives on. */
static bool has_stats(const DeltaTransaction *txn, DeltaPath path, const DeltaField *field)
{
    const DeltaMetadata *metadata = delta_transaction_metadata(txn);
    const DeltaSchema *schema = delta_transaction_schema(txn);
    const char *named = delta_transaction_property(txn, "delta.dataSkippingStatsColumns");
    int64_t limit = delta_property_i64(metadata, "delta.dataSkippingNumIndexedCols"), leaves = 0;
    Text name = TEXT(1 << 20);

    if (named == NULL) {
        text_free(&name);
        return limit < 0 || (leaves_before(schema->fields, schema->n_fields, field, &leaves) && leaves < limit);
    }
    delta_path_text(path, &name);
    bool found = false;
    for (const char *s = named; *s != '\0' && !found;) {
        s += strspn(s, " ");
        size_t length = strcspn(s, ",");
        found = strncasecmp(s, text_str(&name), name.length) == 0 && strchr(", ", s[name.length]) != NULL;
        s += length + (s[length] == ',');
    }
    text_free(&name);
    return found;
}

static Status check_column(const DeltaTransaction *txn, const DeltaPath *columns, size_t i, Error *err)
{
    Status rc = OK;
    const DeltaSchema *schema = delta_transaction_schema(txn);
    const DeltaField *field = NULL, *other = NULL;
    Text name = TEXT(1 << 20);

    delta_path_text(columns[i], &name);
    TRY(delta_schema_field(schema, columns[i], &field, err));
    if (!has_bounds(field->type)) {
        TRY(refuse(err, "DELTA_CLUSTERING_COLUMNS_DATATYPE_NOT_SUPPORTED", text_str(&name),
                   "its type has no smallest and largest values"));
    }
    if (!has_stats(txn, columns[i], field)) {
        rc = refuse(err, "DELTA_CLUSTERING_COLUMN_MISSING_STATS", text_str(&name), "files have no statistics of it");
        error_hint(err, "raise delta.dataSkippingNumIndexedCols, or name the column in delta.dataSkippingStatsColumns");
        goto out;
    }
    for (size_t k = 0; k < i; k++) {
        if (delta_schema_field(schema, columns[k], &other, NULL) == OK && other == field) {
            TRY(refuse(err, "DELTA_DUPLICATE_COLUMNS_FOUND", text_str(&name), "it stands twice"));
        }
    }
out:
    text_free(&name);
    return rc;
}

/* ---- the domain ---- */

/* {"clusteringColumns":[["a"],["s","x"]],"domainName":"delta.clustering"}, stored names */
static Status write_domain(const DeltaTransaction *txn, const DeltaPath *columns, size_t n, Text *out, Error *err)
{
    Status rc = OK;
    const DeltaSchema *schema = delta_transaction_schema(txn);

    text_append(out, "{\"clusteringColumns\":[");
    for (size_t i = 0; i < n; i++) {
        text_append(out, i > 0 ? ",[" : "[");
        for (size_t depth = 1; depth <= columns[i].n; depth++) {
            const DeltaField *field = NULL;
            TRY(delta_schema_field(schema, (DeltaPath){columns[i].parts, depth}, &field, err));
            text_append(out, depth > 1 ? "," : "");
            text_append_json_string(out, field->physical_name);
        }
        text_append_char(out, ']');
    }
    text_printf(out, "],\"domainName\":\"%s\"}", DOMAIN);
out:
    return rc;
}

Status delta_clustering_set(DeltaTransaction *txn, const DeltaPath *columns, size_t n, Error *err)
{
    Status rc = OK;
    size_t n_partitions = 0;
    Text json = TEXT(1 << 20);

    (void)delta_transaction_partition_columns(txn, &n_partitions);
    if (n_partitions > 0) {
        rc = error_set(err, E_DELTA_SCHEMA, "a table is partitioned or clustered, not both");
        error_klass(err, "DELTA_ALTER_TABLE_CLUSTER_BY_ON_PARTITIONED_TABLE_NOT_ALLOWED");
        goto out;
    }
    if (n > DELTA_CLUSTERING_COLUMNS_MAX) {
        rc = error_set(err, E_DELTA_SCHEMA, "a table can be clustered by at most %d columns, not by %zu",
                       DELTA_CLUSTERING_COLUMNS_MAX, n);
        error_klass(err, "DELTA_CLUSTER_BY_INVALID_NUM_COLUMNS");
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        TRY(check_column(txn, columns, i, err));
    }
    TRY(delta_transaction_set_property(txn, "delta.feature.clustering", "supported", err));
    TRY(write_domain(txn, columns, n, &json, err));
    delta_transaction_set_domain(txn, &(DeltaDomain){.domain = DOMAIN, .configuration = text_str(&json)});
out:
    text_free(&json);
    return rc;
}

Status delta_clustering_declare(DeltaTransaction *txn, const char *const *names, size_t n, Error *err)
{
    DeltaPath *paths = mem_alloc((n + 1) * sizeof *paths);
    Text list = TEXT(1 << 20);

    for (size_t i = 0; i < n; i++) {
        paths[i] = (DeltaPath){&names[i], 1};
    }
    text_append_json_strings(&list, names, n);
    delta_transaction_parameter_text(txn, "clusterBy", text_str(&list));
    Status rc = delta_clustering_set(txn, paths, n, err);
    text_free(&list);
    mem_free(paths);
    return rc;
}

void delta_clustering_describe(DeltaTransaction *txn, const char *before, const char *after)
{
    delta_transaction_operation(txn, "CLUSTER BY");
    delta_transaction_parameter_text(txn, "oldClusteringColumns", before);
    delta_transaction_parameter_text(txn, "newClusteringColumns", after);
}

/* ---- reading it ---- */

/* The list of the domain, NULL without one; *root is the caller's. */
static const json_t *read_domain(const DeltaSnapshot *snapshot, json_t **root)
{
    const DeltaDomain *domains = NULL;
    size_t n = delta_snapshot_domains(snapshot, &domains);
    JsonSource source = {.name = DOMAIN};

    *root = NULL;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(domains[i].domain, DOMAIN) == 0 && !domains[i].removed &&
            json_parse_object(domains[i].configuration, strlen(domains[i].configuration), &source, root, NULL) == OK) {
            return json_object_get(*root, "clusteringColumns");
        }
    }
    return NULL;
}

/* The part of a column's stored path; the specification's examples have plain strings for whole columns. */
static const char *part(const json_t *column, size_t depth)
{
    return json_is_string(column) ? (depth == 0 ? json_string_value(column) : NULL)
                                  : json_string_value(json_array_get(column, depth));
}

static const DeltaField *stored_field(const DeltaField *fields, size_t n, const char *physical)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(fields[i].physical_name, physical) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

void delta_clustering_names(const DeltaSnapshot *snapshot, Text *out)
{
    const DeltaSchema *schema = delta_snapshot_schema(snapshot);
    json_t *root;
    const json_t *list = read_domain(snapshot, &root);

    for (size_t i = 0; i < json_array_size(list); i++) {
        const DeltaField *fields = schema->fields;
        size_t n = schema->n_fields;
        text_append(out, i > 0 ? "," : "");
        for (size_t depth = 0; part(json_array_get(list, i), depth) != NULL; depth++) {
            const char *physical = part(json_array_get(list, i), depth);
            const DeltaField *field = stored_field(fields, n, physical);
            const char *name = field != NULL ? field->name : physical;
            text_append(out, depth > 0 ? "." : "");
            delta_path_text((DeltaPath){&name, 1}, out);
            fields = field != NULL ? field->type->fields : NULL;
            n = field != NULL ? field->type->n_fields : 0;
        }
    }
    json_decref(root);
}

bool delta_clustering_uses(const DeltaSnapshot *snapshot, DeltaPath path)
{
    const DeltaSchema *schema = delta_snapshot_schema(snapshot);
    json_t *root;
    const json_t *list = read_domain(snapshot, &root);
    bool uses = false;

    for (size_t i = 0; i < json_array_size(list) && !uses; i++) {
        uses = true;
        for (size_t depth = 0; depth < path.n && uses; depth++) {
            const char *physical = part(json_array_get(list, i), depth);
            const DeltaField *field = NULL;
            uses = physical != NULL &&
                   delta_schema_field(schema, (DeltaPath){path.parts, depth + 1}, &field, NULL) == OK &&
                   strcmp(field->physical_name, physical) == 0;
        }
    }
    json_decref(root);
    return uses;
}
