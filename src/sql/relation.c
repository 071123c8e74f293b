/* One relation as it may stand in FROM:
 *
 *     [STREAM] name | STREAM(...) | delta.`uri` | read_files(...)
 *         [VERSION AS OF n | TIMESTAMP AS OF e | AT (VERSION => n) | @v5]  [WITH (option = value, ...)]
 *         [WATERMARK e [AS c] DELAY OF INTERVAL '...']                                                     alias
 */
#include <string.h>

#include "sql/query_int.h"

/* The table functions that freshet provides itself; all others are DuckDB's. */
static const char *const SQL_TABLE_FUNCTIONS[] = {"read_files", "read_kafka", "read_postgres", "read_pulsar",
                                                  "read_rate",  "state",      "table_changes"};
enum { N_TABLE_FUNCTIONS = sizeof SQL_TABLE_FUNCTIONS / sizeof *SQL_TABLE_FUNCTIONS };

bool sql_starts_query(const SqlCursor *c)
{
    static const SqlWord WORDS[] = {
        SQL_W_SELECT,      SQL_W_WITH,     SQL_W_FROM,         SQL_W_VALUES,    SQL_W_TABLE, SQL_W_PIVOT, SQL_W_UNPIVOT,
        SQL_W_PIVOT_WIDER, SQL_W_DESCRIBE, SQL_W_PIVOT_LONGER, SQL_W_SUMMARIZE, SQL_W_SHOW,  SQL_W_DESC};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (cursor_is(c, 0, WORDS[i])) {
            return true;
        }
    }
    return false;
}

bool sql_ends_from(const SqlCursor *c)
{
    static const SqlWord WORDS[] = {SQL_W_WHERE,  SQL_W_GROUP,  SQL_W_HAVING, SQL_W_QUALIFY,  SQL_W_ORDER,
                                    SQL_W_LIMIT,  SQL_W_OFFSET, SQL_W_FETCH,  SQL_W_UNION,    SQL_W_INTERSECT,
                                    SQL_W_EXCEPT, SQL_W_SELECT, SQL_W_FROM,   SQL_W_RETURNING};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (cursor_is(c, 0, WORDS[i])) {
            return true;
        }
    }
    return sql_is_window_clause(c);
}

bool sql_is_window_clause(const SqlCursor *c)
{
    return cursor_is(c, 0, SQL_W_WINDOW) && sql_token_is_name(cursor_peek(c, 1), SQL_WORD_COLUMN) &&
           cursor_is(c, 2, SQL_W_AS) && cursor_is_op(c, 3, '(');
}

bool sql_is_stream(const SqlCursor *c)
{
    const SqlToken *next = cursor_peek(c, 1);
    if (!cursor_is(c, 0, SQL_W_STREAM)) {
        return false;
    }
    bool travels = (cursor_is(c, 1, SQL_W_VERSION) || cursor_is(c, 1, SQL_W_TIMESTAMP)) && cursor_is(c, 2, SQL_W_AS);
    return sql_token_is_op(next, '(') || (sql_token_is_name(next, SQL_WORD_COLUMN) && !travels);
}

/* ---- time travel ---- */

