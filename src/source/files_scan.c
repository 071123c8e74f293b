#include "source/files_scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "source/csv_reader.h"
#include "source/json_reader.h"
#include "source/line_input.h"
#include "source/value_text.h"

enum { UNIT_BYTES = 8 << 20, THREADS_MAX = 256 };

/* A file with what is the same for all its rows. */
typedef struct ScanFile {
    FilesItem item;
    char *uri;
    const char **partitions; /* values, NULL = null */
} ScanFile;

typedef struct Unit {
    const ScanFile *file;
    int64_t from, to;
} Unit;

/* One batch: what StreamRelation owns. */
typedef struct FilesScan {
    Duck *duck;
    uint64_t handle;
    const FilesOptions *options;
    const FilesColumns *columns;
    FilesFindings *findings;
    Arena *arena;
    ScanFile *files;
    size_t n_files;
    Unit *units;
    size_t n_units, capacity;
} FilesScan;

/* One execution of the statement. */
typedef struct Run {
    FilesScan *scan;
    size_t *wanted;
    size_t n_wanted;
    _Atomic size_t next_unit;
} Run;

typedef struct Thread {
    Run *run;
    Arena *arena;
    ValueNode root, *partitions;
    DuckColumn metadata[4];                 /* its fields, while a chunk is filled */
    DuckColumn *by_role[ROLE_METADATA + 1]; /* the chunk's column of a role; NULL: not wanted */
    LineInput input;
    JsonReader json;
    CsvReader csv;
    const ScanFile *file;
    LineBlock block;
    bool block_is_last;   /* what is open at its end stays open */
    const char *at;       /* the rest of the block */
    bool reports_unknown; /* a field that the schema lacks ends the statement */
    bool keeps_misfits;   /* there is a rescued data column: a value that does not fit breaks no record */
    int64_t misfits_before, ill_typed_before;
    int64_t rows, corrupt, rescued; /* of this chunk */
} Thread;

/* ---- rows ---- */

static bool is_csv(const Thread *t)
{
    return t->run->scan->options->format == FILES_CSV;
}

static Rescue *rescue_of(Thread *t)
{
    return is_csv(t) ? &t->csv.rescue : &t->json.rescue;
}

static void put_text(DuckColumn *column, uint64_t row, const char *s, size_t n)
{
    duck_column_set_string(column, row, s, n);
}

static void put_metadata(Thread *t, uint64_t row)
{
    const ScanFile *file = t->file;
    const char *name = files_name(file->item.path);
    put_text(&t->metadata[0], row, file->uri, strlen(file->uri));
    put_text(&t->metadata[1], row, name, strlen(name));
    ((int64_t *)t->metadata[2].data)[row] = file->item.size;
    ((int64_t *)t->metadata[3].data)[row] = file->item.mtime_us;
}

/* The columns that do not come from the record. A row that was read has no corrupt text. */
static void put_ours(Thread *t, uint64_t row)
{
    const FilesColumns *columns = t->run->scan->columns;

    for (size_t i = 0; i < columns->n_partitions; i++) {
        const char *value = t->file->partitions[i];
        if (value == NULL || !value_plain_text(&t->partitions[i], row, value, strlen(value))) {
            value_set_null(&t->partitions[i], row);
        }
    }
    if (t->by_role[ROLE_METADATA] != NULL) {
        put_metadata(t, row);
    }
}

static int64_t misfits(const Thread *t)
{
    return is_csv(t) ? t->csv.misfits : t->json.misfits;
}

static void put_read(Thread *t, uint64_t row)
{
    DuckColumn *rescued = t->by_role[ROLE_RESCUED], *corrupt = t->by_role[ROLE_CORRUPT];
    Rescue *rescue = rescue_of(t);

    t->rescued += misfits(t) != t->misfits_before;
    t->misfits_before = misfits(t);
    if (corrupt != NULL) {
        duck_column_set_null(corrupt, row);
    }
    if (rescued == NULL) {
        return;
    }
    if (rescue_end(rescue, t->file->uri)) {
        put_text(rescued, row, rescue->json.data, rescue->json.length);
    } else {
        duck_column_set_null(rescued, row);
    }
}

