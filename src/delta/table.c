/* Handles: one per place and instance, each with the newest snapshot it has seen.
 *
 * A refresh that finds nothing new costs one failed open: the commit after the newest is asked for by name. New ones
 * are put on top of the commits at hand, which older snapshots share. From time to time, when many commits have
 * gathered, a newer checkpoint is looked for.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "delta/allowed.h"
#include "delta/log/hint.h"
#include "delta/log/path.h"
#include "delta/scan.h"
#include "delta/table_int.h"

enum {
    TAIL_LOOK = 32,      /* commits between two looks for a newer checkpoint */
    GAP_LOOK_MS = 30000, /* between two looks for commits behind a missing one */
};

/* ---- the handles of the process ---- */

static struct {
    pthread_mutex_t lock;
    DeltaTable **tables;
    size_t n, capacity;
} open_tables = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* For the first table of an instance. Doing it again when all were closed meanwhile changes nothing. */
static Status register_functions(Duck *duck, Error *err)
{
    Status rc = OK;

    TRY(delta_scan_register(duck, err));
    TRY(delta_overlay_register(duck, err));
out:
    return rc;
}

static void table_free(DeltaTable *table)
{
    delta_snapshot_release(table->newest);
    store_unref(table->store);
    mem_free(table->uri);
    mem_free(table->root);
    pthread_mutex_destroy(&table->lock);
    mem_free(table);
}

static DeltaTable *table_new(Duck *duck, Store *store)
{
    DeltaTable *table = mem_alloc(sizeof *table);
    Text root = TEXT(1 << 16);

    table->duck = duck;
    table->store = store_ref(store);
    table->uri = mem_strdup(store_uri(store));
    text_append(&root, table->uri);
    while (root.length > 0 && root.data[root.length - 1] == '/') {
        root.data[--root.length] = '\0';
    }
    table->root = text_take(&root);
    table->seen = -1;
    table->checksum = DELTA_CHECKSUM_NONE;
    table->compacted = -1;
    atomic_init(&table->references, 1);
    pthread_mutex_init(&table->lock, NULL);
    return table;
}

Status delta_table_open(Duck *duck, const char *uri, DeltaTable **out, Error *err)
{
    Store *store = NULL;
    bool first = true;
    DeltaTable *table = NULL;
    Status rc = OK;

    TRY(store_open(uri, &store, err));
    pthread_mutex_lock(&open_tables.lock);
    for (size_t i = 0; i < open_tables.n && table == NULL; i++) {
        DeltaTable *other = open_tables.tables[i];
        first = first && other->duck != duck;
        if (other->duck == duck && strcmp(other->uri, store_uri(store)) == 0) {
            table = delta_table_ref(other);
        }
    }
    if (table == NULL && first) {
        rc = register_functions(duck, err);
    }
    if (table == NULL && rc == OK) {
        table = table_new(duck, store);
        open_tables.tables = mem_grow(open_tables.tables, open_tables.n, &open_tables.capacity, sizeof(DeltaTable *));
        open_tables.tables[open_tables.n++] = table;
    }
    pthread_mutex_unlock(&open_tables.lock);
    if (rc == OK) {
        *out = table;
    }
out:
    store_unref(store);
    return rc;
}

DeltaTable *delta_table_ref(DeltaTable *table)
{
    atomic_fetch_add(&table->references, 1);
    return table;
}

void delta_table_close(DeltaTable *table)
{
    if (table == NULL) {
        return;
    }
    pthread_mutex_lock(&open_tables.lock);
    bool last = atomic_fetch_sub(&table->references, 1) == 1;
    for (size_t i = 0; last && i < open_tables.n; i++) {
        if (open_tables.tables[i] == table) {
            open_tables.tables[i] = open_tables.tables[--open_tables.n];
        }
    }
    if (open_tables.n == 0) {
        mem_free(open_tables.tables);
        open_tables.tables = NULL;
        open_tables.capacity = 0;
    }
    pthread_mutex_unlock(&open_tables.lock);
    if (last) {
        table_free(table);
    }
}

const char *delta_table_uri(const DeltaTable *table)
{
    return table->uri;
}

Store *delta_table_store(const DeltaTable *table)
{
    return table->store;
}

Duck *delta_table_duck(const DeltaTable *table)
{
    return table->duck;
}

/* ---- what is there ---- */

static bool find_any(void *context, const StoreEntry *entry)
{
    DeltaLogName name;
    bool *found = context;

    *found = !entry->info.is_dir && delta_log_name_parse(entry->name, &name) && name.kind != DELTA_LOG_CHECKSUM &&
             name.kind != DELTA_LOG_COMPACTION;
    return !*found;
}

Status delta_table_exists(DeltaTable *table, bool *exists, Error *err)
{
    bool found = false;
    Status rc = OK;

    TRY(store_list(table->store, DELTA_LOG_DIR, NULL, find_any, &found, err));
    *exists = found;
out:
    return rc;
}

