#include "source/json_reader.h"

#include <stdio.h>

#include "base/mem.h"
#include "source/shape.h"
#include "source/value_text.h"

/* How a value met its node. After FIT reader->p is behind it; after MISFIT it is anywhere; BROKEN has set the fault,
 * FAILED the error. */
typedef enum Fit { FIT, MISFIT, BROKEN, FAILED } Fit;

static Fit read_value(JsonReader *r, ValueNode *node, uint64_t row);

void json_reader_init(JsonReader *r, ValueNode *root, bool rescues, size_t record_bytes_max)
{
    *r = (JsonReader){.root = root, .rescues = rescues, .scratch = TEXT(record_bytes_max)};
    rescue_init(&r->rescue, record_bytes_max * 4 + 65536);
}

void json_reader_fini(JsonReader *r)
{
    rescue_fini(&r->rescue);
    text_free(&r->scratch);
}

static Fit broken(JsonReader *r, const char *at, const char *why)
{
    json_text_fault(&r->fault, at, why);
    return BROKEN;
}

/* ---- leaves ---- */

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static Fit read_boolean(JsonReader *r, ValueNode *node, uint64_t row)
{
    bool is_true = memcmp(r->p, "true", 4) == 0;
    if (!is_true && memcmp(r->p, "false", 5) != 0) {
        return MISFIT;
    }
    r->p += is_true ? 4 : 5;
    if (node->wanted) {
        value_mark_valid(node, row);
        ((bool *)node->column.data)[row] = is_true;
    }
    return FIT;
}

static Fit read_integer(JsonReader *r, ValueNode *node, uint64_t row)
{
    const char *p = r->p, *start = p;
    uint64_t digits = 0;
    int64_t value;

    p += *p == '-';
    const char *first = p;
    while (is_digit(*p)) {
        digits = digits * 10 + (uint64_t)(*p++ - '0');
    }
    if (p == first || !json_text_ends(*p) || (*first == '0' && p > first + 1)) {
        return MISFIT;
    }
    if (p - first > 18) {
        if (!text_to_i64(start, (size_t)(p - start), &value)) {
            return MISFIT;
        }
    } else {
        value = *start == '-' ? -(int64_t)digits : (int64_t)digits;
    }
    if (!value_fits_i64(node, value)) {
        return MISFIT;
    }
    value_put_i64(node, row, value);
    r->p = p;
    return FIT;
}

/* The string at p without escapes; *out is good until the next call. */
static bool string_text(JsonReader *r, JsonString *out)
{
    const char *p = json_text_string(r->p, out, &r->fault);
    if (p == NULL) {
        return false;
    }
    r->p = p;
    if (out->escaped) {
        text_clear(&r->scratch);
        text_append_n(&r->scratch, out->s, out->n);
        out->n = json_text_unescape(r->scratch.data, r->scratch.length, r->scratch.data);
        out->s = r->scratch.data;
    }
    return true;
}

