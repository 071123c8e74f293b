/* Files as a stream, in the manner of Spark's file source and of Auto Loader.
 *
 * Offsets are {"logOffset":N}: everything up to entry N of the source's log (files_log.h). One latest() makes one
 * entry: the oldest pending files under the limits, written down before the offset is. A restart offers first what
 * the log has and no offset names.
 *
 * The schema is given, or inferred from the first files and kept (files_schema.h). It grows in two ways, both durable
 * before anything is read with it:
 *   latest() looks at the head of each file it takes; a new column there ends the batch before that file, or, if it
 *            is the first one, extends the schema at once and has the flow planned anew;
 *   learnt() a new column deeper in a file ends the statement that meets it; then all files of the batch are looked
 *            through, the schema is extended, and the flow runs the same batch again. So no row is there twice or never.
 */
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "source/files_clean.h"
#include "source/files_finder.h"
#include "source/files_infer.h"
#include "source/files_parquet.h"
#include "source/files_scan.h"
#include "source/files_schema.h"
#include "source/schema_text.h"
#include "source/sources.h"

typedef struct FilesSource {
    StreamSource base;
    Arena *arena; /* options, and columns of all schemas there were */
    Duck *duck;
    Store *checkpoint;
    char *dir;
    FilesOptions options;
    FilesPlace *place;
    FilesSet *known;
    FilesLog *log; /* NULL until first asked for something */
    FilesFinder *finder;
    bool started; /* the existing files were settled (includeExistingFiles) */

    DeltaSchema *data;     /* NULL: not known yet */
    int64_t schema_number; /* of the next schema */
    FilesColumns *columns;

    FilesFindings findings;       /* of the last relation */
    int64_t read_start, read_end; /* its range */
    int64_t cleaned;              /* entries up to it were cleaned in this run */
} FilesSource;

/* ---- offsets ---- */

static Status parse_offset(const char *text, int64_t *out, Error *err)
{
    json_t *object = NULL;
    Error cause = ERROR_NONE;
    JsonSource source = {.name = "offset"};

    if (text == NULL) {
        *out = -1;
        return OK;
    }
    if (str_parse_i64(text, out)) {
        return OK;
    }
    Status rc = json_parse_object(text, strlen(text), &source, &object, &cause);
    if (rc == OK) {
        rc = json_get_i64(object, "logOffset", out, &cause);
        json_decref(object);
    }
    return rc == OK ? OK : error_set(err, E_SOURCE_OFFSET, "\"%s\" is not an offset of a file source", text);
}

static char *offset_text(int64_t id)
{
    Text text = TEXT(64);
    text_printf(&text, "{\"logOffset\":%" PRId64 "}", id);
    return text_take(&text);
}

/* ---- schema ---- */

static Status use_schema(FilesSource *s, DeltaSchema *data, Error *err)
{
    FilesColumns *columns = arena_alloc(s->arena, sizeof *columns);
    Status rc = files_columns_init(columns, data, &s->options, s->arena, err);
    if (rc == OK) {
        if (s->columns != NULL) {
            files_columns_fini(s->columns);
        }
        delta_schema_unref(s->data);
        s->columns = columns;
        s->data = delta_schema_ref(data);
    }
    return rc;
}

/* Keeps a schema that was inferred or extended, then uses it. */
static Status keep_schema(FilesSource *s, DeltaSchema *data, Error *err)
{
    Status rc = files_schema_save(s->checkpoint, s->dir, s->schema_number, data, err);
    if (rc == OK) {
        s->schema_number++;
        rc = use_schema(s, data, err);
    }
    return rc;
}

/* The files of the log's entries in (start, end] that are to be read. */
static Status logged_items(const FilesSource *s, int64_t start, int64_t end, FilesItem **out, size_t *n, Error *err)
{
    FilesEntry *entries;
    size_t n_entries;
    Status rc = files_log_range(s->log, start, end, &entries, &n_entries, err);
    if (rc != OK) {
        return rc;
    }
    FilesItem *items = mem_alloc((n_entries + 1) * sizeof *items);
    *n = 0;
    for (size_t i = 0; i < n_entries; i++) {
        if (entries[i].item.size >= 0) {
            items[(*n)++] = entries[i].item;
        }
    }
    mem_free(entries);
    *out = items;
    return OK;
}

static Status open_log(FilesSource *s, Error *err)
{
    return s->log != NULL ? OK : files_log_open(s->checkpoint, s->dir, s->duck, s->known, &s->log, err);
}

