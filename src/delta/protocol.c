/* The protocol gate (Delta protocol, Table Features).
 *
 * Supported is not active: a protocol may list a feature that no property and no column uses. Reading needs every
 * reader feature listed. Writing needs every writer feature listed to be known, and those that are known but not
 * implemented must not be in use.
 */
#include "delta/protocol_int.h"

#include <string.h>

#include "base/json.h"
#include "delta/table.h"

enum { READER_MAX = 3, WRITER_MAX = 7, FEATURES_MAX = 256 };

typedef enum Support {
    YES,
    UNUSED_ONLY, /* may be listed; refused when something uses it */
    NO,
} Support;

/* What turns a feature on: a property with this value (NULL: any but "" and "0"), or a field whose metadata has this
 * key, or a type. */
typedef struct Feature {
    const char *name;
    int legacy_reader, legacy_writer; /* 0 = only as a table feature */
    bool reader;                      /* listed among the reader features */
    Support read, write;
    const char *
        requires[
            2];
    const char *property, *property_value;
    const char *field_key;
    int type; /* DeltaTypeId + 1; 0 = none */
} Feature;

enum { NTZ = DELTA_TIMESTAMP_NTZ + 1, VARIANT = DELTA_VARIANT + 1 };

/* Rows for generated, identity and constrained columns are refused or checked where rows are written
 * (delta/constraint.h). */
static const Feature FEATURES[] = {
    {"appendOnly", 0, 2, false, YES, YES, {0}, "delta.appendOnly", "true", NULL, 0},
    {"invariants", 0, 2, false, YES, YES, {0}, NULL, NULL, "delta.invariants", 0},
    {"checkConstraints", 0, 3, false, YES, YES, {0}, "delta.constraints.", NULL, NULL, 0},
    {"changeDataFeed", 0, 4, false, YES, YES, {0}, "delta.enableChangeDataFeed", "true", NULL, 0},
    {"generatedColumns", 0, 4, false, YES, YES, {0}, NULL, NULL, "delta.generationExpression", 0},
    {"columnMapping", 2, 5, true, YES, YES, {0}, "delta.columnMapping.mode", "name|id", NULL, 0},
    {"identityColumns", 0, 6, false, YES, YES, {0}, NULL, NULL, "delta.identity.start", 0},
    {"allowColumnDefaults", 0, 0, false, YES, YES, {0}, NULL, NULL, "CURRENT_DEFAULT", 0},
    {"domainMetadata", 0, 0, false, YES, YES, {0}, NULL, NULL, NULL, 0},
    {"rowTracking", 0, 0, false, YES, YES, {"domainMetadata"}, "delta.enableRowTracking", "true", NULL, 0},
    {"clustering", 0, 0, false, YES, YES, {"domainMetadata"}, NULL, NULL, NULL, 0},
    {"inCommitTimestamp", 0, 0, false, YES, YES, {0}, "delta.enableInCommitTimestamps", "true", NULL, 0},
    {"checkpointProtection",
     0,
     0,
     false,
     YES,
     YES,
     {0},
     "delta.requireCheckpointProtectionBeforeVersion",
     NULL,
     NULL,
     0},
    {"icebergCompatV1", 0, 0, false, YES, YES, {"columnMapping"}, "delta.enableIcebergCompatV1", "true", NULL, 0},
    {"icebergCompatV2", 0, 0, false, YES, YES, {"columnMapping"}, "delta.enableIcebergCompatV2", "true", NULL, 0},
    {"icebergCompatV3",
     0,
     0,
     false,
     YES,
     UNUSED_ONLY,
     {"columnMapping", "rowTracking"},
     "delta.enableIcebergCompatV3",
     "true",
     NULL,
     0},
    {"deletionVectors", 0, 0, true, YES, YES, {0}, "delta.enableDeletionVectors", "true", NULL, 0},
    {"timestampNtz", 0, 0, true, YES, YES, {0}, NULL, NULL, NULL, NTZ},
    {"v2Checkpoint", 0, 0, true, YES, YES, {0}, "delta.checkpointPolicy", "v2", NULL, 0},
    {"typeWidening", 0, 0, true, YES, YES, {0}, "delta.enableTypeWidening", "true", "delta.typeChanges", 0},
    {"typeWidening-preview", 0, 0, true, YES, YES, {0}, NULL, NULL, NULL, 0},
    {"variantType", 0, 0, true, YES, YES, {0}, NULL, NULL, NULL, VARIANT},
    {"variantType-preview", 0, 0, true, YES, YES, {0}, NULL, NULL, NULL, 0},
    {"variantShredding", 0, 0, true, YES, YES, {"variantType"}, "delta.enableVariantShredding", "true", NULL, 0},
    {"variantShredding-preview", 0, 0, true, YES, YES, {0}, NULL, NULL, NULL, 0},
    {"vacuumProtocolCheck", 0, 0, true, YES, YES, {0}, NULL, NULL, NULL, 0},
    {"catalogManaged", 0, 0, true, NO, NO, {"inCommitTimestamp", "vacuumProtocolCheck"}, NULL, NULL, NULL, 0},
    {"geospatial", 0, 0, true, NO, NO, {0}, NULL, NULL, NULL, 0},
    {"adaptiveMetadata-preview", 0, 0, true, NO, NO, {0}, NULL, NULL, NULL, 0},
    {"materializePartitionColumns",
     0,
     0,
     false,
     YES,
     YES,
     {0},
     "delta.enableMaterializePartitionColumnsFeature",
     "true",
     NULL,
     0},
    {"coordinatedCommits-preview", 0, 0, false, YES, NO, {0}, NULL, NULL, NULL, 0},
};
enum { N_FEATURES = sizeof FEATURES / sizeof FEATURES[0] };

