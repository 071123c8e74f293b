/* Checks of rows as one SQL expression, and Spark's quoting turned into DuckDB's. */
#include "delta/constraint.h"

#include <ctype.h>
#include <string.h>

#include "delta/column_default.h"
#include "delta/schema_int.h"
#include "duck/function.h"

/* ---- Spark's SQL ---- */

/* Copies what stands between two `quote`s from `s` on as a text or name that `target` encloses; returns what follows
 * it, NULL when there is no end or a backslash, which Spark takes as an escape. */
static const char *copy_quoted(const char *s, char quote, char target, Text *out)
{
    text_append_char(out, target);
    for (s++; *s; s++) {
        if (*s == '\\' && quote != '`') {
            return NULL;
        }
        if (*s == quote) {
            if (s[1] != quote) {
                text_append_char(out, target);
                return s + 1;
            }
            s++;
        }
        if (*s == target) {
            text_append_char(out, target);
        }
        text_append_char(out, *s);
    }
    return NULL;
}

/* Copies a number; NULL when it has one of Spark's type suffixes (1L, 1.5BD). */
static const char *copy_number(const char *s, Text *out)
{
    size_t n = strspn(s, "0123456789.");

    if ((s[n] == 'e' || s[n] == 'E') && s[n + 1 + strspn(s + n + 1, "+-")] >= '0' &&
        s[n + 1 + strspn(s + n + 1, "+-")] <= '9') {
        n += 1 + strspn(s + n + 1, "+-");
        n += strspn(s + n, "0123456789");
    }
    text_append_n(out, s, n);
    return isalpha((unsigned char)s[n]) || s[n] == '_' ? NULL : s + n;
}

/* Copies a word; NULL when it makes a typed literal with the quote that follows it, which DuckDB would read as an
 * alias. The brackets behind current_date() and current_timestamp() are Spark's alone. */
static const char *copy_word(const char *s, Text *out)
{
    size_t n = 0;

    while (isalnum((unsigned char)s[n]) || s[n] == '_' || (unsigned char)s[n] >= 0x80) {
        n++;
    }
    text_append_n(out, s, n);
    bool is_time = (n == 12 && strncasecmp(s, "current_date", n) == 0) ||
                   (n == 17 && strncasecmp(s, "current_timestamp", n) == 0);
    if (is_time && s[n] == '(' && s[n + 1] == ')') {
        return s + n + 2;
    }
    return n == 1 && (s[n] == '\'' || s[n] == '"') ? NULL : s + n;
}

bool delta_spark_sql(const char *expression, Text *out)
{
    const char *s = expression;

    while (s && *s) {
        if (*s == '`') {
            s = copy_quoted(s, '`', '"', out);
        } else if (*s == '"' || *s == '\'') {
            s = copy_quoted(s, *s, '\'', out);
        } else if (isdigit((unsigned char)*s)) {
            s = copy_number(s, out);
        } else if (isalpha((unsigned char)*s) || *s == '_' || (unsigned char)*s >= 0x80) {
            s = copy_word(s, out);
        } else if ((s[0] == '-' && s[1] == '-') || (s[0] == '/' && s[1] == '*') || *s == ';' || *s == '$') {
            s = NULL;
        } else {
            text_append_char(out, *s++);
        }
    }
    return s != NULL;
}

/* ---- one condition from all checks ---- */

typedef struct Checks {
    DuckConn *conn;
    const DeltaSchema *schema;
    Arena *arena;
    Text *out;
    size_t n;
} Checks;

/* Appends "CASE WHEN condition THEN true ELSE freshet_refuse(...) END": NULL fails too, and the row's text is only made
 * for a row that does. */
