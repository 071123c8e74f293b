/* What this process may use: the machine, narrowed by its CPU mask and by the cgroups it lives in.
 *
 * cgroup v2: the limits of every group from ours up to the root count ("memory.max", "cpu.max"; "max" = none), found
 * through the "0::" line of /proc/self/cgroup. cgroup v1: the memory controller's own file. A container usually sees
 * only its own group, mounted as the root.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "duck/duck_int.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
enum { PATH_TEXT_MAX = 4096 };

/* A whole small file; false when it cannot be read. */
static bool read_small(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, out, size - 1);
    close(fd);
    out[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* The group's path below the cgroup2 mount, "" for the root or when unknown. */
static void own_group(char *out, size_t size)
{
    char text[PATH_TEXT_MAX];
    out[0] = '\0';
    if (!read_small("/proc/self/cgroup", text, sizeof text)) {
        return;
    }
    for (char *line = text, *save = NULL; (line = strtok_r(line, "\n", &save)) != NULL; line = NULL) {
        if (str_starts(line, "0::/")) {
            snprintf(out, size, "%s", strcmp(line, "0::/") == 0 ? "" : line + 3);
        }
    }
}

/* Calls `see` with the content of `name` in our group and each of its parents. */
static void walk_groups(const char *name, void (*see)(const char *text, void *context), void *context)
{
    char group[PATH_TEXT_MAX], path[2 * PATH_TEXT_MAX], text[256];
    own_group(group, sizeof group);
    for (;;) {
        snprintf(path, sizeof path, CGROUP_ROOT "%s/%s", group, name);
        if (read_small(path, text, sizeof text)) {
            see(text, context);
        }
        char *slash = strrchr(group, '/');
        if (slash == NULL) {
            return;
        }
        *slash = '\0';
    }
}

static void see_memory(const char *text, void *context)
{
    int64_t *smallest = context;
    char *end;
    long long limit = strtoll(text, &end, 10);
    if (end != text && limit > 0 && limit < *smallest) {
        *smallest = limit;
    }
}

int64_t duck_limit_memory_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    int64_t smallest = pages > 0 && page > 0 ? (int64_t)pages * page : INT64_C(4) << 30;
    walk_groups("memory.max", see_memory, &smallest);
    char text[256];
    if (read_small(CGROUP_ROOT "/memory/memory.limit_in_bytes", text, sizeof text)) {
        see_memory(text, &smallest);
    }
    return smallest;
}

/* "<quota> <period>" in microseconds of CPU per period. */
static void see_quota(const char *text, void *context)
{
    int *fewest = context;
    char *end;
    long long quota = strtoll(text, &end, 10);
    if (end == text || quota <= 0) {
        return;
    }
    long long period = strtoll(end, NULL, 10);
    if (period > 0) {
        long long cpus = (quota + period - 1) / period;
        if (cpus < *fewest) {
            *fewest = (int)cpus;
        }
    }
}

int duck_limit_threads(void)
{
    cpu_set_t set;
    int fewest = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    walk_groups("cpu.max", see_quota, &fewest);
    return fewest < 1 ? 1 : fewest;
}
