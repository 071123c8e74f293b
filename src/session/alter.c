#include <inttypes.h>

#include "session/columns.h"
#include "session/relation.h"
#include "session/session_int.h"
#include "session/statements.h"
#include "sql/statement_alter.h"
#include "table/alter.h"
#include "table/convert.h"
#include "table/drop_feature.h"
#include "table/restore.h"

/* ---- ALTER TABLE ---- */

/* Names are places here: the folder of a table is its name. */
static Status refuse_rename(const SqlText *text, const SqlStatement *statement, Error *err)
{
    Status rc = error_set(err, E_PIPELINE_STATEMENT,
                          "a table keeps its name, which is its folder in the warehouse and what flows and checkpoints "
                          "know it by");

    error_hint(err, "CREATE TABLE other DEEP CLONE t makes a table of another name, with all rows");
    sql_error_place(err, text, statement->rest_span);
    return rc;
}

static const TableProperty *alter_properties(const SqlAlter *alter, Arena *arena)
{
    TableProperty *properties = arena_alloc(arena, (alter->n_properties + 1) * sizeof *properties);
    bool unset = alter->kind == SQL_ALTER_UNSET_PROPERTIES;

    for (size_t i = 0; i < alter->n_properties; i++) {
        properties[i] = (TableProperty){alter->properties[i].key, unset ? NULL : alter->properties[i].value};
    }
    return properties;
}

/* The statement's change with its columns as a schema; everything lives in `arena` but *columns. */
static Status read_alter(Session *session, const SqlText *text, const SqlAlter *alter, Arena *arena,
                         DeltaSchema **columns, TableAlter *out, Error *err)
{
    static const TableAlterKind KINDS[] = {
        [SQL_ALTER_ADD_COLUMNS] = TABLE_ALTER_ADD_COLUMNS,
        [SQL_ALTER_COLUMN_TYPE] = TABLE_ALTER_COLUMN_TYPE,
        [SQL_ALTER_COLUMN_COMMENT] = TABLE_ALTER_COLUMN_COMMENT,
        [SQL_ALTER_COLUMN_NOT_NULL] = TABLE_ALTER_COLUMN_NOT_NULL,
        [SQL_ALTER_COLUMN_NULLABLE] = TABLE_ALTER_COLUMN_NULLABLE,
        [SQL_ALTER_COLUMN_PLACE] = TABLE_ALTER_COLUMN_PLACE,
        [SQL_ALTER_COLUMN_DEFAULT] = TABLE_ALTER_COLUMN_DEFAULT,
        [SQL_ALTER_COLUMN_NO_DEFAULT] = TABLE_ALTER_COLUMN_NO_DEFAULT,
        [SQL_ALTER_COLUMN_CHANGE] = TABLE_ALTER_COLUMN_CHANGE,
        [SQL_ALTER_RENAME_COLUMN] = TABLE_ALTER_RENAME_COLUMN,
        [SQL_ALTER_DROP_COLUMNS] = TABLE_ALTER_DROP_COLUMNS,
        [SQL_ALTER_REPLACE_COLUMNS] = TABLE_ALTER_REPLACE_COLUMNS,
        [SQL_ALTER_SET_PROPERTIES] = TABLE_ALTER_PROPERTIES,
        [SQL_ALTER_UNSET_PROPERTIES] = TABLE_ALTER_PROPERTIES,
        [SQL_ALTER_ADD_CONSTRAINT] = TABLE_ALTER_ADD_CONSTRAINT,
        [SQL_ALTER_DROP_CONSTRAINT] = TABLE_ALTER_DROP_CONSTRAINT,
        [SQL_ALTER_CLUSTER_BY] = TABLE_ALTER_CLUSTER_BY,
    };
    Status rc = OK;
    DeltaPath *paths = arena_alloc(arena, (alter->n_paths + 1) * sizeof *paths);
    DeltaPlace *places = arena_alloc(arena, (alter->n_paths + 1) * sizeof *places);

    for (size_t i = 0; i < alter->n_paths; i++) {
        paths[i] = (DeltaPath){alter->paths[i].parts, alter->paths[i].n};
        places[i] = (DeltaPlace){alter->paths[i].first, alter->paths[i].after};
    }
    if (alter->n_columns > 0) {
        TRY(columns_schema(session_conn(session), text, alter->columns, alter->n_columns, columns, err));
    }
    *out = (TableAlter){
        .kind = KINDS[alter->kind],
        .paths = paths,
        .places = places,
        .n_paths = alter->n_paths,
        .columns = *columns,
        .name = alter->name,
        .comment = alter->kind == SQL_ALTER_COLUMN_CHANGE ? alter->columns->comment : alter->comment,
        .condition = alter->condition,
        .expression = alter->expression,
        .properties = alter_properties(alter, arena),
        .n_properties = alter->n_properties,
        .if_exists = alter->if_exists,
        .if_not_exists = alter->if_not_exists,
    };
out:
    return rc;
}

