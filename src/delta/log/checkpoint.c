/* Reading checkpoints.
 *
 * Writers disagree about the columns: some leave out what no row uses, some write empty structs for null, some keep
 * statistics only as a struct. So the columns are looked at first (DESCRIBE), and every expression below is made for
 * what is there. Nothing of a file is held in memory.
 *
 * A page that is damaged would show only when somebody lists the files, too late to take an older checkpoint or the
 * commits instead. So all that is not large is decoded once when it is opened: 1 ms for the usual 100 kB.
 */
#include "delta/log/checkpoint.h"

#include <string.h>

#include "delta/log/commit.h"
#include "duck/parquet.h"

enum { PATH_BYTES_MAX = 1 << 16, SIDECARS_MAX = 1 << 20, VERIFY_BYTES_MAX = 16 << 20 };

#define DV_SQL \
    "STRUCT(storage_type VARCHAR, path_or_inline VARCHAR, \"offset\" INTEGER, size_bytes INTEGER, cardinality BIGINT)"

/* ---- opening ---- */

/* The rows that are not files, each as the line it would be in a commit. */
static const struct {
    const char *column, *key; /* key: a member that no such action lacks */
} SMALL[] = {
    {"protocol", "minReaderVersion"}, {"metaData", "id"},  {"txn", "appId"},
    {"domainMetadata", "domain"},     {"sidecar", "path"},
};

static const DuckType *member(const DuckType *type, const char *name)
{
    for (size_t i = 0; type != NULL && type->id == DUCK_STRUCT && i < type->n_members; i++) {
        if (str_ieq(type->members[i].name, name)) {
            return type->members[i].type;
        }
    }
    return NULL;
}

static const DuckType *column(const DuckColumnInfo *columns, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_ieq(columns[i].name, name) && columns[i].type->id == DUCK_STRUCT) {
            return columns[i].type;
        }
    }
    return NULL;
}

static Status append_file(DeltaTable *table, const char *key, Text *from, Error *err)
{
    Text path = TEXT(PATH_BYTES_MAX), literal = TEXT(PATH_BYTES_MAX * 4);
    Status rc = OK;

    TRY(store_local_path(delta_table_store(table), key, &path, err));
    parquet_escape_glob(&literal, text_str(&path));
    text_append_sql_string(from, text_str(&literal));
out:
    text_free(&path);
    text_free(&literal);
    return rc;
}

static Status odd_column(const char *what, Error *err)
{
    return error_set(err, E_DELTA_CORRUPT, "the column %s is not of the type that checkpoints have there", what);
}

/* Writers leave out what no row uses; what is there under the name of an action has to be one, or its files would not
 * be seen. */
static Status check_columns(const DuckColumnInfo *columns, size_t n, Error *err)
{
    static const char *const FILES[] = {"add", "remove"};

    for (size_t i = 0; i < n; i++) {
        const DuckType *type = columns[i].type;
        bool file = false;
        for (size_t f = 0; f < sizeof FILES / sizeof *FILES; f++) {
            file = file || str_ieq(columns[i].name, FILES[f]);
        }
        if (!file) {
            continue;
        }
        const DuckType *path = member(type, "path"), *values = member(type, "partitionValues"),
                       *dv = member(type, "deletionVector");
        if (path == NULL || path->id != DUCK_VARCHAR) {
            return odd_column(str_ieq(columns[i].name, "add") ? "add.path" : "remove.path", err);
        }
        if (values != NULL && values->id != DUCK_MAP) {
            return odd_column("partitionValues", err);
        }
        if (dv != NULL && (member(dv, "storageType") == NULL || member(dv, "pathOrInlineDv") == NULL)) {
            return odd_column("deletionVector", err);
        }
    }
    return OK;
}

