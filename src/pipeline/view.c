/* One refresh of a materialized view: the full answer of its query, as one atomic overwrite, only when its inputs
 * changed.
 *
 * "Changed" is a fingerprint: the definition, and per input the table id and version, or the listing of its files. It
 * stands in commitInfo.freshet of the commit it led to, so that a restart knows it. The inputs are pinned together,
 * before the query runs. An answer equal to what the table holds makes no commit.
 */
#include <string.h>

#include "base/failpoint.h"
#include "base/json.h"
#include "delta/clustering.h"
#include "delta/column_default.h"
#include "delta/scan.h"
#include "pipeline/pipeline_int.h"
#include "session/relation.h"
#include "table/create.h"

enum { HISTORY_DEPTH = 50, FINGERPRINT_MAX = 64 << 20 };

/* What the refresh holds while it works. */
typedef struct Refresh {
    Pipeline *pipeline;
    const Node *node;
    NodeQuery *query;
    DuckConn *conn;
    StreamRelation *inputs;
    size_t n_inputs;
    Text fingerprint;
} Refresh;

/* ---- inputs ---- */

/* What WHERE says about a leaf of the node's own query, to skip files. */
static Status leaf_predicates(const Refresh *refresh, const QueryLeaf *leaf, Arena *arena, SqlPredicate **out,
                              size_t *n, Error *err)
{
    const SqlRelation *own = NULL;
    size_t count = sql_query_relations(refresh->node->query, &own);

    *n = 0;
    for (size_t i = 0; i < count; i++) {
        if (&own[i] == leaf->relation) {
            return sql_query_predicates(refresh->conn, refresh->node->query, i, arena, out, n, err);
        }
    }
    return OK;
}

/* A table of the pipeline that nobody has made yet is a reason to wait. */
static Status missing_input(const Refresh *refresh, const QueryLeaf *leaf, Status status, Error *err)
{
    if (status == ERR_NOT_FOUND && leaf->definition != NULL) {
        error_clear(err);
        error_set(err, E_PIPELINE_WAITING, "%s waits for %s, which has no rows yet", refresh->node->name,
                  leaf->definition->label);
        return pipeline_error_at(err, leaf->text, leaf->relation->span);
    }
    return status;
}

static Status bind_input(Refresh *refresh, const QueryLeaf *leaf, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    Text view = TEXT(TEXT_SQL_MAX);
    SqlPredicate *predicates = NULL;
    size_t n = 0;
    char *pin = NULL;

    TRY(leaf_predicates(refresh, leaf, arena, &predicates, &n, err));
    RelationReader reader = pipeline_reader(refresh->pipeline, refresh->conn, leaf->text);
    RelationAsk ask = {.predicates = predicates, .n_predicates = n};
    rc = relation_resolve(&reader, leaf->relation, &ask, &refresh->inputs[refresh->n_inputs], &pin, err);
    if (rc != OK) {
        rc = missing_input(refresh, leaf, rc, err);
        goto out;
    }
    text_append(&view, "CREATE OR REPLACE TEMP VIEW ");
    text_append_sql_name(&view, leaf->placeholder);
    text_printf(&view, " AS %s", refresh->inputs[refresh->n_inputs].sql);
    refresh->n_inputs++;
    TRY(duck_exec(refresh->conn, text_str(&view), err));
    text_printf(&refresh->fingerprint, "%s\n", pin);
out:
    mem_free(pin);
    text_free(&view);
    arena_free(arena);
    return rc;
}

/* The query, and the expectations, which decide what is left of its answer. */
static void fingerprint_definition(Refresh *refresh)
{
    const SqlStatement *statement = refresh->node->target->statement;
    Text text = TEXT(TEXT_SQL_MAX);

    text_append(&text, refresh->query->sql);
    for (size_t i = 0; i < statement->n_expectations; i++) {
        text_printf(&text, "\n%d %s", (int)statement->expectations[i].on_violation,
                    statement->expectations[i].condition);
    }
    text_printf(&refresh->fingerprint, "%016llx\n", (unsigned long long)hash_bytes(text_str(&text), text.length));
    text_free(&text);
}

