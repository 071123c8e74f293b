/* ALTER TABLE, RESTORE, CLONE and CONVERT behind the name of the table: the second step of their parsing, when they
 * run. */
#include "sql/statement_alter.h"

#include "sql/statement_int.h"

/* name [. name]* */
static Status column_path(SqlCursor *c, SqlPath *out, Error *err)
{
    Status rc = OK;
    SqlList parts = SQL_LIST(const char *);

    do {
        const char *part = NULL;
        TRY(cursor_name(c, SQL_WORD_RESERVED, "the name of a column", &part, err));
        *(const char **)sql_list_add(&parts) = part;
    } while (cursor_accept_op(c, '.'));
    out->parts = sql_list_take(&parts, c->arena, &out->n);
out:
    sql_list_fini(&parts);
    return rc;
}

/* The alteration's only path. */
static Status single_path(SqlCursor *c, SqlAlter *out, SqlPath **path, Error *err)
{
    *path = arena_alloc(c->arena, sizeof **path);
    out->paths = *path;
    out->n_paths = 1;
    return column_path(c, *path, err);
}

/* path, path, ... up to the end of `c` */
static Status path_list(SqlCursor *c, SqlAlter *out, Error *err)
{
    Status rc = OK;
    SqlList paths = SQL_LIST(SqlPath);

    do {
        TRY(column_path(c, sql_list_add(&paths), err));
    } while (cursor_accept_op(c, ','));
    if (!cursor_done(c)) {
        TRY(cursor_expected(c, err, "\",\" or the end of the columns"));
    }
    out->paths = sql_list_take(&paths, c->arena, &out->n_paths);
out:
    sql_list_fini(&paths);
    return rc;
}

/* A cursor over what the brackets at `c` hold; `c` steps over them. */
static SqlCursor take_brackets(SqlCursor *c)
{
    SqlCursor inside = *c;

    inside.at = c->at + 1;
    inside.end = c->tokens[c->at].match;
    cursor_skip(c);
    return inside;
}

/* FIRST | AFTER name, if it stands there */
static Status accept_place(SqlCursor *c, SqlPath *out, Error *err)
{
    out->first = cursor_accept(c, SQL_W_FIRST);
    if (!out->first && cursor_accept(c, SQL_W_AFTER)) {
        return cursor_name(c, SQL_WORD_RESERVED, "the name of a column behind AFTER", &out->after, err);
    }
    return OK;
}

/* ---- columns ---- */

/* path type options [FIRST | AFTER name], ... up to the end of `c` */
static Status new_columns(SqlCursor *c, SqlAlter *out, Error *err)
{
    Status rc = OK;
    SqlList paths = SQL_LIST(SqlPath), columns = SQL_LIST(SqlColumn);

    do {
        SqlPath *path = sql_list_add(&paths);
        SqlColumn *column = sql_list_add(&columns);
        size_t from = c->at;
        TRY(column_path(c, path, err));
        column->name = path->parts[path->n - 1];
        TRY(sql_parse_column_type(c, true, column, err));
        TRY(accept_place(c, path, err));
        column->span = cursor_span(c, from, c->at);
    } while (cursor_accept_op(c, ','));
    if (!cursor_done(c)) {
        TRY(cursor_expected(c, err, "\",\" or the end of the columns"));
    }
    out->paths = sql_list_take(&paths, c->arena, &out->n_paths);
    out->columns = sql_list_take(&columns, c->arena, &out->n_columns);
out:
    sql_list_fini(&paths);
    sql_list_fini(&columns);
    return rc;
}

static Status add_columns(SqlCursor *c, SqlAlter *out, Error *err)
{
    Status rc = OK;

    out->kind = SQL_ALTER_ADD_COLUMNS;
    if (cursor_accept(c, SQL_W_IF)) {
        TRY(cursor_expect(c, SQL_W_NOT, "behind IF", err));
        TRY(cursor_expect(c, SQL_W_EXISTS, "behind IF NOT", err));
        out->if_not_exists = true;
    }
    if (cursor_is_op(c, 0, '(')) {
        SqlCursor inside = take_brackets(c);
        TRY(new_columns(&inside, out, err));
    } else {
        TRY(new_columns(c, out, err));
    }
out:
    return rc;
}

