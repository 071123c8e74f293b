/* Text as values: the first line is a time pattern, the rest a value, tried as every type. What is taken is what
 * another reading of the same text says, and comes back from its printed form. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "source/time_pattern.h"
#include "source/value_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

__extension__ typedef __int128 Wide;

static void must(bool good)
{
    if (!good) {
        abort();
    }
}

/* A column of one row. */
typedef struct Cell {
    ValueNode node;
    uint64_t validity;
    union {
        int16_t small;
        int32_t medium;
        int64_t whole;
        Wide wide;
    } value;
} Cell;

static void cell_init(Cell *cell, DeltaTypeId type, int precision, int scale)
{
    *cell = (Cell){.node = {.type = type, .precision = (uint8_t)precision, .scale = (uint8_t)scale, .wanted = true}};
    cell->node.column = (DuckColumn){.data = &cell->value, .validity = &cell->validity, .writable = true};
}

static void try_numbers(const char *s, size_t n)
{
    int64_t whole = 0, same = 0;
    double real = 0, twin = 0;

    if (text_to_i64(s, n, &whole)) {
        must(str_parse_i64(s, &same) && whole == same);
    }
    if (text_to_double(s, n, false, &real)) {
        must(str_parse_double(s, &twin) && real == twin && signbit(real) == signbit(twin));
    }
}

static Wide decimal_of(const Cell *cell)
{
    int precision = cell->node.precision;

    return precision <= 4    ? cell->value.small
           : precision <= 9  ? cell->value.medium
           : precision <= 18 ? cell->value.whole
                             : cell->value.wide;
}

static void try_decimal(const char *s, size_t n, int precision, int scale)
{
    Cell cell, again;
    char digits[64], *d = digits + sizeof digits;

    cell_init(&cell, DELTA_DECIMAL, precision, scale);
    if (!value_decimal_text(&cell.node, 0, s, n)) {
        return;
    }
    Wide value = decimal_of(&cell);
    bool negative = value < 0;
    *--d = '\0';
    for (int i = 0; i <= scale || value != 0; i++, value /= 10) {
        if (i == scale && scale > 0) {
            *--d = '.';
        }
        *--d = (char)('0' + (int)(negative ? -(value % 10) : value % 10));
    }
    if (negative) {
        *--d = '-';
    }
    cell_init(&again, DELTA_DECIMAL, precision, scale);
    must(value_decimal_text(&again.node, 0, d, strlen(d)) && decimal_of(&cell) == decimal_of(&again));
}

static void try_times(const TimePattern *pattern, const char *s, size_t n)
{
    static const DeltaTypeId TYPES[] = {DELTA_DATE, DELTA_TIMESTAMP, DELTA_TIMESTAMP_NTZ};
    Cell cell;
    char text[32];
    int64_t same;

    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        cell_init(&cell, TYPES[i], 0, 0);
        (void)value_plain_text(&cell.node, 0, s, n);
        cell.node.pattern = pattern;
        if (pattern != NULL && value_plain_text(&cell.node, 0, s, n) && TYPES[i] != DELTA_DATE) {
            time_iso_us(cell.value.whole, text);
            must(!time_parse_us(text, &same) || same == cell.value.whole);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const DeltaTypeId REST[] = {DELTA_BOOLEAN, DELTA_BYTE,  DELTA_SHORT, DELTA_INTEGER,
                                       DELTA_LONG,    DELTA_FLOAT, DELTA_DOUBLE};
    Arena *arena = arena_new();
    char *text = arena_strndup(arena, (const char *)data, size), *s = strchr(text, '\n');
    const TimePattern *pattern = NULL;
    ValueNode bytes = {.type = DELTA_BINARY};

    if (s != NULL) {
        *s++ = '\0';
        (void)time_pattern_new(text, arena, &pattern, NULL);
        size_t n = strlen(s);
        try_numbers(s, n);
        try_decimal(s, n, 4, 2);
        try_decimal(s, n, 9, 0);
        try_decimal(s, n, 18, 18);
        try_decimal(s, n, 38, 10);
        try_times(pattern, s, n);
        (void)value_base64_text(&bytes, 0, s, n);
        for (size_t i = 0; i < sizeof REST / sizeof *REST; i++) {
            Cell cell;
            cell_init(&cell, REST[i], 0, 0);
            (void)value_plain_text(&cell.node, 0, s, n);
        }
    }
    arena_free(arena);
    return 0;
}
