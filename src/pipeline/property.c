/* The table of properties, and which values they take. */
#include "pipeline/property.h"

#include <string.h>

#include "base/text.h"
#include "stream/flow.h"

const PropertySpec PROPERTIES[PROPERTY_COUNT] = {
    {.id = PROPERTY_TRIGGER,
     .name = "freshet.trigger",
     .alias = "pipelines.trigger.interval",
     .values = "an interval such as '30 seconds', 'availableNow' or 'once'",
     .default_text = "as fast as there is input; materialized views 10 seconds",
     .may_change = true,
     .text = "When micro-batches start. An interval starts them at its multiples; missed ones are skipped."},
    {.id = PROPERTY_OUTPUT_MODE,
     .name = "freshet.outputMode",
     .values = "'append', 'update' or 'complete'",
     .default_text = "append",
     .text = "What a batch does to the table. append: rows that never change, of groups when they are complete. "
             "update: the rows of groups that changed, found by their keys. complete: all groups, in the place of what "
             "was there. A query without groups appends."},
    {.id = PROPERTY_CHECKPOINT_LOCATION,
     .name = "freshet.checkpointLocation",
     .values = "a folder",
     .default_text = "<warehouse>/_checkpoints/<schema>/<table>/<flow>/<n>",
     .text = "Where progress is kept: the folder of the table's own flow; other flows use a folder of their name "
             "below."},
    {.id = PROPERTY_DEDUPE_WITHIN,
     .name = "freshet.dedupe.within",
     .values = "'watermark'",
     .default_text = "for ever",
     .text = "How long DISTINCT remembers a key: for ever, or until the watermark's delay has passed since the key's "
             "first row, so that copies further apart appear twice."},
    {.id = PROPERTY_IDLE_TIMEOUT,
     .name = "freshet.watermark.idleTimeout",
     .values = "an interval such as '10 minutes'",
     .default_text = "off",
     .may_change = true,
     .text = "An input with WATERMARK that has given no rows for so long does not hold back the others any more."},
    {.id = PROPERTY_MAX_AHEAD,
     .name = "freshet.watermark.maxAhead",
     .values = "an interval such as '1 day'",
     .default_text = "off",
     .may_change = true,
     .text = "Rows whose event time lies further than this ahead of the batch's time are set aside and counted, so "
             "that one wrong clock cannot close every window."},
    {.id = PROPERTY_KEEP_REJECTED,
     .name = "freshet.keepRejected",
     .values = "true or false",
     .default_text = "false",
     .may_change = true,
     .text = "Keeps the rows that a query sets aside in <table>__rejected: reason (late, no event time, far ahead, "
             "duplicate, evicted, or expectation and its name), row as JSON, batch and watermark. Costs a second pass "
             "over what a step reads."},
    {.id = PROPERTY_RETAIN_BATCHES,
     .name = "freshet.state.retainBatches",
     .values = "a number from 2",
     .default_text = "100",
     .may_change = true,
     .text = "How many batches of offsets, commits and state the checkpoint keeps."},
    {.id = PROPERTY_FSYNC,
     .name = "freshet.fsync",
     .values = "true or false",
     .default_text = "true",
     .may_change = true,
     .global = true,
     .text = "false leaves it to the operating system when data reaches the disk: faster, but a power loss can take "
             "batches that were reported as committed, and leave a table whose newest commits are torn. A crash of the "
             "process alone loses nothing."},
    {.id = PROPERTY_ALLOWED_PATHS,
     .name = "freshet.allowedPaths",
     .values = "folders with commas between them",
     .default_text = "what FRESHET_ALLOWED_PATHS says",
     .may_change = true,
     .global = true,
     .text = "Folders outside of a table's own in which its log may name files, besides the Delta tables of the "
             "warehouse: what shallow clones of tables elsewhere need."},
};

/* Those of the table's log stay with the table (delta/log/checkpoint_write.c, delta/compact.c). */
static bool property_is_of_log(const char *name)
{
    return str_istarts(name, "freshet.checkpoint.") || str_istarts(name, "freshet.log.");
}

bool property_steers(const char *name)
{
    return (str_istarts(name, "freshet.") && !property_is_of_log(name)) || str_istarts(name, "pipelines.");
}

const PropertySpec *property_find(const char *name, Error *err)
{
    const char *names[2 * PROPERTY_COUNT];
    size_t n = 0;

    for (size_t i = 0; i < PROPERTY_COUNT; i++) {
        const PropertySpec *spec = &PROPERTIES[i];
        if (str_ieq(spec->name, name) || (spec->alias != NULL && str_ieq(spec->alias, name))) {
            return spec;
        }
        names[n++] = spec->name;
        if (spec->alias != NULL) {
            names[n++] = spec->alias;
        }
    }
    error_set(err, E_PIPELINE_PROPERTY, "there is no property %s", name);
    const char *nearest = error_nearest(name, names, n);
    if (nearest != NULL) {
        error_hint(err, "did you mean \"%s\"?", nearest);
    } else {
        error_hint(err, "freshet.* and pipelines.* steer flows; any other name is stored with the table");
    }
    return NULL;
}

Status property_check(const PropertySpec *spec, const char *value, Error *err)
{
    FlowTrigger trigger;
    int64_t number = 0;
    bool flag = false, ok = true;

    switch (spec->id) {
    case PROPERTY_TRIGGER: ok = flow_trigger_parse(value, &trigger, NULL) == OK; break;
    case PROPERTY_OUTPUT_MODE:
        ok = str_ieq(value, "append") || str_ieq(value, "update") || str_ieq(value, "complete");
        break;
    case PROPERTY_IDLE_TIMEOUT:
    case PROPERTY_MAX_AHEAD: ok = str_parse_interval(value, &number) && number > 0; break;
    case PROPERTY_DEDUPE_WITHIN: ok = str_ieq(value, "watermark"); break;
    case PROPERTY_CHECKPOINT_LOCATION: ok = value[0] != '\0'; break;
    case PROPERTY_RETAIN_BATCHES: ok = str_parse_i64(value, &number) && number >= 2 && number <= 1000000; break;
    case PROPERTY_KEEP_REJECTED:
    case PROPERTY_FSYNC: ok = str_parse_bool(value, &flag); break;
    case PROPERTY_ALLOWED_PATHS: break; /* looked at when it is set */
    case PROPERTY_COUNT: break;
    }
    if (!ok) {
        Status rc = error_set(err, E_PIPELINE_PROPERTY, "%s cannot be '%s'", spec->name, value);
        error_hint(err, "it takes %s", spec->values);
        return rc;
    }
    return OK;
}
