/* What became of one record of a text file. */
#ifndef FRESHET_SOURCE_RECORD_H
#define FRESHET_SOURCE_RECORD_H

typedef enum RecordOutcome {
    RECORD_READ,   /* the row is filled; the reader's rescue may hold something (see rescue_end) */
    RECORD_BROKEN, /* it cannot be read, the reader's fault says why; the row is null */
    RECORD_NONE,   /* a blank line, a comment, a header: no row */
    RECORD_MORE,   /* it goes on behind the end of the block */
    RECORD_FAILED, /* err is set: no memory for the chunk */
} RecordOutcome;

#endif
