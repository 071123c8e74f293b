"""Iceberg compatibility: what the files hold, what is refused, how it begins and ends. That Spark writes on such tables is in test_matrix.py."""
import json

import duckdb
import pytest

V1, V2 = "'delta.enableIcebergCompatV1' = 'true'", "'delta.enableIcebergCompatV2' = 'true'"
COLUMNS = """a INT, p STRING, ts TIMESTAMP_NTZ, l ARRAY<INT>, ll ARRAY<ARRAY<INT>>, m MAP<STRING, ARRAY<INT>>,
             st STRUCT<x: INT, y: ARRAY<STRUCT<z: INT>>>, d DATE"""
ROW = "TIMESTAMP '2020-01-01 01:02:03.000004', [{0}], [[{0}], NULL], MAP {{'k': [{0}]}}, {{'x': {0}, 'y': [{{'z': {0}}}]}}"


def row(i, p="'x'", d="DATE '2020-01-01'"):
    return f"({i}, {p}, {ROW.format(i)}, {d})"


class Log:
    """The last version of a table, by its JSON files."""

    def __init__(self, path):
        self.path, self.live, self.commits = path, {}, []
        for file in sorted(path.glob("_delta_log/*.json")):
            actions = [json.loads(line) for line in file.read_text().splitlines()]
            self.commits.append(actions)
            for action in actions:
                if "metaData" in action:
                    self.metadata = action["metaData"]
                    self.fields = json.loads(self.metadata["schemaString"])["fields"]
                elif "protocol" in action:
                    self.protocol = action["protocol"]
                elif "add" in action:
                    self.live[action["add"]["path"]] = action["add"]
                elif "remove" in action:
                    self.live.pop(action["remove"]["path"])

    def of_last(self, kind):
        return [action[kind] for action in self.commits[-1] if kind in action]


def ids(type, path, nested, out):
    """{id: stored name} below a field."""
    if isinstance(type, str):
        return
    if type["type"] == "struct":
        for field in type["fields"]:
            field_ids(field, out)
    for part, key in (("element", "elementType"), ("key", "keyType"), ("value", "valueType")):
        if key in type:
            out[nested[f"{path}.{part}"]] = part
            ids(type[key], f"{path}.{part}", nested, out)


def field_ids(field, out):
    metadata = field["metadata"]
    out[metadata["delta.columnMapping.id"]] = stored = metadata["delta.columnMapping.physicalName"]
    ids(field["type"], stored, metadata.get("delta.columnMapping.nested.ids", {}), out)


def elements(file):
    return duckdb.sql(f"SELECT name, type, repetition_type, field_id FROM parquet_schema('{file}') WHERE column_id > 0").fetchall()


def check_files(path, tags, hidden=0):
    """Every file of the last version has all ids of its columns, the partition columns last, no INT96, and numRecords in the log; `hidden`: columns
    that are none of the table's."""
    log, known = Log(path), {}
    for field in log.fields:
        field_ids(field, known)
    assert len(known) == len(set(known)) and max(known) <= int(log.metadata["configuration"]["delta.columnMapping.maxColumnId"])
    partitions = [f["metadata"]["delta.columnMapping.physicalName"] for name in log.metadata["partitionColumns"] for f in log.fields if f["name"] == name]
    for name, add in log.live.items():
        found = [e for e in elements(path / name) if e[2] != "REPEATED"]
        assert all(type != "INT96" for _, type, _, _ in found)
        assert sum(id is None for *_, id in found) == hidden, found
        assert all(known[id] == stored for stored, _, _, id in found if id is not None)
        assert not partitions or [stored for stored, _, _, id in found if id is not None][-len(partitions):] == partitions
        assert json.loads(add["stats"])["numRecords"] > 0 and "deletionVector" not in add
        assert add.get("tags") == tags
    return log


TAGS = {"ICEBERG_COMPAT_VERSION": "2"}


