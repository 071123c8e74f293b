"""Tables between engines: what freshet writes is read by delta-rs and Spark with equal rows, what they write is read by freshet,
and both write one table in turn.

Rows are compared as plain values (see `plain`): one form for what delta-rs, Spark and freshet's JSON lines say.
"""
import base64
import datetime
import functools
import json
import re
from decimal import Decimal

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

UTC = datetime.timezone.utc


ZULU = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def plain(value):
    """Numbers, times and bytes as texts; instants in UTC and without the zone."""
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        number = Decimal(repr(value) if isinstance(value, float) else value)
        return f"{number.normalize():f}" if number else "0"
    if isinstance(value, str) and ZULU.fullmatch(value):
        value = datetime.datetime.fromisoformat(value)
    if isinstance(value, datetime.datetime):
        value = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return value.isoformat(timespec="microseconds")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def plain_rows(rows):
    return sorted(([plain(value) for value in row] for row in rows), key=lambda row: json.dumps(row, sort_keys=True))


class Reader:
    """freshet(...) and one way to read for each engine; all give rows as lists in the order of the columns asked for."""

    def __init__(self, freshet):
        self.freshet = freshet

    def ours(self, path, columns):
        answer = self.freshet("sql", "--format", "jsonl", "-c", f"SELECT {columns} FROM delta.`{path}`", check=0)
        return plain_rows(json.loads(line, parse_float=Decimal).values() for line in answer.out.splitlines())

    @staticmethod
    def deltars(path, names):
        return plain_rows(row.values() for row in DeltaTable(str(path)).to_pyarrow_table(columns=names).to_pylist())

    @staticmethod
    def spark(session, path, columns):
        rows = session.read.format("delta").load(str(path)).selectExpr(*columns).collect()
        return plain_rows(row.asDict(recursive=True).values() for row in rows)


@pytest.fixture
def read(freshet):
    return Reader(freshet)


# ---- ours, read by others ------------------------------------------------------------------------------------------

ALL_TYPES = """
CREATE TABLE t (b BOOLEAN, i1 TINYINT, i2 SMALLINT, i4 INTEGER, i8 BIGINT, f4 FLOAT, f8 DOUBLE, d92 DECIMAL(9,2), d18 DECIMAL(18,4),
  d38 DECIMAL(38,10), s STRING, bin BINARY, d DATE, ts TIMESTAMPTZ, ntz TIMESTAMP_NTZ, st STRUCT<a: INT, b: STRING>,
  arr ARRAY<INT>, deep ARRAY<STRUCT<k: STRING, v: ARRAY<DOUBLE>>>, m MAP<STRING, INT>);
INSERT INTO t VALUES
  (true, 1, 2, 3, 4, 1.5, 2.5, 12.34, 5.6789, 12345678901234567890.0123456789, 'é ''x'' \\ "y"', '\\xAA\\xBB'::BLOB, DATE '2026-01-02',
   TIMESTAMPTZ '2026-01-02 03:04:05.678901+00', TIMESTAMP '2026-01-02 03:04:05.678901', {'a': 1, 'b': 'x'}, [1, NULL, 3],
   [{'k': 'z', 'v': [1.5, NULL]}, NULL], MAP {'k': 1, 'l': NULL});
INSERT INTO t VALUES
  (false, -128, -32768, -2147483648, -9223372036854775808, -0.25, 1e300, -9999999.99, -99999999999999.9999, -1, '', ''::BLOB,
   DATE '1969-12-31', TIMESTAMPTZ '1969-12-31 23:59:59.999999+00', TIMESTAMP '9999-12-31 23:59:59.999999', {'a': NULL, 'b': NULL}, [],
   []::STRUCT(k VARCHAR, v DOUBLE[])[], MAP {}::MAP(VARCHAR, INTEGER));
INSERT INTO t (i8) VALUES (9223372036854775807);
"""
ALL_NAMES = "b i1 i2 i4 i8 f4 f8 d92 d18 d38 s bin d ts ntz st arr deep m".split()
FIRST = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901)
ALL_ROWS = [
    [True, 1, 2, 3, 4, 1.5, 2.5, Decimal("12.34"), Decimal("5.6789"), Decimal("12345678901234567890.0123456789"), "é 'x' \\ \"y\"",
     b"\xaa\xbb", FIRST.date(), FIRST.replace(tzinfo=UTC), FIRST, {"a": 1, "b": "x"}, [1, None, 3],
     [{"k": "z", "v": [1.5, None]}, None]],
    [False, -128, -32768, -(2**31), -(2**63), -0.25, 1e300, Decimal("-9999999.99"), Decimal("-99999999999999.9999"), Decimal(-1), "", b"",
     datetime.date(1969, 12, 31), datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
     datetime.datetime(9999, 12, 31, 23, 59, 59, 999999), {"a": None, "b": None}, [], []],
    [None] * 4 + [2**63 - 1] + [None] * 13,
]
ALL_MAPS = [[("k", 1), ("l", None)], [], None]


