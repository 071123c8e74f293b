/* Generated columns: their expressions are written for Spark and have to give the same here. What may differ is refused
 * when a table is made; a table of somebody else's is written when DuckDB understands the expression, and each row is
 * held against it. */
#include <ctype.h>
#include <string.h>

#include "delta/column_default_int.h"
#include "delta/constraint.h"
#include "delta/schema_int.h"

/* The columns a generation expression is over: all that are not generated themselves. */
static DeltaField *base_columns(Arena *arena, const DeltaSchema *schema, size_t *n)
{
    DeltaField *fields = arena_alloc(arena, (schema->n_fields + 1) * sizeof *fields);

    *n = 0;
    for (size_t i = 0; i < schema->n_fields; i++) {
        if (!delta_field_has_metadata(&schema->fields[i], DELTA_GENERATION)) {
            fields[(*n)++] = schema->fields[i];
        }
    }
    return fields;
}

/* The expression as DuckDB reads it, in `arena`. */
Status delta_generated_sql(DuckConn *conn, const DeltaSchema *schema, const DeltaField *field, Arena *arena,
                           const char **out, Error *err)
{
    Status rc = OK;
    Text sql = TEXT(1 << 20);
    const char *expression = delta_generation_expression(arena, field);
    size_t n = 0;
    DeltaField *base = base_columns(arena, schema, &n);
    Error why = ERROR_NONE;

    if (!delta_spark_sql(expression, &sql) ||
        !delta_expression_binds(conn, base, n, NULL, text_str(&sql), field->type, &why)) {
        TRY(delta_expression_refuse(field, "expression", expression, &why, err));
    }
    *out = arena_strdup(arena, text_str(&sql));
out:
    text_free(&sql);
    return rc;
}

/* ---- what a table may be made with ---- */

/* Functions that give the same in Spark and DuckDB, for any argument of the types they have in common. */
static const char *const SAME[] = {
    "abs",       "array_contains", "cast",     "char_length", "coalesce", "day",        "dayofmonth", "dayofyear",
    "exp",       "greatest",       "hour",     "if",          "ifnull",   "in",         "last_day",   "least",
    "left",      "length",         "lower",    "lpad",        "ltrim",    "make_date",  "md5",        "minute",
    "mod",       "month",          "not",      "nullif",      "power",    "quarter",    "replace",    "reverse",
    "right",     "rpad",           "rtrim",    "second",      "sha1",     "sign",       "sqrt",       "substr",
    "substring", "trim",           "try_cast", "upper",       "values",   "weekofyear", "year",       "and",
    "or",        "when",           "then",     "else",        "case",     "decimal",    "between",    "date_trunc",
    "is",
};

/* The first function of the expression that is not one of them; NULL when there is none. In `arena`. */
static const char *other_function(const char *sql, Arena *arena)
{
    for (const char *s = sql; *s != '\0';) {
        if (*s == '\'' || *s == '"') {
            const char *end = strchr(s + 1, *s);
            s = end != NULL ? end + 1 : s + strlen(s);
            continue;
        }
        size_t n = 0;
        while (isalnum((unsigned char)s[n]) || s[n] == '_') {
            n++;
        }
        if (n > 0 && s[n + strspn(s + n, " \t\r\n")] == '(') {
            const char *word = arena_strndup(arena, s, n);
            bool same = false;
            for (size_t i = 0; i < sizeof SAME / sizeof *SAME && !same; i++) {
                same = str_ieq(word, SAME[i]);
            }
            if (!same) {
                return word;
            }
        }
        s += n > 0 ? n : 1;
    }
    return NULL;
}

static bool has_word(const char *sql, const char *const *words, size_t n)
{
    for (const char *s = sql; *s != '\0';) {
        size_t length = 0;
        while (isalnum((unsigned char)s[length]) || s[length] == '_') {
            length++;
        }
        for (size_t i = 0; i < n && length > 0; i++) {
            if (strlen(words[i]) == length && strncasecmp(s, words[i], length) == 0) {
                return true;
            }
        }
        s += length > 0 ? length : 1;
    }
    return false;
}

/* Casts of fractions and texts to whole numbers round in DuckDB and cut in Spark; casts to text print times and
 * fractions differently. A column that such an expression needs decides. */
static bool casts_differ(DuckConn *conn, const DeltaField *field, const DeltaField *base, size_t n, const char *sql)
{
    static const char *const WHOLE[] = {"tinyint", "smallint", "int", "integer", "bigint", "byte", "short", "long"};
    static const char *const TEXTS[] = {"string", "varchar", "char", "text"};
    bool whole = has_word(sql, WHOLE, sizeof WHOLE / sizeof *WHOLE) || delta_type_is_integer(field->type);
    bool texts = has_word(sql, TEXTS, sizeof TEXTS / sizeof *TEXTS) || field->type->id == DELTA_STRING;

    for (size_t i = 0; i < n; i++) {
        DeltaTypeId id = base[i].type->id;
        bool fraction = id == DELTA_FLOAT || id == DELTA_DOUBLE || id == DELTA_DECIMAL;
        bool time = id == DELTA_TIMESTAMP || id == DELTA_TIMESTAMP_NTZ;
        bool text = id == DELTA_STRING && has_word(sql, WHOLE, sizeof WHOLE / sizeof *WHOLE);
        if (((whole && (fraction || text)) || (texts && (fraction || time))) &&
            !delta_expression_binds(conn, base, n, &base[i], sql, field->type, NULL)) {
            return true;
        }
    }
    return whole && strchr(sql, '/') != NULL;
}

