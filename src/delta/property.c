/* The table of the properties that mean something to the protocol, with their types, defaults and limits. */
#include "delta/property_int.h"

#include <inttypes.h>
#include <string.h>

#include "delta/transaction.h"

typedef enum Kind {
    BOOL,
    INTEGER,  /* >= minimum */
    INTERVAL, /* a duration, not negative */
    CHOICE,   /* one of the words in `words`, separated by | */
    TEXT_ANY,
    INTERNAL, /* set by writers only */
    FOREIGN,  /* metadata of another format, which nothing here writes */
} Kind;

typedef struct Property {
    const char *key; /* one that ends with '.' stands for all that start so */
    Kind kind;
    const char *fallback; /* NULL = none */
    int64_t minimum;
    const char *words;
} Property;

static const Property PROPERTIES[] = {
    {"delta.appendOnly", BOOL, "false", 0, NULL},
    {"delta.autoOptimize.autoCompact", CHOICE, NULL, 0, "true|false|auto"},
    {"delta.autoOptimize.optimizeWrite", BOOL, NULL, 0, NULL},
    {"delta.checkpointInterval", INTEGER, "10", 1, NULL},
    {"delta.checkpointPolicy", CHOICE, "classic", 0, "classic|v2"},
    {"delta.checkpoint.writeStatsAsJson", BOOL, "true", 0, NULL},
    {"delta.checkpoint.writeStatsAsStruct", BOOL, "false", 0, NULL},
    {"delta.checkpointRetentionDuration", INTERVAL, "2 days", 0, NULL},
    {"delta.columnMapping.mode", CHOICE, "none", 0, "none|name|id"},
    {"delta.columnMapping.maxColumnId", INTERNAL, "0", 0, NULL},
    {"delta.dataSkippingNumIndexedCols", INTEGER, "32", -1, NULL},
    {"delta.dataSkippingStatsColumns", TEXT_ANY, NULL, 0, NULL},
    {"delta.dataSkippingStringPrefixLength", INTEGER, "32", INT64_MIN, NULL},
    {"delta.deletedFileRetentionDuration", INTERVAL, "7 days", 0, NULL},
    {"delta.logRetentionDuration", INTERVAL, "30 days", 0, NULL},
    {"delta.enableExpiredLogCleanup", BOOL, "true", 0, NULL},
    {"delta.enableFullRetentionRollback", BOOL, "true", 0, NULL},
    {"delta.enableChangeDataFeed", BOOL, "false", 0, NULL},
    {"delta.enableDeletionVectors", BOOL, "false", 0, NULL},
    {"delta.enableInCommitTimestamps", BOOL, "false", 0, NULL},
    {"delta.inCommitTimestampEnablementVersion", INTERNAL, NULL, 0, NULL},
    {"delta.inCommitTimestampEnablementTimestamp", INTERNAL, NULL, 0, NULL},
    {"delta.enableRowTracking", BOOL, "false", 0, NULL},
    {"delta.rowTrackingSuspended", BOOL, "false", 0, NULL},
    {"delta.rowTracking.materializedRowIdColumnName", INTERNAL, NULL, 0, NULL},
    {"delta.rowTracking.materializedRowCommitVersionColumnName", INTERNAL, NULL, 0, NULL},
    {"delta.enableTypeWidening", BOOL, "false", 0, NULL},
    {"delta.enableVariantShredding", BOOL, "false", 0, NULL},
    {"delta.enableIcebergCompatV1", BOOL, NULL, 0, NULL},
    {"delta.enableIcebergCompatV2", BOOL, NULL, 0, NULL},
    {"delta.enableIcebergCompatV3", BOOL, NULL, 0, NULL},
    {"delta.isolationLevel", CHOICE, "Serializable", 0, "Serializable|WriteSerializable"},
    {"delta.constraints.", TEXT_ANY, NULL, 0, NULL},
    {"delta.parquet.compression.codec", CHOICE, "zstd", 0, "zstd|snappy|gzip|lz4_raw|uncompressed|none"},
    {"delta.parquet.format.version", TEXT_ANY, "1.0.0", 0, NULL},
    {"delta.randomizeFilePrefixes", BOOL, "false", 0, NULL},
    {"delta.randomPrefixLength", INTEGER, "2", 1, NULL},
    {"delta.sampleRetentionDuration", INTERVAL, "7 days", 0, NULL},
    {"delta.setTransactionRetentionDuration", INTERVAL, NULL, 0, NULL},
    {"delta.dropFeatureTruncateHistory.retentionDuration", INTERVAL, "24 hours", 0, NULL},
    {"delta.requireCheckpointProtectionBeforeVersion", INTERNAL, "0", 0, NULL},
    {"delta.universalFormat.enabledFormats", FOREIGN, "", 0, NULL},
    {"delta.universalFormat.iceberg.atomicConversion.supported", INTERNAL, NULL, 0, NULL}, /* Spark's, of new tables */
    {"delta.compatibility.symlinkFormatManifest.enabled", BOOL, "false", 0, NULL},
    {"delta.writePartitionColumnsToParquet", BOOL, NULL, 0, NULL},
    {"delta.enableMaterializePartitionColumnsFeature", BOOL, NULL, 0, NULL},
    {"freshet.checkpoint.partSize", INTEGER, NULL, 1, NULL},
    {"freshet.log.compactionInterval", INTEGER, NULL, 2, NULL},
};
enum { N_PROPERTIES = sizeof PROPERTIES / sizeof PROPERTIES[0] };

