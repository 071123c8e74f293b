#include "source/files_options.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "source/sources.h"

const StreamOptionSpec SOURCE_FILES_OPTIONS[] = {
    {"format", STREAM_OPTION_ENUM, "from the file names", "json|csv|parquet|text", 0, "What the files are."},
    {"schema", STREAM_OPTION_TEXT, "inferred", NULL, 0,
     "The columns, as in CREATE TABLE: 'id BIGINT, at TIMESTAMPTZ'. Nothing is inferred then."},
    {"schemaHints", STREAM_OPTION_TEXT, "none", NULL, 0,
     "Types of single columns that win over inference: 'day DATE, price.net DECIMAL(10,2)'."},
    {"schemaEvolutionMode", STREAM_OPTION_ENUM, "addNewColumns; none with schema",
     "addNewColumns|rescue|failOnNewColumns|none", 0,
     "What happens when a file has a column that is not in the schema."},
    {"inferColumnTypes", STREAM_OPTION_BOOL, "true", NULL, 0,
     "Infer types; false makes every column of json and csv files a string."},
    {"rescuedDataColumn", STREAM_OPTION_TEXT, "_rescued_data when inferred", NULL, 0,
     "The column that keeps what does not fit the schema, as JSON."},
    {"columnNameOfCorruptRecord", STREAM_OPTION_TEXT, "_corrupt_record", NULL, 0,
     "The column that keeps the text of malformed records, if the schema has it."},
    {"mode", STREAM_OPTION_ENUM, "PERMISSIVE", "PERMISSIVE|DROPMALFORMED|FAILFAST", 0,
     "Malformed records: kept as a row, dropped and counted, or an error. Those are lines that cannot be read and, "
     "without a rescued data column, records with a value that does not fit its column."},
    {"multiLine", STREAM_OPTION_BOOL, "false", NULL, 0,
     "json: a record may go over several lines, or a file be one array. csv: quoted line ends are always read."},
    {"maxRecordBytes", STREAM_OPTION_BYTES, "64m", NULL, 4096,
     "A longer line is kept as corrupt, cut to its beginning."},
    {"partitionColumns", STREAM_OPTION_TEXT, "none", NULL, 0,
     "Columns whose values stand in the path as name=value: 'year,month'."},
    {"header", STREAM_OPTION_BOOL, "true when inferred, else told from the first line", NULL, 0,
     "csv: the first line holds the names of the columns."},
    {"sep", STREAM_OPTION_TEXT, ",", NULL, 0, "csv: what stands between fields; one byte."},
    {"delimiter", STREAM_OPTION_TEXT, ",", NULL, 0, "csv: the same as sep."},
    {"quote", STREAM_OPTION_TEXT, "\"", NULL, 0, "csv: what encloses fields; empty for none."},
    {"escape", STREAM_OPTION_TEXT, "\\", NULL, 0,
     "csv: stands before a quote inside quotes; a doubled quote is always read."},
    {"comment", STREAM_OPTION_TEXT, "none", NULL, 0, "csv: lines that begin with it are passed over."},
    {"nullValue", STREAM_OPTION_TEXT, "empty", NULL, 0,
     "csv: a field with this text is NULL; so is an empty one without quotes."},
    {"emptyValue", STREAM_OPTION_TEXT, "empty", NULL, 0, "csv: what a quoted empty field is read as."},
    {"ignoreLeadingWhiteSpace", STREAM_OPTION_BOOL, "false", NULL, 0, "csv: blanks before a field are dropped."},
    {"ignoreTrailingWhiteSpace", STREAM_OPTION_BOOL, "false", NULL, 0, "csv: blanks behind a field are dropped."},
    {"dateFormat", STREAM_OPTION_TEXT, "ISO 8601", NULL, 0, "json, csv: Spark's pattern for dates: 'dd.MM.yyyy'."},
    {"timestampFormat", STREAM_OPTION_TEXT, "ISO 8601", NULL, 0, "json, csv: Spark's pattern for TIMESTAMPTZ columns."},
    {"timestampNTZFormat", STREAM_OPTION_TEXT, "ISO 8601", NULL, 0,
     "json, csv: Spark's pattern for TIMESTAMP columns."},
    {"encoding", STREAM_OPTION_ENUM, "UTF-8", "UTF-8|utf8", 0, "Text files are UTF-8."},
    {"pathGlobFilter", STREAM_OPTION_TEXT, "none", NULL, 0, "Only files whose name matches: '*.json'."},
    {"fileNamePattern", STREAM_OPTION_TEXT, "none", NULL, 0, "The same as pathGlobFilter."},
    {"recursiveFileLookup", STREAM_OPTION_BOOL, "true", NULL, 0, "Folders inside the folder are read too."},
    {"modifiedAfter", STREAM_OPTION_TEXT, "none", NULL, 0, "Only files changed after this moment."},
    {"modifiedBefore", STREAM_OPTION_TEXT, "none", NULL, 0, "Only files changed before this moment."},
    {"includeExistingFiles", STREAM_OPTION_BOOL, "true", NULL, 0,
     "false: files that are there at the first start are never read."},
    {"maxFilesPerTrigger", STREAM_OPTION_LONG, "1000", NULL, 1, "Files of one micro-batch at most."},
    {"maxBytesPerTrigger", STREAM_OPTION_BYTES, "none", NULL, 1,
     "A micro-batch takes no further file once it has this much; at least one."},
    {"maxFileAge", STREAM_OPTION_INTERVAL, "off", NULL, 0,
     "Files older than the newest one by more than this are never read."},
    {"latestFirst", STREAM_OPTION_BOOL, "false", NULL, 0, "The newest of the waiting files come first."},
    {"ignoreMissingFiles", STREAM_OPTION_BOOL, "false", NULL, 0,
     "A file that was seen and has vanished is passed over instead of an error."},
    {"ignoreCorruptFiles", STREAM_OPTION_BOOL, "false", NULL, 0,
     "What cannot be decompressed or read is passed over with a warning instead of an error."},
    {"cleanSource", STREAM_OPTION_ENUM, "off", "off|archive|move|delete", 0,
     "What happens to a file once its rows are committed."},
    {"sourceArchiveDir", STREAM_OPTION_TEXT, "none", NULL, 0,
     "cleanSource = archive: where files go, with their path below the source."},
    {"cleanSource.moveDestination", STREAM_OPTION_TEXT, "none", NULL, 0, "The same as sourceArchiveDir."},
    {"backfillInterval", STREAM_OPTION_INTERVAL, "1 minute", NULL, 0,
     "How often the folder is listed although nobody said that something is new."},
    {"freshet.files.settle", STREAM_OPTION_INTERVAL, "2 seconds", NULL, 0,
     "A file without its proper end is taken once it has not changed for so long."},
    {"freshet.withMetadata", STREAM_OPTION_BOOL, "when the query names it", NULL, 0,
     "Adds the column _metadata: file_path, file_name, file_size, file_modification_time."},
};
const size_t SOURCE_FILES_OPTIONS_COUNT = sizeof SOURCE_FILES_OPTIONS / sizeof *SOURCE_FILES_OPTIONS;

