/* freshet run and freshet check. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/display.h"
#include "cli/environment.h"
#include "pipeline/pipeline.h"

/* ---- signals ---- */

static Pipeline *signalled;
static volatile sig_atomic_t last_signal;

static void on_signal(int number)
{
    last_signal = number;
    pipeline_stop(signalled);
}

static void catch_signals(Pipeline *pipeline)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    signalled = pipeline;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* ---- arguments ---- */

/* --set key=value, as often as given. */
static Status read_settings(const CliArguments *arguments, Arena *arena, PipelineOptions *out, Error *err)
{
    const char *const *texts = NULL;
    size_t n = cli_values(arguments, "set", &texts);
    PipelineSetting *settings = arena_alloc(arena, (n + 1) * sizeof *settings);

    for (size_t i = 0; i < n; i++) {
        const char *equals = strchr(texts[i], '=');
        if (equals == NULL || equals == texts[i]) {
            return error_set(err, E_USAGE, "--set takes key=value, not '%s'", texts[i]);
        }
        settings[i].key = arena_strndup(arena, texts[i], (size_t)(equals - texts[i]));
        settings[i].value = equals + 1;
    }
    *out = (PipelineOptions){.settings = settings, .n_settings = n};
    return OK;
}

/* "a,b" given several times as one list. */
static const char *const *split_names(const char *const *texts, size_t n, Arena *arena, size_t *count)
{
    size_t max = n;

    for (size_t i = 0; i < n; i++) {
        for (const char *p = texts[i]; *p != '\0'; p++) {
            max += *p == ',';
        }
    }
    const char **out = arena_alloc(arena, (max + 1) * sizeof *out);
    *count = 0;
    for (size_t i = 0; i < n; i++) {
        for (const char *p = texts[i]; *p != '\0';) {
            size_t length = strcspn(p, ",");
            if (length > 0) {
                out[(*count)++] = arena_strndup(arena, p, length);
            }
            p += length + (p[length] == ',');
        }
    }
    return out;
}

static Status read_options(const CliArguments *arguments, Arena *arena, PipelineRunOptions *out, Error *err)
{
    const char *const *texts = NULL;

    *out = (PipelineRunOptions){.mode = PIPELINE_CONTINUOUS,
                                .full_refresh_all = cli_switch(arguments, "full-refresh-all")};
    if (cli_switch(arguments, "available-now") && cli_switch(arguments, "once")) {
        return error_set(err, E_USAGE, "--available-now and --once exclude each other");
    }
    if (cli_switch(arguments, "available-now")) {
        out->mode = PIPELINE_AVAILABLE_NOW;
    } else if (cli_switch(arguments, "once")) {
        out->mode = PIPELINE_ONCE;
    }
    size_t n = cli_values(arguments, "flow", &texts);
    out->only = split_names(texts, n, arena, &out->n_only);
    n = cli_values(arguments, "full-refresh", &texts);
    out->full_refresh = split_names(texts, n, arena, &out->n_full_refresh);
    return OK;
}

static int exit_code(Status rc, const Pipeline *pipeline)
{
    if (pipeline != NULL && last_signal != 0 && pipeline_abandoned(pipeline)) {
        return last_signal == SIGTERM ? CLI_SIGTERM : CLI_SIGINT;
    }
    return rc == OK ? CLI_DONE : rc == ERR_USAGE ? CLI_USAGE : CLI_FAILED;
}

/* What both commands open, and close. */
typedef struct PipelineCommand {
    Arena *arena;
    Environment environment;
    Pipeline *pipeline;
} PipelineCommand;

static Status command_open(PipelineCommand *command, const CliArguments *arguments, Error *err)
{
    Status rc = OK;
    PipelineOptions options = {0};
    const char *const *files = NULL;

    cli_positional(arguments, &files);
    TRY(read_settings(arguments, command->arena, &options, err));
    TRY(environment_open(arguments, &command->environment, err));
    TRY(pipeline_load(command->environment.duck, command->environment.warehouse, files[0], &options, &command->pipeline,
                      err));
out:
    return rc;
}

/* Returns the exit code. */
static int command_close(PipelineCommand *command, Status rc)
{
    int code = exit_code(rc, command->pipeline);

    pipeline_free(command->pipeline);
    environment_close(&command->environment);
    arena_free(command->arena);
    return code;
}

/* ---- run ---- */

