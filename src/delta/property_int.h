/* Table properties: metaData.configuration with types, defaults and limits. One table in property.c. */
#ifndef FRESHET_DELTA_PROPERTY_INT_H
#define FRESHET_DELTA_PROPERTY_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "delta/action.h"

/* Value of a known property, or its default where it is unset or not of its type (another writer's mistake must not
 * make the table unreadable). Durations in milliseconds. */
bool delta_property_bool(const DeltaMetadata *metadata, const char *key);
int64_t delta_property_i64(const DeltaMetadata *metadata, const char *key);
int64_t delta_property_ms(const DeltaMetadata *metadata, const char *key);
const char *delta_property_text(const DeltaMetadata *metadata, const char *key);

/* May a user set it to this (NULL: unset it)? E_DELTA_PROPERTY for an unknown delta.* key, a bad value, or one that
 * only writers set. Keys outside delta.* are free. */
Status delta_property_check(const char *key, const char *value, Error *err);

#endif
