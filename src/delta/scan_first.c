#include "delta/scan.h"

#include <inttypes.h>

#include "delta/stats.h"
#include "delta/table_int.h"
#include "delta/transaction_int.h"

typedef struct First {
    Arena *arena;
    int64_t wanted, rows;
    DeltaFile *files;
    size_t n, capacity;
} First;

static Status take_file(void *context, const DeltaFile *file, Error *err)
{
    First *f = context;
    int64_t hidden = file->deletion_vector != NULL ? file->deletion_vector->cardinality : 0;

    (void)err;
    if (f->rows < f->wanted) {
        f->files = mem_grow(f->files, f->n, &f->capacity, sizeof *f->files);
        f->files[f->n++] = delta_file_copy(f->arena, file);
        f->rows += delta_stats_records(file->stats) - hidden;
    }
    return OK;
}

/* Every file that is looked at has a row at least, so there are never more of them than rows are wanted. */
Status delta_scan_first(DeltaSnapshot *snapshot, DuckConn *conn, int64_t rows, DeltaScan **out, Error *err)
{
    First first = {.arena = arena_new(), .wanted = rows > 0 ? rows : 1};
    Text files = TEXT(TEXT_SQL_MAX);
    char where[256];
    Status rc = OK;

    *out = NULL;
    snprintf(where, sizeof where,
             " WHERE TRY_CAST(TRY(json_extract_string(stats, '$.numRecords')) AS BIGINT) > coalesce(dv.cardinality, 0) "
             "LIMIT %" PRId64,
             first.wanted);
    TRY(delta_snapshot_files_sql(snapshot, &files, err));
    TRY(delta_snapshot_each_row(conn, text_str(&files), where, take_file, &first, err));
    if (first.rows >= first.wanted) {
        DeltaScanSource source = delta_scan_source(snapshot);
        TRY(delta_scan_list(&source, conn, first.files, first.n, out, err));
    }
out:
    mem_free(first.files);
    arena_free(first.arena);
    text_free(&files);
    return rc;
}
