/* The log of a file source: which files it has given to which batch, and so which it has seen. */
#ifndef FRESHET_SOURCE_FILES_LOG_H
#define FRESHET_SOURCE_FILES_LOG_H

#include "source/files_item.h"
#include "source/files_set.h"
#include "store/store.h"

typedef struct FilesLog FilesLog;

/* A file in the log. size < 0: it was there before the stream began and is not read (includeExistingFiles = false). */
typedef struct FilesEntry {
    FilesItem item;
    int64_t id;
} FilesEntry;

/* Reads the log below `dir` and puts every file it names into `seen`. `duck` must outlive it. */
Status files_log_open(Store *store, const char *dir, Duck *duck, FilesSet *seen, FilesLog **out, Error *err);
void files_log_close(FilesLog *log); /* NULL is fine */

int64_t files_log_end(const FilesLog *log); /* the newest entry; -1: none */
/* Writes the files as the next entry, durably. */
Status files_log_append(FilesLog *log, const FilesItem *items, size_t n, Error *err);
/* The files of the entries in (start, end], for the caller to mem_free; their paths live as long as the log. Entries
 * beyond the newest, or compacted ones, are E_SOURCE_DATA_LOSS: no batch needs them any more. */
Status files_log_range(const FilesLog *log, int64_t start, int64_t end, FilesEntry **out, size_t *n, Error *err);
/* The same for what is not compacted yet of it: files whose batches may not be cleaned. */
Status files_log_uncompacted(const FilesLog *log, int64_t start, int64_t end, FilesEntry **out, size_t *n, Error *err);
/* Batches up to this entry are done and their files cleaned: they may be compacted, and are now and then. */
Status files_log_settle(FilesLog *log, int64_t id, Error *err);

#endif
