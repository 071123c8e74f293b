/* The clauses that CREATE statements share. One table says which statement knows which clause. */
#include "sql/statement_int.h"

enum {
    ON_STREAMING = 1U << SQL_CREATE_STREAMING_TABLE,
    ON_VIEW = 1U << SQL_CREATE_MATERIALIZED_VIEW,
    ON_TEMPORARY = 1U << SQL_CREATE_TEMPORARY_VIEW,
    ON_FLOW = 1U << SQL_CREATE_FLOW,
    ON_SINK = 1U << SQL_CREATE_SINK,
    ON_TABLE = 1U << SQL_CREATE_TABLE,
    ON_STORED = ON_STREAMING | ON_VIEW | ON_TABLE,
};

static Status partitioned_by(SqlCursor *c, SqlStatement *out, Error *err)
{
    Status rc = cursor_name_list(c, "a column name", &out->partitioned_by, &out->n_partitioned_by, err);
    if (rc != OK) {
        error_hint(err, "PARTITIONED BY takes names of columns; for a transform add a generated column");
    }
    return rc;
}

static Status cluster_by(SqlCursor *c, SqlStatement *out, Error *err)
{
    return cursor_name_list(c, "a column name", &out->cluster_by, &out->n_cluster_by, err);
}

static Status comment(SqlCursor *c, SqlStatement *out, Error *err)
{
    return cursor_string(c, "the comment as a string", &out->comment, err);
}

static Status location(SqlCursor *c, SqlStatement *out, Error *err)
{
    out->location_span = cursor_span(c, c->at, c->at + 1);
    Status rc = cursor_string(c, "the location as a string", &out->location, err);
    if (rc == OK && !*out->location) {
        return cursor_error(c, c->at - 1, c->at, err, "the location is empty");
    }
    return rc;
}

static Status properties(SqlCursor *c, SqlStatement *out, Error *err)
{
    return cursor_options(c, &out->properties, &out->n_properties, err);
}

static Status options(SqlCursor *c, SqlStatement *out, Error *err)
{
    return cursor_options(c, &out->options, &out->n_options, err);
}

static Status using_format(SqlCursor *c, SqlStatement *out, Error *err)
{
    const char *name;
    Status rc = cursor_name(c, SQL_WORD_COLUMN, "a format", &name, err);
    if (rc != OK) {
        return rc;
    }
    char *format = arena_strdup(c->arena, name);
    str_lower(format);
    if (out->kind != SQL_CREATE_SINK && !str_ieq(format, "delta")) {
        rc = cursor_error(c, c->at - 1, c->at, err, "tables are stored as Delta, not as \"%.100s\"", name);
        error_hint(err, "leave USING out, or write COPY ... TO ... for other formats");
        return rc;
    }
    out->format = format;
    return OK;
}

typedef struct Clause {
    SqlWord first, second; /* second: SQL_W_OTHER when it is one word */
    const char *name;
    unsigned on;
    SqlParse parse;
} Clause;

static const Clause CLAUSES[] = {
    {SQL_W_PARTITIONED, SQL_W_BY, "PARTITIONED BY", ON_STORED, partitioned_by},
    {SQL_W_CLUSTER, SQL_W_BY, "CLUSTER BY", ON_STORED, cluster_by},
    {SQL_W_COMMENT, SQL_W_OTHER, "COMMENT", ON_STORED | ON_TEMPORARY | ON_FLOW | ON_SINK, comment},
    {SQL_W_LOCATION, SQL_W_OTHER, "LOCATION", ON_STORED, location},
    {SQL_W_TBLPROPERTIES, SQL_W_OTHER, "TBLPROPERTIES", ON_STORED | ON_TEMPORARY | ON_FLOW, properties},
    {SQL_W_USING, SQL_W_OTHER, "USING", ON_STORED | ON_SINK, using_format},
    {SQL_W_OPTIONS, SQL_W_OTHER, "OPTIONS", ON_SINK, options},
};
enum { N_CLAUSES = sizeof CLAUSES / sizeof *CLAUSES };

static const Clause *find_clause(const SqlCursor *c, SqlStatementKind kind)
{
    for (size_t i = 0; i < N_CLAUSES; i++) {
        const Clause *clause = &CLAUSES[i];
        if ((clause->on & 1U << kind) && cursor_is(c, 0, clause->first) &&
            (clause->second == SQL_W_OTHER || cursor_is(c, 1, clause->second))) {
            return clause;
        }
    }
    return NULL;
}

void sql_hint_clause(const SqlCursor *c, SqlStatementKind kind, Error *err)
{
    const char *words[N_CLAUSES + 1], *names[N_CLAUSES + 1];
    size_t n = 0;
    for (size_t i = 0; i < N_CLAUSES; i++) {
        if (CLAUSES[i].on & 1U << kind) {
            words[n] = sql_word_text(CLAUSES[i].first);
            names[n++] = CLAUSES[i].name;
        }
    }
    words[n] = "as";
    names[n++] = "AS";
    if (cursor_peek(c, 0)->kind != SQL_TOKEN_WORD) {
        return;
    }
    if (cursor_is(c, 0, SQL_W_SCHEDULE) || cursor_is(c, 0, SQL_W_TRIGGER)) {
        error_hint(err, "write TBLPROPERTIES ('freshet.trigger' = '10 minutes')");
        return;
    }
    char *word = sql_token_value(c->text, cursor_peek(c, 0), c->arena);
    str_lower(word);
    const char *nearest = error_nearest(word, words, n);
    for (size_t i = 0; nearest && i < n; i++) {
        if (words[i] == nearest) {
            error_hint(err, "did you mean %s?", names[i]);
        }
    }
}

Status sql_parse_clauses(SqlCursor *c, SqlStatement *out, Error *err)
{
    unsigned seen = 0;
    for (const Clause *clause; (clause = find_clause(c, out->kind)) != NULL;) {
        unsigned bit = 1U << (clause - CLAUSES);
        size_t from = c->at;
        c->at += clause->second == SQL_W_OTHER ? 1 : 2;
        if (seen & bit) {
            return cursor_error(c, from, c->at, err, "%s stands twice", clause->name);
        }
        seen |= bit;
        Status rc = clause->parse(c, out, err);
        if (rc != OK) {
            return rc;
        }
    }
    return OK;
}
