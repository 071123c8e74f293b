"""ALTER TABLE, RESTORE and CONVERT TO DELTA."""

import pytest


def test_columns(sql, rows, warehouse, read_delta):
    sql("CREATE TABLE t (a INT); INSERT INTO t VALUES (1)")
    sql("ALTER TABLE t ADD COLUMN b STRING COMMENT 'second', c DECIMAL(10,2); ALTER TABLE t ADD COLUMNS (d BIGINT)")
    sql("INSERT INTO t VALUES (2, 'x', 1.5, 7)")
    assert rows("SELECT * FROM t ORDER BY a") == [{"a": 1, "b": None, "c": None, "d": None}, {"a": 2, "b": "x", "c": 1.50, "d": 7}]
    assert len(read_delta(warehouse / "default/t")) == 2
    assert "already" in sql("ALTER TABLE t ADD COLUMN B INT", check=1).err
    sql("ALTER TABLE t ADD COLUMN IF NOT EXISTS b INT")
    assert "NOT NULL" in sql("ALTER TABLE t ADD COLUMN e INT NOT NULL", check=1).err
    for statement in ("ALTER TABLE t DROP COLUMN b", "ALTER TABLE t RENAME COLUMN b TO bb"):
        assert "column mapping" in sql(statement, check=1).err
    assert [h["operation"] for h in rows("DESCRIBE HISTORY t")][:3] == ["WRITE", "ADD COLUMNS", "ADD COLUMNS"]


def test_types_become_wider(sql, rows):
    sql("CREATE TABLE t (a INT, s STRING); INSERT INTO t VALUES (1, 'x')")
    assert "enableTypeWidening" in sql("ALTER TABLE t ALTER COLUMN a TYPE BIGINT", check=1).err
    sql("ALTER TABLE t SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')")
    sql("ALTER TABLE t ALTER COLUMN a TYPE BIGINT; INSERT INTO t VALUES (5000000000, 'y')")
    assert rows("SELECT a FROM t ORDER BY a") == [{"a": 1}, {"a": 5000000000}]
    assert "cannot become" in sql("ALTER TABLE t ALTER COLUMN a TYPE INT", check=1).err
    assert "cannot become" in sql("ALTER TABLE t ALTER COLUMN s TYPE INT", check=1).err


def test_not_null_and_comment(sql, rows):
    sql("CREATE TABLE t (a INT, b INT); INSERT INTO t VALUES (1, NULL)")
    assert "is NULL in 1 rows" in sql("ALTER TABLE t ALTER COLUMN b SET NOT NULL", check=1).err
    sql("UPDATE t SET b = 0; ALTER TABLE t ALTER COLUMN b SET NOT NULL")
    assert "NOT NULL" in sql("INSERT INTO t VALUES (2, NULL)", check=1).err
    sql("ALTER TABLE t ALTER COLUMN b DROP NOT NULL; INSERT INTO t VALUES (2, NULL); ALTER TABLE t ALTER COLUMN b COMMENT 'it''s'")
    assert rows("SELECT count(*) AS n FROM t") == [{"n": 2}]


def test_properties(sql, rows):
    sql("CREATE TABLE t (a INT)")
    sql("ALTER TABLE t SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true', team = 'x'); ALTER TABLE t UNSET TBLPROPERTIES (team)")
    assert {"key": "delta.enableChangeDataFeed", "value": "true"} in rows("SHOW TBLPROPERTIES t")
    assert not any(r["key"] == "team" for r in rows("SHOW TBLPROPERTIES t"))
    assert "no property" in sql("ALTER TABLE t UNSET TBLPROPERTIES ('team')", check=1).err
    sql("ALTER TABLE t UNSET TBLPROPERTIES IF EXISTS ('team')")
    assert "did you mean" in sql("ALTER TABLE t SET TBLPROPERTIES ('delta.enableChangeDataFed' = 'true')", check=1).err


def test_constraints(sql, rows):
    sql("CREATE TABLE t (a INT); INSERT INTO t VALUES (1), (-1)")
    assert "DELTA_NEW_CHECK_CONSTRAINT_VIOLATION" in sql("ALTER TABLE t ADD CONSTRAINT positive CHECK (a > 0)", check=1).err
    sql("DELETE FROM t WHERE a < 0; ALTER TABLE t ADD CONSTRAINT positive CHECK (a > 0)")
    assert "DELTA_VIOLATE_CONSTRAINT_WITH_VALUES" in sql("INSERT INTO t VALUES (-5)", check=1).err
    assert "DELTA_VIOLATE_CONSTRAINT_WITH_VALUES" in sql("UPDATE t SET a = -a", check=1).err
    sql("ALTER TABLE t DROP CONSTRAINT positive; INSERT INTO t VALUES (-5)")
    assert "DELTA_CONSTRAINT_DOES_NOT_EXIST" in sql("ALTER TABLE t DROP CONSTRAINT positive", check=1).err
    sql("ALTER TABLE t DROP CONSTRAINT IF EXISTS positive")


