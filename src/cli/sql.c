/* freshet sql: statements from the command line, a file, standard input or a prompt. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/environment.h"
#include "cli/output.h"
#include "cli/prompt.h"
#include "session/session.h"
#include "sql/lexer.h"

enum { SCRIPT_MAX = 64 << 20 };

/* Ctrl-C stops the running statement, not the prompt: a thread of its own waits for the signal, because DuckDB may not
 * be called from a handler. DuckDB forgets an interrupt that comes while a statement only begins, so it is said again
 * until the statement has ended. */
typedef struct Interrupts {
    DuckConn *conn;
    atomic_bool running, wanted;
    pthread_t waiter;
    bool waiting;
} Interrupts;

static void *wait_for_interrupts(void *arg)
{
    static const struct timespec AGAIN = {.tv_nsec = 50 * 1000 * 1000};
    Interrupts *interrupts = arg;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    for (;;) {
        int number = sigtimedwait(&set, NULL, atomic_load(&interrupts->wanted) ? &AGAIN : NULL);
        if (number == SIGINT && atomic_load(&interrupts->running)) {
            atomic_store(&interrupts->wanted, true);
        }
        if (atomic_load(&interrupts->wanted)) {
            duck_interrupt(interrupts->conn);
        }
    }
    return NULL;
}

static void interrupts_start(Interrupts *interrupts, DuckConn *conn)
{
    interrupts->conn = conn;
    interrupts->waiting = pthread_create(&interrupts->waiter, NULL, wait_for_interrupts, interrupts) == 0;
}

static void interrupts_end(Interrupts *interrupts)
{
    if (interrupts->waiting) {
        pthread_cancel(interrupts->waiter); /* sigtimedwait is a place where it may end */
        pthread_join(interrupts->waiter, NULL);
    }
}

typedef struct SqlRun {
    Session *session;
    const OutputFormat *format;
    FILE *out;
    Interrupts interrupts; /* of the prompt */
} SqlRun;