static const Feature *feature_find(const char *name)
{
    for (size_t i = 0; i < N_FEATURES; i++) {
        if (strcmp(FEATURES[i].name, name) == 0) {
            return &FEATURES[i];
        }
    }
    return NULL;
}

static bool listed(const char *const *features, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(features[i], name) == 0) {
            return true;
        }
    }
    return false;
}

bool delta_protocol_supports(const DeltaProtocol *protocol, const char *feature)
{
    const Feature *f = feature_find(feature);

    if (listed(protocol->writer_features, protocol->n_writer_features, feature) ||
        listed(protocol->reader_features, protocol->n_reader_features, feature)) {
        return true;
    }
    return f != NULL && f->legacy_writer > 0 && protocol->min_writer < WRITER_MAX &&
           protocol->min_writer >= f->legacy_writer && protocol->min_reader >= f->legacy_reader;
}

/* Names of the features that freshet lacks, comma-separated. */
static void list_missing(const char *const *features, size_t n, bool writing, Text *out)
{
    for (size_t i = 0; i < n; i++) {
        const Feature *f = feature_find(features[i]);
        if (f == NULL || (writing ? f->write : f->read) == NO) {
            text_printf(out, "%s%s", out->length > 0 ? ", " : "", features[i]);
        }
    }
}

static Status check_shape(const DeltaProtocol *p, const char *where, Error *err)
{
    if (p->min_reader < 1 || p->min_writer < 1) {
        return error_set(err, E_DELTA_CORRUPT, "%s: protocol versions (%d, %d) do not exist", where, p->min_reader,
                         p->min_writer);
    }
    if (p->min_reader == READER_MAX && p->min_writer < WRITER_MAX) {
        return error_set(err, E_DELTA_CORRUPT, "%s: reader version 3 needs writer version 7, the protocol says %d",
                         where, p->min_writer);
    }
    for (size_t i = 0; p->min_reader == READER_MAX && i < p->n_reader_features; i++) {
        if (!listed(p->writer_features, p->n_writer_features, p->reader_features[i])) {
            return error_set(err, E_DELTA_CORRUPT, "%s: reader feature '%s' is not among the writer features", where,
                             p->reader_features[i]);
        }
    }
    return OK;
}

Status delta_protocol_check_read(const DeltaProtocol *p, const char *where, Error *err)
{
    Text missing = TEXT(4096);
    Status rc = OK;

    if (p->min_reader > READER_MAX) {
        rc = error_set(err, E_DELTA_PROTOCOL_READ, "%s: the table needs reader version %d, this freshet reads up to %d",
                       where, p->min_reader, READER_MAX);
        error_klass(err, "DELTA_INVALID_PROTOCOL_VERSION");
        goto out;
    }
    if (p->min_reader == READER_MAX) {
        list_missing(p->reader_features, p->n_reader_features, false, &missing);
    }
    if (missing.length > 0) {
        rc = error_set(err, E_DELTA_PROTOCOL_READ, "%s: the table uses reader features this freshet does not have: %s",
                       where, text_str(&missing));
        goto out;
    }
    TRY(check_shape(p, where, err));
out:
    text_free(&missing);
    return rc;
}