static int64_t ill_typed(const Thread *t)
{
    return is_csv(t) ? t->csv.ill_typed : t->json.ill_typed;
}

/* The record was read, with values that do not fit their columns, and nothing rescues them: it is malformed, as for
 * Spark. */
static bool is_misfit(Thread *t)
{
    int64_t before = t->ill_typed_before;

    t->ill_typed_before = ill_typed(t);
    return !t->keeps_misfits && t->ill_typed_before != before;
}

/* A record that cannot be read: FAILFAST ends the statement; else its text is kept where there is a column for it. */
static Status put_broken(Thread *t, uint64_t row, const char *line, size_t n, const char *why, Error *err)
{
    DuckColumn *rescued = t->by_role[ROLE_RESCUED], *corrupt = t->by_role[ROLE_CORRUPT];
    Rescue *rescue = rescue_of(t);
    int64_t number = t->block.foreign ? 0 : line_input_number(&t->input, &t->block, line);

    t->corrupt++;
    t->misfits_before = misfits(t);
    if (t->run->scan->options->mode == MODE_FAIL) {
        error_set(err, E_SOURCE_FILE, "%s:%" PRId64 ": %s", t->file->item.path, number, why);
        error_hint(err, "mode => 'PERMISSIVE' keeps such lines in a column of their own");
        return ERR_CORRUPT;
    }
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) {
        n--;
    }
    if (corrupt != NULL) {
        Text readable = TEXT((size_t)t->run->scan->options->record_bytes_max * 4);
        rescue_append_bytes(&readable, line, n);
        put_text(corrupt, row, text_str(&readable), readable.length);
        text_free(&readable);
    }
    if (rescued != NULL && corrupt != NULL) {
        duck_column_set_null(rescued, row);
    } else if (rescued != NULL) {
        rescue_corrupt(rescue, line, n, why, t->file->uri, number);
        put_text(rescued, row, rescue->json.data, rescue->json.length);
        rescue_begin(rescue);
    }
    return OK;
}

/* The row of a record that is dropped is the next record's: nothing in it is null before that is read. */
static void give_back_row(Thread *t, uint64_t row)
{
    static const ColumnRole TEXTS[] = {ROLE_RESCUED, ROLE_CORRUPT};

    for (size_t i = 0; i < t->root.n_children; i++) {
        value_set_valid(&t->root.children[i], row);
    }
    for (size_t i = 0; i < t->run->scan->columns->n_partitions; i++) {
        value_set_valid(&t->partitions[i], row);
    }
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        if (t->by_role[TEXTS[i]] != NULL) {
            duck_column_set_valid(t->by_role[TEXTS[i]], row);
        }
    }
}

/* Takes the row if the mode keeps records that cannot be read. */
static void end_broken(Thread *t, uint64_t *row)
{
    if (t->run->scan->options->mode == MODE_PERMISSIVE) {
        put_ours(t, *row);
        ++*row;
    } else {
        give_back_row(t, *row);
    }
}

static void null_data(Thread *t, uint64_t row)
{
    for (size_t i = 0; i < t->root.n_children; i++) {
        value_set_null(&t->root.children[i], row);
    }
}

/* ---- blocks ---- */

static Status report_unknown(const Thread *t, const char *name, Error *err)
{
    atomic_store(&t->run->scan->findings->unknown_column, true);
    error_set(err, E_SOURCE_NEW_COLUMN, "%s: the field \"%s\" is not in the schema", t->file->item.path, name);
    error_hint(err, "schemaEvolutionMode => 'addNewColumns' takes it up, 'rescue' keeps it in the rescued data");
    return ERR_INVALID;
}

