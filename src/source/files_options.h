/* The options of read_files(...), checked and typed. The table of them is SOURCE_FILES_OPTIONS (sources.h). */
#ifndef FRESHET_SOURCE_FILES_OPTIONS_H
#define FRESHET_SOURCE_FILES_OPTIONS_H

#include "source/time_pattern.h"
#include "stream/source.h"

typedef enum FilesFormat { FILES_ANY, FILES_JSON, FILES_CSV, FILES_PARQUET, FILES_TEXT } FilesFormat;
typedef enum FilesEvolution { EVOLVE_DEFAULT, EVOLVE_ADD, EVOLVE_RESCUE, EVOLVE_FAIL, EVOLVE_NONE } FilesEvolution;
typedef enum FilesMode { MODE_PERMISSIVE, MODE_DROP, MODE_FAIL } FilesMode;
typedef enum FilesClean { CLEAN_OFF, CLEAN_ARCHIVE, CLEAN_DELETE } FilesClean;
typedef enum FilesHeader { HEADER_AUTO, HEADER_YES, HEADER_NO } FilesHeader;

typedef struct CsvDialect {
    char separator, quote, escape; /* quote 0: none */
    char comment;                  /* 0: none */
    FilesHeader header;
    const char *null_value, *empty_value;
    bool trim_left, trim_right;
    const TimePattern *date, *timestamp, *timestamp_ntz;
} CsvDialect;

typedef struct FilesOptions {
    FilesFormat format;
    /* schema */
    const char *schema_text, *hints_text; /* NULL: not given */
    FilesEvolution evolution;             /* never EVOLVE_DEFAULT once the options are read */
    const char *rescued_column;           /* NULL: none */
    const char *corrupt_column;
    char *const *partition_columns;
    size_t n_partition_columns;
    bool infer_types, with_metadata;
    /* records */
    FilesMode mode;
    bool multi_line;
    int64_t record_bytes_max;
    CsvDialect csv;
    /* which files, and when */
    const char *name_glob; /* of the file name; NULL: all */
    bool recursive, include_existing, latest_first;
    bool ignore_missing, ignore_corrupt;
    int64_t modified_after_us, modified_before_us, max_age_us; /* INT64_MIN, INT64_MAX, INT64_MAX: off */
    int64_t files_max, bytes_max;                              /* per batch */
    int64_t settle_us, backfill_us;
    FilesClean clean;
    const char *archive_dir;
} FilesOptions;

/* E_STREAM_OPTION for an unknown option, a value it cannot take, or two that exclude each other. All texts live in
 * `arena`. */
Status files_options_read(const StreamOption *options, size_t n, Arena *arena, FilesOptions *out, Error *err);

#endif
