/* Skipping files: predicates of a query as a condition over what the log says of each file.
 *
 * The condition runs in DuckDB over the relation of files, so those left out never become C values. It keeps every file
 * that may hold a matching row: where the log says nothing, or something that cannot be read, the file is kept.
 *
 * - Partition values are exact. A NULL partition matches no comparison.
 * - Statistics are bounds: truncated strings, and timestamps cut to milliseconds (so a maximum gets one of slack).
 * - Old writers cut a maximum and put U+FFFD at its end, which characters beyond U+FFFF still sort above: no bound.
 * - DuckDB reads JSON numbers that are no 64-bit integers as doubles, so bounds of wide decimals get that much slack.
 * - NaN sorts above every number and some writers leave it out of the maximum, so nothing is concluded from a maximum
 * of floating point numbers but that equal values lie below it.
 * - Constants are compared as the query would compare them: a string literal is cast to the column's type, anything
 * else has to be of a type whose order is the column's own.
 */
#include <string.h>

#include "delta/partition.h"
#include "delta/scan_int.h"
#include "delta/schema_int.h"

enum { DOUBLE_DIGITS = 15 }; /* decimal digits a double always holds */

typedef struct Skip {
    const ScanColumns *columns;
    Text *facts; /* further columns of the inner query */
    size_t n_facts;
    Text *where;
    size_t n_conditions;
} Skip;

/* The field a predicate is about, with its place in the statistics: "a"."b" as a JSON path. NULL: none that helps. */
static const DeltaField *find_field(const ScanColumns *columns, const DeltaPredicate *predicate, Text *path)
{
    const DeltaField *field = NULL, *fields = columns->schema->fields;
    size_t n = columns->schema->n_fields;

    for (size_t i = 0; i < predicate->n_column; i++) {
        if (!(field = delta_field_find(fields, n, predicate->column[i]))) {
            return NULL;
        }
        const char *name = delta_scan_stored_name(columns, field);
        if (strpbrk(name, "\"\\")) {
            return NULL; /* DuckDB's JSON paths cannot spell it */
        }
        text_append(path, ".\"");
        text_append(path, name);
        text_append_char(path, '"');
        fields = field->type->fields;
        n = field->type->id == DELTA_STRUCT ? field->type->n_fields : 0;
    }
    return field;
}

static bool has_bounds(const DeltaType *type)
{
    return (type->id >= DELTA_BYTE && type->id <= DELTA_STRING) ||
           (type->id >= DELTA_DATE && type->id <= DELTA_TIMESTAMP_NTZ);
}

static bool is_float(const DeltaType *type)
{
    return type->id == DELTA_FLOAT || type->id == DELTA_DOUBLE;
}

/* 'text' and nothing else? */
static bool is_string_literal(const char *value)
{
    size_t n = strlen(value);

    if (n < 2 || value[0] != '\'' || value[n - 1] != '\'') {
        return false;
    }
    for (const char *s = value + 1; s < value + n - 1; s++) {
        if (*s == '\'' && *++s != '\'') {
            return false;
        }
    }
    return true;
}

/* Types whose order among each other is the column's. */
static const char *comparable(const DeltaType *type)
{
    switch (type->id) {
    case DELTA_STRING: return "'VARCHAR'";
    case DELTA_DATE: return "'DATE', 'TIMESTAMP'";
    case DELTA_TIMESTAMP: return "'TIMESTAMP WITH TIME ZONE'";
    case DELTA_TIMESTAMP_NTZ: return "'TIMESTAMP', 'DATE'";
    case DELTA_BOOLEAN: return "'BOOLEAN'";
    case DELTA_BINARY: return "'BLOB'";
    default:
        return "'TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT', 'UTINYINT', 'USMALLINT', 'UINTEGER', 'UBIGINT', "
               "'UHUGEINT', 'FLOAT', 'DOUBLE', 'DECIMAL'";
    }
}

/* The constant to compare with; *guard is a condition under which comparing it means what the query means. */
static void value_sql(const DeltaType *type, const char *value, Text *out, Text *guard)
{
    if (type->id != DELTA_STRING && is_string_literal(value)) {
        text_append(out, "CAST(");
        text_append(out, value);
        text_append(out, " AS ");
        delta_type_sql(type, out);
        text_append(out, ")");
        text_append(guard, "true");
        return;
    }
    text_append(out, "(");
    text_append(out, value);
    text_append(out, ")");
    text_append(guard, "regexp_extract(typeof(");
    text_append(guard, text_str(out));
    text_printf(guard, "), '^[A-Z ]*') IN (%s)", comparable(type));
    if (is_float(type)) { /* as a real value, NaN compares like any other, but not to bounds that leave it out */
        text_printf(guard, " AND NOT isnan(CAST(%s AS DOUBLE))", text_str(out));
    }
}

