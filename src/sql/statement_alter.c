#include "sql/statement_alter.h"

#include "sql/statement_int.h"

/* A word that is no keyword elsewhere. */
static bool accept_text(SqlCursor *c, const char *word)
{
    const SqlToken *token = cursor_peek(c, 0);

    if (token->kind != SQL_TOKEN_WORD || !str_ieq(sql_token_value(c->text, token, c->arena), word)) {
        return false;
    }
    c->at++;
    return true;
}

static Status column_name(SqlCursor *c, const char **out, Error *err)
{
    Status rc = OK;
    size_t from = c->at;

    TRY(cursor_name(c, SQL_WORD_COLUMN, "the name of a column", out, err));
    if (cursor_is_op(c, 0, '.')) {
        rc = cursor_error(c, from, c->at + 1, err, "a field inside a column cannot be altered");
    }
out:
    return rc;
}

/* ---- columns ---- */

static Status add_columns(SqlCursor *c, SqlAlter *out, Error *err)
{
    Status rc = OK;
    SqlStatement list = {.kind = SQL_CREATE_TABLE};

    out->kind = SQL_ALTER_ADD_COLUMNS;
    if (cursor_accept(c, SQL_W_IF)) {
        TRY(cursor_expect(c, SQL_W_NOT, "behind IF", err));
        TRY(cursor_expect(c, SQL_W_EXISTS, "behind IF NOT", err));
        out->if_not_exists = true;
    }
    if (cursor_is_op(c, 0, '(')) {
        TRY(sql_parse_column_list(c, &list, err));
    } else {
        TRY(sql_parse_columns(c, &list, err));
    }
    out->columns = list.columns;
    out->n_columns = list.n_columns;
out:
    return rc;
}

static Status drop_columns(SqlCursor *c, SqlAlter *out, Error *err)
{
    Status rc = OK;
    SqlList names = SQL_LIST(const char *);

    out->kind = SQL_ALTER_DROP_COLUMNS;
    out->if_exists = cursor_accept2(c, SQL_W_IF, SQL_W_EXISTS);
    if (cursor_is_op(c, 0, '(')) {
        TRY(cursor_name_list(c, "the name of a column", &out->names, &out->n_names, err));
        goto out;
    }
    do {
        TRY(column_name(c, sql_list_add(&names), err));
    } while (cursor_accept_op(c, ','));
    out->names = sql_list_take(&names, c->arena, &out->n_names);
out:
    sql_list_fini(&names);
    return rc;
}

static Status alter_column(SqlCursor *c, SqlAlter *out, Error *err)
{
    Status rc = OK;
    SqlStatement list = {.kind = SQL_CREATE_TABLE};

    TRY(column_name(c, &out->name, err));
    if (cursor_accept(c, SQL_W_COMMENT)) {
        out->kind = SQL_ALTER_COLUMN_COMMENT;
        TRY(cursor_string(c, "the comment as a string", &out->comment, err));
    } else if (cursor_accept(c, SQL_W_SET) || cursor_is(c, 0, SQL_W_DROP)) {
        bool drop = cursor_accept(c, SQL_W_DROP);
        out->kind = drop ? SQL_ALTER_COLUMN_NULLABLE : SQL_ALTER_COLUMN_NOT_NULL;
        if (!cursor_accept2(c, SQL_W_NOT, SQL_W_NULL)) {
            TRY(cursor_expected(c, err, "NOT NULL"));
        }
    } else if (accept_text(c, "type")) {
        /* the rest is a column's definition without its name: read it where TYPE stands as the name */
        SqlCursor definition = *c;
        definition.at--;
        out->kind = SQL_ALTER_COLUMN_TYPE;
        TRY(sql_parse_columns(&definition, &list, err));
        c->at = definition.at;
        out->columns = list.columns;
        out->n_columns = list.n_columns;
    } else {
        rc = cursor_expected(c, err, "TYPE, COMMENT, SET NOT NULL or DROP NOT NULL");
    }
out:
    return rc;
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

/* ---- ALTER TABLE ---- */

static bool accept_columns(SqlCursor *c)
{
    return cursor_accept(c, SQL_W_COLUMN) || cursor_accept(c, SQL_W_COLUMNS);
}

static Status action(SqlCursor *c, SqlAlter *out, Error *err)
{
    Status rc = OK;

    if (accept_text(c, "add")) {
        if (cursor_accept(c, SQL_W_CONSTRAINT)) {
            return add_constraint(c, out, err);
        }
        (void)accept_columns(c);
        return add_columns(c, out, err);
    }
    if (cursor_accept(c, SQL_W_DROP)) {
        if (cursor_accept(c, SQL_W_CONSTRAINT)) {
            return drop_constraint(c, out, err);
        }
        return accept_columns(c) ? drop_columns(c, out, err)
                                 : cursor_expected(c, err, "COLUMN or CONSTRAINT behind DROP");
    }
    if (accept_text(c, "rename")) {
        out->kind = SQL_ALTER_RENAME_COLUMN;
        TRY(cursor_expect(c, SQL_W_COLUMN, "behind RENAME", err));
        TRY(column_name(c, &out->name, err));
        TRY(cursor_expect(c, SQL_W_TO, "behind the column", err));
        const char **to = arena_alloc(c->arena, sizeof *to);
        TRY(column_name(c, to, err));
        out->names = to;
        out->n_names = 1;
        goto out;
    }
    if (cursor_accept(c, SQL_W_ALTER) || accept_text(c, "change")) {
        (void)cursor_accept(c, SQL_W_COLUMN);
        return alter_column(c, out, err);
    }
    if (cursor_accept2(c, SQL_W_SET, SQL_W_TBLPROPERTIES)) {
        out->kind = SQL_ALTER_SET_PROPERTIES;
        return cursor_options(c, &out->properties, &out->n_properties, err);
    }
    if (accept_text(c, "unset")) {
        TRY(cursor_expect(c, SQL_W_TBLPROPERTIES, "behind UNSET", err));
        return property_keys(c, out, err);
    }
    rc = cursor_expected(c, err, "ADD, ALTER, DROP, RENAME, SET or UNSET");
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

Status sql_restore_parse(const SqlText *text, SqlSpan span, Arena *arena, SqlRestore *out, Error *err)
{
    Status rc = OK;
    SqlTokens tokens = {0};

    TRY(sql_lex(text, span, &tokens, err));
    SqlCursor c = {.text = text, .tokens = tokens.items, .end = tokens.count, .arena = arena};
    (void)cursor_accept(&c, SQL_W_TO);
    bool version = cursor_accept(&c, SQL_W_VERSION);
    if (!version && !cursor_accept(&c, SQL_W_TIMESTAMP)) {
        TRY(cursor_expected(&c, err, "TO VERSION AS OF or TO TIMESTAMP AS OF behind the table"));
    }
    TRY(cursor_expect(&c, SQL_W_AS, version ? "behind VERSION" : "behind TIMESTAMP", err));
    TRY(cursor_expect(&c, SQL_W_OF, "behind AS", err));
    if (cursor_done(&c)) {
        TRY(cursor_expected(&c, err, version ? "the number of a version" : "a timestamp"));
    }
    *out = (SqlRestore){.version = version ? cursor_slice(&c, c.at, c.end) : NULL,
                        .timestamp = version ? NULL : cursor_slice(&c, c.at, c.end)};
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
    if (accept_text(&c, "no") && !accept_text(&c, "statistics")) {
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
