/* Statistics as JSON: which columns have some, in which form each type has its bounds, and how long strings are cut. */
#include "delta/stats.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/map.h"
#include "delta/schema_int.h"

/* ---- strings ---- */

static const char *const TIE_SMALL = "\x7F";             /* U+007F */
static const char *const TIE_LARGE = "\xF4\x8F\xBF\xBF"; /* U+10FFFF, the last character there is */

/* Bytes of the character at `s`, which is valid UTF-8. */
static size_t char_bytes(const char *s)
{
    unsigned char c = (unsigned char)*s;

    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

/* Length in UTF-16 units of a character of so many bytes. */
static int64_t char_units(size_t bytes)
{
    return bytes == 4 ? 2 : 1;
}

/* Bytes of the longest beginning that has at most `limit` UTF-16 units. */
static size_t prefix_bytes(const char *s, int64_t limit)
{
    size_t n = 0;

    for (int64_t units = 0; s[n] != '\0';) {
        size_t bytes = char_bytes(s + n);
        units += char_units(bytes);
        if (units > limit) {
            break;
        }
        n += bytes;
    }
    return n;
}

bool delta_stats_string_min(const char *s, int64_t limit, Text *out)
{
    if (utf8_valid(s, strlen(s)) != strlen(s) || (limit <= 0 && s[0] != '\0')) {
        return false;
    }
    text_append_n(out, s, prefix_bytes(s, limit));
    return true;
}

bool delta_stats_string_max(const char *s, int64_t limit, Text *out)
{
    if (utf8_valid(s, strlen(s)) != strlen(s) || (limit <= 0 && s[0] != '\0')) {
        return false;
    }
    size_t n = prefix_bytes(s, limit);
    int64_t units = limit;

    /* Nothing sorts behind U+10FFFF: where that is cut off it is kept instead, up to twice the limit. */
    while (strncmp(s + n, TIE_LARGE, 4) == 0) {
        n += 4;
        units += 2;
        if (units > 2 * limit) {
            return false;
        }
    }
    text_append_n(out, s, n);
    if (s[n] != '\0') {
        text_append(out, (unsigned char)s[n] < 0x7F ? TIE_SMALL : TIE_LARGE);
    }
    return true;
}

/* ---- which columns ---- */

/* delta.dataSkippingStatsColumns: `a, b.c, "x.y".z` with back-ticks for quotes, as paths whose steps end with '\n'. */
static void parse_columns(Arena *arena, const char *text, Map *paths)
{
    Text path = TEXT(64 << 10);
    bool quoted = false;

    for (const char *s = text;; s++) {
        if (*s == '`') {
            quoted = !quoted;
        } else if (*s == '\0' || (*s == ',' && !quoted)) {
            text_append_char(&path, '\n');
            map_put(paths, text_str(&path), arena_strdup(arena, text_str(&path)));
            text_clear(&path);
        } else if (*s == '.' && !quoted) {
            text_append_char(&path, '\n');
        } else if (quoted || *s != ' ') {
            text_append_char(&path, (char)(*s >= 'A' && *s <= 'Z' ? *s + 32 : *s));
        }
        if (*s == '\0') {
            break;
        }
    }
    text_free(&path);
}

/* Is the path, or a struct above it, among the chosen ones? */
static bool is_chosen(const Map *paths, const char *path)
{
    for (const char *end = path; *end; end++) {
        if (*end == '\n' && map_get_n(paths, path, (size_t)(end - path) + 1)) {
            return true;
        }
    }
    return false;
}

/* The field at a path of parse_columns; NULL: there is none. */
static const DeltaField *find_path(const DeltaField *fields, size_t n, const char *path)
{
    size_t length = strcspn(path, "\n");

    for (size_t i = 0; i < n; i++) {
        const DeltaField *field = &fields[i];
        if (strlen(field->name) == length && strncasecmp(field->name, path, length) == 0) {
            return path[length + 1] == '\0' ? field
                                            : find_path(field->type->fields, field->type->n_fields, path + length + 1);
        }
    }
    return NULL;
}

Status delta_stats_check_columns(const DeltaSchema *schema, const char *stats_columns, Error *err)
{
    Status rc = OK;
    Arena *arena = arena_new();
    Map *paths = map_new();
    const char *path = NULL;

    parse_columns(arena, stats_columns, paths);
    for (size_t i = 0; rc == OK && map_next(paths, &i, &path, NULL);) {
        if (strcmp(path, "\n") != 0 && find_path(schema->fields, schema->n_fields, path) == NULL) {
            char *name = arena_strndup(arena, path, strlen(path) - 1);
            for (char *step = name; (step = strchr(step, '\n')) != NULL;) {
                *step = '.';
            }
            rc = error_set(err, E_DELTA_SCHEMA, "delta.dataSkippingStatsColumns names \"%s\", which is no column",
                           name);
            error_klass(err, "DELTA_COLUMN_NOT_FOUND_IN_SCHEMA");
        }
    }
    map_free(paths, NULL);
    arena_free(arena);
    return rc;
}

/* ---- walking the schema ---- */

typedef enum Part { PART_MIN, PART_MAX, PART_NULLS } Part;

typedef struct Walk {
    const DeltaStatsOptions *options;
    Arena *arena;
    Map *facts;   /* path in the file -> ParquetStats */
    Map *chosen;  /* NULL: the first `indexed_columns` leaves */
    int64_t leaf; /* leaves passed so far in this part */
} Walk;

static const char *lower_path(Arena *arena, const char *above, const char *name)
{
    char *path = arena_printf(arena, "%s%s\n", above, name);

    str_lower(path);
    return path;
}

static bool is_partition(const DeltaStatsOptions *options, const char *name)
{
    for (size_t i = 0; i < options->n_partition_columns; i++) {
        if (str_ieq(options->partition_columns[i], name)) {
            return true;
        }
    }
    return false;
}

/* "2024-01-01 00:00:00.123456+00" as ISO, cut to milliseconds. */
static bool append_time(const char *text, bool zone, Text *out)
{
    char fraction[4] = "000";

    if (strlen(text) < 19 || text[strspn(text, "0123456789")] != '-' || strspn(text, "0123456789") != 4 ||
        text[10] != ' ' || text[13] != ':' || strchr(text, '(')) {
        return false; /* before year 0, after 9999, infinite */
    }
    if (text[19] == '.') {
        for (size_t i = 0; i < 3 && text[20 + i] >= '0' && text[20 + i] <= '9'; i++) {
            fraction[i] = text[20 + i];
        }
    }
    text_printf(out, "\"%.10sT%.8s.%s%s\"", text, text + 11, fraction, zone ? "Z" : "");
    return true;
}

/* Appends a bound as JSON; false when it has none. */
static bool append_bound(const Walk *walk, const DeltaType *type, const ParquetStats *stats, Part part, Text *out)
{
    const char *value = part == PART_MIN ? stats->min : stats->max;
    bool fits = false;
    Text text = TEXT(64 << 10);

    if (!value || (part == PART_MAX && stats->has_nan)) {
        return false;
    }
    switch (type->id) {
    case DELTA_BYTE:
    case DELTA_SHORT:
    case DELTA_INTEGER:
    case DELTA_LONG:
    case DELTA_FLOAT:
    case DELTA_DOUBLE:
    case DELTA_DECIMAL:
        if ((fits = value[0] != '\0' && value[strspn(value, "+-.0123456789eE")] == '\0')) {
            text_append(out, value);
        }
        break;
    case DELTA_DATE:
        if ((fits = strlen(value) == 10 && value[4] == '-' && value[strspn(value, "-0123456789")] == '\0')) {
            text_append_json_string(out, value);
        }
        break;
    case DELTA_TIMESTAMP: fits = append_time(value, true, out); break;
    case DELTA_TIMESTAMP_NTZ: fits = append_time(value, false, out); break;
    case DELTA_STRING:
        fits = part == PART_MIN ? delta_stats_string_min(value, walk->options->prefix_length, &text)
                                : delta_stats_string_max(value, walk->options->prefix_length, &text);
        if (fits) {
            text_append_json_string(out, text_str(&text));
        }
        break;
    default: break;
    }
    text_free(&text);
    return fits;
}

static bool append_leaf(Walk *walk, const DeltaField *field, const char *logical, const char *physical, Part part,
                        Text *out)
{
    bool indexed = walk->chosen ? is_chosen(walk->chosen, logical)
                                : walk->options->indexed_columns < 0 || walk->leaf < walk->options->indexed_columns;
    const ParquetStats *stats = map_get(walk->facts, physical);

    walk->leaf++;
    if (!indexed || !stats) {
        return false;
    }
    if (part != PART_NULLS) {
        return append_bound(walk, field->type, stats, part, out);
    }
    if (stats->null_count < 0) {
        return false;
    }
    text_printf(out, "%lld", (long long)stats->null_count);
    return true;
}

/* Appends {"a":1,"s":{"x":2}}; false, and nothing, when no leaf has anything to say. */
static bool append_object(Walk *walk, const DeltaField *fields, size_t n, const char *logical, const char *physical,
                          Part part, Text *out)
{
    size_t start = out->length;
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        const DeltaField *field = &fields[i];
        const char *name = walk->options->column_mapping ? field->physical_name : field->name;
        const char *lower = lower_path(walk->arena, logical, field->name);
        const char *path = lower_path(walk->arena, physical, name);
        size_t before = out->length;
        if (field->type->id == DELTA_VOID || (logical[0] == '\0' && is_partition(walk->options, field->name))) {
            continue;
        }
        text_append_char(out, any ? ',' : '{');
        text_append_json_string(out, name);
        text_append_char(out, ':');
        if (field->type->id == DELTA_STRUCT
                ? append_object(walk, field->type->fields, field->type->n_fields, lower, path, part, out)
                : append_leaf(walk, field, lower, path, part, out)) {
            any = true;
        } else {
            out->length = before;
        }
    }
    if (any) {
        text_append_char(out, '}');
    } else {
        out->length = start;
    }
    if (out->data) {
        out->data[out->length] = '\0';
    }
    return any;
}