/* The options under their names without Databricks' prefix. */
typedef struct Given {
    StreamOption *options;
    size_t n;
    Arena *arena;
} Given;

static Given without_prefix(const StreamOption *options, size_t n, Arena *arena)
{
    static const char PREFIX[] = "cloudFiles.";
    Given given = {arena_alloc(arena, (n + 1) * sizeof *given.options), n, arena};
    for (size_t i = 0; i < n; i++) {
        given.options[i] = options[i];
        if (str_istarts(options[i].key, PREFIX)) {
            given.options[i].key += sizeof PREFIX - 1;
        }
    }
    return given;
}

static const StreamOption *find(const Given *given, const char *name)
{
    for (size_t i = given->n; i-- > 0;) {
        if (str_ieq(given->options[i].key, name)) {
            return &given->options[i];
        }
    }
    return NULL;
}

static const char *text_of(const Given *given, const char *name, const char *otherwise)
{
    const StreamOption *option = find(given, name);
    return option ? arena_strdup(given->arena, option->value) : otherwise;
}

/* The values have passed stream_options_check, so they parse. */
static bool bool_of(const Given *given, const char *name, bool otherwise)
{
    const StreamOption *option = find(given, name);
    if (option != NULL) {
        str_parse_bool(option->value, &otherwise);
    }
    return otherwise;
}

static int64_t bytes_of(const Given *given, const char *name, int64_t otherwise)
{
    const StreamOption *option = find(given, name);
    if (option != NULL) {
        str_parse_bytes(option->value, &otherwise);
    }
    return otherwise;
}