/* Makes a source of files below `dir` and looks at its columns. */
static Status source_open(DeltaTable *table, DuckConn *conn, const char *dir, const char *const *names, size_t n,
                          Arena *arena, DeltaCheckpointSource *source, DuckColumnInfo **columns, size_t *n_columns,
                          Error *err)
{
    Text from = TEXT(TEXT_SQL_MAX), key = TEXT(PATH_BYTES_MAX);
    Status rc = OK;

    text_append(&from, "read_parquet([");
    for (size_t i = 0; i < n; i++) {
        text_clear(&key);
        text_printf(&key, "%s/%s", dir, names[i]);
        text_append(&from, i > 0 ? ", " : "");
        TRY(append_file(table, text_str(&key), &from, err));
    }
    text_printf(&from, "], hive_partitioning=false%s)", n > 1 ? ", union_by_name=true" : "");
    source->from = arena_strdup(arena, text_str(&from));
    text_clear(&from);
    text_printf(&from, "SELECT * FROM %s", source->from);
    TRY(duck_describe(conn, text_str(&from), arena, columns, n_columns, err));
    TRY(check_columns(*columns, *n_columns, err));
    source->add = column(*columns, *n_columns, "add");
    source->remove = column(*columns, *n_columns, "remove");
out:
    text_free(&from);
    text_free(&key);
    return rc;
}

/* Decodes everything in the files of a source, unless they are large. */
static Status source_verify(DuckConn *conn, const DeltaCheckpointSource *source, int64_t bytes, Error *err)
{
    if (bytes > VERIFY_BYTES_MAX) {
        return OK;
    }
    Text sql = TEXT(TEXT_SQL_MAX);
    text_printf(&sql, "SELECT count(*) FROM %s AS c WHERE hash(c) = 0", source->from);
    Status rc = duck_exec(conn, text_str(&sql), err);
    text_free(&sql);
    return rc;
}

static void small_sql(const DeltaCheckpointSource *source, const DuckColumnInfo *columns, size_t n, Text *sql)
{
    text_append(sql, "SELECT line FROM (SELECT CASE");
    for (size_t i = 0; i < sizeof SMALL / sizeof SMALL[0]; i++) {
        const char *name = SMALL[i].column;
        if (member(column(columns, n, name), SMALL[i].key) != NULL) {
            text_printf(sql, " WHEN c.\"%s\".\"%s\" IS NOT NULL THEN '{\"%s\":' || to_json(c.\"%s\")::VARCHAR || '}'",
                        name, SMALL[i].key, name, name);
        }
    }
    text_printf(sql, " WHEN false THEN '' END AS line FROM %s AS c) WHERE line IS NOT NULL", source->from);
}

typedef struct Loader {
    DeltaTable *table;
    DuckConn *conn;
    const DeltaCheckpointFiles *files;
    DeltaCheckpoint *checkpoint;
    DeltaAction *small;
    size_t n_small, capacity;
} Loader;

static void loader_take(Loader *l, const DeltaAction *action)
{
    l->small = mem_grow(l->small, l->n_small, &l->capacity, sizeof *l->small);
    l->small[l->n_small++] = *action;
}

static Status load_parquet(Loader *l, Error *err)
{
    DeltaCheckpoint *c = l->checkpoint;
    DuckColumnInfo *columns;
    DuckResult *result = NULL;
    Text sql = TEXT(TEXT_SQL_MAX);
    size_t n_columns, n;
    bool more;
    Status rc = OK;

    TRY(source_open(l->table, l->conn, DELTA_LOG_DIR, l->files->names, l->files->n, c->arena, &c->sources[0], &columns,
                    &n_columns, err));
    c->n_sources = 1;
    TRY(source_verify(l->conn, &c->sources[0], l->files->bytes, err));
    small_sql(&c->sources[0], columns, n_columns, &sql);
    TRY(duck_query(l->conn, text_str(&sql), &result, err));
    for (;;) {
        DeltaAction action;
        TRY(duck_result_next(result, &more, err));
        if (!more) {
            break;
        }
        const char *line = duck_result_text(result, 0, &n);
        TRY(delta_action_parse(line, n, l->files->names[0], c->arena, &action, err));
        loader_take(l, &action);
    }
out:
    duck_result_free(result);
    text_free(&sql);
    return rc;
}

