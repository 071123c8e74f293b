/* Partition values: texts of the log checked and brought to a form that DuckDB casts, and SQL for both directions. */
#include "delta/partition.h"

#include <ctype.h>
#include <string.h>

#include "base/clock.h"

enum { DECIMAL_DIGITS_MAX = 38, EXPONENT_MAX = 100 };

bool delta_partition_can(const DeltaType *type)
{
    return type->id < DELTA_VARIANT;
}

static bool is_integer(const char *value, DeltaTypeId id)
{
    static const int64_t MAX[] = {
        [DELTA_BYTE] = INT8_MAX, [DELTA_SHORT] = INT16_MAX, [DELTA_INTEGER] = INT32_MAX, [DELTA_LONG] = INT64_MAX};
    int64_t number;

    return str_parse_i64(value, &number) && number <= MAX[id] && number >= -MAX[id] - 1;
}

/* year-month-day, the year with a sign and as many digits as it has, within the range of DuckDB */
static bool is_date(const char *value)
{
    enum { YEAR_MAX = 5877641 };
    static const char DAYS[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const char *s = value + (*value == '+' || *value == '-');
    int parts[3] = {0};

    for (int i = 0; i < 3; i++) {
        size_t n = strspn(s, "0123456789");
        if (n == 0 || n > (i == 0 ? 7 : 2) || s[n] != (i < 2 ? '-' : '\0')) {
            return false;
        }
        for (; n > 0; n--) {
            parts[i] = 10 * parts[i] + (*s++ - '0');
        }
        s += i < 2;
    }
    bool leap = (parts[0] % 4 == 0 && parts[0] % 100 != 0) || parts[0] % 400 == 0;
    return parts[0] <= YEAR_MAX && parts[1] >= 1 && parts[1] <= 12 && parts[2] >= 1 && parts[2] <= DAYS[parts[1] - 1] &&
           (parts[1] != 2 || parts[2] < 29 || leap);
}

/* Java spells NaN and infinity as DuckDB reads them. */
static bool is_double(const char *value)
{
    double number;

    return str_parse_double(value, &number) || strcmp(value, "NaN") == 0 || strcmp(value, "Infinity") == 0 ||
           strcmp(value, "-Infinity") == 0;
}

/* A date of the log; Java writes years of five digits and more with a sign that DuckDB does not read. */
static bool append_date(const char *value, Text *out)
{
    if (!is_date(value)) {
        return false;
    }
    text_append(out, value + (*value == '+'));
    return true;
}

/* The digits of a number without zeros around them, and how many of them are behind the point: "-1.50E-3" is -15 and 4.
 * False when there are more than a decimal has, or it is no number. */
static bool read_decimal(const char *value, char digits[DECIMAL_DIGITS_MAX + 1], int *scale)
{
    int n = 0, zeros = 0, behind = 0;
    bool any = false, point = false;
    int64_t exponent = 0;

    for (; isdigit((unsigned char)*value) || (*value == '.' && !point); value++) {
        point = point || *value == '.';
        any = any || *value != '.';
        if (*value == '0') {
            zeros += n > 0;
        } else if (*value != '.') {
            if (n + zeros >= DECIMAL_DIGITS_MAX) {
                return false;
            }
            memset(digits + n, '0', (size_t)zeros);
            n += zeros;
            zeros = 0;
            digits[n++] = *value;
        }
        behind += point && *value != '.';
    }
    if (*value == 'e' || *value == 'E') {
        any = any && str_parse_i64(value + 1, &exponent) && exponent > -EXPONENT_MAX && exponent < EXPONENT_MAX;
    } else {
        any = any && *value == '\0';
    }
    digits[n] = '\0';
    *scale = behind - zeros - (int)exponent;
    return any;
}

/* A decimal of the log in plain digits; Java writes small ones with an exponent, which DuckDB does not always read. */
static bool append_decimal(const DeltaType *type, const char *value, Text *out)
{
    char digits[DECIMAL_DIGITS_MAX + 1];
    int scale;

    if (!read_decimal(value + (*value == '+' || *value == '-'), digits, &scale)) {
        return false;
    }
    int n = (int)strlen(digits), whole = n - scale;
    if (n > 0 && (scale > type->scale || whole > type->precision - type->scale)) {
        return false;
    }
    if (n == 0) {
        text_append_char(out, '0');
        return true;
    }
    text_append(out, *value == '-' ? "-" : "");
    text_printf(out, "%.*s%.*d", whole > 0 ? whole : 0, digits, whole > n ? whole - n : whole <= 0, 0);
    if (scale > 0) {
        text_printf(out, ".%.*d%s", whole < 0 ? -whole : 0, 0, digits + (whole > 0 ? whole : 0));
    }
    return true;
}

/* An instant of the log as "2020-01-01T00:00:00.123456", with "Z" when it is one in UTC. */
static bool append_time(const char *value, bool zone, Text *out)
{
    char text[32];
    int64_t us;

    if (!time_parse_us(value, &us)) {
        return false;
    }
    time_iso_us(us, text);
    text_append_n(out, text, strcspn(text, "Z"));
    text_append(out, zone ? "Z" : "");
    return true;
}

Status delta_partition_text(const DeltaType *type, const char *value, Text *out, bool *is_null, Error *err)
{
    bool fits = true, flag;
    size_t length = out->length;

    if (!value || value[0] == '\0') {
        *is_null = true;
        return OK;
    }
    switch (type->id) {
    case DELTA_BOOLEAN: fits = str_parse_bool(value, &flag); break;
    case DELTA_BYTE:
    case DELTA_SHORT:
    case DELTA_INTEGER:
    case DELTA_LONG: fits = is_integer(value, type->id); break;
    case DELTA_FLOAT:
    case DELTA_DOUBLE: fits = is_double(value); break;
    case DELTA_DECIMAL: fits = append_decimal(type, value, out); break;
    case DELTA_DATE: fits = append_date(value, out); break;
    case DELTA_TIMESTAMP: fits = append_time(value, true, out); break;
    case DELTA_TIMESTAMP_NTZ: fits = append_time(value, false, out); break;
    case DELTA_STRING:
    case DELTA_BINARY: break;
    default: fits = false;
    }
    if (!fits) {
        Text name = TEXT(256);
        delta_type_name(type, &name);
        Status rc = error_set(err, E_DELTA_CORRUPT, "partition value \"%.200s\" is not of type %s", value,
                              text_str(&name));
        text_free(&name);
        return rc;
    }
    if (out->length == length) {
        text_append(out, value);
    }
    *is_null = false;
    return OK;
}

void delta_partition_cast_sql(const DeltaType *type, const char *expression, Text *out)
{
    if (type->id == DELTA_BINARY) { /* the text's own bytes */
        text_append(out, "encode(");
        text_append(out, expression);
        text_append(out, ")");
        return;
    }
    text_append(out, "CAST(");
    text_append(out, expression);
    text_append(out, " AS ");
    delta_type_sql(type, out);
    text_append(out, ")");
}

void delta_partition_value_sql(const DeltaType *type, const char *expression, Text *out)
{
    switch (type->id) {
    case DELTA_STRING:
        text_append(out, "nullif(");
        text_append(out, expression);
        text_append(out, ", '')");
        break;
    case DELTA_BINARY:
        text_append(out, "nullif(decode(");
        text_append(out, expression);
        text_append(out, "), '')");
        break;
    case DELTA_TIMESTAMP:
        text_append(out, "strftime((");
        text_append(out, expression);
        text_append(out, ") AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')");
        break;
    case DELTA_FLOAT:
    case DELTA_DOUBLE: /* Java's names for what is not finite */
        text_append(out, "replace(replace(CAST(");
        text_append(out, expression);
        text_append(out, " AS VARCHAR), 'nan', 'NaN'), 'inf', 'Infinity')");
        break;
    default:
        text_append(out, "CAST(");
        text_append(out, expression);
        text_append(out, " AS VARCHAR)");
    }
}

void delta_partition_try_sql(const DeltaType *type, const char *expression, Text *out)
{
    if (type->id == DELTA_STRING) {
        delta_partition_value_sql(type, expression, out);
        return;
    }
    if (type->id == DELTA_BINARY) {
        text_append(out, "encode(nullif(");
        text_append(out, expression);
        text_append(out, ", ''))");
        return;
    }
    text_append(out, "TRY_CAST(");
    text_append(out, expression);
    if (type->id == DELTA_TIMESTAMP) { /* no zone is UTC, whatever the session's */
        text_append(out, " || CASE WHEN regexp_matches(");
        text_append(out, expression);
        text_append(out, ", '([Zz]|:.*[+-]\\d\\d(:?\\d\\d)?)$') THEN '' ELSE 'Z' END");
    }
    text_append(out, " AS ");
    delta_type_sql(type, out);
    text_append(out, ")");
}
