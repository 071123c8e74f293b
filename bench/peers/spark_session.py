"""Spark with Delta on local[2], set up for a small machine: 2 shuffle partitions instead of 200, 2 partitions for Delta's snapshots
instead of 50, no web page. With its defaults it is slower. SPARK_JARS: the Delta jars, comma-separated.
"""
import atexit
import os
import shutil
import tempfile

from pyspark.sql import SparkSession


def spark_session(near, options=()):
    """A session whose scratch folder lies beside `near` until the process ends; `options`: more settings."""
    scratch = tempfile.mkdtemp(prefix="spark-", dir=os.path.dirname(near))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    settings = {
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
        **dict(options),
    }
    builder = SparkSession.builder.master("local[2]").appName("bench")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark
