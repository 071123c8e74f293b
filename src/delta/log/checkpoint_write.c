/* Writing checkpoints (Delta protocol, Checkpoints).
 *
 *     classic    %020d.checkpoint.parquet
 *     in parts   %020d.checkpoint.%010d.%010d.parquet: classic, of a table that sets freshet.checkpoint.partSize
 *     v2         %020d.checkpoint.<uuid>.parquet; of more files than a part holds, all of them stand in sidecars
 *
 * The order of effects:
 *
 *     [sidecars under hidden names -> sync -> their names] -> write under a hidden name -> sync -> count the adds
 *     -> take the name -> hint
 *
 * A crash leaves hidden files, sidecars that nobody names, or parts without the rest, which is no checkpoint. Two
 * writers of one checkpoint write the same state: the second one gives up. Of parts, the first decides who that is.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "delta/log/checkpoint_int.h"
#include "delta/log/hint.h"
#include "delta/property_int.h"
#include "delta/table_int.h"
#include "delta/transaction.h"
#include "duck/parquet.h"

enum {
    NAME_BYTES_MAX = 1 << 16,
    SIDECAR_ACTIONS = 50000, /* in one sidecar, as Spark has it */
    HINT_ACTIONS_MAX = 30,   /* small actions that the hint repeats */
};

/* A file on its way: written under a hidden name, then given the one that counts. */
typedef struct Part {
    const char *path;  /* local, of the hidden file */
    char *temp, *name; /* keys; `name` is NULL until it is chosen */
    bool moved;
    int64_t rows, bytes;
} Part;

typedef struct Parts {
    Part *items;
    size_t n;
    int64_t rows, bytes;
} Parts;

typedef struct Writer {
    DeltaSnapshot *snapshot;
    Store *store;
    DuckConn *conn;
    Arena *arena;
    bool v2, classic_name;
    bool split; /* more files than a part holds */
    int64_t part_size;
    int64_t files; /* live ones, by the log */
    char uuid[UUID_TEXT];
    Parts sidecars, top;   /* top: the checkpoint itself, one file or all its parts */
    DeltaFile *sidecar_of; /* the sidecars as actions */
} Writer;

/* ---- plan ---- */

/* Parts are for classic checkpoints only: a table that supports v2 must not have them. */
static int64_t choose_part_size(const DeltaSnapshot *s, bool v2)
{
    const char *set = delta_snapshot_property(s, "freshet.checkpoint.partSize");
    int64_t size;

    if (!v2 && delta_protocol_supports(s->protocol, "v2Checkpoint")) {
        return 0;
    }
    if (set != NULL && str_parse_i64(set, &size) && size > 0) {
        return size;
    }
    return v2 ? SIDECAR_ACTIONS : 0;
}

static Status plan(Writer *w, bool classic_name, Error *err)
{
    const DeltaSnapshot *s = w->snapshot;
    int64_t bytes;
    Status rc = OK;

    w->v2 = strcmp(delta_property_text(s->metadata, "delta.checkpointPolicy"), "v2") == 0 &&
            delta_protocol_supports(s->protocol, "v2Checkpoint");
    w->classic_name = classic_name || !w->v2;
    w->part_size = choose_part_size(s, w->v2);
    uuid_text(w->uuid);
    TRY(delta_snapshot_totals(s, w->conn, &w->files, &bytes, err));
    w->split = w->part_size > 0 && w->files > w->part_size;
out:
    return rc;
}

static char *part_name(const Writer *w, size_t i, size_t n)
{
    return arena_printf(w->arena, "%s/%020" PRId64 ".checkpoint.%010zu.%010zu.parquet", DELTA_LOG_DIR,
                        w->snapshot->version, i + 1, n);
}

static char *sidecar_name(const Writer *w, size_t i, size_t n)
{
    return arena_printf(w->arena, "%s/%020" PRId64 ".checkpoint.%010zu.%010zu.%s.parquet", DELTA_LOG_SIDECARS,
                        w->snapshot->version, i + 1, n, w->uuid);
}

static char *single_name(const Writer *w)
{
    if (w->classic_name) {
        return arena_printf(w->arena, "%s/%020" PRId64 ".checkpoint.parquet", DELTA_LOG_DIR, w->snapshot->version);
    }
    return arena_printf(w->arena, "%s/%020" PRId64 ".checkpoint.%s.parquet", DELTA_LOG_DIR, w->snapshot->version,
                        w->uuid);
}

