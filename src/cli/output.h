/* Rows for people and programs: table, box, csv, jsonl. */
#ifndef FRESHET_CLI_OUTPUT_H
#define FRESHET_CLI_OUTPUT_H

#include <stdio.h>

#include "duck/duck.h"

typedef struct OutputFormat {
    const char *name;
    bool for_programs; /* only answers where a script asks (session_wants_rows) */
    /* Writes all rows of the result. */
    Status (*write)(DuckResult *result, FILE *out, Error *err);
} OutputFormat;

/* The format of that name, or NULL. `names` (may be NULL) receives the list of all, "parquet" included, which
 * freshet sql writes by itself. */
const OutputFormat *output_format(const char *name, const char **names);

#endif
