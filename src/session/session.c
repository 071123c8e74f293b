#include "session/session.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "delta/allowed.h"
#include "delta/gone.h"
#include "session/columns.h"
#include "session/copy.h"
#include "session/dml.h"
#include "session/relation.h"
#include "session/session_int.h"
#include "session/values.h"
#include "sql/query.h"
#include "table/create.h"
#include "table/describe.h"
#include "table/insert.h"
#include "table/replace.h"

Status session_open(Duck *duck, Warehouse *warehouse, Session **out, Error *err)
{
    Status rc = OK;
    Session *session = mem_alloc(sizeof *session);

    session->duck = duck;
    session->warehouse = warehouse;
    TRY(duck_connect(duck, &session->conn, err));
    *out = session;
    session = NULL;
out:
    mem_free(session);
    return rc;
}

void session_finish(Session *session)
{
    for (size_t i = 0; i < session->n_relations; i++) {
        stream_relation_release(&session->relations[i]);
    }
    mem_free(session->relations);
    session->relations = NULL;
    session->n_relations = 0;
    session->relations_capacity = 0;
}

void session_close(Session *session)
{
    if (session == NULL) {
        return;
    }
    session_finish(session);
    session_drop_views(session);
    mem_free(session->schema);
    duck_disconnect(session->conn);
    mem_free(session);
}

DuckConn *session_conn(Session *session)
{
    return session->conn;
}

RelationReader session_reader(const Session *session, const SqlText *text)
{
    return (RelationReader){.duck = session->duck,
                            .conn = session->conn,
                            .warehouse = session->warehouse,
                            .schema = session->schema,
                            .text = text};
}

const char *session_schema(const Session *session, const char *schema)
{
    return schema != NULL ? schema : session->schema;
}

/* ---- queries ---- */

/* DuckDB would roll back nothing of what statements on Delta tables have committed. */
static Status refuse_transaction(const SqlText *text, SqlSpan span, Error *err)
{
    static const char *const WORDS[] = {"begin", "start"};
    const char *at = text->data + span.begin;
    Status rc = OK;

    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        size_t n = strlen(WORDS[i]);
        if (span.end - span.begin >= n && strncasecmp(at, WORDS[i], n) == 0 &&
            (span.end - span.begin == n || strchr(" \t\r\n", at[n]) != NULL)) {
            rc = error_set(err, E_PIPELINE_STATEMENT, "there are no transactions of several statements");
            error_hint(err,
                       "every statement on a Delta table is a commit of its own; MERGE does several things in one");
        }
    }
    return rc;
}

static Status run_query(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                        Error *err)
{
    Status rc = OK;
    SqlQuery *query = NULL;
    Text copy = TEXT(TEXT_SQL_MAX);

    if (session_drop_view(session, text, statement->query)) {
        goto out;
    }
    TRY(refuse_transaction(text, statement->query, err));
    TRY(session_prepare(session, text, statement->query, &query, err));
    TRY(session_check_lasting(session, text, statement->query, err));
    session_copy_variants(session->conn, sql_query_text(query), &copy);
    rc = duck_query_stream(session->conn, copy.length > 0 ? text_str(&copy) : sql_query_text(query), result, err);
    if (rc != OK && copy.length == 0) {
        sql_query_place(query, duck_error_position(session->conn), err);
    }
out:
    text_free(&copy);
    sql_query_free(query);
    return rc;
}

/* ---- statements on tables ---- */

Status session_report(Session *session, const SessionCount *counts, size_t n, DuckResult **result, Error *err)
{
    Text sql = TEXT(4096);

    for (size_t i = 0; i < n; i++) {
        text_append(&sql, i == 0 ? "SELECT " : ", ");
        if (counts[i].value < 0) {
            text_append(&sql, "NULL");
        } else {
            text_printf(&sql, "%" PRId64, counts[i].value);
        }
        text_printf(&sql, "::BIGINT AS %s", counts[i].name);
    }
    Status rc = duck_query(session->conn, text_str(&sql), result, err);
    text_free(&sql);
    return rc;
}

