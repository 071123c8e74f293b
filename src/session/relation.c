#include "session/relation.h"

#include <string.h>

#include "delta/changes.h"
#include "delta/scan.h"
#include "session/metadata.h"
#include "session/state.h"
#include "source/sources.h"

bool relation_is_table(Warehouse *warehouse, const char *schema, const char *name)
{
    DeltaTable *table = NULL;
    bool exists = false;

    if (warehouse_check_name(schema, name, NULL) != OK) {
        return false;
    }
    if (warehouse_table(warehouse, schema, name, &table, &exists, NULL) != OK) {
        return false;
    }
    delta_table_close(table);
    return exists;
}

StreamOption *relation_options(Arena *arena, const SqlText *text, const SqlOption *options, size_t n)
{
    StreamOption *out = arena_alloc(arena, (n + 1) * sizeof *out);

    for (size_t i = 0; i < n; i++) {
        Error at = ERROR_NONE;
        sql_error_place(&at, text, options[i].span);
        out[i] = (StreamOption){
            .key = options[i].key, .value = options[i].value, .is_list = options[i].is_list, .place = at.place};
    }
    return out;
}

/* An error without a place is about the relation as a whole. */
static void place_relation(const RelationReader *reader, const SqlRelation *relation, Status rc, Error *err)
{
    if (rc != OK && err != NULL && err->place.line == 0) {
        sql_error_place(err, reader->text, relation->span);
    }
}

/* ---- which table ---- */

typedef struct TableNames {
    const char *names[256];
    size_t n;
    Arena *arena;
} TableNames;

static Status collect_name(void *context, const char *schema, const char *name, const char *location, Error *err)
{
    TableNames *all = context;
    (void)location;
    (void)err;

    if (all->n < sizeof all->names / sizeof *all->names) {
        bool plain = strcmp(schema, "default") == 0;
        all->names[all->n++] = plain ? arena_strdup(all->arena, name) : arena_printf(all->arena, "%s.%s", schema, name);
    }
    return OK;
}

/* The table whose name is nearest, first as it is written, then in whatever schema. */
static const char *nearest_table(const TableNames *all, const char *wanted)
{
    const char *bare[sizeof all->names / sizeof *all->names];
    const char *nearest = error_nearest(wanted, all->names, all->n);

    for (size_t i = 0; i < all->n; i++) {
        const char *dot = strchr(all->names[i], '.');
        bare[i] = dot != NULL ? dot + 1 : all->names[i];
    }
    const char *other = nearest == NULL && strchr(wanted, '.') == NULL ? error_nearest(wanted, bare, all->n) : NULL;
    for (size_t i = 0; i < all->n && other != NULL && nearest == NULL; i++) {
        nearest = bare[i] == other ? all->names[i] : NULL;
    }
    return nearest;
}

void relation_hint_nearest(Warehouse *warehouse, const char *wanted, Error *err)
{
    TableNames all = {.arena = arena_new()};

    const char *nearest = warehouse_each(warehouse, collect_name, &all, NULL) == OK ? nearest_table(&all, wanted)
                                                                                    : NULL;
    if (nearest != NULL) {
        error_hint(err, "did you mean \"%s\"?", nearest);
    } else {
        error_hint(err, "the warehouse is %s; choose another with --warehouse", warehouse_uri(warehouse));
    }
    arena_free(all.arena);
}

/* "Table with name a does not exist!", "Table with name "s.a" does not exist because schema ..." */
const char *relation_unknown_table(const Error *err, Arena *arena)
{
    static const char BEGIN[] = "Table with name ", END[] = " does not exist";
    const char *name = err != NULL && err->id == E_SQL_BIND && str_starts(err->message, BEGIN)
                           ? err->message + strlen(BEGIN)
                           : NULL;
    const char *end = name != NULL ? strstr(name, END) : NULL;

    if (end == NULL || end == name) {
        return NULL;
    }
    bool quoted = *name == '"' && end > name + 2;
    return arena_strndup(arena, name + quoted, (size_t)(end - name) - 2 * (size_t)quoted);
}

Status relation_table(const RelationReader *reader, const SqlRelation *relation, DeltaTable **out, Error *err)
{
    Status rc = OK;
    const char *schema = relation->schema != NULL ? relation->schema : reader->schema;
    DeltaTable *table = NULL;
    Text name = TEXT(1 << 16);
    bool exists = false;

    if (relation->kind == SQL_RELATION_PATH) {
        TRY(delta_table_open(reader->duck, relation->name, &table, err));
        TRY(delta_table_exists(table, &exists, err));
    } else {
        TRY(warehouse_table(reader->warehouse, schema, relation->name, &table, &exists, err));
    }
    if (!exists) {
        bool named = relation->kind == SQL_RELATION_NAME && schema != NULL;
        text_printf(&name, "%s%s%s", named ? schema : "", named ? "." : "", relation->name);
        rc = error_set(err, E_DELTA_NOT_A_TABLE, "%s is not a Delta table: %s has no _delta_log with a commit",
                       text_str(&name), delta_table_uri(table));
        if (relation->kind == SQL_RELATION_NAME) {
            relation_hint_nearest(reader->warehouse, text_str(&name), err);
        } else {
            error_hint(err, "CONVERT TO DELTA parquet.`%s` makes one of a folder of Parquet files", relation->name);
        }
        goto out;
    }
    *out = table;
    table = NULL;
out:
    text_free(&name);
    delta_table_close(table);
    place_relation(reader, relation, rc, err);
    return rc;
}

