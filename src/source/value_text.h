/* Text to typed values: numbers, times and bytes as they stand in JSON strings, JSON numbers and CSV fields.
 *
 * Each function takes the whole text or nothing: false means that it is not exactly one value of the type (then
 * nothing that counts was written). Nothing is rounded except to the nearest double or float.
 */
#ifndef FRESHET_SOURCE_VALUE_TEXT_H
#define FRESHET_SOURCE_VALUE_TEXT_H

#include "source/value_node.h"

/* Decimal digits with a sign that fit 64 bits. */
bool text_to_i64(const char *s, size_t n, int64_t *out);
/* JSON's grammar for numbers (leading zeros and '+' allowed), or with `special` also NaN, Infinity, -Infinity, Inf.
 * Too large is false. */
bool text_to_double(const char *s, size_t n, bool special, double *out);

void value_put_i64(ValueNode *node, uint64_t row,
                   int64_t value);                         /* BYTE .. LONG, DATE, TIMESTAMP*; the range was checked */
bool value_fits_i64(const ValueNode *node, int64_t value); /* BYTE .. LONG */
bool value_put_double(ValueNode *node, uint64_t row, double value); /* FLOAT, DOUBLE; false: a float would overflow */

/* "-12.5e1" into the node's DECIMAL(precision, scale), exactly. */
bool value_decimal_text(ValueNode *node, uint64_t row, const char *s, size_t n);
/* "2024-01-31" and "2024-01-31T05:06:07.5+01:00" (or ' ', no zone = UTC); a TIMESTAMP_NTZ takes no zone. With the
 * node's pattern instead when it has one. */
bool value_date_text(ValueNode *node, uint64_t row, const char *s, size_t n);
bool value_timestamp_text(ValueNode *node, uint64_t row, const char *s, size_t n);
bool value_base64_text(ValueNode *node, uint64_t row, const char *s, size_t n);

/* The text of one field of a CSV file as the node's type (leaves only): true/false in any case, BINARY as the bytes
 * themselves. */
bool value_plain_text(ValueNode *node, uint64_t row, const char *s, size_t n);

#endif
