/* A file of a flow's checkpoint: its name on the first line, what it holds behind that. Whoever reads such a file takes
 * or refuses it; what is taken is written and read as the same. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "source/delta_int.h"
#include "source/files_log.h"
#include "stream/checkpoint.h"
#include "stream/state_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 64 << 20 };

static Store *store;
static Duck *duck;
static DeltaTable *table;

static void must(bool good)
{
    if (!good) {
        abort();
    }
}

static void set_up(void)
{
    if (store == NULL) {
        must(duck_open(&(DuckConfig){.memory_limit_bytes = 256 << 20, .threads = 1}, &duck, NULL) == OK);
        must(delta_table_open(duck, "memory://fuzz-checkpoint-table", &table, NULL) == OK);
        must(store_open("memory://fuzz-checkpoint", &store, NULL) == OK);
    }
}

static void read_source_offset(const char *text)
{
    Error err = ERROR_NONE;
    DeltaOffset offset, again;

    if (delta_offset_parse(text, NULL, &offset, &err) == OK) {
        char *written = delta_offset_text(&offset, "id");
        must(delta_offset_parse(written, "id", &again, &err) == OK && delta_offset_compare(&offset, &again) == 0);
        mem_free(written);
    }
}

static void read_offsets(const char *text, size_t n)
{
    Error err = ERROR_NONE;
    OffsetsEntry *entry = NULL, *again = NULL;
    Text written = TEXT(TEXT_MAX), twice = TEXT(TEXT_MAX);

    if (offsets_entry_parse(text, n, "offsets", 3, &entry, &err) == OK) {
        must(offsets_entry_write(entry, &written, &err) == OK &&
             offsets_entry_parse(written.data, written.length, "again", 3, &again, &err) == OK &&
             again->n_ends == entry->n_ends && offsets_entry_write(again, &twice, &err) == OK &&
             strcmp(written.data, twice.data) == 0);
        for (size_t i = 0; i < entry->n_ends; i++) {
            read_source_offset(entry->ends[i] != NULL ? entry->ends[i] : "");
        }
    }
    offsets_entry_free(entry);
    offsets_entry_free(again);
    text_free(&written);
    text_free(&twice);
}

static void read_commit(const char *text, size_t n)
{
    static char flow[] = "flow", folder[] = "freshet-state/0", name[] = "groups";
    StateTable groups = {.name = name};
    const State state = {.flow = flow, .folder = folder, .checkpoint = store, .tables = &groups, .n_tables = 1};
    StateFiles files = {.expired = INT64_MIN};
    CommitsEntry *entry = NULL;
    Error err = ERROR_NONE;

    if (commits_entry_parse(text, n, "commits", 3, &entry, &err) == OK) {
        (void)state_files_parse(&state, json_object_get(entry->freshet, "state"), &files, &err);
        (void)state_files_bytes(&files);
    }
    state_files_clear(&files);
    commits_entry_free(entry);
}

static void read_identity(const char *text, size_t n)
{
    static const char *const SOURCES[] = {"read_files('/in')"};
    Checkpoint *checkpoint = NULL;
    Error err = ERROR_NONE;

    must(store_put(store, "freshet.json", text, n, NULL) == OK && store_put(store, "metadata", text, n, NULL) == OK);
    (void)checkpoint_open(store, "flow", &checkpoint, &err);
    checkpoint_close(checkpoint);
    must(store_put(store, "metadata", "{\"id\":\"q\"}", 10, NULL) == OK &&
         checkpoint_open(store, "flow", &checkpoint, &err) == OK);
    (void)checkpoint_bind(checkpoint, "flow", "target", SOURCES, 1, &err);
    checkpoint_close(checkpoint);
}

static void read_files_log(const char *text, size_t n)
{
    Error err = ERROR_NONE;
    FilesLog *log = NULL;
    FilesEntry *entries = NULL;
    FilesSet *seen = files_set_new();
    size_t count = 0;

    must(store_put(store, "sources/0/0", text, n, NULL) == OK);
    if (files_log_open(store, "sources/0", duck, seen, &log, &err) == OK) {
        must(files_log_range(log, -1, 0, &entries, &count, &err) == OK && count >= files_set_count(seen));
    }
    mem_free(entries);
    files_log_close(log);
    files_set_free(seen);
}

static void read_schema_log(const char *text, size_t n)
{
    static char id[] = "table", place[] = "schemas", dir[] = "sources/0", flow[] = "flow";
    const DeltaSource source = {
        .table = table, .checkpoint = store, .flow = flow, .id = id, .tracking = place, .private_dir = dir};
    DeltaTracked *tracked = NULL;
    Error err = ERROR_NONE;

    must(store_put(store, "schemas/_schema_log_table/1", text, n, NULL) == OK &&
         store_put(store, "schemas/_schema_log_table/0", text, n, NULL) == OK);
    (void)delta_tracking_load(&source, &tracked, &err);
    delta_tracked_free(tracked);
}

static void read_state_metadata(const char *text, size_t n)
{
    Text fingerprint = TEXT(TEXT_MAX);
    Error err = ERROR_NONE;
    bool there, has;

    must(store_put(store, "freshet-state/0/metadata", text, n, NULL) == OK);
    (void)state_fingerprint(store, 0, &fingerprint, &err);
    (void)state_find_column(store, 0, "groups", "total", &there, &has, &err);
    text_free(&fingerprint);
}

static const struct {
    const char *name;
    void (*read)(const char *text, size_t n);
} FILES[] = {
    {"offsets", read_offsets}, {"commits", read_commit},        {"freshet.json", read_identity},
    {"files", read_files_log}, {"schema_log", read_schema_log}, {"state", read_state_metadata},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *input = mem_alloc(size + 1), *text;

    set_up();
    memcpy(input, data, size);
    text = memchr(input, '\n', size);
    for (size_t i = 0; text != NULL && i < sizeof FILES / sizeof *FILES; i++) {
        size_t n = strlen(FILES[i].name);
        if ((size_t)(text - input) == n && memcmp(input, FILES[i].name, n) == 0) {
            FILES[i].read(text + 1, size - n - 1);
        }
    }
    mem_free(input);
    return 0;
}