/* A primary of a TIMESTAMP AS OF expression: literal, typed literal, INTERVAL, CAST(...), function call, (...). */
static Status skip_primary(SqlCursor *c, Error *err)
{
    const SqlToken *token = cursor_peek(c, 0), *next = cursor_peek(c, 1);
    while (sql_token_is_op(token, '-') || sql_token_is_op(token, '+')) {
        c->at++;
        token = cursor_peek(c, 0);
        next = cursor_peek(c, 1);
    }
    if (cursor_is(c, 0, SQL_W_INTERVAL)) {
        c->at++;
        bool bare = next->kind == SQL_TOKEN_NUMBER || sql_token_is_op(next, '(');
        if (!bare && next->kind != SQL_TOKEN_STRING) {
            return cursor_expected(c, err, "the length of the interval");
        }
        bool unit = bare || sql_needs_unit(sql_token_value(c->text, next, c->arena));
        cursor_skip(c);
        c->at += unit && cursor_peek(c, 0)->kind == SQL_TOKEN_WORD ? 1 : 0;
    } else if (sql_token_is_op(token, '(') || token->kind == SQL_TOKEN_STRING || token->kind == SQL_TOKEN_NUMBER ||
               token->kind == SQL_TOKEN_PARAMETER) {
        cursor_skip(c);
    } else if (cursor_is(c, 0, SQL_W_CAST) || sql_token_is_name(token, SQL_WORD_FUNCTION)) {
        c->at += next->kind == SQL_TOKEN_STRING ? 2 : 1;
        if (sql_token_is_op(next, '(')) {
            cursor_skip(c);
        }
    } else {
        return cursor_expected(c, err, "a timestamp");
    }
    while (cursor_accept_op(c, SQL_OP_CAST)) {
        if (cursor_peek(c, 0)->kind != SQL_TOKEN_WORD) {
            return cursor_expected(c, err, "a type behind \"::\"");
        }
        c->at++;
    }
    return OK;
}

static Status timestamp_as_of(SqlCursor *c, SqlRelation *out, Error *err)
{
    size_t from = c->at;
    do {
        Status rc = skip_primary(c, err);
        if (rc != OK) {
            return rc;
        }
    } while (cursor_accept_op(c, '+') || cursor_accept_op(c, '-'));
    out->timestamp_as_of = cursor_expression(c, from, c->at);
    return OK;
}

static Status version_as_of(SqlCursor *c, SqlRelation *out, Error *err)
{
    const SqlToken *token = cursor_peek(c, 0);
    int64_t version;
    const char *value = sql_token_value(c->text, token, c->arena);
    if ((token->kind != SQL_TOKEN_NUMBER && token->kind != SQL_TOKEN_STRING) || !str_parse_i64(value, &version) ||
        version < 0) {
        return cursor_expected(c, err, "the number of a version");
    }
    c->at++;
    out->version_as_of = value;
    return OK;
}

/* v5, or yyyyMMddHHmmssSSS, as Delta writes them behind '@'. */
static bool at_text(const char *s, size_t n, Arena *arena, SqlRelation *out)
{
    size_t digits = n;
    const char *number = s;
    if (n > 1 && (s[0] == 'v' || s[0] == 'V')) {
        number++;
        digits--;
    } else if (n != 17) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        if (number[i] < '0' || number[i] > '9') {
            return false;
        }
    }
    if (number > s) {
        out->version_as_of = digits < 19 ? arena_strndup(arena, number, digits) : NULL;
    } else {
        out->timestamp_as_of = arena_printf(arena, "TIMESTAMP '%.4s-%.2s-%.2s %.2s:%.2s:%.2s.%.3s'", s, s + 4, s + 6,
                                            s + 8, s + 10, s + 12, s + 14);
    }
    return out->version_as_of || out->timestamp_as_of;
}

/* @v5 directly behind a name */
static Status accept_at(SqlCursor *c, SqlRelation *out, Error *err)
{
    const SqlToken *sign = cursor_peek(c, 0), *what = cursor_peek(c, 1);
    if (!sql_token_is_op(sign, '@') || c->tokens[c->at - 1].end != sign->begin) {
        return OK;
    }
    bool joined = what->kind != SQL_TOKEN_END && what->begin == sign->end;
    if (!joined || !at_text(c->text->data + what->begin, what->end - what->begin, c->arena, out)) {
        Status rc = cursor_error(c, c->at, c->at + 1, err, "\"@\" behind a table needs a version");
        error_hint(err, "write t@v5 or t@yyyyMMddHHmmssSSS");
        return rc;
    }
    c->at += 2;
    return OK;
}

/* delta.`/a/b@v5`: Delta has the version inside the quotes. */
static void split_path(Arena *arena, SqlRelation *out)
{
    const char *sign = strrchr(out->name, '@');
    if (sign && at_text(sign + 1, strlen(sign + 1), arena, out)) {
        out->name = arena_strndup(arena, out->name, (size_t)(sign - out->name));
    }
}

