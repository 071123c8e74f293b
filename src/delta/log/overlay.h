/* The newest word of a run of commits about each file: what they add, and what of an older checkpoint they hide.
 *
 * The key of a file is its canonical path and its deletion vector's id (Delta protocol, Action Reconciliation). An
 * overlay is filled from the newest commit to the oldest, then read by any thread: as a relation of its adds, as one of
 * its tombstones, and by the scalar function freshet_log_shadowed(handle, path, dv) over the rows of a checkpoint.
 */
#ifndef FRESHET_DELTA_LOG_OVERLAY_H
#define FRESHET_DELTA_LOG_OVERLAY_H

#include "delta/action.h"
#include "duck/duck.h"

typedef struct DeltaOverlay DeltaOverlay;

/* `root`: the table's place as delta_path_canonical takes it. */
DeltaOverlay *delta_overlay_new(Duck *duck, const char *root);
void delta_overlay_free(DeltaOverlay *overlay); /* NULL is fine */
/* The file actions of one commit, older than all before. The actions must outlive the overlay. */
void delta_overlay_apply(DeltaOverlay *overlay, const DeltaAction *actions, size_t n);

size_t delta_overlay_entries(const DeltaOverlay *overlay); /* adds and tombstones */
size_t delta_overlay_adds(const DeltaOverlay *overlay);
/* Live adds by position, 0 .. adds - 1. */
const DeltaFile *delta_overlay_add_at(const DeltaOverlay *overlay, size_t i);
/* Tombstones by position, 0 .. entries - adds - 1. */
const DeltaFile *delta_overlay_remove_at(const DeltaOverlay *overlay, size_t i);

/* Appends "NOT freshet_log_shadowed(<handle>, <path>, <dv id>)" over SQL expressions. */
void delta_overlay_filter_sql(DeltaOverlay *overlay, const char *path_sql, const char *dv_id_sql, Text *out);
/* Appends "SELECT ... FROM freshet_relation(<handle>)": the live adds with the columns of delta_snapshot_files_sql. */
void delta_overlay_adds_sql(DeltaOverlay *overlay, Text *out);
/* The tombstones: the same columns and deletion_timestamp, data_change, extended_metadata. */
void delta_overlay_removes_sql(DeltaOverlay *overlay, Text *out);

/* Registers freshet_log_shadowed; once per instance. */
Status delta_overlay_register(Duck *duck, Error *err);

#endif
