/* Protocol versions and table features: what freshet may read and write, and the smallest protocol that a change needs.
 * One table in protocol.c says all of it; a feature that arrives is a change of its line. */
#ifndef FRESHET_DELTA_PROTOCOL_INT_H
#define FRESHET_DELTA_PROTOCOL_INT_H

#include "delta/action.h"
#include "delta/schema.h"

/* Beyond delta_protocol_check_write: is a feature in use (by property or by schema) that freshet knows but cannot
 * honour when it writes? E_DELTA_PROTOCOL_WRITE names it. */
Status delta_protocol_check_use(const DeltaProtocol *protocol, const DeltaMetadata *metadata, const DeltaSchema *schema,
                                const char *where, Error *err);

/* The features that properties and schema make necessary, beyond what `protocol` supports, are added: versions are
 * raised as little as possible, and going to table features carries every implied one over. *changed says whether
 * anything was. Lists live in `arena`. E_DELTA_PROTOCOL_WRITE when the result could not be written. */
Status delta_protocol_raise(const DeltaProtocol *protocol, const DeltaMetadata *metadata, const DeltaSchema *schema,
                            Arena *arena, DeltaProtocol *out, bool *changed, Error *err);
/* Adds one feature by name with what it requires (delta.feature.<name> = supported). */
Status delta_protocol_add_feature(const DeltaProtocol *protocol, const char *feature, Arena *arena, DeltaProtocol *out,
                                  Error *err);
/* The protocol without the feature: as versions, when these name exactly what is left, else as table features.
 * E_DELTA_PROTOCOL_WRITE with Delta's class when it is not there, or another feature requires it. */
Status delta_protocol_drop_feature(const DeltaProtocol *protocol, const char *feature, Arena *arena, DeltaProtocol *out,
                                   Error *err);

#endif