static bool is_too_long(const Thread *t, const char *start, const char *end)
{
    return end - start > t->run->scan->options->record_bytes_max;
}

/* A line that is too long, read or not, or the first bytes of a file that is no text: its beginning is kept. */
static Status put_unreadable(Thread *t, uint64_t row, const char *start, const char *end, Error *err)
{
    char why[128];
    size_t n = (size_t)(end - start);

    snprintf(why, sizeof why, "the line is longer than %" PRId64 " bytes (maxRecordBytes); this is its beginning",
             t->run->scan->options->record_bytes_max);
    null_data(t, row);
    return put_broken(t, row, start, n > LINE_SAMPLE ? LINE_SAMPLE : n, t->block.foreign ? t->block.foreign : why, err);
}

static Status fill_unreadable(Thread *t, uint64_t *row, Error *err)
{
    Status rc = put_unreadable(t, *row, t->at, t->block.end, err);
    end_broken(t, row);
    t->at = t->block.end;
    return rc;
}

static RecordOutcome read_record(Thread *t, uint64_t row, Error *err)
{
    if (is_csv(t)) {
        return csv_reader_record(&t->csv, &t->at, t->block.end, t->block_is_last, row);
    }
    if (t->run->scan->options->format == FILES_JSON) {
        return json_reader_record(&t->json, &t->at, row, err);
    }
    const char *end = rawmemchr(t->at, '\n');
    size_t n = (size_t)(end - t->at) - (end > t->at && end[-1] == '\r');
    bool valid = utf8_valid(t->at, n) == n;
    if (t->root.n_children > 0 && valid) {
        value_borrow_string(&t->root.children[0], row, t->at, n);
    } else {
        null_data(t, row);
        t->json.fault.why = "bytes that are not UTF-8";
    }
    t->at = end + 1;
    return valid ? RECORD_READ : RECORD_BROKEN;
}

static Status put_corrupt(Thread *t, uint64_t row, const char *start, Error *err)
{
    const char *why = is_csv(t) ? t->csv.why : t->json.fault.why;
    return is_too_long(t, start, t->at) ? put_unreadable(t, row, start, t->at, err)
                                        : put_broken(t, row, start, (size_t)(t->at - start), why, err);
}

static Status put_misfit(Thread *t, uint64_t row, const char *start, Error *err)
{
    return is_too_long(t, start, t->at)
               ? put_unreadable(t, row, start, t->at, err)
               : put_broken(t, row, start, (size_t)(t->at - start), "a value does not fit its column", err);
}

/* The record goes on behind the block: the next one begins with it, once the rows so far are gone, which borrow from
 * this one. */
static bool ask_for_more(Thread *t, uint64_t row)
{
    if (row > 0) {
        return true;
    }
    t->block_is_last = !line_input_give_back(&t->input, &t->block, t->at);
    t->at = t->block_is_last ? t->at : t->block.end;
    return false;
}

/* Rows from the block, until it or the chunk is at its end. */
static Status fill_rows(Thread *t, uint64_t *row, Error *err)
{
    const char *unknown = is_csv(t) ? t->csv.unknown : t->json.unknown;
    Status rc = OK;

    while (t->at < t->block.end && *row < DUCK_VECTOR_ROWS && rc == OK) {
        const char *start = t->at;
        RecordOutcome outcome = read_record(t, *row, err);
        if (outcome == RECORD_FAILED) {
            return error_status(err);
        }
        if (outcome == RECORD_MORE && ask_for_more(t, *row)) {
            return OK;
        }
        if (outcome == RECORD_READ && is_misfit(t)) {
            rc = put_misfit(t, *row, start, err);
            end_broken(t, row);
        } else if (outcome == RECORD_READ && !is_too_long(t, start, t->at)) {
            put_read(t, *row);
            put_ours(t, *row);
            ++*row;
        } else if (outcome == RECORD_READ || outcome == RECORD_BROKEN) {
            rc = put_corrupt(t, *row, start, err);
            end_broken(t, row);
        }
        if (t->reports_unknown && unknown[0] != '\0' && rc == OK) {
            rc = report_unknown(t, unknown, err);
        }
    }
    return rc;
}

