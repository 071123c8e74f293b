"""Columns that change (ALTER TABLE with column mapping, wider types, clustering) and columns that get their values by
themselves (defaults, generated, identity). Spark judges at the end of each group."""
import json

import pytest


@pytest.fixture
def schema(warehouse):
    """Field metadata of a table's newest schema, by column."""

    def read(name):
        found = None
        for path in sorted((warehouse / "default" / name / "_delta_log").glob("*.json")):
            for line in path.read_text().splitlines():
                found = json.loads(line).get("metaData", found)
        return {f["name"]: f for f in json.loads(found["schemaString"])["fields"]}

    return read


MAPPED = "TBLPROPERTIES ('delta.columnMapping.mode' = 'name', 'delta.enableTypeWidening' = 'true')"


@pytest.fixture
def renamed(sql):
    sql(f"CREATE TABLE t (a INT, s STRUCT<x: INT, y: STRING>, l ARRAY<STRUCT<n: INT>>, p STRING, gone INT) PARTITIONED BY (p) {MAPPED}")
    sql("INSERT INTO t SELECT i, {'x': i, 'y': 'y' || i}, [{'n': i}], 'p' || i % 2, i FROM range(4) r(i)")
    sql("ALTER TABLE t RENAME COLUMN a TO b; ALTER TABLE t RENAME COLUMN s.x TO `z z`; ALTER TABLE t RENAME COLUMN p TO part")
    sql("ALTER TABLE t RENAME COLUMN l.element.n TO m; ALTER TABLE t ALTER COLUMN l.element.m TYPE BIGINT; ALTER TABLE t ALTER COLUMN s.`z z` TYPE BIGINT")
    sql("ALTER TABLE t DROP COLUMN gone; ALTER TABLE t ADD COLUMN s.w DOUBLE FIRST, gone STRING AFTER b; ALTER TABLE t DROP COLUMNS (s.y)")
    sql("INSERT INTO t VALUES (9, 'new', {'w': 0.5, 'z z': 5000000000}, [{'m': 6000000000}], 'p1')")


EXPECTED = [
    {"b": 0, "gone": None, "s": {"w": None, "z z": 0}, "l": [{"m": 0}], "part": "p0"},
    {"b": 1, "gone": None, "s": {"w": None, "z z": 1}, "l": [{"m": 1}], "part": "p1"},
    {"b": 2, "gone": None, "s": {"w": None, "z z": 2}, "l": [{"m": 2}], "part": "p0"},
    {"b": 3, "gone": None, "s": {"w": None, "z z": 3}, "l": [{"m": 3}], "part": "p1"},
    {"b": 9, "gone": "new", "s": {"w": 0.5, "z z": 5000000000}, "l": [{"m": 6000000000}], "part": "p1"},
]


def test_renamed_columns(renamed, rows, sql):
    assert rows("SELECT * FROM t ORDER BY b") == EXPECTED
    assert rows("SELECT count(*) AS n FROM t WHERE part = 'p1'") == [{"n": 3}]
    sql("UPDATE t SET gone = 'u' WHERE b = 0; DELETE FROM t WHERE part = 'p1' AND b < 9")
    assert rows("SELECT b, gone FROM t ORDER BY b") == [{"b": 0, "gone": "u"}, {"b": 2, "gone": None}, {"b": 9, "gone": "new"}]
    assert [h["operation"] for h in rows("DESCRIBE HISTORY t")][-5:] == ["RENAME COLUMN"] * 3 + ["WRITE", "CREATE TABLE"]
    assert rows("SELECT a FROM t VERSION AS OF 1 ORDER BY a") == [{"a": i} for i in range(4)]


def test_renamed_columns__spark(renamed, spark, warehouse, rows):
    path = warehouse / "default/t"
    assert [json.loads(r[0]) for r in spark.sql(f"SELECT to_json(struct(*), map('ignoreNullFields', 'false')) FROM delta.`{path}` ORDER BY b").collect()] == EXPECTED
    spark.sql(f"ALTER TABLE delta.`{path}` RENAME COLUMN b TO c")
    spark.sql(f"INSERT INTO delta.`{path}` VALUES (10, 'spark', named_struct('w', 1D, 'z z', 1L), array(), 'p0')")
    assert rows("SELECT c, gone FROM t WHERE part = 'p0' ORDER BY c") == [{"c": 0, "gone": None}, {"c": 2, "gone": None}, {"c": 10, "gone": "spark"}]


