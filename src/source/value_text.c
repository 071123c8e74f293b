#include "source/value_text.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "source/time_pattern.h"

enum { NUMBER_TEXT_MAX = 512, TIME_TEXT_MAX = 64, DECIMAL_DIGITS_MAX = 38 };
static const int64_t US_PER_DAY = INT64_C(86400000000);

__extension__ typedef unsigned __int128 Wide;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool text_to_i64(const char *s, size_t n, int64_t *out)
{
    size_t i = 0;
    bool negative = n > 0 && s[0] == '-';
    uint64_t value = 0, most = (uint64_t)INT64_MAX + negative;

    i += n > 0 && (s[0] == '-' || s[0] == '+');
    if (i == n) {
        return false;
    }
    for (; i < n; i++) {
        if (!is_digit(s[i]) || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s[i] - '0'), &value) || value > most) {
            return false;
        }
    }
    *out = (int64_t)(negative ? 0 - value : value);
    return true;
}

/* A number cut into its parts: value = digits * 10^exponent. */
typedef struct Number {
    bool negative, exact; /* exact: all digits are in `digits` */
    Wide digits;
    int64_t exponent;
} Number;

/* Reads digits into number->digits while they fit; counts those after the point as negative exponents. */
static size_t read_digits(const char *s, size_t n, size_t i, bool fraction, Number *number)
{
    static const Wide FULL = (((Wide)0 - 1) - 9) / 10;
    for (; i < n && is_digit(s[i]); i++) {
        if (number->digits <= FULL) {
            number->digits = number->digits * 10 + (unsigned)(s[i] - '0');
            number->exponent -= fraction;
        } else {
            number->exact = number->exact && s[i] == '0';
            number->exponent += !fraction;
        }
    }
    return i;
}

/* The digits behind an e. Beyond the maximum all exponents are alike: the number is 0 or too large for any type. */
static bool read_exponent(const char *s, size_t n, int64_t *out)
{
    enum { EXPONENT_MAX = 99999999 };
    bool negative = n > 0 && s[0] == '-';
    size_t i = n > 0 && (s[0] == '-' || s[0] == '+');
    int64_t value = 0;

    if (i == n) {
        return false;
    }
    for (; i < n && is_digit(s[i]); i++) {
        value = value * 10 + (s[i] - '0');
        value = value > EXPONENT_MAX ? EXPONENT_MAX : value;
    }
    *out = negative ? -value : value;
    return i == n;
}

static bool read_number(const char *s, size_t n, Number *out)
{
    Number number = {.exact = true};
    size_t i = 0;

    if (n > 0 && (s[0] == '-' || s[0] == '+')) {
        number.negative = s[0] == '-';
        i++;
    }
    size_t whole = i;
    i = read_digits(s, n, i, false, &number);
    size_t n_digits = i - whole;
    if (i < n && s[i] == '.') {
        size_t fraction = ++i;
        i = read_digits(s, n, i, true, &number);
        n_digits += i - fraction;
    }
    if (n_digits == 0) {
        return false;
    }
    if (i < n && (s[i] == 'e' || s[i] == 'E')) {
        int64_t exponent;
        if (!read_exponent(s + i + 1, n - i - 1, &exponent)) {
            return false;
        }
        number.exponent += exponent;
        i = n;
    }
    *out = number;
    return i == n;
}

/* strtod for what the quick way cannot do exactly. */
static bool slow_double(const char *s, size_t n, double *out)
{
    char buffer[NUMBER_TEXT_MAX], *text = n < sizeof buffer ? buffer : mem_alloc(n + 1), *end;
    memcpy(text, s, n);
    text[n] = '\0';
    double value = strtod(text, &end);
    bool whole = end == text + n && isfinite(value);
    if (text != buffer) {
        mem_free(text);
    }
    if (whole) {
        *out = value;
    }
    return whole;
}

static bool special_double(const char *s, size_t n, double *out)
{
    static const struct {
        const char *text;
        double value;
    } SPECIAL[] = {
        {"NaN", NAN},       {"Infinity", INFINITY},   {"+Infinity", INFINITY}, {"INF", INFINITY},   {"Inf", INFINITY},
        {"+INF", INFINITY}, {"-Infinity", -INFINITY}, {"-INF", -INFINITY},     {"-Inf", -INFINITY},
    };
    for (size_t i = 0; i < sizeof SPECIAL / sizeof *SPECIAL; i++) {
        if (strlen(SPECIAL[i].text) == n && memcmp(SPECIAL[i].text, s, n) == 0) {
            *out = SPECIAL[i].value;
            return true;
        }
    }
    return false;
}

