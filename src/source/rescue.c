#include "source/rescue.h"

#include <inttypes.h>

void rescue_init(Rescue *rescue, size_t bytes_max)
{
    rescue->json = TEXT(bytes_max);
    rescue->depth = rescue->open = 0;
}

void rescue_fini(Rescue *rescue)
{
    text_free(&rescue->json);
}

void rescue_begin(Rescue *rescue)
{
    text_clear(&rescue->json);
    rescue->depth = rescue->open = 0;
}

static void open_object(Rescue *rescue)
{
    text_append_char(&rescue->json, '{');
}

static void append_key(Rescue *rescue, const RescueStep *step)
{
    Text *json = &rescue->json;
    if (json->length > 0 && json->data[json->length - 1] != '{') {
        text_append_char(json, ',');
    }
    if (step->key == NULL) {
        text_printf(json, "\"%" PRIu64 "\":", step->index);
        return;
    }
    text_append_char(json, '"');
    text_append_n(json, step->key, step->n);
    text_append(json, "\":");
}

/* Opens the objects on the way to where we are, and writes the key. */
static void begin_member(Rescue *rescue, const RescueStep *step)
{
    if (rescue->json.length == 0) {
        open_object(rescue);
    }
    for (; rescue->open < rescue->depth; rescue->open++) {
        append_key(rescue, &rescue->path[rescue->open]);
        open_object(rescue);
    }
    append_key(rescue, step);
}

void rescue_leave(Rescue *rescue)
{
    if (rescue->open == rescue->depth) {
        text_append_char(&rescue->json, '}');
        rescue->open--;
    }
    rescue->depth--;
}

void rescue_add_json(Rescue *rescue, RescueStep step, const char *json, size_t n)
{
    begin_member(rescue, &step);
    text_append_n(&rescue->json, json, n);
}

void rescue_add_text(Rescue *rescue, RescueStep step, const char *text, size_t n)
{
    begin_member(rescue, &step);
    text_append_json_string_n(&rescue->json, text, n);
}

static void add_file(Rescue *rescue, const char *file_uri)
{
    text_append(&rescue->json, ",\"_file_path\":");
    text_append_json_string(&rescue->json, file_uri);
}

bool rescue_end(Rescue *rescue, const char *file_uri)
{
    if (rescue->json.length == 0) {
        return false;
    }
    add_file(rescue, file_uri);
    text_append_char(&rescue->json, '}');
    return true;
}

void rescue_append_bytes(Text *out, const char *bytes, size_t n)
{
    while (n > 0) {
        size_t valid = utf8_valid(bytes, n);
        text_append_n(out, bytes, valid);
        bytes += valid;
        n -= valid;
        if (n > 0) {
            text_printf(out, "\\x%02X", (unsigned char)*bytes);
            bytes++;
            n--;
        }
    }
}

void rescue_corrupt(Rescue *rescue, const char *line, size_t n, const char *reason, const char *file_uri,
                    int64_t line_number)
{
    Text readable = TEXT(rescue->json.max);

    rescue_begin(rescue);
    rescue_append_bytes(&readable, line, n);
    text_append(&rescue->json, "{\"_corrupt_record\":");
    text_append_json_string_n(&rescue->json, text_str(&readable), readable.length);
    text_append(&rescue->json, ",\"_reason\":");
    text_append_json_string(&rescue->json, reason);
    add_file(rescue, file_uri);
    if (line_number > 0) {
        text_printf(&rescue->json, ",\"_line\":%" PRId64, line_number);
    }
    text_append_char(&rescue->json, '}');
    text_free(&readable);
}
