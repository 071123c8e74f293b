#include "session/session.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "delta/allowed.h"
#include "delta/gone.h"
#include "session/copy.h"
#include "session/relation.h"
#include "session/session_int.h"
#include "session/statements.h"
#include "sql/query.h"

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

static SessionRunner *const RUNNERS[] = {
    [SQL_CREATE_STREAMING_TABLE] = refuse_pipeline,
    [SQL_CREATE_MATERIALIZED_VIEW] = refuse_pipeline,
    [SQL_CREATE_TEMPORARY_VIEW] = session_run_create_view,
    [SQL_CREATE_FLOW] = refuse_pipeline,
    [SQL_CREATE_SINK] = refuse_sink,
    [SQL_SET] = run_set,
    [SQL_CREATE_TABLE] = session_run_create_table,
    [SQL_DROP_TABLE] = session_run_drop_table,
    [SQL_INSERT] = session_run_insert,
    [SQL_DELETE] = session_run_delete,
    [SQL_UPDATE] = session_run_update,
    [SQL_MERGE] = session_run_merge,
    [SQL_ALTER_TABLE] = session_run_alter,
    [SQL_DESCRIBE_HISTORY] = session_run_describe,
    [SQL_DESCRIBE_DETAIL] = session_run_describe,
    [SQL_DESCRIBE_TABLE] = session_run_describe,
    [SQL_CREATE_SCHEMA] = session_run_create_schema,
    [SQL_DROP_SCHEMA] = session_run_drop_schema,
    [SQL_USE] = session_run_use,
    [SQL_SHOW_SCHEMAS] = session_run_show_schemas,
    [SQL_SHOW_TABLES] = session_run_show_tables,
    [SQL_SHOW_TBLPROPERTIES] = session_run_describe,
    [SQL_SHOW_CREATE_TABLE] = session_run_describe,
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
