#include "source/line_input.h"

#include <string.h>

#include "base/mem.h"
#include "source/json_lines.h"

enum { BLOCK_BYTES = 1 << 20, COUNT_BYTES = 64 << 10 };

void line_input_init(LineInput *in, size_t line_max, size_t block_bytes)
{
    *in = (LineInput){.line_max = line_max, .block_bytes = block_bytes > 0 ? block_bytes : BLOCK_BYTES};
}

static void close_file(LineInput *in)
{
    byte_input_close(in->bytes);
    mem_free(in->path);
    mem_free(in->json_lines);
    in->bytes = NULL;
    in->path = NULL;
    in->json_lines = NULL;
}

void line_input_fini(LineInput *in)
{
    close_file(in);
    mem_free(in->buffer);
    in->buffer = NULL;
}

/* A part that is not the first begins one byte early: if that byte ends a line, the part begins with a whole one. */
Status line_input_open(LineInput *in, const char *path, int64_t from, int64_t to, bool records, Error *err)
{
    int64_t first = from > 0 ? from - 1 : 0;

    close_file(in);
    Status rc = byte_input_open(path, first, &in->bytes, err);
    if (rc != OK) {
        return rc;
    }
    in->path = mem_strdup(path);
    in->to = to;
    in->skip_first = from > 0;
    in->discard = in->at_end = false;
    in->begin = in->filled = 0;
    in->offset = first;
    in->counted_offset = in->counted_lines = 0;
    in->json_lines = records ? mem_alloc(sizeof *in->json_lines) : NULL;
    return OK;
}

static void make_room(LineInput *in, size_t capacity)
{
    if (capacity > in->capacity) {
        in->buffer = mem_realloc(in->buffer, capacity + 1 + LINE_PAD);
        in->capacity = capacity;
    }
}

/* What is left moves to the front, and the rest of the buffer is filled. */
static Status fill(LineInput *in, Error *err)
{
    size_t left = in->filled - in->begin;

    make_room(in, in->block_bytes);
    memmove(in->buffer, in->buffer + in->begin, left);
    in->begin = 0;
    in->filled = left;
    while (!in->at_end && in->filled < in->capacity) {
        size_t got;
        Status rc = byte_input_read(in->bytes, in->buffer + in->filled, in->capacity - in->filled, &got, err);
        if (rc != OK) {
            return rc;
        }
        if (in->json_lines != NULL) {
            json_lines_rewrite(in->json_lines, in->buffer + in->filled, got);
        }
        in->filled += got;
        in->at_end = got == 0;
    }
    return OK;
}

static void drop(LineInput *in, size_t n)
{
    in->begin += n;
    in->offset += (int64_t)n;
}

/* Passes over everything up to the end of the line that began before; false while that end is not in the buffer. */
static bool pass_line(LineInput *in)
{
    const char *start = in->buffer + in->begin, *end = memchr(start, '\n', in->filled - in->begin);
    drop(in, end ? (size_t)(end - start) + 1 : in->filled - in->begin);
    return end != NULL;
}

static const char *foreign_kind(const char *s, size_t n)
{
    static const struct {
        const char *magic;
        size_t n;
        const char *what;
    } KINDS[] = {
        {"\xff\xfe", 2, "the file is UTF-16 text, only UTF-8 is read"},
        {"\xfe\xff", 2, "the file is UTF-16 text, only UTF-8 is read"},
        {"PAR1", 4, "the file is Parquet, not text"},
        {"PK\x03\x04", 4, "the file is a zip archive, not text"},
        {"BZh", 3, "the file is compressed with bzip2, only gzip and zstd are read"},
        {"\xfd"
         "7zXZ",
         5, "the file is compressed with xz, only gzip and zstd are read"},
        {"Obj\x01", 4, "the file is Avro, not text"},
        {"ORC", 3, "the file is ORC, not text"},
    };
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (n >= KINDS[i].n && memcmp(s, KINDS[i].magic, KINDS[i].n) == 0) {
            return KINDS[i].what;
        }
    }
    return NULL;
}

/* At the beginning of a file: its mark is passed over; something else altogether is handed out as such. */
static bool begin_file(LineInput *in, LineBlock *block)
{
    const char *s = in->buffer;
    const char *foreign = foreign_kind(s, in->filled);
    if (foreign == NULL) {
        if (in->filled >= 3 && memcmp(s, "\xEF\xBB\xBF", 3) == 0) {
            drop(in, 3);
        }
        return false;
    }
    size_t n = in->filled < LINE_SAMPLE ? in->filled : LINE_SAMPLE;
    *block = (LineBlock){.start = s, .end = s + n, .foreign = foreign};
    in->begin = in->filled = 0;
    in->at_end = true;
    return true;
}

