/* JSON records into the columns of a chunk, directed by the schema.
 *
 * The fields of a record are expected in the order in which they came the last time, so a key costs one comparison of
 * sixteen bytes; a key that comes as a surprise is looked up. Every record is checked completely: what is not JSON
 * makes the record corrupt, a key the schema does not have (at any depth) or a value that does not fit its column is
 * rescued.
 *
 *   key        must be equal byte for byte; the same name in another case is rescued, not a new column. The last of
 *   two equal keys wins.
 *   BIGINT     a whole number without point and exponent that fits; likewise BYTE, SHORT, INT. DOUBLE, FLOAT also
 *   "NaN", "Infinity"
 *   DECIMAL    a number, or a string that holds one, that fits without rounding
 *   STRING     a string; any other value as its JSON text
 *   DATE, TIMESTAMP  strings in ISO 8601 or the given pattern          BINARY  base64
 *   MAP        an object
 */
#ifndef FRESHET_SOURCE_JSON_READER_H
#define FRESHET_SOURCE_JSON_READER_H

#include "source/json_text.h"
#include "source/record.h"
#include "source/rescue.h"
#include "source/value_node.h"

typedef struct JsonReader {
    ValueNode *root; /* a STRUCT: the fields of a record */
    bool rescues;    /* somebody reads rescue.json */
    Rescue rescue;
    Text scratch;                /* strings without their escapes */
    int64_t misfits;             /* values rescued since the reader was made */
    int64_t ill_typed;           /* those of them that have a column, and do not fit it */
    char unknown[256];           /* path of the first key the schema does not know, or "" */
    const char *const *reserved; /* top-level names that are columns of ours, never of the data */
    size_t n_reserved;

    const char *p; /* the rest is of the record being read */
    int depth;
    JsonFault fault;
    Error *err;
} JsonReader;

void json_reader_init(JsonReader *reader, ValueNode *root, bool rescues, size_t record_bytes_max);
void json_reader_fini(JsonReader *reader);

/* Reads the record that begins at *line (see json_text.h for what must follow it) into `row` and moves *line behind
 * its line end. Strings are borrowed from the text. */
RecordOutcome json_reader_record(JsonReader *reader, const char **line, uint64_t row, Error *err);

#endif