/* "12.50": digits with a point, few enough that one division of doubles is exact. */
static bool short_double(const char *p, const char **end, double *out)
{
    static const double TENS[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    bool negative = *p == '-';
    uint64_t digits = 0;

    p += negative;
    const char *first = p;
    while (is_digit(*p)) {
        digits = digits * 10 + (uint64_t)(*p++ - '0');
    }
    long n = p - first, fraction = 0;
    if (n == 0 || (*first == '0' && n > 1)) {
        return false;
    }
    if (*p == '.') {
        const char *point = p++;
        while (is_digit(*p)) {
            digits = digits * 10 + (uint64_t)(*p++ - '0');
        }
        fraction = p - point - 1;
        if (fraction == 0) {
            return false;
        }
    }
    if (n + fraction > 15 || !json_text_ends(*p)) {
        return false;
    }
    double value = (double)digits / TENS[fraction];
    *out = negative ? -value : value;
    *end = p;
    return true;
}

static Fit read_double(JsonReader *r, ValueNode *node, uint64_t row)
{
    JsonString text;
    double value;
    const char *end;

    if (short_double(r->p, &end, &value)) {
        r->p = end;
        return value_put_double(node, row, value) ? FIT : MISFIT;
    }
    if (*r->p == '"') {
        if (!string_text(r, &text)) {
            return BROKEN;
        }
        return text.n > 0 && !is_digit(text.s[text.n - 1]) && text_to_double(text.s, text.n, true, &value) &&
                       value_put_double(node, row, value)
                   ? FIT
                   : MISFIT;
    }
    end = json_text_number(r->p, &r->fault);
    if (end == NULL || !text_to_double(r->p, (size_t)(end - r->p), false, &value) ||
        !value_put_double(node, row, value)) {
        return MISFIT;
    }
    r->p = end;
    return FIT;
}

static Fit read_decimal(JsonReader *r, ValueNode *node, uint64_t row)
{
    JsonString text;

    if (*r->p == '"') {
        if (!string_text(r, &text)) {
            return BROKEN;
        }
        return value_decimal_text(node, row, text.s, text.n) ? FIT : MISFIT;
    }
    const char *end = json_text_number(r->p, &r->fault);
    if (end == NULL || !value_decimal_text(node, row, r->p, (size_t)(end - r->p))) {
        return MISFIT;
    }
    r->p = end;
    return FIT;
}

static Fit read_string(JsonReader *r, ValueNode *node, uint64_t row)
{
    JsonString text;
    const char *start = r->p;

    if (*start == '"') {
        if (!string_text(r, &text)) {
            return BROKEN;
        }
        (text.escaped ? value_copy_string : value_borrow_string)(node, row, text.s, text.n);
        return FIT;
    }
    r->p = json_text_skip(start, JSON_RECORD_DEPTH - r->depth, &r->fault);
    if (r->p == NULL) {
        return BROKEN;
    }
    value_borrow_string(node, row, start, (size_t)(r->p - start));
    return FIT;
}

/* Types that JSON has no form for are strings. */
static Fit read_as_text(JsonReader *r, ValueNode *node, uint64_t row)
{
    JsonString text;

    if (*r->p != '"') {
        return MISFIT;
    }
    if (!string_text(r, &text)) {
        return BROKEN;
    }
    switch (node->type) {
    case DELTA_DATE: return value_date_text(node, row, text.s, text.n) ? FIT : MISFIT;
    case DELTA_TIMESTAMP:
    case DELTA_TIMESTAMP_NTZ: return value_timestamp_text(node, row, text.s, text.n) ? FIT : MISFIT;
    case DELTA_BINARY: return value_base64_text(node, row, text.s, text.n) ? FIT : MISFIT;
    default: return MISFIT;
    }
}

/* ---- what does not fit ---- */

static void add_rescue(JsonReader *r, RescueStep step, const char *json, size_t n)
{
    r->misfits++;
    if (r->rescues) {
        rescue_add_json(&r->rescue, step, json, n);
    }
}

/* What does not fit becomes null and is rescued under `step`. */
static Fit rescue_member(JsonReader *r, ValueNode *node, uint64_t row, const char *start, const RescueStep *step)
{
    value_set_null(node, row);
    r->p = json_text_skip(start, JSON_RECORD_DEPTH - r->depth, &r->fault);
    if (r->p == NULL) {
        return BROKEN;
    }
    add_rescue(r, *step, start, (size_t)(r->p - start));
    r->ill_typed++;
    return FIT;
}

static Fit read_any_member(JsonReader *r, ValueNode *node, uint64_t row, const RescueStep *step)
{
    const char *start = r->p;
    Fit fit;

    if (node->n_children > 0) {
        rescue_enter(&r->rescue, step);
        fit = read_value(r, node, row);
        rescue_leave(&r->rescue);
    } else {
        fit = read_value(r, node, row);
    }
    return fit == MISFIT ? rescue_member(r, node, row, start, step) : fit;
}

/* Reads a member of a container. Most values are plain strings: these do not leave the loop over the fields. */
static inline Fit read_member(JsonReader *r, ValueNode *node, uint64_t row, const RescueStep *step)
{
    if (node->type == DELTA_STRING && *r->p == '"') {
        unsigned high = 0;
        const char *start = r->p + 1, *stop = json_text_stop(start, &high);
        if (*stop == '"' && high == 0) {
            value_borrow_string(node, row, start, (size_t)(stop - start));
            r->p = stop + 1;
            return FIT;
        }
    }
    return read_any_member(r, node, row, step);
}

static bool is_reserved(const JsonReader *r, const char *name, size_t n)
{
    for (size_t i = 0; i < r->n_reserved; i++) {
        if (strlen(r->reserved[i]) == n && strncasecmp(r->reserved[i], name, n) == 0) {
            return true;
        }
    }
    return false;
}

/* Remembers the first key that could become a column. */
static void note_unknown(JsonReader *r, const ValueNode *node, const char *name, size_t n)
{
    if (r->unknown[0] != '\0' || !shape_takes_name(name, n) ||
        value_node_field_nocase(node, name, n) != VALUE_NO_FIELD || (node == r->root && is_reserved(r, name, n))) {
        return;
    }
    Text path = TEXT(sizeof r->unknown - 1);
    for (size_t i = 0; i < r->rescue.depth; i++) {
        const RescueStep *step = &r->rescue.path[i];
        text_append_n(&path, step->key ? step->key : "[]", step->key ? step->n : 2);
        text_append_char(&path, '.');
    }
    text_append_n(&path, name, n);
    snprintf(r->unknown, sizeof r->unknown, "%s", text_str(&path));
    text_free(&path);
}

static Fit skip_unknown(JsonReader *r, const ValueNode *node, RescueStep step, const char *name, size_t n)
{
    const char *start = r->p;
    note_unknown(r, node, name, n);
    r->p = json_text_skip(start, JSON_RECORD_DEPTH - r->depth, &r->fault);
    if (r->p == NULL) {
        return BROKEN;
    }
    add_rescue(r, step, start, (size_t)(r->p - start));
    return FIT;
}

/* ---- objects ---- */

static inline bool key_matches(const ValueKey *key, const char *p)
{
#if defined(__SSE2__)
    __m128i have = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i want = _mm_loadu_si128((const __m128i *)(const void *)key->quoted);
    uint32_t equal = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(have, want));
    if ((equal & key->mask) == key->mask) {
        return true;
    }
    if (key->n_quoted <= VALUE_KEY_PAD || equal != 0xFFFF) {
        return false;
    }
#endif
    return key->n_quoted > 0 && strncmp(p, key->quoted, key->n_quoted) == 0;
}

