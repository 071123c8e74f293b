/* The options of a Delta source, as Delta spells them, and what this version refuses. */
#include <limits.h>
#include <string.h>

#include "base/clock.h"
#include "source/delta_int.h"

enum { FILES_PER_BATCH = 1000 };

const StreamOptionSpec SOURCE_DELTA_OPTIONS[] = {
    {"maxFilesPerTrigger", STREAM_OPTION_LONG, "1000, or no limit with maxBytesPerTrigger", NULL, 1,
     "Data files a batch may read."},
    {"maxBytesPerTrigger", STREAM_OPTION_BYTES, "", NULL, 1,
     "Size at which a batch takes no further file; the last one may go over it."},
    {"startingVersion", STREAM_OPTION_VERSION, "", NULL, 0,
     "Read the changes from this commit on (inclusive), without what was there before; latest: only what comes."},
    {"startingTimestamp", STREAM_OPTION_TEXT, "", NULL, 0,
     "Read the changes from the first commit at or after this moment on, without what was there before."},
    {"ignoreDeletes", STREAM_OPTION_BOOL, "false", NULL, 0, "Go on over commits that only delete rows."},
    {"ignoreChanges", STREAM_OPTION_BOOL, "false", NULL, 0,
     "Go on over commits that change rows, reading the files they rewrite: unchanged rows come again."},
    {"ignoreFileDeletion", STREAM_OPTION_BOOL, "false", NULL, 0,
     "Old name for ignoreChanges and ignoreDeletes together."},
    {"skipChangeCommits", STREAM_OPTION_BOOL, "false", NULL, 0,
     "Leave out commits that delete or change rows, with all they add."},
    {"failOnDataLoss", STREAM_OPTION_BOOL, "true", NULL, 0,
     "Stop when commits that were not read yet have been removed; false: go on with the oldest there is."},
    {"excludeRegex", STREAM_OPTION_TEXT, "", NULL, 0, "Leave out data files whose path in the log matches."},
    {"withEventTimeOrder", STREAM_OPTION_BOOL, "false", NULL, 0, "Not supported: only false."},
    {"readChangeFeed", STREAM_OPTION_BOOL, "false", NULL, 0,
     "Read the change feed: every row with _change_type, _commit_version and _commit_timestamp; without a start the "
     "rows that are there come first, as inserts."},
    {"readChangeData", STREAM_OPTION_BOOL, "false", NULL, 0, "Old name for readChangeFeed."},
    {"schemaTrackingLocation", STREAM_OPTION_TEXT, "", NULL, 0,
     "Folder of the log that lets the stream go on over any change of the schema; in the flow's checkpoint, and "
     "relative to it."},
    {"schemaLocation", STREAM_OPTION_TEXT, "", NULL, 0, "Old name for schemaTrackingLocation."},
    {"streamingSourceTrackingId", STREAM_OPTION_TEXT, "", NULL, 0,
     "Tells the logs of several streams from one table apart that share a schemaTrackingLocation."},
    {"allowSourceColumnRename", STREAM_OPTION_TEXT, "", NULL, 0,
     "With schemaTrackingLocation: go on after a column was renamed in this version, or always."},
    {"allowSourceColumnDrop", STREAM_OPTION_TEXT, "", NULL, 0,
     "With schemaTrackingLocation: go on after a column was dropped in this version, or always."},
    {"allowSourceColumnTypeChange", STREAM_OPTION_TEXT, "", NULL, 0,
     "With schemaTrackingLocation: go on after a column got another type in this version, or always."},
};
const size_t SOURCE_DELTA_OPTIONS_COUNT = sizeof SOURCE_DELTA_OPTIONS / sizeof *SOURCE_DELTA_OPTIONS;

/* Options that are known, and refused when they ask for something. */
static const struct {
    const char *name, *hint;
} REFUSED[] = {
    {"withEventTimeOrder", "leave the option out"},
};

static const StreamOption *given(const StreamOption *options, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (options[i].key && str_ieq(options[i].key, name)) {
            return &options[i];
        }
    }
    return NULL;
}

static bool flag(const StreamOption *options, size_t n, const char *name, bool otherwise)
{
    const char *text = stream_option_get(options, n, name);
    bool value = otherwise;

    return text && str_parse_bool(text, &value) ? value : otherwise;
}

static Status at(const StreamOption *option, Error *err)
{
    if (err) {
        err->place = option->place;
    }
    return error_status(err);
}

static Status refuse_unsupported(const StreamOption *options, size_t n, const char *what, Error *err)
{
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        const StreamOption *option = given(options, n, REFUSED[i].name);
        bool off = false;
        if (option && !(str_parse_bool(option->value ? option->value : "", &off) && !off)) {
            error_set(err, E_STREAM_OPTION, "option %s of %s is not supported", REFUSED[i].name, what);
            error_hint(err, "%s", REFUSED[i].hint);
            return at(option, err);
        }
    }
    return OK;
}