static int64_t interval_of(const Given *given, const char *name, int64_t otherwise)
{
    const StreamOption *option = find(given, name);
    if (option != NULL) {
        str_parse_interval(option->value, &otherwise);
    }
    return otherwise;
}

/* The position of the value among "a|b|c", -1 when it is not given. */
static int enum_of(const Given *given, const char *name, const char *values)
{
    const StreamOption *option = find(given, name);
    if (option == NULL) {
        return -1;
    }
    size_t n = strlen(option->value);
    for (int i = 0;; i++) {
        size_t length = strcspn(values, "|");
        if (length == n && strncasecmp(values, option->value, n) == 0) {
            return i;
        }
        if (values[length] == '\0') {
            return -1;
        }
        values += length + 1;
    }
}

static Status bad_option(const StreamOption *option, Error *err, const char *must)
{
    error_set(err, E_STREAM_OPTION, "option %s = '%s' of read_files: %s", option->key, option->value, must);
    if (err != NULL) {
        err->place = option->place;
    }
    return ERR_INVALID;
}

static Status read_byte(const Given *given, const char *name, bool empty_allowed, char *out, Error *err)
{
    const StreamOption *option = find(given, name);
    if (option == NULL) {
        return OK;
    }
    const char *value = strcmp(option->value, "\\t") == 0 ? "\t" : option->value;
    size_t n = strlen(value);
    if (n > 1 || (n == 0 && !empty_allowed) || (unsigned char)value[0] >= 0x80 || value[0] == '\n') {
        return bad_option(option, err, "must be one ASCII character");
    }
    *out = value[0];
    return OK;
}

static Status read_pattern(const Given *given, const char *name, const TimePattern **out, Error *err)
{
    const StreamOption *option = find(given, name);
    return option == NULL ? OK : time_pattern_new(option->value, given->arena, out, err);
}

static Status read_csv_options(const Given *given, CsvDialect *csv, Error *err)
{
    const char *names[] = {"sep", "delimiter"};
    Status rc = OK;

    *csv = (CsvDialect){.separator = ',', .quote = '"', .escape = '\\'};
    for (size_t i = 0; i < 2; i++) {
        TRY(read_byte(given, names[i], false, &csv->separator, err));
    }
    TRY(read_byte(given, "quote", true, &csv->quote, err));
    TRY(read_byte(given, "escape", true, &csv->escape, err));
    TRY(read_byte(given, "comment", true, &csv->comment, err));
    TRY(read_pattern(given, "dateFormat", &csv->date, err));
    TRY(read_pattern(given, "timestampFormat", &csv->timestamp, err));
    TRY(read_pattern(given, "timestampNTZFormat", &csv->timestamp_ntz, err));
    csv->header = find(given, "header") == NULL     ? HEADER_AUTO
                  : bool_of(given, "header", false) ? HEADER_YES
                                                    : HEADER_NO;
    csv->null_value = text_of(given, "nullValue", "");
    csv->empty_value = text_of(given, "emptyValue", "");
    csv->trim_left = bool_of(given, "ignoreLeadingWhiteSpace", false);
    csv->trim_right = bool_of(given, "ignoreTrailingWhiteSpace", false);
out:
    return rc;
}

static Status read_moment(const Given *given, const char *name, int64_t *out, Error *err)
{
    const StreamOption *option = find(given, name);
    if (option != NULL && !time_parse_us(option->value, out)) {
        return bad_option(option, err, "must be a date or timestamp");
    }
    return OK;
}

static void read_partition_columns(const Given *given, FilesOptions *out)
{
    const char *list = text_of(given, "partitionColumns", "");
    char **names = arena_alloc(given->arena, (strlen(list) + 1) * sizeof *names);
    for (const char *s = list; *s;) {
        size_t n = strcspn(s, ",");
        size_t begin = strspn(s, " ['"), end = n;
        while (end > begin && strchr(" ]'", s[end - 1]) != NULL) {
            end--;
        }
        if (end > begin) {
            names[out->n_partition_columns++] = arena_strndup(given->arena, s + begin, end - begin);
        }
        s += n + (s[n] == ',');
    }
    out->partition_columns = names;
}

