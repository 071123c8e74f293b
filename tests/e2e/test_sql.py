"""freshet sql: statements on Delta tables, questions, formats, errors one can act on."""
import json

import pytest


def test_create_insert_select(sql, rows, warehouse, read_delta):
    sql("CREATE TABLE shop.orders (id BIGINT NOT NULL, day DATE, price DECIMAL(10,2), note STRING) PARTITIONED BY (day) "
        "TBLPROPERTIES ('team' = 'sales')")
    sql("INSERT INTO shop.orders VALUES (1, DATE '2026-01-01', 9.99, 'a'), (2, DATE '2026-01-02', 0.01, NULL)")
    sql("INSERT INTO shop.orders (note, id) VALUES ('b', 3)")
    sql("INSERT INTO shop.orders BY NAME SELECT 4 AS id, 'c' AS note")
    want = [{"id": 1, "day": "2026-01-01", "price": 9.99, "note": "a"}, {"id": 2, "day": "2026-01-02", "price": 0.01, "note": None},
            {"id": 3, "day": None, "price": None, "note": "b"}, {"id": 4, "day": None, "price": None, "note": "c"}]
    assert rows("SELECT * FROM shop.orders ORDER BY id") == want
    assert len(read_delta(warehouse / "shop/orders")) == 4
    assert rows("SELECT count(*) AS n FROM shop.orders VERSION AS OF 1") == [{"n": 2}]
    assert rows("SELECT o.id FROM shop.orders AS o JOIN shop.orders@v1 AS old USING (id) ORDER BY 1") == [{"id": 1}, {"id": 2}]


def test_ctas_overwrite_replace_drop(sql, rows, warehouse):
    sql("CREATE TABLE t AS SELECT i AS id, i % 3 AS k FROM range(10) r(i)")
    assert rows("SELECT sum(id) AS s FROM t") == [{"s": 45}]
    sql("INSERT OVERWRITE t SELECT 7, 1")
    assert rows("SELECT * FROM t") == [{"id": 7, "k": 1}]
    sql("CREATE OR REPLACE TABLE t AS SELECT 'x' AS name")
    assert rows("SELECT * FROM t") == [{"name": "x"}]
    assert rows("SELECT count(*) AS n FROM t VERSION AS OF 0") == [{"n": 10}]
    history = rows("DESCRIBE HISTORY t")
    assert [h["version"] for h in history] == [2, 1, 0]
    assert [h["operation"] for h in history] == ["CREATE OR REPLACE TABLE AS SELECT", "WRITE", "CREATE TABLE AS SELECT"]
    assert rows("SHOW TABLES") == [{"schema": "default", "table": "t", "location": str(warehouse / "default/t")}]
    sql("DROP TABLE t")
    assert not (warehouse / "default/t").exists()
    sql("DROP TABLE IF EXISTS t")
    failed = sql("DROP TABLE t", check=1)
    assert "is not a Delta table" in failed.err


def test_location_outlives_the_name(sql, rows, tmp_path):
    place = tmp_path / "elsewhere"
    sql(f"CREATE TABLE ext (a INT) LOCATION '{place}'")
    sql("INSERT INTO ext VALUES (5)")
    sql("DROP TABLE ext")
    assert rows(f"SELECT * FROM delta.`{place}`") == [{"a": 5}]


