#include <stdio.h>

#include "base/version.h"
#include "cli/cli.h"
#include "duck/duck.h"

static int run_version(const CliArguments *arguments)
{
    (void)arguments;
    printf("freshet %s\nDuckDB %s\n", FRESHET_VERSION, duck_library_version());
    return CLI_DONE;
}

const CliCommand CLI_VERSION = {
    .name = "version",
    .arguments = "",
    .summary = "say which version this is, and what it was built with",
    .text = "Prints the version of freshet and of the DuckDB library in use.",
    .run = run_version,
};