/* ---- files under hidden names ---- */

/* Runs the query into one hidden file in `dir`, or into one for every part_size rows, and syncs them. */
static Status write_parts(Writer *w, const char *dir, const Text *sql, bool split, Parts *out, Error *err)
{
    Text folder = TEXT(NAME_BYTES_MAX);
    ParquetWrite write = {.query = text_str(sql), .prefix = ".checkpoint-", .codec = "snappy"};
    ParquetFile *files = NULL;
    size_t n = 0;
    Status rc = OK;

    if (sql->overflow) {
        rc = error_set(err, E_LIMIT, "the statement that writes a checkpoint is longer than %d bytes", TEXT_SQL_MAX);
        goto out;
    }
    TRY(store_mkdirs(w->store, dir, err));
    TRY(store_local_path(w->store, dir, &folder, err));
    write.folder = text_str(&folder);
    if (split) { /* every row group a file */
        write.row_group_rows = w->part_size;
        write.file_bytes_max = 1;
    }
    TRY(parquet_write(w->conn, &write, w->arena, &files, &n, err));
    out->items = arena_alloc(w->arena, (n + 1) * sizeof *out->items);
    const char **keys = arena_alloc(w->arena, (n + 1) * sizeof *keys);
    for (size_t i = 0; i < n; i++) {
        Part *part = &out->items[out->n++];
        *part = (Part){.path = files[i].path, .rows = files[i].rows, .bytes = files[i].bytes};
        part->temp = arena_printf(w->arena, "%s/%s", dir, strrchr(part->path, '/') + 1);
        keys[i] = part->temp;
        out->rows += part->rows;
        out->bytes += part->bytes;
    }
    TRY(store_sync_many(w->store, keys, n, err));
out:
    text_free(&folder);
    return rc;
}

static void remove_hidden(const Writer *w, const Parts *parts)
{
    for (size_t i = 0; i < parts->n; i++) {
        if (!parts->items[i].moved) {
            (void)store_delete(w->store, parts->items[i].temp, NULL);
        }
    }
}

/* Sidecars of a checkpoint that did not come to be. */
static void remove_sidecars(const Writer *w)
{
    for (size_t i = 0; i < w->sidecars.n; i++) {
        if (w->sidecars.items[i].moved) {
            (void)store_delete(w->store, w->sidecars.items[i].name, NULL);
        }
    }
}

/* The answer of "SELECT <what>" over the files, one number. */
static Status count_in(Writer *w, const Parts *parts, const char *what, int64_t *out, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX), path = TEXT(NAME_BYTES_MAX);

    text_printf(&sql, "SELECT %s FROM read_parquet([", what);
    for (size_t i = 0; i < parts->n; i++) {
        text_clear(&path);
        parquet_escape_glob(&path, parts->items[i].path);
        text_append(&sql, i > 0 ? ", " : "");
        text_append_sql_string(&sql, text_str(&path));
    }
    text_append(&sql, "], hive_partitioning=false) AS c");
    Status rc = duck_query_numbers(w->conn, text_str(&sql), out, 1, err);
    text_free(&sql);
    text_free(&path);
    return rc;
}

/* A checkpoint with fewer adds than the table has would lose files for good: count before anyone can see it. */
static Status verify_adds(Writer *w, const Parts *parts, Error *err)
{
    int64_t adds;
    Status rc = OK;

    TRY(count_in(w, parts, "count(c.\"add\".path)", &adds, err));
    if (adds != w->files) {
        rc = error_set(err, E_INTERNAL,
                       "the checkpoint holds %" PRId64 " files, the table %" PRId64 "; it is thrown away", adds,
                       w->files);
    }
out:
    return rc;
}

static Status verify_small(Writer *w, Error *err)
{
    static const char ONE_OF_EACH[] = "(count(c.protocol.\"minReaderVersion\") = 1 AND count(c.\"metaData\".id) = 1)"
                                      "::BIGINT";
    int64_t fine;
    Status rc = OK;

    TRY(count_in(w, &w->top, ONE_OF_EACH, &fine, err));
    if (!fine) {
        rc = error_set(err, E_INTERNAL, "the checkpoint lacks protocol or metaData; it is thrown away");
    }
out:
    return rc;
}

