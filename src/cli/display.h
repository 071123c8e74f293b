/* What people see while a pipeline runs: lines, live bars on a terminal, or progress objects for programs. */
#ifndef FRESHET_CLI_DISPLAY_H
#define FRESHET_CLI_DISPLAY_H

#include "pipeline/pipeline.h"

typedef enum DisplayKind { DISPLAY_AUTO, DISPLAY_BAR, DISPLAY_PLAIN, DISPLAY_JSON, DISPLAY_NONE } DisplayKind;

typedef struct Display Display;

/* Draws on stderr; JSON goes to stdout. AUTO is BAR on a terminal, else PLAIN. */
Display *display_open(DisplayKind kind, Pipeline *pipeline);
/* What pipeline_run is to tell; lives as long as the display. */
const PipelineObserver *display_observer(Display *display);
/* After pipeline_run: takes the bars away. */
void display_close(Display *display);
/* How many flows it has reported as failed. */
int display_failures(const Display *display);
/* A kind by its name in --progress; false when there is none. */
bool display_kind(const char *name, DisplayKind *out);

#endif
