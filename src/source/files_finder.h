/* Finding the files of a source: each is offered once, when it is complete.
 *
 *   listing, events -> [not wanted, known] | waiting (not complete yet) -> pending (by time, then path) -> taken into
 *   a batch
 *
 * A file is complete when somebody closed it after writing or renamed it into its folder while we watched, when it
 * has not changed for `freshet.files.settle`, or when it ends as such files end: text with a line end, Parquet with
 * its magic, gzip and zstd as a whole stream. A file that is known is never looked at again, however it changes.
 */
#ifndef FRESHET_SOURCE_FILES_FINDER_H
#define FRESHET_SOURCE_FILES_FINDER_H

#include "source/files_item.h"
#include "source/files_place.h"
#include "source/files_set.h"

typedef struct FilesFinder FilesFinder;

/* `known`: the files that were taken before; files that are found are added. All is borrowed. */
FilesFinder *files_finder_new(const FilesPlace *place, const FilesOptions *options, FilesSet *known);
void files_finder_free(FilesFinder *finder); /* NULL is fine */

/* Looks for new files (a place that is not there at the first look is E_IO_NOT_FOUND): what the watch says, what has
 * become complete, and everything when it is time to list. */
Status files_finder_refresh(FilesFinder *finder, Error *err);
/* Waits until what is not complete has settled; a file that somebody goes on writing to is left for later. For runs
 * that end. */
void files_finder_settle(FilesFinder *finder);
/* The last look: lists everything and settles. Nothing is found afterwards. */
Status files_finder_freeze(FilesFinder *finder, Error *err);

/* The pending files, oldest first. They stay until the next refresh, take or drop. */
const FilesItem *files_finder_pending(FilesFinder *finder, size_t *n);
/* Looks the i-th pending file up once more: its size and time are set anew. False: it is gone, and is forgotten. */
bool files_finder_confirm(FilesFinder *finder, size_t i);
/* The first `n` were taken, or are not wanted. */
void files_finder_take(FilesFinder *finder, size_t n);
int64_t files_finder_bytes(const FilesFinder *finder); /* of all that is pending */

int files_finder_fd(const FilesFinder *finder); /* readable when a refresh may find something */
void files_finder_clear(FilesFinder *finder);   /* makes it unreadable; what was said is kept for the refresh */

#endif
