/* cleanSource: what happens to files whose rows are committed. */
#ifndef FRESHET_SOURCE_FILES_CLEAN_H
#define FRESHET_SOURCE_FILES_CLEAN_H

#include "source/files_log.h"
#include "source/files_place.h"

/* Deletes or moves the files, but only those that are still what was read (size and time): a new file of an old name
 * is nobody's input and stays. What cannot be cleaned is left with a warning. Running it again is harmless. */
Status files_clean(const FilesOptions *options, const FilesPlace *place, const FilesEntry *entries, size_t n,
                   Error *err);

#endif
