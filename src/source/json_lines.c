#include "source/json_lines.h"

static void in_string(JsonLines *lines, char c)
{
    if (lines->escaped) {
        lines->escaped = false;
    } else if (c == '\\') {
        lines->escaped = true;
    } else if (c == '"') {
        lines->in_string = false;
    }
}

/* A byte outside of strings; returns what stands there afterwards. */
static char outside(JsonLines *lines, char c)
{
    switch (c) {
    case '"': lines->in_string = true; return c;
    case '[':
        if (lines->depth == 0 && !lines->in_array) {
            lines->in_array = true;
            return '\n';
        }
        lines->depth++;
        return c;
    case '{': lines->depth++; return c;
    case ']':
        if (lines->depth == 0 && lines->in_array) {
            lines->in_array = false;
            return '\n';
        }
        lines->depth -= lines->depth > 0;
        return c;
    case '}': lines->depth -= lines->depth > 0; return c;
    case ',': return lines->depth == 0 && lines->in_array ? '\n' : c;
    case '\n':
    case '\r': return lines->depth == 0 && !lines->in_array ? c : ' ';
    default: return c;
    }
}

void json_lines_rewrite(JsonLines *lines, char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (lines->in_string) {
            in_string(lines, bytes[i]);
        } else {
            bytes[i] = outside(lines, bytes[i]);
        }
    }
}