@pytest.mark.parametrize("vectors", ["true", "false"])
def test_restore(sql, rows, vectors, warehouse, read_delta):
    sql(f"CREATE TABLE t (a INT) TBLPROPERTIES ('delta.enableDeletionVectors' = '{vectors}')")
    sql("INSERT INTO t SELECT * FROM range(10); DELETE FROM t WHERE a % 2 = 0; ALTER TABLE t ADD COLUMN b INT; UPDATE t SET b = a")
    assert rows("RESTORE TABLE t TO VERSION AS OF 1")[0]["num_restored_files"] == 1
    assert rows("SELECT * FROM t ORDER BY a") == [{"a": i} for i in range(10)]
    assert vectors == "true" or len(read_delta(warehouse / "default/t")) == 10  # delta-rs reads no deletion vectors
    assert rows("RESTORE t TO VERSION AS OF 4") != [] and rows("SELECT sum(b) AS s FROM t") == [{"s": 25}]
    before = rows("DESCRIBE HISTORY t")
    moment = before[-2]["timestamp"]
    sql(f"RESTORE TABLE t TO TIMESTAMP AS OF '{moment}'")
    assert rows("SELECT count(*) AS n FROM t") == [{"n": 10}]
    assert "FR-DELTA" in sql("RESTORE TABLE t TO VERSION AS OF 99", check=1).err


def test_convert(sql, rows, warehouse, read_delta):
    plain, parted = warehouse / "plain", warehouse / "parted"
    sql(f"COPY (SELECT i AS id, 'x' || i AS v FROM range(100) r(i)) TO '{plain}' (FORMAT parquet, FILE_SIZE_BYTES 100, PER_THREAD_OUTPUT)")
    sql(f"COPY (SELECT i AS id, CASE WHEN i % 3 > 0 THEN 'a b/' || i % 3 END AS p FROM range(30) r(i)) TO '{parted}' (FORMAT parquet, PARTITION_BY (p))")
    assert rows(f"CONVERT TO DELTA parquet.`{plain}`")[0]["num_converted_files"] >= 1
    assert rows(f"SELECT count(*) AS n, sum(id) AS s FROM delta.`{plain}`") == [{"n": 100, "s": 4950}]
    assert "names a partition" in sql(f"CONVERT TO DELTA parquet.`{parted}`", check=1).err
    assert rows(f"CONVERT TO DELTA parquet.`{parted}` PARTITIONED BY (p STRING)") == [{"num_converted_files": 3}]
    assert rows(f"SELECT p, count(*) AS n FROM delta.`{parted}` GROUP BY p ORDER BY p NULLS LAST") == [
        {"p": "a b/1", "n": 10}, {"p": "a b/2", "n": 10}, {"p": None, "n": 10}]
    assert len(read_delta(parted)) == 30
    sql(f"DELETE FROM delta.`{parted}` WHERE id < 5; UPDATE delta.`{plain}` SET v = 'y' WHERE id = 1")
    assert rows(f"SELECT count(*) AS n FROM delta.`{parted}`") == [{"n": 25}]
    assert "already" in sql(f"CONVERT TO DELTA parquet.`{plain}`", check=1).err
    (warehouse / "empty").mkdir()
    assert "no Parquet file" in sql(f"CONVERT TO DELTA parquet.`{warehouse / 'empty'}`", check=1).err


def test_change_column_as_hive_has_it(sql, rows):
    sql("CREATE TABLE t (a INT, b STRING, c INT) TBLPROPERTIES ('delta.enableTypeWidening' = 'true'); INSERT INTO t VALUES (1, 'x', 2)")
    sql("ALTER TABLE t CHANGE COLUMN a a BIGINT COMMENT 'wide' AFTER b; ALTER TABLE t CHANGE c c INT FIRST; INSERT INTO t VALUES (3, 'y', 5000000000)")
    assert rows("SELECT * FROM t ORDER BY c") == [{"c": 2, "b": "x", "a": 1}, {"c": 3, "b": "y", "a": 5000000000}]
    assert {"col_name": "a", "data_type": "bigint", "comment": "wide"} in rows("DESCRIBE TABLE t")
    assert [h["operation"] for h in rows("DESCRIBE HISTORY t LIMIT 3")] == ["WRITE", "CHANGE COLUMN", "CHANGE COLUMN"]
    sql("ALTER TABLE t CHANGE COLUMN c c INT")  # as it is
    assert rows("DESCRIBE HISTORY t LIMIT 1")[0]["operation"] == "WRITE"
    assert "RENAME COLUMN" in sql("ALTER TABLE t CHANGE COLUMN a other BIGINT", check=1).err
    assert "cannot become" in sql("ALTER TABLE t CHANGE COLUMN a a INT", check=1).err
    assert "SET NOT NULL" in sql("ALTER TABLE t CHANGE COLUMN a a BIGINT NOT NULL", check=1).err


