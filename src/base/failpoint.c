#include "base/failpoint.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name, *text;
} POINTS[] = {
#define FAILPOINT(id, name, text) {name, text},
#include "base/failpoints.def"
#undef FAILPOINT
};

static const char *const ACTION_NAMES[] = {"off", "crash", "error", "pause", "fail"};
enum { ACTION_COUNT = sizeof(ACTION_NAMES) / sizeof(*ACTION_NAMES) };

static struct {
    atomic_int action; /* FailpointAction */
    atomic_int hit;
    atomic_int hits;
} state[FAILPOINT_COUNT];

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int trace_fd = -1;
static char mistake[256]; /* what is wrong with FRESHET_FAILPOINT; a test must not pass because of a typing error */

static void arm(int id, FailpointAction action, int hit)
{
    atomic_store(&state[id].hit, hit);
    atomic_store(&state[id].action, (int)action);
}

static int lookup(const char *name)
{
    for (int i = 0; i < FAILPOINT_COUNT; i++) {
        if (strcmp(POINTS[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

static int lookup_action(const char *name)
{
    for (int i = 0; i < ACTION_COUNT; i++) {
        if (strcmp(ACTION_NAMES[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

/* One "name=action[@hit]"; without a hit, the first. */
static void arm_from_text(char *text)
{
    char *action_text = strchr(text, '=');
    char *hit_text = action_text ? strchr(action_text, '@') : NULL;
    char *end = NULL;
    long hit = 1;
    int action = -1;

    if (action_text) {
        *action_text++ = '\0';
    }
    if (hit_text) {
        *hit_text++ = '\0';
        hit = strtol(hit_text, &end, 10);
    }
    if (action_text) {
        action = lookup_action(action_text);
    }
    int id = lookup(text);
    if (id < 0) {
        snprintf(mistake, sizeof(mistake), "there is no failpoint '%.100s'", text);
    } else if (action < 0 || hit < 0 || hit > INT32_MAX || (hit_text && (end == hit_text || *end != '\0'))) {
        snprintf(mistake, sizeof(mistake), "failpoint '%s' needs =crash, =error, =fail or =pause, then @hit", text);
    } else {
        arm(id, (FailpointAction)action, (int)hit);
    }
}

static void read_environment(void)
{
    const char *armed = getenv("FRESHET_FAILPOINT"), *trace = getenv("FRESHET_FAILPOINT_TRACE");

    if (trace && *trace) {
        trace_fd = open(trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
        if (trace_fd < 0) {
            snprintf(mistake, sizeof(mistake), "cannot open FRESHET_FAILPOINT_TRACE");
        }
    }
    char *copy = armed ? strdup(armed) : NULL;
    char *rest = NULL;
    for (char *one = copy ? strtok_r(copy, ";", &rest) : NULL; one; one = strtok_r(NULL, ";", &rest)) {
        arm_from_text(one);
    }
    free(copy);
}

static void trace(FailpointId id)
{
    char line[128];
    int n = snprintf(line, sizeof(line), "%s\n", POINTS[id].name);
    ssize_t ignored = write(trace_fd, line, (size_t)n);
    (void)ignored;
}

Status failpoint(FailpointId id, Error *err)
{
    pthread_once(&once, read_environment);
    if (mistake[0] != '\0') {
        return error_set(err, E_USAGE, "FRESHET_FAILPOINT: %s", mistake);
    }
    int hits = 1 + atomic_fetch_add(&state[id].hits, 1);
    if (trace_fd >= 0) {
        trace(id);
    }
    int action = atomic_load(&state[id].action);
    int hit = atomic_load(&state[id].hit);
    if (action == FAILPOINT_OFF || (hit != 0 && hit != hits)) {
        return OK;
    }
    switch (action) {
    case FAILPOINT_CRASH:
        kill(getpid(), SIGKILL);
        pause(); /* the signal may arrive a moment later; nothing must happen until then */
        return OK;
    case FAILPOINT_PAUSE: raise(SIGSTOP); return OK;
    default:
        error_set(err, E_FAILPOINT, "failpoint %s, hit %d", POINTS[id].name, hits);
        if (action == FAILPOINT_ERROR) {
            error_flag(err, ERROR_RETRIABLE);
        }
        return ERROR_DEFS[E_FAILPOINT].status;
    }
}

const char *failpoint_name(FailpointId id)
{
    return POINTS[id].name;
}

const char *failpoint_text(FailpointId id)
{
    return POINTS[id].text;
}

void failpoint_arm(FailpointId id, FailpointAction action, int hit)
{
    pthread_once(&once, read_environment);
    arm((int)id, action, hit);
}

bool failpoint_arm_named(const char *name, const char *action, int hit)
{
    int id = lookup(name), what = lookup_action(action);

    if (id < 0 || what < 0 || hit < 0) {
        return false;
    }
    atomic_store(&state[id].hits, 0);
    failpoint_arm((FailpointId)id, (FailpointAction)what, hit);
    return true;
}

void failpoint_reset(void)
{
    pthread_once(&once, read_environment);
    for (int i = 0; i < FAILPOINT_COUNT; i++) {
        arm(i, FAILPOINT_OFF, 0);
        atomic_store(&state[i].hits, 0);
    }
}

int failpoint_hits(FailpointId id)
{
    return atomic_load(&state[id].hits);
}
