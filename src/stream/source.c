/* What all sources share: giving back a relation, and checking options against a source's table. */
#include "stream/source.h"

#include <string.h>

#include "base/mem.h"

void stream_relation_release(StreamRelation *relation)
{
    if (!relation) {
        return;
    }
    if (relation->release) {
        relation->release(relation->owner);
    }
    mem_free(relation->sql);
    *relation = (StreamRelation){0};
}

const char *stream_option_get(const StreamOption *options, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (options[i].key && str_ieq(options[i].key, name)) {
            return options[i].value;
        }
    }
    return NULL;
}

/* ---- checking ---- */

static Status placed(Error *err, const StreamOption *option)
{
    if (err) {
        err->place = option->place;
    }
    return error_status(err);
}

/* "a|b|c" holds the word, without case. */
static bool one_of(const char *values, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = values; at;) {
        const char *bar = strchr(at, '|');
        size_t length = bar ? (size_t)(bar - at) : strlen(at);
        if (length == n && strncasecmp(at, word, n) == 0) {
            return true;
        }
        at = bar ? bar + 1 : NULL;
    }
    return false;
}

/* NULL when the value is legal, else what it has to be. `room` holds the text where it is made. */
static const char *wanted(const StreamOptionSpec *spec, const char *value, Text *room)
{
    int64_t number = 0;
    bool flag = false;

    switch (spec->type) {
    case STREAM_OPTION_BOOL: return str_parse_bool(value, &flag) ? NULL : "true or false";
    case STREAM_OPTION_LONG:
        if (str_parse_i64(value, &number) && number >= spec->min) {
            return NULL;
        }
        text_printf(room, "a whole number of at least %lld", (long long)spec->min);
        return text_str(room);
    case STREAM_OPTION_BYTES:
        if (str_parse_bytes(value, &number) && number >= spec->min) {
            return NULL;
        }
        text_printf(room, "a size of at least %lld bytes, such as 1048576, 10m or 1g", (long long)spec->min);
        return text_str(room);
    case STREAM_OPTION_INTERVAL:
        return str_parse_interval(value, &number) ? NULL : "an interval of fixed length, such as '7 days'";
    case STREAM_OPTION_ENUM:
        if (one_of(spec->values, value)) {
            return NULL;
        }
        text_append(room, "one of ");
        text_append(room, spec->values);
        return text_str(room);
    case STREAM_OPTION_VERSION:
        if (str_ieq(value, "latest") || (str_parse_i64(value, &number) && number >= 0)) {
            return NULL;
        }
        return "a version of at least 0, or latest";
    case STREAM_OPTION_TEXT: return NULL;
    }
    return NULL;
}

static Status unknown(const StreamOption *option, const StreamOptionSpec *specs, size_t n_specs, const char *what,
                      Error *err)
{
    const char **names = mem_alloc((n_specs ? n_specs : 1) * sizeof *names);

    for (size_t i = 0; i < n_specs; i++) {
        names[i] = specs[i].name;
    }
    const char *nearest = error_nearest(option->key, names, n_specs);
    error_set(err, E_STREAM_OPTION, "%s has no option '%s'", what, option->key);
    if (nearest) {
        error_hint(err, "did you mean %s?", nearest);
    }
    mem_free(names);
    return placed(err, option);
}

static const StreamOptionSpec *find(const StreamOptionSpec *specs, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_ieq(specs[i].name, name)) {
            return &specs[i];
        }
    }
    return NULL;
}

static Status check_one(const StreamOption *option, const StreamOptionSpec *specs, size_t n_specs, const char *what,
                        Error *err)
{
    const StreamOptionSpec *spec = find(specs, n_specs, option->key);
    Text room = TEXT(1024);
    Status rc = OK;

    if (!spec) {
        return unknown(option, specs, n_specs, what, err);
    }
    const char *value = option->value ? option->value : "";
    const char *should = option->is_list && spec->type != STREAM_OPTION_TEXT ? "a single value"
                                                                             : wanted(spec, value, &room);
    if (should) {
        error_set(err, E_STREAM_OPTION, "option %s of %s is '%s'; it must be %s", spec->name, what, value, should);
        rc = placed(err, option);
    }
    text_free(&room);
    return rc;
}

Status stream_options_check(const StreamOption *options, size_t n, const StreamOptionSpec *specs, size_t n_specs,
                            const char *what, Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < n && rc == OK; i++) {
        if (!options[i].key) {
            continue; /* positional arguments are the constructor's business */
        }
        rc = check_one(&options[i], specs, n_specs, what, err);
        for (size_t j = 0; rc == OK && j < i; j++) {
            if (options[j].key && str_ieq(options[j].key, options[i].key)) {
                error_set(err, E_STREAM_OPTION, "option %s of %s is given twice", options[i].key, what);
                rc = placed(err, &options[i]);
            }
        }
    }
    return rc;
}
