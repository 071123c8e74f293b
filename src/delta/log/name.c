#include "delta/log/name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { VERSION_DIGITS = 20, PART_DIGITS = 10 };

/* Reads exactly `digits` digits and steps over them. */
static bool take_number(const char **s, int digits, int64_t *out)
{
    int64_t value = 0;

    for (int i = 0; i < digits; i++) {
        char c = (*s)[i];
        if (c < '0' || c > '9' || value > (INT64_MAX - 9) / 10) {
            return false;
        }
        value = value * 10 + (c - '0');
    }
    *s += digits;
    *out = value;
    return true;
}

static bool take(const char **s, const char *text)
{
    size_t n = strlen(text);

    if (strncmp(*s, text, n) != 0) {
        return false;
    }
    *s += n;
    return true;
}

static bool parse_checkpoint(const char *s, DeltaLogName *out)
{
    int64_t part, parts;
    const char *at = s;

    if (strcmp(s, "parquet") == 0) {
        out->kind = DELTA_LOG_CHECKPOINT;
        return true;
    }
    if (take_number(&at, PART_DIGITS, &part) && take(&at, ".") && take_number(&at, PART_DIGITS, &parts) &&
        strcmp(at, ".parquet") == 0) {
        if (part < 1 || part > parts || parts > UINT32_MAX) {
            return false;
        }
        out->kind = DELTA_LOG_CHECKPOINT_PART;
        out->part = (uint32_t)part;
        out->parts = (uint32_t)parts;
        return true;
    }
    size_t id = strcspn(s, ".");
    out->json = strcmp(s + id, ".json") == 0;
    if (id == 0 || (!out->json && strcmp(s + id, ".parquet") != 0)) {
        return false;
    }
    out->kind = DELTA_LOG_CHECKPOINT_UUID;
    return true;
}

static bool parse(const char *s, DeltaLogName *out)
{
    if (!take_number(&s, VERSION_DIGITS, &out->version)) {
        return false;
    }
    if (strcmp(s, ".json") == 0) {
        out->kind = DELTA_LOG_COMMIT;
        return true;
    }
    if (strcmp(s, ".crc") == 0) {
        out->kind = DELTA_LOG_CHECKSUM;
        return true;
    }
    if (take(&s, ".checkpoint.")) {
        return parse_checkpoint(s, out);
    }
    out->kind = DELTA_LOG_COMPACTION;
    return take(&s, ".") && take_number(&s, VERSION_DIGITS, &out->end) && strcmp(s, ".compacted.json") == 0 &&
           out->end > out->version;
}

bool delta_log_name_parse(const char *name, DeltaLogName *out)
{
    DeltaLogName parsed = {0};
    bool known = parse(name, &parsed);

    *out = known ? parsed : (DeltaLogName){.kind = DELTA_LOG_OTHER};
    return known;
}

void delta_log_commit_name(int64_t version, char out[DELTA_LOG_NAME_MAX])
{
    snprintf(out, DELTA_LOG_NAME_MAX, DELTA_LOG_DIR "/%020" PRId64 ".json", version);
}
