/* JSON values that go over several lines, or stand in one array, rewritten in place to a record a line: a filter over
 * the bytes of a file.
 *
 * Line ends between the tokens of a value become blanks; the brackets of an array at the top and the commas between
 * its elements become line ends. Line ends inside strings stay: they are errors, and the reader says so. Only
 * brackets and quotes are looked at; whether it all is JSON is the reader's business.
 */
#ifndef FRESHET_SOURCE_JSON_LINES_H
#define FRESHET_SOURCE_JSON_LINES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct JsonLines {
    int depth;     /* of open brackets, without the array at the top */
    bool in_array; /* the top is an array */
    bool in_string, escaped;
} JsonLines;

/* The next `n` bytes of the file; `lines` starts zeroed. */
void json_lines_rewrite(JsonLines *lines, char *bytes, size_t n);

#endif
