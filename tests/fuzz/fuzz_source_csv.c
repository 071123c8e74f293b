/* Any bytes as a CSV file: what is read of it does not depend on the blocks in which it comes. The first byte chooses
 * the dialect, the second how long the blocks are.
 *
 * Nobody wants the columns, so values are checked against their types and forgotten; what is compared is the outcome of
 * every record, its fields and what is rescued of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "source/csv_reader.h"
#include "source/line_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORD_MAX = 1 << 20, BLOCK_MIN = 16 };

static const DeltaType TYPES[] = {
    {.id = DELTA_INTEGER}, {.id = DELTA_DOUBLE},
    {.id = DELTA_BOOLEAN}, {.id = DELTA_DECIMAL, .precision = 9, .scale = 2},
    {.id = DELTA_DATE},    {.id = DELTA_TIMESTAMP},
    {.id = DELTA_STRING},
};
static const DeltaField FIELDS[] = {
    {.name = "i", .type = &TYPES[0]}, {.name = "d", .type = &TYPES[1]},   {.name = "b", .type = &TYPES[2]},
    {.name = "n", .type = &TYPES[3]}, {.name = "day", .type = &TYPES[4]}, {.name = "at", .type = &TYPES[5]},
    {.name = "s", .type = &TYPES[6]},
};
enum { N_FIELDS = sizeof FIELDS / sizeof *FIELDS };

static CsvDialect dialect_of(uint8_t choice)
{
    static const char SEPARATORS[] = ",;\t|", QUOTES[] = "\"\"'\0", ESCAPES[] = "\"\\";
    bool trims = choice & 32;

    return (CsvDialect){.separator = SEPARATORS[choice & 3],
                        .quote = QUOTES[choice >> 2 & 3],
                        .escape = ESCAPES[choice >> 4 & 1],
                        .trim_left = trims,
                        .trim_right = trims,
                        .comment = choice & 64 ? '#' : '\0',
                        .header = choice & 128 ? HEADER_NO : HEADER_YES,
                        .null_value = "NULL",
                        .empty_value = ""};
}

static void note_record(CsvReader *reader, RecordOutcome outcome, Text *out)
{
    text_printf(out, "%d", outcome);
    for (size_t i = 0; outcome == RECORD_READ && i < reader->record.n; i++) {
        text_append_char(out, '|');
        text_append_n(out, reader->record.fields[i].s, reader->record.fields[i].n);
    }
    text_append(out, outcome == RECORD_BROKEN ? reader->why : "");
    if (outcome == RECORD_READ && rescue_end(&reader->rescue, "file")) {
        text_append_n(out, reader->rescue.json.data, reader->rescue.json.length);
    }
    text_append_char(out, '\n');
}

/* As source/files_scan.c does it, with a row to a chunk. */
static void read_block(CsvReader *reader, LineInput *input, const LineBlock *block, Text *out)
{
    bool last = false;

    for (const char *at = block->start; at < block->end;) {
        RecordOutcome outcome = csv_reader_record(reader, &at, block->end, last, 0);
        if (outcome != RECORD_MORE) {
            note_record(reader, outcome, out);
        } else if (line_input_give_back(input, block, at)) {
            return;
        } else {
            last = true;
        }
    }
}

/* False when the file is compressed and damaged. */
static bool read_file(const char *path, const CsvDialect *dialect, size_t block_bytes, Text *out)
{
    Arena *arena = arena_new();
    ValueNode root;
    CsvReader reader;
    LineInput input;
    LineBlock block;

    value_node_init_fields(&root, FIELDS, N_FIELDS, arena);
    csv_reader_init(&reader, &root, dialect, false, true, RECORD_MAX);
    line_input_init(&input, RECORD_MAX, block_bytes);
    Status rc = line_input_open(&input, path, 0, INT64_MAX, false, NULL);
    while (rc == OK && (rc = line_input_next(&input, &block, NULL)) == OK && block.start < block.end) {
        if (!block.foreign) {
            read_block(&reader, &input, &block, out);
        }
    }
    line_input_fini(&input);
    csv_reader_fini(&reader);
    arena_free(arena);
    return rc == OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[32];
    Text whole = TEXT(256 << 20), pieces = TEXT(256 << 20);

    if (size < 2) {
        return 0;
    }
    CsvDialect dialect = dialect_of(data[0]);
    int fd = memfd_create("csv", 0);
    if (fd < 0 || write(fd, data + 2, size - 2) != (ssize_t)size - 2) {
        abort();
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    bool good = read_file(path, &dialect, 0, &whole) && read_file(path, &dialect, BLOCK_MIN + data[1], &pieces);
    if (good && strcmp(text_str(&whole), text_str(&pieces)) != 0) {
        fprintf(stderr, "at once:\n%s\nin blocks:\n%s\n", text_str(&whole), text_str(&pieces));
        abort();
    }
    text_free(&whole);
    text_free(&pieces);
    close(fd);
    return 0;
}