Status session_target(Session *session, const SqlText *text, const SqlName *name, DeltaTable **out, Error *err)
{
    SqlRelation relation = {
        .kind = name->path != NULL ? SQL_RELATION_PATH : SQL_RELATION_NAME,
        .schema = name->schema,
        .name = name->path != NULL ? name->path : name->name,
        .span = name->span,
    };
    RelationReader reader = session_reader(session, text);
    return relation_table(&reader, &relation, out, err);
}

Status session_new_table(Session *session, const SqlName *name, const char *location, DeltaTable **out, Error *err)
{
    Status rc = OK;
    bool exists = false;

    if (name->path != NULL) {
        TRY(delta_table_open(session->duck, name->path, out, err));
    } else {
        const char *schema = session_schema(session, name->schema);
        TRY(warehouse_check_name(schema, name->name, err));
        TRY(warehouse_register(session->warehouse, schema, name->name, location, err));
        TRY(warehouse_table(session->warehouse, schema, name->name, out, &exists, err));
    }
out:
    return rc;
}

/* Is there a table of the name already? */
static Status is_known(Session *session, const SqlName *name, bool *known, Error *err)
{
    Status rc = OK;
    DeltaTable *table = NULL;

    if (name->path == NULL) {
        const char *schema = session_schema(session, name->schema);
        TRY(warehouse_check_name(schema, name->name, err));
        TRY(warehouse_table(session->warehouse, schema, name->name, &table, known, err));
    }
out:
    delta_table_close(table);
    return rc;
}

static Status run_create_table(Session *session, const SqlText *text, const SqlStatement *statement,
                               DuckResult **result, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    DeltaTable *table = NULL;
    DeltaSchema *schema = NULL;
    SqlQuery *query = NULL;
    int64_t rows = 0;
    (void)result;

    if (statement->n_columns > 0) {
        TRY(columns_schema(session->conn, text, statement->columns, statement->n_columns, &schema, err));
    }
    if (statement->has_query) {
        TRY(session_prepare(session, text, statement->query, &query, err));
    }
    TableProperty *properties = arena_alloc(arena, (statement->n_properties + 1) * sizeof *properties);
    for (size_t i = 0; i < statement->n_properties; i++) {
        properties[i] = (TableProperty){statement->properties[i].key, statement->properties[i].value};
    }
    bool known = false;
    TRY(is_known(session, &statement->target, &known, err));
    TRY(session_new_table(session, &statement->target, statement->location, &table, err));
    TableSpec spec = {
        .schema = schema,
        .query = query != NULL ? sql_query_text(query) : NULL,
        .partition_columns = statement->partitioned_by,
        .n_partition_columns = statement->n_partitioned_by,
        .cluster_columns = statement->cluster_by,
        .n_cluster_columns = statement->n_cluster_by,
        .properties = properties,
        .n_properties = statement->n_properties,
        .comment = statement->comment,
        .or_replace = statement->or_replace,
        .must_exist = statement->must_exist,
        .adopt = statement->location != NULL && !known,
        .if_not_exists = statement->if_not_exists,
    };
    rc = table_create(table, session->conn, &spec, &rows, err);
    if (rc != OK && spec.adopt && statement->target.path == NULL) { /* the name is free again for another place */
        (void)warehouse_forget(session->warehouse, session_schema(session, statement->target.schema),
                               statement->target.name, NULL);
    }
    if (rc != OK && query != NULL) {
        sql_query_place(query, duck_error_position(session->conn), err);
    }
out:
    sql_query_free(query);
    delta_schema_unref(schema);
    delta_table_close(table);
    arena_free(arena);
    return rc;
}

static Status run_drop_table(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                             Error *err)
{
    Status rc = OK;
    const SqlName *name = &statement->target;
    const char *schema = session_schema(session, name->schema);
    DeltaTable *table = NULL;
    Text own = TEXT(4096);
    (void)result;

    rc = session_target(session, text, name, &table, err);
    if (rc == ERR_NOT_FOUND && statement->if_exists) {
        error_clear(err);
        rc = OK;
        goto out;
    }
    if (rc != OK) {
        goto out;
    }
    if (name->path != NULL) {
        rc = error_set(err, E_PIPELINE_STATEMENT, "DROP TABLE takes the name of a table, not a path");
        error_hint(err, "a table without a name is a folder: remove it with the tools for folders");
        goto out;
    }
    /* Files go only with a table that lies where its name puts it. */
    text_printf(&own, "/%s/%s", schema != NULL ? schema : "default", name->name);
    str_lower(own.data);
    TRY(table_drop(table, str_ends(delta_table_uri(table), text_str(&own)), err));
    TRY(warehouse_forget(session->warehouse, schema, name->name, err));
out:
    delta_table_close(table);
    text_free(&own);
    return rc;
}

