/* Lines "name=value" as options of every source and as properties of flows and tables: each is taken or refused with a
 * reason. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "delta/property_int.h"
#include "pipeline/property.h"
#include "source/files_options.h"
#include "source/sources.h"
#include "stream/flow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPTIONS_MAX = 16 };

static void refused_with_reason(Status rc, const Error *err)
{
    if (rc != OK && (err->id == E_NONE || *err->message == '\0' || error_status(err) != rc)) {
        abort();
    }
}

static void try_property(const char *name, const char *value)
{
    Error err = ERROR_NONE;
    FlowTrigger trigger;
    int64_t bytes;
    const DeltaPair pair = {name, value};
    const DeltaMetadata metadata = {.configuration = &pair, .n_configuration = 1};

    refused_with_reason(delta_property_check(name, value, &err), &err);
    (void)delta_property_bool(&metadata, name);
    (void)delta_property_i64(&metadata, name);
    (void)delta_property_ms(&metadata, name);
    error_clear(&err);
    (void)property_find(name, &err);
    for (size_t i = 0; i < PROPERTY_COUNT; i++) {
        error_clear(&err);
        refused_with_reason(property_check(&PROPERTIES[i], value, &err), &err);
    }
    error_clear(&err);
    refused_with_reason(flow_trigger_parse(value, &trigger, &err), &err);
    if (str_parse_bytes(value, &bytes) && bytes < 0) {
        abort();
    }
}

static void try_options(const StreamOption *options, size_t n, Arena *arena)
{
    Error err = ERROR_NONE;
    FilesOptions files;

    refused_with_reason(files_options_read(options, n, arena, &files, &err), &err);
    error_clear(&err);
    refused_with_reason(
        stream_options_check(options, n, SOURCE_DELTA_OPTIONS, SOURCE_DELTA_OPTIONS_COUNT, "a Delta table", &err),
        &err);
    error_clear(&err);
    refused_with_reason(stream_options_check(options, n, SOURCE_RATE_OPTIONS, SOURCE_RATE_OPTIONS_COUNT, "rate", &err),
                        &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena *arena = arena_new();
    StreamOption options[OPTIONS_MAX];
    size_t n = 0;
    char *line = arena_strndup(arena, (const char *)data, size);

    for (char *next; line != NULL && n < OPTIONS_MAX; line = next) {
        next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        char *value = strchr(line, '=');
        if (value != NULL) {
            *value++ = '\0';
            options[n++] = (StreamOption){.key = line, .value = value, .is_list = *value == '['};
            try_property(line, value);
        }
    }
    try_options(options, n, arena);
    arena_free(arena);
    return 0;
}
