/* Statements about tables that exist: what changes their rows, what describes them, what takes care of them. Of the
 * latter only the target is read here; the rest stays text for whoever runs them. */
#include "sql/statement_int.h"

static bool accept_if_exists(SqlCursor *c)
{
    return cursor_accept2(c, SQL_W_IF, SQL_W_EXISTS);
}

/* target, then text */
static Status target_and_rest(SqlCursor *c, SqlStatement *out, SqlStatementKind kind, bool path_string, Error *err)
{
    Status rc = cursor_table_name(c, path_string, &out->target, err);
    if (rc != OK) {
        return rc;
    }
    out->kind = kind;
    sql_take_rest(c, out);
    return OK;
}

/* ---- schemas ---- */

Status sql_parse_schema_name(SqlCursor *c, SqlStatement *out, SqlStatementKind kind, Error *err)
{
    Status rc = cursor_schema_name(c, &out->target.schema, err);

    if (rc == OK && !cursor_is_op(c, 0, '.')) {
        out->target.span = cursor_span(c, c->at - 1, c->at);
        out->kind = kind;
    }
    return rc;
}

Status sql_parse_use(SqlCursor *c, SqlStatement *out, Error *err)
{
    c->at++;
    if (!cursor_done(c) && c->at + 1 < c->end && !cursor_is_op(c, 1, '.') && !cursor_accept(c, SQL_W_SCHEMA)) {
        (void)cursor_accept(c, SQL_W_DATABASE);
    }
    return sql_parse_schema_name(c, out, SQL_USE, err);
}

/* [IF EXISTS] name [RESTRICT] */
static Status drop_schema(SqlCursor *c, SqlStatement *out, Error *err)
{
    out->if_exists = accept_if_exists(c);
    Status rc = sql_parse_schema_name(c, out, SQL_DROP_SCHEMA, err);
    if (rc == OK && out->kind == SQL_DROP_SCHEMA && !cursor_accept(c, SQL_W_RESTRICT) &&
        cursor_is(c, 0, SQL_W_CASCADE)) {
        rc = cursor_error(c, c->at, c->at + 1, err, "a schema is dropped when it has no tables");
        error_hint(err, "DROP TABLE each of its tables; SHOW TABLES IN %s lists them", out->target.schema);
    }
    return rc;
}

Status sql_parse_drop(SqlCursor *c, SqlStatement *out, Error *err)
{
    c->at++;
    if (cursor_accept(c, SQL_W_SCHEMA) || cursor_accept(c, SQL_W_DATABASE)) {
        return drop_schema(c, out, err);
    }
    bool ours = cursor_accept2(c, SQL_W_STREAMING, SQL_W_TABLE) || cursor_accept2(c, SQL_W_MATERIALIZED, SQL_W_VIEW) ||
                cursor_accept(c, SQL_W_TABLE);
    if (!ours) {
        return OK;
    }
    out->kind = SQL_DROP_TABLE;
    out->if_exists = accept_if_exists(c);
    return cursor_table_name(c, false, &out->target, err);
}

Status sql_parse_evolution(SqlCursor *c, bool *out, Error *err)
{
    Status rc = OK;

    *out = false;
    if (cursor_accept(c, SQL_W_WITH)) {
        TRY(cursor_expect(c, SQL_W_SCHEMA, "EVOLUTION behind WITH", err));
        TRY(cursor_expect(c, SQL_W_EVOLUTION, "behind WITH SCHEMA", err));
        *out = true;
    }
out:
    return rc;
}

/* ---- INSERT ---- */

/* True where the query of an INSERT starts. */
static bool starts_query(const SqlCursor *c)
{
    SqlCursor inside = *c;
    while (cursor_accept_op(&inside, '(')) {
        continue;
    }
    return cursor_is(&inside, 0, SQL_W_SELECT) || cursor_is(&inside, 0, SQL_W_WITH) ||
           cursor_is(&inside, 0, SQL_W_FROM) || cursor_is(&inside, 0, SQL_W_TABLE) ||
           cursor_is(&inside, 0, SQL_W_PIVOT) || cursor_is(&inside, 0, SQL_W_UNPIVOT) ||
           (cursor_is(&inside, 0, SQL_W_VALUES) && cursor_is_op(&inside, 1, '('));
}

