/* What every command that touches tables opens first: DuckDB with its limits, and the warehouse. */
#ifndef FRESHET_CLI_ENVIRONMENT_H
#define FRESHET_CLI_ENVIRONMENT_H

#include "cli/cli.h"
#include "duck/duck.h"
#include "table/warehouse.h"

typedef struct Environment {
    Duck *duck;
    Warehouse *warehouse;
} Environment;

/* By --warehouse, --memory and --threads, and $FRESHET_WAREHOUSE and $FRESHET_ALLOWED_PATHS where these are not given.
 * E_USAGE for a value that is none. */
Status environment_open(const CliArguments *arguments, Environment *out, Error *err);
void environment_close(Environment *environment); /* a zeroed one is fine */

#endif
