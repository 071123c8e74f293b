/* A file of a batch: its place, what its path says, and whether it is still what it was. */
#ifndef FRESHET_SOURCE_FILES_ITEM_H
#define FRESHET_SOURCE_FILES_ITEM_H

#include "source/files_options.h"

/* `size`: as it was when the file was found; it may have grown since, never shrunk. */
typedef struct FilesItem {
    const char *path;
    int64_t size, mtime_us;
} FilesItem;

/* "file:/path", percent-encoded: how a file is named in _metadata, _rescued_data and the log. */
void files_uri(Text *out, const char *path);
const char *files_format_name(FilesFormat format); /* "json" */
const char *files_name(const char *path);          /* behind the last slash */

/* Sets options->format from a file's name where it is not given: .json, .jsonl, .ndjson, .csv, .tsv, .parquet, .txt,
 * .log, with or without .gz, .gzip, .zst, .zstd. E_SOURCE_FORMAT when the name does not tell. */
Status files_format_find(FilesOptions *options, const char *path, Error *err);

/* Looks the file up again and sets its size as it is now. Gone: *gone with ignoreMissingFiles, else E_SOURCE_FILE; so
 * is one that shrank. */
Status files_item_check(FilesItem *item, const FilesOptions *options, bool *gone, Error *err);

/* The value of a partition column in the path (".../name=value/..."), decoded; false: NULL. */
bool files_partition_value(const char *path, const char *name, Text *out);

#endif