def test_what_cannot_be_renamed_or_dropped(sql):
    sql(f"CREATE TABLE t (a INT, b INT, c INT, s STRUCT<x: INT>, g INT GENERATED ALWAYS AS (b + 1), p INT) PARTITIONED BY (p) {MAPPED}")
    sql("ALTER TABLE t ADD CONSTRAINT positive CHECK (a > 0)")
    for statement, klass in (
        ("RENAME COLUMN a TO z", "DELTA_CONSTRAINT_DEPENDENT_COLUMN_CHANGE"),
        ("DROP COLUMN a", "DELTA_CONSTRAINT_DEPENDENT_COLUMN_CHANGE"),
        ("ALTER COLUMN a TYPE BIGINT", "DELTA_CONSTRAINT_DEPENDENT_COLUMN_CHANGE"),
        ("RENAME COLUMN b TO z", "DELTA_GENERATED_COLUMNS_DEPENDENT_COLUMN_CHANGE"),
        ("DROP COLUMN b", "DELTA_GENERATED_COLUMNS_DEPENDENT_COLUMN_CHANGE"),
        ("DROP COLUMN p", "DELTA_UNSUPPORTED_DROP_PARTITION_COLUMN"),
        ("DROP COLUMN s.x", "is all there is"),
        ("RENAME COLUMN c TO B", "already"),
        ("RENAME COLUMN s.q TO z", "no column \"s.q\""),
        ("RENAME TO other", "keeps its name"),
        ("ADD COLUMN a.b INT", "no struct"),
        ("ADD COLUMN z INT DEFAULT 1", "WRONG_COLUMN_DEFAULTS_FOR_DELTA_ALTER_TABLE_ADD_COLUMN"),
        ("ALTER COLUMN c SET DEFAULT 1", "delta.feature.allowColumnDefaults"),
        ("CLUSTER BY (a)", "partitioned or clustered"),
    ):
        assert klass in sql(f"ALTER TABLE t {statement}", check=1).err, statement
    sql("ALTER TABLE t DROP COLUMN c; ALTER TABLE t DROP COLUMN IF EXISTS c, g; ALTER TABLE t DROP COLUMN b")
    sql("CREATE TABLE plain (a INT)")
    assert "DELTA_UNSUPPORTED_RENAME_COLUMN" in sql("ALTER TABLE plain RENAME COLUMN a TO b", check=1).err
    assert "DELTA_UNSUPPORTED_DROP_COLUMN" in sql("ALTER TABLE plain DROP COLUMN a", check=1).err


def test_clustering(sql, rows, schema, warehouse):
    sql(f"CREATE TABLE t (a INT, s STRUCT<x: INT>, l ARRAY<INT>) CLUSTER BY (a) {MAPPED}; INSERT INTO t SELECT 1, {{'x': 1}}, [1]")
    sql("ALTER TABLE t RENAME COLUMN a TO b; ALTER TABLE t CLUSTER BY (s.x, b)")
    assert "DELTA_UNSUPPORTED_DROP_CLUSTERING_COLUMN" in sql("ALTER TABLE t DROP COLUMN b", check=1).err
    assert "DELTA_CLUSTERING_COLUMNS_DATATYPE_NOT_SUPPORTED" in sql("ALTER TABLE t CLUSTER BY (l)", check=1).err
    assert "DELTA_CLUSTER_BY_INVALID_NUM_COLUMNS" in sql("CREATE TABLE u (a INT, b INT, c INT, d INT, e INT) CLUSTER BY (a, b, c, d, e)", check=1).err
    last = rows("DESCRIBE HISTORY t LIMIT 1")[0]
    assert last["operationParameters"] == {"oldClusteringColumns": "b", "newClusteringColumns": "s.x,b"}
    sql("ALTER TABLE t CLUSTER BY NONE; ALTER TABLE t DROP COLUMN b")


