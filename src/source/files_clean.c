#include "source/files_clean.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/file.h"
#include "base/log.h"

static bool is_what_was_read(const FilesItem *item)
{
    struct stat st;
    return stat(item->path, &st) == 0 && st.st_size == item->size &&
           (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000 == item->mtime_us / 1000;
}

/* <archive>/<path below the source's root>; rename cannot cross file systems, which a warning tells. */
static bool archive(const FilesOptions *options, const FilesPlace *place, const char *path)
{
    const char *root = files_place_root(place);
    size_t n = strlen(root);
    const char *below = strncmp(path, root, n) == 0 && path[n] == '/' ? path + n + 1 : files_name(path);
    Text to = TEXT(1 << 16), folder = TEXT(1 << 16);
    Error ignored = ERROR_NONE;

    path_join(&to, options->archive_dir, below);
    text_append_n(&folder, to.data, (size_t)(strrchr(to.data, '/') - to.data));
    bool moved = file_mkdirs(text_str(&folder), false, &ignored) == OK && rename(path, text_str(&to)) == 0;
    text_free(&to);
    text_free(&folder);
    return moved;
}

Status files_clean(const FilesOptions *options, const FilesPlace *place, const FilesEntry *entries, size_t n,
                   Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < n; i++) {
        const FilesItem *item = &entries[i].item;
        if (item->size < 0 || !is_what_was_read(item)) {
            continue;
        }
        TRY(failpoint(FP_SOURCE_CLEAN_BEFORE, err));
        bool done = options->clean == CLEAN_DELETE ? unlink(item->path) == 0 : archive(options, place, item->path);
        if (!done) {
            log_warning("%s: cleanSource could not %s it: %s", item->path,
                        options->clean == CLEAN_DELETE ? "delete" : "move", strerror(errno));
        }
        TRY(failpoint(FP_SOURCE_CLEAN_AFTER, err));
    }
out:
    return rc;
}
