/* The public functions over session and pipeline. Nothing is decided here: texts and errors are handed through. */
#include "freshet.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "pipeline/pipeline.h"
#include "session/session.h"

enum { ROW_BYTES_MAX = 256 << 20, PAGE_BYTES_MAX = 64 << 20 };

struct freshet {
    Duck *duck;
    Warehouse *warehouse;
    Session *session;
};

struct freshet_pipeline {
    Pipeline *pipeline;
};

static void copy(char *field, size_t size, const char *text)
{
    snprintf(field, size, "%s", text);
}

/* 0, or the status after telling the caller. */
static int answer(Status rc, const Error *err, freshet_error *out)
{
    if (rc != OK && out != NULL) {
        *out = (freshet_error){.line = err->place.line, .column = err->place.column};
        copy(out->code, sizeof out->code, ERROR_DEFS[err->id].code);
        copy(out->message, sizeof out->message, err->message);
        copy(out->hint, sizeof out->hint, err->hint);
        copy(out->file, sizeof out->file, err->place.file);
    }
    return (int)rc;
}

const char *freshet_version(void)
{
    return FRESHET_VERSION;
}

/* ---- the engine ---- */

int freshet_open(const freshet_config *config, freshet **out, freshet_error *error)
{
    Status rc = OK;
    Error local = ERROR_NONE, *err = &local;
    freshet_config chosen = {0};
    freshet *engine = mem_alloc(sizeof *engine);

    if (config != NULL) {
        if (config->size > sizeof chosen || config->size < sizeof config->size) {
            rc = error_set(err, E_USAGE, "freshet_config.size is %zu: this library knows %zu bytes", config->size,
                           sizeof chosen);
            goto out;
        }
        memcpy(&chosen, config, config->size);
    }
    DuckConfig duck = {.memory_limit_bytes = chosen.memory_bytes, .threads = chosen.threads};
    TRY(duck_open(&duck, &engine->duck, err));
    TRY(warehouse_open(engine->duck, chosen.warehouse, &engine->warehouse, err));
    TRY(session_open(engine->duck, engine->warehouse, &engine->session, err));
    *out = engine;
    engine = NULL;
out:
    freshet_close(engine);
    return answer(rc, err, error);
}

void freshet_close(freshet *engine)
{
    if (engine != NULL) {
        session_close(engine->session);
        warehouse_close(engine->warehouse);
        duck_close(engine->duck);
        mem_free(engine);
    }
}

/* Hands out the rows of a result; *stop: the callback has had enough. */
static Status hand_out(DuckResult *result, freshet_row_callback on_row, void *context, bool *stop, Error *err)
{
    Status rc = OK;
    Text row = TEXT(ROW_BYTES_MAX);
    bool rows = duck_result_changed(result) < 0 && duck_result_columns(result) > 0, more = true;

    while (!*stop) {
        TRY(duck_result_next(result, &more, err));
        if (!more) {
            break;
        }
        if (!rows || on_row == NULL) {
            continue;
        }
        text_clear(&row);
        duck_result_row_json(result, &row);
        if (row.overflow) {
            rc = error_set(err, E_LIMIT, "a row of the result is larger than %d bytes", ROW_BYTES_MAX);
            goto out;
        }
        *stop = on_row(context, text_str(&row), row.length) != 0;
    }
out:
    text_free(&row);
    return rc;
}

int freshet_execute(freshet *engine, const char *sql, freshet_row_callback on_row, void *context, freshet_error *error)
{
    Status rc = OK;
    Error local = ERROR_NONE, *err = &local;
    SqlText text = {.name = "sql", .data = sql, .length = strlen(sql)};
    SqlScript *script = NULL;
    const SqlStatement *statements = NULL;
    DuckResult *result = NULL;
    bool stop = false;

    TRY(sql_script_parse(&text, &script, err));
    size_t n = sql_script_statements(script, &statements);
    for (size_t i = 0; i < n && !stop; i++) {
        TRY(session_run(engine->session, &text, &statements[i], &result, err));
        if (result != NULL && session_wants_rows(statements, n, i)) {
            TRY(hand_out(result, on_row, context, &stop, err));
        }
        duck_result_free(result);
        result = NULL;
        session_finish(engine->session);
    }
out:
    duck_result_free(result);
    session_finish(engine->session);
    sql_script_free(script);
    return answer(rc, err, error);
}