def test_defaults(sql, rows):
    sql("CREATE TABLE t (a INT, b INT DEFAULT 7, c STRING DEFAULT 'it''s', d DATE DEFAULT current_date())")
    sql("INSERT INTO t (a) VALUES (1); INSERT INTO t BY NAME SELECT 2 AS a, NULL::INT AS b; INSERT INTO t (a, c) SELECT 3, 'x'")
    expected = [{"a": 1, "b": 7, "c": "it's"}, {"a": 2, "b": None, "c": "it's"}, {"a": 3, "b": 7, "c": "x"}]
    assert rows("SELECT a, b, c FROM t WHERE d = current_date ORDER BY a") == expected
    sql("INSERT INTO t VALUES (4, DEFAULT, 'y', DEFAULT), (5, 50, DEFAULT, DEFAULT)")
    assert rows("SELECT a, b, c FROM t WHERE a > 3 ORDER BY a") == [{"a": 4, "b": 7, "c": "y"}, {"a": 5, "b": 50, "c": "it's"}]
    sql("ALTER TABLE t ALTER COLUMN b SET DEFAULT 3 + 4 * 2; ALTER TABLE t ALTER COLUMN c DROP DEFAULT")
    sql("UPDATE t SET b = DEFAULT, c = DEFAULT WHERE a = 1")
    sql("MERGE INTO t USING (SELECT 6 AS a) s ON t.a = s.a WHEN NOT MATCHED THEN INSERT (a, b) VALUES (s.a, DEFAULT)")
    assert rows("SELECT a, b, c FROM t WHERE a IN (1, 6) ORDER BY a") == [{"a": 1, "b": 11, "c": None}, {"a": 6, "b": 11, "c": None}]
    assert "INVALID_DEFAULT_VALUE" in sql("ALTER TABLE t ALTER COLUMN b SET DEFAULT a + 1", check=1).err
    assert "INVALID_DEFAULT_VALUE" in sql("CREATE TABLE u (a INT DEFAULT nonsense(1))", check=1).err


def test_generated(sql, rows):
    sql("CREATE TABLE t (id INT, ts TIMESTAMP_NTZ, day DATE GENERATED ALWAYS AS (CAST(ts AS DATE)), y INT GENERATED ALWAYS AS (year(ts)), "
        "`a b` STRING GENERATED ALWAYS AS (upper(`q q`)), `q q` STRING) PARTITIONED BY (day)")
    sql("INSERT INTO t (id, ts, `q q`) SELECT i, TIMESTAMP '2024-12-31 22:00:00' + INTERVAL (i) HOUR, 'q' || i FROM range(4) r(i)")
    assert rows("SELECT id, day, y, \"a b\" FROM t ORDER BY id") == [
        {"id": i, "day": "2024-12-31" if i < 2 else "2025-01-01", "y": 2024 if i < 2 else 2025, "a b": f"Q{i}"} for i in range(4)]
    sql("INSERT INTO t VALUES (4, TIMESTAMP '2026-01-01', DATE '2026-01-01', 2026, NULL, NULL)")
    err = sql("INSERT INTO t VALUES (5, TIMESTAMP '2026-01-01', DATE '2026-01-02', 2026, NULL, NULL)", check=1).err
    assert "DELTA_VIOLATE_CONSTRAINT_WITH_VALUES" in err and '"day"' in err
    sql("UPDATE t SET ts = TIMESTAMP '2030-06-01', `q q` = 'w' WHERE id = 0")
    assert "DELTA_VIOLATE_CONSTRAINT_WITH_VALUES" in sql("UPDATE t SET day = DATE '2020-01-01' WHERE id = 0", check=1).err
    sql("MERGE INTO t USING (SELECT 1 AS id, TIMESTAMP '2031-01-01' AS ts UNION ALL SELECT 7, TIMESTAMP '2032-01-01') s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET ts = s.ts WHEN NOT MATCHED THEN INSERT (id, ts) VALUES (s.id, s.ts)")
    assert rows("SELECT id, day, y FROM t WHERE id IN (0, 1, 7) ORDER BY id") == [
        {"id": 0, "day": "2030-06-01", "y": 2030}, {"id": 1, "day": "2031-01-01", "y": 2031}, {"id": 7, "day": "2032-01-01", "y": 2032}]
    for expression in ("date_format(ts, 'yyyy')", "concat(s, 'x')", "CAST(f AS INT)", "dayofweek(ts)", "g2 + 1", "sum(f)", "year(ts)", "CAST(f AS STRING)"):
        err = sql(f"CREATE TABLE u (ts TIMESTAMP_NTZ, s STRING, f DOUBLE, g2 INT GENERATED ALWAYS AS (1), g STRING GENERATED ALWAYS AS ({expression}))", check=1).err
        assert '"g"' in err, expression


