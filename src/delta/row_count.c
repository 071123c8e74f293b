#include "delta/table_int.h"

/* numRecords counts what is in a file, its deletion vector what of that is gone. */
Status delta_snapshot_rows(const DeltaSnapshot *snapshot, DuckConn *conn, int64_t *rows, Error *err)
{
    Text sql = TEXT(TEXT_SQL_MAX);
    DuckResult *result = NULL;
    bool more;
    Status rc = OK;

    text_append(&sql, "SELECT CASE WHEN count(*) = count(n) THEN coalesce(sum(n - hidden), 0)::BIGINT ELSE -1 END FROM "
                      "(SELECT TRY_CAST(json_extract_string(stats, '$.numRecords') AS BIGINT) AS n, "
                      "coalesce(dv.cardinality, 0) AS hidden FROM (");
    TRY(delta_snapshot_files_sql(snapshot, &sql, err));
    text_append(&sql, "))");
    TRY(duck_query(conn, text_str(&sql), &result, err));
    TRY(duck_result_next(result, &more, err));
    *rows = duck_result_i64(result, 0);
out:
    duck_result_free(result);
    text_free(&sql);
    return rc;
}
