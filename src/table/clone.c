/* CLONE: a transaction over the files of another table, which are copied (deep) or named where they lie (shallow). */
#include "table/clone.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/map.h"
#include "delta/adopt.h"
#include "delta/allowed.h"
#include "delta/dv.h"

enum { PATH_MAX_BYTES = 64 << 10 };

/* What the target has under a path. */
typedef struct Present {
    const char *vector; /* id of its deletion vector */
    bool kept;
} Present;

typedef struct Clone {
    DeltaTable *table, *source;
    const TableClone *is;
    Arena *arena;
    DeltaTransaction *txn;
    Map *present;        /* path in the log -> Present */
    const char **copied; /* keys to be made durable */
    size_t n_copied, capacity;
    TableCloneResult done;
} Clone;

static const char *vector_id(Clone *c, const DeltaFile *file)
{
    Text id = TEXT(PATH_MAX_BYTES);

    delta_file_dv_id(file, &id);
    const char *copy = arena_strdup(c->arena, text_str(&id));
    text_free(&id);
    return copy;
}

/* ---- copying ---- */

static Status copy_bytes(const char *from, int in, const char *to, int out, Error *err)
{
    Status rc = OK;

    for (ssize_t n = 1; n > 0;) {
        n = copy_file_range(in, NULL, out, NULL, 1 << 30, 0);
        if (n < 0 && errno == EINTR) {
            n = 1;
        }
        if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
            char buffer[1 << 16]; /* a file system that cannot copy by itself */
            while ((n = read(in, buffer, sizeof buffer)) > 0) {
                TRY(file_write_fd(out, to, buffer, (size_t)n, err));
            }
        }
        if (n < 0) {
            TRY(error_errno(err, "copying %s to %s", from, to));
        }
    }
out:
    return rc;
}

/* Copies to a name of its own, which becomes the file's when it is whole. The name is none that Delta hides, so that
 * VACUUM takes away what a crash leaves. */
static Status copy_file(const Clone *c, const char *from, const char *key, Error *err)
{
    Status rc = OK;
    int in = -1, out = -1;
    char id[UUID_TEXT];
    Text aside = TEXT(PATH_MAX_BYTES), to = TEXT(PATH_MAX_BYTES);
    const char *slash = strrchr(key, '/');

    TRY(store_mkdirs(delta_table_store(c->table),
                     slash != NULL ? arena_strndup(c->arena, key, (size_t)(slash - key)) : "", err));
    TRY(store_local_path(delta_table_store(c->table), key, &to, err));
    uuid_text(id);
    text_append_n(&aside, text_str(&to), (size_t)(strrchr(text_str(&to), '/') - text_str(&to)) + 1);
    text_printf(&aside, "clone-%s.part", id);
    if ((in = file_open(from, O_RDONLY, 0)) < 0) {
        rc = error_errno(err, "the source needs %s", from);
        error_hint(err, "VACUUM has removed files that only older versions need");
        goto out;
    }
    if ((out = file_open(text_str(&aside), O_WRONLY | O_CREAT | O_EXCL, 0644)) < 0) {
        TRY(error_errno(err, "creating %s", text_str(&aside)));
    }
    TRY(copy_bytes(from, in, text_str(&aside), out, err));
    TRY(failpoint(FP_TABLE_CLONE_AFTER_COPY, err));
    if (rename(text_str(&aside), text_str(&to)) != 0) {
        TRY(error_errno(err, "renaming %s to %s", text_str(&aside), text_str(&to)));
    }
out:
    if (in >= 0) {
        close(in);
    }
    if (out >= 0) {
        close(out);
        if (rc != OK) {
            (void)unlink(text_str(&aside));
        }
    }
    text_free(&aside);
    text_free(&to);
    return rc;
}

/* Copies unless a whole file of that name is there: names of data files are never used twice. */
static Status take_file(Clone *c, const char *from, const char *key, StoreInfo *info, Error *err)
{
    Status rc = OK;
    struct stat there;

    if (stat(from, &there) != 0) {
        rc = error_errno(err, "the source needs %s", from);
        error_hint(err, "VACUUM has removed files that only older versions need");
        goto out;
    }
    if (store_info(delta_table_store(c->table), key, info, NULL) != OK || info->size != there.st_size) {
        TRY(copy_file(c, from, key, err));
        TRY(store_info(delta_table_store(c->table), key, info, err));
    }
    c->copied = mem_grow(c->copied, c->n_copied, &c->capacity, sizeof *c->copied);
    c->copied[c->n_copied++] = arena_strdup(c->arena, key);
out:
    return rc;
}

/* ---- files of the source as the target's ---- */

/* "file:/place" as the log writes it */
static const char *absolute(Clone *c, const char *place)
{
    Text path = TEXT(PATH_MAX_BYTES * 3);

    text_append(&path, "file:");
    text_append_uri(&path, place);
    const char *copy = arena_strdup(c->arena, text_str(&path));
    text_free(&path);
    return copy;
}