/* For all threads that start from here on, DuckDB's among them: so before the instance is opened. */
static void block_interrupts(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* `show`: its rows are wanted; else they are only made. */
static Status run_statement(SqlRun *run, const SqlText *text, const SqlStatement *statement, bool show, Error *err)
{
    Status rc = OK;
    DuckResult *result = NULL;
    bool more = true;

    TRY(session_run(run->session, text, statement, &result, err));
    if (result == NULL) {
        goto out;
    }
    /* COPY, CREATE, ... have no rows to show. */
    if (!show || duck_result_changed(result) >= 0 || duck_result_columns(result) == 0) {
        while (more) {
            TRY(duck_result_next(result, &more, err));
        }
        goto out;
    }
    TRY(run->format->write(result, run->out, err));
out:
    duck_result_free(result);
    session_finish(run->session);
    return rc;
}

static Status run_script(SqlRun *run, const char *name, const char *data, size_t n, Error *err)
{
    Status rc = OK;
    SqlText text = {.name = name, .data = data, .length = n};
    SqlScript *script = NULL;
    const SqlStatement *statements = NULL;

    TRY(sql_script_parse(&text, &script, err));
    size_t count = sql_script_statements(script, &statements);
    for (size_t i = 0; i < count; i++) {
        bool show = !run->format->for_programs || session_wants_rows(statements, count, i);
        TRY(run_statement(run, &text, &statements[i], show, err));
        if (fflush(run->out) != 0) {
            rc = error_errno(err, "writing the result");
            goto out;
        }
    }
out:
    sql_script_free(script);
    return rc;
}

/* The last query of a script as a Parquet file: `--format parquet -o FILE`. */
static Status run_to_parquet(SqlRun *run, const char *name, const char *data, size_t n, const char *file, Error *err)
{
    Status rc = OK;
    Text copy = TEXT(SCRIPT_MAX + 4096);
    SqlText text = {.name = name, .data = data, .length = n};
    SqlScript *script = NULL;
    const SqlStatement *statements = NULL;

    TRY(sql_script_parse(&text, &script, err));
    size_t count = sql_script_statements(script, &statements);
    if (count != 1 || statements[0].kind != SQL_QUERY) {
        rc = error_set(err, E_USAGE, "--format parquet takes exactly one query");
        goto out;
    }
    text_append(&copy, "COPY (");
    text_append_n(&copy, data + statements[0].span.begin, statements[0].span.end - statements[0].span.begin);
    text_append(&copy, "\n) TO ");
    text_append_sql_string(&copy, file);
    text_append(&copy, " (FORMAT parquet)");
    TRY(run_script(run, name, text_str(&copy), copy.length, err));
out:
    sql_script_free(script);
    text_free(&copy);
    return rc;
}

/* Words that other prompts have taught people, alone on a line and with or without a ';'. */
static bool is_word(const char *line, const char *const *words)
{
    size_t n = strcspn(line += strspn(line, " \t"), " \t;");

    if (line[n + strspn(line + n, " \t;")] != '\0') {
        return false;
    }
    while (*words != NULL && (strlen(*words) != n || strncasecmp(line, *words, n) != 0)) {
        words++;
    }
    return *words != NULL;
}

static const char *const LEAVE[] = {"exit", "quit", "\\q", ".exit", ".quit", NULL};
static const char *const EXPLAIN[] = {"help", "\\?", "\\h", ".help", NULL};

static const char PROMPT_HELP[] =
    "Statements may go over several lines and end with ';'. Ctrl-C stops one, Ctrl-D or exit leaves.\n"
    "  SHOW TABLES;                  the tables of the warehouse\n"
    "  DESCRIBE silver.orders;       columns; DESCRIBE HISTORY and DESCRIBE DETAIL tell more\n"
    "  SELECT * FROM silver.orders VERSION AS OF 3;\n"
    "freshet sql --help and docs/manual.md have the rest.\n";

static void run_lines(SqlRun *run, Prompt *prompt, Text *statement)
{
    const SqlText text = {.name = "<prompt>", .data = text_str(statement), .length = statement->length};

    if (text_str(statement)[strspn(text_str(statement), " \t\n")] == '\0') {
        text_clear(statement);
    } else if (sql_is_ended(&text)) {
        Error err = ERROR_NONE;
        prompt_remember(prompt, text_str(statement));
        atomic_store(&run->interrupts.running, true);
        if (run_script(run, text.name, text.data, text.length, &err) != OK) {
            cli_error(&err);
        }
        atomic_store(&run->interrupts.running, false);
        atomic_store(&run->interrupts.wanted, false);
        text_clear(statement);
    }
}

/* Reads and runs lines until the end of input; an error ends a statement, not the prompt. */
static int run_prompt(SqlRun *run)
{
    Text statement = TEXT(SCRIPT_MAX);
    Prompt *prompt = prompt_open();
    char *line = NULL;

    interrupts_start(&run->interrupts, session_conn(run->session));
    printf("freshet: SQL over Delta tables. End a statement with ';', leave with Ctrl-D; help tells more.\n");
    while ((line = prompt_read(prompt, statement.length == 0 ? "freshet> " : "    ...> ")) != NULL) {
        bool leave = statement.length == 0 && is_word(line, LEAVE);
        if (statement.length == 0 && is_word(line, EXPLAIN)) {
            fputs(PROMPT_HELP, stdout);
        } else if (!leave) {
            text_append(&statement, line);
            text_append_char(&statement, '\n');
            run_lines(run, prompt, &statement);
        }
        mem_free(line);
        if (leave) {
            break;
        }
    }
    interrupts_end(&run->interrupts);
    prompt_close(prompt);
    text_free(&statement);
    return CLI_DONE;
}

/* The text of -c, of a file, or of standard input. */
static Status read_script(const CliArguments *arguments, Text *script, const char **name, Error *err)
{
    Status rc = OK;
    const char *const *files = NULL;
    const char *const *statements = NULL;
    size_t n_files = cli_positional(arguments, &files), n = cli_values(arguments, "c", &statements);

    *name = "-c";
    for (size_t i = 0; i < n; i++) {
        text_append(script, i == 0 ? "" : ";\n");
        text_append(script, statements[i]);
    }
    if (n_files == 1) {
        *name = files[0];
        TRY(file_read(files[0], SCRIPT_MAX, script, err));
    } else if (n == 0) {
        *name = "<stdin>";
        TRY(file_read_fd(STDIN_FILENO, "standard input", SCRIPT_MAX, script, err));
    }
    if (script->overflow) {
        rc = error_set(err, E_LIMIT, "the statements are longer than %d bytes", SCRIPT_MAX);
    }
out:
    return rc;
}

static Status run_all(const CliArguments *arguments, SqlRun *run, const char *parquet_file, Error *err)
{
    Status rc = OK;
    Text script = TEXT(SCRIPT_MAX);
    const char *name = NULL;

    TRY(read_script(arguments, &script, &name, err));
    if (parquet_file != NULL) {
        rc = run_to_parquet(run, name, text_str(&script), script.length, parquet_file, err);
    } else {
        rc = run_script(run, name, text_str(&script), script.length, err);
    }
out:
    text_free(&script);
    return rc;
}

static int run_sql(const CliArguments *arguments)
{
    Status rc = OK;
    Error error = ERROR_NONE, *err = &error;
    Environment environment = {0};
    SqlRun run = {.out = stdout};
    FILE *file = NULL;
    const char *const *files = NULL;
    const char *format = cli_value(arguments, "format"), *output = cli_value(arguments, "o"), *names = NULL;
    bool prompt = cli_positional(arguments, &files) == 0 && cli_value(arguments, "c") == NULL && isatty(STDIN_FILENO);
    bool parquet = format != NULL && strcmp(format, "parquet") == 0;
    int code = CLI_DONE;

    run.format = output_format(format != NULL && !parquet ? format : "table", &names);
    if (run.format == NULL) {
        return cli_usage(&CLI_SQL, "there is no format %s; it is one of %s", format, names);
    }
    if (parquet && output == NULL) {
        return cli_usage(&CLI_SQL, "--format parquet needs a file: -o FILE");
    }
    if (output != NULL && !parquet) {
        file = run.out = fopen(output, "we");
        if (file == NULL) {
            rc = error_errno(err, "opening %s", output);
            goto out;
        }
    }
    if (prompt) {
        block_interrupts();
    }
    TRY(environment_open(arguments, &environment, err));
    TRY(session_open(environment.duck, environment.warehouse, &run.session, err));
    if (prompt) {
        code = run_prompt(&run);
    } else {
        TRY(run_all(arguments, &run, parquet ? output : NULL, err));
    }
out:
    session_close(run.session);
    environment_close(&environment);
    if (file != NULL && fclose(file) != 0 && rc == OK) {
        rc = error_errno(err, "writing %s", output);
    }
    if (rc != OK) {
        cli_error(err);
    }
    return rc == OK ? code : rc == ERR_USAGE ? CLI_USAGE : CLI_FAILED;
}

static const CliFlag SQL_FLAGS[] = {
    {"c", "STATEMENTS", "run these statements; may be given several times", true},
    {"format", "FORMAT",
     "how rows are written: table (default), box, csv, jsonl (one object a line, all digits kept), or parquet", false},
    {"o", "FILE", "write rows there instead of standard output", false},
    CLI_FLAG_WAREHOUSE,
    CLI_FLAG_MEMORY,
    CLI_FLAG_THREADS,
};

const CliCommand CLI_SQL = {
    .name = "sql",
    .arguments = "[FILE]",
    .arguments_max = 1,
    .summary = "ask questions of Delta tables, and change them",
    .text = "Runs SQL statements, DuckDB's language, over the tables of the warehouse and over any Delta table by its "
            "place:\n"
            "  SELECT * FROM silver.orders\n"
            "  SELECT * FROM delta.`/data/lake/orders` VERSION AS OF 3\n"
            "  SELECT * FROM orders TIMESTAMP AS OF '2026-01-01 08:00:00'\n"
            "  SELECT * FROM read_files('/data/in/*.json')\n"
            "  SELECT * FROM state('gold.hourly')      what the flow of a table remembers (docs/state.md)\n\n"
            "Beside them stand the statements of Delta (docs/manual.md):\n"
            "  CREATE [OR REPLACE] TABLE, CREATE TABLE ... [SHALLOW | DEEP] CLONE, CREATE TABLE ... LIKE\n"
            "  DROP TABLE, ALTER TABLE, COMMENT ON TABLE, RESTORE, CONVERT TO DELTA\n"
            "  INSERT INTO, INSERT OVERWRITE, INSERT INTO ... REPLACE WHERE, UPDATE, DELETE, MERGE\n"
            "  DESCRIBE [EXTENDED | HISTORY | DETAIL], SHOW TABLES, SHOW TBLPROPERTIES, SHOW CREATE TABLE\n"
            "  CREATE SCHEMA, DROP SCHEMA, USE, SHOW SCHEMAS, CREATE TEMPORARY VIEW, SET\n\n"
            "Tables that a pipeline writes at the same time are read at their newest version.\n\n"
            "Without FILE and -c it reads standard input, or opens a prompt on a terminal.",
    .flags = SQL_FLAGS,
    .n_flags = sizeof SQL_FLAGS / sizeof *SQL_FLAGS,
    .examples = "  freshet sql -c \"SELECT country, count(*) FROM bronze.clicks GROUP BY ALL\"\n"
                "  freshet sql --format jsonl -c \"DESCRIBE HISTORY silver.orders\"\n"
                "  freshet sql report.sql -o report.csv --format csv\n",
    .run = run_sql,
};
