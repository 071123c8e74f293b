/* `_rescued_data`: the parts of a record that have no home in its row, as one JSON object.
 *
 *   {"price":"abc","props":{"colour":"red"},"items":{"1":{"qty":[]}},"_file_path":"file:/in/a.json"}
 *
 * Fields stand under the path they had; inside a list the element's position (from 0) is the key. A record that could
 * not be read at all is
 *   {"_corrupt_record":"<the line>","_reason":"...","_file_path":"...","_line":7}
 * where bytes that are not UTF-8 are written as \xNN, and a line beyond the limit is cut to its beginning.
 */
#ifndef FRESHET_SOURCE_RESCUE_H
#define FRESHET_SOURCE_RESCUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

enum { RESCUE_DEPTH = 130 };

/* One step of a path: a key as JSON text without its quotes, or (key NULL) a position in a list. */
typedef struct RescueStep {
    const char *key;
    size_t n;
    uint64_t index;
} RescueStep;

typedef struct Rescue {
    Text json; /* empty: nothing rescued */
    RescueStep path[RESCUE_DEPTH];
    size_t depth, open; /* steps entered; how many of them are open objects in `json` */
} Rescue;

void rescue_init(Rescue *rescue, size_t bytes_max);
void rescue_fini(Rescue *rescue);
void rescue_begin(Rescue *rescue); /* a new record */

static inline void rescue_enter(Rescue *rescue, const RescueStep *step)
{
    rescue->path[rescue->depth++] = *step;
}
void rescue_leave(Rescue *rescue);

/* The member `step` of where we are: JSON text as it stood, or text that becomes a JSON string. */
void rescue_add_json(Rescue *rescue, RescueStep step, const char *json, size_t n);
void rescue_add_text(Rescue *rescue, RescueStep step, const char *text, size_t n);
/* Closes the object with its file; false when nothing was rescued. */
bool rescue_end(Rescue *rescue, const char *file_uri);

/* The object of a record that could not be read; line 0 = unknown. */
void rescue_corrupt(Rescue *rescue, const char *line, size_t n, const char *reason, const char *file_uri,
                    int64_t line_number);
/* Appends bytes as UTF-8: what is not becomes \xNN. */
void rescue_append_bytes(Text *out, const char *bytes, size_t n);

#endif
