/* The formats of rows. Tables and boxes hold the first rows back to find the widths of the columns; csv and jsonl write
 * each row as it comes. */
#include "cli/output.h"

#include <string.h>

#include "base/mem.h"

enum {
    WIDTH_ROWS = 1000, /* rows that decide the widths of a table; later ones may be wider */
    CELL_MAX = 16 << 20,
};

static Status write_failed(FILE *out, Error *err)
{
    return ferror(out) ? error_errno(err, "writing the result") : OK;
}

/* ---- jsonl, csv ---- */

static Status write_jsonl(DuckResult *result, FILE *out, Error *err)
{
    Status rc = OK;
    Text line = TEXT(CELL_MAX);
    bool more = false;

    for (;;) {
        TRY(duck_result_next(result, &more, err));
        if (!more) {
            break;
        }
        text_clear(&line);
        duck_result_row_json(result, &line);
        text_append_char(&line, '\n');
        if (line.overflow) {
            rc = error_set(err, E_LIMIT, "a row of the result is larger than %d bytes", CELL_MAX);
            goto out;
        }
        fwrite(line.data, 1, line.length, out);
        TRY(write_failed(out, err));
    }
out:
    text_free(&line);
    return rc;
}

/* Nothing at all is NULL; an empty text stands in quotes. */
static void csv_cell(FILE *out, const char *s)
{
    if (*s != '\0' && s[strcspn(s, ",\"\r\n")] == '\0') {
        fputs(s, out);
        return;
    }
    fputc('"', out);
    for (; *s != '\0'; s++) {
        if (*s == '"') {
            fputc('"', out);
        }
        fputc(*s, out);
    }
    fputc('"', out);
}

static Status write_csv(DuckResult *result, FILE *out, Error *err)
{
    Status rc = OK;
    Text cell = TEXT(CELL_MAX);
    size_t n = duck_result_columns(result);
    bool more = false;

    for (size_t i = 0; i < n; i++) {
        fputs(i == 0 ? "" : ",", out);
        csv_cell(out, duck_result_name(result, i));
    }
    fputc('\n', out);
    for (;;) {
        TRY(duck_result_next(result, &more, err));
        if (!more) {
            break;
        }
        for (size_t i = 0; i < n; i++) {
            text_clear(&cell);
            fputs(i == 0 ? "" : ",", out);
            if (duck_result_print(result, i, &cell)) {
                csv_cell(out, text_str(&cell));
            }
            if (cell.overflow) {
                rc = error_set(err, E_LIMIT, "a value of the result is larger than %d bytes", CELL_MAX);
                goto out;
            }
        }
        fputc('\n', out);
        TRY(write_failed(out, err));
    }
out:
    text_free(&cell);
    return rc;
}

/* ---- table, box ---- */

/* How the lines of a table are drawn. */
typedef struct Frame {
    const char *left, *between, *right;                     /* of a row */
    const char *rule, *rule_left, *rule_cross, *rule_right; /* below the head */
    const char *top_left, *top_cross, *top_right;           /* NULL: no line there */
    const char *end_left, *end_cross, *end_right;
} Frame;

static const Frame PLAIN = {"", "  ", "", "-", "", "  ", "", NULL, NULL, NULL, NULL, NULL, NULL};
static const Frame BOX = {"│ ", " │ ", " │", "─", "├─", "─┼─", "─┤", "┌─", "─┬─", "─┐", "└─", "─┴─", "─┘"};

/* Columns a text takes on a terminal: one per code point. */
static size_t display_width(const char *s)
{
    size_t n = 0;

    for (; *s != '\0'; s++) {
        n += ((unsigned char)*s & 0xc0) != 0x80;
    }
    return n;
}

static void write_cell(FILE *out, const char *s, size_t width, bool right, bool last)
{
    size_t own = display_width(s), pad = own < width ? width - own : 0;

    if (right) {
        fprintf(out, "%*s%s", (int)pad, "", s);
    } else {
        fprintf(out, "%s%*s", s, last ? 0 : (int)pad, "");
    }
}

static void write_rule(FILE *out, const char *left, const char *cross, const char *right, const char *rule,
                       const size_t *widths, size_t n)
{
    if (left == NULL) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        fputs(i == 0 ? left : cross, out);
        for (size_t k = 0; k < widths[i]; k++) {
            fputs(rule, out);
        }
    }
    fprintf(out, "%s\n", right);
}

/* The first rows of a result, held until the widths are known. */
typedef struct Grid {
    size_t columns, rows;
    char **cells; /* rows * columns */
    size_t *widths;
    bool *numeric; /* a column of numbers stands right */
} Grid;

static bool looks_numeric(const char *s)
{
    return s[0] == '\0' || s[strspn(s, "+-.0123456789eE")] == '\0';
}

