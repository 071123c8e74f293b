/* The parser of types: one function a form, nested types by recursion with a limit. */
#include "sql/type_text.h"

#include <string.h>

#include "sql/cursor.h"

/* Names that mean a DuckDB type of another name. Names of one word that DuckDB knows itself are in DUCK_TYPES. */
static const struct {
    const char *name, *duck;
} ALIASES[] = {
    {"BYTE", "TINYINT"},    {"SHORT", "SMALLINT"},     {"LONG", "BIGINT"},
    {"STRING", "VARCHAR"},  {"TEXT", "VARCHAR"},       {"BINARY", "BLOB"},
    {"INT", "INTEGER"},     {"BOOL", "BOOLEAN"},       {"TIMESTAMP_NTZ", "TIMESTAMP"},
    {"REAL", "FLOAT"},      {"NUMERIC", "DECIMAL"},    {"TIMESTAMP_LTZ", "TIMESTAMPTZ"},
    {"DEC", "DECIMAL"},     {"DATETIME", "TIMESTAMP"}, {"CHARACTER", "VARCHAR"},
    {"CHAR", "VARCHAR"},    {"VARBINARY", "BLOB"},     {"BYTEA", "BLOB"},
    {"INT1", "TINYINT"},    {"INT2", "SMALLINT"},      {"INT4", "INTEGER"},
    {"INT8", "BIGINT"},     {"FLOAT4", "FLOAT"},       {"FLOAT8", "DOUBLE"},
    {"LOGICAL", "BOOLEAN"}, {"BPCHAR", "VARCHAR"},     {"SIGNED", "INTEGER"},
};

static const char *const DUCK_TYPES[] = {
    "TINYINT",      "SMALLINT",     "INTEGER",  "BIGINT", "HUGEINT", "UTINYINT",  "USMALLINT",   "UINTEGER",
    "UBIGINT",      "UHUGEINT",     "FLOAT",    "DOUBLE", "DECIMAL", "VARCHAR",   "BLOB",        "BIT",
    "BOOLEAN",      "UUID",         "DATE",     "TIME",   "TIMETZ",  "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP_S",
    "TIMESTAMP_MS", "TIMESTAMP_NS", "INTERVAL", "JSON",   "VARIANT",
};

static Status type_error(const SqlCursor *c, Error *err, const char *what)
{
    const SqlToken *token = cursor_peek(c, 0);
    if (token->kind == SQL_TOKEN_END) {
        return error_set(err, E_SQL_PARSE, "the type \"%.200s\" ends where %s should stand", c->text->data, what);
    }
    return error_set(err, E_SQL_PARSE, "\"%.*s\" stands in the type \"%.200s\" where %s should",
                     (int)(token->end - token->begin), c->text->data + token->begin, c->text->data, what);
}

static Status type_expect(SqlCursor *c, int op, const char *what, Error *err)
{
    return cursor_accept_op(c, op) ? OK : type_error(c, err, what);
}

static Status parse_type(SqlCursor *c, int depth, Text *out, Error *err);

static const char *type_name(const SqlCursor *c, const SqlToken *token)
{
    char *name = sql_token_value(c->text, token, c->arena);
    for (char *p = name; *p; p++) {
        *p = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
    }
    for (size_t i = 0; i < sizeof ALIASES / sizeof *ALIASES; i++) {
        if (strcmp(name, ALIASES[i].name) == 0) {
            return ALIASES[i].duck;
        }
    }
    for (size_t i = 0; i < sizeof DUCK_TYPES / sizeof *DUCK_TYPES; i++) {
        if (strcmp(name, DUCK_TYPES[i]) == 0) {
            return DUCK_TYPES[i];
        }
    }
    return NULL;
}

/* ARRAY<T>, behind ARRAY */
static Status parse_array(SqlCursor *c, int depth, Text *out, Error *err)
{
    Status rc = type_expect(c, '<', "\"<\"", err);
    if (rc != OK || (rc = parse_type(c, depth + 1, out, err)) != OK) {
        return rc;
    }
    text_append(out, "[]");
    return type_expect(c, '>', "\">\"", err);
}