@pytest.fixture
def all_types(freshet, warehouse):
    script = warehouse.parent / "all.sql"
    script.write_text(ALL_TYPES)
    freshet("sql", script, "--warehouse", warehouse, check=0)
    return warehouse / "default/t"


def test_all_types__delta_rs(all_types, read):
    assert read.deltars(all_types, ALL_NAMES[:-1]) == plain_rows(ALL_ROWS)
    assert sorted(read.deltars(all_types, ["m"]), key=str) == sorted(plain_rows([[pairs] for pairs in ALL_MAPS]), key=str)


def test_all_types__spark(all_types, read, spark):
    assert read.spark(spark, all_types, ALL_NAMES[:-1]) == plain_rows(ALL_ROWS)
    maps = plain_rows([[None if pairs is None else dict(pairs)] for pairs in ALL_MAPS])
    assert read.spark(spark, all_types, ["m"]) == maps


def test_all_types__skipping_by_statistics(all_types, spark):
    """A filter on each column finds its row again: a wrong minimum or maximum in the log would lose it."""
    from pyspark.sql import functions as F

    table = spark.read.format("delta").load(str(all_types))
    rows = table.select(ALL_NAMES[:15]).where("i4 IS NOT NULL").collect()
    found = [table.where(F.col(name) == F.lit(row[name])).select(F.lit(name)) for name in ALL_NAMES[:15] for row in rows]
    names = [row[0] for row in functools.reduce(lambda one, other: one.union(other), found).collect()]
    assert sorted(names) == sorted(ALL_NAMES[:15] * 2)


PARTITION_TEXTS = ["plain", "a b", "c/d", "e=f", "g%h", "ä ö", "q?r#s", "it's", None]


@pytest.fixture
def partitioned(freshet, warehouse):
    statements = ["CREATE TABLE p (id BIGINT, part STRING, day DATE, even BOOLEAN) PARTITIONED BY (part, day, even)"]
    for n, text in enumerate(PARTITION_TEXTS):
        part = "NULL::VARCHAR" if text is None else "'" + text.replace("'", "''") + "'"
        statements.append(f"INSERT INTO p VALUES ({n}, {part}, DATE '2026-01-0{n % 3 + 1}', {n % 2 == 0})")
    freshet("sql", "--warehouse", warehouse, "-c", "; ".join(statements), check=0)
    return warehouse / "default/p"


PARTITION_ROWS = [[n, text, datetime.date(2026, 1, n % 3 + 1), n % 2 == 0] for n, text in enumerate(PARTITION_TEXTS)]


def test_partitions__delta_rs(partitioned, read):
    assert read.deltars(partitioned, ["id", "part", "day", "even"]) == plain_rows(PARTITION_ROWS)


def test_partitions__spark(partitioned, read, spark):
    assert read.spark(spark, partitioned, ["id", "part", "day", "even"]) == plain_rows(PARTITION_ROWS)
    frame = spark.read.format("delta").load(str(partitioned))
    assert frame.where("part = 'c/d'").count() == 1 and frame.where("day = DATE '2026-01-02'").count() == 3


COMMITS = 25


@pytest.fixture
def many_commits(freshet, warehouse):
    """Two checkpoints and a tail, an overwrite in between, then more."""
    statements = ["CREATE TABLE c (id BIGINT, v STRING)"]
    statements += [f"INSERT INTO c VALUES ({n}, 'v{n}')" for n in range(COMMITS)]
    statements += ["INSERT OVERWRITE c SELECT id + 100 AS id, v FROM c", "INSERT INTO c VALUES (1000, 'last')"]
    freshet("sql", "--warehouse", warehouse, "-c", "; ".join(statements), check=0)
    log = warehouse / "default/c/_delta_log"
    assert len(list(log.glob("*.checkpoint*.parquet"))) >= 2 and (log / "_last_checkpoint").exists()
    return warehouse / "default/c"


MANY_ROWS = [[n + 100, f"v{n}"] for n in range(COMMITS)] + [[1000, "last"]]


def test_checkpoints__delta_rs(many_commits, read):
    assert read.deltars(many_commits, ["id", "v"]) == plain_rows(MANY_ROWS)
    assert DeltaTable(str(many_commits), version=5).to_pyarrow_table().num_rows == 5


