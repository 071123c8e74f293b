/* DELETE, UPDATE and MERGE: the statement is rewritten as a whole, so that its sub-queries read tables like any query,
 * then cut into expressions. Each expression is bound by itself before anything runs, so that an error of DuckDB's
 * points into the user's text. */
#include "session/statements.h"

#include <string.h>

#include "duck/type.h"
#include "session/metadata.h"
#include "session/relation.h"
#include "session/session_int.h"
#include "sql/statement_dml.h"
#include "sql/values.h"
#include "table/merge.h"
#include "table/rows.h"

typedef struct Dml {
    Session *session;
    Arena *arena;
    DeltaTable *table;
    SqlQuery *query;
    SqlText rewritten;
    SqlDml body;
    const char *target; /* FROM item: no rows, the table's columns, its alias */
    const char *source; /* MERGE: FROM item */
} Dml;

/* ---- begin and end ---- */

/* Moves a place in the rewritten text to the user's. */
static void place_in_query(const Dml *d, Error *err)
{
    const char *at = d->rewritten.data;

    if (err == NULL || err->place.line == 0) {
        return;
    }
    for (int line = 1; line < err->place.line && at != NULL; line++) {
        at = strchr(at, '\n');
        at = at != NULL ? at + 1 : NULL;
    }
    if (at != NULL) {
        sql_query_place(d->query, at - d->rewritten.data + err->place.column - 1, err);
    }
}

static const char *slice(const Dml *d, SqlSpan span)
{
    return arena_strndup(d->arena, d->rewritten.data + span.begin, span.end - span.begin);
}

/* The table without its rows, to bind expressions against. */
static Status target_shape(Dml *d, Error *err)
{
    Status rc = OK;
    DeltaSnapshot *snapshot = NULL;
    Text shape = TEXT(TEXT_SQL_MAX);

    TRY(delta_table_snapshot(d->table, session_conn(d->session), &snapshot, err));
    text_append(&shape, "(");
    table_rows_shape(delta_snapshot_schema(snapshot), &shape);
    text_append(&shape, ") AS ");
    text_append_sql_name(&shape, d->body.alias);
    d->target = arena_strdup(d->arena, text_str(&shape));
out:
    text_free(&shape);
    delta_snapshot_unref(snapshot);
    return rc;
}

static void dml_fini(Dml *d)
{
    sql_query_free(d->query);
    delta_table_close(d->table);
    arena_free(d->arena);
}

/* Where the target's _metadata is named, and no other relation has one, the error is to say why. */
static void refuse_row_ids(const Dml *d, const SqlText *text, const SqlStatement *statement)
{
    Error why = ERROR_NONE;

    if (metadata_is_named_for(text, statement->span, d->body.alias)) {
        error_set(&why, E_SQL_BIND,
                  "the ids of rows (_metadata) of the table that a statement changes cannot be named");
        error_hint(&why, "ask for the rows first: ... WHERE key IN (SELECT key FROM t WHERE _metadata.row_id ...)");
        sql_query_lacks_metadata(d->query, &why);
    }
}

static Status dml_init(Dml *d, Session *session, const SqlText *text, const SqlStatement *statement, Error *err)
{
    Status rc = OK;

    *d = (Dml){.session = session, .arena = arena_new()};
    TRY(session_target(session, text, &statement->target, &d->table, err));
    TRY(session_prepare(session, text, statement->span, &d->query, err));
    d->rewritten = (SqlText){
        .name = text->name, .data = sql_query_text(d->query), .length = strlen(sql_query_text(d->query))};
    rc = sql_dml_parse(&d->rewritten, statement->kind, d->arena, &d->body, err);
    if (rc != OK) {
        place_in_query(d, err);
        goto out;
    }
    TRY(target_shape(d, err));
    refuse_row_ids(d, text, statement);
out:
    return rc;
}

/* ---- expressions ---- */