static Status open_unit(Thread *t, const Unit *unit, Error *err)
{
    const FilesOptions *options = t->run->scan->options;
    Status rc = line_input_open(&t->input, unit->file->item.path, unit->from, unit->to,
                                options->format == FILES_JSON && options->multi_line, err);
    if (rc == OK) {
        t->file = unit->file;
        if (is_csv(t)) {
            csv_reader_begin_file(&t->csv);
        }
    }
    return rc;
}

static bool passes_over(const FilesOptions *options, const Error *err)
{
    return (options->ignore_missing && err->id == E_IO_NOT_FOUND) ||
           (options->ignore_corrupt && err->id == E_SOURCE_FILE);
}

/* The next block that holds something; *more = false when all units are taken. */
static Status next_block(Thread *t, bool *more, Error *err)
{
    Run *run = t->run;
    const FilesScan *scan = run->scan;

    for (;;) {
        Error own = ERROR_NONE;
        Status rc = OK;
        if (t->file != NULL) {
            rc = line_input_next(&t->input, &t->block, &own);
            t->at = t->block.start;
            t->block_is_last = false;
            if (rc == OK && t->block.start < t->block.end) {
                *more = true;
                return OK;
            }
            t->file = NULL;
        }
        if (rc == OK) {
            size_t i = atomic_fetch_add(&run->next_unit, 1);
            if (i >= scan->n_units) {
                *more = false;
                return OK;
            }
            rc = open_unit(t, &scan->units[i], &own);
        }
        if (rc != OK && !passes_over(scan->options, &own)) {
            *err = own;
            return rc;
        }
        if (rc != OK) {
            log_warning("%s; the rest of the file is passed over", own.message);
        }
    }
}

/* ---- the table function ---- */

static void bind_columns(Thread *t, DuckColumn *columns)
{
    const Run *run = t->run;
    const FilesColumns *all = run->scan->columns;

    for (size_t i = 0; i < run->n_wanted; i++) {
        size_t c = run->wanted[i];
        switch (all->roles[c]) {
        case ROLE_DATA: value_node_bind(&t->root.children[all->positions[c]], &columns[i]); break;
        case ROLE_PARTITION: value_node_bind(&t->partitions[all->positions[c]], &columns[i]); break;
        case ROLE_METADATA:
            for (size_t f = 0; f < sizeof t->metadata / sizeof *t->metadata; f++) {
                t->metadata[f] = duck_column_child(&columns[i], f);
            }
            t->by_role[ROLE_METADATA] = &columns[i];
            break;
        default: t->by_role[all->roles[c]] = &columns[i];
        }
    }
}

static void publish_counts(Thread *t)
{
    FilesFindings *findings = t->run->scan->findings;
    atomic_fetch_add(&findings->rows, t->rows);
    atomic_fetch_add(&findings->corrupt, t->corrupt);
    atomic_fetch_add(&findings->rescued, t->rescued);
    t->rows = t->corrupt = t->rescued = 0;
}

static Status scan_next(void *scan, void *thread, DuckColumn *columns, size_t *rows, Error *err)
{
    Thread *t = thread;
    uint64_t row = 0;
    bool more = true;
    Status rc = OK;

    (void)scan;
    bind_columns(t, columns);
    while (row == 0 && more && rc == OK) {
        if (t->at == t->block.end) {
            TRY(next_block(t, &more, err));
        }
        if (more) {
            rc = t->block.too_long || t->block.foreign ? fill_unreadable(t, &row, err) : fill_rows(t, &row, err);
        }
    }
    for (size_t i = 0; i < t->root.n_children; i++) {
        value_node_settle(&t->root.children[i]);
    }
out:
    t->rows += (int64_t)row;
    publish_counts(t);
    *rows = (size_t)row;
    return rc;
}