static Status run_pipeline(const CliArguments *arguments, const PipelineCommand *command, DisplayKind kind, bool *told,
                           Error *err)
{
    Status rc = OK;
    PipelineRunOptions options = {0};
    Display *display = NULL;

    TRY(read_options(arguments, command->arena, &options, err));
    catch_signals(command->pipeline);
    display = display_open(kind, command->pipeline);
    rc = pipeline_run(command->pipeline, &options, display_observer(display), err);
    *told = display_failures(display) > 0; /* a flow's own error was said when it happened */
    display_close(display);
out:
    return rc;
}

static int run_run(const CliArguments *arguments)
{
    Status rc = OK;
    Error error = ERROR_NONE, *err = &error;
    PipelineCommand command = {.arena = arena_new()};
    const char *progress = cli_value(arguments, "progress");
    DisplayKind kind = DISPLAY_AUTO;
    bool told = false;

    if (progress != NULL && !display_kind(progress, &kind)) {
        rc = error_set(err, E_USAGE, "--progress cannot be '%s': it is auto, bar, plain, json or none", progress);
        goto out;
    }
    TRY(command_open(&command, arguments, err));
    TRY(run_pipeline(arguments, &command, kind, &told, err));
out:
    if (rc != OK && !told) {
        cli_error(err);
    }
    return command_close(&command, rc);
}

static const CliFlag RUN_FLAGS[] = {
    {"available-now", NULL, "take in what is there now, in as many batches as the limits ask for, and end", false},
    {"once", NULL, "one batch with everything that is there, whatever the limits, and end", false},
    {"flow", "NAME", "run only this flow or table; may be given several times", true},
    {"full-refresh", "T[,T]",
     "empty these tables and fill them anew from the beginning of their sources; other tables keep their rows", true},
    {"full-refresh-all", NULL, "the same for every table of the pipeline", false},
    {"set", "KEY=VALUE", "a setting, as SET in the file would give it; wins over the file", true},
    {"progress", "HOW",
     "auto (default), bar, plain, json (progress objects on stdout, one a line) or none (errors only)", false},
    CLI_FLAG_WAREHOUSE,
    CLI_FLAG_MEMORY,
    CLI_FLAG_THREADS,
};

const CliCommand CLI_RUN = {
    .name = "run",
    .arguments = "FILE|DIR",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "keep the tables of a pipeline up to date",
    .text = "Reads the pipeline from a file, or from the .sql files of a folder, and runs its flows and materialized "
            "views until SIGINT or SIGTERM: then the current batches are finished and the state is clean. A second "
            "signal abandons them; they run again at the next start, and no row is lost or doubled either way.\n\n"
            "Progress is kept in a checkpoint per flow (see freshet.checkpointLocation) and, in the same commit as the "
            "rows, in the table itself. So the process may be killed at any moment.\n\n"
            "A flow that fails stops; flows that do not depend on it go on. Errors that may pass (a full disk, a busy "
            "store) are tried again after 5 seconds, doubling to 10 minutes.",
    .flags = RUN_FLAGS,
    .n_flags = sizeof RUN_FLAGS / sizeof *RUN_FLAGS,
    .examples = "  freshet run pipeline.sql\n"
                "  freshet run pipeline.sql --available-now --progress json\n"
                "  freshet run pipelines/ --full-refresh silver.orders\n",
    .run = run_run,
};

/* ---- check ---- */

static void report(void *context, const Error *err)
{
    *(int *)context += 1;
    cli_error(err);
}

static int run_check(const CliArguments *arguments)
{
    Status rc = OK;
    Error error = ERROR_NONE, *err = &error;
    PipelineCommand command = {.arena = arena_new()};
    Text page = TEXT(64 << 20);
    int errors = 0;

    TRY(command_open(&command, arguments, err));
    TRY(pipeline_check(command.pipeline, &page, report, &errors, err));
out:
    fputs(text_str(&page), stdout);
    if (rc != OK && errors == 0) {
        cli_error(err);
    }
    text_free(&page);
    return command_close(&command, rc);
}

static const CliFlag CHECK_FLAGS[] = {
    {"set", "KEY=VALUE", "a setting, as SET in the file would give it; wins over the file", true},
    CLI_FLAG_WAREHOUSE,
    CLI_FLAG_MEMORY,
    CLI_FLAG_THREADS,
};

const CliCommand CLI_CHECK = {
    .name = "check",
    .arguments = "FILE|DIR",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "parse, bind and explain a pipeline; touch nothing",
    .text = "Says for every flow and materialized view what it reads, what columns it gives, and where they go, in the "
            "order in which they depend on each other. Every error is reported, not only the first.",
    .flags = CHECK_FLAGS,
    .n_flags = sizeof CHECK_FLAGS / sizeof *CHECK_FLAGS,
    .examples = "  freshet check pipeline.sql\n",
    .run = run_check,
};