static Status bind_inputs(Refresh *refresh, Error *err)
{
    Status rc = OK;

    refresh->inputs = mem_alloc((refresh->query->n_leaves + 1) * sizeof *refresh->inputs);
    fingerprint_definition(refresh);
    for (size_t i = 0; i < refresh->query->n_leaves; i++) {
        TRY(bind_input(refresh, &refresh->query->leaves[i], err));
    }
    if (refresh->fingerprint.length > 4096) { /* many inputs: their hash will do */
        uint64_t hash = hash_bytes(refresh->fingerprint.data, refresh->fingerprint.length);
        text_clear(&refresh->fingerprint);
        text_printf(&refresh->fingerprint, "hash %016llx\n", (unsigned long long)hash);
    }
out:
    return rc;
}

/* ---- what the table says ---- */

typedef struct LastRefresh {
    char *fingerprint;
} LastRefresh;

static Status find_fingerprint(void *context, int64_t version, int64_t timestamp, const DeltaCommitInfo *info,
                               Error *err)
{
    Status rc = OK;
    LastRefresh *last = context;
    JsonSource source = {.name = "commitInfo"};
    json_t *object = NULL, *freshet = NULL;
    const char *inputs = NULL;
    (void)version;
    (void)timestamp;

    if (last->fingerprint != NULL || strstr(info->json, "\"freshet\"") == NULL) {
        goto out;
    }
    TRY(json_parse_object(info->json, strlen(info->json), &source, &object, err));
    TRY(json_opt_object(object, "freshet", &freshet, err));
    if (freshet != NULL) {
        TRY(json_opt_string(freshet, "inputs", &inputs, err));
        last->fingerprint = mem_strdup(inputs);
    }
out:
    json_decref(object);
    return rc;
}

/* ---- the answer ---- */

/* Runs the query into a temporary table, so that it can be compared before it is written. */
static Status compute(Refresh *refresh, Error *err)
{
    Status rc = OK;
    Text sql = TEXT(TEXT_SQL_MAX);

    TRY(duck_exec(refresh->conn, "SET VARIABLE freshet_batch_time = (SELECT now())", err));
    text_printf(&sql, "CREATE OR REPLACE TEMP TABLE freshet_answer AS %s", refresh->query->sql);
    rc = duck_exec(refresh->conn, text_str(&sql), err);
    if (rc != OK) {
        size_t ahead = sql.length - strlen(refresh->query->sql);
        node_query_place(refresh->query, duck_error_position(refresh->conn) - (int64_t)ahead, err);
    }
out:
    text_free(&sql);
    return rc;
}

/* Columns of the same names and types, whatever a table knows about its own besides. */
static bool same_columns(const DeltaSchema *a, const DeltaSchema *b)
{
    bool same = a->n_fields == b->n_fields;

    for (size_t i = 0; i < a->n_fields && same; i++) {
        const DeltaField *one = &a->fields[i], *other = &b->fields[i];
        same = strcmp(one->name, other->name) == 0 && one->nullable == other->nullable &&
               delta_type_equal(one->type, other->type);
    }
    return same;
}

/* Is the table what the answer says? Rows are compared as a multiset; other columns are a difference. */
static Status same_answer(Refresh *refresh, DeltaSnapshot *snapshot, const DeltaSchema *schema, bool *same, Error *err)
{
    Status rc = OK;
    DeltaScan *scan = NULL;
    Text sql = TEXT(TEXT_SQL_MAX);
    int64_t differences = 0;

    *same = false;
    if (!same_columns(delta_snapshot_schema(snapshot), schema)) {
        goto out;
    }
    TRY(delta_scan_snapshot(snapshot, refresh->conn, NULL, 0, &scan, err));
    text_printf(&sql,
                "SELECT count(*) FROM ((TABLE freshet_answer EXCEPT ALL (%s)) UNION ALL ((%s) EXCEPT ALL TABLE "
                "freshet_answer))",
                delta_scan_sql(scan), delta_scan_sql(scan));
    TRY(duck_query_numbers(refresh->conn, text_str(&sql), &differences, 1, err));
    *same = differences == 0;
out:
    delta_scan_free(scan);
    text_free(&sql);
    return rc;
}