def test_checkpoints__spark(many_commits, read, spark):
    assert read.spark(spark, many_commits, ["id", "v"]) == plain_rows(MANY_ROWS)
    assert spark.read.format("delta").option("versionAsOf", 12).load(str(many_commits)).count() == 12


def test_checkpoints__only_the_last_one_is_left(many_commits, read):
    """The commits before the newest checkpoint are gone, as after a clean-up."""
    log = many_commits / "_delta_log"
    newest = max(path.name[:20] for path in log.glob("*.checkpoint*.parquet"))
    for path in log.glob("*.json"):
        if path.name[:20] < newest:
            path.unlink()
    assert read.deltars(many_commits, ["id", "v"]) == plain_rows(MANY_ROWS)
    assert read.ours(many_commits, "id, v") == plain_rows(MANY_ROWS)


@pytest.fixture
def growing(freshet, warehouse):
    """A stream whose files bring new columns, one of them inside a struct."""
    landing = warehouse.parent / "landing"
    landing.mkdir()
    pipeline = warehouse.parent / "grow.sql"
    pipeline.write_text(f"CREATE STREAMING TABLE g AS SELECT * FROM STREAM read_files('{landing}', format => 'json');")
    for number, text in enumerate(['{"id": 1}', '{"id": 2, "s": {"a": 1.5}}', '{"id": 3, "s": {"a": 2.5, "b": "x"}, "n": [1, 2]}']):
        (landing / f"{number}.json").write_text(text + "\n")
        freshet("run", pipeline, "--available-now", "--warehouse", warehouse, check=0)
    return warehouse / "default/g"


GROWN_ROWS = [[1, None, None, None], [2, 1.5, None, None], [3, 2.5, "x", [1, 2]]]


def test_grown_schema__delta_rs(growing, read):
    rows = DeltaTable(str(growing)).to_pyarrow_table(columns=["id", "s", "n"]).to_pylist()
    assert plain_rows([r["id"], (r["s"] or {}).get("a"), (r["s"] or {}).get("b"), r["n"]] for r in rows) == plain_rows(GROWN_ROWS)


def test_grown_schema__spark(growing, read, spark):
    assert read.spark(spark, growing, ["id", "s.a", "s.b", "n"]) == plain_rows(GROWN_ROWS)


# ---- theirs, read by us ----------------------------------------------------------------------------------------------

ARROW = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "i4": pa.array([1, None, -5], pa.int32()),
        "f8": pa.array([1.5, None, -0.25], pa.float64()),
        "dec": pa.array([Decimal("1.23"), None, Decimal("-4.50")], pa.decimal128(10, 2)),
        "s": pa.array(["a", None, "ü ''"], pa.string()),
        "bin": pa.array([b"\x00\x01", None, b""], pa.binary()),
        "d": pa.array([datetime.date(2026, 1, 1), None, datetime.date(1900, 1, 1)], pa.date32()),
        "ts": pa.array([FIRST.replace(tzinfo=UTC), None, FIRST.replace(tzinfo=UTC)], pa.timestamp("us", "UTC")),
        "ntz": pa.array([FIRST, None, FIRST], pa.timestamp("us")),
        "st": pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": None}], pa.struct([("a", pa.int64()), ("b", pa.string())])),
        "arr": pa.array([[1, None], None, []], pa.list_(pa.int64())),
        "part": pa.array(["x y", None, "ä/b"], pa.string()),
    }
)
ARROW_ROWS = [list(row.values()) for row in ARROW.to_pylist()]


@pytest.mark.parametrize("partitions", [[], ["part"], ["part", "d"]], ids=["flat", "one", "two"])
def test_delta_rs_writes(warehouse, read, partitions):
    path = warehouse / "theirs"
    write_deltalake(str(path), ARROW, partition_by=partitions or None)
    write_deltalake(str(path), ARROW, mode="append")
    assert read.ours(path, ", ".join(ARROW.column_names)) == plain_rows(ARROW_ROWS * 2)


@pytest.mark.no_lint("delta-rs leaves dataChange true in the adds of its checkpoints")
def test_delta_rs_writes__deletes_checkpoints_and_new_columns(warehouse, read):
    path = str(warehouse / "theirs")
    for n in range(6):
        write_deltalake(path, pa.table({"id": [n, n + 100]}), mode="append")
    DeltaTable(path).delete("id >= 103")
    DeltaTable(path).create_checkpoint()
    write_deltalake(path, pa.table({"id": [7], "extra": ["e"]}), mode="append", schema_mode="merge")
    DeltaTable(path).update({"extra": "'u'"}, predicate="id = 2")
    expected = [[n, "u" if n == 2 else None] for n in (0, 1, 2, 3, 4, 5, 100, 101, 102)] + [[7, "e"]]
    assert read.ours(path, "id, extra") == plain_rows(expected)
    assert read.ours(path + "` VERSION AS OF 5 --", "id") == plain_rows([[n] for k in range(6) for n in (k, k + 100)])