static bool find_commit(void *context, const StoreEntry *entry)
{
    DeltaLogName name;
    int64_t *first = context;

    if (!entry->info.is_dir && delta_log_name_parse(entry->name, &name) && name.kind == DELTA_LOG_COMMIT) {
        *first = name.version;
        return false;
    }
    return true;
}

Status delta_table_commit_range(DeltaTable *table, int64_t *first, int64_t *last, Error *err)
{
    DeltaListing *listing = NULL;
    int64_t hinted, earliest = -1, from = 0, newest = -1;
    Status rc = OK;

    TRY(store_list(table->store, DELTA_LOG_DIR, NULL, find_commit, &earliest, err));
    TRY(delta_hint_read(table->store, &hinted, err));
    TRY(delta_listing_read(table->store, hinted > 0 ? hinted : 0, &listing, err));
    if (!delta_listing_commits(listing, &from, &newest) && hinted > 0) {
        delta_listing_free(listing);
        listing = NULL;
        TRY(delta_listing_read(table->store, 0, &listing, err));
        delta_listing_commits(listing, &from, &newest);
    }
    if (earliest < 0 || newest < 0) {
        rc = error_set(err, E_DELTA_NOT_A_TABLE, "%s is not a Delta table: there is no commit in its %s", table->uri,
                       DELTA_LOG_DIR);
        goto out;
    }
    *first = earliest;
    *last = newest;
out:
    delta_listing_free(listing);
    return rc;
}

Status delta_file_location(const DeltaTable *table, const char *log_path, Text *out, Error *err)
{
    Text canonical = TEXT(1 << 16);
    Status rc = OK;

    delta_path_canonical(table->root, log_path, strlen(log_path), &canonical);
    if (canonical.length == strlen(text_str(&canonical)) && delta_allowed_path(text_str(&canonical))) {
        text_append(out, text_str(&canonical));
        goto out;
    }
    if (canonical.length != strlen(text_str(&canonical)) || !delta_path_is_inside(text_str(&canonical))) {
        rc = error_set(err, E_DELTA_PATH, "%s: the log names the file '%s', which is not in the table's folder",
                       table->uri, log_path);
        if (text_str(&canonical)[0] == '/') {
            error_hint(err, "if the log can be trusted, list the folder of that file in freshet.allowedPaths "
                            "(FRESHET_ALLOWED_PATHS)");
        }
        goto out;
    }
    TRY(store_local_path(table->store, text_str(&canonical), out, err));
out:
    text_free(&canonical);
    return rc;
}

/* ---- snapshots ---- */

static DeltaSnapshot *hand_out(DeltaSnapshot *snapshot)
{
    return delta_snapshot_ref(snapshot);
}

/* Reads the commits after the newest snapshot. *tail receives a reference, also when nothing is new. */
static Status read_new_commits(DeltaTable *table, DeltaCommitNode **tail, int64_t *version, Error *err)
{
    DeltaCommitNode *node = delta_commit_node_ref(table->newest->tail);
    int64_t at = table->newest->version;
    Status rc = OK;

    for (;;) {
        DeltaCommit *commit;
        Error failed = ERROR_NONE;
        rc = delta_commit_read(table, at + 1, &commit, &failed);
        if (rc == ERR_NOT_FOUND) {
            break;
        }
        if (rc != OK) {
            delta_commit_node_unref(node);
            if (err != NULL) {
                *err = failed;
            }
            return rc;
        }
        node = delta_commit_node_new(commit, node);
        at++;
    }
    *tail = node;
    *version = at;
    return OK;
}

/* Many commits on top of an old checkpoint: has somebody written a newer one? */
static bool should_rebase(const DeltaTable *table, const DeltaCommitNode *tail)
{
    int64_t base = table->newest->checkpoint != NULL ? table->newest->checkpoint->version : -1, hinted;
    size_t before = table->newest->tail != NULL ? table->newest->tail->depth : 0;
    Error ignored = ERROR_NONE;

    if (tail == NULL || tail->depth / TAIL_LOOK == before / TAIL_LOOK) {
        return false;
    }
    return delta_hint_read(table->store, &hinted, &ignored) == OK && hinted > base;
}

static void set_newest(DeltaTable *table, DeltaSnapshot *snapshot)
{
    delta_snapshot_release(table->newest);
    table->newest = snapshot;
    table->seen = snapshot->version > table->seen ? snapshot->version : table->seen;
}

/* Is the newest commit still the file that was read? If not, the table was removed, and perhaps made anew. */
static Status is_replaced(const DeltaTable *table, bool *replaced, Error *err)
{
    char key[DELTA_LOG_NAME_MAX];
    StoreInfo info;
    Error failed = ERROR_NONE;

    *replaced = false;
    if (table->newest->file_time == 0) {
        return OK;
    }
    delta_log_commit_name(table->newest->version, key);
    Status rc = store_info(table->store, key, &info, &failed);
    if (rc != OK && rc != ERR_NOT_FOUND) {
        if (err != NULL) {
            *err = failed;
        }
        return rc;
    }
    *replaced = rc == ERR_NOT_FOUND || info.mtime_ms != table->newest->file_time;
    return OK;
}