/* Behind the colon after a key that ends at p; NULL and a fault when there is none. */
static inline const char *pass_colon(JsonReader *r, const char *p)
{
    if (*p != ':') {
        p = json_text_space(p);
        if (*p != ':') {
            return json_text_fault(&r->fault, p, "expected ':' behind a key");
        }
    }
    p++;
    return *p <= ' ' ? json_text_space(p) : p;
}

/* The unexpected key at r->p: finds its field (VALUE_NO_FIELD: there is none), leaves r->p at its value. */
static Fit find_key(JsonReader *r, const ValueNode *node, JsonString *raw, JsonString *name, uint32_t *field)
{
    if (*r->p != '"') {
        return broken(r, r->p, *r->p == '\n' ? "the line ends inside an object" : "expected a key");
    }
    const char *key = r->p;
    if (!string_text(r, name)) {
        return BROKEN;
    }
    *raw = (JsonString){key + 1, (size_t)(r->p - key) - 2, false};
    r->p = pass_colon(r, r->p);
    if (r->p == NULL) {
        return BROKEN;
    }
    *field = value_node_field(node, name->s, name->n);
    return FIT;
}

/* Marks the field as met; true when it was met in this record before. */
static inline bool meet(ValueKeys *keys, uint32_t field)
{
    uint64_t bit = (uint64_t)1 << (field & 63), *word = &keys->seen[field >> 6];
    bool before = (*word & bit) != 0;
    *word |= bit;
    return before;
}

static void null_missing(ValueNode *node, uint64_t row)
{
    for (size_t i = 0; i < node->n_children; i++) {
        if (!(node->keys->seen[i >> 6] >> (i & 63) & 1)) {
            value_set_null(&node->children[i], row);
        }
    }
}

