#include "source/schema_text.h"

#include <ctype.h>
#include <string.h>

enum { SCHEMA_TEXT_MAX = 1 << 20, TYPE_NESTING_MAX = 64 };

/* ---- types ---- */

typedef struct TypeText {
    const char *p;
    Text *out;
    int depth;
} TypeText;

static bool copy_type(TypeText *t);

static void copy_space(TypeText *t)
{
    while (isspace((unsigned char)*t->p)) {
        t->p++;
    }
}

static bool is_name_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (c & 0x80) != 0;
}

/* A bare, "quoted" or `quoted` name; empty when there is none. */
static bool take_name(const char **p, bool dots, Text *out)
{
    char quote = **p;
    if (quote != '"' && quote != '`') {
        const char *start = *p;
        while (is_name_byte(**p) || (dots && **p == '.')) {
            ++*p;
        }
        text_append_n(out, start, (size_t)(*p - start));
        return *p > start;
    }
    for (++*p; **p; ++*p) {
        if (**p == quote && (*p)[1] != quote) {
            ++*p;
            return true;
        }
        *p += **p == quote;
        text_append_char(out, **p);
    }
    return false;
}

/* STRUCT<a: INT, b INT> becomes STRUCT("a" INT, "b" INT). */
static bool copy_struct(TypeText *t)
{
    text_append(t->out, "STRUCT(");
    for (bool more = true; more;) {
        Text name = TEXT(4096);
        copy_space(t);
        bool good = take_name(&t->p, false, &name);
        text_append_sql_name(t->out, text_str(&name));
        text_free(&name);
        copy_space(t);
        t->p += *t->p == ':';
        text_append_char(t->out, ' ');
        if (!good || !copy_type(t)) {
            return false;
        }
        more = *t->p == ',';
        t->p += more;
        text_append(t->out, more ? ", " : ")");
    }
    return *t->p++ == '>';
}

static bool copy_brackets(TypeText *t, const char *word)
{
    t->p++;
    if (str_ieq(word, "STRUCT")) {
        return copy_struct(t);
    }
    bool map = str_ieq(word, "MAP");
    text_append(t->out, map ? "MAP(" : "");
    if (!copy_type(t)) {
        return false;
    }
    if (map) {
        text_append(t->out, ", ");
        if (*t->p++ != ',' || !copy_type(t)) {
            return false;
        }
    }
    text_append(t->out, map ? ")" : "[]");
    return *t->p++ == '>';
}

static const char *spark_word(const char *word)
{
    static const char *const WORDS[][2] = {
        {"BYTE", "TINYINT"}, {"TIMESTAMP_NTZ", "TIMESTAMP"}, {"TIMESTAMP_LTZ", "TIMESTAMPTZ"}};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (str_ieq(word, WORDS[i][0])) {
            return WORDS[i][1];
        }
    }
    return word;
}

/* Copies what stands between parentheses as it is. */
static bool copy_parentheses(TypeText *t)
{
    int depth = 0;
    do {
        depth += *t->p == '(';
        depth -= *t->p == ')';
        if (*t->p == '\0') {
            return false;
        }
        text_append_char(t->out, *t->p++);
    } while (depth > 0);
    return true;
}

/* A string in single quotes: of COMMENT, which is cut off later. */
static bool copy_string(TypeText *t)
{
    const char *end = strchr(t->p + 1, '\'');
    if (end == NULL) {
        return false;
    }
    text_append_char(t->out, ' ');
    text_append_n(t->out, t->p, (size_t)(end + 1 - t->p));
    t->p = end + 1;
    return true;
}

/* Words, then (…) or <…>, then any number of []; ends at a comma, '>' or the end. */
static bool copy_type(TypeText *t)
{
    bool any = false;

    if (++t->depth > TYPE_NESTING_MAX) {
        return false;
    }
    for (copy_space(t); *t->p && *t->p != ',' && *t->p != '>'; copy_space(t)) {
        if (*t->p == '(' || *t->p == '\'') {
            if (!(*t->p == '(' ? copy_parentheses : copy_string)(t)) {
                return false;
            }
        } else if (*t->p == '[' || *t->p == ']' || isdigit((unsigned char)*t->p)) {
            text_append_char(t->out, *t->p++);
        } else {
            Text word = TEXT(256);
            bool good = take_name(&t->p, false, &word);
            if (good && *t->p == '<') {
                good = copy_brackets(t, text_str(&word));
            } else {
                text_append(t->out, any ? " " : "");
                text_append(t->out, spark_word(text_str(&word)));
            }
            text_free(&word);
            if (!good) {
                return false;
            }
        }
        any = true;
    }
    t->depth--;
    return any;
}

/* ---- columns ---- */

/* Cuts off what may follow a type: NOT NULL, COMMENT '…'. */
static void cut_column_clauses(Text *type)
{
    static const char *const CLAUSES[] = {" NOT NULL", " COMMENT "};
    for (size_t i = 0; i < sizeof CLAUSES / sizeof *CLAUSES; i++) {
        char *at = strcasestr(type->data, CLAUSES[i]);
        if (at != NULL) {
            *at = '\0';
            type->length = (size_t)(at - type->data);
        }
    }
}

