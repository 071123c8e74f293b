/* Rewriting: one walk over the tokens of a statement that follows brackets, WITH and FROM.
 *
 * FROM is a clause wherever it stands outside EXTRACT, SUBSTRING, TRIM and OVERLAY and not behind IS [NOT] DISTINCT;
 * all other knowledge of expressions is unnecessary. Common table expressions are visible to the end of the brackets
 * they stand in, and inside themselves only when recursive. Names of columns qualified by schema and table are looked
 * at last, when all relations are known.
 */
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "sql/query_int.h"

/* What rewriting knows of a relation beyond the relation itself. */
typedef struct Found {
    size_t from_list;   /* relations of one FROM share it */
    bool alias_written; /* the user gave one */
} Found;

typedef struct Rewriter {
    SqlQuery *query;
    const SqlToken *tokens;
    SqlResolver resolver;
    void *context;
    Map *resolved;     /* "schema.name" in lower case -> (void *)1 or 2: no, yes */
    SqlList edits;     /* SqlPiece */
    SqlList relations; /* SqlRelation */
    SqlList found;     /* Found, one a relation */
    SqlList ctes;      /* const char *: visible now, innermost last */
    SqlList qualified; /* size_t: tokens where name.name.something stands */
    size_t from_lists;
    const char *prefix; /* of placeholders */
} Rewriter;

static Status scan_query(Rewriter *r, SqlCursor *c, Error *err);
static Status scan_describe(Rewriter *r, SqlCursor *c, Error *err);
static Status scan_from(Rewriter *r, SqlCursor *c, Error *err);

/* ---- edits ---- */

static void add_edit(Rewriter *r, SqlSpan source, const char *text)
{
    size_t order = r->edits.count;
    *(SqlPiece *)sql_list_add(&r->edits) = (SqlPiece){
        .kind = SQL_PIECE_EDIT, .source = source, .data = text, .length = strlen(text), .order = order};
}

static const char *quoted_name(const Rewriter *r, const char *name)
{
    Text text = TEXT(SQL_TEXT_MAX);
    text_append_sql_name(&text, name);
    const char *copy = arena_strdup(r->query->arena, text_str(&text));
    text_free(&text);
    return copy;
}

/* ---- single tokens ---- */

/* Steps over one token that is no bracket: names that DuckDB spells differently are edited. */
static void scan_token(Rewriter *r, SqlCursor *c)
{
    const SqlToken *token = cursor_peek(c, 0);
    SqlSpan span = {token->begin, token->end};
    bool name = sql_token_is_name(token, SQL_WORD_COLUMN);
    if (token->kind == SQL_TOKEN_NAME && c->text->data[token->begin] == '`') {
        add_edit(r, span, quoted_name(r, sql_token_value(c->text, token, c->arena)));
    } else if (sql_token_is_word(token, SQL_W_WINDOW) && !sql_is_window_clause(c)) {
        add_edit(r, span, "\"window\"");
    }
    bool qualifies = name && cursor_is_op(c, 1, '.') && sql_token_is_name(cursor_peek(c, 2), SQL_WORD_RESERVED) &&
                     cursor_is_op(c, 3, '.');
    if (qualifies && (c->at == 0 || !sql_token_is_op(&c->tokens[c->at - 1], '.'))) {
        *(size_t *)sql_list_add(&r->qualified) = c->at;
    }
    c->at++;
}

static bool starts_relation(const SqlCursor *c)
{
    return sql_is_stream(c) || sql_token_is_name(cursor_peek(c, 0), SQL_WORD_FUNCTION) || cursor_is_default_schema(c);
}

/* The cursor over what stands between the brackets at c. */
static SqlCursor inside_of(const SqlCursor *c)
{
    SqlCursor inside = *c;
    inside.end = c->tokens[c->at].match;
    inside.at++;
    return inside;
}

