/* freshet help, --help pages, and the generated parts of the manual: all from the tables the code uses. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/docs.h"

enum { PAGE_COLUMNS = 96 };

/* Appends words of `text` wrapped at the page's width, each line after `indent` spaces; an empty line stays a
 * paragraph. */
static void append_wrapped(Text *out, const char *text, int indent)
{
    int column = 0;

    for (const char *p = text; *p != '\0';) {
        if (*p == '\n') {
            text_append(out, p[1] == '\n' ? "\n\n" : "\n");
            p += p[1] == '\n' ? 2 : 1;
            column = 0;
            continue;
        }
        size_t n = strcspn(p, " \n");
        if (column > 0 && column + 1 + (int)n > PAGE_COLUMNS - indent) {
            text_append_char(out, '\n');
            column = 0;
        }
        text_printf(out, "%*s", column == 0 ? indent : 1, "");
        column += column == 0 ? (int)n : (int)n + 1;
        text_append_n(out, p, n);
        p += n;
        p += *p == ' ';
    }
    text_append_char(out, '\n');
}

static void append_flag(Text *out, const CliFlag *flag)
{
    text_printf(out, "  %s%s%s%s\n", strlen(flag->name) == 1 ? "-" : "--", flag->name, flag->value != NULL ? " " : "",
                flag->value != NULL ? flag->value : "");
    append_wrapped(out, flag->text, 8);
}

void cli_help(const CliCommand *command, Text *out)
{
    text_printf(out, "NAME\n  freshet %s - %s\n\nSYNOPSIS\n  freshet %s", command->name, command->summary,
                command->name);
    text_printf(out, "%s%s%s\n", command->arguments[0] != '\0' ? " " : "", command->arguments,
                command->n_flags > 0 ? " [FLAGS]" : "");
    text_append(out, "\nDESCRIPTION\n");
    append_wrapped(out, command->text, 2);
    if (command->n_flags > 0) {
        text_append(out, "\nFLAGS\n");
    }
    for (size_t i = 0; i < command->n_flags; i++) {
        append_flag(out, &command->flags[i]);
    }
    if (command->examples != NULL) {
        text_printf(out, "\nEXAMPLES\n%s", command->examples);
    }
    text_append(out, "\nEXIT CODES\n"
                     "  0 done; 1 a statement or flow failed; 2 wrong usage; 130, 143 stopped by a signal while work "
                     "was abandoned\n");
}

void cli_overview(Text *out)
{
    text_append(out, "freshet keeps Delta tables up to date from files and other Delta tables, exactly once.\n\n");
    for (size_t i = 0; i < CLI_COMMAND_COUNT; i++) {
        text_printf(out, "  freshet %-8s %-12s %s\n", CLI_COMMANDS[i]->name, CLI_COMMANDS[i]->arguments,
                    CLI_COMMANDS[i]->summary);
    }
    text_append(out, "\nfreshet COMMAND --help tells more.\n");
}

static int run_help(const CliArguments *arguments)
{
    const char *const *values = NULL;
    size_t n = cli_positional(arguments, &values);
    const char *folder = cli_value(arguments, "generate-docs");
    Text page = TEXT(1 << 20);
    int code = CLI_DONE;

    if (folder != NULL) {
        Error err = ERROR_NONE;
        if (docs_generate(folder, &err) != OK) {
            cli_error(&err);
            return CLI_FAILED;
        }
        return CLI_DONE;
    }
    if (n == 0) {
        cli_overview(&page);
    }
    for (size_t i = 0; n > 0 && i < CLI_COMMAND_COUNT; i++) {
        if (strcmp(CLI_COMMANDS[i]->name, values[0]) == 0) {
            cli_help(CLI_COMMANDS[i], &page);
        }
    }
    if (page.length == 0) {
        code = cli_usage(&CLI_HELP, "there is no command %s", values[0]);
    }
    fputs(text_str(&page), stdout);
    text_free(&page);
    return code;
}

static const CliFlag HELP_FLAGS[] = {
    {"generate-docs", "DIR", "write the pages of the manual that are made from the program's own tables", false},
};

const CliCommand CLI_HELP = {
    .name = "help",
    .arguments = "[COMMAND]",
    .arguments_max = 1,
    .summary = "list the commands, or explain one",
    .text = "The same page as freshet COMMAND --help.",
    .flags = HELP_FLAGS,
    .n_flags = sizeof HELP_FLAGS / sizeof *HELP_FLAGS,
    .run = run_help,
};
