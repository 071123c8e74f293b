/* Texts that are UUIDs, kept in 16 bytes instead of 36. */
#ifndef FRESHET_STREAM_OP_UUID_H
#define FRESHET_STREAM_OP_UUID_H

#include "duck/duck.h"

/* Registers freshet_uuid(VARCHAR) -> UUID: the UUID whose text, as DuckDB prints it (36 characters, lower case), is
 * exactly the argument; NULL for every other text. So the text can be had back from it. May be called again. */
Status op_uuid_register(Duck *duck, Error *err);

#endif