static void append_check(Checks *c, const char *condition, bool is_constraint, const char *name, const char *expression)
{
    text_append(c->out, c->n++ ? " AND CASE WHEN (" : "CASE WHEN (");
    text_append(c->out, condition);
    text_printf(c->out, ") THEN true ELSE freshet_refuse(%s, ", is_constraint ? "true" : "false");
    text_append_sql_string(c->out, name);
    text_append(c->out, ", ");
    text_append_sql_string(c->out, expression);
    text_append(c->out, ", CAST(struct_pack(");
    for (size_t i = 0; i < c->schema->n_fields; i++) {
        text_append(c->out, i ? ", " : "");
        text_append_sql_name(c->out, c->schema->fields[i].name);
        text_append(c->out, " := ");
        text_append_sql_name(c->out, c->schema->fields[i].name);
    }
    text_append(c->out, ") AS VARCHAR)) END");
}

/* NOT NULL of a column and of struct members below it: a member must not be NULL where its struct is not. */
static void not_null(Checks *c, const DeltaField *field, const char *expression, const char *above, const char *path)
{
    if (!field->nullable) {
        append_check(c,
                     above ? arena_printf(c->arena, "%s IS NULL OR %s IS NOT NULL", above, expression)
                           : arena_printf(c->arena, "%s IS NOT NULL", expression),
                     false, path, "");
    }
    for (size_t i = 0; field->type->id == DELTA_STRUCT && i < field->type->n_fields; i++) {
        const DeltaField *member = &field->type->fields[i];
        Text name = TEXT(2 * DELTA_NAME_MAX + 16);
        text_append_sql_string(&name, member->name);
        not_null(c, member, arena_printf(c->arena, "struct_extract(%s, %s)", expression, text_str(&name)), expression,
                 arena_printf(c->arena, "%s.%s", path, member->name));
        text_free(&name);
    }
}

static Status refuse_to_write(Error *err, const char *what, const char *name, const char *expression)
{
    Status rc = error_set(err, E_DELTA_PROTOCOL_WRITE, "%s \"%s\" cannot be evaluated, so nothing may be written: %s",
                          what, name, expression);

    error_hint(err, "write to this table with the program that defined it, or change the definition");
    return rc;
}

/* A boolean expression of Spark over the table's columns; DuckDB must bind it. */
static Status expression_check(Checks *c, const char *what, const char *name, const char *expression, Error *err)
{
    Status rc = OK;
    Text sql = TEXT(1 << 20), probe = TEXT(TEXT_SQL_MAX);
    DuckColumnInfo *columns = NULL;
    size_t n = 0;

    if (!delta_spark_sql(expression, &sql)) {
        TRY(refuse_to_write(err, what, name, expression));
    }
    text_printf(&probe, "SELECT (%s)::BOOLEAN FROM (SELECT ", text_str(&sql));
    for (size_t i = 0; i < c->schema->n_fields; i++) {
        text_append(&probe, i ? ", CAST(NULL AS " : "CAST(NULL AS ");
        delta_type_sql(c->schema->fields[i].type, &probe);
        text_append(&probe, ") AS ");
        text_append_sql_name(&probe, c->schema->fields[i].name);
    }
    text_append(&probe, ")");
    if (duck_describe(c->conn, text_str(&probe), c->arena, &columns, &n, NULL) != OK) {
        TRY(refuse_to_write(err, what, name, expression));
    }
    append_check(c, text_str(&sql), true, name, expression);
out:
    text_free(&sql);
    text_free(&probe);
    return rc;
}

/* {"expression":{"expression":"a > 3"}} */
static Status invariant(Checks *c, const DeltaField *field, Error *err)
{
    Status rc = OK;
    const char *json = delta_field_metadata(c->arena, field, "delta.invariants"), *expression = NULL;
    JsonSource source = {.name = "delta.invariants"};
    json_t *root = NULL, *inner = NULL;

    if (json) {
        TRY(json_parse_object(json, strlen(json), &source, &root, err));
        TRY(json_get_object(root, "expression", &inner, err));
        TRY(json_get_string(inner, "expression", &expression, err));
        TRY(expression_check(c, "the invariant of column", field->name, expression, err));
    }
out:
    json_decref(root);
    return rc;
}