Status session_run_alter(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                         Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    DeltaTable *table = NULL;
    DeltaSchema *columns = NULL;
    SqlAlter alter;
    TableAlter change;
    (void)result;

    TRY(sql_alter_parse(text, statement->rest_span, arena, &alter, err));
    if (alter.kind == SQL_ALTER_RENAME_TABLE) {
        TRY(refuse_rename(text, statement, err));
    }
    rc = session_target(session, text, &statement->target, &table, err);
    if (rc == ERR_NOT_FOUND && statement->if_exists) {
        error_clear(err);
        rc = OK;
        goto out;
    }
    if (rc != OK) {
        goto out;
    }
    if (alter.kind == SQL_ALTER_DROP_FEATURE) {
        rc = table_drop_feature(table, session_conn(session), alter.name, alter.truncate_history, err);
    } else {
        TRY(read_alter(session, text, &alter, arena, &columns, &change, err));
        rc = table_alter(table, session_conn(session), &change, err);
    }
    if (rc != OK && err != NULL && err->place.line == 0) {
        sql_error_place(err, text, statement->rest_span);
    }
out:
    delta_schema_unref(columns);
    delta_table_close(table);
    arena_free(arena);
    return rc;
}

/* ---- RESTORE ---- */

Status session_version(Session *session, DeltaTable *table, const SqlRestore *restore, int64_t *version, Error *err)
{
    Status rc = OK;
    int64_t ms = 0;

    if (restore->timestamp != NULL) {
        TRY(relation_time(session_conn(session), restore->timestamp, &ms, err));
        TRY(delta_table_version_at(table, session_conn(session), ms, version, err));
    } else if (!str_parse_i64(restore->version, version) || *version < 0) {
        rc = error_set(err, E_DELTA_VERSION, "%s is not a version: it has to be a number from 0", restore->version);
    }
out:
    return rc;
}

Status session_run_restore(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                           Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    DeltaTable *table = NULL;
    SqlRestore restore = {0};
    TableRestore done = {0};
    int64_t version = 0;

    TRY(sql_restore_parse(text, statement->rest_span, arena, &restore, err));
    TRY(session_target(session, text, &statement->target, &table, err));
    TRY(session_version(session, table, &restore, &version, err));
    TRY(table_restore(table, session_conn(session), version, restore.timestamp, &done, err));
    const SessionCount counts[] = {
        {"table_size_after_restore", done.bytes_after}, {"num_of_files_after_restore", done.files_after},
        {"num_removed_files", done.files_removed},      {"num_restored_files", done.files_restored},
        {"removed_files_size", done.bytes_removed},     {"restored_files_size", done.bytes_restored}};
    TRY(session_report(session, counts, sizeof counts / sizeof *counts, result, err));
out:
    if (rc != OK && err != NULL && err->place.line == 0) {
        sql_error_place(err, text, statement->rest_span);
    }
    delta_table_close(table);
    arena_free(arena);
    return rc;
}

/* ---- CONVERT TO DELTA ---- */

Status session_run_convert(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                           Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    DeltaTable *table = NULL;
    DeltaSchema *partitions = NULL;
    const SqlColumn *columns = NULL;
    size_t n = 0;
    int64_t files = 0;

    TRY(sql_convert_parse(text, statement->rest_span, arena, &columns, &n, err));
    if (statement->target.path == NULL) {
        rc = error_set(err, E_PIPELINE_STATEMENT, "CONVERT TO DELTA takes a folder, not the name of a table");
        error_hint(err, "CONVERT TO DELTA parquet.`path`");
        goto out;
    }
    if (n > 0) {
        TRY(columns_schema(session_conn(session), text, columns, n, &partitions, err));
    }
    TRY(delta_table_open(duck_instance(session_conn(session)), statement->target.path, &table, err));
    TRY(table_convert(table, session_conn(session), partitions, &files, err));
    TRY(session_report(session, &(SessionCount){"num_converted_files", files}, 1, result, err));
out:
    if (rc != OK && err != NULL && err->place.line == 0) {
        sql_error_place(err, text, statement->span);
    }
    delta_schema_unref(partitions);
    delta_table_close(table);
    arena_free(arena);
    return rc;
}
