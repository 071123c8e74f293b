/* _delta_log/_last_checkpoint: where to begin listing (Delta protocol, Last Checkpoint File). Only a hint: whatever is
 * wrong with it, it counts as absent. */
#ifndef FRESHET_DELTA_LOG_HINT_H
#define FRESHET_DELTA_LOG_HINT_H

#include "base/error.h"
#include "delta/action.h"
#include "store/store.h"

/* A checkpoint as the hint describes it. */
typedef struct DeltaHint {
    int64_t version;
    int64_t size;        /* actions */
    size_t parts;        /* of a checkpoint in several parts; 0 for all others */
    int64_t bytes, adds; /* sizeInBytes (of all its files), numOfAddFiles */
    const char *schema;  /* checkpointSchema: the JSON of its columns; NULL: left out */

    /* v2 with a UUID in its name */
    const char *v2_name; /* bare; NULL: classic */
    int64_t v2_bytes, v2_mtime_ms;
    const char *small; /* nonFileActions: a JSON array; NULL: left out */
    const DeltaFile *sidecars;
    size_t n_sidecars;
} DeltaHint;

/* The hinted version, or -1. A store that cannot be reached is still an error. */
Status delta_hint_read(Store *store, int64_t *version, Error *err);
/* What would make the hint long is left out: the schema, the sidecars. */
Status delta_hint_write(Store *store, const DeltaHint *hint, Error *err);

/* Lower-hex MD5 of the canonical form of a JSON object without its key "checksum". E_JSON when it is no object. */
enum { DELTA_HINT_CHECKSUM = 33 };
Status delta_hint_checksum(const char *json, size_t n, char out[DELTA_HINT_CHECKSUM], Error *err);

#endif