/* How far the block goes: to the last line end in the buffer that is not behind the part; 0 when no line is complete. */
static size_t block_length(const LineInput *in)
{
    const char *start = in->buffer + in->begin;
    size_t n = in->filled - in->begin;

    if (in->to - 1 - in->offset < (int64_t)n) {
        int64_t before = in->to - 1 - in->offset;
        size_t skip = before > 0 ? (size_t)before : 0;
        const char *last = memchr(start + skip, '\n', n - skip);
        if (last != NULL) {
            return (size_t)(last - start) + 1;
        }
    }
    const char *last = memrchr(start, '\n', n);
    return last ? (size_t)(last - start) + 1 : 0;
}

static void hand_out(LineInput *in, size_t n, LineBlock *block)
{
    const char *start = in->buffer + in->begin;
    memset(in->buffer + in->filled, 0, LINE_PAD);
    *block = (LineBlock){.start = start, .end = start + n, .offset = in->offset};
    drop(in, n);
}

/* The beginning of a line that is too long; its rest will be passed over. */
static void hand_out_sample(LineInput *in, LineBlock *block)
{
    const char *start = in->buffer + in->begin;
    *block = (LineBlock){.start = start, .end = start + LINE_SAMPLE, .offset = in->offset, .too_long = true};
    drop(in, LINE_SAMPLE);
    in->discard = true;
}

Status line_input_next(LineInput *in, LineBlock *block, Error *err)
{
    *block = (LineBlock){0};
    for (;;) {
        bool first = in->offset == 0 && in->begin == 0 && in->filled == 0;
        Status rc = fill(in, err);
        if (rc != OK) {
            return rc;
        }
        if (first && begin_file(in, block)) {
            return OK;
        }
        if (in->skip_first || in->discard) {
            bool passed = pass_line(in);
            in->skip_first = in->skip_first && !passed;
            in->discard = in->discard && !passed;
        }
        size_t n = in->filled - in->begin;
        if (in->offset >= in->to || (n == 0 && in->at_end)) {
            return OK;
        }
        if (in->skip_first || in->discard) {
            continue;
        }
        if (in->at_end && in->buffer[in->filled - 1] != '\n') {
            in->buffer[in->filled++] = '\n';
        }
        size_t length = block_length(in);
        if (length > 0) {
            hand_out(in, length, block);
            return OK;
        }
        if (n >= in->line_max) {
            hand_out_sample(in, block);
            return OK;
        }
        if (n == in->capacity) {
            make_room(in, in->capacity * 2);
        }
    }
}

bool line_input_give_back(LineInput *in, const LineBlock *block, const char *p)
{
    size_t back = (size_t)(block->end - p);
    if (in->at_end || back >= in->line_max) {
        return false;
    }
    in->begin -= back;
    in->offset -= (int64_t)back;
    if (in->begin == 0) {
        make_room(in, in->capacity * 2);
    }
    return true;
}

static int64_t count_lines(const char *s, const char *end)
{
    int64_t n = 0;
    while (s < end && (s = memchr(s, '\n', (size_t)(end - s))) != NULL) {
        n++;
        s++;
    }
    return n;
}

/* Counts the line ends of the file in [counted_offset, to) by reading it once more. */
static bool count_up_to(LineInput *in, int64_t to)
{
    ByteInput *bytes;
    Error ignored = ERROR_NONE;
    size_t got = 1;
    bool whole = byte_input_compressed(in->bytes);
    int64_t at = whole ? 0 : in->counted_offset;

    if (byte_input_open(in->path, at, &bytes, &ignored) != OK) {
        return false;
    }
    char *buffer = mem_alloc(COUNT_BYTES);
    if (whole) {
        in->counted_lines = 0;
    }
    while (at < to && got > 0) {
        size_t n = to - at < COUNT_BYTES ? (size_t)(to - at) : COUNT_BYTES;
        if (byte_input_read(bytes, buffer, n, &got, &ignored) != OK) {
            break;
        }
        in->counted_lines += count_lines(buffer, buffer + got);
        at += (int64_t)got;
    }
    mem_free(buffer);
    byte_input_close(bytes);
    in->counted_offset = at;
    return at == to;
}

int64_t line_input_number(LineInput *in, const LineBlock *block, const char *p)
{
    int64_t at = block->offset + (p - block->start);
    if (in->json_lines != NULL) {
        return 0;
    }
    if (in->counted_offset >= block->offset && in->counted_offset <= at) {
        const char *from = block->start + (in->counted_offset - block->offset);
        in->counted_lines += count_lines(from, p);
        in->counted_offset = at;
    } else if (!count_up_to(in, at)) {
        return 0;
    }
    return in->counted_lines + 1;
}