/* ---- the files ---- */

/* They get their names at once: until a checkpoint names them, nobody looks at them. */
static Status write_sidecars(Writer *w, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    Status rc = OK;

    TRY(delta_checkpoint_file_rows(w->snapshot, &sql, err));
    TRY(write_parts(w, DELTA_LOG_SIDECARS, &sql, true, &w->sidecars, err));
    TRY(verify_adds(w, &w->sidecars, err));
    w->sidecar_of = arena_alloc(w->arena, (w->sidecars.n + 1) * sizeof *w->sidecar_of);
    for (size_t i = 0; i < w->sidecars.n; i++) {
        Part *part = &w->sidecars.items[i];
        StoreInfo info;
        part->name = sidecar_name(w, i, w->sidecars.n);
        TRY(store_rename_no_replace(w->store, part->temp, part->name, err));
        part->moved = true;
        TRY(store_info(w->store, part->name, &info, err));
        w->sidecar_of[i] = (DeltaFile){
            .path = strrchr(part->name, '/') + 1, .size = info.size, .modification_time = info.mtime_ms};
    }
    rc = failpoint(FP_DELTA_CHECKPOINT_AFTER_SIDECARS, err);
out:
    text_free(&sql);
    return rc;
}

static Status write_top(Writer *w, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    bool with_files = w->sidecars.n == 0;
    Status rc = OK;

    delta_checkpoint_small_rows(w->snapshot, w->v2, w->sidecar_of, w->sidecars.n, &sql);
    text_append(&sql, " UNION ALL BY NAME SELECT * FROM (");
    TRY(delta_checkpoint_file_rows(w->snapshot, &sql, err));
    text_append(&sql, with_files ? ")" : ") WHERE false"); /* Spark looks for the columns even so */
    TRY(write_parts(w, DELTA_LOG_DIR, &sql, w->split && with_files, &w->top, err));
    if (with_files) {
        TRY(verify_adds(w, &w->top, err));
    }
    TRY(verify_small(w, err));
    for (size_t i = 0; i < w->top.n; i++) {
        w->top.items[i].name = w->top.n > 1 ? part_name(w, i, w->top.n) : single_name(w);
    }
out:
    text_free(&sql);
    return rc;
}

static Status publish(Writer *w, bool *published, Error *err)
{
    *published = false;
    for (size_t i = 0; i < w->top.n; i++) {
        Part *part = &w->top.items[i];
        Error failed = ERROR_NONE;
        Status rc = store_rename_no_replace(w->store, part->temp, part->name, &failed);
        if (rc == ERR_EXISTS) {
            log_debug("%s: somebody else wrote %s", delta_table_uri(w->snapshot->table), part->name);
            return OK;
        }
        if (rc != OK) {
            if (err != NULL) {
                *err = failed;
            }
            return rc;
        }
        part->moved = true;
    }
    *published = true;
    return OK;
}

/* ---- the hint ---- */

static void put_action(Text *out, const DeltaAction *action)
{
    text_append(out, ",");
    delta_action_write(action, out);
    out->data[--out->length] = '\0'; /* its line end */
}

/* The small actions as a JSON array; NULL when they are many. */
static const char *small_actions(const Writer *w)
{
    const DeltaSnapshot *s = w->snapshot;
    Text out = TEXT(TEXT_SQL_MAX);
    size_t n;
    const DeltaTxn *txns = delta_snapshot_txns(s, w->arena, &n);
    const char *json = NULL;

    if (n + s->n_domains + 3 <= HINT_ACTIONS_MAX) {
        text_printf(&out, "[{\"checkpointMetadata\":{\"version\":%" PRId64 "}}", s->version);
        put_action(&out, &(DeltaAction){.kind = DELTA_ACTION_PROTOCOL, .protocol = *s->protocol});
        put_action(&out, &(DeltaAction){.kind = DELTA_ACTION_METADATA, .metadata = *s->metadata});
        for (size_t i = 0; i < n; i++) {
            put_action(&out, &(DeltaAction){.kind = DELTA_ACTION_TXN, .txn = txns[i]});
        }
        for (size_t i = 0; i < s->n_domains; i++) {
            put_action(&out, &(DeltaAction){.kind = DELTA_ACTION_DOMAIN, .domain = s->domains[i]});
        }
        text_append_char(&out, ']');
        json = arena_strdup(w->arena, text_str(&out));
    }
    text_free(&out);
    return json;
}

