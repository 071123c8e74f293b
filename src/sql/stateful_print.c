/* A plan for people: the lines of `freshet check`. */
#include "sql/stateful_int.h"

static void print_aggregate(const SqlStep *step, SqlOutputMode mode, Text *out)
{
    text_printf(out, "%s", step->title);
    text_append(out, "   state: ");
    text_append(out, step->kind == SQL_STEP_SESSION ? "sessions" : "groups");
    for (size_t i = 0; i < step->n_aggregates; i++) {
        if (step->aggregates[i].distinct) {
            text_printf(out, " + %s", step->aggregates[i].text);
        }
    }
    if (mode == SQL_OUTPUT_COMPLETE) {
        text_append(out, ", kept for ever");
    } else if (!step->watermarked) {
        text_append(out, ", kept for ever: no grouping key carries a watermark");
    } else {
        bool window = step->kind == SQL_STEP_SESSION;
        for (size_t i = 0; i < step->n_keys; i++) {
            window = window || step->keys[i].is_window;
        }
        text_printf(out, "; closes at %s", window ? "window.end" : "the watermark");
    }
}

static void print_distinct(const SqlStep *step, Text *out)
{
    text_printf(out, "%s   state: keys", step->title);
    if (step->event_time_is_key) {
        text_append(out, "; a key leaves behind the watermark");
    } else if (step->within_watermark) {
        text_append(out, "; a key leaves ");
        sql_duration_print(step->delay_us, out);
        text_append(out, " after its first row: copies further apart appear twice");
    } else {
        text_append(out, ", kept for ever");
    }
}

static void print_join(const SqlStep *step, Text *out)
{
    text_printf(out, "%s   state: rows of", step->title);
    for (size_t i = 0; i < step->n_sides; i++) {
        const SqlJoinSide *side = &step->sides[i];
        text_printf(out, "%s %s", i == 0 ? "" : ";", side->alias);
        if (!side->bounded) {
            text_append(out, " kept for ever");
        } else if (side->slack_us == 0) {
            text_append(out, " until the watermark");
        } else if (side->slack_us > 0) {
            text_append(out, " for ");
            sql_duration_print(side->slack_us, out);
            text_append(out, " of event time");
        } else {
            text_append(out, " until ");
            sql_duration_print(-side->slack_us, out);
            text_append(out, " before the watermark");
        }
    }
}

void sql_stateful_plan_print(const SqlStatefulPlan *plan, Text *out)
{
    static const char *const NAMES[] = {[SQL_STEP_AGGREGATE] = "aggregate",
                                        [SQL_STEP_SESSION] = "session",
                                        [SQL_STEP_DISTINCT] = "distinct",
                                        [SQL_STEP_JOIN] = "join"};
    for (size_t i = 0; i < plan->n_steps; i++) {
        const SqlStep *step = &plan->steps[i];
        text_printf(out, "  %-8s ", NAMES[step->kind]);
        if (step->kind == SQL_STEP_DISTINCT) {
            print_distinct(step, out);
        } else if (step->kind == SQL_STEP_JOIN) {
            print_join(step, out);
        } else {
            print_aggregate(step, plan->mode, out);
        }
        text_append_char(out, '\n');
    }
}
