/* MERGE in three temporary tables, each made by one pass:
 *
 *     freshet_source    the source's rows with a number, freshet_source
 *     freshet_matches   one row per pair that the condition joins: address of the target's row, number of the source's,
 *                       freshet_action (which clause takes it, NULL: none), old columns o0, o1, ... as far as they are
 *                       needed, the row's id with row tracking, and for clause k the values vk_0, vk_1, ... it assigns
 *     freshet_orphans   the same for rows of the target that nothing matched (WHEN NOT MATCHED BY SOURCE)
 *     freshet_inserts   freshet_action and vk_... for rows of the source that matched nothing
 *
 * The join is DuckDB's with the small side hashed; only columns that clauses need are read from the table.
 *
 * WITH SCHEMA EVOLUTION the table first takes the columns of the source that a clause gives it and the table does not
 * have; they are NULL in rows that are there. */
#include "table/merge.h"

#include <string.h>

#include "delta/column_default.h"
#include "table/assign.h"
#include "table/rows.h"

/* A clause with its columns resolved. */
typedef struct Clause {
    const TableMergeClause *is;
    const char **values; /* per column of the table: SQL, or NULL: keeps its value */
    int64_t rows;        /* that it took */
} Clause;

typedef struct Merge {
    TableRewrite *w;
    const TableMerge *is;
    Clause *clauses;
    DuckColumnInfo *columns; /* of the source */
    size_t n_columns;
    size_t n_of[3];   /* clauses by TableMergeWhen */
    bool *old_needed; /* per column of the table: the old value goes into a new row or a change */
    TableMergeResult done;
} Merge;

/* ---- what the clauses say ---- */