/* Where the source's vector is; *key: its name below a table. */
static Status vector_place(Clone *c, const DeltaDeletionVector *dv, Text *place, Text *key, Error *err)
{
    Status rc = OK;
    Text encoded = TEXT(PATH_MAX_BYTES * 3);

    if (dv->storage_type == 'u' && delta_dv_relative_path(dv->path_or_inline, key)) {
        text_append_uri(&encoded, text_str(key));
        TRY(delta_file_location(c->source, text_str(&encoded), place, err));
    } else {
        TRY(delta_file_location(c->source, dv->path_or_inline, place, err));
    }
out:
    text_free(&encoded);
    return rc;
}

/* A vector of its own for the target: copied where its name can stay, else written anew. */
static Status copy_vector(Clone *c, const DeltaDeletionVector *dv, DeltaDeletionVector *out, Error *err)
{
    Status rc = OK;
    Text place = TEXT(PATH_MAX_BYTES), key = TEXT(PATH_MAX_BYTES);
    DeltaBitmap *rows = NULL;
    const char *log_path = NULL;
    StoreInfo info;

    if (dv->storage_type == 'i') {
        goto out;
    }
    if (dv->storage_type == 'u') {
        TRY(vector_place(c, dv, &place, &key, err));
        TRY(take_file(c, text_str(&place), text_str(&key), &info, err));
    } else {
        TRY(delta_dv_load(c->source, dv, &rows, err));
        const DeltaBitmap *const one[] = {rows};
        TRY(delta_dv_write(c->table, one, 1, c->arena, out, &log_path, err));
        delta_transaction_wrote(c->txn, log_path);
    }
out:
    delta_bitmap_free(rows);
    text_free(&place);
    text_free(&key);
    return rc;
}

static Status point_at_vector(Clone *c, const DeltaDeletionVector *dv, DeltaDeletionVector *out, Error *err)
{
    Status rc = OK;
    Text place = TEXT(PATH_MAX_BYTES), key = TEXT(PATH_MAX_BYTES);

    if (dv->storage_type == 'u') {
        TRY(vector_place(c, dv, &place, &key, err));
        out->storage_type = 'p';
        out->path_or_inline = absolute(c, text_str(&place));
    }
out:
    text_free(&place);
    text_free(&key);
    return rc;
}

/* The file's path in the target's log. A deep clone keeps relative ones; files that lie elsewhere come into its
 * folder. */
static Status target_path(Clone *c, const DeltaFile *file, const char **path, Text *place, Error *err)
{
    Status rc = OK;

    TRY(delta_file_location(c->source, file->path, place, err));
    if (c->is->shallow && !delta_allowed_path(text_str(place))) {
        rc = error_set(err, E_DELTA_PATH, "a shallow clone would name %s, which nobody may read through its log",
                       text_str(place));
        error_hint(err, "list that folder in freshet.allowedPaths (FRESHET_ALLOWED_PATHS), where the clone is read, "
                        "too, or make a DEEP CLONE");
        goto out;
    }
    bool elsewhere = strchr(file->path, ':') != NULL || file->path[0] == '/';
    if (c->is->shallow) {
        *path = absolute(c, text_str(place));
    } else if (elsewhere) {
        Text name = TEXT(PATH_MAX_BYTES); /* files of several folders may have the same name */
        text_printf(&name, "%016" PRIx64 "-", hash_bytes(place->data, place->length));
        text_append_uri(&name, strrchr(text_str(place), '/') + 1);
        *path = arena_strdup(c->arena, text_str(&name));
        text_free(&name);
    } else {
        *path = file->path;
    }
out:
    return rc;
}

static Status copy_data(Clone *c, const char *place, const DeltaFile *file, DeltaFile *add, Error *err)
{
    Status rc = OK;
    StoreInfo info;
    Text key = TEXT(PATH_MAX_BYTES);

    if (!text_append_uri_decoded(&key, add->path)) {
        TRY(error_set(err, E_DELTA_PATH, "the path '%s' is malformed", add->path));
    }
    TRY(take_file(c, place, text_str(&key), &info, err));
    add->modification_time = info.mtime_ms;
    c->done.files_copied++;
    c->done.bytes_copied += file->size;
out:
    text_free(&key);
    return rc;
}

/* A file of the source. What the target has under the same path, with the same rows deleted, stays as it is. */
static Status visit_source(void *context, const DeltaFile *file, Error *err)
{
    Status rc = OK;
    Clone *c = context;
    Text place = TEXT(PATH_MAX_BYTES);
    DeltaFile add = *file;
    DeltaDeletionVector vector;
    Present *present = NULL;

    c->done.source_files++;
    c->done.source_bytes += file->size;
    TRY(target_path(c, file, &add.path, &place, err));
    if (file->deletion_vector != NULL) {
        vector = *file->deletion_vector;
        add.deletion_vector = &vector;
        TRY(c->is->shallow ? point_at_vector(c, file->deletion_vector, &vector, err) : OK);
    }
    present = map_get(c->present, add.path);
    if (present != NULL && strcmp(present->vector, vector_id(c, &add)) == 0) {
        present->kept = true;
        goto out;
    }
    if (!c->is->shallow && file->deletion_vector != NULL) {
        TRY(copy_vector(c, file->deletion_vector, &vector, err));
    }
    if (!c->is->shallow && present == NULL) {
        TRY(copy_data(c, text_str(&place), file, &add, err));
    }
    add.data_change = true;
    delta_transaction_add(c->txn, &add);
out:
    text_free(&place);
    return rc;
}