/* The next commit is missing; are there later ones? Looked for now and then, since it lists the log. */
static Status check_gap(DeltaTable *table, Error *err)
{
    char key[DELTA_LOG_NAME_MAX];
    int64_t next = -1, now = clock_mono_us() / 1000, missing = table->newest->version + 1;
    Status rc = OK;

    if (now - table->gap_looked_ms < GAP_LOOK_MS) {
        return OK;
    }
    table->gap_looked_ms = now;
    delta_log_commit_name(table->newest->version, key);
    TRY(store_list(table->store, DELTA_LOG_DIR, strrchr(key, '/') + 1, find_commit, &next, err));
    if (next > missing) {
        rc = error_set(err, E_DELTA_GAP, "version %" PRId64 " is missing in the log, there is a version %" PRId64,
                       missing, next);
    }
out:
    return rc;
}

/* Nothing is new: make sure that this is so. */
static Status check_unchanged(DeltaTable *table, DuckConn *conn, Error *err)
{
    DeltaSnapshot *snapshot;
    bool replaced;
    Status rc = OK;

    TRY(is_replaced(table, &replaced, err));
    if (!replaced) {
        TRY(check_gap(table, err));
        goto out;
    }
    int64_t seen = table->seen;
    char *id = mem_strdup(table->newest->metadata->id);
    table->seen = -1;
    rc = delta_snapshot_load(table, conn, -1, &snapshot, err);
    if (rc == OK && snapshot->version < seen && strcmp(snapshot->metadata->id, id) == 0) {
        rc = error_set(err, E_DELTA_GAP,
                       "version %" PRId64 " has been read before, but the newest in the log is %" PRId64, seen,
                       snapshot->version);
        delta_snapshot_release(snapshot);
    }
    mem_free(id);
    if (rc == OK) {
        set_newest(table, snapshot);
    } else {
        table->seen = seen;
    }
out:
    return rc;
}

static Status refresh(DeltaTable *table, DuckConn *conn, Error *err)
{
    DeltaSnapshot *snapshot = NULL, *old = table->newest;
    DeltaSnapshotParts parts = {.previous = old};
    Status rc = OK;

    if (old == NULL) {
        TRY(delta_snapshot_load(table, conn, -1, &snapshot, err));
        set_newest(table, snapshot);
        goto out;
    }
    TRY(read_new_commits(table, &parts.tail, &parts.version, err));
    if (parts.version == old->version) {
        delta_commit_node_unref(parts.tail);
        TRY(check_unchanged(table, conn, err));
        goto out;
    }
    if (should_rebase(table, parts.tail)) {
        Error failed = ERROR_NONE;
        if (delta_snapshot_load(table, conn, -1, &snapshot, &failed) == OK) {
            delta_commit_node_unref(parts.tail);
            set_newest(table, snapshot);
            goto out;
        }
        log_warning("%s: the newer checkpoint is not used: %s", table->uri, failed.message);
    }
    parts.checkpoint = delta_checkpoint_ref(old->checkpoint);
    TRY(delta_snapshot_build(table, &parts, &snapshot, err));
    set_newest(table, snapshot);
out:
    return rc;
}

Status delta_table_rebase(DeltaTable *table, DuckConn *conn, Error *err)
{
    DeltaSnapshot *snapshot;
    Status rc = OK;

    pthread_mutex_lock(&table->lock);
    TRY(delta_snapshot_load(table, conn, -1, &snapshot, err));
    set_newest(table, snapshot);
out:
    pthread_mutex_unlock(&table->lock);
    return rc;
}

Status delta_table_snapshot(DeltaTable *table, DuckConn *conn, DeltaSnapshot **out, Error *err)
{
    pthread_mutex_lock(&table->lock);
    Status rc = refresh(table, conn, err);
    if (rc == OK) {
        *out = hand_out(table->newest);
    }
    pthread_mutex_unlock(&table->lock);
    return rc == OK ? OK : error_context(err, "table %s", table->uri);
}

Status delta_table_snapshot_at(DeltaTable *table, DuckConn *conn, int64_t version, DeltaSnapshot **out, Error *err)
{
    DeltaSnapshot *snapshot = NULL;
    Status rc = OK;

    if (version < 0) {
        return error_set(err, E_DELTA_VERSION, "table %s: version %" PRId64 " does not exist", table->uri, version);
    }
    pthread_mutex_lock(&table->lock);
    if (table->newest != NULL && table->newest->version == version) {
        *out = hand_out(table->newest);
        goto out;
    }
    TRY(delta_snapshot_load(table, conn, version, &snapshot, err));
    if (version > table->seen) {
        table->seen = version;
    }
    delta_table_ref(table);
    *out = snapshot;
out:
    pthread_mutex_unlock(&table->lock);
    return rc == OK ? OK : error_context(err, "table %s", table->uri);
}