/* Inside EXTRACT(...) and its kin FROM is a part of the call. */
static bool is_from_call(const SqlCursor *c)
{
    static const SqlWord CALLS[] = {SQL_W_EXTRACT, SQL_W_SUBSTRING, SQL_W_TRIM, SQL_W_OVERLAY};
    for (size_t i = 0; c->at > 0 && i < sizeof CALLS / sizeof *CALLS; i++) {
        if (sql_token_is_word(&c->tokens[c->at - 1], CALLS[i])) {
            return true;
        }
    }
    return false;
}

static bool is_describe(const SqlCursor *c)
{
    return cursor_is(c, 0, SQL_W_SUMMARIZE) || cursor_is(c, 0, SQL_W_DESCRIBE) || cursor_is(c, 0, SQL_W_DESC) ||
           cursor_is(c, 0, SQL_W_SHOW);
}

/* Steps over a bracket and what it holds. */
static Status scan_group(Rewriter *r, SqlCursor *c, Error *err)
{
    SqlCursor inside = inside_of(c);
    size_t visible = r->ctes.count;
    Status rc = OK;
    if (is_from_call(c)) {
        while (rc == OK && !cursor_done(&inside)) {
            if (inside.tokens[inside.at].match > inside.at) {
                rc = scan_group(r, &inside, err);
            } else {
                scan_token(r, &inside);
            }
        }
    } else {
        rc = is_describe(&inside) ? scan_describe(r, &inside, err) : scan_query(r, &inside, err);
    }
    r->ctes.count = visible;
    c->at = inside.end + 1;
    return rc;
}

static Status scan_one(Rewriter *r, SqlCursor *c, Error *err)
{
    if (c->tokens[c->at].match > c->at) {
        return scan_group(r, c, err);
    }
    scan_token(r, c);
    return OK;
}

static Status too_many(const SqlCursor *c, const char *what, Error *err)
{
    Status rc = error_set(err, E_LIMIT, "a query has more than %d %s", SQL_RELATIONS_MAX, what);
    sql_error_place(err, c->text, cursor_span(c, c->at, c->at));
    return rc;
}

/* ---- WITH ---- */

/* True when WITH at the cursor begins common table expressions: name ... AS [NOT] [MATERIALIZED] ( */
static bool is_with_clause(const SqlCursor *c)
{
    SqlCursor ahead = *c;
    if (!cursor_accept(&ahead, SQL_W_WITH)) {
        return false;
    }
    if (cursor_accept(&ahead, SQL_W_RECURSIVE) && !sql_token_is_name(cursor_peek(&ahead, 0), SQL_WORD_COLUMN)) {
        return false;
    }
    if (!sql_token_is_name(cursor_peek(&ahead, 0), SQL_WORD_COLUMN)) {
        return false;
    }
    ahead.at++;
    while (cursor_is_op(&ahead, 0, '(') || cursor_accept(&ahead, SQL_W_USING)) {
        cursor_skip(&ahead);
    }
    if (!cursor_accept(&ahead, SQL_W_AS)) {
        return false;
    }
    (void)cursor_accept(&ahead, SQL_W_NOT);
    (void)cursor_accept(&ahead, SQL_W_MATERIALIZED);
    return cursor_is_op(&ahead, 0, '(');
}

static Status add_cte(Rewriter *r, const SqlCursor *c, const char *name, Error *err)
{
    if (r->ctes.count == SQL_RELATIONS_MAX) {
        return too_many(c, "common table expressions", err);
    }
    *(const char **)sql_list_add(&r->ctes) = name;
    return OK;
}

static bool is_cte(const Rewriter *r, const char *name)
{
    for (size_t i = 0; i < r->ctes.count; i++) {
        if (str_ieq(((const char **)r->ctes.items)[i], name)) {
            return true;
        }
    }
    return false;
}