Status delta_protocol_check_write(const DeltaProtocol *p, const char *where, Error *err)
{
    Text missing = TEXT(4096);
    Status rc = OK;

    TRY(delta_protocol_check_read(p, where, err));
    if (p->min_writer > WRITER_MAX) {
        rc = error_set(err, E_DELTA_PROTOCOL_WRITE,
                       "%s: the table needs writer version %d, this freshet writes up to %d", where, p->min_writer,
                       WRITER_MAX);
        error_klass(err, "DELTA_INVALID_PROTOCOL_VERSION");
        goto out;
    }
    if (p->min_writer == WRITER_MAX) {
        list_missing(p->writer_features, p->n_writer_features, true, &missing);
    }
    if (missing.length > 0) {
        rc = error_set(err, E_DELTA_PROTOCOL_WRITE, "%s: the table uses writer features this freshet does not have: %s",
                       where, text_str(&missing));
        error_hint(err, "the table can still be read");
    }
out:
    text_free(&missing);
    return rc;
}

/* ---- what is in use ---- */

static bool type_uses(const DeltaType *type, const Feature *f);

static bool fields_use(const DeltaField *fields, size_t n, const Feature *f)
{
    for (size_t i = 0; i < n; i++) {
        if (f->field_key != NULL && fields[i].metadata != NULL) {
            Text key = TEXT(256);
            text_printf(&key, "\"%s\":", f->field_key);
            bool found = strstr(fields[i].metadata, text_str(&key)) != NULL;
            text_free(&key);
            if (found) {
                return true;
            }
        }
        if (type_uses(fields[i].type, f)) {
            return true;
        }
    }
    return false;
}

static bool type_uses(const DeltaType *type, const Feature *f)
{
    if (f->type > 0 && (int)type->id == f->type - 1) {
        return true;
    }
    return fields_use(type->fields, type->n_fields, f);
}

static bool value_matches(const char *value, const char *wanted)
{
    if (wanted == NULL) {
        return value[0] != '\0' && strcmp(value, "0") != 0;
    }
    for (const char *p = wanted; *p != '\0';) {
        size_t n = strcspn(p, "|");
        if (strlen(value) == n && strncasecmp(p, value, n) == 0) {
            return true;
        }
        p += n + (p[n] == '|');
    }
    return false;
}

/* A property name that ends with a dot stands for all that start so. */
static bool property_uses(const DeltaMetadata *metadata, const Feature *f)
{
    size_t n = f->property != NULL ? strlen(f->property) : 0;

    for (size_t i = 0; n > 0 && i < metadata->n_configuration; i++) {
        const DeltaPair *pair = &metadata->configuration[i];
        bool named = f->property[n - 1] == '.' ? strncmp(pair->key, f->property, n) == 0
                                               : strcmp(pair->key, f->property) == 0;
        if (named && pair->value != NULL && value_matches(pair->value, f->property_value)) {
            return true;
        }
    }
    return false;
}

static bool in_use(const Feature *f, const DeltaMetadata *metadata, const DeltaSchema *schema)
{
    return property_uses(metadata, f) || fields_use(schema->fields, schema->n_fields, f);
}

Status delta_protocol_check_use(const DeltaProtocol *protocol, const DeltaMetadata *metadata, const DeltaSchema *schema,
                                const char *where, Error *err)
{
    for (size_t i = 0; i < N_FEATURES; i++) {
        const Feature *f = &FEATURES[i];
        if (f->write == UNUSED_ONLY && delta_protocol_supports(protocol, f->name) && in_use(f, metadata, schema)) {
            Status rc = error_set(err, E_DELTA_PROTOCOL_WRITE,
                                  "%s: the table uses '%s', which this freshet reads but does not write", where,
                                  f->name);
            error_hint(err, "the table can still be read");
            return rc;
        }
    }
    return OK;
}

/* ---- raising ---- */

typedef struct FeatureSet {
    const char *names[FEATURES_MAX];
    size_t n;
} FeatureSet;

static void set_add(FeatureSet *set, const char *name)
{
    if (set->n < FEATURES_MAX && !listed(set->names, set->n, name)) {
        set->names[set->n++] = name;
    }
}

