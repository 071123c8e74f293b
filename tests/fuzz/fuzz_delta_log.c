/* A whole log: files one behind the other, each a line with its name, then what it holds up to a NUL. A table is
 * refused, or its files, totals and history can be read; every time and whoever asks the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "delta/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Duck *duck;
static DuckConn *conn;

static void must(bool good, const Error *err)
{
    if (!good) {
        fprintf(stderr, "%s\n", err->message);
        abort();
    }
}

static void put_files(Store *store, const char *at, const char *end)
{
    Text key = TEXT(1 << 16);

    while (at < end) {
        const char *file_end = memchr(at, '\0', (size_t)(end - at));
        file_end = file_end ? file_end : end;
        const char *text = memchr(at, '\n', (size_t)(file_end - at));
        if (text != NULL) {
            text_clear(&key);
            text_append(&key, "_delta_log/");
            text_append_n(&key, at, (size_t)(text - at));
            (void)store_put(store, text_str(&key), text + 1, (size_t)(file_end - text - 1), NULL);
        }
        at = file_end + 1;
    }
    text_free(&key);
}

typedef struct Totals {
    int64_t files, bytes;
} Totals;

static Status add_file(void *context, const DeltaFile *file, Error *err)
{
    Totals *totals = context;

    (void)err;
    totals->files++;
    totals->bytes += file->size;
    return OK;
}

static Status pass_entry(void *context, int64_t version, int64_t timestamp, const DeltaCommitInfo *info, Error *err)
{
    (void)context, (void)version, (void)timestamp, (void)info, (void)err;
    return OK;
}

static void read_table(DeltaTable *table)
{
    DeltaSnapshot *snapshot = NULL;
    Totals seen = {0}, told = {0};
    int64_t first, last;
    Error err = ERROR_NONE;

    if (delta_table_snapshot(table, conn, &snapshot, &err) == OK) {
        Status rc = delta_snapshot_each_file(snapshot, conn, add_file, &seen, &err);
        if (rc == OK && delta_snapshot_totals(snapshot, conn, &told.files, &told.bytes, &err) == OK) {
            must(seen.files == told.files && seen.bytes == told.bytes, &err);
        }
        (void)delta_snapshot_rows(snapshot, conn, &told.files, &err);
        (void)delta_table_history(table, 5, pass_entry, NULL, &err);
    } else {
        must(*err.message != '\0', &err);
    }
    (void)delta_table_commit_range(table, &first, &last, &err);
    delta_snapshot_unref(snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char PLACE[] = "memory://fuzz-delta-log";
    DeltaTable *table = NULL;
    Store *store = NULL;
    Error err = ERROR_NONE;

    if (!duck) {
        must(duck_open(&(DuckConfig){.memory_limit_bytes = INT64_C(1) << 30, .threads = 1}, &duck, &err) == OK, &err);
        must(duck_connect(duck, &conn, &err) == OK, &err);
    }
    must(store_open(PLACE, &store, &err) == OK && store_delete_folder(store, "_delta_log", &err) == OK, &err);
    put_files(store, (const char *)data, (const char *)data + size);
    must(delta_table_open(duck, PLACE, &table, &err) == OK, &err);
    read_table(table);
    delta_table_close(table);
    store_unref(store);
    return 0;
}
