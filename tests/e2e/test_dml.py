"""DELETE, UPDATE and MERGE on Delta tables, as delta-rs and the lint see what they left."""
import json

import pytest


@pytest.fixture
def sql(freshet, warehouse):
    def run(statements, *flags, check=0):
        return freshet("sql", "--warehouse", warehouse, *flags, "-c", statements, check=check)

    return run


@pytest.fixture
def rows(sql):
    def run(statements):
        return [json.loads(line) for line in sql(statements, "--format", "jsonl").out.splitlines()]

    return run


@pytest.fixture(params=[True, False], ids=["vectors", "rewrite"])
def vectors(request):
    return f"TBLPROPERTIES ('delta.enableDeletionVectors' = '{str(request.param).lower()}')"


def commits(warehouse, table="default/t"):
    for path in sorted((warehouse / table / "_delta_log").glob("*.json")):
        yield [json.loads(line) for line in path.read_text().splitlines()]


def last_info(warehouse):
    return next(a["commitInfo"] for a in list(commits(warehouse))[-1] if "commitInfo" in a)


def test_delete(sql, rows, warehouse, vectors):
    sql(f"CREATE TABLE t (id BIGINT, p INT) PARTITIONED BY (p) {vectors}")
    sql("INSERT INTO t SELECT i, i % 3 FROM range(30) r(i)")
    assert rows("DELETE FROM t AS x WHERE x.id % 10 = 3") == [{"num_affected_rows": 3}]
    assert rows("SELECT count(*) AS n, sum(id) AS s FROM t") == [{"n": 27, "s": 435 - 3 - 13 - 23}]
    info = last_info(warehouse)
    assert info["operation"] == "DELETE" and info["operationMetrics"]["numDeletedRows"] == "3"
    # whole partitions go without a look into a file
    assert rows("DELETE FROM t WHERE p = 1") == [{"num_affected_rows": 9}]
    assert not any("add" in a for a in list(commits(warehouse))[-1])
    # nothing matches: no version
    before = len(list(commits(warehouse)))
    assert rows("DELETE FROM t WHERE id = -1") == [{"num_affected_rows": 0}]
    assert len(list(commits(warehouse))) == before
    assert rows("DELETE FROM t WHERE id IN (SELECT max(id) FROM t)") == [{"num_affected_rows": 1}]
    assert rows("DELETE FROM t") == [{"num_affected_rows": 17}]
    assert rows("SELECT count(*) AS n FROM t") == [{"n": 0}]


def test_update(sql, rows, warehouse, vectors):
    sql(f"CREATE TABLE t (id BIGINT NOT NULL, v STRING, d DECIMAL(10,2)) {vectors}")
    sql("INSERT INTO t SELECT i, 'v' || i, i * 1.5 FROM range(10) r(i)")
    assert rows("UPDATE t SET v = upper(v), d = id, id = id + 100 WHERE id >= 8") == [{"num_affected_rows": 2}]
    assert rows("SELECT * FROM t WHERE id > 50 ORDER BY id") == [{"id": 108, "v": "V8", "d": 8.00}, {"id": 109, "v": "V9", "d": 9.00}]
    assert rows("UPDATE t SET t.v = DEFAULT WHERE id = 0") == [{"num_affected_rows": 1}]
    assert rows("SELECT v FROM t WHERE id = 0") == [{"v": None}]
    failed = sql("UPDATE t SET id = NULL WHERE id = 1", check=1)
    assert "NOT NULL" in failed.err
    failed = sql("UPDATE t SET vv = 1", check=1)
    assert 'no column "vv"' in failed.err
    failed = sql("UPDATE t SET v = nmae WHERE id = 1", check=1)
    assert "nmae" in failed.err and "^^^^" in failed.err
    assert rows("SELECT count(*) AS n FROM t WHERE id = 1") == [{"n": 1}]


def test_merge(sql, rows, warehouse, vectors):
    sql(f"CREATE TABLE t (id BIGINT, v STRING, n INT) {vectors}")
    sql("INSERT INTO t SELECT i, 'old', 0 FROM range(10) r(i)")
    sql("CREATE TABLE s (id BIGINT, v STRING, n INT)")
    sql("INSERT INTO s VALUES (1, 'new', 1), (2, 'gone', -1), (20, 'new', 1), (21, 'skip', 1), (NULL, 'null', 1)")
    done = rows("""
        MERGE INTO t USING s ON t.id = s.id
        WHEN MATCHED AND s.n < 0 THEN DELETE
        WHEN MATCHED THEN UPDATE SET v = s.v, n = CASE WHEN t.n = 0 THEN s.n ELSE t.n END
        WHEN NOT MATCHED AND s.v <> 'skip' THEN INSERT (id, v) VALUES (s.id, s.v)
        WHEN NOT MATCHED BY SOURCE AND t.id >= 8 THEN DELETE
        WHEN NOT MATCHED BY SOURCE AND t.id = 7 THEN UPDATE SET v = 'orphan'""")
    assert done == [{"num_affected_rows": 7, "num_updated_rows": 2, "num_deleted_rows": 3, "num_inserted_rows": 2}]
    assert rows("SELECT * FROM t WHERE v <> 'old' ORDER BY id") == [
        {"id": 1, "v": "new", "n": 1}, {"id": 7, "v": "orphan", "n": 0}, {"id": 20, "v": "new", "n": None}, {"id": None, "v": "null", "n": None}]
    metrics = last_info(warehouse)["operationMetrics"]
    assert metrics["numSourceRows"] == "5" and metrics["numTargetRowsInserted"] == "2" and metrics["numTargetRowsDeleted"] == "3"