def test_spark_writes(warehouse, read, spark):
    path = str(warehouse / "theirs")
    frame = spark.sql("""
        SELECT id, CAST(id AS INT) AS i4, id / 2 AS f8, CAST(id AS DECIMAL(12, 3)) AS dec, concat('s ', id) AS s, CAST('ab' AS BINARY) AS bin,
               DATE '2026-01-01' + CAST(id AS INT) AS d, TIMESTAMP '2026-01-02 03:04:05.678901' AS ts, named_struct('a', id, 'b', array(id, NULL)) AS st,
               IF(id % 3 = 0, NULL, concat('p=', id % 3, '/x')) AS part
        FROM range(30)""")
    frame.write.format("delta").partitionBy("part").save(path)
    for n in range(12):  # beyond a checkpoint
        frame.where(f"id = {n}").withColumn("id", frame.id + 1000).write.format("delta").mode("append").save(path)
    spark.sql(f"DELETE FROM delta.`{path}` WHERE id = 5")
    names = ["id", "i4", "f8", "dec", "s", "bin", "d", "ts", "st", "part"]
    assert read.ours(path, ", ".join(names)) == read.spark(spark, path, names)


# ---- both in turn ----------------------------------------------------------------------------------------------------


@pytest.fixture
def turns(freshet, warehouse):
    """A stream from table `src` to table `dst`; run() takes in what is new."""
    pipeline = warehouse.parent / "turns.sql"
    pipeline.write_text("CREATE STREAMING TABLE dst AS SELECT id, upper(v) AS v FROM STREAM src;")

    def run():
        freshet("run", pipeline, "--available-now", "--warehouse", warehouse, check=0)

    return run


def test_delta_rs_writes_between_our_batches(turns, warehouse, read):
    source, target = str(warehouse / "default/src"), str(warehouse / "default/dst")
    expected = []
    for n in range(15):
        write_deltalake(source, pa.table({"id": pa.array([n], pa.int64()), "v": [f"v{n}"]}), mode="append")
        turns()
        expected.append([n, f"V{n}"])
        if n % 4 == 3:
            write_deltalake(target, pa.table({"id": pa.array([1000 + n], pa.int64()), "v": ["theirs"]}), mode="append")
            expected.append([1000 + n, "theirs"])
        if n == 9:
            DeltaTable(target).optimize.compact()
            DeltaTable(target).create_checkpoint()
    turns()
    assert read.deltars(target, ["id", "v"]) == plain_rows(expected)
    assert read.ours(target, "id, v") == plain_rows(expected)


def test_spark_writes_between_our_batches(turns, warehouse, read, spark):
    source, target = str(warehouse / "default/src"), str(warehouse / "default/dst")
    expected = []
    for n in range(4):
        spark.sql(f"SELECT CAST({n} AS BIGINT) AS id, 'v{n}' AS v").write.format("delta").mode("append").save(source)
        turns()
        spark.sql(f"SELECT CAST({1000 + n} AS BIGINT) AS id, 'theirs' AS v").write.format("delta").mode("append").save(target)
        expected += [[n, f"V{n}"], [1000 + n, "theirs"]]
    turns()
    assert read.spark(spark, target, ["id", "v"]) == plain_rows(expected)
    assert read.ours(target, "id, v") == plain_rows(expected)


def test_spark_streams_from_our_table(freshet, warehouse, spark, read):
    """Spark reads, as a stream, a table that freshet goes on writing."""
    freshet("sql", "--warehouse", warehouse, "-c", "CREATE TABLE ours (id BIGINT); INSERT INTO ours VALUES (1), (2)", check=0)
    ours, theirs = str(warehouse / "default/ours"), str(warehouse / "theirs")

    def drain():
        stream = spark.readStream.format("delta").load(ours).writeStream.format("delta").trigger(availableNow=True)
        stream.option("checkpointLocation", str(warehouse.parent / "spark/checkpoint")).start(theirs).awaitTermination()

    drain()
    freshet("sql", "--warehouse", warehouse, "-c", "INSERT INTO ours VALUES (3)", check=0)
    drain()
    assert read.ours(theirs, "id") == plain_rows([[1], [2], [3]])