static Status load_json(Loader *l, Error *err)
{
    Text key = TEXT(PATH_BYTES_MAX);
    DeltaAction *actions;
    size_t n;
    Status rc = OK;

    text_printf(&key, "%s/%s", DELTA_LOG_DIR, l->files->names[0]);
    TRY(delta_log_read_actions(delta_table_store(l->table), text_str(&key), l->checkpoint->arena, &actions, &n, NULL,
                               err));
    l->checkpoint->inlined = arena_alloc(l->checkpoint->arena, (n + 1) * sizeof *actions);
    for (size_t i = 0; i < n; i++) {
        if (actions[i].kind == DELTA_ACTION_ADD || actions[i].kind == DELTA_ACTION_REMOVE) {
            l->checkpoint->inlined[l->checkpoint->n_inlined++] = actions[i];
        } else {
            loader_take(l, &actions[i]);
        }
    }
out:
    text_free(&key);
    return rc;
}

/* A sidecar is a bare file name in _sidecars. */
static Status load_sidecars(Loader *l, Error *err)
{
    DeltaCheckpoint *c = l->checkpoint;
    DuckColumnInfo *columns;
    size_t n = 0, n_columns;
    int64_t bytes = 0;
    Status rc = OK;
    const char **names = arena_alloc(c->arena, (l->n_small + 1) * sizeof *names);

    for (size_t i = 0; i < l->n_small; i++) {
        if (l->small[i].kind != DELTA_ACTION_SIDECAR) {
            continue;
        }
        Text name = TEXT(PATH_BYTES_MAX);
        bool fine = text_append_uri_decoded(&name, l->small[i].file.path) && strchr(text_str(&name), '/') == NULL &&
                    name.length > 0 && text_str(&name)[0] != '.';
        bytes += l->small[i].file.size < VERIFY_BYTES_MAX ? l->small[i].file.size : VERIFY_BYTES_MAX;
        names[n++] = arena_strdup(c->arena, text_str(&name));
        text_free(&name);
        if (!fine || n > SIDECARS_MAX) {
            rc = error_set(err, E_DELTA_PATH, "sidecar '%s' is not the name of a file in %s", l->small[i].file.path,
                           DELTA_LOG_SIDECARS);
            goto out;
        }
    }
    if (n > 0) {
        TRY(source_open(l->table, l->conn, DELTA_LOG_SIDECARS, names, n, c->arena, &c->sources[c->n_sources], &columns,
                        &n_columns, err));
        TRY(source_verify(l->conn, &c->sources[c->n_sources], bytes, err));
        c->n_sources++;
    }
    c->sidecars = names;
    c->n_sidecars = n;
out:
    return rc;
}

static void keep_small(Loader *l)
{
    DeltaCheckpoint *c = l->checkpoint;
    DeltaTxn *txns = arena_alloc(c->arena, (l->n_small + 1) * sizeof *txns);
    DeltaDomain *domains = arena_alloc(c->arena, (l->n_small + 1) * sizeof *domains);

    c->txns = txns;
    c->domains = domains;
    for (size_t i = 0; i < l->n_small; i++) {
        DeltaAction *copy = arena_alloc(c->arena, sizeof *copy);
        *copy = l->small[i];
        switch (copy->kind) {
        case DELTA_ACTION_PROTOCOL: c->protocol = &copy->protocol; break;
        case DELTA_ACTION_METADATA: c->metadata = &copy->metadata; break;
        case DELTA_ACTION_TXN:
            txns[c->n_txns] = copy->txn;
            map_put(c->txn_index, copy->txn.app_id, &txns[c->n_txns++]);
            break;
        case DELTA_ACTION_DOMAIN: domains[c->n_domains++] = copy->domain; break;
        default: break;
        }
    }
}