def test_identity(sql, rows, schema):
    sql("CREATE TABLE t (id BIGINT GENERATED ALWAYS AS IDENTITY (START WITH 10 INCREMENT BY 5), d BIGINT GENERATED BY DEFAULT AS IDENTITY (START WITH -1 INCREMENT BY -1), v STRING)")
    sql("INSERT INTO t (v) SELECT 'v' || i FROM range(3) r(i)")
    sql("INSERT INTO t (d, v) VALUES (1000, 'given'); INSERT INTO t VALUES (DEFAULT, DEFAULT, 'w'), (DEFAULT, DEFAULT, 'x')")
    found = rows("SELECT * FROM t ORDER BY id")
    assert [r["id"] for r in found] == [10, 15, 20, 25, 30, 35]
    assert sorted(r["d"] for r in found) == [-5, -4, -3, -2, -1, 1000]
    assert schema("t")["id"]["metadata"]["delta.identity.highWaterMark"] == 35
    assert schema("t")["d"]["metadata"]["delta.identity.highWaterMark"] == -5
    for statement, klass in (
        ("INSERT INTO t (id, v) VALUES (1, 'x')", "DELTA_IDENTITY_COLUMNS_EXPLICIT_INSERT_NOT_SUPPORTED"),
        ("INSERT INTO t REPLACE WHERE id = 10 SELECT 10 AS id, 0 AS d, 'x' AS v", "DELTA_IDENTITY_COLUMNS_EXPLICIT_INSERT_NOT_SUPPORTED"),
        ("UPDATE t SET id = 1", "DELTA_IDENTITY_COLUMNS_UPDATE_NOT_SUPPORTED"),
        ("MERGE INTO t USING (SELECT 1 AS id) s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)", "EXPLICIT_INSERT"),
        ("CREATE TABLE u (a INT GENERATED ALWAYS AS IDENTITY)", "DELTA_IDENTITY_COLUMNS_UNSUPPORTED_DATA_TYPE"),
    ):
        assert klass in sql(statement, check=1).err, statement
    sql("UPDATE t SET v = 'u' WHERE id = 10; DELETE FROM t WHERE id = 15")
    sql("ALTER TABLE t SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')")
    sql("MERGE INTO t USING (SELECT 10 AS id, 'm' AS v UNION ALL SELECT 11, 'n' UNION ALL SELECT 12, 'o') s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT (v) VALUES (s.v)")
    assert rows("SELECT id, v FROM t WHERE v IN ('m', 'n', 'o') ORDER BY v")[0] == {"id": 10, "v": "m"}
    inserted = rows("SELECT id, v FROM t WHERE id > 35 ORDER BY v")
    version = rows("DESCRIBE HISTORY t LIMIT 1")[0]["version"]
    assert rows(f"SELECT id, v FROM table_changes('t', {version}, {version}) WHERE _change_type = 'insert' ORDER BY v") == inserted
    assert sorted(r["id"] for r in inserted) == [40, 45]


def test_restored_columns(sql, rows):
    sql(f"CREATE TABLE t (a INT, id BIGINT GENERATED ALWAYS AS IDENTITY) {MAPPED}; INSERT INTO t (a) VALUES (1), (2)")
    sql("ALTER TABLE t RENAME COLUMN a TO b; ALTER TABLE t ADD COLUMN c INT; INSERT INTO t (b, c) VALUES (3, 4); ALTER TABLE t DROP COLUMN b")
    sql("RESTORE TABLE t TO VERSION AS OF 1; INSERT INTO t (a) VALUES (5)")
    assert rows("SELECT * FROM t ORDER BY id") == [{"a": 1, "id": 1}, {"a": 2, "id": 2}, {"a": 5, "id": 4}]
    sql("RESTORE TABLE t TO VERSION AS OF 4")
    assert rows("SELECT * FROM t ORDER BY id") == [{"b": 1, "id": 1, "c": None}, {"b": 2, "id": 2, "c": None}, {"b": 3, "id": 3, "c": 4}]


def test_columns_with_values_of_their_own__spark(sql, rows, spark, warehouse):
    sql("CREATE TABLE t (id BIGINT GENERATED BY DEFAULT AS IDENTITY, a INT DEFAULT 7, b BIGINT GENERATED ALWAYS AS (CAST(a + 1 AS BIGINT))) "
        "TBLPROPERTIES ('delta.feature.allowColumnDefaults' = 'supported')")
    sql("INSERT INTO t (a) VALUES (1), (2)")
    path = warehouse / "default/t"
    assert [tuple(r) for r in spark.sql(f"SELECT * FROM delta.`{path}` ORDER BY id").collect()] == [(1, 1, 2), (2, 2, 3)]
    spark.sql("CREATE TABLE ours USING DELTA LOCATION '%s'" % path)
    spark.sql("INSERT INTO ours (a) VALUES (5)")
    spark.sql("INSERT INTO ours (id) VALUES (100)")
    spark.sql("DROP TABLE ours")
    sql("INSERT INTO t (a) VALUES (6)")
    found = rows("SELECT * FROM t ORDER BY a, id")
    assert [(r["a"], r["b"]) for r in found] == [(1, 2), (2, 3), (5, 6), (6, 7), (7, 8)]
    assert len({r["id"] for r in found}) == 5
