/* What a flow does first after a start, decided from its checkpoint and its target alone.
 *
 * L newest offsets, C newest commits, T newest batch of this query in the target (-1: none).
 *
 *   | offsets | commits  | target    | then                                                       |
 *   |---------|----------|-----------|------------------------------------------------------------|
 *   | none    | none     | none      | NEXT, batch 0                                              |
 *   | none    | none     | T >= 0    | stop: the checkpoint is older than the table               |
 *   | none    | C >= 0   |           | stop: damaged                                              |
 *   | L       | C > L    |           | stop: damaged                                              |
 *   | L       | C = L    | T <= L    | NEXT, batch L + 1 (T < committed: stop, table was replaced)|
 *   | L       | C = L-1  | T < L     | RERUN L with its logged input                              |
 *   | L       | C = L-1  | T = L     | LOG_COMMIT: commits/L was lost with the process            |
 *   | L       | C < L-1  | T < L-1   | stop: commits are missing                                  |
 *   | L       | C < L-1  | T = L-1   | RERUN L;  T = L: LOG_COMMIT                                |
 *   | L       |          | T > L     | stop: the table is ahead                                   |
 *
 * Where T = L and the commit says its offsets, they must be those of offsets/L: otherwise an older checkpoint was put
 * back.
 */
#ifndef FRESHET_STREAM_RECOVERY_H
#define FRESHET_STREAM_RECOVERY_H

#include "stream/checkpoint.h"

typedef enum RecoveryAction { RECOVERY_NEXT, RECOVERY_RERUN, RECOVERY_LOG_COMMIT } RecoveryAction;

/* `target_batch` and `target_json` are what the sink's last_batch gave; target_json may be NULL. `place` names the
 * checkpoint folder and `target` the table in errors. E_STREAM_AHEAD, E_STREAM_FOREIGN, E_STREAM_CHECKPOINT. */
Status recovery_decide(const CheckpointState *state, int64_t target_batch, const char *target_json, const char *target,
                       RecoveryAction *out, Error *err);

#endif
