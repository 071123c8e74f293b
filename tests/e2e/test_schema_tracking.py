"""Streams from tables whose schema changes on the way: with a schema tracking log they stop at the change and go on with it, when they may."""
import json

import pytest

EVOLUTION, BLOCKED = "DELTA_STREAMING_METADATA_EVOLUTION", "DELTA_STREAMING_CANNOT_CONTINUE_PROCESSING_POST_SCHEMA_EVOLUTION"


@pytest.fixture
def stream(freshet, warehouse, tmp_path):
    """Runs the flow from t to c with these options to its end."""

    def run(options="schemaTrackingLocation = 'schema'", query="SELECT * FROM STREAM t", code=0, env=None, **named):
        file = tmp_path / "pipeline.sql"
        file.write_text(f"CREATE STREAMING TABLE c AS {query} {f'WITH ({options})' if options else ''};")
        return freshet("run", file, "--warehouse", warehouse, "--available-now", "--progress", "none", check=code, env=env, **named)

    return run


@pytest.fixture
def checkpoint(warehouse):
    return warehouse / "_checkpoints/default/c/c/0"


def entries(checkpoint, place="schema"):
    """The log: [(version, columns, object)]."""
    (folder,) = (checkpoint / place).iterdir()
    assert folder.name.startswith("_schema_log_")
    found = []
    for n, path in enumerate(sorted(folder.glob("[0-9]*"), key=lambda path: int(path.name))):
        first, text = path.read_text().split("\n", 1)
        entry = json.loads(text)
        assert path.name == str(n) and first == "v1" and folder.name.startswith("_schema_log_" + entry["tableId"])
        found.append((entry["deltaCommitVersion"], [f["name"] for f in json.loads(entry["dataSchemaJson"])["fields"]], entry))
    return found


def positions(checkpoint):
    """(version, index) of every batch's end."""
    found = []
    for path in sorted((checkpoint / "offsets").glob("[0-9]*"), key=lambda path: int(path.name)):
        offset = json.loads(path.read_text().splitlines()[2])
        assert offset["sourceVersion"] == (3 if offset["index"] < -1 else 1)
        found.append((offset["reservoirVersion"], offset["index"]))
    return found