/* From WITH to the query behind it. Names stay visible for the caller to take back. */
static Status scan_with(Rewriter *r, SqlCursor *c, Error *err)
{
    scan_token(r, c);
    bool recursive = cursor_accept(c, SQL_W_RECURSIVE);
    for (;;) {
        if (!sql_token_is_name(cursor_peek(c, 0), SQL_WORD_COLUMN)) {
            return OK; /* DuckDB says what is wrong */
        }
        const char *name = sql_token_value(c->text, cursor_peek(c, 0), c->arena);
        Status rc = recursive ? add_cte(r, c, name, err) : OK;
        while (rc == OK && !cursor_done(c) && !cursor_is(c, 0, SQL_W_AS)) {
            rc = scan_one(r, c, err);
        }
        while (rc == OK && !cursor_done(c) && !cursor_is_op(c, 0, '(')) {
            scan_token(r, c);
        }
        if (rc == OK && !cursor_done(c)) {
            rc = scan_group(r, c, err);
        }
        if (rc == OK && !recursive) {
            rc = add_cte(r, c, name, err);
        }
        if (rc != OK || !cursor_is_op(c, 0, ',')) {
            return rc;
        }
        scan_token(r, c);
    }
}

/* ---- relations ---- */

static bool resolve(Rewriter *r, const SqlRelation *relation)
{
    if (!r->resolver) {
        return false;
    }
    char *key = arena_printf(r->query->arena, "%s.%s", relation->schema ? relation->schema : "", relation->name);
    str_lower(key);
    if (!map_has(r->resolved, key)) {
        bool ours = r->resolver(r->context, relation->schema, relation->name);
        map_put(r->resolved, key, ours ? (void *)r : NULL);
    }
    return map_get(r->resolved, key) != NULL;
}

/* Tells whether the relation is ours. A common table expression is not, and cannot be read as a stream. */
static Status decide(Rewriter *r, const SqlCursor *c, const SqlRelation *relation, SqlRelationClass class, bool *ours,
                     Error *err)
{
    *ours = class == SQL_RELATION_OURS;
    if (class == SQL_RELATION_FOREIGN || relation->kind != SQL_RELATION_NAME) {
        return OK;
    }
    bool cte = !relation->schema && is_cte(r, relation->name);
    if (cte && *ours) {
        Status rc = error_set(err, E_SQL_PARSE, "\"%s\" is a common table expression, not a table", relation->name);
        sql_error_place(err, c->text, relation->span);
        error_hint(err, "STREAM, WITH, WATERMARK and time travel belong to the tables it reads");
        return rc;
    }
    *ours = *ours || (!cte && resolve(r, relation));
    return OK;
}

/* What qualified columns use when the user gave no alias: the last part of the name. */
static const char *implicit_alias(const Rewriter *r, const SqlRelation *relation, size_t from_list)
{
    const char *name = relation->name;
    if (relation->kind == SQL_RELATION_PATH) {
        size_t n = strlen(name);
        while (n > 1 && name[n - 1] == '/') {
            n--;
        }
        const char *trimmed = arena_strndup(r->query->arena, name, n), *slash = strrchr(trimmed, '/');
        return slash && slash[1] ? slash + 1 : trimmed;
    }
    /* a.t and b.t in one FROM cannot both be t */
    const SqlRelation *others = r->relations.items;
    const Found *found = r->found.items;
    for (size_t i = 0; relation->schema && i < r->found.count; i++) {
        if (found[i].from_list == from_list && str_ieq(others[i].alias, name)) {
            return arena_printf(r->query->arena, "%s.%s", relation->schema, name);
        }
    }
    return name;
}

