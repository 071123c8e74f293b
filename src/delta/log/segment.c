/* A listing of _delta_log sorted into commits, checkpoints, compactions and checksums, and which checkpoints are
 * whole. */
#include "delta/log/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_checkpoint(DeltaLogKind kind)
{
    return kind == DELTA_LOG_CHECKPOINT || kind == DELTA_LOG_CHECKPOINT_PART || kind == DELTA_LOG_CHECKPOINT_UUID;
}

static bool keep(void *context, const StoreEntry *entry)
{
    DeltaListing *listing = context;
    DeltaLogFile file = {.size = entry->info.size, .mtime_ms = entry->info.mtime_ms};

    if (entry->info.is_dir || !delta_log_name_parse(entry->name, &file.name) || file.name.version < listing->from ||
        (is_checkpoint(file.name.kind) && file.size == 0)) {
        return true;
    }
    if (file.name.kind != DELTA_LOG_COMMIT && file.name.kind != DELTA_LOG_CHECKSUM) {
        file.text = arena_strdup(listing->arena, entry->name);
    }
    listing->files = mem_grow(listing->files, listing->n, &listing->capacity, sizeof *listing->files);
    listing->files[listing->n++] = file;
    return true;
}

void delta_log_file_key(const DeltaLogFile *file, char out[DELTA_LOG_KEY_MAX])
{
    if (file->text != NULL) {
        snprintf(out, DELTA_LOG_KEY_MAX, "%s/%s", DELTA_LOG_DIR, file->text);
    } else {
        snprintf(out, DELTA_LOG_KEY_MAX, "%s/%020" PRId64 ".%s", DELTA_LOG_DIR, file->name.version,
                 file->name.kind == DELTA_LOG_COMMIT ? "json" : "crc");
    }
}

Status delta_listing_read(Store *store, int64_t from, DeltaListing **out, Error *err)
{
    DeltaListing *listing = mem_alloc(sizeof *listing);
    char start[DELTA_LOG_NAME_MAX];
    Status rc = OK;

    listing->arena = arena_new();
    listing->from = from;
    snprintf(start, sizeof start, "%020" PRId64, from);
    TRY(store_list(store, DELTA_LOG_DIR, start, keep, listing, err));
    *out = listing;
out:
    if (rc != OK) {
        delta_listing_free(listing);
    }
    return rc;
}

void delta_listing_free(DeltaListing *listing)
{
    if (listing != NULL) {
        mem_free(listing->files);
        arena_free(listing->arena);
        mem_free(listing);
    }
}

/* First file of a version or later. */
static size_t lower_bound(const DeltaListing *listing, int64_t version)
{
    size_t low = 0, high = listing->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (listing->files[middle].name.version < version) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const DeltaLogFile *delta_listing_commit(const DeltaListing *listing, int64_t version)
{
    for (size_t i = lower_bound(listing, version); i < listing->n && listing->files[i].name.version == version; i++) {
        if (listing->files[i].name.kind == DELTA_LOG_COMMIT) {
            return &listing->files[i];
        }
    }
    return NULL;
}

const DeltaLogFile *delta_listing_compaction(const DeltaListing *listing, int64_t version, int64_t end_max)
{
    const DeltaLogFile *best = NULL;

    for (size_t i = lower_bound(listing, version); i < listing->n && listing->files[i].name.version == version; i++) {
        const DeltaLogFile *file = &listing->files[i];
        if (file->name.kind == DELTA_LOG_COMPACTION && file->name.end <= end_max &&
            (best == NULL || file->name.end > best->name.end)) {
            best = file;
        }
    }
    return best;
}

bool delta_listing_commits(const DeltaListing *listing, int64_t *first, int64_t *last)
{
    bool found = false;

    for (size_t i = 0; i < listing->n; i++) {
        if (listing->files[i].name.kind == DELTA_LOG_COMMIT) {
            *first = found ? *first : listing->files[i].name.version;
            *last = listing->files[i].name.version;
            found = true;
        }
    }
    return found;
}

/* ---- checkpoints ---- */

static void add_single(DeltaListing *listing, const DeltaLogFile *file, DeltaCheckpointFiles *out)
{
    *out = (DeltaCheckpointFiles){.version = file->name.version,
                                  .kind = file->name.kind,
                                  .json = file->name.json,
                                  .n = 1,
                                  .bytes = file->size,
                                  .mtime_ms = file->mtime_ms};
    out->names = arena_alloc(listing->arena, sizeof *out->names);
    out->names[0] = file->text;
}

/* The parts "1 of p" .. "p of p" stand in the listing in the order of their part, but sets of several p may be mixed.
 */
static bool add_parts(DeltaListing *listing, size_t first, DeltaCheckpointFiles *out)
{
    const DeltaLogName *head = &listing->files[first].name;
    const char **names = NULL;
    uint32_t have = 0;

    if (head->parts > listing->n) {
        return false; /* cannot be complete, whatever it claims */
    }
    *out = (DeltaCheckpointFiles){.version = head->version, .kind = DELTA_LOG_CHECKPOINT_PART, .n = head->parts};
    names = arena_alloc(listing->arena, head->parts * sizeof *names);
    for (size_t i = first; i < listing->n && listing->files[i].name.version == head->version; i++) {
        const DeltaLogFile *file = &listing->files[i];
        if (file->name.kind == DELTA_LOG_CHECKPOINT_PART && file->name.parts == head->parts &&
            names[file->name.part - 1] == NULL) {
            names[file->name.part - 1] = file->text;
            out->bytes += file->size;
            out->mtime_ms = file->mtime_ms;
            have++;
        }
    }
    out->names = names;
    return have == head->parts;
}

static int preferred_first(const void *a, const void *b)
{
    const DeltaCheckpointFiles *x = a, *y = b;

    if (x->version != y->version) {
        return x->version > y->version ? -1 : 1;
    }
    if (x->kind != y->kind) {
        return x->kind > y->kind ? -1 : 1; /* the enum is in that order */
    }
    return x->n != y->n ? (x->n > y->n ? -1 : 1) : strcmp(y->names[0], x->names[0]);
}

DeltaCheckpointFiles *delta_listing_checkpoints(DeltaListing *listing, int64_t version_max, size_t *n)
{
    size_t count = 0;

    for (size_t i = 0; i < listing->n; i++) {
        count += is_checkpoint(listing->files[i].name.kind);
    }
    DeltaCheckpointFiles *list = arena_alloc(listing->arena, (count + 1) * sizeof *list);
    count = 0;
    for (size_t i = 0; i < listing->n; i++) {
        const DeltaLogFile *file = &listing->files[i];
        if (!is_checkpoint(file->name.kind) || file->name.version > version_max) {
            continue;
        }
        if (file->name.kind != DELTA_LOG_CHECKPOINT_PART) {
            add_single(listing, file, &list[count++]);
        } else if (file->name.part == 1 && add_parts(listing, i, &list[count])) {
            count++;
        }
    }
    qsort(list, count, sizeof *list, preferred_first);
    *n = count;
    return list;
}

int64_t delta_listing_newest(DeltaListing *listing)
{
    int64_t first, newest = -1;
    size_t n;

    delta_listing_commits(listing, &first, &newest);
    const DeltaCheckpointFiles *checkpoints = delta_listing_checkpoints(listing, INT64_MAX, &n);
    return n > 0 && checkpoints[0].version > newest ? checkpoints[0].version : newest;
}