MAPPED = "TBLPROPERTIES ('delta.columnMapping.mode' = 'name', 'delta.enableTypeWidening' = 'true', 'delta.enableChangeDataFeed' = 'true')"
CHANGES = {
    "Rename": ("ALTER TABLE t RENAME COLUMN a TO b", {"id": 4, "b": 40}, {"id": 4, "a": None, "gone": 4, "b": 40}),
    "Drop": ("ALTER TABLE t DROP COLUMN gone", {"id": 4, "a": 40}, {"id": 4, "a": 40, "gone": None}),
    "TypeChange": ("ALTER TABLE t ALTER COLUMN a TYPE BIGINT", {"id": 4, "a": 40}, {"id": 4, "a": 40, "gone": 4}),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_in_the_middle(sql, rows, stream, checkpoint, kind):
    change, _, last = CHANGES[kind]
    option = {"Rename": "allowSourceColumnRename", "Drop": "allowSourceColumnDrop", "TypeChange": "allowSourceColumnTypeChange"}[kind]
    sql(f"CREATE TABLE t (id INT, a INT, gone INT) {MAPPED}; INSERT INTO t VALUES (1, 10, 1)")
    stream()
    assert [(v, c) for v, c, _ in entries(checkpoint)] == [(1, ["id", "a", "gone"])]
    sql(f"INSERT INTO t VALUES (2, 20, 2); INSERT INTO t VALUES (3, 30, 3); {change}")
    sql("INSERT INTO t VALUES (4, 40)" if kind == "Drop" else "INSERT INTO t VALUES (4, 40, 4)")
    stopped = stream(code=1).err
    assert EVOLUTION in stopped and "version 4" in stopped and "start again" in stopped
    assert [r["id"] for r in rows("SELECT id FROM c ORDER BY id")] == [1, 2, 3]
    assert positions(checkpoint)[-2:] == [(4, -20), (4, -19)]
    before = entries(checkpoint)
    assert [v for v, _, _ in before] == [1, 4]
    for _ in range(2):
        blocked = stream(code=1).err
        assert BLOCKED in blocked and f"{option} = 4" in blocked
    assert BLOCKED in stream(f"schemaTrackingLocation = 'schema', {option} = 3", code=1).err
    query = "SELECT * FROM STREAM t" if kind != "TypeChange" else "SELECT id, a::INT AS a, gone FROM STREAM t"
    stream(f"schemaTrackingLocation = 'schema', {option} = 4", query=query)
    assert rows("SELECT * FROM c WHERE id = 4") == [last] and entries(checkpoint) == before
    assert [r["id"] for r in rows("SELECT id FROM c ORDER BY id")] == [1, 2, 3, 4]
    sql("INSERT INTO t VALUES (5, 50)" if kind == "Drop" else "INSERT INTO t VALUES (5, 50, 5)")
    stream(f"schemaTrackingLocation = 'schema', {option} = 'always'", query=query)
    assert [r["id"] for r in rows("SELECT id FROM c ORDER BY id")] == [1, 2, 3, 4, 5]


def test_a_wider_type_without_a_log(sql, rows, freshet, warehouse, tmp_path, wait_until):
    """A running stream stops, and the next start goes on: nothing has to be read with another schema than it has."""
    sql(f"CREATE TABLE t (id INT, a INT) {MAPPED}; INSERT INTO t VALUES (1, 10)")
    file = tmp_path / "pipeline.sql"
    file.write_text("CREATE STREAMING TABLE c AS SELECT * FROM STREAM t;")
    run = freshet.start("run", file, "--warehouse", warehouse, "--progress", "none")
    commit = warehouse / "default/c/_delta_log" / f"{1:020d}.json"
    wait_until(commit.exists, what="the first row", process=run)
    sql("ALTER TABLE t ALTER COLUMN a TYPE BIGINT; INSERT INTO t VALUES (2, 20)")
    stopped = run.wait(60)
    assert stopped.code == 1 and "DELTA_SCHEMA_CHANGED_WITH_VERSION" in stopped.err and "start again" in stopped.err
    freshet("run", file, "--warehouse", warehouse, "--available-now", "--progress", "none", check=0)
    assert rows("SELECT * FROM c ORDER BY id") == [{"id": 1, "a": 10}, {"id": 2, "a": 20}]


def test_additions_need_no_word(sql, rows, stream, checkpoint):
    """New columns, properties and protocols are barriers, too; commits without rows behind them are taken in one."""
    sql(f"CREATE TABLE t (id INT) {MAPPED}; INSERT INTO t VALUES (1)")
    stream("schemaLocation = 'schema', streamingSourceTrackingId = 'one'")
    sql("ALTER TABLE t ADD COLUMN a INT; ALTER TABLE t ADD COLUMN b INT; ALTER TABLE t SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')")
    sql("INSERT INTO t VALUES (2, 2, 2); ALTER TABLE t SET TBLPROPERTIES ('mine' = '1'); INSERT INTO t VALUES (3, 3, 3)")
    assert EVOLUTION in stream("schemaLocation = 'schema', streamingSourceTrackingId = 'one'", code=1).err
    stream("schemaLocation = 'schema', streamingSourceTrackingId = 'one'")
    assert rows("SELECT * FROM c ORDER BY id") == [{"id": 1, "a": None, "b": None}, {"id": 2, "a": 2, "b": 2}, {"id": 3, "a": 3, "b": 3}]
    found = entries(checkpoint)
    assert [(v, c) for v, c, _ in found] == [(1, ["id"]), (4, ["id", "a", "b"])]
    assert found[1][2]["tableConfigurations"]["delta.enableDeletionVectors"] == "true" and "deletionVectors" in found[1][2]["protocolJson"]
    assert found[0][2]["sourceMetadataPath"] == f"file:{checkpoint}/sources/0" and json.loads(found[0][2]["partitionSchemaJson"])["fields"] == []


def test_change_feed(sql, rows, stream, checkpoint):
    sql(f"CREATE TABLE t (id INT, a INT) {MAPPED}; INSERT INTO t VALUES (1, 10), (2, 20)")
    options = "schemaTrackingLocation = 'schema', readChangeFeed = true, startingVersion = 0"
    query = "SELECT * EXCLUDE (_commit_timestamp) FROM STREAM t"
    stream(options, query=query)
    sql("UPDATE t SET a = 11 WHERE id = 1; ALTER TABLE t RENAME COLUMN a TO b; DELETE FROM t WHERE id = 2; UPDATE t SET b = 12 WHERE id = 1")
    assert EVOLUTION in stream(options, query=query, code=1).err
    assert rows("SELECT id, a, _commit_version AS v FROM c WHERE _commit_version > 1 ORDER BY a") == [{"id": 1, "a": 10, "v": 2}, {"id": 1, "a": 11, "v": 2}]
    assert BLOCKED in stream(options, query=query, code=1).err
    stream(options + ", allowSourceColumnRename = 'always'", query=query)
    assert rows("SELECT id, a, b, _change_type AS t FROM c WHERE _commit_version > 3 ORDER BY id, b") == [
        {"id": 1, "a": None, "b": 11, "t": "update_preimage"}, {"id": 1, "a": None, "b": 12, "t": "update_postimage"},
        {"id": 2, "a": None, "b": 20, "t": "delete"}]


def test_from_an_older_version(sql, rows, stream, checkpoint):
    """The log begins where the stream does, whatever the table looks like now."""
    sql(f"CREATE TABLE t (id INT, a INT) {MAPPED}; INSERT INTO t VALUES (1, 10); INSERT INTO t VALUES (2, 20)")
    sql("ALTER TABLE t RENAME COLUMN a TO b; INSERT INTO t VALUES (3, 30)")
    options = "startingVersion = 1, schemaTrackingLocation = 'schema'"
    assert EVOLUTION in stream(options, code=1).err
    assert rows("SELECT * FROM c ORDER BY id") == [{"id": 1, "a": 10}, {"id": 2, "a": 20}]
    stream(options + ", allowSourceColumnRename = 'always'")
    assert rows("SELECT * FROM c ORDER BY id") == [{"id": 1, "a": 10, "b": None}, {"id": 2, "a": 20, "b": None}, {"id": 3, "a": None, "b": 30}]


def test_a_stream_that_had_no_log(sql, rows, stream, checkpoint):
    """The option is given to a stream that a rename has stopped."""
    sql(f"CREATE TABLE t (id INT, a INT) {MAPPED}; INSERT INTO t VALUES (1, 10)")
    stream("")
    sql("INSERT INTO t VALUES (2, 20); ALTER TABLE t RENAME COLUMN a TO b; INSERT INTO t VALUES (3, 30)")
    assert "schemaTrackingLocation" in stream("", code=1).err
    assert EVOLUTION in stream(code=1).err
    assert [(v, c) for v, c, _ in entries(checkpoint)] == [(1, ["id", "a"]), (3, ["id", "b"])]
    assert "schemaTrackingLocation" in stream("", code=1).err
    stream("schemaTrackingLocation = 'schema', allowSourceColumnRename = 3")
    assert rows("SELECT * FROM c ORDER BY id") == [{"id": 1, "a": 10, "b": None}, {"id": 2, "a": 20, "b": None}, {"id": 3, "a": None, "b": 30}]


def test_the_log_is_left_out_for_a_while(sql, rows, stream, checkpoint):
    sql(f"CREATE TABLE t (id INT) {MAPPED}; INSERT INTO t VALUES (1)")
    stream()
    sql("ALTER TABLE t ADD COLUMN a INT; INSERT INTO t VALUES (2, 2)")
    stream("")
    sql("INSERT INTO t VALUES (3, 3); ALTER TABLE t ADD COLUMN b INT; INSERT INTO t VALUES (4, 4, 4)")
    assert EVOLUTION in stream(code=1).err
    stream()
    assert [(v, c) for v, c, _ in entries(checkpoint)] == [(1, ["id"]), (3, ["id", "a"]), (5, ["id", "a", "b"])]
    assert [(r["id"], r["a"], r["b"]) for r in rows("SELECT * FROM c ORDER BY id")] == [(1, None, None), (2, 2, None), (3, 3, None), (4, 4, 4)]


@pytest.mark.parametrize("point", ["stream.offsets.after_put", "stream.commits.after_put", "source.tracking.before_put", "source.tracking.after_put"])
def test_killed_at_the_change(sql, rows, stream, checkpoint, point):
    """Wherever the process dies around a change, the stream stops there once or goes on, and loses nothing."""
    sql(f"CREATE TABLE t (id INT) {MAPPED}; INSERT INTO t VALUES (1)")
    stream()
    sql("INSERT INTO t VALUES (2); ALTER TABLE t ADD COLUMN a INT; INSERT INTO t VALUES (3, 3)")
    assert stream(code=-9, env={"FRESHET_FAILPOINT": f"{point}=crash@1"})
    stream(code=None, env={"FRESHET_FAILPOINT": f"{point}=crash@1"})
    for _ in range(3):
        if stream(code=None).code == 0:
            break
    assert rows("SELECT * FROM c ORDER BY id") == [{"id": 1, "a": None}, {"id": 2, "a": None}, {"id": 3, "a": 3}]
    assert [(v, c) for v, c, _ in entries(checkpoint)] == [(1, ["id"]), (3, ["id", "a"])]


@pytest.mark.parametrize("options, says", [
    ("schemaTrackingLocation = '/elsewhere'", "DELTA_STREAMING_SCHEMA_LOCATION_NOT_UNDER_CHECKPOINT"),
    ("schemaTrackingLocation = '../elsewhere'", "FR-STORE-005"),
    ("schemaTrackingLocation = 'schema', failOnDataLoss = false", "failOnDataLoss"),
    ("schemaTrackingLocation = 'schema', allowSourceColumnDrop = 'yes'", "always"),
    ("allowSourceColumnDrop = 'always'", "without schemaTrackingLocation"),
])
def test_options(sql, stream, options, says):
    sql("CREATE TABLE t (id INT)")
    assert says in stream(options, code=1).err


def test_locations(sql, rows, stream, checkpoint, warehouse, freshet, tmp_path):
    """A place in the checkpoint may be named whole; two streams need two."""
    sql("CREATE TABLE t (id INT); INSERT INTO t VALUES (1)")
    stream(f"schemaTrackingLocation = '{checkpoint}/deep/er'")
    assert [v for v, _, _ in entries(checkpoint, "deep/er")] == [1]
    file = tmp_path / "two.sql"
    two = "CREATE STREAMING TABLE d AS SELECT id FROM STREAM t WITH (schemaTrackingLocation = 's'{}) UNION ALL SELECT id FROM STREAM t WITH (schemaTrackingLocation = 's'{});"
    for ids, code in ((("", ""), 1), ((", streamingSourceTrackingId = 'a'", ", streamingSourceTrackingId = 'b'"), 0)):
        file.write_text(two.format(*ids))
        result = freshet("run", file, "--warehouse", warehouse, "--available-now", "--progress", "none", check=code)
        assert code == 0 or "DELTA_STREAMING_SCHEMA_LOCATION_CONFLICT" in result.err
    assert rows("SELECT * FROM d") == [{"id": 1}, {"id": 1}]


def test_log_and_checkpoint_are_delta_s__spark(sql, rows, stream, checkpoint, spark, warehouse):
    """Each goes on where the other has stopped, before and behind a change."""
    source, target = (f"{warehouse}/default/{name}" for name in "tc")

    def theirs():
        spark.conf.set("spark.databricks.delta.streaming.allowSourceColumnRename", "always")
        read = spark.readStream.format("delta").option("schemaTrackingLocation", f"{checkpoint}/schema").load(source)
        write = read.writeStream.format("delta").option("checkpointLocation", f"file:{checkpoint}").option("mergeSchema", "true")
        write.trigger(availableNow=True).start(target).awaitTermination()

    options = "schemaTrackingLocation = 'schema', allowSourceColumnRename = 'always'"
    sql(f"CREATE TABLE t (id INT, a INT, p INT) PARTITIONED BY (p) {MAPPED}; INSERT INTO t VALUES (1, 10, 0)")
    stream(options)
    sql("INSERT INTO t VALUES (2, 20, 0); ALTER TABLE t RENAME COLUMN a TO b; INSERT INTO t VALUES (3, 30, 1)")
    assert EVOLUTION in stream(options, code=1).err
    theirs()
    assert rows("SELECT * FROM c WHERE id = 3") == [{"id": 3, "a": None, "p": 1, "b": 30}]
    sql("INSERT INTO t VALUES (4, 40, 1); ALTER TABLE t RENAME COLUMN b TO d; INSERT INTO t VALUES (5, 50, 0)")
    with pytest.raises(Exception, match=EVOLUTION):
        theirs()
    assert [(v, c) for v, c, _ in entries(checkpoint)] == [(1, ["id", "a", "p"]), (3, ["id", "b", "p"]), (6, ["id", "d", "p"])]
    stream(options)
    assert rows("SELECT id, b, d FROM c WHERE id > 2 ORDER BY id") == [
        {"id": 3, "b": 30, "d": None}, {"id": 4, "b": 40, "d": None}, {"id": 5, "b": None, "d": 50}]