static bool wants_role(const Run *run, ColumnRole role)
{
    for (size_t i = 0; i < run->n_wanted; i++) {
        if (run->scan->columns->roles[run->wanted[i]] == role) {
            return true;
        }
    }
    return false;
}

static void set_patterns(ValueNode *node, const CsvDialect *csv)
{
    node->pattern = node->type == DELTA_DATE            ? csv->date
                    : node->type == DELTA_TIMESTAMP     ? csv->timestamp
                    : node->type == DELTA_TIMESTAMP_NTZ ? csv->timestamp_ntz
                                                        : NULL;
    for (size_t i = 0; i < node->n_children; i++) {
        set_patterns(&node->children[i], csv);
    }
}

static Status thread_open(void *scan, void **thread, Error *err)
{
    Run *run = scan;
    const FilesScan *s = run->scan;
    const FilesColumns *columns = s->columns;
    size_t record_max = (size_t)s->options->record_bytes_max;
    Thread *t = mem_alloc(sizeof *t);
    bool rescues = wants_role(run, ROLE_RESCUED);

    (void)err;
    t->run = run;
    t->keeps_misfits = s->options->rescued_column != NULL;
    t->reports_unknown = s->options->evolution == EVOLVE_ADD || s->options->evolution == EVOLVE_FAIL;
    t->arena = arena_new();
    value_node_init_fields(&t->root, columns->data, columns->n_data, t->arena);
    set_patterns(&t->root, &s->options->csv);
    t->partitions = arena_alloc(t->arena, (columns->n_partitions + 1) * sizeof *t->partitions);
    for (size_t c = 0; c < columns->n; c++) {
        if (columns->roles[c] == ROLE_PARTITION) {
            value_node_init(&t->partitions[columns->positions[c]], columns->schema->fields[c].type, t->arena);
        }
    }
    line_input_init(&t->input, record_max, 0);
    json_reader_init(&t->json, &t->root, rescues, record_max);
    csv_reader_init(&t->csv, &t->root, &s->options->csv, s->options->schema_text == NULL, rescues, record_max);
    t->json.reserved = t->csv.reserved = columns->added;
    t->json.n_reserved = t->csv.n_reserved = columns->n_added;
    *thread = t;
    return OK;
}

static void thread_close(void *thread)
{
    Thread *t = thread;
    line_input_fini(&t->input);
    json_reader_fini(&t->json);
    csv_reader_fini(&t->csv);
    arena_free(t->arena);
    mem_free(t);
}

static Status run_open(void *context, const size_t *wanted, size_t n_wanted, void **out, Error *err)
{
    Run *run = mem_alloc(sizeof *run);
    (void)err;
    run->scan = context;
    run->wanted = mem_alloc((n_wanted + 1) * sizeof *run->wanted);
    run->n_wanted = n_wanted;
    for (size_t i = 0; i < n_wanted; i++) {
        run->wanted[i] = wanted[i];
    }
    *out = run;
    return OK;
}

static void run_close(void *context)
{
    Run *run = context;
    mem_free(run->wanted);
    mem_free(run);
}

/* ---- the relation ---- */

static void add_unit(FilesScan *scan, const ScanFile *file, int64_t from, int64_t to)
{
    scan->units = mem_grow(scan->units, scan->n_units, &scan->capacity, sizeof *scan->units);
    scan->units[scan->n_units++] = (Unit){file, from, to};
}

static Status add_units(FilesScan *scan, const ScanFile *file, Error *err)
{
    bool lines = scan->options->format != FILES_CSV && !scan->options->multi_line, compressed = true;
    if (lines && file->item.size > UNIT_BYTES * 3 / 2) {
        Status rc = byte_input_probe(file->item.path, &compressed, err);
        if (rc != OK) {
            return rc;
        }
    }
    int64_t parts = compressed ? 1 : file->item.size / UNIT_BYTES;
    for (int64_t i = 0; i < parts; i++) {
        add_unit(scan, file, i * UNIT_BYTES, i + 1 == parts ? INT64_MAX : (i + 1) * UNIT_BYTES);
    }
    return OK;
}

