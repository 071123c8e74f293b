/* INSERT: its options, and which of the ways into a table it takes. */
#include "table/insert.h"
#include "session/session_int.h"
#include "session/statements.h"
#include "session/values.h"
#include "sql/query.h"
#include "table/replace.h"

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

Status session_run_insert(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
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