/* The files of a partitioned table have partition values, which are in no other place. */
static Status check_partitions(const Loader *l, Error *err)
{
    Status rc = OK;
    const DeltaCheckpoint *c = l->checkpoint;
    Text sql = TEXT(TEXT_SQL_MAX);
    DuckResult *result = NULL;
    bool more = false;

    for (size_t i = 0; c->metadata != NULL && c->metadata->n_partition_columns > 0 && i < c->n_sources; i++) {
        if (c->sources[i].add == NULL || member(c->sources[i].add, "partitionValues") != NULL) {
            continue;
        }
        text_clear(&sql);
        text_printf(&sql, "SELECT 1 FROM %s AS c WHERE c.\"add\".\"path\" IS NOT NULL LIMIT 1", c->sources[i].from);
        TRY(duck_query(l->conn, text_str(&sql), &result, err));
        TRY(duck_result_next(result, &more, err));
        if (more) {
            rc = odd_column("partitionValues", err);
            goto out;
        }
        duck_result_free(result);
        result = NULL;
    }
out:
    duck_result_free(result);
    text_free(&sql);
    return rc;
}

Status delta_checkpoint_open(DeltaTable *table, DuckConn *conn, const DeltaCheckpointFiles *files,
                             DeltaCheckpoint **out, Error *err)
{
    Loader l = {.table = table, .conn = conn, .files = files, .checkpoint = mem_alloc(sizeof(DeltaCheckpoint))};
    DeltaCheckpoint *c = l.checkpoint;
    Status rc = OK;

    atomic_init(&c->references, 1);
    c->arena = arena_new();
    c->txn_index = map_new();
    c->version = files->version;
    TRY(files->json ? load_json(&l, err) : load_parquet(&l, err));
    TRY(load_sidecars(&l, err));
    keep_small(&l);
    TRY(check_partitions(&l, err));
    *out = c;
out:
    mem_free(l.small);
    if (rc != OK) {
        error_context(err, "checkpoint %s/%s", DELTA_LOG_DIR, files->names[0]);
        delta_checkpoint_unref(c);
    }
    return rc;
}

DeltaCheckpoint *delta_checkpoint_ref(DeltaCheckpoint *checkpoint)
{
    if (checkpoint != NULL) {
        atomic_fetch_add(&checkpoint->references, 1);
    }
    return checkpoint;
}

void delta_checkpoint_unref(DeltaCheckpoint *checkpoint)
{
    if (checkpoint != NULL && atomic_fetch_sub(&checkpoint->references, 1) == 1) {
        map_free(checkpoint->txn_index, NULL);
        arena_free(checkpoint->arena);
        mem_free(checkpoint);
    }
}

/* ---- the files as SQL ---- */

/* `c."add"."size"::BIGINT`, or a typed NULL where these files have no such member. */
static void put_member(Text *out, const char *action, const DuckType *type, const char *name, const char *sql_type)
{
    if (member(type, name) != NULL) {
        text_printf(out, "c.\"%s\".\"%s\"::%s", action, name, sql_type);
    } else {
        text_printf(out, "NULL::%s", sql_type);
    }
}

static bool has_dv(const DuckType *type)
{
    const DuckType *dv = member(type, "deletionVector");
    return member(dv, "storageType") != NULL && member(dv, "pathOrInlineDv") != NULL;
}

static void put_dv_member(Text *out, const char *action, const DuckType *dv, const char *name, const char *sql_type)
{
    if (member(dv, name) != NULL) {
        text_printf(out, "c.\"%s\".\"deletionVector\".\"%s\"::%s", action, name, sql_type);
    } else {
        text_printf(out, "NULL::%s", sql_type);
    }
}

