"""VARIANT columns: written by freshet and read by Spark, written by Spark in each of its forms and read by freshet, and both in one
table that is then changed."""
import json

import pytest

TABLE = """
CREATE TABLE t (id INTEGER, v VARIANT, s STRUCT<x: VARIANT>, l ARRAY<VARIANT>, m MAP<STRING, VARIANT>);
INSERT INTO t VALUES
  (1, 5::VARIANT, {'x': 'text'::VARIANT}, ['z'::VARIANT, NULL], MAP {'k': [1, 2]::VARIANT}),
  (2, NULL, NULL, NULL, NULL),
  (3, '{"a": [1, null, {"b": 2.5}], "c": "é"}'::JSON::VARIANT, {'x': NULL}, [], MAP {}),
  (4, {'d': DATE '2026-01-02', 't': TIMESTAMPTZ '2026-01-02 03:04:05.678901+00', 'n': TIMESTAMP '2026-01-02 03:04:05', 'b': '\\x01\\xFF'::BLOB,
       'dec': 12345678901234567890.12::DECIMAL(30, 2), 'big': 9223372036854775807, 'f': 1.5::FLOAT, 'no': false}::VARIANT, NULL, NULL, NULL);
"""
ROWS = {
    1: [5, {"x": "text"}, ["z", None], {"k": [1, 2]}],
    2: [None, None, None, None],
    3: [{"a": [1, None, {"b": 2.5}], "c": "é"}, {"x": None}, [], {}],
}


@pytest.fixture
def rows(freshet, warehouse):
    def run(sql):
        done = freshet("sql", "--warehouse", warehouse, "--format", "jsonl", "-c", sql, check=0)
        return [json.loads(line) for line in done.out.splitlines()]

    return run


@pytest.fixture
def table(freshet, warehouse):
    script = warehouse.parent / "t.sql"
    script.write_text(TABLE)
    freshet("sql", script, "--warehouse", warehouse, check=0)
    return warehouse / "default/t"


def read_back(rows):
    return {row["id"]: [row["v"], row["s"], row["l"], row["m"]] for row in rows("SELECT * FROM t WHERE id < 4")}


def test_round_trip(table, rows):
    assert read_back(rows) == ROWS
    assert rows("SELECT v.c AS c, v.a[3].b::DOUBLE AS b FROM t WHERE id = 3") == [{"c": "é", "b": 2.5}]
    assert rows("SELECT id FROM t WHERE v IS NULL") == [{"id": 2}]
    assert rows("SELECT variant_typeof(v.dec) AS d, variant_typeof(v.d) AS t FROM t WHERE id = 4") == [
        {"d": "DECIMAL(38, 2)", "t": "DATE"}]


def test_the_log_says_so(table):
    protocol = next(json.loads(line)["protocol"] for line in open(table / "_delta_log" / f"{0:020d}.json") if "protocol" in line)
    assert "variantType" in protocol["readerFeatures"] and "variantType" in protocol["writerFeatures"]


@pytest.mark.parametrize("vectors", ["true", "false"])
def test_changed_rows(table, rows, vectors):
    rows(f"ALTER TABLE t SET TBLPROPERTIES ('delta.enableDeletionVectors' = '{vectors}')")
    rows("UPDATE t SET v = [id]::VARIANT WHERE id = 1; DELETE FROM t WHERE id = 2")
    rows("MERGE INTO t USING (SELECT 7 AS id, 'seven'::VARIANT AS v) AS n ON t.id = n.id WHEN NOT MATCHED THEN INSERT (id, v) VALUES (n.id, n.v)")
    assert read_back(rows) == {1: [[1], *ROWS[1][1:]], 3: ROWS[3]}
    assert rows("SELECT v FROM t WHERE id = 7") == [{"v": "seven"}]


def test_column_mapping_and_a_stream(freshet, warehouse, rows, table):
    rows("CREATE TABLE mapped (\"the id\" INTEGER, \"the v\" VARIANT); INSERT INTO mapped SELECT id, v FROM t")
    assert rows('SELECT "the v" AS v FROM mapped WHERE "the id" = 3') == [{"v": ROWS[3][0]}]
    pipeline = warehouse.parent / "p.sql"
    pipeline.write_text("CREATE STREAMING TABLE copied AS SELECT id, v, l FROM STREAM t;")
    freshet("run", pipeline, "--warehouse", warehouse, "--available-now", check=0)
    assert {row["id"]: [row["v"], row["l"]] for row in rows("SELECT * FROM copied WHERE id < 4")} == {
        id: [values[0], values[2]] for id, values in ROWS.items()}


def test_copied_to_parquet(freshet, table, rows, warehouse):
    out = warehouse.parent / "o.parquet"
    rows(f"COPY (SELECT * FROM t) TO '{out}' (FORMAT parquet)")
    types = {row["column_name"]: row["column_type"] for row in rows(f"DESCRIBE SELECT * FROM '{out}'")}
    assert types == {"id": "INTEGER", "v": "VARIANT", "s": "STRUCT(x JSON)", "l": "JSON[]", "m": "MAP(VARCHAR, JSON)"}
    assert rows(f"SELECT v, s FROM '{out}' WHERE id = 1") == [{"v": 5, "s": {"x": "text"}}]


def test_a_type_that_a_variant_file_has_not(freshet, table, warehouse):
    done = freshet("sql", "--warehouse", warehouse, "-c", "INSERT INTO t (id, v) VALUES (9, (INTERVAL 1 DAY)::VARIANT)")
    assert done.code == 1 and "INTERVAL" in done.err, done


# ---- Spark -----------------------------------------------------------------------------------------------------------


