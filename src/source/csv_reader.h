/* CSV records into the columns of a chunk.
 *
 * Fields are told apart by the separator; a field that begins with a quote ends with one, may hold separators and
 * line ends, and quotes that are doubled or escaped. The columns of a file are those of its header (names are matched
 * byte for byte), else its fields in order. A record with another number of fields than its header is corrupt; a
 * field without a column, or one that does not fit its column, is rescued.
 */
#ifndef FRESHET_SOURCE_CSV_READER_H
#define FRESHET_SOURCE_CSV_READER_H

#include "source/files_options.h"
#include "source/record.h"
#include "source/rescue.h"
#include "source/value_node.h"

/* A field as it stands in the file, without its quotes. */
typedef struct CsvField {
    const char *s;
    size_t n;
    bool quoted, escaped; /* escaped: see csv_unescape */
} CsvField;

typedef struct CsvRecord {
    CsvField *fields;
    size_t n, capacity;
    const char *why; /* CSV_BROKEN: the reason */
} CsvRecord;

enum { CSV_FIELDS_MAX = 100000 };

typedef enum CsvOutcome { CSV_RECORD, CSV_BLANK, CSV_BROKEN, CSV_OPEN } CsvOutcome;
/* Splits the record at *p (which ends before `end`; the byte before end is '\n') and moves behind its line end.
 * CSV_OPEN: a quote is open at the end, *p is where it was. */
CsvOutcome csv_split(const CsvDialect *dialect, const char **p, const char *end, CsvRecord *record);
/* The field's text without doubled and escaped quotes; `out` has room for field->n bytes. */
size_t csv_unescape(const CsvDialect *dialect, const CsvField *field, char *out);
void csv_record_fini(CsvRecord *record);

typedef struct CsvReader {
    const CsvDialect *dialect;
    ValueNode *root; /* a STRUCT: the columns */
    bool inferred;   /* HEADER_AUTO means that there is one */
    bool rescues;
    Rescue rescue;
    int64_t misfits, ill_typed; /* values rescued so far; those of them that do not fit their column */
    char unknown[256];          /* the first header name the schema does not know, or "" */
    const char *const *reserved;
    size_t n_reserved;
    const char *why; /* RECORD_BROKEN: the reason */

    CsvRecord record;
    Text scratch;
    bool at_start; /* nothing of the file was read */
    uint32_t *map; /* field -> column or VALUE_NO_FIELD */
    char **keys;   /* field -> its name as a JSON key, for what is rescued */
    size_t n_map;
    uint32_t *missing; /* columns that no field fills */
    size_t n_missing;
    Arena *arena; /* of the file being read */
} CsvReader;

void csv_reader_init(CsvReader *reader, ValueNode *root, const CsvDialect *dialect, bool inferred, bool rescues,
                     size_t record_bytes_max);
void csv_reader_fini(CsvReader *reader);
void csv_reader_begin_file(CsvReader *reader);
/* As json_reader_record; RECORD_MORE when a quote is still open at `end`, unless `last`: then the line is broken. */
RecordOutcome csv_reader_record(CsvReader *reader, const char **line, const char *end, bool last, uint64_t row);

#endif