/* REPLACE WHERE condition: up to the query. */
static Status replace_where(SqlCursor *c, SqlStatement *out, Error *err)
{
    size_t from = c->at;
    while (!cursor_done(c)) {
        bool distinct_from = cursor_is(c, 0, SQL_W_DISTINCT) && cursor_is(c, 1, SQL_W_FROM);
        if (!cursor_is_op(c, 0, '(') && starts_query(c)) {
            break;
        }
        c->at += distinct_from ? 1 : 0;
        cursor_skip(c);
    }
    if (c->at == from) {
        return cursor_expected(c, err, "a condition behind REPLACE WHERE");
    }
    out->replace_where = cursor_expression(c, from, c->at);
    return OK;
}

/* WITH (...), (columns), BY NAME, REPLACE WHERE between target and query */
static Status insert_clauses(SqlCursor *c, SqlStatement *out, Error *err)
{
    Status rc = OK;
    if (cursor_is(c, 0, SQL_W_PARTITION)) {
        rc = cursor_expected(c, err, "a query");
        error_hint(
            err,
            "partitions follow from the rows; to replace some of them write INSERT INTO ... REPLACE WHERE condition");
        return rc;
    }
    if (cursor_is(c, 0, SQL_W_WITH) && cursor_is_op(c, 1, '(')) {
        c->at++;
        if ((rc = cursor_options(c, &out->options, &out->n_options, err)) != OK) {
            return rc;
        }
    }
    if (cursor_is_op(c, 0, '(') && !starts_query(c) &&
        (rc = cursor_name_list(c, "a column name", &out->insert_columns, &out->n_insert_columns, err)) != OK) {
        return rc;
    }
    out->by_name = cursor_accept2(c, SQL_W_BY, SQL_W_NAME);
    if (!out->by_name) {
        (void)cursor_accept2(c, SQL_W_BY, SQL_W_POSITION);
    }
    if (cursor_accept2(c, SQL_W_REPLACE, SQL_W_WHERE) && (rc = replace_where(c, out, err)) != OK) {
        return rc;
    }
    if (cursor_is(c, 0, SQL_W_DEFAULT) && cursor_is(c, 1, SQL_W_VALUES)) {
        return cursor_error(c, c->at, c->at + 2, err, "INSERT takes a query or VALUES, not DEFAULT VALUES");
    }
    return OK;
}

Status sql_parse_insert(SqlCursor *c, SqlStatement *out, Error *err)
{
    c->at++;
    if (cursor_is(c, 0, SQL_W_OR)) {
        return OK; /* INSERT OR REPLACE: a table of DuckDB's */
    }
    Status rc = sql_parse_evolution(c, &out->evolve, err);
    if (rc != OK) {
        return rc;
    }
    out->overwrite = cursor_accept(c, SQL_W_OVERWRITE);
    if (!out->overwrite && !cursor_is(c, 0, SQL_W_INTO)) {
        return cursor_expected(c, err, "INTO or OVERWRITE behind INSERT");
    }
    (void)cursor_accept(c, SQL_W_INTO);
    (void)cursor_accept(c, SQL_W_TABLE);
    if ((rc = cursor_table_name(c, false, &out->target, err)) != OK) {
        return rc;
    }
    out->kind = SQL_INSERT;
    if ((rc = insert_clauses(c, out, err)) != OK) {
        return rc;
    }
    if (!starts_query(c)) {
        return cursor_expected(c, err, "SELECT, VALUES or another query to insert");
    }
    return sql_take_query(c, out, err);
}

/* ---- DELETE, UPDATE, MERGE, ALTER ---- */

Status sql_parse_delete(SqlCursor *c, SqlStatement *out, Error *err)
{
    c->at++;
    Status rc = cursor_expect(c, SQL_W_FROM, "behind DELETE", err);
    return rc == OK ? target_and_rest(c, out, SQL_DELETE, false, err) : rc;
}

