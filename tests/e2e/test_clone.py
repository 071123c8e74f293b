"""CREATE TABLE ... CLONE."""
import json
import shutil

import pytest


@pytest.fixture
def source(sql):
    sql("CREATE TABLE src (id INT, p STRING, v STRING) PARTITIONED BY (p) COMMENT 'the source' "
        "TBLPROPERTIES ('delta.enableDeletionVectors' = 'true', 'delta.columnMapping.mode' = 'name', team = 'x')")
    sql("INSERT INTO src SELECT i, 'a b/' || i % 3, 'v' || i FROM range(30) r(i); DELETE FROM src WHERE id < 4")


EXPECTED = [{"n": 26, "s": 429}]
TOTAL = "SELECT count(*) AS n, sum(id)::INT AS s FROM {}"


@pytest.mark.parametrize("kind", ["SHALLOW", "DEEP"])
def test_clone(source, sql, rows, warehouse, kind):
    done = rows(f"CREATE TABLE c {kind} CLONE src TBLPROPERTIES ('team' = 'y')")[0]
    assert (done["source_num_of_files"], done["num_removed_files"], done["num_copied_files"]) == (3, 0, 3 if kind == "DEEP" else 0)
    assert rows(TOTAL.format("c")) == EXPECTED
    properties = {r["key"]: r["value"] for r in rows("SHOW TBLPROPERTIES c")}
    assert properties["team"] == "y" and properties["delta.columnMapping.mode"] == "name"
    entry = rows("DESCRIBE HISTORY c")[0]
    assert entry["operation"] == "CLONE"
    assert entry["operationParameters"] == {"source": "default.src", "sourceVersion": 2}
    assert entry["operationMetrics"]["sourceNumOfFiles"] == "3"
    assert rows("DESCRIBE DETAIL c")[0]["id"] != rows("DESCRIBE DETAIL src")[0]["id"]
    parquet = list((warehouse / "default/c").rglob("*.parquet"))
    assert len(parquet) == (3 if kind == "DEEP" else 0)
    # each goes its own way
    sql("UPDATE c SET v = 'mine' WHERE id = 10; DELETE FROM c WHERE id = 11; INSERT INTO src VALUES (1000, 'z', 'n'); ALTER TABLE c RENAME COLUMN v TO w")
    assert rows(TOTAL.format("c")) == [{"n": 25, "s": 418}]
    assert rows("SELECT w FROM c WHERE id = 10") == [{"w": "mine"}]
    assert rows("SELECT v FROM src WHERE id = 10") == [{"v": "v10"}]
    assert rows(TOTAL.format("src")) == [{"n": 27, "s": 1429}]
    if kind == "DEEP":
        shutil.rmtree(warehouse / "default/src")
        assert rows(TOTAL.format("c")) == [{"n": 25, "s": 418}]


@pytest.mark.parametrize("kind", ["SHALLOW", "DEEP"])
def test_clone_again(source, sql, rows, kind):
    sql(f"CREATE TABLE c {kind} CLONE src; INSERT INTO c VALUES (5000, 'q', 'gone'); INSERT INTO src VALUES (1000, 'z', 'n'); DELETE FROM src WHERE id = 20")
    assert "DELTA_TABLE_ALREADY_EXISTS" in sql(f"CREATE TABLE c {kind} CLONE src", check=1).err
    assert rows(f"CREATE TABLE IF NOT EXISTS c {kind} CLONE src") == []
    done = rows(f"CREATE OR REPLACE TABLE c {kind} CLONE src")[0]
    assert (done["num_copied_files"], done["num_removed_files"]) == (1 if kind == "DEEP" else 0, 2)
    assert rows(TOTAL.format("c")) == rows(TOTAL.format("src")) == [{"n": 26, "s": 1409}]
    done = rows(f"CREATE OR REPLACE TABLE c {kind} CLONE src")[0]
    assert (done["num_copied_files"], done["num_removed_files"]) == (0, 0)
    assert rows(TOTAL.format("c VERSION AS OF 1")) == [{"n": 27, "s": 5429}]


def test_clone_of_a_version(source, sql, rows, warehouse):
    assert rows("CREATE TABLE v1 CLONE src VERSION AS OF 1")[0]["num_copied_files"] == 3
    assert rows(TOTAL.format("v1")) == [{"n": 30, "s": 435}]
    at = rows("DESCRIBE HISTORY src")[1]["timestamp"]
    sql(f"CREATE TABLE t1 SHALLOW CLONE src TIMESTAMP AS OF '{at}' LOCATION '{warehouse / 'elsewhere'}'")
    assert rows(TOTAL.format("t1")) == [{"n": 30, "s": 435}] and (warehouse / "elsewhere/_delta_log").exists()
    sql("CREATE TABLE deep DEEP CLONE t1")  # the files of a shallow one
    assert rows(TOTAL.format("deep")) == [{"n": 30, "s": 435}]
    sql("CREATE TABLE gone SHALLOW CLONE src; CREATE TABLE deeper DEEP CLONE gone")  # vectors with absolute places
    assert rows(TOTAL.format("deeper")) == EXPECTED
    assert "itself" in sql("CREATE OR REPLACE TABLE src DEEP CLONE src VERSION AS OF 1", check=1).err
    assert "FR-" in sql("CREATE TABLE u DEEP CLONE nothing", check=1).err
    assert "expected" in sql("CREATE TABLE u DEEP CLONE src AS OF 1", check=1).err