def test_files(sql, rows, warehouse):
    sql(f"CREATE TABLE t ({COLUMNS}) PARTITIONED BY (p, d) TBLPROPERTIES ({V2})")
    sql(f"INSERT INTO t VALUES {row(1)}, {row(2)}, {row(3, 'NULL')}, {row(4, d='NULL')}")
    sql("ALTER TABLE t ADD COLUMNS (l2 ARRAY<BIGINT>); ALTER TABLE t RENAME COLUMN l TO renamed")
    sql("INSERT INTO t (a, p, d, l2) VALUES (5, 'y', DATE '2020-01-02', [5])")
    sql("UPDATE t SET a = 10, l2 = [1] WHERE a = 1; DELETE FROM t WHERE a = 2")
    sql("MERGE INTO t USING (SELECT 3 AS a UNION ALL SELECT 30) s ON t.a = s.a WHEN MATCHED THEN UPDATE SET l2 = [9] WHEN NOT MATCHED THEN INSERT (a) VALUES (s.a)")
    sql("INSERT INTO t REPLACE WHERE p = 'y' SELECT * REPLACE (a + 100 AS a) FROM t WHERE a = 5")
    log = check_files(warehouse / "default/t", TAGS)
    assert log.protocol["minWriterVersion"] == 7 and {"columnMapping", "icebergCompatV2"} <= set(log.protocol["writerFeatures"])
    assert [(r["a"] % 100, r["l2"], r["renamed"]) for r in rows("SELECT * FROM t ORDER BY a % 100")] == [
        (3, [9], [3]), (4, None, [4]), (5, [5], None), (10, [1], [1]), (30, None, None)]


def test_version_1(sql, rows, warehouse):
    sql(f"CREATE TABLE t PARTITIONED BY (p) TBLPROPERTIES ({V1}) AS SELECT i AS a, {{'x': i}} AS s, i % 2 AS p FROM range(4) r(i)")
    log = check_files(warehouse / "default/t", None)
    assert {"columnMapping", "icebergCompatV1"} <= set(log.protocol["writerFeatures"]) and log.metadata["configuration"]["delta.columnMapping.mode"] == "name"
    before = set(log.live)
    sql("ALTER TABLE t SET TBLPROPERTIES ('delta.enableIcebergCompatV1' = 'false', 'delta.enableIcebergCompatV2' = 'true')")
    assert set(Log(warehouse / "default/t").live) == before  # no lists: the files are those of version 2, too
    assert rows("SELECT sum(a)::INT AS s FROM t") == [{"s": 6}]


REFUSED = [  # what is there, the statement, the rule
    ("", f"CREATE TABLE t (a INT) TBLPROPERTIES ({V1}, {V2})", "VERSION_MUTUAL_EXCLUSIVE"),
    ("", f"CREATE TABLE t (a INT) TBLPROPERTIES ({V2}, 'delta.columnMapping.mode' = 'none')", "WRONG_REQUIRED_TABLE_PROPERTY"),
    ("", f"CREATE TABLE t (a INT) TBLPROPERTIES ({V2}, 'delta.enableDeletionVectors' = 'true')", "DELETION_VECTORS_SHOULD_BE_DISABLED"),
    ("", f"CREATE TABLE t (a INT) TBLPROPERTIES ({V1}, 'delta.feature.deletionVectors' = 'supported')", "INCOMPATIBLE_TABLE_FEATURE"),
    ("", f"CREATE TABLE t (a ARRAY<INT>) TBLPROPERTIES ({V1})", "UNSUPPORTED_DATA_TYPE"),
    ("", f"CREATE TABLE t TBLPROPERTIES ({V1}) AS SELECT MAP {{1: 2}} AS m", "UNSUPPORTED_DATA_TYPE"),
    ("", f"CREATE TABLE t (a VARIANT) TBLPROPERTIES ({V2})", "UNSUPPORTED_DATA_TYPE"),
    (V1, "ALTER TABLE t ADD COLUMNS (l ARRAY<INT>)", "UNSUPPORTED_DATA_TYPE"),
    (V1, "ALTER TABLE t SET TBLPROPERTIES ('delta.feature.deletionVectors' = 'supported')", "INCOMPATIBLE_TABLE_FEATURE"),
    (V2, "ALTER TABLE t SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')", "DELETION_VECTORS_SHOULD_BE_DISABLED"),
    (V2, "ALTER TABLE t RENAME COLUMN p TO q", "REPLACE_TABLE_CHANGE_PARTITION_NAMES"),
    (V2, f"CREATE OR REPLACE TABLE t (a INT) TBLPROPERTIES ({V2})", "REPLACE_TABLE_CHANGE_PARTITION_NAMES"),
    (f"{V2}, 'delta.enableTypeWidening' = 'true'", "ALTER TABLE t ALTER COLUMN a TYPE DOUBLE", "UNSUPPORTED_TYPE_WIDENING"),
    ("'delta.appendOnly' = 'false'", f"ALTER TABLE t SET TBLPROPERTIES ({V2})", "WRONG_REQUIRED_TABLE_PROPERTY"),
    ("'delta.columnMapping.mode' = 'name'", f"CREATE TABLE u DEEP CLONE t TBLPROPERTIES ({V2})", "CHANGE_VERSION_NEED_REWRITE"),
]


