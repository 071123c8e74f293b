/* The command line: one table of commands and flags that drives parsing, --help and the manual. */
#ifndef FRESHET_CLI_CLI_H
#define FRESHET_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/text.h"

/* Exit codes: what a script can rely on. */
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_SIGINT = 130, CLI_SIGTERM = 143 };

typedef struct CliFlag {
    const char *name;  /* "warehouse" for --warehouse; one letter for -c */
    const char *value; /* "URI"; NULL: a switch */
    const char *text;  /* what it does, for --help and the manual */
    bool repeats;      /* may stand several times */
} CliFlag;

typedef struct CliArguments CliArguments;

typedef struct CliCommand {
    const char *name;
    const char *arguments; /* "FILE|DIR" */
    size_t arguments_min, arguments_max;
    const char *summary; /* one line */
    const char *text;    /* the DESCRIPTION of --help: paragraphs */
    const CliFlag *flags;
    size_t n_flags;
    const char *examples;
    int (*run)(const CliArguments *arguments);
} CliCommand;

extern const CliCommand *const CLI_COMMANDS[];
extern const size_t CLI_COMMAND_COUNT;

/* Runs the command line and returns the exit code. */
int cli_main(int argc, char **argv);

/* ---- what a command reads: borrowed from the command line ---- */

/* The arguments that are no flags, and how many there are. */
size_t cli_positional(const CliArguments *arguments, const char *const **values);
/* Is the flag given? */
bool cli_switch(const CliArguments *arguments, const char *flag);
/* A flag's value, the last where it may be given several times; NULL when it is not given. */
const char *cli_value(const CliArguments *arguments, const char *flag);
/* All of them, and how many there are. */
size_t cli_values(const CliArguments *arguments, const char *flag, const char *const **out);

/* ---- what it says ---- */

/* "error: pipeline.sql:14:22: ..." with excerpt, hint and code, on stderr. */
void cli_error(const Error *err);
void cli_error_text(const Error *err, bool colour, Text *out);
/* A mistake in the command line: says it on stderr, points to --help and returns CLI_USAGE. */
__attribute__((format(printf, 2, 3))) int cli_usage(const CliCommand *command, const char *format, ...);
bool cli_colour(int fd); /* a terminal, and NO_COLOR is not set */
/* Append the page of --help, and the list of commands. */
void cli_help(const CliCommand *command, Text *out);
void cli_overview(Text *out);

/* ---- the commands ---- */
extern const CliCommand CLI_RUN, CLI_CHECK, CLI_SQL, CLI_VERSION, CLI_HELP;

/* Flags that several commands share. */
#define CLI_FLAG_WAREHOUSE \
    {"warehouse", "URI", "folder whose tables have names (default ./warehouse, or $FRESHET_WAREHOUSE)", false}
#define CLI_FLAG_MEMORY \
    {"memory", "SIZE", "memory for data, such as 2GB (default: 40 % of what the process may use)", false}
#define CLI_FLAG_THREADS {"threads", "N", "worker threads (default: all cores)", false}

#endif
