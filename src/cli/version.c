/* freshet version. */
#include <stdio.h>

#include "cli/cli.h"
#include "duck/duck.h"

/* What was found when this program was built, for bug reports. */
static const struct Part {
    const char *name;
    bool present;
} PARTS[] = {
#ifdef FRESHET_LIBEDIT
    {"line editing (libedit)", true},
#else
    {"line editing (libedit)", false},
#endif
};

static int run_version(const CliArguments *arguments)
{
    (void)arguments;
    printf("freshet %s\nDuckDB %s\n", FRESHET_VERSION, duck_library_version());
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
        printf("%s: %s\n", PARTS[i].name, PARTS[i].present ? "yes" : "not in this build");
    }
    return CLI_DONE;
}

const CliCommand CLI_VERSION = {
    .name = "version",
    .arguments = "",
    .summary = "say which version this is, and what it was built with",
    .text = "Prints the version of freshet and of the DuckDB library in use, and which optional parts this build has.",
    .run = run_version,
};
