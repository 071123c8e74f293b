/* Lines of a commit: refused, or read so that what is written from them reads the same. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "delta/action.h"
#include "delta/log/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_line(const char *line, size_t n)
{
    Arena *arena = arena_new();
    Text first = TEXT(64 << 20), second = TEXT(64 << 20), path = TEXT(1 << 20);
    DeltaAction action;

    if (delta_action_parse(line, n, "line", arena, &action, NULL) == OK) {
        delta_action_write(&action, &first);
        if (first.length > 0 &&
            (delta_action_parse(text_str(&first), first.length - 1, "again", arena, &action, NULL) != OK)) {
            abort();
        }
        delta_action_write(&action, &second);
        if (strcmp(text_str(&first), text_str(&second)) != 0) {
            abort();
        }
    }
    delta_path_canonical("/root/table", line, n, &path);
    (void)delta_path_is_inside(text_str(&path));
    text_free(&first);
    text_free(&second);
    text_free(&path);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end = at + size;

    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((line_end ? line_end : end) - at);
        one_line(at, n);
        at += n + 1;
    }
    return 0;
}