static Status infer_from(FilesSource *s, DuckConn *conn, const FilesItem *items, size_t n, Error *err)
{
    DeltaSchema *data = NULL;
    Status rc;

    TRY(files_format_find(&s->options, items[0].path, err));
    n = n > INFER_SAMPLE_FILES ? INFER_SAMPLE_FILES : n;
    TRY(files_infer(conn, &s->options, items, n, INFER_SAMPLE, &data, err));
    TRY(keep_schema(s, data, err));
out:
    delta_schema_unref(data);
    return rc;
}

static bool any_bytes(const FilesItem *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (items[i].size > 0) {
            return true;
        }
    }
    return false;
}

/* From the pending files. Where there are only such as are not complete yet they are waited for, so that a run that
 * ends does not end without having seen them. */
static Status infer_schema(FilesSource *s, DuckConn *conn, Error *err)
{
    size_t n;
    Status rc = files_finder_refresh(s->finder, err);
    const FilesItem *items = rc == OK ? files_finder_pending(s->finder, &n) : NULL;

    if (rc == OK && n == 0) {
        files_finder_settle(s->finder);
        items = files_finder_pending(s->finder, &n);
    }
    return rc == OK && any_bytes(items, n) ? infer_from(s, conn, items, n, err) : rc;
}

/* A schema that is given wins over the one that is kept, unless that is the given one with the columns it grew by. */
static Status find_schema(FilesSource *s, DuckConn *conn, Error *err)
{
    DeltaSchema *kept = NULL, *given = NULL;
    Status rc;

    TRY(open_log(s, err));
    TRY(files_schema_load(s->checkpoint, s->dir, &kept, &s->schema_number, err));
    if (s->options.schema_text != NULL) {
        TRY(schema_text_parse(conn, "schema", s->options.schema_text, &given, err));
    }
    bool grown = kept != NULL &&
                 (given == NULL || (s->options.evolution == EVOLVE_ADD && delta_schema_is_additive(given, kept)));
    DeltaSchema *data = grown ? kept : given;
    TRY(data != NULL ? use_schema(s, data, err) : infer_schema(s, conn, err));
out:
    delta_schema_unref(kept);
    delta_schema_unref(given);
    return rc;
}

static Status files_schema(StreamSource *source, DuckConn *conn, DeltaSchema **out, Error *err)
{
    FilesSource *s = (FilesSource *)source;
    Status rc = s->data != NULL ? OK : find_schema(s, conn, err);
    if (rc == OK) {
        *out = s->data ? delta_schema_ref(s->columns->schema) : NULL;
    }
    return rc;
}

/* ---- the next batch ---- */

/* includeExistingFiles = false: what is there at the very first start becomes an entry that is seen and not read. */
static Status pass_over_existing(FilesSource *s, Error *err)
{
    size_t n;
    const FilesItem *items = files_finder_pending(s->finder, &n);
    FilesItem *passed = mem_alloc((n + 1) * sizeof *passed);

    for (size_t i = 0; i < n; i++) {
        passed[i] = items[i];
        passed[i].size = -1;
    }
    Status rc = files_log_append(s->log, passed, n, err);
    if (rc == OK) {
        files_finder_take(s->finder, n);
    }
    mem_free(passed);
    return rc;
}

static Status look(FilesSource *s, Error *err)
{
    Status rc = files_finder_refresh(s->finder, err);
    if (rc == OK && !s->started && !s->options.include_existing && files_log_end(s->log) < 0) {
        rc = pass_over_existing(s, err);
    }
    s->started = s->started || rc == OK;
    return rc;
}

static bool evolves(const FilesSource *s)
{
    return s->options.evolution == EVOLVE_ADD || s->options.evolution == EVOLVE_FAIL;
}

static Status refuse_new_column(const FilesSource *s, const FilesItem *item, const DeltaSchema *extended, Error *err)
{
    const char *name = "(nested)";
    for (size_t i = 0; i < extended->n_fields; i++) {
        if (delta_schema_find(s->data, extended->fields[i].name) == NULL) {
            name = extended->fields[i].name;
            break;
        }
    }
    error_set(err, E_SOURCE_NEW_COLUMN, "%s: the field \"%s\" is not in the schema", item->path, name);
    error_hint(err, "schemaEvolutionMode => 'addNewColumns' takes it up, 'rescue' keeps it in the rescued data");
    return ERR_INVALID;
}

/* Does the head of the file have columns that the schema lacks? *extended = NULL: no, or it cannot be read, which
 * reading will tell. */