static Status bad_schema(const char *option, const char *text, const char *at, Error *err)
{
    error_set(err, E_STREAM_OPTION, "option %s: cannot be understood at \"%.40s\"", option, *at ? at : text);
    error_hint(err, "it is a list of columns with their types: 'id BIGINT, at TIMESTAMPTZ, price DECIMAL(10,2)'");
    return ERR_INVALID;
}

static Status add_column(DuckConn *conn, const char *option, const char *name, Text *type, DeltaSchemaBuilder *builder,
                         Error *err)
{
    Arena *arena = arena_new();
    Text sql = TEXT(SCHEMA_TEXT_MAX);
    DuckColumnInfo *columns;
    const DeltaType *delta;
    size_t n;
    Status rc;

    cut_column_clauses(type);
    text_printf(&sql, "SELECT CAST(NULL AS %s) AS c", text_str(type));
    Error cause = ERROR_NONE;
    if (duck_describe(conn, text_str(&sql), arena, &columns, &n, &cause) != OK) {
        rc = error_set(err, E_STREAM_OPTION, "option %s: column %s: \"%s\" is not a type", option, name,
                       text_str(type));
        goto out;
    }
    TRY(delta_type_from_duck(columns[0].type, name, arena, &delta, err));
    delta_schema_builder_add(builder, name, delta, true, NULL);
out:
    text_free(&sql);
    arena_free(arena);
    return rc;
}

Status schema_text_parse(DuckConn *conn, const char *option, const char *text, DeltaSchema **out, Error *err)
{
    DeltaSchemaBuilder *builder = delta_schema_builder_new(NULL);
    Status rc = OK;

    for (const char *p = text; rc == OK;) {
        Text name = TEXT(4096), type = TEXT(SCHEMA_TEXT_MAX);
        const char *start = p += strspn(p, " \t\r\n");
        bool good = take_name(&p, true, &name);
        p += strspn(p, " \t\r\n");
        p += *p == ':';
        TypeText copy = {.p = p, .out = &type};
        good = good && copy_type(&copy) && strchr(text_str(&type), ';') == NULL;
        p = copy.p;
        rc = good ? add_column(conn, option, text_str(&name), &type, builder, err)
                  : bad_schema(option, text, start, err);
        text_free(&name);
        text_free(&type);
        if (rc == OK && *p != ',') {
            rc = *p == '\0' ? OK : bad_schema(option, text, p, err);
            break;
        }
        p++;
    }
    DeltaSchema *schema = delta_schema_builder_finish(builder);
    if (rc != OK) {
        delta_schema_unref(schema);
        return rc;
    }
    *out = schema;
    return OK;
}

/* ---- hints ---- */

/* The fields with one more, or with the one at `path` in another type. */
static const DeltaField *hinted(const DeltaField *fields, size_t n, const char *path, const DeltaType *type,
                                Arena *arena, size_t *n_out)
{
    size_t length = strcspn(path, ".");
    DeltaField *out = arena_alloc(arena, (n + 1) * sizeof *out);
    size_t i = 0;

    if (n > 0) {
        memcpy(out, fields, n * sizeof *out);
    }
    while (i < n && !(strlen(fields[i].name) == length && strncasecmp(fields[i].name, path, length) == 0)) {
        i++;
    }
    if (i == n) {
        out[n] = (DeltaField){.name = arena_strndup(arena, path, length), .nullable = true, .metadata = "{}"};
    }
    *n_out = i == n ? n + 1 : n;
    if (path[length] == '\0') {
        out[i].type = type;
        return out;
    }
    bool nested = i < n && fields[i].type->id == DELTA_STRUCT;
    DeltaType *inner = arena_alloc(arena, sizeof *inner);
    *inner = (DeltaType){.id = DELTA_STRUCT};
    inner->fields = hinted(nested ? fields[i].type->fields : NULL, nested ? fields[i].type->n_fields : 0,
                           path + length + 1, type, arena, &inner->n_fields);
    out[i].type = inner;
    return out;
}

DeltaSchema *schema_text_apply(const DeltaSchema *schema, const DeltaSchema *hints)
{
    Arena *arena = arena_new();
    const DeltaField *fields = schema->fields;
    size_t n = schema->n_fields;

    for (size_t i = 0; i < hints->n_fields; i++) {
        fields = hinted(fields, n, hints->fields[i].name, hints->fields[i].type, arena, &n);
    }
    DeltaSchemaBuilder *builder = delta_schema_builder_new(NULL);
    for (size_t i = 0; i < n; i++) {
        delta_schema_builder_add(builder, fields[i].name, fields[i].type, true, fields[i].metadata);
    }
    DeltaSchema *out = delta_schema_builder_finish(builder);
    arena_free(arena);
    return out;
}