Status sql_parse_update(SqlCursor *c, SqlStatement *out, Error *err)
{
    c->at++;
    if (cursor_is(c, 0, SQL_W_EXTENSIONS) || cursor_is_op(c, 0, '(')) {
        return OK;
    }
    return target_and_rest(c, out, SQL_UPDATE, false, err);
}

Status sql_parse_merge(SqlCursor *c, SqlStatement *out, Error *err)
{
    c->at++;
    Status rc = sql_parse_evolution(c, &out->evolve, err);
    rc = rc == OK ? cursor_expect(c, SQL_W_INTO, "behind MERGE", err) : rc;
    return rc == OK ? target_and_rest(c, out, SQL_MERGE, false, err) : rc;
}

Status sql_parse_alter(SqlCursor *c, SqlStatement *out, Error *err)
{
    c->at++;
    if (!cursor_accept(c, SQL_W_TABLE)) {
        return OK;
    }
    out->if_exists = accept_if_exists(c);
    return target_and_rest(c, out, SQL_ALTER_TABLE, false, err);
}

/* COMMENT ON TABLE t IS 'text': an ALTER TABLE, and so a commit. Comments on other things are DuckDB's. */
Status sql_parse_comment(SqlCursor *c, SqlStatement *out, Error *err)
{
    c->at++;
    if (!cursor_accept2(c, SQL_W_ON, SQL_W_TABLE)) {
        return OK;
    }
    Status rc = target_and_rest(c, out, SQL_ALTER_TABLE, false, err);
    return rc == OK && out->rest == NULL ? cursor_expected(c, err, "IS behind the name of the table") : rc;
}

/* ---- what a table is ---- */

/* LIMIT n at the end of DESCRIBE HISTORY */
static Status accept_limit(SqlCursor *c, SqlStatement *out, Error *err)
{
    if (!cursor_accept(c, SQL_W_LIMIT)) {
        return OK;
    }
    const SqlToken *number = cursor_peek(c, 0);
    if (number->kind != SQL_TOKEN_NUMBER || !str_parse_i64(sql_token_value(c->text, number, c->arena), &out->limit)) {
        return cursor_expected(c, err, "a whole number behind LIMIT");
    }
    c->at++;
    return OK;
}

/* [TABLE] [EXTENDED] name; false when it is DuckDB's, perhaps of a table with such a name */
static bool accept_describe_table(SqlCursor *c, SqlStatement *out)
{
    SqlCursor ahead = *c;
    ahead.at++;
    bool table = cursor_accept(&ahead, SQL_W_TABLE);
    bool extended = cursor_accept(&ahead, SQL_W_EXTENDED);
    if ((!table && !extended) || cursor_done(&ahead) || cursor_is_op(&ahead, 0, '.')) {
        return false;
    }
    *c = ahead;
    out->kind = SQL_DESCRIBE_TABLE;
    out->extended = extended;
    return true;
}

Status sql_parse_describe(SqlCursor *c, SqlStatement *out, Error *err)
{
    if (accept_describe_table(c, out)) {
        return cursor_table_name(c, false, &out->target, err);
    }
    bool history = cursor_is(c, 1, SQL_W_HISTORY), detail = cursor_is(c, 1, SQL_W_DETAIL);
    if ((!history && !detail) || cursor_peek(c, 2)->kind == SQL_TOKEN_END || cursor_is_op(c, 2, '.')) {
        return OK; /* DuckDB's DESCRIBE, perhaps of a table with that name */
    }
    c->at += 2;
    out->kind = history ? SQL_DESCRIBE_HISTORY : SQL_DESCRIBE_DETAIL;
    Status rc = cursor_table_name(c, true, &out->target, err);
    return rc == OK && history ? accept_limit(c, out, err) : rc;
}

