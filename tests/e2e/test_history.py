"""What a commit says of itself: the same statements by freshet and by Spark, and their commitInfo side by side.

Compared are operation, operationParameters, the names of operationMetrics and the values of those that count rows and files, userMetadata and
isBlindAppend. Left out are times, bytes, and how Spark prints the conditions it has resolved.
"""
import json
import re

import pytest

SETTING = "SET spark.databricks.delta.commitInfo.userMetadata = {}"

# one list per table; {t} is the table, {u} another place
PLAIN = ["CREATE TABLE {t} (id BIGINT, p STRING, n INT) USING DELTA PARTITIONED BY (p) COMMENT 'mine' TBLPROPERTIES (team = 'x')",
         "INSERT INTO {t} SELECT /*+ COALESCE(1) */ * FROM (VALUES (CAST(1 AS BIGINT), 'a', 1), (2, 'a', 2), (3, 'b', 3)) AS v(id, p, n)",
         SETTING.format("why"),
         "UPDATE {t} SET n = n + 1 WHERE id = 1",
         "UPDATE {t} SET n = n + 1",
         "DELETE FROM {t} WHERE id = 2",
         "INSERT OVERWRITE {t} SELECT /*+ COALESCE(1) */ * FROM (VALUES (CAST(7 AS BIGINT), 'a', 7), (8, 'b', 8)) AS v(id, p, n)",
         "MERGE INTO {t} AS t USING (SELECT CAST(7 AS BIGINT) AS id, 'a' AS p, 70 AS n UNION ALL SELECT 9, 'c', 9) AS s ON t.id = s.id "
         "WHEN MATCHED THEN UPDATE SET n = s.n WHEN NOT MATCHED THEN INSERT (id, p, n) VALUES (s.id, s.p, s.n)",
         "DELETE FROM {t} WHERE p = 'c'",
         "ALTER TABLE {t} SET TBLPROPERTIES (a = 'b', c = 'd')",
         "ALTER TABLE {t} UNSET TBLPROPERTIES (a)",
         "ALTER TABLE {t} UNSET TBLPROPERTIES IF EXISTS (c, team)",
         "ALTER TABLE {t} ADD CONSTRAINT positive CHECK (n > 0)",
         "ALTER TABLE {t} DROP CONSTRAINT positive",
         "ALTER TABLE {t} ADD COLUMNS (x INT COMMENT 'new' AFTER id, y STRING)",
         "ALTER TABLE {t} ALTER COLUMN y COMMENT 'text'",
         "ALTER TABLE {t} ALTER COLUMN y FIRST",
         "ALTER TABLE {t} CHANGE COLUMN x x INT COMMENT 'other' AFTER n",
         "RESTORE TABLE {t} TO VERSION AS OF 1",
         "DELETE FROM {t}",
         "REPLACE TABLE {t} (a INT) USING DELTA",
         "CREATE OR REPLACE TABLE {t} USING DELTA AS SELECT 1 AS a"]
VECTORS = ["CREATE TABLE {t} (id BIGINT, a INT, b INT) USING DELTA CLUSTER BY (id) TBLPROPERTIES ('delta.columnMapping.mode' = 'name', "
           "'delta.enableDeletionVectors' = 'true', 'delta.enableTypeWidening' = 'true', 'delta.feature.allowColumnDefaults' = 'supported')",
           SETTING.format("two words"),
           "INSERT INTO {t} SELECT /*+ COALESCE(1) */ id, CAST(id AS INT) AS a, 1 AS b FROM {range}",
           "UPDATE {t} SET a = 100 WHERE id = 1",
           "DELETE FROM {t} WHERE id = 2",
           "DELETE FROM {t} WHERE id = 3",
           "MERGE INTO {t} AS t USING (SELECT CAST(4 AS BIGINT) AS id, 1 AS a, 1 AS b UNION ALL SELECT 50, 1, 1) AS s ON t.id = s.id "
           "WHEN MATCHED AND s.a > 5 THEN DELETE WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT * "
           "WHEN NOT MATCHED BY SOURCE AND t.id = 5 THEN DELETE",
           "ALTER TABLE {t} ALTER COLUMN a TYPE BIGINT",
           "ALTER TABLE {t} ALTER COLUMN b SET DEFAULT 5",
           "ALTER TABLE {t} RENAME COLUMN b TO c",
           "ALTER TABLE {t} DROP COLUMNS (c)",
           "ALTER TABLE {t} CLUSTER BY (a)",
           "ALTER TABLE {t} CLUSTER BY NONE",
           "ALTER TABLE {t} ADD CONSTRAINT positive CHECK (id >= 0)",
           "ALTER TABLE {t} DROP CONSTRAINT IF EXISTS positive",
           "ALTER TABLE {t} DROP FEATURE checkConstraints",
           "CREATE TABLE {u} SHALLOW CLONE {t}"]
