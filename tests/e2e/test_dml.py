"""DELETE, UPDATE and MERGE on Delta tables, as delta-rs and the lint see what they left."""
import json

import pyarrow.parquet as pq
import pytest


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


NULLS = """CREATE TABLE t (id BIGINT, ts TIMESTAMP, b BOOLEAN, l ARRAY<STRUCT<a: INT>>, s STRUCT<a: TIMESTAMP, b: STRING>,
  m MAP<STRING, DATE>)"""


def test_nulls_without_a_type(sql, rows, vectors):
    """DuckDB calls a bare NULL INTEGER, and [] a list of it: they fit every column all the same."""
    sql(f"{NULLS} {vectors}")
    sql("INSERT INTO t SELECT 1, NULL, NULL, [], {'a': NULL, 'b': 'x'}, MAP {}")
    sql("INSERT INTO t VALUES (2, NULL, NULL, NULL, NULL, NULL), (3, NULL, NULL, [], NULL, NULL)")
    sql("INSERT INTO t BY NAME SELECT 4 AS id, [NULL] AS l, NULL AS ts")
    sql("INSERT INTO t REPLACE WHERE id = 2 SELECT 2, NULL, NULL, [], NULL, MAP {'k': NULL}")
    shown = "SELECT id, l, s, m FROM t ORDER BY id"
    assert rows(shown) == [
        {"id": 1, "l": [], "s": {"a": None, "b": "x"}, "m": {}}, {"id": 2, "l": [], "s": None, "m": {"k": None}},
        {"id": 3, "l": [], "s": None, "m": None}, {"id": 4, "l": [None], "s": None, "m": None}]
    sql("UPDATE t SET l = NULL, s = {'b': 'y', 'a': NULL}, ts = CASE WHEN id = 1 THEN NULL END, m = MAP {} WHERE id = 1")
    sql("MERGE INTO t USING (SELECT 5 AS id, NULL AS ts, [] AS l) AS s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id, ts, l) VALUES (s.id, s.ts, s.l)")
    sql("MERGE INTO t USING (SELECT 6 AS id) AS s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id, l, s) VALUES (s.id, [], NULL) "
        "WHEN NOT MATCHED BY SOURCE AND t.id = 4 THEN UPDATE SET l = [], ts = NULL")
    sql("MERGE INTO t USING (SELECT 3 AS id, NULL AS ts, NULL AS b, [] AS l, NULL AS s, NULL AS m) AS s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *")
    assert rows(shown) == [
        {"id": 1, "l": None, "s": {"a": None, "b": "y"}, "m": {}}, {"id": 2, "l": [], "s": None, "m": {"k": None}},
        {"id": 3, "l": [], "s": None, "m": None}, {"id": 4, "l": [], "s": None, "m": None},
        {"id": 5, "l": [], "s": None, "m": None}, {"id": 6, "l": [], "s": None, "m": None}]
    failed = sql("INSERT INTO t SELECT 7, 3, NULL, [], NULL, NULL", check=1)
    assert "DELTA_FAILED_TO_MERGE_FIELDS" in failed.err and '"ts"' in failed.err


def test_nulls_without_a_type_in_a_stream(freshet, sql, rows, warehouse):
    sql(f"{NULLS}; CREATE TABLE s (id BIGINT); INSERT INTO s VALUES (1), (2)")
    pipeline = warehouse.parent / "p.sql"
    pipeline.write_text("CREATE STREAMING TABLE t; CREATE FLOW f AS INSERT INTO t BY NAME SELECT id, NULL AS ts, [] AS l FROM STREAM s;")
    freshet("run", pipeline, "--available-now", "--warehouse", warehouse, check=0)
    assert rows("SELECT id, ts, l FROM t ORDER BY id") == [{"id": 1, "ts": None, "l": []}, {"id": 2, "ts": None, "l": []}]


def test_fields_inside_columns(sql, rows, vectors):
    sql(f"CREATE TABLE t (id BIGINT, s STRUCT<a: INT, b: STRUCT<c: STRING, d: DATE>>) {vectors}")
    sql("INSERT INTO t VALUES (1, {'a': 1, 'b': {'c': 'x', 'd': DATE '2026-01-01'}}), (2, NULL), (3, {'a': 3, 'b': NULL})")
    sql("UPDATE t SET s.a = id + 10, s.b.c = upper(s.b.c) WHERE id = 1")
    sql("UPDATE t AS x SET x.s.b.d = NULL, x.id = 20 WHERE x.id = 2")
    sql("MERGE INTO t USING (SELECT 3 AS id, 'new' AS c) AS src ON t.id = src.id WHEN MATCHED THEN UPDATE SET t.s.b.c = src.c, s.a = DEFAULT")
    assert rows("SELECT * FROM t ORDER BY id") == [
        {"id": 1, "s": {"a": 11, "b": {"c": "X", "d": "2026-01-01"}}},
        {"id": 3, "s": {"a": None, "b": {"c": "new", "d": None}}},
        {"id": 20, "s": {"a": None, "b": {"c": None, "d": None}}}]
    for change, says in (("s.x = 1", 'no field "x"'), ("id.x = 1", "no struct"), ("s.a = 1, s = NULL", "assigned twice"),
                         ("s.b = NULL, s.b.c = 'x'", "assigned twice"), ("s.b.cc = 'x'", 'no field "cc"'), ("s.a = 1, S.A = 2", "assigned twice")):
        assert says in sql(f"UPDATE t SET {change}", check=1).err
    assert "whole columns" in sql("MERGE INTO t USING (SELECT 3 AS id) AS src ON t.id = src.id WHEN NOT MATCHED THEN INSERT (s.a) VALUES (1)", check=1).err