/* A whole number below 2^53 times a power of ten up to 10^22 is one correctly rounded operation on doubles. */
bool text_to_double(const char *s, size_t n, bool special, double *out)
{
    static const double TENS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    Number number;

    if (!read_number(s, n, &number)) {
        return special && special_double(s, n, out);
    }
    if (!number.exact || number.digits >> 53 != 0 || number.exponent > 22 || number.exponent < -22) {
        return slow_double(s, n, out);
    }
    double value = (double)(uint64_t)number.digits;
    value = number.exponent < 0 ? value / TENS[-number.exponent] : value * TENS[number.exponent];
    *out = number.negative ? -value : value;
    return true;
}

bool value_fits_i64(const ValueNode *node, int64_t value)
{
    switch (node->type) {
    case DELTA_BYTE: return value >= INT8_MIN && value <= INT8_MAX;
    case DELTA_SHORT: return value >= INT16_MIN && value <= INT16_MAX;
    case DELTA_INTEGER: return value >= INT32_MIN && value <= INT32_MAX;
    default: return true;
    }
}

void value_put_i64(ValueNode *node, uint64_t row, int64_t value)
{
    if (!node->wanted) {
        return;
    }
    value_mark_valid(node, row);
    switch (node->type) {
    case DELTA_BYTE: ((int8_t *)node->column.data)[row] = (int8_t)value; break;
    case DELTA_SHORT: ((int16_t *)node->column.data)[row] = (int16_t)value; break;
    case DELTA_INTEGER:
    case DELTA_DATE: ((int32_t *)node->column.data)[row] = (int32_t)value; break;
    default: ((int64_t *)node->column.data)[row] = value;
    }
}

bool value_put_double(ValueNode *node, uint64_t row, double value)
{
    if (node->type == DELTA_FLOAT && isfinite(value) && fabs(value) > (double)FLT_MAX) {
        return false;
    }
    if (node->wanted) {
        value_mark_valid(node, row);
        if (node->type == DELTA_FLOAT) {
            ((float *)node->column.data)[row] = (float)value;
        } else {
            ((double *)node->column.data)[row] = value;
        }
    }
    return true;
}

static Wide power_of_ten(unsigned n)
{
    Wide power = 1;
    while (n-- > 0) {
        power *= 10;
    }
    return power;
}

/* A DECIMAL is stored in the smallest of 16, 32, 64 and 128 bits that holds its precision. */
static void put_decimal(ValueNode *node, uint64_t row, bool negative, Wide digits)
{
    Wide bits = negative ? 0 - digits : digits;
    if (!node->wanted) {
        return;
    }
    value_mark_valid(node, row);
    if (node->precision <= 4) {
        ((int16_t *)node->column.data)[row] = (int16_t)(uint16_t)bits;
    } else if (node->precision <= 9) {
        ((int32_t *)node->column.data)[row] = (int32_t)(uint32_t)bits;
    } else if (node->precision <= 18) {
        ((int64_t *)node->column.data)[row] = (int64_t)(uint64_t)bits;
    } else {
        uint64_t halves[2] = {(uint64_t)bits, (uint64_t)(bits >> 64)};
        memcpy((char *)node->column.data + row * sizeof halves, halves, sizeof halves);
    }
}

bool value_decimal_text(ValueNode *node, uint64_t row, const char *s, size_t n)
{
    Number number;
    if (!read_number(s, n, &number) || !number.exact) {
        return false;
    }
    if (number.digits == 0) {
        put_decimal(node, row, false, 0);
        return true;
    }
    int64_t shift = number.exponent + node->scale;
    for (; shift < 0; shift++) {
        if (number.digits % 10 != 0) {
            return false;
        }
        number.digits /= 10;
    }
    Wide limit = power_of_ten(node->precision);
    for (; shift > 0; shift--) {
        if (number.digits >= limit) {
            return false;
        }
        number.digits *= 10;
    }
    if (number.digits >= limit) {
        return false;
    }
    put_decimal(node, row, number.negative, number.digits);
    return true;
}

