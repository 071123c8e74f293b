"""Claims that do not hold: what a log says of files, and a checkpoint of a log, against what is in them.

Each case is the right answer or an error that names the file. Never other rows.
"""
import json
import re

import duckdb
import pytest

pytestmark = pytest.mark.no_lint("the tables are broken on purpose")

TWO_ROWS = "SELECT 1::BIGINT AS a UNION ALL SELECT 2"


def field(name, kind, **metadata):
    return {"name": name, "type": kind, "nullable": True, "metadata": {f"delta.columnMapping.{key}": value for key, value in metadata.items()}}


def protocol(*features):
    return {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": list(features), "writerFeatures": list(features)}}


def metadata(*fields, partitions=(), mode=None):
    return {"metaData": {"id": "i", "format": {"provider": "parquet", "options": {}}, "schemaString": json.dumps({"type": "struct", "fields": list(fields)}),
                         "partitionColumns": list(partitions), "configuration": {"delta.columnMapping.mode": mode} if mode else {}}}


def add(path="f.parquet", **more):
    return {"add": {"path": path, "partitionValues": {}, "size": 300, "modificationTime": 0, "dataChange": True, **more}}


def remove(path="f.parquet"):
    return {"remove": {"path": path, "deletionTimestamp": 0, "dataChange": True}}


@pytest.fixture
def table(tmp_path):
    folder = tmp_path / "t"
    (folder / "_delta_log").mkdir(parents=True)

    def make(*commits, files=None):
        for name, (query, options) in (files or {"f.parquet": (TWO_ROWS, "")}).items():
            duckdb.execute(f"COPY ({query}) TO '{folder / name}' (FORMAT parquet{options})")
        for version, actions in enumerate(commits):
            (folder / f"_delta_log/{version:020}.json").write_text("".join(json.dumps(action) + "\n" for action in actions))
        return folder

    return make


@pytest.fixture
def ask(freshet):
    def run(folder, query="SELECT * FROM {} ORDER BY ALL"):
        done = freshet("sql", "--format", "jsonl", "-c", query.format(f"delta.`{folder}`"), check=None)
        assert done.code == 0 or done.err.find("error: ") >= 0, done
        return [list(json.loads(line).values()) for line in done.out.splitlines()] if done.code == 0 else done.err

    return run


A = field("a", "long")
COUNT, LIMIT, FILTERED = "SELECT count(*) FROM {}", "SELECT a FROM {} LIMIT 1", "SELECT count(*) FROM {} WHERE a >= 1 AND a IS NOT NULL"


@pytest.mark.parametrize("stats", ["{" * 5000, "[]", '"x"', '{"numRecords":"x"}', '{"numRecords":1.5}', '{"numRecords":null}', '{"numRecords":99999999999999999999}',
                                   '{"numRecords":2,"minValues":{"a":"zzz"},"maxValues":{"a":[1]},"nullCount":{"a":"q"}}',
                                   '{"numRecords":2,"minValues":"x","maxValues":5,"nullCount":[]}'], ids=lambda stats: stats[:40])
def test_claims__statistics_of_wrong_types(table, ask, stats):
    folder = table([protocol(), metadata(A), add(stats=stats)])
    assert [ask(folder, query) for query in (COUNT, LIMIT, FILTERED)] == [[[2]], [[1]], [[2]]]


def test_claims__sizes(table, ask):
    """Together more than a number holds; and none of them is true."""
    files = {f"{name}.parquet": (TWO_ROWS, "") for name in "fgh"}
    folder = table([protocol(), metadata(A), *(add(name, size=2**62) for name in files)], files=files)
    assert ask(folder) == [[1], [1], [1], [2], [2], [2]]
    assert ask(folder, "DESCRIBE DETAIL {}")[0][9] == 2**63 - 1


@pytest.mark.parametrize("actions", [[add(), add()], [add(size=5), add(size=6)], [remove(), add()], [add(), add("%66.parquet")]],
                         ids=["twice", "twice, two sizes", "removed and added", "spelt twice"])
def test_claims__one_path_in_one_commit(table, ask, actions):
    assert ask(table([protocol(), metadata(A), *actions])) == [[1], [2]]


@pytest.mark.parametrize("kind, value", [("integer", "x"), ("integer", "1.5"), ("byte", "300"), ("long", "0x10"), ("date", "2024-13-01"), ("date", "2023-02-29"),
                                         ("date", "20240101"), ("date", "0000-00-00"), ("date", "infinity"), ("timestamp", "yesterday"), ("boolean", "maybe"),
                                         ("decimal(5,2)", "123456.78"), ("decimal(5,2)", "1.2.3"), ("double", "1e999")])
def test_claims__partition_values_of_wrong_types(table, ask, kind, value):
    folder = table([protocol(), metadata(A, field("p", kind), partitions=["p"]), add(partitionValues={"p": value})])
    error = ask(folder)
    assert "f.parquet" in error and f'column "p": partition value "{value}"' in error


@pytest.mark.parametrize("value", ["2024-02-29", "-0001-01-01", "9999-12-31"])
def test_claims__dates_that_are(table, ask, value):
    folder = table([protocol(), metadata(A, field("p", "date"), partitions=["p"]), add(partitionValues={"p": value})])
    assert len(ask(folder)) == 2


P, Q = field("a", "long", id=1, physicalName="p"), field("b", "long", id=2, physicalName="q")
NESTED = field("s", {"type": "struct", "fields": [field("x", "long", id=3, physicalName="px"), field("y", "long", id=4, physicalName="py")]}, id=1, physicalName="ps")
ROW = "SELECT 1::BIGINT AS p, 2::BIGINT AS q"
STRUCT = "SELECT {'px': 1::BIGINT, 'py': 2::BIGINT} AS ps"


@pytest.mark.parametrize("mode, fields, query, ids, expected", [
    ("id", [P, Q], ROW, "", "its columns have no field ids"),
    ("id", [P, Q], ROW, "{p: 1}", [[1, None]]),  # a column that came after the file
    ("id", [P, Q], ROW, "{p: 2, q: 1}", [[2, 1]]),
    ("id", [P, field("b", "long", id=1, physicalName="q")], ROW, "{p: 1, q: 2}", 'column "b" is stored under the name or field id of another'),
    ("id", [P, field("b", "long", id="2", physicalName="q")], ROW, "{p: 1, q: 2}", 'column "b" has no delta.columnMapping.id'),
    ("name", [P, field("b", "long", id=2, physicalName="p")], ROW, "", 'column "b" is stored under the name or field id of another'),
    ("id", [NESTED], STRUCT, "{ps: {__duckdb_field_id: 1, px: 3, py: 4}}", [[{"x": 1, "y": 2}]]),
    ("id", [NESTED], STRUCT, "{ps: {__duckdb_field_id: 1, px: 4, py: 3}}", "this freshet finds nested fields by name"),
    ("wild", [P, Q], ROW, "", "delta.columnMapping.mode is 'wild'"),
], ids=str)
def test_claims__column_mapping(table, ask, mode, fields, query, ids, expected):
    folder = table([protocol("columnMapping"), metadata(*fields, mode=mode), add()], files={"f.parquet": (query, f", FIELD_IDS {ids}" if ids else "")})
    answer = ask(folder)
    assert answer == expected if isinstance(expected, list) else expected in answer and re.search(r"f\.parquet|/t:", answer), answer


VECTOR = "deletionVector: {storageType: 'u', pathOrInlineDv: 'x', sizeInBytes: 1, cardinality: 1::BIGINT}"
FILE = "{path: 'f.parquet', partitionValues: MAP {'p': 'x'}, size: 1::BIGINT, modificationTime: 0::BIGINT, dataChange: false, stats: '{\"numRecords\":2}'}"
GOOD = [[1, "x"], [2, "x"]]


@pytest.mark.parametrize("file, expected", [
    (FILE, GOOD),
    (FILE.replace("size: 1::BIGINT, modificationTime: 0::BIGINT, ", ""), GOOD),
    (FILE.replace("path: 'f.parquet'", "way: 'f.parquet'"), "add.path"),
    (FILE.replace("'f.parquet'", "5"), "add.path"),
    ("'f.parquet'", "add.path"),
    (FILE.replace("partitionValues: MAP {'p': 'x'}, ", ""), "partitionValues"),
    (FILE.replace("MAP {'p': 'x'}", "{p: 'x'}"), "partitionValues"),
    (FILE.replace("stats:", "deletionVector: 'u', stats:"), "deletionVector"),
    (FILE.replace("stats:", VECTOR.replace("storageType", "type") + ", stats:"), "deletionVector"),
], ids=["good", "no size", "no path", "path is a number", "add is a text", "no partition values", "values are a struct", "vector is a text", "vector lacks its type"])
def test_claims__columns_of_a_checkpoint(table, ask, file, expected):
    folder = table([{"commitInfo": {}}])
    log = folder / "_delta_log"
    (log / f"{0:020}.json").rename(log / f"{1:020}.json")
    schema = json.dumps({"type": "struct", "fields": [A, field("p", "string")]})
    described = f"{{id: 'i', format: {{provider: 'parquet'}}, schemaString: '{schema}', partitionColumns: ['p']}}"
    duckdb.execute(f"""COPY (SELECT {{minReaderVersion: 1, minWriterVersion: 2}} AS protocol, NULL AS "metaData", NULL AS "add"
                             UNION ALL SELECT NULL, {described}, NULL UNION ALL SELECT NULL, NULL, {file}) TO '{log}/{1:020}.checkpoint.parquet' (FORMAT parquet)""")
    answer = ask(folder)
    assert answer == expected if isinstance(expected, list) else expected in answer and f"{1:020}.checkpoint.parquet" in answer, answer
