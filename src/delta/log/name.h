/* Names of files in _delta_log (Delta protocol, Delta Log Entries, Checkpoints). Only exact names count: temporary
 * files of any writer can never match. */
#ifndef FRESHET_DELTA_LOG_NAME_H
#define FRESHET_DELTA_LOG_NAME_H

#include <stdbool.h>
#include <stdint.h>

typedef enum DeltaLogKind {
    DELTA_LOG_OTHER,
    DELTA_LOG_COMMIT,          /* %020d.json */
    DELTA_LOG_CHECKPOINT,      /* %020d.checkpoint.parquet */
    DELTA_LOG_CHECKPOINT_PART, /* %020d.checkpoint.%010d.%010d.parquet */
    DELTA_LOG_CHECKPOINT_UUID, /* %020d.checkpoint.<uuid>.{json,parquet} */
    DELTA_LOG_COMPACTION,      /* %020d.%020d.compacted.json */
    DELTA_LOG_CHECKSUM,        /* %020d.crc */
} DeltaLogKind;

typedef struct DeltaLogName {
    DeltaLogKind kind;
    int64_t version;
    int64_t end;          /* COMPACTION: last version */
    uint32_t part, parts; /* CHECKPOINT_PART: 1-based */
    bool json;            /* CHECKPOINT_UUID */
} DeltaLogName;

/* False (and kind OTHER) for anything else. */
bool delta_log_name_parse(const char *name, DeltaLogName *out);

enum { DELTA_LOG_NAME_MAX = 64 };
#define DELTA_LOG_DIR      "_delta_log"
#define DELTA_LOG_HINT     "_delta_log/_last_checkpoint"
#define DELTA_LOG_SIDECARS "_delta_log/_sidecars"
/* "_delta_log/%020d.json" */
void delta_log_commit_name(int64_t version, char out[DELTA_LOG_NAME_MAX]);

#endif