/* Functions that give INT in Spark and BIGINT in DuckDB. */
static const char *const INTS[] = {"char_length", "day",    "dayofmonth", "dayofyear", "hour",       "length", "minute",
                                   "month",       "second", "quarter",    "sign",      "weekofyear", "year"};

/* Where the bracket at `s` closes; the end of the text when it does not. */
static const char *closing(const char *s)
{
    int depth = 0;

    for (; *s != '\0'; s++) {
        if (*s == '\'' || *s == '"') {
            const char *end = strchr(s + 1, *s);
            s = end != NULL ? end : s + strlen(s) - 1;
        }
        depth += (*s == '(') - (*s == ')');
        if (depth == 0) {
            return s;
        }
    }
    return s;
}

/* Appends the expression with casts that give its parts the types they have in Spark. */
static void spark_typed(const char *s, const char *end, Text *out)
{
    while (s < end) {
        size_t n = 0;
        bool is_int = false;
        while (isalnum((unsigned char)s[n]) || s[n] == '_') {
            n++;
        }
        for (size_t i = 0; n > 0 && s[n] == '(' && i < sizeof INTS / sizeof *INTS; i++) {
            is_int |= strlen(INTS[i]) == n && strncasecmp(s, INTS[i], n) == 0;
        }
        if (is_int) {
            const char *close = closing(s + n);
            text_append(out, "CAST(");
            text_append_n(out, s, n + 1);
            spark_typed(s + n + 1, close, out);
            text_append(out, ") AS INTEGER)");
            s = *close != '\0' ? close + 1 : close;
            continue;
        }
        n = n > 0 ? n : 1;
        text_append_n(out, s, n);
        s += n;
    }
}

/* Spark writes to a table only when a generated column's expression has exactly the column's type. */
static Status check_type(DuckConn *conn, const DeltaField *field, const DeltaField *base, size_t n, const char *sql,
                         Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    DuckColumnInfo *info = NULL;
    size_t n_info = 0;
    const DeltaType *type = NULL;
    Text query = TEXT(TEXT_SQL_MAX), has = TEXT(1 << 16), wants = TEXT(1 << 16);

    text_append(&query, "SELECT (");
    spark_typed(sql, sql + strlen(sql), &query);
    text_append(&query, ") AS value FROM (SELECT 1 AS \"freshet 1\"");
    for (size_t i = 0; i < n; i++) {
        text_append(&query, ", CAST(NULL AS ");
        delta_type_sql(base[i].type, &query);
        text_append(&query, ") AS ");
        text_append_sql_name(&query, base[i].name);
    }
    text_append(&query, ")");
    TRY(duck_describe(conn, text_str(&query), arena, &info, &n_info, err));
    TRY(delta_type_from_duck(info[0].type, field->name, arena, &type, err));
    if (!delta_type_equal(type, field->type)) {
        delta_type_name(type, &has);
        delta_type_name(field->type, &wants);
        rc = error_set(err, E_DELTA_SCHEMA, "the expression of the generated column \"%s\" is %s, the column is %s",
                       field->name, text_str(&has), text_str(&wants));
        error_klass(err, "DELTA_GENERATED_COLUMNS_EXPR_TYPE_MISMATCH");
        error_hint(err, "GENERATED ALWAYS AS (CAST(... AS type))");
    }
out:
    text_free(&query);
    text_free(&has);
    text_free(&wants);
    arena_free(arena);
    return rc;
}

Status delta_generated_check(DuckConn *conn, const DeltaSchema *schema, const DeltaField *field, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    const char *sql = NULL;
    size_t n = 0;

    TRY(delta_generated_sql(conn, schema, field, arena, &sql, err));
    const DeltaField *base = base_columns(arena, schema, &n);
    const char *other = other_function(sql, arena);
    if (other != NULL || casts_differ(conn, field, base, n, sql)) {
        rc = error_set(err, E_DELTA_SCHEMA,
                       "the expression of the generated column \"%s\" may mean something else to Spark: %s%s",
                       field->name, other != NULL ? "the function " : "a cast rounds, cuts or prints differently",
                       other != NULL ? other : "");
        error_klass(err, "DELTA_UNSUPPORTED_EXPRESSION_GENERATED_COLUMN");
        error_hint(err, "compute the column in the query instead");
        goto out;
    }
    TRY(check_type(conn, field, base, n, sql, err));
out:
    arena_free(arena);
    return rc;
}

Status delta_generated_check_sql(DuckConn *conn, const DeltaSchema *schema, const DeltaField *field, Text *out,
                                 Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    const char *sql = NULL;

    if (!delta_field_has_metadata(field, DELTA_GENERATION)) {
        goto out;
    }
    TRY(delta_generated_sql(conn, schema, field, arena, &sql, err));
    text_append_sql_name(out, field->name);
    text_printf(out, " IS NOT DISTINCT FROM CAST((%s) AS ", sql);
    delta_type_sql(field->type, out);
    text_append(out, ")");
out:
    arena_free(arena);
    return rc;
}