/* Takes a relation of ours into the query: placeholder, alias, edits. `prefix_alias` is that of `alias: relation`. */
static void add_relation(Rewriter *r, SqlCursor *c, SqlRelation *relation, const char *prefix_alias, size_t from_list)
{
    const SqlToken *behind = cursor_peek(c, 0), *name = cursor_is(c, 0, SQL_W_AS) ? cursor_peek(c, 1) : behind;
    bool has_as = cursor_is(c, 0, SQL_W_AS);
    bool alias = !prefix_alias && sql_token_is_name(name, has_as ? SQL_WORD_RESERVED : SQL_WORD_COLUMN);
    if (!has_as && !prefix_alias && sql_token_is_word(name, SQL_W_WINDOW) && !sql_is_window_clause(c)) {
        alias = true;
    }
    if (prefix_alias) {
        relation->alias = prefix_alias;
    } else if (alias) {
        relation->alias = sql_token_value(c->text, name, c->arena);
    } else {
        relation->alias = implicit_alias(r, relation, from_list);
    }
    relation->placeholder = arena_printf(r->query->arena, "%s%zu", r->prefix, r->relations.count);

    SqlPiece *piece = sql_list_add(&r->edits);
    *piece = (SqlPiece){.kind = SQL_PIECE_RELATION,
                        .source = relation->span,
                        .data = relation->placeholder,
                        .length = strlen(relation->placeholder),
                        .relation = r->relations.count};
    if (!alias && !prefix_alias) {
        add_edit(r, (SqlSpan){relation->span.end, relation->span.end},
                 arena_printf(r->query->arena, " AS %s", quoted_name(r, relation->alias)));
    }
    *(SqlRelation *)sql_list_add(&r->relations) = *relation;
    *(Found *)sql_list_add(&r->found) = (Found){.from_list = from_list, .alias_written = alias || prefix_alias};
}

/* A relation and its clauses, up to its alias. *ours says whether it was one of ours; if not, its tokens are scanned.
 */
static Status scan_relation(Rewriter *r, SqlCursor *c, const char *prefix_alias, size_t from_list, bool *ours,
                            Error *err)
{
    SqlRelation relation = {0};
    SqlRelationClass class;
    SqlCursor ahead = *c;
    Status rc = sql_parse_relation(&ahead, &relation, &class, err);
    if (rc != OK || (rc = decide(r, c, &relation, class, ours, err)) != OK) {
        return rc;
    }
    if (*ours && r->relations.count == SQL_RELATIONS_MAX) {
        return too_many(c, "tables", err);
    }
    if (*ours) {
        *c = ahead;
        add_relation(r, c, &relation, prefix_alias, from_list);
        return OK;
    }
    /* the parts of a foreign name are no qualified column */
    size_t qualified = r->qualified.count;
    scan_token(r, c);
    while (cursor_is_op(c, 0, '.')) {
        scan_token(r, c);
        if (!cursor_done(c) && c->tokens[c->at].match == c->at) {
            scan_token(r, c);
        }
    }
    r->qualified.count = qualified;
    return OK;
}

/* ---- FROM ---- */

/* ( query ) or ( joined tables ) */
static Status scan_parenthesised(Rewriter *r, SqlCursor *c, Error *err)
{
    SqlCursor inside = inside_of(c);
    Status rc = OK;
    if (sql_starts_query(&inside)) {
        return scan_group(r, c, err);
    }
    size_t visible = r->ctes.count;
    if (!cursor_done(&inside)) {
        rc = scan_from(r, &inside, err);
    }
    if (rc == OK) {
        rc = scan_query(r, &inside, err);
    }
    r->ctes.count = visible;
    c->at = inside.end + 1;
    return rc;
}

static Status refuse_watermark(const SqlCursor *c, Error *err)
{
    if (!cursor_is(c, 0, SQL_W_WATERMARK) || cursor_peek(c, 1)->kind == SQL_TOKEN_END) {
        return OK;
    }
    for (size_t i = 1; cursor_peek(c, i)->kind == SQL_TOKEN_WORD || cursor_is_op(c, i, '.'); i++) {
        if (cursor_is(c, i, SQL_W_DELAY) && cursor_is(c, i + 1, SQL_W_OF)) {
            Status rc = cursor_error(c, c->at, c->at + 1, err, "WATERMARK stands behind a sub-query");
            error_hint(err, "write it inside, behind the table that is read as a stream");
            return rc;
        }
    }
    return OK;
}

