#include "stream/op_uuid.h"

#include "duck/function.h"

enum { UUID_CHARACTERS = 36, NOT_HEX = 16 };

/* DuckDB's 128-bit integer; a UUID is one with the highest bit flipped, so that it sorts like its text. */
typedef struct Uuid {
    uint64_t lower;
    uint64_t upper;
} Uuid;

static unsigned hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10U : NOT_HEX;
}

static bool parse(const char *s, Uuid *out)
{
    uint64_t halves[2] = {0, 0};
    unsigned bad = 0, digits = 0;

    for (unsigned i = 0; i < UUID_CHARACTERS; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            bad |= s[i] == '-' ? 0U : NOT_HEX;
            continue;
        }
        unsigned value = hex_value((unsigned char)s[i]);
        bad |= value;
        halves[digits / 16] = halves[digits / 16] << 4 | (value & 15U);
        digits++;
    }
    *out = (Uuid){.lower = halves[1], .upper = halves[0] ^ UINT64_C(1) << 63};
    return !(bad & NOT_HEX);
}

static Status call_uuid(const DuckScalarArgs *args, Error *err)
{
    const DuckString *texts = args->inputs[0].data;
    Uuid *results = args->output->data;
    (void)err;

    for (size_t row = 0; row < args->rows; row++) {
        if (duck_column_is_null(&args->inputs[0], row)) {
            continue;
        }
        if (duck_string_length(&texts[row]) != UUID_CHARACTERS ||
            !parse(duck_string_data(&texts[row]), &results[row])) {
            duck_column_set_null(args->output, row);
        }
    }
    return OK;
}

Status op_uuid_register(Duck *duck, Error *err)
{
    static const char *const PARAMETERS[] = {"VARCHAR"};
    const DuckScalar scalar = {
        .name = "freshet_uuid", .parameters = PARAMETERS, .n_parameters = 1, .returns = "UUID", .call = call_uuid};

    return duck_register_scalar(duck, &scalar, err);
}
