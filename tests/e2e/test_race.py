"""Many processes that write one table, other engines among them: nothing that was reported done is missing, nothing is there twice."""
import json
import os
import threading

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

WRITERS, COMMITS = 8, int(os.environ.get("FRESHET_RACE_COMMITS", 25))
FOREIGN = max(5, COMMITS // 5)


def make(freshet, warehouse, properties="'delta.checkpointInterval' = '20'"):
    freshet("sql", "--warehouse", warehouse, "-c", f"CREATE TABLE t (writer INT, n INT) TBLPROPERTIES ({properties})", check=0)
    return warehouse / "default/t"


def start_all(freshet, warehouse, commits):
    """Each process makes its commits, statement by statement."""
    scripts = ["; ".join(f"INSERT INTO t VALUES ({writer}, {n})" for n in range(commits)) for writer in range(WRITERS)]
    return [freshet.start("sql", "--warehouse", warehouse, "-c", script) for script in scripts]


def judge(freshet, warehouse, read_delta, expected):
    found = sorted(tuple(json.loads(line).values()) for line in freshet(
        "sql", "--warehouse", warehouse, "--format", "jsonl", "-c", "SELECT writer, n FROM t", check=0).out.splitlines())
    assert found == sorted(expected)
    assert sorted(read_delta(warehouse / "default/t", "writer", "n")) == sorted(expected)
    log = warehouse / "default/t/_delta_log"
    versions = sorted(int(file.stem) for file in log.glob("*.json") if file.stem.isdigit())
    assert versions == list(range(len(versions)))
    tokens = [info["txnId"] for file in log.glob("*.json") if file.stem.isdigit() for line in file.read_text().splitlines()
              if (info := json.loads(line).get("commitInfo")) and "txnId" in info]
    assert len(tokens) == len(set(tokens))
    newest = max((file for file in log.glob("*.crc")), default=None)
    if newest:
        state = DeltaTable(str(warehouse / "default/t"), version=int(newest.stem))
        assert json.loads(newest.read_text())["numFiles"] == len(state.file_uris())


def rows_of(writers, commits):
    return [(writer, n) for writer in writers for n in range(commits)]


@pytest.mark.timeout(1200)
def test_eight_processes(freshet, warehouse, read_delta):
    make(freshet, warehouse)
    for process in start_all(freshet, warehouse, COMMITS):
        result = process.wait(1000)
        assert result.code == 0, result
    judge(freshet, warehouse, read_delta, rows_of(range(WRITERS), COMMITS))


@pytest.mark.no_lint("a checkpoint by delta-rs may keep dataChange = true")
@pytest.mark.timeout(1200)
def test_with_delta_rs(freshet, warehouse, read_delta):
    table = make(freshet, warehouse)
    running, problems = start_all(freshet, warehouse, FOREIGN), []

    def append():
        try:
            for n in range(FOREIGN):
                rows = pa.table({"writer": pa.array([100], pa.int32()), "n": pa.array([n], pa.int32())})
                write_deltalake(str(table), rows, mode="append", commit_properties=CommitProperties(max_commit_retries=1000))
        except Exception as problem:
            problems.append(problem)

    foreign = threading.Thread(target=append)
    foreign.start()
    for process in running:
        result = process.wait(1000)
        assert result.code == 0, result
    foreign.join()
    assert problems == []
    judge(freshet, warehouse, read_delta, rows_of([*range(WRITERS), 100], FOREIGN))


@pytest.mark.spark
@pytest.mark.timeout(1200)
def test_with_spark(freshet, warehouse, read_delta, spark):
    """In turn, not at once: on local files Spark looks whether a version is free and then renames over it, so that whoever comes
    in between is lost, whatever he does."""
    table = make(freshet, warehouse)
    for n in range(3):
        running = start_all(freshet, warehouse, n + 1)
        for process in running:
            assert process.wait(1000).code == 0
        spark.sql(f"INSERT INTO delta.`{table}` VALUES (200, {n})")
    expected = [row for n in range(3) for row in rows_of(range(WRITERS), n + 1)] + [(200, n) for n in range(3)]
    judge(freshet, warehouse, read_delta, expected)