/* Binds what stands behind `lead`; an error points to it. *type: of the first column. */
static Status bind(Dml *d, const char *lead, SqlSpan span, const char *tail, const DuckType **type, Error *err)
{
    Status rc = OK;
    Text sql = TEXT(TEXT_SQL_MAX);
    DuckColumnInfo *columns = NULL;
    size_t n = 0;

    text_append(&sql, lead);
    text_append(&sql, slice(d, span));
    text_append(&sql, tail);
    rc = duck_describe_nulls(session_conn(d->session), text_str(&sql), d->arena, &columns, &n, err);
    if (rc != OK) {
        int64_t at = duck_error_position(session_conn(d->session)) - (int64_t)strlen(lead);
        bool inside = at >= 0 && (size_t)at < span.end - span.begin;
        sql_query_place(d->query, (int64_t)span.begin + (inside ? at : 0), err);
        goto out;
    }
    *type = columns[0].type;
out:
    text_free(&sql);
    return rc;
}

/* Binds an expression over the FROM items `from`. */
static Status bind_value(Dml *d, SqlSpan span, const char *from, const DuckType **type, Error *err)
{
    return bind(d, "SELECT (", span, arena_printf(d->arena, "\n) FROM %s", from), type, err);
}

static Status bind_condition(Dml *d, SqlSpan span, const char *from, Error *err)
{
    const DuckType *type;

    return bind(d, "SELECT (", span, arena_printf(d->arena, "\n)::BOOLEAN FROM %s", from), &type, err);
}

void session_predicates(Session *session, Arena *arena, const char *others, TableCondition *where)
{
    SqlQuery *query = NULL;
    SqlPredicate *predicates = NULL;
    size_t n = 0;
    Text sql = TEXT(TEXT_SQL_MAX);

    text_append(&sql, "SELECT 1 FROM delta.\"target\" AS ");
    text_append_sql_name(&sql, where->alias);
    text_printf(&sql, "%s WHERE (%s\n)", others, where->text); /* without the cast around it, which hides conjuncts */
    SqlText text = {.name = "condition", .data = text_str(&sql), .length = sql.length};
    if (sql_query_rewrite(&text, (SqlSpan){0, text.length}, NULL, NULL, &query, NULL) == OK &&
        sql_query_predicates(session_conn(session), query, 0, arena, &predicates, &n, NULL) == OK) {
        where->predicates = relation_predicates(arena, predicates, n);
        where->n_predicates = n;
    }
    sql_query_free(query);
    text_free(&sql);
}

static Status read_condition(Dml *d, TableCondition *out, Error *err)
{
    Status rc = OK;

    *out = (TableCondition){.alias = d->body.alias};
    if (d->body.has_where) {
        TRY(bind_condition(d, d->body.where, d->target, err));
        out->text = slice(d, d->body.where);
        out->sql = arena_printf(d->arena, "(%s\n)::BOOLEAN", out->text);
        session_predicates(d->session, d->arena, "", out);
    }
out:
    return rc;
}

static Status read_assignments(Dml *d, const SqlAssignment *set, size_t n, const char *from, TableAssignment **out,
                               Error *err)
{
    Status rc = OK;
    TableAssignment *made = arena_alloc(d->arena, (n + 1) * sizeof *made);

    for (size_t i = 0; i < n; i++) {
        made[i].column = set[i].column;
        made[i].path = set[i].path;
        made[i].n_path = set[i].n_path;
        if (!set[i].is_default) {
            const DuckType *type = NULL;
            TRY(bind_value(d, set[i].value, from, &type, err));
            made[i].expression = slice(d, set[i].value);
            made[i].untyped = duck_type_has_bare_null(type) || sql_is_string(made[i].expression);
        }
    }
    *out = made;
out:
    return rc;
}

/* ---- statements ---- */

static Status affected_rows(Session *session, int64_t n, DuckResult **result, Error *err)
{
    return session_report(session, &(SessionCount){"num_affected_rows", n}, 1, result, err);
}

Status session_run_delete(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                          Error *err)
{
    Status rc = OK;
    Dml d;
    TableCondition where;
    int64_t deleted = 0;

    TRY(dml_init(&d, session, text, statement, err));
    TRY(read_condition(&d, &where, err));
    TRY(table_delete(d.table, session_conn(session), &where, &deleted, err));
    TRY(affected_rows(session, deleted, result, err));
out:
    dml_fini(&d);
    return rc;
}

