/* The properties and settings that steer flows: one table for parsing, errors and the manual. */
#ifndef FRESHET_PIPELINE_PROPERTY_H
#define FRESHET_PIPELINE_PROPERTY_H

#include "base/error.h"

typedef enum PropertyId {
    PROPERTY_TRIGGER,
    PROPERTY_OUTPUT_MODE,
    PROPERTY_CHECKPOINT_LOCATION,
    PROPERTY_DEDUPE_WITHIN,
    PROPERTY_IDLE_TIMEOUT,
    PROPERTY_MAX_AHEAD,
    PROPERTY_KEEP_REJECTED,
    PROPERTY_RETAIN_BATCHES,
    PROPERTY_FSYNC,
    PROPERTY_ALLOWED_PATHS,
    PROPERTY_COUNT,
} PropertyId;

typedef struct PropertySpec {
    PropertyId id;
    const char *name, *alias; /* alias: a spelling of other systems, or NULL */
    const char *values;       /* what it can be, for messages and the manual */
    const char *default_text;
    bool may_change; /* on a restart over the same checkpoint */
    bool global;     /* SET for the whole run only, not per table */
    const char *text;
} PropertySpec;

extern const PropertySpec PROPERTIES[PROPERTY_COUNT];

/* True for names that steer flows and are not stored in tables: freshet.*, pipelines.*. */
bool property_steers(const char *name);
/* The spec of such a name; NULL and E_PIPELINE_PROPERTY with the nearest name when there is none. */
const PropertySpec *property_find(const char *name, Error *err);
/* Is the value legal? */
Status property_check(const PropertySpec *spec, const char *value, Error *err);

#endif
