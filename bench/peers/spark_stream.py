"""Spark Structured Streaming with Delta on local[2], set up for a small machine: 2 shuffle partitions instead of 200, 2 partitions
for Delta's snapshots instead of 50, no web page. With its defaults it is slower.

    spark_stream.py WORKLOAD IN OUT        SPARK_JARS: the Delta jars, comma-separated
"""
import os
import sys
import tempfile

from pyspark.sql import SparkSession, functions as F

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from workloads import COLUMNS, FILES_PER_BATCH  # noqa: E402

workload, source, target = sys.argv[1:4]
scratch = tempfile.mkdtemp(prefix="spark-", dir=os.path.dirname(target))
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