/* ---- pipelines ---- */

int freshet_pipeline_open(freshet *engine, const char *name, const char *sql, freshet_pipeline **out,
                          freshet_error *error)
{
    Status rc = OK;
    Error local = ERROR_NONE, *err = &local;
    freshet_pipeline *pipeline = mem_alloc(sizeof *pipeline);

    TRY(pipeline_load_text(engine->duck, engine->warehouse, name, sql, NULL, &pipeline->pipeline, err));
    *out = pipeline;
    pipeline = NULL;
out:
    mem_free(pipeline);
    return answer(rc, err, error);
}

void freshet_pipeline_close(freshet_pipeline *pipeline)
{
    if (pipeline != NULL) {
        pipeline_free(pipeline->pipeline);
        mem_free(pipeline);
    }
}

/* What the observer of a run knows. */
typedef struct Watch {
    freshet_progress_callback on_progress;
    void *context;
} Watch;

static void on_progress(void *context, const char *flow, const char *json)
{
    Watch *watch = context;

    if (watch->on_progress != NULL) {
        watch->on_progress(watch->context, flow, json);
    }
}

int freshet_pipeline_run(freshet_pipeline *pipeline, freshet_run_mode mode, freshet_progress_callback progress,
                         void *context, freshet_error *error)
{
    static const PipelineRunMode MODES[] = {[FRESHET_CONTINUOUS] = PIPELINE_CONTINUOUS,
                                            [FRESHET_AVAILABLE_NOW] = PIPELINE_AVAILABLE_NOW,
                                            [FRESHET_ONCE] = PIPELINE_ONCE};
    Error err = ERROR_NONE;
    Watch watch = {.on_progress = progress, .context = context};
    PipelineObserver observer = {.progress = on_progress, .context = &watch};

    if ((unsigned)mode >= sizeof MODES / sizeof *MODES) {
        return answer(error_set(&err, E_USAGE, "there is no run mode %d", (int)mode), &err, error);
    }
    PipelineRunOptions options = {.mode = MODES[mode]};
    Status rc = pipeline_run(pipeline->pipeline, &options, &observer, &err);
    return answer(rc, &err, error);
}

void freshet_pipeline_stop(freshet_pipeline *pipeline)
{
    pipeline_stop(pipeline->pipeline);
}

static void ignore(void *context, const Error *err)
{
    (void)context;
    (void)err; /* the first one is the status */
}

int freshet_pipeline_explain(freshet_pipeline *pipeline, char *buffer, size_t size, freshet_error *error)
{
    Error err = ERROR_NONE;
    Text page = TEXT(PAGE_BYTES_MAX);
    Status rc = pipeline_check(pipeline->pipeline, &page, ignore, NULL, &err);

    if (size > 0) {
        copy(buffer, size, text_str(&page));
    }
    text_free(&page);
    return answer(rc, &err, error);
}

/* ---- for tests ---- */

int freshet_failpoint(const char *name, const char *action, int hit, freshet_error *error)
{
    Error err = ERROR_NONE;

    if (name == NULL) {
        failpoint_reset();
        return 0;
    }
    if (failpoint_arm_named(name, action != NULL ? action : "off", hit)) {
        return 0;
    }
    return answer(error_set(&err, E_USAGE, "there is no failpoint '%s' or no action '%s'", name, action), &err, error);
}

static _Atomic int64_t fixed_us;

static int64_t fixed_clock(void *context)
{
    (void)context;
    return fixed_us;
}

void freshet_set_clock(int64_t now_us)
{
    fixed_us = now_us;
    clock_set(now_us != 0 ? fixed_clock : NULL, NULL);
}