static Status apply_insert_option(const SqlText *text, const SqlOption *option, TableInsert *insert, Error *err)
{
    static const char *const names[] = {"txnAppId",        "txnVersion",   "mergeSchema",
                                        "overwriteSchema", "userMetadata", "partitionOverwriteMode"};
    bool ok = true;

    if (str_ieq(option->key, "txnAppId")) {
        insert->txn_app_id = option->value;
    } else if (str_ieq(option->key, "txnVersion")) {
        ok = str_parse_i64(option->value, &insert->txn_version) && insert->txn_version >= 0;
    } else if (str_ieq(option->key, "mergeSchema")) {
        ok = str_parse_bool(option->value, &insert->merge_schema);
    } else if (str_ieq(option->key, "overwriteSchema")) {
        ok = str_parse_bool(option->value, &insert->overwrite_schema);
    } else if (str_ieq(option->key, "userMetadata")) {
        insert->user_metadata = option->value;
    } else if (str_ieq(option->key, "partitionOverwriteMode")) {
        insert->dynamic_partitions = str_ieq(option->value, "dynamic");
        ok = insert->dynamic_partitions || str_ieq(option->value, "static");
    } else {
        Status rc = error_set(err, E_STREAM_OPTION, "INSERT has no option %s", option->key);
        const char *nearest = error_nearest(option->key, names, sizeof names / sizeof *names);
        if (nearest != NULL) {
            error_hint(err, "did you mean \"%s\"?", nearest);
        }
        sql_error_place(err, text, option->span);
        return rc;
    }
    if (!ok) {
        error_set(err, E_STREAM_OPTION, "%s cannot be '%s'", option->key, option->value);
        sql_error_place(err, text, option->span);
        return error_status(err);
    }
    return OK;
}

/* INSERT ... REPLACE WHERE, or only in the partitions of the new rows. */
static Status replace_rows(Session *session, DeltaTable *table, const SqlStatement *statement,
                           const TableInsert *insert, int64_t *rows, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    const char *name = statement->target.name;
    TableCondition where = {
        .alias = name != NULL ? name : "target", .sql = statement->replace_where, .text = statement->replace_where};

    if (statement->replace_where != NULL &&
        (insert->merge_schema || insert->overwrite_schema || insert->dynamic_partitions)) {
        rc = error_set(err, E_STREAM_OPTION,
                       "REPLACE WHERE keeps the schema and names its rows itself: mergeSchema, overwriteSchema and "
                       "partitionOverwriteMode do not go with it");
        goto out;
    }
    if (insert->merge_schema || insert->overwrite_schema) {
        rc = error_set(err, E_STREAM_OPTION, "partitionOverwriteMode = dynamic keeps the schema");
        goto out;
    }
    if (where.sql != NULL) {
        session_predicates(session, arena, "", &where);
    }
    TRY(table_replace(table, session->conn, insert, where.sql != NULL ? &where : NULL, rows, err));
out:
    arena_free(arena);
    return rc;
}

static Status run_insert(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                         Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    DeltaTable *table = NULL;
    SqlQuery *query = NULL;
    int64_t rows = 0;
    TableInsert insert = {.by_name = statement->by_name,
                          .columns = statement->insert_columns,
                          .n_columns = statement->n_insert_columns,
                          .overwrite = statement->overwrite,
                          .merge_schema = statement->evolve,
                          .txn_version = -1};

    if (statement->n_insert_columns == 0) {
        insert.columns = NULL;
    }
    for (size_t i = 0; i < statement->n_options; i++) {
        TRY(apply_insert_option(text, &statement->options[i], &insert, err));
    }
    if ((insert.txn_app_id != NULL) != (insert.txn_version >= 0)) {
        rc = error_set(err, E_STREAM_OPTION, "txnAppId and txnVersion go together: one of them is missing");
        error_klass(err, "DELTA_INVALID_IDEMPOTENT_WRITES_OPTIONS");
        goto out;
    }
    TRY(session_target(session, text, &statement->target, &table, err));
    TRY(session_prepare(session, text, statement->query, &query, err));
    insert.query = sql_query_text(query);
    TRY(session_values(session, table, arena, &insert, err));
    if (statement->replace_where != NULL || (insert.overwrite && insert.dynamic_partitions)) {
        rc = replace_rows(session, table, statement, &insert, &rows, err);
    } else {
        rc = table_insert(table, session->conn, &insert, &rows, err);
    }
    if (rc != OK && insert.query == sql_query_text(query)) {
        sql_query_place(query, duck_error_position(session->conn), err);
    }
    if (rc == OK) {
        int64_t n = rows < 0 ? 0 : rows; /* below: txnVersion has been seen */
        const SessionCount counts[] = {{"num_affected_rows", n}, {"num_inserted_rows", n}};
        TRY(session_report(session, counts, 2, result, err));
    }
out:
    sql_query_free(query);
    delta_table_close(table);
    arena_free(arena);
    return rc;
}