/* Null, or an empty storage type: no deletion vector. */
static void put_dv(Text *out, const char *action, const DuckType *type)
{
    const DuckType *dv = member(type, "deletionVector");

    if (!has_dv(type)) {
        text_append(out, "NULL::" DV_SQL);
        return;
    }
    text_printf(out,
                "CASE WHEN nullif(c.\"%s\".\"deletionVector\".\"storageType\", '') IS NULL THEN NULL::" DV_SQL
                " ELSE struct_pack(storage_type := c.\"%s\".\"deletionVector\".\"storageType\", "
                "path_or_inline := coalesce(c.\"%s\".\"deletionVector\".\"pathOrInlineDv\", ''), \"offset\" := ",
                action, action, action);
    put_dv_member(out, action, dv, "offset", "INTEGER");
    text_append(out, ", size_bytes := coalesce(");
    put_dv_member(out, action, dv, "sizeInBytes", "INTEGER");
    text_append(out, ", 0), cardinality := coalesce(");
    put_dv_member(out, action, dv, "cardinality", "BIGINT");
    text_append(out, ", 0))::" DV_SQL " END");
}

/* The key of delta_file_dv_id; '' without deletion vector. */
static void put_dv_id(Text *out, const char *action, const DuckType *type)
{
    if (!has_dv(type)) {
        text_append(out, "''");
        return;
    }
    text_printf(out,
                "CASE WHEN nullif(c.\"%s\".\"deletionVector\".\"storageType\", '') IS NULL THEN '' ELSE "
                "c.\"%s\".\"deletionVector\".\"storageType\" || "
                "coalesce(c.\"%s\".\"deletionVector\".\"pathOrInlineDv\", '') || "
                "coalesce('@' || ",
                action, action, action);
    put_dv_member(out, action, member(type, "deletionVector"), "offset", "VARCHAR");
    text_append(out, ", '') END");
}

static bool has_timestamp(const DuckType *type)
{
    bool found = type->id == DUCK_TIMESTAMP_TZ || type->id == DUCK_TIMESTAMP;

    for (size_t i = 0; type->id == DUCK_STRUCT && !found && i < type->n_members; i++) {
        found = has_timestamp(type->members[i].type);
    }
    return found;
}

/* A value of stats_parsed in the form that statistics JSON has: timestamps as ISO text, everything else as it is. */
static void put_stats_value(Text *out, const char *expression, const DuckType *type)
{
    if (type->id == DUCK_TIMESTAMP_TZ || type->id == DUCK_TIMESTAMP) {
        text_printf(out, "strftime(%s, '%%Y-%%m-%%dT%%H:%%M:%%S.%%f%s')", expression,
                    type->id == DUCK_TIMESTAMP_TZ ? "Z" : "");
        return;
    }
    if (type->id != DUCK_STRUCT || !has_timestamp(type)) {
        text_append(out, expression);
        return;
    }
    text_printf(out, "CASE WHEN %s IS NULL THEN NULL ELSE struct_pack(", expression);
    for (size_t i = 0; i < type->n_members; i++) {
        Text inner = TEXT(PATH_BYTES_MAX);
        text_append(&inner, expression);
        text_append_char(&inner, '.');
        text_append_sql_name(&inner, type->members[i].name);
        text_append(out, i > 0 ? ", " : "");
        text_append_sql_name(out, type->members[i].name);
        text_append(out, " := ");
        put_stats_value(out, text_str(&inner), type->members[i].type);
        text_free(&inner);
    }
    text_append(out, ") END");
}

static void put_stats(Text *out, const char *action, const DuckType *type)
{
    const DuckType *parsed = member(type, "stats_parsed");
    Text expression = TEXT(PATH_BYTES_MAX);

    text_append(out, "coalesce(");
    put_member(out, action, type, "stats", "VARCHAR");
    if (parsed != NULL && parsed->id == DUCK_STRUCT) {
        text_printf(&expression, "c.\"%s\".\"stats_parsed\"", action);
        text_append(out, ", to_json(");
        put_stats_value(out, text_str(&expression), parsed);
        text_append(out, ")::VARCHAR");
    }
    text_append_char(out, ')');
    text_free(&expression);
}

static void put_map(Text *out, const char *action, const DuckType *type)
{
    const DuckType *map = member(type, "partitionValues");

    if (map != NULL && map->id == DUCK_MAP) {
        text_printf(out, "coalesce(c.\"%s\".\"partitionValues\"::MAP(VARCHAR, VARCHAR), MAP{}::MAP(VARCHAR, VARCHAR))",
                    action);
    } else {
        text_append(out, "MAP{}::MAP(VARCHAR, VARCHAR)");
    }
}

