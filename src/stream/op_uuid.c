#include "stream/op_uuid.h"

#include "duck/function.h"

enum { UUID_CHARACTERS = 36, HEX = 16 };

/* What a character stands for, with the bit HEX; 0: it is no digit. */
static const unsigned char DIGITS[256] = {
    ['0'] = HEX | 0,  ['1'] = HEX | 1,  ['2'] = HEX | 2,  ['3'] = HEX | 3,  ['4'] = HEX | 4,  ['5'] = HEX | 5,
    ['6'] = HEX | 6,  ['7'] = HEX | 7,  ['8'] = HEX | 8,  ['9'] = HEX | 9,  ['a'] = HEX | 10, ['b'] = HEX | 11,
    ['c'] = HEX | 12, ['d'] = HEX | 13, ['e'] = HEX | 14, ['f'] = HEX | 15,
};

/* DuckDB's 128-bit integer; a UUID is one with the highest bit flipped, so that it sorts like its text. */
typedef struct Uuid {
    uint64_t lower;
    uint64_t upper;
} Uuid;

/* Appends `n` digits to `value`; *all keeps HEX as long as all were some. */
static uint64_t read_digits(const char *s, unsigned n, uint64_t value, unsigned *all)
{
    for (unsigned i = 0; i < n; i++) {
        unsigned digit = DIGITS[(unsigned char)s[i]];
        *all &= digit;
        value = value << 4 | (digit & 15U);
    }
    return value;
}

static bool parse(const char *s, Uuid *out)
{
    unsigned all = HEX;

    if (s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-') {
        return false;
    }
    uint64_t upper = read_digits(s + 14, 4, read_digits(s + 9, 4, read_digits(s, 8, 0, &all), &all), &all);
    uint64_t lower = read_digits(s + 24, 12, read_digits(s + 19, 4, 0, &all), &all);
    *out = (Uuid){.lower = lower, .upper = upper ^ UINT64_C(1) << 63};
    return (all & HEX) != 0;
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
