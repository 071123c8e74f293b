#include "source/files_infer.h"

#include <string.h>

#include "base/log.h"
#include "source/csv_reader.h"
#include "source/files_parquet.h"
#include "source/json_text.h"
#include "source/line_input.h"
#include "source/schema_text.h"
#include "source/shape.h"

_Static_assert((int)LINE_PAD >= (int)JSON_PAD, "a block is padded enough for the JSON reader");

/* The sample: what may still be read of the file at hand. */
typedef struct Sample {
    const FilesOptions *options;
    Shapes *shapes;
    LineInput input;
    CsvRecord record;
    char **names; /* of the fields of the CSV file at hand */
    size_t n_names;
    Arena *arena;
    Text scratch;
    int64_t bytes, records;
} Sample;

static void set_limits(Sample *sample, size_t n_files, FilesDepth depth)
{
    sample->bytes = sample->records = INT64_MAX;
    if (depth == INFER_HEAD) {
        sample->bytes = INFER_HEAD_BYTES;
        sample->records = INFER_HEAD_RECORDS;
    } else if (depth == INFER_SAMPLE) {
        int64_t share = INFER_SAMPLE_BYTES / (int64_t)(n_files > 0 ? n_files : 1);
        sample->bytes = share > INFER_HEAD_BYTES ? share : INFER_HEAD_BYTES;
    }
}

static void add_json(Sample *sample, const LineBlock *block)
{
    for (const char *line = block->start; line < block->end && sample->records > 0; sample->records--) {
        shapes_add_json(sample->shapes, &line);
    }
}

static const char *field_text(Sample *sample, const CsvField *field, size_t *n)
{
    text_clear(&sample->scratch);
    text_append_n(&sample->scratch, field->s, field->n);
    *n = field->escaped ? csv_unescape(&sample->options->csv, field, sample->scratch.data) : field->n;
    return text_str(&sample->scratch);
}

static void name_fields(Sample *sample, bool header)
{
    sample->n_names = sample->record.n;
    sample->names = arena_alloc(sample->arena, (sample->n_names + 1) * sizeof *sample->names);
    for (size_t i = 0; i < sample->n_names; i++) {
        size_t n = 0;
        const char *s = header ? field_text(sample, &sample->record.fields[i], &n) : "";
        sample->names[i] = n > 0 ? arena_strndup(sample->arena, s, n) : arena_printf(sample->arena, "_c%zu", i);
        shapes_add_text(sample->shapes, sample->names[i], "", 0, true);
    }
}

static void add_csv_record(Sample *sample)
{
    const CsvDialect *csv = &sample->options->csv;
    if (sample->names == NULL) {
        bool header = csv->header != HEADER_NO;
        name_fields(sample, header);
        if (header) {
            return;
        }
    }
    for (size_t i = 0; sample->record.n == sample->n_names && i < sample->n_names; i++) {
        const CsvField *field = &sample->record.fields[i];
        size_t n;
        const char *s = field_text(sample, field, &n);
        bool null = (n == 0 && !field->quoted) ||
                    (n > 0 && strlen(csv->null_value) == n && memcmp(csv->null_value, s, n) == 0);
        shapes_add_text(sample->shapes, sample->names[i], s, n, null);
    }
}

/* Returns where an open quote begins, or the end of the block. */
static const char *add_csv(Sample *sample, const LineBlock *block, bool last)
{
    const char *line = block->start;
    while (line < block->end && sample->records > 0) {
        CsvOutcome outcome = csv_split(&sample->options->csv, &line, block->end, &sample->record);
        if (outcome == CSV_OPEN && !last) {
            return line;
        }
        if (outcome == CSV_OPEN) {
            line = (const char *)rawmemchr(line, '\n') + 1;
        } else if (outcome == CSV_RECORD) {
            add_csv_record(sample);
            sample->records--;
        }
    }
    return block->end;
}

static Status add_file(Sample *sample, const FilesItem *item, Error *err)
{
    const FilesOptions *options = sample->options;
    LineBlock block;
    bool last = false;
    Status rc;

    sample->names = NULL;
    TRY(line_input_open(&sample->input, item->path, 0, INT64_MAX, options->format == FILES_JSON && options->multi_line,
                        err));
    while (sample->bytes > 0 && sample->records > 0) {
        TRY(line_input_next(&sample->input, &block, err));
        if (block.start == block.end) {
            break;
        }
        sample->bytes -= block.end - block.start;
        if (block.too_long || block.foreign) {
            continue;
        }
        if (options->format == FILES_JSON) {
            add_json(sample, &block);
            continue;
        }
        const char *rest = add_csv(sample, &block, last);
        last = rest < block.end && !line_input_give_back(&sample->input, &block, rest);
        if (last) {
            add_csv(sample, &(LineBlock){.start = rest, .end = block.end}, true);
        }
    }
out:
    return rc;
}

