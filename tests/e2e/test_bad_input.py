"""Bad input gets an error with place, hint and code, and costs nobody data."""
import gzip
import json
import os
import subprocess

import pytest


@pytest.fixture
def landing(tmp_path):
    folder = tmp_path / "landing"
    folder.mkdir()
    return folder


@pytest.fixture
def ingest(freshet, warehouse, landing, tmp_path):
    """Runs JSON files of the landing folder into the table t."""

    def run(check=0, options="format => 'json'", select="*", env=None, extra=""):
        file = tmp_path / "pipeline.sql"
        file.write_text(f"{extra}CREATE STREAMING TABLE t AS SELECT {select} FROM STREAM read_files('{landing}', {options});\n")
        done = freshet("run", file, "--warehouse", warehouse, "--available-now", env=env)
        assert done.code == check, done
        return done

    return run


@pytest.fixture
def rows(freshet, warehouse):
    def run(query, check=0):
        done = freshet("sql", "--warehouse", warehouse, "--format", "jsonl", "-c", query)
        assert done.code == check, done
        return [json.loads(line) for line in done.out.splitlines()]

    return run


# ---- source files ------------------------------------------------------------------------------------------------


def test_lines_that_are_no_json_are_kept(ingest, landing, rows):
    (landing / "a.json").write_text('{"id": 1}\n{"id": 2,\nnothing\n{"id": 3}\n')
    ingest()
    assert [r["id"] for r in rows("SELECT id FROM t WHERE id IS NOT NULL ORDER BY id")] == [1, 3]
    kept = " ".join(r["_rescued_data"] for r in rows("SELECT _rescued_data FROM t WHERE id IS NULL"))
    assert "nothing" in kept and "a.json" in kept


def test_empty_and_blank_files(ingest, landing, rows):
    (landing / "a.json").write_text("")
    (landing / "b.json").write_text("\n\n  \n")
    (landing / "c.json").write_text('{"id": 1}\n')
    ingest()
    assert rows("SELECT id FROM t") == [{"id": 1}]


def test_binary_and_wrong_encoding(ingest, landing, rows):
    (landing / "a.json").write_text('{"id": 1}\n')
    (landing / "b.json").write_bytes(os.urandom(5000))
    (landing / "c.json").write_bytes('{"id": 2, "name": "caf\u00e9"}\n'.encode("latin-1"))
    ingest()
    good = rows("SELECT id FROM t WHERE id IS NOT NULL")
    assert {"id": 1} in good
    assert rows("SELECT count(*) > 0 AS kept FROM t WHERE _rescued_data LIKE '%c.json%'") == [{"kept": True}]


def test_a_huge_line_is_kept_as_too_long(ingest, landing, rows):
    with open(landing / "a.json", "w") as file:
        file.write('{"id": 1}\n{"id": 2, "text": "' + "x" * 3_000_000 + '"}\n{"id": 3}\n')
    ingest(options="format => 'json', maxRecordBytes => '1m', schema => 'id BIGINT, text VARCHAR, _rescued_data VARCHAR'")
    assert [r["id"] for r in rows("SELECT id FROM t WHERE id IS NOT NULL ORDER BY 1")] == [1, 3]