Status sql_parse_show(SqlCursor *c, SqlStatement *out, Error *err)
{
    Status rc = OK;
    c->at++;
    if (cursor_accept(c, SQL_W_TABLES)) {
        out->kind = SQL_SHOW_TABLES;
        if (cursor_accept(c, SQL_W_IN) || cursor_accept(c, SQL_W_FROM)) {
            rc = cursor_schema_name(c, &out->target.schema, err);
            out->target.span = cursor_span(c, c->at - 1, c->at);
        }
    } else if (cursor_accept(c, SQL_W_SCHEMAS)) {
        out->kind = SQL_SHOW_SCHEMAS;
    } else if (cursor_accept(c, SQL_W_TBLPROPERTIES)) {
        rc = target_and_rest(c, out, SQL_SHOW_TBLPROPERTIES, false, err);
    } else if (cursor_accept2(c, SQL_W_CREATE, SQL_W_TABLE)) {
        out->kind = SQL_SHOW_CREATE_TABLE;
        rc = cursor_table_name(c, false, &out->target, err);
    }
    return rc;
}

/* ---- table care ---- */

Status sql_parse_optimize(SqlCursor *c, SqlStatement *out, Error *err)
{
    c->at++;
    (void)cursor_accept(c, SQL_W_TABLE);
    return target_and_rest(c, out, SQL_OPTIMIZE, true, err);
}

Status sql_parse_vacuum(SqlCursor *c, SqlStatement *out, Error *err)
{
    c->at++;
    if (cursor_done(c) || cursor_is(c, 0, SQL_W_ANALYZE)) {
        return OK;
    }
    (void)cursor_accept(c, SQL_W_TABLE);
    return target_and_rest(c, out, SQL_VACUUM, true, err);
}

Status sql_parse_restore(SqlCursor *c, SqlStatement *out, Error *err)
{
    c->at++;
    (void)cursor_accept(c, SQL_W_TABLE);
    return target_and_rest(c, out, SQL_RESTORE, true, err);
}

/* CONVERT TO DELTA parquet.`path` [PARTITIONED BY (...)]: the place is the target's path. */
Status sql_parse_convert(SqlCursor *c, SqlStatement *out, Error *err)
{
    c->at++;
    Status rc = cursor_expect(c, SQL_W_TO, "behind CONVERT", err);
    if (rc != OK || (rc = cursor_expect(c, SQL_W_DELTA, "behind CONVERT TO", err)) != OK) {
        return rc;
    }
    bool quoted = cursor_is_op(c, 1, '.') && cursor_peek(c, 2)->kind == SQL_TOKEN_NAME;
    if ((rc = target_and_rest(c, out, SQL_CONVERT, true, err)) == OK && quoted && !out->target.path) {
        out->target = (SqlName){.path = out->target.name, .span = out->target.span};
    }
    return rc;
}

/* ---- SET ---- */

/* SET TIME ZONE x is SET TimeZone = x. */
static Status set_key(SqlCursor *c, SqlStatement *out, Error *err)
{
    if (cursor_accept2(c, SQL_W_TIME, SQL_W_ZONE)) {
        out->set_key = "TimeZone";
        return OK;
    }
    Status rc = cursor_key(c, "the name of a setting", &out->set_key, err);
    if (rc == OK && !cursor_accept_op(c, '=') && !cursor_accept(c, SQL_W_TO)) {
        return cursor_expected(c, err, "\"=\" behind \"%.100s\"", out->set_key);
    }
    return rc;
}

Status sql_parse_set(SqlCursor *c, SqlStatement *out, Error *err)
{
    c->at++;
    if (cursor_is(c, 0, SQL_W_VARIABLE) || cursor_is(c, 0, SQL_W_SESSION) || cursor_is(c, 0, SQL_W_GLOBAL) ||
        cursor_is(c, 0, SQL_W_LOCAL)) {
        return OK;
    }
    Status rc = set_key(c, out, err);
    if (rc != OK) {
        return rc;
    }
    if (cursor_done(c)) {
        return cursor_expected(c, err, "a value for \"%.100s\"", out->set_key);
    }
    bool string = c->end - c->at == 1 && cursor_peek(c, 0)->kind == SQL_TOKEN_STRING;
    out->set_value = string ? sql_token_value(c->text, cursor_peek(c, 0), c->arena) : cursor_slice(c, c->at, c->end);
    out->kind = SQL_SET;
    c->at = c->end;
    return OK;
}
