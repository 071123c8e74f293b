"""DuckDB's answer to a stateful workload: one query over all files, one Parquet file out. No state, no log, nothing is synced to disk.

    duckdb_batch.py WORKLOAD IN OUT
"""
import os
import sys

import duckdb

from stateful_workloads import DUCKDB, KEYS, MEMORY

workload, source, target = sys.argv[1:4]
db = duckdb.connect()
db.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
if workload in KEYS:
    db.execute(f"SET memory_limit = '{MEMORY}'; SET temp_directory = '{target}/spill'")
os.makedirs(f"{target}/out", exist_ok=True)
query = DUCKDB[workload].format(source=f"read_parquet('{source}/*.parquet')")
db.execute(f"COPY ({query}) TO '{target}/out/0.parquet' (FORMAT parquet, COMPRESSION snappy)")