/* VALUES (...), (...): its commas are not those of FROM. */
static Status scan_values(Rewriter *r, SqlCursor *c, Error *err)
{
    Status rc = OK;
    scan_token(r, c);
    while (rc == OK && cursor_is_op(c, 0, '(')) {
        rc = scan_group(r, c, err);
        if (cursor_is_op(c, 0, ',') && cursor_is_op(c, 1, '(')) {
            scan_token(r, c);
        }
    }
    return rc;
}

static Status scan_table(Rewriter *r, SqlCursor *c, size_t from_list, Error *err)
{
    const char *prefix_alias = NULL;
    bool ours;
    if (cursor_is(c, 0, SQL_W_LATERAL)) {
        scan_token(r, c);
    }
    if (sql_token_is_name(cursor_peek(c, 0), SQL_WORD_COLUMN) && cursor_is_op(c, 1, ':')) {
        prefix_alias = sql_token_value(c->text, cursor_peek(c, 0), c->arena);
        scan_token(r, c);
        scan_token(r, c);
    }
    if (cursor_is_op(c, 0, '(')) {
        Status rc = scan_parenthesised(r, c, err);
        return rc == OK ? refuse_watermark(c, err) : rc;
    }
    if (cursor_is(c, 0, SQL_W_VALUES)) {
        return scan_values(r, c, err);
    }
    if (starts_relation(c)) {
        return scan_relation(r, c, prefix_alias, from_list, &ours, err);
    }
    return OK;
}

/* LEFT JOIN, ASOF LEFT JOIN, NATURAL FULL OUTER JOIN, ...: the number of words up to JOIN, or 0. */
static size_t join_words(const SqlCursor *c)
{
    enum { JOIN_WORDS_MAX = 8 };
    static const SqlWord WORDS[] = {SQL_W_INNER,   SQL_W_LEFT, SQL_W_RIGHT, SQL_W_FULL, SQL_W_OUTER,     SQL_W_CROSS,
                                    SQL_W_NATURAL, SQL_W_SEMI, SQL_W_ANTI,  SQL_W_ASOF, SQL_W_POSITIONAL};
    size_t n = 0;
    for (bool more = true; more && n < JOIN_WORDS_MAX; n += more) {
        more = false;
        for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
            more = more || cursor_is(c, n, WORDS[i]);
        }
    }
    return cursor_is(c, n, SQL_W_JOIN) ? n + 1 : 0;
}

/* The tables of a FROM clause with their joins and conditions, up to the next clause. */
static Status scan_from(Rewriter *r, SqlCursor *c, Error *err)
{
    size_t from_list = ++r->from_lists;
    Status rc = scan_table(r, c, from_list, err);
    while (rc == OK && !cursor_done(c)) {
        size_t join = join_words(c);
        bool distinct_from = cursor_is(c, 0, SQL_W_DISTINCT) && cursor_is(c, 1, SQL_W_FROM);
        if (!join && !cursor_is_op(c, 0, ',')) {
            if (sql_ends_from(c)) {
                return OK;
            }
            rc = scan_one(r, c, err);
            if (distinct_from) {
                scan_token(r, c);
            }
            continue;
        }
        c->at += join ? join : 1;
        rc = scan_table(r, c, from_list, err);
    }
    return rc;
}

/* ---- statements ---- */

static bool is_distinct_from(const SqlCursor *c)
{
    return cursor_is(c, 0, SQL_W_FROM) && c->at > 1 && sql_token_is_word(&c->tokens[c->at - 1], SQL_W_DISTINCT) &&
           (sql_token_is_word(&c->tokens[c->at - 2], SQL_W_IS) || sql_token_is_word(&c->tokens[c->at - 2], SQL_W_NOT));
}

/* True where a query starts inside a statement: at its beginning or behind a set operation or AS. */
static bool at_query_start(const SqlCursor *c, size_t begin)
{
    static const SqlWord BEFORE[] = {SQL_W_UNION, SQL_W_ALL, SQL_W_INTERSECT, SQL_W_EXCEPT, SQL_W_AS, SQL_W_NAME};
    if (c->at == begin) {
        return true;
    }
    for (size_t i = 0; i < sizeof BEFORE / sizeof *BEFORE; i++) {
        if (sql_token_is_word(&c->tokens[c->at - 1], BEFORE[i])) {
            return true;
        }
    }
    return false;
}

