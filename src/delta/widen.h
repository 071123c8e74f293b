/* Types that become wider without their files being written anew (Delta protocol, Type Widening). */
#ifndef FRESHET_DELTA_WIDEN_H
#define FRESHET_DELTA_WIDEN_H

#include "delta/schema_edit.h"

/* The field with type `to`, at any depth; every change is added to delta.typeChanges of the nearest field of a struct.
 * *changed = false when it has that type already. E_DELTA_SCHEMA (DELTA_UNSUPPORTED_TYPE_CHANGE_IN_ALTER_TABLE) when a
 * value could be lost, or fields of a struct would come or go. `path`: for messages. */
Status delta_widen(Arena *arena, const DeltaField *field, const DeltaType *to, const char *path, DeltaField *out,
                   bool *changed, Error *err);

#endif
