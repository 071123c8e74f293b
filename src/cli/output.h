/* Rows for people and programs: table, box, csv, jsonl. */
#ifndef FRESHET_CLI_OUTPUT_H
#define FRESHET_CLI_OUTPUT_H

#include <stdio.h>

#include "duck/duck.h"

typedef struct OutputFormat {
    const char *name;
    /* Writes all rows of the result. */
    Status (*write)(DuckResult *result, FILE *out, Error *err);
} OutputFormat;

/* NULL when there is no such format; `names` (may be NULL) receives the list for messages. */
const OutputFormat *output_format(const char *name, const char **names);

#endif