/* TABLE t is FROM t: the only spelling that takes an alias or a sub-query. */
static Status scan_table_word(Rewriter *r, SqlCursor *c, const char *replacement, Error *err)
{
    SqlSpan span = cursor_span(c, c->at, c->at + 1);
    bool ours = false;
    scan_token(r, c);
    if (!sql_token_is_name(cursor_peek(c, 0), SQL_WORD_COLUMN)) {
        return OK;
    }
    Status rc = scan_relation(r, c, NULL, ++r->from_lists, &ours, err);
    if (rc == OK && ours) {
        add_edit(r, span, replacement);
    }
    return rc;
}

/* Everything up to the end of the brackets: queries, and whatever else a statement has around them. */
static Status scan_query(Rewriter *r, SqlCursor *c, Error *err)
{
    size_t begin = c->at;
    Status rc = OK;
    while (rc == OK && !cursor_done(c)) {
        bool pivot = cursor_is(c, 0, SQL_W_PIVOT) || cursor_is(c, 0, SQL_W_UNPIVOT) ||
                     cursor_is(c, 0, SQL_W_PIVOT_WIDER) || cursor_is(c, 0, SQL_W_PIVOT_LONGER);
        if (cursor_is(c, 0, SQL_W_WITH) && is_with_clause(c)) {
            rc = scan_with(r, c, err);
            begin = c->at;
        } else if (cursor_is(c, 0, SQL_W_FROM) && !is_distinct_from(c)) {
            scan_token(r, c);
            rc = scan_from(r, c, err);
        } else if (cursor_is(c, 0, SQL_W_TABLE) && at_query_start(c, begin)) {
            rc = scan_table_word(r, c, "FROM", err);
        } else if (pivot && at_query_start(c, begin)) {
            scan_token(r, c);
            rc = scan_table(r, c, ++r->from_lists, err);
        } else {
            rc = scan_one(r, c, err);
        }
    }
    return rc;
}

/* SUMMARIZE t, DESCRIBE [TABLE] t, SHOW t */
static Status scan_describe(Rewriter *r, SqlCursor *c, Error *err)
{
    SqlSpan word = cursor_span(c, c->at, c->at + 1);
    bool show = cursor_is(c, 0, SQL_W_SHOW), ours = false;
    if (cursor_is(c, 1, SQL_W_TABLE)) {
        word = cursor_span(c, c->at, c->at + 2);
    }
    const char *head = cursor_is(c, 0, SQL_W_SUMMARIZE) ? "SUMMARIZE FROM" : "DESCRIBE FROM";
    c->at += cursor_is(c, 1, SQL_W_TABLE) ? 2 : 1;
    Status rc = OK;
    if (!sql_starts_query(c) && starts_relation(c)) {
        rc = scan_relation(r, c, NULL, ++r->from_lists, &ours, err);
    } else if (!show) {
        rc = scan_query(r, c, err);
    }
    if (ours) {
        add_edit(r, word, head);
    }
    while (rc == OK && !cursor_done(c)) {
        scan_token(r, c);
    }
    return rc;
}