def spark_rows(spark, path, *columns):
    return {row[0]: list(row[1:]) for row in spark.read.format("delta").load(str(path)).selectExpr("id", *columns).collect()}


def test_spark_reads(table, spark):
    got = spark_rows(spark, table, "to_json(v)", "to_json(s)", "to_json(l)", "to_json(m)", "v IS NULL")
    assert [json.loads(value) if value else None for value in got[1][:4]] == ROWS[1]
    assert got[2] == [None, None, None, None, True]
    assert json.loads(got[3][0]) == ROWS[3][0]
    (kinds,) = spark_rows(spark, table, "schema_of_variant(v)")[4]
    assert kinds == "OBJECT<b: BINARY, big: BIGINT, d: DATE, dec: DECIMAL(22,2), f: FLOAT, n: TIMESTAMP_NTZ, no: BOOLEAN, t: TIMESTAMP>"


SPARK_ROWS = """VALUES (11, parse_json('{"a":1,"b":"x","c":[1,2.5,null,true],"d":{"e":null}}')), (12, parse_json('5')), (13, parse_json('null')),
  (14, NULL), (15, parse_json('[]')), (16, parse_json('{"a":"other","zz":7}')), (17, to_variant_object(named_struct('d', DATE'2024-01-02',
  't', TIMESTAMP'2024-01-02 03:04:05.678901Z', 'b', X'0102ff', 'f', CAST(1.5 AS FLOAT), 'dec', 12345678901234567890.5BD)))"""
SHREDDED = "a INT, b STRING, c ARRAY<DECIMAL(10,1)>, d STRUCT<e: INT>, dec DECIMAL(25,1), t TIMESTAMP"
SPARK_VALUES = {11: {"a": 1, "b": "x", "c": [1, 2.5, None, True], "d": {"e": None}}, 12: 5, 13: None, 14: None, 15: [], 16: {"a": "other", "zz": 7},
                17: {"d": "2024-01-02", "t": "2024-01-02T03:04:05.678901Z", "b": "AQL/", "f": 1.5, "dec": 12345678901234567890.5}}


def test_spark_writes_every_form(table, spark, rows):
    """With Parquet's logical type, without it, and shredded; in one table with files of freshet, then changed by freshet."""
    spark.sql(f"ALTER TABLE delta.`{table}` SET TBLPROPERTIES ('delta.enableVariantShredding' = 'true')")
    try:
        for offset, (annotate, shred) in enumerate([("true", ""), ("false", ""), ("true", SHREDDED)]):
            spark.conf.set("spark.sql.parquet.variant.annotateLogicalType.enabled", annotate)
            spark.conf.set("spark.sql.variant.writeShredding.enabled", "true" if shred else "false")
            spark.conf.set("spark.sql.variant.forceShreddingSchemaForTest", shred)
            spark.sql(f"INSERT INTO delta.`{table}` (id, v) SELECT id + {100 * offset}, v FROM {SPARK_ROWS} AS s(id, v)")
    finally:
        for name in ("parquet.variant.annotateLogicalType.enabled", "variant.writeShredding.enabled", "variant.forceShreddingSchemaForTest"):
            spark.conf.unset("spark.sql." + name)
    expected = {id + 100 * n: value for n in range(3) for id, value in SPARK_VALUES.items()}
    assert {row["id"]: row["v"] for row in rows("SELECT id, v FROM t WHERE id > 10")} == expected
    assert read_back(rows) == ROWS
    rows("UPDATE t SET id = id + 1000 WHERE id % 100 IN (11, 12, 14, 16, 17)")
    got = spark_rows(spark, table, "to_json(v)", "v IS NULL")
    for n in range(3):
        assert json.loads(got[1011 + 100 * n][0]) == SPARK_VALUES[11] and json.loads(got[1016 + 100 * n][0]) == SPARK_VALUES[16]
        assert got[1014 + 100 * n] == [None, True] and got[1012 + 100 * n] == ["5", False]
        assert "2024-01-02 03:04:05.678901" in got[1017 + 100 * n][0] and "12345678901234567890.5" in got[1017 + 100 * n][0]


def test_converted_variants(freshet, rows, warehouse):
    """Files of DuckDB's own, which keeps typed parts: the table names the feature for that."""
    place = warehouse / "converted"
    place.mkdir()
    freshet("sql", "-c", f"COPY (SELECT i AS id, {{'k': i}}::VARIANT AS v FROM range(100) r(i)) TO '{place}/x.parquet'; "
            f"CONVERT TO DELTA parquet.`{place}`", check=0)
    protocol = next(json.loads(line)["protocol"] for line in (place / "_delta_log" / f"{0:020d}.json").read_text().splitlines() if '"protocol"' in line)
    assert set(protocol["readerFeatures"]) == {"variantType", "variantShredding"}
    assert rows(f"SELECT sum(variant_extract(v, 'k')::INT)::INT AS s FROM delta.`{place}`") == [{"s": 4950}]


@pytest.mark.parametrize("depth", [1100, 20_000, 200_000])
def test_nested_too_deep(freshet, warehouse, depth):
    text = warehouse.parent / "deep.json"
    text.write_text("[" * depth + "]" * depth)
    done = freshet("sql", "--warehouse", warehouse, "-c", f"CREATE TABLE d (v VARIANT); INSERT INTO d SELECT content::JSON::VARIANT FROM read_text('{text}')")
    assert done.code == 1 and "nested more than 1000 levels" in done.err
    freshet("sql", "--warehouse", warehouse, "-c", "INSERT INTO d SELECT (repeat('[', 900) || repeat(']', 900))::JSON::VARIANT; SELECT length(v::VARCHAR) FROM d", check=0)