static Status replace_columns(SqlCursor *c, SqlAlter *out, Error *err)
{
    if (!cursor_is_op(c, 0, '(')) {
        return cursor_expected(c, err, "\"(\" behind REPLACE COLUMNS");
    }
    size_t open = c->at;
    SqlCursor inside = take_brackets(c);
    Status rc = new_columns(&inside, out, err);
    out->kind = SQL_ALTER_REPLACE_COLUMNS;
    for (size_t i = 0; rc == OK && i < out->n_paths; i++) {
        if (out->paths[i].n > 1 || out->paths[i].first || out->paths[i].after != NULL) {
            rc = cursor_error(c, open, c->at, err,
                              "REPLACE COLUMNS lists whole columns, in the order they are to have");
        }
    }
    return rc;
}

static Status drop_columns(SqlCursor *c, SqlAlter *out, Error *err)
{
    out->kind = SQL_ALTER_DROP_COLUMNS;
    out->if_exists = cursor_accept2(c, SQL_W_IF, SQL_W_EXISTS);
    if (cursor_is_op(c, 0, '(')) {
        SqlCursor inside = take_brackets(c);
        return path_list(&inside, out, err);
    }
    return path_list(c, out, err);
}

static Status rename_to(SqlCursor *c, SqlAlter *out, Error *err)
{
    Status rc = OK;
    SqlPath *path = NULL;

    if (cursor_accept(c, SQL_W_TO)) {
        out->kind = SQL_ALTER_RENAME_TABLE;
        c->at = c->end;
        goto out;
    }
    out->kind = SQL_ALTER_RENAME_COLUMN;
    TRY(cursor_expect(c, SQL_W_COLUMN, "behind RENAME", err));
    TRY(single_path(c, out, &path, err));
    TRY(cursor_expect(c, SQL_W_TO, "behind the column", err));
    TRY(cursor_name(c, SQL_WORD_RESERVED, "the new name of the column", &out->name, err));
    if (cursor_is_op(c, 0, '.')) {
        rc = cursor_error(c, c->at - 1, c->at + 1, err, "a column keeps its place: the new name has one part");
    }
out:
    return rc;
}

/* Behind SET or DROP of a column: NOT NULL, DEFAULT */
static Status column_rule(SqlCursor *c, bool drop, SqlAlter *out, Error *err)
{
    if (cursor_accept2(c, SQL_W_NOT, SQL_W_NULL)) {
        out->kind = drop ? SQL_ALTER_COLUMN_NULLABLE : SQL_ALTER_COLUMN_NOT_NULL;
        return OK;
    }
    if (!cursor_accept(c, SQL_W_DEFAULT)) {
        return cursor_expected(c, err, "NOT NULL or DEFAULT");
    }
    out->kind = drop ? SQL_ALTER_COLUMN_NO_DEFAULT : SQL_ALTER_COLUMN_DEFAULT;
    if (!drop && cursor_done(c)) {
        return cursor_expected(c, err, "an expression behind SET DEFAULT");
    }
    if (!drop) {
        out->expression = cursor_slice(c, c->at, c->end);
        c->at = c->end;
    }
    return OK;
}

static Status column_type(SqlCursor *c, SqlAlter *out, Error *err)
{
    SqlColumn *column = arena_alloc(c->arena, sizeof *column);

    out->kind = SQL_ALTER_COLUMN_TYPE;
    out->columns = column;
    out->n_columns = 1;
    column->name = out->paths[0].parts[out->paths[0].n - 1];
    return sql_parse_column_type(c, true, column, err);
}

