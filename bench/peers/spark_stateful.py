"""The stateful workloads in Spark Structured Streaming (spark_session.py). State is in RocksDB, which writes what a batch changed
instead of whole files and does not count its rows. An exact count(DISTINCT) is refused in a stream, so windows has an approximate one.

    spark_stateful.py WORKLOAD IN OUT
"""
import sys

from pyspark.sql import functions as F

from spark_session import spark_session
from stateful_workloads import DELAY, FILES_PER_BATCH

STORE = "spark.sql.streaming.stateStore"
STATE = {
    f"{STORE}.providerClass": "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
    f"{STORE}.rocksdb.changelogCheckpointing.enabled": "true",
    f"{STORE}.rocksdb.trackTotalNumberOfRows": "false",
}
workload, source, target = sys.argv[1:4]
spark = spark_session(target, STATE)


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
    "keys": lambda: stream().dropDuplicates(["event_id"]),
    "restart": lambda: stream().dropDuplicates(["event_id"]),
}
writer = QUERIES[workload]().writeStream.format("delta").option("checkpointLocation", f"{target}/_checkpoint").trigger(availableNow=True)
writer.start(f"{target}/out").awaitTermination()
spark.stop()
