/* Arguments taken apart by the tables of the commands, and errors as people see them. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

const CliCommand *const CLI_COMMANDS[] = {&CLI_RUN, &CLI_CHECK, &CLI_SQL, &CLI_VERSION, &CLI_HELP};
const size_t CLI_COMMAND_COUNT = sizeof CLI_COMMANDS / sizeof *CLI_COMMANDS;

enum { NAMES_MAX = 64 }; /* names among which the one that was meant is looked for */

/* The values given for one flag. */
typedef struct FlagValues {
    const char **values;
    size_t n, capacity;
} FlagValues;

struct CliArguments {
    const CliCommand *command;
    FlagValues positional;
    FlagValues *flags; /* beside command->flags */
};

static void values_add(FlagValues *values, const char *value)
{
    values->values = mem_grow(values->values, values->n, &values->capacity, sizeof *values->values);
    values->values[values->n++] = value;
}

static void arguments_free(CliArguments *arguments)
{
    for (size_t i = 0; i < arguments->command->n_flags; i++) {
        mem_free(arguments->flags[i].values);
    }
    mem_free(arguments->flags);
    mem_free(arguments->positional.values);
}

static const FlagValues *flag_values(const CliArguments *arguments, const char *flag)
{
    for (size_t i = 0; i < arguments->command->n_flags; i++) {
        if (strcmp(arguments->command->flags[i].name, flag) == 0) {
            return &arguments->flags[i];
        }
    }
    return NULL;
}

size_t cli_positional(const CliArguments *arguments, const char *const **values)
{
    *values = arguments->positional.values;
    return arguments->positional.n;
}

bool cli_switch(const CliArguments *arguments, const char *flag)
{
    const FlagValues *values = flag_values(arguments, flag);
    return values != NULL && values->n > 0;
}

const char *cli_value(const CliArguments *arguments, const char *flag)
{
    const FlagValues *values = flag_values(arguments, flag);
    return values != NULL && values->n > 0 ? values->values[values->n - 1] : NULL;
}

size_t cli_values(const CliArguments *arguments, const char *flag, const char *const **out)
{
    const FlagValues *values = flag_values(arguments, flag);
    *out = values != NULL ? values->values : NULL;
    return values != NULL ? values->n : 0;
}

/* ---- parsing ---- */

/* Takes the flag argv[*i]: "--name=value", "--name value", "-c value". Returns CLI_DONE or CLI_USAGE; *i moves over a
 * value that stands by itself. */
static int parse_flag(CliArguments *arguments, int argc, char **argv, int *i)
{
    const CliCommand *command = arguments->command;
    const char *text = argv[*i];
    const char *name = text + (text[1] == '-' ? 2 : 1);
    const char *equals = strchr(name, '=');
    size_t n = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const char *names[NAMES_MAX];

    for (size_t f = 0; f < command->n_flags && f < NAMES_MAX; f++) {
        const CliFlag *flag = &command->flags[f];
        names[f] = flag->name;
        if (strlen(flag->name) != n || memcmp(flag->name, name, n) != 0) {
            continue;
        }
        const char *value = equals != NULL ? equals + 1 : NULL;
        if (flag->value == NULL) {
            if (value != NULL) {
                return cli_usage(command, "%.*s takes no value", (int)(equals - text), text);
            }
            value = "";
        } else if (value == NULL) {
            if (*i + 1 >= argc) {
                return cli_usage(command, "%s needs a value: %s", text, flag->value);
            }
            value = argv[++*i];
        }
        if (arguments->flags[f].n > 0 && !flag->repeats) {
            return cli_usage(command, "%s is given twice", text);
        }
        values_add(&arguments->flags[f], value);
        return CLI_DONE;
    }
    char *wanted = mem_strndup(name, n);
    const char *nearest = error_nearest(wanted, names, command->n_flags < NAMES_MAX ? command->n_flags : NAMES_MAX);
    int code = nearest != NULL ? cli_usage(command, "there is no flag %s; did you mean %s%s?", text,
                                           nearest[1] != '\0' ? "--" : "-", nearest)
                               : cli_usage(command, "there is no flag %s", text);
    mem_free(wanted);
    return code;
}

static int parse(CliArguments *arguments, int argc, char **argv, bool *help)
{
    const CliCommand *command = arguments->command;
    bool only_positional = false;

    for (int i = 0; i < argc; i++) {
        const char *text = argv[i];
        if (only_positional || text[0] != '-' || text[1] == '\0') {
            values_add(&arguments->positional, text);
        } else if (strcmp(text, "--") == 0) {
            only_positional = true;
        } else if (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0) {
            *help = true;
            return CLI_DONE;
        } else {
            int code = parse_flag(arguments, argc, argv, &i);
            if (code != CLI_DONE) {
                return code;
            }
        }
    }
    if (arguments->positional.n < command->arguments_min) {
        return cli_usage(command, "%s is missing", command->arguments);
    }
    if (arguments->positional.n > command->arguments_max) {
        return cli_usage(command, "'%s' is one argument too many",
                         arguments->positional.values[command->arguments_max]);
    }
    return CLI_DONE;
}

