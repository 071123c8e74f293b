/* The generated pages of docs/, each written from the table that the program itself uses. */
#include "cli/docs.h"

#include <string.h>

#include "base/failpoint.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/cli.h"
#include "pipeline/property.h"
#include "session/state.h"
#include "source/sources.h"

enum { PAGE_MAX = 4 << 20 };

/* A cell of a Markdown table: bars are escaped, nothing is left empty. */
static void append_cell(Text *out, const char *s)
{
    text_append(out, "| ");
    for (; *s != '\0'; s++) {
        text_append(out, *s == '|' ? "\\" : "");
        text_append_char(out, *s == '\n' ? ' ' : *s);
    }
    text_append_char(out, ' ');
}

static void append_row(Text *out, const char *const *cells, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        append_cell(out, cells[i]);
    }
    text_append(out, "|\n");
}

static void append_head(Text *out, const char *const *cells, size_t n)
{
    append_row(out, cells, n);
    for (size_t i = 0; i < n; i++) {
        text_append(out, "| --- ");
    }
    text_append(out, "|\n");
}
#define ROW(out, ...) \
    append_row(out, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
#define HEAD(out, ...) \
    append_head(out, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* ---- pages ---- */

static void commands_page(Text *out)
{
    text_append(out, "# Commands\n\n");
    for (size_t i = 0; i < CLI_COMMAND_COUNT; i++) {
        text_printf(out, "## freshet %s\n\n```\n", CLI_COMMANDS[i]->name);
        cli_help(CLI_COMMANDS[i], out);
        text_append(out, "```\n\n");
    }
}

static void option_table(Text *out, const StreamOptionSpec *specs, size_t n)
{
    static const char *const types[] = {[STREAM_OPTION_BOOL] = "true, false",         [STREAM_OPTION_LONG] = "number",
                                        [STREAM_OPTION_BYTES] = "size, such as 64m",  [STREAM_OPTION_TEXT] = "text",
                                        [STREAM_OPTION_INTERVAL] = "interval",        [STREAM_OPTION_ENUM] = "",
                                        [STREAM_OPTION_VERSION] = "version or latest"};

    HEAD(out, "option", "value", "default", "meaning");
    for (size_t i = 0; i < n; i++) {
        const char *values = specs[i].values != NULL ? specs[i].values : types[specs[i].type];
        ROW(out, specs[i].name, values, specs[i].default_text != NULL ? specs[i].default_text : "", specs[i].text);
    }
    text_append_char(out, '\n');
}

static void options_page(Text *out)
{
    text_append(out, "# Options of sources\n\nWritten as `WITH (name = value, ...)` after a stream, or as `name => "
                     "value` in `read_files(...)`. "
                     "Names match without case.\n\n## read_files\n\n");
    option_table(out, SOURCE_FILES_OPTIONS, SOURCE_FILES_OPTIONS_COUNT);
    text_append(out, "## Delta tables as streams\n\n");
    option_table(out, SOURCE_DELTA_OPTIONS, SOURCE_DELTA_OPTIONS_COUNT);
    text_append(out, "## read_rate\n\n");
    option_table(out, SOURCE_RATE_OPTIONS, SOURCE_RATE_OPTIONS_COUNT);
    text_append(out, "## state\n\nOf `state('table', ...)`, what the flow of a table remembers.\n\n");
    option_table(out, STATE_OPTIONS, STATE_OPTIONS_COUNT);
}

static void properties_page(Text *out)
{
    text_append(out, "# Properties that steer flows\n\nWritten in `TBLPROPERTIES` of a table or flow, as `SET name = "
                     "value;` for the whole pipeline, "
                     "or as `--set name=value`. They are not stored in the table.\n\n");
    HEAD(out, "property", "value", "default", "may change on restart", "meaning");
    for (size_t i = 0; i < PROPERTY_COUNT; i++) {
        const PropertySpec *spec = &PROPERTIES[i];
        ROW(out, spec->name, spec->values, spec->default_text, spec->may_change ? "yes" : "no", spec->text);
    }
}

static void errors_page(Text *out)
{
    text_append(out, "# Error codes\n\nEvery error ends with its code. Where Delta or Spark know the same error, its "
                     "class stands beside it.\n\n");
    HEAD(out, "code", "class", "meaning");
    for (size_t i = 1; i < ERROR_ID_COUNT; i++) {
        ROW(out, ERROR_DEFS[i].code, ERROR_DEFS[i].klass, ERROR_DEFS[i].text);
    }
}

static void failpoints_page(Text *out)
{
    text_append(out, "# Failpoints\n\nPlaces where a test can stop the program: `FRESHET_FAILPOINT=\"name=crash@1\"`. "
                     "Actions are crash, error and pause; the number is the hit that counts, 0 is every one.\n\n");
    HEAD(out, "failpoint", "what has just happened or is about to");
    for (FailpointId i = 0; i < FAILPOINT_COUNT; i++) {
        ROW(out, failpoint_name(i), failpoint_text(i));
    }
}

static const struct Page {
    const char *file;
    void (*write)(Text *out);
} PAGES[] = {
    {"commands.md", commands_page}, {"options.md", options_page},       {"properties.md", properties_page},
    {"errors.md", errors_page},     {"failpoints.md", failpoints_page},
};

Status docs_generate(const char *folder, Error *err)
{
    Status rc = OK;
    Text page = TEXT(PAGE_MAX), path = TEXT(4096);

    TRY(file_mkdirs(folder, false, err));
    for (size_t i = 0; i < sizeof PAGES / sizeof *PAGES; i++) {
        text_clear(&page);
        text_clear(&path);
        text_append(&page, "<!-- Made by freshet help --generate-docs; change the tables in the code instead. -->\n\n");
        PAGES[i].write(&page);
        path_join(&path, folder, PAGES[i].file);
        TRY(file_write(text_str(&path), text_str(&page), page.length, err));
    }
out:
    text_free(&page);
    text_free(&path);
    return rc;
}
