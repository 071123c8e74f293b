"""The log as we leave it, judged by others: checksums, checkpoints of every kind, compactions."""
import json

import pytest


def sql(freshet, warehouse, *statements):
    return freshet("sql", "--warehouse", warehouse, "--format", "jsonl", "-c", "; ".join(statements), check=0).out


def log_of(warehouse):
    return warehouse / "default/t/_delta_log"


def checksum(warehouse, version):
    return json.loads((log_of(warehouse) / f"{version:020}.crc").read_text())


def inserts(first, last):
    return [f"INSERT INTO t VALUES ({i}, 'x{i}')" for i in range(first, last + 1)]


def spark_agrees(spark, path):
    """Spark's own replay of the log against the checksum of its newest version: it throws what differs."""
    log = spark._jvm.org.apache.spark.sql.delta.DeltaLog
    log.clearCache()
    snapshot = log.forTable(spark._jsparkSession, str(path)).update(False, spark._jvm.scala.Option.empty(), spark._jvm.scala.Option.empty())
    assert snapshot.checksumOpt().isDefined()
    return snapshot.validateChecksum(spark._jvm.scala.collection.immutable.HashMap())


KINDS = {
    "classic": ("'delta.checkpointInterval' = '5'", ["checkpoint.parquet"], []),
    "struct": ("'delta.checkpointInterval' = '5', 'delta.checkpoint.writeStatsAsStruct' = 'true', "
               "'delta.checkpoint.writeStatsAsJson' = 'false'", ["checkpoint.parquet"], []),
    "parts": ("'delta.checkpointInterval' = '5', 'freshet.checkpoint.partSize' = '2'", [], ["checkpoint.0000000001."]),
    "v2": ("'delta.checkpointInterval' = '5', 'delta.checkpointPolicy' = 'v2'", [], ["checkpoint."]),
    "sidecars": ("'delta.checkpointInterval' = '5', 'delta.checkpointPolicy' = 'v2', 'freshet.checkpoint.partSize' = '2'", [],
                 ["checkpoint."]),
    "compacted": ("'delta.checkpointInterval' = '100', 'freshet.log.compactionInterval' = '3'", [], ["compacted.json"]),
    "vectors": ("'delta.checkpointInterval' = '5', 'delta.enableDeletionVectors' = 'true'", ["checkpoint.parquet"], []),
}


def make(freshet, warehouse, kind):
    """Twelve commits, deletes among them; gives the rows that are left."""
    properties, ends, parts = KINDS[kind]
    sql(freshet, warehouse, f"CREATE TABLE t (id INT, s STRING) TBLPROPERTIES ({properties})", *inserts(1, 4),
        "INSERT INTO t SELECT i, 'many' FROM range(100, 110) r(i)", "DELETE FROM t WHERE id IN (2, 103)", *inserts(5, 10))
    names = [path.name for path in log_of(warehouse).iterdir()]
    assert all(any(name.endswith(end) for name in names) for end in ends) and all(any(part in name for name in names) for part in parts)
    return sorted([i for i in range(1, 11) if i != 2] + [i for i in range(100, 110) if i != 103])


@pytest.mark.no_lint("the old end of the log is taken away without its checkpoints")
@pytest.mark.parametrize("kind", KINDS)
def test_checkpoints_of_every_kind(freshet, warehouse, read_delta, kind):
    ids = make(freshet, warehouse, kind)
    for commit in sorted(log_of(warehouse).glob("*.json"))[:3]:
        if kind not in ("compacted",) and commit.stem.isdigit():
            commit.unlink()  # the checkpoint alone has to do
    assert sorted(row[0] for row in read_delta(warehouse / "default/t", "id")) == ids
    rows = sql(freshet, warehouse, "SELECT id FROM t ORDER BY id")
    assert [json.loads(line)["id"] for line in rows.splitlines()] == ids


def test_checksums_are_those_of_the_log(freshet, warehouse):
    make(freshet, warehouse, "vectors")
    adds = {}
    for version in range(13):
        for line in (log_of(warehouse) / f"{version:020}.json").read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                adds[action["add"]["path"], str(action["add"].get("deletionVector"))] = action["add"]
            elif "remove" in action:
                del adds[action["remove"]["path"], str(action["remove"].get("deletionVector"))]
        found = checksum(warehouse, version)
        vectors = [add["deletionVector"]["cardinality"] for add in adds.values() if "deletionVector" in add]
        assert (found["numFiles"], found["tableSizeBytes"]) == (len(adds), sum(add["size"] for add in adds.values()))
        assert (found["numDeletionVectorsOpt"], found["numDeletedRecordsOpt"]) == (len(vectors), sum(vectors))