/* ---- a table at a version ---- */

/* What a resolved table keeps alive until the statement has run. */
typedef struct TableRelation {
    DeltaTable *table;
    DeltaSnapshot *snapshot;
    DeltaScan *scan;
} TableRelation;

static void table_relation_free(void *owner)
{
    TableRelation *held = owner;

    delta_scan_free(held->scan);
    delta_snapshot_unref(held->snapshot);
    delta_table_close(held->table);
    mem_free(held);
}

/* The moment of TIMESTAMP AS OF: any constant expression of SQL. */
Status relation_time(DuckConn *conn, const char *expression, int64_t *ms, Error *err)
{
    Status rc = OK;
    Text sql = TEXT(1 << 16);
    DuckResult *result = NULL;
    bool more = false;

    text_printf(&sql, "SELECT epoch_ms(CAST((%s) AS TIMESTAMPTZ))", expression);
    TRY(duck_query(conn, text_str(&sql), &result, err));
    TRY(duck_result_next(result, &more, err));
    if (!more || duck_result_is_null(result, 0)) {
        rc = error_set(err, E_DELTA_TIMESTAMP, "TIMESTAMP AS OF %s is NULL", expression);
        goto out;
    }
    *ms = duck_result_i64(result, 0);
out:
    duck_result_free(result);
    text_free(&sql);
    return rc;
}

/* The version that `pinned`, VERSION AS OF or TIMESTAMP AS OF asks for; -1 = the newest. */
static Status wanted_version(DeltaTable *table, DuckConn *conn, const SqlRelation *relation, const char *pinned,
                             int64_t *version, Error *err)
{
    Status rc = OK;
    int64_t ms = 0;
    const char *text = relation->version_as_of;

    *version = -1;
    if (pinned != NULL) {
        text = strrchr(pinned, '@');
        text = text != NULL ? text + 1 : pinned;
    }
    if (text != NULL) {
        if (!str_parse_i64(text, version) || *version < 0) {
            rc = error_set(err, E_DELTA_VERSION, "%s is not a version: it has to be a number from 0", text);
        }
    } else if (relation->timestamp_as_of != NULL) {
        TRY(relation_time(conn, relation->timestamp_as_of, &ms, err));
        TRY(delta_table_version_at(table, conn, ms, version, err));
    }
out:
    return rc;
}

/* The table of a relation at the version it is asked for. */
static Status hold_table(TableRelation *held, const RelationReader *reader, const SqlRelation *relation,
                         const char *pinned, Error *err)
{
    Status rc = OK;
    int64_t version = -1;

    TRY(relation_table(reader, relation, &held->table, err));
    TRY(wanted_version(held->table, reader->conn, relation, pinned, &version, err));
    if (version < 0) {
        TRY(delta_table_snapshot(held->table, reader->conn, &held->snapshot, err));
    } else {
        TRY(delta_table_snapshot_at(held->table, reader->conn, version, &held->snapshot, err));
    }
out:
    return rc;
}

static void give_scan(TableRelation *held, StreamRelation *out)
{
    *out = (StreamRelation){
        .sql = mem_strdup(delta_scan_sql(held->scan)),
        .files = (int64_t)delta_scan_files(held->scan),
        .bytes = delta_scan_bytes(held->scan),
        .rows = -1,
        .owner = held,
        .release = table_relation_free,
    };
}

/* As many rows as the table has. */
static Status give_count(const TableRelation *held, DuckConn *conn, StreamRelation *out, Error *err)
{
    static const int64_t ROWS_MAX = INT64_C(1000000000); /* about a second for DuckDB to count */
    Text sql = TEXT(4096);
    int64_t rows = -1;
    Status rc = OK;

    TRY(delta_snapshot_rows(held->snapshot, conn, &rows, err));
    if (rows >= 0 && rows <= ROWS_MAX) {
        text_printf(&sql, "SELECT NULL AS nothing FROM range(%lld)", (long long)rows);
        out->sql = text_take(&sql);
        out->rows = rows;
    }
out:
    text_free(&sql);
    return rc;
}