@pytest.mark.parametrize("there, statement, rule", REFUSED)
def test_rules(sql, rows, warehouse, there, statement, rule):
    if there:
        sql(f"CREATE TABLE t (a INT, p INT) PARTITIONED BY (p) TBLPROPERTIES ({there}); INSERT INTO t VALUES (1, 2)")
    assert f"FR-DELTA-021 DELTA_ICEBERG_COMPAT_VIOLATION.{rule}" in sql(statement, check=1).err
    if there:
        assert rows("INSERT INTO t VALUES (3, 4); SELECT * FROM t ORDER BY a") == [{"a": 1, "p": 2}, {"a": 3, "p": 4}]
    else:
        assert not (warehouse / "default/t/_delta_log").exists()


def test_version_3_is_refused_by_name(sql):
    assert "'icebergCompatV3', which this freshet reads but does not write" in sql("CREATE TABLE t (a INT) TBLPROPERTIES ('delta.enableIcebergCompatV3' = 'true')",
                                                                                   check=1).err


def test_allowed_widening(sql, warehouse):
    sql(f"CREATE TABLE t (a INT, f FLOAT, d DECIMAL(5,2)) TBLPROPERTIES ({V2}, 'delta.enableTypeWidening' = 'true'); INSERT INTO t VALUES (1, 2, 3)")
    sql("ALTER TABLE t ALTER COLUMN a TYPE BIGINT; ALTER TABLE t ALTER COLUMN f TYPE DOUBLE; ALTER TABLE t ALTER COLUMN d TYPE DECIMAL(9,2)")
    sql("INSERT INTO t VALUES (5000000000, 2, 3)")
    check_files(warehouse / "default/t", TAGS)


BEGIN = f"ALTER TABLE t SET TBLPROPERTIES ({V2}, 'delta.columnMapping.mode' = 'name', 'delta.enableDeletionVectors' = 'false')"


def test_begins_on_old_files(sql, rows, warehouse):
    """Files that do not conform are written anew in the same commit: no ids, no partition columns, deleted rows."""
    sql("CREATE TABLE t (a INT, l ARRAY<INT>, p INT) PARTITIONED BY (p) TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')")
    sql("INSERT INTO t VALUES (1, [1], 1), (2, [2], 1), (3, [3], 2); DELETE FROM t WHERE a = 2")
    sql(BEGIN)
    log = check_files(warehouse / "default/t", TAGS)
    assert all(not add["dataChange"] for add in log.of_last("add")) and len(log.of_last("remove")) == 2
    assert rows("SELECT * FROM t ORDER BY a") == [{"a": 1, "l": [1], "p": 1}, {"a": 3, "l": [3], "p": 2}]
    # while it is off, files are as those of any table; those that conform stay when it begins again
    sql("ALTER TABLE t SET TBLPROPERTIES ('delta.enableIcebergCompatV2' = 'false'); INSERT INTO t VALUES (4, [4], 1)")
    sql(BEGIN)
    log = check_files(warehouse / "default/t", TAGS)
    assert len(log.of_last("add")) == 1 and len(log.of_last("remove")) == 1
    assert rows("SELECT a FROM t ORDER BY a") == [{"a": 1}, {"a": 3}, {"a": 4}]
    sql("DELETE FROM t WHERE a = 1 AND l[1] = 1")
    check_files(warehouse / "default/t", TAGS)


@pytest.mark.parametrize("mode", ["name", "id"])
def test_begins_with_row_ids(sql, rows, warehouse, mode):
    where = f"'delta.columnMapping.mode' = '{mode}', 'delta.enableRowTracking' = 'true'"
    query = "SELECT a, _metadata.row_id AS id, _metadata.row_commit_version AS version FROM t ORDER BY a"
    sql(f"CREATE TABLE t (a INT, l ARRAY<INT>) TBLPROPERTIES ({where}); INSERT INTO t VALUES (1, [1]), (2, [2]); INSERT INTO t VALUES (3, [3])")
    before = rows(query)
    sql(f"ALTER TABLE t SET TBLPROPERTIES ({V2})")
    assert rows(query) == before
    check_files(warehouse / "default/t", TAGS, hidden=2)


def test_begins_with_row_tracking(sql):
    sql("CREATE TABLE t (a INT); INSERT INTO t VALUES (1)")
    both = f"ALTER TABLE t SET TBLPROPERTIES ({V2}, 'delta.columnMapping.mode' = 'name', 'delta.enableRowTracking' = 'true')"
    assert "in a statement of its own" in sql(both, check=1).err


