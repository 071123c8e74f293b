"""What the contestants are asked to do, in the words of each.

    ingest      JSON lines -> one Delta table: heartbeats left out, two columns derived
    medallion   the same as bronze, silver from it (usable rows, upper-case country), gold from that (per hour and country)
    tiny        ingest of one file with ten lines: what starting and stopping cost
    latency     one file with one line every 200 ms into a running ingest: from its rename until its commit is there
    idle        the same process afterwards, with nothing to do

Everybody reads 16 files a batch, so that everybody makes the same number of commits.
"""
FILES_PER_BATCH = 16

# name, DuckDB and freshet, Spark
COLUMNS = [
    ("event_id", "VARCHAR", "STRING"),
    ("event_time", "TIMESTAMPTZ", "TIMESTAMP"),
    ("event_type", "VARCHAR", "STRING"),
    ("user_id", "INTEGER", "INT"),
    ("product_id", "INTEGER", "INT"),
    ("revenue", "DOUBLE", "DOUBLE"),
    ("country", "VARCHAR", "STRING"),
    ("page", "VARCHAR", "STRING"),
    ("session_id", "VARCHAR", "STRING"),
    ("device", "STRUCT(kind VARCHAR, os VARCHAR)", "STRUCT<kind: STRING, os: STRING>"),
]

BRONZE = """SELECT *, event_time::DATE AS event_date, revenue * 0.92 AS revenue_eur
FROM {source} WHERE event_type IS DISTINCT FROM 'heartbeat'"""
SILVER = """SELECT * REPLACE (upper(country) AS country)
FROM {source} WHERE user_id IS NOT NULL AND event_type IS NOT NULL"""
GOLD = """SELECT date_trunc('hour', event_time) AS hour, country, count(*) AS events, count(DISTINCT user_id) AS users,
       sum(revenue_eur) AS revenue_eur
FROM {source} GROUP BY ALL"""


def freshet_source(folder):
    schema = ", ".join(f"{name} {kind}" for name, kind, _ in COLUMNS)
    return f"STREAM read_files('{folder}', format => 'json', schema => '{schema}', maxFilesPerTrigger => {FILES_PER_BATCH})"


def freshet_pipeline(workload, folder):
    statements = [f"CREATE STREAMING TABLE bronze AS {BRONZE.format(source=freshet_source(folder))};"]
    if workload == "medallion":
        statements.append(f"CREATE STREAMING TABLE silver AS {SILVER.format(source='STREAM bronze')};")
        statements.append(f"CREATE MATERIALIZED VIEW gold AS {GOLD.format(source='silver')};")
    return "\n".join(statements) + "\n"


# ---- single statements on large tables (tables.py) -------------------------------------------------------------------


class TableWorkload:
    """`table`: the kind it is about (make_tables.py). `sql`: in words that freshet and Spark share."""

    def __init__(self, title, table, sql, changes=False):
        self.title, self.table, self.sql, self.changes = title, table, sql, changes


TABLE_WORKLOADS = {
    "open20k": TableWorkload("the first row of a table with {size} commits", "log", "SELECT * FROM {table} LIMIT 1"),
    "open1m": TableWorkload("rows of a table with {size} files, and one of them by its id", "wide",
                            "SELECT count(*) AS n FROM {table}; SELECT id FROM {table} WHERE id = {id}"),
    "scan10m": TableWorkload("two of five columns of {size} rows", "users", "SELECT plan, CAST(sum(seq) AS BIGINT) AS s FROM {table} GROUP BY plan"),
    "lookup": TableWorkload("one row of {size} by its key", "users", "SELECT user_id, seq, plan FROM {table} WHERE user_id = {key}"),
    "delete1pct": TableWorkload("every hundredth row of {size} is deleted", "users", "DELETE FROM {table} WHERE user_id % 100 = 7", changes=True),
    "merge50k": TableWorkload("50,000 rows are merged into {size}, half of them new", "users",
                              "MERGE INTO {table} AS t USING {rows} AS s ON t.user_id = s.user_id "
                              "WHEN MATCHED THEN UPDATE SET seq = s.seq, name = s.name, email = s.email, plan = s.plan "
                              "WHEN NOT MATCHED THEN INSERT (user_id, seq, name, email, plan) VALUES (s.user_id, s.seq, s.name, s.email, s.plan)",
                              changes=True),
    "changefeed": TableWorkload("the changes of ten updates of a table of {size} rows", "feed",
                                "SELECT _change_type, count(*) AS n, CAST(sum(seq) AS BIGINT) AS s FROM {feed} GROUP BY _change_type"),
}