static Status set_table(Refresh *refresh, DeltaTransaction *txn, const DeltaSchema *schema, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    const SqlStatement *statement = refresh->node->target->statement;
    TargetSpec target = {0};

    TRY(node_target_spec(refresh->node, refresh->conn, arena, &target, err));
    for (size_t i = 0; i < target.n_properties; i++) {
        TRY(delta_transaction_set_property(txn, target.keys[i], target.values[i], err));
    }
    TRY(delta_transaction_set_schema(txn, target.schema != NULL ? target.schema : schema, err));
    TRY(delta_transaction_set_partitioning(txn, statement->partitioned_by, statement->n_partitioned_by, err));
    if (statement->n_cluster_by > 0) {
        TRY(delta_clustering_declare(txn, statement->cluster_by, statement->n_cluster_by, err));
    }
    delta_transaction_set_comment(txn, NULL, statement->comment);
out:
    delta_schema_unref(target.schema);
    arena_free(arena);
    return rc;
}

/* The overwrite, as one commit over the snapshot (NULL: a new table). */
static Status commit_answer(Refresh *refresh, DeltaTable *table, DeltaSnapshot *snapshot, const DeltaSchema *schema,
                            ViewResult *result, Error *err)
{
    Status rc = OK;
    DeltaTransaction *txn = NULL;
    DeltaWriteResult written = {0};
    Text json = TEXT(1 << 16);
    int64_t removed = 0;

    TRY(delta_transaction_begin(table, snapshot, refresh->conn, &txn, err));
    if (snapshot != NULL) {
        TRY(delta_write_remove_all(txn, refresh->conn, &removed, err));
    }
    if (snapshot == NULL || !same_columns(delta_snapshot_schema(snapshot), schema)) {
        TRY(set_table(refresh, txn, schema, err));
    }
    TRY(delta_write_query(txn, refresh->conn, "SELECT * FROM freshet_answer", NULL, &written, err));
    delta_transaction_operation(txn, "WRITE");
    delta_transaction_parameter_text(txn, "mode", "Overwrite");
    text_append(&json, "{\"view\":");
    text_append_json_string(&json, refresh->node->name);
    text_append(&json, ",\"inputs\":");
    text_append_json_string(&json, text_str(&refresh->fingerprint));
    text_append(&json, "}");
    delta_transaction_freshet(txn, text_str(&json));
    TRY(failpoint(FP_PIPELINE_VIEW_BEFORE_COMMIT, err));
    TRY(delta_transaction_commit(txn, &result->version, err));
    TRY(failpoint(FP_PIPELINE_VIEW_AFTER_COMMIT, err));
    result->rows = written.rows;
    result->refreshed = true;
out:
    delta_transaction_free(txn);
    text_free(&json);
    return rc;
}

/* Makes the answer's columns those that the definition declares. */
static Status type_answer(Refresh *refresh, const DeltaSchema *declared, Error *err)
{
    Status rc = OK;
    DeltaSchema *evolved = NULL;
    Text sql = TEXT(TEXT_SQL_MAX);

    text_append(&sql, "CREATE OR REPLACE TEMP TABLE freshet_typed AS ");
    TRY(delta_rows_sql(refresh->conn, declared, "SELECT * FROM freshet_answer", NULL, DELTA_MERGE_NONE, &sql, &evolved,
                       err));
    TRY(duck_exec(refresh->conn, text_str(&sql), err));
    TRY(duck_exec(refresh->conn, "DROP TABLE freshet_answer", err));
    TRY(duck_exec(refresh->conn, "ALTER TABLE freshet_typed RENAME TO freshet_answer", err));
out:
    delta_schema_unref(evolved);
    text_free(&sql);
    return rc;
}

