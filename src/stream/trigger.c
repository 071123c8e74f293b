/* Triggers: what a pipeline file says, and when an interval comes round. */
#include "stream/flow_int.h"

#include <limits.h>

Status flow_trigger_parse(const char *text, FlowTrigger *out, Error *err)
{
    static const struct {
        const char *name;
        FlowTriggerKind kind;
    } WORDS[] = {
        {"availableNow", TRIGGER_AVAILABLE_NOW},
        {"available now", TRIGGER_AVAILABLE_NOW},
        {"once", TRIGGER_ONCE},
        {"continuous", TRIGGER_ASAP},
        {"asap", TRIGGER_ASAP},
    };
    int64_t us = 0;

    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (str_ieq(text, WORDS[i].name)) {
            *out = (FlowTrigger){.kind = WORDS[i].kind};
            return OK;
        }
    }
    if (!str_parse_interval(text, &us) || us < 0) {
        error_set(err, E_PIPELINE_PROPERTY, "'%s' is not a trigger", text);
        error_hint(err, "use an interval such as '30 seconds', or availableNow, once, continuous");
        return error_status(err);
    }
    *out = us == 0 ? (FlowTrigger){.kind = TRIGGER_ASAP} : (FlowTrigger){.kind = TRIGGER_INTERVAL, .interval_us = us};
    return OK;
}

int64_t trigger_next_us(int64_t now_us, int64_t interval_us)
{
    int64_t whole = now_us / interval_us;

    return whole >= INT64_MAX / interval_us - 1 ? INT64_MAX : (whole + 1) * interval_us;
}
