/* Any bytes as a text file, plain, gzip or zstd: an error, or blocks of whole lines that hold each line once however
 * the file is cut. The first byte chooses how long blocks and parts are, and whether the file is JSON over several
 * lines. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"
#include "source/line_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINE_MAX_BYTES = 4096, BYTES_MAX = 8 << 20 };

typedef struct Reading {
    Text text;
    bool failed, cut; /* cut: a line that is too long, or no text at all */
} Reading;

static void read_part(const char *path, int64_t from, int64_t to, bool records, size_t block_bytes, Reading *out)
{
    LineInput input;
    LineBlock block = {0};

    line_input_init(&input, LINE_MAX_BYTES, block_bytes);
    bool good = line_input_open(&input, path, from, to, records, NULL) == OK;
    while (good && out->text.length < BYTES_MAX) {
        good = line_input_next(&input, &block, NULL) == OK;
        if (!good || block.start == block.end) {
            break;
        }
        out->cut |= block.too_long || block.foreign;
        if (!block.too_long && !block.foreign && block.end[-1] != '\n') {
            abort();
        }
        if (line_input_number(&input, &block, block.start) < 0) {
            abort();
        }
        text_append_n(&out->text, block.start, (size_t)(block.end - block.start));
    }
    out->failed |= !good;
    line_input_fini(&input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[32];
    bool compressed = false, records = size > 0 && data[0] & 1;
    Reading whole = {.text = TEXT(2 * BYTES_MAX)}, parts = {.text = TEXT(2 * BYTES_MAX)};

    if (size < 2) {
        return 0;
    }
    size_t part = (size_t)4 << (data[0] >> 1 & 7), block = (size_t)16 << (data[0] >> 4 & 7);
    int fd = memfd_create("bytes", 0);
    if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)size - 1) {
        abort();
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    read_part(path, 0, INT64_MAX, records, 0, &whole);
    bool whole_again = byte_input_probe(path, &compressed, NULL) != OK || compressed || records;
    for (size_t from = 0; from == 0 || (!whole_again && from < size - 1); from += part) {
        bool last = whole_again || from + part >= size - 1;
        read_part(path, (int64_t)from, last ? INT64_MAX : (int64_t)(from + part), records, block, &parts);
    }
    bool compare = !whole.failed && !parts.failed && !whole.cut && !parts.cut;
    if (compare && whole.text.length < BYTES_MAX &&
        (whole.text.length != parts.text.length ||
         memcmp(text_str(&whole.text), text_str(&parts.text), whole.text.length) != 0)) {
        fprintf(stderr, "at once:\n%s\nin parts:\n%s\n", text_str(&whole.text), text_str(&parts.text));
        abort();
    }
    text_free(&whole.text);
    text_free(&parts.text);
    close(fd);
    return 0;
}