/* One `key: value`; *last is the field read before it, the place where what is expected next is remembered. */
static Fit read_field(JsonReader *r, ValueNode *node, uint64_t row, uint32_t *last, uint32_t *met)
{
    ValueKeys *keys = node->keys;
    uint32_t field = keys->fields[*last].next;
    const ValueKey *key = &keys->fields[field];
    RescueStep step;

    if (key_matches(key, r->p)) {
        r->p = pass_colon(r, r->p + key->n_quoted);
        if (r->p == NULL) {
            return BROKEN;
        }
        step = (RescueStep){key->quoted + 1, key->n_name, 0};
    } else {
        JsonString raw, name;
        Fit fit = find_key(r, node, &raw, &name, &field);
        if (fit != FIT) {
            return fit;
        }
        step = (RescueStep){raw.s, raw.n, 0};
        if (field == VALUE_NO_FIELD) {
            return skip_unknown(r, node, step, name.s, name.n);
        }
        keys->fields[*last].next = field;
    }
    *last = field;
    if (meet(keys, field)) {
        value_set_valid(&node->children[field], row);
    } else {
        ++*met;
    }
    return read_member(r, &node->children[field], row, &step);
}

static Fit read_object(JsonReader *r, ValueNode *node, uint64_t row)
{
    uint32_t last = (uint32_t)node->n_children, met = 0;

    if (*r->p != '{') {
        return MISFIT;
    }
    if (++r->depth > JSON_RECORD_DEPTH) {
        return broken(r, r->p, "nested too deeply");
    }
    memset(node->keys->seen, 0, node->keys->n_seen * sizeof *node->keys->seen);
    if (node->in_list) {
        value_mark_valid(node, row);
    }
    r->p = json_text_space(r->p + 1);
    if (*r->p != '}') {
        for (;;) {
            Fit fit = read_field(r, node, row, &last, &met);
            if (fit != FIT) {
                return fit;
            }
            if (*r->p != ',' && *r->p != '}') {
                r->p = json_text_space(r->p);
            }
            if (*r->p == '}') {
                break;
            }
            if (*r->p != ',') {
                return broken(r, r->p, *r->p == '\n' ? "the line ends inside an object" : "expected ',' or '}'");
            }
            r->p++;
            if (*r->p != '"') {
                r->p = json_text_space(r->p);
            }
        }
    }
    r->p++;
    r->depth--;
    if (met < node->n_children) {
        null_missing(node, row);
    }
    return FIT;
}

/* ---- lists and maps ---- */

/* Behind a comma or the closing byte: *more tells which. */
static Fit pass_comma(JsonReader *r, char close, bool *more)
{
    r->p = json_text_space(r->p);
    if (*r->p != close && *r->p != ',') {
        return broken(r, r->p,
                      *r->p == '\n' ? "the line ends inside a value" : "expected ',' or the end of a list or map");
    }
    *more = *r->p == ',';
    r->p = *more ? json_text_space(r->p + 1) : r->p + 1;
    return FIT;
}

static Fit begin_entries(JsonReader *r, char open)
{
    if (*r->p != open) {
        return MISFIT;
    }
    if (++r->depth > JSON_RECORD_DEPTH) {
        return broken(r, r->p, "nested too deeply");
    }
    r->p = json_text_space(r->p + 1);
    return FIT;
}

static void end_entries(JsonReader *r, ValueNode *node, uint64_t row, uint64_t first)
{
    r->depth--;
    if (node->wanted) {
        value_mark_valid(node, row);
        ((DuckListEntry *)node->column.data)[row] = (DuckListEntry){first, node->size - first};
    }
}

static Fit read_list(JsonReader *r, ValueNode *node, uint64_t row)
{
    uint64_t first = node->size;
    bool more = true;
    Fit fit = begin_entries(r, '[');

    if (fit != FIT) {
        return fit;
    }
    if (*r->p == ']') {
        r->p++;
        more = false;
    }
    while (more) {
        if (value_list_grow(node, r->err) != OK) {
            return FAILED;
        }
        fit = read_member(r, &node->children[0], node->size, &(RescueStep){.index = node->size - first});
        if (fit != FIT) {
            return fit;
        }
        node->size++;
        fit = pass_comma(r, ']', &more);
        if (fit != FIT) {
            return fit;
        }
    }
    end_entries(r, node, row, first);
    return FIT;
}

/* The entry from `first` on with this key, or node->size. Keys are few or the record is long: a scan of lengths and
 * prefixes. */
static uint64_t find_entry(const ValueNode *node, uint64_t first, const JsonString *key)
{
    const DuckString *keys = node->children[0].column.data;
    for (uint64_t i = first; node->wanted && i < node->size; i++) {
        if (duck_string_length(&keys[i]) == key->n && memcmp(duck_string_data(&keys[i]), key->s, key->n) == 0) {
            return i;
        }
    }
    return node->size;
}

