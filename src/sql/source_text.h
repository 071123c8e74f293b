/* A text of SQL with its name, so that every token and error knows file, line and column. */
#ifndef FRESHET_SQL_SOURCE_TEXT_H
#define FRESHET_SQL_SOURCE_TEXT_H

#include <stddef.h>

#include "base/error.h"
#include "base/mem.h"

typedef struct SqlText {
    const char *name; /* "pipeline.sql", "-c" */
    const char *data;
    size_t length;
} SqlText;

/* A half-open range of bytes of a SqlText. */
typedef struct SqlSpan {
    size_t begin, end;
} SqlSpan;

/* Fills err->place (file, line, column, excerpt) for a span of the text. */
void sql_error_place(Error *err, const SqlText *text, SqlSpan span);

#endif