def test_a_log_names_no_other_files(source, sql, rows, warehouse):
    """Absolute paths are for clones: into Delta tables, without dot segments."""
    secret = warehouse / "secret.parquet"
    sql(f"COPY (SELECT 1 AS id) TO '{secret}'; CREATE TABLE c (id INT); INSERT INTO c VALUES (1)")
    log = warehouse / "default/c/_delta_log"
    add = next(json.loads(line) for line in (log / f"{1:020d}.json").read_text().splitlines() if line.startswith('{"add"'))
    for path in (f"file:{secret}", f"file:{warehouse}/default/src/../../secret.parquet", "file:/etc/passwd"):
        add["add"]["path"] = path
        (log / f"{2:020d}.json").write_text(json.dumps(add) + "\n")
        assert "not in the table's folder" in sql("SELECT * FROM c", check=1).err, path
        (log / f"{2:020d}.json").unlink()
    assert rows("SELECT * FROM c") == [{"id": 1}]


def test_tables_outside_of_the_warehouse(freshet, source, sql, rows, warehouse, tmp_path):
    """Their files may be named where the user has listed a folder above, and not beside it."""
    lake, other = tmp_path / "lake", tmp_path / "other"
    sql(f"CREATE TABLE far CLONE src LOCATION '{lake}/far'")
    refused = sql("CREATE TABLE c SHALLOW CLONE far", check=1).err
    assert "FR-DELTA-016" in refused and "freshet.allowedPaths" in refused and "DEEP CLONE" in refused
    sql(f"SET freshet.allowedPaths = '{other}, file://{lake}/'; CREATE TABLE c SHALLOW CLONE far; INSERT INTO c VALUES (7, 'x', 'y')")
    assert "freshet.allowedPaths" in sql("SELECT count(*), sum(id) FROM c", check=1).err
    for list, code in ((f"{lake}", 0), ("/", 0), (f"{lake}/fa", 1), (f"{lake}/far-evil", 1), ("", 1)):
        done = freshet("sql", "--warehouse", warehouse, "--format", "jsonl", "-c", TOTAL.format("c"), env={"FRESHET_ALLOWED_PATHS": list}, check=code)
        assert code == 1 or json.loads(done.out) == {"n": 27, "s": 436}
    file = tmp_path / "pipeline.sql"
    for setting, code in ((f"SET freshet.allowedPaths = '{lake}';", 0), ("", 1)):
        file.write_text(f"{setting} CREATE MATERIALIZED VIEW total{code} AS SELECT sum(id)::INT AS s FROM c;")
        freshet("run", file, "--warehouse", warehouse, "--available-now", "--progress", "none", check=code)
    assert rows("SELECT s FROM total0") == [{"s": 436}]
    assert "memory://x" in sql("SET freshet.allowedPaths = 'memory://x'", check=1).err


def test_change_feed_of_a_clone(sql, rows):
    sql("CREATE TABLE src (id INT) TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true'); INSERT INTO src VALUES (1), (2)")
    sql("CREATE TABLE c SHALLOW CLONE src; DELETE FROM c WHERE id = 2")
    assert rows("SELECT id, _change_type AS t FROM table_changes('c', 0) ORDER BY _commit_version, id") == [
        {"id": 1, "t": "insert"}, {"id": 2, "t": "insert"}, {"id": 2, "t": "delete"}]


@pytest.mark.parametrize("kind", ["SHALLOW", "DEEP"])
def test_clone__spark(source, sql, rows, spark, warehouse, kind):
    sql(f"CREATE TABLE c {kind} CLONE src")
    path = warehouse / "default/c"
    assert [tuple(r) for r in spark.sql(f"SELECT count(*), sum(id) FROM delta.`{path}`").collect()] == [(26, 429)]
    spark.sql(f"DELETE FROM delta.`{path}` WHERE id = 20")
    assert rows(TOTAL.format("c")) == [{"n": 25, "s": 409}]


def test_spark_clones(source, rows, spark, warehouse):
    path, ours = warehouse / "theirs", warehouse / "default/src"
    spark.sql(f"CREATE TABLE delta.`{path}` SHALLOW CLONE delta.`{ours}`")
    assert rows(TOTAL.format(f"delta.`{path}`")) == EXPECTED


def test_what_a_killed_clone_leaves(source, sql, rows, freshet, warehouse):
    """A half-copied file has no name that VACUUM would pass over, and the next attempt gets through."""
    done = freshet("sql", "--warehouse", warehouse, "-c", "CREATE TABLE c DEEP CLONE src", env={"FRESHET_FAILPOINT": "table.clone.after_copy=crash@1"})
    assert done.code != 0
    left = [p.name for p in (warehouse / "default/c").rglob("*") if p.is_file()]
    assert left and not any(name.startswith((".", "_")) or name.endswith(".parquet") for name in left)
    sql("CREATE TABLE c DEEP CLONE src")
    assert rows(TOTAL.format("c")) == EXPECTED


def test_clone_that_is_mapped(sql, rows):
    """Files keep their columns' names, so the clone has to know these; ids they have none."""
    sql("CREATE TABLE t (a INT, p INT) PARTITIONED BY (p); INSERT INTO t VALUES (1, 2)")
    sql("CREATE TABLE u DEEP CLONE t TBLPROPERTIES ('delta.columnMapping.mode' = 'name'); INSERT INTO u VALUES (3, 4)")
    assert rows("SELECT * FROM u ORDER BY a") == [{"a": 1, "p": 2}, {"a": 3, "p": 4}]
    assert "cannot change from 'none' to 'id'" in sql("CREATE TABLE v DEEP CLONE t TBLPROPERTIES ('delta.columnMapping.mode' = 'id')", check=1).err
