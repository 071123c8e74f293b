/* Failpoints: named places before and after every external effect, where a test can stop the program.
 *
 * Each is one line of failpoints.def: FAILPOINT(DELTA_COMMIT_BEFORE_PUBLISH, "delta.commit.before_publish", "...").
 * A place is marked with `TRY(failpoint(FP_DELTA_COMMIT_BEFORE_PUBLISH, err));`. The environment variable
 * FRESHET_FAILPOINT="name=action@hit[;...]" arms it; `hit` counts from 1, 0 = every hit. Actions:
 *   crash   SIGKILL to ourselves
 *   error   the function fails with E_FAILPOINT (retriable)
 *   fail    the same, not retriable: what runs ends there, as if the process had died
 *   pause   stops (SIGSTOP) so that another process can overtake
 * FRESHET_FAILPOINT_TRACE=file appends "name\n" per hit, so that a sweep knows how often each is passed.
 */
#ifndef FRESHET_BASE_FAILPOINT_H
#define FRESHET_BASE_FAILPOINT_H

#include "base/error.h"

typedef enum FailpointId {
#define FAILPOINT(id, name, text) FP_##id,
#include "base/failpoints.def"
#undef FAILPOINT
    FAILPOINT_COUNT
} FailpointId;

typedef enum FailpointAction {
    FAILPOINT_OFF,
    FAILPOINT_CRASH,
    FAILPOINT_ERROR,
    FAILPOINT_PAUSE,
    FAILPOINT_FAIL
} FailpointAction;

/* The place is passed: does what it is armed with. E_USAGE when FRESHET_FAILPOINT cannot be read. */
Status failpoint(FailpointId id, Error *err);
const char *failpoint_name(FailpointId id);
const char *failpoint_text(FailpointId id); /* for the manual */

/* Arms one from inside the process (tests); `hit` as above. */
void failpoint_arm(FailpointId id, FailpointAction action, int hit);
/* The same by name ("error", "off", ...), its hits counted from now on. False when there is no such place or action. */
bool failpoint_arm_named(const char *name, const char *action, int hit);
/* Disarms all and clears the counts. */
void failpoint_reset(void);
/* How often the place has been passed. */
int failpoint_hits(FailpointId id);

#endif