def test_replace_columns(sql, rows):
    sql("CREATE TABLE t (a INT NOT NULL, b STRING COMMENT 'kept', p INT) PARTITIONED BY (p); INSERT INTO t VALUES (1, 'x', 0)")
    assert "column mapping" in sql("ALTER TABLE t REPLACE COLUMNS (a INT, p INT)", check=1).err
    sql("ALTER TABLE t REPLACE COLUMNS (p INT, b STRING, z DOUBLE COMMENT 'new', a INT); INSERT INTO t VALUES (1, 'y', 0.5, NULL)")
    assert rows("SELECT * FROM t ORDER BY p") == [{"p": 0, "b": "x", "z": None, "a": 1}, {"p": 1, "b": "y", "z": 0.5, "a": None}]
    assert {"col_name": "b", "data_type": "string", "comment": "kept"} in rows("DESCRIBE TABLE t")
    sql("ALTER TABLE t SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name'); ALTER TABLE t REPLACE COLUMNS (a INT, p INT)")
    assert rows("SELECT * FROM t ORDER BY p") == [{"a": 1, "p": 0}, {"a": None, "p": 1}]
    for columns in ("a INT", "a BIGINT, p INT", "a INT NOT NULL, p INT", "a INT, p INT, q INT NOT NULL", "a INT, p INT, s.x INT"):
        assert "FR-" in sql(f"ALTER TABLE t REPLACE COLUMNS ({columns})", check=1).err, columns


def test_create_table_like(sql, rows, warehouse):
    sql("CREATE TABLE t (id BIGINT NOT NULL, v STRING DEFAULT 'd' COMMENT 'c') CLUSTER BY (id) COMMENT 'text' TBLPROPERTIES ('delta.columnMapping.mode' = 'name', team = 'x')")
    sql("ALTER TABLE t ADD CONSTRAINT positive CHECK (id > 0); INSERT INTO t VALUES (1, 'a'); DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (2, 'b')")
    sql(f"CREATE TABLE u LIKE t; CREATE TABLE IF NOT EXISTS u LIKE t; CREATE TABLE s.w LIKE t USING DELTA TBLPROPERTIES (team = 'y') LOCATION '{warehouse / 'place'}'")
    assert rows("SELECT * FROM u") == [] and rows("DESCRIBE HISTORY u")[0]["operation"] == "CREATE TABLE"
    ddl = rows("SHOW CREATE TABLE t")[0]["createtab_stmt"]
    assert rows("SHOW CREATE TABLE u")[0]["createtab_stmt"] == ddl.replace("TABLE t", "TABLE u").replace(str(warehouse / "default/t"), str(warehouse / "default/u"))
    assert {"key": "team", "value": "y"} in rows("SHOW TBLPROPERTIES s.w") and (warehouse / "place/_delta_log").exists()
    sql("INSERT INTO u (id) VALUES (1)")
    assert rows("SELECT * FROM u") == [{"id": 1, "v": "d"}]
    assert "DELTA_VIOLATE_CONSTRAINT_WITH_VALUES" in sql("INSERT INTO u (id) VALUES (-1)", check=1).err
    assert "DELTA_TABLE_ALREADY_EXISTS" in sql("CREATE TABLE u LIKE t", check=1).err
    assert "expected" in sql("CREATE TABLE x LIKE t USING parquet", check=1).err


def test_user_metadata_of_any_commit(sql, rows, freshet, warehouse):
    """Spark's setting: every commit of the session has it, an INSERT's own option wins."""
    key = "spark.databricks.delta.commitInfo.userMetadata"
    sql(f"SET {key} = 'a ticket'; CREATE TABLE t (a INT); INSERT INTO t VALUES (1); UPDATE t SET a = 2; ALTER TABLE t ADD COLUMN b INT; "
        f"INSERT INTO t WITH (userMetadata = 'own') VALUES (1, 1); SET {key} = ''; DELETE FROM t; CREATE TABLE c SHALLOW CLONE t")
    assert [h["userMetadata"] for h in rows("DESCRIBE HISTORY t")] == [None, "own", *["a ticket"] * 4]
    assert rows("DESCRIBE HISTORY c")[0]["userMetadata"] is None
    pipeline = warehouse.parent / "p.sql"
    pipeline.write_text(f"SET {key} = 'of a flow'; CREATE STREAMING TABLE s AS SELECT * FROM STREAM t WITH (ignoreDeletes = true); CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM t;")
    freshet("run", pipeline, "--available-now", "--warehouse", warehouse, check=0)
    for table in "sv":
        assert {h["userMetadata"] for h in rows(f"DESCRIBE HISTORY {table}")} == {"of a flow"}