/* MAP<K, V> or MAP(K, V), behind MAP */
static Status parse_map(SqlCursor *c, int depth, Text *out, Error *err)
{
    bool round = cursor_is_op(c, 0, '(');
    Status rc = type_expect(c, round ? '(' : '<', "\"<\"", err);
    text_append(out, "MAP(");
    if (rc != OK || (rc = parse_type(c, depth + 1, out, err)) != OK) {
        return rc;
    }
    text_append(out, ", ");
    if ((rc = type_expect(c, ',', "\",\"", err)) != OK || (rc = parse_type(c, depth + 1, out, err)) != OK) {
        return rc;
    }
    text_append(out, ")");
    return type_expect(c, round ? ')' : '>', round ? "\")\"" : "\">\"", err);
}

/* name[:] type [NOT NULL] [COMMENT 'x'] */
static Status parse_member(SqlCursor *c, int depth, Text *out, Error *err)
{
    const SqlToken *token = cursor_peek(c, 0);
    if (!sql_token_is_name(token, SQL_WORD_RESERVED)) {
        return type_error(c, err, "the name of a member");
    }
    c->at++;
    text_append_sql_name(out, sql_token_value(c->text, token, c->arena));
    text_append(out, " ");
    (void)cursor_accept_op(c, ':');
    Status rc = parse_type(c, depth + 1, out, err);
    if (rc != OK) {
        return rc;
    }
    (void)cursor_accept2(c, SQL_W_NOT, SQL_W_NULL);
    if (!cursor_accept(c, SQL_W_COMMENT)) {
        return OK;
    }
    if (cursor_peek(c, 0)->kind != SQL_TOKEN_STRING) {
        return type_error(c, err, "the comment as a string");
    }
    c->at++;
    return OK;
}

/* STRUCT<...>, STRUCT(...), ROW(...), behind the word */
static Status parse_struct(SqlCursor *c, int depth, Text *out, Error *err)
{
    bool round = cursor_is_op(c, 0, '(');
    Status rc = type_expect(c, round ? '(' : '<', "\"<\"", err);
    if (rc != OK) {
        return rc;
    }
    text_append(out, "STRUCT(");
    if ((rc = parse_member(c, depth, out, err)) != OK) {
        return rc;
    }
    while (cursor_accept_op(c, ',')) {
        text_append(out, ", ");
        if ((rc = parse_member(c, depth, out, err)) != OK) {
            return rc;
        }
    }
    text_append(out, ")");
    return type_expect(c, round ? ')' : '>', round ? "\",\" or \")\"" : "\",\" or \">\"", err);
}

/* (p, s) of DECIMAL; the length of a VARCHAR is dropped, as DuckDB ignores it. */
static Status parse_modifiers(SqlCursor *c, const char *name, Text *out, Error *err)
{
    bool keep = strcmp(name, "DECIMAL") == 0;
    if (!cursor_accept_op(c, '(')) {
        return OK;
    }
    text_append(out, keep ? "(" : "");
    do {
        const SqlToken *token = cursor_peek(c, 0);
        if (token->kind != SQL_TOKEN_NUMBER) {
            return type_error(c, err, "a number");
        }
        c->at++;
        if (keep) {
            text_append_n(out, c->text->data + token->begin, token->end - token->begin);
        }
    } while (cursor_accept_op(c, ',') && (text_append(out, keep ? "," : ""), true));
    text_append(out, keep ? ")" : "");
    return type_expect(c, ')', "\")\"", err);
}