/* Behind the path in Hive's CHANGE COLUMN: the name once more, then what the column is to be. */
static Status change_column(SqlCursor *c, SqlAlter *out, SqlPath *path, Error *err)
{
    Status rc = OK;
    SqlColumn *column = arena_alloc(c->arena, sizeof *column);
    size_t at = c->at;

    out->kind = SQL_ALTER_COLUMN_CHANGE;
    out->columns = column;
    out->n_columns = 1;
    TRY(cursor_name(c, SQL_WORD_RESERVED, "the name of the column once more", &column->name, err));
    if (!str_ieq(column->name, path->parts[path->n - 1])) {
        rc = cursor_error(c, at, c->at, err, "CHANGE COLUMN keeps the name of a column");
        error_hint(err, "ALTER TABLE ... RENAME COLUMN %s TO %s", path->parts[path->n - 1], column->name);
        goto out;
    }
    at = c->at;
    TRY(sql_parse_column_type(c, true, column, err));
    if (column->not_null || column->default_expression != NULL || column->generated_expression != NULL ||
        column->identity != NULL) {
        rc = cursor_error(c, at, c->at, err, "CHANGE COLUMN takes a type, a COMMENT and a place");
        error_hint(err, "ALTER TABLE ... ALTER COLUMN %s SET NOT NULL; ... SET DEFAULT e", column->name);
        goto out;
    }
    TRY(accept_place(c, path, err));
out:
    return rc;
}

/* Is it ALTER COLUMN's word, or the name in Hive's form? */
static bool is_hive_form(const SqlCursor *c)
{
    static const SqlWord WORDS[] = {SQL_W_COMMENT, SQL_W_FIRST, SQL_W_AFTER, SQL_W_SET, SQL_W_DROP, SQL_W_TYPE};

    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (cursor_is(c, 0, WORDS[i])) {
            return false;
        }
    }
    return !cursor_done(c);
}

static Status alter_column(SqlCursor *c, bool change, SqlAlter *out, Error *err)
{
    Status rc = OK;
    SqlPath *path = NULL;

    TRY(single_path(c, out, &path, err));
    if (change && is_hive_form(c)) {
        TRY(change_column(c, out, path, err));
    } else if (cursor_accept(c, SQL_W_COMMENT)) {
        out->kind = SQL_ALTER_COLUMN_COMMENT;
        TRY(cursor_string(c, "the comment as a string", &out->comment, err));
    } else if (cursor_is(c, 0, SQL_W_FIRST) || cursor_is(c, 0, SQL_W_AFTER)) {
        out->kind = SQL_ALTER_COLUMN_PLACE;
        TRY(accept_place(c, path, err));
    } else if (cursor_accept(c, SQL_W_SET)) {
        TRY(column_rule(c, false, out, err));
    } else if (cursor_accept(c, SQL_W_DROP)) {
        TRY(column_rule(c, true, out, err));
    } else if (cursor_accept(c, SQL_W_TYPE)) {
        TRY(column_type(c, out, err));
    } else {
        rc = cursor_expected(c, err, "TYPE, COMMENT, FIRST, AFTER, SET or DROP");
        error_hint(err, "ALTER COLUMN c TYPE BIGINT; ... SET NOT NULL; ... SET DEFAULT 0; ... COMMENT 'text'");
    }
out:
    return rc;
}

/* CLUSTER BY (path, ...) | NONE */
static Status cluster_by(SqlCursor *c, SqlAlter *out, Error *err)
{
    out->kind = SQL_ALTER_CLUSTER_BY;
    if (cursor_accept_text(c, "none")) {
        return OK;
    }
    if (!cursor_is_op(c, 0, '(')) {
        return cursor_expected(c, err, "(column, ...) or NONE behind CLUSTER BY");
    }
    SqlCursor inside = take_brackets(c);
    return path_list(&inside, out, err);
}

/* ---- properties and constraints ---- */