static bool source_has(const Merge *m, const char *name)
{
    for (size_t i = 0; i < m->n_columns; i++) {
        if (str_ieq(m->columns[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* Generated columns stay without a value: they are computed with the rest of the row. */
static Status assign_default(Merge *m, size_t column, Clause *clause, Error *err)
{
    Text value = TEXT(1 << 20);
    Status rc = OK;

    if (!table_rows_is_generated(&m->w->schema->fields[column])) {
        rc = table_rows_default(m->w->conn, &m->w->schema->fields[column], &value, err);
        clause->values[column] = arena_strdup(m->w->arena, text_str(&value));
    }
    text_free(&value);
    return rc;
}

static Status not_in_source(const Clause *clause, const char *name, Error *err)
{
    Status rc = error_set(err, E_DELTA_SCHEMA, "%s needs column \"%s\", which the source does not have",
                          clause->is->action == TABLE_MERGE_INSERT ? "INSERT *" : "UPDATE SET *", name);

    error_klass(err, "DELTA_MERGE_UNRESOLVED_EXPRESSION");
    error_hint(err, "name the columns and their values, or write MERGE WITH SCHEMA EVOLUTION INTO");
    return rc;
}

/* SET * and INSERT *: each column from the source's of that name. When the schema evolves the source need not have
 * all. */
static Status assign_all(Merge *m, Clause *clause, Error *err)
{
    Status rc = OK;
    const DeltaSchema *schema = m->w->schema;
    Text value = TEXT(1 << 16);

    for (size_t i = 0; i < schema->n_fields; i++) {
        const DeltaField *field = &schema->fields[i];
        const char *name = field->name;
        bool by_itself = table_rows_is_generated(field) || delta_is_identity(field);
        if (!source_has(m, name) && !m->is->evolve && !by_itself) {
            TRY(not_in_source(clause, name, err));
        } else if (!source_has(m, name) && clause->is->action == TABLE_MERGE_INSERT) {
            TRY(assign_default(m, i, clause, err));
        } else if (source_has(m, name)) {
            const TableAssignment given = {.column = name, .expression = name};
            TRY(table_assign_check(schema, &given, 1, clause->is->action == TABLE_MERGE_INSERT, err));
            text_clear(&value);
            text_append_sql_name(&value, m->is->source_alias);
            text_append_char(&value, '.');
            text_append_sql_name(&value, name);
            clause->values[i] = arena_strdup(m->w->arena, text_str(&value));
        }
    }
out:
    text_free(&value);
    return rc;
}

/* The names INSERT VALUES (...) leaves out, and the defaults of columns that INSERT does not name. */
static Status assign_insert(Merge *m, Clause *clause, Error *err)
{
    Status rc = OK;
    const DeltaSchema *schema = m->w->schema;
    const TableMergeClause *is = clause->is;
    TableAssignment *set = arena_alloc(m->w->arena, (is->n_set + 1) * sizeof *set);

    if (is->n_set > 0 && is->set[0].column == NULL && is->n_set != m->w->scanned->n_fields) {
        TRY(error_set(err, E_DELTA_SCHEMA, "INSERT gives %zu values, the table has %zu columns", is->n_set,
                      m->w->scanned->n_fields));
    }
    for (size_t i = 0; i < is->n_set; i++) {
        set[i] = is->set[i];
        set[i].column = set[i].column != NULL ? set[i].column : schema->fields[i].name;
        if (set[i].n_path > 0) {
            TRY(error_set(err, E_DELTA_SCHEMA, "INSERT takes whole columns: \"%s\" is given by its fields",
                          set[i].column));
        }
    }
    TRY(table_assign_check(schema, set, is->n_set, true, err));
    TRY(table_assign(m->w->conn, schema, m->is->on.alias, set, is->n_set, m->w->arena, clause->values, err));
    for (size_t i = 0; i < schema->n_fields; i++) {
        if (clause->values[i] == NULL) {
            TRY(assign_default(m, i, clause, err));
        }
    }
out:
    return rc;
}

static Status resolve_clause(Merge *m, Clause *clause, Error *err)
{
    const TableMergeClause *is = clause->is;

    if (is->all) {
        return assign_all(m, clause, err);
    }
    if (is->action == TABLE_MERGE_INSERT) {
        return assign_insert(m, clause, err);
    }
    Status rc = table_assign_check(m->w->schema, is->set, is->n_set, false, err);
    return rc != OK ? rc
                    : table_assign(m->w->conn, m->w->schema, m->is->on.alias, is->set, is->n_set, m->w->arena,
                                   clause->values, err);
}

static Status resolve_clauses(Merge *m, Error *err)
{
    Status rc = OK;
    size_t n_fields = m->w->schema->n_fields;

    m->clauses = arena_alloc(m->w->arena, (m->is->n_clauses + 1) * sizeof *m->clauses);
    m->old_needed = arena_alloc(m->w->arena, (n_fields + 1) * sizeof *m->old_needed);
    for (size_t k = 0; k < m->is->n_clauses; k++) {
        Clause *clause = &m->clauses[k];
        clause->is = &m->is->clauses[k];
        clause->values = arena_alloc(m->w->arena, (n_fields + 1) * sizeof *clause->values);
        m->n_of[clause->is->when]++;
        TRY(resolve_clause(m, clause, err));
        for (size_t i = 0; clause->is->action != TABLE_MERGE_INSERT && i < m->w->scanned->n_fields; i++) {
            bool kept = clause->is->action == TABLE_MERGE_UPDATE && clause->values[i] == NULL;
            m->old_needed[i] |= m->w->feed || kept;
        }
    }
out:
    return rc;
}

/* ---- evolution ---- */

/* Does a clause give the table the source's column of this name? */
static bool is_given(const Merge *m, const char *name)
{
    for (size_t k = 0; k < m->is->n_clauses; k++) {
        const TableMergeClause *clause = &m->is->clauses[k];
        for (size_t i = 0; i < clause->n_set; i++) {
            if (clause->set[i].column != NULL && str_ieq(clause->set[i].column, name)) {
                return true;
            }
        }
        if (clause->all) {
            return true;
        }
    }
    return false;
}

static Status evolve(Merge *m, Error *err)
{
    static const DuckType BARE_NULL = {.id = DUCK_INTEGER, .bare_null = true};
    Status rc = OK;
    const DeltaSchema *schema = m->w->schema;
    DuckColumnInfo *columns = arena_alloc(m->w->arena, (m->n_columns + schema->n_fields + 1) * sizeof *columns);
    DeltaSchema *grown = NULL;
    Text select = TEXT(TEXT_SQL_MAX);
    size_t n = 0;

    for (size_t i = 0; i < m->n_columns; i++) {
        if (is_given(m, m->columns[i].name)) {
            columns[n++] = m->columns[i];
        }
    }
    for (size_t i = 0; i < schema->n_fields; i++) { /* what the source does not have stays as it is */
        if (!source_has(m, schema->fields[i].name) || !is_given(m, schema->fields[i].name)) {
            columns[n++] = (DuckColumnInfo){.name = schema->fields[i].name, .type = &BARE_NULL};
        }
    }
    TRY(delta_schema_reconcile(schema, columns, n, DELTA_MERGE_ALL, &select, &grown, err));
    if (grown != NULL) {
        TRY(table_rewrite_evolve(m->w, grown, err));
    }
out:
    delta_schema_unref(grown);
    text_free(&select);
    return rc;
}

/* ---- the tables ---- */

/* ", CASE ... END AS freshet_action, values of the clauses" */
static void actions_sql(const Merge *m, TableMergeWhen when, Text *out)
{
    text_append(out, ", CASE");
    for (size_t k = 0; k < m->is->n_clauses; k++) {
        const TableMergeClause *clause = &m->is->clauses[k];
        if (clause->when == when) {
            text_printf(out, " WHEN (%s) THEN %zu", clause->condition != NULL ? clause->condition : "true", k);
        }
    }
    text_append(out, m->n_of[when] > 0 ? " END AS freshet_action" : " WHEN false THEN 0 END AS freshet_action");
    for (size_t k = 0; k < m->is->n_clauses; k++) {
        for (size_t i = 0; m->is->clauses[k].when == when && i < m->w->schema->n_fields; i++) {
            if (m->clauses[k].values[i] != NULL) {
                text_printf(out, ", CASE WHEN freshet_action = %zu THEN (%s) END AS v%zu_%zu", k,
                            m->clauses[k].values[i], k, i);
            }
        }
    }
}

static void old_columns_sql(const Merge *m, Text *out)
{
    text_append(out, m->w->tracks ? ", " DELTA_ROW_ID : "");
    for (size_t i = 0; i < m->w->scanned->n_fields; i++) {
        if (m->old_needed[i]) {
            text_append(out, ", ");
            text_append_sql_name(out, m->is->on.alias);
            text_append_char(out, '.');
            text_append_sql_name(out, m->w->scanned->fields[i].name);
            text_printf(out, " AS o%zu", i);
        }
    }
}

static void target_sql(const Merge *m, Text *out)
{
    text_append(out, " FROM (");
    table_rewrite_rows(m->w, out);
    text_append(out, ") AS ");
    text_append_sql_name(out, m->is->on.alias);
}

static bool has_only(const Merge *m, TableMergeWhen when)
{
    return m->n_of[when] == m->is->n_clauses;
}

static Status make_matches(Merge *m, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    text_append(&sql,
                "CREATE OR REPLACE TEMP TABLE freshet_matches AS SELECT freshet_file, freshet_row, freshet_source");
    if (!has_only(m, TABLE_MERGE_NOT_MATCHED)) {
        actions_sql(m, TABLE_MERGE_MATCHED, &sql);
        old_columns_sql(m, &sql);
    }
    target_sql(m, &sql);
    text_append(&sql, " JOIN freshet_source AS ");
    text_append_sql_name(&sql, m->is->source_alias);
    text_printf(&sql, " ON (%s)", m->is->on.sql);
    if (has_only(m, TABLE_MERGE_MATCHED)) {
        text_append(&sql, " WHERE freshet_action IS NOT NULL");
    }
    Status rc = duck_exec(m->w->conn, text_str(&sql), err);
    text_free(&sql);
    return rc;
}

static Status make_orphans(Merge *m, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    text_append(&sql, "CREATE OR REPLACE TEMP TABLE freshet_orphans AS SELECT freshet_file, freshet_row");
    actions_sql(m, TABLE_MERGE_NOT_MATCHED_BY_SOURCE, &sql);
    old_columns_sql(m, &sql);
    target_sql(m, &sql);
    text_append(&sql,
                " WHERE freshet_action IS NOT NULL AND NOT EXISTS (SELECT 1 FROM freshet_matches AS freshet_m WHERE "
                "freshet_m.freshet_file = ");
    text_append_sql_name(&sql, m->is->on.alias);
    text_append(&sql, ".freshet_file AND freshet_m.freshet_row = ");
    text_append_sql_name(&sql, m->is->on.alias);
    text_append(&sql, ".freshet_row)");
    Status rc = duck_exec(m->w->conn, text_str(&sql), err);
    text_free(&sql);
    return rc;
}

static Status make_inserts(Merge *m, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);

    text_append(&sql, "CREATE OR REPLACE TEMP TABLE freshet_inserts AS SELECT freshet_source");
    actions_sql(m, TABLE_MERGE_NOT_MATCHED, &sql);
    text_append(&sql, " FROM freshet_source AS ");
    text_append_sql_name(&sql, m->is->source_alias);
    text_append(&sql,
                " WHERE freshet_action IS NOT NULL AND freshet_source NOT IN (SELECT freshet_m.freshet_source FROM "
                "freshet_matches AS freshet_m)");
    Status rc = duck_exec(m->w->conn, text_str(&sql), err);
    text_free(&sql);
    return rc;
}

/* ---- several matches ---- */

static Status check_single_matches(const Merge *m, Error *err)
{
    Status rc = OK;
    int64_t several = 0;
    bool only_delete = m->n_of[TABLE_MERGE_MATCHED] == 1;

    for (size_t k = 0; k < m->is->n_clauses; k++) {
        const TableMergeClause *clause = &m->is->clauses[k];
        only_delete = only_delete && (clause->when != TABLE_MERGE_MATCHED ||
                                      (clause->action == TABLE_MERGE_DELETE && clause->condition == NULL));
    }
    if (only_delete || has_only(m, TABLE_MERGE_NOT_MATCHED)) {
        goto out;
    }
    TRY(duck_query_numbers(m->w->conn,
                           "SELECT count(*) FROM (SELECT 1 FROM freshet_matches GROUP BY freshet_file, freshet_row "
                           "HAVING count(*) > 1)",
                           &several, 1, err));
    if (several > 0) {
        rc = error_set(err, E_DELTA_MERGE_MATCHES,
                       "%lld row%s of the table match%s several rows of the source: which one counts is not defined",
                       (long long)several, several == 1 ? "" : "s", several == 1 ? "es" : "");
        error_hint(err, "make the source unique on what the condition compares, for example with SELECT DISTINCT ON");
    }
out:
    return rc;
}

/* ---- what was taken ---- */

/* Rows that each clause of `table` took. */
static Status count_actions(Merge *m, const char *table, Error *err)
{
    Status rc = OK;
    Text sql = TEXT(1 << 16);
    DuckResult *rows = NULL;
    bool more = false;

    text_printf(&sql, "SELECT freshet_action, count(*) FROM %s WHERE freshet_action IS NOT NULL GROUP BY 1", table);
    TRY(duck_query(m->w->conn, text_str(&sql), &rows, err));
    for (;;) {
        TRY(duck_result_next(rows, &more, err));
        if (!more) {
            break;
        }
        m->clauses[duck_result_i64(rows, 0)].rows = duck_result_i64(rows, 1);
    }
out:
    duck_result_free(rows);
    text_free(&sql);
    return rc;
}

static const char *table_of(const Clause *clause)
{
    static const char *const TABLES[] = {[TABLE_MERGE_MATCHED] = "freshet_matches",
                                         [TABLE_MERGE_NOT_MATCHED] = "freshet_inserts",
                                         [TABLE_MERGE_NOT_MATCHED_BY_SOURCE] = "freshet_orphans"};
    return TABLES[clause->is->when];
}

static Status take_rows(Merge *m, Error *err)
{
    Status rc = OK;
    int64_t matched = 0, orphaned = 0;

    if (m->n_of[TABLE_MERGE_MATCHED] > 0) {
        TRY(table_rewrite_mark(m->w,
                               "SELECT freshet_file, freshet_row FROM freshet_matches WHERE freshet_action IS NOT NULL",
                               &matched, err));
        TRY(count_actions(m, "freshet_matches", err));
    }
    if (m->n_of[TABLE_MERGE_NOT_MATCHED_BY_SOURCE] > 0) {
        TRY(make_orphans(m, err));
        TRY(table_rewrite_mark(m->w, "SELECT freshet_file, freshet_row FROM freshet_orphans", &orphaned, err));
        TRY(count_actions(m, "freshet_orphans", err));
    }
    if (m->n_of[TABLE_MERGE_NOT_MATCHED] > 0) {
        TRY(make_inserts(m, err));
        TRY(count_actions(m, "freshet_inserts", err));
    }
    for (size_t k = 0; k < m->is->n_clauses; k++) {
        m->done.updated += m->clauses[k].is->action == TABLE_MERGE_UPDATE ? m->clauses[k].rows : 0;
        m->done.inserted += m->clauses[k].is->action == TABLE_MERGE_INSERT ? m->clauses[k].rows : 0;
    }
    m->done.deleted = matched + orphaned - m->done.updated;
out:
    return rc;
}

/* ---- the new rows and the changes ---- */

/* The rows a clause took: as they become, or as they were. With `ids` also what row tracking needs. */
static Status clause_rows(Merge *m, const Clause *clause, bool old, bool ids, Text *out, Error *err)
{
    Status rc = OK;
    Text sql = TEXT(TEXT_SQL_MAX);
    size_t k = (size_t)(clause - m->clauses);

    /* several rows of the source may delete one of the table */
    bool distinct = old && clause->is->action == TABLE_MERGE_DELETE;
    text_append(&sql, distinct ? "SELECT DISTINCT ON (freshet_file, freshet_row) " : "SELECT ");
    for (size_t i = 0, n = 0; i < m->w->schema->n_fields; i++) {
        bool kept = old || clause->values[i] == NULL;
        if (!old && kept && table_rows_is_generated(&m->w->schema->fields[i])) {
            continue; /* computed from the others */
        }
        text_append(&sql, n++ > 0 ? ", " : "");
        if (kept && i >= m->w->scanned->n_fields) {
            table_rows_typed(&m->w->schema->fields[i], "NULL", &sql);
        } else if (kept) {
            text_printf(&sql, "o%zu", i);
        } else {
            text_printf(&sql, "v%zu_%zu", k, i);
        }
        text_append(&sql, " AS ");
        text_append_sql_name(&sql, m->w->schema->fields[i].name);
    }
    if (ids) {
        table_rewrite_ids(m->w, clause->is->action == TABLE_MERGE_INSERT, &sql);
    }
    text_printf(&sql, " FROM %s WHERE freshet_action = %zu", table_of(clause), k);
    TRY(table_rows_cast(m->w->conn, m->w->schema, text_str(&sql), ids ? table_rewrite_id_names(m->w) : NULL, out, err));
out:
    text_free(&sql);
    return rc;
}

/* Appends the clause's rows with their _change_type. */
static Status add_changes(Merge *m, const Clause *clause, bool old, Text *out, Error *err)
{
    static const char *const TYPES[2][3] = {
        {[TABLE_MERGE_UPDATE] = "update_postimage", [TABLE_MERGE_INSERT] = "insert"},
        {[TABLE_MERGE_UPDATE] = "update_preimage", [TABLE_MERGE_DELETE] = "delete"}};
    Status rc = OK;
    Text rows = TEXT(TEXT_SQL_MAX);

    TRY(clause_rows(m, clause, old, false, &rows, err));
    text_printf(out, "%sSELECT *, '%s' AS _change_type FROM (", out->length > 0 ? " UNION ALL " : "",
                TYPES[old][clause->is->action]);
    text_append(out, text_str(&rows));
    text_append(out, ")");
out:
    text_free(&rows);
    return rc;
}

static Status result_sql(Merge *m, Text *rows, Text *changes, Error *err)
{
    Status rc = OK;
    bool feed = m->w->feed && m->done.updated + m->done.deleted > 0;

    for (size_t k = 0; k < m->is->n_clauses; k++) {
        const Clause *clause = &m->clauses[k];
        if (clause->rows == 0) {
            continue;
        }
        if (clause->is->action != TABLE_MERGE_DELETE) {
            text_append(rows, rows->length > 0 ? " UNION ALL " : "");
            TRY(clause_rows(m, clause, false, true, rows, err));
        }
        if (feed && clause->is->action != TABLE_MERGE_INSERT) {
            TRY(add_changes(m, clause, true, changes, err));
        }
        if (feed && clause->is->action != TABLE_MERGE_DELETE) {
            TRY(add_changes(m, clause, false, changes, err));
        }
    }
out:
    return rc;
}

/* ---- commitInfo ---- */

static void clauses_parameter(const Merge *m, TableMergeWhen when, const char *key)
{
    static const char *const ACTIONS[] = {
        [TABLE_MERGE_UPDATE] = "update", [TABLE_MERGE_DELETE] = "delete", [TABLE_MERGE_INSERT] = "insert"};
    Text list = TEXT(1 << 20);

    text_append_char(&list, '[');
    for (size_t k = 0; k < m->is->n_clauses; k++) {
        const TableMergeClause *clause = &m->is->clauses[k];
        if (clause->when != when) {
            continue;
        }
        text_append(&list, list.length > 1 ? ",{" : "{");
        if (clause->condition != NULL) {
            text_append(&list, "\"predicate\":");
            text_append_json_string(&list, clause->condition);
            text_append_char(&list, ',');
        }
        text_printf(&list, "\"actionType\":\"%s\"}", ACTIONS[clause->action]);
    }
    text_append_char(&list, ']');
    delta_transaction_parameter_text(m->w->txn, key, text_str(&list));
    text_free(&list);
}

static int64_t rows_of(const Merge *m, TableMergeWhen when, TableMergeAction action)
{
    int64_t rows = 0;

    for (size_t k = 0; k < m->is->n_clauses; k++) {
        rows += m->clauses[k].is->when == when && m->clauses[k].is->action == action ? m->clauses[k].rows : 0;
    }
    return rows;
}

static void describe(Merge *m)
{
    TableRewrite *w = m->w;
    int64_t orphans_deleted = rows_of(m, TABLE_MERGE_NOT_MATCHED_BY_SOURCE, TABLE_MERGE_DELETE);
    int64_t orphans_updated = rows_of(m, TABLE_MERGE_NOT_MATCHED_BY_SOURCE, TABLE_MERGE_UPDATE);
    const struct {
        const char *key;
        int64_t value;
    } METRICS[] = {
        {"numSourceRows", m->done.source_rows},
        {"numTargetRowsInserted", m->done.inserted},
        {"numTargetRowsUpdated", m->done.updated},
        {"numTargetRowsDeleted", m->done.deleted},
        {"numTargetRowsMatchedUpdated", m->done.updated - orphans_updated},
        {"numTargetRowsMatchedDeleted", m->done.deleted - orphans_deleted},
        {"numTargetRowsNotMatchedBySourceUpdated", orphans_updated},
        {"numTargetRowsNotMatchedBySourceDeleted", orphans_deleted},
        {"numTargetRowsCopied", w->rows_copied},
        {"numOutputRows", w->rows_copied + m->done.inserted + m->done.updated},
        {"numTargetFilesAdded", w->files_added},
        {"numTargetFilesRemoved", w->files_removed},
        {"numTargetBytesAdded", w->bytes_added},
        {"numTargetBytesRemoved", w->bytes_removed},
        {"numTargetChangeFilesAdded", w->change_files},
        {"numTargetDeletionVectorsAdded", w->vectors_added + w->vectors_updated},
        {"numTargetDeletionVectorsRemoved", w->vectors_removed + w->vectors_updated},
        {"numTargetDeletionVectorsUpdated", w->vectors_updated},
    };

    for (size_t i = 0; i < sizeof METRICS / sizeof *METRICS; i++) {
        table_rewrite_metric(w, METRICS[i].key, METRICS[i].value);
    }
    table_predicate_parameter(w->txn, m->is->on.text);
    clauses_parameter(m, TABLE_MERGE_MATCHED, "matchedPredicates");
    clauses_parameter(m, TABLE_MERGE_NOT_MATCHED, "notMatchedPredicates");
    clauses_parameter(m, TABLE_MERGE_NOT_MATCHED_BY_SOURCE, "notMatchedBySourcePredicates");
}

/* ---- all of it ---- */

/* ", CAST(c AS type) AS c" for a column that holds a bare NULL and goes to a column of the table: kept as it is it
 * would become an INTEGER. */
static void source_columns_sql(const Merge *m, const DuckColumnInfo *columns, size_t n, Text *out)
{
    Text name = TEXT(1 << 16);
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        const DeltaField *field = delta_schema_find(m->w->schema, columns[i].name);
        if (field != NULL && duck_type_has_bare_null(columns[i].type)) {
            text_clear(&name);
            text_append_sql_name(&name, columns[i].name);
            text_append(out, any ? ", " : " REPLACE (");
            table_rows_typed(field, text_str(&name), out);
            text_printf(out, " AS %s", text_str(&name));
            any = true;
        }
    }
    text_append(out, any ? ")" : "");
    text_free(&name);
}

static Status read_source(Merge *m, Error *err)
{
    Status rc = OK;
    Text query = TEXT(TEXT_SQL_MAX), sql = TEXT(TEXT_SQL_MAX);
    DuckColumnInfo *columns = NULL;
    size_t n = 0;

    text_append(&query, "SELECT * FROM ");
    text_append(&query, m->is->source);
    TRY(duck_describe_nulls(m->w->conn, text_str(&query), m->w->arena, &columns, &n, err));
    text_append(&sql, "CREATE OR REPLACE TEMP TABLE freshet_source AS SELECT *");
    source_columns_sql(m, columns, n, &sql);
    text_append(&sql, ", row_number() OVER () AS freshet_source FROM ");
    text_append(&sql, m->is->source);
    TRY(duck_exec(m->w->conn, text_str(&sql), err));
    TRY(duck_query_numbers(m->w->conn, "SELECT count(*) FROM freshet_source", &m->done.source_rows, 1, err));
    TRY(duck_describe(m->w->conn, "SELECT * EXCLUDE (freshet_source) FROM freshet_source", m->w->arena, &m->columns,
                      &m->n_columns, err));
out:
    text_free(&query);
    text_free(&sql);
    return rc;
}

static void drop_tables(DuckConn *conn)
{
    static const char *const TABLES[] = {"freshet_source", "freshet_matches", "freshet_orphans", "freshet_inserts"};

    for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; i++) {
        (void)duck_execf(conn, NULL, "DROP TABLE IF EXISTS temp.%s", TABLES[i]);
    }
}

Status table_merge(DeltaTable *table, DuckConn *conn, const TableMerge *merge, TableMergeResult *result, Error *err)
{
    Status rc = OK;
    Merge m = {.is = merge};
    Text rows = TEXT(TEXT_SQL_MAX), changes = TEXT(TEXT_SQL_MAX);

    TRY(table_rewrite_open(table, conn, &m.w, err));
    TRY(read_source(&m, err));
    if (merge->evolve) {
        TRY(evolve(&m, err));
    }
    TRY(resolve_clauses(&m, err));
    bool all_files = m.n_of[TABLE_MERGE_NOT_MATCHED_BY_SOURCE] > 0;
    TRY(table_rewrite_scan(m.w, merge->on.predicates, all_files ? 0 : merge->on.n_predicates, err));
    TRY(make_matches(&m, err));
    TRY(check_single_matches(&m, err));
    TRY(take_rows(&m, err));
    TRY(result_sql(&m, &rows, &changes, err));
    TRY(table_rewrite_apply(m.w, rows.length > 0 ? text_str(&rows) : NULL,
                            changes.length > 0 ? text_str(&changes) : NULL, err));
    describe(&m);
    TRY(table_rewrite_commit(m.w, "MERGE", err));
    *result = m.done;
out:
    drop_tables(conn);
    table_rewrite_close(m.w);
    text_free(&rows);
    text_free(&changes);
    return rc;
}