/* TIMESTAMP WITH TIME ZONE, TIME WITH TIME ZONE, and WITHOUT; DOUBLE PRECISION; CHARACTER VARYING */
static const char *accept_suffix(SqlCursor *c, const char *name)
{
    bool timestamp = strcmp(name, "TIMESTAMP") == 0, time = strcmp(name, "TIME") == 0;
    if ((timestamp || time) && (cursor_is(c, 0, SQL_W_WITH) || cursor_is(c, 0, SQL_W_WITHOUT)) &&
        cursor_is(c, 1, SQL_W_TIME) && cursor_is(c, 2, SQL_W_ZONE)) {
        bool with = cursor_is(c, 0, SQL_W_WITH);
        c->at += 3;
        return with ? (timestamp ? "TIMESTAMPTZ" : "TIMETZ") : name;
    }
    if (strcmp(name, "DOUBLE") == 0) {
        (void)cursor_accept(c, SQL_W_PRECISION);
    }
    if (strcmp(name, "VARCHAR") == 0) {
        (void)cursor_accept(c, SQL_W_VARYING);
    }
    return name;
}

static Status parse_simple(SqlCursor *c, const SqlToken *token, Text *out, Error *err)
{
    const char *name = token->kind == SQL_TOKEN_WORD ? type_name(c, token) : NULL;
    if (!name) {
        text_append_sql_name(out, sql_token_value(c->text, token, c->arena));
        return OK;
    }
    name = accept_suffix(c, name);
    text_append(out, name);
    return parse_modifiers(c, name, out, err);
}

/* [] and [n] behind a type */
static Status parse_brackets(SqlCursor *c, Text *out, Error *err)
{
    while (cursor_accept_op(c, '[')) {
        const SqlToken *size = cursor_peek(c, 0);
        text_append(out, "[");
        if (size->kind == SQL_TOKEN_NUMBER) {
            text_append_n(out, c->text->data + size->begin, size->end - size->begin);
            c->at++;
        }
        text_append(out, "]");
        Status rc = type_expect(c, ']', "\"]\"", err);
        if (rc != OK) {
            return rc;
        }
    }
    return OK;
}

static Status parse_type(SqlCursor *c, int depth, Text *out, Error *err)
{
    enum { DEPTH_MAX = 64 };
    if (depth > DEPTH_MAX) {
        return error_set(err, E_LIMIT, "a type is nested deeper than %d", DEPTH_MAX);
    }
    const SqlToken *token = cursor_peek(c, 0);
    if (!sql_token_is_name(token, SQL_WORD_FUNCTION) && !sql_token_is_word(token, SQL_W_ARRAY)) {
        return type_error(c, err, "the name of a type");
    }
    c->at++;
    bool opens = cursor_is_op(c, 0, '<') || cursor_is_op(c, 0, '('), angle = cursor_is_op(c, 0, '<');
    Status rc;
    if (sql_token_is_word(token, SQL_W_ARRAY) && angle) {
        rc = parse_array(c, depth, out, err);
    } else if (sql_token_is_word(token, SQL_W_MAP) && opens) {
        rc = parse_map(c, depth, out, err);
    } else if ((sql_token_is_word(token, SQL_W_STRUCT) || sql_token_is_word(token, SQL_W_ROW)) && opens) {
        rc = parse_struct(c, depth, out, err);
    } else {
        rc = parse_simple(c, token, out, err);
    }
    return rc == OK ? parse_brackets(c, out, err) : rc;
}

Status sql_type_normalize(const char *type, Text *out, Error *err)
{
    SqlText text = {.name = "type", .data = type, .length = strlen(type)};
    SqlTokens tokens = {0};
    Text normal = TEXT(SQL_TEXT_MAX);
    Arena *arena = arena_new();
    Status rc = OK;
    TRY(sql_lex(&text, (SqlSpan){0, text.length}, &tokens, err));
    SqlCursor c = {.text = &text, .tokens = tokens.items, .end = tokens.count, .arena = arena};
    TRY(parse_type(&c, 0, &normal, err));
    if (!cursor_done(&c)) {
        TRY(type_error(&c, err, "nothing"));
    }
    text_append(out, text_str(&normal));
out:
    text_free(&normal);
    sql_tokens_fini(&tokens);
    arena_free(arena);
    return rc;
}