static bool gives_all(const DeltaSchema *answer, const DeltaSchema *declared)
{
    bool all = true;

    for (size_t i = 0; i < declared->n_fields && all; i++) {
        all = delta_schema_find(answer, declared->fields[i].name) != NULL;
    }
    return all;
}

/* The columns of the answer as the table will have them. A column that is declared and not in the answer is computed
 * when the rows are written. */
static Status answer_schema(Refresh *refresh, DeltaSchema **out, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    TargetSpec target = {0};
    DeltaSchema *schema = NULL;
    DuckColumnInfo *columns = NULL;
    size_t n = 0;

    TRY(duck_describe(refresh->conn, "SELECT * FROM freshet_answer", arena, &columns, &n, err));
    TRY(delta_schema_from_columns(columns, n, &schema, err));
    TRY(node_target_spec(refresh->node, refresh->conn, arena, &target, err));
    if (target.schema != NULL && gives_all(schema, target.schema)) {
        TRY(type_answer(refresh, target.schema, err));
        delta_schema_unref(schema);
        schema = delta_schema_ref(target.schema);
    }
    *out = schema;
    schema = NULL;
out:
    delta_schema_unref(target.schema);
    delta_schema_unref(schema);
    arena_free(arena);
    return rc;
}

static Status refresh_answer(Refresh *refresh, DeltaTable *table, DeltaSnapshot *snapshot, ViewResult *result,
                             Error *err)
{
    Status rc = OK;
    DeltaSchema *schema = NULL;
    bool same = false;

    TRY(compute(refresh, err));
    TRY(view_rules_apply(refresh->node, refresh->conn, "freshet_answer", result, err));
    TRY(answer_schema(refresh, &schema, err));
    if (snapshot != NULL) {
        TRY(same_answer(refresh, snapshot, schema, &same, err));
    }
    if (!same) {
        TRY(commit_answer(refresh, table, snapshot, schema, result, err));
        delta_table_maintain(table, refresh->conn);
    }
out:
    delta_schema_unref(schema);
    duck_exec(refresh->conn, "DROP TABLE IF EXISTS freshet_answer; DROP TABLE IF EXISTS freshet_typed", NULL);
    return rc;
}

Status view_refresh(Pipeline *pipeline, const Node *node, NodeQuery *query, DuckConn *conn, bool force, char **last,
                    ViewResult *result, Error *err)
{
    Status rc = OK;
    Refresh refresh = {
        .pipeline = pipeline, .node = node, .query = query, .conn = conn, .fingerprint = TEXT(FINGERPRINT_MAX)};
    DeltaTable *table = NULL;
    DeltaSnapshot *snapshot = NULL;
    bool exists = false;

    *result = (ViewResult){.version = -1};
    TRY(node_target(pipeline, node, true, &table, err));
    TRY(delta_table_exists(table, &exists, err));
    if (exists) {
        TRY(delta_table_snapshot(table, conn, &snapshot, err));
    }
    TRY(bind_inputs(&refresh, err));
    if (exists && *last == NULL) {
        LastRefresh found = {0};
        TRY(delta_table_history(table, HISTORY_DEPTH, find_fingerprint, &found, err));
        *last = found.fingerprint;
    }
    bool unchanged = exists && *last != NULL && strcmp(*last, text_str(&refresh.fingerprint)) == 0;
    if (!unchanged || query->uses_time || force) {
        TRY(refresh_answer(&refresh, table, snapshot, result, err));
        mem_free(*last);
        *last = mem_strdup(text_str(&refresh.fingerprint));
    }
out:
    if (rc != OK) {
        mem_free(result->expectations);
        result->expectations = NULL;
    }
    for (size_t i = 0; i < refresh.n_inputs; i++) {
        stream_relation_release(&refresh.inputs[i]);
    }
    mem_free(refresh.inputs);
    text_free(&refresh.fingerprint);
    delta_snapshot_unref(snapshot);
    delta_table_close(table);
    return rc;
}