/* ( key, ... ) with keys as cursor_options reads them */
static Status property_keys(SqlCursor *c, SqlAlter *out, Error *err)
{
    Status rc = OK;
    SqlList keys = SQL_LIST(SqlOption);

    out->kind = SQL_ALTER_UNSET_PROPERTIES;
    out->if_exists = cursor_accept2(c, SQL_W_IF, SQL_W_EXISTS);
    TRY(cursor_expect_op(c, '(', "behind UNSET TBLPROPERTIES", err));
    do {
        SqlOption *key = sql_list_add(&keys);
        const SqlToken *token = cursor_peek(c, 0);
        if (token->kind == SQL_TOKEN_STRING) {
            TRY(cursor_string(c, "the key of a property", &key->key, err));
            continue;
        }
        TRY(cursor_name(c, SQL_WORD_RESERVED, "the key of a property", &key->key, err));
        while (cursor_accept_op(c, '.')) {
            const char *part = NULL;
            TRY(cursor_name(c, SQL_WORD_RESERVED, "the rest of the key", &part, err));
            key->key = arena_printf(c->arena, "%s.%s", key->key, part);
        }
    } while (cursor_accept_op(c, ','));
    TRY(cursor_expect_op(c, ')', "behind the keys", err));
    out->properties = sql_list_take(&keys, c->arena, &out->n_properties);
out:
    sql_list_fini(&keys);
    return rc;
}

static Status add_constraint(SqlCursor *c, SqlAlter *out, Error *err)
{
    Status rc = OK;

    out->kind = SQL_ALTER_ADD_CONSTRAINT;
    TRY(cursor_name(c, SQL_WORD_COLUMN, "the name of the constraint", &out->name, err));
    TRY(cursor_expect(c, SQL_W_CHECK, "behind the name of the constraint", err));
    if (!cursor_is_op(c, 0, '(')) {
        TRY(cursor_expected(c, err, "\"(\" behind CHECK"));
    }
    size_t open = c->at;
    cursor_skip(c);
    if (c->at == open + 2) {
        TRY(cursor_error(c, open, c->at, err, "the condition of \"%.100s\" is empty", out->name));
    }
    out->condition = cursor_slice(c, open + 1, c->at - 1);
out:
    return rc;
}

static Status drop_constraint(SqlCursor *c, SqlAlter *out, Error *err)
{
    out->kind = SQL_ALTER_DROP_CONSTRAINT;
    out->if_exists = cursor_accept2(c, SQL_W_IF, SQL_W_EXISTS);
    return cursor_name(c, SQL_WORD_COLUMN, "the name of the constraint", &out->name, err);
}

/* ---- features ---- */

/* name [TRUNCATE HISTORY]; a name with a hyphen needs quotes of any kind */
static Status drop_feature(SqlCursor *c, SqlAlter *out, Error *err)
{
    Status rc = OK;

    out->kind = SQL_ALTER_DROP_FEATURE;
    if (cursor_peek(c, 0)->kind == SQL_TOKEN_STRING) {
        TRY(cursor_string(c, "the name of a feature", &out->name, err));
    } else {
        TRY(cursor_name(c, SQL_WORD_COLUMN, "the name of a feature", &out->name, err));
    }
    out->truncate_history = cursor_accept2(c, SQL_W_TRUNCATE, SQL_W_HISTORY);
out:
    return rc;
}

/* ---- ALTER TABLE ---- */

static bool accept_columns(SqlCursor *c)
{
    return cursor_accept(c, SQL_W_COLUMN) || cursor_accept(c, SQL_W_COLUMNS);
}

static Status drop(SqlCursor *c, SqlAlter *out, Error *err)
{
    if (cursor_accept(c, SQL_W_CONSTRAINT)) {
        return drop_constraint(c, out, err);
    }
    if (cursor_accept_text(c, "feature")) {
        return drop_feature(c, out, err);
    }
    return accept_columns(c) ? drop_columns(c, out, err)
                             : cursor_expected(c, err, "COLUMN, CONSTRAINT or FEATURE behind DROP");
}

/* COMMENT ON TABLE t IS 'text' | NULL, from IS on: as for Spark, the property "comment". */
static Status table_comment(SqlCursor *c, SqlAlter *out, Error *err)
{
    SqlOption *comment = arena_alloc(c->arena, sizeof *comment);

    *comment = (SqlOption){.key = "comment", .value = "", .is_string = true};
    out->kind = SQL_ALTER_SET_PROPERTIES;
    out->properties = comment;
    out->n_properties = 1;
    return cursor_accept_text(c, "null") ? OK
                                         : cursor_string(c, "the comment in quotes, or NULL", &comment->value, err);
}