/* AT (VERSION => n) and AT (TIMESTAMP => e), DuckDB's spelling */
static Status at_clause(SqlCursor *c, SqlRelation *out, Error *err)
{
    SqlCursor inside = *c;
    inside.end = c->tokens[c->at + 1].match;
    inside.at += 2;
    bool version = cursor_is(&inside, 0, SQL_W_VERSION);
    if ((!version && !cursor_is(&inside, 0, SQL_W_TIMESTAMP)) || !cursor_is_op(&inside, 1, SQL_OP_ARROW)) {
        return cursor_expected(&inside, err, "VERSION => n or TIMESTAMP => moment");
    }
    inside.at += 2;
    Status rc = version ? version_as_of(&inside, out, err) : timestamp_as_of(&inside, out, err);
    if (rc == OK && !cursor_done(&inside)) {
        return cursor_expected(&inside, err, "\")\"");
    }
    c->at = inside.end + 1;
    return rc;
}

/* ---- WATERMARK ---- */

/* True when DELAY OF follows before the relation can have ended. */
static bool is_watermark(const SqlCursor *c)
{
    SqlCursor ahead = *c;
    if (!cursor_accept(&ahead, SQL_W_WATERMARK)) {
        return false;
    }
    for (; !cursor_done(&ahead) && !cursor_is_op(&ahead, 0, ','); cursor_skip(&ahead)) {
        if (cursor_is(&ahead, 0, SQL_W_DELAY) && cursor_is(&ahead, 1, SQL_W_OF)) {
            return true;
        }
        if (sql_ends_from(&ahead) || cursor_is(&ahead, 0, SQL_W_JOIN) || cursor_is(&ahead, 0, SQL_W_ON)) {
            return false;
        }
    }
    return false;
}

/* INTERVAL '10 minutes' | INTERVAL 10 MINUTES | INTERVAL '10' MINUTE */
static Status watermark_delay(SqlCursor *c, SqlRelation *out, Error *err)
{
    size_t from = c->at;
    SqlOption interval = {0};
    if (!cursor_is(c, 0, SQL_W_INTERVAL)) {
        Status rc = cursor_expected(c, err, "INTERVAL behind DELAY OF");
        error_hint(err, "write DELAY OF INTERVAL '10 minutes'");
        return rc;
    }
    Status rc = cursor_literal(c, &interval, err);
    if (rc != OK) {
        return rc;
    }
    int64_t us;
    if (!interval.is_string || !str_parse_interval(interval.value, &us) || us < 0) {
        rc = cursor_error(c, from, c->at, err, "the delay of a watermark must be an interval of zero or more");
        error_hint(err, "write INTERVAL '10 minutes'; months and years have no fixed length");
        return rc;
    }
    out->watermark_delay_us = us;
    return OK;
}

static Status watermark(SqlCursor *c, SqlRelation *out, Error *err)
{
    size_t from = ++c->at;
    Status rc = OK;
    while (!(cursor_is(c, 0, SQL_W_DELAY) && cursor_is(c, 1, SQL_W_OF)) &&
           !(cursor_is(c, 0, SQL_W_AS) && cursor_is(c, 2, SQL_W_DELAY))) {
        cursor_skip(c);
    }
    if (c->at == from) {
        return cursor_expected(c, err, "an expression behind WATERMARK");
    }
    out->watermark_expression = cursor_expression(c, from, c->at);
    if (cursor_accept(c, SQL_W_AS) &&
        (rc = cursor_name(c, SQL_WORD_RESERVED, "a column name", &out->watermark_alias, err)) != OK) {
        return rc;
    }
    if ((rc = cursor_expect(c, SQL_W_DELAY, "behind the column of WATERMARK", err)) != OK ||
        (rc = cursor_expect(c, SQL_W_OF, "behind DELAY", err)) != OK) {
        return rc;
    }
    return watermark_delay(c, out, err);
}

/* ---- clauses ---- */

