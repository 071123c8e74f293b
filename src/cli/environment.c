/* The flags that all commands over tables share, and what they open. */
#include "cli/environment.h"

#include <stdlib.h>

#include "delta/allowed.h"

Status environment_open(const CliArguments *arguments, Environment *out, Error *err)
{
    Status rc = OK;
    Environment made = {0};
    DuckConfig config = {0};
    const char *memory = cli_value(arguments, "memory");
    const char *threads = cli_value(arguments, "threads");
    const char *warehouse = cli_value(arguments, "warehouse");
    int64_t n = 0;

    if (memory != NULL &&
        (!str_parse_bytes(memory, &config.memory_limit_bytes) || config.memory_limit_bytes < 32 << 20)) {
        rc = error_set(err, E_USAGE, "--memory cannot be '%s': a size of at least 32MB is needed", memory);
        goto out;
    }
    if (threads != NULL) {
        if (!str_parse_i64(threads, &n) || n < 1 || n > 1024) {
            rc = error_set(err, E_USAGE, "--threads cannot be '%s': a number from 1 to 1024 is needed", threads);
            goto out;
        }
        config.threads = (int)n;
    }
    if (warehouse == NULL) {
        warehouse = getenv("FRESHET_WAREHOUSE");
    }
    TRY(delta_allowed_set(getenv("FRESHET_ALLOWED_PATHS"), err));
    TRY(duck_open(&config, &made.duck, err));
    TRY(warehouse_open(made.duck, warehouse, &made.warehouse, err));
    *out = made;
    made = (Environment){0};
out:
    environment_close(&made);
    return rc;
}

void environment_close(Environment *environment)
{
    warehouse_close(environment->warehouse);
    duck_close(environment->duck);
    *environment = (Environment){0};
}
