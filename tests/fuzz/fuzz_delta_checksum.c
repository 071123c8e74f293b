/* The checksum file of a version, with the commit of the next one behind its first line: believed or passed over, and
 * what is added up from both stays a number of files. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "delta/log/checksum.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void advance(Store *store, DeltaChecksum *checksum)
{
    DeltaCommit commit = {.version = 8, .arena = arena_new()};
    DeltaAction *actions;
    DeltaChecksum before = *checksum;

    if (delta_log_read_actions(store, "commit", commit.arena, &actions, &commit.n_actions, NULL, NULL) == OK) {
        commit.actions = actions;
        if (!delta_checksum_advance(checksum, &commit) && !delta_checksum_equal(checksum, &before)) {
            abort();
        }
    }
    if (checksum->files < 0 || checksum->bytes < 0) {
        abort();
    }
    arena_free(commit.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Store *store;
    const uint8_t *line_end = memchr(data, '\n', size), *rest = line_end ? line_end + 1 : data + size;
    DeltaChecksum checksum;
    bool found;

    if (!store && store_open("memory://fuzz-delta-checksum", &store, NULL) != OK) {
        abort();
    }
    if (store_put(store, "_delta_log/00000000000000000007.crc", data, (size_t)(rest - data), NULL) != OK ||
        store_put(store, "commit", rest, (size_t)(data + size - rest), NULL) != OK ||
        delta_checksum_read(store, 7, "table", &checksum, &found, NULL) != OK) {
        abort();
    }
    if (found) {
        advance(store, &checksum);
    }
    return 0;
}