static Status peek(const FilesSource *s, DuckConn *conn, const FilesItem *item, DeltaSchema **extended, Error *err)
{
    Error own = ERROR_NONE;
    Status rc = files_extend(conn, &s->options, s->columns, s->data, item, 1, INFER_HEAD, extended, &own);
    if (rc == ERR_CORRUPT || rc == ERR_NOT_FOUND || rc == ERR_IO) {
        *extended = NULL;
        return OK;
    }
    if (rc != OK) {
        *err = own;
    } else if (*extended != NULL && s->options.evolution == EVOLVE_FAIL) {
        rc = refuse_new_column(s, item, *extended, err);
        delta_schema_unref(*extended);
        *extended = NULL;
    }
    return rc;
}

/* How many of the pending files the next batch takes; *changed: none, the schema was extended for the first of them. */
static Status choose(FilesSource *s, DuckConn *conn, bool unlimited, size_t *taken, bool *changed, Error *err)
{
    int64_t bytes = 0;
    size_t n = 0, n_pending;

    for (files_finder_pending(s->finder, &n_pending); n < n_pending; files_finder_pending(s->finder, &n_pending)) {
        DeltaSchema *extended = NULL;
        if (!unlimited && ((int64_t)n >= s->options.files_max || bytes >= s->options.bytes_max)) {
            break;
        }
        if (!files_finder_confirm(s->finder, n)) {
            continue;
        }
        const FilesItem *item = &files_finder_pending(s->finder, &n_pending)[n];
        Status rc = evolves(s) ? peek(s, conn, item, &extended, err) : OK;
        if (rc == OK && extended != NULL && n == 0) {
            rc = keep_schema(s, extended, err);
            *changed = rc == OK;
        }
        bool stop = rc != OK || extended != NULL;
        delta_schema_unref(extended);
        if (rc != OK) {
            return rc;
        }
        if (stop) {
            break;
        }
        bytes += item->size;
        n++;
    }
    *taken = n;
    return OK;
}

static Status files_latest(StreamSource *source, DuckConn *conn, const char *start, bool unlimited, char **end,
                           bool *schema_changed, Error *err)
{
    FilesSource *s = (FilesSource *)source;
    int64_t from;
    size_t n = 0, n_pending;
    Status rc;

    *end = NULL;
    *schema_changed = false;
    TRY(open_log(s, err));
    TRY(parse_offset(start, &from, err));
    if (from > files_log_end(s->log)) {
        rc = error_set(err, E_SOURCE_DATA_LOSS,
                       "%s/%s ends at entry %" PRId64 ", the checkpoint says that %" PRId64 " was read",
                       store_uri(s->checkpoint), s->dir, files_log_end(s->log), from);
        goto out;
    }
    if (files_log_end(s->log) == from) {
        TRY(look(s, err));
        if (unlimited) {
            files_finder_settle(s->finder);
        }
    }
    if (files_log_end(s->log) > from) {
        *end = offset_text(files_log_end(s->log));
        goto out;
    }
    const FilesItem *items = files_finder_pending(s->finder, &n_pending);
    if (n_pending == 0) {
        goto out;
    }
    TRY(files_format_find(&s->options, items[0].path, err));
    if (s->data == NULL) {
        *schema_changed = true;
        goto out;
    }
    TRY(choose(s, conn, unlimited, &n, schema_changed, err));
    if (n > 0) {
        TRY(files_log_append(s->log, files_finder_pending(s->finder, &n_pending), n, err));
        files_finder_take(s->finder, n);
        *end = offset_text(files_log_end(s->log));
    }
out:
    return rc;
}

static Status files_relation(StreamSource *source, DuckConn *conn, const char *start, const char *end,
                             StreamRelation *out, Error *err)
{
    FilesSource *s = (FilesSource *)source;
    FilesItem *items = NULL;
    size_t n;
    Status rc;

    TRY(open_log(s, err));
    TRY(parse_offset(start, &s->read_start, err));
    TRY(parse_offset(end, &s->read_end, err));
    TRY(logged_items(s, s->read_start, s->read_end, &items, &n, err));
    if (n > 0) {
        TRY(files_format_find(&s->options, items[0].path, err));
    }
    s->findings = (FilesFindings){0};
    TRY(s->options.format == FILES_PARQUET
            ? files_parquet_relation(conn, &s->options, s->columns, items, n, out, err)
            : files_scan_relation(s->duck, &s->options, s->columns, items, n, &s->findings, out, err));
out:
    mem_free(items);
    return rc;
}

/* Looks through the whole batch for new columns, on a connection of its own. */
static Status learn(FilesSource *s, bool *learnt, Error *err)
{
    DuckConn *conn = NULL;
    DeltaSchema *extended = NULL;
    FilesItem *items = NULL;
    size_t n;
    Status rc;

    TRY(duck_connect(s->duck, &conn, err));
    TRY(logged_items(s, s->read_start, s->read_end, &items, &n, err));
    TRY(files_extend(conn, &s->options, s->columns, s->data, items, n, INFER_ALL, &extended, err));
    if (extended != NULL) {
        TRY(keep_schema(s, extended, err));
    } else {
        log_warning("%s: there are fields that cannot become columns; they are rescued from now on",
                    files_place_text(s->place));
        s->options.evolution = EVOLVE_RESCUE;
    }
    *learnt = true;
out:
    delta_schema_unref(extended);
    mem_free(items);
    duck_disconnect(conn);
    return rc;
}