static Status visit_target(void *context, const DeltaFile *file, Error *err)
{
    Clone *c = context;
    Present *present = arena_alloc(c->arena, sizeof *present);

    (void)err;
    present->vector = vector_id(c, file);
    map_put(c->present, file->path, present);
    return OK;
}

/* A file of the target again: it goes unless the source has it. */
static Status visit_leftover(void *context, const DeltaFile *file, Error *err)
{
    Clone *c = context;
    const Present *present = map_get(c->present, file->path);

    (void)err;
    if (present != NULL && !present->kept) {
        delta_transaction_remove(c->txn, file, true);
        c->done.files_removed++;
        c->done.bytes_removed += file->size;
    }
    return OK;
}

/* ---- commitInfo ---- */

static void describe(Clone *c, const DeltaSnapshot *source)
{
    char version[32];

    if (c->is->like) {
        delta_transaction_operation(c->txn, "CREATE TABLE");
        return;
    }
    delta_transaction_operation(c->txn, "CLONE");
    snprintf(version, sizeof version, "%lld", (long long)delta_snapshot_version(source));
    delta_transaction_parameter_text(c->txn, "source", c->is->source_name);
    delta_transaction_parameter(c->txn, "sourceVersion", version);
    delta_transaction_metric(c->txn, "sourceTableSize", c->done.source_bytes);
    delta_transaction_metric(c->txn, "sourceNumOfFiles", c->done.source_files);
    delta_transaction_metric(c->txn, "numRemovedFiles", c->done.files_removed);
    delta_transaction_metric(c->txn, "numCopiedFiles", c->done.files_copied);
    delta_transaction_metric(c->txn, "removedFilesSize", c->done.bytes_removed);
    delta_transaction_metric(c->txn, "copiedFilesSize", c->done.bytes_copied);
}

/* ---- all of it ---- */

static Status clone_into(Clone *c, DuckConn *conn, DeltaSnapshot *source, DeltaSnapshot *target, Error *err)
{
    Status rc = OK;
    int64_t version = 0;

    TRY(delta_transaction_begin(c->table, target, conn, &c->txn, err));
    TRY(delta_transaction_adopt(c->txn, source, err));
    for (size_t i = 0; i < c->is->n_properties; i++) {
        TRY(delta_transaction_set_property(c->txn, c->is->properties[i].key, c->is->properties[i].value, err));
    }
    if (target != NULL) {
        delta_transaction_read_table(c->txn);
        TRY(delta_snapshot_each_file(target, conn, visit_target, c, err));
    }
    if (!c->is->like) {
        TRY(delta_snapshot_each_file(source, conn, visit_source, c, err));
    }
    if (target != NULL) {
        TRY(delta_snapshot_each_file(target, conn, visit_leftover, c, err));
    }
    TRY(store_sync_many(delta_table_store(c->table), c->copied, c->n_copied, err));
    describe(c, source);
    TRY(failpoint(FP_TABLE_CLONE_BEFORE_COMMIT, err));
    TRY(delta_transaction_commit(c->txn, &version, err));
    delta_table_maintain(c->table, conn);
    c->done.done = true;
out:
    return rc;
}

Status table_clone(DeltaTable *table, DuckConn *conn, DeltaSnapshot *source, const TableClone *clone,
                   TableCloneResult *result, Error *err)
{
    Status rc = OK;
    Clone c = {.table = table,
               .source = delta_snapshot_table(source),
               .is = clone,
               .arena = arena_new(),
               .present = map_new()};
    DeltaSnapshot *target = NULL;
    bool exists = false;

    if (strcmp(delta_table_uri(table), delta_table_uri(c.source)) == 0) {
        rc = error_set(err, E_DELTA_EXISTS, "a table cannot be cloned into itself: %s", delta_table_uri(table));
        error_hint(err, "RESTORE TABLE goes back to an older version");
        goto out;
    }
    TRY(delta_table_exists(table, &exists, err));
    if (exists && clone->if_not_exists) {
        *result = c.done;
        goto out;
    }
    if (exists && !clone->or_replace) {
        rc = error_set(err, E_DELTA_EXISTS, "there is a table at %s already", delta_table_uri(table));
        error_hint(err, "CREATE OR REPLACE TABLE ... CLONE brings it to the source's content");
        goto out;
    }
    if (exists) {
        TRY(delta_table_snapshot(table, conn, &target, err));
    }
    TRY(clone_into(&c, conn, source, target, err));
    *result = c.done;
out:
    delta_transaction_free(c.txn);
    delta_snapshot_unref(target);
    map_free(c.present, NULL);
    mem_free(c.copied);
    arena_free(c.arena);
    return rc;
}
