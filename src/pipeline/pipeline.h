/* A pipeline: the statements of a file (or of the .sql files of a folder) as a graph of tables, views and flows,
 * checked and run.
 *
 *   text -> statements -> definitions (tables, views, flows, settings) -> graph -> plans -> running flows and views
 *
 * The order of statements does not matter. The file is read once.
 */
#ifndef FRESHET_PIPELINE_PIPELINE_H
#define FRESHET_PIPELINE_PIPELINE_H

#include "stream/flow.h"
#include "table/warehouse.h"

typedef struct Pipeline Pipeline;

typedef struct PipelineSetting {
    const char *key, *value;
} PipelineSetting;

typedef struct PipelineOptions {
    const PipelineSetting *settings; /* --set key=value: win over SET in the file */
    size_t n_settings;
} PipelineOptions;

/* Reads and parses; checks names, duplicates, targets and circles, and that every statement belongs into a pipeline. No
 * table is touched. */
Status pipeline_load(Duck *duck, Warehouse *warehouse, const char *path, const PipelineOptions *options, Pipeline **out,
                     Error *err);
/* The same for a text; `name` stands for it in errors. */
Status pipeline_load_text(Duck *duck, Warehouse *warehouse, const char *name, const char *sql,
                          const PipelineOptions *options, Pipeline **out, Error *err);
void pipeline_free(Pipeline *pipeline);

/* `freshet check`: binds and explains every flow and view, one plan each; touches nothing. Goes on after an error in
 * one flow, reports all; the status is that of the first. */
typedef void (*PipelineErrorCallback)(void *context, const Error *err);
Status pipeline_check(Pipeline *pipeline, Text *explanation, PipelineErrorCallback on_error, void *context, Error *err);

typedef enum PipelineRunMode { PIPELINE_CONTINUOUS, PIPELINE_AVAILABLE_NOW, PIPELINE_ONCE } PipelineRunMode;
typedef struct PipelineRunOptions {
    PipelineRunMode mode;    /* CONTINUOUS: each flow by its own trigger */
    const char *const *only; /* --flow NAME; none = all */
    size_t n_only;
    const char *const *full_refresh; /* --full-refresh T[,T] */
    size_t n_full_refresh;
    bool full_refresh_all;
} PipelineRunOptions;

/* What the display sees. Calls come from several threads, one at a time. */
typedef struct PipelineObserver {
    void (*started)(void *context, const char *flow, const char *description);
    void (*progress)(void *context, const char *flow, const char *progress_json);
    void (*warning)(void *context, const char *flow, const char *message);
    void (*failed)(void *context, const char *flow, const Error *err); /* the flow stops */
    void (*waiting)(void *context, const char *flow, const char *why); /* a dependent of a stopped flow */
    void (*finished)(void *context, const char *flow, const FlowStatus *status);
    void *context;
} PipelineObserver;

/* Runs until it is done, stopped, or nothing can run any more. OK only if no flow failed. */
Status pipeline_run(Pipeline *pipeline, const PipelineRunOptions *options, const PipelineObserver *observer,
                    Error *err);
/* Async-signal-safe through a self-pipe: first call finishes current batches, second abandons them. */
void pipeline_stop(Pipeline *pipeline);
bool pipeline_abandoned(const Pipeline *pipeline); /* a second stop cut work short */

/* For a live display: names and states of all flows and views. Any thread. */
typedef struct PipelineFlowView {
    const char *name;
    bool is_view; /* materialized view */
    FlowStatus status;
} PipelineFlowView;
size_t pipeline_flows(const Pipeline *pipeline, PipelineFlowView *views, size_t max);

#endif