static void length_check(Checks *c, const DeltaField *field)
{
    const char *type = delta_field_metadata(c->arena, field, "__CHAR_VARCHAR_TYPE_STRING");
    const char *open = type && field->type->id == DELTA_STRING ? strchr(type, '(') : NULL;
    Text name = TEXT(2 * DELTA_NAME_MAX + 16);

    if (open) {
        text_append_sql_name(&name, field->name);
        const char *length = arena_strndup(c->arena, open + 1, strspn(open + 1, "0123456789"));
        append_check(c, arena_printf(c->arena, "coalesce(length(%s), 0) <= %s", text_str(&name), length), true, type,
                     arena_printf(c->arena, "length of %s", field->name));
    }
    text_free(&name);
}

static Status column_checks(Checks *c, const DeltaField *field, Error *err)
{
    Status rc = OK;
    Text name = TEXT(2 * DELTA_NAME_MAX + 16), generated = TEXT(1 << 20);

    TRY(delta_generated_check_sql(c->conn, c->schema, field, &generated, err));
    if (generated.length > 0) {
        append_check(c, text_str(&generated), true, field->name, delta_generation_expression(c->arena, field));
    }
    text_append_sql_name(&name, field->name);
    not_null(c, field, arena_strdup(c->arena, text_str(&name)), NULL, field->name);
    length_check(c, field);
    TRY(invariant(c, field, err));
out:
    text_free(&generated);
    text_free(&name);
    return rc;
}

Status delta_constraints_sql(DuckConn *conn, const DeltaSchema *schema, const DeltaPair *configuration,
                             size_t n_configuration, Text *condition, Error *err)
{
    static const char PREFIX[] = "delta.constraints.";
    Status rc = OK;
    Checks c = {.conn = conn, .schema = schema, .arena = arena_new(), .out = condition};

    for (size_t i = 0; i < schema->n_fields; i++) {
        TRY(column_checks(&c, &schema->fields[i], err));
    }
    for (size_t i = 0; i < n_configuration; i++) {
        if (str_istarts(configuration[i].key, PREFIX) && configuration[i].value) {
            TRY(expression_check(&c, "constraint", configuration[i].key + strlen(PREFIX), configuration[i].value, err));
        }
    }
out:
    arena_free(c.arena);
    return rc;
}

/* freshet_refuse(is constraint, name, expression, row): called for a row that may not be written */
static Status call_refuse(const DuckScalarArgs *args, Error *err)
{
    const DuckString *text[3];

    if (args->rows == 0) {
        return OK;
    }
    for (size_t i = 0; i < 3; i++) {
        text[i] = args->inputs[i + 1].data;
    }
    int name = (int)duck_string_length(text[0]), row = (int)duck_string_length(text[2]);
    if (((const bool *)args->inputs[0].data)[0]) {
        return error_set(err, E_DELTA_CONSTRAINT, "constraint \"%.*s\" (%.*s) is violated by the row %.*s", name,
                         duck_string_data(text[0]), (int)duck_string_length(text[1]), duck_string_data(text[1]),
                         row < 1000 ? row : 1000, duck_string_data(text[2]));
    }
    return error_set(err, E_DELTA_NOT_NULL, "column \"%.*s\" is NOT NULL, and is NULL in the row %.*s", name,
                     duck_string_data(text[0]), row < 1000 ? row : 1000, duck_string_data(text[2]));
}

Status delta_constraints_register(Duck *duck, Error *err)
{
    static const char *const TYPES[] = {"BOOLEAN", "VARCHAR", "VARCHAR", "VARCHAR"};
    static const DuckScalar REFUSE = {.name = "freshet_refuse",
                                      .parameters = TYPES,
                                      .n_parameters = 4,
                                      .returns = "BOOLEAN",
                                      .is_volatile = true,
                                      .call = call_refuse};

    return duck_register_scalar(duck, &REFUSE, err);
}