def test_merge_star_and_several_matches(sql, rows, vectors):
    sql(f"CREATE TABLE t (id BIGINT, v STRING) {vectors}")
    sql("MERGE INTO t USING (SELECT 1 AS id, 'a' AS v) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *")
    sql("MERGE INTO t USING (SELECT 1 AS id, 'b' AS v) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *")
    assert rows("SELECT * FROM t") == [{"id": 1, "v": "b"}]
    twice = "(VALUES (1, 'x'), (1, 'y')) AS s(id, v)"
    failed = sql(f"MERGE INTO t USING {twice} ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = s.v", check=1)
    assert "DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE" in failed.err
    # only one of the two is taken
    sql(f"MERGE INTO t USING {twice} ON t.id = s.id WHEN MATCHED AND s.v = 'y' THEN UPDATE SET v = s.v")
    assert rows("SELECT * FROM t") == [{"id": 1, "v": "y"}]
    assert rows(f"MERGE INTO t USING {twice} ON t.id = s.id WHEN MATCHED THEN DELETE")[0]["num_deleted_rows"] == 1


@pytest.mark.parametrize("feed", ["true", "false"])
def test_replace_where(sql, rows, feed, vectors):
    properties = vectors[:-1] + f", 'delta.enableChangeDataFeed' = '{feed}')"
    sql(f"CREATE TABLE t (id BIGINT, p INT) PARTITIONED BY (p) {properties}")
    sql("INSERT INTO t SELECT i, i % 3 FROM range(30) r(i)")
    sql("INSERT INTO t REPLACE WHERE p = 1 SELECT 100, 1")
    assert rows("SELECT count(*) AS n, max(id) AS m FROM t") == [{"n": 21, "m": 100}]
    assert "DELTA_REPLACE_WHERE_MISMATCH" in sql("INSERT INTO t REPLACE WHERE p = 1 SELECT 7, 2", check=1).err
    sql("INSERT INTO t REPLACE WHERE id < 10 AND p <> 1 VALUES (0, 0), (2, 2)")
    assert rows("SELECT id FROM t WHERE id < 10 ORDER BY id") == [{"id": 0}, {"id": 2}]
    if feed == "true":
        assert rows("SELECT _commit_version AS v, _change_type AS c, count(*) AS n FROM table_changes('t', 2) GROUP BY ALL ORDER BY ALL") == [
            {"v": 2, "c": "delete", "n": 10}, {"v": 2, "c": "insert", "n": 1}, {"v": 3, "c": "delete", "n": 7}, {"v": 3, "c": "insert", "n": 2}]


def test_overwrite_of_partitions(sql, rows):
    sql("CREATE TABLE t (id BIGINT, p STRING) PARTITIONED BY (p)")
    sql("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, NULL)")
    sql("INSERT OVERWRITE t WITH (partitionOverwriteMode = 'dynamic') VALUES (10, 'b'), (11, NULL), (12, 'c')")
    assert rows("SELECT * FROM t ORDER BY id") == [{"id": 1, "p": "a"}, {"id": 10, "p": "b"}, {"id": 11, "p": None}, {"id": 12, "p": "c"}]
    assert rows("DESCRIBE HISTORY t LIMIT 1")[0]["operationParameters"]["mode"] == "Overwrite"
    sql("CREATE TABLE u (id BIGINT)")
    assert "needs a partitioned table" in sql("INSERT OVERWRITE u WITH (partitionOverwriteMode = 'dynamic') VALUES (1)", check=1).err


def test_what_may_not_change(sql):
    sql("CREATE TABLE t (id BIGINT) TBLPROPERTIES ('delta.appendOnly' = 'true')")
    sql("INSERT INTO t VALUES (1)")
    assert "DELTA_CANNOT_MODIFY_APPEND_ONLY" in sql("DELETE FROM t", check=1).err
    assert "DELTA_CANNOT_MODIFY_APPEND_ONLY" in sql("UPDATE t SET id = 2", check=1).err


@pytest.mark.parametrize("statement, says", [
    ("DELETE t", "FROM"),
    ("DELETE FROM t WHERE", "condition"),
    ("UPDATE t v = 1", "SET"),
    ("UPDATE t SET a.b.c = 1", "field inside a column"),
    ("MERGE INTO t USING s ON t.id = s.id", "WHEN"),
    ("MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED THEN UPDATE SET id = 1", "INSERT"),
    ("MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (1, 2)", "values"),
])
def test_syntax(sql, statement, says):
    sql("CREATE TABLE t (id BIGINT); CREATE TABLE s (id BIGINT)")
    failed = sql(statement, check=1)
    assert says in failed.err and "^" in failed.err