static int run_command(const CliCommand *command, int argc, char **argv)
{
    CliArguments arguments = {.command = command};
    bool help = false;

    arguments.flags = mem_alloc((command->n_flags + 1) * sizeof *arguments.flags);
    int code = parse(&arguments, argc, argv, &help);
    if (help) {
        Text page = TEXT(1 << 20);
        cli_help(command, &page);
        fputs(text_str(&page), stdout);
        text_free(&page);
    } else if (code == CLI_DONE) {
        code = command->run(&arguments);
    }
    arguments_free(&arguments);
    return code;
}

static const CliCommand *find_command(const char *name)
{
    for (size_t i = 0; i < CLI_COMMAND_COUNT; i++) {
        if (strcmp(CLI_COMMANDS[i]->name, name) == 0) {
            return CLI_COMMANDS[i];
        }
    }
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[NAMES_MAX];
    size_t n = 0;

    while (n < CLI_COMMAND_COUNT && n < NAMES_MAX) {
        names[n] = CLI_COMMANDS[n]->name;
        n++;
    }
    const char *nearest = error_nearest(name, names, n);
    fprintf(stderr, "error: there is no command %s\n", name);
    if (nearest != NULL) {
        fprintf(stderr, "hint: did you mean \"%s\"?\n", nearest);
    } else {
        fputs("hint: freshet help lists the commands\n", stderr);
    }
    return CLI_USAGE;
}

int cli_main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        Text page = TEXT(1 << 20);
        cli_overview(&page);
        fputs(text_str(&page), argc < 2 ? stderr : stdout);
        text_free(&page);
        return argc < 2 ? CLI_USAGE : CLI_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        return run_command(&CLI_VERSION, 0, NULL);
    }
    const CliCommand *command = find_command(argv[1]);
    return command != NULL ? run_command(command, argc - 2, argv + 2) : unknown_command(argv[1]);
}

/* ---- messages ---- */

bool cli_colour(int fd)
{
    const char *no = getenv("NO_COLOR");
    return isatty(fd) && (no == NULL || no[0] == '\0');
}

int cli_usage(const CliCommand *command, const char *format, ...)
{
    va_list args;
    Text message = TEXT(4096);

    va_start(args, format);
    text_vprintf(&message, format, args);
    va_end(args);
    fprintf(stderr, "error: freshet %s: %s\n", command->name, text_str(&message));
    fprintf(stderr, "hint: freshet %s --help\n", command->name);
    text_free(&message);
    return CLI_USAGE;
}

/* The line of the user's text with the place marked below it. Tabs are kept, so that the marks stand right. */
static void append_excerpt(const ErrorPlace *place, const char *mark, const char *plain, Text *out)
{
    char number[16];

    snprintf(number, sizeof number, "%d", place->line);
    text_printf(out, "  %s | %s\n", number, place->source);
    text_printf(out, "  %*s | ", (int)strlen(number), "");
    size_t length = strlen(place->source), column = (size_t)(place->column > 0 ? place->column - 1 : 0);
    for (size_t i = 0; i < column && i < length; i++) {
        unsigned char c = (unsigned char)place->source[i];
        if (c == '\t') {
            text_append_char(out, '\t');
        } else if ((c & 0xc0) != 0x80) { /* one column per character, not per byte */
            text_append_char(out, ' ');
        }
    }
    text_append(out, mark);
    size_t end = column + (size_t)(place->length > 0 ? place->length : 1);
    text_append_char(out, '^');
    for (size_t i = column + 1; i < end && i < length; i++) {
        if (((unsigned char)place->source[i] & 0xc0) != 0x80) {
            text_append_char(out, '^');
        }
    }
    text_append(out, plain);
    text_append_char(out, '\n');
}

void cli_error_text(const Error *err, bool colour, Text *out)
{
    const char *red = colour ? "\033[1;31m" : "", *bold = colour ? "\033[1m" : "", *plain = colour ? "\033[0m" : "";
    const char *klass = err->klass[0] != '\0' ? err->klass : ERROR_DEFS[err->id].klass;

    text_printf(out, "%serror:%s ", red, plain);
    if (err->place.line > 0) {
        text_printf(out, "%s:%d:%d: ", err->place.file, err->place.line, err->place.column);
    }
    text_printf(out, "%s%s%s\n", bold, err->message, plain);
    if (err->place.line > 0 && err->place.source[0] != '\0') {
        append_excerpt(&err->place, red, plain, out);
    }
    if (err->hint[0] != '\0') {
        text_printf(out, "hint: %s\n", err->hint);
    }
    text_printf(out, "code: %s%s%s\n", ERROR_DEFS[err->id].code, klass[0] != '\0' ? " " : "", klass);
}

void cli_error(const Error *err)
{
    Text text = TEXT(1 << 16);

    cli_error_text(err, cli_colour(STDERR_FILENO), &text);
    fputs(text_str(&text), stderr);
    text_free(&text);
}