static Status read_start(const StreamOption *options, size_t n, const char *what, DeltaSourceOptions *out, Error *err)
{
    const StreamOption *version = given(options, n, "startingVersion"),
                       *timestamp = given(options, n, "startingTimestamp");
    int64_t us = 0;

    out->starting_version = DELTA_START_NONE;
    if (version && timestamp) {
        error_set(err, E_SOURCE_START, "%s is given startingVersion and startingTimestamp", what);
        error_hint(err, "give one of them");
        return at(timestamp, err);
    }
    if (version && !str_parse_i64(version->value, &out->starting_version)) {
        out->starting_version = DELTA_START_LATEST;
    }
    if (timestamp && !time_parse_us(timestamp->value, &us)) {
        error_set(err, E_STREAM_OPTION, "startingTimestamp of %s is '%s', which is no date or timestamp", what,
                  timestamp->value);
        error_hint(err, "use a form such as 2024-01-31 or 2024-01-31 05:06:07");
        return at(timestamp, err);
    }
    out->starting_timestamp = timestamp ? mem_strdup(timestamp->value) : NULL;
    return OK;
}

/* "always" or a version. */
static Status read_allowed(const StreamOption *options, size_t n, const char *what, const char *name, char **out,
                           Error *err)
{
    const StreamOption *option = given(options, n, name);
    int64_t version = -1;

    if (option && !str_ieq(option->value, "always") && !(str_parse_i64(option->value, &version) && version >= 0)) {
        error_set(err, E_STREAM_OPTION, "%s of %s is '%s'", name, what, option->value);
        error_hint(err, "give the version of the change, or 'always'");
        return at(option, err);
    }
    *out = option ? mem_strdup(option->value) : NULL;
    return OK;
}

static Status read_tracking(const StreamOption *options, size_t n, const char *what, DeltaSourceOptions *out,
                            Error *err)
{
    static const char *const DEPENDENT[] = {"streamingSourceTrackingId", "allowSourceColumnRename",
                                            "allowSourceColumnDrop", "allowSourceColumnTypeChange"};
    const StreamOption *place = given(options, n, "schemaTrackingLocation");
    Status rc = OK;

    place = place ? place : given(options, n, "schemaLocation");
    for (size_t i = 0; !place && i < sizeof DEPENDENT / sizeof *DEPENDENT; i++) {
        const StreamOption *option = given(options, n, DEPENDENT[i]);
        if (option) {
            error_set(err, E_STREAM_OPTION, "%s of %s means nothing without schemaTrackingLocation", DEPENDENT[i],
                      what);
            error_hint(err, "add schemaTrackingLocation = 'schema', a folder in the checkpoint");
            return at(option, err);
        }
    }
    if (place && !out->fail_on_data_loss) {
        error_set(err, E_STREAM_OPTION, "%s: schemaTrackingLocation does not go together with failOnDataLoss = false",
                  what);
        error_hint(err, "a change of the schema could be among the commits that are left out");
        return at(place, err);
    }
    out->tracking = place ? mem_strdup(place->value) : NULL;
    out->tracking_id = mem_strdup(stream_option_get(options, n, DEPENDENT[0]));
    TRY(read_allowed(options, n, what, DEPENDENT[1], &out->allow_rename, err));
    TRY(read_allowed(options, n, what, DEPENDENT[2], &out->allow_drop, err));
    TRY(read_allowed(options, n, what, DEPENDENT[3], &out->allow_type_change, err));
out:
    return rc;
}

Status delta_source_options(const StreamOption *options, size_t n, const char *what, DeltaSourceOptions *out,
                            Error *err)
{
    DeltaSourceOptions read = {.files_max = FILES_PER_BATCH, .bytes_max = INT64_MAX};
    const char *files = stream_option_get(options, n, "maxFilesPerTrigger");
    const char *bytes = stream_option_get(options, n, "maxBytesPerTrigger");
    Status rc = OK;

    TRY(stream_options_check(options, n, SOURCE_DELTA_OPTIONS, SOURCE_DELTA_OPTIONS_COUNT, what, err));
    TRY(refuse_unsupported(options, n, what, err));
    TRY(read_start(options, n, what, &read, err));
    if (bytes) {
        str_parse_bytes(bytes, &read.bytes_max);
        read.files_max = INT_MAX - 8; /* Spark's "no limit" */
    }
    if (files) {
        str_parse_i64(files, &read.files_max);
    }
    bool both = flag(options, n, "ignoreFileDeletion", false);
    read.ignore_deletes = both || flag(options, n, "ignoreDeletes", false);
    read.ignore_changes = both || flag(options, n, "ignoreChanges", false);
    read.skip_changes = flag(options, n, "skipChangeCommits", false);
    read.fail_on_data_loss = flag(options, n, "failOnDataLoss", true);
    read.change_feed = flag(options, n, "readChangeFeed", flag(options, n, "readChangeData", false));
    if (read.change_feed && given(options, n, "excludeRegex")) {
        error_set(err, E_STREAM_OPTION, "%s: excludeRegex does not go together with readChangeFeed", what);
        error_hint(err, "leave out rows by a condition of the query");
        rc = at(given(options, n, "excludeRegex"), err);
        goto out;
    }
    TRY(read_tracking(options, n, what, &read, err));
    read.exclude = mem_strdup(stream_option_get(options, n, "excludeRegex"));
    *out = read;
    read = (DeltaSourceOptions){0};
out:
    delta_source_options_clear(&read);
    return rc;
}

void delta_source_options_clear(DeltaSourceOptions *options)
{
    mem_free(options->exclude);
    mem_free(options->tracking);
    mem_free(options->tracking_id);
    mem_free(options->allow_rename);
    mem_free(options->allow_drop);
    mem_free(options->allow_type_change);
    mem_free(options->starting_timestamp);
    *options = (DeltaSourceOptions){0};
}
