/* Where files are: a folder, a file, or a pattern, and which of the names there count.
 *
 *   *  ?  [a-z]  [!x]   inside one name      **  any number of folders      {a,b}  either
 *
 * A folder, or a folder that a pattern matches, means the files in it and in its sub-folders (recursiveFileLookup).
 * Names that begin with '_' or '.' are hidden unless the pattern spells them out. A place that exists as it is
 * written is no pattern.
 */
#ifndef FRESHET_SOURCE_FILES_PLACE_H
#define FRESHET_SOURCE_FILES_PLACE_H

#include <sys/stat.h>

#include "source/files_options.h"

typedef struct FilesPlace FilesPlace;

/* A plain path, relative ones against the working directory, or a file: URI; anything else is E_STORE_URI. `options`
 * must outlive it. */
Status files_place_new(const char *text, const FilesOptions *options, FilesPlace **out, Error *err);
void files_place_free(FilesPlace *place); /* NULL is fine */
/* The absolute path or pattern. */
const char *files_place_text(const FilesPlace *place);
/* The deepest folder (or the file) above all that can match. */
const char *files_place_root(const FilesPlace *place);
bool files_place_exists(const FilesPlace *place); /* the root is there */

typedef struct FilesVisitor {
    /* Before a file is looked up: true passes it over (it is known). May be NULL. */
    bool (*known)(void *context, const char *path);
    /* Before a folder is read. May be NULL. */
    void (*folder)(void *context, const char *path);
    /* A regular file that matches. A file may come twice when the pattern allows two ways to it. */
    void (*file)(void *context, const char *path, const struct stat *st);
    void *context;
} FilesVisitor;

/* Visits all that matches, in no order. What vanishes meanwhile is left out; a folder that cannot be read is an
 * error. */
Status files_place_list(const FilesPlace *place, const FilesVisitor *visitor, Error *err);
/* The same for what lies below one folder that was visited before. */
Status files_place_list_below(const FilesPlace *place, const char *folder, const FilesVisitor *visitor, Error *err);
/* Does the path of a file match? */
bool files_place_matches(const FilesPlace *place, const char *path);
/* Hidden, or not what pathGlobFilter wants. */
bool files_place_hides(const FilesPlace *place, const char *name);

#endif