/* One row, one line; and what a terminal would take for a command stays a text. */
static char *plain_text(char *text)
{
    for (unsigned char *s = (unsigned char *)text; *s != '\0'; s++) {
        *s = *s == '\n' || *s == '\r' || *s == '\t' ? ' ' : *s < 0x20 || *s == 0x7f ? '?' : *s;
    }
    return text;
}

static char *take_cell(DuckResult *result, size_t column)
{
    Text cell = TEXT(CELL_MAX);

    if (!duck_result_print(result, column, &cell)) {
        text_append(&cell, "NULL");
    }
    return plain_text(text_take(&cell));
}

static Status grid_fill(Grid *grid, DuckResult *result, bool *more, Error *err)
{
    Status rc = OK;

    for (size_t i = 0; i < grid->columns; i++) {
        grid->widths[i] = display_width(duck_result_name(result, i));
        grid->numeric[i] = true;
    }
    for (*more = true; grid->rows < WIDTH_ROWS; grid->rows++) {
        TRY(duck_result_next(result, more, err));
        if (!*more) {
            break;
        }
        for (size_t i = 0; i < grid->columns; i++) {
            char *cell = take_cell(result, i);
            size_t width = display_width(cell);
            grid->cells[grid->rows * grid->columns + i] = cell;
            grid->widths[i] = width > grid->widths[i] ? width : grid->widths[i];
            grid->numeric[i] = grid->numeric[i] && (duck_result_is_null(result, i) || looks_numeric(cell));
        }
    }
out:
    return rc;
}

static void write_row(FILE *out, const Frame *frame, const Grid *grid, char *const *cells, bool head)
{
    for (size_t i = 0; i < grid->columns; i++) {
        bool last = i + 1 == grid->columns && frame->right[0] == '\0';
        fputs(i == 0 ? frame->left : frame->between, out);
        write_cell(out, cells[i], grid->widths[i], grid->numeric[i] && !head, last);
    }
    fprintf(out, "%s\n", frame->right);
}

static Status write_grid(DuckResult *result, FILE *out, const Frame *frame, Error *err)
{
    Status rc = OK;
    size_t n = duck_result_columns(result), rows = 0;
    Grid grid = {.columns = n,
                 .cells = mem_alloc(n * WIDTH_ROWS * sizeof(char *)),
                 .widths = mem_alloc(n * sizeof(size_t)),
                 .numeric = mem_alloc(n)};
    char **names = mem_alloc((n + 1) * sizeof *names);
    bool more = false;

    TRY(grid_fill(&grid, result, &more, err));
    for (size_t i = 0; i < n; i++) {
        names[i] = plain_text(mem_strdup(duck_result_name(result, i)));
    }
    write_rule(out, frame->top_left, frame->top_cross, frame->top_right, frame->rule, grid.widths, n);
    write_row(out, frame, &grid, names, true);
    write_rule(out, frame->rule_left, frame->rule_cross, frame->rule_right, frame->rule, grid.widths, n);
    for (rows = 0; rows < grid.rows; rows++) {
        write_row(out, frame, &grid, grid.cells + rows * n, false);
    }
    while (more) {
        TRY(duck_result_next(result, &more, err));
        if (!more) {
            break;
        }
        char **cells = mem_alloc((n + 1) * sizeof *cells);
        for (size_t i = 0; i < n; i++) {
            cells[i] = take_cell(result, i);
        }
        write_row(out, frame, &grid, cells, false);
        for (size_t i = 0; i < n; i++) {
            mem_free(cells[i]);
        }
        mem_free(cells);
        TRY(write_failed(out, err));
        rows++;
    }
    write_rule(out, frame->end_left, frame->end_cross, frame->end_right, frame->rule, grid.widths, n);
    fprintf(out, "(%zu row%s)\n", rows, rows == 1 ? "" : "s");
    TRY(write_failed(out, err));
out:
    for (size_t i = 0; i < grid.rows * n; i++) {
        mem_free(grid.cells[i]);
    }
    for (size_t i = 0; i < n; i++) {
        mem_free(names[i]);
    }
    mem_free(names);
    mem_free(grid.cells);
    mem_free(grid.widths);
    mem_free(grid.numeric);
    return rc;
}

static Status write_table(DuckResult *result, FILE *out, Error *err)
{
    return write_grid(result, out, &PLAIN, err);
}

static Status write_box(DuckResult *result, FILE *out, Error *err)
{
    return write_grid(result, out, &BOX, err);
}

const OutputFormat *output_format(const char *name, const char **names)
{
    static const OutputFormat formats[] = {{"table", false, write_table},
                                           {"box", false, write_box},
                                           {"csv", true, write_csv},
                                           {"jsonl", true, write_jsonl}};

    if (names != NULL) {
        *names = "table, box, csv, jsonl, parquet";
    }
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(formats[i].name, name) == 0) {
            return &formats[i];
        }
    }
    return NULL;
}