def test_truncated_gzip_fails_and_names_the_file(ingest, landing):
    whole = gzip.compress(b'{"id": 1}\n' * 10000)
    (landing / "a.json.gz").write_bytes(whole[: len(whole) // 2])
    failed = ingest(check=1)
    assert "a.json.gz" in failed.err and "code: FR-SOURCE-009" in failed.err


def test_a_missing_folder(ingest, landing):
    landing.rmdir()
    failed = ingest(check=1)
    assert str(landing) in failed.err and "code: FR-" in failed.err


def test_an_option_that_does_not_exist(ingest, landing):
    (landing / "a.json").write_text('{"id": 1}\n')
    failed = ingest(check=1, options="format => 'json', maxFilesPerTriger => 5")
    assert 'maxFilesPerTrigger' in failed.err and "FR-STREAM-001" in failed.err and "pipeline.sql:1:" in failed.err
    failed = ingest(check=1, options="format => 'jsn'")
    assert "jsn" in failed.err


def test_values_that_do_not_fit_are_rescued(ingest, landing, rows):
    (landing / "a.json").write_text('{"id": 1, "n": 5}\n')
    ingest()
    (landing / "b.json").write_text('{"id": "x", "n": 99999999999999999999}\n{"id": 3, "n": {"deep": 1}}\n')
    ingest()
    got = rows("SELECT id, n, _rescued_data FROM t WHERE _rescued_data IS NOT NULL ORDER BY id NULLS FIRST")
    assert got[0]["id"] is None and json.loads(got[0]["_rescued_data"])["id"] == "x"
    assert got[1]["id"] == 3 and json.loads(got[1]["_rescued_data"])["n"] == {"deep": 1}


# ---- tables ------------------------------------------------------------------------------------------------------


@pytest.fixture
def table(freshet, warehouse):
    for n in range(3):
        statement = "CREATE TABLE d AS SELECT 0 AS a" if n == 0 else f"INSERT INTO d VALUES ({n})"
        freshet("sql", "--warehouse", warehouse, "-c", statement, check=0)
    return warehouse / "default/d"


def select_fails(freshet, warehouse):
    done = freshet("sql", "--warehouse", warehouse, "-c", "SELECT * FROM d")
    assert done.code == 1 and done.err.startswith("error: ") and done.out == "", done
    return done.err


@pytest.mark.no_lint
@pytest.mark.parametrize("garbage", [b"", b'{"add":{"path":"x', b"\x00\xff garbage\n", b"[1,2]\n"])
def test_a_torn_newest_commit(freshet, warehouse, table, garbage):
    (table / "_delta_log" / f"{2:020d}.json").write_bytes(garbage)
    err = select_fails(freshet, warehouse)
    assert f"{2:020d}.json" in err and "FR-DELTA-003" in err
    written = freshet("sql", "--warehouse", warehouse, "-c", "INSERT INTO d VALUES (9)")
    assert written.code == 1 and not (table / "_delta_log" / f"{3:020d}.json").exists()


@pytest.mark.no_lint
def test_a_gap_in_the_log(freshet, warehouse, table):
    (table / "_delta_log" / f"{1:020d}.json").unlink()
    assert "FR-DELTA-002" in select_fails(freshet, warehouse)


@pytest.mark.no_lint
def test_a_protocol_too_new(freshet, warehouse, table):
    commit = table / "_delta_log" / f"{3:020d}.json"
    commit.write_text('{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["timeMachine"],"writerFeatures":["timeMachine"]}}\n')
    err = select_fails(freshet, warehouse)
    assert "timeMachine" in err and "FR-DELTA-004" in err
    commit.write_text('{"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["timeMachine"]}}\n')
    assert freshet("sql", "--warehouse", warehouse, "-c", "SELECT count(*) FROM d").code == 0
    written = freshet("sql", "--warehouse", warehouse, "-c", "INSERT INTO d VALUES (9)")
    assert written.code == 1 and "timeMachine" in written.err and "FR-DELTA-005" in written.err


@pytest.mark.no_lint
def test_a_path_that_leaves_the_table(freshet, warehouse, table, tmp_path):
    secret = tmp_path / "secret.parquet"
    freshet("sql", "-c", f"COPY (SELECT 42 AS a) TO '{secret}' (FORMAT parquet)", check=0)
    (table / "_delta_log" / f"{3:020d}.json").write_text(json.dumps({"add": {
        "path": "../../../secret.parquet", "partitionValues": {}, "size": 100, "modificationTime": 0, "dataChange": True}}) + "\n")
    err = select_fails(freshet, warehouse)
    assert "secret.parquet" in err and "FR-DELTA-016" in err


@pytest.mark.no_lint
def test_a_missing_data_file(freshet, warehouse, table):
    next(table.glob("*.parquet")).unlink()
    assert ".parquet" in select_fails(freshet, warehouse)


def test_a_folder_that_is_no_table(freshet, warehouse, tmp_path):
    (tmp_path / "plain").mkdir()
    done = freshet("sql", "--warehouse", warehouse, "-c", f"SELECT * FROM delta.`{tmp_path}/plain`")
    assert done.code == 1 and "is not a Delta table" in done.err and "FR-DELTA-001" in done.err


# ---- the world ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_costs_nothing(freshet, small_disk, landing, tmp_path):
    with open(landing / "a.json", "w") as file:
        for i in range(60000):
            file.write(json.dumps({"id": i, "noise": os.urandom(120).hex()}) + "\n")
    file = tmp_path / "pipeline.sql"
    file.write_text(f"CREATE STREAMING TABLE t AS SELECT * FROM STREAM read_files('{landing}', format => 'json');")
    warehouse = small_disk / "w"
    process = freshet.start("run", file, "--warehouse", warehouse, "--available-now", env={"TMPDIR": tmp_path})
    try:
        deadline = 20
        while "No space left" not in process.err and process.running and deadline > 0:
            try:
                process.popen.wait(0.1)
            except subprocess.TimeoutExpired:
                deadline -= 0.1
        assert "No space left" in process.err, process.result()
    finally:
        process.kill()
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    freshet("run", file, "--warehouse", warehouse, "--available-now", env={"TMPDIR": tmp_path}, check=0)
    done = freshet("sql", "--warehouse", warehouse, "--format", "jsonl", "-c", "SELECT count(*) AS n, count(DISTINCT id) AS d FROM t", check=0)
    assert json.loads(done.out) == {"n": 60000, "d": 60000}


def test_a_checkpoint_that_is_damaged(ingest, landing, warehouse):
    (landing / "a.json").write_text('{"id": 1}\n')
    ingest()
    checkpoint = warehouse / "_checkpoints/default/t/t/0"
    (checkpoint / "offsets/0").write_text("v9\nnothing\n-")
    failed = ingest(check=1)
    assert "offsets/0" in failed.err and "FR-STREAM-003" in failed.err


def test_a_checkpoint_that_is_gone(ingest, landing, warehouse, rows):
    import shutil
    (landing / "a.json").write_text('{"id": 1}\n')
    ingest()
    shutil.rmtree(warehouse / "_checkpoints")
    failed = ingest(check=1)
    assert "FR-STREAM-005" in failed.err
    assert rows("SELECT count(*) AS n FROM t") == [{"n": 1}]
