"""Spark Structured Streaming with Delta (spark_session.py).

    spark_stream.py WORKLOAD IN OUT
"""
import sys

from pyspark.sql import functions as F

from spark_session import spark_session
from workloads import COLUMNS, FILES_PER_BATCH

workload, source, target = sys.argv[1:4]
spark = spark_session(target)


def stream(frame, table):
    writer = frame.writeStream.format("delta").option("checkpointLocation", f"{target}/_checkpoints/{table}")
    if workload == "latency":
        writer = writer.trigger(processingTime="0 seconds")
    else:
        writer = writer.trigger(availableNow=True)
    writer.start(f"{target}/{table}").awaitTermination()


schema = ", ".join(f"{name} {kind}" for name, _, kind in COLUMNS)
bronze = (
    spark.readStream.schema(schema)
    .option("maxFilesPerTrigger", FILES_PER_BATCH)
    .json(source)
    .where("event_type IS DISTINCT FROM 'heartbeat'")
    .withColumn("event_date", F.to_date("event_time"))
    .withColumn("revenue_eur", F.col("revenue") * 0.92)
)
stream(bronze, "bronze")
if workload == "medallion":
    silver = spark.readStream.format("delta").load(f"{target}/bronze").where("user_id IS NOT NULL AND event_type IS NOT NULL")
    stream(silver.withColumn("country", F.upper("country")), "silver")
    gold = spark.read.format("delta").load(f"{target}/silver").groupBy(F.date_trunc("hour", "event_time").alias("hour"), "country")
    gold = gold.agg(
        F.count("*").alias("events"), F.countDistinct("user_id").alias("users"), F.sum("revenue_eur").alias("revenue_eur")
    )
    gold.write.format("delta").mode("overwrite").save(f"{target}/gold")
spark.stop()