static bool files_learnt(StreamSource *source)
{
    FilesSource *s = (FilesSource *)source;
    Error err = ERROR_NONE;
    bool learnt = false;

    if (s->options.evolution == EVOLVE_ADD && atomic_exchange(&s->findings.unknown_column, false) &&
        learn(s, &learnt, &err) != OK) {
        log_warning("%s: a new column could not be added to the schema: %s", files_place_text(s->place), err.message);
    }
    return learnt;
}

/* ---- afterwards ---- */

static Status files_commit(StreamSource *source, const char *end, Error *err)
{
    FilesSource *s = (FilesSource *)source;
    FilesEntry *entries = NULL;
    int64_t id;
    size_t n;
    Status rc;

    TRY(open_log(s, err));
    TRY(parse_offset(end, &id, err));
    if (s->options.clean != CLEAN_OFF && id > s->cleaned) {
        TRY(files_log_uncompacted(s->log, s->cleaned, id, &entries, &n, err));
        TRY(files_clean(&s->options, s->place, entries, n, err));
        s->cleaned = id;
    }
    TRY(files_log_settle(s->log, id, err));
out:
    mem_free(entries);
    return rc;
}

static Status files_freeze(StreamSource *source, DuckConn *conn, const char *start, Error *err)
{
    FilesSource *s = (FilesSource *)source;
    Status rc;

    (void)conn;
    (void)start;
    TRY(open_log(s, err));
    TRY(files_finder_freeze(s->finder, err));
out:
    return rc;
}

static int files_wake_fd(StreamSource *source)
{
    return files_finder_fd(((FilesSource *)source)->finder);
}

static void files_wake_clear(StreamSource *source)
{
    files_finder_clear(((FilesSource *)source)->finder);
}

static void files_backlog(StreamSource *source, StreamBacklog *out)
{
    FilesSource *s = (FilesSource *)source;
    size_t n;
    files_finder_pending(s->finder, &n);
    *out = (StreamBacklog){(int64_t)n, files_finder_bytes(s->finder)};
}

static void files_describe(StreamSource *source, Text *out)
{
    text_append(out, "FileStreamSource[file:");
    text_append_uri(out, files_place_text(((FilesSource *)source)->place));
    text_append_char(out, ']');
}

static void files_identity(StreamSource *source, Text *out)
{
    text_append(out, "files:");
    text_append(out, files_place_text(((FilesSource *)source)->place));
}

static void files_close(StreamSource *source)
{
    FilesSource *s = (FilesSource *)source;
    if (s == NULL) {
        return;
    }
    if (s->columns != NULL) {
        files_columns_fini(s->columns);
    }
    delta_schema_unref(s->data);
    files_finder_free(s->finder);
    files_log_close(s->log);
    files_set_free(s->known);
    files_place_free(s->place);
    store_unref(s->checkpoint);
    mem_free(s->dir);
    arena_free(s->arena);
    mem_free(s);
}

static const StreamSourceOps FILES_OPS = {
    .kind = "files",
    .schema = files_schema,
    .latest = files_latest,
    .relation = files_relation,
    .learnt = files_learnt,
    .commit = files_commit,
    .freeze = files_freeze,
    .wake_fd = files_wake_fd,
    .wake_clear = files_wake_clear,
    .backlog = files_backlog,
    .describe = files_describe,
    .identity = files_identity,
    .close = files_close,
};

Status source_files_open(const StreamSourceContext *context, const char *place, const StreamOption *options, size_t n,
                         StreamSource **out, Error *err)
{
    FilesSource *s = mem_alloc(sizeof *s);
    Status rc;

    *s = (FilesSource){.base.ops = &FILES_OPS,
                       .arena = arena_new(),
                       .duck = context->duck,
                       .checkpoint = store_ref(context->checkpoint),
                       .dir = mem_strdup(context->private_dir),
                       .known = files_set_new(),
                       .cleaned = -1};
    TRY(files_options_read(options, n, s->arena, &s->options, err));
    TRY(files_place_new(place, &s->options, &s->place, err));
    s->finder = files_finder_new(s->place, &s->options, s->known);
    *out = &s->base;
out:
    if (rc != OK) {
        files_close(&s->base);
    }
    return rc;
}