@pytest.mark.parametrize("properties", ["", "'delta.columnMapping.mode' = 'name'", "'delta.enableRowTracking' = 'true'"])
def test_merge_with_schema_evolution(sql, rows, warehouse, properties, vectors):
    more = vectors[:-1] + f", 'delta.enableChangeDataFeed' = 'true'{', ' + properties if properties else ''})"
    sql(f"CREATE TABLE t (id BIGINT, v STRING, s STRUCT<a: INT>) {more}")
    sql("INSERT INTO t VALUES (1, 'one', {'a': 1}), (2, 'two', {'a': 2})")
    source = "(VALUES (2, {'a': 20, 'b': 'x'}, 2.5::DOUBLE), (3, {'a': 30, 'b': 'y'}, 3.5::DOUBLE)) AS s(id, s, extra)"
    stars = "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    failed = sql(f"MERGE INTO t USING {source} ON t.id = s.id {stars}", check=1)
    assert "DELTA_MERGE_UNRESOLVED_EXPRESSION" in failed.err and "SCHEMA EVOLUTION" in failed.err
    sql(f"MERGE WITH SCHEMA EVOLUTION INTO t USING {source} ON t.id = s.id {stars}")
    assert rows("SELECT * FROM t ORDER BY id") == [
        {"id": 1, "v": "one", "s": {"a": 1, "b": None}, "extra": None}, {"id": 2, "v": "two", "s": {"a": 20, "b": "x"}, "extra": 2.5},
        {"id": 3, "v": None, "s": {"a": 30, "b": "y"}, "extra": 3.5}]
    assert [k for a in list(commits(warehouse))[-1] for k in a].count("metaData") == 1
    # only what a clause gives is added
    sql("MERGE WITH SCHEMA EVOLUTION INTO t USING (SELECT 1 AS id, 'n' AS note, 1 AS other) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET note = s.note")
    assert rows("SELECT * FROM t WHERE id = 1") == [{"id": 1, "v": "one", "s": {"a": 1, "b": None}, "extra": None, "note": "n"}]
    assert rows("SELECT _change_type AS c, v, note FROM table_changes('t', 3) ORDER BY c") == [
        {"c": "update_postimage", "v": "one", "note": "n"}, {"c": "update_preimage", "v": "one", "note": None}]
    # nothing to add: no metadata; a column that nobody gives: an error
    sql("MERGE WITH SCHEMA EVOLUTION INTO t USING (SELECT 1 AS id, 'm' AS note) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET *")
    assert not any("metaData" in a for a in list(commits(warehouse))[-1])
    assert 'no column "nobody"' in sql(
        "MERGE WITH SCHEMA EVOLUTION INTO t USING (SELECT 1 AS id) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET nobody = 1", check=1).err
    sql("INSERT WITH SCHEMA EVOLUTION INTO t BY NAME SELECT 9 AS id, true AS late")
    assert rows("SELECT id, late FROM t WHERE late") == [{"id": 9, "late": True}]


def row_ids(warehouse):
    """{id: (row id, version)} of a table without deletion vectors, from its log and files."""
    live, names = {}, {}
    for actions in commits(warehouse):
        for a in actions:
            if "metaData" in a:
                names = {k.rsplit(".", 1)[1]: v for k, v in a["metaData"]["configuration"].items() if ".rowTracking." in k}
            if "remove" in a:
                live.pop(a["remove"]["path"])
            if "add" in a:
                live[a["add"]["path"]] = a["add"]
    found = {}
    for path, add in live.items():
        file = pq.read_table(warehouse / "default/t" / path).to_pylist()
        for n, row in enumerate(file):
            kept = row.get(names["materializedRowIdColumnName"])
            version = row.get(names["materializedRowCommitVersionColumnName"])
            found[row["id"]] = (add["baseRowId"] + n if kept is None else kept, add["defaultRowCommitVersion"] if version is None else version)
    return found