static Status action(SqlCursor *c, SqlAlter *out, Error *err)
{
    Status rc = OK;

    if (cursor_accept_text(c, "add")) {
        if (cursor_accept(c, SQL_W_CONSTRAINT)) {
            return add_constraint(c, out, err);
        }
        (void)accept_columns(c);
        return add_columns(c, out, err);
    }
    if (cursor_accept(c, SQL_W_DROP)) {
        return drop(c, out, err);
    }
    if (cursor_accept_text(c, "rename")) {
        return rename_to(c, out, err);
    }
    bool change = cursor_accept_text(c, "change");
    if (change || cursor_accept(c, SQL_W_ALTER)) {
        (void)cursor_accept(c, SQL_W_COLUMN);
        return alter_column(c, change, out, err);
    }
    if (cursor_accept2(c, SQL_W_REPLACE, SQL_W_COLUMNS)) {
        return replace_columns(c, out, err);
    }
    if (cursor_accept2(c, SQL_W_CLUSTER, SQL_W_BY)) {
        return cluster_by(c, out, err);
    }
    if (cursor_accept2(c, SQL_W_SET, SQL_W_TBLPROPERTIES)) {
        out->kind = SQL_ALTER_SET_PROPERTIES;
        return cursor_options(c, &out->properties, &out->n_properties, err);
    }
    if (cursor_accept(c, SQL_W_IS)) {
        return table_comment(c, out, err);
    }
    if (cursor_accept_text(c, "unset")) {
        TRY(cursor_expect(c, SQL_W_TBLPROPERTIES, "behind UNSET", err));
        return property_keys(c, out, err);
    }
    rc = cursor_expected(c, err, "ADD, ALTER, CHANGE, CLUSTER BY, DROP, RENAME, REPLACE, SET or UNSET");
    error_hint(err,
               "ALTER TABLE t ADD COLUMN c INT; ... SET TBLPROPERTIES ('k' = 'v'); ... ADD CONSTRAINT c CHECK (a > 0)");
out:
    return rc;
}

Status sql_alter_parse(const SqlText *text, SqlSpan span, Arena *arena, SqlAlter *out, Error *err)
{
    Status rc = OK;
    SqlTokens tokens = {0};
    SqlAlter alter = {0};

    TRY(sql_lex(text, span, &tokens, err));
    SqlCursor c = {.text = text, .tokens = tokens.items, .end = tokens.count, .arena = arena};
    TRY(action(&c, &alter, err));
    if (!cursor_done(&c)) {
        TRY(cursor_expected(&c, err, "the end of the statement"));
    }
    *out = alter;
out:
    sql_tokens_fini(&tokens);
    return rc;
}

/* ---- RESTORE ---- */

/* VERSION AS OF n, TIMESTAMP AS OF expression, up to `end` */
static Status version_or_time(SqlCursor *c, size_t end, SqlRestore *out, Error *err)
{
    Status rc = OK;
    bool version = cursor_accept(c, SQL_W_VERSION);

    if (!version && !cursor_accept(c, SQL_W_TIMESTAMP)) {
        TRY(cursor_expected(c, err, "TO VERSION AS OF or TO TIMESTAMP AS OF behind the table"));
    }
    TRY(cursor_expect(c, SQL_W_AS, version ? "behind VERSION" : "behind TIMESTAMP", err));
    TRY(cursor_expect(c, SQL_W_OF, "behind AS", err));
    if (c->at >= end) {
        TRY(cursor_expected(c, err, version ? "the number of a version" : "a timestamp"));
    }
    *out = (SqlRestore){.version = version ? cursor_slice(c, c->at, end) : NULL,
                        .timestamp = version ? NULL : cursor_slice(c, c->at, end)};
    c->at = end;
out:
    return rc;
}