/* True at WITH (key = ...; other WITHs are DuckDB's. */
static bool is_options(const SqlCursor *c)
{
    if (!cursor_is(c, 0, SQL_W_WITH) || !cursor_is_op(c, 1, '(')) {
        return false;
    }
    size_t at = 3;
    while (cursor_is_op(c, at, '.')) {
        at += 2;
    }
    return cursor_is_op(c, at, '=') || cursor_is_op(c, at, SQL_OP_ARROW) || cursor_is_op(c, 2, ')');
}

/* One clause of ours if it is next. */
static Status accept_clause(SqlCursor *c, SqlRelation *out, bool *found, Error *err)
{
    size_t from = c->at;
    Status rc = OK;
    bool travelled = out->version_as_of || out->timestamp_as_of;
    size_t skip = cursor_is(c, 0, SQL_W_FOR) ? 1 : 0;
    bool as_of = cursor_is(c, skip + 1, SQL_W_AS) && cursor_is(c, skip + 2, SQL_W_OF);
    bool version = as_of && (cursor_is(c, skip, SQL_W_VERSION) || cursor_is(c, skip, SQL_W_SYSTEM_VERSION));
    bool timestamp = as_of && (cursor_is(c, skip, SQL_W_TIMESTAMP) || cursor_is(c, skip, SQL_W_SYSTEM_TIME));
    bool at = cursor_is(c, 0, SQL_W_AT) && cursor_is_op(c, 1, '(');
    *found = true;
    if ((version || timestamp || at) && travelled) {
        return cursor_error(c, from, from + 1, err, "the version of a table stands twice");
    }
    if (version || timestamp) {
        c->at += skip + 3;
        return version ? version_as_of(c, out, err) : timestamp_as_of(c, out, err);
    }
    if (at) {
        return at_clause(c, out, err);
    }
    if (is_options(c)) {
        if (out->options) {
            return cursor_error(c, from, from + 1, err, "the options of a table stand twice");
        }
        c->at++;
        rc = cursor_options(c, &out->options, &out->n_options, err);
    } else if (is_watermark(c)) {
        if (out->watermark_expression) {
            return cursor_error(c, from, from + 1, err, "the watermark of a table stands twice");
        }
        rc = watermark(c, out, err);
    } else {
        *found = false;
    }
    return rc;
}

/* ---- what is named ---- */

static bool is_table_function(const char *name)
{
    for (size_t i = 0; i < N_TABLE_FUNCTIONS; i++) {
        if (strcmp(name, SQL_TABLE_FUNCTIONS[i]) == 0) {
            return true;
        }
    }
    return false;
}

static Status function_relation(SqlCursor *c, SqlRelation *out, SqlRelationClass *class, Error *err)
{
    char *name = sql_token_value(c->text, cursor_peek(c, 0), c->arena);
    str_lower(name);
    if (is_table_function(name)) {
        c->at++;
        out->kind = SQL_RELATION_FUNCTION;
        out->name = name;
        *class = SQL_RELATION_OURS;
        return cursor_arguments(c, &out->arguments, &out->n_arguments, err);
    }
    *class = SQL_RELATION_FOREIGN;
    if (!out->stream) {
        return OK;
    }
    Status rc = cursor_error(c, c->at, c->at + 1, err, "%.100s() cannot be read as a stream", name);
    const char *nearest = error_nearest(name, SQL_TABLE_FUNCTIONS, N_TABLE_FUNCTIONS);
    bool file = str_starts(name, "read_") || str_ends(name, "_scan");
    if (nearest || file) {
        error_hint(err, "did you mean %s(...)?", nearest ? nearest : "read_files");
    }
    return rc;
}

