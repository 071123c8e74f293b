#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "source/delta_int.h"

enum { SOURCE_VERSION = 1, SOURCE_VERSION_RESERVED = 2, SOURCE_VERSION_BARRIER = 3 };

static Status check_source_version(int64_t version, Error *err)
{
    if (version == SOURCE_VERSION || version == SOURCE_VERSION_BARRIER) {
        return OK;
    }
    error_set(err, E_SOURCE_OFFSET, "the offset has sourceVersion %" PRId64 ", which is not understood", version);
    error_klass(err, version == SOURCE_VERSION_RESERVED ? "DELTA_INVALID_SOURCE_VERSION"
                                                        : "DELTA_INVALID_FORMAT_FROM_SOURCE_VERSION");
    return error_status(err);
}

bool delta_offset_is_barrier(const DeltaOffset *offset)
{
    return offset->index == DELTA_BARRIER || offset->index == DELTA_BARRIER_PASSED;
}

static bool is_position(const DeltaOffset *offset, int64_t source_version)
{
    bool barrier = source_version == SOURCE_VERSION_BARRIER && delta_offset_is_barrier(offset);

    return offset->version >= 0 && (offset->index >= -1 || barrier);
}

static Status read_fields(const json_t *object, const char *id, DeltaOffset *out, Error *err)
{
    const char *its_id = NULL;
    DeltaOffset offset = {0};
    int64_t source_version = 0;
    Status rc = OK;

    TRY(json_get_i64(object, "sourceVersion", &source_version, err));
    TRY(check_source_version(source_version, err));
    TRY(json_get_string(object, "reservoirId", &its_id, err));
    TRY(json_get_i64(object, "reservoirVersion", &offset.version, err));
    TRY(json_get_i64(object, "index", &offset.index, err));
    TRY(json_get_bool(object, "isStartingVersion", &offset.initial, err));
    if (!is_position(&offset, source_version)) {
        rc = error_set(err, E_SOURCE_OFFSET, "version %" PRId64 ", index %" PRId64 " is no position in a table",
                       offset.version, offset.index);
        goto out;
    }
    if (id && strcmp(id, its_id) != 0) {
        rc = error_set(err, E_SOURCE_OTHER_TABLE, "the checkpoint was made for table id %s, here is table id %s",
                       its_id, id);
        error_hint(err, "the table was replaced; start the flow anew with --full-refresh, or give it its old table");
        goto out;
    }
    *out = offset;
out:
    return rc;
}

Status delta_offset_parse(const char *text, const char *id, DeltaOffset *out, Error *err)
{
    JsonSource source = {.name = "an offset of a Delta source"};
    json_t *object = NULL;
    Status rc = OK;

    TRY(json_parse_object(text, strlen(text), &source, &object, err));
    TRY(read_fields(object, id, out, err));
out:
    if (rc != OK && err && err->id == E_JSON) {
        err->id = E_SOURCE_OFFSET;
        rc = error_status(err);
    }
    json_decref(object);
    return rc;
}

char *delta_offset_text(const DeltaOffset *offset, const char *id)
{
    Text text = TEXT(65536);

    text_printf(&text, "{\"sourceVersion\":%d,\"reservoirId\":",
                delta_offset_is_barrier(offset) ? SOURCE_VERSION_BARRIER : SOURCE_VERSION);
    text_append_json_string(&text, id);
    text_printf(&text, ",\"reservoirVersion\":%" PRId64 ",\"index\":%" PRId64 ",\"isStartingVersion\":%s}",
                offset->version, offset->index, offset->initial ? "true" : "false");
    return text_take(&text);
}

/* Nothing of a version yet, its barrier, the barrier passed, its files. */
static int64_t rank(int64_t index)
{
    return index == -1 ? INT64_MIN : index;
}

int delta_offset_compare(const DeltaOffset *a, const DeltaOffset *b)
{
    if (a->version != b->version) {
        return a->version < b->version ? -1 : 1;
    }
    return rank(a->index) < rank(b->index) ? -1 : rank(a->index) > rank(b->index);
}