/* The columns of a classic checkpoint in the words of a table's schema. */
static Status describe_schema(const Writer *w, const char **json, Error *err)
{
    Text sql = TEXT(NAME_BYTES_MAX), path = TEXT(NAME_BYTES_MAX), text = TEXT(TEXT_SQL_MAX);
    DuckColumnInfo *columns;
    DeltaSchema *schema = NULL;
    size_t n;
    Status rc = OK;

    TRY(store_local_path(w->store, w->top.items[0].name, &path, err));
    text_append(&sql, "SELECT * FROM read_parquet(");
    Text literal = TEXT(NAME_BYTES_MAX * 4);
    parquet_escape_glob(&literal, text_str(&path));
    text_append_sql_string(&sql, text_str(&literal));
    text_free(&literal);
    text_append(&sql, ", hive_partitioning=false)");
    TRY(duck_describe(w->conn, text_str(&sql), w->arena, &columns, &n, err));
    TRY(delta_schema_from_columns(columns, n, &schema, err));
    delta_schema_json(schema, &text);
    *json = arena_strdup(w->arena, text_str(&text));
out:
    delta_schema_unref(schema);
    text_free(&sql);
    text_free(&path);
    text_free(&text);
    return rc;
}

/* The hint never goes back to an older checkpoint. */
static Status write_hint(Writer *w, Error *err)
{
    DeltaHint hint = {.version = w->snapshot->version,
                      .size = w->top.rows + w->sidecars.rows,
                      .parts = w->top.n > 1 ? w->top.n : 0,
                      .bytes = w->top.bytes + w->sidecars.bytes,
                      .adds = w->files};
    StoreInfo info;
    int64_t hinted;
    Status rc = OK;

    TRY(delta_hint_read(w->store, &hinted, err));
    if (hinted > hint.version) {
        goto out;
    }
    if (!w->classic_name) {
        TRY(store_info(w->store, w->top.items[0].name, &info, err));
        hint.v2_name = strrchr(w->top.items[0].name, '/') + 1;
        hint.v2_bytes = info.size;
        hint.v2_mtime_ms = info.mtime_ms;
        hint.small = small_actions(w);
        hint.sidecars = w->sidecar_of;
        hint.n_sidecars = w->sidecars.n;
    } else if (!w->v2) {
        TRY(describe_schema(w, &hint.schema, err));
    }
    TRY(delta_hint_write(w->store, &hint, err));
out:
    return rc;
}

/* ---- all of it ---- */

Status delta_checkpoint_write_named(DeltaSnapshot *snapshot, DuckConn *conn, bool classic_name, Error *err)
{
    Writer w = {.snapshot = snapshot, .store = snapshot->table->store, .conn = conn, .arena = arena_new()};
    bool published = false;
    Status rc = OK;

    TRY(delta_protocol_check_write(snapshot->protocol, delta_table_uri(snapshot->table), err));
    TRY(plan(&w, classic_name, err));
    TRY(failpoint(FP_DELTA_CHECKPOINT_BEFORE_WRITE, err));
    if (w.v2 && w.split) {
        TRY(write_sidecars(&w, err));
    }
    TRY(write_top(&w, err));
    TRY(failpoint(FP_DELTA_CHECKPOINT_AFTER_WRITE, err));
    TRY(publish(&w, &published, err));
    if (published) {
        TRY(failpoint(FP_DELTA_CHECKPOINT_AFTER_PUBLISH, err));
        TRY(write_hint(&w, err));
        TRY(failpoint(FP_DELTA_CHECKPOINT_AFTER_HINT, err));
    }
out:
    if (!published) {
        remove_sidecars(&w);
    }
    remove_hidden(&w, &w.sidecars);
    remove_hidden(&w, &w.top);
    if (rc != OK) {
        error_context(err, "writing checkpoint %" PRId64 " of %s", snapshot->version, delta_table_uri(snapshot->table));
    }
    arena_free(w.arena);
    return rc;
}

Status delta_checkpoint_write(DeltaSnapshot *snapshot, DuckConn *conn, Error *err)
{
    return delta_checkpoint_write_named(snapshot, conn, false, err);
}