Status relation_resolve_little(const RelationReader *reader, const SqlRelation *relation, int64_t first_rows,
                               StreamRelation *out, Error *err)
{
    TableRelation *held = mem_alloc(sizeof *held);
    Status rc = OK;

    *out = (StreamRelation){0};
    TRY(hold_table(held, reader, relation, NULL, err));
    if (first_rows < 0) {
        TRY(give_count(held, reader->conn, out, err));
    } else {
        TRY(delta_scan_first(held->snapshot, reader->conn, first_rows, &held->scan, err));
    }
    if (held->scan != NULL) {
        give_scan(held, out);
        held = NULL;
    }
out:
    if (held != NULL) {
        table_relation_free(held);
    }
    place_relation(reader, relation, rc, err);
    return rc;
}

static Status resolve_table(const RelationReader *reader, const SqlRelation *relation, const RelationAsk *ask,
                            StreamRelation *out, char **pin, Error *err)
{
    Status rc = OK;
    TableRelation *held = mem_alloc(sizeof *held);
    Arena *arena = arena_new();
    size_t n = ask->n_predicates;

    TRY(hold_table(held, reader, relation, ask->pinned, err));
    const DeltaPredicate *predicates = relation_predicates(arena, ask->predicates, n);
    bool metadata = relation->metadata && delta_schema_find(delta_snapshot_schema(held->snapshot), "_metadata") == NULL;
    TRY(metadata ? delta_scan_snapshot_ids(held->snapshot, reader->conn, predicates, n, &held->scan, err)
                 : delta_scan_snapshot(held->snapshot, reader->conn, predicates, n, &held->scan, err));
    if (pin != NULL) {
        Text id = TEXT(4096);
        text_printf(&id, "%s@%lld", delta_snapshot_metadata(held->snapshot)->id,
                    (long long)delta_snapshot_version(held->snapshot));
        *pin = text_take(&id);
    }
    give_scan(held, out);
    out->metadata = metadata;
    held = NULL;
out:
    if (held != NULL) {
        table_relation_free(held);
    }
    arena_free(arena);
    return rc;
}

/* ---- functions ---- */

static Status resolve_files(const RelationReader *reader, const SqlRelation *relation, StreamRelation *out, char **pin,
                            Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    char *listing = NULL;

    /* The first positional argument is the place. */
    if (relation->n_arguments == 0 || relation->arguments[0].key != NULL) {
        rc = error_set(err, E_SQL_BIND, "%s needs a folder, file or glob as its first argument", relation->name);
        error_hint(err, "%s('/data/clicks/*.json', format => 'json')", relation->name);
        goto out;
    }
    size_t n = relation->n_arguments - 1 + relation->n_options;
    StreamOption *options = arena_alloc(arena, (n + 1) * sizeof *options);
    StreamOption *arguments = relation_options(arena, reader->text, relation->arguments + 1, relation->n_arguments - 1);
    StreamOption *with = relation_options(arena, reader->text, relation->options, relation->n_options);
    memcpy(options, arguments, (relation->n_arguments - 1) * sizeof *options);
    memcpy(options + relation->n_arguments - 1, with, relation->n_options * sizeof *options);
    if (metadata_is_named(reader->text, relation->span)) {
        options[n++] = metadata_option();
    }
    TRY(source_files_relation(reader->duck, reader->conn, relation->arguments[0].value, options, n, out, &listing,
                              err));
    if (pin != NULL) {
        *pin = listing;
        listing = NULL;
    }
out:
    mem_free(listing);
    arena_free(arena);
    return rc;
}

/* table_changes('t', from [, to]): versions, or moments */
typedef struct ChangesRelation {
    DeltaTable *table;
    DeltaChanges *changes;
} ChangesRelation;

static void changes_relation_free(void *owner)
{
    ChangesRelation *held = owner;

    delta_changes_free(held->changes);
    delta_table_close(held->table);
    mem_free(held);
}

/* A bound of the range: a number is a version, a text a moment. */
static Status changes_bound(DeltaTable *table, DuckConn *conn, const SqlOption *bound, bool first, int64_t *version,
                            Error *err)
{
    Status rc = OK;
    Text quoted = TEXT(1 << 16);
    int64_t ms = 0;

    if (!bound->is_string) {
        if (!str_parse_i64(bound->value, version) || *version < 0) {
            rc = error_set(err, E_DELTA_VERSION, "%s is not a version: it has to be a number from 0", bound->value);
        }
        goto out;
    }
    text_append_sql_string(&quoted, bound->value);
    TRY(relation_time(conn, text_str(&quoted), &ms, err));
    TRY(first ? delta_table_version_from(table, conn, ms, version, err)
              : delta_table_version_at(table, conn, ms, version, err));
out:
    text_free(&quoted);
    return rc;
}

