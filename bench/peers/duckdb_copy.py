"""DuckDB's COPY to plain Parquet: the least work there is. No log, no checkpoint, no exactly-once, nothing is synced to disk.

    duckdb_copy.py WORKLOAD IN OUT
"""
import glob
import os
import sys

import duckdb

from workloads import BRONZE, COLUMNS, FILES_PER_BATCH, GOLD, SILVER

workload, source, target = sys.argv[1:4]
columns = "{" + ", ".join(f"{name}: '{kind}'" for name, kind, _ in COLUMNS) + "}"
db = duckdb.connect()
db.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")


def copy(query, table, part):
    os.makedirs(f"{target}/{table}", exist_ok=True)
    db.execute(f"COPY ({query}) TO '{target}/{table}/{part:05d}.parquet' (FORMAT parquet, COMPRESSION snappy)")


files = sorted(glob.glob(source + "/*.json"))
batches = [files[at : at + FILES_PER_BATCH] for at in range(0, len(files), FILES_PER_BATCH)]
for number, batch in enumerate(batches):
    copy(BRONZE.format(source=f"read_json({batch}, format = 'newline_delimited', columns = {columns})"), "bronze", number)
if workload == "medallion":
    for number in range(len(batches)):
        copy(SILVER.format(source=f"'{target}/bronze/{number:05d}.parquet'"), "silver", number)
    copy(GOLD.format(source=f"'{target}/silver/*.parquet'"), "gold", 0)