/* COPY t [(columns)] TO ...: a table of ours is copied by a query. COPY t FROM writes to a table of DuckDB's. */
static Status scan_copy(Rewriter *r, SqlCursor *c, Error *err)
{
    Status rc = OK;
    bool ours = false;
    scan_token(r, c);
    if (cursor_is_op(c, 0, '(')) {
        return scan_query(r, c, err);
    }
    SqlCursor name = *c;
    name.end = c->at;
    while (name.end < c->end && !sql_token_is_op(&c->tokens[name.end], '(') &&
           !sql_token_is_word(&c->tokens[name.end], SQL_W_TO) && !sql_token_is_word(&c->tokens[name.end], SQL_W_FROM)) {
        name.end++;
    }
    SqlCursor behind = *c;
    behind.at = name.end;
    bool columns = cursor_is_op(&behind, 0, '(');
    SqlSpan list = columns ? cursor_span(c, name.end, c->tokens[name.end].match + 1) : (SqlSpan){0};
    if (columns) {
        cursor_skip(&behind);
    }
    if (name.end > c->at && cursor_is(&behind, 0, SQL_W_TO)) {
        size_t begin = c->tokens[c->at].begin;
        if ((rc = scan_relation(r, &name, NULL, ++r->from_lists, &ours, err)) != OK) {
            return rc;
        }
        c->at = ours ? behind.at : name.at;
        if (ours && columns) {
            add_edit(r, (SqlSpan){begin, begin},
                     arena_printf(r->query->arena, "(SELECT %.*s FROM ", (int)(list.end - list.begin - 2),
                                  c->text->data + list.begin + 1));
            add_edit(r, list, ")");
        } else if (ours) {
            size_t end = c->tokens[name.end - 1].end;
            add_edit(r, (SqlSpan){begin, begin}, "(FROM ");
            add_edit(r, (SqlSpan){end, end}, ")");
        }
        return scan_query(r, c, err);
    }
    while (!cursor_done(c)) {
        scan_token(r, c);
    }
    return OK;
}

/* DELETE FROM t USING ..., MERGE INTO t USING s ON ...: the target is DuckDB's, what stands behind USING may be ours.
 */
static Status scan_target(Rewriter *r, SqlCursor *c, Error *err)
{
    bool merge = cursor_is(c, 0, SQL_W_MERGE);
    Status rc = OK;
    scan_token(r, c);
    while (merge && !cursor_done(c) && !cursor_is(c, 0, SQL_W_INTO)) { /* WITH SCHEMA EVOLUTION */
        scan_token(r, c);
    }
    if (!cursor_done(c)) {
        scan_token(r, c);
    }
    while (rc == OK && !cursor_done(c) && !cursor_is(c, 0, SQL_W_USING) && !cursor_is(c, 0, SQL_W_WHERE)) {
        rc = scan_one(r, c, err);
    }
    if (rc != OK || !cursor_is(c, 0, SQL_W_USING)) {
        return rc == OK ? scan_query(r, c, err) : rc;
    }
    scan_token(r, c);
    rc = merge ? scan_table(r, c, ++r->from_lists, err) : scan_from(r, c, err);
    return rc == OK ? scan_query(r, c, err) : rc;
}

/* Statements without any relation: only quotes are changed. */
static bool has_no_relation(const SqlCursor *c)
{
    static const SqlWord WORDS[] = {SQL_W_INSTALL, SQL_W_FORCE,  SQL_W_LOAD, SQL_W_ATTACH, SQL_W_DETACH,  SQL_W_USE,
                                    SQL_W_EXPORT,  SQL_W_IMPORT, SQL_W_DROP, SQL_W_ALTER,  SQL_W_TRUNCATE};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (cursor_is(c, 0, WORDS[i])) {
            return true;
        }
    }
    return false;
}

/* A whole statement. */
static Status scan_statement(Rewriter *r, SqlCursor *c, Error *err)
{
    Status rc = OK;
    if (cursor_is(c, 0, SQL_W_EXPLAIN)) {
        scan_token(r, c);
        while (rc == OK && (cursor_is(c, 0, SQL_W_ANALYZE) || cursor_is(c, 0, SQL_W_VERBOSE))) {
            scan_token(r, c);
        }
        if (cursor_is_op(c, 0, '(') &&
            !sql_starts_query(&(SqlCursor){.tokens = c->tokens, .at = c->at + 1, .end = c->end})) {
            rc = scan_group(r, c, err);
        }
        return rc == OK ? scan_statement(r, c, err) : rc;
    }
    if (is_describe(c)) {
        return scan_describe(r, c, err);
    }
    if (cursor_is(c, 0, SQL_W_COPY)) {
        return scan_copy(r, c, err);
    }
    if (cursor_is(c, 0, SQL_W_DELETE) || cursor_is(c, 0, SQL_W_MERGE)) {
        return scan_target(r, c, err);
    }
    if (!has_no_relation(c)) {
        return scan_query(r, c, err);
    }
    while (!cursor_done(c)) {
        scan_token(r, c);
    }
    return OK;
}