static void statement_name(const SqlName *target, Text *out)
{
    if (target->path != NULL) {
        text_printf(out, "delta.`%s`", target->path);
    } else {
        text_printf(out, "%s%s%s", target->schema != NULL ? target->schema : "", target->schema != NULL ? "." : "",
                    target->name);
    }
}

/* SHOW TBLPROPERTIES t ('key') */
static Status only_property(const SqlText *text, const SqlStatement *statement, Text *sql, Error *err)
{
    Status rc = OK;
    const char *rest = statement->rest, *key = NULL;
    Text all = TEXT(TEXT_SQL_MAX);

    if (rest == NULL) {
        goto out;
    }
    size_t n = strlen(rest);
    bool brackets = n > 2 && rest[0] == '(' && rest[n - 1] == ')';
    size_t quote = brackets && n > 4 && rest[1] == '\'' && rest[n - 2] == '\'';
    if (!brackets) {
        rc = error_set(err, E_SQL_PARSE, "expected ('key') or the end of SHOW TBLPROPERTIES");
        sql_error_place(err, text, statement->rest_span);
        goto out;
    }
    key = mem_strndup(rest + 1 + quote, n - 2 - 2 * quote);
    text_printf(&all, "SELECT * FROM (%s) WHERE key = ", text_str(sql));
    text_append_sql_string(&all, key);
    text_clear(sql);
    text_append(sql, text_str(&all));
out:
    mem_free((char *)key);
    text_free(&all);
    return rc;
}

/* DESCRIBE and SHOW: the table's own words as a query. */
static Status run_describe(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                           Error *err)
{
    Status rc = OK;
    DeltaTable *table = NULL;
    Text sql = TEXT(TEXT_SQL_MAX), name = TEXT(1 << 16);
    const SqlName *target = &statement->target;

    TRY(session_target(session, text, target, &table, err));
    if (statement->kind == SQL_DESCRIBE_HISTORY) {
        TRY(table_history_sql(table, statement->limit, &sql, err));
    } else if (statement->kind == SQL_DESCRIBE_DETAIL) {
        TRY(table_detail_sql(table, session->conn, &sql, err));
    } else if (statement->kind == SQL_SHOW_TBLPROPERTIES) {
        TRY(table_properties_sql(table, session->conn, &sql, err));
        TRY(only_property(text, statement, &sql, err));
    } else if (statement->kind == SQL_DESCRIBE_TABLE) {
        statement_name(target, &name);
        TRY(table_columns_sql(table, session->conn, text_str(&name), statement->extended, &sql, err));
    } else {
        statement_name(target, &name);
        TRY(table_definition_sql(table, session->conn, text_str(&name), &sql, err));
    }
    TRY(duck_query(session->conn, text_str(&sql), result, err));
out:
    delta_table_close(table);
    text_free(&sql);
    text_free(&name);
    return rc;
}

typedef struct TableRows {
    Text *sql;
    const char *schema; /* NULL: of all */
    size_t n;
} TableRows;

static Status table_row(void *context, const char *schema, const char *name, const char *location, Error *err)
{
    TableRows *rows = context;
    (void)err;

    if (rows->schema != NULL && !str_ieq(rows->schema, schema)) {
        return OK;
    }
    text_append(rows->sql, rows->n++ == 0 ? "(" : ", (");
    text_append_sql_string(rows->sql, schema);
    text_append(rows->sql, ", ");
    text_append_sql_string(rows->sql, name);
    text_append(rows->sql, ", ");
    text_append_sql_string(rows->sql, location);
    text_append(rows->sql, ")");
    return OK;
}