Status sql_restore_parse(const SqlText *text, SqlSpan span, Arena *arena, SqlRestore *out, Error *err)
{
    Status rc = OK;
    SqlTokens tokens = {0};

    TRY(sql_lex(text, span, &tokens, err));
    SqlCursor c = {.text = text, .tokens = tokens.items, .end = tokens.count, .arena = arena};
    (void)cursor_accept(&c, SQL_W_TO);
    TRY(version_or_time(&c, c.end, out, err));
out:
    sql_tokens_fini(&tokens);
    return rc;
}

/* ---- CLONE ---- */

static Status clone_clauses(SqlCursor *c, SqlClone *out, Error *err)
{
    Status rc = OK;

    while (!cursor_done(c)) {
        if (out->properties == NULL && cursor_accept(c, SQL_W_TBLPROPERTIES)) {
            TRY(cursor_options(c, &out->properties, &out->n_properties, err));
        } else if (out->location == NULL && cursor_accept(c, SQL_W_LOCATION)) {
            TRY(cursor_string(c, "the location as a string", &out->location, err));
        } else if (out->like && cursor_accept(c, SQL_W_USING)) {
            if (!cursor_accept_text(c, "delta")) {
                TRY(cursor_expected(c, err, "DELTA behind USING"));
            }
        } else {
            TRY(cursor_expected(c, err, "%s, TBLPROPERTIES or LOCATION",
                                out->like ? "USING DELTA" : "VERSION AS OF, TIMESTAMP AS OF"));
        }
    }
out:
    return rc;
}

Status sql_clone_parse(const SqlText *text, SqlSpan span, Arena *arena, SqlClone *out, Error *err)
{
    Status rc = OK;
    SqlTokens tokens = {0};
    SqlClone clone = {0};

    TRY(sql_lex(text, span, &tokens, err));
    SqlCursor c = {.text = text, .tokens = tokens.items, .end = tokens.count, .arena = arena};
    clone.like = cursor_accept(&c, SQL_W_LIKE);
    if (!clone.like) {
        clone.shallow = cursor_accept(&c, SQL_W_SHALLOW);
        (void)cursor_accept(&c, SQL_W_DEEP);
        TRY(cursor_expect(&c, SQL_W_CLONE, "behind the table", err));
    }
    TRY(cursor_table_name(&c, false, &clone.source, err));
    if (!clone.like && (cursor_is(&c, 0, SQL_W_VERSION) || cursor_is(&c, 0, SQL_W_TIMESTAMP))) {
        size_t end = c.at;
        while (end < c.end && !sql_token_is_word(&c.tokens[end], SQL_W_TBLPROPERTIES) &&
               !sql_token_is_word(&c.tokens[end], SQL_W_LOCATION)) {
            end++;
        }
        TRY(version_or_time(&c, end, &clone.at, err));
    }
    TRY(clone_clauses(&c, &clone, err));
    *out = clone;
out:
    sql_tokens_fini(&tokens);
    return rc;
}

/* ---- CONVERT TO DELTA ---- */

Status sql_convert_parse(const SqlText *text, SqlSpan span, Arena *arena, const SqlColumn **partitions, size_t *n,
                         Error *err)
{
    Status rc = OK;
    SqlTokens tokens = {0};
    SqlStatement list = {.kind = SQL_CREATE_TABLE};

    TRY(sql_lex(text, span, &tokens, err));
    SqlCursor c = {.text = text, .tokens = tokens.items, .end = tokens.count, .arena = arena};
    if (cursor_accept_text(&c, "no") && !cursor_accept_text(&c, "statistics")) {
        TRY(cursor_expected(&c, err, "STATISTICS behind NO"));
    }
    if (cursor_accept2(&c, SQL_W_PARTITIONED, SQL_W_BY)) {
        TRY(sql_parse_column_list(&c, &list, err));
    }
    if (!cursor_done(&c)) {
        TRY(cursor_expected(&c, err, "PARTITIONED BY (column type, ...) or the end of the statement"));
    }
    *partitions = list.columns;
    *n = list.n_columns;
out:
    sql_tokens_fini(&tokens);
    return rc;
}