enum { MAP_ENTRIES_MAX = 10000 };

static Fit read_entry(JsonReader *r, ValueNode *node, uint64_t first)
{
    JsonString key;

    if (*r->p != '"') {
        return broken(r, r->p, *r->p == '\n' ? "the line ends inside an object" : "expected a key");
    }
    if (value_list_grow(node, r->err) != OK) {
        return FAILED;
    }
    const char *raw = r->p + 1;
    if (!string_text(r, &key)) {
        return BROKEN;
    }
    RescueStep step = {raw, (size_t)(r->p - raw) - 1, 0};
    uint64_t at = find_entry(node, first, &key);
    if (at == node->size) {
        node->size++;
        (key.escaped ? value_copy_string : value_borrow_string)(&node->children[0], at, key.s, key.n);
        if (node->wanted) {
            node->entry.validity[at >> 6] |= (uint64_t)1 << (at & 63);
        }
    }
    value_set_null(&node->children[1], at); /* until it is read */
    r->p = pass_colon(r, r->p);
    return r->p == NULL ? BROKEN : read_member(r, &node->children[1], at, &step);
}

static Fit read_map(JsonReader *r, ValueNode *node, uint64_t row)
{
    uint64_t first = node->size;
    bool more = true;
    Fit fit = begin_entries(r, '{');

    if (fit != FIT) {
        return fit;
    }
    if (*r->p == '}') {
        r->p++;
        more = false;
    }
    while (more) {
        fit = read_entry(r, node, first);
        if (fit == FIT) {
            fit = pass_comma(r, '}', &more);
        }
        if (fit != FIT) {
            return fit;
        }
        if (node->size - first > MAP_ENTRIES_MAX) {
            r->depth--;
            return MISFIT;
        }
    }
    end_entries(r, node, row, first);
    return FIT;
}

/* ---- values and records ---- */

static Fit read_value(JsonReader *r, ValueNode *node, uint64_t row)
{
    if (*r->p == 'n' && memcmp(r->p, "null", 4) == 0) {
        r->p += 4;
        value_set_null(node, row);
        return FIT;
    }
    switch (node->type) {
    case DELTA_STRING: return read_string(r, node, row);
    case DELTA_BYTE:
    case DELTA_SHORT:
    case DELTA_INTEGER:
    case DELTA_LONG: return read_integer(r, node, row);
    case DELTA_FLOAT:
    case DELTA_DOUBLE: return read_double(r, node, row);
    case DELTA_BOOLEAN: return read_boolean(r, node, row);
    case DELTA_DECIMAL: return read_decimal(r, node, row);
    case DELTA_STRUCT: return read_object(r, node, row);
    case DELTA_ARRAY: return read_list(r, node, row);
    case DELTA_MAP: return read_map(r, node, row);
    default: return read_as_text(r, node, row);
    }
}

static void null_row(JsonReader *r, uint64_t row)
{
    for (size_t i = 0; i < r->root->n_children; i++) {
        value_set_null(&r->root->children[i], row);
    }
}

RecordOutcome json_reader_record(JsonReader *r, const char **line, uint64_t row, Error *err)
{
    r->p = json_text_space(*line);
    if (*r->p == '\n') {
        *line = r->p + 1;
        return RECORD_NONE;
    }
    r->depth = 0;
    r->err = err;
    bool knew_all = r->unknown[0] == '\0';
    if (r->rescue.json.length > 0) {
        rescue_begin(&r->rescue);
    }
    Fit fit = read_object(r, r->root, row);
    if (fit == MISFIT) {
        fit = broken(r, r->p,
                     *r->p == '['
                         ? "the line is an array, not an object (a file that is one array needs multiLine => true)"
                         : "the line is not a JSON object");
    }
    if (fit == FIT) {
        r->p = json_text_space(r->p);
        if (*r->p == '\n') {
            *line = r->p + 1;
            return RECORD_READ;
        }
        fit = broken(r, r->p, "text behind the end of the record");
    }
    if (fit == FAILED) {
        return RECORD_FAILED;
    }
    null_row(r, row);
    if (knew_all) {
        r->unknown[0] = '\0'; /* a key of a record that is none is no column */
    }
    *line = (const char *)rawmemchr(*line, '\n') + 1;
    return RECORD_BROKEN;
}