static bool passes_over(const FilesOptions *options, const Error *err)
{
    return (options->ignore_missing && err->id == E_IO_NOT_FOUND) ||
           (options->ignore_corrupt && err->id == E_SOURCE_FILE);
}

static Status add_files(const FilesOptions *options, const FilesItem *items, size_t n, FilesDepth depth, Shapes *shapes,
                        Error *err)
{
    Sample sample = {
        .options = options, .shapes = shapes, .arena = arena_new(), .scratch = TEXT((size_t)options->record_bytes_max)};
    Status rc = OK;

    line_input_init(&sample.input, (size_t)options->record_bytes_max, depth == INFER_ALL ? 0 : INFER_HEAD_BYTES);
    if (depth == INFER_SAMPLE && n > INFER_SAMPLE_FILES) {
        n = INFER_SAMPLE_FILES;
    }
    for (size_t i = 0; i < n; i++) {
        Error own = ERROR_NONE;
        set_limits(&sample, n, depth);
        if (add_file(&sample, &items[i], &own) != OK && !passes_over(options, &own)) {
            *err = own;
            rc = error_status(&own);
            break;
        }
    }
    line_input_fini(&sample.input);
    csv_record_fini(&sample.record);
    text_free(&sample.scratch);
    arena_free(sample.arena);
    return rc;
}

static DeltaSchema *text_schema(void)
{
    DeltaSchemaBuilder *builder = delta_schema_builder_new(NULL);
    delta_schema_builder_add(builder, "value", &(DeltaType){.id = DELTA_STRING}, true, NULL);
    return delta_schema_builder_finish(builder);
}

static Status with_hints(DuckConn *conn, const FilesOptions *options, DeltaSchema **schema, Error *err)
{
    DeltaSchema *hints;
    if (options->hints_text == NULL) {
        return OK;
    }
    Status rc = schema_text_parse(conn, "schemaHints", options->hints_text, &hints, err);
    if (rc == OK) {
        DeltaSchema *hinted = schema_text_apply(*schema, hints);
        delta_schema_unref(*schema);
        delta_schema_unref(hints);
        *schema = hinted;
    }
    return rc;
}

Status files_infer(DuckConn *conn, const FilesOptions *options, const FilesItem *items, size_t n, FilesDepth depth,
                   DeltaSchema **out, Error *err)
{
    DeltaSchema *schema = NULL;
    Shapes shapes;
    Status rc = OK;

    shapes_init(&shapes);
    if (options->format == FILES_PARQUET) {
        TRY(files_parquet_schema(conn, options, items, n, &schema, err));
    } else if (options->format == FILES_TEXT) {
        schema = text_schema();
    } else {
        TRY(add_files(options, items, n, depth, &shapes, err));
        schema = shapes_schema(&shapes, !options->infer_types);
    }
    if (schema->n_fields > 0) {
        TRY(with_hints(conn, options, &schema, err));
    }
    *out = schema;
    schema = NULL;
out:
    delta_schema_unref(schema);
    shapes_fini(&shapes);
    return rc;
}

static Status extend_parquet(DuckConn *conn, const FilesOptions *options, const FilesColumns *columns,
                             const DeltaSchema *base, const FilesItem *items, size_t n, DeltaSchema **out, Error *err)
{
    DeltaSchema *found;
    Status rc = files_parquet_schema(conn, options, items, n, &found, err);
    if (rc != OK) {
        return rc;
    }
    DeltaSchemaBuilder *builder = delta_schema_builder_new(base);
    bool extended = false;
    for (size_t i = 0; i < found->n_fields; i++) {
        const DeltaField *field = &found->fields[i];
        if (delta_schema_find(base, field->name) == NULL && delta_schema_find(columns->schema, field->name) == NULL) {
            delta_schema_builder_add(builder, field->name, field->type, true, NULL);
            extended = true;
        }
    }
    DeltaSchema *schema = delta_schema_builder_finish(builder);
    delta_schema_unref(found);
    if (!extended) {
        delta_schema_unref(schema);
        schema = NULL;
    }
    *out = schema;
    return OK;
}

Status files_extend(DuckConn *conn, const FilesOptions *options, const FilesColumns *columns, const DeltaSchema *base,
                    const FilesItem *items, size_t n, FilesDepth depth, DeltaSchema **out, Error *err)
{
    Shapes shapes;

    *out = NULL;
    if (options->format == FILES_PARQUET) {
        return extend_parquet(conn, options, columns, base, items, n, out, err);
    }
    if (options->format == FILES_TEXT || (options->format == FILES_CSV && options->csv.header == HEADER_NO)) {
        return OK;
    }
    shapes_init(&shapes);
    Status rc = add_files(options, items, n, depth, &shapes, err);
    if (rc == OK) {
        *out = shapes_extend(&shapes, base, !options->infer_types, columns->added, columns->n_added);
    }
    shapes_fini(&shapes);
    if (rc == OK && *out != NULL) {
        rc = with_hints(conn, options, out, err);
    }
    return rc;
}