static Status run_show_tables(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                              Error *err)
{
    Status rc = OK;
    Text sql = TEXT(TEXT_SQL_MAX);
    TableRows rows = {.sql = &sql, .schema = statement->target.schema};
    (void)text;

    text_append(&sql, "SELECT * FROM (VALUES ");
    TRY(warehouse_each(session->warehouse, table_row, &rows, err));
    text_append(&sql, rows.n == 0 ? "('', '', '')) AS t(\"schema\", \"table\", \"location\") WHERE false"
                                  : ") AS t(\"schema\", \"table\", \"location\") ORDER BY ALL");
    TRY(duck_query(session->conn, text_str(&sql), result, err));
out:
    text_free(&sql);
    return rc;
}

static Status set_fsync(const char *value, Error *err)
{
    bool on = true;

    if (!str_parse_bool(value, &on)) {
        Status rc = error_set(err, E_PIPELINE_PROPERTY, "freshet.fsync cannot be '%s'", value);
        error_hint(err, "it takes true or false");
        return rc;
    }
    store_set_fsync(on);
    return OK;
}

/* SET key = value: freshet.fsync and freshet.allowedPaths for the process, userMetadata for the commits to come, the
 * others are DuckDB's (TimeZone, memory_limit, ...). */
static Status run_set(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                      Error *err)
{
    Status rc = OK;
    Text sql = TEXT(1 << 16);
    (void)result;

    if (str_ieq(statement->set_key, "freshet.fsync")) {
        TRY(set_fsync(statement->set_value, err));
        goto out;
    }
    if (str_ieq(statement->set_key, "freshet.allowedPaths")) {
        TRY(delta_allowed_set(statement->set_value, err));
        goto out;
    }
    if (str_ieq(statement->set_key, DELTA_USER_METADATA_SETTING)) {
        duck_set_user_metadata(session->conn, statement->set_value);
        goto out;
    }
    if (str_istarts(statement->set_key, "freshet.") || str_istarts(statement->set_key, "pipelines.")) {
        rc = error_set(err, E_PIPELINE_PROPERTY, "%s steers flows; a question has none", statement->set_key);
        error_hint(err, "put it into the pipeline file, or give freshet run --set %s=...", statement->set_key);
        goto out;
    }
    text_append(&sql, "SET ");
    text_append_sql_name(&sql, statement->set_key);
    text_append(&sql, " = ");
    text_append_sql_string(&sql, statement->set_value);
    TRY(duck_exec(session->conn, text_str(&sql), err));
out:
    if (rc != OK) {
        sql_error_place(err, text, statement->span);
    }
    text_free(&sql);
    return rc;
}

static Status refuse_pipeline(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                              Error *err)
{
    Status rc = error_set(err, E_PIPELINE_STATEMENT, "%s belongs into a pipeline", sql_statement_name(statement->kind));
    (void)session;
    (void)result;

    error_hint(err, "put it into a file and use freshet run FILE");
    sql_error_place(err, text, statement->span);
    return rc;
}

static Status refuse_sink(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                          Error *err)
{
    Status rc = sql_refuse_sink(text, statement, err);
    (void)session;
    (void)result;

    return rc;
}

static Status refuse_kind(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                          Error *err)
{
    Status rc = error_set(err, E_PIPELINE_STATEMENT, "%s cannot be run on a Delta table by this version",
                          sql_statement_name(statement->kind));
    (void)session;
    (void)result;

    error_hint(err, "Spark, delta-rs and others can, on the same table");
    sql_error_place(err, text, statement->span);
    return rc;
}

/* ---- dispatch ---- */

typedef Status (*StatementRunner)(Session *, const SqlText *, const SqlStatement *, DuckResult **, Error *);