static void set_require(FeatureSet *set, const char *name)
{
    const Feature *f = feature_find(name);

    set_add(set, name);
    for (size_t i = 0; f != NULL && i < 2 && f->requires[i] != NULL; i++) {
        set_require(set, f->requires[i]);
    }
}

static const char *const *set_list(const FeatureSet *set, bool readers_only, Arena *arena, size_t *n)
{
    const char **list = arena_alloc(arena, (set->n + 1) * sizeof *list);

    *n = 0;
    for (size_t i = 0; i < set->n; i++) {
        const Feature *f = feature_find(set->names[i]);
        if (!readers_only || (f != NULL && f->reader)) {
            list[(*n)++] = arena_strdup(arena, set->names[i]);
        }
    }
    return list;
}

/* Only versions: all that is needed has a legacy number. */
static bool raise_versions(const DeltaProtocol *protocol, const FeatureSet *needed, DeltaProtocol *out)
{
    *out = *protocol;
    for (size_t i = 0; i < needed->n; i++) {
        const Feature *f = feature_find(needed->names[i]);
        if (f == NULL || f->legacy_writer == 0) {
            return false;
        }
        out->min_writer = f->legacy_writer > out->min_writer ? f->legacy_writer : out->min_writer;
        out->min_reader = f->legacy_reader > out->min_reader ? f->legacy_reader : out->min_reader;
    }
    return true;
}

static Status raise_to(const DeltaProtocol *protocol, const FeatureSet *needed, Arena *arena, DeltaProtocol *out,
                       Error *err)
{
    FeatureSet all = {.n = 0};
    bool reader = protocol->min_reader == READER_MAX;

    if (protocol->min_writer < WRITER_MAX && raise_versions(protocol, needed, out)) {
        return OK;
    }
    if (protocol->n_writer_features + N_FEATURES > FEATURES_MAX) {
        return error_set(err, E_LIMIT, "the protocol lists %zu writer features", protocol->n_writer_features);
    }
    for (size_t i = 0; i < N_FEATURES; i++) {
        if (FEATURES[i].legacy_writer > 0 && delta_protocol_supports(protocol, FEATURES[i].name)) {
            set_add(&all, FEATURES[i].name);
        }
    }
    for (size_t i = 0; i < protocol->n_writer_features; i++) {
        set_add(&all, protocol->writer_features[i]);
    }
    for (size_t i = 0; i < needed->n; i++) {
        const Feature *f = feature_find(needed->names[i]);
        reader = reader || (f != NULL && f->reader && f->legacy_reader == 0);
        set_add(&all, needed->names[i]);
    }
    out->min_writer = WRITER_MAX;
    out->writer_features = set_list(&all, false, arena, &out->n_writer_features);
    out->reader_features = NULL;
    out->n_reader_features = 0;
    out->min_reader = protocol->min_reader;
    if (reader) {
        out->min_reader = READER_MAX;
        out->reader_features = set_list(&all, true, arena, &out->n_reader_features);
    } else if (listed(all.names, all.n, "columnMapping")) {
        out->min_reader = 2;
    }
    return OK;
}

Status delta_protocol_raise(const DeltaProtocol *protocol, const DeltaMetadata *metadata, const DeltaSchema *schema,
                            Arena *arena, DeltaProtocol *out, bool *changed, Error *err)
{
    FeatureSet needed = {.n = 0}, missing = {.n = 0};
    Status rc = OK;

    for (size_t i = 0; i < N_FEATURES; i++) {
        if (in_use(&FEATURES[i], metadata, schema)) {
            set_require(&needed, FEATURES[i].name);
        }
    }
    for (size_t i = 0; i < needed.n; i++) {
        Text preview = TEXT(128);
        text_printf(&preview, "%s-preview", needed.names[i]);
        if (!delta_protocol_supports(protocol, needed.names[i]) &&
            !delta_protocol_supports(protocol, text_str(&preview))) {
            set_add(&missing, needed.names[i]);
        }
        text_free(&preview);
    }
    *out = *protocol;
    *changed = missing.n > 0;
    if (missing.n > 0) {
        TRY(raise_to(protocol, &missing, arena, out, err));
    }
out:
    return rc;
}