static Status named_relation(SqlCursor *c, SqlRelation *out, SqlRelationClass *class, Error *err)
{
    size_t from = c->at, parts = 1;
    bool quoted = false;
    out->name = sql_token_value(c->text, cursor_peek(c, 0), c->arena);
    c->at++;
    for (; cursor_is_op(c, 0, '.') && sql_token_is_name(cursor_peek(c, 1), SQL_WORD_RESERVED); parts++) {
        out->schema = out->name;
        quoted = cursor_peek(c, 1)->kind == SQL_TOKEN_NAME;
        out->name = sql_token_value(c->text, cursor_peek(c, 1), c->arena);
        c->at += 2;
    }
    *class = parts > 2 || cursor_is_op(c, 0, '(') ? SQL_RELATION_FOREIGN : SQL_RELATION_PLAIN;
    if (parts == 2 && quoted && str_ieq(out->schema, "delta")) {
        out->schema = NULL;
        out->kind = SQL_RELATION_PATH;
        *class = SQL_RELATION_OURS;
        split_path(c->arena, out);
        if (!*out->name) {
            return cursor_error(c, from, c->at, err, "the place of the table is empty");
        }
    }
    if (*class == SQL_RELATION_FOREIGN && out->stream) {
        Status rc = cursor_error(c, from, c->at, err, "a name has at most two parts");
        error_hint(err, "the warehouse is chosen by --warehouse: write schema.table");
        return rc;
    }
    return *class == SQL_RELATION_FOREIGN ? OK : accept_at(c, out, err);
}

/* Name, path or function with the clauses behind it. */
static Status core_relation(SqlCursor *c, SqlRelation *out, SqlRelationClass *class, Error *err)
{
    const SqlToken *token = cursor_peek(c, 0);
    bool call = cursor_is_op(c, 1, '(') && sql_token_is_name(token, SQL_WORD_FUNCTION);
    Status rc = OK;
    *class = SQL_RELATION_FOREIGN;
    if (!call && !sql_token_is_name(token, SQL_WORD_COLUMN) && !cursor_is_default_schema(c)) {
        return out->stream ? cursor_expected(c, err, "a table or function behind STREAM") : OK;
    }
    rc = call ? function_relation(c, out, class, err) : named_relation(c, out, class, err);
    if (rc != OK || *class == SQL_RELATION_FOREIGN) {
        return rc;
    }
    for (bool found = true; found;) {
        size_t from = c->at;
        if ((rc = accept_clause(c, out, &found, err)) != OK) {
            return rc;
        }
        bool travels = found && (out->version_as_of || out->timestamp_as_of);
        if (travels && out->kind == SQL_RELATION_FUNCTION) {
            return cursor_error(c, from, c->at, err, "%s() has no versions", out->name);
        }
    }
    if (out->stream || out->options || out->watermark_expression || out->version_as_of || out->timestamp_as_of) {
        *class = SQL_RELATION_OURS;
    }
    return OK;
}

static Status check_stream_version(const SqlCursor *c, size_t from, const SqlRelation *relation, Error *err)
{
    if (!relation->stream || (!relation->version_as_of && !relation->timestamp_as_of)) {
        return OK;
    }
    Status rc = cursor_error(c, from, c->at, err, "a stream has no single version");
    error_hint(err, "to say where it starts, write WITH (startingVersion = n) or WITH (startingTimestamp = '...')");
    return rc;
}

Status sql_parse_relation(SqlCursor *c, SqlRelation *out, SqlRelationClass *class, Error *err)
{
    SqlCursor ahead = *c;
    SqlRelation relation = {.stream = sql_is_stream(c)};
    Status rc;
    ahead.at += relation.stream ? 1 : 0;
    if (relation.stream && cursor_is_op(&ahead, 0, '(')) {
        SqlCursor inside = ahead;
        inside.end = ahead.tokens[ahead.at].match;
        inside.at++;
        if ((rc = core_relation(&inside, &relation, class, err)) != OK) {
            return rc;
        }
        if (!cursor_done(&inside)) {
            return cursor_expected(&inside, err, "\")\" behind the relation of STREAM");
        }
        ahead.at = inside.end + 1;
        for (bool found = true; found;) {
            if ((rc = accept_clause(&ahead, &relation, &found, err)) != OK) {
                return rc;
            }
        }
    } else if ((rc = core_relation(&ahead, &relation, class, err)) != OK) {
        return rc;
    }
    if (*class == SQL_RELATION_FOREIGN) {
        return OK;
    }
    if ((rc = check_stream_version(&ahead, c->at, &relation, err)) != OK) {
        return rc;
    }
    relation.span = cursor_span(c, c->at, ahead.at);
    *c = ahead;
    *out = relation;
    return OK;
}