static const StatementRunner RUNNERS[] = {
    [SQL_CREATE_STREAMING_TABLE] = refuse_pipeline,
    [SQL_CREATE_MATERIALIZED_VIEW] = refuse_pipeline,
    [SQL_CREATE_TEMPORARY_VIEW] = session_run_create_view,
    [SQL_CREATE_FLOW] = refuse_pipeline,
    [SQL_CREATE_SINK] = refuse_sink,
    [SQL_SET] = run_set,
    [SQL_CREATE_TABLE] = run_create_table,
    [SQL_DROP_TABLE] = run_drop_table,
    [SQL_INSERT] = run_insert,
    [SQL_DELETE] = session_run_delete,
    [SQL_UPDATE] = session_run_update,
    [SQL_MERGE] = session_run_merge,
    [SQL_ALTER_TABLE] = session_run_alter,
    [SQL_DESCRIBE_HISTORY] = run_describe,
    [SQL_DESCRIBE_DETAIL] = run_describe,
    [SQL_DESCRIBE_TABLE] = run_describe,
    [SQL_CREATE_SCHEMA] = session_run_create_schema,
    [SQL_DROP_SCHEMA] = session_run_drop_schema,
    [SQL_USE] = session_run_use,
    [SQL_SHOW_SCHEMAS] = session_run_show_schemas,
    [SQL_SHOW_TABLES] = run_show_tables,
    [SQL_SHOW_TBLPROPERTIES] = run_describe,
    [SQL_SHOW_CREATE_TABLE] = run_describe,
    [SQL_OPTIMIZE] = refuse_kind,
    [SQL_VACUUM] = refuse_kind,
    [SQL_RESTORE] = session_run_restore,
    [SQL_CLONE] = session_run_clone,
    [SQL_CONVERT] = session_run_convert,
    [SQL_QUERY] = run_query,
};

/* Could the table not be looked for? Then that is the error. */
static bool is_unreadable(Session *session, const char *schema, const char *name, Error *err)
{
    Error why = ERROR_NONE;
    DeltaTable *table = NULL;
    bool exists = false;

    if (warehouse_check_name(schema, name, NULL) != OK ||
        warehouse_table(session->warehouse, schema, name, &table, &exists, &why) == OK) {
        delta_table_close(table);
        return false;
    }
    why.place = err->place;
    *err = why;
    return true;
}

/* Tables that DuckDB does not know: a Delta table in a statement that is DuckDB's alone, or a wrong name. */
static void explain_unknown_table(Session *session, const SqlText *text, SqlSpan span, Error *err)
{
    Arena *arena = arena_new();
    const char *name = relation_unknown_table(err, arena);
    const char *dot = name != NULL ? strchr(name, '.') : NULL;
    const char *schema = session_schema(session, dot != NULL ? arena_strndup(arena, name, (size_t)(dot - name)) : NULL);
    const char *table = dot != NULL ? dot + 1 : name;

    if (name != NULL && relation_is_table(session->warehouse, schema, table)) {
        const ErrorPlace place = err->place;
        error_set(err, E_PIPELINE_STATEMENT, "%s is a Delta table, which this statement cannot take", name);
        if (span.end - span.begin > 4 && strncasecmp(text->data + span.begin, "COPY", 4) == 0) {
            error_hint(err,
                       "INSERT INTO %s SELECT * FROM read_files('...') loads files; COPY (SELECT ...) TO writes them",
                       name);
        } else {
            error_hint(err,
                       "INSERT, UPDATE, DELETE, MERGE and ALTER TABLE change Delta tables, every query reads them");
        }
        err->place = place;
    } else if (name != NULL && !is_unreadable(session, schema, table, err)) {
        relation_hint_nearest(session->warehouse, name, err);
    }
    arena_free(arena);
}

bool session_wants_rows(const SqlStatement *statements, size_t n, size_t i)
{
    bool asked = false;

    for (size_t k = 0; k < n; k++) {
        asked = asked || statements[k].asks;
    }
    return statements[i].asks || !asked;
}

Status session_run(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                   Error *err)
{
    *result = NULL;
    Status rc = RUNNERS[statement->kind](session, text, statement, result, err);
    sql_property_place(text, statement, err);
    sql_column_place(text, statement, err);
    if (rc != OK && rc != ERR_INTERRUPTED && err != NULL && err->place.line == 0) {
        sql_error_place(err, text, statement->span);
    }
    if (rc != OK) {
        explain_unknown_table(session, text, statement->span, err);
        rc = err != NULL ? delta_explain_gone(err) : rc;
    }
    return rc;
}
