"""delta-rs and its SQL on single statements.

    tables_deltars.py WORKLOAD VALUES
"""
import json
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, QueryBuilder

workload, values = sys.argv[1], json.loads(sys.argv[2])
begin, path = time.monotonic(), values["path"]
COLUMNS = {name: f"s.{name}" for name in ("user_id", "seq", "name", "email", "plan")}


def query(text):
    rows = pa.table(QueryBuilder().register("t", DeltaTable(path)).execute(text).read_all())
    return [list(row.values()) for row in rows.to_pylist()]


def delete():
    DeltaTable(path).delete("user_id % 100 = 7")


def merge():
    source = pq.read_table(f"{values['source']}/part.parquet")
    merger = DeltaTable(path).merge(source, "t.user_id = s.user_id", source_alias="s", target_alias="t")
    merger.when_matched_update(COLUMNS).when_not_matched_insert(COLUMNS).execute()


def changes():
    rows = pa.table(DeltaTable(path).load_cdf(starting_version=values["first"]))
    sums = rows.group_by("_change_type").aggregate([([], "count_all"), ("seq", "sum")])
    return [[row["_change_type"], row["count_all"], row["seq_sum"]] for row in sums.to_pylist()]


answer = {
    "open20k": lambda: query("SELECT * FROM t LIMIT 1"),
    "open1m": lambda: query("SELECT count(*) AS n FROM t") + query(f"SELECT id FROM t WHERE id = {values['id']}"),
    "scan10m": lambda: query("SELECT plan, sum(seq) AS s FROM t GROUP BY plan"),
    "lookup": lambda: query(f"SELECT user_id, seq, plan FROM t WHERE user_id = {values['key']}"),
    "delete1pct": delete,
    "merge50k": merge,
    "changefeed": changes,
}[workload]()
print(json.dumps({"work_s": time.monotonic() - begin, "answer": answer}))
