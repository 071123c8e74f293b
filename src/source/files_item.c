#include "source/files_item.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"

void files_uri(Text *out, const char *path)
{
    text_append(out, "file:");
    text_append_uri(out, path);
}

const char *files_format_name(FilesFormat format)
{
    static const char *const NAMES[] = {"files", "json", "csv", "parquet", "text"};
    return NAMES[format];
}

Status files_format_find(FilesOptions *options, const char *path, Error *err)
{
    static const char *const PACKED[] = {".gz", ".gzip", ".zst", ".zstd"};
    static const struct {
        const char *suffix;
        FilesFormat format;
    } SUFFIXES[] = {{".json", FILES_JSON}, {".jsonl", FILES_JSON},      {".ndjson", FILES_JSON}, {".csv", FILES_CSV},
                    {".tsv", FILES_CSV},   {".parquet", FILES_PARQUET}, {".txt", FILES_TEXT},    {".log", FILES_TEXT}};
    if (options->format != FILES_ANY) {
        return OK;
    }
    char name[NAME_MAX + 1];
    snprintf(name, sizeof name, "%s", files_name(path));
    str_lower(name);
    for (size_t i = 0; i < sizeof PACKED / sizeof *PACKED; i++) {
        if (str_ends(name, PACKED[i])) {
            name[strlen(name) - strlen(PACKED[i])] = '\0';
            break;
        }
    }
    for (size_t i = 0; i < sizeof SUFFIXES / sizeof *SUFFIXES; i++) {
        if (str_ends(name, SUFFIXES[i].suffix)) {
            options->format = SUFFIXES[i].format;
            options->csv.separator = str_ends(name, ".tsv") && options->csv.separator == ',' ? '\t'
                                                                                             : options->csv.separator;
            return OK;
        }
    }
    error_set(err, E_SOURCE_FORMAT, "%s: the name does not tell the format", path);
    error_hint(err, "say it: read_files('...', format => 'json')");
    return ERR_INVALID;
}

const char *files_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

Status files_item_check(FilesItem *item, const FilesOptions *options, bool *gone, Error *err)
{
    struct stat st;

    *gone = false;
    if (stat(item->path, &st) != 0) {
        if (errno != ENOENT && errno != ENOTDIR) {
            return error_errno(err, "%s", item->path);
        }
        if (options->ignore_missing) {
            log_warning("%s: the file is gone, nothing of it is read (ignoreMissingFiles)", item->path);
            *gone = true;
            return OK;
        }
        error_set(err, E_SOURCE_FILE, "%s: the file was found before and is gone now", item->path);
        error_hint(err, "put it back, or pass over such files with ignoreMissingFiles => true");
        return ERR_CORRUPT;
    }
    if (st.st_size < item->size) {
        error_set(err, E_SOURCE_FILE, "%s: the file had %lld bytes when it was found and has %lld now", item->path,
                  (long long)item->size, (long long)st.st_size);
        error_hint(err, "files must not change once they are in the folder; put the old content back");
        return ERR_CORRUPT;
    }
    item->size = st.st_size;
    return OK;
}

bool files_partition_value(const char *path, const char *name, Text *out)
{
    size_t n = strlen(name);

    for (const char *s = path; *s;) {
        size_t length = strcspn(s, "/");
        if (s[length] == '/' && length > n && s[n] == '=' && strncasecmp(s, name, n) == 0) {
            Text raw = TEXT(4096);
            text_append_n(&raw, s + n + 1, length - n - 1);
            bool good = strcmp(text_str(&raw), "__HIVE_DEFAULT_PARTITION__") != 0;
            if (good && !text_append_uri_decoded(out, text_str(&raw))) {
                text_clear(out);
                text_append(out, text_str(&raw));
            }
            text_free(&raw);
            return good;
        }
        s += length + (s[length] == '/');
    }
    return false;
}
