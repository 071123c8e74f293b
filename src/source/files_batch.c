/* read_files(...) outside a stream: all files that match now. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "source/files_infer.h"
#include "source/files_parquet.h"
#include "source/files_place.h"
#include "source/files_scan.h"
#include "source/files_set.h"
#include "source/schema_text.h"
#include "source/sources.h"

/* What the relation lives on. */
typedef struct Batch {
    Arena *arena;
    FilesOptions options;
    FilesPlace *place;
    FilesColumns columns;
    FilesFindings findings;
    FilesItem *items;
    size_t n, capacity;
    FilesSet *seen;
    StreamRelation scan; /* the relation itself, whose owner we hide */
} Batch;

static void batch_release(void *owner)
{
    Batch *batch = owner;
    if (batch == NULL) {
        return;
    }
    stream_relation_release(&batch->scan);
    files_columns_fini(&batch->columns);
    files_place_free(batch->place);
    files_set_free(batch->seen);
    mem_free(batch->items);
    arena_free(batch->arena);
    mem_free(batch);
}

static int64_t batch_rows(void *owner)
{
    return atomic_load(&((Batch *)owner)->findings.rows);
}

static int64_t batch_bad_rows(void *owner)
{
    const FilesFindings *findings = &((Batch *)owner)->findings;
    return atomic_load(&findings->corrupt) + atomic_load(&findings->rescued);
}

static void add_file(void *context, const char *path, const struct stat *st)
{
    Batch *batch = context;
    int64_t mtime_us = (int64_t)st->st_mtim.tv_sec * 1000000 + st->st_mtim.tv_nsec / 1000;

    if (!files_set_add(batch->seen, path) || mtime_us <= batch->options.modified_after_us ||
        mtime_us >= batch->options.modified_before_us) {
        return;
    }
    batch->items = mem_grow(batch->items, batch->n, &batch->capacity, sizeof *batch->items);
    batch->items[batch->n++] = (FilesItem){arena_strdup(batch->arena, path), st->st_size, mtime_us};
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const FilesItem *)a)->path, ((const FilesItem *)b)->path);
}

static Status list_files(Batch *batch, Error *err)
{
    FilesVisitor visitor = {.file = add_file, .context = batch};
    Status rc = files_place_list(batch->place, &visitor, err);
    if (rc != OK) {
        return rc;
    }
    if (batch->n == 0) {
        error_set(err, E_IO_NOT_FOUND, "read_files: no file matches %s", files_place_text(batch->place));
        error_hint(err, "%s",
                   files_place_exists(batch->place) ? "names that begin with '_' or '.' are not read"
                                                    : "the folder does not exist");
        return ERR_NOT_FOUND;
    }
    qsort(batch->items, batch->n, sizeof *batch->items, by_path);
    return OK;
}

static char *listing_text(const Batch *batch)
{
    uint64_t digest = 0;
    for (size_t i = 0; i < batch->n; i++) {
        const FilesItem *item = &batch->items[i];
        const int64_t facts[] = {item->size, item->mtime_us, (int64_t)hash_bytes(item->path, strlen(item->path)),
                                 (int64_t)digest};
        digest = hash_bytes(facts, sizeof facts);
    }
    Text text = TEXT(128);
    text_printf(&text, "files:%zu:%016" PRIx64, batch->n, digest);
    return text_take(&text);
}

static Status find_schema(Batch *batch, DuckConn *conn, Error *err)
{
    DeltaSchema *data;
    Status rc = batch->options.schema_text
                    ? schema_text_parse(conn, "schema", batch->options.schema_text, &data, err)
                    : files_infer(conn, &batch->options, batch->items, batch->n, INFER_SAMPLE, &data, err);
    if (rc == OK) {
        rc = files_columns_init(&batch->columns, data, &batch->options, batch->arena, err);
        delta_schema_unref(data);
    }
    return rc;
}

Status source_files_relation(Duck *duck, DuckConn *conn, const char *place, const StreamOption *options, size_t n,
                             StreamRelation *out, char **listing, Error *err)
{
    Batch *batch = mem_alloc(sizeof *batch);
    FilesOptions *o = &batch->options;
    Status rc;

    batch->arena = arena_new();
    batch->seen = files_set_new();
    TRY(files_options_read(options, n, batch->arena, o, err));
    o->evolution = o->evolution == EVOLVE_ADD ? EVOLVE_RESCUE : o->evolution; /* nothing is read again here */
    TRY(files_place_new(place, o, &batch->place, err));
    TRY(list_files(batch, err));
    TRY(files_format_find(o, batch->items[0].path, err));
    TRY(find_schema(batch, conn, err));
    if (o->format == FILES_PARQUET) {
        TRY(files_parquet_relation(conn, o, &batch->columns, batch->items, batch->n, &batch->scan, err));
    } else {
        TRY(files_scan_relation(duck, o, &batch->columns, batch->items, batch->n, &batch->findings, &batch->scan, err));
    }
    *out = (StreamRelation){.sql = mem_strdup(batch->scan.sql),
                            .files = batch->scan.files,
                            .bytes = batch->scan.bytes,
                            .rows = batch->scan.rows,
                            .rows_read = batch_rows,
                            .bad_rows = batch_bad_rows,
                            .owner = batch,
                            .release = batch_release};
    if (listing != NULL) {
        *listing = listing_text(batch);
    }
out:
    if (rc != OK) {
        batch_release(batch);
    }
    return rc;
}
