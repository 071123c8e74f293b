/* The actions of the log as C values (Delta protocol, Actions). Strings live in the arena of whoever parsed them. */
#ifndef FRESHET_DELTA_ACTION_H
#define FRESHET_DELTA_ACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

typedef struct DeltaPair {
    const char *key;
    const char *value; /* NULL = JSON null */
} DeltaPair;

typedef struct DeltaDeletionVector {
    char storage_type; /* 'u', 'p', 'i' */
    const char *path_or_inline;
    int32_t offset;
    bool has_offset;
    int32_t size_bytes;
    int64_t cardinality;
} DeltaDeletionVector;

/* add, remove and cdc: a file and what the log says about it. */
typedef struct DeltaFile {
    const char *path; /* as in the log: URI-encoded, relative or absolute */
    const DeltaPair *partition_values;
    size_t n_partition_values;
    int64_t size;
    int64_t modification_time;  /* ms; add */
    int64_t deletion_timestamp; /* ms; remove; 0 when missing */
    bool data_change;
    bool extended_metadata;                     /* remove */
    const char *stats;                          /* JSON text or NULL */
    const char *tags;                           /* JSON object text or NULL */
    const DeltaDeletionVector *deletion_vector; /* NULL = none */
    int64_t base_row_id;                        /* -1 = absent */
    int64_t default_row_commit_version;         /* -1 = absent */
    const char *clustering_provider;            /* NULL = absent */
} DeltaFile;

typedef struct DeltaMetadata {
    const char *id, *name, *description; /* name, description may be NULL */
    const char *provider;                /* "parquet" */
    const char *format_options;          /* JSON object text; "{}" */
    const char *schema_string;
    const char *const *partition_columns;
    size_t n_partition_columns;
    const DeltaPair *configuration;
    size_t n_configuration;
    int64_t created_time; /* ms; -1 = absent */
} DeltaMetadata;

typedef struct DeltaProtocol {
    int min_reader, min_writer;
    const char *const *reader_features; /* NULL when the versions have none */
    size_t n_reader_features;
    const char *const *writer_features;
    size_t n_writer_features;
} DeltaProtocol;

typedef struct DeltaTxn {
    const char *app_id;
    int64_t version;
    int64_t last_updated; /* ms; -1 = absent */
} DeltaTxn;

typedef struct DeltaDomain {
    const char *domain, *configuration;
    bool removed;
} DeltaDomain;

typedef struct DeltaCommitInfo {
    const char *json;            /* the whole object */
    const char *operation;       /* NULL = absent */
    int64_t timestamp;           /* ms; -1 */
    int64_t in_commit_timestamp; /* ms; -1 */
    int is_blind_append;         /* 0, 1, -1 = absent */
    const char *txn_id;          /* NULL = absent */
} DeltaCommitInfo;

typedef enum DeltaActionKind {
    DELTA_ACTION_ADD,
    DELTA_ACTION_REMOVE,
    DELTA_ACTION_CDC,
    DELTA_ACTION_METADATA,
    DELTA_ACTION_PROTOCOL,
    DELTA_ACTION_TXN,
    DELTA_ACTION_DOMAIN,
    DELTA_ACTION_COMMIT_INFO,
    DELTA_ACTION_CHECKPOINT_METADATA,
    DELTA_ACTION_SIDECAR,
    DELTA_ACTION_UNKNOWN,
} DeltaActionKind;

typedef struct DeltaAction {
    DeltaActionKind kind;
    union {
        DeltaFile file; /* add, remove, cdc, sidecar (path, size, modification_time) */
        DeltaMetadata metadata;
        DeltaProtocol protocol;
        DeltaTxn txn;
        DeltaDomain domain;
        DeltaCommitInfo info;
    };
} DeltaAction;

/* One line of a commit (without the line end). `where` names file and line for errors. Unknown keys and fields are
 * skipped. */
Status delta_action_parse(const char *line, size_t n, const char *where, Arena *arena, DeltaAction *out, Error *err);
/* Appends the action as one line with its '\n'. */
void delta_action_write(const DeltaAction *action, Text *out);

/* storageType + pathOrInlineDv [+ "@" + offset]; "" without deletion vector. */
void delta_file_dv_id(const DeltaFile *file, Text *out);
const char *delta_pair_get(const DeltaPair *pairs, size_t n, const char *key);

#endif