Status session_run_update(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                          Error *err)
{
    Status rc = OK;
    Dml d;
    TableCondition where;
    TableAssignment *set = NULL;
    int64_t updated = 0;

    TRY(dml_init(&d, session, text, statement, err));
    TRY(read_condition(&d, &where, err));
    TRY(read_assignments(&d, d.body.set, d.body.n_set, d.target, &set, err));
    TRY(table_update(d.table, session_conn(session), &where, set, d.body.n_set, &updated, err));
    TRY(affected_rows(session, updated, result, err));
out:
    dml_fini(&d);
    return rc;
}

/* ---- MERGE ---- */

static Status read_clause(Dml *d, const SqlMergeClause *clause, TableMergeClause *out, Error *err)
{
    static const TableMergeWhen WHEN[] = {[SQL_MERGE_MATCHED] = TABLE_MERGE_MATCHED,
                                          [SQL_MERGE_NOT_MATCHED] = TABLE_MERGE_NOT_MATCHED,
                                          [SQL_MERGE_NOT_MATCHED_BY_SOURCE] = TABLE_MERGE_NOT_MATCHED_BY_SOURCE};
    static const TableMergeAction ACTION[] = {[SQL_MERGE_UPDATE] = TABLE_MERGE_UPDATE,
                                              [SQL_MERGE_DELETE] = TABLE_MERGE_DELETE,
                                              [SQL_MERGE_INSERT] = TABLE_MERGE_INSERT};
    Status rc = OK;
    TableAssignment *set = NULL;
    const char *from = clause->when == SQL_MERGE_NOT_MATCHED_BY_SOURCE ? d->target
                       : clause->when == SQL_MERGE_NOT_MATCHED         ? d->source
                                                               : arena_printf(d->arena, "%s, %s", d->target, d->source);

    if (clause->has_condition) {
        TRY(bind_condition(d, clause->condition, from, err));
    }
    TRY(read_assignments(d, clause->set, clause->n_set, from, &set, err));
    *out = (TableMergeClause){
        .when = WHEN[clause->when],
        .action = ACTION[clause->action],
        .all = clause->all,
        .condition = clause->has_condition ? slice(d, clause->condition) : NULL,
        .set = set,
        .n_set = clause->n_set,
    };
out:
    return rc;
}

static Status read_merge(Dml *d, TableMerge *out, Error *err)
{
    Status rc = OK;
    const SqlDml *body = &d->body;
    const DuckType *type = NULL;
    TableMergeClause *clauses = arena_alloc(d->arena, (body->n_clauses + 1) * sizeof *clauses);

    TRY(bind(d, "SELECT * FROM ", body->source, "", &type, err));
    d->source = slice(d, body->source);
    TRY(bind_condition(d, body->on, arena_printf(d->arena, "%s, %s", d->target, d->source), err));
    for (size_t i = 0; i < body->n_clauses; i++) {
        TRY(read_clause(d, &body->clauses[i], &clauses[i], err));
    }
    *out = (TableMerge){
        .source = d->source,
        .source_alias = body->source_alias,
        .on = {.alias = body->alias, .sql = slice(d, body->on), .text = slice(d, body->on)},
        .clauses = clauses,
        .n_clauses = body->n_clauses,
        .evolve = body->evolve,
    };
    session_predicates(d->session, d->arena, arena_printf(d->arena, ", %s", d->source), &out->on);
out:
    return rc;
}

Status session_run_merge(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                         Error *err)
{
    Status rc = OK;
    Dml d;
    TableMerge merge;
    TableMergeResult done;

    TRY(dml_init(&d, session, text, statement, err));
    TRY(read_merge(&d, &merge, err));
    TRY(table_merge(d.table, session_conn(session), &merge, &done, err));
    const SessionCount counts[] = {{"num_affected_rows", done.updated + done.deleted + done.inserted},
                                   {"num_updated_rows", done.updated},
                                   {"num_deleted_rows", done.deleted},
                                   {"num_inserted_rows", done.inserted}};
    TRY(session_report(session, counts, sizeof counts / sizeof *counts, result, err));
out:
    dml_fini(&d);
    return rc;
}
