#include "stream/op_aggregate_int.h"

#include <stdio.h>

bool groups_leave(const Aggregate *op)
{
    return op->closer != NO_KEY;
}

bool groups_slide(const Aggregate *op)
{
    return op->window_key != NO_KEY && op->window.sliding;
}

bool groups_close_locally(const Aggregate *op)
{
    return op->zone && op->closer == op->window_key;
}

void groups_append_time(const Aggregate *op, size_t i, Text *out)
{
    const KeyColumn *key = &op->keys[i];
    bool local = op->zone && i == op->window_key;

    text_printf(out,
                local                          ? "epoch_us(CAST(%s AS TIMESTAMP))"
                : key->type->id == DUCK_STRUCT ? "epoch_us(%s.\"end\")"
                                               : "epoch_us(%s)",
                key->name);
}

void groups_append_keys(const Aggregate *op, const char *row, Text *out)
{
    for (size_t i = 0; i < op->n_keys; i++) {
        text_printf(out, "%s%s%s", i ? ", " : "", row, op->keys[i].name);
    }
}

void groups_append_match(const Aggregate *op, const char *a, const char *b, Text *out)
{
    for (size_t i = 0; i < op->n_keys; i++) {
        const char *equals = i == op->window_key || !op->grouped ? "=" : "IS NOT DISTINCT FROM";
        text_printf(out, "%s%s.%s %s %s.%s", i ? " AND " : "", a, op->keys[i].name, equals, b, op->keys[i].name);
    }
}

void groups_append_bounds(const Aggregate *op, const Touched *touched, const char *row, Text *out)
{
    if (op->range && touched->bounded) {
        text_printf(out, " AND %s%s BETWEEN %lld AND %lld", row, op->range, (long long)touched->lo,
                    (long long)touched->hi);
    }
}

static void append_key_source(const Aggregate *op, size_t i, Text *out)
{
    const char *name = op->keys[i].name;

    if (!op->grouped) {
        text_printf(out, "0::TINYINT AS %s", name);
    } else if (i == op->window_key) {
        Text time = TEXT(4096);
        groups_append_time(op, i, &time);
        window_append_pane(&op->window, text_str(&time), out);
        text_printf(out, " AS %s", name);
        text_free(&time);
    } else {
        text_append(out, name);
    }
}

void groups_append_source(const Aggregate *op, bool kept, Text *out)
{
    const SqlStep *step = op->base.step;

    if (kept && !op->raw) {
        text_append(out, op->input);
        return;
    }
    text_append(out, "(SELECT ");
    for (size_t i = 0; i < op->n_keys; i++) {
        text_append(out, i ? ", " : "");
        append_key_source(op, i, out);
    }
    for (size_t i = 0; i < step->n_arguments; i++) {
        text_printf(out, ", a%zu", i);
    }
    for (size_t i = 0; i < step->n_filters; i++) {
        text_printf(out, ", f%zu", i);
    }
    text_printf(out, kept ? " FROM %s)" : " FROM (%s))", kept ? op->input : step->input);
}

void groups_append_expires(const Aggregate *op, Text *out)
{
    if (!groups_leave(op)) {
        return;
    }
    const KeyColumn *key = &op->keys[op->closer];
    text_append(out, ", ");
    if (op->closer == op->window_key) {
        window_append_last_end(&op->window, key->name, out);
    } else {
        groups_append_time(op, op->closer, out);
    }
    text_append(out, " AS expires");
}

void groups_append_open(const Aggregate *op, const StreamOperatorBatch *batch, Text *out)
{
    if (op->window_key == NO_KEY) {
        text_append(out, "true");
    } else {
        text_printf(out, "%s IS NOT NULL", op->keys[op->window_key].name);
    }
    if (groups_leave(op) && batch->late_us != INT64_MIN) {
        text_printf(out, " AND coalesce(expires > %lld, true)", (long long)batch->late_us);
    }
}

void groups_append_fan(const Aggregate *op, const char *relation, int64_t after_us, int64_t until_us, Text *out)
{
    const char *key = op->keys[op->window_key].name;
    long long size = (long long)op->window.size_us;

    text_printf(out, "(SELECT * EXCLUDE (start) REPLACE (start AS %s), %s AS pane FROM (SELECT o.*, ", key, key);
    window_append_start(&op->window, key, "step", out);
    text_printf(out, " AS start FROM %s o CROSS JOIN range(%lld) AS steps(step)) WHERE %s < start + %lld", relation,
                (long long)window_steps(&op->window), key, size);
    if (after_us != INT64_MIN) {
        text_printf(out, " AND start + %lld > %lld", size, (long long)after_us);
    }
    if (until_us != INT64_MAX) {
        text_printf(out, " AND start + %lld <= %lld", size, (long long)until_us);
    }
    text_append(out, ")");
}

void groups_append_values(const AggregateSide *side, const char *row, Text *out)
{
    for (size_t i = 0; i < side->n_columns; i++) {
        text_printf(out, ", %sv%zu", row, i);
    }
}