/* What the Parquet writer said, by lower-case path. */
static Map *index_facts(Arena *arena, const ParquetFile *file)
{
    Map *facts = map_new();

    for (size_t i = 0; i < file->n_stats; i++) {
        const char *path = "";
        for (size_t p = 0; p < file->stats[i].n_path; p++) {
            path = lower_path(arena, path, file->stats[i].path[p]);
        }
        map_put(facts, path, (void *)&file->stats[i]);
    }
    return facts;
}

void delta_stats_json(const DeltaStatsOptions *options, const ParquetFile *file, Text *out)
{
    static const struct {
        Part part;
        const char *key;
    } PARTS[] = {{PART_MIN, ",\"minValues\":"}, {PART_MAX, ",\"maxValues\":"}, {PART_NULLS, ",\"nullCount\":"}};
    Arena *arena = arena_new();
    Walk walk = {.options = options, .arena = arena, .facts = index_facts(arena, file)};
    Text object = TEXT(16 << 20);

    if (options->stats_columns) {
        walk.chosen = map_new();
        parse_columns(arena, options->stats_columns, walk.chosen);
    }
    text_printf(out, "{\"numRecords\":%lld", (long long)file->rows);
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
        text_clear(&object);
        walk.leaf = 0;
        if (append_object(&walk, options->schema->fields, options->schema->n_fields, "", "", PARTS[i].part, &object) &&
            !object.overflow) {
            text_append(out, PARTS[i].key);
            text_append(out, text_str(&object));
        }
    }
    text_append(out, options->tight_bounds ? ",\"tightBounds\":true}" : "}");
    text_free(&object);
    map_free(walk.facts, NULL);
    if (walk.chosen) {
        map_free(walk.chosen, NULL);
    }
    arena_free(arena);
}

/* Steps over the JSON string that starts at `s`; returns its closing quote, or the end of the text. */
static const char *string_end(const char *s)
{
    for (s++; *s && *s != '"'; s++) {
        if (*s == '\\' && s[1]) {
            s++;
        }
    }
    return s;
}

/* The text may hold decimals wider than our JSON parser takes, so the key is looked for by hand, at the top level. */
int64_t delta_stats_records(const char *stats)
{
    static const char KEY[] = "\"numRecords\"";
    int depth = 0;

    for (const char *s = stats; s && *s; s++) {
        depth += (*s == '{' || *s == '[') - (*s == '}' || *s == ']');
        if (*s != '"') {
            continue;
        }
        const char *name = s;
        s = string_end(s);
        if (!*s) {
            break;
        }
        if (depth == 1 && strncmp(name, KEY, sizeof KEY - 1) == 0) {
            const char *value = s + 1 + strspn(s + 1, " :\t");
            size_t digits = strspn(value, "0123456789");
            return digits > 0 && digits < 19 ? strtoll(value, NULL, 10) : -1;
        }
    }
    return -1;
}