static void put_tags(Text *out, const char *action, const DuckType *type)
{
    const DuckType *tags = member(type, "tags");

    if (tags != NULL && tags->id == DUCK_MAP) {
        text_printf(out, "CASE WHEN c.\"%s\".\"tags\" IS NULL THEN NULL ELSE to_json(c.\"%s\".\"tags\")::VARCHAR END",
                    action, action);
    } else {
        text_append(out, "NULL::VARCHAR");
    }
}

/* The columns that adds and tombstones share, in the order of delta_snapshot_files_sql. */
static void put_columns(Text *out, const char *action, const DuckType *type)
{
    text_append(out, "SELECT ");
    put_member(out, action, type, "path", "VARCHAR");
    text_append(out, " AS path, ");
    put_map(out, action, type);
    text_append(out, " AS partition_values, coalesce(");
    put_member(out, action, type, "size", "BIGINT");
    text_append(out, ", 0) AS size, coalesce(");
    put_member(out, action, type, "modificationTime", "BIGINT");
    text_append(out, ", 0) AS modification_time, ");
    put_stats(out, action, type);
    text_append(out, " AS stats, ");
    put_dv(out, action, type);
    text_append(out, " AS dv, ");
    put_member(out, action, type, "baseRowId", "BIGINT");
    text_append(out, " AS base_row_id, ");
    put_member(out, action, type, "defaultRowCommitVersion", "BIGINT");
    text_append(out, " AS default_row_commit_version, ");
    put_tags(out, action, type);
    text_append(out, " AS tags, ");
    put_member(out, action, type, "clusteringProvider", "VARCHAR");
    text_append(out, " AS clustering_provider");
}

static void put_from(Text *out, const char *action, const DuckType *type, const char *from, DeltaOverlay *overlay)
{
    Text path = TEXT(256), dv = TEXT(PATH_BYTES_MAX);

    text_printf(&path, "c.\"%s\".\"path\"", action);
    text_printf(out, " FROM %s AS c WHERE %s IS NOT NULL", from, text_str(&path));
    if (overlay != NULL && delta_overlay_entries(overlay) > 0) {
        put_dv_id(&dv, action, type);
        text_append(out, " AND ");
        delta_overlay_filter_sql(overlay, text_str(&path), text_str(&dv), out);
    }
    text_free(&path);
    text_free(&dv);
}

static void put_union(Text *out)
{
    text_append(out, out->length > 0 ? " UNION ALL " : "");
}

void delta_checkpoint_adds_sql(const DeltaCheckpoint *checkpoint, DeltaOverlay *overlay, Text *out)
{
    for (size_t i = 0; i < checkpoint->n_sources; i++) {
        const DeltaCheckpointSource *source = &checkpoint->sources[i];
        if (member(source->add, "path") != NULL) {
            put_union(out);
            put_columns(out, "add", source->add);
            put_from(out, "add", source->add, source->from, overlay);
        }
    }
}

void delta_checkpoint_removes_sql(const DeltaCheckpoint *checkpoint, DeltaOverlay *overlay, Text *out)
{
    for (size_t i = 0; i < checkpoint->n_sources; i++) {
        const DuckType *type = checkpoint->sources[i].remove;
        if (member(type, "path") == NULL) {
            continue;
        }
        put_union(out);
        put_columns(out, "remove", type);
        text_append(out, ", coalesce(");
        put_member(out, "remove", type, "deletionTimestamp", "BIGINT");
        text_append(out, ", 0) AS deletion_timestamp, coalesce(");
        put_member(out, "remove", type, "dataChange", "BOOLEAN");
        text_append(out, ", true) AS data_change, coalesce(");
        put_member(out, "remove", type, "extendedFileMetadata", "BOOLEAN");
        text_append(out, ", false) AS extended_metadata");
        put_from(out, "remove", type, checkpoint->sources[i].from, overlay);
    }
}