/* ---- the whole ---- */

/* schema.table.column becomes alias.column where exactly one relation without written alias has that name. */
static void edit_qualified(Rewriter *r, const SqlCursor *c)
{
    const SqlRelation *relations = r->relations.items;
    const Found *found = r->found.items;
    for (size_t i = 0; i < r->qualified.count; i++) {
        size_t at = ((const size_t *)r->qualified.items)[i];
        const char *schema = sql_token_value(c->text, &r->tokens[at], c->arena);
        const char *name = sql_token_value(c->text, &r->tokens[at + 2], c->arena);
        const char *alias = NULL;
        bool hidden = false;
        for (size_t k = 0; k < r->relations.count; k++) {
            hidden = hidden || str_ieq(relations[k].alias, schema);
            bool same = relations[k].kind == SQL_RELATION_NAME && relations[k].schema && !found[k].alias_written &&
                        str_ieq(relations[k].schema, schema) && str_ieq(relations[k].name, name);
            alias = same ? relations[k].alias : alias;
        }
        if (alias && !hidden) {
            add_edit(r, (SqlSpan){r->tokens[at].begin, r->tokens[at + 2].end}, quoted_name(r, alias));
        }
    }
}

/* A prefix for placeholders that the text does not contain. */
static const char *choose_prefix(const SqlQuery *query)
{
    const char *prefix = "freshet_relation_", *data = query->text.data + query->span.begin;
    while (memmem(data, query->span.end - query->span.begin, prefix, strlen(prefix))) {
        prefix = arena_printf(query->arena, "%s_", prefix);
    }
    return prefix;
}

static void rewriter_fini(Rewriter *r)
{
    map_free(r->resolved, NULL);
    sql_list_fini(&r->edits);
    sql_list_fini(&r->relations);
    sql_list_fini(&r->found);
    sql_list_fini(&r->ctes);
    sql_list_fini(&r->qualified);
}

Status sql_query_rewrite(const SqlText *text, SqlSpan span, SqlResolver resolver, void *context, SqlQuery **out,
                         Error *err)
{
    Arena *arena = arena_new();
    SqlQuery *query = arena_alloc(arena, sizeof *query);
    *query = (SqlQuery){.arena = arena, .text = *text, .span = span};
    SqlTokens tokens = {0};
    Rewriter r = {
        .query = query,
        .resolver = resolver,
        .context = context,
        .resolved = map_new(),
        .edits = SQL_LIST(SqlPiece),
        .relations = SQL_LIST(SqlRelation),
        .found = SQL_LIST(Found),
        .ctes = SQL_LIST(const char *),
        .qualified = SQL_LIST(size_t),
        .prefix = choose_prefix(query),
    };
    Status rc = OK;
    TRY(sql_lex(text, span, &tokens, err));
    while (tokens.count && sql_token_is_op(&tokens.items[tokens.count - 1], ';')) {
        tokens.count--;
    }
    /* no comment at the end: it would swallow what a caller puts behind the text */
    query->span.end = tokens.count ? tokens.items[tokens.count - 1].end : span.begin;
    r.tokens = tokens.items;
    SqlCursor c = {.text = &query->text, .tokens = tokens.items, .end = tokens.count, .arena = arena};
    TRY(scan_statement(&r, &c, err));
    edit_qualified(&r, &c);
    query->relations = sql_list_take(&r.relations, arena, &query->n_relations);
    query->edits = sql_list_take(&r.edits, arena, &query->n_edits);
    sql_apply_edits(query, &tokens);
    *out = query;
out:
    if (rc != OK) {
        arena_free(arena);
    }
    rewriter_fini(&r);
    sql_tokens_fini(&tokens);
    return rc;
}