static const char *const OPERATORS[] = {
    [DELTA_EQ] = "=", [DELTA_LT] = "<", [DELTA_LE] = "<=", [DELTA_GT] = ">", [DELTA_GE] = ">=", [DELTA_IN] = "="};

/* May a row match `column OP value`? `low` and `high` are SQL of the bounds; for a partition value they are the same.
 */
static void compare_sql(DeltaCompare compare, const char *low, const char *high, const char *value, Text *out)
{
    if (compare == DELTA_EQ || compare == DELTA_IN) {
        text_printf(out, "coalesce(%s <= %s, true) AND coalesce(%s >= %s, true)", low, value, high, value);
    } else {
        bool lower = compare == DELTA_LT || compare == DELTA_LE;
        text_printf(out, "coalesce(%s %s %s, true)", lower ? low : high, OPERATORS[compare], value);
    }
}

/* All values of an IN, one of anything else, with their guards. */
static void values_sql(const DeltaPredicate *predicate, const DeltaType *type, const char *low, const char *high,
                       Text *out)
{
    text_append(out, "(");
    for (size_t i = 0; i < predicate->n_values; i++) {
        Text value = TEXT(1 << 20), guard = TEXT(1 << 20);
        value_sql(type, predicate->values[i], &value, &guard);
        text_append(out, i ? " OR " : "");
        text_append(out, "CASE WHEN ");
        text_append(out, text_str(&guard));
        text_append(out, " THEN ");
        compare_sql(predicate->compare, low, high, text_str(&value), out);
        text_append(out, " ELSE true END");
        text_free(&value);
        text_free(&guard);
    }
    text_append(out, ")");
}

/* A partition column: the log's text is the value of every row. */
static void partition_condition(Skip *skip, const DeltaPredicate *predicate, const DeltaField *field)
{
    Text typed = TEXT(64 << 10);
    size_t k = skip->n_facts++;

    text_append(skip->facts, ", nullif(map_extract_value(partition_values, ");
    text_append_sql_string(skip->facts, delta_scan_stored_name(skip->columns, field));
    text_printf(skip->facts, "), '') AS freshet_f%zu", k);
    if (predicate->compare == DELTA_IS_NULL || predicate->compare == DELTA_IS_NOT_NULL) {
        text_printf(skip->where, "freshet_f%zu IS %sNULL", k, predicate->compare == DELTA_IS_NULL ? "" : "NOT ");
        return;
    }
    char raw[32];
    snprintf(raw, sizeof raw, "freshet_f%zu", k);
    delta_partition_try_sql(field->type, raw, &typed);
    text_printf(skip->where, "CASE WHEN %s IS NULL THEN false ELSE ", raw);
    values_sql(predicate, field->type, text_str(&typed), text_str(&typed), skip->where);
    text_append(skip->where, " END");
    text_free(&typed);
}

/* A bound as the column's type, NULL when there is none. */
static void bound_sql(const DeltaType *type, size_t fact, int index, Text *out)
{
    char raw[40];

    snprintf(raw, sizeof raw, "freshet_f%zu[%d]", fact, index);
    if (type->id == DELTA_STRING) {
        text_printf(out, index == 2 ? "CASE WHEN NOT suffix(%s, chr(65533)) THEN %s END" : "%s", raw, raw);
        return;
    }
    if (is_float(type)) { /* NaN and infinities say nothing */
        text_append(out, "CASE WHEN isfinite(");
        delta_partition_try_sql(type, raw, out);
        text_append(out, ") THEN ");
        delta_partition_try_sql(type, raw, out);
        text_append(out, " END");
        return;
    }
    if (type->id == DELTA_DECIMAL && type->precision > DOUBLE_DIGITS) {
        text_printf(out, "(TRY_CAST(%s AS DOUBLE) %c abs(TRY_CAST(%s AS DOUBLE)) * 1e-15)", raw, index == 1 ? '-' : '+',
                    raw);
        return;
    }
    delta_partition_try_sql(type, raw, out);
    if (index == 2 && (type->id == DELTA_TIMESTAMP || type->id == DELTA_TIMESTAMP_NTZ)) {
        text_append(out, " + INTERVAL 1 MILLISECOND");
    }
}