def test_ends(sql, rows, warehouse):
    sql(f"CREATE TABLE t (a INT, l ARRAY<INT>, p INT) PARTITIONED BY (p) TBLPROPERTIES ({V2}); INSERT INTO t VALUES (1, [1], 1)")
    assert "DELTA_FEATURE_DROP_DEPENDENT_FEATURE" in sql("ALTER TABLE t DROP FEATURE columnMapping", check=1).err
    sql("ALTER TABLE t DROP FEATURE icebergCompatV2; INSERT INTO t VALUES (2, [2], 2)")
    log = Log(warehouse / "default/t")
    assert "delta.enableIcebergCompatV2" not in log.metadata["configuration"] and "icebergCompatV2" not in log.protocol.get("writerFeatures", [])
    sql("ALTER TABLE t DROP FEATURE columnMapping; INSERT INTO t VALUES (3, [3], 3)")
    assert "columnMapping" not in Log(warehouse / "default/t").metadata["schemaString"]
    assert rows("SELECT * FROM t ORDER BY a") == [{"a": i, "l": [i], "p": i} for i in (1, 2, 3)]


def test_clone_and_restore(sql, rows, warehouse):
    sql("CREATE TABLE t (a INT, l ARRAY<INT>, p INT) PARTITIONED BY (p) "
        "TBLPROPERTIES ('delta.columnMapping.mode' = 'name'); INSERT INTO t VALUES (1, [1], 1)")
    sql(f"ALTER TABLE t SET TBLPROPERTIES ({V2}); INSERT INTO t VALUES (2, [2], 2)")
    sql("CREATE TABLE u DEEP CLONE t; INSERT INTO u VALUES (3, [3], 3)")
    check_files(warehouse / "default/u", TAGS)
    sql("RESTORE TABLE t TO VERSION AS OF 1; INSERT INTO t VALUES (4, [4], 4)")  # before it began
    assert "delta.enableIcebergCompatV2" not in Log(warehouse / "default/t").metadata["configuration"]
    sql("RESTORE TABLE t TO VERSION AS OF 3; INSERT INTO t VALUES (5, [5], 5)")
    check_files(warehouse / "default/t", TAGS)
    assert rows("SELECT a FROM t ORDER BY a") == [{"a": 1}, {"a": 2}, {"a": 5}]
    sql(f"CREATE OR REPLACE TABLE v (a INT); INSERT INTO v VALUES (1); CREATE OR REPLACE TABLE v TBLPROPERTIES ({V2}) AS SELECT [[1]] AS l")
    check_files(warehouse / "default/v", TAGS)


def test_converted_files(sql, rows, warehouse, tmp_path):
    folder = tmp_path / "files" / "p=1"
    folder.mkdir(parents=True)
    duckdb.sql(f"COPY (SELECT 1 AS a, [1] AS l) TO '{folder}/f.parquet'")
    table = f"delta.`{folder.parent}`"
    sql(f"CONVERT TO DELTA parquet.`{folder.parent}` PARTITIONED BY (p INT); {BEGIN.replace(' t ', f' {table} ')}; INSERT INTO {table} VALUES (2, [2], 2)")
    check_files(folder.parent, TAGS)
    assert rows(f"SELECT * FROM {table} ORDER BY a") == [{"a": 1, "l": [1], "p": 1}, {"a": 2, "l": [2], "p": 2}]


def test_column_that_grows(sql, rows, warehouse):
    sql(f"CREATE TABLE t (a INT, s STRUCT<x: ARRAY<INT>>) TBLPROPERTIES ({V2})")
    sql("INSERT INTO t VALUES (1, {'x': [1]})")
    sql("INSERT INTO t WITH (mergeSchema = true) BY NAME SELECT 2 AS a, {'x': [2], 'y': [[2]]} AS s, MAP {1: [2]} AS m")
    check_files(warehouse / "default/t", TAGS)
    assert [r["m"] is None for r in rows("SELECT * FROM t ORDER BY a")] == [True, False]