static Status read_listing_options(const Given *given, FilesOptions *out, Error *err)
{
    Status rc = OK;

    out->name_glob = text_of(given, "pathGlobFilter", text_of(given, "fileNamePattern", NULL));
    out->recursive = bool_of(given, "recursiveFileLookup", true);
    out->include_existing = bool_of(given, "includeExistingFiles", true);
    out->latest_first = bool_of(given, "latestFirst", false);
    out->ignore_missing = bool_of(given, "ignoreMissingFiles", false);
    out->ignore_corrupt = bool_of(given, "ignoreCorruptFiles", false);
    out->modified_after_us = INT64_MIN;
    out->modified_before_us = INT64_MAX;
    TRY(read_moment(given, "modifiedAfter", &out->modified_after_us, err));
    TRY(read_moment(given, "modifiedBefore", &out->modified_before_us, err));
    out->max_age_us = interval_of(given, "maxFileAge", INT64_MAX);
    out->files_max = bytes_of(given, "maxFilesPerTrigger", 1000);
    out->bytes_max = bytes_of(given, "maxBytesPerTrigger", INT64_MAX);
    out->settle_us = interval_of(given, "freshet.files.settle", 2000000);
    out->backfill_us = interval_of(given, "backfillInterval", 60000000);
out:
    return rc;
}

static Status read_clean_options(const Given *given, FilesOptions *out, Error *err)
{
    static const FilesClean ACTIONS[] = {CLEAN_OFF, CLEAN_ARCHIVE, CLEAN_ARCHIVE, CLEAN_DELETE};
    int action = enum_of(given, "cleanSource", "off|archive|move|delete");

    out->clean = action < 0 ? CLEAN_OFF : ACTIONS[action];
    out->archive_dir = text_of(given, "sourceArchiveDir", text_of(given, "cleanSource.moveDestination", NULL));
    if (out->clean == CLEAN_ARCHIVE && out->archive_dir == NULL) {
        return bad_option(find(given, "cleanSource"), err, "needs sourceArchiveDir, the folder the files go to");
    }
    return OK;
}

static void read_schema_options(const Given *given, FilesOptions *out)
{
    static const FilesEvolution MODES[] = {EVOLVE_ADD, EVOLVE_RESCUE, EVOLVE_FAIL, EVOLVE_NONE};
    int mode = enum_of(given, "schemaEvolutionMode", "addNewColumns|rescue|failOnNewColumns|none");

    out->schema_text = text_of(given, "schema", NULL);
    out->hints_text = text_of(given, "schemaHints", NULL);
    bool inferred = out->schema_text == NULL;
    out->evolution = mode >= 0 ? MODES[mode] : inferred ? EVOLVE_ADD : EVOLVE_NONE;
    out->rescued_column = text_of(given, "rescuedDataColumn", inferred ? "_rescued_data" : NULL);
    out->corrupt_column = text_of(given, "columnNameOfCorruptRecord", "_corrupt_record");
    out->infer_types = bool_of(given, "inferColumnTypes", true);
    out->with_metadata = bool_of(given, "freshet.withMetadata", false);
    read_partition_columns(given, out);
}

Status files_options_read(const StreamOption *options, size_t n, Arena *arena, FilesOptions *out, Error *err)
{
    static const FilesFormat FORMATS[] = {FILES_JSON, FILES_CSV, FILES_PARQUET, FILES_TEXT};
    static const FilesMode MODES[] = {MODE_PERMISSIVE, MODE_DROP, MODE_FAIL};
    Given given = without_prefix(options, n, arena);
    FilesOptions read = {0};
    Status rc;

    TRY(stream_options_check(given.options, n, SOURCE_FILES_OPTIONS, SOURCE_FILES_OPTIONS_COUNT, "read_files", err));
    int format = enum_of(&given, "format", "json|csv|parquet|text"),
        mode = enum_of(&given, "mode", "PERMISSIVE|DROPMALFORMED|FAILFAST");
    read.format = format >= 0 ? FORMATS[format] : FILES_ANY;
    read.mode = mode >= 0 ? MODES[mode] : MODE_PERMISSIVE;
    read.multi_line = bool_of(&given, "multiLine", false);
    read.record_bytes_max = bytes_of(&given, "maxRecordBytes", 64 << 20);
    read_schema_options(&given, &read);
    TRY(read_csv_options(&given, &read.csv, err));
    TRY(read_listing_options(&given, &read, err));
    TRY(read_clean_options(&given, &read, err));
    *out = read;
out:
    return rc;
}
