#include "sql/source_text.h"

#include <stdio.h>
#include <string.h>

/* Bytes of s that fit into n - 1 without cutting a UTF-8 character. */
static size_t fitting(const char *s, size_t length, size_t n)
{
    if (length < n) {
        return length;
    }
    size_t cut = n - 1;
    while (cut > 0 && ((unsigned char)s[cut] & 0xC0) == 0x80) {
        cut--;
    }
    return cut;
}

void sql_error_place(Error *err, const SqlText *text, SqlSpan span)
{
    if (!err) {
        return;
    }
    size_t at = span.begin < text->length ? span.begin : text->length;
    size_t line_begin = at, line_end = at;
    int line = 1;
    for (size_t i = 0; i < at; i++) {
        line += text->data[i] == '\n';
    }
    while (line_begin > 0 && text->data[line_begin - 1] != '\n') {
        line_begin--;
    }
    while (line_end < text->length && text->data[line_end] != '\n' && text->data[line_end] != '\r') {
        line_end++;
    }
    size_t end = span.end < line_end ? span.end : line_end;

    ErrorPlace *place = &err->place;
    snprintf(place->file, sizeof place->file, "%s", text->name ? text->name : "");
    place->line = line;
    place->column = (int)(at - line_begin) + 1;
    place->length = end > at ? (int)(end - at) : 1;
    size_t shown = fitting(text->data + line_begin, line_end - line_begin, sizeof place->source);
    if (at - line_begin >= shown && at < line_end) {
        shown = 0; /* the place lies behind what fits: no excerpt rather than a caret under nothing */
    }
    memcpy(place->source, text->data + line_begin, shown);
    place->source[shown] = 0;
}