def test_partition_columns_alone(sql, rows, warehouse):
    """The table feature that is only this rule."""
    sql("CREATE TABLE t (p INT, a INT) PARTITIONED BY (p) TBLPROPERTIES ('delta.enableMaterializePartitionColumnsFeature' = 'true')")
    sql("INSERT INTO t VALUES (1, 2), (3, 4); UPDATE t SET a = 5 WHERE a = 4")
    log = Log(warehouse / "default/t")
    assert "materializePartitionColumns" in log.protocol["writerFeatures"]
    assert all([e[0] for e in elements(warehouse / "default/t" / name)] == ["a", "p"] for name in log.live)
    sql("ALTER TABLE t DROP FEATURE materializePartitionColumns; INSERT INTO t VALUES (6, 7)")
    assert Log(warehouse / "default/t").protocol == {"minReaderVersion": 1, "minWriterVersion": 2}
    assert rows("SELECT p, a FROM t ORDER BY p") == [{"p": 1, "a": 2}, {"p": 3, "a": 5}, {"p": 6, "a": 7}]


def test_table_of_another_writer(sql, warehouse):
    """Lists without ids, which other writers may leave, get them before a file is written."""
    sql(f"CREATE TABLE t (a INT, l ARRAY<INT>) TBLPROPERTIES ({V2})")
    first = warehouse / "default/t/_delta_log/00000000000000000000.json"
    nested = Log(warehouse / "default/t").fields[1]["metadata"]["delta.columnMapping.nested.ids"]
    assert nested
    text = ',\\"delta.columnMapping.nested.ids\\":' + json.dumps(nested, separators=(",", ":")).replace('"', '\\"')
    assert text in first.read_text()
    first.write_text(first.read_text().replace(text, ""))
    for leftover in first.parent.glob("*.crc"):
        leftover.unlink()
    sql("INSERT INTO t VALUES (1, [1])")
    check_files(warehouse / "default/t", TAGS)


def test_pipeline_that_breaks_a_rule(freshet, clicks, tmp_path):
    (tmp_path / "p.sql").write_text(f"CREATE STREAMING TABLE s TBLPROPERTIES ({V1}) AS SELECT [user_id] AS l FROM {clicks.source};")
    clicks("a", ("2024-01-01T00:00:00Z", "x", 1, 1.5))
    assert "DELTA_ICEBERG_COMPAT_VIOLATION.UNSUPPORTED_DATA_TYPE" in freshet("check", tmp_path / "p.sql", check=1).err


def test_pipeline(run, clicks, answers, warehouse):
    clicks("a", ("2024-01-01T00:00:00Z", "x", 1, 1.5), ("2024-01-01T00:00:01Z", "y", 2, 2.5))
    pipeline = f"""CREATE STREAMING TABLE s PARTITIONED BY (product) TBLPROPERTIES ({V2}) AS SELECT *, [user_id] AS l FROM {clicks.source};
        CREATE MATERIALIZED VIEW v TBLPROPERTIES ({V2}) AS SELECT product, list(user_id) AS users FROM s GROUP BY product;"""
    run(pipeline)
    clicks("b", ("2024-01-01T00:00:02Z", "x", 3, 1.5))
    run(pipeline)
    check_files(warehouse / "default/s", TAGS)
    check_files(warehouse / "default/v", TAGS)
    assert sorted(answers("SELECT product, list_sort(users) FROM v")) == [("x", [1, 3]), ("y", [2])]


@pytest.mark.parametrize("properties", [V1, V2])
def test_same_as_spark(sql, spark, tmp_path, properties):
    """Field ids, protocol and the schemas of the files are those of a table that Spark makes of the same columns."""
    columns = "a INT, p STRING, ts {}, st STRUCT<x: INT>" + (", l ARRAY<ARRAY<INT>>, m MAP<STRING, ARRAY<STRUCT<z: INT>>>" if properties == V2 else "")
    seen = []
    for name, run_one, time in (("ours", sql, "TIMESTAMPTZ"), ("theirs", spark.sql, "TIMESTAMP")):
        table = f"delta.`{tmp_path / name}`"
        run_one(f"CREATE TABLE {table} ({columns.format(time)}) USING DELTA PARTITIONED BY (p) TBLPROPERTIES ({properties})")
        run_one(f"INSERT INTO {table} (a, p) VALUES (1, 'x')")
        log, known = Log(tmp_path / name), {}
        for field in log.fields:
            field_ids(field, known)
        (add,) = log.live.values()
        shape = [(kind, repetition, id) for _, kind, repetition, id in elements(tmp_path / name / add["path"])]
        names = {id: "-" if stored.startswith("col-") else stored for id, stored in known.items()}
        own = {k: v for k, v in log.metadata["configuration"].items() if "universalFormat" not in k}
        protocol = {key: sorted(value) if isinstance(value, list) else value for key, value in log.protocol.items()}
        seen.append((names, shape, own, protocol, add.get("tags")))
    assert seen[0] == seen[1]