QUERY = ["CREATE TABLE {t} USING DELTA PARTITIONED BY (p) TBLPROPERTIES (team = 'x') AS SELECT 1 AS a, 'x' AS p UNION ALL SELECT 2, 'y'",
         "INSERT INTO {t} REPLACE WHERE p = 'x' SELECT 5 AS a, 'x' AS p",
         "ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')",
         "UPDATE {t} SET a = 6 WHERE a = 5",
         "ALTER TABLE {t} REPLACE COLUMNS (p STRING COMMENT 'part', a INT, z DOUBLE)",
         "CREATE TABLE {u} LIKE {t} USING DELTA",
         "CONVERT TO DELTA parquet.`{p}`"]
CASES = {"plain": PLAIN, "vectors": VECTORS, "query": QUERY}

NOBODY_READS = {"DROP FEATURE", "CONVERT", "CLONE"}  # in whose commits isBlindAppend is a matter of taste
TIMES = re.compile(r"TimeMs$")
BYTES = re.compile(r"Bytes|Size$|^tableSize")


def spark_words(statement):
    return statement.replace("{range}", "range(10)")


def our_words(statement):
    return statement.replace("{range}", "range(10) r(id)")


def commits(folder):
    found = []
    for file in sorted((folder / "_delta_log").glob("*.json")):
        info = next(json.loads(line)["commitInfo"] for line in file.read_text().splitlines() if '"commitInfo"' in line)
        found.append({"operation": info["operation"], "parameters": info["operationParameters"], "metrics": info.get("operationMetrics", {}),
                      "userMetadata": info.get("userMetadata"), "isBlindAppend": info.get("isBlindAppend") and info["operation"] not in NOBODY_READS})
    return found


def condition(text):
    """a#12 = 'x' and t.a = x in the same words"""
    return re.sub(r"#\d+L?|\b[ts]\.|[()']", "", text)


def same(info, folder):
    """What is compared: places and stored names are everybody's own."""
    info = json.loads(re.sub(r"col-[0-9a-f-]{36}", "col", json.dumps(info).replace(str(folder), "").replace("file:", "")))
    info["metrics"] = {k: None if BYTES.search(k) else v for k, v in info["metrics"].items() if not TIMES.search(k)}
    for key, value in info["parameters"].items():
        if "redicate" in key:
            info["parameters"][key] = condition(value)
        elif key == "properties" and value.startswith("{"):
            info["parameters"][key] = json.loads(value)
    return info


@pytest.mark.parametrize("case", CASES)
def test_history_next_to_spark(freshet, warehouse, spark, case):
    ours, theirs = warehouse / "ours", warehouse / "theirs"
    statements = CASES[case]
    for folder in (ours, theirs):
        (folder / "p").mkdir(parents=True)
        freshet("sql", "-c", f"COPY (SELECT 1 AS a, 'x' AS b) TO '{folder}/p/x.parquet'", check=0)

    def placed(statement, folder):
        return statement.replace("{t}", f"delta.`{folder / 't'}`").replace("{u}", f"delta.`{folder / 'u'}`").replace("{p}", str(folder / "p"))

    freshet("sql", "-c", "; ".join(placed(our_words(s), ours) for s in statements), env={"FRESHET_ALLOWED_PATHS": warehouse}, check=0)
    try:
        for statement in statements:
            spark.sql(placed(spark_words(statement), theirs))
    finally:
        spark.conf.unset("spark.databricks.delta.commitInfo.userMetadata")
    for name in ("t", "u", "p"):
        if (theirs / name / "_delta_log").exists():
            got, want = ([same(info, folder) for info in commits(folder / name)] for folder in (ours, theirs))
            assert [c["operation"] for c in got] == [c["operation"] for c in want]
            different = [f"{i} {w['operation']} {key}\n   freshet {g[key]}\n   Spark   {w[key]}"
                         for i, (g, w) in enumerate(zip(got, want)) for key in w if g[key] != w[key]]
            assert not different, "\n".join(different)