static const Property *property_find(const char *key)
{
    for (size_t i = 0; i < N_PROPERTIES; i++) {
        size_t n = strlen(PROPERTIES[i].key);
        bool prefix = PROPERTIES[i].key[n - 1] == '.';
        if (prefix ? strncmp(PROPERTIES[i].key, key, n) == 0 && key[n] != '\0' : strcmp(PROPERTIES[i].key, key) == 0) {
            return &PROPERTIES[i];
        }
    }
    return NULL;
}

static bool one_of(const char *value, const char *words)
{
    for (const char *p = words; *p != '\0';) {
        size_t n = strcspn(p, "|");
        if (strlen(value) == n && strncmp(p, value, n) == 0) {
            return true;
        }
        p += n + (p[n] == '|');
    }
    return false;
}

static bool value_fits(const Property *property, const char *value)
{
    bool flag;
    int64_t number;

    switch (property->kind) {
    case BOOL: return str_parse_bool(value, &flag);
    case INTEGER: return str_parse_i64(value, &number) && number >= property->minimum;
    case INTERVAL: return str_parse_interval(value, &number) && number >= 0;
    case CHOICE: return one_of(value, property->words);
    case TEXT_ANY:
    case INTERNAL:
    case FOREIGN: return true;
    }
    return false;
}

const char *delta_property_text(const DeltaMetadata *metadata, const char *key)
{
    const Property *property = property_find(key);
    const char *value = delta_pair_get(metadata->configuration, metadata->n_configuration, key);

    if (property == NULL || (value != NULL && value_fits(property, value))) {
        return value;
    }
    return property->fallback;
}

bool delta_property_bool(const DeltaMetadata *metadata, const char *key)
{
    const char *value = delta_property_text(metadata, key);
    bool flag = false;

    return value != NULL && str_parse_bool(value, &flag) && flag;
}

int64_t delta_property_i64(const DeltaMetadata *metadata, const char *key)
{
    const char *value = delta_property_text(metadata, key);
    int64_t number = 0;

    return value != NULL && str_parse_i64(value, &number) ? number : 0;
}

int64_t delta_property_ms(const DeltaMetadata *metadata, const char *key)
{
    const char *value = delta_property_text(metadata, key);
    int64_t us = 0;

    return value != NULL && str_parse_interval(value, &us) ? us / 1000 : 0;
}

static bool is_freshet(const char *key)
{
    return strncmp(key, "freshet.", 8) == 0;
}

static Status unknown_key(const char *key, Error *err)
{
    const char *names[N_PROPERTIES];

    for (size_t i = 0; i < N_PROPERTIES; i++) {
        names[i] = PROPERTIES[i].key;
    }
    const char *near = error_nearest(key, names, N_PROPERTIES);
    Status rc = error_set(err, E_DELTA_PROPERTY, "table property '%s' does not exist", key);
    if (near != NULL) {
        error_hint(err, "did you mean \"%s\"?", near);
    } else if (is_freshet(key)) {
        error_hint(err, "what steers a flow stands with its definition in a pipeline file");
    }
    return rc;
}

Status delta_property_check(const char *key, const char *value, Error *err)
{
    if (strncmp(key, "delta.", 6) != 0 && (!is_freshet(key) || value == NULL)) {
        return OK;
    }
    const Property *property = property_find(key);
    if (property == NULL) {
        return unknown_key(key, err);
    }
    if (property->kind == INTERNAL) {
        return error_set(err, E_DELTA_PROPERTY,
                         "table property '%s' is kept by the writers of the table and cannot be set", key);
    }
    if (property->kind == FOREIGN && value != NULL && *value != '\0') {
        Status rc = error_set(err, E_DELTA_PROPERTY,
                              "table property '%s' cannot be '%s': this freshet writes no metadata of other formats",
                              key, value);
        error_klass(err, "DELTA_UNIVERSAL_FORMAT_VIOLATION");
        return rc;
    }
    if (value != NULL && !value_fits(property, value)) {
        Status rc = error_set(err, E_DELTA_PROPERTY, "table property '%s' cannot be '%s'", key, value);
        if (property->words != NULL) {
            error_hint(err, "one of %s", property->words);
        }
        return rc;
    }
    return OK;
}

bool delta_property_is_free(const char *key)
{
    const Property *property = property_find(key);

    return property == NULL || property->kind != INTERNAL;
}