def test_row_ids_stay(sql, rows, warehouse):
    """Rows keep their ids when they are copied or changed; what is changed gets the version of the change."""
    sql("CREATE TABLE t (id BIGINT, v INT) TBLPROPERTIES ('delta.enableDeletionVectors' = 'false')")
    sql("INSERT INTO t SELECT i, 0 FROM range(3) r(i)")
    sql("ALTER TABLE t SET TBLPROPERTIES ('delta.enableRowTracking' = 'true')")
    assert row_ids(warehouse) == {0: (0, 2), 1: (1, 2), 2: (2, 2)}
    sql("INSERT INTO t SELECT i, 0 FROM range(3, 6) r(i)")
    sql("UPDATE t SET v = 1 WHERE id IN (1, 4)")
    sql("DELETE FROM t WHERE id IN (0, 3)")
    sql("MERGE INTO t USING (VALUES (1, 2), (7, 2)) AS s(id, v) ON t.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT * "
        "WHEN NOT MATCHED BY SOURCE AND t.id = 5 THEN DELETE")
    ids = row_ids(warehouse)
    new = ids.pop(7)
    assert ids == {1: (1, 6), 2: (2, 2), 4: (4, 4)} and new[0] > 5 and new[1] == 6
    assert last_info(warehouse)["tags"] == {"delta.rowTracking.preserved": "true"}
    sql("INSERT INTO t REPLACE WHERE id = 2 SELECT 2, 9")
    replaced = row_ids(warehouse)
    assert replaced[1] == (1, 6) and replaced[7] == new and replaced[2][0] > new[0] and replaced[2][1] == 7
    assert rows("SELECT id FROM t ORDER BY id") == [{"id": 1}, {"id": 2}, {"id": 4}, {"id": 7}]


@pytest.mark.parametrize("mapping, vectors", [("none", "true"), ("name", "false")])
def test_row_ids_stay__spark(sql, warehouse, spark, mapping, vectors):
    """Spark finds the ids that freshet kept, and freshet keeps those that Spark gave."""
    properties = (f"TBLPROPERTIES ('delta.enableDeletionVectors' = '{vectors}', 'delta.enableRowTracking' = 'true', "
                  f"'delta.columnMapping.mode' = '{mapping}')")
    table = f"delta.`{warehouse / 'default/t'}`"

    def found():
        answer = spark.sql(f"SELECT id, _metadata.row_id AS r, _metadata.row_commit_version AS v FROM {table}").collect()
        return {row["id"]: (row["r"], row["v"]) for row in answer}

    sql(f"CREATE TABLE t (id BIGINT, v INT) {properties}")
    sql("INSERT INTO t SELECT i, 0 FROM range(20) r(i)")
    expected = found()
    assert sorted(r for r, _ in expected.values()) == list(range(20)) and {v for _, v in expected.values()} == {1}
    changes = ["UPDATE {} SET v = 1 WHERE id % 5 = 1", "DELETE FROM {} WHERE id % 7 = 3", "UPDATE {} SET v = 2 WHERE id % 4 = 1",
               "MERGE INTO {} t USING (SELECT 2 AS id, 5 AS v) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = s.v"]
    for n, change in enumerate(changes + changes[1:]):
        spark.sql(change.format(table)) if n % 2 else sql(change.format("t"))
        now = found()
        assert {i: r for i, (r, _) in now.items()} == {i: expected[i][0] for i in now}, change
        version = {v for i, (_, v) in now.items() if v != expected[i][1]}
        assert len(version) <= 1 and all(v > max(e for _, e in expected.values()) for v in version), change
        expected = now
    sql("MERGE INTO t USING (VALUES (100, 1), (4, 4)) AS s(id, v) ON t.id = s.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT *")
    assert found()[100][0] >= 20 and 4 not in found()


def test_what_may_not_change(sql):
    sql("CREATE TABLE t (id BIGINT) TBLPROPERTIES ('delta.appendOnly' = 'true')")
    sql("INSERT INTO t VALUES (1)")
    assert "DELTA_CANNOT_MODIFY_APPEND_ONLY" in sql("DELETE FROM t", check=1).err
    assert "DELTA_CANNOT_MODIFY_APPEND_ONLY" in sql("UPDATE t SET id = 2", check=1).err


@pytest.mark.parametrize("statement, says", [
    ("DELETE t", "FROM"),
    ("DELETE FROM t WHERE", "condition"),
    ("UPDATE t v = 1", "SET"),
    ("MERGE WITH SCHEMA INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE", "EVOLUTION"),
    ("MERGE INTO t USING s ON t.id = s.id", "WHEN"),
    ("MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED THEN UPDATE SET id = 1", "INSERT"),
    ("MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (1, 2)", "values"),
])
def test_syntax(sql, statement, says):
    sql("CREATE TABLE t (id BIGINT); CREATE TABLE s (id BIGINT)")
    failed = sql(statement, check=1)
    assert says in failed.err and "^" in failed.err