/* The table of the first argument: a path when it looks like one, else a name. */
static Status changes_table(const RelationReader *reader, const SqlRelation *relation, Arena *arena, DeltaTable **out,
                            Error *err)
{
    const char *name = relation->arguments[0].value;
    const char *dot = strchr(name, '.');
    SqlRelation table = {.kind = SQL_RELATION_NAME, .name = name, .span = relation->span};

    if (strpbrk(name, "/:") != NULL) {
        table.kind = SQL_RELATION_PATH;
    } else if (dot != NULL) {
        table.schema = arena_strndup(arena, name, (size_t)(dot - name));
        table.name = dot + 1;
    }
    return relation_table(reader, &table, out, err);
}

static Status resolve_changes(const RelationReader *reader, const SqlRelation *relation, StreamRelation *out,
                              char **pin, Error *err)
{
    Status rc = OK;
    DuckConn *conn = reader->conn;
    Arena *arena = arena_new();
    ChangesRelation *held = mem_alloc(sizeof *held);
    const char *sql = NULL;
    int64_t first = 0, last = -1;

    if (relation->n_arguments < 2 || relation->n_arguments > 3) {
        rc = error_set(err, E_SQL_BIND, "table_changes takes a table, a first and perhaps a last version or timestamp");
        error_hint(err, "table_changes('silver.orders', 3, 5)");
        goto out;
    }
    TRY(changes_table(reader, relation, arena, &held->table, err));
    TRY(changes_bound(held->table, conn, &relation->arguments[1], true, &first, err));
    if (relation->n_arguments == 3) {
        TRY(changes_bound(held->table, conn, &relation->arguments[2], false, &last, err));
    }
    TRY(delta_changes_range(held->table, conn, first, last, &held->changes, err));
    TRY(delta_changes_finish(held->changes, &sql, err));
    if (pin != NULL) {
        int64_t oldest = 0, newest = 0;
        TRY(delta_table_commit_range(held->table, &oldest, &newest, err));
        Text id = TEXT(4096);
        text_printf(&id, "changes %lld to %lld of %s", (long long)first, (long long)(last >= 0 ? last : newest),
                    delta_table_uri(held->table));
        *pin = text_take(&id);
    }
    *out = (StreamRelation){.sql = mem_strdup(sql),
                            .files = (int64_t)delta_changes_files(held->changes),
                            .bytes = delta_changes_bytes(held->changes),
                            .rows = -1,
                            .owner = held,
                            .release = changes_relation_free};
    held = NULL;
out:
    if (held != NULL) {
        changes_relation_free(held);
    }
    arena_free(arena);
    return rc;
}

DeltaPredicate *relation_predicates(Arena *arena, const SqlPredicate *predicates, size_t n)
{
    static const DeltaCompare compare[] = {
        [SQL_EQ] = DELTA_EQ,
        [SQL_LT] = DELTA_LT,
        [SQL_LE] = DELTA_LE,
        [SQL_GT] = DELTA_GT,
        [SQL_GE] = DELTA_GE,
        [SQL_IS_NULL] = DELTA_IS_NULL,
        [SQL_IS_NOT_NULL] = DELTA_IS_NOT_NULL,
        [SQL_IN] = DELTA_IN,
    };
    DeltaPredicate *out = arena_alloc(arena, (n + 1) * sizeof *out);

    for (size_t i = 0; i < n; i++) {
        out[i] = (DeltaPredicate){
            .column = predicates[i].column,
            .n_column = predicates[i].n_column,
            .compare = compare[predicates[i].compare],
            .values = predicates[i].values,
            .n_values = predicates[i].n_values,
        };
    }
    return out;
}

Status relation_resolve(const RelationReader *reader, const SqlRelation *relation, const RelationAsk *ask,
                        StreamRelation *out, char **pin, Error *err)
{
    Status rc = OK;

    if (relation->stream) {
        rc = error_set(err, E_PIPELINE_STATEMENT, "STREAM has no place in a question: a stream belongs into a flow");
        error_hint(err, "leave STREAM out to read the table as it is now, or put the query into a pipeline file");
    } else if (relation->kind != SQL_RELATION_FUNCTION) {
        rc = resolve_table(reader, relation, ask, out, pin, err);
    } else if (strcmp(relation->name, "read_files") == 0) {
        rc = resolve_files(reader, relation, out, pin, err);
    } else if (strcmp(relation->name, "table_changes") == 0) {
        rc = resolve_changes(reader, relation, out, pin, err);
    } else if (strcmp(relation->name, "state") == 0) {
        rc = state_relation(reader, relation, ask->pinned, out, pin, err);
    } else {
        rc = error_set(err, E_PIPELINE_STATEMENT, "%s is not something this version can read", relation->name);
    }
    place_relation(reader, relation, rc, err);
    return rc;
}