static void set_constants(FilesScan *scan, ScanFile *file)
{
    const FilesColumns *columns = scan->columns;
    Text text = TEXT(1 << 20);

    files_uri(&text, file->item.path);
    file->uri = arena_strdup(scan->arena, text_str(&text));
    file->partitions = arena_alloc(scan->arena, (columns->n_partitions + 1) * sizeof *file->partitions);
    for (size_t i = 0; i < columns->n_partitions; i++) {
        text_clear(&text);
        bool known = files_partition_value(file->item.path, columns->partitions[i], &text);
        file->partitions[i] = known ? arena_strdup(scan->arena, text_str(&text)) : NULL;
    }
    text_free(&text);
}

static Status add_file(FilesScan *scan, const FilesItem *item, Error *err)
{
    ScanFile *file = &scan->files[scan->n_files];
    bool gone;

    file->item = *item;
    file->item.path = arena_strdup(scan->arena, item->path);
    Status rc = files_item_check(&file->item, scan->options, &gone, err);
    if (rc != OK || gone) {
        return rc;
    }
    set_constants(scan, file);
    scan->n_files++;
    return add_units(scan, file, err);
}

static void scan_release(void *owner)
{
    FilesScan *scan = owner;
    if (scan->handle != 0) {
        duck_relation_drop(scan->duck, scan->handle);
    }
    arena_free(scan->arena);
    mem_free(scan->units);
    mem_free(scan);
}

static int64_t rows_read(void *owner)
{
    return atomic_load(&((FilesScan *)owner)->findings->rows);
}

static int64_t bad_rows(void *owner)
{
    FilesFindings *findings = ((FilesScan *)owner)->findings;
    return atomic_load(&findings->corrupt) + atomic_load(&findings->rescued);
}

static int thread_count(const FilesScan *scan)
{
    return scan->n_units < 1 ? 1 : scan->n_units > THREADS_MAX ? THREADS_MAX : (int)scan->n_units;
}

Status files_scan_relation(Duck *duck, const FilesOptions *options, const FilesColumns *columns, const FilesItem *items,
                           size_t n, FilesFindings *findings, StreamRelation *out, Error *err)
{
    FilesScan *scan = mem_alloc(sizeof *scan);
    StreamRelation relation = {
        .rows = -1, .rows_read = rows_read, .bad_rows = bad_rows, .owner = scan, .release = scan_release};
    Status rc = OK;

    *scan = (FilesScan){
        .duck = duck, .options = options, .columns = columns, .findings = findings, .arena = arena_new()};
    scan->files = arena_alloc(scan->arena, (n + 1) * sizeof *scan->files);
    for (size_t i = 0; i < n; i++) {
        TRY(add_file(scan, &items[i], err));
    }
    for (size_t i = 0; i < scan->n_files; i++) {
        relation.files++;
        relation.bytes += scan->files[i].item.size;
    }
    scan->handle = duck_relation_register(duck, &(DuckRelation){.columns = columns->duck,
                                                                .n_columns = columns->n,
                                                                .rows_estimate = -1,
                                                                .threads_max = thread_count(scan),
                                                                .open = run_open,
                                                                .thread_open = thread_open,
                                                                .next = scan_next,
                                                                .thread_close = thread_close,
                                                                .close = run_close,
                                                                .context = scan});
    Text sql = TEXT(256);
    text_printf(&sql, "SELECT * FROM freshet_relation(%" PRIu64 ")", scan->handle);
    relation.sql = text_take(&sql);
    *out = relation;
out:
    if (rc != OK) {
        scan_release(scan);
    }
    return rc;
}
