"""Spark with Delta on local[2], set up for a small machine as in spark_stream.py.

    tables_spark.py WORKLOAD VALUES        SPARK_JARS: the Delta jars, comma-separated
"""
import json
import os
import sys
import tempfile
import time

from pyspark.sql import SparkSession, functions as F

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from workloads import TABLE_WORKLOADS  # noqa: E402

workload, values = sys.argv[1], json.loads(sys.argv[2])
scratch = tempfile.mkdtemp(prefix="spark-")
options = {
    "spark.jars": os.environ["SPARK_JARS"],
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.driver.memory": "4g",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "localhost",
    "spark.driver.extraJavaOptions": f"-Dderby.system.home={scratch}",
    "spark.local.dir": scratch,
    "spark.sql.warehouse.dir": scratch + "/warehouse",
}
builder = SparkSession.builder.master("local[2]").appName("bench")
for name, value in options.items():
    builder = builder.config(name, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
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
