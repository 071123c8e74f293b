#include "source/csv_reader.h"

#include <stdio.h>

#include "base/mem.h"
#include "source/shape.h"
#include "source/value_text.h"

/* ---- splitting ---- */

static void add_field(CsvRecord *record, CsvField field)
{
    record->fields = mem_grow(record->fields, record->n, &record->capacity, sizeof *record->fields);
    record->fields[record->n++] = field;
}

/* Behind the closing quote of the field whose opening quote is at p; NULL when it is not closed before `end`. */
static const char *quoted_field(const CsvDialect *d, const char *p, const char *end, CsvField *field)
{
    const char *start = ++p;
    bool escaped = false;

    for (; p < end; p++) {
        if (*p == d->escape && d->escape != d->quote && p + 1 < end && (p[1] == d->quote || p[1] == d->escape)) {
            escaped = true;
            p++;
        } else if (*p == d->quote) {
            if (p + 1 < end && p[1] == d->quote) {
                escaped = true;
                p++;
                continue;
            }
            *field = (CsvField){start, (size_t)(p - start), true, escaped};
            return p + 1;
        }
    }
    return NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static CsvField bare_field(const CsvDialect *d, const char *start, const char *end)
{
    if (end > start && end[-1] == '\r' && *end == '\n') {
        end--;
    }
    while (d->trim_left && start < end && is_blank(*start)) {
        start++;
    }
    while (d->trim_right && end > start && is_blank(end[-1])) {
        end--;
    }
    return (CsvField){start, (size_t)(end - start), false, false};
}

static const char *field_end(const CsvDialect *d, const char *p)
{
    while (*p != d->separator && *p != '\n') {
        p++;
    }
    return p;
}

static CsvOutcome broken_record(CsvRecord *record, const char **p, const char *why)
{
    record->why = why;
    *p = (const char *)rawmemchr(*p, '\n') + 1;
    return CSV_BROKEN;
}

CsvOutcome csv_split(const CsvDialect *d, const char **p, const char *end, CsvRecord *record)
{
    const char *at = *p;

    record->n = 0;
    if (*at == '\n' || (*at == '\r' && at[1] == '\n') || (d->comment != 0 && *at == d->comment)) {
        *p = (const char *)rawmemchr(at, '\n') + 1;
        return CSV_BLANK;
    }
    for (;;) {
        CsvField field;
        const char *start = at;
        while (d->quote != 0 && d->trim_left && is_blank(*start) && *start != d->separator) {
            start++;
        }
        if (d->quote != 0 && *start == d->quote) {
            at = quoted_field(d, start, end, &field);
            if (at == NULL) {
                return CSV_OPEN;
            }
            at += *at == '\r' && at[1] == '\n';
            while (d->trim_right && is_blank(*at) && *at != d->separator) {
                at++;
            }
            if (*at != d->separator && *at != '\n') {
                return broken_record(record, p, "text behind a closing quote");
            }
        } else {
            const char *stop = field_end(d, at);
            field = bare_field(d, at, stop);
            at = stop;
        }
        if (record->n == CSV_FIELDS_MAX) {
            return broken_record(record, p, "too many fields");
        }
        add_field(record, field);
        if (*at++ == '\n') {
            *p = at;
            return CSV_RECORD;
        }
    }
}

size_t csv_unescape(const CsvDialect *d, const CsvField *field, char *out)
{
    const char *s = field->s, *end = s + field->n;
    size_t n = 0;

    while (s < end) {
        bool pair = s + 1 < end && ((*s == d->quote && s[1] == d->quote) ||
                                    (*s == d->escape && (s[1] == d->quote || s[1] == d->escape)));
        s += pair;
        out[n++] = *s++;
    }
    return n;
}

void csv_record_fini(CsvRecord *record)
{
    mem_free(record->fields);
    *record = (CsvRecord){0};
}

/* ---- reading ---- */

void csv_reader_init(CsvReader *r, ValueNode *root, const CsvDialect *dialect, bool inferred, bool rescues,
                     size_t record_bytes_max)
{
    *r = (CsvReader){
        .root = root, .dialect = dialect, .inferred = inferred, .rescues = rescues, .scratch = TEXT(record_bytes_max)};
    rescue_init(&r->rescue, record_bytes_max * 4 + 65536);
    csv_reader_begin_file(r);
}

void csv_reader_fini(CsvReader *r)
{
    rescue_fini(&r->rescue);
    csv_record_fini(&r->record);
    text_free(&r->scratch);
    arena_free(r->arena);
}

void csv_reader_begin_file(CsvReader *r)
{
    arena_free(r->arena);
    r->arena = arena_new();
    r->at_start = true;
    r->n_map = 0;
}

/* The field's text without escapes; borrowed from the record or from the scratch. */
static void plain_text(CsvReader *r, const CsvField *field, const char **s, size_t *n)
{
    *s = field->s;
    *n = field->n;
    if (field->escaped) {
        text_clear(&r->scratch);
        text_append_n(&r->scratch, field->s, field->n);
        *n = csv_unescape(r->dialect, field, r->scratch.data);
        *s = r->scratch.data;
    }
}

/* A first line of exactly the column names is a header although nobody said so. */
static bool names_the_columns(CsvReader *r)
{
    if (r->record.n != r->root->n_children) {
        return false;
    }
    for (size_t i = 0; i < r->record.n; i++) {
        const char *s;
        size_t n;
        plain_text(r, &r->record.fields[i], &s, &n);
        if (value_node_field_nocase(r->root, s, n) == VALUE_NO_FIELD) {
            return false;
        }
    }
    return true;
}

static bool has_header(CsvReader *r)
{
    switch (r->dialect->header) {
    case HEADER_YES: return true;
    case HEADER_NO: return false;
    default: return r->inferred || names_the_columns(r);
    }
}

static void make_map(CsvReader *r, size_t n)
{
    r->map = arena_alloc(r->arena, (n + 1) * sizeof *r->map);
    r->keys = arena_alloc(r->arena, (n + 1) * sizeof *r->keys);
    r->missing = arena_alloc(r->arena, (r->root->n_children + 1) * sizeof *r->missing);
    r->n_map = n;
    r->n_missing = 0;
}

static void map_field(CsvReader *r, size_t i, const char *name, uint32_t column)
{
    Text key = TEXT(1 << 20);
    text_append_json_string(&key, name);
    r->keys[i] = arena_strndup(r->arena, key.data + 1, key.length - 2);
    r->map[i] = column;
    text_free(&key);
}

static bool is_reserved(const CsvReader *r, const char *name)
{
    for (size_t i = 0; i < r->n_reserved; i++) {
        if (strcasecmp(r->reserved[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void note_unknown(CsvReader *r, const char *name)
{
    if (r->unknown[0] == '\0' && shape_takes_name(name, strlen(name)) &&
        value_node_field_nocase(r->root, name, strlen(name)) == VALUE_NO_FIELD && !is_reserved(r, name)) {
        snprintf(r->unknown, sizeof r->unknown, "%s", name);
    }
}

/* The first of two fields with one name fills the column; the other is rescued. */
static void map_header(CsvReader *r)
{
    bool *taken = arena_alloc(r->arena, r->root->n_children + 1);

    make_map(r, r->record.n);
    for (size_t i = 0; i < r->n_map; i++) {
        const char *s;
        size_t n;
        plain_text(r, &r->record.fields[i], &s, &n);
        const char *name = n > 0 ? arena_strndup(r->arena, s, n) : arena_printf(r->arena, "_c%zu", i);
        uint32_t column = value_node_field(r->root, name, strlen(name));
        if (column == VALUE_NO_FIELD) {
            note_unknown(r, name);
        } else if (taken[column]) {
            column = VALUE_NO_FIELD;
        } else {
            taken[column] = true;
        }
        map_field(r, i, name, column);
    }
    for (uint32_t c = 0; c < r->root->n_children; c++) {
        if (!taken[c]) {
            r->missing[r->n_missing++] = c;
        }
    }
}

/* Without a header fields are columns in order. */
static void map_positions(CsvReader *r)
{
    make_map(r, r->root->n_children);
    for (uint32_t i = 0; i < r->n_map; i++) {
        map_field(r, i, r->root->keys->names[i], i);
    }
}

static RecordOutcome broken_row(CsvReader *r, uint64_t row, const char *why)
{
    for (size_t i = 0; i < r->root->n_children; i++) {
        value_set_null(&r->root->children[i], row);
    }
    r->why = why;
    return RECORD_BROKEN;
}

static bool is_null(const CsvDialect *d, const CsvField *field, const char *s, size_t n)
{
    if (n == 0) {
        return !field->quoted;
    }
    return strlen(d->null_value) == n && memcmp(d->null_value, s, n) == 0;
}

static void read_field(CsvReader *r, size_t i, uint64_t row)
{
    const CsvField *field = &r->record.fields[i];
    ValueNode *node = r->map[i] == VALUE_NO_FIELD ? NULL : &r->root->children[r->map[i]];
    RescueStep step = {r->keys[i], strlen(r->keys[i]), 0};
    const char *s;
    size_t n;

    plain_text(r, field, &s, &n);
    if (is_null(r->dialect, field, s, n)) {
        if (node != NULL) {
            value_set_null(node, row);
        }
        return;
    }
    if (n == 0) {
        s = r->dialect->empty_value;
        n = strlen(s);
    }
    if (node != NULL && field->escaped && (node->type == DELTA_STRING || node->type == DELTA_BINARY)) {
        value_copy_string(node, row, s, n);
        return;
    }
    if (node != NULL && value_plain_text(node, row, s, n)) {
        return;
    }
    if (node != NULL) {
        value_set_null(node, row);
        r->ill_typed++;
    }
    r->misfits++;
    if (r->rescues) {
        rescue_add_text(&r->rescue, step, s, n);
    }
}

RecordOutcome csv_reader_record(CsvReader *r, const char **line, const char *end, bool last, uint64_t row)
{
    const char *start = *line;
    CsvOutcome outcome = csv_split(r->dialect, line, end, &r->record);

    if (outcome == CSV_BLANK) {
        return RECORD_NONE;
    }
    if (outcome == CSV_OPEN) {
        if (!last) {
            return RECORD_MORE;
        }
        *line = (const char *)rawmemchr(start, '\n') + 1;
        return broken_row(r, row, "a quote is opened and never closed");
    }
    if (outcome == CSV_BROKEN) {
        return broken_row(r, row, r->record.why);
    }
    if (utf8_valid(start, (size_t)(*line - start)) != (size_t)(*line - start)) {
        return broken_row(r, row, "bytes that are not UTF-8");
    }
    rescue_begin(&r->rescue);
    if (r->at_start) {
        r->at_start = false;
        if (has_header(r)) {
            map_header(r);
            return RECORD_NONE;
        }
        map_positions(r);
    }
    if (r->record.n != r->n_map) {
        return broken_row(r, row, r->record.n < r->n_map ? "fewer fields than columns" : "more fields than columns");
    }
    for (size_t i = 0; i < r->n_map; i++) {
        read_field(r, i, row);
    }
    for (size_t i = 0; i < r->n_missing; i++) {
        value_set_null(&r->root->children[r->missing[i]], row);
    }
    return RECORD_READ;
}