/* ISO 8601 text as microseconds; *has_time when a time of day follows the date, *has_zone when a zone follows that. */
static bool iso_time(const char *s, size_t n, bool *has_time, bool *has_zone, int64_t *us)
{
    enum { DATE_LENGTH = 10 };
    char text[TIME_TEXT_MAX];
    if (n < DATE_LENGTH || n >= sizeof text || memchr(s, '\0', n) != NULL) {
        return false;
    }
    memcpy(text, s, n);
    text[n] = '\0';
    *has_time = n > DATE_LENGTH;
    *has_zone = *has_time && strpbrk(text + DATE_LENGTH, "Zz+-") != NULL;
    return time_parse_us(text, us);
}

bool value_date_text(ValueNode *node, uint64_t row, const char *s, size_t n)
{
    bool has_time, has_zone;
    int64_t us;

    if (node->pattern != NULL) {
        if (!time_pattern_parse(node->pattern, s, n, &us, &has_zone)) {
            return false;
        }
    } else if (!iso_time(s, n, &has_time, &has_zone, &us) || has_time) {
        return false;
    }
    int64_t days = us / US_PER_DAY - (us % US_PER_DAY < 0);
    if (days < INT32_MIN || days > INT32_MAX) {
        return false;
    }
    value_put_i64(node, row, days);
    return true;
}

bool value_timestamp_text(ValueNode *node, uint64_t row, const char *s, size_t n)
{
    bool has_time, has_zone;
    int64_t us;

    if (node->pattern != NULL) {
        if (!time_pattern_parse(node->pattern, s, n, &us, &has_zone)) {
            return false;
        }
    } else if (!iso_time(s, n, &has_time, &has_zone, &us)) {
        return false;
    }
    if (has_zone && node->type == DELTA_TIMESTAMP_NTZ) {
        return false;
    }
    value_put_i64(node, row, us);
    return true;
}

static int base64_value(unsigned char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool value_base64_text(ValueNode *node, uint64_t row, const char *s, size_t n)
{
    while (n > 0 && s[n - 1] == '=' && n % 4 != 1) {
        n--;
    }
    if (n % 4 == 1) {
        return false;
    }
    char small[256], *bytes = n <= sizeof small ? small : mem_alloc(n);
    size_t length = 0;
    uint32_t bits = 0;
    bool good = true;
    for (size_t i = 0; i < n && good; i++) {
        int value = base64_value((unsigned char)s[i]);
        good = value >= 0;
        bits = bits << 6 | ((uint32_t)value & 63);
        if (i % 4 != 0) {
            bytes[length++] = (char)(bits >> (6 - 2 * (i % 4)));
        }
    }
    if (good) {
        value_copy_string(node, row, bytes, length);
    }
    if (bytes != small) {
        mem_free(bytes);
    }
    return good;
}

static bool plain_boolean(ValueNode *node, uint64_t row, const char *s, size_t n)
{
    bool is_true = n == 4 && strncasecmp(s, "true", 4) == 0;
    if (!is_true && !(n == 5 && strncasecmp(s, "false", 5) == 0)) {
        return false;
    }
    if (node->wanted) {
        value_mark_valid(node, row);
        ((bool *)node->column.data)[row] = is_true;
    }
    return true;
}

bool value_plain_text(ValueNode *node, uint64_t row, const char *s, size_t n)
{
    int64_t whole;
    double real;

    switch (node->type) {
    case DELTA_STRING:
    case DELTA_BINARY: value_borrow_string(node, row, s, n); return true;
    case DELTA_BOOLEAN: return plain_boolean(node, row, s, n);
    case DELTA_BYTE:
    case DELTA_SHORT:
    case DELTA_INTEGER:
    case DELTA_LONG:
        if (!text_to_i64(s, n, &whole) || !value_fits_i64(node, whole)) {
            return false;
        }
        value_put_i64(node, row, whole);
        return true;
    case DELTA_FLOAT:
    case DELTA_DOUBLE: return text_to_double(s, n, true, &real) && value_put_double(node, row, real);
    case DELTA_DECIMAL: return value_decimal_text(node, row, s, n);
    case DELTA_DATE: return value_date_text(node, row, s, n);
    case DELTA_TIMESTAMP:
    case DELTA_TIMESTAMP_NTZ: return value_timestamp_text(node, row, s, n);
    default: return false;
    }
}
