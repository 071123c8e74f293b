"""Single statements in Spark with Delta (spark_session.py).

    tables_spark.py WORKLOAD VALUES
"""
import json
import sys
import time

from pyspark.sql import functions as F

from spark_session import spark_session
from workloads import TABLE_WORKLOADS

workload, values = sys.argv[1], json.loads(sys.argv[2])
spark = spark_session(values["path"])
begin, answer = time.monotonic(), []
if workload == "changefeed":
    feed = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", values["first"]).load(values["path"])
    answer = [list(row) for row in feed.groupBy("_change_type").agg(F.count("*"), F.sum("seq")).collect()]
else:
    text = TABLE_WORKLOADS[workload].sql.format(**values, table=f"delta.`{values['path']}`", rows=f"parquet.`{values['source']}`")
    for statement in text.split("; "):
        answer += [list(row) for row in spark.sql(statement).collect()]
work = time.monotonic() - begin
spark.stop()
print(json.dumps({"work_s": work, "answer": answer}))
