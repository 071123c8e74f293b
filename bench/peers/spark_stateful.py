"""The stateful workloads in Spark Structured Streaming on local[2], with the RocksDB state store and 2 shuffle partitions. An exact
count(DISTINCT) is refused in a stream, so windows has an approximate one.

    spark_stateful.py WORKLOAD IN OUT        SPARK_JARS: the Delta jars, comma-separated
"""
import os
import sys
import tempfile

from pyspark.sql import SparkSession, functions as F

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from stateful_workloads import DELAY, FILES_PER_BATCH  # noqa: E402

workload, source, target = sys.argv[1:4]
scratch = tempfile.mkdtemp(prefix="spark-", dir=os.path.dirname(target))
options = {
    "spark.jars": os.environ["SPARK_JARS"],
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.driver.memory": "4g",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.streaming.stateStore.providerClass": "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "localhost",
    "spark.local.dir": scratch,
    "spark.sql.warehouse.dir": scratch + "/warehouse",
}
builder = SparkSession.builder.master("local[2]").appName("bench")
for name, value in options.items():
    builder = builder.config(name, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")


def stream():
    return spark.readStream.format("delta").option("maxFilesPerTrigger", FILES_PER_BATCH).load(source)


def per_window(*window):
    return stream().withWatermark("event_time", DELAY).groupBy(F.window("event_time", *window), "country")


def joined():
    purchases = stream().where("event_type = 'purchase'").withWatermark("event_time", DELAY)
    searches = stream().where("event_type = 'search'").withWatermark("event_time", DELAY)
    purchases = purchases.select(F.col("event_id").alias("purchase"), "user_id", "event_time")
    searches = searches.select(F.col("event_id").alias("search"), F.col("user_id").alias("u"), F.col("event_time").alias("searched"))
    return purchases.join(searches, F.expr("u = user_id AND searched BETWEEN event_time - INTERVAL 10 minutes AND event_time"))


QUERIES = {
    "windows": lambda: per_window("1 minute").agg(F.count("*").alias("events"), F.sum("revenue").alias("revenue"),
                                                  F.approx_count_distinct("user_id").alias("users")),
    "dedupe": lambda: stream().dropDuplicates(["event_id"]),
    "sliding": lambda: per_window("1 hour", "5 minutes").agg(F.count("*").alias("events"), F.sum("revenue").alias("revenue")),
    "join": joined,
    "restart": lambda: stream().dropDuplicates(["event_id"]),
}
writer = QUERIES[workload]().writeStream.format("delta").option("checkpointLocation", f"{target}/_checkpoint").trigger(availableNow=True)
writer.start(f"{target}/out").awaitTermination()
spark.stop()