Status delta_protocol_add_feature(const DeltaProtocol *protocol, const char *feature, Arena *arena, DeltaProtocol *out,
                                  Error *err)
{
    FeatureSet needed = {.n = 0};
    const char *names[N_FEATURES];

    for (size_t i = 0; i < N_FEATURES; i++) {
        names[i] = FEATURES[i].name;
    }
    const Feature *f = feature_find(feature);
    if (f == NULL || f->write == NO) {
        const char *near = f == NULL ? error_nearest(feature, names, N_FEATURES) : NULL;
        Status rc = error_set(err, E_DELTA_PROTOCOL_WRITE, "table feature '%s' is not one that this freshet can write",
                              feature);
        if (near != NULL) {
            error_hint(err, "did you mean \"%s\"?", near);
        }
        return rc;
    }
    if (delta_protocol_supports(protocol, feature)) {
        *out = *protocol;
        return OK;
    }
    set_require(&needed, feature);
    return raise_to(protocol, &needed, arena, out, err);
}

/* ---- dropping ---- */

/* Which features a protocol supports, by name or by version. */
static void supported_features(const DeltaProtocol *protocol, FeatureSet *out)
{
    for (size_t i = 0; i < protocol->n_writer_features; i++) {
        set_add(out, protocol->writer_features[i]);
    }
    for (size_t i = 0; i < N_FEATURES; i++) {
        if (delta_protocol_supports(protocol, FEATURES[i].name)) {
            set_add(out, FEATURES[i].name);
        }
    }
}

static Status check_dependents(const FeatureSet *set, const char *feature, Error *err)
{
    for (size_t i = 0; i < set->n; i++) {
        const Feature *f = feature_find(set->names[i]);
        for (size_t k = 0; f != NULL && k < 2 && f->requires[k] != NULL; k++) {
            if (strcmp(f->requires[k], feature) == 0) {
                Status rc = error_set(err, E_DELTA_PROTOCOL_WRITE, "table feature '%s' requires '%s': drop it first",
                                      f->name, feature);
                error_klass(err, "DELTA_FEATURE_DROP_DEPENDENT_FEATURE");
                return rc;
            }
        }
    }
    return OK;
}

/* The versions that stand for exactly these features; false when there are none. */
static bool as_versions(const FeatureSet *set, DeltaProtocol *out)
{
    DeltaProtocol versions = {.min_reader = 1, .min_writer = 1};
    FeatureSet implied = {.n = 0};

    for (size_t i = 0; i < set->n; i++) {
        const Feature *f = feature_find(set->names[i]);
        if (f == NULL || f->legacy_writer == 0) {
            return false;
        }
        versions.min_writer = f->legacy_writer > versions.min_writer ? f->legacy_writer : versions.min_writer;
        versions.min_reader = f->legacy_reader > versions.min_reader ? f->legacy_reader : versions.min_reader;
    }
    supported_features(&versions, &implied);
    *out = versions;
    return implied.n == set->n;
}

Status delta_protocol_drop_feature(const DeltaProtocol *protocol, const char *feature, Arena *arena, DeltaProtocol *out,
                                   Error *err)
{
    Status rc = OK;
    FeatureSet before = {.n = 0}, after = {.n = 0};
    bool reader = false;

    if (!delta_protocol_supports(protocol, feature)) {
        rc = error_set(err, E_DELTA_PROTOCOL_WRITE, "the table does not have the feature '%s'", feature);
        error_klass(err, "DELTA_FEATURE_DROP_FEATURE_NOT_PRESENT");
        goto out;
    }
    supported_features(protocol, &before);
    TRY(check_dependents(&before, feature, err));
    for (size_t i = 0; i < before.n; i++) {
        if (strcmp(before.names[i], feature) != 0) {
            const Feature *f = feature_find(before.names[i]);
            reader = reader || (f != NULL && f->reader && f->legacy_reader == 0);
            set_add(&after, before.names[i]);
        }
    }
    *out = (DeltaProtocol){.min_reader = 1, .min_writer = WRITER_MAX};
    if (as_versions(&after, out)) {
        goto out;
    }
    *out = (DeltaProtocol){.min_reader = reader ? READER_MAX : 1, .min_writer = WRITER_MAX};
    out->writer_features = set_list(&after, false, arena, &out->n_writer_features);
    if (reader) {
        out->reader_features = set_list(&after, true, arena, &out->n_reader_features);
    } else if (listed(after.names, after.n, "columnMapping")) {
        out->min_reader = 2;
    }
out:
    return rc;
}
