"""CREATE TABLE with all its clauses, and what SHOW and DESCRIBE say about the table."""

import pytest


FULL = """CREATE TABLE s.t (
  id BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY (START WITH 5 INCREMENT BY 2),
  a INT DEFAULT 7 COMMENT 'it''s a',
  b BIGINT GENERATED ALWAYS AS (CAST(a AS BIGINT)),
  st STRUCT<x: INT, y: ARRAY<DECIMAL(10, 2)>>,
  p STRING)
USING DELTA {by} COMMENT 'all of it' TBLPROPERTIES ('delta.appendOnly' = 'true', team = 'x')"""


@pytest.mark.parametrize("by", ["PARTITIONED BY (p)", "CLUSTER BY (id, p)"])
def test_show_create_table_makes_the_same_table(sql, rows, warehouse, by):
    sql(FULL.format(by=by))
    ddl = rows("SHOW CREATE TABLE s.t")[0]["createtab_stmt"]
    assert "highWaterMark" not in ddl
    place, again = warehouse / "s/t", warehouse / "again"
    sql(ddl.replace("CREATE TABLE s.t", "CREATE TABLE u").replace(str(place), str(again)))
    assert rows("SHOW CREATE TABLE u")[0]["createtab_stmt"] == ddl.replace("CREATE TABLE s.t", "CREATE TABLE u").replace(str(place), str(again))
    for name in ("s.t", "u"):
        sql(f"INSERT INTO {name} (a, p) VALUES (1, 'x'); INSERT INTO {name} (p) VALUES ('y')")
    assert rows("SELECT id, a, b FROM u ORDER BY id") == rows("SELECT id, a, b FROM s.t ORDER BY id") == [
        {"id": 5, "a": 1, "b": 1}, {"id": 7, "a": 7, "b": 7}]


def test_describe_table(sql, rows):
    sql(FULL.format(by="PARTITIONED BY (p)"))
    found = rows("DESCRIBE TABLE s.t")
    assert found[:5] == [
        {"col_name": "id", "data_type": "bigint", "comment": None}, {"col_name": "a", "data_type": "int", "comment": "it's a"},
        {"col_name": "b", "data_type": "bigint", "comment": None},
        {"col_name": "st", "data_type": "struct<x:int,y:array<decimal(10,2)>>", "comment": None}, {"col_name": "p", "data_type": "string", "comment": None}]
    assert [r["col_name"] for r in found[5:]] == ["# Partition Information", "# col_name", "p"]
    extended = {r["col_name"]: r["data_type"] for r in rows("DESCRIBE EXTENDED s.t")}
    assert extended["Name"] == "s.t" and extended["Provider"] == "delta" and "team=x" in extended["Table Properties"]
    assert [r["column_name"] for r in rows("DESCRIBE s.t")] == ["id", "a", "b", "st", "p"]  # DuckDB's own


def test_show(sql, rows):
    sql("CREATE TABLE s.t (a INT) TBLPROPERTIES (team = 'x'); CREATE TABLE u (a INT)")
    assert [(r["schema"], r["table"]) for r in rows("SHOW TABLES")] == [("default", "u"), ("s", "t")]
    assert [r["table"] for r in rows("SHOW TABLES IN s")] == ["t"] and rows("SHOW TABLES FROM nobody") == []
    assert rows("SHOW TBLPROPERTIES s.t ('team')") == [{"key": "team", "value": "x"}]
    assert rows("SHOW TBLPROPERTIES s.t (delta.minReaderVersion)") == [{"key": "delta.minReaderVersion", "value": "1"}]
    assert "expected" in sql("SHOW TBLPROPERTIES s.t nonsense", check=1).err


def test_replace(sql, rows):
    assert "no table" in sql("REPLACE TABLE t (a INT)", check=1).err
    sql("CREATE TABLE t (a INT) COMMENT 'old' TBLPROPERTIES (team = 'x', 'delta.appendOnly' = 'false'); INSERT INTO t VALUES (1)")
    sql("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0); REPLACE TABLE t (b STRING); INSERT INTO t VALUES ('x')")
    assert rows("SELECT * FROM t") == [{"b": "x"}]
    assert [r["key"] for r in rows("SHOW TBLPROPERTIES t")] == ["delta.minReaderVersion", "delta.minWriterVersion"]
    sql("REPLACE TABLE t AS SELECT 5 AS n; CREATE OR REPLACE TABLE t USING DELTA AS SELECT 6 AS n")
    assert [h["operation"] for h in rows("DESCRIBE HISTORY t")][:4] == [
        "CREATE OR REPLACE TABLE AS SELECT", "REPLACE TABLE AS SELECT", "WRITE", "REPLACE TABLE"]
    assert rows("DESCRIBE HISTORY t LIMIT 1")[0]["operationMetrics"]["numOutputRows"] == "1"


def test_a_table_that_is_there(sql, rows, warehouse):
    """CREATE TABLE with the place of a Delta table gives it a name."""
    place = warehouse.parent / "place"
    sql(f"CREATE TABLE delta.`{place}` (a INT, p INT) PARTITIONED BY (p); INSERT INTO delta.`{place}` VALUES (1, 2)")
    sql(f"CREATE TABLE named USING DELTA LOCATION '{place}'")
    sql(f"CREATE TABLE same (A INT, p INT) PARTITIONED BY (p) LOCATION '{place}'")
    assert rows("SELECT * FROM named") == rows("SELECT * FROM same") == [{"a": 1, "p": 2}]
    for columns in ("(a BIGINT, p INT) PARTITIONED BY (p)", "(a INT) PARTITIONED BY (p)", "(a INT, p INT)"):
        assert "DELTA_CREATE_TABLE_SCHEME_MISMATCH" in sql(f"CREATE TABLE other {columns} LOCATION '{place}'", check=1).err
    assert "DELTA_TABLE_ALREADY_EXISTS" in sql(f"CREATE TABLE named (a INT, p INT) PARTITIONED BY (p) LOCATION '{place}'", check=1).err
    assert "needs columns" in sql(f"CREATE TABLE nothing USING DELTA LOCATION '{warehouse / 'void'}'", check=1).err