/* A data column: freshet_fN is [min, max, nullCount, numRecords] as texts, NULL without statistics. */
static void stats_condition(Skip *skip, const DeltaPredicate *predicate, const DeltaField *field, const char *path)
{
    size_t k = skip->n_facts++;
    Text low = TEXT(64 << 10), high = TEXT(64 << 10);
    static const char *const KEYS[] = {"minValues", "maxValues", "nullCount"};

    text_append(skip->facts, ", TRY(json_extract_string(stats, [");
    for (size_t i = 0; i < 3; i++) {
        Text key = TEXT(64 << 10);
        text_printf(&key, "$.\"%s\"%s", KEYS[i], path);
        text_append_sql_string(skip->facts, text_str(&key));
        text_append(skip->facts, ", ");
        text_free(&key);
    }
    text_printf(skip->facts, "'$.numRecords'])) AS freshet_f%zu", k);
    if (predicate->compare == DELTA_IS_NULL) {
        text_printf(skip->where, "coalesce(TRY_CAST(freshet_f%zu[3] AS BIGINT) <> 0, true)", k);
        goto out;
    }
    text_printf(skip->where,
                "coalesce(TRY_CAST(freshet_f%zu[3] AS BIGINT) <> TRY_CAST(freshet_f%zu[4] AS BIGINT), true)", k, k);
    bool unbounded = is_float(field->type) && (predicate->compare == DELTA_GT || predicate->compare == DELTA_GE);
    if (predicate->compare != DELTA_IS_NOT_NULL && has_bounds(field->type) && !unbounded) {
        bound_sql(field->type, k, 1, &low);
        bound_sql(field->type, k, 2, &high);
        text_append(skip->where, " AND ");
        values_sql(predicate, field->type, text_str(&low), text_str(&high), skip->where);
    }
out:
    text_free(&low);
    text_free(&high);
}

void delta_skip_sql(const ScanColumns *columns, const DeltaPredicate *predicates, size_t n, Text *facts, Text *where)
{
    Skip skip = {.columns = columns, .facts = facts, .where = where};

    for (size_t i = 0; i < n; i++) {
        Text path = TEXT(64 << 10);
        const DeltaField *field = find_field(columns, &predicates[i], &path);
        int partition = predicates[i].n_column == 1 && field ? delta_scan_partition(columns, field->name) : -1;
        bool compares = predicates[i].compare != DELTA_IS_NULL && predicates[i].compare != DELTA_IS_NOT_NULL;
        /* a variant that holds null is NULL here, but not in the statistics */
        if (field && field->type->n_fields == 0 && field->type->id != DELTA_VOID && field->type->id != DELTA_VARIANT &&
            (!compares || predicates[i].n_values > 0)) {
            text_append(where, skip.n_conditions++ ? " AND (" : " WHERE (");
            if (partition >= 0) {
                partition_condition(&skip, &predicates[i], field);
            } else {
                stats_condition(&skip, &predicates[i], field, text_str(&path));
            }
            text_append(where, ")");
        }
        text_free(&path);
    }
}

/* A text or a number as it stands. */
static bool is_literal(const char *value)
{
    return is_string_literal(value) || (*value != '\0' && strspn(value, "-0123456789.") == strlen(value));
}

static bool are_literals(const DeltaPredicate *predicate)
{
    for (size_t i = 0; i < predicate->n_values; i++) {
        if (!is_literal(predicate->values[i])) {
            return false;
        }
    }
    return predicate->n_values > 0;
}

void delta_skip_rows_sql(const ScanColumns *columns, const DeltaPredicate *predicates, size_t n, Text *where)
{
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        const DeltaPredicate *predicate = &predicates[i];
        const DeltaField *field = predicate->n_column == 1 ? delta_schema_find(columns->schema, predicate->column[0])
                                                           : NULL;
        bool compares = predicate->compare != DELTA_IS_NULL && predicate->compare != DELTA_IS_NOT_NULL;
        if (!field || field->type->n_fields > 0 || field->type->id == DELTA_VOID || !compares ||
            !are_literals(predicate)) {
            continue;
        }
        text_append(where, any ? " AND " : " WHERE ");
        text_append_sql_name(where, field->name);
        text_printf(where, " %s ", predicate->compare == DELTA_IN ? "IN (" : OPERATORS[predicate->compare]);
        for (size_t v = 0; v < predicate->n_values; v++) {
            text_append(where, v ? ", " : "");
            text_append(where, predicate->values[v]);
        }
        text_append(where, predicate->compare == DELTA_IN ? ")" : "");
        any = true;
    }
}