def test_detail_and_properties(sql, rows):
    sql("CREATE TABLE t (a INT, b STRING) PARTITIONED BY (b) COMMENT 'a test' TBLPROPERTIES ('delta.checkpointInterval' = '5')")
    sql("INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    detail = rows("DESCRIBE DETAIL t")[0]
    assert detail["format"] == "delta" and detail["numFiles"] == 2 and detail["partitionColumns"] == ["b"]
    assert detail["properties"] == {"delta.checkpointInterval": "5"} and detail["description"] == "a test"
    assert {"key": "delta.checkpointInterval", "value": "5"} in rows("SHOW TBLPROPERTIES t")
    assert "PARTITIONED BY" in rows("SHOW CREATE TABLE t")[0]["createtab_stmt"]


def test_idempotent_insert(sql, rows):
    sql("CREATE TABLE t (a INT)")
    for _ in range(2):
        sql("INSERT INTO t WITH (txnAppId = 'loader', txnVersion = 7) VALUES (1)")
    assert rows("SELECT count(*) AS n FROM t") == [{"n": 1}]
    assert "txnAppId and txnVersion" in sql("INSERT INTO t WITH (txnVersion = 8) VALUES (1)", check=1).err


def test_checkpoints_appear_and_are_read(sql, rows, warehouse):
    sql("CREATE TABLE t (a INT) TBLPROPERTIES ('delta.checkpointInterval' = '3');" +
        ";".join(f"INSERT INTO t VALUES ({i})" for i in range(7)))
    log = warehouse / "default/t/_delta_log"
    assert (log / f"{6:020d}.checkpoint.parquet").exists() and (log / "_last_checkpoint").exists()
    for old in range(6):  # as the cleanup of a log leaves it: the oldest commit is the one of the checkpoint
        (log / f"{old:020d}.json").unlink()
    assert rows("SELECT list(a ORDER BY a) AS l FROM t") == [{"l": list(range(7))}]


@pytest.mark.parametrize("statement, what, code", [
    ("SELECT * FROM orders WHERE ammount > 0", "ammount", "FR-SQL-002"),
    ("SELEC 1", "SELEC", "FR-SQL-001"),
    ("SELECT * FROM ordres", "ordres", ""),
    ("INSERT INTO orders VALUES (1, 2, 3)", "columns", "FR-DELTA-009"),
    ("INSERT INTO orders BY NAME SELECT 1 AS id, 2 AS amuont", "amuont", "FR-DELTA-009"),
    ("INSERT INTO orders VALUES (NULL, 3)", "id", "FR-DELTA-010"),
    ("CREATE TABLE orders (a INT)", "already", "FR-DELTA-017"),
    ("CREATE TABLE x (a INTERVAL)", "INTERVAL", "FR-DELTA-013"),
    ("CREATE STREAMING TABLE x AS SELECT * FROM STREAM orders", "pipeline", "FR-PIPELINE-004"),
    ("SELECT * FROM orders VERSION AS OF 99", "99", "FR-DELTA-006"),
    ("SELECT * FROM orders TIMESTAMP AS OF '2001-01-01'", "2001", "FR-DELTA-007"),
    ("CREATE TABLE y (a INT) TBLPROPERTIES ('delta.apendOnly' = 'true')", "delta.apendOnly", "FR-DELTA-015"),
    ("CREATE TABLE z (\"a b\" INT) TBLPROPERTIES ('delta.columnMapping.mode' = 'none')", "a b", "FR-DELTA-014"),
])
def test_errors_name_the_thing(sql, statement, what, code):
    sql("CREATE TABLE orders (id BIGINT NOT NULL, amount INT)")
    failed = sql(statement, check=1)
    lines = failed.err.splitlines()
    assert lines[0].startswith("error: ") and what in failed.err and f"code: {code}" in failed.err
    assert failed.out == ""


def test_an_error_shows_its_place(sql):
    sql("CREATE TABLE orders (id BIGINT, amount INT)")
    failed = sql("SELECT *\nFROM orders\nWHERE ammount > 0", check=1)
    assert "-c:3:7: " in failed.err and "  3 | WHERE ammount > 0" in failed.err and "^^^^^^^" in failed.err


def test_formats(sql, freshet, warehouse, tmp_path):
    query = "SELECT 1 AS a, 'x, \"y\"' AS b UNION ALL SELECT NULL, '' ORDER BY 1"
    assert sql(query, "--format", "csv").out.splitlines() == ["a,b", '1,"x, ""y"""', ',""']
    assert sql(query, "--format", "jsonl").out.splitlines() == ['{"a":1,"b":"x, \\"y\\""}', '{"a":null,"b":""}']
    assert "(2 rows)" in sql(query).out
    assert "┌" in sql(query, "--format", "box").out
    out = tmp_path / "o.parquet"
    sql(query, "--format", "parquet", "-o", out)
    assert out.exists()
    assert freshet("sql", "--format", "xml", "-c", "SELECT 1").code == 2


def test_counts_of_changed_rows(sql, rows):
    """Columns are Spark's; programs that read the answer of a question do not get counts between its rows."""
    assert "num_affected_rows  num_inserted_rows" in sql("CREATE TABLE t (a BIGINT); INSERT INTO t VALUES (1), (2); SELECT * FROM t").out
    insert = "INSERT INTO t {} VALUES (1), (2)"
    assert rows(insert.format("")) == [{"num_affected_rows": 2, "num_inserted_rows": 2}]
    once = insert.format("WITH (txnAppId = 'x', txnVersion = 1)")
    assert [row["num_inserted_rows"] for row in rows(f"{once}; {once}")] == [2, 0]
    assert rows("INSERT INTO t REPLACE WHERE a = 1 VALUES (1)") == [{"num_affected_rows": 1, "num_inserted_rows": 1}]
    assert rows("INSERT INTO t VALUES (3); DELETE FROM t WHERE a = 2; SELECT sum(a)::INT AS a FROM t") == [{"a": 4}]
    assert rows("INSERT INTO t VALUES (3); DELETE FROM t WHERE a = 3") == [{"num_affected_rows": 1, "num_inserted_rows": 1}, {"num_affected_rows": 2}]


def test_schemas(sql, rows):
    """USE chooses the schema of names without one, for reading, changing, making, cloning and dropping."""
    sql("CREATE SCHEMA silver; CREATE SCHEMA IF NOT EXISTS silver")
    assert rows("SHOW SCHEMAS") == [{"schema": "default"}, {"schema": "silver"}]
    assert rows("""USE silver; CREATE TABLE t (a BIGINT); CREATE TABLE default.t (b BIGINT); INSERT INTO t VALUES (1), (2); DELETE FROM t WHERE a = 1;
        CREATE TABLE c CLONE t; CREATE TEMP VIEW v AS FROM t; CREATE TABLE gone (a INT); DROP TABLE gone; FROM v""") == [{"a": 2}]
    assert [(row["schema"], row["table"]) for row in rows("SHOW TABLES")] == [("default", "t"), ("silver", "c"), ("silver", "t")]
    assert rows("SELECT a, b FROM silver.c, default.t") == [] and rows("USE silver; USE default; FROM t") == []
    assert "SCHEMA_ALREADY_EXISTS" in sql("CREATE SCHEMA Silver", check=1).err
    assert "SCHEMA_NOT_EMPTY" in sql("DROP SCHEMA silver", check=1).err
    assert "SCHEMA_NOT_FOUND" in sql("USE gold", check=1).err
    assert rows("USE silver; DROP TABLE c; DROP TABLE t; DROP SCHEMA silver; DROP SCHEMA IF EXISTS silver; SHOW SCHEMAS") == [{"schema": "default"}]
    assert rows("ATTACH ':memory:' AS m; USE m; SELECT current_database() AS d") == [{"d": "m"}]  # a catalog of DuckDB's own


def test_errors_name_the_cause(sql, freshet, warehouse, tmp_path):
    """What is wrong, where, and what helps: not only that something did not work."""
    unknown = sql("CREATE TABLE g (a INT, b INT GENERATED ALWAYS AS (aa + 1))", check=1).err
    assert 'Referenced column "aa" not found' in unknown and 'there is: "a"' in unknown
    default = sql("CREATE TABLE g (a INT, b INT DEFAULT (a + 1))", check=1).err
    assert "names no columns" in default and "INVALID_DEFAULT_VALUE" in default
    sql("CREATE TABLE t (a INT)")
    wrong = "TBLPROPERTIES ('delta.appendOnly' = 'true',\n  'delta.enableDeletionVector' = 'true')"
    assert "-c:2:3: " in sql(f"CREATE TABLE g (a INT) {wrong}", check=1).err
    assert "did you mean STRING?" in sql("CREATE TABLE g (a INT, b STRNG)", check=1).err
    own = "CREATE TABLE g (a INT) TBLPROPERTIES ('freshet.{}' = '{}')"
    assert "pipeline file" in sql(own.format("trigger", "once"), check=1).err
    assert 'did you mean "freshet.log.compactionInterval"' in sql(own.format("log.compactionIntervall", "5"), check=1).err
    assert "cannot be '1'" in sql(own.format("log.compactionInterval", "1"), check=1).err
    pipeline = tmp_path / "p.sql"
    pipeline.write_text(f"CREATE STREAMING TABLE s\n{wrong} AS SELECT * FROM STREAM t")
    for command in ("check", "run"):
        assert "p.sql:3:3: " in freshet(command, "--warehouse", warehouse, pipeline, check=1).err
    pipeline.write_text("CREATE SINK s USING kafka OPTIONS ('a' = 'b')")
    assert "there are no sinks" in freshet("run", "--warehouse", warehouse, pipeline, check=1).err
    assert "there are no sinks" in sql(pipeline.read_text(), check=1).err
    assert 'did you mean "amount"' in sql("CREATE TABLE o (id INT, amount INT); INSERT INTO o (id, amuont) VALUES (1, 2)", check=1).err
    assert "read_files" in sql("COPY o FROM 'x.csv'", check=1).err
    assert "did you mean -c?" in freshet("sql", "-C", "SELECT 1", check=2).err
    pipeline.write_text("CREATE STREAMING TABLE clicks AS SELECT * FROM STREAM o")
    assert 'did you mean "clicks"' in freshet("run", "--warehouse", warehouse, pipeline, "--flow", "cliks", check=1).err


@pytest.mark.parametrize("statement, place", [
    ("INSERT INTO t (a, amuont) VALUES (1, 2)", 19), ("UPDATE t SET amuont = 1", 14), ("CREATE TABLE u (a INT) PARTITIONED BY (b)", 40),
    ("CREATE TABLE u (a INT, b INT DEFAULT (a + 1))", 24), ("INSERT INTO t BY NAME SELECT 1 AS a, 2 AS c", 43),
])
def test_an_error_about_a_column_has_its_place(sql, statement, place):
    err = sql(f"CREATE TABLE t (a INT, amount INT);\n{statement}", check=1).err
    assert f"-c:2:{place}: " in err, err


def test_a_table_that_cannot_be_read_is_not_an_unknown_name(sql, warehouse):
    folder = warehouse / "default/t"
    folder.mkdir(parents=True)
    (folder / "_delta_log").symlink_to("_delta_log")
    err = sql("SELECT * FROM t", check=1).err
    assert "Too many levels of symbolic links" in err and "does not exist" not in err


@pytest.mark.no_lint("a file of it is gone")
def test_a_data_file_that_is_gone(sql, freshet, warehouse, tmp_path):
    sql("CREATE TABLE m (a INT); INSERT INTO m VALUES (1); INSERT INTO m VALUES (2); CREATE TABLE other (a INT)")
    gone = next((warehouse / "default/m").glob("*.parquet"))
    gone.unlink()
    pipeline = tmp_path / "p.sql"
    pipeline.write_text("CREATE STREAMING TABLE s AS SELECT * FROM STREAM m; CREATE MATERIALIZED VIEW v AS SELECT sum(a) AS a FROM m")
    said = [sql(text, check=1).err for text in ("SELECT sum(a) FROM m", "INSERT INTO other FROM m", "UPDATE m SET a = a + 1")]
    said.append(freshet("run", "--available-now", "--warehouse", warehouse, pipeline, check=1).err)
    for err in said:
        assert f"the Delta table {warehouse}/default/m lacks its file {gone.name}" in err and "DELTA_FILE_NOT_FOUND_DETAILED" in err, err


def test_numbers_keep_their_digits(rows):
    row = rows("SELECT 9223372036854775807 AS big, 170141183460469231731687303715884105727::HUGEINT AS huge, "
               "12345678901234567890.123456789::DECIMAL(38,9) AS dec, TIMESTAMPTZ '2026-01-01 00:00:00.000001+00' AS t, 0.1 AS x")
    assert row[0]["big"] == 9223372036854775807 and row[0]["t"].startswith("2026-01-01T00:00:00.000001")


def test_script_and_stdin(freshet, warehouse, tmp_path):
    script = tmp_path / "s.sql"
    script.write_text("-- a comment; with a semicolon\nCREATE TABLE t (s STRING);\nINSERT INTO t VALUES ('a;b');\nSELECT s FROM t;\n")
    done = freshet("sql", "--warehouse", warehouse, "--format", "jsonl", script, check=0)
    assert done.out.strip() == '{"s":"a;b"}'


def test_time_zone(rows):
    assert rows("SELECT current_setting('TimeZone') AS z") == [{"z": "UTC"}]


def test_help_pages(freshet):
    for command in ("run", "check", "sql", "version", "help"):
        page = freshet(command, "--help", check=0)
        assert "SYNOPSIS" in page.out and f"freshet {command}" in page.out
    assert freshet("rnu").code == 2 and 'did you mean "run"' in freshet("rnu").err
    assert "did you mean --warehouse" in freshet("sql", "--warehose", "x").err


def test_sql__a_temporary_view_shows_the_newest_version(freshet, warehouse):
    """Statements between a view and its use read other tables; the view must not see theirs."""
    script = """CREATE TABLE a (x BIGINT); CREATE TABLE b (x BIGINT);
        INSERT INTO a VALUES (1); INSERT INTO b VALUES (100);
        CREATE TEMP VIEW v AS SELECT x * 2 AS y FROM a; CREATE TEMPORARY VIEW w AS SELECT y + 1 AS z FROM v;
        SELECT * FROM b; INSERT INTO a VALUES (2);
        SELECT list(z ORDER BY z) AS zs, (SELECT x FROM b) AS x FROM w"""
    lines = freshet("sql", "--format", "jsonl", "--warehouse", warehouse, "-c", script, check=0).out.splitlines()
    assert lines == ['{"x":100}', '{"zs":[3,5],"x":100}']
    gone = freshet("sql", "--warehouse", warehouse, "-c", "CREATE TEMP VIEW v AS FROM a; DROP VIEW v; FROM v", check=1)
    assert "Table with name v does not exist" in gone.err


@pytest.mark.parametrize("statement", ["CREATE VIEW v AS FROM a", "CREATE MACRO m() AS TABLE FROM a", "PREPARE p AS FROM a"])
def test_sql__what_would_outlive_its_relations_is_refused(freshet, warehouse, statement):
    result = freshet("sql", "--warehouse", warehouse, "-c", f"CREATE TABLE a (x BIGINT); {statement}", check=1)
    assert "CREATE TEMPORARY VIEW" in result.err


def test_a_table_without_columns(freshet, warehouse):
    """The error says which table, and what to do; doing it helps."""
    def sql(text, code=0):
        return freshet("sql", "--warehouse", warehouse, "--format", "jsonl", "-c", text, check=code)

    for name in ("bare", "bare2"):  # as Spark's CREATE TABLE t USING delta makes it
        log = warehouse / "default" / name / "_delta_log"
        log.mkdir(parents=True)
        metadata = {"id": f"00000000-0000-4000-8000-{len(name):012d}", "format": {"provider": "parquet", "options": {}}, "partitionColumns": [],
                    "schemaString": json.dumps({"type": "struct", "fields": []}), "configuration": {}, "createdTime": 1}
        actions = [{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": metadata}]
        (log / f"{0:020d}.json").write_text("".join(json.dumps(action) + "\n" for action in actions))
    failed = sql("SELECT * FROM bare", 1).err
    assert f"{warehouse}/default/bare has no columns yet" in failed and "ADD COLUMN" in failed and "WITH SCHEMA EVOLUTION" in failed and "FR-DELTA-009" in failed
    sql("ALTER TABLE bare ADD COLUMN a INT; INSERT WITH SCHEMA EVOLUTION INTO bare SELECT 1 AS a, 2 AS b")
    assert sql("SELECT * FROM bare").out == '{"a":1,"b":2}\n'
    sql("INSERT WITH SCHEMA EVOLUTION INTO bare2 SELECT 1 AS a")
    assert sql("SELECT * FROM bare2").out == '{"a":1}\n'


def test_text_in_quotes_has_the_type_of_its_column(sql, rows):
    """What DuckDB does for its own tables."""
    sql("CREATE TABLE t (id INT, ts TIMESTAMP, day DATE, price DECIMAL(9,2), note STRING)")
    sql("INSERT INTO t VALUES (1, '2026-01-01 10:00:00', '2026-01-02', '1.5', '2026')")
    sql("INSERT INTO t (day, id) VALUES (NULL, 2), ('2026-02-02', '3')")
    sql("UPDATE t SET ts = '2026-03-03', day = '2026-03-04' WHERE id = 2")
    sql("MERGE INTO t USING (VALUES (3), (4)) AS s(k) ON t.id = s.k WHEN MATCHED THEN UPDATE SET price = '2' "
        "WHEN NOT MATCHED THEN INSERT (id, day) VALUES (s.k, '2026-05-05')")
    assert rows("SELECT id, ts::TEXT AS ts, day::TEXT AS day, price, note FROM t ORDER BY id") == [
        {"id": 1, "ts": "2026-01-01 10:00:00", "day": "2026-01-02", "price": 1.5, "note": "2026"},
        {"id": 2, "ts": "2026-03-03 00:00:00", "day": "2026-03-04", "price": None, "note": None},
        {"id": 3, "ts": None, "day": "2026-02-02", "price": 2, "note": None},
        {"id": 4, "ts": None, "day": "2026-05-05", "price": None, "note": None}]
    assert "nope" in sql("INSERT INTO t (day) VALUES ('nope')", check=1).err
    assert "cannot take VARCHAR" in sql("INSERT INTO t (day) SELECT note FROM t", check=1).err


def test_every_error_names_its_statement(freshet, warehouse):
    err = freshet("sql", "--warehouse", warehouse, "-c", "CREATE TABLE t (a INT);\nINSERT INTO t SELECT 1, 2", check=1).err
    assert "-c:2:1: the query gives 2 columns" in err


def test_a_wrong_table_name_gets_a_right_one(sql):
    sql("CREATE TABLE silver.orders (a INT)")
    for wrong in ("silver.order", "oders", "Silver.Orderss"):
        assert 'did you mean "silver.orders"?' in sql(f"SELECT * FROM {wrong}", check=1).err
    assert "--warehouse" in sql("SELECT * FROM unlike", check=1).err


@pytest.mark.parametrize("properties, what", [
    ("'delta.universalFormat.enabledFormats' = 'iceberg'", "no metadata of other formats"),
    ("'delta.dataSkippingStatsColumns' = 'a, s.z'", 'names "s.z", which is no column'),
    ("'delta.minReaderVersion' = '4'", "1 .. 3"),
])
def test_properties_that_cannot_be_kept(sql, properties, what):
    sql("CREATE TABLE t (a INT, s STRUCT<x: INT>)")
    for statement in ("CREATE TABLE u (a INT, s STRUCT<x: INT>) TBLPROPERTIES ({})", "ALTER TABLE t SET TBLPROPERTIES ({})"):
        assert what in sql(statement.format(properties), check=1).err


def test_versions_of_named_features_are_no_upgrade(sql, rows):
    """As Spark makes it: the protocol is the smallest that the table needs."""
    sql("CREATE TABLE t (a INT, `b.c` INT) TBLPROPERTIES ('delta.minReaderVersion' = '3', 'delta.minWriterVersion' = '7', "
        "'delta.dataSkippingStatsColumns' = 'A, `b.c`')")
    sql("ALTER TABLE t SET TBLPROPERTIES ('delta.minReaderVersion' = '3', 'delta.minWriterVersion' = '7', "
        "'delta.enableDeletionVectors' = 'true')")
    detail = rows("DESCRIBE DETAIL t")[0]
    assert (detail["minReaderVersion"], detail["minWriterVersion"]) == (3, 7)
    assert "deletionVectors" in detail["tableFeatures"]


def test_what_a_cell_holds_stays_in_it(freshet):
    query = "SELECT '' AS empty, NULL AS nothing, 'a\nb' AS \"two\nlines\", chr(27) || '[31mred' AS colour"
    lines = freshet("sql", "-c", query).out.splitlines()
    assert lines[0].split() == ["empty", "nothing", "two", "lines", "colour"]
    assert "a b" in lines[2] and "?[31mred" in lines[2] and len(lines) == 4
    csv = freshet("sql", "--format", "csv", "-c", "SELECT '' AS a, NULL AS b, 'x' AS c").out
    assert csv == 'a,b,c\n"",,x\n'


@pytest.mark.parametrize("statement, what", [
    ("BEGIN; INSERT INTO t VALUES (1, 'x'); ROLLBACK", "a commit of its own"),
    ("START TRANSACTION", "no transactions"),
    ("TRUNCATE t", "t is a Delta table"),
    ("COPY t FROM 'nothing.csv'", "t is a Delta table"),
    ("COMMENT ON COLUMN t.a IS 'x'", "t is a Delta table"),
    ("UPDATE t SET v = s.v FROM s WHERE s.a = t.a", "MERGE INTO"),
    ("DELETE FROM t USING s WHERE s.a = t.a", "MERGE INTO"),
])
def test_what_other_databases_have(sql, rows, statement, what):
    sql("CREATE TABLE t (a INT, v STRING); CREATE TABLE s (a INT, v STRING)")
    assert what in sql(statement, check=1).err
    assert rows("SELECT * FROM t") == []


def test_distinct_from_is_no_second_table(sql, rows):
    sql("CREATE TABLE t AS SELECT 1 AS a, 'x' AS v")
    sql("UPDATE t SET v = CASE WHEN v IS DISTINCT FROM 'x' THEN 'y' ELSE substring('abc' FROM 2) END WHERE a IS NOT DISTINCT FROM 1")
    assert rows("SELECT * FROM t") == [{"a": 1, "v": "bc"}]


def test_comment_on_a_table(sql, rows):
    sql("CREATE TABLE t (a INT) COMMENT 'first'")
    sql("COMMENT ON TABLE t IS 'it''s the second'")
    assert rows("DESCRIBE DETAIL t")[0]["description"] == "it's the second"
    sql("ALTER TABLE t SET TBLPROPERTIES ('comment' = 'third', 'owner' = 'me')")
    detail = rows("DESCRIBE DETAIL t")[0]
    assert detail["description"] == "third" and detail["properties"] == {"owner": "me"}
    sql("COMMENT ON TABLE t IS NULL")
    assert rows("DESCRIBE DETAIL t")[0]["description"] == ""
    assert rows("DESCRIBE HISTORY t LIMIT 1")[0]["operation"] == "SET TBLPROPERTIES"
