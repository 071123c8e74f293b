/* A file, or a part of it, as blocks of whole lines in memory.
 *
 * A block ends with '\n' (one is added at the end of a file that lacks it) and is followed by at least LINE_PAD
 * readable bytes; it stays where it is until the next block is asked for. A part is a range of bytes [from, to): its
 * lines are those that begin in it, so that the parts of a file hold each line once. A byte order mark of UTF-8 is
 * passed over.
 *
 * A line longer than the limit comes as a block of its own, cut to its beginning (`too_long`). A file that is plainly
 * something else (UTF-16, Parquet, zip, ...) comes as one block with its first bytes and `foreign` saying what it is.
 */
#ifndef FRESHET_SOURCE_LINE_INPUT_H
#define FRESHET_SOURCE_LINE_INPUT_H

#include "source/byte_input.h"

enum { LINE_PAD = 64, LINE_SAMPLE = 1024 };

typedef struct LineInput {
    ByteInput *bytes;
    char *path;
    size_t line_max, block_bytes;
    int64_t to;      /* lines that begin at or behind it belong to another part; INT64_MAX: none do */
    bool skip_first; /* the first line began in the part before */
    bool discard;    /* passing over the rest of a line that was too long */
    bool at_end;     /* nothing more to read from `bytes` */
    bool records;    /* rewrite multi-line JSON to a record a line: see json_lines.h */
    struct JsonLines *json_lines;

    char *buffer; /* kept from file to file */
    size_t capacity;
    size_t begin, filled; /* what is in it and not yet handed out */
    int64_t offset;       /* in the file (or in what was decompressed) of buffer[begin] */

    int64_t counted_offset, counted_lines; /* lines before that offset, once somebody asked */
} LineInput;

typedef struct LineBlock {
    const char *start, *end; /* start == end: no more */
    int64_t offset;
    bool too_long;
    const char *foreign;
} LineBlock;

/* Blocks hold `block_bytes`, or one line where that is longer; 0: what is fast. */
void line_input_init(LineInput *in, size_t line_max, size_t block_bytes);
void line_input_fini(LineInput *in);
/* Begins another file; the one before is closed. `records`: the file is JSON values over several lines, or one array
 * of them. */
Status line_input_open(LineInput *in, const char *path, int64_t from, int64_t to, bool records, Error *err);
Status line_input_next(LineInput *in, LineBlock *block, Error *err);
/* The next block shall begin at `p` of this one and be longer, because a record goes on behind its end. False when it
 * cannot be. */
bool line_input_give_back(LineInput *in, const LineBlock *block, const char *p);
/* The number, from 1, of the line at `p` of the block; 0 when it cannot be told. */
int64_t line_input_number(LineInput *in, const LineBlock *block, const char *p);

#endif
