"""DuckDB over the files of a table: as plain Parquet, or through its extension delta (DELTA_SCAN=1).

    tables_duckdb.py WORKLOAD VALUES
"""
import json
import os
import sys
import time

import duckdb

from workloads import TABLE_WORKLOADS

workload, values = sys.argv[1], json.loads(sys.argv[2])
db = duckdb.connect()
relation = f"read_parquet('{values['path']}/*.parquet')"
if os.environ.get("DELTA_SCAN"):
    db.execute("LOAD delta")
    relation = f"delta_scan('{values['path']}')"
begin, answer = time.monotonic(), []
for statement in TABLE_WORKLOADS[workload].sql.format(**values, table=relation).split("; "):
    answer += [list(row) for row in db.execute(statement).fetchall()]
print(json.dumps({"work_s": time.monotonic() - begin, "answer": answer}))
