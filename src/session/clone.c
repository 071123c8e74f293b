#include <inttypes.h>

#include "session/session_int.h"
#include "session/statements.h"
#include "table/clone.h"

/* "silver.orders", delta.`/place` */
static const char *source_name(const Session *session, const SqlName *name, Arena *arena)
{
    if (name->path != NULL) {
        return arena_printf(arena, "delta.`%s`", name->path);
    }
    const char *schema = session_schema(session, name->schema);
    return arena_printf(arena, "%s.%s", schema != NULL ? schema : "default", name->name);
}

static Status source_snapshot(Session *session, const SqlText *text, const SqlClone *clone, DeltaSnapshot **out,
                              Error *err)
{
    Status rc = OK;
    DeltaTable *source = NULL;
    int64_t version = 0;

    TRY(session_target(session, text, &clone->source, &source, err));
    if (clone->at.version == NULL && clone->at.timestamp == NULL) {
        TRY(delta_table_snapshot(source, session_conn(session), out, err));
    } else {
        TRY(session_version(session, source, &clone->at, &version, err));
        TRY(delta_table_snapshot_at(source, session_conn(session), version, out, err));
    }
out:
    delta_table_close(source);
    return rc;
}

static Status report(Session *session, const TableCloneResult *done, DuckResult **result, Error *err)
{
    const SessionCount counts[] = {
        {"source_table_size", done->source_bytes},   {"source_num_of_files", done->source_files},
        {"num_removed_files", done->files_removed},  {"num_copied_files", done->files_copied},
        {"removed_files_size", done->bytes_removed}, {"copied_files_size", done->bytes_copied}};

    return session_report(session, counts, sizeof counts / sizeof *counts, result, err);
}

Status session_run_clone(Session *session, const SqlText *text, const SqlStatement *statement, DuckResult **result,
                         Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    SqlClone parsed;
    DeltaSnapshot *source = NULL;
    DeltaTable *table = NULL;
    TableCloneResult done = {0};

    TRY(sql_clone_parse(text, statement->rest_span, arena, &parsed, err));
    TRY(source_snapshot(session, text, &parsed, &source, err));
    TableProperty *properties = arena_alloc(arena, (parsed.n_properties + 1) * sizeof *properties);
    for (size_t i = 0; i < parsed.n_properties; i++) {
        properties[i] = (TableProperty){parsed.properties[i].key, parsed.properties[i].value};
    }
    TableClone clone = {
        .shallow = parsed.shallow,
        .like = parsed.like,
        .or_replace = statement->or_replace,
        .if_not_exists = statement->if_not_exists,
        .source_name = source_name(session, &parsed.source, arena),
        .properties = properties,
        .n_properties = parsed.n_properties,
    };
    TRY(session_new_table(session, &statement->target, parsed.location, &table, err));
    TRY(table_clone(table, session_conn(session), source, &clone, &done, err));
    if (done.done && !parsed.like) {
        TRY(report(session, &done, result, err));
    }
out:
    if (rc != OK && err != NULL && err->place.line == 0) {
        sql_error_place(err, text, statement->span);
    }
    delta_snapshot_unref(source);
    delta_table_close(table);
    arena_free(arena);
    return rc;
}