@pytest.mark.spark
@pytest.mark.parametrize("kind", ["struct", "parts", "sidecars", "vectors"])
def test_spark_takes_all_of_it(freshet, warehouse, spark, kind):
    ids = make(freshet, warehouse, kind)
    path = warehouse / "default/t"
    assert spark_agrees(spark, path)
    assert sorted(row.id for row in spark.read.format("delta").load(str(path)).collect()) == ids
    spark.sql(f"INSERT INTO delta.`{path}` VALUES (1000, 'spark')")
    spark.sql(f"DELETE FROM delta.`{path}` WHERE id = 4")
    sql(freshet, warehouse, *inserts(11, 11))  # on top of Spark's checksum
    newest = max(int(file.stem) for file in log_of(warehouse).glob("*.json") if file.stem.isdigit())
    assert checksum(warehouse, newest)["numFiles"] > 0
    assert spark_agrees(spark, path)
    assert sorted(row.id for row in spark.read.format("delta").load(str(path)).collect()) == sorted(set(ids) - {4} | {11, 1000})


@pytest.mark.parametrize("query, rows", [
    ("SELECT count(*) AS n FROM {t}", [{"n": 18}]),
    ("SELECT count(*) AS n, count(*) AS m FROM {t} AS x", [{"n": 18, "m": 18}]),
    ("SELECT count(*) AS n FROM {t} WHERE id < 5", [{"n": 3}]),
    ("SELECT count(id) AS n FROM {t}", [{"n": 18}]),
    ("SELECT count(*) AS n FROM {t} VERSION AS OF 3", [{"n": 3}]),
    ("SELECT count(*) AS n FROM (SELECT * FROM {t} LIMIT 7)", [{"n": 7}]),
    ("SELECT count(*) AS n FROM {t}, {t} AS u", [{"n": 324}]),
    ("SELECT count(*) FILTER (id > 100) AS n FROM {t}", [{"n": 8}]),
    ("SELECT sum(id) AS n FROM {t} LIMIT 1", [{"n": sum(i for i in range(1, 11) if i != 2) + sum(range(100, 110)) - 103}]),
])
def test_little_is_read_for_little(freshet, warehouse, query, rows):
    """Counts and first rows come from the statistics where they can; the answers are those of the rows."""
    make(freshet, warehouse, "vectors")
    for table in ("t", f"delta.`{warehouse}/default/t`"):
        assert [json.loads(line) for line in sql(freshet, warehouse, query.replace("{t}", table)).splitlines()] == rows


def test_rows_that_statistics_do_not_tell(freshet, warehouse):
    ids = make(freshet, warehouse, "vectors")
    log = log_of(warehouse)
    newest = max(int(file.stem) for file in log.glob("*.json"))
    add = next(json.loads(line)["add"] for line in (log / f"{newest:020}.json").read_text().splitlines() if '"add"' in line)
    del add["stats"]
    (log / f"{newest:020}.json").write_text(json.dumps({"commitInfo": {"operation": "WRITE"}}) + "\n" + json.dumps({"add": add}) + "\n")
    assert json.loads(sql(freshet, warehouse, "SELECT count(*) AS n FROM t")) == {"n": len(ids)}
    for limit in (1, len(ids) - 1, len(ids), 1000):
        found = [json.loads(line)["id"] for line in sql(freshet, warehouse, f"SELECT id FROM t LIMIT {limit}").splitlines()]
        assert len(set(found)) == min(limit, len(ids)) and set(found) <= set(ids)


def test_history_says_what_spark_says(freshet, warehouse):
    """Parameters and metrics of each kind of commit, with the keys of Spark's DESCRIBE HISTORY; times and sizes left out."""
    sql(freshet, warehouse, "CREATE TABLE t (id BIGINT, p INT) PARTITIONED BY (p) COMMENT 'mine' TBLPROPERTIES ('a' = 'b')",
        "INSERT INTO t WITH (userMetadata = 'why') VALUES (1, 1), (2, 1), (3, 2)", "UPDATE t SET id = 10 WHERE id = 1",
        "INSERT OVERWRITE t VALUES (7, 7)", "CREATE OR REPLACE TABLE t AS SELECT 1 AS a UNION ALL SELECT 2")
    history = [json.loads(line) for line in sql(freshet, warehouse, "DESCRIBE HISTORY t").splitlines()][::-1]
    found = [(row["operation"], row["operationParameters"], {key: value for key, value in row["operationMetrics"].items()
                                                             if not key.endswith(("Bytes", "Ms"))}) for row in history]
    assert found[0] == ("CREATE TABLE", {"partitionBy": '["p"]', "isManaged": "false", "clusterBy": "[]", "description": "mine",
                                         "properties": '{"a":"b"}'}, {})
    assert found[1] == ("WRITE", {"mode": "Append", "partitionBy": "[]"}, {"numFiles": "2", "numOutputRows": "3"})
    assert history[1]["userMetadata"] == "why" and int(history[1]["operationMetrics"]["numOutputBytes"]) > 0
    assert found[2][0] == "UPDATE" and found[2][2]["numUpdatedRows"] == "1"
    assert found[3] == ("WRITE", {"mode": "Overwrite", "partitionBy": "[]"},
                        {"numFiles": "1", "numOutputRows": "1", "numRemovedFiles": found[3][2]["numRemovedFiles"]})
    assert found[4][0] == "CREATE OR REPLACE TABLE AS SELECT" and found[4][2]["numOutputRows"] == "2"
