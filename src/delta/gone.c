#include "delta/gone.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

/* What DuckDB says, before and behind the path. */
static const struct {
    const char *before, *behind;
} SAID[] = {{"No files found that match the pattern \"", "\""},
            {"Cannot open file \"", "\": No such file or directory"}};

/* The path that the message names, or false. */
static bool named_path(const char *message, Text *path)
{
    for (size_t i = 0; i < sizeof SAID / sizeof *SAID; i++) {
        const char *at = strstr(message, SAID[i].before);
        const char *begin = at != NULL ? at + strlen(SAID[i].before) : NULL;
        const char *end = begin != NULL ? strstr(begin, SAID[i].behind) : NULL;
        if (end != NULL && end > begin) {
            text_append_n(path, begin, (size_t)(end - begin));
            return true;
        }
    }
    return false;
}

/* Cuts a path to the nearest folder above it that is a Delta table. */
static bool cut_to_table(Text *path)
{
    Text log = TEXT(1 << 16);
    bool found = false;

    for (char *slash = strrchr(path->data, '/'); !found && slash != NULL && slash != path->data;
         slash = strrchr(path->data, '/')) {
        *slash = '\0';
        text_clear(&log);
        text_printf(&log, "%s/_delta_log", path->data);
        found = access(text_str(&log), F_OK) == 0;
    }
    text_free(&log);
    return found;
}

Status delta_explain_gone(Error *err)
{
    Text file = TEXT(1 << 16), table = TEXT(1 << 16);

    if (err != NULL && err->id == E_IO && named_path(err->message, &file) && access(text_str(&file), F_OK) != 0 &&
        errno == ENOENT) {
        text_append(&table, text_str(&file));
        if (cut_to_table(&table)) {
            const ErrorPlace place = err->place;
            error_set(err, E_DELTA_FILE_GONE, "the Delta table %s lacks its file %s", table.data,
                      text_str(&file) + strlen(table.data) + 1);
            error_hint(err,
                       "files leave a table by DELETE and VACUUM only: put it back from a copy, or RESTORE TABLE to a "
                       "version without it; VACUUM has removed what only older versions need");
            err->place = place;
        }
    }
    text_free(&file);
    text_free(&table);
    return error_status(err);
}
